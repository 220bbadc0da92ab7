/* Sums, maxima and the Adam step against the reference, and the choice of tables. */
#include "kernel_test.h"

static const int64_t widths[] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 12, 15, 16, 17, 24, 31, 32, 33, 43, 64, 65, 100, 512, 1000};
static const int64_t counts[] = {1, 2, 3, 16, 37, 130};

/* Row sums have one tree for all levels, maxima and column sums one answer: the reference's bits everywhere. */
static void sums_of(const rh_kernels *k, const rh_kernels *ref) {
  const int bytes = k->real_bytes;
  for (size_t w = 0; w < sizeof widths / sizeof *widths; w++)
    for (size_t c = 0; c < sizeof counts / sizeof *counts; c++) {
      const int64_t rows = counts[c], cols = widths[w];
      void *x = numbers(bytes, rows * cols, w), *y = numbers(bytes, rows + cols, 2), *want = numbers(bytes, rows + cols, 2);
      k->row_sum(rows, cols, x, y);
      ref->row_sum(rows, cols, x, want);
      assert_memory_equal(y, want, (size_t)(rows * bytes));
      k->row_max(rows, cols, x, y);
      ref->row_max(rows, cols, x, want);
      assert_memory_equal(y, want, (size_t)(rows * bytes));
      for (int accumulate = 0; accumulate < 2; accumulate++) {
        k->col_sum(rows, cols, x, cols, y, accumulate);
        ref->col_sum(rows, cols, x, cols, want, accumulate);
        assert_memory_equal(y, want, (size_t)((rows + cols) * bytes));
      }
      if (cols > 2) { /* some columns of longer rows */
        k->col_sum(rows, cols - 2, at(x, bytes, 1), cols, y, 0);
        ref->col_sum(rows, cols - 2, at(x, bytes, 1), cols, want, 0);
        assert_memory_equal(y, want, (size_t)((rows + cols) * bytes));
      }
      const double s = k->sum_squares(rows * cols, x), t = ref->sum_squares(rows * cols, x);
      assert_true(fabs(s - t) <= 1e-14 * t);
      free(x), free(y), free(want);
    }
}
static void sums(void **state) {
  (void)state;
  each_table(sums_of);
}

/* Close to the true sums too: the reference itself is held here. */
static void true_sums_of(const rh_kernels *k, const rh_kernels *ref) {
  (void)ref;
  const int bytes = k->real_bytes;
  const double eps = bytes == 4 ? 0x1p-23 : 0x1p-52;
  enum { ROWS = 50, COLS = 77 };
  void *x = numbers(bytes, ROWS * COLS, 1), *y = numbers(bytes, ROWS + COLS, 2);
  long double squares = 0;
  k->row_sum(ROWS, COLS, x, y);
  for (int r = 0; r < ROWS; r++) {
    long double sum = 0, size = 0, most = -2;
    for (int c = 0; c < COLS; c++) {
      const double v = get(x, bytes, r * COLS + c);
      sum += v, size += fabs(v), squares += (long double)v * v, most = v > most ? v : most;
    }
    assert_true(fabsl(get(y, bytes, r) - sum) <= 8 * eps * size);
    double highest;
    k->row_max(1, COLS, at(x, bytes, r * COLS), &highest);
    assert_true(get(&highest, bytes, 0) == (double)most);
  }
  assert_true(fabsl(k->sum_squares(ROWS * COLS, x) - squares) <= 1e-14L * squares);
  k->col_sum(ROWS, COLS, x, COLS, y, 0);
  for (int c = 0; c < COLS; c++) {
    long double sum = 0;
    for (int r = 0; r < ROWS; r++) sum += get(x, bytes, r * COLS + c);
    assert_true(fabsl(get(y, bytes, c) - sum) <= ROWS * eps * ROWS);
  }
  free(x), free(y);
}
static void true_sums(void **state) {
  (void)state;
  each_table(true_sums_of);
}

static void nan_of(const rh_kernels *k, const rh_kernels *ref) {
  (void)ref;
  for (int cols = 1; cols < 70; cols++)
    for (int where = 0; where < cols; where++) {
      double x[70], y;
      for (int c = 0; c < cols; c++) put(x, k->real_bytes, c, c == where ? NAN : c);
      k->row_max(1, cols, x, &y);
      assert_true(isnan(get(&y, k->real_bytes, 0)));
      k->row_sum(1, cols, x, &y);
      assert_true(isnan(get(&y, k->real_bytes, 0)));
      put(x, k->real_bytes, where, 1000 + where);
      k->row_max(1, cols, x, &y);
      assert_true(get(&y, k->real_bytes, 0) == 1000 + where);
    }
}
static void nan_wins(void **state) {
  (void)state;
  each_table(nan_of);
}

/* The formulas of Kingma & Ba and Loshchilov & Hutter in long double, a few steps on. */
static void adam_of(const rh_kernels *k, const rh_kernels *ref) {
  enum { N = 77 };
  const int bytes = k->real_bytes;
  const double eps = bytes == 4 ? 0x1p-23 : 0x1p-52;
  for (int with_ema = 0; with_ema < 2; with_ema++) {
    void *w = numbers(bytes, N, 1), *m = calloc(N, 8), *v = calloc(N, 8), *ema = numbers(bytes, N, 1);
    void *w2 = numbers(bytes, N, 1), *m2 = calloc(N, 8), *v2 = calloc(N, 8), *ema2 = numbers(bytes, N, 1);
    long double tw[N], tm[N] = {0}, tv[N] = {0}, te[N];
    for (int i = 0; i < N; i++) tw[i] = te[i] = get(w, bytes, i);
    for (int t = 1; t <= 5; t++) {
      const rh_adam_step s = {0.25, 0.9, 0.999, 1 / (1 - pow(0.9, t)), 1 / (1 - pow(0.999, t)), 1e-8, 1e-3, 0.01, 0.99};
      void *g = numbers(bytes, N, (uint64_t)(10 + t));
      k->adam(N, g, w, m, v, with_ema ? ema : NULL, &s);
      ref->adam(N, g, w2, m2, v2, with_ema ? ema2 : NULL, &s);
      for (int i = 0; i < N; i++) {
        const long double gi = get(g, bytes, i) * s.grad_scale;
        tm[i] = s.b1 * tm[i] + (1 - s.b1) * gi;
        tv[i] = s.b2 * tv[i] + (1 - s.b2) * gi * gi;
        tw[i] -= s.rate * (tm[i] * s.c1 / (sqrtl(tv[i] * s.c2) + s.eps) + s.decay * tw[i]);
        if (with_ema) te[i] = s.keep * te[i] + (1 - s.keep) * tw[i];
      }
      free(g);
    }
    for (int i = 0; i < N; i++) {
      assert_true(fabsl(get(w, bytes, i) - tw[i]) <= 40 * eps);
      assert_true(fabsl(get(m, bytes, i) - tm[i]) <= 40 * eps);
      assert_true(fabsl(get(v, bytes, i) - tv[i]) <= 40 * eps * 1e-3);
      assert_true(fabsl(get(ema, bytes, i) - te[i]) <= 40 * eps);
    }
    if (fuses(k)) {
      assert_memory_equal(w, w2, N * bytes);
      assert_memory_equal(m, m2, N * bytes);
      assert_memory_equal(v, v2, N * bytes);
      assert_memory_equal(ema, ema2, N * bytes);
    }
    free(w), free(m), free(v), free(ema), free(w2), free(m2), free(v2), free(ema2);
  }
}
static void adam(void **state) {
  (void)state;
  each_table(adam_of);
}

/* A parameter's step does not depend on where it stands. */
static void adam_places_of(const rh_kernels *k, const rh_kernels *ref) {
  enum { N = 60 };
  (void)ref;
  const int bytes = k->real_bytes;
  const rh_adam_step s = {0.5, 0.9, 0.99, 10, 100, 1e-8, 1e-2, 0.1, 0.9};
  void *g = numbers(bytes, N, 1), *w = numbers(bytes, N, 2), *m = numbers(bytes, N, 3), *v = calloc(N, 8), *e = numbers(bytes, N, 4);
  void *w1 = numbers(bytes, N, 2), *m1 = numbers(bytes, N, 3), *v1 = calloc(N, 8), *e1 = numbers(bytes, N, 4);
  k->adam(N, g, w, m, v, e, &s);
  for (int i = 0; i < N; i++) k->adam(1, at(g, bytes, i), at(w1, bytes, i), at(m1, bytes, i), at(v1, bytes, i), at(e1, bytes, i), &s);
  assert_memory_equal(w, w1, N * bytes);
  assert_memory_equal(m, m1, N * bytes);
  assert_memory_equal(v, v1, N * bytes);
  assert_memory_equal(e, e1, N * bytes);
  free(g), free(w), free(m), free(v), free(e), free(w1), free(m1), free(v1), free(e1);
}
static void adam_places(void **state) {
  (void)state;
  each_table(adam_places_of);
}

static void tables(void **state) {
  (void)state;
  int n;
  const char *const *level = rh_isa_levels(&n);
  assert_true(n >= 1);
  assert_string_equal(level[0], "ref");
  assert_string_equal(level[n - 1], rh_isa_best());
  for (int i = 0; i < n; i++)
    for (int bytes = 4; bytes <= 8; bytes += 4) {
      const rh_kernels *k = NULL;
      assert_int_equal(rh_kernels_get(level[i], bytes, &k), RH_OK);
      assert_string_equal(k->isa, level[i]);
      assert_int_equal(k->real_bytes, bytes);
      for (int u = 0; u < RH_U_COUNT; u++) assert_non_null(k->unary[u]);
      for (int b = 0; b < RH_B_COUNT; b++) assert_non_null(k->binary[b]);
    }
  const rh_kernels *k = NULL;
  assert_int_equal(rh_kernels_get(NULL, 4, &k), RH_OK);
  assert_string_equal(k->isa, rh_isa_best());
  k = NULL;
  assert_int_equal(rh_kernels_get("v9", 4, &k), RH_E_UNSUPPORTED);
  assert_null(k);
  assert_non_null(strstr(rh_last_error(), "ref"));
  assert_int_equal(rh_kernels_get("ref", 2, &k), RH_E_UNSUPPORTED);
  assert_null(k);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(sums), cmocka_unit_test(true_sums),   cmocka_unit_test(nan_wins),
      cmocka_unit_test(adam), cmocka_unit_test(adam_places), cmocka_unit_test(tables),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
