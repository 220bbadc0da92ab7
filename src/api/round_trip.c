#include "api/round_trip.h"

#include <string.h>

#include "base/memory.h"
#include "density/front.h"

rh_status rh_round_trip_alloc(const rh_flow *f, int64_t rows, rh_round_trip *t) {
  const int64_t width = rh_front_width(f), c = f->context;
  const size_t n = (size_t)rows + 1;
  *t = (rh_round_trip){.y = rh_alloc_zero(n, (size_t)(width + c) * sizeof(double)),
                       .z = rh_alloc_zero(n, (size_t)(f->latent + c) * sizeof(double)),
                       .back = rh_alloc_zero(n, (size_t)width * sizeof(double)),
                       .ladj = rh_alloc_zero(n, sizeof(double)),
                       .ladj_back = rh_alloc_zero(n, sizeof(double))};
  return t->y && t->z && t->back && t->ladj && t->ladj_back ? RH_OK : RH_E_MEMORY;
}

void rh_round_trip_free(rh_round_trip *t) {
  double *const blocks[] = {t->y, t->z, t->back, t->ladj, t->ladj_back};
  for (size_t i = 0; i < RH_COUNT_OF(blocks); i++) rh_free(blocks[i]);
}

void rh_append_context(const rh_flow *f, const rh_rows *rows, int64_t first, int64_t n, int64_t width, double *data) {
  const int64_t c = f->context;
  for (int64_t i = n - 1; i >= 0 && c; i--) {
    double *row = data + i * (width + c);
    memmove(row, data + i * width, (size_t)width * sizeof *data);
    rows->get(rows->arg, first + i, 1, NULL, rows->columns - c, c, row + width);
  }
}

rh_status rh_round_trip_run(rh_scorer *s, const rh_flow *f, const rh_rows *rows, int64_t first, int64_t n, rh_round_trip *t) {
  const int64_t width = rh_front_width(f), c = f->context;
  const rh_dense_rows y = {n, width + c, t->y}, z = {n, f->latent + c, t->z};
  const rh_rows y_rows = rh_rows_dense(&y), z_rows = rh_rows_dense(&z);
  RH_TRY(rh_score_split(s, RH_TASK_FRONT, rows, first, n, t->y, NULL));
  rh_append_context(f, rows, first, n, width, t->y);
  RH_TRY(rh_score_split(s, RH_TASK_BEHIND, &y_rows, 0, n, t->z, t->ladj));
  rh_append_context(f, rows, first, n, f->latent, t->z);
  return rh_score_split(s, RH_TASK_BEHIND_BACK, &z_rows, 0, n, t->back, t->ladj_back);
}
