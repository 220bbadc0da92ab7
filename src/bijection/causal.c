#include "bijection/causal.h"

#include <string.h>

#include "base/memory.h"
#include "bijection/order.h"

enum { GRAPH_COLUMNS = 4096 }; /* a graph's table has their square */

/* ---- an order ---- */

static int64_t natural(int64_t i, int64_t d) {
  (void)d;
  return i;
}
static const rh_named_order orders[] = {{"natural", natural}, {"reversed", rh_order_reversed}, {"random", NULL}, {NULL, NULL}};

static rh_status chain(rh_order *o, int64_t d) {
  o->end = rh_alloc((size_t)d * sizeof *o->end);
  if (!o->end) return RH_E_MEMORY;
  for (int64_t i = 0; i < d; i++) o->end[i] = i + 1;
  o->causal = (rh_causal){d, d, o->end, NULL};
  return RH_OK;
}

/* ---- a graph ---- */

/* table [d, d]: column i may depend on j. */
static rh_status read_table(rh_spec *spec, const json_t *graph, int64_t d, bool *table) {
  if (!json_is_array(graph) || (int64_t)json_array_size(graph) != d)
    return rh_spec_fail(spec, "graph", "must be a list of %lld lists: for each column those that it may depend on", (long long)d);
  for (int64_t i = 0; i < d; i++) {
    const json_t *list = json_array_get(graph, (size_t)i);
    if (!json_is_array(list)) return rh_spec_fail(spec, "graph", "entry %lld is no list of columns", (long long)i);
    for (size_t k = 0; k < json_array_size(list); k++) {
      const json_t *item = json_array_get(list, k);
      const json_int_t j = json_is_integer(item) ? json_integer_value(item) : -1;
      if (j < 0 || j >= d)
        return rh_spec_fail(spec, "graph", "entry %lld: columns are whole numbers 0 to %lld", (long long)i, (long long)d - 1);
      if (j == i) return rh_spec_fail(spec, "graph", "column %lld depends on itself", (long long)i);
      table[i * d + j] = true;
    }
  }
  return RH_OK;
}

/* Columns that wait for each other: follow any unplaced parent until one comes again. */
static rh_status cycle(rh_spec *spec, int64_t d, const bool *table, const int64_t *level) {
  int64_t at = 0, seen = 0;
  while (level[at] >= 0) at++;
  for (; seen <= d; seen++) { /* after d steps the walk is on a cycle */
    int64_t j = 0;
    while (!table[at * d + j] || level[j] >= 0) j++;
    if (seen == d)
      return rh_spec_fail(spec, "graph", "has a cycle: column %lld depends on column %lld, which depends on it in turn", (long long)at,
                          (long long)j);
    at = j;
  }
  return RH_OK;
}

/* level[i]: one above the highest of its parents. Columns are placed as soon as none of their parents is waited for (Kahn 1962). */
static rh_status find_levels(rh_spec *spec, int64_t d, const bool *table, int64_t *level, int64_t *levels) {
  int64_t *queue = rh_alloc(2 * (size_t)d * sizeof *queue), *waits = queue ? queue + d : NULL, placed = 0;
  if (!queue) return RH_E_MEMORY;
  for (int64_t i = 0; i < d; i++) {
    level[i] = -1, waits[i] = 0;
    for (int64_t j = 0; j < d; j++) waits[i] += table[i * d + j];
    if (!waits[i]) level[i] = 0, queue[placed++] = i;
  }
  for (int64_t at = 0; at < placed; at++)
    for (int64_t i = 0, j = queue[at]; i < d; i++)
      if (table[i * d + j] && --waits[i] == 0) level[i] = level[j] + 1, queue[placed++] = i;
  *levels = placed ? level[queue[placed - 1]] + 1 : 0; /* they are placed level by level */
  rh_free(queue);
  return placed == d ? RH_OK : cycle(spec, d, table, level);
}

static rh_status sort_graph(rh_order *o, rh_spec *spec, int64_t d, const bool *table, int64_t *level, int64_t *out) {
  int64_t levels = 0, n = 0;
  RH_TRY(find_levels(spec, d, table, level, &levels));
  o->end = rh_alloc((size_t)levels * sizeof *o->end);
  o->parents = rh_alloc_zero((size_t)(d * d), sizeof *o->parents);
  if (!o->end || !o->parents) return RH_E_MEMORY;
  for (int64_t l = 0; l < levels; l++) {
    for (int64_t i = 0; i < d; i++)
      if (level[i] == l) out[n++] = i;
    o->end[l] = n;
  }
  for (int64_t i = 0; i < d; i++)
    for (int64_t j = 0; j < d; j++) o->parents[i * d + j] = table[out[i] * d + out[j]];
  o->causal = (rh_causal){d, levels, o->end, o->parents};
  return RH_OK;
}

static rh_status read_graph(rh_order *o, rh_spec *spec, const json_t *graph, int64_t d, int64_t *out) {
  if (rh_spec_json(spec, "order")) return rh_spec_fail(spec, "order", "the graph gives the order: leave one of them out");
  if (d > GRAPH_COLUMNS) return rh_spec_fail(spec, "graph", "at most %d columns", GRAPH_COLUMNS);
  bool *table = rh_alloc_zero((size_t)(d * d), sizeof *table);
  int64_t *level = rh_alloc((size_t)d * sizeof *level);
  rh_status status = table && level ? read_table(spec, graph, d, table) : RH_E_MEMORY;
  if (status == RH_OK) status = sort_graph(o, spec, d, table, level, out);
  if (status == RH_OK) rh_spec_set(spec, "graph", json_incref((json_t *)(uintptr_t)graph));
  rh_free(table);
  rh_free(level);
  return status;
}

/* ---- both ---- */

static rh_status read_either(rh_order *o, rh_spec *spec, int64_t d, int64_t *out) {
  const json_t *graph = rh_spec_json(spec, "graph");
  if (graph) return read_graph(o, spec, graph, d, out);
  RH_TRY(rh_read_whole_order(spec, d, orders, out));
  return chain(o, d);
}

rh_status rh_order_read(rh_order *o, rh_spec *spec, int64_t d) {
  int64_t *out = rh_alloc((size_t)d * sizeof *out);
  o->index = rh_alloc(2 * (size_t)d * sizeof *o->index);
  rh_status status = out && o->index ? read_either(o, spec, d, out) : RH_E_MEMORY;
  if (status == RH_OK) {
    o->back = o->index + d;
    o->natural = true;
    for (int64_t i = 0; i < d; i++) {
      o->index[i] = (int32_t)out[i];
      o->back[out[i]] = (int32_t)i;
      o->natural &= out[i] == i;
    }
  }
  rh_free(out);
  return status;
}

void rh_order_free(rh_order *o) {
  rh_free(o->index);
  rh_free(o->end);
  rh_free(o->parents);
  *o = (rh_order){0};
}

rh_val rh_order_sort(const rh_order *o, rh_graph *g, rh_val x) {
  return o->natural ? x : rh_gather(g, x, rh_shape1(o->causal.columns), o->index);
}

rh_val rh_order_unsort(const rh_order *o, rh_graph *g, rh_val x) {
  return o->natural ? x : rh_gather(g, x, rh_shape1(o->causal.columns), o->back);
}
