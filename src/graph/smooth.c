/* How often a value may be differentiated by another before an operation between them has nothing more to give. */
#include "graph/body.h"

/* Functions whose rules go on for ever, but give zeros: pieces of lines have a first derivative, pieces of constants none. elu's second one
 * jumps. The others have all of them. */
int rh_unary_order(rh_unary f) {
  static const struct {
    rh_unary f;
    int order;
  } kinked[] = {{RH_U_ABS, 1},  {RH_U_RELU, 1}, {RH_U_ELU, 1},  {RH_U_MAXC, 1},
                {RH_U_MINC, 1}, {RH_U_SIGN, 0}, {RH_U_STEP, 0}, {RH_U_FLOOR, 0}};
  for (size_t i = 0; i < RH_COUNT_OF(kinked); i++)
    if (f == kinked[i].f) return kinked[i].order;
  return -1;
}

static int binary_order(rh_binary f) {
  return f == RH_B_MAX || f == RH_B_MIN ? 1 : f == RH_B_GREATER ? 0 : -1;
}

int rh_node_order(const rh_node *node) {
  const rh_op *op = rh_op_of(node);
  if (node->op == RH_OP_unary) return rh_unary_order((rh_unary) * (const int *)node->attr);
  if (node->op == RH_OP_binary) return binary_order((rh_binary) * (const int *)node->attr);
  return op->vjp && op->jvp ? op->order : 0;
}

static bool reads(const rh_node *node, const bool *mark) {
  for (int i = 0; i < node->arity; i++)
    if (!rh_is_none(node->in[i]) && mark[node->in[i].at]) return true;
  return false;
}

/* from: what is differentiated by, RH_NONE: every row input; to: RH_NONE: every node. */
static rh_status first_below(const rh_graph *g, rh_val from, rh_val to, int order, const rh_node **found) {
  bool *moves = rh_alloc_zero((size_t)g->n + 1, 2 * sizeof *moves), *wanted = moves ? moves + g->n + 1 : NULL;
  if (!moves) return RH_E_MEMORY;
  for (int64_t v = 0; v < g->n; v++)
    moves[v] = rh_is_none(from) ? g->node[v]->op == RH_OP_input || reads(g->node[v], moves) : v == from.at || reads(g->node[v], moves);
  for (int64_t v = g->n - 1; v >= 0; v--) {
    wanted[v] = wanted[v] || rh_is_none(to) || v == to.at;
    for (int i = 0; i < g->node[v]->arity && wanted[v]; i++)
      if (!rh_is_none(g->node[v]->in[i])) wanted[g->node[v]->in[i].at] = true;
  }
  for (int64_t v = 0; v < g->n && !*found; v++) {
    const int own = g->node[v]->arity ? rh_node_order(g->node[v]) : -1;
    if (moves[v] && wanted[v] && v != from.at && own >= 0 && own < order) *found = g->node[v];
  }
  rh_free(moves);
  rh_status status = RH_OK;
  for (const rh_body *b = g->bodies; b && !*found && status == RH_OK; b = b->next)
    status = first_below(&b->g, RH_NONE, RH_NONE, order, found);
  return status;
}

rh_status rh_graph_below(const rh_graph *g, rh_val x, rh_val y, int order, const rh_node **node) {
  *node = NULL;
  return first_below(g, x, y, order, node);
}
