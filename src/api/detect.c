/* rh_detect_files: how strange are rows, for a density of the normal ones? */
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "api/conditional.h"
#include "api/detect_scores.h"
#include "api/fitting.h"
#include "api/labelled_images.h"
#include "api/solve_report.h"
#include "api/unbounded.h"
#include "base/memory.h"
#include "data/images.h"
#include "data/table_write.h"
#include "numeric/rank.h"

enum { NORMAL_LEAST = 20, SAMPLES_LEAST = 1000, SAMPLES_MOST = 100000, DRAWS = 16, COLUMNS = 7 };
static const char *const score_names[] = {"log_density", "typicality", "latent_norm", "auto", NULL};
enum { BY_AUTO = RH_DETECT_SCORES };
static const double CALIBRATE_LEAST = 0.1, CALIBRATE_MOST = 0.3;

typedef struct detect_options {
  const char *labels;
  double alarm;
  int by;
  int64_t draws; /* 0: not said */
} detect_options;

typedef struct detect_job {
  detect_options o;
  rh_read_options read;
  rh_known_columns known; /* the categories of the density's context */
  const char *normal, *data, *output;
  bool images;
  rh_density *density, *own; /* own: fitted here */
  rh_fit_job *fit;
  rh_labelled table, normal_table;
  rh_scored_rows rows, reference;
  const char *reference_is, *a_reference; /* of rows, of one: "sampled " */
  double center;                          /* the median log-density of normal rows */
  double *sorted, *anomaly, *p;           /* reference scores [reference.n]; of the data [rows.n] */
  int64_t train_rows, flagged, gone;
  json_t *fit_report, *notes;
  rh_ode_report counts; /* of all log-densities */
} detect_job;

/* ---- options ---- */

/* A fit here is of all columns; a density that is there already may be conditional. */
static rh_status refuse_context(const json_t *options) {
  static const char *const keys[] = {"context", "categorical", "embedding"};
  for (size_t i = 0; i < RH_COUNT_OF(keys); i++)
    if (json_object_get(options, keys[i]))
      return rh_fail(
          RH_E_ARGUMENT,
          "options.%s: detect fits the density of all columns: fit a conditional one first (rheo fit --context) and give it, with "
          "normal rows that it has not seen (rheo detect --model)",
          keys[i]);
  return RH_OK;
}

static rh_status read_detect(const json_t *json, detect_job *t, json_t **rest) {
  static const char *const own[] = {"labels", "alarm", "by", "draws", NULL};
  json_t *mine, *theirs;
  RH_TRY(rh_options_divide(json, own, &mine, &theirs));
  rh_options o = rh_options_begin(mine, "options");
  t->o = (detect_options){.labels = rh_options_text(&o, "labels", NULL),
                          .alarm = rh_options_real(&o, "alarm", 0.01, 1e-9, 1),
                          .by = rh_options_choice(&o, "by", BY_AUTO, score_names),
                          .draws = rh_options_int(&o, "draws", 0, 0, 1000000)};
  rh_status status = rh_options_done(&o) == RH_OK ? RH_OK : RH_E_ARGUMENT;
  rh_options r = rh_options_begin(theirs, "options");
  rh_read_options_read(&r, &t->read);
  if (status == RH_OK && r.status != RH_OK) status = RH_E_ARGUMENT;
  const char *dtype = json_string_value(json_object_get(json, "dtype"));
  t->read.narrow = !t->density && !(dtype && strcmp(dtype, "f64") == 0);
  /* A density that is there already leaves nothing to choose but how tables are read. */
  if (status == RH_OK && t->density && rh_options_done(&r) != RH_OK) status = RH_E_ARGUMENT;
  if (status == RH_OK && !t->density) status = refuse_context(theirs);
  json_decref(mine); /* its texts live in the caller's object */
  if (status == RH_OK)
    *rest = theirs;
  else
    json_decref(theirs);
  return status;
}

static void add_note(detect_job *t, const char *format, ...) RH_PRINTF(2, 3);
static void add_note(detect_job *t, const char *format, ...) {
  char text[512];
  va_list args;
  va_start(args, format);
  vsnprintf(text, sizeof text, format, args);
  va_end(args);
  for (char *c = text; *c; c++)
    if ((unsigned char)*c < ' ' || *c == 127) *c = '?';
  json_array_append_new(t->notes, json_string(text));
}

/* ---- normal rows ---- */

static rh_status read_normal(detect_job *t) {
  const char *why;
  const rh_model *model = t->density ? t->density->model : NULL;
  RH_TRY(t->images ? rh_labelled_images_like(t->normal, &t->read, t->o.labels, model, &t->normal_table, &why)
                   : rh_labelled_read_like(t->normal, &t->read, t->o.labels, &t->table, &t->normal_table, &why));
  if (why) add_note(t, "%.200s has no labels (%s): all of its rows are taken as normal", t->normal, why);
  RH_TRY(rh_labelled_keep_normal(&t->normal_table, t->normal, &t->gone));
  if (t->o.labels && !why)
    add_note(t, "%.200s: %lld rows of label 1 are left out, the %lld of label 0 are taken as normal", t->normal, (long long)t->gone,
             (long long)rh_table_rows(t->normal_table.table));
  return RH_OK;
}

/* Enough held-out rows for p-values of half the alarm rate, but neither few nor most of them. */
static json_t *default_split(int64_t rows, double alarm) {
  const double wanted = 2 / alarm / (double)rows, share = fmin(fmax(wanted, CALIBRATE_LEAST), CALIBRATE_MOST);
  return json_pack("[f,f,f]", 0.9 - share, 0.1, share);
}

/* Images have one draw, as their bits/dim have: noise is little of what makes one strange. */
static int64_t draws_of(const detect_job *t) {
  return t->o.draws ? t->o.draws : t->own && !t->images ? DRAWS : t->density->options.draws;
}

/* ---- which score ---- */

/* By the density, where it means something; else by the codes, which do not depend on the columns' units. */
static rh_status choose_score(detect_job *t) {
  const rh_model *m = t->density->model;
  int64_t first = 0;
  if (!m->flow->body) {
    if (t->o.by == RH_BY_LATENT_NORM)
      return rh_fail(RH_E_UNSUPPORTED, "options.by: a mixture of %lld flows has no codes, so no latent_norm: take log_density",
                     (long long)m->flow->components);
    add_note(t, "latent_norm is not given: a mixture of %lld flows has no codes", (long long)m->flow->components);
  }
  if (t->o.by != BY_AUTO) return RH_OK;
  const int64_t n = m->flow->body ? rh_unbounded_columns(m->handling, &first) : 0;
  t->o.by = n ? RH_BY_LATENT_NORM : RH_BY_LOG_DENSITY;
  if (n)
    add_note(t,
             "column %lld%s repeated values among continuous ones, where a density has no bound: rows are ranked by latent_norm instead of "
             "log_density",
             (long long)first + 1,
             n == 1   ? " has"
             : n == 2 ? " and another have"
                      : " and others have");
  return RH_OK;
}

static rh_status fit_normal(detect_job *t, json_t *options, rh_fit_progress *progress, void *arg) {
  const int64_t rows = rh_table_rows(t->normal_table.table);
  if (rows < NORMAL_LEAST)
    return rh_fail(RH_E_DATA, "%s: %lld rows to take as normal: at least %d are needed, and there should be many more", t->normal,
                   (long long)rows, NORMAL_LEAST);
  if (!json_object_get(options, "split") && json_object_set_new(options, "split", default_split(rows, t->o.alarm)))
    return rh_fail(RH_E_MEMORY, "options: out of memory");
  const char *const name[RH_PARTS] = {t->normal};
  rh_table *const table[RH_PARTS] = {t->normal_table.table};
  if (!t->images) json_object_del(options, "columns"); /* chosen already */
  RH_TRY(rh_fit_job_open(name, table, options, &t->fit));
  t->normal_table.table = NULL;
  if (t->images) RH_TRY(rh_fit_like_images(t->fit, t->data, t->table.table));
  if (!rh_fit_job_rows(t->fit, RH_PART_TEST))
    return rh_fail(RH_E_ARGUMENT, "options.split: detect needs held-out rows to compare with: its last share must not be 0");
  const rh_compute *compute = rh_fit_job_compute(t->fit);
  const rh_fit_try once = {.seed = compute->seed, .progress = progress, .arg = arg};
  rh_model *model;
  RH_TRY(rh_fit_job_run(t->fit, &once, &model, &t->fit_report));
  RH_TRY(rh_density_make(model, compute, &t->own));
  t->density = t->own;
  t->train_rows = rh_fit_job_rows(t->fit, RH_PART_TRAIN)->rows;
  return RH_OK;
}

/* ---- scores ---- */

static void set_typicality(double center, rh_scored_rows *s) {
  for (int64_t i = 0; i < s->n; i++) s->score[RH_BY_TYPICALITY][i] = fabs(s->score[RH_BY_LOG_DENSITY][i] - center);
}

/* The median of the finite ones: a few rows of hardly any density must not move it. */
static rh_status median_of(int64_t n, const double *x, double *median) {
  double *sorted = rh_alloc_zero((size_t)n, sizeof *sorted);
  int64_t m = 0;
  if (!sorted) return RH_E_MEMORY;
  for (int64_t i = 0; i < n; i++)
    if (isfinite(x[i])) sorted[m++] = x[i];
  rh_rank_sort(m, sorted);
  *median = m ? (sorted[(m - 1) / 2] + sorted[m / 2]) / 2 : 0;
  rh_free(sorted);
  return RH_OK;
}

/* Where normal log-densities lie: of validation rows where there was a fit, so that p-values of held-out rows stay those of rows that had
 * no part in anything; else of the reference rows themselves. */
static rh_status find_center(detect_job *t, rh_scorers *s) {
  const rh_rows *val = t->fit ? rh_fit_job_rows(t->fit, RH_PART_VAL) : NULL;
  if (!val) return median_of(t->reference.n, t->reference.score[RH_BY_LOG_DENSITY], &t->center);
  double *x = rh_alloc_zero((size_t)val->rows, sizeof *x);
  rh_status status = x ? rh_score(s->mean, val, 0, val->rows, x) : RH_E_MEMORY;
  if (status == RH_OK) status = median_of(val->rows, x, &t->center);
  rh_free(x);
  return status;
}

/* ---- reference rows ---- */

static rh_status sample_reference(detect_job *t, rh_scorers *s) {
  const rh_flow *flow = t->density->model->flow;
  if (flow->context) return rh_fail_no_rows(t->density->model, "detect: give normal rows (TRAIN)");
  const double wanted = 20 / t->o.alarm;
  const int64_t n = wanted < SAMPLES_LEAST ? SAMPLES_LEAST : wanted > SAMPLES_MOST ? SAMPLES_MOST : (int64_t)wanted;
  double *x = rh_alloc_zero((size_t)n, (size_t)flow->columns * sizeof *x);
  rh_status status = x ? rh_sample(s->mean, NULL, 0, n, x, NULL) : RH_E_MEMORY;
  const rh_dense_rows dense = {n, flow->columns, x};
  const rh_rows rows = rh_rows_dense(&dense);
  if (status == RH_OK) status = rh_scorers_run(s, &rows, &t->reference);
  rh_free(x);
  t->reference_is = "samples of the model";
  t->a_reference = "sampled ";
  add_note(t,
           "p-values are among %lld samples of the model: they hold for data that the model describes; give normal rows that it has not "
           "seen for ones that hold for the data",
           (long long)n);
  return status;
}

static rh_status match(const detect_job *t, const char *path, rh_table *table) {
  const rh_model *m = t->density->model;
  if (t->images) return RH_OK; /* they were read as the model has them */
  RH_TRY(rh_arrange_rows(path, &t->read, m, table));
  if (!t->read.columns) rh_note_order(path, m->columns, table, t->notes);
  return RH_OK;
}

static rh_status score_reference(detect_job *t, rh_scorers *s) {
  if (!t->normal) return sample_reference(t, s);
  t->reference_is = t->fit ? "held-out normal rows" : "normal rows given";
  t->a_reference = t->fit ? "held-out " : "normal ";
  if (t->fit) {
    const rh_rows *rows = rh_fit_job_rows(t->fit, RH_PART_TEST);
    return rh_scorers_run(s, rows, &t->reference);
  }
  RH_TRY(match(t, t->normal, t->normal_table.table));
  const rh_part part = {.table = t->normal_table.table};
  const rh_rows rows = rh_rows_of(&part);
  return rh_scorers_run(s, &rows, &t->reference);
}

/* ---- p-values ---- */

/* Larger is stranger; strangest what was not found. */
static double anomaly_of(const rh_scored_rows *s, int by, int64_t i) {
  const double x = s->score[by][i];
  return isnan(x) ? INFINITY : by == RH_BY_LOG_DENSITY ? -x : x;
}

/* Rows that a solver of the model has not found. */
static int64_t unfinished_of(const rh_scored_rows *s) {
  int64_t rows = 0;
  for (int64_t i = 0; i < s->n; i++) rows += isnan(s->score[RH_BY_LOG_DENSITY][i]);
  return rows;
}

static rh_status compare_rows(detect_job *t) {
  const int64_t n = t->reference.n;
  t->sorted = rh_alloc_zero((size_t)n, sizeof(double));
  t->anomaly = rh_alloc_zero((size_t)t->rows.n, sizeof(double));
  t->p = rh_alloc_zero((size_t)t->rows.n, sizeof(double));
  if (!t->sorted || !t->anomaly || !t->p) return RH_E_MEMORY;
  for (int64_t i = 0; i < n; i++) t->sorted[i] = anomaly_of(&t->reference, t->o.by, i);
  rh_rank_sort(n, t->sorted);
  for (int64_t i = 0; i < t->rows.n; i++) {
    t->p[i] = rh_rank_conformal(n, t->sorted, anomaly_of(&t->rows, t->o.by, i));
    t->flagged += t->p[i] <= t->o.alarm;
  }
  const double least = 1 / (double)(n + 1);
  if (least > t->o.alarm)
    add_note(t,
             "the least p-value among %lld reference rows is %.3g: no row can be flagged at %g; give at least %.0f of them, or a higher "
             "alarm rate",
             (long long)n, least, t->o.alarm, ceil(1 / t->o.alarm) - 1);
  return RH_OK;
}

/* ---- what comes out ---- */

static double bits_per_dim(const detect_job *t, double log_density) {
  return -log_density / (double)t->density->model->flow->columns / log(2);
}

static rh_status put_rows(const detect_job *t, rh_table_writer *writer) {
  double line[COLUMNS];
  for (int64_t i = 0; i < t->rows.n; i++) {
    line[0] = (double)(i + 1);
    for (int k = 0; k < RH_DETECT_SCORES; k++) line[1 + k] = t->rows.score[k][i];
    line[4] = t->p[i];
    line[5] = t->p[i] <= t->o.alarm;
    line[6] = bits_per_dim(t, t->rows.score[RH_BY_LOG_DENSITY][i]);
    RH_TRY(rh_table_writer_put_f64(writer, 1, line));
  }
  return RH_OK;
}

static rh_status write_rows(const detect_job *t) {
  static const char *const names[COLUMNS] = {"row", "log_density", "typicality", "latent_norm", "p_value", "flag", "bits_per_dim"};
  const bool narrow = t->density->model->values.real_bytes == 4 && t->rows.n < 1 << 24; /* beyond, float32 has no row numbers */
  rh_table_writer *writer;
  if (!t->output) return RH_OK;
  RH_TRY(rh_table_writer_open(t->output, t->rows.n, COLUMNS - !t->images, names, narrow ? RH_CELL_F4 : RH_CELL_F8, &writer));
  const rh_status status = put_rows(t, writer);
  if (status == RH_OK) return rh_table_writer_commit(writer);
  rh_table_writer_discard(writer);
  return status;
}

static rh_status put_labels(detect_job *t, json_t *report) {
  const unsigned char *label = t->table.label;
  int64_t count[2] = {0}, flagged[2] = {0};
  if (!label) return RH_OK;
  for (int64_t i = 0; i < t->rows.n; i++) {
    count[label[i]]++;
    flagged[label[i]] += t->p[i] <= t->o.alarm;
  }
  json_t *auroc = json_object(), *precision = json_object(); /* the report's from now on */
  json_object_set_new(report, "anomalies", json_integer(count[1]));
  json_object_set_new(report, "normal", json_integer(count[0]));
  json_object_set_new(report, "auroc", auroc);
  json_object_set_new(report, "average_precision", precision);
  for (int k = 0; k < RH_DETECT_SCORES; k++) {
    double area = NAN, average = NAN;
    for (int64_t i = 0; i < t->rows.n; i++) t->anomaly[i] = anomaly_of(&t->rows, k, i);
    const bool given = k != RH_BY_LATENT_NORM || t->density->model->flow->body;
    if (given) RH_TRY(rh_rank_auroc(t->rows.n, t->anomaly, label, &area));
    if (given) RH_TRY(rh_rank_average_precision(t->rows.n, t->anomaly, label, &average));
    json_object_set_new(auroc, score_names[k], rh_json_real(area));
    json_object_set_new(precision, score_names[k], rh_json_real(given && count[0] && count[1] ? average : NAN));
  }
  if (!count[0] || !count[1])
    add_note(t, "%.200s: every label is %d: AUROC and average precision need both classes", t->data, count[1] ? 1 : 0);
  json_object_set_new(report, "detected", rh_json_real(count[1] ? (double)flagged[1] / (double)count[1] : NAN));
  json_object_set_new(report, "false_alarms", rh_json_real(count[0] ? (double)flagged[0] / (double)count[0] : NAN));
  return RH_OK;
}

static rh_status give_report(detect_job *t, char **report) {
  json_t *o = json_object();
  double latent = 0;
  for (int64_t i = 0; i < t->reference.n; i++) latent += t->reference.score[RH_BY_LATENT_NORM][i] / (double)t->reference.n;
  const rh_status status = o ? put_labels(t, o) : rh_fail(RH_E_MEMORY, "out of memory for the report");
  if (status != RH_OK) {
    json_decref(o);
    return status;
  }
  json_object_set_new(o, "rows", json_integer(t->rows.n));
  json_object_set_new(o, "train_rows", t->fit ? json_integer(t->train_rows) : json_null());
  json_object_set_new(o, "reference", json_string(t->reference_is));
  json_object_set_new(o, "reference_rows", json_integer(t->reference.n));
  json_object_set_new(o, "by", json_string(score_names[t->o.by]));
  json_object_set_new(o, "alarm", json_real(t->o.alarm));
  json_object_set_new(o, "flagged", json_integer(t->flagged));
  json_object_set_new(o, "typical_log_density", json_real(t->center));
  json_object_set_new(o, "latent", json_integer(t->density->model->flow->latent));
  json_object_set_new(o, "reference_latent_norm", rh_json_real(latent));
  if (t->images) json_object_set_new(o, "typical_bits_per_dim", rh_json_real(bits_per_dim(t, t->center)));
  json_object_set(o, "fit", t->fit_report ? t->fit_report : json_null());
  if (t->fit_report) {
    json_array_extend(t->notes, json_object_get(t->fit_report, "notes"));
    json_object_set(o, "warnings", json_object_get(t->fit_report, "warnings"));
    json_object_del(t->fit_report, "notes"); /* said once */
    json_object_del(t->fit_report, "warnings");
  }
  json_object_set(o, "notes", t->notes);
  const int64_t unfinished = unfinished_of(&t->rows), of_reference = unfinished_of(&t->reference);
  rh_warn_unfinished(t->density->model, unfinished, "", &t->counts, o);
  rh_warn_unfinished(t->density->model, of_reference, t->a_reference, &t->counts, o);
  rh_solve_report_put(t->density, &t->counts, 0, o);
  json_object_set_new(o, "unfinished", json_integer(unfinished));
  json_object_set_new(o, "reference_unfinished", json_integer(of_reference));
  return rh_report_give(o, report);
}

/* ---- the call ---- */

static rh_status with_density(detect_job *t, char **report) {
  rh_scorers s = {0};
  RH_TRY(choose_score(t));
  const rh_part part = {.table = t->table.table};
  rh_status status = match(t, t->data, t->table.table);
  const rh_rows rows = rh_rows_of(&part);
  if (status == RH_OK) status = rh_scorers_make(t->density, draws_of(t), &s);
  if (status == RH_OK) status = score_reference(t, &s);
  if (status == RH_OK) status = find_center(t, &s);
  if (status == RH_OK) status = rh_scorers_run(&s, &rows, &t->rows);
  if (status == RH_OK) t->counts = rh_scorer_counts(s.mean);
  rh_scorers_free(&s);
  RH_TRY(status);
  set_typicality(t->center, &t->reference);
  set_typicality(t->center, &t->rows);
  RH_TRY(compare_rows(t));
  RH_TRY(write_rows(t));
  return give_report(t, report);
}

static rh_status read_data(detect_job *t) {
  const rh_model *model = t->density ? t->density->model : NULL;
  t->images = model && model->image.h;
  if (!model) RH_TRY(rh_images_known(t->normal, &t->images));
  if (t->images) return rh_labelled_images(t->data, &t->read, t->o.labels, model, &t->table);
  if (model && model->flow->context) {
    RH_TRY(rh_known_of_labelled(model, t->o.labels, &t->known));
    t->read.known = &t->known;
  }
  return rh_labelled_read(t->data, &t->read, t->o.labels, &t->table);
}

static rh_status run_detect(detect_job *t, json_t *options, rh_fit_progress *progress, void *arg, char **report) {
  RH_TRY(rh_refuse_same(t->output, t->data));
  RH_TRY(rh_refuse_same(t->output, t->normal));
  if (t->density) RH_TRY(rh_refuse_same(t->output, t->density->path));
  RH_TRY(rh_try_output(t->output));
  RH_TRY(read_data(t));
  if (t->normal) RH_TRY(read_normal(t));
  if (!t->density) RH_TRY(fit_normal(t, options, progress, arg));
  rh_density_lock(t->density);
  const rh_status status = with_density(t, report);
  rh_density_unlock(t->density);
  return status;
}

static void detect_free(detect_job *t) {
  double *const blocks[] = {t->sorted, t->anomaly, t->p};
  rh_scored_rows_free(&t->rows);
  rh_scored_rows_free(&t->reference);
  for (size_t i = 0; i < RH_COUNT_OF(blocks); i++) rh_free(blocks[i]);
  rh_labelled_free(&t->table);
  rh_known_free(&t->known);
  rh_density_close(t->own);
  rh_fit_job_close(t->fit);
  rh_labelled_free(&t->normal_table); /* the fit's table lies on its values */
  json_decref(t->fit_report);
  json_decref(t->notes);
}

rh_status rh_detect_files(rh_density *density, const char *normal, const char *data, const char *output, const char *options,
                          rh_fit_progress *progress, void *arg, char **report) {
  if (!data) return rh_fail(RH_E_ARGUMENT, "rh_detect_files: data must not be NULL");
  if (!density && !normal) return rh_fail(RH_E_ARGUMENT, "rh_detect_files: give a density, or normal rows to fit one to");
  if (normal && strcmp(normal, "-") == 0 && strcmp(data, "-") == 0)
    return rh_fail(RH_E_ARGUMENT, "standard input holds one table: give the others as files");
  json_t *json, *rest = NULL;
  RH_TRY(rh_options_parse(options, &json));
  detect_job t = {.density = density, .normal = normal, .data = data, .output = output, .notes = json_array()};
  rh_status status = read_detect(json, &t, &rest);
  if (status == RH_OK) status = run_detect(&t, rest, progress, arg, report);
  detect_free(&t);
  json_decref(rest);
  json_decref(json);
  return status;
}
