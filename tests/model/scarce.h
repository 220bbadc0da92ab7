/* Failing the n-th allocation, whether the library's own or JSON's; a scratch folder. For the tests of this folder. */
#ifndef RH_TESTS_MODEL_SCARCE_H
#define RH_TESTS_MODEL_SCARCE_H
#include <jansson.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/memory.h"

static int scarce_left = INT_MAX;
static int scarce_calls;

static int scarce_hook(void *state) {
  (void)state;
  scarce_calls++;
  return scarce_left-- == 0;
}

static void *scarce_malloc(size_t bytes) {
  return scarce_hook(NULL) ? NULL : malloc(bytes);
}

/* The call number `at` (from 0) from now on fails. */
static inline void scarce_begin(int at) {
  scarce_left = at;
  scarce_calls = 0;
  rh_alloc_set_hook(scarce_hook, NULL);
  json_set_alloc_funcs(scarce_malloc, free);
}

/* The allocations there were; all succeed again. */
static inline int scarce_end(void) {
  rh_alloc_set_hook(NULL, NULL);
  json_set_alloc_funcs(malloc, free);
  return scarce_calls;
}

static char scratch[64];

static inline int scratch_make(void **state) {
  (void)state;
  snprintf(scratch, sizeof scratch, P_tmpdir "/rheo_model_XXXXXX");
  return mkdtemp(scratch) ? 0 : -1;
}

static inline int scratch_remove(void **state) {
  (void)state;
  char command[128];
  snprintf(command, sizeof command, "rm -rf %s", scratch);
  return system(command);
}

static inline const char *scratch_path(const char *name) {
  static char path[4][256];
  static int at;
  char *p = path[at++ % 4];
  snprintf(p, sizeof path[0], "%s/%s", scratch, name);
  return p;
}
#endif
