/* How often a continuous flow evaluates its field. Every row has steps of its own, which are the same alone and in any batch: rows are run
 * one at a time here, so that a row's count is known, by graphs like those of a training step, of scoring and of sampling. */
#include "evaluations.h"

#include <string.h>

#include "base/memory.h"
#include "base/rng.h"
#include "base/threads.h"
#include "graph/plan.h"

enum { INPUTS = 2 };

typedef struct counted {
  rh_plan *plan;
  rh_work *work;
  int params; /* outputs of the parameters' kind */
  void **out; /* [params] */
} counted;

typedef enum kind { SCORING, SAMPLING, FORWARD, TRAINING } kind;

static void close_counted(counted *c) {
  for (int i = 0; c->out && i < c->params; i++) rh_free(c->out[i]);
  rh_free(c->out);
  rh_work_destroy(c->work);
  rh_plan_destroy(c->plan);
}

static rh_val density(const rh_flow *f, rh_graph *g, bool training) {
  g->training = training;
  const rh_val x = rh_input(g, rh_shape1(f->columns)), noise = f->noise ? rh_input(g, rh_shape1(f->noise)) : RH_NONE;
  return rh_flow_log_prob(f, g, x, RH_NONE, noise);
}

/* Outputs of a plan: the density's or the sample's row, or in training the gradients of all parameters. */
static rh_status build(const rh_flow *f, rh_graph *g, kind k, int *n, rh_val *out) {
  *n = 1;
  if (k == SAMPLING) {
    rh_flow_sample(f, g, rh_input(g, rh_shape1(f->base_noise)), RH_NONE, 1, out, NULL);
    return rh_graph_status(g);
  }
  const rh_val log_prob = density(f, g, k != SCORING);
  out[0] = log_prob;
  RH_TRY(rh_graph_status(g));
  if (k != TRAINING) return RH_OK;
  *n = 0;
  rh_val *wrt = out + f->leaves.n;
  for (int64_t l = 0; l < f->leaves.n; l++)
    if (f->leaves.leaf[l].klass == RH_PARAM) wrt[(*n)++] = rh_leaf_val(g, (int)l);
  RH_TRY(rh_vjp(g, 1, &log_prob, NULL, *n, wrt, out, RH_KEEP));
  return rh_graph_status(g);
}

static rh_status make_outputs(counted *c, const rh_flow *f) {
  c->out = rh_alloc_zero((size_t)c->params + 1, sizeof *c->out);
  if (!c->out) return RH_E_MEMORY;
  for (int i = 0; i < c->params; i++)
    if (!(c->out[i] = rh_alloc_zero((size_t)f->leaves.total[RH_PARAM] + 1, sizeof(float)))) return RH_E_MEMORY;
  return RH_OK;
}

static rh_status open_counted(const rh_flow *f, const char *isa, kind k, counted *c) {
  rh_graph g;
  RH_TRY(rh_graph_init(&g, &f->leaves));
  rh_val *out = rh_alloc_zero(2 * (size_t)f->leaves.n + 1, sizeof *out);
  int n = 0;
  rh_status status = out ? build(f, &g, k, &n, out) : RH_E_MEMORY;
  const rh_plan_options options = {.real_bytes = sizeof(float), .isa = isa, .threads = 1, .max_rows = 1};
  c->params = k == TRAINING ? n : 0;
  if (status == RH_OK) status = rh_plan_create(&g, k == TRAINING ? 0 : n, out, c->params, out, &options, &c->plan);
  rh_free(out);
  rh_graph_free(&g);
  if (status == RH_OK) status = rh_work_create(c->plan, 1, &c->work);
  return status == RH_OK ? make_outputs(c, f) : status;
}

static rh_status count_rows(const rh_model *m, const char *isa, rh_pool *pool, kind k, int64_t rows, const double *x, int64_t *count) {
  const rh_flow *f = m->flow;
  const int64_t d = f->columns, wide = k == SAMPLING ? f->base_noise : d;
  counted c = {0};
  rh_status status = open_counted(f, isa, k, &c);
  float *in = rh_alloc_zero((size_t)(wide + f->noise + d) + 1, sizeof *in);
  double *noise = rh_alloc_zero((size_t)(wide + f->noise) + 1, sizeof *noise);
  if (!in || !noise) status = RH_E_MEMORY;
  for (int64_t r = 0; r < rows && status == RH_OK; r++) {
    const rh_rng rng = rh_rng_at(0, 0, (uint64_t)r, RH_STREAM_TEST);
    rh_rng_uniform(&rng, 0, wide + f->noise, noise);
    for (int64_t i = 0; i < wide + f->noise; i++) in[i] = (float)(k != SAMPLING && i < d ? x[r * d + i] : noise[i]);
    const rh_dense_input input[INPUTS] = {{in, wide * (int64_t)sizeof *in}, {in + wide, f->noise * (int64_t)sizeof *in}};
    void *row_out[1] = {in + wide + f->noise};
    const rh_run_io io = {.values = &m->values,
                          .rows = 1,
                          .load = rh_load_dense,
                          .arg = (void *)(uintptr_t)input,
                          .row_out = row_out,
                          .param_out = c.out,
                          .ready = r > 0};
    rh_run(c.plan, c.work, pool, &io);
    rh_ode_report report = {0};
    status = rh_work_report(c.work, &report);
    count[r] = report.evaluations;
  }
  rh_free(in);
  rh_free(noise);
  close_counted(&c);
  return status;
}

static void summarize(int64_t rows, const int64_t *count, int64_t *sum, int64_t *most) {
  *sum = *most = 0;
  for (int64_t r = 0; r < rows; r++) {
    *sum += count[r];
    if (count[r] > *most) *most = count[r];
  }
}

static rh_status tell(const rh_model *m, const char *isa, rh_pool *pool, kind k, int64_t rows, const double *x, int64_t *count,
                      json_t **answer) {
  int64_t forward, most, both = 0, unused;
  RH_TRY(count_rows(m, isa, pool, k, rows, x, count));
  summarize(rows, count, &forward, &most);
  if (k == FORWARD) {
    RH_TRY(count_rows(m, isa, pool, TRAINING, rows, x, count));
    summarize(rows, count, &both, &unused);
  }
  *answer = json_pack("{s:I, s:I, s:f, s:I}", "forward", (json_int_t)forward, "backward", (json_int_t)(k == FORWARD ? both - forward : 0),
                      "mean", (double)forward / (double)rows, "max", (json_int_t)most);
  return *answer ? RH_OK : RH_E_MEMORY;
}

static bool wanted(const json_t *works, const char *name) {
  size_t i;
  const json_t *one;
  json_array_foreach(works, i, one) if (!strcmp(json_string_value(one), name)) return true;
  return !works;
}

static rh_status count_works(const rh_model *m, const char *isa, rh_pool *pool, const bench_rows *rows, json_t *all) {
  const struct {
    const char *name;
    kind k;
    int64_t rows;
  } work[] = {{"train", FORWARD, rows->batch}, {"log_prob", SCORING, rows->scored}, {"sample", SAMPLING, rows->draws}};
  for (size_t i = 0; i < RH_COUNT_OF(work); i++) {
    if (!wanted(rows->works, work[i].name)) continue;
    int64_t *count = rh_alloc_zero((size_t)work[i].rows, sizeof *count);
    if (!count) return RH_E_MEMORY;
    json_t *answer = NULL;
    const rh_status status = tell(m, isa, pool, work[i].k, work[i].rows, rows->x, count, &answer);
    rh_free(count);
    RH_TRY(status);
    json_object_set_new(all, work[i].name, answer);
  }
  return RH_OK;
}

rh_status bench_evaluations(const rh_model *m, const char *isa, const bench_rows *rows, json_t *all) {
  rh_pool *pool; /* of one thread, as the workspaces are: a row is no work for more */
  RH_TRY(rh_pool_create(1, &pool));
  const rh_status status = count_works(m, isa, pool, rows, all);
  rh_pool_destroy(pool);
  return status;
}
