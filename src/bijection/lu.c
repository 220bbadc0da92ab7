/* Linear layer y = L U x + b, L unit lower and U upper triangular (Durkan et al. 2019, section 3.2 and appendix B.1; Oliva et al. 2018):
 * log|det| = sum of U's log-diagonal, itself bounded smoothly. Starts as the identity. Leaves prefix.lower, prefix.upper (packed,
 * triangle.h), prefix.log_diagonal, prefix.bias.
 *
 * Of an image: the same of the channels of every pixel, an invertible 1x1 convolution (Kingma & Dhariwal 2018, section 3.2): y = P L U x,
 * one product a pixel with a matrix that is computed once, before the rows; and with its inverse the other way. With "start": "rotation" it
 * starts as a random rotation, of which P and the signs of U's diagonal stay. A bias where asked, since ActNorm has one. */
#include <math.h>

#include "base/memory.h"
#include "bijection/parts.h"
#include "bijection/rotation.h"
#include "bijection/triangle.h"

typedef struct lu {
  rh_bijection b;
  rh_channels channels;
  int lower, upper, log_diagonal, bias; /* lower, upper: -1 for a single column; bias: -1: none */
  double bound;
  bool image;
  int32_t *rows; /* of an image [c c]: where P L U's numbers stand in L U */
  double *sign;  /* of an image [c]: of U's diagonal */
} lu;

typedef struct lu_start { /* NULL: zeros */
  double *lower, *upper, *log_diagonal;
} lu_start;

static rh_status add_leaves(lu *m, const rh_build *build, const lu_start *start, bool bias) {
  const int64_t d = m->channels.n, packed = d * (d - 1) / 2;
  const rh_init zero = {RH_INIT_CONSTANT, 0, NULL};
  const rh_init lower = start->lower ? (rh_init){RH_INIT_VALUES, 0, start->lower} : zero,
                upper = start->upper ? (rh_init){RH_INIT_VALUES, 0, start->upper} : zero,
                log_diagonal = start->log_diagonal ? (rh_init){RH_INIT_VALUES, 0, start->log_diagonal} : zero;
  m->lower = m->upper = m->bias = -1;
  if (d > 1) {
    RH_TRY(rh_leaf_add(build->leaves, RH_PARAM, rh_shape1(packed), lower, false, &m->lower, "%s.lower", build->prefix));
    RH_TRY(rh_leaf_add(build->leaves, RH_PARAM, rh_shape1(packed), upper, false, &m->upper, "%s.upper", build->prefix));
  }
  RH_TRY(rh_leaf_add(build->leaves, RH_PARAM, rh_shape1(d), log_diagonal, false, &m->log_diagonal, "%s.log_diagonal", build->prefix));
  return bias ? rh_leaf_add(build->leaves, RH_PARAM, rh_shape1(d), zero, false, &m->bias, "%s.bias", build->prefix) : RH_OK;
}

/* ---- of an image ---- */

/* all: room for [c (c - 1)] and [c] numbers, of the start. */
static rh_status start_of_image(lu *m, bool rotation, uint64_t seed, double *all, lu_start *start) {
  const int64_t c = m->channels.n, packed = c * (c - 1) / 2;
  int32_t *order = m->rows; /* its first row, filled last to first below */
  for (int64_t i = 0; i < c; i++) order[i] = (int32_t)i, m->sign[i] = 1;
  if (rotation) {
    *start = (lu_start){all, all + packed, all + 2 * packed};
    RH_TRY(rh_factored_rotation(c, seed, order, start->lower, start->upper, start->log_diagonal));
    for (int64_t i = 0; i < c; i++) {
      const double s = start->log_diagonal[i], bounded = log(fabs(s)) / m->bound;
      m->sign[i] = s < 0 ? -1 : 1;
      start->log_diagonal[i] = m->bound * atanh(fmax(-0.999, fmin(bounded, 0.999)));
    }
  }
  for (int64_t k = c * c - 1; k >= 0; k--) m->rows[k] = (int32_t)(order[k / c] * c + k % c);
  return RH_OK;
}

static rh_status create_image(lu *m, const rh_build *build, rh_spec *spec) {
  static const char *const starts[] = {"identity", "rotation", NULL};
  const int64_t c = m->channels.n;
  const bool rotation = rh_spec_choice(spec, "start", 0, starts) == 1, bias = rh_spec_bool(spec, "bias", false);
  const int64_t seed = rotation ? rh_spec_int(spec, "seed", 0, 0, (int64_t)1 << 53) : 0;
  RH_TRY(rh_spec_status(spec));
  m->rows = rh_alloc((size_t)(c * c) * sizeof *m->rows);
  m->sign = rh_alloc((size_t)c * sizeof *m->sign);
  double *all = rh_alloc((size_t)(c * c) * sizeof *all);
  lu_start start = {NULL, NULL, NULL};
  rh_status status = m->rows && m->sign && all ? start_of_image(m, rotation, (uint64_t)seed, all, &start) : RH_E_MEMORY;
  if (status == RH_OK) status = add_leaves(m, build, &start, bias);
  rh_free(all);
  return status;
}

static rh_status lu_create(rh_bijection *b, const rh_build *build, rh_spec *spec) {
  lu *m = (lu *)b;
  const lu_start zeros = {NULL, NULL, NULL};
  RH_TRY(rh_need_channels(b, spec, &m->channels));
  m->bound = rh_spec_real(spec, "bound", 5, 0.01, 80);
  m->image = b->in.rank == 3;
  RH_TRY(rh_spec_status(spec));
  if (m->channels.n > RH_TRIANGLE_MAX)
    return rh_fail(RH_E_SPEC, "%s: lu takes at most %d %s, not %lld; use a permutation", spec->o.where, RH_TRIANGLE_MAX,
                   m->image ? "channels" : "columns", (long long)m->channels.n);
  return m->image ? create_image(m, build, spec) : add_leaves(m, build, &zeros, true);
}

/* All parameters: computed once, before the rows. */
static void matrices(const lu *m, rh_graph *g, rh_val *lower, rh_val *upper, rh_val *ladj) {
  const int64_t d = m->channels.n;
  const rh_val log_diagonal = rh_bound(g, rh_leaf_val(g, m->log_diagonal), m->bound);
  rh_val diagonal = rh_exp(g, log_diagonal);
  if (m->image) diagonal = rh_mul(g, diagonal, rh_const_values(g, rh_shape1(d), m->sign));
  *lower = rh_triangle(g, d > 1 ? rh_leaf_val(g, m->lower) : RH_NONE, RH_NONE, d, true);
  *upper = rh_triangle(g, d > 1 ? rh_leaf_val(g, m->upper) : RH_NONE, diagonal, d, false);
  *ladj = rh_each_pixel(&m->channels, g, rh_sum(g, log_diagonal));
}

/* P M for a matrix M [c, c] */
static rh_val permuted(const lu *m, rh_graph *g, rh_val matrix) {
  return rh_gather(g, matrix, rh_shape2(m->channels.n, m->channels.n), m->rows);
}

static void lu_forward(const rh_bijection *b, rh_graph *g, rh_val x, rh_val context, rh_val noise, rh_val *y, rh_val *ladj) {
  const lu *m = (const lu *)b;
  rh_val lower, upper;
  (void)context, (void)noise;
  matrices(m, g, &lower, &upper, ladj);
  const rh_val bias = m->bias < 0 ? RH_NONE : rh_leaf_val(g, m->bias);
  if (m->image)
    *y = rh_linear(g, x, permuted(m, g, rh_matmul(g, lower, upper, false, false)), bias);
  else
    *y = rh_linear(g, rh_linear(g, x, upper, RH_NONE), lower, bias);
}

/* x = U^-1 L^-1 P' y. Row i of the solves of the identity is (U^-1 L^-1) e_i, so x, a row, is P' y times their matrix. */
static rh_val by_inverse(const lu *m, rh_graph *g, rh_val y, rh_val lower, rh_val upper) {
  const int64_t c = m->channels.n;
  double *unit = rh_alloc_zero((size_t)(c * c), sizeof *unit);
  if (!unit) {
    if (g->status == RH_OK) g->status = RH_E_MEMORY;
    return RH_NONE;
  }
  for (int64_t i = 0; i < c; i++) unit[i * c + i] = 1;
  const rh_val identity = rh_const_values(g, rh_shape2(c, c), unit);
  rh_free(unit);
  const rh_val solved = rh_trisolve(g, rh_trisolve(g, identity, lower, true, true, false), upper, false, false, false);
  return rh_linear_t(g, y, permuted(m, g, solved));
}

static void lu_inverse(const rh_bijection *b, rh_graph *g, rh_val y, rh_val context, rh_val *x, rh_val *ladj) {
  const lu *m = (const lu *)b;
  rh_val lower, upper;
  (void)context;
  matrices(m, g, &lower, &upper, ladj);
  const rh_val centered = m->bias < 0 ? y : rh_sub(g, y, rh_spread(b, g, rh_leaf_val(g, m->bias)));
  if (m->image) {
    *x = by_inverse(m, g, centered, lower, upper);
  } else {
    const rh_val middle = rh_trisolve(g, centered, lower, true, true, false);
    *x = rh_trisolve(g, middle, upper, false, false, false);
  }
  *ladj = rh_neg(g, *ladj);
}

static void lu_destroy(rh_bijection *b) {
  rh_free(((lu *)b)->rows);
  rh_free(((lu *)b)->sign);
}

const rh_bijection_type rh_bijection_lu = {
    .type = "lu", .bytes = sizeof(lu), .create = lu_create, .forward = lu_forward, .inverse = lu_inverse, .destroy = lu_destroy};
