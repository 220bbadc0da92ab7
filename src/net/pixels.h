/* Channels and pixels of images, [h, w, c] row-major: pixel by pixel, the channels of one together. */
#ifndef RH_NET_PIXELS_H
#define RH_NET_PIXELS_H
#include "graph/graph.h"

/* Channels [first, first + count) of x [h, w, c] -> [h, w, count]. */
rh_val rh_channels_of(rh_graph *g, rh_val x, int64_t first, int64_t count);
rh_val rh_channels_join(rh_graph *g, rh_val a, rh_val b); /* [h, w, m], [h, w, n] -> [h, w, m + n] */
/* A frame of p pixels around x [h, w, c] -> [h + 2 p, w + 2 p, c]. */
typedef enum rh_padding { RH_PAD_ZERO, RH_PAD_REFLECT, RH_PAD_CIRCULAR, RH_PAD_REPLICATE } rh_padding;
extern const char *const rh_padding_names[]; /* NULL-ended */
rh_val rh_pad(rh_graph *g, rh_val x, rh_padding how, int64_t p);
#endif
