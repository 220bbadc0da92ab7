/* NumPy's archives with an array of images, and their labels where they stand beside it. */
#include <stdio.h>
#include <string.h>

#include "data/archive.h"
#include "data/image_source.h"

static const rh_archive_want images_wanted = {.what = "images", .least = 3, .likely = 3, .most = 4};

static rh_status read_pixels(const rh_source *source, const rh_archive *z, const rh_image_options *options, rh_image_set *set) {
  const rh_member *m = NULL;
  const unsigned char *bytes;
  RH_TRY(rh_archive_choose(z, &images_wanted, &m));
  RH_TRY(rh_archive_take(z, m, &set->spool, &bytes));
  const rh_source whole = {.name = source->name, .data = bytes, .size = m->size};
  if (rh_image_npy.sniff(bytes, m->size)) return rh_image_npy.read(&whole, options, set);
  char show[RH_SHOW_BYTES];
  return rh_fail(RH_E_FORMAT, "%s: \"%s\" is no array; name one as FILE.npz:NAME", source->name, rh_show(m->name, m->name_bytes, show));
}

static rh_status read_labels(const rh_source *source, const rh_archive *z, const rh_member *m, rh_image_set *set) {
  char name[512], show[RH_SHOW_BYTES];
  const unsigned char *bytes;
  rh_spool spool;
  snprintf(name, sizeof name, "%.300s:%s", source->name, rh_show(m->name, m->name_bytes, show));
  rh_source_spool(source, &spool);
  rh_status status = rh_archive_take(z, m, &spool, &bytes);
  if (status == RH_OK) status = rh_labels_of_npy(name, bytes, m->size, set);
  rh_spool_close(&spool);
  return status;
}

static rh_status read_all(const rh_source *source, const rh_archive *z, const rh_image_options *options, rh_image_set *set) {
  const char *labels = options->labels;
  RH_TRY(read_pixels(source, z, options, set));
  if (!labels) return RH_OK;
  const rh_member *m = rh_archive_find(z, strcmp(labels, RH_LABELS_OWN) == 0 ? "y" : labels);
  if (m) return read_labels(source, z, m, set);
  if (rh_file_exists(labels) || strstr(labels, ".npz:")) return RH_OK; /* a file's, then */
  char what[200];
  snprintf(what, sizeof what, "no array for labels is named \"%.100s\"", strcmp(labels, RH_LABELS_OWN) == 0 ? "y" : labels);
  return rh_archive_fail(z, what);
}

static rh_status read_npz(const rh_source *source, const rh_image_options *options, rh_image_set *set) {
  rh_archive z;
  RH_TRY(rh_archive_open(source, &z));
  const rh_status status = read_all(source, &z, options, set);
  rh_archive_close(&z);
  return status;
}

const rh_image_format rh_image_npz = {.name = "NPZ", .sniff = rh_archive_sniff, .read = read_npz};
