/* Every derivative rule of every operation, and RECOMPUTE against KEEP. */
#include "support/rules.h"

static void rules(void **state) {
  (void)state;
  char text[TEXT];
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
    if (!check_case(&cases[i], NULL, text)) fail_msg("%s", text);
  printf("%zu rules, first and second order\n", sizeof cases / sizeof *cases);
}

/* RECOMPUTE gives KEEP's bits in a first derivative. In a second one a value and its twin are differentiated each by itself, so that f' a +
 * f' b stands for f' (a + b): equal up to rounding only. */
static void recompute(void **state) {
  (void)state;
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    double out[2][2 + 2 * LEAVES][64];
    memset(out, 0, sizeof out);
    for (int memory = 0; memory < 2; memory++) {
      setup s;
      begin(&s, &cases[i], memory ? RH_RECOMPUTE : RH_KEEP);
      probe p = {.g = &s.g, .values = &s.values, .real_bytes = 8, .isa = "ref", .rows = ROWS, .input = {s.input}};
      for (int which = 0; which < 2 * (1 + LEAVES); which++) {
        const rh_val v = which <= LEAVES ? s.first[which] : rh_is_none(s.first[0]) ? RH_NONE : s.second[which - 1 - LEAVES];
        if (rh_is_none(v)) continue;
        if (rh_is_row(&s.g, v)) {
          p.row_val[p.n_row] = v, p.row_out[p.n_row++] = out[memory][which];
        } else {
          p.param_val[p.n_param] = v, p.param_out[p.n_param++] = out[memory][which];
        }
      }
      probe_run(&p);
      end(&s);
    }
    const size_t first = (1 + LEAVES) * sizeof out[0][0];
    if (memcmp(out[0], out[1], first) != 0) fail_msg("%s: RECOMPUTE's bits differ from KEEP's", cases[i].name);
    for (int which = 1 + LEAVES; which < 2 * (1 + LEAVES); which++)
      for (int k = 0; k < 64; k++) {
        const double keep = out[0][which][k], again = out[1][which][k];
        if (!(fabs(keep - again) <= 1e-13 * fmax(1, fabs(keep))))
          fail_msg("%s: second order, operand %d: RECOMPUTE gives %.17g, KEEP %.17g", cases[i].name, which - 1 - LEAVES, again, keep);
      }
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(rules), cmocka_unit_test(recompute)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
