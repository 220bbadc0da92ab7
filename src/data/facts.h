/* What is known of a column from its training rows. Private to this floor. */
#ifndef RH_DATA_FACTS_H
#define RH_DATA_FACTS_H
#include "data/table.h"

/* X(enumerator, word) */
#define RH_FACT_LIST(X)            \
  X(RH_FACT_CONSTANT, "constant")  \
  X(RH_FACT_COPY, "duplicated")    \
  X(RH_FACT_LINEAR, "collinear")   \
  X(RH_FACT_DISCRETE, "discrete")  \
  X(RH_FACT_SPIKED, "spiked")      \
  X(RH_FACT_BOUNDED, "bounded")    \
  X(RH_FACT_HEAVY, "heavy-tailed") \
  X(RH_FACT_OUTLIERS, "outliers")
#define RH_FACT_ENUM(name, word) name,
enum { RH_FACT_LIST(RH_FACT_ENUM) RH_FACT_COUNT };
#undef RH_FACT_ENUM

typedef enum rh_map { RH_MAP_NONE, RH_MAP_LOG, RH_MAP_LOGIT } rh_map;

typedef struct rh_facts {
  unsigned seen; /* bit k: fact k */
  double mean, sd, least, greatest;
  double kurtosis; /* excess */
  double q05, q25, q50, q75, q95;
  int64_t distinct;    /* in the sample */
  double spike;        /* the most frequent value */
  int64_t spike_rows;  /* and how many rows of the sample hold it */
  int64_t rounded;     /* how many different values float32 leaves of them */
  bool rounds;         /* not every value is a float32 number */
  double step, offset; /* discrete: step > 0 where noise can be added */
  bool fine;           /* discrete, but noise of its step would be lost in the rounding of the arithmetic */
  bool grid;           /* on offset + k step; else by levels */
  double *levels;      /* [distinct], ascending; only where discrete without a grid */
  bool crowded_low, crowded_high;
  int64_t outliers, far_row; /* far_row: row of the table */
  double far_value;
  rh_map map;             /* what would help */
  double low, high, gain; /* its limits, and nats a row */
  int64_t copy_of;
  struct rh_combination *combination; /* collinear */
} rh_facts;

typedef struct rh_combination { /* x = intercept + sum weights[k] x[of[k]] + a remainder of root mean square `error` */
  int64_t terms;
  int64_t *of;
  double *weights;
  double intercept, error;
} rh_combination;

typedef struct rh_survey {       /* one table's training rows, and what is known of them */
  const rh_table *table, *whole; /* whole: with the columns that only condition, or the same */
  const int64_t *rows;           /* NULL: all */
  int64_t n, d;
  int real_bytes;   /* of the fit's arithmetic */
  int64_t sampled;  /* rows looked at closely: n, or evenly spread ones */
  int64_t repeats;  /* rows that equal an earlier one */
  rh_facts *column; /* [d] */
  rh_arena arena;   /* of levels and combinations */
  bool collinear_skipped;
} rh_survey;

int64_t rh_survey_row(const rh_survey *survey, int64_t i);       /* the row of the table that training row i is */
int64_t rh_survey_sample(const rh_survey *survey, int64_t k);    /* the training row that sample k is */
rh_status rh_survey_moments(rh_survey *survey) RH_WARN_UNUSED;   /* mean, sd, limits, kurtosis, constants, copies */
rh_status rh_survey_shapes(rh_survey *survey) RH_WARN_UNUSED;    /* everything about single columns that needs them sorted */
rh_status rh_survey_collinear(rh_survey *survey) RH_WARN_UNUSED; /* needs the constants and copies */

static inline bool rh_saw(const rh_facts *f, int fact) {
  return f->seen >> fact & 1;
}
#endif
