/* Masked networks: what may not depend does not, by dense Jacobians; the numbers are those of plain C on the masks of sorted degrees; the
 * sweep's inverse is that of the textbook, which runs the whole network once a column. */
#include "net/masked.h"
#include "support/probe.h"

enum { MOST = 48, ROWS = 5, WIDTH = 64 };

typedef struct masked {
  rh_leaves leaves;
  rh_values values;
  rh_masked_net *net;
  rh_causal causal;
  int64_t end[MOST], params, context;
  bool parents[MOST * MOST];
} masked;

static void shake(masked *m) {
  for (int64_t l = 0; l < m->leaves.n; l++) {
    const int64_t n = m->leaves.leaf[l].count;
    double *x = probe_random(n, 7 + (uint64_t)l, -0.5, 0.5);
    for (int64_t i = 0; i < n; i++) rh_values_set(&m->leaves, &m->values, (int)l, i, x[i]);
    free(x);
  }
}

static void make(masked *m, const char *spec, int64_t d, int64_t levels, int64_t params, int64_t context, int real_bytes, bool graph) {
  json_t *json;
  m->params = params, m->context = context;
  m->causal = (rh_causal){d, levels, m->end, graph ? m->parents : NULL};
  PROBE_OK(rh_json_parse(spec, strlen(spec), "net", &json));
  const rh_build build = {&m->leaves, "n", context};
  PROBE_OK(rh_masked_create(&build, json, "net", &m->causal, params, &m->net));
  json_decref(json);
  PROBE_OK(rh_values_create(&m->leaves, real_bytes, &m->values));
  shake(m);
}
static void chain(masked *m, const char *spec, int64_t d, int64_t params, int64_t context, int real_bytes) {
  memset(m, 0, sizeof *m);
  for (int64_t i = 0; i < d; i++) m->end[i] = i + 1;
  make(m, spec, d, d, params, context, real_bytes, false);
}
static void drop(masked *m) {
  rh_masked_destroy(m->net);
  rh_values_free(&m->values);
  rh_leaves_free(&m->leaves);
}

/* ---- the mask contract ---- */

static void check_mask(masked *m, const char *what) {
  const int64_t d = m->causal.columns, outs = d * m->params;
  double *x = probe_random(ROWS * d, 1, -2, 2), *c = probe_random(ROWS * 2, 2, -1, 1), *column = malloc((size_t)(ROWS * outs) * 8);
  bool moved = false;
  for (int64_t j = 0; j < d; j++) {
    rh_graph g;
    PROBE_OK(rh_graph_init(&g, &m->leaves));
    double unit[MOST] = {0};
    unit[j] = 1;
    const rh_val in = rh_input(&g, rh_shape1(d)), context = m->context ? rh_input(&g, rh_shape1(m->context)) : RH_NONE;
    const rh_val out = rh_masked_apply(m->net, &g, in, context), t = rh_const_values(&g, rh_shape1(d), unit);
    rh_val slope;
    PROBE_OK(rh_jvp(&g, 1, &in, &t, 1, &out, &slope));
    probe p = {
        .g = &g, .values = &m->values, .real_bytes = 8, .rows = ROWS, .input = {x, c}, .n_row = 1, .row_val = {slope}, .row_out = {column}};
    memset(column, 0, (size_t)(ROWS * outs) * 8);
    if (!rh_is_row(&g, slope)) p.n_row = 0, p.n_param = 1, p.param_val[0] = slope, p.param_out[0] = column; /* a linear net's: shared */
    probe_run(&p);
    for (int64_t k = 0; k < outs; k++) {
      bool any = false;
      for (int64_t r = 0; r < ROWS; r++) any |= column[r * outs + k] != 0;
      const bool may = rh_masked_depends(m->net, k / m->params, j);
      if (any && !may)
        fail_msg("%s: number %d of column %d depends on column %d", what, (int)(k % m->params), (int)(k / m->params), (int)j);
      if (may && !any)
        fail_msg("%s: number %d of column %d should depend on column %d", what, (int)(k % m->params), (int)(k / m->params), (int)j);
      moved |= any;
    }
    rh_graph_free(&g);
  }
  assert_true(moved);
  free(x), free(c), free(column);
}

static void masks(void **state) {
  static const char *const nets[] = {"{\"hidden\":[24,31],\"activation\":\"tanh\"}",
                                     "{\"type\":\"residual\",\"hidden\":24,\"blocks\":2,\"activation\":\"silu\"}", "{\"hidden\":[]}"};
  static const int64_t parents_of[6][3] = {{-1, -1, -1}, {-1, -1, -1}, {0, 1, -1}, {1, -1, -1}, {2, 3, -1}, {0, 4, -1}};
  static masked m;
  (void)state;
  for (int n = 0; n < 3; n++)
    for (int64_t context = 0; context <= 2; context += 2) {
      chain(&m, nets[n], 7, 3, context, 8);
      check_mask(&m, nets[n]);
      drop(&m);
      if (n == 2) continue; /* without hidden units a graph needs no transitive ones either */
      memset(&m, 0, sizeof m);
      for (int i = 0; i < 6; i++)
        for (int k = 0; k < 3; k++)
          if (parents_of[i][k] >= 0) m.parents[i * 6 + parents_of[i][k]] = true;
      static const int64_t end[4] = {2, 4, 5, 6};
      memcpy(m.end, end, sizeof end);
      make(&m, nets[n], 6, 4, 2, context, 8, true);
      check_mask(&m, "a graph");
      drop(&m);
    }
}

/* ---- by hand: unit u of H has degree 1 + u (d - 1) / H, or u d / H where there is a context; in storage each row is its beginning ---- */

static double weight_by_hand(const masked *m, int leaf, int64_t *at, bool connected) {
  return connected ? rh_values_get(&m->leaves, &m->values, leaf, (*at)++) : 0;
}

static void plain_mlp(const masked *m, const int64_t *hidden, int layers, const double *x, const double *context, double *out) {
  const int64_t d = m->causal.columns;
  double from[WIDTH + MOST], to[WIDTH + MOST];
  int64_t from_degree[WIDTH + MOST], to_degree[WIDTH + MOST], n = 0;
  for (int64_t i = 0; i < m->context; i++) from_degree[n] = 0, from[n++] = context[i];
  for (int64_t i = 0; i < d; i++) from_degree[n] = i + 1, from[n++] = x[i];
  for (int l = 0; l <= layers; l++) {
    const bool last = l == layers;
    const int64_t units = last ? d * m->params : hidden[l];
    char name[2][24];
    snprintf(name[0], sizeof name[0], "n.%d.weight", l), snprintf(name[1], sizeof name[1], "n.%d.bias", l);
    const int w = rh_leaf_find(&m->leaves, name[0]), b = rh_leaf_find(&m->leaves, name[1]);
    int64_t at = 0;
    for (int64_t j = 0; j < units; j++) {
      to_degree[last ? 0 : j] = last ? j / m->params : m->context ? j * d / units : 1 + j * (d - 1) / units;
      const int64_t degree = to_degree[last ? 0 : j];
      double sum = rh_values_get(&m->leaves, &m->values, b, j);
      for (int64_t k = 0; k < n; k++) sum += weight_by_hand(m, w, &at, from_degree[k] <= degree) * from[k];
      if (last)
        out[j] = sum;
      else
        to[j] = tanh(sum);
    }
    assert_int_equal(at, m->leaves.leaf[w].count); /* nothing but what the mask leaves is stored */
    if (last) return;
    memcpy(from, to, (size_t)units * 8), memcpy(from_degree, to_degree, (size_t)units * sizeof *to_degree);
    n = units;
  }
}

static void by_hand(void **state) {
  static const struct {
    int64_t d, hidden[2], context;
  } cases[] = {{5, {12, 20}, 0}, {5, {13, 9}, 2}, {9, {4, 3}, 0}, {2, {7, 7}, 0}, {1, {5, 6}, 2}, {20, {64, 50}, 1}};
  static masked m;
  (void)state;
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    char spec[80];
    const int64_t d = cases[i].d;
    snprintf(spec, sizeof spec, "{\"hidden\":[%d,%d],\"activation\":\"tanh\"}", (int)cases[i].hidden[0], (int)cases[i].hidden[1]);
    chain(&m, spec, d, 2, cases[i].context, 8);
    rh_graph g;
    PROBE_OK(rh_graph_init(&g, &m.leaves));
    const rh_val in = rh_input(&g, rh_shape1(d)), context = m.context ? rh_input(&g, rh_shape1(m.context)) : RH_NONE;
    const rh_val out = rh_masked_apply(m.net, &g, in, context);
    double *x = probe_random(ROWS * d, 1, -2, 2), *c = probe_random(ROWS * 2, 2, -1, 1), got[ROWS * 2 * MOST], want[2 * MOST];
    probe p = {
        .g = &g, .values = &m.values, .real_bytes = 8, .rows = ROWS, .input = {x, c}, .n_row = 1, .row_val = {out}, .row_out = {got}};
    probe_run(&p);
    for (int64_t r = 0; r < ROWS; r++) {
      plain_mlp(&m, cases[i].hidden, 2, x + r * d, c + r * m.context, want);
      for (int64_t k = 0; k < 2 * d; k++) assert_true(fabs(got[r * 2 * d + k] - want[k]) <= 1e-13);
    }
    free(x), free(c);
    rh_graph_free(&g);
    drop(&m);
  }
}

/* ---- the sweep against the slow inverse ---- */

static void affine(rh_graph *g, void *arg, bool forward, rh_val x, rh_val raw, int64_t m, int64_t params, rh_val *y) {
  int32_t even[MOST], odd[MOST];
  (void)arg, (void)params;
  for (int32_t i = 0; i < m; i++) even[i] = 2 * i, odd[i] = 2 * i + 1;
  const rh_val s = rh_bound(g, rh_gather(g, raw, rh_shape1(m), even), 1), t = rh_gather(g, raw, rh_shape1(m), odd);
  *y = forward ? rh_add(g, rh_mulexp(g, x, s), t) : rh_mulexp(g, rh_sub(g, x, t), rh_neg(g, s));
}

/* d passes of the whole network, a column at a time. */
static void slow_inverse(const masked *m, int64_t rows, const double *y, const double *context, double *x) {
  const int64_t d = m->causal.columns;
  rh_graph g;
  PROBE_OK(rh_graph_init(&g, &m->leaves));
  const rh_val in = rh_input(&g, rh_shape1(d)), c = m->context ? rh_input(&g, rh_shape1(m->context)) : RH_NONE;
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
  for (int64_t i = 0; i < d; i++) {
    probe_run(&p);
    for (int64_t r = 0; r < rows; r++) x[r * d + i] = (y[r * d + i] - out[r * 2 * d + 2 * i + 1]) * exp(-tanh(out[r * 2 * d + 2 * i]));
  }
  free(out);
  rh_graph_free(&g);
}

static void check_inverse(const masked *m, double tolerance) {
  enum { MANY = 37 };
  const int64_t d = m->causal.columns;
  double *y = probe_random(MANY * d, 1, -2, 2), *c = probe_random(MANY * 2, 2, -1, 1), *got = malloc((size_t)(MANY * d) * 8),
         *want = malloc((size_t)(MANY * d) * 8);
  rh_graph g;
  PROBE_OK(rh_graph_init(&g, &m->leaves));
  const rh_val in = rh_input(&g, rh_shape1(d)), context = m->context ? rh_input(&g, rh_shape1(m->context)) : RH_NONE;
  const rh_val x = rh_masked_invert(m->net, &g, in, context, affine, NULL);
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
  for (int64_t k = 0; k < MANY * d; k++)
    if (!(fabs(got[k] - want[k]) <= tolerance * fmax(1, fabs(want[k]))))
      fail_msg("number %d: %.17g, slowly %.17g", (int)k, got[k], want[k]);
  rh_graph_free(&g);
  free(y), free(c), free(got), free(want);
}

static void inverses(void **state) {
  static const char *const nets[] = {"{\"hidden\":[90,70]}", "{\"hidden\":[100],\"activation\":\"gelu\"}",
                                     "{\"type\":\"residual\",\"hidden\":80,\"blocks\":2}", "{\"hidden\":[5,3]}", "{\"hidden\":[]}"};
  static masked m;
  (void)state;
  for (int real_bytes = 4; real_bytes <= 8; real_bytes += 4)
    for (int n = 0; n < 5; n++)
      for (int64_t context = 0; context <= 2; context += 2) {
        chain(&m, nets[n], 43, 2, context, real_bytes);
        for (int64_t l = 0; l < m.leaves.n; l++) /* a start's size, so that 43 columns do not amplify */
          for (int64_t i = 0; i < m.leaves.leaf[l].count; i++)
            rh_values_set(&m.leaves, &m.values, (int)l, i, 0.25 * rh_values_get(&m.leaves, &m.values, (int)l, i));
        check_inverse(&m, real_bytes == 8 ? 1e-10 : 2e-4);
        drop(&m);
      }
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(masks), cmocka_unit_test(by_hand), cmocka_unit_test(inverses)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
