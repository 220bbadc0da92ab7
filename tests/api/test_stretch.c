/* What `check` sees of stretching and of modes: closed forms on generated codes. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "api/stretch.h"
#include "base/memory.h"
#include "base/rng.h"

enum { N = 2000, D = 4 };

/* Standard normal codes (Box & Muller 1958). */
static void normals(uint64_t seed, double *z) {
  const rh_rng rng = rh_rng_at(seed, 0, 0, RH_STREAM_TEST);
  double u[2];
  for (int i = 0; i < N * D; i++) {
    rh_rng_uniform(&rng, 2 * i, 2, u);
    z[i] = sqrt(-2 * log(u[0])) * cos(2 * 3.14159265358979323846 * u[1]);
  }
}

/* Two equal modes `apart` standard deviations apart along the diagonal direction, unit variance in all. */
static void two_modes(double apart, double *z) {
  const double half = apart / 2, scale = 1 / sqrt(1 + half * half);
  for (int i = 0; i < N; i++) {
    double u = 0;
    for (int j = 0; j < D; j++) u += z[i * D + j] / 2; /* along (1, 1, 1, 1) / 2 */
    const double moved = (u + (i % 2 ? half : -half)) * scale - u;
    for (int j = 0; j < D; j++) z[i * D + j] += moved / 2;
  }
}

static rh_stretch find(const double *u, const double *ladj) {
  rh_stretch s;
  double *norm = calloc(N, sizeof *norm);
  for (int i = 0; i < N * D; i++) norm[i / D] += u[i] * u[i];
  assert_int_equal(rh_stretch_find(N, D, ladj, u, norm, &s), RH_OK);
  free(norm);
  return s;
}

static void normal_codes_are_let_alone(void **state) {
  (void)state;
  double *z = malloc(N * D * sizeof *z), *ladj = calloc(N, sizeof *ladj);
  normals(1, z);
  const rh_stretch s = find(z, ladj);
  assert_true(fabs(s.kurtosis) < 0.5 && s.sd == 0 && s.low == 0 && s.median == 0);
  assert_true(s.greatest >= s.kurtosis && s.greatest < 0.5);
  assert_null(rh_stretch_advice(&s));
  free(z);
  free(ladj);
}

/* One column's tails as those of a Student-t with 6 degrees of freedom, whose excess kurtosis is 3 (6 / (nu - 4)); its sampling error is
 * large, but 2,000 rows always show above 1. */
static void a_heavy_column_is_named(void **state) {
  (void)state;
  double *z = malloc(N * D * sizeof *z), *more = malloc(2 * N * D * sizeof *more), *ladj = calloc(N, sizeof *ladj);
  for (uint64_t seed = 10; seed < 30; seed++) {
    normals(seed, z);
    normals(seed + 100, more);
    normals(seed + 200, more + N * D);
    for (int i = 0; i < N; i++) {
      double chi = 0;
      for (int k = 0; k < 6; k++) chi += more[6 * i + k] * more[6 * i + k];
      z[i * D + 2] /= sqrt(chi / 6);
    }
    const rh_stretch s = find(z, ladj);
    assert_true(s.greatest > 1 && s.heaviest == 2);
    assert_non_null(strstr(rh_stretch_advice(&s), "heavier tails than the base"));
  }
  free(z);
  free(more);
  free(ladj);
}

/* The closed form -2 (s^2 / 4)^2 / (1 + s^2 / 4)^2; its sampling error with 2,000 rows is below 0.1. */
static void modes_are_found_in_any_direction(void **state) {
  (void)state;
  double *z = malloc(N * D * sizeof *z), *ladj = calloc(N, sizeof *ladj);
  for (int apart = 2; apart <= 16; apart *= 2) {
    normals(2, z);
    two_modes(apart, z);
    const rh_stretch s = find(z, ladj);
    const double quarter = apart * apart / 4.0, want = -2 * quarter * quarter / ((1 + quarter) * (1 + quarter));
    assert_true(fabs(s.kurtosis - want) < 0.15);
    if (apart >= 8)
      assert_non_null(strstr(rh_stretch_advice(&s), "base=mixture"));
    else if (apart == 2)
      assert_null(rh_stretch_advice(&s));
  }
  free(z);
  free(ladj);
}

static void quantiles_and_rows_left_out(void **state) {
  (void)state;
  double *z = malloc(N * D * sizeof *z), *ladj = malloc(N * sizeof *ladj);
  normals(3, z);
  for (int i = 0; i < N; i++) ladj[i] = i < 1000 ? i % 100 : -INFINITY;
  z[5 * D] = NAN;
  const rh_stretch s = find(z, ladj);
  assert_int_equal(s.rows, 999);
  assert_true(s.median == 50 || s.median == 49 || s.median == 49.5);
  assert_true(s.low >= 48 && s.low <= 50);
  for (int i = 0; i < N; i++) ladj[i] = NAN;
  const rh_stretch none = find(z, ladj);
  assert_true(none.rows == 0 && isnan(none.median) && isnan(none.kurtosis));
  assert_null(rh_stretch_advice(&none));
  free(z);
  free(ladj);
}

static void heavy_tails_are_told_from_modes(void **state) {
  (void)state;
  double *z = malloc(N * D * sizeof *z), *ladj = malloc(N * sizeof *ladj);
  normals(4, z);
  for (int i = 0; i < N; i++) {
    double norm = 0;
    for (int j = 0; j < D; j++) norm += z[i * D + j] * z[i * D + j];
    ladj[i] = -norm;
  }
  const rh_stretch s = find(z, ladj);
  assert_true(s.where > 2);
  assert_non_null(strstr(rh_stretch_advice(&s), "heavy tails"));
  free(z);
  free(ladj);
}

static int always(void *state) {
  (void)state;
  return 1;
}

static void lost_memory(void **state) {
  (void)state;
  const double ladj = 0, z = 0;
  rh_stretch s = {.rows = 7};
  rh_alloc_set_hook(always, NULL);
  const rh_status status = rh_stretch_find(1, 1, &ladj, &z, &z, &s);
  rh_alloc_set_hook(NULL, NULL);
  assert_int_equal(status, RH_E_MEMORY);
  assert_int_equal(s.rows, 7);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(normal_codes_are_let_alone),       cmocka_unit_test(a_heavy_column_is_named),
      cmocka_unit_test(modes_are_found_in_any_direction), cmocka_unit_test(quantiles_and_rows_left_out),
      cmocka_unit_test(heavy_tails_are_told_from_modes),  cmocka_unit_test(lost_memory),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
