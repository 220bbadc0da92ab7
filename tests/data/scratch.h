/* What the tests of this floor share: a folder that goes away, files in it, tables from text, and errors compared whole. */
#ifndef TESTS_DATA_SCRATCH_H
#define TESTS_DATA_SCRATCH_H
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
/* cmocka wants the headers above */
#include <cmocka.h>

#include "base/memory.h"
#include "data/table_read.h"

static char scratch_folder[64];

static inline int scratch_make(void **state) {
  (void)state;
  snprintf(scratch_folder, sizeof scratch_folder, P_tmpdir "/rheo_data_XXXXXX");
  return mkdtemp(scratch_folder) ? 0 : -1;
}

static inline int scratch_remove(void **state) {
  (void)state;
  char command[96];
  snprintf(command, sizeof command, "rm -rf %s", scratch_folder);
  return system(command);
}

static inline const char *scratch_path(const char *name) {
  static char path[8][256];
  static int at;
  char *p = path[at++ % 8];
  snprintf(p, sizeof path[0], "%s/%s", scratch_folder, name);
  return p;
}

static inline void scratch_write(const char *name, const void *bytes, size_t n) {
  FILE *file = fopen(scratch_path(name), "wb");
  assert_non_null(file);
  assert_int_equal(fwrite(bytes, 1, n, file), n);
  assert_int_equal(fclose(file), 0);
}

/* A table from bytes named "t"; the test fails where it cannot be read. */
static inline rh_table *table_of(const void *bytes, size_t n, const rh_read_options *options) {
  rh_table *table = NULL;
  const rh_status status = rh_table_read_bytes("t", bytes, n, options, &table);
  if (status != RH_OK) fail_msg("%s", rh_last_error());
  return table;
}

static inline rh_table *table_of_text(const char *text, const rh_read_options *options) {
  return table_of(text, strlen(text), options);
}

/* The table holds exactly these values. */
static inline void assert_table(const rh_table *table, int64_t n, int64_t d, const double *values) {
  assert_int_equal(rh_table_rows(table), n);
  assert_int_equal(rh_table_columns(table), d);
  double *got = malloc((size_t)(n * d) * sizeof *got);
  rh_table_get_f64(table, NULL, 0, n, got);
  for (int64_t i = 0; i < n * d; i++) {
    if (got[i] != values[i]) fail_msg("row %d, column %d: %.17g is not %.17g", (int)(i / d), (int)(i % d), got[i], values[i]);
  }
  free(got);
}

static inline void assert_fails(const char *bytes, size_t n, const rh_read_options *options, rh_status status, const char *error) {
  rh_table *table = NULL;
  const rh_status got = rh_table_read_bytes("t", bytes, n, options, &table);
  if (got != status || strcmp(rh_last_error(), error) != 0)
    fail_msg("%d \"%s\" is not %d \"%s\"", (int)got, rh_last_error(), (int)status, error);
  assert_null(table);
}

#endif
