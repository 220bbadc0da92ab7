/* Conditional densities from C: arrays and files, categories by number and by text; every argument is checked, and no failed allocation is
 * lost. */
#define _XOPEN_SOURCE 700 /* mkdtemp */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "api/face.h"
#include "base/rng.h"

enum { ROWS = 400, COLUMNS = 3 };
static char folder[64];
static double x[ROWS * COLUMNS];

static int start(void **state) {
  (void)state;
  strcpy(folder, "/tmp/rheo-given-XXXXXX");
  if (!mkdtemp(folder)) return -1;
  const rh_rng rng = rh_rng_at(1, 0, 0, RH_STREAM_TEST);
  rh_rng_uniform(&rng, 0, ROWS * COLUMNS, x);
  for (int i = 0; i < ROWS * COLUMNS; i++) x[i] = log(x[i] / (1 - x[i]));
  return 0;
}

static int stop(void **state) {
  (void)state;
  return rmdir(folder);
}

/* [x0 | number, category | x1]: the context in the middle; x1 follows the category, 5, 7 or 9. */
static void conditional_rows(double *rows) {
  for (int i = 0; i < ROWS; i++) {
    const double number = x[i * COLUMNS + 2], category = 5 + 2 * (i % 3);
    const double row[4] = {x[i * COLUMNS] + number, number, category, x[i * COLUMNS + 1] + category};
    memcpy(rows + i * 4, row, sizeof row);
  }
}

#define CONTEXT "\"context\": \"2,3\", \"categorical\": \"3\""

/* Columns 0, 3 and then 1, 2: rows as a density takes them. */
static void model_rows(const double *rows, double *out) {
  static const int order[4] = {0, 3, 1, 2};
  for (int i = 0; i < ROWS; i++)
    for (int j = 0; j < 4; j++) out[i * 4 + j] = rows[i * 4 + order[j]];
}

static void conditional(void **state) {
  (void)state;
  static double rows[ROWS * 4], given[ROWS * 4], context[ROWS * 2], s[ROWS * 2], scored[ROWS], sampled[ROWS], both[ROWS * 4], z[ROWS * 2];
  rh_density *d = NULL;
  conditional_rows(rows);
  model_rows(rows, given);
  OK(rh_fit_blocks(&(rh_block){rows, ROWS, 4, 8}, NULL, NULL, "{\"dtype\": \"f64\", " CONTEXT ", " SMALL "}", NULL, NULL, &d, NULL));
  assert_int_equal(rh_density_columns(d), 2);
  assert_int_equal(rh_density_context(d), 2);
  for (int i = 0; i < ROWS; i++) memcpy(context + i * 2, given + i * 4 + 2, 2 * sizeof *context);
  OK(rh_density_sample(d, 3, 1, 0, ROWS, context, s, sampled));
  for (int i = 0; i < ROWS; i++) {
    memcpy(both + i * 4, s + i * 2, 2 * sizeof *s);
    memcpy(both + i * 4 + 2, context + i * 2, 2 * sizeof *s);
  }
  OK(rh_density_log_prob(d, ROWS, both, scored));
  for (int i = 0; i < ROWS; i++) assert_true(fabs(scored[i] - sampled[i]) < 1e-9 * (1 + fabs(scored[i])));
  double one[2] = {0, 0}, p;
  OK(rh_density_given(d, "3=7,2=-1.5", one));
  assert_true(one[0] == -1.5 && one[1] == 7);
  REFUSED(RH_E_ARGUMENT, rh_density_given(d, "2=1,3=6", one));
  REFUSED(RH_E_ARGUMENT, rh_density_given(d, "3=7", one));
  REFUSED(RH_E_ARGUMENT, rh_density_given(d, NULL, one));
  REFUSED(RH_E_ARGUMENT, rh_density_given(d, "2=1,3=5", NULL));
  REFUSED(RH_E_ARGUMENT, rh_density_given(NULL, "2=1,3=5", one));
  assert_true(one[0] == -1.5 && one[1] == 7);
  OK(rh_density_sample(d, 3, 1, 77, 1, context + 77 * 2, one, &p)); /* alone, the same bits */
  assert_memory_equal(one, s + 77 * 2, sizeof one);
  OK(rh_density_sample(d, 3, 1, INT64_MAX - 1, 1, context, one, &p)); /* the context of the last sample there is */
  assert_true(isfinite(p));
  OK(rh_density_sample(d, 3, 1, 77, 1, context + 77 * 2, one, &p));
  OK(rh_density_log_prob(d, 1, both + 77 * 4, &p));
  assert_true(p == scored[77]);
  OK(rh_density_encode(d, ROWS, both, z, NULL));
  for (int i = 0; i < ROWS; i++) memcpy(both + i * 4, z + i * 2, 2 * sizeof *z);
  OK(rh_density_decode(d, ROWS, both, z, NULL));
  for (int i = 0; i < ROWS * 2; i++) assert_true(fabs(z[i] - s[i]) < 1e-9 * (1 + fabs(s[i])));
  context[5] = 6; /* between two categories */
  REFUSED(RH_E_DATA, rh_density_sample(d, 3, 1, 0, ROWS, context, s, NULL));
  assert_non_null(strstr(rh_last_error(), "row 2, column 1 (from 0): 6 is no category of the fit's; there are 5, 7, 9"));
  given[3 * 4 + 3] = 11;
  REFUSED(RH_E_DATA, rh_density_log_prob(d, ROWS, given, scored));
  REFUSED(RH_E_DATA, rh_density_encode(d, ROWS, given, z, NULL));
  REFUSED(RH_E_DATA, rh_density_decode(d, ROWS, given, z, NULL));
  REFUSED(RH_E_ARGUMENT, rh_density_sample(d, 3, 1, 0, 1, NULL, s, NULL));
  REFUSED(RH_E_ARGUMENT, rh_density_category(d, 1, "red", &p)); /* its categories are numbers */
  REFUSED(RH_E_ARGUMENT, rh_density_category(d, 2, "red", &p));
  rh_density_close(d);
}

static void write_texts(const char *path) {
  FILE *file = fopen(path, "w");
  assert_non_null(file);
  fprintf(file, "a,colour,b\n");
  for (int i = 0; i < 60; i++) fprintf(file, "%.9g,%s,%.9g\n", x[i * COLUMNS], i % 2 ? "\"dark, red\"" : "blue", x[i * COLUMNS + 1]);
  fclose(file);
}

static void categories_of_texts(void **state) {
  (void)state;
  char path[96], out[96], options[160];
  snprintf(path, sizeof path, "%s/texts.csv", folder);
  snprintf(out, sizeof out, "%s/out.csv", folder);
  write_texts(path);
  rh_density *d = NULL;
  double value = -1;
  OK(rh_fit_files(path, NULL, NULL, "{\"context\": \"colour\", " SMALL "}", NULL, NULL, &d, NULL));
  OK(rh_density_category(d, 0, "dark, red", &value));
  assert_true(value == 1);
  REFUSED(RH_E_ARGUMENT, rh_density_category(d, 0, "green", &value));
  snprintf(options, sizeof options, "{\"context\": \"%s\", \"count\": 2}", path);
  OK(rh_sample_file(d, out, options, NULL));
  char *report = NULL;
  OK(rh_score_file(d, out, NULL, NULL, &report)); /* what was written, quotes and all, is read again */
  assert_non_null(strstr(report, "\"n\":120"));
  rh_text_free(report);
  rh_density_close(d);
  unlink(path);
  unlink(out);
}

/* A table of three columns: a number, a category, a number; the last row's category is `last`. */
static void write_numbers(const char *path, int last) {
  FILE *file = fopen(path, "w");
  assert_non_null(file);
  fprintf(file, "a,k,b\n");
  for (int i = 0; i < 60; i++) fprintf(file, "%.9g,%d,%.9g\n", x[i * COLUMNS], i == 59 ? last : 3 + i % 2, x[i * COLUMNS + 1]);
  fclose(file);
}

static void a_comparison_knows_its_categories(void **state) {
  (void)state;
  static const char options[] = "{\"arch\": \"nice\", \"context\": \"k\", \"categorical\": \"k\", " SMALL "}";
  static const char words[] = "row 60, column 2 (k): 9 is no category of the fit's; there are 3, 4";
  char path[96], other[96], *report = NULL;
  snprintf(path, sizeof path, "%s/numbers.csv", folder);
  snprintf(other, sizeof other, "%s/other.csv", folder);
  write_numbers(path, 4);
  write_numbers(other, 9);
  OK(rh_compare_files(path, path, path, options, NULL, NULL, NULL, &report));
  rh_text_free(report);
  for (int part = 0; part < 2; part++) {
    REFUSED(RH_E_DATA, rh_compare_files(path, part ? path : other, part ? other : path, options, NULL, NULL, NULL, NULL));
    if (!strstr(rh_last_error(), words)) fail_msg("'%s' does not say '%s'", rh_last_error(), words);
  }
  unlink(path);
  unlink(other);
}

static void detect_fits_all_columns(void **state) {
  (void)state;
  static const char *const options[] = {"{\"context\": \"k\", " SMALL "}", "{\"categorical\": \"k\", " SMALL "}",
                                        "{\"embedding\": 2, " SMALL "}"};
  char path[96];
  snprintf(path, sizeof path, "%s/numbers.csv", folder);
  write_numbers(path, 4);
  for (size_t i = 0; i < sizeof options / sizeof *options; i++) {
    REFUSED(RH_E_ARGUMENT, rh_detect_files(NULL, path, path, NULL, options[i], NULL, NULL, NULL));
    assert_non_null(strstr(rh_last_error(), "detect fits the density of all columns: fit a conditional one first"));
  }
  OK(rh_detect_files(NULL, path, path, NULL, "{" SMALL "}", NULL, NULL, NULL));
  unlink(path);
}

static rh_density *texts;

static rh_status call_fit_texts(void **out) {
  char path[96];
  snprintf(path, sizeof path, "%s/texts.csv", folder);
  return rh_fit_files(path, path, NULL,
                      "{\"context\": \"colour\", \"steps\": 1, \"threads\": 1, \"set\": {\"hidden\": [4], \"layers\": 1}}", NULL, NULL,
                      (rh_density **)out, NULL);
}

static rh_status call_sample_texts(void **out) {
  char path[96], options[160];
  snprintf(path, sizeof path, "%s/texts.csv", folder);
  snprintf(options, sizeof options, "{\"context\": \"%s\", \"count\": 2}", path);
  return rh_sample_file(texts, "/dev/null", options, (char **)out);
}

static rh_status call_encode_texts(void **out) {
  char path[96];
  snprintf(path, sizeof path, "%s/texts.csv", folder);
  return rh_encode_file(texts, path, "/dev/null", NULL, (char **)out);
}

static void no_failed_allocation_is_lost(void **state) {
  (void)state;
  char path[96];
  snprintf(path, sizeof path, "%s/texts.csv", folder);
  write_texts(path);
  scarce(call_fit_texts, drop_density);
  OK(rh_fit_files(path, NULL, NULL, "{\"context\": \"colour\", " SMALL "}", NULL, NULL, &texts, NULL));
  scarce(call_sample_texts, drop_text);
  scarce(call_encode_texts, drop_text);
  rh_density_close(texts);
  unlink(path);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(conditional),
      cmocka_unit_test(categories_of_texts),
      cmocka_unit_test(a_comparison_knows_its_categories),
      cmocka_unit_test(detect_fits_all_columns),
      cmocka_unit_test(no_failed_allocation_is_lost),
  };
  return cmocka_run_group_tests(tests, start, stop);
}
