/* Linear layer y = L U x + b, L unit lower and U upper triangular (Durkan et al. 2019, section 3.2 and appendix B.1; Oliva et al. 2018):
 * log|det| = sum of U's log-diagonal, itself bounded smoothly. Starts as the identity. Leaves prefix.lower, prefix.upper (packed,
 * triangle.h), prefix.log_diagonal, prefix.bias. */
#include "bijection/parts.h"
#include "bijection/triangle.h"

typedef struct lu {
  rh_bijection b;
  int lower, upper, log_diagonal, bias; /* lower, upper: -1 for a single column */
  double bound;
} lu;

static rh_status lu_create(rh_bijection *b, const rh_build *build, rh_spec *spec) {
  lu *m = (lu *)b;
  RH_TRY(rh_need_vector(b, spec));
  const int64_t d = rh_columns_of(b), packed = d * (d - 1) / 2;
  const rh_init zero = {RH_INIT_CONSTANT, 0, NULL};
  m->bound = rh_spec_real(spec, "bound", 5, 0.01, 80);
  m->lower = m->upper = -1;
  RH_TRY(rh_spec_status(spec));
  if (d > RH_TRIANGLE_MAX)
    return rh_fail(RH_E_SPEC, "%s: lu takes at most %d columns, not %lld; use a permutation", spec->o.where, RH_TRIANGLE_MAX, (long long)d);
  if (d > 1) {
    RH_TRY(rh_leaf_add(build->leaves, RH_PARAM, rh_shape1(packed), zero, false, &m->lower, "%s.lower", build->prefix));
    RH_TRY(rh_leaf_add(build->leaves, RH_PARAM, rh_shape1(packed), zero, false, &m->upper, "%s.upper", build->prefix));
  }
  RH_TRY(rh_leaf_add(build->leaves, RH_PARAM, rh_shape1(d), zero, false, &m->log_diagonal, "%s.log_diagonal", build->prefix));
  return rh_leaf_add(build->leaves, RH_PARAM, rh_shape1(d), zero, false, &m->bias, "%s.bias", build->prefix);
}

/* All parameters: computed once, before the rows. */
static void matrices(const lu *m, rh_graph *g, rh_val *lower, rh_val *upper, rh_val *ladj) {
  const int64_t d = rh_columns_of(&m->b);
  const rh_val log_diagonal = rh_bound(g, rh_leaf_val(g, m->log_diagonal), m->bound);
  *lower = rh_triangle(g, d > 1 ? rh_leaf_val(g, m->lower) : RH_NONE, RH_NONE, d, true);
  *upper = rh_triangle(g, d > 1 ? rh_leaf_val(g, m->upper) : RH_NONE, rh_exp(g, log_diagonal), d, false);
  *ladj = rh_sum(g, log_diagonal);
}

static void lu_forward(const rh_bijection *b, rh_graph *g, rh_val x, rh_val context, rh_val noise, rh_val *y, rh_val *ladj) {
  const lu *m = (const lu *)b;
  rh_val lower, upper;
  (void)context, (void)noise;
  matrices(m, g, &lower, &upper, ladj);
  *y = rh_linear(g, rh_linear(g, x, upper, RH_NONE), lower, rh_leaf_val(g, m->bias));
}

static void lu_inverse(const rh_bijection *b, rh_graph *g, rh_val y, rh_val context, rh_val *x, rh_val *ladj) {
  const lu *m = (const lu *)b;
  rh_val lower, upper;
  (void)context;
  matrices(m, g, &lower, &upper, ladj);
  const rh_val middle = rh_trisolve(g, rh_sub(g, y, rh_leaf_val(g, m->bias)), lower, true, true, false);
  *x = rh_trisolve(g, middle, upper, false, false, false);
  *ladj = rh_neg(g, *ladj);
}

const rh_bijection_type rh_bijection_lu = {
    .type = "lu", .bytes = sizeof(lu), .create = lu_create, .forward = lu_forward, .inverse = lu_inverse};
