/* Autoregressive transforms (MAF: Papamakarios et al. 2017, eq. 3-5; IAF, its inverse: Kingma et al. 2016): column i goes through an
 * elementwise transform whose parameters a masked network (net/masked.h) computes from the columns before it. Forward is one pass; the
 * inverse is a sweep, which costs about one pass (graph/program.h). */
#include <stdio.h>

#include "bijection/causal.h"
#include "bijection/parts.h"
#include "bijection/transform.h"

enum { PREFIX_BYTES = 256 };

typedef struct autoregressive {
  rh_bijection b;
  rh_order order;
  rh_transform *transform;
  rh_masked_net *net;
} autoregressive;

static rh_status autoregressive_create(rh_bijection *b, const rh_build *build, rh_spec *spec) {
  autoregressive *a = (autoregressive *)b;
  char where[RH_WHERE_BYTES], prefix[PREFIX_BYTES];
  RH_TRY(rh_need_vector(b, spec));
  RH_TRY(rh_order_read(&a->order, spec, rh_columns_of(b)));
  rh_spec_where(spec, "transform", -1, where);
  RH_TRY(rh_transform_create(rh_spec_json(spec, "transform"), where, &a->transform));
  rh_spec_set(spec, "transform", json_incref(a->transform->spec));
  rh_spec_where(spec, "net", -1, where);
  snprintf(prefix, sizeof prefix, "%s.net", build->prefix);
  const rh_build inner = {build->leaves, prefix, build->context};
  RH_TRY(rh_masked_create(&inner, rh_spec_json(spec, "net"), where, &a->order.causal, a->transform->params, &a->net));
  rh_spec_set(spec, "net", json_incref(rh_masked_spec(a->net)));
  b->context = build->context;
  return rh_spec_status(spec);
}

/* The transform as a sweep sees it. */
static void element(rh_graph *g, void *arg, bool forward, rh_val x, rh_val raw, int64_t m, int64_t params, rh_val *y) {
  const rh_transform *t = ((const autoregressive *)arg)->transform;
  const rh_raw all = {raw, m, params, true, 0};
  rh_val ladj = RH_NONE;
  (forward ? t->type->forward : t->type->inverse)(t, g, x, &all, y, &ladj);
}

/* x: sorted -> y sorted, and ladj a column or RH_NONE. */
static void transform_all(const autoregressive *a, rh_graph *g, rh_val x, rh_val context, rh_val *y, rh_val *each) {
  const rh_raw raw = {rh_masked_apply(a->net, g, x, context), rh_columns_of(&a->b), a->transform->params, true, 0};
  a->transform->type->forward(a->transform, g, x, &raw, y, each);
}

static void autoregressive_forward(const rh_bijection *b, rh_graph *g, rh_val x, rh_val context, rh_val noise, rh_val *y, rh_val *ladj) {
  const autoregressive *a = (const autoregressive *)b;
  rh_val sorted = RH_NONE, each = RH_NONE;
  (void)noise;
  transform_all(a, g, rh_order_sort(&a->order, g, x), context, &sorted, &each);
  if (!rh_is_none(each)) *ladj = rh_sum(g, each);
  *y = rh_order_unsort(&a->order, g, sorted);
}

/* The log-determinant is forward's at the solution: to the bit what the density of x says. */
static void autoregressive_inverse(const rh_bijection *b, rh_graph *g, rh_val y, rh_val context, rh_val *x, rh_val *ladj) {
  const autoregressive *a = (const autoregressive *)b;
  rh_val again = RH_NONE, each = RH_NONE;
  const rh_val sorted = rh_masked_invert(a->net, g, rh_order_sort(&a->order, g, y), context, element, (void *)(uintptr_t)a);
  transform_all(a, g, sorted, context, &again, &each);
  if (!rh_is_none(each)) *ladj = rh_neg(g, rh_sum(g, each));
  *x = rh_order_unsort(&a->order, g, sorted);
}

static double autoregressive_box(const rh_bijection *b) {
  return rh_transform_box(((const autoregressive *)b)->transform);
}

static void autoregressive_destroy(rh_bijection *b) {
  autoregressive *a = (autoregressive *)b;
  rh_order_free(&a->order);
  rh_transform_destroy(a->transform);
  rh_masked_destroy(a->net);
}

const rh_bijection_type rh_bijection_autoregressive = {.type = "autoregressive",
                                                       .bytes = sizeof(autoregressive),
                                                       .conditioned = true,
                                                       .create = autoregressive_create,
                                                       .forward = autoregressive_forward,
                                                       .inverse = autoregressive_inverse,
                                                       .destroy = autoregressive_destroy,
                                                       .box = autoregressive_box};
