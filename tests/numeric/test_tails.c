/* Tail probabilities: closed forms of the Student-t's with 1 to 4 degrees of freedom, values of other ones, and the way to normal scores
 * and back. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

#include "numeric/tails.h"

static const double PI = 3.14159265358979323846;

static void near(const char *what, double at, double got, double want, double tolerance) {
  if (fabs(got - want) <= tolerance * fmax(1, fabs(want))) return;
  fail_msg("%s at %.17g: %.17g, not %.17g", what, at, got, want);
}

/* P(T > t), t > 0, each written so that nothing cancels in the tail (integrating the densities; Abramowitz & Stegun 26.7.3-4) with
 * h = hypot(t, sqrt(nu)). */
static double above_1(double t) {
  return atan2(1, t) / PI;
}
static double above_2(double t) { /* (1 - t / h) / 2 */
  const double h = hypot(t, sqrt(2));
  return 1 / (h * (h + t));
}
/* (a - sin a cos a) / pi, a = atan(sqrt(3) / t); by its series where a is small: sum (-1)^k (2a)^(2k + 3) / (2k + 3)! / (2 pi) */
static double above_3(double t) {
  const double a = atan2(sqrt(3), t);
  if (a > 0.5) return (a - sin(a) * cos(a)) / PI;
  double term = 8 * a * a * a / 6, sum = 0;
  for (int k = 0; k < 20; k++) {
    sum += term;
    term *= -4 * a * a / ((2 * k + 4) * (2 * k + 5));
  }
  return sum / (2 * PI);
}
/* (1 - s)^2 (2 + s) / 4, s = t / h */
static double above_4(double t) {
  const double h = hypot(t, 2), rest = 4 / (h * (h + t));
  return rest * rest * (2 + t / h) / 4;
}

static void closed_forms(void **state) {
  (void)state;
  static double (*const above[])(double) = {above_1, above_2, above_3, above_4};
  for (int nu = 1; nu <= 4; nu++)
    for (double t = 1e-6; t < 1e31; t *= 1.7) {
      const double want = above[nu - 1](t);
      if (want < 1e-290) break;
      const double got = rh_log_student_above(t, nu); /* an error in the logarithm is a relative one of the probability */
      near("log tail", t, got, log(want), 1e-13);
      near("probability", t, exp(got) / want, 1, 1e-11);
      near("below", t, rh_log_student_above(-t, nu), log1p(-want), 1e-13);
    }
}

/* By the incomplete beta function with 40 digits. */
static void known_values(void **state) {
  (void)state;
  static const double table[][3] = {{0.5, 1e6, -8.0450014097537352}, {2.5, 7.25, -5.3271722604539099}, {8, 1.5, -2.4533888436564843},
                                    {8, 20, -17.709222653871104},    {30, 2.5, -4.7041263054164726},   {1e6, 5, -15.064829835370246}};
  for (size_t i = 0; i < sizeof table / sizeof *table; i++)
    near("log tail", table[i][1], rh_log_student_above(table[i][1], table[i][0]), table[i][2], 1e-11);
}

static void the_ends(void **state) {
  (void)state;
  for (double nu = 0.5; nu < 2e6; nu *= 3) {
    near("middle", nu, rh_log_student_above(0, nu), -log(2), 1e-14);
    double before = -log(2);
    for (double t = 0.01; t < 1e300; t *= 10) {
      const double here = rh_log_student_above(t, nu), other = rh_log_student_above(-t, nu);
      assert_true(isfinite(here) && here < before && other <= 0);
      const double u = rh_normal_score(other, here);
      assert_true(isfinite(u) && u > 0 && rh_normal_score(here, other) == -u);
      before = here;
    }
    assert_true(rh_log_student_above(INFINITY, nu) == -INFINITY && rh_log_student_above(-INFINITY, nu) == 0);
  }
  assert_true(isnan(rh_log_student_above(NAN, 3)) && isnan(rh_log_student_above(1, NAN)) && isnan(rh_normal_score(NAN, 0)));
  assert_true(rh_normal_score(-INFINITY, 0) == -INFINITY && rh_normal_score(0, -INFINITY) == INFINITY);
}

/* log erfc and its continuation meet, and a z comes back from its tails to the last digits. */
static void normal_tails(void **state) {
  (void)state;
  static const double table[][2] = {{0, -0.69314718055994531}, {1, -1.8410216450092635},  {8, -35.013437159914549},
                                    {20, -203.91715537109727}, {37, -689.03058557689059}, {1000, -500007.82669481219}};
  for (size_t i = 0; i < sizeof table / sizeof *table; i++)
    near("normal", table[i][0], rh_log_normal_above(table[i][0]), table[i][1], 4e-16);
  near("seam", 12, rh_log_normal_above(nextafter(12, 0)), rh_log_normal_above(12), 1e-15);
  for (double z = 1e-3; z < 1e150; z *= 1.37) {
    const double back = rh_normal_score(rh_log_normal_above(-z), rh_log_normal_above(z));
    near("score", z, back / z, 1, z < 1 ? 1e-12 : 4e-15);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(closed_forms),
      cmocka_unit_test(known_values),
      cmocka_unit_test(the_ends),
      cmocka_unit_test(normal_tails),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
