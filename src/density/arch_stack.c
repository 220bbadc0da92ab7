/* Stacks of layers that a network conditions: couplings (NICE: Dinh et al. 2014; RealNVP: Dinh et al. 2017), autoregressive transforms
 * (MAF: Papamakarios et al. 2017; IAF: Kingma et al. 2016), each affine or by rational-quadratic splines (NSF: Durkan et al. 2019). */
#include <string.h>

#include "base/memory.h"
#include "density/architectures.h"

enum { HIDDEN = 16 };
enum { ALTERNATING, HALF, RANDOM_MASK, STRIPES };
enum { TURNING, NATURAL, RANDOM_LAYER, GIVEN };
enum { NONE, REVERSE, RANDOM_ORDER };
enum { MLP, RESIDUAL };
enum { NORMAL, FULL_NORMAL, STUDENT_T, MIXTURE };
static const char *const net_names[] = {"mlp", "residual", NULL}, *const mask_names[] = {"alternating", "half", "random", "stripes", NULL},
                         *const order_names[] = {"alternating", "natural", "random", NULL},
                         *const permute_names[] = {"none", "reverse", "random", NULL},
                         *const init_names[] = {"zero", "small", "scaled", NULL},
                         *const base_names[] = {
                             [NORMAL] = "normal", [FULL_NORMAL] = "full-normal", [STUDENT_T] = "student-t", [MIXTURE] = "mixture", NULL};

typedef enum layer_kind { COUPLING, FORWARD, INVERSE } layer_kind; /* INVERSE: the layer's inverse stands in the flow */
typedef enum transform_kind { AFFINE, ADDITIVE, SPLINE } transform_kind;

typedef struct stack_kind {
  layer_kind layer;
  transform_kind transform;
  double bound; /* of affine log-scales */
  bool lu;      /* by default */
  int64_t layers;
} stack_kind;

typedef struct stack {
  stack_kind kind;
  int64_t layers, blocks, bins, hidden[HIDDEN];
  int hidden_n, net, activation, mask, order, permute, init, base;
  bool actnorm, lu;
  double bound, box, gain;
  const json_t *columns; /* with GIVEN: the order */
} stack;

/* Defaults by the table's size; the user's options over them. For couplings: ten with LU layers between them and nets of 2 x 128 were the
 * best of what was tried on UCI tables of 10 to 43 columns and 4,000 to 35,000 rows at equal time, judged on validation rows: smaller ones
 * lose more than they save where early stopping keeps the best, larger ones want more time than a minute.
 *
 * Autoregressive layers and splines: LU layers between them are worth 2.7 to 3.3 nats on kegg (permutations are no substitute) and spare
 * rows outside of the box: without them and with normal tails single rows fell to -2,200. A Student-t base does the rest for
 * every architecture: the worst row under RealNVP -130 instead of -7,500 to -1,900, under MAF -100 instead of -1,500, for 0.03 nats on
 * tables without such rows; NSF gains 0.75 on kegg. Boxes of 3, 8 and 10 win on some tables what they lose on others. Ten layers of
 * MAF beat five of it by 0.2 to 0.8 nats on three of four tables at up to twice the time, and RealNVP on all at equal time.
 * docs/results.md, "Robust defaults". */
static int64_t layers_for(const stack_kind *kind, const rh_arch_size *size, bool few, bool wide) {
  if (size->columns == 1 && kind->transform != SPLINE && size->context == 0) return 1;
  return kind->layer != COUPLING || kind->transform == SPLINE ? (wide ? 3 : kind->layers) : wide ? 4 : few ? 6 : kind->layers;
}

static void read_net(stack *s, rh_options *o, const rh_arch_size *size, bool few) {
  s->net = rh_options_choice(o, "net", MLP, net_names);
  s->hidden[0] = s->hidden[1] = few ? 64 : size->columns > 64 ? 256 : 128;
  s->hidden_n = 2;
  rh_options_ints(o, "hidden", 1, 1 << 16, HIDDEN, &s->hidden_n, s->hidden);
  s->blocks = rh_options_int(o, "blocks", 2, 1, 64);
  s->activation = rh_options_choice(o, "activation", 0, rh_activation_names);
  s->init = rh_options_choice(o, "init", 0, init_names);
  if (s->net == MLP) s->gain = rh_options_real(o, "gain", RH_NET_GAIN, 0.01, 10);
}

static rh_status check_order(const json_t *list, int64_t columns, const char *where) {
  if ((int64_t)json_array_size(list) != columns)
    return rh_fail(RH_E_SPEC, "%s.order: %zu columns of %lld: an order names each of them once, from 0", where, json_array_size(list),
                   (long long)columns);
  bool *used = rh_alloc_zero((size_t)columns, sizeof *used);
  rh_status status = used ? RH_OK : RH_E_MEMORY;
  for (int64_t i = 0; i < columns && status == RH_OK; i++) {
    const json_t *item = json_array_get(list, (size_t)i);
    const json_int_t j = json_is_integer(item) ? json_integer_value(item) : -1;
    if (j < 0 || j >= columns)
      status =
          rh_fail(RH_E_SPEC, "%s.order: number %lld: columns are whole numbers 0 to %lld", where, (long long)i, (long long)columns - 1);
    else if (used[j])
      status = rh_fail(RH_E_SPEC, "%s.order: column %lld comes twice", where, (long long)j);
    else
      used[j] = true;
  }
  rh_free(used);
  return status;
}

/* A name, or a list of all columns that the flow sees, from 0 as in specifications: the order of every layer. */
static void read_order(stack *s, rh_options *o, int64_t columns) {
  s->columns = rh_options_json(o, "order");
  s->order = json_is_array(s->columns) ? GIVEN : rh_options_choice(o, "order", TURNING, order_names);
  if (s->order == GIVEN && o->status == RH_OK) o->status = check_order(s->columns, columns, o->where);
}

static rh_status read_options(stack *s, const json_t *options, const rh_arch_size *size, const char *where) {
  const bool few = size->rows > 0 && size->rows<RH_ARCH_FEW, wide = size->columns> RH_ARCH_WIDE;
  rh_options o = rh_options_begin(options, where);
  s->layers = rh_options_int(&o, "layers", layers_for(&s->kind, size, few, wide), 1, 1024);
  read_net(s, &o, size, few);
  if (s->kind.layer == COUPLING)
    s->mask = rh_options_choice(&o, "mask", ALTERNATING, mask_names);
  else
    read_order(s, &o, size->columns);
  s->actnorm = rh_options_bool(&o, "actnorm", false);
  s->lu = rh_options_bool(&o, "lu", s->kind.lu && !wide);
  s->permute = rh_options_choice(&o, "permute", wide && !s->lu ? RANDOM_ORDER : NONE, permute_names);
  s->base = rh_options_choice(&o, "base", STUDENT_T, base_names);
  if (s->kind.transform == AFFINE) s->bound = rh_options_real(&o, "bound", s->kind.bound, 0.01, 80);
  if (s->kind.transform == SPLINE) {
    s->bins = rh_options_int(&o, "bins", 8, 1, 64);
    s->box = rh_options_real(&o, "box", 5, 0.01, 1e6);
  }
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
  if (s->kind.transform == ADDITIVE) return json_pack("{s:s}", "type", "additive");
  if (s->kind.transform == AFFINE) return json_pack("{s:s, s:f}", "type", "affine", "bound", s->bound);
  return json_pack("{s:s, s:I, s:f}", "type", "rqs", "bins", (json_int_t)s->bins, "box", s->box);
}

static json_t *seeded(json_t *spec, int64_t seed) {
  if (json_object_set_new(spec, "seed", json_integer(seed)) == 0) return spec;
  json_decref(spec);
  return NULL;
}

static json_t *coupling_spec(const stack *s, int64_t i) {
  static const char *const masks[][2] = {{"half", "swap"}, {"half", "half"}, {"random", "random"}, {"odd", "even"}};
  const char *mask = masks[s->mask][i % 2];
  json_t *spec = json_pack("{s:s, s:s, s:o, s:o}", "type", "coupling", "mask", mask, "transform", transform_spec(s), "net", net_spec(s));
  return s->mask == RANDOM_MASK ? seeded(spec, i) : spec;
}

static json_t *autoregressive_spec(const stack *s, int64_t i) {
  const char *order = s->order == RANDOM_LAYER ? "random" : s->order == TURNING && i % 2 ? "reversed" : "natural";
  json_t *named = s->order == GIVEN ? json_deep_copy(s->columns) : json_string(order);
  json_t *spec =
      json_pack("{s:s, s:o, s:o, s:o}", "type", "autoregressive", "order", named, "transform", transform_spec(s), "net", net_spec(s));
  if (s->order == RANDOM_LAYER) spec = seeded(spec, i);
  return s->kind.layer == INVERSE ? json_pack("{s:s, s:o}", "type", "inverse", "part", spec) : spec;
}

static json_t *permutation_spec(const stack *s, int64_t i) {
  if (s->permute == REVERSE) return json_pack("{s:s, s:s}", "type", "permutation", "order", "reverse");
  return json_pack("{s:s, s:s, s:I}", "type", "permutation", "order", "random", "seed", (json_int_t)i);
}

/* [ActNorm] [permutation] [LU] layer, `layers` times; NICE ends with one scale a column. */
static json_t *flow_spec(const stack *s) {
  json_t *parts = json_array();
  int failed = !parts;
  for (int64_t i = 0; i < s->layers && !failed; i++) {
    if (s->actnorm) failed |= json_array_append_new(parts, json_pack("{s:s}", "type", "actnorm"));
    if (s->permute != NONE && i) failed |= json_array_append_new(parts, permutation_spec(s, i));
    if (s->lu) failed |= json_array_append_new(parts, json_pack("{s:s}", "type", "lu"));
    failed |= json_array_append_new(parts, s->kind.layer == COUPLING ? coupling_spec(s, i) : autoregressive_spec(s, i));
  }
  if (s->kind.transform == ADDITIVE)
    failed |= json_array_append_new(parts, json_pack("{s:s, s:s}", "type", "elementwise", "transform", "scale"));
  if (!failed) return json_pack("{s:s, s:o}", "type", "chain", "parts", parts);
  json_decref(parts);
  return NULL;
}

static rh_status expand(const rh_arch *arch, const json_t *options, const rh_arch_size *size, json_t **flow, json_t **base) {
  stack s = {.kind = *(const stack_kind *)arch->own};
  RH_TRY(read_options(&s, options, size, arch->name));
  json_t *f = flow_spec(&s), *b = json_pack("{s:s}", "type", base_names[s.base]);
  if (!f || !b) {
    json_decref(f);
    json_decref(b);
    return rh_fail(RH_E_MEMORY, "out of memory for the specification");
  }
  *flow = f;
  *base = b;
  return RH_OK;
}

static const stack_kind realnvp = {COUPLING, AFFINE, 2, true, 10}, nice = {COUPLING, ADDITIVE, 0, false, 10},
                        maf = {FORWARD, AFFINE, 2, true, 10}, iaf = {INVERSE, AFFINE, 2, true, 5}, nsf = {FORWARD, SPLINE, 0, true, 5},
                        nsf_coupling = {COUPLING, SPLINE, 0, true, 6};

const rh_arch rh_arch_realnvp = {"realnvp", "affine couplings (Dinh et al. 2017): exact density and samples in one pass", expand, &realnvp,
                                 false};
const rh_arch rh_arch_nice = {"nice", "additive couplings and one scale a column (Dinh et al. 2014): volume-preserving up to that scale",
                              expand, &nice, false};
const rh_arch rh_arch_maf = {"maf",
                             "masked autoregressive affine flow (Papamakarios et al. 2017): densities in one pass, samples in about two",
                             expand, &maf, false};
const rh_arch rh_arch_iaf = {"iaf", "inverse autoregressive flow (Kingma et al. 2016): samples in one pass, densities in about two", expand,
                             &iaf, false};
const rh_arch rh_arch_nsf = {"nsf", "autoregressive rational-quadratic splines (Durkan et al. 2019): the most flexible", expand, &nsf,
                             false};
const rh_arch rh_arch_nsf_coupling = {"nsf-coupling", "rational-quadratic splines in couplings (Durkan et al. 2019): one pass both ways",
                                      expand, &nsf_coupling, false};
