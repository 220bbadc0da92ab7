/* Multi-scale (Dinh et al. 2017, section 3.6): the first half of the channels goes on through `part`, the other half leaves. With a network
 * ("net", not null) it leaves as z = (x_b - mu(x_a)) e^-s(x_a) (Kingma & Dhariwal 2018, Split2d): a learned prior of what leaves, given
 * what goes on, so that the base stays one standard normal. [h, w, c] -> a vector: what the part gives, then z, pixel by pixel. */
#include <stdio.h>

#include "bijection/parts.h"

enum { PREFIX_BYTES = 256 };

typedef struct factor_out {
  rh_bijection b;
  int64_t on, leaving; /* channels */
  rh_bijection *part;  /* NULL: nothing more happens */
  rh_net *net;         /* gives mu, then s, by pixel; NULL: no prior */
  double bound;        /* of s */
  rh_shape a, z;
} factor_out;

static rh_status create_part(factor_out *f, const rh_build *build, rh_spec *spec) {
  const json_t *given = rh_spec_json(spec, "part");
  if (!given || json_is_null(given)) {
    rh_spec_set(spec, "part", json_null());
    return rh_spec_status(spec);
  }
  char where[RH_WHERE_BYTES], prefix[PREFIX_BYTES];
  rh_spec_where(spec, "part", -1, where);
  snprintf(prefix, sizeof prefix, "%s.part", build->prefix);
  const rh_build inner = {build->leaves, prefix, build->context};
  RH_TRY(rh_bijection_create(&inner, given, where, f->a, &f->part));
  if (!f->part->exact) return rh_spec_fail(spec, "part", "%s cannot stand here: it is no bijection", f->part->type->type);
  rh_spec_set(spec, "part", json_incref(f->part->spec));
  f->b.context = f->part->context;
  f->b.noise = f->part->noise, f->b.probes = f->part->probes; /* of a part that estimates in training */
  return rh_spec_status(spec);
}

static rh_status create_net(factor_out *f, const rh_build *build, rh_spec *spec) {
  const json_t *given = rh_spec_json(spec, "net");
  if (!given || json_is_null(given)) {
    rh_spec_set(spec, "net", json_null());
    return rh_spec_status(spec);
  }
  char where[RH_WHERE_BYTES], prefix[PREFIX_BYTES];
  f->bound = rh_spec_real(spec, "bound", 5, 0.01, 80);
  RH_TRY(rh_spec_status(spec));
  rh_spec_where(spec, "net", -1, where);
  snprintf(prefix, sizeof prefix, "%s.net", build->prefix);
  const rh_build inner = {build->leaves, prefix, build->context};
  RH_TRY(rh_image_net_create(&inner, given, where, f->a, 2 * f->leaving, &f->net));
  rh_spec_set(spec, "net", json_incref(f->net->spec));
  if (build->context) f->b.context = build->context;
  return rh_spec_status(spec);
}

static rh_status factor_out_create(rh_bijection *b, const rh_build *build, rh_spec *spec) {
  factor_out *f = (factor_out *)b;
  RH_TRY(rh_need_image(b, spec));
  const rh_shape in = b->in;
  if (in.dim[2] < 2)
    return spec->o.status = rh_fail(RH_E_SHAPE, "%s: one channel has no half: put {\"type\": \"squeeze\"} before it", spec->o.where);
  f->on = in.dim[2] / 2, f->leaving = in.dim[2] - f->on;
  f->a = rh_shape3(in.dim[0], in.dim[1], f->on), f->z = rh_shape3(in.dim[0], in.dim[1], f->leaving);
  RH_TRY(create_part(f, build, spec));
  b->out = rh_shape1(rh_shape_count(&in));
  return create_net(f, build, spec);
}

static rh_val going_on(const rh_bijection *b, rh_graph *g, rh_val x) {
  return rh_channels_of(g, x, 0, ((const factor_out *)b)->on);
}

static void prior(const factor_out *f, rh_graph *g, rh_val a, rh_val context, rh_val *mean, rh_val *log_scale) {
  const rh_val both = rh_image_net_apply(f->net, g, a, context);
  *mean = rh_channels_of(g, both, 0, f->leaving);
  *log_scale = rh_bound(g, rh_channels_of(g, both, f->leaving, f->leaving), f->bound);
}

/* A RECOMPUTE region of its own for the split and the prior, unless it is within somebody else's; the part has its own. */
static bool region_begin(rh_graph *g) {
  if (g->scope) return false;
  rh_scope_begin(g);
  return true;
}

static void factor_out_forward(const rh_bijection *b, rh_graph *g, rh_val x, rh_val context, rh_val noise, rh_val *y, rh_val *ladj) {
  const factor_out *f = (const factor_out *)b;
  rh_val parts[2] = {RH_NONE, RH_NONE}, leaving = RH_NONE, within = RH_NONE;
  const bool mine = region_begin(g);
  const rh_val a = parts[0] = going_on(b, g, x);
  parts[1] = rh_channels_of(g, x, f->on, f->leaving);
  if (f->net) {
    rh_val mean, log_scale;
    prior(f, g, a, context, &mean, &log_scale);
    const rh_val s = rh_neg(g, log_scale);
    parts[1] = rh_mulexp(g, rh_sub(g, parts[1], mean), s);
    leaving = rh_sum(g, s);
  }
  if (mine) rh_scope_end(g);
  if (f->part) rh_forward(f->part, g, a, context, noise, &parts[0], &within);
  *y = rh_concat(g, 2, parts);
  *ladj = rh_add_maybe(g, leaving, within);
}

static void factor_out_inverse(const rh_bijection *b, rh_graph *g, rh_val y, rh_val context, rh_val *x, rh_val *ladj) {
  const factor_out *f = (const factor_out *)b;
  const int64_t first = rh_shape_count(&f->a);
  rh_val a = rh_slice(g, y, 0, first), z = rh_slice(g, y, first, rh_shape_count(&f->z)), leaving = RH_NONE, within = RH_NONE;
  if (f->part) rh_inverse(f->part, g, a, context, &a, &within);
  const bool mine = region_begin(g);
  if (f->net && g->status == RH_OK) {
    rh_val mean, log_scale;
    prior(f, g, a, context, &mean, &log_scale);
    z = rh_add(g, rh_mulexp(g, z, log_scale), mean);
    leaving = rh_sum(g, log_scale);
  }
  *x = rh_channels_join(g, rh_reshape(g, a, f->a), rh_reshape(g, z, f->z));
  if (mine) rh_scope_end(g);
  *ladj = rh_add_maybe(g, leaving, within);
}

static rh_bijection *factor_out_within(const rh_bijection *b) {
  return ((const factor_out *)b)->part;
}

static void factor_out_destroy(rh_bijection *b) {
  factor_out *f = (factor_out *)b;
  rh_bijection_destroy(f->part);
  rh_net_destroy(f->net);
}

const rh_bijection_type rh_bijection_factor_out = {.type = "factor_out",
                                                   .bytes = sizeof(factor_out),
                                                   .conditioned = true,
                                                   .create = factor_out_create,
                                                   .forward = factor_out_forward,
                                                   .inverse = factor_out_inverse,
                                                   .destroy = factor_out_destroy,
                                                   .within = factor_out_within,
                                                   .within_input = going_on};
