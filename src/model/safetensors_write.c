#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/memory.h"
#include "base/options.h"
#include "base/rng.h"
#include "model/safetensors.h"

#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "safetensors is little-endian: this machine would need its bytes swapped"
#endif

enum { DATA_ALIGN = 64 };

struct rh_st_builder {
  rh_arena names;
  rh_st_tensor *tensors;
  int64_t count, room;
  json_t *header; /* name -> {dtype, shape}; "__metadata__" and data_offsets come in when it is laid out */
  json_t *meta;
  bool sealed;
};

/* ---- the hash of the content ---- */

static uint64_t tensor_hash(const rh_st_tensor *t) {
  uint64_t words[5 + RH_ST_RANK] = {rh_hash64(t->name, strlen(t->name)), 0, (uint64_t)t->rank, t->bytes, rh_hash64(t->data, t->bytes)};
  const char *dtype = rh_st_dtype_name(t->dtype);
  words[1] = rh_hash64(dtype, strlen(dtype));
  for (int i = 0; i < t->rank; i++) words[5 + i] = (uint64_t)t->dims[i];
  return rh_hash64(words, (5 + (size_t)t->rank) * sizeof *words);
}

uint64_t rh_st_hash(int64_t n, const rh_st_tensor *tensors, const json_t *meta) {
  uint64_t total[2] = {(uint64_t)n, 0};
  for (int64_t i = 0; i < n; i++) total[1] += tensor_hash(&tensors[i]); /* a sum: the order does not matter */
  const char *key;
  json_t *value;
  json_object_foreach((json_t *)(uintptr_t)meta, key, value) {
    if (strcmp(key, "hash") == 0) continue;
    const uint64_t words[2] = {rh_hash64(key, strlen(key)), rh_hash64(json_string_value(value), json_string_length(value))};
    total[1] += rh_hash64(words, sizeof words);
  }
  return rh_hash64(total, sizeof total);
}

/* ---- collecting ---- */

rh_status rh_st_begin(rh_st_builder **builder) {
  rh_st_builder *b = rh_alloc_zero(1, sizeof *b);
  if (!b) return RH_E_MEMORY;
  b->header = json_object();
  b->meta = json_object();
  if (!b->header || !b->meta) {
    rh_st_end(b);
    return rh_fail(RH_E_MEMORY, "out of memory beginning a file of tensors");
  }
  *builder = b;
  return RH_OK;
}

void rh_st_end(rh_st_builder *b) {
  if (!b) return;
  json_decref(b->header);
  json_decref(b->meta);
  rh_free(b->tensors);
  rh_arena_free(&b->names);
  rh_free(b);
}

/* UTF-8 as JSON wants it: no overlong forms, no surrogates, nothing behind U+10FFFF (RFC 3629). */
static bool is_utf8(const char *text) {
  const unsigned char *p = (const unsigned char *)text;
  while (*p) {
    const int more = *p < 0x80 ? 0 : *p >= 0xC2 && *p < 0xE0 ? 1 : *p >= 0xE0 && *p < 0xF0 ? 2 : *p >= 0xF0 && *p < 0xF5 ? 3 : -1;
    if (more < 0) return false;
    if ((*p == 0xE0 && p[1] < 0xA0) || (*p == 0xED && p[1] > 0x9F) || (*p == 0xF0 && p[1] < 0x90) || (*p == 0xF4 && p[1] > 0x8F))
      return false;
    for (int i = 1; i <= more; i++) {
      if ((p[i] & 0xC0) != 0x80) return false; /* the final NUL too */
    }
    p += 1 + more;
  }
  return true;
}

static rh_status check_text(const char *what, const char *text) {
  return is_utf8(text) ? RH_OK : rh_fail(RH_E_ARGUMENT, "%s '%.64s' is not valid UTF-8", what, text);
}

static rh_status check_name(const rh_st_builder *b, const char *name) {
  const size_t n = strlen(name);
  if (b->sealed) return rh_fail(RH_E_ARGUMENT, "tensor '%.64s' comes after the seal", name);
  if (n == 0 || n > RH_ST_NAME_BYTES) return rh_fail(RH_E_ARGUMENT, "a tensor's name has 1 to %d bytes, not %zu", RH_ST_NAME_BYTES, n);
  if (strcmp(name, "__metadata__") == 0) return rh_fail(RH_E_ARGUMENT, "a tensor cannot be called __metadata__");
  if (json_object_get(b->header, name)) return rh_fail(RH_E_ARGUMENT, "two tensors are called '%.64s'", name);
  return check_text("tensor name", name);
}

/* Fills rank, dims, count and bytes; everything may overflow. */
static rh_status set_shape(rh_st_tensor *t, int rank, const int64_t *dims) {
  if (rank < 0 || rank > RH_ST_RANK)
    return rh_fail(RH_E_ARGUMENT, "tensor '%.64s': rank %d, it must be 0 to %d", t->name, rank, RH_ST_RANK);
  const int64_t most = (int64_t)(PTRDIFF_MAX / rh_st_dtype_bytes(t->dtype));
  t->rank = rank;
  t->count = 1;
  for (int i = 0; i < rank; i++) {
    if (dims[i] < 0 || (dims[i] > 0 && t->count > most / dims[i])) {
      return rh_fail(RH_E_ARGUMENT, "tensor '%.64s': axis %d of %" PRId64 " is negative or too large", t->name, i, dims[i]);
    }
    t->dims[i] = dims[i];
    t->count *= dims[i];
  }
  t->bytes = (size_t)t->count * rh_st_dtype_bytes(t->dtype);
  return RH_OK;
}

static json_t *shape_json(const rh_st_tensor *t) {
  json_t *shape = json_array();
  for (int i = 0; shape && i < t->rank; i++) {
    if (json_array_append_new(shape, json_integer(t->dims[i])) != 0) {
      json_decref(shape);
      return NULL;
    }
  }
  return shape;
}

rh_status rh_st_add(rh_st_builder *b, const char *name, rh_st_dtype dtype, int rank, const int64_t *dims, const void *data) {
  RH_TRY(check_name(b, name));
  if ((unsigned)dtype >= RH_ST_DTYPE_COUNT)
    return rh_fail(RH_E_ARGUMENT, "tensor '%.64s': no element type has number %d", name, (int)dtype);
  rh_st_tensor t = {.name = name, .dtype = dtype, .data = data};
  RH_TRY(set_shape(&t, rank, dims));
  if (!data && t.bytes) return rh_fail(RH_E_ARGUMENT, "tensor '%.64s' has no data", name);
  RH_TRY(rh_grow((void **)&b->tensors, &b->room, b->count + 1, sizeof t));
  t.name = rh_arena_strdup(&b->names, name);
  if (!t.name) return RH_E_MEMORY;
  json_t *info = json_pack("{s:s, s:o*}", "dtype", rh_st_dtype_name(dtype), "shape", shape_json(&t));
  if (!info || !json_object_get(info, "shape") || json_object_set(b->header, name, info) != 0) {
    json_decref(info);
    return rh_fail(RH_E_MEMORY, "out of memory for tensor '%.64s'", name);
  }
  json_decref(info);
  b->tensors[b->count++] = t;
  return RH_OK;
}

rh_status rh_st_add_meta(rh_st_builder *b, const char *key, const char *value) {
  if (b->sealed) return rh_fail(RH_E_ARGUMENT, "metadata '%.64s' comes after the seal", key);
  if (json_object_get(b->meta, key)) return rh_fail(RH_E_ARGUMENT, "metadata '%.64s' was given before", key);
  RH_TRY(check_text("metadata key", key));
  RH_TRY(check_text("metadata text", value));
  if (json_object_set_new(b->meta, key, json_string(value)) != 0) return rh_fail(RH_E_MEMORY, "out of memory for metadata '%.64s'", key);
  return RH_OK;
}

rh_status rh_st_seal(rh_st_builder *b) {
  char text[17];
  snprintf(text, sizeof text, "%016" PRIx64, rh_st_hash(b->count, b->tensors, b->meta));
  RH_TRY(rh_st_add_meta(b, "hash", text));
  b->sealed = true;
  return RH_OK;
}

/* ---- laying out and writing ---- */

/* Wide elements first, so that each tensor is aligned to its own; then by name. */
static int by_width_and_name(const void *a, const void *b) {
  const rh_st_tensor *s = a, *t = b;
  const size_t ws = rh_st_dtype_bytes(s->dtype), wt = rh_st_dtype_bytes(t->dtype);
  return ws != wt ? (ws < wt) - (ws > wt) : strcmp(s->name, t->name);
}

/* The file's bytes before the data, padded with spaces to a multiple of DATA_ALIGN; rh_free them. */
static rh_status lay_out(rh_st_builder *b, unsigned char **head, size_t *head_bytes, size_t *data_bytes) {
  if (b->count) qsort(b->tensors, (size_t)b->count, sizeof *b->tensors, by_width_and_name);
  uint64_t at = 0;
  bool ok = json_object_size(b->meta) == 0 || json_object_set(b->header, "__metadata__", b->meta) == 0;
  for (int64_t i = 0; i < b->count && ok; i++) {
    const uint64_t begin = at;
    if (b->tensors[i].bytes > (uint64_t)PTRDIFF_MAX - at) return rh_fail(RH_E_ARGUMENT, "the tensors are too large for one file");
    at += b->tensors[i].bytes;
    json_t *offsets = json_pack("[I, I]", (json_int_t)begin, (json_int_t)at);
    ok = offsets && json_object_set_new(json_object_get(b->header, b->tensors[i].name), "data_offsets", offsets) == 0;
  }
  char *text = ok ? rh_json_text(b->header) : NULL;
  if (!text) return rh_fail(RH_E_MEMORY, "out of memory writing the header of a file of tensors");
  const size_t n = strlen(text), padded = (8 + n + DATA_ALIGN - 1) / DATA_ALIGN * DATA_ALIGN;
  const uint64_t length = padded - 8;
  rh_status status =
      length > RH_JSON_BYTES ? rh_fail(RH_E_ARGUMENT, "a header of %zu bytes is too large, the limit is %d", n, RH_JSON_BYTES) : RH_OK;
  unsigned char *block = status == RH_OK ? rh_alloc(padded) : NULL;
  if (block) {
    memcpy(block, &length, 8);
    memcpy(block + 8, text, n);
    memset(block + 8 + n, ' ', padded - 8 - n);
    *head = block;
    *head_bytes = padded;
    *data_bytes = (size_t)at;
  } else if (status == RH_OK) {
    status = RH_E_MEMORY;
  }
  rh_free(text);
  return status;
}

rh_status rh_st_write(rh_st_builder *b, const char *path) {
  unsigned char *head;
  size_t head_bytes, data_bytes;
  RH_TRY(lay_out(b, &head, &head_bytes, &data_bytes));
  rh_writer *writer;
  rh_status status = rh_writer_open(path, &writer);
  if (status == RH_OK) {
    status = rh_writer_put(writer, head, head_bytes);
    for (int64_t i = 0; i < b->count && status == RH_OK; i++) status = rh_writer_put(writer, b->tensors[i].data, b->tensors[i].bytes);
    if (status == RH_OK) {
      status = rh_writer_commit(writer);
    } else {
      rh_writer_discard(writer);
    }
  }
  rh_free(head);
  return status;
}

rh_status rh_st_bytes(rh_st_builder *b, unsigned char **bytes, size_t *n) {
  unsigned char *head;
  size_t head_bytes, data_bytes;
  RH_TRY(lay_out(b, &head, &head_bytes, &data_bytes));
  unsigned char *block = rh_realloc(head, head_bytes, head_bytes + data_bytes);
  if (!block) {
    rh_free(head);
    return RH_E_MEMORY;
  }
  unsigned char *at = block + head_bytes;
  for (int64_t i = 0; i < b->count; i++) {
    if (b->tensors[i].bytes) memcpy(at, b->tensors[i].data, b->tensors[i].bytes);
    at += b->tensors[i].bytes;
  }
  *bytes = block;
  *n = head_bytes + data_bytes;
  return RH_OK;
}
