/* The laws of a bijection, each a check that says whether it holds and, if not, in text what differs. */
#ifndef RH_TESTS_CHECKS_H
#define RH_TESTS_CHECKS_H
#include <float.h>

#include "laws/law.h"

typedef bool law_check(const law_entry *entry, void (*mutate)(rh_bijection_type *), char *text);

static inline bool law_says(char *text, const law_entry *e, const char *what, int64_t at, double got, double want) {
  snprintf(text, LAW_TEXT, "%s: %s: number %lld is %.12g, should be %.12g", e->name, what, (long long)at, got, want);
  return false;
}

/* Log-determinants in float64 are held to 1e-8, or to what the row allows where that is more: a solver's steps. */
static inline double law_ladj_near(const law_entry *e) {
  return fmax(1e-8, e->tolerance);
}

/* inverse(forward(x)) = x, forward(inverse(y)) = y, inverse ladj = -ladj; at 1, 7 and 1000 rows. */
static inline bool law_round_trip_at(law *s, int64_t rows, char *text) {
  const bool wide = s->values.real_bytes == 8;
  const double tolerance = wide ? (s->entry->tolerance ? s->entry->tolerance : 1e-10) : 2e-4;
  double *x = law_data(s, rows), *context = law_context(rows), *y = malloc((size_t)(rows * s->latent) * 8),
         *back = malloc((size_t)(rows * s->d) * 8);
  double *ladj = malloc((size_t)rows * 8), *inverse = malloc((size_t)rows * 8), *again = malloc((size_t)(rows * s->latent) * 8);
  bool fine = true;
  probe p = law_probe(s, &s->f, rows, x, context);
  p.n_row = 2, p.row_val[0] = s->y, p.row_val[1] = s->ladj, p.row_out[0] = y, p.row_out[1] = ladj;
  probe_run(&p);
  if (s->b->type->inverse) {
    probe q = law_probe(s, &s->i, rows, y, context);
    q.n_row = 2, q.row_val[0] = s->x, q.row_val[1] = s->inverse_ladj, q.row_out[0] = back, q.row_out[1] = inverse;
    probe_run(&q);
    p.input[0] = back, p.n_row = 1, p.row_out[0] = again;
    probe_run(&p);
    for (int64_t k = 0; k < rows * s->d && fine; k++)
      if (!(fabs(back[k] - x[k]) <= tolerance * fmax(1, fabs(x[k]))))
        fine = law_says(text, s->entry, "inverse(forward(x))", k, back[k], x[k]);
    for (int64_t k = 0; k < rows * s->latent && fine; k++)
      if (!(fabs(again[k] - y[k]) <= tolerance * 10 * fmax(1, fabs(y[k]))))
        fine = law_says(text, s->entry, "forward(inverse(y))", k, again[k], y[k]);
    for (int64_t r = 0; r < rows && fine; r++)
      if (!(fabs(inverse[r] + ladj[r]) <= (wide ? law_ladj_near(s->entry) : 1e-3) * fmax(1, fabs(ladj[r]))))
        fine = law_says(text, s->entry, "inverse ladj", r, inverse[r], -ladj[r]);
  }
  free(x), free(context), free(y), free(back), free(ladj), free(inverse), free(again);
  return fine;
}

static inline bool law_round_trip(const law_entry *entry, void (*mutate)(rh_bijection_type *), char *text) {
  bool fine = true;
  for (int rb = 4; rb <= 8 && fine; rb += 4) {
    law s;
    law_begin(&s, entry, rb, RH_KEEP, mutate);
    static const int64_t rows[3] = {1, 7, 1000};
    for (int i = 0; i < 3 && fine; i++) fine = law_round_trip_at(&s, rows[i], text);
    law_end(&s);
  }
  return fine;
}

/* log|det| of a dense matrix by Gaussian elimination with partial pivoting. */
static inline double law_log_det(double *a, int64_t n) {
  double sum = 0;
  for (int64_t k = 0; k < n; k++) {
    int64_t pivot = k;
    for (int64_t i = k + 1; i < n; i++)
      if (fabs(a[i * n + k]) > fabs(a[pivot * n + k])) pivot = i;
    for (int64_t j = 0; j < n; j++) {
      const double t = a[k * n + j];
      a[k * n + j] = a[pivot * n + j];
      a[pivot * n + j] = t;
    }
    sum += log(fabs(a[k * n + k]));
    for (int64_t i = k + 1; i < n; i++)
      for (int64_t j = n - 1; j >= k; j--) a[i * n + j] -= a[i * n + k] / a[k * n + k] * a[k * n + j];
  }
  return sum;
}

/* ladj = log|det J|, J from jvp columns. */
static inline bool law_jacobian(const law_entry *entry, void (*mutate)(rh_bijection_type *), char *text) {
  enum { ROWS = 7 };
  law s;
  law_begin(&s, entry, 8, RH_KEEP, mutate);
  bool fine = true;
  if (s.d == s.latent && s.d <= LAW_WIDTH - 1) {
    double *x = law_data(&s, ROWS), *context = law_context(ROWS), ladj[ROWS], column[LAW_WIDTH][ROWS * LAW_WIDTH];
    probe p = law_probe(&s, &s.f, ROWS, x, context);
    p.n_row = (int)s.d + 1, p.row_val[0] = s.ladj, p.row_out[0] = ladj;
    for (int i = 0; i < s.d; i++) p.row_val[1 + i] = s.column[i], p.row_out[1 + i] = column[i];
    probe_run(&p);
    for (int r = 0; r < ROWS && fine; r++) {
      double a[LAW_WIDTH * LAW_WIDTH];
      for (int i = 0; i < s.d; i++)
        for (int j = 0; j < s.d; j++) a[i * s.d + j] = column[j][r * s.d + i];
      const double want = law_log_det(a, s.d);
      if (!(fabs(ladj[r] - want) <= law_ladj_near(entry) * fmax(1, fabs(want))))
        fine = law_says(text, entry, "ladj against the dense Jacobian", r, ladj[r], want);
    }
    free(x), free(context);
  }
  law_end(&s);
  return fine;
}

static inline double law_total(const law *s, rh_val v, const double *x, const double *context, int64_t rows) {
  double out[8], sum = 0;
  probe p = law_probe(s, &s->f, rows, x, context);
  p.n_row = 1, p.row_val[0] = v, p.row_out[0] = out;
  probe_run(&p);
  for (int64_t r = 0; r < rows; r++) sum += out[r];
  return sum;
}

/* Gradients of every parameter and input against central differences in float64, first and second order. */
static inline bool law_gradient_of(law *s, int order, rh_val of, const rh_val *grads, char *text) {
  enum { ROWS = 2, SAMPLES = 6 };
  double *x = law_data(s, ROWS), *context = law_context(ROWS), *got = calloc(1 << 14, 8);
  bool fine = true;
  for (int w = 0; w < s->wrts && fine; w++) {
    const int64_t n = w ? rh_count(&s->f, s->wrt[w]) : ROWS * s->d;
    memset(got, 0, (size_t)n * 8);
    probe p = law_probe(s, &s->f, ROWS, x, context);
    if (!rh_is_none(grads[w])) {
      if (w) {
        p.n_param = 1, p.param_val[0] = grads[w], p.param_out[0] = got;
      } else {
        p.n_row = 1, p.row_val[0] = grads[w], p.row_out[0] = got;
      }
      probe_run(&p);
    }
    double *at = w ? rh_values_at(&s->leaves, &s->values, *(const int *)rh_at(&s->f, s->wrt[w])->attr) : x;
    const int64_t step = n > SAMPLES ? n / SAMPLES : 1;
    for (int64_t k = w % step; k < n && fine; k += step) {
      static const double side[4] = {1, -1, 2, -2};
      const double kept = at[k], h = 1e-4;
      double f[4];
      for (int i = 0; i < 4; i++) {
        at[k] = kept + side[i] * h;
        f[i] = law_total(s, of, x, context, ROWS);
      }
      at[k] = kept;
      const double want = (8 * (f[0] - f[1]) - (f[2] - f[3])) / (12 * h);
      if (!(fabs(got[k] - want) <= 1e-6 * fmax(1, fabs(want)))) {
        char what[64];
        snprintf(what, sizeof what, "gradient, order %d, operand %d", order, w);
        fine = law_says(text, s->entry, what, k, got[k], want);
      }
    }
  }
  free(x), free(context), free(got);
  return fine;
}

static inline bool law_gradients(const law_entry *entry, void (*mutate)(rh_bijection_type *), char *text) {
  law s;
  law_begin(&s, entry, 8, RH_KEEP, mutate);
  const bool fine =
      law_gradient_of(&s, 1, s.loss, s.first, text) && (rh_is_none(s.second_of) || law_gradient_of(&s, 2, s.second_of, s.second, text));
  law_end(&s);
  return fine;
}

/* One direction of a law: what goes in and what comes out. */
typedef struct law_way {
  const char *name;
  const rh_graph *g;
  rh_val out, ladj;
  const rh_val *first;  /* [wrts], of the input, then of each parameter */
  const rh_val *column; /* [in]: the Jacobian's */
  int64_t in, width;    /* numbers a row of the input and of the output */
} law_way;

static inline law_way law_way_of(const law *s, bool inverse) {
  if (inverse) return (law_way){"inverse", &s->i, s->x, s->inverse_ladj, s->inverse_first, s->inverse_column, s->latent, s->d};
  return (law_way){"forward", &s->f, s->y, s->ladj, s->first, s->column, s->d, s->latent};
}

static inline bool law_way_says(char *text, const law_entry *e, const law_way *way, const char *what, int64_t at, double got, double want) {
  char both[120];
  snprintf(both, sizeof both, "%s, %s", way->name, what);
  return law_says(text, e, both, at, got, want);
}

/* A run's whole result in one buffer: output, ladj, gradient of the input for every row, then every parameter's gradient. */
static inline int64_t law_everything(const law *s, const law_way *way, int64_t rows, const double *x, const double *context, int threads,
                                     const char *isa, double *out) {
  probe p = law_probe(s, way->g, rows, x, context);
  p.threads = threads, p.isa = isa;
  int64_t used = 0;
  const rh_val row[3] = {way->out, way->ladj, way->first[0]};
  for (int i = 0; i < 3; i++) {
    if (rh_is_none(row[i])) continue;
    p.row_val[p.n_row] = row[i], p.row_out[p.n_row++] = out + used;
    used += rows * rh_count(way->g, row[i]);
  }
  for (int w = 1; w < s->wrts && p.n_param < PROBE_MAX; w++) {
    if (rh_is_none(way->first[w])) continue;
    p.param_val[p.n_param] = way->first[w], p.param_out[p.n_param++] = out + used;
    used += rh_count(way->g, way->first[w]);
  }
  probe_run(&p);
  return used;
}

enum { LAW_BITS_ROWS = 1000 };

/* a: the whole at one thread. A row alone or in a few has its bits. */
static inline bool law_bits_in_company(const law *s, const law_way *way, const double *x, const double *context, const char *isa,
                                       const double *a, double *b, char *text) {
  const int64_t n = way->width;
  bool fine = true;
  for (int64_t rows = 1; rows <= 7 && fine; rows += 6)
    for (int64_t first = 0; first + rows <= LAW_BITS_ROWS && fine; first += 199) {
      law_everything(s, way, rows, x + first * way->in, context + first * LAW_CONTEXT, 1, isa, b);
      for (int64_t k = 0; k < rows * n && fine; k++)
        if (memcmp(b + k, a + first * n + k, 8) != 0)
          fine = law_way_says(text, s->entry, way, "bits of a row alone or in a few", k, b[k], a[first * n + k]);
      for (int64_t k = 0; k < rows && fine; k++)
        if (memcmp(b + rows * n + k, a + LAW_BITS_ROWS * n + first + k, 8) != 0)
          fine = law_way_says(text, s->entry, way, "bits of a row's ladj", k, b[rows * n + k], a[LAW_BITS_ROWS * n + first + k]);
    }
  return fine;
}

/* most[k]: how far the inverse's output k moves if every input moves by its own size, or by 1 where that is less: what one rounding of the
 * inputs is worth. (A slope of 0.003, which a linear spline may have, magnifies it 300 times.) */
static inline void law_moves(const law *s, const law_way *way, const double *x, const double *context, double *most) {
  double *column = malloc((size_t)(LAW_BITS_ROWS * way->width) * 8);
  memset(most, 0, (size_t)(LAW_BITS_ROWS * way->width) * 8);
  for (int64_t j = 0; j < way->in; j++) {
    probe p = law_probe(s, way->g, LAW_BITS_ROWS, x, context);
    p.isa = "ref", p.n_row = 1, p.row_val[0] = way->column[j], p.row_out[0] = column;
    probe_run(&p);
    for (int64_t k = 0; k < LAW_BITS_ROWS * way->width; k++) most[k] += fabs(column[k]) * fmax(1, fabs(x[k / way->width * way->in + j]));
  }
  free(column);
}

/* a: a level's. The inverse may differ by 32 roundings of its inputs more. */
static inline bool law_near_reference(const law *s, bool inverse, const double *x, const double *context, const double *a, double *b,
                                      char *text) {
  const law_way way = law_way_of(s, inverse);
  const bool wide = s->values.real_bytes == 8;
  const int64_t n = LAW_BITS_ROWS * way.width;
  double *most = calloc((size_t)(n + LAW_BITS_ROWS), 8);
  bool fine = true;
  law_everything(s, &way, LAW_BITS_ROWS, x, context, 1, "ref", b);
  if (inverse) law_moves(s, &way, x, context, most);
  for (int64_t k = 0; k < n + LAW_BITS_ROWS && fine; k++)
    if (!(fabs(a[k] - b[k]) <= (wide ? 1e-11 : 2e-4) * fmax(1, fabs(b[k])) + 32 * (wide ? DBL_EPSILON : FLT_EPSILON) * most[k]))
      fine = law_way_says(text, s->entry, &way, "a level against the reference", k, a[k], b[k]);
  free(most);
  return fine;
}

/* r: the same under RECOMPUTE. */
static inline bool law_bits_of(const law *s, const law *r, bool inverse, const double *x, const double *context, char *text) {
  const law_way way = law_way_of(s, inverse), twin = law_way_of(r, inverse);
  const size_t room = (size_t)(LAW_BITS_ROWS * (2 * s->d + s->latent + 2) + 400000);
  double *a = calloc(room, 8), *b = calloc(room, 8);
  int n_isa;
  const char *const *isa = rh_isa_levels(&n_isa);
  bool fine = true;
  for (int level = 0; level < n_isa && fine; level++) {
    const int64_t n = law_everything(s, &way, LAW_BITS_ROWS, x, context, 1, isa[level], a);
    static const int threads[3] = {2, 3, 8};
    for (int t = 0; t < 4 && fine; t++) {
      law_everything(t < 3 ? s : r, t < 3 ? &way : &twin, LAW_BITS_ROWS, x, context, t < 3 ? threads[t] : 2, isa[level], b);
      for (int64_t k = 0; k < n && fine; k++)
        if (memcmp(a + k, b + k, 8) != 0)
          fine = law_way_says(text, s->entry, &way, t < 3 ? "bits at another number of threads" : "bits under RECOMPUTE", k, b[k], a[k]);
    }
    fine =
        fine && law_bits_in_company(s, &way, x, context, isa[level], a, b, text) && law_near_reference(s, inverse, x, context, a, b, text);
  }
  free(a), free(b);
  return fine;
}

/* The same bits for 1, 2, 3, 8 threads; KEEP = RECOMPUTE; a row alone, in 7, in 1000; every level close to the reference; both ways. */
static inline bool law_bits(const law_entry *entry, void (*mutate)(rh_bijection_type *), char *text) {
  bool fine = true;
  for (int rb = 4; rb <= 8 && fine; rb += 4) {
    law s, r;
    law_begin(&s, entry, rb, RH_KEEP, mutate);
    law_begin(&r, entry, rb, RH_RECOMPUTE, mutate);
    double *x = law_data(&s, LAW_BITS_ROWS), *context = law_context(LAW_BITS_ROWS);
    fine = law_bits_of(&s, &r, false, x, context, text);
    if (fine && s.b->type->inverse) {
      double *y = malloc((size_t)(LAW_BITS_ROWS * s.latent) * 8);
      probe p = law_probe(&s, &s.f, LAW_BITS_ROWS, x, context);
      p.n_row = 1, p.row_val[0] = s.y, p.row_out[0] = y;
      probe_run(&p);
      fine = law_bits_of(&s, &r, true, y, context, text);
      free(y);
    }
    free(x), free(context);
    law_end(&s);
    law_end(&r);
  }
  return fine;
}

static inline bool law_extremes_of(const law *s, bool inverse, char *text) {
  static const double extreme[] = {0, -0.0, 1e-30, 1, -1, 37.5, -37.5, 700, -700, 1e6, -1e6, 1e15, -1e15, 1e30, -1e30};
  enum { ROWS = sizeof extreme / sizeof *extreme };
  const law_way way = law_way_of(s, inverse);
  double *x = malloc((size_t)(ROWS * way.in) * 8), *context = law_context(ROWS), *out = malloc((size_t)(ROWS * way.width) * 8), ladj[ROWS];
  bool fine = true;
  for (int r = 0; r < ROWS; r++)
    for (int64_t c = 0; c < way.in; c++) x[r * way.in + c] = extreme[(r + (c == 0 ? 0 : c * 5)) % ROWS];
  probe p = law_probe(s, way.g, ROWS, x, context);
  p.n_row = 2, p.row_val[0] = way.out, p.row_val[1] = way.ladj, p.row_out[0] = out, p.row_out[1] = ladj;
  probe_run(&p);
  for (int64_t k = 0; k < ROWS * way.width && fine; k++)
    if (isnan(out[k])) fine = law_way_says(text, s->entry, &way, "value at extreme inputs", k, out[k], 0);
  for (int64_t k = 0; k < ROWS && fine; k++)
    if (isnan(ladj[k])) fine = law_way_says(text, s->entry, &way, "ladj at extreme inputs", k, ladj[k], 0);
  free(x), free(context), free(out);
  return fine;
}

/* Extreme inputs: never NaN in value or ladj where the input is finite; both ways. */
static inline bool law_extremes(const law_entry *entry, void (*mutate)(rh_bijection_type *), char *text) {
  bool fine = true;
  for (int rb = 4; rb <= 8 && fine; rb += 4) {
    law s;
    law_begin(&s, entry, rb, RH_KEEP, mutate);
    fine = law_extremes_of(&s, false, text) && (!s.b->type->inverse || law_extremes_of(&s, true, text));
    law_end(&s);
  }
  return fine;
}

static const struct {
  const char *name;
  law_check *check;
} law_checks[] = {
    {"round trip", law_round_trip}, {"jacobian", law_jacobian}, {"gradients", law_gradients}, {"bits", law_bits},
    {"extremes", law_extremes},
};
#endif
