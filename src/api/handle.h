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
  rh_ode_report counts;      /* what solvers have counted since the lock was taken, as far as it was asked (rh_density_count) */
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
/* What the scorer's solvers counted since this was last asked; d->counts has it, too. */
rh_ode_report rh_density_count(rh_density *d);
int rh_density_real_bytes(const rh_density *d); /* of its arithmetic */

/* Options as the face takes them: NULL, "" or a JSON object; *json is a new reference, never NULL on success. */
rh_status rh_options_parse(const char *text, json_t **json) RH_WARN_UNUSED;
/* Options of a call that hands on what is not its own: `own` are those of the names (NULL-ended), `rest` the others; new references. */
rh_status rh_options_divide(const json_t *options, const char *const *names, json_t **own, json_t **rest) RH_WARN_UNUSED;
/* A report for the caller: *text is to be freed by rh_text_free. Takes the reference, also on failure; text may be NULL. */
rh_status rh_report_give(json_t *report, char **text) RH_WARN_UNUSED;
/* NaN and infinity have no JSON: they become null. */
json_t *rh_json_real(double x);
#endif
