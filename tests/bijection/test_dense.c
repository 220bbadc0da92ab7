/* A dense linear layer: W x + b and log|det W| by hand where rows must change places, the starts, matrices that cannot be inverted. */
#include "bijection/part.h"

enum { N = 4, ROWS = 3, PIXELS = 6 };

/* Its first number is 0, and rows 1 and 2 begin alike: without changing places elimination divides by 0. */
static const double matrix[N * N] = {0, 2, 0, 1, /**/ 3, 1, 0, -2, /**/ 3, 1, 4, 1, /**/ 6, 0, 2, 1};

/* log|det| by the expansion along the first row. */
static double determinant(int64_t n, const double *a) {
  double sum = 0, rest[N * N];
  if (n == 1) return *a;
  for (int64_t j = 0; j < n; j++) {
    for (int64_t i = 1, at = 0; i < n; i++)
      for (int64_t k = 0; k < n; k++)
        if (k != j) rest[at++] = a[i * n + k];
    sum += (j % 2 ? -1 : 1) * a[j] * determinant(n - 1, rest);
  }
  return sum;
}

/* pixels: 1: a vector. */
static void by_hand(const char *spec, int64_t pixels, bool biased, int real) {
  part p = part_make(spec, N * pixels, 0, real);
  const double near = real == 8 ? 1e-14 : 4e-6, bias[N] = {1, -2, 0.5, 0}, log_det = log(fabs(determinant(N, matrix)));
  double *x = probe_random(ROWS * N * pixels, 3, -2, 2), y[ROWS * N * PIXELS], back[ROWS * N * PIXELS], ladj[ROWS], inverse[ROWS];
  part_set(&p, pixels > 1 ? "p.1.weight" : "p.weight", N * N, matrix);
  if (biased) part_set(&p, pixels > 1 ? "p.1.bias" : "p.bias", N, bias);
  part_forward(&p, ROWS, x, y, ladj);
  part_inverse(&p, ROWS, y, back, inverse);
  for (int64_t r = 0; r < ROWS * pixels; r++)
    for (int64_t i = 0; i < N; i++) {
      double want = biased ? bias[i] : 0;
      for (int64_t k = 0; k < N; k++) want += matrix[i * N + k] * x[r * N + k];
      assert_true(fabs(y[r * N + i] - want) < 20 * near && fabs(back[r * N + i] - x[r * N + i]) < 60 * near);
    }
  for (int r = 0; r < ROWS; r++) {
    assert_true(fabs(ladj[r] - (double)pixels * log_det) < 10 * near * (double)pixels);
    assert_true(inverse[r] == -ladj[r]);
  }
  free(x);
  part_free(&p);
}

#define IMAGE "{\"type\":\"chain\",\"parts\":[{\"type\":\"image\",\"shape\":[2,3,4]},{\"type\":\"dense\",\"bias\":%s}]}"
static void rows_change_places(void **state) {
  (void)state;
  assert_true(determinant(N, matrix) == -108);
  for (int real = 4; real <= 8; real += 4)
    for (int biased = 0; biased < 2; biased++) {
      char image[160];
      snprintf(image, sizeof image, IMAGE, biased ? "true" : "false");
      by_hand(image, PIXELS, biased, real);
      by_hand(biased ? "{\"type\":\"dense\"}" : "{\"type\":\"dense\",\"bias\":false}", 1, biased, real);
    }
}

/* The identity; a rotation by a seed, the one that lu starts as. */
static void starts(void **state) {
  (void)state;
  enum { C = 5 };
  part p = part_make("{\"type\":\"dense\"}", C, 0, 8);
  double *x = probe_random(ROWS * C, 3, -2, 2), y[ROWS * C], by_lu[ROWS * C], ladj[ROWS];
  part_forward(&p, ROWS, x, y, ladj);
  assert_memory_equal(x, y, sizeof y);
  assert_true(ladj[0] == 0);
  part_free(&p);
  for (int seed = 1; seed < 4; seed++) {
    char spec[160];
    snprintf(spec, sizeof spec, "{\"type\":\"dense\",\"start\":\"rotation\",\"seed\":%d}", seed);
    p = part_make(spec, C, 0, 8);
    part_forward(&p, ROWS, x, y, ladj);
    part_free(&p);
    snprintf(spec, sizeof spec,
             "{\"type\":\"chain\",\"parts\":[{\"type\":\"image\",\"shape\":[1,1,5]},{\"type\":\"lu\",\"start\":\"rotation\",\"seed\":%d}]}",
             seed);
    p = part_make(spec, C, 0, 8);
    part_forward(&p, ROWS, x, by_lu, ladj);
    part_free(&p);
    for (int r = 0; r < ROWS; r++) {
      double in = 0, out = 0;
      for (int i = r * C; i < (r + 1) * C; i++) {
        assert_true(fabs(y[i] - by_lu[i]) < 1e-13);
        in += x[i] * x[i], out += y[i] * y[i];
      }
      assert_true(fabs(in - out) < 1e-13 * in && fabs(y[r * C] - x[r * C]) > 1e-3 && fabs(ladj[r]) < 1e-13);
    }
  }
  free(x);
}

/* Density 0 and nothing that is finite backwards, never a crash: no numbers at all, a row twice, a column of zeros. */
static void singular_ones(void **state) {
  (void)state;
  static const double singular[][N * N] = {
      {0}, {1, 2, 3, 4, 1, 2, 3, 4, 0, 1, 0, 0, 0, 0, 1, 0}, {1, 0, 2, 3, 2, 0, 1, 1, 5, 0, 1, 2, -1, 0, 3, 7}};
  for (size_t s = 0; s < RH_COUNT_OF(singular); s++)
    for (int real = 4; real <= 8; real += 4) {
      part p = part_make("{\"type\":\"dense\"}", N, 0, real);
      double *x = probe_random(ROWS * N, 3, -2, 2), y[ROWS * N], ladj[ROWS];
      part_set(&p, "p.weight", N * N, singular[s]);
      part_forward(&p, ROWS, x, y, ladj);
      for (int r = 0; r < ROWS; r++) assert_true(ladj[r] == -INFINITY && isfinite(y[r * N]));
      part_inverse(&p, ROWS, x, y, ladj);
      for (int r = 0; r < ROWS; r++) {
        bool finite = true;
        for (int i = 0; i < N; i++) finite = finite && isfinite(y[r * N + i]);
        assert_true(!finite && ladj[r] == INFINITY);
      }
      free(x);
      part_free(&p);
    }
}

static void specifications(void **state) {
  (void)state;
  part p;
  assert_int_equal(part_try(&p, "{\"type\":\"dense\",\"start\":\"rotaton\"}", 4, 0), RH_E_SPEC);
  assert_non_null(strstr(rh_last_error(), "flow.start: unknown name 'rotaton', did you mean 'rotation'"));
  rh_leaves_free(&p.leaves);
  assert_int_equal(part_try(&p, "{\"type\":\"dense\",\"seed\":1}", 4, 0), RH_E_SPEC);
  assert_non_null(strstr(rh_last_error(), "flow: unknown key 'seed'"));
  rh_leaves_free(&p.leaves);
  assert_int_equal(part_try(&p, "{\"type\":\"dense\"}", 1025, 0), RH_E_SPEC);
  assert_non_null(strstr(rh_last_error(), "at most 1024 columns, not 1025"));
  rh_leaves_free(&p.leaves);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(rows_change_places), cmocka_unit_test(starts), cmocka_unit_test(singular_ones),
                                     cmocka_unit_test(specifications)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
