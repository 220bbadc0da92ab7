/* Finished models averaged into one: p(x) = sum_k w_k p_k(x), every member with the preprocessing it was fitted with. */
#ifndef RH_MODEL_ENSEMBLE_H
#define RH_MODEL_ENSEMBLE_H
#include "model/model.h"

/* weights: [n], positive, or NULL: equal. names: [n], for errors. A member that is itself a mixture gives its components. */
rh_status rh_model_ensemble(int n, const rh_model *const *members, const char *const *names, const double *weights,
                            rh_model **model) RH_WARN_UNUSED;
#endif
