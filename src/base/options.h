/* Reading a JSON object with defaults, ranges and names checked. Every getter marks its key as known; rh_options_done fails on a key
 * that nobody asked for, naming the nearest known one. `where` is the path put into errors ("flow.parts[3]"). */
#ifndef RH_BASE_OPTIONS_H
#define RH_BASE_OPTIONS_H
#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/status.h"

enum { RH_OPTIONS_KEYS = 48, RH_JSON_BYTES = 16 << 20 /* most that rh_json_parse takes: parsed JSON takes some 40 times its text */ };
typedef struct rh_options {
  const json_t *object; /* borrowed; NULL reads as {} */
  const char *where;    /* borrowed */
  rh_status status;     /* the first failure sticks; later getters return their defaults */
  int known;
  const char *key[RH_OPTIONS_KEYS];
} rh_options;

rh_options rh_options_begin(const json_t *object, const char *where); /* not an object: fails at done */
int64_t rh_options_int(rh_options *o, const char *key, int64_t fallback, int64_t least, int64_t most);
double rh_options_real(rh_options *o, const char *key, double fallback, double least, double most); /* an integer is fine */
bool rh_options_bool(rh_options *o, const char *key, bool fallback);
const char *rh_options_text(rh_options *o, const char *key, const char *fallback); /* borrowed */
/* One of a NULL-ended list of names: its index; `fallback` an index. The error lists the names and the nearest. */
int rh_options_choice(rh_options *o, const char *key, int fallback, const char *const *names);
/* An array of integers (or one integer, read as an array of one): count written to *n, values to out[0..room). Absent: *n stays as it came,
 * out untouched. */
void rh_options_ints(rh_options *o, const char *key, int64_t least, int64_t most, int room, int *n, int64_t *out);
const json_t *rh_options_json(rh_options *o, const char *key); /* any value, or NULL when absent */
rh_status rh_options_done(rh_options *o) RH_WARN_UNUSED;

/* The nearest of `names` (NULL-ended) to `word`: by edit distance, else one that `word` abbreviates, else one that is a part of `word` or
 * its initials; NULL when there is none. */
const char *rh_nearest(const char *word, const char *const *names);
/* Parse JSON text; errors say line, column and what. Depth and size are bounded. */
rh_status rh_json_parse(const char *text, size_t n, const char *where, json_t **out) RH_WARN_UNUSED;
/* Canonical text (sorted keys, compact, reals in 17 digits); the caller frees with rh_free(). NULL when memory ran out. */
char *rh_json_text(const json_t *value);
#endif
