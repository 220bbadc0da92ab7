/* The shape of a masked matrix whose rows read longer and longer beginnings of the input: sorted degrees make every mask of a MADE (Germain
 * et al. 2015) such a staircase. Outputs of equal reach are one stair; only what the mask leaves is stored, row after row, row j being
 * reach(j) numbers. */
#ifndef RH_GRAPH_STAIRS_H
#define RH_GRAPH_STAIRS_H
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

typedef struct rh_stair {
  int64_t first; /* outputs [first, the next stair's first) */
  int64_t reach; /* read inputs [0, reach) */
  int64_t at;    /* where their rows begin */
} rh_stair;

typedef struct rh_stairs {
  int64_t in, out, count; /* count: numbers stored */
  int64_t n;
  rh_stair stair[]; /* [n + 1], the last one marks the end: {out, in, count} */
} rh_stairs;

size_t rh_stairs_bytes(const rh_stairs *s);
/* reach[out], never falling, at most `in`. Free with rh_free. */
rh_status rh_stairs_create(int64_t in, int64_t out, const int64_t *reach, rh_stairs **stairs) RH_WARN_UNUSED;
int64_t rh_stairs_of(const rh_stairs *s, int64_t output);    /* the stair of an output */
int64_t rh_stairs_reach(const rh_stairs *s, int64_t output); /* how many inputs it reads */
int64_t rh_stairs_first(const rh_stairs *s, int64_t input);  /* the first output that reads the input; `out` when none does */
/* Rows [first, first + rows) of `size`-byte numbers as far as inputs [from, from + cols), zeros behind -> dense [rows, cols]. */
void rh_stairs_expand(const rh_stairs *s, int size, const void *weights, int64_t first, int64_t rows, int64_t from, int64_t cols,
                      void *dense);
#endif
