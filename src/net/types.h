/* The networks there are: each is its file's one symbol. Private to this floor. */
#ifndef RH_NET_TYPES_H
#define RH_NET_TYPES_H
#include "net/net.h"

enum { RH_NET_WIDTH = 1 << 16 }; /* widest hidden layer */

extern const rh_net_type rh_net_mlp, rh_net_residual, rh_net_linear, rh_net_constant, rh_net_conv, rh_net_conv_residual, rh_net_conv_unet,
    rh_net_conv_linear;
#endif
