/* Multi-layer perceptron: dense layers with an activation between them. Leaves prefix.0, prefix.1, ... */
#include <stdio.h>

#include "net/dense.h"
#include "net/types.h"

enum { LAYERS = 32 };

typedef struct mlp {
  rh_net net;
  int activation, layers;
  rh_dense layer[LAYERS + 1];
} mlp;

static rh_status mlp_create(rh_net *net, const rh_build *build, rh_spec *spec) {
  mlp *m = (mlp *)net;
  int64_t hidden[LAYERS] = {64, 64};
  m->layers = 2;
  rh_spec_ints(spec, "hidden", 1, RH_NET_WIDTH, LAYERS, &m->layers, hidden);
  m->activation = rh_spec_choice(spec, "activation", 0, rh_activation_names);
  const int init = rh_spec_choice(spec, "init", 0, rh_last_init_names);
  const double gain = rh_spec_real(spec, "gain", RH_NET_GAIN, 0.01, 10);
  RH_TRY(rh_spec_status(spec));
  int64_t in = net->in + net->context;
  char name[16];
  for (int i = 0; i < m->layers; i++) {
    snprintf(name, sizeof name, "%d", i);
    RH_TRY(rh_dense_create(build, name, in, hidden[i], gain, 1, &m->layer[i]));
    in = hidden[i];
  }
  snprintf(name, sizeof name, "%d", m->layers);
  return rh_dense_create_last(build, name, in, net->out, init, &m->layer[m->layers]);
}

static rh_val mlp_apply(const rh_net *net, rh_graph *g, rh_val x) {
  const mlp *m = (const mlp *)net;
  for (int i = 0; i < m->layers; i++) x = rh_activation(g, m->activation, rh_dense_apply(&m->layer[i], g, x));
  return rh_dense_apply(&m->layer[m->layers], g, x);
}

const rh_net_type rh_net_mlp = {.type = "mlp", .bytes = sizeof(mlp), .create = mlp_create, .apply = mlp_apply};
