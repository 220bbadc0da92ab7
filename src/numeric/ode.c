#include "numeric/ode.h"

#include <math.h>
#include <string.h>

#include "base/memory.h"

#define C(...) \
  { __VA_ARGS__ }
#define A(...) \
  { __VA_ARGS__ }
#define B(...) \
  { __VA_ARGS__ }
#define E(...) \
  { __VA_ARGS__ }
static const rh_ode_tableau tableaux[RH_ODE_METHODS] = {
#define TABLEAU(NAME, name, stages, order, estimate, fsal, c, a, b, e) [RH_ODE_##NAME] = {name, stages, order, estimate, fsal, c, a, b, e},
#include "numeric/tableau.def"
#undef TABLEAU
};
#undef C
#undef A
#undef B
#undef E

/* By slot: rows still running are slots 0 .. n-1, in ascending order of row. */
struct rh_ode_work {
  const rh_ode_tableau *method;
  int64_t n, rows, stride; /* stride: bytes of all rows of one kind */
  int real_bytes;
  char *y, *fresh, *stage, *k; /* [rows, n]; k: [stages, rows, n] */
  double *t, *h, *before, *at; /* time, step, error of the last step taken, time of a stage */
  int64_t *row;
  bool *last, *taken, *refused; /* this step ends at t1; it was taken; the one before was refused */
  char *point;                  /* quadrature, or NULL: [stages * rows, n] */
  double *point_t, *point_w;
  int64_t *point_row;
};

const rh_ode_tableau *rh_ode_tableau_of(rh_ode_method method) {
  return &tableaux[method];
}

rh_status rh_ode_check(const rh_ode_options *o) {
  if ((int)o->method < 0 || o->method >= RH_ODE_METHODS) return rh_fail(RH_E_ARGUMENT, "ode: there is no method %d", (int)o->method);
  if (o->steps < 0) return rh_fail(RH_E_ARGUMENT, "ode: %lld steps; give 0 for steps by tolerance", (long long)o->steps);
  if (o->steps) return RH_OK;
  if (!tableaux[o->method].estimate)
    return rh_fail(RH_E_ARGUMENT, "ode: %s has no error estimate; give a number of steps, or use bs32 or dp54", tableaux[o->method].name);
  if (!(o->rtol >= 0) || !(o->atol > 0) || isinf(o->rtol) || isinf(o->atol)) {
    return rh_fail(RH_E_ARGUMENT, "ode: tolerances rtol = %g, atol = %g; rtol must be 0 or more, atol above 0", o->rtol, o->atol);
  }
  if (o->max_steps < 1) return rh_fail(RH_E_ARGUMENT, "ode: max_steps = %lld; at least 1", (long long)o->max_steps);
  return RH_OK;
}

/* ---- room ---- */

static int64_t padded(int64_t bytes) {
  return (bytes + RH_ALIGN - 1) / RH_ALIGN * RH_ALIGN;
}

int64_t rh_ode_work_bytes(int64_t n, int64_t rows, int real_bytes, rh_ode_method method, bool quadrature) {
  const int64_t s = tableaux[method].stages, states = 3 + s + (quadrature ? s : 0);
  return states * padded(n * rows * real_bytes) +
         rows * (int64_t)(4 * sizeof(double) + sizeof(int64_t) + 3 + (quadrature ? (size_t)s * 24 : 0));
}

rh_status rh_ode_work_create(int64_t n, int64_t rows, int real_bytes, rh_ode_method method, bool quadrature, rh_ode_work **out) {
  rh_ode_work *w = rh_alloc_zero(1, sizeof *w);
  if (!w) return RH_E_MEMORY;
  const rh_ode_tableau *m = &tableaux[method];
  const size_t s = (size_t)m->stages, r = (size_t)rows;
  w->method = m;
  w->n = n;
  w->rows = rows;
  w->real_bytes = real_bytes;
  w->stride = padded(n * rows * real_bytes);
  w->y = rh_alloc_zero(3 + s, (size_t)w->stride);
  w->t = rh_alloc_zero(4 * r, sizeof *w->t);
  w->row = rh_alloc_zero(r, sizeof *w->row);
  w->last = rh_alloc_zero(3 * r, sizeof *w->last);
  bool fine = w->y && w->t && w->row && w->last;
  if (fine) {
    w->fresh = w->y + w->stride;
    w->stage = w->fresh + w->stride;
    w->k = w->stage + w->stride;
    w->h = w->t + rows;
    w->before = w->h + rows;
    w->at = w->before + rows;
    w->taken = w->last + rows;
    w->refused = w->taken + rows;
  }
  if (fine && quadrature) {
    w->point = rh_alloc_zero(s, (size_t)w->stride);
    w->point_t = rh_alloc_zero(2 * s * r, sizeof *w->point_t);
    w->point_row = rh_alloc_zero(s * r, sizeof *w->point_row);
    fine = w->point && w->point_t && w->point_row;
    w->point_w = fine ? w->point_t + s * r : NULL;
  }
  if (!fine) {
    rh_ode_work_destroy(w);
    return RH_E_MEMORY;
  }
  *out = w;
  return RH_OK;
}

void rh_ode_work_destroy(rh_ode_work *w) {
  if (!w) return;
  rh_free(w->y);
  rh_free(w->t);
  rh_free(w->row);
  rh_free(w->last);
  rh_free(w->point);
  rh_free(w->point_t);
  rh_free(w->point_row);
  rh_free(w);
}

/* ---- arithmetic of a step ---- */

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

/* to[r] = y[r] + h[r] sum_j coef[j] k_j[r]; and the mean square of h sum_j coef[j] k_j / (atol + rtol max(|y|, |z|)). y, z, to: [rows, n]
 */
#define ARITHMETIC(type)                                                                                                               \
  static void combine_##type(int64_t rows, int64_t n, const double *h, int m, const double *coef, const void *y_, const void *k_,      \
                             int64_t stride, void *to_) {                                                                              \
    for (int64_t r = 0; r < rows; r++) {                                                                                               \
      const type *y = (const type *)y_ + r * n;                                                                                        \
      type *to = (type *)to_ + r * n;                                                                                                  \
      for (int64_t i = 0; i < n; i++) to[i] = 0;                                                                                       \
      for (int j = 0; j < m; j++) {                                                                                                    \
        const type *k = (const type *)(const void *)((const char *)k_ + j * stride) + r * n;                                           \
        const type a = (type)(h[r] * coef[j]);                                                                                         \
        for (int64_t i = 0; coef[j] != 0 && i < n; i++) to[i] += a * k[i];                                                             \
      }                                                                                                                                \
      for (int64_t i = 0; i < n; i++) to[i] += y[i];                                                                                   \
    }                                                                                                                                  \
  }                                                                                                                                    \
  static double square_##type(int64_t n, const unsigned char *in, double h, int m, const double *coef, const void *k_, int64_t stride, \
                              const void *y_, const void *z_, const rh_ode_options *o) {                                               \
    const type *y = y_, *z = z_;                                                                                                       \
    double sum = 0;                                                                                                                    \
    int64_t count = 0;                                                                                                                 \
    for (int64_t i = 0; i < n; i++) {                                                                                                  \
      if (in && !in[i]) continue;                                                                                                      \
      double d = 0;                                                                                                                    \
      for (int j = 0; j < m; j++) d += coef[j] * (double)((const type *)(const void *)((const char *)k_ + j * stride))[i];             \
      const double a = fabs((double)y[i]), b = fabs((double)z[i]), q = h * d / (o->atol + o->rtol * (a > b ? a : b));                  \
      sum += q * q;                                                                                                                    \
      count++;                                                                                                                         \
    }                                                                                                                                  \
    return count ? sum / (double)count : 0;                                                                                            \
  }
ARITHMETIC(float)
ARITHMETIC(double)

static void combine(const rh_ode_work *w, int64_t slot, int64_t rows, int m, const double *coef, const char *y, void *to) {
  const int64_t skip = slot * w->n * w->real_bytes;
  (w->real_bytes == 4 ? combine_float : combine_double)(rows, w->n, w->h + slot, m, coef, y + skip, w->k + skip, w->stride, to);
}

/* Root mean square of h sum_j coef[j] k_j, measured against the slot's |y| and |z|. */
static double norm(const rh_ode_work *w, const rh_ode_problem *p, const rh_ode_options *o, int64_t slot, double h, int m,
                   const double *coef, const char *k, const char *z) {
  const int64_t skip = slot * w->n * w->real_bytes;
  return sqrt(
      (w->real_bytes == 4 ? square_float : square_double)(w->n, p->in_norm, h, m, coef, k + skip, w->stride, w->y + skip, z + skip, o));
}

static void move(const rh_ode_work *w, char *to, int64_t to_row, const char *from, int64_t from_row) {
  const int64_t bytes = w->n * w->real_bytes;
  if (to != from || to_row != from_row) memcpy(to + to_row * bytes, from + from_row * bytes, (size_t)bytes);
}

static void spoil(const rh_ode_work *w, char *y, int64_t row) {
  for (int64_t i = row * w->n; i < (row + 1) * w->n; i++) {
    if (w->real_bytes == 4) {
      ((float *)y)[i] = NAN;
    } else {
      ((double *)y)[i] = NAN;
    }
  }
}

static void field(const rh_ode_work *w, const rh_ode_problem *p, int64_t rows, double c, const char *y, int stage, rh_ode_report *report) {
  for (int64_t r = 0; r < rows; r++) w->at[r] = w->t[r] + c * w->h[r];
  p->field(p->arg, rows, w->row, w->at, y, w->k + stage * w->stride);
  report->evaluations += rows;
}

/* k_1 .. k_last from k_0, then the new state in `fresh`. */
static void stages(const rh_ode_work *w, const rh_ode_problem *p, int64_t rows, rh_ode_report *report) {
  const rh_ode_tableau *m = w->method;
  const double *a = m->a;
  for (int i = 1; i < m->stages; a += i, i++) {
    char *to = m->fsal && i == m->stages - 1 ? w->fresh : w->stage;
    combine(w, 0, rows, i, a, w->y, to);
    field(w, p, rows, m->c[i], to, i, report);
  }
  if (!m->fsal) combine(w, 0, rows, m->stages, m->b, w->y, w->fresh);
}

/* Every stage of every step taken, as points of an integral. */
static void tell_points(const rh_ode_work *w, const rh_ode_problem *p, int64_t rows) {
  if (!p->quadrature) return;
  const rh_ode_tableau *m = w->method;
  const double *a = m->a;
  int64_t points = 0;
  for (int i = 0; i < m->stages; a += i, i++) {
    for (int64_t r = 0; r < rows && m->b[i] != 0; r++) {
      if (!w->taken[r]) continue;
      combine(w, r, 1, i, a, w->y, w->point + points * w->n * w->real_bytes);
      w->point_t[points] = w->t[r] + m->c[i] * w->h[r];
      w->point_w[points] = w->h[r] * m->b[i];
      w->point_row[points++] = w->row[r];
    }
  }
  if (points) p->quadrature(p->arg, points, w->point_row, w->point_t, w->point_w, w->point);
}

/* ---- equal steps ---- */

static void solve_fixed(const rh_ode_problem *p, const rh_ode_options *o, rh_ode_work *w, int64_t rows, rh_ode_report *report) {
  const double h = (p->t1 - p->t0) / (double)o->steps;
  for (int64_t r = 0; r < rows; r++) w->h[r] = h, w->taken[r] = true;
  for (int64_t s = 0; s < o->steps; s++) {
    for (int64_t r = 0; r < rows; r++) w->t[r] = p->t0 + (double)s * h;
    if (!w->method->fsal || s == 0) field(w, p, rows, 0, w->y, 0, report);
    stages(w, p, rows, report);
    tell_points(w, p, rows);
    char *old = w->y;
    w->y = w->fresh;
    w->fresh = old;
    if (w->method->fsal) memcpy(w->k, w->k + (w->method->stages - 1) * w->stride, (size_t)(rows * w->n * w->real_bytes));
  }
  report->taken += rows * o->steps;
}

/* ---- steps by tolerance ---- */

/* Hairer, Norsett & Wanner, Solving Ordinary Differential Equations I, II.4, "starting step size". k_0 is known; k_1 is used as room. */
static void first_steps(const rh_ode_problem *p, const rh_ode_options *o, rh_ode_work *w, int64_t rows, rh_ode_report *report) {
  static const double one[1] = {1}, difference[2] = {-1, 1};
  const double span = fabs(p->t1 - p->t0), sign = p->t1 > p->t0 ? 1 : -1;
  for (int64_t r = 0; r < rows; r++) {
    const double d0 = norm(w, p, o, r, 1, 1, one, w->y, w->y), d1 = norm(w, p, o, r, 1, 1, one, w->k, w->y);
    const double h = d0 < 1e-5 || d1 < 1e-5 ? 1e-6 : 0.01 * d0 / d1;
    w->before[r] = d1;
    w->h[r] = sign * (h < span ? h : span); /* a number that is none stays out: h < span is false */
  }
  combine(w, 0, rows, 1, one, w->y, w->stage);
  field(w, p, rows, 1, w->stage, 1, report);
  for (int64_t r = 0; r < rows; r++) {
    const double d1 = w->before[r], h = fabs(w->h[r]), d2 = norm(w, p, o, r, 1 / h, 2, difference, w->k, w->y), d = d1 > d2 ? d1 : d2;
    const double next = d <= 1e-15 ? fmax(1e-6, h * 1e-3) : power(0.01 / d, 1. / w->method->estimate);
    w->h[r] = isfinite(d) && isfinite(next) ? sign * fmin(fmin(100 * h, next), span) : isfinite(d1) ? sign * h * 1e-3 : 0;
    w->before[r] = 1e-4;
  }
}

/* Whether each step is taken, and the next step's size: PI control (Gustafsson 1991; Hairer & Wanner II, IV.2), constants as in DOPRI5. */
static void judge(const rh_ode_problem *p, const rh_ode_options *o, rh_ode_work *w, int64_t rows, double *next) {
  const rh_ode_tableau *m = w->method;
  const double beta = 0.04, alpha = 1. / m->estimate - 0.75 * beta, safe = 0.9, least = 0.2, most = 10;
  for (int64_t r = 0; r < rows; r++) {
    const double err = norm(w, p, o, r, w->h[r], m->stages, m->e, w->k, w->fresh);
    w->taken[r] = err <= 1;
    double factor = least;
    if (err <= 1) {
      factor = err > 0 ? safe * power(err, -alpha) * power(w->before[r], beta) : most;
      factor = fmin(fmax(factor, least), w->refused[r] ? 1 : most);
      w->before[r] = fmax(err, 1e-4);
    } else if (isfinite(err)) {
      factor = fmax(least, safe * power(err, -1. / m->estimate));
    }
    next[r] = w->h[r] * factor;
  }
}

/* Takes the steps, hands out the rows that have arrived or are given up, and closes up the others. out: no row has steps left. */
static int64_t settle(rh_ode_work *w, int64_t rows, bool out, bool strict, const double *next, char *y1, rh_ode_report *report) {
  const char *k_last = w->k + (w->method->stages - 1) * w->stride;
  int64_t kept = 0;
  for (int64_t r = 0; r < rows; r++) {
    const bool taken = w->taken[r], arrived = taken && w->last[r];
    const double t = taken ? w->t[r] + w->h[r] : w->t[r];
    const bool lost = !arrived && (out || !(fabs(next[r]) > 1e-14 * fabs(t)));
    report->taken += taken;
    report->refused += !taken;
    report->unfinished += lost;
    if (arrived || lost) {
      move(w, y1, w->row[r], taken ? w->fresh : w->y, r);
      if (lost && strict) spoil(w, y1, w->row[r]);
      continue;
    }
    move(w, w->y, kept, taken ? w->fresh : w->y, r);
    move(w, w->k, kept, taken && w->method->fsal ? k_last : w->k, r);
    w->t[kept] = t;
    w->h[kept] = next[r];
    w->before[kept] = w->before[r];
    w->row[kept] = w->row[r];
    w->refused[kept++] = !taken;
  }
  return kept;
}

static void solve_adaptive(const rh_ode_problem *p, const rh_ode_options *o, rh_ode_work *w, int64_t rows, char *y1,
                           rh_ode_report *report) {
  for (int64_t r = 0; r < rows; r++) w->t[r] = p->t0, w->h[r] = 0, w->refused[r] = false;
  field(w, p, rows, 0, w->y, 0, report);
  first_steps(p, o, w, rows, report);
  for (int64_t tried = 1; rows; tried++) { /* all rows still running have tried as often */
    for (int64_t r = 0; r < rows; r++) {
      const double left = p->t1 - w->t[r];
      w->last[r] = fabs(w->h[r]) * 1.01 >= fabs(left); /* no last step that is too small to be worth it */
      if (w->last[r]) w->h[r] = left;
    }
    if (!w->method->fsal) field(w, p, rows, 0, w->y, 0, report);
    stages(w, p, rows, report);
    judge(p, o, w, rows, w->at);
    tell_points(w, p, rows);
    rows = settle(w, rows, tried == o->max_steps, p->strict, w->at, y1, report);
  }
}

void rh_ode_solve(const rh_ode_problem *p, const rh_ode_options *o, rh_ode_work *w, int64_t rows, const void *y0, void *y1,
                  rh_ode_report *report) {
  const size_t bytes = (size_t)(rows * w->n * w->real_bytes);
  if (!rows) return;
  if (p->t0 == p->t1) {
    if (y0 != y1) memmove(y1, y0, bytes);
    return;
  }
  memcpy(w->y, y0, bytes);
  for (int64_t r = 0; r < rows; r++) w->row[r] = r;
  if (o->steps) {
    char *mine = w->y, *other = w->fresh;
    solve_fixed(p, o, w, rows, report);
    memcpy(y1, w->y, bytes);
    w->y = mine, w->fresh = other; /* the block of memory belongs to the first */
  } else {
    solve_adaptive(p, o, w, rows, y1, report);
  }
}
