#include "base/rng.h"

#include <Random123/philox.h>
#include <string.h>

rh_rng rh_rng_at(uint64_t seed, uint32_t a, uint64_t b, uint32_t stream) {
  /* 160 bits of coordinates enter a 64-bit key and 96 bits of counter: stream and a are mixed into the key, b stays whole. */
  const uint64_t key = seed ^ ((((uint64_t)stream << 32) | a) * 0x9E3779B97F4A7C15u);
  return (rh_rng){.key = {(uint32_t)key, (uint32_t)(key >> 32)}, .ctr = {0, (uint32_t)b, (uint32_t)(b >> 32), stream}};
}

void rh_rng_words(const rh_rng *rng, uint32_t first_block, uint32_t words[4]) {
  const philox4x32_ctr_t ctr = {{first_block, rng->ctr[1], rng->ctr[2], rng->ctr[3]}};
  const philox4x32_key_t key = {{rng->key[0], rng->key[1]}};
  const philox4x32_ctr_t out = philox4x32(ctr, key);
  memcpy(words, out.v, sizeof out.v);
}

void rh_rng_uniform(const rh_rng *rng, int64_t first, int64_t n, double *out) {
  uint32_t w[4];
  for (int64_t i = 0; i < n; i += 2) {
    rh_rng_words(rng, (uint32_t)((first + i) / 2), w);
    for (int64_t j = 0; j < 2 && i + j < n; j++) {
      const uint64_t bits = ((uint64_t)w[2 * j] << 32 | w[2 * j + 1]) >> 12; /* 52 bits */
      out[i + j] = ((double)bits + 0.5) * 0x1p-52;
    }
  }
}

uint64_t rh_rng_below(const rh_rng *rng, int64_t index, uint64_t bound) {
  uint32_t w[4];
  rh_rng_words(rng, (uint32_t)(index / 2), w);
  const uint64_t bits = (uint64_t)w[index % 2 * 2] << 32 | w[index % 2 * 2 + 1];
  return (uint64_t)(((unsigned __int128)bits * bound) >> 64); /* bias below bound * 2^-64 */
}

void rh_rng_shuffle(const rh_rng *rng, int64_t n, int64_t *order) {
  for (int64_t i = 0; i < n; i++) order[i] = i;
  for (int64_t i = n - 1; i > 0; i--) {
    const int64_t j = (int64_t)rh_rng_below(rng, i, (uint64_t)i + 1), t = order[i];
    order[i] = order[j];
    order[j] = t;
  }
}

static uint64_t mix(uint64_t z) { /* splitmix64's finaliser (Steele et al. 2014) */
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
  return z ^ (z >> 31);
}

uint64_t rh_hash64(const void *bytes, size_t n) {
  const unsigned char *p = bytes;
  uint64_t h = mix(0x9E3779B97F4A7C15u ^ n);
  for (; n >= 8; n -= 8, p += 8) {
    uint64_t word;
    memcpy(&word, p, 8);
    h = mix((h ^ word) + 0x9E3779B97F4A7C15u);
  }
  if (n) {
    uint64_t word = 0;
    memcpy(&word, p, n);
    h = mix((h ^ word) + 0x9E3779B97F4A7C15u);
  }
  return h;
}
