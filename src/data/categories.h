/* The different texts of a column, in the order in which they came; a text's place is its category. Private to this floor. */
#ifndef RH_DATA_CATEGORIES_H
#define RH_DATA_CATEGORIES_H
#include <stdbool.h>

#include "base/memory.h"

enum { RH_CATEGORIES_MOST = 4096, RH_CATEGORY_BYTES = 256 };

typedef struct rh_categories {
  const char **text; /* [n] */
  int64_t n, room;
  bool closed;    /* no text may come */
  int32_t *table; /* [slots]: places by hash, -1 empty; at most half full */
  int64_t slots;
  rh_arena arena;
} rh_categories; /* {0} is empty */

/* The place of text[0..n), added where it is new and the list is not closed and not full; -1 there. */
rh_status rh_categories_place(rh_categories *c, const char *text, int64_t n, int64_t *place) RH_WARN_UNUSED;
void rh_categories_free(rh_categories *c);
/* "a, b, c, ..." for an error; returns text. */
const char *rh_categories_list(const rh_categories *c, char *text, size_t room);
#endif
