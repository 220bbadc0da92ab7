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

static inline rh_tape rh_ode_tape_of(const rh_run_args *args, const void *at) {
  const rh_ode_attr *a = args->node->attr;
  return (rh_tape){(char *)(uintptr_t)at, a->n, args->k->real_bytes, a->options.method};
}

/* ---- plans of both bodies ---- */

enum { RH_ODE_SUM_ROWS = 64 }; /* rows that a sum solves together */

typedef struct rh_ode_made {
  rh_plan *field, *other;  /* other: NULL where the node has none */
  const rh_ode_attr *attr; /* the plan's copy */
  int64_t rows, *count;    /* that are solved together; of each gradient */
  int64_t room;            /* numbers of other's row results a row, behind the first */
  int n_row, n_count, real_bytes;
  bool sum, strict;
  rh_ode_options options; /* max_steps as the plan allows them */
} rh_ode_made;
rh_status rh_ode_make(const rh_node *node, const rh_plan_options *options, int64_t rows, void **made) RH_WARN_UNUSED;
void rh_ode_unmake(void *made);
int64_t rh_ode_bytes(const rh_ode_made *made); /* of what rh_ode_open opens */

/* ---- running them: begins a node's workspace ---- */

typedef struct rh_ode_bodies {
  rh_runner field, other;
  rh_gradients grads;
  char *end, *backs; /* [rows, n] where other is; [rows, room] */
  void **row_out;    /* [n_row]: into backs, but for the first */
  rh_ode_report report;
  /* Of the running call. A body's inputs are y, t, captures and, where it has one more, extra [1] as numbers or ct [n]; the solver has the
   * rows close together. */
  const rh_run_args *args;
  int front;    /* operands before the captures */
  int64_t base; /* row of the first solved */
  const int64_t *row;
  const double *t, *extra;
  const void *y, *ct;
  bool field_ready, other_ready, first; /* first: nothing has been added to the sum yet */
} rh_ode_bodies;
rh_status rh_ode_open(const rh_ode_made *made, rh_ode_bodies *b) RH_WARN_UNUSED;
void rh_ode_close(rh_ode_bodies *b);
void rh_ode_add_report(rh_ode_bodies *b, rh_ode_report *sum);

/* A call begins: the solver's problem, its field run by `b`, the first member of the callbacks' arg. */
rh_ode_problem rh_ode_begin(rh_ode_bodies *b, const rh_run_args *args, int front);
/* The other body on some points, into its row results, or added to the sum. */
void rh_ode_run_other(rh_ode_bodies *b, int64_t rows, const int64_t *row, const double *t, const void *y, const void *ct,
                      const double *extra);
/* The rows of this task's piece, RH_ODE_SUM_ROWS together: solve(b, first row, rows). */
void rh_ode_run_sum(rh_ode_bodies *b, const rh_run_args *args, void (*solve)(void *work, int64_t base, int64_t rows));
int64_t rh_ode_sum_tasks(const rh_graph *g, const rh_node *node);
int64_t rh_ode_evaluations(const rh_ode_attr *a); /* a guess, to plan by: those of equal steps, or of ten */
#endif
