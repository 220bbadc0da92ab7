/* Uniform on a box, [low, high] in each column, ends included: log p is -inf outside, its gradient zero everywhere. For flows that map onto
 * a box. The temperature shrinks the box around its middle. */
#include <float.h>
#include <math.h>

#include "base/memory.h"
#include "density/base_types.h"
#include "numeric/tails.h"

typedef struct uniform {
  rh_base base;
  double *low, *high, *middle, *width; /* [d] each, one allocation */
  double log_volume;
} uniform;

/* The full specification says what was read: one number, or one a column. */
static rh_status read_limit(rh_base *b, rh_spec *spec, const char *key, double fallback, double *out) {
  if (!rh_spec_reals(spec, key, rh_shape_count(&b->shape), fallback, -1e30, 1e30, out) && !rh_spec_json(spec, key))
    rh_spec_set(spec, key, json_real(fallback));
  return rh_spec_status(spec);
}

static rh_status uniform_create(rh_base *b, const rh_build *build, rh_spec *spec) {
  uniform *u = (uniform *)b;
  const int64_t d = rh_shape_count(&b->shape);
  (void)build;
  u->low = rh_alloc(4 * (size_t)d * sizeof *u->low);
  if (!u->low) return RH_E_MEMORY;
  u->high = u->low + d, u->middle = u->high + d, u->width = u->middle + d;
  RH_TRY(read_limit(b, spec, "low", -1, u->low));
  RH_TRY(read_limit(b, spec, "high", 1, u->high));
  for (int64_t j = 0; j < d; j++) {
    u->width[j] = u->high[j] - u->low[j], u->middle[j] = u->low[j] / 2 + u->high[j] / 2;
    if (!((float)u->high[j] > (float)u->low[j])) /* a box in float32 too */
      return rh_spec_fail(spec, "high", "column %lld: %g is not above \"low\", %g", (long long)j, u->high[j], u->low[j]);
    u->log_volume += log(u->width[j]);
  }
  return RH_OK;
}

static rh_val limit(const rh_base *b, rh_graph *g, const double *values) {
  return rh_const_values(g, b->shape, values);
}

/* The sign of what sticks out, not of a comparison: a NaN stays one. log(1 - min(how many stick out, 1)) is 0 or -inf; a sign has no
 * derivative, so nothing of the -inf's comes back. */
static rh_val uniform_log_prob(const rh_base *b, rh_graph *g, rh_val z, rh_val context) {
  const uniform *u = (const uniform *)b;
  (void)context;
  const rh_val above = rh_sign(g, rh_relu(g, rh_sub(g, z, limit(b, g, u->high))));
  const rh_val below = rh_sign(g, rh_relu(g, rh_sub(g, limit(b, g, u->low), z)));
  const rh_val out = rh_minc(g, rh_sum(g, rh_add(g, above, below)), 1);
  return rh_addc(g, rh_log(g, rh_addc(g, rh_neg(g, out), 1)), -u->log_volume);
}

static rh_val uniform_sample(const rh_base *b, rh_graph *g, rh_val noise, rh_val context, double temperature) {
  const uniform *u = (const uniform *)b;
  (void)context;
  const rh_val centred = rh_mulc(g, rh_addc(g, rh_reshape(g, noise, b->shape), -0.5), temperature);
  const rh_val z = rh_add(g, rh_mul(g, centred, limit(b, g, u->width)), limit(b, g, u->middle));
  /* rounding must not put a sample outside; a temperature above 1 may */
  return temperature > 1 ? z : rh_min(g, rh_max(g, z, limit(b, g, u->low)), limit(b, g, u->high));
}

/* An end of the box belongs to it and its density is that of the middle, so a code on it is one that was rounded there: by half of what the
 * values' precision tells apart. Outside, the score is infinite. */
static double uniform_scores(const rh_base *b, const rh_leaves *leaves, const rh_values *values, const double *z, double *u) {
  const uniform *box = (const uniform *)b;
  const int64_t d = rh_shape_count(&b->shape);
  const double least = values->real_bytes == 4 ? FLT_EPSILON / 2 : DBL_EPSILON / 2;
  (void)leaves;
  for (int64_t j = 0; j < d; j++) {
    const double low = z[j] - box->low[j], high = box->high[j] - z[j];
    if (isnan(z[j]))
      u[j] = NAN;
    else if (low < 0 || high < 0)
      u[j] = low < 0 ? -INFINITY : INFINITY;
    else
      u[j] = rh_normal_score(log(fmax(low / box->width[j], least)), log(fmax(high / box->width[j], least)));
  }
  return rh_squares(d, u);
}

static void uniform_destroy(rh_base *b) {
  rh_free(((uniform *)b)->low);
}

const rh_base_type rh_base_uniform = {.type = "uniform",
                                      .bytes = sizeof(uniform),
                                      .create = uniform_create,
                                      .log_prob = uniform_log_prob,
                                      .sample = uniform_sample,
                                      .scores = uniform_scores,
                                      .destroy = uniform_destroy};
