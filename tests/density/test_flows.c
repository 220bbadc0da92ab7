/* Flows: log-densities of raw rows, samples that carry their own, data-dependent starts through the whole chain, architectures. */
#define _XOPEN_SOURCE 700
#include "base/memory.h"
#include "density/flow.h"
#include "support/probe.h"

static const double HALF_LOG_TWO_PI = 0.91893853320467274178;

typedef struct rig {
  rh_flow *flow;
  rh_values values;
} rig;

static json_t *parse(const char *text) {
  json_t *json = NULL;
  PROBE_OK(rh_json_parse(text, strlen(text), "test", &json));
  return json;
}

static rig make_json(const json_t *spec, int real_bytes, double shake) {
  rig r;
  PROBE_OK(rh_flow_create(spec, &r.flow));
  const rh_leaves *leaves = &r.flow->leaves;
  PROBE_OK(rh_values_create(leaves, real_bytes, &r.values));
  rh_values_init(leaves, 1, &r.values);
  for (int l = 0; l < leaves->n && shake > 0; l++) {
    if (leaves->leaf[l].klass != RH_PARAM) continue;
    double *x = probe_random(leaves->leaf[l].count, 70 + (uint64_t)l, -shake, shake);
    for (int64_t i = 0; i < leaves->leaf[l].count; i++)
      rh_values_set(leaves, &r.values, l, i, rh_values_get(leaves, &r.values, l, i) + x[i]);
    free(x);
  }
  return r;
}

static rig make(const char *text, int real_bytes, double shake) {
  json_t *spec = parse(text);
  const rig r = make_json(spec, real_bytes, shake);
  json_decref(spec);
  return r;
}

static rig make_arch(const char *name, const char *options, int64_t d, int64_t context, int64_t rows, int real_bytes, double shake) {
  json_t *set = options ? parse(options) : NULL, *spec = NULL;
  PROBE_OK(rh_arch_spec(name, set, &(rh_arch_size){d, context, rows, {0}, 0}, NULL, &spec, NULL));
  const rig r = make_json(spec, real_bytes, shake);
  json_decref(set);
  json_decref(spec);
  return r;
}

static void drop(rig *r) {
  rh_values_free(&r->values);
  rh_flow_destroy(r->flow);
}

static void run(const rig *r, const rh_graph *g, int64_t rows, const double *const *in, rh_val a, double *out_a, rh_val b, double *out_b) {
  PROBE_OK(rh_graph_status(g));
  probe p = {.g = g, .values = &r->values, .real_bytes = r->values.real_bytes, .rows = rows, .threads = 2};
  for (int64_t i = 0; i < g->inputs; i++) p.input[i] = in[i];
  p.n_row = b.at < 0 ? 1 : 2;
  p.row_val[0] = a, p.row_out[0] = out_a, p.row_val[1] = b, p.row_out[1] = out_b;
  probe_run(&p);
}

static rh_val input(rh_graph *g, int64_t n) {
  return n ? rh_input(g, rh_shape1(n)) : RH_NONE;
}

static void score(const rig *r, int64_t rows, const double *x, const double *context, const double *noise, double *out) {
  const rh_flow *f = r->flow;
  rh_graph g;
  PROBE_OK(rh_graph_init(&g, &f->leaves));
  const rh_val vx = input(&g, f->columns), vc = input(&g, f->context), vn = input(&g, f->noise);
  const double *in[3] = {x, context ? context : noise, noise};
  run(r, &g, rows, in, rh_flow_log_prob(f, &g, vx, vc, vn), out, RH_NONE, NULL);
  rh_graph_free(&g);
}

static void sample(const rig *r, int64_t rows, double temperature, const double *u, const double *context, double *x, double *log_prob) {
  const rh_flow *f = r->flow;
  rh_graph g;
  PROBE_OK(rh_graph_init(&g, &f->leaves));
  const rh_val vu = input(&g, f->base->noise), vc = input(&g, f->context);
  const double *in[2] = {u, context};
  rh_val vx, vl;
  rh_flow_sample(f, &g, vu, vc, temperature, &vx, &vl);
  run(r, &g, rows, in, vx, x, vl, log_prob);
  rh_graph_free(&g);
}

/* ---- log-densities ---- */

/* Standardized and nothing else: the normal density of the file's own units. */
static void preprocessing_counts(void **state) {
  (void)state;
  rig r = make(
      "{\"columns\":2,\"preprocess\":[{\"type\":\"standardize\",\"mean\":[3,-1],\"scale\":[2,0.5]}],\"flow\":{\"type\":\"chain\"}}", 8, 0);
  const double x[4] = {3, -1, 7, -2};
  double got[2];
  score(&r, 2, x, NULL, NULL, got);
  assert_true(fabs(got[0] - (-2 * HALF_LOG_TWO_PI - log(2) - log(0.5))) < 1e-15);
  assert_true(fabs(got[1] - (got[0] - 0.5 * 4 - 0.5 * 4)) < 1e-14);
  assert_string_equal(r.flow->leaves.leaf[0].name, "preprocess.0.mean");
  drop(&r);
}

/* A log-normal by a support of logarithms. */
static void a_log_normal(void **state) {
  (void)state;
  rig r = make(
      "{\"columns\":1,\"preprocess\":[{\"type\":\"support\",\"columns\":[{\"column\":0,\"kind\":\"log\",\"low\":1}]},"
      "{\"type\":\"standardize\",\"mean\":0.5,\"scale\":2}],\"flow\":{\"type\":\"chain\"}}",
      8, 0);
  const double x[3] = {2.5, 1.001, 1};
  double got[3];
  score(&r, 3, x, NULL, NULL, got);
  for (int i = 0; i < 2; i++) {
    const double l = log(x[i] - 1), u = (l - 0.5) / 2;
    assert_true(fabs(got[i] - (-HALF_LOG_TWO_PI - 0.5 * u * u - log(2) - l)) < 1e-13);
  }
  assert_true(got[2] == -INFINITY);
  drop(&r);
}

#define SHAPES                                                                                                                           \
  "{\"columns\":4,\"context\":2,\"preprocess\":[{\"type\":\"standardize\",\"mean\":[1,2,3,4],\"scale\":[1,2,0.5,3]}],"                   \
  "\"flow\":{\"type\":\"chain\",\"parts\":[{\"type\":\"actnorm\"},{\"type\":\"lu\"},{\"type\":\"coupling\",\"net\":{\"hidden\":[8,8]}}," \
  "{\"type\":\"coupling\",\"mask\":\"odd\",\"net\":{\"type\":\"residual\",\"hidden\":8}}]},\"base\":{\"type\":\"full-normal\"}}"

static void samples_carry_their_log_density(void **state) {
  (void)state;
  enum { N = 200, D = 4 };
  double *u = probe_random(N * D, 1, 0, 1), *context = probe_random(N * 2, 2, -1, 1), x[N * D], with[N], again[N];
  for (int real = 4; real <= 8; real += 4)
    for (int hot = 0; hot < 2; hot++) {
      rig r = make(SHAPES, real, 0.3);
      sample(&r, N, hot ? 0.7 : 1, u, context, x, with);
      score(&r, N, x, context, NULL, again);
      for (int i = 0; i < N; i++) {
        if (!(fabs(with[i] - again[i]) < (real == 8 ? 1e-11 : 2e-3) * (1 + fabs(with[i]))))
          fail_msg("%.17g beside %.17g", with[i], again[i]);
      }
      drop(&r);
    }
  free(u), free(context);
}

/* The mean of p(x) over uniform points of a box around nearly all of it is 1 / volume: the density integrates to 1. */
static void densities_integrate_to_one(void **state) {
  (void)state;
  enum { SIDE = 600 };
  rig r = make_arch("realnvp", "{\"layers\":3,\"hidden\":[6],\"activation\":\"tanh\",\"init\":\"scaled\",\"base\":\"normal\"}", 2, 0, 0, 8,
                    0.15);
  double *x = malloc(2 * SIDE * SIDE * sizeof *x), *lp = malloc(SIDE * SIDE * sizeof *lp), total = 0;
  const double half = 25, cell = 2 * half / SIDE;
  for (int i = 0; i < SIDE * SIDE; i++) {
    x[2 * i] = -half + cell * (i % SIDE + 0.5);
    x[2 * i + 1] = -half + cell * (i / SIDE + 0.5);
  }
  score(&r, SIDE * SIDE, x, NULL, NULL, lp);
  for (int i = 0; i < SIDE * SIDE; i++) total += exp(lp[i]) * cell * cell;
  if (fabs(total - 1) > 1e-6) fail_msg("the density integrates to %.6f", total);
  free(x), free(lp);
  drop(&r);
}

static void extreme_rows(void **state) {
  (void)state;
  static const char *const archs[] = {"realnvp", "nice", "maf", "iaf", "nsf", "nsf-coupling"},
                           *const options[] = {"{\"layers\":3,\"init\":\"scaled\",\"base\":\"normal\"}",
                                               "{\"layers\":3,\"init\":\"scaled\"}"};
  for (int a = 0; a < 6; a++)
    for (int real = 4; real <= 8; real += 4)
      for (int o = 0; o < 2; o++) {
        rig r = make_arch(archs[a], options[o], 3, 0, 0, real, 0.05);
        const double x[15] = {0, 0, 0, 1e6, -1e6, 1e6, -1e12, 1e3, 1e-30, 1e30, 1e30, -1e30, 3e38, -3e38, 3e38};
        double got[5];
        score(&r, 5, x, NULL, NULL, got);
        for (int i = 0; i < 3; i++) assert_true(isfinite(got[i]));
        if (o)
          assert_true(got[2] > -1e4); /* the default base's tails: far out is unlikely, not impossible */
        else
          for (int i = 3; i < 5; i++)
            assert_true(!(got[i] > -1e20)); /* no density there; overflow may leave NaN, which scoring takes as -inf */
        drop(&r);
      }
}

/* ---- starts ---- */

/* Every ActNorm sees what the parts before it make of the rows, the noise of a surjection included. */
static void starts_run_through_the_chain(void **state) {
  (void)state;
  enum { N = 300, D = 3 };
  static const char spec[] =
      "{\"columns\":4,\"context\":1,\"preprocess\":[{\"type\":\"drop\",\"columns\":[{\"column\":1,\"recipe\":{\"kind\":\"constant\","
      "\"value\":5}}]},"
      "{\"type\":\"dequantize\",\"columns\":[{\"column\":2}]}],\"flow\":{\"type\":\"chain\",\"parts\":[{\"type\":\"chain\",\"parts\":["
      "{\"type\":\"actnorm\"},{\"type\":\"lu\"},{\"type\":\"coupling\",\"net\":{\"hidden\":[4],\"init\":\"scaled\",\"gain\":1.4}}]},{"
      "\"type\":"
      "\"permutation\"},"
      "{\"type\":\"actnorm\"}]}}";
  double *u = probe_random(N * 4, 1, -3, 9), *context = probe_random(N, 2, -1, 1), *noise = probe_random(N, 3, 0, 1);
  for (int i = 0; i < N; i++) u[4 * i + 1] = 5, u[4 * i + 3] = floor(u[4 * i + 3]);
  for (int real = 4; real <= 8; real += 4) {
    rig r = make(spec, real, 0.3), one = make(spec, real, 0.3);
    rh_pool *pool, *single;
    PROBE_OK(rh_pool_create(3, &pool));
    PROBE_OK(rh_pool_create(1, &single));
    PROBE_OK(rh_flow_warm_up(r.flow, &r.values, pool, N, u, context, 5));
    PROBE_OK(rh_flow_warm_up(one.flow, &one.values, single, N, u, context, 5));
    assert_memory_equal(r.values.flat[RH_PARAM], one.values.flat[RH_PARAM], (size_t)(r.flow->leaves.total[RH_PARAM] * real));
    rh_graph g;
    PROBE_OK(rh_graph_init(&g, &r.flow->leaves));
    const rh_val vx = input(&g, 4), vc = input(&g, 1), vn = input(&g, 1);
    rh_val z, ladj;
    double out[N * D];
    rh_flow_encode(r.flow, &g, vx, vc, vn, &z, &ladj);
    run(&r, &g, N, (const double *[]){u, context, noise}, z, out, RH_NONE, NULL);
    rh_graph_free(&g);
    for (int j = 0; j < D; j++) {
      double mean = 0, square = 0;
      for (int i = 0; i < N; i++) mean += out[D * i + j] / N, square += out[D * i + j] * out[D * i + j] / N;
      assert_true(fabs(mean) < 0.02 && fabs(square - 1) < 0.02); /* the noise here is another one */
    }
    rh_pool_destroy(pool);
    rh_pool_destroy(single);
    drop(&r);
    drop(&one);
  }
  free(u), free(context), free(noise);
}

/* ---- architectures ---- */

static void architectures_start_as_the_identity(void **state) {
  (void)state;
  static const char *const names[] = {"auto", "realnvp", "nice", "maf", "iaf", "nsf", "nsf-coupling", "cnf", "ffjord", "rnode"};
  static const int64_t widths[] = {1, 2, 3, 10, 43}, rows[] = {0, 50, 100000};
  for (size_t a = 0; a < RH_COUNT_OF(names); a++)
    for (size_t w = 0; w < RH_COUNT_OF(widths); w++)
      for (size_t n = 0; n < RH_COUNT_OF(rows); n++) {
        const int64_t d = widths[w];
        rig r = make_arch(names[a], "{\"base\":\"normal\"}", d, 0, rows[n], 8, 0);
        double *x = probe_random(3 * d, 1, -2, 2), *probes = probe_random(3 * d, 2, 0, 1), got[3];
        score(&r, 3, x, NULL, probes, got);
        for (int i = 0; i < 3; i++) {
          double want = -HALF_LOG_TWO_PI * (double)d;
          for (int64_t j = 0; j < d; j++) want -= 0.5 * x[i * d + j] * x[i * d + j];
          assert_true(fabs(got[i] - want) < 1e-12);
        }
        free(x), free(probes);
        drop(&r);
      }
}

static void full_specifications_make_the_same(void **state) {
  (void)state;
  static const char *const options[] = {
      "{}", "{\"net\":\"residual\",\"hidden\":32,\"blocks\":1,\"mask\":\"random\",\"actnorm\":true,\"permute\":\"random\"}",
      "{\"base\":\"full-normal\",\"lu\":true,\"permute\":\"reverse\",\"mask\":\"half\",\"init\":\"small\",\"activation\":\"elu\"}"};
  static const char *const names[] = {"realnvp", "nice"};
  for (size_t o = 0; o < RH_COUNT_OF(options); o++)
    for (size_t a = 0; a < RH_COUNT_OF(names); a++)
      for (int64_t d = 1; d < 6; d += 4) {
        rig r = make_arch(names[a], options[o], d, 2, 500, 4, 0), again = make_json(r.flow->spec, 4, 0);
        assert_true(json_equal(r.flow->spec, again.flow->spec));
        assert_string_equal(json_string_value(json_object_get(r.flow->spec, "arch")), names[a]);
        for (int c = 0; c < 2; c++) assert_memory_equal(r.values.flat[c], again.values.flat[c], (size_t)r.flow->leaves.total[c] * 4);
        drop(&r);
        drop(&again);
      }
}

/* The benchmark's RealNVP: couplings of alternating halves and nothing else, dense layers as PyTorch has them. */
static void the_plain_realnvp(void **state) {
  (void)state;
  rig r = make_arch("realnvp", "{\"layers\":10,\"hidden\":[256,256],\"lu\":false,\"base\":\"normal\"}", 6, 0, 0, 4, 0);
  assert_int_equal(r.flow->leaves.params, 683580);
  drop(&r);
  r = make_arch("realnvp", "{\"layers\":8,\"hidden\":[64,64],\"lu\":false,\"base\":\"normal\"}", 2, 0, 0, 4, 0);
  assert_int_equal(r.flow->leaves.params, 35344);
  assert_string_equal(r.flow->leaves.leaf[0].name, "flow.0.net.0.weight");
  assert_int_equal(r.flow->leaves.leaf[0].shape.dim[0], 64);
  assert_int_equal(r.flow->leaves.leaf[0].shape.dim[1], 1);
  drop(&r);
}

/* Weights of fields decay on tables, not on a plane, and there alone a fit has a recipe of its own. */
static void fields_of_tables_and_of_the_plane(void **state) {
  (void)state;
  static const char *const names[] = {"cnf", "ffjord", "rnode"};
  for (size_t a = 0; a < RH_COUNT_OF(names); a++)
    for (int64_t d = 2; d < 6; d++) {
      rig r = make_arch(names[a], "{\"base\":\"normal\"}", d, 0, 0, 8, 0);
      int decaying = 0;
      for (int l = 0; l < r.flow->leaves.n; l++) decaying += r.flow->leaves.leaf[l].decay;
      assert_int_equal(decaying, d < 4 ? 0 : a ? 4 : 3); /* the weights of its layers */
      assert_int_equal(rh_arch_of_fields(names[a], d), d >= 4);
      drop(&r);
    }
  assert_false(rh_arch_of_fields("nsf", 10));
  assert_false(rh_arch_of_fields("auto", 10));
}

/* The literature's sizes: t is an input of every layer. */
static void the_plain_cnf(void **state) {
  (void)state;
  rig r = make_arch("cnf", "{\"hidden\":[64,64,64],\"base\":\"normal\"}", 2, 0, 0, 4, 0);
  assert_int_equal(r.flow->leaves.params, 8836);
  drop(&r);
  r = make_arch("ffjord", "{\"field\":\"concat\",\"hidden\":[256,256],\"activation\":\"softplus\",\"base\":\"normal\"}", 43, 0, 0, 4, 0);
  assert_int_equal(r.flow->leaves.params, 88662);
  assert_int_equal(r.flow->noise, 43);
  assert_int_equal(r.flow->scoring_noise, 0);
  assert_true(r.flow->exact);
  drop(&r);
}

static void wide_tables(void **state) {
  (void)state;
  rig r = make_arch("auto", "{\"hidden\":[16]}", 10000, 0, 1000, 4, 0);
  double *x = probe_random(2 * 10000, 1, -2, 2), got[2];
  score(&r, 2, x, NULL, NULL, got);
  assert_true(isfinite(got[0]) && isfinite(got[1]));
  free(x);
  drop(&r);
}

static void auto_says_why(void **state) {
  (void)state;
  json_t *spec = NULL,
         *handling = parse("[{\"type\":\"drop\",\"columns\":[{\"column\":0,\"recipe\":{\"kind\":\"constant\",\"value\":1}}]}]");
  const char *why = NULL;
  PROBE_OK(rh_arch_spec("auto", NULL, &(rh_arch_size){2, 0, 5000, {0}, 0}, handling, &spec, &why));
  assert_non_null(strstr(why, "one column")); /* the width behind the preprocessing counts */
  rig r = make_json(spec, 4, 0);
  assert_int_equal(r.flow->columns, 2);
  assert_int_equal(r.flow->latent, 1);
  drop(&r);
  json_decref(spec);
  json_decref(handling);
}

static void errors_are_named(void **state) {
  (void)state;
  static const struct {
    const char *arch, *options, *says;
  } archs[] = {{"relanvp", NULL, "did you mean 'realnvp'"},
               {"wavenet", NULL,
                "there are: auto, nsf, nsf-coupling, maf, iaf, realnvp, nice, cnf, ffjord, rnode, nsf-image, glow, "
                "realnvp-image"},
               {"glow", NULL, "glow is for images, these are rows of 4 columns"},
               {"realnvp", "{\"layerz\":3}", "realnvp: unknown key 'layerz', did you mean 'layers'?"},
               {"auto", "{\"layers\":0}", "nsf.layers"},
               {"nice", "{\"bound\":3}", "unknown key 'bound'"},
               {"realnvp", "{\"net\":\"residual\",\"hidden\":[64,64]}", "realnvp.hidden"},
               {"realnvp", "{\"mask\":\"third\"}", "realnvp.mask"},
               {"realnvp", "[]", "expected an object"},
               {"cnf", "{\"activation\":\"relu\"}", "cnf.activation: unknown name 'relu'"},
               {"cnf", "{\"solver\":\"dopri5\"}", "cnf.solver"},
               {"cnf", "{\"field\":\"planar\",\"hidden\":[8,8]}", "cnf.hidden: a planar field has one hidden layer"},
               {"ffjord", "{\"trace\":\"hutchinson:0\"}", "ffjord.trace: 'hutchinson:0'"},
               {"ffjord", "{\"trace\":\"exact:2\"}", "only hutchinson has probes"},
               {"rnode", "{\"trace\":\"none\"}", "none of auto, exact, hutchinson, hutchinson:K"}};
  for (size_t i = 0; i < RH_COUNT_OF(archs); i++) {
    json_t *options = archs[i].options ? parse(archs[i].options) : NULL, *spec = NULL;
    assert_int_not_equal(rh_arch_spec(archs[i].arch, options, &(rh_arch_size){4, 0, 1000, {0}, 0}, NULL, &spec, NULL), RH_OK);
    if (!strstr(rh_last_error(), archs[i].says)) fail_msg("'%s' does not say '%s'", rh_last_error(), archs[i].says);
    assert_null(spec);
    json_decref(options);
  }
  static const char *const flows[][2] = {
      {"{}", "columns: missing"},
      {"{\"columns\":0,\"flow\":{\"type\":\"chain\"}}", "columns"},
      {"{\"columns\":16777217,\"flow\":{\"type\":\"chain\"}}", "columns"},
      {"{\"columns\":2,\"context\":-1,\"flow\":{\"type\":\"chain\"}}", "context"},
      {"{\"columns\":2}", "flow: missing"},
      {"{\"columns\":2,\"flow\":{\"type\":\"chain\"},\"bass\":{}}", "unknown key 'bass', did you mean 'base'"},
      {"{\"columns\":2,\"flow\":{\"type\":\"chain\"},\"base\":{\"type\":\"cauchy\"}}", "base.type"},
      {"{\"columns\":2,\"flow\":{\"type\":\"chain\"},\"preprocess\":[{\"type\":\"standardise\"}]}", "preprocess[0].type"},
      {"{\"columns\":2,\"flow\":{\"type\":\"chain\",\"parts\":[{\"type\":\"coupling\",\"net\":{\"hidden\":[0]}}]}}",
       "flow.parts[0].net.hidden"},
  };
  for (size_t i = 0; i < RH_COUNT_OF(flows); i++) {
    json_t *spec = parse(flows[i][0]);
    rh_flow *flow = NULL;
    assert_int_equal(rh_flow_create(spec, &flow), RH_E_SPEC);
    if (!strstr(rh_last_error(), flows[i][1])) fail_msg("%s: '%s' does not say '%s'", flows[i][0], rh_last_error(), flows[i][1]);
    assert_null(flow);
    json_decref(spec);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(preprocessing_counts),
      cmocka_unit_test(a_log_normal),
      cmocka_unit_test(samples_carry_their_log_density),
      cmocka_unit_test(densities_integrate_to_one),
      cmocka_unit_test(extreme_rows),
      cmocka_unit_test(starts_run_through_the_chain),
      cmocka_unit_test(architectures_start_as_the_identity),
      cmocka_unit_test(full_specifications_make_the_same),
      cmocka_unit_test(the_plain_realnvp),
      cmocka_unit_test(fields_of_tables_and_of_the_plane),
      cmocka_unit_test(the_plain_cnf),
      cmocka_unit_test(wide_tables),
      cmocka_unit_test(auto_says_why),
      cmocka_unit_test(errors_are_named),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
