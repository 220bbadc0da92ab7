/* Roots: the last ulps, brackets that must be found, functions that mislead Newton, elements that do not disturb each other. */
#include <float.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "numeric/root.h"

enum { MOST = 1000 };

/* Every function by number, with its slope; computed in double and rounded once. */
typedef struct curve {
  const char *name;
  double (*f)(double), (*slope)(double);
  double low, high; /* of the roots looked for */
} curve;

static double cubic(double x) {
  return x * x * x + x;
}
static double cubic_slope(double x) {
  return 3 * x * x + 1;
}
static double flat_cubic(double x) { /* slope 0 at 0 */
  return x * x * x;
}
static double flat_cubic_slope(double x) {
  return 3 * x * x;
}
static double linear(double x) {
  return 3 * x + 5;
}
static double linear_slope(double x) {
  (void)x;
  return 3;
}
static double kinked(double x) { /* nearly flat, then steep: Newton jumps to and fro */
  return x < 2 ? 1e-4 * x : 2e-4 + 1e4 * (x - 2);
}
static double kinked_slope(double x) {
  return x < 2 ? 1e-4 : 1e4;
}
static double root_like(double x) { /* infinite slope at 0; Newton diverges: x -> -2 x */
  return cbrt(x);
}
static double root_like_slope(double x) {
  return 1 / (3 * cbrt(x) * cbrt(x));
}
static double wrong_slope(double x) {
  (void)x;
  return NAN;
}
static double negative_slope(double x) {
  (void)x;
  return -1;
}
static double tiny_slope(double x) {
  (void)x;
  return 1e-300;
}
static double in_tanh(double x) {
  return tanh(x);
}
static double tanh_slope(double x) {
  return 1 / (cosh(x) * cosh(x));
}

static const curve curves[] = {
    {"cubic", cubic, cubic_slope, -1e3, 1e3},
    {"x^3", flat_cubic, flat_cubic_slope, -20, 20},
    {"linear", linear, linear_slope, -1e6, 1e6},
    {"exp", exp, exp, -30, 30},
    {"sinh", sinh, cosh, -40, 40},
    {"tanh", in_tanh, tanh_slope, -3, 3},
    {"kinked", kinked, kinked_slope, -100, 100},
    {"cube root", root_like, root_like_slope, -1e3, 1e3},
    {"cubic without a slope", cubic, wrong_slope, -1e3, 1e3},
    {"cubic with a wrong slope", cubic, negative_slope, -1e3, 1e3},
    {"cubic with a slope far too small", cubic, tiny_slope, -1e3, 1e3},
};
enum { CURVES = sizeof curves / sizeof *curves };

typedef struct setup {
  int real_bytes;
  const int *which; /* [n] an element's curve */
  int64_t first;    /* element 0 of the call is this one */
  int64_t calls, most;
} setup;

static double get(int real_bytes, const void *x, int64_t i) {
  return real_bytes == 4 ? (double)((const float *)x)[i] : ((const double *)x)[i];
}
static void put(int real_bytes, void *x, int64_t i, double v) {
  if (real_bytes == 4) {
    ((float *)x)[i] = (float)v;
  } else {
    ((double *)x)[i] = v;
  }
}

static void evaluate(void *arg, int64_t n, const int64_t *element, const void *x, void *value, void *slope) {
  setup *s = arg;
  s->calls++;
  s->most = n > s->most ? n : s->most;
  for (int64_t i = 0; i < n; i++) {
    const double at = get(s->real_bytes, x, i);
    const curve *c = &curves[s->which[s->first + element[i]]];
    assert_true(isfinite(at));
    put(s->real_bytes, value, i, c->f(at));
    put(s->real_bytes, slope, i, c->slope(at));
  }
}

static rh_root_report solve(setup *s, int64_t slots, int64_t n, const double *y, const double *low, const double *high, double *x) {
  const rh_root_problem p = {.f = evaluate, .arg = s};
  rh_root_report report = {0};
  rh_root_work *w;
  assert_int_equal(rh_root_work_create(slots, s->real_bytes, &w), RH_OK);
  assert_true(rh_root_work_bytes(slots, s->real_bytes) > slots * 3 * s->real_bytes);
  void *room[4];
  for (int k = 0; k < 4; k++) room[k] = malloc((size_t)n * 8);
  for (int64_t i = 0; i < n; i++) {
    put(s->real_bytes, room[0], i, y[i]);
    if (low) put(s->real_bytes, room[1], i, low[i]);
    if (high) put(s->real_bytes, room[2], i, high[i]);
  }
  rh_root_solve(&p, w, n, room[0], low ? room[1] : NULL, high ? room[2] : NULL, room[3], &report);
  for (int64_t i = 0; i < n; i++) x[i] = get(s->real_bytes, room[3], i);
  for (int k = 0; k < 4; k++) free(room[k]);
  rh_root_work_destroy(w);
  return report;
}

/* Every curve: f(x) is y to the last ulps that f has there, and so is x where f is not flat. */
static void roots_are_found(void **state) {
  (void)state;
  for (int rb = 4; rb <= 8; rb += 4)
    for (int c = 0; c < CURVES; c++) {
      const double eps = rb == 4 ? FLT_EPSILON : DBL_EPSILON;
      double y[MOST], x[MOST], want[MOST];
      int which[MOST];
      for (int i = 0; i < MOST; i++) {
        const double t = i / (MOST - 1.0);
        want[i] = curves[c].low + (curves[c].high - curves[c].low) * t * t * (3 - 2 * t);
        y[i] = curves[c].f(want[i]);
        if (rb == 4) want[i] = (double)(float)want[i], y[i] = (double)(float)curves[c].f(want[i]);
        which[i] = c;
      }
      setup s = {.real_bytes = rb, .which = which};
      const rh_root_report r = solve(&s, MOST, MOST, y, NULL, NULL, x);
      assert_int_equal(r.unfinished, 0);
      for (int i = 0; i < MOST; i++) {
        const double slope = curves[c].slope == wrong_slope || curves[c].slope == negative_slope || curves[c].slope == tiny_slope
                                 ? cubic_slope(want[i])
                                 : curves[c].slope(want[i]);
        const double off = 4 * eps * fabs(want[i]) + 4 * eps * fabs(y[i]) / slope;
        if (!(fabs(x[i] - want[i]) <= off) && !(fabs(curves[c].f(x[i]) - y[i]) <= 4 * eps * fabs(y[i])))
          fail_msg("%s, float%d: x = %.17g, should be %.17g (off by %g, %g allowed)", curves[c].name, 8 * rb, x[i], want[i],
                   fabs(x[i] - want[i]), off);
      }
      printf("%-34s float%d: %.1f values an element, %lld at most\n", curves[c].name, 8 * rb, (double)r.evaluations / MOST,
             (long long)s.calls);
      assert_true(s.calls < RH_ROOT_STEPS);
      if (c < 5) assert_true(r.evaluations < 22 * MOST);
    }
}

/* An element's bits: alone, in 7, in any number of slots. */
static void an_element_is_alone(void **state) {
  (void)state;
  static double y[MOST], all[MOST], some[MOST], one[MOST];
  static int which[MOST];
  for (int i = 0; i < MOST; i++) {
    which[i] = i * 7 % CURVES;
    const curve *c = &curves[which[i]];
    y[i] = c->f(c->low + (c->high - c->low) * 0.5 * (1 + sin(i * 1.7)));
  }
  y[5] = NAN, y[6] = INFINITY, y[700] = -INFINITY;
  for (int rb = 4; rb <= 8; rb += 4) {
    setup s = {.real_bytes = rb, .which = which};
    const rh_root_report r = solve(&s, MOST, MOST, y, NULL, NULL, all);
    assert_true(isnan(all[5]) && all[6] == INFINITY && all[700] == -INFINITY);
    s.most = 0;
    const rh_root_report few = solve(&s, 13, MOST, y, NULL, NULL, some);
    assert_int_equal(s.most, 13);
    assert_memory_equal(all, some, sizeof all);
    assert_memory_equal(&r, &few, sizeof r);
    for (s.first = 0; s.first < MOST; s.first++) solve(&s, 13, 1, y + s.first, NULL, NULL, one + s.first);
    for (s.first = 0; s.first < MOST; s.first += 7)
      solve(&s, 3, MOST - s.first < 7 ? MOST - s.first : 7, y + s.first, NULL, NULL, some + s.first);
    assert_memory_equal(all, one, sizeof all);
    assert_memory_equal(all, some, sizeof all);
  }
}

/* Hints: a good one is quick, a wrong, reversed, empty or infinite one costs a little, no more. */
static void hints_are_hints(void **state) {
  (void)state;
  static const double hint[][2] = {{2.9, 3.1}, {3, 3}, {3.1, 2.9}, {-1e10, 1e10}, {100, 101}, {-3, -3}, {0, 0}, {INFINITY, 1}, {NAN, NAN}};
  static const int most[] = {5, 1, 5, 50, 32, 32, 80, 22, 22};
  const int which[1] = {0};
  const double y[1] = {30};
  for (size_t i = 0; i < sizeof hint / sizeof *hint; i++) {
    double x[1];
    setup s = {.real_bytes = 8, .which = which};
    const rh_root_report r = solve(&s, 1, 1, y, &hint[i][0], &hint[i][1], x);
    if (!(fabs(x[0] - 3) <= 4e-16 * 3) || r.evaluations > most[i])
      fail_msg("hints %g, %g: x = %.17g after %lld values", hint[i][0], hint[i][1], x[0], (long long)r.evaluations);
  }
}

/* The far ends: the widest numbers, and beyond the range of f. */
static void far_away(void **state) {
  (void)state;
  static const int which[] = {2, 2, 2, 0, 5, 5, 5, 5, 3};
  const double y[] = {1e30, -1e30, 3e300, 1e300, 1.5, -1.5, 1, -1, 0};
  double x[9];
  setup s = {.real_bytes = 8, .which = which};
  const rh_root_report r = solve(&s, 4, 9, y, NULL, NULL, x);
  assert_int_equal(r.unfinished, 0);
  assert_true(fabs(x[0] / (1e30 / 3) - 1) < 4e-16 && fabs(x[1] / (-1e30 / 3) - 1) < 4e-16 && fabs(x[2] / 1e300 - 1) < 4e-16);
  assert_true(fabs(x[3] / 1e100 - 1) < 4e-16);
  assert_true(x[4] == INFINITY && x[5] == -INFINITY);
  assert_true(tanh(x[6]) == 1 && tanh(x[7]) == -1);
  assert_true(exp(x[8]) == 0);
  s.real_bytes = 4;
  const double small[] = {1e30, -1e30, 3e38, 1e36, 1.5, -1.5};
  solve(&s, 4, 6, small, NULL, NULL, x);
  assert_true(fabs(x[0] / (1e30 / 3) - 1) < 4e-7 && fabs(x[2] / 1e38 - 1) < 4e-7 && fabs(x[3] / 1e12 - 1) < 4e-7);
  assert_true(x[4] == INFINITY && x[5] == -INFINITY);
}

/* log's domain ends at 0; beyond 1000 a function may fail. */
static void partial(void *arg, int64_t n, const int64_t *element, const void *x, void *value, void *slope) {
  (void)arg;
  for (int64_t i = 0; i < n; i++) {
    const double at = ((const double *)x)[i];
    const bool fails = element[i] == 2 || (element[i] == 1 && at > 1000);
    ((double *)value)[i] = fails ? NAN : element[i] == 1 ? at : log(at);
    ((double *)slope)[i] = element[i] == 1 ? 1 : 1 / at;
  }
}
static void values_that_are_no_numbers(void **state) {
  (void)state;
  const rh_root_problem p = {.f = partial};
  rh_root_report r = {0};
  rh_root_work *w;
  assert_int_equal(rh_root_work_create(4, 8, &w), RH_OK);
  const double y[4] = {-20, 2000, 0, 5}, low[4] = {0, 0, 0, 0}, high[4] = {2, 2, 2, 2};
  double x[4];
  rh_root_solve(&p, w, 4, y, low, high, x, &r);
  assert_true(fabs(x[0] / exp(-20) - 1) < 1e-14 && fabs(x[3] / exp(5) - 1) < 1e-14);
  assert_true(x[1] == 1000); /* the last that was a number */
  assert_true(isnan(x[2]));
  assert_int_equal(r.unfinished, 2);
  const rh_root_problem capped = {.f = partial, .max_steps = 2};
  r = (rh_root_report){0};
  rh_root_solve(&capped, w, 1, y, low, high, x, &r);
  assert_true(r.unfinished == 1 && r.evaluations == 2 && isfinite(x[0]));
  const rh_root_problem strict = {.f = partial, .strict = true};
  double found[4];
  r = (rh_root_report){0};
  rh_root_solve(&strict, w, 4, y, low, high, found, &r);
  assert_true(r.unfinished == 2 && isnan(found[1]) && isnan(found[2]));
  assert_true(fabs(found[0] / exp(-20) - 1) < 1e-14 && fabs(found[3] / exp(5) - 1) < 1e-14);
  rh_root_work_destroy(w);
}

/* Whatever f says, an element ends. */
static uint64_t noise;
static void nonsense(void *arg, int64_t n, const int64_t *element, const void *x, void *value, void *slope) {
  static const double odd[] = {0, NAN, INFINITY, -INFINITY, 1e-320, 1e308, -1e308, 1, -1, 1e-9};
  (void)arg, (void)element, (void)x;
  for (int64_t i = 0; i < n; i++) {
    noise = noise * 6364136223846793005u + 1442695040888963407u;
    ((double *)value)[i] = (noise >> 33) % 11 ? (noise >> 40) % 2 ? 1e10 : -1e10 : odd[(noise >> 45) % 10];
    ((double *)slope)[i] = odd[(noise >> 50) % 10];
  }
}
static void everything_ends(void **state) {
  (void)state;
  const rh_root_problem p = {.f = nonsense};
  rh_root_work *w;
  assert_int_equal(rh_root_work_create(1, 8, &w), RH_OK);
  const double y = 0.3;
  int64_t most = 0;
  for (int i = 0; i < 20000; i++) {
    double x;
    rh_root_report r = {0};
    rh_root_solve(&p, w, 1, &y, NULL, NULL, &x, &r);
    most = r.evaluations > most ? r.evaluations : most;
  }
  printf("at most %lld values of nonsense\n", (long long)most);
  assert_true(most < RH_ROOT_STEPS);
  rh_root_work_destroy(w);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(roots_are_found), cmocka_unit_test(an_element_is_alone),        cmocka_unit_test(hints_are_hints),
      cmocka_unit_test(far_away),        cmocka_unit_test(values_that_are_no_numbers), cmocka_unit_test(everything_ends),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
