/* The context encoder: from the raw context columns of a row to the features that networks read, p(x | features(context)). It is part of
 * the flow's specification, one entry a context column:
 *   "context_encoder": [
 *     {"type": "standardize", "column": p, "mean": m, "scale": s}           (v - m) / s: one feature
 *     {"type": "one-hot", "column": p, "categories": [...]}                 a feature a category: 1 where v is that category, else 0
 *     {"type": "embedding", "column": p, "categories": [...], "width": w}   a learned row of the leaf context.i.weight [categories, w]
 *     {"type": "drop", "column": p}]                                        not looked at (constant in the fit)
 * column: where it stands, from 0, in a table of all columns; absent: behind the data, in order. categories: whole numbers, ascending (v is
 * one of them), or texts (v is a text's place in the list, from 0). Features: those of the standardized columns, then of the others, each
 * in the order of the entries. Without an encoder the raw context is what networks read. */
#ifndef RH_DENSITY_CONTEXT_H
#define RH_DENSITY_CONTEXT_H
#include "net/net.h"

enum { RH_CONTEXT_CATEGORIES = 4096, RH_CONTEXT_WIDTH = 1024 }; /* at most */

typedef enum rh_context_kind { RH_CONTEXT_STANDARDIZE, RH_CONTEXT_ONE_HOT, RH_CONTEXT_EMBEDDING, RH_CONTEXT_DROP } rh_context_kind;

typedef struct rh_context_column {
  rh_context_kind kind;
  int64_t place;      /* "column" */
  double mean, scale; /* of a standardized one */
  int64_t n;          /* categories, else 0 */
  const double *values;
  const char *const *texts; /* [n], or NULL: categories are numbers */
  int64_t width;            /* features */
  int weight;               /* leaf */
} rh_context_column;

typedef struct rh_context_encoder {
  rh_context_column *column; /* [n] */
  int64_t n, features;
  json_t *spec; /* owned: every default written out */
  rh_arena arena;
} rh_context_encoder;

/* spec: an array of `context` entries; `columns`: the data's. Leaves are context.i.weight. */
rh_status rh_context_encoder_create(rh_leaves *leaves, const json_t *spec, int64_t columns, int64_t context,
                                    rh_context_encoder **out) RH_WARN_UNUSED;
void rh_context_encoder_destroy(rh_context_encoder *encoder); /* NULL is fine */
/* context: [n] -> [features]. encoder or context may be none: gives `context`. */
rh_val rh_context_encode(const rh_context_encoder *encoder, rh_graph *g, rh_val context);
/* May this value stand in that column: a number, or one of its categories? */
bool rh_context_known(const rh_context_column *column, double value);
#endif
