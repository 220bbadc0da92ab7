/* The kernels: raw pointers, row counts, nothing above. One table per (instruction-set level, precision); every entry has a plain C
 * reference (kernel/ref) which is the oracle and the portable build. `void *` stands for float or double by the table's
 * real_bytes; all strides and counts are in elements.
 *
 * Bits: entry by entry, an output element's bits depend on its own inputs alone: never on the number of rows, its place among them, nor on
 * alignment. Products: one accumulator per output, k (or rows) ascending, one fma a term; so every level with fma gives the reference's
 * bits. */
#ifndef RH_KERNEL_KERNEL_H
#define RH_KERNEL_KERNEL_H
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

/* clang-format off: tables */
/* X(name, expression in x and p): elementwise, p a constant of the node. */
#define RH_UNARY_LIST(X)                                                                         \
  X(COPY, copy)     /* x */                                                                      \
  X(NEG, neg)       /* -x */                                                                     \
  X(ABS, abs)       /* |x| */                                                                    \
  X(SIGN, sign)     /* -1, 0, 1 */                                                               \
  X(STEP, step)     /* x > 0 ? 1 : 0 */                                                          \
  X(FLOOR, floor)   /* the greatest whole number <= x */                                         \
  X(SQUARE, square) /* x^2 */                                                                    \
  X(SQRT, sqrt)                                                                                  \
  X(RECIP, recip) /* 1 / x */                                                                    \
  X(EXP, exp)     /* overflow to inf, underflow through subnormals or to 0 */                    \
  X(LOG, log)     /* log 0 = -inf, log of negative = NaN */                                      \
  X(LOG1P, log1p)                                                                                \
  X(EXPM1, expm1)                                                                                \
  X(TANH, tanh)                                                                                  \
  X(SIGMOID, sigmoid)   /* stable on both sides */                                               \
  X(SOFTPLUS, softplus) /* log(1 + e^x) = max(x, 0) + log1p(e^-|x|) */                           \
  X(RELU, relu)         /* x > 0 ? x : 0 (NaN gives NaN) */                                      \
  X(SILU, silu)         /* x sigmoid(x) */                                                       \
  X(ERF, erf)                                                                                    \
  X(GELU, gelu) /* x Phi(x), exact erf form */                                                   \
  X(ELU, elu)   /* x > 0 ? x : e^x - 1 */                                                        \
  X(SIN, sin)                                                                                    \
  X(COS, cos)                                                                                    \
  X(NORMICDF, normicdf)   /* inverse of the standard normal's distribution function on (0, 1) */ \
  X(BOUND, bound)         /* p tanh(x / p): smooth bound into (-p, p) */                         \
  X(HALFGAMMA, halfgamma) /* d^p/dx^p of log Gamma(x + 1/2) - log Gamma(x), p whole, x > 0 */    \
  X(ADDC, addc)           /* x + p */                                                            \
  X(MULC, mulc)           /* x p */                                                              \
  X(MAXC, maxc)           /* x < p ? p : x (NaN gives NaN) */                                    \
  X(MINC, minc)           /* x > p ? p : x (NaN gives NaN) */

/* Elementwise with two operands. GATE is relu's derivative, TANHG tanh's and BOUNDG bound's, each from the function's own OUTPUT b. */
#define RH_BINARY_LIST(X)                           \
  X(ADD, add)                                       \
  X(SUB, sub)                                       \
  X(MUL, mul)                                       \
  X(DIV, div)                                       \
  X(MAX, max) /* a < b ? b : a; NaN if either is */ \
  X(MIN, min)                                       \
  X(GREATER, greater)   /* a > b ? 1 : 0 */         \
  X(GATE, gate)         /* b > 0 ? a : 0 */         \
  X(MULEXP, mulexp)     /* a e^b */                 \
  X(TANHG, tanhg)       /* a (1 - b^2) */           \
  X(SIGMOIDG, sigmoidg) /* a b (1 - b) */           \
  X(BOUNDG, boundg)     /* a (1 - (b / p)^2) */
/* clang-format on */

#define RH_KERNEL_ENUM_U(name, id) RH_U_##name,
#define RH_KERNEL_ENUM_B(name, id) RH_B_##name,
typedef enum rh_unary { RH_UNARY_LIST(RH_KERNEL_ENUM_U) RH_U_COUNT } rh_unary;
typedef enum rh_binary { RH_BINARY_LIST(RH_KERNEL_ENUM_B) RH_B_COUNT } rh_binary;
#undef RH_KERNEL_ENUM_U
#undef RH_KERNEL_ENUM_B

typedef void rh_unary_fn(int64_t n, const void *x, void *y, double p); /* y may be x */
/* y[r, c] = f(a[r * ar + c * ac], b[r * br + c * bc]), r < rows, c < cols, y dense. Column steps are 0 (one scalar a row) or 1; row steps
 * are 0 (shared by all rows), 1 (only with column step 0) or cols. y may be an operand that is itself dense. */
typedef void rh_binary_fn(int64_t rows, int64_t cols, const void *a, int64_t ar, int64_t ac, const void *b, int64_t br, int64_t bc, void *y,
                          double p);

/* What a product does to its result in registers, before it is stored. */
typedef enum rh_epilogue { RH_EPI_NONE, RH_EPI_RELU, RH_EPI_GATE, RH_EPI_COUNT } rh_epilogue;

typedef struct rh_adam_step {
  double grad_scale, b1, b2, c1, c2, eps, rate, decay, keep;
} rh_adam_step;

/* Monotonic rational-quadratic splines of K bins (Gregory & Delbourgo 1982; Durkan et al. 2019, Neural Spline Flows, section 3.1) on the
 * box [-B, B]. The raw numbers of an element: K widths, K heights, slopes at knots; widths are 2 B (min + (1 - K min) softmax), slopes
 * min + softplus(raw + shift), shift such that 0 gives slope 1. Outside the box y = x; there raw has no gradient.
 *   linear:   K - 1 inner slopes, 1 at the ends
 *   bounded:  K + 1 slopes; data belong into the box (the identity outside is there for numbers to stay finite)
 *   circular: K slopes, the last knot's is the first's; x is taken into the box by whole turns of 2 B first */
typedef enum rh_tails { RH_TAILS_LINEAR, RH_TAILS_BOUNDED, RH_TAILS_CIRCULAR, RH_TAILS_COUNT } rh_tails;
enum { RH_RQS_BINS = 64 }; /* at most */
typedef struct rh_rqs {
  int64_t bins, tails; /* rh_tails */
  double box, min_width, min_height, min_slope;
  double shift; /* log(e^(1 - min_slope) - 1) */
} rh_rqs;
static inline int64_t rh_rqs_slopes(const rh_rqs *s) {
  return s->tails == RH_TAILS_LINEAR ? s->bins - 1 : s->tails == RH_TAILS_BOUNDED ? s->bins + 1 : s->bins;
}
static inline int64_t rh_rqs_params(const rh_rqs *s) {
  return 2 * s->bins + rh_rqs_slopes(s);
}
/* Where the slope at a knot lies among an element's raw numbers; params for one that is fixed at 1. */
static inline int64_t rh_rqs_slope_at(const rh_rqs *s, int64_t knot) {
  const int64_t k = s->bins, first = 2 * k;
  if (s->tails == RH_TAILS_LINEAR) return knot == 0 || knot == k ? rh_rqs_params(s) : first + knot - 1;
  return s->tails == RH_TAILS_BOUNDED ? first + knot : first + knot % k;
}

/* A convolution over an image of h x w pixels of c numbers each (channels last), whatever padding it has included: a window of kh x kw
 * pixels in steps of `stride` gives oh x ow pixels of o numbers. */
typedef struct rh_conv_shape {
  int64_t h, w, c, oh, ow, o, kh, kw, stride;
} rh_conv_shape;

typedef struct rh_kernels {
  const char *isa; /* "ref", "base", "v3", "v4" */
  int real_bytes;  /* 4 or 8 */
  rh_unary_fn *unary[RH_U_COUNT];
  rh_binary_fn *binary[RH_B_COUNT];

  /* Packed weights: a k x n matrix, element (i, j) at b[i * rs + j * cs], into panels of the table's own width, zero-padded. Panels
   * [first, last) only, so that threads can share the work. pack_count: elements of the whole packed matrix. */
  int panel;
  int64_t (*pack_count)(int64_t k, int64_t n);
  void (*pack)(int64_t k, int64_t n, const void *b, int64_t rs, int64_t cs, void *packed, int64_t first_panel, int64_t last_panel);

  /* Row product: c[r, j] = epi(start + sum_i a[r, i] b[i, j]), i ascending; start = c[r, j] if accumulate, else bias[j], or 0 when
   * bias is NULL. a: [rows, k] with row stride lda; c and gate: [rows, n] with row stride ldc. Only RH_EPI_GATE reads gate: it keeps what
   * stands where that is above 0, and makes the rest 0. */
  void (*gemm)(int64_t rows, int64_t k, int64_t n, const void *a, int64_t lda, const void *packed, const void *bias, void *c, int64_t ldc,
               int accumulate, rh_epilogue epilogue, const void *gate);

  /* Parameter gradient: c[i, j] (+)= sum_r a[r, i] b[r, j], r ascending, i < m, j < n; row stride ldc. Keeps adding to c as it is when
   * accumulate, so any cutting of the rows gives the same bits. */
  void (*gemm_tn)(int64_t m, int64_t n, int64_t rows, const void *a, int64_t lda, const void *b, int64_t ldb, void *c, int64_t ldc,
                  int accumulate);

  /* The same of rows that reach different ways: c[row[i] + j] (+)= sum_r a[r, i] b[r, j] for j < reach[i], reach never falling. */
  void (*gemm_tn_ragged)(int64_t m, int64_t rows, const void *a, int64_t lda, const void *b, int64_t ldb, void *c, const int64_t *row,
                         const int64_t *reach, int accumulate);

  /* Convolutions over images (below), one behind the other. y[p, q, :] = epi(bias + sum_(i, j, c) x[p stride + i, q stride + j, c]
   * b[(i, j, c), :]), the terms ascending; packed: b, kh kw c x o. gate as above, of y's shape. */
  void (*conv)(const rh_conv_shape *s, int64_t images, const void *x, const void *packed, const void *bias, void *y, rh_epilogue epilogue,
               const void *gate);
  /* Its gradient in the matrix, transposed, of whose columns [first, first + n): dw[v, (i, j, c)] (+)= sum_(images, p, q ascending)
   * x[p stride + i, q stride + j, c] dy[p, q, v]; dw: [o, kh kw c]. */
  void (*conv_tn)(const rh_conv_shape *s, int64_t images, int64_t first, int64_t n, const void *x, const void *dy, void *dw,
                  int accumulate);

  void (*row_sum)(int64_t rows, int64_t cols, const void *x, void *y); /* y[r] = sum_c x[r, c]: a fixed tree that depends on cols alone */
  void (*row_max)(int64_t rows, int64_t cols, const void *x, void *y); /* NaN wins */
  void (*col_sum)(int64_t rows, int64_t cols, const void *x, int64_t ldx, void *y,
                  int accumulate); /* y[c] (+)= sum_r x[r, c], r ascending */

  /* Adam / AdamW (Kingma & Ba 2015; Loshchilov & Hutter 2019), and the average of the weights. Elementwise over n:
   *   g *= grad_scale;  m = b1 m + (1 - b1) g;  v = b2 v + (1 - b2) g^2;
   *   w -= rate (m c1 / (sqrt(v c2) + eps) + decay w);   ema (if not NULL) = keep ema + (1 - keep) w
   * c1 = 1 / (1 - b1^t), c2 = 1 / (1 - b2^t). */
  void (*adam)(int64_t n, const void *g, void *w, void *m, void *v, void *ema, const rh_adam_step *step);
  /* n splines (above). x [n], raw [n, params] -> y [n], ladj [n] = log dy/dx; inverse: y in x's place -> x, minus the ladj there. */
  void (*rqs)(const rh_rqs *s, int inverse, int64_t n, const void *x, const void *raw, void *y, void *ladj);
  /* Its derivative: cotangents of y and ladj (NULL: zero) -> dx [n], draw [n, params]. inverse: of the inverse, at the solution x. */
  void (*rqs_vjp)(const rh_rqs *s, int inverse, int64_t n, const void *x, const void *raw, const void *ct_y, const void *ct_ladj, void *dx,
                  void *draw);

  double (*sum_squares)(int64_t n, const void *x); /* in double, a fixed order that depends on n alone */
} rh_kernels;

/* Levels this machine runs, worst first ("ref" always, then "base", "v3", "v4" on x86-64); count in *n. */
const char *const *rh_isa_levels(int *n);
const char *rh_isa_best(void);
/* The table of a level; isa NULL = best. RH_E_UNSUPPORTED names the levels there are. */
rh_status rh_kernels_get(const char *isa, int real_bytes, const rh_kernels **table) RH_WARN_UNUSED;
#endif
