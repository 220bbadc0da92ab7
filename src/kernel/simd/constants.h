/* Constants of elementary.h for one precision: reductions, limits, minimax polynomials (lowest power first, Horner with fma). */
#ifndef RH_KERNEL_CONSTANTS_H
#define RH_KERNEL_CONSTANTS_H
#include "kernel/level.h"

#if defined(__FMA__) || defined(__aarch64__)
#define RH_HAS_FMA 1
#else
#define RH_HAS_FMA 0
#endif
#if !RH_HAS_FMA
#define FMA(a, b, c) ((a) * (b) + (c))
#elif RH_BITS == 32
#define FMA __builtin_fmaf
#else
#define FMA __builtin_fma
#endif

#define HORNER1(x, a, b)                                  FMA(b, x, a)
#define HORNER2(x, a, ...)                                FMA(HORNER1(x, __VA_ARGS__), x, a)
#define HORNER3(x, a, ...)                                FMA(HORNER2(x, __VA_ARGS__), x, a)
#define HORNER4(x, a, ...)                                FMA(HORNER3(x, __VA_ARGS__), x, a)
#define HORNER5(x, a, ...)                                FMA(HORNER4(x, __VA_ARGS__), x, a)
#define HORNER6(x, a, ...)                                FMA(HORNER5(x, __VA_ARGS__), x, a)
#define HORNER7(x, a, ...)                                FMA(HORNER6(x, __VA_ARGS__), x, a)
#define HORNER8(x, a, ...)                                FMA(HORNER7(x, __VA_ARGS__), x, a)
#define HORNER9(x, a, ...)                                FMA(HORNER8(x, __VA_ARGS__), x, a)
#define HORNER10(x, a, ...)                               FMA(HORNER9(x, __VA_ARGS__), x, a)
#define HORNER11(x, a, ...)                               FMA(HORNER10(x, __VA_ARGS__), x, a)
#define HORNER22(x, a, b, c, d, e, f, g, h, i, j, k, ...) HORNER10(x, a, b, c, d, e, f, g, h, i, j, FMA(HORNER11(x, __VA_ARGS__), x, k))

#if RH_BITS == 32
enum { MANTISSA_BITS = 23, BIAS = 127, SUBNORMAL_SHIFT = 25 };
#define SQRT            __builtin_sqrtf
#define SIGN_BIT        0x80000000u
#define HALF_MASK       0xfffff000u
#define MANTISSA_MASK   0x007fffffu
#define ONE_BITS        0x3f800000u
#define SQRT_HALF_BITS  0x3f3504f3u
#define TO_REAL_BITS    0x4b000000u
#define TO_REAL         0x1p23f
#define ROUNDER         0x1.8p23f
#define LEAST_NORMAL    0x1p-126f
#define SUBNORMAL_SCALE 0x1p25f
#define TINY            0x1p-30f /* below it, functions with slope 1 at 0 are their argument */
#define LOST_ONE        0x1p30f  /* above it, 1 + x = x */
#define LOG2_E          0x1.715476p+0f
#define LN2_HIGH        0x1.62e400p-1f
#define LN2_LOW         0x1.7f7d1cp-20f
#define SQRT_HALF       0x1.6a09e6p-1f
#define EXP_LEAST       -104.5f
#define EXP_NORMAL      -87.3f /* results are normal from here on */
#define EXP_MOST        89.0f
#define EXPM1_LEAST     -20.0f
#define TANH_MOST       10.0f
#define SILU_LEAST      -120.0f
#define GELU_MOST       14.5f
#define ERF_MOST        5.0f
#define ERFCX_SCALE     0x1.555556p-2f

#define EXP_POLY      EXPM1_POLY
#define EXPM1_POLY(x) HORNER5(x, 0x1p-1f, 0x1.555556p-3f, 0x1.5555p-5f, 0x1.110fc4p-7f, 0x1.6d30d2p-10f, 0x1.a2d442p-13f)
#define LOG_POLY(x)                                                                                                           \
  HORNER8(x, 0x1.555554p-2f, -0x1.ffffe6p-3f, 0x1.999d2cp-3f, -0x1.55628cp-3f, 0x1.23ddf4p-3f, -0x1.fbbddp-4f, 0x1.dc7adp-4f, \
          -0x1.ddc016p-4f, 0x1.2cb776p-4f)
#define ERF_POLY(x) \
  HORNER6(x, 0x1.06eba8p-3f, -0x1.81274p-2f, 0x1.ce2d52p-4f, -0x1.b7fec4p-6f, 0x1.542fecp-8f, -0x1.a5197ap-11f, 0x1.4c5cb4p-14f)
#define TANH_POLY(z) HORNER5(z, -0x1.555556p-2f, 0x1.11116p-3f, -0x1.ba2e8cp-5f, 0x1.6707d6p-6f, -0x1.21b12ap-7f, 0x1.7cb37cp-9f)
#define SIN_POLY(x)  HORNER3(x, -0x1.555556p-3f, 0x1.111198p-7f, -0x1.a082dep-13f, 0x1.875928p-19f)
#define COS_POLY(x)  HORNER2(x, 0x1.555554p-5f, -0x1.6c1298p-10f, 0x1.9bc37cp-16f)
#define ERFCX_POLY(t)                                                                                                            \
  HORNER9(t, 0x1.6e9828p-2f, -0x1.2d883p-2f, 0x1.92edd2p-3f, -0x1.a7e3b4p-4f, 0x1.4666e6p-5f, -0x1.252b7cp-7f, -0x1.b074d4p-12f, \
          0x1.0cff6p-10f, -0x1.478992p-13f, -0x1.ba6cfep-14f)
#define REAL(x) x##f
#else
enum { MANTISSA_BITS = 52, BIAS = 1023, SUBNORMAL_SHIFT = 54 };
#define SQRT            __builtin_sqrt
#define SIGN_BIT        0x8000000000000000u
#define HALF_MASK       0xfffffffff8000000u
#define MANTISSA_MASK   0x000fffffffffffffu
#define ONE_BITS        0x3ff0000000000000u
#define SQRT_HALF_BITS  0x3fe6a09e667f3bcdu
#define TO_REAL_BITS    0x4330000000000000u
#define TO_REAL         0x1p52
#define ROUNDER         0x1.8p52
#define LEAST_NORMAL    0x1p-1022
#define SUBNORMAL_SCALE 0x1p54
#define TINY            0x1p-60
#define LOST_ONE        0x1p60
#define LOG2_E          0x1.71547652b82fep+0
#define LN2_HIGH        0x1.62e42feep-1
#define LN2_LOW         0x1.a39ef35793c76p-33
#define SQRT_HALF       0x1.6a09e667f3bcdp-1
#define EXP_LEAST       -746.0
#define EXP_NORMAL      -708.3
#define EXP_MOST        710.0
#define EXPM1_LEAST     -40.0
#define TANH_MOST       20.0
#define SILU_LEAST      -760.0
#define GELU_MOST       39.5
#define ERF_MOST        8.0
#define ERFCX_SCALE     0.25

#define EXP_POLY(x)                                                                                                                 \
  HORNER9(x, 0x1p-1, 0x1.5555555555558p-3, 0x1.5555555553c81p-5, 0x1.111111110f8bp-7, 0x1.6c16c178d46fdp-10, 0x1.a01a01afd4ae7p-13, \
          0x1.a019b80d6948cp-16, 0x1.71ddf725320cfp-19, 0x1.2892a3e41df08p-22, 0x1.af628bc097438p-26)
#define EXPM1_POLY(x)                                                                                                                 \
  HORNER10(x, 0x1p-1, 0x1.5555555555557p-3, 0x1.5555555555557p-5, 0x1.111111111002fp-7, 0x1.6c16c16c1568ep-10, 0x1.a01a01ac3868fp-13, \
           0x1.a01a01aba7112p-16, 0x1.71de014b1381ap-19, 0x1.27e4cf8130d25p-22, 0x1.af4fa8861a83fp-26, 0x1.1f874c4024f71p-29)
/* in z = s^2, s = f / (2 + f): fdlibm's log */
#define LOG_POLY(z)                                                                                                  \
  HORNER6(z, 6.666666666666735130e-01, 3.999999999940941908e-01, 2.857142874366239149e-01, 2.222219843214978396e-01, \
          1.818357216161805012e-01, 1.531383769920937332e-01, 1.479819860511658591e-01)
#define ERF_POLY(x)                                                                                                              \
  HORNER11(x, 0x1.06eba8214db68p-3, -0x1.812746b0379b5p-2, 0x1.ce2f21a040b02p-4, -0x1.b82ce311f7069p-6, 0x1.565bccf908894p-8,    \
           -0x1.c02db03ff6859p-11, 0x1.f9a2bb4bba0e5p-14, -0x1.f4ca5bb28570dp-17, 0x1.b9807f2338cf2p-20, -0x1.5c0bc31311077p-23, \
           0x1.d73d744d741c6p-27, -0x1.ac1a419759674p-31)
#define SIN_POLY(x)                                                                                                            \
  HORNER5(x, -0x1.5555555555555p-3, 0x1.1111111110c6bp-7, -0x1.a01a019e9a701p-13, 0x1.71de37a8762a1p-19, -0x1.ae6016f95fep-26, \
          0x1.5e0ddfe0fe1c6p-33)
#define COS_POLY(x)                                                                                                              \
  HORNER5(x, 0x1.5555555555555p-5, -0x1.6c16c16c168c1p-10, 0x1.a01a019f359cep-16, -0x1.27e4f9ff3296dp-22, 0x1.1eeb53c6eb1bdp-29, \
          -0x1.9070812d2c179p-37)
#define ERFCX_POLY(t)                                                                                                            \
  HORNER22(t, 0x1.18932bf08e154p-2, -0x1.f3fe31ecb49bfp-3, 0x1.8be202d26c74p-3, -0x1.14eacb1ad0323p-3, 0x1.52cac2370f22fp-4,     \
           -0x1.645fd8a4bdfbfp-5, 0x1.38dbd2c91cc0fp-6, -0x1.b00c052ada4ffp-8, 0x1.908f4704bfd77p-10, -0x1.269b55d775321p-14,    \
           -0x1.dd283ae1ef8bfp-14, 0x1.72cdd56a28ccap-15, -0x1.e7fa66e883c95p-21, -0x1.3c74239f57b75p-18, 0x1.3b1c575e0ffeap-20, \
           0x1.7f116015f2be6p-22, -0x1.c6f87daa02e1cp-23, -0x1.559432be07155p-26, 0x1.0bf2900e01f57p-25, 0x1.10c2ce97a0b5ep-30,  \
           -0x1.086c1501b218bp-28, -0x1.e323b2b1d64c5p-33, 0x1.d6590599b09d7p-33)
#define REAL(x) x
#endif

/* In v = 1 / w^2, w = x - 1/4: log Gamma(x + 1/2) - log Gamma(x) = log(w) / 2 + sum of c_j v^j, j from 1 (DLMF 5.11.8, Bernoulli
 * polynomials at 1/4 and 3/4). Nine terms are enough for four derivatives from x = 12 on. */
enum { HALFGAMMA_TERMS = 9, HALFGAMMA_STEPS = 12 };
static const real halfgamma_terms[HALFGAMMA_TERMS] __attribute__((unused)) = {REAL(0.015625),
                                                                              REAL(-0.00244140625),
                                                                              REAL(0.001241048177083333333333333),
                                                                              REAL(-0.00132083892822265625),
                                                                              REAL(0.0024090290069580078125),
                                                                              REAL(-0.006712389489014943440755208),
                                                                              REAL(0.02652419744325635537991769),
                                                                              REAL(-0.1410918204419431276619434),
                                                                              REAL(0.9721001436511061102565792)};

/* AS 241's rational functions: numerators A, C, E, denominators B, D, F, for the middle and the nearer and further tail. */
#define ICDF_A(x)                                                                                                                         \
  HORNER7(x, REAL(3.3871328727963666080e0), REAL(1.3314166789178437745e+2), REAL(1.9715909503065514427e+3),                               \
          REAL(1.3731693765509461125e+4), REAL(4.5921953931549871457e+4), REAL(6.7265770927008700853e+4), REAL(3.3430575583588128105e+4), \
          REAL(2.5090809287301226727e+3))
#define ICDF_B(x)                                                                                                       \
  HORNER7(x, REAL(1.0), REAL(4.2313330701600911252e+1), REAL(6.8718700749205790830e+2), REAL(5.3941960214247511077e+3), \
          REAL(2.1213794301586595867e+4), REAL(3.9307895800092710610e+4), REAL(2.8729085735721942674e+4), REAL(5.2264952788528545610e+3))
#define ICDF_C(x)                                                                                            \
  HORNER7(x, REAL(1.42343711074968357734e0), REAL(4.63033784615654529590e0), REAL(5.76949722146069140550e0), \
          REAL(3.64784832476320460504e0), REAL(1.27045825245236838258e0), REAL(2.41780725177450611770e-1),   \
          REAL(2.27238449892691845833e-2), REAL(7.74545014278341407640e-4))
#define ICDF_D(x)                                                                                                        \
  HORNER7(x, REAL(1.0), REAL(2.05319162663775882187e0), REAL(1.67638483018380384940e0), REAL(6.89767334985100004550e-1), \
          REAL(1.48103976427480074590e-1), REAL(1.51986665636164571966e-2), REAL(5.47593808499534494600e-4),             \
          REAL(1.05075007164441684324e-9))
#define ICDF_E(x)                                                                                            \
  HORNER7(x, REAL(6.65790464350110377720e0), REAL(5.46378491116411436990e0), REAL(1.78482653991729133580e0), \
          REAL(2.96560571828504891230e-1), REAL(2.65321895265761230930e-2), REAL(1.24266094738807843860e-3), \
          REAL(2.71155556874348757815e-5), REAL(2.01033439929228813265e-7))
#define ICDF_F(x)                                                                                                          \
  HORNER7(x, REAL(1.0), REAL(5.99832206555887937690e-1), REAL(1.36929880922735805310e-1), REAL(1.48753612908506148525e-2), \
          REAL(7.86869131145613259100e-4), REAL(1.84631831751005468180e-5), REAL(1.42151175831644588870e-7),               \
          REAL(2.04426310338993978564e-15))
#endif
