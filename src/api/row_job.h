/* One call over files at work: rows in, rows out, in pieces; tables, or the images of a model of images. */
#ifndef RH_API_ROW_JOB_H
#define RH_API_ROW_JOB_H
#include "api/tables.h"
#include "data/image_write.h"
#include "data/table_write.h"
#include "train/train.h"

typedef struct rh_row_job { /* density, name and rows are the caller's to set, and the scorer */
  rh_density *density;
  rh_scorer *scorer;
  rh_rows rows; /* what comes in */
  rh_table_writer *writer;
  const char *name; /* whose rows these are, for errors */
  int64_t width;    /* numbers of a row that goes out */
  int64_t piece;    /* rows at a time */
  double *out;      /* [piece, width] */
  /* Where the context goes out too: number k of [row | context] stands at order[k]. */
  int64_t *order;       /* [width + context], or NULL */
  int64_t context;      /* the last columns of `rows` */
  double *given, *wide; /* [piece, context], [piece, width + context] */
  const char **names;   /* of all that goes out, or NULL */
  char *code_names;
  rh_image_writer *images; /* in place of a table's writer */
  unsigned char *pixels;   /* [piece, width] */
} rh_row_job;

/* The context goes out, behind codes or where it stands in a whole table; the columns' names are the model's, and z1, z2, ... */
rh_status rh_row_job_context(rh_row_job *j, const rh_model *m, bool codes) RH_WARN_UNUSED;
/* output NULL: nothing is written. */
rh_status rh_row_job_open(rh_row_job *j, const char *output, int64_t rows, int64_t width, const char *const *names) RH_WARN_UNUSED;
/* The rows are images of the density's and go out as such; columns as in rh_image_size. */
rh_status rh_row_job_open_images(rh_row_job *j, const char *output, int64_t rows, int64_t columns) RH_WARN_UNUSED;
/* Rows [first, first + n) of the job, which lie in j->out. */
rh_status rh_row_job_put(rh_row_job *j, int64_t first, int64_t n) RH_WARN_UNUSED;
/* Ends a job: what has been written is seen only where all went well. */
rh_status rh_row_job_close(rh_row_job *j, rh_status status) RH_WARN_UNUSED;
/* Asked before each piece; what has been written so far goes away with the job. */
rh_status rh_row_job_go_on(const rh_row_job *j) RH_WARN_UNUSED;
/* Nothing that is no number goes into a file, nor what a solver has not found. */
rh_status rh_row_job_finite(const rh_row_job *j, int64_t first, int64_t n, const char *why) RH_WARN_UNUSED;

/* n values of the density's images: whole numbers of the data's depth. */
void rh_image_bytes(const rh_model_image *image, int64_t n, const double *values, unsigned char *bytes);
/* How pictures of `n` images of the model are written. */
rh_image_size rh_image_size_of(const rh_model_image *image, int64_t n, int64_t columns);

rh_cell rh_density_cell(const rh_density *d); /* of its precision */
/* Before the lock is given back. notes: taken; or NULL */
rh_status rh_rows_report(const rh_density *d, int64_t rows, int64_t columns, json_t *notes, char **report) RH_WARN_UNUSED;
/* {"images": n, "shape": [h, w, c]} */
rh_status rh_images_report(const rh_model *model, int64_t n, char **report) RH_WARN_UNUSED;
/* Of a call named `call`: nothing is NULL, and the output is none of the inputs. */
rh_status rh_file_call_check(const char *call, const rh_density *density, const char *path, const char *output) RH_WARN_UNUSED;
#endif
