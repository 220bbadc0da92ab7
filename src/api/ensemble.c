/* The average of several densities. */
#include "model/ensemble.h"
#include "api/handle.h"
#include "base/memory.h"

enum { MEMBERS = 1024 };

/* Weights as they stand in the options; *weights stays NULL where there are none. */
static rh_status read_weights(rh_options *o, int n, double **weights) {
  const json_t *list = rh_options_json(o, "weights");
  if (!list || o->status != RH_OK) return o->status;
  if (!json_is_array(list) || json_array_size(list) != (size_t)n)
    return rh_fail(RH_E_ARGUMENT, "options.weights: give a list of %d numbers, one for each model", n);
  double *w = rh_alloc((size_t)n * sizeof *w);
  if (!w) return RH_E_MEMORY;
  for (int i = 0; i < n; i++)
    w[i] = json_is_number(json_array_get(list, (size_t)i)) ? json_number_value(json_array_get(list, (size_t)i)) : 0;
  *weights = w;
  return RH_OK;
}

static rh_status combine(int n, rh_density *const *members, const double *weights, rh_model **model) {
  const rh_model **models = rh_alloc((size_t)n * sizeof *models);
  const char **names = rh_alloc((size_t)n * sizeof *names);
  rh_status status = models && names ? RH_OK : RH_E_MEMORY;
  for (int i = 0; i < n && status == RH_OK; i++) {
    models[i] = members[i]->model;
    names[i] = members[i]->path ? members[i]->path : "a member";
  }
  if (status == RH_OK) status = rh_model_ensemble(n, models, names, weights, model);
  rh_free(models);
  rh_free(names);
  return status;
}

rh_status rh_density_ensemble(int n, rh_density *const *members, const char *options, rh_density **density) {
  if (!members || !density) return rh_fail(RH_E_ARGUMENT, "rh_density_ensemble: members and density must not be NULL");
  if (n < 1 || n > MEMBERS) return rh_fail(RH_E_ARGUMENT, "rh_density_ensemble: 1 to %d members, not %d", MEMBERS, n);
  for (int i = 0; i < n; i++)
    if (!members[i]) return rh_fail(RH_E_ARGUMENT, "rh_density_ensemble: member %d must not be NULL", i);
  json_t *json;
  RH_TRY(rh_options_parse(options, &json));
  rh_options o = rh_options_begin(json, "options");
  rh_compute compute;
  double *weights = NULL;
  rh_model *model = NULL;
  rh_compute_read(&o, &compute);
  rh_status status = read_weights(&o, n, &weights);
  if (status == RH_OK) status = rh_options_done(&o) == RH_OK ? RH_OK : RH_E_ARGUMENT;
  if (status == RH_OK) status = combine(n, members, weights, &model);
  rh_free(weights);
  json_decref(json);
  return status == RH_OK ? rh_density_make(model, &compute, density) : status;
}
