#include "bijection/mask.h"

#include <string.h>

#include "base/memory.h"
#include "bijection/order.h"
#include "graph/ops.h"

enum { HALF, SWAP, EVEN, ODD, RANDOM };
static const char *const names[] = {"half", "swap", "even", "odd", "random", NULL};

/* keep[0..d) by the name; the kept columns of "half" are the first d / 2. */
static void keep_by_name(int kind, int64_t d, uint64_t seed, int64_t *order, bool *keep) {
  if (kind == RANDOM) {
    rh_random_order(d, seed, order);
    for (int64_t i = 0; i < d / 2; i++) keep[order[i]] = true;
    return;
  }
  for (int64_t i = 0; i < d; i++) {
    const bool first = i < d / 2, even = i % 2 == 0;
    keep[i] = kind == HALF ? first : kind == SWAP ? !first : kind == EVEN ? even : !even;
  }
}

static rh_status choose(rh_spec *spec, int64_t d, int64_t *order, bool *keep) {
  const uint64_t seed = rh_read_seed(spec);
  const json_t *given = rh_spec_json(spec, "mask");
  if (given && json_is_array(given)) {
    int n;
    RH_TRY(rh_read_order(spec, "mask", d, &n, order));
    for (int i = 0; i < n; i++) keep[order[i]] = true;
    return n < d ? RH_OK : rh_spec_fail(spec, "mask", "all %lld columns are kept: leave at least one to change", (long long)d);
  }
  const int kind = rh_spec_choice(spec, "mask", HALF, names);
  RH_TRY(rh_spec_status(spec));
  if (d > 1) keep_by_name(kind, d, seed, order, keep);
  if (kind != RANDOM) return RH_OK;
  int64_t n = 0;
  for (int64_t i = 0; i < d; i++)
    if (keep[i]) order[n++] = i;
  rh_write_order(spec, "mask", n, order);
  return rh_spec_status(spec);
}

static rh_status index_of(rh_mask *mask, int64_t d, const bool *keep) {
  *mask = (rh_mask){.d = d, .index = rh_alloc(2 * (size_t)d * sizeof *mask->index)};
  if (!mask->index) return RH_E_MEMORY;
  mask->back = mask->index + d;
  for (int64_t i = 0; i < d; i++) mask->kept += keep[i];
  mask->changed = d - mask->kept;
  int64_t at[2] = {mask->kept, 0}, borders = 0;
  for (int64_t i = 0; i < d; i++) {
    mask->back[i] = (int32_t)at[keep[i]];
    mask->index[at[keep[i]]++] = (int32_t)i;
    borders += i && keep[i] != keep[i - 1];
  }
  mask->runs = borders <= 1;
  return RH_OK;
}

rh_status rh_mask_read(rh_mask *mask, rh_spec *spec, int64_t d) {
  int64_t *order = rh_alloc((size_t)d * sizeof *order);
  bool *keep = rh_alloc_zero((size_t)d, sizeof *keep);
  rh_status status = order && keep ? choose(spec, d, order, keep) : RH_E_MEMORY;
  if (status == RH_OK) status = index_of(mask, d, keep);
  rh_free(order);
  rh_free(keep);
  return status;
}

rh_status rh_mask_all(rh_mask *mask, int64_t d) {
  bool *keep = rh_alloc_zero((size_t)d, sizeof *keep);
  const rh_status status = keep ? index_of(mask, d, keep) : RH_E_MEMORY;
  rh_free(keep);
  return status;
}

void rh_mask_free(rh_mask *mask) {
  rh_free(mask->index);
  *mask = (rh_mask){0};
}

/* x[first .. first + count); when x was just put together from parts, the part itself: no copy. */
static rh_val run_of(rh_graph *g, rh_val x, int64_t first, int64_t count) {
  if (g->status != RH_OK) return RH_NONE;
  const rh_node *node = rh_at(g, x);
  int64_t at = 0;
  for (int i = 0; node->op == RH_OP_concat && i < node->arity && at <= first; i++) {
    const rh_val part = node->in[i];
    if (at == first && rh_count(g, part) == count && rh_is_row(g, part)) return rh_reshape(g, part, rh_shape1(count));
    at += rh_count(g, part);
  }
  return rh_slice(g, x, first, count);
}

void rh_mask_split(const rh_mask *mask, rh_graph *g, rh_val x, rh_val *kept, rh_val *changed) {
  if (mask->runs) {
    *kept = mask->kept ? run_of(g, x, mask->index[0], mask->kept) : RH_NONE;
    *changed = run_of(g, x, mask->index[mask->kept], mask->changed);
  } else {
    *kept = rh_gather(g, x, rh_shape1(mask->kept), mask->index);
    *changed = rh_gather(g, x, rh_shape1(mask->changed), mask->index + mask->kept);
  }
}

rh_val rh_mask_join(const rh_mask *mask, rh_graph *g, rh_val kept, rh_val changed) {
  if (!mask->kept) return changed;
  const bool kept_first = !mask->runs || mask->index[0] == 0;
  const rh_val parts[2] = {kept_first ? kept : changed, kept_first ? changed : kept};
  const rh_val joined = rh_concat(g, 2, parts);
  return mask->runs ? joined : rh_gather(g, joined, rh_shape1(mask->d), mask->back);
}
