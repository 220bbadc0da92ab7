#include "api/stretch.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"

/* Chosen on generated tables: docs/diagnostics.md. LOW, EXTREME: nats a column. */
static const double FLAT = -1.2, LOW = 1, OUTSIDE = 2, EXTREME = 3, HEAVY = 1, ERRORS = 5;
enum { STARTS = 8, STEPS = 60, ROWS_LEAST = 100 };

typedef struct one_row {
  double ladj, norm; /* |u|^2 */
} one_row;

static int by_ladj(const void *a, const void *b) {
  const one_row *x = a, *y = b;
  if (x->ladj != y->ladj) return x->ladj < y->ladj ? -1 : 1;
  return x->norm < y->norm ? -1 : x->norm > y->norm;
}

/* list [n], ascending */
static void summarize(int64_t n, int64_t d, const one_row *list, rh_stretch *s) {
  double mean = 0, m2 = 0, norm = 0;
  const int64_t least = (n + 19) / 20;
  for (int64_t i = 0; i < n; i++) {
    const double x = list[i].ladj, step = x - mean;
    mean += step / (double)(i + 1);
    m2 += step * (x - mean);
    if (i < least) norm += list[i].norm / (double)least;
  }
  s->median = (list[(n - 1) / 2].ladj + list[n / 2].ladj) / 2;
  s->sd = sqrt(m2 / (double)n);
  s->low = s->median - list[n / 100].ladj;
  if (d > 0) s->where = norm / (double)d;
}

/* ---- modes side by side ---- */

static double project(int64_t d, const double *w, const double *x) {
  double u = 0;
  for (int64_t j = 0; j < d; j++) u += w[j] * x[j];
  return u;
}

/* Excess kurtosis along w; x: [n, d], centred. */
static double kurtosis_along(int64_t n, int64_t d, const double *x, const double *w) {
  double second = 0, fourth = 0;
  for (int64_t i = 0; i < n; i++) {
    const double u = project(d, w, x + i * d), uu = u * u;
    second += uu;
    fourth += uu * uu;
  }
  return second > 0 ? (double)n * fourth / (second * second) - 3 : NAN;
}

/* One step down the fourth moment on the unit sphere: codes have about unit variance in every direction, so it goes down with the kurtosis
 * (Hyvarinen & Oja 1997, eq. 8, as a gradient step). The step is at most a quarter. g: [d] */
static void step_down(int64_t n, int64_t d, const double *x, double *w, double *g) {
  double along = 0, size = 0, norm = 0;
  memset(g, 0, (size_t)d * sizeof *g);
  for (int64_t i = 0; i < n; i++) {
    const double u = project(d, w, x + i * d), cube = u * u * u / (double)n;
    for (int64_t j = 0; j < d; j++) g[j] += cube * x[i * d + j];
  }
  for (int64_t j = 0; j < d; j++) along += g[j] * w[j];
  for (int64_t j = 0; j < d; j++) g[j] -= along * w[j], size += g[j] * g[j];
  const double rate = 0.25 / fmax(1, sqrt(size));
  for (int64_t j = 0; j < d; j++) w[j] -= rate * g[j], norm += w[j] * w[j];
  for (int64_t j = 0; j < d; j++) w[j] /= sqrt(norm);
}

/* The greatest along an axis, and the least along any direction, from the axes where the codes are flattest. x: [n, d], centred; w: [2 d]
 */
static void find_kurtosis(int64_t n, int64_t d, const double *x, double *w, rh_stretch *out) {
  double *start = w + d, least = INFINITY;
  for (int64_t j = 0; j < d; j++) {
    memset(w, 0, (size_t)d * sizeof *w);
    w[j] = 1;
    start[j] = kurtosis_along(n, d, x, w);
    if (!(start[j] <= out->greatest)) out->greatest = start[j], out->heaviest = j;
  }
  for (int s = 0; s < STARTS && s < d; s++) {
    int64_t axis = 0;
    for (int64_t j = 1; j < d; j++)
      if (start[j] < start[axis]) axis = j;
    start[axis] = INFINITY;
    memset(w, 0, (size_t)d * sizeof *w);
    w[axis] = 1;
    double gradient[RH_STRETCH_CODES];
    for (int k = 0; k < STEPS; k++) step_down(n, d, x, w, gradient);
    least = fmin(least, kurtosis_along(n, d, x, w));
  }
  out->kurtosis = isfinite(least) ? least : NAN;
}

static void centre(int64_t n, int64_t d, double *x) {
  for (int64_t j = 0; j < d; j++) {
    double mean = 0;
    for (int64_t i = 0; i < n; i++) mean += x[i * d + j] / (double)n;
    for (int64_t i = 0; i < n; i++) x[i * d + j] -= mean;
  }
}

/* ---- the call ---- */

/* Rows that are finite -> list [n], kept [n, d]. */
static int64_t take_rows(int64_t rows, int64_t d, const double *ladj, const double *u, const double *norm, one_row *list, double *kept) {
  int64_t n = 0;
  for (int64_t i = 0; i < rows; i++) {
    if (!isfinite(ladj[i]) || !isfinite(norm[i])) continue;
    memcpy(kept + n * d, u + i * d, (size_t)d * sizeof *kept);
    list[n++] = (one_row){ladj[i], norm[i]};
  }
  return n;
}

rh_status rh_stretch_find(int64_t rows, int64_t d, const double *ladj, const double *u, const double *norm, rh_stretch *out) {
  one_row *list = rh_alloc_zero((size_t)rows + 1, sizeof *list);
  double *kept = rh_alloc_zero((size_t)rows + 2, (size_t)d * sizeof *kept);
  const rh_status status = list && kept ? RH_OK : RH_E_MEMORY;
  if (status == RH_OK) {
    const int64_t n = take_rows(rows, d, ladj, u, norm, list, kept);
    qsort(list, (size_t)n, sizeof *list, by_ladj);
    *out = (rh_stretch){n, d, NAN, NAN, NAN, NAN, NAN, NAN, 0};
    if (n > 0) summarize(n, d, list, out);
    if (n >= ROWS_LEAST && d <= RH_STRETCH_CODES) {
      centre(n, d, kept);
      find_kurtosis(n, d, kept, kept + n * d, out); /* there are two rows to spare */
    }
  }
  rh_free(list);
  rh_free(kept);
  return status;
}

const char *rh_stretch_advice(const rh_stretch *s) {
  const double low = s->low / (double)s->d;
  if (s->kurtosis < FLAT)
    return "the codes have two modes side by side: the flow has not parted modes that lie apart, which takes it a stretch without end; a "
           "base "
           "with as many modes (--set base=mixture) or a mixture of flows (--set components=K) has them from the start";
  if (low > EXTREME)
    return "the map is stretched to the extreme: samples and inverses lose digits there; try --dtype f64, and look at the rows";
  if (low > LOW && s->where > OUTSIDE)
    return "the map is thinnest for rows far out: heavy tails, or rows unlike those of the fit; look at the log-density of rows that the "
           "fit "
           "has not seen";
  if (s->greatest > fmax(HEAVY, ERRORS * sqrt(24 / (double)s->rows))) /* the standard error of a normal sample's */
    return "a code has heavier tails than the base has there: rows far out are less likely under the model than they are; train for "
           "longer; of the bases student-t has the heaviest tails";
  return NULL;
}
