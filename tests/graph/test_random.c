/* Random programs, run in every way there is: whatever the block, the memory for wide values, the threads, KEEP or RECOMPUTE, the level's
 * products: the same bits; and their gradients agree with central differences. Programs share sub-expressions, read parameters from several
 * places, reshape, reuse, and give the same value out twice: what a planner's liveness must get right. */
#include "support/probe.h"

enum { PROGRAMS = 120, ROWS = 150, LEAVES = 5, VALUES = 40, D = 6, OUTS = 4, ROOM = 1 << 16 };

typedef struct dice {
  rh_rng rng;
  int64_t at;
} dice;

static int64_t roll(dice *d, int64_t n) {
  return (int64_t)rh_rng_below(&d->rng, d->at++, (uint64_t)n);
}

typedef struct program {
  rh_leaves leaves;
  rh_values values;
  rh_graph g;
  rh_val x, w[LEAVES], row[OUTS], param[1 + LEAVES];
  int n_param;
  int owner[1 + LEAVES]; /* leaf of param[i], -1: the loss */
} program;

static rh_val pick(dice *d, const rh_val *v, int n) {
  return v[n - 1 - (roll(d, 3) ? roll(d, n < 8 ? n : 8) : roll(d, n))]; /* mostly recent ones */
}

/* One random step on row values of width D; every function is bounded, so programs stay finite. */
static rh_val grow(rh_graph *g, dice *d, const rh_val *v, int n, const rh_val *w) {
  static const int32_t order[D] = {5, 2, 0, 1, 4, 3}, half[D / 2] = {4, 1, 3};
  const rh_val a = pick(d, v, n), b = pick(d, v, n);
  switch (roll(d, 14)) {
    case 0:
      return rh_tanh(g, rh_add(g, a, b));
    case 1:
      return rh_mul(g, rh_sigmoid(g, a), rh_tanh(g, b));
    case 2:
      return rh_tanh(g, rh_linear(g, a, w[0], w[1]));
    case 3:
      return rh_linear_t(g, rh_relu(g, rh_linear(g, a, w[2], RH_NONE)), w[2]);
    case 4:
      return rh_bound(g, rh_mulexp(g, a, rh_bound(g, b, 1)), 3);
    case 5:
      return rh_gather(g, a, rh_shape1(D), order);
    case 6:
      return rh_concat(g, 2, (rh_val[]){rh_gather(g, a, rh_shape1(D / 2), half), rh_slice(g, b, 2, D / 2)});
    case 7:
      return rh_scatter(g, rh_slice(g, a, 0, D / 2), rh_shape1(D), half);
    case 8:
      return rh_bound(g, rh_sub(g, a, rh_sum(g, b)), 2);
    case 9:
      return rh_reshape(g, rh_expand_last(g, rh_sum_last(g, rh_reshape(g, a, rh_shape2(2, 3))), 3), rh_shape1(D));
    case 10:
      return rh_tanh(g, rh_mul(g, a, w[3]));
    case 11:
      return rh_trisolve(g, rh_tanh(g, a), w[4], roll(d, 2), true, roll(d, 2));
    case 12: { /* one product over two leading rows */
      const rh_val both = rh_reshape(g, rh_concat(g, 2, (rh_val[]){a, b}), rh_shape2(2, D));
      return rh_reshape(g, rh_linear(g, both, w[2], RH_NONE), rh_shape1(D));
    }
    default:
      return rh_gate(g, rh_sub(g, a, w[1]), b);
  }
}

static void begin(program *p, int which, int real_bytes, rh_memory memory) {
  *p = (program){0};
  dice d = {rh_rng_at(77, 0, (uint64_t)which, RH_STREAM_TEST), 0};
  static const struct { int64_t m, n; } shapes[LEAVES] = {{D, D}, {D, 0}, {3, D}, {D, 0}, {D, D}};
  for (int i = 0; i < LEAVES; i++) {
    int leaf;
    const rh_shape s = shapes[i].n ? rh_shape2(shapes[i].m, shapes[i].n) : rh_shape1(shapes[i].m);
    PROBE_OK(rh_leaf_add(&p->leaves, RH_PARAM, s, (rh_init){RH_INIT_UNIFORM, 0.6, NULL}, true, &leaf, "w%d", i));
  }
  PROBE_OK(rh_values_create(&p->leaves, real_bytes, &p->values));
  rh_values_init(&p->leaves, (uint64_t)which, &p->values);
  rh_graph *g = &p->g;
  PROBE_OK(rh_graph_init(g, &p->leaves));
  rh_val v[VALUES], wrt[1 + LEAVES], grads[1 + LEAVES];
  v[0] = wrt[0] = p->x = rh_input(g, rh_shape1(D));
  for (int i = 0; i < LEAVES; i++) wrt[1 + i] = p->w[i] = rh_leaf_val(g, i);
  const int n = 4 + (int)roll(&d, VALUES - 4), per_scope = 1 + (int)roll(&d, 6);
  for (int i = 1; i < n; i++) {
    if (i % per_scope == 1 % per_scope) rh_scope_end(g), rh_scope_begin(g);
    v[i] = grow(g, &d, v, i, p->w);
  }
  rh_scope_end(g);
  rh_val loss = rh_sum(g, rh_mul(g, v[n - 1], pick(&d, v, n)));
  for (int i = 0; i < 3; i++) loss = rh_add(g, loss, rh_mulc(g, rh_sum(g, rh_square(g, pick(&d, v, n))), 0.3));
  PROBE_OK(rh_vjp(g, 1, &loss, NULL, 1 + LEAVES, wrt, grads, memory));
  const rh_val dx = rh_is_none(grads[0]) ? rh_fill(g, rh_shape1(D), 0) : grads[0];
  const rh_val row[OUTS] = {loss, dx, v[n - 1], pick(&d, v, n)}; /* perhaps one value twice, perhaps the input itself */
  memcpy(p->row, row, sizeof row);
  p->param[p->n_param] = rh_sum_rows(g, loss);
  p->owner[p->n_param++] = -1;
  for (int i = 0; i < LEAVES; i++)
    if (!rh_is_none(grads[1 + i])) p->param[p->n_param] = grads[1 + i], p->owner[p->n_param++] = i;
  PROBE_OK(g->status);
}

static void end(program *p) {
  rh_graph_free(&p->g);
  rh_values_free(&p->values);
  rh_leaves_free(&p->leaves);
}

typedef struct way {
  int64_t block_rows, wide_bytes, max_rows;
  int threads;
  const char *isa;
} way;

/* Everything the program gives, one number after another; the count. */
static int64_t run(const program *p, const way *how, const double *x, int64_t rows, double *out) {
  const int rb = p->values.real_bytes;
  const rh_plan_options options = {
      .real_bytes = rb, .isa = how->isa, .block_rows = how->block_rows, .wide_bytes = how->wide_bytes, .max_rows = how->max_rows};
  rh_plan *plan;
  rh_work *work;
  rh_pool *pool;
  PROBE_OK(rh_plan_create(&p->g, OUTS, p->row, p->n_param, p->param, &options, &plan));
  PROBE_OK(rh_pool_create(how->threads, &pool));
  PROBE_OK(rh_work_create(plan, how->threads, &work));
  void *in = probe_narrow(x, rows * D, rb), *row_out[OUTS], *param_out[1 + LEAVES];
  rh_dense_input dense = {in, D * rb};
  for (int i = 0; i < OUTS; i++) row_out[i] = malloc((size_t)(rows * D + 1) * 8);
  for (int i = 0; i < p->n_param; i++) param_out[i] = malloc(D * D * 8);
  const rh_run_io io = {
      .values = &p->values, .rows = rows, .load = rh_load_dense, .arg = &dense, .row_out = row_out, .param_out = param_out};
  for (int twice = 0; twice < 2; twice++) rh_run(plan, work, pool, &io); /* nothing may be left over from a run */
  int64_t n = 0;
  for (int i = 0; i < OUTS; i++) {
    probe_widen(row_out[i], rows * rh_count(&p->g, p->row[i]), rb, out + n);
    n += rows * rh_count(&p->g, p->row[i]);
    free(row_out[i]);
  }
  for (int i = 0; i < p->n_param; i++) {
    probe_widen(param_out[i], rh_count(&p->g, p->param[i]), rb, out + n);
    n += rh_count(&p->g, p->param[i]);
    free(param_out[i]);
  }
  free(in);
  rh_work_destroy(work);
  rh_pool_destroy(pool);
  rh_plan_destroy(plan);
  return n;
}

static void same_however_run(void **state) {
  (void)state;
  double *x = probe_random(ROWS * D, 3, -1.5, 1.5), *a = malloc(ROOM * 8), *b = malloc(ROOM * 8);
  static const way ways[] = {
      {16, 0, 0, 1, NULL}, {0, 1, 0, 2, NULL}, {48, 30000, ROWS, 3, NULL}, {256, 1 << 28, 0, 2, NULL}, {32, 1, 40, 2, NULL}};
  for (int which = 0; which < PROGRAMS; which++)
    for (int rb = 4; rb <= 8; rb += 4) {
      program keep, again;
      begin(&keep, which, rb, RH_KEEP);
      begin(&again, which, rb, RH_RECOMPUTE);
      const way first = {0, 0, ROWS, 1, NULL};
      const int64_t n = run(&keep, &first, x, ROWS, a);
      for (size_t i = 0; i < 2 * (sizeof ways / sizeof *ways); i++) {
        assert_int_equal(run(i % 2 ? &again : &keep, &ways[i / 2], x, ROWS, b), n);
        for (int64_t k = 0; k < n; k++)
          if (memcmp(a + k, b + k, 8) != 0)
            fail_msg("program %d, %d bytes, way %zu%s: number %lld is %.17g, was %.17g", which, rb, i / 2, i % 2 ? " RECOMPUTE" : "",
                     (long long)k, b[k], a[k]);
      }
      end(&keep);
      end(&again);
    }
  free(x), free(a), free(b);
}

static void gradients(void **state) {
  (void)state;
  enum { FEW = 3 };
  double *x = probe_random(FEW * D, 4, -1.5, 1.5), *out = malloc(ROOM * 8), *side = malloc(ROOM * 8);
  const way how = {0, 0, FEW, 1, NULL};
  int checked = 0, kinks = 0;
  for (int which = 0; which < PROGRAMS; which++) {
    program p;
    begin(&p, which, 8, RH_RECOMPUTE);
    run(&p, &how, x, FEW, out);
    int64_t at = FEW * (rh_count(&p.g, p.row[0]) + rh_count(&p.g, p.row[1]) + rh_count(&p.g, p.row[2]) + rh_count(&p.g, p.row[3]));
    const int64_t loss_at = at;
    for (int i = 0; i < p.n_param; i++) {
      const int64_t count = rh_count(&p.g, p.param[i]);
      for (int64_t k = 0; p.owner[i] >= 0 && k < count; k += 1 + count / 4) {
        double *number = (double *)rh_values_at(&p.leaves, &p.values, p.owner[i]) + k, kept = *number, f[4];
        static const double step[4] = {1e-5, -1e-5, 1e-6, -1e-6};
        for (int s = 0; s < 4; s++) {
          *number = kept + step[s];
          run(&p, &how, x, FEW, side);
          f[s] = side[loss_at];
        }
        *number = kept;
        const double wide = (f[0] - f[1]) / 2e-5, narrow = (f[2] - f[3]) / 2e-6, got = out[at + k];
        if (fabs(wide - narrow) > 1e-5 * fmax(1, fabs(narrow))) { /* a relu's kink between the two: differences say nothing here */
          kinks++;
          continue;
        }
        checked++;
        if (!(fabs(got - wide) <= 1e-6 * fmax(1, fabs(wide))))
          fail_msg("program %d, leaf %d, number %lld: %.10g, differences give %.10g", which, p.owner[i], (long long)k, got, wide);
      }
      at += count;
    }
    end(&p);
  }
  printf("%d random programs, %d gradients against differences, %d at a kink\n", PROGRAMS, checked, kinks);
  assert_true(checked > 500 && kinks < checked / 20);
  free(x), free(out), free(side);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(same_however_run), cmocka_unit_test(gradients)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
