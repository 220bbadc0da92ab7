#include "kernel/conv.h"

/* Every loop visits the pairs (output pixel, tap) that fall inside the image; the three functions differ only in which of x, weight, y they
 * add to. */
#define FOR_TAPS(s)                       \
  for (int64_t c = 0; c < (s)->c; c++)    \
    for (int64_t i = 0; i < (s)->kh; i++) \
      for (int64_t j = 0; j < (s)->kw; j++)
#define FOR_PIXELS(s, oh, ow)        \
  for (int64_t p = 0; p < (oh); p++) \
    for (int64_t q = 0, u = p + i - (s)->pad; q < (ow) && u >= 0 && u < (s)->h; q++)
#define INSIDE(s) (q + j - (s)->pad >= 0 && q + j - (s)->pad < (s)->w)
#define X_AT      ((c * s->h + u) * s->w + q + j - s->pad)
#define W_AT      (((o * s->c + c) * s->kh + i) * s->kw + j)
#define Y_AT      ((o * oh + p) * ow + q)

#define CONV(type)                                                                                                                    \
  static void forward_##type(const rh_conv_shape *s, int64_t rows, const type *x, const type *w, type *y) {                           \
    const int64_t oh = s->h + 2 * s->pad - s->kh + 1, ow = s->w + 2 * s->pad - s->kw + 1;                                             \
    for (int64_t r = 0; r < rows; r++, x += s->c * s->h * s->w, y += s->o * oh * ow)                                                  \
      for (int64_t o = 0; o < s->o; o++) {                                                                                            \
        for (int64_t k = 0; k < oh * ow; k++) y[o * oh * ow + k] = 0;                                                                 \
        FOR_TAPS(s) FOR_PIXELS(s, oh, ow) if (INSIDE(s)) y[Y_AT] += w[W_AT] * x[X_AT];                                                \
      }                                                                                                                               \
  }                                                                                                                                   \
  static void input_##type(const rh_conv_shape *s, int64_t rows, const type *y, const type *w, type *x) {                             \
    const int64_t oh = s->h + 2 * s->pad - s->kh + 1, ow = s->w + 2 * s->pad - s->kw + 1;                                             \
    for (int64_t r = 0; r < rows; r++, x += s->c * s->h * s->w, y += s->o * oh * ow) {                                                \
      for (int64_t k = 0; k < s->c * s->h * s->w; k++) x[k] = 0;                                                                      \
      for (int64_t o = 0; o < s->o; o++) FOR_TAPS(s) FOR_PIXELS(s, oh, ow) if (INSIDE(s)) x[X_AT] += w[W_AT] * y[Y_AT];               \
    }                                                                                                                                 \
  }                                                                                                                                   \
  static void weight_##type(const rh_conv_shape *s, int64_t rows, const type *x, const type *y, type *w, int64_t first, int64_t last, \
                            int accumulate) {                                                                                         \
    const int64_t oh = s->h + 2 * s->pad - s->kh + 1, ow = s->w + 2 * s->pad - s->kw + 1, each = s->c * s->kh * s->kw;                \
    for (int64_t k = first * each; k < last * each && !accumulate; k++) w[k] = 0;                                                     \
    for (int64_t r = 0; r < rows; r++, x += s->c * s->h * s->w, y += s->o * oh * ow)                                                  \
      for (int64_t o = first; o < last; o++) FOR_TAPS(s) FOR_PIXELS(s, oh, ow) if (INSIDE(s)) w[W_AT] += x[X_AT] * y[Y_AT];           \
  }
CONV(float)
CONV(double)

void rh_conv_forward(const rh_conv_shape *s, int real_bytes, int64_t rows, const void *x, const void *weight, void *y) {
  if (real_bytes == 4) {
    forward_float(s, rows, x, weight, y);
  } else {
    forward_double(s, rows, x, weight, y);
  }
}

void rh_conv_input(const rh_conv_shape *s, int real_bytes, int64_t rows, const void *dy, const void *weight, void *dx) {
  if (real_bytes == 4) {
    input_float(s, rows, dy, weight, dx);
  } else {
    input_double(s, rows, dy, weight, dx);
  }
}

void rh_conv_weight(const rh_conv_shape *s, int real_bytes, int64_t rows, const void *x, const void *dy, void *dweight, int64_t first,
                    int64_t last, int accumulate) {
  if (real_bytes == 4) {
    weight_float(s, rows, x, dy, dweight, first, last, accumulate);
  } else {
    weight_double(s, rows, x, dy, dweight, first, last, accumulate);
  }
}
