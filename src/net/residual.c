/* Residual network with pre-activation blocks (He et al. 2016; as the conditioners of Durkan et al. 2019, appendix B.1): h = W x + b, then
 * blocks h += W2 a(W1 a(h)), then a dense layer. A block starts as nearly the identity. Leaves prefix.initial, prefix.blocks.0.0,
 * prefix.blocks.0.1, ..., prefix.final. */
#include <stdio.h>

#include "base/memory.h"
#include "net/dense.h"
#include "net/types.h"

enum { BLOCKS = 64 };

typedef struct residual {
  rh_net net;
  int activation, blocks;
  rh_dense initial, final, block[BLOCKS][2];
} residual;

static rh_status residual_create(rh_net *net, const rh_build *build, rh_spec *spec) {
  residual *r = (residual *)net;
  const int64_t hidden = rh_spec_int(spec, "hidden", 64, 1, RH_NET_WIDTH);
  r->blocks = (int)rh_spec_int(spec, "blocks", 2, 1, BLOCKS);
  r->activation = rh_spec_choice(spec, "activation", 0, rh_activation_names);
  const int init = rh_spec_choice(spec, "init", 0, rh_last_init_names);
  RH_TRY(rh_spec_status(spec));
  RH_TRY(rh_dense_create(build, "initial", net->in + net->context, hidden, 1, 1, &r->initial));
  for (int i = 0; i < r->blocks; i++) {
    char name[2][32];
    for (int j = 0; j < 2; j++) snprintf(name[j], sizeof name[j], "blocks.%d.%d", i, j);
    RH_TRY(rh_dense_create(build, name[0], hidden, hidden, rh_activation_gain(r->activation), 1, &r->block[i][0]));
    RH_TRY(rh_dense_create(build, name[1], hidden, hidden, 0.01, 0, &r->block[i][1]));
  }
  return rh_dense_create_last(build, "final", hidden, net->out, init, &r->final);
}

static rh_val residual_apply(const rh_net *net, rh_graph *g, rh_val x) {
  const residual *r = (const residual *)net;
  rh_val h = rh_dense_apply(&r->initial, g, x);
  for (int i = 0; i < r->blocks; i++) {
    const rh_val inner = rh_dense_apply(&r->block[i][0], g, rh_activation(g, r->activation, h));
    h = rh_add(g, h, rh_dense_apply(&r->block[i][1], g, rh_activation(g, r->activation, inner)));
  }
  return rh_dense_apply(&r->final, g, h);
}

const rh_net_type rh_net_residual = {.type = "residual", .bytes = sizeof(residual), .create = residual_create, .apply = residual_apply};
