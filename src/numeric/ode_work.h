/* What the parts of the solver share: ode.c drives, ode_stages.c makes a step, ode_control.c sizes it, ode_dense.c reads between its ends.
 */
#ifndef RH_NUMERIC_ODE_WORK_H
#define RH_NUMERIC_ODE_WORK_H
#include "numeric/ode.h"

/* A *row* is the caller's and keeps its number; a *slot* is where a row that still runs lies here. Slots are closed up after every step, so
 * that a call of the field is on as many states as there are rows running, one beside the other. Of 6 rows, of which 1 and 4 have arrived:
 *
 *   slot               0    1    2    3         rows = 4 still run
 *   row[slot]          0    2    3    5         ascending, always
 *   y, h, k, ...      y0   y2   y3   y5         every array "by slot"
 *
 * Some slopes only some of the slots need: those at the ends of steps that were taken, those for dense output. These slots make a *list*;
 * arrays "by place" hold its entries one beside the other. Of slots 1 and 3:
 *
 *   place              0    1
 *   list[place]        1    3                   slots
 *   list_row[place]    2    5                   row[list[place]]: what the field, or a callback, is told
 *   stage_y, at       y2   y5                   what the field is asked at
 *   list_slope        k2   k5                   what it answers: goes back to k of slots 1 and 3
 *
 * Where every slot needs a slope, stage_y and at are by slot, and the answer is written to k at once. */
struct rh_ode_work {
  const rh_ode_tableau *method;
  int64_t n, rows, stride; /* stride: bytes of all rows of one kind */
  int real_bytes;
  char *y, *fresh, *k;                 /* by slot, [rows, n]: the step's start; its end; [slopes, rows, n]: its slopes */
  char *stage_y, *list_slope;          /* [rows, n] */
  double *t, *h, *end, *before, *next; /* a step's start, size and end; error of the last one taken; size of the next one */
  double *at, *by;                     /* times of what is in stage_y; by place: sizes of the steps that a callback is told of */
  int64_t *row, *equal, *seen;         /* equal: equal steps left, 0: by tolerance; seen: times behind the row */
  int64_t *list, *list_row;
  bool *last, *taken, *refused; /* this step ends at t1; it was taken; the one before was refused */
  char *point;                  /* quadrature, or NULL: [stages * rows, n] */
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
/* k_which of the slots list[0 .. count), from stage_y and at, both by place */
void rh_ode_slope_listed(const rh_ode_run *s, int64_t count, int which);
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
