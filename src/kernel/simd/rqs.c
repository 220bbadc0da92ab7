/* Rational-quadratic splines, a group of elements at a time: an element's raw numbers lie together in memory and are turned so that each
 * lane holds one element. Then everything is straight-line: exponentials of all bins, running sums that are compared with x and blended,
 * and the formulas on the chosen bin alone, whose two slopes are the only ones that are computed. The formulas are the reference's
 * (kernel/ref/rqs_ref.c): the identity plus what is added to it. */
#include "kernel/simd/elementary.h"
#include "kernel/simd/loops.h"
#include "kernel/simd/turn.h"

enum { G = RH_GROUP, VECTORS = G / RH_LANES, COLUMNS = 3 * RH_RQS_BINS + 2 };
#define EACH_VECTOR   _Pragma("GCC unroll 4") for (int v = 0; v < VECTORS; v++)
#define EACH_LANE     RH_INDEPENDENT for (int l = 0; l < G; l++)
#define AT(column, v) ((column) + (v)*RH_LANES)

/* A group. x, y: knots left and right of the chosen bin; a, b: its slopes less 1. */
typedef struct group {
  real t[COLUMNS][G]; /* raw numbers, then exponentials; column `params` is zero: slopes that are fixed */
  real most[2][G], sum[2][G];
  real in[G], given[G], inside[G], bin[G];
  real left[2][G], right[2][G], before[2][G], until[2][G]; /* widths, heights: knots; sums of exponentials there */
  real za[G], zb[G];                                       /* raw slopes */
  real ct_y[G], ct_l[G], y[G], l[G];
  real g_left[2][G], g_right[2][G], g_a[G], g_b[G];
} group;

/* Constants of one call. */
typedef struct spline {
  int64_t bins, params, tails;
  real box, base[2][RH_RQS_BINS], room[2]; /* knot k at base[k] + room (sum of exponentials before it) / (sum of all) */
  real shift, one;                         /* softplus(shift) */
  int16_t slope[RH_RQS_BINS + 1];          /* column of a knot's raw slope */
} spline;

static void prepare(const rh_rqs *s, spline *q) {
  *q = (spline){.bins = s->bins, .params = rh_rqs_params(s), .tails = s->tails, .box = (real)s->box, .shift = (real)s->shift};
  for (int side = 0; side < 2; side++) {
    const double least = side ? s->min_height : s->min_width;
    for (int64_t k = 0; k < s->bins; k++) q->base[side][k] = (real)(2 * s->box * least * (double)k - s->box);
    q->room[side] = (real)(2 * s->box * (1 - (double)s->bins * least));
  }
  for (int64_t k = 0; k <= s->bins; k++) q->slope[k] = (int16_t)rh_rqs_slope_at(s, k);
  q->one = f_softplus(q->shift);
}

/* Clips before the mathematics; whole turns are taken away where the box is a circle, of which an infinite x has no place. */
RH_INLINE void into_box(const spline *q, group *g) {
  const real b = q->box, turn = 2 * b;
  const int circle = q->tails == RH_TAILS_CIRCULAR;
  EACH_LANE {
    const real x = g->given[l], wrapped = x - turn * f_floor((x + b) / turn);
    const int in = (x >= -b) & (x <= b);
    real c = in ? x : circle ? wrapped : x;
    c = c > b ? b : c;
    g->in[l] = c >= -b ? c : -b;
    g->given[l] = (circle & !(x - x == 0)) ? x - x : x;
    g->inside[l] = in | circle ? (real)1 : (real)0;
  }
}

/* Softmax without its division: exponentials and their running sums, the bin among the knots of `side`. */
RH_INLINE void exponentials(group *g, const int64_t k) {
  EACH_VECTOR for (int side = 0; side < 2; side++) {
    const real(*t)[G] = g->t + side * k;
    vec_t most = vec_load(AT(t[0], v));
    for (int64_t i = 1; i < k; i++) {
      const vec_t x = vec_load(AT(t[i], v));
      most = choose(x > most, x, most);
    }
    vec_store(AT(g->most[side], v), most);
  }
  for (int side = 0; side < 2; side++)
    for (int64_t i = 0; i < k; i++) {
      real *t = g->t[side * k + i];
      EACH_LANE t[l] = exp_below(t[l] - g->most[side][l]);
    }
  EACH_VECTOR for (int side = 0; side < 2; side++) {
    vec_t sum = vec_load(AT(g->t[side * k], v));
    for (int64_t i = 1; i < k; i++) sum += vec_load(AT(g->t[side * k + i], v));
    vec_store(AT(g->sum[side], v), sum);
  }
}

RH_INLINE void find_bin(const spline *q, group *g, const int64_t k, const int by) {
  EACH_VECTOR {
    const vec_t x = vec_load(AT(g->in, v)), zero = vec_splat(0);
    vec_t until[2] = {zero, zero}, scale[2], knot[2], left[2], right[2], before[2], after[2], bin = zero, za, zb;
    for (int s = 0; s < 2; s++) {
      scale[s] = vec_splat(q->room[s]) / vec_load(AT(g->sum[s], v));
      knot[s] = left[s] = vec_splat(-q->box);
      before[s] = zero;
    }
    mask here = x >= x;
    za = zb = vec_load(AT(g->t[q->slope[0]], v));
    for (int s = 0; s < 2; s++) right[s] = left[s], after[s] = zero;
    for (int64_t i = 0; i < k; i++) { /* bin i: from the knot so far to the next */
      const vec_t za_here = vec_load(AT(g->t[q->slope[i]], v)), zb_here = vec_load(AT(g->t[q->slope[i + 1]], v));
      vec_t start[2] = {knot[0], knot[1]}, start_sum[2] = {until[0], until[1]};
      if (i) here = x >= knot[by];
      for (int s = 0; s < 2; s++) {
        until[s] += vec_load(AT(g->t[s * k + i], v));
        knot[s] = i + 1 == k ? vec_splat(q->box) : vec_fma(scale[s], until[s], vec_splat(q->base[s][i + 1]));
        left[s] = i ? choose(here, start[s], left[s]) : start[s];
        right[s] = i ? choose(here, knot[s], right[s]) : knot[s];
        before[s] = i ? choose(here, start_sum[s], before[s]) : start_sum[s];
        after[s] = i ? choose(here, until[s], after[s]) : until[s];
      }
      za = i ? choose(here, za_here, za) : za_here;
      zb = i ? choose(here, zb_here, zb) : zb_here;
      bin = i ? choose(here, vec_splat((real)i), bin) : bin;
    }
    for (int s = 0; s < 2; s++) {
      vec_store(AT(g->left[s], v), left[s]), vec_store(AT(g->right[s], v), right[s]);
      vec_store(AT(g->before[s], v), before[s]), vec_store(AT(g->until[s], v), after[s]);
    }
    vec_store(AT(g->za, v), za), vec_store(AT(g->zb, v), zb), vec_store(AT(g->bin, v), bin);
  }
}

/* One bin at theta: eq. (4) as y = x + added. */
typedef struct place {
  real w, h, s, e, a, b, c, theta, t, z, den, num;
} place;

RH_INLINE place enter(const spline *q, const group *g, int l) {
  place p;
  p.w = g->right[0][l] - g->left[0][l], p.h = g->right[1][l] - g->left[1][l];
  p.s = p.h / p.w, p.e = (p.h - p.w) / p.w;
  p.a = f_softplus(g->za[l] + q->shift) - q->one, p.b = f_softplus(g->zb[l] + q->shift) - q->one;
  p.c = (p.a + p.b) - 2 * p.e;
  return p;
}
RH_INLINE real unit(real x) {
  x = x > 0 ? x : (real)0;
  return x < 1 ? x : (real)1;
}
RH_INLINE place settle(place p, real theta) {
  p.theta = theta, p.t = 1 - theta, p.z = theta * p.t;
  p.den = FMA(p.c, p.z, p.s);
  p.num = 1 + FMA(p.b * theta, theta, FMA(2 * p.e, p.z, p.a * p.t * p.t));
  return p;
}
RH_INLINE real added_by(const place *p, real shift) {
  return shift + p->w * p->theta * (FMA(p->s, FMA(p->e, p->theta, p->a * p->t), -p->c * p->z) / p->den);
}

RH_INLINE void forward(const spline *q, group *g) {
  EACH_LANE {
    const real x = g->in[l], given = g->given[l];
    place p = enter(q, g, l);
    p = settle(p, unit((x - g->left[0][l]) / p.w));
    real y = x + added_by(&p, g->left[1][l] - g->left[0][l]);
    y = y > q->box ? q->box : y;
    y = y < -q->box ? -q->box : y;
    const real ladj = FMA((real)2, f_log(p.s / p.den), f_log(p.num));
    y = g->inside[l] > 0 ? y : given;
    g->y[l] = given != given ? given : y;
    g->l[l] = given != given ? given : g->inside[l] > 0 ? ladj : (real)0;
  }
}

/* The root of eq. (6) to (8), divided by the slopes so that large ones do not overflow. */
RH_INLINE void backward(const spline *q, group *g) {
  EACH_LANE {
    const real y = g->in[l], given = g->given[l], r = y - g->left[1][l];
    place p = enter(q, g, l);
    const real scale = 1 / (p.s + ((1 + p.a) + (1 + p.b))), s = p.s * scale, d = (1 + p.a) * scale, c = p.c * scale;
    const real a = FMA(p.h, s - d, r * c), b = FMA(p.h, d, -r * c), under = FMA(b, b, 4 * a * (s * r));
    p = settle(p, unit(2 * (s * r) / (b + SQRT(under > 0 ? under : (real)0))));
    const real f = p.s / p.den, near = y - added_by(&p, g->left[1][l] - g->left[0][l]), far = FMA(p.w, p.theta, g->left[0][l]);
    real x = p.num * f * f <= (real)1.5 ? near : far;
    x = x > q->box ? q->box : x;
    x = x < -q->box ? -q->box : x;
    const real ladj = 0 - FMA((real)2, f_log(f), f_log(p.num));
    x = g->inside[l] > 0 ? x : given;
    g->y[l] = given != given ? given : x;
    g->l[l] = given != given ? given : g->inside[l] > 0 ? ladj : (real)0;
  }
}

/* Cotangents of x, of the chosen bin's knots and of its raw slopes. */
RH_INLINE void pull(const spline *q, group *g, const int inverse) {
  EACH_LANE {
    place p = enter(q, g, l);
    p = settle(p, unit((g->in[l] - g->left[0][l]) / p.w));
    const real th = p.theta, t = p.t, z = p.z, gd = 1 / p.den, m = 1 / p.num, rw = 1 / p.w, turn = t - th;
    const real d0 = 1 + p.a, d1 = 1 + p.b, f = p.s * gd, slope = p.num * f * f;
    const real l_theta = 2 * (FMA(d1, th, FMA(p.s, turn, -d0 * t)) * m - p.c * turn * gd);
    real cy = g->ct_y[l], cl = g->ct_l[l];
    if (inverse) {
      cy = (cl * l_theta * rw - cy) / slope;
      cl = -cl;
    }
    const real ratio = FMA(p.s * th, th, d0 * z) * gd, lift = cy * p.h * gd, zd = 2 * z * gd, two = 1 - 2 * z;
    const real g_theta = FMA(cy * p.w, slope, cl * l_theta);
    const real g_s = FMA(lift, FMA(th, th, -ratio * two), cl * (2 / p.s + 2 * (z * m - two * gd)));
    const real g_a = FMA(lift * z, 1 - ratio, cl * FMA(t * t, m, -zd)), g_b = FMA(-lift * z, ratio, cl * FMA(th * th, m, -zd));
    const real g_h = FMA(cy, ratio, g_s * rw), g_w = -FMA(g_s, p.s, g_theta * th) * rw, g_x = g_theta * rw;
    const int in = g->inside[l] > 0;
    const real given = g->given[l], dx = in ? (inverse ? 0 - cy : g_x) : g->ct_y[l];
    g->y[l] = given != given ? given : dx;
    g->g_left[0][l] = in ? -g_x - g_w : (real)0, g->g_right[0][l] = in ? g_w : (real)0;
    g->g_left[1][l] = in ? cy - g_h : (real)0, g->g_right[1][l] = in ? g_h : (real)0;
    g->g_a[l] = in ? g_a * f_sigmoid(g->za[l] + q->shift) : (real)0;
    g->g_b[l] = in ? g_b * f_sigmoid(g->zb[l] + q->shift) : (real)0;
  }
}

/* What they give to the raw numbers, in the columns' places. */
RH_INLINE void pull_columns(const spline *q, group *g, const int64_t k) {
  EACH_VECTOR {
    const vec_t bin = vec_load(AT(g->bin, v)), zero = vec_splat(0), last = vec_splat((real)(k - 1));
    for (int s = 0; s < 2; s++) {
      const vec_t left = vec_load(AT(g->g_left[s], v)), right = vec_load(AT(g->g_right[s], v)), both = left + right;
      const vec_t part = vec_splat(1) / vec_load(AT(g->sum[s], v)), scale = part * vec_splat(q->room[s]);
      const vec_t until = choose(bin >= last, vec_splat(1), vec_load(AT(g->until[s], v)) * part);
      const vec_t all = vec_fma(left, vec_load(AT(g->before[s], v)) * part, right * until);
      for (int64_t i = 0; i < k; i++) {
        const vec_t at = vec_splat((real)i), e = vec_load(AT(g->t[s * k + i], v));
        const vec_t knot = choose(bin > at, both, choose(bin >= at, right, zero));
        vec_store(AT(g->t[s * k + i], v), scale * e * (knot - all));
      }
    }
    const vec_t a = vec_load(AT(g->g_a, v)), b = vec_load(AT(g->g_b, v));
    for (int64_t i = 0; i <= k; i++) {
      const int64_t wraps = q->tails == RH_TAILS_CIRCULAR && i == 0 ? k : i;
      if (q->slope[i] == q->params || (q->tails == RH_TAILS_CIRCULAR && i == k)) continue;
      const vec_t here = choose(bin == vec_splat((real)i), a, zero);
      vec_store(AT(g->t[q->slope[i]], v), here + choose(bin == vec_splat((real)(wraps - 1)), b, zero));
    }
  }
}

/* A group from memory. */
RH_INLINE void group_forward(const spline *q, group *g, const int64_t k, const int inverse, const real *x, const real *raw) {
  memcpy(g->given, x, sizeof g->given);
  turn_in(raw, q->params, g->t[0]);
  into_box(q, g);
  exponentials(g, k);
  find_bin(q, g, k, inverse);
  if (inverse)
    backward(q, g);
  else
    forward(q, g);
}

RH_INLINE void group_pull(const spline *q, group *g, const int64_t k, const int inverse, const real *x, const real *raw) {
  memcpy(g->given, x, sizeof g->given);
  turn_in(raw, q->params, g->t[0]);
  into_box(q, g);
  exponentials(g, k);
  find_bin(q, g, k, 0);
  pull(q, g, inverse);
  pull_columns(q, g, k);
}

/* The usual number of bins is worth code of its own. */
#define DEFINE(name, of, inverse)                                               \
  static void name(const spline *q, group *g, const real *x, const real *raw) { \
    if (q->bins == 8)                                                           \
      of(q, g, 8, inverse, x, raw);                                             \
    else                                                                        \
      of(q, g, q->bins, inverse, x, raw);                                       \
  }
DEFINE(run_forward, group_forward, 0)
DEFINE(run_inverse, group_forward, 1)
DEFINE(pull_forward, group_pull, 0)
DEFINE(pull_inverse, group_pull, 1)

/* The last elements, copied to a full group. */
typedef struct tail {
  real x[G], raw[G * COLUMNS];
} tail;

static void copy_tail(tail *t, int64_t n, int64_t params, const real *x, const real *raw) {
  memset(t->x, 0, sizeof t->x);
  memset(t->raw, 0, (size_t)(G * params) * sizeof(real));
  memcpy(t->x, x, (size_t)n * sizeof(real));
  memcpy(t->raw, raw, (size_t)(n * params) * sizeof(real));
}

/* Points x and raw at the group that begins at element i of n, or at a copy where it is not full; returns its elements. */
static int64_t next_group(const spline *q, tail *t, int64_t i, int64_t n, const real **x, const real **raw) {
  const int64_t count = n - i < G ? n - i : G;
  *x += i, *raw += i * q->params;
  if (count == G) return count;
  copy_tail(t, count, q->params, *x, *raw);
  *x = t->x, *raw = t->raw;
  return count;
}

void RH_SYM(rqs)(const rh_rqs *s, int inverse, int64_t n, const void *x_, const void *raw_, void *y, void *ladj) {
  spline q;
  group g;
  tail t;
  prepare(s, &q);
  memset(g.t[q.params], 0, sizeof g.t[0]);
  for (int64_t i = 0; i < n; i += G) {
    const real *x = x_, *raw = raw_;
    const int64_t count = next_group(&q, &t, i, n, &x, &raw);
    (inverse ? run_inverse : run_forward)(&q, &g, x, raw);
    memcpy((real *)y + i, g.y, (size_t)count * sizeof(real));
    memcpy((real *)ladj + i, g.l, (size_t)count * sizeof(real));
  }
}

static void take(real *to, const real *from, int64_t count) {
  memset(to, 0, G * sizeof *to);
  if (from) memcpy(to, from, (size_t)count * sizeof *to);
}

void RH_SYM(rqs_vjp)(const rh_rqs *s, int inverse, int64_t n, const void *x_, const void *raw_, const void *ct_y, const void *ct_ladj,
                     void *dx, void *draw) {
  spline q;
  group g;
  tail t;
  prepare(s, &q);
  memset(g.t[q.params], 0, sizeof g.t[0]);
  for (int64_t i = 0; i < n; i += G) {
    const real *x = x_, *raw = raw_;
    const int64_t count = next_group(&q, &t, i, n, &x, &raw);
    take(g.ct_y, ct_y ? (const real *)ct_y + i : NULL, count);
    take(g.ct_l, ct_ladj ? (const real *)ct_ladj + i : NULL, count);
    (inverse ? pull_inverse : pull_forward)(&q, &g, x, raw);
    real *to = (real *)draw + i * q.params;
    turn_out(count < G ? t.raw : to, q.params, g.t[0]);
    if (count < G) memcpy(to, t.raw, (size_t)(count * q.params) * sizeof(real));
    memcpy((real *)dx + i, g.y, (size_t)count * sizeof(real));
  }
}
