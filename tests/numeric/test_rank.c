/* Ranks: cases worked by hand, ties, infinities, invariance, and the promise of conformal p-values. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/memory.h"
#include "base/rng.h"
#include "numeric/rank.h"

static double auroc(int64_t n, const double *score, const unsigned char *label) {
  double value = -1;
  assert_int_equal(rh_rank_auroc(n, score, label, &value), RH_OK);
  return value;
}

static double average(int64_t n, const double *score, const unsigned char *label) {
  double value = -1;
  assert_int_equal(rh_rank_average_precision(n, score, label, &value), RH_OK);
  return value;
}

#define ASSERT_EXACT(a, b) assert_true((a) == (b))

static void by_hand(void **state) {
  (void)state;
  /* The example of scikit-learn's manual: ranks 1 0.8, 0 0.4, 1 0.35, 0 0.1. */
  ASSERT_EXACT(auroc(4, (double[]){0.1, 0.4, 0.35, 0.8}, (unsigned char[]){0, 0, 1, 1}), 0.75);
  assert_true(fabs(average(4, (double[]){0.1, 0.4, 0.35, 0.8}, (unsigned char[]){0, 0, 1, 1}) - (0.5 * 1 + 0.5 * 2 / 3)) < 1e-15);
  ASSERT_EXACT(auroc(3, (double[]){3, 2, 1}, (unsigned char[]){1, 0, 0}), 1.0);
  ASSERT_EXACT(average(3, (double[]){3, 2, 1}, (unsigned char[]){1, 0, 0}), 1.0);
  ASSERT_EXACT(auroc(3, (double[]){1, 2, 3}, (unsigned char[]){1, 0, 0}), 0.0);
  assert_true(fabs(average(3, (double[]){1, 2, 3}, (unsigned char[]){1, 0, 0}) - 1.0 / 3) < 1e-15);
}

static void ties(void **state) {
  (void)state;
  ASSERT_EXACT(auroc(4, (double[]){1, 1, 1, 1}, (unsigned char[]){0, 1, 0, 1}), 0.5);
  ASSERT_EXACT(average(4, (double[]){1, 1, 1, 1}, (unsigned char[]){0, 1, 0, 1}), 0.5);
  ASSERT_EXACT(average(4, (double[]){1, 1, 1, 1}, (unsigned char[]){0, 1, 0, 0}), 0.25);
  /* 3: one anomaly; 2: one of each; 1: a normal row. Pairs: (3,2) (3,1) (2,1) right, (2,2) tied: 3.5 of 4. */
  ASSERT_EXACT(auroc(4, (double[]){2, 3, 1, 2}, (unsigned char[]){0, 1, 0, 1}), 0.875);
  assert_true(fabs(average(4, (double[]){2, 3, 1, 2}, (unsigned char[]){0, 1, 0, 1}) - (0.5 * 1 + 0.5 * 2 / 3)) < 1e-15);
  ASSERT_EXACT(auroc(3, (double[]){INFINITY, -INFINITY, INFINITY}, (unsigned char[]){1, 0, 0}), 0.75);
  ASSERT_EXACT(auroc(2, (double[]){0.0, -0.0}, (unsigned char[]){1, 0}), 0.5);
}

static void one_class_has_no_area(void **state) {
  (void)state;
  assert_true(isnan(auroc(2, (double[]){1, 2}, (unsigned char[]){0, 0})));
  assert_true(isnan(auroc(2, (double[]){1, 2}, (unsigned char[]){1, 1})));
  assert_true(isnan(auroc(0, (double[]){0}, (unsigned char[]){0})));
  assert_true(isnan(average(2, (double[]){1, 2}, (unsigned char[]){0, 0})));
  ASSERT_EXACT(average(2, (double[]){1, 2}, (unsigned char[]){1, 1}), 1.0);
}

enum { N = 400 };

/* Against the definition, pair by pair and threshold by threshold, on many ties; a monotone map changes nothing. */
static void against_the_definition(void **state) {
  (void)state;
  for (uint64_t seed = 0; seed < 50; seed++) {
    const rh_rng rng = rh_rng_at(seed, 0, 0, RH_STREAM_TEST);
    double score[N], mapped[N], wins = 0, sum = 0;
    unsigned char label[N];
    int64_t count[2] = {0};
    for (int i = 0; i < N; i++) {
      score[i] = (double)rh_rng_below(&rng, 2 * i, 5 + 20 * seed);
      mapped[i] = exp(0.01 * score[i]) - 3;
      label[i] = rh_rng_below(&rng, 2 * i + 1, 3) == 0;
      count[label[i]]++;
    }
    for (int i = 0; i < N; i++) {
      int64_t above = 0, found = 0;
      for (int j = 0; j < N; j++) {
        if (label[i] && !label[j]) wins += score[i] > score[j] ? 1 : score[i] == score[j] ? 0.5 : 0;
        above += score[j] >= score[i];
        found += score[j] >= score[i] && label[j];
      }
      if (label[i]) sum += (double)found / (double)above;
    }
    assert_true(fabs(auroc(N, score, label) - wins / (double)count[0] / (double)count[1]) < 1e-14);
    assert_true(fabs(average(N, score, label) - sum / (double)count[1]) < 1e-13);
    ASSERT_EXACT(auroc(N, mapped, label), auroc(N, score, label));
    ASSERT_EXACT(average(N, mapped, label), average(N, score, label));
  }
}

static void conformal_by_hand(void **state) {
  (void)state;
  double reference[] = {3, 1, 2, 2};
  rh_rank_sort(4, reference);
  const double score[] = {0, 1, 1.5, 2, 2.5, 3, 4, INFINITY, -INFINITY}, want[] = {5, 5, 4, 4, 2, 2, 1, 1, 5};
  for (int i = 0; i < 9; i++) ASSERT_EXACT(rh_rank_conformal(4, reference, score[i]), want[i] / 5);
  ASSERT_EXACT(rh_rank_conformal(0, reference, 7), 1.0);
}

/* Rows like the reference rows: P(p <= a) is floor(a (n + 1)) / (n + 1). 4,000 references of 19 rows, a = 0.1: a share of 0.1 within 5
 * standard errors. */
static void conformal_keeps_its_promise(void **state) {
  (void)state;
  enum { TRIALS = 4000, ROWS = 19 };
  int flagged = 0;
  for (int t = 0; t < TRIALS; t++) {
    const rh_rng rng = rh_rng_at((uint64_t)t, 1, 0, RH_STREAM_TEST);
    double u[ROWS + 1];
    rh_rng_uniform(&rng, 0, ROWS + 1, u);
    rh_rank_sort(ROWS, u);
    flagged += rh_rank_conformal(ROWS, u, u[ROWS]) <= 0.1;
  }
  assert_true(fabs((double)flagged / TRIALS - 0.1) < 5 * sqrt(0.1 * 0.9 / TRIALS));
}

static int always(void *state) {
  (void)state;
  return 1;
}

static void lost_memory(void **state) {
  (void)state;
  double value = 7;
  rh_alloc_set_hook(always, NULL);
  const rh_status area = rh_rank_auroc(2, (double[]){1, 2}, (unsigned char[]){0, 1}, &value);
  const rh_status precision = rh_rank_average_precision(2, (double[]){1, 2}, (unsigned char[]){0, 1}, &value);
  rh_alloc_set_hook(NULL, NULL);
  assert_int_equal(area, RH_E_MEMORY);
  assert_int_equal(precision, RH_E_MEMORY);
  ASSERT_EXACT(value, 7.0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(by_hand),
      cmocka_unit_test(ties),
      cmocka_unit_test(one_class_has_no_area),
      cmocka_unit_test(against_the_definition),
      cmocka_unit_test(conformal_by_hand),
      cmocka_unit_test(conformal_keeps_its_promise),
      cmocka_unit_test(lost_memory),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
