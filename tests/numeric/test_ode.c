/* Steppers of ordinary differential equations: orders, closed forms, control, rows that do not disturb each other. */
#include "support/initial_value.h"

#include "numeric/ode_work.h"

enum { MOST = 10000 };

/* ---- order conditions ---- */

enum { ORDERS = 9, TREES = 2056 };

/* A rooted tree (Hairer, Norsett & Wanner, Solving Ordinary Differential Equations I, II.2): weights w are of order p at the point u of a
 * step when sum_i w_i phi_i = u^order / gamma for all trees of order up to p. */
typedef struct tree {
  double phi[RH_ODE_SLOPES], gamma;
} tree;
typedef struct forest {
  tree tree[TREES];
  int first[ORDERS + 2]; /* by order */
} forest;

static double a_of(const rh_ode_tableau *t, int i, int j) {
  if (j >= i) return 0;
  return i == t->stages && !t->extra ? t->b[j] : t->a[i * (i - 1) / 2 + j];
}

/* Every tree of order n is a tree v hung on the root of a tree u, of orders that sum to n; some are made more than once. */
static void plant(const rh_ode_tableau *t, forest *f) {
  const int slopes = rh_ode_slopes(t);
  f->first[1] = 0, f->first[2] = 1;
  for (int i = 0; i < slopes; i++) f->tree[0].phi[i] = 1;
  f->tree[0].gamma = 1;
  for (int n = 2; n <= ORDERS; n++) {
    int at = f->first[n];
    for (int k = 1; k < n; k++)
      for (int u = f->first[k]; u < f->first[k + 1]; u++)
        for (int v = f->first[n - k]; v < f->first[n - k + 1]; v++, at++) {
          assert_true(at < TREES);
          f->tree[at].gamma = n * f->tree[u].gamma / k * f->tree[v].gamma;
          for (int i = 0; i < slopes; i++) {
            double sum = 0;
            for (int j = 0; j < i; j++) sum += a_of(t, i, j) * f->tree[v].phi[j];
            f->tree[at].phi[i] = f->tree[u].phi[i] * sum;
          }
        }
    f->first[n + 1] = at;
  }
}

static double defect(const rh_ode_tableau *t, const forest *f, const double *w, int order, double u) {
  double worst = 0;
  for (int i = f->first[order]; i < f->first[order + 1]; i++) {
    double sum = 0;
    for (int j = 0; j < rh_ode_slopes(t); j++) sum += w[j] * f->tree[i].phi[j];
    worst = fmax(worst, fabs(sum - pow(u, order) / f->tree[i].gamma));
  }
  return worst;
}

/* Of this order, and of no higher one. */
static void has_order(const rh_ode_tableau *t, const forest *f, const char *what, const double *w, int order, double u) {
  for (int n = 1; n <= order; n++)
    if (defect(t, f, w, n, u) > 5e-14) fail_msg("%s, %s: order %d misses by %g", t->name, what, n, defect(t, f, w, n, u));
  if (defect(t, f, w, order + 1, u) < 1e-9) fail_msg("%s, %s: is of order %d too", t->name, what, order + 1);
}

/* Rows of A sum to C; the solution, what is embedded, and the interpolant fulfil the conditions of their orders. */
static void order_conditions_hold(void **state) {
  (void)state;
  static const int embedded[RH_ODE_METHODS] = {
      [RH_ODE_HEUN] = 1, [RH_ODE_BS32] = 2, [RH_ODE_DP54] = 4, [RH_ODE_TS54] = 4, [RH_ODE_DOP853] = 5};
  static const int dense[RH_ODE_METHODS] = {1, 2, 2, 3, 3, 4, 4, 7};
  static forest f;
  for (int m = 0; m < RH_ODE_METHODS; m++) {
    const rh_ode_tableau *t = rh_ode_tableau_of((rh_ode_method)m);
    plant(t, &f);
    for (int i = 0; i < (t->extra ? rh_ode_slopes(t) : t->stages); i++) {
      double sum = 0;
      for (int j = 0; j < i; j++) sum += a_of(t, i, j);
      assert_true(fabs(sum - t->c[i]) < 1e-14);
      for (int j = 0; j < i; j++) /* the slope at the end is taken where the solution is */
        if (i == rh_ode_end_slope(t)) assert_true(a_of(t, i, j) == t->b[j]);
    }
    double w[RH_ODE_SLOPES];
    has_order(t, &f, "solution", t->b, t->order, 1);
    for (int i = 0; i < RH_ODE_SLOPES; i++) w[i] = t->b[i] - t->e[i];
    if (t->estimate) has_order(t, &f, "embedded", w, embedded[m], 1);
    for (int i = 0; i < RH_ODE_SLOPES; i++) w[i] = t->b[i] - t->e2[i];
    if (m == RH_ODE_DOP853) has_order(t, &f, "embedded second", w, 3, 1);
    for (double u = 0.1; u < 1; u += 0.2) {
      rh_ode_dense_weights(t, u, w);
      has_order(t, &f, "interpolant", w, dense[m], u);
    }
    rh_ode_dense_weights(t, 1, w);
    for (int i = 0; i < rh_ode_slopes(t); i++) assert_true(w[i] == t->b[i]);
  }
}

/* The error falls with the method's order, on a field that is not linear and on one that knows the time. */
static void fixed_steps_converge(void **state) {
  (void)state;
  const double rate[1] = {3}, y0[1] = {0.15}, one[1] = {1};
  for (int m = 0; m < RH_ODE_METHODS; m++)
    for (int which = 0; which < 2; which++) {
      const rh_ode_tableau *t = rh_ode_tableau_of((rh_ode_method)m);
      const int steps = t->order < 8 ? 64 : 8; /* few enough to stand above rounding */
      double error[2];
      for (int k = 0; k < 2; k++) {
        setup s = {.real_bytes = 8, .n = 1, .rate = rate};
        double y1[1];
        const rh_ode_options o = {.method = (rh_ode_method)m, .steps = steps << k};
        const rh_ode_report r = solve(&s, which ? driven : logistic, 0, 2, &o, 1, which ? one : y0, y1);
        error[k] = fabs(y1[0] - (which ? 4 * sin(2) + cos(2) : logistic_at(y0[0], rate[0], 2)));
        assert_int_equal(r.taken, steps << k);
        assert_int_equal(r.evaluations, (steps << k) * (t->stages - t->fsal) + t->fsal);
      }
      const double order = log2(error[0] / error[1]);
      if (fabs(order - t->order) > 0.25)
        fail_msg("%s, field %d: errors %g and %g, order %.3f, should be %d", t->name, which, error[0], error[1], order, t->order);
    }
}

static void tolerances_are_kept(void **state) {
  (void)state;
  enum { ROWS = 5 };
  const double rate[ROWS] = {0.3, -1, 5, 40, 1}, y0[2 * ROWS] = {0.1, 0.9, 0.5, 0.01, 0.2, 1, -1, 2, 0.3, 0.4};
  for (int m = 0; m < RH_ODE_METHODS; m++)
    for (int back = 0; back < 2 && rh_ode_tableau_of((rh_ode_method)m)->estimate; back++) {
      double before = 1;
      for (double tol = 1e-4; tol > 1e-9; tol /= 100) {
        const rh_ode_options o = {.method = (rh_ode_method)m, .rtol = tol, .atol = tol, .max_steps = 1000000};
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
          fail_msg("%s at %g: error %g after %g", rh_ode_tableau_of((rh_ode_method)m)->name, tol, worst, before);
        before = worst;
      }
    }
}

/* An estimate that goes as h^k: a tolerance 2^k times as tight takes twice the steps. */
static void steps_follow_the_estimate(void **state) {
  (void)state;
  const double rate[1] = {0}, y0[2] = {1, 0};
  for (int m = 0; m < RH_ODE_METHODS; m++) {
    const rh_ode_tableau *t = rh_ode_tableau_of((rh_ode_method)m);
    double taken[2], y1[2];
    for (int k = 0; k < 2 && t->estimate; k++) {
      setup s = {.real_bytes = 8, .n = 2, .rate = rate};
      const double tol = (m == RH_ODE_HEUN ? 1e-5 : 1e-8) * pow(2, -k * t->estimate);
      const rh_ode_options o = {.method = (rh_ode_method)m, .rtol = tol, .atol = tol, .max_steps = 1000000};
      taken[k] = (double)solve(&s, spiral, 0, 100, &o, 1, y0, y1).taken;
    }
    if (t->estimate && fabs(log2(taken[1] / taken[0]) - 1) > 0.05) fail_msg("%s: %g steps, then %g", t->name, taken[0], taken[1]);
  }
}

/* ---- what sizes steps ---- */

enum { KEPT = 64 };
typedef struct kept_steps {
  setup s; /* first: the fields read it */
  int n;
  double h[KEPT];
} kept_steps;
static void keep_step(void *arg, int64_t count, const int64_t *row, const double *t, const double *h, const void *y) {
  kept_steps *k = arg;
  (void)row, (void)t, (void)y;
  for (int64_t i = 0; i < count && k->n < KEPT; i++) k->h[k->n++] = h[i];
}

/* The error of one step of y' = -y from 1, as the method estimates it, over the tolerance. */
static double estimated(const rh_ode_tableau *t, double h, double tol) {
  double k[RH_ODE_SLOPES], sum[2] = {0, 0}, share[2];
  for (int i = 0; i < t->stages; i++) {
    double y = 1;
    for (int j = 0; j < i; j++) y += h * t->a[i * (i - 1) / 2 + j] * k[j];
    k[i] = -y;
    sum[0] += t->e[i] * k[i];
    if (t->e2[0] != 0) sum[1] += t->e2[i] * k[i];
  }
  for (int i = 0; i < 2; i++) share[i] = fabs(h * sum[i]) / (2 * tol);
  return t->e2[0] == 0 ? share[0] : share[0] * share[0] / sqrt(share[0] * share[0] + 0.01 * share[1] * share[1]);
}

static void decay(void *arg, int64_t rows, const int64_t *row, const double *t, const void *y, void *dy) {
  (void)row, (void)t;
  for (int64_t i = 0; i < rows; i++) put(arg, dy, i, -get(arg, y, i));
}

/* Where derivatives go on as the first two do, the first step makes a hundredth of the error allowed: neither a tenth nor a thousandth. */
static void the_first_step_knows_its_method(void **state) {
  (void)state;
  const double y0 = 1;
  for (int m = 0; m < RH_ODE_METHODS; m++) {
    const rh_ode_tableau *t = rh_ode_tableau_of((rh_ode_method)m);
    for (double tol = 1e-9; t->estimate && tol > 1e-13; tol /= 100) {
      const rh_ode_options o = {.method = (rh_ode_method)m, .rtol = tol, .atol = tol, .max_steps = 1};
      kept_steps k = {.s = {.real_bytes = 8, .n = 1}};
      const rh_ode_problem more = {.accepted = keep_step};
      double y1;
      solve_more(&k.s, decay, 0, 10, &o, 1, &y0, &y1, &more);
      const double share = estimated(t, k.h[0], tol);
      if (!(share > 0.006 && share < 0.012)) fail_msg("%s at %g: the first step of %g makes %g of the error", t->name, tol, k.h[0], share);
    }
  }
}

/* What is left for two steps is cut in halves: no sliver at the end. */
static void the_last_two_steps_are_equal(void **state) {
  (void)state;
  const double rate[1] = {0.1}, y0[2] = {1, 0};
  for (double end = 2; end < 5; end += 0.17) {
    const rh_ode_options o = {.method = RH_ODE_DP54, .rtol = 1e-6, .atol = 1e-6, .max_steps = 1000};
    kept_steps k = {.s = {.real_bytes = 8, .n = 2, .rate = rate}};
    const rh_ode_problem more = {.accepted = keep_step};
    double y1[2];
    const rh_ode_report r = solve_more(&k.s, spiral, 0, end, &o, 1, y0, y1, &more);
    assert_true(k.n > 2 && k.n == r.taken);
    if (fabs(k.h[k.n - 1] - k.h[k.n - 2]) > 1e-12) fail_msg("to %g: steps of %g and %g", end, k.h[k.n - 2], k.h[k.n - 1]);
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
    rh_ode_report_add(&alone, &q);
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

static void solve_some(int real_bytes, int64_t first, int64_t rows, const double *rate, const double *y0, double *y1, rh_ode_method m,
                       int64_t steps) {
  setup s = {.real_bytes = real_bytes, .n = 2, .rate = rate + first};
  const rh_ode_options o = {.method = m, .steps = steps, .rtol = 1e-5, .atol = 1e-6, .max_steps = 300, .fallback_steps = 2};
  solve(&s, spiral, 0, 1, &o, rows, y0 + 2 * first, y1 + 2 * first);
}

/* A row's bits: alone, in 7, in 10000, beside rows that stop long before or after it. */
static void a_row_is_alone(void **state) {
  (void)state;
  static double rate[MOST], y0[2 * MOST], all[2 * MOST], some[2 * MOST], one[2 * MOST];
  for (int i = 0; i < MOST; i++) {
    rate[i] = 30 * fabs(sin(i * 1.7)) * (i % 5 == 0);
    y0[2 * i] = sin(i * 0.9), y0[2 * i + 1] = cos(i * 2.3);
  }
  for (int m = 0; m < RH_ODE_METHODS; m++)
    for (int rb = 4; rb <= 8; rb += 4)
      for (int fixed = rh_ode_tableau_of((rh_ode_method)m)->estimate ? 0 : 1; fixed < 2; fixed++) {
        const rh_ode_method method = (rh_ode_method)m;
        solve_some(rb, 0, MOST, rate, y0, all, method, 5 * fixed);
        for (int64_t i = 0; i < MOST; i += 3) {
          solve_some(rb, i, 1, rate, y0, one, method, 5 * fixed);
          assert_memory_equal(all + 2 * i, one + 2 * i, 2 * sizeof *all);
        }
        for (int64_t i = 0; i < MOST; i += 7) solve_some(rb, i, MOST - i < 7 ? MOST - i : 7, rate, y0, some, method, 5 * fixed);
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
  const double rate[ROWS] = {3, 8, 0.1}, y0[ROWS] = {0.2, 0.01, 0.7};
  for (int m = 0; m < RH_ODE_METHODS; m++)
    for (int fixed = rh_ode_tableau_of((rh_ode_method)m)->estimate ? 0 : 1; fixed < 2; fixed++) {
      const rh_ode_tableau *t = rh_ode_tableau_of((rh_ode_method)m);
      double error[2] = {0}, y1[ROWS], plain[ROWS];
      for (int k = 0; k < 2; k++) {
        double integral[ROWS] = {0};
        setup s = {.real_bytes = 8, .n = 1, .rate = rate, .integral = integral};
        const rh_ode_options o = {.method = (rh_ode_method)m,
                                  .steps = fixed ? (t->order < 8 ? 64 : 12) << k : 0,
                                  .rtol = 1e-9,
                                  .atol = 1e-9,
                                  .max_steps = 1000000};
        const rh_ode_problem asked = {.quadrature = integrand};
        solve_more(&s, logistic, 0, 1, &o, ROWS, y0, y1, &asked);
        solve(&s, logistic, 0, 1, &o, ROWS, y0, plain);
        assert_memory_equal(y1, plain, sizeof plain);
        for (int i = 0; i < ROWS; i++) error[k] = fmax(error[k], fabs(integral[i] - 0.5 - log(1 + y0[i] * (exp(rate[i]) - 1)) / rate[i]));
      }
      const double order = log2(error[0] / error[1]);
      if (fixed ? fabs(order - t->order) > 0.35 : error[0] > 1e-7)
        fail_msg("%s: errors of the integral %g, %g: order %g", t->name, error[0], error[1], order);
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
      {.method = RH_ODE_DP54, .rtol = 1e-6, .atol = 1e-6, .max_steps = 10, .min_step = -1},
      {.method = RH_ODE_DP54, .rtol = 1e-6, .atol = 1e-6, .max_steps = 10, .min_step = NAN},
      {.method = RH_ODE_DP54, .rtol = 1e-6, .atol = 1e-6, .max_steps = 10, .fallback_steps = -1},
  };
  for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
    assert_int_equal(rh_ode_check(&wrong[i]), RH_E_ARGUMENT);
    assert_non_null(strstr(rh_last_error(), "ode: "));
  }
}

/* As errors name them. */
static void methods_with_an_estimate_have_a_list(void **state) {
  (void)state;
  char list[200] = "";
  const char *last = NULL;
  for (int m = 0; m < RH_ODE_METHODS; m++) {
    const rh_ode_tableau *t = rh_ode_tableau_of((rh_ode_method)m);
    if (!t->estimate) continue;
    if (last) snprintf(list + strlen(list), sizeof list - strlen(list), "%s%s", *list ? ", " : "", last);
    last = t->name;
  }
  snprintf(list + strlen(list), sizeof list - strlen(list), " or %s", last);
  assert_string_equal(list, RH_ODE_CONTROLLED);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(order_conditions_hold),
      cmocka_unit_test(methods_with_an_estimate_have_a_list),
      cmocka_unit_test(fixed_steps_converge),
      cmocka_unit_test(the_first_step_knows_its_method),
      cmocka_unit_test(the_last_two_steps_are_equal),
      cmocka_unit_test(tolerances_are_kept),
      cmocka_unit_test(steps_follow_the_estimate),
      cmocka_unit_test(there_and_back),
      cmocka_unit_test(steps_are_capped),
      cmocka_unit_test(a_row_is_alone),
      cmocka_unit_test(quadrature_follows_the_steps),
      cmocka_unit_test(the_norm_may_look_away),
      cmocka_unit_test(wrong_options_are_refused),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
