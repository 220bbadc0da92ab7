/* Elementwise functions of one operand. */
#include "kernel/simd/elementary.h"
#include "kernel/simd/loops.h"

#define RH_DEFINE(id, expression)                                             \
  RH_INLINE real apply_##id(real x, real p) {                                 \
    (void)p;                                                                  \
    return (expression);                                                      \
  }                                                                           \
  void RH_SYM(unary_##id)(int64_t n, const void *from, void *to, double p_) { \
    const real *x = from, p = (real)p_;                                       \
    real *y = to, group[RH_GROUP] = {0};                                      \
    const int64_t whole = n - n % RH_GROUP;                                   \
    RH_INDEPENDENT                                                            \
    for (int64_t i = 0; i < whole; i++) y[i] = apply_##id(x[i], p);           \
    if (whole == n) return;                                                   \
    memcpy(group, x + whole, (size_t)(n - whole) * sizeof(real));             \
    RH_INDEPENDENT                                                            \
    for (int i = 0; i < RH_GROUP; i++) group[i] = apply_##id(group[i], p);    \
    memcpy(y + whole, group, (size_t)(n - whole) * sizeof(real));             \
  }

RH_DEFINE(copy, x)
RH_DEFINE(neg, -x)
RH_DEFINE(abs, magnitude(x))
RH_DEFINE(sign, x > 0 ? (real)1 : x < 0 ? (real)-1 : x)
RH_DEFINE(step, x > 0 ? (real)1 : (real)0)
RH_DEFINE(floor, f_floor(x))
RH_DEFINE(square, x *x)
RH_DEFINE(sqrt, SQRT(x))
RH_DEFINE(recip, 1 / x)
RH_DEFINE(exp, f_exp(x))
RH_DEFINE(log, f_log(x))
RH_DEFINE(log1p, f_log1p(x))
RH_DEFINE(expm1, f_expm1(x))
RH_DEFINE(tanh, f_tanh(x))
RH_DEFINE(sigmoid, f_sigmoid(x))
RH_DEFINE(softplus, f_softplus(x))
RH_DEFINE(relu, x <= 0 ? (real)0 : x)
RH_DEFINE(silu, f_silu(x))
RH_DEFINE(erf, f_erf(x))
RH_DEFINE(gelu, f_gelu(x))
RH_DEFINE(elu, f_elu(x))
RH_DEFINE(sin, f_sin(x))
RH_DEFINE(cos, f_cos(x))
RH_DEFINE(normicdf, f_normicdf(x))
RH_DEFINE(bound, p *f_tanh(x / p))
RH_DEFINE(addc, x + p)
RH_DEFINE(mulc, x *p)
RH_DEFINE(maxc, x < p ? p : x)
RH_DEFINE(minc, x > p ? p : x)

/* Its loop over p is not the compiler's to vectorise; only parameters come here. */
void RH_SYM(unary_halfgamma)(int64_t n, const void *from, void *to, double p) {
  const real *x = from;
  real *y = to;
  for (int64_t i = 0; i < n; i++) y[i] = f_halfgamma(x[i], (real)p);
}
