#include "graph/leaf.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/rng.h"

enum { NAME_BYTES = 256 };

int rh_leaf_find(const rh_leaves *leaves, const char *name) {
  for (int64_t i = 0; i < leaves->n; i++)
    if (strcmp(leaves->leaf[i].name, name) == 0) return (int)i;
  return -1;
}

rh_status rh_leaf_add(rh_leaves *leaves, rh_class klass, rh_shape shape, rh_init init, bool decay, int *index, const char *format, ...) {
  char name[NAME_BYTES];
  va_list args;
  va_start(args, format);
  const int length = vsnprintf(name, sizeof name, format, args);
  va_end(args);
  if (length < 0 || length >= NAME_BYTES)
    return rh_fail(RH_E_SPEC, "leaf \"%.40s...\": the name is longer than %d bytes", name, NAME_BYTES - 1);
  if (rh_leaf_find(leaves, name) >= 0) return rh_fail(RH_E_SPEC, "leaf \"%s\": the name is in use; give parts different prefixes", name);
  if (klass != RH_PARAM && klass != RH_STATE) return rh_fail(RH_E_ARGUMENT, "leaf \"%s\": only parameters and states are leaves", name);
  int64_t count = 1;
  for (int i = 0; i < shape.rank; i++) {
    if (shape.dim[i] < 1 || count > ((int64_t)1 << 40) / shape.dim[i])
      return rh_fail(RH_E_SHAPE, "leaf \"%s\": dimension %d is %lld", name, i, (long long)shape.dim[i]);
    count *= shape.dim[i];
  }
  RH_TRY(rh_grow((void **)&leaves->leaf, &leaves->capacity, leaves->n + 1, sizeof *leaves->leaf));
  rh_leaf leaf = {.klass = klass, .shape = shape, .init = init, .decay = decay, .count = count, .offset = leaves->total[klass]};
  leaf.name = rh_arena_strdup(&leaves->arena, name);
  if (!leaf.name) return RH_E_MEMORY;
  if (init.kind == RH_INIT_VALUES) {
    double *copy = rh_arena_alloc(&leaves->arena, (size_t)count * sizeof *copy);
    if (!copy) return RH_E_MEMORY;
    leaf.init.values = memcpy(copy, init.values, (size_t)count * sizeof *copy);
  }
  *index = (int)leaves->n;
  leaves->leaf[leaves->n++] = leaf;
  leaves->total[klass] += (count + RH_LEAF_ALIGN - 1) / RH_LEAF_ALIGN * RH_LEAF_ALIGN;
  if (klass == RH_PARAM) leaves->params += count;
  return RH_OK;
}

void rh_leaves_free(rh_leaves *leaves) {
  rh_free(leaves->leaf);
  rh_arena_free(&leaves->arena);
  *leaves = (rh_leaves){0};
}

rh_status rh_values_create(const rh_leaves *leaves, int real_bytes, rh_values *values) {
  if (real_bytes != 4 && real_bytes != 8) return rh_fail(RH_E_ARGUMENT, "a real has 4 or 8 bytes, not %d", real_bytes);
  rh_values fresh = {.real_bytes = real_bytes};
  for (int c = 0; c < 2; c++) {
    fresh.flat[c] = rh_alloc_zero((size_t)leaves->total[c] + RH_LEAF_ALIGN, (size_t)real_bytes);
    if (!fresh.flat[c]) {
      rh_values_free(&fresh);
      return RH_E_MEMORY;
    }
  }
  *values = fresh;
  return RH_OK;
}

void rh_values_free(rh_values *values) {
  for (int c = 0; c < 2; c++) rh_free(values->flat[c]);
  *values = (rh_values){0};
}

void *rh_values_at(const rh_leaves *leaves, const rh_values *values, int leaf) {
  const rh_leaf *l = &leaves->leaf[leaf];
  return (char *)values->flat[l->klass] + l->offset * values->real_bytes;
}

double rh_values_get(const rh_leaves *leaves, const rh_values *values, int leaf, int64_t i) {
  const void *at = rh_values_at(leaves, values, leaf);
  return values->real_bytes == 4 ? (double)((const float *)at)[i] : ((const double *)at)[i];
}

void rh_values_set(const rh_leaves *leaves, rh_values *values, int leaf, int64_t i, double x) {
  void *at = rh_values_at(leaves, values, leaf);
  if (values->real_bytes == 4) {
    ((float *)at)[i] = (float)x;
  } else {
    ((double *)at)[i] = x;
  }
}

/* Two uniforms to one normal (Box & Muller 1958). Runs once, outside the kernels. */
static double normal(double u, double v) {
  return sqrt(-2 * log(u)) * cos(6.283185307179586 * v);
}

static double initial(const rh_leaf *leaf, const rh_rng *rng, int64_t i) {
  double u[2];
  const int64_t n = leaf->shape.rank == 2 ? leaf->shape.dim[1] : 1;
  switch (leaf->init.kind) {
    case RH_INIT_NORMAL:
      rh_rng_uniform(rng, 2 * i, 2, u);
      return leaf->init.a * normal(u[0], u[1]);
    case RH_INIT_UNIFORM:
      rh_rng_uniform(rng, 2 * i, 1, u);
      return leaf->init.a * (2 * u[0] - 1);
    case RH_INIT_IDENTITY:
      return i / n == i % n ? leaf->init.a : 0;
    case RH_INIT_VALUES:
      return leaf->init.values[i];
    case RH_INIT_CONSTANT:
      break;
  }
  return leaf->init.a;
}

void rh_values_init(const rh_leaves *leaves, uint64_t seed, rh_values *values) {
  for (int64_t l = 0; l < leaves->n; l++) {
    const rh_leaf *leaf = &leaves->leaf[l];
    const rh_rng rng = rh_rng_at(seed, 0, rh_hash64(leaf->name, strlen(leaf->name)), RH_STREAM_INIT);
    for (int64_t i = 0; i < leaf->count; i++) rh_values_set(leaves, values, (int)l, i, initial(leaf, &rng, i));
  }
}
