#include "numeric/log_det.h"

#include <math.h>
#include <stdbool.h>

#include "base/memory.h"

enum { BLOCK = 64, ROWS = 32 }; /* columns eliminated at a time; rows of a task */

typedef struct elimination {
  const rh_kernels *kernels;
  rh_pool *pool;
  int64_t n, at, width; /* columns [at, at + width) are at work */
  double *a;            /* [n, n] */
  double *minus;        /* [n, BLOCK]: minus the factors of the rows below */
  double *packed;       /* the rows of the block, packed for products */
  double sum;
} elimination;

static void swap_rows(double *a, double *b, int64_t n) {
  for (int64_t j = 0; j < n; j++) {
    const double kept = a[j];
    a[j] = b[j];
    b[j] = kept;
  }
}

/* The block's columns, from the row `at` down; whole rows change places. False: there is no pivot. */
static bool eliminate_block(elimination *e) {
  const int64_t n = e->n, end = e->at + e->width;
  for (int64_t k = e->at; k < end; k++) {
    int64_t pivot = k;
    for (int64_t i = k + 1; i < n; i++)
      if (fabs(e->a[i * n + k]) > fabs(e->a[pivot * n + k])) pivot = i;
    if (!(fabs(e->a[pivot * n + k]) > 0)) return false;
    if (pivot != k) swap_rows(e->a + pivot * n, e->a + k * n, n);
    const double *row = e->a + k * n;
    e->sum += log(fabs(row[k]));
    for (int64_t i = k + 1; i < n; i++) {
      double *below = e->a + i * n;
      below[k] /= row[k];
      for (int64_t j = k + 1; j < end; j++) below[j] -= below[k] * row[j];
    }
  }
  return true;
}

/* What stands right of the block in its own rows: the solution of a unit triangular system. */
static void solve_right(elimination *e) {
  const int64_t n = e->n, end = e->at + e->width;
  for (int64_t k = e->at + 1; k < end; k++)
    for (int64_t i = e->at; i < k; i++) {
      const double factor = e->a[k * n + i];
      for (int64_t j = end; j < n; j++) e->a[k * n + j] -= factor * e->a[i * n + j];
    }
}

/* The rows below, right of the block: minus their factors times the block's rows. A task is some rows. */
static void update_below(void *arg, int thread) {
  const elimination *e = arg;
  const int64_t n = e->n, end = e->at + e->width, right = n - end;
  (void)thread;
  for (int64_t first = end + ROWS * rh_pool_next(e->pool); first < n; first = end + ROWS * rh_pool_next(e->pool)) {
    const int64_t rows = n - first < ROWS ? n - first : ROWS;
    double *minus = e->minus + first * BLOCK;
    for (int64_t i = 0; i < rows; i++)
      for (int64_t k = 0; k < e->width; k++) minus[i * BLOCK + k] = -e->a[(first + i) * n + e->at + k];
    e->kernels->gemm(rows, e->width, right, minus, BLOCK, e->packed, NULL, e->a + first * n + end, n, 1, RH_EPI_NONE, NULL);
  }
}

static void eliminate(elimination *e) {
  const int64_t panel = e->kernels->panel;
  for (e->at = 0; e->at < e->n; e->at += e->width) {
    e->width = e->n - e->at < BLOCK ? e->n - e->at : BLOCK;
    const int64_t end = e->at + e->width, right = e->n - end;
    if (!eliminate_block(e)) {
      e->sum = NAN;
      return;
    }
    if (right == 0) return;
    solve_right(e);
    e->kernels->pack(e->width, right, e->a + e->at * e->n + end, e->n, 1, e->packed, 0, (right + panel - 1) / panel);
    rh_pool_run(e->pool, update_below, e);
  }
}

rh_status rh_log_det(const rh_kernels *kernels, rh_pool *pool, int64_t n, double *a, double *log_det) {
  elimination e = {.kernels = kernels, .pool = pool, .n = n, .a = a};
  e.minus = rh_alloc_zero((size_t)n * BLOCK, sizeof *e.minus);
  e.packed = rh_alloc_zero((size_t)kernels->pack_count(BLOCK, n), sizeof *e.packed);
  const bool fine = e.minus && e.packed;
  if (fine) eliminate(&e);
  rh_free(e.minus);
  rh_free(e.packed);
  if (!fine) return RH_E_MEMORY;
  *log_det = e.sum;
  return RH_OK;
}
