/* The one allocation gate. Everything the library allocates passes here, so tests can fail any single call, and an
 * arena for things that live and die together. All blocks are aligned to 64 bytes. */
#ifndef RH_BASE_MEMORY_H
#define RH_BASE_MEMORY_H
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

enum { RH_ALIGN = 64 };

void *rh_alloc(size_t bytes);                   /* not cleared; NULL (and last error set) on failure; 0 bytes gives a valid block */
void *rh_alloc_zero(size_t count, size_t size); /* cleared; NULL on overflow too */
void *rh_realloc(void *block, size_t old_bytes, size_t new_bytes); /* on failure NULL and `block` stays */
void rh_free(void *block);                                         /* NULL is fine */
char *rh_strdup(const char *text);

/* Tests: the gate asks `hook(state)` before every allocation; true makes it fail. NULL takes it away. Not thread-safe. */
void rh_alloc_set_hook(int (*hook)(void *state), void *state);

/* An arena: chunks that grow, freed all at once. */
typedef struct rh_arena {
  struct rh_arena_chunk *chunk;
} rh_arena; /* {0} is empty and valid */

void *rh_arena_alloc(rh_arena *arena, size_t bytes); /* cleared, aligned to 16; NULL on failure */
char *rh_arena_strdup(rh_arena *arena, const char *text);
void rh_arena_free(rh_arena *arena);

/* Grow a (pointer, capacity) pair to hold at least `need` items of `size` bytes, doubling. */
rh_status rh_grow(void **items, int64_t *capacity, int64_t need, size_t size) RH_WARN_UNUSED;
#endif
