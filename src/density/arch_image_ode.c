/* Continuous flows of images in several scales (Grathwohl et al. 2019, FFJORD, section 4.2, with the scales of Dinh et al. 2017,
 * section 3.6): levels of differential equations whose fields are convolutions, each level behind a squeeze, half of the channels leaving
 * after each but the last. Two hidden layers that read the time as one more channel have their trace in closed form (net/conv_trace.c), so
 * that training and scoring are exact, whatever the image's size. Options: docs/image-flows.md. */
#include "density/arch_ode.h"

enum { CONCAT, SQUASH };
static const char *const field_names[] = {"concat", "squash", NULL}, *const base_names[] = {"normal", "diagonal", "student-t", NULL};
enum { NORMAL, DIAGONAL };
enum { MANY_NUMBERS = 1024 };

typedef struct plan {
  rh_ode_plan ode;
  int64_t levels, steps, fine, hidden[RH_ARCH_HIDDEN], kernel;
  int hidden_n, field, activation, base;
  bool residual, actnorm, prior, context;
  double gain;
  int failed;
} plan;

static rh_status read_options(plan *p, const json_t *options, const rh_arch_size *size, const rh_ode_kind *kind, const char *where) {
  rh_options o = rh_options_begin(options, where);
  p->levels = rh_arch_levels(&o, &size->image);
  p->steps = rh_options_int(&o, "steps", 2, 1, 1024);
  p->fine = rh_options_int(&o, "fine", 1, 0, 1024);
  p->field = rh_options_choice(&o, "field", CONCAT, field_names);
  p->hidden_n = 2;
  for (int i = 0; i < p->hidden_n; i++) p->hidden[i] = size->columns > MANY_NUMBERS ? 32 : 16;
  rh_options_ints(&o, "hidden", 1, 1 << 16, RH_ARCH_HIDDEN, &p->hidden_n, p->hidden);
  p->activation = rh_options_choice(&o, "activation", 0, rh_smooth_names);
  p->residual = rh_options_bool(&o, "residual", false);
  p->gain = rh_options_real(&o, "gain", RH_NET_GAIN, 0.01, 10);
  p->kernel = rh_options_int(&o, "kernel", 3, 1, 15);
  rh_ode_plan_read(&p->ode, &o, kind);
  p->actnorm = rh_options_bool(&o, "actnorm", true);
  p->prior = rh_options_bool(&o, "prior", true);
  p->base = rh_options_choice(&o, "base", NORMAL, base_names);
  p->context = size->context > 0;
  RH_TRY(rh_options_done(&o));
  return rh_hidden_check(p->hidden_n, p->hidden, p->residual, where);
}

static void add(plan *p, json_t *parts, json_t *part) {
  if (json_array_append_new(parts, part) != 0) p->failed = 1;
}

/* [ActNorm] equation, n times */
static void add_steps(plan *p, json_t *parts, int64_t n) {
  for (int64_t i = 0; i < n && !p->failed; i++) {
    if (p->actnorm) add(p, parts, json_pack("{s:s}", "type", "actnorm"));
    json_t *field =
        rh_layers_spec("time_conv", p->hidden_n, p->hidden, rh_smooth_names[p->activation], field_names[p->field], p->residual, p->gain);
    if (json_object_set_new(field, "kernel", json_integer(p->kernel)) != 0) p->failed = 1;
    add(p, parts, rh_ode_plan_spec(&p->ode, field));
  }
}

/* Levels [level, levels): one chain. */
static json_t *level_spec(plan *p, int64_t level) {
  json_t *parts = json_array();
  add_steps(p, parts, p->fine);
  add(p, parts, json_pack("{s:s}", "type", "squeeze"));
  add_steps(p, parts, p->steps);
  if (level + 1 < p->levels) {
    json_t *net = p->prior ? json_pack("{s:s, s:b}", "type", "conv_linear", "gain", 1) : json_null();
    add(p, parts, json_pack("{s:s, s:o, s:o}", "type", "factor_out", "net", net, "part", level_spec(p, level + 1)));
  } else if (p->prior && p->context) {
    add(p, parts, json_pack("{s:s, s:s, s:{s:s}}", "type", "elementwise", "transform", "affine", "net", "type", "linear"));
  }
  return json_pack("{s:s, s:o}", "type", "chain", "parts", parts);
}

static rh_status expand(const rh_arch *arch, const json_t *options, const rh_arch_size *size, json_t **flow, json_t **base) {
  plan p = {.failed = 0};
  RH_TRY(read_options(&p, options, size, arch->own, arch->name));
  json_t *f = rh_arch_image_spec(&size->image, level_spec(&p, 0), &p.failed);
  json_t *b = p.base == DIAGONAL ? json_pack("{s:s, s:b}", "type", "normal", "learn", 1) : json_pack("{s:s}", "type", base_names[p.base]);
  if (!f || !b) {
    json_decref(f);
    json_decref(b);
    return rh_fail(RH_E_MEMORY, "out of memory for the specification");
  }
  *flow = f;
  *base = b;
  return RH_OK;
}

static const rh_ode_kind usual = {.trace = "auto", .kinetic = 0.03, .training_steps = 4};

const rh_arch rh_arch_ffjord_image = {"ffjord-image",
                                      "images: multi-scale continuous flows by convolutions, with exact traces (Grathwohl et al. 2019)",
                                      expand, &usual, true};
