#include "train/step.h"

#include <float.h>
#include <math.h>
#include <string.h>

#include "base/memory.h"

enum { NORM_CHUNK = 4096, ADAM_CHUNK = 4096 };

/* A run of the flat parameters that decays alike. */
typedef struct piece {
  int64_t first, n;
  bool decay;
} piece;

struct rh_stepper {
  const rh_flow *flow;
  rh_values *values;
  rh_step_options options;
  const rh_kernels *kernels;
  rh_plan *plan;
  rh_work *work;
  rh_step_state state;
  void *gradient; /* flat, as the parameters */
  void *loss;     /* one number */
  void **param_out;
  double *partial; /* sums of squares by chunk */
  int64_t chunks;
  piece *piece;
  int64_t pieces, piece_room;
  rh_feed feed;
  rh_run_io io;
  /* the running step */
  int64_t rows;
  double rate;
  rh_step_result *result;
};

/* ---- making one ---- */

/* Gradients of the sum of -log p in every parameter that it depends on -> outs, after the loss; owner[i]: the leaf. */
static rh_status build_graph(rh_stepper *s, rh_graph *g, int *n_out, rh_val *outs, int *owner) {
  const rh_flow *f = s->flow;
  const rh_val x = rh_input(g, rh_shape1(f->columns));
  const rh_val context = f->context ? rh_input(g, rh_shape1(f->context)) : RH_NONE;
  const rh_val noise = f->noise ? rh_input(g, rh_shape1(f->noise)) : RH_NONE;
  const rh_val nll = rh_neg(g, rh_flow_log_prob(f, g, x, context, noise));
  RH_TRY(rh_graph_status(g));
  const int64_t n = f->leaves.n;
  rh_val *wrt = rh_alloc_zero((size_t)n + 1, 2 * sizeof *wrt);
  if (!wrt) return RH_E_MEMORY;
  rh_val *grads = wrt + n + 1;
  int m = 0;
  for (int64_t l = 0; l < n; l++) {
    if (f->leaves.leaf[l].klass != RH_PARAM) continue;
    owner[m] = (int)l;
    wrt[m++] = rh_leaf_val(g, (int)l);
  }
  const rh_status status = m ? rh_vjp(g, 1, &nll, NULL, m, wrt, grads, s->options.memory) : RH_OK;
  *n_out = 0;
  outs[(*n_out)++] = rh_sum_rows(g, nll);
  for (int i = 0; i < m && status == RH_OK; i++) {
    if (rh_is_none(grads[i])) continue; /* no dependence: the gradient stays 0 */
    owner[*n_out - 1] = owner[i];
    outs[(*n_out)++] = grads[i];
  }
  rh_free(wrt);
  RH_TRY(status);
  return rh_graph_status(g);
}

static rh_status make_plan(rh_stepper *s) {
  const rh_leaves *leaves = &s->flow->leaves;
  rh_graph g;
  RH_TRY(rh_graph_init(&g, leaves));
  g.training = true;
  rh_val *outs = rh_alloc((size_t)(leaves->n + 1) * sizeof *outs);
  int *owner = rh_alloc((size_t)(leaves->n + 1) * sizeof *owner);
  int n = 0;
  rh_status status = outs && owner ? build_graph(s, &g, &n, outs, owner) : RH_E_MEMORY;
  const rh_plan_options options = {.real_bytes = s->values->real_bytes,
                                   .isa = s->options.isa,
                                   .threads = rh_pool_threads(s->options.pool),
                                   .max_rows = s->options.batch,
                                   .lean = s->options.memory == RH_RECOMPUTE};
  if (status == RH_OK) status = rh_plan_create(&g, 0, NULL, n, outs, &options, &s->plan);
  s->param_out = rh_alloc((size_t)(leaves->n + 1) * sizeof *s->param_out);
  if (!s->param_out) status = RH_E_MEMORY;
  for (int i = 0; i < n && status == RH_OK; i++)
    s->param_out[i] = i ? (char *)s->gradient + leaves->leaf[owner[i - 1]].offset * s->values->real_bytes : s->loss;
  rh_free(outs);
  rh_free(owner);
  rh_graph_free(&g);
  return status == RH_OK ? rh_work_create(s->plan, rh_pool_threads(s->options.pool), &s->work) : status;
}

/* Cut the flat parameters into pieces that have one owner each, and one kind of decay. Padding is zero and stays so. */
static rh_status cut_pieces(rh_stepper *s) {
  const rh_leaves *leaves = &s->flow->leaves;
  for (int64_t l = 0; l < leaves->n; l++) {
    const rh_leaf *leaf = &leaves->leaf[l];
    if (leaf->klass != RH_PARAM) continue;
    const bool decay = leaf->decay && s->options.weight_decay > 0;
    int64_t first = leaf->offset;
    const int64_t end = leaf->offset + leaf->count;
    while (first < end) {
      piece *last = s->pieces ? &s->piece[s->pieces - 1] : NULL;
      if (!last || last->n >= ADAM_CHUNK || last->decay != decay) {
        RH_TRY(rh_grow((void **)&s->piece, &s->piece_room, s->pieces + 1, sizeof *s->piece));
        last = &s->piece[s->pieces++];
        *last = (piece){first, 0, decay};
      }
      const int64_t room = last->first + ADAM_CHUNK;
      first = end < room ? end : room;
      last->n = first - last->first; /* with the padding before this leaf */
    }
  }
  return RH_OK;
}

static rh_status fill_stepper(rh_stepper *s) {
  const size_t count = (size_t)s->flow->leaves.total[RH_PARAM], real = (size_t)s->values->real_bytes;
  s->state.count = (int64_t)count;
  s->state.array[RH_STEP_PARAM] = s->values->flat[RH_PARAM];
  s->state.array[RH_STEP_M] = rh_alloc_zero(count, real);
  s->state.array[RH_STEP_V] = rh_alloc_zero(count, real);
  s->gradient = rh_alloc_zero(count, real);
  s->loss = rh_alloc_zero(1, real);
  s->chunks = (int64_t)(count + NORM_CHUNK - 1) / NORM_CHUNK;
  s->partial = rh_alloc_zero((size_t)s->chunks, sizeof *s->partial);
  if (!s->state.array[RH_STEP_M] || !s->state.array[RH_STEP_V] || !s->gradient || !s->loss || !s->partial) return RH_E_MEMORY;
  if (s->options.ema > 0) {
    s->state.array[RH_STEP_EMA] = rh_alloc(count * real);
    if (!s->state.array[RH_STEP_EMA]) return RH_E_MEMORY;
    memcpy(s->state.array[RH_STEP_EMA], s->state.array[RH_STEP_PARAM], count * real);
  }
  RH_TRY(rh_kernels_get(s->options.isa, s->values->real_bytes, &s->kernels));
  RH_TRY(cut_pieces(s));
  RH_TRY(make_plan(s));
  s->feed = rh_feed_of(s->values->real_bytes, s->flow->columns, s->flow->context, s->flow->noise);
  s->feed.key = RH_KEY_NUMBER;
  s->feed.stream = RH_STREAM_NOISE;
  s->feed.seed = s->options.seed;
  s->feed.flip = s->options.flip;
  s->io = (rh_run_io){.values = s->values, .load = rh_feed_load, .arg = &s->feed, .param_out = s->param_out};
  return RH_OK;
}

rh_status rh_stepper_create(const rh_flow *flow, rh_values *values, const rh_step_options *options, rh_stepper **stepper) {
  rh_stepper *s = rh_alloc_zero(1, sizeof *s);
  if (!s) return RH_E_MEMORY;
  s->flow = flow;
  s->values = values;
  s->options = *options;
  const rh_status status = fill_stepper(s);
  if (status != RH_OK) {
    rh_stepper_destroy(s);
    return status;
  }
  *stepper = s;
  return RH_OK;
}

void rh_stepper_destroy(rh_stepper *s) {
  if (!s) return;
  rh_work_destroy(s->work);
  rh_plan_destroy(s->plan);
  for (int i = RH_STEP_M; i < RH_STEP_ARRAYS; i++) rh_free(s->state.array[i]);
  rh_free(s->gradient);
  rh_free(s->loss);
  rh_free(s->param_out);
  rh_free(s->partial);
  rh_free(s->piece);
  rh_free(s);
}

rh_step_state *rh_stepper_state(rh_stepper *s) {
  return &s->state;
}

const rh_plan *rh_stepper_plan(const rh_stepper *s) {
  return s->plan;
}

const void *rh_stepper_gradient(const rh_stepper *s) {
  return s->gradient;
}

/* ---- a step ---- */

static void *at(const rh_stepper *s, void *flat, int64_t i) {
  return flat ? (char *)flat + i * s->values->real_bytes : NULL;
}

static double loss_of(const rh_stepper *s) {
  return s->values->real_bytes == 8 ? *(const double *)s->loss : (double)*(const float *)s->loss;
}

/* Every thread comes to the same result from the same numbers: nothing is handed around. */
static rh_step_result judge(const rh_stepper *s) {
  double squares = 0;
  for (int64_t c = 0; c < s->chunks; c++) squares += s->partial[c];
  rh_step_result r = {.loss = loss_of(s), .grad_norm = sqrt(squares) / (double)s->rows};
  const double clipped = s->options.clip > 0 && r.grad_norm > s->options.clip ? s->options.clip : r.grad_norm;
  const double most = s->values->real_bytes == 8 ? 0x1p500 : 0x1p60; /* Adam squares it: v must stay finite */
  r.applied = isfinite(r.loss) && isfinite(r.grad_norm) && clipped <= most;
  return r;
}

/* The average forgets its start: it never remembers more than the steps there were. */
static double ema_keep(double decay, int64_t t) {
  const double young = (1 + (double)t) / (10 + (double)t);
  return young < decay ? young : decay;
}

static rh_adam_step adam_step(const rh_stepper *s, double grad_norm) {
  const rh_step_options *o = &s->options;
  const double t = (double)(s->state.updates + 1);
  const double clip = o->clip > 0 && grad_norm > o->clip ? o->clip / grad_norm : 1;
  return (rh_adam_step){.grad_scale = clip / (double)s->rows,
                        .b1 = o->beta1,
                        .b2 = o->beta2,
                        .c1 = 1 / (1 - pow(o->beta1, t)),
                        .c2 = 1 / (1 - pow(o->beta2, t)),
                        .eps = o->eps,
                        .rate = s->rate,
                        .keep = ema_keep(o->ema, s->state.updates)};
}

static void norm_chunks(rh_stepper *s) {
  for (int64_t c; (c = rh_pool_next(s->options.pool)) < s->chunks;) {
    const int64_t first = c * NORM_CHUNK, left = s->state.count - first;
    s->partial[c] = s->kernels->sum_squares(left < NORM_CHUNK ? left : NORM_CHUNK, at(s, s->gradient, first));
  }
}

static void adam_pieces(rh_stepper *s, rh_adam_step step) {
  void *const *a = s->state.array;
  for (int64_t p; (p = rh_pool_next(s->options.pool)) < s->pieces;) {
    const piece *q = &s->piece[p];
    step.decay = q->decay ? s->options.weight_decay : 0;
    s->kernels->adam(q->n, at(s, s->gradient, q->first), at(s, a[RH_STEP_PARAM], q->first), at(s, a[RH_STEP_M], q->first),
                     at(s, a[RH_STEP_V], q->first), at(s, a[RH_STEP_EMA], q->first), &step);
  }
}

static void step_body(void *arg, int thread) {
  rh_stepper *s = arg;
  rh_run_inside(s->plan, s->work, s->options.pool, thread, &s->io);
  norm_chunks(s);
  rh_pool_barrier(s->options.pool);
  const rh_step_result result = judge(s);
  if (result.applied) adam_pieces(s, adam_step(s, result.grad_norm));
  if (thread == 0) *s->result = result;
}

void rh_stepper_run(rh_stepper *s, const rh_batch *batch, double rate, rh_step_result *result) {
  s->feed.rows = batch->rows;
  s->feed.row = batch->row;
  s->feed.epoch = batch->epoch;
  s->io.rows = batch->n;
  s->rows = batch->n;
  s->rate = rate;
  s->result = result;
  rh_pool_run(s->options.pool, step_body, s);
  s->state.updates += result->applied;
  rh_work_count(s->work, &result->forward, &result->back);
}
