#include "model/model.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/memory.h"
#include "base/options.h"
#include "model/safetensors.h"

enum { COLUMNS_MOST = 1 << 24, PARTS_TIMES_COLUMNS = 1 << 26, PER_FILE_BYTE = 64 };

static rh_st_dtype st_dtype(int real_bytes) {
  return real_bytes == 8 ? RH_ST_F64 : RH_ST_F32;
}

static const char *dtype_name(int real_bytes) {
  return real_bytes == 8 ? "f64" : "f32";
}

double rh_model_bytes_needed(const rh_flow *flow, int real_bytes) {
  return ((double)flow->leaves.total[RH_PARAM] + (double)flow->leaves.total[RH_STATE]) * real_bytes;
}

int rh_values_bad_leaf(const rh_leaves *leaves, const rh_values *values) {
  for (int64_t l = 0; l < leaves->n; l++) {
    const void *data = rh_values_at(leaves, values, (int)l);
    for (int64_t i = 0; i < leaves->leaf[l].count; i++)
      if (!isfinite(values->real_bytes == 8 ? ((const double *)data)[i] : (double)((const float *)data)[i])) return (int)l;
  }
  return -1;
}

rh_status rh_values_cast(const rh_leaves *leaves, const rh_values *from, int real_bytes, rh_values *to) {
  rh_values fresh;
  RH_TRY(rh_values_create(leaves, real_bytes, &fresh));
  for (int64_t l = 0; l < leaves->n; l++)
    for (int64_t i = 0; i < leaves->leaf[l].count; i++) rh_values_set(leaves, &fresh, (int)l, i, rh_values_get(leaves, from, (int)l, i));
  *to = fresh;
  return RH_OK;
}

/* ---- making one ---- */

void rh_model_destroy(rh_model *m) {
  if (!m) return;
  if (m->flow) rh_values_free(&m->values);
  rh_flow_destroy(m->flow);
  json_decref(m->columns);
  json_decref(m->handling);
  json_decref(m->fit);
  rh_free(m);
}

static double machine_bytes(void) {
  const long pages = sysconf(_SC_PHYS_PAGES), page = sysconf(_SC_PAGESIZE);
  return pages > 0 && page > 0 ? (double)pages * (double)page : INFINITY;
}

static rh_status check_fits(const rh_flow *flow, int real_bytes, int copies, double limit) {
  const double need = rh_model_bytes_needed(flow, real_bytes) * copies;
  if (limit <= 0) limit = machine_bytes();
  if (need <= limit) return RH_OK;
  return rh_fail(RH_E_MEMORY, "the specification has %" PRId64 " parameters: %.3g GB are needed, %.3g GB are there; make the model smaller",
                 flow->leaves.params, need * 1e-9, limit * 1e-9);
}

rh_status rh_model_create(const json_t *spec, int real_bytes, uint64_t seed, int copies, double limit_bytes, rh_model **model) {
  if (real_bytes != 4 && real_bytes != 8) return rh_fail(RH_E_ARGUMENT, "a model's precision must be 4 or 8 bytes, not %d", real_bytes);
  rh_model *m = rh_alloc_zero(1, sizeof *m);
  if (!m) return RH_E_MEMORY;
  rh_status status = rh_flow_create(spec, &m->flow);
  if (status == RH_OK) status = check_fits(m->flow, real_bytes, copies, limit_bytes);
  if (status == RH_OK) status = rh_values_create(&m->flow->leaves, real_bytes, &m->values);
  if (status != RH_OK) {
    rh_model_destroy(m);
    return status;
  }
  rh_values_init(&m->flow->leaves, seed, &m->values);
  *model = m;
  return RH_OK;
}

/* ---- images ---- */

json_t *rh_model_image_json(const rh_model_image *i) {
  return json_pack("{s:[I, I, I], s:i, s:i, s:i}", "shape", (json_int_t)i->h, (json_int_t)i->w, (json_int_t)i->c, "bits", i->bits,
                   "data_bits", i->data_bits, "greatest", i->greatest);
}

/* The context of images is one label. */
static rh_status image_of(const json_t *section, const rh_flow *flow, rh_model_image *image) {
  enum { BITS = 8 };
  const int64_t columns = flow->columns;
  const bool labelled = flow->context == 1 && flow->encoder && flow->encoder->column[0].n > 0;
  json_int_t h, w, c;
  rh_model_image i = {0};
  const bool read = json_unpack_ex((json_t *)(uintptr_t)section, NULL, JSON_STRICT, "{s:[I, I, I], s:i, s:i, s:i}", "shape", &h, &w, &c,
                                   "bits", &i.bits, "data_bits", &i.data_bits, "greatest", &i.greatest) == 0;
  const bool shaped = read && h >= 1 && w >= 1 && (c == 1 || c == 3) && h <= columns && w <= columns / h && h * w * c == columns;
  if (!shaped || (flow->context && !labelled) || i.bits < 1 || i.bits > i.data_bits || i.data_bits > BITS || i.greatest < 0 ||
      i.greatest >= 1 << i.data_bits)
    return rh_fail(RH_E_FORMAT, "the metadata's \"image\" is none of rows of %" PRId64 " columns", columns);
  i.h = h, i.w = w, i.c = c;
  *image = i;
  return RH_OK;
}

/* ---- writing ---- */

static rh_status add_section(rh_st_builder *b, const char *key, const json_t *value) {
  if (!value) return RH_OK;
  char *text = rh_json_text(value);
  if (!text) return rh_fail(RH_E_MEMORY, "out of memory writing the model's %s", key);
  const rh_status status = rh_st_add_meta(b, key, text);
  free(text);
  return status;
}

static rh_status add_image(rh_st_builder *b, const rh_model_image *image) {
  if (!image->h) return RH_OK;
  json_t *section = rh_model_image_json(image);
  if (!section) return rh_fail(RH_E_MEMORY, "out of memory writing the model's image");
  const rh_status status = add_section(b, "image", section);
  json_decref(section);
  return status;
}

static rh_status fill_builder(rh_st_builder *b, const rh_model *m) {
  const rh_leaves *leaves = &m->flow->leaves;
  const int bad = rh_values_bad_leaf(leaves, &m->values);
  if (bad >= 0)
    return rh_fail(RH_E_NUMERIC, "'%s' holds a number that is not finite: the model is not written; fit it again at a lower rate",
                   leaves->leaf[bad].name);
  for (int64_t l = 0; l < leaves->n; l++) {
    const rh_leaf *leaf = &leaves->leaf[l];
    RH_TRY(rh_st_add(b, leaf->name, st_dtype(m->values.real_bytes), leaf->shape.rank, leaf->shape.dim,
                     rh_values_at(leaves, &m->values, (int)l)));
  }
  RH_TRY(rh_st_add_meta(b, "rheo", RH_MODEL_FORMAT));
  RH_TRY(rh_st_add_meta(b, "dtype", dtype_name(m->values.real_bytes)));
  RH_TRY(add_section(b, "spec", m->flow->spec));
  RH_TRY(add_section(b, "columns", m->columns));
  RH_TRY(add_section(b, "handling", m->handling));
  RH_TRY(add_section(b, "fit", m->fit));
  RH_TRY(add_image(b, &m->image));
  return rh_st_seal(b);
}

rh_status rh_model_save(const rh_model *model, const char *path) {
  rh_st_builder *b;
  RH_TRY(rh_st_begin(&b));
  rh_status status = fill_builder(b, model);
  if (status == RH_OK) status = rh_st_write(b, path);
  rh_st_end(b);
  return status;
}

rh_status rh_model_bytes(const rh_model *model, unsigned char **bytes, size_t *n) {
  rh_st_builder *b;
  RH_TRY(rh_st_begin(&b));
  rh_status status = fill_builder(b, model);
  if (status == RH_OK) status = rh_st_bytes(b, bytes, n);
  rh_st_end(b);
  return status;
}

/* ---- reading ---- */

/* The metadata's section `key` as JSON of that type; absent: NULL, or an error if it must be there. */
static rh_status read_section(const rh_st *st, const char *key, bool must, json_type type, json_t **out) {
  const char *text = rh_st_meta(st, key);
  if (!text && !must) return RH_OK;
  if (!text) return rh_fail(RH_E_FORMAT, "the metadata has no \"%s\"", key);
  json_t *value = NULL;
  RH_TRY(rh_json_parse(text, strlen(text), key, &value));
  if (json_typeof(value) != type) {
    json_decref(value);
    return rh_fail(RH_E_FORMAT, "the metadata's \"%s\" is not %s", key, type == JSON_ARRAY ? "an array" : "an object");
  }
  *out = value;
  return RH_OK;
}

/* Objects in a JSON value: a part of the flow is one. Its depth is bounded by rh_json_parse. */
static double count_objects(const json_t *value) {
  double n = json_is_object(value);
  const char *key;
  json_t *item;
  size_t i;
  json_object_foreach((json_t *)(uintptr_t)value, key, item) n += count_objects(item);
  json_array_foreach(value, i, item) n += count_objects(item);
  return n;
}

/* A specification must not ask for far more work or memory than the file that holds its tensors shows to be real. */
static rh_status check_size(const json_t *spec, const rh_st *st) {
  double file = 0;
  for (int64_t i = 0; i < rh_st_count(st); i++) file += (double)rh_st_at(st, i)->bytes;
  const json_t *columns = json_object_get(spec, "columns"), *context = json_object_get(spec, "context");
  const double wide = json_number_value(columns) + json_number_value(context);
  if (!(wide >= 1 && wide <= COLUMNS_MOST))
    return rh_fail(RH_E_FORMAT, "the specification has %.17g columns: 1 to %d can be read", wide, COLUMNS_MOST);
  const double work = wide * count_objects(spec), most = fmax(PARTS_TIMES_COLUMNS, file * PER_FILE_BYTE);
  if (work > most)
    return rh_fail(RH_E_FORMAT,
                   "the specification's parts times its columns are %.3g, more than its %.3g bytes of tensors allow (%.3g): not a model "
                   "that rheo wrote",
                   work, file, most);
  return RH_OK;
}

/* Every leaf has its tensor, of its shape, and there is no other. */
static rh_status check_tensors(const rh_leaves *leaves, const rh_st *st) {
  const rh_st_tensor *t;
  for (int64_t l = 0; l < leaves->n; l++) {
    const rh_leaf *leaf = &leaves->leaf[l];
    RH_TRY(rh_st_get(st, leaf->name, leaf->shape.rank, leaf->shape.dim, &t));
  }
  for (int64_t i = 0; i < rh_st_count(st) && rh_st_count(st) != leaves->n; i++)
    if (rh_leaf_find(leaves, rh_st_at(st, i)->name) < 0)
      return rh_fail(RH_E_FORMAT, "the tensor '%s' belongs to no part of the specification", rh_st_at(st, i)->name);
  return RH_OK;
}

static rh_status load_values(rh_model *m, const rh_st *st, int real_bytes) {
  const rh_leaves *leaves = &m->flow->leaves;
  RH_TRY(check_tensors(leaves, st));
  RH_TRY(rh_values_create(leaves, real_bytes, &m->values));
  for (int64_t l = 0; l < leaves->n; l++) {
    const rh_leaf *leaf = &leaves->leaf[l];
    RH_TRY(rh_st_load(st, leaf->name, leaf->shape.rank, leaf->shape.dim, st_dtype(real_bytes), rh_values_at(leaves, &m->values, (int)l)));
  }
  const int bad = rh_values_bad_leaf(leaves, &m->values);
  if (bad >= 0) return rh_fail(RH_E_FORMAT, "the tensor '%s' holds a number that is not finite", leaves->leaf[bad].name);
  return RH_OK;
}

static rh_status check_columns(const rh_model *m) {
  if (!m->columns) return RH_OK;
  const size_t n = json_array_size(m->columns);
  if ((int64_t)n != m->flow->columns + m->flow->context)
    return rh_fail(RH_E_FORMAT, "%zu column names for %" PRId64 " columns", n, m->flow->columns + m->flow->context);
  for (size_t i = 0; i < n; i++)
    if (!json_is_string(json_array_get(m->columns, i))) return rh_fail(RH_E_FORMAT, "the name of column %zu is not text", i + 1);
  return RH_OK;
}

static rh_status check_format(const rh_st *st, int *real_bytes) {
  const char *format = rh_st_meta(st, "rheo"), *dtype = rh_st_meta(st, "dtype");
  if (!format) return rh_fail(RH_E_FORMAT, "a safetensors file, but no rheo model (its metadata has no \"rheo\")");
  if (strcmp(format, RH_MODEL_FORMAT) != 0)
    return rh_fail(RH_E_FORMAT, "model format '%.32s', this rheo reads '%s'; use the rheo that wrote it", format, RH_MODEL_FORMAT);
  if (!dtype || (strcmp(dtype, "f32") != 0 && strcmp(dtype, "f64") != 0))
    return rh_fail(RH_E_FORMAT, "the metadata's \"dtype\" is '%.32s', not f32 or f64", dtype ? dtype : "missing");
  *real_bytes = strcmp(dtype, "f64") == 0 ? 8 : 4;
  return rh_st_check(st, 0);
}

static rh_status read_model(rh_model *m, const rh_st *st) {
  int real_bytes = 0;
  json_t *spec = NULL, *image = NULL;
  RH_TRY(check_format(st, &real_bytes));
  RH_TRY(read_section(st, "columns", false, JSON_ARRAY, &m->columns));
  RH_TRY(read_section(st, "handling", false, JSON_OBJECT, &m->handling));
  RH_TRY(read_section(st, "fit", false, JSON_OBJECT, &m->fit));
  RH_TRY(read_section(st, "spec", true, JSON_OBJECT, &spec));
  rh_status status = check_size(spec, st);
  if (status == RH_OK) status = rh_flow_create(spec, &m->flow);
  json_decref(spec);
  if (status == RH_OK) status = read_section(st, "image", false, JSON_OBJECT, &image);
  if (status == RH_OK && image) status = image_of(image, m->flow, &m->image);
  json_decref(image);
  if (status == RH_OK) status = load_values(m, st, real_bytes);
  return status == RH_OK ? check_columns(m) : status;
}

static rh_status model_of(rh_st *st, const char *where, rh_model **model) {
  rh_model *m = rh_alloc_zero(1, sizeof *m);
  const rh_status status = m ? read_model(m, st) : RH_E_MEMORY;
  rh_st_close(st);
  if (status != RH_OK) {
    rh_model_destroy(m);
    const bool named = strncmp(rh_last_error(), where, strlen(where)) == 0; /* by the tensors' reader */
    return named ? status : rh_fail_prefix(status, "%s: ", where);
  }
  *model = m;
  return RH_OK;
}

rh_status rh_model_load(const char *path, rh_model **model) {
  rh_st *st;
  RH_TRY(rh_st_open(path, &st));
  return model_of(st, path, model);
}

rh_status rh_model_read(const void *bytes, size_t n, const char *where, rh_model **model) {
  rh_st *st;
  RH_TRY(rh_st_read(bytes, n, where, &st));
  return model_of(st, where, model);
}
