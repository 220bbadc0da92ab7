/* The labels of images: a whole number from 0 to 255 each, from a file beside them or an array. */
#include <string.h>

#include "data/archive.h"
#include "data/image_source.h"

enum { PIECE = 256, LABELS = 256 };

static rh_status copy_labels(const char *name, const rh_table *table, unsigned char *out) {
  double value[PIECE];
  const int64_t n = rh_table_rows(table);
  for (int64_t i = 0; i < n; i += PIECE) {
    const int64_t some = n - i < PIECE ? n - i : PIECE;
    rh_table_column_f64(table, 0, NULL, i, some, value);
    for (int64_t k = 0; k < some; k++) {
      const bool fits = value[k] >= 0 && value[k] < LABELS; /* NaN compares false */
      if (!fits || value[k] != (double)(int)value[k]) {
        return rh_fail(RH_E_DATA, "%s: label %lld is %.9g; labels are whole numbers from 0 to %d", name, (long long)(i + k + 1), value[k],
                       LABELS - 1);
      }
      out[i + k] = (unsigned char)value[k];
    }
  }
  return RH_OK;
}

static rh_status keep(unsigned char *block, int64_t n, rh_image_set *set) {
  rh_free(set->label_block);
  set->label = set->label_block = block;
  set->n_labels = n;
  set->label_step = 1;
  return RH_OK;
}

rh_status rh_labels_of_npy(const char *name, const unsigned char *bytes, int64_t size, rh_image_set *set) {
  rh_npy npy;
  rh_table *table = NULL;
  RH_TRY(rh_npy_parse(name, bytes, size, true, &npy));
  if (npy.cells.d != 1) {
    return rh_fail(RH_E_SHAPE, "%s: labels of %lld columns; give one label an image, an array of shape (n,)", name, (long long)npy.cells.d);
  }
  RH_TRY(rh_table_wrap(&npy.cells, NULL, &table));
  unsigned char *block = rh_alloc((size_t)npy.cells.n);
  const rh_status status = block ? copy_labels(name, table, block) : RH_E_MEMORY;
  rh_table_free(table);
  if (status == RH_OK) return keep(block, npy.cells.n, set);
  rh_free(block);
  return status;
}

static rh_status of_idx(const rh_source *s, rh_image_set *set) {
  rh_idx idx;
  RH_TRY(rh_idx_parse(s->name, s->data, s->size, &idx));
  if (idx.axes != 1) return rh_fail(RH_E_SHAPE, "%s: an IDX file of %d axes; labels have 1", s->name, idx.axes);
  unsigned char *block = rh_alloc((size_t)idx.shape[0]);
  if (!block) return RH_E_MEMORY;
  memcpy(block, idx.values, (size_t)idx.shape[0]);
  return keep(block, idx.shape[0], set);
}

static rh_status of_npy(const rh_source *s, rh_image_set *set) {
  return rh_labels_of_npy(s->name, s->data, s->size, set);
}

static rh_status of_npz(const rh_source *s, rh_image_set *set) {
  rh_archive z;
  rh_spool spool;
  const rh_member *m = NULL;
  const unsigned char *bytes = NULL;
  RH_TRY(rh_archive_open(s, &z));
  rh_source_spool(s, &spool);
  rh_status status = rh_archive_named(&z, s->member ? s->member : "y", &m);
  if (status == RH_OK) status = rh_archive_take(&z, m, &spool, &bytes);
  if (status == RH_OK) status = rh_labels_of_npy(s->name, bytes, m->size, set);
  rh_spool_close(&spool);
  rh_archive_close(&z);
  return status;
}

static const struct reader {
  const rh_image_format *format;
  rh_status (*read)(const rh_source *source, rh_image_set *set);
} readers[] = {{&rh_image_npy, of_npy}, {&rh_image_npz, of_npz}, {&rh_image_idx, of_idx}};

rh_status rh_labels_read(const char *path, rh_image_set *set) {
  const rh_read_options filled = rh_read_defaults(NULL);
  rh_source source;
  RH_TRY(rh_source_open(path, &filled, &source));
  size_t i = 0;
  while (i < RH_COUNT_OF(readers) && !readers[i].format->sniff(source.data, source.size)) i++;
  const rh_status status =
      i < RH_COUNT_OF(readers)
          ? readers[i].read(&source, set)
          : rh_fail(RH_E_FORMAT, "%s: is no file of labels; an IDX, NPY or NPZ file with one label an image is read", source.name);
  rh_source_close(&source);
  return status;
}
