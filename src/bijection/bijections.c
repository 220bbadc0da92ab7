/* The registry of bijections, and what is the same for all of them. */
#include <string.h>

#include "base/memory.h"
#include "bijection/parts.h"
#include "graph/ops.h"

static const rh_bijection_type *const types[] = {
#define BIJECTION(name) &rh_bijection_##name,
#include "bijection/bijections.def"
#undef BIJECTION
};

const rh_bijection_type *const *rh_bijection_types(int *n) {
  *n = (int)RH_COUNT_OF(types);
  return types;
}

static rh_status find_type(const json_t *spec, const char *where, const rh_bijection_type **type) {
  const char *names[RH_COUNT_OF(types) + 1] = {0};
  for (size_t i = 0; i < RH_COUNT_OF(types); i++) names[i] = types[i]->type;
  rh_options o = rh_options_begin(spec, where);
  const int which = rh_options_choice(&o, "type", -1, names);
  if (o.status != RH_OK) return o.status;
  if (which < 0) return rh_fail(RH_E_SPEC, "%s: no \"type\": name the bijection, such as \"coupling\"", where);
  *type = types[which];
  return RH_OK;
}

static rh_status fill(rh_bijection *b, const rh_build *build, rh_spec *spec) {
  RH_TRY(b->type->create(b, build, spec));
  RH_TRY(rh_spec_done(spec));
  b->spec = rh_spec_take(spec);
  return RH_OK;
}

rh_status rh_bijection_create(const rh_build *build, const json_t *spec, const char *where, rh_shape in, rh_bijection **out) {
  const rh_bijection_type *type = NULL;
  RH_TRY(find_type(spec, where, &type));
  rh_bijection *b = rh_alloc_zero(1, type->bytes);
  if (!b) return RH_E_MEMORY;
  *b = (rh_bijection){.type = type, .in = in, .out = in, .exact = true};
  rh_spec s = rh_spec_begin(spec, where, type->type);
  const rh_status status = fill(b, build, &s);
  rh_spec_end(&s);
  if (status != RH_OK) {
    rh_bijection_destroy(b);
    return status;
  }
  *out = b;
  return RH_OK;
}

void rh_bijection_destroy(rh_bijection *b) {
  if (!b) return;
  if (b->type->destroy) b->type->destroy(b);
  json_decref(b->spec);
  rh_free(b);
}

/* What enters a bijection must be a row of its shape. */
static bool fits(rh_graph *g, const char *type, rh_val x, const rh_shape *shape) {
  if (g->status != RH_OK) return false;
  if (!rh_is_none(x) && rh_count(g, x) == rh_shape_count(shape)) return true;
  rh_graph_fail(g, RH_E_SHAPE, "%s: %lld numbers a row come in, it takes %lld", type, (long long)rh_count(g, x),
                (long long)rh_shape_count(shape));
  return false;
}

/* What it gave must be a row of the other shape, and one number, or none, a row. */
static void look_at(rh_graph *g, const char *type, const rh_shape *shape, rh_val *y, rh_val *ladj) {
  if (g->status == RH_OK && rh_count(g, *y) != rh_shape_count(shape))
    rh_graph_fail(g, RH_E_SHAPE, "%s: %lld numbers a row come out, there must be %lld", type, (long long)rh_count(g, *y),
                  (long long)rh_shape_count(shape));
  if (g->status == RH_OK && !rh_is_none(*ladj) && rh_count(g, *ladj) != 1)
    rh_graph_fail(g, RH_E_SHAPE, "%s: its log-determinant has %lld numbers a row, there must be 1: sum them", type,
                  (long long)rh_count(g, *ladj));
  if (g->status != RH_OK) *y = *ladj = RH_NONE;
}

void rh_forward(const rh_bijection *b, rh_graph *g, rh_val x, rh_val context, rh_val noise, rh_val *y, rh_val *ladj) {
  *y = *ladj = RH_NONE;
  if (fits(g, b->type->type, x, &b->in)) b->type->forward(b, g, rh_reshape(g, x, b->in), b->context ? context : RH_NONE, noise, y, ladj);
  look_at(g, b->type->type, &b->out, y, ladj);
}

void rh_inverse(const rh_bijection *b, rh_graph *g, rh_val y, rh_val context, rh_val *x, rh_val *ladj) {
  *x = *ladj = RH_NONE;
  if (!b->type->inverse) {
    rh_graph_fail(g, RH_E_UNSUPPORTED, "%s has no inverse: the model can score but not sample", b->type->type);
  } else if (fits(g, b->type->type, y, &b->out)) {
    b->type->inverse(b, g, rh_reshape(g, y, b->out), b->context ? context : RH_NONE, x, ladj);
  }
  look_at(g, b->type->type, &b->in, x, ladj);
}

void rh_state(const rh_bijection *b, rh_graph *g, rh_val y, rh_val context, double t, rh_val *x) {
  rh_val ladj = RH_NONE;
  if (!b->type->state && !b->type->rounds) {
    rh_inverse(b, g, y, context, x, &ladj);
    return;
  }
  *x = RH_NONE;
  if (!fits(g, b->type->type, y, &b->out)) return;
  if (b->type->rounds)
    *x = rh_reshape(g, y, b->in);
  else
    b->type->state(b, g, rh_reshape(g, y, b->out), b->context ? context : RH_NONE, t, x);
  look_at(g, b->type->type, &b->in, x, &ladj);
}

int64_t rh_bijection_parts(const rh_bijection *b, rh_bijection *const **parts) {
  return b->type->parts ? b->type->parts(b, parts) : 0;
}

rh_bijection *rh_bijection_within(const rh_bijection *b) {
  return b->type->within ? b->type->within(b) : NULL;
}

void rh_bijection_probes(const rh_bijection *b, bool *probe) {
  rh_bijection *const *parts;
  const int64_t n = rh_bijection_parts(b, &parts);
  for (int64_t i = 0; i < n; i++) {
    rh_bijection_probes(parts[i], probe);
    probe += parts[i]->noise;
  }
  for (int64_t i = 0; i < b->noise && !n; i++) probe[i] = b->exact;
}

/* true: what comes behind does not see the columns as they enter b: there is the box, or a part that rescales. */
static bool find_box(const rh_bijection *b, double *box) {
  rh_bijection *const *parts;
  const int64_t n = rh_bijection_parts(b, &parts);
  *box = b->type->box ? b->type->box(b) : 0;
  bool found = *box != 0 || b->type->rescales;
  for (int64_t i = 0; i < n && !found; i++) found = find_box(parts[i], box);
  const rh_bijection *within = found ? NULL : rh_bijection_within(b);
  return within ? find_box(within, box) : found;
}
double rh_bijection_box(const rh_bijection *b) {
  double box;
  return find_box(b, &box) ? box : 0;
}

/* ---- for the parts ---- */
rh_status rh_need_vector(const rh_bijection *b, rh_spec *spec) {
  if (b->in.rank == 1) return RH_OK;
  return spec->o.status = rh_fail(RH_E_SHAPE, "%s: %s takes vectors, here come %d dimensions", spec->o.where, b->type->type, b->in.rank);
}

rh_status rh_need_image(const rh_bijection *b, rh_spec *spec) {
  if (b->in.rank == 3) return RH_OK;
  return spec->o.status =
             rh_fail(RH_E_SHAPE, "%s: %s takes images, here come %lld columns: put {\"type\": \"image\", \"shape\": [h, w, c]} before it",
                     spec->o.where, b->type->type, (long long)rh_shape_count(&b->in));
}

rh_status rh_need_channels(const rh_bijection *b, rh_spec *spec, rh_channels *c) {
  if (b->in.rank == 3) {
    *c = (rh_channels){b->in.dim[2], b->in.dim[0] * b->in.dim[1]};
    return RH_OK;
  }
  RH_TRY(rh_need_vector(b, spec));
  *c = (rh_channels){b->in.dim[0], 1};
  return RH_OK;
}

rh_val rh_spread(const rh_bijection *b, rh_graph *g, rh_val v) {
  return b->in.rank == 3 ? rh_over_pixels(g, v, b->in) : v;
}

rh_val rh_each_pixel(const rh_channels *c, rh_graph *g, rh_val ladj) {
  return c->pixels == 1 ? ladj : rh_mulc(g, ladj, (double)c->pixels);
}

rh_status rh_state_add(const rh_build *build, const char *name, rh_shape shape, double fill_with, const double *values, int *leaf) {
  const rh_init init = {values ? RH_INIT_VALUES : RH_INIT_CONSTANT, fill_with, values};
  return rh_leaf_add(build->leaves, RH_STATE, shape, init, false, leaf, "%s.%s", build->prefix, name);
}

rh_status rh_read_columns(rh_spec *spec, int64_t d, rh_arena *arena, rh_column_list *list, int32_t **index) {
  *list = (rh_column_list){rh_spec_json(spec, "columns"), 0};
  if (!list->list) return rh_spec_status(spec);
  if (!json_is_array(list->list)) return rh_spec_fail(spec, "columns", "expected an array of objects, one a column");
  list->n = (int64_t)json_array_size(list->list);
  *index = rh_arena_alloc(arena, (size_t)(list->n + 1) * sizeof **index);
  bool *used = rh_arena_alloc(arena, (size_t)d);
  if (!*index || !used) return RH_E_MEMORY;
  for (int64_t i = 0; i < list->n; i++) {
    const json_t *column = json_object_get(json_array_get(list->list, (size_t)i), "column");
    const json_int_t j = json_is_integer(column) ? json_integer_value(column) : -1;
    if (j < 0 || j >= d) return rh_spec_fail(spec, "columns", "entry %lld: \"column\" must be 0 to %lld", (long long)i, (long long)d - 1);
    if (used[j]) return rh_spec_fail(spec, "columns", "entry %lld: column %lld comes twice", (long long)i, (long long)j);
    used[j] = true;
    (*index)[i] = (int32_t)j;
  }
  rh_spec_set(spec, "columns", json_incref((json_t *)(uintptr_t)list->list));
  return rh_spec_status(spec);
}
