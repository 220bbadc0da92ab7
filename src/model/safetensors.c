#include "model/safetensors.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/memory.h"
#include "base/options.h"

enum { SHAPE_TEXT = 256, MOST_NAMES = 4096 };

static const struct {
  const char *name;
  size_t bytes;
} dtypes[] = {
#define RH_ST_DTYPE_ROW(name, bytes) {#name, bytes},
    RH_ST_DTYPE_LIST(RH_ST_DTYPE_ROW)
#undef RH_ST_DTYPE_ROW
};

static const char *const dtype_names[] = {
#define RH_ST_DTYPE_ROW(name, bytes) #name,
    RH_ST_DTYPE_LIST(RH_ST_DTYPE_ROW) NULL
#undef RH_ST_DTYPE_ROW
};

struct rh_st {
  rh_bytes file; /* {0} where the bytes are borrowed */
  char *where;
  json_t *header; /* holds the names */
  const json_t *meta;
  rh_st_tensor *tensors; /* sorted by name */
  int64_t count;
};

const char *rh_st_dtype_name(rh_st_dtype dtype) {
  return (unsigned)dtype < RH_ST_DTYPE_COUNT ? dtypes[dtype].name : "unknown";
}

size_t rh_st_dtype_bytes(rh_st_dtype dtype) {
  return (unsigned)dtype < RH_ST_DTYPE_COUNT ? dtypes[dtype].bytes : 1;
}

/* ---- opening: nothing in the file is believed ---- */

static rh_status parse_header(const unsigned char *bytes, size_t n, json_t **header, size_t *data_at) {
  if (n < 8) return rh_fail(RH_E_FORMAT, "%zu bytes are too few for a safetensors file", n);
  uint64_t length = 0;
  for (int i = 7; i >= 0; i--) length = length << 8 | bytes[i];
  if (length > RH_JSON_BYTES) {
    return rh_fail(RH_E_FORMAT, "announces a header of %" PRIu64 " bytes, the limit is %d: probably not a safetensors file", length,
                   RH_JSON_BYTES);
  }
  if (length > n - 8) {
    return rh_fail(RH_E_FORMAT, "announces a header of %" PRIu64 " bytes but has only %zu more: truncated, or not a safetensors file",
                   length, n - 8);
  }
  if (length == 0 || bytes[8] != '{') return rh_fail(RH_E_FORMAT, "its header does not begin with '{': not a safetensors file");
  RH_TRY(rh_json_parse((const char *)bytes + 8, (size_t)length, "header", header));
  *data_at = 8 + (size_t)length;
  return RH_OK;
}

static rh_status check_meta(const json_t *meta) {
  if (!json_is_object(meta)) return rh_fail(RH_E_FORMAT, "header: __metadata__ is not an object");
  const char *key;
  json_t *value;
  json_object_foreach((json_t *)(uintptr_t)meta, key, value) {
    if (!json_is_string(value)) return rh_fail(RH_E_FORMAT, "header: metadata '%.64s' is not a text", key);
  }
  return RH_OK;
}

/* {"dtype": ..., "shape": [...], "data_offsets": [begin, end]} -> *t; `data` and `n` are the file's data part. */
static rh_status parse_tensor(const char *name, const json_t *info, const unsigned char *data, size_t n, rh_st_tensor *t) {
  char where[128];
  snprintf(where, sizeof where, "header: tensor '%.64s'", name);
  if (strlen(name) == 0 || strlen(name) > RH_ST_NAME_BYTES) {
    return rh_fail(RH_E_FORMAT, "%s: a name has 1 to %d bytes, not %zu", where, RH_ST_NAME_BYTES, strlen(name));
  }
  int64_t offsets[2] = {0, 0};
  int pair = -1, rank = -1;
  rh_options o = rh_options_begin(info, where);
  *t = (rh_st_tensor){.name = name, .count = 1};
  const int dtype = rh_options_choice(&o, "dtype", -1, dtype_names);
  rh_options_ints(&o, "shape", 0, INT64_MAX, RH_ST_RANK, &rank, t->dims);
  rh_options_ints(&o, "data_offsets", 0, INT64_MAX, 2, &pair, offsets);
  const rh_status status = rh_options_done(&o);
  if (status != RH_OK) return status == RH_E_MEMORY ? status : RH_E_FORMAT;
  if (dtype < 0 || rank < 0 || pair != 2) return rh_fail(RH_E_FORMAT, "%s: needs dtype, shape and two data_offsets", where);
  t->dtype = (rh_st_dtype)dtype;
  t->rank = rank;
  const int64_t size = (int64_t)dtypes[dtype].bytes, most = PTRDIFF_MAX / size;
  for (int i = 0; i < rank; i++) {
    if (t->dims[i] > 0 && t->count > most / t->dims[i]) return rh_fail(RH_E_FORMAT, "%s: its shape overflows", where);
    t->count *= t->dims[i];
  }
  if (offsets[0] > offsets[1] || (uint64_t)offsets[1] > n) {
    return rh_fail(RH_E_FORMAT, "%s: bytes %" PRId64 " to %" PRId64 " lie outside of the %zu of the file's data: truncated?", where,
                   offsets[0], offsets[1], n);
  }
  t->bytes = (size_t)(t->count * size);
  if (offsets[1] - offsets[0] != t->count * size) {
    return rh_fail(RH_E_FORMAT, "%s: %" PRId64 " bytes where its shape and type need %zu", where, offsets[1] - offsets[0], t->bytes);
  }
  t->data = data + offsets[0];
  return RH_OK;
}

static int by_name(const void *a, const void *b) {
  return strcmp(((const rh_st_tensor *)a)->name, ((const rh_st_tensor *)b)->name);
}

static int by_place(const void *a, const void *b) {
  const rh_st_tensor *s = a, *t = b;
  if (s->data != t->data) return (const char *)s->data < (const char *)t->data ? -1 : 1;
  return (s->bytes > t->bytes) - (s->bytes < t->bytes);
}

/* The tensors fill the data part: no overlap, no hole, nothing behind. */
static rh_status check_places(rh_st_tensor *tensors, int64_t count, const unsigned char *data, size_t n) {
  qsort(tensors, (size_t)count, sizeof *tensors, by_place);
  const unsigned char *at = data;
  for (int64_t i = 0; i < count; i++) {
    if (tensors[i].data != at)
      return rh_fail(RH_E_FORMAT, "header: tensor '%.64s' overlaps another or leaves a hole before it", tensors[i].name);
    at += tensors[i].bytes;
  }
  if (at != data + n) return rh_fail(RH_E_FORMAT, "%zu bytes behind the last tensor belong to none", (size_t)(data + n - at));
  return RH_OK;
}

static rh_status index_tensors(rh_st *st, const unsigned char *data, size_t n) {
  const size_t keys = json_object_size(st->header);
  st->tensors = rh_alloc_zero(keys ? keys : 1, sizeof *st->tensors);
  if (!st->tensors) return RH_E_MEMORY;
  const char *key;
  json_t *value;
  json_object_foreach(st->header, key, value) {
    if (strcmp(key, "__metadata__") == 0) {
      RH_TRY(check_meta(value));
      st->meta = value;
    } else {
      RH_TRY(parse_tensor(key, value, data, n, &st->tensors[st->count]));
      st->count++;
    }
  }
  RH_TRY(check_places(st->tensors, st->count, data, n));
  qsort(st->tensors, (size_t)st->count, sizeof *st->tensors, by_name);
  return RH_OK;
}

rh_status rh_st_read(const void *bytes, size_t n, const char *where, rh_st **out) {
  rh_st *st = rh_alloc_zero(1, sizeof *st);
  if (!st) return RH_E_MEMORY;
  size_t data_at = 0;
  st->where = rh_strdup(where);
  rh_status status = st->where ? parse_header(bytes, n, &st->header, &data_at) : RH_E_MEMORY;
  if (status == RH_OK) status = index_tensors(st, (const unsigned char *)bytes + data_at, n - data_at);
  if (status != RH_OK) {
    rh_st_close(st);
    return rh_fail_prefix(status, "%s: ", where);
  }
  *out = st;
  return RH_OK;
}

rh_status rh_st_open(const char *path, rh_st **out) {
  rh_bytes file = {0};
  RH_TRY(rh_bytes_open(path, &file));
  rh_st *st;
  const rh_status status = rh_st_read(file.data, file.size, path, &st);
  if (status != RH_OK) {
    rh_bytes_close(&file);
    return status;
  }
  st->file = file;
  *out = st;
  return RH_OK;
}

void rh_st_close(rh_st *st) {
  if (!st) return;
  json_decref(st->header);
  rh_free(st->tensors);
  rh_free(st->where);
  rh_bytes_close(&st->file);
  rh_free(st);
}

rh_status rh_st_check(const rh_st *st, bool must) {
  const char *seal = rh_st_meta(st, "hash");
  if (!seal) return must ? rh_fail(RH_E_FORMAT, "%s: has no hash of its content", st->where) : RH_OK;
  char text[17];
  snprintf(text, sizeof text, "%016" PRIx64, rh_st_hash(st->count, st->tensors, st->meta));
  if (strcmp(seal, text) != 0)
    return rh_fail(RH_E_FORMAT, "%s: its content does not fit its hash: the file was damaged or changed", st->where);
  return RH_OK;
}

/* ---- looking up ---- */

const char *rh_st_where(const rh_st *st) {
  return st->where;
}

int64_t rh_st_count(const rh_st *st) {
  return st->count;
}

const rh_st_tensor *rh_st_at(const rh_st *st, int64_t i) {
  return i >= 0 && i < st->count ? &st->tensors[i] : NULL;
}

const rh_st_tensor *rh_st_find(const rh_st *st, const char *name) {
  const rh_st_tensor key = {.name = name};
  return bsearch(&key, st->tensors, (size_t)st->count, sizeof key, by_name);
}

const char *rh_st_meta(const rh_st *st, const char *key) {
  return json_string_value(json_object_get(st->meta, key));
}

const json_t *rh_st_meta_all(const rh_st *st) {
  return st->meta;
}

static rh_status fail_missing(const rh_st *st, const char *name) {
  const int64_t n = st->count < MOST_NAMES ? st->count : MOST_NAMES;
  const char **names = rh_alloc_zero((size_t)n + 1, sizeof *names);
  for (int64_t i = 0; names && i < n; i++) names[i] = st->tensors[i].name;
  const char *near = names ? rh_nearest(name, names) : NULL;
  const rh_status status = rh_fail(RH_E_FORMAT, "%s: has no tensor '%.128s'%s%.128s%s", st->where, name, near ? "; the nearest is '" : "",
                                   near ? near : "", near ? "'" : "");
  rh_free(names);
  return status;
}

/* "[3, any]" */
static const char *shape_text(char text[SHAPE_TEXT], int rank, const int64_t *dims) {
  size_t used = (size_t)snprintf(text, SHAPE_TEXT, "[");
  for (int i = 0; i < rank && used < SHAPE_TEXT - 32; i++) {
    const char *comma = i ? ", " : "";
    used += (size_t)(dims[i] < 0 ? snprintf(text + used, SHAPE_TEXT - used, "%sany", comma)
                                 : snprintf(text + used, SHAPE_TEXT - used, "%s%" PRId64, comma, dims[i]));
  }
  snprintf(text + used, SHAPE_TEXT - used, "]");
  return text;
}

rh_status rh_st_get(const rh_st *st, const char *name, int rank, const int64_t *dims, const rh_st_tensor **tensor) {
  const rh_st_tensor *t = rh_st_find(st, name);
  if (!t) return fail_missing(st, name);
  bool same = t->rank == rank;
  for (int i = 0; same && i < rank; i++) same = dims[i] < 0 || dims[i] == t->dims[i];
  if (!same) {
    char have[SHAPE_TEXT], want[SHAPE_TEXT];
    return rh_fail(RH_E_SHAPE, "%s: tensor '%.128s' has shape %s, expected %s", st->where, name, shape_text(have, t->rank, t->dims),
                   shape_text(want, rank, dims));
  }
  *tensor = t;
  return RH_OK;
}

/* ---- converting ---- */

static double from_bits32(uint32_t bits) {
  float value;
  memcpy(&value, &bits, sizeof value);
  return value;
}

static double read_f16(const unsigned char *p) { /* IEEE 754 binary16 */
  const unsigned bits = (unsigned)p[1] << 8 | p[0], exponent = bits >> 10 & 31, fraction = bits & 1023;
  const double sign = bits >> 15 ? -1.0 : 1.0;
  if (exponent == 31) return fraction ? from_bits32(0x7FC00000u) : sign * INFINITY;
  return sign * (exponent ? ldexp(1024.0 + fraction, (int)exponent - 25) : ldexp(fraction, -24));
}

static double read_bf16(const unsigned char *p) {
  return from_bits32((uint32_t)p[1] << 24 | (uint32_t)p[0] << 16);
}

static double read_f32(const unsigned char *p) {
  float value;
  memcpy(&value, p, sizeof value);
  return value;
}

static double read_f64(const unsigned char *p) {
  double value;
  memcpy(&value, p, sizeof value);
  return value;
}

static double (*const readers[RH_ST_DTYPE_COUNT])(const unsigned char *) = {
    [RH_ST_F16] = read_f16, [RH_ST_BF16] = read_bf16, [RH_ST_F32] = read_f32, [RH_ST_F64] = read_f64};

static rh_status check_fits_f32(const rh_st *st, const rh_st_tensor *t) {
  for (int64_t i = 0; i < t->count; i++) {
    const double value = read_f64((const unsigned char *)t->data + 8 * i);
    if (isfinite(value) && !isfinite((float)value)) {
      return rh_fail(RH_E_NUMERIC, "%s: tensor '%.128s': %g at %" PRId64 " does not fit float32; load it as float64", st->where, t->name,
                     value, i);
    }
  }
  return RH_OK;
}

rh_status rh_st_load(const rh_st *st, const char *name, int rank, const int64_t *dims, rh_st_dtype as, void *out) {
  const rh_st_tensor *t;
  RH_TRY(rh_st_get(st, name, rank, dims, &t));
  if (as != RH_ST_F32 && as != RH_ST_F64) return rh_fail(RH_E_ARGUMENT, "tensors load as F32 or F64, not %s", rh_st_dtype_name(as));
  if (t->dtype == as) {
    if (t->bytes) memcpy(out, t->data, t->bytes);
    return RH_OK;
  }
  double (*const read)(const unsigned char *) = readers[t->dtype];
  if (!read) return rh_fail(RH_E_UNSUPPORTED, "%s: tensor '%.128s' is %s, not real numbers", st->where, name, rh_st_dtype_name(t->dtype));
  if (t->dtype == RH_ST_F64) RH_TRY(check_fits_f32(st, t));
  const size_t size = rh_st_dtype_bytes(t->dtype);
  const unsigned char *p = t->data;
  for (int64_t i = 0; i < t->count; i++, p += size) {
    if (as == RH_ST_F32) {
      ((float *)out)[i] = (float)read(p);
    } else {
      ((double *)out)[i] = read(p);
    }
  }
  return RH_OK;
}
