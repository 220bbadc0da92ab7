/* Images mirrored on their way into a plan: which, and how, whatever the batch. */
#define _XOPEN_SOURCE 700
#include "model/toy.h"

#include "model/feed.h"

enum { H = 2, W = 3, C = 2, IMAGE = H * W * C, COLUMNS = IMAGE + 1, CONTEXT = 2, WIDTH = COLUMNS + CONTEXT, ROWS = 2000 };

typedef struct rig {
  double *data;
  rh_dense_rows dense;
  rh_rows rows;
  rh_feed feed;
} rig;

static void rig_make(rig *r, int real_bytes) {
  r->data = rh_alloc(ROWS * WIDTH * sizeof(double));
  assert_non_null(r->data);
  for (int i = 0; i < ROWS * WIDTH; i++) r->data[i] = i % 1999;
  r->dense = (rh_dense_rows){ROWS, WIDTH, r->data};
  r->rows = rh_rows_dense(&r->dense);
  r->feed = rh_feed_of(real_bytes, COLUMNS, CONTEXT, 0);
  r->feed.rows = &r->rows;
  r->feed.flip = (rh_image_shape){H, W, C};
  r->feed.seed = 5, r->feed.epoch = 3;
}

/* Row i of the batch, as a plan sees it. */
static void row_at(rig *r, int64_t i, double x[COLUMNS]) {
  float narrow[COLUMNS];
  rh_feed_load(&r->feed, 0, i, 1, r->feed.real_bytes == 8 ? (void *)x : (void *)narrow);
  for (int k = 0; k < COLUMNS && r->feed.real_bytes == 4; k++) x[k] = (double)narrow[k];
}

static void mirrored(const double *x, double y[COLUMNS]) {
  memcpy(y, x, COLUMNS * sizeof *y);
  for (int i = 0; i < IMAGE; i++) y[i] = x[(i / (W * C) * W + W - 1 - i / C % W) * C + i % C];
}

/* Every row is itself or its mirror, half of them each; columns behind the image and the context stay. */
static void half_of_the_images_are_mirrored(void **state) {
  (void)state;
  for (int real = 4; real <= 8; real += 4) {
    rig r;
    rig_make(&r, real);
    int flipped = 0;
    for (int64_t i = 0; i < ROWS; i++) {
      double x[COLUMNS], want[COLUMNS];
      const double *raw = r.data + i * WIDTH;
      row_at(&r, i, x);
      mirrored(raw, want);
      const bool other = memcmp(x, raw, sizeof x) != 0;
      if (other) assert_memory_equal(x, want, sizeof x);
      flipped += other;
    }
    assert_true(abs(flipped - ROWS / 2) < 4 * sqrt(ROWS / 4.0));
    double context[CONTEXT * ROWS];
    float narrow[CONTEXT * ROWS];
    rh_feed_load(&r.feed, 1, 0, ROWS, real == 8 ? (void *)context : (void *)narrow);
    for (int i = 0; i < CONTEXT * ROWS; i++)
      assert_true((real == 8 ? context[i] : (double)narrow[i]) == r.data[i / CONTEXT * WIDTH + COLUMNS + i % CONTEXT]);
    rh_free(r.data);
  }
}

/* By seed, epoch and the row's number alone: in any order, block or number of draws. */
static void mirroring_belongs_to_the_row(void **state) {
  (void)state;
  rig r;
  rig_make(&r, 8);
  double one[ROWS][COLUMNS], block[7][COLUMNS], x[COLUMNS];
  int64_t order[ROWS];
  for (int64_t i = 0; i < ROWS; i++) row_at(&r, i, one[i]);
  for (int64_t i = 0; i + 7 <= ROWS; i += 7) {
    rh_feed_load(&r.feed, 0, i, 7, block);
    assert_memory_equal(block, one[i], sizeof block);
  }
  const rh_rng rng = rh_rng_at(1, 0, 0, RH_STREAM_TEST);
  rh_rng_shuffle(&rng, ROWS, order);
  r.feed.row = order;
  for (int64_t i = 0; i < ROWS; i++) {
    row_at(&r, i, x);
    assert_memory_equal(x, one[order[i]], sizeof x);
  }
  r.feed.row = NULL, r.feed.draws = 3;
  for (int64_t i = 0; i < ROWS; i++) {
    row_at(&r, i, x);
    assert_memory_equal(x, one[i / 3], sizeof x);
  }
  r.feed.draws = 1;
  for (int which = 0; which < 2; which++) { /* another epoch, another seed */
    int same = 0;
    r.feed.epoch += which == 0, r.feed.seed += which == 1;
    for (int64_t i = 0; i < ROWS; i++) {
      row_at(&r, i, x);
      same += memcmp(x, one[i], sizeof x) == 0;
    }
    assert_true(abs(same - ROWS / 2) < 4 * sqrt(ROWS / 4.0));
  }
  r.feed.flip.h = 0;
  for (int64_t i = 0; i < ROWS; i++) {
    row_at(&r, i, x);
    assert_memory_equal(x, r.data + i * WIDTH, sizeof x);
  }
  rh_free(r.data);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(half_of_the_images_are_mirrored),
      cmocka_unit_test(mirroring_belongs_to_the_row),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
