#include "bijection/order.h"

#include "base/memory.h"
#include "base/rng.h"

enum { NAMES = 8 };

void rh_random_order(int64_t d, uint64_t seed, int64_t *out) {
  const rh_rng rng = rh_rng_at(seed, 0, (uint64_t)d, RH_STREAM_INIT);
  rh_rng_shuffle(&rng, d, out);
}

rh_status rh_read_order(rh_spec *spec, const char *key, int64_t d, int *n, int64_t *out) {
  *n = 0;
  rh_spec_ints(spec, key, 0, d - 1, (int)d, n, out);
  RH_TRY(rh_spec_status(spec));
  bool *used = rh_alloc_zero((size_t)d, sizeof *used);
  if (!used) return RH_E_MEMORY;
  rh_status status = RH_OK;
  for (int i = 0; i < *n && status == RH_OK; i++) {
    if (used[out[i]]) status = rh_spec_fail(spec, key, "column %lld comes twice", (long long)out[i]);
    used[out[i]] = true;
  }
  rh_free(used);
  return status;
}

int64_t rh_order_reversed(int64_t i, int64_t d) {
  return d - 1 - i;
}

static rh_status read_name(rh_spec *spec, int64_t d, const rh_named_order *named, uint64_t seed, int64_t *out) {
  const char *names[NAMES] = {NULL};
  for (int k = 0; named[k].name; k++) names[k] = named[k].name;
  const rh_named_order *order = &named[rh_spec_choice(spec, "order", 0, names)];
  RH_TRY(rh_spec_status(spec));
  if (order->at) {
    for (int64_t i = 0; i < d; i++) out[i] = order->at(i, d);
  } else {
    rh_random_order(d, seed, out);
    rh_write_order(spec, "order", d, out);
  }
  return rh_spec_status(spec);
}

rh_status rh_read_whole_order(rh_spec *spec, int64_t d, const rh_named_order *named, int64_t *out) {
  const uint64_t seed = rh_read_seed(spec);
  const json_t *given = rh_spec_json(spec, "order");
  if (!given || !json_is_array(given)) return read_name(spec, d, named, seed, out);
  int n;
  RH_TRY(rh_read_order(spec, "order", d, &n, out));
  return n == d ? RH_OK : rh_spec_fail(spec, "order", "%d columns of %lld: an order names each of them once", n, (long long)d);
}

void rh_write_order(rh_spec *spec, const char *key, int64_t n, const int64_t *order) {
  json_t *list = json_array();
  for (int64_t i = 0; i < n; i++)
    if (json_array_append_new(list, json_integer(order[i])) != 0) spec->failed = true;
  rh_spec_set(spec, key, list);
}

uint64_t rh_read_seed(rh_spec *spec) {
  return (uint64_t)rh_options_int(&spec->o, "seed", 0, 0, (int64_t)1 << 53);
}
