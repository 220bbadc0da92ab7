#include "api/rounded.h"

#include <math.h>
#include <string.h>

#include "base/memory.h"

/* The preprocessing forth and back; its noise lies in the middle of every cell. */
static rh_status make_plan(const rh_flow *flow, const char *isa, int64_t rows, rh_plan **plan) {
  rh_bijection *const *parts;
  rh_graph g;
  RH_TRY(rh_graph_init(&g, &flow->leaves));
  const rh_val x = rh_input(&g, rh_shape1(flow->columns));
  rh_val out[2] = {rh_add(&g, rh_fill(&g, rh_shape1(flow->columns), 0), x), rh_fill(&g, rh_shape1(1), 0)};
  if (rh_bijection_parts(flow->body, &parts) > 0) {
    const int64_t noise = parts[0]->noise;
    rh_val y, ladj, ignored;
    rh_forward(parts[0], &g, x, RH_NONE, noise ? rh_fill(&g, rh_shape1(noise), 0.5) : RH_NONE, &y, &ladj);
    rh_inverse(parts[0], &g, y, RH_NONE, &out[0], &ignored);
    out[1] = rh_add_maybe(&g, out[1], ladj);
  }
  rh_status status = rh_graph_status(&g);
  const rh_plan_options options = {.real_bytes = 8, .isa = isa, .max_rows = rows};
  if (status == RH_OK) status = rh_plan_create(&g, 2, out, 0, NULL, &options, plan);
  rh_graph_free(&g);
  return status;
}

static rh_status run_plan(const rh_model *model, rh_pool *pool, const rh_plan *plan, int64_t rows, const double *columns, double *rounded,
                          double *ladj) {
  rh_work *work = NULL;
  rh_values values = {0};
  rh_status status = rh_work_create(plan, rh_pool_threads(pool), &work);
  if (status == RH_OK) status = rh_values_cast(&model->flow->leaves, &model->values, 8, &values);
  if (status == RH_OK) {
    rh_dense_input input = {columns, model->flow->columns * (int64_t)sizeof *columns};
    void *const out[] = {rounded, ladj};
    const rh_run_io io = {.values = &values, .rows = rows, .load = rh_load_dense, .arg = &input, .row_out = out};
    rh_run(plan, work, pool, &io);
  }
  rh_values_free(&values);
  rh_work_destroy(work);
  return status;
}

rh_status rh_rounded_rows(const rh_model *model, rh_pool *pool, const char *isa, int64_t rows, const double *x, double *rounded) {
  const int64_t n = model->flow->columns, width = n + model->flow->context;
  rh_plan *plan = NULL;
  RH_TRY(make_plan(model->flow, isa, rows, &plan));
  double *columns = rh_alloc_zero((size_t)(rows + 1), (size_t)n * sizeof *columns), *ladj = rh_alloc_zero((size_t)rows + 1, sizeof *ladj);
  rh_status status = columns && ladj ? RH_OK : RH_E_MEMORY;
  for (int64_t i = 0; i < rows && columns; i++) memcpy(columns + i * n, x + i * width, (size_t)n * sizeof *columns);
  if (status == RH_OK) status = run_plan(model, pool, plan, rows, columns, rounded, ladj);
  for (int64_t i = 0; i < rows && status == RH_OK; i++)
    if (ladj[i] == -INFINITY) memcpy(rounded + i * n, columns + i * n, (size_t)n * sizeof *columns);
  rh_free(columns);
  rh_free(ladj);
  rh_plan_destroy(plan);
  return status;
}
