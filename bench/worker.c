/* rheo-bench: rheo as a worker of bench/run. The protocol stands in bench/protocol.py: a command a line in, a line out. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/memory.h"
#include "base/options.h"
#include "data/split.h"
#include "evaluations.h"
#include "kernel/kernel.h"
#include "model/model.h"
#include "model/score.h"
#include "train/step.h"

enum { ROWS = 4096, LINE = 1 << 20 };

typedef struct table { /* rows kept in double, as a reader gives them */
  double *data;
  rh_dense_rows dense;
  rh_rows rows;
} table;

typedef struct worker {
  rh_pool *pool;
  rh_model *model;
  rh_stepper *stepper;
  rh_scorer *scorer;
  table train, probe;
  double *out;                                /* [most of rows and draws, d]: samples, or densities */
  int64_t d, batch, draws, at, drawn, scored; /* scored: rows of a log_prob call */
  int64_t *order;
  uint32_t epoch;
  double rate;
  const char *isa;
  rh_memory memory;
  bool continuous;
  json_t *works; /* of a continuous flow: names, NULL: all */
} worker;

static double ms_of(clockid_t clock) {
  struct timespec t;
  clock_gettime(clock, &t);
  return 1e3 * (double)t.tv_sec + 1e-6 * (double)t.tv_nsec;
}

/* ---- rows and weights from files of float32 ---- */

static rh_status read_floats(const char *path, float **values, int64_t *n) {
  FILE *file = fopen(path, "rb");
  if (!file) return rh_fail(RH_E_IO, "%s: cannot be read", path);
  long size = -1;
  if (fseek(file, 0, SEEK_END) == 0) size = ftell(file);
  rewind(file);
  float *x = size > 0 ? rh_alloc((size_t)size) : NULL;
  const bool whole = x && fread(x, 1, (size_t)size, file) == (size_t)size;
  fclose(file);
  if (!whole) {
    rh_free(x);
    return rh_fail(RH_E_IO, "%s: cannot be read", path);
  }
  *values = x;
  *n = size / (long)sizeof *x;
  return RH_OK;
}

static void free_table(table *t) {
  rh_free(t->data);
  *t = (table){0};
}

/* The table is filled in place: its rows point into it. */
static rh_status make_table(int64_t rows, int64_t d, table *t) {
  free_table(t);
  t->data = rh_alloc_zero((size_t)(rows * d), sizeof *t->data);
  if (!t->data) return RH_E_MEMORY;
  t->dense = (rh_dense_rows){.rows = rows, .columns = d, .data = t->data};
  t->rows = rh_rows_dense(&t->dense);
  return RH_OK;
}

static rh_status read_table(const char *path, int64_t d, table *t) {
  float *x;
  int64_t n;
  RH_TRY(read_floats(path, &x, &n));
  const rh_status status =
      n % d ? rh_fail(RH_E_DATA, "%s: %ld numbers make no rows of %ld", path, (long)n, (long)d) : make_table(n / d, d, t);
  if (status == RH_OK)
    for (int64_t i = 0; i < n; i++) t->data[i] = x[i];
  rh_free(x);
  return status;
}

/* Leaves in the order of their declaration are the file's tensors in the file's order, both [out, in]. */
static rh_status load_in_order(worker *w, const float *x, int64_t n) {
  const rh_leaves *leaves = &w->model->flow->leaves;
  int64_t at = 0;
  if (n != leaves->params) return rh_fail(RH_E_DATA, "%ld numbers, the model has %ld parameters", (long)n, (long)leaves->params);
  for (int64_t l = 0; l < leaves->n; l++) {
    if (leaves->leaf[l].klass != RH_PARAM) continue;
    for (int64_t i = 0; i < leaves->leaf[l].count; i++) rh_values_set(leaves, &w->model->values, (int)l, i, x[at++]);
  }
  return RH_OK;
}

/* Of a continuous flow: layer by layer W [out, in + 1], the time's column last, and b. Leaves: weight [out, in], bias, time [out]; of a
 * gated layer also gate, which is set to let everything through, and shift, which is the time's column then. */
static rh_status load_timed(worker *w, const float *x, int64_t n) {
  enum { GATE = 30 }; /* sigmoid(30) is 1 in float32 */
  const rh_leaves *leaves = &w->model->flow->leaves;
  const bool gated = strstr(leaves->leaf[leaves->n - 1].name, ".shift") != NULL;
  const int a_layer = gated ? 5 : 3;
  int64_t at = 0;
  for (int l = 0; l + a_layer <= leaves->n; l += a_layer) {
    const int64_t out = leaves->leaf[l + 1].count, in = leaves->leaf[l].count / out;
    if (at + out * (in + 2) > n) break;
    for (int64_t i = 0; i < out; i++) {
      const float *row = x + at + i * (in + 1);
      for (int64_t j = 0; j < in; j++) rh_values_set(leaves, &w->model->values, l, i * in + j, row[j]);
      rh_values_set(leaves, &w->model->values, l + 1, i, x[at + out * (in + 1) + i]);
      rh_values_set(leaves, &w->model->values, l + a_layer - 1, i, row[in]);
      if (gated) rh_values_set(leaves, &w->model->values, l + 2, i, 0);
      if (gated) rh_values_set(leaves, &w->model->values, l + 3, i, GATE);
    }
    at += out * (in + 2);
  }
  return at == n ? RH_OK : rh_fail(RH_E_DATA, "%ld numbers are not the layers' of the model", (long)n);
}

static rh_status load_weights(worker *w, const char *path) {
  float *x;
  int64_t n;
  RH_TRY(read_floats(path, &x, &n));
  const rh_status status = (w->continuous ? load_timed : load_in_order)(w, x, n);
  rh_free(x);
  return status;
}

/* ---- the model ---- */

/* The coupling architectures of bench/problems.py: halves in turn. */
static json_t *coupling(const json_t *problem, const char *transform, int64_t layer) {
  json_t *elementwise = json_pack("{s:s}", "type", transform);
  if (!strcmp(transform, "affine")) json_object_set(elementwise, "bound", json_object_get(problem, "bound"));
  return json_pack("{s:s, s:s, s:o, s:{s:s, s:O, s:O}}", "type", "coupling", "mask", layer % 2 ? "swap" : "half", "transform", elementwise,
                   "net", "type", "mlp", "hidden", json_object_get(problem, "hidden"), "activation",
                   json_object_get(problem, "activation"));
}

static json_t *affine_or_rqs(const json_t *problem, bool rqs) {
  return rqs ? json_pack("{s:s, s:O, s:O}", "type", "rqs", "bins", json_object_get(problem, "bins"), "box", json_object_get(problem, "box"))
             : json_pack("{s:s, s:O}", "type", "affine", "bound", json_object_get(problem, "bound"));
}

static json_t *mlp(const json_t *problem) {
  return json_pack("{s:s, s:O, s:O}", "type", "mlp", "hidden", json_object_get(problem, "hidden"), "activation",
                   json_object_get(problem, "activation"));
}

/* Every second column in turn, splines. */
static json_t *striped(const json_t *problem, int64_t layer) {
  return json_pack("{s:s, s:s, s:o, s:o}", "type", "coupling", "mask", layer % 2 ? "even" : "odd", "transform",
                   affine_or_rqs(problem, true), "net", mlp(problem));
}

static json_t *autoregressive(const json_t *problem, bool rqs, int64_t layer) {
  return json_pack("{s:s, s:s, s:o, s:o}", "type", "autoregressive", "order", layer % 2 ? "reversed" : "natural", "transform",
                   affine_or_rqs(problem, rqs), "net", mlp(problem));
}

enum { REALNVP, NICE, MAF, IAF, NSF, NSF_COUPLING }; /* bench/problems.py */

static json_t *layer_spec(const json_t *problem, int arch, int64_t layer) {
  switch (arch) {
    case REALNVP:
      return coupling(problem, "affine", layer);
    case NICE:
      return coupling(problem, "additive", layer);
    case NSF_COUPLING:
      return striped(problem, layer);
    case IAF:
      return json_pack("{s:s, s:o}", "type", "inverse", "part", autoregressive(problem, false, layer));
    default:
      return autoregressive(problem, arch == NSF, layer);
  }
}

/* "spec" of the problem, or the flow that its architecture names. */
static rh_status flow_spec(const json_t *problem, int64_t d, int64_t layers, json_t **spec) {
  json_t *given = json_object_get(problem, "spec");
  if (given) {
    *spec = json_incref(given);
    return RH_OK;
  }
  static const char *const arch_names[] = {"realnvp", "nice", "maf", "iaf", "nsf", "nsf-coupling", NULL};
  rh_options o = rh_options_begin(problem, "problem");
  const int arch = rh_options_choice(&o, "arch", 0, arch_names);
  const char *base = rh_options_text(&o, "base", "normal");
  const bool lu = rh_options_bool(&o, "lu", false);
  if (o.status != RH_OK) return o.status;
  json_t *parts = json_array();
  for (int64_t layer = 0; layer < layers; layer++) {
    if (lu) json_array_append_new(parts, json_pack("{s:s}", "type", "lu"));
    json_array_append_new(parts, layer_spec(problem, arch, layer));
  }
  if ((int64_t)json_array_size(parts) == (lu ? 2 * layers : layers)) {
    *spec =
        json_pack("{s:I, s:{s:s, s:O}, s:{s:s}}", "columns", (json_int_t)d, "flow", "type", "chain", "parts", parts, "base", "type", base);
  }
  json_decref(parts);
  return *spec ? RH_OK : rh_fail(RH_E_SPEC, "problem: hidden, activation or bound is missing");
}

static rh_status make_model(worker *w, const json_t *problem) {
  static const char *const memories[] = {"keep", "recompute", NULL};
  rh_options o = rh_options_begin(problem, "problem");
  w->d = rh_options_int(&o, "d", 2, 1, 1 << 20);
  w->batch = rh_options_int(&o, "batch", 256, 1, 1 << 24);
  w->draws = rh_options_int(&o, "draws", ROWS, 1, ROWS);
  w->scored = rh_options_int(&o, "rows", ROWS, 1, ROWS);
  w->rate = rh_options_real(&o, "rate", 1e-4, 0, 1);
  w->memory = (rh_memory)rh_options_choice(&o, "memory", RH_KEEP, memories);
  w->continuous = !strcmp(rh_options_text(&o, "arch", ""), "cnf");
  w->works = json_incref(json_object_get(problem, "works"));
  const int threads = (int)rh_options_int(&o, "threads", 1, 1, 1024);
  const int64_t layers = rh_options_int(&o, "layers", 8, 1, 1 << 16);
  const char *isa = rh_options_text(&o, "isa", NULL);
  if (o.status != RH_OK) return o.status;
  const rh_kernels *kernels;
  RH_TRY(rh_kernels_get(isa, 4, &kernels));
  w->isa = kernels->isa; /* its own name: the problem's text goes */
  json_t *spec = NULL;
  rh_status status = flow_spec(problem, w->d, layers, &spec);
  if (status == RH_OK) status = rh_pool_create(threads, &w->pool);
  if (status == RH_OK) status = rh_model_create(spec, 4, 0, 8, 0, &w->model);
  json_decref(spec);
  return status;
}

static rh_status make_engines(worker *w) {
  rh_stepper_destroy(w->stepper);
  rh_scorer_destroy(w->scorer);
  w->stepper = NULL;
  w->scorer = NULL;
  const rh_step_options step = {
      .pool = w->pool, .isa = w->isa, .memory = w->memory, .batch = w->batch, .beta1 = 0.9, .beta2 = 0.999, .eps = 1e-8};
  RH_TRY(rh_stepper_create(w->model->flow, &w->model->values, &step, &w->stepper));
  const rh_scorer_options score = {.pool = w->pool, .isa = w->isa, .lean = w->memory == RH_RECOMPUTE};
  return rh_scorer_create(w->model->flow, &w->model->values, &score, &w->scorer);
}

static rh_status use_rows(worker *w, const char *path) {
  RH_TRY(read_table(path, w->d, &w->train));
  rh_free(w->order);
  w->order = rh_alloc((size_t)w->train.rows.rows * sizeof *w->order);
  w->at = w->train.rows.rows; /* a new epoch begins */
  if (w->continuous && w->at >= w->scored) memcpy(w->probe.data, w->train.data, (size_t)(w->scored * w->d) * sizeof *w->probe.data);
  return w->order ? RH_OK : RH_E_MEMORY;
}

static rh_status set_up(worker *w, const char *text, char *reply) {
  json_t *problem;
  RH_TRY(rh_json_parse(text, strlen(text), "problem", &problem));
  const rh_status status = w->model ? rh_fail(RH_E_ARGUMENT, "setup was done") : make_model(w, problem);
  json_decref(problem);
  RH_TRY(status);
  RH_TRY(make_engines(w));
  RH_TRY(make_table(w->scored, w->d, &w->probe));
  const rh_rng rng = rh_rng_at(0, 0, 0, RH_STREAM_TEST);
  rh_rng_uniform(&rng, 0, w->scored * w->d, w->probe.data);
  for (int64_t i = 0; i < w->scored * w->d; i++) w->probe.data[i] = 4 * w->probe.data[i] - 2;
  w->out = rh_alloc((size_t)((w->scored > w->draws ? w->scored : w->draws) * w->d) * sizeof *w->out);
  if (!w->out) return RH_E_MEMORY;
  snprintf(reply, LINE, "%ld", (long)w->model->flow->leaves.params);
  return RH_OK;
}

/* ---- the works ---- */

static rh_status one_step(worker *w) {
  if (!w->order) return rh_fail(RH_E_ARGUMENT, "train: give rows by data first");
  const int64_t rows = w->train.rows.rows;
  if (w->at + w->batch > rows) { /* a short last batch is left out, as by the peer */
    rh_epoch_order(0, w->epoch++, rows, w->order);
    w->at = 0;
  }
  const rh_batch batch = {.rows = &w->train.rows, .row = w->order + w->at, .n = w->batch, .epoch = w->epoch};
  rh_step_result result;
  rh_stepper_run(w->stepper, &batch, w->rate, &result);
  w->at += w->batch;
  return result.applied ? RH_OK : rh_fail(RH_E_NUMERIC, "a step was not finite");
}

static rh_status one_score(worker *w) {
  return rh_score(w->scorer, &w->probe.rows, 0, w->scored, w->out);
}

static rh_status one_sample(worker *w) {
  w->drawn += w->draws;
  return rh_sample(w->scorer, NULL, w->drawn - w->draws, w->draws, w->out, NULL);
}

static int ascending(const void *a, const void *b) {
  const double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

/* Latency of one sample a call: "MEDIAN P99" of so many calls, milliseconds. */
static rh_status sample_one_by_one(worker *w, const char *count, char *reply) {
  const long times = atol(count);
  if (times < 1 || times > 1000000) return rh_fail(RH_E_ARGUMENT, "'%s' is no number of times", count);
  double *ms = rh_alloc((size_t)times * sizeof *ms);
  if (!ms) return RH_E_MEMORY;
  rh_status status = RH_OK;
  for (long i = 0; i < times && status == RH_OK; i++) {
    const double start = ms_of(CLOCK_MONOTONIC);
    status = rh_sample(w->scorer, NULL, w->drawn++, 1, w->out, NULL);
    ms[i] = ms_of(CLOCK_MONOTONIC) - start;
  }
  if (status == RH_OK) {
    qsort(ms, (size_t)times, sizeof *ms, ascending);
    snprintf(reply, LINE, "%.6f %.6f", ms[times / 2], ms[(times - 1) * 99 / 100]);
  }
  rh_free(ms);
  return status;
}

static rh_status repeat(worker *w, rh_status (*work)(worker *), const char *count, char *reply) {
  const long times = atol(count);
  if (times < 1) return rh_fail(RH_E_ARGUMENT, "'%s' is no number of times", count);
  const double start = ms_of(CLOCK_MONOTONIC), busy = ms_of(CLOCK_PROCESS_CPUTIME_ID);
  for (long i = 0; i < times; i++) RH_TRY(work(w));
  const double wall = ms_of(CLOCK_MONOTONIC) - start, cpu = ms_of(CLOCK_PROCESS_CPUTIME_ID) - busy;
  snprintf(reply, LINE, "%.6f %.6f", wall / (double)times, cpu / (double)times);
  return RH_OK;
}

static rh_status densities(worker *w, char *paths, char *reply) {
  char *space = strchr(paths, ' ');
  if (!space) return rh_fail(RH_E_ARGUMENT, "logp IN OUT");
  *space = '\0';
  table t = {0};
  RH_TRY(read_table(paths, w->d, &t));
  const int64_t n = t.rows.rows;
  double *out = rh_alloc((size_t)n * sizeof *out);
  rh_status status = out ? rh_score(w->scorer, &t.rows, 0, n, out) : RH_E_MEMORY;
  FILE *file = status == RH_OK ? fopen(space + 1, "wb") : NULL;
  const bool written = file && fwrite(out, sizeof *out, (size_t)n, file) == (size_t)n;
  if (status == RH_OK && ((file && fclose(file)) || !written)) status = rh_fail(RH_E_IO, "%s: cannot be written", space + 1);
  rh_free(out);
  free_table(&t);
  snprintf(reply, LINE, "%ld", (long)n);
  return status;
}

static rh_status tell_memory(worker *w, char *reply) {
  rh_plan_info info;
  rh_plan_describe(rh_stepper_plan(w->stepper), &info);
  const char *form =
      "{\"work_bytes_thread\": %ld, \"work_bytes_shared\": %ld, \"packed_bytes\": %ld, \"block_rows\": %ld, \"super_rows\": %ld}";
  snprintf(reply, LINE, form, (long)info.work_bytes_thread, (long)info.work_bytes_shared, (long)info.packed_bytes, (long)info.block_rows,
           (long)info.super_rows);
  return RH_OK;
}

static rh_status tell_evaluations(worker *w, char *reply) {
  if (!w->continuous || w->train.rows.rows < w->batch || w->train.rows.rows < w->scored)
    return rh_fail(RH_E_ARGUMENT, "evaluations: of a continuous flow with rows for a batch and for log_prob");
  const bench_rows rows = {w->batch, w->scored, w->draws, w->train.data, w->works};
  json_t *all = json_object();
  const rh_status status = bench_evaluations(w->model, w->isa, &rows, all);
  char *text = rh_json_text(all);
  snprintf(reply, LINE, "%s", text ? text : "{}");
  rh_free(text);
  json_decref(all);
  return status;
}

static rh_status obey(worker *w, const char *command, char *rest, char *reply) {
  static const struct {
    const char *name;
    rh_status (*work)(worker *);
  } works[] = {{"train", one_step}, {"log_prob", one_score}, {"sample", one_sample}};
  if (!strcmp(command, "ready")) return RH_OK;
  if (!strcmp(command, "setup")) return set_up(w, rest, reply);
  if (!w->model) return rh_fail(RH_E_ARGUMENT, "setup comes first");
  for (size_t i = 0; i < RH_COUNT_OF(works); i++)
    if (!strcmp(command, works[i].name)) return repeat(w, works[i].work, rest, reply);
  if (!strcmp(command, "weights")) {
    RH_TRY(load_weights(w, rest));
    return make_engines(w);
  }
  if (!strcmp(command, "data")) return use_rows(w, rest);
  if (!strcmp(command, "tune")) {
    strcpy(reply, "{}");
    return RH_OK;
  }
  if (!strcmp(command, "sample1")) return sample_one_by_one(w, rest, reply);
  if (!strcmp(command, "evaluations")) return tell_evaluations(w, reply);
  if (!strcmp(command, "memory")) return tell_memory(w, reply);
  if (!strcmp(command, "logp")) return densities(w, rest, reply);
  return rh_fail(RH_E_ARGUMENT, "unknown command '%s'", command);
}

int main(void) {
  static worker w;
  static char line[LINE], reply[LINE], none[1];
  while (fgets(line, sizeof line, stdin)) {
    line[strcspn(line, "\n")] = '\0';
    char *space = strchr(line, ' ');
    if (space) *space = '\0';
    if (!strcmp(line, "quit")) break;
    reply[0] = '\0';
    if (obey(&w, line, space ? space + 1 : none, reply) == RH_OK)
      printf("ok %s\n", reply);
    else
      printf("error %s\n", rh_last_error());
    fflush(stdout);
  }
  rh_stepper_destroy(w.stepper);
  rh_scorer_destroy(w.scorer);
  rh_model_destroy(w.model);
  rh_pool_destroy(w.pool);
  free_table(&w.train);
  free_table(&w.probe);
  json_decref(w.works);
  rh_free(w.order);
  rh_free(w.out);
  return 0;
}
