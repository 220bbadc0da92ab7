/* Row products with few columns: rows become the lanes, so that all of them work; a is transposed in registers, 16 bytes of each row at a
 * time. The same sums in the same order as the tiles'. */
#ifndef RH_KERNEL_NARROW_H
#define RH_KERNEL_NARROW_H
#include <string.h>

#include "kernel/simd/tiles.h"

#if defined(__AVX2__)
enum { LANE_BYTES = 32 };
#else
enum { LANE_BYTES = 16 };
#endif
typedef real rh_rows __attribute__((vector_size(LANE_BYTES))); /* one number of each of several rows */
typedef bits rh_row_bits __attribute__((vector_size(LANE_BYTES)));
enum { NARROW_MOST = 6, ROW_LANES = LANE_BYTES / (RH_BITS / 8), CHUNK = 16 / (RH_BITS / 8) };

RH_INLINE rh_rows rows_splat(real x) {
  return x - (rh_rows){0};
}

RH_INLINE rh_rows rows_relu(rh_rows x) {
  return (rh_rows)((rh_row_bits)x & ~(rh_row_bits)(x <= 0));
}

/* Two rows' chunks side by side; and pairs (x, y) of vectors whose 2 x 2 blocks change places: one shuffle and two blends where there are
 * blends, for they run on more units. */
#if defined(__AVX2__) && RH_BITS == 32
#define ROWS_FMA(a, b, c) _mm256_fmadd_ps(a, b, c)
#define PAIR(p, q)                                                                                                               \
  (busy ? _mm256_blend_ps(_mm256_castps128_ps256(_mm_loadu_ps(p)), _mm256_broadcast_ps((const __m128 *)(const void *)(q)), 0xf0) \
        : _mm256_insertf128_ps(_mm256_castps128_ps256(_mm_loadu_ps(p)), _mm_loadu_ps(q), 1))
RH_INLINE void swap_blocks(rh_rows *x, rh_rows *y, int busy) {
  const rh_rows w = busy ? (rh_rows)_mm256_shuffle_ps(*x, *y, 0x4e) : (rh_rows)_mm256_shuffle_ps(*x, *y, 0x44);
  *y = busy ? (rh_rows)_mm256_blend_ps(w, *y, 0xcc) : (rh_rows)_mm256_shuffle_ps(*x, *y, 0xee);
  *x = busy ? (rh_rows)_mm256_blend_ps(*x, w, 0xcc) : w;
}
RH_INLINE void zip(rh_rows *x, rh_rows *y) {
  const rh_rows low = _mm256_unpacklo_ps(*x, *y);
  *y = _mm256_unpackhi_ps(*x, *y);
  *x = low;
}
#elif defined(__AVX2__)
#define ROWS_FMA(a, b, c) _mm256_fmadd_pd(a, b, c)
#define PAIR(p, q)        _mm256_insertf128_pd(_mm256_castpd128_pd256(_mm_loadu_pd(p)), _mm_loadu_pd(q), 1)
RH_INLINE void swap_blocks(rh_rows *x, rh_rows *y, int busy) {
  (void)busy;
  const rh_rows w = _mm256_shuffle_pd(*x, *y, 0x5);
  *x = _mm256_blend_pd(*x, w, 0xa);
  *y = _mm256_blend_pd(w, *y, 0xa);
}
#else
#define ROWS_FMA(a, b, c) vec_fma(a, b, c)
#define PAIR(p, q)        vec_load(p)
RH_INLINE void swap_blocks(rh_rows *x, rh_rows *y, int busy) {
  (void)busy;
#if RH_BITS == 32
  const rh_rows low = __builtin_shufflevector(*x, *y, 0, 1, 4, 5);
  *y = __builtin_shufflevector(*x, *y, 2, 3, 6, 7);
#else
  const rh_rows low = __builtin_shufflevector(*x, *y, 0, 2);
  *y = __builtin_shufflevector(*x, *y, 1, 3);
#endif
  *x = low;
}
#if RH_BITS == 32
RH_INLINE void zip(rh_rows *x, rh_rows *y) {
  const rh_rows low = __builtin_shufflevector(*x, *y, 0, 4, 1, 5);
  *y = __builtin_shufflevector(*x, *y, 2, 6, 3, 7);
  *x = low;
}
#endif
#endif

/* v[i], i < CHUNK: a[r, i] of ROW_LANES rows. */
RH_INLINE void transpose(const real *a, int64_t lda, rh_rows v[CHUNK], const int busy) {
  const real *p3 = a + 3 * lda, *p6 = p3 + 3 * lda; /* few address registers for eight rows */
  (void)p3, (void)p6;
#if RH_BITS == 32
  rh_rows z0 = PAIR(a, p3 + lda), z1 = PAIR(a + lda, p3 + 2 * lda), z2 = PAIR(a + 2 * lda, p6), z3 = PAIR(p3, p6 + lda);
  zip(&z0, &z1), zip(&z2, &z3);
  swap_blocks(&z0, &z2, busy), swap_blocks(&z1, &z3, busy);
  v[0] = z0, v[1] = z2, v[2] = z1, v[3] = z3;
#else
  rh_rows z0 = PAIR(a, a + 2 * lda), z1 = PAIR(a + lda, p3);
  swap_blocks(&z0, &z1, busy);
  v[0] = z0, v[1] = z1;
#endif
}

/* `groups` x ROW_LANES rows by n columns, both constants where it is expanded. */
RH_INLINE void narrow(const rh_tile *t, const int groups, const int n) {
  const int64_t k = t->k, lda = t->a_row, ldc = t->c_row;
  const real *a = t->a, *b = t->b;
  rh_rows sum[4][NARROW_MOST], v[4][CHUNK];
  const real *gate = t->gate;
  real buffer[ROW_LANES];
#define EACH_SUM _Pragma("GCC unroll 8") for (int g = 0; g < groups; g++) _Pragma("GCC unroll 8") for (int j = 0; j < n; j++)
  EACH_SUM sum[g][j] = rows_splat(t->bias ? t->bias[j] : 0);
  if (t->accumulate) EACH_SUM {
      for (int r = 0; r < ROW_LANES; r++) buffer[r] = t->c[(g * ROW_LANES + r) * ldc + j];
      memcpy(&sum[g][j], buffer, sizeof buffer);
    }
  int64_t i = 0;
  for (; i + CHUNK <= k; i += CHUNK, a += CHUNK, b += CHUNK * n) {
    const real *at = a;
    _Pragma("GCC unroll 8") for (int g = 0; g < groups; g++, at += ROW_LANES * lda) {
      __asm__("" : "+r"(at)); /* else every row gets a pointer of its own, and most of them the stack */
      transpose(at, lda, v[g], n > 4);
    }
    _Pragma("GCC unroll 8") for (int s = 0; s < CHUNK; s++) _Pragma("GCC unroll 8") for (int j = 0; j < n; j++) {
      const rh_rows x = rows_splat(b[s * n + j]);
      _Pragma("GCC unroll 8") for (int g = 0; g < groups; g++) sum[g][j] = ROWS_FMA(v[g][s], x, sum[g][j]);
    }
  }
  for (; i < k; i++, a++, b += n) _Pragma("GCC unroll 8") for (int g = 0; g < groups; g++) {
      for (int r = 0; r < ROW_LANES; r++) buffer[r] = a[(g * ROW_LANES + r) * lda];
      memcpy(&v[g][0], buffer, sizeof buffer);
      _Pragma("GCC unroll 8") for (int j = 0; j < n; j++) sum[g][j] = ROWS_FMA(v[g][0], rows_splat(b[j]), sum[g][j]);
    }
  if (t->relu) EACH_SUM sum[g][j] = rows_relu(sum[g][j]);
  _Pragma("GCC unroll 8") for (int g = 0; g < groups; g++) {
    real out[NARROW_MOST][ROW_LANES], *c = t->c + g * ROW_LANES * ldc;
    _Pragma("GCC unroll 8") for (int j = 0; j < n; j++) memcpy(out[j], &sum[g][j], sizeof out[j]);
    for (int r = 0; r < ROW_LANES; r++, c += ldc) {
      _Pragma("GCC unroll 8") for (int j = 0; j < n; j++) c[j] = !gate || gate[j] > 0 ? out[j][r] : 0;
      if (gate) gate += ldc;
    }
  }
}

RH_INLINE void pass(rh_tile *t, int64_t rows) {
  t->a += rows * t->a_row, t->c += rows * t->c_row;
  if (t->gate) t->gate += rows * t->c_row;
}

/* X(columns, groups of rows that the registers hold) */
#define RH_NARROW(X) X(1, 4) X(2, 4) X(3, 3) X(4, 2) X(5, 2) X(6, 2)
#define DEFINE_NARROW(n, g)                                \
  static int64_t narrow_##n(rh_tile t, int64_t rows) {     \
    const int64_t all = rows;                              \
    for (; rows >= g * ROW_LANES; rows -= g * ROW_LANES) { \
      narrow(&t, g, n);                                    \
      pass(&t, g *ROW_LANES);                              \
    }                                                      \
    for (; rows >= ROW_LANES; rows -= ROW_LANES) {         \
      narrow(&t, 1, n);                                    \
      pass(&t, ROW_LANES);                                 \
    }                                                      \
    return all - rows;                                     \
  }
RH_NARROW(DEFINE_NARROW)
/* Returns the rows done; fewer than ROW_LANES are left. */
typedef int64_t rh_narrow_fn(rh_tile t, int64_t rows);
#define NARROW_SLOT(n, g) narrow_##n,
static rh_narrow_fn *const narrow_run[NARROW_MOST + 1] = {0, RH_NARROW(NARROW_SLOT)};
#endif
