/* From the context columns of the training rows to the entries of a flow's "context_encoder" (density/context.h has their form). */
#ifndef RH_DATA_CONDITIONS_H
#define RH_DATA_CONDITIONS_H
#include <jansson.h>

#include "data/table.h"

typedef struct rh_conditions_options {
  int real_bytes;    /* 4 or 8, the arithmetic of the fit */
  int64_t embedding; /* width of embeddings; 0: min(50, (categories + 1) / 2) */
} rh_conditions_options;

enum { RH_ONE_HOT_MOST = 4 }; /* categories; more are embedded */

/* Columns [first, d) of the table are the context; place[i]: "column" of the i-th. rows: the training rows, array[n], or NULL for all rows.
 * Texts and columns of the role RH_ROLE_CATEGORY (whole numbers, else an error) become categories: those of the whole table; up to
 * RH_ONE_HOT_MOST one-hot, else embedded. Other columns are standardized by their training rows; constant ones are dropped. All of them
 * constant: an error. *entries: a new reference; sentences are appended to `notes`. */
rh_status rh_conditions(const rh_table *table, const int64_t *rows, int64_t n, int64_t first, const int64_t *place,
                        const rh_conditions_options *options, json_t **entries, json_t *notes) RH_WARN_UNUSED;
#endif
