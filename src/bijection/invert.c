/* The other way round: {"type": "inverse", "part": bijection}. */
#include <stdio.h>

#include "bijection/parts.h"

enum { PREFIX_BYTES = 256 };

typedef struct inverse {
  rh_bijection b;
  rh_bijection *part;
} inverse;

static rh_status inverse_create(rh_bijection *b, const rh_build *build, rh_spec *spec) {
  inverse *v = (inverse *)b;
  char where[RH_WHERE_BYTES], prefix[PREFIX_BYTES];
  rh_spec_where(spec, "part", -1, where);
  snprintf(prefix, sizeof prefix, "%s.part", build->prefix);
  const rh_build inner = {build->leaves, prefix, build->context};
  RH_TRY(rh_bijection_create(&inner, rh_spec_json(spec, "part"), where, b->in, &v->part));
  if (!v->part->exact || !v->part->type->inverse)
    return rh_spec_fail(spec, "part", "%s cannot be turned round: it is no bijection", v->part->type->type);
  if (!rh_shape_same(&v->part->in, &v->part->out))
    return rh_spec_fail(spec, "part", "%s cannot be turned round here: it changes the shape; of \"squeeze\" the inverse is \"unsqueeze\"",
                        v->part->type->type);
  rh_spec_set(spec, "part", json_incref(v->part->spec));
  b->context = v->part->context;
  return rh_spec_status(spec);
}

static void inverse_forward(const rh_bijection *b, rh_graph *g, rh_val x, rh_val context, rh_val noise, rh_val *y, rh_val *ladj) {
  (void)noise;
  rh_inverse(((const inverse *)b)->part, g, x, context, y, ladj);
}

static void inverse_inverse(const rh_bijection *b, rh_graph *g, rh_val y, rh_val context, rh_val *x, rh_val *ladj) {
  rh_forward(((const inverse *)b)->part, g, y, context, RH_NONE, x, ladj);
}

static double inverse_box(const rh_bijection *b) {
  return rh_bijection_box(((const inverse *)b)->part);
}

static void inverse_destroy(rh_bijection *b) {
  rh_bijection_destroy(((inverse *)b)->part);
}

const rh_bijection_type rh_bijection_inverse = {.type = "inverse",
                                                .bytes = sizeof(inverse),
                                                .create = inverse_create,
                                                .forward = inverse_forward,
                                                .inverse = inverse_inverse,
                                                .destroy = inverse_destroy,
                                                .box = inverse_box};
