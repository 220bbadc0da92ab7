/* Paths of continuous flows: they begin at the codes and end at the rows, in the units of the data, whatever company a code comes in. */
#define _XOPEN_SOURCE 700
#include <math.h>
#include <stdlib.h>

#include "api/face.h"
#include "base/rng.h"

enum { ROWS = 200, N = 5, TIMES = 9, D = 2 };
#define CNF(time) "{\"type\": \"cnf\", \"time\": " #time ", \"field\": {\"type\": \"time_mlp\", \"hidden\": [8]}}"
#define FLOW(parts)                                                                                                                     \
  "{\"dtype\": \"f64\", \"steps\": 30, \"threads\": 1, \"set\": {\"lr\": 0.05}, \"spec\": {\"flow\": {\"type\": \"chain\", \"parts\": " \
  "[" parts "]}}}"
#define IN_UNITS_OF_X 100 /* of the second column, about */

static double x[ROWS * 3];
static rh_density *one, *two, *given;

static rh_status fit(int64_t columns, const char *options, rh_density **d) {
  static double rows[ROWS * 3];
  for (int i = 0; i < ROWS; i++) memcpy(rows + i * columns, x + i * 3, (size_t)columns * sizeof *x);
  const rh_block block = {rows, ROWS, columns, 8};
  return rh_fit_blocks(&block, NULL, NULL, options, NULL, NULL, d, NULL);
}

static int start(void **state) {
  (void)state;
  const rh_rng rng = rh_rng_at(1, 0, 0, RH_STREAM_TEST);
  rh_rng_uniform(&rng, 0, ROWS * 3, x);
  for (int i = 0; i < ROWS; i++) {
    double *row = x + i * 3;
    for (int j = 0; j < 3; j++) row[j] = log(row[j] / (1 - row[j]));
    row[1] = 1000 + IN_UNITS_OF_X * (row[1] + sin(2 * row[0]));
  }
  rh_status status = fit(2, FLOW(CNF(1)), &one);
  if (status == RH_OK) status = fit(2, FLOW(CNF(2) ", {\"type\": \"lu\"}, " CNF(0.5)), &two);
  if (status == RH_OK)
    status = fit(3, "{\"steps\": 30, \"threads\": 1, \"context\": \"3\", \"arch\": \"rnode\", \"set\": {\"hidden\": [8]}}", &given);
  if (status != RH_OK) print_error("%s\n", rh_last_error());
  return status == RH_OK ? 0 : -1;
}

static int stop(void **state) {
  (void)state;
  rh_density_close(one);
  rh_density_close(two);
  rh_density_close(given);
  return 0;
}

/* The first rows' codes, [N, width], the context behind where there is one, and the rows that these decode to. */
static void codes(rh_density *d, double *z, double *back) {
  const int64_t c = rh_density_context(d);
  for (int64_t i = 0; i < N; i++) {
    OK(rh_density_encode(d, 1, x + i * 3, z + i * (D + c), NULL));
    if (c) z[i * (D + c) + D] = x[i * 3 + 2];
  }
  OK(rh_density_decode(d, N, z, back, NULL));
}

static void times_of_models(void **state) {
  (void)state;
  assert_true(rh_density_time(one) == 1);
  assert_true(rh_density_time(two) == 2.5);
  assert_true(rh_density_time(NULL) == 0);
}

static void paths_end_at_the_rows(void **state) {
  (void)state;
  rh_density *const all[] = {one, two, given};
  for (int m = 0; m < 3; m++) {
    double z[N * 3], back[N * D], path[N * TIMES * D], alone[TIMES * D];
    const int64_t width = D + rh_density_context(all[m]);
    codes(all[m], z, back);
    OK(rh_density_paths(all[m], N, z, TIMES, path));
    for (int i = 0; i < N; i++) assert_memory_equal(path + ((i + 1) * TIMES - 1) * D, back + i * D, D * sizeof *back);
    OK(rh_density_paths(all[m], 1, z + 3 * width, TIMES, alone));
    assert_memory_equal(alone, path + 3 * TIMES * D, sizeof alone);
  }
}

/* At T nothing is solved: of one equation what is left is the units of the columns, the same for every row; and the state does move on. */
static void paths_begin_at_the_codes(void **state) {
  (void)state;
  double z[N * D], back[N * D], path[N * TIMES * D], moved = 0;
  codes(one, z, back);
  OK(rh_density_paths(one, N, z, TIMES, path));
  for (int j = 0; j < D; j++) {
    const double unit = (path[TIMES * D + j] - path[j]) / (z[D + j] - z[j]);
    assert_true(j ? unit > 0.5 * IN_UNITS_OF_X && unit < 5 * IN_UNITS_OF_X : unit > 0.5 && unit < 5);
    for (int i = 2; i < N; i++)
      assert_true(fabs(path[i * TIMES * D + j] - path[j] - unit * (z[i * D + j] - z[j])) < 1e-5 * (fabs(path[j]) + unit));
    for (int i = 0; i < N; i++) moved = fmax(moved, fabs(path[i * TIMES * D + j] - back[i * D + j]) / unit);
  }
  assert_true(moved > 0.05);
}

/* Of a column in steps of 2 (or with levels) the end alone is rounded, downwards, to what lies in its cell; on the way states lie anywhere,
 * and go no further from one time to the next than those of other columns do. */
static void the_end_alone_is_rounded(void **state) {
  (void)state;
  enum { MANY = 201 };
#define SPEC(column)                                                                                                     \
  "{\"dtype\": \"f64\", \"steps\": 60, \"threads\": 1, \"set\": {\"lr\": 0.05}, \"spec\": {\"preprocess\": [{\"type\": " \
  "\"dequantize\", \"columns\": [" column                                                                                \
  "]}, {\"type\": \"standardize\", \"mean\": [0, 1], \"scale\": [2, 2.5]}], \"flow\": "                                  \
  "{\"type\": \"chain\", \"parts\": [" CNF(1) "]}}}"
  static const char *const specs[] = {SPEC("{\"column\": 1, \"step\": 2, \"offset\": 0}"),
                                      SPEC("{\"column\": 1, \"step\": 2, \"levels\": [-4, -2, 0, 2, 4, 6]}")};
  for (size_t s = 0; s < sizeof specs / sizeof *specs; s++) {
    double kept[ROWS], z[N * D], back[N * D], *path = malloc(N * MANY * D * sizeof *path);
    rh_density *d = NULL;
    for (int i = 0; i < ROWS; i++) kept[i] = x[i * 3 + 1], x[i * 3 + 1] = fmin(fmax(2 * round(x[i * 3]), -4), 6);
    OK(fit(2, specs[s], &d));
    codes(d, z, back);
    OK(rh_density_paths(d, N, z, MANY, path));
    int between = 0;
    for (int i = 0; i < N; i++) {
      const double *of = path + i * MANY * D, *end = of + (MANY - 1) * D, before = of[(MANY - 2) * D + 1];
      assert_memory_equal(end, back + i * D, D * sizeof *end);
      assert_true(fmod(end[1], 2) == 0 && end[1] == x[i * 3 + 1]);
      assert_true(before > end[1] - 0.1 && before < end[1] + 2.1);
      for (int k = 0; k < MANY - 1; k++) between += fabs(fmod(of[k * D + 1], 2)) > 1e-6;
      for (int k = 1; k < MANY - 1; k++) assert_true(fabs(of[k * D + 1] - of[(k - 1) * D + 1]) < 0.2);
    }
    assert_true(between > N * (MANY - 1) * 9 / 10);
    for (int i = 0; i < ROWS; i++) x[i * 3 + 1] = kept[i];
    rh_density_close(d);
    free(path);
  }
}

/* No jumps: from one time to the next a path goes a fraction of the whole way. In a chain the linear layer between acts all along. */
static void paths_are_continuous(void **state) {
  (void)state;
  enum { MANY = 101 };
  rh_density *const all[] = {one, two};
  for (int m = 0; m < 2; m++) {
    double z[N * D], back[N * D], *path = malloc(N * MANY * D * sizeof *path);
    codes(all[m], z, back);
    OK(rh_density_paths(all[m], N, z, MANY, path));
    for (int j = 0; j < D; j++) {
      double whole = 0, step = 0;
      for (int i = 0; i < N * MANY - 1; i++) {
        if (i % MANY == MANY - 1) continue;
        const double s = fabs(path[(i + 1) * D + j] - path[i * D + j]);
        whole += s / N, step = fmax(step, s);
      }
      assert_true(step > 0 && step < 0.2 * whole);
    }
    free(path);
  }
}

static void what_is_refused(void **state) {
  (void)state;
  rh_density *none = NULL;
  double z[D] = {0.1, 0.2}, path[TIMES * D] = {7};
  OK(fit(2, "{" SMALL ", \"arch\": \"nsf\"}", &none));
  assert_true(rh_density_time(none) == 0);
  REFUSED(RH_E_UNSUPPORTED, rh_density_paths(none, 1, z, TIMES, path));
  REFUSED(RH_E_ARGUMENT, rh_density_paths(NULL, 1, z, TIMES, path));
  REFUSED(RH_E_ARGUMENT, rh_density_paths(one, 1, NULL, TIMES, path));
  REFUSED(RH_E_ARGUMENT, rh_density_paths(one, 1, z, 1, path));
  z[1] = NAN;
  REFUSED(RH_E_DATA, rh_density_paths(one, 1, z, TIMES, path));
  assert_true(path[0] == 7);
  OK(rh_density_paths(one, 0, NULL, 2, NULL));
  rh_density_close(none);
}

static rh_status call_paths(void **out) {
  const double z[D] = {0.1, 0.2};
  double path[2 * D];
  (void)out;
  return rh_density_paths(one, 1, z, 2, path);
}

static void no_failed_allocation_is_lost(void **state) {
  (void)state;
  scarce(call_paths, drop_text);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(times_of_models),
      cmocka_unit_test(paths_end_at_the_rows),
      cmocka_unit_test(paths_begin_at_the_codes),
      cmocka_unit_test(the_end_alone_is_rounded),
      cmocka_unit_test(paths_are_continuous),
      cmocka_unit_test(what_is_refused),
      cmocka_unit_test(no_failed_allocation_is_lost),
  };
  return cmocka_run_group_tests(tests, start, stop);
}
