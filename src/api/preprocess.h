/* From what was found in the data (data/analyse.h) to the parts of the flow that handle it. */
#ifndef RH_API_PREPROCESS_H
#define RH_API_PREPROCESS_H
#include <jansson.h>

#include "base/status.h"

/* The plan's steps (of images: its "parts") as specifications of bijections and surjections, in order; *parts a new reference to an array.
 */
rh_status rh_preprocess_parts(const json_t *plan, json_t **parts) RH_WARN_UNUSED;
#endif
