/* Continuous flows: affine fields, whose solution is known; what training changes, and that scoring does not see it; rows that are not
 * finished; errors. */
#include "bijection/part.h"

enum { ROWS = 7, MANY = 3000 };
#define AFFINE "\"field\":{\"type\":\"time_mlp\",\"hidden\":[]}"

/* x' = A x + b + a t */
static part affine(const char *more, int64_t d, const double *a, const double *b) {
  char spec[400];
  snprintf(spec, sizeof spec, "{\"type\":\"cnf\"%s,%s}", more, AFFINE);
  part p = part_make(spec, d, 0, 8);
  part_set(&p, "p.field.0.weight", d * d, a);
  part_set(&p, "p.field.0.bias", d, b);
  return p;
}

/* rows: as many of x and, unless NULL, noise. training: as a step has it. */
static void forward(const part *p, bool training, int64_t rows, const double *x, const double *noise, double *y, double *ladj) {
  rh_graph g;
  rh_val v, l;
  PROBE_OK(rh_graph_init(&g, &p->leaves));
  g.training = training;
  const rh_val in = rh_input(&g, p->b->in), u = noise ? rh_input(&g, rh_shape1(p->b->noise)) : RH_NONE;
  rh_forward(p->b, &g, in, RH_NONE, u, &v, &l);
  PROBE_OK(rh_graph_status(&g));
  probe run = {.g = &g, .values = &p->values, .real_bytes = p->values.real_bytes, .rows = rows, .input = {x, noise}, .n_row = 2};
  run.row_val[0] = v, run.row_out[0] = y, run.row_val[1] = l, run.row_out[1] = ladj;
  probe_run(&run);
  rh_graph_free(&g);
}

/* Liouville: the log-density of every trajectory changes by -tr(A) T, wherever it begins. */
static void an_affine_field_changes_every_density_alike(void **state) {
  (void)state;
  static const char *const solvers[] = {"", ",\"rtol\":1e-3", ",\"solver\":\"euler\",\"steps\":3", ",\"time\":2.5,\"solver\":\"bs32\""};
  const double a[9] = {0.5, -1, 0.3, 0.7, -0.2, 0.1, 0.4, 0.9, 0.25}, b[3] = {1, -2, 0.5};
  double *x = probe_random(ROWS * 3, 1, -5, 5), y[ROWS * 3], back[ROWS * 3], ladj[ROWS], inverse[ROWS];
  for (size_t s = 0; s < RH_COUNT_OF(solvers); s++) {
    part p = affine(solvers[s], 3, a, b);
    const double want = 0.55 * (s == 3 ? 2.5 : 1);
    part_forward(&p, ROWS, x, y, ladj);
    part_inverse(&p, ROWS, y, back, inverse);
    for (int i = 0; i < ROWS; i++) assert_true(fabs(ladj[i] - want) <= 4e-16 * 8 && fabs(inverse[i] + want) <= 4e-16 * 8);
    part_free(&p);
  }
  free(x);
}

/* x' = A x with A the generator of a rotation and of a stretch: y = e^(sT) R(wT) x. */
static void rotations_and_stretches(void **state) {
  (void)state;
  const double s = 0.3, w = 1.7, a[4] = {s, -w, w, s}, b[2] = {0, 0}, c = exp(s) * cos(w), n = exp(s) * sin(w);
  part p = affine(",\"rtol\":1e-12,\"atol\":1e-12", 2, a, b);
  double *x = probe_random(ROWS * 2, 1, -3, 3), y[ROWS * 2], back[ROWS * 2], ladj[ROWS], inverse[ROWS];
  part_forward(&p, ROWS, x, y, ladj);
  part_inverse(&p, ROWS, y, back, inverse);
  for (int i = 0; i < ROWS; i++) {
    assert_true(fabs(y[2 * i] - (c * x[2 * i] - n * x[2 * i + 1])) < 1e-10 &&
                fabs(y[2 * i + 1] - (n * x[2 * i] + c * x[2 * i + 1])) < 1e-10);
    assert_true(fabs(back[2 * i] - x[2 * i]) < 1e-10 && fabs(back[2 * i + 1] - x[2 * i + 1]) < 1e-10);
    assert_true(fabs(ladj[i] - 2 * s) < 1e-14 && fabs(inverse[i] + 2 * s) < 1e-14);
  }
  free(x);
  part_free(&p);
}

/* Of two equations x' = a x, first (at the data's end) by a[0] for a time 2, then by a[1] for a time 0.5, with a stretch by `between`:
 * states on the way back are known. From 2 on the stretch acts already, the first equation does not. */
static void states_on_the_way(void **state) {
  (void)state;
  static const double a[2] = {0.3, -0.5}, times[] = {2.5, 2.4, 2, 1.9, 0.3, 0}, y[2] = {1.5, -0.7};
  part p =
      part_make("{\"type\":\"chain\",\"parts\":[{\"type\":\"cnf\",\"time\":2,\"rtol\":1e-12,\"atol\":1e-12," AFFINE
                "},{\"type\":"
                "\"standardize\",\"mean\":[1],\"scale\":[4]},{\"type\":\"cnf\",\"time\":0.5,\"rtol\":1e-12,\"atol\":1e-12," AFFINE "}]}",
                1, 0, 8);
  part_set(&p, "p.0.field.0.weight", 1, &a[0]);
  part_set(&p, "p.2.field.0.weight", 1, &a[1]);
  assert_true(p.b->time == 2.5);
  for (size_t k = 0; k < RH_COUNT_OF(times); k++) {
    double got[2], inverse[2], ladj[2];
    rh_graph g;
    rh_val v;
    PROBE_OK(rh_graph_init(&g, &p.leaves));
    rh_state(p.b, &g, rh_input(&g, rh_shape1(1)), RH_NONE, times[k], &v);
    PROBE_OK(rh_graph_status(&g));
    probe run = {.g = &g, .values = &p.values, .real_bytes = 8, .rows = 2, .input = {y}, .n_row = 1};
    run.row_val[0] = v, run.row_out[0] = got;
    probe_run(&run);
    rh_graph_free(&g);
    for (int i = 0; i < 2; i++) {
      const double middle = 1 + 4 * exp(-a[1] * (2.5 - fmax(times[k], 2))) * y[i], want = exp(-a[0] * (2 - fmin(times[k], 2))) * middle;
      if (!(fabs(got[i] - want) < 1e-10)) fail_msg("at %g %.15g, should be %.15g", times[k], got[i], want);
    }
    part_inverse(&p, 2, y, inverse, ladj);
    if (times[k] == 0) assert_memory_equal(got, inverse, sizeof got);
  }
  part_free(&p);
}

/* Of a diagonal A every probe of signs tells the trace and the Frobenius norm: d log|det| = tr(A) T - (kinetic + straight) int |f|^2
 * - jacobian |A|^2 T + straight |x(T) - x(0)|^2 / T. */
static void penalties_are_training_s(void **state) {
  (void)state;
  const double a[4] = {0.5, 0, 0, -0.25}, b[2] = {0, 0}, kinetic = 0.7, jacobian = 0.3, straight = 0.4;
  static const char *const options[] = {
      ",\"trace\":\"hutchinson\",\"kinetic\":0.7,\"jacobian\":0.3,\"straight\":0.4,\"rtol\":1e-12,\"atol\":1e-12",
      ",\"trace\":\"exact\",\"kinetic\":0.7,\"jacobian\":0.3,\"straight\":0.4,\"training_steps\":120,\"rtol\":1e-12,\"atol\":1e-12"};
  for (int k = 0; k < 2; k++) {
    part p = affine(options[k], 2, a, b);
    assert_int_equal(p.b->noise, 2);
    assert_int_equal(p.b->probes, 2);
    assert_true(p.b->exact);
    double *x = probe_random(ROWS * 2, 1, -3, 3), *u = probe_random(ROWS * 2, 2, 0, 1), y[ROWS * 2], plain[ROWS * 2], ladj[ROWS],
           exact[ROWS];
    forward(&p, true, ROWS, x, u, y, ladj);
    forward(&p, false, ROWS, x, u, plain, exact);
    for (int i = 0; i < ROWS; i++) {
      double energy = 0, moved = 0; /* int (a x0 e^(a t))^2 dt = a x0^2 (e^(2a) - 1) / 2 */
      for (int j = 0; j < 2; j++) {
        energy += a[3 * j] * x[2 * i + j] * x[2 * i + j] * expm1(2 * a[3 * j]) / 2;
        moved += pow(x[2 * i + j] * expm1(a[3 * j]), 2);
      }
      const double want = 0.25 - (kinetic + straight) * energy + straight * moved - jacobian * (0.25 + 0.0625);
      if (!(fabs(ladj[i] - want) <= 1e-10 * fmax(1, fabs(want)))) fail_msg("with penalties %.15g, should be %.15g", ladj[i], want);
      assert_true(fabs(exact[i] - 0.25) < 1e-15);
      for (int j = 0; j < 2; j++) assert_true(fabs(y[2 * i + j] - plain[2 * i + j]) < 1e-9);
    }
    free(x), free(u);
    part_free(&p);
  }
}

/* Turned round it is given no probes: an exact trace, and no penalty on the Jacobian, on the way from T to 0. */
static void penalties_of_an_equation_turned_round(void **state) {
  (void)state;
  const double a[4] = {0.5, 0, 0, -0.25}, kinetic = 0.7, straight = 0.4;
  part p = part_make(
      "{\"type\":\"inverse\",\"part\":{\"type\":\"cnf\",\"trace\":\"hutchinson\",\"kinetic\":0.7,\"straight\":0.4,\"jacobian\":0.3,"
      "\"rtol\":1e-12,\"atol\":1e-12," AFFINE "}}",
      2, 0, 8);
  part_set(&p, "p.part.field.0.weight", 4, a);
  double *x = probe_random(ROWS * 2, 1, -3, 3), y[ROWS * 2], plain[ROWS * 2], ladj[ROWS], exact[ROWS];
  forward(&p, true, ROWS, x, NULL, y, ladj);
  forward(&p, false, ROWS, x, NULL, plain, exact);
  for (int i = 0; i < ROWS; i++) {
    double energy = 0, moved = 0; /* int (a x1 e^(a (t - 1)))^2 dt = a x1^2 (1 - e^(-2a)) / 2 */
    for (int j = 0; j < 2; j++) {
      energy += a[3 * j] * x[2 * i + j] * x[2 * i + j] * -expm1(-2 * a[3 * j]) / 2;
      moved += pow(x[2 * i + j] * expm1(-a[3 * j]), 2);
    }
    const double want = -0.25 - (kinetic + straight) * energy + straight * moved;
    if (!(fabs(ladj[i] - want) <= 1e-10 * fmax(1, fabs(want)))) fail_msg("with the penalty %.15g, should be %.15g", ladj[i], want);
    assert_true(fabs(exact[i] + 0.25) < 1e-15);
    for (int j = 0; j < 2; j++) assert_true(y[2 * i + j] == plain[2 * i + j]);
  }
  free(x);
  part_free(&p);
}

#define NET "\"field\":{\"type\":\"time_mlp\",\"hidden\":[6,5,4]}"

/* Scoring has the bits of a flow that never estimates, with the noise at hand or without. */
static void scoring_reads_no_probes(void **state) {
  (void)state;
  part p = part_make("{\"type\":\"cnf\",\"trace\":\"hutchinson\",\"training_steps\":2," NET "}", 4, 0, 8),
       q = part_make("{\"type\":\"cnf\",\"trace\":\"exact\"," NET "}", 4, 0, 8);
  part_shake(&p, 0.5);
  part_shake(&q, 0.5);
  double *x = probe_random(ROWS * 4, 1, -2, 2), *u = probe_random(ROWS * 4, 2, 0, 1), y[2][ROWS * 4], ladj[2][ROWS];
  assert_int_equal(q.b->noise, 0);
  forward(&q, false, ROWS, x, NULL, y[0], ladj[0]);
  for (int k = 0; k < 2; k++) {
    forward(&p, false, ROWS, x, k ? u : NULL, y[1], ladj[1]);
    assert_memory_equal(y[0], y[1], sizeof y[0]);
    assert_memory_equal(ladj[0], ladj[1], sizeof ladj[0]);
  }
  forward(&p, true, ROWS, x, u, y[1], ladj[1]);
  assert_true(ladj[1][0] != ladj[0][0]);
  free(x), free(u);
  part_free(&p);
  part_free(&q);
}

/* Training keeps its own tolerance, never a tighter one than scoring's; scoring does not see it, nor do equal steps. */
static void training_s_tolerance(void **state) {
  (void)state;
#define SOLVED(more) "{\"type\":\"cnf\"," more "," NET "}"
  static const char *const pairs[][3] = {
      /* training as the second has it, scoring as the third */
      {SOLVED("\"training_tolerance\":1e-2"), SOLVED("\"rtol\":1e-2,\"atol\":1e-2"), SOLVED("\"rtol\":1e-5")},
      {SOLVED("\"training_tolerance\":1e-6"), SOLVED("\"rtol\":1e-5"), SOLVED("\"rtol\":1e-5")},
      {SOLVED("\"training_tolerance\":1e-2,\"steps\":3"), SOLVED("\"steps\":3"), SOLVED("\"steps\":3")},
      {SOLVED("\"training_tolerance\":1e-2,\"training_steps\":3"), SOLVED("\"solver\":\"rk4\",\"steps\":3"), SOLVED("\"rtol\":1e-5")}};
  double *x = probe_random(ROWS * 4, 1, -2, 2), y[2][ROWS * 4], ladj[2][ROWS];
  for (size_t k = 0; k < RH_COUNT_OF(pairs); k++) {
    part p = part_make(pairs[k][0], 4, 0, 8);
    part_shake(&p, 0.5);
    for (int scoring = 0; scoring < 2; scoring++) {
      part q = part_make(pairs[k][1 + scoring], 4, 0, 8);
      part_shake(&q, 0.5);
      forward(&p, !scoring, ROWS, x, NULL, y[0], ladj[0]);
      forward(&q, false, ROWS, x, NULL, y[1], ladj[1]);
      if (memcmp(y[0], y[1], sizeof y[0]) != 0) fail_msg("pair %zu, %s: other codes", k, scoring ? "scoring" : "training");
      assert_memory_equal(ladj[0], ladj[1], sizeof ladj[0]);
      part_free(&q);
    }
    part_free(&p);
  }
  free(x);
}

/* Of a network as field, too. */
static void decay_is_asked_for(void **state) {
  (void)state;
  static const char *const specs[] = {
      "{\"type\":\"cnf\"," NET "}", "{\"type\":\"cnf\",\"decay\":true," NET "}",
      "{\"type\":\"cnf\",\"field\":{\"type\":\"mlp\",\"hidden\":[4],\"activation\":\"tanh\"}}",
      "{\"type\":\"cnf\",\"decay\":true,\"field\":{\"type\":\"mlp\",\"hidden\":[4],\"activation\":\"tanh\"}}"};
  static const int weights[] = {0, 4, 0, 2};
  for (size_t k = 0; k < RH_COUNT_OF(specs); k++) {
    part p = part_make(specs[k], 2, 0, 8);
    int decaying = 0;
    for (int l = 0; l < p.leaves.n; l++) {
      decaying += p.leaves.leaf[l].decay;
      if (p.leaves.leaf[l].decay) assert_int_equal(p.leaves.leaf[l].shape.rank, 2);
    }
    if (decaying < weights[k] || (!weights[k] && decaying)) fail_msg("%s: %d leaves decay", specs[k], decaying);
    part_free(&p);
  }
}

/* d (y_0 + ladj) / d parameter, of two rows with probes and penalties, in equal steps: against central differences. */
static void training_s_gradients(void **state) {
  (void)state;
  for (int k = 0; k < 2; k++) {
    char spec[300];
    snprintf(spec, sizeof spec,
             "{\"type\":\"cnf\",\"trace\":\"hutchinson\",\"probe\":\"%s\",\"probes\":2,\"kinetic\":0.5,\"jacobian\":0.2,%s,%s}",
             k ? "gaussian" : "rademacher", "\"time\":0.5,\"solver\":\"dp54\",\"steps\":16", NET);
    part p = part_make(spec, 3, 0, 8);
    part_shake(&p, 0.5);
    rh_graph g;
    rh_val y, ladj, grads[32], wrt[32];
    int n = 0;
    PROBE_OK(rh_graph_init(&g, &p.leaves));
    g.training = true;
    const rh_val in = rh_input(&g, rh_shape1(3)), u = rh_input(&g, rh_shape1(p.b->noise));
    rh_forward(p.b, &g, in, RH_NONE, u, &y, &ladj);
    const rh_val of = rh_add(&g, rh_slice(&g, y, 0, 1), ladj);
    for (int l = 0; l < p.leaves.n; l++) wrt[n++] = rh_leaf_val(&g, l);
    PROBE_OK(rh_vjp(&g, 1, &of, NULL, n, wrt, grads, RH_KEEP));
    double *x = probe_random(2 * 3, 1, -2, 2), *noise = probe_random(2 * p.b->noise, 2, 0.01, 0.99), got[64], value[2];
    for (int l = 0; l < n; l++) {
      probe run = {.g = &g, .values = &p.values, .real_bytes = 8, .rows = 2, .input = {x, noise}, .n_param = 1};
      run.param_val[0] = grads[l], run.param_out[0] = got;
      probe_run(&run);
      const int64_t i = p.leaves.leaf[l].count / 2;
      const double kept = rh_values_get(&p.leaves, &p.values, l, i), h = 1e-4;
      static const double side[4] = {1, -1, 2, -2};
      double f[4];
      for (int s = 0; s < 4; s++) {
        rh_values_set(&p.leaves, &p.values, l, i, kept + side[s] * h);
        probe at = {.g = &g, .values = &p.values, .real_bytes = 8, .rows = 2, .input = {x, noise}, .n_row = 1};
        at.row_val[0] = of, at.row_out[0] = value;
        probe_run(&at);
        f[s] = value[0] + value[1];
      }
      rh_values_set(&p.leaves, &p.values, l, i, kept);
      const double want = (8 * (f[0] - f[1]) - (f[2] - f[3])) / (12 * h);
      if (!(fabs(got[i] - want) <= 1e-6 * fmax(1, fabs(want))))
        fail_msg("%s: gradient %.12g, should be %.12g", p.leaves.leaf[l].name, got[i], want);
    }
    free(x), free(noise);
    rh_graph_free(&g);
    part_free(&p);
  }
}

/* One row many times, each with probes of its own: the mean is the exact log|det| within 4 standard errors, and latents are near. */
static void the_estimate_is_unbiased(void **state) {
  (void)state;
  static const char *const options[] = {"", ",\"probes\":3", ",\"probe\":\"gaussian\""};
  for (size_t k = 0; k < RH_COUNT_OF(options); k++) {
    char spec[300];
    snprintf(spec, sizeof spec, "{\"type\":\"cnf\",\"trace\":\"hutchinson\",\"rtol\":1e-6,\"atol\":1e-6%s,%s}", options[k], NET);
    part p = part_make(spec, 4, 0, 8);
    part_shake(&p, 0.5);
    double *one = probe_random(4, 1, -2, 2), *x = malloc(MANY * 4 * 8), *u = probe_random(MANY * p.b->noise, 2, 1e-9, 1 - 1e-9);
    double *y = malloc(MANY * 4 * 8), *ladj = malloc(MANY * 8), want[4], exact, mean = 0, square = 0;
    for (int i = 0; i < MANY * 4; i++) x[i] = one[i % 4];
    forward(&p, false, 1, one, NULL, want, &exact);
    forward(&p, true, MANY, x, u, y, ladj);
    for (int i = 0; i < MANY; i++) mean += ladj[i] / MANY;
    for (int i = 0; i < MANY; i++) square += (ladj[i] - mean) * (ladj[i] - mean) / (MANY - 1);
    assert_true(square > 1e-6);
    assert_true(fabs(mean - exact) <= 4 * sqrt(square / MANY));
    for (int i = 0; i < MANY * 4; i++) assert_true(fabs(y[i] - want[i % 4]) < 1e-4);
    free(one), free(x), free(u), free(y), free(ladj);
    part_free(&p);
  }
}

/* Beyond "exact_columns" scoring estimates, too, and says so by its noise. */
static void wide_rows_are_estimated(void **state) {
  (void)state;
  part p = part_make("{\"type\":\"cnf\",\"exact_columns\":3," NET "}", 4, 0, 8);
  part_shake(&p, 0.5);
  assert_int_equal(p.b->noise, 4);
  assert_int_equal(p.b->probes, 0);
  double *x = probe_random(4, 1, -2, 2), y[4], ladj[3];
  const double u[4] = {0.1, 0.9, 0.2, 0.3}, w[4] = {0.9, 0.8, 0.1, 0.3};
  forward(&p, false, 1, x, u, y, &ladj[0]);
  forward(&p, true, 1, x, u, y, &ladj[1]);
  forward(&p, false, 1, x, w, y, &ladj[2]);
  assert_true(ladj[0] == ladj[1] && ladj[0] != ladj[2]);
  part_free(&p);
  p = part_make("{\"type\":\"cnf\",\"exact_columns\":0,\"field\":{\"type\":\"time_mlp\",\"hidden\":[6,5]}}", 4, 0, 8);
  assert_int_equal(p.b->noise, 0); /* in closed form there are no columns */
  part_free(&p);
  free(x);
}

/* A field that grows too fast is a row without a result, and its neighbours have theirs. */
static void rows_that_are_not_finished(void **state) {
  (void)state;
  const double a[1] = {40}, b[1] = {0}, x[2] = {0, 1};
  part p = affine(",\"max_steps\":5,\"rtol\":1e-9,\"atol\":1e-9", 1, a, b);
  rh_graph g;
  rh_val y, ladj;
  PROBE_OK(rh_graph_init(&g, &p.leaves));
  rh_forward(p.b, &g, rh_input(&g, rh_shape1(1)), RH_NONE, RH_NONE, &y, &ladj);
  const rh_plan_options options = {.real_bytes = 8, .max_rows = 2, .strict = true};
  rh_plan *plan;
  rh_work *work;
  rh_pool *pool;
  PROBE_OK(rh_plan_create(&g, 1, &y, 0, NULL, &options, &plan));
  PROBE_OK(rh_pool_create(1, &pool));
  PROBE_OK(rh_work_create(plan, 1, &work));
  double out[2];
  void *row_out[1] = {out};
  const rh_dense_input in = {x, 8};
  const rh_run_io io = {.values = &p.values, .rows = 2, .load = rh_load_dense, .arg = (void *)(uintptr_t)&in, .row_out = row_out};
  rh_run(plan, work, pool, &io);
  rh_ode_report report = {0};
  assert_int_equal(rh_work_report(work, &report), RH_E_NUMERIC);
  assert_true(report.unfinished >= 1 && isnan(out[1]));
  rh_work_destroy(work);
  rh_pool_destroy(pool);
  rh_plan_destroy(plan);
  rh_graph_free(&g);
  part_free(&p);
}

/* As --set has it; the full specification has both keys. */
static void probes_are_named_with_the_trace(void **state) {
  (void)state;
  static const struct {
    const char *spec, *trace;
    int probes;
  } cases[] = {{"{\"type\":\"cnf\",\"trace\":\"hutchinson:4\"}", "hutchinson", 4},
               {"{\"type\":\"cnf\",\"trace\":\"hutchinson:04\",\"probes\":4}", "hutchinson", 4},
               {"{\"type\":\"cnf\",\"trace\":\"hutchinson:64\"}", "hutchinson", 64},
               {"{\"type\":\"cnf\",\"trace\":\"hutchinson\",\"probes\":3}", "hutchinson", 3},
               {"{\"type\":\"cnf\"}", "auto", 1}};
  for (size_t k = 0; k < RH_COUNT_OF(cases); k++) {
    part p = part_make(cases[k].spec, 3, 0, 8);
    assert_string_equal(json_string_value(json_object_get(p.b->spec, "trace")), cases[k].trace);
    assert_int_equal(json_integer_value(json_object_get(p.b->spec, "probes")), cases[k].probes);
    assert_int_equal(p.b->noise, strcmp(cases[k].trace, "auto") ? 3 * cases[k].probes : 0);
    part_free(&p);
  }
}

static void errors_are_named(void **state) {
  (void)state;
  static const struct {
    const char *spec, *says;
  } cases[] = {
      {"{\"type\":\"cnf\",\"solver\":\"rk4\"}",
       "flow.solver: rk4 has no error estimate: give a number of steps (\"steps\"), or take heun, bs32, dp54, ts54 or dop853"},
      {"{\"type\":\"cnf\",\"solver\":\"dopri5\"}", "flow.solver"},
      {"{\"type\":\"cnf\",\"atol\":0}", "flow.atol"},
      {"{\"type\":\"cnf\",\"rtol\":-1}", "flow.rtol"},
      {"{\"type\":\"cnf\",\"time\":0}", "flow.time"},
      {"{\"type\":\"cnf\",\"trace\":\"none\"}", "flow.trace"},
      {"{\"type\":\"cnf\",\"trace\":\"hutchinson: 3\"}", "flow.trace: 'hutchinson: 3': K of hutchinson:K must be 1 to 64"},
      {"{\"type\":\"cnf\",\"trace\":\"hutchinson:+3\"}", "must be 1 to 64"},
      {"{\"type\":\"cnf\",\"trace\":\"hutchinson:\"}", "must be 1 to 64"},
      {"{\"type\":\"cnf\",\"trace\":\"hutchinson:0\"}", "must be 1 to 64"},
      {"{\"type\":\"cnf\",\"trace\":\"hutchinson:65\"}", "must be 1 to 64"},
      {"{\"type\":\"cnf\",\"trace\":\"hutchinson:99999999999999999999\"}", "must be 1 to 64"},
      {"{\"type\":\"cnf\",\"trace\":\"hutchinson:3x\"}", "must be 1 to 64"},
      {"{\"type\":\"cnf\",\"trace\":\"exact:3\"}", "flow.trace: 'exact:3': only hutchinson has probes"},
      {"{\"type\":\"cnf\",\"trace\":\"hutchinson:3\",\"probes\":2}", "flow.probes: 2, but \"trace\" says hutchinson:3"},
      {"{\"type\":\"cnf\",\"probes\":0}", "flow.probes"},
      {"{\"type\":\"cnf\",\"probe\":\"uniform\"}", "flow.probe"},
      {"{\"type\":\"cnf\",\"kinetics\":1}", "did you mean 'kinetic'"},
      {"{\"type\":\"cnf\",\"field\":{\"activation\":\"relu\"}}", "flow.field.activation: relu has no second derivative"},
  };
  for (size_t k = 0; k < RH_COUNT_OF(cases); k++) {
    part p;
    assert_int_not_equal(part_try(&p, cases[k].spec, 3, 0), RH_OK);
    if (!strstr(rh_last_error(), cases[k].says)) fail_msg("'%s' does not say '%s'", rh_last_error(), cases[k].says);
    part_free(&p);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(an_affine_field_changes_every_density_alike),
      cmocka_unit_test(rotations_and_stretches),
      cmocka_unit_test(states_on_the_way),
      cmocka_unit_test(penalties_are_training_s),
      cmocka_unit_test(penalties_of_an_equation_turned_round),
      cmocka_unit_test(scoring_reads_no_probes),
      cmocka_unit_test(training_s_tolerance),
      cmocka_unit_test(decay_is_asked_for),
      cmocka_unit_test(training_s_gradients),
      cmocka_unit_test(the_estimate_is_unbiased),
      cmocka_unit_test(wide_rows_are_estimated),
      cmocka_unit_test(rows_that_are_not_finished),
      cmocka_unit_test(probes_are_named_with_the_trace),
      cmocka_unit_test(errors_are_named),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
