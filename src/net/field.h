/* Vector fields of continuous flows (Chen et al. 2018, Neural Ordinary Differential Equations): dx/dt = f(x, t, context). One file a
 * field, one row in the registry (net/fields.c); every network is one too, which reads t as a context. x is a vector, or an image, which
 * fields of vectors read as one. A field must be smooth: training a flow takes second derivatives of it. */
#ifndef RH_NET_FIELD_H
#define RH_NET_FIELD_H
#include "net/net.h"

typedef struct rh_field rh_field;
typedef struct rh_field_type {
  const char *type; /* "time_mlp", "planar" */
  size_t bytes;     /* of its own struct, which begins with an rh_field */
  bool image;       /* it reads images: field->image */
  /* Fills a cleared struct whose rh_field is set: reads its options from `spec` (unknown keys are found afterwards), adds its leaves, says
   * what an exact trace costs. The last layer starts at zero: the flow starts as the identity. After a failure destroy is called. */
  rh_status (*create)(rh_field *field, const rh_build *build, rh_spec *spec);
  /* x: [d], t: [1], context: [context] or RH_NONE -> *dx [d]. trace: NULL, or where tr(df/dx) goes, [1], row or parameter; left alone where
   * the type does not know it (field->traced false). */
  void (*apply)(const rh_field *field, rh_graph *g, rh_val x, rh_val t, rh_val context, rh_val *dx, rh_val *trace);
  void (*destroy)(rh_field *field); /* what create allocated beside the struct; NULL: nothing */
} rh_field_type;

struct rh_field { /* first member of every field's own struct */
  const rh_field_type *type;
  int64_t d, context;
  rh_shape image;  /* of images: [h, w, c], d = h w c; else of rank 0 */
  bool traced;     /* apply gives the exact trace */
  int64_t columns; /* of the Jacobian that an exact trace takes: 0 in closed form, else d */
  json_t *spec;    /* owned: every default written out */
};

/* in: [d] or [h, w, c]. spec: {"type": ..., options}, NULL or without a type: "time_mlp", of images "time_conv". */
rh_status rh_field_create(const rh_build *build, const json_t *spec, const char *where, rh_shape in, rh_field **field) RH_WARN_UNUSED;
rh_val rh_field_apply(const rh_field *field, rh_graph *g, rh_val x, rh_val t, rh_val context);
void rh_field_destroy(rh_field *field); /* NULL is fine */
const rh_field_type *const *rh_field_types(int *n);

/* ---- traces of the Jacobian J = df/dx (net/trace.c) ---- */

/* f and tr(J) [1], exact: as the field knows it, else by columns. */
void rh_trace_exact(const rh_field *field, rh_graph *g, rh_val x, rh_val t, rh_val context, rh_val *dx, rh_val *trace);
/* tr(J) of any function: x -> dx, both [d], column by column. */
rh_val rh_trace_columns(rh_graph *g, rh_val x, rh_val dx);
/* Probes e with E[e e'] = I (Hutchinson 1990): e'Je is an unbiased estimate of tr(J), |e'J|^2 of J's squared Frobenius norm. e: [n, d];
 * each is the mean over the n probes, [1]; squares may be NULL. */
void rh_trace_probes(rh_graph *g, rh_val x, rh_val dx, int64_t n, rh_val e, rh_val *trace, rh_val *squares);
/* How a trace is found: "auto" leaves it to the cost. */
typedef enum rh_trace_kind { RH_TRACE_AUTO, RH_TRACE_EXACT, RH_TRACE_HUTCHINSON } rh_trace_kind;
extern const char *const rh_trace_names[]; /* NULL-ended */
enum { RH_TRACE_PROBES = 64 };             /* at most */
/* "auto", "exact", "hutchinson" or "hutchinson:K", K probes; *probes stays as it is where none are named, and both after a failure. */
rh_status rh_trace_read(const char *text, const char *where, rh_trace_kind *kind, int64_t *probes) RH_WARN_UNUSED;
/* Probes from uniforms u: signs +-1, which have the least variance, or normal numbers. */
typedef enum rh_probe_kind { RH_PROBE_RADEMACHER, RH_PROBE_GAUSSIAN } rh_probe_kind;
extern const char *const rh_probe_names[]; /* NULL-ended */
rh_val rh_trace_probe(rh_graph *g, rh_probe_kind kind, rh_val u);
#endif
