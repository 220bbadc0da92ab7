/* Linear layer y = Q R x + b, of a vector or of the channels of every pixel, Q a product of Householder reflections, R upper triangular
 * with a positive diagonal (Hoogeboom et al. 2019, section 3.2): log|det| = sum of R's log-diagonal, itself bounded smoothly. Starts as the
 * identity. Leaves those of reflections.h, prefix.upper (packed, triangle.h), prefix.log_diagonal, prefix.bias. */
#include "bijection/parts.h"
#include "bijection/reflections.h"
#include "bijection/triangle.h"

typedef struct qr {
  rh_bijection b;
  rh_channels channels;
  rh_reflections q;
  int upper, log_diagonal, bias; /* upper: -1 for a single column */
  double bound;
} qr;

static rh_status qr_create(rh_bijection *b, const rh_build *build, rh_spec *spec) {
  qr *m = (qr *)b;
  RH_TRY(rh_need_channels(b, spec, &m->channels));
  const int64_t d = m->channels.n;
  const rh_init zero = {RH_INIT_CONSTANT, 0, NULL};
  m->bound = rh_spec_real(spec, "bound", 5, 0.01, 80);
  m->upper = -1;
  RH_TRY(rh_spec_status(spec));
  if (d > RH_TRIANGLE_MAX)
    return rh_fail(RH_E_SPEC, "%s: qr takes at most %d columns, not %lld; use a permutation", spec->o.where, RH_TRIANGLE_MAX, (long long)d);
  RH_TRY(rh_reflections_create(build, spec, d, &m->q));
  if (d > 1) RH_TRY(rh_leaf_add(build->leaves, RH_PARAM, rh_shape1(d * (d - 1) / 2), zero, false, &m->upper, "%s.upper", build->prefix));
  RH_TRY(rh_leaf_add(build->leaves, RH_PARAM, rh_shape1(d), zero, false, &m->log_diagonal, "%s.log_diagonal", build->prefix));
  return rh_leaf_add(build->leaves, RH_PARAM, rh_shape1(d), zero, false, &m->bias, "%s.bias", build->prefix);
}

static rh_val upper_of(const qr *m, rh_graph *g, rh_val *ladj) {
  const rh_val log_diagonal = rh_bound(g, rh_leaf_val(g, m->log_diagonal), m->bound);
  *ladj = rh_each_pixel(&m->channels, g, rh_sum(g, log_diagonal));
  return rh_triangle(g, m->upper < 0 ? RH_NONE : rh_leaf_val(g, m->upper), rh_exp(g, log_diagonal), m->channels.n, false);
}

static void qr_forward(const rh_bijection *b, rh_graph *g, rh_val x, rh_val context, rh_val noise, rh_val *y, rh_val *ladj) {
  const qr *m = (const qr *)b;
  (void)context, (void)noise;
  const rh_val turned = rh_reflections_apply(&m->q, g, rh_linear(g, x, upper_of(m, g, ladj), RH_NONE), false);
  *y = rh_add(g, turned, rh_spread(b, g, rh_leaf_val(g, m->bias)));
}

static void qr_inverse(const rh_bijection *b, rh_graph *g, rh_val y, rh_val context, rh_val *x, rh_val *ladj) {
  const qr *m = (const qr *)b;
  (void)context;
  const rh_val back = rh_reflections_apply(&m->q, g, rh_sub(g, y, rh_spread(b, g, rh_leaf_val(g, m->bias))), true);
  *x = rh_trisolve(g, back, upper_of(m, g, ladj), false, false, false);
  *ladj = rh_neg(g, *ladj);
}

const rh_bijection_type rh_bijection_qr = {
    .type = "qr", .bytes = sizeof(qr), .create = qr_create, .forward = qr_forward, .inverse = qr_inverse};
