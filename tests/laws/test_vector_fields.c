/* The laws of vector fields: the exact trace against the dense Jacobian of the value, derivatives, bits, extremes; and their mutants, in
 * both precisions. Values in plain loops stand in tests/net/test_fields.c, fields within a flow in tests/laws/table.h. */
#include "laws/law.h"
#include "laws/mutant.h"
#include "laws/subject.h"
#include "net/field.h"

enum { WIDTH = 4, ROWS = 20 };
enum { VALUE, TRACE, TARGETS };
static const char *const target_names[TARGETS] = {"the value", "the trace"};

/* A new field adds rows, without a context and with one, and inherits every law. */
typedef struct entry {
  const char *name, *spec;
  int64_t in[3]; /* columns, or an image's height, width, channels */
  int context;
  bool affine; /* its trace reads no x, so that it is never stale */
} entry;

static const entry table[] = {
    {"time_mlp, affine", "{\"hidden\":[]}", {3}, 0, true},
    {"time_mlp, affine, squash, a context", "{\"hidden\":[],\"time\":\"squash\"}", {2}, LAW_CONTEXT, true},
    {"time_mlp of one layer, a context", "{\"hidden\":[5],\"activation\":\"softplus\"}", {1}, LAW_CONTEXT, false},
    {"time_mlp of one layer, squash", "{\"hidden\":[5],\"time\":\"squash\",\"activation\":\"silu\"}", {3}, 0, false},
    {"time_mlp of two layers", "{\"hidden\":[6,5]}", {4}, 0, false},
    {"time_mlp of two layers, a context", "{\"hidden\":[4,5],\"activation\":\"gelu\"}", {3}, LAW_CONTEXT, false},
    {"time_mlp of three layers, residual, squash, a context",
     "{\"hidden\":[4,4,4],\"residual\":true,\"time\":\"squash\"}",
     {3},
     LAW_CONTEXT,
     false},
    {"time_mlp of one layer, hyper", "{\"hidden\":[4],\"time\":\"hyper\",\"functions\":2}", {3}, 0, false},
    {"time_mlp of two layers, hyper, a context", "{\"hidden\":[4,3],\"time\":\"hyper\",\"functions\":1}", {2}, LAW_CONTEXT, false},
    {"time_conv of two layers", "{\"type\":\"time_conv\",\"hidden\":[3,2]}", {1, 2, 2}, 0, false},
    {"time_conv of one layer, squash, a context",
     "{\"type\":\"time_conv\",\"hidden\":[3],\"time\":\"squash\",\"activation\":\"softplus\"}",
     {2, 2, 1},
     LAW_CONTEXT,
     false},
    {"planar", "{\"type\":\"planar\",\"units\":4}", {3}, 0, false},
    {"planar, a context", "{\"type\":\"planar\",\"units\":1}", {2}, LAW_CONTEXT, false},
    {"linear", "{\"type\":\"linear\"}", {4}, 0, true},
    {"linear, a context", "{\"type\":\"linear\"}", {2}, LAW_CONTEXT, true},
    {"mlp", "{\"type\":\"mlp\",\"hidden\":[5],\"activation\":\"silu\"}", {2}, 0, false},
    {"mlp, a context", "{\"type\":\"mlp\",\"hidden\":[5,4],\"activation\":\"tanh\"}", {3}, LAW_CONTEXT, false},
    {"residual", "{\"type\":\"residual\",\"hidden\":4,\"blocks\":2,\"activation\":\"softplus\"}", {3}, 0, false},
    {"residual, a context", "{\"type\":\"residual\",\"hidden\":4,\"blocks\":1,\"activation\":\"gelu\"}", {2}, LAW_CONTEXT, false},
};
enum { ENTRIES = sizeof table / sizeof *table };

static rh_shape shape_of(const entry *e) {
  return e->in[1] ? rh_shape3(e->in[0], e->in[1], e->in[2]) : rh_shape1(e->in[0]);
}
static int columns_of(const entry *e) {
  return (int)(e->in[1] ? e->in[0] * e->in[1] * e->in[2] : e->in[0]);
}

/* ---- one made ---- */

typedef struct made {
  rh_leaves leaves;
  rh_values values;
  rh_field *field;
  subject s; /* x, t, context -> dx, trace */
  rh_val column[WIDTH];
} made;

static void create(made *m, const entry *e, int real_bytes) {
  json_t *spec;
  memset(m, 0, sizeof *m);
  PROBE_OK(rh_json_parse(e->spec, strlen(e->spec), e->name, &spec));
  const rh_build build = {.leaves = &m->leaves, .prefix = "law", .context = e->context};
  PROBE_OK(rh_field_create(&build, spec, e->name, shape_of(e), &m->field));
  json_decref(spec);
  PROBE_OK(rh_values_create(&m->leaves, real_bytes, &m->values));
  rh_values_init(&m->leaves, 5, &m->values);
  subject_shake(&m->leaves, &m->values, 0.6);
}

static void begin(made *m, const entry *e, int real_bytes, rh_memory memory) {
  create(m, e, real_bytes);
  subject *s = &m->s;
  subject_begin(s, e->name, &m->leaves, &m->values);
  const rh_val x = subject_input(s, columns_of(e), probe_random(SUBJECT_ROWS * columns_of(e), 11, -2, 2));
  const rh_val t = subject_input(s, 1, probe_random(SUBJECT_ROWS, 12, 0, 1));
  const rh_val context = subject_input(s, e->context, probe_random(SUBJECT_ROWS * e->context, 13, -1, 1));
  rh_val dx, trace, old_dx = RH_NONE, old_trace = RH_NONE;
  rh_trace_exact(m->field, &s->g, x, t, context, &dx, &trace);
  if (mutant_wants_stale(VALUE) || mutant_wants_stale(TRACE))
    rh_trace_exact(m->field, &s->g, mutant_stale(&s->g, x), t, context, &old_dx, &old_trace);
  if (e->affine) old_trace = RH_NONE;
  subject_out(s, mutant_of(VALUE, &s->g, dx, old_dx));
  subject_out(s, mutant_of(TRACE, &s->g, trace, old_trace));
  PROBE_OK(law_columns(&s->g, x, s->out[0], m->column));
  subject_derive(s, memory);
}

static void end(made *m) {
  subject_end(&m->s);
  rh_field_destroy(m->field);
  rh_values_free(&m->values);
  rh_leaves_free(&m->leaves);
}

/* ---- laws ---- */

typedef bool field_check(const entry *e, int real_bytes, char *text);

static bool trace_law(const entry *e, int real_bytes, char *text) {
  made m;
  double trace[ROWS], column[ROWS * WIDTH], want[ROWS] = {0};
  begin(&m, e, real_bytes, RH_KEEP);
  subject_rows(&m.s, m.s.out[1], 0, ROWS, trace);
  for (int j = 0; j < columns_of(e); j++) {
    subject_rows(&m.s, m.column[j], 0, ROWS, column);
    for (int r = 0; r < ROWS; r++) want[r] += column[r * columns_of(e) + j];
  }
  const bool fine = subject_near(text, &m.s, "the trace against the dense Jacobian", ROWS, trace, want, real_bytes == 8 ? 1e-13 : 2e-6);
  end(&m);
  return fine;
}

/* Float has the numbers of double, but for rounding. */
static bool precision_law(const entry *e, int real_bytes, char *text) {
  made m, wide;
  double got[ROWS * WIDTH], want[ROWS * WIDTH];
  bool fine = true;
  begin(&m, e, real_bytes, RH_KEEP), begin(&wide, e, 8, RH_KEEP);
  for (int i = 0; i < 2 && fine; i++) {
    subject_rows(&m.s, m.s.out[i], 0, ROWS, got);
    subject_rows(&wide.s, wide.s.out[i], 0, ROWS, want);
    fine = subject_near(text, &m.s, i ? "the trace in another precision" : "the value in another precision",
                        ROWS * rh_count(&m.s.g, m.s.out[i]), got, want, 1e-5);
  }
  end(&m), end(&wide);
  return fine;
}

/* First and second order, which training takes. */
static bool gradients_law(const entry *e, int real_bytes, char *text) {
  if (real_bytes == 4) return true; /* differences need digits */
  made m;
  begin(&m, e, 8, RH_KEEP);
  const bool fine = subject_gradients(&m.s, 8, text);
  end(&m);
  return fine;
}

static bool extremes_law(const entry *e, int real_bytes, char *text) {
  static const double extreme[] = {0, -0.0, 1e-30, 1, 37.5, -37.5, 700, -700, 1e6, -1e6, 1e15, -1e15};
  enum { EXTREMES = sizeof extreme / sizeof *extreme };
  made m;
  double got[EXTREMES * WIDTH];
  bool fine = true;
  begin(&m, e, real_bytes, RH_KEEP);
  for (int k = 0; k < EXTREMES * columns_of(e); k++) m.s.data[0][k] = extreme[(k / columns_of(e) + k % columns_of(e) * 5) % EXTREMES];
  for (int i = 0; i < 2; i++) {
    subject_rows(&m.s, m.s.out[i], 0, EXTREMES, got);
    for (int64_t k = 0; k < EXTREMES * rh_count(&m.s.g, m.s.out[i]) && fine; k++)
      if (!isfinite(got[k])) fine = subject_says(text, &m.s, i ? "the trace far out" : "the value far out", k, got[k], 0);
  }
  end(&m);
  return fine;
}

static bool bits_law(const entry *e, int real_bytes, char *text) {
  made keep, recompute;
  begin(&keep, e, real_bytes, RH_KEEP), begin(&recompute, e, real_bytes, RH_RECOMPUTE);
  const bool fine = subject_bits(&keep.s, &recompute.s, text);
  end(&keep), end(&recompute);
  return fine;
}

static const struct {
  const char *name;
  field_check *check;
} laws[] = {
    {"the trace", trace_law}, {"precision", precision_law}, {"gradients", gradients_law}, {"extremes", extremes_law}, {"bits", bits_law}};

static void every_law(void **state) {
  (void)state;
  int failed = 0;
  for (size_t l = 0; l < RH_COUNT_OF(laws); l++) {
    const int before = failed;
    for (int i = 0; i < 2 * ENTRIES; i++) {
      char text[SUBJECT_TEXT];
      if (laws[l].check(&table[i / 2], i % 2 ? 8 : 4, text)) continue;
      print_error("law of %s, %s: %s\n", laws[l].name, i % 2 ? "float64" : "float32", text);
      failed++;
    }
    printf("law of %s: %d fields, %d failed\n", laws[l].name, ENTRIES, failed - before);
  }
  assert_int_equal(failed, 0);
}

/* ---- nobody is left out ---- */

static bool row_has(const char *type, bool context) {
  bool found = false;
  for (int i = 0; i < ENTRIES && !found; i++) {
    made m;
    create(&m, &table[i], 8);
    found = !strcmp(json_string_value(json_object_get(m.field->spec, "type")), type) && (table[i].context > 0) == context;
    end(&m);
  }
  return found;
}

static void need(const char *type) {
  for (int context = 0; context < 2; context++)
    if (!row_has(type, context))
      fail_msg("field %s has no row %s a context in tests/laws/test_vector_fields.c", type, context ? "with" : "without");
}

/* Every field, and every network of vectors that reads x. */
static void everyone_is_here(void **state) {
  (void)state;
  int fields, nets, n = 0;
  const rh_field_type *const *field = rh_field_types(&fields);
  const rh_net_type *const *net = rh_net_types(&nets);
  for (int t = 0; t < fields; t++, n++) need(field[t]->type);
  for (int t = 0; t < nets; t++)
    if (net[t]->apply && strcmp(net[t]->type, "constant") != 0) need(net[t]->type), n++;
  assert_false(row_has("no such field", false));
  printf("%d fields, all in the table\n", n);
}

/* ---- mutants ---- */

static int precision;

static bool noticed(const void *arg) {
  char text[SUBJECT_TEXT];
  return !laws[0].check(arg, precision, text);
}

static void mutants_die(void **state) {
  (void)state;
  for (int i = 0; i < 2 * ENTRIES; i++) {
    precision = i % 2 ? 8 : 4;
    mutant_each(table[i / 2].name, TARGETS, target_names, noticed, &table[i / 2]);
  }
  printf("mutants of fields: %d made, %d killed\n", mutant.made, mutant.killed);
  assert_true(mutant.made > 200);
  assert_int_equal(mutant.killed, mutant.made);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(everyone_is_here), cmocka_unit_test(every_law), cmocka_unit_test(mutants_die)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
