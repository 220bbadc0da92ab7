/* Convolution of one image a row, stride 1, zero padding: the plain C reference. x: [c, h, w]; weight: [o, c, kh, kw]; y: [o, oh, ow] with
 * oh = h + 2 pad - kh + 1. real_bytes says float or double. */
#ifndef RH_KERNEL_CONV_H
#define RH_KERNEL_CONV_H
#include <stdint.h>

typedef struct rh_conv_shape {
  int64_t c, h, w, o, kh, kw, pad;
} rh_conv_shape;

void rh_conv_forward(const rh_conv_shape *s, int real_bytes, int64_t rows, const void *x, const void *weight, void *y);
/* dx = the adjoint in x, applied to dy. */
void rh_conv_input(const rh_conv_shape *s, int real_bytes, int64_t rows, const void *dy, const void *weight, void *dx);
/* dweight (+)= sum over rows, ascending, of the adjoint in weight; output channels [first, last) only. */
void rh_conv_weight(const rh_conv_shape *s, int real_bytes, int64_t rows, const void *x, const void *dy, void *dweight, int64_t first,
                    int64_t last, int accumulate);
#endif
