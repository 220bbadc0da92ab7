/* One optimisation step: gradients of the mean negative log-likelihood of a batch, global norm, Adam. One parallel region, no
 * allocation, the same bits for any number of threads: sums run over fixed chunks in order, every element has one owner. */
#ifndef RH_TRAIN_STEP_H
#define RH_TRAIN_STEP_H
#include "graph/plan.h"
#include "model/feed.h"

typedef struct rh_step_options {
  rh_pool *pool; /* borrowed */
  const char *isa;
  rh_memory memory;
  int64_t batch; /* rows a step has at most */
  double beta1, beta2, eps;
  double weight_decay; /* decoupled, of leaves that ask for it */
  double clip;         /* of the mean gradient's global norm; 0 = off */
  double ema;          /* 0 = off */
  uint64_t seed;       /* of the noise */
  rh_image_shape flip; /* mirror images at random; h = 0: never */
} rh_step_options;

/* Everything a step changes, as flat arrays of `count` elements (leaves->total[RH_PARAM]) at the values' precision. */
enum { RH_STEP_PARAM, RH_STEP_M, RH_STEP_V, RH_STEP_EMA, RH_STEP_ARRAYS };
typedef struct rh_step_state {
  void *array[RH_STEP_ARRAYS]; /* [RH_STEP_PARAM] is the values' own; [RH_STEP_EMA] NULL when off */
  int64_t count;
  int64_t updates; /* applied so far: the t of Adam's bias corrections */
} rh_step_state;

typedef struct rh_stepper rh_stepper;
/* flow and values are borrowed; values (freshly initialised and warmed up) are trained in place. */
rh_status rh_stepper_create(const rh_flow *flow, rh_values *values, const rh_step_options *options, rh_stepper **stepper) RH_WARN_UNUSED;
void rh_stepper_destroy(rh_stepper *stepper); /* NULL is fine */
rh_step_state *rh_stepper_state(rh_stepper *stepper);
const rh_plan *rh_stepper_plan(const rh_stepper *stepper);
const void *rh_stepper_gradient(const rh_stepper *stepper); /* of the last step: sum over the batch, flat; for tests */

typedef struct rh_batch {
  const rh_rows *rows; /* [columns | context] */
  const int64_t *row;  /* [n] numbers of the batch's rows */
  int64_t n;
  uint32_t epoch; /* keys the noise */
} rh_batch;

typedef struct rh_step_result {
  double loss;      /* sum over the batch of the negative log-likelihood */
  double grad_norm; /* of the mean gradient, before clipping */
  bool applied;     /* false: loss or gradient was not finite and nothing has changed */
  /* What the solvers in the step counted, of solutions and of their derivatives. */
  rh_ode_report forward, back;
} rh_step_result;

void rh_stepper_run(rh_stepper *stepper, const rh_batch *batch, double rate, rh_step_result *result);
#endif
