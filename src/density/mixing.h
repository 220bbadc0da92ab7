/* Mixtures: sums of exponentials in log space, and picking a component. Private to this floor. */
#ifndef RH_DENSITY_MIXING_H
#define RH_DENSITY_MIXING_H
#include "graph/graph.h"

enum { RH_MIXTURE_MAX = 1 << 24 }; /* numbers of all components together */

/* log sum_k e^a_k: a [k], row or parameter -> [1]. -inf where all are; gradients are then finite or zero. */
rh_val rh_log_sum_exp(rh_graph *g, rh_val a);
rh_val rh_log_softmax(rh_graph *g, rh_val logits); /* [k] -> log weights [k] */
/* u: [1], uniform in (0, 1); log_weights: a parameter [k] -> a row [k]: 1 for the component that u falls on, else 0. */
rh_val rh_pick(rh_graph *g, rh_val u, rh_val log_weights);
#endif
