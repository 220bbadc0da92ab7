/* From graph to something that runs: liveness, places in memory, blocks of rows. Planning may be slow, running may not: rh_run allocates
 * nothing. A plan is read-only after its creation; each pool of threads runs it with a workspace of its own. */
#ifndef RH_GRAPH_PLAN_H
#define RH_GRAPH_PLAN_H
#include "base/threads.h"
#include "graph/graph.h"

typedef struct rh_plan_options {
  int real_bytes;       /* 4 or 8 */
  const char *isa;      /* NULL: the best there is */
  int64_t block_rows;   /* rows a thread takes at a time; 0: chosen */
  int64_t max_rows;     /* rows a run will have at most, 0: unknown; only shrinks buffers */
  int64_t wide_bytes;   /* memory for activations kept for the parameter gradients; 0: chosen */
  int64_t packed_bytes; /* memory for packed forms, more take turns; 0: chosen */
  int threads;          /* that will share the rows, 0: a few; sizes blocks, never shows in a bit */
  bool lean;            /* cut into segments for the least memory rather than the least time */
  bool strict;          /* what an ode or a root has not found is NaN, for who delivers rows; else the last that it had, for who learns */
  int64_t max_steps;    /* that each of them may take at most; 0: as it says itself */
} rh_plan_options;

typedef struct rh_plan rh_plan;
typedef struct rh_work rh_work;

/* row_outs: values delivered per row; param_outs: parameter-shaped values (gradients, or parameters' functions). The graph may be freed
 * afterwards. */
rh_status rh_plan_create(const rh_graph *g, int n_row, const rh_val *row_outs, int n_param, const rh_val *param_outs,
                         const rh_plan_options *options, rh_plan **plan) RH_WARN_UNUSED;
void rh_plan_destroy(rh_plan *plan);
rh_status rh_work_create(const rh_plan *plan, int threads, rh_work **work) RH_WARN_UNUSED;
void rh_work_destroy(rh_work *work);

/* What the solvers in a workspace's runs counted since this was last asked; RH_E_NUMERIC when rows were left unfinished. */
rh_status rh_work_report(rh_work *work, rh_ode_report *report);
/* Adds the same, and says nothing: what solutions took, and what derivatives of solutions; both may be one. */
void rh_work_count(rh_work *work, rh_ode_report *forward, rh_ode_report *back);

/* What a run reads and writes. */
typedef struct rh_run_io {
  const rh_values *values; /* parameters and states, of the plan's precision */
  int64_t rows;
  /* Fills dst [rows, count] with rows [first, first + rows) of row input `input`. Called by any thread. */
  void (*load)(void *arg, int input, int64_t first, int64_t rows, void *dst);
  void *arg;
  void *const *row_out;   /* [n_row] dense [rows, count]; an entry may be NULL */
  void *const *param_out; /* [n_param] dense [count] */
  bool ready;             /* the workspace ran before with these values: parameter stages and packed forms still hold */
  bool more;              /* sums go on from what param_out holds; only of a plan that sums */
} rh_run_io;

/* Is every parameter output a sum over rows as it stands, with nothing to do after the rows? */
bool rh_plan_sums(const rh_plan *plan);

/* The whole run on a pool (work must have been made for at least its threads). rows = 0 gives zero sums. */
void rh_run(const rh_plan *plan, rh_work *work, rh_pool *pool, const rh_run_io *io);
/* The same from inside a pool body: every thread calls it with the same io; ends with a barrier. */
void rh_run_inside(const rh_plan *plan, rh_work *work, rh_pool *pool, int thread, const rh_run_io *io);

/* A loader for plain arrays: arg is rh_dense_input[inputs]. */
typedef struct rh_dense_input {
  const void *data; /* [rows, count], the plan's precision */
  int64_t bytes;    /* of one row */
} rh_dense_input;
void rh_load_dense(void *arg, int input, int64_t first, int64_t rows, void *dst);

typedef struct rh_plan_info {
  int64_t nodes, row_nodes, segments;
  int64_t block_rows, super_rows; /* rows of a block, of a superblock */
  int64_t local_bytes_row;        /* activations of one row that live inside a block */
  int64_t wide_bytes_row;         /* activations of one row kept across a superblock */
  int64_t work_bytes_thread, work_bytes_shared;
  int64_t packed_bytes, param_bytes;
  double flops_row;                          /* one row: row stage and sums over rows */
  double bytes_row_weights, bytes_row_spill; /* the two terms the block size balances: weights read / rows, activations moved */
} rh_plan_info;
void rh_plan_describe(const rh_plan *plan, rh_plan_info *info);
/* Human text of the plan, one line a node when `nodes`; the caller frees with rh_free. */
rh_status rh_plan_text(const rh_plan *plan, bool nodes, char **text) RH_WARN_UNUSED;
#endif
