/* What a fit says of itself at its end. */
#include <math.h>

#include "api/estimate.h"
#include "api/fit_job.h"
#include "api/solve_report.h"

/* The likelihood of images is that of whole numbers. */
static void put_image(const fit_job *j, json_t *o) {
  static const char *const figures[][2] = {{"val", "val_bits_per_dim"}, {"test", "test_bits_per_dim"}};
  json_object_set_new(o, "image", rh_model_image_json(&j->image));
  for (size_t i = 0; i < RH_COUNT_OF(figures); i++) {
    const json_t *nats = json_object_get(o, figures[i][0]);
    if (json_is_number(nats)) json_object_set_new(o, figures[i][1], json_real(-json_number_value(nats) / (double)j->data / log(2.0)));
  }
}

json_t *rh_fit_job_report(const fit_job *j, const rh_fit_report *r) {
  json_t *o = rh_fit_report_json(r);
  if (!o) return NULL;
  static const char *const figures[] = {"val", "test"};
  for (size_t i = 0; i < RH_COUNT_OF(figures); i++) {
    if (!json_object_get(o, figures[i])) json_object_set_new(o, figures[i], json_null()); /* there were no such rows */
  }
  json_object_set_new(o, "arch", json_incref(json_object_get(j->model->flow->spec, "arch")));
  if (j->why) json_object_set_new(o, "why", json_string(j->why));
  json_object_set_new(o, "dtype", json_string(j->o.compute.real_bytes == 4 ? "f32" : "f64"));
  json_object_set_new(o, "columns", json_integer(j->data));
  if (j->context) json_object_set_new(o, "context", json_integer(j->context));
  if (j->image.h) put_image(j, o);
  json_t *notes = json_copy(json_object_get(j->plan, "report"));
  if (j->notes) json_array_extend(notes, j->notes);
  if (rh_estimate_of(j->model->flow))
    json_array_append_new(notes,
                          json_string("val and test hold traces that are estimated by random probes, for the field takes more columns than "
                                      "exact_columns: rheo score tells their standard error, and by trace exact the exact figures"));
  json_object_set_new(o, "notes", notes);
  json_t *warnings = json_copy(json_object_get(j->plan, "warnings"));
  json_array_extend(warnings, j->outside);
  json_object_set_new(o, "warnings", warnings);
  rh_warn_fit_solves(j->model, r, o);
  return o;
}
