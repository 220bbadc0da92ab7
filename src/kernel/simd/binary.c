/* Elementwise functions of two operands. Rows of many columns are taken one by one; of few, several at once: an operand that is not
 * dense is written out over them, so that all lanes work. */
#include "kernel/simd/elementary.h"
#include "kernel/simd/loops.h"

enum { SPREAD = 512, WIDE = 64 }; /* elements written out at a time; columns from which rows go one by one */

typedef void flat_fn(int64_t n, const real *a, const real *b, real *y, real p);
typedef struct rh_row_loops {
  flat_fn *dense, *scalar_a, *scalar_b, *scalars;
} rh_row_loops;

/* Each of n numbers `times` times; a constant vectorises. */
RH_INLINE void repeat(int64_t n, const real *x, const int times, real *out) {
  RH_INDEPENDENT
  for (int64_t r = 0; r < n; r++)
    for (int l = 0; l < times; l++) out[r * times + l] = x[r];
}

/* x[r, c] = x[r * rs + c * cs] over `rows` rows, as a dense array of at most SPREAD, plus a group that may be overwritten. */
static void spread(int64_t rows, int64_t cols, const real *x, int64_t rs, int64_t cs, real *out) {
  const int64_t all = rows * cols;
  if (cs) { /* one row, again and again: what is there doubles */
    memcpy(out, x, (size_t)cols * sizeof(real));
    for (int64_t have = cols; have < all; have *= 2)
      memcpy(out + have, out, (size_t)(have < all - have ? have : all - have) * sizeof(real));
  } else if (!rs) {
    const real v = *x;
    for (int64_t i = 0; i < all; i++) out[i] = v;
  } else if (cols <= 4) {
    cols == 2 ? repeat(rows, x, 2, out) : cols == 3 ? repeat(rows, x, 3, out) : repeat(rows, x, 4, out);
  } else {
    for (int64_t r = 0; r < rows; r++, out += cols) {
      real group[RH_GROUP];
      for (int l = 0; l < RH_GROUP; l++) group[l] = x[r];
      for (int64_t g = 0; g < cols; g += RH_GROUP) memcpy(out + g, group, sizeof group); /* the next row overwrites the excess */
    }
  }
}

static void narrow_rows(const rh_row_loops *f, int64_t rows, int64_t cols, const real *a, int64_t ar, int64_t ac, const real *b, int64_t br,
                        int64_t bc, real *y, real p) {
  real wide_a[SPREAD + RH_GROUP], wide_b[SPREAD + RH_GROUP];
  const int64_t each = SPREAD / cols;
  const int dense_a = ac && ar, dense_b = bc && br;
  for (int64_t r = 0; r < rows; r += each) {
    const int64_t some = r + each < rows ? each : rows - r;
    if (!dense_a && (r == 0 || ar)) spread(some, cols, a + r * ar, ar, ac, wide_a);
    if (!dense_b && (r == 0 || br)) spread(some, cols, b + r * br, br, bc, wide_b);
    f->dense(some * cols, dense_a ? a + r * cols : wide_a, dense_b ? b + r * cols : wide_b, y + r * cols, p);
  }
}

static void any_rows(const rh_row_loops *f, int64_t rows, int64_t cols, const real *a, int64_t ar, int64_t ac, const real *b, int64_t br,
                     int64_t bc, real *y, real p) {
  const int one = rows == 1 || cols == 1; /* a single row or column: strides say the same in fewer words */
  if (rows == 1) ar = ac ? cols : 0, br = bc ? cols : 0;
  if (cols == 1) ac = ar != 0, bc = br != 0, cols = rows, rows = 1, ar = ac ? cols : 0, br = bc ? cols : 0;
  if (one || (ar == cols && ac && br == cols && bc)) cols *= rows, rows = 1;
  if (rows > 1 && cols < WIDE && cols > 0) {
    narrow_rows(f, rows, cols, a, ar, ac, b, br, bc, y, p);
    return;
  }
  flat_fn *row = ac ? bc ? f->dense : f->scalar_b : bc ? f->scalar_a : f->scalars;
  for (int64_t r = 0; r < rows; r++) row(cols, a + r * ar, b + r * br, y + r * cols, p);
}

/* One shape of one function: y = f(a, e), e = g(b), so that a b for all is prepared once. a_step and b_step are 0 or 1. */
#define RH_SHAPE(id, shape, a_step, b_step)                                                                              \
  static void id##_##shape(int64_t n, const real *a, const real *b, real *y, real p) {                                   \
    const real a0 = *a, e0 = prepare_##id(*b);                                                                           \
    const int64_t whole = n - n % RH_GROUP;                                                                              \
    const size_t rest = (size_t)(n - whole) * sizeof(real);                                                              \
    RH_INDEPENDENT                                                                                                       \
    for (int64_t i = 0; i < whole; i++) y[i] = apply_##id(a_step ? a[i] : a0, b_step ? prepare_##id(b[i]) : e0, p);      \
    if (!rest) return;                                                                                                   \
    real group[RH_GROUP], ga[RH_GROUP] = {0}, gb[RH_GROUP] = {0};                                                        \
    if (a_step) memcpy(ga, a + whole, rest);                                                                             \
    if (b_step) memcpy(gb, b + whole, rest);                                                                             \
    RH_INDEPENDENT                                                                                                       \
    for (int i = 0; i < RH_GROUP; i++) group[i] = apply_##id(a_step ? ga[i] : a0, b_step ? prepare_##id(gb[i]) : e0, p); \
    memcpy(y + whole, group, rest);                                                                                      \
  }

#define RH_DEFINE(id, prepared, expression)                                                                                          \
  RH_INLINE real prepare_##id(real b) {                                                                                              \
    return (prepared);                                                                                                               \
  }                                                                                                                                  \
  RH_INLINE real apply_##id(real a, real e, real p) {                                                                                \
    (void)p;                                                                                                                         \
    return (expression);                                                                                                             \
  }                                                                                                                                  \
  RH_SHAPE(id, dense, 1, 1)                                                                                                          \
  RH_SHAPE(id, scalar_a, 0, 1)                                                                                                       \
  RH_SHAPE(id, scalar_b, 1, 0)                                                                                                       \
  RH_SHAPE(id, scalars, 0, 0)                                                                                                        \
  void RH_SYM(binary_##id)(int64_t rows, int64_t cols, const void *a, int64_t ar, int64_t ac, const void *b, int64_t br, int64_t bc, \
                           void *y, double p) {                                                                                      \
    static const rh_row_loops loops = {id##_dense, id##_scalar_a, id##_scalar_b, id##_scalars};                                      \
    if (rows > 0 && cols > 0) any_rows(&loops, rows, cols, a, ar, ac, b, br, bc, y, (real)p);                                        \
  }

RH_DEFINE(add, b, a + e)
RH_DEFINE(sub, b, a - e)
RH_DEFINE(mul, b, a *e)
RH_DEFINE(div, b, a / e)
RH_DEFINE(max, b, e != e ? e : a < e ? e : a)
RH_DEFINE(min, b, e != e ? e : a > e ? e : a)
RH_DEFINE(greater, b, a > e ? (real)1 : (real)0)
RH_DEFINE(gate, b, e > 0 ? a : (real)0)
RH_DEFINE(mulexp, f_exp(b), a *e)
RH_DEFINE(tanhg, FMA(-b, b, (real)1), a *e)
RH_DEFINE(sigmoidg, b *(1 - b), a *e)
RH_DEFINE(boundg, b, a *FMA(-(e / p), e / p, (real)1))
