/* Continuous flows: blocks of d x/dt = f(x, t), one after another. "cnf" (Chen et al. 2018) has perceptrons whose trace is exact in closed
 * form; "ffjord" (Grathwohl et al. 2019) layers gated by the time and an estimated trace; "rnode" (Finlay et al. 2020) is ffjord with
 * penalties on the field's energy and Jacobian, trained in a few equal steps. Options: docs/continuous-flows.md. */
#include "density/architectures.h"
#include "net/field.h"
#include "numeric/ode.h"

enum { HIDDEN = 16 };
/* Of a table's training: at 1e-5, as densities have it, a fit takes half as many steps in the same time (docs/results.md). */
static const double TOLERANCE = 1e-3;
enum { CONCAT, SQUASH, PLANAR };
enum { TANH, SOFTPLUS, SILU };
static const char *const field_names[] = {"concat", "squash", "planar", NULL},
                         *const activation_names[] = {"tanh", "softplus", "silu", "gelu", NULL},
                         *const base_names[] = {"normal", "full-normal", "student-t", "mixture", NULL};

typedef struct ode_kind {
  int field, hidden_n;
  const char *trace;
  double penalty;         /* of both kinds */
  int64_t training_steps; /* equal steps; 0: by tolerance */
} ode_kind;

typedef struct plan {
  ode_kind kind;
  int64_t layers, hidden[HIDDEN], steps, max_steps, fallback_steps, training_steps, probes;
  int hidden_n, field, activation, base, probe, solver, training_solver, gradient;
  bool residual, actnorm, decay;
  double time, rtol, atol, min_step, training_tolerance, kinetic, jacobian, straight, gain;
  rh_trace_kind trace;
} plan;

/* In a plane: weights that start small leave what is narrow out of a field for long. Four rings of width 0.08 came to -3.16 nats in 10
 * epochs, and in 40 to -3.30 at the usual gain; 4 is too much (docs/results.md). */
enum { PLANE = 2 };
static const double PLANE_GAIN = 2;

static void read_field(plan *p, rh_options *o, const rh_arch_size *size) {
  p->field = rh_options_choice(o, "field", p->kind.field, field_names);
  p->hidden_n = p->field == PLANAR ? 1 : p->kind.hidden_n;
  for (int i = 0; i < p->hidden_n; i++) p->hidden[i] = size->columns > 16 ? 128 : 64;
  rh_options_ints(o, "hidden", 1, 1 << 16, HIDDEN, &p->hidden_n, p->hidden);
  if (p->field == PLANAR) return;
  p->activation = rh_options_choice(o, "activation", size->columns < RH_ARCH_TABLE ? TANH : SILU, activation_names);
  p->residual = rh_options_bool(o, "residual", false);
  p->gain = rh_options_real(o, "gain", size->columns <= PLANE ? PLANE_GAIN : RH_NET_GAIN, 0.01, 10);
}

static void read_solver(plan *p, rh_options *o, const rh_arch_size *size) {
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
  p->training_steps = rh_options_int(o, "training_steps", p->kind.training_steps, 0, 1 << 20);
  p->training_tolerance = rh_options_real(o, "training_tolerance", size->columns < RH_ARCH_TABLE ? 0 : TOLERANCE, 0, 0.1);
  p->gradient = rh_options_choice(o, "gradient", RH_ODE_REPLAY, rh_ode_gradient_names);
}

static const char *solver_name(int method) {
  return rh_ode_tableau_of((rh_ode_method)method)->name;
}

/* By the keys of --set, not by those of what they expand to. */
static rh_status check_plan(const plan *p, const char *where) {
  if (p->field == PLANAR && p->hidden_n != 1)
    return rh_fail(RH_E_SPEC, "%s.hidden: a planar field has one hidden layer: give one number", where);
  for (int i = 1; i < p->hidden_n && p->residual; i++)
    if (p->hidden[i] != p->hidden[0])
      return rh_fail(RH_E_SPEC, "%s.hidden: residual layers add to what they read, so they are of one width, not of %lld and %lld", where,
                     (long long)p->hidden[0], (long long)p->hidden[i]);
  if (!p->steps && !rh_ode_tableau_of((rh_ode_method)p->solver)->estimate)
    return rh_fail(RH_E_SPEC, "%s.solver: %s has no error estimate: give a number of steps (solver_steps), or take " RH_ODE_CONTROLLED,
                   where, solver_name(p->solver));
  return RH_OK;
}

static rh_status read_options(plan *p, const json_t *options, const rh_arch_size *size, const char *where) {
  rh_options o = rh_options_begin(options, where);
  p->probes = 1;
  p->layers = rh_options_int(&o, "layers", 1, 1, 1024);
  read_field(p, &o, size);
  read_solver(p, &o, size);
  const char *trace = rh_options_text(&o, "trace", p->kind.trace);
  p->probe = rh_options_choice(&o, "probe", RH_PROBE_RADEMACHER, rh_probe_names);
  p->kinetic = rh_options_real(&o, "kinetic", p->kind.penalty, 0, 1e3);
  p->jacobian = rh_options_real(&o, "jacobian", p->kind.penalty, 0, 1e3);
  p->straight = rh_options_real(&o, "straight", 0, 0, 1e3);
  p->actnorm = rh_options_bool(&o, "actnorm", false);
  p->decay = size->columns >= RH_ARCH_TABLE;
  p->base = rh_options_choice(&o, "base", 2, base_names);
  RH_TRY(rh_options_done(&o));
  RH_TRY(check_plan(p, where));
  return rh_trace_read(trace, where, &p->trace, &p->probes);
}

static json_t *field_spec(const plan *p) {
  if (p->field == PLANAR) return json_pack("{s:s, s:I}", "type", "planar", "units", (json_int_t)p->hidden[0]);
  json_t *hidden = json_array();
  for (int i = 0; i < p->hidden_n; i++)
    if (json_array_append_new(hidden, json_integer(p->hidden[i])) != 0) return NULL;
  return json_pack("{s:s, s:o, s:s, s:s, s:b, s:f}", "type", "time_mlp", "hidden", hidden, "activation", activation_names[p->activation],
                   "time", field_names[p->field], "residual", p->residual, "gain", p->gain);
}

static json_t *block_spec(const plan *p) {
  json_t *solver = json_pack("{s:s, s:s, s:I, s:f, s:f, s:I, s:s, s:I, s:f, s:f, s:s}", "type", "cnf", "solver", solver_name(p->solver),
                             "steps", (json_int_t)p->steps, "rtol", p->rtol, "atol", p->atol, "max_steps", (json_int_t)p->max_steps,
                             "training_solver", solver_name(p->training_solver), "training_steps", (json_int_t)p->training_steps,
                             "training_tolerance", p->training_tolerance, "time", p->time, "gradient", rh_ode_gradient_names[p->gradient]);
  json_t *rest =
      json_pack("{s:o, s:b, s:s, s:I, s:s, s:f, s:f, s:f, s:f, s:I}", "field", field_spec(p), "decay", p->decay, "trace",
                rh_trace_names[p->trace], "probes", (json_int_t)p->probes, "probe", rh_probe_names[p->probe], "kinetic", p->kinetic,
                "jacobian", p->jacobian, "straight", p->straight, "min_step", p->min_step, "fallback_steps", (json_int_t)p->fallback_steps);
  const bool failed = !solver || !rest || json_object_update(solver, rest) != 0;
  json_decref(rest);
  if (!failed) return solver;
  json_decref(solver);
  return NULL;
}

static json_t *flow_spec(const plan *p) {
  json_t *parts = json_array();
  int failed = !parts;
  for (int64_t i = 0; i < p->layers && !failed; i++) {
    if (p->actnorm) failed |= json_array_append_new(parts, json_pack("{s:s}", "type", "actnorm"));
    failed |= json_array_append_new(parts, block_spec(p));
  }
  if (!failed) return json_pack("{s:s, s:o}", "type", "chain", "parts", parts);
  json_decref(parts);
  return NULL;
}

static rh_status expand(const rh_arch *arch, const json_t *options, const rh_arch_size *size, json_t **flow, json_t **base) {
  plan p = {.kind = *(const ode_kind *)arch->own};
  RH_TRY(read_options(&p, options, size, arch->name));
  json_t *f = flow_spec(&p), *b = json_pack("{s:s}", "type", base_names[p.base]);
  if (!f || !b) {
    json_decref(f);
    json_decref(b);
    return rh_fail(RH_E_MEMORY, "out of memory for the specification");
  }
  *flow = f;
  *base = b;
  return RH_OK;
}

static const ode_kind cnf = {CONCAT, 2, "auto", 0, 0}, ffjord = {SQUASH, 3, "hutchinson", 0, 0}, rnode = {SQUASH, 3, "hutchinson", 0.01, 8};

const rh_arch rh_arch_cnf = {"cnf", "continuous flow (Chen et al. 2018): any field, exact traces; each density and sample is a solve",
                             expand, &cnf, false};
const rh_arch rh_arch_ffjord = {
    "ffjord", "continuous flow by fields gated by the time, trained by estimated traces (Grathwohl et al. 2019)", expand, &ffjord, false};
const rh_arch rh_arch_rnode = {"rnode", "ffjord whose field is kept easy to solve, trained in a few equal steps (Finlay et al. 2020)",
                               expand, &rnode, false};
