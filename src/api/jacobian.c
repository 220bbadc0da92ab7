#include "api/jacobian.h"

#include <math.h>
#include <string.h>

#include "base/memory.h"
#include "density/front.h"

/* One row of the program per column of J: its inputs are x, the context, and the tangent e_i, its output is J e_i. */
typedef struct columns_run {
  rh_plan *plan;
  rh_work *work;
  rh_values values; /* in double */
  rh_dense_input input[3];
  double *tangent;  /* [n, n], the identity */
  double *at;       /* [n, n], x in every row */
  double *context;  /* [n, c] likewise */
  double *jacobian; /* [n, n], row i = J e_i */
} columns_run;

bool rh_jacobian_possible(const rh_model *model) {
  const rh_flow *flow = model->flow;
  if (model->image.h)
    return rh_flow_splits(flow) && rh_front_width(flow) == flow->columns && flow->latent == flow->columns &&
           flow->columns <= RH_JACOBIAN_PIXELS;
  return flow->scoring_noise == 0 && flow->latent == flow->columns && flow->columns <= RH_JACOBIAN_COLUMNS;
}

static void columns_free(columns_run *r) {
  rh_work_destroy(r->work);
  rh_plan_destroy(r->plan);
  rh_values_free(&r->values);
  rh_free(r->tangent);
  rh_free(r->at);
  rh_free(r->context);
  rh_free(r->jacobian);
}

static rh_status columns_plan(const rh_model *model, const char *isa, columns_run *r) {
  const rh_flow *flow = model->flow;
  const int64_t n = flow->columns, c = flow->context;
  rh_graph g;
  RH_TRY(rh_graph_init(&g, &flow->leaves));
  const rh_val x = rh_input(&g, rh_shape1(n)), context = c ? rh_input(&g, rh_shape1(c)) : RH_NONE, tangent = rh_input(&g, rh_shape1(n));
  rh_val z = RH_NONE, ladj = RH_NONE, out = RH_NONE;
  if (model->image.h)
    rh_behind_forward(flow, &g, x, context, &z, &ladj);
  else
    rh_flow_encode(flow, &g, x, context, RH_NONE, &z, &ladj);
  rh_status status = rh_graph_status(&g);
  if (status == RH_OK) status = rh_jvp(&g, 1, &x, &tangent, 1, &z, &out);
  const rh_plan_options options = {.real_bytes = 8, .isa = isa, .max_rows = n};
  if (status == RH_OK) status = rh_plan_create(&g, 1, &out, 0, NULL, &options, &r->plan);
  rh_graph_free(&g);
  return status;
}

static rh_status columns_make(const rh_model *model, rh_pool *pool, const char *isa, columns_run *r) {
  const int64_t n = model->flow->columns, c = model->flow->context;
  RH_TRY(columns_plan(model, isa, r));
  RH_TRY(rh_work_create(r->plan, rh_pool_threads(pool), &r->work));
  RH_TRY(rh_values_cast(&model->flow->leaves, &model->values, 8, &r->values));
  r->tangent = rh_alloc_zero((size_t)(n * n), sizeof(double));
  r->at = rh_alloc_zero((size_t)(n * n), sizeof(double));
  r->context = rh_alloc_zero((size_t)(n * (c + 1)), sizeof(double));
  r->jacobian = rh_alloc_zero((size_t)(n * n), sizeof(double));
  if (!r->tangent || !r->at || !r->context || !r->jacobian) return RH_E_MEMORY;
  for (int64_t i = 0; i < n; i++) r->tangent[i * n + i] = 1;
  int inputs = 0;
  r->input[inputs++] = (rh_dense_input){r->at, n * 8};
  if (c) r->input[inputs++] = (rh_dense_input){r->context, c * 8};
  r->input[inputs] = (rh_dense_input){r->tangent, n * 8};
  return RH_OK;
}

/* log|det| by elimination with partial pivoting; `a` [n, n] is used up. */
static double log_abs_det(int64_t n, double *a) {
  double sum = 0;
  for (int64_t k = 0; k < n; k++) {
    int64_t pivot = k;
    for (int64_t i = k + 1; i < n; i++) {
      if (fabs(a[i * n + k]) > fabs(a[pivot * n + k])) pivot = i;
    }
    if (!(fabs(a[pivot * n + k]) > 0)) return NAN;
    for (int64_t j = k; j < n && pivot != k; j++) {
      const double swap = a[k * n + j];
      a[k * n + j] = a[pivot * n + j];
      a[pivot * n + j] = swap;
    }
    sum += log(fabs(a[k * n + k]));
    for (int64_t i = k + 1; i < n; i++) {
      const double factor = a[i * n + k] / a[k * n + k];
      for (int64_t j = k + 1; j < n; j++) a[i * n + j] -= factor * a[k * n + j];
    }
  }
  return sum;
}

static double one_row(const columns_run *r, rh_pool *pool, int64_t n, int64_t c, const double *x) {
  for (int64_t i = 0; i < n; i++) {
    memcpy(r->at + i * n, x, (size_t)n * sizeof *x);
    if (c) memcpy(r->context + i * c, x + n, (size_t)c * sizeof *x);
  }
  void *const out[] = {r->jacobian};
  rh_dense_input input[3];
  memcpy(input, r->input, sizeof input);
  const rh_run_io io = {.values = &r->values, .rows = n, .load = rh_load_dense, .arg = input, .row_out = out};
  rh_run(r->plan, r->work, pool, &io);
  return log_abs_det(n, r->jacobian);
}

rh_status rh_jacobian_log_det(const rh_model *model, rh_pool *pool, const char *isa, int64_t rows, const double *x, double *log_det) {
  const int64_t n = model->flow->columns, c = model->flow->context;
  columns_run r = {0};
  const rh_status status = columns_make(model, pool, isa, &r);
  for (int64_t i = 0; i < rows && status == RH_OK; i++) log_det[i] = one_row(&r, pool, n, c, x + i * (n + c));
  columns_free(&r);
  return status;
}
