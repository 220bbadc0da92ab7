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

/* A product over the patches [h, w, k k c] of a padded image. */
static rh_val by_patches(rh_graph *g, rh_val x, rh_val w, rh_val bias, int64_t k) {
  const rh_shape s = rh_at(g, x)->shape;
  const int64_t width = s.dim[1], c = s.dim[2], run = k * c, h = s.dim[0] - k + 1, across = width - k + 1;
  const rh_shape patches = rh_shape3(h, across, k * run);
  int32_t *index = rh_arena_alloc(&g->arena, (size_t)rh_shape_count(&patches) * sizeof *index);
  if (!index) {
    g->status = RH_E_MEMORY;
    return RH_NONE;
  }
  for (int64_t i = 0, at = 0; i < h; i++)
    for (int64_t j = 0; j < across; j++)
      for (int64_t a = 0; a < k; a++)
        for (int64_t b = 0; b < run; b++) index[at++] = (int32_t)(((i + a) * width + j) * c + b);
  return rh_linear(g, rh_gather(g, x, patches, index), w, bias);
}

rh_val rh_convolution_apply(const rh_convolution *conv, rh_graph *g, rh_val x, const rh_conv_how *how) {
  if (g->status != RH_OK) return RH_NONE;
  const rh_val w = weight_of(conv, g), bias = rh_leaf_val(g, conv->bias);
  if (conv->kernel == 1) return rh_linear(g, x, w, bias);
  return by_patches(g, rh_pad(g, x, how->padding, conv->kernel / 2), w, bias, conv->kernel);
}

rh_status rh_read_conv_how(const rh_net *net, rh_spec *spec, int64_t kernel, rh_conv_how *how) {
  how->padding = (rh_padding)rh_spec_choice(spec, "padding", RH_PAD_ZERO, rh_padding_names);
  how->weight_norm = rh_spec_bool(spec, "weight_norm", false);
  RH_TRY(rh_spec_status(spec));
  const int64_t p = kernel / 2, least = net->image.dim[0] < net->image.dim[1] ? net->image.dim[0] : net->image.dim[1];
  const bool fits = how->padding == RH_PAD_REFLECT ? least > p : how->padding == RH_PAD_CIRCULAR ? least >= p : true;
  return fits ? RH_OK
              : rh_spec_fail(spec, "padding", "an image of %lld x %lld is too small for it: take \"zero\"", (long long)net->image.dim[0],
                             (long long)net->image.dim[1]);
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
