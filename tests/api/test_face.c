/* The face from C: arrays and files agree, every argument is checked, errors leave outputs alone, handles may be used from any thread,
 * and no failed allocation is lost. */
#define _XOPEN_SOURCE 700 /* mkdtemp */
#include <math.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
// cmocka last: it wants the headers above
#include <cmocka.h>

#include "api/face.h"
#include "base/options.h"
#include "base/rng.h"

enum { ROWS = 400, COLUMNS = 3 };
static char folder[64], model[96];
static double x[ROWS * COLUMNS];
static rh_density *shared;

static int start(void **state) {
  (void)state;
  strcpy(folder, "/tmp/rheo-face-XXXXXX");
  if (!mkdtemp(folder)) return -1;
  snprintf(model, sizeof model, "%s/model.rheo", folder);
  const rh_rng rng = rh_rng_at(1, 0, 0, RH_STREAM_TEST);
  rh_rng_uniform(&rng, 0, ROWS * COLUMNS, x);
  for (int i = 0; i < ROWS; i++) {
    double *row = x + i * COLUMNS;
    for (int j = 0; j < COLUMNS; j++) row[j] = log(row[j] / (1 - row[j]));
    row[1] += 0.5 * row[0] * row[0];
    row[2] = 10 + 3 * row[2] + row[1];
  }
  const rh_block block = {x, ROWS, COLUMNS, 8};
  return rh_fit_blocks(&block, NULL, NULL, "{" SMALL "}", NULL, NULL, &shared, NULL) == RH_OK ? 0 : -1;
}

static int stop(void **state) {
  (void)state;
  rh_density_close(shared);
  unlink(model);
  return rmdir(folder);
}

static void versions_and_levels(void **state) {
  (void)state;
  char text[32];
  snprintf(text, sizeof text, "%d.%d.%d", RH_VERSION_MAJOR, RH_VERSION_MINOR, RH_VERSION_PATCH);
  assert_string_equal(rh_version(), text);
  assert_string_equal(rh_level(0), "ref");
  assert_null(rh_level(-1));
  int n = 0;
  while (rh_level(n)) n++;
  assert_in_range(n, 1, 4);
  char *json = NULL;
  OK(rh_architectures(&json));
  assert_non_null(strstr(json, "realnvp"));
  rh_text_free(json);
  rh_text_free(NULL);
}

static void widths(void **state) {
  (void)state;
  assert_int_equal(rh_density_columns(shared), COLUMNS);
  assert_int_equal(rh_density_context(shared), 0);
  assert_int_equal(rh_density_latent(shared), COLUMNS);
}

static void save_and_open(void **state) {
  (void)state;
  double a[ROWS], b[ROWS];
  rh_density *again = NULL;
  OK(rh_density_save(shared, model));
  OK(rh_density_open(model, "{\"threads\": 2}", &again));
  OK(rh_density_log_prob(shared, ROWS, x, a));
  OK(rh_density_log_prob(again, ROWS, x, b));
  assert_memory_equal(a, b, sizeof a);
  rh_density_close(again);
  FILE *file = fopen(model, "rb");
  static char bytes[1 << 20];
  const size_t size = fread(bytes, 1, sizeof bytes, file);
  fclose(file);
  OK(rh_density_read(bytes, size, "memory", NULL, &again));
  OK(rh_density_log_prob(again, ROWS, x, b));
  assert_memory_equal(a, b, sizeof a);
  rh_density_close(again);
  again = NULL;
  REFUSED(RH_E_FORMAT, rh_density_read(bytes, size / 2, "memory", NULL, &again));
  assert_null(again);
}

static void floats_are_doubles_narrowed(void **state) {
  (void)state;
  static float narrow[ROWS * COLUMNS], log_prob[ROWS];
  static double wide[ROWS * COLUMNS], expected[ROWS];
  for (int i = 0; i < ROWS * COLUMNS; i++) wide[i] = (double)(narrow[i] = (float)x[i]);
  OK(rh_density_log_prob_f32(shared, ROWS, narrow, log_prob));
  OK(rh_density_log_prob(shared, ROWS, wide, expected));
  for (int i = 0; i < ROWS; i++) assert_true(log_prob[i] == (float)expected[i]);
}

/* log p of a sample is that of its row; a row's bits do not depend on its company; codes go there and back. */
static void samples_and_codes(void **state) {
  (void)state;
  double s[100 * COLUMNS], log_prob[100], again[100], z[100 * COLUMNS], back[100 * COLUMNS], forth[100], inverse[100];
  OK(rh_density_sample(shared, 7, 1, 0, 100, NULL, s, log_prob));
  OK(rh_density_log_prob(shared, 100, s, again));
  for (int i = 0; i < 100; i++) assert_true(fabs(log_prob[i] - again[i]) < 1e-3 * (1 + fabs(again[i])));
  double part[10 * COLUMNS], one;
  OK(rh_density_sample(shared, 7, 1, 50, 10, NULL, part, NULL));
  assert_memory_equal(part, s + 50 * COLUMNS, sizeof part);
  OK(rh_density_log_prob(shared, 1, s + 33 * COLUMNS, &one));
  assert_true(one == again[33]);
  OK(rh_density_encode(shared, 100, s, z, forth));
  OK(rh_density_decode(shared, 100, z, back, inverse));
  for (int i = 0; i < 100; i++) {
    assert_true(fabs(forth[i] + inverse[i]) < 1e-3);
    for (int j = 0; j < COLUMNS; j++) assert_true(fabs(back[i * COLUMNS + j] - s[i * COLUMNS + j]) < 1e-3 * (1 + fabs(s[i * COLUMNS + j])));
  }
}

static void arguments_are_checked(void **state) {
  (void)state;
  double out = 5, row[COLUMNS] = {0, 0, 0};
  rh_density *d = NULL;
  char *text = NULL;
  const rh_block one = {x, 1, COLUMNS, 8}, odd = {x, 10, COLUMNS, 2}, fine = {x, ROWS, COLUMNS, 8};
  REFUSED(RH_E_ARGUMENT, rh_density_open(NULL, NULL, &d));
  REFUSED(RH_E_ARGUMENT, rh_density_open(model, "{\"thread\": 1}", &d));
  assert_non_null(strstr(rh_last_error(), "threads"));
  REFUSED(RH_E_ARGUMENT, rh_density_open(model, "{\"threads\": -1}", &d));
  REFUSED(RH_E_ARGUMENT, rh_density_open(model, "[]", &d));
  REFUSED(RH_E_ARGUMENT, rh_density_open(model, "{", &d));
  REFUSED(RH_E_ARGUMENT, rh_density_open(model, "{\"isa\": \"v9\"}", &d));
  REFUSED(RH_E_IO, rh_density_open("/nowhere/model", NULL, &d));
  assert_null(d);
  REFUSED(RH_E_ARGUMENT, rh_density_log_prob(NULL, 1, row, &out));
  REFUSED(RH_E_ARGUMENT, rh_density_log_prob(shared, -1, row, &out));
  REFUSED(RH_E_ARGUMENT, rh_density_log_prob(shared, 1, NULL, &out));
  row[1] = NAN;
  REFUSED(RH_E_DATA, rh_density_log_prob(shared, 1, row, &out));
  assert_non_null(strstr(rh_last_error(), "column 1"));
  REFUSED(RH_E_ARGUMENT, rh_density_sample(shared, 0, 0, 0, 1, NULL, row, NULL));
  REFUSED(RH_E_ARGUMENT, rh_density_sample(shared, 0, 1, -1, 1, NULL, row, NULL));
  REFUSED(RH_E_ARGUMENT, rh_density_sample(shared, 0, 1, 0, 1, row, row, NULL));
  REFUSED(RH_E_ARGUMENT, rh_density_info(shared, 0, NULL));
  REFUSED(RH_E_ARGUMENT, rh_density_given(shared, "a=1", row));
  REFUSED(RH_E_DATA, rh_fit_blocks(&one, NULL, NULL, "{" SMALL "}", NULL, NULL, &d, &text));
  REFUSED(RH_E_ARGUMENT, rh_fit_blocks(&odd, NULL, NULL, "{" SMALL "}", NULL, NULL, &d, &text));
  REFUSED(RH_E_SHAPE, rh_fit_blocks(&fine, &(rh_block){x, 10, 2, 8}, NULL, "{" SMALL "}", NULL, NULL, &d, &text));
  REFUSED(RH_E_ARGUMENT, rh_fit_blocks(&fine, NULL, NULL, "{\"set\": {\"hiden\": 3}}", NULL, NULL, &d, &text));
  REFUSED(RH_E_ARGUMENT, rh_fit_blocks(&fine, NULL, NULL, "{\"resume\": true}", NULL, NULL, &d, &text));
  REFUSED(RH_E_ARGUMENT, rh_fit_blocks(&fine, NULL, NULL, "{\"spec\": \"flow.json\"}", NULL, NULL, &d, &text));
  REFUSED(RH_E_ARGUMENT,
          rh_fit_blocks(&fine, NULL, NULL, "{\"arch\": \"nsf\", \"spec\": {\"flow\": {\"type\": \"lu\"}}}", NULL, NULL, &d, &text));
  REFUSED(RH_E_ARGUMENT, rh_fit_blocks(&fine, NULL, NULL, "{\"spec\": {\"flow\": {\"type\": \"ul\"}}}", NULL, NULL, &d, &text));
  assert_non_null(strstr(rh_last_error(), "specification: flow.type"));
  assert_null(d);
  assert_null(text);
  assert_true(out == 5);
  OK(rh_density_log_prob(shared, 0, NULL, NULL)); /* no rows are fine */
  rh_density_close(NULL);
}

/* ---- progress ---- */

static int count_events(void *arg, const rh_fit_event *event) {
  int *count = arg;
  count[event->kind]++;
  if (event->kind == RH_FIT_STEP)
    assert_null(event->log);
  else
    assert_non_null(event->log);
  return 0;
}

static int stop_now(void *arg, const rh_fit_event *event) {
  (void)arg;
  return event->kind == RH_FIT_EPOCH;
}

static void progress(void **state) {
  (void)state;
  const rh_block block = {x, ROWS, COLUMNS, 8};
  int count[RH_FIT_DONE + 1] = {0};
  char *report = NULL;
  OK(rh_fit_blocks(&block, NULL, NULL, "{\"epochs\": 3, \"set\": {\"hidden\": [8], \"layers\": 2}}", count_events, count, NULL, &report));
  assert_int_equal(count[RH_FIT_START], 1);
  assert_int_equal(count[RH_FIT_EPOCH], 3);
  assert_int_equal(count[RH_FIT_DONE], 1);
  assert_non_null(strstr(report, "\"epochs\":3"));
  rh_text_free(report);
  OK(rh_fit_blocks(&block, NULL, NULL, "{\"epochs\": 100000, \"set\": {\"hidden\": [8], \"layers\": 2, \"patience\": 0}}", stop_now, NULL,
                   NULL, &report));
  assert_non_null(strstr(report, "\"stopped\":\"interrupted\""));
  rh_text_free(report);
}

/* ---- blocks ---- */

static rh_status fit_columns(const rh_block *block, const char *options, rh_density **d) {
  char text[200];
  snprintf(text, sizeof text, "{" SMALL "%s}", options);
  return rh_fit_blocks(block, NULL, NULL, text, NULL, NULL, d, NULL);
}

static void columns_of_blocks(void **state) {
  (void)state;
  static double picked[ROWS * 2], wild[ROWS * COLUMNS];
  for (int i = 0; i < ROWS; i++) {
    picked[2 * i] = x[COLUMNS * i + 2];
    picked[2 * i + 1] = x[COLUMNS * i];
  }
  const rh_block block = {x, ROWS, COLUMNS, 8}, two = {picked, ROWS, 2, 8};
  rh_density *d = NULL, *other = NULL;
  double a[ROWS], b[ROWS];
  OK(fit_columns(&block, ", \"columns\": \"3,1\"", &d));
  OK(fit_columns(&two, "", &other));
  assert_int_equal(rh_density_columns(d), 2);
  OK(rh_density_log_prob(d, ROWS, picked, a));
  OK(rh_density_log_prob(other, ROWS, picked, b));
  assert_memory_equal(a, b, sizeof a);
  rh_density_close(d);
  rh_density_close(other);
  OK(fit_columns(&block, ", \"columns\": \"-2\"", &d));
  assert_int_equal(rh_density_columns(d), 2);
  rh_density_close(d);
  d = NULL;
  REFUSED(RH_E_ARGUMENT, fit_columns(&block, ", \"columns\": \"4\"", &d));
  REFUSED(RH_E_ARGUMENT, fit_columns(&block, ", \"header\": \"yes\"", &d));
  assert_non_null(strstr(rh_last_error(), "header"));
  REFUSED(RH_E_ARGUMENT, fit_columns(&block, ", \"separator\": \",\"", &d));
  memcpy(wild, x, sizeof wild);
  wild[5 * COLUMNS + 1] = NAN;
  const rh_block bad = {wild, ROWS, COLUMNS, 8};
  REFUSED(RH_E_DATA, fit_columns(&bad, ", \"columns\": \"2-3\"", &d));
  assert_non_null(strstr(rh_last_error(), "row 6, column 2"));
  OK(fit_columns(&bad, ", \"columns\": \"1,3\"", &d)); /* nobody asked for that column */
  rh_density_close(d);
}

static void blocks_larger_than_memory(void **state) {
  (void)state;
  rh_density *d = NULL;
  const int64_t large[][2] = {
      {2, INT64_MAX}, {INT64_MAX, 2}, {1, INT64_MAX / 2}, {(int64_t)1 << 32, (int64_t)1 << 32}, {1, (int64_t)1 << 60}};
  for (size_t i = 0; i < sizeof large / sizeof *large; i++) {
    const rh_block block = {x, large[i][0], large[i][1], 8};
    REFUSED(RH_E_ARGUMENT, fit_columns(&block, "", &d));
  }
  assert_null(d);
}

static void stopped_calls_over_files(void **state) {
  (void)state;
  char path[128];
  snprintf(path, sizeof path, "%s/samples.npy", folder);
  rh_density_stop(NULL, 1);
  rh_density_stop(shared, 1);
  REFUSED(RH_E_INTERRUPTED, rh_sample_file(shared, path, "{\"count\": 10}", NULL));
  assert_int_not_equal(access(path, F_OK), 0);
  rh_density_stop(shared, 0);
  OK(rh_sample_file(shared, path, "{\"count\": 10}", NULL));
  rh_density_stop(shared, 1);
  REFUSED(RH_E_INTERRUPTED, rh_score_file(shared, path, NULL, NULL, NULL));
  rh_density_stop(shared, 0);
  OK(rh_score_file(shared, path, NULL, NULL, NULL));
  unlink(path);
}

/* ---- rows out of a file, bytes into one ---- */

static void rows_of_a_file(void **state) {
  (void)state;
  char path[128], *report = NULL;
  double *rows = NULL, s[10 * COLUMNS];
  int64_t n = 0;
  snprintf(path, sizeof path, "%s/rows.csv", folder);
  OK(rh_density_sample(shared, 3, 1, 0, 10, NULL, s, NULL));
  FILE *file = fopen(path, "w"); /* the columns turned round, and one more */
  fprintf(file, "d,c,b,a\n");
  for (int i = 0; i < 10; i++) fprintf(file, "0,%.17g,%.17g,%.17g\n", s[i * COLUMNS + 2], s[i * COLUMNS + 1], s[i * COLUMNS]);
  fclose(file);
  OK(rh_density_rows(shared, path, "{\"columns\": \"a,b,c\"}", &n, &rows, &report));
  assert_int_equal(n, 10);
  assert_memory_equal(rows, s, sizeof s);
  assert_non_null(strstr(report, "\"rows\":10"));
  rh_text_free(report);
  rh_rows_free(rows);
  rh_rows_free(NULL);
  rows = NULL;
  n = 5;
  REFUSED(RH_E_SHAPE, rh_density_rows(shared, path, NULL, &n, &rows, NULL));
  REFUSED(RH_E_ARGUMENT, rh_density_rows(shared, path, "{\"column\": 1}", &n, &rows, NULL));
  REFUSED(RH_E_ARGUMENT, rh_density_rows(shared, path, NULL, &n, NULL, NULL));
  REFUSED(RH_E_ARGUMENT, rh_density_rows(shared, NULL, NULL, &n, &rows, NULL));
  REFUSED(RH_E_ARGUMENT, rh_density_rows(NULL, path, NULL, &n, &rows, NULL));
  REFUSED(RH_E_IO, rh_density_rows(shared, "/nowhere", NULL, &n, &rows, NULL));
  assert_true(n == 5 && !rows);
  unlink(path);
}

static void bytes_become_a_file(void **state) {
  (void)state;
  static char bytes[1 << 20], back[sizeof bytes + 1];
  char path[128], archive[140];
  snprintf(path, sizeof path, "%s/bytes", folder);
  snprintf(archive, sizeof archive, "%s:x", path);
  for (size_t i = 0; i < sizeof bytes; i++) bytes[i] = (char)(i * 7 + i / 251);
  const size_t sizes[] = {0, 1, sizeof bytes};
  for (size_t k = 0; k < sizeof sizes / sizeof *sizes; k++) {
    OK(rh_write_file(path, bytes, sizes[k], NULL));
    FILE *file = fopen(path, "rb");
    assert_int_equal(fread(back, 1, sizeof back, file), sizes[k]);
    fclose(file);
    assert_memory_equal(bytes, back, sizes[k]);
  }
  REFUSED(RH_E_ARGUMENT, rh_write_file(path, bytes, 1, (const char *const[]){"/nowhere", path, NULL}));
  REFUSED(RH_E_ARGUMENT, rh_write_file(path, bytes, 1, (const char *const[]){archive, NULL}));
  REFUSED(RH_E_ARGUMENT, rh_write_file(NULL, bytes, 1, NULL));
  REFUSED(RH_E_ARGUMENT, rh_write_file(path, NULL, 1, NULL));
  REFUSED(RH_E_IO, rh_write_file("/nowhere/bytes", bytes, 1, NULL));
  FILE *file = fopen(path, "rb");
  assert_int_equal(fread(back, 1, sizeof back, file), sizeof bytes);
  fclose(file);
  unlink(path);
}

/* ---- threads ---- */

static void *score_again_and_again(void *arg) {
  double *worst = arg, first[ROWS], log_prob[ROWS], s[COLUMNS];
  if (rh_density_log_prob(shared, ROWS, x, first) != RH_OK) return NULL;
  *worst = 0;
  for (int i = 0; i < 20; i++) {
    if (rh_density_log_prob(shared, ROWS, x, log_prob) != RH_OK ||
        rh_density_sample(shared, (uint64_t)i, 1, 0, 1, NULL, s, NULL) != RH_OK) {
      *worst = INFINITY;
    }
    for (int j = 0; j < ROWS; j++) *worst = fmax(*worst, fabs(first[j] - log_prob[j]));
  }
  return NULL;
}

static void one_handle_from_many_threads(void **state) {
  (void)state;
  enum { THREADS = 4 };
  pthread_t thread[THREADS];
  double worst[THREADS];
  for (int i = 0; i < THREADS; i++) worst[i] = INFINITY;
  for (int i = 0; i < THREADS; i++) assert_int_equal(pthread_create(&thread[i], NULL, score_again_and_again, &worst[i]), 0);
  for (int i = 0; i < THREADS; i++) pthread_join(thread[i], NULL);
  for (int i = 0; i < THREADS; i++) assert_true(worst[i] == 0);
}

/* ---- failing allocations, one after another ---- */

static rh_status call_open(void **out) {
  rh_density *d = NULL;
  const rh_status status = rh_density_open(model, "{\"threads\": 1}", &d);
  *out = d;
  return status;
}

static rh_status call_fit(void **out) {
  const rh_block block = {x, 60, COLUMNS, 8};
  rh_density *d = NULL;
  const rh_status status =
      rh_fit_blocks(&block, NULL, NULL, "{\"steps\": 2, \"threads\": 1, \"set\": {\"hidden\": [4], \"layers\": 1}}", NULL, NULL, &d, NULL);
  *out = d;
  return status;
}

static rh_status call_fit_spec(void **out) {
  const rh_block block = {x, 60, COLUMNS, 8};
  rh_density *d = NULL;
  const rh_status status = rh_fit_blocks(&block, NULL, NULL,
                                         "{\"steps\": 2, \"threads\": 1, \"spec\": {\"flow\": {\"type\": \"autoregressive\", \"graph\": "
                                         "[[], [0], [0]], \"net\": {\"hidden\": [4]}}, \"base\": {\"type\": \"student-t\"}}}",
                                         NULL, NULL, &d, NULL);
  *out = d;
  return status;
}

static rh_status call_score(void **out) {
  double log_prob[10];
  rh_density *d = NULL;
  const rh_status opened = rh_density_open(model, "{\"threads\": 1}", &d);
  const rh_status status = opened == RH_OK ? rh_density_log_prob(d, 10, x, log_prob) : opened;
  rh_density_close(d);
  (void)out;
  return status;
}

static rh_status call_check(void **out) {
  rh_density *d = NULL;
  char *report = NULL;
  const rh_status opened = rh_density_open(model, "{\"threads\": 1}", &d);
  const rh_status status = opened == RH_OK ? rh_check_file(d, NULL, "{\"rows\": 20}", &report) : opened;
  rh_density_close(d);
  *out = report;
  return status;
}

static rh_status call_rows(void **out) {
  char path[128];
  double *rows = NULL;
  int64_t n;
  snprintf(path, sizeof path, "%s/samples.npy", folder);
  const rh_status status = rh_density_rows(shared, path, NULL, &n, &rows, NULL);
  *out = rows;
  return status;
}

static void drop_rows(void *out) {
  rh_rows_free(out);
}

static rh_status call_write(void **out) {
  char path[128];
  (void)out;
  snprintf(path, sizeof path, "%s/samples.npy", folder);
  return rh_write_file(path, "12345678", 8, (const char *const[]){"a", "b", "c", NULL});
}

static void no_failed_allocation_is_lost(void **state) {
  (void)state;
  OK(rh_density_save(shared, model));
  scarce(call_open, drop_density);
  scarce(call_score, drop_text);
  scarce(call_check, drop_text);
  scarce(call_fit, drop_density);
  scarce(call_fit_spec, drop_density);
  char path[128];
  snprintf(path, sizeof path, "%s/samples.npy", folder);
  OK(rh_sample_file(shared, path, "{\"count\": 10}", NULL));
  scarce(call_rows, drop_rows);
  scarce(call_write, drop_text);
  unlink(path);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(versions_and_levels),
      cmocka_unit_test(widths),
      cmocka_unit_test(save_and_open),
      cmocka_unit_test(floats_are_doubles_narrowed),
      cmocka_unit_test(samples_and_codes),
      cmocka_unit_test(arguments_are_checked),
      cmocka_unit_test(progress),
      cmocka_unit_test(columns_of_blocks),
      cmocka_unit_test(blocks_larger_than_memory),
      cmocka_unit_test(stopped_calls_over_files),
      cmocka_unit_test(rows_of_a_file),
      cmocka_unit_test(bytes_become_a_file),
      cmocka_unit_test(one_handle_from_many_threads),
      cmocka_unit_test(no_failed_allocation_is_lost),
  };
  return cmocka_run_group_tests(tests, start, stop);
}
