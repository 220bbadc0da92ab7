/* U-Net of an image (Ronneberger et al. 2015, figure 1), small: down by convolutions of stride 2, up again by transposed ones, and on every
 * level what was there on the way down is put beside ("skip": "concat") or added to ("sum") what comes up. As many channels on every level;
 * sides are halved rounded up, so any size will do, "levels" times or until one pixel is left. The last convolution, 1x1, starts at zero.
 * Leaves prefix.initial, prefix.down.0, ..., prefix.up.0, ..., prefix.merge.0, ..., prefix.final; prefix.context, prefix.gain. */
#include <stdio.h>

#include "net/convolution.h"
#include "net/dense.h"
#include "net/types.h"

enum { LEVELS = 8, KERNEL = 3 };

typedef struct conv_unet {
  rh_net net;
  rh_conv_how how;
  int activation, halvings, context, gain;
  bool sum;
  rh_convolution initial, down[LEVELS], up[LEVELS], merge[LEVELS], final;
} conv_unet;

static rh_shape halved(rh_shape image) {
  return rh_shape3((image.dim[0] + 1) / 2, (image.dim[1] + 1) / 2, image.dim[2]);
}

/* Of a pixel of the large image a quarter of the taps of `up` reach it: its weights are twice as large for it. */
static rh_status create_level(conv_unet *u, const rh_build *build, int l, int64_t hidden) {
  char name[3][24];
  snprintf(name[0], sizeof name[0], "down.%d", l);
  snprintf(name[1], sizeof name[1], "up.%d", l);
  snprintf(name[2], sizeof name[2], "merge.%d", l);
  RH_TRY(rh_convolution_create(build, name[0], &u->how, KERNEL, hidden, hidden, RH_NET_GAIN, 1, &u->down[l]));
  RH_TRY(rh_convolution_create(build, name[1], &u->how, KERNEL, hidden, hidden, 2 * RH_NET_GAIN, 1, &u->up[l]));
  return rh_convolution_create(build, name[2], &u->how, KERNEL, u->sum ? hidden : 2 * hidden, hidden, RH_NET_GAIN, 1, &u->merge[l]);
}

static rh_status conv_unet_create(rh_net *net, const rh_build *build, rh_spec *spec) {
  static const char *const skips[] = {"concat", "sum", NULL};
  conv_unet *u = (conv_unet *)net;
  const int64_t hidden = rh_spec_int(spec, "hidden", 32, 1, RH_NET_WIDTH), levels = rh_spec_int(spec, "levels", 2, 1, LEVELS);
  u->activation = rh_spec_choice(spec, "activation", 0, rh_activation_names);
  u->sum = rh_spec_choice(spec, "skip", 0, skips) == 1;
  const int init = rh_spec_choice(spec, "init", 0, rh_last_init_names);
  RH_TRY(rh_spec_status(spec));
  rh_shape least = net->image; /* that a window of 3 x 3 runs over with a stride of 1 or 2 */
  for (rh_shape s = net->image; u->halvings < levels && s.dim[0] * s.dim[1] > 1; s = halved(s)) least = s, u->halvings++;
  RH_TRY(rh_read_conv_how(least, spec, KERNEL, &u->how));
  RH_TRY(rh_convolution_create(build, "initial", &u->how, KERNEL, net->image.dim[2], hidden, RH_NET_GAIN, 1, &u->initial));
  RH_TRY(rh_context_map_create(build, hidden, RH_NET_GAIN, &u->context));
  for (int l = 0; l < u->halvings; l++) RH_TRY(create_level(u, build, l, hidden));
  RH_TRY(rh_convolution_create(build, "final", &u->how, 1, hidden, net->channels, rh_last_init_gain(init), 0, &u->final));
  return rh_log_gain_create(build, spec, net->channels, &u->gain);
}

/* h0 = a(initial x + V context), h(l + 1) = a(down h(l)); back from the last: h(l) = a(merge [h(l), a(up h(l + 1))]). */
static rh_val conv_unet_apply(const rh_net *net, rh_graph *g, rh_val x, rh_val context) {
  const conv_unet *u = (const conv_unet *)net;
  rh_val level[LEVELS + 1];
  const rh_val first = rh_convolution_apply(&u->initial, g, x, &u->how);
  level[0] = rh_activation(g, u->activation, rh_context_map_add(u->context, g, first, context));
  for (int l = 0; l < u->halvings; l++)
    level[l + 1] = rh_activation(g, u->activation, rh_convolution_down(&u->down[l], g, level[l], &u->how));
  rh_val h = level[u->halvings];
  for (int l = u->halvings - 1; l >= 0 && g->status == RH_OK; l--) {
    const rh_val up = rh_activation(g, u->activation, rh_convolution_up(&u->up[l], g, h, rh_at(g, level[l])->shape));
    const rh_val both = u->sum ? rh_add(g, level[l], up) : rh_channels_join(g, level[l], up);
    h = rh_activation(g, u->activation, rh_convolution_apply(&u->merge[l], g, both, &u->how));
  }
  return rh_log_gain_apply(u->gain, g, rh_convolution_apply(&u->final, g, h, &u->how));
}

const rh_net_type rh_net_conv_unet = {
    .type = "conv_unet", .bytes = sizeof(conv_unet), .create = conv_unet_create, .apply_image = conv_unet_apply};
