/* rheo-ode-memory ARCH COLUMNS BATCH OPTIONS: what one training step of a continuous flow keeps beside parameters, their gradients and
 * moments: as the plan has it, and as the process has it at its most. OPTIONS: --set as JSON. One thread; one line of JSON. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/options.h"
#include "base/rng.h"
#include "model/model.h"
#include "train/step.h"

typedef struct job {
  const char *arch;
  int64_t d, batch;
  rh_pool *pool;
  rh_model *model;
  rh_stepper *stepper;
  double *x;
  int64_t *row;
} job;

/* A line of /proc/self/status, in bytes. */
static double status_bytes(const char *key) {
  char line[256];
  double kilobytes = 0;
  FILE *file = fopen("/proc/self/status", "r");
  while (file && fgets(line, sizeof line, file))
    if (strncmp(line, key, strlen(key)) == 0) kilobytes = atof(line + strlen(key));
  if (file) fclose(file);
  return 1024 * kilobytes;
}

static rh_status make_model(job *j, const char *options) {
  const rh_arch_size size = {.columns = j->d, .rows = j->batch};
  json_t *set = NULL, *spec = NULL;
  RH_TRY(rh_json_parse(options, strlen(options), "OPTIONS", &set));
  rh_status status = rh_arch_spec(j->arch, set, &size, NULL, &spec, NULL);
  if (status == RH_OK) status = rh_model_create(spec, 4, 0, 8, 0, &j->model);
  json_decref(set);
  json_decref(spec);
  return status;
}

static rh_status make_rows(job *j) {
  const rh_rng rng = rh_rng_at(1, 0, 0, RH_STREAM_TEST);
  j->x = rh_alloc_zero((size_t)(j->batch * j->d), sizeof *j->x);
  j->row = rh_alloc_zero((size_t)j->batch, sizeof *j->row);
  if (!j->x || !j->row) return RH_E_MEMORY;
  rh_rng_uniform(&rng, 0, j->batch * j->d, j->x);
  for (int64_t i = 0; i < j->batch; i++) j->row[i] = i;
  return RH_OK;
}

static rh_status step(job *j) {
  const rh_step_options options = {.pool = j->pool, .batch = j->batch, .beta1 = 0.9, .beta2 = 0.999, .eps = 1e-8};
  const rh_dense_rows dense = {j->batch, j->d, j->x};
  const rh_rows rows = rh_rows_dense(&dense);
  const rh_batch batch = {.rows = &rows, .row = j->row, .n = j->batch};
  rh_step_result result;
  rh_plan_info plan;
  const double before = status_bytes("VmRSS:");
  RH_TRY(rh_stepper_create(j->model->flow, &j->model->values, &options, &j->stepper));
  rh_stepper_run(j->stepper, &batch, 1e-4, &result);
  const double own = 12. * (double)j->model->flow->leaves.params; /* gradient and two moments */
  rh_plan_describe(rh_stepper_plan(j->stepper), &plan);
  printf("{\"planned\": %lld, \"resident\": %.0f, \"forward\": %lld, \"back\": %lld}\n",
         (long long)(plan.work_bytes_thread + plan.work_bytes_shared), status_bytes("VmHWM:") - before - own,
         (long long)result.forward.evaluations, (long long)result.back.evaluations);
  return RH_OK;
}

int main(int argc, char **argv) {
  if (argc != 5) {
    fprintf(stderr, "usage: rheo-ode-memory ARCH COLUMNS BATCH OPTIONS\n");
    return 2;
  }
  job j = {.arch = argv[1], .d = atoll(argv[2]), .batch = atoll(argv[3])};
  rh_status status = rh_pool_create(1, &j.pool);
  if (status == RH_OK) status = make_model(&j, argv[4]);
  if (status == RH_OK) status = make_rows(&j);
  if (status == RH_OK) status = step(&j);
  if (status != RH_OK) fprintf(stderr, "rheo-ode-memory: %s\n", rh_last_error());
  rh_stepper_destroy(j.stepper);
  rh_model_destroy(j.model);
  rh_pool_destroy(j.pool);
  rh_free(j.x);
  rh_free(j.row);
  return status == RH_OK ? 0 : 1;
}
