/* log|det| against products of triangular matrices, whose determinant is known; permutations, singular matrices, threads, levels. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/memory.h"
#include "base/rng.h"
#include "numeric/log_det.h"

enum { MOST = 200 };
static double l[MOST * MOST], u[MOST * MOST], a[MOST * MOST], kept[MOST * MOST];

static double run(const char *isa, int threads, int64_t n, double *matrix) {
  const rh_kernels *kernels;
  rh_pool *pool;
  double value = 7;
  assert_int_equal(rh_kernels_get(isa, 8, &kernels), RH_OK);
  assert_int_equal(rh_pool_create(threads, &pool), RH_OK);
  assert_int_equal(rh_log_det(kernels, pool, n, matrix, &value), RH_OK);
  rh_pool_destroy(pool);
  return value;
}

/* a = L U with the rows in another order; L with ones on its diagonal, U's diagonal of both signs. Returns log|det|. */
static double fill(int64_t n) {
  const rh_rng rng = rh_rng_at(3, (uint64_t)n, 0, RH_STREAM_TEST);
  double sum = 0;
  rh_rng_uniform(&rng, 0, n * n, kept);
  for (int64_t i = 0; i < n; i++)
    for (int64_t j = 0; j < n; j++) {
      const double x = (kept[i * n + j] - 0.5) / sqrt((double)n);
      l[i * n + j] = j < i ? x : j == i;
      u[i * n + j] = j > i ? x : j == i ? (j % 3 ? 0.5 : -2) + x : 0;
    }
  for (int64_t i = 0; i < n; i++) sum += log(fabs(u[i * n + i]));
  for (int64_t i = 0; i < n; i++)
    for (int64_t j = 0; j < n; j++) {
      double x = 0;
      for (int64_t k = 0; k < n; k++) x += l[i * n + k] * u[k * n + j];
      a[(i * 7 + 3) % n * n + j] = x;
    }
  memcpy(kept, a, sizeof kept);
  return sum;
}

static const int64_t sizes[] = {1, 2, 3, 8, 62, 64, 65, 127, 129, 198, 200}; /* no multiple of 7: rows keep being different */

static void of_triangular_matrices(void **state) {
  (void)state;
  int levels;
  const char *const *isa = rh_isa_levels(&levels);
  for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++) {
    const int64_t n = sizes[s];
    const double want = fill(n);
    const size_t size = (size_t)(n * n) * sizeof *a;
    for (int i = 0; i < levels; i++) {
      memcpy(a, kept, size);
      const double got = run(isa[i], 1, n, a);
      if (!(fabs(got - want) <= 1e-11 * (double)n)) fail_msg("%s, n %d: %.17g, should be %.17g", isa[i], (int)n, got, want);
      for (int threads = 2; threads <= 3; threads++) {
        memcpy(a, kept, size);
        const double other = run(isa[i], threads, n, a);
        assert_memory_equal(&other, &got, sizeof got);
      }
    }
  }
}

static void singular_ones(void **state) {
  (void)state;
  for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++) {
    const int64_t n = sizes[s];
    fill(n);
    for (int64_t i = 0; i < n; i++) a[i * n + n / 2] = 0;
    assert_true(isnan(run(NULL, 2, n, a)));
    memcpy(a, kept, sizeof a);
    a[n / 2 * n] = NAN;
    assert_true(isnan(run(NULL, 2, n, a)));
  }
}

static int64_t left;
static int fail_one(void *state) {
  (void)state;
  return left-- == 0;
}

static void lost_memory(void **state) {
  (void)state;
  const rh_kernels *kernels;
  rh_pool *pool;
  double value = 7;
  assert_int_equal(rh_kernels_get(NULL, 8, &kernels), RH_OK);
  assert_int_equal(rh_pool_create(1, &pool), RH_OK);
  fill(64);
  for (int64_t at = 0; at < 2; at++) {
    left = at;
    rh_alloc_set_hook(fail_one, NULL);
    assert_int_equal(rh_log_det(kernels, pool, 64, a, &value), RH_E_MEMORY);
    rh_alloc_set_hook(NULL, NULL);
    assert_true(value == 7);
  }
  rh_pool_destroy(pool);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(of_triangular_matrices), cmocka_unit_test(singular_ones),
                                     cmocka_unit_test(lost_memory)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
