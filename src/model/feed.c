#include "model/feed.h"

#include <string.h>

enum { PIECE = 512 }; /* numbers converted at a time, on the stack */

rh_feed rh_feed_of(int real_bytes, int64_t columns, int64_t context, int64_t noise) {
  rh_feed f = {.real_bytes = real_bytes, .columns = columns, .context = context, .noise = noise, .draws = 1};
  if (columns) f.part[f.parts++] = RH_FEED_COLUMNS;
  if (context) f.part[f.parts++] = RH_FEED_CONTEXT;
  if (noise) f.part[f.parts++] = RH_FEED_NOISE;
  return f;
}

/* The number of row i of the batch. */
static int64_t number(const rh_feed *f, int64_t i) {
  return f->row ? f->row[i] : f->first + i;
}

static void store(int real_bytes, int64_t n, const double *x, void *dst, int64_t at) {
  if (real_bytes == 8) {
    memcpy((double *)dst + at, x, (size_t)n * sizeof *x);
  } else {
    float *y = (float *)dst + at;
    for (int64_t i = 0; i < n; i++) y[i] = (float)x[i];
  }
}

/* Columns [column, column + width) of batch rows [i, i + n) -> dst from element `at`. */
static void load_columns(const rh_feed *f, int64_t column, int64_t width, int64_t i, int64_t n, void *dst, int64_t at) {
  double x[PIECE];
  const int64_t rows_once = width <= PIECE ? PIECE / width : 1, wide_once = width <= PIECE ? width : PIECE;
  for (int64_t r = 0; r < n; r += rows_once) {
    const int64_t m = n - r < rows_once ? n - r : rows_once;
    for (int64_t c = 0; c < width; c += wide_once) {
      const int64_t w = width - c < wide_once ? width - c : wide_once;
      f->rows->get(f->rows->arg, f->first + i + r, m, f->row ? f->row + i + r : NULL, column + c, w, x);
      store(f->real_bytes, m * w, x, dst, at + r * width + c);
    }
  }
}

/* Of the whole row, context included; -0 counts as 0. */
static uint64_t row_hash(const rh_feed *f, int64_t i) {
  double x[PIECE];
  uint64_t hash[2] = {0, 0};
  for (int64_t c = 0; c < f->rows->columns; c += PIECE) {
    const int64_t w = f->rows->columns - c < PIECE ? f->rows->columns - c : PIECE;
    f->rows->get(f->rows->arg, f->first + i, 1, f->row ? f->row + i : NULL, c, w, x);
    for (int64_t j = 0; j < w; j++) x[j] += 0.0;
    hash[1] = rh_hash64(x, (size_t)w * sizeof *x);
    hash[0] = c ? rh_hash64(hash, sizeof hash) : hash[1];
  }
  return hash[0];
}

static void mirror_f32(int64_t w, int64_t c, float *line) {
  for (int64_t i = 0, j = w - 1; i < j; i++, j--)
    for (int64_t k = 0; k < c; k++) {
      const float t = line[i * c + k];
      line[i * c + k] = line[j * c + k], line[j * c + k] = t;
    }
}

static void mirror_f64(int64_t w, int64_t c, double *line) {
  for (int64_t i = 0, j = w - 1; i < j; i++, j--)
    for (int64_t k = 0; k < c; k++) {
      const double t = line[i * c + k];
      line[i * c + k] = line[j * c + k], line[j * c + k] = t;
    }
}

/* The image at element `at` of dst is that of row i of the batch. */
static void flip_some(const rh_feed *f, int64_t i, void *dst, int64_t at) {
  const rh_image_shape *m = &f->flip;
  uint32_t words[4];
  const rh_rng rng = rh_rng_at(f->seed, f->epoch, (uint64_t)number(f, i), RH_STREAM_FLIP);
  rh_rng_words(&rng, 0, words);
  for (int64_t line = 0; line < m->h && words[0] & 1; line++, at += m->w * m->c) {
    if (f->real_bytes == 4)
      mirror_f32(m->w, m->c, (float *)dst + at);
    else
      mirror_f64(m->w, m->c, (double *)dst + at);
  }
}

void rh_feed_uniform(const rh_rng *rng, int64_t first, int64_t n, int real_bytes, void *dst) {
  double x[PIECE];
  for (int64_t i = 0; i < n; i += PIECE) {
    const int64_t m = n - i < PIECE ? n - i : PIECE;
    rh_rng_uniform(rng, first + i, m, x);
    for (int64_t j = 0; real_bytes == 4 && j < m; j++)
      if (x[j] > 1 - 0x1p-24) x[j] = 1 - 0x1p-24;
    store(real_bytes, m, x, dst, i);
  }
}

/* The first draw's numbers, where they are probes. */
static void share_probes(const rh_feed *f, const rh_rng *rng, char *dst) {
  double x[PIECE];
  for (int64_t i = 0; i < f->noise; i += PIECE) {
    const int64_t m = f->noise - i < PIECE ? f->noise - i : PIECE, bytes = f->real_bytes;
    rh_feed_uniform(rng, i, m, f->real_bytes, x);
    for (int64_t j = 0; j < m; j++)
      if (f->probe[i + j]) memcpy(dst + (i + j) * bytes, (char *)x + j * bytes, (size_t)bytes);
  }
}

/* Draw k of a row is the k-th run of its numbers, from an even index. An average of exp(log p + an estimate's error) is too high by that
 * error's spread over the draws (Jensen): so they share their probes. */
static void load_noise(const rh_feed *f, int64_t i, int64_t draw, void *dst) {
  if (f->middle) {
    const double half = 0.5;
    for (int64_t k = 0; k < f->noise; k++) store(f->real_bytes, 1, &half, dst, k);
    return;
  }
  const uint64_t key = f->key == RH_KEY_BYTES ? row_hash(f, i) : (uint64_t)number(f, i);
  const rh_rng rng = rh_rng_at(f->seed, f->epoch, key, f->stream);
  rh_feed_uniform(&rng, draw * ((f->noise + 1) / 2 * 2), f->noise, f->real_bytes, dst);
  if (draw && f->probe) share_probes(f, &rng, dst);
}

void rh_feed_load(void *arg, int input, int64_t first, int64_t rows, void *dst) {
  const rh_feed *f = arg;
  const rh_feed_part part = f->part[input];
  const int64_t column = part == RH_FEED_CONTEXT ? f->columns : 0;
  const int64_t width = part == RH_FEED_NOISE ? f->noise : part == RH_FEED_CONTEXT ? f->context : f->columns;
  const bool flips = part == RH_FEED_COLUMNS && f->flip.h > 0;
  if (part != RH_FEED_NOISE && f->draws == 1) {
    load_columns(f, column, width, first, rows, dst, 0);
    for (int64_t r = 0; r < rows && flips; r++) flip_some(f, first + r, dst, r * width);
    return;
  }
  for (int64_t r = 0; r < rows; r++) {
    const int64_t i = (f->skip + first + r) / f->draws, draw = (f->skip + first + r) % f->draws;
    if (part == RH_FEED_NOISE) {
      load_noise(f, i, draw, (char *)dst + r * width * f->real_bytes);
    } else {
      load_columns(f, column, width, i, 1, dst, r * width);
      if (flips) flip_some(f, i, dst, r * width);
    }
  }
}
