/* Elementwise functions of two operands: the oracle. */
#include <math.h>

#include "kernel/level.h"

#define RH_DEFINE(id, expression)                                                                                                      \
  void RH_SYM(binary_##id)(int64_t rows, int64_t cols, const void *a_, int64_t ar, int64_t ac, const void *b_, int64_t br, int64_t bc, \
                           void *y_, double p_) {                                                                                      \
    const real p = (real)p_;                                                                                                           \
    (void)p;                                                                                                                           \
    for (int64_t r = 0; r < rows; r++)                                                                                                 \
      for (int64_t c = 0; c < cols; c++) {                                                                                             \
        const real a = ((const real *)a_)[r * ar + c * ac], b = ((const real *)b_)[r * br + c * bc];                                   \
        ((real *)y_)[r * cols + c] = (real)(expression);                                                                               \
      }                                                                                                                                \
  }

RH_DEFINE(add, a + b)
RH_DEFINE(sub, a - b)
RH_DEFINE(mul, a *b)
RH_DEFINE(div, a / b)
RH_DEFINE(max, b != b ? b : a < b ? b : a)
RH_DEFINE(min, b != b ? b : a > b ? b : a)
RH_DEFINE(greater, a > b ? 1 : 0)
RH_DEFINE(gate, b > 0 ? a : 0)
RH_DEFINE(mulexp, (double)a *exp((double)b))
RH_DEFINE(tanhg, (double)a *fma(-(double)b, (double)b, 1.0))
RH_DEFINE(sigmoidg, (double)a *((double)b *(1.0 - (double)b)))
RH_DEFINE(boundg, (double)a *fma(-(double)b / p, (double)b / p, 1.0))
