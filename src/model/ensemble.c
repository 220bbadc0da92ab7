#include "model/ensemble.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"

enum { NAME_BYTES = 600 };

static int64_t flows_of(const rh_model *m) {
  return m->flow->body ? 1 : m->flow->components;
}

/* ---- the context's encoder: the whole has one, that of all members ---- */

static rh_status fail_encoder(const rh_model *m, int64_t i, const char *first_name, const char *name, const char *key) {
  const rh_flow *f = m->flow;
  const char *column = m->columns ? json_string_value(json_array_get(m->columns, (size_t)(f->columns + i))) : NULL;
  return rh_fail(RH_E_ARGUMENT,
                 "ensemble: %s and %s read context column %lld (%.64s) differently: '%s' is not the same; fit all members to the same "
                 "training rows (the same TRAIN and --val FILE)",
                 name, first_name, (long long)i + 1, column ? column : "without a name", key);
}

/* An embedding's vectors are learned, by every fit its own. */
static rh_status same_embedding(const rh_model *first, const rh_model *m, int64_t i, const char *first_name, const char *name) {
  const rh_leaves *a = &first->flow->leaves, *b = &m->flow->leaves;
  const int from = first->flow->encoder->column[i].weight, at = m->flow->encoder->column[i].weight;
  for (int64_t k = 0; k < a->leaf[from].count; k++)
    if (rh_values_get(a, &first->values, from, k) != rh_values_get(b, &m->values, at, k))
      return rh_fail(RH_E_ARGUMENT,
                     "ensemble: %s and %s have each learned an embedding of context column %lld: models of different embeddings cannot be "
                     "averaged",
                     name, first_name, (long long)i + 1);
  return RH_OK;
}

static rh_status same_encoder(const rh_model *first, const rh_model *m, const char *first_name, const char *name) {
  const rh_context_encoder *a = first->flow->encoder, *b = m->flow->encoder;
  if (!a && !b) return RH_OK;
  if (!a || !b)
    return rh_fail(RH_E_ARGUMENT, "ensemble: %s reads its context as it is, %s through an encoder: fit all members alike",
                   a ? name : first_name, a ? first_name : name);
  for (int64_t i = 0; i < a->n; i++) {
    const json_t *wanted = json_array_get(a->spec, (size_t)i), *entry = json_array_get(b->spec, (size_t)i);
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)wanted, key, value) {
      if (!json_equal(value, json_object_get(entry, key))) return fail_encoder(first, i, first_name, name, key);
    }
    if (a->column[i].kind == RH_CONTEXT_EMBEDDING) RH_TRY(same_embedding(first, m, i, first_name, name));
  }
  return RH_OK;
}

static rh_status comparable(const rh_model *first, const rh_model *m, const char *first_name, const char *name) {
  const rh_flow *a = first->flow, *b = m->flow;
  if (a->columns != b->columns || a->context != b->context)
    return rh_fail(RH_E_ARGUMENT,
                   "ensemble: %s has %lld columns and %lld of context, %s %lld and %lld: fit all members to the same columns", name,
                   (long long)b->columns, (long long)b->context, first_name, (long long)a->columns, (long long)a->context);
  if (a->latent != b->latent)
    return rh_fail(RH_E_ARGUMENT, "ensemble: %s keeps %lld columns of its rows, %s %lld: densities of different columns cannot be averaged",
                   name, (long long)b->latent, first_name, (long long)a->latent);
  if (first->columns && m->columns && !json_equal(first->columns, m->columns))
    return rh_fail(RH_E_ARGUMENT, "ensemble: the columns of %s have other names, or another order, than those of %s", name, first_name);
  return same_encoder(first, m, first_name, name);
}

/* ---- the specification ---- */

/* Flow j of a member with all of its preprocessing; a new reference, or NULL. */
static json_t *component_of(const rh_model *m, int64_t j) {
  const json_t *spec = m->flow->spec, *from = m->flow->body ? spec : json_array_get(json_object_get(spec, "mixture"), (size_t)j);
  json_t *preprocess = json_array();
  if (!preprocess) return NULL;
  int failed = json_array_extend(preprocess, json_object_get(spec, "preprocess"));
  if (from != spec) failed |= json_array_extend(preprocess, json_object_get(from, "preprocess"));
  if (failed) {
    json_decref(preprocess);
    return NULL;
  }
  return json_pack("{s:o, s:O, s:O}", "preprocess", preprocess, "flow", json_object_get(from, "flow"), "base",
                   json_object_get(from, "base"));
}

/* w_j of a member's flows; they add up to 1. */
static double weight_of(const rh_model *m, int64_t j) {
  const rh_flow *f = m->flow;
  if (f->body) return 1;
  if (f->logits < 0) return exp(f->log_weights[j]);
  double most = -INFINITY, sum = 0;
  for (int64_t k = 0; k < f->components; k++) most = fmax(most, rh_values_get(&f->leaves, &m->values, f->logits, k));
  for (int64_t k = 0; k < f->components; k++) sum += exp(rh_values_get(&f->leaves, &m->values, f->logits, k) - most);
  return fmax(exp(rh_values_get(&f->leaves, &m->values, f->logits, j) - most) / sum, 1e-20);
}

static json_t *whole_spec(int n, const rh_model *const *members, const double *weights) {
  json_t *list = json_array(), *w = json_array();
  const rh_flow *first = members[0]->flow;
  int failed = !list || !w;
  for (int i = 0; i < n; i++)
    for (int64_t j = 0; j < flows_of(members[i]) && !failed; j++) {
      failed |= json_array_append_new(list, component_of(members[i], j));
      failed |= json_array_append_new(w, json_real((weights ? weights[i] : 1) * weight_of(members[i], j)));
    }
  if (failed) {
    json_decref(list);
    json_decref(w);
    return NULL;
  }
  json_t *spec = json_pack("{s:s, s:I, s:I, s:o, s:o}", "arch", "ensemble", "columns", (json_int_t)first->columns, "context",
                           (json_int_t)first->context, "mixture", list, "weights", w);
  if (!spec || !first->encoder || json_object_set(spec, "context_encoder", first->encoder->spec) == 0) return spec;
  json_decref(spec);
  return NULL;
}

/* ---- the numbers ---- */

/* Under which name flow j of a member holds what a component calls `rest`. */
static void source_name(const rh_flow *f, int64_t j, const char *rest, char *name) {
  static const char part[] = "preprocess.";
  if (f->body) {
    snprintf(name, NAME_BYTES, "%s", rest);
    return;
  }
  if (strncmp(rest, part, sizeof part - 1) == 0) { /* the shared parts stand before the component's own */
    rh_bijection *const *parts;
    const int64_t shared = rh_bijection_parts(f->shared, &parts);
    char *end;
    const int64_t i = strtoll(rest + sizeof part - 1, &end, 10);
    if (i < shared)
      snprintf(name, NAME_BYTES, "%s", rest);
    else
      snprintf(name, NAME_BYTES, "mixture.%lld.%s%lld%s", (long long)j, part, (long long)(i - shared), end);
    return;
  }
  snprintf(name, NAME_BYTES, "mixture.%lld.%s", (long long)j, rest);
}

/* Every leaf "mixture.K.REST" of the whole from flow j of member m, K = component. */
static rh_status copy_flow(const rh_model *m, int64_t j, int64_t component, rh_model *whole) {
  const rh_leaves *to = &whole->flow->leaves, *from = &m->flow->leaves;
  char prefix[40], name[NAME_BYTES];
  const size_t n = (size_t)snprintf(prefix, sizeof prefix, "mixture.%lld.", (long long)component);
  for (int64_t l = 0; l < to->n; l++) {
    if (strncmp(to->leaf[l].name, prefix, n) != 0) continue;
    source_name(m->flow, j, to->leaf[l].name + n, name);
    const int at = rh_leaf_find(from, name);
    if (at < 0 || from->leaf[at].count != to->leaf[l].count)
      return rh_fail(RH_E_UNSUPPORTED, "ensemble: a member has no '%s' as large as '%s'", name, to->leaf[l].name);
    for (int64_t i = 0; i < to->leaf[l].count; i++) rh_values_set(to, &whole->values, (int)l, i, rh_values_get(from, &m->values, at, i));
  }
  return RH_OK;
}

/* The embeddings of the context, which are those of every member. */
static void copy_encoder(const rh_model *m, rh_model *whole) {
  const rh_context_encoder *from = m->flow->encoder, *to = whole->flow->encoder;
  for (int64_t i = 0; to && i < to->n; i++) {
    if (to->column[i].kind != RH_CONTEXT_EMBEDDING) continue;
    const int weight = to->column[i].weight;
    for (int64_t k = 0; k < whole->flow->leaves.leaf[weight].count; k++)
      rh_values_set(&whole->flow->leaves, &whole->values, weight, k,
                    rh_values_get(&m->flow->leaves, &m->values, from->column[i].weight, k));
  }
}

/* Images of one shape and depth; the brightest of them. */
static rh_status copy_image(int n, const rh_model *const *members, const char *const *names, rh_model *whole) {
  rh_model_image *image = &whole->image;
  *image = members[0]->image;
  for (int i = 1; i < n; i++) {
    const rh_model_image *other = &members[i]->image;
    if (other->h != image->h || other->w != image->w || other->c != image->c || other->bits != image->bits ||
        other->data_bits != image->data_bits)
      return rh_fail(RH_E_SHAPE, "ensemble: %s and %s are not of images of one shape and depth", names[0], names[i]);
    if (other->greatest > image->greatest) image->greatest = other->greatest;
  }
  return RH_OK;
}

static rh_status fill(int n, const rh_model *const *members, const char *const *names, rh_model *whole) {
  int64_t component = 0;
  RH_TRY(copy_image(n, members, names, whole));
  copy_encoder(members[0], whole);
  for (int i = 0; i < n; i++) {
    for (int64_t j = 0; j < flows_of(members[i]); j++) RH_TRY(copy_flow(members[i], j, component++, whole));
    if (!whole->columns && members[i]->columns) whole->columns = json_incref(members[i]->columns);
  }
  if (members[0]->handling) whole->handling = json_incref(members[0]->handling);
  return RH_OK;
}

rh_status rh_model_ensemble(int n, const rh_model *const *members, const char *const *names, const double *weights, rh_model **model) {
  int real_bytes = 4;
  int64_t flows = 0;
  if (n < 1) return rh_fail(RH_E_ARGUMENT, "ensemble: no members");
  for (int i = 0; i < n; i++) {
    RH_TRY(comparable(members[0], members[i], names[0], names[i]));
    if (weights && !(weights[i] > 0 && weights[i] <= 1e6 && weights[i] >= 1e-6))
      return rh_fail(RH_E_ARGUMENT, "ensemble: the weight of %s is %g: give 1e-6 to 1e6", names[i], weights[i]);
    if (members[i]->values.real_bytes > real_bytes) real_bytes = members[i]->values.real_bytes;
    flows += flows_of(members[i]);
  }
  if (flows > RH_FLOW_COMPONENTS)
    return rh_fail(RH_E_ARGUMENT, "ensemble: %lld flows are more than %d", (long long)flows, RH_FLOW_COMPONENTS);
  json_t *spec = whole_spec(n, members, weights);
  if (!spec) return rh_fail(RH_E_MEMORY, "ensemble: out of memory for the specification");
  rh_model *whole = NULL;
  rh_status status = rh_model_create(spec, real_bytes, 0, 2, 0, &whole);
  json_decref(spec);
  if (status == RH_OK) status = fill(n, members, names, whole);
  if (status != RH_OK) {
    rh_model_destroy(whole);
    return status;
  }
  *model = whole;
  return RH_OK;
}
