/* The standard normal distribution in plain C. */
#ifndef RH_TESTS_NORMAL_H
#define RH_TESTS_NORMAL_H
#include <math.h>

static inline double normal_cdf(double x) {
  return erfc(-x * 0.70710678118654752440) / 2;
}

/* By bisection, on the side where the tail keeps its digits. */
static inline double normal_quantile(double p) {
  if (p > 0.5) return -normal_quantile(1 - p);
  double low = -40, high = 0;
  for (int i = 0; i < 200; i++) {
    const double middle = (low + high) / 2;
    if (normal_cdf(middle) < p) {
      low = middle;
    } else {
      high = middle;
    }
  }
  return (low + high) / 2;
}
#endif
