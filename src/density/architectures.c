/* The registry of architectures; "auto"; and from a name and options to a whole specification. */
#include "density/architectures.h"

#include <stdio.h>
#include <string.h>

static const rh_arch *const archs[] = {&rh_arch_nsf,  &rh_arch_nsf_coupling,  &rh_arch_maf,         &rh_arch_iaf,   &rh_arch_realnvp,
                                       &rh_arch_nice, &rh_arch_cnf,           &rh_arch_ffjord,      &rh_arch_rnode, &rh_arch_nsf_image,
                                       &rh_arch_glow, &rh_arch_realnvp_image, &rh_arch_ffjord_image};

const rh_arch *const *rh_archs(int *n) {
  *n = (int)RH_COUNT_OF(archs);
  return archs;
}

bool rh_arch_of_fields(const char *name, int64_t columns) {
  static const rh_arch *const of[] = {&rh_arch_cnf, &rh_arch_ffjord, &rh_arch_rnode};
  for (size_t i = 0; i < RH_COUNT_OF(of); i++)
    if (strcmp(name, of[i]->name) == 0) return columns >= RH_ARCH_TABLE;
  return false;
}

static rh_status find_arch(const char *name, const rh_arch **arch, const char **why) {
  const char *names[RH_COUNT_OF(archs) + 2] = {"auto"};
  for (size_t i = 0; i < RH_COUNT_OF(archs); i++) names[i + 1] = archs[i]->name;
  *why = "chosen by name";
  for (size_t i = 0; i < RH_COUNT_OF(archs); i++) {
    if (strcmp(name, archs[i]->name) != 0) continue;
    *arch = archs[i];
    return RH_OK;
  }
  if (strcmp(name, "auto") == 0) {
    *arch = NULL;
    return RH_OK;
  }
  const char *near = rh_nearest(name, names);
  char list[200] = "auto";
  for (size_t i = 0, used = 4; i < RH_COUNT_OF(archs) && used < sizeof list; i++)
    used += (size_t)snprintf(list + used, sizeof list - used, ", %s", archs[i]->name);
  return rh_fail(RH_E_ARGUMENT, "unknown architecture '%.64s'%s%s%s; there are: %s", name, near ? ", did you mean '" : "", near ? near : "",
                 near ? "'" : "", list);
}

/* What suits a table of that size, and why: docs/results.md, "Robust defaults". */
static const rh_arch *choose(const rh_arch_size *size, const char **why) {
  if (size->image.h > 0) {
    *why = "images: splines in couplings by convolutions, which see a pixel's neighbours";
    return &rh_arch_nsf_image;
  }
  if (size->columns > RH_ARCH_WIDE) {
    *why = "many columns: affine couplings with permutations between them, since mixing by matrices would take too much memory";
    return &rh_arch_realnvp;
  }
  if (size->rows >= RH_ARCH_MANY && size->columns > 1) {
    *why =
        "many rows: affine couplings, whose epochs are the cheapest, come farthest in a minute or two; with more time rheo compare tells "
        "whether splines do better";
    return &rh_arch_realnvp;
  }
  *why = size->columns == 1 ? "one column: splines bend it as the data want, an affine map could only scale it"
                            : "a table of columns: autoregressive splines, which gained most on the tables tried; rheo compare tells "
                              "whether another suits it better";
  return &rh_arch_nsf;
}

/* The width that the flow sees behind the preprocessing. */
static rh_status width_after(const json_t *preprocess, int64_t columns, int64_t *width) {
  rh_leaves leaves = {0};
  rh_bijection *chain = NULL;
  const rh_build build = {&leaves, "preprocess", 0};
  const rh_status status = rh_chain_create(&build, preprocess, "preprocess", rh_shape1(columns), &chain);
  if (status == RH_OK) *width = rh_shape_count(&chain->out);
  rh_bijection_destroy(chain);
  rh_leaves_free(&leaves);
  return status;
}

/* ---- mixtures: every architecture takes "components" ---- */

/* The number of components, and the options that are the architecture's own: a new reference. */
static rh_status take_components(const json_t *options, const char *where, int64_t *components, json_t **own) {
  rh_options o = rh_options_begin(options, where);
  *components = rh_options_int(&o, "components", 1, 1, 64);
  if (o.status != RH_OK) return o.status;
  *own = options ? json_copy((json_t *)(uintptr_t)options) : json_object();
  if (!*own) return rh_fail(RH_E_MEMORY, "out of memory for the options");
  if (json_is_object(*own)) json_object_del(*own, "components");
  return RH_OK;
}

/* Equal components would stay equal: a normal or Student-t base gets a mean of its own for each. */
static json_t *apart(json_t *base) {
  static const char *const learned[][2] = {{"normal", "learn"}, {"student-t", "affine"}};
  const char *type = json_string_value(json_object_get(base, "type"));
  bool failed = false;
  for (size_t i = 0; type && i < RH_COUNT_OF(learned); i++)
    if (strcmp(type, learned[i][0]) == 0)
      failed |= json_object_set_new(base, learned[i][1], json_true()) || json_object_set_new(base, "spread", json_real(0.5));
  if (!failed) return base;
  json_decref(base);
  return NULL;
}

/* flow, base: taken. */
static json_t *mixture_of(int64_t components, json_t *flow, json_t *base) {
  json_t *list = json_array(), *one = json_pack("{s:o, s:o}", "flow", flow, "base", apart(base));
  bool failed = !one;
  for (int64_t k = 0; k < components && !failed; k++) failed = json_array_append(list, one) != 0;
  json_decref(one);
  if (!failed) return list;
  json_decref(list);
  return NULL;
}

static rh_status expand(const rh_arch *arch, const json_t *options, const rh_arch_size *size, json_t *whole) {
  int64_t components = 1;
  json_t *own = NULL, *flow = NULL, *base = NULL;
  RH_TRY(take_components(options, arch->name, &components, &own));
  const rh_status status = arch->expand(arch, own, size, &flow, &base);
  json_decref(own);
  RH_TRY(status);
  const bool failed = components == 1 ? json_object_set_new(whole, "flow", flow) | json_object_set_new(whole, "base", base)
                                      : json_object_set_new(whole, "mixture", mixture_of(components, flow, base));
  return failed ? rh_fail(RH_E_MEMORY, "out of memory for the specification") : RH_OK;
}

static rh_status check_image(const rh_arch *arch, const rh_arch_size *size) {
  const rh_image_shape *s = &size->image;
  if (s->h == 0 && s->w == 0 && s->c == 0)
    return arch && arch->image ? rh_fail(RH_E_ARGUMENT, "%s is for images, these are rows of %lld columns: take another architecture",
                                         arch->name, (long long)size->columns)
                               : RH_OK;
  const double numbers = (double)s->h * (double)s->w * (double)s->c;
  if (s->h > 0 && s->w > 0 && s->c > 0 && numbers == (double)size->columns) return RH_OK;
  return rh_fail(RH_E_ARGUMENT, "an image of %lld x %lld with %lld channels has %.0f numbers, the flow sees %lld: no pixel may be left out",
                 (long long)s->h, (long long)s->w, (long long)s->c, numbers, (long long)size->columns);
}

rh_status rh_arch_spec(const char *name, const json_t *options, const rh_arch_size *raw, const json_t *preprocess, json_t **spec,
                       const char **why) {
  const rh_arch *arch = NULL;
  const char *reason = NULL;
  rh_arch_size size = *raw;
  if (size.columns < 1 || size.columns > RH_FLOW_COLUMNS || size.context < 0 || size.context > RH_FLOW_COLUMNS)
    return rh_fail(RH_E_ARGUMENT, "a flow takes 1 to %d columns, not %lld (and %lld of context)", RH_FLOW_COLUMNS, (long long)size.columns,
                   (long long)size.context);
  RH_TRY(find_arch(name, &arch, &reason));
  RH_TRY(width_after(preprocess, raw->columns, &size.columns));
  RH_TRY(check_image(arch, &size));
  if (!arch) arch = choose(&size, &reason);
  json_t *parts = preprocess ? json_incref((json_t *)(uintptr_t)preprocess) : json_array();
  json_t *whole = json_pack("{s:s, s:I, s:I, s:o}", "arch", arch->name, "columns", (json_int_t)raw->columns, "context",
                            (json_int_t)raw->context, "preprocess", parts);
  const rh_status status = whole ? expand(arch, options, &size, whole) : rh_fail(RH_E_MEMORY, "out of memory for the specification");
  if (status != RH_OK) {
    json_decref(whole);
    return status;
  }
  *spec = whole;
  if (why) *why = reason;
  return RH_OK;
}

json_t *rh_arch_image_spec(const rh_image_shape *image, json_t *levels, const int *failed) {
  json_t *first =
      json_pack("{s:s, s:[I, I, I]}", "type", "image", "shape", (json_int_t)image->h, (json_int_t)image->w, (json_int_t)image->c);
  json_t *flow = json_pack("{s:s, s:[o, o]}", "type", "chain", "parts", first, levels);
  if (!*failed) return flow;
  json_decref(flow);
  return NULL;
}
