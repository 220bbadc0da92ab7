/* Any bytes as NPY, NPZ or gzip (whatever they sniff as): never a crash or a read outside; a table that is read gives the same numbers by
 * rows, by columns and in both precisions, all finite. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "data/source.h"
#include "data/split.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);

static void must(bool holds) {
  if (!holds) abort();
}

static void take_out(const rh_table *table) {
  const int64_t rows = rh_table_rows(table), columns = rh_table_columns(table);
  must(rows >= 1 && columns >= 1);
  double *wide = rh_alloc((size_t)columns * sizeof *wide), *column = rh_alloc((size_t)rows * sizeof *column);
  float *narrow = rh_alloc((size_t)columns * sizeof *narrow);
  must(wide && column && narrow);
  for (int64_t j = 0; j < columns && j < 3; j++) {
    rh_table_column_f64(table, j, NULL, 0, rows, column);
    for (int64_t i = 0; i < rows; i++) {
      rh_table_get_f64(table, &i, 0, 1, wide);
      rh_table_get_f32(table, NULL, i, 1, narrow);
      must(isfinite(wide[j]) && wide[j] == column[i]);
      must(fabs(wide[j]) > 3e38 || fabs((double)narrow[j] - wide[j]) <= fabs(wide[j]) * 0x1p-24 + 0x1p-149);
    }
  }
  rh_free(wide);
  rh_free(column);
  rh_free(narrow);
  rh_split split = {0};
  if (rh_split_rows(table, 0.1, 0.1, 1, &split) == RH_OK) rh_split_free(&split);
}

/* The header alone, of a file that is cut after it: what an archive's members are looked at with. */
static void header_only(const uint8_t *bytes, size_t n) {
  rh_npy npy;
  if (rh_npy_parse("fuzz", bytes, (int64_t)n, false, &npy) != RH_OK) return;
  must(npy.cells.n >= 1 && npy.cells.d >= 1 && npy.cells.n <= INT64_MAX / npy.cells.d / rh_cell_bytes(npy.cells.cell));
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n) {
  rh_table *table = NULL;
  header_only(bytes, n);
  const rh_status status = rh_table_read_bytes("fuzz", bytes, n, NULL, &table);
  must((status == RH_OK) == (table != NULL));
  if (status != RH_OK) {
    must(rh_last_error()[0] && !strchr(rh_last_error(), '\n'));
    return 0;
  }
  take_out(table);
  rh_table_free(table);
  return 0;
}
