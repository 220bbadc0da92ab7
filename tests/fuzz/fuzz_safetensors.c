/* Any bytes as a tensor file: an error of one line, or a file that can be read to its last byte and written again with the same content. */
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "model/safetensors.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);

static void must(bool holds) {
  if (!holds) abort();
}

static rh_status copy_all(const rh_st *st, rh_st_builder *b) {
  for (int64_t i = 0; i < rh_st_count(st); i++) {
    const rh_st_tensor *t = rh_st_at(st, i);
    must(rh_st_find(st, t->name) == t);
    RH_TRY(rh_st_add(b, t->name, t->dtype, t->rank, t->dims, t->data));
  }
  const char *key;
  json_t *value;
  json_object_foreach((json_t *)(uintptr_t)rh_st_meta_all(st), key, value) RH_TRY(rh_st_add_meta(b, key, json_string_value(value)));
  return RH_OK;
}

/* Written again and read back: the same content, by its hash. */
static void round_trip(const rh_st *st) {
  rh_st_builder *b;
  rh_st *again;
  unsigned char *bytes;
  size_t n;
  must(rh_st_begin(&b) == RH_OK);
  must(copy_all(st, b) == RH_OK);
  must(rh_st_bytes(b, &bytes, &n) == RH_OK);
  must(rh_st_read(bytes, n, "again", &again) == RH_OK);
  must(rh_st_count(again) == rh_st_count(st));
  const int64_t count = rh_st_count(st);
  must(rh_st_hash(count, count ? rh_st_at(st, 0) : NULL, rh_st_meta_all(st)) ==
       rh_st_hash(count, count ? rh_st_at(again, 0) : NULL, rh_st_meta_all(again)));
  rh_st_close(again);
  rh_free(bytes);
  rh_st_end(b);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n) {
  rh_st *st = NULL;
  const rh_status status = rh_st_read(bytes, n, "fuzz", &st);
  if (status != RH_OK) {
    must(!st && status == RH_E_FORMAT && *rh_last_error() && !strchr(rh_last_error(), '\n'));
    return 0;
  }
  (void)!rh_st_check(st, false);
  for (int64_t i = 0; i < rh_st_count(st); i++) {
    const rh_st_tensor *t = rh_st_at(st, i);
    const uint8_t *data = t->data;
    must(t->bytes == (size_t)t->count * rh_st_dtype_bytes(t->dtype));
    must(t->bytes == 0 || (data >= bytes && data + t->bytes <= bytes + n));
    double *values = malloc((size_t)t->count * sizeof *values + 1);
    if (rh_st_load(st, t->name, t->rank, t->dims, RH_ST_F64, values) != RH_OK) must(t->dtype != RH_ST_F64 && t->dtype != RH_ST_F32);
    (void)!rh_st_load(st, t->name, t->rank, t->dims, RH_ST_F32, values);
    free(values);
  }
  const rh_st_tensor *t;
  (void)!rh_st_get(st, "flow.0.weight", 0, NULL, &t);
  round_trip(st);
  rh_st_close(st);
  return 0;
}
