/* Bodies: the graphs that a node of control flow runs. A body reads the same leaves as the graph that owns it, gets everything else through
 * its inputs, and lives as long as its owner. An operation keeps a pointer to its body in its attribute: rules of derivation follow it,
 * plans make a plan of it (rh_op_bodies) and forget it. */
#ifndef RH_GRAPH_BODY_H
#define RH_GRAPH_BODY_H
#include "graph/ops.h"

typedef struct rh_body {
  rh_graph g;
  struct rh_body *next; /* of the same owner */
  int n_out, n_row;     /* the first n_row results are one per row */
  const rh_val *out;
  const rh_val *by; /* of gradients: what the results behind n_row are the gradients in */
  int n_leaf;
  const int *leaf; /* parameters that the results depend on */
} rh_body;

/* A fresh body of owner; build it by rh_input and the rest on &body->g. NULL when memory ran out (owner->status says so). */
rh_body *rh_body_open(rh_graph *owner);
/* Its results. rows: values shared by all rows are made one per row. false: an error in owner->status, the body's own first. */
bool rh_body_close(rh_graph *owner, rh_body *body, int n, const rh_val *out, bool rows);
void rh_bodies_free(rh_body *list);

/* The body's nodes once more in b, its inputs being in[]: out[i] = its i-th result. b: a graph of the same leaves. */
void rh_body_inline(rh_graph *b, const rh_body *body, const rh_val *in, rh_val *out);

/* A node with in[0 .. n) made one per row, followed by the parameters that `reads` reads. */
rh_val rh_body_emit(rh_graph *g, rh_op_id op, const rh_body *reads, int n, const rh_val *in, rh_shape shape, const void *attr,
                    size_t attr_bytes);
rh_val rh_as_row(rh_graph *g, rh_val v);
rh_val *rh_body_room(rh_graph *g, int n);   /* [n] of RH_NONE in g's arena; NULL when there is an error */
int64_t rh_body_flops(const rh_body *body); /* of one row */

/* ---- parameter gradients: a sum over rows whose body gives gradients ---- */

/* Closes `body` with the gradients of `out` (cotangents ct): in n_row values a row, and behind them in whatever is made of parameters alone
 * and read by rows (body->by). RH_E_MEMORY and the like in owner->status. Returns the number of the latter; 0: nothing to sum. */
int rh_body_close_gradients(rh_graph *owner, rh_body *body, int n_row, const rh_val *row, int n, const rh_val *out, const rh_val *ct);
/* The elements of all gradients. */
int64_t rh_body_total(const rh_body *gradients);
/* Pieces that such a sum is cut into, each with room for all gradients: a function of their size alone. */
int64_t rh_body_pieces(const rh_body *gradients);
/* sum: [pieces, total] -> grads[i] in of->leaf[i], RH_NONE where there is no dependence. */
void rh_body_hand_out(rh_graph *g, rh_val sum, const rh_body *gradients, const rh_body *of, rh_val *grads);

/* The sum over rows and steps of body's gradients: in[0 .. captures) are read as they are, in[captures .. n) are [steps, ...] and give each
 * step its own. reads: whose parameters the sum depends on. */
rh_val rh_scan_sum(rh_graph *g, rh_body *body, const rh_body *reads, int64_t steps, int captures, int n, const rh_val *in);

/* ---- running ---- */

/* A plan of a body, or nothing, and one thread's means to run it. */
typedef struct rh_runner {
  const rh_plan *plan;
  rh_work *work;
  rh_pool *pool; /* of one thread: it never waits */
} rh_runner;
rh_status rh_body_plan(const rh_body *body, const rh_plan_options *options, rh_plan **plan) RH_WARN_UNUSED;
rh_status rh_runner_open(const rh_plan *plan, rh_runner *runner) RH_WARN_UNUSED; /* {0} before; close it whatever comes */
void rh_runner_close(rh_runner *runner);
void rh_runner_run(const rh_runner *runner, const rh_run_io *io);
void rh_runner_report(const rh_runner *runner, rh_ode_report *sum);
int64_t rh_runner_bytes(const rh_plan *plan);

/* Where the results of a sum's body go: one flat array, the results one after another. */
typedef struct rh_gradients {
  int64_t n, total;
  char *flat;
  void **out, **into; /* [n]: into flat; of a running call */
} rh_gradients;
rh_status rh_gradients_open(const int64_t *count, int64_t n, int real_bytes, rh_gradients *room) RH_WARN_UNUSED;
/* The elements of each gradient, [n_out - n_row]; the caller frees it. NULL: out of memory */
int64_t *rh_gradients_count(const rh_body *gradients);
void rh_gradients_close(rh_gradients *room);
/* Runs a body whose gradients are added to out, [total], or are written there at the first. */
void rh_gradients_run(const rh_gradients *room, const rh_runner *runner, rh_run_io io, const rh_kernels *k, void *out, bool first);
#endif
