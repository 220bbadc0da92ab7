/* What architectures of continuous flows share: options of the solver, the trace and the penalties, and a cnf's specification by them. */
#ifndef RH_DENSITY_ARCH_ODE_H
#define RH_DENSITY_ARCH_ODE_H
#include "density/architectures.h"
#include "net/field.h"

typedef struct rh_ode_kind { /* defaults */
  const char *trace;
  double kinetic, jacobian;
  int64_t training_steps; /* equal steps; 0: by tolerance */
  double training_tolerance;
  bool decay; /* of the field's weights */
} rh_ode_kind;

typedef struct rh_ode_plan {
  int64_t steps, max_steps, fallback_steps, training_steps, probes;
  int probe, solver, training_solver, gradient;
  double time, rtol, atol, min_step, training_tolerance, kinetic, jacobian, straight;
  bool decay;
  rh_trace_kind trace;
} rh_ode_plan;

void rh_ode_plan_read(rh_ode_plan *plan, rh_options *o, const rh_ode_kind *kind);
json_t *rh_ode_plan_spec(const rh_ode_plan *plan, json_t *field); /* field: taken. A new reference; NULL: no memory */

enum { RH_ARCH_HIDDEN = 16 }; /* hidden layers, at most */
/* The layers of a field: [type], hidden[n], how they read the time. A new reference; NULL: no memory. */
json_t *rh_layers_spec(const char *type, int n, const int64_t *hidden, const char *activation, const char *time, bool residual,
                       double gain);
/* Residual layers are of one width. */
rh_status rh_hidden_check(int n, const int64_t *hidden, bool residual, const char *where) RH_WARN_UNUSED;
extern const char *const rh_smooth_names[]; /* activations of fields; NULL-ended */
#endif
