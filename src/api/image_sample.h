/* Samples of a model of images. */
#ifndef RH_API_IMAGE_SAMPLE_H
#define RH_API_IMAGE_SAMPLE_H
#include "api/handle.h"

enum { RH_LADDER = 64 };
typedef struct rh_image_sample {
  int64_t count;
  uint64_t seed;
  const char *klass; /* a class, or "all": count images of each; NULL: the model has none */
  double temperature[RH_LADDER];
  int temperatures; /* count images at each */
} rh_image_sample;

/* "temperatures": a list, else the one temperature. */
rh_status rh_image_temperatures(const json_t *list, double one, rh_image_sample *sample) RH_WARN_UNUSED;
/* A row of the picture a temperature and class, where there are several. Image i of each depends on the seed, i, the temperature and the
 * class: the same noise stands in the same column. The density's lock is held. *images: how many were written. */
rh_status rh_sample_images(rh_density *d, const rh_image_sample *sample, const char *output, int64_t *images) RH_WARN_UNUSED;
#endif
