/* The face's calls over arrays. */
#include <string.h>

#include "api/conditional.h"
#include "api/row_job.h"
#include "base/memory.h"

/* The widths of a call's rows, by the model. */
typedef struct widths {
  int64_t data, context, latent;
} widths;

static widths widths_of(const rh_density *d) {
  const rh_flow *f = d->model->flow;
  return (widths){f->columns, f->context, f->latent};
}

int64_t rh_density_columns(const rh_density *density) {
  return density ? density->model->flow->columns : 0;
}

int64_t rh_density_context(const rh_density *density) {
  return density ? density->model->flow->context : 0;
}

int64_t rh_density_latent(const rh_density *density) {
  return density ? density->model->flow->latent : 0;
}

int rh_density_image(const rh_density *density, int64_t *h, int64_t *w, int64_t *c, int *bits, int *data_bits) {
  if (!density || !density->model->image.h) return 0;
  const rh_model_image *i = &density->model->image;
  if (h) *h = i->h;
  if (w) *w = i->w;
  if (c) *c = i->c;
  if (bits) *bits = i->bits;
  if (data_bits) *data_bits = i->data_bits;
  return 1;
}

/* Arguments of a call named `call`: a handle, rows >= 0, arrays where there are rows. */
static rh_status check(const char *call, const rh_density *density, int64_t rows, const void *in, const void *out) {
  if (!density) return rh_fail(RH_E_ARGUMENT, "%s: density must not be NULL", call);
  if (rows < 0) return rh_fail(RH_E_ARGUMENT, "%s: rows must not be negative, not %lld", call, (long long)rows);
  if (rows > 0 && (!in || !out)) return rh_fail(RH_E_ARGUMENT, "%s: an array is NULL", call);
  return RH_OK;
}

static rh_status finite(const char *call, int64_t rows, int64_t columns, const double *x) {
  if (columns > 0 && rows > INT64_MAX / 16 / columns)
    return rh_fail(RH_E_ARGUMENT, "%s: %lld rows of %lld numbers are more than there can be", call, (long long)rows, (long long)columns);
  for (int64_t i = 0; i < rows * columns; i++) {
    if (!(x[i] - x[i] == 0)) {
      return rh_fail(RH_E_DATA, "%s: row %lld, column %lld (from 0): %g is not a finite number", call, (long long)(i / columns),
                     (long long)(i % columns), x[i]);
    }
  }
  return RH_OK;
}

rh_status rh_density_log_prob(rh_density *density, int64_t rows, const double *x, double *log_prob) {
  RH_TRY(check("rh_density_log_prob", density, rows, x, log_prob));
  const widths w = widths_of(density);
  RH_TRY(finite("rh_density_log_prob", rows, w.data + w.context, x));
  RH_TRY(rh_check_context(density->model, "rh_density_log_prob", rows, w.data + w.context, w.data, x));
  const rh_dense_rows dense = {rows, w.data + w.context, x};
  const rh_rows source = rh_rows_dense(&dense);
  rh_scorer *scorer;
  rh_density_lock(density);
  rh_status status = rh_density_scorer(density, density->options.seed, density->options.temperature, &scorer);
  if (status == RH_OK) status = rh_score(scorer, &source, 0, rows, log_prob);
  rh_density_unlock(density);
  return status;
}

enum { PIECE = 4096, MOST_TIMES = 10000 };

rh_status rh_density_log_prob_f32(rh_density *density, int64_t rows, const float *x, float *log_prob) {
  RH_TRY(check("rh_density_log_prob_f32", density, rows, x, log_prob));
  const widths w = widths_of(density);
  const int64_t columns = w.data + w.context, piece = rows < PIECE ? rows : PIECE;
  double *wide = rh_alloc_zero((size_t)(piece + 1), (size_t)(columns + 1) * sizeof *wide);
  if (!wide) return RH_E_MEMORY;
  double *result = wide + piece * columns;
  rh_status status = RH_OK;
  for (int pass = 0; pass < 2 && status == RH_OK; pass++) { /* all rows are looked at before the first result is written */
    for (int64_t first = 0; first < rows && status == RH_OK; first += piece) {
      const int64_t n = rows - first < piece ? rows - first : piece;
      for (int64_t i = 0; i < n * columns; i++) wide[i] = (double)x[first * columns + i];
      if (pass == 0) {
        status = finite("rh_density_log_prob_f32", n, columns, wide);
        if (status == RH_OK) status = rh_check_context(density->model, "rh_density_log_prob_f32", n, columns, w.data, wide);
        continue;
      }
      status = rh_density_log_prob(density, n, wide, result);
      for (int64_t i = 0; i < n && status == RH_OK; i++) log_prob[first + i] = (float)result[i];
    }
  }
  rh_free(wide);
  return status;
}

/* Row i of the context belongs to sample first + i, and rh_sample numbers both alike. */
typedef struct context_rows {
  rh_dense_rows dense;
  int64_t first;
} context_rows;

static void get_context(const void *arg, int64_t first, int64_t n, const int64_t *row, int64_t column, int64_t columns, double *dst) {
  const context_rows *c = arg;
  const rh_rows dense = rh_rows_dense(&c->dense);
  if (!row) {
    dense.get(dense.arg, first - c->first, n, NULL, column, columns, dst);
    return;
  }
  for (int64_t i = 0; i < n; i++) dense.get(dense.arg, row[i] - c->first, 1, NULL, column, columns, dst + i * columns);
}

rh_status rh_density_sample(rh_density *density, uint64_t seed, double temperature, int64_t first, int64_t rows, const double *context,
                            double *x, double *log_prob) {
  RH_TRY(check("rh_density_sample", density, rows, x, x));
  const widths w = widths_of(density);
  if (first < 0) return rh_fail(RH_E_ARGUMENT, "rh_density_sample: first must not be negative, not %lld", (long long)first);
  if (first > INT64_MAX - rows)
    return rh_fail(RH_E_ARGUMENT, "rh_density_sample: there are no %lld samples from number %lld on", (long long)rows, (long long)first);
  if (!(temperature > 0 && temperature <= 1e6)) {
    return rh_fail(RH_E_ARGUMENT, "rh_density_sample: temperature must be above 0 and at most 1e6, not %g", temperature);
  }
  if ((w.context > 0) != (context != NULL) && rows > 0) {
    return rh_fail(RH_E_ARGUMENT, "rh_density_sample: the model has %lld context columns; context must be %s", (long long)w.context,
                   w.context ? "given" : "NULL");
  }
  if (context) RH_TRY(finite("rh_density_sample", rows, w.context, context));
  if (context) RH_TRY(rh_check_context(density->model, "rh_density_sample", rows, w.context, 0, context));
  const context_rows given = {{rows, w.context, context}, first};
  const rh_rows source = {.rows = first + rows, .columns = w.context, .get = get_context, .arg = &given};
  rh_scorer *scorer;
  rh_density_lock(density);
  rh_status status = rh_density_scorer(density, seed, temperature, &scorer);
  if (status == RH_OK) status = rh_sample(scorer, context ? &source : NULL, first, rows, x, log_prob);
  rh_density_unlock(density);
  return status;
}

typedef rh_status code_fn(rh_scorer *s, const rh_rows *rows, int64_t first, int64_t n, double *out, double *ladj);

static rh_status code(const char *call, code_fn *fn, rh_density *density, int64_t rows, int64_t columns, const double *in, double *out,
                      double *ladj) {
  const int64_t c = widths_of(density).context;
  RH_TRY(finite(call, rows, columns, in));
  RH_TRY(rh_check_context(density->model, call, rows, columns, columns - c, in));
  const rh_dense_rows dense = {rows, columns, in};
  const rh_rows source = rh_rows_dense(&dense);
  rh_scorer *scorer;
  rh_density_lock(density);
  rh_status status = rh_density_scorer(density, density->options.seed, density->options.temperature, &scorer);
  if (status == RH_OK) status = fn(scorer, &source, 0, rows, out, ladj);
  rh_density_unlock(density);
  return status;
}

rh_status rh_density_encode(rh_density *density, int64_t rows, const double *x, double *z, double *ladj) {
  RH_TRY(check("rh_density_encode", density, rows, x, z));
  const widths w = widths_of(density);
  return code("rh_density_encode", rh_encode, density, rows, w.data + w.context, x, z, ladj);
}

rh_status rh_density_decode(rh_density *density, int64_t rows, const double *z, double *x, double *ladj) {
  RH_TRY(check("rh_density_decode", density, rows, z, x));
  const widths w = widths_of(density);
  return code("rh_density_decode", rh_decode, density, rows, w.latent + w.context, z, x, ladj);
}

/* ---- paths ---- */

double rh_density_time(const rh_density *density) {
  return density && density->model->flow->body ? density->model->flow->body->time : 0;
}

/* Another plan for every time: paths are short lists, and each solve from the code on keeps the bits of the end. */
static rh_status states_at(rh_density *d, const rh_rows *codes, double time, double *x) {
  rh_scorer_options options = d->options;
  rh_scorer *scorer;
  options.time = time;
  RH_TRY(rh_scorer_create(d->model->flow, &d->model->values, &options, &scorer));
  const rh_status status = rh_decode(scorer, codes, 0, codes->rows, x, NULL);
  rh_scorer_destroy(scorer);
  return status;
}

rh_status rh_density_paths(rh_density *density, int64_t rows, const double *z, int64_t times, double *x) {
  RH_TRY(check("rh_density_paths", density, rows, z, x));
  const widths w = widths_of(density);
  const double time = rh_density_time(density);
  if (!(time > 0)) return rh_fail(RH_E_UNSUPPORTED, "rh_density_paths: the model solves no differential equation: it has no paths");
  if (times < 2 || times > MOST_TIMES)
    return rh_fail(RH_E_ARGUMENT, "rh_density_paths: times must be 2 to %d, not %lld", MOST_TIMES, (long long)times);
  RH_TRY(finite("rh_density_paths", rows, w.latent + w.context, z));
  RH_TRY(rh_check_context(density->model, "rh_density_paths", rows, w.latent + w.context, w.latent, z));
  double *at = rh_alloc_zero((size_t)(rows * times) + 1, (size_t)w.data * sizeof *at); /* [times, rows, d] */
  if (!at) return RH_E_MEMORY;
  const rh_dense_rows dense = {rows, w.latent + w.context, z};
  const rh_rows codes = rh_rows_dense(&dense);
  rh_status status = RH_OK;
  rh_density_lock(density);
  for (int64_t j = 0; j < times && status == RH_OK; j++)
    status = states_at(density, &codes, time * (double)(times - 1 - j) / (double)(times - 1), at + j * rows * w.data);
  rh_density_unlock(density);
  for (int64_t i = 0; i < rows * times && status == RH_OK; i++)
    memcpy(x + i * w.data, at + (i % times * rows + i / times) * w.data, (size_t)w.data * sizeof *x);
  rh_free(at);
  return status;
}

rh_status rh_density_given(rh_density *density, const char *values, double *context) {
  if (!density || !context) return rh_fail(RH_E_ARGUMENT, "rh_density_given: density and context must not be NULL");
  if (!density->model->flow->context) return rh_fail(RH_E_ARGUMENT, "the model is not conditional: it takes no context; leave it out");
  if (!values) return rh_fail_no_context(density->model);
  return rh_context_values(density->model, values, rh_density_cell(density) == RH_CELL_F4, context);
}

rh_status rh_density_category(const rh_density *density, int64_t column, const char *category, double *value) {
  if (!density || !category || !value) return rh_fail(RH_E_ARGUMENT, "rh_density_category: density, category and value must not be NULL");
  if (column < 0 || column >= widths_of(density).context)
    return rh_fail(RH_E_ARGUMENT, "rh_density_category: there is no context column %lld (from 0), the model has %lld", (long long)column,
                   (long long)widths_of(density).context);
  return rh_category_value(density->model, column, category, value);
}
