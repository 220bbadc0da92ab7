#include "data/split.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/rng.h"

typedef struct hashed {
  uint64_t hash;
  int64_t row;
} hashed;

static int by_hash(const void *a, const void *b) {
  const hashed *x = a, *y = b;
  if (x->hash != y->hash) return x->hash < y->hash ? -1 : 1;
  return (x->row > y->row) - (x->row < y->row);
}

rh_status rh_find_repeats(const rh_table *table, const int64_t *rows, int64_t n, int64_t *first, int64_t *repeats) {
  hashed *sorted = rh_alloc((size_t)n * sizeof *sorted);
  if (!sorted) return RH_E_MEMORY;
  for (int64_t i = 0; i < n; i++) sorted[i] = (hashed){rh_table_row_hash(table, rows ? rows[i] : i), i};
  qsort(sorted, (size_t)n, sizeof *sorted, by_hash);
  int64_t found = 0;
  for (int64_t start = 0, end; start < n; start = end) {
    for (end = start + 1; end < n && sorted[end].hash == sorted[start].hash; end++) continue;
    for (int64_t i = start; i < end; i++) { /* of one hash: nearly always equal, but compared all the same */
      const int64_t row = sorted[i].row;
      first[row] = row;
      for (int64_t k = start; k < i && first[row] == row; k++) {
        const int64_t before = sorted[k].row;
        if (first[before] != before) continue;
        if (rh_table_rows_equal(table, rows ? rows[before] : before, rows ? rows[row] : row)) first[row] = before;
      }
      found += first[row] != row;
    }
  }
  rh_free(sorted);
  *repeats = found;
  return RH_OK;
}

/* part[i] of every row; size[i]: how many rows equal row i, at the first of them. */
static void assign(int64_t n, const int64_t *first, const int64_t *size, const int64_t *order, const int64_t room[RH_PARTS],
                   int64_t count[RH_PARTS], unsigned char *part) {
  for (int64_t k = 0; k < n; k++) {
    const int64_t row = order[k];
    if (first[row] != row) continue;
    int p = RH_PART_TEST;
    while (p > RH_PART_TRAIN && count[p] + size[row] > room[p]) p--;
    part[row] = (unsigned char)p;
    count[p] += size[row];
  }
  for (int64_t i = 0; i < n; i++) part[i] = part[first[i]];
}

static rh_status collect(int64_t n, const unsigned char *part, const int64_t count[RH_PARTS], rh_split *split) {
  rh_split made = {0};
  for (int p = 0; p < RH_PARTS; p++) {
    if (count[p] == 0) continue;
    made.rows[p] = rh_alloc((size_t)count[p] * sizeof *made.rows[p]);
    if (!made.rows[p]) {
      rh_split_free(&made);
      return RH_E_MEMORY;
    }
  }
  for (int64_t i = 0; i < n; i++) made.rows[part[i]][made.n[part[i]]++] = i;
  *split = made;
  return RH_OK;
}

static rh_status split_with(const rh_table *table, double val, double test, uint64_t seed, int64_t *first, int64_t *size, int64_t *order,
                            unsigned char *part, rh_split *split) {
  const int64_t n = rh_table_rows(table);
  const int64_t room[RH_PARTS] = {n, llround((double)n * val), llround((double)n * test)};
  int64_t count[RH_PARTS] = {0}, repeats;
  RH_TRY(rh_find_repeats(table, NULL, n, first, &repeats));
  memset(size, 0, (size_t)n * sizeof *size);
  for (int64_t i = 0; i < n; i++) size[first[i]]++;
  const rh_rng rng = rh_rng_at(seed, 0, 0, RH_STREAM_SPLIT);
  rh_rng_shuffle(&rng, n, order);
  assign(n, first, size, order, room, count, part);
  static const char *const names[RH_PARTS] = {"training", "validation", "test"}, *const ways[RH_PARTS] = {"", "val", "test"};
  const bool wanted[RH_PARTS] = {true, val > 0, test > 0};
  for (int p = 0; p < RH_PARTS; p++) {
    if (!wanted[p] || count[p] > 0) continue;
    if (n > 1 && repeats == n - 1) { /* no other split would help */
      return rh_fail(RH_E_DATA, "every column is constant in the %lld rows: there is no density to learn; give rows that differ",
                     (long long)n);
    }
    return rh_fail(RH_E_DATA,
                   "%lld different rows are too few to set some aside for %s; give them as %s (--%s FILE), or train on all rows with split "
                   "1,0,0 (--split 1,0,0)",
                   (long long)(n - repeats), names[p], ways[p], ways[p]);
  }
  return collect(n, part, count, split);
}

rh_status rh_split_rows(const rh_table *table, double val, double test, uint64_t seed, rh_split *split) {
  if (!(val >= 0 && test >= 0 && val + test < 1)) {
    return rh_fail(RH_E_ARGUMENT, "the fractions for validation and test, %g and %g, must be 0 or more and together below 1", val, test);
  }
  const size_t n = (size_t)rh_table_rows(table);
  int64_t *first = rh_alloc(n * sizeof *first), *size = rh_alloc(n * sizeof *size), *order = rh_alloc(n * sizeof *order);
  unsigned char *part = rh_alloc(n);
  rh_status status = RH_E_MEMORY;
  if (first && size && order && part) status = split_with(table, val, test, seed, first, size, order, part, split);
  rh_free(first);
  rh_free(size);
  rh_free(order);
  rh_free(part);
  return status;
}

void rh_split_free(rh_split *split) {
  for (int p = 0; p < RH_PARTS; p++) rh_free(split->rows[p]);
  *split = (rh_split){0};
}

void rh_epoch_order(uint64_t seed, uint32_t epoch, int64_t n, int64_t *order) {
  const rh_rng rng = rh_rng_at(seed, epoch, 0, RH_STREAM_ORDER);
  rh_rng_shuffle(&rng, n, order);
}
