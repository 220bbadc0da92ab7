/* The laws of surjections, which lose information (a column left out) or add some (noise within a cell), over every registered one; and
 * their mutants. Against plain C: what each column is (a grid, levels, free, made from others) stands in the table. */
#include "bijection/bijection.h"
#include "laws/mutant.h"
#include "laws/subject.h"
#include "laws/table.h"

enum { WIDTH = 8, LEVELS = 4 };
enum { Y, CONTRIBUTION, NOISE, X, TARGETS };
static const char *const target_names[TARGETS] = {"y", "contribution", "noise", "x"};

typedef enum column_kind { FREE, GRID, LEVEL, GONE } column_kind;
typedef struct column {
  column_kind kind;
  double step, offset;  /* GRID: x = offset + k step; LEVEL: the noise's step */
  double level[LEVELS]; /* LEVEL, ascending */
  double start;         /* GONE: x = start + sum weight[j] x[j] */
  double weight[WIDTH];
  double coarse; /* not 0: all of this is of floor(x / coarse), x a whole number */
  double levels; /* GRID, not 0: x is 0 to levels - 1 */
} column;

/* A new surjection adds a row and inherits every law. */
typedef struct entry {
  const char *name, *spec;
  int columns;
  column column[WIDTH];
} entry;

/* clang-format off: as they read */
#define ON_GRID(s, o) \
  { .kind = GRID, .step = s, .offset = o }
#define ON_LEVELS(s, a, b, c, d)                      \
  {                                                   \
    .kind = LEVEL, .step = s, .level = { a, b, c, d } \
  }
#define IS_FREE \
  { .kind = FREE }
#define MADE(begin, ...)                                    \
  {                                                         \
    .kind = GONE, .start = begin, .weight = { __VA_ARGS__ } \
  }
#define OF_LEVELS(n) \
  { .kind = GRID, .step = 1, .levels = n }
#define COARSE(c) \
  { .kind = FREE, .coarse = c }
#define COARSE_GRID(c, n) \
  { .kind = GRID, .step = 1, .coarse = c, .levels = n }
/* clang-format on */

static const entry table[] = {
    {"dequantize one column", "{\"type\":\"dequantize\"}", 1, {ON_GRID(1, 0)}},
    {"dequantize every column", "{\"type\":\"dequantize\"}", 3, {ON_GRID(1, 0), ON_GRID(1, 0), ON_GRID(1, 0)}},
    {"dequantize every column of 3 levels", "{\"type\":\"dequantize\",\"levels\":3}", 2, {OF_LEVELS(3), OF_LEVELS(3)}},
    {"dequantize one column of 5 levels", "{\"type\":\"dequantize\",\"levels\":5}", 1, {OF_LEVELS(5)}},
    {"dequantize none", "{\"type\":\"dequantize\",\"columns\":[]}", 2, {IS_FREE, IS_FREE}},
    {"dequantize some",
     "{\"type\":\"dequantize\",\"columns\":[{\"column\":2,\"step\":0.25,\"offset\":0.5},{\"column\":0,\"step\":1.7,\"offset\":-0.3}]}",
     4,
     {ON_GRID(1.7, -0.3), IS_FREE, ON_GRID(0.25, 0.5), IS_FREE}},
    {"dequantize levels",
     "{\"type\":\"dequantize\",\"columns\":[{\"column\":0,\"step\":0.5,\"levels\":[-2,-1.25,0.1,3]}]}",
     1,
     {ON_LEVELS(0.5, -2, -1.25, 0.1, 3)}},
    {"dequantize levels and grids",
     "{\"type\":\"dequantize\",\"columns\":[{\"column\":3,\"step\":0.5,\"levels\":[-2,-1.25,0,3]},{\"column\":1,\"step\":2,\"offset\":1},"
     "{\"column\":0,\"step\":0.25,\"levels\":[-1,0,0.25,0.5]}]}",
     4,
     {ON_LEVELS(0.25, -1, 0, 0.25, 0.5), ON_GRID(2, 1), IS_FREE, ON_LEVELS(0.5, -2, -1.25, 0, 3)}},
    {"drop a constant",
     "{\"type\":\"drop\",\"columns\":[{\"column\":0,\"recipe\":{\"kind\":\"constant\",\"value\":-2.5}}]}",
     2,
     {MADE(-2.5, 0), IS_FREE}},
    {"drop a copy",
     "{\"type\":\"drop\",\"columns\":[{\"column\":2,\"reason\":\"duplicated\",\"recipe\":{\"kind\":\"copy\",\"of\":0}}]}",
     3,
     {IS_FREE, IS_FREE, MADE(0, 1)}},
    {"drop a combination",
     "{\"type\":\"drop\",\"columns\":[{\"column\":1,\"recipe\":{\"kind\":\"linear\",\"intercept\":0.5,\"of\":[2,0],\"weights\":[-2,3]}}]}",
     3,
     {IS_FREE, MADE(0.5, 3, 0, -2), IS_FREE}},
    {"drop everything but two",
     "{\"type\":\"drop\",\"columns\":[{\"column\":5,\"recipe\":{\"kind\":\"copy\",\"of\":1}},{\"column\":0,\"recipe\":{\"kind\":"
     "\"constant\","
     "\"value\":4}},{\"column\":2,\"recipe\":{\"kind\":\"linear\",\"intercept\":-1,\"of\":[1,4],\"weights\":[0.5,0.25]}},{\"column\":3,"
     "\"recipe\":{\"kind\":\"linear\",\"intercept\":1,\"of\":[4],\"weights\":[1.5]}}]}",
     6,
     {MADE(4, 0), IS_FREE, MADE(-1, 0, 0.5, 0, 0, 0.25), MADE(1, 0, 0, 0, 0, 1.5), IS_FREE, MADE(0, 0, 1)}},
    {"drop none", "{\"type\":\"drop\",\"columns\":[]}", 2, {IS_FREE, IS_FREE}},
    {"drop, then dequantize",
     "{\"type\":\"chain\",\"parts\":[{\"type\":\"drop\",\"columns\":[{\"column\":1,\"recipe\":{\"kind\":\"copy\",\"of\":2}}]},{\"type\":"
     "\"dequantize\",\"columns\":[{\"column\":1,\"step\":0.5}]}]}",
     3,
     {IS_FREE, MADE(0, 0, 0, 1), ON_GRID(0.5, 0)}},
    {"quantize", "{\"type\":\"quantize\",\"from\":8,\"bits\":6}", 2, {COARSE(4), COARSE(4)}},
    {"quantize to as many", "{\"type\":\"quantize\",\"from\":5,\"bits\":5}", 2, {IS_FREE, IS_FREE}},
    {"quantize, then dequantize",
     "{\"type\":\"chain\",\"parts\":[{\"type\":\"quantize\",\"from\":3,\"bits\":2},{\"type\":\"dequantize\",\"levels\":4}]}",
     2,
     {COARSE_GRID(2, 4), COARSE_GRID(2, 4)}},
    {"quantize, then dequantize one column",
     "{\"type\":\"chain\",\"parts\":[{\"type\":\"quantize\",\"from\":8,\"bits\":5},{\"type\":\"dequantize\"}]}",
     1,
     {COARSE_GRID(8, 0)}},
};

/* ---- plain C ---- */

/* What forward adds its noise to; and an x of it: the one that comes back. */
static double fine_of(const column *c, double x) {
  return c->coarse > 0 ? floor(x / c->coarse) : x;
}
static double back_of(const column *c, double fine) {
  return c->coarse > 0 ? c->coarse * fine : fine;
}

/* The cell of y: what it is rounded to, and where the cell begins and ends. */
static double cell_of(const column *c, double y, double *from, double *to) {
  if (c->kind == GRID) {
    double k = floor((y - c->offset) / c->step);
    const bool least = c->levels > 0 && k <= 0, most = c->levels > 0 && k >= c->levels - 1;
    if (least) k = 0;
    if (most) k = c->levels - 1;
    const double x = c->offset + k * c->step;
    *from = least ? -INFINITY : x, *to = most ? INFINITY : c->offset + (k + 1) * c->step;
    return x;
  }
  int k = 0;
  while (k + 1 < LEVELS && y >= c->level[k + 1]) k++;
  *from = k ? c->level[k] : -INFINITY, *to = k + 1 < LEVELS ? c->level[k + 1] : INFINITY;
  return c->level[k];
}

/* Rows that the surjection takes: on the grid, on the levels, made by the recipes. */
static double *data_of(const entry *e, int64_t rows) {
  double *u = probe_random(rows * e->columns, 5, -4, 4), from, to;
  for (int64_t r = 0; r < rows; r++) {
    double *x = u + r * e->columns;
    for (int j = 0; j < e->columns; j++) {
      const column *c = &e->column[j];
      const double coarse = c->coarse > 0 ? c->coarse : 1, low = x[j] - floor(x[j]); /* with bits that are lost */
      if (c->kind == GRID || c->kind == LEVEL) x[j] = coarse * cell_of(c, x[j], &from, &to);
      if (c->coarse > 0) x[j] = floor(x[j]) + floor(low * coarse);
    }
    for (int j = 0; j < e->columns; j++) {
      if (e->column[j].kind != GONE) continue;
      double sum = e->column[j].start;
      for (int i = 0; i < e->columns; i++)
        if (e->column[i].kind != GONE) sum += e->column[j].weight[i] * x[i];
      x[j] = sum;
    }
  }
  return u;
}

static int latent_of(const entry *e) {
  int n = 0;
  for (int j = 0; j < e->columns; j++) n += e->column[j].kind != GONE;
  return n;
}

static int noise_of(const entry *e) {
  int n = 0;
  for (int j = 0; j < e->columns; j++) n += e->column[j].kind == GRID || e->column[j].kind == LEVEL;
  return n;
}

/* ---- making one ---- */

typedef struct surjection {
  rh_leaves leaves;
  rh_values values;
  rh_bijection *b;
  rh_bijection_type type; /* the instance's own, so that a mutant may change it */
  subject f, i;           /* x, noise -> y, contribution; y -> x */
} surjection;

static rh_bijection_type original;

static void forward(const rh_bijection *b, rh_graph *g, rh_val x, rh_val context, rh_val noise, rh_val *y, rh_val *ladj) {
  if (!rh_is_none(noise)) noise = mutant_of(NOISE, g, noise, mutant_wants_stale(NOISE) ? mutant_stale(g, noise) : RH_NONE);
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

static void begin(surjection *s, const entry *e, int real_bytes, rh_memory memory) {
  memset(s, 0, sizeof *s);
  json_t *spec;
  PROBE_OK(rh_json_parse(e->spec, strlen(e->spec), e->name, &spec));
  const rh_build build = {.leaves = &s->leaves, .prefix = "law"};
  PROBE_OK(rh_bijection_create(&build, spec, e->name, rh_shape1(e->columns), &s->b));
  json_decref(spec);
  PROBE_OK(rh_values_create(&s->leaves, real_bytes, &s->values));
  rh_values_init(&s->leaves, 5, &s->values);
  s->type = original = *s->b->type;
  s->type.forward = forward, s->type.inverse = inverse;
  s->b->type = &s->type;
  rh_val y, ladj, x;
  subject_begin(&s->f, e->name, &s->leaves, &s->values);
  x = subject_input(&s->f, e->columns, data_of(e, SUBJECT_ROWS));
  /* So near a cell's end that y rounds to it, x + step is what comes back: the noise stays away by more than a rounding. */
  const double margin = real_bytes == 8 ? 1e-14 : 1e-5;
  const rh_val noise = subject_input(&s->f, s->b->noise, probe_random(SUBJECT_ROWS * s->b->noise, 6, margin, 1 - margin));
  rh_forward(s->b, &s->f.g, x, RH_NONE, noise, &y, &ladj);
  subject_out(&s->f, y);
  subject_out(&s->f, ladj);
  subject_derive(&s->f, memory);
  subject_begin(&s->i, e->name, &s->leaves, &s->values);
  y = subject_input(&s->i, rh_shape_count(&s->b->out), probe_random(SUBJECT_ROWS * rh_shape_count(&s->b->out), 7, -6, 6));
  rh_inverse(s->b, &s->i.g, y, RH_NONE, &x, &ladj);
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

/* inverse(forward(x, noise)) = x, without the bits that are lost. In float64 columns on a grid, on levels and copies come back to the bit.
 */
static bool round_trip(const entry *e, char *text) {
  bool fine = true;
  for (int rb = 4; rb <= 8 && fine; rb += 4)
    for (int i = 0; i < 3 && fine; i++) {
      const int64_t rows = i == 0 ? 1 : i == 1 ? 7 : SUBJECT_ROWS;
      surjection s;
      begin(&s, e, rb, RH_KEEP);
      const int64_t n = rows * e->columns;
      double *x = malloc((size_t)n * 8), *want = malloc((size_t)n * 8);
      for (int64_t k = 0; k < n; k++) {
        const column *c = &e->column[k % e->columns];
        want[k] = back_of(c, fine_of(c, s.f.data[0][k]));
      }
      subject_rows(&s.f, s.f.out[0], 0, rows, s.i.data[0]);
      subject_rows(&s.i, s.i.out[0], 0, rows, x);
      fine = subject_near(text, &s.f, "inverse(forward(x))", n, x, want, rb == 8 ? 1e-15 : 1e-6);
      for (int64_t k = 0; k < n && fine && rb == 8; k++) {
        const column_kind kind = e->column[k % e->columns].kind;
        if ((kind == GRID || kind == LEVEL) && x[k] != want[k]) fine = subject_says(text, &s.f, "a value of the grid", k, x[k], want[k]);
      }
      free(x), free(want);
      end(&s);
    }
  return fine;
}

/* The sizes it tells; y = x + step u in a column with noise, x to the bit in the others; the contribution is 0: so the bound is the mean
 * over u of log p(x + step u). What a column that is left out holds does not matter. */
static bool forward_law(const entry *e, char *text) {
  const int latent = latent_of(e), noise = noise_of(e);
  bool exact = latent == e->columns && !noise;
  for (int j = 0; j < e->columns; j++) exact &= !(e->column[j].coarse > 0);
  surjection s;
  begin(&s, e, 8, RH_KEEP);
  bool fine = rh_shape_count(&s.b->out) == latent && s.b->noise == noise && s.b->exact == exact;
  if (!fine) snprintf(text, SUBJECT_TEXT, "%s: it tells other widths, or is exact where it is not", e->name);
  double *y = malloc((size_t)(SUBJECT_ROWS * latent) * 8), *again = malloc((size_t)(SUBJECT_ROWS * latent) * 8), c[SUBJECT_ROWS];
  subject_rows(&s.f, s.f.out[0], 0, SUBJECT_ROWS, y);
  subject_rows(&s.f, s.f.out[1], 0, SUBJECT_ROWS, c);
  for (int r = 0; r < SUBJECT_ROWS && fine; r++)
    for (int j = 0, at = 0; j < e->columns && fine; j++) {
      if (e->column[j].kind == GONE) continue;
      const double x = fine_of(&e->column[j], s.f.data[0][r * e->columns + j]), got = y[r * latent + at], step = e->column[j].step;
      fine = step > 0 ? got >= x && got <= x + step : got == x;
      if (!fine) subject_says(text, &s.f, "y", r * latent + at, got, x);
      at++;
    }
  for (int r = 0; r < SUBJECT_ROWS && fine; r++)
    if (c[r] != 0) fine = subject_says(text, &s.f, "the contribution", r, c[r], 0);
  for (int64_t k = 0; k < (int64_t)SUBJECT_ROWS * e->columns; k++)
    if (e->column[k % e->columns].kind == GONE) s.f.data[0][k] = 1e10 + (double)k;
  subject_rows(&s.f, s.f.out[0], 0, SUBJECT_ROWS, again);
  fine = fine && subject_same(text, &s.f, "y after a change in a column that is left out", SUBJECT_ROWS * latent, again, y);
  free(y), free(again);
  end(&s);
  return fine;
}

/* Every y, not only those that forward makes, goes to its cell's x; columns left out follow their recipes. */
static bool inverse_law(const entry *e, char *text) {
  const int latent = latent_of(e);
  surjection s;
  begin(&s, e, 8, RH_KEEP);
  double *x = malloc((size_t)(SUBJECT_ROWS * e->columns) * 8), *want = malloc((size_t)(SUBJECT_ROWS * e->columns) * 8), from, to;
  subject_rows(&s.i, s.i.out[0], 0, SUBJECT_ROWS, x);
  for (int r = 0; r < SUBJECT_ROWS; r++) {
    double *row = want + r * e->columns;
    for (int j = 0, at = 0; j < e->columns; j++) {
      const column *c = &e->column[j];
      if (c->kind == GONE) continue;
      const double y = s.i.data[0][r * latent + at++];
      row[j] = back_of(c, c->kind == FREE ? y : cell_of(c, y, &from, &to));
    }
    for (int j = 0; j < e->columns; j++) {
      if (e->column[j].kind != GONE) continue;
      row[j] = e->column[j].start;
      for (int i = 0; i < e->columns; i++)
        if (e->column[i].kind != GONE) row[j] += e->column[j].weight[i] * row[i];
    }
  }
  const bool fine = subject_near(text, &s.i, "the cell of y", SUBJECT_ROWS * e->columns, x, want, 1e-14);
  free(x), free(want);
  end(&s);
  return fine;
}

/* ---- the bound, on discrete distributions small enough to sum ---- */

/* p(y): independent normals. */
static double mean_of(int at) {
  return 0.3 - 0.4 * at;
}
static double sd_of(int at) {
  return 1.1 + 0.3 * at;
}
static double phi(int at, double y) {
  return erfc(-(y - mean_of(at)) / sd_of(at) / sqrt(2)) / 2;
}
static double log_p(int latent, const double *y) {
  double sum = 0;
  for (int j = 0; j < latent; j++) {
    const double u = (y[j] - mean_of(j)) / sd_of(j);
    sum -= u * u / 2 + log(sd_of(j)) + 0.91893853320467274178;
  }
  return sum;
}

enum { NODES = 8 }; /* Gauss-Legendre on (0, 1) */
static const double node[NODES] = {0.01985507175123188, 0.10166676129318664, 0.2372337950418355, 0.40828267875217505,
                                   0.5917173212478249,  0.7627662049581645,  0.8983332387068134, 0.9801449282487682};
static const double weight[NODES] = {0.05061426814518813, 0.11119051722668724, 0.15685332293894363, 0.1813418916891809,
                                     0.1813418916891809,  0.15685332293894363, 0.11119051722668724, 0.05061426814518813};

/* Row r under every combination of nodes: E_u[log(contribution p(y))] and log E_u[contribution p(y)]. Uses the subject's rows. */
static void average(surjection *s, const entry *e, const double *x, double *mean_log, double *log_mean) {
  const int noise = (int)s->b->noise, latent = latent_of(e);
  int64_t points = 1;
  for (int i = 0; i < noise; i++) points *= NODES;
  assert_true(points <= SUBJECT_ROWS);
  double y[SUBJECT_ROWS * WIDTH], c[SUBJECT_ROWS], w[SUBJECT_ROWS];
  for (int64_t k = 0; k < points; k++) {
    memcpy(s->f.data[0] + k * e->columns, x, (size_t)e->columns * 8);
    w[k] = 1;
    for (int64_t i = 0, rest = k; i < noise; i++, rest /= NODES) {
      s->f.data[1][k * noise + i] = node[rest % NODES];
      w[k] *= weight[rest % NODES];
    }
  }
  subject_rows(&s->f, s->f.out[0], 0, points, y);
  subject_rows(&s->f, s->f.out[1], 0, points, c);
  double sum = 0;
  *mean_log = 0;
  for (int64_t k = 0; k < points; k++) {
    const double value = c[k] + log_p(latent, y + k * latent);
    *mean_log += w[k] * value;
    sum += w[k] * exp(value);
  }
  *log_mean = log(sum);
}

/* Log of the exact probability (density, in free columns) of x as samples have it, over the steps; and of its noise's cell. */
static void exactly(const entry *e, const double *x, double *sampled, double *cell) {
  *sampled = *cell = 0;
  for (int j = 0, at = 0; j < e->columns; j++) {
    const column *c = &e->column[j];
    if (c->kind == GONE) continue;
    const double fine = fine_of(c, x[j]);
    if (c->kind == FREE) {
      const double u = (fine - mean_of(at)) / sd_of(at), term = -u * u / 2 - log(sd_of(at)) - 0.91893853320467274178;
      *sampled += term, *cell += term;
    } else {
      double from, to;
      cell_of(c, fine + c->step / 2, &from, &to);
      *sampled += log((phi(at, to) - phi(at, from)) / c->step);
      *cell += log((phi(at, fine + c->step) - phi(at, fine)) / c->step);
    }
    at++;
  }
}

/* E_u[log p] <= log E_u[p] = log of the mean density in the cell <= log of the probability with which x is drawn. */
static bool bound_law(const entry *e, char *text) {
  enum { LOOKED = 30 };
  surjection s;
  begin(&s, e, 8, RH_KEEP);
  double *x = data_of(e, LOOKED);
  bool fine = true, slack = noise_of(e) == 0;
  for (int r = 0; r < LOOKED && fine; r++) {
    double mean_log, log_mean, sampled, cell;
    average(&s, e, x + r * e->columns, &mean_log, &log_mean);
    exactly(e, x + r * e->columns, &sampled, &cell);
    if (!(fabs(log_mean - cell) <= 1e-7)) fine = subject_says(text, &s.f, "log of the mean density in the cell", r, log_mean, cell);
    if (!(mean_log <= log_mean + 1e-12)) fine = subject_says(text, &s.f, "the bound, at most the log of the mean", r, mean_log, log_mean);
    if (!(log_mean <= sampled + 1e-7)) fine = subject_says(text, &s.f, "the bound, at most the exact value", r, log_mean, sampled);
    slack |= mean_log < log_mean - 1e-4;
  }
  if (fine && !slack) {
    fine = false;
    snprintf(text, SUBJECT_TEXT, "%s: the bound is tight everywhere, so the noise is not looked at", e->name);
  }
  free(x);
  end(&s);
  return fine;
}

/* One column of whole numbers: the probabilities that the model gives them add up to 1. */
static bool sums_to_one(const entry *e, char *text) {
  if (e->columns != 1 || e->column[0].kind != GRID) return true;
  surjection s;
  begin(&s, e, 8, RH_KEEP);
  double sum = 0, mean_log, log_mean;
  for (int k = -12; k <= 12; k++) {
    const double x = back_of(&e->column[0], e->column[0].offset + k * e->column[0].step);
    average(&s, e, &x, &mean_log, &log_mean);
    sum += exp(log_mean) * e->column[0].step;
  }
  const bool fine = fabs(sum - 1) < 1e-8 || subject_says(text, &s.f, "the sum of all probabilities", 0, sum, 1);
  end(&s);
  return fine;
}

static bool gradients_law(const entry *e, char *text) {
  surjection s;
  begin(&s, e, 8, RH_KEEP);
  for (int64_t k = 0; k < (int64_t)SUBJECT_ROWS * e->columns; k++) /* off the steps */
    if (e->column[k % e->columns].coarse > 0) s.f.data[0][k] += 0.25;
  const bool fine = subject_gradients(&s.f, 0, text);
  end(&s);
  return fine;
}

static bool bits_law(const entry *e, char *text) {
  bool fine = true;
  for (int rb = 4; rb <= 8 && fine; rb += 4) {
    surjection a, b;
    begin(&a, e, rb, RH_KEEP);
    begin(&b, e, rb, RH_RECOMPUTE);
    fine = subject_bits(&a.f, &b.f, text) && subject_bits(&a.i, &b.i, text);
    end(&a), end(&b);
  }
  return fine;
}

/* Never NaN where the input is finite, in y as in x. */
static bool extremes_law(const entry *e, char *text) {
  static const double extreme[] = {0, -0.0, 1e-30, 1, -1, 0.999999999, 37.5, -37.5, 1e6, -1e6, 1e15, -1e15, 1e30, -1e30};
  enum { ROWS = sizeof extreme / sizeof *extreme };
  bool fine = true;
  for (int rb = 4; rb <= 8 && fine; rb += 4) {
    surjection s;
    begin(&s, e, rb, RH_KEEP);
    for (int way = 0; way < 2 && fine; way++) {
      subject *t = way ? &s.i : &s.f;
      const int64_t n = ROWS * rh_count(&t->g, t->out[0]);
      for (int64_t k = 0; k < ROWS * t->width[0]; k++) t->data[0][k] = extreme[(k / t->width[0] + 5 * (k % t->width[0])) % ROWS];
      double out[ROWS * WIDTH];
      subject_rows(t, t->out[0], 0, ROWS, out);
      for (int64_t k = 0; k < n && fine; k++)
        if (!isfinite(out[k])) fine = subject_says(text, t, way ? "x at extreme values" : "y at extreme values", k, out[k], 0);
    }
    end(&s);
  }
  return fine;
}

static const struct {
  const char *name;
  bool (*check)(const entry *e, char *text);
} laws[] = {{"round trip", round_trip}, {"forward", forward_law},   {"inverse", inverse_law},     {"the bound", bound_law},
            {"the sum", sums_to_one},   {"extremes", extremes_law}, {"gradients", gradients_law}, {"bits", bits_law}};
enum { MUTANT_LAWS = 4 };

#define SUITE_NAMES surjections
#define SUITE_KIND  "surjections"
#define SUITE_FILE  "tests/laws/test_surjections.c"
#define SUITE_LEAST 80
#include "laws/surjection_suite.h"
