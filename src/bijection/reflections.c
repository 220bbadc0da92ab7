#include "bijection/reflections.h"

#include "base/memory.h"

enum { REFLECTIONS_MOST = 4096, REFLECTIONS_USUAL = 32 };

rh_status rh_reflections_create(const rh_build *build, rh_spec *spec, int64_t d, rh_reflections *r) {
  const int64_t all = d + d % 2, usual = all < REFLECTIONS_USUAL ? all : REFLECTIONS_USUAL;
  const rh_init apart = {RH_INIT_NORMAL, 1, NULL}, zero = {RH_INIT_CONSTANT, 0, NULL};
  *r = (rh_reflections){.d = d, .n = rh_spec_int(spec, "reflections", usual, 2, REFLECTIONS_MOST)};
  RH_TRY(rh_spec_status(spec));
  if (r->n % 2) return rh_spec_fail(spec, "reflections", "%lld is odd: reflections come in pairs", (long long)r->n);
  if (d == 1) r->n = 0;
  if (!r->n) return RH_OK;
  const rh_shape shape = rh_shape2(d, r->n / 2);
  RH_TRY(rh_leaf_add(build->leaves, RH_PARAM, shape, apart, false, &r->vectors, "%s.vectors", build->prefix));
  return rh_leaf_add(build->leaves, RH_PARAM, shape, zero, false, &r->turns, "%s.turns", build->prefix);
}

/* v and v + turn, column beside column: [d, n]. */
static int64_t column_of(const void *arg, int64_t i) {
  const rh_reflections *r = arg;
  return i % 2 * r->d * (r->n / 2) + i / 2;
}
static rh_val columns_of(const rh_reflections *r, rh_graph *g) {
  const rh_val v = rh_leaf_val(g, r->vectors), w = rh_add(g, v, rh_leaf_val(g, r->turns));
  return rh_gather_runs(g, rh_concat(g, 2, (rh_val[]){v, w}), rh_shape2(r->d, r->n), 1, column_of, r);
}

/* n numbers on the diagonal of [n, n], `off` elsewhere. */
static rh_val diagonal(rh_graph *g, int64_t n, double on, double off) {
  double *a = rh_alloc((size_t)(n * n) * sizeof *a);
  if (!a) {
    if (g->status == RH_OK) g->status = RH_E_MEMORY;
    return RH_NONE;
  }
  for (int64_t i = 0; i < n * n; i++) a[i] = i % (n + 1) ? off : on;
  const rh_val v = rh_const_values(g, rh_shape2(n, n), a);
  rh_free(a);
  return v;
}

/* Q = I - U T^-1 U', T the upper triangle of U'U with half its diagonal (Joffrain et al. 2006, the UT transform). All but the last products
 * is computed once, before the rows: T^-1 U' = B', then either Q itself, or, where that is less work, two products of rank n. */
rh_val rh_reflections_apply(const rh_reflections *r, rh_graph *g, rh_val x, bool transposed) {
  if (!r->n) return x;
  const rh_val u = columns_of(r, g), t = rh_mul(g, rh_matmul(g, u, u, true, false), diagonal(g, r->n, 0.5, 1));
  const rh_val b = rh_trisolve(g, u, t, false, false, false); /* [d, n]: each of U's rows */
  if (2 * r->n < r->d) return rh_sub(g, x, rh_linear(g, rh_linear_t(g, x, transposed ? u : b), transposed ? b : u, RH_NONE));
  const rh_val q = rh_sub(g, diagonal(g, r->d, 1, 0), rh_matmul(g, u, b, false, true));
  return transposed ? rh_linear_t(g, x, q) : rh_linear(g, x, q, RH_NONE);
}
