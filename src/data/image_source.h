/* What a reader of one kind of image data is given and gives back. Private to this floor. */
#ifndef RH_DATA_IMAGE_SOURCE_H
#define RH_DATA_IMAGE_SOURCE_H
#include "base/memory.h"
#include "data/images.h"
#include "data/source.h"

/* Images where they lie: value (i, y, x, k) is at[i step[0] + y step[1] + x step[2] + k step[3]], label i label[i label_step]. */
typedef struct rh_image_set {
  int64_t n, h, w, c;
  const unsigned char *at; /* in the source's data, or in the spool */
  int64_t step[4];
  const unsigned char *label; /* NULL: none */
  int64_t n_labels, label_step;
  const char **texts; /* [n_texts]: the categories' names, or NULL */
  int64_t n_texts;
  unsigned char *label_block; /* an owner of labels, or NULL */
  rh_arena arena;             /* of the texts */
  rh_spool spool;             /* begun; for what does not lie in the source */
} rh_image_set;

/* One image, unpacked. */
typedef struct rh_picture {
  int64_t h, w, c;
  int most;              /* the greatest value that the file can hold */
  unsigned char *values; /* [h, w, c], to be freed with rh_free */
} rh_picture;

/* A kind of data: a set by paths (takes, gather), a set in one file (sniff, read), or one image in a file (sniff, decode). */
typedef struct rh_image_format {
  const char *name;
  rh_status (*takes)(const char *path, bool *takes);
  rh_status (*gather)(const char *path, const rh_image_options *options, rh_image_set *set); /* everything into its spool */
  bool (*sniff)(const unsigned char *data, int64_t size);
  rh_status (*read)(const rh_source *source, const rh_image_options *options, rh_image_set *set);
  rh_status (*decode)(const char *name, const unsigned char *data, int64_t size, rh_picture *picture);
} rh_image_format;
extern const rh_image_format rh_image_idx, rh_image_npy, rh_image_npz, rh_image_png, rh_image_pnm, rh_image_cifar, rh_image_folder;

/* That h, w, c can be an image's; c must be 1 or 3. */
rh_status rh_image_check_size(const char *name, int64_t h, int64_t w, int64_t c) RH_WARN_UNUSED;
/* That none of n values is beyond the declared bits. number: the image's, from 1; 0: the file is the image. *greatest grows. */
rh_status rh_image_check_values(const char *name, int64_t number, const unsigned char *values, const rh_image_set *set, int bits,
                                int *greatest) RH_WARN_UNUSED;

typedef struct rh_idx {
  const unsigned char *values;
  int axes;
  int64_t shape[4];
} rh_idx;
rh_status rh_idx_parse(const char *name, const unsigned char *data, int64_t size, rh_idx *idx) RH_WARN_UNUSED;

/* set->label from a file, or from an array of one axis that holds whole numbers from 0 to 255. */
rh_status rh_labels_read(const char *path, rh_image_set *set) RH_WARN_UNUSED;
rh_status rh_labels_of_npy(const char *name, const unsigned char *bytes, int64_t size, rh_image_set *set) RH_WARN_UNUSED;
#endif
