/* Differentiation: reverse (vjp) and forward (jvp) sweeps over the graph that emit nodes of the same graph. */
#include <string.h>

#include "graph/ops.h"

typedef struct sweep {
  rh_graph *g;
  int64_t n;     /* nodes when the sweep began; those it emits come after */
  bool *needs;   /* [n] depends on a wrt */
  bool *held;    /* [n] taken as it is: nothing behind it is looked at */
  rh_val *ct;    /* [n] cotangent or tangent so far */
  rh_val *twin;  /* [n] RECOMPUTE: a node's second emission */
  bool *emitted; /* [scopes + 1] the region has its twins */
  int64_t scopes;
  rh_arena arena;
} sweep;

/* Nodes with several outputs have no derivative as a whole. */
static bool has_parts(const rh_graph *g, rh_val v) {
  const rh_op *op = rh_op_of(rh_at(g, v));
  return op->parts && rh_fail(RH_E_ARGUMENT, "a derivative of or by %s, which has several parts: name one of them", op->name) != RH_OK;
}

/* held: values taken as constants; where there are any, what is differentiated by is looked at by itself too, not through others of it. */
static rh_status sweep_begin(sweep *s, rh_graph *g, int m, const rh_val *wrt, int n_held, const rh_val *held) {
  *s = (sweep){.g = g, .n = g->n, .scopes = g->scopes};
  s->needs = rh_arena_alloc(&s->arena, (size_t)s->n + 1);
  s->ct = rh_arena_alloc(&s->arena, ((size_t)s->n + 1) * sizeof *s->ct);
  s->twin = rh_arena_alloc(&s->arena, ((size_t)s->n + 1) * sizeof *s->twin);
  s->emitted = rh_arena_alloc(&s->arena, (size_t)s->scopes + 1);
  s->held = rh_arena_alloc(&s->arena, (size_t)s->n + 1);
  if (!s->needs || !s->held || !s->ct || !s->twin || !s->emitted) return RH_E_MEMORY;
  for (int i = 0; i < n_held; i++) s->held[held[i].at] = true;
  for (int64_t i = 0; i < s->n; i++) s->ct[i] = s->twin[i] = RH_NONE;
  for (int i = 0; i < m; i++) {
    if (rh_is_none(wrt[i]) || wrt[i].at >= s->n) return rh_fail(RH_E_ARGUMENT, "derivative with respect to a value that does not exist");
    if (has_parts(g, wrt[i])) return RH_E_ARGUMENT;
    s->needs[wrt[i].at] = true;
    s->held[wrt[i].at] |= n_held > 0;
  }
  for (int64_t v = 0; v < s->n; v++)
    for (int i = 0; i < g->node[v]->arity && !s->needs[v] && !s->held[v]; i++) {
      const rh_val in = g->node[v]->in[i];
      s->needs[v] = !rh_is_none(in) && s->needs[in.at];
    }
  return RH_OK;
}

static rh_status sweep_end(sweep *s, rh_status status) {
  rh_arena_free(&s->arena);
  return status != RH_OK ? status : s->g->status;
}

/* Emit the row nodes of a region again, in order, reading each other and what entered the region. */
static void emit_twins(sweep *s, int32_t scope) {
  rh_graph *g = s->g;
  const int32_t outer = g->scope;
  s->emitted[scope] = true;
  rh_scope_begin(g); /* a region of its own, so that a second derivative may recompute it too */
  for (int64_t v = 0; v < s->n && g->status == RH_OK; v++) {
    const rh_node node = *g->node[v];
    if (node.scope != scope || node.klass != RH_ROW) continue;
    rh_val *in = rh_arena_alloc(&s->arena, (size_t)(node.arity + 1) * sizeof *in);
    if (!in) {
      g->status = RH_E_MEMORY;
      break;
    }
    for (int i = 0; i < node.arity; i++)
      in[i] = !rh_is_none(node.in[i]) && !rh_is_none(s->twin[node.in[i].at]) ? s->twin[node.in[i].at] : node.in[i];
    s->twin[v] = rh_emit(g, (rh_op_id)node.op, node.arity, in, node.shape, node.attr, node.attr_bytes);
  }
  g->scope = outer;
}

/* The node as the backward pass should read it. */
static rh_val reading(sweep *s, rh_val v, rh_memory memory) {
  const int32_t scope = s->g->node[v.at]->scope;
  if (memory == RH_KEEP || scope == 0) return v;
  if (!s->emitted[scope]) emit_twins(s, scope);
  return rh_is_none(s->twin[v.at]) ? v : s->twin[v.at];
}

/* A cotangent in the form of the value it belongs to: shape and class. */
static rh_val fit(rh_graph *g, rh_val ct, rh_val value) {
  if (rh_is_none(ct) || g->status != RH_OK) return RH_NONE;
  if (!rh_is_row(g, value) && rh_is_row(g, ct)) ct = rh_sum_rows(g, ct);
  if (rh_is_none(ct)) return ct;
  return rh_reshape(g, ct, rh_at(g, value)->shape);
}

static void pull(sweep *s, rh_val v, rh_memory memory) {
  rh_graph *g = s->g;
  const rh_op *op = rh_op_of(g->node[v.at]);
  const int arity = g->node[v.at]->arity;
  bool further = false;
  for (int i = 0; i < arity; i++) further |= !rh_is_none(g->node[v.at]->in[i]) && s->needs[g->node[v.at]->in[i].at];
  if (!further) return;
  if (!op->vjp) {
    rh_graph_fail(g, RH_E_UNSUPPORTED, "%s cannot be differentiated (order %d)%s", op->name, op->order,
                  op->reduces ? ": nothing may depend on a sum over the rows in the same pass" : "");
    return;
  }
  rh_val *out = rh_arena_alloc(&s->arena, (size_t)arity * sizeof *out);
  if (!out) {
    g->status = RH_E_MEMORY;
    return;
  }
  for (int i = 0; i < arity; i++) out[i] = RH_NONE;
  op->vjp(g, reading(s, v, memory), s->ct[v.at], out);
  for (int i = 0; i < arity && g->status == RH_OK; i++) {
    const rh_val in = g->node[v.at]->in[i];
    if (rh_is_none(in) || !s->needs[in.at] || rh_is_none(out[i])) continue;
    s->ct[in.at] = rh_add_maybe(g, s->ct[in.at], fit(g, out[i], in));
  }
}

rh_status rh_vjp(rh_graph *g, int n, const rh_val *outs, const rh_val *cts, int m, const rh_val *wrt, rh_val *grads, rh_memory memory) {
  return rh_vjp_holding(g, n, outs, cts, m, wrt, grads, memory, 0, NULL);
}

rh_status rh_vjp_holding(rh_graph *g, int n, const rh_val *outs, const rh_val *cts, int m, const rh_val *wrt, rh_val *grads,
                         rh_memory memory, int n_held, const rh_val *held) {
  sweep s;
  rh_status status = g->status != RH_OK ? g->status : sweep_begin(&s, g, m, wrt, n_held, held);
  if (g->status != RH_OK) return status;
  if (status != RH_OK) return sweep_end(&s, status);
  for (int i = 0; i < n && g->status == RH_OK; i++) {
    if (rh_is_none(outs[i]) || outs[i].at >= s.n) return sweep_end(&s, rh_fail(RH_E_ARGUMENT, "derivative of a value that does not exist"));
    if (has_parts(g, outs[i])) return sweep_end(&s, RH_E_ARGUMENT);
    const bool row = rh_is_row(g, outs[i]);
    const rh_shape shape = g->node[outs[i].at]->shape;
    rh_val ct = cts ? cts[i] : RH_NONE;
    if (rh_is_none(ct)) {
      ct = row ? rh_fill(g, shape, 1) : rh_const(g, shape, 1);
    } else if (row && !rh_is_row(g, ct)) {
      ct = rh_mul(g, rh_fill(g, shape, 1), ct);
    }
    if (!rh_is_none(ct) && rh_count(g, ct) != rh_shape_count(&shape))
      return sweep_end(&s, rh_fail(RH_E_SHAPE, "a cotangent must have its value's shape"));
    s.ct[outs[i].at] = rh_add_maybe(g, s.ct[outs[i].at], ct);
  }
  for (int64_t v = s.n - 1; v >= 0 && g->status == RH_OK; v--)
    if (s.needs[v] && !s.held[v] && !rh_is_none(s.ct[v])) pull(&s, (rh_val){(int32_t)v}, memory);
  for (int i = 0; i < m && g->status == RH_OK; i++) grads[i] = s.ct[wrt[i].at];
  return sweep_end(&s, RH_OK);
}

rh_status rh_jvp(rh_graph *g, int m, const rh_val *wrt, const rh_val *tangents, int n, const rh_val *outs, rh_val *tangents_out) {
  return rh_jvp_holding(g, m, wrt, tangents, n, outs, tangents_out, 0, NULL);
}

rh_status rh_jvp_holding(rh_graph *g, int m, const rh_val *wrt, const rh_val *tangents, int n, const rh_val *outs, rh_val *tangents_out,
                         int n_held, const rh_val *held) {
  sweep s;
  rh_status status = g->status != RH_OK ? g->status : sweep_begin(&s, g, m, wrt, n_held, held);
  if (g->status != RH_OK) return status;
  if (status != RH_OK) return sweep_end(&s, status);
  bool *wanted = rh_arena_alloc(&s.arena, (size_t)s.n + 1); /* an out depends on it */
  if (!wanted) return sweep_end(&s, RH_E_MEMORY);
  for (int i = 0; i < n; i++) {
    if (rh_is_none(outs[i]) || outs[i].at >= s.n) return sweep_end(&s, rh_fail(RH_E_ARGUMENT, "derivative of a value that does not exist"));
    if (has_parts(g, outs[i])) return sweep_end(&s, RH_E_ARGUMENT);
    wanted[outs[i].at] = true;
  }
  for (int64_t v = s.n - 1; v >= 0; v--)
    for (int i = 0; i < g->node[v]->arity && wanted[v]; i++)
      if (!rh_is_none(g->node[v]->in[i])) wanted[g->node[v]->in[i].at] = true;
  for (int i = 0; i < m; i++) s.ct[wrt[i].at] = tangents[i];
  for (int64_t v = 0; v < s.n && g->status == RH_OK; v++) {
    const rh_node node = *g->node[v];
    if (!wanted[v] || !s.needs[v] || !node.arity || !rh_is_none(s.ct[v])) continue;
    rh_val *t = rh_arena_alloc(&s.arena, (size_t)(node.arity + 3) * sizeof *t);
    if (!t) return sweep_end(&s, RH_E_MEMORY);
    bool any = false;
    for (int i = 0; i < node.arity; i++) {
      t[i] = rh_is_none(node.in[i]) ? RH_NONE : s.ct[node.in[i].at];
      any |= !rh_is_none(t[i]);
    }
    if (!any) continue;
    const rh_op *op = rh_op_of(&node);
    if (!op->jvp) return sweep_end(&s, rh_fail(RH_E_UNSUPPORTED, "%s has no forward derivative", op->name));
    s.ct[v] = op->jvp(g, (rh_val){(int32_t)v}, t);
  }
  for (int i = 0; i < n; i++) tangents_out[i] = s.ct[outs[i].at];
  return sweep_end(&s, RH_OK);
}
