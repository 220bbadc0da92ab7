/* Rational-quadratic splines: the oracle. In double by libm, one element at a time, rounded once. Written as the identity plus what is
 * added to it, so that zeros as raw numbers give the identity exactly. */
#include <math.h>

#include "kernel/level.h"

enum { KNOTS = RH_RQS_BINS + 1 };

typedef struct spline {
  double x[KNOTS], y[KNOTS], pw[RH_RQS_BINS], ph[RH_RQS_BINS]; /* knots; softmax */
  double a[KNOTS], gate[KNOTS];                                /* slope - 1, and its derivative */
} spline;

static void knots(double box, double least, int64_t k, const real *raw, double *p, double *at) {
  double most = (double)raw[0], sum = 0, until = 0;
  for (int64_t i = 1; i < k; i++) most = (double)raw[i] > most ? (double)raw[i] : most;
  for (int64_t i = 0; i < k; i++) sum += p[i] = exp((double)raw[i] - most);
  at[0] = -box;
  for (int64_t i = 0; i < k; i++) {
    p[i] /= sum;
    until += p[i];
    at[i + 1] = 2 * box * (least * (double)(i + 1) + (1 - (double)k * least) * until) - box;
  }
  at[k] = box;
}

static double softplus(double x) {
  return (x > 0 ? x : 0) + log1p(exp(-fabs(x))) + (x != x ? x : 0);
}

static void expand(const rh_rqs *s, const real *raw, spline *q) {
  const int64_t k = s->bins, params = rh_rqs_params(s);
  knots(s->box, s->min_width, k, raw, q->pw, q->x);
  knots(s->box, s->min_height, k, raw + k, q->ph, q->y);
  for (int64_t i = 0; i <= k; i++) {
    const int64_t at = rh_rqs_slope_at(s, i);
    const double z = s->shift + (at < params ? (double)raw[at] : 0);
    q->a[i] = softplus(z) - softplus(s->shift);
    q->gate[i] = z >= 0 ? 1 / (1 + exp(-z)) : exp(z) / (1 + exp(z));
  }
}

/* An infinite x has no place on a circle. */
static double given_of(const rh_rqs *s, double x) {
  return s->tails == RH_TAILS_CIRCULAR && !(x - x == 0) ? x - x : x;
}

static double into_box(const rh_rqs *s, double x) {
  const double b = s->box;
  if (s->tails == RH_TAILS_CIRCULAR && !(x >= -b && x <= b)) x -= 2 * b * floor((x + b) / (2 * b));
  return x <= b ? (x >= -b ? x : -b) : x > b ? b : -b;
}

/* One bin at theta: eq. (4) as y = x + added, its slope, and log of it. */
typedef struct place {
  int64_t bin;
  double w, h, s, e, a, b, theta, t, z, c, den, num, added, slope;
} place;

static void enter(const spline *q, int64_t bin, place *p) {
  p->bin = bin;
  p->w = q->x[bin + 1] - q->x[bin], p->h = q->y[bin + 1] - q->y[bin];
  p->s = p->h / p->w, p->e = (p->h - p->w) / p->w;
  p->a = q->a[bin], p->b = q->a[bin + 1];
}

static void settle(const spline *q, double theta, place *p) {
  const double t = 1 - theta, c = p->a + p->b - 2 * p->e;
  p->theta = theta, p->t = t, p->z = theta * t, p->c = c;
  p->den = p->s + c * p->z;
  p->num = 1 + (p->b * theta * theta + 2 * p->e * p->z + p->a * t * t);
  p->added = (q->y[p->bin] - q->x[p->bin]) + p->w * theta * ((p->s * (p->e * theta + p->a * t) - c * p->z) / p->den);
  p->slope = p->num * (p->s / p->den) * (p->s / p->den);
}

static double unit(double x) {
  return x > 0 ? (x < 1 ? x : 1) : 0;
}

/* The root of eq. (6) to (8). */
static double root(const spline *q, double y, const place *p) {
  const double scale = 1 / (p->s + (1 + p->a) + (1 + p->b)), s = p->s * scale, d = (1 + p->a) * scale, c = p->c * scale,
               r = y - q->y[p->bin], a = p->h * (s - d) + r * c, b = p->h * d - r * c, under = b * b + 4 * a * (s * r);
  return unit(2 * (s * r) / (b + sqrt(under > 0 ? under : 0)));
}

static int64_t find(const double *knot, int64_t k, double x) {
  int64_t bin = 0;
  while (bin + 1 < k && x >= knot[bin + 1]) bin++;
  return bin;
}

void RH_SYM(rqs)(const rh_rqs *s, int inverse, int64_t n, const void *x, const void *raw, void *y, void *ladj) {
  const int64_t params = rh_rqs_params(s);
  for (int64_t i = 0; i < n; i++) {
    const double given = given_of(s, (double)((const real *)x)[i]), in = into_box(s, given);
    const int inside = s->tails == RH_TAILS_CIRCULAR || (given >= -s->box && given <= s->box);
    spline q;
    place p = {0};
    expand(s, (const real *)raw + i * params, &q);
    enter(&q, find(inverse ? q.y : q.x, s->bins, in), &p);
    p.c = p.a + p.b - 2 * p.e;
    settle(&q, inverse ? root(&q, in, &p) : unit((in - q.x[p.bin]) / p.w), &p);
    /* the inverse's error is that of theta, times slope - 1 in one form and times 1 in the other */
    double out = !inverse ? in + p.added : p.slope <= 1.5 ? in - p.added : q.x[p.bin] + p.w * p.theta;
    out = out > s->box ? s->box : out < -s->box ? -s->box : out;
    double l = log(p.num) + 2 * log(p.s / p.den);
    if (inverse) l = 0 - l;
    ((real *)y)[i] = given != given || !inside ? (real)given : (real)out;
    ((real *)ladj)[i] = given != given ? (real)given : inside ? (real)l : 0;
  }
}

/* Adds what left and right knots of the chosen bin give to the raw numbers of a softmax. */
static void pull_knots(double scale, int64_t k, int64_t bin, const double *p, double left, double right, real *out) {
  double before = 0;
  for (int64_t i = 0; i < bin; i++) before += p[i];
  const double until = bin + 1 == k ? 1 : before + p[bin], all = left * before + right * until;
  for (int64_t i = 0; i < k; i++) out[i] = (real)(scale * p[i] * ((i < bin ? left + right : i == bin ? right : 0) - all));
}

void RH_SYM(rqs_vjp)(const rh_rqs *s, int inverse, int64_t n, const void *x, const void *raw, const void *ct_y, const void *ct_ladj,
                     void *dx, void *draw) {
  const int64_t k = s->bins, params = rh_rqs_params(s);
  for (int64_t i = 0; i < n; i++) {
    const double given = given_of(s, (double)((const real *)x)[i]), in = into_box(s, given);
    double cy = ct_y ? (double)((const real *)ct_y)[i] : 0, cl = ct_ladj ? (double)((const real *)ct_ladj)[i] : 0;
    real *out = (real *)draw + i * params;
    for (int64_t j = 0; j < params; j++) out[j] = 0;
    if (s->tails != RH_TAILS_CIRCULAR && !(given >= -s->box && given <= s->box) && given == given) {
      ((real *)dx)[i] = (real)cy;
      continue;
    }
    spline q;
    place p = {0};
    expand(s, (const real *)raw + i * params, &q);
    enter(&q, find(q.x, k, in), &p);
    settle(&q, unit((in - q.x[p.bin]) / p.w), &p);
    const double d0 = 1 + p.a, d1 = 1 + p.b, th = p.theta, t = p.t, z = p.z, g = 1 / p.den, m = 1 / p.num;
    const double l_theta = 2 * (d1 * th + p.s * (t - th) - d0 * t) * m - 2 * p.c * (t - th) * g;
    if (inverse) {
      cy = (cl * l_theta / p.w - cy) / p.slope;
      cl = -cl;
    }
    const double ratio = (p.s * th * th + d0 * z) * g;
    const double g_theta = cy * p.w * p.slope + cl * l_theta;
    const double g_s = cy * p.h * g * (th * th - ratio * (1 - 2 * z)) + cl * (2 / p.s + 2 * z * m - 2 * (1 - 2 * z) * g);
    const double g_a = cy * p.h * g * z * (1 - ratio) + cl * (t * t * m - 2 * z * g);
    const double g_b = -cy * p.h * g * z * ratio + cl * (th * th * m - 2 * z * g);
    const double g_h = cy * ratio + g_s / p.w, g_w = -(g_s * p.s + g_theta * th) / p.w, g_x = g_theta / p.w;
    ((real *)dx)[i] = given != given ? (real)given : (real)(inverse ? 0 - cy : g_x);
    pull_knots(2 * s->box * (1 - (double)k * s->min_width), k, p.bin, q.pw, -g_x - g_w, g_w, out);
    pull_knots(2 * s->box * (1 - (double)k * s->min_height), k, p.bin, q.ph, cy - g_h, g_h, out + k);
    for (int right = 0; right < 2; right++) {
      const int64_t at = rh_rqs_slope_at(s, p.bin + right);
      if (at < params) out[at] += (real)((right ? g_b : g_a) * q.gate[p.bin + right]);
    }
  }
}
