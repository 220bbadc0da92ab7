/* Images out, in pieces. The path says how:
 *   OUT.npy    uint8, [n, h, w, c], [n, h, w] where c is 1: the values as they are
 *   OUT.png    one picture of all, side by side; "-" is standard output
 *   FOLDER/    a PNG each, 1.png, 2.png, ... (001.png where there are hundreds); the folder is made, or must be empty
 * In pictures `white` is the value shown as 255. Nothing is seen at a file's path until commit; a folder's pictures go again with discard.
 */
#ifndef RH_DATA_IMAGE_WRITE_H
#define RH_DATA_IMAGE_WRITE_H
#include "data/spool.h"

typedef struct rh_image_writer rh_image_writer;

typedef struct rh_image_size {
  int64_t n, h, w, c;
  int white;       /* 255: pictures show the values as they are */
  int64_t columns; /* of a picture of all; 0: the root of n, rounded up */
} rh_image_size;

rh_status rh_image_writer_open(const char *path, const rh_image_size *size, rh_image_writer **writer) RH_WARN_UNUSED;
/* The next n images, [n, h, w, c]. The first failure sticks. */
rh_status rh_image_writer_put(rh_image_writer *writer, int64_t n, const unsigned char *values) RH_WARN_UNUSED;
rh_status rh_image_writer_commit(rh_image_writer *writer) RH_WARN_UNUSED; /* frees it, whatever it returns */
void rh_image_writer_discard(rh_image_writer *writer);                    /* frees it; NULL is fine */
#endif
