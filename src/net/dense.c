#include "net/dense.h"

#include <math.h>

rh_status rh_dense_create(const rh_build *build, const char *name, int64_t in, int64_t out, double gain, double bias, rh_dense *dense) {
  const double scale = 1 / sqrt((double)in);
  const char *dot = *name ? "." : "";
  const rh_init weights = {gain == 0 ? RH_INIT_CONSTANT : RH_INIT_NORMAL, gain * scale, NULL};
  const rh_init biases = {bias == 0 ? RH_INIT_CONSTANT : RH_INIT_UNIFORM, bias * scale, NULL};
  RH_TRY(
      rh_leaf_add(build->leaves, RH_PARAM, rh_shape2(out, in), weights, true, &dense->weight, "%s%s%s.weight", build->prefix, dot, name));
  return rh_leaf_add(build->leaves, RH_PARAM, rh_shape1(out), biases, false, &dense->bias, "%s%s%s.bias", build->prefix, dot, name);
}

const char *const rh_last_init_names[] = {"zero", "small", "scaled", NULL};

double rh_last_init_gain(int init) {
  static const double gain[] = {0, 0.01, 1};
  return gain[init];
}

rh_status rh_dense_create_last(const rh_build *build, const char *name, int64_t in, int64_t out, int init, rh_dense *dense) {
  return rh_dense_create(build, name, in, out, rh_last_init_gain(init), 0, dense);
}

rh_val rh_dense_apply(const rh_dense *dense, rh_graph *g, rh_val x) {
  return rh_linear(g, x, rh_leaf_val(g, dense->weight), rh_leaf_val(g, dense->bias));
}
