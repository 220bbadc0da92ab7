/* The laws of training a continuous flow: the traces that it takes and the penalties that it adds, against the same integrals in plain C,
 * for the probes that were drawn, and in expectation; scoring, which has none of that; derivatives, bits; and their mutants, in both
 * precisions. What is the same in training and scoring is under the laws of bijections (tests/laws/table.h). */
#include "laws/mutant.h"
#include "laws/traces_by_hand.h"

enum { POINTS = 3 };
enum { Y, LADJ, NOISE, KINETIC, STRAIGHT, JACOBIAN, PROBE, TARGETS };
static const char *const target_names[TARGETS] = {"y", "ladj", "the probes", "kinetic", "straight", "jacobian", "the kind of probes"};

/* ---- one made ---- */

typedef struct made {
  const trace_entry *entry;
  rh_leaves leaves;
  rh_values values;
  rh_bijection *b;
  rh_bijection_type type;    /* the instance's own, so that a mutant may change it */
  subject training, scoring; /* x, context, noise -> y, ladj */
} made;

static void break_penalty(json_t *spec, int target, const char *key) {
  if (!mutant_is(target) || !json_object_get(spec, key) || (mutant.kind != FACTOR && mutant.kind != DROPPED)) return;
  mutant.applied = true;
  json_object_set_new(spec, key, json_real(trace_number(spec, key, 0) * (mutant.kind == FACTOR ? 1.01 : 0)));
}

/* Mutants of the specification: what training adds, and by which probes. Turned round, it reads neither probes nor what needs them. */
static void break_spec(const trace_entry *e, json_t *spec) {
  break_penalty(spec, KINETIC, "kinetic");
  break_penalty(spec, STRAIGHT, "straight");
  if (e->turned) return;
  break_penalty(spec, JACOBIAN, "jacobian");
  if (!mutant_wants_stale(PROBE) || (!e->estimated && !json_object_get(spec, "jacobian"))) return;
  mutant.applied = true;
  json_object_set_new(spec, "probe", json_string(trace_probes_normal(spec) ? "rademacher" : "gaussian"));
}

static rh_bijection_type original;

/* noise: [n], each number in its neighbour's place. */
static rh_val other_probes(rh_graph *g, rh_val noise) {
  if (!mutant_wants_stale(NOISE) || rh_is_none(noise)) return noise;
  const int64_t n = rh_count(g, noise);
  const rh_val both[2] = {rh_slice(g, noise, 1, n - 1), rh_slice(g, noise, 0, 1)};
  mutant.applied = true;
  return rh_concat(g, 2, both);
}

static void forward(const rh_bijection *b, rh_graph *g, rh_val x, rh_val context, rh_val noise, rh_val *y, rh_val *ladj) {
  rh_val old_y = RH_NONE, old_ladj = RH_NONE;
  original.forward(b, g, x, context, other_probes(g, noise), y, ladj);
  if (mutant_wants_stale(Y) || mutant_wants_stale(LADJ)) original.forward(b, g, mutant_stale(g, x), context, noise, &old_y, &old_ladj);
  *y = mutant_of(Y, g, *y, old_y);
  *ladj = mutant_of(LADJ, g, *ladj, old_ladj);
}

static void solve(made *m, subject *s, bool training, rh_memory memory) {
  const trace_entry *e = m->entry;
  subject_begin(s, e->name, &m->leaves, &m->values);
  s->g.training = training;
  const rh_val x = subject_input(s, e->columns, probe_random(SUBJECT_ROWS * e->columns, 11, -2, 2));
  const rh_val context = subject_input(s, e->context, probe_random(SUBJECT_ROWS * e->context, 12, -1, 1));
  const rh_val noise = subject_input(s, m->b->noise, probe_random(SUBJECT_ROWS * m->b->noise, 13, 1e-6, 1 - 1e-6));
  rh_val y, ladj;
  rh_forward(m->b, &s->g, x, context, noise, &y, &ladj);
  subject_out(s, y);
  subject_out(s, ladj);
  if (training) subject_derive_once(s, memory);
}

static void begin(made *m, const trace_entry *e, int real_bytes, rh_memory memory) {
  memset(m, 0, sizeof *m);
  m->entry = e;
  json_t *spec = trace_spec(e);
  break_spec(e, spec);
  if (e->turned) spec = json_pack("{s:s, s:o}", "type", "inverse", "part", spec);
  if (real_bytes == 4) law_for_float32(spec);
  const rh_build build = {.leaves = &m->leaves, .prefix = "law", .context = e->context};
  PROBE_OK(rh_bijection_create(&build, spec, e->name, rh_shape1(e->columns), &m->b));
  json_decref(spec);
  PROBE_OK(rh_values_create(&m->leaves, real_bytes, &m->values));
  rh_values_init(&m->leaves, 5, &m->values);
  subject_shake(&m->leaves, &m->values, TRACE_SHAKE);
  m->type = original = *m->b->type;
  m->type.forward = forward;
  m->b->type = &m->type;
  solve(m, &m->training, true, memory);
  solve(m, &m->scoring, false, memory);
}

static void end(made *m) {
  subject_end(&m->training);
  subject_end(&m->scoring);
  rh_bijection_destroy(m->b);
  rh_values_free(&m->values);
  rh_leaves_free(&m->leaves);
}

/* ---- laws ---- */

typedef bool trace_check(const trace_entry *e, int real_bytes, char *text);

static bool near_reference(const subject *s, const trace_integrals *ref, const double *ladj, char *text) {
  double got[TRACE_ROWS * TRACE_WIDTH];
  const double near = s->values->real_bytes == 8 ? 1e-8 : 2e-5;
  subject_rows(s, s->out[0], 0, TRACE_ROWS, got);
  if (!subject_near(text, s, "y against plain C", TRACE_ROWS * s->width[0], got, ref->y, near)) return false;
  subject_rows(s, s->out[1], 0, TRACE_ROWS, got);
  return subject_near(text, s, "ladj against plain C", TRACE_ROWS, got, ladj, near);
}

/* For the probes that were drawn, training has the integrals of what they estimate, less the penalties. */
static bool training_law(const trace_entry *e, int real_bytes, char *text) {
  const trace_integrals *ref = trace_reference(e);
  double want[TRACE_ROWS];
  for (int r = 0; r < TRACE_ROWS; r++)
    want[r] = ref->sum[r][e->estimated ? ESTIMATE : TRACE] - trace_penalty(ref, r, e->turned ? 0 : ref->sum[r][SQUARES]);
  made m;
  begin(&m, e, real_bytes, RH_KEEP);
  const bool fine = near_reference(&m.training, ref, want, text);
  end(&m);
  return fine;
}

/* Scoring has the exact trace, unless it says otherwise, and never a penalty. */
static bool scoring_law(const trace_entry *e, int real_bytes, char *text) {
  const trace_integrals *ref = trace_reference(e);
  double want[TRACE_ROWS];
  for (int r = 0; r < TRACE_ROWS; r++) want[r] = ref->sum[r][e->estimated == SCORING_TOO ? ESTIMATE : TRACE];
  made m;
  begin(&m, e, real_bytes, RH_KEEP);
  const bool fine = near_reference(&m.scoring, ref, want, text);
  end(&m);
  return fine;
}

/* Every row's input as that of one row, which is one of the first; probes apart. */
static void repeat(subject *s, const double *const kept[2], int row) {
  for (int i = 0; i + 1 < s->inputs; i++)
    for (int64_t k = 0; k < SUBJECT_ROWS * s->width[i]; k++) s->data[i][k] = kept[i][row * s->width[i] + k % s->width[i]];
}

/* Over probes, the mean is the exact trace's integral less the penalties', |e'J|^2 counted as |J|^2, within 4 standard errors. */
static bool expectation_of(subject *s, const trace_integrals *ref, int row, bool estimated, char *text) {
  double ladj[SUBJECT_ROWS], mean = 0, square = 0;
  const double *sum = ref->sum[row], want = sum[TRACE] - trace_penalty(ref, row, sum[FROBENIUS]);
  subject_rows(s, s->out[1], 0, SUBJECT_ROWS, ladj);
  for (int i = 0; i < SUBJECT_ROWS; i++) mean += ladj[i] / SUBJECT_ROWS;
  for (int i = 0; i < SUBJECT_ROWS; i++) square += (ladj[i] - mean) * (ladj[i] - mean) / (SUBJECT_ROWS - 1);
  const double error = sqrt(square / SUBJECT_ROWS);
  if (!(error > 1e-6)) return subject_says(text, s, "standard error over probes", row, error, 1e-3); /* there is something to see */
  if (fabs(mean - want) <= 4 * error) return true;
  return subject_says(text, s, estimated ? "mean of the estimates" : "mean of the penalties", row, mean, want);
}

static bool expectation_law(const trace_entry *e, int real_bytes, char *text) {
  const trace_integrals *ref = trace_reference(e);
  if (e->turned || !(e->estimated || ref->jacobian > 0)) return true;
  made m;
  begin(&m, e, real_bytes, RH_KEEP);
  subject *s = &m.training;
  double x[POINTS * TRACE_WIDTH], context[POINTS * TRACE_WIDTH];
  const double *const kept[2] = {x, context};
  memcpy(x, s->data[0], (size_t)(POINTS * e->columns) * 8);
  if (e->context) memcpy(context, s->data[1], (size_t)(POINTS * e->context) * 8);
  bool fine = true;
  for (int row = 0; row < POINTS && fine; row++) {
    repeat(s, kept, row);
    fine = expectation_of(s, ref, row, e->estimated, text);
  }
  end(&m);
  return fine;
}

static bool gradients_law(const trace_entry *e, int real_bytes, char *text) {
  if (real_bytes == 4) return true; /* differences need digits */
  made m;
  begin(&m, e, 8, RH_KEEP);
  const bool fine = subject_gradients(&m.training, 6, text);
  end(&m);
  return fine;
}

/* Finite inputs, however far out: no NaN. */
static bool extremes_law(const trace_entry *e, int real_bytes, char *text) {
  static const double extreme[] = {0, 1e-30, -1, 37.5, -700, 1e6, -1e15};
  made m;
  bool fine = true;
  begin(&m, e, real_bytes, RH_KEEP);
  for (int training = 0; training < 2 && fine; training++) {
    subject *s = training ? &m.training : &m.scoring;
    double y[TRACE_ROWS * TRACE_WIDTH], ladj[TRACE_ROWS];
    for (int k = 0; k < TRACE_ROWS * e->columns; k++) s->data[0][k] = extreme[(k / e->columns + k % e->columns * 2) % TRACE_ROWS];
    subject_rows(s, s->out[0], 0, TRACE_ROWS, y);
    subject_rows(s, s->out[1], 0, TRACE_ROWS, ladj);
    for (int k = 0; k < TRACE_ROWS * e->columns && fine; k++)
      if (isnan(y[k])) fine = subject_says(text, s, "y at extreme inputs", k, y[k], 0);
    for (int k = 0; k < TRACE_ROWS && fine; k++)
      if (isnan(ladj[k])) fine = subject_says(text, s, "ladj at extreme inputs", k, ladj[k], 0);
  }
  end(&m);
  return fine;
}

static bool bits_law(const trace_entry *e, int real_bytes, char *text) {
  made keep, recompute;
  begin(&keep, e, real_bytes, RH_KEEP);
  begin(&recompute, e, real_bytes, RH_RECOMPUTE);
  const bool fine = subject_bits(&keep.training, &recompute.training, text);
  end(&keep), end(&recompute);
  return fine;
}

static const struct {
  const char *name;
  trace_check *check;
} laws[] = {{"training", training_law},   {"scoring", scoring_law},   {"expectation", expectation_law},
            {"gradients", gradients_law}, {"extremes", extremes_law}, {"bits", bits_law}};
enum { MUTANT_LAWS = 2 };

static void every_law(void **state) {
  (void)state;
  int failed = 0;
  for (size_t l = 0; l < RH_COUNT_OF(laws); l++) {
    const int before = failed;
    for (int i = 0; i < 2 * TRACE_ENTRIES; i++) {
      char text[SUBJECT_TEXT];
      if (laws[l].check(&trace_table[i / 2], i % 2 ? 8 : 4, text)) continue;
      print_error("law of %s, %s: %s\n", laws[l].name, i % 2 ? "float64" : "float32", text);
      failed++;
    }
    printf("law of %s: %d continuous flows, %d failed\n", laws[l].name, TRACE_ENTRIES, failed - before);
  }
  assert_int_equal(failed, 0);
}

/* ---- nobody is left out ---- */

/* value NULL: any. */
static bool row_has(const char *key, const char *value, bool estimated) {
  bool found = false;
  for (int i = 0; i < TRACE_ENTRIES && !found; i++) {
    json_t *spec = trace_spec(&trace_table[i]);
    const json_t *has = json_object_get(spec, key);
    found =
        has && (!value || !strcmp(json_string_value(has), value)) && (trace_table[i].estimated > 0) == estimated && !trace_table[i].turned;
    json_decref(spec);
  }
  return found;
}

/* Every kind of trace, estimates by every kind of probes, every penalty beside exact traces and beside estimates. */
static void everyone_is_here(void **state) {
  (void)state;
  static const char *const penalties[] = {"kinetic", "jacobian", "straight"};
  int traces = 0, probes = 0;
  for (; rh_trace_names[traces]; traces++)
    if (!row_has("trace", rh_trace_names[traces], traces == RH_TRACE_HUTCHINSON))
      fail_msg("trace %s has no row in tests/laws/traces.h", rh_trace_names[traces]);
  for (; rh_probe_names[probes]; probes++)
    if (!row_has("probe", rh_probe_names[probes], true)) fail_msg("probes %s have no row in tests/laws/traces.h", rh_probe_names[probes]);
  for (size_t p = 0; p < 2 * RH_COUNT_OF(penalties); p++)
    if (!row_has(penalties[p / 2], NULL, p % 2))
      fail_msg("penalty %s has no row beside %s in tests/laws/traces.h", penalties[p / 2], p % 2 ? "an estimate" : "an exact trace");
  assert_false(row_has("trace", "no such trace", false));
  printf("%d kinds of traces, %d of probes and %zu penalties, all in the table\n", traces, probes, RH_COUNT_OF(penalties));
}

/* ---- mutants ---- */

static int precision;

static bool noticed(const void *arg) {
  char text[SUBJECT_TEXT];
  for (int l = 0; l < MUTANT_LAWS; l++)
    if (!laws[l].check(arg, precision, text)) return true;
  return false;
}

static void mutants_die(void **state) {
  (void)state;
  for (int i = 0; i < 2 * TRACE_ENTRIES; i++) {
    precision = i % 2 ? 8 : 4;
    mutant_each(trace_table[i / 2].name, TARGETS, target_names, noticed, &trace_table[i / 2]);
  }
  printf("mutants of traces and penalties: %d made, %d killed\n", mutant.made, mutant.killed);
  assert_true(mutant.made > 200);
  assert_int_equal(mutant.killed, mutant.made);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(everyone_is_here), cmocka_unit_test(every_law), cmocka_unit_test(mutants_die)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
