/* rh_interpolate_file, rh_attribute_file: images decoded from codes on a path. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "api/image_rows.h"
#include "api/row_job.h"
#include "base/memory.h"
#include "data/images.h"

/* Codes that are decoded one after another into one output. */
typedef struct walk {
  rh_density *density;
  rh_row_job job;
  double *x;       /* [columns + context], an image */
  double *code[3]; /* [latent] each */
  double *at;      /* [latent + context], what is decoded */
  int64_t done;
} walk;

static rh_status walk_open(walk *w, rh_density *d) {
  const rh_flow *f = d->model->flow;
  *w = (walk){.density = d, .job = {.density = d, .name = "image"}};
  w->x = rh_alloc_zero((size_t)(f->columns + f->context), sizeof(double));
  w->at = rh_alloc_zero((size_t)(f->latent + f->context), sizeof(double));
  for (int i = 0; i < 3; i++) {
    w->code[i] = rh_alloc_zero((size_t)f->latent, sizeof(double));
    if (!w->code[i]) return RH_E_MEMORY;
  }
  if (!w->x || !w->at) return RH_E_MEMORY;
  return rh_density_scorer(d, d->options.seed, d->options.temperature, &w->job.scorer);
}

static rh_status walk_close(walk *w, rh_status status) {
  rh_free(w->x);
  rh_free(w->at);
  for (int i = 0; i < 3; i++) rh_free(w->code[i]);
  return rh_row_job_close(&w->job, status);
}

/* The code of the image in w->x; where says whose. */
static rh_status encode_one(walk *w, const char *where, double *code) {
  const rh_flow *f = w->density->model->flow;
  const rh_dense_rows one = {1, f->columns + f->context, w->x};
  const rh_rows rows = rh_rows_dense(&one);
  RH_TRY(rh_encode(w->job.scorer, &rows, 0, 1, code, NULL));
  for (int64_t i = 0; i < f->latent; i++)
    if (!isfinite(code[i])) return rh_fail(RH_E_NUMERIC, "%s: has no code: its density is 0", where);
  return RH_OK;
}

/* The code in w->at is the next image. */
static rh_status decode_next(walk *w) {
  const rh_flow *f = w->density->model->flow;
  const rh_dense_rows one = {1, f->latent + f->context, w->at};
  const rh_rows rows = rh_rows_dense(&one);
  RH_TRY(rh_row_job_go_on(&w->job));
  RH_TRY(rh_decode(w->job.scorer, &rows, 0, 1, w->job.out, NULL));
  RH_TRY(rh_row_job_finite(&w->job, w->done, 1, "decodes to no finite numbers: the code lies too far out"));
  w->done++;
  return rh_row_job_put(&w->job, w->done - 1, 1);
}

static void context_of(walk *w) {
  const rh_flow *f = w->density->model->flow;
  if (f->context) memcpy(w->at + f->latent, w->x + f->columns, (size_t)f->context * sizeof(double));
}

/* ---- between two images ---- */

typedef struct path_options {
  rh_read_options read;
  const char *klass;
  int64_t steps;
  int sphere;
} path_options;

static double dot(int64_t n, const double *a, const double *b) {
  double sum = 0;
  for (int64_t i = 0; i < n; i++) sum += a[i] * b[i];
  return sum;
}

/* Weights of both ends at t in [0, 1]: on a line, or along the great circle through them (slerp, Shoemake 1985), lengths changing evenly.
 */
static void weights(int sphere, double angle, double t, double *a, double *b) {
  const double s = sin(angle);
  *a = sphere && s > 1e-6 ? sin((1 - t) * angle) / s : 1 - t;
  *b = sphere && s > 1e-6 ? sin(t * angle) / s : t;
}

static rh_status walk_path(walk *w, const path_options *o, json_t **report) {
  const int64_t n = w->density->model->flow->latent;
  const double *a = w->code[0], *b = w->code[1];
  const double aa = sqrt(dot(n, a, a)), bb = sqrt(dot(n, b, b)), cosine = dot(n, a, b) / fmax(aa * bb, 1e-300);
  const double angle = acos(fmin(fmax(cosine, -1), 1)), distance = sqrt(fmax(aa * aa + bb * bb - 2 * dot(n, a, b), 0));
  for (int64_t k = 0; k < o->steps; k++) {
    const double t = (double)k / (double)(o->steps - 1);
    double of_a, of_b;
    weights(o->sphere, angle, t, &of_a, &of_b);
    for (int64_t i = 0; i < n; i++) w->at[i] = of_a * a[i] + of_b * b[i];
    RH_TRY(decode_next(w));
  }
  *report = json_pack("{s:I, s:f, s:f}", "images", (json_int_t)o->steps, "distance", distance, "angle", angle);
  return *report ? RH_OK : rh_fail(RH_E_MEMORY, "out of memory for the report");
}

static rh_status interpolate(rh_density *d, const char *a, const char *b, const path_options *o, const char *output, json_t **report) {
  const rh_flow *f = d->model->flow;
  const char *const ends[] = {a, b};
  double klass[2] = {0, 0};
  walk w;
  rh_status status = walk_open(&w, d);
  for (int i = 0; i < 2 && status == RH_OK; i++) {
    status = rh_read_image(ends[i], &o->read, o->klass, d->model, w.x);
    if (status == RH_OK) status = encode_one(&w, ends[i], w.code[i]);
    if (f->context) klass[i] = w.x[f->columns];
  }
  if (status == RH_OK && klass[0] != klass[1])
    status = rh_fail(RH_E_ARGUMENT, "interpolate: %s and %s are of two classes: say in which one the path lies (--class)", a, b);
  if (status == RH_OK) status = rh_row_job_open_images(&w.job, output, o->steps, o->steps);
  if (status == RH_OK) {
    context_of(&w);
    status = walk_path(&w, o, report);
  }
  return walk_close(&w, status);
}

static rh_status check_images(const char *call, const rh_density *d) {
  if (d->model->image.h && d->model->flow->body) return RH_OK;
  return rh_fail(RH_E_ARGUMENT, "%s: the model is %s", call,
                 d->model->image.h ? "a mixture, which has no codes" : "one of a table, not of images");
}

rh_status rh_interpolate_file(rh_density *density, const char *a, const char *b, const char *output, const char *options, char **report) {
  static const char *const paths[] = {"line", "sphere", NULL};
  if (!b) return rh_fail(RH_E_ARGUMENT, "rh_interpolate_file: b must not be NULL");
  RH_TRY(rh_file_call_check("rh_interpolate_file", density, a, output));
  RH_TRY(rh_refuse_same(output, b));
  RH_TRY(check_images("interpolate", density));
  json_t *json, *made = NULL;
  RH_TRY(rh_options_parse(options, &json));
  rh_options o = rh_options_begin(json, "options");
  path_options chosen = {.read = {.labels = rh_options_text(&o, "labels", NULL)}};
  chosen.klass = rh_options_text(&o, "class", NULL);
  chosen.steps = rh_options_int(&o, "steps", 8, 2, 1 << 16);
  chosen.sphere = rh_options_choice(&o, "path", 0, paths);
  rh_status status = rh_options_done(&o) == RH_OK ? RH_OK : RH_E_ARGUMENT;
  if (status == RH_OK) {
    rh_density_lock(density);
    status = interpolate(density, a, b, &chosen, output, &made);
    rh_density_unlock(density);
  }
  json_decref(json);
  if (status == RH_OK) return rh_report_give(made, report);
  json_decref(made);
  return status;
}

/* ---- along an attribute ---- */

enum { STRENGTHS = 64 };
typedef struct attribute_options {
  rh_read_options read;
  const char *klass[2]; /* from, to */
  double strength[STRENGTHS];
  int64_t strengths;
} attribute_options;

/* The labels that are of a class, by its name or number. */
static rh_status label_value(const char *data, const rh_table *table, const char *klass, double *value) {
  const rh_column_facts facts = rh_table_facts(table, rh_table_columns(table) - 1);
  char *end;
  for (int64_t i = 0; i < facts.n_texts; i++) {
    if (strcmp(facts.texts[i], klass) != 0) continue;
    *value = (double)i;
    return RH_OK;
  }
  *value = strtod(klass, &end);
  if (end != klass && !*end) return RH_OK;
  return rh_fail(RH_E_ARGUMENT, "%s: no image has the label '%.60s'", data, klass);
}

/* The images of a class: row[*n]. */
static rh_status find_class(const char *data, const rh_table *table, const char *klass, int64_t *row, int64_t *n) {
  enum { PIECE = 256 };
  double value, label[PIECE];
  RH_TRY(label_value(data, table, klass, &value));
  *n = 0;
  for (int64_t i = 0; i < rh_table_rows(table); i += PIECE) {
    const int64_t some = rh_table_rows(table) - i < PIECE ? rh_table_rows(table) - i : PIECE;
    rh_table_column_f64(table, rh_table_columns(table) - 1, NULL, i, some, label);
    for (int64_t k = 0; k < some; k++)
      if (label[k] == value) row[(*n)++] = i + k;
  }
  return *n ? RH_OK : rh_fail(RH_E_ARGUMENT, "%s: no image has the label '%.60s'", data, klass);
}

/* Added up in order, so that it has the same bits always. */
static rh_status mean_of(walk *w, const char *data, const rh_part *part, double *mean) {
  enum { PIECE = 64 };
  const rh_rows rows = rh_rows_of(part);
  const int64_t latent = w->density->model->flow->latent;
  double *z = rh_alloc_zero(PIECE, (size_t)latent * sizeof *z);
  rh_status status = z ? RH_OK : RH_E_MEMORY;
  for (int64_t i = 0; i < part->n && status == RH_OK; i += PIECE) {
    const int64_t n = part->n - i < PIECE ? part->n - i : PIECE;
    status = rh_row_job_go_on(&w->job);
    if (status == RH_OK) status = rh_encode(w->job.scorer, &rows, i, n, z, NULL);
    for (int64_t k = 0; k < n * latent && status == RH_OK; k++) {
      if (!isfinite(z[k]))
        status = rh_fail(RH_E_NUMERIC, "%s: image %lld has no code: its density is 0", data, (long long)part->row[i + k / latent] + 1);
      mean[k % latent] += (z[k] - mean[k % latent]) / (double)(i + k / latent + 1);
    }
  }
  rh_free(z);
  return status;
}

/* The mean code of the images of a class. */
static rh_status mean_code(walk *w, const char *data, const rh_table *table, const char *klass, double *mean, int64_t *count) {
  const int64_t d = w->density->model->flow->columns, n = rh_table_rows(table), most = n > d ? n : d;
  int64_t *index = rh_alloc((size_t)most * sizeof *index);
  rh_table *view = NULL;
  for (int64_t j = 0; j < d && index; j++) index[j] = j;
  rh_status status = index ? rh_table_view(table, index, d, &view) : RH_E_MEMORY;
  if (status == RH_OK) status = find_class(data, table, klass, index, count);
  if (status == RH_OK) {
    const rh_part part = {.table = view, .row = index, .n = *count};
    status = mean_of(w, data, &part, mean);
  }
  rh_table_free(view);
  rh_free(index);
  return status;
}

/* code[2] = mean(to) - mean(from) (Kingma & Dhariwal 2018, section 5) */
static rh_status direction(walk *w, const char *data, const rh_table *table, const attribute_options *o, json_t *report) {
  static const char *const keys[] = {"from", "to"};
  for (int i = 0; i < 2; i++) {
    int64_t count;
    RH_TRY(mean_code(w, data, table, o->klass[i], w->code[i], &count));
    json_object_set_new(report, keys[i], json_integer(count));
  }
  for (int64_t k = 0; k < w->density->model->flow->latent; k++) w->code[2][k] = w->code[1][k] - w->code[0][k];
  return RH_OK;
}

static rh_status walk_image(walk *w, const char *where, const attribute_options *o) {
  RH_TRY(rh_read_image(where, &o->read, NULL, w->density->model, w->x));
  RH_TRY(encode_one(w, where, w->code[0]));
  for (int64_t s = 0; s < o->strengths; s++) {
    for (int64_t k = 0; k < w->density->model->flow->latent; k++) w->at[k] = w->code[0][k] + o->strength[s] * w->code[2][k];
    RH_TRY(decode_next(w));
  }
  return RH_OK;
}

/* Labels that only tell groups apart. */
static rh_status read_groups(const char *data, const rh_model *m, const char *labels, rh_table **table) {
  const rh_image_options images = {.labels = rh_image_labels(labels)};
  RH_TRY(rh_images_read(data, &images, table));
  const rh_image_facts *image = rh_table_image(*table);
  if (image->h == m->image.h && image->w == m->image.w && image->c == m->image.c)
    return rh_image_beyond(data, *table, m->image.data_bits, "the model");
  return rh_fail(RH_E_SHAPE, "%s: its images are of another shape than the model's", data);
}

static rh_status attribute(rh_density *d, const char *data, int n, const char *const *images, const attribute_options *o,
                           const char *labels, const char *output, json_t *report) {
  rh_table *table = NULL;
  walk w;
  rh_status status = walk_open(&w, d);
  if (status == RH_OK) status = read_groups(data, d->model, labels, &table);
  if (status == RH_OK) status = rh_row_job_open_images(&w.job, output, n * o->strengths, o->strengths);
  if (status == RH_OK) status = direction(&w, data, table, o, report);
  if (status == RH_OK) {
    const int64_t latent = d->model->flow->latent;
    json_object_set_new(report, "length", json_real(sqrt(dot(latent, w.code[2], w.code[2]))));
  }
  for (int i = 0; i < n && status == RH_OK; i++) status = walk_image(&w, images[i], o);
  rh_table_free(table);
  return walk_close(&w, status);
}

static rh_status read_strengths(const json_t *list, attribute_options *o) {
  static const double usual[] = {-1, -0.5, 0, 0.5, 1};
  o->strengths = list ? (int64_t)json_array_size(list) : (int64_t)RH_COUNT_OF(usual);
  if (o->strengths < 1 || o->strengths > STRENGTHS)
    return rh_fail(RH_E_ARGUMENT, "options.strengths: give a list of 1 to %d numbers, such as -1,0,1", STRENGTHS);
  for (int64_t i = 0; i < o->strengths; i++) {
    const json_t *item = json_array_get(list, (size_t)i);
    o->strength[i] = list ? json_number_value(item) : usual[i];
    if (list && !json_is_number(item)) return rh_fail(RH_E_ARGUMENT, "options.strengths: number %lld is none", (long long)i + 1);
  }
  return RH_OK;
}

rh_status rh_attribute_file(rh_density *density, const char *data, int n, const char *const *images, const char *output,
                            const char *options, char **report) {
  RH_TRY(rh_file_call_check("rh_attribute_file", density, data, output));
  if (n < 1 || !images) return rh_fail(RH_E_ARGUMENT, "rh_attribute_file: give at least one image");
  for (int i = 0; i < n; i++) RH_TRY(rh_refuse_same(output, images[i]));
  RH_TRY(check_images("attribute", density));
  if (density->model->flow->context)
    return rh_fail(RH_E_ARGUMENT, "attribute: the model is conditional: its classes are the attribute (rheo sample --class)");
  json_t *json;
  RH_TRY(rh_options_parse(options, &json));
  rh_options o = rh_options_begin(json, "options");
  attribute_options chosen = {.klass = {rh_options_text(&o, "from", NULL), rh_options_text(&o, "to", NULL)}};
  const char *labels = rh_options_text(&o, "labels", "own");
  const json_t *strengths = rh_options_json(&o, "strengths");
  rh_status status = rh_options_done(&o) == RH_OK ? RH_OK : RH_E_ARGUMENT;
  if (status == RH_OK && (!chosen.klass[0] || !chosen.klass[1]))
    status = rh_fail(RH_E_ARGUMENT, "attribute: from which label to which? give both (--from, --to)");
  if (status == RH_OK) status = read_strengths(strengths, &chosen);
  json_t *made = json_pack("{s:I}", "images", (json_int_t)n * chosen.strengths);
  if (status == RH_OK) {
    rh_density_lock(density);
    status = attribute(density, data, n, images, &chosen, labels, output, made);
    rh_density_unlock(density);
  }
  json_decref(json);
  if (status == RH_OK) return rh_report_give(made, report);
  json_decref(made);
  return status;
}
