/* The networks and the vector fields there are: each is its file's one symbol. Private to this floor. */
#ifndef RH_NET_TYPES_H
#define RH_NET_TYPES_H
#include "net/field.h"

enum { RH_NET_WIDTH = 1 << 16 }; /* widest hidden layer */

extern const rh_net_type rh_net_mlp, rh_net_residual, rh_net_linear, rh_net_constant, rh_net_conv, rh_net_conv_residual, rh_net_conv_unet,
    rh_net_conv_linear;
extern const rh_field_type rh_field_time_mlp, rh_field_planar, rh_field_time_conv;

/* Fails where an operation between x and f lacks the second derivative that a trace is trained by. */
rh_status rh_field_check(const rh_field *field, const rh_leaves *leaves, const char *where) RH_WARN_UNUSED;
/* Option "activation" of a field. */
rh_status rh_field_activation(rh_spec *spec, const char *fallback, int *which) RH_WARN_UNUSED;
/* Of option "residual": hidden layers that add to what they read are of one width. */
rh_status rh_field_one_width(rh_spec *spec, bool residual, int hidden, const int64_t *width) RH_WARN_UNUSED;
rh_val rh_over_lines(rh_graph *g, rh_val v, int64_t n); /* v, flattened: [m] -> [n, m], the same in every line */
/* d a(z) / dz of an elementwise function, from the graph's own rule: z's shape. */
rh_val rh_slope_of(rh_graph *g, rh_val a, rh_val z);
#endif
