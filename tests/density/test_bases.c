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

static void run_one(const rh_graph *g, const rig *r, int64_t rows, const double *in, rh_val v, double *out) {
  probe p = {.g = g, .values = &r->values, .real_bytes = r->values.real_bytes, .rows = rows, .input = {in}, .n_row = 1, .row_out = {out}};
  p.row_val[0] = v;
  probe_run(&p);
}

/* d log p / d z */
static void slope(const rig *r, int64_t rows, const double *z, double *out) {
  rh_graph g;
  PROBE_OK(rh_graph_init(&g, &r->leaves));
  const rh_val x = rh_input(&g, r->base->shape), y = rh_add(&g, rh_base_log_prob(r->base, &g, x, RH_NONE), rh_fill(&g, rh_shape1(1), 0));
  rh_val grad;
  PROBE_OK(rh_vjp(&g, 1, &y, NULL, 1, &x, &grad, RH_KEEP));
  run_one(&g, r, rows, z, rh_add_maybe(&g, rh_fill(&g, r->base->shape, 0), grad), out);
  rh_graph_free(&g);
}

/* Against mpmath, 50 digits; as far out as float32 reaches, and for degrees of freedom where log-gammas are in the millions. */
static void the_students(void **state) {
  (void)state;
  static const struct {
    double df, z, log_prob;
  } exact[] = {
      {1, 0.0, -1.14472988584940017},
      {1, 1.0, -1.83787706640934548},
      {3, -2.5, -3.25291137533595798},
      {8, 0.75, -1.2558865907385157},
      {8, -1000000.0, -115.932216696305436},
      {1.5, 0x1.c6bf520000000p+49, -86.9167598544511583},
      {8, 0x1.4d11200000000p+61, -374.498916990241665},
      {100, 4.0, -8.4166487500158051},
      {1000000.0, 2.0, -2.91893678321133939},
      {8, 0x1.c363cc0000000p+127, -788.964234093060848},
      {8, -0x1.c363cc0000000p+127, -788.964234093060848},
  };
  for (size_t i = 0; i < RH_COUNT_OF(exact); i++)
    for (int real = 4; real <= 8; real += 4) {
      char spec[100];
      snprintf(spec, sizeof spec, "{\"type\":\"student-t\",\"learn\":false,\"df\":%.17g}", exact[i].df);
      rig r = make(spec, 1, real);
      double got, steep;
      log_prob(&r, 1, &exact[i].z, &got);
      slope(&r, 1, &exact[i].z, &steep);
      if (!(fabs(got - exact[i].log_prob) <= (real == 8 ? 4e-16 : 2.5e-7) * fmax(2, fabs(exact[i].log_prob))))
        fail_msg("df %g, z %g, %d bytes: %.17g, not %.17g", exact[i].df, exact[i].z, real, got, exact[i].log_prob);
      const double z = exact[i].z, want = z ? -(exact[i].df + 1) / (exact[i].df / z + z) : 0;
      if (!(fabs(steep - want) <= (real == 8 ? 1e-15 : 1e-6) * fmax(fabs(want), 1e-30)))
        fail_msg("df %g, z %g, %d bytes: slope %.17g, not %.17g", exact[i].df, z, real, steep, want);
      drop(&r);
    }
}

/* Learned degrees of freedom start where they are told to. */
static void a_students_start(void **state) {
  (void)state;
  rig learned = make("{\"type\":\"student-t\",\"df\":[0.75,8,300]}", 3, 8),
      fixed = make("{\"type\":\"student-t\",\"df\":[0.75,8,300],\"learn\":false}", 3, 8);
  const double z[6] = {1, 2, 3, -40, 0.1, 7};
  double a[2], b[2];
  rh_values_init(&learned.leaves, 1, &learned.values);
  log_prob(&learned, 2, z, a);
  log_prob(&fixed, 2, z, b);
  for (int i = 0; i < 2; i++) assert_true(fabs(a[i] - b[i]) < 1e-13 * fabs(b[i]));
  assert_int_equal(fixed.leaves.n, 0);
  drop(&learned), drop(&fixed);
}

/* Ends included, -inf behind them, a NaN stays one; no gradient anywhere. */
static void the_uniform(void **state) {
  (void)state;
  for (int real = 4; real <= 8; real += 4) {
    rig r = make("{\"type\":\"uniform\",\"low\":[-1,2],\"high\":[1,6]}", 2, real);
    const double z[16] = {-1, 2, 1, 6, 0, 3, 1.0000002, 3, 0, 1.9999998, 1e38, -1e38, NAN, 3, INFINITY, 3};
    double got[8], steep[16];
    log_prob(&r, 8, z, got);
    slope(&r, 8, z, steep);
    for (int k = 0; k < 3; k++) assert_true(fabs(got[k] + log(8)) < (real == 8 ? 1e-15 : 2e-7));
    for (int k = 3; k < 8; k++) assert_true(k == 6 ? isnan(got[k]) : got[k] == -INFINITY);
    for (int k = 0; k < 16; k++) assert_true(steep[k] == 0);
    const double u[4] = {1 - 0x1p-24, 0x1p-24, 0x1p-24, 1 - 0x1p-24}; /* whatever is drawn lies inside */
    double x[4];
    sample(&r, 2, 1, u, x);
    log_prob(&r, 2, x, got);
    assert_true(isfinite(got[0]) && isfinite(got[1]));
    drop(&r);
  }
}

/* Where every component has underflown, its log still says which is nearest; then -inf, never NaN; gradients finite. */
static void a_mixture_far_out(void **state) {
  (void)state;
  for (int real = 4; real <= 8; real += 4) {
    rig r = make("{\"type\":\"mixture\",\"components\":5}", 2, real);
    const double z[8] = {300, -300, 1e10, 0, 1e18, 1e18, 3e38, -3e38};
    double got[4], steep[8];
    log_prob(&r, 4, z, got);
    slope(&r, 4, z, steep);
    for (int k = 0; k < 2; k++) {
      double best = -INFINITY;
      for (int c = 0; c < 5; c++) {
        double one = value(&r, "base.logits", c) - 2 * HALF_LOG_TWO_PI, all = 0;
        for (int i = 0; i < 5; i++) all += exp(value(&r, "base.logits", i));
        for (int i = 0; i < 2; i++) {
          const double s = value(&r, "base.log_scales", 2 * c + i), u = (z[2 * k + i] - value(&r, "base.means", 2 * c + i)) / exp(s);
          one -= s + u * u / 2;
        }
        best = fmax(best, one - log(all));
      }
      assert_true(fabs(got[k] - best) < (real == 8 ? 1e-13 : 2e-6) * fabs(best));
    }
    assert_true(got[2] < -1e35 && isfinite(got[2]));
    assert_true(real == 8 ? got[3] < -1e75 && isfinite(got[3]) : got[3] == -INFINITY);
    for (int i = 0; i < 6; i++) assert_true(isfinite(steep[i]));
    drop(&r);
  }
}

/* Every uniform falls on one component, the edges' too. */
static void picking(void **state) {
  (void)state;
  enum { K = 5, N = 2000 };
  rig r = make("{\"type\":\"mixture\",\"components\":5}", 1, 4);
  double *u = calloc(2 * N, 8), *z = calloc(N, 8), w[K], sum = 0, counted[K] = {0};
  for (int c = 0; c < K; c++) {
    sum += w[c] = exp(value(&r, "base.logits", c));
    rh_values_set(&r.leaves, &r.values, rh_leaf_find(&r.leaves, "base.log_scales"), c, -80); /* a sample is its component's mean */
    rh_values_set(&r.leaves, &r.values, rh_leaf_find(&r.leaves, "base.means"), c, c);
  }
  for (int i = 0; i < N; i++) u[2 * i] = i == N - 1 ? 1 - 0x1p-24 : i ? (double)i / N : 0x1p-24, u[2 * i + 1] = 0.3;
  sample(&r, N, 1, u, z);
  for (int i = 0; i < N; i++) {
    z[i] = fabs(z[i]) < 1e-30 ? 0 : z[i];
    assert_true(z[i] == floor(z[i]) && z[i] >= 0 && z[i] < K && (!i || z[i] >= z[i - 1]));
    counted[(int)z[i]]++;
  }
  for (int c = 0; c < K; c++) assert_true(fabs(counted[c] / N - w[c] / sum) < 1.5 / N);
  free(u), free(z);
  drop(&r);
}

/* ---- normal scores ---- */

static void scores_of(const rig *r, int64_t rows, const double *z, double *u, double *norm) {
  rh_base_scores(r->base, &r->leaves, &r->values, rows, rh_shape_count(&r->base->shape), z, u, norm);
}

/* Excess kurtosis of a column, centred. */
static double kurtosis_of(int64_t n, int64_t d, int64_t column, const double *u) {
  double mean = 0, second = 0, fourth = 0;
  for (int64_t i = 0; i < n; i++) mean += u[i * d + column] / (double)n;
  for (int64_t i = 0; i < n; i++) {
    const double x = u[i * d + column] - mean;
    second += x * x / (double)n, fourth += x * x * x * x / (double)n;
  }
  return fourth / second / second - 3;
}

static double correlation(int64_t n, int64_t d, int64_t a, int64_t b, const double *u) {
  double sum = 0;
  for (int64_t i = 0; i < n; i++) sum += u[i * d + a] * u[i * d + b] / (double)n;
  return sum;
}

static const char *const every_base[] = {
    "{}",
    "{\"learn\":true}",
    "{\"type\":\"full-normal\"}",
    "{\"type\":\"student-t\",\"df\":[0.75,3,300],\"learn\":false}",
    "{\"type\":\"student-t\",\"affine\":true}",
    "{\"type\":\"uniform\",\"low\":[-1,2,0],\"high\":[1,6,1e-3]}",
    "{\"type\":\"mixture\",\"components\":4,\"spread\":3}",
};

/* Codes that a base has drawn have standard normal, uncorrelated scores: mean, variance, distribution function, kurtosis (standard error
 * sqrt(24 / n) = 0.035), and a mean norm of d (standard error sqrt(2 d / n); the mixture's varies less). */
static void scores_of_samples_are_normal(void **state) {
  (void)state;
  enum { N = 20000, D = 3 };
  double *noise = probe_random(2 * N * D, 3, 0, 1), *z = malloc(N * D * sizeof *z), *u = malloc(N * D * sizeof *u);
  double *norm = malloc(N * sizeof *norm);
  for (size_t k = 0; k < RH_COUNT_OF(every_base); k++)
    for (int real = 4; real <= 8; real += 4) {
      rig r = make(every_base[k], D, real);
      double mean = 0;
      sample(&r, N, 1, noise, z);
      scores_of(&r, N, z, u, norm);
      for (int64_t i = 0; i < D; i++) {
        check_standard(N, D, i, u);
        if (!(fabs(kurtosis_of(N, D, i, u)) < 4 * sqrt(24. / N))) fail_msg("%s: kurtosis %g", every_base[k], kurtosis_of(N, D, i, u));
        for (int64_t j = 0; j < i; j++) assert_true(fabs(correlation(N, D, i, j, u)) < 4 / sqrt(N));
      }
      for (int i = 0; i < N; i++) mean += norm[i] / N;
      if (!(fabs(mean - D) < 4 * sqrt(2. * D / N))) fail_msg("%s: mean norm %g", every_base[k], mean);
      drop(&r);
    }
  free(noise), free(z), free(u), free(norm);
}

/* Codes with heavier tails than the base are seen: by their kurtosis, and by norms that are too large. */
static void scores_of_heavier_codes_are_not(void **state) {
  (void)state;
  enum { N = 20000 };
  double *noise = probe_random(2 * N, 4, 0, 1), *z = malloc(N * sizeof *z), *u = malloc(N * sizeof *u), *norm = malloc(N * sizeof *norm);
  rig heavy = make("{\"type\":\"student-t\",\"df\":2,\"learn\":false}", 1, 8),
      base = make("{\"type\":\"student-t\",\"df\":8,\"learn\":false}", 1, 8);
  double mean = 0;
  sample(&heavy, N, 1, noise, z);
  scores_of(&base, N, z, u, norm);
  for (int i = 0; i < N; i++) mean += norm[i] / N;
  assert_true(kurtosis_of(N, 1, 0, u) > 1 && mean > 1.5);
  drop(&heavy), drop(&base);
  free(noise), free(z), free(u), free(norm);
}

/* Far out a score is a number with its digits, it ascends with the code, and its sign is the code's; the density's log tells how large it
 * must be: -log p = u^2 / 2 + O(log). */
static void scores_far_out(void **state) {
  (void)state;
  for (size_t k = 0; k < RH_COUNT_OF(every_base); k++) {
    if (strstr(every_base[k], "uniform")) continue;
    const bool several = strstr(every_base[k], "[0.75") != NULL;
    rig r = make(several ? "{\"type\":\"student-t\",\"df\":0.75,\"learn\":false}" : every_base[k], 1, 8);
    double before = 0;
    for (double far = 10; far < 2e30; far *= 10) {
      const double z[2] = {far, -far};
      double u[2], norm[2], p[2];
      scores_of(&r, 2, z, u, norm);
      assert_true(isfinite(u[0]) && isfinite(u[1]) && u[0] > before && u[1] < 0 && isfinite(norm[0]) && isfinite(norm[1]));
      log_prob(&r, 2, z, p);
      if (far > 1e4) assert_true(norm[0] > 0.3 * -p[0] && norm[0] < 2.2 * -p[0]);
      before = u[0];
    }
    const double odd[1] = {NAN};
    double u, norm;
    scores_of(&r, 1, odd, &u, &norm);
    assert_true(isnan(u) && isnan(norm));
    drop(&r);
  }
  rig box = make("{\"type\":\"uniform\",\"low\":-1,\"high\":1}", 1, 4);
  const double edge[6] = {-1, 1, -1.5, 1e30, 0, NAN};
  double u[6], norm[6];
  scores_of(&box, 6, edge, u, norm);
  assert_true(u[0] < -5 && isfinite(u[0]) && u[1] == -u[0] && u[2] == -INFINITY && u[3] == INFINITY && fabs(u[4]) < 1e-15 && isnan(u[5]));
  drop(&box);
}

/* A row between two modes of a mixture is far from both, although half of the mixture lies below it. */
static void a_mixture_s_gap_is_far_out(void **state) {
  (void)state;
  rig r = make("{\"type\":\"mixture\",\"components\":2}", 2, 8);
  for (int64_t i = 0; i < 2; i++) rh_values_set(&r.leaves, &r.values, rh_leaf_find(&r.leaves, "base.logits"), i, 0);
  for (int64_t i = 0; i < 4; i++) {
    rh_values_set(&r.leaves, &r.values, rh_leaf_find(&r.leaves, "base.means"), i, i < 2 ? -8 : 8);
    rh_values_set(&r.leaves, &r.values, rh_leaf_find(&r.leaves, "base.log_scales"), i, 0);
  }
  const double z[4] = {0, 0, 9, 8};
  double u[4], norm[2];
  scores_of(&r, 2, z, u, norm);
  assert_true(fabs(u[0]) < 1e-12 && fabs(norm[0] - 128) < 1e-10); /* 8^2 + 8^2 from either */
  assert_true(fabs(norm[1] - 1) < 1e-10);
  drop(&r);
}

static void specifications(void **state) {
  (void)state;
  static const char *const cases[][2] = {{"{\"type\":\"nromal\"}", "did you mean 'normal'"},
                                         {"{\"learn\":1}", "base.learn"},
                                         {"{\"type\":\"full-normal\",\"learn\":true}", "unknown key 'learn'"},
                                         {"{\"type\":\"full-normal\",\"bound\":1000}", "base.bound"},
                                         {"{\"type\":\"student-t\",\"df\":0.1}", "base.df"},
                                         {"{\"type\":\"student-t\",\"df\":[3,4]}", "2 numbers, there must be 3"},
                                         {"{\"type\":\"uniform\",\"low\":2}", "base.high: column 0"},
                                         {"{\"type\":\"mixture\",\"components\":0}", "base.components"},
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
  assert_int_equal(n, 5);
  assert_string_equal(types[0]->type, "normal");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(the_standard_normal),
      cmocka_unit_test(extremes),
      cmocka_unit_test(the_learned_diagonal),
      cmocka_unit_test(the_full_normal),
      cmocka_unit_test(samples_have_their_distribution),
      cmocka_unit_test(the_students),
      cmocka_unit_test(a_students_start),
      cmocka_unit_test(the_uniform),
      cmocka_unit_test(a_mixture_far_out),
      cmocka_unit_test(picking),
      cmocka_unit_test(scores_of_samples_are_normal),
      cmocka_unit_test(scores_of_heavier_codes_are_not),
      cmocka_unit_test(scores_far_out),
      cmocka_unit_test(a_mixture_s_gap_is_far_out),
      cmocka_unit_test(specifications),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
