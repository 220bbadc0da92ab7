#include "api/image_sample.h"

#include <string.h>

#include "api/conditional.h"
#include "api/image_rows.h"
#include "api/row_job.h"
#include "base/memory.h"

rh_status rh_image_temperatures(const json_t *list, double one, rh_image_sample *s) {
  const size_t n = list ? json_array_size(list) : 1;
  if (n < 1 || n > RH_LADDER)
    return rh_fail(RH_E_ARGUMENT, "options.temperatures: give a list of 1 to %d temperatures, such as 0.6,0.7,0.8", RH_LADDER);
  s->temperatures = (int)n;
  for (size_t i = 0; i < n; i++) {
    const json_t *item = json_array_get(list, i);
    s->temperature[i] = list ? (json_is_number(item) ? json_number_value(item) : 0) : one;
    if (!(s->temperature[i] >= 1e-6 && s->temperature[i] <= 1e6))
      return rh_fail(RH_E_ARGUMENT, "options.temperatures: number %zu is no number from 1e-6 to 1e6", i + 1);
  }
  return RH_OK;
}

/* The classes that are drawn: one, or all. values: array[*n], to be freed with rh_free; NULL where the model has none. */
static rh_status choose_classes(const rh_model *m, const char *klass, double **values, int64_t *n) {
  double one = 0;
  *n = 1;
  *values = NULL;
  if (!m->flow->context) return klass ? rh_class_value(m, klass, &one) : RH_OK;
  if (!klass) return rh_fail_no_class(m);
  const bool named = rh_class_value(m, klass, &one) == RH_OK, all = !named && strcmp(klass, "all") == 0;
  if (!named && !all) return rh_class_value(m, klass, &one);
  if (all) *n = rh_class_count(m);
  double *list = rh_alloc((size_t)*n * sizeof *list);
  if (!list) return RH_E_MEMORY;
  for (int64_t i = 0; i < *n; i++) list[i] = all ? rh_class_at(m, i) : one;
  *values = list;
  return RH_OK;
}

/* `count` images of one class at one temperature. */
static rh_status sample_group(rh_row_job *j, const rh_image_sample *s, double temperature, const double *klass) {
  const rh_dense_rows one = {1, 1, klass};
  const rh_repeated_rows repeated = {rh_rows_dense(&one), s->count};
  const rh_rows rows = rh_rows_repeated(&repeated);
  RH_TRY(rh_density_scorer(j->density, s->seed, temperature, &j->scorer));
  for (int64_t i = 0; i < s->count; i += j->piece) {
    const int64_t n = s->count - i < j->piece ? s->count - i : j->piece;
    RH_TRY(rh_row_job_go_on(j));
    RH_TRY(rh_sample(j->scorer, klass ? &rows : NULL, i, n, j->out, NULL));
    RH_TRY(rh_row_job_finite(j, i, n, "is not finite: the model stretches too far; a temperature below 1 or dtype f64 may help"));
    RH_TRY(rh_row_job_put(j, i, n));
  }
  return RH_OK;
}

rh_status rh_sample_images(rh_density *d, const rh_image_sample *s, const char *output, int64_t *images) {
  double *classes;
  int64_t n;
  RH_TRY(choose_classes(d->model, s->klass, &classes, &n));
  const int64_t groups = n * s->temperatures;
  rh_row_job j = {.density = d, .name = "sample"};
  rh_status status = RH_OK;
  if (s->count > ((int64_t)1 << 40) / groups) status = rh_fail(RH_E_ARGUMENT, "more than 2^40 images: give fewer (count)");
  if (status == RH_OK) status = rh_row_job_open_images(&j, output, s->count * groups, groups > 1 ? s->count : 0);
  for (int64_t g = 0; g < groups && status == RH_OK; g++)
    status = sample_group(&j, s, s->temperature[g / n], classes ? &classes[g % n] : NULL);
  status = rh_row_job_close(&j, status);
  rh_free(classes);
  if (status == RH_OK) *images = s->count * groups;
  return status;
}
