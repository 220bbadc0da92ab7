/* What a law looks at: one entry of the table (tests/laws/table.h) built as graphs that read the same leaves. */
#ifndef RH_TESTS_LAW_H
#define RH_TESTS_LAW_H
#include "bijection/bijection.h"
#include "support/probe.h"

enum { LAW_WIDTH = 16, LAW_CONTEXT = 2, LAW_TEXT = 400 };

typedef struct law_entry {
  const char *name, *spec;
  int columns;
  int context;      /* 0 or LAW_CONTEXT */
  double low, high; /* of the data in every column */
  double tolerance; /* of the round trip in float64; 0: 1e-10; of log-determinants, too, where it is above 1e-8 */
  bool no_second;   /* reason stands beside it in the table */
} law_entry;

typedef struct law {
  const law_entry *entry;
  rh_leaves leaves;
  rh_values values;
  rh_bijection *b;
  int64_t d, latent;
  rh_graph f; /* forward: x, context -> y, ladj, jacobian columns, gradients */
  rh_val y, ladj, column[LAW_WIDTH], loss, first[40], second_of, second[40], wrt[40];
  int wrts;
  rh_graph i; /* inverse: y, context -> x, ladj, jacobian columns, gradients */
  rh_val x, inverse_ladj, inverse_column[LAW_WIDTH], inverse_wrt[40], inverse_first[40];
  rh_bijection_type type; /* the instance's own, so that a mutant may change it */
} law;

/* A row value of width 1, whatever class the part gave its log-determinant. */
static inline rh_val law_row(rh_graph *g, rh_val v) {
  return rh_add_maybe(g, rh_fill(g, rh_shape1(1), 0), v);
}

static inline rh_val law_weighed(rh_graph *g, rh_val v, uint64_t which) {
  double *w = probe_random(rh_count(g, v), which, 0.5, 1.5);
  const rh_val s = rh_sum(g, rh_mul(g, v, rh_const_values(g, rh_at(g, v)->shape, w)));
  free(w);
  return s;
}

/* Parameters away from their start, where an identity would hide what is wrong. */
static inline void law_shake(law *s) {
  for (int64_t l = 0; l < s->leaves.n; l++) {
    if (s->leaves.leaf[l].klass != RH_PARAM) continue;
    double *noise = probe_random(s->leaves.leaf[l].count, 300 + (uint64_t)l, -0.35, 0.35);
    for (int64_t k = 0; k < s->leaves.leaf[l].count; k++)
      rh_values_set(&s->leaves, &s->values, (int)l, k, rh_values_get(&s->leaves, &s->values, (int)l, k) + noise[k]);
    free(noise);
  }
}

/* The Jacobian's columns, where they are few. */
static inline rh_status law_columns(rh_graph *g, rh_val in, rh_val out, rh_val *column) {
  const int64_t d = rh_count(g, in), width = rh_count(g, out);
  for (int i = 0; i < d && d <= LAW_WIDTH; i++) {
    double unit[LAW_WIDTH] = {0};
    unit[i] = 1;
    const rh_val t = rh_const_values(g, rh_shape1(d), unit);
    RH_TRY(rh_jvp(g, 1, &in, &t, 1, &out, &column[i]));
    column[i] = rh_is_none(column[i]) ? rh_fill(g, rh_shape1(width), 0) : rh_add(g, rh_fill(g, rh_shape1(width), 0), column[i]);
  }
  return g->status;
}

static inline rh_status law_graphs(law *s, rh_memory memory) {
  rh_graph *g = &s->f;
  RH_TRY(rh_graph_init(g, &s->leaves));
  const rh_val x = s->wrt[0] = rh_input(g, rh_shape1(s->d));
  const rh_val context = s->entry->context ? rh_input(g, rh_shape1(s->entry->context)) : RH_NONE;
  s->wrts = 1;
  for (int64_t l = 0; l < s->leaves.n; l++)
    if (s->leaves.leaf[l].klass == RH_PARAM && s->wrts < 40) s->wrt[s->wrts++] = rh_leaf_val(g, (int)l);
  rh_forward(s->b, g, x, context, RH_NONE, &s->y, &s->ladj);
  RH_TRY(g->status);
  s->latent = rh_count(g, s->y);
  s->ladj = law_row(g, s->ladj);
  s->loss = rh_add(g, law_weighed(g, s->y, 1), s->ladj);
  RH_TRY(law_columns(g, x, s->y, s->column));
  RH_TRY(rh_vjp(g, 1, &s->loss, NULL, s->wrts, s->wrt, s->first, memory));
  s->second_of = RH_NONE;
  if (!s->entry->no_second) {
    s->second_of = law_weighed(g, s->first[0], 2);
    RH_TRY(rh_vjp(g, 1, &s->second_of, NULL, s->wrts, s->wrt, s->second, memory));
  }
  g = &s->i;
  RH_TRY(rh_graph_init(g, &s->leaves));
  if (!s->b->type->inverse) return RH_OK;
  const rh_val y = s->inverse_wrt[0] = rh_input(g, rh_shape1(s->latent));
  const rh_val c = s->entry->context ? rh_input(g, rh_shape1(s->entry->context)) : RH_NONE;
  rh_inverse(s->b, g, y, c, &s->x, &s->inverse_ladj);
  RH_TRY(g->status);
  s->inverse_ladj = law_row(g, s->inverse_ladj);
  RH_TRY(law_columns(g, y, s->x, s->inverse_column));
  int n = 1;
  for (int64_t l = 0; l < s->leaves.n; l++)
    if (s->leaves.leaf[l].klass == RH_PARAM && n < 40) s->inverse_wrt[n++] = rh_leaf_val(g, (int)l);
  const rh_val loss = rh_add(g, law_weighed(g, s->x, 3), s->inverse_ladj);
  return rh_vjp(g, 1, &loss, NULL, n, s->inverse_wrt, s->inverse_first, memory);
}

/* A solver's tolerances stand in the specification for float64; float32 cannot keep them: there they are at least LAW_FLOAT32_SOLVER, at
 * any depth. Equal steps stay as they are. */
#define LAW_FLOAT32_SOLVER 1e-6
static inline void law_for_float32(json_t *spec) {
  static const char *const keys[] = {"rtol", "atol"};
  for (int k = 0; k < 2 && json_is_object(spec); k++) {
    json_t *value = json_object_get(spec, keys[k]);
    if (json_is_real(value) && json_real_value(value) < LAW_FLOAT32_SOLVER) json_real_set(value, LAW_FLOAT32_SOLVER);
  }
  const char *key;
  json_t *value;
  size_t i;
  json_object_foreach(spec, key, value) law_for_float32(value);
  json_array_foreach(spec, i, value) law_for_float32(value);
}

/* The first continuous flow at any depth of a specification; NULL: none. */
static inline json_t *law_cnf_of(json_t *spec) {
  const char *key;
  json_t *value, *found = NULL;
  size_t i;
  const json_t *type = json_object_get(spec, "type");
  if (json_is_string(type) && strcmp(json_string_value(type), "cnf") == 0) return spec;
  json_object_foreach(spec, key, value) if (!found) found = law_cnf_of(value);
  json_array_foreach(spec, i, value) if (!found) found = law_cnf_of(value);
  return found;
}

/* mutate: given the instance's own copy of its type, before any graph is built; NULL: none. */
static inline void law_begin(law *s, const law_entry *entry, int real_bytes, rh_memory memory, void (*mutate)(rh_bijection_type *type)) {
  memset(s, 0, sizeof *s);
  s->entry = entry;
  s->d = entry->columns;
  json_t *spec;
  PROBE_OK(rh_json_parse(entry->spec, strlen(entry->spec), entry->name, &spec));
  if (real_bytes == 4) law_for_float32(spec);
  const rh_build build = {.leaves = &s->leaves, .prefix = "law", .context = entry->context};
  PROBE_OK(rh_bijection_create(&build, spec, entry->name, rh_shape1(s->d), &s->b));
  json_decref(spec);
  PROBE_OK(rh_values_create(&s->leaves, real_bytes, &s->values));
  rh_values_init(&s->leaves, 5, &s->values);
  law_shake(s);
  s->type = *s->b->type;
  s->b->type = &s->type;
  if (mutate) mutate(&s->type);
  PROBE_OK(law_graphs(s, memory));
}

static inline void law_end(law *s) {
  rh_graph_free(&s->f);
  rh_graph_free(&s->i);
  rh_bijection_destroy(s->b);
  rh_values_free(&s->values);
  rh_leaves_free(&s->leaves);
}

static inline double *law_data(const law *s, int64_t rows) {
  return probe_random(rows * s->d, 11, s->entry->low, s->entry->high);
}

static inline double *law_context(int64_t rows) {
  return probe_random(rows * LAW_CONTEXT, 12, -1, 1);
}

static inline probe law_probe(const law *s, const rh_graph *g, int64_t rows, const double *x, const double *context) {
  return (probe){.g = g, .values = &s->values, .real_bytes = s->values.real_bytes, .threads = 1, .rows = rows, .input = {x, context}};
}
#endif
