/* rh_reconstruct_file: images to codes and back. */
#include <math.h>
#include <string.h>

#include "api/image_rows.h"
#include "api/round_trip.h"
#include "api/row_job.h"
#include "base/memory.h"
#include "density/front.h"

typedef struct reconstruct_options {
  rh_read_options read;
  int64_t show;  /* images of the picture */
  double factor; /* of its errors; 0: so that the greatest can be seen */
} reconstruct_options;

typedef struct reconstruction {
  const rh_model *model;
  rh_scorer *scorer;
  rh_rows rows;
  int64_t d, piece;
  rh_round_trip trip;
  double *restored, *expected; /* [piece, d]: what comes back of y' and of y */
  int64_t n, exact, lost;      /* lost: not finite */
  double square, most;         /* of all errors y' - y, in the model's grey levels */
  int64_t show;
  double *shown; /* [show, 3, d]: original, restored, error */
} reconstruction;

static rh_status make_room(reconstruction *r) {
  enum { PIECE = 256 };
  r->piece = r->rows.rows < PIECE ? r->rows.rows : PIECE;
  r->restored = rh_alloc_zero((size_t)r->piece, (size_t)r->d * sizeof(double));
  r->expected = rh_alloc_zero((size_t)r->piece, (size_t)r->d * sizeof(double));
  r->shown = rh_alloc_zero((size_t)(3 * r->show + 1), (size_t)r->d * sizeof(double));
  RH_TRY(rh_round_trip_alloc(r->model->flow, r->piece, &r->trip));
  return r->restored && r->expected && r->shown ? RH_OK : RH_E_MEMORY;
}

static void free_room(reconstruction *r) {
  rh_round_trip_free(&r->trip);
  rh_free(r->restored);
  rh_free(r->expected);
  rh_free(r->shown);
}

static void look_at(reconstruction *r, int64_t number, int64_t i) {
  const int64_t d = r->d, c = r->model->flow->context;
  const double *y = r->trip.y + i * (d + c), *back = r->trip.back + i * d, *x = r->expected + i * d, *restored = r->restored + i * d;
  bool finite = true, same = true;
  for (int64_t j = 0; j < d; j++) {
    finite = finite && isfinite(back[j]);
    same = same && restored[j] == x[j];
  }
  r->n++;
  r->lost += !finite;
  r->exact += finite && same;
  for (int64_t j = 0; j < d && finite; j++) {
    const double error = back[j] - y[j];
    r->square += error * error;
    r->most = fmax(r->most, fabs(error));
  }
  if (number >= r->show) return;
  double *shown = r->shown + 3 * number * d;
  for (int64_t j = 0; j < d; j++) {
    shown[j] = x[j];
    shown[d + j] = finite ? restored[j] : 0;
    shown[2 * d + j] = finite ? fabs(back[j] - y[j]) : INFINITY;
  }
}

/* y or y', with the context -> what the preprocessing makes of it. */
static rh_status rounded(reconstruction *r, int64_t n, const double *y, double *out) {
  const rh_flow *f = r->model->flow;
  const rh_dense_rows dense = {n, r->d + f->context, y};
  const rh_rows rows = rh_rows_dense(&dense);
  return rh_score_split(r->scorer, RH_TASK_FRONT_BACK, &rows, 0, n, out, NULL);
}

static rh_status run_piece(reconstruction *r, int64_t first, int64_t n) {
  const rh_flow *f = r->model->flow;
  const int64_t c = f->context, d = r->d;
  RH_TRY(rh_round_trip_run(r->scorer, f, &r->rows, first, n, &r->trip));
  RH_TRY(rounded(r, n, r->trip.y, r->expected));
  double *wide = r->trip.back;
  if (c) { /* a copy: the errors want y' as it is */
    wide = rh_alloc((size_t)n * (size_t)(d + c) * sizeof *wide);
    if (!wide) return RH_E_MEMORY;
    memcpy(wide, r->trip.back, (size_t)(n * d) * sizeof *wide);
    rh_append_context(f, &r->rows, first, n, d, wide);
  }
  const rh_status status = rounded(r, n, wide, r->restored);
  if (c) rh_free(wide);
  for (int64_t i = 0; i < n && status == RH_OK; i++) look_at(r, first + i, i);
  return status;
}

/* A power of ten. */
static double factor_of(const reconstruction *r, double given) {
  const double levels = (1 << r->model->image.bits) - 1;
  return given > 0 ? given : r->most > 0 ? pow(10, floor(log10(levels / r->most))) : 1;
}

static rh_status write_picture(const reconstruction *r, double factor, const char *output) {
  const rh_model_image *image = &r->model->image;
  const rh_image_size size = rh_image_size_of(image, 3 * r->show, 3);
  const double scale = factor * fmin(size.white, (1 << image->data_bits) - 1) / ((1 << image->bits) - 1);
  rh_image_writer *writer = NULL;
  unsigned char *bytes = rh_alloc((size_t)(3 * r->show * r->d));
  if (!bytes) return RH_E_MEMORY;
  for (int64_t i = 0; i < r->show; i++)
    for (int64_t j = 0; j < r->d; j++) r->shown[(3 * i + 2) * r->d + j] *= scale;
  rh_image_bytes(image, 3 * r->show * r->d, r->shown, bytes);
  rh_status status = rh_image_writer_open(output, &size, &writer);
  if (status == RH_OK) {
    const rh_status put = rh_image_writer_put(writer, 3 * r->show, bytes); /* its failure sticks */
    status = rh_image_writer_commit(writer);
    if (put != RH_OK) status = put;
  }
  rh_free(bytes);
  return status;
}

static rh_status reconstruct(rh_density *d, const rh_table *table, const reconstruct_options *o, const char *output, json_t **report) {
  const rh_part part = {.table = table};
  reconstruction r = {.model = d->model, .rows = rh_rows_of(&part), .d = d->model->flow->columns};
  r.show = output ? (o->show < r.rows.rows ? o->show : r.rows.rows) : 0;
  rh_scorer_options how = d->options;
  how.middle = true;
  rh_status status = rh_scorer_create(d->model->flow, &d->model->values, &how, &r.scorer);
  if (status == RH_OK) status = make_room(&r);
  for (int64_t i = 0; i < r.rows.rows && status == RH_OK; i += r.piece) {
    const int64_t n = r.rows.rows - i < r.piece ? r.rows.rows - i : r.piece;
    status = atomic_load(&d->stop) ? rh_fail(RH_E_INTERRUPTED, "interrupted: an output file is as it was") : run_piece(&r, i, n);
  }
  const double factor = status == RH_OK ? factor_of(&r, o->factor) : 1, values = (double)(r.n - r.lost) * (double)r.d;
  if (status == RH_OK && output) status = write_picture(&r, factor, output);
  if (status == RH_OK) {
    *report = json_pack("{s:I, s:I, s:I}", "n", (json_int_t)r.n, "exact", (json_int_t)r.exact, "non_finite", (json_int_t)r.lost);
    json_object_set_new(*report, "rms", rh_json_real(sqrt(r.square / values)));
    json_object_set_new(*report, "max", rh_json_real(r.n > r.lost ? r.most : NAN));
    json_object_set_new(*report, "bits", json_integer(d->model->image.bits));
    if (output) json_object_set_new(*report, "factor", json_real(factor));
  }
  free_room(&r);
  rh_scorer_destroy(r.scorer);
  return status;
}

rh_status rh_reconstruct_file(rh_density *density, const char *images, const char *output, const char *options, char **report) {
  RH_TRY(rh_file_call_check("rh_reconstruct_file", density, images, output ? output : "-"));
  if (!density->model->image.h)
    return rh_fail(RH_E_ARGUMENT, "reconstruct: the model is one of a table, not of images: rheo check looks at it");
  if (!density->model->flow->body) return rh_fail(RH_E_ARGUMENT, "reconstruct: the model is a mixture, which has no codes");
  json_t *json, *made = NULL;
  RH_TRY(rh_options_parse(options, &json));
  rh_options o = rh_options_begin(json, "options");
  reconstruct_options chosen = {.read = {.labels = rh_options_text(&o, "labels", NULL)}};
  chosen.show = rh_options_int(&o, "show", 16, 1, 1 << 20);
  chosen.factor = rh_options_real(&o, "factor", 0, 0, 1e12);
  rh_table *table = NULL;
  rh_status status = rh_options_done(&o) == RH_OK ? RH_OK : RH_E_ARGUMENT;
  if (status == RH_OK) {
    rh_density_lock(density);
    status = rh_read_images(images, &chosen.read, density->model, &table);
    if (status == RH_OK) status = reconstruct(density, table, &chosen, output, &made);
    rh_density_unlock(density);
  }
  rh_table_free(table);
  json_decref(json);
  return status == RH_OK ? rh_report_give(made, report) : status;
}
