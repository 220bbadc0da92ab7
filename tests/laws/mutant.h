/* Breaking a value: what a law must notice. */
#ifndef RH_TESTS_MUTANT_H
#define RH_TESTS_MUTANT_H
#include <stdio.h>

#include "graph/graph.h"

typedef enum mutant_kind { FLIPPED, FACTOR, DROPPED, STALE, MUTANT_KINDS } mutant_kind;
static const char *const mutant_kinds[MUTANT_KINDS] = {"flipped sign", "factor 1.01", "dropped term", "stale input"};

static struct {
  bool on;
  int target; /* the test's own enumeration */
  mutant_kind kind;
  bool applied;
  int made, killed;
} mutant;

static inline bool mutant_is(int target) {
  return mutant.on && mutant.target == target;
}

/* What the function would have given for a wrong input, made only where it is asked for. */
static inline bool mutant_wants_stale(int target) {
  return mutant_is(target) && mutant.kind == STALE;
}

static inline rh_val mutant_stale(rh_graph *g, rh_val input) {
  return rh_is_none(input) ? input : rh_addc(g, rh_mulc(g, input, 0.9), 0.01);
}

/* v, or v broken. A value that is absent (zero) has nothing to flip or drop: a wrong one is added instead. */
static inline rh_val mutant_of(int target, rh_graph *g, rh_val v, rh_val stale) {
  if (!mutant_is(target)) return v;
  if (mutant.kind == STALE) {
    mutant.applied |= !rh_is_none(stale);
    return rh_is_none(stale) ? v : stale;
  }
  if (rh_is_none(v) && mutant.kind != FACTOR) return v;
  mutant.applied = true;
  if (rh_is_none(v)) return rh_const(g, rh_shape1(1), 0.01);
  return mutant.kind == FLIPPED ? rh_neg(g, v) : rh_mulc(g, v, mutant.kind == FACTOR ? 1.01 : 0);
}

/* Every target and kind; `noticed` runs the laws. */
static inline void mutant_each(const char *name, int targets, const char *const *target_names, bool (*noticed)(const void *),
                               const void *arg) {
  for (int t = 0; t < targets; t++)
    for (int k = 0; k < MUTANT_KINDS; k++) {
      mutant.on = true, mutant.target = t, mutant.kind = (mutant_kind)k, mutant.applied = false;
      const bool killed = noticed(arg);
      mutant.on = false;
      if (!mutant.applied) continue;
      mutant.made++;
      mutant.killed += killed;
      if (!killed) printf("SURVIVED: %s, %s of %s\n", name, mutant_kinds[k], target_names[t]);
    }
}
#endif
