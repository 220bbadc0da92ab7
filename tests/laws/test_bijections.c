/* Every law over every entry of the table; every registered bijection must have an entry, and every transform in every driver. */
#include "bijection/transform.h"
#include "laws/checks.h"
#include "laws/table.h"
#include "net/field.h"
#include "numeric/ode.h"

static void run_law(size_t which) {
  char text[LAW_TEXT];
  int failed = 0;
  for (size_t i = 0; i < sizeof law_table / sizeof *law_table; i++)
    if (!law_checks[which].check(&law_table[i], NULL, text)) {
      print_error("%s: %s\n", law_checks[which].name, text);
      failed++;
    }
  printf("law of %s: %zu bijections, %d failed\n", law_checks[which].name, sizeof law_table / sizeof *law_table, failed);
  assert_int_equal(failed, 0);
}
static void round_trip(void **state) {
  (void)state;
  run_law(0);
}
static void jacobian(void **state) {
  (void)state;
  run_law(1);
}
static void gradients(void **state) {
  (void)state;
  run_law(2);
}
static void bits(void **state) {
  (void)state;
  run_law(3);
}
static void extremes(void **state) {
  (void)state;
  run_law(4);
}

/* ---- nobody is left out ---- */

static bool row_has(const char *type, bool context) {
  char quoted[80];
  snprintf(quoted, sizeof quoted, "\"%s\"", type);
  for (size_t i = 0; i < sizeof law_table / sizeof *law_table; i++)
    if (strstr(law_table[i].spec, quoted) && (law_table[i].context > 0) == context) return true;
  return false;
}

static void everyone_is_here(void **state) {
  (void)state;
  int n;
  const rh_bijection_type *const *types = rh_bijection_types(&n);
  for (int t = 0; t < n; t++) {
    const char *type = types[t]->type;
    bool lossy = false;
    for (size_t i = 0; i < sizeof surjections / sizeof *surjections; i++) lossy |= strcmp(surjections[i], type) == 0;
    for (size_t i = 0; i < sizeof learned_surjections / sizeof *learned_surjections; i++) lossy |= !strcmp(learned_surjections[i], type);
    if (!lossy && !row_has(type, false) && !row_has(type, true)) fail_msg("bijection %s has no entry in tests/laws/table.h", type);
    for (int c = 0; c < 2 && types[t]->conditioned && !lossy; c++)
      if (!row_has(type, c)) fail_msg("bijection %s has no entry %s a context in tests/laws/table.h", type, c ? "with" : "without");
  }
  printf("%d registered bijections and surjections, all in the table\n", n);
}

/* What drives transforms. */
static const char *const drivers[] = {"elementwise", "coupling", "autoregressive"};
enum { DRIVERS = sizeof drivers / sizeof *drivers };

/* Which driver a specification is, -1: none; its transform, and the transform's options. */
static int driver_of(const json_t *spec, const char **transform, const json_t **options) {
  const char *type = json_string_value(json_object_get(spec, "type"));
  const json_t *t = json_object_get(spec, "transform");
  *options = json_is_object(t) ? t : NULL;
  *transform = json_is_object(t) ? json_string_value(json_object_get(t, "type")) : t ? json_string_value(t) : "affine";
  for (int k = 0; k < DRIVERS; k++)
    if (strcmp(type, drivers[k]) == 0) return k;
  return -1;
}

/* Is there a row of this driver, transform and, unless NULL, tails? inverse: within an inverse. */
static bool driven(int driver, const char *transform, const char *tails, bool context, bool inverse) {
  bool found = false;
  for (size_t i = 0; i < sizeof law_table / sizeof *law_table && !found; i++) {
    const law_entry *e = &law_table[i];
    json_t *whole;
    PROBE_OK(rh_json_parse(e->spec, strlen(e->spec), e->name, &whole));
    const json_t *part = json_object_get(whole, "part"), *options;
    const char *name;
    if ((e->context > 0) == context && (part != NULL) == inverse && driver_of(part ? part : whole, &name, &options) == driver)
      found = strcmp(name, transform) == 0 && (!tails || (options && json_object_get(options, "tails") &&
                                                          strcmp(json_string_value(json_object_get(options, "tails")), tails) == 0));
    json_decref(whole);
  }
  return found;
}

/* Is there a row of a coupling of images with this transform, whose mask begins so? */
static bool drives_images(const char *transform, const char *mask) {
  char name[80], kept[80];
  snprintf(name, sizeof name, "\"%s\"", transform);
  snprintf(kept, sizeof kept, "\"mask\":\"%s", mask);
  for (size_t i = 0; i < sizeof law_table / sizeof *law_table; i++)
    if (strstr(law_table[i].spec, "\"image\"") && strstr(law_table[i].spec, name) && strstr(law_table[i].spec, kept)) return true;
  return false;
}

/* Every transform in every driver, with and without a context: a type that lacks a row is in no law there. */
static void every_transform_is_here(void **state) {
  (void)state;
  static const char *const with[2] = {"without", "with"}, *const tails[] = {"bounded", "circular"};
  int n;
  const rh_transform_type *const *types = rh_transform_types(&n);
  assert_true(n >= 6);
  for (int context = 0; context < 2; context++) {
    for (int k = 0; k < DRIVERS; k++)
      for (int t = 0; t < n; t++)
        if (!driven(k, types[t]->type, NULL, context, false))
          fail_msg("transform %s has no row in %s %s a context in tests/laws/table.h", types[t]->type, drivers[k], with[context]);
    for (int k = 0; k < 2; k++)
      if (!driven(1, "rqs", tails[k], context, false)) fail_msg("rqs %s has no row in coupling %s a context", tails[k], with[context]);
    for (int k = 1; k < DRIVERS; k++)
      if (!driven(k, "affine", NULL, context, true)) fail_msg("inverse %s has no row %s a context", drivers[k], with[context]);
  }
  for (int t = 0; t < n; t++)
    for (int k = 0; k < 2; k++)
      if (!drives_images(types[t]->type, k ? "checkerboard" : "channels"))
        fail_msg("transform %s has no row in a coupling of images, %s", types[t]->type, k ? "checkerboard" : "channels");
  assert_false(drives_images("affine", "half") || drives_images("no such transform", "channels"));
  assert_false(driven(1, "affine", "bounded", false, false) || driven(2, "no such transform", NULL, true, false));
  printf("%d transforms, each in %d drivers with and without a context\n", n, DRIVERS);
}

/* ---- continuous flows ---- */

enum { EITHER = -1 };
typedef struct cnf_cell {
  const char *solver, *gradient, *field; /* NULL: any */
  int controlled, context;               /* or EITHER */
} cnf_cell;

/* A key's value, or its type where that is an object, is `want`; by default `usual`. */
static bool says(const json_t *spec, const char *key, const char *usual, const char *want) {
  const json_t *value = json_object_get(spec, key), *type = json_is_object(value) ? json_object_get(value, "type") : value;
  return !want || !strcmp(type ? json_string_value(type) : usual, want);
}

static bool cnf_has(const cnf_cell *c) {
  bool found = false;
  for (size_t i = 0; i < sizeof law_table / sizeof *law_table && !found; i++) {
    json_t *whole;
    PROBE_OK(rh_json_parse(law_table[i].spec, strlen(law_table[i].spec), law_table[i].name, &whole));
    const json_t *cnf = law_cnf_of(whole);
    found = cnf && says(cnf, "solver", "dp54", c->solver) && says(cnf, "gradient", "replay", c->gradient) &&
            says(cnf, "field", "time_mlp", c->field) &&
            (c->controlled == EITHER || c->controlled == !json_integer_value(json_object_get(cnf, "steps"))) &&
            (c->context == EITHER || c->context == (law_table[i].context > 0));
    json_decref(whole);
  }
  return found;
}

static void need_field(const char *type) {
  for (int context = 0; context < 2; context++)
    if (!cnf_has(&(cnf_cell){.field = type, .controlled = EITHER, .context = context}))
      fail_msg("field %s has no row in a cnf %s a context in tests/laws/table.h", type, context ? "with" : "without");
}

/* Every solver and gradient, in equal steps and by tolerance; every field, networks too, with and without a context. */
static void every_solver_and_field_is_here(void **state) {
  (void)state;
  static const char *const how[2] = {"in equal steps", "by tolerance"};
  for (int controlled = 0; controlled < 2; controlled++) {
    for (int m = 0; m < RH_ODE_METHODS; m++) {
      const rh_ode_tableau *t = rh_ode_tableau_of((rh_ode_method)m);
      const cnf_cell c = {.solver = t->name, .controlled = controlled, .context = EITHER};
      if ((!controlled || t->estimate) && !cnf_has(&c)) fail_msg("solver %s has no row %s in tests/laws/table.h", t->name, how[controlled]);
    }
    for (int k = 0; rh_ode_gradient_names[k]; k++) {
      const cnf_cell c = {.gradient = rh_ode_gradient_names[k], .controlled = controlled, .context = EITHER};
      if (!cnf_has(&c)) fail_msg("gradient %s has no row %s in tests/laws/table.h", c.gradient, how[controlled]);
    }
  }
  int fields, nets;
  const rh_field_type *const *field = rh_field_types(&fields);
  const rh_net_type *const *net = rh_net_types(&nets);
  for (int t = 0; t < fields; t++) need_field(field[t]->type);
  for (int t = 0; t < nets; t++)
    if (net[t]->apply && strcmp(net[t]->type, "constant") != 0) need_field(net[t]->type);
  assert_false(cnf_has(&(cnf_cell){.solver = "euler", .controlled = 1, .context = EITHER}));
  assert_false(cnf_has(&(cnf_cell){.field = "no such field", .controlled = EITHER, .context = EITHER}));
  printf("%d solvers and %d fields, all in the table\n", RH_ODE_METHODS, fields + nets);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(everyone_is_here),
      cmocka_unit_test(every_transform_is_here),
      cmocka_unit_test(every_solver_and_field_is_here),
      cmocka_unit_test(round_trip),
      cmocka_unit_test(jacobian),
      cmocka_unit_test(gradients),
      cmocka_unit_test(bits),
      cmocka_unit_test(extremes),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
