/* The handle behind the face's rh_density, and what the calls of this floor share. */
#ifndef RH_API_HANDLE_H
#define RH_API_HANDLE_H
#include <pthread.h>
#include <stdatomic.h>

#include "base/options.h"
#include "model/score.h"
#include "rheo/rheo.h"

struct rh_density {
  pthread_mutex_t lock; /* one call at a time */
  atomic_int stop;      /* calls over files are to end */
  rh_model *model;
  char *path; /* the file it was read from, or NULL */
  rh_pool *pool;
  rh_scorer_options options; /* as the scorer was made */
  rh_scorer *scorer;         /* NULL before the first use, and when the options have changed */
};

/* What every call that computes is told: threads, isa, dtype, seed, draws. */
typedef struct rh_compute {
  int threads;
  const char *isa; /* static */
  int real_bytes;  /* 0: the model's own */
  uint64_t seed;
  int64_t draws;
} rh_compute;
void rh_compute_read(rh_options *o, rh_compute *compute); /* failures stick in o */

/* The handle takes the model, also on failure. */
rh_status rh_density_make(rh_model *model, const rh_compute *compute, rh_density **density) RH_WARN_UNUSED;

void rh_density_lock(rh_density *d);
void rh_density_unlock(rh_density *d);
/* The scorer with these options of samples; the lock is held. */
rh_status rh_density_scorer(rh_density *d, uint64_t seed, double temperature, rh_scorer **scorer) RH_WARN_UNUSED;

/* Options as the face takes them: NULL, "" or a JSON object; *json is a new reference, never NULL on success. */
rh_status rh_options_parse(const char *text, json_t **json) RH_WARN_UNUSED;
/* Options of a call that hands on what is not its own: `own` are those of the names (NULL-ended), `rest` the others; new references. */
rh_status rh_options_divide(const json_t *options, const char *const *names, json_t **own, json_t **rest) RH_WARN_UNUSED;
/* A report for the caller: *text is to be freed by rh_text_free. Takes the reference, also on failure; text may be NULL. */
rh_status rh_report_give(json_t *report, char **text) RH_WARN_UNUSED;
#define RH_NOT_FOUND                                                                                                                 \
  "was not found: a numerical inverse or differential equation of the model met what is no finite number, or ran out of steps; try " \
  "dtype f64, of a continuous flow also more max_steps or looser tolerances, and look at the row"
/* So many rows were not found: a sentence into the report's "warnings". */
void rh_warn_unfinished(int64_t rows, json_t *report);
/* NaN and infinity have no JSON: they become null. */
json_t *rh_json_real(double x);
#endif
