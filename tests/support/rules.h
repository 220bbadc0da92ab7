/* A case for every derivative rule of every operation, and the check: vjp and jvp against central differences in float64, first and second
 * order. */
#ifndef RH_TESTS_RULES_H
#define RH_TESTS_RULES_H
#include "graph/program.h"
#include "support/probe.h"

enum { D = 6, ROWS = 3, LEAVES = 4, TEXT = 300 };

typedef rh_val build_fn(rh_graph *g, rh_val x, const rh_val *w, int arg);
typedef struct rule_case {
  const char *name;
  build_fn *build;
  int arg;
  double low, high; /* of the row input */
} rule_case;

/* Parameters: w[0]: [D], w[1]: [4, D], w[2]: [D, D] (diagonal well off 0), w[3]: [2, 1, 3, 3] */
static rh_val build_unary(rh_graph *g, rh_val x, const rh_val *w, int f) {
  return rh_mul(g, rh_unary_val(g, (rh_unary)f, rh_mul(g, x, w[0]), 0.9), x);
}
static rh_val build_binary(rh_graph *g, rh_val x, const rh_val *w, int f) {
  return rh_mul(g, rh_binary_val(g, (rh_binary)f, x, rh_mul(g, w[0], rh_square(g, x)), 2.5), x);
}
static rh_val build_binary_param(rh_graph *g, rh_val x, const rh_val *w, int f) {
  return rh_mul(g, rh_binary_val(g, (rh_binary)f, w[0], x, 2.5), rh_binary_val(g, (rh_binary)f, x, w[0], 2.5));
}
static rh_val build_binary_scalar(rh_graph *g, rh_val x, const rh_val *w, int f) {
  const rh_val s = rh_mulc(g, rh_sum(g, x), 0.2);
  return rh_mul(g, rh_binary_val(g, (rh_binary)f, s, rh_mul(g, x, w[0]), 2.5),
                rh_binary_val(g, (rh_binary)f, x, rh_mulc(g, rh_sum(g, w[0]), 0.2), 2.5));
}
static rh_val build_moves(rh_graph *g, rh_val x, const rh_val *w, int arg) {
  static const int32_t twice[8] = {3, 1, -1, 1, 5, 0, 2, 2}, once[D] = {5, 3, 0, -1, 1, 1};
  (void)arg;
  const rh_val a = rh_gather(g, rh_mul(g, x, x), rh_shape2(2, 4), twice);
  const rh_val b = rh_scatter(g, rh_mul(g, x, w[0]), rh_shape1(7), once);
  const rh_val e = rh_expand_last(g, rh_sum_last(g, a), 4); /* [2, 4] */
  const rh_val parts[4] = {rh_mul(g, e, a), rh_slice(g, b, 1, 5), w[0], rh_exp(g, rh_reshape(g, b, rh_shape2(7, 1)))};
  return rh_square(g, rh_concat(g, 4, parts));
}
static rh_val build_max(rh_graph *g, rh_val x, const rh_val *w, int arg) {
  const rh_val v = rh_mul(g, rh_mul(g, x, x), w[0]), wide = arg ? rh_reshape(g, v, rh_shape2(2, 3)) : v;
  return rh_mul(g, rh_expand_last(g, rh_square(g, rh_max_last(g, wide)), arg ? 3 : D), rh_reshape(g, x, rh_at(g, wide)->shape));
}
static rh_val build_linear(rh_graph *g, rh_val x, const rh_val *w, int arg) {
  const rh_val h = rh_tanh(g, rh_linear(g, x, w[1], arg ? rh_slice(g, w[0], 1, 4) : RH_NONE));
  return rh_mul(g, rh_linear_t(g, h, w[1]), x);
}
static rh_val build_linear_lead(rh_graph *g, rh_val x, const rh_val *w, int arg) {
  (void)arg;
  const rh_val two = rh_concat(g, 2, (rh_val[]){x, rh_square(g, x)});
  return rh_tanh(g, rh_linear(g, rh_reshape(g, two, rh_shape2(2, D)), w[1], rh_slice(g, w[0], 0, 4)));
}
/* arg: bit 0 a bias; bit 1 a relu; bit 2 stairs from 0 on and inputs that nobody reads. */
static rh_val build_masked(rh_graph *g, rh_val x, const rh_val *w, int arg) {
  static const int64_t reach[2][5] = {{1, 1, 3, 6, 6}, {0, 2, 2, 2, 4}};
  rh_stairs *s;
  PROBE_OK(rh_stairs_create(D, 5, reach[arg >> 2], &s));
  const rh_val m = rh_slice(g, w[2], 3, s->count);
  const rh_val h = rh_masked(g, x, m, arg & 1 ? rh_slice(g, w[0], 1, 5) : RH_NONE, s);
  const rh_val y = rh_masked_t(g, arg & 2 ? rh_relu(g, h) : rh_tanh(g, h), m, s);
  rh_free(s);
  return rh_mul(g, y, x);
}
static void affine_element(rh_graph *g, void *arg, bool forward, rh_val x, rh_val raw, int64_t m, int64_t params, rh_val *y) {
  static const int32_t even[3] = {0, 2, 4}, odd[3] = {1, 3, 5};
  (void)arg, (void)params;
  const rh_val s = rh_mulc(g, rh_tanh(g, rh_gather(g, raw, rh_shape1(m), even)), 0.5), t = rh_gather(g, raw, rh_shape1(m), odd);
  *y = forward ? rh_add(g, rh_mulexp(g, x, s), t) : rh_mulexp(g, rh_sub(g, x, t), rh_neg(g, s));
}
/* arg: bit 0 residual (and relu), with two columns of one level; bit 1 a context. */
static rh_val build_sweep(rh_graph *g, rh_val x, const rh_val *w, int arg) {
  static const int64_t chain[3] = {1, 2, 3}, pairs[3] = {1, 3, 3}, units[3] = {1, 3, 4}, fewer[3] = {0, 1, 3};
  const int context = arg & 2 ? 2 : 0;
  rh_program_plan plan = {.context = context, .columns = 3, .params = 2, .levels = 3, .column_end = chain};
  if (arg & 1) {
    plan.activation = RH_U_RELU, plan.column_end = pairs, plan.levels = 2, plan.layers = 4;
    const rh_masked_layer layers[4] = {{-1, 0, -1, 3, 0, 0}, {0, 1, -1, 3, 0, 0}, {1, 1, 0, 3, 0, 0}, {2, 0, -1, 0, 0, 0}};
    for (int t = 0; t < 4; t++) plan.layer[t] = layers[t], plan.unit_end[t] = units;
  } else {
    plan.activation = RH_U_TANH, plan.layers = 3;
    const rh_masked_layer layers[3] = {{-1, 0, -1, 4, 0, 0}, {0, 1, -1, 3, 0, 0}, {1, 1, -1, 0, 0, 0}};
    for (int t = 0; t < 3; t++) plan.layer[t] = layers[t];
    plan.unit_end[0] = units, plan.unit_end[1] = fewer;
  }
  rh_program *p;
  PROBE_OK(rh_program_create(&plan, &p));
  rh_val weight[4], bias[4];
  for (int t = 0; t < plan.layers; t++) {
    weight[t] = rh_slice(g, w[1 + t % 2], t, rh_program_stairs(p, t)->count);
    bias[t] = rh_slice(g, t % 2 ? w[2] : w[0], 0, p->layer[t].units);
  }
  const rh_val y = rh_slice(g, x, 0, 3), c = context ? rh_slice(g, x, 4, 2) : RH_NONE;
  const rh_val z = rh_sweep(g, p, y, c, weight, bias, affine_element, NULL);
  rh_free(p);
  return rh_mul(g, z, rh_square(g, y));
}
static rh_val build_relu_chain(rh_graph *g, rh_val x, const rh_val *w, int arg) {
  (void)arg;
  return rh_linear_t(g, rh_relu(g, rh_linear(g, x, w[1], rh_slice(g, w[0], 2, 4))), w[1]);
}
static rh_val build_matmul(rh_graph *g, rh_val x, const rh_val *w, int arg) {
  const rh_val a = arg & 1 ? rh_matmul(g, w[2], w[1], true, true) : rh_matmul(g, w[2], w[1], false, true); /* [D, 4] */
  const rh_val b = arg & 2 ? rh_matmul(g, w[1], a, true, true) : rh_reshape(g, rh_matmul(g, a, w[1], false, false), rh_shape2(D, D));
  return rh_mul(g, rh_linear(g, x, b, RH_NONE), x);
}
static rh_val build_trisolve(rh_graph *g, rh_val x, const rh_val *w, int arg) {
  return rh_square(g, rh_trisolve(g, rh_square(g, x), w[2], arg & 1, (arg & 2) != 0, (arg & 4) != 0));
}
static rh_val build_trisolve_lead(rh_graph *g, rh_val x, const rh_val *w, int arg) { /* of parameters, and of rows */
  const rh_val solved = rh_trisolve(g, w[1], w[2], arg & 1, false, (arg & 4) != 0);
  const rh_val two = rh_reshape(g, rh_concat(g, 2, (rh_val[]){x, rh_square(g, x)}), rh_shape2(2, D));
  return rh_mul(g, rh_trisolve(g, two, w[2], arg & 1, false, (arg & 4) != 0), rh_sum(g, rh_square(g, solved)));
}
/* arg: 1 the inverse, 2 the logarithm of the determinant, 3 both */
static rh_val build_invert(rh_graph *g, rh_val x, const rh_val *w, int arg) {
  rh_val inverse, log_det;
  rh_invert(g, w[2], &inverse, &log_det);
  const rh_val y = arg & 1 ? rh_square(g, rh_linear(g, x, inverse, RH_NONE)) : x;
  return arg & 2 ? rh_mul(g, y, rh_square(g, log_det)) : y;
}
/* By arg: image, window (of w[3]'s 18 numbers), stride, padding; odd ones with a bias. */
static rh_val build_conv(rh_graph *g, rh_val x, const rh_val *w, int arg) {
  static const struct {
    rh_shape image, window;
    int stride, pad;
  } cases[] = {
      {{3, {3, 4, 1}}, {4, {2, 3, 3, 1}}, 1, 0}, {{3, {3, 4, 1}}, {4, {2, 3, 3, 1}}, 1, 1}, {{3, {3, 4, 1}}, {4, {2, 3, 3, 1}}, 2, 1},
      {{3, {2, 3, 2}}, {4, {3, 1, 3, 2}}, 1, 0}, {{3, {3, 2, 2}}, {4, {1, 3, 3, 2}}, 1, 2}, {{3, {6, 2, 1}}, {4, {3, 3, 2, 1}}, 3, 1},
      {{3, {3, 4, 1}}, {4, {4, 2, 2, 1}}, 1, 0}, {{3, {3, 4, 1}}, {4, {4, 2, 2, 1}}, 1, 1}, {{3, {4, 3, 1}}, {4, {4, 2, 2, 1}}, 2, 1},
      {{3, {2, 3, 4}}, {4, {1, 2, 2, 4}}, 1, 0}, {{3, {2, 3, 4}}, {4, {1, 2, 2, 4}}, 2, 1}, {{3, {3, 2, 4}}, {4, {1, 2, 2, 4}}, 1, 1},
  };
  const rh_val all = rh_concat(g, 4, (rh_val[]){x, rh_square(g, x), rh_neg(g, x), rh_tanh(g, x)});
  const rh_val image = rh_reshape(g, rh_slice(g, all, 0, rh_shape_count(&cases[arg].image)), cases[arg].image);
  const rh_val window = rh_reshape(g, rh_slice(g, w[3], 0, rh_shape_count(&cases[arg].window)), cases[arg].window);
  const rh_val bias = arg % 2 ? rh_slice(g, w[0], 1, cases[arg].window.dim[0]) : RH_NONE;
  return rh_square(g, rh_conv2d(g, image, window, bias, cases[arg].stride, cases[arg].pad));
}
/* By arg: image, window, stride, padding, the result's sides; odd ones with a bias. */
static rh_val build_conv_transpose(rh_graph *g, rh_val x, const rh_val *w, int arg) {
  static const struct {
    rh_shape image, window;
    int stride, pad, h, w;
  } cases[] = {
      {{3, {2, 2, 2}}, {4, {2, 3, 3, 1}}, 1, 1, 2, 2}, {{3, {2, 2, 1}}, {4, {1, 3, 3, 2}}, 2, 1, 3, 4},
      {{3, {1, 2, 2}}, {4, {2, 2, 2, 2}}, 2, 0, 2, 5}, {{3, {2, 1, 3}}, {4, {3, 1, 3, 2}}, 2, 0, 4, 3},
      {{3, {1, 3, 2}}, {4, {2, 3, 2, 1}}, 1, 0, 3, 4}, {{3, {1, 2, 2}}, {4, {2, 3, 3, 1}}, 3, 2, 1, 4},
  };
  const rh_val image =
      rh_reshape(g, rh_slice(g, rh_concat(g, 2, (rh_val[]){x, rh_square(g, x)}), 0, rh_shape_count(&cases[arg].image)), cases[arg].image);
  const rh_val window = rh_reshape(g, rh_slice(g, w[3], 0, rh_shape_count(&cases[arg].window)), cases[arg].window);
  const rh_val bias = arg % 2 ? rh_slice(g, w[0], 1, cases[arg].window.dim[3]) : RH_NONE;
  return rh_square(g, rh_conv2d_transpose(g, image, window, bias, cases[arg].stride, cases[arg].pad, cases[arg].h, cases[arg].w));
}
/* Every operand a parameter: nothing a row changes. */
static rh_val build_conv_shared(rh_graph *g, rh_val x, const rh_val *w, int arg) {
  const rh_val image = rh_reshape(g, rh_slice(g, w[2], 0, 16), rh_shape3(4, 4, 1));
  return rh_mul(g, rh_sum(g, rh_square(g, rh_conv2d(g, image, rh_reshape(g, w[3], rh_shape4(2, 3, 3, 1)), RH_NONE, 1, arg))), x);
}
static rh_val build_param_only(rh_graph *g, rh_val x, const rh_val *w, int arg) { /* a log-det of parameters, added to rows */
  (void)arg;
  static const int32_t diagonal[D] = {0, 7, 14, 21, 28, 35};
  const rh_val logdet = rh_sum(g, rh_log(g, rh_abs(g, rh_gather(g, w[2], rh_shape1(D), diagonal))));
  return rh_add(g, rh_square(g, x), rh_mul(g, logdet, rh_sum(g, rh_trisolve(g, w[0], w[2], true, false, false))));
}
/* arg: tails + 8 inverse + 16 parameters as raw numbers + 32 y alone + 64 ladj alone */
static rh_val build_rqs(rh_graph *g, rh_val x, const rh_val *w, int arg) {
  const rh_tails tails = (rh_tails)(arg & 7);
  const rh_rqs s = rh_rqs_of(tails == RH_TAILS_LINEAR ? 3 : 2, tails, 1.1, 0.01, 0.02, 0.03);
  const rh_val some = arg & 16 ? w[0] : rh_mul(g, x, w[0]);
  const rh_val parts[3] = {rh_mulc(g, w[2], 0.6), some, rh_square(g, some)};
  const int64_t need = D * rh_rqs_params(&s);
  const rh_val raw = rh_concat(g, need == 36 ? 1 : need == 42 ? 2 : 3, parts);
  rh_val y, ladj;
  rh_rqs_val(g, &s, arg & 8, arg & 128 ? w[0] : rh_mulc(g, x, 1.3), raw, &y, &ladj);
  return arg & 32 ? y : arg & 64 ? ladj : rh_concat(g, 2, (rh_val[]){rh_mul(g, y, x), ladj});
}
/* x's first two numbers are what is captured, the others the xs. */
static void scan_step(rh_graph *b, void *arg, rh_val carry, rh_val x, rh_val captures, rh_val *next, rh_val *y) {
  (void)arg;
  const rh_val h = rh_linear(b, carry, rh_leaf_val(b, 2), rh_leaf_val(b, 0));
  *next = rh_tanh(b, rh_add(b, rh_mulc(b, h, 0.5), rh_mul(b, x, rh_slice(b, captures, 0, 1))));
  *y = rh_mul(b, rh_sum(b, rh_mul(b, carry, x)), captures);
}
static rh_val build_scan(rh_graph *g, rh_val x, const rh_val *w, int reverse) {
  rh_val carry, ys;
  rh_scan(g, 2, reverse, rh_mul(g, x, w[0]), rh_reshape(g, rh_slice(g, rh_square(g, x), 2, 2), rh_shape2(2, 1)), rh_slice(g, x, 0, 2),
          scan_step, NULL, &carry, &ys);
  return rh_concat(g, 2, (rh_val[]){rh_mul(g, carry, x), ys});
}
static rh_val ode_field(rh_graph *b, void *arg, rh_val y, rh_val t, rh_val captures) {
  (void)arg;
  const rh_val h = rh_mulc(b, rh_linear(b, y, rh_leaf_val(b, 2), rh_leaf_val(b, 0)), 0.3);
  return rh_add(b, rh_sin(b, h), rh_mul(b, rh_mul(b, y, t), rh_sum(b, rh_square(b, captures))));
}
static rh_val build_ode(rh_graph *g, rh_val x, const rh_val *w, int back) {
  const rh_ode_options options = {.method = RH_ODE_DP54, .rtol = 1e-12, .atol = 1e-13, .max_steps = 1000};
  return rh_mul(g, rh_ode(g, rh_mul(g, x, w[0]), rh_slice(g, x, 0, 2), back ? 0.6 : 0, back ? 0 : 0.6, &options, ode_field, NULL), x);
}
/* x e^c0 + tanh(c1 x) / 4 + s x^3, s from a parameter: increasing while c1 > -4. */
static rh_val root_function(rh_graph *b, void *arg, rh_val x, rh_val captures) {
  int32_t index[2][D];
  const int64_t m = rh_count(b, x);
  (void)arg;
  for (int64_t i = 0; i < m; i++)
    for (int k = 0; k < 2; k++) index[k][i] = (int32_t)(2 * i + k);
  const rh_val c0 = rh_gather(b, captures, rh_shape1(m), index[0]), c1 = rh_gather(b, captures, rh_shape1(m), index[1]);
  const rh_val s = rh_sum(b, rh_square(b, rh_leaf_val(b, 0)));
  return rh_add(b, rh_add(b, rh_mulexp(b, x, c0), rh_mulc(b, rh_tanh(b, rh_mul(b, c1, x)), 0.25)),
                rh_mul(b, s, rh_mul(b, x, rh_square(b, x))));
}
static rh_val build_root(rh_graph *g, rh_val x, const rh_val *w, int hints) {
  const rh_val captures = rh_concat(g, 2, (rh_val[]){x, rh_square(g, x)}), y = rh_mul(g, x, w[0]);
  return rh_mul(g, rh_root(g, y, captures, hints ? rh_mulc(g, y, 0.5) : RH_NONE, hints ? y : RH_NONE, root_function, NULL), x);
}
#define UNARY_CASE(name, id)         {"unary " #id, build_unary, RH_U_##name, 0.2, 0.8},
#define BINARY_CASE(name, id)        {"binary " #id, build_binary, RH_B_##name, 0.3, 1.1},
#define BINARY_PARAM_CASE(name, id)  {"binary with a parameter " #id, build_binary_param, RH_B_##name, 0.3, 1.1},
#define BINARY_SCALAR_CASE(name, id) {"binary with one number " #id, build_binary_scalar, RH_B_##name, 0.3, 1.1},
static const rule_case cases[] = {
    RH_UNARY_LIST(UNARY_CASE) /* both sides of every kink */
    {"unary abs", build_unary, RH_U_ABS, -0.9, 0.9},
    {"unary relu", build_unary, RH_U_RELU, -0.9, 0.9},
    {"unary elu", build_unary, RH_U_ELU, -0.9, 0.9},
    {"unary maxc", build_unary, RH_U_MAXC, 0.5, 2.5},
    {"unary minc", build_unary, RH_U_MINC, 0.5, 2.5},
    {"binary gate", build_binary, RH_B_GATE, -1.1, 1.1},
    {"binary gate", build_binary_param, RH_B_GATE, -1.1, 1.1},
    {"binary max", build_binary, RH_B_MAX, 0.6, 2.8},
    {"binary min", build_binary, RH_B_MIN, 0.6, 2.8},
    RH_BINARY_LIST(BINARY_CASE) RH_BINARY_LIST(BINARY_PARAM_CASE) RH_BINARY_LIST(BINARY_SCALAR_CASE){"moves", build_moves, 0, -1, 1},
    {"max_last", build_max, 0, -1, 1},
    {"max_last over leading dimensions", build_max, 1, -1, 1},
    {"linear", build_linear, 0, -1, 1},
    {"masked", build_masked, 0, -1, 1},
    {"masked, bias", build_masked, 1, -1, 1},
    {"masked, relu", build_masked, 3, -1, 1},
    {"masked, nothing read", build_masked, 5, -1, 1},
    {"sweep", build_sweep, 0, -1, 1},
    {"sweep, residual", build_sweep, 1, -1, 1},
    {"sweep, context", build_sweep, 2, -1, 1},
    {"sweep, residual, context", build_sweep, 3, -1, 1},
    {"linear with bias", build_linear, 1, -1, 1},
    {"linear over leading dimensions", build_linear_lead, 0, -1, 1},
    {"linear + relu", build_relu_chain, 0, -1, 1},
    {"matmul nn", build_matmul, 0, -1, 1},
    {"matmul tn", build_matmul, 1, -1, 1},
    {"matmul nt", build_matmul, 2, -1, 1},
    {"matmul tt", build_matmul, 3, -1, 1},
    {"trisolve lower", build_trisolve, 1, -1, 1},
    {"trisolve upper", build_trisolve, 0, -1, 1},
    {"trisolve lower unit", build_trisolve, 3, -1, 1},
    {"trisolve upper unit", build_trisolve, 2, -1, 1},
    {"trisolve lower transposed", build_trisolve, 5, -1, 1},
    {"trisolve upper transposed", build_trisolve, 4, -1, 1},
    {"trisolve lower unit transposed", build_trisolve, 7, -1, 1},
    {"trisolve over leading dimensions", build_trisolve_lead, 1, -1, 1},
    {"trisolve over leading dimensions, transposed", build_trisolve_lead, 4, -1, 1},
    {"invert", build_invert, 3, -1, 1},
    {"invert, the inverse alone", build_invert, 1, -1, 1},
    {"invert, the determinant alone", build_invert, 2, -1, 1},
    {"conv2d", build_conv, 0, -1, 1},
    {"conv2d padded, with a bias", build_conv, 1, -1, 1},
    {"conv2d by steps", build_conv, 2, -1, 1},
    {"conv2d, oblong window", build_conv, 3, -1, 1},
    {"conv2d, wide padding", build_conv, 4, -1, 1},
    {"conv2d by steps, oblong", build_conv, 5, -1, 1},
    {"conv2d of few channels", build_conv, 6, -1, 1},
    {"conv2d of few channels, padded, with a bias", build_conv, 7, -1, 1},
    {"conv2d of few channels by steps", build_conv, 8, -1, 1},
    {"conv2d to few channels, with a bias", build_conv, 9, -1, 1},
    {"conv2d to few channels by steps", build_conv, 10, -1, 1},
    {"conv2d to few channels, padded, with a bias", build_conv, 11, -1, 1},
    {"conv2d of a shared image", build_conv_shared, 1, -1, 1},
    {"conv2d transposed", build_conv_transpose, 0, -1, 1},
    {"conv2d transposed by steps, with a bias", build_conv_transpose, 1, -1, 1},
    {"conv2d transposed by steps, windows apart", build_conv_transpose, 2, -1, 1},
    {"conv2d transposed by steps, oblong, with a bias", build_conv_transpose, 3, -1, 1},
    {"conv2d transposed, no padding", build_conv_transpose, 4, -1, 1},
    {"conv2d transposed by three, wide padding, with a bias", build_conv_transpose, 5, -1, 1},
    {"parameters alone", build_param_only, 0, -1, 1},
    {"rqs", build_rqs, RH_TAILS_LINEAR, -1, 1},
    {"rqs bounded", build_rqs, RH_TAILS_BOUNDED, -0.8, 0.8},
    {"rqs circular", build_rqs, RH_TAILS_CIRCULAR, -1, 1},
    {"rqs, y alone", build_rqs, RH_TAILS_LINEAR + 32, -1, 1},
    {"rqs, ladj alone", build_rqs, RH_TAILS_LINEAR + 64, -1, 1},
    {"rqs of parameters", build_rqs, RH_TAILS_LINEAR + 16, -1, 1},
    {"rqs before the rows", build_rqs, RH_TAILS_LINEAR + 16 + 128, -1, 1},
    {"rqs of a shared x", build_rqs, RH_TAILS_LINEAR + 128, -1, 1},
    {"inverse rqs", build_rqs, RH_TAILS_LINEAR + 8, -1, 1},
    {"inverse rqs bounded", build_rqs, RH_TAILS_BOUNDED + 8, -0.8, 0.8},
    {"inverse rqs circular", build_rqs, RH_TAILS_CIRCULAR + 8, -0.8, 0.8},
    {"inverse rqs, x alone", build_rqs, RH_TAILS_LINEAR + 8 + 32, -1, 1},
    {"inverse rqs, ladj alone", build_rqs, RH_TAILS_LINEAR + 8 + 64, -1, 1},
    {"inverse rqs of parameters", build_rqs, RH_TAILS_LINEAR + 8 + 16, -1, 1},
    {"scan", build_scan, 0, -1, 1},
    {"scan in reverse", build_scan, 1, -1, 1},
    {"ode", build_ode, 0, -1, 1},
    {"ode backwards", build_ode, 1, -1, 1},
    {"root", build_root, 0, -1, 1},
    {"root with hints", build_root, 1, -1, 1},
};

typedef struct setup {
  rh_leaves leaves;
  rh_values values;
  rh_graph g;
  rh_val x, w[LEAVES], y, loss; /* loss: [1] a row */
  rh_val first[1 + LEAVES];     /* gradients of sum over rows of loss; first[0] one per row */
  rh_val of[2], tangent[2];     /* jvp of y and of first[0] along fixed directions, one per row */
  rh_val second_of;             /* [1] a row: a fixed functional of first[0] */
  rh_val second[1 + LEAVES];
  double *input;
  bool rows_only; /* parameters read by a body have no tangents */
} setup;

static void weigh(rh_graph *g, rh_val v, uint64_t which, rh_val *out) {
  double *w = probe_random(rh_count(g, v), which, 0.5, 1.5);
  *out = rh_sum(g, rh_mul(g, v, rh_const_values(g, rh_at(g, v)->shape, w)));
  free(w);
}

static void begin(setup *s, const rule_case *c, rh_memory memory) {
  *s = (setup){.rows_only = c->build == build_scan || c->build == build_ode || c->build == build_root};
  const rh_shape shapes[LEAVES] = {rh_shape1(D), rh_shape2(4, D), rh_shape2(D, D), rh_shape4(2, 1, 3, 3)};
  for (int i = 0; i < LEAVES; i++) {
    double *init = probe_random(rh_shape_count(&shapes[i]), 100 + (uint64_t)i, i ? -0.6 : 0.4, 0.9);
    for (int j = 0; i == 2 && j < D; j++) init[j * D + j] += j % 2 ? 1.7 : -2.2;
    int leaf;
    PROBE_OK(rh_leaf_add(&s->leaves, RH_PARAM, shapes[i], (rh_init){RH_INIT_VALUES, 0, init}, false, &leaf, "w%d", i));
    free(init);
  }
  PROBE_OK(rh_values_create(&s->leaves, 8, &s->values));
  rh_values_init(&s->leaves, 1, &s->values);
  rh_graph *g = &s->g;
  PROBE_OK(rh_graph_init(g, &s->leaves));
  s->x = rh_input(g, rh_shape1(D));
  rh_val wrt[1 + LEAVES] = {s->x};
  for (int i = 0; i < LEAVES; i++) wrt[1 + i] = s->w[i] = rh_leaf_val(g, i);
  rh_scope_begin(g);
  s->y = c->build(g, s->x, s->w, c->arg);
  rh_scope_end(g);
  PROBE_OK(g->status);
  weigh(g, s->y, 7, &s->loss);
  PROBE_OK(rh_vjp(g, 1, &s->loss, NULL, 1 + LEAVES, wrt, s->first, memory));
  rh_val direction[1 + LEAVES];
  for (int i = 0; i < 1 + LEAVES; i++) {
    double *t = probe_random(rh_count(g, wrt[i]), 200 + (uint64_t)i, -1, 1);
    direction[i] = rh_const_values(g, rh_at(g, wrt[i])->shape, t);
    free(t);
  }
  s->of[0] = s->y;
  s->of[1] = s->first[0];
  PROBE_OK(rh_jvp(g, s->rows_only ? 1 : 1 + LEAVES, wrt, direction, rh_is_none(s->of[1]) ? 1 : 2, s->of, s->tangent));
  if (!rh_is_none(s->first[0])) {
    weigh(g, s->first[0], 9, &s->second_of);
    PROBE_OK(rh_vjp(g, 1, &s->second_of, NULL, 1 + LEAVES, wrt, s->second, memory));
  }
  s->input = probe_random(ROWS * D, 5, c->low, c->high);
}

static void end(setup *s) {
  free(s->input);
  rh_graph_free(&s->g);
  rh_values_free(&s->values);
  rh_leaves_free(&s->leaves);
}

/* Sum over rows of a [1] row value. */
static double total(const setup *s, rh_val v) {
  double out[ROWS];
  probe p = {.g = &s->g,
             .values = &s->values,
             .real_bytes = 8,
             .isa = "ref",
             .rows = ROWS,
             .input = {s->input},
             .n_row = 1,
             .row_val = {v},
             .row_out = {out}};
  probe_run(&p);
  return out[0] + out[1] + out[2];
}

/* Where the k-th number of the input (which = 0) or of a parameter lies. */
static double *number(setup *s, int which, int64_t k) {
  return which ? (double *)rh_values_at(&s->leaves, &s->values, which - 1) + k : s->input + k;
}

static double difference(setup *s, rh_val of, int which, int64_t k) {
  const double h = 1e-5;
  double *at = number(s, which, k), kept = *at, f[4];
  for (int i = 0; i < 4; i++) { /* fourth order */
    static const double step[4] = {1, -1, 2, -2};
    *at = kept + step[i] * h * 20;
    f[i] = total(s, of);
  }
  *at = kept;
  return (8 * (f[0] - f[1]) - (f[2] - f[3])) / (12 * h * 20);
}

static bool check_gradients(setup *s, const char *name, int order, rh_val of, const rh_val *grads, char *text) {
  for (int which = 0; which < 1 + LEAVES; which++) {
    const int64_t n = which ? s->leaves.leaf[which - 1].count : ROWS * D;
    double got[64] = {0};
    probe p = {.g = &s->g, .values = &s->values, .real_bytes = 8, .isa = "ref", .rows = ROWS, .input = {s->input}};
    if (!rh_is_none(grads[which])) {
      if (which) {
        p.n_param = 1, p.param_val[0] = grads[which], p.param_out[0] = got;
      } else {
        p.n_row = 1, p.row_val[0] = grads[which], p.row_out[0] = got;
      }
      probe_run(&p);
    }
    for (int64_t k = 0; k < n; k++) {
      const double want = difference(s, of, which, k);
      if (fabs(got[k] - want) <= 1e-6 * fmax(1, fabs(want))) continue;
      snprintf(text, TEXT, "%s: order %d, operand %d, number %lld: %.10g, differences give %.10g", name, order, which, (long long)k, got[k],
               want);
      return false;
    }
  }
  return true;
}

static bool check_tangent(setup *s, const char *name, rh_val value, rh_val tangent, char *text) {
  const int64_t n = rh_count(&s->g, value);
  double *got = calloc((size_t)(ROWS * n), sizeof *got), *up = calloc((size_t)(ROWS * n), sizeof *up),
         *down = calloc((size_t)(ROWS * n), sizeof *down);
  probe p = {.g = &s->g, .values = &s->values, .real_bytes = 8, .isa = "ref", .rows = ROWS, .input = {s->input}, .n_row = 1};
  p.row_val[0] = tangent, p.row_out[0] = got;
  if (!rh_is_none(tangent)) probe_run(&p);
  p.row_val[0] = value;
  const double h = 1e-5;
  for (int side = 0; side < 2; side++) {
    for (int which = 0; which < (s->rows_only ? 1 : 1 + LEAVES); which++) {
      const int64_t m = which ? s->leaves.leaf[which - 1].count : D;
      double *t = probe_random(m, 200 + (uint64_t)which, -1, 1);
      for (int64_t k = 0; k < (which ? m : ROWS * D); k++) *number(s, which, k) += (side ? -2 : 1) * h * t[k % m];
      free(t);
    }
    p.row_out[0] = side ? down : up;
    probe_run(&p);
  }
  bool fine = true;
  for (int64_t k = 0; k < ROWS * n && fine; k++) {
    const double want = (up[k] - down[k]) / (2 * h);
    fine = fabs(got[k] - want) <= 1e-6 * fmax(1, fabs(want));
    if (!fine) snprintf(text, TEXT, "%s: jvp, number %lld: %.10g, differences give %.10g", name, (long long)k, got[k], want);
  }
  free(got), free(up), free(down);
  return fine;
}

/* All of a case: first order, second order, forward derivative. false: text says what differs. `changes` (may be NULL) counts what the
 * mutant under test changed: a graph without any need not be looked at. */
static inline bool check_case(const rule_case *c, const int64_t *changes, char *text) {
  setup s;
  begin(&s, c, RH_KEEP);
  const bool fine = (changes && !*changes) || (check_gradients(&s, c->name, 1, s.loss, s.first, text) &&
                                               (rh_is_none(s.first[0]) || check_gradients(&s, c->name, 2, s.second_of, s.second, text)) &&
                                               check_tangent(&s, c->name, s.of[0], s.tangent[0], text) &&
                                               (rh_is_none(s.of[1]) || check_tangent(&s, "gradient's", s.of[1], s.tangent[1], text)));
  end(&s);
  return fine;
}
#endif
