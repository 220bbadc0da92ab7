#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/file.h"
#include "base/memory.h"
#include "model/checkpoint.h"
#include "train/run.h"

enum { ARRAYS_MOST = 12 };

static const char *const now_names[RH_STEP_ARRAYS] = {"param", "m", "v", "ema"};
static const char *const good_names[RH_STEP_ARRAYS] = {"good.param", "good.m", "good.v", "good.ema"};

/* A pipe, a device, standard output: written in place and only once. */
static bool in_place(const char *path) {
  struct stat info;
  return strcmp(path, "-") == 0 || (stat(path, &info) == 0 && !S_ISREG(info.st_mode) && !S_ISDIR(info.st_mode));
}

/* That a place cannot be written is better known before the fit than after it. */
rh_status rh_run_check_output(const rh_fit_run *run) {
  const char *path = run->options->output;
  if (!path || in_place(path)) return RH_OK;
  rh_writer *probe;
  RH_TRY(rh_writer_open(path, &probe));
  rh_writer_discard(probe);
  return RH_OK;
}

/* Beside the output; one that is written in place has none. */
rh_status rh_run_checkpoint_path(rh_fit_run *run) {
  const rh_train_options *o = run->options;
  const char *from = o->checkpoint ? o->checkpoint : o->output;
  if (!from || !*from || in_place(from)) return RH_OK;
  const size_t room = strlen(from) + sizeof ".ckpt";
  run->checkpoint = rh_alloc(room);
  if (!run->checkpoint) return RH_E_MEMORY;
  snprintf(run->checkpoint, room, "%s%s", from, o->checkpoint ? "" : ".ckpt");
  return RH_OK;
}

/* Every array of the run's state, in place: written from here and read back to here. */
static int64_t list_arrays(rh_fit_run *run, rh_array arrays[ARRAYS_MOST]) {
  const rh_step_state *state = rh_stepper_state(run->stepper);
  const rh_st_dtype real = run->model->values.real_bytes == 8 ? RH_ST_F64 : RH_ST_F32;
  int64_t n = 0;
  arrays[n++] = (rh_array){"counters", RH_ST_I64, sizeof run->n / sizeof(int64_t), &run->n};
  arrays[n++] = (rh_array){"reals", RH_ST_F64, sizeof run->x / sizeof(double), &run->x};
  arrays[n++] = (rh_array){"state", real, run->model->flow->leaves.total[RH_STATE], run->model->values.flat[RH_STATE]};
  for (int i = 0; i < RH_STEP_ARRAYS; i++) {
    if (!state->array[i]) continue;
    arrays[n++] = (rh_array){now_names[i], real, state->count, state->array[i]};
    arrays[n++] = (rh_array){good_names[i], real, state->count, run->good[i]};
  }
  if (run->best) arrays[n++] = (rh_array){"best", real, state->count, run->best};
  return n;
}

rh_status rh_run_save(rh_fit_run *run) {
  rh_array arrays[ARRAYS_MOST];
  run->n.updates = rh_stepper_state(run->stepper)->updates;
  run->x.elapsed = run->elapsed_before + rh_clock() - run->began;
  json_t *scalars = json_pack("{s:O, s:s}", "fit", run->identity, "isa", run->isa);
  if (!scalars) return rh_fail(RH_E_MEMORY, "out of memory writing %s", run->checkpoint);
  const rh_status status = rh_checkpoint_write(run->checkpoint, list_arrays(run, arrays), arrays, scalars);
  json_decref(scalars);
  return status;
}

/* A checkpoint that was made by rheo for this fit still may have been edited: nothing in it may lead outside of an array. */
static rh_status check_counters(const rh_fit_run *run, const rh_counters *n) {
  const int64_t rows = run->train->rows;
  const bool fine = n->epoch >= 0 && n->epoch <= INT32_MAX && n->position >= 0 && n->position <= rows && n->step >= 0 && n->updates >= 0 &&
                    n->updates <= n->step && n->good_updates >= 0;
  return fine ? RH_OK : rh_fail(RH_E_FORMAT, "%s: its counters make no sense; remove it to start afresh", run->checkpoint);
}

static rh_status load_open(rh_fit_run *run, const rh_checkpoint *ckpt) {
  const json_t *scalars = rh_checkpoint_scalars(ckpt);
  RH_TRY(rh_identity_check(json_object_get(scalars, "fit"), run->identity, run->checkpoint));
  const char *isa = json_string_value(json_object_get(scalars, "isa"));
  if (!run->options->any_isa && (!isa || strcmp(isa, run->isa) != 0))
    return rh_fail(RH_E_ARGUMENT,
                   "%s: was made at instruction-set level %.16s, this run is at %s: the bits would differ; give --isa %.16s, or remove it",
                   run->checkpoint, isa ? isa : "unknown", run->isa, isa ? isa : "LEVEL");
  rh_array arrays[ARRAYS_MOST];
  const int64_t n = list_arrays(run, arrays);
  rh_counters counters = {0};
  arrays[0].data = &counters;
  RH_TRY(rh_checkpoint_load(ckpt, n, arrays));
  RH_TRY(check_counters(run, &counters));
  run->n = counters;
  rh_stepper_state(run->stepper)->updates = counters.updates;
  run->elapsed_before = run->x.elapsed;
  run->steps_before = counters.step;
  run->resumed = true;
  return RH_OK;
}

rh_status rh_run_load(rh_fit_run *run) {
  rh_checkpoint *ckpt;
  RH_TRY(rh_checkpoint_open(run->checkpoint, &ckpt));
  const rh_status status = load_open(run, ckpt);
  rh_checkpoint_close(ckpt);
  return status;
}

/* ---- a finished run ---- */

static double number_or(const json_t *fit, const char *key, double otherwise) {
  const json_t *v = json_object_get(fit, key);
  return json_is_number(v) ? json_number_value(v) : otherwise;
}

static int64_t integer_of(const json_t *fit, const char *key) {
  return (int64_t)json_integer_value(json_object_get(fit, key));
}

static rh_score_sum read_sum(const json_t *fit, const char *name) {
  static const char *const ends[] = {"_rows", "_zero_density", "_unfinished"};
  int64_t count[RH_COUNT_OF(ends)];
  char key[40];
  for (size_t i = 0; i < RH_COUNT_OF(ends); i++) {
    snprintf(key, sizeof key, "%s%s", name, ends[i]);
    count[i] = integer_of(fit, key);
  }
  snprintf(key, sizeof key, "%s_stderr", name);
  rh_score_sum s = {.rows = count[0], .bad = count[1] + count[2], .unfinished = count[2], .stderr_ = number_or(fit, key, NAN)};
  s.mean = s.rows ? number_or(fit, name, -INFINITY) : 0;
  s.finite_mean = s.bad ? NAN : s.mean;
  return s;
}

static const char *const stop_names[] = {"epochs", "steps", "seconds", "patience", "diverged"};

static void read_report(const json_t *fit, const char *stopped, rh_fit_report *r) {
  *r = (rh_fit_report){
      .stopped = stopped,
      .already = true,
      .epochs = integer_of(fit, "epochs"),
      .steps = integer_of(fit, "steps"),
      .best_epoch = integer_of(fit, "best_epoch"),
      .parameters = integer_of(fit, "parameters"),
      .rows = integer_of(fit, "train_rows"),
      .skipped_steps = integer_of(fit, "skipped_steps"),
      .rollbacks = integer_of(fit, "rollbacks"),
      .train = number_or(fit, "train", NAN),
      .forward = number_or(fit, "evaluations_forward", 0),
      .back = number_or(fit, "evaluations_back", 0),
      .solves = {.unfinished = integer_of(fit, "unfinished"), .fell_back = integer_of(fit, "fell_back")},
      .val = read_sum(fit, "val"),
      .test = read_sum(fit, "test"),
  };
}

/* What a model says of its fit, as rh_run_identity puts it; of the rows it has no more than a hash over everything. NULL: out of memory. */
static json_t *told_identity(const rh_model *m) {
  json_t *recipe = m->fit ? json_object_get(m->fit, "recipe") : NULL;
  char hash[17];
  snprintf(hash, sizeof hash, "%016" PRIx64, rh_identity_hash(m->flow->spec));
  return json_pack("{s:O?, s:s, s:s}", "recipe", recipe, "dtype", m->values.real_bytes == 8 ? "f64" : "f32", "specification", hash);
}

static rh_status same_fit(const rh_fit_run *run, const rh_model *done) {
  char hash[17];
  snprintf(hash, sizeof hash, "%016" PRIx64, rh_identity_hash(run->identity));
  const char *theirs = json_string_value(json_object_get(done->fit, "identity")), *path = run->options->output;
  if (theirs && strcmp(theirs, hash) == 0 && json_equal(done->flow->spec, run->model->flow->spec) &&
      done->values.real_bytes == run->model->values.real_bytes)
    return RH_OK;
  json_t *told = told_identity(done), *ours = told ? json_object() : NULL;
  const char *key;
  json_t *value;
  int failed = !ours;
  json_object_foreach(told, key, value) failed = failed || json_object_set(ours, key, json_object_get(run->identity, key));
  rh_status status = failed ? rh_fail(RH_E_MEMORY, "out of memory reading %s", path) : rh_identity_check(told, ours, path);
  json_decref(told);
  json_decref(ours);
  if (status != RH_OK) return status;
  return rh_fail(RH_E_ARGUMENT, "%s: is of another fit: the rows differ; give the same again, or remove the file to start afresh", path);
}

static const char *finished_by(const rh_model *done) {
  const char *stopped = json_string_value(json_object_get(done->fit, "stopped"));
  for (size_t i = 0; stopped && i < RH_COUNT_OF(stop_names); i++)
    if (strcmp(stopped, stop_names[i]) == 0) return stop_names[i];
  return NULL;
}

static void take_finished(rh_fit_run *run, const rh_model *done, const char *stopped, rh_fit_report *report) {
  rh_model *m = run->model;
  const rh_leaves *leaves = &m->flow->leaves;
  for (int c = 0; c < 2; c++) memcpy(m->values.flat[c], done->values.flat[c], (size_t)(leaves->total[c] * m->values.real_bytes));
  read_report(done->fit, stopped, report);
  json_decref(m->fit);
  m->fit = json_incref(done->fit);
}

rh_status rh_run_finished(rh_fit_run *run, rh_fit_report *report, bool *finished) {
  const char *path = run->options->output;
  *finished = false;
  if (!path || in_place(path) || !rh_file_exists(path)) return RH_OK;
  rh_model *done = NULL;
  rh_status status = rh_model_load(path, &done);
  if (status == RH_E_MEMORY) return status;
  if (status != RH_OK) {
    (void)rh_fail_prefix(status, "nothing to resume: ");
    return rh_fail(RH_E_ARGUMENT, "%s; give another output, or remove the file to start afresh", rh_last_error());
  }
  status = same_fit(run, done);
  const char *stopped = finished_by(done); /* an interrupted one whose checkpoint is gone starts afresh */
  if (status == RH_OK && stopped) {
    take_finished(run, done, stopped, report);
    *finished = true;
  }
  rh_model_destroy(done);
  return status;
}
