/* Products with masked matrices (stairs.h): what the mask zeroes is neither stored nor multiplied, up to the width of a panel. */
#include <string.h>

#include "graph/body.h"
#include "graph/stairs.h"

static const rh_stairs *stairs_of(const rh_node *node) {
  return node->attr;
}
static bool is_transposed(const rh_node *node) {
  return node->op == RH_OP_masked_t;
}

/* ---- packing: panels of outputs (or inputs), each with the terms that its widest member needs ---- */
enum { PACK_CHUNK = 8 };

static bool wants_weights(const rh_node *node, int operand) {
  (void)node;
  return operand == 1;
}
static int64_t least(int64_t a, int64_t b) {
  return a < b ? a : b;
}
/* A walk over panels: columns [first, first + cols) of the product, its terms and where its packed form begins. */
typedef struct walk {
  const rh_stairs *s;
  const rh_kernels *k;
  bool transposed;
  int64_t n, stair; /* columns in all; where the walk is in the stairs */
  int64_t first, cols, skip, terms, at, next;
} walk;
static walk walk_begin(const rh_node *node, const rh_kernels *k) {
  const rh_stairs *s = stairs_of(node);
  return (walk){.s = s, .k = k, .transposed = is_transposed(node), .n = is_transposed(node) ? s->in : s->out, .first = -k->panel};
}
static bool walk_next(walk *w) {
  w->first += w->k->panel;
  if (w->first >= w->n) return false;
  w->cols = least(w->k->panel, w->n - w->first);
  w->at = w->next;
  const rh_stair *t = w->s->stair;
  if (w->transposed) { /* outputs [skip, out) read the first input of the panel, or more */
    while (w->stair < w->s->n && t[w->stair].reach <= w->first) w->stair++;
    w->skip = t[w->stair].first;
    w->terms = w->s->out - w->skip;
  } else { /* the last output of the panel reads the most */
    while (t[w->stair + 1].first <= w->first + w->cols - 1) w->stair++;
    w->terms = t[w->stair].reach;
  }
  w->next = w->at + w->k->pack_count(w->terms, w->cols);
  return true;
}

static int64_t pack_count(const rh_kernels *k, const rh_node *node, const rh_shape *m, int operand) {
  walk w = walk_begin(node, k);
  (void)m, (void)operand;
  while (walk_next(&w)) continue;
  return w.next;
}
static int64_t pack_pieces(const rh_kernels *k, const rh_node *node, const rh_shape *m, int operand) {
  const int64_t panels = (walk_begin(node, k).n + k->panel - 1) / k->panel;
  (void)m, (void)operand;
  return (panels + PACK_CHUNK - 1) / PACK_CHUNK;
}
static int64_t pack_scratch(const rh_kernels *k, const rh_node *node, const rh_shape *m, int operand) {
  const rh_stairs *s = stairs_of(node);
  (void)m, (void)operand;
  return k->panel * (is_transposed(node) ? s->out : s->in);
}
static void pack_panels(const rh_kernels *k, const rh_node *node, const rh_shape *m, int operand, const void *from, void *packed,
                        int64_t piece, void *scratch) {
  walk w = walk_begin(node, k);
  (void)m, (void)operand;
  for (int64_t p = 0; walk_next(&w) && p < (piece + 1) * PACK_CHUNK; p++) {
    if (p < piece * PACK_CHUNK) continue;
    char *to = (char *)packed + w.at * k->real_bytes;
    if (w.transposed) {
      const bool whole = w.cols == k->panel; /* is packed as it lies there */
      rh_stairs_expand(w.s, k->real_bytes, from, w.skip, w.terms, w.first, w.cols, whole ? to : scratch);
      if (!whole) k->pack(w.terms, w.cols, scratch, w.cols, 1, to, 0, 1);
    } else {
      rh_stairs_expand(w.s, k->real_bytes, from, w.first, w.cols, 0, w.terms, scratch);
      k->pack(w.terms, w.cols, scratch, 1, w.terms, to, 0, 1);
    }
  }
}
static const rh_packing masked_packing = {wants_weights, pack_count, pack_pieces, pack_scratch, pack_panels};

static void run_panels(const rh_run_args *a) {
  const int64_t size = a->k->real_bytes;
  walk w = walk_begin(a->node, a->k);
  const int64_t in = w.transposed ? w.s->out : w.s->in;
  const char *bias = w.transposed ? NULL : a->in[2], *gate = rh_gate_of(a);
  while (walk_next(&w))
    a->k->gemm(a->rows, w.terms, w.cols, (const char *)a->in[0] + w.skip * size, in, (const char *)a->packed[1] + w.at * size,
               bias ? bias + w.first * size : NULL, (char *)a->out + w.first * size, w.n, 0, a->epilogue,
               gate ? gate + w.first * size : NULL);
}

/* ---- masked: y = x W' + b ---- */
static bool fits(rh_graph *g, const char *what, rh_val x, int64_t n, rh_val w, const rh_stairs *s) {
  if (g->status != RH_OK) return false;
  if (rh_is_none(x) || rh_is_none(w) || rh_is_row(g, w) || rh_count(g, x) != n || rh_count(g, w) != s->count) {
    rh_graph_fail(g, RH_E_SHAPE, "%s: needs a vector of %lld and %lld weights", what, (long long)n, (long long)s->count);
    return false;
  }
  return true;
}
rh_val rh_masked(rh_graph *g, rh_val x, rh_val w, rh_val b, const rh_stairs *s) {
  if (!fits(g, "masked", x, s->in, w, s)) return RH_NONE;
  if (!rh_is_none(b) && (rh_is_row(g, b) || rh_count(g, b) != s->out))
    return rh_graph_fail(g, RH_E_SHAPE, "masked: the bias must be a parameter of %lld numbers", (long long)s->out);
  const rh_val in[3] = {x, w, b};
  return rh_emit(g, RH_OP_masked, 3, in, rh_shape1(s->out), s, rh_stairs_bytes(s));
}
rh_val rh_masked_t(rh_graph *g, rh_val y, rh_val w, const rh_stairs *s) {
  if (!fits(g, "masked_t", y, s->out, w, s)) return RH_NONE;
  const rh_val in[2] = {y, w};
  return rh_emit(g, RH_OP_masked_t, 2, in, rh_shape1(s->in), s, rh_stairs_bytes(s));
}

static void masked_vjp(rh_graph *g, rh_val node, rh_val ct, rh_val *out) {
  const rh_node n = *rh_at(g, node);
  out[0] = rh_masked_t(g, ct, n.in[1], n.attr);
  out[1] = rh_masked_sum(g, ct, n.in[0], n.attr);
  if (!rh_is_none(n.in[2])) out[2] = ct;
}
static rh_val masked_jvp(rh_graph *g, rh_val node, const rh_val *t) {
  const rh_node n = *rh_at(g, node);
  rh_val v = rh_is_none(t[0]) ? RH_NONE : rh_masked(g, t[0], n.in[1], RH_NONE, n.attr);
  if (!rh_is_none(t[1])) v = rh_add_maybe(g, v, rh_masked(g, n.in[0], t[1], RH_NONE, n.attr));
  return rh_add_maybe(g, v, t[2]);
}
static int64_t masked_flops(const rh_graph *g, const rh_node *node) {
  (void)g;
  return 2 * stairs_of(node)->count;
}
const rh_op rh_op_masked = {.name = "masked",
                            .order = -1,
                            .vjp = masked_vjp,
                            .jvp = masked_jvp,
                            .run = run_panels,
                            .flops = masked_flops,
                            .packing = &masked_packing,
                            .epilogue = true};

/* ---- masked_t: x = y W ---- */
static void masked_t_vjp(rh_graph *g, rh_val node, rh_val ct, rh_val *out) {
  const rh_node n = *rh_at(g, node);
  out[0] = rh_masked(g, ct, n.in[1], RH_NONE, n.attr);
  out[1] = rh_masked_sum(g, n.in[0], ct, n.attr);
}
static rh_val masked_t_jvp(rh_graph *g, rh_val node, const rh_val *t) {
  const rh_node n = *rh_at(g, node);
  const rh_val v = rh_is_none(t[0]) ? RH_NONE : rh_masked_t(g, t[0], n.in[1], n.attr);
  return rh_add_maybe(g, v, rh_is_none(t[1]) ? RH_NONE : rh_masked_t(g, n.in[0], t[1], n.attr));
}
const rh_op rh_op_masked_t = {.name = "masked_t",
                              .order = -1,
                              .vjp = masked_t_vjp,
                              .jvp = masked_t_jvp,
                              .run = run_panels,
                              .flops = masked_flops,
                              .packing = &masked_packing,
                              .epilogue = true};

/* ---- masked_sum: the weights' gradient, sum over rows of y[j] x[k] for k < reach(j) ---- */
rh_val rh_masked_sum(rh_graph *g, rh_val y, rh_val x, const rh_stairs *s) {
  if (g->status != RH_OK) return RH_NONE;
  if (rh_count(g, y) != s->out || rh_count(g, x) != s->in)
    return rh_graph_fail(g, RH_E_SHAPE, "masked_sum: needs vectors of %lld and %lld", (long long)s->out, (long long)s->in);
  if (!rh_is_row(g, y) && !rh_is_row(g, x)) { /* one outer product, of which the mask leaves a part */
    int32_t *index = rh_arena_alloc(&g->arena, (size_t)(s->count + 1) * sizeof *index), *at = index;
    if (!index) return rh_graph_fail(g, RH_E_MEMORY, "out of memory for a masked product");
    for (int64_t t = 0; t < s->n; t++)
      for (int64_t j = s->stair[t].first; j < s->stair[t + 1].first; j++)
        for (int64_t k = 0; k < s->stair[t].reach; k++) *at++ = (int32_t)(j * s->in + k);
    const rh_val whole = rh_matmul(g, rh_reshape(g, y, rh_shape2(1, s->out)), rh_reshape(g, x, rh_shape2(1, s->in)), true, false);
    return rh_gather(g, whole, rh_shape1(s->count), index);
  }
  const rh_val in[2] = {rh_as_row(g, y), rh_as_row(g, x)};
  return rh_emit(g, RH_OP_masked_sum, 2, in, rh_shape1(s->count), s, rh_stairs_bytes(s));
}
static rh_val masked_sum_jvp(rh_graph *g, rh_val node, const rh_val *t) {
  const rh_node n = *rh_at(g, node);
  const rh_val va = rh_is_none(t[0]) ? RH_NONE : rh_masked_sum(g, t[0], n.in[1], n.attr);
  return rh_add_maybe(g, va, rh_is_none(t[1]) ? RH_NONE : rh_masked_sum(g, n.in[0], t[1], n.attr));
}
enum { SUM_TILE = 132 }; /* outputs of one owner: 22 tiles of 6; the last, which read the most, go first */
static int64_t sum_tiles(const rh_stairs *s) {
  return (s->out + SUM_TILE - 1) / SUM_TILE;
}
static void masked_sum_run(const rh_run_args *a) {
  const rh_stairs *s = stairs_of(a->node);
  const int64_t first = (sum_tiles(s) - 1 - a->task) * SUM_TILE, n = least(SUM_TILE, s->out - first);
  int64_t row[SUM_TILE], reach[SUM_TILE], t = rh_stairs_of(s, first);
  for (int64_t j = 0; j < n; j++) {
    while (s->stair[t + 1].first <= first + j) t++;
    reach[j] = s->stair[t].reach;
    row[j] = s->stair[t].at + (first + j - s->stair[t].first) * reach[j];
  }
  a->k->gemm_tn_ragged(n, a->rows, (const char *)a->in[0] + first * a->k->real_bytes, s->out, a->in[1], s->in, a->out, row, reach,
                       a->accumulate);
}
static int64_t masked_sum_tasks(const rh_graph *g, const rh_node *node) {
  (void)g;
  return sum_tiles(stairs_of(node));
}
const rh_op rh_op_masked_sum = {.name = "masked_sum",
                                .order = 0,
                                .reduces = true,
                                .jvp = masked_sum_jvp,
                                .run = masked_sum_run,
                                .tasks = masked_sum_tasks,
                                .flops = masked_flops};
