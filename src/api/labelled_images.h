/* Images some of which are known: 1 is an anomaly, 0 a normal one. */
#ifndef RH_API_LABELLED_IMAGES_H
#define RH_API_LABELLED_IMAGES_H
#include "api/labels.h"

/* Reads images, of the model's shape and depth where it is not NULL (then options must be those of images, and a conditional model's
 * classes are the data's own). labels: the images' own ("own"), an array of their NPZ archive, or a file of labels (IDX, NPY, NPZ); NULL:
 * none. */
rh_status rh_labelled_images(const char *path, const rh_read_options *options, const char *labels, const rh_model *model,
                             rh_labelled *out) RH_WARN_UNUSED;
/* Reads images that may have such labels, too; `why`, where it is not NULL, says why they have none. */
rh_status rh_labelled_images_like(const char *path, const rh_read_options *options, const char *labels, const rh_model *model,
                                  rh_labelled *out, const char **why) RH_WARN_UNUSED;
#endif
