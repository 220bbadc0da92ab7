/* A flow: preprocessing and bijection as one chain, and a base. */
#include "density/flow.h"

#include "base/memory.h"
#include "graph/ops.h"

static rh_status read_sizes(rh_flow *f, rh_spec *spec) {
  if (!rh_spec_json(spec, "columns")) return rh_spec_fail(spec, "columns", "missing: say how many columns a row has");
  f->columns = rh_spec_int(spec, "columns", 1, 1, RH_FLOW_COLUMNS);
  f->context = rh_spec_int(spec, "context", 0, 0, RH_FLOW_COLUMNS);
  const char *arch = rh_options_text(&spec->o, "arch", "custom");
  rh_spec_set(spec, "arch", json_string(arch));
  return rh_spec_status(spec);
}

/* *features: what the parts read of the context. */
static rh_status create_encoder(rh_flow *f, rh_spec *spec, int64_t *features) {
  const json_t *encoder = rh_spec_json(spec, "context_encoder");
  *features = f->context;
  if (!encoder || f->context == 0)
    return encoder ? rh_spec_fail(spec, "context_encoder", "there is no context: say how many columns, \"context\"") : RH_OK;
  RH_TRY(rh_context_encoder_create(&f->leaves, encoder, f->columns, f->context, &f->encoder));
  *features = f->encoder->features;
  rh_spec_set(spec, "context_encoder", json_incref(f->encoder->spec));
  return rh_spec_status(spec);
}

/* The parts' full specifications, for the whole's. */
static json_t *list_specs(const rh_bijection *chain) {
  rh_bijection *const *parts;
  const int64_t n = rh_bijection_parts(chain, &parts);
  json_t *list = json_array();
  for (int64_t i = 0; i < n && list; i++) {
    if (json_array_append(list, parts[i]->spec) == 0) continue;
    json_decref(list);
    return NULL;
  }
  return list;
}

static rh_status create_body(rh_flow *f, rh_spec *spec, int64_t features) {
  rh_bijection *parts[2] = {NULL, NULL};
  const json_t *preprocess = rh_spec_json(spec, "preprocess"), *flow = rh_spec_json(spec, "flow");
  const rh_build before = {&f->leaves, "preprocess", 0}, inside = {&f->leaves, "flow", features};
  if (!flow) return rh_spec_fail(spec, "flow", "missing: give a bijection, such as {\"type\": \"chain\", \"parts\": []}");
  rh_status status = rh_chain_create(&before, preprocess, "preprocess", rh_shape1(f->columns), &parts[0]);
  if (status == RH_OK) status = rh_bijection_create(&inside, flow, "flow", parts[0]->out, &parts[1]);
  if (status == RH_OK) {
    rh_spec_set(spec, "preprocess", list_specs(parts[0]));
    rh_spec_set(spec, "flow", json_incref(parts[1]->spec));
    status = rh_chain_of(2, parts, &f->body);
  }
  if (status == RH_OK) return rh_spec_status(spec);
  rh_bijection_destroy(parts[0]);
  rh_bijection_destroy(parts[1]);
  return status;
}

static rh_status fill_flow(rh_flow *f, rh_spec *spec) {
  RH_TRY(read_sizes(f, spec));
  int64_t features;
  RH_TRY(create_encoder(f, spec, &features));
  RH_TRY(create_body(f, spec, features));
  const rh_build build = {&f->leaves, "base", features};
  RH_TRY(rh_base_create(&build, rh_spec_json(spec, "base"), "base", f->body->out, &f->base));
  rh_spec_set(spec, "base", json_incref(f->base->spec));
  f->noise = f->body->noise;
  f->latent = rh_shape_count(&f->body->out);
  RH_TRY(rh_spec_done(spec));
  f->spec = rh_spec_take(spec);
  return RH_OK;
}

rh_status rh_flow_create(const json_t *spec, rh_flow **flow) {
  rh_flow *f = rh_alloc_zero(1, sizeof *f);
  if (!f) return RH_E_MEMORY;
  rh_spec s = rh_spec_begin(spec, "", NULL);
  const rh_status status = fill_flow(f, &s);
  rh_spec_end(&s);
  if (status != RH_OK) {
    rh_flow_destroy(f);
    return status;
  }
  *flow = f;
  return RH_OK;
}

void rh_flow_destroy(rh_flow *f) {
  if (!f) return;
  rh_bijection_destroy(f->body);
  rh_base_destroy(f->base);
  rh_context_encoder_destroy(f->encoder);
  json_decref(f->spec);
  rh_leaves_free(&f->leaves);
  rh_free(f);
}

/* A density is one number a row, even where it depends on none of the row's. */
static rh_val as_row(rh_graph *g, rh_val v) {
  return rh_is_none(v) || rh_is_row(g, v) ? v : rh_add(g, rh_fill(g, rh_shape1(1), 0), v);
}

void rh_flow_encode(const rh_flow *f, rh_graph *g, rh_val x, rh_val context, rh_val noise, rh_val *z, rh_val *ladj) {
  rh_forward(f->body, g, x, rh_context_encode(f->encoder, g, context), noise, z, ladj);
}

void rh_flow_decode(const rh_flow *f, rh_graph *g, rh_val z, rh_val context, rh_val *x, rh_val *ladj) {
  rh_inverse(f->body, g, z, rh_context_encode(f->encoder, g, context), x, ladj);
}

rh_val rh_flow_log_prob(const rh_flow *f, rh_graph *g, rh_val x, rh_val context, rh_val noise) {
  const rh_val features = rh_context_encode(f->encoder, g, context);
  rh_val z, ladj;
  rh_forward(f->body, g, x, features, noise, &z, &ladj);
  return as_row(g, rh_add_maybe(g, rh_base_log_prob(f->base, g, z, features), ladj));
}

void rh_flow_sample(const rh_flow *f, rh_graph *g, rh_val base_noise, rh_val context, double temperature, rh_val *x, rh_val *log_prob) {
  const rh_val features = rh_context_encode(f->encoder, g, context);
  rh_val ladj;
  const rh_val z = rh_base_sample(f->base, g, base_noise, features, temperature);
  rh_inverse(f->body, g, z, features, x, &ladj);
  if (!log_prob) return;
  const rh_val base = rh_base_log_prob(f->base, g, z, features);
  *log_prob = as_row(g, rh_is_none(ladj) ? base : rh_sub(g, base, ladj));
}
