#include "api/det_check.h"

#include <math.h>
#include <stdio.h>

#include "api/crop.h"
#include "api/jacobian.h"
#include "api/solver.h"
#include "base/memory.h"

/* Operations: of whole large images, some four seconds of a core with AVX-512; and of crops, where even the least is large. */
static const double WHOLE = 3e11, CROPS = 3e12;

double rh_worst(double so_far, double error) {
  return error <= so_far ? so_far : isnan(error) ? INFINITY : error;
}

/* Of differential equations the Jacobian of the solution: near a singular map what tolerances leave of its entries is nats of the
 * determinant (of a fit to data/protein_clean 1.4 at 1e-5, where log-densities were good to 0.02). Images have no time for that. */
static rh_status dense_log_det(rh_density *d, const rh_model *model, int64_t rows, const double *x, double *dense) {
  rh_model sharp = *model;
  rh_flow *flow = NULL;
  if (!model->image.h) RH_TRY(rh_solver_sharp(model, &flow));
  if (flow) sharp.flow = flow;
  const rh_status status = rh_jacobian_log_det(&sharp, d->pool, d->options.isa, rows, x, dense);
  rh_flow_destroy(flow);
  return status;
}

/* The rows of a model, itself or a crop. */
static rh_status compare(rh_density *d, const rh_model *model, int64_t rows, const double *x, const double *ladj, rh_det_check *check) {
  double *dense = rh_alloc((size_t)rows * sizeof *dense);
  if (!dense) return RH_E_MEMORY;
  const rh_status status = dense_log_det(d, model, rows, x, dense);
  if (status == RH_OK) {
    check->rows = rows;
    check->columns = model->flow->columns;
    check->error = 0;
    for (int64_t i = 0; i < rows; i++)
      if (ladj[i] != -INFINITY) check->error = rh_worst(check->error, fabs(dense[i] - ladj[i]));
  }
  rh_free(dense);
  return status;
}

/* ---- crops ---- */

/* Their own log-determinants, by the crop's flow. */
static rh_status score_crops(rh_density *d, const rh_model *model, int64_t rows, const double *x, double *z, double *ladj) {
  const rh_dense_rows dense = {rows, model->flow->columns + model->flow->context, x};
  const rh_rows all = rh_rows_dense(&dense);
  rh_scorer *scorer;
  RH_TRY(rh_scorer_create(model->flow, &model->values, &d->options, &scorer));
  const rh_status status = rh_score_split(scorer, RH_TASK_BEHIND, &all, 0, rows, z, ladj);
  rh_scorer_destroy(scorer);
  return status;
}

static rh_status compare_crops(rh_density *d, const rh_crop *crop, int64_t rows, const double *x, rh_det_check *check) {
  const rh_model *m = d->model;
  const int64_t width = crop->model->flow->columns + m->flow->context, whole = m->flow->columns + m->flow->context;
  double *y = rh_alloc_zero((size_t)rows, (size_t)width * sizeof *y), *z = rh_alloc_zero((size_t)rows, (size_t)width * sizeof *z),
         *ladj = rh_alloc_zero((size_t)rows, sizeof *ladj);
  rh_status status = y && z && ladj ? RH_OK : RH_E_MEMORY;
  for (int64_t i = 0; i < rows && status == RH_OK; i++) rh_crop_row(crop, m, x + i * whole, y + i * width);
  if (status == RH_OK) status = score_crops(d, crop->model, rows, y, z, ladj);
  if (status == RH_OK) status = compare(d, crop->model, rows, y, ladj, check);
  rh_free(y);
  rh_free(z);
  rh_free(ladj);
  if (status != RH_OK) return status;
  check->method = RH_DET_CROPS;
  check->h = crop->h, check->w = crop->w, check->spread = crop->spread;
  return RH_OK;
}

static rh_status try_crops(rh_density *d, int64_t rows, const double *x, rh_det_check *check) {
  rh_crop crop;
  double operations;
  const rh_status made = rh_crop_make(d->model, RH_JACOBIAN_PIXELS, &crop);
  if (made == RH_E_UNSUPPORTED)
    snprintf(check->why, sizeof check->why, "whole images take too long, and there are no crops: %s", rh_last_error());
  if (made != RH_OK) return made == RH_E_UNSUPPORTED ? RH_OK : made;
  rh_status status = rh_jacobian_rows(crop.model, d->options.isa, CROPS, rows, &rows, &operations);
  if (status == RH_OK && rows == 0)
    snprintf(check->why, sizeof check->why,
             "whole images take too long, and so does the least crop that goes through the flow's squeezes, %lld x %lld", (long long)crop.h,
             (long long)crop.w);
  if (status == RH_OK && rows > 0) status = compare_crops(d, &crop, rows, x, check);
  rh_crop_free(&crop);
  return status;
}

/* ---- the call ---- */

rh_status rh_det_check_run(rh_density *d, int64_t rows, const double *x, const double *ladj, int64_t most, rh_det_check *check) {
  const rh_model *m = d->model;
  const int64_t wanted = most < rows ? most : rows;
  int64_t n;
  *check = (rh_det_check){.error = NAN};
  if (!rh_jacobian_possible(m) || wanted == 0) return RH_OK;
  RH_TRY(rh_jacobian_rows(m, d->options.isa, WHOLE, wanted, &n, &check->operations));
  if (n == 0) return try_crops(d, wanted, x, check);
  check->method = RH_DET_DENSE;
  return compare(d, m, n, x, ladj, check);
}

void rh_det_check_put(const rh_det_check *c, const rh_model *m, json_t *o) {
  static const char *const names[] = {[RH_DET_NONE] = "none", [RH_DET_DENSE] = "dense", [RH_DET_CROPS] = "crops"};
  json_object_set_new(o, "log_det_method", json_string(names[c->method]));
  json_object_set_new(o, "jacobians", json_integer(c->rows));
  json_object_set_new(o, "log_det_error", rh_json_real(c->error));
  if (c->operations > 0) json_object_set_new(o, "jacobian_operations", json_real(c->operations));
  if (c->method == RH_DET_CROPS)
    json_object_set_new(o, "crop", json_pack("[I, I, I]", (json_int_t)c->h, (json_int_t)c->w, (json_int_t)m->image.c));
  if (c->spread) json_object_set_new(o, "crop_leaves_spread", json_integer(c->spread));
  if (*c->why) json_object_set_new(o, "log_det_why", json_string(c->why));
}
