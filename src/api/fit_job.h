/* Inside of a fit: shared by fits of files (fitting.c) and of rows in memory (fit_blocks.c). */
#ifndef RH_API_FIT_JOB_H
#define RH_API_FIT_JOB_H
#include <stdatomic.h>

#include "api/fitting.h"
#include "api/image_fit.h"
#include "data/analyse.h"

typedef struct fit_options {
  const char *arch, *output;
  const json_t *set, *spec; /* spec: the flow's, or NULL: an architecture's */
  rh_handle handle;
  rh_memory memory;
  bool resume, any_isa;
  double share[RH_PARTS]; /* negative: not given */
  rh_compute compute;
  rh_read_options read;
  int64_t epochs, steps, embedding;
  double seconds;
  rh_image_fit image;
} fit_options;

/* Everything a fit reads and makes. */
typedef struct fit_job {
  fit_options o;
  const char *name[RH_PARTS];
  rh_table *table[RH_PARTS];
  int64_t *order, data, context; /* order[j]: where column j of the model's rows stood in the training table; the data come first */
  json_t *encoder;               /* the context's, or NULL */
  rh_split split;
  rh_part part[RH_PARTS];
  rh_rows rows[RH_PARTS];
  bool given[RH_PARTS]; /* there are such rows */
  rh_recipe recipe;
  json_t *plan, *notes, *outside; /* notes: of how the tables were read; outside: of rows outside of splines' boxes */
  const char *why;                /* static */
  rh_model_image image;           /* h 0: of a table */
  rh_model *model;
  rh_fit_progress *progress;
  void *arg;
  atomic_int stop;
} fit_job;

rh_status rh_fit_options_read(const json_t *json, fit_options *f) RH_WARN_UNUSED;
/* With the tables in place. */
rh_status rh_fit_job_finish(fit_job *j, rh_density **density, char **report) RH_WARN_UNUSED;
/* The tables of a fit to images, and what is done about them: j->table and j->image; j->plan and j->encoder. */
rh_status rh_fit_read_images(fit_job *j) RH_WARN_UNUSED;
rh_status rh_fit_take_images(fit_job *j, int part) RH_WARN_UNUSED; /* j->table[part] is there: are its images as they must be? */
rh_status rh_fit_analyse_images(fit_job *j) RH_WARN_UNUSED;
json_t *rh_fit_job_report(const fit_job *j, const rh_fit_report *fit); /* NULL: out of memory */
void rh_fit_job_clear(fit_job *j);                                     /* what it holds */
#endif
