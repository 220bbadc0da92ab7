/* What a model does with rows: densities, codes, samples. A row's result depends on the model, the seed and that row alone: never on the
 * batch it came in, its place there, or the number of threads. */
#ifndef RH_MODEL_SCORE_H
#define RH_MODEL_SCORE_H
#include "graph/plan.h"
#include "model/model.h"

/* Where rows come from: anything that can give some columns of some rows, in double, from any thread. A row is [columns | context]. */
typedef struct rh_rows {
  int64_t rows, columns; /* columns: all of them, the context's included */
  /* dst [n, columns]: columns [column, column + columns) of rows row[0..n), or of rows [first, first + n) when row is NULL. */
  void (*get)(const void *arg, int64_t first, int64_t n, const int64_t *row, int64_t column, int64_t columns, double *dst);
  const void *arg;
} rh_rows;
/* A row-major array as rows; `dense` must outlive them. */
typedef struct rh_dense_rows {
  int64_t rows, columns;
  const double *data;
} rh_dense_rows;
rh_rows rh_rows_dense(const rh_dense_rows *dense);

typedef struct rh_scorer_options {
  rh_pool *pool;      /* borrowed; NULL: a pool of `threads` of its own */
  int threads;        /* 0: all CPUs */
  const char *isa;    /* NULL: the best */
  int real_bytes;     /* 4, 8; 0: the model's own */
  uint64_t seed;      /* of the noise that surjections read, and of samples */
  bool middle;        /* that noise is 1/2 instead: whole numbers stand in the middle of their cells, where they are rounded safely */
  int64_t draws;      /* noise draws a row, averaged as importance weights (Burda et al. 2016, eq. 8); 0 = 1; models that draw nothing
                       * need one, and probes of an estimate are the same in all of them */
  double temperature; /* of samples; 0 = 1 */
  double time;        /* where > 0 rh_decode stops there, ladj NULL, and x are states (rh_flow_state) */
  int64_t max_steps;  /* that a numerical inverse may take at most; 0: as many as it needs */
  bool lean;          /* plans for the least memory rather than the least time */
} rh_scorer_options;

typedef struct rh_scorer rh_scorer;
/* flow and values are borrowed; values may change between calls (not where another precision makes a copy of them). Plans are made at their
 * first use. */
rh_status rh_scorer_create(const rh_flow *flow, const rh_values *values, const rh_scorer_options *options,
                           rh_scorer **scorer) RH_WARN_UNUSED;
void rh_scorer_destroy(rh_scorer *scorer); /* NULL is fine */

/* What numerical inverses and the solvers of differential equations counted since this was last asked (numeric/ode.h). What depends on
 * those that are unfinished is NaN in the calls below, in that row alone: whoever runs them asks. */
rh_ode_report rh_scorer_counts(rh_scorer *s);

/* Rows [first, first + n) of `rows`, whose width must be columns + context. log_prob [n]: nats, of the raw row; -inf where the density is
 * 0; NaN where the model solves numerically for it and it was not found. */
rh_status rh_score(rh_scorer *s, const rh_rows *rows, int64_t first, int64_t n, double *log_prob) RH_WARN_UNUSED;
/* z [n, latent], ladj [n] or NULL. Noise as in rh_score, first draw. Outside of the support there is no code: NaN, and ladj -inf. */
rh_status rh_encode(rh_scorer *s, const rh_rows *rows, int64_t first, int64_t n, double *z, double *ladj) RH_WARN_UNUSED;
/* rows: [latent | context]; x [n, columns], ladj [n] or NULL. */
rh_status rh_decode(rh_scorer *s, const rh_rows *rows, int64_t first, int64_t n, double *x, double *ladj) RH_WARN_UNUSED;
/* Samples number [first, first + n), each by (seed, its number). context: [n rows, context] numbered like the samples, or NULL when the
 * model has none. x [n, columns]; log_prob [n] or NULL. */
rh_status rh_sample(rh_scorer *s, const rh_rows *context, int64_t first, int64_t n, double *x, double *log_prob) RH_WARN_UNUSED;

typedef enum rh_task {
  RH_TASK_LOG_PROB,
  RH_TASK_ENCODE,
  RH_TASK_DECODE,
  RH_TASK_SAMPLE,
  RH_TASK_FRONT,
  RH_TASK_FRONT_BACK,
  RH_TASK_BEHIND,
  RH_TASK_BEHIND_BACK,
  RH_TASK_COUNT
} rh_task;
/* A flow in two (density/front.h), y having rh_front_width numbers. FRONT: rows [columns | context] -> y, noise as in rh_encode;
 * FRONT_BACK: [y | context] -> columns; BEHIND: [y | context] -> z [latent] and ladj; BEHIND_BACK: [z | context] -> y and ladj. ladj [n]:
 * NULL with the first two, may be NULL with the others. */
rh_status rh_score_split(rh_scorer *s, rh_task task, const rh_rows *rows, int64_t first, int64_t n, double *out,
                         double *ladj) RH_WARN_UNUSED;
rh_status rh_scorer_plan(rh_scorer *s, rh_task task, const rh_plan **plan) RH_WARN_UNUSED; /* for printing; borrowed */

/* Summary of log-densities: mean and standard error over the finite ones, and how many are not. */
typedef struct rh_score_sum {
  int64_t rows, bad;    /* bad: -inf or NaN */
  int64_t unfinished;   /* of those NaN: not found */
  double mean, stderr_; /* of all rows: mean is -inf when bad > 0 */
  double finite_mean;   /* of the finite ones; NaN when there are none */
} rh_score_sum;
rh_score_sum rh_score_summary(int64_t n, const double *log_prob);
/* All of `rows`, in pieces: memory does not grow with them. */
rh_status rh_score_mean(rh_scorer *s, const rh_rows *rows, rh_score_sum *sum) RH_WARN_UNUSED;
#endif
