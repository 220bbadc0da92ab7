#include "api/solver.h"

#include <math.h>
#include <string.h>

#include "net/field.h"

static void change(rh_options *o, json_t *changes, const char *key, json_t *value) {
  if (json_object_set_new(changes, key, value) != 0 && o->status == RH_OK) o->status = rh_fail(RH_E_MEMORY, "options: out of memory");
}

/* Scoring by an estimate, whatever an exact trace would cost; or by none. */
static void read_trace(rh_options *o, json_t *changes) {
  const char *text = rh_options_text(o, "trace", NULL);
  rh_trace_kind kind;
  int64_t probes = 1;
  if (!text || o->status != RH_OK) return;
  o->status = rh_trace_read(text, o->where, &kind, &probes);
  if (o->status != RH_OK) return;
  change(o, changes, "trace", json_string(rh_trace_names[kind]));
  if (kind != RH_TRACE_HUTCHINSON) return;
  change(o, changes, "probes", json_integer(probes));
  change(o, changes, "exact_columns", json_integer(-1));
}

void rh_solver_read(rh_options *o, json_t **changes) {
  const char *names[RH_ODE_METHODS + 1] = {NULL};
  json_t *c = json_object();
  for (int m = 0; m < RH_ODE_METHODS; m++) names[m] = rh_ode_tableau_of((rh_ode_method)m)->name;
  const int solver = rh_options_choice(o, "solver", -1, names);
  const int64_t steps = rh_options_int(o, "solver_steps", -1, 0, 1 << 20), most = rh_options_int(o, "max_steps", 0, 1, 1 << 20);
  const int64_t fallback = rh_options_int(o, "fallback_steps", -1, 0, 1 << 20);
  const double rtol = rh_options_real(o, "rtol", -1, 0, 0.1), atol = rh_options_real(o, "atol", -1, 1e-300, 0.1),
               least = rh_options_real(o, "min_step", -1, 0, 1e3);
  read_trace(o, c);
  if (solver >= 0) change(o, c, "solver", json_string(names[solver]));
  if (most) change(o, c, "max_steps", json_integer(most));
  if (least >= 0) change(o, c, "min_step", json_real(least));
  if (fallback >= 0) change(o, c, "fallback_steps", json_integer(fallback));
  if (rtol >= 0) change(o, c, "rtol", json_real(rtol));
  if (atol >= 0) change(o, c, "atol", json_real(atol));
  if (steps >= 0 || rtol >= 0 || atol >= 0) change(o, c, "steps", json_integer(steps >= 0 ? steps : 0)); /* a tolerance means its control */
  if (o->status == RH_OK && json_object_size(c)) {
    *changes = c;
    return;
  }
  json_decref(c);
  *changes = NULL;
}

/* What is done to the specification of a cnf. */
typedef rh_status edit_fn(json_t *cnf, const json_t *changes);

static rh_status no_memory(void) {
  return rh_fail(RH_E_MEMORY, "out of memory for the specification");
}

/* The specification is a flow's, so it names one. */
static rh_ode_method method_of(const json_t *cnf) {
  int m = 0;
  while (m < RH_ODE_METHODS - 1 &&
         strcmp(rh_ode_tableau_of((rh_ode_method)m)->name, json_string_value(json_object_get(cnf, "solver"))) != 0)
    m++;
  return (rh_ode_method)m;
}
static bool controlled(const json_t *cnf) {
  return rh_ode_tableau_of(method_of(cnf))->estimate;
}

/* What does not go together is said by the options' keys: the specification's are others. */
static rh_status change_one(json_t *cnf, const json_t *changes) {
  if (json_object_update(cnf, (json_t *)(uintptr_t)changes) != 0) return no_memory();
  if (json_integer_value(json_object_get(cnf, "steps")) || controlled(cnf)) return RH_OK;
  return rh_fail(RH_E_ARGUMENT,
                 "options.solver: %s has no error estimate, so no tolerance controls its steps: give their number, solver_steps "
                 "(--solver-steps N), or take " RH_ODE_CONTROLLED,
                 json_string_value(json_object_get(cnf, "solver")));
}

static double number(const json_t *cnf, const char *key) {
  return json_number_value(json_object_get(cnf, key));
}

/* Steps by tolerance, of which none are given up. */
static rh_status solve_by(json_t *cnf, rh_ode_method method, double rtol, double atol, json_int_t most_steps) {
  const int failed = json_object_set_new(cnf, "solver", json_string(rh_ode_tableau_of(method)->name)) |
                     json_object_set_new(cnf, "steps", json_integer(0)) | json_object_set_new(cnf, "rtol", json_real(rtol)) |
                     json_object_set_new(cnf, "atol", json_real(fmax(atol, 1e-300))) |
                     json_object_set_new(cnf, "max_steps", json_integer(most_steps)) | json_object_set_new(cnf, "min_step", json_real(0)) |
                     json_object_set_new(cnf, "fallback_steps", json_integer(0));
  return failed ? no_memory() : RH_OK;
}

enum { MOST_STEPS = 1 << 20 };

/* A solver without an estimate of its error cannot keep a tolerance, nor can the equal steps of a fallback. */
static rh_status tighten_one(json_t *cnf, const json_t *none) {
  enum { TIGHTER = 100, STEPS = 10 };
  const json_int_t most = json_integer_value(json_object_get(cnf, "max_steps"));
  (void)none;
  return solve_by(cnf, controlled(cnf) ? method_of(cnf) : RH_ODE_DP54, number(cnf, "rtol") / TIGHTER, number(cnf, "atol") / TIGHTER,
                  most < MOST_STEPS / STEPS ? most * STEPS : MOST_STEPS);
}

/* As good as doubles allow at the cost of some tens of steps. */
static rh_status sharpen_one(json_t *cnf, const json_t *none) {
  const double sharp = 1e-10;
  (void)none;
  return solve_by(cnf, RH_ODE_DOP853, fmin(number(cnf, "rtol"), sharp), fmin(number(cnf, "atol"), sharp), MOST_STEPS);
}

/* Every cnf of a specification, at any depth; *found counts them. */
static rh_status edit_parts(json_t *spec, edit_fn *edit, const json_t *changes, int *found) {
  const char *key, *type = json_string_value(json_object_get(spec, "type"));
  json_t *value;
  size_t i;
  if (type && strcmp(type, "cnf") == 0) {
    ++*found;
    return edit(spec, changes);
  }
  json_object_foreach(spec, key, value) RH_TRY(edit_parts(value, edit, changes, found));
  json_array_foreach(spec, i, value) RH_TRY(edit_parts(value, edit, changes, found));
  return RH_OK;
}

/* The same flow made anew: its leaves are the same, in the same places. *flow NULL: there is no cnf. */
static rh_status make_edited(const rh_model *model, edit_fn *edit, const json_t *changes, rh_flow **flow) {
  json_t *spec = json_deep_copy(model->flow->spec);
  int found = 0;
  *flow = NULL;
  rh_status status = spec ? edit_parts(spec, edit, changes, &found) : no_memory();
  if (status == RH_OK && found) status = rh_flow_create(spec, flow);
  json_decref(spec);
  return status;
}

rh_status rh_solver_change(rh_model *model, const json_t *changes) {
  if (!changes) return RH_OK;
  rh_flow *flow;
  RH_TRY(make_edited(model, change_one, changes, &flow));
  if (!flow)
    return rh_fail(RH_E_ARGUMENT, "options: the model solves no differential equation: solver, tolerances and trace are nothing to it");
  rh_flow_destroy(model->flow);
  model->flow = flow;
  return RH_OK;
}

rh_status rh_solver_tighter(const rh_model *model, rh_flow **flow) {
  return make_edited(model, tighten_one, NULL, flow);
}
rh_status rh_solver_sharp(const rh_model *model, rh_flow **flow) {
  return make_edited(model, sharpen_one, NULL, flow);
}

/* f of every cnf of a specification, at any depth. */
static void visit(json_t *spec, void (*f)(void *arg, const json_t *cnf), void *arg) {
  const char *key, *type = json_string_value(json_object_get(spec, "type"));
  json_t *value;
  size_t i;
  if (type && strcmp(type, "cnf") == 0) {
    f(arg, spec);
    return;
  }
  json_object_foreach(spec, key, value) visit(value, f, arg);
  json_array_foreach(spec, i, value) visit(value, f, arg);
}

static void loosest(void *arg, const json_t *cnf) {
  double *most = arg;
  const double rtol = json_number_value(json_object_get(cnf, "rtol")), atol = json_number_value(json_object_get(cnf, "atol"));
  if (!json_integer_value(json_object_get(cnf, "steps"))) *most = fmax(*most, fmax(rtol, atol));
}

double rh_solver_tolerance(const rh_model *model) {
  double most = 0;
  visit(model->flow->spec, loosest, &most);
  return most;
}

static void same_time(void *arg, const json_t *cnf) {
  double *time = arg;
  const double t = json_number_value(json_object_get(cnf, "time"));
  *time = *time < 0 || *time == t ? t : 0;
}

double rh_solver_time(const rh_model *model) {
  double time = -1;
  visit(model->flow->spec, same_time, &time);
  return time;
}

static void count_estimate(void *arg, const json_t *cnf) {
  const char *trace = json_string_value(json_object_get(cnf, "trace"));
  *(int *)arg +=
      trace && strcmp(trace, rh_trace_names[RH_TRACE_EXACT]) != 0 && json_integer_value(json_object_get(cnf, "exact_columns")) < 0;
}

int rh_solver_estimates(const rh_model *model) {
  int n = 0;
  visit(model->flow->spec, count_estimate, &n);
  return n;
}
