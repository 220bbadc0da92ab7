/* A model of images, of smaller ones: the same parts with the same values on a window of the image. Networks of images do not know how
 * large an image is, so what holds of the log-determinant of a crop's flow holds of the parts of the whole one, and a crop's Jacobian is
 * small. */
#ifndef RH_API_CROP_H
#define RH_API_CROP_H
#include "model/model.h"

typedef struct rh_crop {
  rh_model *model; /* of the crop; its base is a standard normal */
  int64_t h, w;
  int64_t spread; /* leaves that have a number for every pixel: the crop's are some of theirs, evenly spread */
} rh_crop;

/* The largest crop of at most `most` values, or the least that goes through all squeezes; it is smaller than the image. Fails with
 * RH_E_UNSUPPORTED and the reason where there is none. */
rh_status rh_crop_make(const rh_model *model, int64_t most, rh_crop *crop) RH_WARN_UNUSED;
void rh_crop_free(rh_crop *crop);
/* The middle of an image behind the noise, y [columns + context] -> out [the crop's columns + context]. */
void rh_crop_row(const rh_crop *crop, const rh_model *model, const double *y, double *out);
#endif
