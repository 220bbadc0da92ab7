/* What a density is and how it runs. */
#include "api/estimate.h"
#include "base/memory.h"
#include "graph/plan.h"

static json_t *bytes_json(const rh_plan_info *p) {
  return json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:f, s:f, s:f}", "nodes", (json_int_t)p->nodes, "block_rows", (json_int_t)p->block_rows,
                   "local_bytes_row", (json_int_t)p->local_bytes_row, "packed_bytes", (json_int_t)p->packed_bytes, "work_bytes_thread",
                   (json_int_t)p->work_bytes_thread, "work_bytes_shared", (json_int_t)p->work_bytes_shared, "flops_row", p->flops_row,
                   "weight_bytes_row", p->bytes_row_weights, "spill_bytes_row", p->bytes_row_spill);
}

static json_t *info_json(const rh_density *d) {
  const rh_model *m = d->model;
  const rh_flow *f = m->flow;
  json_t *o = json_object();
  const json_t *arch = json_object_get(f->spec, "arch");
  json_object_set_new(o, "arch", json_string(json_is_string(arch) ? json_string_value(arch) : "custom"));
  json_object_set_new(o, "columns", json_integer(f->columns));
  json_object_set_new(o, "context", json_integer(f->context));
  json_object_set_new(o, "latent", json_integer(f->latent));
  json_object_set_new(o, "exact", json_boolean(f->scoring_noise == 0));
  json_object_set_new(o, "log_det", json_string(rh_estimate_of(f) ? "estimated" : "exact")); /* of the noise of images apart */
  json_object_set_new(o, "parameters", json_integer(f->leaves.params));
  json_object_set_new(o, "dtype", json_string(m->values.real_bytes == 4 ? "f32" : "f64"));
  json_object_set_new(o, "parameter_bytes", json_integer(f->leaves.params * m->values.real_bytes));
  if (m->columns) json_object_set(o, "names", m->columns);
  if (m->image.h) json_object_set_new(o, "image", rh_model_image_json(&m->image));
  json_object_set(o, "spec", f->spec);
  if (m->handling) json_object_set(o, "handling", m->handling);
  if (m->fit) json_object_set(o, "fit", m->fit);
  return o;
}

rh_status rh_density_info(rh_density *density, int plan, char **json) {
  if (!density || !json) return rh_fail(RH_E_ARGUMENT, "rh_density_info: density and json must not be NULL");
  json_t *info = info_json(density);
  rh_status status = RH_OK;
  if (plan) {
    rh_scorer *scorer;
    const rh_plan *made;
    rh_density_lock(density);
    status = rh_density_scorer(density, density->options.seed, density->options.temperature, &scorer);
    if (status == RH_OK) status = rh_scorer_plan(scorer, RH_TASK_LOG_PROB, &made);
    if (status == RH_OK) {
      rh_plan_info about;
      rh_plan_describe(made, &about);
      json_object_set_new(info, "plan", bytes_json(&about));
    }
    rh_density_unlock(density);
  }
  if (status == RH_OK) return rh_report_give(info, json);
  json_decref(info);
  return status;
}

rh_status rh_density_plan(rh_density *density, int nodes, char **text) {
  if (!density || !text) return rh_fail(RH_E_ARGUMENT, "rh_density_plan: density and text must not be NULL");
  rh_scorer *scorer;
  const rh_plan *plan;
  rh_density_lock(density);
  rh_status status = rh_density_scorer(density, density->options.seed, density->options.temperature, &scorer);
  if (status == RH_OK) status = rh_scorer_plan(scorer, RH_TASK_LOG_PROB, &plan);
  if (status == RH_OK) status = rh_plan_text(plan, nodes != 0, text);
  rh_density_unlock(density);
  return status;
}

rh_status rh_density_save(rh_density *density, const char *path) {
  if (!density || !path) return rh_fail(RH_E_ARGUMENT, "rh_density_save: density and path must not be NULL");
  rh_density_lock(density);
  const rh_status status = rh_model_save(density->model, path);
  rh_density_unlock(density);
  return status;
}
