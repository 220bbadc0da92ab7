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

void RH_SYM(conv)(const rh_conv_shape *s, int64_t images, const void *x_, const void *packed_, const void *bias, void *y_,
                  rh_epilogue epilogue, const void *gate) {
  const int64_t terms = s->kh * s->kw * s->c, pixels = s->oh * s->ow;
  for (int64_t at = 0; at < images * pixels; at++)
    for (int64_t v = 0; v < s->o; v++) {
      const int64_t image = at / pixels, p = at % pixels / s->ow, q = at % s->ow;
      const real *x = (const real *)x_ + ((image * s->h + p * s->stride) * s->w + q * s->stride) * s->c;
      const real *b = (const real *)packed_ + v / RH_PANEL * RH_PANEL * terms + v % RH_PANEL;
      real *y = (real *)y_ + at * s->o + v, sum = bias ? ((const real *)bias)[v] : 0;
      for (int64_t i = 0; i < s->kh; i++)
        for (int64_t l = 0; l < s->kw * s->c; l++, b += RH_PANEL) sum = FMA(x[i * s->w * s->c + l], *b, sum);
      if (epilogue == RH_EPI_RELU && sum <= 0) sum = 0;
      if (epilogue == RH_EPI_GATE && !(((const real *)gate)[at * s->o + v] > 0)) sum = 0;
      *y = sum;
    }
}

void RH_SYM(conv_tn)(const rh_conv_shape *s, int64_t images, int64_t first, int64_t n, const void *x_, const void *dy_, void *dw_,
                     int accumulate) {
  const real *dy = dy_;
  const int64_t line = s->kw * s->c;
  for (int64_t v = 0; v < s->o; v++)
    for (int64_t u = first; u < first + n; u++) {
      const real *x = (const real *)x_ + u / line * s->w * s->c + u % line;
      real *dw = (real *)dw_ + v * s->kh * line + u, sum = accumulate ? *dw : 0;
      for (int64_t p = 0; p < images * s->oh; p++)
        for (int64_t q = 0; q < s->ow; q++) {
          const int64_t at = p / s->oh * s->h + p % s->oh * s->stride;
          sum = FMA(x[(at * s->w + q * s->stride) * s->c], dy[(p * s->ow + q) * s->o + v], sum);
        }
      *dw = sum;
    }
}
