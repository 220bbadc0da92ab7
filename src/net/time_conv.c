/* A stack of convolutions of an image that reads the time at every layer, as a field of images (Grathwohl et al. 2019, FFJORD,
 * section 4.2). Layers z = W * h + b, windows k x k, zeros outside, join the time t in one of two ways (the layers of their code):
 *   "concat"  t is one more channel, constant over the image: [W A] * (h, t) + b = z + t (A * 1), where A * 1 [h, w, channels] is of
 *             parameters alone, made once a run; what the border cuts off from a window it also cuts off from the time
 *   "squash"  z sigmoid(a t + c) + u t, by channel
 * and a context joins the first layer by a linear map to its channels. "residual": from the second on, hidden layers add to what they read.
 * Leaves prefix.0.weight [channels, k, k, inputs], .bias, .time: of concat A [channels, k, k], of squash a; .gate (c), .shift (u); of the
 * context prefix.context.weight; prefix.1.weight, ... Traces: net/conv_trace.c. */
#include <math.h>
#include <stdio.h>

#include "net/conv_trace.h"
#include "net/types.h"

enum { LAYERS = 16 };
enum { CONCAT, SQUASH };
static const char *const time_names[] = {"concat", "squash", NULL};
static const rh_conv_how plain = {.weight_norm = false, .padding = RH_PAD_ZERO};

typedef struct layer {
  rh_convolution conv;
  int time, gate, shift;
} layer;

typedef struct time_conv {
  rh_field field;
  int activation, hidden; /* hidden layers */
  int time, context;      /* context: leaf, without one -1 */
  bool residual;
  layer layer[LAYERS + 1];
} time_conv;

/* ---- making one ---- */

static rh_status leaf(const rh_build *build, int l, const char *name, rh_shape shape, double deviation, int *leaf) {
  const rh_init init = {deviation == 0 ? RH_INIT_CONSTANT : RH_INIT_NORMAL, deviation, NULL};
  return rh_leaf_add(build->leaves, RH_PARAM, shape, init, false, leaf, "%s.%d.%s", build->prefix, l, name);
}

/* The last layer starts at zero but for a gate's c, by which nothing is lost there. */
static rh_status create_layer(time_conv *m, const rh_build *build, int l, int64_t kernel, int64_t in, int64_t out, double gain) {
  char name[16];
  layer *y = &m->layer[l];
  const bool last = l == m->hidden;
  const double deviation = last ? 0 : gain / sqrt((double)((in + 1) * kernel * kernel));
  snprintf(name, sizeof name, "%d", l);
  RH_TRY(rh_convolution_create(build, name, &plain, kernel, in, out, last ? 0 : gain, last ? 0 : 1, &y->conv));
  if (m->time == CONCAT) return leaf(build, l, "time", rh_shape3(out, kernel, kernel), deviation, &y->time);
  RH_TRY(leaf(build, l, "time", rh_shape1(out), deviation, &y->time));
  RH_TRY(leaf(build, l, "gate", rh_shape1(out), gain, &y->gate));
  return leaf(build, l, "shift", rh_shape1(out), deviation, &y->shift);
}

/* In closed form: tests/net/test_fields.c. */
static bool closed(const time_conv *m) {
  return !m->residual && (m->hidden < 2 || (m->hidden == 2 && m->time == CONCAT));
}

static rh_status time_conv_create(rh_field *f, const rh_build *build, rh_spec *spec) {
  time_conv *m = (time_conv *)f;
  int64_t width[LAYERS] = {32, 32}, in = f->image.dim[2];
  m->hidden = 2;
  rh_spec_ints(spec, "hidden", 1, RH_NET_WIDTH, LAYERS, &m->hidden, width);
  const int64_t kernel = rh_read_kernel(spec, "kernel", 3);
  RH_TRY(rh_field_activation(spec, "tanh", &m->activation));
  m->time = rh_spec_choice(spec, "time", CONCAT, time_names);
  m->residual = rh_spec_bool(spec, "residual", false);
  const double gain = rh_spec_real(spec, "gain", RH_NET_GAIN, 0.01, 10);
  RH_TRY(rh_spec_status(spec));
  RH_TRY(rh_field_one_width(spec, m->residual, m->hidden, width));
  for (int l = 0; l <= m->hidden; l++) {
    const int64_t out = l < m->hidden ? width[l] : f->image.dim[2];
    RH_TRY(create_layer(m, build, l, kernel, in, out, gain));
    if (l == 0) RH_TRY(rh_context_map_create(build, out, m->hidden ? gain : 0, &m->context));
    in = out;
  }
  f->traced = closed(m);
  f->columns = f->traced ? 0 : f->d;
  return RH_OK;
}

/* ---- the value ---- */

/* z [h, w, channels], *gate [channels]: squash's */
static rh_val run_layer(const time_conv *m, rh_graph *g, int l, rh_val h, rh_val t, rh_val context, rh_val *gate) {
  const layer *y = &m->layer[l];
  rh_val z = rh_convolution_apply(&y->conv, g, h, &plain), at = rh_leaf_val(g, y->time);
  if (g->status != RH_OK) return RH_NONE;
  const rh_shape image = rh_at(g, z)->shape;
  *gate = RH_NONE;
  if (m->time == SQUASH) {
    *gate = rh_sigmoid(g, rh_add(g, rh_mul(g, at, t), rh_leaf_val(g, y->gate)));
    z = rh_mul(g, z, rh_over_pixels(g, *gate, image));
    z = rh_add(g, z, rh_over_pixels(g, rh_mul(g, rh_leaf_val(g, y->shift), t), image));
  } else {
    z = rh_add(g, z, rh_mul(g, rh_reshape(g, rh_inside_sums(g, image, y->conv.kernel, at), image), t));
  }
  return l == 0 ? rh_context_map_add(m->context, g, z, context) : z;
}

static rh_val run_layers(const time_conv *m, rh_graph *g, rh_val x, rh_val t, rh_val context, rh_conv_trail *trail) {
  rh_val h = rh_reshape(g, x, m->field.image), gate;
  for (int l = 0; l < m->hidden && g->status == RH_OK; l++) {
    const rh_val z = run_layer(m, g, l, h, t, context, &gate), a = rh_activation(g, m->activation, z);
    if (trail && g->status == RH_OK) {
      trail->slope[l] = rh_slope_of(g, a, z);
      if (m->time == SQUASH) trail->slope[l] = rh_mul(g, trail->slope[l], rh_over_pixels(g, gate, rh_at(g, z)->shape));
    }
    h = m->residual && l ? rh_add(g, h, a) : a;
  }
  const rh_val dx = run_layer(m, g, m->hidden, h, t, context, &gate);
  if (trail) trail->gate = gate;
  return rh_reshape(g, dx, rh_shape1(m->field.d));
}

static void time_conv_apply(const rh_field *f, rh_graph *g, rh_val x, rh_val t, rh_val context, rh_val *dx, rh_val *trace) {
  const time_conv *m = (const time_conv *)f;
  rh_conv_trail trail = {.n = m->hidden};
  *dx = run_layers(m, g, x, t, context, trace ? &trail : NULL);
  if (!trace || g->status != RH_OK) return;
  for (int l = 0; l <= m->hidden; l++) trail.conv[l] = &m->layer[l].conv;
  *trace = rh_conv_trace(&trail, g, f->image);
}

const rh_field_type rh_field_time_conv = {
    .type = "time_conv", .bytes = sizeof(time_conv), .image = true, .create = time_conv_create, .apply = time_conv_apply};
