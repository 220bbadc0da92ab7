/* Columns of one range to the line (RealNVP, Dinh et al. 2017, section 4.1): v = (x - low) / (high - low), p = alpha + (1 - 2 alpha) v,
 * y = log p - log(1 - p), log dy/dx = log((1 - 2 alpha) / (high - low)) - log p - log(1 - p). Images of 8 bits: low 0, high 256.
 *
 * Both p and 1 - p are sums of what is positive, so each has all its digits near its own end. The ends themselves belong to the range, for
 * 255 and a noise near 1 may round to 256: there p is alpha or 1 - alpha. A row with a number outside has the log-density -inf and no
 * gradient. Codes of p beyond alpha or 1 - alpha are of no number of the range: the inverse takes them to its end. */
#include <math.h>

#include "bijection/parts.h"

typedef struct logit {
  rh_bijection b;
  double alpha, low, high, slope; /* slope: dp/dx */
} logit;

static rh_status logit_create(rh_bijection *b, const rh_build *build, rh_spec *spec) {
  logit *l = (logit *)b;
  (void)build;
  l->alpha = rh_spec_real(spec, "alpha", 0.05, 1e-9, 0.45);
  l->low = rh_spec_real(spec, "low", 0, -1e30, 1e30);
  l->high = rh_spec_real(spec, "high", 256, -1e30, 1e30);
  RH_TRY(rh_spec_status(spec));
  l->slope = (1 - 2 * l->alpha) / (l->high - l->low);
  if (!(l->low < l->high)) return rh_spec_fail(spec, "high", "%g is not above low, %g", l->high, l->low);
  return RH_OK;
}

/* 0 where all is inside, else -inf; a step has no derivative. */
static rh_val outside(const logit *l, rh_graph *g, rh_val x) {
  const rh_val below = rh_step(g, rh_addc(g, rh_neg(g, x), l->low)), above = rh_step(g, rh_addc(g, x, -l->high));
  const rh_val any = rh_minc(g, rh_sum(g, rh_add(g, below, above)), 1);
  return rh_log(g, rh_addc(g, rh_neg(g, any), 1));
}

static void logit_forward(const rh_bijection *b, rh_graph *g, rh_val x, rh_val context, rh_val noise, rh_val *y, rh_val *ladj) {
  const logit *l = (const logit *)b;
  (void)context, (void)noise;
  const rh_val v = rh_minc(g, rh_maxc(g, x, l->low), l->high);
  const rh_val p = rh_addc(g, rh_mulc(g, rh_addc(g, v, -l->low), l->slope), l->alpha);
  const rh_val q = rh_addc(g, rh_mulc(g, rh_addc(g, rh_neg(g, v), l->high), l->slope), l->alpha); /* 1 - p */
  const rh_val log_p = rh_log(g, p), log_q = rh_log(g, q);
  *y = rh_sub(g, log_p, log_q);
  const rh_val sum = rh_sum(g, rh_addc(g, rh_neg(g, rh_add(g, log_p, log_q)), log(l->slope)));
  *ladj = rh_add(g, sum, outside(l, g, x));
}

static void logit_inverse(const rh_bijection *b, rh_graph *g, rh_val y, rh_val context, rh_val *x, rh_val *ladj) {
  const logit *l = (const logit *)b;
  const double unit = 1 / l->slope;
  (void)context;
  /* from the nearer end */
  const rh_val from_low = rh_mulc(g, rh_addc(g, rh_sigmoid(g, y), -l->alpha), unit);
  const rh_val from_high = rh_mulc(g, rh_addc(g, rh_sigmoid(g, rh_neg(g, y)), -l->alpha), unit);
  const rh_val up = rh_addc(g, rh_maxc(g, from_low, 0), l->low), down = rh_addc(g, rh_neg(g, rh_maxc(g, from_high, 0)), l->high);
  const rh_val upper = rh_step(g, y);
  *x = rh_add(g, rh_mul(g, down, upper), rh_mul(g, up, rh_addc(g, rh_neg(g, upper), 1)));
  const rh_val each = rh_add(g, y, rh_mulc(g, rh_softplus(g, rh_neg(g, y)), 2)); /* -log p - log(1 - p) */
  *ladj = rh_neg(g, rh_sum(g, rh_addc(g, each, log(l->slope))));
}

const rh_bijection_type rh_bijection_logit = {
    .type = "logit", .bytes = sizeof(logit), .create = logit_create, .forward = logit_forward, .inverse = logit_inverse};
