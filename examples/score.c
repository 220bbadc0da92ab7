/* The log-density of every row of a CSV file of numbers, without a header: score MODEL DATA.csv */
#include <rheo/rheo.h>
#include <stdio.h>
#include <stdlib.h>

int main(int argc, char **argv) {
  if (argc != 3) return fprintf(stderr, "usage: score MODEL DATA.csv\n"), 2;
  rh_density *density = NULL;
  if (rh_density_open(argv[1], NULL, &density) != RH_OK) return fprintf(stderr, "score: %s\n", rh_last_error()), 1;

  FILE *file = fopen(argv[2], "r");
  if (!file) return perror(argv[2]), 1;
  int64_t columns = rh_density_columns(density), count = 0, room = 1024;
  double *x = malloc((size_t)room * sizeof *x);
  while (x && fscanf(file, "%lf%*[, ]", &x[count]) == 1) {
    if (++count == room) x = realloc(x, (size_t)(room *= 2) * sizeof *x);
  }
  fclose(file);

  int64_t rows = count / columns;
  double *log_prob = malloc((size_t)(rows + 1) * sizeof *log_prob);
  if (!x || !log_prob) return fprintf(stderr, "score: out of memory\n"), 1;
  if (rh_density_log_prob(density, rows, x, log_prob) != RH_OK) return fprintf(stderr, "score: %s\n", rh_last_error()), 1;
  for (int64_t i = 0; i < rows; i++) printf("%.17g\n", log_prob[i]);

  free(log_prob);
  free(x);
  rh_density_close(density);
  return 0;
}
