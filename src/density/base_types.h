/* The base distributions there are: each is its file's one symbol. Private to this floor. */
#ifndef RH_DENSITY_BASE_TYPES_H
#define RH_DENSITY_BASE_TYPES_H
#include "density/flow.h"

extern const rh_base_type rh_base_normal, rh_base_full_normal, rh_base_student_t, rh_base_uniform, rh_base_mixture;

/* log p of a standard normal vector u: -(d log 2 pi + sum u^2) / 2, finite as far as the result is (the half goes in before the square). */
rh_val rh_standard_log_prob(rh_graph *g, rh_val u);
double rh_squares(int64_t n, const double *u); /* |u|^2 */
#endif
