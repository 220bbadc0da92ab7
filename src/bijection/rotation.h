/* A random rotation (or reflection) as P L U, to start from. Private to this floor. */
#ifndef RH_BIJECTION_ROTATION_H
#define RH_BIJECTION_ROTATION_H
#include <stdint.h>

#include "base/status.h"

/* An orthogonal matrix Q [n, n], a pure function of n and the seed: Q[i] = (L U)[order[i]] by rows. lower, upper: [n (n - 1) / 2] packed
 * row by row (triangle.h), L of unit diagonal; diagonal: [n], U's. Pivots are the greatest of their columns, so |L| <= 1. */
rh_status rh_random_rotation(int64_t n, uint64_t seed, int32_t *order, double *lower, double *upper, double *diagonal) RH_WARN_UNUSED;
#endif
