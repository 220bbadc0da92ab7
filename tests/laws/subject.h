/* A graph under laws, whatever it is of: row inputs with data, row outputs, every derivative; and the laws that are the same for all:
 * gradients against central differences, and bits. */
#ifndef RH_TESTS_SUBJECT_H
#define RH_TESTS_SUBJECT_H
#include "support/probe.h"

enum { SUBJECT_INPUTS = 3, SUBJECT_OUTS = 4, SUBJECT_WRTS = 96, SUBJECT_ROWS = 1000, SUBJECT_TEXT = 400 };

typedef struct subject {
  const char *name;
  const rh_leaves *leaves; /* borrowed, as are the values */
  rh_values *values;
  double solved; /* gradients against differences hold to 1e-6, or to this where it is more: a solver's tolerance */
  rh_graph g;
  int inputs, outs, wrts;
  int64_t width[SUBJECT_INPUTS];
  double *data[SUBJECT_INPUTS]; /* [SUBJECT_ROWS, width] */
  rh_val out[SUBJECT_OUTS];     /* row values */
  rh_val wrt[SUBJECT_WRTS];     /* the inputs, then every parameter */
  rh_val loss, first[SUBJECT_WRTS], second_of, second[SUBJECT_WRTS];
} subject;

static inline void subject_begin(subject *s, const char *name, const rh_leaves *leaves, rh_values *values) {
  memset(s, 0, sizeof *s);
  s->name = name, s->leaves = leaves, s->values = values;
  s->loss = s->second_of = RH_NONE;
  PROBE_OK(rh_graph_init(&s->g, leaves));
}

/* data: [SUBJECT_ROWS, width], owned from now on. Width 0: no input. */
static inline rh_val subject_input(subject *s, int64_t width, double *data) {
  if (!width) {
    free(data);
    return RH_NONE;
  }
  s->width[s->inputs] = width, s->data[s->inputs] = data;
  return s->wrt[s->inputs++] = rh_input(&s->g, rh_shape1(width));
}

/* v: row or parameter -> a row output. */
static inline void subject_out(subject *s, rh_val v) {
  PROBE_OK(rh_graph_status(&s->g));
  s->out[s->outs++] = rh_add_maybe(&s->g, rh_fill(&s->g, rh_is_none(v) ? rh_shape1(1) : rh_at(&s->g, v)->shape, 0), v);
}

static inline void subject_end(subject *s) {
  rh_graph_free(&s->g);
  for (int i = 0; i < s->inputs; i++) free(s->data[i]);
}

static inline rh_val subject_weighed(rh_graph *g, rh_val v, uint64_t which) {
  double *w = probe_random(rh_count(g, v), which, 0.5, 1.5);
  const rh_val s = rh_sum(g, rh_mul(g, v, rh_const_values(g, rh_at(g, v)->shape, w)));
  free(w);
  return s;
}

/* First order of a weighed sum of the outputs. */
static inline void subject_derive_once(subject *s, rh_memory memory) {
  rh_graph *g = &s->g;
  for (int i = 0; i < s->outs; i++) s->loss = rh_add_maybe(g, s->loss, subject_weighed(g, s->out[i], 70 + (uint64_t)i));
  s->wrts = s->inputs;
  for (int64_t l = 0; l < s->leaves->n; l++) {
    if (s->leaves->leaf[l].klass != RH_PARAM) continue;
    assert_true(s->wrts < SUBJECT_WRTS);
    s->wrt[s->wrts++] = rh_leaf_val(g, (int)l);
  }
  PROBE_OK(rh_graph_status(g));
  PROBE_OK(rh_vjp(g, 1, &s->loss, NULL, s->wrts, s->wrt, s->first, memory));
  for (int w = 0; w < s->wrts; w++) s->second[w] = RH_NONE;
}

/* Second order, too: of a weighed sum of what the inputs got. (A parameter's gradient is a sum over rows: differentiating through it is
 * refused.) */
static inline void subject_derive(subject *s, rh_memory memory) {
  rh_graph *g = &s->g;
  subject_derive_once(s, memory);
  for (int i = 0; i < s->inputs; i++)
    if (!rh_is_none(s->first[i])) s->second_of = rh_add_maybe(g, s->second_of, subject_weighed(g, s->first[i], 80 + (uint64_t)i));
  if (!rh_is_none(s->second_of)) PROBE_OK(rh_vjp(g, 1, &s->second_of, NULL, s->wrts, s->wrt, s->second, memory));
}

/* Rows [at, at + rows) of the subject's data. */
static inline probe subject_probe(const subject *s, int64_t at, int64_t rows) {
  probe p = {.g = &s->g, .values = s->values, .real_bytes = s->values->real_bytes, .threads = 1, .rows = rows};
  for (int i = 0; i < s->inputs; i++) p.input[i] = s->data[i] + at * s->width[i];
  return p;
}

/* Row value v for rows [at, at + rows) -> out. */
static inline void subject_rows(const subject *s, rh_val v, int64_t at, int64_t rows, double *out) {
  probe p = subject_probe(s, at, rows);
  p.n_row = 1, p.row_val[0] = v, p.row_out[0] = out;
  probe_run(&p);
}

static inline bool subject_says(char *text, const subject *s, const char *what, int64_t at, double got, double want) {
  snprintf(text, SUBJECT_TEXT, "%s: %s: number %lld is %.17g, should be %.17g", s->name, what, (long long)at, got, want);
  return false;
}

/* |got - want| <= tolerance max(1, |want|) everywhere. */
static inline bool subject_near(char *text, const subject *s, const char *what, int64_t n, const double *got, const double *want,
                                double tolerance) {
  for (int64_t k = 0; k < n; k++)
    if (got[k] != want[k] && !(isfinite(want[k]) && fabs(got[k] - want[k]) <= tolerance * fmax(1, fabs(want[k]))))
      return subject_says(text, s, what, k, got[k], want[k]);
  return true;
}

/* ---- gradients against central differences, float64 ---- */

enum { DIFFERENCE_ROWS = 3 };

/* A plan that is run many times: the sum over the rows of a row value of width 1. */
typedef struct meter {
  rh_plan *plan;
  rh_work *work;
  rh_pool *pool;
} meter;

static inline meter meter_of(const subject *s, rh_val v) {
  const rh_plan_options options = {.real_bytes = 8, .max_rows = DIFFERENCE_ROWS};
  meter m;
  PROBE_OK(rh_plan_create(&s->g, 1, &v, 0, NULL, &options, &m.plan));
  PROBE_OK(rh_pool_create(1, &m.pool));
  PROBE_OK(rh_work_create(m.plan, 1, &m.work));
  return m;
}

static inline double meter_read(const meter *m, const subject *s) {
  double out[DIFFERENCE_ROWS], sum = 0;
  void *const row_out[1] = {out};
  rh_dense_input in[SUBJECT_INPUTS];
  for (int i = 0; i < s->inputs; i++) in[i] = (rh_dense_input){s->data[i], s->width[i] * 8};
  const rh_run_io io = {.values = s->values, .rows = DIFFERENCE_ROWS, .load = rh_load_dense, .arg = in, .row_out = row_out};
  rh_run(m->plan, m->work, m->pool, &io);
  for (int r = 0; r < DIFFERENCE_ROWS; r++) sum += out[r];
  return sum;
}

static inline void meter_free(meter *m) {
  rh_work_destroy(m->work);
  rh_pool_destroy(m->pool);
  rh_plan_destroy(m->plan);
}

/* d (sum over rows of m's value) / d *at */
static inline double meter_slope(const meter *m, const subject *s, double *at) {
  static const double side[4] = {1, -1, 2, -2};
  const double kept = *at, h = 1e-4;
  double f[4];
  for (int i = 0; i < 4; i++) {
    *at = kept + side[i] * h;
    f[i] = meter_read(m, s);
  }
  *at = kept;
  return (8 * (f[0] - f[1]) - (f[2] - f[3])) / (12 * h);
}

/* Operand w's gradient -> got [rows, count] of an input, [count] of a parameter; where it is, to be shaken, and how many numbers. */
static inline int64_t subject_gradient(const subject *s, int w, rh_val grad, double *got, double **at) {
  const bool input = w < s->inputs;
  const int64_t n = input ? DIFFERENCE_ROWS * s->width[w] : rh_count(&s->g, s->wrt[w]);
  memset(got, 0, (size_t)n * 8);
  *at = input ? s->data[w] : rh_values_at(s->leaves, s->values, *(const int *)rh_at(&s->g, s->wrt[w])->attr);
  if (rh_is_none(grad)) return n;
  probe p = subject_probe(s, 0, DIFFERENCE_ROWS);
  if (input) {
    p.n_row = 1, p.row_val[0] = grad, p.row_out[0] = got;
  } else {
    p.n_param = 1, p.param_val[0] = grad, p.param_out[0] = got;
  }
  probe_run(&p);
  return n;
}

/* most: numbers looked at of each operand, 0: all. */
static inline bool subject_gradients(const subject *s, int64_t most, char *text) {
  double *got = calloc(1 << 14, 8), *at;
  bool fine = true;
  for (int order = 1; order <= 2 && fine; order++) {
    const rh_val of = order == 1 ? s->loss : s->second_of;
    if (rh_is_none(of)) continue;
    meter m = meter_of(s, of);
    for (int w = 0; w < s->wrts && fine; w++) {
      const int64_t n = subject_gradient(s, w, (order == 1 ? s->first : s->second)[w], got, &at), step = most && n > most ? n / most : 1;
      for (int64_t k = w % step; k < n && fine; k += step) {
        const double want = meter_slope(&m, s, at + k);
        char what[64];
        snprintf(what, sizeof what, "gradient, order %d, operand %d", order, w);
        if (!(fabs(got[k] - want) <= fmax(1e-6, s->solved) * fmax(1, fabs(want)))) fine = subject_says(text, s, what, k, got[k], want);
      }
    }
    meter_free(&m);
  }
  free(got);
  return fine;
}

/* ---- bits ---- */

typedef struct everything { /* a run's whole result, value after value */
  int rows_n;               /* how many are row values */
  int64_t count[SUBJECT_OUTS + SUBJECT_INPUTS], used;
  double *out;
} everything;

/* Outputs and input gradients for every row, then every parameter's gradient. */
static inline everything subject_everything(const subject *s, int64_t at, int64_t rows, int threads, const char *isa, bool params) {
  everything e = {0};
  probe p = subject_probe(s, at, rows);
  p.threads = threads, p.isa = isa;
  int64_t room = 0;
  for (int i = 0; i < s->outs; i++) room += rows * rh_count(&s->g, s->out[i]);
  for (int w = 0; w < s->wrts; w++) room += rh_count(&s->g, s->first[w]) * (w < s->inputs ? rows : 1);
  e.out = calloc((size_t)room + 1, 8);
  for (int i = 0; i < s->outs + s->inputs; i++) {
    const rh_val v = i < s->outs ? s->out[i] : s->wrts ? s->first[i - s->outs] : RH_NONE;
    if (rh_is_none(v)) continue;
    p.row_val[p.n_row] = v, p.row_out[p.n_row++] = e.out + e.used;
    e.used += rows * (e.count[e.rows_n++] = rh_count(&s->g, v));
  }
  for (int w = s->inputs; w < s->wrts && params; w++) {
    if (!rh_is_none(s->first[w])) {
      p.param_val[p.n_param] = s->first[w], p.param_out[p.n_param++] = e.out + e.used;
      e.used += rh_count(&s->g, s->first[w]);
    }
    if (p.n_param < PROBE_MAX || w + 1 == s->wrts) continue;
    probe_run(&p);
    p.n_param = 0;
  }
  probe_run(&p);
  return e;
}

static inline bool subject_same(char *text, const subject *s, const char *what, int64_t n, const double *got, const double *want) {
  for (int64_t k = 0; k < n; k++)
    if (memcmp(got + k, want + k, 8) != 0) return subject_says(text, s, what, k, got[k], want[k]);
  return true;
}

/* Rows [at, at + rows) on their own against the same rows of `all`. */
static inline bool subject_rows_same(const subject *s, const everything *all, int64_t at, int64_t rows, const char *isa, char *text) {
  everything few = subject_everything(s, at, rows, 1, isa, false);
  bool fine = true;
  int64_t a = 0, b = 0;
  for (int i = 0; i < few.rows_n && fine; i++) {
    fine = subject_same(text, s, "bits of a row alone or in a few", rows * few.count[i], few.out + a, all->out + b + at * few.count[i]);
    a += rows * few.count[i], b += SUBJECT_ROWS * few.count[i];
  }
  free(few.out);
  return fine;
}

static inline bool subject_bits_at(const subject *s, const subject *recompute, const char *isa, char *text) {
  static const int threads[3] = {2, 3, 8};
  everything a = subject_everything(s, 0, SUBJECT_ROWS, 1, isa, true);
  bool fine = true;
  for (int t = 0; t < 4 && fine; t++) {
    everything b = subject_everything(t < 3 ? s : recompute, 0, SUBJECT_ROWS, t < 3 ? threads[t] : 2, isa, true);
    fine = subject_same(text, s, t < 3 ? "bits at another number of threads" : "bits under RECOMPUTE", a.used, b.out, a.out);
    free(b.out);
  }
  for (int64_t rows = 1; rows <= 7 && fine; rows += 6)
    for (int64_t at = 0; at + rows <= SUBJECT_ROWS && fine; at += 142 + rows) fine = subject_rows_same(s, &a, at, rows, isa, text);
  everything b = subject_everything(s, 0, SUBJECT_ROWS, 1, "ref", false);
  fine = fine && subject_near(text, s, "a level against the reference", b.used, a.out, b.out, s->values->real_bytes == 8 ? 1e-11 : 2e-4);
  free(a.out), free(b.out);
  return fine;
}

/* The same bits for 1, 2, 3, 8 threads; KEEP = RECOMPUTE; a row alone, in 7, in 1000; every level close to the reference. */
static inline bool subject_bits(const subject *s, const subject *recompute, char *text) {
  int n;
  const char *const *isa = rh_isa_levels(&n);
  bool fine = true;
  for (int i = 0; i < n && fine; i++) fine = subject_bits_at(s, recompute, isa[i], text);
  return fine;
}

/* Parameters away from their start, where an identity would hide what is wrong. */
static inline void subject_shake(const rh_leaves *leaves, rh_values *values, double by) {
  for (int64_t l = 0; l < leaves->n; l++) {
    if (leaves->leaf[l].klass != RH_PARAM) continue;
    double *noise = probe_random(leaves->leaf[l].count, 300 + (uint64_t)l, -by, by);
    for (int64_t k = 0; k < leaves->leaf[l].count; k++)
      rh_values_set(leaves, values, (int)l, k, rh_values_get(leaves, values, (int)l, k) + noise[k]);
    free(noise);
  }
}
#endif
