/* The trace of the Jacobian of a stack of at most three convolutions with elementwise functions between them, in closed form. */
#ifndef RH_NET_CONV_TRACE_H
#define RH_NET_CONV_TRACE_H
#include "net/convolution.h"

enum { RH_CONV_TRACED = 2 }; /* hidden layers, at most */

typedef struct rh_conv_trail { /* what the layers leave: convolutions 0 to n, [h, w, c] -> [h, w, c], windows of one size */
  int n;                       /* hidden layers */
  const rh_convolution *conv[RH_CONV_TRACED + 1];
  rh_val slope[RH_CONV_TRACED]; /* [h, w, hidden]: of the functions between, and whatever else multiplies the channels */
  rh_val gate;                  /* [c]: factors of the last convolution's channels, or RH_NONE; not with two hidden layers */
} rh_conv_trail;

rh_val rh_conv_trace(const rh_conv_trail *trail, rh_graph *g, rh_shape image); /* [1] */
/* v: [n, k, k], a parameter -> [h w, n]: at every pixel the sum over the taps of its window that lie inside the image. Before the rows. */
rh_val rh_inside_sums(rh_graph *g, rh_shape image, int64_t kernel, rh_val v);
#endif
