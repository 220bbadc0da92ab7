#include "model/checkpoint.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/options.h"

struct rh_checkpoint {
  rh_st *st;
  json_t *scalars;
};

static rh_status build(rh_st_builder *b, int64_t n, const rh_array *arrays, const json_t *scalars) {
  for (int64_t i = 0; i < n; i++) {
    const rh_array *a = &arrays[i];
    if (a->count < 0) return rh_fail(RH_E_ARGUMENT, "array '%.64s' has %" PRId64 " elements", a->name, a->count);
    RH_TRY(rh_st_add(b, a->name, a->dtype, 1, &a->count, a->data));
  }
  char *text = rh_json_text(scalars);
  if (!text) return RH_E_MEMORY;
  const rh_status status = rh_st_add_meta(b, "scalars", text);
  rh_free(text);
  RH_TRY(status);
  RH_TRY(rh_st_add_meta(b, "rheo_checkpoint", RH_CHECKPOINT_FORMAT));
  return rh_st_seal(b);
}

rh_status rh_checkpoint_write(const char *path, int64_t n, const rh_array *arrays, const json_t *scalars) {
  if (!json_is_object(scalars)) return rh_fail(RH_E_ARGUMENT, "%s: a checkpoint's scalars are a JSON object", path);
  rh_st_builder *b;
  RH_TRY(rh_st_begin(&b));
  rh_status status = build(b, n, arrays, scalars);
  if (status == RH_OK) status = rh_st_write(b, path);
  rh_st_end(b);
  return status;
}

static rh_status open_parts(rh_checkpoint *c, const char *path) {
  RH_TRY(rh_st_open(path, &c->st));
  const char *format = rh_st_meta(c->st, "rheo_checkpoint"), *scalars = rh_st_meta(c->st, "scalars");
  if (!format || !scalars) return rh_fail(RH_E_FORMAT, "%s: is not a checkpoint of rheo", path);
  if (strcmp(format, RH_CHECKPOINT_FORMAT) != 0) {
    return rh_fail(RH_E_FORMAT, "%s: is a checkpoint of format %.16s, this program reads %s", path, format, RH_CHECKPOINT_FORMAT);
  }
  RH_TRY(rh_st_check(c->st, true));
  const rh_status status = rh_json_parse(scalars, strlen(scalars), "scalars", &c->scalars);
  if (status != RH_OK) return rh_fail_prefix(status, "%s: ", path);
  if (!json_is_object(c->scalars)) return rh_fail(RH_E_FORMAT, "%s: its scalars are not an object", path);
  return RH_OK;
}

rh_status rh_checkpoint_open(const char *path, rh_checkpoint **checkpoint) {
  rh_checkpoint *c = rh_alloc_zero(1, sizeof *c);
  if (!c) return RH_E_MEMORY;
  const rh_status status = open_parts(c, path);
  if (status != RH_OK) {
    rh_checkpoint_close(c);
    return status;
  }
  *checkpoint = c;
  return RH_OK;
}

void rh_checkpoint_close(rh_checkpoint *c) {
  if (!c) return;
  json_decref(c->scalars);
  rh_st_close(c->st);
  rh_free(c);
}

const json_t *rh_checkpoint_scalars(const rh_checkpoint *c) {
  return c->scalars;
}

const rh_st *rh_checkpoint_tensors(const rh_checkpoint *c) {
  return c->st;
}

rh_status rh_checkpoint_load(const rh_checkpoint *c, int64_t n, const rh_array *arrays) {
  const rh_st_tensor *t;
  for (int64_t i = 0; i < n; i++) { /* all are checked before the first is written */
    const rh_array *a = &arrays[i];
    RH_TRY(rh_st_get(c->st, a->name, 1, &a->count, &t));
    if (t->dtype != a->dtype) {
      return rh_fail(RH_E_FORMAT, "%s: array '%.64s' is %s, expected %s", rh_st_where(c->st), a->name, rh_st_dtype_name(t->dtype),
                     rh_st_dtype_name(a->dtype));
    }
  }
  if (n != rh_st_count(c->st)) {
    return rh_fail(RH_E_FORMAT, "%s: holds %" PRId64 " arrays, expected %" PRId64 ": it belongs to another model", rh_st_where(c->st),
                   rh_st_count(c->st), n);
  }
  for (int64_t i = 0; i < n; i++) {
    t = rh_st_find(c->st, arrays[i].name);
    if (t->bytes) memcpy(arrays[i].data, t->data, t->bytes);
  }
  return RH_OK;
}

rh_status rh_checkpoint_read(const char *path, int64_t n, const rh_array *arrays, json_t **scalars) {
  rh_checkpoint *c;
  RH_TRY(rh_checkpoint_open(path, &c));
  const rh_status status = rh_checkpoint_load(c, n, arrays);
  if (status == RH_OK) *scalars = json_incref(c->scalars);
  rh_checkpoint_close(c);
  return status;
}
