#include "numeric/rank.h"

#include <math.h>
#include <stdlib.h>

#include "base/memory.h"

typedef struct scored {
  double score;
  unsigned char label;
} scored;

static int descending(const void *a, const void *b) {
  const double x = ((const scored *)a)->score, y = ((const scored *)b)->score;
  return x > y ? -1 : x < y;
}

static int ascending(const void *a, const void *b) {
  const double x = *(const double *)a, y = *(const double *)b;
  return x < y ? -1 : x > y;
}

static rh_status sort_scored(int64_t n, const double *score, const unsigned char *label, scored **sorted) {
  scored *list = rh_alloc_zero((size_t)n + 1, sizeof *list);
  if (!list) return RH_E_MEMORY;
  for (int64_t i = 0; i < n; i++) list[i] = (scored){score[i], label[i]};
  qsort(list, (size_t)n, sizeof *list, descending);
  *sorted = list;
  return RH_OK;
}

/* How many of each class share the score at `i`; returns where the next score begins. */
static int64_t take_ties(const scored *list, int64_t n, int64_t i, int64_t count[2]) {
  const double score = list[i].score;
  count[0] = count[1] = 0;
  for (; i < n && list[i].score == score; i++) count[list[i].label != 0]++;
  return i;
}

rh_status rh_rank_auroc(int64_t n, const double *score, const unsigned char *label, double *auroc) {
  scored *list;
  RH_TRY(sort_scored(n, score, label, &list));
  int64_t seen[2] = {0}, count[2], twice = 0; /* pairs in the right order twice, ties once: whole numbers, so the result is exact */
  for (int64_t i = 0; i < n; seen[0] += count[0], seen[1] += count[1]) {
    i = take_ties(list, n, i, count);
    twice += count[0] * (2 * seen[1] + count[1]);
  }
  rh_free(list);
  *auroc = seen[0] && seen[1] ? (double)twice / (2 * (double)seen[0] * (double)seen[1]) : NAN;
  return RH_OK;
}

rh_status rh_rank_average_precision(int64_t n, const double *score, const unsigned char *label, double *precision) {
  scored *list;
  RH_TRY(sort_scored(n, score, label, &list));
  int64_t found = 0, count[2];
  double sum = 0;
  for (int64_t i = 0; i < n;) {
    i = take_ties(list, n, i, count);
    found += count[1];
    sum += (double)count[1] * ((double)found / (double)i);
  }
  rh_free(list);
  *precision = found ? sum / (double)found : NAN;
  return RH_OK;
}

void rh_rank_sort(int64_t n, double *score) {
  qsort(score, (size_t)n, sizeof *score, ascending);
}

double rh_rank_conformal(int64_t n, const double *sorted, double score) {
  int64_t low = 0, high = n; /* the first that is at least `score` */
  while (low < high) {
    const int64_t middle = low + (high - low) / 2;
    if (sorted[middle] < score)
      low = middle + 1;
    else
      high = middle;
  }
  return (double)(1 + n - low) / (double)(n + 1);
}
