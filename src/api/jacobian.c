#include "api/jacobian.h"

#include <math.h>
#include <string.h>

#include "base/memory.h"
#include "density/front.h"
#include "numeric/log_det.h"

/* One row of the program per column of J: its inputs are x, the context, and the tangent e_i, its output is J e_i. */
typedef struct columns_run {
  const rh_kernels *kernels;
  rh_plan *plan;
  rh_work *work;
  rh_values values; /* in double */
  int64_t n, c;
  const double *row; /* [n + c]: x and its context */
  double *jacobian;  /* [n, n], row i = J e_i */
} columns_run;

bool rh_jacobian_possible(const rh_model *model) {
  const rh_flow *flow = model->flow;
  if (model->image.h) /* the map is that of what lies behind the front */
    return rh_flow_splits(flow) && rh_front_width(flow) == flow->columns && flow->latent == flow->columns;
  return flow->scoring_noise == 0 && flow->latent == flow->columns && flow->columns <= RH_JACOBIAN_COLUMNS;
}

static void columns_free(columns_run *r) {
  rh_work_destroy(r->work);
  rh_plan_destroy(r->plan);
  rh_values_free(&r->values);
  rh_free(r->jacobian);
}

static rh_status columns_plan(const rh_model *model, const char *isa, rh_plan **plan) {
  const rh_flow *flow = model->flow;
  const int64_t n = flow->columns, c = flow->context;
  rh_graph g;
  RH_TRY(rh_graph_init(&g, &flow->leaves));
  const rh_val x = rh_input(&g, rh_shape1(n)), tangent = rh_input(&g, rh_shape1(n)), context = c ? rh_input(&g, rh_shape1(c)) : RH_NONE;
  rh_val z = RH_NONE, ladj = RH_NONE, out = RH_NONE;
  if (model->image.h)
    rh_behind_forward(flow, &g, x, context, &z, &ladj);
  else
    rh_flow_encode(flow, &g, x, context, RH_NONE, &z, &ladj);
  rh_status status = rh_graph_status(&g);
  if (status == RH_OK) status = rh_jvp(&g, 1, &x, &tangent, 1, &z, &out);
  const rh_plan_options options = {.real_bytes = 8, .isa = isa, .max_rows = n};
  if (status == RH_OK) status = rh_plan_create(&g, 1, &out, 0, NULL, &options, plan);
  rh_graph_free(&g);
  return status;
}

static rh_status columns_make(const rh_model *model, rh_pool *pool, const char *isa, columns_run *r) {
  r->n = model->flow->columns, r->c = model->flow->context;
  RH_TRY(rh_kernels_get(isa, 8, &r->kernels));
  RH_TRY(columns_plan(model, isa, &r->plan));
  RH_TRY(rh_work_create(r->plan, rh_pool_threads(pool), &r->work));
  RH_TRY(rh_values_cast(&model->flow->leaves, &model->values, 8, &r->values));
  r->jacobian = rh_alloc_zero((size_t)r->n, (size_t)r->n * sizeof(double));
  return r->jacobian ? RH_OK : RH_E_MEMORY;
}

/* Every row is x and its context; the tangents are the identity's rows. */
static void load(void *arg, int input, int64_t first, int64_t rows, void *dst) {
  enum { X, TANGENT };
  const columns_run *r = arg;
  const int64_t width = input <= TANGENT ? r->n : r->c;
  double *to = dst;
  for (int64_t i = 0; i < rows; i++, to += width) {
    if (input == TANGENT) {
      memset(to, 0, (size_t)width * sizeof *to);
      to[first + i] = 1;
    } else {
      memcpy(to, input == X ? r->row : r->row + r->n, (size_t)width * sizeof *to);
    }
  }
}

rh_status rh_jacobian_rows(const rh_model *model, const char *isa, double budget, int64_t rows, int64_t *most, double *operations) {
  const double n = (double)model->flow->columns;
  rh_plan *plan = NULL;
  rh_plan_info info;
  *most = rows;
  *operations = 0;
  if (!model->image.h || model->flow->columns <= RH_JACOBIAN_PIXELS) return RH_OK;
  RH_TRY(columns_plan(model, isa, &plan));
  rh_plan_describe(plan, &info);
  rh_plan_destroy(plan);
  *operations = n * info.flops_row + 2 * n * n * n / 3;
  const double can = floor(budget / *operations);
  if (can < (double)rows) *most = (int64_t)can;
  if (model->flow->columns > RH_JACOBIAN_VALUES) *most = 0;
  return RH_OK;
}

rh_status rh_jacobian_log_det(const rh_model *model, rh_pool *pool, const char *isa, int64_t rows, const double *x, double *log_det) {
  columns_run r = {0};
  rh_status status = columns_make(model, pool, isa, &r);
  for (int64_t i = 0; i < rows && status == RH_OK; i++) {
    void *const out[] = {r.jacobian};
    r.row = x + i * (r.n + r.c);
    const rh_run_io io = {.values = &r.values, .rows = r.n, .load = load, .arg = &r, .row_out = out};
    rh_run(r.plan, r.work, pool, &io);
    status = rh_log_det(r.kernels, pool, r.n, r.jacobian, &log_det[i]);
  }
  columns_free(&r);
  return status;
}
