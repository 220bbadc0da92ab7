/* Continuous normalizing flow (Chen et al. 2018, Neural Ordinary Differential Equations, theorem 1): x(0) is the data, x(T) the latent,
 *   dx/dt = f(x, t, context)      d log|det dx(t)/dx(0)| / dt = tr(df/dx)
 * both in one state, whose error norm counts the log-determinant; the inverse solves from T back to 0. {"type": "cnf", "field": {...},
 * "time": T, "solver": ..., "rtol": ..., "atol": ..., "trace": ..., ...}: docs/continuous-flows.md.
 *
 * Training may estimate the trace by probes e that stay the same during a solve (Grathwohl et al. 2019, FFJORD, section 3.1), and penalize
 * fields that are hard to solve (Finlay et al. 2020, RNODE): of log|det| the integral of kinetic |f|^2 + jacobian |e'J|^2 is taken
 * off, inside the same state, and straight times what a path departs from a straight line at even pace (Liu et al. 2023, Flow Straight and
 * Fast, section 2.2), the integral of |f - (x(T) - x(0)) / T|^2, which is that of |f|^2 less |x(T) - x(0)|^2 / T. Everything else, scoring
 * above all, has the exact trace and no penalty, up to "exact_columns" tangent columns; beyond, the estimate serves there, too (not in the
 * inverse, which is given no noise). */
#include <math.h>
#include <stdio.h>

#include "bijection/parts.h"
#include "net/field.h"

enum { PREFIX_BYTES = 256 };
enum { FEW = 3 }; /* columns up to which "auto" takes the exact trace whatever it costs */

typedef struct cnf {
  rh_bijection b;
  rh_field *field;
  rh_ode_options ode, training;
  double kinetic, jacobian, straight;
  bool estimate; /* the trace, in training */
  bool beyond;   /* and in scoring */
  rh_probe_kind probe;
  int64_t probes;
} cnf;

/* ---- making one ---- */

/* Weights that decay pull a flow to the identity. On two columns, 2,800 rows of two moons, where a fit decays by 2, that cost 0.44 nats; on
 * 43 columns and 4,150 rows it is what keeps a field from learning the rows by heart (docs/results.md). */
static void never_decay(rh_leaves *leaves, int64_t from) {
  for (int64_t l = from; l < leaves->n; l++) leaves->leaf[l].decay = false;
}

static rh_status read_field(cnf *c, const rh_build *build, rh_spec *spec) {
  char where[RH_WHERE_BYTES], prefix[PREFIX_BYTES];
  rh_spec_where(spec, "field", -1, where);
  snprintf(prefix, sizeof prefix, "%s.field", build->prefix);
  const rh_build inner = {build->leaves, prefix, build->context};
  const int64_t before = build->leaves->n;
  RH_TRY(rh_field_create(&inner, rh_spec_json(spec, "field"), where, rh_columns_of(&c->b), &c->field));
  if (!rh_spec_bool(spec, "decay", false)) never_decay(build->leaves, before);
  rh_spec_set(spec, "field", json_incref(c->field->spec));
  c->b.context = build->context;
  return rh_spec_status(spec);
}

/* Training may go in few equal steps, cheap and never stuck, while scoring keeps its tolerances (Finlay et al. 2020); or by a tolerance of
 * its own: a gradient needs fewer digits than a density. */
static void set_training(cnf *c, double tolerance) {
  const rh_ode_gradient gradient = c->ode.gradient;
  if (!c->training.steps) c->training = c->ode;
  c->training.gradient = gradient;
  c->training.rtol = fmax(c->ode.rtol, tolerance);
  c->training.atol = fmax(c->ode.atol, tolerance);
}

static rh_status read_solver(cnf *c, rh_spec *spec) {
  const char *names[RH_ODE_METHODS + 1] = {NULL};
  for (int m = 0; m < RH_ODE_METHODS; m++) names[m] = rh_ode_tableau_of((rh_ode_method)m)->name;
  c->training = (rh_ode_options){.method = (rh_ode_method)rh_spec_choice(spec, "training_solver", RH_ODE_RK4, names),
                                 .steps = rh_spec_int(spec, "training_steps", 0, 0, 1 << 20)};
  c->b.time = rh_spec_real(spec, "time", 1, 1e-3, 1e3);
  c->ode = (rh_ode_options){.method = (rh_ode_method)rh_spec_choice(spec, "solver", RH_ODE_DP54, names),
                            .steps = rh_spec_int(spec, "steps", 0, 0, 1 << 20),
                            .rtol = rh_spec_real(spec, "rtol", 1e-5, 0, 0.1),
                            .atol = rh_spec_real(spec, "atol", 1e-5, 1e-300, 0.1),
                            .max_steps = rh_spec_int(spec, "max_steps", 1000, 1, 1 << 20),
                            .min_step = rh_spec_real(spec, "min_step", 0, 0, 1e3),
                            .fallback_steps = rh_spec_int(spec, "fallback_steps", 0, 0, 1 << 20),
                            .gradient = (rh_ode_gradient)rh_spec_choice(spec, "gradient", RH_ODE_REPLAY, rh_ode_gradient_names)};
  set_training(c, rh_spec_real(spec, "training_tolerance", 0, 0, 0.1));
  RH_TRY(rh_spec_status(spec));
  if (!c->ode.steps && !rh_ode_tableau_of(c->ode.method)->estimate)
    return rh_spec_fail(spec, "solver", "%s has no error estimate: give a number of steps (\"steps\"), or take " RH_ODE_CONTROLLED,
                        rh_ode_tableau_of(c->ode.method)->name);
  if (rh_ode_check(&c->ode) != RH_OK) return rh_spec_fail(spec, "solver", "%s", rh_last_error());
  return RH_OK;
}

static rh_status read_trace(cnf *c, rh_spec *spec) {
  rh_trace_kind trace = RH_TRACE_AUTO;
  int64_t named = 0; /* by "hutchinson:K" */
  const char *text = rh_options_text(&spec->o, "trace", rh_trace_names[RH_TRACE_AUTO]);
  RH_TRY(rh_spec_status(spec));
  if ((spec->o.status = rh_trace_read(text, spec->o.where, &trace, &named)) != RH_OK) return spec->o.status;
  rh_spec_set(spec, "trace", json_string(rh_trace_names[trace]));
  const int64_t most = rh_spec_int(spec, "exact_columns", 1024, -1, 1 << 20), columns = c->field->columns;
  c->probes = rh_spec_int(spec, "probes", named ? named : 1, 1, RH_TRACE_PROBES);
  if (named && c->probes != named) return rh_spec_fail(spec, "probes", "%lld, but \"trace\" says %s", (long long)c->probes, text);
  c->probe = (rh_probe_kind)rh_spec_choice(spec, "probe", RH_PROBE_RADEMACHER, rh_probe_names);
  c->kinetic = rh_spec_real(spec, "kinetic", 0, 0, 1e3);
  c->jacobian = rh_spec_real(spec, "jacobian", 0, 0, 1e3);
  c->straight = rh_spec_real(spec, "straight", 0, 0, 1e3);
  c->beyond = trace != RH_TRACE_EXACT && columns > most;
  c->estimate = c->beyond || trace == RH_TRACE_HUTCHINSON || (trace == RH_TRACE_AUTO && columns > FEW);
  if (c->estimate || c->jacobian > 0) c->b.noise = c->probes * rh_columns_of(&c->b);
  if (!c->beyond) c->b.probes = c->b.noise;
  return rh_spec_status(spec);
}

static rh_status cnf_create(rh_bijection *b, const rh_build *build, rh_spec *spec) {
  cnf *c = (cnf *)b;
  RH_TRY(rh_need_vector(b, spec));
  RH_TRY(read_field(c, build, spec));
  RH_TRY(read_solver(c, spec));
  return read_trace(c, spec);
}

/* ---- the equation ---- */

/* What one solve integrates. Captures: context, then the probes' uniforms: signs made within have no derivative, so that no adjoint carries
 * one. */
typedef struct task {
  const cnf *c;
  bool ladj;   /* beside x */
  bool probed; /* there are uniforms */
  bool estimate, penalize;
  bool back; /* from T to 0 */
} task;

/* Of log|det|, whichever way it is found: so on the way back, where dt < 0, the rate grows. */
static void add_penalty(const task *k, rh_graph *g, double weight, rh_val v, rh_val *rate) {
  if (weight > 0) *rate = rh_sub(g, *rate, rh_mulc(g, v, k->back ? -weight : weight));
}

/* x: [d] -> *dx [d], *rate [1]: d log|det| / dt, less the penalties. */
static void rates(const task *k, rh_graph *g, rh_val x, rh_val t, rh_val context, rh_val uniforms, rh_val *dx, rh_val *rate) {
  const cnf *c = k->c;
  rh_val estimate = RH_NONE, squares = RH_NONE;
  if (k->estimate) {
    *dx = rh_field_apply(c->field, g, x, t, context);
  } else {
    rh_trace_exact(c->field, g, x, t, context, dx, rate);
  }
  const bool frobenius = k->penalize && c->jacobian > 0 && k->probed;
  if (k->estimate || frobenius)
    rh_trace_probes(g, x, *dx, c->probes, rh_trace_probe(g, c->probe, uniforms), &estimate, frobenius ? &squares : NULL);
  if (k->estimate) *rate = estimate;
  const double energy = c->kinetic + c->straight;
  if (k->penalize && energy > 0) add_penalty(k, g, energy, rh_sum(g, rh_square(g, *dx)), rate);
  if (frobenius) add_penalty(k, g, c->jacobian, squares, rate);
}

/* y: [d], or [d + 1] with log|det| behind. */
static rh_val equation(rh_graph *g, void *arg, rh_val y, rh_val t, rh_val captures) {
  const task *k = arg;
  const int64_t d = rh_columns_of(&k->c->b), width = k->c->b.context;
  const rh_val context = width ? rh_slice(g, captures, 0, width) : RH_NONE;
  if (!k->ladj) return rh_field_apply(k->c->field, g, y, t, context);
  const rh_val x = rh_slice(g, y, 0, d), u = k->probed ? rh_slice(g, captures, width, k->c->b.noise) : RH_NONE;
  rh_val out[2] = {RH_NONE, RH_NONE};
  rates(k, g, x, t, context, u, &out[0], &out[1]);
  return g->status == RH_OK ? rh_concat(g, 2, out) : RH_NONE;
}

static rh_val solve(const task *k, rh_graph *g, rh_val y, rh_val context, rh_val uniforms, double from, double to) {
  rh_val captures[2] = {RH_NONE, RH_NONE};
  int n = 0;
  if (k->c->b.context) captures[n++] = context;
  if (k->probed) captures[n++] = uniforms;
  const rh_val all = n == 2 ? rh_concat(g, 2, captures) : captures[0];
  const rh_ode_options *options = g->training ? &k->c->training : &k->c->ode;
  return rh_ode(g, y, all, from, to, options, equation, (void *)(uintptr_t)k);
}

/* Where x ends, and log|det|. */
static void with_ladj(const task *k, rh_graph *g, rh_val x, rh_val context, rh_val uniforms, double from, double to, rh_val *end,
                      rh_val *ladj) {
  const int64_t d = rh_columns_of(&k->c->b);
  const rh_val start[2] = {x, rh_fill(g, rh_shape1(1), 0)};
  const rh_val both = solve(k, g, rh_concat(g, 2, start), context, uniforms, from, to);
  *end = rh_slice(g, both, 0, d);
  *ladj = rh_slice(g, both, d, 1);
  if (k->penalize && k->c->straight > 0)
    *ladj = rh_add(g, *ladj, rh_mulc(g, rh_sum(g, rh_square(g, rh_sub(g, *end, x))), k->c->straight / k->c->b.time));
}

static void cnf_forward(const rh_bijection *b, rh_graph *g, rh_val x, rh_val context, rh_val noise, rh_val *y, rh_val *ladj) {
  const cnf *c = (const cnf *)b;
  const bool training = g->training && !rh_is_none(noise);
  const bool estimate = !rh_is_none(noise) && (c->beyond || (training && c->estimate));
  const task k = {.c = c, .ladj = true, .probed = training || estimate, .estimate = estimate, .penalize = g->training};
  with_ladj(&k, g, x, context, noise, 0, b->time, y, ladj);
}

/* x by itself, so that who asks for x alone pays for no trace and gets the same bits. In training (of a part turned round,
 * bijection/invert.c) exact traces, there being no noise, and the penalties but for the Jacobian's. */
static void cnf_inverse(const rh_bijection *b, rh_graph *g, rh_val y, rh_val context, rh_val *x, rh_val *ladj) {
  const cnf *c = (const cnf *)b;
  const task alone = {.c = c}, both = {.c = c, .ladj = true, .penalize = g->training, .back = true};
  rh_val end;
  *x = solve(&alone, g, y, context, RH_NONE, b->time, 0);
  with_ladj(&both, g, y, context, RH_NONE, b->time, 0, &end, ladj);
}

static void cnf_state(const rh_bijection *b, rh_graph *g, rh_val y, rh_val context, double t, rh_val *x) {
  const task alone = {.c = (const cnf *)b};
  *x = t < b->time ? solve(&alone, g, y, context, RH_NONE, b->time, t) : y;
}

static void cnf_destroy(rh_bijection *b) {
  rh_field_destroy(((cnf *)b)->field);
}

const rh_bijection_type rh_bijection_cnf = {.type = "cnf",
                                            .bytes = sizeof(cnf),
                                            .conditioned = true,
                                            .create = cnf_create,
                                            .forward = cnf_forward,
                                            .inverse = cnf_inverse,
                                            .state = cnf_state,
                                            .destroy = cnf_destroy};
