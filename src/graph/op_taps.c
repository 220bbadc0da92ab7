/* Products by pixel, for convolutions to few channels (op_conv.c): what a pixel of c numbers gives to each tap of the windows that it lies
 * in. The weight is read, and its gradient written, as it is stored, [o, kh, kw, c]; only the packed form knows the order of what is given,
 * [kh, kw, o] with the last tap of a line first: what a pixel gives then lies together in the image that sums it. */
#include <string.h>

#include "graph/body.h"
#include "graph/ops.h"

typedef struct taps_attr {
  int64_t o, kh, kw, c;
  int64_t back; /* not 0: the adjoint in the image */
} taps_attr;

static const taps_attr *taps_of(const rh_node *node) {
  return node->attr;
}
static int64_t given(const taps_attr *a) { /* numbers of a pixel in the order of taps */
  return a->kh * a->kw * a->o;
}

/* Where the weights of one of them begin. */
static int64_t line_of(const taps_attr *a, int64_t i) {
  const int64_t tap = i / a->o;
  return ((i % a->o * a->kh + tap / a->kw) * a->kw + a->kw - 1 - tap % a->kw) * a->c;
}

static rh_val emit(rh_graph *g, rh_val x, rh_val weight, const taps_attr *a) {
  if (g->status != RH_OK) return RH_NONE;
  const rh_shape *s = &rh_at(g, x)->shape;
  const rh_shape shape = rh_shape3(s->dim[0], s->dim[1], a->back ? a->c : given(a));
  const rh_val in[2] = {rh_as_row(g, x), weight};
  return rh_emit(g, RH_OP_taps, 2, in, shape, a, sizeof *a);
}

rh_val rh_taps(rh_graph *g, rh_val x, rh_val weight) {
  if (g->status != RH_OK) return RH_NONE;
  const rh_shape *w = &rh_at(g, weight)->shape;
  const taps_attr a = {.o = w->dim[0], .kh = w->dim[1], .kw = w->dim[2], .c = w->dim[3]};
  return emit(g, x, weight, &a);
}

rh_val rh_taps_t(rh_graph *g, rh_val all, rh_val weight) {
  if (g->status != RH_OK) return RH_NONE;
  const rh_shape *w = &rh_at(g, weight)->shape;
  const taps_attr a = {.o = w->dim[0], .kh = w->dim[1], .kw = w->dim[2], .c = w->dim[3], .back = 1};
  return emit(g, all, weight, &a);
}

/* The sum over rows and pixels: given: [h, w, kh kw o], x: [h, w, c] -> the weight's shape. */
static rh_val emit_sum(rh_graph *g, rh_val all, rh_val x, const taps_attr *a) {
  const rh_val in[2] = {rh_as_row(g, all), rh_as_row(g, x)};
  taps_attr plain = *a;
  plain.back = 0;
  return rh_emit(g, RH_OP_taps_w, 2, in, rh_shape4(a->o, a->kh, a->kw, a->c), &plain, sizeof plain);
}

static void taps_vjp(rh_graph *g, rh_val node, rh_val ct, rh_val *out) {
  const rh_node n = *rh_at(g, node);
  taps_attr turned = *taps_of(&n);
  turned.back = !turned.back;
  const rh_val dense = rh_reshape(g, ct, n.shape);
  out[0] = emit(g, dense, n.in[1], &turned);
  out[1] = turned.back ? emit_sum(g, dense, n.in[0], &turned) : emit_sum(g, n.in[0], dense, &turned);
}
static rh_val taps_jvp(rh_graph *g, rh_val node, const rh_val *t) {
  const rh_node n = *rh_at(g, node);
  const rh_val v = rh_is_none(t[0]) ? RH_NONE : emit(g, t[0], n.in[1], taps_of(&n));
  return rh_add_maybe(g, v, rh_is_none(t[1]) ? RH_NONE : emit(g, n.in[0], t[1], taps_of(&n)));
}
static void taps_run(const rh_run_args *a) {
  const taps_attr *t = taps_of(a->node);
  const int64_t k = t->back ? given(t) : t->c, n = t->back ? t->c : given(t), pixels = rh_shape_count(&a->node->shape) / n;
  a->k->gemm(a->rows * pixels, k, n, a->in[0], k, a->packed[1], NULL, a->out, n, 0, a->epilogue, rh_gate_of(a));
}
static int64_t taps_flops(const rh_graph *g, const rh_node *node) {
  const taps_attr *t = taps_of(node);
  return 2 * rh_count(g, node->in[0]) * (t->back ? t->c : given(t));
}

/* ---- the packed form: lines of the weight in the order of taps, then panels ---- */
static bool taps_wants(const rh_node *node, int operand) {
  (void)node;
  return operand == 1;
}
static int64_t taps_pack_count(const rh_kernels *k, const rh_node *node, const rh_shape *matrix, int operand) {
  (void)matrix, (void)operand;
  const taps_attr *a = taps_of(node);
  return a->back ? k->pack_count(given(a), a->c) : k->pack_count(a->c, given(a));
}
static int64_t taps_pack_pieces(const rh_kernels *k, const rh_node *node, const rh_shape *matrix, int operand) {
  (void)k, (void)node, (void)matrix, (void)operand;
  return 1;
}
static int64_t taps_pack_scratch(const rh_kernels *k, const rh_node *node, const rh_shape *matrix, int operand) {
  (void)k, (void)node, (void)operand;
  return rh_shape_count(matrix);
}
static void taps_pack(const rh_kernels *k, const rh_node *node, const rh_shape *matrix, int operand, const void *from, void *packed,
                      int64_t piece, void *scratch) {
  (void)matrix, (void)operand, (void)piece;
  const taps_attr *a = taps_of(node);
  const int64_t n = given(a), size = k->real_bytes, columns = a->back ? a->c : n, panels = (columns + k->panel - 1) / k->panel;
  for (int64_t i = 0; i < n; i++)
    memcpy((char *)scratch + i * a->c * size, (const char *)from + line_of(a, i) * size, (size_t)(a->c * size));
  k->pack(a->back ? n : a->c, columns, scratch, a->back ? a->c : 1, a->back ? 1 : a->c, packed, 0, panels);
}
static const rh_packing taps_packing = {
    .wants = taps_wants, .count = taps_pack_count, .pieces = taps_pack_pieces, .scratch = taps_pack_scratch, .pack = taps_pack};
const rh_op rh_op_taps = {.name = "taps",
                          .order = -1,
                          .vjp = taps_vjp,
                          .jvp = taps_jvp,
                          .run = taps_run,
                          .flops = taps_flops,
                          .packing = &taps_packing,
                          .epilogue = true};

/* ---- the gradient in the weight; a piece is some lines of it, by the order of taps ---- */
enum { SUM_LINES = 44 };
static int64_t taps_w_tasks(const rh_graph *g, const rh_node *node) {
  (void)g;
  const int64_t all = given(taps_of(node)), piece = rh_even_piece(all, SUM_LINES);
  return (all + piece - 1) / piece;
}
static void taps_w_run(const rh_run_args *a) {
  const taps_attr *t = taps_of(a->node);
  const int64_t all = given(t), piece = rh_even_piece(all, SUM_LINES), first = a->task * piece;
  const int64_t n = all - first < piece ? all - first : piece, pixels = rh_shape_count(&a->in_node[1]->shape) / t->c;
  int64_t line[SUM_LINES], reach[SUM_LINES];
  for (int64_t i = 0; i < n; i++) line[i] = line_of(t, first + i), reach[i] = t->c;
  a->k->gemm_tn_ragged(n, a->rows * pixels, (const char *)a->in[0] + first * a->k->real_bytes, all, a->in[1], t->c, a->out, line, reach,
                       a->accumulate);
}
static int64_t taps_w_flops(const rh_graph *g, const rh_node *node) {
  return 2 * rh_count(g, node->in[0]) * taps_of(node)->c;
}
static rh_val taps_w_jvp(rh_graph *g, rh_val node, const rh_val *t) {
  const rh_node n = *rh_at(g, node);
  const rh_val v = rh_is_none(t[0]) ? RH_NONE : emit_sum(g, t[0], n.in[1], taps_of(&n));
  return rh_add_maybe(g, v, rh_is_none(t[1]) ? RH_NONE : emit_sum(g, n.in[0], t[1], taps_of(&n)));
}
const rh_op rh_op_taps_w = {
    .name = "taps_w", .order = 0, .reduces = true, .jvp = taps_w_jvp, .run = taps_w_run, .flops = taps_w_flops, .tasks = taps_w_tasks};
