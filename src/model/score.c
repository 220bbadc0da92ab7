#include "model/score.h"

#include <math.h>
#include <string.h>

#include "base/memory.h"
#include "density/front.h"
#include "model/feed.h"

enum { CHUNK_ROWS = 16384, CHUNK_NUMBERS = 1 << 20, CHUNK_LEAST = 512 };

/* A task's plan, what it delivers and where that goes. An output is per row, or a parameters' function (the log-determinant of a linear
 * flow), or identically zero. */
typedef enum out_kind { OUT_NONE, OUT_ROW, OUT_SHARED, OUT_ZERO } out_kind;
typedef struct ready {
  rh_plan *plan;
  rh_work *work;
  rh_feed feed;
  out_kind kind[2];
  int64_t width[2]; /* numbers a row of each output, 0: no such output */
  void *out[2];     /* [chunk, width], or [width] when shared, at the plan's precision */
  int64_t chunk;
  bool solves; /* by an ode or a root: NaN may be what was not found */
} ready;

struct rh_scorer {
  const rh_flow *flow;
  const rh_values *values; /* what plans read */
  rh_values cast;          /* a copy at another precision, or empty */
  rh_pool *pool, *own_pool;
  rh_scorer_options options;
  ready ready[2][RH_TASK_COUNT]; /* whole; the first output alone */
  rh_ode_report counts;
};

/* ---- the graphs ---- */

typedef struct task_graph {
  rh_val out[2];
  int64_t width[2];
  rh_feed feed;
} task_graph;

static rh_val input_of(rh_graph *g, int64_t width) {
  return width ? rh_input(g, rh_shape1(width)) : RH_NONE;
}

/* Raw rows, with noise keyed by their bytes. */
static rh_feed data_feed(const rh_scorer *s) {
  rh_feed feed = rh_feed_of(s->values->real_bytes, s->flow->columns, s->flow->context, s->flow->noise);
  feed.key = RH_KEY_BYTES;
  feed.stream = RH_STREAM_NOISE;
  feed.middle = s->options.middle;
  feed.probe = s->flow->probe;
  return feed;
}

static void graph_log_prob(const rh_scorer *s, rh_graph *g, task_graph *t) {
  const rh_flow *f = s->flow;
  const rh_val x = input_of(g, f->columns), context = input_of(g, f->context), noise = input_of(g, f->noise);
  t->feed = data_feed(s);
  t->out[0] = rh_flow_log_prob(f, g, x, context, noise);
  t->width[0] = 1;
}

static void graph_encode(const rh_scorer *s, rh_graph *g, task_graph *t) {
  const rh_flow *f = s->flow;
  const rh_val x = input_of(g, f->columns), context = input_of(g, f->context), noise = input_of(g, f->noise);
  t->feed = data_feed(s);
  rh_flow_encode(f, g, x, context, noise, &t->out[0], &t->out[1]);
  t->width[0] = f->latent;
  t->width[1] = 1;
}

static void graph_decode(const rh_scorer *s, rh_graph *g, task_graph *t) {
  const rh_flow *f = s->flow;
  const rh_val z = input_of(g, f->latent), context = input_of(g, f->context);
  t->feed = rh_feed_of(s->values->real_bytes, f->latent, f->context, 0);
  if (s->options.time > 0)
    t->out[0] = rh_flow_state(f, g, z, context, s->options.time);
  else
    rh_flow_decode(f, g, z, context, &t->out[0], &t->out[1]);
  t->width[0] = f->columns;
  t->width[1] = 1;
}

static void graph_sample(const rh_scorer *s, rh_graph *g, task_graph *t) {
  const rh_flow *f = s->flow;
  const rh_val noise = input_of(g, f->base_noise), context = input_of(g, f->context);
  t->feed = rh_feed_of(s->values->real_bytes, 0, f->context, f->base_noise);
  t->feed.part[0] = RH_FEED_NOISE; /* the base's noise stands where x does elsewhere */
  t->feed.part[1] = RH_FEED_CONTEXT;
  t->feed.key = RH_KEY_NUMBER;
  t->feed.stream = RH_STREAM_BASE;
  rh_flow_sample(f, g, noise, context, s->options.temperature, &t->out[0], &t->out[1]);
  t->width[0] = f->columns;
  t->width[1] = 1;
}

static void graph_front(const rh_scorer *s, rh_graph *g, task_graph *t) {
  const rh_flow *f = s->flow;
  const rh_val x = input_of(g, f->columns), context = input_of(g, f->context), noise = input_of(g, f->noise);
  t->feed = data_feed(s);
  t->out[0] = rh_add(g, rh_fill(g, rh_shape1(rh_front_width(f)), 0), rh_front_forward(f, g, x, context, noise));
  t->width[0] = rh_front_width(f);
}

static void graph_front_back(const rh_scorer *s, rh_graph *g, task_graph *t) {
  const rh_flow *f = s->flow;
  const rh_val y = input_of(g, rh_front_width(f)), context = input_of(g, f->context);
  t->feed = rh_feed_of(s->values->real_bytes, rh_front_width(f), f->context, 0);
  t->out[0] = rh_add(g, rh_fill(g, rh_shape1(f->columns), 0), rh_front_inverse(f, g, y, context));
  t->width[0] = f->columns;
}

static void graph_behind(const rh_scorer *s, rh_graph *g, task_graph *t) {
  const rh_flow *f = s->flow;
  const rh_val y = input_of(g, rh_front_width(f)), context = input_of(g, f->context);
  t->feed = rh_feed_of(s->values->real_bytes, rh_front_width(f), f->context, 0);
  rh_behind_forward(f, g, y, context, &t->out[0], &t->out[1]);
  t->width[0] = f->latent;
  t->width[1] = 1;
}

static void graph_behind_back(const rh_scorer *s, rh_graph *g, task_graph *t) {
  const rh_flow *f = s->flow;
  const rh_val z = input_of(g, f->latent), context = input_of(g, f->context);
  t->feed = rh_feed_of(s->values->real_bytes, f->latent, f->context, 0);
  rh_behind_inverse(f, g, z, context, &t->out[0], &t->out[1]);
  t->width[0] = rh_front_width(f);
  t->width[1] = 1;
}

typedef void graph_fn(const rh_scorer *s, rh_graph *g, task_graph *t);
static graph_fn *const graph_of[RH_TASK_COUNT] = {
    [RH_TASK_LOG_PROB] = graph_log_prob, [RH_TASK_ENCODE] = graph_encode,
    [RH_TASK_DECODE] = graph_decode,     [RH_TASK_SAMPLE] = graph_sample,
    [RH_TASK_FRONT] = graph_front,       [RH_TASK_FRONT_BACK] = graph_front_back,
    [RH_TASK_BEHIND] = graph_behind,     [RH_TASK_BEHIND_BACK] = graph_behind_back,
};

/* ---- plans, made at their first use ---- */

static void ready_free(ready *r) {
  rh_work_destroy(r->work);
  rh_plan_destroy(r->plan);
  rh_free(r->out[0]);
  rh_free(r->out[1]);
  *r = (ready){0};
}

static int64_t chunk_rows(const rh_flow *f) {
  const int64_t wide = f->columns + f->latent + f->context + f->noise + f->base_noise + 1;
  const int64_t fit = CHUNK_NUMBERS / wide;
  return fit > CHUNK_ROWS ? CHUNK_ROWS : fit < CHUNK_LEAST ? CHUNK_LEAST : fit;
}

static out_kind kind_of(const rh_graph *g, const task_graph *t, int i) {
  if (!t->width[i]) return OUT_NONE;
  if (rh_is_none(t->out[i])) return OUT_ZERO;
  return rh_at(g, t->out[i])->klass == RH_ROW ? OUT_ROW : OUT_SHARED;
}

static rh_status plan_graph(rh_scorer *s, const rh_graph *g, const task_graph *t, ready *r) {
  RH_TRY(rh_graph_status(g));
  rh_val rows[2], shared[2];
  int n_rows = 0, n_shared = 0;
  r->chunk = chunk_rows(s->flow);
  r->solves = rh_graph_solves(g);
  r->feed = t->feed;
  r->feed.seed = s->options.seed;
  for (int i = 0; i < 2; i++) {
    r->kind[i] = kind_of(g, t, i);
    r->width[i] = t->width[i];
    if (r->kind[i] == OUT_ROW) rows[n_rows++] = t->out[i];
    if (r->kind[i] == OUT_SHARED) shared[n_shared++] = t->out[i];
    if (r->kind[i] == OUT_NONE) continue;
    const int64_t count = r->kind[i] == OUT_ROW ? r->chunk : 1;
    r->out[i] = rh_alloc_zero((size_t)(count * t->width[i]), (size_t)s->values->real_bytes);
    if (!r->out[i]) return RH_E_MEMORY;
  }
  const rh_plan_options options = {.real_bytes = s->values->real_bytes,
                                   .isa = s->options.isa,
                                   .threads = rh_pool_threads(s->pool),
                                   .max_rows = r->chunk,
                                   .lean = s->options.lean,
                                   .strict = true,
                                   .max_steps = s->options.max_steps};
  RH_TRY(rh_plan_create(g, n_rows, rows, n_shared, shared, &options, &r->plan));
  return rh_work_create(r->plan, rh_pool_threads(s->pool), &r->work);
}

/* alone: the first output, without what only the second one needs. */
static rh_status make_ready(rh_scorer *s, rh_task task, bool alone) {
  if (s->ready[alone][task].plan) return RH_OK;
  ready fresh = {0};
  task_graph t = {.out = {RH_NONE, RH_NONE}};
  rh_graph g;
  RH_TRY(rh_graph_init(&g, &s->flow->leaves));
  graph_of[task](s, &g, &t);
  if (alone) t.width[1] = 0;
  const rh_status status = plan_graph(s, &g, &t, &fresh);
  rh_graph_free(&g);
  if (status != RH_OK) {
    ready_free(&fresh);
    return status;
  }
  s->ready[alone][task] = fresh;
  return RH_OK;
}

rh_status rh_scorer_plan(rh_scorer *s, rh_task task, const rh_plan **plan) {
  RH_TRY(make_ready(s, task, false));
  *plan = s->ready[false][task].plan;
  return RH_OK;
}

/* ---- making one ---- */

static rh_status check_options(const rh_scorer_options *o) {
  if (o->real_bytes != 0 && o->real_bytes != 4 && o->real_bytes != 8)
    return rh_fail(RH_E_ARGUMENT, "the precision of scoring must be 4 or 8 bytes, not %d", o->real_bytes);
  if (o->draws < 0 || o->draws > 1000000) return rh_fail(RH_E_ARGUMENT, "draws must be 1 to 1000000, not %lld", (long long)o->draws);
  if (!(o->temperature >= 0 && o->temperature <= 1e6))
    return rh_fail(RH_E_ARGUMENT, "the temperature must be above 0 and at most 1e6, not %g", o->temperature);
  return RH_OK;
}

static rh_status fill_scorer(rh_scorer *s, const rh_values *values) {
  if (!s->pool) {
    RH_TRY(rh_pool_create(s->options.threads, &s->own_pool));
    s->pool = s->own_pool;
  }
  if (s->options.real_bytes != values->real_bytes) {
    RH_TRY(rh_values_cast(&s->flow->leaves, values, s->options.real_bytes, &s->cast));
    s->values = &s->cast;
  }
  return RH_OK;
}

rh_status rh_scorer_create(const rh_flow *flow, const rh_values *values, const rh_scorer_options *options, rh_scorer **scorer) {
  RH_TRY(check_options(options));
  rh_scorer *s = rh_alloc_zero(1, sizeof *s);
  if (!s) return RH_E_MEMORY;
  s->flow = flow;
  s->values = values;
  s->options = *options;
  s->pool = options->pool;
  if (!s->options.real_bytes) s->options.real_bytes = values->real_bytes;
  /* The noise of a bijection is that of estimated traces, which are unbiased as they are: a mean of their exponentials is not. */
  if (s->options.draws == 0 || flow->drawn == 0) s->options.draws = 1;
  if (s->options.temperature == 0) s->options.temperature = 1;
  const rh_status status = fill_scorer(s, values);
  if (status != RH_OK) {
    rh_scorer_destroy(s);
    return status;
  }
  *scorer = s;
  return RH_OK;
}

void rh_scorer_destroy(rh_scorer *s) {
  if (!s) return;
  for (int i = 0; i < 2 * RH_TASK_COUNT; i++) ready_free(&s->ready[i % 2][i / 2]);
  rh_values_free(&s->cast);
  rh_pool_destroy(s->own_pool);
  rh_free(s);
}

/* ---- running ---- */

static rh_status check_rows(const rh_rows *rows, int64_t first, int64_t n, int64_t width, const char *what) {
  if (rows->columns != width)
    return rh_fail(RH_E_SHAPE, "the %s have %lld column%s, the model takes %lld", what, (long long)rows->columns,
                   rows->columns == 1 ? "" : "s", (long long)width);
  if (first < 0 || n < 0 || first > rows->rows || n > rows->rows - first)
    return rh_fail(RH_E_ARGUMENT, "rows %lld to %lld are asked for, the %s have %lld", (long long)first, (long long)(first + n), what,
                   (long long)rows->rows);
  return RH_OK;
}

static double real_at(int real_bytes, const void *data, int64_t i) {
  return real_bytes == 8 ? ((const double *)data)[i] : (double)((const float *)data)[i];
}

/* Output i of a finished chunk of n rows -> dst [n, width]. */
static void deliver(const rh_scorer *s, const ready *r, int i, int64_t n, double *dst) {
  const int64_t w = r->width[i];
  if (r->kind[i] == OUT_ROW)
    for (int64_t j = 0; j < n * w; j++) dst[j] = real_at(s->values->real_bytes, r->out[i], j);
  else
    for (int64_t j = 0; j < n * w; j++) dst[j] = real_at(s->values->real_bytes, r->out[i], j % w);
}

/* One chunk of `n` rows as the plan sees them; results lie in r->out. */
static void run_chunk(rh_scorer *s, ready *r, int64_t n) {
  void *row_out[2], *shared_out[2];
  int n_rows = 0, n_shared = 0;
  for (int i = 0; i < 2; i++) {
    if (r->kind[i] == OUT_ROW) row_out[n_rows++] = r->out[i];
    if (r->kind[i] == OUT_SHARED) shared_out[n_shared++] = r->out[i];
  }
  const rh_run_io io = {.values = s->values, .rows = n, .load = rh_feed_load, .arg = &r->feed, .row_out = row_out, .param_out = shared_out};
  rh_run(r->plan, r->work, s->pool, &io);
  rh_work_count(r->work, &s->counts, &s->counts);
}

rh_ode_report rh_scorer_counts(rh_scorer *s) {
  const rh_ode_report counts = s->counts;
  s->counts = (rh_ode_report){0};
  return counts;
}

/* Rows [first, first + n) through a task, chunk by chunk; a and b [n, width] take its outputs, b may be NULL. */
static rh_status run_rows(rh_scorer *s, rh_task task, const rh_rows *rows, int64_t first, int64_t n, double *a, double *b) {
  RH_TRY(make_ready(s, task, !b));
  ready *r = &s->ready[!b][task];
  r->feed.rows = rows;
  r->feed.draws = 1;
  for (int64_t done = 0; done < n; done += r->chunk) {
    const int64_t m = n - done < r->chunk ? n - done : r->chunk;
    r->feed.first = first + done;
    run_chunk(s, r, m);
    deliver(s, r, 0, m, a + done * r->width[0]);
    if (b) deliver(s, r, 1, m, b + done);
  }
  r->feed.rows = NULL;
  return RH_OK;
}

/* A density is a number or 0: overflow on the way to a latent far outside (inf - inf) counts as 0. Not where something is solved for: there
 * it may be any number, which was not found. By the model, never by what its solvers count, that a row's result depends on that row alone.
 */
static double density(const ready *r, double log_prob) {
  return isnan(log_prob) && !r->solves ? -INFINITY : log_prob;
}

/* log of the mean of K importance weights (Burda et al. 2016, eq. 8), draws of one row in order; `log_w` may come in pieces: running
 * maximum m and sum of exp(w - m). */
typedef struct log_mean {
  double max, sum;
} log_mean;

static void log_mean_add(log_mean *a, double w) {
  if (w == -INFINITY) return;
  if (w > a->max) {
    a->sum = a->sum * exp(a->max - w) + 1;
    a->max = w;
  } else {
    a->sum += exp(w - a->max);
  }
}

static rh_status score_draws(rh_scorer *s, const rh_rows *rows, int64_t first, int64_t n, double *log_prob) {
  RH_TRY(make_ready(s, RH_TASK_LOG_PROB, true));
  ready *r = &s->ready[true][RH_TASK_LOG_PROB];
  const int64_t draws = s->options.draws, all = n * draws;
  r->feed.rows = rows;
  r->feed.draws = draws;
  log_mean mean = {-INFINITY, 0};
  r->feed.first = first;
  for (int64_t done = 0; done < all;) {
    /* a chunk begins at a row's first draw unless the draws of one row fill several */
    const int64_t into = done % draws, left = into ? draws - into : all - done;
    int64_t m = left < r->chunk ? left : r->chunk;
    if (!into && m > draws) m -= m % draws;
    r->feed.first = first + done / draws;
    r->feed.skip = into;
    run_chunk(s, r, m);
    for (int64_t j = 0; j < m; j++) {
      log_mean_add(&mean, density(r, real_at(s->values->real_bytes, r->out[0], j)));
      if ((done + j + 1) % draws) continue;
      log_prob[(done + j) / draws] = mean.sum == 0 ? -INFINITY : mean.max + log(mean.sum / (double)draws);
      mean = (log_mean){-INFINITY, 0};
    }
    done += m;
  }
  r->feed.rows = NULL;
  r->feed.skip = 0;
  return RH_OK;
}

rh_status rh_score(rh_scorer *s, const rh_rows *rows, int64_t first, int64_t n, double *log_prob) {
  RH_TRY(check_rows(rows, first, n, s->flow->columns + s->flow->context, "rows"));
  if (s->options.draws > 1) return score_draws(s, rows, first, n, log_prob);
  RH_TRY(run_rows(s, RH_TASK_LOG_PROB, rows, first, n, log_prob, NULL));
  const ready *r = &s->ready[true][RH_TASK_LOG_PROB];
  for (int64_t i = 0; i < n; i++) log_prob[i] = density(r, log_prob[i]);
  return RH_OK;
}

rh_status rh_encode(rh_scorer *s, const rh_rows *rows, int64_t first, int64_t n, double *z, double *ladj) {
  RH_TRY(check_rows(rows, first, n, s->flow->columns + s->flow->context, "rows"));
  double *own = ladj ? NULL : rh_alloc_zero((size_t)n + 1, sizeof *own), *look = ladj ? ladj : own;
  if (!look) return RH_E_MEMORY;
  const rh_status status = run_rows(s, RH_TASK_ENCODE, rows, first, n, z, look);
  for (int64_t i = 0; i < n && status == RH_OK; i++) /* outside of the support there is no code */
    for (int64_t j = 0; look[i] == -INFINITY && j < s->flow->latent; j++) z[i * s->flow->latent + j] = NAN;
  rh_free(own);
  return status;
}

rh_status rh_decode(rh_scorer *s, const rh_rows *rows, int64_t first, int64_t n, double *x, double *ladj) {
  RH_TRY(check_rows(rows, first, n, s->flow->latent + s->flow->context, "codes"));
  return run_rows(s, RH_TASK_DECODE, rows, first, n, x, ladj);
}

rh_status rh_sample(rh_scorer *s, const rh_rows *context, int64_t first, int64_t n, double *x, double *log_prob) {
  if (first < 0 || n < 0) return rh_fail(RH_E_ARGUMENT, "%lld samples from number %lld are asked for", (long long)n, (long long)first);
  if (s->flow->context && !context)
    return rh_fail(RH_E_ARGUMENT, "the model is conditional on %lld columns: give their values", (long long)s->flow->context);
  if (s->flow->context) RH_TRY(check_rows(context, first, n, s->flow->context, "conditions"));
  return run_rows(s, RH_TASK_SAMPLE, context, first, n, x, log_prob);
}

/* ---- a flow in two ---- */

rh_status rh_score_split(rh_scorer *s, rh_task task, const rh_rows *rows, int64_t first, int64_t n, double *out, double *ladj) {
  const rh_flow *f = s->flow;
  const int64_t width = task == RH_TASK_FRONT ? f->columns : task == RH_TASK_BEHIND_BACK ? f->latent : rh_front_width(f);
  if (!rh_flow_splits(f)) return rh_fail(RH_E_UNSUPPORTED, "the flow loses or adds information behind its preprocessing, too");
  RH_TRY(check_rows(rows, first, n, width + f->context, "rows"));
  return run_rows(s, task, rows, first, n, out, ladj);
}

/* ---- summaries ---- */

typedef struct moments {
  int64_t n, bad, unfinished;
  double mean, m2; /* of the finite ones (Welford 1962) */
} moments;

static void moments_add(moments *m, int64_t n, const double *x) {
  for (int64_t i = 0; i < n; i++) {
    if (!isfinite(x[i])) {
      m->bad++;
      m->unfinished += isnan(x[i]);
      continue;
    }
    const double d = x[i] - m->mean;
    m->mean += d / (double)++m->n;
    m->m2 += d * (x[i] - m->mean);
  }
}

static rh_score_sum moments_sum(const moments *m) {
  const double n = (double)m->n;
  return (rh_score_sum){
      .rows = m->n + m->bad,
      .bad = m->bad,
      .unfinished = m->unfinished,
      .mean = m->bad ? -INFINITY
              : m->n ? m->mean
                     : NAN,
      .stderr_ = m->n > 1 ? sqrt(m->m2 / (n - 1) / n) : NAN,
      .finite_mean = m->n ? m->mean : NAN,
  };
}

rh_score_sum rh_score_summary(int64_t n, const double *log_prob) {
  moments m = {0};
  moments_add(&m, n, log_prob);
  return moments_sum(&m);
}

rh_status rh_score_mean(rh_scorer *s, const rh_rows *rows, rh_score_sum *sum) {
  const int64_t piece = chunk_rows(s->flow);
  double *log_prob = rh_alloc((size_t)piece * sizeof *log_prob);
  if (!log_prob) return RH_E_MEMORY;
  moments m = {0};
  rh_status status = RH_OK;
  for (int64_t i = 0; i < rows->rows && status == RH_OK; i += piece) {
    const int64_t n = rows->rows - i < piece ? rows->rows - i : piece;
    status = rh_score(s, rows, i, n, log_prob);
    if (status == RH_OK) moments_add(&m, n, log_prob);
  }
  rh_free(log_prob);
  if (status == RH_OK) *sum = moments_sum(&m);
  return status;
}

/* ---- plain arrays as rows ---- */

static void dense_get(const void *arg, int64_t first, int64_t n, const int64_t *row, int64_t column, int64_t columns, double *dst) {
  const rh_dense_rows *d = arg;
  for (int64_t i = 0; i < n; i++) {
    const double *x = d->data + (row ? row[i] : first + i) * d->columns + column;
    memcpy(dst + i * columns, x, (size_t)columns * sizeof *x);
  }
}

rh_rows rh_rows_dense(const rh_dense_rows *dense) {
  return (rh_rows){.rows = dense->rows, .columns = dense->columns, .get = dense_get, .arg = dense};
}
