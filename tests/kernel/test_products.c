/* Products, every level and precision: the reference's bits where multiply and add are fused, and a row's bits whatever stands around it.
 */
#include "kernel_test.h"

typedef struct product {
  int64_t rows, k, n;
  int64_t lda, ldc;
  int bias, accumulate;
  rh_epilogue epilogue;
} product;

static int64_t panels_of(const rh_kernels *k, int64_t n) {
  return (n + k->panel - 1) / k->panel;
}

/* b: [k, n] by rows, or by columns if `transposed`; packed in one go, or panel by panel from the last. */
static void *packed(const rh_kernels *t, int64_t k, int64_t n, const void *b, int transposed, int pieces) {
  void *p = malloc((size_t)t->pack_count(k, n) * (size_t)t->real_bytes);
  assert_non_null(p);
  memset(p, 0xff, (size_t)t->pack_count(k, n) * (size_t)t->real_bytes); /* NaN: what is not written would show */
  const int64_t rs = transposed ? 1 : n, cs = transposed ? k : 1;
  if (!pieces) t->pack(k, n, b, rs, cs, p, 0, panels_of(t, n));
  for (int64_t i = panels_of(t, n) - 1; pieces && i >= 0; i--) t->pack(k, n, b, rs, cs, p, i, i + 1);
  return p;
}

static void *transpose_of(int bytes, int64_t k, int64_t n, const void *b) {
  void *t = malloc((size_t)(k * n + 1) * (size_t)bytes);
  assert_non_null(t);
  for (int64_t i = 0; i < k; i++)
    for (int64_t j = 0; j < n; j++) put(t, bytes, j * k + i, get(b, bytes, i * n + j));
  return t;
}

/* |x - y| <= 2 K eps sum|ab|, or the same bits. */
static void compare(const rh_kernels *t, const char *what, product s, const void *c, const void *want, const double *sums) {
  const int bytes = t->real_bytes;
  const double eps = bytes == 4 ? 0x1p-23 : 0x1p-52;
  for (int64_t r = 0; r < s.rows; r++)
    for (int64_t j = 0; j < s.n; j++) {
      const double g = get(c, bytes, r * s.ldc + j), w = get(want, bytes, r * s.ldc + j);
      if (fuses(t) ? memcmp(&g, &w, sizeof g) != 0 : !(fabs(g - w) <= 2 * (double)(s.k + 2) * eps * sums[r * s.n + j]))
        fail_msg("%s, %d bytes, %s %ld x %ld x %ld (lda %ld, bias %d, accumulate %d, epilogue %d): c[%ld, %ld] is %.17g, not %.17g", t->isa,
                 bytes, what, (long)s.rows, (long)s.k, (long)s.n, (long)s.lda, s.bias, s.accumulate, (int)s.epilogue, (long)r, (long)j, g,
                 w);
    }
}

static double *absolute_sums(int bytes, product s, const void *a, const void *b, const void *bias, const void *c) {
  double *sums = malloc((size_t)(s.rows * s.n) * sizeof *sums);
  assert_non_null(sums);
  for (int64_t r = 0; r < s.rows; r++)
    for (int64_t j = 0; j < s.n; j++) {
      double sum = s.accumulate ? fabs(get(c, bytes, r * s.ldc + j)) : s.bias ? fabs(get(bias, bytes, j)) : 0;
      for (int64_t i = 0; i < s.k; i++) sum += fabs(get(a, bytes, r * s.lda + i) * get(b, bytes, i * s.n + j));
      sums[r * s.n + j] = sum;
    }
  return sums;
}

static void check(const rh_kernels *t, const rh_kernels *ref, product s) {
  const int bytes = t->real_bytes;
  const int64_t na = s.rows ? (s.rows - 1) * s.lda + s.k : 0, nc = s.rows ? (s.rows - 1) * s.ldc + s.n : 0;
  void *a = numbers(bytes, na, 1), *b = numbers(bytes, s.k * s.n, 2), *bias = numbers(bytes, s.n, 3), *c = numbers(bytes, nc, 4),
       *want = numbers(bytes, nc, 4), *gate = numbers(bytes, nc, 5);
  void *bt = transpose_of(bytes, s.k, s.n, b), *p = packed(t, s.k, s.n, s.rows % 2 ? bt : b, s.rows % 2, s.k % 2),
       *q = packed(ref, s.k, s.n, b, 0, 0);
  double *sums = absolute_sums(bytes, s, a, b, bias, c);
  t->gemm(s.rows, s.k, s.n, a, s.lda, p, s.bias ? bias : NULL, c, s.ldc, s.accumulate, s.epilogue, gate);
  ref->gemm(s.rows, s.k, s.n, a, s.lda, q, s.bias ? bias : NULL, want, s.ldc, s.accumulate, s.epilogue, gate);
  compare(t, "product", s, c, want, sums);
  for (int64_t r = 0; r + 1 < s.rows; r++) /* between the rows of c nothing is touched */
    assert_memory_equal(at(c, bytes, r * s.ldc + s.n), at(want, bytes, r * s.ldc + s.n), (size_t)((s.ldc - s.n) * bytes));
  free(a), free(b), free(bias), free(c), free(want), free(gate), free(bt), free(p), free(q), free(sums);
}

static void small_of(const rh_kernels *t, const rh_kernels *ref) {
  for (int64_t k = 1; k <= 40; k++)
    for (int64_t n = 1; n <= 40; n++) {
      const int64_t rows = 1 + (k * 7 + n * 3) % 37;
      check(t, ref, (product){rows, k, n, k, n, (int)(k + n) % 2, (int)(k % 5 == 0), (rh_epilogue)((n + k / 3) % RH_EPI_COUNT)});
    }
  for (int64_t rows = 1; rows <= 60; rows++) /* every remainder of rows, on each kind of panel */
    for (int64_t n = 1; n <= 70; n += n < 7 ? 1 : 9) check(t, ref, (product){rows, 11, n, 11, n, 1, 0, RH_EPI_NONE});
}
static void small_sizes(void **state) {
  (void)state;
  each_table(small_of);
}

static void large_of(const rh_kernels *t, const rh_kernels *ref) {
  const product cases[] = {
      {64, 512, 96, 512, 96, 1, 0, RH_EPI_RELU},   {33, 256, 6, 256, 6, 1, 0, RH_EPI_NONE},     {100, 3, 256, 3, 256, 1, 0, RH_EPI_RELU},
      {70, 1024, 40, 1024, 40, 0, 0, RH_EPI_NONE}, {29, 2048, 70, 2048, 77, 0, 1, RH_EPI_NONE}, {50, 40, 43, 61, 50, 1, 0, RH_EPI_RELU},
      {50, 40, 43, 61, 50, 0, 1, RH_EPI_GATE},     {77, 9, 2, 12, 9, 1, 0, RH_EPI_GATE},        {77, 9, 5, 12, 9, 0, 1, RH_EPI_RELU},
      {300, 64, 1, 64, 1, 1, 0, RH_EPI_NONE},      {77, 4, 13, 9, 20, 0, 1, RH_EPI_RELU},       {0, 5, 5, 5, 5, 1, 0, RH_EPI_NONE},
      {7, 700, 300, 700, 300, 1, 0, RH_EPI_NONE},  {29, 2048, 70, 2048, 77, 0, 1, RH_EPI_GATE}, {64, 512, 96, 512, 96, 0, 0, RH_EPI_GATE},
      {100, 3, 256, 3, 256, 1, 0, RH_EPI_GATE},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) check(t, ref, cases[i]);
}
static void large_sizes(void **state) {
  (void)state;
  each_table(large_of);
}

/* A row alone, in 7 and in 1000, at every place, has the same bits. */
static void places_of(const rh_kernels *t, const rh_kernels *ref) {
  static const int64_t sizes[][2] = {{5, 40}, {3, 64}, {64, 2}, {33, 1}, {17, 7}, {40, 43}, {9, 6}, {100, 16}};
  (void)ref;
  const int bytes = t->real_bytes;
  enum { ROWS = 1000 };
  for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
    const int64_t k = sizes[i][0], n = sizes[i][1];
    void *row = numbers(bytes, k, 9), *a = numbers(bytes, ROWS * k, 1), *b = numbers(bytes, k * n, 2), *c = numbers(bytes, ROWS * n, 3);
    void *one = numbers(bytes, n, 4), *p = packed(t, k, n, b, 0, 0);
    t->gemm(1, k, n, row, k, p, NULL, one, n, 0, RH_EPI_NONE, NULL);
    for (int64_t rows = 1; rows <= ROWS; rows = rows < 40 ? rows + 1 : rows * 5) {
      for (int64_t r = 0; r < rows; r++) memcpy(at(a, bytes, r * k), row, (size_t)(k * bytes));
      t->gemm(rows, k, n, a, k, p, NULL, c, n, 0, RH_EPI_NONE, NULL);
      for (int64_t r = 0; r < rows; r++) assert_memory_equal(at(c, bytes, r * n), one, (size_t)(n * bytes));
    }
    free(row), free(a), free(b), free(c), free(one), free(p);
  }
}
static void every_place(void **state) {
  (void)state;
  each_table(places_of);
}

/* c [m, n] (+)= a' b: `rows` is the sum's length here, ldc that of c. */
static void check_gradient(const rh_kernels *t, const rh_kernels *ref, int64_t rows, int64_t m, int64_t n, int64_t lda, int64_t ldb,
                           int64_t ldc, int accumulate) {
  const int bytes = t->real_bytes;
  void *a = numbers(bytes, rows ? (rows - 1) * lda + m : 0, 1), *b = numbers(bytes, rows ? (rows - 1) * ldb + n : 0, 2);
  void *c = numbers(bytes, (m - 1) * ldc + n, 3), *want = numbers(bytes, (m - 1) * ldc + n, 3);
  double *sums = malloc((size_t)(m * n) * sizeof *sums);
  assert_non_null(sums);
  for (int64_t i = 0; i < m * n; i++) {
    sums[i] = accumulate ? fabs(get(c, bytes, i / n * ldc + i % n)) : 0;
    for (int64_t r = 0; r < rows; r++) sums[i] += fabs(get(a, bytes, r * lda + i / n) * get(b, bytes, r * ldb + i % n));
  }
  t->gemm_tn(m, n, rows, a, lda, b, ldb, c, ldc, accumulate);
  ref->gemm_tn(m, n, rows, a, lda, b, ldb, want, ldc, accumulate);
  compare(t, "gradient", (product){.rows = m, .k = rows, .n = n, .lda = lda, .ldc = ldc, .accumulate = accumulate}, c, want, sums);
  for (int64_t i = 0; i + 1 < m; i++)
    assert_memory_equal(at(c, bytes, i * ldc + n), at(want, bytes, i * ldc + n), (size_t)((ldc - n) * bytes));
  free(a), free(b), free(c), free(want), free(sums);
}

static void gradient_of(const rh_kernels *t, const rh_kernels *ref) {
  for (int64_t m = 1; m <= 40; m++)
    for (int64_t n = 1; n <= 40; n++)
      check_gradient(t, ref, 1 + (m * 5 + n) % 23, m, n, m + m % 3, n + n % 2, n + n % 4, (int)((m + n) % 2));
  static const int64_t cases[][3] = {{300, 70, 33}, {257, 64, 512}, {600, 3, 256},  {513, 256, 6}, {700, 1, 64},
                                     {300, 64, 2},  {0, 5, 7},      {1, 64, 64},    {260, 130, 1}, {270, 1, 1},
                                     {300, 15, 65}, {300, 20, 400}, {300, 400, 20}, {259, 7, 130}, {259, 14, 100}};
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
    for (int accumulate = 0; accumulate < 2; accumulate++)
      check_gradient(t, ref, cases[i][0], cases[i][1], cases[i][2], cases[i][1] + 3, cases[i][2], cases[i][2] + 1, accumulate);
}
static void gradients(void **state) {
  (void)state;
  each_table(gradient_of);
}

/* Rows that reach different ways have the bits of the whole product, and nothing else is written. */
static void ragged_of(const rh_kernels *t, const rh_kernels *ref) {
  enum { ROWS = 300, M = 70, N = 170 };
  (void)ref;
  const int bytes = t->real_bytes;
  void *a = numbers(bytes, ROWS * M, 1), *b = numbers(bytes, ROWS * N, 2);
  for (int64_t m = 1; m <= M; m += m < 16 ? 1 : 9)
    for (int accumulate = 0; accumulate < 2; accumulate++) {
      int64_t row[M], reach[M];
      for (int64_t i = 0; i < m; i++) reach[i] = i / 5 * (m % 13 + 1) < N ? i / 5 * (m % 13 + 1) : N, row[i] = i * (N + 1);
      void *c = numbers(bytes, M * (N + 1), 3), *want = numbers(bytes, M * (N + 1), 3), *whole = numbers(bytes, M * (N + 1), 3);
      t->gemm_tn(m, N, ROWS, a, M, b, N, whole, N + 1, accumulate);
      t->gemm_tn_ragged(m, ROWS, a, M, b, N, c, row, reach, accumulate);
      for (int64_t i = 0; i < m; i++) memcpy(at(want, bytes, row[i]), at(whole, bytes, row[i]), (size_t)(reach[i] * bytes));
      assert_memory_equal(c, want, (size_t)(M * (N + 1) * bytes));
      free(c), free(want), free(whole);
    }
  free(a), free(b);
}
static void ragged(void **state) {
  (void)state;
  each_table(ragged_of);
}

/* Any cutting of the rows, and any cutting of c, gives the same bits. */
static void cuts_of(const rh_kernels *t, const rh_kernels *ref) {
  enum { ROWS = 600, M = 70, N = 45 };
  (void)ref;
  const int bytes = t->real_bytes;
  void *a = numbers(bytes, ROWS * M, 1), *b = numbers(bytes, ROWS * N, 2), *whole = numbers(bytes, M * N, 3),
       *parts = numbers(bytes, M * N, 3);
  t->gemm_tn(M, N, ROWS, a, M, b, N, whole, N, 0);
  for (int64_t cut = 1; cut < ROWS; cut += 37) {
    t->gemm_tn(M, N, cut, a, M, b, N, parts, N, 0);
    t->gemm_tn(M, N, ROWS - cut, at(a, bytes, cut * M), M, at(b, bytes, cut * N), N, parts, N, 1);
    assert_memory_equal(whole, parts, (size_t)(M * N * bytes));
  }
  for (int64_t cut = 1; cut < M; cut++) {
    memset(parts, 0, (size_t)(M * N * bytes));
    t->gemm_tn(cut, N, ROWS, a, M, b, N, parts, N, 0);
    t->gemm_tn(M - cut, N, ROWS, at(a, bytes, cut), M, b, N, at(parts, bytes, cut * N), N, 0);
    assert_memory_equal(whole, parts, (size_t)(M * N * bytes));
  }
  free(a), free(b), free(whole), free(parts);
}
static void cuts(void **state) {
  (void)state;
  each_table(cuts_of);
}

/* NaN and infinity reach their own row alone; relu keeps NaN. */
static void special_of(const rh_kernels *t, const rh_kernels *ref) {
  (void)ref;
  const int bytes = t->real_bytes;
  static const int64_t sizes[][2] = {{20, 40}, {3, 40}, {20, 2}};
  for (int i = 0; i < 3; i++) {
    const int64_t k = sizes[i][0], n = sizes[i][1];
    void *a = numbers(bytes, 50 * k, 1), *b = numbers(bytes, k * n, 2), *c = numbers(bytes, 50 * n, 3), *clean = numbers(bytes, 50 * n, 3),
         *p = packed(t, k, n, b, 0, 0);
    t->gemm(50, k, n, a, k, p, NULL, clean, n, 0, RH_EPI_RELU, NULL);
    put(a, bytes, 31 * k + 1, NAN);
    t->gemm(50, k, n, a, k, p, NULL, c, n, 0, RH_EPI_RELU, NULL);
    for (int64_t j = 0; j < n; j++) assert_true(isnan(get(c, bytes, 31 * n + j)));
    for (int64_t j = 0; j < n; j++) put(c, bytes, 31 * n + j, get(clean, bytes, 31 * n + j));
    assert_memory_equal(c, clean, (size_t)(50 * n * bytes));
    free(a), free(b), free(c), free(clean), free(p);
  }
}
static void special_values(void **state) {
  (void)state;
  each_table(special_of);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(small_sizes), cmocka_unit_test(large_sizes), cmocka_unit_test(every_place),    cmocka_unit_test(gradients),
      cmocka_unit_test(ragged),      cmocka_unit_test(cuts),        cmocka_unit_test(special_values),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
