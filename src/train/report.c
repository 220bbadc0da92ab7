#include <math.h>
#include <stdio.h>

#include "train/run.h"

/* JSON has no infinity and no NaN: those are null. */
static json_t *real(double x) {
  return isfinite(x) ? json_real(x) : json_null();
}

static json_t *integer(int64_t x) {
  return json_integer((json_int_t)x);
}

/* Finished: NULL when anything was lost for want of memory. */
static json_t *whole(json_t *o, bool fine) {
  if (fine) return o;
  json_decref(o);
  return NULL;
}

static bool put(json_t *o, const char *key, json_t *value) {
  return json_object_set_new(o, key, value) == 0;
}

static bool put_sum(json_t *o, const char *name, const rh_score_sum *sum) {
  char error[24], rows[24], bad[24], lost[24];
  snprintf(error, sizeof error, "%s_stderr", name);
  snprintf(rows, sizeof rows, "%s_rows", name);
  snprintf(bad, sizeof bad, "%s_zero_density", name);
  snprintf(lost, sizeof lost, "%s_unfinished", name);
  bool fine = true;
  if (!sum->rows) return true;
  fine &= put(o, name, real(sum->mean));
  fine &= put(o, error, real(sum->stderr_));
  fine &= put(o, rows, integer(sum->rows));
  if (sum->bad > sum->unfinished) fine &= put(o, bad, integer(sum->bad - sum->unfinished));
  if (sum->unfinished) fine &= put(o, lost, integer(sum->unfinished));
  return fine;
}

json_t *rh_fit_result_json(const rh_fit_report *r) {
  json_t *o = json_object();
  if (!o) return NULL;
  bool fine = put_sum(o, "val", &r->val);
  fine &= put_sum(o, "test", &r->test);
  fine &= put(o, "train", real(r->train));
  fine &= put(o, "train_rows", integer(r->rows));
  fine &= put(o, "epochs", integer(r->epochs));
  fine &= put(o, "steps", integer(r->steps));
  fine &= put(o, "best_epoch", integer(r->best_epoch));
  fine &= put(o, "skipped_steps", integer(r->skipped_steps));
  fine &= put(o, "rollbacks", integer(r->rollbacks));
  fine &= put(o, "parameters", integer(r->parameters));
  fine &= put(o, "stopped", json_string(r->stopped));
  if (r->forward > 0) {
    fine &= put(o, "evaluations_forward", real(r->forward));
    fine &= put(o, "evaluations_back", real(r->back));
    fine &= put(o, "unfinished", integer(r->solves.unfinished));
    fine &= put(o, "fell_back", integer(r->solves.fell_back));
  }
  return whole(o, fine);
}

json_t *rh_fit_report_json(const rh_fit_report *r) {
  json_t *o = rh_fit_result_json(r);
  if (!o) return NULL;
  bool fine = true;
  fine &= put(o, "seconds", real(r->seconds));
  fine &= put(o, "rows_per_second", real(r->rows_per_second));
  fine &= put(o, "resumed", json_boolean(r->resumed));
  fine &= put(o, "already_done", json_boolean(r->already));
  return whole(o, fine);
}

static const char *const event_names[] = {
    [RH_EVENT_START] = "start",           [RH_EVENT_RESUME] = "resume", [RH_EVENT_STEP] = "step",
    [RH_EVENT_EPOCH] = "epoch",           [RH_EVENT_SKIP] = "skip",     [RH_EVENT_ROLLBACK] = "rollback",
    [RH_EVENT_CHECKPOINT] = "checkpoint", [RH_EVENT_DONE] = "done",
};

json_t *rh_progress_json(const rh_progress *p) {
  if (p->event == RH_EVENT_STEP) return NULL;
  json_t *o = json_object();
  if (!o) return NULL;
  bool fine = true;
  fine &= put(o, "event", json_string(event_names[p->event]));
  fine &= put(o, "epoch", integer(p->epoch));
  fine &= put(o, "step", integer(p->step));
  fine &= put(o, "seconds", real(p->elapsed));
  if (p->event == RH_EVENT_START || p->event == RH_EVENT_RESUME) {
    fine &= put(o, "epochs", integer(p->epochs));
    fine &= put(o, "steps", integer(p->steps));
    return whole(o, fine);
  }
  fine &= put(o, "loss", real(p->loss));
  fine &= put(o, "lr", real(p->rate));
  fine &= put(o, "grad_norm", real(p->grad_norm));
  fine &= put(o, "skipped", integer(p->skipped));
  fine &= put(o, "rollbacks", integer(p->rollbacks));
  if (p->forward > 0) {
    fine &= put(o, "evaluations_forward", real(p->forward));
    fine &= put(o, "evaluations_back", real(p->back));
    fine &= put(o, "unfinished", integer(p->unfinished));
  }
  if (p->event != RH_EVENT_EPOCH && p->event != RH_EVENT_DONE) return whole(o, fine);
  fine &= put(o, "val", real(p->val));
  fine &= put(o, "val_zero_density", integer(p->val_bad - p->val_unfinished));
  if (p->val_unfinished) fine &= put(o, "val_unfinished", integer(p->val_unfinished));
  fine &= put(o, "best_val", real(p->best_val));
  fine &= put(o, "best_epoch", integer(p->best_epoch));
  fine &= put(o, "rows_per_second", real(p->rows_per_second));
  return whole(o, fine);
}
