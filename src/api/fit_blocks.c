/* rh_fit_blocks: fits of rows in memory, numbers or images. */
#include <string.h>

#include "api/fit_job.h"
#include "data/images.h"

static rh_status check_size(const char *name, const rh_block *block, int64_t bytes) {
  if (block->columns <= PTRDIFF_MAX / bytes / block->rows) return RH_OK;
  return rh_fail(RH_E_ARGUMENT, "rh_fit_blocks: %s: %lld rows of %lld columns are more than any memory holds", name, (long long)block->rows,
                 (long long)block->columns);
}

static rh_status check_block(const char *name, const rh_block *block) {
  const int64_t bytes = block->real_bytes;
  if (!block->data || block->rows < 1 || block->columns < 1 || (bytes != 4 && bytes != 8)) {
    return rh_fail(RH_E_ARGUMENT,
                   "rh_fit_blocks: %s: data must not be NULL, rows and columns at least 1, real_bytes 4 or 8; bytes are those of images, "
                   "whose shape the option image says",
                   name);
  }
  return check_size(name, block, bytes);
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

/* ---- images ---- */

/* [h, w, c], or all 0 where there is none. */
static rh_status read_shape(const json_t *image, int64_t shape[3]) {
  json_int_t h = 0, w = 0, c = 0;
  const bool fine = !image || (json_unpack_ex((json_t *)(uintptr_t)image, NULL, JSON_STRICT, "[I, I, I]", &h, &w, &c) == 0 && h > 0);
  shape[0] = h, shape[1] = w, shape[2] = c;
  return fine ? RH_OK : rh_fail(RH_E_ARGUMENT, "options.image: give the shape of an image, [height, width, channels], such as [28, 28, 1]");
}

static rh_status wrap_images(fit_job *j, int i, const rh_block *block, const int64_t shape[3]) {
  const char *name = j->name[i], *labels = j->o.image.labels;
  if (!block->data || block->rows < 1 || block->columns < 1 || block->real_bytes != 1)
    return rh_fail(RH_E_ARGUMENT, "rh_fit_blocks: %s: data must not be NULL, rows and columns at least 1, real_bytes 1: images are bytes",
                   name);
  RH_TRY(check_size(name, block, 1));
  if (labels && strcmp(labels, "own") != 0)
    return rh_fail(RH_E_ARGUMENT, "options.labels: of images in memory a label is the byte behind each: say \"own\"");
  const rh_status status = rh_images_wrap(name, block->data, block->rows, block->columns, shape, labels, &j->table[i]);
  return status == RH_OK ? rh_fit_take_images(j, i) : rh_fail_prefix(status, "rh_fit_blocks: ");
}

/* ---- the call ---- */

/* What only a file can have. */
static rh_status refuse_file_options(const json_t *options) {
  static const char *const keys[] = {"header", "separator"};
  for (size_t i = 0; i < RH_COUNT_OF(keys); i++) {
    if (json_object_get(options, keys[i]))
      return rh_fail(RH_E_ARGUMENT, "options.%s: is for files; rows in memory have none: leave it out", keys[i]);
  }
  return RH_OK;
}

static rh_status fit(fit_job *j, const json_t *options, const json_t *image, const rh_block *const blocks[RH_PARTS], rh_density **density,
                     char **report) {
  int64_t shape[3];
  RH_TRY(read_shape(image, shape));
  RH_TRY(rh_fit_options_read(options, &j->o));
  RH_TRY(refuse_file_options(options));
  RH_TRY(rh_image_fit_check(&j->o.image, "memory", image));
  RH_TRY(rh_try_output(j->o.output));
  for (int i = 0; i < RH_PARTS; i++)
    if (blocks[i]) RH_TRY(image ? wrap_images(j, i, blocks[i], shape) : wrap_block(j, i, blocks[i]));
  return rh_fit_job_finish(j, density, report);
}

rh_status rh_fit_blocks(const rh_block *train_rows, const rh_block *val, const rh_block *test, const char *options,
                        rh_fit_progress *progress, void *arg, rh_density **density, char **report) {
  static const char *const own[] = {"image", NULL};
  if (!train_rows) return rh_fail(RH_E_ARGUMENT, "rh_fit_blocks: train must not be NULL");
  const rh_block *const blocks[RH_PARTS] = {train_rows, val, test};
  json_t *json, *mine = NULL, *rest = NULL;
  RH_TRY(rh_options_parse(options, &json));
  fit_job j = {.name = {"train", "val", "test"}, .progress = progress, .arg = arg};
  rh_status status = rh_options_divide(json, own, &mine, &rest);
  if (status == RH_OK) status = fit(&j, rest, json_object_get(mine, "image"), blocks, density, report);
  rh_fit_job_clear(&j);
  json_decref(mine);
  json_decref(rest);
  json_decref(json);
  return status;
}
