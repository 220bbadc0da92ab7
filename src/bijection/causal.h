/* In which order columns may depend on each other: a list, or a graph of dependences. Private to this floor. */
#ifndef RH_BIJECTION_CAUSAL_H
#define RH_BIJECTION_CAUSAL_H
#include "net/masked.h"

typedef struct rh_order {
  rh_causal causal;
  bool natural;          /* columns stand in their order already */
  int32_t *index, *back; /* [d]: index[i] is the i-th column in order, back its inverse */
  int64_t *end;
  bool *parents;
} rh_order;

/* Reads "order": "natural", "reversed", "random" (with "seed") or a list of all columns; or "graph": for each column the list of those it
 * may depend on, without cycles, sorted by topological levels. */
rh_status rh_order_read(rh_order *order, rh_spec *spec, int64_t d) RH_WARN_UNUSED;
void rh_order_free(rh_order *order);
rh_val rh_order_sort(const rh_order *order, rh_graph *g, rh_val x);
rh_val rh_order_unsort(const rh_order *order, rh_graph *g, rh_val x);
#endif
