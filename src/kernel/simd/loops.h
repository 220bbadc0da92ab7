/* Loops over vectors. An operand may be the result itself, so the compiler must take our word that no iteration reads what another wrote.
 */
#ifndef RH_KERNEL_LOOPS_H
#define RH_KERNEL_LOOPS_H
#include "kernel/level.h"

#if defined(__clang__)
#define RH_INDEPENDENT _Pragma("clang loop vectorize(assume_safety) interleave(disable)")
#else
#define RH_INDEPENDENT _Pragma("GCC ivdep")
#endif

/* Elements that a loop takes at once: a tail is copied to a full group, so its elements see the same instructions. */
enum { RH_GROUP = 64 / sizeof(real) };
#endif
