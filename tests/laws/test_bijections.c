/* Every law over every entry of the table; every registered bijection must have an entry. */
#include "laws/checks.h"
#include "laws/table.h"

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

static void everyone_is_here(void **state) {
  (void)state;
  int n;
  const rh_bijection_type *const *types = rh_bijection_types(&n);
  for (int t = 0; t < n; t++) {
    char quoted[80];
    snprintf(quoted, sizeof quoted, "\"%s\"", types[t]->type);
    bool found = false;
    for (size_t i = 0; i < sizeof law_table / sizeof *law_table; i++) found |= strstr(law_table[i].spec, quoted) != NULL;
    for (size_t i = 0; i < sizeof surjections / sizeof *surjections; i++) found |= strcmp(surjections[i], types[t]->type) == 0;
    if (!found) fail_msg("bijection %s has no entry in tests/laws/table.h", types[t]->type);
  }
  printf("%d registered bijections and surjections, all in the table\n", n);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(everyone_is_here), cmocka_unit_test(round_trip), cmocka_unit_test(jacobian),
      cmocka_unit_test(gradients),        cmocka_unit_test(bits),       cmocka_unit_test(extremes),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
