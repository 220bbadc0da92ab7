/* Rotation y = Q x, of a vector or of the channels of every pixel, by Householder reflections: volume-preserving, log|det| = 0. Starts as
 * the identity. */
#include "bijection/parts.h"
#include "bijection/reflections.h"

typedef struct householder {
  rh_bijection b;
  rh_reflections q;
} householder;

static rh_status householder_create(rh_bijection *b, const rh_build *build, rh_spec *spec) {
  rh_channels c;
  RH_TRY(rh_need_channels(b, spec, &c));
  return rh_reflections_create(build, spec, c.n, &((householder *)b)->q);
}

static void householder_forward(const rh_bijection *b, rh_graph *g, rh_val x, rh_val context, rh_val noise, rh_val *y, rh_val *ladj) {
  (void)context, (void)noise, (void)ladj;
  *y = rh_reflections_apply(&((const householder *)b)->q, g, x, false);
}

static void householder_inverse(const rh_bijection *b, rh_graph *g, rh_val y, rh_val context, rh_val *x, rh_val *ladj) {
  (void)context, (void)ladj;
  *x = rh_reflections_apply(&((const householder *)b)->q, g, y, true);
}

const rh_bijection_type rh_bijection_householder = {.type = "householder",
                                                    .bytes = sizeof(householder),
                                                    .create = householder_create,
                                                    .forward = householder_forward,
                                                    .inverse = householder_inverse};
