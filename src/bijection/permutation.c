/* y[i] = x[order[i]], of the columns, or of the channels of every pixel of an image: "reverse", "swap" (the halves), "random" by a seed, or
 * a list. */
#include "base/memory.h"
#include "bijection/order.h"
#include "bijection/parts.h"

typedef struct permutation {
  rh_bijection b;
  int32_t *order, *back; /* [elements] each */
} permutation;

static int64_t swapped(int64_t i, int64_t d) {
  return (i + d / 2) % d;
}
static const rh_named_order orders[] = {{"reverse", rh_order_reversed}, {"swap", swapped}, {"random", NULL}, {NULL, NULL}};

static rh_status permutation_create(rh_bijection *b, const rh_build *build, rh_spec *spec) {
  permutation *p = (permutation *)b;
  rh_channels c;
  (void)build;
  RH_TRY(rh_need_channels(b, spec, &c));
  const int64_t d = c.n, n = d * c.pixels;
  int64_t *order = rh_alloc((size_t)d * sizeof *order);
  p->order = rh_alloc(2 * (size_t)n * sizeof *p->order);
  rh_status status = order && p->order ? rh_read_whole_order(spec, d, orders, order) : RH_E_MEMORY;
  p->back = p->order ? p->order + n : NULL;
  for (int64_t i = 0; i < n && status == RH_OK; i++) {
    const int64_t from = i - i % d + order[i % d];
    p->order[i] = (int32_t)from, p->back[from] = (int32_t)i;
  }
  rh_free(order);
  return status;
}

static void permutation_forward(const rh_bijection *b, rh_graph *g, rh_val x, rh_val context, rh_val noise, rh_val *y, rh_val *ladj) {
  (void)context, (void)noise, (void)ladj;
  *y = rh_gather(g, x, b->out, ((const permutation *)b)->order);
}

static void permutation_inverse(const rh_bijection *b, rh_graph *g, rh_val y, rh_val context, rh_val *x, rh_val *ladj) {
  (void)context, (void)ladj;
  *x = rh_gather(g, y, b->in, ((const permutation *)b)->back);
}

static void permutation_destroy(rh_bijection *b) {
  rh_free(((permutation *)b)->order);
}

const rh_bijection_type rh_bijection_permutation = {.type = "permutation",
                                                    .bytes = sizeof(permutation),
                                                    .create = permutation_create,
                                                    .forward = permutation_forward,
                                                    .inverse = permutation_inverse,
                                                    .destroy = permutation_destroy};
