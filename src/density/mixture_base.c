/* Mixture of K normals with diagonal covariances, all learned: started with equal weights, unit scales, and means a little apart. Leaves
 * prefix.logits [K], prefix.means, prefix.log_scales [K, d]. */
#include <math.h>

#include "density/base_types.h"
#include "density/mixing.h"
#include "numeric/tails.h"

typedef struct mixture {
  rh_base base;
  int64_t k;
  int logits, means, log_scales;
} mixture;

static rh_status mixture_create(rh_base *b, const rh_build *build, rh_spec *spec) {
  mixture *m = (mixture *)b;
  const int64_t d = rh_shape_count(&b->shape);
  m->k = rh_spec_int(spec, "components", 8, 1, 1024);
  const double spread = rh_spec_real(spec, "spread", 0.5, 0, 100);
  const rh_init zero = {RH_INIT_CONSTANT, 0, NULL}, apart = {RH_INIT_NORMAL, spread, NULL};
  b->noise = d + 1;
  RH_TRY(rh_spec_status(spec));
  if (d > RH_MIXTURE_MAX / m->k)
    return rh_spec_fail(spec, "components", "%lld components of %lld columns are more than %d numbers", (long long)m->k, (long long)d,
                        (int)RH_MIXTURE_MAX);
  RH_TRY(rh_leaf_add(build->leaves, RH_PARAM, rh_shape1(m->k), zero, false, &m->logits, "%s.logits", build->prefix));
  RH_TRY(rh_leaf_add(build->leaves, RH_PARAM, rh_shape2(m->k, d), apart, false, &m->means, "%s.means", build->prefix));
  return rh_leaf_add(build->leaves, RH_PARAM, rh_shape2(m->k, d), zero, false, &m->log_scales, "%s.log_scales", build->prefix);
}

/* z: [d] -> [k, d], a copy for each component. */
static int64_t from_the_first(const void *arg, int64_t i) {
  (void)arg, (void)i;
  return 0;
}
static rh_val repeat(const mixture *m, rh_graph *g, rh_val z) {
  const int64_t d = rh_shape_count(&m->base.shape);
  return rh_gather_runs(g, z, rh_shape2(m->k, d), d, from_the_first, NULL);
}

/* log sum_k w_k N(z; means_k, scales_k) */
static rh_val mixture_log_prob(const rh_base *b, rh_graph *g, rh_val z, rh_val context) {
  const mixture *m = (const mixture *)b;
  const double half_log_two_pi = 0.91893853320467274178, root_half = 0.70710678118654752440;
  (void)context;
  const rh_val s = rh_leaf_val(g, m->log_scales), centred = rh_sub(g, repeat(m, g, z), rh_leaf_val(g, m->means));
  const rh_val squares = rh_sum_last(g, rh_square(g, rh_mulexp(g, rh_mulc(g, centred, root_half), rh_neg(g, s))));
  const rh_val shift = rh_sub(g, rh_log_softmax(g, rh_leaf_val(g, m->logits)), rh_sum_last(g, s)); /* [k], a parameter */
  const rh_val sum = rh_log_sum_exp(g, rh_sub(g, shift, squares));
  return rh_addc(g, sum, -half_log_two_pi * (double)rh_shape_count(&b->shape));
}

/* noise: one number picks the component, d make the normal. The temperature narrows each component around its own mean. */
static rh_val mixture_sample(const rh_base *b, rh_graph *g, rh_val noise, rh_val context, double temperature) {
  const mixture *m = (const mixture *)b;
  (void)context;
  const rh_val chosen = rh_pick(g, rh_slice(g, noise, 0, 1), rh_log_softmax(g, rh_leaf_val(g, m->logits)));
  rh_val z = rh_normicdf(g, rh_slice(g, noise, 1, rh_shape_count(&b->shape)));
  if (temperature != 1) z = rh_mulc(g, z, temperature);
  const rh_val mean = rh_linear_t(g, chosen, rh_leaf_val(g, m->means)), s = rh_linear_t(g, chosen, rh_leaf_val(g, m->log_scales));
  return rh_reshape(g, rh_add(g, rh_mulexp(g, z, s), mean), b->shape);
}

/* log(e^a + e^b) */
static double log_add(double a, double b) {
  const double most = fmax(a, b);
  return most == -INFINITY ? most : most + log1p(exp(-fabs(a - b)));
}

/* Normal scores, column by column: given the columns before, the weights are those that Bayes' rule leaves. log_w: [k] */
static double mixture_scores(const rh_base *b, const rh_leaves *leaves, const rh_values *values, const double *z, double *u) {
  enum { MOST = 1024 };
  const double far = 1e150; /* further out a square would be infinite */
  const mixture *m = (const mixture *)b;
  const int64_t d = rh_shape_count(&b->shape);
  double log_w[MOST], away[MOST], sum = -INFINITY, norm = 0;
  for (int64_t k = 0; k < m->k; k++) log_w[k] = rh_values_get(leaves, values, m->logits, k), away[k] = 0;
  for (int64_t j = 0; j < d; j++) {
    double below = -INFINITY, above = -INFINITY, greatest = -INFINITY;
    sum = -INFINITY;
    for (int64_t k = 0; k < m->k; k++) sum = log_add(sum, log_w[k]);
    for (int64_t k = 0; k < m->k; k++) {
      const double s = rh_values_get(leaves, values, m->log_scales, k * d + j);
      const double v = (z[j] - rh_values_get(leaves, values, m->means, k * d + j)) * exp(-s), w = log_w[k] - sum;
      const double near = v > far ? far : v < -far ? -far : v;
      below = log_add(below, w + rh_log_normal_above(-near));
      above = log_add(above, w + rh_log_normal_above(near));
      log_w[k] = w - 0.5 * near * near - s;
      away[k] += near * near;
      greatest = fmax(greatest, log_w[k]);
    }
    for (int64_t k = 0; k < m->k; k++) log_w[k] -= greatest;
    u[j] = isnan(z[j]) ? NAN : rh_normal_score(below, above);
  }
  sum = 0;
  for (int64_t k = 0; k < m->k; k++) sum += exp(log_w[k]);
  for (int64_t k = 0; k < m->k; k++) norm += exp(log_w[k]) / sum * away[k];
  return norm;
}

const rh_base_type rh_base_mixture = {.type = "mixture",
                                      .bytes = sizeof(mixture),
                                      .create = mixture_create,
                                      .log_prob = mixture_log_prob,
                                      .sample = mixture_sample,
                                      .scores = mixture_scores};
