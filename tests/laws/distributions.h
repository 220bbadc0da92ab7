/* The table of distributions: every base, and whole flows of every architecture; what is known of them in plain C; and one made for the
 * laws. */
#ifndef RH_TESTS_DISTRIBUTIONS_H
#define RH_TESTS_DISTRIBUTIONS_H
#include "density/flow.h"
#include "laws/law.h"
#include "laws/mutant.h"
#include "laws/subject.h"

enum { DISTRIBUTION_WIDTH = 8 };
#define DISTRIBUTION_SHAKE 0.2
enum { BASE_LOG_PROB, BASE_SAMPLE, LOG_PROB, SAMPLE, SAMPLE_LOG_PROB, TARGETS };
static const char *const target_names[TARGETS] = {"base's log_prob", "base's sample", "log_prob", "sample", "log_prob of a sample"};

/* Where a column's values lie: x = t, x = limit + e^t, x = limit + span sigmoid(t); t from `from` to `to` holds all but 1e-9 of the mass.
 */
typedef enum axis_kind { LINE, EXP, SIGMOID } axis_kind;
typedef struct axis {
  double from, to;
  axis_kind kind;
  double limit, span;
} axis;

/* A new base or architecture adds rows and inherits every law. */
typedef struct distribution_entry {
  const char *name;
  const char *arch;       /* NULL: spec is the whole specification */
  const char *spec;       /* else the architecture's options */
  const char *preprocess; /* of an architecture */
  int columns, context;
  int points; /* of the grid on each axis; 0: not integrated */
  axis axis[2];
} distribution_entry;

#define BASE_ALONE(d, base) "{\"columns\":" d ",\"flow\":{\"type\":\"chain\",\"parts\":[]},\"base\":{" base "}}"
#define STANDARDIZE_TWO     "{\"type\":\"standardize\",\"mean\":[1,-2],\"scale\":[1.5,0.8]}"
#define PLAIN                \
  {                          \
    {-16, 16, LINE, 0, 0}, { \
      -16, 16, LINE, 0, 0    \
    }                        \
  }
#define SCALED ",\"init\":\"scaled\""

static const distribution_entry distributions[] = {
    /* bases */
    {"normal, 1", NULL, BASE_ALONE("1", "\"type\":\"normal\""), NULL, 1, 0, 1001, PLAIN},
    {"normal, 2", NULL, BASE_ALONE("2", "\"type\":\"normal\""), NULL, 2, 0, 301, PLAIN},
    {"normal, 5", NULL, BASE_ALONE("5", ""), NULL, 5, 0, 0, PLAIN},
    {"learned normal, 1", NULL, BASE_ALONE("1", "\"type\":\"normal\",\"learn\":true"), NULL, 1, 0, 1001, PLAIN},
    {"learned normal, 2", NULL, BASE_ALONE("2", "\"type\":\"normal\",\"learn\":true"), NULL, 2, 0, 301, PLAIN},
    {"learned normal, 4", NULL, BASE_ALONE("4", "\"type\":\"normal\",\"learn\":true"), NULL, 4, 0, 0, PLAIN},
    {"full normal, 1", NULL, BASE_ALONE("1", "\"type\":\"full-normal\""), NULL, 1, 0, 1001, PLAIN},
    {"full normal, 2", NULL, BASE_ALONE("2", "\"type\":\"full-normal\",\"bound\":0.5"), NULL, 2, 0, 301, PLAIN},
    {"full normal, 6", NULL, BASE_ALONE("6", "\"type\":\"full-normal\""), NULL, 6, 0, 0, PLAIN},
    {"Student-t, 1", NULL, BASE_ALONE("1", "\"type\":\"student-t\""), NULL, 1, 0, 6001, {{-300, 300, LINE, 0, 0}}},
    {"Student-t, 2",
     NULL,
     BASE_ALONE("2", "\"type\":\"student-t\",\"df\":[9,30],\"affine\":true,\"spread\":0.5"),
     NULL,
     2,
     0,
     801,
     {{-120, 120, LINE, 0, 0}, {-60, 60, LINE, 0, 0}}},
    {"Student-t, 4, heavy", NULL, BASE_ALONE("4", "\"type\":\"student-t\",\"df\":[3,1.5,8,2000]"), NULL, 4, 0, 0, PLAIN},
    {"fixed Student-t, 1",
     NULL,
     BASE_ALONE("1", "\"type\":\"student-t\",\"df\":10,\"learn\":false"),
     NULL,
     1,
     0,
     6001,
     {{-300, 300, LINE, 0, 0}}},
    /* an edge lies between two places of the grid, so that the trapezoid rule is exact; some of the data lie outside */
    {"uniform, 1", NULL, BASE_ALONE("1", "\"type\":\"uniform\",\"low\":-1.805,\"high\":1.705"), NULL, 1, 0, 601, {{-3, 3, LINE, 0, 0}}},
    {"uniform, 2",
     NULL,
     BASE_ALONE("2", "\"type\":\"uniform\",\"low\":[-1.805,-1.705],\"high\":1.805"),
     NULL,
     2,
     0,
     601,
     {{-3, 3, LINE, 0, 0}, {-3, 3, LINE, 0, 0}}},
    {"mixture, 1", NULL, BASE_ALONE("1", "\"type\":\"mixture\",\"components\":3,\"spread\":2"), NULL, 1, 0, 1001, PLAIN},
    {"mixture, 2", NULL, BASE_ALONE("2", "\"type\":\"mixture\",\"components\":4,\"spread\":1"), NULL, 2, 0, 301, PLAIN},
    {"mixture of one, 2", NULL, BASE_ALONE("2", "\"type\":\"mixture\",\"components\":1"), NULL, 2, 0, 301, PLAIN},
    {"mixture, 5", NULL, BASE_ALONE("5", "\"type\":\"mixture\""), NULL, 5, 0, 0, PLAIN},
    /* one column */
    {"auto, one column",
     "auto",
     "{\"layers\":2,\"box\":3,\"bins\":5}",
     "[{\"type\":\"standardize\",\"mean\":[3],\"scale\":[2]}]",
     1,
     0,
     20001,
     {{-57, 63, LINE, 0, 0}}},
    {"realnvp, one positive column",
     "realnvp",
     "{\"layers\":2,\"actnorm\":true}",
     "[{\"type\":\"support\",\"columns\":[{\"column\":0,\"kind\":\"log\",\"low\":1}]}]",
     1,
     0,
     2001,
     {{-16, 16, EXP, 1, 0}}},
    {"nice, one column of (0, 3)",
     "nice",
     "{\"layers\":2,\"lu\":true}",
     "[{\"type\":\"support\",\"columns\":[{\"column\":0,\"kind\":\"logit\",\"low\":0,\"high\":3}]}]",
     1,
     0,
     2001,
     {{-16, 16, SIGMOID, 0, 3}}},
    {"realnvp, one column, softplus",
     "realnvp",
     "{}",
     "[{\"type\":\"support\",\"columns\":[{\"column\":0,\"kind\":\"softplus\",\"low\":-2}]}]",
     1,
     0,
     4001,
     {{-24, 5, EXP, -2, 0}}},
    {"affine map of a context", NULL,
     "{\"columns\":1,\"context\":2,\"flow\":{\"type\":\"elementwise\",\"net\":{\"type\":\"mlp\",\"hidden\":[6],\"activation\":"
     "\"tanh\"" SCALED "}},\"base\":{\"type\":\"normal\",\"learn\":true}}",
     NULL, 1, 2, 1001, PLAIN},
    /* two columns */
    {"realnvp, tanh",
     "realnvp",
     "{\"layers\":3,\"hidden\":[8,8],\"activation\":\"tanh\",\"bound\":1}",
     "[" STANDARDIZE_TWO "]",
     2,
     0,
     801,
     {{-25, 25, LINE, 0, 0}, {-20, 20, LINE, 0, 0}}},
    {"realnvp, softplus, full-normal base",
     "realnvp",
     "{\"layers\":2,\"hidden\":[8],\"activation\":\"softplus\",\"lu\":false,\"base\":\"full-normal\",\"bound\":1}",
     NULL,
     2,
     0,
     801,
     {{-30, 30, LINE, 0, 0}, {-30, 30, LINE, 0, 0}}},
    {"realnvp, relu, reversed",
     "realnvp",
     "{\"layers\":2,\"hidden\":[8],\"mask\":\"half\",\"permute\":\"reverse\",\"bound\":1}",
     NULL,
     2,
     0,
     1301,
     {{-18, 9, LINE, 0, 0}, {-18, 9, LINE, 0, 0}}},
    {"realnvp, residual, actnorm, context",
     "realnvp",
     "{\"layers\":2,\"net\":\"residual\",\"hidden\":6,\"activation\":\"silu\",\"actnorm\":true,\"bound\":1}",
     NULL,
     2,
     2,
     801,
     {{-20, 20, LINE, 0, 0}, {-20, 20, LINE, 0, 0}}},
    {"maf, tanh, full-normal base",
     "maf",
     "{\"layers\":2,\"hidden\":[9],\"activation\":\"tanh\",\"bound\":1,\"base\":\"full-normal\"}",
     "[" STANDARDIZE_TWO "]",
     2,
     0,
     801,
     {{-25, 25, LINE, 0, 0}, {-20, 20, LINE, 0, 0}}},
    {"maf, residual, random orders, context", "maf",
     "{\"layers\":3,\"net\":\"residual\",\"hidden\":8,\"activation\":\"silu\",\"order\":\"random\",\"lu\":false" SCALED "}", NULL, 5, 2, 0,
     PLAIN},
    {"iaf, tanh, context",
     "iaf",
     "{\"layers\":2,\"hidden\":[8],\"activation\":\"tanh\",\"bound\":1,\"lu\":false}",
     NULL,
     2,
     2,
     801,
     {{-25, 25, LINE, 0, 0}, {-25, 25, LINE, 0, 0}}},
    {"nsf, one column", "nsf", "{\"bins\":5,\"box\":3,\"layers\":2}", NULL, 1, 0, 20001, {{-30, 30, LINE, 0, 0}}},
    {"nsf, context", "nsf", "{\"layers\":2,\"hidden\":[8],\"activation\":\"tanh\",\"bins\":4,\"box\":3}", NULL, 3, 2, 0, PLAIN},
    {"iaf, random orders", "iaf", "{\"layers\":2,\"hidden\":[9],\"activation\":\"silu\",\"order\":\"random\"" SCALED "}", NULL, 4, 0, 0,
     PLAIN},
    {"nsf-coupling, context", "nsf-coupling", "{\"layers\":2,\"hidden\":[8],\"activation\":\"tanh\",\"bins\":3,\"box\":4" SCALED "}", NULL,
     3, 2, 0, PLAIN},
    /* few and wide bins: in narrow ones the slope of the log-density magnifies float32's rounding of the row */
    {"nsf-coupling, student-t base", "nsf-coupling",
     "{\"layers\":2,\"hidden\":[8],\"activation\":\"tanh\",\"bins\":3,\"box\":4,\"base\":\"student-t\"" SCALED "}", NULL, 4, 0, 0, PLAIN},
    {"nice, residual, context",
     "nice",
     "{\"layers\":3,\"net\":\"residual\",\"hidden\":7,\"activation\":\"silu\"" SCALED "}",
     "[" STANDARDIZE_TWO "]",
     2,
     2,
     801,
     {{-30, 30, LINE, 0, 0}, {-30, 30, LINE, 0, 0}}},
    {"nice, gelu",
     "nice",
     "{\"layers\":3,\"hidden\":[8],\"activation\":\"gelu\"" SCALED "}",
     "[{\"type\":\"whiten\",\"mean\":[1,2],\"factor\":[0.5,0,0.4,2]}]",
     2,
     0,
     801,
     {{-45, 20, LINE, 0, 0}, {-25, 10, LINE, 0, 0}}},
    {"nice, elu, random masks, actnorm",
     "nice",
     "{\"layers\":4,\"hidden\":[6],\"activation\":\"elu\",\"mask\":\"random\",\"actnorm\":true" SCALED "}",
     NULL,
     2,
     0,
     801,
     {{-25, 12, LINE, 0, 0}, {-20, 40, LINE, 0, 0}}},
    {"realnvp, limited columns",
     "realnvp",
     "{\"layers\":2,\"hidden\":[6],\"activation\":\"tanh\",\"bound\":1}",
     "[{\"type\":\"support\",\"columns\":[{\"column\":0,\"kind\":\"logit\",\"low\":-1,\"high\":2},{\"column\":1,\"kind\":\"log\",\"low\":-"
     "3}]}]",
     2,
     0,
     601,
     {{-16, 16, SIGMOID, -1, 3}, {-16, 16, EXP, -3, 0}}},
    /* continuous flows as they are shipped, but for the sizes and steep starts: each row its own steps, by the tolerances, and taken back
     */
    {"cnf, as shipped",
     "cnf",
     "{\"hidden\":[4,3],\"gain\":0.57735026918962573}",
     NULL,
     2,
     0,
     101,
     {{-12, 12, LINE, 0, 0}, {-12, 12, LINE, 0, 0}}},
    {"cnf, as shipped, context", "cnf", "{\"hidden\":[3,3],\"gain\":0.57735026918962573}", NULL, 2, 2, 0, PLAIN},
    {"ffjord, as shipped", "ffjord", "{\"hidden\":[2,2,2],\"gain\":0.57735026918962573}", NULL, 2, 0, 0, PLAIN},
    {"ffjord, as shipped, context", "ffjord", "{\"hidden\":[4]}", NULL, 3, 2, 0, PLAIN},
    {"rnode, as shipped", "rnode", "{\"hidden\":[4]}", NULL, 3, 0, 0, PLAIN},
    {"rnode, as shipped, context", "rnode", "{\"hidden\":[3],\"gain\":0.57735026918962573}", NULL, 2, 2, 0, PLAIN},
    /* in equal steps, by the adjoint, whose second order is known */
    {"cnf, context",
     "cnf",
     "{\"hidden\":[6,5],\"gain\":0.57735026918962573,\"time\":0.5,\"gradient\":\"adjoint\",\"solver_steps\":8}",
     "[" STANDARDIZE_TWO "]",
     2,
     2,
     201,
     {{-16, 18, LINE, 0, 0}, {-12, 8, LINE, 0, 0}}},
    {"cnf, two planar blocks", "cnf",
     "{\"field\":\"planar\",\"hidden\":4,\"layers\":2,\"actnorm\":true,\"time\":0.25,\"gradient\":\"adjoint\",\"solver_steps\":4}", NULL, 3,
     0, 0, PLAIN},
    {"ffjord", "ffjord", "{\"hidden\":[5,4],\"time\":0.25,\"gradient\":\"adjoint\",\"solver_steps\":4}", NULL, 3, 0, 0, PLAIN},
    {"ffjord, context", "ffjord", "{\"hidden\":[5],\"time\":0.25,\"gradient\":\"adjoint\",\"solver_steps\":4,\"trace\":\"hutchinson:2\"}",
     NULL, 2, 2, 0, PLAIN},
    {"rnode", "rnode", "{\"hidden\":[5],\"time\":0.25,\"gradient\":\"adjoint\",\"solver_steps\":4}", NULL, 3, 0, 0, PLAIN},
    {"rnode, context", "rnode", "{\"hidden\":[4],\"time\":0.25,\"gradient\":\"adjoint\",\"solver_steps\":4}", NULL, 2, 2, 0, PLAIN},
    /* a context of numbers and categories; the contexts that the laws draw lie in (-1, 1) */
    {"embedded categories and numbers",
     NULL,
     "{\"columns\":2,\"context\":2,\"context_encoder\":[{\"type\":\"embedding\",\"categories\":[-1,0,1],\"width\":2},"
     "{\"type\":\"standardize\",\"mean\":0.3,\"scale\":0.7}],\"flow\":{\"type\":\"chain\",\"parts\":["
     "{\"type\":\"coupling\",\"mask\":[0],\"net\":{\"type\":\"mlp\",\"hidden\":[6],\"activation\":\"tanh\"" SCALED "},"
     "\"transform\":{\"type\":\"affine\",\"bound\":1}},"
     "{\"type\":\"elementwise\",\"net\":{\"type\":\"linear\"" SCALED "},\"transform\":{\"type\":\"affine\",\"bound\":1}}]}}",
     NULL,
     2,
     2,
     1201,
     {{-50, 50, LINE, 0, 0}, {-50, 50, LINE, 0, 0}}},
    {"one-hot categories alone", NULL,
     "{\"columns\":3,\"context\":2,\"context_encoder\":[{\"type\":\"drop\"},{\"type\":\"one-hot\",\"categories\":[-1,0,1]}],"
     "\"flow\":{\"type\":\"coupling\",\"mask\":[1],\"net\":{\"type\":\"residual\",\"hidden\":5,\"activation\":\"silu\"" SCALED
     "},\"transform\":{\"type\":\"affine\",\"bound\":1}},\"base\":{\"type\":\"full-normal\"}}",
     NULL, 3, 2, 0, PLAIN},
    /* wider */
    {"realnvp of five, residual, context", "realnvp",
     "{\"layers\":3,\"net\":\"residual\",\"hidden\":7,\"activation\":\"gelu\",\"actnorm\":true,\"bound\":1}",
     "[{\"type\":\"standardize\",\"mean\":[1,2,3,4,5],\"scale\":[1,2,3,4,5]}]", 5, 2, 0, PLAIN},
    {"nice of seven, random masks and permutations", "nice",
     "{\"layers\":4,\"hidden\":[9],\"activation\":\"tanh\",\"mask\":\"random\",\"permute\":\"random\",\"base\":\"full-normal\"" SCALED "}",
     NULL, 7, 0, 0, PLAIN},
    {"realnvp, Student-t base", "realnvp", "{\"layers\":2,\"hidden\":[6],\"base\":\"student-t\"}", NULL, 4, 0, 0, PLAIN},
    {"nice, base of normals", "nice", "{\"layers\":2,\"hidden\":[6],\"base\":\"mixture\"}", NULL, 3, 0, 0, PLAIN},
    /* mixtures of flows */
    {"mixture of flows, 1",
     "realnvp",
     "{\"components\":2,\"hidden\":[6]}",
     "[{\"type\":\"standardize\",\"mean\":[3],\"scale\":[2]}]",
     1,
     0,
     1001,
     {{-40, 50, LINE, 0, 0}}},
    {"mixture of flows, 2, context",
     "realnvp",
     "{\"components\":3,\"layers\":2,\"hidden\":[6],\"activation\":\"tanh\",\"bound\":1,\"actnorm\":true" SCALED "}",
     "[" STANDARDIZE_TWO "]",
     2,
     2,
     801,
     {{-40, 40, LINE, 0, 0}, {-30, 30, LINE, 0, 0}}},
    {"mixture with fixed weights, bases and preprocessing apart",
     NULL,
     "{\"columns\":2,\"weights\":[1,3],\"mixture\":[{\"preprocess\":[" STANDARDIZE_TWO
     "],\"flow\":{\"type\":\"qr\"},\"base\":{\"type\":\"student-t\",\"df\":30}},"
     "{\"flow\":{\"type\":\"householder\"},\"base\":{\"type\":\"mixture\",\"components\":3}}]}",
     NULL,
     2,
     0,
     801,
     {{-60, 60, LINE, 0, 0}, {-60, 60, LINE, 0, 0}}},
    {"equal mixture of one flow", NULL, "{\"columns\":3,\"weights\":\"equal\",\"mixture\":[{\"flow\":{\"type\":\"lu\"},\"base\":{}}]}",
     NULL, 3, 0, 0, PLAIN},
    {"mixture of flows, whole numbers", "realnvp", "{\"components\":2,\"layers\":2}",
     "[{\"type\":\"dequantize\"},{\"type\":\"standardize\",\"mean\":[0.5],\"scale\":[3]}]", 1, 0, 0, PLAIN},
    {"mixture, the components dequantize", NULL,
     "{\"columns\":1,\"mixture\":[{\"preprocess\":[{\"type\":\"dequantize\"}],\"flow\":{\"type\":\"elementwise\"},\"base\":{}},"
     "{\"preprocess\":[{\"type\":\"dequantize\"}],\"flow\":{\"type\":\"chain\",\"parts\":[]},\"base\":{\"type\":\"student-t\",\"df\":30}}]"
     "}",
     "", 1, 0, 0, PLAIN},
    /* surjections */
    {"realnvp, whole numbers", "realnvp", "{\"layers\":2}",
     "[{\"type\":\"dequantize\"},{\"type\":\"standardize\",\"mean\":[0.5],\"scale\":[3]}]", 1, 0, 0, PLAIN},
    {"realnvp, levels", "realnvp", "{}", "[{\"type\":\"dequantize\",\"columns\":[{\"column\":0,\"step\":0.5,\"levels\":[-2,0,0.5,3]}]}]", 1,
     0, 0, PLAIN},
    {"realnvp, handled columns", "realnvp", "{\"layers\":3,\"hidden\":[8],\"activation\":\"silu\",\"bound\":1}",
     "[{\"type\":\"drop\",\"columns\":[{\"column\":1,\"recipe\":{\"kind\":\"linear\",\"intercept\":1,\"of\":[0,4],\"weights\":[2,-1]}}]},"
     "{\"type\":\"dequantize\",\"columns\":[{\"column\":2,\"step\":0.5}]},{\"type\":\"support\",\"columns\":[{\"column\":0,\"kind\":"
     "\"log\",\"low\":-9}]},"
     "{\"type\":\"standardize\",\"mean\":[2,0,1,0],\"scale\":[0.5,1,2,1]}]",
     5, 0, 0, PLAIN},
};
enum { DISTRIBUTIONS = sizeof distributions / sizeof *distributions };

/* ---- one made ---- */

typedef struct distribution {
  const distribution_entry *entry;
  bool once;     /* there is no second order: steps are constants to the derivative that takes them back */
  double solved; /* tolerance of a solver that chooses its steps; 0: there is none, or it is as good as rounding */
  rh_flow *flow;
  rh_values values;
  rh_base_type base_type; /* the instance's own, so that a mutant may change it */
  subject f;              /* x, context, noise -> log_prob; also z */
  rh_val z;
  subject s; /* the base's noise, context -> x, log_prob */
  subject d; /* z, context -> x, ladj */
} distribution;

static inline json_t *distribution_json(const char *text) {
  json_t *json = NULL;
  if (text) PROBE_OK(rh_json_parse(text, strlen(text), "distribution", &json));
  return json;
}

/* The grids are made for a normal base's tails: an architecture has it unless its row says another. */
static inline json_t *distribution_spec(const distribution_entry *e) {
  if (!e->arch) return distribution_json(e->spec);
  json_t *options = distribution_json(e->spec), *preprocess = distribution_json(e->preprocess), *spec;
  if (!json_object_get(options, "base")) assert_int_equal(json_object_set_new(options, "base", json_string("normal")), 0);
  PROBE_OK(rh_arch_spec(e->arch, options, &(rh_arch_size){e->columns, e->context, 5000, {0}, 0}, preprocess, &spec, NULL));
  json_decref(options);
  json_decref(preprocess);
  return spec;
}

static inline axis distribution_axis(const distribution_entry *e, int column) {
  const axis line = {-16, 16, LINE, 0, 0};
  return column < 2 ? e->axis[column] : line;
}

static inline double axis_at(const axis *a, double t) {
  return a->kind == LINE ? t : a->limit + (a->kind == EXP ? exp(t) : a->span / (1 + exp(-t)));
}

/* dx / dt */
static inline double axis_slope(const axis *a, double t) {
  return a->kind == LINE ? 1 : a->kind == EXP ? exp(t) : a->span / (2 + exp(t) + exp(-t));
}

static inline bool distribution_is_mixture(const distribution_entry *e) {
  return strstr(e->spec, "\"mixture\":") || (e->arch && strstr(e->spec, "\"components\":"));
}

/* What a solver leaves to the laws: how near, and how often derived. */
static inline void distribution_solver(distribution *d, json_t *spec) {
  const json_t *cnf = law_cnf_of(spec);
  if (!cnf) return;
  d->once = strcmp(json_string_value(json_object_get(cnf, "gradient")), "adjoint") != 0;
  if (!json_integer_value(json_object_get(cnf, "steps"))) d->solved = json_number_value(json_object_get(cnf, "rtol"));
}

/* A law's tolerance: a solution is no better than its solver's. */
static inline double distribution_near(const distribution *d, double usual) {
  return fmax(usual, d->solved);
}

static inline void distribution_derive(const distribution *d, subject *s, rh_memory memory) {
  s->solved = d->solved;
  if (d->once)
    subject_derive_once(s, memory);
  else
    subject_derive(s, memory);
}

/* From the middle of every axis. */
static inline double *distribution_data(const distribution_entry *e, int64_t rows) {
  double *x = probe_random(rows * e->columns, 11, -2, 2);
  for (int64_t k = 0; k < rows * e->columns; k++) {
    const axis a = distribution_axis(e, (int)(k % e->columns));
    x[k] = axis_at(&a, x[k]);
  }
  return x;
}

/* The same with a context behind the columns, as scoring takes rows. */
static inline double *distribution_rows(const distribution_entry *e, int64_t rows) {
  const int64_t width = e->columns + e->context;
  double *x = distribution_data(e, rows), *both = probe_random(rows * width, 12, -1, 1);
  for (int64_t r = 0; r < rows; r++) memcpy(both + r * width, x + r * e->columns, (size_t)e->columns * 8);
  free(x);
  return both;
}

static rh_base_type distribution_base;

static inline rh_val distribution_base_log_prob(const rh_base *b, rh_graph *g, rh_val z, rh_val context) {
  const rh_val v = distribution_base.log_prob(b, g, z, context);
  return mutant_of(BASE_LOG_PROB, g, v,
                   mutant_wants_stale(BASE_LOG_PROB) ? distribution_base.log_prob(b, g, mutant_stale(g, z), context) : RH_NONE);
}

static inline rh_val distribution_base_sample(const rh_base *b, rh_graph *g, rh_val noise, rh_val context, double temperature) {
  const rh_val v = distribution_base.sample(b, g, noise, context, temperature);
  return mutant_of(
      BASE_SAMPLE, g, v,
      mutant_wants_stale(BASE_SAMPLE) ? distribution_base.sample(b, g, mutant_stale(g, noise), context, temperature) : RH_NONE);
}

static inline void distribution_forward(distribution *d, rh_memory memory) {
  subject *s = &d->f;
  const int64_t noise_n = d->flow->noise;
  subject_begin(s, d->entry->name, &d->flow->leaves, &d->values);
  const rh_val x = subject_input(s, d->flow->columns, distribution_data(d->entry, SUBJECT_ROWS));
  const rh_val context = subject_input(s, d->flow->context, probe_random(SUBJECT_ROWS * d->flow->context, 12, -1, 1));
  const rh_val noise = subject_input(s, noise_n, probe_random(SUBJECT_ROWS * noise_n, 13, 0.01, 0.99));
  rh_val ladj;
  const rh_val v = rh_flow_log_prob(d->flow, &s->g, x, context, noise);
  subject_out(s,
              mutant_of(LOG_PROB, &s->g, v,
                        mutant_wants_stale(LOG_PROB) ? rh_flow_log_prob(d->flow, &s->g, mutant_stale(&s->g, x), context, noise) : RH_NONE));
  if (d->flow->body) rh_flow_encode(d->flow, &s->g, x, context, noise, &d->z, &ladj);
  distribution_derive(d, s, memory);
}

static inline bool distribution_is_uniform(const distribution *d) {
  return d->flow->base && strcmp(d->flow->base->type->type, "uniform") == 0;
}

static inline void distribution_backward(distribution *d, double temperature, rh_memory memory) {
  subject *s = &d->s;
  rh_val x, log_prob, old_x = RH_NONE, old_log_prob = RH_NONE, ladj;
  subject_begin(s, d->entry->name, &d->flow->leaves, &d->values);
  const rh_val noise = subject_input(s, d->flow->base_noise, probe_random(SUBJECT_ROWS * d->flow->base_noise, 14, 1e-6, 1 - 1e-6));
  rh_val context = subject_input(s, d->flow->context, probe_random(SUBJECT_ROWS * d->flow->context, 12, -1, 1));
  rh_flow_sample(d->flow, &s->g, noise, context, temperature, &x, &log_prob);
  if (mutant_wants_stale(SAMPLE) || mutant_wants_stale(SAMPLE_LOG_PROB))
    rh_flow_sample(d->flow, &s->g, mutant_stale(&s->g, noise), context, temperature, &old_x, &old_log_prob);
  if (distribution_is_uniform(d)) old_log_prob = RH_NONE; /* every sample has the same density */
  subject_out(s, mutant_of(SAMPLE, &s->g, x, old_x));
  /* of a mixture's samples the density is known by hand where a row tells all */
  subject_out(s, d->flow->body || d->flow->exact ? mutant_of(SAMPLE_LOG_PROB, &s->g, log_prob, old_log_prob) : log_prob);
  distribution_derive(d, s, memory);
  if (!d->flow->body) return;
  s = &d->d;
  subject_begin(s, d->entry->name, &d->flow->leaves, &d->values);
  const rh_val z = subject_input(s, d->flow->latent, probe_random(SUBJECT_ROWS * d->flow->latent, 15, -3, 3));
  context = subject_input(s, d->flow->context, probe_random(SUBJECT_ROWS * d->flow->context, 12, -1, 1));
  rh_flow_decode(d->flow, &s->g, z, context, &x, &ladj);
  subject_out(s, x);
  subject_out(s, ladj);
}

static inline void distribution_begin(distribution *d, const distribution_entry *e, int real_bytes, double temperature, rh_memory memory) {
  memset(d, 0, sizeof *d);
  d->entry = e;
  json_t *spec = distribution_spec(e);
  distribution_solver(d, spec);
  PROBE_OK(rh_flow_create(spec, &d->flow));
  json_decref(spec);
  PROBE_OK(rh_values_create(&d->flow->leaves, real_bytes, &d->values));
  rh_values_init(&d->flow->leaves, 5, &d->values);
  subject_shake(&d->flow->leaves, &d->values, DISTRIBUTION_SHAKE);
  rh_base *base = d->flow->base ? d->flow->base : d->flow->component[0].base;
  d->base_type = distribution_base = *base->type;
  d->base_type.log_prob = distribution_base_log_prob, d->base_type.sample = distribution_base_sample;
  base->type = &d->base_type;
  distribution_forward(d, memory);
  distribution_backward(d, temperature, memory);
}

static inline void distribution_end(distribution *d) {
  subject_end(&d->f);
  subject_end(&d->s);
  subject_end(&d->d);
  rh_values_free(&d->values);
  rh_flow_destroy(d->flow);
}
#endif
