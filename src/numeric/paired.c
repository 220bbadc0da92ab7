#include "numeric/paired.h"

#include <math.h>

rh_paired rh_paired_difference(int64_t n, const double *a, const double *b) {
  rh_paired p = {0, 0, NAN};
  double m2 = 0; /* Welford 1962 */
  for (int64_t i = 0; i < n; i++) {
    if (!isfinite(a[i]) || !isfinite(b[i])) continue;
    const double x = a[i] - b[i], d = x - p.mean;
    p.mean += d / (double)++p.rows;
    m2 += d * (x - p.mean);
  }
  if (p.rows == 0) p.mean = NAN;
  if (p.rows > 1) p.stderr_ = sqrt(m2 / (double)(p.rows - 1) / (double)p.rows);
  return p;
}
