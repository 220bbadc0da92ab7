/* Networks against plain loops over the same weights; their names, starts, errors. */
#define _XOPEN_SOURCE 700
#include "base/memory.h"
#include "net/net.h"
#include "support/probe.h"

enum { ROWS = 5, WIDE = 64 };

typedef struct rig {
  rh_leaves leaves;
  rh_values values;
  rh_net *net;
} rig;

static json_t *parse(const char *text) {
  json_t *json = NULL;
  PROBE_OK(rh_json_parse(text, strlen(text), "test", &json));
  return json;
}

/* Every leaf normal-ish and not small, so that nothing hides behind a zero. */
static rig make(const char *spec, int64_t in, int64_t out, int64_t context, int real_bytes, bool shaken) {
  rig r = {0};
  const rh_build build = {&r.leaves, "p", context};
  json_t *json = parse(spec);
  PROBE_OK(rh_net_create(&build, json, "net", in, out, &r.net));
  json_decref(json);
  PROBE_OK(rh_values_create(&r.leaves, real_bytes, &r.values));
  rh_values_init(&r.leaves, 3, &r.values);
  if (shaken) probe_scatter(&r.leaves, &r.values);
  return r;
}

static void drop(rig *r) {
  rh_net_destroy(r->net);
  rh_values_free(&r->values);
  rh_leaves_free(&r->leaves);
}

static void apply(const rig *r, const double *x, const double *context, double *out) {
  rh_graph g;
  PROBE_OK(rh_graph_init(&g, &r->leaves));
  const rh_val vx = r->net->in ? rh_input(&g, rh_shape1(r->net->in)) : RH_NONE;
  const rh_val vc = r->net->context ? rh_input(&g, rh_shape1(r->net->context)) : RH_NONE;
  const rh_val y = rh_add(&g, rh_net_apply(r->net, &g, vx, vc), rh_fill(&g, rh_shape1(r->net->out), 0));
  PROBE_OK(rh_graph_status(&g));
  probe p = {.g = &g, .values = &r->values, .real_bytes = r->values.real_bytes, .rows = ROWS, .input = {x ? x : context, context}};
  p.n_row = 1, p.row_val[0] = y, p.row_out[0] = out;
  probe_run(&p);
  rh_graph_free(&g);
}

/* ---- the same in loops ---- */

static double activate(const char *name, double x) {
  if (!strcmp(name, "relu")) return x > 0 ? x : 0;
  if (!strcmp(name, "silu")) return x / (1 + exp(-x));
  if (!strcmp(name, "tanh")) return tanh(x);
  if (!strcmp(name, "gelu")) return 0.5 * x * erfc(-x * sqrt(0.5));
  if (!strcmp(name, "softplus")) return log1p(exp(x));
  if (!strcmp(name, "elu")) return x > 0 ? x : expm1(x);
  assert_string_equal(name, "identity");
  return x;
}

/* y = W x + b with the leaves of that name. */
static int64_t layer(const rig *r, const char *name, const double *x, double *y) {
  char full[64];
  snprintf(full, sizeof full, "p.%s.weight", name);
  const int w = rh_leaf_find(&r->leaves, full);
  snprintf(full, sizeof full, "p.%s.bias", name);
  const int b = rh_leaf_find(&r->leaves, full);
  assert_true(w >= 0 && b >= 0);
  const rh_shape s = r->leaves.leaf[w].shape;
  for (int64_t i = 0; i < s.dim[0]; i++) {
    y[i] = rh_values_get(&r->leaves, &r->values, b, i);
    for (int64_t j = 0; j < s.dim[1]; j++) y[i] += rh_values_get(&r->leaves, &r->values, w, i * s.dim[1] + j) * x[j];
  }
  return s.dim[0];
}

static void mlp_by_hand(const rig *r, const char *activation, int layers, const double *x, double *y) {
  double a[WIDE], b[WIDE];
  memcpy(a, x, sizeof a);
  for (int l = 0; l <= layers; l++) {
    char name[16];
    snprintf(name, sizeof name, "%d", l);
    const int64_t n = layer(r, name, a, b);
    for (int64_t i = 0; i < n; i++) a[i] = l < layers ? activate(activation, b[i]) : b[i];
  }
  memcpy(y, a, (size_t)r->net->out * sizeof *y);
}

static void residual_by_hand(const rig *r, const char *activation, int blocks, const double *x, double *y) {
  double h[WIDE] = {0}, a[WIDE] = {0}, b[WIDE] = {0};
  const int64_t n = layer(r, "initial", x, h);
  for (int k = 0; k < blocks; k++) {
    char name[24];
    for (int64_t i = 0; i < n; i++) a[i] = activate(activation, h[i]);
    snprintf(name, sizeof name, "blocks.%d.0", k);
    layer(r, name, a, b);
    for (int64_t i = 0; i < n; i++) a[i] = activate(activation, b[i]);
    snprintf(name, sizeof name, "blocks.%d.1", k);
    layer(r, name, a, b);
    for (int64_t i = 0; i < n; i++) h[i] += b[i];
  }
  layer(r, "final", h, y);
}

static void check_values(const char *spec, const char *activation, int depth, bool residual, int64_t context, int real_bytes) {
  enum { IN = 3, OUT = 4 };
  rig r = make(spec, IN, OUT, context, real_bytes, true);
  double *x = probe_random(ROWS * IN, 1, -2, 2), *c = probe_random(ROWS * (context + 1), 2, -2, 2), got[ROWS * OUT], want[OUT],
         both[WIDE] = {0};
  apply(&r, x, c, got);
  for (int row = 0; row < ROWS; row++) {
    memcpy(both, x + row * IN, IN * sizeof *x);
    memcpy(both + IN, c + row * context, (size_t)context * sizeof *x);
    (residual ? residual_by_hand : mlp_by_hand)(&r, activation, depth, both, want);
    for (int i = 0; i < OUT; i++) {
      const double near = real_bytes == 8 ? 1e-13 : 2e-5;
      if (fabs(got[row * OUT + i] - want[i]) > near * (1 + fabs(want[i])))
        fail_msg("%s: %.17g, by hand %.17g", spec, got[row * OUT + i], want[i]);
    }
  }
  free(x), free(c);
  drop(&r);
}

static void networks_are_their_formulas(void **state) {
  (void)state;
  for (int a = 0; rh_activation_names[a]; a++)
    for (int64_t context = 0; context <= 2; context += 2)
      for (int real = 4; real <= 8; real += 4) {
        char spec[200];
        snprintf(spec, sizeof spec, "{\"type\":\"mlp\",\"hidden\":[7,5,6],\"activation\":\"%s\"}", rh_activation_names[a]);
        check_values(spec, rh_activation_names[a], 3, false, context, real);
        snprintf(spec, sizeof spec, "{\"hidden\":[],\"activation\":\"%s\"}", rh_activation_names[a]);
        check_values(spec, rh_activation_names[a], 0, false, context, real);
        snprintf(spec, sizeof spec, "{\"type\":\"residual\",\"hidden\":9,\"blocks\":3,\"activation\":\"%s\"}", rh_activation_names[a]);
        check_values(spec, rh_activation_names[a], 3, true, context, real);
      }
}

static void linear_and_constant(void **state) {
  (void)state;
  double x[ROWS * 2], y[ROWS * 3];
  for (int i = 0; i < ROWS * 2; i++) x[i] = i - 4;
  rig r = make("{\"type\":\"linear\"}", 2, 3, 0, 8, true);
  apply(&r, x, NULL, y);
  for (int row = 0; row < ROWS; row++)
    for (int i = 0; i < 3; i++) {
      const double want = rh_values_get(&r.leaves, &r.values, 1, i) + rh_values_get(&r.leaves, &r.values, 0, 2 * i) * x[2 * row] +
                          rh_values_get(&r.leaves, &r.values, 0, 2 * i + 1) * x[2 * row + 1];
      assert_true(fabs(y[3 * row + i] - want) < 1e-14);
    }
  assert_string_equal(r.leaves.leaf[0].name, "p.weight");
  assert_string_equal(r.leaves.leaf[1].name, "p.bias");
  drop(&r);
  r = make("{\"type\":\"mlp\",\"hidden\":[3]}", 0, 3, 0, 8, true); /* nothing to read: constants */
  assert_string_equal(r.net->type->type, "constant");
  assert_int_equal(r.leaves.n, 1);
  assert_string_equal(r.leaves.leaf[0].name, "p.value");
  drop(&r);
  r = make("{\"type\":\"mlp\",\"hidden\":[3]}", 0, 3, 1, 8, true); /* the context alone */
  assert_string_equal(r.net->type->type, "mlp");
  apply(&r, NULL, x, y);
  drop(&r);
}

/* ---- starts ---- */

static double largest(const rig *r) {
  double *x = probe_random(ROWS * r->net->in, 1, -2, 2), *y = calloc((size_t)(ROWS * r->net->out), sizeof *y), most = 0;
  apply(r, x, NULL, y);
  for (int64_t i = 0; i < ROWS * r->net->out; i++) most = fmax(most, fabs(y[i]));
  free(x), free(y);
  return most;
}

static void last_layers_start_as_asked(void **state) {
  (void)state;
  static const char *const types[] = {"mlp", "residual", "linear"};
  for (size_t t = 0; t < RH_COUNT_OF(types); t++)
    for (int i = -1; i < 3; i++) {
      static const char *const inits[] = {"zero", "small", "scaled"};
      char spec[100];
      snprintf(spec, sizeof spec, i < 0 ? "{\"type\":\"%s\"}" : "{\"type\":\"%s\",\"init\":\"%s\"}", types[t], i < 0 ? "" : inits[i]);
      rig r = make(spec, 3, 4, 0, 8, false);
      const double most = largest(&r);
      if (i <= 0) assert_true(most == 0);
      if (i == 1) assert_true(most > 1e-4 && most < 0.2);
      if (i == 2) assert_true(most > 0.2 && most < 20);
      drop(&r);
    }
}

/* 1 / sqrt(E f(z)^2), z standard normal, by the trapezoid rule. For relu 1 / sqrt(1/2). */
static void gains_keep_the_variance(void **state) {
  (void)state;
  for (int a = 0; rh_activation_names[a]; a++) {
    double sum = 0;
    for (int i = -12000; i <= 12000; i++) {
      const double z = i * 1e-3, f = activate(rh_activation_names[a], z);
      sum += f * f * exp(-z * z / 2) * 0.39894228040143268 * 1e-3;
    }
    if (fabs(rh_activation_gain(a) * sqrt(sum) - 1) > 1e-4) fail_msg("%s: the gain is %.6f", rh_activation_names[a], 1 / sqrt(sum));
  }
  /* a deep, wide net keeps the size of what it passes on */
  rig r =
      make("{\"type\":\"mlp\",\"hidden\":[256,256,256,256,256,256],\"init\":\"scaled\",\"gain\":1.4142135623730951}", 64, 256, 0, 8, false);
  double *x = probe_random(ROWS * 64, 1, -1.7320508, 1.7320508), *y = calloc(ROWS * 256, sizeof *y), squares = 0;
  apply(&r, x, NULL, y);
  for (int i = 0; i < ROWS * 256; i++) squares += y[i] * y[i] / (ROWS * 256);
  assert_true(squares > 0.2 && squares < 1.5); /* the last layer has no activation before it to make up for: about 1/2 */
  free(x), free(y);
  drop(&r);
}

/* ---- specifications ---- */

static void defaults_are_written_out(void **state) {
  (void)state;
  int n;
  const rh_net_type *const *types = rh_net_types(&n);
  assert_int_equal(n, 8);
  for (int i = 0; i < n; i++) {
    if (types[i]->apply_image) continue;
    char spec[64];
    snprintf(spec, sizeof spec, "{\"type\":\"%s\"}", types[i]->type);
    rig a = make(spec, 2, 3, 0, 8, false);
    char *text = rh_json_text(a.net->spec);
    rig b = make(text, 2, 3, 0, 8, false);
    assert_true(json_equal(a.net->spec, b.net->spec));
    assert_int_equal(a.leaves.n, b.leaves.n);
    for (int64_t l = 0; l < a.leaves.n; l++) assert_string_equal(a.leaves.leaf[l].name, b.leaves.leaf[l].name);
    rh_free(text);
    drop(&a);
    drop(&b);
  }
  rig r = make("{\"hidden\":16}", 2, 3, 0, 8, false);
  assert_true(json_integer_value(json_array_get(json_object_get(r.net->spec, "hidden"), 0)) == 16);
  assert_string_equal(json_string_value(json_object_get(r.net->spec, "activation")), "relu");
  assert_string_equal(json_string_value(json_object_get(r.net->spec, "init")), "zero");
  drop(&r);
}

/* Of images: the options that a specification may have and the leaves that they make, once more from the full one. */
static void image_defaults_are_written_out(void **state) {
  (void)state;
  static const char *const specs[] = {"{}", "{\"type\":\"conv\",\"gain\":true,\"skip\":true,\"weight_norm\":true}",
                                      "{\"type\":\"conv_linear\",\"padding\":\"circular\"}",
                                      "{\"type\":\"conv_residual\",\"hidden\":16,\"norm\":\"group\",\"bottleneck\":true}",
                                      "{\"type\":\"conv_unet\",\"hidden\":16,\"levels\":5,\"skip\":\"sum\"}"};
  for (size_t i = 0; i < RH_COUNT_OF(specs); i++) {
    rh_leaves leaves[2];
    memset(leaves, 0, sizeof leaves);
    rh_net *net[2];
    json_t *json = parse(specs[i]);
    for (int k = 0; k < 2; k++) {
      const rh_build build = {&leaves[k], "p", 2};
      PROBE_OK(rh_image_net_create(&build, k ? net[0]->spec : json, "net", rh_shape3(4, 4, 3), 5, &net[k]));
    }
    assert_true(json_equal(net[0]->spec, net[1]->spec));
    assert_int_equal(leaves[0].n, leaves[1].n);
    for (int64_t l = 0; l < leaves[0].n; l++) assert_string_equal(leaves[0].leaf[l].name, leaves[1].leaf[l].name);
    assert_int_equal(net[0]->out, 80);
    if (i == 0) { /* Glow's: 3x3 to 64, 1x1, 3x3, with biases, and the context's map */
      assert_string_equal(net[0]->type->type, "conv");
      assert_int_equal(leaves[0].params, 9 * 3 * 64 + 64 + 64 * 64 + 64 + 9 * 64 * 5 + 5 + 2 * 64);
    }
    for (int k = 0; k < 2; k++) rh_net_destroy(net[k]), rh_leaves_free(&leaves[k]);
    json_decref(json);
  }
}

static void wrong_specifications_are_named(void **state) {
  (void)state;
  static const char *const cases[][2] = {
      {"{\"type\":\"mpl\"}", "did you mean 'mlp'"},
      {"{\"hiden\":[3]}", "net: unknown key 'hiden', did you mean 'hidden'?"},
      {"{\"hidden\":[0]}", "net.hidden"},
      {"{\"hidden\":[65537]}", "net.hidden"},
      {"{\"hidden\":[-4]}", "net.hidden"},
      {"{\"hidden\":\"big\"}", "net.hidden"},
      {"{\"activation\":\"rleu\"}", "did you mean 'relu'"},
      {"{\"init\":7}", "net.init"},
      {"{\"type\":\"residual\",\"blocks\":0}", "net.blocks"},
      {"{\"type\":\"linear\",\"hidden\":[3]}", "unknown key 'hidden'"},
      {"[]", "net: expected an object"},
  };
  for (size_t i = 0; i < RH_COUNT_OF(cases); i++) {
    rh_leaves leaves = {0};
    const rh_build build = {&leaves, "p", 0};
    rh_net *net = NULL;
    json_t *json = parse(cases[i][0]);
    assert_int_equal(rh_net_create(&build, json, "net", 2, 3, &net), RH_E_SPEC);
    assert_null(net);
    if (!strstr(rh_last_error(), cases[i][1])) fail_msg("%s: '%s' does not say '%s'", cases[i][0], rh_last_error(), cases[i][1]);
    json_decref(json);
    rh_leaves_free(&leaves);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(networks_are_their_formulas),    cmocka_unit_test(linear_and_constant),
      cmocka_unit_test(last_layers_start_as_asked),     cmocka_unit_test(gains_keep_the_variance),
      cmocka_unit_test(image_defaults_are_written_out), cmocka_unit_test(defaults_are_written_out),
      cmocka_unit_test(wrong_specifications_are_named),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
