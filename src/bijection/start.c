#include "bijection/start.h"

#include <float.h>
#include <math.h>

void rh_column_moments(int64_t rows, int64_t d, const double *x, double *mean, double *sd) {
  const double n = (double)rows;
  for (int64_t j = 0; j < d; j++) mean[j] = sd[j] = 0;
  for (int64_t r = 0; r < rows; r++)
    for (int64_t j = 0; j < d; j++) mean[j] += x[r * d + j] / n;
  for (int64_t r = 0; r < rows; r++)
    for (int64_t j = 0; j < d; j++) sd[j] += (x[r * d + j] - mean[j]) * (x[r * d + j] - mean[j]) / n;
  for (int64_t j = 0; j < d; j++) {
    sd[j] = sqrt(sd[j]);
    if (!(sd[j] > 64 * FLT_EPSILON * fabs(mean[j]) && sd[j] > FLT_MIN && sd[j] < FLT_MAX)) sd[j] = 1;
    if (!(fabs(mean[j]) < FLT_MAX)) mean[j] = 0;
  }
}
