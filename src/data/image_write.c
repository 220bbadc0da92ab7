#include "data/image_write.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/folder.h"
#include "base/memory.h"
#include "data/png_write.h"

enum { WHITE = 255, PATH_BYTES = 4096 };

typedef struct way way;
struct rh_image_writer {
  const way *way;
  char *path;
  rh_image_size size;
  int64_t done;
  rh_status status;
  rh_writer *file;               /* NPY */
  unsigned char *all;            /* of a picture [n, h, w, c]; of a folder one image */
  bool made;                     /* the folder is ours */
  unsigned char show[WHITE + 1]; /* how bright a value is */
};
struct way {
  rh_status (*open)(rh_image_writer *w);
  rh_status (*put)(rh_image_writer *w, int64_t n, const unsigned char *values);
  rh_status (*commit)(rh_image_writer *w);
  void (*discard)(rh_image_writer *w);
};

static int64_t pixels(const rh_image_writer *w) {
  return w->size.h * w->size.w * w->size.c;
}

static bool ends_with(const char *path, const char *suffix) {
  const size_t n = strlen(path), m = strlen(suffix);
  return n > m && strcmp(path + n - m, suffix) == 0;
}

/* ---- an array ---- */

static rh_status npy_open(rh_image_writer *w) {
  const rh_image_size *s = &w->size;
  char text[128], last[32] = "";
  unsigned char head[128] = {0x93, 'N', 'U', 'M', 'P', 'Y', 1, 0, sizeof head - 10, 0};
  if (s->c > 1) snprintf(last, sizeof last, ", %lld", (long long)s->c);
  const int n = snprintf(text, sizeof text, "{'descr': '|u1', 'fortran_order': False, 'shape': (%lld, %lld, %lld%s), }", (long long)s->n,
                         (long long)s->h, (long long)s->w, last);
  memset(head + 10, ' ', sizeof head - 10);
  memcpy(head + 10, text, (size_t)n);
  head[sizeof head - 1] = '\n';
  RH_TRY(rh_writer_open(w->path, &w->file));
  return rh_writer_put(w->file, head, sizeof head);
}

static rh_status npy_put(rh_image_writer *w, int64_t n, const unsigned char *values) {
  return rh_writer_put(w->file, values, (size_t)(n * pixels(w)));
}

static rh_status npy_commit(rh_image_writer *w) {
  rh_writer *file = w->file;
  w->file = NULL;
  return rh_writer_commit(file);
}

static void npy_discard(rh_image_writer *w) {
  rh_writer_discard(w->file);
}

/* ---- one picture ---- */

/* Tried before the work: an hour's samples must not end at a folder that cannot be written to. */
static rh_status picture_open(rh_image_writer *w) {
  const rh_image_size *s = &w->size;
  if (s->n < 1) return rh_fail(RH_E_ARGUMENT, "%s: a picture of no images; give at least one", w->path);
  if (s->n > INT32_MAX / pixels(w))
    return rh_fail(RH_E_ARGUMENT, "%s: %lld images are too many for one picture; write an array (.npy) or a folder", w->path,
                   (long long)s->n);
  w->all = rh_alloc((size_t)(s->n * pixels(w)));
  if (!w->all) return RH_E_MEMORY;
  if (strcmp(w->path, "-") == 0 || rh_path_is(w->path) == RH_PATH_OTHER) return RH_OK;
  rh_writer *file;
  RH_TRY(rh_writer_open(w->path, &file));
  rh_writer_discard(file);
  return RH_OK;
}

static void brighten(const rh_image_writer *w, int64_t n, const unsigned char *values, unsigned char *out) {
  for (int64_t i = 0; i < n; i++) out[i] = w->show[values[i]];
}

static rh_status picture_put(rh_image_writer *w, int64_t n, const unsigned char *values) {
  brighten(w, n * pixels(w), values, w->all + w->done * pixels(w));
  return RH_OK;
}

static rh_status picture_commit(rh_image_writer *w) {
  const rh_image_size *s = &w->size;
  const rh_status status = rh_png_grid(w->path, s->n, s->h, s->w, s->c, w->all, s->columns);
  return status == RH_E_ARGUMENT ? rh_fail_prefix(status, "%s: ", w->path) : status;
}

static void picture_discard(rh_image_writer *w) {
  (void)w;
}

/* ---- a folder ---- */

static rh_status folder_open(rh_image_writer *w) {
  rh_folder folder = {0};
  w->path[strlen(w->path) - 1] = '\0';
  w->all = rh_alloc((size_t)pixels(w));
  if (!w->all) return RH_E_MEMORY;
  if (mkdir(w->path, 0777) == 0) {
    w->made = true;
    return RH_OK;
  }
  if (errno != EEXIST) return rh_fail(RH_E_IO, "%s: the folder cannot be made: %s", w->path, strerror(errno));
  RH_TRY(rh_folder_list(w->path, &folder));
  const int64_t n = folder.n;
  rh_folder_free(&folder);
  if (n == 0) return RH_OK;
  return rh_fail(RH_E_IO, "%s: the folder is not empty; give a new one", w->path);
}

static void name_of(const rh_image_writer *w, int64_t i, char name[PATH_BYTES]) {
  char digits[24];
  const int wide = snprintf(digits, sizeof digits, "%lld", (long long)w->size.n);
  snprintf(name, PATH_BYTES, "%s/%0*lld.png", w->path, wide, (long long)i + 1);
}

static rh_status folder_put(rh_image_writer *w, int64_t n, const unsigned char *values) {
  char name[PATH_BYTES];
  if (strlen(w->path) > PATH_BYTES - 40) return rh_fail(RH_E_IO, "%.100s...: the name is too long", w->path);
  for (int64_t i = 0; i < n; i++) {
    brighten(w, pixels(w), values + i * pixels(w), w->all);
    name_of(w, w->done + i, name);
    RH_TRY(rh_png_write(name, w->size.h, w->size.w, w->size.c, w->all));
  }
  return RH_OK;
}

static rh_status folder_commit(rh_image_writer *w) {
  (void)w;
  return RH_OK;
}

static void folder_discard(rh_image_writer *w) {
  char name[PATH_BYTES];
  for (int64_t i = 0; i < w->size.n && i <= w->done; i++) {
    name_of(w, i, name);
    (void)rh_file_remove(name);
  }
  if (w->made) rmdir(w->path);
}

/* ---- the writer ---- */

static const way npy = {npy_open, npy_put, npy_commit, npy_discard}, picture = {picture_open, picture_put, picture_commit, picture_discard},
                 folder = {folder_open, folder_put, folder_commit, folder_discard};

static const way *way_of(const char *path) {
  if (ends_with(path, ".npy")) return &npy;
  if (ends_with(path, ".png") || strcmp(path, "-") == 0) return &picture;
  return ends_with(path, "/") ? &folder : NULL;
}

static void writer_free(rh_image_writer *w) {
  rh_free(w->path);
  rh_free(w->all);
  rh_free(w);
}

rh_status rh_image_writer_open(const char *path, const rh_image_size *size, rh_image_writer **out) {
  const way *chosen = way_of(path);
  if (!chosen)
    return rh_fail(RH_E_ARGUMENT, "%s: images are written as a picture (OUT.png), an array (OUT.npy) or single pictures (a FOLDER/)", path);
  rh_image_writer *w = rh_alloc_zero(1, sizeof *w);
  if (!w) return RH_E_MEMORY;
  w->way = chosen;
  w->size = *size;
  w->path = rh_strdup(path);
  for (int v = 0; v <= WHITE; v++) {
    const int bright = (v * WHITE + size->white / 2) / size->white;
    w->show[v] = (unsigned char)(bright > WHITE ? WHITE : bright);
  }
  const rh_status status = w->path ? chosen->open(w) : RH_E_MEMORY;
  if (status != RH_OK) {
    npy_discard(w);
    writer_free(w);
    return status;
  }
  *out = w;
  return RH_OK;
}

rh_status rh_image_writer_put(rh_image_writer *w, int64_t n, const unsigned char *values) {
  if (w->status == RH_OK) w->status = w->way->put(w, n, values);
  if (w->status == RH_OK) w->done += n;
  return w->status;
}

rh_status rh_image_writer_commit(rh_image_writer *w) {
  rh_status status = w->status;
  if (status == RH_OK && w->done != w->size.n)
    status = rh_fail(RH_E_ARGUMENT, "%s: %lld images of %lld were written", w->path, (long long)w->done, (long long)w->size.n);
  if (status == RH_OK) {
    status = w->way->commit(w);
    npy_discard(w);
  } else {
    w->way->discard(w);
  }
  writer_free(w);
  return status;
}

void rh_image_writer_discard(rh_image_writer *w) {
  if (!w) return;
  w->way->discard(w);
  writer_free(w);
}
