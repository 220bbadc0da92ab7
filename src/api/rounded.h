/* What a model's surjections alone make of a row: values on their levels, dropped columns rebuilt. The oracle of `check`, to tell what a
 * model cannot give back from what it should. */
#ifndef RH_API_ROUNDED_H
#define RH_API_ROUNDED_H
#include "model/score.h"

/* x: [rows, columns + context] -> rounded: [rows, columns]; in double whatever the model's precision. A bijection's rows come back,
 * and rows outside of the support are left alone. */
rh_status rh_rounded_rows(const rh_model *model, rh_pool *pool, const char *isa, int64_t rows, const double *x,
                          double *rounded) RH_WARN_UNUSED;
#endif
