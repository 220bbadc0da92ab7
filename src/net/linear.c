/* One dense layer. Leaves prefix.weight, prefix.bias. */
#include "net/dense.h"
#include "net/types.h"

typedef struct linear {
  rh_net net;
  rh_dense layer;
} linear;

static rh_status linear_create(rh_net *net, const rh_build *build, rh_spec *spec) {
  const int init = rh_spec_choice(spec, "init", 0, rh_last_init_names);
  RH_TRY(rh_spec_status(spec));
  return rh_dense_create_last(build, "", net->in + net->context, net->out, init, &((linear *)net)->layer);
}

static rh_val linear_apply(const rh_net *net, rh_graph *g, rh_val x) {
  return rh_dense_apply(&((const linear *)net)->layer, g, x);
}

const rh_net_type rh_net_linear = {.type = "linear", .bytes = sizeof(linear), .create = linear_create, .apply = linear_apply};
