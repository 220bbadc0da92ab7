/* Is it image data, or a table? */
#include <string.h>

#include "base/folder.h"
#include "data/archive.h"
#include "data/image_source.h"

enum { TABLE_AXES = 2, IMAGE_AXES = 3, LABELS = 20, HEAD_BYTES = 1 << 16 };

/* Of looking, nothing but a lack of memory is a failure: what cannot be read is none. */
static rh_status looked(rh_status status) {
  return status == RH_E_MEMORY ? status : RH_OK;
}

/* Axes of the array that is meant; 0: none is, or it cannot be read. */
static rh_status axes_of(const rh_archive *z, const rh_archive_want *want, int *axes) {
  const rh_member *m = NULL;
  const unsigned char *bytes = NULL;
  rh_npy_array array = {0};
  rh_spool spool;
  rh_source_spool(z->source, &spool);
  rh_status status = rh_archive_choose(z, want, &m);
  if (status == RH_OK) status = rh_archive_take(z, m, &spool, &bytes);
  if (status == RH_OK) status = rh_npy_look(z->source->name, bytes, m->size, &array);
  rh_spool_close(&spool);
  *axes = status == RH_OK ? array.axes : 0;
  return looked(status);
}

static rh_status npz_known(const rh_source *s, bool *known) {
  static const rh_archive_want tables = {"table", TABLE_AXES, TABLE_AXES, TABLE_AXES},
                               images = {"images", IMAGE_AXES, IMAGE_AXES, IMAGE_AXES + 1};
  rh_archive z;
  int table = 0, image = 0;
  rh_status status = rh_archive_open(s, &z);
  if (status != RH_OK) return looked(status);
  status = axes_of(&z, &tables, &table);
  if (status == RH_OK && table < IMAGE_AXES) status = axes_of(&z, &images, &image);
  rh_archive_close(&z);
  *known = table >= IMAGE_AXES || (table != TABLE_AXES && image >= IMAGE_AXES);
  return status;
}

static rh_status npy_known(const rh_source *s, bool *known) {
  rh_npy_array array;
  *known = rh_npy_look(s->name, s->data, s->size, &array) == RH_OK && array.axes >= IMAGE_AXES;
  return RH_OK;
}

/* The plain kinds look like a column with a name. */
static rh_status pnm_known(const rh_source *s, bool *known) {
  *known = s->size > 3 && s->data[1] >= '4' && s->data[3] >= '0' && s->data[3] <= '9';
  return RH_OK;
}

/* Its records have no mark but their length: a text of that length has no zeros and begins otherwise. */
static bool like_cifar(const rh_source *s) {
  return s->data[0] < LABELS && memchr(s->data, 0, (size_t)s->size);
}

static rh_status cifar_known(const rh_source *s, bool *known) {
  *known = like_cifar(s);
  return RH_OK;
}

static rh_status always(const rh_source *s, bool *known) {
  *known = s->size > 0;
  return RH_OK;
}

typedef struct kind {
  const rh_image_format *format;
  rh_status (*known)(const rh_source *source, bool *known);
  bool whole; /* by all of it, not by how it begins */
} kind;
static const kind kinds[] = {{&rh_image_npy, npy_known, false}, {&rh_image_npz, npz_known, true}, {&rh_image_png, always, false},
                             {&rh_image_pnm, pnm_known, false}, {&rh_image_idx, always, false},   {&rh_image_cifar, cifar_known, true}};

/* `cut`: only its beginning is there. *more: that does not tell. */
static rh_status content_known(const rh_source *s, bool cut, bool *more, bool *known) {
  *more = false;
  for (size_t i = 0; i < RH_COUNT_OF(kinds) && s->size > 0; i++) {
    const bool last = cut && kinds[i].format == &rh_image_cifar;
    if (last ? !like_cifar(s) : !kinds[i].format->sniff(s->data, s->size)) continue;
    *more = cut && kinds[i].whole;
    return *more ? RH_OK : kinds[i].known(s, known);
  }
  return RH_OK;
}

/* A gzip file is not unpacked for its beginning. */
static rh_status head_known(const char *path, bool *more, bool *known) {
  rh_bytes bytes;
  rh_spool spool;
  *more = true;
  rh_status status = rh_bytes_open(path, &bytes);
  if (status != RH_OK) return looked(status);
  const bool packed = bytes.size > 2 && bytes.data[0] == 0x1f && bytes.data[1] == 0x8b;
  const rh_read_options filled = rh_read_defaults(NULL);
  rh_source s = {.name = path, .options = &filled, .spool = {.fd = -1}};
  rh_source_spool(&s, &spool);
  if (packed) {
    *more = false;
    status = rh_inflate(path, bytes.data, (int64_t)bytes.size, 31, HEAD_BYTES, &spool);
    if (status == RH_OK) status = rh_spool_done(&spool);
    s.data = spool.data;
    s.size = spool.size;
    if (status == RH_OK) status = content_known(&s, true, more, known);
  }
  rh_spool_close(&spool);
  rh_bytes_close(&bytes);
  return looked(status);
}

static rh_status file_known(const char *path, bool *known) {
  const rh_read_options filled = rh_read_defaults(NULL);
  rh_source source;
  bool more = true;
  if (rh_path_is(path) == RH_PATH_FILE) RH_TRY(head_known(path, &more, known));
  if (!more) return RH_OK;
  rh_status status = rh_source_open(path, &filled, &source);
  if (status != RH_OK) return looked(status);
  status = content_known(&source, false, &more, known);
  rh_source_close(&source);
  return status;
}

rh_status rh_images_known(const char *path, bool *known) {
  static const rh_image_format *const gathers[] = {&rh_image_cifar, &rh_image_folder};
  bool found = false;
  if (strcmp(path, "-") != 0 && rh_path_is(path) != RH_PATH_OTHER) { /* a pipe is read once */
    for (size_t i = 0; i < RH_COUNT_OF(gathers) && !found; i++) RH_TRY(looked(gathers[i]->takes(path, &found)));
    if (!found) RH_TRY(file_known(path, &found));
  }
  *known = found;
  return RH_OK;
}
