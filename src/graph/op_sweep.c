/* Sweeps through a masked network, level by level (program.h): the inverse of an autoregressive transform, and the linear systems with its
 * Jacobian, forwards and transposed. Each unit is computed once, from what is known by then. */
#include "graph/sweep.h"

#include <string.h>

static rh_val emit(rh_graph *g, rh_op_id op, const void *head, size_t head_bytes, const rh_program *p, int n, const rh_val *in) {
  char *attr = rh_alloc(head_bytes + (size_t)p->bytes);
  if (!attr) {
    g->status = RH_E_MEMORY;
    return RH_NONE;
  }
  memcpy(attr, head, head_bytes);
  memcpy(attr + head_bytes, p, (size_t)p->bytes);
  const rh_val v = rh_emit(g, op, n, in, rh_shape1(p->columns), attr, head_bytes + (size_t)p->bytes);
  rh_free(attr);
  return v;
}

rh_val rh_sweep(rh_graph *g, const rh_program *p, rh_val y, rh_val context, const rh_val *weight, const rh_val *bias, rh_element *element,
                void *arg) {
  rh_val in[2 + 2 * RH_PROGRAM_LAYERS], x = RH_NONE;
  if (g->status != RH_OK) return RH_NONE;
  rh_sweep_head head = {.body = rh_body_open(g), .element = element, .arg = arg};
  if (!head.body) return RH_NONE;
  rh_graph *b = &head.body->g;
  const rh_val one = rh_input(b, rh_shape1(1)), raw = rh_input(b, rh_shape1(p->params));
  element(b, arg, false, one, raw, 1, p->params, &x);
  if (!rh_body_close(g, head.body, 1, &x, true)) return RH_NONE;
  in[0] = rh_as_row(g, y), in[1] = p->context ? rh_as_row(g, context) : RH_NONE;
  for (int t = 0; t < p->layers; t++) in[2 + 2 * t] = weight[t], in[3 + 2 * t] = bias[t];
  return emit(g, RH_OP_sweep, &head, sizeof head, p, 2 + 2 * p->layers, in);
}

rh_val rh_sweep_solve(rh_graph *g, const rh_program *p, bool transpose, rh_val v, rh_val diag, rh_val slope, const rh_val *gate,
                      const rh_val *weight) {
  rh_val in[3 + 2 * RH_PROGRAM_LAYERS] = {rh_as_row(g, v), rh_as_row(g, diag), rh_as_row(g, slope)};
  if (g->status != RH_OK) return RH_NONE;
  const rh_solve_head head = {transpose};
  for (int t = 0; t < p->layers; t++) {
    in[3 + 2 * t] = t + 1 < p->layers && !rh_is_none(gate[t]) ? rh_as_row(g, gate[t]) : RH_NONE;
    in[4 + 2 * t] = weight[t];
  }
  return emit(g, RH_OP_sweep_solve, &head, sizeof head, p, 3 + 2 * p->layers, in);
}

/* ---- derivatives ---- */

/* The transform once more, at the solution x: y = T(x, network(x)), its slopes in x and in the parameters, the network's in its units. */
typedef struct rebuilt {
  rh_val weight[RH_PROGRAM_LAYERS], bias[RH_PROGRAM_LAYERS], gate[RH_PROGRAM_LAYERS];
  rh_val y, diag, slope;
} rebuilt;

static void rebuild(rh_graph *g, const rh_node *node, rh_val x, rebuilt *r) {
  const rh_program *p = rh_sweep_program(node);
  const rh_sweep_head *head = node->attr;
  rh_val pre[RH_PROGRAM_LAYERS], act[RH_PROGRAM_LAYERS], slopes[2] = {RH_NONE, RH_NONE};
  for (int t = 0; t < p->layers; t++) r->weight[t] = node->in[rh_sweep_weight(node, t)], r->bias[t] = node->in[rh_sweep_bias(t)];
  const rh_val raw = rh_program_apply(g, p, x, node->in[1], r->weight, r->bias, NULL, pre, act);
  const rh_val alone = rh_addc(g, x, 0); /* x as the transform sees it, not as the network does */
  head->element(g, head->arg, true, alone, raw, p->columns, p->params, &r->y);
  if (g->status != RH_OK) return;
  const rh_val wrt[2] = {alone, raw};
  rh_status status = rh_vjp_holding(g, 1, &r->y, NULL, 2, wrt, slopes, RH_KEEP, 1, &raw);
  r->diag = rh_is_none(slopes[0]) ? rh_fill(g, rh_shape1(p->columns), 1) : slopes[0];
  r->slope = rh_is_none(slopes[1]) ? rh_fill(g, rh_shape1(p->columns * p->params), 0) : slopes[1];
  for (int t = 0; t < p->layers && status == RH_OK; t++) {
    r->gate[t] = RH_NONE;
    if (rh_is_none(act[t])) continue;
    const rh_val ones = rh_fill(g, rh_at(g, pre[t])->shape, 1);
    status = rh_jvp(g, 1, &pre[t], &ones, 1, &act[t], &r->gate[t]);
  }
  if (g->status == RH_OK) g->status = status;
}

/* x = S(y, theta) with T(x, theta) = y: the cotangent c of x gives J' u = c; u to y, and -u through T to theta, x held. */
static void sweep_vjp(rh_graph *g, rh_val x, rh_val ct, rh_val *out) {
  const rh_node node = *rh_at(g, x);
  const rh_program *p = rh_sweep_program(&node);
  rebuilt r = {.y = RH_NONE};
  rebuild(g, &node, x, &r);
  const rh_val u = rh_sweep_solve(g, p, true, ct, r.diag, r.slope, r.gate, r.weight), minus = rh_neg(g, u);
  if (g->status != RH_OK) return;
  out[0] = u;
  const int first = p->context ? 1 : 2, n = 2 + 2 * p->layers - first;
  const rh_status status = rh_vjp_holding(g, 1, &r.y, &minus, n, node.in + first, out + first, RH_KEEP, 1, &x);
  if (g->status == RH_OK) g->status = status;
}

static rh_val sweep_jvp(rh_graph *g, rh_val x, const rh_val *t) {
  const rh_node node = *rh_at(g, x);
  const rh_program *p = rh_sweep_program(&node);
  rebuilt r = {.y = RH_NONE};
  rh_val wrt[1 + 2 * RH_PROGRAM_LAYERS], tangent[1 + 2 * RH_PROGRAM_LAYERS], by = RH_NONE, v = t[0];
  int n = 0;
  rebuild(g, &node, x, &r);
  for (int i = 1; i < node.arity && g->status == RH_OK; i++)
    if (!rh_is_none(node.in[i]) && !rh_is_none(t[i])) wrt[n] = node.in[i], tangent[n++] = t[i];
  if (n && g->status == RH_OK) {
    const rh_status status = rh_jvp_holding(g, n, wrt, tangent, 1, &r.y, &by, 1, &x);
    if (g->status == RH_OK) g->status = status;
    if (!rh_is_none(by)) v = rh_add_maybe(g, v, rh_neg(g, by));
  }
  return rh_is_none(v) ? v : rh_sweep_solve(g, p, false, v, r.diag, r.slope, r.gate, r.weight);
}

/* J z as nodes. */
static rh_val product(rh_graph *g, const rh_node *node, rh_val z) {
  const rh_program *p = rh_sweep_program(node);
  rh_val weight[RH_PROGRAM_LAYERS], gate[RH_PROGRAM_LAYERS];
  for (int t = 0; t < p->layers; t++) weight[t] = node->in[rh_sweep_weight(node, t)], gate[t] = node->in[rh_sweep_gate(t)];
  const rh_val raw = rh_program_apply(g, p, z, RH_NONE, weight, NULL, gate, NULL, NULL);
  const rh_shape by_column = rh_shape2(p->columns, p->params);
  const rh_val off = rh_sum_last(g, rh_reshape(g, rh_mul(g, node->in[2], raw), by_column));
  return rh_add(g, rh_mul(g, node->in[1], z), rh_reshape(g, off, rh_shape1(p->columns)));
}

static rh_val solve_again(rh_graph *g, const rh_node *node, bool transpose, rh_val v) {
  const rh_program *p = rh_sweep_program(node);
  rh_val weight[RH_PROGRAM_LAYERS], gate[RH_PROGRAM_LAYERS];
  for (int t = 0; t < p->layers; t++) weight[t] = node->in[rh_sweep_weight(node, t)], gate[t] = node->in[rh_sweep_gate(t)];
  return rh_sweep_solve(g, p, transpose, v, node->in[1], node->in[2], gate, weight);
}

/* u = J^-1 v: the cotangent c gives w = J'^-1 c to v and -w' dJ u to the rest; transposed the other way round. */
static void solve_vjp(rh_graph *g, rh_val u, rh_val ct, rh_val *out) {
  const rh_node node = *rh_at(g, u);
  const bool t = rh_sweep_transposed(&node);
  const rh_val w = out[0] = solve_again(g, &node, !t, ct);
  const rh_val left = t ? u : w, right = t ? w : u;
  const rh_val s = rh_neg(g, rh_sum(g, rh_mul(g, left, product(g, &node, right))));
  if (g->status != RH_OK) return;
  const rh_val held[2] = {left, right};
  rh_val wrt[2 + 2 * RH_PROGRAM_LAYERS], grad[2 + 2 * RH_PROGRAM_LAYERS];
  int n = 0;
  for (int i = 1; i < node.arity; i++)
    if (!rh_is_none(node.in[i])) grad[n] = RH_NONE, wrt[n++] = node.in[i];
  const rh_status status = rh_vjp_holding(g, 1, &s, NULL, n, wrt, grad, RH_KEEP, 2, held);
  if (g->status == RH_OK) g->status = status;
  n = 0;
  for (int i = 1; i < node.arity; i++)
    if (!rh_is_none(node.in[i])) out[i] = grad[n++];
}

static rh_val solve_jvp(rh_graph *g, rh_val u, const rh_val *t) {
  const rh_node node = *rh_at(g, u);
  rh_val wrt[2 + 2 * RH_PROGRAM_LAYERS], tangent[2 + 2 * RH_PROGRAM_LAYERS], by = RH_NONE, v = t[0], of = RH_NONE;
  int n = 0;
  for (int i = 1; i < node.arity; i++)
    if (!rh_is_none(node.in[i]) && !rh_is_none(t[i])) wrt[n] = node.in[i], tangent[n++] = t[i];
  rh_status status = g->status;
  if (n && status == RH_OK) {
    if (rh_sweep_transposed(&node)) {
      const rh_val z = rh_fill(g, rh_at(g, u)->shape, 0), jz = product(g, &node, z);
      status = rh_vjp(g, 1, &jz, &u, 1, &z, &of, RH_KEEP);
    } else {
      of = product(g, &node, u);
    }
    if (status == RH_OK) status = rh_jvp_holding(g, n, wrt, tangent, 1, &of, &by, 1, &u);
    if (g->status == RH_OK) g->status = status;
    if (!rh_is_none(by)) v = rh_add_maybe(g, v, rh_neg(g, by));
  }
  return rh_is_none(v) ? v : solve_again(g, &node, rh_sweep_transposed(&node), v);
}

/* ---- planning: sweep_plan.c, running: sweep_run.c ---- */
const rh_op rh_op_sweep = {.name = "sweep",
                           .order = -1,
                           .vjp = sweep_vjp,
                           .jvp = sweep_jvp,
                           .run = rh_sweep_run,
                           .scratch = rh_sweep_scratch,
                           .flops = rh_sweep_flops,
                           .packing = &rh_sweep_packing,
                           .bodies = &rh_sweep_bodies};
const rh_op rh_op_sweep_solve = {.name = "sweep_solve",
                                 .order = -1,
                                 .vjp = solve_vjp,
                                 .jvp = solve_jvp,
                                 .run = rh_sweep_solve_run,
                                 .scratch = rh_sweep_scratch,
                                 .flops = rh_sweep_flops,
                                 .packing = &rh_sweep_packing,
                                 .bodies = &rh_sweep_bodies};
