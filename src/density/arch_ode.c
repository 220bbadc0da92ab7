#include "density/arch_ode.h"

#include "numeric/ode.h"

static const char *solver_name(int method) {
  return rh_ode_tableau_of((rh_ode_method)method)->name;
}

static void read_solver(rh_ode_plan *p, rh_options *o, const rh_ode_kind *kind) {
  const char *names[RH_ODE_METHODS + 1] = {NULL};
  for (int m = 0; m < RH_ODE_METHODS; m++) names[m] = rh_ode_tableau_of((rh_ode_method)m)->name;
  p->time = rh_options_real(o, "time", 1, 1e-3, 1e3);
  p->solver = rh_options_choice(o, "solver", RH_ODE_DP54, names);
  p->steps = rh_options_int(o, "solver_steps", 0, 0, 1 << 20);
  p->rtol = rh_options_real(o, "rtol", 1e-5, 0, 0.1);
  p->atol = rh_options_real(o, "atol", 1e-5, 1e-300, 0.1);
  p->max_steps = rh_options_int(o, "max_steps", 1000, 1, 1 << 20);
  p->min_step = rh_options_real(o, "min_step", 0, 0, 1e3);
  p->fallback_steps = rh_options_int(o, "fallback_steps", 0, 0, 1 << 20);
  p->training_solver = rh_options_choice(o, "training_solver", RH_ODE_RK4, names);
  p->training_steps = rh_options_int(o, "training_steps", kind->training_steps, 0, 1 << 20);
  p->training_tolerance = rh_options_real(o, "training_tolerance", kind->training_tolerance, 0, 0.1);
  p->gradient = rh_options_choice(o, "gradient", RH_ODE_REPLAY, rh_ode_gradient_names);
}

void rh_ode_plan_read(rh_ode_plan *p, rh_options *o, const rh_ode_kind *kind) {
  p->probes = 1;
  p->decay = kind->decay;
  read_solver(p, o, kind);
  const char *trace = rh_options_text(o, "trace", kind->trace);
  p->probe = rh_options_choice(o, "probe", RH_PROBE_RADEMACHER, rh_probe_names);
  p->kinetic = rh_options_real(o, "kinetic", kind->kinetic, 0, 1e3);
  p->jacobian = rh_options_real(o, "jacobian", kind->jacobian, 0, 1e3);
  p->straight = rh_options_real(o, "straight", 0, 0, 1e3);
  if (o->status == RH_OK && !p->steps && !rh_ode_tableau_of((rh_ode_method)p->solver)->estimate)
    o->status = rh_fail(RH_E_SPEC, "%s.solver: %s has no error estimate: give a number of steps (solver_steps), or take " RH_ODE_CONTROLLED,
                        o->where, solver_name(p->solver));
  if (o->status == RH_OK) o->status = rh_trace_read(trace, o->where, &p->trace, &p->probes);
}

json_t *rh_ode_plan_spec(const rh_ode_plan *p, json_t *field) {
  json_t *solver = json_pack("{s:s, s:s, s:I, s:f, s:f, s:I, s:s, s:I, s:f, s:f, s:s}", "type", "cnf", "solver", solver_name(p->solver),
                             "steps", (json_int_t)p->steps, "rtol", p->rtol, "atol", p->atol, "max_steps", (json_int_t)p->max_steps,
                             "training_solver", solver_name(p->training_solver), "training_steps", (json_int_t)p->training_steps,
                             "training_tolerance", p->training_tolerance, "time", p->time, "gradient", rh_ode_gradient_names[p->gradient]);
  json_t *rest =
      json_pack("{s:o, s:b, s:s, s:I, s:s, s:f, s:f, s:f, s:f, s:I}", "field", field, "decay", p->decay, "trace", rh_trace_names[p->trace],
                "probes", (json_int_t)p->probes, "probe", rh_probe_names[p->probe], "kinetic", p->kinetic, "jacobian", p->jacobian,
                "straight", p->straight, "min_step", p->min_step, "fallback_steps", (json_int_t)p->fallback_steps);
  const bool failed = !solver || !rest || json_object_update(solver, rest) != 0;
  json_decref(rest);
  if (!failed) return solver;
  json_decref(solver);
  return NULL;
}

rh_status rh_hidden_check(int n, const int64_t *hidden, bool residual, const char *where) {
  for (int i = 1; i < n && residual; i++)
    if (hidden[i] != hidden[0])
      return rh_fail(RH_E_SPEC, "%s.hidden: residual layers add to what they read, so they are of one width, not of %lld and %lld", where,
                     (long long)hidden[0], (long long)hidden[i]);
  return RH_OK;
}

const char *const rh_smooth_names[] = {"tanh", "softplus", "silu", "gelu", NULL};

json_t *rh_layers_spec(const char *type, int n, const int64_t *hidden, const char *activation, const char *time, bool residual,
                       double gain) {
  json_t *list = json_array();
  bool failed = !list;
  for (int i = 0; i < n && !failed; i++) failed = json_array_append_new(list, json_integer(hidden[i])) != 0;
  if (!failed)
    return json_pack("{s:s, s:o, s:s, s:s, s:b, s:f}", "type", type, "hidden", list, "activation", activation, "time", time, "residual",
                     residual, "gain", gain);
  json_decref(list);
  return NULL;
}
