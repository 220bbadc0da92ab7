/* Is it image data, or a table? */
#include <string.h>

#include "base/folder.h"
#include "data/archive.h"
#include "data/image_source.h"

enum { TABLE_AXES = 2, IMAGE_AXES = 3, LABELS = 20, HEAD_BYTES = 1 << 16 };

/* Axes of the array that is meant; 0: none is, or it cannot be read. */
static int axes_of(const rh_archive *z, const rh_archive_want *want) {
  const rh_member *m = NULL;
  const unsigned char *bytes = NULL;
  rh_npy_array array = {0};
  rh_spool spool;
  rh_source_spool(z->source, &spool);
  const bool read = rh_archive_choose(z, want, &m) == RH_OK && rh_archive_take(z, m, &spool, &bytes) == RH_OK &&
                    rh_npy_look(z->source->name, bytes, m->size, &array) == RH_OK;
  rh_spool_close(&spool);
  return read ? array.axes : 0;
}

static bool npz_known(const rh_source *s) {
  static const rh_archive_want tables = {"table", TABLE_AXES, TABLE_AXES, TABLE_AXES},
                               images = {"images", IMAGE_AXES, IMAGE_AXES, IMAGE_AXES + 1};
  rh_archive z;
  if (rh_archive_open(s, &z) != RH_OK) return false;
  const bool known = axes_of(&z, &tables) != TABLE_AXES && axes_of(&z, &images) >= IMAGE_AXES;
  rh_archive_close(&z);
  return known;
}

static bool npy_known(const rh_source *s) {
  rh_npy_array array;
  return rh_npy_look(s->name, s->data, s->size, &array) == RH_OK && array.axes >= IMAGE_AXES;
}

/* The plain kinds look like a column with a name. */
static bool pnm_known(const rh_source *s) {
  return s->size > 3 && s->data[1] >= '4' && s->data[3] >= '0' && s->data[3] <= '9';
}

/* Its records have no mark but their length: a text of that length has no zeros and begins otherwise. */
static bool cifar_known(const rh_source *s) {
  return s->data[0] < LABELS && memchr(s->data, 0, (size_t)s->size);
}

static bool always(const rh_source *s) {
  return s->size > 0;
}

typedef struct kind {
  const rh_image_format *format;
  bool (*known)(const rh_source *source);
  bool whole; /* by all of it, not by how it begins */
} kind;
static const kind kinds[] = {{&rh_image_npy, npy_known, false}, {&rh_image_npz, npz_known, true}, {&rh_image_png, always, false},
                             {&rh_image_pnm, pnm_known, false}, {&rh_image_idx, always, false},   {&rh_image_cifar, cifar_known, true}};

/* `cut`: only its beginning is there. *more: that does not tell. */
static bool content_known(const rh_source *s, bool cut, bool *more) {
  for (size_t i = 0; i < RH_COUNT_OF(kinds) && s->size > 0; i++) {
    const bool last = cut && kinds[i].format == &rh_image_cifar;
    if (last ? !cifar_known(s) : !kinds[i].format->sniff(s->data, s->size)) continue;
    *more = cut && kinds[i].whole;
    return !*more && kinds[i].known(s);
  }
  return false;
}

/* A gzip file is not unpacked for its beginning. */
static bool head_known(const char *path, bool *more) {
  rh_bytes bytes;
  rh_spool spool;
  bool known = false;
  if (rh_bytes_open(path, &bytes) != RH_OK) return false;
  const bool packed = bytes.size > 2 && bytes.data[0] == 0x1f && bytes.data[1] == 0x8b;
  const rh_read_options filled = rh_read_defaults(NULL);
  rh_source s = {.name = path, .options = &filled, .spool = {.fd = -1}};
  rh_source_spool(&s, &spool);
  *more = !packed;
  if (packed && rh_inflate(path, bytes.data, (int64_t)bytes.size, 31, HEAD_BYTES, &spool) == RH_OK && rh_spool_done(&spool) == RH_OK) {
    s.data = spool.data;
    s.size = spool.size;
    known = content_known(&s, true, more);
  }
  rh_spool_close(&spool);
  rh_bytes_close(&bytes);
  return known;
}

static bool file_known(const char *path) {
  const rh_read_options filled = rh_read_defaults(NULL);
  rh_source source;
  bool more = true;
  const bool known_by_head = rh_path_is(path) == RH_PATH_FILE && head_known(path, &more);
  if (known_by_head || !more) return known_by_head;
  if (rh_source_open(path, &filled, &source) != RH_OK) return false;
  const bool known = content_known(&source, false, &more);
  rh_source_close(&source);
  return known;
}

bool rh_images_known(const char *path) {
  static const rh_image_format *const gathers[] = {&rh_image_cifar, &rh_image_folder};
  bool takes = false;
  if (strcmp(path, "-") == 0 || rh_path_is(path) == RH_PATH_OTHER) return false; /* a pipe is read once */
  for (size_t i = 0; i < RH_COUNT_OF(gathers); i++)
    if (gathers[i]->takes(path, &takes) == RH_OK && takes) return true;
  return file_known(path);
}
