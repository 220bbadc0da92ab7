#include "density/mixing.h"

#include "base/memory.h"

/* [k] -> [1]: halves that overlap by one where k is odd. */
static rh_val greatest(rh_graph *g, rh_val a) {
  for (int64_t n = rh_count(g, a); n > 1; n = rh_count(g, a)) {
    const int64_t half = (n + 1) / 2;
    a = rh_max(g, rh_slice(g, a, 0, half), rh_slice(g, a, n - half, half));
  }
  return a;
}

/* With the greatest taken out. Where that is -inf (or below every float) the exponentials are kept from inf - inf by a floor under it, and
 * the logarithm from 0 by one under their sum, which is otherwise at least 1: neither floor passes a gradient on. */
rh_val rh_log_sum_exp(rh_graph *g, rh_val a) {
  if (rh_count(g, a) == 1) return a;
  const rh_val most = greatest(g, a), sum = rh_sum(g, rh_exp(g, rh_sub(g, a, rh_maxc(g, most, -3e38))));
  return rh_add(g, most, rh_log(g, rh_maxc(g, sum, 0.5)));
}

rh_val rh_log_softmax(rh_graph *g, rh_val logits) {
  return rh_sub(g, logits, rh_log_sum_exp(g, logits));
}

/* u lies in component k when it is above the weights before k and not above those up to k. The edges ascend, for sums of more terms in the
 * same order are no less; the last one is left out, so that rounding cannot leave u without a component. */
rh_val rh_pick(rh_graph *g, rh_val u, rh_val log_weights) {
  const int64_t k = rh_count(g, log_weights);
  if (k <= 1) return rh_add(g, rh_mulc(g, u, 0), rh_const(g, rh_shape1(1), 1));
  double *below = rh_alloc((size_t)((k - 1) * k) * sizeof *below); /* [k - 1, k]: row i sums the weights up to i */
  if (!below) {
    if (g->status == RH_OK) g->status = RH_E_MEMORY;
    return RH_NONE;
  }
  for (int64_t i = 0; i < k - 1; i++)
    for (int64_t j = 0; j < k; j++) below[i * k + j] = j <= i;
  const rh_val sums = rh_const_values(g, rh_shape2(k - 1, k), below);
  rh_free(below);
  const rh_val weights = rh_reshape(g, rh_exp(g, log_weights), rh_shape2(k, 1));
  const rh_val edges = rh_reshape(g, rh_matmul(g, sums, weights, false, false), rh_shape1(k - 1));
  const rh_val above = rh_greater(g, u, edges), one = rh_fill(g, rh_shape1(1), 1), zero = rh_fill(g, rh_shape1(1), 0);
  return rh_sub(g, rh_concat(g, 2, (rh_val[]){one, above}), rh_concat(g, 2, (rh_val[]){above, zero}));
}
