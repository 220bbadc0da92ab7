/* Rational-quadratic splines (kernel.h) out of ordinary operations, a value [m] for every raw number, knot and bin: what the fused
 * operation is derived by a second time, and what its tests compare it with. Formulas as in the paper: Durkan et al. 2019, eq. (4) and (5).
 */
#include "graph/graph.h"

typedef struct plain {
  rh_graph *g;
  rh_shape shape; /* [m] */
  int64_t m, params;
  rh_val raw;
} plain;

typedef struct raw_how {
  int64_t params, which;
} raw_how;
static int64_t raw_of(const void *arg, int64_t i) {
  const raw_how *how = arg;
  return i * how->params + how->which;
}
static rh_val raw_at(const plain *p, int64_t which) {
  return rh_gather_runs(p->g, p->raw, p->shape, 1, raw_of, &(raw_how){p->params, which});
}

static rh_val opposite(rh_graph *g, rh_val mask) {
  return rh_addc(g, rh_neg(g, mask), 1);
}

static rh_val select(rh_graph *g, rh_val mask, rh_val yes, rh_val no) {
  return rh_add(g, rh_mul(g, mask, yes), rh_mul(g, opposite(g, mask), no));
}

static void knots(const plain *p, int64_t k, int64_t first, double box, double least, rh_val *at) {
  rh_graph *g = p->g;
  rh_val e[RH_RQS_BINS], most = raw_at(p, first), sum = RH_NONE, until = RH_NONE;
  for (int64_t i = 1; i < k; i++) most = rh_max(g, most, raw_at(p, first + i));
  for (int64_t i = 0; i < k; i++) {
    e[i] = rh_exp(g, rh_sub(g, raw_at(p, first + i), most));
    sum = rh_add_maybe(g, sum, e[i]);
  }
  at[0] = rh_const(g, p->shape, -box);
  at[k] = rh_const(g, p->shape, box);
  for (int64_t i = 1; i < k; i++) {
    until = rh_add_maybe(g, until, e[i - 1]);
    at[i] = rh_addc(g, rh_mulc(g, rh_div(g, until, sum), 2 * box * (1 - (double)k * least)), 2 * box * least * (double)i - box);
  }
}

/* x within the box, and 1 where it was there. */
static rh_val into_box(rh_graph *g, const rh_rqs *s, rh_val x, rh_val *inside) {
  const double b = s->box;
  *inside = RH_NONE;
  if (s->tails == RH_TAILS_CIRCULAR) {
    x = rh_sub(g, x, rh_mulc(g, rh_floor(g, rh_mulc(g, rh_addc(g, x, b), 1 / (2 * b))), 2 * b));
  } else {
    const rh_val one = rh_const(g, rh_shape1(1), b);
    *inside = rh_mul(g, opposite(g, rh_greater(g, x, one)), opposite(g, rh_greater(g, rh_neg(g, x), one)));
  }
  return rh_maxc(g, rh_minc(g, x, b), -b);
}

void rh_rqs_plain(rh_graph *g, const rh_rqs *s, rh_val x, rh_val raw, rh_val *y, rh_val *ladj) {
  const int64_t k = s->bins, m = rh_count(g, x);
  const plain p = {g, rh_shape1(m), m, rh_rqs_params(s), raw};
  *y = *ladj = RH_NONE;
  if (g->status != RH_OK) return;
  rh_val at[2][RH_RQS_BINS + 1], slope[RH_RQS_BINS + 1], inside, left[2], right[2], d[2];
  x = rh_reshape(g, x, p.shape);
  const rh_val in = into_box(g, s, x, &inside);
  knots(&p, k, 0, s->box, s->min_width, at[0]);
  knots(&p, k, k, s->box, s->min_height, at[1]);
  for (int64_t i = 0; i <= k; i++) {
    const int64_t which = rh_rqs_slope_at(s, i);
    slope[i] =
        which == p.params ? rh_const(g, p.shape, 1) : rh_addc(g, rh_softplus(g, rh_addc(g, raw_at(&p, which), s->shift)), s->min_slope);
  }
  for (int side = 0; side < 2; side++) left[side] = at[side][0], right[side] = at[side][1], d[side] = slope[side];
  for (int64_t i = 1; i < k; i++) {
    const rh_val here = opposite(g, rh_greater(g, at[0][i], in));
    for (int side = 0; side < 2; side++) {
      left[side] = select(g, here, at[side][i], left[side]);
      right[side] = select(g, here, at[side][i + 1], right[side]);
      d[side] = select(g, here, slope[i + side], d[side]);
    }
  }
  const rh_val w = rh_sub(g, right[0], left[0]), h = rh_sub(g, right[1], left[1]), r = rh_div(g, h, w);
  const rh_val theta = rh_div(g, rh_sub(g, in, left[0]), w), t = opposite(g, theta), z = rh_mul(g, theta, t);
  const rh_val two = rh_square(g, theta), den = rh_add(g, r, rh_mul(g, rh_sub(g, rh_add(g, d[0], d[1]), rh_mulc(g, r, 2)), z));
  const rh_val num = rh_add(g, rh_mul(g, r, two), rh_mul(g, d[0], z));
  const rh_val rise = rh_add(g, rh_add(g, rh_mul(g, d[1], two), rh_mul(g, rh_mulc(g, r, 2), z)), rh_mul(g, d[0], rh_square(g, t)));
  *y = rh_add(g, left[1], rh_div(g, rh_mul(g, h, num), den));
  *ladj = rh_add(g, rh_log(g, rise), rh_mulc(g, rh_log(g, rh_div(g, r, den)), 2));
  if (rh_is_none(inside)) return;
  *y = select(g, inside, *y, x);
  *ladj = rh_mul(g, inside, *ladj);
}
