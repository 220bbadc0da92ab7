#include "data/png_write.h"

#include <string.h>

#include "base/memory.h"
#include "data/png_guard.h"

enum { LARGEST = 1 << 30, LINE = 1, GREY = 128, LEVEL = 6 };

/* As in reading: libpng comes back by longjmp, and what must outlive it lies here. */
typedef struct writer {
  rh_png_guard guard;
  rh_spool *spool;
  int64_t h, w, c;
  const unsigned char *pixels;
  rh_status status; /* of the spool, and what libpng reported */
} writer;

static void PNGCBAPI put_some(png_structp png, png_bytep bytes, size_t n) {
  writer *w = png_get_io_ptr(png);
  const rh_status status = rh_spool_put(w->spool, bytes, (int64_t)n);
  if (status == RH_OK) return;
  w->status = status;
  png_error(png, "not written");
}

static void PNGCBAPI flush_none(png_structp png) {
  (void)png;
}

static void guarded(writer *w) {
  if (setjmp(w->guard.jump)) {
    if (w->status == RH_OK && !w->guard.starved) w->status = rh_fail(RH_E_IO, "a PNG could not be made (%s)", w->guard.message);
    return;
  }
  w->guard.png = png_create_write_struct_2(PNG_LIBPNG_VER_STRING, &w->guard, rh_png_on_error, rh_png_on_warning, &w->guard,
                                           rh_png_take_memory, rh_png_give_memory);
  w->guard.info = w->guard.png ? png_create_info_struct(w->guard.png) : NULL;
  if (!w->guard.info) {
    w->status = RH_E_MEMORY;
    return;
  }
  png_set_write_fn(w->guard.png, w, put_some, flush_none);
  png_set_user_limits(w->guard.png, LARGEST, LARGEST);
  png_set_compression_level(w->guard.png, LEVEL);
  png_set_IHDR(w->guard.png, w->guard.info, (png_uint_32)w->w, (png_uint_32)w->h, 8, w->c == 1 ? PNG_COLOR_TYPE_GRAY : PNG_COLOR_TYPE_RGB,
               PNG_INTERLACE_NONE, PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);
  png_write_info(w->guard.png, w->guard.info);
  for (int64_t y = 0; y < w->h; y++) png_write_row(w->guard.png, w->pixels + y * w->w * w->c);
  png_write_end(w->guard.png, NULL);
}

static rh_status check_size(int64_t h, int64_t w, int64_t c) {
  if (c != 1 && c != 3) return rh_fail(RH_E_ARGUMENT, "a PNG of %lld channels; 1 (grey) and 3 (RGB) are written", (long long)c);
  if (h >= 1 && w >= 1 && h <= LARGEST && w <= LARGEST / h && c <= LARGEST / h / w) return RH_OK;
  return rh_fail(RH_E_ARGUMENT, "a PNG of %lld x %lld cannot be written; give fewer or smaller images", (long long)h, (long long)w);
}

rh_status rh_png_put(rh_spool *spool, int64_t h, int64_t w, int64_t c, const unsigned char *pixels) {
  RH_TRY(check_size(h, w, c));
  writer x = {.spool = spool, .h = h, .w = w, .c = c, .pixels = pixels};
  guarded(&x);
  png_destroy_write_struct(&x.guard.png, &x.guard.info);
  return x.guard.starved ? RH_E_MEMORY : x.status;
}

static rh_status write_spool(const char *path, const rh_spool *spool) {
  rh_writer *file = NULL;
  RH_TRY(rh_writer_open(path, &file));
  (void)rh_writer_put(file, spool->data, (size_t)spool->size); /* its failure sticks */
  return rh_writer_commit(file);
}

rh_status rh_png_write(const char *path, int64_t h, int64_t w, int64_t c, const unsigned char *pixels) {
  rh_spool spool;
  rh_spool_begin(&spool, INT64_MAX, "");
  rh_status status = rh_png_put(&spool, h, w, c, pixels);
  if (status == RH_OK) status = rh_spool_done(&spool);
  if (status == RH_OK) status = write_spool(path, &spool);
  rh_spool_close(&spool);
  return status;
}

rh_status rh_png_grid(const char *path, int64_t n, int64_t h, int64_t w, int64_t c, const unsigned char *pixels, int64_t columns) {
  RH_TRY(check_size(h, w, c));
  if (n < 1 || columns < 0 || n > LARGEST || columns > LARGEST) {
    return rh_fail(RH_E_ARGUMENT, "a grid of %lld images in %lld columns; give at least one image, and 0 columns or more", (long long)n,
                   (long long)columns);
  }
  for (int64_t k = 1; columns == 0; k++) columns = k * k >= n ? k : 0;
  if (columns > n) columns = n;
  const int64_t rows = (n + columns - 1) / columns, height = rows * (h + LINE) + LINE, width = columns * (w + LINE) + LINE;
  RH_TRY(check_size(height, width, c));
  unsigned char *all = rh_alloc((size_t)(height * width * c));
  if (!all) return RH_E_MEMORY;
  memset(all, GREY, (size_t)(height * width * c));
  for (int64_t i = 0; i < n; i++) {
    unsigned char *to = all + ((i / columns * (h + LINE) + LINE) * width + i % columns * (w + LINE) + LINE) * c;
    for (int64_t y = 0; y < h; y++) memcpy(to + y * width * c, pixels + (i * h + y) * w * c, (size_t)(w * c));
  }
  const rh_status status = rh_png_write(path, height, width, c, all);
  rh_free(all);
  return status;
}
