/* Elementwise transforms with values as parameters: written once, used by every combinator (coupling, elementwise, autoregressive).
 * One file a transform (or a family), one row in the table of transforms.c. */
#ifndef RH_BIJECTION_TRANSFORM_H
#define RH_BIJECTION_TRANSFORM_H
#include "net/net.h"

typedef struct rh_transform rh_transform;

/* The raw parameters of m dimensions: params numbers each. Either by parameter, [params, m], or by element, [m, params]: masked networks
 * and fused transforms want what belongs to one dimension together. Of an image's pixels by parameter within each: [m / channels, params,
 * channels]. */
typedef struct rh_raw {
  rh_val all; /* [params m], row or parameter */
  int64_t m, params;
  bool by_element;
  int64_t channels; /* of a pixel; 0: no image */
} rh_raw;
/* Raw parameters [first, first + count) of every dimension: [m] for one, else [count, m] by parameter or [m, count] by element. */
rh_val rh_raw_some(rh_graph *g, const rh_raw *raw, int64_t first, int64_t count);

typedef struct rh_transform_type {
  const char *type;
  size_t bytes;
  rh_status (*create)(rh_transform *t, rh_spec *spec); /* sets params; NULL: nothing to read, params as in the table */
  int64_t params;                                      /* raw parameters a dimension, unless create knows better */
  bool by_element;                                     /* it takes raw parameters by element only; else either way */
  /* x: [m]; zeros as raw parameters must give the identity or near it -> y [m], and ladj a dimension [m] or left RH_NONE for zero. */
  void (*forward)(const rh_transform *t, rh_graph *g, rh_val x, const rh_raw *raw, rh_val *y, rh_val *ladj);
  void (*inverse)(const rh_transform *t, rh_graph *g, rh_val y, const rh_raw *raw, rh_val *x, rh_val *ladj);
  double (*box)(const rh_transform *t); /* B: it is the identity outside [-B, B]; NULL: it has none */
} rh_transform_type;

struct rh_transform { /* first member of every transform's own struct */
  const rh_transform_type *type;
  int64_t params; /* raw parameters a dimension */
  json_t *spec;   /* owned: every default written out */
};

/* spec: a name, or {"type": name, options}; NULL: affine. */
rh_status rh_transform_create(const json_t *spec, const char *where, rh_transform **t) RH_WARN_UNUSED;
double rh_transform_box(const rh_transform *t); /* 0: none */
void rh_transform_destroy(rh_transform *t);     /* NULL is fine */
const rh_transform_type *const *rh_transform_types(int *n);

extern const rh_transform_type rh_transform_rqs; /* those of files of their own */
#endif
