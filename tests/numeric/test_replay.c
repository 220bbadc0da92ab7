/* Steps taken back: the gradient is that of the steps that were taken, to rounding, however few states are kept. */
#include "numeric/replay.h"

#include "support/initial_value.h"

enum { ROWS = 7, N = 2, STEPS = 400 };

/* A pendulum with a drag that comes and goes: y0' = y1, y1' = -r sin y0 - y1 cos(t) / 5. */
static void pendulum(void *arg, int64_t rows, const int64_t *row, const double *t, const void *y, void *dy) {
  setup *s = arg;
  s->calls += rows;
  for (int64_t i = 0; i < rows; i++) {
    const double a = get(s, y, 2 * i), b = get(s, y, 2 * i + 1);
    put(s, dy, 2 * i, b);
    put(s, dy, 2 * i + 1, -s->rate[row[i]] * sin(a) - b * cos(t[i]) / 5);
  }
}
static void pull(void *arg, int64_t rows, const int64_t *row, const double *t, const void *y, const void *ct, void *back) {
  const setup *s = arg;
  for (int64_t i = 0; i < rows; i++) {
    const double a = get(s, y, 2 * i), u = get(s, ct, 2 * i), v = get(s, ct, 2 * i + 1);
    put(s, back, 2 * i, -s->rate[row[i]] * cos(a) * v);
    put(s, back, 2 * i + 1, u - cos(t[i]) / 5 * v);
    s->integral[row[i]] -= v * sin(a);
  }
}

typedef struct steps {
  setup own;
  int n[ROWS];
  double t[ROWS][STEPS], h[ROWS][STEPS];
} steps;
static void note(void *arg, int64_t count, const int64_t *row, const double *t, const double *h, const void *y) {
  steps *s = arg;
  (void)y;
  for (int64_t i = 0; i < count; i++) {
    const int at = s->n[row[i]]++;
    assert_true(at < STEPS);
    s->t[row[i]][at] = t[i];
    s->h[row[i]][at] = h[i];
  }
}

static const double rates[ROWS] = {0.5, 1, 2, 3, 5, 7, 9};
static const double starts[ROWS * N] = {1, 0, -2, 0.5, 0.3, 1, 2.5, -1, 0.1, 0.2, -1, 3, 0.7, -0.4};
static const double cts[ROWS * N] = {1, -0.5, 0.3, 2, -1, 1, 0.7, 0.1, -2, 0.4, 1, 1, 0.2, -0.9};

/* grad: [rows, n + 1]: of the state and of the rate */
static void *on_tape(void *arg, int64_t row, double t, double h) {
  return rh_tape_step(((const setup *)arg)->tape, row, t, h);
}

/* slots < 0: from a tape */
static void gradient(const rh_ode_options *o, int real_bytes, int64_t slots, int64_t rows, const int64_t *which, double t0, double t1,
                     double *grad, rh_ode_report *report) {
  double rate[ROWS], integral[ROWS] = {0};
  setup s = {.real_bytes = real_bytes, .n = N, .rate = rate, .integral = integral};
  char y0[ROWS * N * 8], ct[ROWS * N * 8];
  for (int64_t i = 0; i < rows; i++) {
    rate[i] = rates[which[i]];
    for (int64_t j = 0; j < N; j++) put(&s, y0, i * N + j, starts[which[i] * N + j]), put(&s, ct, i * N + j, cts[which[i] * N + j]);
  }
  rh_replay *r;
  assert_int_equal(rh_replay_create(N, rows, real_bytes, o, slots < 0 ? 0 : slots, &r), RH_OK);
  const rh_ode_problem forward = {.n = N, .t0 = t0, .t1 = t1, .field = pendulum, .arg = &s};
  const rh_replay_problem p = {&forward, pull};
  rh_tape tape = {.n = N, .real_bytes = real_bytes, .method = o->method};
  if (slots < 0) {
    double y1[ROWS * N];
    rh_ode_problem told = forward;
    rh_ode_work *w;
    told.stages = on_tape;
    s.tape = &tape;
    tape.at = malloc((size_t)(rows * rh_tape_numbers(o->method, N) * real_bytes));
    rh_tape_begin(&tape, rows);
    assert_int_equal(rh_ode_work_create(N, rows, real_bytes, o->method, false, &w), RH_OK);
    rh_ode_solve(&told, o, w, rows, y0, y1, report);
    rh_ode_work_destroy(w);
    *report = (rh_ode_report){0};
  }
  rh_replay_run(&p, o, r, rows, y0, ct, ct, slots < 0 ? &tape : NULL, report);
  free(tape.at);
  rh_replay_destroy(r);
  for (int64_t i = 0; i < rows; i++) {
    for (int64_t j = 0; j < N; j++) grad[i * (N + 1) + j] = get(&s, ct, i * N + j);
    grad[i * (N + 1) + N] = integral[i];
  }
}

static double along(const rh_ode_options *o, const steps *taken, int row, double rate, const double *y0) {
  setup s = {.real_bytes = 8, .n = N, .rate = &rate};
  const rh_ode_problem p = {.n = N, .field = pendulum, .arg = &s};
  rh_ode_work *w;
  assert_int_equal(rh_ode_work_create(N, 1, 8, o->method, false, &w), RH_OK);
  double y[N] = {y0[0], y0[1]};
  const int64_t first = 0;
  for (int i = 0; i < taken->n[row]; i++) rh_ode_step(&p, w, 1, &first, &taken->t[row][i], &taken->h[row][i], y, y);
  rh_ode_work_destroy(w);
  return y[0] * cts[row * N] + y[1] * cts[row * N + 1];
}

static const int64_t all[ROWS] = {0, 1, 2, 3, 4, 5, 6};

static void of_every_method(void **state) {
  (void)state;
  for (int m = 0; m < RH_ODE_METHODS; m++)
    for (int equal = 0; equal < 2; equal++) {
      if (!equal && !rh_ode_tableau_of(m)->estimate) continue;
      const rh_ode_options o = {.method = m, .steps = equal ? 9 : 0, .rtol = 1e-5, .atol = 1e-5, .max_steps = STEPS};
      steps taken = {.own = {.real_bytes = 8, .n = N, .rate = rates}};
      const rh_ode_problem told = {.accepted = note};
      double y1[ROWS * N], grad[ROWS * (N + 1)];
      setup *s = &taken.own;
      solve_more(s, pendulum, 0.5, -2, &o, ROWS, starts, y1, &told);
      rh_ode_report report = {0};
      gradient(&o, 8, 0, ROWS, all, 0.5, -2, grad, &report);
      for (int r = 0; r < ROWS; r++)
        for (int j = 0; j <= N; j++) {
          const double e = 1e-6;
          double value[2];
          for (int side = 0; side < 2; side++) {
            double y0[N] = {starts[r * N], starts[r * N + 1]}, rate = rates[r];
            *(j < N ? &y0[j] : &rate) += side ? e : -e;
            value[side] = along(&o, &taken, r, rate, y0);
          }
          const double want = (value[1] - value[0]) / (2 * e);
          if (!(fabs(grad[r * (N + 1) + j] - want) <= 2e-8 * (1 + fabs(want))))
            fail_msg("%s%s, row %d, %d: %.12g, differences say %.12g", rh_ode_tableau_of(m)->name, equal ? " in equal steps" : "", r, j,
                     grad[r * (N + 1) + j], want);
        }
    }
}

/* Bit for bit the gradient that keeps all states, with few kept; and a row alone as in company. */
static void however_few_are_kept(void **state) {
  (void)state;
  static const int64_t slots[] = {2, 3, 5, 16, 64};
  for (int rb = 4; rb <= 8; rb += 4)
    for (int equal = 0; equal < 2; equal++) {
      const rh_ode_options o = {.method = RH_ODE_DP54, .steps = equal ? 150 : 0, .rtol = 1e-6, .atol = 1e-6, .max_steps = STEPS};
      double whole[ROWS * (N + 1)], few[ROWS * (N + 1)];
      rh_ode_report report = {0}, before = {0};
      gradient(&o, rb, 0, ROWS, all, 0, 12, whole, &before);
      assert_true(before.taken > 20 * ROWS);
      for (size_t i = 0; i < RH_COUNT_OF(slots); i++) {
        report = (rh_ode_report){0};
        gradient(&o, rb, slots[i], ROWS, all, 0, 12, few, &report);
        assert_memory_equal(few, whole, sizeof few);
        assert_int_equal(report.taken, before.taken);
        if (slots[i] < 16) assert_true(report.evaluations > before.evaluations); /* what is not kept is found again */
      }
      for (int64_t r = 0; r < ROWS; r++) {
        gradient(&o, rb, 3, 1, &r, 0, 12, few, &report);
        assert_memory_equal(few, whole + r * (N + 1), (N + 1) * sizeof *few);
      }
    }
}

/* From a tape the same bits without solving again, but for rows whose steps it could not hold. */
static void from_a_tape(void **state) {
  (void)state;
  for (int rb = 4; rb <= 8; rb += 4)
    for (int m = 0; m < RH_ODE_METHODS; m++) {
      const rh_ode_options o = {.method = m, .steps = RH_TAPE_STEPS}, longer = {.method = m, .steps = RH_TAPE_STEPS + 1},
                           own = {.method = m, .rtol = 1e-3, .atol = 1e-3, .max_steps = STEPS};
      const int stages = rh_ode_stages(rh_ode_tableau_of(m));
      double again[ROWS * (N + 1)], taped[ROWS * (N + 1)];
      rh_ode_report by_solving = {0}, by_tape = {0}, too_long = {0};
      gradient(&o, rb, 0, ROWS, all, 0, 2, again, &by_solving);
      gradient(&o, rb, -1, ROWS, all, 0, 2, taped, &by_tape);
      assert_memory_equal(again, taped, sizeof again);
      assert_int_equal(by_tape.evaluations, ROWS * RH_TAPE_STEPS * stages);
      gradient(&longer, rb, 0, ROWS, all, 0, 2, again, &by_solving);
      gradient(&longer, rb, -1, ROWS, all, 0, 2, taped, &too_long);
      assert_memory_equal(again, taped, sizeof again);
      assert_int_equal(too_long.taken, ROWS * (RH_TAPE_STEPS + 1));
      if (!rh_ode_tableau_of(m)->estimate) continue;
      too_long = (rh_ode_report){0};
      gradient(&own, rb, 0, ROWS, all, 0, 6, again, &by_solving); /* some rows fit the tape, some do not */
      gradient(&own, rb, -1, ROWS, all, 0, 6, taped, &too_long);
      assert_memory_equal(again, taped, sizeof again);
    }
}

/* Room grows by levels of checkpoints; the cost of finding states again by as many solutions. */
static void memory_grows_with_the_logarithm(void **state) {
  (void)state;
  int64_t bytes[3], cost[3];
  const int64_t steps_of[3] = {16, 256, 4096};
  for (int i = 0; i < 3; i++) {
    const rh_ode_options o = {.method = RH_ODE_RK4, .steps = steps_of[i]};
    double grad[ROWS * (N + 1)];
    rh_ode_report report = {0};
    bytes[i] = rh_replay_bytes(64, ROWS, 8, &o, 16);
    gradient(&o, 8, 16, ROWS, all, 0, 3, grad, &report);
    cost[i] = report.evaluations / (ROWS * steps_of[i]);
  }
  assert_int_equal(bytes[1] - bytes[0], bytes[2] - bytes[1]);
  assert_true(bytes[1] - bytes[0] == 16 * ROWS * 64 * 8);
  assert_true(cost[0] <= 4 + 3 + 4 && cost[1] <= cost[0] + 4 && cost[2] <= cost[0] + 8);
}

/* Steps by tolerance: many more that a row may take cost no more than one row's times. Fewer rows are then solved again together, with the
 * same bits. */
static void steps_that_may_come_take_little_room(void **state) {
  (void)state;
  const rh_ode_options few = {.method = RH_ODE_BS32, .rtol = 1e-8, .atol = 1e-8, .max_steps = 4000};
  rh_ode_options many = few;
  double grad[2][ROWS * (N + 1)];
  for (int i = 0; i < 2; i++) {
    rh_ode_report report = {0};
    gradient(i ? &many : &few, 8, 16, ROWS, all, 0, 1, grad[i], &report);
    assert_true(report.unfinished == 0 && report.taken > 20 * ROWS); /* no tape holds them */
    many.max_steps = 1 << 20;
  }
  assert_memory_equal(grad[0], grad[1], sizeof grad[0]);
  assert_true(rh_replay_bytes(64, 64, 8, &many, 16) < ((int64_t)16 << 20) + 4 * rh_replay_bytes(64, 64, 8, &few, 16));
}

/* No way to go: the cotangent comes back as it was. */
static void nothing_to_take_back(void **state) {
  (void)state;
  const rh_ode_options o = {.method = RH_ODE_DP54, .rtol = 1e-6, .atol = 1e-6, .max_steps = 10};
  double grad[ROWS * (N + 1)];
  rh_ode_report report = {0};
  gradient(&o, 8, 2, ROWS, all, 1, 1, grad, &report);
  for (int r = 0; r < ROWS; r++) assert_true(grad[r * (N + 1)] == cts[r * N] && grad[r * (N + 1) + N] == 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(of_every_method),
                                     cmocka_unit_test(however_few_are_kept),
                                     cmocka_unit_test(from_a_tape),
                                     cmocka_unit_test(memory_grows_with_the_logarithm),
                                     cmocka_unit_test(steps_that_may_come_take_little_room),
                                     cmocka_unit_test(nothing_to_take_back)};
  return cmocka_run_group_tests_name("numeric.replay", tests, NULL, NULL);
}
