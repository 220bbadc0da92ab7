#include "api/estimate.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "api/solver.h"
#include "base/memory.h"

enum { MOST_ROWS = 1000 }; /* the error of a standard error from so many is 2 % */

/* Parts that read noise in scoring, and are bijections, estimate their log-determinants. *first: the first of them, where it is NULL. */
static int find(const rh_bijection *b, const rh_bijection **first) {
  rh_bijection *const *parts;
  const int64_t n = b ? rh_bijection_parts(b, &parts) : 0;
  int found = 0;
  for (int64_t i = 0; i < n; i++) found += find(parts[i], first);
  const rh_bijection *within = b ? rh_bijection_within(b) : NULL; /* whose noise is its part's */
  if (within) return find(within, first);
  if (!b || n || !b->exact || b->noise == b->probes) return found;
  if (!*first) *first = b;
  return 1;
}

static int find_all(const rh_flow *flow, const rh_bijection **first) {
  *first = NULL;
  int found = find(flow->body, first) + find(flow->shared, first);
  for (int64_t k = 0; k < flow->components; k++) found += find(flow->component[k].body, first);
  return found;
}

const json_t *rh_estimate_of(const rh_flow *flow) {
  const rh_bijection *first;
  return find_all(flow, &first) ? first->spec : NULL;
}

rh_status rh_estimate_begin(const rh_flow *flow, int64_t rows, rh_estimate *e) {
  *e = (rh_estimate){.how = rh_estimate_of(flow)};
  if (!e->how) return RH_OK;
  e->n = rows < MOST_ROWS ? rows : MOST_ROWS;
  e->row = rh_alloc_zero((size_t)e->n + 1, sizeof *e->row);
  e->first = rh_alloc_zero((size_t)e->n + 1, sizeof *e->first);
  if (!e->row || !e->first) return RH_E_MEMORY;
  for (int64_t k = 0; k < e->n; k++) e->row[k] = (int64_t)((double)k * (double)rows / (double)e->n);
  return RH_OK;
}

void rh_estimate_free(rh_estimate *e) {
  rh_free(e->row);
  rh_free(e->first);
}

void rh_estimate_take(rh_estimate *e, int64_t first, int64_t n, const double *log_prob) {
  for (int64_t k = 0; k < e->n; k++)
    if (e->row[k] >= first && e->row[k] < first + n) e->first[k] = log_prob[e->row[k] - first];
}

static rh_status score_again(rh_estimate *e, const rh_density *d, const rh_rows *rows, double *x, double *second) {
  const rh_dense_rows dense = {e->n, rows->columns, x};
  const rh_rows some = rh_rows_dense(&dense);
  rh_scorer_options options = d->options;
  rh_scorer *scorer;
  options.seed = ~options.seed;
  rows->get(rows->arg, 0, e->n, e->row, 0, rows->columns, x);
  RH_TRY(rh_scorer_create(d->model->flow, &d->model->values, &options, &scorer));
  const rh_status status = rh_score(scorer, &some, 0, e->n, second);
  rh_scorer_destroy(scorer);
  for (int64_t k = 0; k < e->n && status == RH_OK; k++) {
    const double difference = e->first[k] - second[k];
    if (!isfinite(difference)) continue;
    e->squares += difference * difference;
    e->found++;
  }
  return status;
}

rh_status rh_estimate_again(rh_estimate *e, const rh_density *d, const rh_rows *rows) {
  if (!e->n) return RH_OK;
  double *x = rh_alloc_zero((size_t)e->n, (size_t)rows->columns * sizeof *x), *second = rh_alloc_zero((size_t)e->n, sizeof *second);
  const rh_status status = x && second ? score_again(e, d, rows, x, second) : RH_E_MEMORY;
  rh_free(x);
  rh_free(second);
  return status;
}

static void note(json_t *report, const char *text) {
  json_array_append_new(json_object_get(report, "notes"), json_string(text));
}

/* Within parts that have no noise to hand on there are no probes. */
static void note_exact(const rh_density *d, json_t *report) {
  const rh_bijection *first;
  const int asked = rh_solver_estimates(d->model), found = find_all(d->model->flow, &first);
  char text[256];
  if (asked <= found) return;
  const char *s = asked - found == 1 ? "" : "s";
  snprintf(text, sizeof text,
           "trace%s of %d differential equation%s %s exact, not estimated (hutchinson): within another part, such as inverse, there are no "
           "probes",
           s, asked - found, s, *s ? "are" : "is");
  note(report, text);
}

void rh_estimate_put(const rh_estimate *e, const rh_density *d, int64_t rows, json_t *report) {
  const rh_flow *flow = d->model->flow;
  note_exact(d, report);
  if (!e->how) return;
  const double row = e->found ? sqrt(e->squares / 2 / (double)e->found) : NAN, mean = rows ? row / sqrt((double)rows) : NAN;
  const char *probe = json_string_value(json_object_get(e->how, "probe"));
  const json_int_t probes = json_integer_value(json_object_get(e->how, "probes"));
  char text[512];
  json_object_set_new(report, "estimate",
                      json_pack("{s:s, s:I, s:s, s:I, s:o, s:o}", "trace", "hutchinson", "probes", probes, "probe", probe, "rows",
                                (json_int_t)e->found, "row_stderr", rh_json_real(row), "stderr", rh_json_real(mean)));
  const int n = snprintf(text, sizeof text, "traces are estimated (hutchinson, %lld %s probe%s a row%s)", (long long)probes, probe,
                         probes == 1 ? "" : "s", flow->drawn == 0 ? "" : ", beside the noise of discrete columns");
  if (e->found)
    snprintf(text + n, sizeof text - (size_t)n,
             ": that alone leaves a standard error of %.3g nats in a row's log-density and of %.3g in the mean, as %lld row%s scored again "
             "under other probes tell%s; trace exact leaves none",
             row, mean, (long long)e->found, e->found == 1 ? "" : "s", e->found == 1 ? "s" : "");
  else
    snprintf(text + n, sizeof text - (size_t)n, "; trace exact leaves no error of theirs");
  note(report, text);
  if (flow->components || (flow->drawn && d->options.draws > 1))
    note(report,
         "averages of estimates, over a mixture's components or over draws, are too high, by up to half the variance of what differs "
         "between them (Jensen's inequality); trace exact leaves nothing of it");
}
