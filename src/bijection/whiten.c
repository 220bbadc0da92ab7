/* y = W (x - mean), W lower triangular: the inverse of the covariance's Cholesky factor, so y has the identity as covariance. "mean" [d]
 * and "factor" (W, row by row, d x d) stand in the specification, or are taken from the first rows; states. */
#include <math.h>

#include "base/memory.h"
#include "bijection/parts.h"
#include "bijection/start.h"
#include "bijection/triangle.h"

typedef struct whiten {
  rh_bijection b;
  int mean, factor;
  bool given;
} whiten;

static rh_status check_factor(rh_spec *spec, int64_t d, double *w) {
  for (int64_t i = 0; i < d; i++) {
    if (!(w[i * d + i] > 0))
      return rh_spec_fail(spec, "factor", "the diagonal must be above 0, it is %g at %lld", w[i * d + i], (long long)i);
    for (int64_t j = i + 1; j < d; j++)
      if (w[i * d + j] != 0)
        return rh_spec_fail(spec, "factor", "must be lower triangular: row %lld, column %lld is not 0", (long long)i, (long long)j);
  }
  return RH_OK;
}

static rh_status read_values(whiten *m, const rh_build *build, rh_spec *spec, int64_t d, double *mean, double *w) {
  m->given = rh_spec_reals(spec, "mean", d, 0, -1e37, 1e37, mean);
  if (rh_spec_reals(spec, "factor", d * d, 0, -1e37, 1e37, w)) {
    m->given = true;
  } else {
    for (int64_t i = 0; i < d; i++) w[i * d + i] = 1;
  }
  RH_TRY(rh_spec_status(spec));
  RH_TRY(check_factor(spec, d, w));
  RH_TRY(rh_state_add(build, "mean", rh_shape1(d), 0, mean, &m->mean));
  return rh_state_add(build, "factor", rh_shape2(d, d), 0, w, &m->factor);
}

static rh_status whiten_create(rh_bijection *b, const rh_build *build, rh_spec *spec) {
  RH_TRY(rh_need_vector(b, spec));
  const int64_t d = rh_columns_of(b);
  if (d > RH_TRIANGLE_MAX)
    return rh_fail(RH_E_SPEC, "%s: whiten takes at most %d columns, not %lld; use standardize", spec->o.where, RH_TRIANGLE_MAX,
                   (long long)d);
  double *mean = rh_alloc((size_t)(d + d * d) * sizeof *mean);
  if (!mean) return RH_E_MEMORY;
  const rh_status status = read_values((whiten *)b, build, spec, d, mean, mean + d);
  rh_free(mean);
  return status;
}

static int64_t on_diagonal(const void *d, int64_t i) {
  return i * *(const int64_t *)d + i;
}
static rh_val log_det(const whiten *m, rh_graph *g) {
  const int64_t d = rh_columns_of(&m->b);
  return rh_sum(g, rh_log(g, rh_gather_runs(g, rh_leaf_val(g, m->factor), rh_shape1(d), 1, on_diagonal, &d)));
}

static void whiten_forward(const rh_bijection *b, rh_graph *g, rh_val x, rh_val context, rh_val noise, rh_val *y, rh_val *ladj) {
  const whiten *m = (const whiten *)b;
  (void)context, (void)noise;
  *y = rh_linear(g, rh_sub(g, x, rh_leaf_val(g, m->mean)), rh_leaf_val(g, m->factor), RH_NONE);
  *ladj = log_det(m, g);
}

static void whiten_inverse(const rh_bijection *b, rh_graph *g, rh_val y, rh_val context, rh_val *x, rh_val *ladj) {
  const whiten *m = (const whiten *)b;
  (void)context;
  *x = rh_add(g, rh_trisolve(g, y, rh_leaf_val(g, m->factor), true, false, false), rh_leaf_val(g, m->mean));
  *ladj = rh_neg(g, log_det(m, g));
}

/* Lower triangle of the rows' correlations; a column that does not vary is independent of all others. */
static void correlations(int64_t rows, int64_t d, const double *x, const double *mean, const double *sd, double *c) {
  for (int64_t r = 0; r < rows; r++)
    for (int64_t i = 0; i < d; i++) {
      const double u = (x[r * d + i] - mean[i]) / sd[i] / (double)rows;
      for (int64_t j = 0; j <= i; j++) c[i * d + j] += u * ((x[r * d + j] - mean[j]) / sd[j]);
    }
  for (int64_t i = 0; i < d; i++)
    for (int64_t j = 0; j <= i; j++)
      if (i == j ? !(c[i * d + j] > 0.5) : !isfinite(c[i * d + j])) c[i * d + j] = i == j;
}

/* c: [d, d], a covariance -> its Cholesky factor, in the lower triangle. Pivots that rounding has taken (a column that others explain)
 * count as 1e-10 of the column's variance. */
static void cholesky(int64_t d, double *c) {
  for (int64_t j = 0; j < d; j++) {
    const double variance = c[j * d + j];
    double pivot = variance;
    for (int64_t k = 0; k < j; k++) pivot -= c[j * d + k] * c[j * d + k];
    if (!(pivot > 1e-10 * variance)) pivot = 1e-10 * variance;
    c[j * d + j] = sqrt(pivot);
    for (int64_t i = j + 1; i < d; i++) {
      double s = c[i * d + j];
      for (int64_t k = 0; k < j; k++) s -= c[i * d + k] * c[j * d + k];
      c[i * d + j] = s / c[j * d + j];
    }
  }
}

/* w = l^-1, both lower triangular [d, d]. */
static void invert_lower(int64_t d, const double *l, double *w) {
  for (int64_t j = 0; j < d; j++)
    for (int64_t i = 0; i < d; i++) {
      double s = i == j;
      for (int64_t k = j; k < i; k++) s -= l[i * d + k] * w[k * d + j];
      w[i * d + j] = i < j ? 0 : s / l[i * d + i];
    }
}

static rh_status whiten_warm_up(const rh_bijection *b, const rh_leaves *leaves, rh_values *values, int64_t rows, const double *x) {
  const whiten *m = (const whiten *)b;
  const int64_t d = rh_columns_of(b);
  if (m->given || rows < 2) return RH_OK;
  double *mean = rh_alloc_zero((size_t)(2 * d + 2 * d * d), sizeof *mean);
  if (!mean) return RH_E_MEMORY;
  double *sd = mean + d, *c = sd + d, *w = c + d * d;
  rh_column_moments(rows, d, x, mean, sd);
  correlations(rows, d, x, mean, sd, c);
  cholesky(d, c);
  invert_lower(d, c, w);
  for (int64_t i = 0; i < d; i++) rh_values_set(leaves, values, m->mean, i, mean[i]);
  for (int64_t i = 0; i < d * d; i++) rh_values_set(leaves, values, m->factor, i, w[i] / sd[i % d]);
  rh_free(mean);
  return RH_OK;
}

const rh_bijection_type rh_bijection_whiten = {.type = "whiten",
                                               .bytes = sizeof(whiten),
                                               .create = whiten_create,
                                               .forward = whiten_forward,
                                               .inverse = whiten_inverse,
                                               .warm_up = whiten_warm_up};
