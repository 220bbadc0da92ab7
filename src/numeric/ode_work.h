/* What the parts of the solver share: ode.c drives, ode_stages.c makes a step, ode_control.c sizes it, ode_dense.c reads between its ends.
 */
#ifndef RH_NUMERIC_ODE_WORK_H
#define RH_NUMERIC_ODE_WORK_H
#include "numeric/ode.h"

/* By slot: rows still running are slots 0 .. rows-1, in ascending order of row. */
struct rh_ode_work {
  const rh_ode_tableau *method;
  int64_t n, rows, stride; /* stride: bytes of all rows of one kind */
  int real_bytes;
  char *y, *fresh, *stage, *picked, *k; /* [rows, n]; k: [slopes, rows, n] */
  double *t, *h, *end, *before, *next;  /* a step's start, size and end; error of the last one taken; size of the next one */
  double *at, *by;                      /* of those whom a callback is told of: times, sizes */
  int64_t *row, *equal, *seen;          /* equal: equal steps left, 0: by tolerance; seen: times behind the row */
  int64_t *pick, *pick_row;             /* some of the slots, and their rows */
  bool *last, *taken, *refused;         /* this step ends at t1; it was taken; the one before was refused */
  char *point;                          /* quadrature, or NULL: [stages * rows, n] */
  double *point_t, *point_w;
  int64_t *point_row;
};

/* A call of rh_ode_solve. rows: still running */
typedef struct rh_ode_run {
  const rh_ode_problem *p;
  rh_ode_options o;
  rh_ode_work *w;
  int64_t rows;
  char *y1;
  rh_ode_report *report;
} rh_ode_run;

/* ---- ode.c ---- */
double rh_ode_equal_size(const rh_ode_problem *p, int64_t steps);
double rh_ode_equal_time(const rh_ode_problem *p, int64_t steps, int64_t step); /* where it begins */

/* ---- ode_stages.c ---- */
void rh_ode_move(const rh_ode_work *w, void *to, int64_t to_row, const void *from, int64_t from_row);
/* to[i] = y[slot + i] + h[slot + i] sum_j coef[j] k_j[slot + i] for `rows` slots; y by slot, to: [rows, n] */
void rh_ode_combine(const rh_ode_work *w, int64_t slot, int64_t rows, int m, const double *coef, const char *y, void *to);
/* Root mean square of h sum_j coef[j] k_j, over the numbers in the norm, measured against the slot's |y| and |z|; k, z: by slot */
double rh_ode_norm(const rh_ode_run *s, int64_t slot, double h, int m, const double *coef, const char *k, const char *z);
bool rh_ode_finite(const rh_ode_work *w, const char *y, int64_t row);
void rh_ode_fill(const rh_ode_work *w, void *y, int64_t row, double value);
void rh_ode_slope(const rh_ode_run *s, const double *at, const char *y, int which); /* k_which of all slots from their y at `at` */
/* k_which of the slots w->pick[0 .. count) from w->stage [count, n] at w->at [count] */
void rh_ode_slope_picked(const rh_ode_run *s, int64_t count, int which);
void rh_ode_advance(const rh_ode_run *s); /* the stages after the first, then the new state in `fresh` */
int rh_ode_end_slope(const rh_ode_tableau *m);
const double *rh_ode_a(const rh_ode_tableau *m, int row);

/* ---- ode_control.c ---- */
void rh_ode_first_steps(const rh_ode_run *s); /* k_0 is known */
void rh_ode_judge(const rh_ode_run *s);       /* taken, next */

/* ---- ode_dense.c ---- */
void rh_ode_dense_begin(const rh_ode_run *s);              /* times at t0 */
bool rh_ode_dense_due(const rh_ode_run *s, int64_t slot);  /* is a time in the slot's step? */
void rh_ode_dense_write(const rh_ode_run *s);              /* times in the steps just taken; the slopes at the ends are known */
void rh_ode_dense_rest(const rh_ode_run *s, int64_t slot); /* times that an unfinished row did not reach: y1's row */
/* y(t + u h) = y(t) + h sum_j weight[j] k_j */
void rh_ode_dense_weights(const rh_ode_tableau *m, double u, double weight[RH_ODE_SLOPES]);
#endif
