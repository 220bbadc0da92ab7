/* Normal with diagonal covariance: standard, or with learned mean and log_scale (prefix.mean, prefix.log_scale), the means started `spread`
 * apart, so that the components of a mixture of flows differ. */
#include <math.h>

#include "density/base_types.h"

typedef struct normal {
  rh_base base;
  bool learn;
  int mean, log_scale;
} normal;

static rh_status normal_create(rh_base *b, const rh_build *build, rh_spec *spec) {
  normal *n = (normal *)b;
  const rh_init zero = {RH_INIT_CONSTANT, 0, NULL};
  n->learn = rh_spec_bool(spec, "learn", false);
  const double spread = n->learn ? rh_spec_real(spec, "spread", 0, 0, 100) : 0;
  const rh_init apart = {spread > 0 ? RH_INIT_NORMAL : RH_INIT_CONSTANT, spread, NULL};
  RH_TRY(rh_spec_status(spec));
  if (!n->learn) return RH_OK;
  RH_TRY(rh_leaf_add(build->leaves, RH_PARAM, b->shape, apart, false, &n->mean, "%s.mean", build->prefix));
  return rh_leaf_add(build->leaves, RH_PARAM, b->shape, zero, false, &n->log_scale, "%s.log_scale", build->prefix);
}

static rh_val normal_log_prob(const rh_base *b, rh_graph *g, rh_val z, rh_val context) {
  const normal *n = (const normal *)b;
  (void)context;
  if (!n->learn) return rh_standard_log_prob(g, z);
  const rh_val s = rh_leaf_val(g, n->log_scale);
  const rh_val u = rh_mulexp(g, rh_sub(g, z, rh_leaf_val(g, n->mean)), rh_neg(g, s));
  return rh_sub(g, rh_standard_log_prob(g, u), rh_sum(g, s));
}

static rh_val normal_sample(const rh_base *b, rh_graph *g, rh_val noise, rh_val context, double temperature) {
  const normal *n = (const normal *)b;
  (void)context;
  rh_val z = rh_normicdf(g, noise);
  if (temperature != 1) z = rh_mulc(g, z, temperature);
  if (!n->learn) return z;
  return rh_add(g, rh_mulexp(g, z, rh_leaf_val(g, n->log_scale)), rh_leaf_val(g, n->mean));
}

static double normal_scores(const rh_base *b, const rh_leaves *leaves, const rh_values *values, const double *z, double *u) {
  const normal *n = (const normal *)b;
  const int64_t d = rh_shape_count(&b->shape);
  for (int64_t j = 0; j < d; j++) {
    u[j] = z[j];
    if (n->learn) u[j] = (z[j] - rh_values_get(leaves, values, n->mean, j)) * exp(-rh_values_get(leaves, values, n->log_scale, j));
  }
  return rh_squares(d, u);
}

const rh_base_type rh_base_normal = {.type = "normal",
                                     .bytes = sizeof(normal),
                                     .create = normal_create,
                                     .log_prob = normal_log_prob,
                                     .sample = normal_sample,
                                     .scores = normal_scores};
