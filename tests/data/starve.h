/* A call with its first, second, third ... allocation failing. */
#ifndef TESTS_DATA_STARVE_H
#define TESTS_DATA_STARVE_H
#include "scratch.h"
/* after the headers that cmocka wants */
#include <jansson.h>

static int left; /* allocations until one fails */

static inline int starve(void *state) {
  (void)state;
  return left-- == 0;
}

static inline void *starving_malloc(size_t n) {
  return starve(NULL) ? NULL : malloc(n);
}

/* Runs `call` with one more allocation granted each time, until it succeeds; returns how many failed. */
static inline int starve_all(rh_status (*call)(void *state), void *state) {
  for (int n = 0;; n++) {
    assert_true(n < 5000);
    left = n;
    rh_alloc_set_hook(starve, NULL);
    json_set_alloc_funcs(starving_malloc, free);
    const rh_status status = call(state);
    const bool hit = left < 0;
    rh_alloc_set_hook(NULL, NULL);
    json_set_alloc_funcs(malloc, free);
    if (status == RH_OK && !hit) return n;
    if (status != RH_E_MEMORY) fail_msg("allocation %d: status %d, \"%s\"", n, (int)status, rh_last_error());
  }
}

#endif
