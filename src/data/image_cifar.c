/* The binary batches of CIFAR-10 and CIFAR-100 (Krizhevsky, "Learning Multiple Layers of Features from Tiny Images", 2009): records of one
 * label (two: coarse, fine) and 32 x 32 values of red, of green, of blue. */
#include <string.h>

#include "base/folder.h"
#include "data/image_source.h"

enum { SIDE = 32, PLANE = SIDE * SIDE, VALUES = 3 * PLANE };

typedef struct kind {
  const char *name;
  int labels;   /* bytes before the values; the last one is the class */
  int limit[2]; /* how many classes each counts */
} kind;
static const kind kinds[] = {{"CIFAR-10", 1, {10, 0}}, {"CIFAR-100", 2, {20, 100}}};

static int64_t record_bytes(const kind *k) {
  return k->labels + VALUES;
}

/* The first record with a label that the kind does not have; -1: none. */
static int64_t find_bad(const kind *k, const unsigned char *data, int64_t size) {
  const int64_t step = record_bytes(k);
  for (int64_t i = 0; i < size / step; i++) {
    for (int j = 0; j < k->labels; j++) {
      if (data[i * step + j] >= k->limit[j]) return i;
    }
  }
  return -1;
}

/* By the length; where both lengths divide it, by the labels. NULL: none. */
static const kind *kind_of(const unsigned char *data, int64_t size) {
  const kind *found = NULL;
  for (size_t i = 0; i < RH_COUNT_OF(kinds) && size > 0; i++) {
    if (size % record_bytes(&kinds[i]) != 0) continue;
    if (find_bad(&kinds[i], data, size) < 0) return &kinds[i];
    if (!found) found = &kinds[i];
  }
  return found;
}

static rh_status check(const char *name, const unsigned char *data, int64_t size, const kind **out) {
  const kind *k = kind_of(data, size);
  if (!k) {
    return rh_fail(RH_E_FORMAT,
                   "%s: the file is cut short or no batch of CIFAR: %lld bytes are no multiple of 3073 or 3074; fetch it again", name,
                   (long long)size);
  }
  const int64_t bad = find_bad(k, data, size);
  if (bad >= 0) {
    return rh_fail(RH_E_DATA, "%s: image %lld: its label is none of %s's %d classes; the file is damaged or of another kind", name,
                   (long long)bad + 1, k->name, k->limit[k->labels - 1]);
  }
  *out = k;
  return RH_OK;
}

static bool sniff(const unsigned char *data, int64_t size) {
  return kind_of(data, size) != NULL;
}

static void describe(const kind *k, const unsigned char *data, int64_t size, const rh_image_options *options, rh_image_set *set) {
  const int64_t step = record_bytes(k);
  set->n = size / step;
  set->h = set->w = SIDE;
  set->c = 3;
  set->at = data + k->labels;
  set->step[0] = step;
  set->step[1] = SIDE;
  set->step[2] = 1;
  set->step[3] = PLANE;
  if (!options->labels || strcmp(options->labels, RH_LABELS_OWN) != 0) return;
  set->label = data + k->labels - 1;
  set->label_step = step;
  set->n_labels = set->n;
}

static rh_status read_cifar(const rh_source *source, const rh_image_options *options, rh_image_set *set) {
  const kind *k;
  RH_TRY(check(source->name, source->data, source->size, &k));
  describe(k, source->data, source->size, options, set);
  return RH_OK;
}

/* ---- several files ---- */

static bool is_batch(const char *name) {
  const size_t n = strlen(name);
  return n > 15 && strncmp(name, "data_batch_", 11) == 0 && strcmp(name + n - 4, ".bin") == 0;
}

/* A folder that holds data_batch_*.bin, or files between commas. */
static rh_status takes(const char *path, bool *takes) {
  const rh_path_kind there = rh_path_is(path);
  *takes = false;
  if (there == RH_PATH_NONE) {
    const char *comma = strchr(path, ',');
    *takes = comma && comma - path > 4 && strncmp(comma - 4, ".bin", 4) == 0;
  }
  if (there != RH_PATH_FOLDER) return RH_OK;
  rh_folder f = {0};
  RH_TRY(rh_folder_list(path, &f));
  for (int64_t i = 0; i < f.n; i++) *takes = *takes || is_batch(f.name[i]);
  rh_folder_free(&f);
  return RH_OK;
}

static rh_status append(const char *path, const kind **all, rh_image_set *set) {
  const rh_read_options filled = rh_read_defaults(NULL);
  const kind *k = NULL;
  rh_source s;
  RH_TRY(rh_source_open(path, &filled, &s));
  rh_status status = check(s.name, s.data, s.size, &k);
  if (status == RH_OK && *all && *all != k) {
    status = rh_fail(RH_E_DATA, "%s: is of %s, but the file before it of %s; give files of one of them", path, k->name, (*all)->name);
  }
  if (status == RH_OK) status = rh_spool_put(&set->spool, s.data, s.size);
  if (status == RH_OK) *all = k;
  rh_source_close(&s);
  return status;
}

static rh_status append_list(const char *path, const kind **k, rh_image_set *set) {
  char *list = rh_arena_strdup(&set->arena, path);
  if (!list) return RH_E_MEMORY;
  for (char *end; list; list = end ? end + 1 : NULL) {
    end = strchr(list, ',');
    if (end) *end = 0;
    RH_TRY(append(list, k, set));
  }
  return RH_OK;
}

static rh_status append_folder(const char *path, const rh_folder *f, const kind **k, rh_image_set *set) {
  for (int64_t i = 0; i < f->n; i++) {
    if (!is_batch(f->name[i])) continue;
    const char *file = rh_path_join(&set->arena, path, f->name[i]);
    if (!file) return RH_E_MEMORY;
    RH_TRY(append(file, k, set));
  }
  return RH_OK;
}

static rh_status gather(const char *path, const rh_image_options *options, rh_image_set *set) {
  const kind *k = NULL;
  if (rh_path_is(path) == RH_PATH_FOLDER) {
    rh_folder f = {0};
    RH_TRY(rh_folder_list(path, &f));
    const rh_status status = append_folder(path, &f, &k, set);
    rh_folder_free(&f);
    RH_TRY(status);
  } else {
    RH_TRY(append_list(path, &k, set));
  }
  RH_TRY(rh_spool_done(&set->spool));
  if (!k) return rh_fail(RH_E_DATA, "%s: there are no batches of CIFAR in it", path);
  describe(k, set->spool.data, set->spool.size, options, set);
  return RH_OK;
}

const rh_image_format rh_image_cifar = {.name = "CIFAR", .takes = takes, .gather = gather, .sniff = sniff, .read = read_cifar};
