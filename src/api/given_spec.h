/* A fit whose flow the caller specifies (option "spec") instead of choosing an architecture: {"flow": ..., "base": ...}, or {"mixture":
 * [...], "weights": ...}, as model files have them (docs/file-format.md). Columns, context and, unless there is a "preprocess" of its own,
 * the handling of the columns are filled in. */
#ifndef RH_API_GIVEN_SPEC_H
#define RH_API_GIVEN_SPEC_H
#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/status.h"

/* What the fit's options say beside "spec" must be its business: no architecture, and no handling where there is a "preprocess". */
rh_status rh_given_spec_check(const json_t *options) RH_WARN_UNUSED;
bool rh_given_spec_handles(const json_t *given); /* it has a "preprocess"; NULL: no */
/* plan: of the handling; marked where the specification handles the columns itself. *whole: a new reference. */
rh_status rh_given_spec_whole(const json_t *given, json_t *plan, int64_t columns, int64_t context, json_t **whole) RH_WARN_UNUSED;
/* The last error, one of making the model, as one of the given specification. */
rh_status rh_given_spec_failed(rh_status status, const json_t *given, const json_t *plan) RH_WARN_UNUSED;
#endif
