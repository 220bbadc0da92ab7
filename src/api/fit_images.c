/* A fit to images: their tables, and their labels. */
#include <stdio.h>
#include <string.h>

#include "api/fit_job.h"
#include "api/image_rows.h"
#include "base/file.h"
#include "base/memory.h"
#include "data/conditions.h"
#include "data/images.h"

/* Labels of part i: the i-th between commas, else the one for all; *copy is to be freed. */
static rh_status labels_of(const char *labels, int i, char **copy) {
  *copy = NULL;
  if (!labels) return RH_OK;
  char *all = rh_strdup(labels), *at = all;
  if (!all) return RH_E_MEMORY;
  const bool list = strchr(labels, ',') && !rh_file_exists(labels);
  for (int k = 0; list && k < i && at; k++) {
    at = strchr(at, ',');
    if (at) at++;
  }
  if (list && at) at[strcspn(at, ",")] = '\0';
  rh_status status = RH_OK;
  if (!at)
    status = rh_fail(
        RH_E_ARGUMENT,
        "labels: '%s' names no labels of the %s images; give TRAIN,VAL,TEST, with nothing between the commas where there is no file",
        labels, i == RH_PART_VAL ? "validation" : "test");
  else if (!(*copy = rh_strdup(at)))
    status = RH_E_MEMORY;
  rh_free(all);
  return status;
}

rh_status rh_fit_like_images(const fit_job *j, const char *name, const rh_table *table) {
  char whose[128];
  snprintf(whose, sizeof whose, "those of %.100s are of", j->name[RH_PART_TRAIN]);
  RH_TRY(rh_image_shaped(name, table, j->image.h, j->image.w, j->image.c, whose));
  return rh_image_beyond(name, table, j->image.data_bits, "the training images; --bits declares more");
}

rh_status rh_fit_take_images(fit_job *j, int i) {
  if (i == RH_PART_TRAIN) return rh_image_fit_model(&j->o.image, j->name[i], j->table[i], &j->image);
  RH_TRY(rh_fit_like_images(j, j->name[i], j->table[i]));
  if (!j->o.image.labels) return RH_OK;
  const rh_table *train = j->table[RH_PART_TRAIN];
  const rh_column_facts facts = rh_table_facts(train, rh_table_columns(train) - 1);
  return rh_match_labels(j->name[i], facts.texts, facts.n_texts, "the training images'", &j->table[i]);
}

static rh_status read_part(fit_job *j, int i) {
  char *labels;
  RH_TRY(labels_of(j->o.image.labels, i, &labels));
  const rh_image_options options = {.labels = rh_image_labels(labels)};
  const rh_status status = rh_images_read(j->name[i], &options, &j->table[i]);
  rh_free(labels);
  return status == RH_OK ? rh_fit_take_images(j, i) : status;
}

rh_status rh_fit_read_images(fit_job *j) {
  for (int i = 0; i < RH_PARTS; i++)
    if (j->name[i]) RH_TRY(read_part(j, i));
  return RH_OK;
}

rh_status rh_fit_analyse_images(fit_job *j) {
  const rh_part *part = &j->part[RH_PART_TRAIN];
  RH_TRY(rh_image_fit_plan(&j->o.image, &j->image, part->table, j->rows[RH_PART_TRAIN].rows, &j->plan));
  if (!j->context) return RH_OK;
  const rh_conditions_options options = {j->o.compute.real_bytes, j->o.embedding};
  const rh_status status = rh_conditions(part->table, part->row, part->n, j->data, j->order + j->data, &options, &j->encoder,
                                         json_object_get(j->plan, "report"));
  return status == RH_OK ? RH_OK : rh_fail_prefix(status, "%s: ", j->name[RH_PART_TRAIN]);
}
