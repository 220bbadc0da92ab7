/* The counter-based generator: known answers, uniformity, and independence of how it is asked. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
// cmocka last: it wants the headers above
#include <cmocka.h>

#include "base/rng.h"

/* Philox4x32-10: the answers published with Random123 (kat_vectors). */
static void known_answers(void **state) {
  (void)state;
  static const struct {
    uint32_t ctr[4], key[2], out[4];
  } cases[] = {
      {{0, 0, 0, 0}, {0, 0}, {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}},
      {{0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff}, {0xffffffff, 0xffffffff}, {0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}},
      {{0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, {0xa4093822, 0x299f31d0}, {0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    rh_rng rng = {{cases[i].key[0], cases[i].key[1]},
                  {77, cases[i].ctr[1], cases[i].ctr[2], cases[i].ctr[3]}}; /* ctr[0] is the block asked for */
    uint32_t words[4];
    rh_rng_words(&rng, cases[i].ctr[0], words);
    assert_memory_equal(words, cases[i].out, sizeof words);
  }
}

/* Every coordinate matters, in its high and its low bits; the same coordinates give the same numbers. */
static void coordinates(void **state) {
  (void)state;
  const rh_rng rngs[] = {
      rh_rng_at(1, 2, 3, 4),
      rh_rng_at(0, 2, 3, 4),
      rh_rng_at(1 | (uint64_t)1 << 63, 2, 3, 4),
      rh_rng_at(1, 3, 3, 4),
      rh_rng_at(1, 2 | 1u << 31, 3, 4),
      rh_rng_at(1, 2, 2, 4),
      rh_rng_at(1, 2, 3 | (uint64_t)1 << 63, 4),
      rh_rng_at(1, 2, 3, 5),
      rh_rng_at(2, 1, 3, 4),
  };
  enum { N = sizeof rngs / sizeof *rngs };
  double u[N][64];
  for (int i = 0; i < N; i++) {
    rh_rng_uniform(&rngs[i], 0, 64, u[i]);
    for (int j = 0; j < i; j++) {
      for (int k = 0; k < 64; k++) assert_true(u[i][k] != u[j][k]);
    }
  }
  const rh_rng again = rh_rng_at(1, 2, 3, 4);
  double v[64];
  rh_rng_uniform(&again, 0, 64, v);
  assert_memory_equal(u[0], v, sizeof v);
}

/* Any even split of a range, and any odd end, gives the numbers of the whole. */
static void ranges_agree(void **state) {
  (void)state;
  enum { N = 101 };
  const rh_rng rng = rh_rng_at(9, 8, 7, RH_STREAM_TEST);
  double whole[N], part[N + 1];
  rh_rng_uniform(&rng, 0, N, whole);
  for (int64_t first = 0; first < N; first += 2) {
    for (int64_t n = 0; first + n <= N; n++) {
      part[n] = -1;
      rh_rng_uniform(&rng, first, n, part);
      assert_memory_equal(part, whole + first, (size_t)n * sizeof *part);
      assert_true(part[n] == -1); /* nothing behind the end */
    }
  }
}

static double chi_square(const int64_t *count, int bins, double expected) {
  double sum = 0;
  for (int i = 0; i < bins; i++) sum += (count[i] - expected) * (count[i] - expected) / expected;
  return sum;
}

/* |z| of a chi-square with k degrees of freedom (Wilson and Hilferty 1931). */
static double chi_z(double chi2, int k) {
  return fabs((cbrt(chi2 / k) - (1 - 2.0 / (9 * k))) / sqrt(2.0 / (9 * k)));
}

static void uniformity(void **state) {
  (void)state;
  enum { N = 1 << 20, BINS = 1024 };
  double *u = malloc(N * sizeof *u);
  int64_t high[BINS] = {0}, low[BINS] = {0};
  const rh_rng rng = rh_rng_at(1, 0, 0, RH_STREAM_TEST);
  rh_rng_uniform(&rng, 0, N, u);
  double sum = 0, square = 0, lag = 0;
  for (int i = 0; i < N; i++) {
    assert_true(u[i] > 0 && u[i] < 1);
    high[(int)(u[i] * BINS)]++;
    low[(int)(fmod(u[i] * 0x1p42, 1) * BINS)]++; /* the lowest 10 of the 52 bits */
    sum += u[i] - 0.5;
    square += (u[i] - 0.5) * (u[i] - 0.5);
    if (i) lag += (u[i] - 0.5) * (u[i - 1] - 0.5);
  }
  assert_true(fabs(sum / N) < 4 * sqrt(1.0 / 12 / N));
  assert_true(fabs(square / N - 1.0 / 12) < 4 * sqrt(1.0 / 180 / N));
  assert_true(fabs(lag / N) < 4 * (1.0 / 12) / sqrt(N));
  assert_true(chi_z(chi_square(high, BINS, (double)N / BINS), BINS - 1) < 4);
  assert_true(chi_z(chi_square(low, BINS, (double)N / BINS), BINS - 1) < 4);
  free(u);
}

/* (k + 1/2) 2^-52 is exact and inside (0, 1) at both ends; each number lies on that grid. */
static void grid(void **state) {
  (void)state;
  assert_true(((double)(((uint64_t)1 << 52) - 1) + 0.5) * 0x1p-52 < 1);
  const rh_rng rng = rh_rng_at(3, 0, 0, RH_STREAM_TEST);
  double u[1000];
  rh_rng_uniform(&rng, 0, 1000, u);
  for (int i = 0; i < 1000; i++) assert_true(fmod(u[i] * 0x1p52, 1) == 0.5);
}

static void below(void **state) {
  (void)state;
  static const uint64_t bounds[] = {1, 2, 3, 7, 100, 1000, (uint64_t)1 << 32, ((uint64_t)1 << 33) + 5, (uint64_t)1 << 63};
  const rh_rng rng = rh_rng_at(5, 0, 0, RH_STREAM_TEST);
  for (size_t b = 0; b < sizeof bounds / sizeof *bounds; b++) {
    enum { N = 60000, BINS = 6 };
    int64_t count[BINS] = {0};
    for (int64_t i = 0; i < N; i++) {
      const uint64_t k = rh_rng_below(&rng, i, bounds[b]);
      assert_true(k < bounds[b]);
      count[bounds[b] <= BINS ? k : (uint64_t)((double)k / (double)bounds[b] * BINS)]++;
    }
    const int bins = bounds[b] < BINS ? (int)bounds[b] : BINS;
    if (bounds[b] == 1) assert_int_equal(count[0], N);
    if (bounds[b] > 1 && bounds[b] != 7 && bounds[b] != 100 && bounds[b] != 1000) { /* equal bins only */
      assert_true(chi_z(chi_square(count, bins, (double)N / bins), bins - 1) < 4);
    }
  }
}

static void shuffle_is_a_permutation(void **state) {
  (void)state;
  enum { MOST = 1000 };
  static const int64_t sizes[] = {0, 1, 2, 3, 10, MOST};
  int64_t order[MOST + 1], again[MOST];
  for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++) {
    const int64_t n = sizes[s];
    const rh_rng rng = rh_rng_at(11, 1, 0, RH_STREAM_ORDER), next = rh_rng_at(11, 2, 0, RH_STREAM_ORDER);
    char seen[MOST] = {0};
    order[n] = -7;
    rh_rng_shuffle(&rng, n, order);
    assert_int_equal(order[n], -7);
    for (int64_t i = 0; i < n; i++) {
      assert_true(order[i] >= 0 && order[i] < n && !seen[order[i]]);
      seen[order[i]] = 1;
    }
    rh_rng_shuffle(&rng, n, again);
    assert_memory_equal(order, again, (size_t)n * sizeof *order);
    rh_rng_shuffle(&next, n, again);
    if (n >= 10) assert_memory_not_equal(order, again, (size_t)n * sizeof *order);
  }
}

/* All 24 orders of four, equally often; and the first of ten anywhere. */
static void shuffle_is_uniform(void **state) {
  (void)state;
  enum { N = 48000 };
  int64_t orders[256] = {0}, place[10] = {0}, order[10], present[24];
  for (int i = 0; i < N; i++) {
    const rh_rng rng = rh_rng_at((uint64_t)i, 3, 0, RH_STREAM_ORDER);
    rh_rng_shuffle(&rng, 4, order);
    orders[order[0] | order[1] << 2 | order[2] << 4 | order[3] << 6]++;
    rh_rng_shuffle(&rng, 10, order);
    for (int j = 0; j < 10; j++) place[j] += order[j] == 0;
  }
  int kinds = 0;
  for (int i = 0; i < 256; i++) {
    if (orders[i] && kinds < 24) present[kinds] = orders[i];
    kinds += orders[i] > 0;
  }
  assert_int_equal(kinds, 24);
  assert_true(chi_z(chi_square(present, 24, N / 24.0), 23) < 4);
  assert_true(chi_z(chi_square(place, 10, N / 10.0), 9) < 4);
}

static int bits_set(uint64_t x) {
  int n = 0;
  for (; x; x &= x - 1) n++;
  return n;
}

/* Files hold this hash: its values may never change. */
static void hash_is_fixed(void **state) {
  (void)state;
  assert_true(rh_hash64("", 0) == 0xe220a8397b1dcdafu);
  assert_true(rh_hash64("rheo", 4) == 0x13a78b2e25845e49u);
  assert_true(rh_hash64("normalizing flow", 16) == 0x8514cc093ec858bcu);
  assert_true(rh_hash64(NULL, 0) == 0xe220a8397b1dcdafu);
}

static void hash_mixes(void **state) {
  (void)state;
  unsigned char text[80] = {0};
  uint64_t of_zeros[81];
  for (size_t n = 0; n <= 80; n++) { /* zeros of different lengths differ */
    of_zeros[n] = rh_hash64(text, n);
    for (size_t m = 0; m < n; m++) assert_true(of_zeros[m] != of_zeros[n]);
  }
  for (size_t i = 0; i < sizeof text; i++) text[i] = (unsigned char)(i * 37);
  double flips = 0;
  int cases = 0;
  for (size_t n = 1; n <= sizeof text; n += 3) { /* one bit in flips half of the bits out */
    const uint64_t before = rh_hash64(text, n);
    for (size_t bit = 0; bit < 8 * n; bit++, cases++) {
      text[bit / 8] ^= (unsigned char)(1 << bit % 8);
      const int changed = bits_set(before ^ rh_hash64(text, n));
      text[bit / 8] ^= (unsigned char)(1 << bit % 8);
      assert_in_range(changed, 8, 56);
      flips += changed;
    }
  }
  assert_true(fabs(flips / cases - 32) < 4 * 4 / sqrt(cases));
  unsigned char moved[81]; /* no reading of other bytes, and no matter where they stand */
  memcpy(moved + 1, text, sizeof text);
  assert_true(rh_hash64(moved + 1, 77) == rh_hash64(text, 77));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(known_answers),
      cmocka_unit_test(coordinates),
      cmocka_unit_test(ranges_agree),
      cmocka_unit_test(uniformity),
      cmocka_unit_test(grid),
      cmocka_unit_test(below),
      cmocka_unit_test(shuffle_is_a_permutation),
      cmocka_unit_test(shuffle_is_uniform),
      cmocka_unit_test(hash_is_fixed),
      cmocka_unit_test(hash_mixes),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
