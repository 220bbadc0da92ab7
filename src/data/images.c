#include "data/images.h"

#include <stdio.h>
#include <string.h>

#include "data/image_source.h"

/* In the order they are tried. CIFAR's records have no mark but their length: last. */
static const rh_image_format *const formats[] = {&rh_image_cifar, &rh_image_folder, &rh_image_npy, &rh_image_npz,
                                                 &rh_image_png,   &rh_image_pnm,    &rh_image_idx};

/* ---- checks that every reader shares ---- */

rh_status rh_image_check_size(const char *name, int64_t h, int64_t w, int64_t c) {
  if (c != 1 && c != 3) {
    return rh_fail(RH_E_SHAPE, "%s: images of %lld channels; 1 (grey) or 3 (red, green, blue) are read", name, (long long)c);
  }
  if (h < 1 || w < 1)
    return rh_fail(RH_E_DATA, "%s: images of %lld x %lld hold no values; write them again", name, (long long)h, (long long)w);
  if (h <= RH_IMAGE_VALUES && w <= RH_IMAGE_VALUES / h && c <= RH_IMAGE_VALUES / h / w) return RH_OK;
  return rh_fail(RH_E_SHAPE, "%s: images of %lld x %lld x %lld are larger than the %d values that are read; cut or scale them", name,
                 (long long)h, (long long)w, (long long)c, RH_IMAGE_VALUES);
}

static rh_status fail_value(const char *name, int64_t number, const unsigned char *values, const rh_image_set *set, int bits) {
  int64_t j = 0;
  char image[32] = "";
  while (values[j] < 1 << bits) j++;
  const int64_t y = j / (set->w * set->c), x = j / set->c % set->w, k = j % set->c;
  if (number > 0) snprintf(image, sizeof image, "image %lld, ", (long long)number);
  return rh_fail(RH_E_DATA,
                 "%s: %srow %lld, column %lld, channel %lld: %d is beyond %d bits (%d at most); declare the depth of the data (bits)", name,
                 image, (long long)y + 1, (long long)x + 1, (long long)k + 1, values[j], bits, (1 << bits) - 1);
}

rh_status rh_image_check_values(const char *name, int64_t number, const unsigned char *values, const rh_image_set *set, int bits,
                                int *greatest) {
  const int64_t n = set->h * set->w * set->c;
  unsigned char most = 0;
  for (int64_t j = 0; j < n; j++) most = values[j] > most ? values[j] : most;
  if (most >= 1 << bits) return fail_value(name, number, values, set, bits);
  if (most > *greatest) *greatest = most;
  return RH_OK;
}

/* ---- from a set to a table ---- */

/* An image's values, channels last. out: [h, w, c] */
static void take_image(const rh_image_set *set, int64_t i, unsigned char *out) {
  const unsigned char *image = set->at + i * set->step[0];
  for (int64_t y = 0; y < set->h; y++) {
    for (int64_t x = 0; x < set->w; x++) {
      for (int64_t k = 0; k < set->c; k++) *out++ = image[y * set->step[1] + x * set->step[2] + k * set->step[3]];
    }
  }
}

static bool as_wanted(const rh_image_set *set) {
  const int64_t d = set->h * set->w * set->c;
  if (set->label && (set->label != set->at + d || set->label_step != set->step[0])) return false;
  return (set->c == 1 || set->step[3] == 1) && set->step[2] == set->c && set->step[1] == set->w * set->c;
}

/* Everything into a new spool: an image a row, its label behind it. */
static rh_status put_rows(const rh_image_set *set, unsigned char *row, rh_spool *spool) {
  const int64_t d = set->h * set->w * set->c, width = d + (set->label != NULL);
  if (set->n <= INT64_MAX / width) RH_TRY(rh_spool_reserve(spool, set->n * width));
  for (int64_t i = 0; i < set->n; i++) {
    take_image(set, i, row);
    if (set->label) row[d] = set->label[i * set->label_step];
    RH_TRY(rh_spool_put(spool, row, width));
  }
  return rh_spool_done(spool);
}

static rh_status copy_rows(const rh_source *source, rh_image_set *set) {
  rh_spool spool;
  const int64_t d = set->h * set->w * set->c, width = d + (set->label != NULL);
  rh_source_spool(source, &spool);
  unsigned char *row = rh_alloc((size_t)width);
  const rh_status status = row ? put_rows(set, row, &spool) : RH_E_MEMORY;
  rh_free(row);
  if (status != RH_OK) {
    rh_spool_close(&spool);
    return status;
  }
  rh_spool_close(&set->spool);
  set->spool = spool;
  set->at = spool.data;
  set->step[0] = width;
  set->step[1] = set->w * set->c;
  set->step[2] = set->c;
  set->step[3] = 1;
  if (set->label) set->label = set->at + d;
  set->label_step = width;
  return RH_OK;
}

static rh_status check_labels(const rh_source *source, const rh_image_options *options, const rh_image_set *set) {
  if (!options->labels) return RH_OK;
  if (!set->label) {
    return rh_fail(RH_E_ARGUMENT, "%s: these data have no labels of their own; name the file that has them (labels)", source->name);
  }
  if (set->n_labels == set->n) return RH_OK;
  return rh_fail(RH_E_DATA, "%s: %lld images but %lld labels; give one label an image", source->name, (long long)set->n,
                 (long long)set->n_labels);
}

static rh_status describe(const rh_image_set *set, int bits, int greatest, rh_table *table) {
  const int64_t d = set->h * set->w * set->c;
  const rh_image_facts image = {.h = set->h, .w = set->w, .c = set->c, .bits = bits, .greatest = greatest};
  RH_TRY(rh_table_set_image(table, &image));
  if (!set->label) return RH_OK;
  rh_column_facts *facts = rh_alloc_zero((size_t)d + 1, sizeof *facts);
  if (!facts) return RH_E_MEMORY;
  for (int64_t j = 0; j <= d; j++) facts[j].number = j + 1;
  facts[d].role = RH_ROLE_CATEGORY;
  facts[d].texts = set->texts;
  facts[d].n_texts = set->n_texts;
  const rh_status status = rh_table_describe(table, facts);
  rh_free(facts);
  return status;
}

/* A table over the values of a set that lies as it is wanted. */
static rh_status wrap(const char *name, const rh_image_set *set, int bits, rh_table **out) {
  int greatest = 0;
  for (int64_t i = 0; i < set->n; i++) RH_TRY(rh_image_check_values(name, i + 1, set->at + i * set->step[0], set, bits, &greatest));
  const int64_t d = set->h * set->w * set->c;
  rh_table *table = NULL;
  const rh_cells cells = {set->at, RH_CELL_U1, false, set->n, d + (set->label != NULL), set->step[0], 1};
  RH_TRY(rh_table_wrap(&cells, NULL, &table));
  const rh_status status = describe(set, bits, greatest, table);
  if (status == RH_OK)
    *out = table;
  else
    rh_table_free(table);
  return status;
}

static rh_status finish(rh_source *source, const rh_image_options *options, rh_image_set *set, rh_table **out) {
  rh_table *table = NULL;
  RH_TRY(check_labels(source, options, set));
  if (!as_wanted(set) || (source->borrowed && !set->spool.data)) RH_TRY(copy_rows(source, set));
  RH_TRY(wrap(source->name, set, options->bits ? options->bits : 8, &table));
  if (set->spool.data) {
    rh_table_own(table, NULL, &set->spool);
  } else {
    rh_table_own(table, &source->bytes, &source->spool);
  }
  *out = table;
  return RH_OK;
}

rh_status rh_images_wrap(const char *name, const unsigned char *values, int64_t n, int64_t columns, const int64_t shape[3], bool labels,
                         rh_table **table) {
  const int64_t h = shape[0], w = shape[1], c = shape[2];
  RH_TRY(rh_image_check_size(name, h, w, c));
  const int64_t d = h * w * c, width = d + labels;
  if (columns != width)
    return rh_fail(RH_E_SHAPE, "%s: %lld columns, but an image of %lld x %lld x %lld%s has %lld", name, (long long)columns, (long long)h,
                   (long long)w, (long long)c, labels ? " and its label" : "", (long long)width);
  const rh_image_set set = {.n = n,
                            .h = h,
                            .w = w,
                            .c = c,
                            .at = values,
                            .step = {width, w * c, c, 1},
                            .label = labels ? values + d : NULL,
                            .n_labels = n,
                            .label_step = width};
  return wrap(name, &set, 8, table);
}

/* ---- from paths and bytes to a set ---- */

static rh_status decode_one(const rh_image_format *format, const rh_source *source, rh_image_set *set) {
  rh_picture p = {0};
  RH_TRY(format->decode(source->name, source->data, source->size, &p));
  const int64_t d = p.h * p.w * p.c;
  rh_status status = rh_spool_reserve(&set->spool, d);
  if (status == RH_OK) status = rh_spool_put(&set->spool, p.values, d);
  if (status == RH_OK) status = rh_spool_done(&set->spool);
  rh_free(p.values);
  set->n = 1;
  set->h = p.h;
  set->w = p.w;
  set->c = p.c;
  set->at = set->spool.data;
  set->step[0] = d;
  set->step[1] = p.w * p.c;
  set->step[2] = p.c;
  set->step[3] = 1;
  return status;
}

static rh_status read_file(const rh_source *source, const rh_image_options *options, rh_image_set *set) {
  if (source->size == 0) return rh_fail(RH_E_DATA, "%s: the file is empty; images are wanted", source->name);
  const rh_image_format *f = NULL;
  for (size_t i = 0; i < RH_COUNT_OF(formats) && !f; i++) {
    if (formats[i] != &rh_image_cifar && formats[i]->sniff && formats[i]->sniff(source->data, source->size)) f = formats[i];
  }
  if (!f && rh_image_cifar.sniff(source->data, source->size)) f = &rh_image_cifar;
  if (!f) {
    return rh_fail(RH_E_FORMAT,
                   "%s: is no image data: IDX, NPY, NPZ, PNG, PGM, PPM, or records of CIFAR (3073 or 3074 bytes each) are read",
                   source->name);
  }
  if (source->member && f != &rh_image_npz) {
    return rh_fail(RH_E_DATA, "%s: is no NPZ archive, so it has no array \"%s\"; leave out \":%s\"", source->name, source->member,
                   source->member);
  }
  return f->read ? f->read(source, options, set) : decode_one(f, source, set);
}

static rh_status check_options(const rh_image_options *o) {
  if (o->bits < 0 || o->bits > 8) return rh_fail(RH_E_ARGUMENT, "images of %d bits are not read; 1 to 8 are", o->bits);
  if (!o->layout || strcmp(o->layout, "hwc") == 0 || strcmp(o->layout, "chw") == 0) return RH_OK;
  return rh_fail(RH_E_ARGUMENT, "layout \"%.40s\" is not known; hwc (channels last) and chw (channels first) are", o->layout);
}

static void set_close(rh_image_set *set) {
  rh_free(set->label_block);
  rh_arena_free(&set->arena);
  rh_spool_close(&set->spool);
}

/* What a reader left open: labels in a file. */
static rh_status read_labels(const rh_source *source, const rh_image_options *options, rh_image_set *set) {
  const char *labels = options->labels;
  if (!labels || set->label || strcmp(labels, RH_LABELS_OWN) == 0) return RH_OK;
  if (strcmp(labels, RH_LABELS_FOLDERS) == 0 && !rh_file_exists(labels)) {
    return rh_fail(RH_E_ARGUMENT, "%s: there are no folders that could be labels; name the file that has them (labels)", source->name);
  }
  return rh_labels_read(labels, set);
}

static rh_status read_source(rh_source *source, const rh_image_format *gathers, const char *path, const rh_image_options *options,
                             rh_table **table) {
  rh_image_set set = {0};
  rh_source_spool(source, &set.spool);
  rh_status status = gathers ? gathers->gather(path, options, &set) : read_file(source, options, &set);
  if (status == RH_OK) status = read_labels(source, options, &set);
  if (status == RH_OK) status = finish(source, options, &set, table);
  set_close(&set);
  rh_source_close(source);
  return status;
}

rh_status rh_images_read(const char *path, const rh_image_options *options, rh_table **table) {
  const rh_image_options o = options ? *options : (rh_image_options){0};
  const rh_read_options filled = rh_read_defaults(NULL);
  rh_source source = {.name = path, .options = &filled, .spool = {.fd = -1}};
  RH_TRY(check_options(&o));
  const rh_image_format *gathers = NULL;
  for (size_t i = 0; i < RH_COUNT_OF(formats) && !gathers; i++) {
    bool takes = false;
    if (formats[i]->takes) RH_TRY(formats[i]->takes(path, &takes));
    if (takes) gathers = formats[i];
  }
  if (!gathers) RH_TRY(rh_source_open(path, &filled, &source));
  return read_source(&source, gathers, path, &o, table);
}

rh_status rh_images_read_bytes(const char *name, const void *bytes, size_t n, const rh_image_options *options, rh_table **table) {
  const rh_image_options o = options ? *options : (rh_image_options){0};
  const rh_read_options filled = rh_read_defaults(NULL);
  rh_source source;
  RH_TRY(check_options(&o));
  RH_TRY(rh_source_borrow(name, bytes, n, &filled, &source));
  return read_source(&source, NULL, name, &o, table);
}
