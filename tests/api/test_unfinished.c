/* What a model's numerical inverse has not found is said by every call that needs it: by row where rows go out one by one, else as an
 * error. The inverse is of a mixture of logistics, cut short by the scorer's max_steps. */
#define _XOPEN_SOURCE 700
#include "api/face.h"
#include "api/handle.h"
#include "model/specs.h"
#include "model/toy.h"

enum { ROWS = 200, D = 3 };

#define LOGISTICS                                                                                                                       \
  "{\"type\":\"coupling\",\"transform\":{\"type\":\"mixture-of-logistics\",\"components\":3},\"net\":{\"type\":\"mlp\",\"hidden\":[6]," \
  "\"init\":\"scaled\"}}"
#define SPEC_FORTH SPEC_FLOW("", LOGISTICS, SPEC_NORMAL)                                       /* sampling solves */
#define SPEC_BACK  SPEC_FLOW("", "{\"type\":\"inverse\",\"part\":" LOGISTICS "}", SPEC_NORMAL) /* scoring does */

static char *folder;
static char data[128], out[128];
static double x[ROWS * D];

static int start(void **state) {
  (void)state;
  folder = toy_folder();
  toy_path(data, sizeof data, folder, "data.csv");
  toy_path(out, sizeof out, folder, "out.csv");
  toy_normals(1, ROWS * D, x);
  FILE *f = fopen(data, "w");
  for (int i = 0; f && i < ROWS; i++) fprintf(f, "%.17g,%.17g,%.17g\n", x[i * D], x[i * D + 1], x[i * D + 2]);
  return f && fclose(f) == 0 ? 0 : -1;
}

static int stop(void **state) {
  (void)state;
  toy_folder_free(folder, (const char *const[]){"data.csv", "out.csv", NULL});
  return 0;
}

/* steps: of the inverse at most, 0: as many as it needs */
static rh_density *density_of(const char *spec, int64_t steps) {
  rh_density *d;
  const rh_compute compute = {.threads = 1, .draws = 1};
  OK(rh_density_make(toy_model(spec, 8, 1), &compute, &d));
  d->options.max_steps = steps;
  return d;
}

static json_t *report_of(char *text) {
  json_t *o = toy_json(text);
  rh_text_free(text);
  return o;
}

static int64_t count(const json_t *report, const char *key) {
  return json_integer_value(json_object_get(report, key));
}

static void not_found(rh_status status, const char *where) {
  assert_int_equal(status, RH_E_NUMERIC);
  if (!strstr(rh_last_error(), "was not found") || !strstr(rh_last_error(), where)) fail_msg("%s", rh_last_error());
}

static void whole_inverses_are_let_alone(void **state) {
  (void)state;
  static const char *const specs[] = {SPEC_FORTH, SPEC_BACK};
  for (int k = 0; k < 2; k++) {
    rh_density *d = density_of(specs[k], 0);
    char *text;
    OK(rh_score_file(d, data, out, NULL, &text));
    json_t *report = report_of(text);
    assert_true(count(report, "unfinished") == 0 && json_is_real(json_object_get(report, "mean")) && !json_object_get(report, "warnings"));
    json_decref(report);
    OK(rh_sample_file(d, out, "{\"count\":100}", NULL));
    OK(rh_encode_file(d, data, out, NULL, NULL));
    OK(rh_decode_file(d, data, out, NULL, NULL));
    OK(rh_check_file(d, data, NULL, &text));
    report = report_of(text);
    assert_true(count(report, "unfinished") == 0 && json_is_true(json_object_get(report, "ok")));
    json_decref(report);
    rh_density_close(d);
  }
}

/* Every step count between none and all: some rows are found, by themselves or among others, the rest are NaN, and counted. */
static void rows_are_alone(void **state) {
  (void)state;
  double all[ROWS], full[ROWS], one;
  rh_density *whole = density_of(SPEC_BACK, 0);
  OK(rh_density_log_prob(whole, ROWS, x, full));
  int64_t mixed = 0, before = ROWS + 1;
  for (int64_t steps = 1; steps < 12; steps++) {
    rh_density *d = density_of(SPEC_BACK, steps);
    OK(rh_density_log_prob(d, ROWS, x, all));
    int64_t lost = 0;
    for (int i = 0; i < ROWS; i++) {
      OK(rh_density_log_prob(d, 1, x + i * D, &one));
      assert_memory_equal(&one, all + i, sizeof one);
      lost += isnan(all[i]);
      if (!isnan(all[i])) assert_true(all[i] == full[i]);
    }
    assert_true(lost <= before);
    mixed += lost > 0 && lost < ROWS;
    before = lost;
    rh_density_close(d);
  }
  assert_true(mixed > 0);
  rh_density_close(whole);
}

static void score_counts_them(void **state) {
  (void)state;
  rh_density *d = density_of(SPEC_BACK, 1);
  char *text;
  OK(rh_score_file(d, data, out, NULL, &text));
  json_t *report = report_of(text);
  assert_int_equal(count(report, "unfinished"), ROWS);
  assert_int_equal(count(report, "zero_density"), 0);
  assert_true(json_is_null(json_object_get(report, "mean")));
  assert_non_null(strstr(json_string_value(json_array_get(json_object_get(report, "warnings"), 0)), "200 rows have no log-density"));
  json_decref(report);
  not_found(rh_encode_file(d, data, out, NULL, NULL), "row 1");
  OK(rh_decode_file(d, data, out, NULL, NULL)); /* decoding solves nothing here */
  OK(rh_sample_file(d, out, "{\"count\":10}", NULL));
  rh_density_close(d);
}

static void samples_are_refused(void **state) {
  (void)state;
  rh_density *d = density_of(SPEC_FORTH, 1);
  OK(rh_score_file(d, data, out, NULL, NULL));
  not_found(rh_sample_file(d, out, "{\"count\":10}", NULL), "row 1");
  not_found(rh_decode_file(d, data, out, NULL, NULL), "row 1");
  double samples[2 * D];
  OK(rh_density_sample(d, 0, 1, 0, 2, NULL, samples, NULL));
  int lost = 0;
  for (int i = 0; i < 2 * D; i++) lost += isnan(samples[i]);
  assert_true(lost > 0);
  OK(rh_encode_file(d, data, out, NULL, NULL)); /* nor does an earlier call show in a later one */
  rh_density_close(d);
}

static void detect_takes_them_as_strangest(void **state) {
  (void)state;
  rh_density *d = density_of(SPEC_BACK, 1), *whole = density_of(SPEC_BACK, 0);
  char *text;
  OK(rh_detect_files(d, data, data, out, "{\"alarm\":0.1}", NULL, NULL, &text));
  json_t *report = report_of(text);
  assert_int_equal(count(report, "unfinished"), ROWS);
  assert_int_equal(count(report, "reference_unfinished"), ROWS);
  const json_t *warnings = json_object_get(report, "warnings");
  assert_int_equal(json_array_size(warnings), 2);
  assert_non_null(strstr(json_string_value(json_array_get(warnings, 0)), "200 rows have no log-density"));
  assert_non_null(strstr(json_string_value(json_array_get(warnings, 1)), "200 normal rows have no log-density"));
  json_decref(report);
  OK(rh_detect_files(whole, data, data, out, "{\"alarm\":0.1}", NULL, NULL, &text));
  report = report_of(text);
  assert_int_equal(count(report, "unfinished"), 0);
  assert_int_equal(count(report, "reference_unfinished"), 0);
  json_decref(report);
  rh_density_close(d);
  rh_density_close(whole);
}

static void check_fails(void **state) {
  (void)state;
  static const char *const specs[] = {SPEC_FORTH, SPEC_BACK};
  for (int k = 0; k < 2; k++) {
    rh_density *d = density_of(specs[k], 1);
    char *text;
    OK(rh_check_file(d, data, NULL, &text));
    json_t *report = report_of(text);
    assert_true(count(report, "unfinished") > 0 && count(report, "non_finite") == ROWS && json_is_false(json_object_get(report, "ok")));
    json_decref(report);
    rh_density_close(d);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(whole_inverses_are_let_alone),
      cmocka_unit_test(rows_are_alone),
      cmocka_unit_test(score_counts_them),
      cmocka_unit_test(samples_are_refused),
      cmocka_unit_test(detect_takes_them_as_strangest),
      cmocka_unit_test(check_fails),
  };
  return cmocka_run_group_tests(tests, start, stop);
}
