/* Elementwise functions of two operands: every way of sharing an operand, every width, against the reference. */
#include "kernel_test.h"

static const double P = 1.25;

/* The results round differently only in exp, and where the base level cannot fuse. */
static double tolerance(const rh_kernels *k, rh_binary b) {
  const int rounds = b == RH_B_MULEXP || b == RH_B_TANHG || b == RH_B_SIGMOIDG || b == RH_B_BOUNDG;
  return rounds ? 4 * (k->real_bytes == 4 ? 0x1p-23 : 0x1p-52) : 0;
}

typedef struct operand {
  int64_t rs, cs;
} operand;

static void check(const rh_kernels *k, const rh_kernels *ref, rh_binary b, int64_t rows, int64_t cols, operand oa, operand ob,
                  int in_place) {
  const int bytes = k->real_bytes;
  const int64_t na = (rows - 1) * oa.rs + (cols - 1) * oa.cs + 1, nb = (rows - 1) * ob.rs + (cols - 1) * ob.cs + 1;
  void *x = numbers(bytes, na, 1), *z = numbers(bytes, nb, 2), *y = numbers(bytes, rows * cols, 3), *want = numbers(bytes, rows * cols, 3);
  ref->binary[b](rows, cols, x, oa.rs, oa.cs, z, ob.rs, ob.cs, want, P);
  if (in_place) { /* y may be an operand that is dense */
    void *dense = in_place == 1 ? x : z;
    k->binary[b](rows, cols, x, oa.rs, oa.cs, z, ob.rs, ob.cs, dense, P);
    memcpy(y, dense, (size_t)(rows * cols * bytes));
  } else {
    k->binary[b](rows, cols, x, oa.rs, oa.cs, z, ob.rs, ob.cs, y, P);
  }
  for (int64_t i = 0; i < rows * cols; i++) {
    const double g = get(y, bytes, i), w = get(want, bytes, i),
                 scale = b == RH_B_TANHG || b == RH_B_BOUNDG || b == RH_B_SIGMOIDG ? 1 : fabs(w);
    if (!(fabs(g - w) <= tolerance(k, b) * scale || g == w || (isnan(g) && isnan(w))))
      fail_msg("%s, %d bytes, function %d, %ld x %ld, strides %ld %ld and %ld %ld, element %ld: %.17g, not %.17g", k->isa, bytes, (int)b,
               (long)rows, (long)cols, (long)oa.rs, (long)oa.cs, (long)ob.rs, (long)ob.cs, (long)i, g, w);
  }
  free(x), free(z), free(y), free(want);
}

static void shapes_of(const rh_kernels *k, const rh_kernels *ref) {
  static const int64_t widths[] = {1, 2, 3, 4, 5, 6, 7, 8, 12, 15, 16, 17, 31, 33, 43, 63, 64, 65, 100, 600};
  static const int64_t counts[] = {1, 2, 7, 29, 200};
  for (rh_binary b = 0; b < RH_B_COUNT; b++)
    for (size_t w = 0; w < sizeof widths / sizeof *widths; w++)
      for (size_t n = 0; n < sizeof counts / sizeof *counts; n++) {
        const int64_t rows = counts[n], cols = widths[w];
        const operand modes[] = {{cols, 1}, {0, 1}, {1, 0}, {0, 0}};
        if (rows * cols > 30000 && b > RH_B_MUL) continue;
        for (int i = 0; i < 4; i++)
          for (int j = 0; j < 4; j++) check(k, ref, b, rows, cols, modes[i], modes[j], 0);
        check(k, ref, b, rows, cols, modes[0], modes[1], 1);
        check(k, ref, b, rows, cols, modes[2], modes[0], 2);
      }
}
static void shapes(void **state) {
  (void)state;
  each_table(shapes_of);
}

/* An element's bits are its own: any shape gives those of the element alone. */
static void alone_of(const rh_kernels *k, const rh_kernels *ref) {
  (void)ref;
  enum { N = 120 };
  const int bytes = k->real_bytes;
  for (rh_binary b = 0; b < RH_B_COUNT; b++) {
    void *x = numbers(bytes, N, 1), *z = numbers(bytes, N, 2), *y = numbers(bytes, N, 3), *alone = numbers(bytes, N, 3);
    for (int i = 0; i < N; i++) k->binary[b](1, 1, at(x, bytes, i), 1, 1, at(z, bytes, i), 1, 1, at(alone, bytes, i), P);
    for (int n = 0; n <= N; n++) {
      k->binary[b](1, n, x, n, 1, z, n, 1, y, P);
      assert_memory_equal(y, alone, (size_t)(n * bytes));
    }
    for (int i = 0; i < N; i++) k->binary[b](1, 1, at(x, bytes, i % 6), 1, 1, at(z, bytes, i), 1, 1, at(alone, bytes, i), P);
    k->binary[b](N / 6, 6, x, 0, 1, z, 6, 1, y, P);
    assert_memory_equal(y, alone, (size_t)(N * bytes));
    for (int i = 0; i < N; i++) k->binary[b](1, 1, at(x, bytes, i), 1, 1, at(z, bytes, i / 6), 1, 1, at(alone, bytes, i), P);
    k->binary[b](N / 6, 6, x, 6, 1, z, 1, 0, y, P);
    assert_memory_equal(y, alone, (size_t)(N * bytes));
    for (int i = 0; i < N; i++) k->binary[b](1, 1, at(x, bytes, i), 1, 1, z, 0, 0, at(alone, bytes, i), P);
    k->binary[b](1, N, x, N, 1, z, 0, 0, y, P);
    assert_memory_equal(y, alone, (size_t)(N * bytes));
    free(x), free(z), free(y), free(alone);
  }
}
static void alone(void **state) {
  (void)state;
  each_table(alone_of);
}

static void special_of(const rh_kernels *k, const rh_kernels *ref) {
  (void)ref;
  static const struct {
    rh_binary b;
    double x, z, y;
  } cases[] = {
      {RH_B_MAX, NAN, 1, NAN},         {RH_B_MAX, 1, NAN, NAN}, {RH_B_MIN, NAN, 1, NAN},     {RH_B_MIN, 1, NAN, NAN},
      {RH_B_MAX, -INFINITY, 2, 2},     {RH_B_MIN, 2, 3, 2},     {RH_B_GREATER, 1, 1, 0},     {RH_B_GREATER, 2, 1, 1},
      {RH_B_GREATER, NAN, 1, 0},       {RH_B_GATE, 5, 0, 0},    {RH_B_GATE, 5, 0x1p-100, 5}, {RH_B_GATE, NAN, -1, 0},
      {RH_B_MULEXP, 2, -INFINITY, 0},  {RH_B_MULEXP, 2, 0, 2},  {RH_B_DIV, 1, 0, INFINITY},  {RH_B_DIV, 0, 0, NAN},
      {RH_B_TANHG, 3, 1, 0},           {RH_B_BOUNDG, 3, P, 0},  {RH_B_SIGMOIDG, 3, 1, 0},    {RH_B_SUB, 1, 3, -2},
      {RH_B_MULEXP, 1, 1e9, INFINITY},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
    for (int n = 1; n <= 20; n += 19) { /* alone, and in full vectors */
      double x[20], z[20], y[20];
      for (int j = 0; j < n; j++) put(x, k->real_bytes, j, cases[i].x), put(z, k->real_bytes, j, cases[i].z);
      k->binary[cases[i].b](1, n, x, n, 1, z, n, 1, y, P);
      for (int j = 0; j < n; j++) {
        const double g = get(y, k->real_bytes, j);
        if (isnan(cases[i].y) ? !isnan(g) : g != cases[i].y) fail_msg("%s: case %d gives %g", k->isa, (int)i, g);
      }
    }
}
static void special_values(void **state) {
  (void)state;
  each_table(special_of);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(shapes),
      cmocka_unit_test(alone),
      cmocka_unit_test(special_values),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
