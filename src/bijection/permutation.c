/* y[i] = x[order[i]]: "reverse", "swap" (the halves), "random" by a seed, or a list. */
#include "base/memory.h"
#include "bijection/order.h"
#include "bijection/parts.h"

enum { REVERSE, SWAP, RANDOM };

typedef struct permutation {
  rh_bijection b;
  int32_t *order, *back; /* [d] each */
} permutation;

static rh_status choose(const rh_bijection *b, rh_spec *spec, int64_t *order) {
  static const char *const names[] = {"reverse", "swap", "random", NULL};
  const int64_t d = rh_columns_of(b);
  const uint64_t seed = rh_read_seed(spec);
  const json_t *given = rh_spec_json(spec, "order");
  if (given && json_is_array(given)) {
    int n;
    RH_TRY(rh_read_order(spec, "order", d, &n, order));
    return n == d ? RH_OK : rh_spec_fail(spec, "order", "%d columns, there must be %lld", n, (long long)d);
  }
  const int kind = rh_spec_choice(spec, "order", REVERSE, names);
  for (int64_t i = 0; i < d; i++) order[i] = kind == REVERSE ? d - 1 - i : (i + d / 2) % d;
  if (kind != RANDOM) return rh_spec_status(spec);
  rh_random_order(d, seed, order);
  rh_write_order(spec, "order", d, order);
  return rh_spec_status(spec);
}

static rh_status permutation_create(rh_bijection *b, const rh_build *build, rh_spec *spec) {
  permutation *p = (permutation *)b;
  const int64_t d = rh_columns_of(b);
  (void)build;
  RH_TRY(rh_need_vector(b, spec));
  int64_t *order = rh_alloc((size_t)d * sizeof *order);
  p->order = rh_alloc(2 * (size_t)d * sizeof *p->order);
  rh_status status = order && p->order ? choose(b, spec, order) : RH_E_MEMORY;
  p->back = p->order ? p->order + d : NULL;
  for (int64_t i = 0; i < d && status == RH_OK; i++) p->order[i] = (int32_t)order[i], p->back[order[i]] = (int32_t)i;
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
