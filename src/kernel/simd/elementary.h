/* Elementary functions as branch-free scalar code, which the compiler vectorises: no libm, no tables, the same operations in every lane.
 * Range reductions after fdlibm (Sun Microsystems 1993) and Cody & Waite 1980; polynomials are minimax fits. Errors in ulps are held by
 * the tests of this floor. */
#ifndef RH_KERNEL_ELEMENTARY_H
#define RH_KERNEL_ELEMENTARY_H
#include <string.h>

#include "kernel/level.h"
#include "kernel/simd/constants.h"

#define RH_INLINE    static inline __attribute__((always_inline, unused))
#define INFINITE     ((real)__builtin_inf())
#define NOT_A_NUMBER ((real)__builtin_nan(""))

RH_INLINE bits to_bits(real x) {
  bits b;
  memcpy(&b, &x, sizeof b);
  return b;
}
RH_INLINE real from_bits(bits b) {
  real x;
  memcpy(&x, &b, sizeof x);
  return x;
}
RH_INLINE real magnitude(real x) {
  return from_bits(to_bits(x) & ~SIGN_BIT);
}
RH_INLINE real with_sign(real x, real sign) {
  return from_bits((to_bits(x) & ~SIGN_BIT) | (to_bits(sign) & SIGN_BIT));
}
/* The part of x x that rounding to h = x x took away. */
RH_INLINE real square_low(real x, real h) {
#if RH_HAS_FMA
  return FMA(x, x, -h);
#else
  const real high = from_bits(to_bits(x) & HALF_MASK), low = x - high;
  return ((high * high - h) + 2 * high * low) + low * low;
#endif
}

/* Adding and taking away 2^23 (2^52) leaves a whole number nearby; from there on every number is whole. */
RH_INLINE real f_floor(real x) {
  const real whole = RH_BITS == 32 ? (real)0x1p23 : (real)0x1p52, a = magnitude(x), near = (a + whole) - whole;
  const real t = x < 0 ? -near : near, y = t > x ? t - 1 : t;
  return ((a > 0) & (a < whole)) ? y : x;
}

/* x = n ln 2 + r, |r| <= ln 2 / 2. `shifted` holds n in its last bits: adding ROUNDER rounds. */
typedef struct rh_reduced {
  real r, shifted;
} rh_reduced;
RH_INLINE rh_reduced reduce_exp(real x) {
  const real shifted = FMA(x, LOG2_E, ROUNDER), n = shifted - ROUNDER;
  return (rh_reduced){FMA(n, -LN2_LOW, FMA(n, -LN2_HIGH, x)), shifted};
}
/* 2^n from n + ROUNDER, for exponents of normal numbers. */
RH_INLINE real power_of_two(bits shifted) {
  return from_bits((shifted << MANTISSA_BITS) + ONE_BITS);
}

/* 2^n in two factors, so that subnormal results are rounded once and the largest do not overflow early. */
RH_INLINE real f_exp(real x) {
  x = x < EXP_LEAST ? EXP_LEAST : x;
  x = x > EXP_MOST ? EXP_MOST : x;
  const rh_reduced v = reduce_exp(x);
  const real half = FMA(v.shifted - ROUNDER, (real)0.5, ROUNDER);
  const real p = 1 + FMA(v.r * v.r, EXP_POLY(v.r), v.r);
  const bits first = to_bits(half), second = to_bits(v.shifted) - first;
  return p * power_of_two(first) * power_of_two(second);
}

/* e^x for x <= 0, e^EXP_NORMAL where it is less: one factor is enough. */
RH_INLINE real exp_below(real x) {
  const rh_reduced v = reduce_exp(x < EXP_NORMAL ? EXP_NORMAL : x);
  return FMA(FMA(v.r * v.r, EXP_POLY(v.r), v.r), power_of_two(to_bits(v.shifted)), power_of_two(to_bits(v.shifted)));
}

/* e^x for x <= 0, all of them: the second factor is the same for all, so that the first stays normal. */
enum { FALLING_SHIFT = RH_BITS == 32 ? 64 : 512 };
#define FALLING_SCALE (RH_BITS == 32 ? (real)0x1p-64 : (real)0x1p-512)
RH_INLINE real exp_falling(real x) {
  const rh_reduced v = reduce_exp(x < EXP_LEAST ? EXP_LEAST : x);
  const real p = 1 + FMA(v.r * v.r, EXP_POLY(v.r), v.r);
  return p * power_of_two(to_bits(v.shifted) + FALLING_SHIFT) * FALLING_SCALE;
}

/* e^x - 1 = 2^n (e^r - 1) + (2^n - 1), without the ends: |x| moderate. */
RH_INLINE real expm1_core(real x) {
  const rh_reduced v = reduce_exp(x);
  const real p = FMA(v.r * v.r, EXPM1_POLY(v.r), v.r), s = power_of_two(to_bits(v.shifted) - 1);
  return 2 * FMA(s, p, s - (real)0.5);
}
RH_INLINE real f_expm1(real x) {
  real c = x < EXPM1_LEAST ? EXPM1_LEAST : x;
  c = c > EXP_MOST ? EXP_MOST : c;
  const real y = expm1_core(c);
  return magnitude(x) < TINY ? x : y;
}

/* log(1 + f) + k ln 2, sqrt(1/2) - 1 <= f <= sqrt 2 - 1. */
RH_INLINE real log_core(real f, real k) {
#if RH_BITS == 32
  return FMA(k, LN2_HIGH, f + FMA(f * f, FMA(f, LOG_POLY(f), (real)-0.5), k * LN2_LOW));
#else
  const real h = (real)0.5 * f * f, s = f / (2 + f), z = s * s;
  return FMA(k, LN2_HIGH, -((h - FMA(s, FMA(z, LOG_POLY(z), h), k * LN2_LOW)) - f));
#endif
}
/* u = 2^k m, m in [sqrt(1/2), sqrt 2), u normal and positive; the exponent comes with its bias. */
typedef struct rh_split {
  real m, k;
  bits biased;
} rh_split;
RH_INLINE rh_split split(real u) {
  const bits moved = to_bits(u) + (ONE_BITS - SQRT_HALF_BITS), biased = moved >> MANTISSA_BITS;
  const real k = from_bits(biased | TO_REAL_BITS) - (TO_REAL + BIAS); /* an integer becomes a real without a conversion */
  return (rh_split){from_bits((moved & MANTISSA_MASK) + SQRT_HALF_BITS), k, biased};
}
RH_INLINE real f_log(real x) {
  const int small = x < LEAST_NORMAL;
  const rh_split v = split(small ? x * SUBNORMAL_SCALE : x);
  real y = log_core(v.m - 1, small ? v.k - SUBNORMAL_SHIFT : v.k);
  y = x > 0 ? y : NOT_A_NUMBER;
  y = x == 0 ? -INFINITE : y;
  return x == INFINITE ? x : y;
}
/* 1 + x rounds to u; what is lost, c, joins the fraction, so that x itself comes back where k = 0. */
RH_INLINE real f_log1p(real x) {
  const real u = 1 + x, c = x >= 1 ? 1 - (u - x) : x - (u - 1);
  const rh_split v = split(u);
  const real low = c * from_bits((2 * (bits)BIAS - v.biased) << MANTISSA_BITS);
  real y = log_core((v.m - 1) + (x < LOST_ONE ? low : 0), v.k);
  y = u > 0 ? y : NOT_A_NUMBER;
  y = u == 0 ? -INFINITE : y;
  y = magnitude(x) < TINY ? x : y;
  return x == INFINITE ? x : y;
}
/* log(1 + e) for e in [0, 1]. */
RH_INLINE real log1p_unit(real e) {
  const int big = e > (real)0.41421356;
  const real y = log_core(big ? (real)0.5 * (e - 1) : e, big ? (real)1 : (real)0);
  return e < TINY ? e : y;
}

RH_INLINE real f_tanh(real x) {
  const real a = magnitude(x), c = a > TANH_MOST ? TANH_MOST : a;
#if RH_BITS == 32
  const rh_reduced v = reduce_exp(2 * c);
  const real e = FMA(v.r * v.r, EXP_POLY(v.r), v.r) + 1, far = 1 - 2 / FMA(e, power_of_two(to_bits(v.shifted)), (real)1);
  return with_sign(a < (real)0.55 ? FMA(a * (a * a), TANH_POLY(a * a), a) : far, x);
#else
  const real t = expm1_core(2 * c), y = t / (t + 2);
  return a < TINY ? x : with_sign(y, x);
#endif
}
RH_INLINE real f_sigmoid(real x) {
  const real e = exp_falling(-magnitude(x));
  return (x >= 0 ? (real)1 : e) / (1 + e);
}
RH_INLINE real f_softplus(real x) {
  return (x < 0 ? (real)0 : x) + log1p_unit(exp_falling(-magnitude(x)));
}
RH_INLINE real f_silu(real x) {
  return (x < SILU_LEAST ? SILU_LEAST : x) * f_sigmoid(x);
}

/* e^(u^2) erfc(u) for u >= 0, as q P(1 - 2 q), q = 1 / (1 + u / c). */
RH_INLINE real erfcx(real u) {
  const real q = 1 / FMA(u, ERFCX_SCALE, (real)1), t = FMA((real)-2, q, (real)1);
  return q * ERFCX_POLY(t);
}
/* e^(-s x^2) for s = 1 or 1/2, the square in two pieces: its rounding error would grow with x^2. */
RH_INLINE real exp_square(real x, real s) {
  const real h = x * x, y = f_exp(-s * h);
  return FMA(y, -s * square_low(x, h), y);
}
RH_INLINE real f_erf(real x) {
  const real a = magnitude(x), c = a > ERF_MOST ? ERF_MOST : a;
  const real near = FMA(x, ERF_POLY(x * x), x), far = 1 - exp_square(c, (real)1) * erfcx(c);
  return a < 1 ? near : x != x ? x : with_sign(far, x);
}
/* x Phi(x): Phi(-a) = e^(-a^2 / 2) erfcx(a / sqrt 2) / 2 keeps its relative accuracy in the tail, erf's polynomial near 0. */
RH_INLINE real f_gelu(real x) {
  const real c = x < -GELU_MOST ? -GELU_MOST : x, b = c > GELU_MOST ? GELU_MOST : c, a = magnitude(b), half = (real)0.5;
  const real tail = (b * half * erfcx(a * SQRT_HALF)) * exp_square(a, half), far = c < 0 ? tail : c - tail;
  const real z = b * SQRT_HALF, near = c * FMA(z, FMA(half, ERF_POLY(z * z), half), half);
  return a < 1 ? near : far;
}
RH_INLINE real f_elu(real x) {
  const real y = f_expm1(x > 0 ? (real)0 : x);
  return x > 0 ? x : y;
}

/* x = n pi / 2 + r, |r| <= pi / 4; the last two bits of `quadrant` are those of n. In double for float: one multiply-add a piece is exact
 * enough. Arguments past a few million lose their meaning, not their bounds. */
typedef struct rh_turn {
  real r;
  bits quadrant;
} rh_turn;
RH_INLINE rh_turn reduce_turn(real x) {
  const double rounder = 0x1.8p52, wide = (double)x, shifted = wide * 0x1.45f306dc9c883p-1 + rounder, n = shifted - rounder;
#if RH_BITS == 32
  const double r = (wide - n * 0x1.921fb54400000p+0) - n * 0x1.0b4611a626331p-34;
#else
  const double r = ((wide - n * 0x1.921fb54400000p+0) - n * 0x1.0b4611a600000p-34) - n * 0x1.3198a2e037073p-69;
#endif
  uint64_t q;
  memcpy(&q, &shifted, sizeof q);
  real small = (real)r;
  small = small > (real)0.7854 ? (real)0.7854 : small;
  small = small < (real)-0.7854 ? (real)-0.7854 : small;
  return (rh_turn){small, (bits)q};
}
RH_INLINE real sine_of(rh_turn t) {
  const real z = t.r * t.r, s = FMA(t.r * z, SIN_POLY(z), t.r), c = FMA(z, FMA(z, COS_POLY(z), (real)-0.5), (real)1);
  const bits odd = 0 - (t.quadrant & 1);
  return from_bits(((to_bits(s) & ~odd) | (to_bits(c) & odd)) ^ ((t.quadrant & 2) << (RH_BITS - 2)));
}
RH_INLINE real f_sin(real x) {
  const real y = sine_of(reduce_turn(x));
  return x == 0 ? x : y;
}
RH_INLINE real f_cos(real x) {
  rh_turn t = reduce_turn(x);
  t.quadrant++;
  return sine_of(t);
}

/* log Gamma(x + 1/2) - log Gamma(x), differentiated p times: below HALFGAMMA_STEPS by the recurrence Gamma(x + 1) = x Gamma(x), its terms
 * 1 / (x + k)^p - 1 / (x + k + 1/2)^p written as sums of positive ones; above by the asymptotic series. One logarithm of a product near 1
 * instead of a difference of two large ones: what is lost stays below a few ulps of 1, and of the result for p > 0. For parameters: a loop
 * over p, not for long vectors.
 */
RH_INLINE real power_down(real x, int n) {
  real y = 1;
  for (int i = 0; i < n; i++) y /= x;
  return y;
}
RH_INLINE real f_halfgamma(real x, real p) {
  const int n = (int)p, small = x < HALFGAMMA_STEPS;
  const real w = (small ? x + HALFGAMMA_STEPS : x) - (real)0.25, v = 1 / (w * w), scale = power_down(w, n);
  real above = 1, below = 1, sum = 0, factorial = 1, tail = 0;
  for (int i = 1; i < n; i++) factorial *= (real)i;
  for (int k = HALFGAMMA_STEPS - 1; k >= 0; k--) {
    const real at = x + (real)k, half = at + (real)0.5;
    above *= half;
    below *= k ? at : (real)1;
    for (int i = 0; i < n; i++) sum += (real)0.5 * power_down(at, n - i) * power_down(half, 1 + i);
  }
  for (int j = HALFGAMMA_TERMS - 1; j >= 0; j--) {
    real f = halfgamma_terms[j];
    for (int i = 0; i < n; i++) f *= (real)(2 * j + 2 + i);
    tail = (tail + f) * v;
  }
  const real ratio = small ? below / above : (real)1, log_x = small ? f_log(x) : (real)0;
  const real size = factorial * FMA((real)0.5, scale, small ? sum : (real)0) - tail * scale;
  const real y = n == 0 ? log_x + FMA((real)0.5, f_log(w * (ratio * ratio)), tail) : n % 2 ? size : -size;
  return x >= 0 ? y : NOT_A_NUMBER;
}

/* Wichura 1988, Applied Statistics 37, algorithm AS 241 (PPND16): three rational functions, one division. */
RH_INLINE real f_normicdf(real p) {
  const real q = p - (real)0.5, least = q < 0 ? p : 1 - p, w = (real)0.180625 - q * q;
  const real t = SQRT(-f_log(least)), u = t - (real)1.6, v = t - 5;
  const int middle = magnitude(q) <= (real)0.425, near = t <= 5;
  const real above = middle ? q * ICDF_A(w) : near ? ICDF_C(u) : ICDF_E(v), below = middle ? ICDF_B(w) : near ? ICDF_D(u) : ICDF_F(v);
  const real z = above / below;
  real y = middle ? z : with_sign(z, q);
  y = p > 0 ? y : NOT_A_NUMBER;
  y = p < 1 ? y : NOT_A_NUMBER;
  y = p == 0 ? -INFINITE : y;
  return p == 1 ? INFINITE : y;
}
#endif
