/* Leaves: the named parameters and states of a model, declared once and read by any number of graphs (forward, inverse, training).
 * Their values live in one flat buffer a class, so optimiser, files and checkpoints see plain arrays. */
#ifndef RH_GRAPH_LEAF_H
#define RH_GRAPH_LEAF_H
#include <stdbool.h>

#include "base/memory.h"
#include "graph/shape.h"

/* PARAM: trained. STATE: stored, no gradient, changed only between steps. ROW: one per sample. */
typedef enum rh_class { RH_PARAM, RH_STATE, RH_ROW } rh_class;

typedef enum rh_init_kind {
  RH_INIT_CONSTANT, /* a */
  RH_INIT_NORMAL,   /* mean 0, standard deviation a */
  RH_INIT_UNIFORM,  /* in (-a, a) */
  RH_INIT_IDENTITY, /* 2-D: a on the diagonal, 0 elsewhere */
  RH_INIT_VALUES    /* values[count] */
} rh_init_kind;

typedef struct rh_init {
  rh_init_kind kind;
  double a;
  const double *values; /* RH_INIT_VALUES: copied when the leaf is added */
} rh_init;

typedef struct rh_leaf {
  const char *name; /* unique, as it stands in the model file: "flow.3.net.0.weight" */
  rh_class klass;   /* RH_PARAM or RH_STATE */
  rh_shape shape;
  rh_init init;
  bool decay;     /* weight decay applies */
  int64_t count;  /* elements */
  int64_t offset; /* element offset into the flat buffer of its class, a multiple of RH_LEAF_ALIGN */
} rh_leaf;

enum { RH_LEAF_ALIGN = 16 };

typedef struct rh_leaves {
  rh_arena arena;
  rh_leaf *leaf;
  int64_t n, capacity;
  int64_t total[2]; /* flat elements of RH_PARAM and RH_STATE, padding included */
  int64_t params;   /* trained numbers, without padding */
} rh_leaves;        /* {0} is empty */

/* Adds a leaf; *index says which. A name in use, an empty shape: error. decay is meant for weight matrices. */
rh_status rh_leaf_add(rh_leaves *leaves, rh_class klass, rh_shape shape, rh_init init, bool decay, int *index, const char *name, ...)
    RH_PRINTF(7, 8) RH_WARN_UNUSED;
int rh_leaf_find(const rh_leaves *leaves, const char *name); /* -1: none */
void rh_leaves_free(rh_leaves *leaves);

/* The values of all leaves at one precision. Padding is zero and stays zero. */
typedef struct rh_values {
  int real_bytes; /* 4 or 8 */
  void *flat[2];  /* by class: RH_PARAM, RH_STATE */
} rh_values;
rh_status rh_values_create(const rh_leaves *leaves, int real_bytes, rh_values *values) RH_WARN_UNUSED; /* zeros */
void rh_values_init(const rh_leaves *leaves, uint64_t seed,
                    rh_values *values); /* by each leaf's init and name: the same whatever else there is */
void rh_values_free(rh_values *values);
void *rh_values_at(const rh_leaves *leaves, const rh_values *values, int leaf);
double rh_values_get(const rh_leaves *leaves, const rh_values *values, int leaf, int64_t i);
void rh_values_set(const rh_leaves *leaves, rh_values *values, int leaf, int64_t i, double x);
#endif
