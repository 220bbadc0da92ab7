/* The micro-kernel, a template over a vector type V (vec or half): a tile of `rows` x (vectors x lanes) outputs in registers, fed by
 * scalars of a, each spread over a vector, and vectors of b. rows and vectors are constants where it is expanded. */
#include "kernel/simd/vec.h"

#ifndef RH_KERNEL_TILE_ARGS
#define RH_KERNEL_TILE_ARGS
typedef struct rh_tile {
  int64_t k;     /* terms of a line */
  const real *a; /* a[r * a_row + i * a_term] */
  int64_t a_row, a_term;
  /* Images: the terms lie in lines of k, the lines in images, one after another; from the end of a line to the next it is so far in a and
   * in b, and so much farther from an image's last one in b. 0 lines and images count as 1. */
  int64_t lines, a_skip, b_skip, images, b_image_skip;
  const real *b; /* b[i * b_term + j], j below two vectors; from there at b_next + b[i * b_term + j] */
  int64_t b_term, b_next;
  const real *bias; /* start of every row, NULL: zero */
  real *c;          /* c[r * c_row + j], or c[c_at[r] + j] where c_at is given: of one tile whose a_row is 1 */
  int64_t c_row;
  const int64_t *c_at;
  int cols; /* valid columns */
  int accumulate, relu;
  const real *gate; /* gate[r * c_row + j] > 0 keeps a result, else 0; NULL: all are kept; only where a_term is 1 */
} rh_tile;
typedef void rh_tile_fn(const rh_tile *t, int64_t first, int64_t tiles); /* first: rows before them */

/* rows that a prefetch looks ahead, in place; small tiles have no time for it */
enum { RH_AHEAD = ROWS_OF_TWO >= 12 ? 16 : 0 };

/* X(row, base pointer, step from it): rows in threes share a pointer, so that addresses need few registers. */
#define RH_TILE_ROWS(X) \
  X(0, p0, 0)           \
  X(1, p0, 1)           \
  X(2, p0, 2)           \
  X(3, p1, 0) X(4, p1, 1) X(5, p1, 2) X(6, p2, 0) X(7, p2, 1) X(8, p2, 2) X(9, p3, 0) X(10, p3, 1) X(11, p3, 2) X(12, p4, 0) X(13, p4, 1)
#endif

#define RH_PASTE_(a, b) a##b
#define RH_PASTE(a, b)  RH_PASTE_(a, b)
#define OF(name)        RH_PASTE(V, name)

RH_INLINE OF(_t) OF(_get)(const real *p, int valid, int whole) {
  return whole ? OF(_load)(p) : OF(_load_first)(p, valid);
}
RH_INLINE void OF(_put)(real *p, int valid, int whole, OF(_t) x) {
  if (whole)
    OF(_store)(p, x);
  else
    OF(_store_first)(p, valid, x);
}

/* x where g > 0, else 0 */
RH_INLINE OF(_t) OF(_keep)(OF(_t) x, OF(_t) g) {
  const __typeof__(g > g) kept = g > OF(_splat)(0);
  return (OF(_t))((__typeof__(kept))x & kept);
}

/* One tile after another, down the rows. whole: all columns valid, else the last vector is partial; unit: a_term is 1, else a_row is. */
RH_INLINE void OF(_tile)(const rh_tile *t, int64_t first, int64_t tiles, const int rows, const int vectors, const int unit,
                         const int whole) {
  const int64_t k = t->k, lda = unit ? t->a_row : 1, a_term = unit ? 1 : t->a_term, b_term = t->b_term, ldc = t->c_row;
  const int64_t b_next = vectors == 4 ? t->b_next : 0;
  const int relu = t->relu, accumulate = t->accumulate, valid = t->cols - (vectors - 1) * OF(_lanes);
  const real *a = t->a + first * lda, *bias = t->bias;
  const int64_t *c_at = unit ? 0 : t->c_at;
  const real *gate = unit && t->gate ? t->gate + first * ldc : 0;
  real *c = t->c + first * ldc;
  for (; tiles > 0; tiles--, a += rows * lda, c += rows * ldc) {
    const real *b = t->b, *p0 = a, *p1 = p0 + 3 * lda, *p2 = p1 + 3 * lda, *p3 = p2 + 3 * lda, *p4 = p3 + 3 * lda;
    real *out = c;
    OF(_t) s0 = OF(_splat)(0), s1 = s0, s2 = s0, s3 = s0;
    if (bias) {
      s0 = OF(_get)(bias, valid, whole || vectors > 1);
      if (vectors > 1) s1 = OF(_get)(bias + OF(_lanes), valid, whole || vectors > 2);
      if (vectors > 2) s2 = OF(_get)(bias + 2 * OF(_lanes), valid, 1), s3 = OF(_get)(bias + 3 * OF(_lanes), valid, whole);
    }
#define MOVE_ON(a_far, b_far) p0 += a_far, p1 += a_far, p2 += a_far, p3 += a_far, p4 += a_far, b += b_far;
#define BEGIN(r, p, q)        OF(_t) c##r##_0 = s0, c##r##_1 = s1, c##r##_2 = s2, c##r##_3 = s3;
    RH_TILE_ROWS(BEGIN)
#define LOAD_C(r, p, q)                                                                 \
  if (rows > r) {                                                                       \
    const real *at = c_at ? c + c_at[r] : c + r * ldc;                                  \
    c##r##_0 = OF(_get)(at, valid, whole || vectors > 1);                               \
    if (vectors > 1) c##r##_1 = OF(_get)(at + OF(_lanes), valid, whole || vectors > 2); \
    if (vectors > 2) c##r##_2 = OF(_get)(at + 2 * OF(_lanes), valid, 1);                \
    if (vectors > 2) c##r##_3 = OF(_get)(at + 3 * OF(_lanes), valid, whole);            \
  }
    if (accumulate) {
      RH_TILE_ROWS(LOAD_C)
    }
    int64_t images = t->images, lines;
    do {
      lines = t->lines;
      do {
        for (int64_t i = k; i > 0; i--) {
          OF(_t) b0 = OF(_load)(b), b1 = vectors > 1 ? OF(_load)(b + OF(_lanes)) : b0;
          if (RH_AHEAD > 0 && !unit) {
            __builtin_prefetch(b + RH_AHEAD * b_term);
            if (vectors > 1) __builtin_prefetch(b + RH_AHEAD * b_term + OF(_lanes));
            if (vectors > 2) __builtin_prefetch(b + RH_AHEAD * b_term + b_next);
            if (vectors > 2) __builtin_prefetch(b + RH_AHEAD * b_term + b_next + OF(_lanes));
            __builtin_prefetch(p0 + RH_AHEAD * a_term);
            if (rows > 4) __builtin_prefetch(p0 + RH_AHEAD * a_term + rows - 1);
          }
          OF(_t) b2 = vectors > 2 ? OF(_load)(b + b_next) : b0, b3 = vectors > 2 ? OF(_load)(b + b_next + OF(_lanes)) : b0;
          RH_HOLD(b0);
          if (vectors > 1) RH_HOLD(b1);
          if (vectors > 2) RH_HOLD(b2);
          if (vectors > 2) RH_HOLD(b3);
#define STEP(r, p, q)                                      \
  if (rows > r) {                                          \
    const OF(_t) x = OF(_splat)(p[q * lda]);               \
    c##r##_0 = OF(_fma)(x, b0, c##r##_0);                  \
    if (vectors > 1) c##r##_1 = OF(_fma)(x, b1, c##r##_1); \
    if (vectors > 2) c##r##_2 = OF(_fma)(x, b2, c##r##_2); \
    if (vectors > 2) c##r##_3 = OF(_fma)(x, b3, c##r##_3); \
  }
          RH_TILE_ROWS(STEP)
          p0 += a_term, p1 += a_term, p2 += a_term, p3 += a_term, p4 += a_term, b += b_term;
        }
        MOVE_ON(t->a_skip, t->b_skip)
      } while (--lines > 0);
      b += t->b_image_skip;
    } while (--images > 0);
#define RELU(r, p, q)                                                                \
  if (rows > r) {                                                                    \
    c##r##_0 = OF(_relu)(c##r##_0), c##r##_1 = OF(_relu)(c##r##_1);                  \
    if (vectors > 2) c##r##_2 = OF(_relu)(c##r##_2), c##r##_3 = OF(_relu)(c##r##_3); \
  }
    if (relu) {
      RH_TILE_ROWS(RELU)
    }
#define GATE(r, p, q)                                                                                        \
  if (rows > r) {                                                                                            \
    const real *at = gate + r * ldc;                                                                         \
    c##r##_0 = OF(_keep)(c##r##_0, OF(_get)(at, valid, whole || vectors > 1));                               \
    if (vectors > 1) c##r##_1 = OF(_keep)(c##r##_1, OF(_get)(at + OF(_lanes), valid, whole || vectors > 2)); \
    if (vectors > 2) c##r##_2 = OF(_keep)(c##r##_2, OF(_get)(at + 2 * OF(_lanes), valid, 1));                \
    if (vectors > 2) c##r##_3 = OF(_keep)(c##r##_3, OF(_get)(at + 3 * OF(_lanes), valid, whole));            \
  }
    if (gate) {
      RH_TILE_ROWS(GATE)
      gate += rows * ldc;
    }
#define END(r, p, q)                                                                    \
  if (rows > r) {                                                                       \
    if (c_at) out = c + c_at[r];                                                        \
    OF(_put)(out, valid, whole || vectors > 1, c##r##_0);                               \
    if (vectors > 1) OF(_put)(out + OF(_lanes), valid, whole || vectors > 2, c##r##_1); \
    if (vectors > 2) OF(_put)(out + 2 * OF(_lanes), valid, 1, c##r##_2);                \
    if (vectors > 2) OF(_put)(out + 3 * OF(_lanes), valid, whole, c##r##_3);            \
    out += ldc;                                                                         \
  }
    RH_TILE_ROWS(END)
#undef MOVE_ON
#undef BEGIN
#undef LOAD_C
#undef STEP
#undef RELU
#undef GATE
#undef END
  }
}
