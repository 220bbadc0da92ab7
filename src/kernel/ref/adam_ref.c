/* Adam, AdamW and the average of the weights: the oracle. */
#include <math.h>

#include "kernel/level.h"

#if RH_BITS == 32
#define FMA  fmaf
#define SQRT sqrtf
#else
#define FMA  fma
#define SQRT sqrt
#endif

void RH_SYM(adam)(int64_t n, const void *g_, void *w_, void *m_, void *v_, void *ema_, const rh_adam_step *s) {
  const real scale = (real)s->grad_scale, b1 = (real)s->b1, d1 = (real)(1 - s->b1), b2 = (real)s->b2, d2 = (real)(1 - s->b2);
  const real c1 = (real)s->c1, c2 = (real)s->c2, eps = (real)s->eps, rate = (real)s->rate, decay = (real)s->decay;
  const real keep = (real)s->keep, take = (real)(1 - s->keep);
  real *w = w_, *m = m_, *v = v_, *ema = ema_;
  for (int64_t i = 0; i < n; i++) {
    const real g = ((const real *)g_)[i] * scale;
    m[i] = FMA(b1, m[i], d1 * g);
    v[i] = FMA(b2, v[i], d2 * (g * g));
    w[i] = FMA(-rate, FMA(decay, w[i], m[i] * c1 / (SQRT(v[i] * c2) + eps)), w[i]);
    if (ema) ema[i] = FMA(keep, ema[i], take * w[i]);
  }
}
