/* Uniform dequantization (Uria et al. 2013; Theis et al. 2016, section 3.1), a surjection: y = x + step u for the listed columns, u uniform
 * in (0, 1). {"columns": [{"column": i, "step": s, "offset": o} or {"column": i, "step": s, "levels": [x, ...]}, ...]}; absent: every
 * column, of whole numbers, and {"levels": n} says that they are 0 to n - 1 (an image's: 256), so that the inverse gives no other.
 *
 * What the likelihood means: P(x) = integral of p(y) over [x, x + step) = E_u[step p(y)], so E_u[p(y)] is the mean density of x's cell, in
 * nats per row of the data in their own units: the contribution is 0, and E_u[log p(y)] is at most log E_u[p(y)].
 *
 * The inverse goes to the grid: x = offset + step floor((y - offset) / step), or to the greatest level <= y (the least one below all). */
#include <string.h>

#include "base/memory.h"
#include "bijection/parts.h"

typedef struct dequantize {
  rh_bijection b;
  rh_arena arena;
  int32_t *spread; /* [d]: which noise number a column gets, -1: none */
  double *step;    /* [noise], in the order of the list */
  bool whole;      /* every column, whole numbers: nothing below is there but */
  int64_t levels;  /* 0 to levels - 1; 0: any */
  int64_t grids;   /* columns on a grid */
  int32_t *grid_column;
  double *grid_step, *grid_offset;   /* [grids] */
  int64_t tables, pairs;             /* columns with levels; (column, level) pairs of all of them */
  int32_t *pair_column, *pair_table; /* [pairs] */
  double *level, *from, *to;         /* [pairs]: x is the level where from <= y < to */
  int32_t *table_column;             /* [tables] */
  int64_t rest;
  int32_t *rest_column, *back; /* columns that pass [rest]; where a column lies in (rest, grids, tables) [d] */
} dequantize;

static const double FAR = 3e38;

static rh_status add_levels(dequantize *q, const json_t *levels, const char *where, int32_t column) {
  const size_t n = json_array_size(levels);
  if (!json_is_array(levels) || n < 1) return rh_fail(RH_E_SPEC, "%s.levels: expected an array of ascending numbers", where);
  for (size_t k = 0; k < n; k++) {
    const json_t *item = json_array_get(levels, k);
    const double x = json_number_value(item);
    if (!json_is_number(item) || !(x > -FAR && x < FAR) || (k && !(x > q->level[q->pairs - 1])))
      return rh_fail(RH_E_SPEC, "%s.levels: entry %zu is no number above the one before it", where, k);
    q->level[q->pairs] = x;
    q->from[q->pairs] = k ? x : -FAR;
    q->to[q->pairs] = FAR;
    if (k) q->to[q->pairs - 1] = x;
    q->pair_column[q->pairs] = column;
    q->pair_table[q->pairs++] = (int32_t)q->tables;
  }
  q->table_column[q->tables++] = column;
  return RH_OK;
}

static rh_status read_column(dequantize *q, const json_t *entry, const char *where, int64_t i, int32_t column) {
  rh_options o = rh_options_begin(entry, where);
  (void)rh_options_json(&o, "column");
  const double step = rh_options_real(&o, "step", 1, 1e-37, 1e37), offset = rh_options_real(&o, "offset", 0, -1e37, 1e37);
  const json_t *levels = rh_options_json(&o, "levels");
  RH_TRY(rh_options_done(&o));
  q->step[i] = step;
  q->spread[column] = (int32_t)i;
  if (levels) return add_levels(q, levels, where, column);
  q->grid_column[q->grids] = column;
  q->grid_step[q->grids] = step;
  q->grid_offset[q->grids++] = offset;
  return RH_OK;
}

static rh_status make_room(dequantize *q, int64_t d, int64_t n, int64_t pairs) {
  rh_arena *a = &q->arena;
  int32_t *ints = rh_arena_alloc(a, (size_t)(3 * d + 2 * n + 2 * pairs + 1) * sizeof *ints);
  double *reals = rh_arena_alloc(a, (size_t)(3 * n + 3 * pairs + 1) * sizeof *reals);
  if (!ints || !reals) return RH_E_MEMORY;
  q->spread = ints, q->rest_column = ints + d, q->back = ints + 2 * d, q->grid_column = ints + 3 * d;
  q->table_column = q->grid_column + n, q->pair_column = q->table_column + n, q->pair_table = q->pair_column + pairs;
  q->step = reals, q->grid_step = reals + n, q->grid_offset = reals + 2 * n;
  q->level = reals + 3 * n, q->from = q->level + pairs, q->to = q->from + pairs;
  for (int64_t j = 0; j < d; j++) q->spread[j] = q->back[j] = -1;
  return RH_OK;
}

static void order_columns(dequantize *q, int64_t d) {
  int32_t at = (int32_t)(d - q->grids - q->tables), next = 0;
  q->rest = at;
  for (int64_t i = 0; i < q->grids; i++) q->back[q->grid_column[i]] = at++;
  for (int64_t i = 0; i < q->tables; i++) q->back[q->table_column[i]] = at++;
  for (int32_t j = 0; j < d; j++)
    if (q->back[j] < 0) q->rest_column[next] = j, q->back[j] = next++;
}

/* Every column alike: no list is made, whatever their number. */
static rh_status create_whole(dequantize *q, rh_spec *spec) {
  q->whole = true;
  q->b.noise = rh_columns_of(&q->b);
  q->b.exact = false;
  if (rh_options_json(&spec->o, "levels")) q->levels = rh_spec_int(spec, "levels", 0, 1, 1 << 24);
  return rh_spec_status(spec);
}

static rh_status dequantize_create(rh_bijection *b, const rh_build *build, rh_spec *spec) {
  dequantize *q = (dequantize *)b;
  const int64_t d = rh_columns_of(b);
  (void)build;
  RH_TRY(rh_need_vector(b, spec));
  rh_column_list list;
  int32_t *column;
  RH_TRY(rh_read_columns(spec, d, &q->arena, &list, &column));
  if (!list.list) return create_whole(q, spec);
  int64_t pairs = 0;
  for (int64_t i = 0; i < list.n; i++) pairs += (int64_t)json_array_size(json_object_get(json_array_get(list.list, (size_t)i), "levels"));
  b->noise = list.n;
  b->exact = b->noise == 0;
  RH_TRY(make_room(q, d, b->noise, pairs));
  for (int64_t i = 0; i < b->noise; i++) {
    char where[RH_WHERE_BYTES];
    rh_spec_where(spec, "columns", i, where);
    RH_TRY(read_column(q, json_array_get(list.list, (size_t)i), where, i, column[i]));
  }
  order_columns(q, d);
  return RH_OK;
}

static void dequantize_forward(const rh_bijection *b, rh_graph *g, rh_val x, rh_val context, rh_val noise, rh_val *y, rh_val *ladj) {
  const dequantize *q = (const dequantize *)b;
  (void)context, (void)ladj;
  *y = x;
  if (!b->noise) return;
  if (q->whole) {
    *y = rh_add(g, x, noise);
    return;
  }
  const rh_val steps = rh_mul(g, noise, rh_const_values(g, rh_shape1(b->noise), q->step));
  *y = rh_add(g, x, rh_gather(g, steps, b->in, q->spread));
}

static rh_val grid_inverse(const dequantize *q, rh_graph *g, rh_val y) {
  const rh_shape s = rh_shape1(q->grids);
  const rh_val step = rh_const_values(g, s, q->grid_step), offset = rh_const_values(g, s, q->grid_offset);
  const rh_val cell = rh_floor(g, rh_div(g, rh_sub(g, rh_gather(g, y, s, q->grid_column), offset), step));
  return rh_add(g, offset, rh_mul(g, cell, step));
}

/* Of a column's levels exactly one is counted, so their sum is that level to the last bit. */
static rh_val table_inverse(const dequantize *q, rh_graph *g, rh_val y) {
  const rh_shape s = rh_shape1(q->pairs);
  const rh_val each = rh_gather(g, y, s, q->pair_column);
  const rh_val below = rh_step(g, rh_sub(g, rh_const_values(g, s, q->to), each)),
               not_yet = rh_step(g, rh_sub(g, rh_const_values(g, s, q->from), each));
  const rh_val level = rh_mul(g, rh_sub(g, below, not_yet), rh_const_values(g, s, q->level));
  return rh_scatter(g, level, rh_shape1(q->tables), q->pair_table);
}

static void dequantize_inverse(const rh_bijection *b, rh_graph *g, rh_val y, rh_val context, rh_val *x, rh_val *ladj) {
  const dequantize *q = (const dequantize *)b;
  rh_val parts[3];
  int n = 0;
  (void)context, (void)ladj;
  if (q->whole) {
    *x = rh_floor(g, y);
    if (q->levels) *x = rh_minc(g, rh_maxc(g, *x, 0), (double)(q->levels - 1));
    return;
  }
  if (q->rest) parts[n++] = rh_gather(g, y, rh_shape1(q->rest), q->rest_column);
  if (q->grids) parts[n++] = grid_inverse(q, g, y);
  if (q->tables) parts[n++] = table_inverse(q, g, y);
  *x = rh_gather(g, rh_concat(g, n, parts), b->in, q->back);
}

static void dequantize_destroy(rh_bijection *b) {
  rh_arena_free(&((dequantize *)b)->arena);
}

const rh_bijection_type rh_bijection_dequantize = {.type = "dequantize",
                                                   .bytes = sizeof(dequantize),
                                                   .create = dequantize_create,
                                                   .forward = dequantize_forward,
                                                   .inverse = dequantize_inverse,
                                                   .rounds = true,
                                                   .destroy = dequantize_destroy};
