/* Masked networks: the sweep's inverse is that of the textbook, which runs the whole network once a column. (What they compute, and what
 * may not depend on what, is held by tests/laws/test_networks.c.) */
#include "net/masked.h"
#include "support/probe.h"

enum { MOST = 48 };

typedef struct masked {
  rh_leaves leaves;
  rh_values values;
  rh_masked_net *net;
  int64_t columns, context;
} masked;

static void shake(masked *m) {
  for (int64_t l = 0; l < m->leaves.n; l++) {
    const int64_t n = m->leaves.leaf[l].count;
    double *x = probe_random(n, 7 + (uint64_t)l, -0.5, 0.5);
    for (int64_t i = 0; i < n; i++) rh_values_set(&m->leaves, &m->values, (int)l, i, x[i]);
    free(x);
  }
}

/* Two numbers a column, each column a level of its own. */
static void chain(masked *m, const char *spec, int64_t d, int64_t context, int real_bytes) {
  int64_t end[MOST];
  json_t *json;
  *m = (masked){.columns = d, .context = context};
  for (int64_t i = 0; i < d; i++) end[i] = i + 1;
  const rh_causal causal = {d, d, end, NULL};
  PROBE_OK(rh_json_parse(spec, strlen(spec), "net", &json));
  const rh_build build = {&m->leaves, "n", context};
  PROBE_OK(rh_masked_create(&build, json, "net", &causal, 2, &m->net));
  json_decref(json);
  PROBE_OK(rh_values_create(&m->leaves, real_bytes, &m->values));
  shake(m);
}
static void drop(masked *m) {
  rh_masked_destroy(m->net);
  rh_values_free(&m->values);
  rh_leaves_free(&m->leaves);
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
  const int64_t d = m->columns;
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
  const int64_t d = m->columns;
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
        chain(&m, nets[n], 43, context, real_bytes);
        for (int64_t l = 0; l < m.leaves.n; l++) /* a start's size, so that 43 columns do not amplify */
          for (int64_t i = 0; i < m.leaves.leaf[l].count; i++)
            rh_values_set(&m.leaves, &m.values, (int)l, i, 0.25 * rh_values_get(&m.leaves, &m.values, (int)l, i));
        check_inverse(&m, real_bytes == 8 ? 1e-10 : 2e-4);
        drop(&m);
      }
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(inverses)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
