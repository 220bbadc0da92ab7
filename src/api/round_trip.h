/* Rows to codes and back, behind what the preprocessing loses or adds (density/front.h): where nothing is rounded, errors can be seen. */
#ifndef RH_API_ROUND_TRIP_H
#define RH_API_ROUND_TRIP_H
#include "api/handle.h"

/* Where x -> y -> z -> y' stand; widths: y of rh_front_width, z of the latent, c of the context. */
typedef struct rh_round_trip {
  double *y;                /* [rows, width + c] */
  double *z;                /* [rows, latent + c] */
  double *back;             /* [rows, width]: y' */
  double *ladj, *ladj_back; /* [rows], or NULL both */
} rh_round_trip;
rh_status rh_round_trip_alloc(const rh_flow *flow, int64_t rows, rh_round_trip *trip) RH_WARN_UNUSED; /* with room for ladj */
void rh_round_trip_free(rh_round_trip *trip);                                                         /* {0} is fine */
/* Rows [first, first + n) of [columns | context]. */
rh_status rh_round_trip_run(rh_scorer *s, const rh_flow *flow, const rh_rows *rows, int64_t first, int64_t n,
                            rh_round_trip *trip) RH_WARN_UNUSED;
/* data [rows, width], densely -> [rows, width + c] in the same place, with the context of those rows behind each. */
void rh_append_context(const rh_flow *flow, const rh_rows *rows, int64_t first, int64_t n, int64_t width, double *data);
#endif
