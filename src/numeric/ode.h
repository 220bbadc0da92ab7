/* Initial value problems dy/dt = f(t, y), one a row, solved together: every row has a time, a step and a control of its own, and the rows
 * still running are kept close together. A row's result depends on that row alone: never on the others, their number or its place among
 * them. Pointers and callbacks only; `void *` stands for float or double by real_bytes, times and control are double always. */
#ifndef RH_NUMERIC_ODE_H
#define RH_NUMERIC_ODE_H
#include <stdbool.h>
#include <stdint.h>

#include "base/status.h"

typedef enum rh_ode_method {
#define TABLEAU(NAME, name, stages, order, estimate, fsal, dense, extra, c, a, b, e, e2, d) RH_ODE_##NAME,
#include "numeric/tableau.def"
#undef TABLEAU
  RH_ODE_METHODS
} rh_ode_method;

enum { RH_ODE_SLOPES = 16, RH_ODE_DENSE = 4 };
typedef struct rh_ode_tableau { /* the words of tableau.def */
  const char *name;
  int stages, order, estimate;
  bool fsal;
  int dense, extra;
  double c[RH_ODE_SLOPES], a[RH_ODE_SLOPES * (RH_ODE_SLOPES - 1) / 2], b[RH_ODE_SLOPES], e[RH_ODE_SLOPES], e2[RH_ODE_SLOPES];
  double d[RH_ODE_DENSE * RH_ODE_SLOPES]; /* [dense, slopes] */
} rh_ode_tableau;
#define RH_ODE_CONTROLLED "heun, bs32, dp54, ts54 or dop853" /* those with an estimate of the error, for errors */
const rh_ode_tableau *rh_ode_tableau_of(rh_ode_method method);
int rh_ode_stages(const rh_ode_tableau *m); /* that the new state is made of */
int rh_ode_slopes(const rh_ode_tableau *m); /* of a step with dense output: the stages, the slope at the end, the extra ones */

/* How what differentiates a solution does it (graph/graph.h, rh_ode): the continuous adjoint; the steps taken back from a few states that
 * are kept (numeric/replay.h), or from all of them. */
typedef enum rh_ode_gradient { RH_ODE_ADJOINT, RH_ODE_REPLAY, RH_ODE_STORE } rh_ode_gradient;
extern const char *const rh_ode_gradient_names[]; /* NULL-ended */

typedef struct rh_ode_options {
  rh_ode_method method;
  int64_t steps;          /* > 0: so many equal steps; 0: each row's own steps, by the tolerances */
  double rtol, atol;      /* a step is taken when the root mean square of error / (atol + rtol max(|y|, |y_new|)) is at most 1 */
  int64_t max_steps;      /* steps a row may try, refused ones too, before it is given up where it is */
  double min_step;        /* a row whose next step would be shorter is given up where it is; 0: only where it is no longer than
                             1e-14 |t|, some 45 ulps of t (at t = 0: where it is 0, or no number) */
  int64_t fallback_steps; /* > 0: a row that would be given up goes on to t1 in so many equal steps, without control */
  rh_ode_gradient gradient;
} rh_ode_options;
/* rtol below 4 ulps of the real type cannot be kept: it is solved with 4 ulps, and the report counts it (`raised`). */
rh_status rh_ode_check(const rh_ode_options *options) RH_WARN_UNUSED;
double rh_ode_least_rtol(int real_bytes);

typedef struct rh_ode_row { /* what became of one row */
  int64_t evaluations, taken, refused;
  double reached; /* the time of the state that it ended with: t1, or less far */
  bool fell_back;
} rh_ode_row;

typedef struct rh_ode_problem {
  int64_t n;                    /* numbers of a state */
  double t0, t1;                /* either may be the larger */
  const unsigned char *in_norm; /* [n]: which numbers the control looks at; NULL: all */
  /* dy[i] = f(t[i], y[i]) for `rows` rows; row[i] says which of the caller's rows it is. y, dy: [rows, n] */
  void (*field)(void *arg, int64_t rows, const int64_t *row, const double *t, const void *y, void *dy);
  /* NULL, or told of every step taken: an integral of g along the solution is the sum over points of weight g(t, y), of the method's own
   * order. y: [points, n], the stages of the steps just taken; weight: the step's size times the stage's weight. */
  void (*quadrature)(void *arg, int64_t points, const int64_t *row, const double *t, const double *weight, const void *y);
  /* NULL, or told of every step taken, a row's in the order in which it takes them, before it goes on: y [count, n] at t, the step's start,
   * and its size h. rh_ode_step(t, h, y) gives the state after it bit for bit. */
  void (*accepted)(void *arg, int64_t count, const int64_t *row, const double *t, const double *h, const void *y);
  /* NULL, or asked at every step taken where its stages shall go, [rh_ode_stages, n]; it may say NULL: nowhere */
  void *(*stages)(void *arg, int64_t row, double t, double h);
  void *arg;
  bool strict; /* unfinished rows end as NaN */
  /* Dense output: the solution at `n_times` times a row, as rh_ode_check_times likes them, from the steps that are taken anyway, by an
   * interpolant of order 4 (dp54, ts54), 7 (dop853) or else 3. dense: [rows, n_times, n]; times an unfinished row did not reach: as y1 */
  int64_t n_times;
  const double *times; /* [rows, n_times] */
  void *dense;
  rh_ode_row *by_row; /* NULL, or [rows] */
} rh_ode_problem;
/* Every row's times finite, from t0 to t1 (ends included), each behind the one before it in the direction of time. times: [rows, n_times]
 */
rh_status rh_ode_check_times(double t0, double t1, int64_t rows, int64_t n_times, const double *times) RH_WARN_UNUSED;

/* Adds up over calls. Counts of rows: a field's call for 7 rows is 7 evaluations. */
typedef struct rh_ode_report {
  int64_t evaluations, taken, refused;
  int64_t unfinished; /* rows given up, by tolerance: out of steps, below min_step, or where the field is not finite; they end with the last
                         state reached, or NaN */
  int64_t capped;     /* of those: out of steps */
  int64_t fell_back;  /* rows that arrived in fallback_steps */
  int64_t raised;     /* rows solved with a larger rtol than was asked for */
  double missing;     /* how much of the way from t0 to t1 the unfinished row that came least far has left, at most 1; 0: there is none */
} rh_ode_report;
void rh_ode_report_add(rh_ode_report *sum, const rh_ode_report *part);

/* Room for at most `rows` rows of n numbers; solving allocates nothing. */
typedef struct rh_ode_work rh_ode_work;
rh_status rh_ode_work_create(int64_t n, int64_t rows, int real_bytes, rh_ode_method method, bool quadrature,
                             rh_ode_work **work) RH_WARN_UNUSED;
void rh_ode_work_destroy(rh_ode_work *work);
int64_t rh_ode_work_bytes(int64_t n, int64_t rows, int real_bytes, rh_ode_method method, bool quadrature);

/* y1[r] = the solution at t1 from y0[r] at t0. y0, y1: [rows, n]; they may be the same. options as rh_ode_check likes them, method as the
 * work's. */
void rh_ode_solve(const rh_ode_problem *problem, const rh_ode_options *options, rh_ode_work *work, int64_t rows, const void *y0, void *y1,
                  rh_ode_report *report);

/* One step of the work's method without control: y1[i] from y[i] at t[i] by h[i], for row[i] of the caller's. Of the problem it reads n,
 * field and arg. y, y1: [rows, n]; they may be the same. */
void rh_ode_step(const rh_ode_problem *problem, rh_ode_work *work, int64_t rows, const int64_t *row, const double *t, const double *h,
                 const void *y, void *y1);
#endif
