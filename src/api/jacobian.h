/* log|det J| of the map from rows to codes, with J dense: the oracle of `check`. */
#ifndef RH_API_JACOBIAN_H
#define RH_API_JACOBIAN_H
#include "model/score.h"

enum { RH_JACOBIAN_COLUMNS = 512, RH_JACOBIAN_PIXELS = 1024 }; /* wider models, and those of images, are not looked at */

/* Where it makes sense: no noise, as many numbers in a code as in a row, not too wide. Of images that of what lies behind the noise
 * (density/front.h). */
bool rh_jacobian_possible(const rh_model *model);

/* x: [rows, columns + context] (of images: behind the noise) -> log_det: [rows], in double whatever the model's precision; NaN where J is
 * singular. */
rh_status rh_jacobian_log_det(const rh_model *model, rh_pool *pool, const char *isa, int64_t rows, const double *x,
                              double *log_det) RH_WARN_UNUSED;
#endif
