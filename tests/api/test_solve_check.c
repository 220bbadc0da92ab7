/* What rheo check says of the solver: nothing of a flow that solves nothing; of equal steps how far they are; no failed allocation is lost.
 */
#define _XOPEN_SOURCE 700
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "api/face.h"
#include "base/options.h"
#include "base/rng.h"

enum { ROWS = 150, D = 2 };
static double x[ROWS * D];

static void fit(const char *options, rh_density **d) {
  const rh_rng rng = rh_rng_at(1, 0, 0, RH_STREAM_TEST);
  const rh_block block = {x, ROWS, D, 8};
  rh_rng_uniform(&rng, 0, ROWS * D, x);
  for (int i = 0; i < ROWS * D; i++) x[i] = log(x[i] / (1 - x[i])) + (i % 2 ? sin(2 * x[i - 1]) : 0);
  OK(rh_fit_blocks(&block, NULL, NULL, options, NULL, NULL, d, NULL));
}

static json_t *check(rh_density *d) {
  char *text = NULL;
  json_t *report = NULL;
  OK(rh_check_file(d, NULL, "{\"rows\": 120, \"jacobians\": 1}", &text));
  OK(rh_json_parse(text, strlen(text), "report", &report));
  rh_text_free(text);
  return report;
}

static double number(const json_t *report, const char *key) {
  assert_true(json_is_number(json_object_get(report, key)));
  return json_number_value(json_object_get(report, key));
}

static void nothing_is_solved(void **state) {
  (void)state;
  rh_density *d = NULL;
  fit("{" SMALL "}", &d);
  json_t *report = check(d);
  assert_null(json_object_get(report, "solve_rows"));
  assert_null(json_object_get(report, "evaluations_mean"));
  json_decref(report);
  rh_density_close(d);
}

/* Halving the steps of a method of order 4 takes twice the evaluations and leaves about a 16th of the error: the reference is the solution.
 */
static void equal_steps(void **state) {
  (void)state;
  double error[2], codes[2];
  for (int k = 0; k < 2; k++) {
    char options[300];
    rh_density *d = NULL;
    snprintf(options, sizeof options,
             "{\"dtype\": \"f64\", \"steps\": 40, \"threads\": 1, \"arch\": \"cnf\", \"set\": {\"hidden\": [8], \"lr\": 0.05}}");
    fit(options, &d);
    char path[] = "/tmp/rheo-solve-XXXXXX";
    const int file = mkstemp(path);
    assert_true(file >= 0);
    close(file);
    OK(rh_density_save(d, path));
    rh_density_close(d);
    snprintf(options, sizeof options, "{\"threads\": 1, \"solver\": \"rk4\", \"solver_steps\": %d}", k ? 4 : 2);
    OK(rh_density_open(path, options, &d));
    json_t *report = check(d);
    assert_true(number(report, "solve_rows") == 100);
    assert_true(number(report, "evaluations_mean") == (k ? 16 : 8));
    assert_true(number(report, "evaluations_most") == (k ? 16 : 8));
    error[k] = number(report, "solve_error_log_density"), codes[k] = number(report, "solve_error_codes");
    json_decref(report);
    rh_density_close(d);
    unlink(path);
  }
  if (!(error[0] > 5 * error[1] && codes[0] > 5 * codes[1]))
    fail_msg("%g, %g nats; %g, %g in codes", error[0], error[1], codes[0], codes[1]);
}

static rh_density *shared;

static rh_status call_check(void **out) {
  char *report = NULL;
  const rh_status status = rh_check_file(shared, NULL, "{\"rows\": 3, \"jacobians\": 0}", &report);
  *out = report;
  return status;
}

static char data[] = "/tmp/rheo-solve-rows-XXXXXX";
static rh_status call_score(void **out) {
  char *report = NULL;
  const rh_status status = rh_score_file(shared, data, NULL, NULL, &report);
  *out = report;
  return status;
}

/* Nor one of a score whose traces are estimated, some rows of which are scored again. */
static void no_failed_allocation_is_lost(void **state) {
  (void)state;
  fit("{\"steps\": 2, \"threads\": 1, \"arch\": \"cnf\", \"set\": {\"hidden\": [4]}}", &shared);
  scarce(call_check, drop_text);
  char path[] = "/tmp/rheo-solve-XXXXXX";
  const int file = mkstemp(path), rows = mkstemp(data);
  assert_true(file >= 0 && rows >= 0);
  dprintf(rows, "1,2\n-1,0.5\n0.25,3\n");
  close(file), close(rows);
  OK(rh_density_save(shared, path));
  rh_density_close(shared);
  OK(rh_density_open(path, "{\"threads\": 1, \"trace\": \"hutchinson:2\"}", &shared));
  scarce(call_score, drop_text);
  rh_density_close(shared);
  unlink(path), unlink(data);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(nothing_is_solved),
      cmocka_unit_test(equal_steps),
      cmocka_unit_test(no_failed_allocation_is_lost),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
