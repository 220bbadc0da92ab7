/* Samples and data of a picture, and the range that they fill. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "plot.h"

enum { SAMPLES = 500, RANGE_SAMPLES = 4096, DATA_DRAWN = 3000 };

/* ---- samples ---- */

/* [rows, c], each the picture's context; NULL where there is none. */
static bool repeat_context(const plot *p, int64_t rows, int64_t c, double **context) {
  if (c == 0) return true;
  *context = calloc((size_t)(rows * c), sizeof **context);
  for (int64_t i = 0; i < rows && *context; i++) memcpy(*context + i * c, p->context, (size_t)c * sizeof **context);
  return *context;
}

static int take_samples(plot *p, const cli_args *args, rh_density *density) {
  const json_t *count = json_object_get(args->given, "samples"), *seed = json_object_get(args->given, "seed");
  plot_points *s = &p->samples;
  s->drawn = count ? json_integer_value(count) : SAMPLES;
  s->n = s->drawn > RANGE_SAMPLES ? s->drawn : RANGE_SAMPLES;
  s->at = calloc((size_t)(s->n * p->d), sizeof *s->at);
  double *context = NULL;
  if (!s->at || !repeat_context(p, s->n, rh_density_context(density), &context)) return complain(EXIT_FAILED, "plot: out of memory");
  const rh_status status = rh_density_sample(density, (uint64_t)json_integer_value(seed), 1, 0, s->n, context, s->at, NULL);
  free(context);
  return status == RH_OK ? EXIT_DONE : complain_status(status);
}

/* ---- data ---- */

/* Of x [n, d + c] the rows with the picture's context, without it -> x [kept, d]. */
static int64_t rows_of_context(const plot *p, int64_t n, int64_t c, double *x) {
  const int64_t d = p->d;
  int64_t kept = 0;
  for (int64_t i = 0; i < n; i++) {
    const double *row = x + i * (d + c);
    bool same = true;
    for (int64_t k = 0; k < c; k++) same = same && row[d + k] == p->context[k];
    if (same) memmove(x + d * kept++, row, (size_t)d * sizeof *x);
  }
  return kept;
}

static int take_data(plot *p, const cli_args *args, rh_density *density) {
  static const char *const keys[] = {"columns", "header", NULL};
  if (args->operands < 2) return EXIT_DONE;
  char *options = arg_pick(args, keys), *report = NULL;
  const rh_status status = rh_density_rows(density, args->operand[1], options, &p->data.n, &p->data.at, &report);
  free(options);
  if (status != RH_OK) return complain_status(status);
  json_t *about = json_loads(report, JSON_ALLOW_NUL, NULL);
  json_object_set(p->report, "notes", json_object_get(about, "notes"));
  json_decref(about);
  rh_text_free(report);
  if (p->context) p->data.n = rows_of_context(p, p->data.n, rh_density_context(density), p->data.at);
  p->data.drawn = p->data.n < DATA_DRAWN ? p->data.n : DATA_DRAWN;
  return EXIT_DONE;
}

/* ---- the range ---- */

static int by_value(const void *a, const void *b) {
  const double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

/* Widens [*low, *high] to the 0.1 to 99.9 % quantiles of a column. */
static bool span(const plot_points *points, int d, int column, double *low, double *high) {
  double *sorted = calloc((size_t)points->n + 1, sizeof *sorted);
  int64_t n = 0;
  if (!sorted) return false;
  for (int64_t i = 0; i < points->n; i++) {
    const double value = points->at[i * d + column];
    if (isfinite(value)) sorted[n++] = value;
  }
  qsort(sorted, (size_t)n, sizeof *sorted, by_value);
  const int64_t cut = n / 1000;
  if (n > 0) *low = fmin(*low, sorted[cut]);
  if (n > 0) *high = fmax(*high, sorted[n - 1 - cut]);
  free(sorted);
  return true;
}

static int find_range(plot *p, int column) {
  double low = INFINITY, high = -INFINITY;
  if (!span(&p->samples, p->d, column, &low, &high) || !span(&p->data, p->d, column, &low, &high))
    return complain(EXIT_FAILED, "plot: out of memory");
  if (!(low <= high)) return complain(EXIT_FAILED, "plot: no sample is a finite number: give --range, or try --dtype f64");
  const double margin = high > low ? 0.05 * (high - low) : 0.05 * fabs(low) + (low == 0);
  p->low[column] = low - margin;
  p->high[column] = high + margin;
  return EXIT_DONE;
}

static int given_range(plot *p, const char *text) {
  json_t *list = real_list(text);
  bool fine = json_is_array(list) && (int)json_array_size(list) == 2 * p->d;
  for (int j = 0; j < p->d && fine; j++) {
    p->low[j] = json_real_value(json_array_get(list, (size_t)(2 * j)));
    p->high[j] = json_real_value(json_array_get(list, (size_t)(2 * j + 1)));
    fine = p->low[j] < p->high[j] && isfinite(p->high[j] - p->low[j]);
  }
  json_decref(list);
  if (fine) return EXIT_DONE;
  return complain(EXIT_USAGE, "plot: --range %.60s: give %s, each minimum below its maximum", text,
                  p->d == 2 ? "xmin,xmax,ymin,ymax" : "xmin,xmax");
}

int plot_take_points(plot *p, const cli_args *args, rh_density *density) {
  const char *range = arg_text(args, "range", NULL);
  int code = range ? given_range(p, range) : EXIT_DONE;
  if (code == EXIT_DONE) code = take_samples(p, args, density);
  if (code == EXIT_DONE) code = take_data(p, args, density);
  for (int j = 0; j < p->d && code == EXIT_DONE && !range; j++) code = find_range(p, j);
  return code;
}
