/* Dense output: the solution between the ends of the steps, at times that each row has of its own. */
#include <math.h>
#include <stddef.h>

#include "numeric/ode_work.h"

rh_status rh_ode_check_times(double t0, double t1, int64_t rows, int64_t n_times, const double *times) {
  const double sign = t1 < t0 ? -1 : 1;
  for (int64_t r = 0; r < rows; r++)
    for (int64_t i = 0; i < n_times; i++) {
      const double t = times[r * n_times + i];
      const char *why = !isfinite(t)                                          ? "is not finite"
                        : !(sign * t >= sign * t0 && sign * t <= sign * t1)   ? "is not between the ends"
                        : i && !(sign * (t - times[r * n_times + i - 1]) > 0) ? "is not behind the one before it"
                                                                              : NULL;
      if (why)
        return rh_fail(RH_E_ARGUMENT, "ode: row %lld, time %lld: %.17g %s; times go from t0 = %g to t1 = %g, none twice", (long long)r,
                       (long long)i, t, why, t0, t1);
    }
  return RH_OK;
}

/* The cubic of Hermite through both ends, and what the method adds to it: numeric/tableau.def */
void rh_ode_dense_weights(const rh_ode_tableau *m, double u, double weight[RH_ODE_SLOPES]) {
  const double rest = 1 - u, v = u * u * rest * rest, term[RH_ODE_DENSE] = {v, u * v, u * v * rest, u * u * v * rest};
  const int slopes = rh_ode_slopes(m);
  for (int j = 0; j < slopes; j++) {
    weight[j] = j < m->stages ? u * u * (3 - 2 * u) * m->b[j] : 0;
    for (int i = 0; i < m->dense; i++) weight[j] += term[i] * m->d[i * slopes + j];
  }
  weight[0] += u * rest * rest;
  weight[rh_ode_end_slope(m)] -= u * u * rest;
}

static double time_of(const rh_ode_run *s, int64_t slot) {
  return s->p->times[s->w->row[slot] * s->p->n_times + s->w->seen[slot]];
}

/* The next row of `dense` for the slot. */
static int64_t place(const rh_ode_run *s, int64_t slot) {
  return s->w->row[slot] * s->p->n_times + s->w->seen[slot]++;
}

void rh_ode_dense_begin(const rh_ode_run *s) {
  for (int64_t r = 0; r < s->rows; r++)
    while (s->w->seen[r] < s->p->n_times && time_of(s, r) == s->p->t0) rh_ode_move(s->w, s->p->dense, place(s, r), s->w->y, r);
}

bool rh_ode_dense_due(const rh_ode_run *s, int64_t slot) {
  if (s->w->seen[slot] == s->p->n_times) return false;
  const double end = s->w->end[slot], t = time_of(s, slot);
  return s->p->t1 > s->p->t0 ? t <= end : t >= end;
}

/* The slopes of the extra stages, of the rows that have a time in their step. */
static void extra_slopes(const rh_ode_run *s) {
  rh_ode_work *w = s->w;
  const rh_ode_tableau *m = w->method;
  int64_t count = 0;
  for (int64_t r = 0; r < s->rows; r++)
    if (w->taken[r] && rh_ode_dense_due(s, r)) w->list[count++] = r;
  for (int i = m->stages + 1; i <= m->stages + m->extra; i++) {
    for (int64_t j = 0; j < count; j++) {
      const int64_t r = w->list[j];
      rh_ode_combine(w, r, 1, i, rh_ode_a(m, i), w->y, w->stage_y + j * w->n * w->real_bytes);
      w->at[j] = w->t[r] + m->c[i] * w->h[r];
    }
    rh_ode_slope_listed(s, count, i);
  }
}

void rh_ode_dense_write(const rh_ode_run *s) {
  rh_ode_work *w = s->w;
  const rh_ode_tableau *m = w->method;
  double weight[RH_ODE_SLOPES];
  if (!s->p->n_times) return;
  extra_slopes(s);
  for (int64_t r = 0; r < s->rows; r++)
    while (w->taken[r] && rh_ode_dense_due(s, r)) {
      const double t = time_of(s, r);
      const int64_t to = place(s, r);
      if (t == w->end[r]) {
        rh_ode_move(w, s->p->dense, to, w->fresh, r);
      } else {
        rh_ode_dense_weights(m, (t - w->t[r]) / w->h[r], weight);
        rh_ode_combine(w, r, 1, rh_ode_slopes(m), weight, w->y, (char *)s->p->dense + to * w->n * w->real_bytes);
      }
    }
}

void rh_ode_dense_rest(const rh_ode_run *s, int64_t slot) {
  while (s->w->seen[slot] < s->p->n_times) rh_ode_move(s->w, s->p->dense, place(s, slot), s->y1, s->w->row[slot]);
}
