/* Bijections: value and log|det J| together, on one row. forward goes from data to latent. One file a bijection, one row in the registry
 * (bijection/bijections.def), one row in the table of laws (tests/laws/table.h). A surjection is the same type with `exact` false: it reads
 * noise or changes the width; its "ladj" is the likelihood contribution (a lower bound's term, or exact). */
#ifndef RH_BIJECTION_BIJECTION_H
#define RH_BIJECTION_BIJECTION_H
#include "net/net.h"

typedef struct rh_bijection rh_bijection;

typedef struct rh_bijection_type {
  const char *type; /* its name in specifications */
  size_t bytes;     /* of its own struct, which begins with an rh_bijection */
  bool conditioned; /* it runs a network: a chain ends a RECOMPUTE region behind it */
  /* Fills a cleared struct whose `in` is set, `out` = in, exact: reads its options from `spec` (unknown keys are found afterwards), adds
   * its leaves. Data-dependent constants (standardize's mean) stand in the spec and become states. After a failure destroy is called. */
  rh_status (*create)(rh_bijection *b, const rh_build *build, rh_spec *spec);
  /* x, y: row values; both outputs come as RH_NONE. ladj: [1], row or parameter, or left alone for zero. context: [context] or RH_NONE.
   * noise: [noise] or RH_NONE. */
  void (*forward)(const rh_bijection *b, rh_graph *g, rh_val x, rh_val context, rh_val noise, rh_val *y, rh_val *ladj);
  /* inverse ladj = log|det d x / d y|: minus forward's. A surjection's inverse is deterministic and leaves ladj alone. NULL: no inverse. */
  void (*inverse)(const rh_bijection *b, rh_graph *g, rh_val y, rh_val context, rh_val *x, rh_val *ladj);
  /* The inverse stopped at time t of its differential equations, 0 to b->time, x(t) in the space of x (rh_state); NULL: it has none. */
  void (*state)(const rh_bijection *b, rh_graph *g, rh_val y, rh_val context, double t, rh_val *x);
  /* Data-dependent start: x [rows, in count] in double, in this part's own input space; sets leaves. NULL: none. */
  rh_status (*warm_up)(const rh_bijection *b, const rh_leaves *leaves, rh_values *values, int64_t rows, const double *x);
  void (*destroy)(rh_bijection *b); /* what create allocated beside the struct; NULL: nothing */
  /* Parts of a combinator that are applied one after another, for walking (warm-up, printing); NULL: none. */
  int64_t (*parts)(const rh_bijection *b, rh_bijection *const **parts);
  /* A part within, which sees some of the row only, and what it sees of x: for walking, too. NULL: none. */
  rh_bijection *(*within)(const rh_bijection *b);
  rh_val (*within_input)(const rh_bijection *b, rh_graph *g, rh_val x);
  bool rounds;                          /* the inverse: y is in the space of x already, within the cell of what it is rounded to */
  bool rescales;                        /* by a start from the data: a box behind it is in units of its own */
  double (*box)(const rh_bijection *b); /* B: it is the identity in each column outside [-B, B]; 0 or NULL: there is no such box */
} rh_bijection_type;

struct rh_bijection { /* first member of every bijection's own struct */
  const rh_bijection_type *type;
  rh_shape in, out;
  int64_t context; /* width read, 0 = none */
  int64_t noise;   /* noise numbers a row, uniform in (0, 1); 0 for a bijection, but for */
  int64_t probes;  /* those of them that training alone reads (rh_graph.training); without them it is scored */
  double time;     /* of the differential equations that it solves, a chain's parts' one after another; 0: none whose states can be told */
  bool exact;      /* no information lost or added: a bijection */
  json_t *spec;    /* owned: every default written out; NULL for a chain made by rh_chain_of */
};

rh_status rh_bijection_create(const rh_build *build, const json_t *spec, const char *where, rh_shape in, rh_bijection **out) RH_WARN_UNUSED;
void rh_bijection_destroy(rh_bijection *b); /* NULL is fine */
/* *y and *ladj are RH_NONE after an error (of the graph). */
void rh_forward(const rh_bijection *b, rh_graph *g, rh_val x, rh_val context, rh_val noise, rh_val *y, rh_val *ladj);
void rh_inverse(const rh_bijection *b, rh_graph *g, rh_val y, rh_val context, rh_val *x, rh_val *ladj);
/* The state at time t on the way from y, at b->time, to x, at 0: what differential equations have left to do beyond t is left out, all else
 * is inverted, so that the state is in the units of x, but that nothing is rounded. At 0 it is what rh_inverse's x is rounded from; where
 * nothing is, x itself, bit for bit. */
void rh_state(const rh_bijection *b, rh_graph *g, rh_val y, rh_val context, double t, rh_val *x);
int64_t rh_bijection_parts(const rh_bijection *b, rh_bijection *const **parts); /* 0: not a chain */
rh_bijection *rh_bijection_within(const rh_bijection *b);                       /* NULL: none */
/* probe[i], [b->noise]: whether number i of the noise makes a probe of an estimated log-determinant, which all draws of a row share: that
 * of a bijection. What a surjection reads is drawn anew: rows of a cell. */
void rh_bijection_probes(const rh_bijection *b, bool *probe);
double rh_bijection_box(const rh_bijection *b); /* of the first part that has one, unless one that rescales comes before; 0: none */
const rh_bijection_type *const *rh_bijection_types(int *n);

/* A list of specifications (an array) as one chain; the i-th part's leaves are prefix.i... */
rh_status rh_chain_create(const rh_build *build, const json_t *list, const char *where, rh_shape in, rh_bijection **out) RH_WARN_UNUSED;
/* A chain of bijections that exist, which it owns from then on; on failure they stay the caller's. */
rh_status rh_chain_of(int64_t n, rh_bijection *const *parts, rh_bijection **out) RH_WARN_UNUSED;
#endif
