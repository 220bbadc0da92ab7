/* Elementwise operations: one node kind for all unary functions, one for all binary ones; their derivative rules are rows of two tables. */
#include "graph/ops.h"

typedef struct ew_attr {
  int f;
  double p;
} ew_attr;

static ew_attr attr_of(const rh_graph *g, rh_val v) {
  return *(const ew_attr *)rh_at(g, v)->attr;
}

rh_val rh_unary_val(rh_graph *g, rh_unary f, rh_val x, double p) {
  if (g->status != RH_OK || rh_is_none(x)) return rh_graph_fail(g, RH_E_ARGUMENT, "unary operation without an operand");
  const ew_attr attr = {(int)f, p};
  return rh_emit(g, RH_OP_unary, 1, &x, rh_at(g, x)->shape, &attr, sizeof attr);
}

/* ---- unary derivatives: f'(x) applied to t (a cotangent or a tangent: the map is diagonal, so both are one rule) ---- */
typedef rh_val unary_rule(rh_graph *g, rh_val x, rh_val y, rh_val t, double p);
#define RULE(name) static rh_val name(rh_graph *g, rh_val x, rh_val y, rh_val t, double p)
#define UNUSED     (void)x, (void)y, (void)p

RULE(d_copy) {
  UNUSED;
  (void)g;
  return t;
}
RULE(d_neg) {
  UNUSED;
  return rh_neg(g, t);
}
RULE(d_abs) {
  UNUSED;
  return rh_mul(g, t, rh_sign(g, x));
}
RULE(d_zero) {
  UNUSED;
  (void)g, (void)t;
  return RH_NONE;
}
RULE(d_square) {
  UNUSED;
  return rh_mul(g, t, rh_mulc(g, x, 2));
}
RULE(d_sqrt) {
  UNUSED;
  return rh_div(g, rh_mulc(g, t, 0.5), y);
}
RULE(d_recip) {
  UNUSED;
  return rh_neg(g, rh_mul(g, t, rh_square(g, y)));
}
RULE(d_exp) {
  UNUSED;
  return rh_mul(g, t, y);
}
RULE(d_log) {
  UNUSED;
  return rh_div(g, t, x);
}
RULE(d_log1p) {
  UNUSED;
  return rh_div(g, t, rh_addc(g, x, 1));
}
RULE(d_expm1) {
  UNUSED;
  return rh_mul(g, t, rh_addc(g, y, 1));
}
RULE(d_tanh) {
  UNUSED;
  return rh_tanhg(g, t, y);
}
RULE(d_sigmoid) {
  UNUSED;
  return rh_sigmoidg(g, t, y);
}
RULE(d_softplus) {
  UNUSED;
  return rh_mul(g, t, rh_sigmoid(g, x));
}
RULE(d_relu) {
  UNUSED;
  return rh_gate(g, t, y);
}
RULE(d_silu) { /* s + x s (1 - s) */
  UNUSED;
  rh_val s = rh_sigmoid(g, x);
  return rh_mul(g, t, rh_add(g, s, rh_sigmoidg(g, x, s)));
}
RULE(d_erf) { /* 2 / sqrt(pi) e^(-x^2) */
  UNUSED;
  return rh_mul(g, t, rh_mulc(g, rh_exp(g, rh_neg(g, rh_square(g, x))), 1.1283791670955126));
}
RULE(d_gelu) { /* Phi(x) + x phi(x) */
  UNUSED;
  rh_val cdf = rh_addc(g, rh_mulc(g, rh_erf(g, rh_mulc(g, x, 0.7071067811865476)), 0.5), 0.5);
  rh_val pdf = rh_mulc(g, rh_exp(g, rh_mulc(g, rh_square(g, x), -0.5)), 0.3989422804014327);
  return rh_mul(g, t, rh_add(g, cdf, rh_mul(g, x, pdf)));
}
RULE(d_elu) { /* x > 0 ? 1 : e^x, the exponent clipped so that the untaken branch stays finite */
  UNUSED;
  return rh_mul(g, t, rh_exp(g, rh_minc(g, x, 0)));
}
RULE(d_sin) {
  UNUSED;
  return rh_mul(g, t, rh_cos(g, x));
}
RULE(d_cos) {
  UNUSED;
  return rh_neg(g, rh_mul(g, t, rh_sin(g, x)));
}
RULE(d_normicdf) { /* sqrt(2 pi) e^(y^2 / 2) */
  UNUSED;
  return rh_mul(g, t, rh_mulc(g, rh_exp(g, rh_mulc(g, rh_square(g, y), 0.5)), 2.5066282746310002));
}
RULE(d_bound) {
  UNUSED;
  return rh_boundg(g, t, y, p);
}
RULE(d_halfgamma) { /* p counts the derivatives */
  UNUSED;
  return rh_mul(g, t, rh_halfgamma(g, x, p + 1));
}
RULE(d_mulc) {
  UNUSED;
  return rh_mulc(g, t, p);
}
RULE(d_maxc) {
  UNUSED;
  return rh_mul(g, t, rh_step(g, rh_addc(g, x, -p)));
}
RULE(d_minc) {
  UNUSED;
  return rh_mul(g, t, rh_step(g, rh_addc(g, rh_neg(g, x), p)));
}

static unary_rule *const unary_rules[RH_U_COUNT] = {
    [RH_U_COPY] = d_copy,         [RH_U_NEG] = d_neg,
    [RH_U_ABS] = d_abs,           [RH_U_SIGN] = d_zero,
    [RH_U_STEP] = d_zero,         [RH_U_FLOOR] = d_zero,
    [RH_U_SQUARE] = d_square,     [RH_U_SQRT] = d_sqrt,
    [RH_U_RECIP] = d_recip,       [RH_U_EXP] = d_exp,
    [RH_U_LOG] = d_log,           [RH_U_LOG1P] = d_log1p,
    [RH_U_EXPM1] = d_expm1,       [RH_U_TANH] = d_tanh,
    [RH_U_SIGMOID] = d_sigmoid,   [RH_U_SOFTPLUS] = d_softplus,
    [RH_U_RELU] = d_relu,         [RH_U_SILU] = d_silu,
    [RH_U_ERF] = d_erf,           [RH_U_GELU] = d_gelu,
    [RH_U_ELU] = d_elu,           [RH_U_SIN] = d_sin,
    [RH_U_COS] = d_cos,           [RH_U_BOUND] = d_bound,
    [RH_U_NORMICDF] = d_normicdf, [RH_U_HALFGAMMA] = d_halfgamma,
    [RH_U_ADDC] = d_copy,         [RH_U_MULC] = d_mulc,
    [RH_U_MAXC] = d_maxc,         [RH_U_MINC] = d_minc,
};

static rh_val unary_apply(rh_graph *g, rh_val node, rh_val t) {
  const ew_attr a = attr_of(g, node);
  return unary_rules[a.f](g, rh_at(g, node)->in[0], node, t, a.p);
}
static void unary_vjp(rh_graph *g, rh_val node, rh_val ct, rh_val *out) {
  out[0] = unary_apply(g, node, ct);
}
static rh_val unary_jvp(rh_graph *g, rh_val node, const rh_val *tangents) {
  return unary_apply(g, node, tangents[0]);
}
static void unary_run(const rh_run_args *a) {
  const ew_attr *e = a->node->attr;
  a->k->unary[e->f](a->rows * rh_shape_count(&a->node->shape), a->in[0], a->out, e->p);
}
const rh_op rh_op_unary = {.name = "unary", .order = -1, .vjp = unary_vjp, .jvp = unary_jvp, .run = unary_run, .inplace = 1};

/* ---- binary ---- */
rh_val rh_binary_val(rh_graph *g, rh_binary f, rh_val a, rh_val b, double p) {
  if (g->status != RH_OK || rh_is_none(a) || rh_is_none(b)) return rh_graph_fail(g, RH_E_ARGUMENT, "binary operation without an operand");
  const int64_t na = rh_count(g, a), nb = rh_count(g, b);
  if (na != nb && na != 1 && nb != 1) {
    char ta[64], tb[64];
    rh_shape_text(&rh_at(g, a)->shape, ta);
    rh_shape_text(&rh_at(g, b)->shape, tb);
    return rh_graph_fail(g, RH_E_SHAPE, "elementwise operation on %s and %s: shapes must be equal, or one of a single number", ta, tb);
  }
  const ew_attr attr = {(int)f, p};
  const rh_val in[2] = {a, b};
  return rh_emit(g, RH_OP_binary, 2, in,
                 rh_at(g, nb > na || (nb == na && rh_at(g, b)->shape.rank > rh_at(g, a)->shape.rank) ? b : a)->shape, &attr, sizeof attr);
}

/* Partial derivatives applied to t: d/da in da, d/db in db (a diagonal map up to broadcasting). y is the node. */
typedef void binary_rule(rh_graph *g, rh_val a, rh_val b, rh_val y, rh_val t, double p, rh_val *da, rh_val *db);
#define RULE2(name) static void name(rh_graph *g, rh_val a, rh_val b, rh_val y, rh_val t, double p, rh_val *da, rh_val *db)
#define UNUSED2     (void)a, (void)b, (void)y, (void)p, (void)da, (void)db
#define DA \
  if (da) *da =
#define DB \
  if (db) *db =

RULE2(d_add) {
  UNUSED2;
  (void)g;
  DA t;
  DB t;
}
RULE2(d_sub) {
  UNUSED2;
  DA t;
  DB rh_neg(g, t);
}
RULE2(d_mul) {
  UNUSED2;
  DA rh_mul(g, t, b);
  DB rh_mul(g, t, a);
}
RULE2(d_div) {
  UNUSED2;
  DA rh_div(g, t, b);
  DB rh_neg(g, rh_mul(g, t, rh_div(g, y, b)));
}
RULE2(d_max) {
  UNUSED2;
  rh_val s = rh_greater(g, b, a);
  DA rh_mul(g, t, rh_addc(g, rh_neg(g, s), 1));
  DB rh_mul(g, t, s);
}
RULE2(d_min) {
  UNUSED2;
  rh_val s = rh_greater(g, a, b);
  DA rh_mul(g, t, rh_addc(g, rh_neg(g, s), 1));
  DB rh_mul(g, t, s);
}
RULE2(d_greater) {
  UNUSED2;
  (void)g, (void)t;
}
RULE2(d_gate) {
  UNUSED2;
  DA rh_gate(g, t, b);
}
RULE2(d_mulexp) {
  UNUSED2;
  DA rh_mulexp(g, t, b);
  DB rh_mul(g, t, y);
}
RULE2(d_tanhg) {
  UNUSED2;
  DA rh_tanhg(g, t, b);
  DB rh_mulc(g, rh_mul(g, rh_mul(g, t, a), b), -2);
}
RULE2(d_sigmoidg) {
  UNUSED2;
  DA rh_sigmoidg(g, t, b);
  DB rh_mul(g, rh_mul(g, t, a), rh_addc(g, rh_mulc(g, b, -2), 1));
}
RULE2(d_boundg) {
  UNUSED2;
  DA rh_boundg(g, t, b, p);
  DB rh_mulc(g, rh_mul(g, rh_mul(g, t, a), b), -2 / (p * p));
}

static binary_rule *const binary_rules[RH_B_COUNT] = {
    [RH_B_ADD] = d_add,       [RH_B_SUB] = d_sub,     [RH_B_MUL] = d_mul,           [RH_B_DIV] = d_div,
    [RH_B_MAX] = d_max,       [RH_B_MIN] = d_min,     [RH_B_GREATER] = d_greater,   [RH_B_GATE] = d_gate,
    [RH_B_MULEXP] = d_mulexp, [RH_B_TANHG] = d_tanhg, [RH_B_SIGMOIDG] = d_sigmoidg, [RH_B_BOUNDG] = d_boundg,
};

/* A cotangent of the result's shape back to a broadcast operand's. */
static rh_val unbroadcast(rh_graph *g, rh_val ct, rh_val operand) {
  if (rh_is_none(ct)) return ct;
  rh_val v = rh_count(g, operand) == 1 && rh_count(g, ct) != 1 ? rh_sum(g, ct) : ct;
  return rh_is_none(v) || rh_shape_same(&rh_at(g, v)->shape, &rh_at(g, operand)->shape) ? v : rh_reshape(g, v, rh_at(g, operand)->shape);
}
static void binary_vjp(rh_graph *g, rh_val node, rh_val ct, rh_val *out) {
  const ew_attr e = attr_of(g, node);
  const rh_val a = rh_at(g, node)->in[0], b = rh_at(g, node)->in[1];
  binary_rules[e.f](g, a, b, node, ct, e.p, &out[0], &out[1]);
  out[0] = unbroadcast(g, out[0], a);
  out[1] = unbroadcast(g, out[1], b);
}
static rh_val binary_jvp(rh_graph *g, rh_val node, const rh_val *tangents) {
  const ew_attr e = attr_of(g, node);
  const rh_val a = rh_at(g, node)->in[0], b = rh_at(g, node)->in[1];
  const rh_shape shape = rh_at(g, node)->shape;
  rh_val ta = RH_NONE, tb = RH_NONE;
  if (!rh_is_none(tangents[0])) binary_rules[e.f](g, a, b, node, tangents[0], e.p, &ta, NULL);
  if (!rh_is_none(tangents[1])) binary_rules[e.f](g, a, b, node, tangents[1], e.p, NULL, &tb);
  rh_val t = rh_add_maybe(g, ta, tb);
  if (rh_is_none(t) || rh_shape_same(&rh_at(g, t)->shape, &shape)) return t;
  return rh_count(g, t) == 1 ? rh_expand(g, t, shape) : rh_reshape(g, t, shape);
}
/* An operand [width] of a result of more numbers stands in every line of it (plan.c): then each row is lines of its own. */
static void binary_run(const rh_run_args *a) {
  const ew_attr *e = a->node->attr;
  const int64_t n = rh_shape_count(&a->node->shape), size = a->k->real_bytes;
  int64_t count[2], width = n;
  for (int i = 0; i < 2; i++) {
    count[i] = rh_shape_count(&a->in_node[i]->shape);
    if (count[i] > 1 && count[i] < n) width = count[i];
  }
  const bool lines = width < n;
  const int64_t calls = lines ? a->rows : 1;
  int64_t row[2], inner[2]; /* steps from row to row, or from line to line; and from number to number, n = 1: dense either way */
  for (int i = 0; i < 2; i++) {
    row[i] = lines ? (count[i] == n ? width : 0) : a->in_row[i] ? count[i] : 0;
    inner[i] = count[i] >= width;
  }
  for (int64_t r = 0; r < calls; r++) {
    const char *in[2];
    for (int i = 0; i < 2; i++) in[i] = (const char *)a->in[i] + (a->in_row[i] ? r * count[i] * size : 0);
    a->k->binary[e->f](lines ? n / width : a->rows, width, in[0], row[0], inner[0], in[1], row[1], inner[1], (char *)a->out + r * n * size,
                       e->p);
  }
}
const rh_op rh_op_binary = {.name = "binary", .order = -1, .vjp = binary_vjp, .jvp = binary_jvp, .run = binary_run, .inplace = 3};
