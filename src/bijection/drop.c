/* Columns that others determine are left out, a surjection: {"columns": [{"column": i, "recipe": RECIPE}, ...]}, rebuilt by the inverse:
 *   {"kind": "constant", "value": v}
 *   {"kind": "copy", "of": j}
 *   {"kind": "linear", "intercept": c, "of": [j, ...], "weights": [w, ...]}       j: columns that stay
 *
 * What the likelihood means: it is the density of the columns that stay, the contribution is 0; what a dropped column holds is not looked
 * at. inverse(forward(x)) = x for rows that follow the recipes. */
#include <string.h>

#include "base/memory.h"
#include "bijection/parts.h"

enum { CONSTANT, COPY, LINEAR };

typedef struct drop {
  rh_bijection b;
  rh_arena arena;
  int64_t kept, constants, linears, terms;
  int32_t *keep;              /* [kept], ascending */
  int32_t *place;             /* [d]: where a column stays, or -1 */
  double *value;              /* [constants] */
  double *intercept, *weight; /* [linears], [terms] */
  int32_t *term_of, *term_to; /* [terms]: place read, number of the combination */
  int32_t *back;              /* [d]: where a column lies in (kept, constants, linears) */
} drop;

/* A column that stays, by its number in the data. */
static rh_status place_of(const drop *p, const json_t *of, const char *where, int32_t *place) {
  const json_int_t j = json_is_integer(of) ? json_integer_value(of) : -1;
  if (j < 0 || j >= rh_columns_of(&p->b) || p->place[j] < 0)
    return rh_fail(RH_E_SPEC, "%s.recipe: \"of\" must name columns that stay, 0 to %lld", where, (long long)rh_columns_of(&p->b) - 1);
  *place = p->place[j];
  return RH_OK;
}

static rh_status read_linear(drop *p, const json_t *of, const json_t *weights, double intercept, const char *where) {
  const size_t n = json_array_size(of);
  if (!json_is_array(of) || !json_is_array(weights) || json_array_size(weights) != n)
    return rh_fail(RH_E_SPEC, "%s.recipe: \"of\" and \"weights\" must be arrays of one length", where);
  for (size_t t = 0; t < n; t++) {
    RH_TRY(place_of(p, json_array_get(of, t), where, &p->term_of[p->terms]));
    const json_t *w = json_array_get(weights, t);
    if (!json_is_number(w)) return rh_fail(RH_E_SPEC, "%s.recipe: weight %zu is no number", where, t);
    p->weight[p->terms] = json_number_value(w);
    p->term_to[p->terms++] = (int32_t)p->linears;
  }
  p->intercept[p->linears++] = intercept;
  return RH_OK;
}

/* back: constants and combinations counted from 0; put behind the kept columns afterwards. */
static rh_status read_recipe(drop *p, const json_t *recipe, const char *where, int32_t column, int *kind) {
  static const char *const kinds[] = {"constant", "copy", "linear", NULL};
  rh_options o = rh_options_begin(recipe, where);
  *kind = rh_options_choice(&o, "kind", CONSTANT, kinds);
  const double value = rh_options_real(&o, "value", 0, -1e300, 1e300), intercept = rh_options_real(&o, "intercept", 0, -1e300, 1e300);
  const json_t *of = rh_options_json(&o, "of"), *weights = rh_options_json(&o, "weights");
  (void)rh_options_real(&o, "error", 0, 0, 1e300); /* what the combination leaves: for people */
  RH_TRY(rh_options_done(&o));
  if (*kind == COPY) return place_of(p, of, where, &p->back[column]);
  if (*kind == LINEAR) {
    p->back[column] = (int32_t)p->linears;
    return read_linear(p, of, weights, intercept, where);
  }
  p->back[column] = (int32_t)p->constants;
  p->value[p->constants++] = value;
  return RH_OK;
}

static rh_status make_room(drop *p, int64_t d, const rh_column_list *list, const int32_t *column) {
  int64_t terms = 0;
  for (int64_t i = 0; i < list->n; i++)
    terms += (int64_t)json_array_size(json_object_get(json_object_get(json_array_get(list->list, (size_t)i), "recipe"), "of"));
  int32_t *ints = rh_arena_alloc(&p->arena, (size_t)(3 * d + 2 * terms + 1) * sizeof *ints);
  double *reals = rh_arena_alloc(&p->arena, (size_t)(2 * list->n + terms + 1) * sizeof *reals);
  if (!ints || !reals) return RH_E_MEMORY;
  p->keep = ints, p->place = ints + d, p->back = ints + 2 * d, p->term_of = ints + 3 * d, p->term_to = p->term_of + terms;
  p->value = reals, p->intercept = reals + list->n, p->weight = reals + 2 * list->n;
  for (int64_t i = 0; i < list->n; i++) p->place[column[i]] = -1;
  for (int32_t j = 0; j < d; j++) {
    if (p->place[j] < 0) continue;
    p->place[j] = (int32_t)p->kept;
    p->back[j] = p->place[j];
    p->keep[p->kept++] = j;
  }
  return RH_OK;
}

static rh_status read_list(drop *p, rh_spec *spec, const rh_column_list *list, const int32_t *column) {
  int *kind = rh_alloc((size_t)(list->n + 1) * sizeof *kind);
  if (!kind) return RH_E_MEMORY;
  rh_status status = RH_OK;
  for (int64_t i = 0; i < list->n && status == RH_OK; i++) {
    char where[RH_WHERE_BYTES];
    rh_spec_where(spec, "columns", i, where);
    rh_options o = rh_options_begin(json_array_get(list->list, (size_t)i), where);
    (void)rh_options_json(&o, "column"), (void)rh_options_json(&o, "reason");
    const json_t *recipe = rh_options_json(&o, "recipe");
    status = rh_options_done(&o);
    if (status == RH_OK) status = read_recipe(p, recipe, where, column[i], &kind[i]);
  }
  for (int64_t i = 0; i < list->n && status == RH_OK; i++)
    if (kind[i] != COPY) p->back[column[i]] += (int32_t)(p->kept + (kind[i] == LINEAR ? p->constants : 0));
  rh_free(kind);
  return status;
}

static rh_status drop_create(rh_bijection *b, const rh_build *build, rh_spec *spec) {
  drop *p = (drop *)b;
  const int64_t d = rh_columns_of(b);
  (void)build;
  RH_TRY(rh_need_vector(b, spec));
  rh_column_list list;
  int32_t *column = NULL;
  RH_TRY(rh_read_columns(spec, d, &p->arena, &list, &column));
  if (list.n >= d) return rh_spec_fail(spec, "columns", "all %lld columns are dropped: one must stay", (long long)d);
  RH_TRY(make_room(p, d, &list, column));
  RH_TRY(read_list(p, spec, &list, column));
  b->out = rh_shape1(p->kept);
  b->exact = list.n == 0;
  return RH_OK;
}

static void drop_forward(const rh_bijection *b, rh_graph *g, rh_val x, rh_val context, rh_val noise, rh_val *y, rh_val *ladj) {
  (void)context, (void)noise, (void)ladj;
  *y = rh_gather(g, x, b->out, ((const drop *)b)->keep);
}

static rh_val combinations(const drop *p, rh_graph *g, rh_val y) {
  const rh_val intercept = rh_const_values(g, rh_shape1(p->linears), p->intercept);
  if (!p->terms) return intercept;
  const rh_shape s = rh_shape1(p->terms);
  const rh_val term = rh_mul(g, rh_gather(g, y, s, p->term_of), rh_const_values(g, s, p->weight));
  return rh_add(g, rh_scatter(g, term, rh_shape1(p->linears), p->term_to), intercept);
}

static void drop_inverse(const rh_bijection *b, rh_graph *g, rh_val y, rh_val context, rh_val *x, rh_val *ladj) {
  const drop *p = (const drop *)b;
  rh_val parts[3] = {y};
  int n = 1;
  (void)context, (void)ladj;
  if (p->constants) parts[n++] = rh_const_values(g, rh_shape1(p->constants), p->value);
  if (p->linears) parts[n++] = combinations(p, g, y);
  *x = rh_gather(g, rh_concat(g, n, parts), b->in, p->back);
}

static void drop_destroy(rh_bijection *b) {
  rh_arena_free(&((drop *)b)->arena);
}

const rh_bijection_type rh_bijection_drop = {.type = "drop",
                                             .bytes = sizeof(drop),
                                             .create = drop_create,
                                             .forward = drop_forward,
                                             .inverse = drop_inverse,
                                             .destroy = drop_destroy};
