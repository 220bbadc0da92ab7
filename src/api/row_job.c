#include "api/row_job.h"

#include <math.h>
#include <string.h>

#include "api/conditional.h"
#include "api/solve_report.h"
#include "base/memory.h"

enum { PIECE_ROWS = 1 << 16, PIECE_NUMBERS = 1 << 20, PIECE_LEAST = 256 };

static int64_t piece_rows(int64_t rows, int64_t width) {
  int64_t piece = PIECE_NUMBERS / (width + 1);
  if (piece > PIECE_ROWS) piece = PIECE_ROWS;
  if (piece < PIECE_LEAST) piece = PIECE_LEAST;
  if (piece > rows) piece = rows;
  return piece > 0 ? piece : 1; /* a table of no rows is a table too */
}

rh_cell rh_density_cell(const rh_density *d) {
  return rh_density_real_bytes(d) == 4 ? RH_CELL_F4 : RH_CELL_F8;
}

rh_status rh_row_job_context(rh_row_job *j, const rh_model *m, bool codes) {
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
static rh_status job_categories(rh_row_job *j, const rh_context_encoder *encoder) {
  j->given = rh_alloc_zero((size_t)j->piece, (size_t)j->context * sizeof(double));
  j->wide = rh_alloc_zero((size_t)j->piece, (size_t)(j->width + j->context) * sizeof(double));
  if (!j->given || !j->wide) return RH_E_MEMORY;
  for (int64_t i = 0; encoder && i < j->context; i++) {
    const rh_context_column *c = &encoder->column[i];
    if (c->texts) RH_TRY(rh_table_writer_texts(j->writer, j->order[j->width + i], c->texts, c->n));
  }
  return RH_OK;
}

rh_status rh_row_job_open(rh_row_job *j, const char *output, int64_t rows, int64_t width, const char *const *names) {
  j->width = width;
  j->piece = piece_rows(rows, width);
  j->out = rh_alloc_zero((size_t)j->piece, (size_t)width * sizeof(double));
  if (!j->out) return RH_E_MEMORY;
  if (!output) return RH_OK;
  if (!j->order) return rh_table_writer_open(output, rows, width, names, rh_density_cell(j->density), &j->writer);
  RH_TRY(rh_table_writer_open(output, rows, width + j->context, j->names, rh_density_cell(j->density), &j->writer));
  return job_categories(j, j->density->model->flow->encoder);
}

void rh_image_bytes(const rh_model_image *image, int64_t n, const double *values, unsigned char *bytes) {
  const double most = (1 << image->data_bits) - 1;
  for (int64_t i = 0; i < n; i++) bytes[i] = (unsigned char)(fmin(fmax(values[i], 0), most) + 0.5);
}

/* Less than 8 bits would be dark: the brightest value of the fit is white. */
rh_image_size rh_image_size_of(const rh_model_image *i, int64_t n, int64_t columns) {
  const int white = i->data_bits == 8 || i->greatest == 0 ? 255 : i->greatest;
  return (rh_image_size){.n = n, .h = i->h, .w = i->w, .c = i->c, .white = white, .columns = columns};
}

rh_status rh_row_job_open_images(rh_row_job *j, const char *output, int64_t rows, int64_t columns) {
  const rh_model_image *image = &j->density->model->image;
  const rh_image_size size = rh_image_size_of(image, rows, columns);
  RH_TRY(rh_row_job_open(j, NULL, rows, image->h * image->w * image->c, NULL));
  j->pixels = rh_alloc((size_t)(j->piece * j->width));
  if (!j->pixels) return RH_E_MEMORY;
  return rh_image_writer_open(output, &size, &j->images);
}

rh_status rh_row_job_put(rh_row_job *j, int64_t first, int64_t n) {
  if (j->images) {
    rh_image_bytes(&j->density->model->image, n * j->width, j->out, j->pixels);
    return rh_image_writer_put(j->images, n, j->pixels);
  }
  if (!j->order) return rh_table_writer_put_f64(j->writer, n, j->out);
  const int64_t width = j->width, c = j->context;
  j->rows.get(j->rows.arg, first, n, NULL, j->rows.columns - c, c, j->given);
  for (int64_t i = 0; i < n; i++)
    for (int64_t k = 0; k < width + c; k++)
      j->wide[i * (width + c) + j->order[k]] = k < width ? j->out[i * width + k] : j->given[i * c + k - width];
  return rh_table_writer_put_f64(j->writer, n, j->wide);
}

rh_status rh_row_job_close(rh_row_job *j, rh_status status) {
  rh_free(j->out);
  rh_free(j->order);
  rh_free(j->given);
  rh_free(j->wide);
  rh_free((void *)j->names);
  rh_free(j->code_names);
  rh_free(j->pixels);
  if (j->images && status == RH_OK) return rh_image_writer_commit(j->images);
  if (j->images) rh_image_writer_discard(j->images);
  if (!j->writer) return status;
  if (status == RH_OK) return rh_table_writer_commit(j->writer);
  rh_table_writer_discard(j->writer);
  return status;
}

rh_status rh_row_job_go_on(const rh_row_job *j) {
  return atomic_load(&j->density->stop) ? rh_fail(RH_E_INTERRUPTED, "interrupted: an output file is as it was") : RH_OK;
}

rh_status rh_row_job_finite(const rh_row_job *j, int64_t first, int64_t n, const char *why) {
  char lost[RH_LOST_BYTES];
  const rh_ode_report counts = rh_density_count(j->density);
  for (int64_t i = 0; i < n; i++)
    for (int64_t k = 0; k < j->width; k++)
      if (!isfinite(j->out[i * j->width + k]))
        return rh_fail(RH_E_NUMERIC, "%s: row %lld %s", j->name, (long long)(first + i) + 1,
                       counts.unfinished ? rh_lost_text(j->density->model, &counts, lost) : why);
  if (!counts.unfinished) return RH_OK;
  return rh_fail(RH_E_NUMERIC, "%s: among rows %lld to %lld one %s", j->name, (long long)first + 1, (long long)(first + n),
                 rh_lost_text(j->density->model, &counts, lost));
}

rh_status rh_rows_report(const rh_density *d, int64_t rows, int64_t columns, json_t *notes, char **report) {
  json_t *o = json_pack("{s:I, s:I}", "rows", (json_int_t)rows, "columns", (json_int_t)columns);
  rh_solve_report_put(d, &d->counts, rows, o);
  if (notes) json_object_set_new(o, "notes", notes);
  return rh_report_give(o, report);
}

rh_status rh_images_report(const rh_model *m, int64_t n, char **report) {
  const rh_model_image *i = &m->image;
  return rh_report_give(
      json_pack("{s:I, s:[I, I, I]}", "images", (json_int_t)n, "shape", (json_int_t)i->h, (json_int_t)i->w, (json_int_t)i->c), report);
}

rh_status rh_file_call_check(const char *call, const rh_density *density, const char *path, const char *output) {
  if (!density) return rh_fail(RH_E_ARGUMENT, "%s: density must not be NULL", call);
  if (!path) return rh_fail(RH_E_ARGUMENT, "%s: the data's path must not be NULL", call);
  if (!output) return rh_fail(RH_E_ARGUMENT, "%s: the output's path must not be NULL", call);
  RH_TRY(rh_refuse_same(output, density->path));
  return rh_refuse_same(output, path);
}
