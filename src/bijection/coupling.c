/* Coupling (Dinh et al. 2014, eq. 6-8): some columns are kept; a net reads them (and the context) and gives the parameters of an
 * elementwise transform of the others. Of an image (Dinh et al. 2017, section 3.4) channels or every other pixel are kept, and the net is
 * one of images. "elementwise" keeps none: its parameters are learned constants, or functions of the context. */
#include <stdio.h>

#include "bijection/image_mask.h"
#include "bijection/mask.h"
#include "bijection/parts.h"
#include "bijection/transform.h"

enum { PREFIX_BYTES = 256 };

typedef struct coupling {
  rh_bijection b;
  rh_mask mask;        /* of a vector, or */
  rh_image_mask image; /* of an image; else all zero */
  rh_transform *transform;
  rh_net *net;
} coupling;

static rh_status create_rest(coupling *c, const rh_build *build, rh_spec *spec) {
  char where[RH_WHERE_BYTES], prefix[PREFIX_BYTES];
  rh_spec_where(spec, "transform", -1, where);
  RH_TRY(rh_transform_create(rh_spec_json(spec, "transform"), where, &c->transform));
  rh_spec_set(spec, "transform", json_incref(c->transform->spec));
  rh_spec_where(spec, "net", -1, where);
  snprintf(prefix, sizeof prefix, "%s.net", build->prefix);
  const rh_build inner = {build->leaves, prefix, build->context};
  const json_t *net = rh_spec_json(spec, "net");
  const int64_t params = c->transform->params;
  RH_TRY(c->image.changed ? rh_image_net_create(&inner, net, where, c->image.seen, params * c->image.channels, &c->net)
                          : rh_net_create(&inner, net, where, c->mask.kept, params * c->mask.changed, &c->net));
  rh_spec_set(spec, "net", json_incref(c->net->spec));
  c->b.context = build->context;
  return rh_spec_status(spec);
}

static rh_status coupling_create(rh_bijection *b, const rh_build *build, rh_spec *spec) {
  coupling *c = (coupling *)b;
  if (b->in.rank == 3) {
    RH_TRY(rh_image_mask_read(&c->image, spec, b->in));
  } else {
    RH_TRY(rh_need_vector(b, spec));
    RH_TRY(rh_mask_read(&c->mask, spec, rh_columns_of(b)));
  }
  return create_rest(c, build, spec);
}

static rh_status elementwise_create(rh_bijection *b, const rh_build *build, rh_spec *spec) {
  coupling *c = (coupling *)b;
  RH_TRY(rh_mask_all(&c->mask, rh_shape_count(&b->in))); /* of an image all its numbers */
  return create_rest(c, build, spec);
}

/* Both ways: what is kept passes, so the parameters are the same. Transforms of one pixel's channels have their raw numbers by parameter
 * where they may: a few runs to move, not single numbers. */
static void run_image(const coupling *c, rh_graph *g, rh_val x, rh_val context, bool forward, rh_val *y, rh_val *ladj) {
  const rh_transform_type *transform = c->transform->type;
  const int64_t params = c->transform->params;
  rh_val seen, changed, out = RH_NONE, each = RH_NONE;
  rh_image_mask_split(&c->image, g, x, &seen, &changed);
  const rh_val all = rh_image_mask_raw(&c->image, g, rh_image_net_apply(c->net, g, seen, context), params);
  const rh_raw raw = {all, c->image.changed, params, transform->by_element, c->image.channels};
  (forward ? transform->forward : transform->inverse)(c->transform, g, changed, &raw, &out, &each);
  if (!rh_is_none(each)) *ladj = rh_sum(g, each);
  *y = rh_image_mask_join(&c->image, g, seen, out);
}

static void run(const coupling *c, rh_graph *g, rh_val x, rh_val context, bool forward, rh_val *y, rh_val *ladj) {
  const rh_transform_type *transform = c->transform->type;
  rh_val kept, changed, out = RH_NONE, each = RH_NONE;
  if (c->image.changed) {
    run_image(c, g, x, context, forward, y, ladj);
    return;
  }
  if (c->b.in.rank != 1) x = rh_reshape(g, x, rh_shape1(c->mask.d));
  rh_mask_split(&c->mask, g, x, &kept, &changed);
  const rh_raw raw = {rh_net_apply(c->net, g, kept, context), c->mask.changed, c->transform->params, transform->by_element, 0};
  (forward ? transform->forward : transform->inverse)(c->transform, g, changed, &raw, &out, &each);
  if (!rh_is_none(each)) *ladj = rh_sum(g, each);
  *y = rh_reshape(g, rh_mask_join(&c->mask, g, kept, out), c->b.in);
}

static void coupling_forward(const rh_bijection *b, rh_graph *g, rh_val x, rh_val context, rh_val noise, rh_val *y, rh_val *ladj) {
  (void)noise;
  run((const coupling *)b, g, x, context, true, y, ladj);
}

static void coupling_inverse(const rh_bijection *b, rh_graph *g, rh_val y, rh_val context, rh_val *x, rh_val *ladj) {
  run((const coupling *)b, g, y, context, false, x, ladj);
}

static double coupling_box(const rh_bijection *b) {
  return rh_transform_box(((const coupling *)b)->transform);
}

static void coupling_destroy(rh_bijection *b) {
  coupling *c = (coupling *)b;
  rh_mask_free(&c->mask);
  rh_image_mask_free(&c->image);
  rh_transform_destroy(c->transform);
  rh_net_destroy(c->net);
}

const rh_bijection_type rh_bijection_coupling = {.type = "coupling",
                                                 .bytes = sizeof(coupling),
                                                 .conditioned = true,
                                                 .create = coupling_create,
                                                 .forward = coupling_forward,
                                                 .inverse = coupling_inverse,
                                                 .destroy = coupling_destroy,
                                                 .box = coupling_box};
const rh_bijection_type rh_bijection_elementwise = {.type = "elementwise",
                                                    .bytes = sizeof(coupling),
                                                    .conditioned = true,
                                                    .create = elementwise_create,
                                                    .forward = coupling_forward,
                                                    .inverse = coupling_inverse,
                                                    .destroy = coupling_destroy,
                                                    .box = coupling_box};
