/* Residual network of an image with pre-activation blocks (He et al. 2016; as the conditioners of RealNVP, Dinh et al. 2017, section 3.7,
 * with normalization within the row, since a batch must not matter): h = W x + V context, then blocks h += B(h), then a convolution. A
 * block: 3x3, 3x3, or with "bottleneck" 1x1, 3x3, 1x1, each behind norm and activation; "gated": the last gives a and b, and the block is
 * a sigmoid(b). It starts as nearly the identity. Leaves prefix.initial, prefix.blocks.0.0, ..., prefix.blocks.0.norm.0, ...,
 * prefix.final.norm, prefix.final; prefix.context, prefix.gain. */
#include <stdio.h>

#include "net/channel_norm.h"
#include "net/convolution.h"
#include "net/dense.h"
#include "net/types.h"

enum { BLOCKS = 64, LAYERS = 3 };

typedef struct residual_block {
  rh_convolution conv[LAYERS];
  rh_channel_norm norm[LAYERS];
} residual_block;

typedef struct conv_residual {
  rh_net net;
  rh_conv_how how;
  int activation, blocks, layers, context, gain;
  bool gated;
  rh_convolution initial, final;
  rh_channel_norm final_norm;
  residual_block block[BLOCKS];
} conv_residual;

static rh_status create_block(const conv_residual *r, const rh_build *build, int i, int64_t hidden, rh_norm_kind kind, int64_t groups,
                              residual_block *block) {
  for (int j = 0; j < r->layers; j++) {
    const bool last = j + 1 == r->layers;
    const int64_t kernel = r->layers == LAYERS && j != 1 ? 1 : 3;
    char name[2][40];
    snprintf(name[0], sizeof name[0], "blocks.%d.%d", i, j);
    snprintf(name[1], sizeof name[1], "blocks.%d.norm.%d", i, j);
    RH_TRY(rh_channel_norm_create(build, name[1], kind, groups, hidden, &block->norm[j]));
    RH_TRY(rh_convolution_create(build, name[0], &r->how, kernel, hidden, last && r->gated ? 2 * hidden : hidden,
                                 last ? 0.01 : rh_activation_gain(r->activation), !last, &block->conv[j]));
  }
  return RH_OK;
}

static rh_status conv_residual_create(rh_net *net, const rh_build *build, rh_spec *spec) {
  conv_residual *r = (conv_residual *)net;
  rh_norm_kind kind;
  int64_t groups;
  const int64_t hidden = rh_spec_int(spec, "hidden", 64, 1, RH_NET_WIDTH), kernel = rh_read_kernel(spec, "kernel", 3);
  const int64_t last = rh_read_kernel(spec, "final_kernel", 1);
  r->blocks = (int)rh_spec_int(spec, "blocks", 2, 1, BLOCKS);
  r->activation = rh_spec_choice(spec, "activation", 0, rh_activation_names);
  r->layers = rh_spec_bool(spec, "bottleneck", false) ? LAYERS : LAYERS - 1;
  r->gated = rh_spec_bool(spec, "gated", false);
  RH_TRY(rh_read_norm(spec, hidden, &kind, &groups));
  const int init = rh_spec_choice(spec, "init", 0, rh_last_init_names);
  RH_TRY(rh_read_conv_how(net->image, spec, kernel > last ? (kernel > 3 ? kernel : 3) : (last > 3 ? last : 3), &r->how));
  RH_TRY(rh_convolution_create(build, "initial", &r->how, kernel, net->image.dim[2], hidden, 1, 1, &r->initial));
  RH_TRY(rh_context_map_create(build, hidden, 1, &r->context));
  for (int i = 0; i < r->blocks; i++) RH_TRY(create_block(r, build, i, hidden, kind, groups, &r->block[i]));
  RH_TRY(rh_channel_norm_create(build, "final.norm", kind, groups, hidden, &r->final_norm));
  RH_TRY(rh_convolution_create(build, "final", &r->how, last, hidden, net->channels, rh_last_init_gain(init), 0, &r->final));
  return rh_log_gain_create(build, spec, net->channels, &r->gain);
}

static rh_val ready(const conv_residual *r, rh_graph *g, const rh_channel_norm *norm, rh_val x) {
  return rh_activation(g, r->activation, rh_channel_norm_apply(norm, g, x));
}

static rh_val conv_residual_apply(const rh_net *net, rh_graph *g, rh_val x, rh_val context) {
  const conv_residual *r = (const conv_residual *)net;
  rh_val h = rh_context_map_add(r->context, g, rh_convolution_apply(&r->initial, g, x, &r->how), context);
  for (int i = 0; i < r->blocks && g->status == RH_OK; i++) {
    const residual_block *b = &r->block[i];
    rh_val inner = h;
    for (int j = 0; j < r->layers; j++) inner = rh_convolution_apply(&b->conv[j], g, ready(r, g, &b->norm[j], inner), &r->how);
    const int64_t hidden = rh_width(g, h);
    if (r->gated) inner = rh_mul(g, rh_channels_of(g, inner, 0, hidden), rh_sigmoid(g, rh_channels_of(g, inner, hidden, hidden)));
    h = rh_add(g, h, inner);
  }
  const rh_val last = ready(r, g, &r->final_norm, h);
  return rh_log_gain_apply(r->gain, g, rh_convolution_apply(&r->final, g, last, &r->how));
}

const rh_net_type rh_net_conv_residual = {
    .type = "conv_residual", .bytes = sizeof(conv_residual), .create = conv_residual_create, .apply_image = conv_residual_apply};
