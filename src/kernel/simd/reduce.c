/* Reductions. */
#include "kernel/simd/vec.h"

enum { PARTS = RH_TREE / RH_LANES > 0 ? RH_TREE / RH_LANES : 1 };

/* The tree of row_sum on fewer than nine columns; a constant number of them vectorises over rows. Adding -0 changes nothing. */
RH_INLINE real tree_of_eight(const real *x, const int cols) {
#define AT(l) (l < cols ? x[l < cols ? l : 0] : (real)-0.0)
  return ((AT(0) + AT(4)) + (AT(2) + AT(6))) + ((AT(1) + AT(5)) + (AT(3) + AT(7))) + 0;
}
#define DEFINE_FEW(cols)                                                         \
  static void sum_of_##cols(int64_t rows, const real *x, real *y) {              \
    for (int64_t r = 0; r < rows; r++) y[r] = tree_of_eight(x + r * cols, cols); \
  }
DEFINE_FEW(1)
DEFINE_FEW(2)
DEFINE_FEW(3)
DEFINE_FEW(4)
DEFINE_FEW(5)
DEFINE_FEW(6)
DEFINE_FEW(7)
DEFINE_FEW(8)
static void (*const sum_of[])(int64_t rows, const real *x, real *y) = {0,        sum_of_1, sum_of_2, sum_of_3, sum_of_4,
                                                                       sum_of_5, sum_of_6, sum_of_7, sum_of_8};

static int lanes_left(int64_t n) {
  return n >= RH_LANES ? RH_LANES : n > 0 ? (int)n : 0;
}

static real sum_row(const real *x, int64_t cols) {
  vec_t part[PARTS];
  real lane[RH_TREE];
  int64_t c = 0;
  for (int p = 0; p < PARTS; p++) part[p] = vec_splat(0);
  for (; c + RH_TREE <= cols; c += RH_TREE)
    for (int p = 0; p < PARTS; p++) part[p] += vec_load(x + c + p * RH_LANES);
  for (int p = 0; c < cols && p < PARTS; p++, c += RH_LANES) part[p] += vec_load_first(x + c, lanes_left(cols - c));
  for (int p = 0; p < PARTS; p++) vec_store(lane + p * RH_LANES, part[p]);
  for (int half = RH_TREE / 2; half; half /= 2)
    for (int l = 0; l < half; l++) lane[l] += lane[l + half];
  return lane[0];
}

void RH_SYM(row_sum)(int64_t rows, int64_t cols, const void *x_, void *y_) {
  const real *x = x_;
  real *y = y_;
  if (cols > 0 && cols <= 8)
    sum_of[cols](rows, x, y);
  else
    for (int64_t r = 0; r < rows; r++) y[r] = sum_row(x + r * cols, cols);
}

RH_INLINE real greater(real most, real x) {
  return most >= x || most != most ? most : x;
}

void RH_SYM(row_max)(int64_t rows, int64_t cols, const void *x, void *y) {
  for (int64_t r = 0; r < rows; r++) {
    const real *at = (const real *)x + r * cols;
    const real least = -(real)__builtin_inf();
    real most = least;
    int64_t c = 0;
    if (cols >= RH_TREE) {
      real lane[RH_TREE];
      for (int l = 0; l < RH_TREE; l++) lane[l] = at[l];
      for (c = RH_TREE; c + RH_TREE <= cols; c += RH_TREE)
        for (int l = 0; l < RH_TREE; l++) lane[l] = greater(lane[l], at[c + l]);
      for (int l = 0; l < RH_TREE; l++) most = greater(most, lane[l]);
    }
    for (; c < cols; c++) most = greater(most, at[c]);
    ((real *)y)[r] = most + 0; /* one zero only, whichever came first */
  }
}

enum { SUM_MOST = 8, SUM_AHEAD = 8, LINE_LANES = 64 / (RH_LANES * (int)sizeof(real)) > 0 ? 64 / (RH_LANES * (int)sizeof(real)) : 1 };

/* `vectors` vectors of columns, the last one of `valid` lanes, down all rows, which lie too far apart for hardware to look ahead. */
RH_INLINE void sum_columns(int64_t rows, const real *x, int64_t ldx, real *y, int accumulate, const int vectors, const int whole,
                           int valid) {
  vec_t sum[SUM_MOST];
  for (int v = 0; v < vectors; v++)
    sum[v] = !accumulate ? vec_splat(0) : whole ? vec_load(y + v * RH_LANES) : vec_load_first(y + v * RH_LANES, valid);
  for (int64_t r = 0; r < rows; r++, x += ldx) {
    for (int v = 0; v < vectors && vectors > 1; v += LINE_LANES) __builtin_prefetch(x + SUM_AHEAD * ldx + v * RH_LANES);
    for (int v = 0; v < vectors; v++) sum[v] += whole ? vec_load(x + v * RH_LANES) : vec_load_first(x + v * RH_LANES, valid);
  }
  for (int v = 0; v < vectors; v++)
    if (whole)
      vec_store(y + v * RH_LANES, sum[v]);
    else
      vec_store_first(y + v * RH_LANES, valid, sum[v]);
}

void RH_SYM(col_sum)(int64_t rows, int64_t cols, const void *x_, int64_t ldx, void *y_, int accumulate) {
  const real *x = x_;
  real *y = y_;
  int64_t c = 0;
  for (; c + SUM_MOST * RH_LANES <= cols; c += SUM_MOST * RH_LANES) sum_columns(rows, x + c, ldx, y + c, accumulate, SUM_MOST, 1, 0);
  for (; c + 4 * RH_LANES <= cols; c += 4 * RH_LANES) sum_columns(rows, x + c, ldx, y + c, accumulate, 4, 1, 0);
  for (; c + RH_LANES <= cols; c += RH_LANES) sum_columns(rows, x + c, ldx, y + c, accumulate, 1, 1, 0);
  if (cols - c == 1) {
    real sum = accumulate ? y[c] : 0;
    for (int64_t r = 0; r < rows; r++) sum += x[r * ldx + c];
    y[c] = sum;
  } else if (c < cols) {
    sum_columns(rows, x + c, ldx, y + c, accumulate, 1, 0, (int)(cols - c));
  }
}

double RH_SYM(sum_squares)(int64_t n, const void *x_) {
  const real *x = x_;
  double lane[RH_TREE] = {0};
  const int64_t whole = n - n % RH_TREE;
  for (int64_t i = 0; i < whole; i += RH_TREE)
    for (int l = 0; l < RH_TREE; l++) lane[l] += (double)x[i + l] * (double)x[i + l];
  for (int64_t i = whole; i < n; i++) lane[i - whole] += (double)x[i] * (double)x[i];
  for (int half = RH_TREE / 2; half; half /= 2)
    for (int l = 0; l < half; l++) lane[l] += lane[l + half];
  return lane[0];
}
