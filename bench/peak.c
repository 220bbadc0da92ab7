/* rheo-peak [--threads N] [--isa LEVEL] [--seconds S]: the measured fma peak with N threads at once, as one line of JSON. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fma_peak.h"

enum { MOST_THREADS = 256 };
typedef struct lane {
  rh_peak_level level;
  double seconds, gflops;
} lane;

static void *run_lane(void *arg) {
  lane *mine = arg;
  mine->gflops = rh_peak_gflops(mine->level, mine->seconds);
  return NULL;
}

static int usage(const char *why) {
  fprintf(stderr, "rheo-peak: %s; usage: rheo-peak [--threads N] [--isa v4|v3|base] [--seconds S]\n", why);
  return 2;
}

int main(int argc, char **argv) {
  static lane lanes[MOST_THREADS];
  static pthread_t ids[MOST_THREADS];
  const char *isa = NULL;
  int threads = 1;
  double seconds = 0.2, sum = 0, best = 0;
  for (int i = 1; i < argc; i += 2) {
    if (i + 1 == argc) return usage("an option without a value");
    if (!strcmp(argv[i], "--threads"))
      threads = atoi(argv[i + 1]);
    else if (!strcmp(argv[i], "--isa"))
      isa = argv[i + 1];
    else if (!strcmp(argv[i], "--seconds"))
      seconds = atof(argv[i + 1]);
    else
      return usage("unknown option");
  }
  if (threads < 1 || threads > MOST_THREADS) return usage("threads out of range");
  const rh_peak_level level = rh_peak_find(isa);
  if (!level.run) return usage("this machine does not run that level");
  for (int i = 0; i < threads; i++) {
    lanes[i] = (lane){level, seconds, 0};
    if (pthread_create(&ids[i], NULL, run_lane, &lanes[i])) {
      fprintf(stderr, "rheo-peak: cannot start thread %d\n", i);
      return 1;
    }
  }
  for (int i = 0; i < threads; i++) {
    pthread_join(ids[i], NULL);
    sum += lanes[i].gflops;
    if (lanes[i].gflops > best) best = lanes[i].gflops;
  }
  printf("{\"isa\": \"%s\", \"threads\": %d, \"gflops_a_thread\": %.2f, \"best_thread\": %.2f}\n", level.isa, threads, sum / threads, best);
  return 0;
}
