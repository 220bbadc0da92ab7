/* A density in numbers: integrated on a grid of one or two columns; and many samples of it. */
#ifndef RH_TESTS_GRID_H
#define RH_TESTS_GRID_H
#include "laws/distributions.h"
#include "model/score.h"

typedef struct grid { /* of one or two columns, all rows under the first row's context */
  axis axis[2];
  int n, columns;
  double *t[2], *cdf[2];            /* [n]: places, and each column's distribution function */
  double total, mean[2], square[2]; /* integral of p, p x, p x^2 */
} grid;

static inline void grid_points(const grid *q, double *x, double *weight, int64_t *rows) {
  const int64_t n = q->n;
  *rows = q->columns == 1 ? n : n * n;
  for (int64_t k = 0; k < *rows; k++) {
    weight[k] = 1;
    for (int c = 0; c < q->columns; c++) {
      const double t = q->t[c][c ? k / n : k % n], h = q->t[c][1] - q->t[c][0];
      x[k * q->columns + c] = axis_at(&q->axis[c], t);
      weight[k] *= h * axis_slope(&q->axis[c], t);
    }
  }
}

/* The trapezoid rule: for a smooth density that has vanished at the ends it is as good as exact. */
static inline void grid_begin(grid *q, const distribution *d) {
  const distribution_entry *e = d->entry;
  *q = (grid){.n = e->points, .columns = e->columns};
  for (int c = 0; c < q->columns; c++) {
    q->axis[c] = distribution_axis(e, c);
    q->t[c] = malloc((size_t)q->n * 8), q->cdf[c] = calloc((size_t)q->n, 8);
    for (int i = 0; i < q->n; i++) q->t[c][i] = q->axis[c].from + (q->axis[c].to - q->axis[c].from) * i / (q->n - 1);
  }
  int64_t rows = q->columns == 1 ? q->n : (int64_t)q->n * q->n;
  double *x = malloc((size_t)(rows * q->columns) * 8), *weight = malloc((size_t)rows * 8), *log_prob = malloc((size_t)rows * 8);
  double *context = malloc((size_t)(rows * e->context + 1) * 8);
  grid_points(q, x, weight, &rows);
  for (int64_t k = 0; k < rows * e->context; k++) context[k] = d->f.data[1][k % e->context];
  probe p = {.g = &d->f.g, .values = &d->values, .real_bytes = 8, .threads = 2, .rows = rows, .input = {x, context}};
  p.n_row = 1, p.row_val[0] = d->f.out[0], p.row_out[0] = log_prob;
  probe_run(&p);
  for (int64_t k = 0; k < rows; k++) {
    const double mass = exp(log_prob[k]) * weight[k];
    q->total += mass;
    for (int c = 0; c < q->columns; c++) {
      q->mean[c] += mass * x[k * q->columns + c];
      q->square[c] += mass * x[k * q->columns + c] * x[k * q->columns + c];
      q->cdf[c][c ? k / q->n : k % q->n] += mass;
    }
  }
  for (int c = 0; c < q->columns; c++)
    for (double sum = 0, i = 0; i < q->n; i++) { /* half of a point's mass lies below it */
      double *at = &q->cdf[c][(int)i];
      sum += *at;
      *at = sum - *at / 2;
    }
  free(x), free(weight), free(log_prob), free(context);
}

static inline void grid_end(grid *q) {
  for (int c = 0; c < q->columns; c++) free(q->t[c]), free(q->cdf[c]);
}

static inline double grid_cdf(const grid *q, int c, double x) {
  const axis *a = &q->axis[c];
  const double t = a->kind == LINE ? x : a->kind == EXP ? log(x - a->limit) : log((x - a->limit) / (a->limit + a->span - x));
  const double at = (t - a->from) / (a->to - a->from) * (q->n - 1);
  if (!(at > 0)) return 0;
  if (at >= q->n - 1) return 1;
  const int i = (int)at;
  return q->cdf[c][i] + (at - i) * (q->cdf[c][i + 1] - q->cdf[c][i]);
}

/* ---- samples in numbers, by the key 7 ---- */

enum { SAMPLES = 20000 };
static const double KS_LIMIT = 2.23; /* of D sqrt(n): one in 10,000 by chance (Kolmogorov 1933) */

typedef struct drawn {
  double *x, *log_prob, *context; /* [SAMPLES, ...] */
  rh_scorer *scorer;
  rh_dense_rows dense;
  rh_rows rows;
} drawn;

static inline void draw(drawn *s, const distribution *d) {
  const int64_t c = d->flow->context;
  *s = (drawn){.x = malloc((size_t)(SAMPLES * d->flow->columns) * 8),
               .log_prob = malloc(SAMPLES * 8),
               .context = malloc((size_t)(SAMPLES * c + 1) * 8)};
  for (int64_t k = 0; k < SAMPLES * c; k++) s->context[k] = d->f.data[1][k % c];
  s->dense = (rh_dense_rows){SAMPLES, c, s->context};
  s->rows = rh_rows_dense(&s->dense);
  const rh_scorer_options options = {.threads = 1, .seed = 7};
  PROBE_OK(rh_scorer_create(d->flow, &d->values, &options, &s->scorer));
  PROBE_OK(rh_sample(s->scorer, c ? &s->rows : NULL, 0, SAMPLES, s->x, s->log_prob));
}

static inline void drawn_free(drawn *s) {
  rh_scorer_destroy(s->scorer);
  free(s->x), free(s->log_prob), free(s->context);
}

static inline int ascending(const void *a, const void *b) {
  const double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

/* D sqrt(n) of values u[i] = F(x[i]) against the uniform distribution; u is sorted. */
static inline double kolmogorov_smirnov(int64_t n, double *u) {
  double most = 0;
  qsort(u, (size_t)n, sizeof *u, ascending);
  for (int64_t i = 0; i < n; i++) most = fmax(most, fmax(u[i] - (double)i / (double)n, (double)(i + 1) / (double)n - u[i]));
  return most * sqrt((double)n);
}

/* x[i stride], i < SAMPLES: their mean within 5 of its standard errors. */
static inline bool mean_near(char *text, const subject *s, const char *what, const double *x, int64_t stride, int power, double want) {
  double sum = 0, squares = 0;
  for (int64_t i = 0; i < SAMPLES; i++) {
    const double v = power == 1 ? x[i * stride] : x[i * stride] * x[i * stride];
    sum += v / SAMPLES, squares += v * v / SAMPLES;
  }
  return fabs(sum - want) <= 5 * sqrt((squares - sum * sum) / SAMPLES) || subject_says(text, s, what, 0, sum, want);
}

#endif
