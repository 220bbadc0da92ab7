#include "data/categories.h"

#include <stdio.h>
#include <string.h>

#include "base/rng.h"

/* The slot of a text: where it is, or where it would go. */
static int64_t slot_of(const rh_categories *c, const char *text, int64_t n) {
  int64_t at = (int64_t)(rh_hash64(text, (size_t)n) % (uint64_t)c->slots);
  for (; c->table[at] >= 0; at = (at + 1) % c->slots) {
    const char *other = c->text[c->table[at]];
    if (strlen(other) == (size_t)n && memcmp(other, text, (size_t)n) == 0) break;
  }
  return at;
}

static rh_status make_room(rh_categories *c) {
  if (c->slots >= 2 * (c->n + 1)) return RH_OK;
  const int64_t slots = c->slots ? 2 * c->slots : 16;
  int32_t *table = rh_alloc((size_t)slots * sizeof *table);
  if (!table) return RH_E_MEMORY;
  rh_free(c->table);
  c->table = table;
  c->slots = slots;
  memset(table, -1, (size_t)slots * sizeof *table);
  for (int64_t i = 0; i < c->n; i++) table[slot_of(c, c->text[i], (int64_t)strlen(c->text[i]))] = (int32_t)i;
  return RH_OK;
}

rh_status rh_categories_place(rh_categories *c, const char *text, int64_t n, int64_t *place) {
  RH_TRY(make_room(c));
  const int64_t slot = slot_of(c, text, n);
  *place = c->table[slot];
  if (*place >= 0 || c->closed || c->n == RH_CATEGORIES_MOST) return RH_OK;
  RH_TRY(rh_grow((void **)&c->text, &c->room, c->n + 1, sizeof *c->text));
  char *copy = rh_arena_alloc(&c->arena, (size_t)n + 1);
  if (!copy) return RH_E_MEMORY;
  memcpy(copy, text, (size_t)n);
  c->text[c->n] = copy;
  c->table[slot] = (int32_t)c->n;
  *place = c->n++;
  return RH_OK;
}

void rh_categories_free(rh_categories *c) {
  rh_free(c->table);
  rh_free((void *)c->text);
  rh_arena_free(&c->arena);
  *c = (rh_categories){0};
}

const char *rh_categories_list(const rh_categories *c, char *text, size_t room) {
  size_t used = 0;
  text[0] = '\0';
  for (int64_t i = 0; i < c->n; i++) {
    const int n = snprintf(text + used, room - used, "%s%s", i ? ", " : "", c->text[i]);
    if (n < 0 || used + (size_t)n + 6 > room) {
      snprintf(text + used, room - used, "%s...", i ? ", " : "");
      break;
    }
    used += (size_t)n;
  }
  return text;
}
