/* The networks and the vector fields there are: each is its file's one symbol. Private to this floor. */
#ifndef RH_NET_TYPES_H
#define RH_NET_TYPES_H
#include "net/field.h"

enum { RH_NET_WIDTH = 1 << 16 }; /* widest hidden layer */

extern const rh_net_type rh_net_mlp, rh_net_residual, rh_net_linear, rh_net_constant, rh_net_conv, rh_net_conv_residual, rh_net_conv_unet,
    rh_net_conv_linear;
extern const rh_field_type rh_field_time_mlp, rh_field_planar;

/* Fails where an operation between x and f lacks the second derivative that a trace is trained by. */
rh_status rh_field_check(const rh_field *field, const rh_leaves *leaves, const char *where) RH_WARN_UNUSED;
/* Option "activation" of a field. */
rh_status rh_field_activation(rh_spec *spec, const char *fallback, int *which) RH_WARN_UNUSED;
#endif
