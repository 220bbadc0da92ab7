/* Normal with a learned mean and a full covariance, through A, the inverse of the covariance's Cholesky factor: u = A (z - mean) is
 * standard normal. A is lower triangular, its log-diagonal bounded smoothly. Leaves prefix.mean, prefix.lower (packed),
 * prefix.log_diagonal. */
#include <math.h>

#include "bijection/triangle.h"
#include "density/base_types.h"

typedef struct full_normal {
  rh_base base;
  int mean, lower, log_diagonal; /* lower: -1 for a single column */
  double bound;
} full_normal;

static rh_status full_create(rh_base *b, const rh_build *build, rh_spec *spec) {
  full_normal *n = (full_normal *)b;
  const int64_t d = rh_shape_count(&b->shape);
  const rh_init zero = {RH_INIT_CONSTANT, 0, NULL};
  n->bound = rh_spec_real(spec, "bound", 10, 0.01, 80);
  n->lower = -1;
  RH_TRY(rh_spec_status(spec));
  if (d > RH_TRIANGLE_MAX)
    return rh_fail(RH_E_SPEC, "%s: full-normal takes at most %d columns, not %lld; use normal", spec->o.where, RH_TRIANGLE_MAX,
                   (long long)d);
  RH_TRY(rh_leaf_add(build->leaves, RH_PARAM, rh_shape1(d), zero, false, &n->mean, "%s.mean", build->prefix));
  if (d > 1) RH_TRY(rh_leaf_add(build->leaves, RH_PARAM, rh_shape1(d * (d - 1) / 2), zero, false, &n->lower, "%s.lower", build->prefix));
  return rh_leaf_add(build->leaves, RH_PARAM, rh_shape1(d), zero, false, &n->log_diagonal, "%s.log_diagonal", build->prefix);
}

static rh_val factor(const full_normal *n, rh_graph *g, rh_val log_diagonal) {
  return rh_triangle(g, n->lower < 0 ? RH_NONE : rh_leaf_val(g, n->lower), rh_exp(g, log_diagonal), rh_shape_count(&n->base.shape), true);
}

static rh_val full_log_prob(const rh_base *b, rh_graph *g, rh_val z, rh_val context) {
  const full_normal *n = (const full_normal *)b;
  (void)context;
  const rh_val log_diagonal = rh_bound(g, rh_leaf_val(g, n->log_diagonal), n->bound);
  const rh_val centred = rh_sub(g, rh_reshape(g, z, rh_shape1(rh_count(g, z))), rh_leaf_val(g, n->mean));
  return rh_add(g, rh_standard_log_prob(g, rh_linear(g, centred, factor(n, g, log_diagonal), RH_NONE)), rh_sum(g, log_diagonal));
}

static rh_val full_sample(const rh_base *b, rh_graph *g, rh_val noise, rh_val context, double temperature) {
  const full_normal *n = (const full_normal *)b;
  (void)context;
  rh_val u = rh_normicdf(g, noise);
  if (temperature != 1) u = rh_mulc(g, u, temperature);
  const rh_val a = factor(n, g, rh_bound(g, rh_leaf_val(g, n->log_diagonal), n->bound));
  return rh_reshape(g, rh_add(g, rh_trisolve(g, u, a, true, false, false), rh_leaf_val(g, n->mean)), b->shape);
}

/* u = A (z - mean): A being triangular, what Rosenblatt's transformation gives. The norm is the squared Mahalanobis distance. */
static double full_scores(const rh_base *b, const rh_leaves *leaves, const rh_values *values, const double *z, double *u) {
  const full_normal *n = (const full_normal *)b;
  const int64_t d = rh_shape_count(&b->shape);
  for (int64_t i = 0, at = 0; i < d; i++) {
    u[i] = exp(n->bound * tanh(rh_values_get(leaves, values, n->log_diagonal, i) / n->bound)) *
           (z[i] - rh_values_get(leaves, values, n->mean, i));
    for (int64_t j = 0; j < i; j++, at++)
      u[i] += rh_values_get(leaves, values, n->lower, at) * (z[j] - rh_values_get(leaves, values, n->mean, j));
  }
  return rh_squares(d, u);
}

const rh_base_type rh_base_full_normal = {.type = "full-normal",
                                          .bytes = sizeof(full_normal),
                                          .create = full_create,
                                          .log_prob = full_log_prob,
                                          .sample = full_sample,
                                          .scores = full_scores};
