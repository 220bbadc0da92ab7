/* Any bytes as images (IDX, NPY, NPZ, PNG, PNM, CIFAR, gzip; whatever they sniff as): never a crash or a read outside; images that are read
 * stay within their bits, and one of them written as PNG and read again is the same. The checksums of a PNG's chunks are put right too, so
 * that what lies behind them is reached. */
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "base/memory.h"
#include "data/images.h"
#include "data/png_write.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);

static void must(bool holds) {
  if (!holds) abort();
}

static void again(const unsigned char *pixels, const rh_image_facts *image) {
  rh_spool spool;
  rh_table *table = NULL;
  const int64_t d = image->h * image->w * image->c;
  float *row = rh_alloc((size_t)d * sizeof *row);
  rh_spool_begin(&spool, INT64_MAX, "");
  must(row && rh_png_put(&spool, image->h, image->w, image->c, pixels) == RH_OK && rh_spool_done(&spool) == RH_OK);
  must(rh_images_read_bytes("again", spool.data, (size_t)spool.size, NULL, &table) == RH_OK);
  const rh_image_facts *other = rh_table_image(table);
  must(other->h == image->h && other->w == image->w && other->c == image->c && rh_table_rows(table) == 1);
  rh_table_get_f32(table, NULL, 0, 1, row);
  for (int64_t j = 0; j < d; j++) must(row[j] == (float)pixels[j]);
  rh_table_free(table);
  rh_spool_close(&spool);
  rh_free(row);
}

static void take_out(const rh_table *table, const rh_image_options *options) {
  const rh_image_facts *image = rh_table_image(table);
  must(image != NULL);
  const int64_t rows = rh_table_rows(table), columns = rh_table_columns(table), d = image->h * image->w * image->c;
  must(rows >= 1 && columns == d + (options->labels != NULL) && image->bits == (options->bits ? options->bits : 8));
  float *row = rh_alloc((size_t)columns * sizeof *row);
  unsigned char *pixels = rh_alloc((size_t)d);
  must(row && pixels);
  int greatest = 0;
  for (int64_t i = 0; i < rows; i++) {
    rh_table_get_f32(table, NULL, i, 1, row);
    for (int64_t j = 0; j < d; j++) {
      pixels[j] = (unsigned char)row[j];
      if (pixels[j] > greatest) greatest = pixels[j];
    }
  }
  must(greatest == image->greatest && greatest < 1 << image->bits);
  if (d <= 1 << 16) again(pixels, image);
  rh_free(row);
  rh_free(pixels);
}

static void read_all(const uint8_t *bytes, size_t n) {
  static const rh_image_options all[] = {{0}, {.labels = RH_LABELS_OWN}, {.bits = 4}, {.layout = "chw"}};
  for (size_t i = 0; i < RH_COUNT_OF(all); i++) {
    rh_table *table = NULL;
    const rh_status status = rh_images_read_bytes("fuzz", bytes, n, &all[i], &table);
    must((status == RH_OK) == (table != NULL));
    must(status == RH_OK || (rh_last_error()[0] && !strchr(rh_last_error(), '\n')));
    if (table) take_out(table, &all[i]);
    rh_table_free(table);
  }
}

static uint32_t big(const uint8_t *p) {
  return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

/* Every whole chunk's checksum put right; false: it is no PNG. */
static bool mend(uint8_t *p, size_t n) {
  if (n < 8 || memcmp(p, "\x89PNG\r\n\x1a\n", 8) != 0) return false;
  for (size_t at = 8; n - at >= 12 && big(p + at) <= n - at - 12;) {
    const size_t length = big(p + at);
    const uLong crc = crc32(0, p + at + 4, (uInt)length + 4);
    for (int k = 0; k < 4; k++) p[at + 8 + length + (size_t)k] = (uint8_t)(crc >> (24 - 8 * k));
    at += 12 + length;
  }
  return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n) {
  read_all(bytes, n);
  uint8_t *copy = malloc(n ? n : 1);
  must(copy != NULL);
  if (n > 0) memcpy(copy, bytes, n);
  if (mend(copy, n)) read_all(copy, n);
  free(copy);
  return 0;
}
