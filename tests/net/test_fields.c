/* Vector fields: their values against plain loops, the trace in closed form against columns and against differences, Hutchinson's estimate
 * against the trace, sizes, starts, errors. */
#define _XOPEN_SOURCE 700
#include "net/field_by_hand.h"

static const field_row rows[] = {
    {"{\"hidden\":[]}", VECTOR(4), 0, true, time_mlp_by_hand},
    {"{\"hidden\":[],\"time\":\"squash\"}", VECTOR(3), 2, true, time_mlp_by_hand},
    {"{\"hidden\":[7]}", VECTOR(4), 0, true, time_mlp_by_hand},
    {"{\"hidden\":[6],\"activation\":\"softplus\"}", VECTOR(1), 2, true, time_mlp_by_hand},
    {"{\"hidden\":[6],\"time\":\"squash\",\"activation\":\"silu\"}", VECTOR(3), 2, true, time_mlp_by_hand},
    {"{\"hidden\":[7,5]}", VECTOR(4), 0, true, time_mlp_by_hand},
    {"{\"hidden\":[5,8],\"activation\":\"gelu\"}", VECTOR(3), 2, true, time_mlp_by_hand},
    {"{\"hidden\":[5,6],\"time\":\"squash\"}", VECTOR(3), 0, false, time_mlp_by_hand},
    {"{\"hidden\":[7,5,6],\"activation\":\"softplus\"}", VECTOR(4), 0, false, time_mlp_by_hand},
    {"{\"hidden\":[6,6,6],\"time\":\"squash\",\"activation\":\"silu\"}", VECTOR(3), 2, false, time_mlp_by_hand},
    {"{\"hidden\":[6,6],\"residual\":true}", VECTOR(3), 0, false, time_mlp_by_hand},
    {"{\"hidden\":[5,5,5],\"residual\":true,\"time\":\"squash\"}", VECTOR(1), 2, false, time_mlp_by_hand},
    {"{\"hidden\":[],\"time\":\"hyper\"}", VECTOR(3), 0, true, time_mlp_by_hand},
    {"{\"hidden\":[7],\"time\":\"hyper\",\"functions\":3}", VECTOR(4), 0, true, time_mlp_by_hand},
    {"{\"hidden\":[6],\"time\":\"hyper\",\"functions\":1,\"activation\":\"silu\"}", VECTOR(1), 2, true, time_mlp_by_hand},
    {"{\"hidden\":[5,7],\"time\":\"hyper\",\"functions\":2,\"activation\":\"softplus\"}", VECTOR(3), 2, false, time_mlp_by_hand},
    {"{\"hidden\":[5,5,5],\"residual\":true,\"time\":\"hyper\"}", VECTOR(2), 0, false, time_mlp_by_hand},
    {"{\"type\":\"planar\",\"units\":5}", VECTOR(3), 0, true, planar_by_hand},
    {"{\"type\":\"planar\",\"units\":1}", VECTOR(2), 2, true, planar_by_hand},
    {"{\"type\":\"linear\"}", VECTOR(4), 0, false, NULL},
    {"{\"type\":\"mlp\",\"hidden\":[7,5],\"activation\":\"tanh\"}", VECTOR(3), 2, false, NULL},
    {"{\"type\":\"residual\",\"hidden\":6,\"blocks\":2,\"activation\":\"silu\"}", VECTOR(3), 0, false, NULL},
    /* images: windows larger than the image, images of one line, every kind of border */
    {"{\"hidden\":[]}", IMAGE(3, 2, 2), 0, true, time_conv_by_hand},
    {"{\"hidden\":[],\"time\":\"squash\"}", IMAGE(2, 2, 2), 2, true, time_conv_by_hand},
    {"{\"hidden\":[4]}", IMAGE(3, 4, 2), 0, true, time_conv_by_hand},
    {"{\"hidden\":[3],\"time\":\"squash\",\"activation\":\"tanh\"}", IMAGE(3, 3, 2), 2, true, time_conv_by_hand},
    {"{\"hidden\":[4,3]}", IMAGE(3, 4, 2), 0, true, time_conv_by_hand},
    {"{\"hidden\":[3,5],\"activation\":\"silu\"}", IMAGE(4, 4, 1), 2, true, time_conv_by_hand},
    {"{\"hidden\":[3,4],\"kernel\":5,\"activation\":\"tanh\"}", IMAGE(6, 3, 1), 0, true, time_conv_by_hand},
    {"{\"hidden\":[3,4],\"kernel\":5}", IMAGE(2, 2, 3), 0, true, time_conv_by_hand},
    {"{\"hidden\":[4,3],\"kernel\":1,\"activation\":\"gelu\"}", IMAGE(2, 3, 2), 0, true, time_conv_by_hand},
    {"{\"hidden\":[3,4]}", IMAGE(1, 5, 2), 0, true, time_conv_by_hand},
    {"{\"hidden\":[3,4]}", IMAGE(1, 1, 2), 2, true, time_conv_by_hand},
    {"{\"hidden\":[3,4],\"time\":\"squash\"}", IMAGE(2, 3, 2), 0, false, time_conv_by_hand},
    {"{\"hidden\":[3,4,2],\"activation\":\"silu\"}", IMAGE(3, 3, 1), 2, false, time_conv_by_hand},
    {"{\"hidden\":[3,3,3],\"residual\":true,\"time\":\"squash\"}", IMAGE(2, 4, 1), 0, false, time_conv_by_hand},
    {"{\"type\":\"conv\",\"hidden\":3,\"activation\":\"tanh\"}", IMAGE(2, 2, 2), 2, false, NULL},
    {"{\"type\":\"conv_residual\",\"hidden\":3,\"blocks\":1,\"activation\":\"silu\"}", IMAGE(3, 2, 2), 0, false, NULL},
    {"{\"type\":\"time_mlp\",\"hidden\":[5,6]}", IMAGE(2, 2, 2), 0, true, time_mlp_by_hand},
};

static rig make_row(const field_row *f, bool shaken) {
  return make_of(f->spec, f->in, f->context, 8, shaken);
}

static void values_by_hand(void **state) {
  (void)state;
  for (size_t k = 0; k < RH_COUNT_OF(rows); k++) {
    if (!rows[k].by_hand) continue;
    rig r = make_row(&rows[k], true);
    inputs in = draw(&r, ROWS);
    double got[ROWS * MOST], want[WIDE];
    run(&r, &in, ROWS, got, NULL, NULL);
    for (int64_t i = 0; i < ROWS; i++) {
      rows[k].by_hand(&r, in.x + i * r.field->d, in.t[i], in.context + i * r.field->context, want);
      for (int64_t j = 0; j < r.field->d; j++)
        if (!(fabs(got[i * r.field->d + j] - want[j]) <= 1e-13 * fmax(1, fabs(want[j]))))
          fail_msg("%s: %.17g, by hand %.17g", rows[k].spec, got[i * r.field->d + j], want[j]);
    }
    undraw(&in);
    drop(&r);
  }
}

/* The Jacobian's diagonal from differences of the value (fourth order). */
static double trace_by_differences(const rig *r, const inputs *in, int64_t row) {
  const int64_t d = r->field->d;
  const double h = 1e-3;
  static const double side[4] = {1, -1, 2, -2};
  double sum = 0, f[4], *dx = malloc((size_t)(ROWS * d) * 8);
  for (int64_t j = 0; j < d; j++) {
    double *at = in->x + row * d + j;
    const double kept = *at;
    for (int i = 0; i < 4; i++) {
      *at = kept + side[i] * h;
      run(r, in, ROWS, dx, NULL, NULL);
      f[i] = dx[row * d + j];
    }
    *at = kept;
    sum += (8 * (f[0] - f[1]) - (f[2] - f[3])) / (12 * h);
  }
  free(dx);
  return sum;
}

static void traces(void **state) {
  (void)state;
  for (size_t k = 0; k < RH_COUNT_OF(rows); k++) {
    rig r = make_row(&rows[k], true);
    inputs in = draw(&r, ROWS);
    double exact[ROWS], columns[ROWS], dx[ROWS * MOST], same[ROWS * MOST];
    run(&r, &in, ROWS, dx, exact, columns);
    run(&r, &in, ROWS, same, NULL, NULL);
    assert_int_equal(r.field->columns == 0, rows[k].closed);
    assert_memory_equal(dx, same, (size_t)(ROWS * r.field->d) * 8); /* the value does not depend on who asks for the trace */
    for (int i = 0; i < ROWS; i++) {
      if (!(fabs(exact[i] - columns[i]) <= 1e-12)) fail_msg("%s: trace %.17g, by columns %.17g", rows[k].spec, exact[i], columns[i]);
      const double want = trace_by_differences(&r, &in, i);
      if (!(fabs(exact[i] - want) <= 1e-8)) fail_msg("%s: trace %.17g, by differences %.17g", rows[k].spec, exact[i], want);
    }
    assert_true(fabs(exact[0]) > 1e-3); /* there is something to see */
    undraw(&in);
    drop(&r);
  }
}

/* Can these tests fail? A trace with its sign flipped, times 1.01, dropped, or of a stale x is farther from the differences than they
 * allow, in some row. Of an affine field, whose trace reads no x, a stale one is none. */
static void mutants_of_traces_die(void **state) {
  (void)state;
  enum { KINDS = 4 };
  int made = 0, killed = 0;
  for (size_t k = 0; k < RH_COUNT_OF(rows); k++) {
    rig r = make_row(&rows[k], true);
    inputs in = draw(&r, ROWS), old = draw(&r, ROWS);
    double exact[ROWS], stale[ROWS];
    bool noticed[KINDS] = {false};
    for (int64_t i = 0; i < ROWS * r.field->d; i++) old.x[i] = 0.9 * old.x[i] + 0.01;
    run(&r, &in, ROWS, NULL, exact, NULL);
    run(&r, &old, ROWS, NULL, stale, NULL);
    const int kinds = stale[0] == exact[0] ? KINDS - 1 : KINDS;
    for (int i = 0; i < ROWS; i++) {
      const double want = trace_by_differences(&r, &in, i), mutant[KINDS] = {-exact[i], 1.01 * exact[i], 0, stale[i]};
      for (int m = 0; m < kinds; m++) noticed[m] |= fabs(mutant[m] - want) > 1e-8;
    }
    for (int m = 0; m < kinds; m++) made++, killed += noticed[m];
    undraw(&in), undraw(&old);
    drop(&r);
  }
  printf("mutants of traces: %d made, %d killed\n", made, killed);
  assert_true(made > 50);
  assert_int_equal(killed, made);
}

/* Of an affine field the trace is A's, whatever x and t. */
static void affine(void **state) {
  (void)state;
  static const char *const specs[] = {"{\"hidden\":[]}", "{\"type\":\"linear\"}"};
  for (int k = 0; k < 2; k++) {
    rig r = make(specs[k], 4, 0, 8, true);
    inputs in = draw(&r, ROWS);
    double exact[ROWS], want = 0;
    const double *a = leaf(&r, k ? "weight" : "0.weight");
    for (int j = 0; j < 4; j++) want += a[j * (k ? 5 : 4) + j]; /* the network's last column is the time's */
    run(&r, &in, ROWS, NULL, exact, NULL);
    for (int i = 0; i < ROWS; i++) assert_true(fabs(exact[i] - want) <= 4e-16 * 4);
    undraw(&in);
    drop(&r);
  }
}

/* ---- Hutchinson ---- */

/* Estimates of one point's trace and squared Frobenius norm, `n` probes a row. */
static void estimates(const rig *r, rh_probe_kind kind, int64_t n, const double *x, double *trace, double *squares) {
  const int64_t d = r->field->d;
  rh_graph g;
  rh_val each, square;
  PROBE_OK(rh_graph_init(&g, &r->leaves));
  const rh_val in = rh_input(&g, rh_shape1(d)), u = rh_input(&g, rh_shape1(n * d));
  const rh_val dx = rh_field_apply(r->field, &g, in, rh_fill(&g, rh_shape1(1), 0.3), RH_NONE);
  rh_trace_probes(&g, in, dx, n, rh_trace_probe(&g, kind, u), &each, &square);
  PROBE_OK(rh_graph_status(&g));
  double *all = malloc((size_t)(MANY * d) * 8), *noise = probe_random(MANY * n * d, 7, 1e-9, 1 - 1e-9);
  for (int64_t i = 0; i < MANY * d; i++) all[i] = x[i % d];
  probe p = {.g = &g, .values = &r->values, .real_bytes = 8, .rows = MANY, .input = {all, noise}, .n_row = 2};
  p.row_val[0] = each, p.row_out[0] = trace, p.row_val[1] = square, p.row_out[1] = squares;
  probe_run(&p);
  free(all), free(noise);
  rh_graph_free(&g);
}

static void moments(const double *v, double *mean, double *error) {
  double sum = 0, square = 0;
  for (int i = 0; i < MANY; i++) sum += v[i] / MANY;
  for (int i = 0; i < MANY; i++) square += (v[i] - sum) * (v[i] - sum) / (MANY - 1);
  *mean = sum, *error = sqrt(square / MANY);
}

/* E[e'Je] = tr J and E|e'J|^2 = |J|_F^2, within 4 standard errors; signs' variance is 2 |off-diagonal of the symmetric part|^2, of normal
 * probes 2 |symmetric part|^2 (Hutchinson 1990). */
static void hutchinson_is_unbiased(void **state) {
  (void)state;
  enum { D = 5 };
  rig r = make("{\"hidden\":[9,7],\"activation\":\"softplus\"}", D, 0, 8, true);
  double *x = probe_random(D, 1, -2, 2), at[D * D], jacobian[D][D], trace = 0, frobenius = 0, sym = 0, off = 0;
  rh_graph g;
  PROBE_OK(rh_graph_init(&g, &r.leaves));
  const rh_val in = rh_input(&g, rh_shape1(D)), e = rh_input(&g, rh_shape1(D));
  const rh_val dx = rh_field_apply(r.field, &g, in, rh_fill(&g, rh_shape1(1), 0.3), RH_NONE);
  rh_val column;
  PROBE_OK(rh_jvp(&g, 1, &in, &e, 1, &dx, &column));
  double units[D * D] = {0};
  for (int i = 0; i < D; i++) units[i * D + i] = 1;
  for (int i = 0; i < D * D; i++) at[i] = x[i % D];
  probe p = {.g = &g, .values = &r.values, .real_bytes = 8, .rows = D, .input = {at, units}, .n_row = 1};
  p.row_val[0] = column, p.row_out[0] = &jacobian[0][0]; /* row i: J e_i */
  probe_run(&p);
  rh_graph_free(&g);
  for (int i = 0; i < D; i++)
    for (int j = 0; j < D; j++) {
      const double s = (jacobian[i][j] + jacobian[j][i]) / 2;
      trace += i == j ? s : 0, frobenius += jacobian[i][j] * jacobian[i][j], sym += s * s, off += i == j ? 0 : s * s;
    }
  double *each = malloc(MANY * 8), *squares = malloc(MANY * 8), mean, error;
  for (int kind = 0; kind < 2; kind++)
    for (int n = 1; n <= 3; n += 2) {
      estimates(&r, (rh_probe_kind)kind, n, x, each, squares);
      moments(each, &mean, &error);
      assert_true(fabs(mean - trace) <= 4 * error);
      const double variance = error * error * MANY, want = 2 * (kind == RH_PROBE_RADEMACHER ? off : sym) / n;
      assert_true(fabs(variance / want - 1) < 0.15);
      moments(squares, &mean, &error);
      assert_true(fabs(mean - frobenius) <= 4 * error);
    }
  free(each), free(squares), free(x);
  drop(&r);
}

/* ---- sizes, starts, errors ---- */

static void sizes_and_starts(void **state) {
  (void)state;
  rig r = make("{\"hidden\":[64,64,64],\"activation\":\"tanh\"}", 2, 0, 4, false);
  assert_int_equal(r.leaves.params, 8836); /* t is an input of every layer */
  drop(&r);
  r = make("{\"hidden\":[256,256],\"activation\":\"softplus\"}", 43, 0, 4, false);
  assert_int_equal(r.leaves.params, 88662);
  drop(&r);
  for (size_t k = 0; k < RH_COUNT_OF(rows); k++) { /* the flow starts as the identity */
    r = make_row(&rows[k], false);
    inputs in = draw(&r, ROWS);
    double dx[ROWS * MOST], trace[ROWS];
    run(&r, &in, ROWS, dx, trace, NULL);
    for (int i = 0; i < ROWS * r.field->d; i++) assert_true(dx[i] == 0);
    for (int i = 0; i < ROWS; i++) assert_true(trace[i] == 0);
    undraw(&in);
    drop(&r);
  }
}

static void errors_are_named(void **state) {
  (void)state;
  static const struct {
    const char *spec, *says;
  } cases[] = {
      {"{\"activation\":\"relu\"}", "field.activation: relu has no second derivative"},
      {"{\"type\":\"mlp\"}", "field.activation: relu has no second derivative"},
      {"{\"type\":\"residual\",\"activation\":\"elu\"}", "take tanh, softplus, silu or gelu"},
      {"{\"activation\":\"tan\"}", "did you mean 'tanh'"},
      {"{\"time\":\"hiper\"}", "did you mean 'hyper'"},
      {"{\"time\":\"hyper\",\"functions\":0}", "field.functions"},
      {"{\"functions\":2}", "unknown key 'functions'"},
      {"{\"hidden\":[3,4],\"residual\":true}", "field.residual: layers that add"},
      {"{\"type\":\"time\"}", "field.type"},
      {"{\"type\":\"conv\"}", "field.type: 'conv' reads images, here comes a vector"},
      {"{\"type\":\"time_conv\"}", "field.type: 'time_conv' reads images, here comes a vector"},
      {"{\"type\":\"planar\",\"units\":0}", "field.units"},
      {"{\"hiden\":[3]}", "did you mean 'hidden'"},
      {"[]", "expected an object"},
  };
  for (size_t k = 0; k < RH_COUNT_OF(cases); k++) {
    rig r;
    assert_int_not_equal(try(&r, cases[k].spec, rh_shape1(3), 0), RH_OK);
    if (!strstr(rh_last_error(), cases[k].says)) fail_msg("'%s' does not say '%s'", rh_last_error(), cases[k].says);
    drop(&r);
  }
}

/* ---- operations that lack a second derivative ---- */

typedef enum flaw { FLAW_NONE, FLAW_STEPS, FLAW_STEPS_OF_TIME, FLAW_ADJOINT, FLAW_BODY, FLAW_MAX, FLAW_ABS, FLAW_COUNT } flaw;
static flaw flawed;

static rh_val decay(rh_graph *b, void *arg, rh_val y, rh_val t, rh_val captures) {
  (void)arg, (void)t, (void)captures;
  return rh_neg(b, flawed == FLAW_BODY ? rh_relu(b, y) : y);
}

/* A field whose network holds an operation that may be differentiated once: a solution whose steps are taken back. */
static void flawed_apply(const rh_field *f, rh_graph *g, rh_val x, rh_val t, rh_val context, rh_val *dx, rh_val *trace) {
  (void)f, (void)context, (void)trace;
  const rh_ode_options o = {
      .method = RH_ODE_RK4, .steps = 2, .gradient = flawed == FLAW_ADJOINT || flawed == FLAW_BODY ? RH_ODE_ADJOINT : RH_ODE_REPLAY};
  rh_val y = rh_mul(g, rh_tanh(g, x), rh_sin(g, t));
  if (flawed == FLAW_STEPS || flawed == FLAW_ADJOINT || flawed == FLAW_BODY) y = rh_ode(g, y, RH_NONE, 0, 1, &o, decay, NULL);
  if (flawed == FLAW_STEPS_OF_TIME) y = rh_mul(g, y, rh_ode(g, t, RH_NONE, 0, 1, &o, decay, NULL));
  if (flawed == FLAW_MAX) y = rh_max(g, y, x);
  if (flawed == FLAW_ABS) rh_abs(g, y); /* which nothing reads */
  *dx = y;
}

/* Refused by name when it is built, not when it runs; what x does not go through may be as it likes. */
static void lacking_operations_are_named(void **state) {
  (void)state;
  static const char *const lacks[FLAW_COUNT] = {[FLAW_STEPS] = "ode_steps", [FLAW_BODY] = "relu", [FLAW_MAX] = "max"};
  static const rh_field_type type = {.type = "flawed", .bytes = sizeof(rh_field), .apply = flawed_apply};
  const rh_field f = {.type = &type, .d = 3};
  const rh_leaves none = {0};
  for (flawed = FLAW_NONE; flawed < FLAW_COUNT; flawed++) {
    const rh_status status = rh_field_check(&f, &none, "flow.field");
    assert_int_equal(status, lacks[flawed] ? RH_E_SPEC : RH_OK);
    char want[80];
    snprintf(want, sizeof want, "flow.field: its operation %s has no second derivative", lacks[flawed] ? lacks[flawed] : "");
    if (lacks[flawed] && (!strstr(rh_last_error(), want) || !strstr(rh_last_error(), "take time_mlp"))) fail_msg("%s", rh_last_error());
  }
}

/* What the check says of an elementwise function is what its rules give: a second derivative that is not zero, or is. */
static void orders_of_functions(void **state) {
  (void)state;
  for (int f = 0; f < RH_U_COUNT; f++) {
    rh_graph g;
    PROBE_OK(rh_graph_init(&g, NULL));
    const double x[3] = {0.2, 0.4, 0.7};
    double second[3] = {0};
    const rh_val v = rh_input(&g, rh_shape1(1)), y = rh_unary_val(&g, (rh_unary)f, v, f == RH_U_HALFGAMMA ? 0 : 0.3);
    rh_val d = y;
    for (int order = 0; order < 2 && !rh_is_none(d); order++) PROBE_OK(rh_vjp(&g, 1, &d, NULL, 1, &v, &d, RH_KEEP));
    probe p = {.g = &g, .real_bytes = 8, .rows = 3, .input = {x}, .n_row = 1};
    p.row_val[0] = d, p.row_out[0] = second;
    if (!rh_is_none(d)) probe_run(&p);
    const bool flat = second[0] == 0 && second[1] == 0 && second[2] == 0;
    const bool linear = f == RH_U_COPY || f == RH_U_NEG || f == RH_U_ADDC || f == RH_U_MULC;
    const int order = rh_unary_order((rh_unary)f);
    assert_true(order == -1 || order == 0 || order == 1);
    if (f != RH_U_ELU) assert_int_equal(flat, linear || order >= 0); /* elu: e^x below zero, a line above */
    rh_graph_free(&g);
  }
  assert_int_equal(rh_unary_order(RH_U_ELU), 1);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(values_by_hand),         cmocka_unit_test(traces),
      cmocka_unit_test(mutants_of_traces_die),  cmocka_unit_test(affine),
      cmocka_unit_test(hutchinson_is_unbiased), cmocka_unit_test(sizes_and_starts),
      cmocka_unit_test(errors_are_named),       cmocka_unit_test(lacking_operations_are_named),
      cmocka_unit_test(orders_of_functions),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
