/* The pairs of a fit's `set`: which are the training's, which the architecture's, and what is said of those that nobody knows. */
#ifndef RH_API_SET_KEYS_H
#define RH_API_SET_KEYS_H
#include <jansson.h>

#include "base/status.h"

/* recipe_keys: an object with every key of the training. *training, *architecture: new references, also after a failure (or NULL). */
rh_status rh_set_part(const json_t *set, const json_t *recipe_keys, json_t **training, json_t **architecture) RH_WARN_UNUSED;
/* The last error, of an option of the architecture: an unknown key may have been meant for the training, whose keys the architecture cannot
 * name. */
rh_status rh_set_say_keys(const json_t *architecture, const json_t *recipe_keys) RH_WARN_UNUSED;
/* With a specification there is no architecture: none may be left. */
rh_status rh_set_refuse_rest(const json_t *architecture, const json_t *recipe_keys) RH_WARN_UNUSED;
#endif
