/* PNG files out: 8 bits, grey or RGB, the same bytes for the same values (no times, no texts). */
#ifndef RH_DATA_PNG_WRITE_H
#define RH_DATA_PNG_WRITE_H
#include "data/spool.h"

/* pixels: [h, w, c], c 1 or 3. Nothing is seen at the path before all is written (base/file.h); "-" is standard output. */
rh_status rh_png_write(const char *path, int64_t h, int64_t w, int64_t c, const unsigned char *pixels) RH_WARN_UNUSED;
/* The same bytes into a spool that was begun; the caller ends it. */
rh_status rh_png_put(rh_spool *spool, int64_t h, int64_t w, int64_t c, const unsigned char *pixels) RH_WARN_UNUSED;

/* n images of one size side by side, row by row, a line of grey around each. pixels: [n, h, w, c]. columns 0: the root of n, rounded up. */
rh_status rh_png_grid(const char *path, int64_t n, int64_t h, int64_t w, int64_t c, const unsigned char *pixels,
                      int64_t columns) RH_WARN_UNUSED;
#endif
