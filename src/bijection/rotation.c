#include "bijection/rotation.h"

#include <math.h>

#include "base/memory.h"
#include "base/rng.h"

/* Normal numbers [n] (Box & Muller 1958). */
static void normals(uint64_t seed, int64_t n, double *out) {
  const rh_rng rng = rh_rng_at(seed, 1, (uint64_t)n, RH_STREAM_INIT);
  rh_rng_uniform(&rng, 0, n + n % 2, out);
  for (int64_t i = 0; i < n; i += 2) {
    const double radius = sqrt(-2 * log(out[i])), angle = 6.283185307179586 * out[i + 1];
    out[i] = radius * cos(angle), out[i + 1] = radius * sin(angle);
  }
}

/* Rows of normal numbers made orthonormal, each twice (Gram and Schmidt). */
static void orthonormalize(int64_t n, double *q) {
  for (int64_t i = 0; i < n; i++) {
    double *row = q + i * n, square = 0;
    for (int64_t j = 0; j < 2 * i; j++) {
      const double *before = q + j % i * n;
      double dot = 0;
      for (int64_t k = 0; k < n; k++) dot += row[k] * before[k];
      for (int64_t k = 0; k < n; k++) row[k] -= dot * before[k];
    }
    for (int64_t k = 0; k < n; k++) square += row[k] * row[k];
    for (int64_t k = 0; k < n; k++) row[k] /= sqrt(square);
  }
}

static void swap_rows(int64_t n, double *a, int32_t *from, int64_t i, int64_t j) {
  const int32_t row = from[i];
  from[i] = from[j], from[j] = row;
  for (int64_t k = 0; k < n; k++) {
    const double x = a[i * n + k];
    a[i * n + k] = a[j * n + k], a[j * n + k] = x;
  }
}

/* a -> L below and U on and above the diagonal, of the rows from[0], from[1], ... */
static void eliminate(int64_t n, double *a, int32_t *from) {
  for (int64_t k = 0; k < n; k++) {
    int64_t pivot = k;
    for (int64_t i = k + 1; i < n; i++)
      if (fabs(a[i * n + k]) > fabs(a[pivot * n + k])) pivot = i;
    swap_rows(n, a, from, k, pivot);
    for (int64_t i = k + 1; i < n; i++) {
      const double by = a[i * n + k] /= a[k * n + k];
      for (int64_t j = k + 1; j < n; j++) a[i * n + j] -= by * a[k * n + j];
    }
  }
}

void rh_random_rotation(int64_t n, uint64_t seed, double *q) {
  normals(seed, n * n, q);
  orthonormalize(n, q);
}

rh_status rh_factored_rotation(int64_t n, uint64_t seed, int32_t *order, double *lower, double *upper, double *diagonal) {
  double *a = rh_alloc((size_t)(n * n + 1) * sizeof *a);
  int32_t *from = rh_alloc((size_t)n * sizeof *from);
  if (a && from) {
    rh_random_rotation(n, seed, a);
    for (int64_t i = 0; i < n; i++) from[i] = (int32_t)i;
    eliminate(n, a, from);
    for (int64_t i = 0, l = 0, u = 0; i < n; i++) {
      order[from[i]] = (int32_t)i;
      for (int64_t j = 0; j < n; j++) {
        if (j < i) lower[l++] = a[i * n + j];
        if (j > i) upper[u++] = a[i * n + j];
      }
      diagonal[i] = a[i * n + i];
    }
  }
  const rh_status status = a && from ? RH_OK : RH_E_MEMORY;
  rh_free(a);
  rh_free(from);
  return status;
}
