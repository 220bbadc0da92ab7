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
  return RH_OK;
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
  if (!failed)
    return json_pack("{s:s, s:I, s:I, s:o, s:o}", "arch", "ensemble", "columns", (json_int_t)first->columns, "context",
                     (json_int_t)first->context, "mixture", list, "weights", w);
  json_decref(list);
  json_decref(w);
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

static rh_status fill(int n, const rh_model *const *members, rh_model *whole) {
  int64_t component = 0;
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
  if (status == RH_OK) status = fill(n, members, whole);
  if (status != RH_OK) {
    rh_model_destroy(whole);
    return status;
  }
  *model = whole;
  return RH_OK;
}
