/* One dense layer: y = W x + b, W [out, in] and b [out] as PyTorch's Linear has them. */
#ifndef RH_NET_DENSE_H
#define RH_NET_DENSE_H
#include "net/net.h"

typedef struct rh_dense {
  int weight, bias; /* leaves */
} rh_dense;

/* Initial weights normal with standard deviation gain / sqrt(in); biases uniform in +-1 / sqrt(in), times `bias`. Leaves prefix.name.weight
 * and .bias; name "" leaves it out. */
rh_status rh_dense_create(const rh_build *build, const char *name, int64_t in, int64_t out, double gain, double bias,
                          rh_dense *dense) RH_WARN_UNUSED;
/* The last layer of a conditioner: "zero" (the flow starts as the identity), "small" or "scaled". */
extern const char *const rh_last_init_names[]; /* NULL-ended; 0 is the default */
double rh_last_init_gain(int init);            /* of its weights */
rh_status rh_dense_create_last(const rh_build *build, const char *name, int64_t in, int64_t out, int init, rh_dense *dense) RH_WARN_UNUSED;
rh_val rh_dense_apply(const rh_dense *dense, rh_graph *g, rh_val x); /* x: [in] -> [out] */
#endif
