/* The arithmetic of an explicit Runge-Kutta step. */
#include <math.h>
#include <string.h>

#include "numeric/ode_work.h"

#define LIST(...) \
  { __VA_ARGS__ }
#define C  LIST
#define A  LIST
#define B  LIST
#define E  LIST
#define E2 LIST
#define D  LIST
static const rh_ode_tableau tableaux[RH_ODE_METHODS] = {
#define TABLEAU(NAME, name, stages, order, estimate, fsal, dense, extra, c, a, b, e, e2, d) \
  [RH_ODE_##NAME] = {name, stages, order, estimate, fsal, dense, extra, c, a, b, e, e2, d},
#include "numeric/tableau.def"
#undef TABLEAU
};

const char *const rh_ode_gradient_names[] = {[RH_ODE_ADJOINT] = "adjoint", [RH_ODE_REPLAY] = "replay", [RH_ODE_STORE] = "store", NULL};

const rh_ode_tableau *rh_ode_tableau_of(rh_ode_method method) {
  return &tableaux[method];
}
int rh_ode_slopes(const rh_ode_tableau *m) {
  return m->stages + !m->fsal + m->extra;
}
int rh_ode_stages(const rh_ode_tableau *m) {
  return m->stages - m->fsal; /* the last stage of an fsal method has no part in the new state */
}
int rh_ode_end_slope(const rh_ode_tableau *m) {
  return m->stages - m->fsal;
}
const double *rh_ode_a(const rh_ode_tableau *m, int row) {
  return m->a + row * (row - 1) / 2;
}

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

void rh_ode_combine(const rh_ode_work *w, int64_t slot, int64_t rows, int m, const double *coef, const char *y, void *to) {
  const int64_t skip = slot * w->n * w->real_bytes;
  (w->real_bytes == 4 ? combine_float : combine_double)(rows, w->n, w->h + slot, m, coef, y + skip, w->k + skip, w->stride, to);
}

double rh_ode_norm(const rh_ode_run *s, int64_t slot, double h, int m, const double *coef, const char *k, const char *z) {
  const rh_ode_work *w = s->w;
  const int64_t skip = slot * w->n * w->real_bytes;
  return sqrt((w->real_bytes == 4 ? square_float : square_double)(w->n, s->p->in_norm, h, m, coef, k + skip, w->stride, w->y + skip,
                                                                  z + skip, &s->o));
}

void rh_ode_move(const rh_ode_work *w, void *to, int64_t to_row, const void *from, int64_t from_row) {
  const int64_t bytes = w->n * w->real_bytes;
  if (to != from || to_row != from_row) memcpy((char *)to + to_row * bytes, (const char *)from + from_row * bytes, (size_t)bytes);
}

bool rh_ode_finite(const rh_ode_work *w, const char *y, int64_t row) {
  bool fine = true;
  for (int64_t i = row * w->n; i < (row + 1) * w->n; i++)
    fine &= w->real_bytes == 4 ? (bool)isfinite(((const float *)(const void *)y)[i]) : (bool)isfinite(((const double *)(const void *)y)[i]);
  return fine;
}

void rh_ode_fill(const rh_ode_work *w, void *y, int64_t row, double value) {
  for (int64_t i = row * w->n; i < (row + 1) * w->n; i++) {
    if (w->real_bytes == 4) {
      ((float *)y)[i] = (float)value;
    } else {
      ((double *)y)[i] = value;
    }
  }
}

static void call(const rh_ode_run *s, int64_t rows, const int64_t *row, const double *at, const char *y, char *dy) {
  s->p->field(s->p->arg, rows, row, at, y, dy);
  s->report->evaluations += rows;
  for (int64_t i = 0; s->p->by_row && i < rows; i++) s->p->by_row[row[i]].evaluations++;
}

void rh_ode_slope(const rh_ode_run *s, const double *at, const char *y, int which) {
  call(s, s->rows, s->w->row, at, y, s->w->k + which * s->w->stride);
}

void rh_ode_slope_listed(const rh_ode_run *s, int64_t count, int which) {
  rh_ode_work *w = s->w;
  if (!count) return;
  for (int64_t i = 0; i < count; i++) w->list_row[i] = w->row[w->list[i]];
  call(s, count, w->list_row, w->at, w->stage_y, w->list_slope);
  for (int64_t i = 0; i < count; i++) rh_ode_move(w, w->k + which * w->stride, w->list[i], w->list_slope, i);
}

void rh_ode_advance(const rh_ode_run *s) {
  rh_ode_work *w = s->w;
  const rh_ode_tableau *m = w->method;
  const int own = rh_ode_stages(m);
  for (int i = 1; i < own; i++) {
    rh_ode_combine(w, 0, s->rows, i, rh_ode_a(m, i), w->y, w->stage_y);
    for (int64_t r = 0; r < s->rows; r++) w->at[r] = w->t[r] + m->c[i] * w->h[r];
    rh_ode_slope(s, w->at, w->stage_y, i);
  }
  rh_ode_combine(w, 0, s->rows, own, m->b, w->y, w->fresh);
}
