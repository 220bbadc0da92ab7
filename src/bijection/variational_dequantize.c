/* Variational dequantization of an image (Flow++, Ho et al. 2019, section 3.1), a surjection: y = x + u, where u in (0, 1) comes from a
 * flow q(u | x) instead of being uniform: log P(x) >= E_q[log p(x + u) - log q(u | x)]. {"shape": [h, w, c], "levels": n, "steps": k,
 * "transform":
 * ..., "net": ...}; a row is the image as a vector of whole numbers, 0 to levels - 1, and stays a vector.
 *
 *   e = logit of the uniform noise, standard logistic      z = f(e; x)      u = sigmoid(z)
 *   -log q(u | x) = sum of l(e) - l(z), plus log|det dz/de|, with -log density of the logistic l(t) = t + 2 log(1 + exp(-t))
 *
 * f: first every number by itself, its parameters from x alone, then `steps` couplings that read the other half of e and x. The halves are
 * those of the channels, of squeezed pixels where height and width are even; else of a checkerboard. The noise is logistic, not normal as
 * in the paper, and the networks start at 0: so f starts as the identity and q as the uniform distribution, to the bit (contribution 0).
 *
 * The inverse is that of plain dequantization: the whole number below, no less than 0 and no more than levels - 1. */
#include <stdio.h>

#include "base/memory.h"
#include "bijection/image_mask.h"
#include "bijection/parts.h"
#include "bijection/transform.h"

enum { PREFIX_BYTES = 256, STEPS = 64 };

typedef struct step {
  rh_image_mask mask; /* the first step has none: all zero */
  rh_transform *transform;
  rh_net *net;
  int32_t *seen_and_x; /* [h, w, seen channels + c]: from those seen, then x, to pixel by pixel; NULL: x alone */
  rh_shape reads;
} step;

typedef struct variational {
  rh_bijection b;
  rh_arena arena;
  double levels;
  rh_shape image;        /* as it comes */
  rh_shape shape;        /* as the flow has it: squeezed, or as it comes */
  rh_bijection *squeeze; /* NULL: none */
  int steps;             /* the first one included */
  step *step;
} variational;

/* "checkerboard" or "channels", by turns with the other half; what is too small for one has the other. NULL: one number, no coupling. */
static const char *mask_of(const variational *v, int i) {
  static const char *const channels[] = {"channels", "channels-swap"}, *const pixels[] = {"checkerboard", "checkerboard-swap"};
  const bool one_pixel = v->shape.dim[0] * v->shape.dim[1] == 1, one_channel = v->shape.dim[2] == 1;
  if (one_pixel && one_channel) return NULL;
  return (v->squeeze || one_pixel ? channels : pixels)[i % 2];
}

static rh_status read_mask(step *s, const char *name, rh_shape shape) {
  json_t *object = json_pack("{s:s}", "mask", name);
  rh_spec spec = rh_spec_begin(object, "mask", NULL);
  const rh_status status = object ? rh_image_mask_read(&s->mask, &spec, shape) : RH_E_MEMORY;
  rh_spec_end(&spec);
  json_decref(object);
  return status;
}

/* Pixel by pixel the channels seen, then x's. */
static rh_status index_reads(variational *v, step *s) {
  const int64_t a = s->mask.seen.dim[2], c = v->shape.dim[2], both = a + c, pixels = v->shape.dim[0] * v->shape.dim[1];
  s->reads.dim[2] = both;
  s->seen_and_x = rh_arena_alloc(&v->arena, (size_t)(pixels * both) * sizeof *s->seen_and_x);
  if (!s->seen_and_x) return RH_E_MEMORY;
  for (int64_t i = 0; i < pixels * both; i++) {
    const int64_t pixel = i / both, k = i % both;
    s->seen_and_x[i] = (int32_t)(k < a ? pixel * a + k : pixels * a + pixel * c + k - a);
  }
  return RH_OK;
}

static rh_status create_step(variational *v, const rh_build *build, rh_spec *spec, int i) {
  step *s = &v->step[i];
  char where[RH_WHERE_BYTES], prefix[PREFIX_BYTES];
  s->reads = v->shape;
  if (i) RH_TRY(read_mask(s, mask_of(v, i - 1), v->shape));
  if (i) RH_TRY(index_reads(v, s));
  rh_spec_where(spec, "transform", -1, where);
  RH_TRY(rh_transform_create(rh_spec_json(spec, "transform"), where, &s->transform));
  rh_spec_where(spec, "net", -1, where);
  snprintf(prefix, sizeof prefix, "%s.%d", build->prefix, i);
  const rh_build inner = {build->leaves, prefix, 0};
  const int64_t channels = i ? s->mask.channels : v->shape.dim[2];
  return rh_image_net_create(&inner, rh_spec_json(spec, "net"), where, s->reads, channels * s->transform->params, &s->net);
}

static rh_status create_squeeze(variational *v, const rh_build *build) {
  v->shape = v->image;
  if (v->image.dim[0] % 2 || v->image.dim[1] % 2) return RH_OK;
  json_t *spec = json_pack("{s:s}", "type", "squeeze");
  const rh_status status = spec ? rh_bijection_create(build, spec, "squeeze", v->image, &v->squeeze) : RH_E_MEMORY;
  json_decref(spec);
  if (status == RH_OK) v->shape = v->squeeze->out;
  return status;
}

static rh_status read_image(variational *v, rh_spec *spec, int *steps) {
  int64_t dim[3] = {0};
  int n = 0;
  rh_spec_ints(spec, "shape", 1, 1 << 20, 3, &n, dim);
  v->levels = (double)rh_spec_int(spec, "levels", 256, 2, 1 << 16);
  *steps = (int)rh_spec_int(spec, "steps", 2, 0, STEPS) + 1;
  RH_TRY(rh_spec_status(spec));
  if (n != 3 || (double)dim[0] * (double)dim[1] * (double)dim[2] != (double)rh_columns_of(&v->b))
    return rh_spec_fail(spec, "shape", "expected [height, width, channels] of an image of %lld numbers", (long long)rh_columns_of(&v->b));
  v->image = rh_shape3(dim[0], dim[1], dim[2]);
  return RH_OK;
}

static rh_status variational_create(rh_bijection *b, const rh_build *build, rh_spec *spec) {
  variational *v = (variational *)b;
  int steps;
  RH_TRY(rh_need_vector(b, spec));
  RH_TRY(read_image(v, spec, &steps));
  RH_TRY(create_squeeze(v, build));
  if (!mask_of(v, 0)) steps = 1;
  v->step = rh_alloc_zero((size_t)steps, sizeof *v->step);
  if (!v->step) return RH_E_MEMORY;
  for (int i = 0; i < steps; i++) {
    v->steps++;
    RH_TRY(create_step(v, build, spec, i));
  }
  rh_spec_set(spec, "transform", json_incref(v->step[0].transform->spec));
  rh_spec_set(spec, "net", json_incref(v->step[0].net->spec));
  b->noise = rh_columns_of(b);
  b->exact = false;
  return rh_spec_status(spec);
}

/* x, e: [shape]; e goes through one step. */
static rh_val run_step(const variational *v, const step *s, rh_graph *g, rh_val x, rh_val e, rh_val *ladj) {
  const int64_t params = s->transform->params, n = s->mask.changed ? s->mask.changed : rh_shape_count(&v->shape),
                channels = s->mask.changed ? s->mask.channels : v->shape.dim[2];
  rh_val seen = RH_NONE, changed = RH_NONE, reads = x, out = RH_NONE, each = RH_NONE;
  if (!s->seen_and_x) {
    changed = rh_reshape(g, e, rh_shape1(n));
  } else {
    rh_image_mask_split(&s->mask, g, e, &seen, &changed);
    reads = rh_gather(g, rh_concat(g, 2, (rh_val[]){seen, x}), s->reads, s->seen_and_x);
  }
  const rh_val by_pixel = rh_image_net_apply(s->net, g, reads, RH_NONE);
  const rh_val all = s->seen_and_x ? rh_image_mask_raw(&s->mask, g, by_pixel, params) : rh_reshape(g, by_pixel, rh_shape1(params * n));
  const rh_raw raw = {all, n, params, s->transform->type->by_element, channels};
  if (g->status == RH_OK) s->transform->type->forward(s->transform, g, changed, &raw, &out, &each);
  if (!rh_is_none(each)) *ladj = rh_add_maybe(g, *ladj, rh_sum(g, each));
  return s->seen_and_x ? rh_image_mask_join(&s->mask, g, seen, out) : rh_reshape(g, out, v->shape);
}

/* -log of the standard logistic's density, by element. */
static rh_val logistic(rh_graph *g, rh_val t) {
  return rh_add(g, t, rh_mulc(g, rh_softplus(g, rh_neg(g, t)), 2));
}

static rh_val as_image(const variational *v, rh_graph *g, rh_val x) {
  rh_val y = rh_reshape(g, x, v->image), none;
  if (v->squeeze) rh_forward(v->squeeze, g, y, RH_NONE, RH_NONE, &y, &none);
  return y;
}

static rh_val as_vector(const variational *v, rh_graph *g, rh_val y) {
  rh_val x = rh_reshape(g, y, v->shape), none;
  if (v->squeeze) rh_inverse(v->squeeze, g, x, RH_NONE, &x, &none);
  return rh_reshape(g, x, v->b.in);
}

static void variational_forward(const rh_bijection *b, rh_graph *g, rh_val x, rh_val context, rh_val noise, rh_val *y, rh_val *ladj) {
  const variational *v = (const variational *)b;
  (void)context;
  rh_val turned = RH_NONE;
  const rh_val u = as_image(v, g, noise);
  const rh_val e = rh_sub(g, rh_log(g, u), rh_log1p(g, rh_neg(g, u)));
  const rh_val scaled = rh_addc(g, rh_mulc(g, as_image(v, g, x), 2 / v->levels), 1 / v->levels - 1); /* in (-1, 1) */
  rh_val z = e;
  for (int i = 0; i < v->steps && g->status == RH_OK; i++) z = run_step(v, &v->step[i], g, scaled, z, &turned);
  const rh_val gained = rh_sum(g, rh_sub(g, logistic(g, e), logistic(g, z)));
  *y = rh_add(g, x, as_vector(v, g, rh_sigmoid(g, z)));
  *ladj = rh_add_maybe(g, gained, turned);
}

static void variational_inverse(const rh_bijection *b, rh_graph *g, rh_val y, rh_val context, rh_val *x, rh_val *ladj) {
  (void)context, (void)ladj;
  *x = rh_minc(g, rh_maxc(g, rh_floor(g, y), 0), ((const variational *)b)->levels - 1);
}

static void variational_destroy(rh_bijection *b) {
  variational *v = (variational *)b;
  for (int i = 0; i < v->steps; i++) {
    rh_image_mask_free(&v->step[i].mask);
    rh_transform_destroy(v->step[i].transform);
    rh_net_destroy(v->step[i].net);
  }
  rh_free(v->step);
  rh_bijection_destroy(v->squeeze);
  rh_arena_free(&v->arena);
}

const rh_bijection_type rh_bijection_variational_dequantize = {.type = "variational_dequantize",
                                                               .bytes = sizeof(variational),
                                                               .conditioned = true,
                                                               .create = variational_create,
                                                               .forward = variational_forward,
                                                               .inverse = variational_inverse,
                                                               .rounds = true,
                                                               .destroy = variational_destroy};
