/* The laws of surjections that learn their noise: variational dequantization on images of several shapes, its parameters away from their
 * start; and their mutants. */
#include "bijection/bijection.h"
#include "laws/mutant.h"
#include "laws/subject.h"
#include "laws/table.h"

enum { Y, CONTRIBUTION, NOISE, X, TARGETS };
static const char *const target_names[TARGETS] = {"y", "contribution", "noise", "x"};
enum { WIDTH = 12 };

typedef struct entry {
  const char *name, *spec;
  int columns, levels;
} entry;

#define OF(shape, options) "{\"type\":\"variational_dequantize\",\"shape\":[" shape "]," options "}"
static const entry table[] = {
    {"one number", OF("1,1,1", "\"levels\":5,\"net\":" CONV), 1, 5},
    {"one pixel of two channels", OF("1,1,2", "\"levels\":4,\"steps\":3,\"net\":" CONV), 2, 4},
    {"two pixels", OF("1,2,1", "\"levels\":4,\"steps\":2,\"net\":" CONV), 2, 4},
    {"an image that is squeezed", OF("2,2,1", "\"levels\":9,\"net\":" CONV), 4, 9},
    {"a wider one, residual", OF("2,4,1", "\"levels\":256,\"steps\":3,\"net\":" CONV_RESIDUAL), 8, 256},
    {"a checkerboard", OF("3,2,2", "\"levels\":3,\"net\":" CONV), 12, 3},
    {"no couplings", OF("2,2,1", "\"levels\":9,\"steps\":0,\"net\":" CONV_LINEAR), 4, 9},
    {"mixtures of logistics", OF("2,2,1", "\"levels\":9,\"transform\":{\"type\":\"mixture-of-logistics\",\"components\":2},\"net\":" CONV),
     4, 9},
    {"splines on a checkerboard", OF("3,1,1", "\"levels\":9,\"transform\":{\"type\":\"rqs\",\"bins\":3,\"box\":4},\"net\":" CONV), 3, 9},
    {"in a chain, with its regions", "{\"type\":\"chain\",\"parts\":[" OF("2,2,1", "\"levels\":9,\"steps\":3,\"net\":" CONV) "]}", 4, 9},
};

/* ---- making one ---- */

typedef struct surjection {
  rh_leaves leaves;
  rh_values values;
  rh_bijection *b;
  rh_bijection_type type; /* the instance's own, so that a mutant may change it */
  subject f, i;           /* x, noise -> y, contribution; y -> x */
  rh_val column[WIDTH];   /* dy / dnoise */
} surjection;

static rh_bijection_type original;

static void forward(const rh_bijection *b, rh_graph *g, rh_val x, rh_val context, rh_val noise, rh_val *y, rh_val *ladj) {
  noise = mutant_of(NOISE, g, noise, mutant_wants_stale(NOISE) ? mutant_stale(g, noise) : RH_NONE);
  original.forward(b, g, x, context, noise, y, ladj);
  rh_val old_y = RH_NONE, old_ladj = RH_NONE;
  if (mutant_wants_stale(Y) || mutant_wants_stale(CONTRIBUTION))
    original.forward(b, g, mutant_stale(g, x), context, noise, &old_y, &old_ladj);
  *y = mutant_of(Y, g, *y, old_y);
  *ladj = mutant_of(CONTRIBUTION, g, *ladj, old_ladj);
}

static void inverse(const rh_bijection *b, rh_graph *g, rh_val y, rh_val context, rh_val *x, rh_val *ladj) {
  rh_val old = RH_NONE, none = RH_NONE;
  original.inverse(b, g, y, context, x, ladj);
  if (mutant_wants_stale(X)) original.inverse(b, g, mutant_stale(g, y), context, &old, &none);
  *x = mutant_of(X, g, *x, old);
}

static double *data_of(const entry *e) {
  double *x = probe_random((int64_t)SUBJECT_ROWS * e->columns, 5, 0, e->levels);
  for (int64_t k = 0; k < (int64_t)SUBJECT_ROWS * e->columns; k++) x[k] = floor(x[k]);
  return x;
}

static void jacobian(surjection *s, rh_val noise, rh_val y) {
  const int64_t d = rh_count(&s->f.g, y);
  for (int64_t j = 0; j < d; j++) {
    double unit[WIDTH] = {0};
    unit[j] = 1;
    const rh_val t = rh_const_values(&s->f.g, rh_shape1(d), unit);
    PROBE_OK(rh_jvp(&s->f.g, 1, &noise, &t, 1, &y, &s->column[j]));
  }
}

static void begin(surjection *s, const entry *e, int real_bytes, rh_memory memory, double shake) {
  memset(s, 0, sizeof *s);
  json_t *spec;
  PROBE_OK(rh_json_parse(e->spec, strlen(e->spec), e->name, &spec));
  const rh_build build = {.leaves = &s->leaves, .prefix = "law"};
  PROBE_OK(rh_bijection_create(&build, spec, e->name, rh_shape1(e->columns), &s->b));
  json_decref(spec);
  PROBE_OK(rh_values_create(&s->leaves, real_bytes, &s->values));
  rh_values_init(&s->leaves, 5, &s->values);
  subject_shake(&s->leaves, &s->values, shake);
  s->type = original = *s->b->type;
  s->type.forward = forward, s->type.inverse = inverse;
  s->b->type = &s->type;
  rh_val y, ladj, x;
  subject_begin(&s->f, e->name, &s->leaves, &s->values);
  x = subject_input(&s->f, e->columns, data_of(e));
  const double margin = real_bytes == 8 ? 1e-3 : 0.05;
  const rh_val noise = subject_input(&s->f, s->b->noise, probe_random(SUBJECT_ROWS * s->b->noise, 6, margin, 1 - margin));
  rh_forward(s->b, &s->f.g, x, RH_NONE, noise, &y, &ladj);
  subject_out(&s->f, y);
  subject_out(&s->f, ladj);
  jacobian(s, noise, y);
  subject_derive(&s->f, memory);
  subject_begin(&s->i, e->name, &s->leaves, &s->values);
  y = subject_input(&s->i, e->columns, probe_random((int64_t)SUBJECT_ROWS * e->columns, 7, -2, e->levels + 2));
  rh_inverse(s->b, &s->i.g, y, RH_NONE, &x, &ladj);
  assert_true(rh_is_none(ladj));
  subject_out(&s->i, x);
  subject_derive(&s->i, memory);
}

static void end(surjection *s) {
  subject_end(&s->f);
  subject_end(&s->i);
  rh_bijection_destroy(s->b);
  rh_values_free(&s->values);
  rh_leaves_free(&s->leaves);
}

/* ---- the laws ---- */

enum { SHAKE = 35 }; /* hundredths */

/* y in [x, x + 1], and inverse(y) = x. */
static bool round_trip(const entry *e, char *text) {
  bool fine = true;
  for (int rb = 4; rb <= 8 && fine; rb += 4) {
    surjection s;
    begin(&s, e, rb, RH_KEEP, SHAKE / 100.0);
    const int64_t n = (int64_t)SUBJECT_ROWS * e->columns;
    fine = s.b->noise == e->columns && !s.b->exact && rh_shape_same(&s.b->in, &s.b->out);
    if (!fine) snprintf(text, SUBJECT_TEXT, "%s: it tells other widths, or that it is exact", e->name);
    double *back = malloc((size_t)n * 8), *y = s.i.data[0];
    const double *x = s.f.data[0];
    subject_rows(&s.f, s.f.out[0], 0, SUBJECT_ROWS, y);
    subject_rows(&s.i, s.i.out[0], 0, SUBJECT_ROWS, back);
    for (int64_t k = 0; k < n && fine; k++) {
      if (!(y[k] >= x[k] && y[k] <= x[k] + 1)) fine = subject_says(text, &s.f, "y", k, y[k], x[k]);
      const double want = y[k] == x[k] + 1 ? fmin(y[k], e->levels - 1) : x[k]; /* it has rounded to the cell's end */
      if (back[k] != want) fine = subject_says(text, &s.f, "inverse(forward(x))", k, back[k], want);
    }
    free(back);
    end(&s);
  }
  return fine;
}

/* log|det| of a dense matrix by Gaussian elimination with partial pivoting. */
static double log_det(double a[WIDTH][WIDTH], int n) {
  double sum = 0;
  for (int k = 0; k < n; k++) {
    int pivot = k;
    for (int i = k + 1; i < n; i++)
      if (fabs(a[i][k]) > fabs(a[pivot][k])) pivot = i;
    for (int j = 0; j < n; j++) {
      const double t = a[k][j];
      a[k][j] = a[pivot][j], a[pivot][j] = t;
    }
    sum += log(fabs(a[k][k]));
    for (int i = k + 1; i < n; i++)
      for (int j = n - 1; j >= k; j--) a[i][j] -= a[i][k] / a[k][k] * a[k][j];
  }
  return sum;
}

/* -log q(u | x) = log|det du / dnoise|, the noise being uniform. */
static bool contribution(const entry *e, char *text) {
  enum { ROWS = 9 };
  surjection s;
  begin(&s, e, 8, RH_KEEP, SHAKE / 100.0);
  double c[ROWS], column[WIDTH][ROWS * WIDTH], most = 0;
  const int d = e->columns;
  subject_rows(&s.f, s.f.out[1], 0, ROWS, c);
  for (int j = 0; j < d; j++) subject_rows(&s.f, s.column[j], 0, ROWS, column[j]);
  bool fine = true;
  for (int r = 0; r < ROWS && fine; r++) {
    double a[WIDTH][WIDTH];
    for (int i = 0; i < d; i++)
      for (int j = 0; j < d; j++) a[i][j] = column[j][r * d + i];
    const double want = log_det(a, d);
    if (!(fabs(c[r] - want) <= 1e-9 * fmax(1, fabs(want)))) fine = subject_says(text, &s.f, "the contribution", r, c[r], want);
    most = fmax(most, fabs(want));
  }
  if (fine && most < 0.01) {
    fine = false;
    snprintf(text, SUBJECT_TEXT, "%s: q is uniform, nothing is looked at", e->name);
  }
  end(&s);
  return fine;
}

/* Every y goes to the whole number below, within the levels. */
static bool inverse_law(const entry *e, char *text) {
  surjection s;
  begin(&s, e, 8, RH_KEEP, SHAKE / 100.0);
  const int64_t n = (int64_t)SUBJECT_ROWS * e->columns;
  double *x = malloc((size_t)n * 8), *want = malloc((size_t)n * 8);
  subject_rows(&s.i, s.i.out[0], 0, SUBJECT_ROWS, x);
  for (int64_t k = 0; k < n; k++) want[k] = fmin(fmax(floor(s.i.data[0][k]), 0), e->levels - 1);
  const bool fine = subject_same(text, &s.i, "the cell of y", n, x, want);
  free(x), free(want);
  end(&s);
  return fine;
}

/* ---- the bound, where its expectation can be summed ---- */

/* p(y): independent logistics, so the probability of a cell has a closed form. */
static double location(int j) {
  return 1.3 + 0.7 * j;
}
static double log_p(int d, const double *y) {
  double sum = 0;
  for (int j = 0; j < d; j++) {
    const double t = fabs(y[j] - location(j));
    sum -= t + 2 * log1p(exp(-t));
  }
  return sum;
}
static double cell(int d, const double *x) {
  double product = 1;
  for (int j = 0; j < d; j++) product *= 1 / (1 + exp(location(j) - x[j] - 1)) - 1 / (1 + exp(location(j) - x[j]));
  return product;
}

/* Sums over logit(noise) by the trapezoidal rule, which is exact to rounding for such integrands. A batch is a line of nodes. */
enum { NODES = 121 };
static double node_of(int k) {
  return (k - NODES / 2) * 0.5;
}

typedef struct expectation {
  double mean_log, mean;
} expectation;

static expectation expect(surjection *s, int d, const double *x) {
  expectation sum = {0, 0};
  double y[NODES * 2], c[NODES];
  for (int line = 0; line < (d == 2 ? NODES : 1); line++) {
    double w[NODES];
    for (int k = 0; k < NODES; k++) {
      memcpy(s->f.data[0] + k * d, x, (size_t)d * 8);
      w[k] = 1;
      for (int j = 0; j < d; j++) {
        const double t = node_of(j ? line : k), u = 1 / (1 + exp(-t));
        s->f.data[1][k * d + j] = u;
        w[k] *= 0.5 / (1 + exp(-t)) / (1 + exp(t));
      }
    }
    subject_rows(&s->f, s->f.out[0], 0, NODES, y);
    subject_rows(&s->f, s->f.out[1], 0, NODES, c);
    for (int k = 0; k < NODES; k++) {
      const double value = c[k] + log_p(d, y + k * d);
      sum.mean_log += w[k] * value, sum.mean += w[k] * exp(value);
    }
  }
  return sum;
}

/* E_q[p / q] is the cell's probability whatever q is, and E_q[log p - log q] is below its log; all levels together have all there is. */
static bool bound_law(const entry *e, char *text) {
  const int d = e->columns;
  if (d > 2) return true;
  surjection s;
  begin(&s, e, 8, RH_KEEP, SHAKE / 100.0);
  bool fine = true, slack = false;
  double total = 0, end_of[2] = {e->levels - 1, e->levels - 1}, all = 1;
  for (int k = 0; k < (d == 2 ? e->levels * e->levels : e->levels) && fine; k++) {
    const double x[2] = {k % e->levels, k / e->levels};
    const expectation q = expect(&s, d, x);
    if (!(fabs(q.mean - cell(d, x)) <= 1e-9)) fine = subject_says(text, &s.f, "the cell's probability", k, q.mean, cell(d, x));
    if (!(q.mean_log <= log(q.mean) + 1e-9)) fine = subject_says(text, &s.f, "the bound, at most its log", k, q.mean_log, log(q.mean));
    slack |= q.mean_log < log(q.mean) - 1e-4;
    total += q.mean;
  }
  for (int j = 0; j < d; j++) all *= 1 / (1 + exp(location(j) - end_of[j] - 1)) - 1 / (1 + exp(location(j)));
  if (fine && !(fabs(total - all) < 1e-8)) fine = subject_says(text, &s.f, "all probabilities together", 0, total, all);
  if (fine && !slack) {
    fine = false;
    snprintf(text, SUBJECT_TEXT, "%s: the bound is tight everywhere, so the noise is not looked at", e->name);
  }
  end(&s);
  return fine;
}

/* At its start it is uniform dequantization: y = x + noise up to the rounding of a logit and back, and nothing is contributed; nearly so
 * with transforms that start near the identity. */
static bool start_law(const entry *e, char *text) {
  bool fine = true;
  surjection s;
  json_t *spec;
  entry plain = *e;
  PROBE_OK(rh_json_parse(e->spec, strlen(e->spec), e->name, &spec));
  json_t *part = json_object_get(spec, "parts") ? json_array_get(json_object_get(spec, "parts"), 0) : spec;
  json_object_set_new(json_object_get(part, "net"), "init", json_string("zero"));
  const double near = json_object_get(part, "transform") ? 0.02 : 0; /* affine: the identity itself */
  char *given = rh_json_text(spec);
  plain.spec = given;
  begin(&s, &plain, 8, RH_KEEP, 0);
  const int64_t n = (int64_t)SUBJECT_ROWS * e->columns;
  double *y = malloc((size_t)n * 8), c[SUBJECT_ROWS];
  subject_rows(&s.f, s.f.out[0], 0, SUBJECT_ROWS, y);
  subject_rows(&s.f, s.f.out[1], 0, SUBJECT_ROWS, c);
  for (int64_t k = 0; k < n && fine; k++) {
    const double want = s.f.data[0][k] + s.f.data[1][k];
    if (!(fabs(y[k] - want) <= 1e-14 * (e->levels + 1) + near)) fine = subject_says(text, &s.f, "y at the start", k, y[k], want);
  }
  for (int r = 0; r < SUBJECT_ROWS && fine; r++)
    if (!(fabs(c[r]) <= near * e->columns)) fine = subject_says(text, &s.f, "the contribution at the start", r, c[r], 0);
  free(y), free(given);
  json_decref(spec);
  end(&s);
  return fine;
}

static bool gradients_law(const entry *e, char *text) {
  surjection s;
  begin(&s, e, 8, RH_KEEP, SHAKE / 100.0);
  const bool fine = subject_gradients(&s.f, 6, text);
  end(&s);
  return fine;
}

static bool bits_law(const entry *e, char *text) {
  bool fine = true;
  for (int rb = 4; rb <= 8 && fine; rb += 4) {
    surjection a, b;
    begin(&a, e, rb, RH_KEEP, SHAKE / 100.0);
    begin(&b, e, rb, RH_RECOMPUTE, SHAKE / 100.0);
    fine = subject_bits(&a.f, &b.f, text) && subject_bits(&a.i, &b.i, text);
    end(&a), end(&b);
  }
  return fine;
}

/* Noise as near 0 and 1 as it comes, in either precision: numbers. */
static bool extremes_law(const entry *e, char *text) {
  static const double extreme[2][5] = {{0x1p-53, 1 - 0x1p-24, 0.5, 1e-12, 1 - 0x1p-23}, {0x1p-53, 1 - 0x1p-53, 0.5, 1e-12, 1 - 0x1p-50}};
  enum { ROWS = 25 };
  bool fine = true;
  for (int rb = 4; rb <= 8 && fine; rb += 4) {
    surjection s;
    begin(&s, e, rb, RH_KEEP, SHAKE / 100.0);
    double y[ROWS * WIDTH], c[ROWS];
    for (int64_t k = 0; k < (int64_t)ROWS * e->columns; k++)
      s.f.data[1][k] = extreme[rb == 8][(k / e->columns + k % e->columns * (1 + k / e->columns / 5)) % 5];
    subject_rows(&s.f, s.f.out[0], 0, ROWS, y);
    subject_rows(&s.f, s.f.out[1], 0, ROWS, c);
    for (int64_t k = 0; k < (int64_t)ROWS * e->columns && fine; k++) {
      const double x = s.f.data[0][k];
      if (!(y[k] >= x && y[k] <= x + 1)) fine = subject_says(text, &s.f, "y of extreme noise", k, y[k], x);
    }
    for (int r = 0; r < ROWS && fine; r++)
      if (!isfinite(c[r])) fine = subject_says(text, &s.f, "the contribution of extreme noise", r, c[r], 0);
    end(&s);
  }
  return fine;
}

static const struct {
  const char *name;
  bool (*check)(const entry *e, char *text);
} laws[] = {{"round trip", round_trip}, {"the contribution", contribution}, {"inverse", inverse_law},     {"the bound", bound_law},
            {"the start", start_law},   {"extremes", extremes_law},         {"gradients", gradients_law}, {"bits", bits_law}};
enum { MUTANT_LAWS = 4 };

/* Of mutants: the noise is whatever uniforms come: a stale one is another draw, which only the bound's exact sum can tell from it. */
#define SUITE_NAMES learned_surjections
#define SUITE_KIND  "learned surjections"
#define SUITE_FILE  "tests/laws/test_variational.c"
#define SUITE_LEAST 100
#include "laws/surjection_suite.h"
