/* Triangular matrices from packed parameters, as NumPy's tril_indices and triu_indices order them: only what varies is stored and trained.
 */
#ifndef RH_BIJECTION_TRIANGLE_H
#define RH_BIJECTION_TRIANGLE_H
#include "graph/graph.h"

enum { RH_TRIANGLE_MAX = 4096 }; /* columns: a matrix of 64 MB in float32 */

/* entries: [n (n - 1) / 2] row by row, or RH_NONE when n is 1; diagonal: [n], or RH_NONE for ones -> [n, n], zero elsewhere. */
rh_val rh_triangle(rh_graph *g, rh_val entries, rh_val diagonal, int64_t n, bool lower);
#endif
