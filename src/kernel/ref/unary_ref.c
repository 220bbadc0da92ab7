/* Elementwise functions of one operand: the oracle. In double by libm, rounded once to the table's precision. */
#include <math.h>

#include "kernel/level.h"

static const double SQRT_HALF = 0x1.6a09e667f3bcdp-1, SQRT_HALF_LOW = -0x1.bdd3413b26456p-55, TWO_OVER_SQRT_PI = 0x1.20dd750429b6dp+0;

static double sigmoid(double x) {
  const double e = exp(-fabs(x));
  return x >= 0 ? 1 / (1 + e) : e / (1 + e);
}

static double softplus(double x) {
  return (x > 0 ? x : 0) + log1p(exp(-fabs(x))) + (x != x ? x : 0);
}

static double silu(double x) {
  return x == -INFINITY ? -0.0 : x * sigmoid(x);
}

/* erfc(-x / sqrt 2) with the argument's rounding error put right to first order: its tail is steep. */
static double gelu(double x) {
  if (x == -INFINITY) return -0.0;
  const double high = -x * SQRT_HALF, low = fma(-x, SQRT_HALF, -high) - x * SQRT_HALF_LOW;
  const double tail = fabs(high) < 40 ? TWO_OVER_SQRT_PI * exp(-high * high) * low : 0;
  return 0.5 * x * (erfc(high) - tail);
}

static double ratio(const double *p, const double *q, double r) {
  double a = p[7], b = q[7];
  for (int i = 6; i >= 0; i--) a = fma(a, r, p[i]), b = fma(b, r, q[i]);
  return a / b;
}

/* Wichura 1988, Applied Statistics 37, algorithm AS 241, PPND16. */
static double normicdf(double p) {
  static const double a[] = {3.3871328727963666080e0,  1.3314166789178437745e+2, 1.9715909503065514427e+3, 1.3731693765509461125e+4,
                             4.5921953931549871457e+4, 6.7265770927008700853e+4, 3.3430575583588128105e+4, 2.5090809287301226727e+3},
                      b[] = {1.0,
                             4.2313330701600911252e+1,
                             6.8718700749205790830e+2,
                             5.3941960214247511077e+3,
                             2.1213794301586595867e+4,
                             3.9307895800092710610e+4,
                             2.8729085735721942674e+4,
                             5.2264952788528545610e+3},
                      c[] = {1.42343711074968357734e0, 4.63033784615654529590e0,  5.76949722146069140550e0,  3.64784832476320460504e0,
                             1.27045825245236838258e0, 2.41780725177450611770e-1, 2.27238449892691845833e-2, 7.74545014278341407640e-4},
                      d[] = {1.0,
                             2.05319162663775882187e0,
                             1.67638483018380384940e0,
                             6.89767334985100004550e-1,
                             1.48103976427480074590e-1,
                             1.51986665636164571966e-2,
                             5.47593808499534494600e-4,
                             1.05075007164441684324e-9},
                      e[] = {6.65790464350110377720e0,  5.46378491116411436990e0,  1.78482653991729133580e0,  2.96560571828504891230e-1,
                             2.65321895265761230930e-2, 1.24266094738807843860e-3, 2.71155556874348757815e-5, 2.01033439929228813265e-7},
                      f[] = {1.0,
                             5.99832206555887937690e-1,
                             1.36929880922735805310e-1,
                             1.48753612908506148525e-2,
                             7.86869131145613259100e-4,
                             1.84631831751005468180e-5,
                             1.42151175831644588870e-7,
                             2.04426310338993978564e-15};
  if (!(p > 0 && p < 1)) return p == 0 ? -INFINITY : p == 1 ? INFINITY : NAN;
  const double q = p - 0.5;
  if (fabs(q) <= 0.425) return q * ratio(a, b, 0.180625 - q * q);
  const double r = sqrt(-log(q < 0 ? p : 1 - p)), z = r <= 5 ? ratio(c, d, r - 1.6) : ratio(e, f, r - 5);
  return q < 0 ? -z : z;
}

/* log Gamma(x + 1/2) - log Gamma(x), n times differentiated: as kernel/simd has it, in double. */
static double halfgamma(double x, int n) {
  enum { STEPS = 12 };
  static const double c[] = {0.015625,
                             -0.00244140625,
                             0.001241048177083333333333333,
                             -0.00132083892822265625,
                             0.0024090290069580078125,
                             -0.006712389489014943440755208,
                             0.02652419744325635537991769,
                             -0.1410918204419431276619434,
                             0.9721001436511061102565792};
  if (!(x >= 0)) return NAN;
  const double w = (x < STEPS ? x + STEPS : x) - 0.25;
  double above = 1, below = 1, sum = 0, factorial = 1, tail = 0;
  for (int i = 1; i < n; i++) factorial *= i;
  for (int k = STEPS - 1; k >= 0 && x < STEPS; k--) {
    above *= x + k + 0.5;
    if (k) below *= x + k;
    for (int i = 0; i < n; i++) sum += 0.5 * pow(x + k, i - n) * pow(x + k + 0.5, -1 - i);
  }
  for (int j = 8; j >= 0; j--) {
    double f = c[j];
    for (int i = 0; i < n; i++) f *= 2 * j + 2 + i;
    tail = (tail + f) / w / w;
  }
  if (!n) return (x < STEPS ? log(x) - log(above / below) : 0) + 0.5 * log(w) + tail;
  const double size = factorial * (sum + 0.5 * pow(w, -n)) - tail * pow(w, -n);
  return n % 2 ? size : -size;
}

#define RH_DEFINE(id, expression)                                             \
  void RH_SYM(unary_##id)(int64_t n, const void *from, void *to, double p_) { \
    const double p = (double)(real)p_;                                        \
    const real *x_ = from;                                                    \
    real *y_ = to;                                                            \
    (void)p;                                                                  \
    for (int64_t i = 0; i < n; i++) {                                         \
      const double x = (double)x_[i];                                         \
      y_[i] = (real)(expression);                                             \
    }                                                                         \
  }

RH_DEFINE(copy, x)
RH_DEFINE(neg, -x)
RH_DEFINE(abs, fabs(x))
RH_DEFINE(sign, x > 0 ? 1 : x < 0 ? -1 : x)
RH_DEFINE(step, x > 0 ? 1 : 0)
RH_DEFINE(floor, floor(x))
RH_DEFINE(square, x *x)
RH_DEFINE(sqrt, sqrt(x))
RH_DEFINE(recip, 1 / x)
RH_DEFINE(exp, exp(x))
RH_DEFINE(log, log(x))
RH_DEFINE(log1p, log1p(x))
RH_DEFINE(expm1, expm1(x))
RH_DEFINE(tanh, tanh(x))
RH_DEFINE(sigmoid, sigmoid(x))
RH_DEFINE(softplus, softplus(x))
RH_DEFINE(relu, x <= 0 ? 0 : x)
RH_DEFINE(silu, silu(x))
RH_DEFINE(erf, erf(x))
RH_DEFINE(gelu, gelu(x))
RH_DEFINE(elu, x > 0 ? x : expm1(x))
RH_DEFINE(sin, sin(x))
RH_DEFINE(cos, cos(x))
RH_DEFINE(normicdf, normicdf(x))
RH_DEFINE(bound, p *tanh(x / p))
RH_DEFINE(halfgamma, halfgamma(x, (int)p))
RH_DEFINE(addc, x + p)
RH_DEFINE(mulc, x *p)
RH_DEFINE(maxc, x < p ? p : x)
RH_DEFINE(minc, x > p ? p : x)
