#include "net/net.h"

/* name, function, 1 / sqrt(E f(z)^2) for a standard normal z (for relu that of He et al. 2015, eq. 10) */
typedef struct activation {
  rh_unary f;
  double gain;
} activation;
static const activation table[] = {
    {RH_U_RELU, 1.4142135623730951}, {RH_U_SILU, 1.6765}, {RH_U_TANH, 1.5925}, {RH_U_GELU, 1.5335},
    {RH_U_SOFTPLUS, 1.0418},         {RH_U_ELU, 1.2453},  {RH_U_COPY, 1},
};
const char *const rh_activation_names[] = {"relu", "silu", "tanh", "gelu", "softplus", "elu", "identity", NULL};

rh_val rh_activation(rh_graph *g, int which, rh_val x) {
  return table[which].f == RH_U_COPY ? x : rh_unary_val(g, table[which].f, x, 0);
}

rh_unary rh_activation_unary(int which) {
  return table[which].f;
}

double rh_activation_gain(int which) {
  return table[which].gain;
}
