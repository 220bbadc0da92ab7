/* Fits to images: what is asked for, and the preprocessing that it means:
 *   [quantize] dequantize or variational_dequantize, logit or scale
 * behind which the flow sees numbers on the line or around 0. */
#ifndef RH_API_IMAGE_FIT_H
#define RH_API_IMAGE_FIT_H
#include "base/options.h"
#include "data/table.h"
#include "model/model.h"

typedef enum rh_image_squash { RH_IMAGE_LOGIT, RH_IMAGE_SCALE } rh_image_squash;
typedef struct rh_image_fit {
  int64_t bits; /* of the model's numbers; 0: the data's */
  rh_image_squash squash;
  double alpha;       /* of the logit */
  bool variational;   /* dequantization by a learned density */
  bool flip;          /* left and right, at random */
  const char *labels; /* what conditions the density; NULL: nothing */
  const char *first;  /* an option given that is for images only; static, NULL: none */
  const char *table;  /* one that is for tables only */
} rh_image_fit;

/* The options bits, preprocess, alpha, dequantize, flip, labels; failures stick in o. */
void rh_image_fit_read(rh_options *o, rh_image_fit *fit);
/* Fails where options were given that are for the other kind of data. name stands in errors. */
rh_status rh_image_fit_check(const rh_image_fit *fit, const char *name, bool images) RH_WARN_UNUSED;
/* What the model is to be of, by the training images. */
rh_status rh_image_fit_model(const rh_image_fit *fit, const char *name, const rh_table *train, rh_model_image *image) RH_WARN_UNUSED;
/* The plan of handling: {"handle": "images", "columns", "rows", "parts": [the preprocessing], "report": [...], "warnings": []}; *plan a new
 * reference. */
rh_status rh_image_fit_plan(const rh_image_fit *fit, const rh_model_image *image, const rh_table *train, int64_t rows,
                            json_t **plan) RH_WARN_UNUSED;
#endif
