/* Every call of this floor with its first, second, third ... allocation failing: each time an error, nothing lost (the leak checker looks),
 * and outputs as they were. */
#define _XOPEN_SOURCE 700 /* mkdtemp */
#include "data/analyse.h"
#include "data/split.h"
#include "data/table_write.h"
#include "starve.h"

typedef struct reading {
  const char *file;
  rh_read_options options;
  int64_t rows, columns;
} reading;

static rh_status read_once(void *state) {
  const reading *r = state;
  rh_table *table = NULL;
  const rh_status status = rh_table_read(scratch_path(r->file), &r->options, &table);
  if (status != RH_OK) {
    assert_null(table);
    return status;
  }
  assert_int_equal(rh_table_rows(table), r->rows);
  assert_int_equal(rh_table_columns(table), r->columns);
  rh_table_free(table);
  return RH_OK;
}

static void readers(void **state) {
  (void)state;
  const char *program =
      "import numpy as np, sys, gzip\n"
      "d = sys.argv[1]\n"
      "x = np.arange(90000.).reshape(30000, 3)\n"
      "np.save(f'{d}/a.npy', x)\n"
      "np.savez(f'{d}/stored.npz', a=x, b=x[0])\n"
      "np.savez_compressed(f'{d}/packed.npz', a=x, b=x[0])\n"
      "t = 'a,\"b \"\"c\"\"\",d\\n' + '\\n'.join('%g,%.17g,\"%g\"' % tuple(r) for r in x)\n"
      "open(f'{d}/a.csv', 'w').write(t)\n"
      "gzip.open(f'{d}/a.csv.gz', 'wt').write(t)\n";
  scratch_write("make.py", program, strlen(program));
  char command[256];
  snprintf(command, sizeof command, "/usr/bin/python3 %s %s", scratch_path("make.py"), scratch_folder);
  assert_int_equal(system(command), 0); /* python3-numpy is one of the tests' requirements */
  reading readings[] = {{"a.csv", {0}, 30000, 3},
                        {"a.csv", {.columns = "d,a"}, 30000, 2},
                        {"a.csv", {.columns = "-2", .memory_limit = 1, .temp_folder = scratch_folder}, 30000, 2},
                        {"a.csv.gz", {.memory_limit = 1, .temp_folder = scratch_folder}, 30000, 3},
                        {"a.npy", {.columns = "3,1"}, 30000, 2},
                        {"stored.npz", {0}, 30000, 3},
                        {"stored.npz:b", {.columns = "1"}, 3, 1},
                        {"packed.npz", {0}, 30000, 3},
                        {"packed.npz:a", {.columns = "2-3", .memory_limit = 1, .temp_folder = scratch_folder}, 30000, 2}};
  for (size_t i = 0; i < RH_COUNT_OF(readings); i++) assert_true(starve_all(read_once, &readings[i]) >= 2);
  snprintf(command, sizeof command, "ls -A %s | grep -c '^rheo'", scratch_folder);
  FILE *pipe = popen(command, "r");
  int behind = -1;
  assert_int_equal(fscanf(pipe, "%d", &behind), 1);
  pclose(pipe);
  assert_int_equal(behind, 0); /* no temporary file stays */
}

static rh_table *toy(void) { /* every kind of column: kept, constant, copy, combination, grid, levels, skewed */
  enum { N = 300, D = 8 };
  static double x[N * D];
  static const double levels[] = {0.1234567, 2.71828, 100.0001};
  for (int i = 0; i < N; i++) {
    const double a = i * 7919 % 997 / 997.0, b = i * 104729 % 991 / 991.0;
    const double row[D] = {a, 5, a, 2 * a - b, b, i % 4, levels[i % 3], 1 / (0.001 + a * b)};
    memcpy(x + i * D, row, sizeof row);
  }
  static const char *const names[] = {"a", "five", "a again", "mix", "b", "four", "levels", "skewed"};
  rh_table *table = NULL;
  assert_int_equal(rh_table_wrap(&(rh_cells){x, RH_CELL_F8, false, N, D, D * 8, 8}, names, &table), RH_OK);
  return table;
}

static rh_status analyse_once(void *state) {
  json_t *plan = NULL;
  const rh_status status = rh_analyse(state, NULL, 0, RH_HANDLE_AUTO, 4, &plan);
  assert_true((plan != NULL) == (status == RH_OK));
  if (plan) {
    assert_int_equal(json_array_size(json_object_get(plan, "drop")), 3);
    assert_int_equal(json_array_size(json_object_get(plan, "dequantize")), 2);
  }
  json_decref(plan);
  return status;
}

static rh_status split_once(void *state) {
  rh_split split = {0};
  const rh_status status = rh_split_rows(state, 0.1, 0.1, 3, &split);
  if (status != RH_OK) assert_true(split.rows[0] == NULL && split.n[0] == 0);
  rh_split_free(&split);
  return status;
}

static rh_status select_once(void *state) {
  const int64_t columns[] = {4, 2};
  (void)state;
  rh_table *table = NULL;
  const double values[6] = {0};
  const char *const names[] = {"a", "b", "c", "d", "e", "f"};
  rh_status status = rh_table_wrap(&(rh_cells){values, RH_CELL_F8, false, 1, 6, 48, 8}, names, &table);
  if (status == RH_OK) status = rh_table_select(table, columns, 2);
  if (status == RH_OK) assert_string_equal(rh_table_names(table)[0], "e");
  rh_table_free(table);
  return status;
}

static rh_status write_once(void *state) {
  rh_table_writer *writer = NULL;
  const float values[2] = {1, 2};
  const char *const names[] = {"a", "b"};
  const rh_status status = rh_table_writer_open(scratch_path(state), 1, 2, names, RH_CELL_F4, &writer);
  if (status != RH_OK) {
    assert_null(writer);
    return status;
  }
  assert_int_equal(rh_table_writer_put_f32(writer, 1, values), RH_OK);
  return rh_table_writer_commit(writer);
}

static void everything_else(void **state) {
  (void)state;
  rh_table *table = toy();
  assert_true(starve_all(analyse_once, table) > 50);
  assert_true(starve_all(split_once, table) >= 5);
  assert_true(starve_all(select_once, NULL) >= 3);
  char csv[] = "o.csv", npy[] = "o.npy";
  assert_true(starve_all(write_once, csv) >= 2);
  assert_true(starve_all(write_once, npy) >= 2);
  rh_table_free(table);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(readers),
      cmocka_unit_test(everything_else),
  };
  return cmocka_run_group_tests(tests, scratch_make, scratch_remove);
}
