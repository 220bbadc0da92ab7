#include "numeric/ode.h"

#include <float.h>
#include <math.h>
#include <string.h>

#include "base/memory.h"
#include "numeric/ode_work.h"

rh_status rh_ode_check(const rh_ode_options *o) {
  if ((int)o->method < 0 || o->method >= RH_ODE_METHODS) return rh_fail(RH_E_ARGUMENT, "ode: there is no method %d", (int)o->method);
  if (o->steps < 0) return rh_fail(RH_E_ARGUMENT, "ode: %lld steps; give 0 for steps by tolerance", (long long)o->steps);
  if (o->steps) return RH_OK;
  const rh_ode_tableau *m = rh_ode_tableau_of(o->method);
  if (!m->estimate)
    return rh_fail(RH_E_ARGUMENT, "ode: %s has no error estimate; give a number of steps, or use " RH_ODE_CONTROLLED, m->name);
  if (!(o->rtol >= 0) || !(o->atol > 0) || isinf(o->rtol) || isinf(o->atol)) {
    return rh_fail(RH_E_ARGUMENT, "ode: tolerances rtol = %g, atol = %g; rtol must be 0 or more, atol above 0", o->rtol, o->atol);
  }
  if (o->max_steps < 1) return rh_fail(RH_E_ARGUMENT, "ode: max_steps = %lld; at least 1", (long long)o->max_steps);
  if (!(o->min_step >= 0) || isinf(o->min_step)) return rh_fail(RH_E_ARGUMENT, "ode: min_step = %g; 0 or more", o->min_step);
  if (o->fallback_steps < 0)
    return rh_fail(RH_E_ARGUMENT, "ode: fallback_steps = %lld; 0 (no fallback) or more", (long long)o->fallback_steps);
  return RH_OK;
}

void rh_ode_report_add(rh_ode_report *sum, const rh_ode_report *part) {
  sum->evaluations += part->evaluations;
  sum->taken += part->taken;
  sum->refused += part->refused;
  sum->unfinished += part->unfinished;
  sum->capped += part->capped;
  sum->fell_back += part->fell_back;
  sum->raised += part->raised;
  sum->missing = fmax(sum->missing, part->missing);
}

/* ---- room ---- */

enum { STATES = 4, DOUBLES = 7, INDICES = 5, FLAGS = 3 }; /* a row's, beside its slopes */

static int64_t padded(int64_t bytes) {
  return (bytes + RH_ALIGN - 1) / RH_ALIGN * RH_ALIGN;
}

int64_t rh_ode_work_bytes(int64_t n, int64_t rows, int real_bytes, rh_ode_method method, bool quadrature) {
  const rh_ode_tableau *m = rh_ode_tableau_of(method);
  const int64_t points = quadrature ? m->stages : 0, states = STATES + rh_ode_slopes(m) + points;
  return states * padded(n * rows * real_bytes) +
         rows * (int64_t)(DOUBLES * sizeof(double) + INDICES * sizeof(int64_t) + FLAGS + (size_t)points * 24);
}

rh_status rh_ode_work_create(int64_t n, int64_t rows, int real_bytes, rh_ode_method method, bool quadrature, rh_ode_work **out) {
  rh_ode_work *w = rh_alloc_zero(1, sizeof *w);
  if (!w) return RH_E_MEMORY;
  const rh_ode_tableau *m = rh_ode_tableau_of(method);
  const size_t s = (size_t)m->stages, r = (size_t)rows;
  w->method = m;
  w->n = n;
  w->rows = rows;
  w->real_bytes = real_bytes;
  w->stride = padded(n * rows * real_bytes);
  w->y = rh_alloc_zero(STATES + (size_t)rh_ode_slopes(m), (size_t)w->stride);
  w->t = rh_alloc_zero(DOUBLES * r, sizeof *w->t);
  w->row = rh_alloc_zero(INDICES * r, sizeof *w->row);
  w->last = rh_alloc_zero(FLAGS * r, sizeof *w->last);
  bool fine = w->y && w->t && w->row && w->last;
  if (fine) {
    char **const state[STATES] = {&w->fresh, &w->stage_y, &w->list_slope, &w->k};
    double **const real[DOUBLES - 1] = {&w->h, &w->end, &w->before, &w->next, &w->at, &w->by};
    int64_t **const index[INDICES - 1] = {&w->equal, &w->seen, &w->list, &w->list_row};
    for (int i = 0; i < STATES; i++) *state[i] = w->y + (i + 1) * w->stride;
    for (int i = 0; i < DOUBLES - 1; i++) *real[i] = w->t + (i + 1) * rows;
    for (int i = 0; i < INDICES - 1; i++) *index[i] = w->row + (i + 1) * rows;
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

/* ---- who is told of steps ---- */

/* Every stage of every step taken, as points of an integral. */
static void tell_points(const rh_ode_run *s) {
  const rh_ode_problem *p = s->p;
  rh_ode_work *w = s->w;
  const rh_ode_tableau *m = w->method;
  int64_t points = 0;
  for (int i = 0; p->quadrature && i < m->stages; i++) {
    for (int64_t r = 0; r < s->rows && m->b[i] != 0; r++) {
      if (!w->taken[r]) continue;
      rh_ode_combine(w, r, 1, i, rh_ode_a(m, i), w->y, w->point + points * w->n * w->real_bytes);
      w->point_t[points] = w->t[r] + m->c[i] * w->h[r];
      w->point_w[points] = w->h[r] * m->b[i];
      w->point_row[points++] = w->row[r];
    }
  }
  if (points) p->quadrature(p->arg, points, w->point_row, w->point_t, w->point_w, w->point);
}

static void tell_accepted(const rh_ode_run *s) {
  rh_ode_work *w = s->w;
  int64_t count = 0;
  for (int64_t r = 0; s->p->accepted && r < s->rows; r++) {
    if (!w->taken[r]) continue;
    rh_ode_move(w, w->stage_y, count, w->y, r);
    w->at[count] = w->t[r];
    w->by[count] = w->h[r];
    w->list_row[count++] = w->row[r];
  }
  if (count) s->p->accepted(s->p->arg, count, w->list_row, w->at, w->by, w->stage_y);
}

static void tell_stages(const rh_ode_run *s) {
  const rh_ode_work *w = s->w;
  for (int64_t r = 0; s->p->stages && r < s->rows; r++) {
    char *to = w->taken[r] ? s->p->stages(s->p->arg, w->row[r], w->t[r], w->h[r]) : NULL;
    for (int i = 0; to && i < rh_ode_stages(w->method); i++, to += w->n * w->real_bytes)
      rh_ode_combine(w, r, 1, i, rh_ode_a(w->method, i), w->y, to);
  }
}

/* ---- rows, step by step ---- */

/* Equal steps are counted from t1, so that the last one ends there. */
double rh_ode_equal_size(const rh_ode_problem *p, int64_t steps) {
  return (p->t1 - p->t0) / (double)steps;
}
double rh_ode_equal_time(const rh_ode_problem *p, int64_t steps, int64_t step) {
  return step ? p->t1 - (double)(steps - step) * rh_ode_equal_size(p, steps) : p->t0;
}

/* Where each step ends. Of steps by tolerance the last two are equal: what is left makes no last step that is too small to be worth it, and
 * none that is refused for what a shorter one can share. */
static void aim(const rh_ode_run *s) {
  rh_ode_work *w = s->w;
  for (int64_t r = 0; r < s->rows; r++) {
    const double left = s->p->t1 - w->t[r], steps = fabs(left) / (1.01 * fabs(w->h[r]));
    w->last[r] = w->equal[r] ? w->equal[r] == 1 : steps <= 1;
    if (w->equal[r]) {
      w->end[r] = s->p->t1 - (double)(w->equal[r] - 1) * w->h[r];
    } else {
      if (steps <= 2) w->h[r] = w->last[r] ? left : left / 2;
      w->end[r] = w->last[r] ? s->p->t1 : w->t[r] + w->h[r];
    }
  }
}

/* The slopes at the ends of the steps taken, for rows that go on from there, or are asked what was on the way. */
static void slopes_at_ends(const rh_ode_run *s) {
  rh_ode_work *w = s->w;
  const int which = rh_ode_end_slope(w->method);
  int64_t count = 0;
  if (w->method->fsal) return;
  for (int64_t r = 0; r < s->rows; r++)
    if (w->taken[r] && (!w->last[r] || rh_ode_dense_due(s, r))) w->list[count++] = r;
  if (count == s->rows) {
    rh_ode_slope(s, w->end, w->fresh, which);
    return;
  }
  for (int64_t i = 0; i < count; i++) {
    rh_ode_move(w, w->stage_y, i, w->fresh, w->list[i]);
    w->at[i] = w->end[w->list[i]];
  }
  rh_ode_slope_listed(s, count, which);
}

/* Hands out a row that has arrived or is given up. t: where it stands */
static void hand_out(const rh_ode_run *s, int64_t r, bool arrived, double t) {
  rh_ode_work *w = s->w;
  const bool fell_back = arrived && w->equal[r] && !s->o.steps;
  rh_ode_move(w, s->y1, w->row[r], w->taken[r] ? w->fresh : w->y, r);
  s->report->fell_back += fell_back;
  if (s->p->by_row) s->p->by_row[w->row[r]].fell_back = fell_back;
  if (arrived) return;
  s->report->unfinished++;
  s->report->missing = fmax(s->report->missing, fabs(s->p->t1 - t) / fabs(s->p->t1 - s->p->t0));
  if (s->p->strict) rh_ode_fill(w, s->y1, w->row[r], NAN);
  rh_ode_dense_rest(s, r);
}

/* Takes the steps, hands out the rows that have arrived or are given up, and closes up the others; their number. out: no row has steps by
 * tolerance left. */
static int64_t settle(const rh_ode_run *s, bool out) {
  rh_ode_work *w = s->w;
  const char *k_end = w->k + rh_ode_end_slope(w->method) * w->stride;
  int64_t kept = 0;
  for (int64_t r = 0; r < s->rows; r++) {
    const bool taken = w->taken[r];
    const double t = taken ? w->end[r] : w->t[r], next = fabs(w->next[r]);
    const bool lost = w->equal[r] ? !taken : out || !(next > 1e-14 * fabs(t)) || next < s->o.min_step;
    s->report->taken += taken;
    s->report->refused += !taken;
    if (s->p->by_row) {
      rh_ode_row *row = &s->p->by_row[w->row[r]];
      row->taken += taken, row->refused += !taken, row->reached = t;
    }
    if ((taken && w->last[r]) || (lost && (w->equal[r] || !s->o.fallback_steps))) {
      s->report->capped += out && !(taken && w->last[r]);
      hand_out(s, r, taken && w->last[r], t);
      continue;
    }
    rh_ode_move(w, w->y, kept, taken ? w->fresh : w->y, r);
    rh_ode_move(w, w->k, kept, taken ? k_end : w->k, r);
    w->t[kept] = t;
    w->h[kept] = lost ? (s->p->t1 - t) / (double)s->o.fallback_steps : w->next[r];
    w->equal[kept] = lost ? s->o.fallback_steps : w->equal[r] ? w->equal[r] - 1 : 0;
    w->before[kept] = w->before[r];
    w->row[kept] = w->row[r];
    w->seen[kept] = w->seen[r];
    w->refused[kept++] = !taken;
  }
  return kept;
}

static void run_rows(rh_ode_run *s) {
  rh_ode_work *w = s->w;
  rh_ode_slope(s, w->t, w->y, 0);
  if (!s->o.steps) rh_ode_first_steps(s);
  for (int64_t tried = 1; s->rows; tried++) { /* all rows by tolerance have tried as often */
    aim(s);
    rh_ode_advance(s);
    if (w->method->fsal) rh_ode_slope(s, w->end, w->fresh, rh_ode_end_slope(w->method));
    rh_ode_judge(s);
    slopes_at_ends(s);
    rh_ode_dense_write(s);
    tell_accepted(s);
    tell_stages(s);
    tell_points(s);
    s->rows = settle(s, tried >= s->o.max_steps);
  }
}

double rh_ode_least_rtol(int real_bytes) {
  return 4 * (real_bytes == 4 ? (double)FLT_EPSILON : DBL_EPSILON);
}

void rh_ode_solve(const rh_ode_problem *p, const rh_ode_options *o, rh_ode_work *w, int64_t rows, const void *y0, void *y1,
                  rh_ode_report *report) {
  rh_ode_run s = {.p = p, .o = *o, .w = w, .rows = rows, .y1 = y1, .report = report};
  if (!rows) return;
  memcpy(w->y, y0, (size_t)(rows * w->n * w->real_bytes));
  for (int64_t r = 0; r < rows; r++) {
    w->row[r] = r;
    w->t[r] = p->t0;
    w->seen[r] = 0;
    w->equal[r] = o->steps;
    w->h[r] = o->steps ? rh_ode_equal_size(p, o->steps) : 0;
    w->refused[r] = false;
    if (p->by_row) p->by_row[r] = (rh_ode_row){.reached = p->t0};
  }
  rh_ode_dense_begin(&s);
  if (p->t0 == p->t1) {
    memcpy(y1, w->y, (size_t)(rows * w->n * w->real_bytes));
    return;
  }
  if (!o->steps) {
    s.o.rtol = fmax(o->rtol, rh_ode_least_rtol(w->real_bytes));
    report->raised += s.o.rtol > o->rtol ? rows : 0;
  }
  run_rows(&s);
}

void rh_ode_step(const rh_ode_problem *p, rh_ode_work *w, int64_t rows, const int64_t *row, const double *t, const double *h, const void *y,
                 void *y1) {
  rh_ode_report unread = {0};
  const rh_ode_problem bare = {.n = p->n, .field = p->field, .arg = p->arg};
  const rh_ode_run s = {.p = &bare, .w = w, .rows = rows, .report = &unread};
  memcpy(w->y, y, (size_t)(rows * w->n * w->real_bytes));
  memcpy(w->row, row, (size_t)rows * sizeof *row);
  memcpy(w->t, t, (size_t)rows * sizeof *t);
  memcpy(w->h, h, (size_t)rows * sizeof *h);
  rh_ode_slope(&s, w->t, w->y, 0);
  rh_ode_advance(&s);
  memcpy(y1, w->fresh, (size_t)(rows * w->n * w->real_bytes));
}
