/* Independent Student-t in each column, the degrees of freedom learned: heavy tails that a flow cannot make of a normal (Jaini et al. 2020,
 * theorem 4; Alexanderson & Henter 2020). nu = 0.5 + softplus(raw). Leaves prefix.df (the raw numbers, unless learn is false), and with
 * affine prefix.mean, prefix.log_scale, the means started `spread` apart, so that the components of a mixture of flows differ. */
#include <math.h>

#include "base/memory.h"
#include "density/base_types.h"
#include "numeric/tails.h"

typedef struct student_t {
  rh_base base;
  bool learn, affine;
  int df, mean, log_scale;
  double *start; /* [d]: nu */
} student_t;

static const double DF_LEAST = 0.5, DF_MOST = 1e6, DF_START = 8;

static rh_status add_df(student_t *t, const rh_build *build) {
  const int64_t d = rh_shape_count(&t->base.shape);
  double *raw = rh_alloc((size_t)d * sizeof *raw);
  if (!raw) return RH_E_MEMORY;
  for (int64_t j = 0; j < d; j++) {
    const double above = t->start[j] - DF_LEAST; /* softplus^-1: log(e^x - 1) */
    raw[j] = above + log(-expm1(-above));
  }
  const rh_init init = {RH_INIT_VALUES, 0, raw};
  const rh_status status = rh_leaf_add(build->leaves, RH_PARAM, t->base.shape, init, false, &t->df, "%s.df", build->prefix);
  rh_free(raw);
  return status;
}

static rh_status student_create(rh_base *b, const rh_build *build, rh_spec *spec) {
  student_t *t = (student_t *)b;
  const int64_t d = rh_shape_count(&b->shape);
  const rh_init zero = {RH_INIT_CONSTANT, 0, NULL};
  b->noise = 2 * d;
  t->start = rh_alloc((size_t)d * sizeof *t->start);
  if (!t->start) return RH_E_MEMORY;
  if (!rh_spec_reals(spec, "df", d, DF_START, DF_LEAST + 0.01, DF_MOST, t->start) && !rh_spec_json(spec, "df"))
    rh_spec_set(spec, "df", json_real(DF_START));
  t->learn = rh_spec_bool(spec, "learn", true);
  t->affine = rh_spec_bool(spec, "affine", false);
  const double spread = t->affine ? rh_spec_real(spec, "spread", 0, 0, 100) : 0;
  const rh_init apart = {spread > 0 ? RH_INIT_NORMAL : RH_INIT_CONSTANT, spread, NULL};
  RH_TRY(rh_spec_status(spec));
  if (t->learn) RH_TRY(add_df(t, build));
  if (!t->affine) return RH_OK;
  RH_TRY(rh_leaf_add(build->leaves, RH_PARAM, b->shape, apart, false, &t->mean, "%s.mean", build->prefix));
  return rh_leaf_add(build->leaves, RH_PARAM, b->shape, zero, false, &t->log_scale, "%s.log_scale", build->prefix);
}

static rh_val df_of(const student_t *t, rh_graph *g) {
  if (!t->learn) return rh_const_values(g, t->base.shape, t->start);
  return rh_addc(g, rh_softplus(g, rh_leaf_val(g, t->df)), DF_LEAST);
}

/* log(1 + s^2), finite for every s: m = max(|s|, 1), r = clip(s, -1, 1) / m: 2 log m + log1p(r^2). At |s| = 1 the clip has the slope. */
static rh_val log_one_plus_square(rh_graph *g, rh_val s) {
  const rh_val one = rh_const(g, rh_shape1(1), 1), m = rh_maxc(g, rh_abs(g, s), 1);
  const rh_val r = rh_div(g, rh_min(g, rh_max(g, s, rh_neg(g, one)), one), m);
  return rh_add(g, rh_mulc(g, rh_log(g, m), 2), rh_log1p(g, rh_square(g, r)));
}

static rh_val student_log_prob(const rh_base *b, rh_graph *g, rh_val z, rh_val context) {
  const student_t *t = (const student_t *)b;
  const double half_log_pi = 0.57236494292470008707;
  (void)context;
  const rh_val nu = df_of(t, g), half = rh_mulc(g, nu, 0.5);
  rh_val one = rh_sub(g, rh_halfgamma(g, half, 0), rh_mulc(g, rh_log(g, nu), 0.5)); /* per column: the density at 0 */
  if (t->affine) {
    const rh_val s = rh_leaf_val(g, t->log_scale);
    z = rh_mulexp(g, rh_sub(g, z, rh_leaf_val(g, t->mean)), rh_neg(g, s));
    one = rh_sub(g, one, s);
  }
  const rh_val tails = rh_mul(g, log_one_plus_square(g, rh_div(g, z, rh_sqrt(g, nu))), rh_addc(g, half, 0.5));
  return rh_sub(g, rh_addc(g, rh_sum(g, one), -half_log_pi * (double)rh_shape_count(&b->shape)), rh_sum(g, tails));
}

/* Bailey 1994, Mathematics of Computation 62, equation (2): sqrt(nu (u^(-2 / nu) - 1)) cos(2 pi v). noise: all u, then all v. */
static rh_val student_sample(const rh_base *b, rh_graph *g, rh_val noise, rh_val context, double temperature) {
  const student_t *t = (const student_t *)b;
  const int64_t d = rh_shape_count(&b->shape);
  (void)context;
  const rh_val nu = df_of(t, g), u = rh_reshape(g, rh_slice(g, noise, 0, d), b->shape),
               v = rh_reshape(g, rh_slice(g, noise, d, d), b->shape);
  const rh_val grown = rh_expm1(g, rh_mulc(g, rh_div(g, rh_log(g, u), nu), -2));
  rh_val z = rh_mul(g, rh_sqrt(g, rh_mul(g, nu, grown)), rh_cos(g, rh_mulc(g, v, 6.28318530717958647692)));
  if (temperature != 1) z = rh_mulc(g, z, temperature);
  if (!t->affine) return z;
  return rh_add(g, rh_mulexp(g, z, rh_leaf_val(g, t->log_scale)), rh_leaf_val(g, t->mean));
}

static double student_scores(const rh_base *b, const rh_leaves *leaves, const rh_values *values, const double *z, double *u) {
  const student_t *t = (const student_t *)b;
  const int64_t d = rh_shape_count(&b->shape);
  for (int64_t j = 0; j < d; j++) {
    const double raw = t->learn ? rh_values_get(leaves, values, t->df, j) : 0;
    const double nu = t->learn ? DF_LEAST + fmax(raw, 0) + log1p(exp(-fabs(raw))) : t->start[j];
    double x = z[j];
    if (t->affine) x = (x - rh_values_get(leaves, values, t->mean, j)) * exp(-rh_values_get(leaves, values, t->log_scale, j));
    u[j] = rh_normal_score(rh_log_student_above(-x, nu), rh_log_student_above(x, nu));
  }
  return rh_squares(d, u);
}

static void student_destroy(rh_base *b) {
  rh_free(((student_t *)b)->start);
}

const rh_base_type rh_base_student_t = {.type = "student-t",
                                        .bytes = sizeof(student_t),
                                        .create = student_create,
                                        .log_prob = student_log_prob,
                                        .sample = student_sample,
                                        .scores = student_scores,
                                        .destroy = student_destroy};
