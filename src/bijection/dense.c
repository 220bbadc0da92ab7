/* Linear layer y = W x + b with every number of W a parameter, of a vector or of the channels of every pixel: Glow's invertible 1x1
 * convolution as it is (Kingma & Dhariwal 2018, section 3.2, eq. 9). log|det W| and, backwards, W^-1 cost n^3 and are computed once, before
 * the rows. Nothing keeps W from being singular: a density is then 0, and a step of training with it is skipped. Starts as the identity, or
 * with "start": "rotation" as a random rotation. Leaves prefix.weight, prefix.bias: of a vector, and of an image where asked, since ActNorm
 * has one. */
#include "base/memory.h"
#include "bijection/parts.h"
#include "bijection/rotation.h"

enum { DENSE_MAX = 1024 };

typedef struct dense {
  rh_bijection b;
  rh_channels channels;
  int weight, bias; /* bias: -1: none */
} dense;

static rh_status add_weight(dense *m, const rh_build *build, bool rotation, uint64_t seed) {
  const int64_t n = m->channels.n;
  const rh_shape shape = rh_shape2(n, n);
  if (!rotation)
    return rh_leaf_add(build->leaves, RH_PARAM, shape, (rh_init){RH_INIT_IDENTITY, 1, NULL}, false, &m->weight, "%s.weight", build->prefix);
  double *q = rh_alloc((size_t)(n * n + 1) * sizeof *q);
  if (!q) return RH_E_MEMORY;
  rh_random_rotation(n, seed, q);
  const rh_status status =
      rh_leaf_add(build->leaves, RH_PARAM, shape, (rh_init){RH_INIT_VALUES, 0, q}, false, &m->weight, "%s.weight", build->prefix);
  rh_free(q);
  return status;
}

static rh_status dense_create(rh_bijection *b, const rh_build *build, rh_spec *spec) {
  static const char *const starts[] = {"identity", "rotation", NULL};
  dense *m = (dense *)b;
  RH_TRY(rh_need_channels(b, spec, &m->channels));
  const bool image = b->in.rank == 3, rotation = rh_spec_choice(spec, "start", 0, starts) == 1, bias = rh_spec_bool(spec, "bias", !image);
  const int64_t seed = rotation ? rh_spec_int(spec, "seed", 0, 0, (int64_t)1 << 53) : 0;
  RH_TRY(rh_spec_status(spec));
  if (m->channels.n > DENSE_MAX)
    return rh_fail(RH_E_SPEC, "%s: dense takes at most %d %s, not %lld: its determinant costs their cube; use lu or a permutation",
                   spec->o.where, DENSE_MAX, image ? "channels" : "columns", (long long)m->channels.n);
  RH_TRY(add_weight(m, build, rotation, (uint64_t)seed));
  m->bias = -1;
  const rh_init zero = {RH_INIT_CONSTANT, 0, NULL};
  return bias ? rh_leaf_add(build->leaves, RH_PARAM, rh_shape1(m->channels.n), zero, false, &m->bias, "%s.bias", build->prefix) : RH_OK;
}

static rh_val inverse_of(const dense *m, rh_graph *g, rh_val *ladj) {
  rh_val inverse;
  rh_invert(g, rh_leaf_val(g, m->weight), &inverse, ladj);
  *ladj = rh_each_pixel(&m->channels, g, *ladj);
  return inverse;
}

static void dense_forward(const rh_bijection *b, rh_graph *g, rh_val x, rh_val context, rh_val noise, rh_val *y, rh_val *ladj) {
  const dense *m = (const dense *)b;
  (void)context, (void)noise;
  (void)inverse_of(m, g, ladj);
  *y = rh_linear(g, x, rh_leaf_val(g, m->weight), m->bias < 0 ? RH_NONE : rh_leaf_val(g, m->bias));
}

static void dense_inverse(const rh_bijection *b, rh_graph *g, rh_val y, rh_val context, rh_val *x, rh_val *ladj) {
  const dense *m = (const dense *)b;
  (void)context;
  const rh_val centered = m->bias < 0 ? y : rh_sub(g, y, rh_spread(b, g, rh_leaf_val(g, m->bias)));
  *x = rh_linear(g, centered, inverse_of(m, g, ladj), RH_NONE);
  *ladj = rh_neg(g, *ladj);
}

const rh_bijection_type rh_bijection_dense = {
    .type = "dense", .bytes = sizeof(dense), .create = dense_create, .forward = dense_forward, .inverse = dense_inverse};
