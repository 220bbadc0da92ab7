/* Reading the specification of one part: the getters of base/options.h, each of which also writes what it read, default or given, into the
 * part's full specification. That is what a model's file holds, so it loads the same when defaults change. */
#ifndef RH_NET_SPEC_H
#define RH_NET_SPEC_H
#include "base/options.h"

enum { RH_WHERE_BYTES = 160 };

typedef struct rh_spec {
  rh_options o;
  json_t *full; /* owned until rh_spec_take */
  bool failed;  /* out of memory */
} rh_spec;

rh_spec rh_spec_begin(const json_t *object, const char *where, const char *type); /* type: written as "type"; NULL: none */
int64_t rh_spec_int(rh_spec *s, const char *key, int64_t fallback, int64_t least, int64_t most);
double rh_spec_real(rh_spec *s, const char *key, double fallback, double least, double most);
bool rh_spec_bool(rh_spec *s, const char *key, bool fallback);
int rh_spec_choice(rh_spec *s, const char *key, int fallback, const char *const *names);
/* As rh_options_ints; *n and out hold the default before. */
void rh_spec_ints(rh_spec *s, const char *key, int64_t least, int64_t most, int room, int *n, int64_t *out);
/* n reals (or one, for all of them) in [least, most]; absent: `fallback`, and nothing is written. false: absent. */
bool rh_spec_reals(rh_spec *s, const char *key, int64_t n, double fallback, double least, double most, double *out);
/* A value that the caller reads itself and writes with rh_spec_set. NULL when absent. */
const json_t *rh_spec_json(rh_spec *s, const char *key);
void rh_spec_set(rh_spec *s, const char *key, json_t *value); /* takes the reference; NULL counts as out of memory */
/* where + "." + key, and with i >= 0 "[i]" behind. */
void rh_spec_where(const rh_spec *s, const char *key, int64_t i, char where[RH_WHERE_BYTES]);
rh_status rh_spec_fail(rh_spec *s, const char *key, const char *format, ...) RH_PRINTF(3, 4); /* "where.key: ..."; sticks */
rh_status rh_spec_status(const rh_spec *s) RH_WARN_UNUSED;                                    /* so far */
rh_status rh_spec_done(rh_spec *s) RH_WARN_UNUSED;                                            /* and no unknown key */
json_t *rh_spec_take(rh_spec *s);                                                             /* the full specification */
void rh_spec_end(rh_spec *s);
#endif
