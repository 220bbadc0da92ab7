/* PNG out: what another program decodes is what was given; the same values give the same bytes; and our reader reads them back. */
#define _XOPEN_SOURCE 700 /* mkdtemp */
#include "data/png_write.h"
#include "image_files.h"

static void check_peer(const char *format, const char *file, const int *numbers, int n) {
  char command[300];
  int used = snprintf(command, sizeof command, PEER "%s %s", format, scratch_path(file));
  for (int i = 0; i < n; i++) used += snprintf(command + used, sizeof command - (size_t)used, " %d", numbers[i]);
  if (system(command) != 0) fail_msg("%s", command);
}

static void written_as_given(void **state) {
  (void)state;
  static const int sizes[][3] = {{1, 1, 1}, {1, 1, 3}, {5, 4, 1}, {5, 4, 3}, {1, 300, 3}, {40, 1, 1}, {33, 65, 3}};
  for (size_t i = 0; i < RH_COUNT_OF(sizes); i++) {
    const int h = sizes[i][0], w = sizes[i][1], c = sizes[i][2];
    unsigned char *pixels = pixels_of(1, h, w, c);
    rh_table *table = NULL;
    rh_bytes one = {0}, two = {0};
    assert_int_equal(rh_png_write(scratch_path("out.png"), h, w, c, pixels), RH_OK);
    assert_int_equal(rh_png_write(scratch_path("again.png"), h, w, c, pixels), RH_OK);
    check_peer("png", "out.png", sizes[i], 3);
    assert_int_equal(rh_images_read(scratch_path("out.png"), NULL, &table), RH_OK);
    assert_images("out.png", table, 1, h, w, c, 255);
    assert_int_equal(rh_bytes_open(scratch_path("out.png"), &one), RH_OK);
    assert_int_equal(rh_bytes_open(scratch_path("again.png"), &two), RH_OK);
    assert_int_equal(one.size, two.size);
    assert_memory_equal(one.data, two.data, one.size);
    rh_spool spool;
    rh_spool_begin(&spool, INT64_MAX, "");
    assert_int_equal(rh_png_put(&spool, h, w, c, pixels), RH_OK);
    assert_int_equal(rh_spool_done(&spool), RH_OK);
    assert_int_equal(spool.size, one.size);
    assert_memory_equal(spool.data, one.data, one.size);
    rh_spool_close(&spool);
    rh_bytes_close(&one);
    rh_bytes_close(&two);
    rh_table_free(table);
    free(pixels);
  }
}

static void grids(void **state) {
  (void)state;
  static const struct {
    int n, h, w, c, columns, want;
  } cases[] = {{1, 5, 4, 1, 0, 1},  {4, 5, 4, 3, 0, 2},  {5, 2, 3, 1, 0, 3},   {9, 2, 3, 1, 0, 3},
               {10, 2, 3, 1, 0, 4}, {10, 2, 3, 3, 7, 7}, {3, 2, 3, 1, 100, 3}, {3, 2, 3, 1, 1, 1}};
  for (size_t i = 0; i < RH_COUNT_OF(cases); i++) {
    const int numbers[] = {cases[i].n, cases[i].h, cases[i].w, cases[i].c, cases[i].want};
    unsigned char *pixels = pixels_of(cases[i].n, cases[i].h, cases[i].w, cases[i].c);
    assert_int_equal(rh_png_grid(scratch_path("grid.png"), cases[i].n, cases[i].h, cases[i].w, cases[i].c, pixels, cases[i].columns),
                     RH_OK);
    check_peer("grid", "grid.png", numbers, 5);
    free(pixels);
  }
}

static void refusals(void **state) {
  (void)state;
  const unsigned char pixels[16] = {0};
  scratch_write("kept.png", "old", 3);
  assert_int_equal(rh_png_write(scratch_path("kept.png"), 2, 2, 2, pixels), RH_E_ARGUMENT);
  assert_string_equal(rh_last_error(), "a PNG of 2 channels; 1 (grey) and 3 (RGB) are written");
  assert_int_equal(rh_png_write(scratch_path("kept.png"), 0, 2, 1, pixels), RH_E_ARGUMENT);
  assert_int_equal(rh_png_write(scratch_path("kept.png"), 1 << 20, 1 << 20, 1, pixels), RH_E_ARGUMENT);
  assert_string_equal(rh_last_error(), "a PNG of 1048576 x 1048576 cannot be written; give fewer or smaller images");
  assert_int_equal(rh_png_grid(scratch_path("kept.png"), INT64_MAX, 1, 1, 1, pixels, 0), RH_E_ARGUMENT);
  assert_int_equal(rh_png_grid(scratch_path("kept.png"), 1 << 20, 1 << 10, 1 << 10, 1, pixels, 0), RH_E_ARGUMENT);
  assert_int_equal(rh_png_grid(scratch_path("kept.png"), 1, 1, 1, 1, pixels, -1), RH_E_ARGUMENT);
  assert_int_equal(rh_png_grid(scratch_path("kept.png"), 0, 1, 1, 1, pixels, 0), RH_E_ARGUMENT);
  assert_int_equal(rh_png_write(scratch_path("no/such.png"), 2, 2, 1, pixels), RH_E_IO);
  rh_bytes bytes = {0};
  assert_int_equal(rh_bytes_open(scratch_path("kept.png"), &bytes), RH_OK);
  assert_int_equal(bytes.size, 3); /* what was there stays */
  rh_bytes_close(&bytes);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(written_as_given),
      cmocka_unit_test(grids),
      cmocka_unit_test(refusals),
  };
  return cmocka_run_group_tests(tests, scratch_make, scratch_remove);
}
