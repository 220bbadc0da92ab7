/* Which tables there are, and which of them this machine runs. */
#include <string.h>

#include "kernel/kernel.h"

/* X(level, whether this machine runs it), worst first. __builtin_cpu_supports asks the operating system's state too. */
#if defined(__x86_64__)
#define V3_RUNS \
  (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("bmi") && __builtin_cpu_supports("bmi2"))
#define V4_RUNS                                                                                                                \
  (V3_RUNS && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512cd") && \
   __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl"))
#define LEVELS(X) X(ref, 1) X(base, 1) X(v3, V3_RUNS) X(v4, V4_RUNS)
#elif defined(__aarch64__)
#define LEVELS(X) X(ref, 1) X(base, 1)
#else
#define LEVELS(X) X(ref, 1)
#endif

#define DECLARE(level, runs) extern const rh_kernels rh_kernels_##level##_32, rh_kernels_##level##_64;
LEVELS(DECLARE)

#define NAME(level, runs)  #level,
#define COUNT(level, runs) +((runs) ? 1 : 0) /* levels nest: the first that does not run ends the list */
#define TABLE(level, runs) {&rh_kernels_##level##_32, &rh_kernels_##level##_64},
static const char *const names[] = {LEVELS(NAME)};
static const rh_kernels *const tables[][2] = {LEVELS(TABLE)};

const char *const *rh_isa_levels(int *n) {
  *n = 0 LEVELS(COUNT);
  return names;
}

const char *rh_isa_best(void) {
  int n;
  rh_isa_levels(&n);
  return names[n - 1];
}

rh_status rh_kernels_get(const char *isa, int real_bytes, const rh_kernels **table) {
  int n;
  rh_isa_levels(&n);
  if (real_bytes != 4 && real_bytes != 8)
    return rh_fail(RH_E_UNSUPPORTED, "kernels: no precision of %d bytes; there are 4 (float32) and 8 (float64)", real_bytes);
  for (int i = n - 1; i >= 0; i--)
    if (!isa || !strcmp(isa, names[i])) {
      *table = tables[i][real_bytes == 8];
      return RH_OK;
    }
  char list[64] = "";
  for (int i = 0; i < n; i++) strcat(strcat(list, i ? ", " : ""), names[i]);
  return rh_fail(RH_E_UNSUPPORTED, "instruction-set level \"%s\": this machine runs %s", isa, list);
}
