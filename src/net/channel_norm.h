/* Normalization within one image: of every pixel over its channels (layer norm, Ba et al. 2016), or of groups of channels over the pixels
 * (group norm, Wu & He 2018); then a learned scale and shift of every channel. */
#ifndef RH_NET_CHANNEL_NORM_H
#define RH_NET_CHANNEL_NORM_H
#include "net/net.h"

typedef enum rh_norm_kind { RH_NORM_NONE, RH_NORM_LAYER, RH_NORM_GROUP } rh_norm_kind;

typedef struct rh_channel_norm {
  rh_norm_kind kind;
  int64_t groups;
  int scale, shift; /* leaves [channels] */
} rh_channel_norm;

/* Options "norm" and, of "group", "groups", which must divide the channels. */
rh_status rh_read_norm(rh_spec *spec, int64_t channels, rh_norm_kind *kind, int64_t *groups) RH_WARN_UNUSED;
/* Leaves prefix.name.scale, .shift; none: nothing. */
rh_status rh_channel_norm_create(const rh_build *build, const char *name, rh_norm_kind kind, int64_t groups, int64_t channels,
                                 rh_channel_norm *norm) RH_WARN_UNUSED;
rh_val rh_channel_norm_apply(const rh_channel_norm *norm, rh_graph *g, rh_val x); /* x: [h, w, channels] */
#endif
