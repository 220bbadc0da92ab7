/* Nodes with bodies: scan against the same steps written out and against differences, first and second order; bodies inside bodies; bits of
 * sums, however run; what goes wrong. */
#include "support/loops.h"

enum { ROWS = 5, STEPS = 4, C = 3, X = 2, M = 2, LEAVES = 4, WRT = 3 + LEAVES, MOST = 1000 };

/* ---- a recurrent step that reads everything there is ---- */

static const rh_val *written_out; /* parameters of the graph that the steps are written out in; NULL: the body's own */

static rh_val leaf_in(rh_graph *b, int i) {
  return written_out ? written_out[i] : rh_leaf_val(b, i);
}

/* c' = tanh(W c + b + U x) + v m_0 c; y = [c x_0, sin(c') m_1 (a [1, 2] tail)] */
static void step(rh_graph *b, void *arg, rh_val c, rh_val x, rh_val m, rh_val *next, rh_val *y) {
  (void)arg;
  const rh_val h = rh_add(b, rh_linear(b, c, leaf_in(b, 0), leaf_in(b, 1)), rh_linear(b, x, leaf_in(b, 2), RH_NONE));
  const rh_val gain = rh_mul(b, rh_slice(b, m, 0, 1), leaf_in(b, 3));
  *next = rh_add(b, rh_tanh(b, h), rh_mul(b, gain, c));
  const rh_val parts[2] = {rh_mul(b, c, rh_slice(b, x, 0, 1)), rh_mul(b, rh_sin(b, *next), rh_slice(b, m, 1, 1))};
  *y = rh_reshape(b, rh_concat(b, 2, parts), rh_shape2(2, C));
}

typedef struct setup {
  rh_leaves leaves;
  rh_values values;
  rh_graph g;
  rh_val wrt[WRT]; /* carry0, xs, captures, leaves */
  double *input[3];
} setup;

static void begin(setup *s, int real_bytes) {
  *s = (setup){0};
  const rh_shape shapes[LEAVES] = {rh_shape2(C, C), rh_shape1(C), rh_shape2(C, X), rh_shape1(C)};
  int leaf;
  for (int i = 0; i < LEAVES; i++)
    PROBE_OK(rh_leaf_add(&s->leaves, RH_PARAM, shapes[i], (rh_init){RH_INIT_UNIFORM, 0.7, NULL}, false, &leaf, "w%d", i));
  PROBE_OK(rh_leaf_add(&s->leaves, RH_PARAM, rh_shape1(2), (rh_init){RH_INIT_UNIFORM, 0.7, NULL}, false, &leaf, "not read"));
  PROBE_OK(rh_values_create(&s->leaves, real_bytes, &s->values));
  rh_values_init(&s->leaves, 4, &s->values);
  PROBE_OK(rh_graph_init(&s->g, &s->leaves));
  s->wrt[0] = rh_input(&s->g, rh_shape1(C));
  s->wrt[1] = rh_input(&s->g, rh_shape2(STEPS, X));
  s->wrt[2] = rh_input(&s->g, rh_shape1(M));
  for (int i = 0; i < LEAVES; i++) s->wrt[3 + i] = rh_leaf_val(&s->g, i);
  for (int i = 0; i < 3; i++) s->input[i] = probe_random(MOST * rh_count(&s->g, s->wrt[i]), 30 + (uint64_t)i, -1, 1);
}

static void end(setup *s) {
  for (int i = 0; i < 3; i++) free(s->input[i]);
  rh_graph_free(&s->g);
  rh_values_free(&s->values);
  rh_leaves_free(&s->leaves);
}

static rh_val loss_of(rh_graph *g, rh_val carry, rh_val ys) {
  return rh_add(g, weigh(g, rh_square(g, carry), 1), weigh(g, rh_mul(g, ys, rh_addc(g, ys, 0.3)), 2));
}

static rh_val scanned(setup *s, bool reverse) {
  rh_val carry, ys;
  rh_scan(&s->g, STEPS, reverse, s->wrt[0], s->wrt[1], s->wrt[2], step, NULL, &carry, &ys);
  PROBE_OK(s->g.status);
  const rh_shape want = rh_shape3(STEPS, 2, C);
  assert_true(rh_shape_same(&rh_at(&s->g, ys)->shape, &want));
  return loss_of(&s->g, carry, ys);
}

static rh_val unrolled(setup *s, bool reverse) {
  rh_graph *g = &s->g;
  rh_val c = s->wrt[0], ys[STEPS];
  written_out = s->wrt + 3;
  for (int i = 0; i < STEPS; i++) {
    const int t = reverse ? STEPS - 1 - i : i;
    step(g, NULL, c, rh_slice(g, s->wrt[1], t * X, X), s->wrt[2], &c, &ys[t]);
  }
  written_out = NULL;
  return loss_of(g, c, rh_reshape(g, rh_concat(g, STEPS, ys), rh_shape3(STEPS, 2, C)));
}

/* A number of the input (which < 3) or of a leaf. */
static double *number(setup *s, int which, int64_t k) {
  return which < 3 ? s->input[which] + k : (double *)rh_values_at(&s->leaves, &s->values, which - 3) + k;
}

static probe probe_of(const setup *s, int64_t rows) {
  probe p = {.g = &s->g, .values = &s->values, .real_bytes = s->values.real_bytes, .rows = rows};
  for (int i = 0; i < 3; i++) p.input[i] = s->input[i];
  return p;
}

static double total(const setup *s, rh_val v) {
  double out[ROWS], sum = 0;
  probe p = probe_of(s, ROWS);
  p.n_row = 1, p.row_val[0] = v, p.row_out[0] = out;
  probe_run(&p);
  for (int i = 0; i < ROWS; i++) sum += out[i];
  return sum;
}

static double difference(setup *s, rh_val of, int which, int64_t k) {
  static const double step_of[4] = {1, -1, 2, -2};
  const double h = 1e-3;
  double *at = number(s, which, k), kept = *at, f[4];
  for (int i = 0; i < 4; i++) *at = kept + step_of[i] * h, f[i] = total(s, of);
  *at = kept;
  return (8 * (f[0] - f[1]) - (f[2] - f[3])) / (12 * h);
}

/* All gradients of one loss, rows' ones first. */
static void gradients(const setup *s, const rh_val *grads, int64_t rows, int threads, int64_t block_rows,
                      double out[WRT][MOST * STEPS * X]) {
  probe p = probe_of(s, rows);
  p.threads = threads, p.block_rows = block_rows;
  for (int i = 0; i < WRT; i++) {
    memset(out[i], 0, sizeof out[i]);
    if (rh_is_none(grads[i])) continue;
    if (i < 3) {
      p.row_val[p.n_row] = grads[i], p.row_out[p.n_row++] = out[i];
    } else {
      p.param_val[p.n_param] = grads[i], p.param_out[p.n_param++] = out[i];
    }
  }
  probe_run(&p);
}

static double scan_grads[WRT][MOST * STEPS * X], plain_grads[WRT][MOST * STEPS * X];

static void compare(setup *s, const rh_val *scan, const rh_val *plain, rh_val loss, const char *name) {
  gradients(s, scan, ROWS, 1, 0, scan_grads);
  gradients(s, plain, ROWS, 1, 0, plain_grads);
  for (int i = 0; i < WRT; i++) {
    assert_int_equal(rh_is_none(scan[i]), rh_is_none(plain[i]));
    const int64_t n = rh_count(&s->g, s->wrt[i]) * (i < 3 ? ROWS : 1);
    for (int64_t k = 0; k < n; k++) {
      const double a = scan_grads[i][k], b = plain_grads[i][k], d = difference(s, loss, i, k);
      if (!(fabs(a - b) <= 1e-12 * fmax(1, fabs(b))))
        fail_msg("%s, operand %d, number %lld: %.15g, written out %.15g", name, i, (long long)k, a, b);
      if (!(fabs(a - d) <= 1e-7 * fmax(1, fabs(d))))
        fail_msg("%s, operand %d, number %lld: %.10g, differences %.10g", name, i, (long long)k, a, d);
    }
  }
}

static void scan_is_its_steps(void **state) {
  (void)state;
  for (int reverse = 0; reverse < 2; reverse++)
    for (int memory = 0; memory < 2; memory++) {
      setup s;
      begin(&s, 8);
      rh_scope_begin(&s.g);
      const rh_val a = scanned(&s, reverse);
      rh_scope_end(&s.g);
      const rh_val b = unrolled(&s, reverse);
      assert_true(fabs(total(&s, a) - total(&s, b)) < 1e-12);
      rh_val ga[WRT], gb[WRT], ha[WRT], hb[WRT];
      const rh_memory how = memory ? RH_RECOMPUTE : RH_KEEP;
      PROBE_OK(rh_vjp(&s.g, 1, &a, NULL, WRT, s.wrt, ga, how));
      PROBE_OK(rh_vjp(&s.g, 1, &b, NULL, WRT, s.wrt, gb, how));
      compare(&s, ga, gb, a, "first order");
      rh_val la = RH_NONE, lb = RH_NONE; /* a functional of the rows' gradients */
      for (int i = 0; i < 3; i++) {
        la = rh_add_maybe(&s.g, la, weigh(&s.g, rh_square(&s.g, ga[i]), 40 + (uint64_t)i));
        lb = rh_add_maybe(&s.g, lb, weigh(&s.g, rh_square(&s.g, gb[i]), 40 + (uint64_t)i));
      }
      PROBE_OK(rh_vjp(&s.g, 1, &la, NULL, WRT, s.wrt, ha, how));
      PROBE_OK(rh_vjp(&s.g, 1, &lb, NULL, WRT, s.wrt, hb, how));
      compare(&s, ha, hb, la, "second order");
      end(&s);
    }
}

/* What a step gives in a jvp along fixed directions of the rows' inputs, against differences along them. */
static void check_tangent(setup *s, rh_val value, const char *name) {
  rh_val direction[3], tangent;
  double *way[3];
  for (int i = 0; i < 3; i++) {
    const int64_t n = rh_count(&s->g, s->wrt[i]);
    way[i] = probe_random(n, 60 + (uint64_t)i, -1, 1);
    direction[i] = rh_const_values(&s->g, rh_at(&s->g, s->wrt[i])->shape, way[i]);
  }
  PROBE_OK(rh_jvp(&s->g, 3, s->wrt, direction, 1, &value, &tangent));
  const double got = total(s, tangent), h = 1e-3;
  static const double far[4] = {1, -1, 2, -2};
  double f[4];
  for (int i = 0; i < 4; i++) {
    double *kept[3];
    for (int k = 0; k < 3; k++) {
      const int64_t n = rh_count(&s->g, s->wrt[k]);
      kept[k] = s->input[k];
      s->input[k] = malloc((size_t)(ROWS * n) * sizeof(double));
      for (int64_t j = 0; j < ROWS * n; j++) s->input[k][j] = kept[k][j] + far[i] * h * way[k][j % n];
    }
    f[i] = total(s, value);
    for (int k = 0; k < 3; k++) free(s->input[k]), s->input[k] = kept[k];
  }
  for (int i = 0; i < 3; i++) free(way[i]);
  const double want = (8 * (f[0] - f[1]) - (f[2] - f[3])) / (12 * h);
  if (!(fabs(got - want) <= 1e-7 * fmax(1, fabs(want)))) fail_msg("%s: tangent %.12g, differences %.12g", name, got, want);
}

static void tangents_of_rows_pass(void **state) {
  (void)state;
  setup s;
  begin(&s, 8);
  const rh_val a = scanned(&s, false);
  check_tangent(&s, a, "scan");
  rh_val grad;
  PROBE_OK(rh_vjp(&s.g, 1, &a, NULL, 1, &s.wrt[2], &grad, RH_KEEP));
  check_tangent(&s, weigh(&s.g, rh_square(&s.g, grad), 3), "gradient of a scan");
  rh_val tangent, ones = rh_const(&s.g, rh_shape2(C, C), 1);
  assert_int_equal(rh_jvp(&s.g, 1, &s.wrt[3], &ones, 1, &a, &tangent), RH_E_UNSUPPORTED);
  assert_non_null(strstr(rh_last_error(), "\"w0\""));
  end(&s);
}

/* Threads do not show, in values and every gradient. */
static void threads_do_not_show(void **state) {
  (void)state;
  for (int rb = 4; rb <= 8; rb += 4) {
    setup s;
    rh_val grads[WRT];
    begin(&s, rb);
    const rh_val loss = scanned(&s, false);
    PROBE_OK(rh_vjp(&s.g, 1, &loss, NULL, WRT, s.wrt, grads, RH_RECOMPUTE));
    gradients(&s, grads, MOST, 1, 0, scan_grads);
    for (int threads = 2; threads <= 3; threads++) {
      gradients(&s, grads, MOST, threads, 0, plain_grads);
      assert_memory_equal(scan_grads, plain_grads, sizeof scan_grads);
    }
    end(&s);
  }
}

static void scans_add_up(void **state) {
  (void)state;
  setup s;
  opened one = {0}, many = {0};
  rh_val grads[WRT];
  sums a = {{0}}, b = {{0}};
  begin(&s, 8);
  const rh_val loss = scanned(&s, true);
  PROBE_OK(rh_vjp(&s.g, 1, &loss, NULL, WRT, s.wrt, grads, RH_KEEP));
  PROBE_OK(open_plan(&s.g, loss, LEAVES, grads + 3, MOST, 0, &one));
  PROBE_OK(open_plan(&s.g, loss, LEAVES, grads + 3, MOST, 1, &many));
  rh_plan_info info;
  rh_plan_describe(many.plan, &info);
  assert_true(info.super_rows < MOST / 2);
  rh_dense_input in[3] = {{s.input[0], C * 8}, {s.input[1], STEPS * X * 8}, {s.input[2], M * 8}};
  run_sums(&s.values, &one, in, LEAVES, MOST, a);
  run_sums(&s.values, &many, in, LEAVES, MOST, b);
  near(&s.leaves, LEAVES, a, b);
  close_plan(&one), close_plan(&many);
  end(&s);
}

/* ---- nodes inside bodies ---- */

static rh_val field_of_scan(rh_graph *b, void *arg, rh_val y, rh_val t, rh_val m);
static void step_of_ode(rh_graph *b, void *arg, rh_val c, rh_val x, rh_val m, rh_val *next, rh_val *y) {
  (void)arg, (void)y;
  const rh_ode_options options = {.method = RH_ODE_RK4, .steps = 2};
  *next = rh_ode(b, rh_add(b, c, rh_slice(b, x, 0, 1)), m, 0, 0.5, &options, field_of_scan, NULL);
}
static void step_inside(rh_graph *b, void *arg, rh_val c, rh_val x, rh_val m, rh_val *next, rh_val *y) {
  (void)arg, (void)x, (void)y;
  *next = rh_mul(b, rh_tanh(b, rh_linear(b, c, rh_leaf_val(b, 0), rh_leaf_val(b, 1))), rh_slice(b, m, 1, 1));
}
static rh_val field_of_scan(rh_graph *b, void *arg, rh_val y, rh_val t, rh_val m) {
  rh_val last;
  (void)arg;
  rh_scan(b, 2, false, rh_mul(b, y, rh_addc(b, t, 1)), RH_NONE, m, step_inside, NULL, &last, NULL);
  return last;
}

/* A scan whose step is an ode whose field is a scan: first derivatives. Equal steps, so to the order of the method only. */
static void bodies_have_bodies(void **state) {
  (void)state;
  setup s;
  begin(&s, 8);
  rh_val carry, ys, grads[WRT];
  rh_scan(&s.g, STEPS, false, s.wrt[0], s.wrt[1], s.wrt[2], step_of_ode, NULL, &carry, &ys);
  PROBE_OK(rh_graph_status(&s.g));
  assert_true(rh_is_none(ys));
  const rh_val loss = weigh(&s.g, rh_square(&s.g, carry), 5);
  PROBE_OK(rh_vjp(&s.g, 1, &loss, NULL, WRT, s.wrt, grads, RH_KEEP));
  gradients(&s, grads, ROWS, 2, 0, scan_grads);
  for (int i = 0; i < WRT; i++) {
    const int64_t n = rh_count(&s.g, s.wrt[i]) * (i < 3 ? ROWS : 1);
    for (int64_t k = 0; k < n; k++) {
      const double want = difference(&s, loss, i, k);
      if (!(fabs(scan_grads[i][k] - want) <= 2e-3 * fmax(1, fabs(want))))
        fail_msg("operand %d, number %lld: %g, differences %g", i, (long long)k, scan_grads[i][k], want);
    }
  }
  end(&s);
}

static rh_val logistic(rh_graph *b, void *arg, rh_val y, rh_val t, rh_val m) {
  (void)arg, (void)t, (void)m;
  return rh_mul(b, y, rh_addc(b, rh_neg(b, y), 1));
}
static void doubled(rh_graph *b, void *arg, rh_val c, rh_val x, rh_val m, rh_val *next, rh_val *y) {
  (void)arg, (void)x, (void)m;
  *next = rh_mulc(b, c, 2);
  *y = c;
}

/* Bodies that read nothing but their state: d/dx of 8 x + x + 2 x + 4 x, and of 1 / (1 + (1 / x - 1) / e). */
static void a_body_may_read_nothing(void **state) {
  (void)state;
  rh_graph g;
  rh_val carry, ys, grads[2], x[2];
  PROBE_OK(rh_graph_init(&g, NULL));
  for (int i = 0; i < 2; i++) x[i] = rh_input(&g, rh_shape1(1));
  rh_scan(&g, 3, false, x[0], RH_NONE, RH_NONE, doubled, NULL, &carry, &ys);
  const rh_val sum = rh_add(&g, carry, rh_sum(&g, ys)), y = rh_ode(&g, x[1], RH_NONE, 0, 1, &tight, logistic, NULL), outs[2] = {sum, y};
  PROBE_OK(rh_vjp(&g, 2, outs, NULL, 2, x, grads, RH_KEEP));
  const double at[ROWS] = {0.1, 0.3, 0.5, 0.7, 0.9};
  double got[2][ROWS];
  probe p = {
      .g = &g, .real_bytes = 8, .rows = ROWS, .input = {at, at}, .n_row = 2, .row_val = {grads[0], grads[1]}, .row_out = {got[0], got[1]}};
  probe_run(&p);
  for (int i = 0; i < ROWS; i++) {
    const double e = exp(1), d = 1 + at[i] * (e - 1);
    assert_true(got[0][i] == 15);
    assert_true(fabs(got[1][i] - e / (d * d)) < 1e-9);
  }
  rh_graph_free(&g);
}

/* ---- what goes wrong ---- */

static rh_val wide_field(rh_graph *b, void *arg, rh_val y, rh_val t, rh_val m) {
  (void)arg, (void)m;
  return rh_concat(b, 2, (rh_val[]){y, t});
}
static void no_step(rh_graph *b, void *arg, rh_val c, rh_val x, rh_val m, rh_val *next, rh_val *y) {
  (void)b, (void)arg, (void)c, (void)x, (void)m, (void)next, (void)y;
}
static void wide_step(rh_graph *b, void *arg, rh_val c, rh_val x, rh_val m, rh_val *next, rh_val *y) {
  (void)arg, (void)x, (void)m, (void)y;
  *next = rh_concat(b, 2, (rh_val[]){c, c});
}
static void wrong_step(rh_graph *b, void *arg, rh_val c, rh_val x, rh_val m, rh_val *next, rh_val *y) {
  (void)arg, (void)m, (void)y;
  *next = rh_add(b, c, x);
}

static void wrong_bodies_are_refused(void **state) {
  (void)state;
  static const struct {
    rh_scan_body *body;
    const char *says;
  } scans[] = {{no_step, "without its result"}, {wide_step, "another size"}, {wrong_step, "elementwise"}};
  for (int i = 0; i < 6; i++) {
    setup s;
    rh_val carry, ys;
    begin(&s, 8);
    const char *says = i < 3 ? scans[i].says : i == 3 ? "xs has" : i == 4 ? "dy has" : "error estimate";
    const rh_ode_options rk4 = {.method = RH_ODE_RK4, .steps = i == 4};
    if (i < 4)
      rh_scan(&s.g, i == 3 ? STEPS + 1 : STEPS, false, s.wrt[0], s.wrt[1], RH_NONE, i == 3 ? no_step : scans[i].body, NULL, &carry, &ys);
    if (i >= 4) carry = rh_ode(&s.g, s.wrt[0], RH_NONE, 0, 1, &rk4, wide_field, NULL);
    assert_true(rh_is_none(carry));
    assert_int_not_equal(rh_graph_status(&s.g), RH_OK);
    if (!strstr(rh_last_error(), says)) fail_msg("\"%s\" does not say \"%s\"", rh_last_error(), says);
    end(&s);
  }
}

/* Gradients of parameters are not read again in the same pass. */
static void sums_are_not_differentiated(void **state) {
  (void)state;
  setup s;
  begin(&s, 8);
  rh_val grads[WRT], again;
  const rh_val loss = scanned(&s, false);
  PROBE_OK(rh_vjp(&s.g, 1, &loss, NULL, WRT, s.wrt, grads, RH_KEEP));
  const rh_val norm = rh_sum(&s.g, rh_square(&s.g, grads[3]));
  assert_int_equal(rh_vjp(&s.g, 1, &norm, NULL, 1, &s.wrt[3], &again, RH_KEEP), RH_E_UNSUPPORTED);
  assert_non_null(strstr(rh_last_error(), "scan_sum"));
  end(&s);
}

static int64_t allowed, asked;
static int refuse(void *state) {
  (void)state;
  return asked++ >= allowed;
}

/* The same for building: nodes, bodies, rules. */
static void building_may_fail(void **state) {
  (void)state;
  bool done = false;
  for (allowed = 0; !done; allowed += allowed < 100 ? 1 : 29) {
    assert_true(allowed < 1000000);
    setup s;
    rh_val carry, ys, grads[WRT], solved[2];
    begin(&s, 8);
    asked = 0;
    rh_alloc_set_hook(refuse, NULL);
    rh_scan(&s.g, STEPS, false, s.wrt[0], s.wrt[1], s.wrt[2], step, NULL, &carry, &ys);
    const rh_val outs[2] = {carry, rh_ode(&s.g, carry, s.wrt[2], 0, 1, &loose, field_of_scan, NULL)};
    done = rh_graph_status(&s.g) == RH_OK && rh_vjp(&s.g, 2, outs, NULL, WRT, s.wrt, grads, RH_KEEP) == RH_OK &&
           rh_jvp(&s.g, 1, s.wrt, s.wrt, 2, outs, solved) == RH_OK;
    rh_alloc_set_hook(NULL, NULL);
    end(&s);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(scan_is_its_steps),        cmocka_unit_test(tangents_of_rows_pass),
                                     cmocka_unit_test(threads_do_not_show),      cmocka_unit_test(scans_add_up),
                                     cmocka_unit_test(bodies_have_bodies),       cmocka_unit_test(a_body_may_read_nothing),
                                     cmocka_unit_test(wrong_bodies_are_refused), cmocka_unit_test(sums_are_not_differentiated),
                                     cmocka_unit_test(building_may_fail)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
