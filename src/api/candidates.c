#include "api/candidates.h"

#include <stdio.h>
#include <string.h>

#include "base/memory.h"
#include "base/options.h"
#include "density/flow.h"

/* Beside the defaults of every architecture. A row whose architecture is not in the registry is left out; most_columns 0: any. */
static const struct {
  rh_candidate candidate;
  int64_t least_columns, most_columns;
} variants[] = {
    /* Of RealNVPs at equal time (30 s on UCI tables of 10 and 19 columns) the only one within two standard errors of the defaults; smooth
     * activations, residual nets and wider ones lost a nat. */
    {{"realnvp-deep", "realnvp", "{\"layers\": 16}"}, 2, 128},
    /* 0.7 and 0.3 nats better than the default box of 5 on two of four UCI tables, 0.3 and 0.8 worse on the others: only a try tells. */
    {{"nsf-tight", "nsf", "{\"box\": 3}"}, 1, 128},
};

enum { ALL_MOST = 64 };

/* *all [ALL_MOST]; returns how many. */
static int list_all(int64_t columns, bool images, rh_candidate *all) {
  int archs, n = 0;
  const rh_arch *const *arch = rh_archs(&archs);
  for (int i = 0; i < archs && n < ALL_MOST; i++) {
    if (arch[i]->image != images) continue;
    all[n++] = (rh_candidate){arch[i]->name, arch[i]->name, NULL};
    for (size_t v = 0; v < RH_COUNT_OF(variants) && n < ALL_MOST; v++) {
      const bool fits = columns >= variants[v].least_columns && (!variants[v].most_columns || columns <= variants[v].most_columns);
      if (fits && strcmp(variants[v].candidate.arch, arch[i]->name) == 0) all[n++] = variants[v].candidate;
    }
  }
  return n;
}

static rh_status unknown(const char *name, const rh_candidate *all, int n) {
  const char *names[ALL_MOST + 1] = {NULL};
  char list[400] = "";
  for (int i = 0, used = 0; i < n; i++) {
    names[i] = all[i].name;
    if (used + (int)strlen(names[i]) + 3 < (int)sizeof list)
      used += snprintf(list + used, sizeof list - (size_t)used, "%s%s", i ? ", " : "", names[i]);
  }
  const char *near = rh_nearest(name, names);
  return rh_fail(RH_E_ARGUMENT, "options.arch: unknown architecture '%.64s'%s%s%s; there are: %s", name, near ? ", did you mean '" : "",
                 near ? near : "", near ? "'" : "", list);
}

/* One word of the list: *out takes its candidate, unless it is there already. */
static rh_status take_word(const char *word, const rh_candidate *all, int n, rh_candidate *out, int *count) {
  for (int i = 0; i < n; i++) {
    if (strcmp(word, all[i].name) != 0) continue;
    for (int k = 0; k < *count; k++)
      if (strcmp(out[k].name, word) == 0) return rh_fail(RH_E_ARGUMENT, "options.arch: '%.64s' is given twice", word);
    out[(*count)++] = all[i];
    return RH_OK;
  }
  return unknown(word, all, n);
}

rh_status rh_candidates(const char *names, int64_t columns, bool images, rh_candidate **list, int *n) {
  rh_candidate all[ALL_MOST], *out = rh_alloc_zero(ALL_MOST, sizeof *out);
  if (!out) return RH_E_MEMORY;
  const int known = list_all(columns, images, all);
  int count = 0;
  rh_status status = RH_OK;
  for (const char *at = names; at && *at && status == RH_OK; at += strcspn(at, ","), at += *at == ',') {
    char word[65];
    snprintf(word, sizeof word, "%.*s", (int)strcspn(at, ","), at);
    status = take_word(word, all, known, out, &count);
  }
  if (status == RH_OK && names && count == 0) status = rh_fail(RH_E_ARGUMENT, "options.arch: name the architectures, as in realnvp,nice");
  if (status != RH_OK) {
    rh_free(out);
    return status;
  }
  if (!names) memcpy(out, all, sizeof all);
  *list = out;
  *n = names ? count : known;
  return RH_OK;
}
