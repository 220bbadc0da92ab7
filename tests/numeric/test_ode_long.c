/* Long ways and ways that do not end: orbits over many periods; stiffness, poles, smallest steps, what finishes a row all the same. */
#include "support/initial_value.h"

/* Two bodies, the sun at rest: (x, y, x', y'). */
static void kepler(void *arg, int64_t rows, const int64_t *row, const double *t, const void *y, void *dy) {
  const setup *s = arg;
  (void)row, (void)t;
  for (int64_t i = 0; i < rows; i++) {
    const double a = get(s, y, 4 * i), b = get(s, y, 4 * i + 1), r2 = a * a + b * b, r3 = r2 * sqrt(r2);
    put(s, dy, 4 * i, get(s, y, 4 * i + 2));
    put(s, dy, 4 * i + 1, get(s, y, 4 * i + 3));
    put(s, dy, 4 * i + 2, -a / r3);
    put(s, dy, 4 * i + 3, -b / r3);
  }
}
static double energy(const double *y) {
  return 0.5 * (y[2] * y[2] + y[3] * y[3]) - 1 / sqrt(y[0] * y[0] + y[1] * y[1]);
}

/* A hundred turns of an ellipse of eccentricity 1/2, both ways: back where it began, its energy (-1/2) drifting with the tolerance. An
 * error in the energy of d makes the period longer by 3 pi d / (2 (1/2)^(5/2)), so places drift a few hundred times more. */
static void orbits_close(void **state) {
  (void)state;
  static const struct {
    rh_ode_method method;
    double tol, drift, apart;
  } want[] = {
      {RH_ODE_BS32, 1e-9, 5e-7, 3e-3},     {RH_ODE_DP54, 1e-9, 1e-7, 3e-4},   {RH_ODE_DP54, 1e-12, 5e-10, 2e-6},
      {RH_ODE_TS54, 1e-9, 5e-7, 2e-3},     {RH_ODE_TS54, 1e-12, 5e-10, 2e-6}, {RH_ODE_DOP853, 1e-9, 1e-6, 3e-3},
      {RH_ODE_DOP853, 1e-12, 8e-10, 2e-6},
  };
  const double y0[4] = {0.5, 0, 0, sqrt(3)}, period = 6.283185307179586;
  for (size_t i = 0; i < sizeof want / sizeof *want; i++)
    for (int back = 0; back < 2; back++) {
      setup s = {.real_bytes = 8, .n = 4};
      const rh_ode_options o = {.method = want[i].method, .rtol = want[i].tol, .atol = want[i].tol, .max_steps = 1000000};
      double y1[4], apart = 0;
      const rh_ode_report r = solve(&s, kepler, back ? 100 * period : 0, back ? 0 : 100 * period, &o, 1, y0, y1);
      for (int j = 0; j < 4; j++) apart = fmax(apart, fabs(y1[j] - y0[j]));
      const double drift = fabs(energy(y1) - energy(y0));
      assert_int_equal(r.unfinished, 0);
      if (drift > want[i].drift || apart > want[i].apart)
        fail_msg("%s at %g: energy off by %g, place by %g", rh_ode_tableau_of(want[i].method)->name, want[i].tol, drift, apart);
    }
}

/* A thousand periods of a harmonic oscillator. */
static void oscillators_keep_their_energy(void **state) {
  (void)state;
  static const rh_ode_method methods[] = {RH_ODE_DP54, RH_ODE_TS54, RH_ODE_DOP853};
  const double rate[1] = {0}, y0[2] = {1, 0};
  for (int m = 0; m < 3; m++) {
    setup s = {.real_bytes = 8, .n = 2, .rate = rate};
    const rh_ode_options o = {.method = methods[m], .rtol = 1e-11, .atol = 1e-11, .max_steps = 1000000};
    double y1[2];
    solve(&s, spiral, 0, 6283.185307179586, &o, 1, y0, y1);
    if (fabs(y1[0] * y1[0] + y1[1] * y1[1] - 1) > 3e-7 || fabs(y1[1]) > 3e-7)
      fail_msg("%s: (%.12g, %.12g)", rh_ode_tableau_of(methods[m])->name, y1[0], y1[1]);
  }
}

/* Van der Pol, stiff: y'' = mu (1 - y^2) y' - y, mu = 10^4. */
static void van_der_pol(void *arg, int64_t rows, const int64_t *row, const double *t, const void *y, void *dy) {
  const setup *s = arg;
  (void)row, (void)t;
  for (int64_t i = 0; i < rows; i++) {
    const double a = get(s, y, 2 * i), b = get(s, y, 2 * i + 1);
    put(s, dy, 2 * i, b);
    put(s, dy, 2 * i + 1, 1e4 * (1 - a * a) * b - a);
  }
}

/* An explicit method's steps stay near 1e-4 for stability's sake: the cap ends it, and the report says how far it came. */
static void stiffness_ends_at_the_cap(void **state) {
  (void)state;
  const double y0[2] = {2, 0};
  double y1[2];
  rh_ode_row row;
  setup s = {.real_bytes = 8, .n = 2};
  rh_ode_options o = {.method = RH_ODE_DP54, .rtol = 1e-6, .atol = 1e-6, .max_steps = 5000};
  const rh_ode_problem asked = {.by_row = &row};
  const rh_ode_report r = solve_more(&s, van_der_pol, 0, 2e4, &o, 1, y0, y1, &asked);
  assert_true(r.unfinished == 1 && r.capped == 1);
  assert_int_equal(r.taken + r.refused, 5000);
  assert_true(row.reached > 0.1 && row.reached < 10);
  assert_true(fabs(r.missing - (1 - row.reached / 2e4)) < 1e-12);
  /* on the slow manifold: y' = y / (mu (1 - y^2)), so log y - y^2 / 2 grows by t / mu */
  assert_true(fabs(log(y1[0] / 2) - (y1[0] * y1[0] - 4) / 2 - row.reached * 1e-4) < 1e-6);
  o.min_step = 1; /* ... or a smallest step that is taken seriously */
  const rh_ode_report early = solve_more(&s, van_der_pol, 0, 2e4, &o, 1, y0, y1, &asked);
  assert_true(early.unfinished == 1 && early.capped == 0);
  assert_true(early.taken + early.refused < 100);
}

/* y' = y^2 has a pole at 1 / y0: the steps shrink towards it. */
static void square(void *arg, int64_t rows, const int64_t *row, const double *t, const void *y, void *dy) {
  setup *s = arg;
  (void)row, (void)t;
  s->calls++;
  for (int64_t i = 0; i < rows; i++) put(s, dy, i, get(s, y, i) * get(s, y, i));
}
static void poles_end_in_small_steps(void **state) {
  (void)state;
  const double y0[2] = {1, 0.1};
  for (int m = 0; m < RH_ODE_METHODS; m++)
    for (int real = 4; real <= 8 && rh_ode_tableau_of((rh_ode_method)m)->estimate; real += 4)
      for (int fallback = 0; fallback < 2; fallback++) {
        rh_ode_row row[2];
        double y1[2];
        setup s = {.real_bytes = real, .n = 1};
        const rh_ode_options o = {.method = (rh_ode_method)m,
                                  .rtol = 1e-5,
                                  .atol = 1e-5,
                                  .max_steps = 100000,
                                  .min_step = 1e-6,
                                  .fallback_steps = fallback ? 1000000 : 0};
        const rh_ode_problem asked = {.by_row = row};
        const rh_ode_report r = solve_more(&s, square, 0, 2, &o, 2, y0, y1, &asked);
        assert_int_equal(r.unfinished, 1); /* the fallback does not step over infinity, nor try for long */
        assert_true(r.fell_back == 0 && r.capped == 0);
        assert_true(s.calls < 100000 && isfinite(y1[0]) && y1[0] > 100);
        assert_true(fallback ? row[0].reached < 2 : row[0].reached < 1.001 && row[0].reached > 0.98);
        assert_true(fabs(y1[1] - 0.125) < 1e-4 && row[1].reached == 2);
      }
}

/* From y = 0, where nothing says how long a first step may be: no shorter than the smallest. */
static void the_first_step_is_no_shorter(void **state) {
  (void)state;
  const double y0[1] = {0};
  setup s = {.real_bytes = 8, .n = 1};
  rh_ode_options o = {.method = RH_ODE_BS32, .rtol = 1e-3, .atol = 1e-3, .max_steps = 1000, .min_step = 0.01};
  double y1[1];
  assert_int_equal(solve(&s, driven, 0, 1, &o, 1, y0, y1).unfinished, 0);
  assert_true(fabs(y1[0] - (4 * sin(1) + cos(1) - exp(-1))) < 1e-2);
  o.min_step = 100; /* no longer than the way */
  assert_int_equal(solve(&s, driven, 1, 0, &o, 1, y0, y1).unfinished, 1);
}

/* A row out of steps goes on in equal ones from where it stands, and says so; its neighbours do not know. */
static void what_is_given_up_may_be_finished(void **state) {
  (void)state;
  const double rate[3] = {1, 300, 2}, y0[3] = {0.3, 0.01, 0.6};
  for (int m = 0; m < RH_ODE_METHODS; m++) {
    if (!rh_ode_tableau_of((rh_ode_method)m)->estimate) continue;
    rh_ode_row row[3], plain_row[3];
    double y1[3], plain[3];
    setup s = {.real_bytes = 8, .n = 1, .rate = rate};
    rh_ode_options o = {.method = (rh_ode_method)m, .rtol = 1e-4, .atol = 1e-4, .max_steps = 20};
    if (m == RH_ODE_HEUN) o.max_steps = 60;
    const rh_ode_problem asked = {.by_row = row}, plainly = {.by_row = plain_row};
    const rh_ode_report before = solve_more(&s, logistic, 0, 1, &o, 3, y0, plain, &plainly);
    assert_int_equal(before.unfinished, 1);
    assert_true(plain_row[1].reached < 1 && fabs(plain[1] - logistic_at(0.01, 300, plain_row[1].reached)) < 1e-2);
    o.fallback_steps = 400;
    const rh_ode_report after = solve_more(&s, logistic, 0, 1, &o, 3, y0, y1, &asked);
    assert_int_equal(after.unfinished, 0);
    assert_int_equal(after.fell_back, 1);
    assert_true(after.missing == 0);
    assert_int_equal(after.taken, before.taken + 400);
    assert_true(row[1].fell_back && !row[0].fell_back && row[1].reached == 1);
    assert_true(y1[0] == plain[0] && y1[2] == plain[2]);
    if (fabs(y1[1] - logistic_at(0.01, 300, 1)) > 1e-4) fail_msg("%s: %g", rh_ode_tableau_of(o.method)->name, y1[1]);
  }
}

/* What the real type cannot keep is not asked of it; the report says so. */
static void tolerances_stay_above_rounding(void **state) {
  (void)state;
  const double rate[2] = {3, -1}, y0[2] = {0.15, 0.5}, eps[2] = {0x1p-23, 0x1p-52};
  for (int m = 0; m < RH_ODE_METHODS; m++)
    for (int real = 4; real <= 8 && rh_ode_tableau_of((rh_ode_method)m)->order > 3; real += 4) {
      if (!rh_ode_tableau_of((rh_ode_method)m)->estimate) continue;
      double y1[2], at_floor[2];
      setup s = {.real_bytes = real, .n = 1, .rate = rate};
      rh_ode_options o = {.method = (rh_ode_method)m, .rtol = 0, .atol = 1e-300, .max_steps = 20000};
      const rh_ode_report r = solve(&s, logistic, 0, 1, &o, 2, y0, y1);
      assert_int_equal(r.raised, 2);
      assert_int_equal(r.unfinished, 0);
      for (int i = 0; i < 2; i++) assert_true(fabs(y1[i] - logistic_at(y0[i], rate[i], 1)) < 60 * eps[real == 8]);
      o.rtol = 4 * eps[real == 8];
      const rh_ode_report same = solve(&s, logistic, 0, 1, &o, 2, y0, at_floor);
      assert_int_equal(same.raised, 0);
      assert_int_equal(same.evaluations, r.evaluations);
      assert_memory_equal(at_floor, y1, sizeof y1);
    }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(orbits_close),
      cmocka_unit_test(oscillators_keep_their_energy),
      cmocka_unit_test(stiffness_ends_at_the_cap),
      cmocka_unit_test(poles_end_in_small_steps),
      cmocka_unit_test(the_first_step_is_no_shorter),
      cmocka_unit_test(what_is_given_up_may_be_finished),
      cmocka_unit_test(tolerances_stay_above_rounding),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
