#include "density/context.h"

#include <math.h>
#include <string.h>

#include "base/memory.h"
#include "graph/ops.h"

static const char *const kind_names[] = {"standardize", "one-hot", "embedding", "drop", NULL};

/* ---- making one ---- */

static rh_status read_numbers(rh_spec *spec, rh_context_encoder *e, rh_context_column *c, const json_t *list) {
  double *values = rh_arena_alloc(&e->arena, (size_t)c->n * sizeof *values);
  if (!values) return RH_E_MEMORY;
  for (int64_t i = 0; i < c->n; i++) {
    const json_t *item = json_array_get(list, (size_t)i);
    values[i] = json_number_value(item);
    if (!json_is_number(item) || !(fabs(values[i]) <= 0x1p24) || values[i] != floor(values[i]) || (i && !(values[i] > values[i - 1])))
      return rh_spec_fail(spec, "categories", "number %lld: they must be different texts, or whole numbers from -2^24 to 2^24, ascending",
                          (long long)i);
  }
  c->values = values;
  return RH_OK;
}

/* The texts live as long as e->spec, which holds the same JSON strings. */
static rh_status read_texts(rh_spec *spec, rh_context_encoder *e, rh_context_column *c, const json_t *list) {
  const char **texts = rh_arena_alloc(&e->arena, (size_t)c->n * sizeof *texts);
  double *values = rh_arena_alloc(&e->arena, (size_t)c->n * sizeof *values);
  json_t *seen = json_object();
  rh_status status = texts && values && seen ? RH_OK : RH_E_MEMORY;
  for (int64_t i = 0; i < c->n && status == RH_OK; i++) {
    const char *text = json_string_value(json_array_get(list, (size_t)i));
    if (!text || !*text || json_object_get(seen, text)) {
      status = rh_spec_fail(spec, "categories", "number %lld is no text, is empty, or is there twice", (long long)i);
    } else if (json_object_set_new(seen, text, json_null()) != 0) {
      status = RH_E_MEMORY;
    } else {
      texts[i] = text;
      values[i] = (double)i;
    }
  }
  json_decref(seen);
  c->texts = texts;
  c->values = values;
  return status;
}

static rh_status read_categories(rh_spec *spec, rh_context_encoder *e, rh_context_column *c) {
  const json_t *list = rh_spec_json(spec, "categories");
  const size_t n = json_array_size(list);
  if (n < 1 || n > RH_CONTEXT_CATEGORIES)
    return rh_spec_fail(spec, "categories", "give a list of 1 to %d texts or whole numbers", RH_CONTEXT_CATEGORIES);
  c->n = (int64_t)n;
  const bool texts = json_is_string(json_array_get(list, 0));
  RH_TRY(texts ? read_texts(spec, e, c, list) : read_numbers(spec, e, c, list));
  rh_spec_set(spec, "categories", json_incref((json_t *)(uintptr_t)list));
  return RH_OK;
}

static rh_status read_column(rh_spec *spec, rh_leaves *leaves, rh_context_encoder *e, int64_t i, int64_t columns) {
  rh_context_column *c = &e->column[i];
  c->place = rh_spec_int(spec, "column", columns + i, 0, columns + e->n - 1);
  switch (c->kind) {
    case RH_CONTEXT_STANDARDIZE:
      c->mean = rh_spec_real(spec, "mean", 0, -1e37, 1e37);
      c->scale = rh_spec_real(spec, "scale", 1, 1e-37, 1e37);
      c->width = 1;
      break;
    case RH_CONTEXT_ONE_HOT:
      RH_TRY(read_categories(spec, e, c));
      c->width = c->n;
      break;
    case RH_CONTEXT_EMBEDDING:
      RH_TRY(read_categories(spec, e, c));
      c->width = rh_spec_int(spec, "width", c->n < 100 ? (c->n + 1) / 2 : 50, 1, RH_CONTEXT_WIDTH);
      RH_TRY(rh_spec_status(spec));
      RH_TRY(rh_leaf_add(leaves, RH_PARAM, rh_shape2(c->n, c->width), (rh_init){RH_INIT_NORMAL, 1, NULL}, true, &c->weight,
                         "context.%lld.weight", (long long)i));
      break;
    case RH_CONTEXT_DROP:
      break;
  }
  return rh_spec_done(spec);
}

static rh_status create_column(rh_leaves *leaves, const json_t *entry, rh_context_encoder *e, int64_t i, int64_t columns) {
  char where[RH_WHERE_BYTES];
  snprintf(where, sizeof where, "context_encoder[%lld]", (long long)i);
  rh_options o = rh_options_begin(entry, where);
  const int kind = rh_options_choice(&o, "type", -1, kind_names);
  if (o.status != RH_OK) return o.status;
  if (kind < 0) return rh_fail(RH_E_SPEC, "%s: no \"type\": give \"standardize\", \"one-hot\", \"embedding\" or \"drop\"", where);
  e->column[i].kind = (rh_context_kind)kind;
  rh_spec spec = rh_spec_begin(entry, where, kind_names[kind]);
  rh_status status = read_column(&spec, leaves, e, i, columns);
  for (int64_t k = 0; k < i && status == RH_OK; k++)
    if (e->column[k].place == e->column[i].place) status = rh_spec_fail(&spec, "column", "two entries have the same");
  if (status == RH_OK && json_array_append_new(e->spec, rh_spec_take(&spec)) != 0) status = RH_E_MEMORY;
  rh_spec_end(&spec);
  return status;
}

static rh_status fill(rh_leaves *leaves, const json_t *spec, int64_t columns, int64_t context, rh_context_encoder *e) {
  if (!json_is_array(spec) || (int64_t)json_array_size(spec) != context)
    return rh_fail(RH_E_SPEC, "context_encoder: give one entry for each of the %lld context columns", (long long)context);
  e->n = context;
  e->column = rh_arena_alloc(&e->arena, (size_t)context * sizeof *e->column);
  e->spec = json_array();
  if (!e->column || !e->spec) return RH_E_MEMORY;
  for (int64_t i = 0; i < context; i++) {
    RH_TRY(create_column(leaves, json_array_get(spec, (size_t)i), e, i, columns));
    e->features += e->column[i].width;
  }
  return e->features > 0 ? RH_OK : rh_fail(RH_E_SPEC, "context_encoder: every column is dropped: nothing is left to condition on");
}

rh_status rh_context_encoder_create(rh_leaves *leaves, const json_t *spec, int64_t columns, int64_t context, rh_context_encoder **out) {
  rh_context_encoder *e = rh_alloc_zero(1, sizeof *e);
  if (!e) return RH_E_MEMORY;
  const rh_status status = fill(leaves, spec, columns, context, e);
  if (status != RH_OK) {
    rh_context_encoder_destroy(e);
    return status;
  }
  *out = e;
  return RH_OK;
}

void rh_context_encoder_destroy(rh_context_encoder *e) {
  if (!e) return;
  json_decref(e->spec);
  rh_arena_free(&e->arena);
  rh_free(e);
}

/* ---- the graph ---- */

/* All standardized columns as one vector, or none. */
static rh_val standardized(const rh_context_encoder *e, rh_graph *g, rh_val context) {
  int32_t *index = rh_arena_alloc(&g->arena, (size_t)e->n * sizeof *index);
  double *mean = rh_arena_alloc(&g->arena, 2 * (size_t)e->n * sizeof *mean), *scale = mean ? mean + e->n : NULL;
  if (!index || !mean) return rh_graph_fail(g, RH_E_MEMORY, "out of memory for the context");
  int64_t n = 0;
  for (int64_t i = 0; i < e->n; i++) {
    if (e->column[i].kind != RH_CONTEXT_STANDARDIZE) continue;
    index[n] = (int32_t)i;
    mean[n] = e->column[i].mean;
    scale[n++] = e->column[i].scale;
  }
  if (n == 0) return RH_NONE;
  const rh_shape shape = rh_shape1(n);
  const rh_val x = n == e->n ? context : rh_gather(g, context, shape, index);
  return rh_div(g, rh_sub(g, x, rh_const_values(g, shape, mean)), rh_const_values(g, shape, scale));
}

/* 1 at the category that v is, else 0: v and the categories are whole numbers. A product with it picks a row of the embedding, exactly. */
static rh_val category(const rh_context_encoder *e, rh_graph *g, rh_val context, int64_t i) {
  const rh_context_column *c = &e->column[i];
  const rh_val far = rh_abs(g, rh_sub(g, rh_slice(g, context, i, 1), rh_const_values(g, rh_shape1(c->n), c->values)));
  const rh_val hot = rh_step(g, rh_addc(g, rh_neg(g, far), 0.5));
  return c->kind == RH_CONTEXT_EMBEDDING ? rh_linear_t(g, hot, rh_leaf_val(g, c->weight)) : hot;
}

rh_val rh_context_encode(const rh_context_encoder *e, rh_graph *g, rh_val context) {
  if (!e || rh_is_none(context) || g->status != RH_OK) return context;
  rh_val *parts = rh_arena_alloc(&g->arena, (size_t)(e->n + 1) * sizeof *parts);
  if (!parts) return rh_graph_fail(g, RH_E_MEMORY, "out of memory for the context");
  int n = 0;
  const rh_val numbers = standardized(e, g, context);
  if (!rh_is_none(numbers)) parts[n++] = numbers;
  for (int64_t i = 0; i < e->n; i++) {
    if (e->column[i].n > 0) parts[n++] = category(e, g, context, i);
  }
  return n == 1 ? parts[0] : rh_concat(g, n, parts);
}

bool rh_context_known(const rh_context_column *c, double value) {
  if (c->n == 0) return isfinite(value);
  int64_t low = 0, high = c->n - 1;
  while (low < high) {
    const int64_t middle = (low + high) / 2;
    if (c->values[middle] < value) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  return c->values[low] == value;
}
