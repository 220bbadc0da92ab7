/* Handling plans of columns made for a test, and what they say. */
#ifndef RH_TEST_PLANS_H
#define RH_TEST_PLANS_H
#include <math.h>

#include "base/rng.h"
#include "data/analyse.h"
#include "scratch.h"

enum { N = 4000 };

static inline double uniform_at(uint64_t row, uint32_t column) {
  const rh_rng rng = rh_rng_at(17, column, row, RH_STREAM_TEST);
  double u;
  rh_rng_uniform(&rng, 0, 1, &u);
  return u;
}

static inline double normal_at(uint64_t row, uint32_t column) { /* Box and Muller */
  return sqrt(-2 * log(uniform_at(row, column))) * cos(6.283185307179586 * uniform_at(row, column + 1000));
}

/* A table whose columns are given by functions of the row. */
typedef double column_fn(uint64_t row);

static inline double *columns_of(int64_t n, int d, column_fn *const *f) {
  double *values = malloc((size_t)(n * d) * sizeof *values);
  for (int64_t i = 0; i < n; i++) {
    for (int j = 0; j < d; j++) values[i * d + j] = f[j]((uint64_t)i);
  }
  return values;
}

static inline json_t *plan_in(int real_bytes, const double *values, int64_t n, int64_t d, rh_handle handle) {
  rh_table *table = NULL;
  json_t *plan = NULL;
  assert_int_equal(rh_table_wrap(&(rh_cells){values, RH_CELL_F8, false, n, d, d * 8, 8}, NULL, &table), RH_OK);
  if (rh_analyse(table, NULL, 0, handle, real_bytes, &plan) != RH_OK) fail_msg("%s", rh_last_error());
  rh_table_free(table);
  return plan;
}

static inline json_t *plan_of(const double *values, int64_t n, int64_t d, rh_handle handle) {
  return plan_in(4, values, n, d, handle);
}

static inline json_t *plan_of_columns(int d, column_fn *const *f, rh_handle handle, double **keep) {
  double *values = columns_of(N, d, f);
  json_t *plan = plan_of(values, N, d, handle);
  if (keep) {
    *keep = values;
  } else {
    free(values);
  }
  return plan;
}

/* The entry of a list of the plan that is about a column; NULL: there is none. */
static inline json_t *entry(json_t *plan, const char *list, int column) {
  size_t i;
  json_t *e;
  json_array_foreach(json_object_get(plan, list), i, e) {
    if (json_integer_value(json_object_get(e, "column")) == column) return e;
  }
  return NULL;
}

static inline double real_of(json_t *e, const char *key) {
  json_t *v = json_object_get(e, key);
  assert_true(json_is_number(v));
  return json_number_value(v);
}

static inline const char *text_of(json_t *e, const char *key) {
  assert_non_null(json_string_value(json_object_get(e, key)));
  return json_string_value(json_object_get(e, key));
}

static inline bool saw(json_t *plan, int column, const char *word) {
  size_t i;
  json_t *w;
  json_array_foreach(json_object_get(entry(plan, "seen", column), "what"), i, w) {
    if (strcmp(json_string_value(w), word) == 0) return true;
  }
  return false;
}

static inline bool says(json_t *plan, const char *list, const char *part) {
  size_t i;
  json_t *s;
  json_array_foreach(json_object_get(plan, list), i, s) {
    if (strstr(json_string_value(s), part)) return true;
  }
  return false;
}

static inline void assert_lists(json_t *plan, const char *list, size_t n) {
  if (json_array_size(json_object_get(plan, list)) != n) {
    char *text = json_dumps(plan, JSON_INDENT(1));
    fail_msg("%s has not %d entries: %s", list, (int)n, text);
  }
}

static inline void assert_refused(const double *x, int64_t n, int64_t d, rh_handle handle, const char *error) {
  rh_table *table = NULL;
  json_t *plan = NULL;
  assert_int_equal(rh_table_wrap(&(rh_cells){x, RH_CELL_F8, false, n, d, d * 8, 8}, NULL, &table), RH_OK);
  assert_int_equal(rh_analyse(table, NULL, 0, handle, 4, &plan), RH_E_DATA);
  assert_string_equal(rh_last_error(), error);
  assert_null(plan);
  rh_table_free(table);
}
#endif
