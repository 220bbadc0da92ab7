/* Steppers of ordinary differential equations: orders, closed forms, control, rows that do not disturb each other. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "numeric/ode.h"

enum { MOST = 1000 };

typedef struct setup {
  int real_bytes;
  int64_t n;
  const double *rate; /* [rows] a row's own constant */
  double integral[MOST];
  int64_t calls;
  bool strict;
} setup;

static double get(const setup *s, const void *x, int64_t i) {
  return s->real_bytes == 4 ? (double)((const float *)x)[i] : ((const double *)x)[i];
}
static void put(const setup *s, void *x, int64_t i, double v) {
  if (s->real_bytes == 4) {
    ((float *)x)[i] = (float)v;
  } else {
    ((double *)x)[i] = v;
  }
}

/* y' = r y (1 - y): y = 1 / (1 + (1 / y0 - 1) e^(-r t)) */
static void logistic(void *arg, int64_t rows, const int64_t *row, const double *t, const void *y, void *dy) {
  setup *s = arg;
  (void)t;
  s->calls++;
  for (int64_t i = 0; i < rows; i++) {
    const double x = get(s, y, i);
    put(s, dy, i, s->rate[row[i]] * x * (1 - x));
  }
}
static double logistic_at(double y0, double r, double t) {
  return 1 / (1 + (1 / y0 - 1) * exp(-r * t));
}
/* A turning and shrinking plane: y' = A y with A = [-r, 1; -1, -r]. */
static void spiral(void *arg, int64_t rows, const int64_t *row, const double *t, const void *y, void *dy) {
  const setup *s = arg;
  (void)t;
  for (int64_t i = 0; i < rows; i++) {
    const double a = get(s, y, 2 * i), b = get(s, y, 2 * i + 1), r = s->rate[row[i]];
    put(s, dy, 2 * i, -r * a + b);
    put(s, dy, 2 * i + 1, -a - r * b);
  }
}
/* y' = -y + 3 sin t + 5 cos t, y(0) = 1: y = sin t * 4 + cos t (the decaying part cancels) */
static void driven(void *arg, int64_t rows, const int64_t *row, const double *t, const void *y, void *dy) {
  const setup *s = arg;
  (void)row;
  for (int64_t i = 0; i < rows; i++) put(s, dy, i, -get(s, y, i) + 3 * sin(t[i]) + 5 * cos(t[i]));
}

typedef void field_fn(void *arg, int64_t rows, const int64_t *row, const double *t, const void *y, void *dy);

static rh_ode_report solve_with(setup *s, field_fn *f, double t0, double t1, const rh_ode_options *o, int64_t rows, const double *y0,
                                double *y1,
                                void (*quadrature)(void *, int64_t, const int64_t *, const double *, const double *, const void *)) {
  const rh_ode_problem p = {.n = s->n, .t0 = t0, .t1 = t1, .field = f, .quadrature = quadrature, .arg = s, .strict = s->strict};
  rh_ode_report report = {0};
  rh_ode_work *w;
  assert_int_equal(rh_ode_check(o), RH_OK);
  assert_int_equal(rh_ode_work_create(s->n, rows, s->real_bytes, o->method, quadrature != NULL, &w), RH_OK);
  void *state = malloc((size_t)(rows * s->n) * 8);
  for (int64_t i = 0; i < rows * s->n; i++) put(s, state, i, y0[i]);
  rh_ode_solve(&p, o, w, rows, state, state, &report);
  for (int64_t i = 0; i < rows * s->n; i++) y1[i] = get(s, state, i);
  free(state);
  rh_ode_work_destroy(w);
  return report;
}
static rh_ode_report solve(setup *s, field_fn *f, double t0, double t1, const rh_ode_options *o, int64_t rows, const double *y0,
                           double *y1) {
  return solve_with(s, f, t0, t1, o, rows, y0, y1, NULL);
}

/* Rows of A sum to C; B and the embedded weights sum to 1; the quadrature conditions sum b c^k = 1 / (k + 1) up to the order. */
static void tableaux_are_consistent(void **state) {
  (void)state;
  for (int m = 0; m < RH_ODE_METHODS; m++) {
    const rh_ode_tableau *t = rh_ode_tableau_of((rh_ode_method)m);
    const double *a = t->a;
    for (int i = 0; i < t->stages; a += i, i++) {
      double sum = 0;
      for (int j = 0; j < i; j++) sum += a[j];
      assert_true(fabs(sum - t->c[i]) < 1e-14);
      if (t->fsal && i == t->stages - 1)
        for (int j = 0; j < i; j++) assert_true(a[j] == t->b[j]);
    }
    for (int k = 0; k < t->order; k++) {
      double b = 0, embedded = 0;
      for (int i = 0; i < t->stages; i++) b += t->b[i] * pow(t->c[i], k), embedded += (t->b[i] - t->e[i]) * pow(t->c[i], k);
      assert_true(fabs(b - 1. / (k + 1)) < 1e-14);
      if (t->estimate && k < t->estimate - 1) assert_true(fabs(embedded - 1. / (k + 1)) < 1e-14);
    }
  }
}

/* The error falls with the method's order, on a field that is neither linear nor without time. */
static void fixed_steps_converge(void **state) {
  (void)state;
  const double rate[1] = {1.3}, y0[1] = {0.15}, one[1] = {1};
  for (int m = 0; m < RH_ODE_METHODS; m++)
    for (int which = 0; which < 2; which++) {
      double error[2];
      for (int k = 0; k < 2; k++) {
        setup s = {.real_bytes = 8, .n = 1, .rate = rate};
        double y1[1];
        const rh_ode_options o = {.method = (rh_ode_method)m, .steps = 20 << k};
        const rh_ode_report r = solve(&s, which ? driven : logistic, 0, 2, &o, 1, which ? one : y0, y1);
        error[k] = fabs(y1[0] - (which ? 4 * sin(2) + cos(2) : logistic_at(y0[0], rate[0], 2)));
        assert_int_equal(r.taken, 20 << k);
      }
      const double order = log2(error[0] / error[1]);
      const rh_ode_tableau *t = rh_ode_tableau_of((rh_ode_method)m);
      if (fabs(order - t->order) > 0.3)
        fail_msg("%s, field %d: errors %g and %g, order %.3f, should be %d", t->name, which, error[0], error[1], order, t->order);
    }
}

static void tolerances_are_kept(void **state) {
  (void)state;
  enum { ROWS = 5 };
  const double rate[ROWS] = {0.3, -1, 5, 40, 1}, y0[2 * ROWS] = {0.1, 0.9, 0.5, 0.01, 0.2, 1, -1, 2, 0.3, 0.4};
  static const rh_ode_method methods[] = {RH_ODE_BS32, RH_ODE_DP54};
  for (int m = 0; m < 2; m++)
    for (int back = 0; back < 2; back++) {
      double before = 1;
      for (double tol = 1e-4; tol > 1e-9; tol /= 100) {
        const rh_ode_options o = {.method = methods[m], .rtol = tol, .atol = tol, .max_steps = 100000};
        setup s = {.real_bytes = 8, .n = 1, .rate = rate};
        double y1[2 * ROWS], worst = 0;
        rh_ode_report r = solve(&s, logistic, back ? 1 : 0, back ? 0 : 1, &o, ROWS, y0, y1);
        assert_int_equal(r.unfinished, 0);
        for (int i = 0; i < ROWS; i++) {
          if (back && i == 3) continue; /* grows by e^40 backwards */
          worst = fmax(worst, fabs(y1[i] - logistic_at(y0[i], rate[i], back ? -1 : 1)));
        }
        s.n = 2;
        r = solve(&s, spiral, 0, 1, &o, ROWS, y0, y1);
        for (int i = 0; i < ROWS; i++) {
          const double c = cos(1), d = sin(1), e = exp(-rate[i]), *z = y0 + 2 * i;
          worst = fmax(worst, fmax(fabs(y1[2 * i] - e * (c * z[0] + d * z[1])), fabs(y1[2 * i + 1] - e * (c * z[1] - d * z[0]))));
        }
        if (worst > 60 * tol || worst > before)
          fail_msg("%s at %g: error %g after %g", rh_ode_tableau_of(methods[m])->name, tol, worst, before);
        before = worst;
      }
    }
}

static void there_and_back(void **state) {
  (void)state;
  const double rate[2] = {2, 0.5}, y0[2] = {0.3, 0.8};
  for (int fixed = 0; fixed < 2; fixed++) {
    setup s = {.real_bytes = 8, .n = 1, .rate = rate};
    const rh_ode_options o = {.method = RH_ODE_DP54, .steps = fixed ? 200 : 0, .rtol = 1e-11, .atol = 1e-11, .max_steps = 10000};
    double y1[2], y2[2];
    solve(&s, logistic, -0.5, 1.5, &o, 2, y0, y1);
    solve(&s, logistic, 1.5, -0.5, &o, 2, y1, y2);
    for (int i = 0; i < 2; i++) {
      assert_true(fabs(y1[i] - logistic_at(y0[i], rate[i], 2)) < 1e-10);
      assert_true(fabs(y2[i] - y0[i]) < 1e-9);
    }
    solve(&s, logistic, 1.5, 1.5, &o, 2, y0, y2);
    assert_memory_equal(y2, y0, sizeof y0);
  }
}

/* A row that needs too many steps stops where it is; its neighbours arrive. So does one whose field is not finite. */
static void steps_are_capped(void **state) {
  (void)state;
  const double rate[3] = {1, 1e5, NAN}, y0[3] = {0.3, 0.3, 0.3};
  setup s = {.real_bytes = 8, .n = 1, .rate = rate};
  const rh_ode_options o = {.method = RH_ODE_DP54, .rtol = 1e-6, .atol = 1e-6, .max_steps = 30};
  double y1[3];
  const rh_ode_report r = solve(&s, logistic, 0, 1, &o, 3, y0, y1);
  assert_int_equal(r.unfinished, 2);
  assert_true(fabs(y1[0] - logistic_at(0.3, 1, 1)) < 1e-5);
  assert_true(isfinite(y1[1]));
  assert_true(y1[2] == 0.3);
  assert_true(s.calls < 40 * 7);
  rh_ode_report alone = {0}; /* what rows do together is what each does alone: steps, cap and all */
  for (int i = 0; i < 3; i++) {
    setup one = {.real_bytes = 8, .n = 1, .rate = rate + i};
    const rh_ode_report q = solve(&one, logistic, 0, 1, &o, 1, y0 + i, y1 + i);
    assert_true(q.taken + q.refused <= 30);
    alone.evaluations += q.evaluations, alone.taken += q.taken, alone.refused += q.refused, alone.unfinished += q.unfinished;
  }
  assert_memory_equal(&alone, &r, sizeof r);
  for (int real = 4; real <= 8; real += 4) { /* strict: what did not arrive is no number, and nothing else changes */
    setup strict = {.real_bytes = real, .n = 1, .rate = rate, .strict = true}, loose = {.real_bytes = real, .n = 1, .rate = rate};
    double a[3], b[3];
    const rh_ode_report q = solve(&strict, logistic, 0, 1, &o, 3, y0, a);
    solve(&loose, logistic, 0, 1, &o, 3, y0, b);
    assert_int_equal(q.unfinished, 2);
    assert_true(a[0] == b[0]);
    for (int i = 1; i < 3; i++) assert_true(isnan(a[i]) && !isnan(b[i]));
  }
}

static void solve_some(int real_bytes, int64_t first, int64_t rows, const double *rate, const double *y0, double *y1, rh_ode_method m) {
  setup s = {.real_bytes = real_bytes, .n = 2, .rate = rate + first};
  const rh_ode_options o = {.method = m, .rtol = 1e-5, .atol = 1e-6, .max_steps = 1000};
  solve(&s, spiral, 0, 1, &o, rows, y0 + 2 * first, y1 + 2 * first);
}

/* A row's bits: alone, in 7, in 1000, beside rows that stop long before or after it. */
static void a_row_is_alone(void **state) {
  (void)state;
  static double rate[MOST], y0[2 * MOST], all[2 * MOST], some[2 * MOST], one[2 * MOST];
  for (int i = 0; i < MOST; i++) {
    rate[i] = 30 * fabs(sin(i * 1.7)) * (i % 5 == 0);
    y0[2 * i] = sin(i * 0.9), y0[2 * i + 1] = cos(i * 2.3);
  }
  static const rh_ode_method methods[] = {RH_ODE_BS32, RH_ODE_DP54};
  for (int m = 0; m < 2; m++)
    for (int rb = 4; rb <= 8; rb += 4) {
      solve_some(rb, 0, MOST, rate, y0, all, methods[m]);
      for (int64_t i = 0; i < MOST; i++) solve_some(rb, i, 1, rate, y0, one, methods[m]);
      for (int64_t i = 0; i < MOST; i += 7) solve_some(rb, i, MOST - i < 7 ? MOST - i : 7, rate, y0, some, methods[m]);
      assert_memory_equal(all, one, sizeof all);
      assert_memory_equal(all, some, sizeof all);
    }
}

static void integrand(void *arg, int64_t points, const int64_t *row, const double *t, const double *weight, const void *y) {
  setup *s = arg;
  for (int64_t i = 0; i < points; i++) s->integral[row[i]] += weight[i] * (get(s, y, i) + t[i]);
}

/* The integral of y + t along logistic curves, of the method's order; and the solution's bits do not know that it was asked for. */
static void quadrature_follows_the_steps(void **state) {
  (void)state;
  enum { ROWS = 3 };
  const double rate[ROWS] = {1, 8, 0.1}, y0[ROWS] = {0.2, 0.01, 0.7};
  for (int m = 0; m < RH_ODE_METHODS; m++)
    for (int fixed = rh_ode_tableau_of((rh_ode_method)m)->estimate ? 0 : 1; fixed < 2; fixed++) {
      double error[2] = {0}, y1[ROWS], plain[ROWS];
      for (int k = 0; k < 2; k++) {
        setup s = {.real_bytes = 8, .n = 1, .rate = rate};
        const rh_ode_options o = {
            .method = (rh_ode_method)m, .steps = fixed ? 40 << k : 0, .rtol = 1e-9, .atol = 1e-9, .max_steps = 100000};
        solve_with(&s, logistic, 0, 1, &o, ROWS, y0, y1, integrand);
        solve(&s, logistic, 0, 1, &o, ROWS, y0, plain);
        assert_memory_equal(y1, plain, sizeof plain);
        for (int i = 0; i < ROWS; i++) error[k] = fmax(error[k], fabs(s.integral[i] - 0.5 - log(1 + y0[i] * (exp(rate[i]) - 1)) / rate[i]));
      }
      const double order = log2(error[0] / error[1]), want = rh_ode_tableau_of((rh_ode_method)m)->order;
      if (fixed ? fabs(order - want) > 0.35 : error[0] > 1e-7)
        fail_msg("method %d: errors of the integral %g, %g: order %g", m, error[0], error[1], order);
    }
}

/* a' = -a; b' = 40 cos(40 t) b: the control sees b only when it is told to. */
static void wavy(void *arg, int64_t rows, const int64_t *row, const double *t, const void *y, void *dy) {
  const setup *s = arg;
  (void)row;
  for (int64_t i = 0; i < rows; i++) {
    put(s, dy, 2 * i, -get(s, y, 2 * i));
    put(s, dy, 2 * i + 1, 40 * cos(40 * t[i]) * get(s, y, 2 * i + 1));
  }
}
static void the_norm_may_look_away(void **state) {
  (void)state;
  static const unsigned char first[2] = {1, 0};
  const double y0[2] = {1, 1};
  setup s = {.real_bytes = 8, .n = 2};
  const rh_ode_options o = {.method = RH_ODE_DP54, .rtol = 1e-6, .atol = 1e-6, .max_steps = 1000};
  double y1[2];
  const rh_ode_report all = solve(&s, wavy, 0, 2, &o, 1, y0, y1);
  assert_true(fabs(y1[1] - exp(sin(80))) < 1e-4);
  rh_ode_work *w;
  rh_ode_report some = {0};
  const rh_ode_problem p = {.n = 2, .t1 = 2, .in_norm = first, .field = wavy, .arg = &s};
  assert_int_equal(rh_ode_work_create(2, 1, 8, o.method, false, &w), RH_OK);
  rh_ode_solve(&p, &o, w, 1, y0, y1, &some);
  rh_ode_work_destroy(w);
  assert_true(fabs(y1[0] - exp(-2)) < 1e-5);
  assert_true(some.taken * 5 < all.taken);
}

static void wrong_options_are_refused(void **state) {
  (void)state;
  static const rh_ode_options wrong[] = {
      {.method = RH_ODE_METHODS, .steps = 1},
      {.method = RH_ODE_RK4, .rtol = 1e-6, .atol = 1e-6, .max_steps = 10},
      {.method = RH_ODE_DP54, .rtol = -1, .atol = 1e-6, .max_steps = 10},
      {.method = RH_ODE_DP54, .rtol = 1e-6, .atol = 0, .max_steps = 10},
      {.method = RH_ODE_DP54, .rtol = NAN, .atol = 1e-6, .max_steps = 10},
      {.method = RH_ODE_DP54, .rtol = 1e-6, .atol = 1e-6, .max_steps = 0},
      {.method = RH_ODE_DP54, .steps = -1},
  };
  for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
    assert_int_equal(rh_ode_check(&wrong[i]), RH_E_ARGUMENT);
    assert_non_null(strstr(rh_last_error(), "ode: "));
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(tableaux_are_consistent),
      cmocka_unit_test(fixed_steps_converge),
      cmocka_unit_test(tolerances_are_kept),
      cmocka_unit_test(there_and_back),
      cmocka_unit_test(steps_are_capped),
      cmocka_unit_test(a_row_is_alone),
      cmocka_unit_test(quadrature_follows_the_steps),
      cmocka_unit_test(the_norm_may_look_away),
      cmocka_unit_test(wrong_options_are_refused),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
