#include "api/labelled_images.h"

#include <string.h>

#include "api/image_rows.h"
#include "base/file.h"
#include "base/memory.h"
#include "data/images.h"

static rh_status read_images(const char *path, const rh_read_options *options, const rh_model *model, rh_table **table) {
  return model ? rh_read_images(path, options, model, table) : rh_images_read(path, NULL, table);
}

/* The number that a label is: itself, or its text. */
static double label_of(const rh_column_facts *facts, double value) {
  const char *text = facts->texts ? facts->texts[(int64_t)value] : NULL;
  if (!text) return value;
  return strcmp(text, "0") == 0 ? 0 : strcmp(text, "1") == 0 ? 1 : -1;
}

/* The labels of a table of images, its last column -> [rows]. */
static rh_status take_labels(const char *path, const rh_table *table, unsigned char **out) {
  const int64_t rows = rh_table_rows(table), column = rh_table_columns(table) - 1;
  const rh_column_facts facts = rh_table_facts(table, column);
  unsigned char *label = rh_alloc_zero((size_t)rows, 1);
  if (!label) return RH_E_MEMORY;
  for (int64_t i = 0; i < rows; i++) {
    double value;
    rh_table_column_f64(table, column, NULL, i, 1, &value);
    const double number = label_of(&facts, value);
    label[i] = number == 1;
    if (number == 0 || number == 1) continue;
    rh_free(label);
    if (facts.texts)
      return rh_fail(RH_E_DATA, "%s: image %lld: the label '%.60s' is neither 0 (normal) nor 1 (an anomaly)", path, (long long)i + 1,
                     facts.texts[(int64_t)value]);
    return rh_fail(RH_E_DATA, "%s: image %lld: the label %g is neither 0 (normal) nor 1 (an anomaly)", path, (long long)i + 1, value);
  }
  *out = label;
  return RH_OK;
}

static rh_status read_labels(const char *path, const char *labels, unsigned char **out) {
  const rh_image_options options = {.labels = rh_image_labels(labels)};
  rh_table *table;
  RH_TRY(rh_images_read(path, &options, &table));
  const rh_status status = take_labels(path, table, out);
  rh_table_free(table);
  return status;
}

rh_status rh_labelled_images(const char *path, const rh_read_options *options, const char *labels, const rh_model *model,
                             rh_labelled *out) {
  rh_labelled l = {.column = -1};
  if (labels && strcmp(path, "-") == 0)
    return rh_fail(RH_E_ARGUMENT, "labels: images with labels are read twice, standard input is not: give them as a file");
  RH_TRY(read_images(path, options, model, &l.table));
  const rh_status status = labels ? read_labels(path, labels, &l.label) : RH_OK;
  if (status == RH_OK)
    *out = l;
  else
    rh_labelled_free(&l);
  return status;
}

rh_status rh_labelled_images_like(const char *path, const rh_read_options *options, const char *labels, const rh_model *model,
                                  rh_labelled *out, const char **why) {
  const rh_image_options given = {.labels = rh_image_labels(labels)};
  rh_table *table;
  *why = NULL;
  if (labels && (rh_file_exists(labels) || strchr(labels, ':'))) *why = "the labels are a file of others";
  if (labels && !*why && rh_images_read(path, &given, &table) != RH_OK) *why = "it has no such labels";
  if (labels && !*why) rh_table_free(table);
  return rh_labelled_images(path, options, *why ? NULL : labels, model, out);
}
