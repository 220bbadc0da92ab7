/* What the tests of nodes with bodies share: functionals, options of solvers, plans opened to be run more than once. */
#ifndef RH_TESTS_LOOPS_H
#define RH_TESTS_LOOPS_H
#include "support/probe.h"

enum { SUMS = 10, SUM_MOST = 20 };

static const rh_ode_options tight = {.method = RH_ODE_DP54, .rtol = 1e-11, .atol = 1e-12, .max_steps = 4000};
static const rh_ode_options loose = {.method = RH_ODE_BS32, .rtol = 1e-4, .atol = 1e-5, .max_steps = 4000};

static inline rh_val weigh(rh_graph *g, rh_val v, uint64_t which) {
  double *w = probe_random(rh_count(g, v), which, 0.5, 1.5);
  const rh_val sum = rh_sum(g, rh_mul(g, v, rh_const_values(g, rh_at(g, v)->shape, w)));
  free(w);
  return sum;
}

typedef struct opened {
  rh_plan *plan;
  rh_work *work;
  rh_pool *pool;
} opened;

static inline rh_status open_plan(const rh_graph *g, rh_val loss, int n, const rh_val *grads, int64_t rows, int64_t wide_bytes, opened *o) {
  const rh_plan_options options = {.real_bytes = 8, .max_rows = rows, .wide_bytes = wide_bytes};
  RH_TRY(rh_plan_create(g, 1, &loss, n, grads, &options, &o->plan));
  RH_TRY(rh_work_create(o->plan, 2, &o->work));
  return rh_pool_create(2, &o->pool);
}
static inline void close_plan(opened *o) {
  rh_pool_destroy(o->pool);
  rh_work_destroy(o->work);
  rh_plan_destroy(o->plan);
  *o = (opened){0};
}

/* Parameter gradients, by parameter. */
typedef double sums[SUMS][SUM_MOST];

static inline void run_sums(const rh_values *values, const opened *o, rh_dense_input *in, int n, int64_t rows, sums out) {
  void *params[SUMS], *rows_out[1] = {NULL};
  for (int i = 0; i < n; i++) params[i] = out[i];
  const rh_run_io io = {.values = values, .rows = rows, .load = rh_load_dense, .arg = in, .row_out = rows_out, .param_out = params};
  rh_run(o->plan, o->work, o->pool, &io);
}

static inline void near(const rh_leaves *leaves, int n, sums a, sums b) {
  for (int i = 0; i < n; i++)
    for (int64_t k = 0; k < leaves->leaf[i].count; k++) assert_true(fabs(a[i][k] - b[i][k]) <= 1e-11 * fmax(1, fabs(b[i][k])));
}

#endif
