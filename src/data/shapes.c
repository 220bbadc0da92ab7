/* What the sorted values of one column show: discreteness and its grid, spikes, crowded ends, outliers, and which map would help. */
#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "data/facts.h"

#define FLOAT_EPS ((double)FLT_EPSILON)
static const double gain_wanted = 0.1, spike_share = 0.01, outlier_deviations = 20, heavy_kurtosis = 10, margin_share = 0.01;
enum {
  FEW_VALUES = 500,
  FEW_REPEATS = 2,
  MOST_LEVELS = 4096,
  MANY_REPEATS = 10,
  COARSE = 10,
  STEP_SLACKS = 64,
  FINE_ULPS = 16
}; /* grids */
enum { SPIKE_ROWS = 10, MAP_VALUES = 32, EDGE_ROWS = 2000, EDGE_CUTS = 10 };

static int by_value(const void *a, const void *b) {
  const double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

/* x: [m], sorted. */
static double quantile(const double *x, int64_t m, double q) {
  const double at = q * (double)(m - 1);
  const int64_t i = (int64_t)at;
  return i + 1 < m ? x[i] + (at - (double)i) * (x[i + 1] - x[i]) : x[m - 1];
}

static void count_values(rh_facts *f, const double *x, int64_t m) {
  f->distinct = f->rounded = 0;
  f->spike_rows = 0;
  for (int64_t start = 0, end; start < m; start = end) {
    for (end = start + 1; end < m && x[end] == x[start]; end++) continue;
    f->distinct++;
    f->rounded += start == 0 || (float)x[start] != (float)x[start - 1];
    f->rounds = f->rounds || (double)(float)x[start] != x[start];
    if (end - start <= f->spike_rows) continue;
    f->spike_rows = end - start;
    f->spike = x[start];
  }
}

/* ---- grids ---- */

static bool on_grid(const double *v, int64_t k, double offset, double step, double slack) {
  for (int64_t i = 0; i < k; i++) {
    const double at = (v[i] - offset) / step;
    if (fabs(at - nearbyint(at)) * step > slack) return false;
  }
  return true;
}

/* The nearest number of so many digits: grids are mostly decimal. */
static double round_digits(double x, int digits) {
  const double unit = pow(10, digits - 1 - floor(log10(x)));
  return nearbyint(x * unit) / unit;
}

/* The step near `guess`, made precise by all gaps, the small ones first: how many steps the great ones hold needs a good step already.
 * gap: [k - 1], ascending. */
static double refine(const double *gap, int64_t k, double guess) {
  double length = 0, steps = 0, step = guess;
  for (int64_t i = 0; i + 1 < k; i++) {
    length += gap[i];
    steps += nearbyint(gap[i] / step);
    if (steps > 0) step = length / steps;
  }
  return step;
}

/* v: [k] different values, ascending; gap: their distances, ascending. The greatest step whose multiples they are up to `slack` (the
 * rounding of the values); 0: none, or only one far below every gap, which would be a coincidence. Decimal steps are tried first: most
 * grids are decimal. */
static double find_step(const double *v, const double *gap, int64_t k, double slack) {
  for (int divisor = 1; divisor <= COARSE; divisor++) {
    const double guess = gap[0] / divisor;
    if (guess < STEP_SLACKS * slack) return 0;
    for (int digits = 1; digits <= 6; digits++) {
      const double round = round_digits(guess, digits);
      if (on_grid(v, k, v[0], round, slack)) return round;
    }
    const double step = refine(gap, k, guess);
    if (step > 0.5 * guess && on_grid(v, k, v[0], step, slack)) return step;
  }
  return 0;
}

static double snap_offset(double first, double step, double slack) {
  const double at = first / step;
  return fabs(at - nearbyint(at)) * step <= slack ? 0 : first;
}

static bool are_narrow(const double *v, int64_t k) { /* float32 numbers, whatever type they lie in */
  for (int64_t i = 0; i < k; i++) {
    if (v[i] != (double)(float)v[i]) return false;
  }
  return true;
}

/* x becomes its different values (`distinct` of them). */
static rh_status look_for_grid(rh_survey *s, rh_facts *f, double *x, int64_t m) {
  if (m < FEW_REPEATS * f->distinct) return RH_OK;
  const bool many = m >= MANY_REPEATS * f->distinct, few = f->distinct < FEW_VALUES || (many && f->distinct <= MOST_LEVELS);
  int64_t k = 0;
  for (int64_t i = 0; i < m; i++) {
    if (k == 0 || x[i] != x[k - 1]) x[k++] = x[i];
  }
  const double largest = fmax(fabs(x[0]), fabs(x[k - 1]));
  const double slack = 2 * largest * (are_narrow(x, k) ? FLOAT_EPS : DBL_EPSILON * 4);
  const double least_step = FINE_ULPS * (s->real_bytes == 4 ? FLOAT_EPS : DBL_EPSILON) * largest;
  double *gap = x + k; /* k <= m / 2: there is room */
  for (int64_t i = 1; i < k; i++) gap[i - 1] = x[i] - x[i - 1];
  qsort(gap, (size_t)k - 1, sizeof *gap, by_value);
  const double step = find_step(x, gap, k, fmax(slack, DBL_MIN));
  f->grid = step > 0;
  if (!f->grid && !few && !many) return RH_OK;
  f->seen |= 1u << RH_FACT_DISCRETE;
  f->step = f->grid ? step : few ? gap[0] : 0;
  f->fine = f->step > 1e-6 * f->sd && f->step < least_step;
  if (f->step < fmax(least_step, 1e-6 * f->sd)) f->step = 0;
  f->offset = f->grid ? snap_offset(x[0], step, slack) : 0;
  if (f->grid || f->step == 0) return RH_OK;
  f->levels = rh_arena_alloc(&s->arena, (size_t)k * sizeof *f->levels);
  if (!f->levels) return RH_E_MEMORY;
  memcpy(f->levels, x, (size_t)k * sizeof *x);
  return RH_OK;
}

/* ---- ends and outliers ---- */

/* x: [m] sorted; at its low end, or with `flip` at its high end. A level density has 1 % of the rows in the first tenth of the way from the
 * end to the 10 % quantile; a tail that thins out has next to none there. From 0.3 % on, something cuts the values off. */
static bool is_crowded(const double *x, int64_t m, bool flip) {
  if (m < EDGE_ROWS) return false;
  const double end = flip ? x[m - 1] : x[0], inner = quantile(x, m, flip ? 0.9 : 0.1), cut = end + (inner - end) / EDGE_CUTS;
  int64_t count = 0;
  while (count < m && (flip ? x[m - 1 - count] >= cut : x[count] <= cut)) count++;
  return (double)count >= 0.003 * (double)m && inner != end;
}

static void look_at_ends(rh_facts *f, const double *x, int64_t m) {
  f->q05 = quantile(x, m, 0.05);
  f->q25 = quantile(x, m, 0.25);
  f->q50 = quantile(x, m, 0.5);
  f->q75 = quantile(x, m, 0.75);
  f->q95 = quantile(x, m, 0.95);
  f->crowded_low = is_crowded(x, m, false);
  f->crowded_high = is_crowded(x, m, true);
  if (f->least >= 0 || f->crowded_low || f->crowded_high) f->seen |= 1u << RH_FACT_BOUNDED;
  if (f->kurtosis > heavy_kurtosis) f->seen |= 1u << RH_FACT_HEAVY;
}

/* x: [m] in row order. */
static void look_for_outliers(const rh_survey *s, rh_facts *f, const double *x, int64_t m) {
  const double spread = fmax((f->q75 - f->q25) / 1.349, (f->q95 - f->q05) / 3.29);
  double farthest = outlier_deviations * spread;
  for (int64_t k = 0; k < m && spread > 0; k++) {
    const double distance = fabs(x[k] - f->q50);
    if (distance <= outlier_deviations * spread) continue;
    f->outliers++;
    if (distance <= farthest) continue;
    farthest = distance;
    f->far_row = rh_survey_row(s, rh_survey_sample(s, k));
    f->far_value = x[k];
  }
  if (f->outliers) f->seen |= 1u << RH_FACT_OUTLIERS;
}

/* ---- maps ---- */

/* Mean log-density of the best normal on the mapped values, the map's log-det included, less the constant -log(2 pi e) / 2. x: [m]. */
static double normal_fit(const rh_facts *f, const double *x, int64_t m, rh_map map) {
  double sum = 0, square = 0, ladj = 0;
  for (int64_t k = 0; k < m; k++) {
    const double v = x[k] + 0.5 * f->step, a = v - f->low, b = f->high - v;
    const double y = map == RH_MAP_NONE ? v : map == RH_MAP_LOG ? log(a) : log(a / b);
    sum += y;
    square += y * y;
    ladj += map == RH_MAP_NONE ? 0 : map == RH_MAP_LOG ? -log(a) : log((f->high - f->low) / (a * b));
  }
  const double mean = sum / (double)m, variance = square / (double)m - mean * mean;
  return -0.5 * log(variance) + ladj / (double)m;
}

/* x: [m]. Limits a little outside 0 and 1: a value never seen that lies on the limit itself must have a finite place. */
static void look_for_map(rh_facts *f, double *x, int64_t m) {
  const double noise = f->step;
  if (f->least < 0 || f->distinct < MAP_VALUES || rh_saw(f, RH_FACT_SPIKED)) return;
  f->low = -fmax(noise, fmax(margin_share * f->q05, 1e-4 * f->sd));
  f->high = 1 + noise + fmax(noise, fmax(margin_share * (1 - f->q95), 1e-4 * f->sd));
  for (int64_t k = 0; k < m; k++) x[k] -= f->mean; /* the variance by one pass wants small values */
  rh_facts centred = *f;
  const double plain = normal_fit(&centred, x, m, RH_MAP_NONE);
  for (int64_t k = 0; k < m; k++) x[k] += f->mean;
  const bool unit = f->greatest <= 1 && f->greatest > 0.5;
  double best = gain_wanted;
  for (rh_map map = RH_MAP_LOG; map <= (unit ? RH_MAP_LOGIT : RH_MAP_LOG); map++) {
    const double gain = normal_fit(f, x, m, map) - plain;
    if (!(gain >= best)) continue;
    best = f->gain = gain;
    f->map = map;
  }
}

static rh_status look_at(rh_survey *s, int64_t j, int64_t *rows, double *x, double *sorted) {
  rh_facts *f = &s->column[j];
  const int64_t m = s->sampled;
  if (f->seen & (1u << RH_FACT_CONSTANT | 1u << RH_FACT_COPY)) return RH_OK;
  rh_table_column_f64(s->table, j, rows, 0, m, x);
  memcpy(sorted, x, (size_t)m * sizeof *x);
  qsort(sorted, (size_t)m, sizeof *sorted, by_value);
  count_values(f, sorted, m);
  look_at_ends(f, sorted, m);
  look_for_outliers(s, f, x, m);
  if (f->distinct > 1) RH_TRY(look_for_grid(s, f, sorted, m));
  if (!rh_saw(f, RH_FACT_DISCRETE) && f->spike_rows >= SPIKE_ROWS && (double)f->spike_rows >= spike_share * (double)m) {
    f->seen |= 1u << RH_FACT_SPIKED;
  }
  look_for_map(f, x, m);
  return RH_OK;
}

rh_status rh_survey_shapes(rh_survey *s) {
  const size_t m = (size_t)s->sampled;
  int64_t *rows = rh_alloc(m * sizeof *rows);
  double *x = rh_alloc(m * sizeof *x), *sorted = rh_alloc(m * sizeof *sorted);
  rh_status status = rows && x && sorted ? RH_OK : RH_E_MEMORY;
  for (int64_t k = 0; k < s->sampled && status == RH_OK; k++) rows[k] = rh_survey_row(s, rh_survey_sample(s, k));
  for (int64_t j = 0; j < s->d && status == RH_OK; j++) status = look_at(s, j, rows, x, sorted);
  rh_free(rows);
  rh_free(x);
  rh_free(sorted);
  return status;
}
