#include "net/hyper.h"

#include <math.h>

#include "net/types.h"

/* Of tanh(a t + c): on times about 1 some of these functions are steps and some nearly lines. */
enum { RATES = 2, PHASES = 1 };

static rh_status leaf(const rh_build *build, const char *name, const char *what, rh_shape shape, double deviation, int *leaf) {
  const rh_init init = {deviation == 0 ? RH_INIT_CONSTANT : RH_INIT_NORMAL, deviation, NULL};
  return rh_leaf_add(build->leaves, RH_PARAM, shape, init, false, leaf, "%s.%s.%s", build->prefix, name, what);
}

rh_status rh_hyper_create(const rh_build *build, const char *name, int64_t in, int64_t out, int64_t functions, double gain, double bias,
                          rh_hyper *hyper) {
  *hyper = (rh_hyper){.in = in, .out = out, .n = functions + 1};
  RH_TRY(rh_dense_create(build, name, hyper->n * in, out, gain, bias, &hyper->dense));
  RH_TRY(leaf(build, name, "shift", rh_shape2(out, functions), gain / sqrt((double)(hyper->n * in)), &hyper->shift));
  RH_TRY(leaf(build, name, "rate", rh_shape1(functions), RATES, &hyper->rate));
  return leaf(build, name, "phase", rh_shape1(functions), PHASES, &hyper->phase);
}

rh_val rh_hyper_functions(const rh_hyper *h, rh_graph *g, rh_val t) {
  const rh_val learnt = rh_tanh(g, rh_add(g, rh_mul(g, rh_leaf_val(g, h->rate), t), rh_leaf_val(g, h->phase)));
  return rh_concat(g, 2, (rh_val[]){rh_fill(g, rh_shape1(1), 1), learnt});
}

/* v: [lines, in] -> [lines, n in], phi_k times the line for each k */
static int64_t line_of(const void *arg, int64_t i) {
  const rh_hyper *h = arg;
  return i / h->n * h->in;
}
static rh_val scaled(const rh_hyper *h, rh_graph *g, rh_val phi, rh_val v) {
  const int64_t lines = rh_count(g, v) / h->in, n = h->n * h->in;
  const rh_val copies = rh_gather_runs(g, v, rh_shape2(lines, n), h->in, line_of, h);
  return rh_mul(g, copies, rh_over_lines(g, rh_expand_last(g, phi, h->in), lines));
}

rh_val rh_hyper_lines(const rh_hyper *h, rh_graph *g, rh_val phi, rh_val v) {
  if (g->status != RH_OK) return RH_NONE;
  return rh_linear(g, scaled(h, g, phi, v), rh_leaf_val(g, h->dense.weight), RH_NONE);
}

rh_val rh_hyper_apply(const rh_hyper *h, rh_graph *g, rh_val phi, rh_val x) {
  if (g->status != RH_OK) return RH_NONE;
  const rh_val y = rh_dense_apply(&h->dense, g, rh_reshape(g, scaled(h, g, phi, x), rh_shape1(h->n * h->in)));
  return rh_add(g, y, rh_linear(g, rh_slice(g, phi, 1, h->n - 1), rh_leaf_val(g, h->shift), RH_NONE));
}

/* The W_k as a matrix of n columns, a line for each (row, column) of W, or (column, row). */
static int64_t by_row(const void *arg, int64_t i) {
  const rh_hyper *h = arg;
  const int64_t k = i % h->n, column = i / h->n % h->in, row = i / (h->n * h->in);
  return (row * h->n + k) * h->in + column;
}
static int64_t by_column(const void *arg, int64_t i) {
  const rh_hyper *h = arg;
  const int64_t k = i % h->n, row = i / h->n % h->out, column = i / (h->n * h->out);
  return (row * h->n + k) * h->in + column;
}
rh_val rh_hyper_matrix(const rh_hyper *h, rh_graph *g, rh_val phi, bool transposed) {
  const rh_shape lines = rh_shape2(h->in * h->out, h->n);
  const rh_val each = rh_gather_runs(g, rh_leaf_val(g, h->dense.weight), lines, 1, transposed ? by_column : by_row, h);
  return rh_reshape(g, rh_linear(g, phi, each, RH_NONE), transposed ? rh_shape2(h->in, h->out) : rh_shape2(h->out, h->in));
}

static int64_t on_diagonal(const void *arg, int64_t i) {
  const rh_hyper *h = arg;
  const int64_t k = i / h->in, row = i % h->in;
  return (row * h->n + k) * h->in + row;
}
rh_val rh_hyper_trace(const rh_hyper *h, rh_graph *g, rh_val phi) {
  const rh_val diagonals = rh_gather_runs(g, rh_leaf_val(g, h->dense.weight), rh_shape2(h->n, h->in), 1, on_diagonal, h);
  return rh_sum(g, rh_mul(g, phi, rh_sum_last(g, diagonals)));
}

/* Lines (k, l, j), those of V_k' and of U_l. */
typedef struct pair_how {
  int64_t of_u, hidden, d; /* U's functions, V's inputs, numbers of a line */
} pair_how;
static int64_t line_of_u(const void *arg, int64_t i) {
  const pair_how *p = arg;
  const int64_t j = i % p->hidden, l = i / p->hidden % p->of_u;
  return (j * p->of_u + l) * p->d;
}
static int64_t line_of_v(const void *arg, int64_t i) {
  const pair_how *p = arg;
  const int64_t j = i % p->hidden, k = i / (p->hidden * p->of_u);
  return (k * p->hidden + j) * p->d;
}
rh_val rh_hyper_trace_of_two(const rh_hyper *u, rh_val phi, rh_val slope, const rh_hyper *v, rh_val psi, rh_graph *g) {
  if (g->status != RH_OK) return RH_NONE;
  const pair_how how = {u->n, v->in, u->in};
  const int64_t pairs = u->n * v->n;
  const rh_shape lines = rh_shape2(pairs * v->in, u->in);
  const rh_val us = rh_gather_runs(g, rh_leaf_val(g, u->dense.weight), lines, u->in, line_of_u, &how);
  const rh_val vs = rh_gather_runs(g, rh_transposed(g, rh_leaf_val(g, v->dense.weight)), lines, u->in, line_of_v, &how);
  const rh_val round = rh_reshape(g, rh_sum_last(g, rh_mul(g, us, vs)), rh_shape2(pairs, v->in)); /* (V_k U_l)_jj */
  const rh_val weights = rh_mul(g, rh_expand_last(g, psi, u->n), rh_over_lines(g, phi, v->n));
  return rh_sum(g, rh_mul(g, rh_linear(g, slope, round, RH_NONE), rh_reshape(g, weights, rh_shape1(pairs))));
}
