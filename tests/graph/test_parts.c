/* Nodes with several outputs: parts lie inside their node's place, so what the planner knows of that place must hold for each of them: in a
 * block, kept across a superblock, delivered, summed over rows, among parameters, emitted again. The table of operations here takes the
 * library's place: `pair` stands where conv2d was, and the same program without it, out of ordinary operations, is the oracle. */
#include "support/probe.h"

enum { D = 5, PAIR = RH_OP_conv2d, ROWS = 150, LAYERS = 3, LEAVES = 4, OUTS = 4 };

#define OP(name) extern const rh_op rh_op_##name;
#include "graph/ops.def"
#undef OP

/* pair(x, w) = x w [n], sum x [1], x + w [n] */
static void pair_vjp(rh_graph *g, rh_val node, rh_val ct, rh_val *out) {
  const rh_val x = rh_at(g, node)->in[0], w = rh_at(g, node)->in[1], a = rh_tuple_at(g, ct, 0), s = rh_tuple_at(g, ct, 1),
               b = rh_tuple_at(g, ct, 2);
  for (int i = 0; i < 2; i++) out[i] = rh_add_maybe(g, rh_is_none(a) ? a : rh_mul(g, a, i ? x : w), b);
  if (!rh_is_none(s)) out[0] = rh_add_maybe(g, out[0], rh_expand(g, s, rh_at(g, x)->shape));
}
static rh_val pair_jvp(rh_graph *g, rh_val node, const rh_val *t) {
  const rh_val x = rh_at(g, node)->in[0], w = rh_at(g, node)->in[1];
  const rh_val left = rh_is_none(t[0]) ? RH_NONE : rh_mul(g, t[0], w), right = rh_is_none(t[1]) ? RH_NONE : rh_mul(g, x, t[1]);
  const rh_val in[3] = {rh_add_maybe(g, left, right), rh_is_none(t[0]) ? RH_NONE : rh_sum(g, t[0]), rh_add_maybe(g, t[0], t[1])};
  return rh_tuple(g, rh_at(g, node)->attr, in);
}
static void pair_run(const rh_run_args *a) {
  const int64_t n = rh_shape_count(&a->in_node[0]->shape);
  for (int i = 0; i < 2; i++)
    a->k->binary[i ? RH_B_ADD : RH_B_MUL](a->rows, n, a->in[0], a->in_row[0] ? n : 0, 1, a->in[1], a->in_row[1] ? n : 0, 1, a->part[2 * i],
                                          0);
  for (int64_t r = 0; r < a->rows; r++)
    a->k->row_sum(1, n, (const char *)a->in[0] + (a->in_row[0] ? r * n : 0) * a->k->real_bytes, (char *)a->part[1] + r * a->k->real_bytes);
}
static const rh_op op_pair = {.name = "pair", .order = -1, .vjp = pair_vjp, .jvp = pair_jvp, .run = pair_run, .parts = true};
#define rh_op_conv2d op_pair
const rh_op *const rh_ops[RH_OP_COUNT] = {
#define OP(name) &rh_op_##name,
#include "graph/ops.def"
#undef OP
};
#undef rh_op_conv2d

typedef struct three {
  rh_val a, s, b;
} three;

static rh_val emit_pair(rh_graph *g, rh_val x, rh_val w) {
  const rh_parts parts = {3, {rh_count(g, x), 1, rh_count(g, x)}};
  return rh_emit(g, (rh_op_id)PAIR, 2, (rh_val[]){x, w}, rh_shape1(rh_parts_total(&parts)), &parts, sizeof parts);
}

static three pair(rh_graph *g, rh_val x, rh_val w, bool plain) {
  if (plain) return (three){rh_mul(g, x, w), rh_sum(g, x), rh_add(g, x, w)};
  const rh_val v = emit_pair(g, x, w);
  return (three){rh_part_of(g, v, 0), rh_part_of(g, v, 1), rh_part_of(g, v, 2)};
}

typedef struct program {
  rh_leaves leaves;
  rh_values values;
  rh_graph g;
  rh_val x, row[OUTS], param[2 + LEAVES], wrt[1 + LEAVES], grads[1 + LEAVES], second[1 + LEAVES], tangent;
  int n_param;
} program;

/* Leaves: w0 [D], w1 [D], w2 [D D], w3 [D D]. Products read parts (so sums over rows do), a part is a product's matrix, some are not read.
 */
static rh_val build(program *p, bool plain) {
  rh_graph *g = &p->g;
  rh_val *w = p->wrt + 1, h = p->x, sum = RH_NONE;
  const three m = pair(g, w[2], w[3], plain); /* before the rows */
  const rh_val matrix[2] = {rh_reshape(g, m.a, rh_shape2(D, D)), rh_reshape(g, m.b, rh_shape2(D, D))};
  for (int l = 0; l < LAYERS; l++) {
    rh_scope_begin(g);
    const three q = pair(g, h, w[l % 2], plain), r = pair(g, q.b, h, plain); /* of a part; r.s and, in one layer, r.b are not read */
    h = rh_tanh(g, rh_add(g, rh_linear(g, l == 1 ? r.a : r.b, matrix[l % 2], RH_NONE), rh_mul(g, q.a, q.s)));
    sum = rh_add_maybe(g, sum, rh_mul(g, rh_sigmoid(g, q.s), rh_sum(g, rh_square(g, q.a))));
    if (l == 1) p->row[2] = q.a, p->row[3] = r.s;
    rh_scope_end(g);
  }
  p->row[1] = h;
  return rh_add(g, sum, rh_mul(g, m.s, rh_sum(g, h)));
}

static void begin(program *p, int real_bytes, rh_memory memory, bool plain) {
  *p = (program){0};
  const rh_shape shapes[LEAVES] = {rh_shape1(D), rh_shape1(D), rh_shape1(D * D), rh_shape1(D * D)};
  for (int i = 0; i < LEAVES; i++) {
    int leaf;
    PROBE_OK(rh_leaf_add(&p->leaves, RH_PARAM, shapes[i], (rh_init){RH_INIT_UNIFORM, 0.6, NULL}, true, &leaf, "w%d", i));
  }
  PROBE_OK(rh_values_create(&p->leaves, real_bytes, &p->values));
  rh_values_init(&p->leaves, 5, &p->values);
  rh_graph *g = &p->g;
  PROBE_OK(rh_graph_init(g, &p->leaves));
  p->x = p->wrt[0] = rh_input(g, rh_shape1(D));
  for (int i = 0; i < LEAVES; i++) p->wrt[1 + i] = rh_leaf_val(g, i);
  p->row[0] = build(p, plain);
  PROBE_OK(g->status);
  PROBE_OK(rh_vjp(g, 1, p->row, NULL, 1 + LEAVES, p->wrt, p->grads, memory));
  const rh_val again = rh_sum(g, rh_square(g, p->grads[0]));
  PROBE_OK(rh_vjp(g, 1, &again, NULL, 1 + LEAVES, p->wrt, p->second, memory));
  const rh_val along = rh_fill(g, rh_shape1(D), 1);
  PROBE_OK(rh_jvp(g, 1, &p->x, &along, 1, p->row, &p->tangent));
}

static void end(program *p) {
  rh_graph_free(&p->g);
  rh_values_free(&p->values);
  rh_leaves_free(&p->leaves);
}

enum { ROOM = ROWS * (8 * D + 8) + 4 * LEAVES * D * D };

/* Everything the program gives; how many of them are no derivatives, and no second ones. */
static int64_t run(const program *p, const double *x, int64_t rows, int threads, int64_t block_rows, double *out, int64_t *values,
                   int64_t *first) {
  probe q = {.g = &p->g,
             .values = &p->values,
             .real_bytes = p->values.real_bytes,
             .threads = threads,
             .rows = rows,
             .block_rows = block_rows,
             .input = {x}};
  const rh_val row[] = {p->row[0], p->row[1], p->row[2], p->row[3], p->grads[0], p->tangent, p->second[0]};
  int64_t at = 0;
  for (size_t i = 0; i < RH_COUNT_OF(row); i++) {
    if (i == 4) *values = at;
    q.row_val[q.n_row] = row[i], q.row_out[q.n_row++] = out + at;
    at += rows * rh_count(&p->g, row[i]);
  }
  *first = at - rows * D;
  for (int i = 0; i < 2 * LEAVES; i++) {
    const rh_val v = i < LEAVES ? p->grads[1 + i] : p->second[1 + i - LEAVES];
    q.param_val[q.n_param] = v, q.param_out[q.n_param++] = out + at;
    at += rh_count(&p->g, v);
  }
  probe_run(&q);
  return at;
}

static void like_ordinary_operations(void **state) {
  (void)state;
  double *x = probe_random(ROWS * D, 1, -1, 1), *a = calloc(ROOM, 8), *b = calloc(ROOM, 8);
  for (int rb = 4; rb <= 8; rb += 4) {
    program with, without;
    int64_t values, first;
    begin(&with, rb, RH_KEEP, false);
    begin(&without, rb, RH_KEEP, true);
    const int64_t n = run(&with, x, ROWS, 1, 0, a, &values, &first);
    assert_int_equal(run(&without, x, ROWS, 1, 0, b, &values, &first), n);
    assert_memory_equal(a, b, (size_t)values * 8); /* derivatives may add in another order */
    for (int64_t k = 0; k < n; k++) assert_true(fabs(a[k] - b[k]) <= (rb == 4 ? 2e-4 : 1e-12) * fmax(1, fabs(b[k])));
    end(&with);
    end(&without);
  }
  free(x), free(a), free(b);
}

static void same_bits_however_run(void **state) {
  (void)state;
  static const struct {
    int threads;
    int64_t block_rows;
  } ways[] = {{1, 0}, {2, 16}, {3, 48}, {2, 1024}};
  double *x = probe_random(ROWS * D, 1, -1, 1), *a = calloc(ROOM, 8), *b = calloc(ROOM, 8);
  for (int rb = 4; rb <= 8; rb += 4) {
    program keep, again;
    int64_t values, first;
    begin(&keep, rb, RH_KEEP, false);
    begin(&again, rb, RH_RECOMPUTE, false);
    const int64_t n = run(&keep, x, ROWS, 1, 0, a, &values, &first);
    for (size_t i = 0; i < RH_COUNT_OF(ways); i++) {
      run(&keep, x, ROWS, ways[i].threads, ways[i].block_rows, b, &values, &first);
      assert_memory_equal(a, b, (size_t)n * 8);
      run(&again, x, ROWS, ways[i].threads, ways[i].block_rows, b, &values, &first);
      assert_memory_equal(a, b, (size_t)(first - ROWS) * 8); /* but the tangent, which KEEP's graph gives too: */
      for (int64_t k = 0; k < n; k++) assert_true(fabs(a[k] - b[k]) <= (rb == 4 ? 2e-4 : 1e-12) * fmax(1, fabs(a[k])));
    }
    for (int64_t r = 0; r < ROWS; r += 31) { /* a row alone */
      run(&keep, x + r * D, 1, 1, 0, b, &values, &first);
      assert_memory_equal(b, a + r, 8);
      assert_memory_equal(b + 1, a + ROWS + r * D, D * 8);
      assert_memory_equal(b + 1 + D, a + ROWS * (1 + D) + r * D, D * 8);
    }
    end(&keep);
    end(&again);
  }
  free(x), free(a), free(b);
}

static void parts_are_places_inside(void **state) {
  (void)state;
  rh_graph g;
  PROBE_OK(rh_graph_init(&g, NULL));
  const rh_val x = rh_input(&g, rh_shape1(D)), v = emit_pair(&g, x, x);
  const rh_val row[2] = {rh_part_of(&g, v, 0), rh_part_of(&g, v, 2)};
  const rh_plan_options options = {.real_bytes = 8, .max_rows = ROWS};
  rh_plan *plan;
  rh_plan_info info;
  PROBE_OK(rh_plan_create(&g, 2, row, 0, NULL, &options, &plan));
  rh_plan_describe(plan, &info);
  assert_int_equal(info.local_bytes_row, (D + 2 * D + 1) * 8); /* the input and the node; no copies */
  assert_int_equal(info.row_nodes, 2);
  rh_plan_destroy(plan);
  rh_graph_free(&g);
}

static void only_parts_are_read(void **state) {
  (void)state;
  for (int i = 0; i < 7; i++) {
    rh_graph g;
    PROBE_OK(rh_graph_init(&g, NULL));
    const rh_val x = rh_input(&g, rh_shape1(D)), v = emit_pair(&g, x, x), a = rh_part_of(&g, v, 0);
    rh_status status = RH_OK;
    rh_val grad;
    if (i == 0) rh_neg(&g, v);
    if (i == 1) rh_part_of(&g, x, 0);
    if (i == 2) rh_part_of(&g, v, 3);
    if (i == 3) status = rh_vjp(&g, 1, &v, NULL, 1, &x, &grad, RH_KEEP);
    if (i == 4) status = rh_vjp(&g, 1, &a, NULL, 1, &v, &grad, RH_KEEP);
    if (i == 5) status = rh_jvp(&g, 1, &x, &x, 1, &v, &grad);
    if (i == 6) {
      const rh_plan_options options = {.real_bytes = 8};
      rh_plan *plan;
      status = rh_plan_create(&g, 1, &v, 0, NULL, &options, &plan);
    }
    if (i < 3) status = g.status;
    assert_int_equal(status, RH_E_ARGUMENT);
    assert_non_null(strstr(rh_last_error(), i == 1 ? "input" : "pair"));
    rh_graph_free(&g);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(like_ordinary_operations),
      cmocka_unit_test(same_bits_however_run),
      cmocka_unit_test(parts_are_places_inside),
      cmocka_unit_test(only_parts_are_read),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
