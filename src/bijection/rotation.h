/* A random rotation (or reflection) to start from, as it is or as P L U. Private to this floor. */
#ifndef RH_BIJECTION_ROTATION_H
#define RH_BIJECTION_ROTATION_H
#include <stdint.h>

#include "base/status.h"

/* An orthogonal matrix q [n, n], with room for n n + 1 numbers: a pure function of n and the seed. */
void rh_random_rotation(int64_t n, uint64_t seed, double *q);
/* The same Q with Q[i] = (L U)[order[i]] by rows. lower, upper: [n (n - 1) / 2] packed
 * row by row (triangle.h), L of unit diagonal; diagonal: [n], U's. Pivots are the greatest of their columns, so |L| <= 1. */
rh_status rh_factored_rotation(int64_t n, uint64_t seed, int32_t *order, double *lower, double *upper, double *diagonal) RH_WARN_UNUSED;
#endif
