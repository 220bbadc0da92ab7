#define _DEFAULT_SOURCE /* madvise */
#include "base/memory.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

static int (*hook)(void *);
static void *hook_state;

void rh_alloc_set_hook(int (*new_hook)(void *), void *state) {
  hook = new_hook;
  hook_state = state;
}

/* Large blocks lie on large pages where the system has them: products that walk down many rows touch a page for each. */
static void *large(size_t bytes) {
  enum { PAGE = 2 << 20 };
  if (bytes < PAGE) return NULL;
  void *block = aligned_alloc(PAGE, (bytes + PAGE - 1) / PAGE * PAGE);
#ifdef MADV_HUGEPAGE
  if (block) (void)madvise(block, bytes / PAGE * PAGE, MADV_HUGEPAGE);
#endif
  return block;
}

void *rh_alloc(size_t bytes) {
  void *block = NULL;
  if (bytes <= (size_t)PTRDIFF_MAX - RH_ALIGN && !(hook && hook(hook_state))) {
    block = large(bytes);
    if (!block) block = aligned_alloc(RH_ALIGN, (bytes + RH_ALIGN) / RH_ALIGN * RH_ALIGN);
  }
  if (!block) (void)rh_fail(RH_E_MEMORY, "out of memory: %zu bytes could not be had", bytes);
  return block;
}

void *rh_alloc_zero(size_t count, size_t size) {
  if (size && count > (size_t)PTRDIFF_MAX / size) {
    (void)rh_fail(RH_E_MEMORY, "out of memory: %zu items of %zu bytes could not be had", count, size);
    return NULL;
  }
  void *block = rh_alloc(count * size);
  if (block) memset(block, 0, count * size);
  return block;
}

void *rh_realloc(void *block, size_t old_bytes, size_t new_bytes) {
  void *fresh = rh_alloc(new_bytes);
  if (!fresh) return NULL;
  if (block) memcpy(fresh, block, old_bytes < new_bytes ? old_bytes : new_bytes);
  rh_free(block);
  return fresh;
}

void rh_free(void *block) {
  free(block);
}

char *rh_strdup(const char *text) {
  size_t bytes = strlen(text) + 1;
  char *copy = rh_alloc(bytes);
  return copy ? memcpy(copy, text, bytes) : NULL;
}

struct rh_arena_chunk {
  struct rh_arena_chunk *next;
  size_t used, bytes;
};

enum { CHUNK_BYTES = 16384, HEADER = 64 };

void *rh_arena_alloc(rh_arena *arena, size_t bytes) {
  if (bytes > (size_t)PTRDIFF_MAX / 2) {
    (void)rh_fail(RH_E_MEMORY, "out of memory: %zu bytes could not be had", bytes);
    return NULL;
  }
  bytes = (bytes + 15) / 16 * 16;
  struct rh_arena_chunk *chunk = arena->chunk;
  if (!chunk || chunk->bytes - chunk->used < bytes) {
    size_t room = bytes > CHUNK_BYTES ? bytes : CHUNK_BYTES;
    chunk = rh_alloc(HEADER + room);
    if (!chunk) return NULL;
    *chunk = (struct rh_arena_chunk){arena->chunk, 0, room};
    arena->chunk = chunk;
  }
  char *block = (char *)chunk + HEADER + chunk->used;
  chunk->used += bytes;
  return memset(block, 0, bytes);
}

char *rh_arena_strdup(rh_arena *arena, const char *text) {
  size_t bytes = strlen(text) + 1;
  char *copy = rh_arena_alloc(arena, bytes);
  return copy ? memcpy(copy, text, bytes) : NULL;
}

void rh_arena_free(rh_arena *arena) {
  while (arena->chunk) {
    struct rh_arena_chunk *next = arena->chunk->next;
    rh_free(arena->chunk);
    arena->chunk = next;
  }
}

rh_status rh_grow(void **items, int64_t *capacity, int64_t need, size_t size) {
  if (need <= *capacity) return RH_OK;
  int64_t wanted = *capacity < 8 ? 8 : *capacity * 2;
  if (wanted < need) wanted = need;
  if ((uint64_t)wanted > (uint64_t)PTRDIFF_MAX / size)
    return rh_fail(RH_E_MEMORY, "out of memory: %lld items of %zu bytes", (long long)wanted, size);
  void *fresh = rh_realloc(*items, (size_t)*capacity * size, (size_t)wanted * size);
  if (!fresh) return RH_E_MEMORY;
  *items = fresh;
  *capacity = wanted;
  return RH_OK;
}
