/* Is a density what it claims to be? */
#include <math.h>
#include <string.h>

#include "api/conditional.h"
#include "api/det_check.h"
#include "api/rounded.h"
#include "api/solve_check.h"
#include "api/solve_report.h"
#include "api/solver.h"
#include "api/stretch.h"
#include "base/memory.h"
#include "density/front.h"

enum { IMAGE_JACOBIANS = 2 };

/* What the rows looked at have shown. */
typedef struct findings {
  int64_t rows, outside, non_finite, rounded; /* outside: of the support; rounded: cells that lie on no level of the model's */
  double inverse, inverse_relative;           /* max |x - inverse(forward(x))|, also in standard deviations of its column */
  int64_t row, column;                        /* where the relative one is largest; -1: nowhere */
  double there, back;                         /* what stands there, and what came back */
  double det_least, det_most;                 /* range of ladj */
  rh_det_check det;
  rh_solve_check solve;
  rh_stretch stretch;
  rh_ode_report counts; /* of the way there and back */
  double det_inverse;   /* max |ladj + the inverse's ladj|; NaN where the model is no bijection */
} findings;

typedef struct rows_in {
  int64_t rows, columns, context, latent;
  int64_t *number;   /* [rows]: which row of the table */
  double *x;         /* [rows, columns + context] */
  double *rounded;   /* [rows, columns]: what can come back */
  double *z;         /* [rows, latent + context] */
  double *back;      /* [rows, columns] */
  double *ladj;      /* [rows] */
  double *ladj_back; /* [rows], the inverse's */
  double *sd;        /* [columns] */
  double *u, *norm;  /* [rows, latent], [rows]: the codes' normal scores */
} rows_in;

static void rows_free(rows_in *in) {
  rh_free(in->number);
  double *const blocks[] = {in->x, in->rounded, in->z, in->back, in->ladj, in->ladj_back, in->sd, in->u, in->norm};
  for (size_t i = 0; i < RH_COUNT_OF(blocks); i++) rh_free(blocks[i]);
}

static rh_status rows_alloc(rows_in *in, const rh_flow *flow, int64_t rows) {
  const int64_t d = flow->columns, c = flow->context;
  *in = (rows_in){.rows = rows, .columns = d, .context = c, .latent = flow->latent};
  in->number = rh_alloc_zero((size_t)rows, sizeof *in->number);
  in->x = rh_alloc_zero((size_t)rows, (size_t)(d + c) * sizeof(double));
  in->rounded = rh_alloc_zero((size_t)rows, (size_t)d * sizeof(double));
  in->z = rh_alloc_zero((size_t)rows, (size_t)(flow->latent + c) * sizeof(double));
  in->back = rh_alloc_zero((size_t)rows, (size_t)d * sizeof(double));
  in->ladj = rh_alloc_zero((size_t)rows, sizeof(double));
  in->ladj_back = rh_alloc_zero((size_t)rows, sizeof(double));
  in->sd = rh_alloc_zero((size_t)d, sizeof(double));
  in->u = rh_alloc_zero((size_t)rows, (size_t)flow->latent * sizeof(double));
  in->norm = rh_alloc_zero((size_t)rows, sizeof(double));
  return in->number && in->x && in->rounded && in->z && in->back && in->ladj && in->ladj_back && in->sd && in->u && in->norm ? RH_OK
                                                                                                                             : RH_E_MEMORY;
}

/* Rows evenly spread over the table. */
static void rows_read(rows_in *in, const rh_table *table) {
  const int64_t all = rh_table_rows(table);
  for (int64_t i = 0; i < in->rows; i++) in->number[i] = (int64_t)((double)i * (double)all / (double)in->rows);
  rh_table_get_f64(table, in->number, 0, in->rows, in->x);
}

/* What an error in a column is measured in: its standard deviation, where it has one. */
static double scale_of(const rows_in *in, int64_t column, double x) {
  return in->sd[column] > 0 ? in->sd[column] : fmax(fabs(x), 1);
}

static void deviations(rows_in *in) {
  const int64_t width = in->columns + in->context;
  for (int64_t j = 0; j < in->columns; j++) {
    double mean = 0, m2 = 0;
    for (int64_t i = 0; i < in->rows; i++) {
      const double x = in->x[i * width + j], d = x - mean;
      mean += d / (double)(i + 1);
      m2 += d * (x - mean);
    }
    in->sd[j] = sqrt(m2 / (double)in->rows);
  }
}

/* Values that the model cannot give back, a level not seen in the fit, a dropped column that contradicts the others, become what it takes
 * them for. *cells: how many. */
static rh_status round_rows(rh_density *d, rows_in *in, int64_t *cells) {
  RH_TRY(rh_rounded_rows(d->model, d->pool, d->options.isa, in->rows, in->x, in->rounded));
  *cells = 0;
  for (int64_t i = 0; i < in->rows; i++)
    for (int64_t j = 0; j < in->columns; j++) {
      double *x = &in->x[i * (in->columns + in->context) + j];
      const double rounded = in->rounded[i * in->columns + j];
      if (!(fabs(*x - rounded) > 1e-9 * fmax(fabs(*x), scale_of(in, j, *x)))) continue;
      *x = rounded;
      ++*cells;
    }
  return RH_OK;
}

/* Of images: with their noise, x becomes what the bijection behind it sees. */
static rh_status soften(rh_density *d, rows_in *in) {
  rh_scorer *scorer;
  const int64_t width = in->columns, c = in->context;
  const rh_dense_rows dense = {in->rows, width + c, in->x};
  const rh_rows rows = rh_rows_dense(&dense);
  if (!d->model->image.h) return RH_OK;
  if (!rh_flow_splits(d->model->flow) || rh_front_width(d->model->flow) != width)
    return rh_fail(RH_E_UNSUPPORTED, "check: the flow loses or adds information behind its preprocessing: it has no inverse to look at");
  RH_TRY(rh_density_scorer(d, d->options.seed, d->options.temperature, &scorer));
  RH_TRY(rh_score_split(scorer, RH_TASK_FRONT, &rows, 0, in->rows, in->rounded, NULL));
  for (int64_t i = 0; i < in->rows; i++) memcpy(in->x + i * (width + c), in->rounded + i * width, (size_t)width * sizeof(double));
  return RH_OK;
}

/* x -> z -> x */
static rh_status there_and_back(rh_density *d, rows_in *in, rh_ode_report *counts) {
  const int64_t latent = in->latent, c = in->context, width = in->columns + c;
  rh_scorer *scorer;
  RH_TRY(rh_density_scorer(d, d->options.seed, d->options.temperature, &scorer));
  const rh_dense_rows forth = {in->rows, width, in->x}, back = {in->rows, latent + c, in->z};
  const rh_rows forth_rows = rh_rows_dense(&forth), back_rows = rh_rows_dense(&back);
  const bool images = d->model->image.h;
  RH_TRY(images ? rh_score_split(scorer, RH_TASK_BEHIND, &forth_rows, 0, in->rows, in->z, in->ladj)
                : rh_encode(scorer, &forth_rows, 0, in->rows, in->z, in->ladj));
  for (int64_t i = in->rows - 1; i >= 0 && c; i--) { /* make room for the context in every row */
    memmove(in->z + i * (latent + c), in->z + i * latent, (size_t)latent * sizeof(double));
    memcpy(in->z + i * (latent + c) + latent, in->x + i * width + in->columns, (size_t)c * sizeof(double));
  }
  RH_TRY(images ? rh_score_split(scorer, RH_TASK_BEHIND_BACK, &back_rows, 0, in->rows, in->back, in->ladj_back)
                : rh_decode(scorer, &back_rows, 0, in->rows, in->back, in->ladj_back));
  *counts = rh_density_count(d);
  return RH_OK;
}

static bool row_finite(const rows_in *in, int64_t i) {
  bool fine = isfinite(in->ladj[i]);
  for (int64_t j = 0; j < in->latent; j++) fine = fine && isfinite(in->z[i * (in->latent + in->context) + j]);
  for (int64_t j = 0; j < in->columns; j++) fine = fine && isfinite(in->back[i * in->columns + j]);
  return fine;
}

static void compare_row(const rows_in *in, int64_t i, findings *f) {
  for (int64_t j = 0; j < in->columns; j++) {
    const double x = in->x[i * (in->columns + in->context) + j], back = in->back[i * in->columns + j];
    const double scale = scale_of(in, j, x), error = fabs(x - back);
    f->inverse = rh_worst(f->inverse, error);
    if (error / scale <= f->inverse_relative && f->row >= 0) continue;
    f->inverse_relative = rh_worst(f->inverse_relative, error / scale);
    f->row = in->number[i], f->column = j, f->there = x, f->back = back;
  }
}

static void compare(const rows_in *in, bool exact, findings *f) {
  *f = (findings){.rows = in->rows,
                  .rounded = f->rounded,
                  .counts = f->counts,
                  .solve = f->solve,
                  .row = -1,
                  .det_least = INFINITY,
                  .det_most = -INFINITY,
                  .det_inverse = exact ? 0 : NAN};
  for (int64_t i = 0; i < in->rows; i++) {
    if (in->ladj[i] == -INFINITY) {
      f->outside++;
      continue;
    }
    if (!row_finite(in, i)) {
      f->non_finite++;
      continue;
    }
    f->det_least = fmin(f->det_least, in->ladj[i]);
    f->det_most = fmax(f->det_most, in->ladj[i]);
    if (exact) f->det_inverse = rh_worst(f->det_inverse, fabs(in->ladj[i] + in->ladj_back[i]));
    compare_row(in, i, f);
  }
}

/* float32: rounding of a chain of layers; float64: eight digits. In standard deviations, and in nats a column. What is solved for by a
 * tolerance cannot be nearer than some of that: on tables of 2 to 10 columns 4 of it, and 10 of it in nats a column. */
static bool all_well(const findings *f, int real_bytes, int64_t columns, double tolerance) {
  const double inverse = fmax(real_bytes == 4 ? 1e-2 : 1e-8, 1e3 * tolerance), det = fmax(real_bytes == 4 ? 1e-3 : 1e-8, 1e2 * tolerance);
  return f->non_finite == 0 && f->counts.unfinished == 0 && f->inverse_relative <= inverse &&
         (f->det.rows == 0 || f->det.error <= det * (double)(f->det.columns + 10)) && !(f->det_inverse > det * (double)(columns + 10));
}

/* What may help, by the keys of options: whatever rounding adds, an equation in few equal steps, or by loose tolerances, is off by more,
 * and its equal steps may leave what is finite, too. */
static const char *remedy_of(const rh_density *d, const findings *f) {
  const bool narrow = rh_density_real_bytes(d) == 4, solves = rh_solver_time(d->model) >= 0;
  if (solves && rh_solver_tolerance(d->model) == 0)
    return narrow ? "take more solver_steps, or rtol and atol for steps by tolerance; and try dtype f64"
                  : "take more solver_steps, or rtol and atol for steps by tolerance";
  if (solves && !f->non_finite)
    return narrow ? "tighten rtol and atol, with more max_steps where that takes them, and try dtype f64"
                  : "tighten rtol and atol, with more max_steps where that takes them";
  return narrow ? "try dtype f64" : "look at that row: f64 is in use already";
}

static void put_stretch(json_t *o, const rh_stretch *s) {
  const char *advice = rh_stretch_advice(s);
  json_object_set_new(o, "log_det_median", rh_json_real(s->median));
  json_object_set_new(o, "log_det_sd", rh_json_real(s->sd));
  json_object_set_new(o, "log_det_low", rh_json_real(s->low));
  json_object_set_new(o, "log_det_where", rh_json_real(s->where));
  json_object_set_new(o, "latent_kurtosis", rh_json_real(s->kurtosis));
  json_object_set_new(o, "latent_kurtosis_most", rh_json_real(s->greatest));
  if (advice) json_object_set_new(o, "advice", json_string(advice));
}

static json_t *report_of(const rh_density *d, const findings *f) {
  char lost[RH_LOST_BYTES];
  json_t *o = json_object();
  json_object_set_new(o, "rows", json_integer(f->rows));
  json_object_set_new(o, "outside", json_integer(f->outside));
  json_object_set_new(o, "non_finite", json_integer(f->non_finite));
  json_object_set_new(o, "unfinished", json_integer(f->counts.unfinished));
  if (f->counts.unfinished) json_object_set_new(o, "unfinished_why", json_string(rh_lost_text(d->model, &f->counts, lost)));
  rh_solve_report_put(d, &f->counts, 0, o);
  json_object_set_new(o, "rounded", json_integer(f->rounded));
  json_object_set_new(o, "inverse_error", rh_json_real(f->inverse));
  json_object_set_new(o, "inverse_error_relative", rh_json_real(f->inverse_relative));
  if (f->row >= 0)
    json_object_set_new(o, "worst",
                        json_pack("{s:I, s:I, s:f, s:o}", "row", (json_int_t)f->row + 1, "column", (json_int_t)f->column + 1, "value",
                                  f->there, "back", rh_json_real(f->back)));
  rh_det_check_put(&f->det, d->model, o);
  rh_solve_check_put(&f->solve, o);
  json_object_set_new(o, "log_det_inverse_error", rh_json_real(f->det_inverse));
  json_object_set_new(o, "log_det_min", rh_json_real(f->det_least));
  json_object_set_new(o, "log_det_max", rh_json_real(f->det_most));
  put_stretch(o, &f->stretch);
  const bool ok = all_well(f, rh_density_real_bytes(d), d->model->flow->columns, rh_solver_tolerance(d->model));
  if (!ok && !f->counts.unfinished) json_object_set_new(o, "remedy", json_string(remedy_of(d, f)));
  json_object_set_new(o, "ok", json_boolean(ok));
  return o;
}

typedef struct check_options {
  rh_read_options read;
  int64_t rows, jacobians;
  uint64_t seed;
} check_options;

static rh_status fill_rows(rh_density *d, const rh_table *table, const check_options *o, rows_in *in) {
  const int64_t rows = table && rh_table_rows(table) < o->rows ? rh_table_rows(table) : o->rows;
  RH_TRY(rows_alloc(in, d->model->flow, rows));
  for (int64_t i = 0; i < rows; i++) in->number[i] = i;
  if (table) {
    rows_read(in, table);
    return RH_OK;
  }
  if (in->context && d->model->image.h) return rh_fail(RH_E_ARGUMENT, "check: give IMAGES, for the model is conditional on their labels");
  if (in->context) return rh_fail_no_rows(d->model, "check: give DATA, rows of the data and the context");
  rh_scorer *scorer;
  RH_TRY(rh_density_scorer(d, o->seed, 1, &scorer));
  return rh_sample(scorer, NULL, 0, rows, in->x, NULL);
}

/* The number of a column in a whole table. */
static rh_status whole_column(const rh_model *model, int64_t *column) {
  int64_t *order;
  RH_TRY(rh_whole_order(model, &order));
  *column = order[*column];
  rh_free(order);
  return RH_OK;
}

static rh_status check_rows(rh_density *d, const char *data, const check_options *o, findings *f) {
  *f = (findings){0};
  rh_table *table = NULL;
  if (!d->model->flow->body)
    return rh_fail(RH_E_UNSUPPORTED, "check: a mixture of %lld flows has no codes, so nothing to invert",
                   (long long)d->model->flow->components);
  if (data) RH_TRY(rh_read_rows(data, &o->read, d->model, &table));
  rows_in in = {0};
  rh_status status = fill_rows(d, table, o, &in);
  if (status == RH_OK) status = rh_solve_check_run(d, in.rows, in.x, &f->solve);
  if (status == RH_OK) status = soften(d, &in);
  if (status == RH_OK) deviations(&in);
  if (status == RH_OK && !d->model->image.h) status = round_rows(d, &in, &f->rounded);
  if (status == RH_OK) status = there_and_back(d, &in, &f->counts);
  if (status == RH_OK) {
    compare(&in, d->model->flow->exact || d->model->image.h, f);
    status = whole_column(d->model, &f->column);
  }
  if (status == RH_OK) status = rh_det_check_run(d, in.rows, in.x, in.ladj, o->jacobians, &f->det);
  if (status == RH_OK) {
    const rh_model *m = d->model;
    rh_base_scores(m->flow->base, &m->flow->leaves, &m->values, in.rows, in.latent + in.context, in.z, in.u, in.norm);
    status = rh_stretch_find(in.rows, in.latent, in.ladj, in.u, in.norm, &f->stretch);
  }
  rows_free(&in);
  rh_table_free(table);
  return status;
}

rh_status rh_check_file(rh_density *density, const char *data, const char *options, char **report) {
  if (!density) return rh_fail(RH_E_ARGUMENT, "rh_check_file: density must not be NULL");
  json_t *json;
  RH_TRY(rh_options_parse(options, &json));
  rh_options o = rh_options_begin(json, "options");
  check_options chosen;
  rh_read_options_read(&o, &chosen.read);
  chosen.rows = rh_options_int(&o, "rows", 1000, 1, 1000000000);
  chosen.read.labels = rh_options_text(&o, "labels", NULL);
  chosen.jacobians = rh_options_int(&o, "jacobians", density->model->image.h ? IMAGE_JACOBIANS : 10, 0, 1000000);
  chosen.seed = (uint64_t)rh_options_int(&o, "seed", 0, 0, INT64_MAX);
  rh_status status = rh_options_done(&o) == RH_OK ? RH_OK : RH_E_ARGUMENT;
  findings found;
  if (status == RH_OK) {
    rh_density_lock(density);
    status = check_rows(density, data, &chosen, &found);
    rh_density_unlock(density);
  }
  json_decref(json);
  return status == RH_OK ? rh_report_give(report_of(density, &found), report) : status;
}
