/* Image files made by images_peer.py in the scratch folder, and the values that all of them hold. */
#ifndef TESTS_DATA_IMAGE_FILES_H
#define TESTS_DATA_IMAGE_FILES_H
#include "data/images.h"
#include "scratch.h"

#define PEER "/usr/bin/python3 tests/data/images_peer.py "

static inline int image_files_make(void **state) {
  char command[256];
  if (scratch_make(state) != 0) return -1;
  snprintf(command, sizeof command, PEER "make %s", scratch_folder);
  return system(command); /* python3-numpy is one of the tests' requirements */
}

/* images_peer.py knows the same formula. */
static inline int value_of(int64_t i, int64_t y, int64_t x, int64_t k, int most) {
  return (int)((131 * i + 31 * y + 7 * x + 53 * k + 3 * i * y * x) % (most + 1));
}

static inline unsigned char *pixels_of(int64_t n, int64_t h, int64_t w, int64_t c) {
  unsigned char *p = malloc((size_t)(n * h * w * c)), *at = p;
  assert_non_null(p);
  for (int64_t i = 0; i < n; i++)
    for (int64_t y = 0; y < h; y++)
      for (int64_t x = 0; x < w; x++)
        for (int64_t k = 0; k < c; k++) *at++ = (unsigned char)value_of(i, y, x, k, 255);
  return p;
}

static inline void assert_images(const char *name, const rh_table *table, int64_t n, int64_t h, int64_t w, int64_t c, int most) {
  const rh_image_facts *image = rh_table_image(table);
  assert_non_null(image);
  if (rh_table_rows(table) != n || image->h != h || image->w != w || image->c != c) {
    fail_msg("%s: %d images of %d x %d x %d", name, (int)rh_table_rows(table), (int)image->h, (int)image->w, (int)image->c);
  }
  const int64_t d = rh_table_columns(table);
  float *row = malloc((size_t)d * sizeof *row);
  int greatest = 0;
  for (int64_t i = 0; i < n; i++) {
    rh_table_get_f32(table, NULL, i, 1, row);
    for (int64_t j = 0; j < h * w * c; j++) {
      const int want = value_of(i, j / (w * c), j / c % w, j % c, most);
      if (row[j] != (float)want) fail_msg("%s: image %d, value %d: %g is not %d", name, (int)i, (int)j, (double)row[j], want);
      if (want > greatest) greatest = want;
    }
  }
  free(row);
  assert_int_equal(image->greatest, greatest);
}

#endif
