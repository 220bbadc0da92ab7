#include "api/image_rows.h"

#include <stdlib.h>
#include <string.h>

#include "api/conditional.h"
#include "base/file.h"
#include "base/memory.h"
#include "data/images.h"

enum { LABELS = 256, LIST_BYTES = 200 };

const char *rh_image_text(int64_t h, int64_t w, int64_t c, char text[RH_IMAGE_TEXT]) {
  snprintf(text, RH_IMAGE_TEXT, "%lld x %lld x %lld", (long long)h, (long long)w, (long long)c);
  return text;
}

const char *rh_image_labels(const char *labels) {
  return labels && strcmp(labels, "own") == 0 ? RH_LABELS_OWN : labels;
}

/* ---- labels ---- */

/* The number that a text is, 0 to 255; -1: none. */
static int number_of(const char *text) {
  char *end;
  const long value = strtol(text, &end, 10);
  return *text >= '0' && *text <= '9' && !*end && value < LABELS ? (int)value : -1;
}

static int place_of(const char *const *texts, int64_t n, const char *text) {
  if (!texts) return number_of(text);
  for (int64_t i = 0; i < n; i++)
    if (strcmp(texts[i], text) == 0) return (int)i;
  return -1;
}

rh_status rh_match_labels(const char *path, const char *const *texts, int64_t n, const char *whose, rh_table **table) {
  const rh_column_facts facts = rh_table_facts(*table, rh_table_columns(*table) - 1);
  unsigned char map[LABELS];
  bool same = texts && n == facts.n_texts;
  if (!facts.texts) return RH_OK; /* numbers, or the places of texts: whoever knows the classes checks them */
  for (int i = 0; i < LABELS; i++) map[i] = (unsigned char)i;
  for (int64_t i = 0; i < facts.n_texts && i < LABELS; i++) {
    const int place = place_of(texts, n, facts.texts[i]);
    if (place < 0) return rh_fail(RH_E_DATA, "%s: the class '%.60s' is none of %s; leave it out", path, facts.texts[i], whose);
    map[i] = (unsigned char)place;
    same = same && place == i;
  }
  if (same) return RH_OK;
  rh_table *fresh;
  RH_TRY(rh_images_relabel(*table, map, texts, n, &fresh));
  rh_table_free(*table);
  *table = fresh;
  return RH_OK;
}

static const rh_context_column *classes(const rh_model *m) {
  return m->flow->encoder && m->flow->context == 1 ? &m->flow->encoder->column[0] : NULL;
}

int64_t rh_class_count(const rh_model *m) {
  return classes(m) ? classes(m)->n : 0;
}

double rh_class_at(const rh_model *m, int64_t i) {
  const rh_context_column *e = classes(m);
  return e->texts ? (double)i : e->values[i];
}

/* "0, 1, ..., 9" */
static const char *list_classes(const rh_model *m, char text[LIST_BYTES]) {
  const rh_context_column *e = classes(m);
  text[0] = '\0';
  for (int64_t i = 0, used = 0; e && i < e->n; i++) {
    const char *comma = i ? ", " : "";
    char *at = text + used;
    const size_t room = LIST_BYTES - (size_t)used;
    used += e->texts ? snprintf(at, room, "%s%.40s", comma, e->texts[i]) : snprintf(at, room, "%s%.9g", comma, e->values[i]);
    if (used + 50 < LIST_BYTES || i + 1 == e->n) continue;
    snprintf(text + used, LIST_BYTES - (size_t)used, ", ...");
    break;
  }
  return text;
}

rh_status rh_fail_no_class(const rh_model *m) {
  char list[LIST_BYTES];
  return rh_fail(RH_E_ARGUMENT, "the model is conditional on a class: give one of %s (--class)", list_classes(m, list));
}

rh_status rh_class_value(const rh_model *m, const char *text, double *value) {
  const rh_context_column *e = classes(m);
  char list[LIST_BYTES];
  if (!m->flow->context) return rh_fail(RH_E_ARGUMENT, "the model is not conditional: it has no classes; leave the class out (--class)");
  const int number = number_of(text);
  const int place = e && e->texts ? place_of(e->texts, e->n, text) : -1;
  if (place >= 0) {
    *value = place;
    return RH_OK;
  }
  if (e && number >= 0 && rh_context_known(e, number)) {
    *value = number;
    return RH_OK;
  }
  return rh_fail(RH_E_ARGUMENT, "'%.60s' is no class of the model's; there are %s (--class)", text, list_classes(m, list));
}

/* ---- images that fit ---- */

static rh_status check_options(const rh_read_options *o, const rh_model *m) {
  if (o->columns || o->header != RH_HEADER_DETECT || o->separator)
    return rh_fail(RH_E_ARGUMENT, "%s: is for tables; the model is one of images: leave it out",
                   o->columns                      ? "columns"
                   : o->header != RH_HEADER_DETECT ? "header"
                                                   : "separator");
  if (o->labels && !m->flow->context)
    return rh_fail(RH_E_ARGUMENT, "labels: the model is not conditional: it takes no labels; leave them out");
  return RH_OK;
}

rh_status rh_image_shaped(const char *path, const rh_table *table, int64_t h, int64_t w, int64_t c, const char *whose) {
  const rh_image_facts *image = rh_table_image(table);
  char theirs[RH_IMAGE_TEXT], ours[RH_IMAGE_TEXT];
  if (image->h == h && image->w == w && image->c == c) return RH_OK;
  return rh_fail(RH_E_SHAPE, "%s: images of %s, but %s %s (height, width, channels)", path,
                 rh_image_text(image->h, image->w, image->c, theirs), whose, rh_image_text(h, w, c, ours));
}

rh_status rh_image_beyond(const char *path, const rh_table *table, int bits, const char *whose) {
  const rh_image_facts *image = rh_table_image(table);
  const int64_t n = image->h * image->w * image->c, width = rh_table_columns(table);
  if (image->greatest < 1 << bits) return RH_OK;
  double *row = rh_alloc((size_t)width * sizeof *row);
  if (!row) return RH_E_MEMORY;
  rh_status status = RH_OK;
  for (int64_t i = 0; i < rh_table_rows(table) && status == RH_OK; i++) {
    rh_table_get_f64(table, NULL, i, 1, row);
    for (int64_t j = 0; j < n && status == RH_OK; j++)
      if (row[j] >= 1 << bits)
        status = rh_fail(RH_E_DATA, "%s: image %lld: %g is beyond the %d bits of %s (%d at most)", path, (long long)i + 1, row[j], bits,
                         whose, (1 << bits) - 1);
  }
  rh_free(row);
  return status;
}

static rh_status read_fitting(const char *path, const char *labels, const rh_model *m, rh_table **table) {
  const rh_image_options images = {.labels = labels};
  rh_table *made = NULL;
  const rh_context_column *e = labels ? classes(m) : NULL;
  rh_status status = rh_images_read(path, &images, &made);
  if (status == RH_OK) status = rh_image_shaped(path, made, m->image.h, m->image.w, m->image.c, "the model takes");
  if (status == RH_OK) status = rh_image_beyond(path, made, m->image.data_bits, "the model");
  if (status == RH_OK && e) status = rh_match_labels(path, e->texts, e->n, "the model's", &made);
  if (status == RH_OK && labels) status = rh_check_categories(m, path, made, m->flow->columns);
  if (status != RH_OK) {
    rh_table_free(made);
    return status;
  }
  *table = made;
  return RH_OK;
}

rh_status rh_read_images(const char *path, const rh_read_options *options, const rh_model *m, rh_table **table) {
  RH_TRY(check_options(options, m));
  const char *labels = m->flow->context ? rh_image_labels(options->labels ? options->labels : "own") : NULL;
  return read_fitting(path, labels, m, table);
}

/* ---- one image ---- */

/* DATA:NUMBER, where no file has that whole name -> *data, and the number from 1; 0: there is none. */
static rh_status split_where(const char *where, char **data, long long *number) {
  char *colon, *end;
  *number = 0;
  *data = rh_strdup(where);
  if (!*data) return RH_E_MEMORY;
  colon = strrchr(*data, ':');
  if (!colon || colon == *data || !colon[1] || colon[strspn(colon + 1, "0123456789") + 1] || rh_file_exists(where)) return RH_OK;
  *number = strtoll(colon + 1, &end, 10);
  *colon = '\0';
  if (*number > 0) return RH_OK;
  rh_free(*data);
  *data = NULL;
  return rh_fail(RH_E_ARGUMENT, "%s: images count from 1", where);
}

static rh_status take_image(const char *data, long long number, const rh_table *table, double *row) {
  const int64_t n = rh_table_rows(table);
  if (number > n) return rh_fail(RH_E_ARGUMENT, "%s: there is no image %lld, there are %lld", data, number, (long long)n);
  if (number == 0 && n > 1) return rh_fail(RH_E_ARGUMENT, "%s: holds %lld images: say which, as %s:1", data, (long long)n, data);
  rh_table_get_f64(table, NULL, number ? number - 1 : 0, 1, row);
  return RH_OK;
}

rh_status rh_read_image(const char *where, const rh_read_options *options, const char *klass, const rh_model *m, double *row) {
  char *data;
  long long number;
  rh_table *table = NULL;
  RH_TRY(check_options(options, m));
  const bool labelled = m->flow->context && !klass;
  RH_TRY(split_where(where, &data, &number));
  rh_status status = read_fitting(data, labelled ? rh_image_labels(options->labels ? options->labels : "own") : NULL, m, &table);
  if (status == RH_OK) status = take_image(data, number, table, row);
  if (status == RH_OK && klass) status = rh_class_value(m, klass, &row[m->flow->columns]);
  rh_table_free(table);
  rh_free(data);
  return status;
}
