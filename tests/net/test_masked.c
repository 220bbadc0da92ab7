/* Masked networks: the sweep's inverse is that of the textbook, which runs the whole network once a level; its derivatives are those of a
 * dense Jacobian, solved. (What they compute, and what may not depend on what, is held by tests/laws/test_networks.c.) */
#include "graph/sweep.h"
#include "net/masked.h"
#include "support/probe.h"

enum { MOST = 48, COLUMNS = 43, LEAVES = 12 };

typedef struct masked {
  rh_leaves leaves;
  rh_values values;
  rh_masked_net *net;
  int64_t columns, context, levels;
  int64_t end[MOST]; /* [levels] */
} masked;

static void shake(masked *m, double by) {
  for (int64_t l = 0; l < m->leaves.n; l++) {
    const int64_t n = m->leaves.leaf[l].count;
    double *x = probe_random(n, 7 + (uint64_t)l, -by, by);
    for (int64_t i = 0; i < n; i++) rh_values_set(&m->leaves, &m->values, (int)l, i, x[i]);
    free(x);
  }
}

/* Two numbers a column. Parameters in +-by: a start's size, so that 43 columns do not
 * amplify. */
static void begin(masked *m, const char *spec, const rh_causal *causal, int64_t context, int real_bytes, double by) {
  json_t *json;
  *m = (masked){.columns = causal->columns, .context = context, .levels = causal->levels};
  memcpy(m->end, causal->end, (size_t)causal->levels * sizeof *m->end);
  PROBE_OK(rh_json_parse(spec, strlen(spec), "net", &json));
  const rh_build build = {&m->leaves, "n", context};
  PROBE_OK(rh_masked_create(&build, json, "net", causal, 2, &m->net));
  json_decref(json);
  PROBE_OK(rh_values_create(&m->leaves, real_bytes, &m->values));
  shake(m, by);
}
static void drop(masked *m) {
  rh_masked_destroy(m->net);
  rh_values_free(&m->values);
  rh_leaves_free(&m->leaves);
}

/* ---- what depends on what ---- */

static int64_t chain_end[MOST], graph_end[MOST];
static bool graph_parents[COLUMNS * COLUMNS];

static rh_causal chain(void) {
  for (int64_t i = 0; i < COLUMNS; i++) chain_end[i] = i + 1;
  return (rh_causal){COLUMNS, COLUMNS, chain_end, NULL};
}

/* Levels of one to three columns; each column depends on one of the level before, and on about half of those further up. */
static rh_causal graph(void) {
  int64_t levels = 0, first = 0, before = 0;
  double *u = probe_random(COLUMNS * COLUMNS, 21, 0, 1);
  memset(graph_parents, 0, sizeof graph_parents);
  while (first < COLUMNS) {
    const int64_t last = first + 1 + levels % 3 < COLUMNS ? first + 1 + levels % 3 : COLUMNS;
    for (int64_t i = first; i < last; i++)
      for (int64_t j = 0; j < first; j++) graph_parents[i * COLUMNS + j] = j == before + i % (first - before) || u[i * COLUMNS + j] < 0.5;
    before = first, first = graph_end[levels++] = last;
  }
  free(u);
  return (rh_causal){COLUMNS, levels, graph_end, graph_parents};
}

/* ---- the transform ---- */

static void affine(rh_graph *g, void *arg, bool forward, rh_val x, rh_val raw, int64_t m, int64_t params, rh_val *y) {
  int32_t even[MOST], odd[MOST];
  (void)arg, (void)params;
  for (int32_t i = 0; i < m; i++) even[i] = 2 * i, odd[i] = 2 * i + 1;
  const rh_val s = rh_bound(g, rh_gather(g, raw, rh_shape1(m), even), 1), t = rh_gather(g, raw, rh_shape1(m), odd);
  *y = forward ? rh_add(g, rh_mulexp(g, x, s), t) : rh_mulexp(g, rh_sub(g, x, t), rh_neg(g, s));
}

static rh_val context_input(const masked *m, rh_graph *g) {
  return m->context ? rh_input(g, rh_shape1(m->context)) : RH_NONE;
}

static void near(const char *what, int64_t n, const double *got, const double *want, double tolerance) {
  for (int64_t k = 0; k < n; k++)
    if (!(fabs(got[k] - want[k]) <= tolerance * fmax(1, fabs(want[k]))))
      fail_msg("%s, number %d: %.17g, should be %.17g", what, (int)k, got[k], want[k]);
}

/* ---- the sweep against the slow inverse ---- */

/* A pass of the whole network for each level. */
static void slow_inverse(const masked *m, int64_t rows, const double *y, const double *context, double *x) {
  const int64_t d = m->columns;
  rh_graph g;
  PROBE_OK(rh_graph_init(&g, &m->leaves));
  const rh_val in = rh_input(&g, rh_shape1(d)), c = context_input(m, &g);
  const rh_val raw = rh_masked_apply(m->net, &g, in, c);
  double *out = malloc((size_t)(rows * 2 * d) * 8);
  memset(x, 0, (size_t)(rows * d) * 8);
  probe p = {.g = &g,
             .values = &m->values,
             .real_bytes = m->values.real_bytes,
             .rows = rows,
             .input = {x, context},
             .n_row = 1,
             .row_val = {raw},
             .row_out = {out}};
  for (int64_t l = 0, i = 0; l < m->levels; l++) {
    probe_run(&p);
    for (; i < m->end[l]; i++)
      for (int64_t r = 0; r < rows; r++) x[r * d + i] = (y[r * d + i] - out[r * 2 * d + 2 * i + 1]) * exp(-tanh(out[r * 2 * d + 2 * i]));
  }
  free(out);
  rh_graph_free(&g);
}

/* pieces: how many pieces of packing the sweep should have at least. */
static void check_inverse(const masked *m, int64_t pieces, double tolerance) {
  enum { MANY = 37 };
  const int64_t d = m->columns;
  double *y = probe_random(MANY * d, 1, -2, 2), *c = probe_random(MANY * 2, 2, -1, 1), *got = malloc((size_t)(MANY * d) * 8),
         *want = malloc((size_t)(MANY * d) * 8);
  rh_graph g;
  PROBE_OK(rh_graph_init(&g, &m->leaves));
  const rh_val in = rh_input(&g, rh_shape1(d)), context = context_input(m, &g);
  const rh_val x = rh_masked_invert(m->net, &g, in, context, affine, NULL);
  assert_int_equal(rh_at(&g, x)->op, RH_OP_sweep);
  assert_true(rh_sweep_packing.pieces(NULL, rh_at(&g, x), NULL, 0) >= pieces);
  probe p = {.g = &g,
             .values = &m->values,
             .real_bytes = m->values.real_bytes,
             .rows = MANY,
             .input = {y, c},
             .n_row = 1,
             .row_val = {x},
             .row_out = {got}};
  probe_run(&p);
  slow_inverse(m, MANY, y, c, want);
  near("the sweep against the slow inverse", MANY * d, got, want, tolerance);
  rh_graph_free(&g);
  free(y), free(c), free(got), free(want);
}

/* ---- derivatives of the sweep against the dense Jacobian ---- */

enum { ROWS = 4 };
typedef struct derived {
  double x[ROWS * MOST], of_y[ROWS * MOST], of_context[ROWS * 2], tangent[ROWS * MOST]; /* tangent: J^-1 t */
  double *leaf[LEAVES];                                                                 /* gradients */
} derived;

static void derived_begin(const masked *m, derived *d) {
  *d = (derived){0};
  assert_true(m->leaves.n <= LEAVES);
  for (int64_t l = 0; l < m->leaves.n; l++) d->leaf[l] = calloc((size_t)m->leaves.leaf[l].count, 8);
}
static void derived_end(const masked *m, derived *d) {
  for (int64_t l = 0; l < m->leaves.n; l++) free(d->leaf[l]);
}

static int of_leaves(const masked *m, rh_graph *g, rh_val context, rh_val *wrt) {
  int n = 0;
  for (int64_t l = 0; l < m->leaves.n; l++) wrt[n++] = rh_leaf_val(g, (int)l);
  if (m->context) wrt[n++] = context;
  return n;
}
static void want_leaves(const masked *m, probe *p, const rh_val *grad, derived *out) {
  for (int64_t l = 0; l < m->leaves.n; l++) p->param_val[p->n_param] = grad[l], p->param_out[p->n_param++] = out->leaf[l];
  if (m->context) p->row_val[p->n_row] = grad[m->leaves.n], p->row_out[p->n_row++] = out->of_context;
}

/* By the sweep and its rules: x, the cotangent ct drawn back, the tangent t pushed forward. */
static void by_sweep(const masked *m, int threads, const double *y, const double *c, const double *ct, const double *t, derived *out) {
  rh_graph g;
  rh_val wrt[LEAVES + 2], grad[LEAVES + 2], pushed;
  PROBE_OK(rh_graph_init(&g, &m->leaves));
  const rh_shape row = rh_shape1(m->columns);
  const rh_val in = rh_input(&g, row), cotangent = rh_input(&g, row), tangent = rh_input(&g, row), context = context_input(m, &g);
  const rh_val x = rh_masked_invert(m->net, &g, in, context, affine, NULL);
  const int n = of_leaves(m, &g, context, wrt);
  wrt[n] = in;
  PROBE_OK(rh_vjp(&g, 1, &x, &cotangent, n + 1, wrt, grad, RH_KEEP));
  PROBE_OK(rh_jvp(&g, 1, &in, &tangent, 1, &x, &pushed));
  probe p = {.g = &g,
             .values = &m->values,
             .real_bytes = m->values.real_bytes,
             .threads = threads,
             .rows = ROWS,
             .input = {y, ct, t, c},
             .n_row = 3,
             .row_val = {x, grad[n], pushed},
             .row_out = {out->x, out->of_y, out->tangent}};
  want_leaves(m, &p, grad, out);
  probe_run(&p);
  rh_graph_free(&g);
}

/* a u = v, a [n, n] and v overwritten: Gaussian elimination with partial pivoting. */
static void dense_solve(int64_t n, double *a, double *v) {
  for (int64_t k = 0; k < n; k++) {
    int64_t pivot = k;
    for (int64_t i = k + 1; i < n; i++)
      if (fabs(a[i * n + k]) > fabs(a[pivot * n + k])) pivot = i;
    for (int64_t j = 0; j <= n; j++) {
      double *p = j < n ? a + k * n + j : v + k, *q = j < n ? a + pivot * n + j : v + pivot;
      const double kept = *p;
      *p = *q, *q = kept;
    }
    for (int64_t i = k + 1; i < n; i++) {
      const double f = a[i * n + k] / a[k * n + k];
      for (int64_t j = k; j < n; j++) a[i * n + j] -= f * a[k * n + j];
      v[i] -= f * v[k];
    }
  }
  for (int64_t i = n - 1; i >= 0; i--) {
    for (int64_t j = i + 1; j < n; j++) v[i] -= a[i * n + j] * v[j];
    v[i] /= a[i * n + i];
  }
}

/* The transform forwards, its rules alone. J of each row at x: [ROWS, d, d], row (r, j) being J's column j. */
static void jacobians(const masked *m, const double *x, const double *c, double *columns) {
  const int64_t d = m->columns;
  double *many = calloc((size_t)(ROWS * d * d), 8), *unit = calloc((size_t)(ROWS * d * d), 8),
         *contexts = calloc((size_t)(ROWS * d * 2), 8);
  for (int64_t r = 0; r < ROWS; r++)
    for (int64_t j = 0; j < d; j++) {
      memcpy(many + (r * d + j) * d, x + r * d, (size_t)d * 8);
      memcpy(contexts + (r * d + j) * 2, c + r * 2, 16);
      unit[(r * d + j) * d + j] = 1;
    }
  rh_graph g;
  rh_val y, column;
  PROBE_OK(rh_graph_init(&g, &m->leaves));
  const rh_val in = rh_input(&g, rh_shape1(d)), tangent = rh_input(&g, rh_shape1(d)), context = context_input(m, &g);
  affine(&g, NULL, true, in, rh_masked_apply(m->net, &g, in, context), d, 2, &y);
  PROBE_OK(rh_jvp(&g, 1, &in, &tangent, 1, &y, &column));
  const probe p = {.g = &g,
                   .values = &m->values,
                   .real_bytes = m->values.real_bytes,
                   .rows = ROWS * d,
                   .input = {many, unit, contexts},
                   .n_row = 1,
                   .row_val = {column},
                   .row_out = {columns}};
  probe_run(&p);
  rh_graph_free(&g);
  free(many), free(unit), free(contexts);
}

/* By the implicit function theorem, J dense: J' u = ct, J dx = t, and -u drawn back through the transform at x. */
static void by_jacobian(const masked *m, const double *c, const double *ct, const double *t, derived *out) {
  const int64_t d = m->columns;
  double *columns = malloc((size_t)(ROWS * d * d) * 8), *a = malloc((size_t)(d * d) * 8), minus[ROWS * MOST];
  jacobians(m, out->x, c, columns);
  for (int64_t r = 0; r < ROWS; r++) {
    const double *transposed = columns + r * d * d;
    memcpy(a, transposed, (size_t)(d * d) * 8);
    memcpy(out->of_y + r * d, ct + r * d, (size_t)d * 8);
    dense_solve(d, a, out->of_y + r * d);
    for (int64_t i = 0; i < d; i++)
      for (int64_t j = 0; j < d; j++) a[i * d + j] = transposed[j * d + i];
    memcpy(out->tangent + r * d, t + r * d, (size_t)d * 8);
    dense_solve(d, a, out->tangent + r * d);
    for (int64_t i = 0; i < d; i++) minus[r * d + i] = -out->of_y[r * d + i];
  }
  rh_graph g;
  rh_val y, wrt[LEAVES + 1], grad[LEAVES + 1];
  PROBE_OK(rh_graph_init(&g, &m->leaves));
  const rh_val in = rh_input(&g, rh_shape1(d)), cotangent = rh_input(&g, rh_shape1(d)), context = context_input(m, &g);
  affine(&g, NULL, true, in, rh_masked_apply(m->net, &g, in, context), d, 2, &y);
  const int n = of_leaves(m, &g, context, wrt);
  PROBE_OK(rh_vjp(&g, 1, &y, &cotangent, n, wrt, grad, RH_KEEP));
  probe p = {.g = &g, .values = &m->values, .real_bytes = m->values.real_bytes, .rows = ROWS, .input = {out->x, minus, c}};
  want_leaves(m, &p, grad, out);
  probe_run(&p);
  rh_graph_free(&g);
  free(columns), free(a);
}

static void check_derivatives(const masked *m, double tolerance) {
  const int64_t d = m->columns;
  double *y = probe_random(ROWS * d, 1, -2, 2), *c = probe_random(ROWS * 2, 2, -1, 1), *ct = probe_random(ROWS * d, 3, -1, 1),
         *t = probe_random(ROWS * d, 4, -1, 1);
  derived got, again, want;
  derived_begin(m, &got), derived_begin(m, &again), derived_begin(m, &want);
  by_sweep(m, 1, y, c, ct, t, &got);
  by_sweep(m, 3, y, c, ct, t, &again);
  memcpy(want.x, got.x, sizeof want.x);
  by_jacobian(m, c, ct, t, &want);
  near("gradient of y", ROWS * d, got.of_y, want.of_y, tolerance);
  near("tangent of x", ROWS * d, got.tangent, want.tangent, tolerance);
  near("gradient of the context", ROWS * m->context, got.of_context, want.of_context, tolerance);
  for (int64_t l = 0; l < m->leaves.n; l++) {
    near(m->leaves.leaf[l].name, m->leaves.leaf[l].count, got.leaf[l], want.leaf[l], tolerance);
    assert_memory_equal(again.leaf[l], got.leaf[l], (size_t)m->leaves.leaf[l].count * 8);
  }
  assert_memory_equal(again.of_y, got.of_y, sizeof got.of_y);
  assert_memory_equal(again.tangent, got.tangent, sizeof got.tangent);
  derived_end(m, &got), derived_end(m, &again), derived_end(m, &want);
  free(y), free(c), free(ct), free(t);
}

/* ---- the networks ---- */

typedef struct row {
  const char *spec;
  bool graph;
  double by;
  int64_t pieces; /* of packing, at least: four groups of levels each */
} row;
static const row few[] = {{"{\"hidden\":[90,70]}", false, 0.125, 1},
                          {"{\"hidden\":[100],\"activation\":\"gelu\"}", false, 0.125, 1},
                          {"{\"type\":\"residual\",\"hidden\":80,\"blocks\":2}", false, 0.125, 1},
                          {"{\"hidden\":[5,3]}", false, 0.125, 1},
                          {"{\"hidden\":[]}", false, 0.125, 1},
                          {"{\"hidden\":[90,70]}", true, 0.125, 1}};
static const row many[] = {{"{\"hidden\":[512,384]}", false, 0.1, 2},
                           {"{\"hidden\":[384,512],\"activation\":\"tanh\"}", true, 0.06, 2},
                           {"{\"type\":\"residual\",\"hidden\":640,\"blocks\":1,\"activation\":\"silu\"}", false, 0.05, 3},
                           {"{\"type\":\"residual\",\"hidden\":512,\"blocks\":2}", true, 0.05, 2}};

static void check(const row *r, bool derivatives) {
  static masked m;
  const rh_causal causal = r->graph ? graph() : chain();
  for (int real_bytes = 4; real_bytes <= 8; real_bytes += 4)
    for (int64_t context = 0; context <= 2; context += 2) {
      const double tolerance = real_bytes == 8 ? 1e-10 : 2e-4;
      begin(&m, r->spec, &causal, context, real_bytes, r->by);
      if (derivatives)
        check_derivatives(&m, tolerance);
      else
        check_inverse(&m, r->pieces, tolerance);
      drop(&m);
    }
}

static void inverses(void **state) {
  (void)state;
  for (size_t i = 0; i < RH_COUNT_OF(few); i++) check(&few[i], false);
}
static void inverses_of_many_groups(void **state) {
  (void)state;
  for (size_t i = 0; i < RH_COUNT_OF(many); i++) check(&many[i], false);
}
static void derivatives(void **state) {
  (void)state;
  for (size_t i = 0; i < RH_COUNT_OF(few); i++) check(&few[i], true);
}
static void derivatives_of_many_groups(void **state) {
  (void)state;
  for (size_t i = 0; i < RH_COUNT_OF(many); i++) check(&many[i], true);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(inverses), cmocka_unit_test(inverses_of_many_groups), cmocka_unit_test(derivatives),
                                     cmocka_unit_test(derivatives_of_many_groups)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
