/* Adam, AdamW and the average of the weights. */
#include "kernel/simd/constants.h"
#include "kernel/simd/loops.h"

void RH_SYM(adam)(int64_t n, const void *g_, void *w_, void *m_, void *v_, void *ema_, const rh_adam_step *s) {
  const real scale = (real)s->grad_scale, b1 = (real)s->b1, d1 = (real)(1 - s->b1), b2 = (real)s->b2, d2 = (real)(1 - s->b2);
  const real c1 = (real)s->c1, c2 = (real)s->c2, eps = (real)s->eps, rate = (real)s->rate, decay = (real)s->decay;
  const real keep = (real)s->keep, take = (real)(1 - s->keep);
  const real *g = g_;
  real *w = w_, *m = m_, *v = v_, *ema = ema_;
  RH_INDEPENDENT
  for (int64_t i = 0; i < n; i++) {
    const real grad = g[i] * scale, first = FMA(b1, m[i], d1 * grad), second = FMA(b2, v[i], d2 * (grad * grad));
    m[i] = first;
    v[i] = second;
    w[i] = FMA(-rate, FMA(decay, w[i], first * c1 / (SQRT(second * c2) + eps)), w[i]);
  }
  if (!ema) return;
  RH_INDEPENDENT
  for (int64_t i = 0; i < n; i++) ema[i] = FMA(keep, ema[i], take * w[i]);
}
