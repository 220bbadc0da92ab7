/* Conditioners: networks that read a row vector or an image (and a context) and give the raw parameters of a transform. One file a network,
 * one row in the registry (net/nets.c). */
#ifndef RH_NET_NET_H
#define RH_NET_NET_H
#include "graph/graph.h"
#include "net/spec.h"

/* Where a part's leaves go and what they are called; shared by nets and bijections. */
typedef struct rh_build {
  rh_leaves *leaves;
  const char *prefix; /* "flow.3": a part's leaves are prefix.name */
  int64_t context;    /* width of the context vector, 0 = none */
} rh_build;

typedef struct rh_net rh_net;
typedef struct rh_net_type {
  const char *type; /* "mlp", "residual" */
  size_t bytes;     /* of its own struct, which begins with an rh_net */
  /* Fills a cleared struct whose rh_net is set: reads its options from `spec` (unknown keys are found afterwards), adds its leaves. After a
   * failure destroy is called. */
  rh_status (*create)(rh_net *net, const rh_build *build, rh_spec *spec);
  /* x: [in], context: [context] or RH_NONE -> [out]. Reads both as one vector: net->in + net->context numbers, never none. */
  rh_val (*apply)(const rh_net *net, rh_graph *g, rh_val x);
  /* Of images, instead: x [h, w, c], context [context] or RH_NONE -> [h, w, channels]. */
  rh_val (*apply_image)(const rh_net *net, rh_graph *g, rh_val x, rh_val context);
  /* The mask contract: may output `out` depend on input `in`? NULL: every one on every one. Held by a Jacobian test. */
  bool (*depends)(const rh_net *net, int64_t out, int64_t in);
  void (*destroy)(rh_net *net); /* what create allocated beside the struct; NULL: nothing */
} rh_net_type;

struct rh_net { /* first member of every network's own struct */
  const rh_net_type *type;
  int64_t in, out, context;
  rh_shape image;   /* of images: [h, w, c], in = h w c; else of rank 0 */
  int64_t channels; /* of images: out = h w channels */
  json_t *spec;     /* owned: every default written out */
};

/* spec: {"type": ..., options}, NULL or without a type: an mlp. Without any input (in and context 0) the net is "constant": one learned
 * vector. */
rh_status rh_net_create(const rh_build *build, const json_t *spec, const char *where, int64_t in, int64_t out, rh_net **net) RH_WARN_UNUSED;
/* x: [in] or RH_NONE where in is 0; context: [context] or RH_NONE -> [out]. */
rh_val rh_net_apply(const rh_net *net, rh_graph *g, rh_val x, rh_val context);
/* The same of an image [h, w, c] to [h, w, channels]; NULL or without a type: "conv". */
rh_status rh_image_net_create(const rh_build *build, const json_t *spec, const char *where, rh_shape image, int64_t channels,
                              rh_net **net) RH_WARN_UNUSED;
rh_val rh_image_net_apply(const rh_net *net, rh_graph *g, rh_val x, rh_val context);
void rh_net_destroy(rh_net *net); /* NULL is fine */
const rh_net_type *const *rh_net_types(int *n);

/* Activations by name ("relu", "silu", "tanh", "gelu", "softplus", "elu", "identity"). */
extern const char *const rh_activation_names[]; /* NULL-ended */
rh_val rh_activation(rh_graph *g, int activation, rh_val x);
rh_unary rh_activation_unary(int activation);
double rh_activation_gain(int activation); /* for variance-keeping initial weights (He et al. 2015) */
/* Hidden layers of an mlp start with weights of standard deviation gain / sqrt(in). This default is that of torch.nn.Linear, well below the
 * variance-keeping gain: a start of smaller weights generalized better on every table tried (docs/results.md). */
#define RH_NET_GAIN 0.57735026918962573
#endif
