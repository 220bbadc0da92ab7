#include "api/solve_check.h"

#include <math.h>

#include "api/det_check.h"
#include "api/solver.h"
#include "base/memory.h"

enum { MOST_ROWS = 100 };

/* One row by one solver. */
typedef struct solved {
  rh_scorer *scorer;
  double log_density, *code; /* [latent] */
} solved;

/* The row alone: so the evaluations are its own. */
static rh_status solve(solved *s, const rh_rows *rows, int64_t i, double *evaluations) {
  rh_scorer_counts(s->scorer);
  RH_TRY(rh_score(s->scorer, rows, i, 1, &s->log_density));
  *evaluations = (double)rh_scorer_counts(s->scorer).evaluations;
  return rh_encode(s->scorer, rows, i, 1, s->code, NULL);
}

static bool found(const solved *s, int64_t latent) {
  bool finite = isfinite(s->log_density);
  for (int64_t j = 0; j < latent; j++) finite = finite && isfinite(s->code[j]);
  return finite;
}

static rh_status compare(solved pair[2], int64_t latent, const rh_rows *rows, rh_solve_check *c) {
  const int64_t n = rows->rows < MOST_ROWS ? rows->rows : MOST_ROWS;
  for (int64_t k = 0; k < n; k++) {
    double evaluations, reference;
    RH_TRY(solve(&pair[0], rows, k * rows->rows / n, &evaluations));
    RH_TRY(solve(&pair[1], rows, k * rows->rows / n, &reference));
    c->mean += evaluations;
    c->most = fmax(c->most, evaluations);
    if (!found(&pair[0], latent) || !found(&pair[1], latent)) continue;
    c->rows++;
    c->log_density = rh_worst(c->log_density, fabs(pair[0].log_density - pair[1].log_density));
    for (int64_t j = 0; j < latent; j++) c->codes = rh_worst(c->codes, fabs(pair[0].code[j] - pair[1].code[j]));
  }
  c->mean /= (double)n;
  return RH_OK;
}

rh_status rh_solve_check_run(const rh_density *d, int64_t rows, const double *x, rh_solve_check *check) {
  rh_flow *tighter;
  *check = (rh_solve_check){0};
  RH_TRY(rh_solver_tighter(d->model, &tighter));
  if (!tighter) return RH_OK;
  const rh_flow *flow = d->model->flow;
  const rh_dense_rows dense = {rows, flow->columns + flow->context, x};
  const rh_rows all = rh_rows_dense(&dense);
  rh_scorer_options own = d->options, fine = d->options;
  own.draws = fine.draws = 1;
  fine.real_bytes = 8;
  solved pair[2] = {{.code = rh_alloc_zero((size_t)flow->latent, sizeof(double))},
                    {.code = rh_alloc_zero((size_t)flow->latent, sizeof(double))}};
  rh_status status = pair[0].code && pair[1].code ? RH_OK : RH_E_MEMORY;
  if (status == RH_OK) status = rh_scorer_create(flow, &d->model->values, &own, &pair[0].scorer);
  if (status == RH_OK) status = rh_scorer_create(tighter, &d->model->values, &fine, &pair[1].scorer);
  if (status == RH_OK) status = compare(pair, flow->latent, &all, check);
  check->solves = true;
  for (int i = 0; i < 2; i++) {
    rh_scorer_destroy(pair[i].scorer);
    rh_free(pair[i].code);
  }
  rh_flow_destroy(tighter);
  return status;
}

void rh_solve_check_put(const rh_solve_check *c, json_t *report) {
  if (!c->solves) return;
  json_object_set_new(report, "solve_rows", json_integer(c->rows));
  json_object_set_new(report, "solve_error_log_density", c->rows ? rh_json_real(c->log_density) : json_null());
  json_object_set_new(report, "solve_error_codes", c->rows ? rh_json_real(c->codes) : json_null());
  json_object_set_new(report, "evaluations_mean", rh_json_real(c->mean));
  json_object_set_new(report, "evaluations_most", rh_json_real(c->most));
}
