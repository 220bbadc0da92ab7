/* Matrix products: the oracle. One accumulator an output, terms in ascending order, one fma a term. */
#include <math.h>

#include "kernel/level.h"

#if RH_BITS == 32
#define FMA fmaf
#else
#define FMA fma
#endif

int64_t RH_SYM(pack_count)(int64_t k, int64_t n) {
  return (n + RH_PANEL - 1) / RH_PANEL * RH_PANEL * k;
}

void RH_SYM(pack)(int64_t k, int64_t n, const void *b_, int64_t rs, int64_t cs, void *packed, int64_t first_panel, int64_t last_panel) {
  const real *b = b_;
  for (int64_t panel = first_panel; panel < last_panel; panel++)
    for (int64_t i = 0; i < k; i++)
      for (int64_t l = 0; l < RH_PANEL; l++) {
        const int64_t j = panel * RH_PANEL + l;
        ((real *)packed)[(panel * k + i) * RH_PANEL + l] = j < n ? b[i * rs + j * cs] : 0;
      }
}

void RH_SYM(gemm)(int64_t rows, int64_t k, int64_t n, const void *a_, int64_t lda, const void *packed_, const void *bias, void *c_,
                  int64_t ldc, int accumulate, rh_epilogue epilogue, const void *gate) {
  for (int64_t r = 0; r < rows; r++)
    for (int64_t j = 0; j < n; j++) {
      const real *a = (const real *)a_ + r * lda, *b = (const real *)packed_ + j / RH_PANEL * RH_PANEL * k + j % RH_PANEL;
      real *c = (real *)c_ + r * ldc + j, sum = accumulate ? *c : bias ? ((const real *)bias)[j] : 0;
      for (int64_t i = 0; i < k; i++) sum = FMA(a[i], b[i * RH_PANEL], sum);
      if (epilogue == RH_EPI_RELU && sum <= 0) sum = 0;
      if (epilogue == RH_EPI_GATE && !(((const real *)gate)[r * ldc + j] > 0)) sum = 0;
      *c = sum;
    }
}

void RH_SYM(gemm_tn)(int64_t m, int64_t n, int64_t rows, const void *a_, int64_t lda, const void *b_, int64_t ldb, void *c_, int64_t ldc,
                     int accumulate) {
  const real *a = a_, *b = b_;
  for (int64_t i = 0; i < m; i++)
    for (int64_t j = 0; j < n; j++) {
      real *c = (real *)c_ + i * ldc + j, sum = accumulate ? *c : 0;
      for (int64_t r = 0; r < rows; r++) sum = FMA(a[r * lda + i], b[r * ldb + j], sum);
      *c = sum;
    }
}

void RH_SYM(gemm_tn_ragged)(int64_t m, int64_t rows, const void *a_, int64_t lda, const void *b_, int64_t ldb, void *c_, const int64_t *row,
                            const int64_t *reach, int accumulate) {
  const real *a = a_, *b = b_;
  for (int64_t i = 0; i < m; i++)
    for (int64_t j = 0; j < reach[i]; j++) {
      real *c = (real *)c_ + row[i] + j, sum = accumulate ? *c : 0;
      for (int64_t r = 0; r < rows; r++) sum = FMA(a[r * lda + i], b[r * ldb + j], sum);
      *c = sum;
    }
}
