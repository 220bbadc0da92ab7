/* Distributions. A flow (bijection + base) is itself one, and so is a mixture of flows. A whole model is one specification:
 *   {"arch": "realnvp", "columns": d, "context": c, "preprocess": [bijection and surjection specs], "flow": bijection spec, "base": base
 * spec, "context_encoder": [...]} (see density/context.h)
 * or, for p(x) = sum_k w_k p_k(x), in place of "flow" and "base",
 *   "mixture": [{"preprocess": [...], "flow": ..., "base": ...}, ...], "weights": "learned" (the default), "equal" or [w_1, ...]
 * where a component's own preprocessing, if there is any, comes behind the shared one. log_prob is that of the RAW row: preprocessing's
 * contributions are included. */
#ifndef RH_DENSITY_FLOW_H
#define RH_DENSITY_FLOW_H
#include "base/threads.h"
#include "bijection/bijection.h"
#include "density/context.h"

typedef struct rh_base rh_base;
typedef struct rh_base_type {
  const char *type; /* "normal", "full-normal", "student-t", ... */
  size_t bytes;     /* of its own struct, which begins with an rh_base */
  /* Fills a cleared struct whose shape is set; noise = its count unless create says otherwise. */
  rh_status (*create)(rh_base *b, const rh_build *build, rh_spec *spec);
  rh_val (*log_prob)(const rh_base *b, rh_graph *g, rh_val z, rh_val context); /* [1], row or parameter */
  /* Pure in noise: uniforms in (0, 1), [noise] -> z. temperature scales the spread around the mean. */
  rh_val (*sample)(const rh_base *b, rh_graph *g, rh_val noise, rh_val context, double temperature);
  void (*destroy)(rh_base *b); /* what create allocated beside the struct; NULL: nothing */
  /* One code z [d] -> its normal scores u [d]; gives their squared norm. leaves, values: where the base's own are. */
  double (*scores)(const rh_base *b, const rh_leaves *leaves, const rh_values *values, const double *z, double *u);
} rh_base_type;
struct rh_base {
  const rh_base_type *type;
  rh_shape shape;
  int64_t context, noise;
  json_t *spec; /* owned: every default written out */
};
/* spec: NULL or without a type: "normal". */
rh_status rh_base_create(const rh_build *build, const json_t *spec, const char *where, rh_shape shape, rh_base **out) RH_WARN_UNUSED;
void rh_base_destroy(rh_base *base); /* NULL is fine */
rh_val rh_base_log_prob(const rh_base *base, rh_graph *g, rh_val z, rh_val context);
rh_val rh_base_sample(const rh_base *base, rh_graph *g, rh_val noise, rh_val context, double temperature);
/* Normal scores of codes: row i's code at z + i * step, u [rows, d], norm [rows]. Rosenblatt's transformation (1952) of the base, put on
 * the normal scale: u_j is the standard normal quantile at P(Z_j < z_j | z_1, ..., z_(j-1)), so that the scores of codes that follow the
 * base are independent standard normals, whatever the base is, and those of others show what it has not described. norm is |u|^2,
 * chi-square with d degrees of freedom for such codes; with a mixture as base the mean over the component that a code comes from, given the
 * code, of its squared Mahalanobis distance from it (its mean is d, too), for which a code between the modes is as far out as it is. Tails
 * keep their digits: scores are finite wherever the base has density, far beyond what a probability in (0, 1) could tell. Outside of a
 * uniform's box they are infinite; of what is no number NaN. */
void rh_base_scores(const rh_base *base, const rh_leaves *leaves, const rh_values *values, int64_t rows, int64_t step, const double *z,
                    double *u, double *norm);
const rh_base_type *const *rh_base_types(int *n);

typedef struct rh_component {
  rh_bijection *body; /* its preprocessing + flow as one chain */
  rh_base *base;
} rh_component;

typedef struct rh_flow {
  rh_leaves leaves;
  json_t *spec;                /* owned: the whole specification, every default written out */
  int64_t columns;             /* of the raw row */
  int64_t context;             /* raw context columns */
  int64_t noise;               /* uniforms a row that graphs of a density are given */
  int64_t scoring_noise;       /* those that scoring needs (dequantization), training's probes left out; 0 = the log-density is exact */
  bool *probe;                 /* [noise]: numbers of probes, which a row's draws share (rh_bijection_probes) */
  int64_t drawn;               /* the others: several draws of them make several rows; 0: one draw is enough */
  int64_t base_noise;          /* uniforms a row that sampling needs */
  int64_t latent;              /* numbers of the latent */
  int64_t features;            /* what parts read of the context */
  rh_context_encoder *encoder; /* NULL: the raw context */
  bool exact;                  /* no information is lost or added: log_prob(sample) is the log-density that comes with it */
  rh_bijection *body;          /* preprocess + flow as one chain; NULL: a mixture */
  rh_base *base;               /* NULL: a mixture */
  /* A mixture's, else components = 0. Scoring noise: the shared chain's, then one that all components read. */
  int64_t components;
  rh_component *component; /* [components] */
  rh_bijection *shared;    /* the shared preprocessing */
  int logits;              /* leaf [components], -1: fixed weights */
  double *log_weights;     /* [components], fixed ones */
} rh_flow;

enum { RH_FLOW_COMPONENTS = 1024 }; /* of a mixture at most */
enum { RH_FLOW_COLUMNS = 1 << 24 }; /* columns and context columns at most */

rh_status rh_flow_create(const json_t *spec, rh_flow **flow) RH_WARN_UNUSED;
void rh_flow_destroy(rh_flow *flow); /* NULL is fine */
/* Row inputs of each graph, in this order, those of width 0 left out: x (or z, or base noise), context, noise. */
rh_val rh_flow_log_prob(const rh_flow *f, rh_graph *g, rh_val x, rh_val context, rh_val noise); /* [1], a row value */
/* encode and decode fail for a mixture: a row has no one code. */
void rh_flow_encode(const rh_flow *f, rh_graph *g, rh_val x, rh_val context, rh_val noise, rh_val *z, rh_val *ladj);
void rh_flow_decode(const rh_flow *f, rh_graph *g, rh_val z, rh_val context, rh_val *x, rh_val *ladj);
/* The state at time t of the body's differential equations on the way from z to x, in the units of x (rh_state); f->body->time > 0. */
rh_val rh_flow_state(const rh_flow *f, rh_graph *g, rh_val z, rh_val context, double t);
/* base_noise: [base_noise]. log_prob may be NULL. It is the log-density at x, at temperature 1; with surjections that of the row before it
 * was rounded or rebuilt (for those of a mixture's components: that of x under noise of its own). */
void rh_flow_sample(const rh_flow *f, rh_graph *g, rh_val base_noise, rh_val context, double temperature, rh_val *x, rh_val *log_prob);
/* Data-dependent start of every part, in order, on `rows` raw rows: x [rows, columns], context [rows, context] or NULL. */
rh_status rh_flow_warm_up(const rh_flow *f, rh_values *values, rh_pool *pool, int64_t rows, const double *x, const double *context,
                          uint64_t seed) RH_WARN_UNUSED;

double rh_flow_box(const rh_flow *f);    /* half-width of the first spline's box; 0: there is none */
int64_t rh_flow_width(const rh_flow *f); /* of preprocessed rows */
/* share[j], [width]: that of `rows` raw rows, x [rows, columns], which the preprocessing puts outside of [-box, box] in column j. */
rh_status rh_flow_outside(const rh_flow *f, rh_values *values, rh_pool *pool, int64_t rows, const double *x, uint64_t seed, double box,
                          double *share) RH_WARN_UNUSED;

/* Architectures (density/arch_*.c, one row each in density/architectures.c): from a few options to a flow specification. */
typedef struct rh_image_shape {
  int64_t h, w, c; /* zeros: no image, a table of columns */
} rh_image_shape;
typedef struct rh_arch_size {
  int64_t columns; /* of a row; expand gets those that the flow itself sees, after preprocessing */
  int64_t context;
  int64_t rows;         /* of the training data, for defaults by size; 0: unknown */
  rh_image_shape image; /* what a row is, h w c = columns */
  double operations;    /* what the fit may spend, for defaults by time; 0: nothing is said */
} rh_arch_size;
typedef struct rh_arch rh_arch;
struct rh_arch {
  const char *name;    /* "realnvp", "nice" */
  const char *summary; /* one line for the help */
  /* options: the user's --set pairs as a JSON object or NULL (unknown keys are errors). flow_spec, base_spec: new references. */
  rh_status (*expand)(const rh_arch *arch, const json_t *options, const rh_arch_size *size, json_t **flow_spec, json_t **base_spec);
  const void *own; /* what expand knows of it */
  bool image;      /* for images only */
};
const rh_arch *const *rh_archs(int *n);
/* Whether the architecture of that name moves rows of so many columns by vector fields that are trained as a table's: rh_recipe_of_fields.
 */
bool rh_arch_of_fields(const char *name, int64_t columns);
/* name "auto" chooses by width and size and says why in *why (static text; why may be NULL). preprocess: array of specs, or NULL. */
rh_status rh_arch_spec(const char *name, const json_t *options, const rh_arch_size *size, const json_t *preprocess, json_t **spec,
                       const char **why) RH_WARN_UNUSED;
#endif
