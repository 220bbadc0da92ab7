/* The same problems by SciPy's solve_ivp (scipy_peer.py): step for step where steps are equal, for RK23, RK45 and DOP853 are methods of
 * ours; by tolerance up to the tolerance, at a like price. */
#include "support/initial_value.h"

enum { STEPS = 64, TIMES = 5, MOST = 4 };

/* What scipy_peer.py has. */
static void predators(void *arg, int64_t rows, const int64_t *row, const double *t, const void *y, void *dy) {
  const double *a = y;
  double *d = dy;
  (void)arg, (void)row, (void)t;
  for (int64_t i = 0; i < rows; i++, a += 2, d += 2) {
    d[0] = a[0] * (1.1 - 0.4 * a[1]);
    d[1] = a[1] * (0.1 * a[0] - 0.4);
  }
}
static void pendulum(void *arg, int64_t rows, const int64_t *row, const double *t, const void *y, void *dy) {
  const double *a = y;
  double *d = dy;
  (void)arg, (void)row;
  for (int64_t i = 0; i < rows; i++, a += 2, d += 2) {
    d[0] = a[1];
    d[1] = -sin(a[0]) - 0.2 * a[1] + 0.9 * cos(0.7 * t[i]);
  }
}
static void kepler(void *arg, int64_t rows, const int64_t *row, const double *t, const void *y, void *dy) {
  const double *a = y;
  double *d = dy;
  (void)arg, (void)row, (void)t;
  for (int64_t i = 0; i < rows; i++, a += 4, d += 4) {
    const double r2 = a[0] * a[0] + a[1] * a[1], r3 = r2 * sqrt(r2);
    d[0] = a[2], d[1] = a[3];
    d[2] = -a[0] / r3, d[3] = -a[1] / r3;
  }
}

typedef struct peer {
  field_fn *field;
  int n;
  rh_ode_method method;
  double t0, t1, y0[MOST];
  double equal[MOST], dense[TIMES * MOST]; /* in STEPS equal steps: at t1, and between */
  double fine[MOST];                       /* by tolerance */
  int64_t evaluations;
} peer;
#include "numeric/scipy_numbers.h"

static double off(int n, const double *got, const double *want) {
  double worst = 0;
  for (int i = 0; i < n; i++) worst = fmax(worst, fabs(got[i] - want[i]) / (1e-3 + fabs(want[i])));
  return worst;
}

static void step_for_step(void **state) {
  (void)state;
  for (size_t i = 0; i < RH_COUNT_OF(peers); i++) {
    static const double sixteenths[TIMES] = {0.7, 3.3, 8.1, 12.9, 15.95};
    const peer *p = &peers[i];
    double times[TIMES], dense[TIMES * MOST], y1[MOST];
    for (int k = 0; k < TIMES; k++) times[k] = p->t0 + (p->t1 - p->t0) / 16 * sixteenths[k];
    setup s = {.real_bytes = 8, .n = p->n};
    const rh_ode_options o = {.method = p->method, .steps = STEPS};
    const rh_ode_problem asked = {.n_times = TIMES, .times = times, .dense = dense};
    solve_more(&s, p->field, p->t0, p->t1, &o, 1, p->y0, y1, &asked);
    const double end = off(p->n, y1, p->equal), between = off(TIMES * p->n, dense, p->dense);
    const double most = p->field == kepler ? 5e-12 : 2e-13; /* rounding, as the problem makes it grow */
    if (!(end < most && between < most))
      fail_msg("%zu, %s: %g from SciPy's at the end, %g between", i, rh_ode_tableau_of(p->method)->name, end, between);
  }
}

static void by_tolerance(void **state) {
  (void)state;
  for (size_t i = 0; i < RH_COUNT_OF(peers); i++) {
    const peer *p = &peers[i];
    double y1[MOST];
    setup s = {.real_bytes = 8, .n = p->n};
    const rh_ode_options o = {.method = p->method, .rtol = 1e-10, .atol = 1e-12, .max_steps = 1000000};
    const rh_ode_report r = solve(&s, p->field, p->t0, p->t1, &o, 1, p->y0, y1);
    const double error = off(p->n, y1, p->fine), price = (double)r.evaluations / (double)p->evaluations;
    if (!(error < (p->field == kepler ? 1e-7 : 2e-9) && price > 0.85 && price < 1.15))
      fail_msg("%zu, %s: %g from SciPy's for %.2f times its evaluations", i, rh_ode_tableau_of(p->method)->name, error, price);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(step_for_step), cmocka_unit_test(by_tolerance)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
