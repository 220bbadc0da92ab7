/* How much a flow stretches the rows, where, and whether their codes have modes side by side. */
#ifndef RH_API_STRETCH_H
#define RH_API_STRETCH_H
#include <stdint.h>

#include "base/status.h"

enum { RH_STRETCH_CODES = 256 }; /* wider codes are not searched for modes */

typedef struct rh_stretch {
  int64_t rows, d;
  double median, sd; /* of log|det dz/dx| over the rows; NaN where there are none */
  double low;        /* median - the 1 % quantile: how far the rows that are thinned out most lie below */
  double where;      /* mean |u|^2 / d of the twentieth of the rows with the least: 1 on the whole, above: far out */
  /* The least excess kurtosis of the scores along any direction: near 0 for normal ones, -1.2 if uniform, -2 (s^2 / 4)^2 / (1 + s^2 / 4)^2
   * for two equal modes s of their standard deviations apart. The greatest of a column. NaN of few rows, or where codes are too wide. */
  double kurtosis, greatest;
  int64_t heaviest; /* the code that has the greatest, from 0 */
} rh_stretch;

/* ladj: [rows]; u: [rows, d], the codes' normal scores under the base (rh_base_scores); norm: [rows], |u|^2 as it gives it. Rows whose ladj
 * or norm is not finite are left out. */
rh_status rh_stretch_find(int64_t rows, int64_t d, const double *ladj, const double *u, const double *norm, rh_stretch *out) RH_WARN_UNUSED;
/* What stands out and what to do about it, one sentence; NULL: nothing. Static. */
const char *rh_stretch_advice(const rh_stretch *s);
#endif
