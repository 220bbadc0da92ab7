/* Vectors for the products: one full vector of the level (vec_) and a half one (half_), for narrow panels. */
#ifndef RH_KERNEL_VEC_H
#define RH_KERNEL_VEC_H
#include "kernel/level.h"
#if defined(__x86_64__)
#include <immintrin.h>
#elif defined(__aarch64__)
#include <arm_neon.h>
#endif

#define RH_INLINE static inline __attribute__((always_inline, unused))

/* Holds x in a register: compilers would rather read memory again at every use. */
#if defined(__AVX512F__)
#define RH_HOLD(x) __asm__("" : "+v"(x))
#elif defined(__x86_64__)
#define RH_HOLD(x) __asm__("" : "+x"(x))
#elif defined(__aarch64__)
#define RH_HOLD(x) __asm__("" : "+w"(x))
#endif

/* Defines the type and the operations of one width: splat, load, store, fma, relu (x <= 0 ? 0 : x, so NaN stays), and load and store of the
 * first n lanes. */
#define RH_VECTOR(name, type, lanes, SET1, LOAD, STORE, FMADD, RELU, LOAD_FIRST, STORE_FIRST)                                  \
  typedef type name##_t;                                                                                                       \
  enum { name##_lanes = lanes };                                                                                               \
  RH_INLINE name##_t name##_splat(real x) {                                                                                    \
    return SET1(x);                                                                                                            \
  }                                                                                                                            \
  RH_INLINE name##_t name##_load(const real *p) {                                                                              \
    return LOAD(p);                                                                                                            \
  }                                                                                                                            \
  RH_INLINE void name##_store(real *p, name##_t x) {                                                                           \
    STORE(p, x);                                                                                                               \
  }                                                                                                                            \
  RH_INLINE name##_t name##_fma(name##_t a, name##_t b, name##_t c) {                                                          \
    return FMADD(a, b, c);                                                                                                     \
  }                                                                                                                            \
  RH_INLINE name##_t name##_relu(name##_t x) {                                                                                 \
    return RELU(x);                                                                                                            \
  }                                                                                                                            \
  RH_INLINE name##_t name##_load_first(const real *p, int n){LOAD_FIRST(type, lanes, LOAD)} RH_INLINE void name##_store_first( \
      real *p, int n, name##_t x) {                                                                                            \
    STORE_FIRST(lanes, STORE)                                                                                                  \
  }

#define FIRST_BY_COPY_LOAD(type, lanes, LOAD)           \
  real t[lanes] = {0};                                  \
  for (int i = 0; i < lanes && i < n; i++) t[i] = p[i]; \
  return LOAD(t);
#define FIRST_BY_COPY_STORE(lanes, STORE) \
  real t[lanes];                          \
  STORE(t, x);                            \
  for (int i = 0; i < lanes && i < n; i++) p[i] = t[i];

#if defined(__AVX2__)
#define RELU_256_32(x) _mm256_and_ps(x, _mm256_cmp_ps(x, _mm256_setzero_ps(), _CMP_NLE_UQ))
#define RELU_256_64(x) _mm256_and_pd(x, _mm256_cmp_pd(x, _mm256_setzero_pd(), _CMP_NLE_UQ))
#endif
#if defined(__x86_64__)
#define RELU_128_32(x) _mm_and_ps(x, _mm_cmpnle_ps(x, _mm_setzero_ps()))
#define RELU_128_64(x) _mm_and_pd(x, _mm_cmpnle_pd(x, _mm_setzero_pd()))
#endif

#if defined(__AVX512F__)
#define RELU_512_32(x)                 _mm512_maskz_mov_ps(_mm512_cmp_ps_mask(x, _mm512_setzero_ps(), _CMP_NLE_UQ), x)
#define RELU_512_64(x)                 _mm512_maskz_mov_pd(_mm512_cmp_pd_mask(x, _mm512_setzero_pd(), _CMP_NLE_UQ), x)
#define LOAD_512_32(type, lanes, LOAD) return _mm512_maskz_loadu_ps((__mmask16)((1u << n) - 1), p);
#define STORE_512_32(lanes, STORE)     _mm512_mask_storeu_ps(p, (__mmask16)((1u << n) - 1), x);
#define LOAD_512_64(type, lanes, LOAD) return _mm512_maskz_loadu_pd((__mmask8)((1u << n) - 1), p);
#define STORE_512_64(lanes, STORE)     _mm512_mask_storeu_pd(p, (__mmask8)((1u << n) - 1), x);
#define LOAD_256_32(type, lanes, LOAD) return _mm256_maskz_loadu_ps((__mmask8)((1u << n) - 1), p);
#define STORE_256_32(lanes, STORE)     _mm256_mask_storeu_ps(p, (__mmask8)((1u << n) - 1), x);
#define LOAD_256_64(type, lanes, LOAD) return _mm256_maskz_loadu_pd((__mmask8)((1u << n) - 1), p);
#define STORE_256_64(lanes, STORE)     _mm256_mask_storeu_pd(p, (__mmask8)((1u << n) - 1), x);
#if RH_BITS == 32
RH_VECTOR(vec, __m512, 16, _mm512_set1_ps, _mm512_loadu_ps, _mm512_storeu_ps, _mm512_fmadd_ps, RELU_512_32, LOAD_512_32, STORE_512_32)
RH_VECTOR(half, __m256, 8, _mm256_set1_ps, _mm256_loadu_ps, _mm256_storeu_ps, _mm256_fmadd_ps, RELU_256_32, LOAD_256_32, STORE_256_32)
#else
RH_VECTOR(vec, __m512d, 8, _mm512_set1_pd, _mm512_loadu_pd, _mm512_storeu_pd, _mm512_fmadd_pd, RELU_512_64, LOAD_512_64, STORE_512_64)
RH_VECTOR(half, __m256d, 4, _mm256_set1_pd, _mm256_loadu_pd, _mm256_storeu_pd, _mm256_fmadd_pd, RELU_256_64, LOAD_256_64, STORE_256_64)
#endif

#elif defined(__AVX2__)
/* a mask whose first n lanes are set: a window into ones followed by zeros */
static const int32_t ones_then_zeros[16] = {-1, -1, -1, -1, -1, -1, -1, -1, 0, 0, 0, 0, 0, 0, 0, 0};
#define MASK_256(n, words)             _mm256_loadu_si256((const __m256i *)(const void *)(ones_then_zeros + 8 - (words) * (n)))
#define MASK_128(n, words)             _mm_loadu_si128((const __m128i *)(const void *)(ones_then_zeros + 8 - (words) * (n)))
#define LOAD_256_32(type, lanes, LOAD) return _mm256_maskload_ps(p, MASK_256(n, 1));
#define STORE_256_32(lanes, STORE)     _mm256_maskstore_ps(p, MASK_256(n, 1), x);
#define LOAD_256_64(type, lanes, LOAD) return _mm256_maskload_pd(p, MASK_256(n, 2));
#define STORE_256_64(lanes, STORE)     _mm256_maskstore_pd(p, MASK_256(n, 2), x);
#define LOAD_128_32(type, lanes, LOAD) return _mm_maskload_ps(p, MASK_128(n, 1));
#define STORE_128_32(lanes, STORE)     _mm_maskstore_ps(p, MASK_128(n, 1), x);
#define LOAD_128_64(type, lanes, LOAD) return _mm_maskload_pd(p, MASK_128(n, 2));
#define STORE_128_64(lanes, STORE)     _mm_maskstore_pd(p, MASK_128(n, 2), x);
#if RH_BITS == 32
RH_VECTOR(vec, __m256, 8, _mm256_set1_ps, _mm256_loadu_ps, _mm256_storeu_ps, _mm256_fmadd_ps, RELU_256_32, LOAD_256_32, STORE_256_32)
RH_VECTOR(half, __m128, 4, _mm_set1_ps, _mm_loadu_ps, _mm_storeu_ps, _mm_fmadd_ps, RELU_128_32, LOAD_128_32, STORE_128_32)
#else
RH_VECTOR(vec, __m256d, 4, _mm256_set1_pd, _mm256_loadu_pd, _mm256_storeu_pd, _mm256_fmadd_pd, RELU_256_64, LOAD_256_64, STORE_256_64)
RH_VECTOR(half, __m128d, 2, _mm_set1_pd, _mm_loadu_pd, _mm_storeu_pd, _mm_fmadd_pd, RELU_128_64, LOAD_128_64, STORE_128_64)
#endif

#elif defined(__x86_64__)
#define MULADD_PS(a, b, c) _mm_add_ps(_mm_mul_ps(a, b), c)
#define MULADD_PD(a, b, c) _mm_add_pd(_mm_mul_pd(a, b), c)
#if RH_BITS == 32
RH_VECTOR(vec, __m128, 4, _mm_set1_ps, _mm_loadu_ps, _mm_storeu_ps, MULADD_PS, RELU_128_32, FIRST_BY_COPY_LOAD, FIRST_BY_COPY_STORE)
#else
RH_VECTOR(vec, __m128d, 2, _mm_set1_pd, _mm_loadu_pd, _mm_storeu_pd, MULADD_PD, RELU_128_64, FIRST_BY_COPY_LOAD, FIRST_BY_COPY_STORE)
#endif

#elif defined(__aarch64__)
#define NEON_FMA_32(a, b, c) vfmaq_f32(c, a, b)
#define NEON_FMA_64(a, b, c) vfmaq_f64(c, a, b)
#define RELU_NEON_32(x)      vreinterpretq_f32_u32(vbicq_u32(vreinterpretq_u32_f32(x), vclezq_f32(x)))
#define RELU_NEON_64(x)      vreinterpretq_f64_u64(vbicq_u64(vreinterpretq_u64_f64(x), vclezq_f64(x)))
#if RH_BITS == 32
RH_VECTOR(vec, float32x4_t, 4, vdupq_n_f32, vld1q_f32, vst1q_f32, NEON_FMA_32, RELU_NEON_32, FIRST_BY_COPY_LOAD, FIRST_BY_COPY_STORE)
#else
RH_VECTOR(vec, float64x2_t, 2, vdupq_n_f64, vld1q_f64, vst1q_f64, NEON_FMA_64, RELU_NEON_64, FIRST_BY_COPY_LOAD, FIRST_BY_COPY_STORE)
#endif
#endif

/* Rows of accumulators that the registers hold: with four vectors a row, with two, with one; and terms of a whole panel. */
#if defined(__AVX512F__)
#define RH_HAS_HALF 1
enum { TERMS_HELD = 8, ROWS_OF_FOUR = 7, ROWS_OF_TWO = 14, ROWS_OF_ONE = 14 };
#elif defined(__AVX2__)
#define RH_HAS_HALF 1
enum { TERMS_HELD = 6, ROWS_OF_FOUR = 3, ROWS_OF_TWO = 6, ROWS_OF_ONE = 12 };
#elif defined(__aarch64__)
#define RH_HAS_HALF 0
enum { TERMS_HELD = 8, ROWS_OF_FOUR = 6, ROWS_OF_TWO = 12, ROWS_OF_ONE = 14 };
#else
#define RH_HAS_HALF 0
enum { TERMS_HELD = 4, ROWS_OF_FOUR = 2, ROWS_OF_TWO = 4, ROWS_OF_ONE = 8 };
#endif
#endif
