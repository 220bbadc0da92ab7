/* Products with parameters, and the sums over rows that are their gradients. */
#include "graph/ops.h"

typedef struct product_attr {
  bool transposed; /* linear: y = x w rather than x w' */
} product_attr;

static bool matrix(const rh_graph *g, rh_val w) {
  return !rh_is_none(w) && rh_at(g, w)->shape.rank == 2 && !rh_is_row(g, w);
}

/* ---- linear: y = x w' + b (w [n, k]), or transposed y = x w (w [k, n]) ---- */
static rh_val emit_linear(rh_graph *g, rh_val x, rh_val w, rh_val b, bool transposed) {
  if (g->status != RH_OK) return RH_NONE;
  if (rh_is_none(x) || !matrix(g, w)) return rh_graph_fail(g, RH_E_SHAPE, "linear: needs an operand and a parameter matrix");
  rh_shape s = rh_at(g, x)->shape;
  const rh_shape *m = &rh_at(g, w)->shape;
  const int64_t k = m->dim[transposed ? 0 : 1], n = m->dim[transposed ? 1 : 0];
  if (s.dim[s.rank - 1] != k)
    return rh_graph_fail(g, RH_E_SHAPE, "linear: the operand's last dimension is %lld, the matrix wants %lld", (long long)s.dim[s.rank - 1],
                         (long long)k);
  if (!rh_is_none(b) && (rh_is_row(g, b) || rh_count(g, b) != n))
    return rh_graph_fail(g, RH_E_SHAPE, "linear: the bias must be a parameter of %lld numbers", (long long)n);
  s.dim[s.rank - 1] = n;
  const product_attr attr = {transposed};
  const rh_val in[3] = {x, w, b};
  return rh_emit(g, RH_OP_linear, 3, in, s, &attr, sizeof attr);
}
rh_val rh_linear(rh_graph *g, rh_val x, rh_val w, rh_val b) {
  return emit_linear(g, x, w, b, false);
}
rh_val rh_linear_t(rh_graph *g, rh_val x, rh_val w) {
  return emit_linear(g, x, w, RH_NONE, true);
}
static bool is_transposed(const rh_node *node) {
  return ((const product_attr *)node->attr)->transposed;
}
/* Gradient of the matrix product in its parameter; plain parameter products when x is none per row. */
static rh_val outer(rh_graph *g, rh_val a, rh_val b) {
  if (rh_is_row(g, a) || rh_is_row(g, b)) return rh_outer_sum(g, a, b);
  const rh_val fa = rh_reshape(g, a, rh_shape2(rh_count(g, a) / rh_width(g, a), rh_width(g, a)));
  const rh_val fb = rh_reshape(g, b, rh_shape2(rh_count(g, b) / rh_width(g, b), rh_width(g, b)));
  return rh_matmul(g, fa, fb, true, false);
}
static void linear_vjp(rh_graph *g, rh_val node, rh_val ct, rh_val *out) {
  const rh_node n = *rh_at(g, node);
  const bool t = is_transposed(&n);
  out[0] = emit_linear(g, ct, n.in[1], RH_NONE, !t);
  out[1] = t ? outer(g, n.in[0], ct) : outer(g, ct, n.in[0]);
  if (!rh_is_none(n.in[2])) {
    rh_val c = ct;
    if (n.shape.rank > 1 && rh_is_row(g, ct)) {
      c = rh_sum_rows_last(g, ct);
    } else if (n.shape.rank > 1) { /* sum over the leading dimensions: ones' ct, as a product over them */
      const int64_t lead = rh_shape_count(&n.shape) / rh_width(g, ct);
      c = rh_matmul(g, rh_const(g, rh_shape2(lead, 1), 1), rh_reshape(g, ct, rh_shape2(lead, rh_width(g, ct))), true, false);
    }
    out[2] = c;
  }
}
static rh_val linear_jvp(rh_graph *g, rh_val node, const rh_val *t) {
  const rh_node n = *rh_at(g, node);
  rh_val v = rh_is_none(t[0]) ? RH_NONE : emit_linear(g, t[0], n.in[1], RH_NONE, is_transposed(&n));
  if (!rh_is_none(t[1])) v = rh_add_maybe(g, v, emit_linear(g, n.in[0], t[1], RH_NONE, is_transposed(&n)));
  if (!rh_is_none(t[2])) {
    const rh_val b = n.shape.rank == 1
                         ? t[2]
                         : rh_linear(g, rh_const(g, rh_shape2(rh_shape_count(&n.shape) / n.shape.dim[n.shape.rank - 1], 1), 1),
                                     rh_reshape(g, t[2], rh_shape2(n.shape.dim[n.shape.rank - 1], 1)), RH_NONE);
    v = rh_add_maybe(g, v, rh_reshape(g, b, n.shape));
  }
  return v;
}
static void linear_run(const rh_run_args *a) {
  const rh_shape *m = &a->in_node[1]->shape, *s = &a->node->shape;
  const int64_t k = m->dim[is_transposed(a->node) ? 0 : 1], n = s->dim[s->rank - 1];
  const int64_t rows = a->rows * (rh_shape_count(s) / n);
  a->k->gemm(rows, k, n, a->in[0], k, a->packed[1], a->in[2], a->out, n, 0, a->epilogue, rh_gate_of(a));
}
static int64_t linear_flops(const rh_graph *g, const rh_node *node) {
  const rh_shape *m = &rh_at(g, node->in[1])->shape, *s = &node->shape;
  return 2 * m->dim[0] * m->dim[1] * (rh_shape_count(s) / s->dim[s->rank - 1]);
}

/* The right matrix as panels of columns, some at a time. In turn: it lies column by column, [n, terms]. */
enum { PACK_CHUNK = 8 };
static bool in_turn(const rh_node *node);
static bool linear_wants(const rh_node *node, int operand) {
  (void)node;
  return operand == 1;
}
static int64_t pack_count(const rh_kernels *k, const rh_node *node, const rh_shape *m, int operand) {
  (void)operand;
  return k->pack_count(m->dim[in_turn(node)], m->dim[!in_turn(node)]);
}
static int64_t pack_pieces(const rh_kernels *k, const rh_node *node, const rh_shape *m, int operand) {
  (void)operand;
  const int64_t panels = (m->dim[!in_turn(node)] + k->panel - 1) / k->panel;
  return (panels + PACK_CHUNK - 1) / PACK_CHUNK;
}
static void pack_matrix(const rh_kernels *k, const rh_node *node, const rh_shape *m, int operand, const void *from, void *packed,
                        int64_t piece, void *scratch) {
  (void)operand, (void)scratch;
  const bool turned = in_turn(node);
  const int64_t terms = m->dim[turned], n = m->dim[!turned], panels = (n + k->panel - 1) / k->panel, first = piece * PACK_CHUNK;
  k->pack(terms, n, from, turned ? 1 : n, turned ? terms : 1, packed, first, first + PACK_CHUNK < panels ? first + PACK_CHUNK : panels);
}
static const rh_packing linear_packing = {.wants = linear_wants, .count = pack_count, .pieces = pack_pieces, .pack = pack_matrix};
const rh_op rh_op_linear = {.name = "linear",
                            .order = -1,
                            .vjp = linear_vjp,
                            .jvp = linear_jvp,
                            .run = linear_run,
                            .flops = linear_flops,
                            .packing = &linear_packing,
                            .epilogue = true};

/* ---- parameter x parameter ---- */
typedef struct matmul_attr {
  bool ta, tb;
} matmul_attr;
rh_val rh_matmul(rh_graph *g, rh_val a, rh_val b, bool ta, bool tb) {
  if (g->status != RH_OK) return RH_NONE;
  if (!matrix(g, a) || !matrix(g, b)) return rh_graph_fail(g, RH_E_SHAPE, "matmul: needs two parameter matrices");
  if (ta && tb) return rh_matmul(g, a, rh_transposed(g, b), true, false); /* of one order of reading each there are kernels */
  const rh_shape *sa = &rh_at(g, a)->shape, *sb = &rh_at(g, b)->shape;
  const int64_t m = sa->dim[ta], k = sa->dim[!ta], n = sb->dim[!tb];
  if (sb->dim[tb] != k)
    return rh_graph_fail(g, RH_E_SHAPE, "matmul: inner dimensions %lld and %lld differ", (long long)k, (long long)sb->dim[tb]);
  const matmul_attr attr = {ta, tb};
  const rh_val in[2] = {a, b};
  return rh_emit(g, RH_OP_matmul, 2, in, rh_shape2(m, n), &attr, sizeof attr);
}
static void matmul_vjp(rh_graph *g, rh_val node, rh_val ct, rh_val *out) {
  const rh_node n = *rh_at(g, node);
  const matmul_attr t = *(const matmul_attr *)n.attr;
  out[0] = t.ta ? rh_matmul(g, n.in[1], ct, t.tb, true) : rh_matmul(g, ct, n.in[1], false, !t.tb);
  out[1] = t.tb ? rh_matmul(g, ct, n.in[0], true, t.ta) : rh_matmul(g, n.in[0], ct, !t.ta, false);
}
static rh_val matmul_jvp(rh_graph *g, rh_val node, const rh_val *t) {
  const rh_node n = *rh_at(g, node);
  const matmul_attr at = *(const matmul_attr *)n.attr;
  const rh_val va = rh_is_none(t[0]) ? RH_NONE : rh_matmul(g, t[0], n.in[1], at.ta, at.tb);
  return rh_add_maybe(g, va, rh_is_none(t[1]) ? RH_NONE : rh_matmul(g, n.in[0], t[1], at.ta, at.tb));
}
/* a' b is a sum over lines like a gradient's; a b and a b' are row products. */
static void matmul_run(const rh_run_args *a) {
  const matmul_attr *t = a->node->attr;
  const rh_shape *sa = &a->in_node[0]->shape, *out = &a->node->shape;
  const int64_t m = out->dim[0], k = sa->dim[!t->ta], n = out->dim[1];
  if (t->ta) {
    a->k->gemm_tn(m, n, k, a->in[0], m, a->in[1], n, a->out, n, 0);
  } else {
    a->k->gemm(m, k, n, a->in[0], k, a->packed[1], NULL, a->out, n, 0, RH_EPI_NONE, NULL);
  }
}
static int64_t matmul_flops(const rh_graph *g, const rh_node *node) {
  const matmul_attr *t = node->attr;
  return 2 * rh_shape_count(&node->shape) * rh_at(g, node->in[0])->shape.dim[!t->ta];
}
static bool matmul_wants(const rh_node *node, int operand) {
  return operand == 1 && !((const matmul_attr *)node->attr)->ta;
}
static const rh_packing matmul_packing = {.wants = matmul_wants, .count = pack_count, .pieces = pack_pieces, .pack = pack_matrix};
static bool in_turn(const rh_node *node) {
  return node->op == RH_OP_matmul ? ((const matmul_attr *)node->attr)->tb : !is_transposed(node);
}
const rh_op rh_op_matmul = {.name = "matmul",
                            .order = -1,
                            .vjp = matmul_vjp,
                            .jvp = matmul_jvp,
                            .run = matmul_run,
                            .flops = matmul_flops,
                            .packing = &matmul_packing};

/* ---- sums over the rows ---- */
rh_val rh_sum_rows(rh_graph *g, rh_val x) {
  if (g->status != RH_OK || rh_is_none(x)) return rh_graph_fail(g, RH_E_ARGUMENT, "sum_rows without an operand");
  return rh_emit(g, RH_OP_sum_rows, 1, &x, rh_at(g, x)->shape, NULL, 0);
}
rh_val rh_sum_rows_last(rh_graph *g, rh_val x) {
  if (g->status != RH_OK || rh_is_none(x)) return rh_graph_fail(g, RH_E_ARGUMENT, "sum_rows_last without an operand");
  return rh_emit(g, RH_OP_sum_rows, 1, &x, rh_shape1(rh_width(g, x)), NULL, 0);
}
rh_val rh_outer_sum(rh_graph *g, rh_val a, rh_val b) {
  if (g->status != RH_OK || rh_is_none(a) || rh_is_none(b)) return rh_graph_fail(g, RH_E_ARGUMENT, "outer_sum without an operand");
  const int64_t m = rh_width(g, a), n = rh_width(g, b), lead = rh_count(g, a) / m;
  if (lead != rh_count(g, b) / n) return rh_graph_fail(g, RH_E_SHAPE, "outer_sum: leading dimensions differ");
  if (!rh_is_row(g, a) || !rh_is_row(g, b)) { /* one side shared by all rows: sum the other first; a parameter product after the rows */
    const rh_val fa = rh_reshape(g, rh_is_row(g, a) ? rh_sum_rows(g, a) : a, rh_shape2(lead, m));
    const rh_val fb = rh_reshape(g, rh_is_row(g, b) ? rh_sum_rows(g, b) : b, rh_shape2(lead, n));
    return rh_matmul(g, fa, fb, true, false);
  }
  const rh_val in[2] = {a, b};
  return rh_emit(g, RH_OP_outer_sum, 2, in, rh_shape2(m, n), NULL, 0);
}
static rh_val sum_rows_jvp(rh_graph *g, rh_val node, const rh_val *t) {
  return rh_count(g, node) == rh_count(g, t[0]) ? rh_sum_rows(g, t[0]) : rh_sum_rows_last(g, t[0]);
}
static rh_val outer_sum_jvp(rh_graph *g, rh_val node, const rh_val *t) {
  const rh_node n = *rh_at(g, node);
  const rh_val va = rh_is_none(t[0]) ? RH_NONE : rh_outer_sum(g, t[0], n.in[1]);
  return rh_add_maybe(g, va, rh_is_none(t[1]) ? RH_NONE : rh_outer_sum(g, n.in[0], t[1]));
}
/* Outputs of one owner: rows of dW, or of a plain sum 8 times as many numbers; fewer where a row's own leading dimensions make the sum
 * long, as an image's pixels do: few such sums stand in a segment, and threads would wait for the last. */
enum { SUM_TILE = 132, LONG_TILE = 44, LONG_PLAIN = 32, LONG = 16 };
static int64_t plain_tile(int64_t lead) {
  return lead >= LONG ? LONG_PLAIN : SUM_TILE * 8;
}
static void sum_rows_run(const rh_run_args *a) {
  const int64_t n = rh_shape_count(&a->node->shape), size = a->k->real_bytes;
  const int64_t lead = rh_shape_count(&a->in_node[0]->shape) / n, tile = plain_tile(lead); /* leading dimensions count as rows */
  const int64_t first = a->task * tile, last = first + tile < n ? first + tile : n;
  a->k->col_sum(a->rows * lead, last - first, (const char *)a->in[0] + first * size, n, (char *)a->out + first * size, a->accumulate);
}
static int64_t sum_rows_tasks(const rh_graph *g, const rh_node *node) {
  const int64_t n = rh_shape_count(&node->shape), tile = plain_tile(rh_count(g, node->in[0]) / n);
  return (n + tile - 1) / tile;
}
static int64_t outer_tile(int64_t lead, int64_t m) {
  return lead >= LONG ? rh_even_piece(m, LONG_TILE) : SUM_TILE;
}
static void outer_sum_run(const rh_run_args *a) {
  const int64_t m = a->node->shape.dim[0], n = a->node->shape.dim[1], size = a->k->real_bytes;
  const int64_t lead = rh_shape_count(&a->in_node[0]->shape) / m, rows = a->rows * lead, tile = outer_tile(lead, m);
  const int64_t first = a->task * tile, last = first + tile < m ? first + tile : m;
  a->k->gemm_tn(last - first, n, rows, (const char *)a->in[0] + first * size, m, a->in[1], n, (char *)a->out + first * n * size, n,
                a->accumulate);
}
static int64_t outer_sum_tasks(const rh_graph *g, const rh_node *node) {
  const int64_t m = node->shape.dim[0], tile = outer_tile(rh_count(g, node->in[0]) / m, m);
  return (m + tile - 1) / tile;
}
static int64_t outer_sum_flops(const rh_graph *g, const rh_node *node) {
  return 2 * rh_count(g, node->in[0]) * node->shape.dim[1];
}
const rh_op rh_op_sum_rows = {
    .name = "sum_rows", .order = 0, .reduces = true, .jvp = sum_rows_jvp, .run = sum_rows_run, .tasks = sum_rows_tasks};
const rh_op rh_op_outer_sum = {.name = "outer_sum",
                               .order = 0,
                               .reduces = true,
                               .jvp = outer_sum_jvp,
                               .run = outer_sum_run,
                               .tasks = outer_sum_tasks,
                               .flops = outer_sum_flops};
