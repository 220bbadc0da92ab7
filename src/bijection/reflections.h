/* An orthogonal matrix Q = H(u1) H(u2) ... H(un), H(u) = I - 2 u u' / |u|^2 (Tomczak & Welling 2016), n even, so a rotation. The vectors
 * come in pairs v, v + turn with turns that start at zero: H(v) H(v) = I, so Q starts as the identity, and moves. */
#ifndef RH_BIJECTION_REFLECTIONS_H
#define RH_BIJECTION_REFLECTIONS_H
#include "bijection/bijection.h"

typedef struct rh_reflections {
  int64_t d, n;       /* n = 0 for a single column: nothing to turn */
  int vectors, turns; /* leaves [d, n / 2]: a vector is a column */
} rh_reflections;
/* Reads option "reflections"; adds leaves prefix.vectors, prefix.turns. */
rh_status rh_reflections_create(const rh_build *build, rh_spec *spec, int64_t d, rh_reflections *r) RH_WARN_UNUSED;
rh_val rh_reflections_apply(const rh_reflections *r, rh_graph *g, rh_val x, bool transposed); /* Q x, or Q' x = Q^-1 x */
#endif
