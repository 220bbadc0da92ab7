/* A program for ONE row: a static graph of operations. Building never fails halfway: the first error sticks in graph->status, later
 * builders return RH_NONE, and the caller looks once at the end (rh_graph_status). Nodes are in topological order: an operand's index is
 * below its reader's. How operations are defined: ops.h. */
#ifndef RH_GRAPH_GRAPH_H
#define RH_GRAPH_GRAPH_H
#include "graph/leaf.h"
#include "graph/stairs.h"
#include "kernel/kernel.h"
#include "numeric/ode.h"
#include "numeric/root.h"

typedef struct rh_val {
  int32_t at; /* node index; negative: none */
} rh_val;
#define RH_NONE ((rh_val){-1})

/* When a node runs: BEFORE the rows (parameters only), for each ROW, in a sum over the rows (REDUCE), AFTER the rows. */
typedef enum rh_stage { RH_BEFORE, RH_EACH_ROW, RH_REDUCE, RH_AFTER } rh_stage;

typedef struct rh_node {
  int32_t op; /* index into the operations' table (ops.h) */
  rh_class klass;
  rh_stage stage;
  int32_t scope; /* RECOMPUTE region, 0 = none */
  int32_t arity;
  const rh_val *in; /* [arity], RH_NONE for an optional operand left out */
  rh_shape shape;
  const void *attr; /* the operation's own constants, in the graph's arena, or NULL */
  size_t attr_bytes;
} rh_node;

typedef struct rh_graph {
  rh_arena arena;
  const rh_leaves *leaves; /* borrowed */
  rh_node **node;          /* a node never moves: pointers and attributes stay valid while others are emitted */
  int64_t n, capacity;
  rh_val *input; /* row inputs in the order of declaration */
  int64_t inputs, input_capacity;
  rh_val *leaf_node; /* by leaf: its node, RH_NONE before its first use */
  int32_t scope, scopes;
  struct rh_body *bodies; /* owned: graphs that nodes of this one run (body.h) */
  bool training;          /* gradients of parameters will be taken: parts may estimate, or penalize, what scoring has exact */
  struct rh_kept *kept;   /* long attributes */
  rh_status status;
} rh_graph;

rh_status rh_graph_init(rh_graph *g, const rh_leaves *leaves) RH_WARN_UNUSED; /* leaves may be NULL */
void rh_graph_free(rh_graph *g);
rh_status rh_graph_status(const rh_graph *g);
const rh_node *rh_at(const rh_graph *g, rh_val v);
static inline bool rh_is_none(rh_val v) {
  return v.at < 0;
}
int64_t rh_count(const rh_graph *g, rh_val v); /* elements of one row; 0 for RH_NONE */
int64_t rh_width(const rh_graph *g, rh_val v); /* last dimension; 0 for RH_NONE */

/* A RECOMPUTE region: the nodes in between are recomputed in the backward pass from what enters the region. Not nested. */
void rh_scope_begin(rh_graph *g);
void rh_scope_end(rh_graph *g);

/* ---- sources ---- */
rh_val rh_input(rh_graph *g, rh_shape shape);                              /* the next row input */
rh_val rh_leaf_val(rh_graph *g, int leaf);                                 /* a parameter or state */
rh_val rh_const(rh_graph *g, rh_shape shape, double fill);                 /* shared by all rows, no gradient */
rh_val rh_fill(rh_graph *g, rh_shape shape, double fill);                  /* the same as a row value */
rh_val rh_const_values(rh_graph *g, rh_shape shape, const double *values); /* copied */

/* ---- elementwise; a row operation may read parameters; shapes equal, or one operand of count 1 ---- */
rh_val rh_unary_val(rh_graph *g, rh_unary f, rh_val x, double p);
rh_val rh_binary_val(rh_graph *g, rh_binary f, rh_val a, rh_val b, double p);
/* rh_exp(g, x), rh_neg(g, x), ...: one a unary of the list; rh_addc, rh_mulc, rh_maxc, rh_minc, rh_bound, rh_halfgamma take p.
 * rh_add(g, a, b), rh_mul(g, a, b), ...: one a binary of the list; rh_boundg takes p. */
#define RH_GRAPH_UNARY(name, id)                        \
  static inline rh_val rh_##id(rh_graph *g, rh_val x) { \
    return rh_unary_val(g, RH_U_##name, x, 0);          \
  }
#define RH_GRAPH_UNARY_P(name, id)                                \
  static inline rh_val rh_##id(rh_graph *g, rh_val x, double p) { \
    return rh_unary_val(g, RH_U_##name, x, p);                    \
  }
#define RH_GRAPH_BINARY(name, id)                                 \
  static inline rh_val rh_##id(rh_graph *g, rh_val a, rh_val b) { \
    return rh_binary_val(g, RH_B_##name, a, b, 0);                \
  }
RH_GRAPH_UNARY(NEG, neg)
RH_GRAPH_UNARY(ABS, abs)
RH_GRAPH_UNARY(SIGN, sign)
RH_GRAPH_UNARY(STEP, step)
RH_GRAPH_UNARY(FLOOR, floor)
RH_GRAPH_UNARY(SQUARE, square)
RH_GRAPH_UNARY(SQRT, sqrt)
RH_GRAPH_UNARY(RECIP, recip)
RH_GRAPH_UNARY(EXP, exp)
RH_GRAPH_UNARY(LOG, log)
RH_GRAPH_UNARY(LOG1P, log1p)
RH_GRAPH_UNARY(EXPM1, expm1)
RH_GRAPH_UNARY(TANH, tanh)
RH_GRAPH_UNARY(SIGMOID, sigmoid)
RH_GRAPH_UNARY(SOFTPLUS, softplus)
RH_GRAPH_UNARY(RELU, relu)
RH_GRAPH_UNARY(SILU, silu)
RH_GRAPH_UNARY(ERF, erf)
RH_GRAPH_UNARY(GELU, gelu)
RH_GRAPH_UNARY(ELU, elu)
RH_GRAPH_UNARY(SIN, sin)
RH_GRAPH_UNARY(COS, cos)
RH_GRAPH_UNARY(NORMICDF, normicdf)
RH_GRAPH_UNARY_P(BOUND, bound)
RH_GRAPH_UNARY_P(HALFGAMMA, halfgamma)
RH_GRAPH_UNARY_P(ADDC, addc)
RH_GRAPH_UNARY_P(MULC, mulc)
RH_GRAPH_UNARY_P(MAXC, maxc)
RH_GRAPH_UNARY_P(MINC, minc)
RH_GRAPH_BINARY(ADD, add)
RH_GRAPH_BINARY(SUB, sub)
RH_GRAPH_BINARY(MUL, mul)
RH_GRAPH_BINARY(DIV, div)
RH_GRAPH_BINARY(MAX, max)
RH_GRAPH_BINARY(MIN, min)
RH_GRAPH_BINARY(GREATER, greater)
RH_GRAPH_BINARY(GATE, gate)
RH_GRAPH_BINARY(MULEXP, mulexp)
RH_GRAPH_BINARY(TANHG, tanhg)
RH_GRAPH_BINARY(SIGMOIDG, sigmoidg)
static inline rh_val rh_boundg(rh_graph *g, rh_val a, rh_val b, double p) {
  return rh_binary_val(g, RH_B_BOUNDG, a, b, p);
}
#undef RH_GRAPH_UNARY
#undef RH_GRAPH_UNARY_P
#undef RH_GRAPH_BINARY
/* a + b where either may be RH_NONE (nothing to add); both none gives none. */
rh_val rh_add_maybe(rh_graph *g, rh_val a, rh_val b);

/* ---- shapes and moves (within one row) ---- */
rh_val rh_reshape(rh_graph *g, rh_val x, rh_shape shape);
rh_val rh_sum(rh_graph *g, rh_val x);                    /* all elements -> [1] */
rh_val rh_sum_last(rh_graph *g, rh_val x);               /* [..., n] -> [...] ([n] -> [1]) */
rh_val rh_max_last(rh_graph *g, rh_val x);               /* [..., n] -> [...], the greatest; [n] -> [1] */
rh_val rh_expand(rh_graph *g, rh_val x, rh_shape shape); /* [1] -> shape */
rh_val rh_expand_last(rh_graph *g, rh_val x, int64_t n); /* [...] -> [..., n]; the adjoint of rh_sum_last; [1] -> [n] */
/* y[i] = x[index[i]] over flattened elements; index < 0 gives 0. Result shape: `shape` (its count indices, copied). */
rh_val rh_gather(rh_graph *g, rh_val x, rh_shape shape, const int32_t *index);
/* y = 0; y[index[i]] += x[i]: the adjoint of gather; negative indices are dropped. */
rh_val rh_scatter(rh_graph *g, rh_val x, rh_shape shape, const int32_t *index);
/* The same by a formula: the i-th run of n numbers of the result (of scatter: of x) lies in x (in the result) from start(arg, i) on; a
 * negative start: nowhere. */
typedef int64_t rh_run_start(const void *arg, int64_t i);
rh_val rh_gather_runs(rh_graph *g, rh_val x, rh_shape shape, int64_t n, rh_run_start *start, const void *arg);
rh_val rh_scatter_runs(rh_graph *g, rh_val x, rh_shape shape, int64_t n, rh_run_start *start, const void *arg);
/* y[i, j] = x[j, i]; the diagonal of x [n, n]. */
rh_val rh_transposed(rh_graph *g, rh_val x);
rh_val rh_diagonal(rh_graph *g, rh_val x);
rh_val rh_slice(rh_graph *g, rh_val x, int64_t first, int64_t count); /* flattened x[first .. first + count) -> [count] */
rh_val rh_concat(rh_graph *g, int n, const rh_val *parts);            /* flattened parts one after another -> [total] */

/* Output `which` of a node with several (ops.h), flattened; not copied. Such a node is read in no other way. */
rh_val rh_part_of(rh_graph *g, rh_val v, int which);

/* ---- products ---- */
/* y[..., n] = x[..., k] w' + b: w [n, k] and b [n] (or RH_NONE) parameters; x's leading dimensions count as more rows. */
rh_val rh_linear(rh_graph *g, rh_val x, rh_val w, rh_val b);
rh_val rh_linear_t(rh_graph *g, rh_val x, rh_val w); /* y[..., k] = x[..., n] w: the adjoint of rh_linear in x */
/* The same with a masked matrix, of which w: [s->count] is what the mask leaves (stairs.h). x: [s->in], b: [s->out] -> [s->out]. */
rh_val rh_masked(rh_graph *g, rh_val x, rh_val w, rh_val b, const rh_stairs *s);
rh_val rh_masked_t(rh_graph *g, rh_val y, rh_val w, const rh_stairs *s); /* y: [s->out] -> [s->in]; the adjoint of rh_masked in x */
/* Parameter products and solves: [m, k] x [k, n]; ta, tb transpose the operand as stored. */
rh_val rh_matmul(rh_graph *g, rh_val a, rh_val b, bool ta, bool tb);
/* y solves T y = x, T the lower (else upper) triangle of the parameter t [n, n], its diagonal read as 1 when unit; transposed: T' y = x.
 * x: [..., n], leading dimensions count as more rows. The other triangle of t is never read. */
rh_val rh_trisolve(rh_graph *g, rh_val x, rh_val t, bool lower, bool unit, bool transposed);
/* W^-1 [n, n] and log|det W| [1] of a parameter w [n, n]. Of a singular one the logarithm is -inf and the inverse not finite. */
void rh_invert(rh_graph *g, rh_val w, rh_val *inverse, rh_val *log_det);

/* ---- sums over the rows: a parameter-shaped gradient that no row reads again in this pass ---- */
rh_val rh_sum_rows(rh_graph *g, rh_val x);            /* sum over rows of x */
rh_val rh_sum_rows_last(rh_graph *g, rh_val x);       /* x [..., n]: over rows and leading dimensions -> [n] */
rh_val rh_outer_sum(rh_graph *g, rh_val a, rh_val b); /* sum over rows (and leading dimensions) of a[m]' b[n] -> [m, n] */

rh_val rh_masked_sum(rh_graph *g, rh_val y, rh_val x, const rh_stairs *s); /* the same of y [s->out]' x [s->in], masked -> [s->count] */

/* ---- images, channels last. Convolution with zero padding, pad < kh, kw: x [h, w, c], weight [o, kh, kw, c] and bias [o] (or RH_NONE)
 * parameters -> [h', w', o], h' = (h + 2 pad - kh) / stride + 1. Convolutions 1 x 1 are rh_linear. ---- */
rh_val rh_conv2d(rh_graph *g, rh_val x, rh_val weight, rh_val bias, int stride, int pad);
/* Its transpose, the adjoint in x (Dumoulin & Visin 2016, chapter 4): x [n, m, c], weight [c, kh, kw, o], bias [o] (or RH_NONE) -> [h, w,
 * o]. Pixel (i, j) adds x[i, j] weight to the pixels from (i stride - pad, j stride - pad) on; what falls outside is lost. [h, w] is any
 * image whose convolution is [n, m]: n = (h + 2 pad - kh) / stride + 1, so for stride 2 two heights h have one n. */
rh_val rh_conv2d_transpose(rh_graph *g, rh_val x, rh_val weight, rh_val bias, int stride, int pad, int64_t h, int64_t w);
/* v: [c], row or parameter -> [h, w, c], the same in every pixel. */
rh_val rh_over_pixels(rh_graph *g, rh_val v, rh_shape image);

/* ---- splines (kernel.h): x [m], raw [m, params] -> y [m] and ladj [m] an element; inverse: y -> x and minus ladj ---- */
rh_rqs rh_rqs_of(int64_t bins, rh_tails tails, double box, double min_width, double min_height, double min_slope);
void rh_rqs_val(rh_graph *g, const rh_rqs *s, bool inverse, rh_val x, rh_val raw, rh_val *y, rh_val *ladj);
/* Forward only, out of ordinary operations (rqs_plain.c). */
void rh_rqs_plain(rh_graph *g, const rh_rqs *s, rh_val x, rh_val raw, rh_val *y, rh_val *ladj);

/* ---- control flow: nodes with bodies, graphs of their own over the same leaves (docs/control-flow.md). A body is built at once, by the
 * callback; it may read nothing of g but what it is given. ---- */
/* One step: carry, x (one of xs) and captures as outside -> next, of carry's count, and y (RH_NONE: nothing). */
typedef void rh_scan_body(rh_graph *b, void *arg, rh_val carry, rh_val x, rh_val captures, rh_val *next, rh_val *y);
/* carry after `steps` steps from carry0, and ys [steps, y's shape] where the body gives y. xs [steps, ...]: RH_NONE if not needed, so
 * captures (the same for every step). reverse: from the last x to the first; ys lie as xs do. */
void rh_scan(rh_graph *g, int64_t steps, bool reverse, rh_val carry0, rh_val xs, rh_val captures, rh_scan_body *body, void *arg,
             rh_val *carry, rh_val *ys);
/* dy/dt of y's count; t: [1], one per row. */
typedef rh_val rh_ode_field(rh_graph *b, void *arg, rh_val y, rh_val t, rh_val captures);
/* y(t1) from y(t0) = y0, each row by steps of its own (numeric/ode.h). Derivatives are those of the exact solution, solved for with the
 * same tolerances. */
rh_val rh_ode(rh_graph *g, rh_val y0, rh_val captures, double t0, double t1, const rh_ode_options *options, rh_ode_field *field, void *arg);

/* f of m elements, each by itself: x [m], captures [m, P] (RH_NONE: none) -> [m], strictly increasing in x on all numbers. Called once for
 * m = 1, what is run, and once for all elements, what is differentiated. */
typedef rh_val rh_root_function(rh_graph *b, void *arg, rh_val x, rh_val captures);
/* x of y's shape with f(x[i], captures[i]) = y[i], to the last ulps (numeric/root.h); +-inf where y is beyond f's range. captures: m P
 * numbers by element, or RH_NONE. low, high: [m] where to look first, or both RH_NONE; they have no derivative. */
rh_val rh_root(rh_graph *g, rh_val y, rh_val captures, rh_val low, rh_val high, rh_root_function *f, void *arg);

/* Is there an ode or a root in the graph, or in a body of its nodes? Then a number may be one that was not found. */
bool rh_graph_solves(const rh_graph *g);

/* How often an elementwise function may be differentiated and there is something to it; -1: any. relu once: its second derivative is zero
 * wherever there is one. */
int rh_unary_order(rh_unary f);
/* *node: the first operation on the way from x to y (and in bodies of nodes, wherever) that cannot be differentiated `order` times, or has
 * nothing left by then (ops.h, rh_node_order); NULL: there is none. */
rh_status rh_graph_below(const rh_graph *g, rh_val x, rh_val y, int order, const rh_node **node) RH_WARN_UNUSED;

/* ---- differentiation: emits nodes of the same graph ---- */
typedef enum rh_memory { RH_KEEP, RH_RECOMPUTE } rh_memory;
/* grads[i] = sum_j d outs[j] / d wrt[i] applied to cts[j] (shape of outs[j]; RH_NONE = ones). A row out gives a row gradient to row values
 * and a sum over rows to parameters. RH_NONE where there is no dependence. RECOMPUTE: nodes of a scope are emitted again rather than read.
 */
rh_status rh_vjp(rh_graph *g, int n, const rh_val *outs, const rh_val *cts, int m, const rh_val *wrt, rh_val *grads,
                 rh_memory memory) RH_WARN_UNUSED;
/* tangents_out[j] = sum_i d outs[j] / d wrt[i] applied to tangents[i]. RH_NONE where there is no dependence. */
rh_status rh_jvp(rh_graph *g, int m, const rh_val *wrt, const rh_val *tangents, int n, const rh_val *outs,
                 rh_val *tangents_out) RH_WARN_UNUSED;
#endif
