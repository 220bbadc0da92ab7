/* A flow in two: its front, the preprocessing up to the last part that loses or adds information (quantization, noise), from the raw row x
 * to y; and the bijection behind it, from y to the code z. What can be inverted, and whose determinant can be told, is what lies behind. */
#ifndef RH_DENSITY_FRONT_H
#define RH_DENSITY_FRONT_H
#include "density/flow.h"

/* Whether what lies behind the front is a bijection; a mixture has none. */
bool rh_flow_splits(const rh_flow *f);
int64_t rh_front_width(const rh_flow *f); /* numbers of y */
/* context: raw. noise: [f->noise], the front's comes first. */
rh_val rh_front_forward(const rh_flow *f, rh_graph *g, rh_val x, rh_val context, rh_val noise);
rh_val rh_front_inverse(const rh_flow *f, rh_graph *g, rh_val y, rh_val context);
/* y -> z [latent], and back; ladj as rh_forward and rh_inverse give it. */
void rh_behind_forward(const rh_flow *f, rh_graph *g, rh_val y, rh_val context, rh_val *z, rh_val *ladj);
void rh_behind_inverse(const rh_flow *f, rh_graph *g, rh_val z, rh_val context, rh_val *y, rh_val *ladj);
#endif
