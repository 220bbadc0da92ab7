/* Reductions: the oracle. */
#include "kernel/level.h"

/* Sixteen interleaved partial sums from 0, then halved: 8, 4, 2, 1. */
void RH_SYM(row_sum)(int64_t rows, int64_t cols, const void *x, void *y) {
  for (int64_t r = 0; r < rows; r++) {
    const real *at = (const real *)x + r * cols;
    real lane[RH_TREE] = {0};
    for (int64_t c = 0; c < cols; c++) lane[c % RH_TREE] += at[c];
    for (int half = RH_TREE / 2; half; half /= 2)
      for (int l = 0; l < half; l++) lane[l] += lane[l + half];
    ((real *)y)[r] = lane[0];
  }
}

void RH_SYM(row_max)(int64_t rows, int64_t cols, const void *x, void *y) {
  for (int64_t r = 0; r < rows; r++) {
    const real *at = (const real *)x + r * cols;
    real most = -(real)__builtin_inf();
    for (int64_t c = 0; c < cols; c++)
      if (!(at[c] <= most) && most == most) most = at[c];
    ((real *)y)[r] = most + 0; /* no -0 */
  }
}

void RH_SYM(col_sum)(int64_t rows, int64_t cols, const void *x, int64_t ldx, void *y, int accumulate) {
  for (int64_t c = 0; c < cols; c++) {
    real sum = accumulate ? ((real *)y)[c] : 0;
    for (int64_t r = 0; r < rows; r++) sum += ((const real *)x)[r * ldx + c];
    ((real *)y)[c] = sum;
  }
}

double RH_SYM(sum_squares)(int64_t n, const void *x) {
  double lane[RH_TREE] = {0};
  for (int64_t i = 0; i < n; i++) lane[i % RH_TREE] += (double)((const real *)x)[i] * (double)((const real *)x)[i];
  for (int half = RH_TREE / 2; half; half /= 2)
    for (int l = 0; l < half; l++) lane[l] += lane[l + half];
  return lane[0];
}
