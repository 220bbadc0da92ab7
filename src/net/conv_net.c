/* Glow's conditioner (Kingma & Dhariwal 2018, section 3.4): convolutions 3x3, 1x1, 3x3 with an activation between them, the last one
 * started at zero ("middle" 0: without the second); and "conv_linear", one convolution, as Glow's learned prior has it. Leaves prefix.0,
 * prefix.1, prefix.2 or prefix itself; prefix.context, prefix.gain. */
#include "net/convolution.h"
#include "net/dense.h"
#include "net/types.h"

typedef struct conv_net {
  rh_net net;
  rh_conv_how how;
  int activation, context, gain;
  bool skip, middle; /* middle: there is a convolution between the first and the last */
  rh_convolution layer[3];
} conv_net;

static rh_status conv_create(rh_net *net, const rh_build *build, rh_spec *spec) {
  conv_net *n = (conv_net *)net;
  const int64_t hidden = rh_spec_int(spec, "hidden", 64, 1, RH_NET_WIDTH), kernel = rh_read_kernel(spec, "kernel", 3);
  const int64_t middle = rh_spec_int(spec, "middle", 1, 0, 15);
  if (middle && middle % 2 == 0)
    rh_spec_fail(spec, "middle", "%lld is even: a kernel has a middle; 0 for no such convolution", (long long)middle);
  n->middle = middle > 0;
  n->activation = rh_spec_choice(spec, "activation", 0, rh_activation_names);
  n->skip = rh_spec_bool(spec, "skip", false);
  const int init = rh_spec_choice(spec, "init", 0, rh_last_init_names);
  RH_TRY(rh_read_conv_how(net->image, spec, kernel > middle ? kernel : middle, &n->how));
  RH_TRY(rh_convolution_create(build, "0", &n->how, kernel, net->image.dim[2], hidden, RH_NET_GAIN, 1, &n->layer[0]));
  RH_TRY(rh_context_map_create(build, hidden, RH_NET_GAIN, &n->context));
  if (n->middle) RH_TRY(rh_convolution_create(build, "1", &n->how, middle, hidden, hidden, RH_NET_GAIN, 1, &n->layer[1]));
  RH_TRY(rh_convolution_create(build, "2", &n->how, kernel, hidden, net->channels, rh_last_init_gain(init), 0, &n->layer[2]));
  return rh_log_gain_create(build, spec, net->channels, &n->gain);
}

/* h = a(W0 x + V context), then a(W1 h), with "skip" h + a(W1 h), then W2 of that. */
static rh_val conv_apply(const rh_net *net, rh_graph *g, rh_val x, rh_val context) {
  const conv_net *n = (const conv_net *)net;
  const rh_val first = rh_convolution_apply(&n->layer[0], g, x, &n->how);
  const rh_val h = rh_activation(g, n->activation, rh_context_map_add(n->context, g, first, context));
  rh_val inner = h;
  if (n->middle) inner = rh_activation(g, n->activation, rh_convolution_apply(&n->layer[1], g, h, &n->how));
  if (n->middle && n->skip) inner = rh_add(g, h, inner);
  return rh_log_gain_apply(n->gain, g, rh_convolution_apply(&n->layer[2], g, inner, &n->how));
}

const rh_net_type rh_net_conv = {.type = "conv", .bytes = sizeof(conv_net), .create = conv_create, .apply_image = conv_apply};

static rh_status linear_create(rh_net *net, const rh_build *build, rh_spec *spec) {
  conv_net *n = (conv_net *)net;
  const int64_t kernel = rh_read_kernel(spec, "kernel", 3);
  const int init = rh_spec_choice(spec, "init", 0, rh_last_init_names);
  RH_TRY(rh_read_conv_how(net->image, spec, kernel, &n->how));
  RH_TRY(rh_convolution_create(build, "", &n->how, kernel, net->image.dim[2], net->channels, rh_last_init_gain(init), 0, &n->layer[0]));
  RH_TRY(rh_context_map_create(build, net->channels, rh_last_init_gain(init), &n->context));
  return rh_log_gain_create(build, spec, net->channels, &n->gain);
}

static rh_val linear_apply(const rh_net *net, rh_graph *g, rh_val x, rh_val context) {
  const conv_net *n = (const conv_net *)net;
  const rh_val y = rh_convolution_apply(&n->layer[0], g, x, &n->how);
  return rh_log_gain_apply(n->gain, g, rh_context_map_add(n->context, g, y, context));
}

const rh_net_type rh_net_conv_linear = {
    .type = "conv_linear", .bytes = sizeof(conv_net), .create = linear_create, .apply_image = linear_apply};
