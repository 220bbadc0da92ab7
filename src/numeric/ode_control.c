/* The size of steps by tolerance, each row's by itself. */
#include <math.h>

#include "numeric/ode_work.h"

/* x^p, good to 1e-11: plain arithmetic, so that every machine takes the same steps whatever its libm. */
static double power(double x, double p) {
  int e;
  double m = frexp(x, &e);
  if (m < 0.70710678118654752) m *= 2, e--;
  const double z = (m - 1) / (m + 1), z2 = z * z;
  double s = 0;
  for (int i = 13; i >= 1; i -= 2) s = s * z2 + 1. / i;
  const double y = p * (e + 2 * 1.4426950408889634 * z * s); /* log2 of the result */
  if (isnan(y)) return y;
  if (y > 1000) return 0x1p1000;
  if (y < -1000) return 0x1p-1000;
  const double whole = floor(y + 0.5), f = (y - whole) * 0.69314718055994531;
  double g = 1;
  for (int i = 13; i >= 1; i--) g = 1 + g * f / i;
  return ldexp(g, (int)whole);
}

/* The error of a step of y' = L y is c (L h)^p y to leading order: c = |e' A^(p - 1) 1| with the first p where that is not zero. */
static double leading(const rh_ode_tableau *m, const double *e, int *p) {
  double v[RH_ODE_SLOPES], c;
  for (int i = 0; i < m->stages; i++) v[i] = 1;
  for (*p = 1;; ++*p) {
    c = 0;
    for (int i = 0; i < m->stages; i++) c += e[i] * v[i];
    if (fabs(c) > 1e-9 || *p == m->stages) return fabs(c);
    for (int i = m->stages - 1; i >= 0; i--) {
      double sum = 0;
      for (int j = 0; j < i; j++) sum += rh_ode_a(m, i)[j] * v[j];
      v[i] = sum;
    }
  }
}

/* The same of the error that control goes by, see error_of. */
static double error_constant(const rh_ode_tableau *m) {
  int p;
  const double c = leading(m, m->e, &p);
  return m->e2[0] == 0 ? c : c * c / (0.1 * leading(m, m->e2, &p));
}

/* The first step aims at a hundredth of the error allowed. As Hairer, Norsett & Wanner (Solving Ordinary Differential Equations I, II.4,
 * "starting step size") one small step of Euler's gives d1 = |f| and d2 = |df/dt|, as shares of the tolerance; where they take the error of
 * a step to be max(d1, d2) h^k, here derivatives go on to grow as those two do, |y^(k)| = d1 (d2 / d1)^(k - 1), and the method's own
 * constant stands before them: a short solution, of which the first step is a large part, takes half the steps. k_1 is used as room. */
void rh_ode_first_steps(const rh_ode_run *s) {
  static const double one[1] = {1}, difference[2] = {-1, 1};
  rh_ode_work *w = s->w;
  const double span = fabs(s->p->t1 - s->p->t0), sign = s->p->t1 > s->p->t0 ? 1 : -1, least = fmin(s->o.min_step, span);
  const double k = w->method->estimate, c = error_constant(w->method), share = 0.01;
  for (int64_t r = 0; r < s->rows; r++) {
    const double d0 = rh_ode_norm(s, r, 1, 1, one, w->y, w->y), d1 = rh_ode_norm(s, r, 1, 1, one, w->k, w->y);
    const double h = d0 < 1e-5 || d1 < 1e-5 ? 1e-6 : 0.01 * d0 / d1;
    w->before[r] = d1;
    w->h[r] = sign * (h < span ? h : span); /* a number that is none stays out: h < span is false */
    w->at[r] = w->t[r] + w->h[r];
  }
  rh_ode_combine(w, 0, s->rows, 1, one, w->y, w->stage_y);
  rh_ode_slope(s, w->at, w->stage_y, 1);
  for (int64_t r = 0; r < s->rows; r++) {
    const double d1 = w->before[r], h = fabs(w->h[r]), d2 = rh_ode_norm(s, r, 1 / h, 2, difference, w->k, w->y);
    const double next = d2 > 0 ? d1 / d2 * power(share / (c * d1) * (d2 / d1), 1 / k) : span;
    const double wish = !isfinite(d1) ? 0 : !isfinite(d2) ? h * 1e-3 : d1 > 0 && isfinite(next) ? fmin(fmin(100 * h, next), span) : 1e-6;
    w->h[r] = sign * fmax(wish, least);
    w->before[r] = 0; /* none yet */
  }
}

/* A step's error as a share of what the tolerances allow. With a second estimate (Hairer, Norsett & Wanner I, II.10): of the order of the
 * solution, without a pair of that order. */
static double error_of(const rh_ode_run *s, int64_t r) {
  const rh_ode_work *w = s->w;
  const rh_ode_tableau *m = w->method;
  const double err = rh_ode_norm(s, r, w->h[r], m->stages, m->e, w->k, w->fresh);
  if (m->e2[0] == 0) return err;
  const double other = rh_ode_norm(s, r, w->h[r], m->stages, m->e2, w->k, w->fresh), both = err * err + 0.01 * other * other;
  return both == 0 ? 0 : err * err / sqrt(both);
}

/* PI control (Gustafsson 1991; Hairer & Wanner II, IV.2): factor = 0.9 err^-alpha before^beta, beta = 0.2 / k and alpha = 1 / k - 0.75 beta
 * for an error that goes as h^k, which for dp54 are the constants of DOPRI5. After a refused step, and after the first: without memory
 * (what DOPRI5 begins with, an error of 1e-4, holds the second step back by a third, which short solves feel). Equal steps are all
 * taken; those of a fallback end where a state is not finite. */
void rh_ode_judge(const rh_ode_run *s) {
  rh_ode_work *w = s->w;
  const double k = w->method->estimate, beta = 0.2 / k, alpha = 1 / k - 0.75 * beta, safe = 0.9, least = 0.2, most = 10;
  for (int64_t r = 0; r < s->rows; r++) {
    if (w->equal[r]) {
      w->taken[r] = s->o.steps || rh_ode_finite(w, w->fresh, r);
      w->next[r] = w->h[r];
      continue;
    }
    const double err = error_of(s, r);
    w->taken[r] = err <= 1;
    double factor = least;
    const bool memory = err <= 1 && w->before[r] > 0;
    if (isfinite(err))
      factor = err == 0 ? most : memory ? safe * power(err, -alpha) * power(w->before[r], beta) : safe * power(err, -1 / k);
    factor = fmin(fmax(factor, least), w->refused[r] || err > 1 ? 1 : most);
    if (err <= 1) w->before[r] = fmax(err, 1e-4);
    w->next[r] = w->h[r] * factor;
  }
}
