#include "api/preprocess.h"

/* Where column i of the data lies among those that are kept. */
static json_int_t place_of(const json_t *keep, json_int_t column) {
  size_t i;
  json_t *kept;
  json_array_foreach(keep, i, kept) {
    if (json_integer_value(kept) == column) return (json_int_t)i;
  }
  return -1;
}

/* {"type": type, "columns": the list with its columns counted among the kept ones}; NULL: out of memory, or a column that is not kept. */
static json_t *part_of(const char *type, const json_t *list, const json_t *keep) {
  json_t *columns = json_deep_copy(list), *entry;
  size_t i;
  json_array_foreach(columns, i, entry) {
    const json_int_t place = keep ? place_of(keep, json_integer_value(json_object_get(entry, "column"))) : 0;
    if (place < 0 || (keep && json_object_set_new(entry, "column", json_integer(place)))) {
      json_decref(columns);
      return NULL;
    }
  }
  return columns ? json_pack("{s:s, s:o}", "type", type, "columns", columns) : NULL;
}

static int add_part(json_t *parts, const char *type, const json_t *list, const json_t *keep) {
  if (json_array_size(list) == 0) return 0;
  return json_array_append_new(parts, part_of(type, list, keep));
}

rh_status rh_preprocess_parts(const json_t *plan, json_t **parts) {
  const json_t *keep = json_object_get(plan, "keep");
  json_t *ready = json_object_get(plan, "parts");
  if (ready) {
    *parts = json_incref(ready);
    return RH_OK;
  }
  json_t *list = json_array();
  json_t *last = json_copy(json_object_get(plan, "standardize"));
  int failed = !list || !last;
  /* The drop comes first and counts columns of the data; what follows sees those that are kept. */
  failed = failed || add_part(list, "drop", json_object_get(plan, "drop"), NULL);
  failed = failed || add_part(list, "dequantize", json_object_get(plan, "dequantize"), keep);
  failed = failed || add_part(list, "support", json_object_get(plan, "transform"), keep);
  failed = failed || json_object_set_new(last, "type", json_string("standardize"));
  failed = failed || json_array_append(list, last);
  json_decref(last);
  if (failed) {
    json_decref(list);
    return rh_fail(RH_E_MEMORY, "out of memory writing the handling of the data into the model");
  }
  *parts = list;
  return RH_OK;
}
