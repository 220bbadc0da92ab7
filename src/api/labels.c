#include "api/labels.h"

#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/memory.h"

void rh_labelled_free(rh_labelled *l) {
  rh_table_free(l->table);
  rh_free(l->label);
  rh_free(l->values);
  *l = (rh_labelled){0};
}

/* ---- where they are ---- */

/* The column of that name, else of that number; -1: none. */
static int64_t find_column(const rh_table *table, const char *labels) {
  const char *const *names = rh_table_names(table);
  const int64_t d = rh_table_columns(table);
  for (int64_t j = 0; j < d && names; j++)
    if (strcmp(names[j], labels) == 0) return j;
  if (!*labels || labels[strspn(labels, "0123456789")] || strlen(labels) > 9) return -1;
  const int64_t number = strtoll(labels, NULL, 10);
  return number >= 1 && number <= d ? number - 1 : -1;
}

/* "FILE.npz:NAME" for the array of that name beside the table's; NULL: the file is no archive, or memory ran out. */
static char *array_beside(const char *path, const char *name) {
  char *text = rh_alloc(strlen(path) + strlen(name) + 2);
  if (!text) return NULL;
  strcpy(text, path);
  char *colon = strrchr(text, ':');
  if (colon && !rh_file_exists(text)) *colon = '\0';
  rh_bytes bytes = {0};
  const bool archive = strcmp(text, "-") != 0 && rh_file_exists(text) && rh_bytes_open(text, &bytes) == RH_OK && bytes.size > 4 &&
                       memcmp(bytes.data, "PK", 2) == 0;
  rh_bytes_close(&bytes);
  if (archive) return strcat(strcat(text, ":"), name);
  rh_free(text);
  return NULL;
}

/* ---- reading them ---- */

static rh_status take_labels(const char *name, const rh_table *from, int64_t column, int64_t rows, unsigned char **out) {
  if (rh_table_rows(from) != rows)
    return rh_fail(RH_E_SHAPE, "%s: %lld labels for %lld rows: give one label a row", name, (long long)rh_table_rows(from),
                   (long long)rows);
  unsigned char *label = rh_alloc_zero((size_t)rows, 1);
  if (!label) return RH_E_MEMORY;
  for (int64_t i = 0; i < rows; i++) {
    double value;
    rh_table_column_f64(from, column, NULL, i, 1, &value);
    label[i] = value == 1;
    if (value == 0 || value == 1) continue;
    char text[RH_LABEL_BYTES];
    rh_free(label);
    return rh_fail(RH_E_DATA, "%s: row %lld, %s: the label %g is neither 0 (normal) nor 1 (an anomaly)", name, (long long)i + 1,
                   rh_table_label(from, column, text, sizeof text), value);
  }
  *out = label;
  return RH_OK;
}

static rh_status labels_of_table(const char *name, const rh_table *table, int64_t rows, unsigned char **out) {
  if (rh_table_columns(table) == 1) return take_labels(name, table, 0, rows, out);
  return rh_fail(RH_E_SHAPE, "%s: has %lld columns: labels are one, 0 or 1 a row", name, (long long)rh_table_columns(table));
}

static rh_status labels_of_file(const char *file, int64_t rows, unsigned char **out) {
  rh_table *table;
  RH_TRY(rh_table_read(file, NULL, &table));
  const rh_status status = labels_of_table(file, table, rows, out);
  rh_table_free(table);
  return status;
}

/* Beside the column of labels, those that the caller chose. */
static rh_status choose_columns(const char *path, const char *list, rh_labelled *l) {
  int64_t *columns, count, kept = 0;
  RH_TRY(rh_columns_parse(path, list, rh_table_names(l->table), rh_table_columns(l->table), &columns, &count));
  for (int64_t i = 0; i < count; i++)
    if (columns[i] != l->column) columns[kept++] = columns[i];
  const rh_status status =
      kept > 0 ? rh_table_select(l->table, columns, kept) : rh_fail(RH_E_DATA, "%s: there is no column but that of the labels", path);
  rh_free(columns);
  return status;
}

static rh_status find_elsewhere(const char *path, const char *labels, rh_labelled *l) {
  const int64_t rows = rh_table_rows(l->table);
  char *array = array_beside(path, labels);
  if (array) {
    const rh_status status = labels_of_file(array, rows, &l->label);
    rh_free(array);
    if (status == RH_OK || !rh_file_exists(labels)) return status;
  }
  const char *colon = strrchr(labels, ':');
  if (rh_file_exists(labels) || colon) return labels_of_file(labels, rows, &l->label);
  return rh_fail(RH_E_ARGUMENT, "%s: no labels: '%.64s' is no column of it (by name, or by number from 1) and no file", path, labels);
}

static rh_status fill(const char *path, const rh_read_options *options, const char *labels, rh_labelled *l) {
  rh_read_options all = *options;
  if (labels) all.columns = NULL; /* they may stand in a column that is not chosen */
  RH_TRY(rh_table_read(path, &all, &l->table));
  l->column = labels ? find_column(l->table, labels) : -1;
  l->columns = rh_table_columns(l->table);
  if (l->column >= 0)
    RH_TRY(take_labels(path, l->table, l->column, rh_table_rows(l->table), &l->label));
  else if (labels)
    RH_TRY(find_elsewhere(path, labels, l));
  return (options->columns && labels) || l->column >= 0 ? choose_columns(path, options->columns, l) : RH_OK;
}

rh_status rh_labelled_read(const char *path, const rh_read_options *options, const char *labels, rh_labelled *out) {
  rh_labelled l = {0};
  const rh_status status = fill(path, options, labels, &l);
  if (status == RH_OK)
    *out = l;
  else
    rh_labelled_free(&l);
  return status;
}

/* ---- of a second table ---- */

/* By the same name, else in the same place of as many columns; -1: it has none. */
static int64_t column_like(const rh_table *table, const char *labels, const rh_labelled *like) {
  const char *const *names = rh_table_names(table);
  const int64_t d = rh_table_columns(table);
  for (int64_t j = 0; j < d && names; j++)
    if (strcmp(names[j], labels) == 0) return j;
  return d == like->columns ? like->column : -1;
}

static rh_status array_like(const char *path, const char *labels, rh_labelled *l, const char **why) {
  char *array = array_beside(path, labels);
  rh_table *table = NULL;
  rh_status status = RH_OK;
  if (!array || rh_table_read(array, NULL, &table) != RH_OK) {
    *why = array ? "it has no such array" : "the labels are not in its file";
  } else {
    status = labels_of_table(array, table, rh_table_rows(l->table), &l->label);
    rh_table_free(table);
  }
  rh_free(array);
  return status;
}

static rh_status fill_like(const char *path, const rh_read_options *options, const char *labels, const rh_labelled *like, rh_labelled *l,
                           const char **why) {
  rh_read_options all = *options;
  if (labels) all.columns = NULL;
  RH_TRY(rh_table_read(path, &all, &l->table));
  l->column = labels && like->column >= 0 ? column_like(l->table, labels, like) : -1;
  l->columns = rh_table_columns(l->table);
  *why = NULL;
  if (l->column >= 0)
    RH_TRY(take_labels(path, l->table, l->column, rh_table_rows(l->table), &l->label));
  else if (labels && like->column >= 0)
    *why = "it has no such column";
  else if (labels)
    RH_TRY(array_like(path, labels, l, why));
  return (options->columns && labels) || l->column >= 0 ? choose_columns(path, options->columns, l) : RH_OK;
}

rh_status rh_labelled_read_like(const char *path, const rh_read_options *options, const char *labels, const rh_labelled *like,
                                rh_labelled *out, const char **why) {
  rh_labelled l = {0};
  const rh_status status = fill_like(path, options, labels, like, &l, why);
  if (status == RH_OK)
    *out = l;
  else
    rh_labelled_free(&l);
  return status;
}

/* ---- normal rows alone ---- */

/* Those rows of the table, [n, d] -> l->values: bytes of images, else doubles; *table lies on them. */
static rh_status copy_rows(rh_labelled *l, const int64_t *row, int64_t n, rh_table **table) {
  const rh_image_facts *image = rh_table_image(l->table);
  const int64_t d = rh_table_columns(l->table), size = image ? 1 : 8;
  unsigned char *values = rh_alloc_zero((size_t)n, (size_t)(d * size));
  double *one = rh_alloc((size_t)d * sizeof *one);
  rh_status status = values && one ? RH_OK : RH_E_MEMORY;
  for (int64_t i = 0; i < n && status == RH_OK; i++) {
    rh_table_get_f64(l->table, row + i, 0, 1, one);
    for (int64_t j = 0; j < d && image; j++) values[i * d + j] = (unsigned char)one[j];
    if (!image) memcpy(values + i * d * size, one, (size_t)(d * size));
  }
  const rh_cells cells = {.at = values, .cell = image ? RH_CELL_U1 : RH_CELL_F8, .n = n, .d = d, .row_step = d * size, .column_step = size};
  if (status == RH_OK) status = rh_table_wrap(&cells, rh_table_names(l->table), table);
  if (status == RH_OK && image) status = rh_table_set_image(*table, image);
  rh_free(one);
  rh_free(l->values);
  l->values = values;
  return status;
}

rh_status rh_labelled_keep_normal(rh_labelled *l, const char *path, int64_t *gone) {
  const int64_t rows = rh_table_rows(l->table);
  int64_t n = 0, *row = rh_alloc((size_t)(rows + 1) * sizeof *row);
  if (!row) return RH_E_MEMORY;
  for (int64_t i = 0; i < rows && l->label; i++)
    if (!l->label[i]) row[n++] = i;
  *gone = l->label ? rows - n : 0;
  rh_table *kept = NULL;
  rh_status status =
      *gone == rows ? rh_fail(RH_E_DATA, "%s: every row is labelled an anomaly: there is nothing to learn from", path) : RH_OK;
  if (status == RH_OK && *gone > 0) status = copy_rows(l, row, n, &kept);
  rh_free(row);
  if (status != RH_OK) {
    rh_table_free(kept);
  } else if (kept) {
    rh_table_free(l->table);
    l->table = kept;
    rh_free(l->label);
    l->label = NULL;
  }
  return status;
}
