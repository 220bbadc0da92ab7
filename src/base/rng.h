/* Counter-based random numbers (Philox4x32-10, Salmon et al. 2011, from Random123). A number is a pure function of
 * (seed, a, b, stream, index): no state, no order, the same for any thread count. Keying conventions:
 *   training noise  rh_rng_at(seed, epoch, row id, stream)
 *   mirrored images rh_rng_at(seed, epoch, row id, RH_STREAM_FLIP)
 *   scoring noise   rh_rng_at(seed, 0, rh_hash64(row bytes), stream)
 *   initial values  rh_rng_at(seed, 0, rh_hash64(leaf name), RH_STREAM_INIT) */
#ifndef RH_BASE_RNG_H
#define RH_BASE_RNG_H
#include <stddef.h>
#include <stdint.h>

enum {
  RH_STREAM_INIT = 1,
  RH_STREAM_ORDER,
  RH_STREAM_SPLIT,
  RH_STREAM_BASE,
  RH_STREAM_NOISE,
  RH_STREAM_PROBE,
  RH_STREAM_TEST,
  RH_STREAM_FLIP
};

typedef struct rh_rng {
  uint32_t key[2], ctr[4]; /* ctr[0] counts blocks of four words */
} rh_rng;

rh_rng rh_rng_at(uint64_t seed, uint32_t a, uint64_t b, uint32_t stream);
void rh_rng_words(const rh_rng *rng, uint32_t first_block, uint32_t words[4]); /* block `first_block` of this generator */
/* out[i], i in [0, n): uniforms in (0, 1), never 0 nor 1, (k + 1/2) 2^-52 (two words each), from index `first` (even). */
void rh_rng_uniform(const rh_rng *rng, int64_t first, int64_t n, double *out);
/* One integer uniform in [0, bound), the index-th of this generator; bound <= 2^63. */
uint64_t rh_rng_below(const rh_rng *rng, int64_t index, uint64_t bound);
/* order[0..n) = a permutation of 0..n-1 (Fisher-Yates), a pure function of the generator. */
void rh_rng_shuffle(const rh_rng *rng, int64_t n, int64_t *order);

uint64_t rh_hash64(const void *bytes, size_t n); /* a fixed, well-mixed 64-bit hash; not cryptographic */
#endif
