/* Which columns a coupling keeps and which it changes. Private to this floor. */
#ifndef RH_BIJECTION_MASK_H
#define RH_BIJECTION_MASK_H
#include "net/net.h"

typedef struct rh_mask {
  int64_t d, kept, changed; /* kept + changed = d; changed at least 1 */
  int32_t *index;           /* [d]: the kept columns, then the changed ones, each ascending */
  int32_t *back;            /* [d]: where a column lies in `index` */
  bool runs;                /* both parts are runs of columns: one of them begins at 0 */
} rh_mask;

/* Key "mask" of the spec: "half" (the first half is kept), "swap" (the other half), "even", "odd", "random" (by key "seed"), or a list of
 * the kept columns. A single column is always changed. */
rh_status rh_mask_read(rh_mask *mask, rh_spec *spec, int64_t d) RH_WARN_UNUSED;
rh_status rh_mask_all(rh_mask *mask, int64_t d) RH_WARN_UNUSED; /* keeps none */
void rh_mask_free(rh_mask *mask);
/* x: [d] -> kept: [kept] (RH_NONE for none), changed: [changed]; and back. */
void rh_mask_split(const rh_mask *mask, rh_graph *g, rh_val x, rh_val *kept, rh_val *changed);
rh_val rh_mask_join(const rh_mask *mask, rh_graph *g, rh_val kept, rh_val changed);
#endif
