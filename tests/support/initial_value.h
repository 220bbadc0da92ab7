/* Initial value problems with closed forms, and one call that solves them in either precision. */
#ifndef RH_TESTS_INITIAL_VALUE_H
#define RH_TESTS_INITIAL_VALUE_H
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "numeric/ode.h"

typedef struct setup {
  int real_bytes;
  int64_t n;
  const double *rate; /* [rows] a row's own constant */
  double *integral;   /* [rows] */
  int64_t calls;
  bool strict;
  const void *tape; /* of those tests that keep one */
} setup;

static inline double get(const setup *s, const void *x, int64_t i) {
  return s->real_bytes == 4 ? (double)((const float *)x)[i] : ((const double *)x)[i];
}
static inline void put(const setup *s, void *x, int64_t i, double v) {
  if (s->real_bytes == 4) {
    ((float *)x)[i] = (float)v;
  } else {
    ((double *)x)[i] = v;
  }
}

/* y' = r y (1 - y): y = 1 / (1 + (1 / y0 - 1) e^(-r t)) */
static inline void logistic(void *arg, int64_t rows, const int64_t *row, const double *t, const void *y, void *dy) {
  setup *s = arg;
  (void)t;
  s->calls++;
  for (int64_t i = 0; i < rows; i++) {
    const double x = get(s, y, i);
    put(s, dy, i, s->rate[row[i]] * x * (1 - x));
  }
}
static inline double logistic_at(double y0, double r, double t) {
  return 1 / (1 + (1 / y0 - 1) * exp(-r * t));
}
/* A turning and shrinking plane: y' = A y with A = [-r, 1; -1, -r]. */
static inline void spiral(void *arg, int64_t rows, const int64_t *row, const double *t, const void *y, void *dy) {
  const setup *s = arg;
  (void)t;
  for (int64_t i = 0; i < rows; i++) {
    const double a = get(s, y, 2 * i), b = get(s, y, 2 * i + 1), r = s->rate[row[i]];
    put(s, dy, 2 * i, -r * a + b);
    put(s, dy, 2 * i + 1, -a - r * b);
  }
}
/* y' = -y + 3 sin t + 5 cos t, y(0) = 1: y = sin t * 4 + cos t (the decaying part cancels) */
static inline void driven(void *arg, int64_t rows, const int64_t *row, const double *t, const void *y, void *dy) {
  const setup *s = arg;
  (void)row;
  for (int64_t i = 0; i < rows; i++) put(s, dy, i, -get(s, y, i) + 3 * sin(t[i]) + 5 * cos(t[i]));
}

typedef void field_fn(void *arg, int64_t rows, const int64_t *row, const double *t, const void *y, void *dy);

/* Reals in doubles' place: y0 and y1 are doubles, what the solver sees is of real_bytes. Of `more` the hooks, the times and the like are
 * read; dense, if there are times, is [rows, n_times, n] doubles. */
static inline rh_ode_report solve_more(setup *s, field_fn *f, double t0, double t1, const rh_ode_options *o, int64_t rows, const double *y0,
                                       double *y1, const rh_ode_problem *more) {
  rh_ode_problem p = more ? *more : (rh_ode_problem){0};
  rh_ode_report report = {0};
  rh_ode_work *w;
  p.n = s->n, p.t0 = t0, p.t1 = t1, p.field = f, p.arg = s, p.strict = s->strict;
  assert_int_equal(rh_ode_check(o), RH_OK);
  assert_int_equal(rh_ode_work_create(s->n, rows, s->real_bytes, o->method, p.quadrature != NULL, &w), RH_OK);
  const size_t count = (size_t)(rows * s->n), between = count * (size_t)p.n_times;
  void *state = malloc(count * 8), *dense = malloc(between * 8 + 1);
  for (size_t i = 0; i < count; i++) put(s, state, (int64_t)i, y0[i]);
  p.dense = dense;
  if (p.n_times) assert_int_equal(rh_ode_check_times(t0, t1, rows, p.n_times, p.times), RH_OK);
  rh_ode_solve(&p, o, w, rows, state, state, &report);
  for (size_t i = 0; i < count; i++) y1[i] = get(s, state, (int64_t)i);
  for (size_t i = 0; i < between; i++) ((double *)more->dense)[i] = get(s, dense, (int64_t)i);
  free(state);
  free(dense);
  rh_ode_work_destroy(w);
  return report;
}
static inline rh_ode_report solve(setup *s, field_fn *f, double t0, double t1, const rh_ode_options *o, int64_t rows, const double *y0,
                                  double *y1) {
  return solve_more(s, f, t0, t1, o, rows, y0, y1, NULL);
}
#endif
