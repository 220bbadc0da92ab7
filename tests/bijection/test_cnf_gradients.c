/* Gradients of training, in cells: every solver with every gradient, in equal steps and by tolerance; every field with every trace, with a
 * context and without, and turned round. Against differences of what training computes, in double; in float near those of double. */
#include "bijection/part.h"
#include "net/field.h"
#include "numeric/ode.h"

enum { ROWS = 5, D = 3, C = 2, OPERANDS = 40, NUMBERS = 128, MUTANTS = 4 };

static const char *const fields[] = {
    "{\"hidden\":[5,4],\"activation\":\"gelu\"}",
    "{\"hidden\":[4,4,4],\"time\":\"squash\",\"residual\":true,\"activation\":\"silu\"}",
    "{\"hidden\":[]}",
    "{\"hidden\":[5],\"time\":\"squash\",\"activation\":\"softplus\"}",
    "{\"hidden\":[4,5,4]}",
    "{\"type\":\"planar\",\"units\":4}",
    "{\"type\":\"mlp\",\"hidden\":[5],\"activation\":\"tanh\"}",
    "{\"type\":\"residual\",\"hidden\":5,\"blocks\":1,\"activation\":\"silu\"}",
    "{\"type\":\"linear\"}",
};
static const char *const traces[] = {
    "\"trace\":\"exact\"",
    "\"trace\":\"hutchinson\"",
    "\"trace\":\"hutchinson\",\"probe\":\"gaussian\",\"probes\":2",
    "\"trace\":\"exact\",\"kinetic\":0.3,\"jacobian\":0.2",
    "\"trace\":\"hutchinson\",\"kinetic\":0.3,\"jacobian\":0.2,\"straight\":0.1",
};

typedef struct cell {
  rh_ode_method method;
  int gradient, field, trace;
  bool controlled, context, turned;
} cell;

/* The gradient of steps taken back is that of what was computed; the adjoint's that of the solution: near it as the method is. */
typedef struct accuracy {
  double tolerance; /* of the solver */
  int steps;
  double near, near_float;
} accuracy;

static accuracy accuracy_of(const cell *c) {
  const int order = rh_ode_tableau_of(c->method)->order;
  if (c->gradient != RH_ODE_ADJOINT) return (accuracy){order > 3 ? 1e-10 : order > 2 ? 1e-8 : 1e-5, 21, 1e-6, 1e-3};
  if (order > 3) return (accuracy){1e-10, order > 4 ? 40 : 100, 1e-6, 1e-3};
  return order > 2 ? (accuracy){1e-8, 150, 1e-4, 1e-3} : order > 1 ? (accuracy){1e-5, 300, 1e-3, 2e-3} : (accuracy){0, 1500, 4e-3, 4e-3};
}

/* Steps by a tolerance jump where differences are taken: their gradient is no closer than the solver. */
static double near_of(const cell *c) {
  const accuracy a = accuracy_of(c);
  const int order = rh_ode_tableau_of(c->method)->order;
  return !c->controlled || order > 3 ? a.near : fmax(a.near, order > 2 ? 1e-4 : 2e-3);
}

static void spec_of(const cell *c, char text[600]) {
  char steps[120];
  const accuracy a = accuracy_of(c);
  if (c->controlled)
    snprintf(steps, sizeof steps, "\"rtol\":%g,\"atol\":%g,\"max_steps\":4000", a.tolerance, a.tolerance);
  else
    snprintf(steps, sizeof steps, "\"steps\":%d", a.steps);
  snprintf(text, 600, "%s{\"type\":\"cnf\",\"time\":1.3,\"solver\":\"%s\",\"gradient\":\"%s\",%s,%s,\"field\":%s}%s",
           c->turned ? "{\"type\":\"inverse\",\"part\":" : "", rh_ode_tableau_of(c->method)->name, rh_ode_gradient_names[c->gradient],
           steps, traces[c->trace], fields[c->field], c->turned ? "}" : "");
}

/* ---- one cell ---- */

typedef struct rig {
  part p;
  rh_graph g;
  rh_val of, wrt[OPERANDS], grad[OPERANDS];
  int operands, inputs; /* the first of the operands are inputs: x, context */
  double *input[3];     /* x, context, probes: as many as there are */
  rh_plan *plan;        /* of the value alone, in double: differences run it often */
  rh_work *work;
  rh_pool *pool;
} rig;

static void open_value(rig *r) {
  const rh_plan_options options = {.real_bytes = 8, .max_rows = ROWS};
  PROBE_OK(rh_plan_create(&r->g, 1, &r->of, 0, NULL, &options, &r->plan));
  PROBE_OK(rh_pool_create(1, &r->pool));
  PROBE_OK(rh_work_create(r->plan, 1, &r->work));
}

static void rig_begin(rig *r, const cell *c, int real_bytes) {
  char spec[600];
  *r = (rig){0};
  spec_of(c, spec);
  r->p = part_make(spec, D, c->context ? C : 0, real_bytes);
  part_shake(&r->p, 0.5);
  rh_graph *g = &r->g;
  PROBE_OK(rh_graph_init(g, &r->p.leaves));
  g->training = true;
  int n = 0;
  const rh_val x = r->wrt[n] = rh_input(g, rh_shape1(D));
  r->input[n++] = probe_random(ROWS * D, 1, -2, 2);
  for (int i = 0; i < D; i++) r->input[0][i] *= 8; /* the first row takes more steps than the others */
  const rh_val context = c->context ? rh_input(g, rh_shape1(C)) : RH_NONE;
  if (c->context) r->wrt[n] = context, r->input[n++] = probe_random(ROWS * C, 2, -1, 1);
  r->inputs = n;
  const int64_t noise = r->p.b->noise;
  const rh_val u = noise ? rh_input(g, rh_shape1(noise)) : RH_NONE;
  if (noise) r->input[n] = probe_random(ROWS * noise, 3, 0.01, 0.99);
  rh_val y, ladj;
  rh_forward(r->p.b, g, x, context, u, &y, &ladj);
  PROBE_OK(rh_graph_status(g));
  r->of = rh_add(g, rh_add(g, rh_mulc(g, rh_slice(g, y, 0, 1), 1.3), rh_mulc(g, rh_slice(g, y, 2, 1), -0.7)), ladj);
  r->operands = r->inputs;
  for (int l = 0; l < r->p.leaves.n; l++) r->wrt[r->operands++] = rh_leaf_val(g, l);
  assert_true(r->operands <= OPERANDS);
  PROBE_OK(rh_vjp(g, 1, &r->of, NULL, r->operands, r->wrt, r->grad, RH_KEEP));
  if (real_bytes == 8) open_value(r);
}

static void rig_end(rig *r) {
  rh_work_destroy(r->work);
  rh_pool_destroy(r->pool);
  rh_plan_destroy(r->plan);
  rh_graph_free(&r->g);
  part_free(&r->p);
  for (int i = 0; i < 3; i++) free(r->input[i]);
}

static probe probe_of(const rig *r) {
  return (probe){.g = &r->g,
                 .values = &r->p.values,
                 .real_bytes = r->p.values.real_bytes,
                 .rows = ROWS,
                 .input = {r->input[0], r->input[1], r->input[2]}};
}

static double total(const rig *r) {
  double each[ROWS], sum = 0;
  void *out[1] = {each};
  rh_dense_input in[3];
  for (int64_t i = 0; i < r->g.inputs; i++) in[i] = (rh_dense_input){r->input[i], rh_count(&r->g, r->g.input[i]) * 8};
  const rh_run_io io = {.values = &r->p.values, .rows = ROWS, .load = rh_load_dense, .arg = in, .row_out = out};
  rh_run(r->plan, r->work, r->pool, &io);
  for (int i = 0; i < ROWS; i++) sum += each[i];
  return sum;
}

/* The gradient in an operand; how many numbers. */
static int64_t gradient_of(const rig *r, int operand, double out[NUMBERS]) {
  const int64_t n = rh_count(&r->g, r->wrt[operand]) * (operand < r->inputs ? ROWS : 1);
  assert_true(n <= NUMBERS);
  memset(out, 0, NUMBERS * sizeof *out);
  if (rh_is_none(r->grad[operand])) return n;
  probe p = probe_of(r);
  if (operand < r->inputs) {
    p.n_row = 1, p.row_val[0] = r->grad[operand], p.row_out[0] = out;
  } else {
    p.n_param = 1, p.param_val[0] = r->grad[operand], p.param_out[0] = out;
  }
  probe_run(&p);
  return n;
}

static double *number_of(rig *r, int operand, int64_t i) {
  if (operand < r->inputs) return &r->input[operand][i];
  double *leaf = rh_values_at(&r->p.leaves, &r->p.values, operand - r->inputs);
  return leaf + i;
}

static double by_differences(rig *r, int operand, int64_t i) {
  static const double side[4] = {1, -1, 2, -2};
  double *at = number_of(r, operand, i), f[4];
  const double kept = *at, h = 1e-3;
  for (int k = 0; k < 4; k++) {
    *at = kept + side[k] * h;
    f[k] = total(r);
  }
  *at = kept;
  return (8 * (f[0] - f[1]) - (f[2] - f[3])) / (12 * h);
}

/* ---- the laws, and whether they can fail ---- */

static int cells, made, killed;

static bool off(double got, double want, double near) {
  return !(fabs(got - want) <= near * fmax(1, fabs(want)));
}

/* One number of every operand; a gradient with its sign flipped, times 1.01, dropped, or of what stood there before must be seen in one. */
static void check_double(rig *r, const cell *c, double grads[OPERANDS][NUMBERS]) {
  const double near = near_of(c);
  bool noticed[MUTANTS] = {false};
  char spec[600];
  for (int w = 0; w < r->operands; w++) {
    const int64_t n = gradient_of(r, w, grads[w]), i = (w * 7 + 3) % n;
    const double got = grads[w][i], want = by_differences(r, w, i), mutant[MUTANTS] = {-got, 1.01 * got, 0, grads[w][(i + 1) % n]};
    spec_of(c, spec);
    if (off(got, want, near)) fail_msg("%s: operand %d, number %d: %.12g, by differences %.12g", spec, w, (int)i, got, want);
    for (int m = 0; m < MUTANTS; m++) noticed[m] |= off(mutant[m], want, near);
  }
  for (int m = 0; m < MUTANTS; m++) made++, killed += noticed[m];
}

static void check_float(const rig *r, const cell *c, double grads[OPERANDS][NUMBERS]) {
  const double near = accuracy_of(c).near_float;
  double got[NUMBERS];
  char spec[600];
  for (int w = 0; w < r->operands; w++) {
    const int64_t n = gradient_of(r, w, got);
    spec_of(c, spec);
    for (int64_t i = 0; i < n; i++)
      if (off(got[i], grads[w][i], near))
        fail_msg("%s: operand %d, number %d: %.8g in float, %.8g in double", spec, w, (int)i, got[i], grads[w][i]);
  }
}

static void check(const cell *c) {
  static double grads[OPERANDS][NUMBERS];
  rig r;
  rig_begin(&r, c, 8);
  check_double(&r, c, grads);
  rig_end(&r);
  rig_begin(&r, c, 4);
  check_float(&r, c, grads);
  rig_end(&r);
  cells++;
}

static void every_solver_and_gradient(void **state) {
  (void)state;
  cells = made = killed = 0;
  for (int m = 0; m < RH_ODE_METHODS; m++)
    for (int gradient = 0; rh_ode_gradient_names[gradient]; gradient++)
      for (int controlled = 0; controlled < 2; controlled++) {
        if (controlled && !rh_ode_tableau_of((rh_ode_method)m)->estimate) continue;
        const cell c = {.method = (rh_ode_method)m,
                        .gradient = gradient,
                        .field = (m + gradient) % 2,
                        .trace = (m + 2 * gradient + controlled) % (int)RH_COUNT_OF(traces),
                        .controlled = controlled,
                        .context = (m + gradient + controlled) % 2};
        check(&c);
      }
  printf("%d cells; mutants of gradients: %d made, %d killed\n", cells, made, killed);
  assert_int_equal(killed, made);
}

static void every_field_and_trace(void **state) {
  (void)state;
  cells = made = killed = 0;
  for (int field = 0; field < (int)RH_COUNT_OF(fields); field++)
    for (int trace = 0; trace < (int)RH_COUNT_OF(traces); trace++)
      for (int taken_back = 0; taken_back < 2; taken_back++) {
        const cell c = {.method = RH_ODE_DP54,
                        .gradient = taken_back ? RH_ODE_REPLAY : RH_ODE_ADJOINT,
                        .field = field,
                        .trace = trace,
                        .controlled = (field + taken_back) % 2,
                        .context = (field + trace) % 2};
        check(&c);
        cell turned = c;
        turned.turned = true; /* is given no probes */
        if (trace == 0 || trace == 3) check(&turned);
      }
  printf("%d cells; mutants of gradients: %d made, %d killed\n", cells, made, killed);
  assert_int_equal(killed, made);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(every_solver_and_gradient), cmocka_unit_test(every_field_and_trace)};
  return cmocka_run_group_tests_name("bijection.cnf_gradients", tests, NULL, NULL);
}
