#include <math.h>
#include <string.h>

#include "base/memory.h"
#include "data/facts.h"

enum { CHUNK_VALUES = 1 << 15 };

int64_t rh_survey_row(const rh_survey *s, int64_t i) {
  return s->rows ? s->rows[i] : i;
}

int64_t rh_survey_sample(const rh_survey *s, int64_t k) {
  return s->sampled == s->n ? k : (int64_t)((double)k * ((double)s->n / (double)s->sampled));
}

typedef struct pass { /* all rows once, in order, a chunk at a time */
  rh_survey *survey;
  double *chunk;  /* [chunk rows, d] */
  uint64_t *hash; /* [d] */
  double *sum;    /* [3, d] */
} pass;

static void first_pass(pass *p, int64_t n, bool start) {
  rh_survey *s = p->survey;
  for (int64_t i = 0; i < n; i++) {
    const double *x = p->chunk + i * s->d;
    for (int64_t j = 0; j < s->d; j++) {
      rh_facts *f = &s->column[j];
      const bool fresh = start && i == 0;
      const double v = x[j] + 0.0; /* -0 hashes as 0 */
      uint64_t bits;
      memcpy(&bits, &v, sizeof bits);
      p->hash[j] = (p->hash[j] ^ bits) * 0x9E3779B97F4A7C15u;
      p->hash[j] ^= p->hash[j] >> 29;
      p->sum[j] += v;
      if (fresh || v < f->least) f->least = v;
      if (fresh || v > f->greatest) f->greatest = v;
    }
  }
}

static void second_pass(pass *p, int64_t n, bool start) {
  (void)start;
  const rh_survey *s = p->survey;
  double *square = p->sum + s->d, *fourth = square + s->d;
  for (int64_t i = 0; i < n; i++) {
    const double *x = p->chunk + i * s->d;
    for (int64_t j = 0; j < s->d; j++) {
      const double e = x[j] - s->column[j].mean, e2 = e * e;
      square[j] += e2;
      fourth[j] += e2 * e2;
    }
  }
}

static void run_pass(pass *p, void (*body)(pass *, int64_t, bool)) {
  const rh_survey *s = p->survey;
  const int64_t room = CHUNK_VALUES / s->d > 1 ? CHUNK_VALUES / s->d : 1;
  for (int64_t first = 0; first < s->n; first += room) {
    const int64_t n = s->n - first < room ? s->n - first : room;
    rh_table_get_f64(s->table, s->rows ? s->rows + first : NULL, first, n, p->chunk);
    body(p, n, first == 0);
  }
}

static bool columns_equal(const rh_survey *s, int64_t a, int64_t b) {
  for (int64_t i = 0; i < s->n; i++) {
    double x, y;
    const int64_t row = rh_survey_row(s, i);
    rh_table_column_f64(s->table, a, NULL, row, 1, &x);
    rh_table_column_f64(s->table, b, NULL, row, 1, &y);
    if (x != y) return false;
  }
  return true;
}

static void find_copies(pass *p) {
  rh_survey *s = p->survey;
  for (int64_t j = 0; j < s->d; j++) {
    rh_facts *f = &s->column[j];
    f->copy_of = -1;
    for (int64_t k = 0; k < j && f->copy_of < 0 && !rh_saw(f, RH_FACT_CONSTANT); k++) {
      if (p->hash[k] != p->hash[j] || s->column[k].copy_of >= 0 || !columns_equal(s, k, j)) continue;
      f->copy_of = k;
      f->seen |= 1u << RH_FACT_COPY;
    }
  }
}

static rh_status take_moments(pass *p) {
  rh_survey *s = p->survey;
  const double n = (double)s->n;
  run_pass(p, first_pass);
  for (int64_t j = 0; j < s->d; j++) {
    rh_facts *f = &s->column[j];
    f->mean = p->sum[j] / n;
    if (f->least == f->greatest) {
      f->mean = f->least;
      f->seen |= 1u << RH_FACT_CONSTANT;
    }
  }
  run_pass(p, second_pass);
  for (int64_t j = 0; j < s->d; j++) {
    rh_facts *f = &s->column[j];
    const double square = p->sum[s->d + j] / n, fourth = p->sum[2 * s->d + j] / n;
    f->sd = sqrt(square);
    f->kurtosis = square > 0 ? fourth / square / square - 3 : 0;
    if (isfinite(f->mean) && isfinite(f->sd) && isfinite(fourth) && (f->sd > 0 || rh_saw(f, RH_FACT_CONSTANT))) continue;
    char label[RH_LABEL_BYTES];
    return rh_fail(
        RH_E_DATA,
        "%s: its values, %g to %g, are too large or too close together for float64 statistics; rescale the column or leave it out",
        rh_table_label(s->table, j, label, sizeof label), f->least, f->greatest);
  }
  find_copies(p);
  return RH_OK;
}

rh_status rh_survey_moments(rh_survey *s) {
  const size_t chunk = s->d > CHUNK_VALUES ? (size_t)s->d : CHUNK_VALUES;
  pass p = {.survey = s};
  p.chunk = rh_alloc(chunk * sizeof *p.chunk);
  p.hash = rh_alloc_zero((size_t)s->d, sizeof *p.hash);
  p.sum = rh_alloc_zero(3 * (size_t)s->d, sizeof *p.sum);
  const rh_status status = p.chunk && p.hash && p.sum ? take_moments(&p) : RH_E_MEMORY;
  rh_free(p.chunk);
  rh_free(p.hash);
  rh_free(p.sum);
  return status;
}
