/* The machine's own ceiling: fused multiply-adds a second of one thread in float32, on registers alone, by instruction-set level.
 * A header without dependencies, shared by the benchmark programs. "base" has no fma: multiplies and adds, counted alike. */
#ifndef RH_BENCH_FMA_PEAK_H
#define RH_BENCH_FMA_PEAK_H
#include <stdint.h>
#include <string.h>
#include <time.h>
#if defined(__x86_64__)
#include <immintrin.h>
#elif defined(__aarch64__)
#include <arm_neon.h>
#endif

/* Twelve chains in flight: enough for two units of latency five, and they fit in sixteen registers. */
#define RH_PEAK_CHAINS(X) X(0) X(1) X(2) X(3) X(4) X(5) X(6) X(7) X(8) X(9) X(10) X(11)
enum { RH_PEAK_CHAIN_COUNT = 12 };

/* A function NAME(turns, start) that does turns x 12 vector fmas; the value depends on all of them, so none is left out. */
#define RH_PEAK_DECLARE(i) vec c##i = SET(start + (float)i);
#define RH_PEAK_STEP(i)    c##i = FMA(c##i, scale, shift);
#define RH_PEAK_JOIN(i)    all = ADD(all, c##i);
#define RH_PEAK_BODY(LANES)                           \
  const vec scale = SET(0.999f), shift = SET(0.001f); \
  RH_PEAK_CHAINS(RH_PEAK_DECLARE)                     \
  for (int64_t t = 0; t < turns; t++) {               \
    RH_PEAK_CHAINS(RH_PEAK_STEP)                      \
  }                                                   \
  vec all = SET(0.0f);                                \
  RH_PEAK_CHAINS(RH_PEAK_JOIN)                        \
  float lane[LANES];                                  \
  memcpy(lane, &all, sizeof lane);                    \
  return lane[0];

typedef float rh_peak_fn(int64_t turns, float start);

#if defined(__x86_64__)
#define vec __m512
#define SET _mm512_set1_ps
#define FMA _mm512_fmadd_ps
#define ADD _mm512_add_ps
__attribute__((target("avx512f"), noinline, unused)) static float rh_peak_v4(int64_t turns, float start) {
  RH_PEAK_BODY(16)
}
#undef vec
#undef SET
#undef FMA
#undef ADD
#define vec __m256
#define SET _mm256_set1_ps
#define FMA _mm256_fmadd_ps
#define ADD _mm256_add_ps
__attribute__((target("avx2,fma"), noinline, unused)) static float rh_peak_v3(int64_t turns, float start) {
  RH_PEAK_BODY(8)
}
#undef vec
#undef SET
#undef FMA
#undef ADD
#define vec          __m128
#define SET          _mm_set1_ps
#define FMA(a, b, c) _mm_add_ps(_mm_mul_ps(a, b), c)
#define ADD          _mm_add_ps
#elif defined(__aarch64__)
#define vec          float32x4_t
#define SET          vdupq_n_f32
#define FMA(a, b, c) vfmaq_f32(c, a, b)
#define ADD          vaddq_f32
#else
#define vec          float
#define SET(x)       (x)
#define FMA(a, b, c) ((a) * (b) + (c))
#define ADD(a, b)    ((a) + (b))
#endif
__attribute__((noinline, unused)) static float rh_peak_base(int64_t turns, float start) {
  RH_PEAK_BODY((int)(sizeof(vec) / sizeof(float)))
}
enum { RH_PEAK_BASE_LANES = sizeof(vec) / sizeof(float) };
#undef vec
#undef SET
#undef FMA
#undef ADD

typedef struct rh_peak_level {
  const char *isa;
  int lanes;
  rh_peak_fn *run;
} rh_peak_level;

/* The level by name, or the best that this machine runs (isa NULL); run is NULL where the machine lacks it. */
static inline rh_peak_level rh_peak_find(const char *isa) {
#if defined(__x86_64__)
  __builtin_cpu_init();
  if (__builtin_cpu_supports("avx512f") && (!isa || !strcmp(isa, "v4"))) return (rh_peak_level){"v4", 16, rh_peak_v4};
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && (!isa || !strcmp(isa, "v3")))
    return (rh_peak_level){"v3", 8, rh_peak_v3};
#endif
  if (!isa || !strcmp(isa, "base")) return (rh_peak_level){"base", RH_PEAK_BASE_LANES, rh_peak_base};
  return (rh_peak_level){isa, 0, 0};
}

static inline double rh_peak_now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* The best GFLOP/s of this thread over windows of about 2 ms, for `seconds`: other load can only lower a window. */
static inline double rh_peak_gflops(rh_peak_level level, double seconds) {
  static volatile float sink;
  const int64_t turns = 200000;
  const double flops = 2.0 * RH_PEAK_CHAIN_COUNT * level.lanes * (double)turns, begin = rh_peak_now();
  double best = 0, from = begin;
  if (!level.run) return 0;
  do {
    sink = level.run(turns, sink * 0.5f);
    const double to = rh_peak_now(), rate = flops / (to - from) * 1e-9;
    if (rate > best) best = rate;
    from = to;
  } while (from - begin < seconds);
  return best;
}
#endif
