/* A flow: preprocessing and bijection as one chain, and a base; or a mixture of several. */
#include "density/flow.h"

#include <math.h>
#include <stdio.h>

#include "base/memory.h"

static rh_status read_sizes(rh_flow *f, rh_spec *spec) {
  if (!rh_spec_json(spec, "columns")) return rh_spec_fail(spec, "columns", "missing: say how many columns a row has");
  f->columns = rh_spec_int(spec, "columns", 1, 1, RH_FLOW_COLUMNS);
  f->context = rh_spec_int(spec, "context", 0, 0, RH_FLOW_COLUMNS);
  const char *arch = rh_options_text(&spec->o, "arch", "custom");
  rh_spec_set(spec, "arch", json_string(arch));
  return rh_spec_status(spec);
}

static rh_status create_encoder(rh_flow *f, rh_spec *spec) {
  const json_t *encoder = rh_spec_json(spec, "context_encoder");
  f->features = f->context;
  if (!encoder || f->context == 0)
    return encoder ? rh_spec_fail(spec, "context_encoder", "there is no context: say how many columns, \"context\"") : RH_OK;
  RH_TRY(rh_context_encoder_create(&f->leaves, encoder, f->columns, f->context, &f->encoder));
  f->features = f->encoder->features;
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

/* [preprocessing, flow] as one chain; `full` receives both specifications. `where` ends in a dot or is empty. */
static rh_status create_body(rh_flow *f, rh_spec *spec, const char *where, rh_shape in, rh_bijection **body) {
  rh_bijection *parts[2] = {NULL, NULL};
  char before_name[RH_WHERE_BYTES], flow_name[RH_WHERE_BYTES];
  snprintf(before_name, sizeof before_name, "%spreprocess", where);
  snprintf(flow_name, sizeof flow_name, "%sflow", where);
  const json_t *preprocess = rh_spec_json(spec, "preprocess"), *flow = rh_spec_json(spec, "flow");
  const rh_build before = {&f->leaves, before_name, 0}, inside = {&f->leaves, flow_name, f->features};
  if (!flow) return rh_spec_fail(spec, "flow", "missing: give a bijection, such as {\"type\": \"chain\", \"parts\": []}");
  rh_status status = rh_chain_create(&before, preprocess, before_name, in, &parts[0]);
  if (status == RH_OK) status = rh_bijection_create(&inside, flow, flow_name, parts[0]->out, &parts[1]);
  if (status == RH_OK) {
    rh_spec_set(spec, "preprocess", list_specs(parts[0]));
    rh_spec_set(spec, "flow", json_incref(parts[1]->spec));
    status = rh_chain_of(2, parts, body);
  }
  if (status == RH_OK) return rh_spec_status(spec);
  rh_bijection_destroy(parts[0]);
  rh_bijection_destroy(parts[1]);
  return status;
}

static rh_status create_base(rh_flow *f, rh_spec *spec, const char *where, rh_shape shape, rh_base **base) {
  char name[RH_WHERE_BYTES];
  snprintf(name, sizeof name, "%sbase", where);
  const rh_build build = {&f->leaves, name, f->features};
  RH_TRY(rh_base_create(&build, rh_spec_json(spec, "base"), name, shape, base));
  rh_spec_set(spec, "base", json_incref((*base)->spec));
  return rh_spec_status(spec);
}

static rh_status create_one(rh_flow *f, rh_spec *spec) {
  RH_TRY(create_body(f, spec, "", rh_shape1(f->columns), &f->body));
  RH_TRY(create_base(f, spec, "", rh_shape1(rh_shape_count(&f->body->out)), &f->base));
  f->noise = f->body->noise;
  f->scoring_noise = f->noise - f->body->probes;
  f->base_noise = f->base->noise;
  f->latent = rh_shape_count(&f->body->out);
  f->exact = f->body->exact;
  return RH_OK;
}

/* ---- mixtures ---- */

static rh_status create_component(rh_flow *f, int64_t k, const json_t *given, json_t *list) {
  char where[RH_WHERE_BYTES], dotted[RH_WHERE_BYTES];
  rh_component *c = &f->component[k];
  snprintf(where, sizeof where, "mixture[%lld]", (long long)k);
  snprintf(dotted, sizeof dotted, "mixture.%lld.", (long long)k);
  rh_spec s = rh_spec_begin(given, where, NULL);
  rh_status status = create_body(f, &s, dotted, f->shared->out, &c->body);
  if (status == RH_OK) status = create_base(f, &s, dotted, rh_shape1(rh_shape_count(&c->body->out)), &c->base);
  if (status == RH_OK) status = rh_spec_done(&s);
  if (status == RH_OK && json_array_append_new(list, rh_spec_take(&s)) != 0) status = rh_fail(RH_E_MEMORY, "out of memory");
  rh_spec_end(&s);
  const int64_t latent = status == RH_OK ? rh_shape_count(&c->body->out) : 0;
  if (k && status == RH_OK && latent != f->latent)
    return rh_fail(RH_E_SPEC,
                   "%s: its codes have %lld numbers, the first component's %lld: densities of different columns cannot be averaged", where,
                   (long long)latent, (long long)f->latent);
  f->latent = latent;
  return status;
}

/* Fixed weights -> f->log_weights, or the leaf of learned ones. */
static rh_status create_weights(rh_flow *f, rh_spec *spec) {
  static const char *const names[] = {"learned", "equal", NULL};
  const json_t *given = rh_spec_json(spec, "weights");
  const rh_init zero = {RH_INIT_CONSTANT, 0, NULL};
  const int64_t n = f->components;
  f->logits = -1;
  if (!json_is_array(given) && rh_spec_choice(spec, "weights", 0, names) == 0) {
    RH_TRY(rh_spec_status(spec));
    return rh_leaf_add(&f->leaves, RH_PARAM, rh_shape1(n), zero, false, &f->logits, "mixture.logits");
  }
  f->log_weights = rh_alloc((size_t)n * sizeof *f->log_weights);
  if (!f->log_weights) return RH_E_MEMORY;
  for (int64_t k = 0; k < n; k++) f->log_weights[k] = 1;
  double sum = 0;
  if (json_is_array(given)) rh_spec_reals(spec, "weights", n, 1, 1e-30, 1e30, f->log_weights);
  for (int64_t k = 0; k < n; k++) sum += f->log_weights[k];
  for (int64_t k = 0; k < n; k++) f->log_weights[k] = log(f->log_weights[k] / sum);
  return rh_spec_status(spec);
}

/* What sampling draws: which component, what the bases make of it, and scoring's noise for the components' own surjections. */
static void measure_mixture(rh_flow *f) {
  int64_t inside = 0, scoring = 0;
  f->exact = f->shared->exact;
  for (int64_t k = 0; k < f->components; k++) {
    const rh_component *c = &f->component[k];
    f->exact = f->exact && c->body->exact;
    if (c->body->noise > inside) inside = c->body->noise;
    if (c->body->noise - c->body->probes > scoring) scoring = c->body->noise - c->body->probes;
    if (c->base->noise > f->base_noise) f->base_noise = c->base->noise;
  }
  f->noise = f->shared->noise + inside;
  f->scoring_noise = f->shared->noise - f->shared->probes + scoring;
  f->base_noise += 1 + inside;
}

static rh_status create_mixture(rh_flow *f, rh_spec *spec, const json_t *given) {
  const rh_build before = {&f->leaves, "preprocess", 0};
  if (!json_is_array(given) || !json_array_size(given) || json_array_size(given) > RH_FLOW_COMPONENTS)
    return rh_spec_fail(spec, "mixture", "expected an array of 1 to %d components, each with \"flow\" and \"base\"", RH_FLOW_COMPONENTS);
  if (rh_spec_json(spec, "flow") || rh_spec_json(spec, "base"))
    return rh_spec_fail(spec, "mixture", "\"flow\" and \"base\" belong into the components");
  f->component = rh_alloc_zero(json_array_size(given), sizeof *f->component);
  if (!f->component) return RH_E_MEMORY;
  f->components = (int64_t)json_array_size(given);
  RH_TRY(rh_chain_create(&before, rh_spec_json(spec, "preprocess"), "preprocess", rh_shape1(f->columns), &f->shared));
  rh_spec_set(spec, "preprocess", list_specs(f->shared));
  json_t *list = json_array();
  rh_status status = list ? RH_OK : rh_fail(RH_E_MEMORY, "out of memory");
  for (int64_t k = 0; k < f->components && status == RH_OK; k++) status = create_component(f, k, json_array_get(given, (size_t)k), list);
  rh_spec_set(spec, "mixture", list);
  RH_TRY(status);
  RH_TRY(create_weights(f, spec));
  measure_mixture(f);
  return RH_OK;
}

/* A number that several components read is a probe where it is one for all of them: what a surjection reads must be drawn. */
static rh_status find_probes(rh_flow *f) {
  const int64_t before = f->body ? f->noise : f->shared->noise;
  bool *own;
  if (!f->noise) return RH_OK;
  f->probe = rh_alloc_zero((size_t)f->noise, 2 * sizeof *f->probe);
  if (!f->probe) return RH_E_MEMORY;
  own = f->probe + f->noise;
  rh_bijection_probes(f->body ? f->body : f->shared, f->probe);
  for (int64_t i = before; i < f->noise; i++) f->probe[i] = true;
  for (int64_t k = 0; k < f->components; k++) {
    rh_bijection_probes(f->component[k].body, own);
    for (int64_t i = 0; i < f->component[k].body->noise; i++) f->probe[before + i] = f->probe[before + i] && own[i];
  }
  for (int64_t i = 0; i < f->noise; i++) f->drawn += !f->probe[i];
  return RH_OK;
}

static rh_status fill_flow(rh_flow *f, rh_spec *spec) {
  RH_TRY(read_sizes(f, spec));
  RH_TRY(create_encoder(f, spec));
  const json_t *mixture = rh_spec_json(spec, "mixture");
  RH_TRY(mixture ? create_mixture(f, spec, mixture) : create_one(f, spec));
  RH_TRY(rh_spec_done(spec));
  f->spec = rh_spec_take(spec);
  return find_probes(f);
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
  rh_bijection_destroy(f->shared);
  for (int64_t k = 0; k < f->components; k++) {
    rh_bijection_destroy(f->component[k].body);
    rh_base_destroy(f->component[k].base);
  }
  rh_free(f->component);
  rh_free(f->log_weights);
  rh_free(f->probe);
  json_decref(f->spec);
  rh_leaves_free(&f->leaves);
  rh_free(f);
}
