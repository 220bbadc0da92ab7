/* root: against the closed form with its gradients; an element's bits, however it is run and whatever its company; reports; failures. */
#include "support/loops.h"

enum { M = 5, P = 2, MOST = 1000, ROWS = 4 };

/* x e^c0 + c1: the root is (y - c1) e^-c0. */
static rh_val affine(rh_graph *b, void *arg, rh_val x, rh_val captures) {
  int32_t index[2][M];
  const int64_t m = rh_count(b, x);
  for (int64_t i = 0; i < m; i++)
    for (int k = 0; k < 2; k++) index[k][i] = (int32_t)(P * i + k);
  ++*(int *)arg;
  const rh_val c0 = rh_gather(b, captures, rh_shape1(m), index[0]), c1 = rh_gather(b, captures, rh_shape1(m), index[1]);
  return rh_add(b, rh_mulexp(b, x, c0), c1);
}
/* x + x^3 e^c0 + tanh(x - c1), and a parameter. */
static rh_val curved(rh_graph *b, void *arg, rh_val x, rh_val captures) {
  int32_t index[2][M];
  const int64_t m = rh_count(b, x);
  (void)arg;
  for (int64_t i = 0; i < m; i++)
    for (int k = 0; k < 2; k++) index[k][i] = (int32_t)(P * i + k);
  const rh_val c0 = rh_gather(b, captures, rh_shape1(m), index[0]), c1 = rh_gather(b, captures, rh_shape1(m), index[1]);
  const rh_val bent = rh_mulexp(b, rh_mul(b, x, rh_square(b, x)), c0), scale = rh_square(b, rh_leaf_val(b, 0));
  return rh_add(b, rh_add(b, x, rh_mul(b, bent, scale)), rh_tanh(b, rh_sub(b, x, c1)));
}

typedef struct setup {
  rh_leaves leaves;
  rh_values values;
  rh_graph g;
  rh_val y, c, x, loss, grads[3];
  double *data[2];
} setup;

static void begin(setup *s, int real_bytes) {
  *s = (setup){0};
  int leaf;
  PROBE_OK(rh_leaf_add(&s->leaves, RH_PARAM, rh_shape1(1), (rh_init){RH_INIT_CONSTANT, 0.7, NULL}, false, &leaf, "scale"));
  PROBE_OK(rh_values_create(&s->leaves, real_bytes, &s->values));
  rh_values_init(&s->leaves, 1, &s->values);
  PROBE_OK(rh_graph_init(&s->g, &s->leaves));
  s->y = rh_input(&s->g, rh_shape1(M));
  s->c = rh_input(&s->g, rh_shape2(M, P));
  s->data[0] = probe_random(MOST * M, 31, -4, 4);
  s->data[1] = probe_random(MOST * M * P, 32, -2, 2);
}
static void finish(setup *s, rh_root_function *f, void *arg) {
  s->x = rh_root(&s->g, s->y, s->c, RH_NONE, RH_NONE, f, arg);
  PROBE_OK(rh_graph_status(&s->g));
  s->loss = weigh(&s->g, rh_square(&s->g, s->x), 3);
  const rh_val wrt[3] = {s->y, s->c, rh_leaf_val(&s->g, 0)};
  PROBE_OK(rh_vjp(&s->g, 1, &s->loss, NULL, 3, wrt, s->grads, RH_KEEP));
}
static void end(setup *s) {
  free(s->data[0]), free(s->data[1]);
  rh_graph_free(&s->g);
  rh_values_free(&s->values);
  rh_leaves_free(&s->leaves);
}

static void the_closed_form(void **state) {
  (void)state;
  setup s;
  int calls = 0;
  begin(&s, 8);
  finish(&s, affine, &calls);
  assert_int_equal(calls, 2); /* for one element, for all; never again */
  double x[ROWS * M], dy[ROWS * M], dc[ROWS * M * P], *w = probe_random(M, 3, 0.5, 1.5);
  probe p = {.g = &s.g, .values = &s.values, .real_bytes = 8, .rows = ROWS, .input = {s.data[0], s.data[1]}, .n_row = 3};
  p.row_val[0] = s.x, p.row_val[1] = s.grads[0], p.row_val[2] = s.grads[1];
  p.row_out[0] = x, p.row_out[1] = dy, p.row_out[2] = dc;
  probe_run(&p);
  assert_true(rh_is_none(s.grads[2]));
  for (int i = 0; i < ROWS * M; i++) {
    const double *c = s.data[1] + P * i, e = exp(-c[0]), want = (s.data[0][i] - c[1]) * e, ct = 2 * w[i % M] * want;
    assert_true(fabs(x[i] - want) <= 1e-14 * fmax(1, fabs(want)));
    assert_true(fabs(dy[i] - ct * e) <= 1e-13 * fmax(1, fabs(ct * e)));
    assert_true(fabs(dc[P * i] + ct * want) <= 1e-13 * fmax(1, fabs(ct * want)));
    assert_true(fabs(dc[P * i + 1] + ct * e) <= 1e-13 * fmax(1, fabs(ct * e)));
  }
  free(w);
  end(&s);
}

static void rows_of(const setup *s, int64_t first, int64_t rows, int64_t block, int threads, double *x, double *dy, double *scale) {
  probe p = {.g = &s->g,
             .values = &s->values,
             .real_bytes = s->values.real_bytes,
             .rows = rows,
             .threads = threads,
             .block_rows = block,
             .input = {s->data[0] + first * M, s->data[1] + first * M * P},
             .n_row = 2,
             .row_val = {s->x, s->grads[0]},
             .row_out = {x, dy},
             .n_param = scale ? 1 : 0,
             .param_val = {s->grads[2]},
             .param_out = {scale}};
  probe_run(&p);
}

static void bits_do_not_change(void **state) {
  (void)state;
  static double all[2][MOST * M], some[2][MOST * M];
  for (int rb = 4; rb <= 8; rb += 4) {
    setup s;
    double a, b;
    begin(&s, rb);
    finish(&s, curved, NULL);
    rows_of(&s, 0, MOST, 0, 1, all[0], all[1], &a);
    for (int threads = 1; threads <= 3; threads++)
      for (int64_t block = 16; block <= 256; block *= 4) {
        rows_of(&s, 0, MOST, block, threads, some[0], some[1], &b);
        assert_memory_equal(all, some, sizeof all);
        assert_memory_equal(&a, &b, sizeof a);
      }
    for (int64_t rows = 1; rows <= 7; rows += 6)
      for (int64_t i = 0; i + rows <= MOST; i += 97) {
        rows_of(&s, i, rows, 0, 1, some[0], some[1], NULL);
        for (int k = 0; k < 2; k++) assert_memory_equal(all[k] + i * M, some[k], (size_t)(rows * M) * 8);
      }
    /* and an element alone in its row */
    rh_graph g;
    PROBE_OK(rh_graph_init(&g, &s.leaves));
    const rh_val y = rh_input(&g, rh_shape1(1)), c = rh_input(&g, rh_shape2(1, P)), x = rh_root(&g, y, c, RH_NONE, RH_NONE, curved, NULL);
    PROBE_OK(rh_graph_status(&g));
    probe p = {.g = &g, .values = &s.values, .real_bytes = rb, .rows = MOST * M, .input = {s.data[0], s.data[1]}, .n_row = 1};
    p.row_val[0] = x, p.row_out[0] = some[0];
    probe_run(&p);
    assert_memory_equal(all[0], some[0], sizeof all[0]);
    for (int i = 0; i < MOST * M; i++) { /* and right, at f's own rounding */
      const double *q = s.data[1] + P * i, z = all[0][i], f = z + 0.49 * z * z * z * exp(q[0]) + tanh(z - q[1]);
      assert_true(fabs(f - s.data[0][i]) <= (rb == 8 ? 2e-14 : 1e-5));
    }
    rh_graph_free(&g);
    end(&s);
  }
}

/* tanh(x), captured or not: beyond its range, and where it is no number. */
static rh_val saturating(rh_graph *b, void *arg, rh_val x, rh_val captures) {
  (void)arg, (void)captures;
  return rh_tanh(b, x);
}
static rh_val broken(rh_graph *b, void *arg, rh_val x, rh_val captures) {
  (void)arg, (void)captures;
  return rh_log(b, rh_addc(b, rh_neg(b, rh_square(b, x)), -1));
}
static void reports(void **state) {
  (void)state;
  for (int bad = 0; bad < 2; bad++) {
    rh_graph g;
    PROBE_OK(rh_graph_init(&g, NULL));
    const rh_val y = rh_input(&g, rh_shape1(1)), x = rh_root(&g, y, RH_NONE, RH_NONE, RH_NONE, bad ? broken : saturating, NULL);
    PROBE_OK(rh_graph_status(&g));
    const double from[5] = {0.5, 2, -2, NAN, INFINITY};
    double to[5];
    opened o;
    PROBE_OK(open_plan(&g, x, 0, NULL, 5, 0, &o));
    rh_dense_input in = {from, 8};
    void *out[1] = {to};
    const rh_run_io io = {.rows = 5, .load = rh_load_dense, .arg = &in, .row_out = out};
    rh_run(o.plan, o.work, o.pool, &io);
    rh_ode_report report;
    assert_int_equal(rh_work_report(o.work, &report), bad ? RH_E_NUMERIC : RH_OK);
    assert_int_equal(report.unfinished, bad ? 3 : 0);
    if (bad) {
      assert_non_null(strstr(rh_last_error(), "root"));
    } else {
      assert_true(fabs(to[0] - atanh(0.5)) < 1e-15 && to[1] == INFINITY && to[2] == -INFINITY);
      assert_true(report.evaluations > 3 && report.evaluations < 200);
    }
    assert_true(isnan(to[3]) && to[4] == INFINITY);
    assert_int_equal(rh_work_report(o.work, &report), RH_OK); /* told once */
    close_plan(&o);
    rh_graph_free(&g);
  }
}

static rh_val constant(rh_graph *b, void *arg, rh_val x, rh_val captures) {
  (void)arg, (void)captures;
  return rh_fill(b, rh_at(b, x)->shape, 1);
}
static rh_val summed(rh_graph *b, void *arg, rh_val x, rh_val captures) {
  (void)arg, (void)captures;
  return rh_sum(b, x);
}
static void wrong_calls_are_refused(void **state) {
  (void)state;
  static const char *const says[] = {"do not divide",        "hints come in pairs",   "hints come in pairs",
                                     "does not depend on x", "gives 1 numbers for 5", "needs what"};
  for (int i = 0; i < 6; i++) {
    setup s;
    begin(&s, 8);
    const rh_val odd = rh_slice(&s.g, s.c, 0, 7), low = i == 1 ? s.y : i == 2 ? odd : RH_NONE, high = i == 2 ? odd : RH_NONE;
    const rh_val x = rh_root(&s.g, i == 5 ? RH_NONE : s.y, i == 0 ? odd : s.c, low, high, i == 3 ? constant : summed, NULL);
    assert_true(rh_is_none(x) && rh_graph_status(&s.g) != RH_OK);
    if (!strstr(rh_last_error(), says[i])) fail_msg("\"%s\" does not say \"%s\"", rh_last_error(), says[i]);
    end(&s);
  }
  setup s; /* tangents of parameters, by name */
  begin(&s, 8);
  finish(&s, curved, NULL);
  const rh_val leaf = rh_leaf_val(&s.g, 0);
  rh_val out;
  assert_int_equal(rh_jvp(&s.g, 1, &leaf, &leaf, 1, &s.x, &out), RH_E_UNSUPPORTED);
  assert_non_null(strstr(rh_last_error(), "scale"));
  end(&s);
}

static rh_val step_function(rh_graph *b, void *arg, rh_val x, rh_val captures) {
  (void)arg;
  return rh_add(b, rh_mul(b, x, rh_square(b, x)), rh_add(b, x, captures));
}
static void step(rh_graph *b, void *arg, rh_val carry, rh_val x, rh_val m, rh_val *next, rh_val *y) {
  (void)arg, (void)x, (void)y;
  *next = rh_root(b, rh_mulc(b, carry, 2), m, RH_NONE, RH_NONE, step_function, NULL);
}
/* A root within a scan's body; its gradient against differences. */
static void bodies_have_roots(void **state) {
  (void)state;
  rh_graph g;
  rh_val last, ys, grads[2];
  PROBE_OK(rh_graph_init(&g, NULL));
  const rh_val in[2] = {rh_input(&g, rh_shape1(2)), rh_input(&g, rh_shape1(2))};
  rh_scan(&g, 3, false, in[0], RH_NONE, in[1], step, NULL, &last, &ys);
  const rh_val loss = weigh(&g, last, 5);
  PROBE_OK(rh_vjp(&g, 1, &loss, NULL, 2, in, grads, RH_KEEP));
  double at[2][2] = {{0.7, -1.3}, {0.2, 0.4}}, got[2][2];
  probe p = {.g = &g, .real_bytes = 8, .rows = 1, .input = {at[0], at[1]}, .n_row = 2, .row_val = {grads[0], grads[1]}};
  p.row_out[0] = got[0], p.row_out[1] = got[1];
  probe_run(&p);
  p.n_row = 1, p.row_val[0] = loss;
  for (int i = 0; i < 4; i++) {
    double side[2], *x = &at[i / 2][i % 2];
    for (int k = 0; k < 2; k++) {
      *x += k ? -2e-5 : 1e-5;
      p.row_out[0] = &side[k];
      probe_run(&p);
    }
    *x += 1e-5;
    assert_true(fabs(got[i / 2][i % 2] - (side[0] - side[1]) / 2e-5) < 1e-8);
  }
  rh_graph_free(&g);
}

static int64_t allowed, asked;
static int refuse(void *state) {
  (void)state;
  return asked++ >= allowed;
}

/* Every allocation of building, planning and opening fails once; running makes none. */
static void memory_may_run_out(void **state) {
  (void)state;
  bool done = false;
  for (allowed = 0; !done; allowed += allowed < 60 ? 1 : 7) {
    assert_true(allowed < 100000);
    setup s;
    opened o = {0};
    rh_val tangent;
    begin(&s, 8);
    asked = 0;
    rh_alloc_set_hook(refuse, NULL);
    s.x = rh_root(&s.g, s.y, s.c, s.y, s.y, curved, NULL);
    s.loss = rh_sum(&s.g, s.x);
    const rh_val wrt[3] = {s.y, s.c, rh_leaf_val(&s.g, 0)};
    rh_status status = rh_graph_status(&s.g);
    if (status == RH_OK) status = rh_vjp(&s.g, 1, &s.loss, NULL, 3, wrt, s.grads, RH_KEEP);
    if (status == RH_OK) status = rh_jvp(&s.g, 2, wrt, wrt, 1, &s.x, &tangent);
    if (status == RH_OK) status = open_plan(&s.g, s.loss, 1, &s.grads[2], MOST, 0, &o);
    done = status == RH_OK;
    if (!done) assert_int_equal(status, RH_E_MEMORY);
    if (done) {
      allowed = asked; /* no more */
      double scale, out[MOST];
      void *params[1] = {&scale}, *rows_out[1] = {out};
      rh_dense_input in[2] = {{s.data[0], M * 8}, {s.data[1], M * P * 8}};
      const rh_run_io io = {.values = &s.values, .rows = MOST, .load = rh_load_dense, .arg = in, .row_out = rows_out, .param_out = params};
      rh_run(o.plan, o.work, o.pool, &io);
      assert_int_equal(asked, allowed);
      assert_true(isfinite(scale) && isfinite(out[MOST - 1]));
    }
    rh_alloc_set_hook(NULL, NULL);
    close_plan(&o);
    end(&s);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(the_closed_form),   cmocka_unit_test(bits_do_not_change),
                                     cmocka_unit_test(reports),           cmocka_unit_test(wrong_calls_are_refused),
                                     cmocka_unit_test(bodies_have_roots), cmocka_unit_test(memory_may_run_out)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
