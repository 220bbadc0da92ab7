#include "data/conditions.h"

#include <float.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/memory.h"
#include "data/categories.h"

enum { PIECE = 1024 };
static const double most_category = 0x1p24, coarse_share = 1e-3; /* of a standard deviation, for float32's steps */

/* One context column being looked at. */
typedef struct condition {
  const rh_table *table;
  const int64_t *rows;
  int64_t n, column;
  const rh_conditions_options *options;
  char label[RH_LABEL_BYTES];
  json_t *notes;
} condition;

static void note(const condition *c, const char *text) {
  json_array_append_new(c->notes, json_string(text));
}

/* ---- categories ---- */

/* The place of x in the ascending list, or where it would go. */
static int64_t place_of(const double *list, int64_t n, double x) {
  int64_t low = 0, high = n;
  while (low < high) {
    const int64_t middle = (low + high) / 2;
    if (list[middle] < x) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  return low;
}

/* The different values of a column, ascending: list [RH_CATEGORIES_MOST]. */
static rh_status collect(const condition *c, double *list, int64_t *count) {
  double x[PIECE];
  const int64_t all = rh_table_rows(c->table);
  *count = 0;
  for (int64_t first = 0; first < all; first += PIECE) {
    const int64_t n = all - first < PIECE ? all - first : PIECE;
    rh_table_column_f64(c->table, c->column, NULL, first, n, x);
    for (int64_t i = 0; i < n; i++) {
      if (x[i] != floor(x[i]) || fabs(x[i]) > most_category)
        return rh_fail(
            RH_E_DATA,
            "row %lld, %s: %.9g is no category: categories are texts or whole numbers up to 2^24; take the column as a number, or "
            "recode it",
            (long long)(first + i) + 1, c->label, x[i]);
      const int64_t at = place_of(list, *count, x[i]);
      if (at < *count && list[at] == x[i]) continue;
      if (*count == RH_CATEGORIES_MOST)
        return rh_fail(RH_E_DATA, "%s: more than %d categories; group them, or leave the column out", c->label, RH_CATEGORIES_MOST);
      memmove(list + at + 1, list + at, (size_t)(*count - at) * sizeof *list);
      list[at] = x[i] + 0.0; /* -0 is 0 */
      ++*count;
    }
  }
  return RH_OK;
}

static json_t *categories_json(const rh_column_facts *facts, const double *list, int64_t count) {
  json_t *array = json_array();
  int failed = !array;
  for (int64_t i = 0; i < count; i++)
    failed = failed || json_array_append_new(array, facts->texts ? json_string(facts->texts[i]) : json_integer((json_int_t)list[i]));
  if (!failed) return array;
  json_decref(array);
  return NULL;
}

static json_t *category_entry(const condition *c, const rh_column_facts *facts, const double *list, int64_t count) {
  char text[200];
  int64_t width = c->options->embedding ? c->options->embedding : count < 100 ? (count + 1) / 2 : 50;
  const bool one_hot = count <= RH_ONE_HOT_MOST;
  const int used = snprintf(text, sizeof text, "%s is context, of %lld categor%s: ", c->label, (long long)count, count == 1 ? "y" : "ies");
  if (count == 1)
    snprintf(text + used, sizeof text - (size_t)used, "it says nothing");
  else if (one_hot)
    snprintf(text + used, sizeof text - (size_t)used, "one number each");
  else
    snprintf(text + used, sizeof text - (size_t)used, "an embedding of %lld number%s", (long long)width, width == 1 ? "" : "s");
  note(c, text);
  json_t *categories = categories_json(facts, list, count);
  if (!categories) return NULL;
  if (one_hot) return json_pack("{s:s, s:o}", "type", "one-hot", "categories", categories);
  return json_pack("{s:s, s:o, s:I}", "type", "embedding", "categories", categories, "width", (json_int_t)width);
}

/* Says how many categories no training row has: rows that were held out may. */
static rh_status note_unseen(const condition *c, const double *list, int64_t count) {
  bool *seen = rh_alloc_zero((size_t)count, sizeof *seen);
  if (!seen) return RH_E_MEMORY;
  int64_t unseen = count;
  for (int64_t i = 0; i < c->n && unseen > 0; i++) {
    double x;
    rh_table_column_f64(c->table, c->column, NULL, c->rows ? c->rows[i] : i, 1, &x);
    const int64_t at = place_of(list, count, x);
    unseen -= !seen[at];
    seen[at] = true;
  }
  rh_free(seen);
  if (unseen == 0) return RH_OK;
  char text[200];
  snprintf(text, sizeof text, "%s: no training row has %lld of its categories: the density given %s is a guess", c->label,
           (long long)unseen, unseen == 1 ? "it" : "them");
  note(c, text);
  return RH_OK;
}

static rh_status category(const condition *c, const rh_column_facts *facts, json_t **entry) {
  double *list = rh_alloc(RH_CATEGORIES_MOST * sizeof *list);
  int64_t count = facts->n_texts;
  for (int64_t i = 0; i < count && facts->texts && list; i++) list[i] = (double)i;
  rh_status status = !list ? RH_E_MEMORY : facts->texts ? RH_OK : collect(c, list, &count);
  if (status == RH_OK) *entry = category_entry(c, facts, list, count);
  if (status == RH_OK) status = note_unseen(c, list, count);
  rh_free(list);
  return status;
}

/* ---- numbers ---- */

typedef struct moments {
  double mean, sd, least, greatest;
  bool rounds; /* float32 does not hold every value */
} moments;

static moments moments_of(const condition *c) {
  moments m = {.least = INFINITY, .greatest = -INFINITY};
  double x[PIECE];
  for (int pass = 0; pass < 2; pass++) {
    double sum = 0;
    for (int64_t first = 0; first < c->n; first += PIECE) {
      const int64_t n = c->n - first < PIECE ? c->n - first : PIECE;
      rh_table_column_f64(c->table, c->column, c->rows ? c->rows + first : NULL, first, n, x);
      for (int64_t i = 0; i < n; i++) {
        sum += pass ? (x[i] - m.mean) * (x[i] - m.mean) : x[i];
        m.least = fmin(m.least, x[i]);
        m.greatest = fmax(m.greatest, x[i]);
        m.rounds = m.rounds || (double)(float)x[i] != x[i];
      }
    }
    if (pass == 0)
      m.mean = sum / (double)c->n;
    else
      m.sd = sqrt(sum / (double)c->n);
  }
  return m;
}

static rh_status check_moments(const condition *c, const moments *m) {
  if (!(m->sd >= 1e-37 && m->sd <= 1e37 && fabs(m->mean) <= 1e37))
    return rh_fail(RH_E_DATA, "%s: its values, %g to %g, are too large or too close together for a context: rescale the column", c->label,
                   m->least, m->greatest);
  int exponent;
  frexp(fmax(fabs(m->least), fabs(m->greatest)), &exponent);
  const double step = ldexp(1, exponent - FLT_MANT_DIG);
  if (c->options->real_bytes != 4 || !m->rounds || step <= coarse_share * m->sd) return RH_OK;
  return rh_fail(RH_E_DATA,
                 "%s: in float32 its values round to steps of %.6g, coarse for a standard deviation of %.3g: use --dtype f64, or "
                 "subtract %.6g first",
                 c->label, step, m->sd, m->mean);
}

static rh_status number(const condition *c, json_t **entry) {
  const moments m = moments_of(c);
  if (m.least == m.greatest) {
    char text[200];
    snprintf(text, sizeof text, "%s is context, and %.9g in every row: it is not looked at", c->label, m.least);
    note(c, text);
    *entry = json_pack("{s:s}", "type", "drop");
    return RH_OK;
  }
  RH_TRY(check_moments(c, &m));
  *entry = json_pack("{s:s, s:f, s:f}", "type", "standardize", "mean", m.mean, "scale", m.sd);
  return RH_OK;
}

/* ---- all of them ---- */

static rh_status add_entry(const condition *c, int64_t place, json_t *list, int64_t *used) {
  const rh_column_facts facts = rh_table_facts(c->table, c->column);
  json_t *entry = NULL;
  const rh_status status = facts.texts || facts.role == RH_ROLE_CATEGORY ? category(c, &facts, &entry) : number(c, &entry);
  if (status != RH_OK) {
    json_decref(entry);
    return status;
  }
  const char *type = json_string_value(json_object_get(entry, "type"));
  *used += type && strcmp(type, "drop") != 0 && json_array_size(json_object_get(entry, "categories")) != 1;
  const int failed = json_object_set_new(entry, "column", json_integer(place));
  return json_array_append_new(list, entry) != 0 || failed ? rh_fail(RH_E_MEMORY, "out of memory for the context's columns") : RH_OK;
}

rh_status rh_conditions(const rh_table *table, const int64_t *rows, int64_t n, int64_t first, const int64_t *place,
                        const rh_conditions_options *options, json_t **entries, json_t *notes) {
  const int64_t d = rh_table_columns(table);
  int64_t used = 0;
  condition c = {.table = table, .rows = rows, .n = rows ? n : rh_table_rows(table), .options = options, .notes = notes};
  json_t *list = json_array();
  rh_status status = list ? RH_OK : rh_fail(RH_E_MEMORY, "out of memory for the context's columns");
  for (int64_t j = first; j < d && status == RH_OK; j++) {
    c.column = j;
    rh_table_label(table, j, c.label, sizeof c.label);
    status = add_entry(&c, place[j - first], list, &used);
  }
  if (status == RH_OK && used == 0)
    status = rh_fail(RH_E_DATA, "every context column is the same in all rows: there is nothing to condition on; leave --context out");
  if (status != RH_OK) {
    json_decref(list);
    return status;
  }
  *entries = list;
  return RH_OK;
}
