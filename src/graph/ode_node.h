/* What the nodes of a differential equation share: op_ode.c (the solution and its continuous adjoint), op_replay.c (its steps taken back).
 * Private to this floor. */
#ifndef RH_GRAPH_ODE_NODE_H
#define RH_GRAPH_ODE_NODE_H
#include "graph/body.h"
#include "numeric/replay.h"

/* Operands: y0, (replay: its cotangent, the tape,) captures, then the parameters the field reads. The field's inputs: y, t [1], captures.
 */
typedef struct rh_ode_attr {
  rh_parts parts;         /* of ode_steps: y1 and the tape (numeric/replay.h) */
  rh_body *field, *other; /* live with the graph; not for runs. other: of sums and replays; inputs as the field's and one more */
  rh_ode_options options;
  double t0, t1;
  int64_t n, total; /* numbers of a state; sums: of all gradients */
  int captures;
  bool derives;    /* the adjoint, not a solution */
  int64_t width[]; /* captures; then, as bytes, in_norm [n] */
} rh_ode_attr;

static inline const unsigned char *rh_ode_in_norm(const rh_ode_attr *a) {
  return (const unsigned char *)(a->width + a->captures);
}

/* in: `front` operands, then head->captures. mask: [n] the numbers that the control of steps looks at, NULL: all */
rh_val rh_ode_emit(rh_graph *g, rh_op_id op, const rh_ode_attr *head, const unsigned char *mask, const rh_body *reads, int front,
                   const rh_val *in, rh_shape shape);

/* The vjp of ode_steps. */
void rh_ode_take_back(rh_graph *g, rh_val node, rh_val ct, rh_val *out);

/* A call of a body for rows that the solver has close together: its inputs are y, t, captures and, where it has one more, extra [1] as
 * numbers or ct [n]. */
typedef struct rh_ode_call {
  const rh_run_args *args;
  int front;    /* operands before the captures */
  int64_t base; /* row of the first solved */
  const int64_t *row;
  const double *t, *extra;
  const void *y, *ct;
} rh_ode_call;
void rh_ode_load(void *call, int input, int64_t first, int64_t rows, void *dst);

static inline rh_tape rh_ode_tape_of(const rh_run_args *args, const void *at) {
  const rh_ode_attr *a = args->node->attr;
  return (rh_tape){(char *)(uintptr_t)at, a->n, args->k->real_bytes, a->options.method};
}

/* The solver's problem but for its callbacks. */
rh_ode_problem rh_ode_problem_of(const rh_ode_attr *a, bool strict);
/* max_steps as the plan allows them */
rh_ode_options rh_ode_options_of(const rh_ode_attr *a, const rh_plan_options *options);

enum { RH_ODE_SUM_ROWS = 64 }; /* rows that a sum solves together */
int64_t rh_ode_sum_tasks(const rh_graph *g, const rh_node *node);
#endif
