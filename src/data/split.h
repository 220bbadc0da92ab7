/* Which rows train, validate and test, and in which order an epoch takes them. */
#ifndef RH_DATA_SPLIT_H
#define RH_DATA_SPLIT_H
#include "data/table.h"

enum { RH_PART_TRAIN, RH_PART_VAL, RH_PART_TEST, RH_PARTS };

typedef struct rh_split {
  int64_t *rows[RH_PARTS]; /* ascending; NULL where n is 0 */
  int64_t n[RH_PARTS];
} rh_split; /* {0} is empty and valid */

/* Parts by fractions of the rows (val + test < 1; 0: that part stays empty), a pure function of seed, row count and which rows are equal.
 * Equal rows go to the same part, so none is tested on that was trained on: groups of equal rows are taken in an order drawn by the seed
 * and put into test, then val, where they still fit into round(n * fraction) rows; the rest trains. A part that was asked for and stays
 * empty is an error. */
rh_status rh_split_rows(const rh_table *table, double val, double test, uint64_t seed, rh_split *split) RH_WARN_UNUSED;
void rh_split_free(rh_split *split);

/* Of the rows rows[0..n) (or 0..n-1 where `rows` is NULL): first[i] = the lowest place whose row equals the one at place i, i itself where
 * none before it does. first: [n]. *repeats: how many have one before. */
rh_status rh_find_repeats(const rh_table *table, const int64_t *rows, int64_t n, int64_t *first, int64_t *repeats) RH_WARN_UNUSED;

/* order[0..n) = a permutation of 0..n-1: the order of that epoch, a pure function of its arguments. */
void rh_epoch_order(uint64_t seed, uint32_t epoch, int64_t n, int64_t *order);
#endif
