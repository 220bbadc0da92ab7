/* Rows of a model of images: images that fit it, single ones, and its classes. */
#ifndef RH_API_IMAGE_ROWS_H
#define RH_API_IMAGE_ROWS_H
#include "api/tables.h"

/* "8 x 8 x 1" */
enum { RH_IMAGE_TEXT = 64 };
const char *rh_image_text(int64_t h, int64_t w, int64_t c, char text[RH_IMAGE_TEXT]);

/* Reads images of the model's shape and depth; of a conditional model with their labels: options->labels, "own" where it is NULL. Other
 * options of a table's are refused. */
rh_status rh_read_images(const char *path, const rh_read_options *options, const rh_model *model, rh_table **table) RH_WARN_UNUSED;
/* One image, a file's only one or DATA:NUMBER (from 1) -> row [columns + context]. klass: in place of its label; NULL: its own. */
rh_status rh_read_image(const char *where, const rh_read_options *options, const char *klass, const rh_model *model,
                        double *row) RH_WARN_UNUSED;
/* Labels as the reader of images wants them: "own" and "folders" are words. */
const char *rh_image_labels(const char *labels);

/* Fails where images are not h x w x c; `whose` are: "the model takes". */
rh_status rh_image_shaped(const char *path, const rh_table *table, int64_t h, int64_t w, int64_t c, const char *whose) RH_WARN_UNUSED;
/* Fails where an image has a value beyond so many bits, which are those of `whose`. */
rh_status rh_image_beyond(const char *path, const rh_table *table, int bits, const char *whose) RH_WARN_UNUSED;

/* A table's labels become those of `texts` (array[n]; NULL: numbers), by name where either has names; `whose` says in errors whose texts
 * they are. */
rh_status rh_match_labels(const char *path, const char *const *texts, int64_t n, const char *whose, rh_table **table) RH_WARN_UNUSED;

/* A class by its name or number. */
rh_status rh_class_value(const rh_model *model, const char *text, double *value) RH_WARN_UNUSED;
int64_t rh_class_count(const rh_model *model); /* 0: not conditional */
double rh_class_at(const rh_model *model, int64_t i);
/* "the model is conditional on a class: give one of 0, 1, ... (--class)"; always fails. */
rh_status rh_fail_no_class(const rh_model *model);
#endif
