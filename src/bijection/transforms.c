/* The elementwise transforms: affine, additive, scale; and what is the same for all of them. */
#include "bijection/transform.h"

#include "base/memory.h"
#include "graph/ops.h"

/* ---- affine: y = x e^s + t, s = bound(raw) (RealNVP, Dinh et al. 2017, eq. 7, the log-scale bounded smoothly), or with "scale":
 * "sigmoid" y = x sigmoid(raw + 2) + t (Kingma & Dhariwal 2018, in their code), the sum no less than -80. raw: s, t ---- */
typedef struct affine {
  rh_transform transform;
  double bound;
  bool sigmoid;
} affine;

static rh_status scale_create(rh_transform *t, rh_spec *spec) {
  ((affine *)t)->bound = rh_spec_real(spec, "bound", 5, 0.01, 80);
  return rh_spec_status(spec);
}
/* A scale of e^s is the form without a name: "scale" is written where it is another. */
static rh_status affine_create(rh_transform *t, rh_spec *spec) {
  static const char *const names[] = {"exp", "sigmoid", NULL};
  affine *a = (affine *)t;
  a->sigmoid = rh_options_choice(&spec->o, "scale", 0, names) == 1;
  if (!a->sigmoid) return scale_create(t, spec);
  rh_spec_set(spec, "scale", json_string("sigmoid"));
  return rh_spec_status(spec);
}
static rh_val log_scale(const rh_transform *t, rh_graph *g, const rh_raw *raw) {
  const affine *a = (const affine *)t;
  const rh_val s = rh_raw_some(g, raw, 0, 1);
  if (!a->sigmoid) return rh_bound(g, s, a->bound);
  return rh_neg(g, rh_softplus(g, rh_neg(g, rh_maxc(g, rh_addc(g, s, 2), -80)))); /* log sigmoid */
}
static void affine_forward(const rh_transform *t, rh_graph *g, rh_val x, const rh_raw *raw, rh_val *y, rh_val *ladj) {
  *ladj = log_scale(t, g, raw);
  *y = rh_add(g, rh_mulexp(g, x, *ladj), rh_raw_some(g, raw, 1, 1));
}
static void affine_inverse(const rh_transform *t, rh_graph *g, rh_val y, const rh_raw *raw, rh_val *x, rh_val *ladj) {
  *ladj = rh_neg(g, log_scale(t, g, raw));
  *x = rh_mulexp(g, rh_sub(g, y, rh_raw_some(g, raw, 1, 1)), *ladj);
}

/* ---- additive: y = x + t (NICE, Dinh et al. 2014, eq. 9). raw: t ---- */
static void additive_forward(const rh_transform *t, rh_graph *g, rh_val x, const rh_raw *raw, rh_val *y, rh_val *ladj) {
  (void)t, (void)ladj;
  *y = rh_add(g, x, rh_raw_some(g, raw, 0, 1));
}
static void additive_inverse(const rh_transform *t, rh_graph *g, rh_val y, const rh_raw *raw, rh_val *x, rh_val *ladj) {
  (void)t, (void)ladj;
  *x = rh_sub(g, y, rh_raw_some(g, raw, 0, 1));
}

/* ---- scale: y = x e^s (NICE's last layer, section 3.3). raw: s ---- */
static void scale_forward(const rh_transform *t, rh_graph *g, rh_val x, const rh_raw *raw, rh_val *y, rh_val *ladj) {
  *ladj = log_scale(t, g, raw);
  *y = rh_mulexp(g, x, *ladj);
}
static void scale_inverse(const rh_transform *t, rh_graph *g, rh_val y, const rh_raw *raw, rh_val *x, rh_val *ladj) {
  *ladj = rh_neg(g, log_scale(t, g, raw));
  *x = rh_mulexp(g, y, *ladj);
}

static const rh_transform_type transform_affine = {"affine", sizeof(affine), affine_create, 2, false, affine_forward, affine_inverse, NULL},
                               transform_additive = {"additive",       sizeof(rh_transform), NULL, 1, false,
                                                     additive_forward, additive_inverse,     NULL},
                               transform_scale = {"scale", sizeof(affine), scale_create, 1, false, scale_forward, scale_inverse, NULL};
extern const rh_transform_type rh_transform_mixture_of_logistics, rh_transform_linear_spline;
static const rh_transform_type *const types[] = {
    &transform_affine,           &transform_additive, &transform_scale, &rh_transform_rqs, &rh_transform_mixture_of_logistics,
    &rh_transform_linear_spline,
};

/* ---- for all ---- */
typedef struct some_how {
  int64_t params, first, c, pixels; /* by parameter: c columns lie together, so many times */
} some_how;
static int64_t some_of_element(const void *arg, int64_t i) {
  const some_how *how = arg;
  return i * how->params + how->first;
}
static int64_t some_of_pixel(const void *arg, int64_t i) {
  const some_how *how = arg;
  return (i % how->pixels * how->params + how->first + i / how->pixels) * how->c;
}
rh_val rh_raw_some(rh_graph *g, const rh_raw *raw, int64_t first, int64_t count) {
  if (first == 0 && count == raw->params) return raw->all;
  const rh_shape shape = count == 1 ? rh_shape1(raw->m) : raw->by_element ? rh_shape2(raw->m, count) : rh_shape2(count, raw->m);
  const int64_t c = raw->by_element || !raw->channels ? raw->m : raw->channels;
  if ((!raw->by_element && c == raw->m) || raw->m == 1) return rh_reshape(g, rh_slice(g, raw->all, first * c, count * c), shape);
  const some_how how = {raw->params, first, c, raw->m / c};
  return rh_gather_runs(g, raw->all, shape, raw->by_element ? count : c, raw->by_element ? some_of_element : some_of_pixel, &how);
}

const rh_transform_type *const *rh_transform_types(int *n) {
  *n = (int)RH_COUNT_OF(types);
  return types;
}

static rh_status fill(rh_transform *t, rh_spec *spec) {
  if (t->type->create) RH_TRY(t->type->create(t, spec));
  RH_TRY(rh_spec_done(spec));
  t->spec = rh_spec_take(spec);
  return RH_OK;
}

static rh_status create_from(const json_t *object, const char *where, rh_transform **out) {
  const char *names[RH_COUNT_OF(types) + 1] = {0};
  for (size_t i = 0; i < RH_COUNT_OF(types); i++) names[i] = types[i]->type;
  rh_options o = rh_options_begin(object, where);
  const rh_transform_type *type = types[rh_options_choice(&o, "type", 0, names)];
  if (o.status != RH_OK) return o.status;
  rh_transform *t = rh_alloc_zero(1, type->bytes);
  if (!t) return RH_E_MEMORY;
  *t = (rh_transform){.type = type, .params = type->params};
  rh_spec spec = rh_spec_begin(object, where, type->type);
  const rh_status status = fill(t, &spec);
  rh_spec_end(&spec);
  if (status != RH_OK) {
    rh_transform_destroy(t);
    return status;
  }
  *out = t;
  return RH_OK;
}

rh_status rh_transform_create(const json_t *spec, const char *where, rh_transform **t) {
  if (!json_is_string(spec)) return create_from(spec, where, t);
  json_t *object = json_pack("{s:O}", "type", spec);
  if (!object) return rh_fail(RH_E_MEMORY, "%s: out of memory", where);
  const rh_status status = create_from(object, where, t);
  json_decref(object);
  return status;
}

double rh_transform_box(const rh_transform *t) {
  return t->type->box ? t->type->box(t) : 0;
}

void rh_transform_destroy(rh_transform *t) {
  if (!t) return;
  json_decref(t->spec);
  rh_free(t);
}
