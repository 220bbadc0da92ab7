/* Dense output: its orders, times that rows have of their own, what is refused; and steps told to a hook, which replay to the same bits. */
#include "support/initial_value.h"

enum { ROWS = 9, TIMES = 5, TRIED = 4000 };

static rh_ode_options by_tolerance(rh_ode_method m) {
  return (rh_ode_options){.method = m,
                          .steps = rh_ode_tableau_of(m)->estimate ? 0 : 30,
                          .rtol = m == RH_ODE_HEUN ? 1e-4 : 1e-6,
                          .atol = 1e-6,
                          .max_steps = TRIED};
}

/* Between the ends of equal steps the error falls as at the ends, as far as the interpolant's own allows. */
static void interpolants_have_their_orders(void **state) {
  (void)state;
  enum { POINTS = 97 }; /* of no common measure with the steps */
  static const int order[RH_ODE_METHODS] = {1, 2, 2, 4, 3, 5, 5, 8};
  const double rate[1] = {8}, y0[1] = {0.15}, one[1] = {1};
  double times[POINTS], dense[POINTS], y1[1];
  for (int i = 0; i < POINTS; i++) times[i] = 2 * (i + 0.37) / POINTS;
  for (int m = 0; m < RH_ODE_METHODS; m++)
    for (int which = 0; which < 2; which++) {
      const rh_ode_tableau *t = rh_ode_tableau_of((rh_ode_method)m);
      double error[2] = {0};
      for (int k = 0; k < 2; k++) {
        setup s = {.real_bytes = 8, .n = 1, .rate = rate};
        const rh_ode_options o = {.method = (rh_ode_method)m, .steps = (t->order < 8 ? 128 : which ? 8 : 32) << k};
        const rh_ode_problem asked = {.n_times = POINTS, .times = times, .dense = dense};
        solve_more(&s, which ? driven : logistic, 0, 2, &o, 1, which ? one : y0, y1, &asked);
        for (int i = 0; i < POINTS; i++) {
          const double at = times[i], want = which ? 4 * sin(at) + cos(at) : logistic_at(y0[0], rate[0], at);
          error[k] = fmax(error[k], fabs(dense[i] - want));
        }
      }
      const double slope = log2(error[0] / error[1]);
      if (fabs(slope - order[m]) > 0.35)
        fail_msg("%s, field %d: errors %g, %g between steps: order %.2f", t->name, which, error[0], error[1], slope);
    }
}

/* Rows with rates and times of their own, the ends among them. */
static void spread(double t0, double t1, double rate[ROWS], double y0[2 * ROWS], double times[ROWS * TIMES]) {
  for (int r = 0; r < ROWS; r++) {
    rate[r] = 0.2 + 0.3 * r;
    y0[2 * r] = cos(r), y0[2 * r + 1] = sin(2 * r);
    for (int i = 0; i < TIMES; i++)
      times[r * TIMES + i] = i == 0 && r % 2 ? t0 : i == TIMES - 1 && r % 3 ? t1 : t0 + (t1 - t0) * (i + 0.1 + 0.09 * r) / TIMES;
  }
}
static double spiral_at(const double *y0, double r, double t, int which) {
  const double c = cos(t), s = sin(t);
  return exp(-r * t) * (which ? c * y0[1] - s * y0[0] : c * y0[0] + s * y0[1]);
}

/* Every method, both ways, both precisions: values are the solution's, the ends exact, and y1 and the steps do not know of the times. */
static void times_are_each_rows_own(void **state) {
  (void)state;
  double rate[ROWS], y0[2 * ROWS], times[ROWS * TIMES], dense[2 * ROWS * TIMES], y1[2 * ROWS], plain[2 * ROWS];
  for (int m = 0; m < RH_ODE_METHODS; m++)
    for (int back = 0; back < 2; back++)
      for (int real = 4; real <= 8; real += 4) {
        const double t0 = back ? 1 : -0.5, t1 = back ? -0.5 : 1;
        spread(t0, t1, rate, y0, times);
        setup s = {.real_bytes = real, .n = 2, .rate = rate};
        const rh_ode_options o = by_tolerance((rh_ode_method)m);
        const rh_ode_problem asked = {.n_times = TIMES, .times = times, .dense = dense};
        const rh_ode_report a = solve_more(&s, spiral, t0, t1, &o, ROWS, y0, y1, &asked),
                            b = solve(&s, spiral, t0, t1, &o, ROWS, y0, plain);
        assert_memory_equal(y1, plain, sizeof plain);
        assert_int_equal(a.unfinished, 0);
        assert_int_equal(a.taken, b.taken);
        assert_int_equal(a.refused, b.refused);
        if (rh_ode_tableau_of(o.method)->fsal) assert_int_equal(a.evaluations, b.evaluations);
        for (int i = 0; i < 2 * ROWS * TIMES; i++) {
          const int r = i / (2 * TIMES), which = i % 2;
          const double t = times[i / 2], want = spiral_at(y0 + 2 * r, rate[r], t - t0, which), size = fmax(1, exp(-rate[r] * (t - t0)));
          const double most = o.method == RH_ODE_EULER ? 1 : !o.steps || o.method == RH_ODE_RK4 ? 1e-3 : 5e-2;
          if (fabs(dense[i] - want) > most * size) fail_msg("%d: row %d at %g: %g, not %g", m, r, t, dense[i], want);
          if (t == t0) assert_true(real == 8 ? dense[i] == y0[2 * r + which] : (float)dense[i] == (float)y0[2 * r + which]);
          if (t == t1) assert_true(dense[i] == y1[2 * r + which]);
        }
      }
}

/* A row's values: alone, among others. */
static void values_between_are_alone(void **state) {
  (void)state;
  double rate[ROWS], y0[2 * ROWS], times[ROWS * TIMES], all[2 * ROWS * TIMES], one[2 * ROWS * TIMES], y1[2 * ROWS];
  spread(0, 2, rate, y0, times);
  for (int m = 0; m < RH_ODE_METHODS; m++)
    for (int real = 4; real <= 8; real += 4) {
      rh_ode_row together[ROWS], alone[1];
      const rh_ode_options o = by_tolerance((rh_ode_method)m);
      setup s = {.real_bytes = real, .n = 2, .rate = rate};
      const rh_ode_problem asked = {.n_times = TIMES, .times = times, .dense = all, .by_row = together};
      const rh_ode_report report = solve_more(&s, spiral, 0, 2, &o, ROWS, y0, y1, &asked);
      int64_t evaluations = 0, most = 0, taken = 0, refused = 0;
      for (int r = 0; r < ROWS; r++) {
        s.rate = rate + r;
        const rh_ode_problem own = {.n_times = TIMES, .times = times + r * TIMES, .dense = one + 2 * r * TIMES, .by_row = alone};
        solve_more(&s, spiral, 0, 2, &o, 1, y0 + 2 * r, y1, &own);
        assert_int_equal(alone->evaluations, together[r].evaluations);
        assert_int_equal(alone->taken, together[r].taken);
        assert_int_equal(alone->refused, together[r].refused);
        assert_true(together[r].reached == 2 && !together[r].fell_back);
        evaluations += alone->evaluations, taken += alone->taken, refused += alone->refused;
        if (alone->evaluations > most) most = alone->evaluations;
      }
      assert_memory_equal(all, one, sizeof all);
      assert_true(evaluations == report.evaluations && taken == report.taken && refused == report.refused);
      if (!o.steps) assert_true(evaluations < ROWS * most); /* what steps in common would cost, the hardest row's for all */
    }
}

/* Times behind the place where a row was given up: its last state, or no number. */
static void times_not_reached(void **state) {
  (void)state;
  const double rate[2] = {1, 1e5}, y0[2] = {0.3, 0.3}, times[4] = {0, 0.5, 1e-9, 0.5};
  for (int strict = 0; strict < 2; strict++) {
    double dense[4], y1[2];
    setup s = {.real_bytes = 8, .n = 1, .rate = rate, .strict = strict};
    const rh_ode_options o = {.method = RH_ODE_DOP853, .rtol = 1e-6, .atol = 1e-6, .max_steps = 30};
    const rh_ode_problem asked = {.n_times = 2, .times = times, .dense = dense};
    assert_int_equal(solve_more(&s, logistic, 0, 1, &o, 2, y0, y1, &asked).unfinished, 1);
    assert_true(dense[0] == 0.3 && fabs(dense[1] - logistic_at(0.3, 1, 0.5)) < 1e-5);
    assert_true(fabs(dense[2] - logistic_at(0.3, 1e5, 1e-9)) < 1e-7);
    assert_true(strict ? isnan(dense[3]) && isnan(y1[1]) : dense[3] == y1[1]);
  }
}

static void wrong_times_are_refused(void **state) {
  (void)state;
  static const struct {
    double t0, t1, time[4];
    const char *says;
  } wrong[] = {
      {0, 1, {0.1, 0.2, 0.3, 0.3}, "row 1, time 1: 0.29999999999999999 is not behind"},
      {0, 1, {0.2, 0.1, 0.3, 0.4}, "row 0, time 1: 0.10000000000000001 is not behind"},
      {1, 0, {0.2, 0.1, 0.3, 0.4}, "row 1, time 1: 0.40000000000000002 is not behind"},
      {0, 1, {0.1, 0.2, NAN, 0.4}, "row 1, time 0: nan is not finite"},
      {0, 1, {0.1, INFINITY, 0.3, 0.4}, "row 0, time 1: inf is not finite"},
      {0, 1, {0.1, 1.5, 0.3, 0.4}, "row 0, time 1: 1.5 is not between"},
      {0, 1, {0.1, 0.2, -0.5, 0.4}, "row 1, time 0: -0.5 is not between"},
      {1, 0, {0.5, 0.2, 1.5, 0.4}, "row 1, time 0: 1.5 is not between"},
      {1, 1, {1, 1, 1, 1}, "row 0, time 1: 1 is not behind"},
  };
  for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
    assert_int_equal(rh_ode_check_times(wrong[i].t0, wrong[i].t1, 2, 2, wrong[i].time), RH_E_ARGUMENT);
    if (!strstr(rh_last_error(), wrong[i].says)) fail_msg("%s: not in %s", wrong[i].says, rh_last_error());
  }
  const double fine[4] = {0, 1, 0.5, 0.6}, back[4] = {1, 0, 0.6, 0.5}, one = 1;
  assert_int_equal(rh_ode_check_times(0, 1, 2, 2, fine), RH_OK);
  assert_int_equal(rh_ode_check_times(1, 0, 2, 2, back), RH_OK);
  assert_int_equal(rh_ode_check_times(1, 1, 1, 1, &one), RH_OK);
}

/* ---- the steps taken, told and done again ---- */

typedef struct told {
  setup problem; /* first: what the field reads */
  int64_t row[ROWS * TRIED], count;
  double t[ROWS * TRIED], h[ROWS * TRIED];
  char y[ROWS * TRIED][16]; /* states of two numbers */
} told;

static void note(void *arg, int64_t count, const int64_t *row, const double *t, const double *h, const void *y) {
  told *s = arg;
  for (int64_t i = 0; i < count; i++, s->count++) {
    assert_true(s->count < ROWS * TRIED && (!i || row[i] > row[i - 1]));
    s->row[s->count] = row[i], s->t[s->count] = t[i], s->h[s->count] = h[i];
    memcpy(s->y[s->count], (const char *)y + i * 2 * s->problem.real_bytes, (size_t)(2 * s->problem.real_bytes));
  }
}

/* A turn whose speed knows the time, so that a stage's time that is off by an ulp shows. */
static void turning(void *arg, int64_t rows, const int64_t *row, const double *t, const void *y, void *dy) {
  const setup *s = arg;
  for (int64_t i = 0; i < rows; i++) {
    const double w = s->rate[row[i]] * (3 + cos(5 * t[i]));
    put(s, dy, 2 * i, w * get(s, y, 2 * i + 1));
    put(s, dy, 2 * i + 1, -w * get(s, y, 2 * i));
  }
}

/* From y0 through each step told, each state the next one told, to y1: by any of the three ways of choosing steps. */
static void steps_replay_to_the_same_bits(void **state) {
  (void)state;
  static told s;
  double rate[ROWS], y0[2 * ROWS], times[ROWS * TIMES], y1[2 * ROWS];
  spread(0.1, 1.7, rate, y0, times);
  for (int m = 0; m < RH_ODE_METHODS; m++)
    for (int real = 4; real <= 8; real += 4)
      for (int way = rh_ode_tableau_of((rh_ode_method)m)->estimate ? 0 : 1; way < 3; way++) {
        rh_ode_options o = by_tolerance((rh_ode_method)m);
        if (way == 1) o.steps = 23;
        if (way == 2) o.max_steps = 3, o.fallback_steps = 17;
        s.problem = (setup){.real_bytes = real, .n = 2, .rate = rate};
        s.count = 0;
        const rh_ode_problem asked = {.accepted = note};
        const rh_ode_report report = solve_more(&s.problem, turning, 1.7, 0.1, &o, ROWS, y0, y1, &asked);
        assert_int_equal(report.taken, s.count);
        assert_int_equal(report.unfinished, 0);
        if (way == 2 && !o.steps) assert_int_equal(report.fell_back, ROWS);
        const size_t bytes = (size_t)(2 * real);
        char now[ROWS][16];
        for (int i = 0; i < 2 * ROWS; i++) put(&s.problem, now, i / 2 * (16 / real) + i % 2, y0[i]);
        rh_ode_work *w;
        assert_int_equal(rh_ode_work_create(2, 2, real, o.method, false, &w), RH_OK);
        const rh_ode_problem p = {.n = 2, .field = turning, .arg = &s};
        for (int64_t i = 0; i < s.count; i++) { /* each with a stranger beside it */
          const int64_t rows[2] = {(s.row[i] + 1) % ROWS, s.row[i]};
          const double t[2] = {0.5, s.t[i]}, h[2] = {0.1, s.h[i]};
          char y[32] = {0};
          assert_memory_equal(now[s.row[i]], s.y[i], bytes);
          memcpy(y + bytes, s.y[i], bytes);
          rh_ode_step(&p, w, 2, rows, t, h, y, y);
          memcpy(now[s.row[i]], y + bytes, bytes);
        }
        rh_ode_work_destroy(w);
        for (int i = 0; i < 2 * ROWS; i++) assert_true(get(&s.problem, now[i / 2], i % 2) == y1[i]);
      }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(interpolants_have_their_orders), cmocka_unit_test(times_are_each_rows_own),
      cmocka_unit_test(values_between_are_alone),       cmocka_unit_test(times_not_reached),
      cmocka_unit_test(wrong_times_are_refused),        cmocka_unit_test(steps_replay_to_the_same_bits),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
