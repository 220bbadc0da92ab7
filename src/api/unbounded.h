/* Where a density means nothing. */
#ifndef RH_API_UNBOUNDED_H
#define RH_API_UNBOUNDED_H
#include <jansson.h>
#include <stdint.h>

/* Columns that the flow sees with values which repeat, and no noise between them, by the plan of handling (data/analyse.h; may be NULL): a
 * continuous density is unbounded there, and how high a flow's is says how finely it resolves such a value, not how many rows hold it.
 * *first: one of them, from 0. */
int64_t rh_unbounded_columns(const json_t *handling, int64_t *first);
#endif
