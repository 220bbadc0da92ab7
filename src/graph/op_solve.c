/* Triangular solves with a parameter: T y = x, closed under differentiation. */
#include "graph/ops.h"

typedef struct solve_attr {
  bool lower, unit, transposed;
} solve_attr;

rh_val rh_trisolve(rh_graph *g, rh_val x, rh_val t, bool lower, bool unit, bool transposed) {
  if (g->status != RH_OK) return RH_NONE;
  if (rh_is_none(x) || rh_is_none(t) || rh_is_row(g, t))
    return rh_graph_fail(g, RH_E_ARGUMENT, "trisolve: needs an operand and a parameter matrix");
  const rh_shape *s = &rh_at(g, t)->shape;
  if (s->rank != 2 || s->dim[0] != s->dim[1] || rh_width(g, x) != s->dim[0])
    return rh_graph_fail(g, RH_E_SHAPE, "trisolve: the matrix must be square and as wide as the operand");
  const solve_attr attr = {lower, unit, transposed};
  const rh_val in[2] = {x, t};
  return rh_emit(g, RH_OP_trisolve, 2, in, rh_at(g, x)->shape, &attr, sizeof attr);
}

/* 1 where the solve reads the matrix, 0 elsewhere. */
static rh_val triangle(rh_graph *g, const solve_attr *a, int64_t n) {
  double *mask = rh_alloc((size_t)(n * n) * sizeof *mask);
  if (!mask) {
    g->status = RH_E_MEMORY;
    return RH_NONE;
  }
  for (int64_t i = 0; i < n; i++)
    for (int64_t j = 0; j < n; j++) mask[i * n + j] = i == j ? !a->unit : a->lower ? j < i : j > i;
  const rh_val v = rh_const_values(g, rh_shape2(n, n), mask);
  rh_free(mask);
  return v;
}

static void trisolve_vjp(rh_graph *g, rh_val node, rh_val ct, rh_val *out) {
  const rh_node n = *rh_at(g, node);
  const solve_attr *a = n.attr;
  const int64_t d = rh_width(g, node), lead = rh_count(g, node) / d;
  out[0] = rh_trisolve(g, ct, n.in[1], a->lower, a->unit, !a->transposed);
  const rh_val dx = rh_reshape(g, out[0], rh_shape2(lead, d)), y = rh_reshape(g, node, rh_shape2(lead, d));
  if (!rh_is_row(g, dx) && !rh_is_row(g, y)) { /* parameters only: a product of their columns */
    const rh_val p = dx, q = y;
    const rh_val t = a->transposed ? rh_matmul(g, q, p, true, false) : rh_matmul(g, p, q, true, false);
    out[1] = rh_neg(g, rh_mul(g, t, triangle(g, a, d)));
    return;
  }
  const rh_val t = a->transposed ? rh_outer_sum(g, y, dx) : rh_outer_sum(g, dx, y);
  out[1] = rh_neg(g, rh_mul(g, t, triangle(g, a, d)));
}

static rh_val trisolve_jvp(rh_graph *g, rh_val node, const rh_val *t) {
  const rh_node n = *rh_at(g, node);
  const solve_attr *a = n.attr;
  rh_val rhs = t[0];
  if (!rh_is_none(t[1])) { /* T' = dT: solve for dx - dT y */
    const rh_val masked = rh_mul(g, t[1], triangle(g, a, rh_width(g, node)));
    const rh_val moved = rh_neg(g, a->transposed ? rh_linear_t(g, node, masked) : rh_linear(g, node, masked, RH_NONE));
    rhs = rh_add_maybe(g, rhs, moved);
  }
  return rh_trisolve(g, rhs, n.in[1], a->lower, a->unit, a->transposed);
}

/* Effective triangle of op(T): lower xor transposed gives the order of substitution. */
#define SOLVE(type)                                                                                               \
  static void solve_##type(const solve_attr *a, int64_t rows, int64_t n, const type *x, const type *t, type *y) { \
    const bool down = a->lower != a->transposed;                                                                  \
    const int64_t si = a->transposed ? 1 : n, sj = a->transposed ? n : 1;                                         \
    for (int64_t r = 0; r < rows; r++, x += n, y += n)                                                            \
      for (int64_t step = 0; step < n; step++) {                                                                  \
        const int64_t i = down ? step : n - 1 - step;                                                             \
        type s = x[i];                                                                                            \
        for (int64_t j = down ? 0 : i + 1; j < (down ? i : n); j++) s -= t[i * si + j * sj] * y[j];               \
        y[i] = a->unit ? s : s / t[i * n + i];                                                                    \
      }                                                                                                           \
  }
SOLVE(float)
SOLVE(double)

static void trisolve_run(const rh_run_args *a) {
  const rh_shape *s = &a->node->shape;
  const int64_t n = s->dim[s->rank - 1], rows = a->rows * (rh_shape_count(s) / n);
  if (a->k->real_bytes == 4) {
    solve_float(a->node->attr, rows, n, a->in[0], a->in[1], a->out);
  } else {
    solve_double(a->node->attr, rows, n, a->in[0], a->in[1], a->out);
  }
}
static int64_t trisolve_flops(const rh_graph *g, const rh_node *node) {
  (void)g;
  return rh_shape_count(&node->shape) * node->shape.dim[node->shape.rank - 1];
}
const rh_op rh_op_trisolve = {
    .name = "trisolve", .order = -1, .vjp = trisolve_vjp, .jvp = trisolve_jvp, .run = trisolve_run, .flops = trisolve_flops};
