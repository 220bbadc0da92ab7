#define _XOPEN_SOURCE 700 /* mkdtemp */
#include "plans.h"

static double normal_a(uint64_t i) {
  return 3 + 2 * normal_at(i, 1);
}
static double normal_b(uint64_t i) {
  return -1 + 0.01 * normal_at(i, 2);
}
static double normal_c(uint64_t i) {
  return normal_at(i, 3);
}
static double constant(uint64_t i) {
  (void)i;
  return 4.5;
}
static double sum_ab(uint64_t i) {
  return normal_a(i) + 100 * normal_b(i) - 7;
}
static double odd_ab(uint64_t i) { /* weights that are no thousandths, and rounding */
  return (float)(0.123456789 * normal_a(i) - 3.3333333 * normal_c(i) + 0.7777777);
}
static double grade(uint64_t i) {
  return 3 + floor(6 * uniform_at(i, 4));
}
static double tenths(uint64_t i) {
  return (150 + floor(300 * uniform_at(i, 5))) / 10;
}
static double float_grid(uint64_t i) {
  return (float)(0.37 * floor(20 * uniform_at(i, 6)) - 1.234);
}
static double three_values(uint64_t i) {
  static const double values[] = {0, 0.7, 10};
  return values[(int)(3 * uniform_at(i, 7))];
}
static double lognormal(uint64_t i) {
  return exp(1.5 * normal_at(i, 8));
}
static double beta_like(uint64_t i) { /* U-shaped in (0, 1) */
  return 0.5 - 0.5 * cos(3.141592653589793 * uniform_at(i, 9));
}
static double cut_off(uint64_t i) {
  return -5 - log(uniform_at(i, 10));
}
static double half_zero(uint64_t i) {
  return uniform_at(i, 11) < 0.4 ? 0 : normal_at(i, 12);
}
static double cauchy(uint64_t i) {
  return tan(3.141592653589793 * (uniform_at(i, 13) - 0.5));
}
static double fine_grid(uint64_t i) { /* integers beyond float32's own: every other one */
  return 2e7 + 3 * floor(50 * uniform_at(i, 14));
}
static double counts(uint64_t i) { /* geometric: integers from 0, skewed */
  return floor(-60 * log(uniform_at(i, 15)));
}

static void clean_columns_are_left_alone(void **state) {
  (void)state;
  column_fn *const f[] = {normal_a, normal_b, normal_c};
  for (rh_handle handle = RH_HANDLE_AUTO; handle <= RH_HANDLE_NONE; handle++) {
    double *x;
    json_t *plan = plan_of_columns(3, f, handle, &x);
    assert_string_equal(text_of(plan, "handle"), handle == RH_HANDLE_AUTO ? "auto" : "none");
    assert_int_equal(json_integer_value(json_object_get(plan, "columns")), 3);
    assert_int_equal(json_integer_value(json_object_get(plan, "rows")), N);
    const char *const empty[] = {"drop", "dequantize", "transform", "seen", "report", "warnings"};
    for (size_t i = 0; i < RH_COUNT_OF(empty); i++) assert_lists(plan, empty[i], 0);
    assert_lists(plan, "keep", 3);
    for (int j = 0; j < 3; j++) { /* mean and standard deviation, plainly */
      json_t *standardize = json_object_get(plan, "standardize");
      double mean = 0, square = 0;
      for (int i = 0; i < N; i++) mean += x[i * 3 + j] / N;
      for (int i = 0; i < N; i++) square += (x[i * 3 + j] - mean) * (x[i * 3 + j] - mean) / N;
      const double got_mean = json_real_value(json_array_get(json_object_get(standardize, "mean"), (size_t)j));
      const double got_scale = json_real_value(json_array_get(json_object_get(standardize, "scale"), (size_t)j));
      assert_true(fabs(got_mean - mean) < 1e-12 * (1 + fabs(mean)));
      assert_true(fabs(got_scale - sqrt(square)) < 1e-12 * sqrt(square));
    }
    json_decref(plan);
    free(x);
  }
}

static void repeated_columns_are_dropped(void **state) {
  (void)state;
  column_fn *const f[] = {normal_a, constant, normal_b, normal_a, sum_ab, normal_c, odd_ab, sum_ab};
  double *x;
  json_t *plan = plan_of_columns(8, f, RH_HANDLE_AUTO, &x);
  assert_lists(plan, "drop", 5);
  json_t *e = entry(plan, "drop", 1), *recipe = json_object_get(e, "recipe");
  assert_string_equal(text_of(e, "reason"), "constant");
  assert_string_equal(text_of(recipe, "kind"), "constant");
  assert_true(real_of(recipe, "value") == 4.5);
  e = entry(plan, "drop", 3);
  recipe = json_object_get(e, "recipe");
  assert_string_equal(text_of(e, "reason"), "duplicated");
  assert_string_equal(text_of(recipe, "kind"), "copy");
  assert_int_equal(json_integer_value(json_object_get(recipe, "of")), 0);
  assert_true(saw(plan, 3, "duplicated") && saw(plan, 1, "constant"));
  /* of 0, 2, 4 and of 0, 5, 6 one is dropped each; 7 is a copy of 4, however 4 fares */
  assert_lists(plan, "keep", 3);
  assert_string_equal(text_of(entry(plan, "drop", 7), "reason"), "duplicated");
  /* each recipe rebuilds its column from kept ones */
  size_t i, t;
  json_t *v;
  json_array_foreach(json_object_get(plan, "drop"), i, e) {
    const int column = (int)json_integer_value(json_object_get(e, "column"));
    recipe = json_object_get(e, "recipe");
    const bool linear = strcmp(text_of(recipe, "kind"), "linear") == 0;
    for (int r = 0; r < N && linear; r++) {
      double rebuilt = real_of(recipe, "intercept");
      json_array_foreach(json_object_get(recipe, "of"), t, v) {
        assert_null(entry(plan, "drop", (int)json_integer_value(v)));
        rebuilt += json_real_value(json_array_get(json_object_get(recipe, "weights"), t)) * x[r * 8 + json_integer_value(v)];
      }
      assert_true(fabs(rebuilt - x[r * 8 + column]) < 1e-6);
    }
    if (linear) assert_true(real_of(recipe, "error") < 1e-6);
  }
  assert_true(says(plan, "report", "column 2 is 4.5 in every row: dropped"));
  assert_true(says(plan, "report", "column 4 equals column 1 in every row: dropped"));
  assert_lists(json_object_get(plan, "standardize"), "mean", 3);
  json_decref(plan);
  /* none: nothing is dropped, all of it is warned of, and the scale of a constant is 1 */
  plan = plan_of(x, N, 8, RH_HANDLE_NONE);
  assert_lists(plan, "drop", 0);
  assert_lists(plan, "keep", 8);
  assert_lists(plan, "warnings", 5);
  json_t *standardize = json_object_get(plan, "standardize");
  assert_true(json_real_value(json_array_get(json_object_get(standardize, "scale"), 1)) == 1);
  assert_true(json_real_value(json_array_get(json_object_get(standardize, "mean"), 1)) == 4.5);
  assert_true(says(plan, "warnings", "column 2 is 4.5 in every row: its density is unbounded"));
  json_decref(plan);
  free(x);
}

static void sums_are_rebuilt_exactly(void **state) {
  (void)state;
  enum { D = 4 };
  double *x = malloc(N * D * sizeof *x);
  for (int i = 0; i < N; i++) { /* integers: total = a + b, difference = 2 a - b + 5 */
    const double a = floor(1000 * uniform_at((uint64_t)i, 20)), b = floor(1000 * uniform_at((uint64_t)i, 21));
    const double row[D] = {a, b, a + b, 2 * a - b + 5};
    memcpy(x + i * D, row, sizeof row);
  }
  json_t *plan = plan_of(x, N, D, RH_HANDLE_AUTO), *e;
  size_t i;
  assert_lists(plan, "drop", 2);
  json_array_foreach(json_object_get(plan, "drop"), i, e) {
    json_t *recipe = json_object_get(e, "recipe");
    assert_true(real_of(recipe, "error") < 1e-9);
  }
  json_decref(plan);
  free(x);
}

static void discrete_columns_are_dequantized(void **state) {
  (void)state;
  column_fn *const f[] = {normal_a, grade, tenths, float_grid, three_values, fine_grid, counts};
  double *x;
  json_t *plan = plan_of_columns(7, f, RH_HANDLE_AUTO, &x);
  assert_null(entry(plan, "dequantize", 0));
  for (int j = 1; j < 7; j++) assert_true(saw(plan, j, "discrete"));
  assert_true(real_of(entry(plan, "dequantize", 1), "step") == 1);
  assert_true(real_of(entry(plan, "dequantize", 1), "offset") == 0);
  assert_true(real_of(entry(plan, "dequantize", 2), "step") == 0.1);
  assert_true(fabs(real_of(entry(plan, "dequantize", 3), "step") - 0.37) < 1e-7);
  assert_true(real_of(entry(plan, "dequantize", 4), "step") == 0.1); /* 0, 0.7, 10: a tenth is the greatest common step */
  assert_null(entry(plan, "dequantize", 5));
  assert_true(
      says(plan, "warnings",
           "column 6 has only 50 different values: a continuous density is unbounded there, and they lie too close together for noise "
           "in float32: use --dtype f64, or subtract 2e+07 first"));
  assert_true(real_of(entry(plan, "dequantize", 6), "step") == 1);
  /* every value comes back from anywhere in its step */
  for (int j = 1; j < 5; j++) {
    const double step = real_of(entry(plan, "dequantize", j), "step"), offset = real_of(entry(plan, "dequantize", j), "offset");
    for (int i = 0; i < N; i++) {
      for (double u = 0.001; u < 1; u += 0.499) {
        const double back = offset + step * floor((x[i * 7 + j] + u * step - offset) / step);
        assert_true(fabs(back - x[i * 7 + j]) < 1e-6 * step + 1e-6);
      }
    }
  }
  json_decref(plan);
  plan = plan_of(x, N, 7, RH_HANDLE_NONE);
  assert_lists(plan, "dequantize", 0);
  assert_true(says(plan, "warnings",
                   "column 2 has only 6 different values: a continuous density is unbounded there; dequantize it or leave it out"));
  json_decref(plan);
  free(x);
}

static void values_without_a_grid_become_levels(void **state) {
  (void)state;
  static const double levels[] = {-3.14159265, 0.1234567, 2.71828, 100.0001};
  double *x = malloc(N * sizeof *x);
  for (int i = 0; i < N; i++) x[i] = levels[(int)(4 * uniform_at((uint64_t)i, 30))];
  json_t *plan = plan_of(x, N, 1, RH_HANDLE_AUTO), *e = entry(plan, "dequantize", 0), *list = json_object_get(e, "levels");
  assert_null(json_object_get(e, "offset"));
  assert_int_equal(json_array_size(list), 4);
  for (size_t k = 0; k < 4; k++) assert_true(json_real_value(json_array_get(list, k)) == levels[k]);
  assert_true(real_of(e, "step") == levels[2] - levels[1]);
  json_decref(plan);
  free(x);
}

static void noise_is_in_the_scale(void **state) {
  (void)state;
  column_fn *const f[] = {grade};
  double *x, mean = 0, square = 0;
  json_t *plan = plan_of_columns(1, f, RH_HANDLE_AUTO, &x);
  for (int i = 0; i < N; i++) mean += x[i] / N;
  for (int i = 0; i < N; i++) square += (x[i] - mean) * (x[i] - mean) / N;
  json_t *standardize = json_object_get(plan, "standardize");
  assert_true(fabs(json_real_value(json_array_get(json_object_get(standardize, "mean"), 0)) - (mean + 0.5)) < 1e-12);
  assert_true(fabs(json_real_value(json_array_get(json_object_get(standardize, "scale"), 0)) - sqrt(square + 1.0 / 12)) < 1e-12);
  json_decref(plan);
  free(x);
}

static void skewed_and_limited_columns_are_mapped(void **state) {
  (void)state;
  column_fn *const f[] = {lognormal, beta_like, normal_a, cut_off, counts};
  double *x;
  json_t *plan = plan_of_columns(5, f, RH_HANDLE_AUTO, &x), *e = entry(plan, "transform", 0);
  assert_string_equal(text_of(e, "kind"), "log");
  assert_true(real_of(e, "low") < 0 && real_of(e, "low") > -0.1);
  const double low = real_of(e, "low");
  double mean = 0, square = 0; /* the scale is that of the mapped values */
  for (int i = 0; i < N; i++) mean += log(x[i * 5] - low) / N;
  for (int i = 0; i < N; i++) square += pow(log(x[i * 5] - low) - mean, 2) / N;
  json_t *standardize = json_object_get(plan, "standardize");
  assert_true(fabs(json_real_value(json_array_get(json_object_get(standardize, "mean"), 0)) - mean) < 1e-12);
  assert_true(fabs(json_real_value(json_array_get(json_object_get(standardize, "scale"), 0)) - sqrt(square)) < 1e-12);
  e = entry(plan, "transform", 1);
  assert_string_equal(text_of(e, "kind"), "logit");
  assert_true(real_of(e, "low") < 0 && real_of(e, "low") > -0.05 && real_of(e, "high") > 1 && real_of(e, "high") < 1.05);
  assert_null(entry(plan, "transform", 2)); /* normal: no gain */
  assert_null(entry(plan, "transform", 3)); /* from -5 up: no limit that every table shares, only reported */
  assert_true(says(plan, "report", "column 4 looks cut off below, at -4.99"));
  assert_true(saw(plan, 3, "bounded") && saw(plan, 0, "bounded") && !saw(plan, 2, "bounded"));
  e = entry(plan, "transform", 4); /* noise first, then the map: finite at 0 */
  assert_string_equal(text_of(e, "kind"), "log");
  assert_true(real_of(entry(plan, "dequantize", 4), "step") == 1 && real_of(e, "low") <= -1);
  json_decref(plan);
  free(x);
}

static void strange_rows_are_reported(void **state) {
  (void)state;
  column_fn *const f[] = {half_zero, cauchy, normal_c};
  double *x;
  json_t *plan = plan_of_columns(3, f, RH_HANDLE_AUTO, &x);
  assert_true(saw(plan, 0, "spiked"));
  assert_true(says(plan, "warnings", "column 1 is 0 in 4") || says(plan, "warnings", "column 1 is 0 in 3")); /* 40 %, about */
  assert_true(saw(plan, 1, "heavy-tailed") && saw(plan, 1, "outliers"));
  int far = 0;
  for (int i = 0; i < N; i++) far = fabs(x[i * 3 + 1]) > fabs(x[far * 3 + 1]) ? i : far;
  char part[64];
  snprintf(part, sizeof part, "the farthest is row %d (", far + 1);
  assert_true(says(plan, "warnings", part));
  assert_null(entry(plan, "seen", 2));
  json_decref(plan);
  /* equal rows */
  for (int i = 0; i < N; i += 2) memcpy(x + (i + 1) * 3, x + i * 3, 3 * sizeof *x);
  plan = plan_of(x, N, 3, RH_HANDLE_AUTO);
  assert_int_equal(json_integer_value(json_object_get(plan, "repeated_rows")), N / 2);
  assert_true(says(plan, "warnings", "2000 of 4000 rows (50.0 %) repeat an earlier row"));
  json_decref(plan);
  free(x);
}

/* Only the training rows count. */
static void other_rows_are_not_looked_at(void **state) {
  (void)state;
  enum { M = 500 };
  double x[2 * M];
  int64_t rows[M];
  for (int i = 0; i < M; i++) {
    x[2 * i] = normal_at((uint64_t)i, 40);
    x[2 * i + 1] = i % 2 ? 1 : 1e6 + i; /* constant in odd rows */
    rows[i] = 2 * i + 1;
  }
  rh_table *table = NULL;
  json_t *plan = NULL;
  assert_int_equal(rh_table_wrap(&(rh_cells){x, RH_CELL_F8, false, M, 2, 16, 8}, NULL, &table), RH_OK);
  assert_int_equal(rh_analyse(table, rows, M / 2, RH_HANDLE_AUTO, 4, &plan), RH_OK);
  assert_int_equal(json_integer_value(json_object_get(plan, "rows")), M / 2);
  assert_non_null(entry(plan, "drop", 1));
  assert_true(real_of(json_object_get(entry(plan, "drop", 1), "recipe"), "value") == 1);
  json_decref(plan);
  rh_table_free(table);
}

static void same_plan_from_any_type(void **state) {
  (void)state;
  enum { D = 3 };
  column_fn *const f[] = {grade, normal_a, lognormal};
  double *x = columns_of(N, D, f);
  float *narrow = malloc(N * D * sizeof *narrow);
  for (int i = 0; i < N * D; i++) x[i] = narrow[i] = (float)x[i];
  json_t *a = plan_of(x, N, D, RH_HANDLE_AUTO), *b = NULL;
  rh_table *table = NULL;
  assert_int_equal(rh_table_wrap(&(rh_cells){narrow, RH_CELL_F4, false, N, D, D * 4, 4}, NULL, &table), RH_OK);
  assert_int_equal(rh_analyse(table, NULL, 0, RH_HANDLE_AUTO, 4, &b), RH_OK);
  assert_true(json_equal(a, b));
  json_decref(a);
  json_decref(b);
  rh_table_free(table);
  free(x);
  free(narrow);
}

static void hopeless_tables_are_refused(void **state) {
  (void)state;
  const double x[] = {1, 2, 1, 2, 1, 2};
  assert_refused(x, 1, 2, RH_HANDLE_AUTO, "a fit needs at least 2 training rows, not 1; give more rows");
  assert_refused(x, 3, 2, RH_HANDLE_AUTO,
                 "every column is constant in the 3 training rows: there is no density to learn; give rows that differ");
  const double huge[] = {1e300, -1e300, 0};
  assert_refused(huge, 3, 1, RH_HANDLE_NONE,
                 "column 1: its values, -1e+300 to 1e+300, are too large or too close together for float64 statistics; rescale the column "
                 "or leave it out");
  const double two[] = {1, 5, 2, 5};
  json_t *plan = plan_of(two, 2, 2, RH_HANDLE_AUTO); /* two rows are enough */
  assert_lists(plan, "keep", 1);
  json_decref(plan);
}

/* More columns than rows, and 10,000 of them: no false alarm, and what was not looked for is said. */
static void wide_tables(void **state) {
  (void)state;
  enum { ROWS = 40, D = 10000 };
  double *x = malloc(ROWS * D * sizeof *x);
  for (int i = 0; i < ROWS * D; i++) x[i] = uniform_at((uint64_t)i, 50) - 0.5;
  json_t *plan = plan_of(x, ROWS, D, RH_HANDLE_AUTO);
  assert_lists(plan, "drop", 0);
  assert_lists(plan, "keep", D);
  assert_true(says(plan, "report", "collinear columns were not looked for: 40 rows and 10000 columns"));
  json_decref(plan);
  free(x);
}

static void sampled_tables(void **state) { /* above 2^20 rows */
  (void)state;
  const int64_t n = (1 << 20) + 12345;
  double *x = malloc((size_t)n * 2 * sizeof *x);
  for (int64_t i = 0; i < n; i++) {
    x[2 * i] = (double)(i * 2654435761u % 1000);
    x[2 * i + 1] = (double)(i * 40503 % n) / (double)n;
  }
  json_t *plan = plan_of(x, n, 2, RH_HANDLE_AUTO);
  assert_true(real_of(entry(plan, "dequantize", 0), "step") == 1);
  assert_null(entry(plan, "dequantize", 1));
  assert_string_equal(text_of(entry(plan, "transform", 1), "kind"), "logit");
  json_decref(plan);
  free(x);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(clean_columns_are_left_alone),
      cmocka_unit_test(repeated_columns_are_dropped),
      cmocka_unit_test(sums_are_rebuilt_exactly),
      cmocka_unit_test(discrete_columns_are_dequantized),
      cmocka_unit_test(values_without_a_grid_become_levels),
      cmocka_unit_test(noise_is_in_the_scale),
      cmocka_unit_test(skewed_and_limited_columns_are_mapped),
      cmocka_unit_test(strange_rows_are_reported),
      cmocka_unit_test(other_rows_are_not_looked_at),
      cmocka_unit_test(same_plan_from_any_type),
      cmocka_unit_test(hopeless_tables_are_refused),
      cmocka_unit_test(wide_tables),
      cmocka_unit_test(sampled_tables),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
