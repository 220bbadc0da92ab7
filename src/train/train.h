/* Fitting a model by maximum likelihood: the loop around steps (train/step.h): order, schedule, validation, early stopping, roll-backs,
 * checkpoints.
 *
 * The same data, spec, options and instruction-set level give the same bytes, for any number of threads, stopped and resumed or not, when
 * the end is given by epochs or steps (or by patience). With `seconds` the schedule follows the clock: two such runs differ. */
#ifndef RH_TRAIN_TRAIN_H
#define RH_TRAIN_TRAIN_H
#include <stdatomic.h>

#include "data/table.h"
#include "model/feed.h"
#include "model/model.h"
#include "model/score.h"

/* Rows of a table: all of it, or those of a list (a part of a split). What it points to, and it itself, must outlive the rows. */
typedef struct rh_part {
  const rh_table *table;
  const int64_t *row; /* array[n], or NULL: every row */
  int64_t n;
} rh_part;
rh_rows rh_rows_of(const rh_part *part);

typedef enum rh_optimizer { RH_ADAM, RH_ADAMW } rh_optimizer;
extern const char *const rh_optimizer_names[]; /* "adam", "adamw", NULL */

/* What the run is, as opposed to how it is carried out: all of it is part of the fit's identity. */
typedef struct rh_recipe {
  rh_optimizer optimizer;
  double lr, beta1, beta2, eps;
  double weight_decay; /* decoupled, of weight matrices; needs adamw */
  double lr_floor;     /* the cosine ends at lr * lr_floor */
  int64_t warmup;      /* steps of linear warm-up */
  double clip;         /* largest global norm of the mean gradient; 0 = off */
  double ema;          /* decay of the averaged parameters; 0 = off. When on, they are what is validated and saved */
  int64_t batch;
  int64_t epochs,
      steps;        /* the first reached ends the run; 0 = not given. None of epochs, steps, seconds given: epochs by the data's size */
  double seconds;   /* wall clock, summed over resumed runs; 0 = not given */
  int64_t patience; /* epochs without a better validation; 0 = never stops early */
  bool flip; /* images are mirrored, left to right, with probability 1/2 whenever they are trained on; needs rh_train_options.image */
  uint64_t seed;
} rh_recipe;

/* Defaults for a table of that size; the rows decide the epochs and the batch. */
rh_recipe rh_recipe_default(int64_t rows, bool images);
/* What of the defaults is another for continuous flows of a table's columns. */
void rh_recipe_of_fields(rh_recipe *recipe, int64_t rows);
/* Reads the user's pairs {"lr": 1e-3, "batch": 512, ...} over `recipe`; ranges are checked, unknown keys refused (the nearest is named). */
rh_status rh_recipe_set(rh_recipe *recipe, const json_t *options) RH_WARN_UNUSED;
json_t *rh_recipe_json(const rh_recipe *recipe); /* all of it, as rh_recipe_set reads it; NULL: out of memory */

typedef enum rh_train_event {
  RH_EVENT_START,      /* the first call: totals are known */
  RH_EVENT_RESUME,     /* instead: a checkpoint was taken up */
  RH_EVENT_STEP,       /* now and then: for a progress bar */
  RH_EVENT_EPOCH,      /* an epoch's end (or the run's, within one): val is fresh */
  RH_EVENT_SKIP,       /* a step with a non-finite loss or gradient was skipped */
  RH_EVENT_ROLLBACK,   /* back to the last good state at half the rate */
  RH_EVENT_CHECKPOINT, /* one was written */
  RH_EVENT_DONE
} rh_train_event;

typedef struct rh_progress {
  rh_train_event event;
  int64_t epoch, epochs;           /* epochs finished, of how many (0: open) */
  int64_t step, steps;             /* steps done, of how many (0: open) */
  double fraction;                 /* of the run, 0 to 1 */
  double loss;                     /* mean negative log-likelihood over this epoch's rows so far, nats; NaN before the first */
  double val, best_val;            /* mean log-likelihood, nats; NaN: none yet */
  int64_t val_bad, val_unfinished; /* validation rows of density 0 (not in `val`), and those of them that were not found */
  int64_t best_epoch;              /* the number of epochs after which val was best; 0: none yet */
  double rate, grad_norm;          /* learning rate and gradient norm of the last step */
  double forward, back;            /* evaluations a row in this epoch: of solutions, of derivatives; 0: nothing is solved; NaN: none yet */
  int64_t unfinished;              /* solutions that were given up on the way, in all steps */
  double rows_per_second, elapsed, eta; /* seconds; eta NaN: unknown */
  int64_t skipped, rollbacks;
} rh_progress;
/* One line of the log: an object with what the event has to say; NULL for RH_EVENT_STEP, or out of memory. */
json_t *rh_progress_json(const rh_progress *progress);

typedef struct rh_train_options {
  rh_recipe recipe;
  int threads;     /* 0: all CPUs */
  const char *isa; /* NULL: the best */
  rh_memory memory;
  rh_image_shape image;                                     /* of the rows' first columns; h = 0: they are no images */
  const char *output;                                       /* the model file; NULL: nothing is written */
  const char *checkpoint;                                   /* NULL: output + ".ckpt" (none without output); "": none */
  double checkpoint_seconds;                                /* 0 = 30 */
  bool resume;                                              /* take up the checkpoint if there is one; leave a finished run as it is */
  bool any_isa;                                             /* resume at another instruction-set level: not the same bits */
  double progress_seconds;                                  /* between RH_EVENT_STEP calls; 0: every step; below 0: none */
  void (*progress)(void *arg, const rh_progress *progress); /* on the calling thread; NULL: none */
  void *arg;
  const atomic_int *stop; /* not 0: finish this step, end with the best model; NULL: none */
} rh_train_options;

typedef struct rh_fit_report {
  const char *stopped;   /* "epochs", "steps", "seconds", "patience", "interrupted", "diverged"; static */
  bool resumed, already; /* already: a finished run was found and left as it is */
  int64_t epochs, steps, best_epoch, parameters, rows;
  int64_t skipped_steps, rollbacks;
  double train;           /* mean log-likelihood of the last epoch, nats (while training) */
  double forward, back;   /* evaluations a row of the last epoch's steps: of solutions, of their derivatives; 0: nothing is solved */
  rh_ode_report solves;   /* of all steps: unfinished, fell_back, raised, missing; the loss was that of the last states there were */
  int64_t solved_rows;    /* rows of all steps */
  rh_ode_report scored;   /* of the final scores, val and test */
  rh_score_sum val, test; /* of the model as saved; rows = 0: not given */
  double seconds, rows_per_second;
} rh_fit_report;

/* Fits `model` (fresh from rh_model_create) on train; val and test may be NULL. On return the model holds the best parameters (by val; the
 * last ones without val) and model->fit; with `output` it has been saved, and the checkpoint removed unless the run was interrupted. A
 * failure leaves the output as it was. model->columns and ->handling should be set before. */
rh_status rh_train(rh_model *model, const rh_rows *train, const rh_rows *val, const rh_rows *test, const rh_train_options *options,
                   rh_fit_report *report) RH_WARN_UNUSED;
json_t *rh_fit_report_json(const rh_fit_report *report); /* val, test, epochs, steps, seconds, skipped_steps, ...; NULL: out of memory */
#endif
