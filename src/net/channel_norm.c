#include "net/channel_norm.h"

#include "net/pixels.h"

static const char *const names[] = {[RH_NORM_NONE] = "none", [RH_NORM_LAYER] = "layer", [RH_NORM_GROUP] = "group", NULL};
static const double EPSILON = 1e-5; /* of the variance: a flat image has none */

rh_status rh_read_norm(rh_spec *spec, int64_t channels, rh_norm_kind *kind, int64_t *groups) {
  *kind = (rh_norm_kind)rh_spec_choice(spec, "norm", RH_NORM_NONE, names);
  *groups = 1;
  if (*kind != RH_NORM_GROUP) return rh_spec_status(spec);
  *groups = rh_spec_int(spec, "groups", channels % 8 == 0 ? 8 : 1, 1, channels);
  RH_TRY(rh_spec_status(spec));
  return channels % *groups == 0
             ? RH_OK
             : rh_spec_fail(spec, "groups", "%lld groups do not divide %lld channels", (long long)*groups, (long long)channels);
}

rh_status rh_channel_norm_create(const rh_build *build, const char *name, rh_norm_kind kind, int64_t groups, int64_t channels,
                                 rh_channel_norm *norm) {
  const rh_init one = {RH_INIT_CONSTANT, 1, NULL}, zero = {RH_INIT_CONSTANT, 0, NULL};
  *norm = (rh_channel_norm){.kind = kind, .groups = groups};
  if (kind == RH_NORM_NONE) return RH_OK;
  RH_TRY(rh_leaf_add(build->leaves, RH_PARAM, rh_shape1(channels), one, false, &norm->scale, "%s.%s.scale", build->prefix, name));
  return rh_leaf_add(build->leaves, RH_PARAM, rh_shape1(channels), zero, false, &norm->shift, "%s.%s.shift", build->prefix, name);
}

/* x: [..., n] -> mean 0 and variance 1 over the last dimension. */
static rh_val standardized(rh_graph *g, rh_val x) {
  const int64_t n = rh_width(g, x);
  const rh_val away = rh_sub(g, x, rh_expand_last(g, rh_mulc(g, rh_sum_last(g, x), 1 / (double)n), n));
  const rh_val variance = rh_mulc(g, rh_sum_last(g, rh_square(g, away)), 1 / (double)n);
  return rh_mul(g, away, rh_expand_last(g, rh_recip(g, rh_sqrt(g, rh_addc(g, variance, EPSILON))), n));
}

/* [h w, groups, n] <-> [groups, h w, n] of the same numbers: dimensions a and b change places. */
typedef struct swap_how {
  int64_t a, b, n;
} swap_how;
static int64_t swapped_run(const void *arg, int64_t i) {
  const swap_how *s = arg;
  return (i % s->a * s->b + i / s->a) * s->n;
}
static rh_val swapped(rh_graph *g, rh_val x, int64_t a, int64_t b, int64_t n, rh_shape shape) {
  return rh_gather_runs(g, x, shape, n, swapped_run, &(swap_how){a, b, n});
}

rh_val rh_channel_norm_apply(const rh_channel_norm *norm, rh_graph *g, rh_val x) {
  if (g->status != RH_OK || norm->kind == RH_NORM_NONE) return x;
  const rh_shape s = rh_at(g, x)->shape;
  const int64_t pixels = s.dim[0] * s.dim[1], k = norm->groups, n = s.dim[2] / k;
  rh_val y;
  if (norm->kind == RH_NORM_LAYER) {
    y = rh_reshape(g, standardized(g, rh_reshape(g, x, rh_shape2(pixels, s.dim[2]))), s);
  } else {
    const rh_val apart = standardized(g, swapped(g, x, pixels, k, n, rh_shape2(k, pixels * n)));
    y = swapped(g, apart, k, pixels, n, s);
  }
  return rh_add(g, rh_mul(g, y, rh_over_pixels(g, rh_leaf_val(g, norm->scale), s)), rh_over_pixels(g, rh_leaf_val(g, norm->shift), s));
}
