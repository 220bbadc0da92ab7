/* The end of a test of surjections, a template: what stands before it are `table` (of entries with a name and a spec), `laws` (of which the
 * first MUTANT_LAWS are tried on mutants), TARGETS and target_names, and
 *   SUITE_NAMES  the surjections that must have a row, a list of types
 *   SUITE_KIND   what they are called
 *   SUITE_FILE   where the rows stand
 *   SUITE_LEAST  fewer mutants than that are too few */

static void every_law(void **state) {
  (void)state;
  int failed = 0;
  for (size_t l = 0; l < RH_COUNT_OF(laws); l++) {
    const int before = failed;
    for (size_t i = 0; i < RH_COUNT_OF(table); i++) {
      char text[SUBJECT_TEXT];
      if (laws[l].check(&table[i], text)) continue;
      print_error("law of %s: %s\n", laws[l].name, text);
      failed++;
    }
    printf("law of %s: %zu surjections, %d failed\n", laws[l].name, RH_COUNT_OF(table), failed - before);
  }
  assert_int_equal(failed, 0);
}

/* A registered part is a bijection, with a row in table.h, or one of the surjections that it names, with a row in their test. */
static void everyone_is_here(void **state) {
  (void)state;
  for (size_t k = 0; k < RH_COUNT_OF(SUITE_NAMES); k++) {
    char type[80];
    bool found = false;
    snprintf(type, sizeof type, "{\"type\":\"%s\"", SUITE_NAMES[k]);
    for (size_t i = 0; i < RH_COUNT_OF(table); i++) found |= strncmp(table[i].spec, type, strlen(type)) == 0;
    if (!found) fail_msg("surjection %s has no row in " SUITE_FILE, SUITE_NAMES[k]);
  }
  printf("%zu " SUITE_KIND ", all in the table\n", RH_COUNT_OF(SUITE_NAMES));
}

static bool noticed(const void *arg) {
  char text[SUBJECT_TEXT];
  for (int l = 0; l < MUTANT_LAWS; l++)
    if (!laws[l].check(arg, text)) return true;
  return false;
}

static void mutants_die(void **state) {
  (void)state;
  for (size_t i = 0; i < RH_COUNT_OF(table); i++) mutant_each(table[i].name, TARGETS, target_names, noticed, &table[i]);
  printf("mutants of " SUITE_KIND ": %d made, %d killed\n", mutant.made, mutant.killed);
  assert_true(mutant.made > SUITE_LEAST);
  assert_int_equal(mutant.killed, mutant.made);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(everyone_is_here), cmocka_unit_test(every_law), cmocka_unit_test(mutants_die)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
