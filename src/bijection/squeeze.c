/* Space to depth (Dinh et al. 2017, section 3.6): [h, w, c] -> [h / 2, w / 2, 4 c], the channels of the upper left pixel of each 2 x 2
 * first, then upper right, lower left, lower right: what lies side by side stays so, and is moved in runs. "unsqueeze" is the way back. */
#include "base/memory.h"
#include "bijection/parts.h"

typedef struct squeeze {
  rh_bijection b;
  int32_t *deep, *back; /* [elements] each: where a squeezed number comes from, and the other way round */
} squeeze;

/* large: [h, w, c], with even h and w. */
static rh_status fill_index(squeeze *s, rh_shape large) {
  const int64_t n = rh_shape_count(&large), w = large.dim[1], c = large.dim[2];
  s->deep = rh_alloc(2 * (size_t)n * sizeof *s->deep);
  if (!s->deep) return RH_E_MEMORY;
  s->back = s->deep + n;
  for (int64_t k = 0; k < n; k++) {
    const int64_t i = k / (w * c), j = k / c % w, which = (i % 2 * 2 + j % 2) * c + k % c;
    const int64_t to = (i / 2 * (w / 2) + j / 2) * 4 * c + which;
    s->deep[to] = (int32_t)k, s->back[k] = (int32_t)to;
  }
  return RH_OK;
}

static rh_status squeeze_create(rh_bijection *b, const rh_build *build, rh_spec *spec) {
  (void)build;
  RH_TRY(rh_need_image(b, spec));
  const int64_t h = b->in.dim[0], w = b->in.dim[1];
  if (h % 2 || w % 2)
    return spec->o.status = rh_fail(RH_E_SHAPE, "%s: an image of %lld x %lld cannot be squeezed, its sides must be even", spec->o.where,
                                    (long long)h, (long long)w);
  b->out = rh_shape3(h / 2, w / 2, 4 * b->in.dim[2]);
  return fill_index((squeeze *)b, b->in);
}

static rh_status unsqueeze_create(rh_bijection *b, const rh_build *build, rh_spec *spec) {
  (void)build;
  RH_TRY(rh_need_image(b, spec));
  const int64_t c = b->in.dim[2];
  if (c % 4)
    return spec->o.status =
               rh_fail(RH_E_SHAPE, "%s: %lld channels are not of four pixels: they cannot be unsqueezed", spec->o.where, (long long)c);
  b->out = rh_shape3(2 * b->in.dim[0], 2 * b->in.dim[1], c / 4);
  return fill_index((squeeze *)b, b->out);
}

static void squeeze_forward(const rh_bijection *b, rh_graph *g, rh_val x, rh_val context, rh_val noise, rh_val *y, rh_val *ladj) {
  (void)context, (void)noise, (void)ladj;
  *y = rh_gather(g, x, b->out, ((const squeeze *)b)->deep);
}

static void squeeze_inverse(const rh_bijection *b, rh_graph *g, rh_val y, rh_val context, rh_val *x, rh_val *ladj) {
  (void)context, (void)ladj;
  *x = rh_gather(g, y, b->in, ((const squeeze *)b)->back);
}

static void unsqueeze_forward(const rh_bijection *b, rh_graph *g, rh_val x, rh_val context, rh_val noise, rh_val *y, rh_val *ladj) {
  (void)context, (void)noise, (void)ladj;
  *y = rh_gather(g, x, b->out, ((const squeeze *)b)->back);
}

static void unsqueeze_inverse(const rh_bijection *b, rh_graph *g, rh_val y, rh_val context, rh_val *x, rh_val *ladj) {
  (void)context, (void)ladj;
  *x = rh_gather(g, y, b->in, ((const squeeze *)b)->deep);
}

static void squeeze_destroy(rh_bijection *b) {
  rh_free(((squeeze *)b)->deep);
}

const rh_bijection_type rh_bijection_squeeze = {.type = "squeeze",
                                                .bytes = sizeof(squeeze),
                                                .create = squeeze_create,
                                                .forward = squeeze_forward,
                                                .inverse = squeeze_inverse,
                                                .destroy = squeeze_destroy};
const rh_bijection_type rh_bijection_unsqueeze = {.type = "unsqueeze",
                                                  .bytes = sizeof(squeeze),
                                                  .create = unsqueeze_create,
                                                  .forward = unsqueeze_forward,
                                                  .inverse = unsqueeze_inverse,
                                                  .destroy = squeeze_destroy};
