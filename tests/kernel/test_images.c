/* Convolutions, every level and precision: the bits of the matrix product over copied windows, which is how they are defined. */
#include "kernel_test.h"

/* Windows of all pixels, one a row: [images oh ow, kh kw c]. */
static void *windows(int bytes, const rh_conv_shape *s, int64_t images, const void *x) {
  const int64_t terms = s->kh * s->kw * s->c;
  void *out = malloc((size_t)(images * s->oh * s->ow * terms + 1) * (size_t)bytes);
  assert_non_null(out);
  int64_t to = 0;
  for (int64_t image = 0; image < images; image++)
    for (int64_t p = 0; p < s->oh; p++)
      for (int64_t q = 0; q < s->ow; q++)
        for (int64_t i = 0; i < s->kh; i++)
          for (int64_t j = 0; j < s->kw; j++)
            for (int64_t c = 0; c < s->c; c++, to++) {
              const int64_t from = ((image * s->h + p * s->stride + i) * s->w + q * s->stride + j) * s->c + c;
              put(out, bytes, to, get(x, bytes, from));
            }
  return out;
}

static void same_bits(const rh_kernels *t, const char *what, const rh_conv_shape *s, int64_t images, const void *got, const void *want,
                      int64_t n) {
  for (int64_t i = 0; i < n; i++)
    if (memcmp(at((void *)(uintptr_t)got, t->real_bytes, i), at((void *)(uintptr_t)want, t->real_bytes, i), (size_t)t->real_bytes) != 0)
      fail_msg("%s, %d bytes, %s of %ld images %ld x %ld x %ld, window %ld x %ld, stride %ld, to %ld: number %ld is %.17g, not %.17g",
               t->isa, t->real_bytes, what, (long)images, (long)s->h, (long)s->w, (long)s->c, (long)s->kh, (long)s->kw, (long)s->stride,
               (long)s->o, (long)i, get(got, t->real_bytes, i), get(want, t->real_bytes, i));
}

static void check(const rh_kernels *t, rh_conv_shape s, int64_t images, rh_epilogue epilogue) {
  const int bytes = t->real_bytes;
  s.oh = (s.h - s.kh) / s.stride + 1, s.ow = (s.w - s.kw) / s.stride + 1;
  const int64_t terms = s.kh * s.kw * s.c, pixels = images * s.oh * s.ow, n = pixels * s.o;
  void *x = numbers(bytes, images * s.h * s.w * s.c, 1), *b = numbers(bytes, terms * s.o, 2), *bias = numbers(bytes, s.o, 3);
  void *gate = numbers(bytes, n, 4), *y = numbers(bytes, n, 5), *want = numbers(bytes, n, 6), *rows = windows(bytes, &s, images, x);
  void *p = malloc((size_t)t->pack_count(terms, s.o) * (size_t)bytes);
  assert_non_null(p);
  t->pack(terms, s.o, b, s.o, 1, p, 0, (s.o + t->panel - 1) / t->panel);
  const void *start = s.o % 2 ? bias : NULL;
  t->conv(&s, images, x, p, start, y, epilogue, gate);
  t->gemm(pixels, terms, s.o, rows, terms, p, start, want, s.o, 0, epilogue, gate);
  same_bits(t, "convolution", &s, images, y, want, n);
  for (int accumulate = 0; accumulate < 2; accumulate++) {
    void *dw = numbers(bytes, terms * s.o, 7), *sum = numbers(bytes, terms * s.o, 7);
    const int64_t cut = terms / 3;
    t->conv_tn(&s, images, 0, cut, x, y, dw, accumulate);
    t->conv_tn(&s, images, cut, terms - cut, x, y, dw, accumulate);
    t->gemm_tn(s.o, terms, pixels, y, s.o, rows, terms, sum, terms, accumulate);
    same_bits(t, "gradient", &s, images, dw, sum, terms * s.o);
    free(dw), free(sum);
  }
  free(x), free(b), free(bias), free(gate), free(y), free(want), free(rows), free(p);
}

static void shapes_of(const rh_kernels *t, const rh_kernels *ref) {
  static const rh_conv_shape shapes[] = {
      {.h = 6, .w = 6, .c = 1, .o = 1, .kh = 3, .kw = 3, .stride = 1},
      {.h = 6, .w = 6, .c = 3, .o = 70, .kh = 3, .kw = 3, .stride = 1},
      {.h = 10, .w = 18, .c = 6, .o = 33, .kh = 3, .kw = 3, .stride = 1},
      {.h = 18, .w = 18, .c = 40, .o = 12, .kh = 3, .kw = 3, .stride = 1},
      {.h = 9, .w = 11, .c = 5, .o = 130, .kh = 3, .kw = 3, .stride = 2},
      {.h = 7, .w = 5, .c = 17, .o = 5, .kh = 1, .kw = 4, .stride = 1},
      {.h = 4, .w = 300, .c = 2, .o = 40, .kh = 3, .kw = 2, .stride = 1},
      {.h = 30, .w = 30, .c = 4, .o = 16, .kh = 3, .kw = 3, .stride = 1},
      {.h = 3, .w = 3, .c = 64, .o = 64, .kh = 3, .kw = 3, .stride = 1},
      {.h = 12, .w = 9, .c = 8, .o = 7, .kh = 4, .kw = 4, .stride = 3},
      {.h = 6, .w = 6, .c = 33, .o = 200, .kh = 3, .kw = 3, .stride = 1},
      {.h = 5, .w = 5, .c = 3, .o = 2, .kh = 1, .kw = 1, .stride = 1},
  };
  (void)ref;
  for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++)
    for (int64_t images = 1; images <= 20; images += images < 3 ? 1 : 17)
      check(t, shapes[i], images, (rh_epilogue)((i + (size_t)images) % RH_EPI_COUNT));
  for (int64_t size = 3; size < 20; size++)
    for (int64_t o = 1; o < 70; o += 11)
      check(t, (rh_conv_shape){.h = size, .w = size + 1, .c = 1 + size % 4, .o = o, .kh = 3, .kw = 3, .stride = 1}, 2, RH_EPI_NONE);
}
static void shapes(void **state) {
  (void)state;
  each_table(shapes_of);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(shapes)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
