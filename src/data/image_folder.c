/* A folder of images, one a file, or of folders of them. */
#include <stdio.h>
#include <string.h>

#include "base/folder.h"
#include "data/image_source.h"

enum { CLASSES = 256 };
static const rh_image_format *const decoders[] = {&rh_image_png, &rh_image_pnm};

typedef struct reading {
  const rh_image_options *options;
  rh_image_set *set; /* its spool takes rows: an image, and its class where classes are labels */
  bool labelled;
  int place;         /* of the class that is read */
  const char *first; /* the file that all others must be like; NULL: none yet */
  int most;          /* its greatest possible value */
  int greatest;
} reading;

static rh_status takes(const char *path, bool *takes) {
  *takes = rh_path_is(path) == RH_PATH_FOLDER;
  return RH_OK;
}

static rh_status decode(const char *path, rh_picture *picture) {
  const rh_read_options filled = rh_read_defaults(NULL);
  rh_source s;
  size_t i = 0;
  RH_TRY(rh_source_open(path, &filled, &s));
  while (i < RH_COUNT_OF(decoders) && !decoders[i]->sniff(s.data, s.size)) i++;
  const rh_status status = i < RH_COUNT_OF(decoders)
                               ? decoders[i]->decode(path, s.data, s.size, picture)
                               : rh_fail(RH_E_FORMAT, "%s: is no PNG, PGM or PPM image; take it out of the folder", path);
  rh_source_close(&s);
  return status;
}

/* The first image says what all are like. */
static rh_status compare(reading *r, const char *path, const rh_picture *p) {
  rh_image_set *set = r->set;
  if (!r->first) {
    set->h = p->h;
    set->w = p->w;
    set->c = p->c;
    r->most = p->most;
    r->first = path;
    return RH_OK;
  }
  if (p->h != set->h || p->w != set->w || p->c != set->c) {
    return rh_fail(RH_E_SHAPE, "%s: %lld x %lld x %lld (height, width, channels), but %s is %lld x %lld x %lld; give images of one size",
                   path, (long long)p->h, (long long)p->w, (long long)p->c, r->first, (long long)set->h, (long long)set->w,
                   (long long)set->c);
  }
  if (p->most == r->most) return RH_OK;
  return rh_fail(RH_E_DATA, "%s: values from 0 to %d, but those of %s are from 0 to %d; give images of one depth", path, p->most, r->first,
                 r->most);
}

static rh_status put_picture(reading *r, const char *path, const rh_picture *p) {
  const unsigned char label = (unsigned char)r->place;
  const int bits = r->options->bits ? r->options->bits : 8;
  RH_TRY(compare(r, path, p));
  RH_TRY(rh_image_check_values(path, 0, p->values, r->set, bits, &r->greatest));
  RH_TRY(rh_spool_put(&r->set->spool, p->values, p->h * p->w * p->c));
  if (r->labelled) RH_TRY(rh_spool_put(&r->set->spool, &label, 1));
  r->set->n++;
  return RH_OK;
}

static rh_status read_file(reading *r, const char *path) {
  rh_picture p = {0};
  RH_TRY(decode(path, &p));
  const rh_status status = put_picture(r, path, &p);
  rh_free(p.values);
  return status;
}

/* Whether a folder holds folders or files; both is an error. */
static rh_status look(const char *path, const rh_folder *f, bool *folders) {
  rh_arena arena = {0};
  int64_t n = 0;
  rh_status status = f->n > 0 ? RH_OK : rh_fail(RH_E_DATA, "%s: the folder is empty; put images into it or take it away", path);
  for (int64_t i = 0; i < f->n && status == RH_OK; i++) {
    const char *name = rh_path_join(&arena, path, f->name[i]);
    if (!name) status = RH_E_MEMORY;
    if (status == RH_OK && rh_path_is(name) == RH_PATH_OTHER)
      status = rh_fail(RH_E_DATA, "%s: is neither a file nor a folder; take it away", name);
    if (status == RH_OK) n += rh_path_is(name) == RH_PATH_FOLDER;
  }
  rh_arena_free(&arena);
  if (status == RH_OK && n > 0 && n < f->n) {
    status = rh_fail(RH_E_DATA, "%s: holds folders and files; give images alone, or folders of images alone", path);
  }
  *folders = n > 0;
  return status;
}

static rh_status read_files(reading *r, const char *path, const rh_folder *f) {
  for (int64_t i = 0; i < f->n; i++) {
    const char *file = rh_path_join(&r->set->arena, path, f->name[i]);
    if (!file) return RH_E_MEMORY;
    RH_TRY(read_file(r, file));
  }
  return RH_OK;
}

static rh_status read_class(reading *r, const char *path) {
  rh_folder f = {0};
  bool folders = false;
  RH_TRY(rh_folder_list(path, &f));
  rh_status status = look(path, &f, &folders);
  if (status == RH_OK && folders)
    status = rh_fail(RH_E_DATA, "%s: holds folders again; a folder of folders of images is read, no deeper", path);
  if (status == RH_OK) status = read_files(r, path, &f);
  rh_folder_free(&f);
  return status;
}

static rh_status read_classes(reading *r, const char *path, const rh_folder *f) {
  rh_image_set *set = r->set;
  if (r->labelled && f->n > CLASSES) {
    return rh_fail(RH_E_DATA, "%s: %lld folders; at most %d can be labels", path, (long long)f->n, CLASSES);
  }
  const char **texts = rh_arena_alloc(&set->arena, (size_t)f->n * sizeof *texts);
  if (!texts) return RH_E_MEMORY;
  for (int64_t i = 0; i < f->n; i++) {
    const char *folder = rh_path_join(&set->arena, path, f->name[i]);
    texts[i] = rh_arena_strdup(&set->arena, f->name[i]);
    if (!folder || !texts[i]) return RH_E_MEMORY;
    if (r->labelled && !rh_is_utf8(texts[i], (int64_t)strlen(texts[i]))) {
      return rh_fail(RH_E_DATA, "%s: folder %lld: its name is not UTF-8 text, so it is no label; rename it", path, (long long)i + 1);
    }
    r->place = (int)i;
    RH_TRY(read_class(r, folder));
  }
  if (r->labelled) {
    set->texts = texts;
    set->n_texts = f->n;
  }
  return RH_OK;
}

static rh_status read_all(reading *r, const char *path, const rh_folder *f) {
  bool folders = false;
  RH_TRY(look(path, f, &folders));
  if (folders) return read_classes(r, path, f);
  if (r->labelled) {
    return rh_fail(RH_E_DATA, "%s: holds no folders that could be labels; put the images of a class into a folder of its own", path);
  }
  return read_files(r, path, f);
}

static rh_status gather(const char *path, const rh_image_options *options, rh_image_set *set) {
  rh_folder f = {0};
  const char *labels = options->labels;
  reading r = {.options = options, .set = set};
  r.labelled = labels && (strcmp(labels, RH_LABELS_OWN) == 0 || strcmp(labels, RH_LABELS_FOLDERS) == 0);
  RH_TRY(rh_folder_list(path, &f));
  rh_status status = read_all(&r, path, &f);
  rh_folder_free(&f);
  RH_TRY(status);
  RH_TRY(rh_spool_done(&set->spool));
  const int64_t d = set->h * set->w * set->c;
  set->at = set->spool.data;
  set->step[0] = d + r.labelled;
  set->step[1] = set->w * set->c;
  set->step[2] = set->c;
  set->step[3] = 1;
  if (!r.labelled) return RH_OK;
  set->label = set->at + d;
  set->label_step = set->step[0];
  set->n_labels = set->n;
  return RH_OK;
}

const rh_image_format rh_image_folder = {.name = "folder", .takes = takes, .gather = gather};
