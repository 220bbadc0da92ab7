/* Masked networks (MADE, Germain et al. 2015; residual: Nash & Durkan 2019): conditioners whose output for a column depends on the columns
 * before it alone. */
#ifndef RH_NET_MASKED_H
#define RH_NET_MASKED_H
#include "graph/program.h"
#include "net/net.h"

/* What may depend on what, columns in an order in which each comes behind those it depends on. */
typedef struct rh_causal {
  int64_t columns, levels;
  const int64_t *end;  /* [levels]: columns of levels up to l; those of one level do not depend on each other */
  const bool *parents; /* [columns, columns]: column i may depend on j; NULL: on every column of lower levels */
} rh_causal;

typedef struct rh_masked_net rh_masked_net;
extern const char *const rh_masked_names[]; /* its types, NULL-ended */
/* spec: {"type": "mlp" | "residual", options}, NULL: an mlp. Gives params numbers for each column. */
rh_status rh_masked_create(const rh_build *build, const json_t *spec, const char *where, const rh_causal *causal, int64_t params,
                           rh_masked_net **net) RH_WARN_UNUSED;
void rh_masked_destroy(rh_masked_net *net);
json_t *rh_masked_spec(const rh_masked_net *net); /* borrowed: every default written out */
/* x: [columns], context: [context] or RH_NONE -> [columns params], by column; one value for all rows where nothing is read. */
rh_val rh_masked_apply(const rh_masked_net *net, rh_graph *g, rh_val x, rh_val context);
/* x with transform(x, net(x, context)) = y (graph/program.h). */
rh_val rh_masked_invert(const rh_masked_net *net, rh_graph *g, rh_val y, rh_val context, rh_element *element, void *arg);
/* May the numbers for column `out` depend on column `in`? (The mask contract.) */
bool rh_masked_depends(const rh_masked_net *net, int64_t out, int64_t in);
#endif
