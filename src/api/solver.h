/* Options of rh_density_open for models with differential equations: to solve them in another way than the model says. */
#ifndef RH_API_SOLVER_H
#define RH_API_SOLVER_H
#include "base/options.h"
#include "model/model.h"

/* Keys solver, solver_steps, rtol, atol, max_steps, min_step, fallback_steps, trace; failures stick in o. *changes: new reference, what is
 * given as options of a "cnf"; NULL where nothing is. */
void rh_solver_read(rh_options *o, json_t **changes);
/* changes: borrowed, NULL: nothing happens. The model's values stay as they are. */
rh_status rh_solver_change(rh_model *model, const json_t *changes) RH_WARN_UNUSED;

/* The model's flow with the same leaves, whose differential equations are solved with tolerances a hundred times tighter than the model's,
 * those in equal steps by their tolerances, too; *flow NULL: it solves none. */
rh_status rh_solver_tighter(const rh_model *model, rh_flow **flow) RH_WARN_UNUSED;

/* The loosest tolerance by which the model solves a differential equation; 0: it solves none, or in equal steps. */
double rh_solver_tolerance(const rh_model *model);

/* How many of its differential equations have estimated traces in scoring whatever exact ones cost, as option trace has it. */
int rh_solver_estimates(const rh_model *model);

/* The time T of its differential equations; 0: it has several, of different times; below 0: none. */
double rh_solver_time(const rh_model *model);
#endif
