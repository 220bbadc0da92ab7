/* What `compare` fits where nobody says what. */
#ifndef RH_API_CANDIDATES_H
#define RH_API_CANDIDATES_H
#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/status.h"

typedef struct rh_candidate {
  const char *name; /* what it is called in the report */
  const char *arch; /* of the registry, or "auto" */
  const char *set;  /* its own options, JSON; NULL: the architecture's defaults */
} rh_candidate;

/* Every architecture of the registry with its defaults, and the variants that are worth a try on a table of that many columns, or on
 * images. names: "a,b" takes only these: names of candidates, or of architectures; NULL: all. *list: array[*n], rh_free it; texts are
 * static or in the registry. */
rh_status rh_candidates(const char *names, int64_t columns, bool images, rh_candidate **list, int *n) RH_WARN_UNUSED;
#endif
