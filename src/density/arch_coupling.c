/* Stacks of couplings: RealNVP (Dinh et al. 2017) and NICE (Dinh et al. 2014). */
#include <string.h>

#include "density/architectures.h"

enum { HIDDEN = 16 };
enum { ALTERNATING, HALF, RANDOM_MASK };
enum { NONE, REVERSE, RANDOM_ORDER };
enum { MLP, RESIDUAL };
static const char *const net_names[] = {"mlp", "residual", NULL}, *const mask_names[] = {"alternating", "half", "random", NULL},
                         *const permute_names[] = {"none", "reverse", "random", NULL},
                         *const init_names[] = {"zero", "small", "scaled", NULL},
                         *const base_names[] = {"normal", "full-normal", "student-t", "mixture", NULL};

typedef struct stack {
  int64_t layers, blocks, hidden[HIDDEN];
  int hidden_n, net, activation, mask, permute, init, base;
  bool actnorm, lu, scale_layer;
  double bound, gain;
  const char *transform;
} stack;

/* Defaults by the table's size; the user's options over them. Ten couplings with LU layers between them and nets of 2 x 128 were the best
 * of what was tried on UCI tables of 10 to 43 columns and 4,000 to 35,000 rows at equal time, judged on validation rows: smaller ones lose
 * more than they save where early stopping keeps the best, larger ones want more time than a minute. */
static rh_status read_options(stack *s, const json_t *options, const rh_arch_size *size, const char *where) {
  const bool few = size->rows > 0 && size->rows<RH_ARCH_FEW, wide = size->columns> RH_ARCH_WIDE;
  rh_options o = rh_options_begin(options, where);
  s->layers = rh_options_int(&o, "layers", size->columns == 1 ? 1 : wide ? 4 : few ? 6 : 10, 1, 1024);
  s->net = rh_options_choice(&o, "net", MLP, net_names);
  s->hidden[0] = s->hidden[1] = few ? 64 : size->columns > 64 ? 256 : 128;
  s->hidden_n = 2;
  rh_options_ints(&o, "hidden", 1, 1 << 16, HIDDEN, &s->hidden_n, s->hidden);
  s->blocks = rh_options_int(&o, "blocks", 2, 1, 64);
  s->activation = rh_options_choice(&o, "activation", 0, rh_activation_names);
  s->init = rh_options_choice(&o, "init", 0, init_names);
  if (s->net == MLP) s->gain = rh_options_real(&o, "gain", RH_NET_GAIN, 0.01, 10);
  s->mask = rh_options_choice(&o, "mask", ALTERNATING, mask_names);
  s->actnorm = rh_options_bool(&o, "actnorm", false);
  s->lu = rh_options_bool(&o, "lu", s->lu && !wide);
  s->permute = rh_options_choice(&o, "permute", wide && !s->lu ? RANDOM_ORDER : NONE, permute_names);
  s->base = rh_options_choice(&o, "base", 0, base_names);
  if (!s->scale_layer) s->bound = rh_options_real(&o, "bound", s->bound, 0.01, 80);
  RH_TRY(rh_options_done(&o));
  if (s->net == RESIDUAL && s->hidden_n > 1 && json_is_array(json_object_get(options, "hidden")))
    return rh_fail(RH_E_SPEC, "%s.hidden: a residual net has one width: give one number, and \"blocks\"", where);
  return RH_OK;
}

static json_t *net_spec(const stack *s) {
  if (s->net == RESIDUAL)
    return json_pack("{s:s, s:I, s:I, s:s, s:s}", "type", "residual", "hidden", (json_int_t)s->hidden[0], "blocks", (json_int_t)s->blocks,
                     "activation", rh_activation_names[s->activation], "init", init_names[s->init]);
  json_t *hidden = json_array();
  for (int i = 0; i < s->hidden_n; i++)
    if (json_array_append_new(hidden, json_integer(s->hidden[i])) != 0) return NULL;
  return json_pack("{s:s, s:o, s:s, s:s, s:f}", "type", "mlp", "hidden", hidden, "activation", rh_activation_names[s->activation], "init",
                   init_names[s->init], "gain", s->gain);
}

static json_t *transform_spec(const stack *s) {
  return s->scale_layer ? json_pack("{s:s}", "type", s->transform) : json_pack("{s:s, s:f}", "type", s->transform, "bound", s->bound);
}

static json_t *coupling_spec(const stack *s, int64_t i) {
  const char *mask = s->mask == RANDOM_MASK ? "random" : s->mask == ALTERNATING && i % 2 ? "swap" : "half";
  json_t *spec = json_pack("{s:s, s:s, s:o, s:o}", "type", "coupling", "mask", mask, "transform", transform_spec(s), "net", net_spec(s));
  if (s->mask == RANDOM_MASK && json_object_set_new(spec, "seed", json_integer(i)) != 0) {
    json_decref(spec);
    return NULL;
  }
  return spec;
}

static json_t *permutation_spec(const stack *s, int64_t i) {
  if (s->permute == REVERSE) return json_pack("{s:s, s:s}", "type", "permutation", "order", "reverse");
  return json_pack("{s:s, s:s, s:I}", "type", "permutation", "order", "random", "seed", (json_int_t)i);
}

/* [ActNorm] [permutation] [LU] coupling, `layers` times; NICE ends with one scale a column. */
static json_t *flow_spec(const stack *s) {
  json_t *parts = json_array();
  int failed = !parts;
  for (int64_t i = 0; i < s->layers && !failed; i++) {
    if (s->actnorm) failed |= json_array_append_new(parts, json_pack("{s:s}", "type", "actnorm"));
    if (s->permute != NONE && i) failed |= json_array_append_new(parts, permutation_spec(s, i));
    if (s->lu) failed |= json_array_append_new(parts, json_pack("{s:s}", "type", "lu"));
    failed |= json_array_append_new(parts, coupling_spec(s, i));
  }
  if (s->scale_layer) failed |= json_array_append_new(parts, json_pack("{s:s, s:s}", "type", "elementwise", "transform", "scale"));
  if (!failed) return json_pack("{s:s, s:o}", "type", "chain", "parts", parts);
  json_decref(parts);
  return NULL;
}

static rh_status expand(stack *s, const json_t *options, const rh_arch_size *size, const char *where, json_t **flow, json_t **base) {
  RH_TRY(read_options(s, options, size, where));
  json_t *f = flow_spec(s), *b = json_pack("{s:s}", "type", base_names[s->base]);
  if (!f || !b) {
    json_decref(f);
    json_decref(b);
    return rh_fail(RH_E_MEMORY, "out of memory for the specification");
  }
  *flow = f;
  *base = b;
  return RH_OK;
}

static rh_status expand_realnvp(const json_t *options, const rh_arch_size *size, json_t **flow, json_t **base) {
  stack s = {.transform = "affine", .bound = 2, .lu = true};
  return expand(&s, options, size, "realnvp", flow, base);
}

static rh_status expand_nice(const json_t *options, const rh_arch_size *size, json_t **flow, json_t **base) {
  stack s = {.transform = "additive", .scale_layer = true};
  return expand(&s, options, size, "nice", flow, base);
}

const rh_arch rh_arch_realnvp = {"realnvp", "affine couplings (Dinh et al. 2017): exact density and samples in one pass", expand_realnvp};
const rh_arch rh_arch_nice = {"nice", "additive couplings and one scale a column (Dinh et al. 2014): volume-preserving up to that scale",
                              expand_nice};
