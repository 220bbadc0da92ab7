/* What the kernel tests share: numbers of either precision in one kind of array, and a walk over all tables. */
#ifndef RH_TESTS_KERNEL_TEST_H
#define RH_TESTS_KERNEL_TEST_H
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
#include "kernel/kernel.h"

static inline double get(const void *p, int bytes, int64_t i) {
  return bytes == 4 ? (double)((const float *)p)[i] : ((const double *)p)[i];
}
static inline void put(void *p, int bytes, int64_t i, double x) {
  if (bytes == 4)
    ((float *)p)[i] = (float)x;
  else
    ((double *)p)[i] = x;
}
static inline void *at(const void *p, int bytes, int64_t i) {
  return (char *)(uintptr_t)p + i * bytes;
}

/* n numbers in (-1, 1) with a few zeros, exactly n: sanitizers see a step too far. */
static inline void *numbers(int bytes, int64_t n, uint64_t which) {
  enum { POOL = 8191 };
  static double pool[POOL];
  void *p = malloc((size_t)(n > 0 ? n : 1) * (size_t)bytes);
  assert_non_null(p);
  if (pool[0] == 0) {
    const rh_rng rng = rh_rng_at(5, 0, 0, RH_STREAM_TEST);
    rh_rng_uniform(&rng, 0, POOL, pool);
  }
  for (int64_t i = 0; i < n; i++) put(p, bytes, i, i % 13 == 5 ? 0 : 2 * pool[((uint64_t)i + which * 977) % POOL] - 1);
  return p;
}

/* body(table, the reference's table) for every level and precision. */
static inline void each_table(void (*body)(const rh_kernels *k, const rh_kernels *ref)) {
  int levels;
  const char *const *level = rh_isa_levels(&levels);
  for (int l = 0; l < levels; l++)
    for (int bytes = 4; bytes <= 8; bytes += 4) {
      const rh_kernels *k, *ref;
      assert_int_equal(rh_kernels_get(level[l], bytes, &k), RH_OK);
      assert_int_equal(rh_kernels_get("ref", bytes, &ref), RH_OK);
      body(k, ref);
    }
}

/* Whether the table promises the reference's bits: it fuses multiply and add. */
static inline int fuses(const rh_kernels *k) {
#if defined(__x86_64__)
  return strcmp(k->isa, "base") != 0;
#else
  (void)k;
  return 1;
#endif
}
#endif
