/* The face's calls over whole files: rows in, rows out, in pieces. */
#include <math.h>
#include <string.h>

#include "api/conditional.h"
#include "base/memory.h"
#include "data/table_write.h"
#include "train/train.h"

enum { PIECE_ROWS = 1 << 16, PIECE_NUMBERS = 1 << 20, PIECE_LEAST = 256 };

/* One call at work. */
typedef struct job {
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
} job;

static int64_t piece_rows(int64_t rows, int64_t width) {
  int64_t piece = PIECE_NUMBERS / (width + 1);
  if (piece > PIECE_ROWS) piece = PIECE_ROWS;
  if (piece < PIECE_LEAST) piece = PIECE_LEAST;
  if (piece > rows) piece = rows;
  return piece > 0 ? piece : 1; /* a table of no rows is a table too */
}

static rh_cell cell_of(const rh_density *d) {
  const int real_bytes = d->options.real_bytes ? d->options.real_bytes : d->model->values.real_bytes;
  return real_bytes == 4 ? RH_CELL_F4 : RH_CELL_F8;
}

/* The context goes out, behind codes or where it stands in a whole table; the columns' names are the model's, and z1, z2, ... */
static rh_status job_context(job *j, const rh_model *m, bool codes) {
  enum { NAME = 24 };
  const int64_t c = m->flow->context, first = m->flow->columns, width = codes ? m->flow->latent : first;
  j->context = c;
  if (codes) {
    j->order = rh_alloc((size_t)(width + c) * sizeof *j->order);
    for (int64_t k = 0; k < width + c && j->order; k++) j->order[k] = k;
    if (!j->order) return RH_E_MEMORY;
  } else {
    RH_TRY(rh_whole_order(m, &j->order));
  }
  if (!m->columns) return RH_OK;
  j->names = rh_alloc((size_t)(width + c) * sizeof *j->names);
  j->code_names = rh_alloc((size_t)(width * NAME));
  if (!j->names || !j->code_names) return RH_E_MEMORY;
  for (int64_t k = 0; k < width + c; k++) {
    const int64_t column = k < width ? k : first + k - width;
    char *code = j->code_names + k * NAME;
    if (codes && k < width) snprintf(code, NAME, "z%lld", (long long)k + 1);
    j->names[j->order[k]] = codes && k < width ? code : json_string_value(json_array_get(m->columns, (size_t)column));
  }
  return RH_OK;
}

/* The writer's: categories that are texts, and room for whole rows. */
static rh_status job_categories(job *j, const rh_context_encoder *encoder) {
  j->given = rh_alloc_zero((size_t)j->piece, (size_t)j->context * sizeof(double));
  j->wide = rh_alloc_zero((size_t)j->piece, (size_t)(j->width + j->context) * sizeof(double));
  if (!j->given || !j->wide) return RH_E_MEMORY;
  for (int64_t i = 0; encoder && i < j->context; i++) {
    const rh_context_column *c = &encoder->column[i];
    if (c->texts) RH_TRY(rh_table_writer_texts(j->writer, j->order[j->width + i], c->texts, c->n));
  }
  return RH_OK;
}

static rh_status job_open(job *j, const char *output, int64_t rows, int64_t width, const char *const *names) {
  j->width = width;
  j->piece = piece_rows(rows, width);
  j->out = rh_alloc_zero((size_t)j->piece, (size_t)width * sizeof(double));
  if (!j->out) return RH_E_MEMORY;
  if (!output) return RH_OK;
  if (!j->order) return rh_table_writer_open(output, rows, width, names, cell_of(j->density), &j->writer);
  RH_TRY(rh_table_writer_open(output, rows, width + j->context, j->names, cell_of(j->density), &j->writer));
  return job_categories(j, j->density->model->flow->encoder);
}

/* Rows [first, first + n) of the job, which lie in j->out. */
static rh_status job_put(job *j, int64_t first, int64_t n) {
  if (!j->order) return rh_table_writer_put_f64(j->writer, n, j->out);
  const int64_t width = j->width, c = j->context;
  j->rows.get(j->rows.arg, first, n, NULL, j->rows.columns - c, c, j->given);
  for (int64_t i = 0; i < n; i++)
    for (int64_t k = 0; k < width + c; k++)
      j->wide[i * (width + c) + j->order[k]] = k < width ? j->out[i * width + k] : j->given[i * c + k - width];
  return rh_table_writer_put_f64(j->writer, n, j->wide);
}

/* Ends a job: what has been written is seen only where all went well. */
static rh_status job_close(job *j, rh_status status) {
  rh_free(j->out);
  rh_free(j->order);
  rh_free(j->given);
  rh_free(j->wide);
  rh_free((void *)j->names);
  rh_free(j->code_names);
  if (!j->writer) return status;
  if (status == RH_OK) return rh_table_writer_commit(j->writer);
  rh_table_writer_discard(j->writer);
  return status;
}

/* Asked before each piece; what has been written so far goes away with the job. */
static rh_status go_on(const job *j) {
  return atomic_load(&j->density->stop) ? rh_fail(RH_E_INTERRUPTED, "interrupted: an output file is as it was") : RH_OK;
}

static rh_status check(const char *call, const rh_density *density, const char *path, const char *output) {
  if (!density) return rh_fail(RH_E_ARGUMENT, "%s: density must not be NULL", call);
  if (!path) return rh_fail(RH_E_ARGUMENT, "%s: the data's path must not be NULL", call);
  if (!output) return rh_fail(RH_E_ARGUMENT, "%s: the output's path must not be NULL", call);
  RH_TRY(rh_refuse_same(output, density->path));
  return rh_refuse_same(output, path);
}

/* ---- score ---- */

typedef struct tally {
  int64_t n, zero, unknown; /* unknown: not found by the model's numerical inverse or differential equation */
  double mean, m2;          /* of the finite ones (Welford 1962) */
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
static json_t *score_report(const rh_flow *flow, const tally *t, json_t *notes) {
  const double n = (double)t->n;
  const int64_t bad = t->zero + t->unknown;
  json_t *report = json_object();
  json_object_set_new(report, "notes", notes);
  if (t->unknown) rh_warn_unfinished(t->unknown, report);
  json_object_set_new(report, "unfinished", json_integer(t->unknown));
  json_object_set_new(report, "n", json_integer(t->n + bad));
  json_object_set_new(report, "mean", bad || !t->n ? json_null() : json_real(t->mean));
  json_object_set_new(report, "stderr", bad ? json_null() : rh_json_real(t->n > 1 ? sqrt(t->m2 / (n - 1) / n) : NAN));
  json_object_set_new(report, "zero_density", json_integer(t->zero));
  json_object_set_new(report, "finite_mean", rh_json_real(t->n ? t->mean : NAN));
  /* Every column discrete: a cell's probability is its mean density times its volume, and bits/dim makes sense. */
  if (flow->noise > 0 && flow->noise >= flow->columns && !bad) {
    json_object_set_new(report, "bits_per_dim", json_real(-(t->mean + log_cell(flow)) / (double)flow->columns / log(2.0)));
  }
  return report;
}

static rh_status score_rows(job *j, tally *t) {
  for (int64_t i = 0; i < j->rows.rows; i += j->piece) {
    const int64_t n = j->rows.rows - i < j->piece ? j->rows.rows - i : j->piece;
    RH_TRY(go_on(j));
    RH_TRY(rh_score(j->scorer, &j->rows, i, n, j->out));
    tally_add(t, n, j->out);
    if (j->writer) RH_TRY(rh_table_writer_put_f64(j->writer, n, j->out));
  }
  return RH_OK;
}

static rh_status score_table(rh_density *d, const rh_table *table, const char *output, tally *t) {
  const rh_part part = {.table = table};
  job j = {.density = d, .rows = rh_rows_of(&part)};
  rh_status status = rh_density_scorer(d, d->options.seed, d->options.temperature, &j.scorer);
  static const char *const name[] = {"log_prob"};
  if (status == RH_OK) status = job_open(&j, output, j.rows.rows, 1, rh_table_names(table) ? name : NULL);
  if (status == RH_OK) status = score_rows(&j, t);
  return job_close(&j, status);
}

/* The options of the calls that read a table. The texts live as long as *json, a new reference. */
static rh_status table_options(const char *options, json_t **json, rh_read_options *read) {
  RH_TRY(rh_options_parse(options, json));
  rh_options o = rh_options_begin(*json, "options");
  rh_read_options_read(&o, read);
  if (rh_options_done(&o) == RH_OK) return RH_OK;
  json_decref(*json);
  return RH_E_ARGUMENT;
}

rh_status rh_score_file(rh_density *density, const char *data, const char *output, const char *options, char **report) {
  RH_TRY(check("rh_score_file", density, data, output ? output : "-"));
  json_t *json;
  rh_read_options read;
  RH_TRY(table_options(options, &json, &read));
  rh_table *table = NULL;
  tally t = {0};
  rh_density_lock(density);
  rh_status status = rh_read_rows(data, &read, density->model, &table);
  if (status == RH_OK) status = score_table(density, table, output, &t);
  rh_density_unlock(density);
  if (status == RH_OK)
    status = rh_report_give(score_report(density->model->flow, &t, notes_of(data, &read, density->model, table)), report);
  rh_table_free(table);
  json_decref(json);
  return status;
}

/* ---- encode, decode ---- */

typedef rh_status code_fn(rh_scorer *s, const rh_rows *rows, int64_t first, int64_t n, double *out, double *ladj);

/* Nothing that is no number goes into a file, nor what a solver has not found. */
static rh_status finite_rows(const job *j, int64_t first, int64_t n, const char *why) {
  const int64_t unfinished = rh_scorer_unfinished(j->scorer);
  for (int64_t i = 0; i < n; i++)
    for (int64_t k = 0; k < j->width; k++)
      if (!isfinite(j->out[i * j->width + k]))
        return rh_fail(RH_E_NUMERIC, "%s: row %lld %s", j->name, (long long)(first + i) + 1, unfinished ? RH_NOT_FOUND : why);
  if (!unfinished) return RH_OK;
  return rh_fail(RH_E_NUMERIC, "%s: among rows %lld to %lld one %s", j->name, (long long)first + 1, (long long)(first + n), RH_NOT_FOUND);
}

static rh_status code_rows(job *j, code_fn *fn) {
  const char *why =
      fn == rh_encode ? "lies outside of the model's support, its density is 0: it has no code; leave such rows out (rheo score finds them)"
                      : "decodes to no finite numbers: the code lies too far out";
  for (int64_t i = 0; i < j->rows.rows; i += j->piece) {
    const int64_t n = j->rows.rows - i < j->piece ? j->rows.rows - i : j->piece;
    RH_TRY(go_on(j));
    RH_TRY(fn(j->scorer, &j->rows, i, n, j->out, NULL));
    RH_TRY(finite_rows(j, i, n, why));
    RH_TRY(job_put(j, i, n));
  }
  return RH_OK;
}

/* Rows of `table` through fn to `output`, `width` numbers each. */
static rh_status code_table(rh_density *d, code_fn *fn, const char *path, const rh_table *table, const char *output, int64_t width,
                            const char *const *names) {
  const rh_part part = {.table = table};
  job j = {.density = d, .name = path, .rows = rh_rows_of(&part)};
  rh_status status = rh_density_scorer(d, d->options.seed, d->options.temperature, &j.scorer);
  if (status == RH_OK && d->model->flow->context) status = job_context(&j, d->model, fn == rh_encode);
  if (status == RH_OK) status = job_open(&j, output, j.rows.rows, width, names);
  if (status == RH_OK) status = code_rows(&j, fn);
  return job_close(&j, status);
}

/* notes: taken; or NULL */
static rh_status rows_report(int64_t rows, int64_t columns, json_t *notes, char **report) {
  json_t *o = json_pack("{s:I, s:I}", "rows", (json_int_t)rows, "columns", (json_int_t)columns);
  if (notes) json_object_set_new(o, "notes", notes);
  return rh_report_give(o, report);
}

rh_status rh_encode_file(rh_density *density, const char *data, const char *output, const char *options, char **report) {
  RH_TRY(check("rh_encode_file", density, data, output));
  json_t *json;
  rh_read_options read;
  RH_TRY(table_options(options, &json, &read));
  rh_table *table = NULL;
  const int64_t latent = density->model->flow->latent, columns = latent + density->model->flow->context;
  rh_density_lock(density);
  rh_status status = rh_read_rows(data, &read, density->model, &table);
  if (status == RH_OK) status = code_table(density, rh_encode, data, table, output, latent, NULL);
  rh_density_unlock(density);
  if (status == RH_OK) status = rows_report(rh_table_rows(table), columns, notes_of(data, &read, density->model, table), report);
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
  RH_TRY(check("rh_decode_file", density, codes, output));
  json_t *json;
  rh_read_options read;
  RH_TRY(table_options(options, &json, &read));
  rh_table *table = NULL;
  rh_density_lock(density);
  const rh_flow *flow = density->model->flow;
  rh_status status = rh_read_codes(codes, &read, density->model, &table);
  if (status == RH_OK) status = decode_table(density, codes, table, output);
  rh_density_unlock(density);
  if (status == RH_OK) status = rows_report(rh_table_rows(table), flow->columns + flow->context, NULL, report);
  rh_table_free(table);
  json_decref(json);
  return status;
}

/* ---- sample ---- */

typedef struct sample_options {
  int64_t count;
  uint64_t seed;
  double temperature;
  const char *context, *values; /* a file, or "a=1,b=red"; or NULL */
  bool with_context;            /* in the output */
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

static rh_status sample_rows(job *j, int64_t rows) {
  const rh_rows *context = j->rows.columns ? &j->rows : NULL;
  for (int64_t i = 0; i < rows; i += j->piece) {
    const int64_t n = rows - i < j->piece ? rows - i : j->piece;
    RH_TRY(go_on(j));
    RH_TRY(rh_sample(j->scorer, context, i, n, j->out, NULL));
    RH_TRY(finite_rows(j, i, n, "is not finite: the model stretches too far; a temperature below 1 or dtype f64 may help"));
    RH_TRY(job_put(j, i, n));
  }
  return RH_OK;
}

/* *rows, *columns: of what is written. */
static rh_status sample_to(rh_density *d, const sample_options *s, const conditions *c, const char *output, int64_t *rows,
                           int64_t *columns) {
  const rh_flow *f = d->model->flow;
  job j = {.density = d, .name = "sample", .rows = c->rows};
  const char **names = NULL;
  *rows = f->context && s->count > 0 ? c->rows.rows : s->count;
  rh_status status = rh_density_scorer(d, s->seed, s->temperature, &j.scorer);
  if (status == RH_OK) status = rh_column_names(d->model, f->columns, &names);
  if (status == RH_OK && f->context && s->with_context) status = job_context(&j, d->model, false);
  *columns = f->columns + j.context;
  if (status == RH_OK) status = job_open(&j, output, *rows, f->columns, names);
  if (status == RH_OK) status = sample_rows(&j, *rows);
  status = job_close(&j, status);
  rh_free(names);
  return status;
}

rh_status rh_sample_file(rh_density *density, const char *output, const char *options, char **report) {
  RH_TRY(check("rh_sample_file", density, "", output));
  json_t *json;
  sample_options s;
  RH_TRY(read_sample_options(options, &json, &s));
  conditions c = {0};
  int64_t rows = 0, columns = 0;
  rh_density_lock(density);
  rh_status status = rh_refuse_same(output, s.context);
  s.read.narrow = cell_of(density) == RH_CELL_F4;
  if (status == RH_OK) status = read_conditions(density->model, &s, &c);
  if (status == RH_OK) status = sample_to(density, &s, &c, output, &rows, &columns);
  rh_density_unlock(density);
  rh_table_free(c.table);
  rh_free(c.row);
  json_decref(json);
  return status == RH_OK ? rows_report(rows, columns, NULL, report) : status;
}
