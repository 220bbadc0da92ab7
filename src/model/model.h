/* A model: a flow, the values of its leaves, and what is known about it. It is saved as ONE safetensors file: a tensor a leaf, by the
 * leaf's name, and in the metadata "rheo" = the format's version, "spec" = the flow's whole specification, and the sections below, each as
 * JSON. The file holds no time, date, host, path or thread count: the same fit gives the same bytes. Page: docs/file-format.md. */
#ifndef RH_MODEL_MODEL_H
#define RH_MODEL_MODEL_H
#include "density/flow.h"

#define RH_MODEL_FORMAT "1"

/* Of a model of images: a raw row is an image, row-major, channels last. */
typedef struct rh_model_image {
  int64_t h, w, c; /* h 0: none of images */
  int bits;        /* of the numbers that the density is of: coarser than the data's where the flow quantizes */
  int data_bits;   /* the data's values are below 2^data_bits */
  int greatest;    /* the greatest value of the fit's images */
} rh_model_image;

typedef struct rh_model {
  rh_flow *flow;
  rh_values values; /* of values.real_bytes: the precision it was trained in */
  json_t *columns;  /* array of the raw columns' names, then the context's; or NULL: the file had none */
  json_t *handling; /* object: what was found in the columns and done about it; or NULL */
  json_t *fit;      /* object: how it was trained and what came out (see train/train.h); NULL: never trained */
  rh_model_image image;
} rh_model;

/* Bytes that a model of this flow takes at that precision. */
double rh_model_bytes_needed(const rh_flow *flow, int real_bytes);

/* A fresh model: every default of the spec written out, values by each leaf's init and the seed. Refuses, with the bytes needed, when
 * `copies` times the values (training holds 10) would pass limit_bytes (0: this machine's memory). */
rh_status rh_model_create(const json_t *spec, int real_bytes, uint64_t seed, int copies, double limit_bytes,
                          rh_model **model) RH_WARN_UNUSED;
void rh_model_destroy(rh_model *model); /* NULL is fine */

/* Atomic (base/file.h). Refuses to write values that are not finite, naming the leaf. */
rh_status rh_model_save(const rh_model *model, const char *path) RH_WARN_UNUSED;
rh_status rh_model_bytes(const rh_model *model, unsigned char **bytes, size_t *n) RH_WARN_UNUSED; /* the same bytes; rh_free them */

/* Every check is made before the values are allocated: format, spec, the specification's size against the file's, missing, extra and
 * mis-shaped tensors by name, numbers that are not finite. */
rh_status rh_model_load(const char *path, rh_model **model) RH_WARN_UNUSED;
rh_status rh_model_read(const void *bytes, size_t n, const char *where, rh_model **model) RH_WARN_UNUSED; /* the same from memory */

/* The section "image"; a new reference, NULL: no memory. */
json_t *rh_model_image_json(const rh_model_image *image);

/* The same values at another precision; *to is made. */
rh_status rh_values_cast(const rh_leaves *leaves, const rh_values *from, int real_bytes, rh_values *to) RH_WARN_UNUSED;
/* The first leaf that holds a number that is not finite, or -1. */
int rh_values_bad_leaf(const rh_leaves *leaves, const rh_values *values);
#endif
