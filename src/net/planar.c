/* The continuous planar flow (Chen et al. 2018, section 4), a sum of `units` of them: f(x, t) = sum_m u_m tanh(w_m . x + b_m + a_m t), and
 * with a context c + k_m . c within. tr(df/dx) = sum_m (u_m . w_m) tanh'(...). Leaves prefix.weight (w) [units, d], .bias
 * (b), .time (a), .context (k) [units, context], .out (u) [d, units], which starts at zero. */
#include "net/dense.h"
#include "net/types.h"

typedef struct planar {
  rh_field field;
  rh_dense in;
  int time, context, out;
} planar;

static rh_status planar_create(rh_field *f, const rh_build *build, rh_spec *spec) {
  planar *p = (planar *)f;
  const rh_init zero = {RH_INIT_CONSTANT, 0, NULL}, spread = {RH_INIT_NORMAL, 0.5, NULL};
  const int64_t units = rh_spec_int(spec, "units", 32, 1, RH_NET_WIDTH);
  RH_TRY(rh_spec_status(spec));
  p->context = -1;
  RH_TRY(rh_dense_create(build, "", f->d, units, 1, 1, &p->in));
  RH_TRY(rh_leaf_add(build->leaves, RH_PARAM, rh_shape1(units), spread, false, &p->time, "%s.time", build->prefix));
  if (f->context)
    RH_TRY(rh_leaf_add(build->leaves, RH_PARAM, rh_shape2(units, f->context), spread, true, &p->context, "%s.context", build->prefix));
  f->traced = true;
  return rh_leaf_add(build->leaves, RH_PARAM, rh_shape2(f->d, units), zero, true, &p->out, "%s.out", build->prefix);
}

static void planar_apply(const rh_field *f, rh_graph *g, rh_val x, rh_val t, rh_val context, rh_val *dx, rh_val *trace) {
  const planar *p = (const planar *)f;
  const rh_val out = rh_leaf_val(g, p->out);
  rh_val z = rh_add(g, rh_dense_apply(&p->in, g, x), rh_mul(g, rh_leaf_val(g, p->time), t));
  if (p->context >= 0) z = rh_add(g, z, rh_linear(g, context, rh_leaf_val(g, p->context), RH_NONE));
  const rh_val a = rh_tanh(g, z);
  *dx = rh_linear(g, a, out, RH_NONE);
  if (!trace) return;
  const rh_val inner = rh_sum_last(g, rh_mul(g, rh_leaf_val(g, p->in.weight), rh_transposed(g, out))); /* [units]: u_m . w_m */
  *trace = rh_sum(g, rh_mul(g, inner, rh_addc(g, rh_neg(g, rh_square(g, a)), 1)));
}

const rh_field_type rh_field_planar = {.type = "planar", .bytes = sizeof(planar), .create = planar_create, .apply = planar_apply};
