/* Orders of columns in specifications: an explicit list, or a name. Private to this floor. */
#ifndef RH_BIJECTION_ORDER_H
#define RH_BIJECTION_ORDER_H
#include "net/net.h"

/* out[0..d): a permutation of 0..d-1, a pure function of d and the seed. */
void rh_random_order(int64_t d, uint64_t seed, int64_t *out);
/* Key `key` of the spec is a list of at most d different columns: *n of them -> out [d]. */
rh_status rh_read_order(rh_spec *spec, const char *key, int64_t d, int *n, int64_t *out) RH_WARN_UNUSED;
/* An order by name: at(i, d) is its i-th column; at NULL: random by the key "seed". */
typedef struct rh_named_order {
  const char *name;
  int64_t (*at)(int64_t i, int64_t d);
} rh_named_order;
int64_t rh_order_reversed(int64_t i, int64_t d);
/* Key "order" of the spec: a list of all columns, or a name of `named` (which ends where there is none), the first by default -> out [d].
 */
rh_status rh_read_whole_order(rh_spec *spec, int64_t d, const rh_named_order *named, int64_t *out) RH_WARN_UNUSED;
/* Writes such a list as what the key means. */
void rh_write_order(rh_spec *spec, const char *key, int64_t n, const int64_t *order);
/* The seed of a random order: read, not written, since the order itself is. */
uint64_t rh_read_seed(rh_spec *spec);
#endif
