/* How the candidates of a comparison stand: log-densities of the same rows, row by row, and what follows from them. */
#ifndef RH_API_STANDINGS_H
#define RH_API_STANDINGS_H
#include <stdbool.h>

#include "api/candidates.h"
#include "model/score.h"

/* One candidate. Log-densities are means over its seeds, row by row. */
typedef struct rh_entry {
  const rh_candidate *candidate;
  json_t *set;           /* its own options and the user's; NULL: none */
  int64_t rows[2];       /* validation, test */
  double *log_prob;      /* [rows[0] + rows[1]] */
  double *seed_mean;     /* [seeds] mean of the finite validation rows, of each seed */
  int64_t seeds;         /* done */
  rh_score_sum sum[2];   /* validation, test */
  json_t *report;        /* of the seed that was best on validation */
  rh_score_sum best_sum; /* its validation */
  double seconds;        /* of all seeds */
  int round;
  bool fitted, by_time; /* by_time: the clock ended a fit that might have gone on */
  rh_status status;     /* why it is not fitted */
  char *error;
} rh_entry;

rh_status rh_entry_create(rh_entry *e, const rh_candidate *candidate, const json_t *set, int64_t val, int64_t test) RH_WARN_UNUSED;
void rh_entry_free(rh_entry *e);
/* An empty entry of the same candidate, to be filled by a round; rh_entry_replace moves it in place of the old one. */
rh_status rh_entry_begin(rh_entry *fresh, const rh_entry *of, int round) RH_WARN_UNUSED;
void rh_entry_replace(rh_entry *e, rh_entry *fresh);
/* Takes the log-densities [rows[0] + rows[1]] of one more seed; true where it is the best so far. */
bool rh_entry_add(rh_entry *e, const double *log_prob, json_t *report);
void rh_entry_close(rh_entry *e); /* after the last seed */

/* Below 0: a is better: fitted, fewer validation rows of density 0, a greater mean over the others. */
int rh_entry_compare(const rh_entry *a, const rh_entry *b);
/* order [n]: the entries, best first; equals stay in order. */
void rh_entries_sort(int n, rh_entry *entry, rh_entry **order);
json_t *rh_entries_json(int n, rh_entry *entry, int64_t seeds); /* best, candidates, seeds; NULL: out of memory */
#endif
