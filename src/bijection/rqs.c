/* Rational-quadratic splines as an elementwise transform (Durkan et al. 2019, Neural Spline Flows). raw: kernel.h. */
#include "bijection/transform.h"

typedef struct rqs {
  rh_transform transform;
  rh_rqs s;
} rqs;

static rh_status rqs_create(rh_transform *t, rh_spec *spec) {
  static const char *const tails[] = {[RH_TAILS_LINEAR] = "linear", [RH_TAILS_BOUNDED] = "bounded", [RH_TAILS_CIRCULAR] = "circular", NULL};
  const int64_t bins = rh_spec_int(spec, "bins", 8, 1, RH_RQS_BINS);
  const int kind = rh_spec_choice(spec, "tails", RH_TAILS_LINEAR, tails);
  const double box = rh_spec_real(spec, "box", 5, 1e-3, 1e6), width = rh_spec_real(spec, "min_width", 1e-3, 1e-6, 0.5),
               height = rh_spec_real(spec, "min_height", 1e-3, 1e-6, 0.5), slope = rh_spec_real(spec, "min_slope", 1e-3, 1e-6, 0.9);
  RH_TRY(rh_spec_status(spec));
  const double most = width > height ? width : height;
  if (!(most * (double)bins < 1))
    return rh_spec_fail(spec, width > height ? "min_width" : "min_height",
                        "%lld bins of at least %g of the box do not fit into it; lower it or bins", (long long)bins, most);
  ((rqs *)t)->s = rh_rqs_of(bins, (rh_tails)kind, box, width, height, slope);
  t->params = rh_rqs_params(&((rqs *)t)->s);
  return RH_OK;
}
static void rqs_forward(const rh_transform *t, rh_graph *g, rh_val x, const rh_raw *raw, rh_val *y, rh_val *ladj) {
  rh_rqs_val(g, &((const rqs *)t)->s, false, x, raw->all, y, ladj);
}
static void rqs_inverse(const rh_transform *t, rh_graph *g, rh_val y, const rh_raw *raw, rh_val *x, rh_val *ladj) {
  rh_rqs_val(g, &((const rqs *)t)->s, true, y, raw->all, x, ladj);
}

static double rqs_box(const rh_transform *t) {
  const rh_rqs *s = &((const rqs *)t)->s;
  return s->tails == RH_TAILS_LINEAR ? s->box : 0; /* a circle has no outside, and a bounded spline's user has a box on purpose */
}

const rh_transform_type rh_transform_rqs = {"rqs", sizeof(rqs), rqs_create, 0, true, rqs_forward, rqs_inverse, rqs_box};
