/* The safetensors file: u64 little-endian header length, a JSON header, then the tensors' bytes without holes. Models and checkpoints are
 * such files; other safetensors readers read them, and theirs are read here. Opening checks every bound: a hostile file gives one line of
 * error. What rheo puts into one: docs/file-format.md. */
#ifndef RH_MODEL_SAFETENSORS_H
#define RH_MODEL_SAFETENSORS_H
#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

/* X(name, bytes of an element); the name is the file's own. */
#define RH_ST_DTYPE_LIST(X) \
  X(BOOL, 1)                \
  X(U8, 1)                  \
  X(I8, 1)                  \
  X(F8_E4M3, 1)             \
  X(F8_E5M2, 1)             \
  X(U16, 2)                 \
  X(I16, 2)                 \
  X(F16, 2)                 \
  X(BF16, 2)                \
  X(U32, 4)                 \
  X(I32, 4)                 \
  X(F32, 4)                 \
  X(U64, 8)                 \
  X(I64, 8)                 \
  X(F64, 8)
#define RH_ST_DTYPE_ENUM(name, bytes) RH_ST_##name,
typedef enum rh_st_dtype { RH_ST_DTYPE_LIST(RH_ST_DTYPE_ENUM) RH_ST_DTYPE_COUNT } rh_st_dtype;
#undef RH_ST_DTYPE_ENUM

enum { RH_ST_RANK = 8, RH_ST_NAME_BYTES = 512 }; /* most axes; longest name */

const char *rh_st_dtype_name(rh_st_dtype dtype);
size_t rh_st_dtype_bytes(rh_st_dtype dtype);

typedef struct rh_st_tensor {
  const char *name;
  rh_st_dtype dtype;
  int rank;
  int64_t dims[RH_ST_RANK];
  int64_t count; /* the product of dims */
  size_t bytes;
  const void *data; /* in a foreign file perhaps not aligned to its elements: copy, or rh_st_load */
} rh_st_tensor;

/* The hash a seal holds: of names, types, shapes and bytes of the tensors, in any order, and of all metadata but "hash" itself. */
uint64_t rh_st_hash(int64_t n, const rh_st_tensor *tensors, const json_t *meta);

/* ---- writing: a builder collects, then writes as often as wanted; the same content gives the same bytes, whatever the order of adding
 * ---- */

typedef struct rh_st_builder rh_st_builder;
rh_status rh_st_begin(rh_st_builder **builder) RH_WARN_UNUSED;
/* The name is copied, the data borrowed until the builder ends. */
rh_status rh_st_add(rh_st_builder *builder, const char *name, rh_st_dtype dtype, int rank, const int64_t *dims,
                    const void *data) RH_WARN_UNUSED;
rh_status rh_st_add_meta(rh_st_builder *builder, const char *key, const char *value) RH_WARN_UNUSED; /* both copied; UTF-8 */
/* Puts the hash of all that has been added into the metadata ("hash"); nothing can be added after it. */
rh_status rh_st_seal(rh_st_builder *builder) RH_WARN_UNUSED;
rh_status rh_st_write(rh_st_builder *builder, const char *path) RH_WARN_UNUSED;                 /* atomic, see base/file.h */
rh_status rh_st_bytes(rh_st_builder *builder, unsigned char **bytes, size_t *n) RH_WARN_UNUSED; /* the same bytes; rh_free them */
void rh_st_end(rh_st_builder *builder);                                                         /* NULL is fine */

/* ---- reading ---- */

typedef struct rh_st rh_st;
rh_status rh_st_open(const char *path, rh_st **st) RH_WARN_UNUSED;
rh_status rh_st_read(const void *bytes, size_t n, const char *where,
                     rh_st **st) RH_WARN_UNUSED; /* bytes borrowed; `where` for errors, copied */
void rh_st_close(rh_st *st);                     /* NULL is fine */
/* The content against its seal: an error where they differ, or where there is none and `must` is set. */
rh_status rh_st_check(const rh_st *st, bool must) RH_WARN_UNUSED;

const char *rh_st_where(const rh_st *st); /* the path, for errors */
int64_t rh_st_count(const rh_st *st);
const rh_st_tensor *rh_st_at(const rh_st *st, int64_t i);          /* i in [0, count), sorted by name */
const rh_st_tensor *rh_st_find(const rh_st *st, const char *name); /* NULL when absent */
const char *rh_st_meta(const rh_st *st, const char *key);          /* NULL when absent; borrowed */
const json_t *rh_st_meta_all(const rh_st *st);                     /* an object of strings; NULL when there is none */

/* The tensor of that name and shape (a dim of -1 fits any); missing: the error names the nearest. */
rh_status rh_st_get(const rh_st *st, const char *name, int rank, const int64_t *dims, const rh_st_tensor **tensor) RH_WARN_UNUSED;
/* Its values as `as` (RH_ST_F32 or RH_ST_F64) to out[count]; F16, BF16, F32, F64 convert. A finite value that float32 cannot hold is
 * refused. */
rh_status rh_st_load(const rh_st *st, const char *name, int rank, const int64_t *dims, rh_st_dtype as, void *out) RH_WARN_UNUSED;
#endif
