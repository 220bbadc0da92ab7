/* One convolution of an image: [h, w, in] -> [h, w, out], an odd kernel k x k, padded so that the size stays; or in steps of two pixels
 * down to half of the size, rounded up, or, transposed, from there up again. */
#ifndef RH_NET_CONVOLUTION_H
#define RH_NET_CONVOLUTION_H
#include "net/net.h"
#include "net/pixels.h"

typedef struct rh_convolution {
  int64_t in, out, kernel;
  int weight, bias, norm; /* leaves; norm -1: no weight normalization */
} rh_convolution;

typedef struct rh_conv_how { /* what the convolutions of a network share */
  bool weight_norm;
  rh_padding padding;
} rh_conv_how;

/* Initial weights normal with standard deviation gain / sqrt(in k k); biases uniform in +-1 / sqrt(in k k), times `bias`. Leaves
 * prefix.name.weight [out, k, k, in], .bias [out]. With weight normalization (Salimans & Kingma 2016, eq. 2) w = v e / |v| by output:
 * .weight is v and .norm is e [out], which starts at `gain`, the length that w would have without. */
rh_status rh_convolution_create(const rh_build *build, const char *name, const rh_conv_how *how, int64_t kernel, int64_t in, int64_t out,
                                double gain, double bias, rh_convolution *conv) RH_WARN_UNUSED;
rh_val rh_convolution_apply(const rh_convolution *conv, rh_graph *g, rh_val x, const rh_conv_how *how);
rh_val rh_convolution_down(const rh_convolution *conv, rh_graph *g, rh_val x,
                           const rh_conv_how *how); /* -> [(h + 1) / 2, (w + 1) / 2, out] */
/* -> [h, w, out], h and w those of `like`, of which x has half. weight[o, a, b, c] is what channel c of pixel (i, j) gives to channel o of
 * pixel (2 i + a - k / 2, 2 j + b - k / 2). Nothing is padded. */
rh_val rh_convolution_up(const rh_convolution *conv, rh_graph *g, rh_val x, rh_shape like);

/* Options "padding" and "weight_norm" of a network whose widest kernel is `kernel`, and whose smallest image is `image`. */
rh_status rh_read_conv_how(rh_shape image, rh_spec *spec, int64_t kernel, rh_conv_how *how) RH_WARN_UNUSED;
/* An odd kernel. */
int64_t rh_read_kernel(rh_spec *spec, const char *key, int64_t fallback);

/* What a context adds to the channels of every pixel: a linear map. Leaf prefix.context.weight [channels, context]; without a context
 * nothing. gain 0: it starts at zero. */
rh_status rh_context_map_create(const rh_build *build, int64_t channels, double gain, int *weight) RH_WARN_UNUSED;
rh_val rh_context_map_add(int weight, rh_graph *g, rh_val x, rh_val context); /* x: [h, w, channels] */

/* Option "gain" of a last convolution: each channel times e^(3 s), s learned from 0 (Kingma & Dhariwal 2018, section 3.4 of the code:
 * a zero start moves faster). Leaf prefix.gain [channels]. */
rh_status rh_log_gain_create(const rh_build *build, rh_spec *spec, int64_t channels, int *leaf) RH_WARN_UNUSED;
rh_val rh_log_gain_apply(int leaf, rh_graph *g, rh_val x);
#endif
