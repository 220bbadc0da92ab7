#include "net/spec.h"

#include <stdarg.h>
#include <stdio.h>

rh_spec rh_spec_begin(const json_t *object, const char *where, const char *type) {
  rh_spec s = {.o = rh_options_begin(object, where), .full = json_object()};
  if (!s.full) s.failed = true;
  if (type) {
    (void)rh_options_json(&s.o, "type"); /* known: the registry has read it */
    rh_spec_set(&s, "type", json_string(type));
  }
  return s;
}

void rh_spec_set(rh_spec *s, const char *key, json_t *value) {
  if (json_object_set_new(s->full, key, value) != 0) s->failed = true; /* a NULL object or value fails; the value is freed */
}

int64_t rh_spec_int(rh_spec *s, const char *key, int64_t fallback, int64_t least, int64_t most) {
  const int64_t x = rh_options_int(&s->o, key, fallback, least, most);
  rh_spec_set(s, key, json_integer(x));
  return x;
}

double rh_spec_real(rh_spec *s, const char *key, double fallback, double least, double most) {
  const double x = rh_options_real(&s->o, key, fallback, least, most);
  rh_spec_set(s, key, json_real(x));
  return x;
}

bool rh_spec_bool(rh_spec *s, const char *key, bool fallback) {
  const bool x = rh_options_bool(&s->o, key, fallback);
  rh_spec_set(s, key, json_boolean(x));
  return x;
}

int rh_spec_choice(rh_spec *s, const char *key, int fallback, const char *const *names) {
  const int x = rh_options_choice(&s->o, key, fallback, names);
  rh_spec_set(s, key, json_string(names[x]));
  return x;
}

void rh_spec_ints(rh_spec *s, const char *key, int64_t least, int64_t most, int room, int *n, int64_t *out) {
  rh_options_ints(&s->o, key, least, most, room, n, out);
  json_t *list = json_array();
  for (int i = 0; i < *n; i++)
    if (json_array_append_new(list, json_integer(out[i])) != 0) s->failed = true;
  rh_spec_set(s, key, list);
}

bool rh_spec_reals(rh_spec *s, const char *key, int64_t n, double fallback, double least, double most, double *out) {
  const json_t *value = rh_options_json(&s->o, key);
  for (int64_t i = 0; i < n; i++) out[i] = fallback;
  if (!value || s->o.status != RH_OK) return false;
  const bool list = json_is_array(value);
  if (list && (int64_t)json_array_size(value) != n) {
    rh_spec_fail(s, key, "%zu numbers, there must be %lld", json_array_size(value), (long long)n);
    return false;
  }
  for (int64_t i = 0; i < n; i++) {
    const json_t *item = list ? json_array_get(value, (size_t)i) : value;
    const double x = json_number_value(item);
    if (!json_is_number(item) || !(x >= least && x <= most)) {
      rh_spec_fail(s, key, "number %lld must be %.6g to %.6g", (long long)i, least, most);
      return false;
    }
    out[i] = x;
  }
  rh_spec_set(s, key, json_incref((json_t *)(uintptr_t)value));
  return true;
}

const json_t *rh_spec_json(rh_spec *s, const char *key) {
  return rh_options_json(&s->o, key);
}

void rh_spec_where(const rh_spec *s, const char *key, int64_t i, char where[RH_WHERE_BYTES]) {
  const char *dot = *s->o.where ? "." : "";
  if (i < 0) {
    snprintf(where, RH_WHERE_BYTES, "%s%s%s", s->o.where, dot, key);
  } else {
    snprintf(where, RH_WHERE_BYTES, "%s%s%s[%lld]", s->o.where, dot, key, (long long)i);
  }
}

rh_status rh_spec_fail(rh_spec *s, const char *key, const char *format, ...) {
  if (s->o.status != RH_OK) return s->o.status;
  char where[RH_WHERE_BYTES], text[320];
  va_list args;
  va_start(args, format);
  vsnprintf(text, sizeof text, format, args);
  va_end(args);
  rh_spec_where(s, key, -1, where);
  return s->o.status = rh_fail(RH_E_SPEC, "%s: %s", where, text);
}

rh_status rh_spec_status(const rh_spec *s) {
  if (s->o.status != RH_OK) return s->o.status;
  return s->failed ? rh_fail(RH_E_MEMORY, "%s: out of memory for the specification", s->o.where) : RH_OK;
}

rh_status rh_spec_done(rh_spec *s) {
  RH_TRY(rh_spec_status(s));
  return rh_options_done(&s->o);
}

json_t *rh_spec_take(rh_spec *s) {
  json_t *full = s->full;
  s->full = NULL;
  return full;
}

void rh_spec_end(rh_spec *s) {
  json_decref(s->full);
  s->full = NULL;
}
