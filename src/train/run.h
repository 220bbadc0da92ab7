/* A fit as it runs: what a checkpoint holds, and what is made anew from the options. Private to this floor. */
#ifndef RH_TRAIN_RUN_H
#define RH_TRAIN_RUN_H
#include "train/step.h"
#include "train/train.h"

/* Counters of a run; all of them are in its checkpoint. X(name) */
#define RH_RUN_COUNTER_LIST(X)                                               \
  X(epoch)         /* being worked on, from 0 */                             \
  X(position)      /* rows of its order that are done */                     \
  X(step)          /* steps done, skipped ones included */                   \
  X(skipped)       /* in all */                                              \
  X(skipped_now)   /* in a row */                                            \
  X(skipped_epoch) /* in this epoch, or since the last roll-back in it */    \
  X(rollbacks)                                                               \
  X(since_good) /* steps since the last good state was taken */              \
  X(best_epoch) /* epochs after which validation was best; 0: none */        \
  X(best_bad)   /* validation rows of density 0 in the best */               \
  X(worse)      /* validations since the best */                             \
  X(validations)                                                             \
  X(val_bad)                                                                 \
  X(val_unfinished) /* of those: not found */                                \
  X(loss_rows)      /* rows in `loss` */                                     \
  X(updates)        /* Adam's t */                                           \
  X(good_updates)                                                            \
  X(seen)        /* rows of this epoch's steps, skipped ones included */     \
  X(forward)     /* evaluations of fields for them: solutions */             \
  X(back)        /* and derivatives of solutions */                          \
  X(solved_rows) /* rows of all steps */                                     \
  X(unfinished)  /* solutions for them that were given up where they were */ \
  X(capped)      /* of those: out of steps */                                \
  X(fell_back) X(raised)
/* Reals likewise. */
#define RH_RUN_REAL_LIST(X)                                 \
  X(loss)       /* sum over this epoch's rows so far */     \
  X(last_train) /* mean log-likelihood of the last epoch */ \
  X(last_forward)                                           \
  X(last_back) /* its evaluations a row */                  \
  X(missing)   /* rh_ode_report's, of all steps */          \
  X(best_val) X(val) X(rate_scale) X(rate) X(grad_norm) X(elapsed)

#define RH_RUN_FIELD_I(name) int64_t name;
#define RH_RUN_FIELD_F(name) double name;
typedef struct rh_counters {
  RH_RUN_COUNTER_LIST(RH_RUN_FIELD_I)
} rh_counters;
typedef struct rh_reals {
  RH_RUN_REAL_LIST(RH_RUN_FIELD_F)
} rh_reals;
#undef RH_RUN_FIELD_I
#undef RH_RUN_FIELD_F

typedef struct rh_fit_run {
  rh_model *model;
  const rh_rows *train, *val, *test;
  const rh_train_options *options;
  rh_recipe recipe; /* with the epochs resolved */
  json_t *identity; /* what makes two runs the same */
  char *checkpoint; /* path, or NULL */
  const char *isa;
  int64_t batch, steps_epoch, steps; /* steps: in all, 0 = open */
  rh_pool *pool;
  rh_stepper *stepper;
  rh_scorer *scorer; /* of `eval` */
  rh_values eval;    /* borrowed: the averaged parameters where there are any */
  size_t param_bytes;
  int64_t *order;
  int64_t order_epoch; /* of which epoch `order` is; -1: none yet */
  rh_counters n;
  rh_reals x;
  void *best;                   /* parameters of the best validation, or NULL without one */
  void *good[RH_STEP_ARRAYS];   /* the last good state */
  double began, elapsed_before; /* clock at the start of this session; seconds of the sessions before */
  int64_t steps_before;
  double checkpoint_at, checkpoint_took, progress_at;
  bool resumed;
} rh_fit_run;

double rh_clock(void); /* seconds, monotonic */

/* identity.c: spec, data and recipe as JSON, and whether two of them are one run (an error names what differs). */
rh_status rh_run_identity(rh_fit_run *run) RH_WARN_UNUSED;
rh_status rh_identity_check(const json_t *theirs, const json_t *ours, const char *where) RH_WARN_UNUSED;
uint64_t rh_identity_hash(const json_t *identity);

/* resume.c */
rh_status rh_run_check_output(const rh_fit_run *run) RH_WARN_UNUSED;
rh_status rh_run_checkpoint_path(rh_fit_run *run) RH_WARN_UNUSED;
rh_status rh_run_save(rh_fit_run *run) RH_WARN_UNUSED;
rh_status rh_run_load(rh_fit_run *run) RH_WARN_UNUSED;
/* A finished run of this identity lies at options->output: takes its values and its report. Anything else there that a run which resumes
 * nothing would replace is refused: a model of another identity, a file that is no model. */
rh_status rh_run_finished(rh_fit_run *run, rh_fit_report *report, bool *finished) RH_WARN_UNUSED;

/* report.c: what a model's file says of its fit. */
json_t *rh_fit_result_json(const rh_fit_report *report);

/* schedule.c */
double rh_schedule_rate(const rh_recipe *recipe, int64_t step, int64_t steps, double elapsed);
double rh_schedule_fraction(const rh_recipe *recipe, int64_t step, int64_t steps, double elapsed);
int64_t rh_schedule_epochs(int64_t rows, int64_t batch);
#endif
