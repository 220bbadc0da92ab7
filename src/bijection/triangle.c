#include "bijection/triangle.h"

#include "base/memory.h"

rh_val rh_triangle(rh_graph *g, rh_val entries, rh_val diagonal, int64_t n, bool lower) {
  const bool ones = rh_is_none(diagonal);
  if (ones) diagonal = rh_const(g, rh_shape1(1), 1);
  if (n == 1) return rh_reshape(g, diagonal, rh_shape2(1, 1));
  int32_t *index = rh_alloc((size_t)(n * n) * sizeof *index);
  if (!index) {
    if (g->status == RH_OK) g->status = RH_E_MEMORY;
    return RH_NONE;
  }
  int32_t next = ones ? 1 : (int32_t)n; /* behind the diagonal's numbers */
  for (int64_t i = 0; i < n; i++)
    for (int64_t j = 0; j < n; j++) {
      int32_t *at = &index[i * n + j];
      if (i == j) {
        *at = ones ? 0 : (int32_t)i;
      } else {
        *at = lower == (j < i) ? next++ : -1;
      }
    }
  const rh_val parts[2] = {diagonal, entries};
  const rh_val matrix = rh_gather(g, rh_concat(g, 2, parts), rh_shape2(n, n), index);
  rh_free(index);
  return matrix;
}
