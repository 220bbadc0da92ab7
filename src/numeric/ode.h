/* Initial value problems dy/dt = f(t, y), one a row, solved together: every row has a time, a step and a control of its own, and the rows
 * still running are kept close together. A row's result depends on that row alone: never on the others, their number or its place among
 * them. Pointers and callbacks only; `void *` stands for float or double by real_bytes, times and control are double always. */
#ifndef RH_NUMERIC_ODE_H
#define RH_NUMERIC_ODE_H
#include <stdbool.h>
#include <stdint.h>

#include "base/status.h"

typedef enum rh_ode_method {
#define TABLEAU(NAME, name, stages, order, estimate, fsal, c, a, b, e) RH_ODE_##NAME,
#include "numeric/tableau.def"
#undef TABLEAU
  RH_ODE_METHODS
} rh_ode_method;

enum { RH_ODE_STAGES = 8 };
typedef struct rh_ode_tableau {
  const char *name;
  int stages, order, estimate;
  bool fsal;
  double c[RH_ODE_STAGES], a[RH_ODE_STAGES * (RH_ODE_STAGES - 1) / 2], b[RH_ODE_STAGES], e[RH_ODE_STAGES];
} rh_ode_tableau;
const rh_ode_tableau *rh_ode_tableau_of(rh_ode_method method);

typedef struct rh_ode_options {
  rh_ode_method method;
  int64_t steps;     /* > 0: so many equal steps; 0: each row's own steps, by the tolerances */
  double rtol, atol; /* a step is taken when the root mean square of error / (atol + rtol max(|y|, |y_new|)) is at most 1 */
  int64_t max_steps; /* steps a row may try, refused ones too, before it is given up where it is */
} rh_ode_options;
rh_status rh_ode_check(const rh_ode_options *options) RH_WARN_UNUSED;

typedef struct rh_ode_problem {
  int64_t n;                    /* numbers of a state */
  double t0, t1;                /* either may be the larger */
  const unsigned char *in_norm; /* [n]: which numbers the control looks at; NULL: all */
  /* dy[i] = f(t[i], y[i]) for `rows` rows; row[i] says which of the caller's rows it is. y, dy: [rows, n] */
  void (*field)(void *arg, int64_t rows, const int64_t *row, const double *t, const void *y, void *dy);
  /* NULL, or told of every step taken: an integral of g along the solution is the sum over points of weight g(t, y), of the method's own
   * order. y: [points, n], the stages of the steps just taken; weight: the step's size times the stage's weight. */
  void (*quadrature)(void *arg, int64_t points, const int64_t *row, const double *t, const double *weight, const void *y);
  void *arg;
  bool strict; /* unfinished rows end as NaN */
} rh_ode_problem;

/* Adds up over calls. Counts of rows: a field's call for 7 rows is 7 evaluations. */
typedef struct rh_ode_report {
  int64_t evaluations, taken, refused;
  int64_t unfinished; /* by tolerance: rows out of steps, or stuck where the field is not finite; they end with the last state reached, or
                         NaN */
} rh_ode_report;

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
#endif
