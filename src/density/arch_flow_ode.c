/* Continuous flows: blocks of d x/dt = f(x, t), one after another. "cnf" (Chen et al. 2018) has perceptrons whose trace is exact in closed
 * form; "ffjord" (Grathwohl et al. 2019) layers gated by the time and an estimated trace; "rnode" (Finlay et al. 2020) is ffjord with
 * penalties on the field's energy and Jacobian, trained in a few equal steps. Options: docs/continuous-flows.md. */
#include "density/arch_ode.h"

/* Of training: at 1e-5, as densities have it, a fit takes half as many steps in the same time. In a plane fields are stiffer, and at 1e-3
 * learn to cheat the solver (docs/results.md). */
static const double TABLE_TOLERANCE = 1e-3, FEW_TOLERANCE = 1e-4;
/* In a plane: weights that start small leave what is narrow out of a field for long. Four rings of width 0.08 came to -3.16 nats in 10
 * epochs, and in 40 to -3.30 at the usual gain; 4 is too much (docs/results.md). */
enum { PLANE = 2 };
static const double PLANE_GAIN = 2;

enum { TANH, SOFTPLUS, SILU }; /* of rh_smooth_names */
enum { CONCAT, SQUASH, HYPER, PLANAR };
static const char *const field_names[] = {"concat", "squash", "hyper", "planar", NULL}, *const base_names[] = {"normal", "full-normal",
                                                                                                               "student-t", "mixture",
                                                                                                               NULL};

typedef struct flow_kind {
  int field, hidden_n;
  rh_ode_kind ode;
} flow_kind;

typedef struct plan {
  flow_kind kind;
  rh_ode_plan ode;
  int64_t layers, hidden[RH_ARCH_HIDDEN], functions;
  int hidden_n, field, activation, base;
  bool residual, actnorm;
  double gain;
} plan;

static void read_field(plan *p, rh_options *o, const rh_arch_size *size) {
  p->field = rh_options_choice(o, "field", p->kind.field, field_names);
  p->hidden_n = p->field == PLANAR ? 1 : p->kind.hidden_n;
  for (int i = 0; i < p->hidden_n; i++) p->hidden[i] = size->columns > 16 ? 128 : 64;
  rh_options_ints(o, "hidden", 1, 1 << 16, RH_ARCH_HIDDEN, &p->hidden_n, p->hidden);
  if (p->field == PLANAR) return;
  if (p->field == HYPER) p->functions = rh_options_int(o, "functions", 4, 1, 64);
  p->activation = rh_options_choice(o, "activation", size->columns < RH_ARCH_TABLE ? TANH : SILU, rh_smooth_names);
  p->residual = rh_options_bool(o, "residual", false);
  p->gain = rh_options_real(o, "gain", size->columns <= PLANE ? PLANE_GAIN : RH_NET_GAIN, 0.01, 10);
}

/* By the keys of --set, not by those of what they expand to. */
static rh_status check_plan(const plan *p, const char *where) {
  if (p->field == PLANAR && p->hidden_n != 1)
    return rh_fail(RH_E_SPEC, "%s.hidden: a planar field has one hidden layer: give one number", where);
  return rh_hidden_check(p->hidden_n, p->hidden, p->residual, where);
}

static rh_status read_options(plan *p, const json_t *options, const rh_arch_size *size, const char *where) {
  rh_options o = rh_options_begin(options, where);
  p->layers = rh_options_int(&o, "layers", 1, 1, 1024);
  read_field(p, &o, size);
  p->kind.ode.decay = size->columns >= RH_ARCH_TABLE;
  p->kind.ode.training_tolerance = p->kind.ode.decay ? TABLE_TOLERANCE : FEW_TOLERANCE;
  rh_ode_plan_read(&p->ode, &o, &p->kind.ode);
  p->actnorm = rh_options_bool(&o, "actnorm", false);
  p->base = rh_options_choice(&o, "base", 2, base_names);
  RH_TRY(rh_options_done(&o));
  return check_plan(p, where);
}

static json_t *field_spec(const plan *p) {
  if (p->field == PLANAR) return json_pack("{s:s, s:I}", "type", "planar", "units", (json_int_t)p->hidden[0]);
  json_t *field =
      rh_layers_spec("time_mlp", p->hidden_n, p->hidden, rh_smooth_names[p->activation], field_names[p->field], p->residual, p->gain);
  if (p->field != HYPER || json_object_set_new(field, "functions", json_integer(p->functions)) == 0) return field;
  json_decref(field);
  return NULL;
}

static json_t *flow_spec(const plan *p) {
  json_t *parts = json_array();
  int failed = !parts;
  for (int64_t i = 0; i < p->layers && !failed; i++) {
    if (p->actnorm) failed |= json_array_append_new(parts, json_pack("{s:s}", "type", "actnorm"));
    failed |= json_array_append_new(parts, rh_ode_plan_spec(&p->ode, field_spec(p)));
  }
  if (!failed) return json_pack("{s:s, s:o}", "type", "chain", "parts", parts);
  json_decref(parts);
  return NULL;
}

static rh_status expand(const rh_arch *arch, const json_t *options, const rh_arch_size *size, json_t **flow, json_t **base) {
  plan p = {.kind = *(const flow_kind *)arch->own};
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

static const flow_kind cnf = {CONCAT, 2, {.trace = "auto"}}, ffjord = {SQUASH, 3, {.trace = "hutchinson"}},
                       rnode = {SQUASH, 3, {.trace = "hutchinson", .kinetic = 0.01, .jacobian = 0.01, .training_steps = 8}};

const rh_arch rh_arch_cnf = {"cnf", "continuous flow (Chen et al. 2018): any field, exact traces; each density and sample is a solve",
                             expand, &cnf, false};
const rh_arch rh_arch_ffjord = {
    "ffjord", "continuous flow by fields gated by the time, trained by estimated traces (Grathwohl et al. 2019)", expand, &ffjord, false};
const rh_arch rh_arch_rnode = {"rnode", "ffjord whose field is kept easy to solve, trained in a few equal steps (Finlay et al. 2020)",
                               expand, &rnode, false};
