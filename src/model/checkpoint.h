/* A checkpoint: named arrays and one JSON document in a sealed safetensors file, written atomically. Reading it back restores the arrays
 * bit by bit, or says what is wrong and touches nothing. */
#ifndef RH_MODEL_CHECKPOINT_H
#define RH_MODEL_CHECKPOINT_H
#include <jansson.h>
#include <stdint.h>

#include "base/status.h"
#include "model/safetensors.h"

#define RH_CHECKPOINT_FORMAT "1" /* metadata "rheo_checkpoint" */

typedef struct rh_array {
  const char *name;
  rh_st_dtype dtype;
  int64_t count;
  void *data; /* only read by rh_checkpoint_write; may be NULL when count is 0 */
} rh_array;

/* arrays[0..n) of different names, and a JSON object of scalars (epoch, step, seed, history, ...). JSON has neither 64-bit unsigned
 * integers nor NaN and infinity: keep those in an array. */
rh_status rh_checkpoint_write(const char *path, int64_t n, const rh_array *arrays, const json_t *scalars) RH_WARN_UNUSED;

/* Two steps, so that the scalars can say which arrays there are. Opening checks the seal: corrupt, truncated or no checkpoint is an error.
 */
typedef struct rh_checkpoint rh_checkpoint;
rh_status rh_checkpoint_open(const char *path, rh_checkpoint **checkpoint) RH_WARN_UNUSED;
void rh_checkpoint_close(rh_checkpoint *checkpoint);                  /* NULL is fine */
const json_t *rh_checkpoint_scalars(const rh_checkpoint *checkpoint); /* an object; borrowed */
const rh_st *rh_checkpoint_tensors(const rh_checkpoint *checkpoint);  /* borrowed */
/* Fills the data of arrays[0..n), which must be exactly those of the file, by name, type and count; nothing is written unless all are. */
rh_status rh_checkpoint_load(const rh_checkpoint *checkpoint, int64_t n, const rh_array *arrays) RH_WARN_UNUSED;

/* Open, load, close in one; *scalars is a new reference (json_decref it). */
rh_status rh_checkpoint_read(const char *path, int64_t n, const rh_array *arrays, json_t **scalars) RH_WARN_UNUSED;
#endif
