#include "api/standings.h"

#include <math.h>
#include <string.h>

#include "api/handle.h"
#include "base/memory.h"
#include "numeric/paired.h"

enum { SEEDS_ROOM = 64 };

/* ---- entries ---- */

static rh_status room_for_rows(rh_entry *e) {
  e->log_prob = rh_alloc_zero((size_t)(e->rows[0] + e->rows[1]), sizeof *e->log_prob);
  e->seed_mean = rh_alloc_zero(SEEDS_ROOM, sizeof *e->seed_mean);
  return e->log_prob && e->seed_mean ? RH_OK : RH_E_MEMORY;
}

rh_status rh_entry_create(rh_entry *e, const rh_candidate *candidate, const json_t *set, int64_t val, int64_t test) {
  *e = (rh_entry){.candidate = candidate, .rows = {val, test}};
  if (!candidate->set && !set) return RH_OK;
  e->set = candidate->set ? json_loads(candidate->set, 0, NULL) : json_object();
  if (!e->set || (set && json_object_update(e->set, (json_t *)(uintptr_t)set)))
    return rh_fail(RH_E_MEMORY, "out of memory for the candidate %s", candidate->name);
  return RH_OK;
}

void rh_entry_free(rh_entry *e) {
  json_decref(e->set);
  json_decref(e->report);
  rh_free(e->log_prob);
  rh_free(e->seed_mean);
  rh_free(e->error);
}

rh_status rh_entry_begin(rh_entry *fresh, const rh_entry *of, int round) {
  *fresh = (rh_entry){.candidate = of->candidate, .set = json_incref(of->set), .rows = {of->rows[0], of->rows[1]}, .round = round};
  const rh_status status = room_for_rows(fresh);
  if (status != RH_OK) rh_entry_free(fresh);
  return status;
}

void rh_entry_replace(rh_entry *e, rh_entry *fresh) {
  rh_entry_free(e);
  *e = *fresh;
}

static int compare_sums(const rh_score_sum *a, const rh_score_sum *b) {
  if (a->bad != b->bad) return a->bad < b->bad ? -1 : 1;
  return a->finite_mean > b->finite_mean ? -1 : a->finite_mean < b->finite_mean;
}

bool rh_entry_add(rh_entry *e, const double *log_prob, json_t *report) {
  const rh_score_sum sum = rh_score_summary(e->rows[0], log_prob);
  const bool first = e->seeds == 0, better = first || compare_sums(&sum, &e->best_sum) < 0;
  const char *stopped = json_string_value(json_object_get(report, "stopped"));
  e->seed_mean[e->seeds++] = sum.finite_mean;
  for (int64_t i = 0; i < e->rows[0] + e->rows[1]; i++) e->log_prob[i] += (log_prob[i] - e->log_prob[i]) / (double)e->seeds;
  e->by_time = e->by_time || (stopped && strcmp(stopped, "seconds") == 0);
  e->seconds += json_number_value(json_object_get(report, "seconds"));
  if (!better) return false;
  e->best_sum = sum;
  json_decref(e->report);
  e->report = json_incref(report);
  return true;
}

void rh_entry_close(rh_entry *e) {
  for (int64_t i = 0; i < e->rows[0] + e->rows[1]; i++)
    if (isnan(e->log_prob[i])) e->log_prob[i] = -INFINITY; /* of density 0 for more than one seed */
  e->sum[0] = rh_score_summary(e->rows[0], e->log_prob);
  e->sum[1] = rh_score_summary(e->rows[1], e->log_prob + e->rows[0]);
  e->fitted = e->seeds > 0;
}

/* ---- the order ---- */

int rh_entry_compare(const rh_entry *a, const rh_entry *b) {
  if (a->fitted != b->fitted) return a->fitted ? -1 : 1;
  return a->fitted ? compare_sums(&a->sum[0], &b->sum[0]) : 0;
}

void rh_entries_sort(int n, rh_entry *entry, rh_entry **order) {
  for (int i = 0; i < n; i++) {
    int at = i;
    for (; at > 0 && rh_entry_compare(&entry[i], order[at - 1]) < 0; at--) order[at] = order[at - 1];
    order[at] = &entry[i];
  }
}

/* ---- the report ---- */

/* Rows are a sample and so are seeds: the variances of both means add up. */
static double add_seeds(const rh_entry *a, const rh_entry *b, double rows_error) {
  const int64_t n = a->seeds < b->seeds ? a->seeds : b->seeds;
  if (n < 2) return rows_error;
  const rh_paired p = rh_paired_difference(n, a->seed_mean, b->seed_mean);
  return sqrt(rows_error * rows_error + p.stderr_ * p.stderr_);
}

static void put_part(json_t *o, const rh_entry *e, const rh_entry *best, int part) {
  static const char *const names[2][5] = {{"val", "val_stderr", "val_zero_density", "difference", "difference_stderr"},
                                          {"test", "test_stderr", "test_zero_density", "test_difference", "test_difference_stderr"}};
  const rh_score_sum *s = &e->sum[part];
  const int64_t from = part ? e->rows[0] : 0;
  json_object_set_new(o, names[part][0], rh_json_real(s->bad ? NAN : s->mean));
  json_object_set_new(o, names[part][1], rh_json_real(s->bad ? NAN : s->stderr_));
  json_object_set_new(o, names[part][2], json_integer(s->bad));
  if (e == best) return;
  const rh_paired p = rh_paired_difference(e->rows[part], e->log_prob + from, best->log_prob + from);
  const double error = add_seeds(e, best, p.stderr_);
  json_object_set_new(o, names[part][3], rh_json_real(p.mean));
  json_object_set_new(o, names[part][4], rh_json_real(error));
  if (part == 0) json_object_set_new(o, "tie", json_boolean(s->bad == best->sum[0].bad && fabs(p.mean) <= 2 * error));
}

static json_t *entry_json(const rh_entry *e, const rh_entry *best) {
  static const char *const copied[] = {"parameters", "epochs", "steps", "stopped", "skipped_steps"};
  json_t *o = json_object();
  json_object_set_new(o, "name", json_string(e->candidate->name));
  json_object_set_new(o, "arch", json_string(e->candidate->arch));
  json_object_set_new(o, "set", e->set ? json_incref(e->set) : json_object());
  if (!e->fitted) {
    json_object_set_new(o, "error", json_string(e->error ? e->error : "not fitted: the comparison was interrupted"));
    return o;
  }
  put_part(o, e, best, 0);
  if (e->rows[1]) put_part(o, e, best, 1);
  json_object_set_new(o, "round", json_integer(e->round));
  json_object_set_new(o, "seeds", json_integer(e->seeds));
  json_object_set_new(o, "seconds", json_real(e->seconds));
  for (size_t i = 0; i < RH_COUNT_OF(copied); i++) json_object_set(o, copied[i], json_object_get(e->report, copied[i]));
  return o;
}

json_t *rh_entries_json(int n, rh_entry *entry, int64_t seeds) {
  rh_entry **order = rh_alloc_zero((size_t)n, sizeof *order);
  json_t *o = order ? json_object() : NULL, *list = json_array();
  if (o) {
    rh_entries_sort(n, entry, order);
    for (int i = 0; i < n; i++) json_array_append_new(list, entry_json(order[i], order[0]));
    json_object_set_new(o, "best", json_string(order[0]->candidate->name));
    json_object_set(o, "candidates", list);
    json_object_set_new(o, "seeds", json_integer(seeds));
  }
  json_decref(list);
  rh_free(order);
  return o;
}
