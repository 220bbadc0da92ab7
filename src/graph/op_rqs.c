/* Rational-quadratic splines (kernel.h) as one operation with two outputs, and its derivative as another. Derivatives of the derivative and
 * tangents go by the same spline out of ordinary operations (rqs_plain.c). */
#include <math.h>

#include "graph/body.h"

typedef struct rqs_attr {
  rh_parts parts; /* rqs: y, ladj; rqs_vjp: dx, draw */
  rh_rqs s;
  int inverse;
} rqs_attr;

static const rqs_attr *attr_of(const rh_node *node) {
  return node->attr;
}

rh_rqs rh_rqs_of(int64_t bins, rh_tails tails, double box, double min_width, double min_height, double min_slope) {
  return (rh_rqs){bins, tails, box, min_width, min_height, min_slope, log(expm1(1 - min_slope))};
}

void rh_rqs_val(rh_graph *g, const rh_rqs *s, bool inverse, rh_val x, rh_val raw, rh_val *y, rh_val *ladj) {
  const int64_t m = rh_count(g, x), k = s->bins;
  *y = *ladj = RH_NONE;
  if (g->status != RH_OK) return;
  if (k < 1 || k > RH_RQS_BINS) {
    rh_graph_fail(g, RH_E_ARGUMENT, "rqs: %lld bins; a spline has 1 to %d", (long long)k, RH_RQS_BINS);
    return;
  }
  if (!(s->min_width * (double)k < 1 && s->min_height * (double)k < 1)) {
    rh_graph_fail(g, RH_E_ARGUMENT, "rqs: %lld bins of at least %g (widths) and %g (heights) of the box do not fit into it", (long long)k,
                  s->min_width, s->min_height);
    return;
  }
  if (rh_is_none(x) || rh_is_none(raw) || rh_count(g, raw) != m * rh_rqs_params(s)) {
    rh_graph_fail(g, RH_E_SHAPE, "rqs: %lld raw numbers for %lld elements of %lld each", (long long)rh_count(g, raw), (long long)m,
                  (long long)rh_rqs_params(s));
    return;
  }
  const rqs_attr attr = {{2, {m, m}}, *s, inverse};
  const rh_val v = rh_emit(g, RH_OP_rqs, 2, (rh_val[]){x, raw}, rh_shape1(2 * m), &attr, sizeof attr);
  if (g->status != RH_OK) return;
  *y = rh_part_of(g, v, 0);
  *ladj = rh_part_of(g, v, 1);
}

/* ---- by ordinary operations: values of their own, so that nothing behind x and raw is looked at ---- */

enum { X, RAW, CT_Y, CT_LADJ, OPERANDS };

static void fresh(rh_graph *g, rh_val node, rh_val *own) {
  const rh_node *n = rh_at(g, node);
  const bool row = rh_is_row(g, node);
  for (int i = 0; i < OPERANDS; i++) {
    own[i] = RH_NONE;
    if (i >= n->arity || rh_is_none(n->in[i])) continue;
    own[i] = rh_unary_val(g, RH_U_COPY, row ? rh_as_row(g, n->in[i]) : n->in[i], 0);
  }
}

/* rh_vjp over those outs alone that have a cotangent. */
static void pull(rh_graph *g, int n, const rh_val *outs, const rh_val *cts, int m, const rh_val *wrt, rh_val *grads) {
  rh_val out[2], ct[2];
  int kept = 0;
  for (int i = 0; i < n; i++)
    if (!rh_is_none(outs[i]) && !rh_is_none(cts[i])) out[kept] = outs[i], ct[kept++] = cts[i];
  for (int i = 0; i < m; i++) grads[i] = RH_NONE;
  if (g->status != RH_OK || !kept) return;
  const rh_status status = rh_vjp(g, kept, out, ct, m, wrt, grads, RH_KEEP);
  if (g->status == RH_OK) g->status = status;
}

static void push(rh_graph *g, int m, const rh_val *wrt, const rh_val *tangents, int n, const rh_val *outs, rh_val *out) {
  for (int i = 0; i < n; i++) out[i] = RH_NONE;
  if (g->status != RH_OK) return;
  const rh_status status = rh_jvp(g, m, wrt, tangents, n, outs, out);
  if (g->status == RH_OK) g->status = status;
}

/* dx, draw of an rqs_vjp node out of `own`. The inverse by the implicit rule: with the ladj's slope l_x at the solution and f' = e^ladj,
 * dy = (ct_x - ct_l l_x) / f', and the forward spline's derivative at (-dy, -ct_l) gives draw. */
static void plain_vjp(rh_graph *g, const rqs_attr *a, const rh_val *own, rh_val *result) {
  rh_val out[2];
  rh_rqs_plain(g, &a->s, own[X], own[RAW], &out[0], &out[1]);
  if (!a->inverse) {
    pull(g, 2, out, own + CT_Y, 2, own, result);
    return;
  }
  rh_val slope;
  pull(g, 1, out + 1, own + CT_LADJ, 1, own, &slope);
  const rh_val up = rh_add_maybe(g, own[CT_Y], rh_is_none(slope) ? slope : rh_neg(g, slope));
  if (g->status != RH_OK) return;
  result[0] = rh_mul(g, up, rh_exp(g, rh_neg(g, out[1])));
  const rh_val cts[2] = {rh_neg(g, result[0]), rh_is_none(own[CT_LADJ]) ? RH_NONE : rh_neg(g, own[CT_LADJ])};
  pull(g, 2, out, cts, 1, own + RAW, result + 1);
}

/* ---- rules ---- */
static void rqs_vjp(rh_graph *g, rh_val node, rh_val ct, rh_val *out) {
  rqs_attr a = *attr_of(rh_at(g, node));
  const rh_val *in = rh_at(g, node)->in;
  const int64_t m = rh_count(g, in[0]);
  rh_val operands[OPERANDS] = {a.inverse ? rh_part_of(g, node, 0) : in[0], in[1], rh_tuple_at(g, ct, 0), rh_tuple_at(g, ct, 1)};
  if (rh_is_row(g, node))
    for (int i = CT_Y; i < OPERANDS; i++) operands[i] = rh_as_row(g, operands[i]);
  a.parts = (rh_parts){2, {m, rh_count(g, in[1])}};
  if (g->status != RH_OK) return;
  const rh_val v = rh_emit(g, RH_OP_rqs_vjp, OPERANDS, operands, rh_shape1(rh_parts_total(&a.parts)), &a, sizeof a);
  if (g->status != RH_OK) return;
  for (int i = 0; i < 2; i++) out[i] = rh_part_of(g, v, i);
}

static rh_val rqs_jvp(rh_graph *g, rh_val node, const rh_val *t) {
  const rqs_attr a = *attr_of(rh_at(g, node));
  rh_val own[OPERANDS], out[2], tangent[2] = {t[0], t[1]}, result[2];
  fresh(g, node, own);
  if (a.inverse) own[X] = rh_unary_val(g, RH_U_COPY, rh_part_of(g, node, 0), 0);
  rh_rqs_plain(g, &a.s, own[X], own[RAW], &out[0], &out[1]);
  if (a.inverse) { /* dx = (dy - f_raw draw) / f' */
    rh_val by_raw = RH_NONE;
    if (!rh_is_none(t[1])) push(g, 1, own + RAW, t + 1, 1, out, &by_raw);
    const rh_val up = rh_add_maybe(g, t[0], rh_is_none(by_raw) ? by_raw : rh_neg(g, by_raw));
    if (g->status != RH_OK) return RH_NONE;
    tangent[0] = rh_mul(g, up, rh_exp(g, rh_neg(g, out[1])));
    result[0] = tangent[0];
    push(g, 2, own, tangent, 1, out + 1, result + 1);
    if (g->status == RH_OK && !rh_is_none(result[1])) result[1] = rh_neg(g, result[1]);
  } else {
    push(g, 2, own, tangent, 2, out, result);
  }
  return g->status == RH_OK ? rh_tuple(g, &a.parts, result) : RH_NONE;
}

static void rqs_vjp_vjp(rh_graph *g, rh_val node, rh_val ct, rh_val *out) {
  const rqs_attr a = *attr_of(rh_at(g, node));
  const rh_val cts[2] = {rh_tuple_at(g, ct, 0), rh_tuple_at(g, ct, 1)};
  rh_val own[OPERANDS], result[2], wrt[OPERANDS], grads[OPERANDS];
  fresh(g, node, own);
  plain_vjp(g, &a, own, result);
  int n = 0;
  for (int i = 0; i < OPERANDS; i++)
    if (!rh_is_none(own[i])) wrt[n++] = own[i];
  pull(g, 2, result, cts, n, wrt, grads);
  n = 0;
  for (int i = 0; i < OPERANDS && g->status == RH_OK; i++)
    if (!rh_is_none(own[i])) out[i] = grads[n++];
}

static rh_val rqs_vjp_jvp(rh_graph *g, rh_val node, const rh_val *t) {
  const rqs_attr a = *attr_of(rh_at(g, node));
  rh_val own[OPERANDS], result[2], wrt[OPERANDS], tangents[OPERANDS], out[2];
  fresh(g, node, own);
  plain_vjp(g, &a, own, result);
  int n = 0;
  for (int i = 0; i < OPERANDS; i++)
    if (!rh_is_none(own[i]) && !rh_is_none(t[i])) wrt[n] = own[i], tangents[n++] = t[i];
  push(g, n, wrt, tangents, 2, result, out);
  return g->status == RH_OK ? rh_tuple(g, &a.parts, out) : RH_NONE;
}

/* ---- running: all rows at once, unless an operand is shared by them ---- */
static const char *operand_at(const rh_run_args *a, int i, int64_t row) {
  if (i >= a->node->arity || !a->in[i]) return NULL;
  return (const char *)a->in[i] + (a->in_row[i] ? row * rh_shape_count(&a->in_node[i]->shape) * a->k->real_bytes : 0);
}

static void each(const rh_run_args *a, bool derivative) {
  const rqs_attr *q = attr_of(a->node);
  const int64_t m = rh_shape_count(&a->in_node[0]->shape), rb = a->k->real_bytes;
  bool together = true;
  for (int i = 0; i < a->node->arity; i++) together &= !a->in[i] || a->in_row[i] || a->rows == 1;
  const int64_t calls = together ? 1 : a->rows, n = together ? a->rows * m : m;
  for (int64_t r = 0; r < calls; r++) {
    const char *x = operand_at(a, X, r), *raw = operand_at(a, RAW, r);
    char *first = (char *)a->part[0] + r * q->parts.count[0] * rb, *second = (char *)a->part[1] + r * q->parts.count[1] * rb;
    if (derivative)
      a->k->rqs_vjp(&q->s, q->inverse, n, x, raw, operand_at(a, CT_Y, r), operand_at(a, CT_LADJ, r), first, second);
    else
      a->k->rqs(&q->s, q->inverse, n, x, raw, first, second);
  }
}
static void rqs_run(const rh_run_args *a) {
  each(a, false);
}
static void rqs_vjp_run(const rh_run_args *a) {
  each(a, true);
}
static int64_t rqs_flops(const rh_graph *g, const rh_node *node) {
  return 20 * rh_count(g, node->in[RAW]);
}

const rh_op rh_op_rqs = {.name = "rqs", .order = -1, .vjp = rqs_vjp, .jvp = rqs_jvp, .run = rqs_run, .flops = rqs_flops, .parts = true};
const rh_op rh_op_rqs_vjp = {
    .name = "rqs_vjp", .order = -1, .vjp = rqs_vjp_vjp, .jvp = rqs_vjp_jvp, .run = rqs_vjp_run, .flops = rqs_flops, .parts = true};
