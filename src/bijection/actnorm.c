/* ActNorm: y = (x + b) e^s by column, or by channel of an image, started so that the first rows come out with mean 0 and variance 1 (Kingma
 * & Dhariwal 2018, section 3.1). Leaves prefix.shift (b), prefix.log_scale (s). */
#include <math.h>

#include "base/memory.h"
#include "bijection/parts.h"
#include "bijection/start.h"

typedef struct actnorm {
  rh_bijection b;
  rh_channels channels;
  int shift, log_scale;
} actnorm;

static rh_status actnorm_create(rh_bijection *b, const rh_build *build, rh_spec *spec) {
  actnorm *a = (actnorm *)b;
  const rh_init zero = {RH_INIT_CONSTANT, 0, NULL};
  RH_TRY(rh_need_channels(b, spec, &a->channels));
  const rh_shape each = rh_shape1(a->channels.n);
  RH_TRY(rh_leaf_add(build->leaves, RH_PARAM, each, zero, false, &a->shift, "%s.shift", build->prefix));
  return rh_leaf_add(build->leaves, RH_PARAM, each, zero, false, &a->log_scale, "%s.log_scale", build->prefix);
}

static void actnorm_forward(const rh_bijection *b, rh_graph *g, rh_val x, rh_val context, rh_val noise, rh_val *y, rh_val *ladj) {
  const actnorm *a = (const actnorm *)b;
  (void)context, (void)noise;
  const rh_val s = rh_leaf_val(g, a->log_scale);
  *y = rh_mulexp(g, rh_add(g, x, rh_spread(b, g, rh_leaf_val(g, a->shift))), rh_spread(b, g, s));
  *ladj = rh_each_pixel(&a->channels, g, rh_sum(g, s));
}

static void actnorm_inverse(const rh_bijection *b, rh_graph *g, rh_val y, rh_val context, rh_val *x, rh_val *ladj) {
  const actnorm *a = (const actnorm *)b;
  (void)context;
  const rh_val s = rh_neg(g, rh_leaf_val(g, a->log_scale));
  *x = rh_sub(g, rh_mulexp(g, y, rh_spread(b, g, s)), rh_spread(b, g, rh_leaf_val(g, a->shift)));
  *ladj = rh_each_pixel(&a->channels, g, rh_sum(g, s));
}

static rh_status actnorm_warm_up(const rh_bijection *b, const rh_leaves *leaves, rh_values *values, int64_t rows, const double *x) {
  const actnorm *a = (const actnorm *)b;
  const int64_t d = a->channels.n;
  double *mean = rh_alloc(2 * (size_t)d * sizeof *mean);
  if (!mean) return RH_E_MEMORY;
  double *sd = mean + d;
  rh_column_moments(rows * a->channels.pixels, d, x, mean, sd); /* every pixel is a row */
  for (int64_t j = 0; j < d; j++) {
    rh_values_set(leaves, values, a->shift, j, -mean[j]);
    rh_values_set(leaves, values, a->log_scale, j, -log(sd[j]));
  }
  rh_free(mean);
  return RH_OK;
}

const rh_bijection_type rh_bijection_actnorm = {.type = "actnorm",
                                                .bytes = sizeof(actnorm),
                                                .create = actnorm_create,
                                                .forward = actnorm_forward,
                                                .inverse = actnorm_inverse,
                                                .warm_up = actnorm_warm_up,
                                                .rescales = true};
