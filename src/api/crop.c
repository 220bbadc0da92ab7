#include "api/crop.h"

#include <string.h>

#include "base/memory.h"

/* ---- how small ---- */

/* The least height and width of what flows through. */
static void find_least(const rh_bijection *b, int64_t *h, int64_t *w) {
  const rh_shape *const shapes[] = {&b->in, &b->out};
  rh_bijection *const *parts;
  for (size_t i = 0; i < RH_COUNT_OF(shapes); i++) {
    if (shapes[i]->rank != 3) continue;
    if (shapes[i]->dim[0] < *h) *h = shapes[i]->dim[0];
    if (shapes[i]->dim[1] < *w) *w = shapes[i]->dim[1];
  }
  const int64_t n = rh_bijection_parts(b, &parts);
  for (int64_t i = 0; i < n; i++) find_least(parts[i], h, w);
  const rh_bijection *within = rh_bijection_within(b);
  if (within) find_least(within, h, w);
}

/* In steps of what squeezes need, doubled while it fits. */
static rh_status choose_size(const rh_model *m, int64_t most, rh_crop *crop) {
  const rh_model_image *image = &m->image;
  int64_t h = image->h, w = image->w;
  find_least(m->flow->body, &h, &w);
  h = image->h / h, w = image->w / w;
  const int64_t high = h, wide = w;
  for (int64_t k = 2; k * high <= image->h && k * wide <= image->w && k * high * k * wide * image->c <= most; k *= 2)
    h = k * high, w = k * wide;
  if (h * w < image->h * image->w && image->h % high == 0 && image->w % wide == 0) {
    crop->h = h, crop->w = w;
    return RH_OK;
  }
  return rh_fail(RH_E_UNSUPPORTED, "no smaller image goes through the flow's squeezes");
}

/* ---- the specification ---- */

/* Wherever a part names the image's shape, the crop's. */
static void replace_shape(json_t *spec, const rh_model_image *from, const rh_crop *to, bool *failed) {
  const char *key;
  json_t *item;
  size_t i;
  json_int_t h, w, c;
  json_t *shape = json_object_get(spec, "shape");
  if (shape && json_unpack(shape, "[I, I, I]", &h, &w, &c) == 0 && h == from->h && w == from->w && c == from->c)
    *failed |= json_object_set_new(spec, "shape", json_pack("[I, I, I]", (json_int_t)to->h, (json_int_t)to->w, c)) != 0;
  json_object_foreach(spec, key, item) replace_shape(item, from, to, failed);
  json_array_foreach(spec, i, item) replace_shape(item, from, to, failed);
}

static rh_status make_spec(const rh_model *m, const rh_crop *crop, json_t **spec) {
  json_t *made = json_deep_copy(m->flow->spec), *column;
  bool failed = !made;
  size_t i;
  if (made) replace_shape(made, &m->image, crop, &failed);
  json_array_foreach(json_object_get(made, "context_encoder"), i, column) json_object_del(column, "column"); /* behind the data */
  failed |= json_object_set_new(made, "columns", json_integer(crop->h * crop->w * m->image.c)) != 0;
  failed |= json_object_set_new(made, "base", json_pack("{s:s}", "type", "normal")) != 0;
  if (!failed) {
    *spec = made;
    return RH_OK;
  }
  json_decref(made);
  return rh_fail(RH_E_MEMORY, "out of memory for a crop's specification");
}

/* ---- the values ---- */

/* Element k of a leaf of shape `to` in one of shape `from`, evenly spread along every axis. */
static int64_t place_in(const rh_shape *from, const rh_shape *to, int64_t k) {
  int64_t place = 0, step = 1;
  for (int i = to->rank - 1; i >= 0; i--) {
    place += k % to->dim[i] * from->dim[i] / to->dim[i] * step;
    k /= to->dim[i];
    step *= from->dim[i];
  }
  return place;
}

static rh_status take_leaf(const rh_model *m, rh_crop *crop, int at) {
  rh_model *mine = crop->model;
  const rh_leaf *to = &mine->flow->leaves.leaf[at];
  const int found = rh_leaf_find(&m->flow->leaves, to->name);
  const rh_leaf *from = found < 0 ? NULL : &m->flow->leaves.leaf[found];
  bool fine = from && from->klass == to->klass && from->shape.rank == to->shape.rank;
  for (int i = 0; i < to->shape.rank && fine; i++) fine = to->shape.dim[i] <= from->shape.dim[i];
  if (!fine) return rh_fail(RH_E_UNSUPPORTED, "a smaller image's %s is not of the same form", to->name);
  crop->spread += to->count != from->count;
  for (int64_t k = 0; k < to->count; k++)
    rh_values_set(&mine->flow->leaves, &mine->values, at, k,
                  rh_values_get(&m->flow->leaves, &m->values, found, place_in(&from->shape, &to->shape, k)));
  return RH_OK;
}

static rh_status fill(const rh_model *m, int64_t most, rh_crop *crop) {
  json_t *spec = NULL;
  RH_TRY(choose_size(m, most, crop));
  RH_TRY(make_spec(m, crop, &spec));
  const rh_status status = rh_model_create(spec, m->values.real_bytes, 0, 1, 0, &crop->model);
  json_decref(spec);
  if (status != RH_OK) return status == RH_E_MEMORY ? status : rh_fail(RH_E_UNSUPPORTED, "%.300s", rh_last_error());
  crop->model->image = m->image;
  crop->model->image.h = crop->h, crop->model->image.w = crop->w;
  for (int64_t i = 0; i < crop->model->flow->leaves.n; i++) RH_TRY(take_leaf(m, crop, (int)i));
  return RH_OK;
}

rh_status rh_crop_make(const rh_model *model, int64_t most, rh_crop *crop) {
  *crop = (rh_crop){0};
  const rh_status status = fill(model, most, crop);
  if (status != RH_OK) rh_crop_free(crop);
  return status;
}

void rh_crop_free(rh_crop *crop) {
  rh_model_destroy(crop->model);
  *crop = (rh_crop){0};
}

void rh_crop_row(const rh_crop *crop, const rh_model *model, const double *y, double *out) {
  const rh_model_image *image = &model->image;
  const int64_t high = (image->h - crop->h) / 4 * 2, left = (image->w - crop->w) / 4 * 2, line = crop->w * image->c; /* even places */
  for (int64_t i = 0; i < crop->h; i++) memcpy(out + i * line, y + ((high + i) * image->w + left) * image->c, (size_t)line * sizeof *y);
  memcpy(out + crop->h * line, y + image->h * image->w * image->c, (size_t)model->flow->context * sizeof *y);
}
