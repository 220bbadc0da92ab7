/* How far a model's differential equations are from their solutions, and what solving them takes. */
#ifndef RH_API_SOLVE_CHECK_H
#define RH_API_SOLVE_CHECK_H
#include "api/handle.h"

typedef struct rh_solve_check {
  bool solves;               /* else nothing else is told */
  int64_t rows;              /* that were compared: found by the model and by the reference */
  double log_density, codes; /* max |difference| from the reference: in nats, and of a number of a code */
  double mean, most;         /* evaluations of a field that the log-density of a row takes, over all rows looked at */
} rh_solve_check;

/* x: [rows, columns + context], raw; 100 of them, evenly spread, are looked at. The reference is the same flow solved with tolerances a
 * hundred times tighter (rh_solver_tighter), in double, so that the difference holds what the model's precision costs, too. */
rh_status rh_solve_check_run(const rh_density *d, int64_t rows, const double *x, rh_solve_check *check) RH_WARN_UNUSED;
/* "solve_rows", "solve_error_log_density", "solve_error_codes", "evaluations_mean", "evaluations_most"; nothing of a model that solves
 * nothing. */
void rh_solve_check_put(const rh_solve_check *check, json_t *report);
#endif
