/* clang-format off */
/* Images as tables: an image is a row of u1 cells, row-major, channels last, and behind it its label where labels are asked for (role
 * RH_ROLE_CATEGORY). The content decides what a file is, not its name; each may be gzip-compressed.
 *   IDX     unsigned bytes, [n, h, w] or [n, h, w, c], as MNIST has them
 *   NPY     uint8, [n, h, w], [n, h, w, c] or [n, c, h, w], c being 1 or 3; channels last where the shape can be read both ways
 *   NPZ     such an array: FILE.npz:NAME; else X, else x, else the only one of 3 or 4 axes
 *   CIFAR   binary batches of CIFAR-10 or CIFAR-100 (fine labels): a file, files between commas, or a folder of data_batch_*.bin
 *   PNG     8 bits a channel at most, grey or colour, as they are written: without palette and transparency, one image
 *   PNM     PGM and PPM, plain and binary (P2, P3, P5, P6), values to 255, one image
 *   folder  of PNG and PNM files in the order of the bytes of their names, or of folders of them
 * c is 1 or 3. Images are as large as they lie in the file; nothing is scaled. What lies as the table needs it is used in place.
 * Every failure is one line that names the file and the image, counted from 1. */
/* clang-format on */
#ifndef RH_DATA_IMAGES_H
#define RH_DATA_IMAGES_H
#include "data/table.h"

/* Words for labels: those that the data themselves have: sub-folders, CIFAR's, an NPZ's array y. */
#define RH_LABELS_OWN     ""
#define RH_LABELS_FOLDERS "folders"

typedef struct rh_image_options { /* {0} or NULL: the defaults */
  const char
      *labels; /* NULL: none. RH_LABELS_OWN; RH_LABELS_FOLDERS; an array of the NPZ itself; else a file, IDX, NPY or NPZ (:NAME, else y) */
  int bits;    /* the data's depth, 1 to 8: values must be below 2^bits; 0: 8 */
  const char *layout; /* of NPY: "hwc" or "chw"; NULL: what the shape allows */
} rh_image_options;

enum { RH_IMAGE_VALUES = 1 << 26 }; /* h * w * c at most */

/* The table has rh_table_image. path "-": standard input. */
rh_status rh_images_read(const char *path, const rh_image_options *options, rh_table **table) RH_WARN_UNUSED;
/* The same from bytes in memory, which are copied; `name` stands in errors. */
rh_status rh_images_read_bytes(const char *name, const void *bytes, size_t n, const rh_image_options *options,
                               rh_table **table) RH_WARN_UNUSED;
/* Images that the caller keeps alive: values [n, columns] are h w c of each and, with `labels`, a label behind them; shape is h, w, c. */
rh_status rh_images_wrap(const char *name, const unsigned char *values, int64_t n, int64_t columns, const int64_t shape[3], bool labels,
                         rh_table **table) RH_WARN_UNUSED;
/* A copy at fewer bits: every value x of the images becomes x >> (their bits - bits); what follows them in a row stays. */
rh_status rh_images_reduce(const rh_table *table, int bits, rh_table **reduced) RH_WARN_UNUSED;
/* A copy whose labels, the last column, are map[label], and stand for the categories `texts` (array[n_texts]; NULL: they are numbers). */
rh_status rh_images_relabel(const rh_table *table, const unsigned char map[256], const char *const *texts, int64_t n_texts,
                            rh_table **relabelled) RH_WARN_UNUSED;

/* Whether the path leads to image data, by the content: what a table's reader could take for a table is none. False for "-", and for what
 * cannot be read: who reads it says why. */
rh_status rh_images_known(const char *path, bool *known) RH_WARN_UNUSED;
#endif
