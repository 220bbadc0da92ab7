#include "api/box.h"

#include "base/memory.h"

enum { ROWS = 1 << 14, NUMBERS = 1 << 22 }; /* looked at, at most */
static const double TOLD = 0.05, REFUSED = 0.5;

typedef struct look {
  const rh_model *model;
  const rh_rows *rows;
  uint64_t seed;
  const char *where;
  int64_t n, *row;
  double *x, *share, box;
} look;

/* Rows evenly spaced over the table, so that one that is sorted is seen whole. */
static rh_status take_rows(look *l) {
  const int64_t d = l->model->flow->columns, all = l->rows->rows, most = NUMBERS / d < 64 ? 64 : NUMBERS / d;
  l->n = all < ROWS ? all : ROWS;
  if (l->n > most) l->n = most;
  l->x = rh_alloc((size_t)(l->n * d) * sizeof *l->x);
  l->row = rh_alloc((size_t)l->n * sizeof *l->row);
  l->share = rh_alloc((size_t)rh_flow_width(l->model->flow) * sizeof *l->share);
  if (!l->x || !l->row || !l->share) return RH_E_MEMORY;
  for (int64_t i = 0; i < l->n; i++) l->row[i] = (int64_t)((double)i / (double)l->n * (double)all);
  l->rows->get(l->rows->arg, 0, l->n, l->row, 0, d, l->x);
  return RH_OK;
}

static rh_status measure(look *l) {
  rh_pool *pool = NULL;
  RH_TRY(take_rows(l));
  RH_TRY(rh_pool_create(1, &pool));
  rh_values values = l->model->values; /* they are only read */
  const rh_status status = rh_flow_outside(l->model->flow, &values, pool, l->n, l->x, l->seed, l->box, l->share);
  rh_pool_destroy(pool);
  return status;
}

static rh_status tell(const look *l, const char *name, const rh_table *table, const json_t *keep, json_t *warnings) {
  char label[RH_LABEL_BYTES];
  for (int64_t j = 0; j < rh_flow_width(l->model->flow); j++) {
    if (!(l->share[j] > TOLD)) continue;
    const int64_t column = keep ? (int64_t)json_integer_value(json_array_get(keep, (size_t)j)) : j;
    rh_table_label(table, column, label, sizeof label);
    if (l->share[j] > REFUSED)
      return rh_fail(RH_E_DATA,
                     "%s: %s: %.1f %% of the training rows lie outside of the splines' box, [%g, %g] in the flow's own units, where they "
                     "learn nothing: give a larger box (%s), or let the columns be standardized (--handle auto)",
                     name, label, 100 * l->share[j], -l->box, l->box, l->where);
    if (json_array_append_new(warnings,
                              json_sprintf("%s: %.1f %% of the training rows lie outside of the splines' box, [%g, %g] in the flow's own "
                                           "units, where they learn nothing: a larger box (%s) may fit better",
                                           label, 100 * l->share[j], -l->box, l->box, l->where)) != 0)
      return rh_fail(RH_E_MEMORY, "out of memory for the report");
  }
  return RH_OK;
}

rh_status rh_check_box(const rh_model *model, const char *name, const rh_table *table, const json_t *keep, const rh_rows *rows,
                       uint64_t seed, const char *where, json_t **warnings) {
  look l = {.model = model, .rows = rows, .seed = seed, .where = where, .box = rh_flow_box(model->flow)};
  json_t *list = json_array();
  rh_status status = list ? RH_OK : rh_fail(RH_E_MEMORY, "out of memory for the report");
  if (status == RH_OK && l.box > 0) {
    status = measure(&l);
    if (status == RH_OK) status = tell(&l, name, table, keep, list);
  }
  rh_free(l.x);
  rh_free(l.row);
  rh_free(l.share);
  if (status == RH_OK)
    *warnings = list;
  else
    json_decref(list);
  return status;
}
