/* Can the laws fail? Forward's and inverse's value and ladj of every bijection are broken (flipped sign, factor 1.01, dropped, stale input)
 * and some law must notice. A part whose ladj is absent has nothing to flip or drop there: a wrong one is added instead. */
#include "laws/checks.h"
#include "laws/table.h"

typedef enum target { Y, LADJ, X, INVERSE_LADJ, TARGETS } target;
typedef enum kind { FLIPPED, FACTOR, DROPPED, STALE, KINDS } kind;
static const char *const target_names[TARGETS] = {"y", "ladj", "x", "inverse ladj"}, *const kind_names[KINDS] = {
                                                                                         "flipped sign", "factor 1.01", "dropped term",
                                                                                         "stale input"};

static struct {
  target target;
  kind kind;
  rh_bijection_type original;
  bool applied;
} mutant;

static rh_val broken(rh_graph *g, rh_val v, rh_val stale) {
  if (mutant.kind == STALE) {
    mutant.applied = true;
    return stale;
  }
  if (rh_is_none(v)) { /* zero: only a wrong addition can break it */
    mutant.applied = mutant.kind == FACTOR;
    return mutant.applied ? rh_const(g, rh_shape1(1), 0.01) : v;
  }
  mutant.applied = true;
  if (mutant.kind == FLIPPED) return rh_neg(g, v);
  if (mutant.kind == FACTOR) return rh_mulc(g, v, 1.01);
  return rh_mulc(g, v, 0);
}

static void forward(const rh_bijection *b, rh_graph *g, rh_val x, rh_val context, rh_val noise, rh_val *y, rh_val *ladj) {
  mutant.original.forward(b, g, x, context, noise, y, ladj);
  if (mutant.target > LADJ) return;
  rh_val old_y = RH_NONE, old_ladj = RH_NONE;
  if (mutant.kind == STALE) mutant.original.forward(b, g, rh_addc(g, rh_mulc(g, x, 0.9), 0.01), context, noise, &old_y, &old_ladj);
  if (mutant.target == Y) *y = broken(g, *y, old_y);
  if (mutant.target == LADJ) *ladj = broken(g, *ladj, old_ladj);
}

static void inverse(const rh_bijection *b, rh_graph *g, rh_val y, rh_val context, rh_val *x, rh_val *ladj) {
  mutant.original.inverse(b, g, y, context, x, ladj);
  if (mutant.target < X) return;
  rh_val old_x = RH_NONE, old_ladj = RH_NONE;
  if (mutant.kind == STALE) mutant.original.inverse(b, g, rh_addc(g, rh_mulc(g, y, 0.9), 0.01), context, &old_x, &old_ladj);
  if (mutant.target == X) *x = broken(g, *x, old_x);
  if (mutant.target == INVERSE_LADJ) *ladj = broken(g, *ladj, old_ladj);
}

static void mutate(rh_bijection_type *type) {
  mutant.original = *type;
  type->forward = forward;
  if (type->inverse) type->inverse = inverse;
}

/* A ladj that does not depend on the data cannot be stale. */
static bool stale_means_something(const law_entry *entry) {
  if (mutant.kind != STALE || (mutant.target != LADJ && mutant.target != INVERSE_LADJ)) return true;
  law s;
  law_begin(&s, entry, 8, RH_KEEP, NULL);
  double *x = law_data(&s, 2), *context = law_context(2), ladj[2];
  context[2] = context[0], context[3] = context[1];
  probe p = law_probe(&s, &s.f, 2, x, context);
  p.n_row = 1, p.row_val[0] = s.ladj, p.row_out[0] = ladj;
  probe_run(&p);
  free(x), free(context);
  law_end(&s);
  return ladj[0] != ladj[1];
}

static void mutants_die(void **state) {
  (void)state;
  int made = 0, killed = 0;
  char text[LAW_TEXT];
  for (size_t i = 0; i < sizeof law_table / sizeof *law_table; i++)
    for (int t = 0; t < TARGETS; t++)
      for (int k = 0; k < KINDS; k++) {
        mutant.target = (target)t, mutant.kind = (kind)k, mutant.applied = false;
        if (!stale_means_something(&law_table[i])) continue;
        bool noticed = false;
        for (int c = 0; c < 3 && !noticed; c++) noticed = !law_checks[c].check(&law_table[i], mutate, text);
        if (!mutant.applied) continue;
        made++;
        killed += noticed;
        if (!noticed) printf("SURVIVED: %s, %s of %s\n", law_table[i].name, kind_names[k], target_names[t]);
      }
  printf("mutants of bijections: %d made, %d killed\n", made, killed);
  assert_true(made > 100);
  assert_int_equal(killed, made);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(mutants_die)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
