/* Turning: from rows of numbers, one row an element, to columns with a lane an element, and back; a group of elements at a time, 16 bytes
 * of each row at once, in registers. And a choice by a mask. */
#ifndef RH_KERNEL_TURN_H
#define RH_KERNEL_TURN_H
#include "kernel/simd/loops.h"
#include "kernel/simd/vec.h"

enum { PIECE = 16 / sizeof(real), PIECES = RH_LANES / PIECE };
#if RH_BITS == 32
typedef int32_t mask __attribute__((vector_size(RH_VECTOR_BYTES)));
#else
typedef int64_t mask __attribute__((vector_size(RH_VECTOR_BYTES)));
#endif

RH_INLINE vec_t choose(mask m, vec_t yes, vec_t no) {
#if defined(__AVX512F__) || !defined(__AVX2__)
  return (vec_t)(((mask)yes & m) | ((mask)no & ~m));
#elif RH_BITS == 32
  return _mm256_blendv_ps(no, yes, (__m256)m);
#else
  return _mm256_blendv_pd(no, yes, (__m256d)m);
#endif
}

/* Lanes of two vectors, within each 16 bytes: halves of them side by side, and (float) numbers in turn. */
#if RH_BITS == 32 && defined(__AVX512F__)
#define ZIP_LOW   0, 16, 1, 17, 4, 20, 5, 21, 8, 24, 9, 25, 12, 28, 13, 29
#define ZIP_HIGH  2, 18, 3, 19, 6, 22, 7, 23, 10, 26, 11, 27, 14, 30, 15, 31
#define HALF_LOW  0, 1, 16, 17, 4, 5, 20, 21, 8, 9, 24, 25, 12, 13, 28, 29
#define HALF_HIGH 2, 3, 18, 19, 6, 7, 22, 23, 10, 11, 26, 27, 14, 15, 30, 31
#elif RH_BITS == 32 && defined(__AVX2__)
#define ZIP_LOW   0, 8, 1, 9, 4, 12, 5, 13
#define ZIP_HIGH  2, 10, 3, 11, 6, 14, 7, 15
#define HALF_LOW  0, 1, 8, 9, 4, 5, 12, 13
#define HALF_HIGH 2, 3, 10, 11, 6, 7, 14, 15
#elif RH_BITS == 32
#define ZIP_LOW   0, 4, 1, 5
#define ZIP_HIGH  2, 6, 3, 7
#define HALF_LOW  0, 1, 4, 5
#define HALF_HIGH 2, 3, 6, 7
#elif RH_BITS == 64 && defined(__AVX512F__)
#define HALF_LOW  0, 8, 2, 10, 4, 12, 6, 14
#define HALF_HIGH 1, 9, 3, 11, 5, 13, 7, 15
#elif RH_BITS == 64 && defined(__AVX2__)
#define HALF_LOW  0, 4, 2, 6
#define HALF_HIGH 1, 5, 3, 7
#elif RH_BITS == 64
#define HALF_LOW  0, 2
#define HALF_HIGH 1, 3
#endif

#define MIX(x, y, lanes) MIX_(x, y, lanes)
#define MIX_(x, y, ...)  __builtin_shufflevector(x, y, __VA_ARGS__)

/* z[i]: 16 bytes of rows i, i + PIECE, ... <-> column i of all rows. */
RH_INLINE void turn(vec_t z[PIECE]) {
#if RH_BITS == 32
  const vec_t a = MIX(z[0], z[1], ZIP_LOW), b = MIX(z[0], z[1], ZIP_HIGH), c = MIX(z[2], z[3], ZIP_LOW), d = MIX(z[2], z[3], ZIP_HIGH);
  z[0] = MIX(a, c, HALF_LOW), z[1] = MIX(a, c, HALF_HIGH), z[2] = MIX(b, d, HALF_LOW), z[3] = MIX(b, d, HALF_HIGH);
#else
  const vec_t a = z[0], b = z[1];
  z[0] = MIX(a, b, HALF_LOW), z[1] = MIX(a, b, HALF_HIGH);
#endif
}

/* The 16 bytes at p, p + step, ... as one vector. */
RH_INLINE vec_t pieces_load(const real *p, int64_t step) {
#if defined(__AVX512F__)
  const __m128i *a = (const void *)p, *b = (const void *)(p + step), *c = (const void *)(p + 2 * step), *d = (const void *)(p + 3 * step);
  const __m256i low = _mm256_inserti128_si256(_mm256_castsi128_si256(_mm_loadu_si128(a)), _mm_loadu_si128(b), 1),
                high = _mm256_inserti128_si256(_mm256_castsi128_si256(_mm_loadu_si128(c)), _mm_loadu_si128(d), 1);
  return (vec_t)_mm512_inserti64x4(_mm512_castsi256_si512(low), high, 1);
#elif defined(__AVX2__)
  const __m128i *a = (const void *)p, *b = (const void *)(p + step);
  return (vec_t)_mm256_inserti128_si256(_mm256_castsi128_si256(_mm_loadu_si128(a)), _mm_loadu_si128(b), 1);
#else
  (void)step;
  return vec_load(p);
#endif
}
RH_INLINE void pieces_store(real *p, int64_t step, vec_t x) {
#if defined(__AVX512F__)
  _mm_storeu_si128((void *)p, _mm512_extracti32x4_epi32((__m512i)x, 0));
  _mm_storeu_si128((void *)(p + step), _mm512_extracti32x4_epi32((__m512i)x, 1));
  _mm_storeu_si128((void *)(p + 2 * step), _mm512_extracti32x4_epi32((__m512i)x, 2));
  _mm_storeu_si128((void *)(p + 3 * step), _mm512_extracti32x4_epi32((__m512i)x, 3));
#elif defined(__AVX2__)
  _mm_storeu_si128((void *)p, _mm256_castsi256_si128((__m256i)x));
  _mm_storeu_si128((void *)(p + step), _mm256_extracti128_si256((__m256i)x, 1));
#else
  (void)step;
  vec_store(p, x);
#endif
}

/* rows [RH_GROUP, n] <-> columns [n, RH_GROUP]. The last 16 bytes of a row may be done twice: nothing beyond it is touched. */
RH_INLINE void turn_in(const real *rows, int64_t n, real *columns) {
  for (int64_t c = 0; n < PIECE && c < n; c++)
    for (int l = 0; l < RH_GROUP; l++) columns[c * RH_GROUP + l] = rows[l * n + c];
  for (int64_t at = 0; n >= PIECE && at < n; at += PIECE) {
    const int64_t c = at + PIECE <= n ? at : n - PIECE;
    for (int l = 0; l < RH_GROUP; l += RH_LANES) {
      vec_t z[PIECE];
      for (int i = 0; i < PIECE; i++) z[i] = pieces_load(rows + (l + i) * n + c, PIECE * n);
      turn(z);
      for (int i = 0; i < PIECE; i++) vec_store(columns + (c + i) * RH_GROUP + l, z[i]);
    }
  }
}
RH_INLINE void turn_out(real *rows, int64_t n, const real *columns) {
  for (int64_t c = 0; n < PIECE && c < n; c++)
    for (int l = 0; l < RH_GROUP; l++) rows[l * n + c] = columns[c * RH_GROUP + l];
  for (int64_t at = 0; n >= PIECE && at < n; at += PIECE) {
    const int64_t c = at + PIECE <= n ? at : n - PIECE;
    for (int l = 0; l < RH_GROUP; l += RH_LANES) {
      vec_t z[PIECE];
      for (int i = 0; i < PIECE; i++) z[i] = vec_load(columns + (c + i) * RH_GROUP + l);
      turn(z);
      for (int i = 0; i < PIECE; i++) pieces_store(rows + (l + i) * n + c, PIECE * n, z[i]);
    }
  }
}
#endif
