#include "api/conditional.h"

#include <float.h>
#include <math.h>
#include <string.h>

#include "base/memory.h"
#include "data/number.h"

enum { PIECE = 256, NAME_BYTES = 96, LIST_BYTES = 240 };

static const rh_context_column *encoded(const rh_model *m, int64_t i) {
  return m->flow->encoder ? &m->flow->encoder->column[i] : NULL;
}

/* ---- where columns stand ---- */

rh_status rh_whole_order(const rh_model *m, int64_t **out) {
  const int64_t d = m->flow->columns, c = m->flow->context;
  int64_t *order = rh_alloc((size_t)(d + c) * sizeof *order);
  bool *taken = rh_alloc_zero((size_t)(d + c), sizeof *taken);
  if (order && taken) {
    for (int64_t i = 0; i < c; i++) {
      order[d + i] = encoded(m, i) ? encoded(m, i)->place : d + i;
      taken[order[d + i]] = true;
    }
    for (int64_t j = 0, n = 0; j < d + c; j++) {
      if (!taken[j]) order[n++] = j;
    }
    *out = order;
  } else {
    rh_free(order);
  }
  rh_free(taken);
  return order && taken ? RH_OK : RH_E_MEMORY;
}

rh_status rh_role_order(const rh_table *table, int64_t **out, int64_t *data) {
  const int64_t d = rh_table_columns(table);
  int64_t *order = rh_alloc((size_t)d * sizeof *order), n = 0;
  if (!order) return RH_E_MEMORY;
  for (int context = 0; context < 2; context++) {
    for (int64_t j = 0; j < d; j++) {
      if ((rh_table_facts(table, j).role != RH_ROLE_DATA) == context) order[n++] = j;
    }
    if (!context) *data = n;
  }
  *out = order;
  return RH_OK;
}

/* ---- names ---- */

static const char *name_at(const rh_model *m, int64_t j) {
  return m->columns ? json_string_value(json_array_get(m->columns, (size_t)j)) : NULL;
}

/* "quality", or "column 12" where it has no name. */
static const char *context_name(const rh_model *m, int64_t i, char text[NAME_BYTES]) {
  const char *name = name_at(m, m->flow->columns + i);
  if (name)
    snprintf(text, NAME_BYTES, "%.80s", name);
  else
    snprintf(text, NAME_BYTES, "column %lld", (long long)(encoded(m, i) ? encoded(m, i)->place : m->flow->columns + i) + 1);
  return text;
}

/* "quality, column 12, ..." */
static const char *list_context(const rh_model *m, char list[LIST_BYTES]) {
  char name[NAME_BYTES];
  list[0] = '\0';
  for (int64_t i = 0, used = 0; i < m->flow->context; i++) {
    const int n = snprintf(list + used, LIST_BYTES - (size_t)used, "%s%s", i ? ", " : "", context_name(m, i, name));
    used += n;
    if (used + NAME_BYTES > LIST_BYTES && i + 1 < m->flow->context) {
      snprintf(list + used, LIST_BYTES - (size_t)used, ", ...");
      break;
    }
  }
  return list;
}

rh_status rh_fail_no_rows(const rh_model *m, const char *what) {
  char list[LIST_BYTES];
  return rh_fail(RH_E_ARGUMENT, "%s, for the model is conditional on %s", what, list_context(m, list));
}

rh_status rh_fail_no_context(const rh_model *m) {
  char list[LIST_BYTES];
  return rh_fail(RH_E_ARGUMENT,
                 "the model is conditional on %s: give values for %s (--context FILE, or --context-values \"NAME=VALUE,...\")",
                 list_context(m, list), m->flow->context == 1 ? "it" : "them");
}

void rh_note_context(const rh_table *table, int64_t data, json_t *notes) {
  const int64_t context = rh_table_columns(table) - data;
  char text[400], label[RH_LABEL_BYTES];
  int used = snprintf(text, sizeof text, "the density is that of %lld column%s given %lld: ", (long long)data, data == 1 ? "" : "s",
                      (long long)context);
  for (int64_t i = 0; i < context; i++) {
    const bool room = used + 2 * RH_LABEL_BYTES < (int)sizeof text;
    used += snprintf(text + used, sizeof text - (size_t)used, "%s%s", i ? ", " : "",
                     room ? rh_table_label(table, data + i, label, sizeof label) : "...");
    if (!room) break;
  }
  json_array_insert_new(notes, 0, json_string(text));
}

/* ---- what a reader should know ---- */

void rh_known_free(rh_known_columns *known) {
  rh_free((void *)(uintptr_t)known->column);
  rh_free((void *)(uintptr_t)known->names);
  *known = (rh_known_columns){0};
}

static rh_status known_room(int64_t columns, int64_t names, rh_known_column **column, const char ***name) {
  *column = rh_alloc_zero((size_t)columns + 1, sizeof **column);
  *name = rh_alloc_zero((size_t)names + 1, sizeof **name);
  if (*column && *name) return RH_OK;
  rh_free(*column);
  rh_free((void *)*name);
  return RH_E_MEMORY;
}

rh_status rh_known_of_model(const rh_model *m, rh_table_kind kind, rh_known_columns *known) {
  const int64_t d = m->flow->columns, c = m->flow->context, first = kind == RH_TABLE_WHOLE ? 0 : d;
  rh_known_column *column;
  const char **name;
  RH_TRY(known_room(c, d + c, &column, &name));
  *known =
      (rh_known_columns){.column = column, .names = name, .narrow = kind == RH_TABLE_GIVEN ? c : 0, .no_choice = kind == RH_TABLE_GIVEN};
  for (int64_t j = first; j < d + c && m->columns; j++) name[known->n_names++] = name_at(m, j);
  for (int64_t i = 0; i < c; i++) {
    const rh_context_column *e = encoded(m, i);
    if (!e || !e->texts) continue;
    const int64_t place = kind == RH_TABLE_CODES ? m->flow->latent + i : e->place;
    column[known->n++] = (rh_known_column){.name = name_at(m, d + i), .place = {place, i}, .texts = e->texts, .n = e->n};
  }
  return RH_OK;
}

rh_status rh_known_of_labelled(const rh_model *m, const char *labels, rh_known_columns *known) {
  RH_TRY(rh_known_of_model(m, RH_TABLE_WHOLE, known));
  rh_known_column *column = (rh_known_column *)(uintptr_t)known->column;
  const char *end = labels ? labels + strlen(labels) : NULL;
  double number;
  const bool numbered = labels && rh_number_read(labels, end, &number) == end;
  known->narrow = m->flow->columns + m->flow->context; /* without the labels */
  for (int64_t i = 0; i < known->n; i++) {
    column[i].place[1] = column[i].place[0];
    column[i].place[0] += numbered && (double)column[i].place[1] >= number - 1;
  }
  return RH_OK;
}

rh_status rh_known_of_table(const rh_table *table, rh_known_columns *known) {
  const int64_t d = rh_table_columns(table);
  const char *const *names = rh_table_names(table);
  rh_known_column *column;
  const char **name;
  RH_TRY(known_room(d, d, &column, &name));
  *known = (rh_known_columns){.column = column, .names = name};
  for (int64_t j = 0; j < d; j++) {
    const rh_column_facts facts = rh_table_facts(table, j);
    if (names) name[known->n_names++] = names[j];
    if (!facts.texts) continue;
    column[known->n++] = (rh_known_column){.name = names ? names[j] : NULL, .place = {j, j}, .texts = facts.texts, .n = facts.n_texts};
  }
  return RH_OK;
}

/* ---- categories ---- */

/* "3, 4, ..., 9" */
static const char *list_categories(const rh_context_column *e, char text[LIST_BYTES]) {
  int used = 0;
  text[0] = '\0';
  for (int64_t i = 0; i < e->n; i++) {
    const char *comma = i ? ", " : "";
    const int n = e->texts ? snprintf(text + used, LIST_BYTES - (size_t)used, "%s%.40s", comma, e->texts[i])
                           : snprintf(text + used, LIST_BYTES - (size_t)used, "%s%.9g", comma, e->values[i]);
    used += n;
    if (used + 50 < LIST_BYTES || i + 1 == e->n) continue;
    snprintf(text + used, LIST_BYTES - (size_t)used, ", ...");
    break;
  }
  return text;
}

static rh_status fail_value(const rh_context_column *e, const char *where, double value) {
  char list[LIST_BYTES], places[48] = "";
  if (e->n == 0) return rh_fail(RH_E_DATA, "%s: %g is not a finite number", where, value);
  if (e->texts) snprintf(places, sizeof places, "the places 0 to %lld of ", (long long)e->n - 1);
  return rh_fail(RH_E_DATA, "%s: %.9g is no category of the fit's; there are %s%s", where, value, places, list_categories(e, list));
}

rh_status rh_check_categories(const rh_model *m, const char *name, const rh_table *table, int64_t first) {
  double x[PIECE];
  for (int64_t i = 0; i < m->flow->context; i++) {
    const rh_context_column *e = encoded(m, i);
    if (!e || e->n == 0) continue;
    for (int64_t row = 0; row < rh_table_rows(table); row += PIECE) {
      const int64_t n = rh_table_rows(table) - row < PIECE ? rh_table_rows(table) - row : PIECE;
      rh_table_column_f64(table, first + i, NULL, row, n, x);
      for (int64_t k = 0; k < n; k++) {
        char label[RH_LABEL_BYTES], where[512];
        if (rh_context_known(e, x[k])) continue;
        snprintf(where, sizeof where, "%.300s: row %lld, %s", name, (long long)(row + k) + 1,
                 rh_table_label(table, first + i, label, sizeof label));
        return fail_value(e, where, x[k]);
      }
    }
  }
  return RH_OK;
}

rh_status rh_check_context(const rh_model *m, const char *call, int64_t rows, int64_t width, int64_t first, const double *x) {
  if (!m->flow->encoder) return RH_OK;
  for (int64_t r = 0; r < rows; r++) {
    for (int64_t i = 0; i < m->flow->context; i++) {
      const double value = x[r * width + first + i];
      char where[160];
      if (rh_context_known(encoded(m, i), value)) continue;
      snprintf(where, sizeof where, "%s: row %lld, column %lld (from 0)", call, (long long)r, (long long)(first + i));
      return fail_value(encoded(m, i), where, value);
    }
  }
  return RH_OK;
}

rh_status rh_category_value(const rh_model *m, int64_t i, const char *text, double *value) {
  const rh_context_column *e = encoded(m, i);
  char name[NAME_BYTES], list[LIST_BYTES];
  context_name(m, i, name);
  if (!e || !e->texts) return rh_fail(RH_E_ARGUMENT, "%s: its values are numbers, \"%.60s\" is none", name, text);
  for (int64_t k = 0; k < e->n; k++) {
    if (strcmp(e->texts[k], text) != 0) continue;
    *value = (double)k;
    return RH_OK;
  }
  return rh_fail(RH_E_ARGUMENT, "%s: \"%.60s\" is no category of the fit's; there are %s", name, text, list_categories(e, list));
}

/* ---- contexts from a file ---- */

/* A table without the names that are looked for: by place. */
static rh_status place_context(const char *path, const rh_model *m, int64_t *order, rh_table *table) {
  const int64_t d = m->flow->columns, c = m->flow->context, width = rh_table_columns(table);
  if (width == d + c) return rh_table_select(table, order + d, c);
  if (width == c) return RH_OK;
  return rh_fail(RH_E_SHAPE, "%s: has %lld column%s: give the %lld context column%s of the model, or a table of all its %lld columns", path,
                 (long long)width, width == 1 ? "" : "s", (long long)c, c == 1 ? "" : "s", (long long)(d + c));
}

static rh_status choose_context(const char *path, const rh_model *m, int64_t *order, rh_table *table) {
  const int64_t d = m->flow->columns, c = m->flow->context, width = rh_table_columns(table);
  const char *const *names = rh_table_names(table), *missing = NULL;
  int64_t found = 0;
  int64_t *index = names && m->columns ? rh_alloc((size_t)c * sizeof *index) : NULL;
  if (!names || !m->columns) return place_context(path, m, order, table);
  if (!index) return RH_E_MEMORY;
  for (int64_t i = 0; i < c; i++) {
    index[i] = -1;
    for (int64_t j = 0; j < width && index[i] < 0; j++)
      if (strcmp(names[j], name_at(m, d + i)) == 0) index[i] = j;
    found += index[i] >= 0;
    if (index[i] < 0 && !missing) missing = name_at(m, d + i);
  }
  rh_status status;
  if (found == c)
    status = rh_table_select(table, index, c);
  else if (found > 0 || (width != c && width != d + c))
    status = rh_fail(RH_E_SHAPE, "%s: the model's context column '%.64s' is not in the header: add it, or rename a column", path, missing);
  else
    status = place_context(path, m, order, table);
  rh_free(index);
  return status;
}

rh_status rh_read_context(const char *path, const rh_read_options *options, const rh_model *m, rh_table **out) {
  rh_read_options read = *options;
  rh_known_columns known;
  rh_table *table = NULL;
  int64_t *order = NULL;
  RH_TRY(rh_known_of_model(m, RH_TABLE_GIVEN, &known));
  read.known = &known;
  rh_status status = rh_whole_order(m, &order);
  if (status == RH_OK) status = rh_table_read(path, &read, &table);
  if (status == RH_OK) status = choose_context(path, m, order, table);
  if (status == RH_OK) status = rh_check_categories(m, path, table, 0);
  rh_known_free(&known);
  rh_free(order);
  if (status != RH_OK) {
    rh_table_free(table);
    return status;
  }
  *out = table;
  return RH_OK;
}

/* ---- contexts from a text ---- */

/* The context column of that name, or of that number in a whole table; -1: none. */
static int64_t find_context(const rh_model *m, const char *label) {
  char number[32];
  for (int64_t i = 0; i < m->flow->context; i++) {
    const char *name = name_at(m, m->flow->columns + i);
    if (name && strcmp(name, label) == 0) return i;
  }
  for (int64_t i = 0; i < m->flow->context; i++) {
    snprintf(number, sizeof number, "%lld", (long long)(encoded(m, i) ? encoded(m, i)->place : m->flow->columns + i) + 1);
    if (strcmp(number, label) == 0) return i;
  }
  return -1;
}

static bool number_of(const char *text, double *value) {
  const char *end = text + strlen(text);
  return rh_number_read(text, end, value) == end && isfinite(*value);
}

/* One "NAME=VALUE" -> its column and value. */
static rh_status one_value(const rh_model *m, const char *label, const char *text, int64_t *column, double *value) {
  *column = find_context(m, label);
  if (*column < 0) {
    (void)rh_fail_no_context(m);
    return rh_fail_prefix(RH_E_ARGUMENT, "context values: '%.60s' is no context column: ", label);
  }
  const rh_context_column *e = encoded(m, *column);
  if (e && e->texts) return rh_category_value(m, *column, text, value);
  if (number_of(text, value) && (!e || rh_context_known(e, *value))) return RH_OK;
  char list[LIST_BYTES];
  if (e && e->n > 0)
    return rh_fail(RH_E_ARGUMENT, "context values: %.60s: '%.60s' is no category of the fit's; there are %s", label, text,
                   list_categories(e, list));
  return rh_fail(RH_E_ARGUMENT, "context values: %.60s: '%.60s' is not a finite number", label, text);
}

static rh_status all_values(const rh_model *m, char *text, bool *given, double *values) {
  for (char *at = text; at;) {
    char *comma = strchr(at, ','), *equals;
    if (comma) *comma++ = '\0';
    equals = strchr(at, '=');
    if (!equals || equals == at || !equals[1]) return rh_fail(RH_E_ARGUMENT, "context values: '%.60s': give NAME=VALUE,NAME=VALUE,...", at);
    *equals = '\0';
    int64_t i;
    double value;
    RH_TRY(one_value(m, at + strspn(at, " "), equals + 1, &i, &value));
    if (given[i]) return rh_fail(RH_E_ARGUMENT, "context values: '%.60s' is given twice", at);
    given[i] = true;
    values[i] = value;
    at = comma;
  }
  char name[NAME_BYTES];
  for (int64_t i = 0; i < m->flow->context; i++) {
    if (!given[i]) return rh_fail(RH_E_ARGUMENT, "context values: %s is missing: give %s=VALUE too", context_name(m, i, name), name);
  }
  return RH_OK;
}

rh_status rh_context_values(const rh_model *m, const char *text, bool narrow, double *values) {
  char *copy = rh_strdup(text);
  bool *given = rh_alloc_zero((size_t)m->flow->context, sizeof *given);
  double *own = rh_alloc_zero((size_t)m->flow->context, sizeof *own);
  rh_status status = copy && given && own ? all_values(m, copy, given, own) : RH_E_MEMORY;
  char name[NAME_BYTES];
  for (int64_t i = 0; i < m->flow->context && status == RH_OK && narrow; i++)
    if (fabs(own[i]) > FLT_MAX)
      status =
          rh_fail(RH_E_ARGUMENT, "context values: %s: %g is beyond the range of float32: use dtype f64", context_name(m, i, name), own[i]);
  if (status == RH_OK) memcpy(values, own, (size_t)m->flow->context * sizeof *own);
  rh_free(copy);
  rh_free(given);
  rh_free(own);
  return status;
}

/* ---- rows again and again ---- */

static void repeated_get(const void *arg, int64_t first, int64_t n, const int64_t *row, int64_t column, int64_t columns, double *dst) {
  const rh_repeated_rows *r = arg;
  int64_t number[PIECE];
  for (int64_t done = 0; done < n; done += PIECE) {
    const int64_t m = n - done < PIECE ? n - done : PIECE;
    for (int64_t i = 0; i < m; i++) number[i] = (row ? row[done + i] : first + done + i) / r->times;
    r->rows.get(r->rows.arg, 0, m, number, column, columns, dst + done * columns);
  }
}

rh_rows rh_rows_repeated(const rh_repeated_rows *r) {
  return (rh_rows){.rows = r->rows.rows * r->times, .columns = r->rows.columns, .get = repeated_get, .arg = r};
}
