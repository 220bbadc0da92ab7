/* What ranks say: how well scores part two classes, and how strange a score is among reference scores. Exact with ties; a score may be
 * infinite, never NaN. Larger scores are the more anomalous ones. */
#ifndef RH_NUMERIC_RANK_H
#define RH_NUMERIC_RANK_H
#include <stdint.h>

#include "base/status.h"

/* Area under the receiver operating characteristic: the probability that a row of class 1 scores above one of class 0, ties counting half
 * (Mann & Whitney 1947). score: [n]; label: [n], 0 or 1. NaN where one of the classes is empty. */
rh_status rh_rank_auroc(int64_t n, const double *score, const unsigned char *label, double *auroc) RH_WARN_UNUSED;

/* Average precision: sum over the distinct thresholds, from the greatest score down, of (recall - recall before) x precision, rows of one
 * score being taken in together (as scikit-learn's average_precision_score). NaN where class 1 is empty. */
rh_status rh_rank_average_precision(int64_t n, const double *score, const unsigned char *label, double *precision) RH_WARN_UNUSED;

/* Ascending, in place: what rh_rank_conformal looks in. */
void rh_rank_sort(int64_t n, double *score);

/* Conformal p-value (Vovk et al. 2005, eq. 2.20; Bates et al. 2023, eq. 1): (1 + how many of the reference scores are at least `score`) /
 * (n + 1). For a row exchangeable with the reference rows P(p <= a) <= a. sorted: [n], ascending. */
double rh_rank_conformal(int64_t n, const double *sorted, double score);
#endif
