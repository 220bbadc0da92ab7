/* The paths of a picture: how samples come about, from the base, by the model's differential equations. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "plot.h"

enum { PATHS = 60, TIMES = 41 };

static bool finite_row(int64_t n, const double *x) {
  bool finite = true;
  for (int64_t j = 0; j < n; j++) finite = finite && isfinite(x[j]);
  return finite;
}

/* Codes of the first samples -> z [n, latent + c], without those whose sample or code was not found; returns how many, -1 after an error.
 */
static int64_t codes(const plot *p, rh_density *density, int64_t n, double *x, double *z) {
  const int64_t d = p->d, c = rh_density_context(density), latent = rh_density_latent(density);
  int64_t kept = 0;
  for (int64_t i = 0; i < n; i++) {
    double *code = z + kept * (latent + c);
    memcpy(x, p->samples.at + i * d, (size_t)d * sizeof *x);
    if (c) memcpy(x + d, p->context, (size_t)c * sizeof *x);
    if (!finite_row(d, x)) continue;
    if (rh_density_encode(density, 1, x, code, NULL) != RH_OK) return -1;
    if (c) memcpy(code + latent, p->context, (size_t)c * sizeof *x);
    kept += finite_row(latent, code);
  }
  return kept;
}

/* The picture's range, unless it was given widened to all states: codes may lie anywhere. */
static void widen(plot *p, bool given) {
  plot_path_bundle *b = &p->paths;
  for (int j = 0; j < p->d; j++) {
    double low = p->low[j], high = p->high[j];
    for (int64_t i = 0; i < b->n * b->times && !given; i++) {
      const double value = b->at[i * p->d + j];
      if (isfinite(value)) low = fmin(low, value), high = fmax(high, value);
    }
    const double margin = 0.03 * (high - low);
    b->low[j] = low < p->low[j] ? low - margin : low;
    b->high[j] = high > p->high[j] ? high + margin : high;
  }
}

int plot_take_paths(plot *p, const cli_args *args, rh_density *density) {
  const int64_t d = p->d, c = rh_density_context(density), n = p->samples.n < PATHS ? p->samples.n : PATHS;
  plot_path_bundle *b = &p->paths;
  b->time = rh_density_time(density);
  if (d != 2 || !(b->time > 0)) return EXIT_DONE;
  b->times = TIMES;
  double *x = calloc((size_t)(d + c), sizeof *x), *z = calloc((size_t)(n * (rh_density_latent(density) + c)), sizeof *z);
  b->at = calloc((size_t)(n * b->times * d), sizeof *b->at);
  int code = x && z && b->at ? EXIT_DONE : complain(EXIT_FAILED, "plot: out of memory");
  if (code == EXIT_DONE) {
    b->n = codes(p, density, n, x, z);
    const rh_status status = b->n < 0 ? RH_E_NUMERIC : rh_density_paths(density, b->n, z, b->times, b->at);
    code = status == RH_OK ? EXIT_DONE : complain_status(status);
  }
  if (code == EXIT_DONE) widen(p, arg_text(args, "range", NULL) != NULL);
  free(x);
  free(z);
  return code;
}
