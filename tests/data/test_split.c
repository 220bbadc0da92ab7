#define _XOPEN_SOURCE 700 /* mkdtemp */
#include "data/split.h"

#include "base/rng.h"
#include "scratch.h"

/* n rows of one column; value(i) says which rows are equal. */
static rh_table *rows_of(const double *values, int64_t n) {
  rh_table *table = NULL;
  assert_int_equal(rh_table_wrap(&(rh_cells){values, RH_CELL_F8, false, n, 1, 8, 8}, NULL, &table), RH_OK);
  return table;
}

/* Every row is in exactly one part, ascending. */
static void assert_partition(const rh_split *split, int64_t n) {
  char *seen = calloc((size_t)n, 1);
  for (int p = 0; p < RH_PARTS; p++) {
    for (int64_t k = 0; k < split->n[p]; k++) {
      assert_true(split->rows[p][k] >= 0 && split->rows[p][k] < n && !seen[split->rows[p][k]]);
      assert_true(k == 0 || split->rows[p][k] > split->rows[p][k - 1]);
      seen[split->rows[p][k]] = 1;
    }
  }
  assert_int_equal(split->n[0] + split->n[1] + split->n[2], n);
  free(seen);
}

static bool same_split(const rh_split *a, const rh_split *b) {
  for (int p = 0; p < RH_PARTS; p++) {
    if (a->n[p] != b->n[p] || memcmp(a->rows[p], b->rows[p], (size_t)a->n[p] * sizeof *a->rows[p]) != 0) return false;
  }
  return true;
}

static void different_rows_split_by_the_fractions(void **state) {
  (void)state;
  enum { N = 1000 };
  double values[N];
  for (int i = 0; i < N; i++) values[i] = i;
  rh_table *table = rows_of(values, N);
  rh_split a = {0}, b = {0}, c = {0};
  assert_int_equal(rh_split_rows(table, 0.1, 0.25, 5, &a), RH_OK);
  assert_partition(&a, N);
  assert_int_equal(a.n[RH_PART_TRAIN], 650);
  assert_int_equal(a.n[RH_PART_VAL], 100);
  assert_int_equal(a.n[RH_PART_TEST], 250);
  for (int i = 0; i < N; i++) values[i] = 3 * i + 1; /* other rows, none equal: the same split */
  assert_int_equal(rh_split_rows(table, 0.1, 0.25, 5, &b), RH_OK);
  assert_true(same_split(&a, &b));
  assert_int_equal(rh_split_rows(table, 0.1, 0.25, 6, &c), RH_OK);
  assert_false(same_split(&a, &c));
  rh_split_free(&b);
  rh_split_free(&c);
  assert_int_equal(rh_split_rows(table, 0, 0, 5, &b), RH_OK);
  assert_int_equal(b.n[RH_PART_TRAIN], N);
  assert_null(b.rows[RH_PART_VAL]);
  rh_split_free(&a);
  rh_split_free(&b);
  rh_split_free(&b); /* {0} is fine */
  rh_table_free(table);
}

/* The test rows of many seeds lie evenly: chi-square of 10 bins over 200 seeds against its 1e-6 quantile (9 degrees of freedom: 47). */
static void splits_are_even(void **state) {
  (void)state;
  enum { N = 500, SEEDS = 200, BINS = 10 };
  double values[N], bin[BINS] = {0}, chi = 0;
  for (int i = 0; i < N; i++) values[i] = i;
  rh_table *table = rows_of(values, N);
  for (uint64_t seed = 0; seed < SEEDS; seed++) {
    rh_split split = {0};
    assert_int_equal(rh_split_rows(table, 0.1, 0.1, seed, &split), RH_OK);
    for (int64_t k = 0; k < split.n[RH_PART_TEST]; k++) bin[split.rows[RH_PART_TEST][k] * BINS / N]++;
    rh_split_free(&split);
  }
  const double want = N * 0.1 * SEEDS / BINS;
  for (int b = 0; b < BINS; b++) chi += (bin[b] - want) * (bin[b] - want) / want;
  assert_true(chi < 47);
  rh_table_free(table);
}

static void equal_rows_stay_together(void **state) {
  (void)state;
  enum { N = 2000 };
  double values[N];
  int part[N];
  for (int i = 0; i < N; i++) values[i] = i % 3 == 0 ? i : i % 17; /* 17 large groups among single rows */
  rh_table *table = rows_of(values, N);
  for (uint64_t seed = 0; seed < 20; seed++) {
    rh_split split = {0};
    assert_int_equal(rh_split_rows(table, 0.2, 0.2, seed, &split), RH_OK);
    assert_partition(&split, N);
    for (int p = 0; p < RH_PARTS; p++) {
      for (int64_t k = 0; k < split.n[p]; k++) part[split.rows[p][k]] = p;
    }
    for (int i = 0; i < N; i++) {
      for (int j = 0; j < i; j++) assert_true(values[i] != values[j] || part[i] == part[j]);
    }
    assert_true(split.n[RH_PART_VAL] <= 400 && split.n[RH_PART_TEST] <= 400);
    assert_true(split.n[RH_PART_VAL] >= 320 && split.n[RH_PART_TEST] >= 320);
    rh_split_free(&split);
  }
  rh_table_free(table);
}

static void impossible_splits_say_so(void **state) {
  (void)state;
  const double equal[] = {1, 1, 1, 1, 1, 1, 1, 1, 1, 1}, few[] = {1, 2};
  rh_table *table = rows_of(equal, 10);
  rh_split split = {0};
  assert_int_equal(rh_split_rows(table, 0.2, 0, 1, &split), RH_E_DATA);
  assert_string_equal(rh_last_error(), "every column is constant in the 10 rows: there is no density to learn; give rows that differ");
  assert_int_equal(rh_split_rows(table, 0.5, 0.5, 1, &split), RH_E_ARGUMENT);
  assert_string_equal(rh_last_error(), "the fractions for validation and test, 0.5 and 0.5, must be 0 or more and together below 1");
  assert_int_equal(rh_split_rows(table, -0.1, 0, 1, &split), RH_E_ARGUMENT);
  assert_int_equal(rh_split_rows(table, 0.0 / 0.0, 0, 1, &split), RH_E_ARGUMENT);
  rh_table_free(table);
  table = rows_of(few, 2);
  assert_int_equal(rh_split_rows(table, 0.1, 0.1, 1, &split), RH_E_DATA);
  assert_string_equal(rh_last_error(),
                      "2 different rows are too few to set some aside for validation; give them as val (--val FILE), or train on all rows "
                      "with split 1,0,0 (--split 1,0,0)");
  assert_null(split.rows[0]);
  rh_table_free(table);
}

static void repeats_are_counted(void **state) {
  (void)state;
  const double values[] = {5, 1, 5, 2, 1, 5, -0.0, 0.0};
  const int64_t want[] = {0, 1, 0, 3, 1, 0, 6, 6}, some[] = {2, 5, 3, 0};
  int64_t first[8], repeats = -1;
  rh_table *table = rows_of(values, 8);
  assert_int_equal(rh_find_repeats(table, NULL, 8, first, &repeats), RH_OK);
  assert_int_equal(repeats, 4);
  assert_memory_equal(first, want, sizeof want);
  assert_int_equal(rh_find_repeats(table, some, 4, first, &repeats), RH_OK);
  assert_int_equal(repeats, 2);
  assert_true(first[0] == 0 && first[1] == 0 && first[2] == 2 && first[3] == 0);
  rh_table_free(table);
}

static void epochs_are_permutations(void **state) {
  (void)state;
  enum { N = 777 };
  int64_t a[N], b[N], fixed = 0;
  for (uint32_t epoch = 0; epoch < 5; epoch++) {
    char seen[N] = {0};
    rh_epoch_order(3, epoch, N, a);
    for (int i = 0; i < N; i++) {
      assert_true(a[i] >= 0 && a[i] < N && !seen[a[i]]);
      seen[a[i]] = 1;
    }
    rh_epoch_order(3, epoch, N, b);
    assert_memory_equal(a, b, sizeof a);
    rh_epoch_order(3, epoch + 1, N, b);
    for (int i = 0; i < N; i++) fixed += a[i] == b[i];
    rh_epoch_order(4, epoch, N, b);
    for (int i = 0; i < N; i++) fixed += a[i] == b[i];
  }
  assert_true(fixed < 40); /* about one each where orders have nothing to do with each other */
  rh_epoch_order(3, 0, 1, a);
  assert_int_equal(a[0], 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(different_rows_split_by_the_fractions),
      cmocka_unit_test(splits_are_even),
      cmocka_unit_test(equal_rows_stay_together),
      cmocka_unit_test(impossible_splits_say_so),
      cmocka_unit_test(repeats_are_counted),
      cmocka_unit_test(epochs_are_permutations),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
