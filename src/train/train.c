#include "train/train.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/file.h"
#include "base/memory.h"
#include "data/split.h"
#include "train/run.h"

enum { WARM_UP_ROWS = 4096, WARM_UP_NUMBERS = 1 << 22, SKIPS_IN_A_ROW = 5, GOOD_STEPS = 1000, ROLLBACKS_MOST = 30, CHECKPOINT_SHARE = 50 };

double rh_clock(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

static double elapsed(const rh_fit_run *run) {
  return run->elapsed_before + rh_clock() - run->began;
}

static bool stop_asked(const rh_fit_run *run) {
  return run->options->stop && atomic_load_explicit(run->options->stop, memory_order_relaxed) != 0;
}

/* ---- telling ---- */

static double eta(const rh_fit_run *run, double fraction, double session) {
  const int64_t done = run->n.step - run->steps_before;
  const double by_steps = run->steps > 0 && done > 0 ? session / (double)done * (double)(run->steps - run->n.step) : INFINITY;
  const double by_clock = run->recipe.seconds > 0 ? run->recipe.seconds - elapsed(run) : INFINITY;
  const double left = fmin(by_steps, by_clock);
  return fraction >= 1 ? 0 : isfinite(left) ? fmax(left, 0) : NAN;
}

/* Of this epoch so far; before its first step `before`. */
static double a_row(const rh_fit_run *run, int64_t evaluations, double before) {
  return run->n.seen ? (double)evaluations / (double)run->n.seen : before;
}

static void tell(rh_fit_run *run, rh_train_event event) {
  const rh_train_options *o = run->options;
  if (!o->progress) return;
  const double now = rh_clock(), session = now - run->began;
  if (event == RH_EVENT_STEP) {
    if (o->progress_seconds < 0 || now - run->progress_at < o->progress_seconds) return;
    run->progress_at = now;
  }
  const double rows = (double)(run->n.step - run->steps_before) * (double)run->batch;
  rh_progress p = {
      .event = event,
      .epoch = run->n.epoch,
      .epochs = run->recipe.epochs,
      .step = run->n.step,
      .steps = run->steps,
      .fraction = rh_schedule_fraction(&run->recipe, run->n.step, run->steps, run->elapsed_before + session),
      .loss = run->n.loss_rows ? run->x.loss / (double)run->n.loss_rows : -run->x.last_train,
      .val = run->x.val,
      .best_val = run->x.best_val,
      .val_bad = run->n.val_bad,
      .val_unfinished = run->n.val_unfinished,
      .best_epoch = run->n.best_epoch,
      .rate = run->x.rate,
      .grad_norm = run->x.grad_norm,
      .forward = a_row(run, run->n.forward, run->x.last_forward),
      .back = a_row(run, run->n.back, run->x.last_back),
      .unfinished = run->n.unfinished,
      .rows_per_second = session > 0 ? rows / session : 0,
      .elapsed = run->elapsed_before + session,
      .skipped = run->n.skipped,
      .rollbacks = run->n.rollbacks,
  };
  p.eta = eta(run, p.fraction, session);
  o->progress(o->arg, &p);
}

/* ---- the last good state ---- */

static void take_good(rh_fit_run *run) {
  const rh_step_state *s = rh_stepper_state(run->stepper);
  for (int i = 0; i < RH_STEP_ARRAYS; i++)
    if (s->array[i]) memcpy(run->good[i], s->array[i], run->param_bytes);
  run->n.good_updates = s->updates;
  run->n.since_good = 0;
}

static void roll_back(rh_fit_run *run) {
  rh_step_state *s = rh_stepper_state(run->stepper);
  for (int i = 0; i < RH_STEP_ARRAYS; i++)
    if (s->array[i]) memcpy(s->array[i], run->good[i], run->param_bytes);
  s->updates = run->n.good_updates;
  run->x.rate_scale *= 0.5;
  run->n.rollbacks++;
  run->n.since_good = run->n.skipped_now = run->n.skipped_epoch = 0;
  tell(run, RH_EVENT_ROLLBACK);
}

static bool diverged(const rh_fit_run *run) {
  return run->n.rollbacks >= ROLLBACKS_MOST;
}

static void note_skip(rh_fit_run *run) {
  run->n.skipped++;
  run->n.skipped_now++;
  run->n.skipped_epoch++;
  tell(run, RH_EVENT_SKIP);
  if (run->n.skipped_now >= SKIPS_IN_A_ROW || run->n.skipped_epoch > SKIPS_IN_A_ROW + run->steps_epoch / 10) roll_back(run);
}

/* ---- a step ---- */

static void set_order(rh_fit_run *run) {
  if (run->order_epoch == run->n.epoch) return;
  rh_epoch_order(run->recipe.seed, (uint32_t)run->n.epoch, run->train->rows, run->order);
  run->order_epoch = run->n.epoch;
}

static void note_solves(rh_fit_run *run, int64_t rows, const rh_step_result *result) {
  run->n.seen += rows;
  run->n.solved_rows += rows;
  run->n.forward += result->forward.evaluations;
  run->n.back += result->back.evaluations;
  run->n.unfinished += result->forward.unfinished;
  run->n.capped += result->forward.capped;
  run->n.fell_back += result->forward.fell_back;
  run->n.raised += result->forward.raised;
  run->x.missing = fmax(run->x.missing, result->forward.missing);
}

static void one_step(rh_fit_run *run) {
  const int64_t left = run->train->rows - run->n.position;
  const rh_batch batch = {
      .rows = run->train, .row = run->order + run->n.position, .n = left < run->batch ? left : run->batch, .epoch = (uint32_t)run->n.epoch};
  const double clock = run->recipe.seconds > 0 ? elapsed(run) : 0;
  run->x.rate = run->x.rate_scale * rh_schedule_rate(&run->recipe, run->n.step, run->steps, clock);
  rh_step_result result;
  rh_stepper_run(run->stepper, &batch, run->x.rate, &result);
  run->n.step++;
  run->n.position += batch.n;
  note_solves(run, batch.n, &result);
  run->x.grad_norm = result.grad_norm;
  if (!result.applied) {
    note_skip(run);
    return;
  }
  run->x.loss += result.loss;
  run->n.loss_rows += batch.n;
  run->n.skipped_now = 0;
  if (++run->n.since_good >= GOOD_STEPS) take_good(run);
}

/* Why the run ends here, or NULL. */
static const char *ended(const rh_fit_run *run) {
  if (run->recipe.steps > 0 && run->n.step >= run->recipe.steps) return "steps";
  if (run->recipe.epochs > 0 && run->n.epoch >= run->recipe.epochs) return "epochs";
  if (run->recipe.seconds > 0 && elapsed(run) >= run->recipe.seconds) return "seconds";
  if (run->val && run->recipe.patience > 0 && run->n.worse >= run->recipe.patience) return "patience";
  if (diverged(run)) return "diverged";
  if (stop_asked(run)) return "interrupted";
  return NULL;
}

/* ---- checkpoints ---- */

/* At an epoch's end unless writing would then take more than a small share of the time; in an epoch when the last is old enough. */
static rh_status maybe_checkpoint(rh_fit_run *run, bool epoch_end) {
  if (!run->checkpoint) return RH_OK;
  const double now = rh_clock(), since = now - run->checkpoint_at;
  const double every = run->options->checkpoint_seconds > 0 ? run->options->checkpoint_seconds : 30;
  if (epoch_end ? since < CHECKPOINT_SHARE * run->checkpoint_took : since < every) return RH_OK;
  RH_TRY(rh_run_save(run));
  run->checkpoint_at = rh_clock();
  run->checkpoint_took = run->checkpoint_at - now;
  tell(run, RH_EVENT_CHECKPOINT);
  return RH_OK;
}

/* ---- an epoch's end ---- */

/* Fewer rows of density 0 first, then the mean over the others. */
static bool is_better(const rh_fit_run *run, const rh_score_sum *sum) {
  if (isnan(sum->finite_mean)) return false;
  if (run->n.best_epoch == 0 || sum->bad != run->n.best_bad) return run->n.best_epoch == 0 || sum->bad < run->n.best_bad;
  return sum->finite_mean > run->x.best_val;
}

static rh_status validate(rh_fit_run *run) {
  if (!run->val) return RH_OK;
  rh_score_sum sum;
  RH_TRY(rh_score_mean(run->scorer, run->val, &sum));
  run->x.val = sum.finite_mean;
  run->n.val_bad = sum.bad;
  run->n.val_unfinished = sum.unfinished;
  run->n.validations++;
  run->n.worse++;
  if (!is_better(run, &sum)) return RH_OK;
  run->n.worse = 0;
  run->n.best_epoch = run->n.epoch + 1;
  run->n.best_bad = sum.bad;
  run->x.best_val = sum.finite_mean;
  memcpy(run->best, run->eval.flat[RH_PARAM], run->param_bytes);
  return RH_OK;
}

static void next_epoch(rh_fit_run *run) {
  run->x.last_train = run->n.loss_rows ? -run->x.loss / (double)run->n.loss_rows : NAN;
  run->x.last_forward = a_row(run, run->n.forward, NAN);
  run->x.last_back = a_row(run, run->n.back, NAN);
  run->n.epoch++;
  run->n.position = run->n.loss_rows = run->n.skipped_epoch = 0;
  run->n.seen = run->n.forward = run->n.back = 0;
  run->x.loss = 0;
}

static rh_status end_epoch(rh_fit_run *run) {
  RH_TRY(validate(run));
  next_epoch(run);
  tell(run, RH_EVENT_EPOCH);
  if (run->n.skipped_now == 0) take_good(run);
  return maybe_checkpoint(run, true);
}

/* Steps until the run ends; an interrupted run's checkpoint is of the state before its last validation, which an uninterrupted run would
 * not have made. */
static rh_status loop(rh_fit_run *run, const char **stopped) {
  while (!(*stopped = ended(run))) {
    set_order(run);
    one_step(run);
    tell(run, RH_EVENT_STEP);
    if (run->n.position == run->train->rows) {
      RH_TRY(end_epoch(run));
    } else {
      RH_TRY(maybe_checkpoint(run, false));
    }
  }
  if (strcmp(*stopped, "interrupted") == 0 && run->checkpoint) {
    RH_TRY(rh_run_save(run));
    tell(run, RH_EVENT_CHECKPOINT);
  }
  if (run->n.position == 0) return RH_OK;
  RH_TRY(validate(run));
  tell(run, RH_EVENT_EPOCH);
  if (run->n.loss_rows) run->x.last_train = -run->x.loss / (double)run->n.loss_rows;
  return RH_OK;
}

/* ---- beginning ---- */

static rh_status check_rows(const rh_fit_run *run) {
  const int64_t width = run->model->flow->columns + run->model->flow->context;
  const rh_rows *all[3] = {run->train, run->val, run->test};
  static const char *const names[3] = {"training", "validation", "test"};
  for (int i = 0; i < 3; i++) {
    if (!all[i]) continue;
    if (all[i]->columns != width)
      return rh_fail(RH_E_SHAPE, "the %s data have %" PRId64 " columns, the model takes %" PRId64, names[i], all[i]->columns, width);
    if (all[i]->rows < 1) return rh_fail(RH_E_DATA, "the %s data have no rows", names[i]);
  }
  if (run->train->rows < 2) return rh_fail(RH_E_DATA, "a fit needs at least 2 rows to learn from; there is 1");
  return RH_OK;
}

/* Data-dependent starts, from the first rows of epoch 0's order. */
static rh_status warm_up(rh_fit_run *run) {
  const rh_flow *f = run->model->flow;
  const int64_t d = f->columns, c = f->context;
  int64_t n = run->train->rows < WARM_UP_ROWS ? run->train->rows : WARM_UP_ROWS;
  if (n > WARM_UP_NUMBERS / (d + c) && n > 64) n = WARM_UP_NUMBERS / (d + c) > 64 ? WARM_UP_NUMBERS / (d + c) : 64;
  double *x = rh_alloc((size_t)(n * d) * sizeof *x), *context = c ? rh_alloc((size_t)(n * c) * sizeof *context) : NULL;
  rh_status status = x && (context || !c) ? RH_OK : RH_E_MEMORY;
  if (status == RH_OK) {
    set_order(run);
    run->train->get(run->train->arg, 0, n, run->order, 0, d, x);
    if (c) run->train->get(run->train->arg, 0, n, run->order, d, c, context);
    status = rh_flow_warm_up(f, &run->model->values, run->pool, n, x, context, run->recipe.seed);
  }
  rh_free(x);
  rh_free(context);
  return status;
}

static void resolve_recipe(rh_fit_run *run) {
  rh_recipe *r = &run->recipe;
  const int64_t rows = run->train->rows;
  run->batch = r->batch < rows ? r->batch : rows;
  run->steps_epoch = (rows + run->batch - 1) / run->batch;
  if (!r->epochs && !r->steps && !(r->seconds > 0)) r->epochs = rh_schedule_epochs(rows, run->batch);
  run->steps = r->epochs * run->steps_epoch;
  if (r->steps && (!run->steps || r->steps < run->steps)) run->steps = r->steps;
}

static rh_status make_engines(rh_fit_run *run) {
  const rh_train_options *o = run->options;
  const rh_recipe *r = &run->recipe;
  rh_values *values = &run->model->values;
  rh_step_options step = {.pool = run->pool,
                          .isa = o->isa,
                          .memory = o->memory,
                          .batch = run->batch,
                          .beta1 = r->beta1,
                          .beta2 = r->beta2,
                          .eps = r->eps,
                          .weight_decay = r->weight_decay,
                          .clip = r->clip,
                          .ema = r->ema,
                          .seed = r->seed};
  if (r->flip) step.flip = o->image;
  RH_TRY(rh_stepper_create(run->model->flow, values, &step, &run->stepper));
  const rh_step_state *s = rh_stepper_state(run->stepper);
  run->param_bytes = (size_t)(s->count * values->real_bytes);
  run->eval = *values;
  if (s->array[RH_STEP_EMA]) run->eval.flat[RH_PARAM] = s->array[RH_STEP_EMA];
  for (int i = 0; i < RH_STEP_ARRAYS; i++)
    if (s->array[i] && !(run->good[i] = rh_alloc(run->param_bytes))) return RH_E_MEMORY;
  if (run->val && !(run->best = rh_alloc_zero(1, run->param_bytes))) return RH_E_MEMORY;
  const rh_scorer_options score = {.pool = run->pool, .isa = o->isa, .seed = r->seed, .lean = o->memory == RH_RECOMPUTE};
  return rh_scorer_create(run->model->flow, &run->eval, &score, &run->scorer);
}

static rh_status check_flip(const rh_fit_run *run) {
  const rh_image_shape *m = &run->options->image;
  if (!run->recipe.flip) return RH_OK;
  if (m->h < 1) return rh_fail(RH_E_ARGUMENT, "fit: flip mirrors images, but the rows are none: leave it out");
  if (m->w < 1 || m->c < 1 || m->h > run->model->flow->columns / m->w / m->c)
    return rh_fail(RH_E_SHAPE,
                   "fit: flip: an image of %" PRId64 " x %" PRId64 " with %" PRId64 " channels is more than the %" PRId64 " columns", m->h,
                   m->w, m->c, run->model->flow->columns);
  return RH_OK;
}

static rh_status prepare(rh_fit_run *run) {
  RH_TRY(check_rows(run));
  RH_TRY(check_flip(run));
  resolve_recipe(run);
  const rh_kernels *kernels;
  RH_TRY(rh_kernels_get(run->options->isa, run->model->values.real_bytes, &kernels));
  run->isa = kernels->isa;
  RH_TRY(rh_run_identity(run));
  return rh_run_checkpoint_path(run);
}

static rh_status begin(rh_fit_run *run) {
  RH_TRY(rh_pool_create(run->options->threads, &run->pool));
  run->order = rh_alloc((size_t)run->train->rows * sizeof *run->order);
  if (!run->order) return RH_E_MEMORY;
  const bool resume = run->options->resume && run->checkpoint && rh_file_exists(run->checkpoint);
  if (!resume) RH_TRY(warm_up(run));
  RH_TRY(make_engines(run));
  if (resume) {
    RH_TRY(rh_run_load(run));
  } else {
    take_good(run);
  }
  run->began = run->checkpoint_at = run->progress_at = rh_clock();
  tell(run, resume ? RH_EVENT_RESUME : RH_EVENT_START);
  return RH_OK;
}

/* ---- ending ---- */

/* The best parameters become the model's. */
static rh_status take_best(rh_fit_run *run, const char *stopped) {
  const bool lost = strcmp(stopped, "diverged") == 0;
  if (run->n.step > 0 && run->n.step == run->n.skipped)
    return rh_fail(RH_E_NUMERIC,
                   "no step had a finite loss and gradient (%" PRId64 " were tried): look at the data for huge values, or use --dtype f64",
                   run->n.step);
  const rh_step_state *s = rh_stepper_state(run->stepper);
  const int kind = s->array[RH_STEP_EMA] ? RH_STEP_EMA : RH_STEP_PARAM;
  const void *from = run->val && run->n.best_epoch > 0 ? run->best : lost ? run->good[kind] : s->array[kind];
  if (from != s->array[RH_STEP_PARAM]) memcpy(s->array[RH_STEP_PARAM], from, run->param_bytes);
  run->eval.flat[RH_PARAM] = s->array[RH_STEP_PARAM];
  const int bad = rh_values_bad_leaf(&run->model->flow->leaves, &run->model->values);
  if (bad < 0) return RH_OK;
  return rh_fail(RH_E_NUMERIC, "'%s' is not finite after %" PRId64 " steps: fit again at a lower rate",
                 run->model->flow->leaves.leaf[bad].name, run->n.step);
}

static rh_status fill_report(rh_fit_run *run, const char *stopped, rh_fit_report *r) {
  *r = (rh_fit_report){
      .stopped = stopped,
      .resumed = run->resumed,
      .epochs = run->n.epoch,
      .steps = run->n.step,
      .best_epoch = run->val ? run->n.best_epoch : run->n.epoch,
      .parameters = run->model->flow->leaves.params,
      .rows = run->train->rows,
      .skipped_steps = run->n.skipped,
      .rollbacks = run->n.rollbacks,
      .train = run->x.last_train,
      .forward = a_row(run, run->n.forward, run->x.last_forward),
      .back = a_row(run, run->n.back, run->x.last_back),
      .solves = {.unfinished = run->n.unfinished,
                 .capped = run->n.capped,
                 .fell_back = run->n.fell_back,
                 .raised = run->n.raised,
                 .missing = run->x.missing},
      .solved_rows = run->n.solved_rows,
      .seconds = elapsed(run),
  };
  const double session = rh_clock() - run->began;
  if (session > 0) r->rows_per_second = (double)(run->n.step - run->steps_before) * (double)run->batch / session;
  rh_scorer_counts(run->scorer);
  if (run->val) RH_TRY(rh_score_mean(run->scorer, run->val, &r->val));
  if (run->test) RH_TRY(rh_score_mean(run->scorer, run->test, &r->test));
  r->scored = rh_scorer_counts(run->scorer);
  return RH_OK;
}

static rh_status note_fit(rh_fit_run *run, const rh_fit_report *report) {
  char hash[17];
  snprintf(hash, sizeof hash, "%016" PRIx64, rh_identity_hash(run->identity));
  json_t *fit = rh_fit_result_json(report);
  if (!fit || json_object_set_new(fit, "identity", json_string(hash)) != 0 || json_object_set_new(fit, "isa", json_string(run->isa)) != 0 ||
      json_object_set_new(fit, "recipe", rh_recipe_json(&run->recipe)) != 0) {
    json_decref(fit);
    return rh_fail(RH_E_MEMORY, "out of memory describing the fit");
  }
  json_decref(run->model->fit);
  run->model->fit = fit;
  return RH_OK;
}

static rh_status finish(rh_fit_run *run, const char *stopped, rh_fit_report *report) {
  run->n.updates = rh_stepper_state(run->stepper)->updates;
  rh_fit_report r;
  RH_TRY(take_best(run, stopped));
  RH_TRY(fill_report(run, stopped, &r));
  RH_TRY(note_fit(run, &r));
  if (run->options->output) RH_TRY(rh_model_save(run->model, run->options->output));
  if (run->checkpoint && strcmp(stopped, "interrupted") != 0) RH_TRY(rh_file_remove(run->checkpoint));
  tell(run, RH_EVENT_DONE);
  r.seconds = elapsed(run);
  *report = r;
  return RH_OK;
}

static void run_free(rh_fit_run *run) {
  rh_scorer_destroy(run->scorer);
  rh_stepper_destroy(run->stepper);
  rh_pool_destroy(run->pool);
  for (int i = 0; i < RH_STEP_ARRAYS; i++) rh_free(run->good[i]);
  rh_free(run->best);
  rh_free(run->order);
  rh_free(run->checkpoint);
  json_decref(run->identity);
}

static rh_status fit(rh_fit_run *run, rh_fit_report *report) {
  RH_TRY(prepare(run));
  bool finished = false;
  const bool pending = run->checkpoint && rh_file_exists(run->checkpoint);
  if (run->options->resume && !pending) RH_TRY(rh_run_finished(run, report, &finished));
  if (finished) return RH_OK;
  RH_TRY(rh_run_check_output(run));
  RH_TRY(begin(run));
  const char *stopped;
  RH_TRY(loop(run, &stopped));
  return finish(run, stopped, report);
}

rh_status rh_train(rh_model *model, const rh_rows *train, const rh_rows *val, const rh_rows *test, const rh_train_options *options,
                   rh_fit_report *report) {
  rh_fit_run run = {.model = model, .train = train, .val = val, .test = test, .options = options, .recipe = options->recipe};
  run.order_epoch = -1;
  run.x =
      (rh_reals){.last_train = NAN, .last_forward = NAN, .last_back = NAN, .best_val = NAN, .val = NAN, .rate_scale = 1, .grad_norm = NAN};
  run.began = rh_clock();
  const rh_status status = fit(&run, report);
  run_free(&run);
  return status;
}
