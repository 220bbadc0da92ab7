/* Paired differences: by hand, and where rows are missing. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "numeric/paired.h"

static void by_hand(void **state) {
  (void)state;
  /* differences 1, 2, 3, 6: mean 3, variance 14/3 */
  const rh_paired p = rh_paired_difference(4, (double[]){11, -8, 3, 6}, (double[]){10, -10, 0, 0});
  assert_int_equal(p.rows, 4);
  assert_true(fabs(p.mean - 3) < 1e-15);
  assert_true(fabs(p.stderr_ - sqrt(14.0 / 3 / 4)) < 1e-15);
}

/* What both rows share is no noise of the difference. */
static void what_rows_share_cancels(void **state) {
  (void)state;
  double a[100], b[100];
  for (int i = 0; i < 100; i++) {
    b[i] = 1e3 * sin(i);
    a[i] = b[i] + 0.5;
  }
  const rh_paired p = rh_paired_difference(100, a, b);
  assert_true(fabs(p.mean - 0.5) < 1e-12);
  assert_true(p.stderr_ < 1e-12);
}

static void rows_of_density_zero_are_left_out(void **state) {
  (void)state;
  rh_paired p = rh_paired_difference(4, (double[]){1, -INFINITY, 3, 4}, (double[]){0, 0, -INFINITY, 1});
  assert_int_equal(p.rows, 2);
  assert_true(fabs(p.mean - 2) < 1e-15);
  p = rh_paired_difference(1, (double[]){-INFINITY}, (double[]){-INFINITY});
  assert_true(p.rows == 0 && isnan(p.mean) && isnan(p.stderr_));
  p = rh_paired_difference(1, (double[]){2}, (double[]){1});
  assert_true(p.rows == 1 && p.mean == 1 && isnan(p.stderr_));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(by_hand),
      cmocka_unit_test(what_rows_share_cancels),
      cmocka_unit_test(rows_of_density_zero_are_left_out),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
