#include "api/image_fit.h"

#include <string.h>

#include "api/image_rows.h"

void rh_image_fit_read(rh_options *o, rh_image_fit *f) {
  static const char *const squashes[] = {[RH_IMAGE_LOGIT] = "logit", [RH_IMAGE_SCALE] = "scale", NULL};
  static const char *const noises[] = {"uniform", "variational", NULL};
  static const char *const own[] = {"bits", "preprocess", "alpha", "dequantize", "flip", "labels"};
  static const char *const tables[] = {"columns", "header", "separator", "handle", "context", "categorical"};
  *f = (rh_image_fit){.bits = rh_options_int(o, "bits", 0, 1, 8)};
  f->squash = (rh_image_squash)rh_options_choice(o, "preprocess", RH_IMAGE_LOGIT, squashes);
  f->alpha = rh_options_real(o, "alpha", 0.05, 1e-9, 0.45);
  f->variational = rh_options_choice(o, "dequantize", 0, noises) == 1;
  f->flip = rh_options_bool(o, "flip", false);
  f->labels = rh_options_text(o, "labels", NULL);
  for (size_t i = 0; i < RH_COUNT_OF(own) && !f->first; i++)
    if (rh_options_json(o, own[i])) f->first = own[i];
  for (size_t i = 0; i < RH_COUNT_OF(tables) && !f->table; i++)
    if (rh_options_json(o, tables[i])) f->table = tables[i];
  if (o->status == RH_OK && f->squash != RH_IMAGE_LOGIT && rh_options_json(o, "alpha"))
    o->status = rh_fail(RH_E_ARGUMENT, "options.alpha: is the logit's; with preprocess scale there is none: leave it out");
}

rh_status rh_image_fit_check(const rh_image_fit *f, const char *name, bool images) {
  const char *wrong = images ? f->table : f->first;
  if (!wrong) return RH_OK;
  return rh_fail(RH_E_ARGUMENT, "%s: is for %s, but %s holds %s: leave it out%s", wrong, images ? "tables" : "images", name,
                 images ? "images" : "a table", images && strcmp(wrong, "context") == 0 ? "; labels condition images (--labels)" : "");
}

/* The least depth that holds a value. */
static int depth_of(int greatest) {
  int bits = 1;
  while (greatest >= 1 << bits) bits++;
  return bits;
}

rh_status rh_image_fit_model(const rh_image_fit *f, const char *name, const rh_table *train, rh_model_image *image) {
  const rh_image_facts *facts = rh_table_image(train);
  const int least = depth_of(facts->greatest);
  const int data_bits = f->bits > least ? (int)f->bits : least;
  if (facts->greatest == 0) return rh_fail(RH_E_DATA, "%s: every value of every image is 0: there is nothing to learn", name);
  *image = (rh_model_image){.h = facts->h,
                            .w = facts->w,
                            .c = facts->c,
                            .bits = f->bits ? (int)f->bits : data_bits,
                            .data_bits = data_bits,
                            .greatest = facts->greatest};
  return RH_OK;
}

static json_t *noise_part(const rh_image_fit *f, const rh_model_image *image) {
  const json_int_t levels = (json_int_t)1 << image->bits;
  if (f->variational)
    return json_pack("{s:s, s:I, s:[I, I, I]}", "type", "variational_dequantize", "levels", levels, "shape", (json_int_t)image->h,
                     (json_int_t)image->w, (json_int_t)image->c);
  return json_pack("{s:s, s:I}", "type", "dequantize", "levels", levels);
}

static json_t *squash_part(const rh_image_fit *f, const rh_model_image *image) {
  const double high = 1 << image->bits;
  if (f->squash == RH_IMAGE_LOGIT) return json_pack("{s:s, s:f, s:f, s:f}", "type", "logit", "alpha", f->alpha, "low", 0.0, "high", high);
  return json_pack("{s:s, s:f, s:f}", "type", "standardize", "mean", high / 2, "scale", high);
}

static json_t *parts_of(const rh_image_fit *f, const rh_model_image *image) {
  json_t *list = json_array();
  int failed = !list;
  if (image->bits < image->data_bits)
    failed |= json_array_append_new(list, json_pack("{s:s, s:i, s:i}", "type", "quantize", "from", image->data_bits, "bits", image->bits));
  failed |= json_array_append_new(list, noise_part(f, image));
  failed |= json_array_append_new(list, squash_part(f, image));
  if (!failed) return list;
  json_decref(list);
  return NULL;
}

static json_t *note(const rh_model_image *image, int64_t rows) {
  char shape[RH_IMAGE_TEXT], coarser[64] = "";
  if (image->bits < image->data_bits) snprintf(coarser, sizeof coarser, ", of which the model keeps %d", image->bits);
  return json_sprintf("images: %lld to train on, %s (height, width, channels), values to %d: %d bits%s", (long long)rows,
                      rh_image_text(image->h, image->w, image->c, shape), image->greatest, image->data_bits, coarser);
}

rh_status rh_image_fit_plan(const rh_image_fit *f, const rh_model_image *image, const rh_table *train, int64_t rows, json_t **plan) {
  const int64_t d = image->h * image->w * image->c;
  json_t *notes = json_array();
  int failed = json_array_append_new(notes, note(image, rows));
  if (rh_table_columns(train) > d) failed |= json_array_append_new(notes, json_string("the density is that of an image given its label"));
  json_t *made = failed ? NULL
                        : json_pack("{s:s, s:I, s:I, s:o, s:O, s:[]}", "handle", "images", "columns", (json_int_t)d, "rows",
                                    (json_int_t)rows, "parts", parts_of(f, image), "report", notes, "warnings");
  json_decref(notes);
  if (!made) return rh_fail(RH_E_MEMORY, "out of memory for the handling of the images");
  *plan = made;
  return RH_OK;
}
