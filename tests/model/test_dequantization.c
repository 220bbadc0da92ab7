/* Whole numbers under densities: bits/dim where they can be known, and the bound beside the exact probability. */
#define _XOPEN_SOURCE 700
#include "model/toy.h"

static rh_scorer *scorer_of(const rh_model *m, rh_scorer_options o) {
  rh_scorer *s;
  toy_ok(rh_scorer_create(m->flow, &m->values, &o, &s));
  return s;
}

static double bits_per_dim(double log_prob, int64_t d) {
  return -log_prob / (double)d / log(2);
}

static double phi(double z) {
  return erfc(-z / sqrt(2)) / 2;
}

/* ---- uniform data under the uniform density: as many bits as there are ---- */

#define UNIFORM(preprocess, low, high)                                           \
  "{\"columns\":12,\"preprocess\":[" preprocess                                  \
  "],\"flow\":{\"type\":\"chain\",\"parts\":[]},\"base\":{\"type\":\"uniform\"," \
  "\"low\":" low ",\"high\":" high "}}"
#define VARIATIONAL(options) "{\"type\":\"variational_dequantize\",\"shape\":[2,2,3]," options "\"net\":{\"hidden\":4}}"

static const struct {
  const char *spec;
  double bits;
} uniform[] = {
    {UNIFORM("{\"type\":\"dequantize\",\"levels\":256}", "0", "256"), 8},
    {UNIFORM("{\"type\":\"dequantize\"},{\"type\":\"standardize\",\"mean\":128,\"scale\":256}", "-0.5", "0.5"), 8},
    {UNIFORM("{\"type\":\"quantize\",\"bits\":5},{\"type\":\"dequantize\",\"levels\":32}", "0", "32"), 5},
    {UNIFORM("{\"type\":\"quantize\",\"bits\":1},{\"type\":\"dequantize\",\"levels\":2},{\"type\":\"standardize\",\"mean\":1,\"scale\":2}",
             "-0.5", "0.5"),
     1},
    {UNIFORM(VARIATIONAL(""), "0", "256"), 8},
    {UNIFORM("{\"type\":\"quantize\",\"bits\":3}," VARIATIONAL("\"levels\":8,"), "0", "8"), 3},
};

static void uniform_data_cost_all_bits(void **state) {
  (void)state;
  enum { ROWS = 300, D = 12 };
  double *x = rh_alloc(ROWS * D * sizeof *x), lp[ROWS];
  const rh_rng rng = rh_rng_at(3, 0, 0, RH_STREAM_TEST);
  for (int64_t i = 0; i < ROWS * D; i++) x[i] = (double)(i < 256 ? (uint64_t)i : rh_rng_below(&rng, i, 256));
  const rh_dense_rows dense = {ROWS, D, x};
  const rh_rows rows = rh_rows_dense(&dense);
  for (size_t i = 0; i < RH_COUNT_OF(uniform); i++)
    for (int real = 4; real <= 8; real += 4)
      for (int64_t draws = 1; draws <= 5; draws += 4) {
        rh_model *m = toy_model(uniform[i].spec, real, 1);
        rh_scorer *s = scorer_of(m, (rh_scorer_options){.threads = 2, .draws = draws});
        toy_ok(rh_score(s, &rows, 0, ROWS, lp));
        for (int r = 0; r < ROWS; r++) {
          const double bits = bits_per_dim(lp[r], D);
          if (!(fabs(bits - uniform[i].bits) < (real == 8 ? 1e-13 : 2e-6))) fail_msg("%s: %.17g bits", uniform[i].spec, bits);
        }
        rh_scorer_destroy(s);
        rh_model_destroy(m);
      }
  rh_free(x);
}

/* ---- one number of few levels, under logit and a normal density: its probabilities have a closed form ---- */

enum { LEVELS = 6 };
#define ONE(dequantize)                                                            \
  "{\"columns\":1,\"preprocess\":[" dequantize                                     \
  ",{\"type\":\"logit\",\"alpha\":0.05,\"low\":0,\"high\":6}],\"flow\":{\"type\":" \
  "\"chain\",\"parts\":[{\"type\":\"standardize\",\"mean\":0.4,\"scale\":0.7}]},\"base\":{\"type\":\"normal\"}}"

static double probability(int level) {
  double at[2];
  for (int i = 0; i < 2; i++) {
    const double p = 0.05 + 0.9 * (level + i) / LEVELS;
    at[i] = phi((log(p / (1 - p)) - 0.4) / 0.7);
  }
  return at[1] - at[0];
}

static rh_model *one_of(const char *spec) {
  rh_model *m = toy_model(spec, 8, 1);
  for (int64_t l = 0; l < m->flow->leaves.n; l++) /* away from the start, where q is uniform */
    for (int64_t i = 0; i < m->flow->leaves.leaf[l].count && m->flow->leaves.leaf[l].klass == RH_PARAM; i++)
      rh_values_set(&m->flow->leaves, &m->values, (int)l, i,
                    rh_values_get(&m->flow->leaves, &m->values, (int)l, i) + 0.4 * sin((double)(7 * l + 3 * i)));
  return m;
}

static const char *const ones[] = {ONE("{\"type\":\"dequantize\",\"levels\":6}"),
                                   ONE("{\"type\":\"variational_dequantize\",\"shape\":[1,1,1],\"levels\":6,\"net\":{\"hidden\":3}}")};

/* Over many seeds the mean of K draws' log of the mean weight rises with K, stays below the exact value, and comes to it (Burda et al.
 * 2016, theorem 1): within what the spread of the mean leaves open. */
static void draws_come_to_the_exact_value_from_below(void **state) {
  (void)state;
  enum { SEEDS = 400, COUNTS = 4 };
  static const int64_t draws[COUNTS] = {1, 3, 10, 40};
  double x[LEVELS], lp[LEVELS];
  for (int k = 0; k < LEVELS; k++) x[k] = k;
  const rh_dense_rows dense = {LEVELS, 1, x};
  const rh_rows rows = rh_rows_dense(&dense);
  for (size_t i = 0; i < RH_COUNT_OF(ones); i++) {
    rh_model *m = one_of(ones[i]);
    double gap[COUNTS] = {0};
    for (int c = 0; c < COUNTS; c++) {
      double sum[LEVELS] = {0}, squares[LEVELS] = {0};
      for (uint64_t seed = 0; seed < SEEDS; seed++) {
        rh_scorer *s = scorer_of(m, (rh_scorer_options){.threads = 1, .draws = draws[c], .seed = seed});
        toy_ok(rh_score(s, &rows, 0, LEVELS, lp));
        for (int k = 0; k < LEVELS; k++) sum[k] += lp[k], squares[k] += lp[k] * lp[k];
        rh_scorer_destroy(s);
      }
      for (int k = 0; k < LEVELS; k++) {
        const double mean = sum[k] / SEEDS, error = sqrt(fmax(squares[k] / SEEDS - mean * mean, 0) / (SEEDS - 1));
        const double exact = log(probability(k));
        if (!(mean <= exact + 4 * error)) fail_msg("level %d, %d draws: %g is above %g", k, (int)draws[c], mean, exact);
        gap[c] += (exact - mean) * probability(k);
      }
    }
    for (int c = 1; c < COUNTS; c++) assert_true(gap[c] < gap[c - 1]);
    assert_true(gap[0] > 0.01 && gap[COUNTS - 1] < gap[0] / 10);
    rh_model_destroy(m);
  }
}

/* One estimate of very many draws is the exact value, and the levels' probabilities are those that the logit's range leaves. */
static void many_draws_are_exact(void **state) {
  (void)state;
  enum { DRAWS = 200000 };
  double x[LEVELS], lp[LEVELS];
  for (int k = 0; k < LEVELS; k++) x[k] = k;
  const rh_dense_rows dense = {LEVELS, 1, x};
  const rh_rows rows = rh_rows_dense(&dense);
  for (size_t i = 0; i < RH_COUNT_OF(ones); i++) {
    rh_model *m = one_of(ones[i]);
    rh_scorer *s = scorer_of(m, (rh_scorer_options){.threads = 2, .draws = DRAWS});
    double total = 0, all = 0;
    toy_ok(rh_score(s, &rows, 0, LEVELS, lp));
    for (int k = 0; k < LEVELS; k++) {
      assert_true(fabs(lp[k] - log(probability(k))) < 0.01); /* weights vary by less than their mean: 4 / sqrt(DRAWS) */
      total += exp(lp[k]), all += probability(k);
    }
    assert_true(fabs(total - all) < 0.005 && all < 1);
    rh_scorer_destroy(s);
    rh_model_destroy(m);
  }
}

/* ---- estimated traces beside the noise of cells ---- */

#define AFFINE_FLOW(trace)                                                                                                          \
  "\"flow\":{\"type\":\"chain\",\"parts\":[{\"type\":\"cnf\",\"solver\":\"rk4\",\"steps\":8,\"trace\":\"hutchinson\",\"probes\":3," \
  "\"exact_columns\":" trace ",\"field\":{\"type\":\"time_mlp\",\"hidden\":[]}}]},\"base\":{\"type\":\"normal\"}"
#define CELLS        "\"preprocess\":[{\"type\":\"dequantize\",\"columns\":[{\"column\":1,\"step\":0.5,\"offset\":0}]}]"
#define TWO(trace)   "{\"columns\":2," CELLS "," AFFINE_FLOW(trace) "}"
#define MIXED(trace) "{\"columns\":2,\"weights\":[1],\"mixture\":[{" CELLS "," AFFINE_FLOW(trace) "}]}"

static rh_model *affine_of(const char *spec, int real_bytes) {
  static const double a[4] = {0.4, 1.1, -0.7, 0.3};
  rh_model *m = toy_model(spec, real_bytes, 1);
  for (int64_t l = 0; l < m->flow->leaves.n; l++)
    for (int64_t i = 0; i < 4 && m->flow->leaves.leaf[l].count == 4; i++) rh_values_set(&m->flow->leaves, &m->values, (int)l, i, a[i]);
  return m;
}

/* Of an affine field x' = A x an estimate is off by T (e'Ae - tr A), wherever in its cell a row lies: with one e for all draws that is
 * what the average over them is off by, too, to the bit but for rounding; one for each would make it too high. */
static void draws_share_their_row_s_probes(void **state) {
  (void)state;
  enum { ROWS = 5, COUNTS = 3 };
  static const int64_t draws[COUNTS] = {1, 16, 20001}; /* the last are several chunks a row */
  static const char *const specs[][2] = {{TWO("-1"), TWO("8")}, {MIXED("-1"), MIXED("8")}};
  static const double x[ROWS * 2] = {0.3, 0, -1.2, 0.5, 0.8, 1, 2.1, -0.5, -0.4, 1.5};
  const rh_dense_rows dense = {ROWS, 2, x};
  const rh_rows rows = rh_rows_dense(&dense);
  for (int k = 0; k < 2 * (int)RH_COUNT_OF(specs); k++) {
    const int real = k % 2 ? 8 : 4;
    double off[COUNTS][ROWS], most = 0;
    for (int c = 0; c < COUNTS; c++) {
      double lp[2][ROWS];
      for (int exact = 0; exact < 2; exact++) {
        rh_model *m = affine_of(specs[k / 2][exact], real);
        rh_scorer *s = scorer_of(m, (rh_scorer_options){.threads = 2, .draws = draws[c], .seed = 3});
        assert_true(m->flow->drawn == 1 && m->flow->noise == 7 && m->flow->scoring_noise == (exact ? 1 : 7));
        toy_ok(rh_score(s, &rows, 0, ROWS, lp[exact]));
        rh_scorer_destroy(s);
        rh_model_destroy(m);
      }
      for (int r = 0; r < ROWS; r++) off[c][r] = lp[0][r] - lp[1][r], most = fmax(most, fabs(off[c][r]));
      for (int r = 0; r < ROWS; r++) assert_true(fabs(off[c][r] - off[0][r]) < (real == 8 ? 1e-12 : 1e-5));
    }
    assert_true(most > 0.1);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(uniform_data_cost_all_bits),
      cmocka_unit_test(draws_come_to_the_exact_value_from_below),
      cmocka_unit_test(many_draws_are_exact),
      cmocka_unit_test(draws_share_their_row_s_probes),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
