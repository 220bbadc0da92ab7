/* log|det A| of a dense matrix. */
#ifndef RH_NUMERIC_LOG_DET_H
#define RH_NUMERIC_LOG_DET_H
#include "base/threads.h"
#include "kernel/kernel.h"

/* By elimination with partial pivoting in blocks (Golub & Van Loan 2013, algorithm 3.4.1 and section 3.2.11): 2 n^3 / 3 operations, nearly
 * all of them in row products. a: [n, n] in double, used up. NaN where A is singular or no number. The kernels are those of double; the
 * same bits for any number of threads. */
rh_status rh_log_det(const rh_kernels *kernels, rh_pool *pool, int64_t n, double *a, double *log_det) RH_WARN_UNUSED;
#endif
