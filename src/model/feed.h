/* From rows in double to the inputs of a plan: columns, context and noise at the plan's precision. Shared by scoring and training. */
#ifndef RH_MODEL_FEED_H
#define RH_MODEL_FEED_H
#include "base/rng.h"
#include "model/score.h"

typedef enum rh_feed_part { RH_FEED_COLUMNS, RH_FEED_CONTEXT, RH_FEED_NOISE } rh_feed_part;

/* What noise is keyed by, after (seed, epoch): the row's number, or the hash of its bytes. */
typedef enum rh_feed_key { RH_KEY_NUMBER, RH_KEY_BYTES } rh_feed_key;

typedef struct rh_feed {
  int real_bytes;
  int parts; /* inputs of the graph, in order */
  rh_feed_part part[3];
  int64_t columns, context, noise; /* widths */
  const rh_rows *rows;             /* NULL when there are neither columns nor context */
  const int64_t *row;              /* numbers of the batch's rows; NULL: first, first + 1, ... */
  int64_t first;
  int64_t draws;     /* the plan sees every row this many times, each with noise of its own; at least 1 */
  const bool *probe; /* [noise] or NULL: numbers that are the first draw's in every draw of a row */
  int64_t skip;      /* draws of the first row that this batch leaves out */
  rh_feed_key key;
  rh_image_shape flip; /* mirror the image in a row's first h w c columns, left to right, with probability 1/2, keyed by (seed, epoch, row's
                          number); h = 0: never */
  uint64_t seed;
  uint32_t epoch, stream;
  bool middle; /* noise is 1/2 everywhere: a whole number comes to stand in the middle of its cell */
} rh_feed;

/* The parts of a graph that reads `columns`, `context` and `noise` numbers a row, widths of 0 left out. */
rh_feed rh_feed_of(int real_bytes, int64_t columns, int64_t context, int64_t noise);
/* As rh_run_io.load; arg is a const rh_feed. No allocation; any thread. */
void rh_feed_load(void *arg, int input, int64_t first, int64_t rows, void *dst);
/* n uniforms in (0, 1) at a plan's precision: rounding never makes a 1. */
void rh_feed_uniform(const rh_rng *rng, int64_t first, int64_t n, int real_bytes, void *dst);
#endif
