/* Fitting the same rows more than once: tables are read, split and looked at once, then fitted under as many options as one likes. */
#ifndef RH_API_FITTING_H
#define RH_API_FITTING_H
#include "api/tables.h"
#include "data/split.h"
#include "train/train.h"

typedef struct fit_job rh_fit_job;

/* Options as those of rh_fit_files; they, and the names, must outlive the job. table: NULL, and the files named are read; or tables (NULL
 * where there is none), the job's on success, and `name` stands in errors. */
rh_status rh_fit_job_open(const char *const name[RH_PARTS], rh_table *const table[RH_PARTS], const json_t *options,
                          rh_fit_job **job) RH_WARN_UNUSED;
void rh_fit_job_close(rh_fit_job *job); /* NULL is fine */
/* The rows of a part, or NULL: there are none. They live as long as the job. */
const rh_rows *rh_fit_job_rows(const rh_fit_job *job, int part);
bool rh_fit_job_images(const rh_fit_job *job);
/* Fails where images are not of the shape and depth of the job's. */
rh_status rh_fit_like_images(const rh_fit_job *job, const char *name, const rh_table *table) RH_WARN_UNUSED;
const rh_compute *rh_fit_job_compute(const rh_fit_job *job);

/* What one fit has of its own; NULL and 0: as the job's options say. */
typedef struct rh_fit_try {
  const char *arch;
  const json_t *set;
  uint64_t seed; /* of initial values, order and noise; the split stays that of the job's seed */
  double seconds;
  rh_fit_progress *progress;
  void *arg;
} rh_fit_try;
/* *model, *report (as rh_fit_files gives): the caller's. */
rh_status rh_fit_job_run(rh_fit_job *job, const rh_fit_try *once, rh_model **model, json_t **report) RH_WARN_UNUSED;

/* A fit of an hour must not end at a folder that cannot be written to. NULL, "-" and what is no regular file are fine. */
rh_status rh_try_output(const char *output) RH_WARN_UNUSED;
#endif
