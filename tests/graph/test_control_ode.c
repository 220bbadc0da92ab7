/* ode on a linear field inside a chain of couplings: against the matrix exponential and differences, first and second order; bits of rows
 * and of sums, however run; steps, reports, workspaces used again. */
#include "support/ode_chain.h"

/* e^M for [n, n] by Taylor after halving (Moler & Van Loan 2003, method 3). */
static void matrix_exponential(int n, const double *m, double *e) {
  double term[64], next[64];
  const double scale = 0x1p-10;
  for (int i = 0; i < n * n; i++) term[i] = e[i] = i % (n + 1) == 0;
  for (int k = 1; k < 12; k++) {
    for (int i = 0; i < n * n; i++) {
      next[i] = 0;
      for (int l = 0; l < n; l++) next[i] += term[i / n * n + l] * m[l * n + i % n] * scale / k;
    }
    for (int i = 0; i < n * n; i++) e[i] += term[i] = next[i];
  }
  for (int s = 0; s < 10; s++) {
    for (int i = 0; i < n * n; i++) {
      next[i] = 0;
      for (int l = 0; l < n; l++) next[i] += e[i / n * n + l] * e[l * n + i % n];
    }
    memcpy(e, next, (size_t)(n * n) * sizeof *e);
  }
}

/* y1 = e^(A T) y0 + the integral of e^(A s) B m: the exponential of [A T, B m T; 0, 0]. */
static void ode_is_the_matrix_exponential(void **state) {
  (void)state;
  chain s;
  chain_begin(&s, 8, &tight);
  double y0[ROWS * D], y1[ROWS * D], share[ROWS], trace = 0;
  const rh_val out[3] = {s.before, s.after, s.share};
  double *const to[3] = {y0, y1, share};
  chain_rows(&s, 0, ROWS, 0, 1, 3, out, to);
  for (int i = 0; i < D; i++) trace += rh_values_get(&s.leaves, &s.values, ODE_A, i * (D + 1));
  for (int r = 0; r < ROWS; r++) {
    double m[25] = {0}, e[25];
    for (int i = 0; i < D; i++) {
      for (int j = 0; j < D; j++) m[i * 5 + j] = (until - from) * rh_values_get(&s.leaves, &s.values, ODE_A, i * D + j);
      for (int j = 0; j < M; j++)
        m[i * 5 + 4] += (until - from) * rh_values_get(&s.leaves, &s.values, ODE_B, i * M + j) * s.input[1][r * M + j];
    }
    matrix_exponential(5, m, e);
    for (int i = 0; i < D; i++) {
      double want = e[i * 5 + 4];
      for (int j = 0; j < D; j++) want += e[i * 5 + j] * y0[r * D + j];
      assert_true(fabs(y1[r * D + i] - want) < 1e-9);
    }
  }
  for (int r = 0; r < ROWS; r++) assert_true(fabs(share[r] - trace * (until - from)) < 1e-11);
  chain_end(&s);
}

static void ode_has_every_gradient(void **state) {
  (void)state;
  for (int memory = 0; memory < 2; memory++) {
    chain s;
    chain_begin(&s, 8, &tight);
    rh_val first[ODE_WRT], second[ODE_WRT];
    PROBE_OK(rh_vjp(&s.g, 1, &s.loss, NULL, ODE_WRT, s.wrt, first, memory ? RH_RECOMPUTE : RH_KEEP));
    check_chain(&s, s.loss, first, "first order", 1e-7);
    if (!memory) {
      const rh_val of = rh_add(&s.g, weigh(&s.g, rh_square(&s.g, first[0]), 80), weigh(&s.g, first[1], 81));
      PROBE_OK(rh_vjp(&s.g, 1, &of, NULL, ODE_WRT, s.wrt, second, RH_KEEP));
      check_chain(&s, of, second, "second order", 1e-6);
    }
    chain_end(&s);
  }
}

/* With equal steps the derivatives are still those of the exact solution, to the method's order. */
static void equal_steps_have_gradients(void **state) {
  (void)state;
  const rh_ode_options options = {.method = RH_ODE_RK4, .steps = 200};
  chain s;
  chain_begin(&s, 8, &options);
  rh_val first[ODE_WRT];
  PROBE_OK(rh_vjp(&s.g, 1, &s.loss, NULL, ODE_WRT, s.wrt, first, RH_KEEP));
  check_chain(&s, s.loss, first, "rk4", 1e-7);
  chain_end(&s);
}

static void ode_tangents_pass(void **state) {
  (void)state;
  chain s;
  chain_begin(&s, 8, &tight);
  double *way[2], *kept[2], f[4];
  rh_val direction[2], tangent;
  for (int i = 0; i < 2; i++) {
    const int64_t n = rh_count(&s.g, s.wrt[i]);
    way[i] = probe_random(n, 90 + (uint64_t)i, -1, 1);
    direction[i] = rh_const_values(&s.g, rh_shape1(n), way[i]);
    kept[i] = s.input[i];
  }
  PROBE_OK(rh_jvp(&s.g, 2, s.wrt, direction, 1, &s.loss, &tangent));
  static const double far[4] = {1, -1, 2, -2};
  const double got = chain_total(&s, tangent), h = 4e-3;
  for (int j = 0; j < 4; j++) {
    for (int i = 0; i < 2; i++) {
      const int64_t n = rh_count(&s.g, s.wrt[i]);
      s.input[i] = malloc((size_t)(ROWS * n) * sizeof(double));
      for (int64_t k = 0; k < ROWS * n; k++) s.input[i][k] = kept[i][k] + far[j] * h * way[i][k % n];
    }
    f[j] = chain_total(&s, s.loss);
    for (int i = 0; i < 2; i++) free(s.input[i]), s.input[i] = kept[i];
  }
  const double want = (8 * (f[0] - f[1]) - (f[2] - f[3])) / (12 * h);
  if (!(fabs(got - want) <= 1e-7 * fmax(1, fabs(want)))) fail_msg("ode: tangent %.12g, differences %.12g", got, want);
  const rh_val ones = rh_const(&s.g, rh_shape2(D, D), 1);
  assert_int_equal(rh_jvp(&s.g, 1, &s.wrt[2 + ODE_A], &ones, 1, &s.loss, &tangent), RH_E_UNSUPPORTED);
  assert_non_null(strstr(rh_last_error(), "\"A\""));
  free(way[0]), free(way[1]);
  chain_end(&s);
}

/* ---- bits ---- */

static void a_row_is_alone(void **state) {
  (void)state;
  rows_are_alone(&loose);
}
static void threads_do_not_show(void **state) {
  (void)state;
  threads_hide(&loose);
}

/* float32 near float64, values and gradients. */
static void single_precision_is_near(void **state) {
  (void)state;
  static double a[ODE_WRT][MOST * D], b[ODE_WRT][MOST * D];
  const rh_ode_options options = {.method = RH_ODE_DP54, .rtol = 1e-6, .atol = 1e-7, .max_steps = 4000};
  double loss[2][ROWS];
  for (int rb = 4; rb <= 8; rb += 4) {
    chain s;
    rh_val first[ODE_WRT];
    chain_begin(&s, rb, &options);
    PROBE_OK(rh_vjp(&s.g, 1, &s.loss, NULL, ODE_WRT, s.wrt, first, RH_KEEP));
    chain_gradients(&s, first, ROWS, 1, 0, rb == 4 ? a : b);
    chain_rows(&s, 0, ROWS, 0, 1, 1, &s.loss, (double *const[]){loss[rb == 8]});
    chain_end(&s);
  }
  for (int r = 0; r < ROWS; r++) assert_true(fabs(loss[0][r] - loss[1][r]) < 1e-5 * fmax(1, fabs(loss[1][r])));
  for (int i = 0; i < ODE_WRT; i++)
    for (int64_t k = 0; k < ROWS * D; k++) assert_true(fabs(a[i][k] - b[i][k]) < 3e-5 * fmax(1, fabs(b[i][k])));
}

static rh_val falling(rh_graph *b, void *arg, rh_val y, rh_val t, rh_val m) {
  (void)arg, (void)t, (void)m;
  return rh_mulc(b, rh_sin(b, y), 8);
}

/* y stays at 0 and needs no steps; its derivative, e^8, does: the control must see it, forwards and backwards. */
static void derivatives_ask_for_steps(void **state) {
  (void)state;
  const rh_ode_options options = {.method = RH_ODE_DP54, .rtol = 1e-7, .atol = 1e-9, .max_steps = 1000};
  rh_graph g;
  PROBE_OK(rh_graph_init(&g, NULL));
  const rh_val x = rh_input(&g, rh_shape1(1)), y = rh_ode(&g, x, RH_NONE, 0, 1, &options, falling, NULL),
               one = rh_const(&g, rh_shape1(1), 1);
  rh_val back, forward;
  PROBE_OK(rh_vjp(&g, 1, &y, NULL, 1, &x, &back, RH_KEEP));
  PROBE_OK(rh_jvp(&g, 1, &x, &one, 1, &y, &forward));
  const double at[1] = {0};
  double got[2];
  probe p = {.g = &g, .real_bytes = 8, .rows = 1, .input = {at}, .n_row = 2, .row_val = {back, forward}, .row_out = {&got[0], &got[1]}};
  probe_run(&p);
  for (int i = 0; i < 2; i++) assert_true(fabs(got[i] / exp(8) - 1) < 1e-5);
  rh_graph_free(&g);
}

/* ---- running more than once, and what goes wrong ---- */

static void run_opened(const chain *s, const opened *o) {
  double loss[ROWS], sink[ODE_LEAVES][D * HIDDEN];
  void *rows[1] = {loss}, *params[ODE_LEAVES];
  for (int i = 0; i < ODE_LEAVES; i++) params[i] = sink[i];
  rh_dense_input in[2] = {{s->input[0], D * 8}, {s->input[1], M * 8}};
  const rh_run_io io = {.values = &s->values, .rows = ROWS, .load = rh_load_dense, .arg = in, .row_out = rows, .param_out = params};
  rh_run(o->plan, o->work, o->pool, &io);
  for (int i = 0; i < ROWS; i++) assert_true(isfinite(loss[i]));
}

/* A row that runs out of steps keeps its last state, or falls back on equal ones; who asks is told. */
static void unfinished_rows_are_reported(void **state) {
  (void)state;
  for (int way = 0; way < 3; way++) {
    const int steps = way == 2 ? 3000 : 3;
    const rh_ode_options options = {
        .method = RH_ODE_DP54, .rtol = 1e-8, .atol = 1e-8, .max_steps = steps, .fallback_steps = way == 1 ? 5 : 0};
    chain s;
    opened o = {0};
    rh_val grads[ODE_WRT];
    rh_ode_report report;
    chain_begin(&s, 8, &options);
    PROBE_OK(rh_vjp(&s.g, 1, &s.loss, NULL, ODE_WRT, s.wrt, grads, RH_KEEP));
    PROBE_OK(open_plan(&s.g, s.loss, ODE_LEAVES, grads + 2, ROWS, 0, &o));
    run_opened(&s, &o);
    const rh_status status = rh_work_report(o.work, &report);
    assert_int_equal(status, way == 0 ? RH_E_NUMERIC : RH_OK);
    assert_int_equal(report.unfinished, way == 0 ? 3 * ROWS : 0); /* the solution, its adjoint, and that once more for the sums */
    assert_int_equal(report.fell_back, way == 1 ? 3 * ROWS : 0);
    assert_true(way == 0 ? report.missing > 0 && report.missing <= 1 : report.missing == 0);
    assert_true(report.evaluations > 3 * ROWS && report.taken > 0);
    if (way == 0) assert_non_null(strstr(rh_last_error(), "did not arrive"));
    PROBE_OK(rh_work_report(o.work, &report));
    assert_int_equal(report.evaluations, 0);
    close_plan(&o);
    chain_end(&s);
  }
}

static void sums_of(const chain *s, const opened *o, int64_t rows, sums out) {
  rh_dense_input in[2] = {{s->input[0], D * 8}, {s->input[1], M * 8}};
  run_sums(&s->values, o, in, ODE_LEAVES, rows, out);
}

/* A workspace used again sees the values of now; many superblocks add up to what one gives; no rows give zeros. */
static void workspaces_serve_again(void **state) {
  (void)state;
  chain s;
  opened one = {0}, many = {0};
  rh_val grads[ODE_WRT];
  sums a = {{0}}, b = {{0}}, c = {{0}};
  chain_begin(&s, 8, &loose);
  PROBE_OK(rh_vjp(&s.g, 1, &s.loss, NULL, ODE_WRT, s.wrt, grads, RH_KEEP));
  PROBE_OK(open_plan(&s.g, s.loss, ODE_LEAVES, grads + 2, MOST, 0, &one));
  PROBE_OK(open_plan(&s.g, s.loss, ODE_LEAVES, grads + 2, MOST, 1, &many));
  rh_plan_info info;
  rh_plan_describe(many.plan, &info);
  assert_true(info.super_rows < MOST / 2);
  sums_of(&s, &one, MOST, a);
  sums_of(&s, &many, MOST, b);
  near(&s.leaves, ODE_LEAVES, a, b);
  for (int i = 0; i < ODE_LEAVES; i++) rh_values_set(&s.leaves, &s.values, i, 0, 0.123);
  sums_of(&s, &one, MOST, a);
  close_plan(&many);
  PROBE_OK(open_plan(&s.g, s.loss, ODE_LEAVES, grads + 2, MOST, 0, &many));
  sums_of(&s, &many, MOST, b);
  assert_memory_equal(a, b, sizeof a);
  sums_of(&s, &one, 0, a);
  assert_memory_equal(a, c, sizeof a);
  close_plan(&one), close_plan(&many);
  chain_end(&s);
}

static int64_t allowed, asked;
static int refuse(void *state) {
  (void)state;
  return asked++ >= allowed;
}

/* Every allocation fails once: an error each time, nothing lost; and running allocates nothing. */
static void allocations_may_fail(void **state) {
  (void)state;
  bool done = false;
  chain s;
  chain_begin(&s, 8, &loose);
  rh_val grads[ODE_WRT];
  PROBE_OK(rh_vjp(&s.g, 1, &s.loss, NULL, ODE_WRT, s.wrt, grads, RH_KEEP));
  for (allowed = 0; !done; allowed += allowed < 200 ? 1 : 7) {
    assert_true(allowed < 1000000);
    opened o = {0};
    asked = 0;
    rh_alloc_set_hook(refuse, NULL);
    done = open_plan(&s.g, s.loss, ODE_LEAVES, grads + 2, ROWS, 0, &o) == RH_OK;
    if (done) {
      const int64_t until_now = asked;
      run_opened(&s, &o);
      assert_int_equal(asked, until_now);
    }
    rh_alloc_set_hook(NULL, NULL);
    close_plan(&o);
  }
  chain_end(&s);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(ode_is_the_matrix_exponential),
                                     cmocka_unit_test(ode_has_every_gradient),
                                     cmocka_unit_test(equal_steps_have_gradients),
                                     cmocka_unit_test(ode_tangents_pass),
                                     cmocka_unit_test(a_row_is_alone),
                                     cmocka_unit_test(threads_do_not_show),
                                     cmocka_unit_test(single_precision_is_near),
                                     cmocka_unit_test(derivatives_ask_for_steps),
                                     cmocka_unit_test(unfinished_rows_are_reported),
                                     cmocka_unit_test(workspaces_serve_again),
                                     cmocka_unit_test(allocations_may_fail)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
