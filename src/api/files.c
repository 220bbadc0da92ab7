/* The face's calls over whole files: scores, codes and rows of codes; rows as an array, and bytes as a file. */
#include <math.h>
#include <string.h>

#include "api/estimate.h"
#include "api/row_job.h"
#include "api/solve_report.h"
#include "base/file.h"
#include "base/memory.h"

/* ---- score ---- */

typedef struct tally {
  int64_t n, zero, unknown; /* unknown: not found by the model's numerical inverse or differential equation */
  double mean, m2;          /* of the finite ones (Welford 1962) */
  rh_estimate estimate;
} tally;

static void tally_add(tally *t, int64_t n, const double *x) {
  for (int64_t i = 0; i < n; i++) {
    if (!isfinite(x[i])) {
      t->unknown += isnan(x[i]);
      t->zero += !isnan(x[i]);
      continue;
    }
    const double d = x[i] - t->mean;
    t->mean += d / (double)++t->n;
    t->m2 += d * (x[i] - t->mean);
  }
}

/* log of the volume of a dequantized row's cell: the steps of bijection/dequantize.c, in a mixture also those of its first component. */
static double log_cells(const json_t *preprocess) {
  double sum = 0;
  size_t i, k;
  const json_t *part, *column;
  json_array_foreach(preprocess, i, part) {
    const char *type = json_string_value(json_object_get(part, "type"));
    if (!type || strcmp(type, "dequantize") != 0) continue;
    json_array_foreach(json_object_get(part, "columns"), k, column) {
      const json_t *step = json_object_get(column, "step");
      if (step) sum += log(json_number_value(step));
    }
  }
  return sum;
}

static double log_cell(const rh_flow *flow) {
  const json_t *first = json_array_get(json_object_get(flow->spec, "mixture"), 0);
  return log_cells(json_object_get(flow->spec, "preprocess")) + log_cells(json_object_get(first, "preprocess"));
}

/* What should be known of the rows that were read; a new reference. */
static json_t *notes_of(const char *path, const rh_read_options *read, const rh_model *model, const rh_table *table) {
  json_t *notes = json_array();
  if (table && !read->columns) rh_note_order(path, model->columns, table, notes);
  return notes;
}

/* notes: taken */
static json_t *score_report(const rh_density *d, const tally *t, json_t *notes) {
  const rh_flow *flow = d->model->flow;
  const double n = (double)t->n;
  const int64_t bad = t->zero + t->unknown;
  json_t *report = json_object();
  json_object_set_new(report, "notes", notes);
  rh_warn_unfinished(d->model, t->unknown, "", &d->counts, report);
  rh_estimate_put(&t->estimate, d, t->n, report);
  json_object_set_new(report, "unfinished", json_integer(t->unknown));
  rh_solve_report_put(d, &d->counts, t->n + bad, report);
  json_object_set_new(report, "n", json_integer(t->n + bad));
  json_object_set_new(report, "mean", bad || !t->n ? json_null() : json_real(t->mean));
  json_object_set_new(report, "stderr", bad ? json_null() : rh_json_real(t->n > 1 ? sqrt(t->m2 / (n - 1) / n) : NAN));
  json_object_set_new(report, "zero_density", json_integer(t->zero));
  json_object_set_new(report, "finite_mean", rh_json_real(t->n ? t->mean : NAN));
  /* Every column discrete: a cell's probability is its mean density times its volume, and bits/dim makes sense. */
  if (flow->drawn >= flow->columns && !bad) {
    const double bits = 1 / ((double)flow->columns * log(2.0));
    json_object_set_new(report, "bits_per_dim", json_real(-(t->mean + log_cell(flow)) * bits));
    json_object_set_new(report, "bits_per_dim_stderr", rh_json_real(t->n > 1 ? bits * sqrt(t->m2 / (n - 1) / n) : NAN));
  }
  return report;
}

static rh_status score_rows(rh_row_job *j, tally *t) {
  for (int64_t i = 0; i < j->rows.rows; i += j->piece) {
    const int64_t n = j->rows.rows - i < j->piece ? j->rows.rows - i : j->piece;
    RH_TRY(rh_row_job_go_on(j));
    RH_TRY(rh_score(j->scorer, &j->rows, i, n, j->out));
    tally_add(t, n, j->out);
    rh_estimate_take(&t->estimate, i, n, j->out);
    if (j->writer) RH_TRY(rh_table_writer_put_f64(j->writer, n, j->out));
  }
  rh_density_count(j->density);
  return RH_OK;
}

static rh_status score_table(rh_density *d, const rh_table *table, const char *output, tally *t) {
  const rh_part part = {.table = table};
  rh_row_job j = {.density = d, .rows = rh_rows_of(&part)};
  rh_status status = rh_density_scorer(d, d->options.seed, d->options.temperature, &j.scorer);
  static const char *const name[] = {"log_prob"};
  if (status == RH_OK) status = rh_row_job_open(&j, output, j.rows.rows, 1, rh_table_names(table) ? name : NULL);
  if (status == RH_OK) status = rh_estimate_begin(d->model->flow, j.rows.rows, &t->estimate);
  if (status == RH_OK) status = score_rows(&j, t);
  if (status == RH_OK) status = rh_estimate_again(&t->estimate, d, &j.rows);
  return rh_row_job_close(&j, status);
}

/* The options of the calls that read a table. The texts live as long as *json, a new reference. */
static rh_status table_options(const char *options, json_t **json, rh_read_options *read) {
  RH_TRY(rh_options_parse(options, json));
  rh_options o = rh_options_begin(*json, "options");
  rh_read_options_read(&o, read);
  read->labels = rh_options_text(&o, "labels", NULL);
  if (rh_options_done(&o) == RH_OK) return RH_OK;
  json_decref(*json);
  return RH_E_ARGUMENT;
}

rh_status rh_score_file(rh_density *density, const char *data, const char *output, const char *options, char **report) {
  RH_TRY(rh_file_call_check("rh_score_file", density, data, output ? output : "-"));
  json_t *json;
  rh_read_options read;
  RH_TRY(table_options(options, &json, &read));
  rh_table *table = NULL;
  tally t = {0};
  rh_density_lock(density);
  rh_status status = rh_read_rows(data, &read, density->model, &table);
  if (status == RH_OK) status = score_table(density, table, output, &t);
  if (status == RH_OK) status = rh_report_give(score_report(density, &t, notes_of(data, &read, density->model, table)), report);
  rh_density_unlock(density);
  rh_estimate_free(&t.estimate);
  rh_table_free(table);
  json_decref(json);
  return status;
}

/* ---- encode, decode ---- */

typedef rh_status code_fn(rh_scorer *s, const rh_rows *rows, int64_t first, int64_t n, double *out, double *ladj);

static rh_status code_rows(rh_row_job *j, code_fn *fn) {
  const char *why =
      fn == rh_encode ? "lies outside of the model's support, its density is 0: it has no code; leave such rows out (rheo score finds them)"
                      : "decodes to no finite numbers: the code lies too far out";
  for (int64_t i = 0; i < j->rows.rows; i += j->piece) {
    const int64_t n = j->rows.rows - i < j->piece ? j->rows.rows - i : j->piece;
    RH_TRY(rh_row_job_go_on(j));
    RH_TRY(fn(j->scorer, &j->rows, i, n, j->out, NULL));
    RH_TRY(rh_row_job_finite(j, i, n, why));
    RH_TRY(rh_row_job_put(j, i, n));
  }
  return RH_OK;
}

/* Rows of `table` through fn to `output`, `width` numbers each. */
static rh_status code_table(rh_density *d, code_fn *fn, const char *path, const rh_table *table, const char *output, int64_t width,
                            const char *const *names) {
  const rh_part part = {.table = table};
  rh_row_job j = {.density = d, .name = path, .rows = rh_rows_of(&part)};
  rh_status status = rh_density_scorer(d, d->options.seed, d->options.temperature, &j.scorer);
  const bool images = fn == rh_decode && d->model->image.h;
  if (status == RH_OK && d->model->flow->context && !images) status = rh_row_job_context(&j, d->model, fn == rh_encode);
  if (status == RH_OK)
    status = images ? rh_row_job_open_images(&j, output, j.rows.rows, 0) : rh_row_job_open(&j, output, j.rows.rows, width, names);
  if (status == RH_OK) status = code_rows(&j, fn);
  return rh_row_job_close(&j, status);
}

rh_status rh_encode_file(rh_density *density, const char *data, const char *output, const char *options, char **report) {
  RH_TRY(rh_file_call_check("rh_encode_file", density, data, output));
  json_t *json;
  rh_read_options read;
  RH_TRY(table_options(options, &json, &read));
  rh_table *table = NULL;
  const int64_t latent = density->model->flow->latent, columns = latent + density->model->flow->context;
  rh_density_lock(density);
  rh_status status = rh_read_rows(data, &read, density->model, &table);
  if (status == RH_OK) status = code_table(density, rh_encode, data, table, output, latent, NULL);
  if (status == RH_OK)
    status = rh_rows_report(density, rh_table_rows(table), columns, notes_of(data, &read, density->model, table), report);
  rh_density_unlock(density);
  rh_table_free(table);
  json_decref(json);
  return status;
}

static rh_status decode_table(rh_density *d, const char *path, rh_table *table, const char *output) {
  const rh_flow *flow = d->model->flow;
  const char **names;
  RH_TRY(rh_column_names(d->model, flow->columns, &names));
  const rh_status status = code_table(d, rh_decode, path, table, output, flow->columns, names);
  rh_free(names);
  return status;
}

rh_status rh_decode_file(rh_density *density, const char *codes, const char *output, const char *options, char **report) {
  RH_TRY(rh_file_call_check("rh_decode_file", density, codes, output));
  json_t *json;
  rh_read_options read;
  RH_TRY(table_options(options, &json, &read));
  rh_table *table = NULL;
  rh_density_lock(density);
  const rh_flow *flow = density->model->flow;
  rh_status status = rh_read_codes(codes, &read, density->model, &table);
  if (status == RH_OK) status = decode_table(density, codes, table, output);
  const bool images = density->model->image.h;
  if (status == RH_OK)
    status = images ? rh_images_report(density->model, rh_table_rows(table), report)
                    : rh_rows_report(density, rh_table_rows(table), flow->columns + flow->context, NULL, report);
  rh_density_unlock(density);
  rh_table_free(table);
  json_decref(json);
  return status;
}

/* ---- rows as an array, bytes as a file ---- */

static rh_status rows_array(const rh_table *table, int64_t *rows, double **x) {
  const rh_part part = {.table = table};
  const rh_rows r = rh_rows_of(&part);
  double *made = rh_alloc_zero((size_t)r.rows + 1, (size_t)r.columns * sizeof *made);
  if (!made) return RH_E_MEMORY;
  r.get(r.arg, 0, r.rows, NULL, 0, r.columns, made);
  *rows = r.rows;
  *x = made;
  return RH_OK;
}

rh_status rh_density_rows(rh_density *density, const char *data, const char *options, int64_t *rows, double **x, char **report) {
  RH_TRY(rh_file_call_check("rh_density_rows", density, data, "-"));
  if (!rows || !x) return rh_fail(RH_E_ARGUMENT, "rh_density_rows: rows and x must not be NULL");
  json_t *json;
  rh_read_options read;
  RH_TRY(table_options(options, &json, &read));
  rh_table *table = NULL;
  double *made = NULL;
  int64_t n = 0;
  rh_density_lock(density);
  rh_status status = rh_read_rows(data, &read, density->model, &table);
  if (status == RH_OK) status = rows_array(table, &n, &made);
  if (status == RH_OK) status = rh_rows_report(density, n, rh_table_columns(table), notes_of(data, &read, density->model, table), report);
  rh_density_unlock(density);
  rh_table_free(table);
  json_decref(json);
  if (status != RH_OK) {
    rh_free(made);
    return status;
  }
  *rows = n;
  *x = made;
  return RH_OK;
}

void rh_rows_free(double *x) {
  rh_free(x);
}

rh_status rh_write_file(const char *output, const void *bytes, size_t size, const char *const *inputs) {
  if (!output || (!bytes && size)) return rh_fail(RH_E_ARGUMENT, "rh_write_file: output and bytes must not be NULL");
  for (; inputs && *inputs; inputs++) RH_TRY(rh_refuse_same(output, *inputs));
  rh_writer *writer;
  RH_TRY(rh_writer_open(output, &writer));
  rh_writer_put(writer, bytes, size);
  return rh_writer_commit(writer);
}
