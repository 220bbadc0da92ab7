/* One source, several builds: sources.cmake compiles the files of ref/ and simd/ once per level and precision, with RH_LEVEL (ref, base,
 * v3, v4) and RH_BITS (32, 64) defined. Here: the type that stands for both, and the names that the files of one build share. */
#ifndef RH_KERNEL_LEVEL_H
#define RH_KERNEL_LEVEL_H
#include "kernel/kernel.h"

#define RH_JOIN_(a, b, c) rh_##a##_##b##_##c
#define RH_JOIN(a, b, c)  RH_JOIN_(a, b, c)
#define RH_SYM(name)      RH_JOIN(name, RH_LEVEL, RH_BITS) /* rh_gemm_v4_32 */
#define RH_TEXT_(x)       #x
#define RH_TEXT(x)        RH_TEXT_(x)

#if RH_BITS == 32
typedef float real;
typedef uint32_t bits;
#else
typedef double real;
typedef uint64_t bits;
#endif

/* The columns of a panel, by level and precision: two vectors of the level. */
#if defined(__AVX512F__)
enum { RH_VECTOR_BYTES = 64 };
#elif defined(__AVX2__)
enum { RH_VECTOR_BYTES = 32 };
#else
enum { RH_VECTOR_BYTES = 16 };
#endif
enum { RH_LANES = RH_VECTOR_BYTES / (RH_BITS / 8), RH_PANEL = 2 * RH_LANES };

/* Sums over a row have this many interleaved partial sums, at every level: the tree depends on the columns alone. */
enum { RH_TREE = 16 };

/* What the files of one build give to its table. */
#define RH_DECLARE_U(name, id) rh_unary_fn RH_SYM(unary_##id);
#define RH_DECLARE_B(name, id) rh_binary_fn RH_SYM(binary_##id);
RH_UNARY_LIST(RH_DECLARE_U)
RH_BINARY_LIST(RH_DECLARE_B)
int64_t RH_SYM(pack_count)(int64_t k, int64_t n);
void RH_SYM(pack)(int64_t k, int64_t n, const void *b, int64_t rs, int64_t cs, void *packed, int64_t first_panel, int64_t last_panel);
void RH_SYM(gemm)(int64_t rows, int64_t k, int64_t n, const void *a, int64_t lda, const void *packed, const void *bias, void *c,
                  int64_t ldc, int accumulate, rh_epilogue epilogue, const void *gate);
void RH_SYM(gemm_tn)(int64_t m, int64_t n, int64_t rows, const void *a, int64_t lda, const void *b, int64_t ldb, void *c, int64_t ldc,
                     int accumulate);
void RH_SYM(gemm_tn_ragged)(int64_t m, int64_t rows, const void *a, int64_t lda, const void *b, int64_t ldb, void *c, const int64_t *row,
                            const int64_t *reach, int accumulate);
void RH_SYM(conv)(const rh_conv_shape *s, int64_t images, const void *x, const void *packed, const void *bias, void *y,
                  rh_epilogue epilogue, const void *gate);
void RH_SYM(conv_tn)(const rh_conv_shape *s, int64_t images, int64_t first, int64_t n, const void *x, const void *dy, void *dw,
                     int accumulate);
void RH_SYM(row_sum)(int64_t rows, int64_t cols, const void *x, void *y);
void RH_SYM(row_max)(int64_t rows, int64_t cols, const void *x, void *y);
void RH_SYM(col_sum)(int64_t rows, int64_t cols, const void *x, int64_t ldx, void *y, int accumulate);
void RH_SYM(adam)(int64_t n, const void *g, void *w, void *m, void *v, void *ema, const rh_adam_step *step);
void RH_SYM(rqs)(const rh_rqs *s, int inverse, int64_t n, const void *x, const void *raw, void *y, void *ladj);
void RH_SYM(rqs_vjp)(const rh_rqs *s, int inverse, int64_t n, const void *x, const void *raw, const void *ct_y, const void *ct_ladj,
                     void *dx, void *draw);
double RH_SYM(sum_squares)(int64_t n, const void *x);

extern const rh_kernels RH_SYM(kernels);
#endif
