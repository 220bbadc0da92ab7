/* Whole flows of images: sizes by specification, round trips, log-determinants against dense Jacobians, RECOMPUTE, data-dependent starts,
 * bits of a row in any company, classes. */
#include "density/flow.h"
#include "support/probe.h"

typedef struct rig {
  rh_flow *flow;
  rh_values values;
} rig;

typedef struct subject {
  const char *arch, *options;
  rh_image_shape image;
  int64_t context;
} subject;

#define SMALL_GLOW "\"hidden\":6,\"steps\":2,\"activation\":\"tanh\",\"init\":\"scaled\""
/* equations that are solved to rounding */
#define SHORT "\"time\":0.25,\"gradient\":\"adjoint\",\"solver\":\"dop853\",\"solver_steps\":4"
static const subject subjects[] = {
    {"glow", "{\"levels\":2," SMALL_GLOW "}", {4, 4, 1}, 0},
    {"nsf-image", "{\"levels\":2,\"bins\":3," SMALL_GLOW "}", {4, 4, 2}, 2},
    {"nsf-image", "{\"levels\":1,\"box\":2," SMALL_GLOW "}", {4, 2, 1}, 0},
    {"glow", "{\"levels\":1,\"scale\":\"exp\",\"mixing\":\"swap\",\"actnorm\":false," SMALL_GLOW "}", {2, 4, 3}, 0},
    {"glow",
     "{\"levels\":2,\"coupling\":\"mixture\",\"logistics\":2,\"mixing\":\"householder\",\"base\":\"diagonal\"," SMALL_GLOW "}",
     {4, 4, 1},
     0},
    {"glow", "{\"levels\":1,\"coupling\":\"linear-spline\",\"bins\":4,\"box\":3," SMALL_GLOW "}", {2, 4, 3}, 0},
    {"glow", "{\"levels\":2,\"mixing\":\"dense\"," SMALL_GLOW "}", {4, 4, 1}, 0},
    {"glow", "{\"levels\":2,\"net\":\"unet\",\"net_levels\":3," SMALL_GLOW "}", {4, 8, 1}, 2},
    {"realnvp-image", "{\"levels\":2,\"blocks\":1," SMALL_GLOW "}", {4, 4, 1}, 0},
    {"realnvp-image",
     "{\"levels\":1,\"blocks\":1,\"prior\":true,\"norm\":\"layer\",\"gated\":true,\"checkerboard\":2," SMALL_GLOW "}",
     {2, 4, 2},
     2},
    {"realnvp-image",
     "{\"levels\":2,\"coupling\":\"additive\",\"net\":\"conv\",\"mixing\":\"permutation\",\"base\":\"student-t\"," SMALL_GLOW "}",
     {4, 4, 2},
     0},
    {"ffjord-image", "{\"levels\":2,\"steps\":1,\"hidden\":[4,3]," SHORT "}", {4, 4, 1}, 0},
    {"ffjord-image",
     "{\"levels\":2,\"steps\":2,\"fine\":1,\"hidden\":[3],\"field\":\"squash\",\"base\":\"student-t\"," SHORT "}",
     {4, 4, 1},
     2},
    {"ffjord-image",
     "{\"hidden\":[3,3],\"field\":\"squash\",\"residual\":true,\"kernel\":1,\"prior\":false,\"actnorm\":false," SHORT "}",
     {2, 2, 2},
     0},
};

static json_t *parse(const char *text) {
  json_t *json = NULL;
  PROBE_OK(rh_json_parse(text, strlen(text), "test", &json));
  return json;
}

static int64_t numbers(const rh_image_shape *s) {
  return s->h * s->w * s->c;
}

static rig make(const subject *s, int real_bytes, double shake) {
  rig r;
  json_t *options = parse(s->options), *spec = NULL;
  PROBE_OK(rh_arch_spec(s->arch, options, &(rh_arch_size){numbers(&s->image), s->context, 5000, s->image, 0}, NULL, &spec, NULL));
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
  json_decref(options);
  json_decref(spec);
  return r;
}

static void drop(rig *r) {
  rh_values_free(&r->values);
  rh_flow_destroy(r->flow);
}

static rh_val input(rh_graph *g, int64_t n) {
  return n ? rh_input(g, rh_shape1(n)) : RH_NONE;
}

/* ---- sizes ---- */

static int64_t params_of(const char *arch, const char *options, rh_image_shape image) {
  const subject s = {arch, options, image, 0};
  rig r = make(&s, 4, 0);
  const int64_t n = r.flow->leaves.params;
  drop(&r);
  return n;
}

static int64_t conv_params(int64_t in, int64_t hidden, int64_t out) {
  return 9 * in * hidden + hidden + hidden * hidden + hidden + 9 * hidden * out + out;
}

/* The benchmarks' models, a number for every weight that acts: L and U are triangles here, not whole matrices under a mask. */
static void sizes_are_those_of_the_papers(void **state) {
  (void)state;
  const rh_image_shape colour = {32, 32, 3}, grey = {32, 32, 1};
  int64_t want = 2 * 3072;
  for (int64_t c = 12; c <= 48; c *= 2) want += 8 * (2 * c + c * c + conv_params(c / 2, 128, c));
  const char *glow = "{\"levels\":3,\"steps\":8,\"hidden\":128,\"prior\":false,\"gain\":false,\"base\":\"diagonal\"}";
  assert_int_equal(params_of("glow", glow, colour), want);
  assert_int_equal(want + 8 * (12 + 144 + 24 + 576 + 48 + 2304), 1617792); /* with whole L, U and a separate diagonal */
  const char *plain =
      "{\"levels\":2,\"steps\":4,\"checkerboard\":0,\"net\":\"conv\",\"hidden\":64,\"mixing\":\"swap\",\"actnorm\":false,"
      "\"weight_norm\":false,\"base\":\"diagonal\"}";
  assert_int_equal(params_of("realnvp-image", plain, grey), 77360);
}

static void defaults_go_by_the_image(void **state) {
  (void)state;
  static const struct {
    rh_image_shape image;
    int levels;
  } cases[] = {{{32, 32, 3}, 3}, {{28, 28, 1}, 2}, {{8, 8, 1}, 1}, {{64, 64, 3}, 4}, {{16, 32, 3}, 2}, {{6, 6, 1}, 1}, {{2, 2, 1}, 1}};
  for (size_t i = 0; i < RH_COUNT_OF(cases); i++)
    for (int a = 0; a < 2; a++) {
      json_t *spec = NULL;
      const rh_image_shape *image = &cases[i].image;
      const char *why = NULL;
      PROBE_OK(rh_arch_spec(a ? "realnvp-image" : "auto", NULL, &(rh_arch_size){numbers(image), 0, 5000, *image, 0}, NULL, &spec, &why));
      if (!a) assert_non_null(strstr(why, "images"));
      assert_string_equal(json_string_value(json_object_get(spec, "arch")), a ? "realnvp-image" : "nsf-image");
      int levels = 1;
      const json_t *at = json_array_get(json_object_get(json_object_get(spec, "flow"), "parts"), 1);
      for (;; levels++) {
        const json_t *parts = json_object_get(at, "parts"), *last = json_array_get(parts, json_array_size(parts) - 1);
        if (strcmp(json_string_value(json_object_get(last, "type")), "factor_out") != 0) break;
        at = json_object_get(last, "part");
      }
      assert_int_equal(levels, cases[i].levels);
      rh_flow *flow;
      PROBE_OK(rh_flow_create(spec, &flow));
      assert_int_equal(flow->latent, numbers(image));
      rh_flow_destroy(flow);
      json_decref(spec);
    }
}

/* More time, a larger flow; what is set stays. */
static void defaults_go_by_the_time(void **state) {
  (void)state;
  static const struct {
    double operations;
    int64_t rows, hidden, steps;
    const char *options;
  } cases[] = {{0, 50000, 64, 8, "{}"},
               {1e10, 50000, 32, 4, "{}"},
               {1e13, 50000, 32, 8, "{}"},
               {3e13, 50000, 64, 8, "{}"},
               {1e15, 50000, 128, 8, "{}"},
               {1e15, 5000, 64, 8, "{}"},
               {1e10, 50000, 32, 7, "{\"steps\":7}"},
               {1e10, 50000, 80, 4, "{\"hidden\":80}"}};
  for (size_t i = 0; i < RH_COUNT_OF(cases); i++) {
    json_t *options = parse(cases[i].options), *spec = NULL;
    const rh_arch_size size = {784, 0, cases[i].rows, {28, 28, 1}, cases[i].operations};
    PROBE_OK(rh_arch_spec("auto", options, &size, NULL, &spec, NULL));
    const json_t *level = json_array_get(json_object_get(json_object_get(spec, "flow"), "parts"), 1);
    const json_t *parts = json_object_get(level, "parts"), *coupling = json_array_get(parts, 3);
    assert_int_equal(json_integer_value(json_object_get(json_object_get(coupling, "net"), "hidden")), cases[i].hidden);
    assert_int_equal(json_array_size(parts), 2 + 3 * cases[i].steps); /* squeeze, (actnorm, lu, coupling) a step, factor_out */
    json_decref(spec);
    json_decref(options);
  }
}

/* Traces in closed form know no size; others are found by columns up to a number of them, and estimated beyond. */
static void exact_at_any_size(void **state) {
  (void)state;
  static const struct {
    const char *options;
    rh_image_shape image;
    int64_t noise, scoring_noise;
  } cases[] = {{"{}", {8, 8, 1}, 0, 0},
               {"{}", {32, 32, 3}, 0, 0},
               {"{\"field\":\"squash\",\"hidden\":8}", {64, 64, 3}, 0, 0},
               {"{\"hidden\":[4,4,4],\"levels\":2,\"fine\":0,\"steps\":1}", {16, 16, 1}, 256 + 128, 0},
               {"{\"hidden\":[4,4,4],\"levels\":1,\"fine\":0,\"steps\":1}", {34, 34, 1}, 34 * 34, 34 * 34}};
  for (size_t i = 0; i < RH_COUNT_OF(cases); i++) {
    rig r = make(&(subject){"ffjord-image", cases[i].options, cases[i].image, 0}, 4, 0);
    assert_int_equal(r.flow->noise, cases[i].noise);
    assert_int_equal(r.flow->scoring_noise, cases[i].scoring_noise);
    drop(&r);
  }
}

static void errors_are_named(void **state) {
  (void)state;
  static const struct {
    const char *arch, *options, *says;
    rh_image_shape image;
  } cases[] = {{"glow", "{}", "glow: an image of 3 x 4 cannot be squeezed", {3, 4, 1}},
               {"glow", "{\"levels\":2}", "glow.levels: an image of 6 x 2 can be squeezed 1 times, not 2", {6, 2, 1}},
               {"glow", "{\"bound\":2}", "unknown key 'bound'", {4, 4, 1}},
               {"glow", "{\"coupling\":\"additive\",\"scale\":\"exp\"}", "unknown key 'scale'", {4, 4, 1}},
               {"glow", "{\"net_levels\":2}", "unknown key 'net_levels'", {4, 4, 1}},
               {"glow", "{\"net\":\"unet\",\"blocks\":2}", "unknown key 'blocks'", {4, 4, 1}},
               {"ffjord-image", "{\"hiden\":[2]}", "did you mean 'hidden'", {4, 4, 1}},
               {"ffjord-image", "{\"levels\":3}", "ffjord-image.levels: an image of 4 x 4 can be squeezed 2 times, not 3", {4, 4, 1}},
               {"ffjord-image", "{\"trace\":\"hutchinson:99\"}", "ffjord-image.trace", {4, 4, 1}},
               {"realnvp-image", "{\"step\":2}", "did you mean 'steps'", {4, 4, 1}},
               {"realnvp-image", "{\"mixing\":\"lo\"}", "realnvp-image.mixing", {4, 4, 1}},
               {"auto", "{}", "no pixel may be left out", {4, 4, 3}},
               {"nsf", "{}", "no pixel may be left out", {4, 0, 3}}};
  for (size_t i = 0; i < RH_COUNT_OF(cases); i++) {
    json_t *options = parse(cases[i].options), *spec = NULL;
    const int64_t columns = i + 2 < RH_COUNT_OF(cases) ? numbers(&cases[i].image) : 47;
    assert_int_not_equal(rh_arch_spec(cases[i].arch, options, &(rh_arch_size){columns, 0, 0, cases[i].image, 0}, NULL, &spec, NULL), RH_OK);
    if (!strstr(rh_last_error(), cases[i].says)) fail_msg("'%s' does not say '%s'", rh_last_error(), cases[i].says);
    assert_null(spec);
    json_decref(options);
  }
}

/* ---- values ---- */

enum { ROWS = 23, MOST = 48 };

static void run(const rig *r, const rh_graph *g, int64_t rows, int threads, const double *x, const double *context, rh_val a, double *out_a,
                rh_val b, double *out_b) {
  PROBE_OK(rh_graph_status(g));
  probe p = {.g = g, .values = &r->values, .real_bytes = r->values.real_bytes, .rows = rows, .threads = threads, .input = {x, context}};
  p.n_row = rh_is_none(b) ? 1 : 2;
  p.row_val[0] = a, p.row_out[0] = out_a, p.row_val[1] = b, p.row_out[1] = out_b;
  probe_run(&p);
}

static rh_val as_row(rh_graph *g, rh_val ladj) {
  return rh_add_maybe(g, rh_fill(g, rh_shape1(1), 0), ladj);
}

static void code(const rig *r, bool encode, int64_t rows, int threads, const double *x, const double *context, double *z, double *ladj) {
  rh_graph g;
  PROBE_OK(rh_graph_init(&g, &r->flow->leaves));
  const rh_val vx = input(&g, r->flow->columns), vc = input(&g, r->flow->context);
  rh_val vz, vl;
  if (encode)
    rh_flow_encode(r->flow, &g, vx, vc, RH_NONE, &vz, &vl);
  else
    rh_flow_decode(r->flow, &g, vx, vc, &vz, &vl);
  run(r, &g, rows, threads, x, context, vz, z, as_row(&g, vl), ladj);
  rh_graph_free(&g);
}

static void round_trips(void **state) {
  (void)state;
  for (size_t i = 0; i < RH_COUNT_OF(subjects); i++)
    for (int real = 4; real <= 8; real += 4) {
      rig r = make(&subjects[i], real, 0.15);
      const int64_t d = r.flow->columns;
      double *x = probe_random(ROWS * d, 1, -2, 2), *context = probe_random(ROWS * 2, 2, -1, 1), z[ROWS * MOST], back[ROWS * MOST],
             ladj[ROWS], inverse[ROWS];
      code(&r, true, ROWS, 2, x, context, z, ladj);
      code(&r, false, ROWS, 2, z, context, back, inverse);
      for (int64_t k = 0; k < ROWS * d; k++)
        if (!(fabs(back[k] - x[k]) < (real == 8 ? 1e-9 : 5e-4))) fail_msg("%s %zu: %.17g beside %.17g", subjects[i].arch, i, back[k], x[k]);
      for (int k = 0; k < ROWS; k++) assert_true(fabs(ladj[k] + inverse[k]) < (real == 8 ? 1e-8 : 2e-3) * fmax(1, fabs(ladj[k])));
      free(x), free(context);
      drop(&r);
    }
}

/* log|det| by elimination */
static double log_det(double *a, int64_t n) {
  double sum = 0;
  for (int64_t k = 0; k < n; k++) {
    int64_t pivot = k;
    for (int64_t i = k + 1; i < n; i++)
      if (fabs(a[i * n + k]) > fabs(a[pivot * n + k])) pivot = i;
    for (int64_t j = 0; j < n; j++) {
      const double t = a[k * n + j];
      a[k * n + j] = a[pivot * n + j], a[pivot * n + j] = t;
    }
    sum += log(fabs(a[k * n + k]));
    for (int64_t i = k + 1; i < n; i++)
      for (int64_t j = n - 1; j >= k; j--) a[i * n + j] -= a[i * n + k] / a[k * n + k] * a[k * n + j];
  }
  return sum;
}

static void log_determinants(void **state) {
  (void)state;
  for (size_t i = 0; i < RH_COUNT_OF(subjects); i++) {
    rig r = make(&subjects[i], 8, 0.15);
    const int64_t d = r.flow->columns;
    double *x = probe_random(d, 1, -2, 2), context[2] = {0.3, -0.8}, a[MOST * MOST], column[MOST], ladj, z[MOST];
    rh_graph g;
    PROBE_OK(rh_graph_init(&g, &r.flow->leaves));
    rh_val vx = input(&g, d), vc = input(&g, r.flow->context), vz, vl, v;
    rh_flow_encode(r.flow, &g, vx, vc, RH_NONE, &vz, &vl);
    run(&r, &g, 1, 1, x, context, vz, z, as_row(&g, vl), &ladj);
    for (int64_t j = 0; j < d; j++) {
      double unit[MOST] = {0};
      unit[j] = 1;
      const rh_val t = rh_const_values(&g, rh_shape1(d), unit);
      PROBE_OK(rh_jvp(&g, 1, &vx, &t, 1, &vz, &v));
      run(&r, &g, 1, 1, x, context, rh_add(&g, rh_fill(&g, rh_shape1(d), 0), v), column, RH_NONE, NULL);
      for (int64_t k = 0; k < d; k++) a[k * d + j] = column[k];
    }
    const double want = log_det(a, d);
    if (!(fabs(ladj - want) < 1e-8 * fmax(1, fabs(want)))) fail_msg("%s %zu: %.12g, should be %.12g", subjects[i].arch, i, ladj, want);
    rh_graph_free(&g);
    free(x);
    drop(&r);
  }
}

static void samples_carry_their_log_density(void **state) {
  (void)state;
  for (size_t i = 0; i < RH_COUNT_OF(subjects); i++) {
    rig r = make(&subjects[i], 8, 0.1);
    const int64_t n = r.flow->base_noise, d = r.flow->columns;
    double *u = probe_random(ROWS * n, 1, 0, 1), *context = probe_random(ROWS * 2, 2, -1, 1), x[ROWS * MOST], with[ROWS], again[ROWS];
    rh_graph g;
    PROBE_OK(rh_graph_init(&g, &r.flow->leaves));
    rh_val vu = input(&g, n), vc = input(&g, r.flow->context), vx, vl;
    rh_flow_sample(r.flow, &g, vu, vc, 0.8, &vx, &vl);
    run(&r, &g, ROWS, 2, u, context, vx, x, vl, with);
    rh_graph_free(&g);
    PROBE_OK(rh_graph_init(&g, &r.flow->leaves));
    vx = input(&g, d), vc = input(&g, r.flow->context);
    run(&r, &g, ROWS, 2, x, context, rh_flow_log_prob(r.flow, &g, vx, vc, RH_NONE), again, RH_NONE, NULL);
    rh_graph_free(&g);
    for (int k = 0; k < ROWS; k++)
      if (!(fabs(with[k] - again[k]) < 1e-9 * fmax(1, fabs(again[k])))) fail_msg("%zu: %.17g beside %.17g", i, with[k], again[k]);
    free(u), free(context);
    drop(&r);
  }
}

/* ---- bits ---- */

static void a_row_alone_has_its_bits(void **state) {
  (void)state;
  for (size_t i = 0; i < RH_COUNT_OF(subjects); i++)
    for (int real = 4; real <= 8; real += 4) {
      rig r = make(&subjects[i], real, 0.1);
      const int64_t d = r.flow->columns;
      double *x = probe_random(ROWS * d, 1, -2, 2), *context = probe_random(ROWS * 2, 2, -1, 1), z[ROWS * MOST], one[MOST], ladj[ROWS], l;
      for (int way = 0; way < 2; way++) {
        code(&r, way == 0, ROWS, 3, x, context, z, ladj);
        for (int k = 0; k < ROWS; k += 7) {
          code(&r, way == 0, 1, 1, x + k * d, context + 2 * k, one, &l);
          assert_memory_equal(one, z + k * d, (size_t)d * sizeof *one);
          assert_memory_equal(&l, ladj + k, sizeof l);
        }
      }
      free(x), free(context);
      drop(&r);
    }
}

/* Every parameter's gradient, one after the other; gives the bytes that activations of a row take. */
static int64_t gradients(const rig *r, rh_memory memory, const double *x, const double *context, double *out) {
  const rh_flow *f = r->flow;
  const int n = (int)f->leaves.n;
  rh_graph g;
  PROBE_OK(rh_graph_init(&g, &f->leaves));
  const rh_val vx = input(&g, f->columns), vc = input(&g, f->context);
  const rh_val loss = rh_flow_log_prob(f, &g, vx, vc, RH_NONE);
  rh_val *wrt = malloc((size_t)n * sizeof *wrt), *grad = malloc((size_t)n * sizeof *grad);
  for (int l = 0; l < n; l++) wrt[l] = rh_leaf_val(&g, l);
  PROBE_OK(rh_graph_status(&g));
  PROBE_OK(rh_vjp(&g, 1, &loss, NULL, n, wrt, grad, memory));
  int wanted = 0;
  for (int l = 0; l < n; l++)
    if (!rh_is_none(grad[l])) grad[wanted++] = grad[l];
  const rh_plan_options options = {.real_bytes = r->values.real_bytes, .max_rows = 4096};
  rh_plan *plan;
  rh_plan_info info;
  PROBE_OK(rh_plan_create(&g, 0, NULL, wanted, grad, &options, &plan));
  rh_plan_describe(plan, &info);
  rh_plan_destroy(plan);
  int64_t used = 0;
  for (int first = 0; first < wanted; first += PROBE_MAX) {
    probe p = {.g = &g, .values = &r->values, .real_bytes = r->values.real_bytes, .rows = ROWS, .threads = 2, .input = {x, context}};
    for (int l = first; l < wanted && p.n_param < PROBE_MAX; l++) {
      p.param_val[p.n_param] = grad[l], p.param_out[p.n_param++] = out + used;
      used += rh_count(&g, grad[l]);
    }
    probe_run(&p);
  }
  rh_graph_free(&g);
  free(wrt), free(grad);
  return info.local_bytes_row + info.wide_bytes_row;
}

static void recomputing_changes_no_bit(void **state) {
  (void)state;
  for (size_t i = 0; i < RH_COUNT_OF(subjects); i++)
    for (int real = 4; real <= 8; real += 4) {
      rig r = make(&subjects[i], real, 0.1);
      const int64_t d = r.flow->columns, n = r.flow->leaves.params;
      double *x = probe_random(ROWS * d, 1, -2, 2), *context = probe_random(ROWS * 2, 2, -1, 1), *a = calloc((size_t)n, sizeof *a),
             *b = calloc((size_t)n, sizeof *b);
      gradients(&r, RH_KEEP, x, context, a);
      gradients(&r, RH_RECOMPUTE, x, context, b);
      for (int64_t k = 0; k < n; k++)
        if (memcmp(a + k, b + k, sizeof *a) != 0)
          fail_msg("%s %zu: number %lld: %.17g, %.17g", subjects[i].arch, i, (long long)k, b[k], a[k]);
      double size = 0;
      for (int64_t k = 0; k < n; k++) size += fabs(a[k]);
      assert_true(size > 1);
      free(x), free(context), free(a), free(b);
      drop(&r);
    }
}

/* Steps of the inner levels are recomputed too: activations do not grow with them as they do when kept. */
static void recomputing_saves_memory_at_every_level(void **state) {
  (void)state;
  static const rh_image_shape image = {8, 8, 1};
  int64_t bytes[2][2];
  for (int deep = 0; deep < 2; deep++)
    for (int m = 0; m < 2; m++) {
      const subject s = {"glow", deep ? "{\"levels\":3,\"hidden\":16,\"steps\":8}" : "{\"levels\":3,\"hidden\":16,\"steps\":2}", image, 0};
      rig r = make(&s, 4, 0.1);
      double *x = probe_random(ROWS * 64, 1, -2, 2), *out = calloc((size_t)r.flow->leaves.params, sizeof *out);
      bytes[deep][m] = gradients(&r, m ? RH_RECOMPUTE : RH_KEEP, x, NULL, out);
      free(x), free(out);
      drop(&r);
    }
  const double kept = (double)(bytes[1][0] - bytes[0][0]), again = (double)(bytes[1][1] - bytes[0][1]);
  if (!(kept > 0 && again < 0.1 * kept)) fail_msg("six steps a level more take %g bytes kept, %g recomputed", kept, again);
}

/* ---- starts ---- */

/* Applies b to x; of every ActNorm in it, mean and variance of the outputs' channels. */
static rh_val walk(const rig *r, const rh_bijection *b, rh_graph *g, rh_val x, rh_val c, const double *data, const double *context,
                   int64_t rows, int *found) {
  rh_bijection *const *parts;
  rh_val y = x, ladj;
  const int64_t n = rh_bijection_parts(b, &parts);
  for (int64_t i = 0; i < n; i++) y = walk(r, parts[i], g, y, c, data, context, rows, found);
  if (b->type->parts) return y;
  if (rh_bijection_within(b)) walk(r, rh_bijection_within(b), g, b->type->within_input(b, g, x), c, data, context, rows, found);
  rh_forward(b, g, x, c, RH_NONE, &y, &ladj);
  if (strcmp(b->type->type, "actnorm") != 0) return y;
  const int64_t d = rh_count(g, y), channels = b->in.dim[2];
  double *out = malloc((size_t)(rows * d) * sizeof *out);
  run(r, g, rows, 1, data, context, y, out, RH_NONE, NULL);
  for (int64_t k = 0; k < channels; k++) {
    double mean = 0, square = 0;
    const double of = (double)(rows * d / channels);
    for (int64_t j = k; j < rows * d; j += channels) mean += out[j] / of, square += out[j] * out[j] / of;
    if (!(fabs(mean) < 1e-4 && fabs(square - 1) < 1e-3))
      fail_msg("ActNorm %d, channel %d: mean %g, square %g", *found, (int)k, mean, square);
  }
  free(out);
  ++*found;
  return y;
}

static void starts_are_of_every_level(void **state) {
  (void)state;
  enum { N = 60 };
  static const struct {
    subject s;
    int actnorms;
  } cases[] = {{{"glow", "{\"levels\":3," SMALL_GLOW "}", {8, 8, 1}, 2}, 6},
               {{"realnvp-image", "{\"levels\":2,\"blocks\":1,\"prior\":true," SMALL_GLOW "}", {8, 4, 2}, 0}, 10}};
  for (size_t i = 0; i < RH_COUNT_OF(cases); i++)
    for (int real = 4; real <= 8; real += 4) {
      rig r = make(&cases[i].s, real, 0.2);
      rh_pool *pool;
      double *x = probe_random(N * 64, 1, -1, 5), *context = probe_random(N * 2, 2, -1, 1);
      PROBE_OK(rh_pool_create(2, &pool));
      PROBE_OK(rh_flow_warm_up(r.flow, &r.values, pool, N, x, cases[i].s.context ? context : NULL, 5));
      rh_graph g;
      PROBE_OK(rh_graph_init(&g, &r.flow->leaves));
      const rh_val vx = input(&g, 64), vc = input(&g, r.flow->context);
      int found = 0;
      walk(&r, r.flow->body, &g, vx, vc, x, context, N, &found);
      assert_int_equal(found, cases[i].actnorms);
      rh_graph_free(&g);
      rh_pool_destroy(pool);
      free(x), free(context);
      drop(&r);
    }
}

/* ---- classes ---- */

/* The density and what leaves at every level depend on the class, from the start of the context's maps on. */
static void classes_matter(void **state) {
  (void)state;
  const subject s = {"glow", "{\"levels\":2,\"actnorm\":false,\"hidden\":6,\"steps\":1}", {4, 4, 1}, 2};
  rig r = make(&s, 8, 0.2);
  double *x = probe_random(16, 1, -2, 2), z[2][MOST], ladj;
  code(&r, true, 1, 1, x, (double[]){1, 0}, z[0], &ladj);
  code(&r, true, 1, 1, x, (double[]){0, 1}, z[1], &ladj);
  for (int k = 0; k < 16; k++) assert_true(z[0][k] != z[1][k]);
  assert_true(rh_leaf_find(&r.flow->leaves, "flow.1.2.part.net.context.weight") < 0);
  assert_true(rh_leaf_find(&r.flow->leaves, "flow.1.3.net.context.weight") >= 0); /* of the prior of what leaves */
  free(x);
  drop(&r);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(sizes_are_those_of_the_papers),
      cmocka_unit_test(defaults_go_by_the_image),
      cmocka_unit_test(defaults_go_by_the_time),
      cmocka_unit_test(exact_at_any_size),
      cmocka_unit_test(errors_are_named),
      cmocka_unit_test(round_trips),
      cmocka_unit_test(log_determinants),
      cmocka_unit_test(samples_carry_their_log_density),
      cmocka_unit_test(a_row_alone_has_its_bits),
      cmocka_unit_test(recomputing_changes_no_bit),
      cmocka_unit_test(recomputing_saves_memory_at_every_level),
      cmocka_unit_test(starts_are_of_every_level),
      cmocka_unit_test(classes_matter),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
