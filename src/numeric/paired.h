/* Two models on the same rows: most of what makes a row's log-density high or low they share, so their difference is known far better than
 * either mean. */
#ifndef RH_NUMERIC_PAIRED_H
#define RH_NUMERIC_PAIRED_H
#include <stdint.h>

typedef struct rh_paired {
  int64_t rows;         /* where both are finite */
  double mean, stderr_; /* of a - b over them: standard deviation / sqrt(rows); NaN where there are too few */
} rh_paired;

/* a, b: [n] */
rh_paired rh_paired_difference(int64_t n, const double *a, const double *b);
#endif
