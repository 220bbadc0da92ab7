/* Sources: row inputs, leaves, constants. */
#include "graph/ops.h"

typedef struct leaf_attr {
  int leaf;
} leaf_attr;

rh_val rh_input(rh_graph *g, rh_shape shape) {
  const int64_t number = g->inputs;
  rh_val v = rh_emit(g, RH_OP_input, 0, NULL, shape, &number, sizeof number);
  if (rh_is_none(v)) return v;
  if (rh_grow((void **)&g->input, &g->input_capacity, g->inputs + 1, sizeof *g->input) != RH_OK) {
    g->status = RH_E_MEMORY;
    return RH_NONE;
  }
  g->node[v.at]->scope = 0;
  g->input[g->inputs++] = v;
  return v;
}

rh_val rh_leaf_val(rh_graph *g, int leaf) {
  if (g->status != RH_OK) return RH_NONE;
  if (!g->leaves || leaf < 0 || leaf >= g->leaves->n) return rh_graph_fail(g, RH_E_ARGUMENT, "leaf %d does not exist", leaf);
  if (!rh_is_none(g->leaf_node[leaf])) return g->leaf_node[leaf];
  const leaf_attr attr = {leaf};
  rh_val v = rh_emit(g, RH_OP_leaf, 0, NULL, g->leaves->leaf[leaf].shape, &attr, sizeof attr);
  if (rh_is_none(v)) return v;
  g->node[v.at]->klass = g->leaves->leaf[leaf].klass;
  g->node[v.at]->scope = 0;
  return g->leaf_node[leaf] = v;
}

rh_val rh_const_values(rh_graph *g, rh_shape shape, const double *values) {
  return rh_emit(g, RH_OP_constant, 0, NULL, shape, values, (size_t)rh_shape_count(&shape) * sizeof *values);
}

rh_val rh_const(rh_graph *g, rh_shape shape, double fill) {
  rh_val one = rh_const_values(g, rh_shape1(1), &fill);
  return rh_shape_count(&shape) == 1 && shape.rank == 1 ? one : rh_expand(g, one, shape);
}

rh_val rh_fill(rh_graph *g, rh_shape shape, double fill) {
  return rh_emit(g, RH_OP_fill, 0, NULL, shape, &fill, sizeof fill);
}
static void fill_run(const rh_run_args *a) {
  const int64_t n = a->rows * rh_shape_count(&a->node->shape);
  const double x = *(const double *)a->node->attr;
  for (int64_t i = 0; i < n; i++) {
    if (a->k->real_bytes == 4) {
      ((float *)a->out)[i] = (float)x;
    } else {
      ((double *)a->out)[i] = x;
    }
  }
}

const rh_op rh_op_input = {.name = "input", .order = -1};
const rh_op rh_op_leaf = {.name = "leaf", .order = -1};
const rh_op rh_op_constant = {.name = "constant", .order = -1};
const rh_op rh_op_fill = {.name = "fill", .order = -1, .run = fill_run};
