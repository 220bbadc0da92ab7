/* How often a continuous flow evaluates its field (evaluations.c). */
#ifndef RH_BENCH_EVALUATIONS_H
#define RH_BENCH_EVALUATIONS_H
#include "model/model.h"

typedef struct bench_rows {
  int64_t batch, scored, draws;
  const double *x;     /* [most of batch and scored, columns] */
  const json_t *works; /* the works to count, by name; NULL: all */
} bench_rows;

/* {"train": {"forward": sum over the rows, "backward": the same, "mean": forward a row, "max": of one row}, "log_prob": ..., "sample": ...}
 * -> all; x's first rows are those of a training batch and of scoring. */
rh_status bench_evaluations(const rh_model *m, const char *isa, const bench_rows *rows, json_t *all) RH_WARN_UNUSED;
#endif
