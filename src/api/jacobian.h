/* log|det J| of the map from rows to codes, with J dense: the oracle of `check`. */
#ifndef RH_API_JACOBIAN_H
#define RH_API_JACOBIAN_H
#include "model/score.h"

/* Columns of a table at most. Values of images: up to the first any number of rows, up to the second what the work allows. */
enum { RH_JACOBIAN_COLUMNS = 512, RH_JACOBIAN_PIXELS = 1024, RH_JACOBIAN_VALUES = 4096 };

/* Where it makes sense: no noise, as many numbers in a code as in a row, no table too wide. Of images that of what lies behind the noise
 * (density/front.h). */
bool rh_jacobian_possible(const rh_model *model);

/* How many of `rows` rows are to be had: all, but of large images as many as `budget` operations give, maybe none. *operations: of a row,
 * where they were counted, else 0. */
rh_status rh_jacobian_rows(const rh_model *model, const char *isa, double budget, int64_t rows, int64_t *most,
                           double *operations) RH_WARN_UNUSED;

/* x: [rows, columns + context] (of images: behind the noise) -> log_det: [rows], in double whatever the model's precision; NaN where J is
 * singular. */
rh_status rh_jacobian_log_det(const rh_model *model, rh_pool *pool, const char *isa, int64_t rows, const double *x,
                              double *log_det) RH_WARN_UNUSED;
#endif
