#include "api/given_spec.h"

#include "api/preprocess.h"
#include "base/options.h"

static const char where[] = "specification";

rh_status rh_given_spec_check(const json_t *options) {
  const json_t *given = json_object_get(options, "spec");
  if (!json_is_object(given))
    return rh_fail(RH_E_ARGUMENT, "options.spec: give an object, the flow's specification: {\"flow\": ..., \"base\": ...}");
  if (json_object_get(options, "arch"))
    return rh_fail(RH_E_ARGUMENT, "options.arch: the specification says what the flow is: give one of arch and spec");
  if (rh_given_spec_handles(given) && json_object_get(options, "handle"))
    return rh_fail(RH_E_ARGUMENT, "options.handle: the specification's \"preprocess\" handles the columns: leave one of them out");
  return RH_OK;
}

bool rh_given_spec_handles(const json_t *given) {
  return json_object_get(given, "preprocess") != NULL;
}

/* ---- the whole ---- */

/* A model's own specification says how many there are: the table must have as many. */
static rh_status match(rh_options *o, const char *key, int64_t there, const char *what) {
  const int64_t said = rh_options_int(o, key, there, 0, INT64_MAX);
  if (o->status != RH_OK || said == there) return o->status;
  return rh_fail(RH_E_ARGUMENT, "%s.%s: %lld, but the table has %lld %s; leave the key out, it is filled in", where, key, (long long)said,
                 (long long)there, what);
}

static rh_status check_keys(const json_t *given, int64_t columns, int64_t context) {
  static const char *const keys[] = {"flow", "base", "mixture", "weights", "preprocess", "arch"};
  rh_options o = rh_options_begin(given, where);
  if (json_object_get(given, "context_encoder"))
    return rh_fail(RH_E_ARGUMENT, "%s.context_encoder: is made from the table: leave it out", where);
  for (size_t i = 0; i < RH_COUNT_OF(keys); i++) (void)rh_options_json(&o, keys[i]);
  rh_status status = match(&o, "columns", columns, "columns to model");
  if (status == RH_OK) status = match(&o, "context", context, "columns of context");
  if (status == RH_OK) status = rh_options_done(&o);
  return status == RH_E_SPEC ? RH_E_ARGUMENT : status;
}

static rh_status handle(json_t *whole, json_t *plan) {
  json_t *parts;
  if (rh_given_spec_handles(whole)) { /* what was seen stays on record, what is done stands in the specification */
    if (json_object_set_new(plan, "handle", json_string(where)) != 0) return rh_fail(RH_E_MEMORY, "out of memory for the handling");
    json_object_del(plan, "standardize");
    json_object_del(plan, "parts");
    return RH_OK;
  }
  RH_TRY(rh_preprocess_parts(plan, &parts));
  return json_object_set_new(whole, "preprocess", parts) == 0 ? RH_OK : rh_fail(RH_E_MEMORY, "out of memory for the specification");
}

rh_status rh_given_spec_whole(const json_t *given, json_t *plan, int64_t columns, int64_t context, json_t **out) {
  RH_TRY(check_keys(given, columns, context));
  json_t *whole = json_copy((json_t *)(uintptr_t)given);
  json_object_del(whole, "arch"); /* no architecture made it, though it may have begun as one's */
  const bool failed =
      json_object_set_new(whole, "columns", json_integer(columns)) || json_object_set_new(whole, "context", json_integer(context));
  const rh_status status = failed ? rh_fail(RH_E_MEMORY, "out of memory for the specification") : handle(whole, plan);
  if (status == RH_OK)
    *out = whole;
  else
    json_decref(whole);
  return status;
}

rh_status rh_given_spec_failed(rh_status status, const json_t *given, const json_t *plan) {
  if (status != RH_E_SPEC && status != RH_E_SHAPE) return status;
  const size_t dropped = json_array_size(json_object_get(plan, "drop")), kept = json_array_size(json_object_get(plan, "keep"));
  if (dropped && !rh_given_spec_handles(given))
    return rh_fail(RH_E_ARGUMENT, "%s: %s (the handling drops %zu of %zu columns before the flow; --handle none keeps them)", where,
                   rh_last_error(), dropped, dropped + kept);
  return rh_fail_prefix(RH_E_ARGUMENT, "%s: ", where);
}
