/* Multi-scale flows of images (RealNVP: Dinh et al. 2017, section 3.6; Glow: Kingma & Dhariwal 2018, figure 2; with splines: Durkan et al.
 * 2019, section 5.3): levels of couplings, each behind a squeeze, half of the channels leaving after each but the last. One plan with three
 * sets of defaults. */
#include <string.h>

#include "density/architectures.h"

enum { AFFINE, ADDITIVE, RQS, MIXTURE, LINEAR_SPLINE };
enum { EXP, SIGMOID };
enum { NO_MIXING, LU, PERMUTATION, SWAP, HOUSEHOLDER, DENSE };
enum { CONV, RESIDUAL, UNET };
enum { IDENTITY, ROTATION };
enum { NORMAL, DIAGONAL, STUDENT_T };
enum { NO_NORM };
static const char *const coupling_names[] = {"affine", "additive", "rqs", "mixture", "linear-spline", NULL},
                         *const scale_names[] = {"exp", "sigmoid", NULL}, *const mixing_names[] = {"none", "lu",          "permutation",
                                                                                                   "swap", "householder", "dense",
                                                                                                   NULL},
                         *const net_names[] = {"conv", "residual", "unet", NULL},
                         *const net_types[] = {"conv", "conv_residual", "conv_unet"}, *const start_names[] = {"identity", "rotation", NULL},
                         *const norm_names[] = {"none", "layer", "group", NULL}, *const init_names[] = {"zero", "small", "scaled", NULL},
                         *const base_names[] = {[NORMAL] = "normal", [DIAGONAL] = "diagonal", [STUDENT_T] = "student-t", NULL};
enum { LEVELS = 12, LEAST_SIDE = 4, MANY_NUMBERS = 1024, TRAINING = 6 /* operations of a step for a multiply-add */ };

typedef struct image_kind {
  int64_t steps, checkerboard;
  int coupling, scale, mixing, net;
  bool prior, gain, weight_norm;
} image_kind;

typedef struct plan {
  image_kind kind;
  int64_t levels, steps, checkerboard, hidden, blocks, net_levels, bins, logistics, seed;
  int coupling, scale, mixing, net, start, norm, init, activation, base;
  double bound, box;
  bool actnorm, prior, gain, weight_norm, gated, context;
  int failed;
} plan;

/* How often both sides can be halved. */
static int64_t squeezes(const rh_image_shape *image, int64_t least) {
  int64_t n = 0;
  for (int64_t h = image->h, w = image->w; h % 2 == 0 && w % 2 == 0 && h >= 2 * least && w >= 2 * least && n < LEVELS; h /= 2, w /= 2) n++;
  return n;
}

int64_t rh_arch_levels(rh_options *o, const rh_image_shape *image) {
  const int64_t most = squeezes(image, 1), usual = squeezes(image, LEAST_SIDE);
  if (o->status == RH_OK && most < 1)
    o->status = rh_fail(RH_E_SPEC, "%s: an image of %lld x %lld cannot be squeezed, its sides must be even: crop or pad the images",
                        o->where, (long long)image->h, (long long)image->w);
  const int64_t levels = rh_options_int(o, "levels", usual > 0 ? usual : 1, 1, LEVELS);
  if (o->status == RH_OK && levels > most)
    o->status = rh_fail(RH_E_SPEC, "%s.levels: an image of %lld x %lld can be squeezed %lld times, not %lld", o->where, (long long)image->h,
                        (long long)image->w, (long long)most, (long long)levels);
  return levels;
}

static void read_coupling(plan *p, rh_options *o) {
  p->coupling = rh_options_choice(o, "coupling", p->kind.coupling, coupling_names);
  if (p->coupling == AFFINE) p->scale = rh_options_choice(o, "scale", p->kind.scale, scale_names);
  if (p->coupling == AFFINE && p->scale == EXP) p->bound = rh_options_real(o, "bound", 2, 0.01, 80);
  if (p->coupling == RQS || p->coupling == LINEAR_SPLINE) p->bins = rh_options_int(o, "bins", 4, 2, 64);
  if (p->coupling == RQS || p->coupling == LINEAR_SPLINE) p->box = rh_options_real(o, "box", 5, 0.01, 1e6);
  if (p->coupling == MIXTURE) p->logistics = rh_options_int(o, "logistics", 8, 1, 256);
}

/* Multiply-adds of an image, forwards: all couplings of channels and their conditioners. */
static double work_of(const plan *p, const image_kind *kind, const rh_image_shape *image, double hidden) {
  const double raw[] = {[AFFINE] = 2,
                        [ADDITIVE] = 1,
                        [RQS] = 3. * (double)p->bins - 1,
                        [MIXTURE] = 3. * (double)p->logistics,
                        [LINEAR_SPLINE] = (double)p->bins};
  double pixels = (double)(image->h * image->w) / 4, in = 2 * (double)image->c, sum = 0;
  for (int64_t l = 0; l < p->levels; l++, in *= 2, pixels /= 4) {
    const double out = in * raw[p->coupling];
    const double within =
        p->net == RESIDUAL ? 36 : 30; /* a U-Net's level has 9 / 4 down, 9 / 4 up and 18; all of them 4 / 3 of the first */
    const double net = p->net == CONV ? hidden * (9 * in + hidden + 9 * out) : hidden * (9 * in + within * hidden + out);
    sum += pixels * net * (double)kind->steps + 4 * pixels * net * (double)kind->checkerboard / 2;
  }
  return sum;
}

/* The largest of a few sizes that still sees enough images in the time there is. Measured on MNIST (bench/results/mnist.txt): a minute on
 * one core wants half of the steps and of the channels, a quarter of an hour on two what is usual. */
static void fit_time(plan *p, const rh_arch_size *size, int64_t usual) {
  static const struct {
    double wider, enough;
    int64_t fewer;
    bool many;
  } sizes[] = {{2, 200e3, 1, true}, {1, 60e3, 1, false}, {0.5, 60e3, 1, false}, {0.5, 0, 2, false}};
  const image_kind whole = p->kind;
  p->hidden = usual;
  for (size_t i = 0; size->operations > 0 && i < RH_COUNT_OF(sizes); i++) {
    p->hidden = (int64_t)((double)usual * sizes[i].wider);
    p->kind.steps = (whole.steps + sizes[i].fewer - 1) / sizes[i].fewer;
    p->kind.checkerboard = (whole.checkerboard + sizes[i].fewer - 1) / sizes[i].fewer;
    const double seen = size->operations / (TRAINING * work_of(p, &p->kind, &size->image, (double)p->hidden));
    if (seen >= sizes[i].enough && (!sizes[i].many || size->rows >= RH_ARCH_MANY)) return;
  }
}

static void read_net(plan *p, rh_options *o, const rh_arch_size *size) {
  p->net = rh_options_choice(o, "net", p->kind.net, net_names);
  fit_time(p, size, p->net == UNET ? 32 : p->net == CONV && size->columns > MANY_NUMBERS ? 128 : 64);
  p->hidden = rh_options_int(o, "hidden", p->hidden, 1, 1 << 16);
  p->steps = rh_options_int(o, "steps", p->kind.steps, 1, 1024);
  p->checkerboard = rh_options_int(o, "checkerboard", p->kind.checkerboard, 0, 1024);
  p->activation = rh_options_choice(o, "activation", 0, rh_activation_names);
  p->init = rh_options_choice(o, "init", 0, init_names);
  p->gain = rh_options_bool(o, "gain", p->kind.gain);
  p->weight_norm = rh_options_bool(o, "weight_norm", p->kind.weight_norm);
  if (p->net == UNET) p->net_levels = rh_options_int(o, "net_levels", 2, 1, 8);
  if (p->net != RESIDUAL) return;
  p->blocks = rh_options_int(o, "blocks", 2, 1, 64);
  p->norm = rh_options_choice(o, "norm", NO_NORM, norm_names);
  p->gated = rh_options_bool(o, "gated", false);
}

static rh_status read_options(plan *p, const json_t *options, const rh_arch_size *size, const char *where) {
  rh_options o = rh_options_begin(options, where);
  p->levels = rh_arch_levels(&o, &size->image);
  read_coupling(p, &o);
  read_net(p, &o, size);
  p->actnorm = rh_options_bool(&o, "actnorm", true);
  p->mixing = rh_options_choice(&o, "mixing", p->kind.mixing, mixing_names);
  if (p->mixing == LU || p->mixing == DENSE) p->start = rh_options_choice(&o, "start", ROTATION, start_names);
  p->prior = rh_options_bool(&o, "prior", p->kind.prior);
  p->base = rh_options_choice(&o, "base", NORMAL, base_names);
  p->context = size->context > 0;
  return rh_options_done(&o);
}

/* ---- parts: new references; NULL when there is no memory ---- */

static json_t *net_spec(const plan *p) {
  json_t *net = json_pack("{s:s, s:I, s:s, s:s, s:b, s:b}", "type", net_types[p->net], "hidden", (json_int_t)p->hidden, "activation",
                          rh_activation_names[p->activation], "init", init_names[p->init], "gain", p->gain, "weight_norm", p->weight_norm);
  if (!net || p->net == CONV) return net;
  json_t *more = p->net == UNET
                     ? json_pack("{s:I}", "levels", (json_int_t)p->net_levels)
                     : json_pack("{s:I, s:s, s:b}", "blocks", (json_int_t)p->blocks, "norm", norm_names[p->norm], "gated", p->gated);
  const bool failed = !more || json_object_update(net, more) != 0;
  json_decref(more);
  if (!failed) return net;
  json_decref(net);
  return NULL;
}

static json_t *transform_spec(const plan *p) {
  if (p->coupling == ADDITIVE) return json_pack("{s:s}", "type", "additive");
  if (p->coupling == MIXTURE) return json_pack("{s:s, s:I}", "type", "mixture-of-logistics", "components", (json_int_t)p->logistics);
  if (p->coupling != AFFINE)
    return json_pack("{s:s, s:I, s:f}", "type", coupling_names[p->coupling], "bins", (json_int_t)p->bins,
                     p->coupling == RQS ? "box" : "bound", p->box);
  if (p->scale == SIGMOID) return json_pack("{s:s, s:s}", "type", "affine", "scale", "sigmoid");
  return json_pack("{s:s, s:f}", "type", "affine", "bound", p->bound);
}

static json_t *mixing_spec(plan *p) {
  const json_int_t seed = p->seed++;
  if (p->mixing == HOUSEHOLDER) return json_pack("{s:s}", "type", "householder");
  if (p->mixing == SWAP) return json_pack("{s:s, s:s}", "type", "permutation", "order", "swap");
  if (p->mixing == PERMUTATION) return json_pack("{s:s, s:s, s:I}", "type", "permutation", "order", "random", "seed", seed);
  const char *type = mixing_names[p->mixing];
  if (p->start == IDENTITY) return json_pack("{s:s}", "type", type);
  return json_pack("{s:s, s:s, s:I}", "type", type, "start", "rotation", "seed", seed);
}

static void add(plan *p, json_t *parts, json_t *part) {
  if (json_array_append_new(parts, part) != 0) p->failed = 1;
}

/* [ActNorm] [mixing] coupling */
static void add_step(plan *p, json_t *parts, bool mixing, const char *mask) {
  if (p->actnorm) add(p, parts, json_pack("{s:s}", "type", "actnorm"));
  if (mixing) add(p, parts, mixing_spec(p));
  add(p, parts, json_pack("{s:s, s:s, s:o, s:o}", "type", "coupling", "mask", mask, "transform", transform_spec(p), "net", net_spec(p)));
}

/* What all that is left is given a context: the learned prior of the last level, one of a class where there are classes. */
static json_t *last_prior(void) {
  return json_pack("{s:s, s:s, s:{s:s}}", "type", "elementwise", "transform", "affine", "net", "type", "linear");
}

/* Levels [level, levels): one chain. */
static json_t *level_spec(plan *p, int64_t level) {
  json_t *parts = json_array();
  for (int64_t i = 0; i < p->checkerboard; i++) add_step(p, parts, false, i % 2 ? "checkerboard-swap" : "checkerboard");
  add(p, parts, json_pack("{s:s}", "type", "squeeze"));
  for (int64_t i = 0; i < p->steps; i++)
    add_step(p, parts, p->mixing != NO_MIXING, p->mixing == NO_MIXING && i % 2 ? "channels-swap" : "channels");
  if (level + 1 < p->levels) {
    json_t *net = p->prior ? json_pack("{s:s, s:b}", "type", "conv_linear", "gain", p->gain) : json_null();
    add(p, parts, json_pack("{s:s, s:o, s:o}", "type", "factor_out", "net", net, "part", level_spec(p, level + 1)));
  } else if (p->prior && p->context) {
    add(p, parts, last_prior());
  }
  return json_pack("{s:s, s:o}", "type", "chain", "parts", parts);
}

static json_t *base_spec(const plan *p) {
  if (p->base == DIAGONAL) return json_pack("{s:s, s:b}", "type", "normal", "learn", 1);
  return json_pack("{s:s}", "type", base_names[p->base]);
}

static rh_status expand(const rh_arch *arch, const json_t *options, const rh_arch_size *size, json_t **flow, json_t **base) {
  plan p = {.kind = *(const image_kind *)arch->own};
  RH_TRY(read_options(&p, options, size, arch->name));
  json_t *f = rh_arch_image_spec(&size->image, level_spec(&p, 0), &p.failed), *b = base_spec(&p);
  if (!f || !b) {
    json_decref(f);
    json_decref(b);
    return rh_fail(RH_E_MEMORY, "out of memory for the specification");
  }
  *flow = f;
  *base = b;
  return RH_OK;
}

static const image_kind glow = {8, 0, AFFINE, SIGMOID, LU, CONV, true, true, false},
                        realnvp_image = {3, 3, AFFINE, EXP, NO_MIXING, RESIDUAL, false, false, true},
                        nsf_image = {8, 0, RQS, SIGMOID, LU, CONV, true, true, false};

const rh_arch rh_arch_glow = {"glow", "images: multi-scale affine couplings and 1x1 convolutions (Kingma & Dhariwal 2018)", expand, &glow,
                              true};
const rh_arch rh_arch_realnvp_image = {
    "realnvp-image", "images: multi-scale affine couplings of checkerboards and channels by residual networks (Dinh et al. 2017)", expand,
    &realnvp_image, true};
const rh_arch rh_arch_nsf_image = {"nsf-image",
                                   "images: Glow's levels with rational-quadratic splines for affine couplings (Durkan et al. 2019)",
                                   expand, &nsf_image, true};
