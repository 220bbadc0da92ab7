/* Inside of the sweeps: shared by their rules (op_sweep.c), what plans hold of them (sweep_plan.c) and their running (sweep_run.c). */
#ifndef RH_GRAPH_SWEEP_H
#define RH_GRAPH_SWEEP_H
#include "graph/body.h"
#include "graph/program.h"

/* Attributes: a head, then the program. */
typedef struct rh_sweep_head {
  rh_body *body; /* one element's inverse; lives with the graph */
  rh_element *element;
  void *arg;
} rh_sweep_head;
typedef struct rh_solve_head {
  int64_t transposed;
} rh_solve_head;

static inline bool rh_sweep_is_solve(const rh_node *node) {
  return node->op == RH_OP_sweep_solve;
}
static inline bool rh_sweep_transposed(const rh_node *node) {
  return rh_sweep_is_solve(node) && ((const rh_solve_head *)node->attr)->transposed;
}
static inline const rh_program *rh_sweep_program(const rh_node *node) {
  return (const rh_program *)(const void *)((const char *)node->attr +
                                            (rh_sweep_is_solve(node) ? sizeof(rh_solve_head) : sizeof(rh_sweep_head)));
}
/* Operands: sweep: y, context, then weight and bias of each layer; solve: v, diag, slope, then gate and weight of each layer. */
static inline int rh_sweep_weight(const rh_node *node, int layer) {
  return rh_sweep_is_solve(node) ? 4 + 2 * layer : 2 + 2 * layer;
}
static inline int rh_sweep_bias(int layer) {
  return 3 + 2 * layer;
}
static inline int rh_sweep_gate(int layer) {
  return 3 + 2 * layer;
}

/* Columns [first, first + n) of a product, terms [skip, skip + k) of what it reads, and where the packed form begins. */
typedef struct rh_sweep_panel {
  int64_t first, n, skip, k, at;
} rh_sweep_panel;

/* Buffers of one run, as offsets in numbers of a row: the input, each layer before and behind its activation (-1: nobody reads that), a
 * group's sums of each layer's product (-1: they stand in `act`), and what a level needs. */
typedef struct rh_sweep_room {
  int64_t in, pre[RH_PROGRAM_LAYERS], act[RH_PROGRAM_LAYERS], sum[RH_PROGRAM_LAYERS], fresh, other, value, solved, total;
} rh_sweep_room;

/* What a plan holds of a sweep. */
typedef struct rh_sweep_made {
  rh_plan *element; /* of the element's inverse; NULL: a solve */
  rh_sweep_room room;
  bool direct[RH_PROGRAM_LAYERS]; /* layers whose activation runs in the product's registers */
  int64_t groups;
  int32_t *group;        /* [groups + 1]: first level of each */
  rh_sweep_panel *panel; /* [layers][groups + levels] */
} rh_sweep_made;
static inline rh_sweep_panel *rh_sweep_panels(const rh_sweep_made *made, const rh_program *p, int layer) {
  return made->panel + layer * (made->groups + p->levels);
}

/* sweep_run.c */
void rh_sweep_run(const rh_run_args *a);
void rh_sweep_solve_run(const rh_run_args *a);
/* sweep_plan.c */
int64_t rh_sweep_scratch(const rh_graph *g, const rh_node *node);
int64_t rh_sweep_flops(const rh_graph *g, const rh_node *node);
extern const rh_packing rh_sweep_packing;
extern const rh_op_bodies rh_sweep_bodies;
#endif
