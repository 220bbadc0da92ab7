/* Base distributions against closed forms; samples by their moments and their distribution function. */
#define _XOPEN_SOURCE 700
#include "base/memory.h"
#include "density/flow.h"
#include "support/probe.h"

static const double HALF_LOG_TWO_PI = 0.91893853320467274178;

typedef struct rig {
  rh_leaves leaves;
  rh_values values;
  rh_base *base;
} rig;

static rig make(const char *spec, int64_t d, int real_bytes) {
  rig r = {0};
  const rh_build build = {&r.leaves, "base", 0};
  json_t *json = NULL;
  PROBE_OK(rh_json_parse(spec, strlen(spec), "test", &json));
  PROBE_OK(rh_base_create(&build, json, "base", rh_shape1(d), &r.base));
  json_decref(json);
  PROBE_OK(rh_values_create(&r.leaves, real_bytes, &r.values));
  rh_values_init(&r.leaves, 1, &r.values);
  for (int l = 0; l < r.leaves.n; l++) {
    double *x = probe_random(r.leaves.leaf[l].count, 60 + (uint64_t)l, -0.8, 0.8);
    for (int64_t i = 0; i < r.leaves.leaf[l].count; i++) rh_values_set(&r.leaves, &r.values, l, i, x[i]);
    free(x);
  }
  return r;
}

static void drop(rig *r) {
  rh_base_destroy(r->base);
  rh_values_free(&r->values);
  rh_leaves_free(&r->leaves);
}

static void log_prob(const rig *r, int64_t rows, const double *z, double *out) {
  rh_graph g;
  PROBE_OK(rh_graph_init(&g, &r->leaves));
  probe p = {.g = &g, .values = &r->values, .real_bytes = r->values.real_bytes, .rows = rows, .input = {z}, .n_row = 1, .row_out = {out}};
  p.row_val[0] = rh_base_log_prob(r->base, &g, rh_input(&g, r->base->shape), RH_NONE);
  PROBE_OK(rh_graph_status(&g));
  probe_run(&p);
  rh_graph_free(&g);
}

static void sample(const rig *r, int64_t rows, double temperature, const double *u, double *out) {
  rh_graph g;
  PROBE_OK(rh_graph_init(&g, &r->leaves));
  probe p = {.g = &g, .values = &r->values, .real_bytes = r->values.real_bytes, .rows = rows, .input = {u}, .n_row = 1, .row_out = {out}};
  p.row_val[0] = rh_base_sample(r->base, &g, rh_input(&g, rh_shape1(r->base->noise)), RH_NONE, temperature);
  PROBE_OK(rh_graph_status(&g));
  probe_run(&p);
  rh_graph_free(&g);
}

static double value(const rig *r, const char *name, int64_t i) {
  const int leaf = rh_leaf_find(&r->leaves, name);
  assert_true(leaf >= 0);
  return rh_values_get(&r->leaves, &r->values, leaf, i);
}

static void the_standard_normal(void **state) {
  (void)state;
  for (int real = 4; real <= 8; real += 4) {
    rig r = make("{}", 3, real);
    const double z[9] = {0, 0, 0, 1, -2, 0.5, -3, 3, 10};
    double got[3];
    log_prob(&r, 3, z, got);
    for (int k = 0; k < 3; k++) {
      double want = -3 * HALF_LOG_TWO_PI;
      for (int i = 0; i < 3; i++) want -= 0.5 * z[3 * k + i] * z[3 * k + i];
      assert_true(fabs(got[k] - want) < (real == 8 ? 1e-14 : 3e-7) * fabs(want));
    }
    drop(&r);
  }
}

/* Finite as far as the result is one of the precision's numbers; then -inf, never NaN. */
static void extremes(void **state) {
  (void)state;
  rig r = make("{}", 1, 4);
  const double z[4] = {2.5e19, -2.6e19, 3e19, 3e38};
  double got[4];
  log_prob(&r, 4, z, got);
  assert_true(got[0] < -3.1e38 && isfinite(got[0]) && got[1] < -3.3e38 && isfinite(got[1]));
  assert_true(got[2] == -INFINITY && got[3] == -INFINITY);
  drop(&r);
}

static void the_learned_diagonal(void **state) {
  (void)state;
  rig r = make("{\"type\":\"normal\",\"learn\":true}", 3, 8);
  const double z[3] = {0.3, -2, 1};
  double got, want = 0;
  log_prob(&r, 1, z, &got);
  for (int i = 0; i < 3; i++) {
    const double s = value(&r, "base.log_scale", i), u = (z[i] - value(&r, "base.mean", i)) / exp(s);
    want -= HALF_LOG_TWO_PI + s + 0.5 * u * u;
  }
  assert_true(fabs(got - want) < 1e-14);
  drop(&r);
}

/* A from its packed numbers, as documented: lower, row by row; the diagonal exp(bound tanh(raw / bound)). */
static void factor_of(const rig *r, int d, double bound, double *a) {
  int next = 0;
  for (int i = 0; i < d; i++)
    for (int j = 0; j < d; j++)
      a[i * d + j] = j < i ? value(r, "base.lower", next++) : j == i ? exp(bound * tanh(value(r, "base.log_diagonal", i) / bound)) : 0;
}

static void the_full_normal(void **state) {
  (void)state;
  enum { D = 4 };
  rig r = make("{\"type\":\"full-normal\"}", D, 8);
  const double z[D] = {0.3, -2, 1, 0.7};
  double a[D * D], got, want = -D * HALF_LOG_TWO_PI;
  log_prob(&r, 1, z, &got);
  factor_of(&r, D, 10, a);
  for (int i = 0; i < D; i++) {
    double u = 0;
    for (int j = 0; j <= i; j++) u += a[i * D + j] * (z[j] - value(&r, "base.mean", j));
    want += log(a[i * D + i]) - 0.5 * u * u;
  }
  assert_true(fabs(got - want) < 1e-13);
  drop(&r);
  r = make("{\"type\":\"full-normal\"}", 1, 8);
  log_prob(&r, 1, z, &got);
  const double s = 10 * tanh(value(&r, "base.log_diagonal", 0) / 10), u = exp(s) * (z[0] - value(&r, "base.mean", 0));
  assert_true(fabs(got - (s - 0.5 * u * u - HALF_LOG_TWO_PI)) < 1e-14);
  drop(&r);
}

/* Samples whitened by the closed form are standard normal: mean, variance and largest distance of the distribution functions (Kolmogorov &
 * Smirnov: 1.95 / sqrt n is passed once in a thousand; the key is fixed). */
static void check_standard(int64_t n, int64_t d, int64_t column, const double *u) {
  double mean = 0, square = 0, *sorted = malloc((size_t)n * sizeof *sorted), far = 0;
  for (int64_t r = 0; r < n; r++) {
    const double x = u[r * d + column];
    mean += x / (double)n;
    square += x * x / (double)n;
    sorted[r] = x;
  }
  for (int64_t gap = n / 2; gap; gap /= 2) /* Shell 1959 */
    for (int64_t i = gap; i < n; i++)
      for (int64_t j = i; j >= gap && sorted[j - gap] > sorted[j]; j -= gap) {
        const double t = sorted[j];
        sorted[j] = sorted[j - gap];
        sorted[j - gap] = t;
      }
  for (int64_t i = 0; i < n; i++) {
    const double cdf = 0.5 * erfc(-sorted[i] * sqrt(0.5));
    far = fmax(far, fmax(fabs(cdf - (double)i / (double)n), fabs(cdf - (double)(i + 1) / (double)n)));
  }
  free(sorted);
  assert_true(fabs(mean) < 4 / sqrt((double)n));
  assert_true(fabs(square - 1) < 4 * sqrt(2.0 / (double)n));
  assert_true(far < 1.95 / sqrt((double)n));
}

static void samples_have_their_distribution(void **state) {
  (void)state;
  enum { N = 20000, D = 3 };
  static const char *const specs[] = {"{}", "{\"learn\":true}", "{\"type\":\"full-normal\"}"};
  double *noise = probe_random(N * D, 1, 0, 1), *z = malloc(N * D * sizeof *z), *u = malloc(N * D * sizeof *u);
  for (size_t k = 0; k < RH_COUNT_OF(specs); k++)
    for (int hot = 0; hot < 2; hot++) {
      rig r = make(specs[k], D, 8);
      const double temperature = hot ? 0.5 : 1;
      double a[D * D] = {1, 0, 0, 0, 1, 0, 0, 0, 1}, mean[D] = {0};
      if (k == 2) factor_of(&r, D, 10, a);
      for (int i = 0; i < D && k; i++) mean[i] = value(&r, "base.mean", i);
      for (int i = 0; i < D && k == 1; i++) a[i * D + i] = exp(-value(&r, "base.log_scale", i));
      sample(&r, N, temperature, noise, z);
      for (int64_t row = 0; row < N; row++)
        for (int i = 0; i < D; i++) {
          u[row * D + i] = 0;
          for (int j = 0; j <= i; j++) u[row * D + i] += a[i * D + j] * (z[row * D + j] - mean[j]) / temperature;
        }
      for (int i = 0; i < D; i++) check_standard(N, D, i, u);
      drop(&r);
    }
  free(noise), free(z), free(u);
}

static void specifications(void **state) {
  (void)state;
  static const char *const cases[][2] = {{"{\"type\":\"nromal\"}", "did you mean 'normal'"},
                                         {"{\"learn\":1}", "base.learn"},
                                         {"{\"type\":\"full-normal\",\"learn\":true}", "unknown key 'learn'"},
                                         {"{\"type\":\"full-normal\",\"bound\":1000}", "base.bound"},
                                         {"3", "base: expected an object"}};
  for (size_t i = 0; i < RH_COUNT_OF(cases); i++) {
    rh_leaves leaves = {0};
    const rh_build build = {&leaves, "base", 0};
    rh_base *base = NULL;
    json_t *json = NULL;
    PROBE_OK(rh_json_parse(cases[i][0], strlen(cases[i][0]), "test", &json));
    assert_int_equal(rh_base_create(&build, json, "base", rh_shape1(3), &base), RH_E_SPEC);
    if (!strstr(rh_last_error(), cases[i][1])) fail_msg("%s: '%s' does not say '%s'", cases[i][0], rh_last_error(), cases[i][1]);
    json_decref(json);
    rh_leaves_free(&leaves);
  }
  int n;
  const rh_base_type *const *types = rh_base_types(&n);
  assert_int_equal(n, 2);
  assert_string_equal(types[0]->type, "normal");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(the_standard_normal),
      cmocka_unit_test(extremes),
      cmocka_unit_test(the_learned_diagonal),
      cmocka_unit_test(the_full_normal),
      cmocka_unit_test(samples_have_their_distribution),
      cmocka_unit_test(specifications),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
