/* What log-densities are worth that hold estimated traces (net/field.h). Two independent estimates of one row have a difference of twice
 * the variance of one, whatever the number of probes: so some rows are scored a second time, under other probes. */
#ifndef RH_API_ESTIMATE_H
#define RH_API_ESTIMATE_H
#include "api/handle.h"

typedef struct rh_estimate {
  const json_t *how; /* rh_estimate_of; NULL: nothing below happens */
  int64_t n, *row;   /* rows that are scored twice, evenly spread */
  double *first;     /* [n] their log-densities */
  int64_t found;     /* of them have both */
  double squares;    /* sum of the squared differences */
} rh_estimate;
/* The specification of the first part that estimates in scoring, borrowed; NULL: none does. */
const json_t *rh_estimate_of(const rh_flow *flow);
/* rows: of the whole table. Free it whatever comes. */
rh_status rh_estimate_begin(const rh_flow *flow, int64_t rows, rh_estimate *e) RH_WARN_UNUSED;
void rh_estimate_free(rh_estimate *e);
/* log_prob: of rows [first, first + n) of the table. */
void rh_estimate_take(rh_estimate *e, int64_t first, int64_t n, const double *log_prob);
/* The second time. */
rh_status rh_estimate_again(rh_estimate *e, const rh_density *d, const rh_rows *rows) RH_WARN_UNUSED;
/* "estimate" and notes: what it was, the standard error of a row and of the mean of `rows`, and how to have none; what averages of them
 * are; and of estimates that were asked for, and cannot be. */
void rh_estimate_put(const rh_estimate *e, const rh_density *d, int64_t rows, json_t *report);
#endif
