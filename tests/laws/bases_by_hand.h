/* Every base in plain C: its density, what it makes of uniforms, and its distribution function. */
#ifndef RH_TESTS_BASES_BY_HAND_H
#define RH_TESTS_BASES_BY_HAND_H
#include "laws/distributions.h"
#include "support/normal.h"

static inline double distribution_leaf(const distribution *d, const char *name, int64_t i, double fallback) {
  const int l = rh_leaf_find(&d->flow->leaves, name);
  return l < 0 ? fallback : rh_values_get(&d->flow->leaves, &d->values, l, i);
}

/* u = A (z - mean), and log|det A|. */
static inline double normal_scale(const distribution *d, int64_t i) {
  return exp(-distribution_leaf(d, "base.log_scale", i, 0));
}
static inline double normal_by_hand(const distribution *d, int64_t n, const double *z, double *u) {
  double sum = 0;
  for (int64_t i = 0; i < n; i++) {
    u[i] = (z[i] - distribution_leaf(d, "base.mean", i, 0)) * normal_scale(d, i);
    sum += log(normal_scale(d, i));
  }
  return sum;
}
static inline void normal_back_by_hand(const distribution *d, int64_t n, const double *u, double *z) {
  for (int64_t i = 0; i < n; i++) z[i] = u[i] / normal_scale(d, i) + distribution_leaf(d, "base.mean", i, 0);
}

static inline double full_entry(const distribution *d, int64_t i, int64_t j) {
  const double bound = json_number_value(json_object_get(d->flow->base->spec, "bound"));
  if (i != j) return distribution_leaf(d, "base.lower", i * (i - 1) / 2 + j, NAN);
  return exp(bound * tanh(distribution_leaf(d, "base.log_diagonal", i, NAN) / bound));
}
static inline double full_by_hand(const distribution *d, int64_t n, const double *z, double *u) {
  double sum = 0;
  for (int64_t i = 0; i < n; i++) {
    u[i] = 0;
    for (int64_t j = 0; j <= i; j++) u[i] += full_entry(d, i, j) * (z[j] - distribution_leaf(d, "base.mean", j, NAN));
    sum += log(full_entry(d, i, i));
  }
  return sum;
}
static inline void full_back_by_hand(const distribution *d, int64_t n, const double *u, double *z) {
  double centred[DISTRIBUTION_WIDTH];
  for (int64_t i = 0; i < n; i++) {
    double sum = u[i];
    for (int64_t j = 0; j < i; j++) sum -= full_entry(d, i, j) * centred[j];
    centred[i] = sum / full_entry(d, i, i);
    z[i] = centred[i] + distribution_leaf(d, "base.mean", i, NAN);
  }
}

/* ---- maps of a standard normal ---- */

typedef double base_map(const distribution *d, int64_t n, const double *z, double *u);
typedef void base_map_back(const distribution *d, int64_t n, const double *u, double *z);

static inline double mapped_log_prob(const distribution *d, base_map *map, const double *z) {
  double u[DISTRIBUTION_WIDTH], sum = map(d, d->flow->latent, z, u);
  for (int64_t i = 0; i < d->flow->latent; i++) sum -= u[i] * u[i] / 2 + 0.91893853320467274178;
  return sum;
}
static inline void mapped_sample(const distribution *d, base_map_back *back, const double *noise, double temperature, double *z) {
  double u[DISTRIBUTION_WIDTH];
  for (int64_t i = 0; i < d->flow->latent; i++) u[i] = temperature * normal_quantile(noise[i]);
  back(d, d->flow->latent, u, z);
}
static inline void mapped_ranks(const distribution *d, base_map *map, const double *z, double *v) {
  double u[DISTRIBUTION_WIDTH];
  map(d, d->flow->latent, z, u);
  for (int64_t i = 0; i < d->flow->latent; i++) v[i] = normal_cdf(u[i]);
}
static inline double normal_log_prob(const distribution *d, const double *z) {
  return mapped_log_prob(d, normal_by_hand, z);
}
static inline void normal_sample(const distribution *d, const double *noise, double temperature, double *z) {
  mapped_sample(d, normal_back_by_hand, noise, temperature, z);
}
static inline void normal_ranks(const distribution *d, const double *z, double *v) {
  mapped_ranks(d, normal_by_hand, z, v);
}
static inline double full_log_prob(const distribution *d, const double *z) {
  return mapped_log_prob(d, full_by_hand, z);
}
static inline void full_sample(const distribution *d, const double *noise, double temperature, double *z) {
  mapped_sample(d, full_back_by_hand, noise, temperature, z);
}
static inline void full_ranks(const distribution *d, const double *z, double *v) {
  mapped_ranks(d, full_by_hand, z, v);
}

/* ---- Student-t ---- */

/* A number of the specification: one for all columns, or one a column. */
static inline double base_option(const distribution *d, const char *key, int64_t i) {
  const json_t *value = json_object_get(d->flow->base->spec, key);
  return json_number_value(json_is_array(value) ? json_array_get(value, (size_t)i) : value);
}
static inline double student_df(const distribution *d, int64_t i) {
  const double raw = distribution_leaf(d, "base.df", i, NAN);
  return isnan(raw) ? base_option(d, "df", i) : 0.5 + fmax(raw, 0) + log1p(exp(-fabs(raw)));
}
static inline double student_log_prob(const distribution *d, const double *z) {
  double sum = 0;
  for (int64_t i = 0; i < d->flow->latent; i++) {
    const double nu = student_df(d, i), t = (z[i] - distribution_leaf(d, "base.mean", i, 0)) * normal_scale(d, i);
    sum += lgamma((nu + 1) / 2) - lgamma(nu / 2) - log(nu * 3.14159265358979323846) / 2 - (nu + 1) / 2 * log1p(t * t / nu);
    sum += log(normal_scale(d, i));
  }
  return sum;
}
static inline void student_sample(const distribution *d, const double *noise, double temperature, double *z) {
  const int64_t n = d->flow->latent;
  for (int64_t i = 0; i < n; i++) {
    const double nu = student_df(d, i), radius = sqrt(nu * (pow(noise[i], -2 / nu) - 1));
    z[i] = temperature * radius * cos(2 * 3.14159265358979323846 * noise[n + i]) / normal_scale(d, i) +
           distribution_leaf(d, "base.mean", i, 0);
  }
}
/* The regularised incomplete beta function by its continued fraction (DLMF 8.17.22), from behind. */
static inline double incomplete_beta(double x, double a, double b) {
  if (x > (a + 1) / (a + b + 2)) return 1 - incomplete_beta(1 - x, b, a);
  double f = 1;
  for (int i = 500; i >= 1; i--) {
    const double m = i / 2, even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m)),
                 odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1));
    f = 1 + (i % 2 ? odd : even) / f;
  }
  return x > 0 ? exp(a * log(x) + b * log1p(-x) + lgamma(a + b) - lgamma(a) - lgamma(b)) / (a * f) : 0;
}
static inline void student_ranks(const distribution *d, const double *z, double *v) {
  for (int64_t i = 0; i < d->flow->latent; i++) {
    const double nu = student_df(d, i), t = (z[i] - distribution_leaf(d, "base.mean", i, 0)) * normal_scale(d, i);
    const double tail = incomplete_beta(nu / (nu + t * t), nu / 2, 0.5) / 2;
    v[i] = t > 0 ? 1 - tail : tail;
  }
}

/* ---- uniform ---- */

static inline double uniform_log_prob(const distribution *d, const double *z) {
  double sum = 0;
  for (int64_t i = 0; i < d->flow->latent; i++) {
    const double low = base_option(d, "low", i), high = base_option(d, "high", i);
    sum += z[i] >= low && z[i] <= high ? -log(high - low) : -INFINITY;
  }
  return sum;
}
static inline void uniform_sample(const distribution *d, const double *noise, double temperature, double *z) {
  for (int64_t i = 0; i < d->flow->latent; i++) {
    const double low = base_option(d, "low", i), high = base_option(d, "high", i);
    z[i] = (low + high) / 2 + temperature * (noise[i] - 0.5) * (high - low);
  }
}
static inline void uniform_ranks(const distribution *d, const double *z, double *v) {
  for (int64_t i = 0; i < d->flow->latent; i++) {
    const double low = base_option(d, "low", i), high = base_option(d, "high", i);
    v[i] = (z[i] - low) / (high - low);
  }
}

/* ---- mixture of normals ---- */

static inline int mixture_weights(const distribution *d, double *w) {
  const int k = (int)base_option(d, "components", 0);
  double sum = 0;
  for (int i = 0; i < k; i++) sum += w[i] = exp(distribution_leaf(d, "base.logits", i, NAN));
  for (int i = 0; i < k; i++) w[i] /= sum;
  return k;
}
static inline double mixture_mean(const distribution *d, int k, int64_t i) {
  return distribution_leaf(d, "base.means", k * d->flow->latent + i, NAN);
}
static inline double mixture_sd(const distribution *d, int k, int64_t i) {
  return exp(distribution_leaf(d, "base.log_scales", k * d->flow->latent + i, NAN));
}
static inline double mixture_density(const distribution *d, int k, int64_t i, const double *z) {
  const double s = mixture_sd(d, k, i), u = (z[i] - mixture_mean(d, k, i)) / s;
  return exp(-u * u / 2 - 0.91893853320467274178) / s;
}
static inline double mixture_log_prob(const distribution *d, const double *z) {
  double w[16], sum = 0;
  const int n = mixture_weights(d, w);
  for (int k = 0; k < n; k++) {
    for (int64_t i = 0; i < d->flow->latent; i++) w[k] *= mixture_density(d, k, i, z);
    sum += w[k];
  }
  return log(sum);
}
static inline void mixture_sample(const distribution *d, const double *noise, double temperature, double *z) {
  double w[16], sum = 0;
  const int n = mixture_weights(d, w);
  int k = 0;
  while (k < n - 1 && noise[0] > (sum += w[k])) k++;
  for (int64_t i = 0; i < d->flow->latent; i++)
    z[i] = mixture_mean(d, k, i) + temperature * mixture_sd(d, k, i) * normal_quantile(noise[1 + i]);
}
/* Each column's distribution function given the columns before it (Rosenblatt 1952). */
static inline void mixture_ranks(const distribution *d, const double *z, double *v) {
  double w[16];
  const int n = mixture_weights(d, w);
  for (int64_t i = 0; i < d->flow->latent; i++) {
    double below = 0, all = 0;
    for (int k = 0; k < n; k++) {
      below += w[k] * normal_cdf((z[i] - mixture_mean(d, k, i)) / mixture_sd(d, k, i)), all += w[k];
      w[k] *= mixture_density(d, k, i, z);
    }
    v[i] = below / all;
  }
}

/* A new base adds a row. ranks: z -> independent uniforms [latent], its distribution function column after column. */
static const struct base_by_hand {
  const char *type;
  double (*log_prob)(const distribution *d, const double *z);
  void (*sample)(const distribution *d, const double *noise, double temperature, double *z);
  void (*ranks)(const distribution *d, const double *z, double *v);
} bases_by_hand[] = {
    {"normal", normal_log_prob, normal_sample, normal_ranks},       {"full-normal", full_log_prob, full_sample, full_ranks},
    {"student-t", student_log_prob, student_sample, student_ranks}, {"uniform", uniform_log_prob, uniform_sample, uniform_ranks},
    {"mixture", mixture_log_prob, mixture_sample, mixture_ranks},
};

static inline const struct base_by_hand *base_by_hand(const char *type) {
  for (size_t i = 0; i < sizeof bases_by_hand / sizeof *bases_by_hand; i++)
    if (strcmp(bases_by_hand[i].type, type) == 0) return &bases_by_hand[i];
  fail_msg("base %s is not written out in tests/laws/bases_by_hand.h", type);
  return NULL;
}
static inline const struct base_by_hand *base_of(const distribution *d) {
  return base_by_hand(d->flow->base->type->type);
}
#endif
