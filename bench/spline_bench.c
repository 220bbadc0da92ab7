/* rheo-spline-bench [--isa LEVEL] [--f64]: rational-quadratic splines of 8 bins with linear tails, 512 rows of 43 columns, on one thread:
 * one line of JSON for forward, inverse and the forward's derivative. `exponentials` is the time that the exp kernel takes for as many
 * numbers as an element has raw ones, and its share of the whole. The best of many turns, by the thread's own clock. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/memory.h"
#include "kernel/kernel.h"

enum { ELEMENTS = 512 * 43, TURNS = 200 };

typedef struct job {
  const rh_kernels *k;
  rh_rqs s;
  void *x, *raw, *y, *l, *dx, *draw;
} job;

static void run_exp(job *j) {
  j->k->unary[RH_U_EXP](ELEMENTS * rh_rqs_params(&j->s), j->raw, j->draw, 0);
}
static void run_forward(job *j) {
  j->k->rqs(&j->s, 0, ELEMENTS, j->x, j->raw, j->y, j->l);
}
static void run_inverse(job *j) {
  j->k->rqs(&j->s, 1, ELEMENTS, j->x, j->raw, j->y, j->l);
}
static void run_vjp(job *j) {
  j->k->rqs_vjp(&j->s, 0, ELEMENTS, j->x, j->raw, j->y, j->l, j->dx, j->draw);
}

static double thread_time(void) {
  struct timespec t;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
  return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* Nanoseconds an element. */
static double measure(job *j, void (*run)(job *)) {
  double best = INFINITY;
  for (int i = 0; i < TURNS; i++) {
    const double begin = thread_time();
    run(j);
    best = fmin(best, thread_time() - begin);
  }
  return best / ELEMENTS * 1e9;
}

static void *room(const job *j, int64_t n, double size) {
  void *p = rh_alloc_zero((size_t)n, (size_t)j->k->real_bytes);
  if (!p) exit(1);
  for (int64_t i = 0; i < n; i++) {
    const double x = size * ((double)((i * 7919) % 1009) / 504.5 - 1);
    if (j->k->real_bytes == 4)
      ((float *)p)[i] = (float)x;
    else
      ((double *)p)[i] = x;
  }
  return p;
}

int main(int argc, char **argv) {
  static const struct {
    const char *name;
    void (*run)(job *);
  } runs[] = {{"forward", run_forward}, {"inverse", run_inverse}, {"vjp", run_vjp}};
  const char *isa = NULL;
  int bytes = 4;
  for (int i = 1; i < argc; i++) {
    if (!strcmp(argv[i], "--f64")) bytes = 8;
    if (!strcmp(argv[i], "--isa") && i + 1 < argc) isa = argv[++i];
  }
  job j = {.s = {8, RH_TAILS_LINEAR, 5, 1e-3, 1e-3, 1e-3, log(expm1(1 - 1e-3))}};
  if (rh_kernels_get(isa, bytes, &j.k)) {
    fprintf(stderr, "rheo-spline-bench: %s\n", rh_last_error());
    return 1;
  }
  const int64_t p = rh_rqs_params(&j.s);
  j.x = room(&j, ELEMENTS, 5.5), j.raw = room(&j, ELEMENTS * p, 2), j.y = room(&j, ELEMENTS, 1), j.l = room(&j, ELEMENTS, 1);
  j.dx = room(&j, ELEMENTS, 1), j.draw = room(&j, ELEMENTS * p, 1);
  const double exponentials = measure(&j, run_exp);
  for (size_t i = 0; i < sizeof runs / sizeof *runs; i++) {
    const double ns = measure(&j, runs[i].run);
    printf(
        "{\"spline\": \"%s\", \"isa\": \"%s\", \"real_bytes\": %d, \"ns_element\": %.2f, \"elements_s\": %.3g, \"exponentials\": %.2f, "
        "\"share\": %.2f}\n",
        runs[i].name, j.k->isa, bytes, ns, 1e9 / ns, exponentials, exponentials / ns);
  }
  rh_free(j.x), rh_free(j.raw), rh_free(j.y), rh_free(j.l), rh_free(j.dx), rh_free(j.draw);
  return 0;
}
