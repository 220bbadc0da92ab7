/* Scoring: a row's result is its own: alone, anywhere in a batch, on any number of threads, in any number of draws. */
#define _XOPEN_SOURCE 700
#include "model/specs.h"
#include "model/toy.h"

enum { N = 1000 };

static rh_scorer *scorer_of(const rh_model *m, rh_scorer_options o) {
  rh_scorer *s;
  toy_ok(rh_scorer_create(m->flow, &m->values, &o, &s));
  return s;
}

/* A model whose parameters are not those of the identity. */
static rh_model *shaken(const char *spec, int real_bytes) {
  rh_model *m = toy_model(spec, real_bytes, 1);
  const rh_leaves *leaves = &m->flow->leaves;
  double z[2];
  for (int64_t l = 0; l < leaves->n; l++)
    for (int64_t i = 0; i < leaves->leaf[l].count && leaves->leaf[l].klass == RH_PARAM; i++) {
      toy_normals((uint64_t)(l * 10007 + i), 2, z);
      rh_values_set(leaves, &m->values, (int)l, i, rh_values_get(leaves, &m->values, (int)l, i) + 0.1 * z[0]);
    }
  return m;
}

static void rows_do_not_see_each_other(void **state) {
  (void)state;
  static const char *const specs[] = {SPEC_COUPLING, SPEC_NOISY, SPEC_MASKED};
  toy *t = toy_make(1, N, 3);
  for (size_t i = 0; i < RH_COUNT_OF(specs); i++)
    for (int64_t draws = 1; draws <= 5; draws += 4)
      for (int real = 4; real <= 8; real += 4) {
        rh_model *m = shaken(specs[i], real);
        rh_scorer *one = scorer_of(m, (rh_scorer_options){.threads = 1, .draws = draws, .seed = 9});
        rh_scorer *three = scorer_of(m, (rh_scorer_options){.threads = 3, .draws = draws, .seed = 9});
        double all[N], some[N], z[N * 3], zs[3], ladj[N], l;
        toy_ok(rh_score(one, &t->rows, 0, N, all));
        toy_ok(rh_score(three, &t->rows, 0, N, some));
        assert_memory_equal(all, some, sizeof all);
        toy_ok(rh_encode(three, &t->rows, 0, N, z, ladj));
        for (int64_t r = 0; r < N; r += 37) {
          toy_ok(rh_score(three, &t->rows, r, 1, some));
          assert_memory_equal(some, all + r, sizeof *some);
          toy_ok(rh_encode(one, &t->rows, r, 1, zs, &l));
          assert_memory_equal(zs, z + 3 * r, sizeof zs);
          assert_memory_equal(&l, ladj + r, sizeof l);
          const int64_t n = N - r < 7 ? N - r : 7; /* in another order of a file: the row's number is not its noise */
          const rh_dense_rows part = {n, 3, t->data + 3 * r};
          const rh_rows rows = rh_rows_dense(&part);
          toy_ok(rh_score(one, &rows, 0, n, some));
          assert_memory_equal(some, all + r, (size_t)n * sizeof *some);
        }
        rh_scorer_destroy(one);
        rh_scorer_destroy(three);
        rh_model_destroy(m);
      }
  toy_free(t);
}

static void codes_decode_to_their_rows(void **state) {
  (void)state;
  toy *t = toy_make(1, N, 3);
  rh_model *m = shaken(SPEC_COUPLING, 8);
  rh_scorer *s = scorer_of(m, (rh_scorer_options){.threads = 2});
  double z[N * 3], x[N * 3], a[N], b[N];
  toy_ok(rh_encode(s, &t->rows, 0, N, z, a));
  const rh_dense_rows dense = {N, 3, z};
  const rh_rows codes = rh_rows_dense(&dense);
  toy_ok(rh_decode(s, &codes, 0, N, x, b));
  for (int i = 0; i < 3 * N; i++) assert_true(fabs(x[i] - t->data[i]) < 1e-10 * (1 + fabs(x[i])));
  for (int i = 0; i < N; i++) assert_true(fabs(a[i] + b[i]) < 1e-10);
  rh_scorer_destroy(s);
  rh_model_destroy(m);
  toy_free(t);
}

static void samples_are_numbered(void **state) {
  (void)state;
  rh_model *m = shaken(SPEC_COUPLING, 8);
  rh_scorer *one = scorer_of(m, (rh_scorer_options){.threads = 1, .seed = 5}),
            *two = scorer_of(m, (rh_scorer_options){.threads = 2, .seed = 5});
  rh_scorer *other = scorer_of(m, (rh_scorer_options){.threads = 2, .seed = 6});
  static double x[N * 3], y[N * 3], lp[N], again[N];
  toy_ok(rh_sample(one, NULL, 0, N, x, lp));
  toy_ok(rh_sample(two, NULL, 0, N, y, NULL));
  assert_memory_equal(x, y, sizeof x);
  toy_ok(rh_sample(two, NULL, 123, 10, y, again));
  assert_memory_equal(x + 3 * 123, y, 30 * sizeof *y);
  assert_memory_equal(lp + 123, again, 10 * sizeof *y);
  toy_ok(rh_sample(other, NULL, 0, N, y, NULL));
  assert_true(memcmp(x, y, sizeof x) != 0);
  const rh_dense_rows dense = {N, 3, x};
  const rh_rows rows = rh_rows_dense(&dense);
  toy_ok(rh_score(one, &rows, 0, N, again)); /* the samples' own log-density */
  for (int i = 0; i < N; i++) assert_true(fabs(lp[i] - again[i]) < 1e-9 * (1 + fabs(lp[i])));
  rh_scorer_destroy(one);
  rh_scorer_destroy(two);
  rh_scorer_destroy(other);
  rh_model_destroy(m);
}

/* K draws are the log of the mean of K importance weights, each drawn on its own: by hand, from a plan that sees every row K times. */
static void draws_are_averaged_as_weights(void **state) {
  (void)state;
  enum { K = 7, ROWS = 20 };
  toy *t = toy_make(1, ROWS, 3);
  rh_model *m = shaken(SPEC_NOISY, 8);
  rh_scorer *s = scorer_of(m, (rh_scorer_options){.threads = 2, .draws = K, .seed = 31});
  double lp[ROWS], w[ROWS * K];
  toy_ok(rh_score(s, &t->rows, 0, ROWS, lp));
  rh_graph g;
  toy_ok(rh_graph_init(&g, &m->flow->leaves));
  const rh_val x = rh_input(&g, rh_shape1(3)), noise = rh_input(&g, rh_shape1(m->flow->noise));
  const rh_val out = rh_flow_log_prob(m->flow, &g, x, RH_NONE, noise);
  toy_ok(rh_graph_status(&g));
  rh_plan *plan;
  rh_work *work;
  rh_pool *pool;
  toy_ok(rh_plan_create(&g, 1, &out, 0, NULL, &(rh_plan_options){.real_bytes = 8}, &plan));
  toy_ok(rh_pool_create(1, &pool));
  toy_ok(rh_work_create(plan, 1, &work));
  const int64_t wide = m->flow->noise, even = (wide + 1) / 2 * 2;
  double *xs = rh_alloc(ROWS * K * 3 * sizeof *xs), *us = rh_alloc((size_t)(ROWS * K * wide) * sizeof *us);
  for (int i = 0; i < ROWS * K; i++) {
    const double *row = t->data + i / K * 3;
    memcpy(xs + 3 * i, row, 3 * sizeof *xs);
    const rh_rng rng = rh_rng_at(31, 0, rh_hash64(row, 3 * sizeof *row), RH_STREAM_NOISE);
    rh_rng_uniform(&rng, i % K * even, wide, us + i * wide);
  }
  const rh_dense_input in[2] = {{xs, 3 * 8}, {us, wide * 8}};
  rh_run(
      plan, work, pool,
      &(rh_run_io){.values = &m->values, .rows = ROWS * K, .load = rh_load_dense, .arg = (void *)(uintptr_t)in, .row_out = (void *[]){w}});
  for (int r = 0; r < ROWS; r++) {
    double sum = 0;
    for (int k = 0; k < K; k++) sum += exp(w[r * K + k] - w[r * K]) / K;
    assert_true(fabs(lp[r] - (w[r * K] + log(sum))) < 1e-12 * (1 + fabs(lp[r])));
    assert_true(w[r * K] != w[r * K + 1]);
  }
  rh_free(xs);
  rh_free(us);
  rh_work_destroy(work);
  rh_plan_destroy(plan);
  rh_graph_free(&g);
  rh_pool_destroy(pool);
  rh_scorer_destroy(s);
  rh_model_destroy(m);
  toy_free(t);
}

/* The bound rises towards the exact value (Burda et al. 2016, theorem 1). */
static void draws_raise_the_bound(void **state) {
  (void)state;
  toy *t = toy_make(1, N, 3);
  for (int i = 0; i < N * 3; i++) t->data[i] = floor(2 * t->data[i]);
  rh_model *m = shaken(SPEC_NOISY, 8);
  double mean[3];
  static const int64_t draws[3] = {1, 8, 64};
  for (int k = 0; k < 3; k++) {
    rh_scorer *s = scorer_of(m, (rh_scorer_options){.threads = 2, .draws = draws[k]});
    rh_score_sum sum;
    toy_ok(rh_score_mean(s, &t->rows, &sum));
    assert_int_equal(sum.rows, N);
    mean[k] = sum.mean;
    rh_scorer_destroy(s);
  }
  assert_true(mean[0] < mean[1] && mean[1] < mean[2]);
  assert_true(mean[2] - mean[1] < mean[1] - mean[0]);
  rh_model_destroy(m);
  toy_free(t);
}

static void summaries_add_up(void **state) {
  (void)state;
  const double x[4] = {1, 2, 4, 9};
  const rh_score_sum s = rh_score_summary(4, x);
  assert_true(s.rows == 4 && s.bad == 0 && s.mean == 4 && s.finite_mean == 4);
  assert_true(fabs(s.stderr_ - sqrt((9. + 4 + 0 + 25) / 3 / 4)) < 1e-15);
  const double y[3] = {1, -INFINITY, 3};
  const rh_score_sum b = rh_score_summary(3, y);
  assert_true(b.rows == 3 && b.bad == 1 && b.mean == -INFINITY && b.finite_mean == 2);
  assert_true(isnan(rh_score_summary(0, NULL).mean));
}

static void wrong_calls_are_errors(void **state) {
  (void)state;
  toy *t = toy_make(1, 10, 3), *narrow = toy_make(1, 10, 2);
  rh_model *m = toy_model(SPEC_COUPLING, 4, 1);
  rh_scorer *s = scorer_of(m, (rh_scorer_options){.threads = 1});
  double x[30];
  assert_int_equal(rh_score(s, &narrow->rows, 0, 1, x), RH_E_SHAPE);
  assert_int_equal(rh_score(s, &t->rows, 5, 6, x), RH_E_ARGUMENT);
  assert_int_equal(rh_score(s, &t->rows, -1, 2, x), RH_E_ARGUMENT);
  toy_ok(rh_score(s, &t->rows, 10, 0, x));
  rh_scorer_destroy(s);
  s = NULL;
  const rh_scorer_options bad[] = {{.real_bytes = 2},    {.draws = -1},   {.temperature = -1},
                                   {.temperature = NAN}, {.threads = -2}, {.isa = "v99"}};
  for (size_t i = 0; i < RH_COUNT_OF(bad); i++) {
    rh_status status = rh_scorer_create(m->flow, &m->values, &bad[i], &s);
    if (status == RH_OK) status = rh_score(s, &t->rows, 0, 1, x);
    assert_int_not_equal(status, RH_OK);
    if (bad[i].isa) rh_scorer_destroy(s);
  }
  rh_model_destroy(m);
  toy_free(t);
  toy_free(narrow);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(rows_do_not_see_each_other),    cmocka_unit_test(codes_decode_to_their_rows), cmocka_unit_test(samples_are_numbered),
      cmocka_unit_test(draws_are_averaged_as_weights), cmocka_unit_test(draws_raise_the_bound),      cmocka_unit_test(summaries_add_up),
      cmocka_unit_test(wrong_calls_are_errors),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
