/* y = (x - mean) / scale by column. "mean" and "scale" stand in the specification (or are taken from the first rows); states. */
#include "base/memory.h"
#include "bijection/parts.h"
#include "bijection/start.h"

typedef struct standardize {
  rh_bijection b;
  int mean, scale;
  bool given;
} standardize;

static rh_status standardize_create(rh_bijection *b, const rh_build *build, rh_spec *spec) {
  standardize *s = (standardize *)b;
  RH_TRY(rh_need_vector(b, spec));
  const int64_t d = rh_columns_of(b);
  double *mean = rh_alloc(2 * (size_t)d * sizeof *mean);
  if (!mean) return RH_E_MEMORY;
  double *scale = mean + d;
  s->given = rh_spec_reals(spec, "mean", d, 0, -1e37, 1e37, mean);
  s->given |= rh_spec_reals(spec, "scale", d, 1, 1e-37, 1e37, scale);
  rh_status status = rh_spec_status(spec);
  if (status == RH_OK) status = rh_state_add(build, "mean", b->in, 0, mean, &s->mean);
  if (status == RH_OK) status = rh_state_add(build, "scale", b->in, 0, scale, &s->scale);
  rh_free(mean);
  return status;
}

static rh_val log_scales(const standardize *s, rh_graph *g) {
  return rh_sum(g, rh_log(g, rh_leaf_val(g, s->scale)));
}

static void standardize_forward(const rh_bijection *b, rh_graph *g, rh_val x, rh_val context, rh_val noise, rh_val *y, rh_val *ladj) {
  const standardize *s = (const standardize *)b;
  (void)context, (void)noise;
  *y = rh_div(g, rh_sub(g, x, rh_leaf_val(g, s->mean)), rh_leaf_val(g, s->scale));
  *ladj = rh_neg(g, log_scales(s, g));
}

static void standardize_inverse(const rh_bijection *b, rh_graph *g, rh_val y, rh_val context, rh_val *x, rh_val *ladj) {
  const standardize *s = (const standardize *)b;
  (void)context;
  *x = rh_add(g, rh_mul(g, y, rh_leaf_val(g, s->scale)), rh_leaf_val(g, s->mean));
  *ladj = log_scales(s, g);
}

static rh_status standardize_warm_up(const rh_bijection *b, const rh_leaves *leaves, rh_values *values, int64_t rows, const double *x) {
  const standardize *s = (const standardize *)b;
  const int64_t d = rh_columns_of(b);
  if (s->given) return RH_OK;
  double *mean = rh_alloc(2 * (size_t)d * sizeof *mean);
  if (!mean) return RH_E_MEMORY;
  double *sd = mean + d;
  rh_column_moments(rows, d, x, mean, sd);
  for (int64_t j = 0; j < d; j++) {
    rh_values_set(leaves, values, s->mean, j, mean[j]);
    rh_values_set(leaves, values, s->scale, j, sd[j]);
  }
  rh_free(mean);
  return RH_OK;
}

const rh_bijection_type rh_bijection_standardize = {.type = "standardize",
                                                    .bytes = sizeof(standardize),
                                                    .create = standardize_create,
                                                    .forward = standardize_forward,
                                                    .inverse = standardize_inverse,
                                                    .warm_up = standardize_warm_up};
