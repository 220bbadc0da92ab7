/* rh_sample_file. */
#include <string.h>

#include "api/conditional.h"
#include "api/image_sample.h"
#include "api/row_job.h"
#include "base/memory.h"

typedef struct sample_options {
  int64_t count;
  uint64_t seed;
  double temperature;
  const char *context, *values; /* a file, or "a=1,b=red"; or NULL */
  bool with_context;            /* in the output */
  const char *klass;            /* of a model of images; or NULL */
  const json_t *temperatures;   /* likewise */
  rh_read_options read;
} sample_options;

/* What samples are conditional on. */
typedef struct conditions {
  rh_table *table;
  double *row;
  rh_part part;
  rh_dense_rows dense;
  rh_repeated_rows repeated;
  rh_rows rows; /* one a sample */
} conditions;

static rh_status read_sample_options(const char *options, json_t **json, sample_options *s) {
  RH_TRY(rh_options_parse(options, json));
  rh_options o = rh_options_begin(*json, "options");
  *s = (sample_options){.count = rh_options_int(&o, "count", 1, 0, (int64_t)1 << 40)};
  s->seed = (uint64_t)rh_options_int(&o, "seed", 0, 0, INT64_MAX);
  s->temperature = rh_options_real(&o, "temperature", 1, 1e-6, 1e6);
  s->context = rh_options_text(&o, "context", NULL);
  s->values = rh_options_text(&o, "context_values", NULL);
  s->with_context = rh_options_bool(&o, "with_context", true);
  s->klass = rh_options_text(&o, "class", NULL);
  s->temperatures = rh_options_json(&o, "temperatures");
  rh_read_options_read(&o, &s->read);
  if (rh_options_done(&o) == RH_OK) return RH_OK;
  json_decref(*json);
  return RH_E_ARGUMENT;
}

/* c: cleared. */
static rh_status read_conditions(const rh_model *m, const sample_options *s, conditions *c) {
  if (!m->flow->context && (s->context || s->values))
    return rh_fail(RH_E_ARGUMENT, "the model is not conditional: it takes no context; leave it out");
  if (!m->flow->context) return RH_OK;
  if (s->context && s->values) return rh_fail(RH_E_ARGUMENT, "give a context file or context values, not both");
  if (!s->context && !s->values) return rh_fail_no_context(m);
  if (s->context) {
    RH_TRY(rh_read_context(s->context, &s->read, m, &c->table));
    c->part = (rh_part){.table = c->table};
    c->repeated.rows = rh_rows_of(&c->part);
  } else {
    c->row = rh_alloc_zero((size_t)m->flow->context, sizeof *c->row);
    if (!c->row) return RH_E_MEMORY;
    RH_TRY(rh_context_values(m, s->values, s->read.narrow, c->row));
    c->dense = (rh_dense_rows){1, m->flow->context, c->row};
    c->repeated.rows = rh_rows_dense(&c->dense);
  }
  if (s->count > 0 && c->repeated.rows.rows > ((int64_t)1 << 40) / s->count)
    return rh_fail(RH_E_ARGUMENT, "%lld samples for each of %lld contexts are more than 2^40: give fewer", (long long)s->count,
                   (long long)c->repeated.rows.rows);
  c->repeated.times = s->count > 0 ? s->count : 1;
  c->rows = rh_rows_repeated(&c->repeated);
  return RH_OK;
}

static rh_status sample_rows(rh_row_job *j, int64_t rows) {
  const rh_rows *context = j->rows.columns ? &j->rows : NULL;
  for (int64_t i = 0; i < rows; i += j->piece) {
    const int64_t n = rows - i < j->piece ? rows - i : j->piece;
    RH_TRY(rh_row_job_go_on(j));
    RH_TRY(rh_sample(j->scorer, context, i, n, j->out, NULL));
    RH_TRY(rh_row_job_finite(j, i, n, "is not finite: the model stretches too far; a temperature below 1 or dtype f64 may help"));
    RH_TRY(rh_row_job_put(j, i, n));
  }
  return RH_OK;
}

/* Of a model of images; else refuses what only such a model takes. */
static rh_status sample_images(rh_density *d, const sample_options *s, const char *output, int64_t *images) {
  rh_image_sample i = {.count = s->count, .seed = s->seed, .klass = s->klass};
  if (s->context || s->values) return rh_fail(RH_E_ARGUMENT, "context: is for tables; the model is one of images: give a class (--class)");
  RH_TRY(rh_image_temperatures(s->temperatures, s->temperature, &i));
  return rh_sample_images(d, &i, output, images);
}

/* *rows, *columns: of what is written. */
static rh_status sample_to(rh_density *d, const sample_options *s, const conditions *c, const char *output, int64_t *rows,
                           int64_t *columns) {
  const rh_flow *f = d->model->flow;
  if (s->klass || s->temperatures)
    return rh_fail(RH_E_ARGUMENT, "%s: is for images; the model is one of a table: leave it out", s->klass ? "class" : "temperatures");
  rh_row_job j = {.density = d, .name = "sample", .rows = c->rows};
  const char **names = NULL;
  *rows = f->context && s->count > 0 ? c->rows.rows : s->count;
  rh_status status = rh_density_scorer(d, s->seed, s->temperature, &j.scorer);
  if (status == RH_OK) status = rh_column_names(d->model, f->columns, &names);
  if (status == RH_OK && f->context && s->with_context) status = rh_row_job_context(&j, d->model, false);
  *columns = f->columns + j.context;
  if (status == RH_OK) status = rh_row_job_open(&j, output, *rows, f->columns, names);
  if (status == RH_OK) status = sample_rows(&j, *rows);
  status = rh_row_job_close(&j, status);
  rh_free(names);
  return status;
}

rh_status rh_sample_file(rh_density *density, const char *output, const char *options, char **report) {
  RH_TRY(rh_file_call_check("rh_sample_file", density, "", output));
  json_t *json;
  sample_options s;
  RH_TRY(read_sample_options(options, &json, &s));
  conditions c = {0};
  int64_t rows = 0, columns = 0;
  const bool images = density->model->image.h != 0;
  rh_density_lock(density);
  rh_status status = rh_refuse_same(output, s.context);
  s.read.narrow = rh_density_cell(density) == RH_CELL_F4;
  if (status == RH_OK && !images) status = read_conditions(density->model, &s, &c);
  if (status == RH_OK) status = images ? sample_images(density, &s, output, &rows) : sample_to(density, &s, &c, output, &rows, &columns);
  if (status == RH_OK)
    status = images ? rh_images_report(density->model, rows, report) : rh_rows_report(density, rows, columns, NULL, report);
  rh_density_unlock(density);
  rh_table_free(c.table);
  rh_free(c.row);
  json_decref(json);
  return status;
}
