/* Nodes with several outputs, and their parts. A part is a place inside its node's place, so reading one costs nothing. A derivative
 * carries what belongs to the parts as a `tuple`, which stands for the list of its operands and never runs. */
#include "graph/ops.h"

typedef struct part_attr {
  int which;
} part_attr;

static const rh_parts *parts_of(const rh_graph *g, rh_val v) {
  return rh_at(g, v)->attr;
}

int64_t rh_parts_total(const rh_parts *parts) {
  int64_t total = 0;
  for (int i = 0; i < parts->n; i++) total += parts->count[i];
  return total;
}

int64_t rh_parts_before(const rh_parts *parts, int which) {
  int64_t first = 0;
  for (int i = 0; i < which; i++) first += parts->count[i];
  return first;
}

int rh_part_which(const rh_node *part) {
  return ((const part_attr *)part->attr)->which;
}

rh_val rh_part_of(rh_graph *g, rh_val v, int which) {
  if (g->status != RH_OK || rh_is_none(v)) return rh_graph_fail(g, RH_E_ARGUMENT, "part without an operand");
  const rh_op *op = rh_op_of(rh_at(g, v));
  if (!op->parts) return rh_graph_fail(g, RH_E_ARGUMENT, "part %d of %s, which has one output only", which, op->name);
  const rh_parts *parts = parts_of(g, v);
  if (which < 0 || which >= parts->n)
    return rh_graph_fail(g, RH_E_ARGUMENT, "part %d of %s, which has parts 0 to %d", which, op->name, parts->n - 1);
  const part_attr attr = {which};
  return rh_emit(g, RH_OP_part, 1, &v, rh_shape1(parts->count[which]), &attr, sizeof attr);
}

rh_val rh_tuple(rh_graph *g, const rh_parts *parts, const rh_val *in) {
  bool any = false;
  for (int i = 0; i < parts->n; i++) any |= !rh_is_none(in[i]);
  if (!any) return RH_NONE;
  return rh_emit(g, RH_OP_tuple, parts->n, in, rh_shape1(rh_parts_total(parts)), parts, sizeof *parts);
}

rh_val rh_tuple_at(const rh_graph *g, rh_val tuple, int which) {
  return rh_is_none(tuple) ? RH_NONE : rh_at(g, tuple)->in[which];
}

bool rh_is_tuple(const rh_graph *g, rh_val v) {
  return !rh_is_none(v) && rh_at(g, v)->op == RH_OP_tuple;
}

rh_val rh_tuple_add(rh_graph *g, rh_val a, rh_val b) {
  const rh_parts *parts = parts_of(g, a);
  rh_val sum[RH_PARTS];
  for (int i = 0; i < parts->n; i++) sum[i] = rh_add_maybe(g, rh_tuple_at(g, a, i), rh_tuple_at(g, b, i));
  return rh_tuple(g, parts, sum);
}

static void part_vjp(rh_graph *g, rh_val node, rh_val ct, rh_val *out) {
  rh_val in[RH_PARTS] = {RH_NONE, RH_NONE, RH_NONE, RH_NONE};
  in[rh_part_which(rh_at(g, node))] = ct;
  out[0] = rh_tuple(g, parts_of(g, rh_at(g, node)->in[0]), in);
}
static rh_val part_jvp(rh_graph *g, rh_val node, const rh_val *t) {
  return rh_tuple_at(g, t[0], rh_part_which(rh_at(g, node)));
}

const rh_op rh_op_part = {.name = "part", .order = -1, .vjp = part_vjp, .jvp = part_jvp};
const rh_op rh_op_tuple = {.name = "tuple", .order = 0, .parts = true};
