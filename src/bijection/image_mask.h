/* What a coupling keeps of an image, and what it changes. Private to this floor. */
#ifndef RH_BIJECTION_IMAGE_MASK_H
#define RH_BIJECTION_IMAGE_MASK_H
#include "net/net.h"

typedef struct rh_image_mask {
  rh_shape shape;            /* [h, w, c] */
  rh_shape seen;             /* what the network reads: the kept channels; of a checkerboard the image with the changed pixels zeroed */
  bool pixels;               /* a checkerboard: all channels of every other pixel */
  int64_t changed, channels; /* numbers; of a changed pixel */
  int32_t *seen_at, *changed_at, *back; /* [of seen], [changed], [all]: where they come from; negative: 0. Of `back`: pixels: among the
                                         * changed; channels: among those seen, then those changed */
} rh_image_mask;

/* Key "mask" of the spec: "channels" (the first half is kept), "channels-swap" (the other half), "checkerboard" (pixels with an even sum of
 * row and column are kept), "checkerboard-swap". */
rh_status rh_image_mask_read(rh_image_mask *mask, rh_spec *spec, rh_shape image) RH_WARN_UNUSED;
void rh_image_mask_free(rh_image_mask *mask);
/* x: [h, w, c] -> seen: mask->seen, changed: [changed]; and back. */
void rh_image_mask_split(const rh_image_mask *mask, rh_graph *g, rh_val x, rh_val *seen, rh_val *changed);
rh_val rh_image_mask_join(const rh_image_mask *mask, rh_graph *g, rh_val seen, rh_val changed);
/* Of raw numbers by pixel [h, w, params channels] those of the changed pixels: [params changed]. */
rh_val rh_image_mask_raw(const rh_image_mask *mask, rh_graph *g, rh_val raw, int64_t params);
#endif
