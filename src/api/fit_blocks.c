/* rh_fit_blocks: fits of rows in memory. */
#include "api/fit_job.h"

static rh_status check_block(const char *name, const rh_block *block) {
  const int64_t bytes = block->real_bytes;
  if (!block->data || block->rows < 1 || block->columns < 1 || (bytes != 4 && bytes != 8)) {
    return rh_fail(RH_E_ARGUMENT, "rh_fit_blocks: %s: data must not be NULL, rows and columns at least 1, real_bytes 4 or 8", name);
  }
  if (block->columns <= PTRDIFF_MAX / bytes / block->rows) return RH_OK;
  return rh_fail(RH_E_ARGUMENT, "rh_fit_blocks: %s: %lld rows of %lld columns are more than any memory holds", name, (long long)block->rows,
                 (long long)block->columns);
}

static rh_status select_columns(const fit_job *j, int i) {
  rh_table *table = j->table[i];
  rh_selection s = {0};
  if (!j->o.read.columns && !j->o.read.context && !j->o.read.categorical) return RH_OK;
  RH_TRY(rh_columns_select(j->name[i], &j->o.read, NULL, rh_table_columns(table), &s));
  rh_status status = rh_table_select(table, s.columns, s.n);
  if (status == RH_OK) status = rh_table_describe(table, s.facts);
  rh_selection_free(&s);
  return status;
}

static rh_status wrap_block(fit_job *j, int i, const rh_block *block) {
  RH_TRY(check_block(j->name[i], block));
  const int64_t bytes = block->real_bytes;
  const rh_cells cells = {.at = block->data,
                          .cell = bytes == 4 ? RH_CELL_F4 : RH_CELL_F8,
                          .n = block->rows,
                          .d = block->columns,
                          .row_step = block->columns * bytes,
                          .column_step = bytes};
  RH_TRY(rh_table_wrap(&cells, NULL, &j->table[i]));
  int64_t row, column;
  double value;
  RH_TRY(select_columns(j, i));
  if (!rh_table_find_bad(j->table[i], j->o.compute.real_bytes == 4 ? 3.4028234e38 : 0, &row, &column, &value)) return RH_OK;
  return rh_fail(RH_E_DATA, "%s: row %lld, column %lld (from 1): %g is not a finite number of the fit's precision", j->name[i],
                 (long long)row + 1, (long long)rh_table_facts(j->table[i], column).number, value);
}

/* What only a file can have. */
static rh_status refuse_file_options(const json_t *options) {
  static const char *const keys[] = {"header", "separator"};
  for (size_t i = 0; i < RH_COUNT_OF(keys); i++) {
    if (json_object_get(options, keys[i]))
      return rh_fail(RH_E_ARGUMENT, "options.%s: is for files; rows in memory have none: leave it out", keys[i]);
  }
  return RH_OK;
}

rh_status rh_fit_blocks(const rh_block *train_rows, const rh_block *val, const rh_block *test, const char *options,
                        rh_fit_progress *progress, void *arg, rh_density **density, char **report) {
  if (!train_rows) return rh_fail(RH_E_ARGUMENT, "rh_fit_blocks: train must not be NULL");
  const rh_block *const blocks[RH_PARTS] = {train_rows, val, test};
  json_t *json;
  RH_TRY(rh_options_parse(options, &json));
  fit_job j = {.name = {"train", "val", "test"}, .progress = progress, .arg = arg};
  rh_status status = rh_fit_options_read(json, &j.o);
  if (status == RH_OK) status = refuse_file_options(json);
  if (status == RH_OK) status = rh_image_fit_check(&j.o.image, "memory", false);
  if (status == RH_OK) status = rh_try_output(j.o.output);
  for (int i = 0; i < RH_PARTS && status == RH_OK; i++) {
    if (blocks[i]) status = wrap_block(&j, i, blocks[i]);
  }
  if (status == RH_OK) status = rh_fit_job_finish(&j, density, report);
  rh_fit_job_clear(&j);
  json_decref(json);
  return status;
}
