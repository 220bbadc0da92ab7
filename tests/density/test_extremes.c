/* Numerics of whole flows: rows far outside of every box, exact knots, and many layers in float32. */
#define _XOPEN_SOURCE 700
#include "base/memory.h"
#include "density/flow.h"
#include "support/probe.h"

enum { D = 3 };
static const char *const archs[] = {"realnvp", "nice", "maf", "iaf", "nsf", "nsf-coupling"};

typedef struct rig {
  rh_flow *flow;
  rh_values values;
} rig;

static rig make(const char *arch, const char *options, int64_t columns, int real_bytes, double shake) {
  json_t *set = NULL, *spec = NULL;
  rig r;
  PROBE_OK(rh_json_parse(options, strlen(options), "test", &set));
  PROBE_OK(rh_arch_spec(arch, set, &(rh_arch_size){columns, 0, 0, {0}, 0}, NULL, &spec, NULL));
  PROBE_OK(rh_flow_create(spec, &r.flow));
  json_decref(set);
  json_decref(spec);
  const rh_leaves *leaves = &r.flow->leaves;
  PROBE_OK(rh_values_create(leaves, real_bytes, &r.values));
  rh_values_init(leaves, 1, &r.values);
  for (int l = 0; l < leaves->n; l++) {
    double *x = probe_random(leaves->leaf[l].count, 70 + (uint64_t)l, -shake, shake);
    for (int64_t i = 0; i < leaves->leaf[l].count && leaves->leaf[l].klass == RH_PARAM; i++)
      rh_values_set(leaves, &r.values, l, i, (float)(rh_values_get(leaves, &r.values, l, i) + x[i]));
    free(x);
  }
  return r;
}

static void drop(rig *r) {
  rh_values_free(&r->values);
  rh_flow_destroy(r->flow);
}

static void both_ways(const rig *r, bool encode, int64_t rows, int64_t d, const double *x, double *y, double *ladj) {
  rh_graph g;
  PROBE_OK(rh_graph_init(&g, &r->flow->leaves));
  const rh_val in = rh_input(&g, rh_shape1(d));
  rh_val out, l;
  (encode ? rh_flow_encode(r->flow, &g, in, RH_NONE, RH_NONE, &out, &l) : rh_flow_decode(r->flow, &g, in, RH_NONE, &out, &l));
  PROBE_OK(rh_graph_status(&g));
  if (!rh_is_row(&g, l)) l = rh_add(&g, rh_fill(&g, rh_shape1(1), 0), l);
  probe p = {.g = &g, .values = &r->values, .real_bytes = r->values.real_bytes, .rows = rows, .input = {x}, .n_row = 2};
  p.row_val[0] = out, p.row_out[0] = y, p.row_val[1] = l, p.row_out[1] = ladj;
  probe_run(&p);
  rh_graph_free(&g);
}

/* log p of each row, and the gradients of its sum by every parameter. -> how many of these are not finite. */
static int64_t step(const rig *r, int64_t rows, const double *x, double *log_prob) {
  const rh_leaves *leaves = &r->flow->leaves;
  rh_graph g;
  PROBE_OK(rh_graph_init(&g, leaves));
  const rh_val in = rh_input(&g, rh_shape1(r->flow->columns)), out = rh_flow_log_prob(r->flow, &g, in, RH_NONE, RH_NONE);
  rh_val leaf[PROBE_MAX], grad[PROBE_MAX];
  int n = 0;
  int64_t bad = 0;
  for (int l = 0; l < leaves->n && n < PROBE_MAX; l++)
    if (leaves->leaf[l].klass == RH_PARAM) leaf[n++] = rh_leaf_val(&g, l);
  PROBE_OK(rh_vjp(&g, 1, &out, NULL, n, leaf, grad, RH_KEEP));
  PROBE_OK(rh_graph_status(&g));
  probe p = {.g = &g, .values = &r->values, .real_bytes = r->values.real_bytes, .rows = rows, .input = {x}, .n_row = 1};
  p.row_val[0] = out, p.row_out[0] = log_prob;
  for (int i = 0; i < n; i++)
    if (!rh_is_none(grad[i])) p.param_val[p.n_param] = grad[i], p.param_out[p.n_param++] = malloc((size_t)rh_count(&g, grad[i]) * 8);
  probe_run(&p);
  for (int i = 0; i < p.n_param; i++) {
    for (int64_t k = 0; k < rh_count(&g, p.param_val[i]); k++) bad += !isfinite(p.param_out[i][k]);
    free(p.param_out[i]);
  }
  rh_graph_free(&g);
  return bad;
}

/* Splines alone: far outside of the box they are the identity, so a row's density is the base's, and no parameter feels it. */
static void far_outside_of_the_box(void **state) {
  (void)state;
  static const double far[][D] = {{1e30, -1e30, 1e30}, {-1e30, 0.5, 1}, {0.1, 1e30, -0.2}, {5, -5, 5}, {0, 0, 0}, {1e15, 1e-30, -1e15}};
  enum { N = sizeof far / sizeof *far };
  for (int a = 4; a < 6; a++)
    for (int real = 4; real <= 8; real += 4) {
      rig r = make(archs[a], "{\"layers\":2,\"hidden\":[8],\"lu\":false,\"init\":\"scaled\",\"base\":\"normal\"}", D, real, 0.3);
      double lp[N], z[N * D], ladj[N], x[N * D], back[N];
      assert_int_equal(step(&r, N, &far[0][0], lp), 0);
      both_ways(&r, true, N, D, &far[0][0], z, ladj);
      both_ways(&r, false, N, D, z, x, back);
      for (int i = 0; i < N; i++) {
        assert_false(isnan(lp[i]));
        assert_true(isfinite(ladj[i]) && isfinite(back[i]));
        assert_true(i < 3 || i == 5 ? lp[i] < -1e25 : isfinite(lp[i]));
        for (int j = 0; j < D; j++) {
          const double want = real == 4 ? (double)(float)far[i][j] : far[i][j];
          assert_true(fabs(want) > 5 ? z[i * D + j] == want && x[i * D + j] == want : isfinite(x[i * D + j]));
        }
      }
      assert_true(ladj[0] == 0 && back[0] == 0);
      drop(&r);
    }
}

/* At the ends of the box and just beside them, both ways: continuous, and the identity at the ends themselves. */
static void ends_of_the_box(void **state) {
  (void)state;
  for (int a = 4; a < 6; a++)
    for (int real = 4; real <= 8; real += 4) {
      rig r = make(archs[a], "{\"layers\":1,\"hidden\":[8],\"lu\":false,\"init\":\"scaled\",\"box\":2}", D, real, 0.5);
      const double eps = real == 4 ? 2.4e-7 : 4.5e-16;
      double x[6 * D], y[6 * D], ladj[6], back[6 * D], other[6];
      for (int i = 0; i < 6; i++)
        for (int j = 0; j < D; j++) x[i * D + j] = (i < 3 ? -2 : 2) * (1 + (i % 3 - 1) * eps);
      both_ways(&r, true, 6, D, x, y, ladj);
      both_ways(&r, false, 6, D, y, back, other);
      for (int i = 0; i < 6 * D; i++) {
        assert_true(fabs(y[i] - x[i]) <= 40 * eps && fabs(back[i] - x[i]) <= 40 * eps * 1e3); /* a slope is 1e-3 at least */
        if (i / D % 3 == 1) assert_true(y[i] == x[i]);
      }
      for (int i = 0; i < 6; i++) assert_true(isfinite(ladj[i]) && isfinite(other[i]));
      drop(&r);
    }
}

/* 64 layers in float32: back to within 50 eps, times how much the inverse magnifies an error of the codes, measured in float64. */
static void many_layers_in_float32(void **state) {
  (void)state;
  enum { N = 64 };
  static const double eps = 1.1920929e-7;
  for (int a = 0; a < 6; a++) {
    static const char options[] = "{\"layers\":64,\"hidden\":[8],\"init\":\"small\"}";
    rig one = make(archs[a], options, D, 4, 0.03), two = make(archs[a], options, D, 8, 0.03);
    double *x = probe_random(N * D, 3, -2.5, 2.5), z[N * D], ladj[N], back[N * D], other[N], moved[N * D], exact[N * D], worst = 0;
    for (int i = 0; i < N * D; i++) x[i] = (float)x[i];
    both_ways(&one, true, N, D, x, z, ladj);
    both_ways(&one, false, N, D, z, back, other);
    double condition[N];
    for (int i = 0; i < N; i++) condition[i] = 1;
    both_ways(&two, false, N, D, z, exact, other);
    for (int j = 0; j < D; j++) {
      double shifted[N * D], unused[N];
      memcpy(shifted, z, sizeof shifted);
      for (int i = 0; i < N; i++) shifted[i * D + j] += 1e-7;
      both_ways(&two, false, N, D, shifted, moved, unused);
      for (int i = 0; i < N; i++)
        for (int k = 0; k < D; k++)
          condition[i] = fmax(condition[i], fabs(moved[i * D + k] - exact[i * D + k]) / 1e-7 * fmax(1, fabs(z[i * D + j])));
    }
    for (int i = 0; i < N * D; i++) {
      const double off = fabs(back[i] - x[i]) / (eps * condition[i / D] * fmax(1, fabs(x[i])));
      if (!(off <= worst)) worst = off;
    }
    print_message("%s: 64 layers in float32: %.1f eps x condition (most %.1f)\n", archs[a], worst, condition[0]);
    assert_true(worst < 50);
    for (int i = 0; i < N; i++) assert_true(isfinite(ladj[i]));
    free(x);
    drop(&one);
    drop(&two);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(far_outside_of_the_box), cmocka_unit_test(ends_of_the_box),
                                     cmocka_unit_test(many_layers_in_float32)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
