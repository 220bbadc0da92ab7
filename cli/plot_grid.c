/* The density on a grid, its mass, and the levels of its contour lines. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "plot.h"

enum { SIDE = 400, POINTS = 2000, BLOCK = 16384 };
static const double ABOVE_COLOURS = 0.01; /* of the mass */
const double plot_shares[PLOT_LEVELS] = {0.5, 0.95};

/* Cells [first, first + n) as rows [n, d + c]: their middles, and the context. */
static void fill_rows(const plot *p, int64_t first, int64_t n, int64_t c, double *x) {
  for (int64_t i = 0; i < n; i++, x += p->d + c) {
    const int64_t at[2] = {(first + i) % p->side, (first + i) / p->side};
    for (int j = 0; j < p->d; j++) x[j] = p->low[j] + ((double)at[j] + 0.5) / (double)p->side * (p->high[j] - p->low[j]);
    if (c) memcpy(x + p->d, p->context, (size_t)c * sizeof *x);
  }
}

static int log_densities(plot *p, rh_density *density, int64_t cells) {
  const int64_t c = rh_density_context(density);
  double *x = calloc(BLOCK, (size_t)(p->d + c) * sizeof *x);
  p->grid = calloc((size_t)cells, sizeof *p->grid);
  if (!x || !p->grid) {
    free(x);
    return complain(EXIT_FAILED, "plot: out of memory");
  }
  rh_status status = RH_OK;
  for (int64_t first = 0; first < cells && status == RH_OK; first += BLOCK) {
    const int64_t n = cells - first < BLOCK ? cells - first : BLOCK;
    fill_rows(p, first, n, c, x);
    status = rh_density_log_prob(density, n, x, p->grid + first);
  }
  free(x);
  return status == RH_OK ? EXIT_DONE : complain_status(status);
}

static int downwards(const void *a, const void *b) {
  const double x = *(const double *)a, y = *(const double *)b;
  return (x < y) - (x > y);
}

/* The highest density regions (Hyndman 1996): the greatest level above which lies the mass; 0: the grid has less. */
static double level_of(const double *sorted, int64_t cells, double mass) {
  double above = 0;
  int64_t i = 0;
  while (i < cells && above < mass) above += sorted[i++];
  return i < cells ? sorted[i - 1] : 0;
}

static int find_levels(plot *p, int64_t cells, double sum) {
  double *sorted = malloc((size_t)cells * sizeof *sorted);
  if (!sorted) return complain(EXIT_FAILED, "plot: out of memory");
  memcpy(sorted, p->grid, (size_t)cells * sizeof *sorted);
  qsort(sorted, (size_t)cells, sizeof *sorted, downwards);
  for (int k = 0; k < PLOT_LEVELS; k++) p->level[k] = level_of(sorted, cells, plot_shares[k] * sum / p->mass);
  p->darkest = level_of(sorted, cells, ABOVE_COLOURS * sum);
  free(sorted);
  return EXIT_DONE;
}

int plot_take_grid(plot *p, rh_density *density) {
  p->side = p->d == 2 ? SIDE : POINTS;
  const int64_t cells = p->d == 2 ? p->side * p->side : p->side;
  const int code = log_densities(p, density, cells);
  if (code != EXIT_DONE) return code;
  p->log_peak = -INFINITY;
  double sum = 0, log_cell = 0;
  for (int64_t i = 0; i < cells; i++) {
    p->unknown += isnan(p->grid[i]);
    if (p->grid[i] > p->log_peak) p->log_peak = p->grid[i];
  }
  if (!isfinite(p->log_peak))
    return complain(EXIT_FAILED, "plot: within the range the density is 0, or none was found: give --range, or try --dtype f64");
  for (int64_t i = 0; i < cells; i++) {
    p->grid[i] = isnan(p->grid[i]) ? 0 : exp(p->grid[i] - p->log_peak);
    sum += p->grid[i];
  }
  for (int j = 0; j < p->d; j++) log_cell += log((p->high[j] - p->low[j]) / (double)p->side);
  p->mass = exp(log(sum) + log_cell + p->log_peak);
  return find_levels(p, cells, sum);
}
