/* A model's log-determinants against dense Jacobians: of whole rows where they are small enough, else, of images, of crops. */
#ifndef RH_API_DET_CHECK_H
#define RH_API_DET_CHECK_H
#include "api/handle.h"

typedef enum rh_det_method { RH_DET_NONE, RH_DET_DENSE, RH_DET_CROPS } rh_det_method;
typedef struct rh_det_check {
  rh_det_method method;
  int64_t rows, columns; /* that were compared; numbers of each */
  double error;          /* max |ladj - dense|; NaN where nothing was */
  int64_t h, w, spread;  /* of the crops (api/crop.h) */
  double operations;     /* that a whole row takes, where that was counted: too many, or they were counted to see */
  char why[256];         /* why nothing was compared; "": nothing was asked for, or the model is of another kind */
} rh_det_check;

/* x: [rows, columns + context], of images behind the noise; ladj: [rows], as the model's scorer gives it; `most` rows are looked at. */
rh_status rh_det_check_run(rh_density *d, int64_t rows, const double *x, const double *ladj, int64_t most,
                           rh_det_check *check) RH_WARN_UNUSED;
/* "log_det_method", "jacobians", "log_det_error"; where they are told also "crop", "crop_leaves_spread", "jacobian_operations",
 * "log_det_why". */
void rh_det_check_put(const rh_det_check *check, const rh_model *model, json_t *report);
/* The greater error; one that is no number is the worst there is. */
double rh_worst(double so_far, double error);
#endif
