/* Every reader and writer of images with its first, second, third ... allocation failing: each time an error, nothing lost (the leak
 * checker looks), and outputs as they were. */
#define _XOPEN_SOURCE 700 /* mkdtemp */
#include "data/png_write.h"
#include "image_files.h"
#include "starve.h"

typedef struct reading {
  const char *file, *labels;
  int least; /* allocations that it needs at least */
} reading;

static const reading readings[] = {
    {"grey.idx", NULL, 1},  {"grey.idx.gz", "labels.idx.gz", 8}, {"chw.npy", "y-i8.npy", 5}, {"stored.npz", "", 6},
    {"packed.npz", "y", 8}, {"named.npz", "stored.npz", 9},      {"batch.bin.gz", "", 6},    {"cifar", "", 8},
    {"grey-png", NULL, 20}, {"colour-png", "labels.idx", 20},    {"classes", "folders", 20}, {"colour-pnm", NULL, 8},
    {"one.png", NULL, 8},   {"depth2-interlaced.png", NULL, 8},  {"one.ppm", NULL, 3},
};

static rh_status read_once(void *state) {
  const reading *r = state;
  const rh_image_options options = {.labels = r->labels && strchr(r->labels, '.') ? scratch_path(r->labels) : r->labels};
  rh_table *table = NULL;
  const rh_status status = rh_images_read(scratch_path(r->file), &options, &table);
  assert_true((status == RH_OK) == (table != NULL));
  rh_table_free(table);
  return status;
}

static void readers(void **state) {
  (void)state;
  for (size_t i = 0; i < RH_COUNT_OF(readings); i++) {
    reading r = readings[i];
    const int n = starve_all(read_once, &r);
    if (n < r.least) fail_msg("%s: %d allocations", r.file, n);
  }
}

static rh_status read_bytes_once(void *state) {
  const rh_bytes *bytes = state;
  rh_table *table = NULL;
  const rh_status status = rh_images_read_bytes("t", bytes->data, bytes->size, NULL, &table);
  assert_true((status == RH_OK) == (table != NULL));
  rh_table_free(table);
  return status;
}

static rh_status reduce_once(void *state) {
  rh_table *reduced = NULL;
  const rh_status status = rh_images_reduce(state, 3, &reduced);
  assert_true((status == RH_OK) == (reduced != NULL));
  rh_table_free(reduced);
  return status;
}

static rh_status grid_once(void *state) {
  const rh_status status = rh_png_grid(scratch_path("grid.png"), 3, 5, 4, 3, state, 0);
  assert_true(rh_file_exists(scratch_path("grid.png")) == (status == RH_OK));
  assert_int_equal(rh_file_remove(scratch_path("grid.png")), RH_OK);
  return status;
}

static void everything_else(void **state) {
  (void)state;
  rh_bytes bytes = {0};
  rh_table *table = NULL;
  unsigned char *pixels = pixels_of(3, 5, 4, 3);
  assert_int_equal(rh_bytes_open(scratch_path("one.png"), &bytes), RH_OK);
  assert_true(starve_all(read_bytes_once, &bytes) >= 8);
  rh_bytes_close(&bytes);
  assert_int_equal(rh_images_read(scratch_path("grey.idx"), &(rh_image_options){.labels = scratch_path("labels.idx")}, &table), RH_OK);
  assert_true(starve_all(reduce_once, table) >= 4);
  assert_true(starve_all(grid_once, pixels) >= 8);
  rh_table_free(table);
  free(pixels);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(readers),
      cmocka_unit_test(everything_else),
  };
  return cmocka_run_group_tests(tests, image_files_make, scratch_remove);
}
