/* rh_compare_files: several architectures on the same rows, under one budget. */
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "api/candidates.h"
#include "api/fitting.h"
#include "api/standings.h"
#include "base/file.h"
#include "base/memory.h"

enum { SEEDS_MOST = 64, ROUNDS_FROM = 4, FINALISTS_LEAST = 2, FINALISTS_SHARE = 3 };
static const double BUDGET = 1200, WORTH_IT = 1.5;

typedef struct compare_options {
  const char *archs, *output, *all; /* all: a prefix */
  int64_t seeds;
  double seconds; /* of everything; 0: none */
} compare_options;

typedef struct compare_job {
  compare_options o;
  rh_fit_job *fit;
  const rh_rows *rows[RH_PARTS];
  rh_entry *entry;
  int n;
  double *scratch; /* [val + test] of one fit */
  double began;
  rh_model *best; /* of the best entry so far, its best seed */
  const rh_entry *best_of;
  rh_compare_progress *progress;
  void *arg;
  rh_compare_event event;
  bool stop;
} compare_job;

static double seconds_now(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

/* ---- options ---- */

static rh_status read_compare(const json_t *json, compare_options *c, json_t **rest) {
  static const char *const own[] = {"arch", "output", "all", "seeds", "time", NULL};
  json_t *mine, *theirs;
  RH_TRY(rh_options_divide(json, own, &mine, &theirs));
  rh_options o = rh_options_begin(mine, "options");
  *c = (compare_options){.archs = rh_options_text(&o, "arch", NULL),
                         .output = rh_options_text(&o, "output", NULL),
                         .all = rh_options_text(&o, "all", NULL),
                         .seeds = rh_options_int(&o, "seeds", 1, 1, SEEDS_MOST),
                         .seconds = rh_options_real(&o, "time", 0, 0, 1e9)};
  rh_status status = rh_options_done(&o) == RH_OK ? RH_OK : RH_E_ARGUMENT;
  json_decref(mine); /* its texts live in the caller's object */
  if (status == RH_OK && json_object_get(theirs, "resume"))
    status = rh_fail(RH_E_ARGUMENT, "options.resume: a comparison keeps no checkpoints: leave it out");
  if (status == RH_OK && json_object_get(theirs, "spec"))
    status = rh_fail(RH_E_ARGUMENT, "options.spec: a comparison is of architectures: leave it out");
  if (status != RH_OK) {
    json_decref(theirs);
    return status;
  }
  if (!json_object_get(theirs, "epochs") && !json_object_get(theirs, "steps") && !(c->seconds > 0)) c->seconds = BUDGET;
  *rest = theirs;
  return RH_OK;
}

/* ---- one fit ---- */

static int on_fit(void *arg, const rh_fit_event *event) {
  compare_job *c = arg;
  c->event.fit = event;
  if (c->progress && c->progress(c->arg, &c->event) != 0) c->stop = true;
  return c->stop;
}

/* Log-densities of the validation and test rows, in that order; the noise of discrete columns is the same for every candidate. */
static rh_status score_parts(const compare_job *c, const rh_model *model, double *out) {
  const rh_compute *compute = rh_fit_job_compute(c->fit);
  const rh_scorer_options options = {.threads = compute->threads, .isa = compute->isa, .seed = compute->seed};
  rh_scorer *scorer;
  RH_TRY(rh_scorer_create(model->flow, &model->values, &options, &scorer));
  rh_status status = RH_OK;
  for (int i = RH_PART_VAL; i <= RH_PART_TEST && status == RH_OK; i++) {
    if (!c->rows[i]) continue;
    status = rh_score(scorer, c->rows[i], 0, c->rows[i]->rows, out);
    out += c->rows[i]->rows;
  }
  rh_scorer_destroy(scorer);
  return status;
}

static rh_status save_under(const char *prefix, const char *name, const rh_model *model) {
  char *path = rh_alloc(strlen(prefix) + strlen(name) + sizeof "-.rheo");
  if (!path) return RH_E_MEMORY;
  sprintf(path, "%s-%s.rheo", prefix, name);
  const rh_status status = rh_model_save(model, path);
  rh_free(path);
  return status;
}

/* All seeds of an entry in this round, into `fresh`; *model: the best seed's, by validation. */
static rh_status fit_seeds(compare_job *c, rh_entry *fresh, double seconds, rh_model **model) {
  const uint64_t first = rh_fit_job_compute(c->fit)->seed;
  for (int64_t s = 0; s < c->o.seeds && !(s > 0 && c->stop); s++) {
    const rh_fit_try once = {
        .arch = fresh->candidate->arch, .set = fresh->set, .seed = first + (uint64_t)s, .seconds = seconds, .progress = on_fit, .arg = c};
    c->event.seed = once.seed;
    rh_model *made;
    json_t *report;
    RH_TRY(rh_fit_job_run(c->fit, &once, &made, &report));
    const rh_status status = score_parts(c, made, c->scratch);
    const bool better = status == RH_OK && rh_entry_add(fresh, c->scratch, report);
    json_decref(report);
    if (better) {
      rh_model_destroy(*model);
      *model = made;
    } else {
      rh_model_destroy(made);
    }
    RH_TRY(status);
  }
  rh_entry_close(fresh);
  return RH_OK;
}

/* Whatever went wrong in a fit is told in its row. */
static void note_failure(rh_entry *e, rh_status status) {
  if (e->fitted) return; /* by an earlier round */
  e->status = status;
  rh_free(e->error);
  e->error = rh_strdup(rh_last_error());
}

static rh_status keep(compare_job *c, rh_entry *e, rh_model *model) {
  if (c->o.all) RH_TRY(save_under(c->o.all, e->candidate->name, model));
  if (c->best && !(c->best_of == e || rh_entry_compare(e, c->best_of) < 0)) {
    rh_model_destroy(model);
    return RH_OK;
  }
  rh_model_destroy(c->best);
  c->best = model;
  c->best_of = e;
  return RH_OK;
}

static rh_status run_entry(compare_job *c, rh_entry *e, double seconds) {
  rh_entry fresh;
  rh_model *model = NULL;
  c->event.candidate = e->candidate->name;
  c->event.seconds = seconds;
  RH_TRY(rh_entry_begin(&fresh, e, c->event.round));
  rh_status status = fit_seeds(c, &fresh, seconds, &model);
  if (status != RH_OK) {
    note_failure(e, status);
    rh_model_destroy(model);
    rh_entry_free(&fresh);
    return RH_OK;
  }
  if (e->fitted && rh_entry_compare(e, &fresh) <= 0) { /* a longer fit that came out worse */
    rh_model_destroy(model);
    rh_entry_free(&fresh);
    return RH_OK;
  }
  rh_entry_replace(e, &fresh);
  status = keep(c, e, model);
  if (status != RH_OK && c->best != model) rh_model_destroy(model);
  return status;
}

/* ---- rounds ---- */

static rh_status run_round(compare_job *c, rh_entry **entry, int n, double seconds) {
  c->event.candidates = n;
  for (int i = 0; i < n && !c->stop; i++) {
    c->event.number = i + 1;
    RH_TRY(run_entry(c, entry[i], seconds / n / (double)c->o.seeds));
  }
  return RH_OK;
}

/* The best third, at least two, that a longer fit may still better: *out [n]; returns how many. */
static int finalists(compare_job *c, rh_entry **order, rh_entry **out) {
  int n = c->n / FINALISTS_SHARE, kept = 0;
  if (n < FINALISTS_LEAST) n = FINALISTS_LEAST;
  rh_entries_sort(c->n, c->entry, order);
  for (int i = 0; i < n && i < c->n; i++)
    if (order[i]->fitted && order[i]->by_time) out[kept++] = order[i];
  return kept;
}

static rh_status run_rounds(compare_job *c) {
  rh_entry **order = rh_alloc_zero((size_t)c->n * 2, sizeof *order);
  if (!order) return RH_E_MEMORY;
  rh_entry **last = order + c->n;
  for (int i = 0; i < c->n; i++) order[i] = &c->entry[i];
  const bool two = c->o.seconds > 0 && c->n >= ROUNDS_FROM;
  const double first = two ? c->o.seconds / 2 : c->o.seconds;
  c->event.round = 1;
  c->event.rounds = two ? 2 : 1;
  rh_status status = run_round(c, order, c->n, first);
  const int n = status == RH_OK && two && !c->stop ? finalists(c, order, last) : 0;
  const double left = c->o.seconds - (seconds_now() - c->began);
  c->event.round = 2;
  if (n > 0 && left / n > WORTH_IT * first / c->n) status = run_round(c, last, n, left);
  rh_free(order);
  return status;
}

/* ---- the call ---- */

static rh_status make_entries(compare_job *c, const rh_candidate *list, const json_t *set) {
  const int64_t val = c->rows[RH_PART_VAL]->rows, test = c->rows[RH_PART_TEST] ? c->rows[RH_PART_TEST]->rows : 0;
  c->entry = rh_alloc_zero((size_t)c->n, sizeof *c->entry);
  c->scratch = rh_alloc_zero((size_t)(val + test), sizeof *c->scratch);
  if (!c->entry || !c->scratch) return RH_E_MEMORY;
  for (int i = 0; i < c->n; i++) RH_TRY(rh_entry_create(&c->entry[i], &list[i], set, val, test));
  return RH_OK;
}

static rh_status all_failed(const compare_job *c) {
  for (int i = 0; i < c->n; i++)
    if (c->entry[i].status != RH_OK)
      return rh_fail(c->entry[i].status, "%s: %s", c->entry[i].candidate->name, c->entry[i].error ? c->entry[i].error : "failed");
  return rh_fail(RH_E_INTERRUPTED, "interrupted before the first fit was done: nothing was written");
}

static json_t *report_of(const compare_job *c) {
  json_t *o = rh_entries_json(c->n, c->entry, c->o.seeds);
  static const char *const rows[] = {"train_rows", "val_rows", "test_rows"}, *const lists[] = {"notes", "warnings"};
  if (!o) return NULL;
  for (int i = 0; i < RH_PARTS; i++) json_object_set_new(o, rows[i], json_integer(c->rows[i] ? c->rows[i]->rows : 0));
  json_object_set_new(o, "budget_seconds", c->o.seconds > 0 ? json_real(c->o.seconds) : json_null());
  json_object_set_new(o, "seconds", json_real(seconds_now() - c->began));
  json_object_set_new(o, "interrupted", json_boolean(c->stop));
  for (size_t i = 0; i < RH_COUNT_OF(lists); i++) json_object_set(o, lists[i], json_object_get(c->best_of->report, lists[i]));
  return o;
}

static rh_status run_compare(compare_job *c, const json_t *options, rh_density **best, char **report) {
  rh_candidate *list = NULL;
  for (int i = 0; i < RH_PARTS; i++) c->rows[i] = rh_fit_job_rows(c->fit, i);
  if (!c->rows[RH_PART_VAL])
    return rh_fail(RH_E_DATA, "compare: there are no validation rows to judge by: give val (--val FILE) or at least 20 rows");
  RH_TRY(rh_candidates(c->o.archs, c->rows[RH_PART_TRAIN]->columns, rh_fit_job_images(c->fit), &list, &c->n));
  rh_status status = make_entries(c, list, json_object_get(options, "set"));
  if (status == RH_OK) status = run_rounds(c);
  if (status == RH_OK && !c->best) status = all_failed(c);
  if (status == RH_OK && c->o.output) status = rh_model_save(c->best, c->o.output);
  if (status == RH_OK) status = rh_report_give(report_of(c), report);
  if (status == RH_OK && best) {
    status = rh_density_make(c->best, rh_fit_job_compute(c->fit), best);
    c->best = NULL;
  }
  for (int i = 0; i < c->n && c->entry; i++) rh_entry_free(&c->entry[i]);
  rh_free(list);
  return status;
}

/* An hour of fits must not end at a folder that cannot be written to. */
static rh_status check_outputs(const compare_options *o, const char *const name[RH_PARTS]) {
  for (int i = 0; i < RH_PARTS; i++) RH_TRY(rh_refuse_same(o->output, name[i]));
  RH_TRY(rh_try_output(o->output));
  if (!o->all) return RH_OK;
  char *path = rh_alloc(strlen(o->all) + sizeof "-.rheo");
  if (!path) return RH_E_MEMORY;
  sprintf(path, "%s-.rheo", o->all);
  const rh_status status = rh_try_output(path);
  rh_free(path);
  return status;
}

rh_status rh_compare_files(const char *train, const char *val, const char *test, const char *options, rh_compare_progress *progress,
                           void *arg, rh_density **best, char **report) {
  if (!train) return rh_fail(RH_E_ARGUMENT, "rh_compare_files: train must not be NULL");
  json_t *json, *rest = NULL;
  RH_TRY(rh_options_parse(options, &json));
  const char *const name[RH_PARTS] = {train, val, test};
  compare_job c = {.progress = progress, .arg = arg, .began = seconds_now()};
  rh_status status = read_compare(json, &c.o, &rest);
  if (status == RH_OK) status = check_outputs(&c.o, name);
  if (status == RH_OK) status = rh_fit_job_open(name, NULL, rest, &c.fit);
  if (status == RH_OK) status = run_compare(&c, rest, best, report);
  rh_model_destroy(c.best);
  rh_free(c.entry);
  rh_free(c.scratch);
  rh_fit_job_close(c.fit);
  json_decref(rest);
  json_decref(json);
  return status;
}
