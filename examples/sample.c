/* Draws rows from a density and prints them as CSV: sample MODEL N */
#include <rheo/rheo.h>
#include <stdio.h>
#include <stdlib.h>

int main(int argc, char **argv) {
  if (argc != 3) return fprintf(stderr, "usage: sample MODEL N\n"), 2;
  rh_density *density = NULL;
  if (rh_density_open(argv[1], "{\"threads\": 1}", &density) != RH_OK) return fprintf(stderr, "sample: %s\n", rh_last_error()), 1;

  int64_t rows = strtoll(argv[2], NULL, 10), columns = rh_density_columns(density);
  double *x = malloc((size_t)(rows * columns + 1) * sizeof *x);
  if (!x) return fprintf(stderr, "sample: out of memory\n"), 1;
  /* seed 7, temperature 1, samples number 0, 1, ...; no context, and no log-density wanted */
  if (rh_density_sample(density, 7, 1.0, 0, rows, NULL, x, NULL) != RH_OK) return fprintf(stderr, "sample: %s\n", rh_last_error()), 1;

  for (int64_t i = 0; i < rows; i++) {
    for (int64_t j = 0; j < columns; j++) printf("%s%.9g", j ? "," : "", x[i * columns + j]);
    printf("\n");
  }
  free(x);
  rh_density_close(density);
  return 0;
}
