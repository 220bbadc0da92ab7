/* Shapes of ONE row (or of a parameter): never a batch axis. */
#ifndef RH_GRAPH_SHAPE_H
#define RH_GRAPH_SHAPE_H
#include <stdbool.h>
#include <stdint.h>

enum { RH_RANK = 4 };

typedef struct rh_shape {
  int rank;             /* 1 to RH_RANK */
  int64_t dim[RH_RANK]; /* row-major; each at least 1; unused ones 0 */
} rh_shape;

static inline rh_shape rh_shape1(int64_t a) {
  return (rh_shape){1, {a, 0, 0, 0}};
}
static inline rh_shape rh_shape2(int64_t a, int64_t b) {
  return (rh_shape){2, {a, b, 0, 0}};
}
static inline rh_shape rh_shape3(int64_t a, int64_t b, int64_t c) {
  return (rh_shape){3, {a, b, c, 0}};
}
static inline rh_shape rh_shape4(int64_t a, int64_t b, int64_t c, int64_t d) {
  return (rh_shape){4, {a, b, c, d}};
}
static inline int64_t rh_shape_count(const rh_shape *s) {
  int64_t n = 1;
  for (int i = 0; i < s->rank; i++) n *= s->dim[i];
  return n;
}
static inline bool rh_shape_same(const rh_shape *a, const rh_shape *b) {
  if (a->rank != b->rank) return false;
  for (int i = 0; i < a->rank; i++)
    if (a->dim[i] != b->dim[i]) return false;
  return true;
}
#endif
