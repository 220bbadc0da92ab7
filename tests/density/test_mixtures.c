/* Mixtures of flows: what stands in a specification, starts, samples beside infinite ones, holes in the density, refusals. */
#define _XOPEN_SOURCE 700
#include "base/memory.h"
#include "density/flow.h"
#include "support/probe.h"

#define EMPTY          "{\"type\":\"chain\",\"parts\":[]}"
#define PLAIN          "{\"flow\":" EMPTY ",\"base\":{}}"
#define OF(d, list)    "{\"columns\":" d ",\"mixture\":[" list "]}"
#define BOX(low, high) "{\"flow\":" EMPTY ",\"base\":{\"type\":\"uniform\",\"low\":" low ",\"high\":" high "}}"
#define BOTH(one, two) one "," two
#define FIXED(w, list) "{\"columns\":1,\"weights\":" w ",\"mixture\":[" list "]}"
#define LOGARITHM      "{\"type\":\"support\",\"columns\":[{\"column\":0,\"kind\":\"log\",\"low\":0}]}"
#define OVERFLOWING    "{\"preprocess\":[" LOGARITHM "],\"flow\":" EMPTY ",\"base\":{\"learn\":true}}"
#define NORMED(scale) \
  "{\"preprocess\":[{\"type\":\"standardize\",\"mean\":[1,2],\"scale\":[" scale ",3]}],\"flow\":" ACTNORMED ",\"base\":{}}"
#define ACTNORMED \
  "{\"type\":\"chain\",\"parts\":[{\"type\":\"lu\"},{\"type\":\"actnorm\"},{\"type\":\"permutation\"},{\"type\":\"actnorm\"}]}"

typedef struct rig {
  rh_flow *flow;
  rh_values values;
} rig;

static rh_status try(const char *text, rh_flow **flow) {
  json_t *json = NULL;
  PROBE_OK(rh_json_parse(text, strlen(text), "test", &json));
  const rh_status status = rh_flow_create(json, flow);
  json_decref(json);
  return status;
}

static rig make(const char *text, int real_bytes) {
  rig r;
  PROBE_OK(try(text, &r.flow));
  PROBE_OK(rh_values_create(&r.flow->leaves, real_bytes, &r.values));
  rh_values_init(&r.flow->leaves, 1, &r.values);
  return r;
}

static void drop(rig *r) {
  rh_values_free(&r->values);
  rh_flow_destroy(r->flow);
}

static void run(const rig *r, const rh_graph *g, int64_t rows, const double *in, rh_val a, double *out_a, rh_val b, double *out_b) {
  PROBE_OK(rh_graph_status(g));
  probe p = {.g = g, .values = &r->values, .real_bytes = r->values.real_bytes, .rows = rows, .input = {in}, .n_row = 2};
  p.row_val[0] = a, p.row_out[0] = out_a, p.row_val[1] = b, p.row_out[1] = out_b;
  probe_run(&p);
}

/* log p [rows], and its gradient [rows, columns]. */
static void score(const rig *r, int64_t rows, const double *x, double *log_prob, double *slope) {
  rh_graph g;
  PROBE_OK(rh_graph_init(&g, &r->flow->leaves));
  const rh_shape shape = rh_shape1(r->flow->columns);
  const rh_val in = rh_input(&g, shape), y = rh_flow_log_prob(r->flow, &g, in, RH_NONE, RH_NONE);
  rh_val grad;
  PROBE_OK(rh_vjp(&g, 1, &y, NULL, 1, &in, &grad, RH_KEEP));
  run(r, &g, rows, x, y, log_prob, rh_add_maybe(&g, rh_fill(&g, shape, 0), grad), slope);
  rh_graph_free(&g);
}

/* ---- densities ---- */

/* Two boxes: a component's -inf takes nothing from the other; outside of both log p is -inf, and no gradient is a NaN. */
static void holes(void **state) {
  (void)state;
  for (int real = 4; real <= 8; real += 4) {
    rig r = make(FIXED("[1,3]", BOTH(BOX("0", "2"), BOX("1", "5"))), real);
    const double x[6] = {0.5, 1.5, 4, -1, 6, 1e30};
    const double want[6] = {log(0.25 / 2), log(0.25 / 2 + 0.75 / 4), log(0.75 / 4), -INFINITY, -INFINITY, -INFINITY};
    double got[6], slope[6];
    score(&r, 6, x, got, slope);
    for (int i = 0; i < 6; i++) assert_true(got[i] == want[i] || fabs(got[i] - want[i]) < (real == 8 ? 1e-15 : 2e-7));
    for (int i = 0; i < 6; i++) assert_true(slope[i] == 0);
    drop(&r);
  }
}

/* The second component decodes to infinity; where the first is picked, nothing of that is left. */
static void beside_the_infinite(void **state) {
  (void)state;
  rig r = make(OF("1", BOTH(PLAIN, OVERFLOWING)), 4);
  rh_values_set(&r.flow->leaves, &r.values, rh_leaf_find(&r.flow->leaves, "mixture.1.base.mean"), 0, 1e4);
  rh_graph g;
  PROBE_OK(rh_graph_init(&g, &r.flow->leaves));
  rh_val x, log_prob;
  assert_int_equal(r.flow->base_noise, 2);
  rh_flow_sample(r.flow, &g, rh_input(&g, rh_shape1(2)), RH_NONE, 1, &x, &log_prob);
  const double u[6] = {0.2, 0.5, 0.4999, 0.9, 0.7, 0.5};
  double got[3], density[3];
  run(&r, &g, 3, u, x, got, log_prob, density);
  assert_true(got[0] == 0 && fabs(got[1] - 1.2815515655) < 1e-6 && got[2] == INFINITY);
  assert_true(fabs(density[0] - log(0.5) + 0.91893853320467274178) < 1e-6 && isfinite(density[1]));
  rh_graph_free(&g);
  drop(&r);
}

/* ---- starts ---- */

static void every_component_starts_from_the_data(void **state) {
  (void)state;
  enum { N = 400 };
  double *x = probe_random(N * 2, 3, -4, 9);
  rig both = make(OF("2", BOTH(NORMED("2"), NORMED("0.5"))), 8);
  rig one = make("{\"columns\":2,\"preprocess\":[{\"type\":\"standardize\",\"mean\":[1,2],\"scale\":[0.5,3]}],\"flow\":" ACTNORMED "}", 8);
  rh_pool *pool;
  PROBE_OK(rh_pool_create(2, &pool));
  PROBE_OK(rh_flow_warm_up(both.flow, &both.values, pool, N, x, NULL, 5));
  PROBE_OK(rh_flow_warm_up(one.flow, &one.values, pool, N, x, NULL, 5));
  int compared = 0;
  for (int l = 0; l < one.flow->leaves.n; l++) {
    const rh_leaf *leaf = &one.flow->leaves.leaf[l];
    char name[200];
    snprintf(name, sizeof name, "mixture.1.%s", leaf->name);
    const int at = rh_leaf_find(&both.flow->leaves, name);
    assert_true(at >= 0);
    for (int64_t i = 0; i < leaf->count; i++, compared++)
      assert_true(rh_values_get(&both.flow->leaves, &both.values, at, i) == rh_values_get(&one.flow->leaves, &one.values, l, i));
  }
  assert_true(compared > 12);
  const int scale[2] = {rh_leaf_find(&both.flow->leaves, "mixture.0.flow.1.log_scale"),
                        rh_leaf_find(&both.flow->leaves, "mixture.1.flow.1.log_scale")};
  if (scale[0] >= 0)
    assert_true(rh_values_get(&both.flow->leaves, &both.values, scale[0], 0) !=
                rh_values_get(&both.flow->leaves, &both.values, scale[1], 0));
  rh_pool_destroy(pool);
  drop(&both), drop(&one);
  free(x);
}

/* components=K: nets and places of their own; the architecture's other options still checked. */
static void an_architectures_components_differ(void **state) {
  (void)state;
  json_t *options = NULL, *spec = NULL;
  PROBE_OK(rh_json_parse("{\"components\":3,\"layers\":2}", 27, "test", &options));
  PROBE_OK(rh_arch_spec("realnvp", options, &(rh_arch_size){4, 0, 5000, {0}, 0}, NULL, &spec, NULL));
  assert_int_equal(json_array_size(json_object_get(spec, "mixture")), 3);
  assert_null(json_object_get(spec, "flow"));
  assert_int_equal(json_integer_value(json_object_get(options, "components")), 3); /* the caller's stays as it was */
  rh_flow *flow;
  PROBE_OK(rh_flow_create(spec, &flow));
  rig r = {.flow = flow};
  PROBE_OK(rh_values_create(&flow->leaves, 8, &r.values));
  rh_values_init(&flow->leaves, 1, &r.values);
  static const char *const leaves[] = {"flow.1.net.0.weight", "base.mean"};
  for (size_t i = 0; i < RH_COUNT_OF(leaves); i++) {
    double first[3];
    for (int k = 0; k < 3; k++) {
      char name[80];
      snprintf(name, sizeof name, "mixture.%d.%s", k, leaves[i]);
      const int leaf = rh_leaf_find(&flow->leaves, name);
      assert_true(leaf >= 0);
      first[k] = rh_values_get(&flow->leaves, &r.values, leaf, 0);
    }
    assert_true(first[0] != first[1] && first[1] != first[2] && first[0] != first[2]);
  }
  drop(&r);
  json_decref(options), json_decref(spec);
  static const char *const refused[][2] = {{"{\"components\":0}", "realnvp.components"},
                                           {"{\"components\":\"two\"}", "realnvp.components"},
                                           {"{\"components\":2,\"layesr\":3}", "did you mean 'layers'"}};
  for (size_t i = 0; i < RH_COUNT_OF(refused); i++) {
    PROBE_OK(rh_json_parse(refused[i][0], strlen(refused[i][0]), "test", &options));
    assert_int_equal(rh_arch_spec("realnvp", options, &(rh_arch_size){4, 0, 5000, {0}, 0}, NULL, &spec, NULL), RH_E_SPEC);
    if (!strstr(rh_last_error(), refused[i][1])) fail_msg("%s: %s", refused[i][0], rh_last_error());
    json_decref(options);
  }
}

/* ---- specifications ---- */

static void full_specifications_make_the_same(void **state) {
  (void)state;
  static const char *const specs[] = {OF("2", BOTH(NORMED("2"), PLAIN)), FIXED("\"equal\"", BOTH(PLAIN, PLAIN)),
                                      FIXED("[2,5]", BOTH(PLAIN, OVERFLOWING))};
  for (size_t i = 0; i < RH_COUNT_OF(specs); i++) {
    rig r = make(specs[i], 8);
    rh_flow *again;
    PROBE_OK(rh_flow_create(r.flow->spec, &again));
    assert_true(json_equal(r.flow->spec, again->spec));
    assert_int_equal(again->leaves.n, r.flow->leaves.n);
    rh_flow_destroy(again);
    drop(&r);
  }
}

static void what_is_refused(void **state) {
  (void)state;
  static const char *const cases[][2] = {
      {"{\"columns\":1,\"mixture\":[]}", "mixture: expected an array of 1 to 1024"},
      {"{\"columns\":1,\"mixture\":{}}", "mixture: expected an array"},
      {"{\"columns\":1,\"flow\":" EMPTY ",\"mixture\":[" PLAIN "]}", "belong into the components"},
      {OF("1", BOTH(PLAIN, "{\"base\":{}}")), "mixture[1].flow: missing"},
      {OF("1", BOTH(PLAIN, "3")), "mixture[1]"},
      {OF("1", "{\"flow\":" EMPTY ",\"bsae\":{}}"), "unknown key 'bsae'"},
      {OF("1", "{\"flow\":" EMPTY ",\"base\":{\"type\":\"nromal\"}}"), "mixture.0.base"},
      {FIXED("[1]", BOTH(PLAIN, PLAIN)), "weights: 1 numbers, there must be 2"},
      {FIXED("[1,-1]", BOTH(PLAIN, PLAIN)), "weights: number 1"},
      {FIXED("\"eqaul\"", PLAIN), "did you mean 'equal'"},
      {"{\"columns\":1,\"weights\":\"equal\",\"flow\":" EMPTY "}", "unknown key 'weights'"},
      {OF("2", BOTH(PLAIN,
                    "{\"preprocess\":[{\"type\":\"drop\",\"columns\":[{\"column\":0,\"recipe\":{\"kind\":\"constant\",\"value\":1}}]}],"
                    "\"flow\":" EMPTY ",\"base\":{}}")),
       "mixture[1]: its codes have 1 numbers, the first component's 2"},
  };
  for (size_t i = 0; i < RH_COUNT_OF(cases); i++) {
    rh_flow *flow = NULL;
    assert_int_equal(try(cases[i][0], &flow), RH_E_SPEC);
    assert_null(flow);
    if (!strstr(rh_last_error(), cases[i][1])) fail_msg("%s: '%s' does not say '%s'", cases[i][0], rh_last_error(), cases[i][1]);
  }
}

static void no_codes(void **state) {
  (void)state;
  rig r = make(OF("1", BOTH(PLAIN, PLAIN)), 8);
  for (int back = 0; back < 2; back++) {
    rh_graph g;
    rh_val y, ladj;
    PROBE_OK(rh_graph_init(&g, &r.flow->leaves));
    const rh_val x = rh_input(&g, rh_shape1(1));
    if (back) {
      rh_flow_decode(r.flow, &g, x, RH_NONE, &y, &ladj);
    } else {
      rh_flow_encode(r.flow, &g, x, RH_NONE, RH_NONE, &y, &ladj);
    }
    assert_int_equal(rh_graph_status(&g), RH_E_UNSUPPORTED);
    assert_non_null(strstr(rh_last_error(), "a mixture of 2 flows has no codes"));
    rh_graph_free(&g);
  }
  drop(&r);
}

/* ---- memory ---- */

static int countdown(void *state) {
  return --*(int *)state == 0;
}

static void lost_allocations_are_errors(void **state) {
  (void)state;
  json_t *json = NULL;
  static const char text[] = OF("2", BOTH(NORMED("2"), "{\"flow\":{\"type\":\"householder\"},\"base\":{\"type\":\"mixture\"}}"));
  PROBE_OK(rh_json_parse(text, strlen(text), "test", &json));
  int n = 0;
  for (bool done = false; !done;) {
    rh_flow *flow = NULL;
    rh_graph g = {0};
    int left = ++n;
    rh_alloc_set_hook(countdown, &left);
    rh_status status = rh_flow_create(json, &flow);
    if (status == RH_OK) status = rh_graph_init(&g, &flow->leaves);
    if (status == RH_OK) {
      rh_val x, log_prob;
      rh_flow_sample(flow, &g, rh_input(&g, rh_shape1(flow->base_noise)), RH_NONE, 1, &x, &log_prob);
      status = rh_graph_status(&g);
    }
    rh_alloc_set_hook(NULL, NULL);
    done = left > 0;
    assert_int_equal(status, done ? RH_OK : RH_E_MEMORY);
    rh_graph_free(&g);
    rh_flow_destroy(flow);
  }
  assert_true(n > 30);
  json_decref(json);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(holes),
      cmocka_unit_test(beside_the_infinite),
      cmocka_unit_test(every_component_starts_from_the_data),
      cmocka_unit_test(an_architectures_components_differ),
      cmocka_unit_test(full_specifications_make_the_same),
      cmocka_unit_test(what_is_refused),
      cmocka_unit_test(no_codes),
      cmocka_unit_test(lost_allocations_are_errors),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
