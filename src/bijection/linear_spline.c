/* Linear splines (Mueller et al. 2019, Neural Importance Sampling, section 4.1, "piecewise-linear" transforms: the cumulative distribution
 * of a histogram), on a box [-B, B] of K equal bins; the identity outside. raw, by element: K heights.
 *
 * Bin k has slope 1 + d_k, d_k = (1 - least) (K softmax(raw)_k - 1), so the slopes' mean is 1 and zeros are the identity, exactly. With
 * D_k = 2 B / K (d_0 + ... + d_(k-1)), y = x + d_k (x - x_k) + D_k within bin k, whose ends are x_k + D_k and x_(k+1) + D_(k+1) in y. The
 * density jumps at the bins' ends; an end belongs to the bin on its right. */
#include "base/memory.h"
#include "bijection/transform.h"
#include "graph/ops.h"

typedef struct linear_spline {
  rh_transform transform;
  int64_t bins;
  double box, least;
} linear_spline;

static rh_status create(rh_transform *t, rh_spec *spec) {
  linear_spline *s = (linear_spline *)t;
  t->params = s->bins = rh_spec_int(spec, "bins", 16, 2, 1024);
  s->box = rh_spec_real(spec, "bound", 5, 1e-3, 1e6);
  s->least = rh_spec_real(spec, "min_slope", 1e-3, 1e-6, 0.5);
  return rh_spec_status(spec);
}

/* What both directions need, by bin: [m, K] all. */
typedef struct bins {
  rh_val excess, offset, next_offset; /* d_k, D_k, D_(k+1) */
  rh_val low, high;                   /* x_k, x_(k+1): shared by all rows */
} bins;

static rh_val shared_table(rh_graph *g, int64_t rows, int64_t cols, double *values) {
  const rh_val v = rh_const_values(g, rh_shape2(rows, cols), values);
  rh_free(values);
  return v;
}

/* The bins' left or right ends for m elements. */
static rh_val ends(const linear_spline *s, rh_graph *g, int64_t m, int right) {
  double *x = rh_alloc((size_t)(m * s->bins) * sizeof *x);
  if (!x) {
    g->status = RH_E_MEMORY;
    return RH_NONE;
  }
  for (int64_t i = 0; i < m * s->bins; i++) {
    const double k = (double)(i % s->bins + right), n = (double)s->bins;
    x[i] = s->box * (2 * k - n) / n;
  }
  return shared_table(g, m, s->bins, x);
}

/* y[k] = x[0] + ... + x[k - 1], times a bin's width. */
static rh_val sum_before(const linear_spline *s, rh_graph *g, rh_val x) {
  double *t = rh_alloc_zero((size_t)(s->bins * s->bins), sizeof *t);
  if (!t) {
    g->status = RH_E_MEMORY;
    return RH_NONE;
  }
  for (int64_t k = 0; k < s->bins; k++)
    for (int64_t j = 0; j < k; j++) t[k * s->bins + j] = 2 * s->box / (double)s->bins;
  return rh_linear(g, x, shared_table(g, s->bins, s->bins, t), RH_NONE);
}

/* Of each bin its right neighbour's; 0 of the last. */
static int64_t next_bin(const void *n, int64_t i) {
  return (i + 1) % *(const int64_t *)n ? i + 1 : -1;
}
static rh_val next_of(const linear_spline *s, rh_graph *g, rh_val x, int64_t m) {
  return rh_gather_runs(g, x, rh_shape2(m, s->bins), 1, next_bin, &s->bins);
}

static bins bins_of(const linear_spline *s, rh_graph *g, const rh_raw *raw) {
  const rh_val h = rh_reshape(g, raw->all, rh_shape2(raw->m, s->bins));
  /* a shift near the greatest keeps exp in range; as a whole number it has no derivative, and needs none: softmax does not see it */
  const rh_val e = rh_exp(g, rh_sub(g, h, rh_expand_last(g, rh_floor(g, rh_max_last(g, h)), s->bins)));
  const rh_val relative = rh_div(g, rh_mulc(g, e, (double)s->bins), rh_expand_last(g, rh_sum_last(g, e), s->bins));
  bins b = {.excess = rh_mulc(g, rh_addc(g, relative, -1), 1 - s->least)};
  b.offset = sum_before(s, g, b.excess);
  b.next_offset = next_of(s, g, b.offset, raw->m);
  b.low = ends(s, g, raw->m, 0);
  b.high = ends(s, g, raw->m, 1);
  return b;
}

static rh_val clipped(const linear_spline *s, rh_graph *g, rh_val x) {
  return rh_expand_last(g, rh_minc(g, rh_maxc(g, x, -s->box), s->box), s->bins);
}

/* 1 in the bin where x is, else 0; x as it is, not clipped, for the box's left end belongs to a bin. Neighbours compare with the same
 * number, so no x is in two bins or, within the box, in none. */
static rh_val inside(rh_graph *g, rh_val x, rh_val low, rh_val high) {
  const rh_val wide = rh_expand_last(g, x, rh_width(g, low));
  return rh_sub(g, rh_greater(g, high, wide), rh_greater(g, low, wide));
}

static rh_val log_slope(rh_graph *g, rh_val in, rh_val excess) {
  return rh_log1p(g, rh_sum_last(g, rh_mul(g, in, excess)));
}

static void forward(const rh_transform *t, rh_graph *g, rh_val x, const rh_raw *raw, rh_val *y, rh_val *ladj) {
  const linear_spline *s = (const linear_spline *)t;
  const bins b = bins_of(s, g, raw);
  const rh_val at = clipped(s, g, x), in = inside(g, x, b.low, b.high);
  const rh_val move = rh_add(g, rh_mul(g, b.excess, rh_sub(g, at, b.low)), b.offset);
  *y = rh_add(g, x, rh_sum_last(g, rh_mul(g, in, move)));
  *ladj = log_slope(g, in, b.excess);
}

static void inverse(const rh_transform *t, rh_graph *g, rh_val y, const rh_raw *raw, rh_val *x, rh_val *ladj) {
  const linear_spline *s = (const linear_spline *)t;
  const bins b = bins_of(s, g, raw);
  const rh_val low = rh_add(g, b.low, b.offset), high = rh_add(g, b.high, b.next_offset);
  const rh_val at = clipped(s, g, y), in = inside(g, y, low, high);
  const rh_val part = rh_div(g, b.excess, rh_addc(g, b.excess, 1)); /* of the way from the bin's end, in y */
  const rh_val move = rh_add(g, rh_mul(g, part, rh_sub(g, at, low)), b.offset);
  *x = rh_sub(g, y, rh_sum_last(g, rh_mul(g, in, move)));
  *ladj = rh_neg(g, log_slope(g, in, b.excess));
}

static double box(const rh_transform *t) {
  return ((const linear_spline *)t)->box;
}

const rh_transform_type rh_transform_linear_spline = {"linear-spline", sizeof(linear_spline), create, 0, true, forward, inverse, box};
