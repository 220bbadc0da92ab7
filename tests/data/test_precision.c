/* What the arithmetic of a fit and the parts of a model cannot hold is seen before the fit. */
#define _XOPEN_SOURCE 700 /* mkdtemp */
#include "plans.h"

static double ids(uint64_t i) { /* float32 has two numbers for them */
  return 1e9 + floor(50 * uniform_at(i, 14));
}
static double seconds(uint64_t i) { /* of an hour: 28 numbers of float32 */
  return 1.7e9 + 3600 * uniform_at(i, 16);
}
static double minute(uint64_t i) {
  return 1.7e9 + 60 * uniform_at(i, 16);
}
static double dates(uint64_t i) { /* YYYYMMDD, of 30 years */
  return 19900101 + 10000 * floor(30 * uniform_at(i, 16)) + 100 * floor(12 * uniform_at(i, 17)) + floor(28 * uniform_at(i, 18));
}

/* Values far from 0 for their spread. */
static void rounding_to_float32_is_seen(void **state) {
  (void)state;
  column_fn *const f[] = {seconds, dates};
  double *x;
  json_t *plan = plan_of_columns(2, f, RH_HANDLE_AUTO, &x);
  assert_lists(plan, "warnings", 1); /* dates of 30 years: steps of 2 are nothing */
  assert_true(says(plan, "warnings", "column 1: in float32 its values round to steps of 128: use --dtype f64, or subtract 1.7e+09 first"));
  json_decref(plan);
  plan = plan_in(8, x, N, 2, RH_HANDLE_AUTO);
  assert_lists(plan, "warnings", 0);
  json_decref(plan);
  for (int i = 0; i < 2 * N; i++) x[i] = (float)x[i]; /* numbers of float32 already: none is rounded */
  plan = plan_of(x, N, 2, RH_HANDLE_AUTO);
  assert_false(says(plan, "warnings", "its values round"));
  json_decref(plan);
  free(x);
  /* next to nothing is left */
  x = columns_of(N, 1, (column_fn *[]){minute});
  for (rh_handle handle = RH_HANDLE_AUTO; handle <= RH_HANDLE_NONE; handle++) {
    assert_refused(x, N, 1, handle,
                   "column 1: in float32 its values round to steps of 128, which leaves 1 of 3999 different ones: use --dtype f64, or "
                   "subtract 1.7e+09 first");
  }
  json_decref(plan_in(8, x, N, 1, RH_HANDLE_AUTO));
  free(x);
  x = columns_of(N, 1, (column_fn *[]){ids});
  assert_refused(x, N, 1, RH_HANDLE_AUTO,
                 "column 1: in float32 its values round to steps of 64, which leaves 2 of 50 different ones: use --dtype f64, or subtract "
                 "1e+09 first");
  plan = plan_in(8, x, N, 1, RH_HANDLE_AUTO);
  assert_true(real_of(entry(plan, "dequantize", 0), "step") == 1);
  json_decref(plan);
  free(x);
}

static void scales_beyond_a_model_are_refused(void **state) {
  (void)state;
  double *x = malloc(N * 2 * sizeof *x);
  for (int i = 0; i < N; i++) x[2 * i] = 9e36 * normal_at((uint64_t)i, 60), x[2 * i + 1] = 1e-38 * normal_at((uint64_t)i, 61);
  for (int i = 0; i < N; i++) x[2 * i + 1] += i % 2 ? 1e-38 : -1e-38;
  double square = 0;
  for (int i = 0; i < N; i++) square += x[2 * i + 1] * x[2 * i + 1] / N;
  char error[200];
  snprintf(error, sizeof error,
           "column 2: its standard deviation, %g, is too small for a model, 1e-37 to 1e+37 is fine: rescale the column or leave it out",
           sqrt(square));
  for (rh_handle handle = RH_HANDLE_AUTO; handle <= RH_HANDLE_NONE; handle++) assert_refused(x, N, 2, handle, error);
  for (int i = 0; i < N; i++) x[2 * i + 1] *= 1e30, x[2 * i] = 1e38 + 1e36 * uniform_at((uint64_t)i, 60);
  rh_table *table = NULL;
  json_t *plan = NULL;
  assert_int_equal(rh_table_wrap(&(rh_cells){x, RH_CELL_F8, false, N, 2, 16, 8}, NULL, &table), RH_OK);
  assert_int_equal(rh_analyse(table, NULL, 0, RH_HANDLE_AUTO, 4, &plan), RH_E_DATA);
  assert_non_null(strstr(rh_last_error(), "column 1: its mean, 1.00"));
  rh_table_free(table);
  free(x);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(rounding_to_float32_is_seen),
      cmocka_unit_test(scales_beyond_a_model_are_refused),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
