/* What `detect` knows of a row: its log-density, how far that is from typical ones, and the norm of its code. */
#ifndef RH_API_DETECT_SCORES_H
#define RH_API_DETECT_SCORES_H
#include "api/handle.h"

enum { RH_BY_LOG_DENSITY, RH_BY_TYPICALITY, RH_BY_LATENT_NORM, RH_DETECT_SCORES };

/* Rows with their scores. */
typedef struct rh_scored_rows {
  int64_t n;
  double *score[RH_DETECT_SCORES]; /* [n] each, as they are reported */
} rh_scored_rows;
void rh_scored_rows_free(rh_scored_rows *rows);

/* What scores a piece of rows. once: with one draw of the noise that discrete columns need, as codes have it. */
typedef struct rh_scorers {
  rh_density *density;
  rh_scorer *mean, *once;
  int64_t piece;
  double *z, *u, *ladj; /* [piece, latent] both, [piece] */
} rh_scorers;
rh_status rh_scorers_make(rh_density *density, int64_t draws, rh_scorers *scorers) RH_WARN_UNUSED;
void rh_scorers_free(rh_scorers *scorers); /* {0} is fine */
/* Log-densities and norms of all rows; NaN where the model has no codes. Typicality is left at 0: it needs a centre. */
rh_status rh_scorers_run(const rh_scorers *scorers, const rh_rows *rows, rh_scored_rows *out) RH_WARN_UNUSED;
#endif
