/* The executor's promises: the same bits for any number of threads, any cutting of the rows, a row alone or in any batch; memory that does
 * not grow with the batch; refusals when the graph or the plan is made. */
#include "support/probe.h"

enum { D = 10, HIDDEN = 33, LAYERS = 5, ROWS = 1000, MATRICES = 2 * LAYERS };

typedef struct net {
  rh_leaves leaves;
  rh_values values;
  rh_graph g;
  rh_val x, y, loss, gx, wrt[1 + 2 * MATRICES], grads[1 + 2 * MATRICES], total;
} net;

/* Couplings: the second half moves by what the first says, then the halves swap. */
static void begin(net *s, int layers, int real_bytes, rh_memory memory) {
  *s = (net){0};
  for (int l = 0; l < layers; l++)
    for (int m = 0; m < 2; m++) {
      int leaf;
      const int64_t in = m ? HIDDEN : D / 2, out = m ? D : HIDDEN;
      PROBE_OK(
          rh_leaf_add(&s->leaves, RH_PARAM, rh_shape2(out, in), (rh_init){RH_INIT_UNIFORM, 0.4, NULL}, true, &leaf, "%d.%d.weight", l, m));
      PROBE_OK(rh_leaf_add(&s->leaves, RH_PARAM, rh_shape1(out), (rh_init){RH_INIT_UNIFORM, 0.4, NULL}, false, &leaf, "%d.%d.bias", l, m));
    }
  PROBE_OK(rh_values_create(&s->leaves, real_bytes, &s->values));
  rh_values_init(&s->leaves, 3, &s->values);
  rh_graph *g = &s->g;
  PROBE_OK(rh_graph_init(g, &s->leaves));
  s->x = s->wrt[0] = rh_input(g, rh_shape1(D));
  for (int i = 0; i < layers * 4; i++) {
    const rh_val v = rh_leaf_val(g, i);
    if (i < 2 * MATRICES) s->wrt[1 + i] = v;
  }
  rh_val y = s->x, ladj = RH_NONE;
  for (int l = 0; l < layers; l++) {
    rh_scope_begin(g);
    const rh_val a = rh_slice(g, y, 0, D / 2), b = rh_slice(g, y, D / 2, D / 2);
    const rh_val h = rh_relu(g, rh_linear(g, a, rh_leaf_val(g, l * 4), rh_leaf_val(g, l * 4 + 1)));
    const rh_val st = rh_linear(g, h, rh_leaf_val(g, l * 4 + 2), rh_leaf_val(g, l * 4 + 3));
    const rh_val scale = rh_bound(g, rh_slice(g, st, 0, D / 2), 2);
    const rh_val moved = rh_add(g, rh_mulexp(g, b, scale), rh_slice(g, st, D / 2, D / 2));
    y = rh_concat(g, 2, (rh_val[]){moved, a});
    ladj = rh_add_maybe(g, ladj, rh_sum(g, scale));
    rh_scope_end(g);
  }
  s->y = y;
  s->loss = rh_sub(g, rh_mulc(g, rh_sum(g, rh_square(g, y)), 0.5), ladj);
  s->total = rh_sum_rows(g, s->loss);
  PROBE_OK(rh_vjp(g, 1, &s->loss, NULL, 1 + (layers < LAYERS ? layers : LAYERS) * 4, s->wrt, s->grads, memory));
  s->gx = s->grads[0];
}

static void end(net *s) {
  rh_graph_free(&s->g);
  rh_values_free(&s->values);
  rh_leaves_free(&s->leaves);
}

typedef struct outcome {
  int64_t rows;
  double loss[ROWS], y[ROWS * D], gx[ROWS * D], total, grads[2 * MATRICES][HIDDEN * D];
} outcome;

/* Everything a training step gives, at one way of running. */
static void run(const net *s, const double *x, int64_t rows, int threads, int64_t block_rows, int64_t wide_bytes, int64_t packed_bytes,
                outcome *o) {
  memset(o, 0, sizeof *o);
  o->rows = rows;
  const int rb = s->values.real_bytes;
  const rh_plan_options options = {.real_bytes = rb,
                                   .block_rows = block_rows,
                                   .max_rows = ROWS,
                                   .wide_bytes = wide_bytes,
                                   .packed_bytes = packed_bytes,
                                   .threads = threads};
  const rh_val row_out[3] = {s->loss, s->y, s->gx};
  rh_val param[1 + 2 * MATRICES] = {s->total};
  for (int i = 0; i < 2 * MATRICES; i++) param[1 + i] = s->grads[1 + i];
  rh_plan *plan;
  rh_work *work;
  rh_pool *pool;
  PROBE_OK(rh_plan_create(&s->g, 3, row_out, 1 + 2 * MATRICES, param, &options, &plan));
  PROBE_OK(rh_pool_create(threads, &pool));
  PROBE_OK(rh_work_create(plan, threads, &work));
  void *in = probe_narrow(x, rows * D, rb);
  rh_dense_input dense = {in, D * rb};
  void *raw = calloc(1, sizeof *o);
  outcome *r = raw; /* the same layout serves as untyped room: every field is at least as large as needed */
  void *rows_out[3] = {r->loss, r->y, r->gx}, *params_out[1 + 2 * MATRICES] = {&r->total};
  for (int i = 0; i < 2 * MATRICES; i++) params_out[1 + i] = r->grads[i];
  const rh_run_io io = {
      .values = &s->values, .rows = rows, .load = rh_load_dense, .arg = &dense, .row_out = rows_out, .param_out = params_out};
  rh_run(plan, work, pool, &io);
  probe_widen(r->loss, rows, rb, o->loss);
  probe_widen(r->y, rows * D, rb, o->y);
  probe_widen(r->gx, rows * D, rb, o->gx);
  probe_widen(&r->total, 1, rb, &o->total);
  for (int i = 0; i < 2 * MATRICES; i++) probe_widen(r->grads[i], rh_count(&s->g, s->grads[1 + i]), rb, o->grads[i]);
  free(in), free(raw);
  rh_work_destroy(work);
  rh_pool_destroy(pool);
  rh_plan_destroy(plan);
}

static void same_bits_however_run(void **state) {
  (void)state;
  double *x = probe_random(ROWS * D, 1, -2, 2);
  for (int rb = 4; rb <= 8; rb += 4) {
    net s;
    begin(&s, LAYERS, rb, RH_KEEP);
    outcome *a = malloc(sizeof *a), *b = malloc(sizeof *b);
    run(&s, x, ROWS, 1, 0, 0, 0, a);
    static const struct {
      int threads;
      int64_t block_rows, wide_bytes, packed_bytes;
    } ways[] = {{2, 0, 0, 0},          {3, 0, 0, 0},  {8, 0, 0, 0},  {1, 16, 0, 0}, {2, 64, 1 << 20, 0}, {3, 256, 200000, 0},
                {2, 1024, 1 << 26, 0}, {1, 48, 1, 0}, {1, 48, 0, 1}, {3, 16, 1, 1}, {2, 0, 0, 16384}};
    for (size_t i = 0; i < sizeof ways / sizeof *ways; i++) {
      run(&s, x, ROWS, ways[i].threads, ways[i].block_rows, ways[i].wide_bytes, ways[i].packed_bytes, b);
      assert_memory_equal(a, b, sizeof *a);
    }
    assert_true(isfinite(a->total) && a->total != 0);
    free(a), free(b);
    end(&s);
  }
  free(x);
}

static void same_bits_alone_and_together(void **state) {
  (void)state;
  double *x = probe_random(ROWS * D, 2, -2, 2);
  for (int rb = 4; rb <= 8; rb += 4) {
    net s;
    begin(&s, LAYERS, rb, RH_RECOMPUTE);
    outcome *all = malloc(sizeof *all), *part = malloc(sizeof *part);
    run(&s, x, ROWS, 2, 0, 0, 0, all);
    for (int64_t n = 1; n <= 7; n += 6)
      for (int64_t first = 0; first + n <= ROWS; first += 97) {
        run(&s, x + first * D, n, 1, 0, 0, 0, part);
        assert_memory_equal(part->loss, all->loss + first, (size_t)n * 8);
        assert_memory_equal(part->y, all->y + first * D, (size_t)(n * D) * 8);
        assert_memory_equal(part->gx, all->gx + first * D, (size_t)(n * D) * 8);
      }
    free(all), free(part);
    end(&s);
  }
  free(x);
}

static void no_rows_give_zero_sums(void **state) {
  (void)state;
  net s;
  begin(&s, LAYERS, 8, RH_KEEP);
  outcome *o = malloc(sizeof *o);
  double x[D] = {0};
  run(&s, x, 0, 2, 0, 0, 0, o);
  assert_true(o->total == 0);
  for (int i = 0; i < 2 * MATRICES; i++)
    for (int j = 0; j < D; j++) assert_true(o->grads[i][j] == 0);
  free(o);
  end(&s);
}

static rh_plan_info info_of(int layers, rh_memory memory, int64_t rows, int threads, int64_t packed_bytes) {
  net s;
  begin(&s, layers, 4, memory);
  const rh_plan_options options = {.real_bytes = 4, .max_rows = rows, .packed_bytes = packed_bytes, .threads = threads};
  rh_val param[1 + 2 * MATRICES] = {s.total};
  for (int i = 0; i < 2 * MATRICES; i++) param[1 + i] = s.grads[1 + i];
  rh_plan *plan;
  rh_plan_info info;
  PROBE_OK(rh_plan_create(&s.g, 0, NULL, 1 + 2 * MATRICES, param, &options, &plan));
  rh_plan_describe(plan, &info);
  rh_plan_destroy(plan);
  end(&s);
  return info;
}

static void memory_does_not_grow_with_the_batch(void **state) {
  (void)state;
  const rh_plan_info a = info_of(LAYERS, RH_KEEP, 1 << 14, 0, 0), b = info_of(LAYERS, RH_KEEP, 1 << 20, 0, 0);
  assert_int_equal(a.work_bytes_shared, b.work_bytes_shared);
  assert_int_equal(a.work_bytes_thread, b.work_bytes_thread);
}

/* Sums over rows inside bodies are cut by superblocks, so these must not know the threads; blocks may. */
static void superblocks_do_not_know_the_threads(void **state) {
  (void)state;
  const rh_plan_info one = info_of(LAYERS, RH_KEEP, 700, 1, 0);
  assert_true(one.super_rows > 0 && one.super_rows < 700);
  for (int threads = 2; threads <= 16; threads++) assert_int_equal(info_of(LAYERS, RH_KEEP, 700, threads, 0).super_rows, one.super_rows);
}

/* Their bits are told above. */
static void packed_forms_take_turns(void **state) {
  (void)state;
  const rh_plan_info all = info_of(LAYERS, RH_RECOMPUTE, ROWS, 2, 0), some = info_of(LAYERS, RH_RECOMPUTE, ROWS, 2, all.packed_bytes / 2);
  const rh_plan_info few = info_of(LAYERS, RH_RECOMPUTE, ROWS, 2, 1);
  assert_int_equal(info_of(LAYERS, RH_RECOMPUTE, ROWS, 2, all.packed_bytes).packed_bytes, all.packed_bytes);
  assert_true(some.segments > all.segments && some.packed_bytes < all.packed_bytes);
  assert_true(few.packed_bytes <= some.packed_bytes && 3 * few.packed_bytes < 2 * all.packed_bytes);
}

static void sums_over_rows_are_not_read_again(void **state) {
  (void)state;
  rh_graph g;
  PROBE_OK(rh_graph_init(&g, NULL));
  const rh_val x = rh_input(&g, rh_shape1(3));
  const rh_val bad = rh_add(&g, x, rh_sum_rows(&g, x));
  assert_true(rh_is_none(bad));
  assert_int_equal(rh_graph_status(&g), RH_E_UNSUPPORTED);
  assert_non_null(strstr(rh_last_error(), "sum over the rows"));
  rh_graph_free(&g);
  PROBE_OK(rh_graph_init(&g, NULL));
  const rh_val y = rh_input(&g, rh_shape1(3)), s = rh_sum(&g, rh_square(&g, rh_sum_rows(&g, y)));
  rh_val grad;
  assert_int_equal(rh_vjp(&g, 1, &s, NULL, 1, &y, &grad, RH_KEEP), RH_E_UNSUPPORTED);
  assert_non_null(strstr(rh_last_error(), "sum_rows"));
  rh_graph_free(&g);
}

/* A vector over the last dimension, written out in every line or read as it is, on either side or both, from a row or a parameter. */
static void vectors_are_read_in_every_line(void **state) {
  (void)state;
  enum { LINES = 3, WIDE = 4, MANY = LINES * WIDE, SOME = 7, CASES = 6 };
  rh_leaves leaves = {0};
  rh_values values;
  int leaf;
  PROBE_OK(rh_leaf_add(&leaves, RH_PARAM, rh_shape1(MANY), (rh_init){RH_INIT_UNIFORM, 1, NULL}, false, &leaf, "p"));
  PROBE_OK(rh_values_create(&leaves, 8, &values));
  rh_values_init(&leaves, 5, &values);
  rh_graph g;
  PROBE_OK(rh_graph_init(&g, &leaves));
  const rh_shape lines = rh_shape3(1, LINES, WIDE), flat = rh_shape2(LINES, WIDE);
  const rh_val x = rh_input(&g, flat), v = rh_input(&g, rh_shape1(WIDE)), w = rh_input(&g, rh_shape1(WIDE)), q = rh_leaf_val(&g, leaf);
  const rh_val over_v = rh_reshape(&g, rh_over_pixels(&g, v, lines), flat), over_w = rh_reshape(&g, rh_over_pixels(&g, w, lines), flat);
  const rh_val whole = rh_reshape(&g, q, flat), over_q = rh_reshape(&g, rh_over_pixels(&g, rh_slice(&g, q, 0, WIDE), lines), flat);
  double in[3][SOME * MANY], out[CASES][SOME * MANY], p[MANY];
  probe run = {.g = &g, .values = &values, .real_bytes = 8, .rows = SOME, .block_rows = 2, .n_row = CASES, .input = {in[0], in[1], in[2]}};
  run.row_val[0] = rh_sub(&g, x, over_v);
  run.row_val[1] = rh_sub(&g, over_v, x);
  run.row_val[2] = rh_sub(&g, over_v, over_w);
  run.row_val[3] = rh_sub(&g, whole, over_v);
  run.row_val[4] = rh_sub(&g, over_q, x);
  run.row_val[5] = rh_sub(&g, over_v, rh_sum(&g, w));
  for (int i = 0; i < CASES; i++) run.row_out[i] = out[i];
  for (int i = 0; i < 3; i++)
    for (int k = 0; k < SOME * MANY; k++) in[i][k] = 1 + 100 * i + k * 0.25;
  for (int k = 0; k < MANY; k++) p[k] = ((const double *)rh_values_at(&leaves, &values, leaf))[k];
  probe_run(&run);
  for (int r = 0; r < SOME; r++)
    for (int k = 0; k < MANY; k++) {
      const double *wr = in[2] + r * WIDE, a = in[0][r * MANY + k], b = in[1][r * WIDE + k % WIDE], c = wr[k % WIDE];
      const double want[CASES] = {a - b, b - a, b - c, p[k] - b, p[k % WIDE] - a, b - (wr[0] + wr[1] + wr[2] + wr[3])};
      for (int i = 0; i < CASES; i++)
        if (out[i][r * MANY + k] != want[i]) fail_msg("case %d, row %d, number %d: %g, not %g", i, r, k, out[i][r * MANY + k], want[i]);
    }
  rh_graph_free(&g);
  rh_values_free(&values);
  rh_leaves_free(&leaves);
}

static void wrong_shapes_are_refused(void **state) {
  (void)state;
  rh_graph g;
  rh_leaves leaves = {0};
  int w;
  PROBE_OK(rh_leaf_add(&leaves, RH_PARAM, rh_shape2(4, 5), (rh_init){RH_INIT_CONSTANT, 0, NULL}, true, &w, "w"));
  assert_int_equal(rh_leaf_add(&leaves, RH_PARAM, rh_shape1(1), (rh_init){RH_INIT_CONSTANT, 0, NULL}, true, &w, "w"), RH_E_SPEC);
  for (int i = 0; i < 6; i++) {
    PROBE_OK(rh_graph_init(&g, &leaves));
    const rh_val x = rh_input(&g, rh_shape1(3));
    static const int32_t beyond[1] = {3};
    if (i == 0) rh_add(&g, x, rh_input(&g, rh_shape1(4)));
    if (i == 1) rh_linear(&g, x, rh_leaf_val(&g, w), RH_NONE);
    if (i == 2) rh_reshape(&g, x, rh_shape1(4));
    if (i == 3) rh_slice(&g, x, 2, 2);
    if (i == 4) rh_gather(&g, x, rh_shape1(1), beyond);
    if (i == 5) rh_leaf_val(&g, 7);
    assert_int_not_equal(rh_graph_status(&g), RH_OK);
    assert_true(strlen(rh_last_error()) > 10);
    rh_plan *plan;
    const rh_plan_options options = {.real_bytes = 4};
    assert_int_not_equal(rh_plan_create(&g, 1, &x, 0, NULL, &options, &plan), RH_OK);
    rh_graph_free(&g);
  }
  rh_leaves_free(&leaves);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(same_bits_however_run),
      cmocka_unit_test(same_bits_alone_and_together),
      cmocka_unit_test(no_rows_give_zero_sums),
      cmocka_unit_test(memory_does_not_grow_with_the_batch),
      cmocka_unit_test(superblocks_do_not_know_the_threads),
      cmocka_unit_test(packed_forms_take_turns),
      cmocka_unit_test(sums_over_rows_are_not_read_again),
      cmocka_unit_test(vectors_are_read_in_every_line),
      cmocka_unit_test(wrong_shapes_are_refused),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
