#include "api/detect_scores.h"

#include <math.h>

#include "base/memory.h"

enum { PIECE_ROWS = 4096, PIECE_LEAST = 64, PIECE_NUMBERS = 1 << 21 }; /* of codes: images are wide */

void rh_scored_rows_free(rh_scored_rows *rows) {
  for (int i = 0; i < RH_DETECT_SCORES; i++) rh_free(rows->score[i]);
}

static rh_status room_for(rh_scored_rows *s, int64_t n) {
  s->n = n;
  for (int i = 0; i < RH_DETECT_SCORES; i++)
    if (!(s->score[i] = rh_alloc_zero((size_t)n, sizeof(double)))) return RH_E_MEMORY;
  return RH_OK;
}

/* The squared norm of the codes' normal scores under the base; NaN where the model has no codes. */
static rh_status latent_piece(const rh_scorers *s, const rh_rows *rows, int64_t first, int64_t n, double *out) {
  const rh_model *m = s->density->model;
  for (int64_t i = 0; i < n; i++) out[i] = NAN;
  if (!m->flow->body) return RH_OK;
  RH_TRY(rh_encode(s->once, rows, first, n, s->z, s->ladj));
  rh_base_scores(m->flow->base, &m->flow->leaves, &m->values, n, m->flow->latent, s->z, s->u, out);
  for (int64_t i = 0; i < n; i++)
    if (isnan(out[i])) out[i] = INFINITY; /* outside of the support there is no code */
  return RH_OK;
}

rh_status rh_scorers_make(rh_density *d, int64_t draws, rh_scorers *s) {
  const rh_flow *flow = d->model->flow;
  rh_scorer_options options = d->options;
  int64_t piece = PIECE_NUMBERS / (flow->latent + 1);
  piece = piece > PIECE_ROWS ? PIECE_ROWS : piece < PIECE_LEAST ? PIECE_LEAST : piece;
  *s = (rh_scorers){.density = d, .piece = piece};
  s->z = rh_alloc_zero((size_t)piece, (size_t)flow->latent * sizeof *s->z);
  s->ladj = rh_alloc_zero((size_t)piece, sizeof *s->ladj);
  s->u = rh_alloc_zero((size_t)piece, (size_t)flow->latent * sizeof *s->u);
  if (!s->z || !s->ladj || !s->u) return RH_E_MEMORY;
  options.draws = draws;
  RH_TRY(rh_scorer_create(flow, &d->model->values, &options, &s->mean));
  options.draws = 1;
  return rh_scorer_create(flow, &d->model->values, &options, &s->once);
}

void rh_scorers_free(rh_scorers *s) {
  rh_scorer_destroy(s->mean);
  rh_scorer_destroy(s->once);
  rh_free(s->z);
  rh_free(s->ladj);
  rh_free(s->u);
}

rh_status rh_scorers_run(const rh_scorers *s, const rh_rows *rows, rh_scored_rows *out) {
  RH_TRY(room_for(out, rows->rows));
  for (int64_t i = 0; i < rows->rows; i += s->piece) {
    const int64_t n = rows->rows - i < s->piece ? rows->rows - i : s->piece;
    if (atomic_load(&s->density->stop)) return rh_fail(RH_E_INTERRUPTED, "interrupted: an output file is as it was");
    RH_TRY(rh_score(s->mean, rows, i, n, out->score[RH_BY_LOG_DENSITY] + i));
    RH_TRY(latent_piece(s, rows, i, n, out->score[RH_BY_LATENT_NORM] + i));
  }
  return RH_OK;
}
