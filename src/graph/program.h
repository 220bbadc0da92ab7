/* A masked network (MADE, Germain et al. 2015) as data: dense layers whose units are sorted by level, so that every matrix is a staircase
 * (stairs.h). A column's level is the number of steps after which it can be known: columns of level 0 depend on the context alone, those of
 * level l on columns of lower levels. A unit of level l reads columns of levels below l, so it is known as soon as these are. One flat
 * block without pointers: nodes carry it as their attribute. */
#ifndef RH_GRAPH_PROGRAM_H
#define RH_GRAPH_PROGRAM_H
#include "graph/graph.h"

typedef struct rh_masked_layer {
  int32_t from;        /* layer read, -1: the input, [context, columns] */
  int32_t active;      /* read behind its activation */
  int32_t add;         /* layer whose value before activation is added, -1: none */
  int32_t units;       /* of this layer */
  int64_t stairs, end; /* in bytes from the program's start: its rh_stairs; int64_t [levels]: units of levels up to l */
} rh_masked_layer;

enum { RH_PROGRAM_LAYERS = 136 };
typedef struct rh_program {
  int64_t bytes;
  int64_t context, columns, params; /* the last layer gives params numbers for each column, by column */
  int32_t layers, levels;
  int32_t activation;      /* rh_unary */
  int32_t width;           /* most columns of one level */
  int64_t end;             /* in bytes: int64_t [levels], columns of levels up to l */
  rh_masked_layer layer[]; /* [layers], in order of computation */
} rh_program;

/* What a program is made of; arrays are copied. units[layers]: 0 for the last. unit_end[layer]: [levels], ignored for the last. */
typedef struct rh_program_plan {
  int64_t context, columns, params;
  int layers, levels;
  rh_unary activation;
  rh_masked_layer layer[RH_PROGRAM_LAYERS]; /* from, active, add, units */
  const int64_t *column_end;                /* [levels] */
  const int64_t *unit_end[RH_PROGRAM_LAYERS];
} rh_program_plan;
rh_status rh_program_create(const rh_program_plan *plan, rh_program **program) RH_WARN_UNUSED; /* free with rh_free */

static inline const rh_stairs *rh_program_stairs(const rh_program *p, int layer) {
  return (const rh_stairs *)(const void *)((const char *)p + p->layer[layer].stairs);
}
/* Units of layer (-1: columns) of levels up to `level`; 0 below level 0. */
static inline int64_t rh_program_end(const rh_program *p, int layer, int level) {
  const int64_t at = layer < 0 ? p->end : p->layer[layer].end;
  return level < 0 ? 0 : ((const int64_t *)(const void *)((const char *)p + at))[level];
}
bool rh_program_active(const rh_program *p, int layer); /* somebody reads it behind its activation */

/* The network as nodes. x: [columns], context: [context] or RH_NONE; weight, bias: [layers]. -> out: [params columns] by column; pre, act
 * (may be NULL): [layers], before and behind the activation, RH_NONE for the last. gate: NULL, or [layers] factors in place of activation
 * and no biases: the network's tangent. */
rh_val rh_program_apply(rh_graph *g, const rh_program *p, rh_val x, rh_val context, const rh_val *weight, const rh_val *bias,
                        const rh_val *gate, rh_val *pre, rh_val *act);

/* An elementwise transform as the sweeps see it: m columns, raw [m, params] by element -> y [m]. arg must live as long as graphs with a
 * sweep are built and differentiated. */
typedef void rh_element(rh_graph *g, void *arg, bool forward, rh_val x, rh_val raw, int64_t m, int64_t params, rh_val *y);
/* x with transform(x, network(x, context)) = y, level by level: each unit is computed once, as soon as it can be, so that the whole costs
 * about one pass of the network. Derivatives are those of the implicit function, by the same sweep backwards. */
rh_val rh_sweep(rh_graph *g, const rh_program *p, rh_val y, rh_val context, const rh_val *weight, const rh_val *bias, rh_element *element,
                void *arg);
/* u with J u = v, or J' u = v: J = diag + slope (network's tangent at gate). v, diag: [columns], slope: [columns params], gate: [layers].
 */
rh_val rh_sweep_solve(rh_graph *g, const rh_program *p, bool transposed, rh_val v, rh_val diag, rh_val slope, const rh_val *gate,
                      const rh_val *weight);
#endif
