/* Columns that are linear combinations of others: Cholesky factorization of the correlation matrix with diagonal pivoting (Higham, Accuracy
 * and Stability of Numerical Algorithms, 2nd ed., section 10.3). What is left on the diagonal is the share of a column's variance that the
 * columns chosen before leave unexplained. */
#include <math.h>
#include <string.h>

#include "base/memory.h"
#include "data/facts.h"

static const double unexplained_share = 1e-8; /* a remainder of 1e-4 standard deviations */
static const double least_weight = 1e-6;      /* of standardized columns: smaller ones are rounding */
enum { MOST_COLUMNS = 1024, MOST_ROWS = 1 << 15, BLOCK = 4 };

typedef struct columns_system {
  rh_survey *survey;
  int64_t p, m;      /* columns looked at, rows used */
  int64_t *column;   /* [p] -> column of the table */
  double *mean, *sd; /* [p], of the rows used */
  double *matrix;    /* [p, p] correlations, lower triangle */
  double *factor;    /* [p, p]: row of a column, column of a pivot */
  double *left;      /* [p] unexplained share; negative: chosen */
  int64_t *pivot;    /* [rank] */
  int64_t rank;
  double *row; /* [BLOCK, d] raw, then the first p of each standardized */
} columns_system;

static int64_t used_row(const columns_system *y, int64_t k) {
  const rh_survey *s = y->survey;
  return rh_survey_row(s, (int64_t)((double)k * ((double)s->n / (double)y->m)));
}

static void standardize(const columns_system *y, int64_t k, double *out) {
  double *raw = y->row + BLOCK * y->p;
  const int64_t row = used_row(y, k);
  rh_table_get_f64(y->survey->table, &row, 0, 1, raw);
  for (int64_t a = 0; a < y->p; a++) out[a] = (raw[y->column[a]] - y->mean[a]) / y->sd[a];
}

/* Mean and deviation of the rows used (all rows' would do, were they all used). */
static void measure(columns_system *y) {
  double *z = y->row;
  for (int pass = 0; pass < 2; pass++) {
    double *sum = pass ? y->left : y->mean; /* left: a scratch until the factorization */
    memset(sum, 0, (size_t)y->p * sizeof *sum);
    double *raw = y->row + BLOCK * y->p;
    for (int64_t k = 0; k < y->m; k++) {
      const int64_t row = used_row(y, k);
      rh_table_get_f64(y->survey->table, &row, 0, 1, raw);
      for (int64_t a = 0; a < y->p; a++) z[a] = raw[y->column[a]] - (pass ? y->mean[a] : 0);
      for (int64_t a = 0; a < y->p; a++) sum[a] += pass ? z[a] * z[a] : z[a];
    }
    for (int64_t a = 0; a < y->p; a++) {
      if (pass) {
        y->sd[a] = sum[a] > 0 ? sqrt(sum[a] / (double)y->m) : 1;
      } else {
        y->mean[a] = sum[a] / (double)y->m;
      }
    }
  }
}

static void correlate(columns_system *y) {
  const int64_t p = y->p;
  memset(y->matrix, 0, (size_t)(p * p) * sizeof *y->matrix);
  for (int64_t k = 0; k < y->m; k += BLOCK) { /* a few rows at once: the matrix passes through the cache once for all of them */
    memset(y->row, 0, (size_t)(BLOCK * p) * sizeof *y->row);
    for (int64_t b = 0; b < BLOCK && k + b < y->m; b++) standardize(y, k + b, y->row + b * p);
    const double *z0 = y->row, *z1 = z0 + p, *z2 = z1 + p, *z3 = z2 + p;
    for (int64_t a = 0; a < p; a++) {
      double *out = y->matrix + a * p;
      for (int64_t c = 0; c <= a; c++) out[c] += (z0[a] * z0[c] + z1[a] * z1[c]) + (z2[a] * z2[c] + z3[a] * z3[c]);
    }
  }
  for (int64_t i = 0; i < p * p; i++) y->matrix[i] /= (double)y->m;
}

static double correlation(const columns_system *y, int64_t a, int64_t b) {
  return a >= b ? y->matrix[a * y->p + b] : y->matrix[b * y->p + a];
}

static void factorize(columns_system *y) {
  const int64_t p = y->p;
  for (int64_t a = 0; a < p; a++) y->left[a] = y->matrix[a * p + a];
  for (y->rank = 0; y->rank < p; y->rank++) {
    int64_t best = -1;
    for (int64_t a = 0; a < p; a++) { /* of nearly equal ones the first, so that later columns are explained by earlier ones */
      if (y->left[a] >= 0 && (best < 0 || y->left[a] > y->left[best] * (1 + 1e-9))) best = a;
    }
    if (best < 0 || y->left[best] <= unexplained_share) return;
    const int64_t r = y->rank;
    const double root = sqrt(y->left[best]), *chosen = y->factor + best * p;
    for (int64_t a = 0; a < p; a++) {
      double *f = y->factor + a * p;
      if (y->left[a] < 0) continue;
      double v = correlation(y, a, best);
      for (int64_t t = 0; t < r; t++) v -= f[t] * chosen[t];
      f[r] = v / root;
      if (a != best) y->left[a] = fmax(0, y->left[a] - f[r] * f[r]);
    }
    y->pivot[r] = best;
    y->left[best] = -1;
  }
}

/* w: [rank], of standardized columns: L'w = the dropped column's row of the factor. */
static void solve(const columns_system *y, int64_t a, double *w) {
  for (int64_t r = y->rank; r-- > 0;) {
    double v = y->factor[a * y->p + r];
    for (int64_t t = r + 1; t < y->rank; t++) v -= y->factor[y->pivot[t] * y->p + r] * w[t];
    w[r] = v / y->factor[y->pivot[r] * y->p + r];
  }
}

static double remainder_of(const columns_system *y, int64_t column, const rh_combination *c) {
  double square = 0, *raw = y->row;
  for (int64_t k = 0; k < y->m; k++) {
    const int64_t row = used_row(y, k);
    rh_table_get_f64(y->survey->table, &row, 0, 1, raw);
    double e = raw[column] - c->intercept;
    for (int64_t t = 0; t < c->terms; t++) e -= c->weights[t] * raw[c->of[t]];
    square += e * e;
  }
  return sqrt(square / (double)y->m);
}

/* A thousandth where x is one but for rounding: sums and differences of columns are then rebuilt exactly. */
static double snap(double x, double slack) {
  const double round = nearbyint(x * 1000) / 1000;
  return fabs(x - round) <= slack ? round : x;
}

static rh_status combine(columns_system *y, int64_t a, double *w) {
  rh_survey *s = y->survey;
  rh_facts *f = &s->column[y->column[a]];
  rh_combination *c = rh_arena_alloc(&s->arena, sizeof *c), plain;
  if (!c) return RH_E_MEMORY;
  c->of = rh_arena_alloc(&s->arena, (size_t)y->rank * sizeof *c->of);
  c->weights = rh_arena_alloc(&s->arena, (size_t)y->rank * sizeof *c->weights);
  double *exact = rh_arena_alloc(&s->arena, (size_t)y->rank * sizeof *exact), intercept = y->mean[a];
  if (!c->of || !c->weights || !exact) return RH_E_MEMORY;
  solve(y, a, w);
  c->intercept = y->mean[a];
  for (int64_t r = 0; r < y->rank; r++) {
    const int64_t q = y->pivot[r];
    if (fabs(w[r]) < least_weight) continue;
    const double weight = w[r] * y->sd[a] / y->sd[q];
    c->of[c->terms] = y->column[q];
    exact[c->terms] = weight;
    c->weights[c->terms] = snap(weight, 1e-5 * fmax(1, fabs(weight)));
    intercept -= weight * y->mean[q];
    c->intercept -= c->weights[c->terms] * y->mean[q];
    c->terms++;
  }
  c->intercept = snap(c->intercept, 1e-4 * y->sd[a]);
  plain = *c;
  plain.weights = exact;
  plain.intercept = intercept;
  c->error = remainder_of(y, y->column[a], c);
  plain.error = remainder_of(y, y->column[a], &plain);
  if (c->error > 2 * plain.error + 1e-12 * y->sd[a]) *c = plain;
  f->combination = c;
  f->seen |= 1u << RH_FACT_LINEAR;
  return RH_OK;
}

static rh_status find_combinations(columns_system *y) {
  measure(y);
  correlate(y);
  factorize(y);
  double *w = rh_arena_alloc(&y->survey->arena, (size_t)(y->rank + 1) * sizeof *w);
  if (!w) return RH_E_MEMORY;
  for (int64_t a = 0; a < y->p; a++) {
    if (y->left[a] >= 0 && y->matrix[a * y->p + a] > 0.5) RH_TRY(combine(y, a, w)); /* 0: constant on the rows used */
  }
  return RH_OK;
}

rh_status rh_survey_collinear(rh_survey *s) {
  columns_system y = {.survey = s, .m = s->n < MOST_ROWS ? s->n : MOST_ROWS};
  y.column = rh_alloc((size_t)s->d * sizeof *y.column);
  if (!y.column) return RH_E_MEMORY;
  for (int64_t j = 0; j < s->d; j++) {
    if (!(s->column[j].seen & (1u << RH_FACT_CONSTANT | 1u << RH_FACT_COPY))) y.column[y.p++] = j;
  }
  s->collinear_skipped = y.p > 1 && (y.p > MOST_COLUMNS || y.m < 2 * y.p);
  rh_status status = RH_OK;
  if (y.p > 1 && !s->collinear_skipped) {
    const size_t p = (size_t)y.p;
    y.matrix = rh_alloc(p * p * sizeof *y.matrix);
    y.factor = rh_alloc_zero(p * p, sizeof *y.factor);
    y.mean = rh_alloc(3 * p * sizeof *y.mean);
    y.row = rh_alloc((BLOCK * p + (size_t)s->d) * sizeof *y.row);
    y.pivot = rh_alloc(p * sizeof *y.pivot);
    status = RH_E_MEMORY;
    if (y.matrix && y.factor && y.mean && y.row && y.pivot) {
      y.sd = y.mean + p;
      y.left = y.sd + p;
      status = find_combinations(&y);
    }
  }
  rh_free(y.column);
  rh_free(y.matrix);
  rh_free(y.factor);
  rh_free(y.mean);
  rh_free(y.row);
  rh_free(y.pivot);
  return status;
}
