#include <stdio.h>
#include <string.h>

#include "base/memory.h"
#include "base/options.h"
#include "data/table_read.h"

enum { LABEL_BYTES = 256 };

typedef struct selection {
  const char *name;         /* of the file, for errors */
  const char *const *names; /* array[d] or NULL */
  int64_t d;
  int64_t *chosen; /* in the order of the list */
  int64_t count;
  bool *taken, *left_out;
} selection;

/* The column of that name, -1 if none has it, -2 if several have. */
static int64_t by_name(const selection *s, const char *label) {
  int64_t found = -1;
  for (int64_t j = 0; s->names && j < s->d; j++) {
    if (strcmp(s->names[j], label) != 0) continue;
    if (found >= 0) return -2;
    found = j;
  }
  return found;
}

static const char *read_count(const char *p, int64_t *value) {
  const char *start = p;
  int64_t v = 0;
  for (; *p >= '0' && *p <= '9'; p++) v = v < INT32_MAX ? v * 10 + (*p - '0') : v;
  *value = v;
  return p > start ? p : NULL;
}

static rh_status fail_unknown(const selection *s, const char *label) {
  if (!s->names) {
    return rh_fail(RH_E_ARGUMENT, "%s: no column is named \"%s\": the file has no header; choose columns by number, 1 to %lld", s->name,
                   label, (long long)s->d);
  }
  const char **names = rh_alloc((size_t)(s->d + 1) * sizeof *names);
  if (!names) return RH_E_MEMORY;
  memcpy(names, s->names, (size_t)s->d * sizeof *names);
  names[s->d] = NULL;
  const char *near = rh_nearest(label, names);
  const rh_status status =
      near ? rh_fail(RH_E_ARGUMENT, "%s: no column is named \"%s\"; did you mean \"%.80s\"?", s->name, label, near)
           : rh_fail(RH_E_ARGUMENT, "%s: no column is named \"%s\"; choose one of its %lld columns by name or by number", s->name, label,
                     (long long)s->d);
  rh_free(names);
  return status;
}

/* label: a name, a number or a range of numbers; names first. */
static rh_status resolve(const selection *s, const char *label, int64_t *first, int64_t *last) {
  const int64_t named = by_name(s, label);
  if (named == -2) return rh_fail(RH_E_ARGUMENT, "%s: several columns are named \"%s\"; choose by number", s->name, label);
  if (named >= 0) {
    *first = *last = named;
    return RH_OK;
  }
  int64_t a = 0, b = 0;
  const char *p = read_count(label, &a);
  b = a;
  if (p && *p == '-') p = read_count(p + 1, &b);
  if (!p || *p) return fail_unknown(s, label);
  if (a < 1 || b > s->d || a > b) {
    return rh_fail(RH_E_ARGUMENT, "%s: there is no column %s; columns are counted from 1 to %lld", s->name, label, (long long)s->d);
  }
  *first = a - 1;
  *last = b - 1;
  return RH_OK;
}

static rh_status add_label(selection *s, const char *label) {
  const bool out = label[0] == '-' && by_name(s, label) < 0;
  int64_t first = 0, last = -1;
  RH_TRY(resolve(s, label + out, &first, &last));
  for (int64_t j = first; j <= last; j++) {
    if (out) {
      s->left_out[j] = true;
      continue;
    }
    if (s->taken[j]) return rh_fail(RH_E_ARGUMENT, "%s: column %lld is selected twice; name it once", s->name, (long long)j + 1);
    s->taken[j] = true;
    s->chosen[s->count++] = j;
  }
  return RH_OK;
}

/* The next label of the list, unquoted and trimmed; *p moves past its comma, to NULL at the end. */
static rh_status next_label(const selection *s, const char **p, char label[LABEL_BYTES]) {
  const char *t = *p;
  size_t n = 0;
  while (*t == ' ') t++;
  const bool out = *t == '-' && t[1] == '"', quoted = out || *t == '"';
  if (out) label[n++] = '-';
  t += quoted + out;
  for (; *t && (quoted || *t != ','); t++) {
    if (quoted && *t == '"' && *++t != '"') break;
    if (n + 1 >= LABEL_BYTES) return rh_fail(RH_E_ARGUMENT, "%s: a name in the list of columns is too long; choose by number", s->name);
    label[n++] = *t;
  }
  while (n > 0 && !quoted && label[n - 1] == ' ') n--;
  label[n] = 0;
  while (*t == ' ') t++;
  if (n == 0 || (*t && *t != ',')) {
    return rh_fail(RH_E_ARGUMENT, "%s: the list of columns \"%.60s\" is malformed near \"%.20s\"; write it as in a,b,3-7,-label", s->name,
                   *p, t);
  }
  *p = *t ? t + 1 : NULL;
  return RH_OK;
}

static rh_status select_all(selection *s, const char *list) {
  char label[LABEL_BYTES];
  for (const char *p = list; p;) {
    RH_TRY(next_label(s, &p, label));
    RH_TRY(add_label(s, label));
  }
  if (s->count == 0) { /* only exclusions: of all columns */
    for (int64_t j = 0; j < s->d; j++) s->chosen[s->count++] = j;
  }
  int64_t kept = 0;
  for (int64_t k = 0; k < s->count; k++) {
    if (!s->left_out[s->chosen[k]]) s->chosen[kept++] = s->chosen[k];
  }
  s->count = kept;
  return kept > 0 ? RH_OK : rh_fail(RH_E_ARGUMENT, "%s: the list of columns \"%.60s\" leaves none; select at least one", s->name, list);
}

rh_status rh_columns_parse(const char *name, const char *list, const char *const *names, int64_t d, int64_t **columns, int64_t *count) {
  selection s = {.name = name, .names = names, .d = d};
  s.chosen = rh_alloc((size_t)d * sizeof *s.chosen);
  s.taken = rh_alloc_zero((size_t)d, sizeof *s.taken);
  s.left_out = rh_alloc_zero((size_t)d, sizeof *s.left_out);
  const rh_status status = s.chosen && s.taken && s.left_out ? select_all(&s, list) : RH_E_MEMORY;
  rh_free(s.taken);
  rh_free(s.left_out);
  if (status != RH_OK) {
    rh_free(s.chosen);
    return status;
  }
  *columns = s.chosen;
  *count = s.count;
  return RH_OK;
}

/* ---- what columns are for ---- */

void rh_selection_free(rh_selection *s) {
  rh_free(s->columns);
  rh_free(s->facts);
  *s = (rh_selection){0};
}

/* role[j] of every column of a list. */
static rh_status mark(const char *name, const char *list, const char *const *names, int64_t d, rh_role role, rh_role *roles) {
  int64_t *columns = NULL, n = 0;
  if (!list) return RH_OK;
  RH_TRY(rh_columns_parse(name, list, names, d, &columns, &n));
  rh_status status = RH_OK;
  for (int64_t k = 0; k < n && status == RH_OK; k++) {
    if (role == RH_ROLE_CATEGORY && roles[columns[k]] == RH_ROLE_DATA)
      status =
          rh_fail(RH_E_ARGUMENT, "%s: column %lld is named as categorical, but is no context column: add it to the context (--context)",
                  name, (long long)columns[k] + 1);
    roles[columns[k]] = role;
  }
  rh_free(columns);
  return status;
}

/* The columns of the list, then those of the context that it left out. */
static rh_status choose(const char *name, const rh_read_options *o, const char *const *names, int64_t d, rh_role *roles, rh_selection *s) {
  int64_t *columns = NULL, n = 0, data = 0;
  if (o->categorical && !o->context)
    return rh_fail(RH_E_ARGUMENT, "%s: categorical columns are for the context: name it too (--context LIST)", name);
  RH_TRY(mark(name, o->context, names, d, RH_ROLE_CONTEXT, roles));
  RH_TRY(mark(name, o->categorical, names, d, RH_ROLE_CATEGORY, roles));
  RH_TRY(rh_columns_parse(name, o->columns, names, d, &columns, &n));
  for (int64_t k = 0; k < n + d; k++) {
    const int64_t j = k < n ? columns[k] : k - n;
    bool taken = k >= n && roles[j] == RH_ROLE_DATA;
    for (int64_t i = 0; i < n && k >= n && !taken; i++) taken = columns[i] == j;
    if (taken) continue;
    data += roles[j] == RH_ROLE_DATA;
    s->facts[s->n] = (rh_column_facts){.number = j + 1, .role = roles[j]};
    s->columns[s->n++] = j;
  }
  rh_free(columns);
  if (data > 0) return RH_OK;
  return rh_fail(RH_E_ARGUMENT, "%s: every column is context: leave at least one to be modelled", name);
}

rh_status rh_columns_select(const char *name, const rh_read_options *options, const char *const *names, int64_t d, rh_selection *out) {
  rh_selection s = {.columns = rh_alloc((size_t)d * sizeof *s.columns), .facts = rh_alloc_zero((size_t)d, sizeof *s.facts)};
  rh_role *roles = rh_alloc_zero((size_t)d, sizeof *roles);
  const rh_status status = s.columns && s.facts && roles ? choose(name, options, names, d, roles, &s) : RH_E_MEMORY;
  rh_free(roles);
  if (status != RH_OK) {
    rh_selection_free(&s);
    return status;
  }
  *out = s;
  return RH_OK;
}
