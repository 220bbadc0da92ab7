/* Evaluating a graph in a test: plan, run on some threads, numbers in and out as double whatever the precision. */
#ifndef RH_TESTS_PROBE_H
#define RH_TESTS_PROBE_H
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/rng.h"
#include "graph/ops.h"
#include "graph/plan.h"

enum { PROBE_MAX = 16 };

typedef struct probe {
  const rh_graph *g;
  const rh_values *values; /* NULL: no leaves */
  int real_bytes, threads;
  const char *isa;
  int64_t rows, block_rows;
  const double *input[PROBE_MAX]; /* by row input: [rows, count] */
  int n_row, n_param;
  rh_val row_val[PROBE_MAX], param_val[PROBE_MAX];
  double *row_out[PROBE_MAX], *param_out[PROBE_MAX];
} probe;

static inline void *probe_narrow(const double *x, int64_t n, int real_bytes) {
  void *out = malloc((size_t)(n + 1) * (size_t)real_bytes);
  for (int64_t i = 0; i < n; i++) {
    if (real_bytes == 4) {
      ((float *)out)[i] = (float)x[i];
    } else {
      ((double *)out)[i] = x[i];
    }
  }
  return out;
}

static inline void probe_widen(const void *x, int64_t n, int real_bytes, double *out) {
  for (int64_t i = 0; i < n; i++) out[i] = real_bytes == 4 ? (double)((const float *)x)[i] : ((const double *)x)[i];
}

#define PROBE_OK(call)                                                      \
  do {                                                                      \
    rh_status probe_status_ = (call);                                       \
    if (probe_status_ != RH_OK) fail_msg("%s: %s", #call, rh_last_error()); \
  } while (0)

static inline void probe_run(const probe *p) {
  const rh_plan_options options = {.real_bytes = p->real_bytes, .isa = p->isa, .block_rows = p->block_rows, .max_rows = p->rows};
  rh_plan *plan;
  rh_work *work;
  rh_pool *pool;
  PROBE_OK(rh_plan_create(p->g, p->n_row, p->row_val, p->n_param, p->param_val, &options, &plan));
  const int threads = p->threads ? p->threads : 1;
  PROBE_OK(rh_pool_create(threads, &pool));
  PROBE_OK(rh_work_create(plan, threads, &work));
  rh_dense_input in[PROBE_MAX] = {{0}};
  void *row_out[PROBE_MAX] = {0}, *param_out[PROBE_MAX] = {0};
  for (int64_t i = 0; i < p->g->inputs; i++) {
    const int64_t n = rh_count(p->g, p->g->input[i]);
    in[i] = (rh_dense_input){probe_narrow(p->input[i], n * p->rows, p->real_bytes), n * p->real_bytes};
  }
  for (int i = 0; i < p->n_row; i++) row_out[i] = malloc((size_t)(rh_count(p->g, p->row_val[i]) * p->rows + 1) * 8);
  for (int i = 0; i < p->n_param; i++) param_out[i] = malloc((size_t)(rh_count(p->g, p->param_val[i]) + 1) * 8);
  const rh_run_io io = {.values = p->values, .rows = p->rows, .load = rh_load_dense, .arg = in, .row_out = row_out, .param_out = param_out};
  rh_run(plan, work, pool, &io);
  for (int i = 0; i < p->n_row; i++) {
    probe_widen(row_out[i], rh_count(p->g, p->row_val[i]) * p->rows, p->real_bytes, p->row_out[i]);
    free(row_out[i]);
  }
  for (int i = 0; i < p->n_param; i++) {
    probe_widen(param_out[i], rh_count(p->g, p->param_val[i]), p->real_bytes, p->param_out[i]);
    free(param_out[i]);
  }
  for (int64_t i = 0; i < p->g->inputs; i++) free((void *)(uintptr_t)in[i].data);
  rh_work_destroy(work);
  rh_pool_destroy(pool);
  rh_plan_destroy(plan);
}

/* n uniforms in (low, high), a pure function of `which`. */
static inline double *probe_random(int64_t n, uint64_t which, double low, double high) {
  double *x = malloc((size_t)(n + 2) * sizeof *x);
  const rh_rng rng = rh_rng_at(20, 0, which, RH_STREAM_TEST);
  rh_rng_uniform(&rng, 0, n, x);
  for (int64_t i = 0; i < n; i++) x[i] = low + (high - low) * x[i];
  return x;
}

/* Every number of every leaf anew, in [-0.8, 0.8). */
static inline void probe_scatter(const rh_leaves *leaves, rh_values *values) {
  for (int l = 0; l < leaves->n; l++) {
    double *x = probe_random(leaves->leaf[l].count, 50 + (uint64_t)l, -0.8, 0.8);
    for (int64_t i = 0; i < leaves->leaf[l].count; i++) rh_values_set(leaves, values, l, i, x[i]);
    free(x);
  }
}
#endif
