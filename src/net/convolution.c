#include "net/convolution.h"

#include <math.h>

rh_status rh_convolution_create(const rh_build *build, const char *name, const rh_conv_how *how, int64_t kernel, int64_t in, int64_t out,
                                double gain, double bias, rh_convolution *conv) {
  const double scale = 1 / sqrt((double)(in * kernel * kernel));
  const double spread = how->weight_norm ? 1 : gain;
  const rh_shape shape = rh_shape4(out, kernel, kernel, in);
  const rh_init weights = {spread == 0 ? RH_INIT_CONSTANT : RH_INIT_NORMAL, spread * scale, NULL}, norms = {RH_INIT_CONSTANT, gain, NULL};
  const rh_init biases = {bias == 0 ? RH_INIT_CONSTANT : RH_INIT_UNIFORM, bias * scale, NULL};
  const char *dot = *name ? "." : "";
  *conv = (rh_convolution){.in = in, .out = out, .kernel = kernel, .norm = -1};
  RH_TRY(rh_leaf_add(build->leaves, RH_PARAM, shape, weights, !how->weight_norm, &conv->weight, "%s%s%s.weight", build->prefix, dot, name));
  if (how->weight_norm)
    RH_TRY(rh_leaf_add(build->leaves, RH_PARAM, rh_shape1(out), norms, false, &conv->norm, "%s%s%s.norm", build->prefix, dot, name));
  return rh_leaf_add(build->leaves, RH_PARAM, rh_shape1(out), biases, false, &conv->bias, "%s%s%s.bias", build->prefix, dot, name);
}

/* [out, k k in], computed once, before the rows. */
static rh_val weight_of(const rh_convolution *conv, rh_graph *g) {
  const int64_t n = conv->kernel * conv->kernel * conv->in;
  const rh_val v = rh_reshape(g, rh_leaf_val(g, conv->weight), rh_shape2(conv->out, n));
  if (conv->norm < 0) return v;
  const rh_val length = rh_sqrt(g, rh_maxc(g, rh_sum_last(g, rh_square(g, v)), 1e-30));
  const rh_val scale = rh_div(g, rh_leaf_val(g, conv->norm), length);
  return rh_mul(g, v, rh_reshape(g, rh_expand_last(g, rh_reshape(g, scale, rh_shape2(conv->out, 1)), n), rh_shape2(conv->out, n)));
}

static rh_val apply(const rh_convolution *conv, rh_graph *g, rh_val x, const rh_conv_how *how, int stride) {
  if (g->status != RH_OK) return RH_NONE;
  const rh_val w = weight_of(conv, g), bias = rh_leaf_val(g, conv->bias);
  if (conv->kernel == 1 && stride == 1) return rh_linear(g, x, w, bias);
  const rh_val window = rh_reshape(g, w, rh_shape4(conv->out, conv->kernel, conv->kernel, conv->in));
  const int64_t p = conv->kernel / 2;
  if (how->padding == RH_PAD_ZERO) return rh_conv2d(g, x, window, bias, stride, (int)p);
  return rh_conv2d(g, rh_pad(g, x, how->padding, p), window, bias, stride, 0);
}

rh_val rh_convolution_apply(const rh_convolution *conv, rh_graph *g, rh_val x, const rh_conv_how *how) {
  return apply(conv, g, x, how, 1);
}

rh_val rh_convolution_down(const rh_convolution *conv, rh_graph *g, rh_val x, const rh_conv_how *how) {
  return apply(conv, g, x, how, 2);
}

/* [out, k, k, in] -> [in, k, k, out] */
static int64_t by_input(const void *arg, int64_t i) {
  const rh_convolution *conv = arg;
  const int64_t taps = conv->kernel * conv->kernel, out = i % conv->out, tap = i / conv->out % taps, in = i / (conv->out * taps);
  return (out * taps + tap) * conv->in + in;
}

rh_val rh_convolution_up(const rh_convolution *conv, rh_graph *g, rh_val x, rh_shape like) {
  if (g->status != RH_OK) return RH_NONE;
  const rh_shape turned = rh_shape4(conv->in, conv->kernel, conv->kernel, conv->out);
  const rh_val window = rh_gather_runs(g, weight_of(conv, g), turned, 1, by_input, conv);
  return rh_conv2d_transpose(g, x, window, rh_leaf_val(g, conv->bias), 2, (int)(conv->kernel / 2), like.dim[0], like.dim[1]);
}

rh_status rh_read_conv_how(rh_shape image, rh_spec *spec, int64_t kernel, rh_conv_how *how) {
  how->padding = (rh_padding)rh_spec_choice(spec, "padding", RH_PAD_ZERO, rh_padding_names);
  how->weight_norm = rh_spec_bool(spec, "weight_norm", false);
  RH_TRY(rh_spec_status(spec));
  const int64_t p = kernel / 2, least = image.dim[0] < image.dim[1] ? image.dim[0] : image.dim[1];
  const bool fits = how->padding == RH_PAD_REFLECT ? least > p : how->padding == RH_PAD_CIRCULAR ? least >= p : true;
  return fits ? RH_OK
              : rh_spec_fail(spec, "padding", "an image of %lld x %lld is too small for it: take \"zero\"", (long long)image.dim[0],
                             (long long)image.dim[1]);
}

int64_t rh_read_kernel(rh_spec *spec, const char *key, int64_t fallback) {
  const int64_t k = rh_spec_int(spec, key, fallback, 1, 15);
  if (k % 2 == 0) rh_spec_fail(spec, key, "%lld is even: a kernel has a middle", (long long)k);
  return k;
}

rh_status rh_context_map_create(const rh_build *build, int64_t channels, double gain, int *weight) {
  *weight = -1;
  if (!build->context) return RH_OK;
  const rh_init init = {gain == 0 ? RH_INIT_CONSTANT : RH_INIT_NORMAL, gain / sqrt((double)build->context), NULL};
  return rh_leaf_add(build->leaves, RH_PARAM, rh_shape2(channels, build->context), init, true, weight, "%s.context.weight", build->prefix);
}

rh_val rh_context_map_add(int weight, rh_graph *g, rh_val x, rh_val context) {
  if (g->status != RH_OK || weight < 0) return x;
  return rh_add(g, x, rh_over_pixels(g, rh_linear(g, context, rh_leaf_val(g, weight), RH_NONE), rh_at(g, x)->shape));
}

rh_status rh_log_gain_create(const rh_build *build, rh_spec *spec, int64_t channels, int *leaf) {
  const rh_init zero = {RH_INIT_CONSTANT, 0, NULL};
  *leaf = -1;
  const bool on = rh_spec_bool(spec, "gain", false);
  RH_TRY(rh_spec_status(spec));
  return on ? rh_leaf_add(build->leaves, RH_PARAM, rh_shape1(channels), zero, false, leaf, "%s.gain", build->prefix) : RH_OK;
}

rh_val rh_log_gain_apply(int leaf, rh_graph *g, rh_val x) {
  if (g->status != RH_OK || leaf < 0) return x;
  return rh_mul(g, x, rh_over_pixels(g, rh_exp(g, rh_mulc(g, rh_leaf_val(g, leaf), 3)), rh_at(g, x)->shape));
}
