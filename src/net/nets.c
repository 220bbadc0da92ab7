/* The registry of networks, and what is the same for all of them. */
#include <string.h>

#include "base/memory.h"
#include "net/types.h"

/* The first is the default; of images the first that reads them. */
static const rh_net_type *const types[] = {&rh_net_mlp,  &rh_net_residual,      &rh_net_linear,    &rh_net_constant,
                                           &rh_net_conv, &rh_net_conv_residual, &rh_net_conv_unet, &rh_net_conv_linear};

const rh_net_type *const *rh_net_types(int *n) {
  *n = (int)RH_COUNT_OF(types);
  return types;
}

/* ---- constant: what a conditioner without input is. Leaf prefix.value ---- */
typedef struct constant {
  rh_net net;
  int value;
} constant;

static rh_status constant_create(rh_net *net, const rh_build *build, rh_spec *spec) {
  (void)spec;
  const rh_init zero = {RH_INIT_CONSTANT, 0, NULL};
  return rh_leaf_add(build->leaves, RH_PARAM, rh_shape1(net->out), zero, false, &((constant *)net)->value, "%s.value", build->prefix);
}
static rh_val constant_apply(const rh_net *net, rh_graph *g, rh_val x) {
  (void)x;
  return rh_leaf_val(g, ((const constant *)net)->value);
}
static bool constant_depends(const rh_net *net, int64_t out, int64_t in) {
  (void)net, (void)out, (void)in;
  return false;
}
const rh_net_type rh_net_constant = {
    .type = "constant", .bytes = sizeof(constant), .create = constant_create, .apply = constant_apply, .depends = constant_depends};

/* ---- for all ---- */
static rh_status find_type(const json_t *spec, const char *where, bool image, const rh_net_type **type) {
  const char *names[RH_COUNT_OF(types) + 1] = {0};
  int usual = 0;
  for (size_t i = 0; i < RH_COUNT_OF(types); i++) names[i] = types[i]->type;
  while ((types[usual]->apply_image != NULL) != image) usual++;
  rh_options o = rh_options_begin(spec, where);
  *type = types[rh_options_choice(&o, "type", usual, names)];
  RH_TRY(o.status);
  if (((*type)->apply_image != NULL) == image) return RH_OK;
  return rh_fail(RH_E_SPEC,
                 image ? "%s: '%s' reads a vector, here come images: take \"conv\", \"conv_residual\", \"conv_unet\" or \"conv_linear\""
                       : "%s: '%s' reads images, here comes a vector: take \"mlp\", \"residual\" or \"linear\"",
                 where, (*type)->type);
}

static rh_status fill(rh_net *net, const rh_build *build, rh_spec *spec) {
  RH_TRY(net->type->create(net, build, spec));
  RH_TRY(rh_spec_done(spec));
  net->spec = rh_spec_take(spec);
  return RH_OK;
}

static rh_status create(const rh_build *build, const json_t *spec, const char *where, const rh_net *sizes, rh_net **net) {
  rh_net *fresh = rh_alloc_zero(1, sizes->type->bytes);
  if (!fresh) return RH_E_MEMORY;
  *fresh = *sizes;
  rh_spec s = rh_spec_begin(spec, where, sizes->type->type);
  const rh_status status = fill(fresh, build, &s);
  rh_spec_end(&s);
  if (status != RH_OK) {
    rh_net_destroy(fresh);
    return status;
  }
  *net = fresh;
  return RH_OK;
}

rh_status rh_net_create(const rh_build *build, const json_t *spec, const char *where, int64_t in, int64_t out, rh_net **net) {
  rh_net sizes = {.in = in, .out = out, .context = build->context};
  RH_TRY(find_type(spec, where, false, &sizes.type));
  if (in + build->context == 0) spec = NULL, sizes.type = &rh_net_constant;
  return create(build, spec, where, &sizes, net);
}

rh_status rh_image_net_create(const rh_build *build, const json_t *spec, const char *where, rh_shape image, int64_t channels,
                              rh_net **net) {
  rh_net sizes = {.in = rh_shape_count(&image), .image = image, .channels = channels, .context = build->context};
  sizes.out = image.dim[0] * image.dim[1] * channels;
  RH_TRY(find_type(spec, where, true, &sizes.type));
  return create(build, spec, where, &sizes, net);
}

rh_val rh_net_apply(const rh_net *net, rh_graph *g, rh_val x, rh_val context) {
  if (g->status != RH_OK) return RH_NONE;
  const rh_val both[2] = {x, context};
  const rh_val in = net->in && net->context ? rh_concat(g, 2, both) : net->in ? x : context;
  return net->type->apply(net, g, in);
}

rh_val rh_image_net_apply(const rh_net *net, rh_graph *g, rh_val x, rh_val context) {
  if (g->status != RH_OK) return RH_NONE;
  return net->type->apply_image(net, g, rh_reshape(g, x, net->image), net->context ? context : RH_NONE);
}

void rh_net_destroy(rh_net *net) {
  if (!net) return;
  if (net->type->destroy) net->type->destroy(net);
  json_decref(net->spec);
  rh_free(net);
}
