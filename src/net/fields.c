/* The registry of vector fields, and what is the same for all of them. A network is a field when it is smooth: it reads (x, t, context). */
#include <string.h>

#include "base/memory.h"
#include "graph/ops.h"
#include "net/types.h"

static const rh_field_type *const types[] = {&rh_field_time_mlp, &rh_field_planar}; /* the first is the default */

const rh_field_type *const *rh_field_types(int *n) {
  *n = (int)RH_COUNT_OF(types);
  return types;
}

/* ---- activations ---- */

static const char smooth_ones[] = "tanh, softplus, silu or gelu";

/* Said at the key, before rh_field_check finds it in the graph. */
static rh_status check_smooth(const char *name, const char *where) {
  for (int i = 0; name && rh_activation_names[i]; i++) {
    const int order = rh_unary_order(rh_activation_unary(i));
    if (strcmp(name, rh_activation_names[i]) == 0 && order >= 0 && order < 2)
      return rh_fail(RH_E_SPEC, "%s.activation: %s has no second derivative, which a field's trace is trained by: take %s", where, name,
                     smooth_ones);
  }
  return RH_OK;
}

rh_status rh_field_activation(rh_spec *spec, const char *fallback, int *which) {
  static const char *const smooth[] = {"tanh", "softplus", "silu", "gelu", NULL};
  int usual = 0;
  RH_TRY(check_smooth(json_string_value(rh_spec_json(spec, "activation")), spec->o.where));
  while (strcmp(smooth[usual], fallback) != 0) usual++;
  const char *name = smooth[rh_spec_choice(spec, "activation", usual, smooth)];
  RH_TRY(rh_spec_status(spec));
  for (*which = 0; strcmp(rh_activation_names[*which], name) != 0;) ++*which;
  return RH_OK;
}

/* ---- what training needs of a field ---- */

rh_status rh_field_check(const rh_field *f, const rh_leaves *leaves, const char *where) {
  rh_graph g;
  const rh_node *lacking = NULL;
  RH_TRY(rh_graph_init(&g, leaves));
  const rh_val x = rh_input(&g, rh_shape1(f->d)), t = rh_input(&g, rh_shape1(1)),
               context = f->context ? rh_input(&g, rh_shape1(f->context)) : RH_NONE, dx = rh_field_apply(f, &g, x, t, context);
  rh_status status = rh_graph_status(&g);
  if (status == RH_OK) status = rh_graph_below(&g, x, dx, 2, &lacking);
  if (status == RH_OK && lacking)
    status = rh_fail(RH_E_SPEC,
                     "%s: its operation %s has no second derivative, which a field's trace is trained by: take time_mlp, mlp or residual "
                     "with %s",
                     where, rh_node_name(lacking), smooth_ones);
  rh_graph_free(&g);
  return status;
}

/* ---- any network of vectors ---- */

typedef struct net_field {
  rh_field field;
  rh_net *net;
} net_field;

static void net_apply(const rh_field *f, rh_graph *g, rh_val x, rh_val t, rh_val context, rh_val *dx, rh_val *trace) {
  (void)trace;
  const rh_val both[2] = {t, context};
  *dx = rh_net_apply(((const net_field *)f)->net, g, x, f->context ? rh_concat(g, 2, both) : t);
}

static void net_destroy(rh_field *f) {
  rh_net_destroy(((net_field *)f)->net);
}

static const rh_field_type net_type = {.type = "net", .bytes = sizeof(net_field), .apply = net_apply, .destroy = net_destroy};

static rh_status fill_net(rh_field *f, const rh_build *build, const json_t *spec, const char *where) {
  net_field *n = (net_field *)f;
  const rh_build inner = {build->leaves, build->prefix, build->context + 1};
  RH_TRY(rh_net_create(&inner, spec, where, f->d, f->d, &n->net));
  f->columns = f->d;
  f->spec = json_incref(n->net->spec);
  return check_smooth(json_string_value(json_object_get(n->net->spec, "activation")), where);
}

/* ---- for all ---- */

static rh_status fill(rh_field *f, const rh_build *build, const json_t *spec, const char *where) {
  if (f->type == &net_type) return fill_net(f, build, spec, where);
  rh_spec s = rh_spec_begin(spec, where, f->type->type);
  rh_status status = f->type->create(f, build, &s);
  if (status == RH_OK) status = rh_spec_done(&s);
  if (status == RH_OK) f->spec = rh_spec_take(&s);
  rh_spec_end(&s);
  return status;
}

/* The fields' own names, then those of the networks of vectors. */
static rh_status find_type(const json_t *spec, const char *where, const rh_field_type **type) {
  enum { NAMES = 32 };
  const char *names[NAMES] = {0};
  int nets, n = 0;
  const rh_net_type *const *net = rh_net_types(&nets);
  for (size_t i = 0; i < RH_COUNT_OF(types); i++) names[n++] = types[i]->type;
  for (int i = 0; i < nets && n < NAMES - 1; i++)
    if (net[i]->apply && net[i] != &rh_net_constant) names[n++] = net[i]->type;
  rh_options o = rh_options_begin(spec, where);
  const int which = rh_options_choice(&o, "type", 0, names);
  RH_TRY(o.status);
  *type = which < (int)RH_COUNT_OF(types) ? types[which] : &net_type;
  return RH_OK;
}

rh_status rh_field_create(const rh_build *build, const json_t *spec, const char *where, int64_t d, rh_field **field) {
  const rh_field_type *type = NULL;
  RH_TRY(find_type(spec, where, &type));
  rh_field *f = rh_alloc_zero(1, type->bytes);
  if (!f) return RH_E_MEMORY;
  *f = (rh_field){.type = type, .d = d, .context = build->context};
  rh_status status = fill(f, build, spec, where);
  if (status == RH_OK) status = rh_field_check(f, build->leaves, where);
  if (status != RH_OK) {
    rh_field_destroy(f);
    return status;
  }
  *field = f;
  return RH_OK;
}

rh_val rh_field_apply(const rh_field *f, rh_graph *g, rh_val x, rh_val t, rh_val context) {
  rh_val dx = RH_NONE;
  if (g->status == RH_OK) f->type->apply(f, g, x, t, context, &dx, NULL);
  return dx;
}

void rh_field_destroy(rh_field *f) {
  if (!f) return;
  if (f->type->destroy) f->type->destroy(f);
  json_decref(f->spec);
  rh_free(f);
}
