/* Data-dependent starts: moments of the rows that a part sees. Private to this floor. */
#ifndef RH_BIJECTION_START_H
#define RH_BIJECTION_START_H
#include "graph/leaf.h"

/* x: [rows, d] -> mean [d], sd [d] (1 where a column does not vary or is not finite). */
void rh_column_moments(int64_t rows, int64_t d, const double *x, double *mean, double *sd);
#endif
