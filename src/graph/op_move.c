/* Moves and sums within one row. sum_last and expand_last are each other's adjoint, so every rule is one line. gather and scatter:
 * op_gather.c. */
#include <string.h>

#include "graph/ops.h"

static rh_val missing(rh_graph *g, const char *op) {
  return rh_graph_fail(g, RH_E_ARGUMENT, "%s without an operand", op);
}

static bool absent(const rh_graph *g, rh_val x) {
  return g->status != RH_OK || rh_is_none(x);
}

/* ---- reshape: the same numbers under another shape; the plan gives both one place ---- */
rh_val rh_reshape(rh_graph *g, rh_val x, rh_shape shape) {
  if (absent(g, x)) return missing(g, "reshape");
  if (rh_shape_same(&rh_at(g, x)->shape, &shape)) return x;
  if (rh_shape_count(&shape) != rh_count(g, x)) {
    char from[64], to[64];
    rh_shape_text(&rh_at(g, x)->shape, from);
    rh_shape_text(&shape, to);
    return rh_graph_fail(g, RH_E_SHAPE, "reshape of %s to %s: counts differ", from, to);
  }
  return rh_emit(g, RH_OP_reshape, 1, &x, shape, NULL, 0);
}
static void reshape_vjp(rh_graph *g, rh_val node, rh_val ct, rh_val *out) {
  out[0] = rh_reshape(g, ct, rh_at(g, rh_at(g, node)->in[0])->shape);
}
static rh_val reshape_jvp(rh_graph *g, rh_val node, const rh_val *t) {
  return rh_reshape(g, t[0], rh_at(g, node)->shape);
}
const rh_op rh_op_reshape = {.name = "reshape", .order = -1, .vjp = reshape_vjp, .jvp = reshape_jvp};

/* ---- sum_last, expand_last ---- */
rh_val rh_sum_last(rh_graph *g, rh_val x) {
  if (absent(g, x)) return missing(g, "sum_last");
  rh_shape s = rh_at(g, x)->shape;
  if (s.rank == 1) return rh_emit(g, RH_OP_sum_last, 1, &x, rh_shape1(1), NULL, 0);
  s.dim[--s.rank] = 0;
  return rh_emit(g, RH_OP_sum_last, 1, &x, s, NULL, 0);
}
rh_val rh_expand_last(rh_graph *g, rh_val x, int64_t n) {
  if (absent(g, x)) return missing(g, "expand_last");
  rh_shape s = rh_at(g, x)->shape;
  if (s.rank == 1 && s.dim[0] == 1) return n == 1 ? x : rh_emit(g, RH_OP_expand_last, 1, &x, rh_shape1(n), NULL, 0);
  if (s.rank == RH_RANK) return rh_graph_fail(g, RH_E_SHAPE, "expand_last: more than %d dimensions", RH_RANK);
  s.dim[s.rank++] = n;
  return rh_emit(g, RH_OP_expand_last, 1, &x, s, NULL, 0);
}
rh_val rh_sum(rh_graph *g, rh_val x) {
  if (absent(g, x)) return missing(g, "sum");
  if (rh_count(g, x) == 1) return rh_reshape(g, x, rh_shape1(1));
  return rh_sum_last(g, rh_reshape(g, x, rh_shape1(rh_count(g, x))));
}
rh_val rh_expand(rh_graph *g, rh_val x, rh_shape shape) {
  if (absent(g, x)) return missing(g, "expand");
  if (rh_count(g, x) != 1) return rh_graph_fail(g, RH_E_SHAPE, "expand: the operand must be a single number");
  return rh_reshape(g, rh_expand_last(g, rh_reshape(g, x, rh_shape1(1)), rh_shape_count(&shape)), shape);
}
static int64_t last_of(const rh_node *wide) {
  return wide->shape.dim[wide->shape.rank - 1];
}
static void sum_last_vjp(rh_graph *g, rh_val node, rh_val ct, rh_val *out) {
  out[0] = rh_expand_last(g, ct, last_of(rh_at(g, rh_at(g, node)->in[0])));
}
static rh_val sum_last_jvp(rh_graph *g, rh_val node, const rh_val *t) {
  (void)node;
  return rh_sum_last(g, t[0]);
}
static void sum_last_run(const rh_run_args *a) {
  const int64_t n = last_of(a->in_node[0]);
  a->k->row_sum(a->rows * rh_shape_count(&a->node->shape), n, a->in[0], a->out);
}
const rh_op rh_op_sum_last = {.name = "sum_last", .order = -1, .vjp = sum_last_vjp, .jvp = sum_last_jvp, .run = sum_last_run};

static void expand_last_vjp(rh_graph *g, rh_val node, rh_val ct, rh_val *out) {
  (void)node;
  out[0] = rh_sum_last(g, ct);
}
static rh_val expand_last_jvp(rh_graph *g, rh_val node, const rh_val *t) {
  return rh_expand_last(g, t[0], last_of(rh_at(g, node)));
}
static void expand_last_run(const rh_run_args *a) {
  const int64_t n = last_of(a->node), rows = a->rows * rh_shape_count(&a->in_node[0]->shape);
  for (int64_t r = 0; r < rows; r++) {
    if (a->k->real_bytes == 4) {
      const float x = ((const float *)a->in[0])[r];
      float *y = (float *)a->out + r * n;
      for (int64_t i = 0; i < n; i++) y[i] = x;
    } else {
      const double x = ((const double *)a->in[0])[r];
      double *y = (double *)a->out + r * n;
      for (int64_t i = 0; i < n; i++) y[i] = x;
    }
  }
}
const rh_op rh_op_expand_last = {
    .name = "expand_last", .order = -1, .vjp = expand_last_vjp, .jvp = expand_last_jvp, .run = expand_last_run};

/* ---- max_last: the derivative goes to the greatest number, in equal parts to equal ones ---- */
rh_val rh_max_last(rh_graph *g, rh_val x) {
  if (absent(g, x)) return missing(g, "max_last");
  rh_shape s = rh_at(g, x)->shape;
  if (s.rank == 1) return rh_emit(g, RH_OP_max_last, 1, &x, rh_shape1(1), NULL, 0);
  s.dim[--s.rank] = 0;
  return rh_emit(g, RH_OP_max_last, 1, &x, s, NULL, 0);
}
/* [..., n]: what part of the maximum each number is */
static rh_val share(rh_graph *g, rh_val node) {
  const rh_val x = rh_at(g, node)->in[0];
  const int64_t n = last_of(rh_at(g, x));
  const rh_val is = rh_addc(g, rh_neg(g, rh_greater(g, rh_expand_last(g, node, n), x)), 1);
  return rh_div(g, is, rh_expand_last(g, rh_sum_last(g, is), n));
}
static void max_last_vjp(rh_graph *g, rh_val node, rh_val ct, rh_val *out) {
  out[0] = rh_mul(g, rh_expand_last(g, ct, last_of(rh_at(g, rh_at(g, node)->in[0]))), share(g, node));
}
static rh_val max_last_jvp(rh_graph *g, rh_val node, const rh_val *t) {
  return rh_sum_last(g, rh_mul(g, t[0], share(g, node)));
}
static void max_last_run(const rh_run_args *a) {
  a->k->row_max(a->rows * rh_shape_count(&a->node->shape), last_of(a->in_node[0]), a->in[0], a->out);
}
const rh_op rh_op_max_last = {.name = "max_last", .order = -1, .vjp = max_last_vjp, .jvp = max_last_jvp, .run = max_last_run};

/* ---- slice, concat ---- */
static int64_t first_of_slice(const void *first, int64_t i) {
  (void)i;
  return *(const int64_t *)first;
}
rh_val rh_slice(rh_graph *g, rh_val x, int64_t first, int64_t count) {
  if (absent(g, x)) return missing(g, "slice");
  if (first < 0 || count < 1 || first + count > rh_count(g, x)) {
    return rh_graph_fail(g, RH_E_SHAPE, "slice [%lld, %lld) of %lld elements", (long long)first, (long long)(first + count),
                         (long long)rh_count(g, x));
  }
  return rh_gather_runs(g, x, rh_shape1(count), count, first_of_slice, &first);
}
rh_val rh_concat(rh_graph *g, int n, const rh_val *parts) {
  int64_t total = 0;
  for (int i = 0; i < n; i++) {
    if (absent(g, parts[i])) return missing(g, "concat");
    total += rh_count(g, parts[i]);
  }
  if (n == 1) return rh_reshape(g, parts[0], rh_shape1(total));
  return rh_emit(g, RH_OP_concat, n, parts, rh_shape1(total), NULL, 0);
}
static void concat_vjp(rh_graph *g, rh_val node, rh_val ct, rh_val *out) {
  int64_t first = 0;
  for (int i = 0; i < rh_at(g, node)->arity; i++) {
    const rh_val part = rh_at(g, node)->in[i];
    out[i] = rh_reshape(g, rh_slice(g, ct, first, rh_count(g, part)), rh_at(g, part)->shape);
    first += rh_count(g, part);
  }
}
static rh_val concat_jvp(rh_graph *g, rh_val node, const rh_val *t) {
  const int arity = rh_at(g, node)->arity;
  rh_val *parts = rh_arena_alloc(&g->arena, (size_t)arity * sizeof *parts);
  if (!parts) {
    g->status = RH_E_MEMORY;
    return RH_NONE;
  }
  for (int i = 0; i < arity; i++) parts[i] = rh_is_none(t[i]) ? rh_const(g, rh_shape1(rh_count(g, rh_at(g, node)->in[i])), 0) : t[i];
  return rh_concat(g, arity, parts);
}
static void concat_run(const rh_run_args *a) {
  const size_t size = (size_t)a->k->real_bytes;
  const int64_t total = rh_shape_count(&a->node->shape);
  int64_t at = 0;
  for (int i = 0; i < a->node->arity; i++) {
    const int64_t n = rh_shape_count(&a->in_node[i]->shape), step = a->in_row[i] ? n : 0;
    const char *x = a->in[i];
    char *y = (char *)a->out + (size_t)at * size;
    if (n == 1 && size == 4) {
      for (int64_t r = 0; r < a->rows; r++) ((float *)(void *)y)[r * total] = ((const float *)(const void *)x)[r * step];
    } else {
      for (int64_t r = 0; r < a->rows; r++) memcpy(y + (size_t)(r * total) * size, x + (size_t)(r * step) * size, (size_t)n * size);
    }
    at += n;
  }
}
const rh_op rh_op_concat = {.name = "concat", .order = -1, .vjp = concat_vjp, .jvp = concat_jvp, .run = concat_run};
