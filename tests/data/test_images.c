/* Every format gives the same values, in the same place, with the labels that it has. */
#define _XOPEN_SOURCE 700 /* mkdtemp */
#include "image_files.h"

enum { N = 3, H = 5, W = 4 };

typedef struct reading {
  const char *file, *labels, *layout;
  int64_t h, w, c, n;
  int most;            /* 0: 255 */
  int label[N];        /* where labels are asked for */
  const char *text[N]; /* of the classes, or NULL */
} reading;

#define FINE \
  { 7, 0, 255 }
#define OWN RH_LABELS_OWN
#define CLASS     \
  {0, 1, 2}, {    \
    "a", "b", "c" \
  }

static const reading readings[] = {
    {"grey.idx", NULL, NULL, H, W, 1, N, 0, {0}, {0}},
    {"grey.idx.gz", NULL, NULL, H, W, 1, N, 0, {0}, {0}},
    {"cifar-length.idx", NULL, NULL, 1019, 1, 1, N, 0, {0}, {0}},
    {"colour.idx", NULL, NULL, H, W, 3, N, 0, {0}, {0}},
    {"deep.idx", NULL, NULL, H, W, 1, N, 16, {0}, {0}},
    {"grey.idx", "labels.idx", NULL, H, W, 1, N, 0, FINE, {0}},
    {"grey.idx.gz", "labels.idx.gz", NULL, H, W, 1, N, 0, FINE, {0}},
    {"colour.idx", "y-i8.npy", NULL, H, W, 3, N, 0, FINE, {0}},
    {"grey.idx", "y-column.npy", NULL, H, W, 1, N, 0, FINE, {0}},
    {"grey.idx", "stored.npz", NULL, H, W, 1, N, 0, FINE, {0}},
    {"grey.idx", "packed.npz:y", NULL, H, W, 1, N, 0, FINE, {0}},
    {"grey.idx", "named.npz:classes", NULL, H, W, 1, N, 0, FINE, {0}},
    {"grey.npy", NULL, NULL, H, W, 1, N, 0, {0}, {0}},
    {"grey1.npy", NULL, NULL, H, W, 1, N, 0, {0}, {0}},
    {"hwc.npy", NULL, NULL, H, W, 3, N, 0, {0}, {0}},
    {"chw.npy", NULL, NULL, H, W, 3, N, 0, {0}, {0}},
    {"hwc.npy", "labels.idx", "hwc", H, W, 3, N, 0, FINE, {0}},
    {"chw.npy", "labels.idx", "chw", H, W, 3, N, 0, FINE, {0}},
    {"fortran.npy", NULL, NULL, H, W, 3, N, 0, {0}, {0}},
    {"fortran-chw.npy", NULL, NULL, H, W, 3, N, 0, {0}, {0}},
    {"both.npy", NULL, NULL, 3, W, 3, N, 0, {0}, {0}}, /* channels last where both could be */
    {"both-chw.npy", NULL, "chw", 4, 3, 3, N, 0, {0}, {0}},
    {"stored.npz", NULL, NULL, H, W, 1, N, 0, {0}, {0}},
    {"stored.npz", OWN, NULL, H, W, 1, N, 0, FINE, {0}},
    {"packed.npz", OWN, NULL, H, W, 1, N, 0, FINE, {0}},
    {"packed.npz:X", "y", NULL, H, W, 1, N, 0, FINE, {0}},
    {"named.npz", "classes", NULL, H, W, 3, N, 0, FINE, {0}},
    {"named.npz", "labels.idx", NULL, H, W, 3, N, 0, FINE, {0}},
    {"batch.bin", NULL, NULL, 32, 32, 3, N, 0, {0}, {0}},
    {"batch.bin", OWN, NULL, 32, 32, 3, N, 0, {9, 0, 4}, {0}},
    {"batch.bin.gz", OWN, NULL, 32, 32, 3, N, 0, {9, 0, 4}, {0}},
    {"batch.bin", "labels.idx", NULL, 32, 32, 3, N, 0, FINE, {0}},
    {"fine.bin", OWN, NULL, 32, 32, 3, N, 0, {99, 0, 42}, {0}},
    {"cifar", OWN, NULL, 32, 32, 3, N, 0, {9, 0, 4}, {0}},
    {"cifar", NULL, NULL, 32, 32, 3, N, 0, {0}, {0}},
    {"grey-png", NULL, NULL, H, W, 1, N, 0, {0}, {0}},
    {"grey-png/", "labels.idx", NULL, H, W, 1, N, 0, FINE, {0}},
    {"colour-png", NULL, NULL, H, W, 3, N, 0, {0}, {0}},
    {"mixed-kinds", NULL, NULL, H, W, 3, N, 0, {0}, {0}},
    {"grey-pnm", NULL, NULL, H, W, 1, N, 0, {0}, {0}},
    {"colour-pnm", NULL, NULL, H, W, 3, N, 0, {0}, {0}},
    {"order", NULL, NULL, H, W, 1, N, 0, {0}, {0}},
    {"classes", NULL, NULL, H, W, 1, N, 0, {0}, {0}},
    {"classes", "folders", NULL, H, W, 1, N, 0, CLASS},
    {"classes", OWN, NULL, H, W, 1, N, 0, CLASS},
    {"classes", "labels.idx", NULL, H, W, 1, N, 0, FINE, {0}},
    {"depth1.png", NULL, NULL, H, W, 1, 1, 1, {0}, {0}},
    {"depth2.png", NULL, NULL, H, W, 1, 1, 3, {0}, {0}},
    {"depth2-interlaced.png", NULL, NULL, 9, 11, 1, 1, 3, {0}, {0}},
    {"depth4.png", NULL, NULL, H, W, 1, 1, 15, {0}, {0}},
    {"depth15.pgm", NULL, NULL, H, W, 1, 1, 15, {0}, {0}},
    {"one.png", NULL, NULL, H, W, 3, 1, 0, {0}, {0}},
    {"glued.pgm", NULL, NULL, H, W, 1, 1, 0, {0}, {0}},
    {"one.ppm", NULL, NULL, H, W, 3, 1, 0, {0}, {0}},
    {"one.pgm.gz", NULL, NULL, H, W, 1, 1, 0, {0}, {0}},
};

/* Files of labels stand in the scratch folder; words have no dot. */
static const char *labels_path(const char *labels) {
  return labels && strchr(labels, '.') ? scratch_path(labels) : labels;
}

static void check(const reading *r, const rh_table *table) {
  const int64_t d = r->h * r->w * r->c;
  assert_images(r->file, table, r->n, r->h, r->w, r->c, r->most ? r->most : 255);
  assert_int_equal(rh_table_image(table)->bits, 8);
  assert_int_equal(rh_table_cell(table), RH_CELL_U1);
  assert_int_equal(rh_table_columns(table), d + (r->labels != NULL));
  assert_int_equal(rh_table_facts(table, d - 1).role, RH_ROLE_DATA);
  if (!r->labels) return;
  const rh_column_facts facts = rh_table_facts(table, d);
  double label[N];
  rh_table_column_f64(table, d, NULL, 0, r->n, label);
  assert_int_equal(facts.role, RH_ROLE_CATEGORY);
  assert_int_equal(facts.number, d + 1);
  assert_int_equal(facts.n_texts, r->text[0] ? N : 0);
  for (int i = 0; i < N; i++) {
    if (label[i] != r->label[i]) fail_msg("%s with %s: label %d is %g, not %d", r->file, r->labels, i, label[i], r->label[i]);
    if (r->text[0]) assert_string_equal(facts.texts[i], r->text[i]);
  }
}

static void every_format(void **state) {
  (void)state;
  for (size_t i = 0; i < RH_COUNT_OF(readings); i++) {
    const reading *r = &readings[i];
    const rh_image_options options = {.labels = labels_path(r->labels), .layout = r->layout};
    rh_table *table = NULL;
    if (rh_images_read(scratch_path(r->file), &options, &table) != RH_OK) fail_msg("%s", rh_last_error());
    check(r, table);
    rh_table_free(table);
  }
}

/* From memory: the same, and the bytes may go away. */
static void from_bytes(void **state) {
  (void)state;
  int done = 0;
  for (size_t i = 0; i < RH_COUNT_OF(readings); i++) {
    const reading *r = &readings[i];
    const rh_image_options options = {.labels = labels_path(r->labels), .layout = r->layout};
    rh_bytes bytes = {0};
    rh_table *table = NULL;
    if (strchr(r->file, ':') || rh_bytes_open(scratch_path(r->file), &bytes) != RH_OK) continue; /* a folder */
    unsigned char *copy = malloc(bytes.size);
    memcpy(copy, bytes.data, bytes.size);
    if (rh_images_read_bytes("t", copy, bytes.size, &options, &table) != RH_OK) fail_msg("%s", rh_last_error());
    memset(copy, 0xEE, bytes.size);
    free(copy);
    check(r, table);
    rh_table_free(table);
    rh_bytes_close(&bytes);
    done++;
  }
  assert_true(done > 30);
}

static void several_batches(void **state) {
  (void)state;
  char list[600];
  rh_table *table = NULL;
  snprintf(list, sizeof list, "%s,%s", scratch_path("cifar/data_batch_1.bin"), scratch_path("cifar/data_batch_2.bin"));
  assert_int_equal(rh_images_read(list, &(rh_image_options){.labels = OWN}, &table), RH_OK);
  assert_images(list, table, N, 32, 32, 3, 255);
  rh_table_free(table);
}

/* Records that begin as IDX files do. */
static void batches_like_idx(void **state) {
  (void)state;
  static const char *const files[] = {"zero-first.bin", "zero-axis.bin"};
  for (size_t i = 0; i < RH_COUNT_OF(files); i++) {
    rh_table *table = NULL;
    if (rh_images_read(scratch_path(files[i]), &(rh_image_options){.labels = OWN}, &table) != RH_OK) fail_msg("%s", rh_last_error());
    assert_int_equal(rh_table_rows(table), 1);
    assert_int_equal(rh_table_columns(table), 3073);
    rh_table_free(table);
  }
}

/* The bundled digits: the classes' numbers are those that the collection's documentation gives. */
static void bundled_digits(void **state) {
  (void)state;
  static const int wanted[10] = {178, 182, 177, 183, 181, 182, 181, 179, 174, 180};
  int count[10] = {0};
  rh_table *table = NULL;
  assert_int_equal(rh_images_read("data/digits8.npz", &(rh_image_options){.labels = OWN, .bits = 5}, &table), RH_OK);
  const rh_image_facts *image = rh_table_image(table);
  assert_true(image->h == 8 && image->w == 8 && image->c == 1 && image->bits == 5 && image->greatest == 16);
  for (int64_t i = 0; i < rh_table_rows(table); i++) {
    double label = -1;
    rh_table_column_f64(table, 64, NULL, i, 1, &label);
    assert_true(label >= 0 && label <= 9);
    count[(int)label]++;
  }
  assert_memory_equal(count, wanted, sizeof count);
  rh_table_free(table);
}

/* IDX and NPY in bytes are used where they lie, without labels: the table holds no memory. */
static void one_byte_a_pixel(void **state) {
  (void)state;
  static const struct {
    const char *file, *labels;
    int64_t bytes;
  } costs[] = {{"grey.idx", NULL, 0},
               {"colour.idx", NULL, 0},
               {"grey.npy", NULL, 0},
               {"hwc.npy", NULL, 0},
               {"stored.npz", NULL, 0},
               {"chw.npy", NULL, N * H * W * 3},
               {"grey.idx", "labels.idx", N * (H * W + 1)}};
  for (size_t i = 0; i < RH_COUNT_OF(costs); i++) {
    rh_table *table = NULL;
    const rh_image_options options = {.labels = labels_path(costs[i].labels)};
    assert_int_equal(rh_images_read(scratch_path(costs[i].file), &options, &table), RH_OK);
    assert_int_equal(rh_table_bytes(table), costs[i].bytes);
    rh_table_free(table);
  }
}

static void declared_bits(void **state) {
  (void)state;
  rh_table *table = NULL, *less = NULL, *least = NULL;
  assert_int_equal(rh_images_read(scratch_path("deep.idx"), &(rh_image_options){.bits = 5, .labels = labels_path("labels.idx")}, &table),
                   RH_OK);
  assert_int_equal(rh_table_image(table)->bits, 5);
  assert_int_equal(rh_table_image(table)->greatest, 16); /* 0..16 do not fill five bits */
  assert_int_equal(rh_images_reduce(table, 2, &less), RH_OK);
  assert_int_equal(rh_table_image(less)->bits, 2);
  assert_int_equal(rh_table_image(less)->greatest, 2);
  const int64_t d = H * W;
  float all[2][H * W + 1];
  for (int64_t i = 0; i < N; i++) {
    rh_table_get_f32(table, NULL, i, 1, all[0]);
    rh_table_get_f32(less, NULL, i, 1, all[1]);
    for (int64_t j = 0; j < d; j++) assert_int_equal((int)all[1][j], (int)all[0][j] / 8);
    assert_int_equal((int)all[1][d], (int)all[0][d]); /* a label is no pixel */
  }
  assert_int_equal(rh_table_facts(less, d).role, RH_ROLE_CATEGORY);
  assert_int_equal(rh_images_reduce(less, 3, &least), RH_E_ARGUMENT);
  assert_string_equal(rh_last_error(), "images of 2 bits cannot be reduced to 3; give 1 to 2");
  rh_table_free(less);
  rh_table_free(table);
  table = table_of_text("1,2\n", NULL);
  assert_int_equal(rh_images_reduce(table, 3, &least), RH_E_ARGUMENT);
  assert_null(least);
  rh_table_free(table);
}

static void an_image_stays_one_where_its_pixels_do(void **state) {
  (void)state;
  enum { D = H * W };
  rh_table *table = NULL, *view = NULL;
  int64_t columns[D + 1];
  assert_int_equal(rh_images_read(scratch_path("grey.idx"), &(rh_image_options){.labels = labels_path("labels.idx")}, &table), RH_OK);
  for (int64_t j = 0; j <= D; j++) columns[j] = j;
  assert_int_equal(rh_table_view(table, columns, D, &view), RH_OK); /* without the label */
  assert_images("view", view, N, H, W, 1, 255);
  assert_int_equal(rh_table_columns(view), D);
  rh_table_free(view);
  static const struct {
    int64_t first, count;
    bool swap, kept;
  } cases[] = {{0, D + 1, false, true}, {0, D - 1, false, false}, {1, D, false, false}, {0, D, true, false}};
  for (size_t i = 0; i < RH_COUNT_OF(cases); i++) {
    int64_t some[D + 1];
    memcpy(some, columns, sizeof some);
    if (cases[i].swap) some[3] = 4, some[4] = 3;
    assert_int_equal(rh_table_view(table, some + cases[i].first, cases[i].count, &view), RH_OK);
    assert_true((rh_table_image(view) != NULL) == cases[i].kept);
    float row[D + 1], whole[D + 1];
    for (int64_t k = 0; k < N; k++) { /* and the values are those of the columns */
      rh_table_get_f32(view, NULL, k, 1, row);
      rh_table_get_f32(table, NULL, k, 1, whole);
      for (int64_t j = 0; j < cases[i].count; j++) assert_true(row[j] == whole[some[cases[i].first + j]]);
    }
    rh_table_free(view);
  }
  const rh_image_facts wrong[] = {{H, W, 3, 8, 1},  {0, W, 1, 8, 1}, {INT64_MAX, INT64_MAX, 1, 8, 1}, {H, W, 1, 0, 0}, {H, W, 1, 17, 0},
                                  {H, W, 1, 4, 16}, {H, W, 1, 4, -1}};
  for (size_t i = 0; i < RH_COUNT_OF(wrong); i++) assert_int_not_equal(rh_table_set_image(table, &wrong[i]), RH_OK);
  assert_images("unchanged", table, N, H, W, 1, 255);
  assert_int_equal(rh_table_set_image(table, NULL), RH_OK);
  assert_null(rh_table_image(table));
  rh_table_free(table);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(every_format),    cmocka_unit_test(from_bytes),
      cmocka_unit_test(several_batches), cmocka_unit_test(batches_like_idx),
      cmocka_unit_test(bundled_digits),  cmocka_unit_test(one_byte_a_pixel),
      cmocka_unit_test(declared_bits),   cmocka_unit_test(an_image_stays_one_where_its_pixels_do),
  };
  return cmocka_run_group_tests(tests, image_files_make, scratch_remove);
}
