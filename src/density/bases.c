/* The registry of base distributions, and what is the same for all of them. */
#include "base/memory.h"
#include "density/base_types.h"

static const rh_base_type *const types[] = {&rh_base_normal, &rh_base_full_normal, &rh_base_student_t, &rh_base_uniform, &rh_base_mixture};

const rh_base_type *const *rh_base_types(int *n) {
  *n = (int)RH_COUNT_OF(types);
  return types;
}

static rh_status fill(rh_base *b, const rh_build *build, rh_spec *spec) {
  RH_TRY(b->type->create(b, build, spec));
  RH_TRY(rh_spec_done(spec));
  b->spec = rh_spec_take(spec);
  return RH_OK;
}

rh_status rh_base_create(const rh_build *build, const json_t *spec, const char *where, rh_shape shape, rh_base **out) {
  const char *names[RH_COUNT_OF(types) + 1] = {0};
  for (size_t i = 0; i < RH_COUNT_OF(types); i++) names[i] = types[i]->type;
  rh_options o = rh_options_begin(spec, where);
  const rh_base_type *type = types[rh_options_choice(&o, "type", 0, names)];
  if (o.status != RH_OK) return o.status;
  rh_base *b = rh_alloc_zero(1, type->bytes);
  if (!b) return RH_E_MEMORY;
  *b = (rh_base){.type = type, .shape = shape, .noise = rh_shape_count(&shape)};
  rh_spec s = rh_spec_begin(spec, where, type->type);
  const rh_status status = fill(b, build, &s);
  rh_spec_end(&s);
  if (status != RH_OK) {
    rh_base_destroy(b);
    return status;
  }
  *out = b;
  return RH_OK;
}

void rh_base_destroy(rh_base *b) {
  if (!b) return;
  if (b->type->destroy) b->type->destroy(b);
  json_decref(b->spec);
  rh_free(b);
}

rh_val rh_base_log_prob(const rh_base *base, rh_graph *g, rh_val z, rh_val context) {
  return g->status == RH_OK ? base->type->log_prob(base, g, z, base->context ? context : RH_NONE) : RH_NONE;
}

rh_val rh_base_sample(const rh_base *base, rh_graph *g, rh_val noise, rh_val context, double temperature) {
  return g->status == RH_OK ? base->type->sample(base, g, noise, base->context ? context : RH_NONE, temperature) : RH_NONE;
}

void rh_base_scores(const rh_base *base, const rh_leaves *leaves, const rh_values *values, int64_t rows, int64_t step, const double *z,
                    double *u, double *norm) {
  const int64_t d = rh_shape_count(&base->shape);
  for (int64_t i = 0; i < rows; i++) norm[i] = base->type->scores(base, leaves, values, z + i * step, u + i * d);
}

double rh_squares(int64_t n, const double *u) {
  double sum = 0;
  for (int64_t i = 0; i < n; i++) sum += u[i] * u[i];
  return sum;
}

rh_val rh_standard_log_prob(rh_graph *g, rh_val u) {
  const double half_log_two_pi = 0.91893853320467274178, root_half = 0.70710678118654752440;
  const rh_val squares = rh_sum(g, rh_square(g, rh_mulc(g, u, root_half)));
  return rh_sub(g, rh_const(g, rh_shape1(1), -half_log_two_pi * (double)rh_count(g, u)), squares);
}
