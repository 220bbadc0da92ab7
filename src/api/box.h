/* A spline is the identity outside of its box: a fit whose rows lie there learns nothing. */
#ifndef RH_API_BOX_H
#define RH_API_BOX_H
#include <jansson.h>

#include "data/table.h"
#include "model/model.h"
#include "model/score.h"

/* Training rows, as the model's preprocessing leaves them, beside the box of its first spline. A column with more than half of them outside
 * is refused; of those with more than one in twenty outside *warnings, a new array, tells. keep: which column of `table` the preprocessed
 * ones are (the plan's list), or NULL: all in order. where: what is to be changed for a larger box. */
rh_status rh_check_box(const rh_model *model, const char *name, const rh_table *table, const json_t *keep, const rh_rows *rows,
                       uint64_t seed, const char *where, json_t **warnings) RH_WARN_UNUSED;
#endif
