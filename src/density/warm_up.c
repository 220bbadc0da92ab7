/* Data-dependent starts: the rows walk through the chain; a part that wants them sees what the parts before it give. */
#include <math.h>
#include <string.h>

#include "base/memory.h"
#include "base/rng.h"
#include "density/flow.h"
#include "graph/plan.h"

typedef struct walk {
  const rh_flow *flow;
  rh_values *values;
  rh_pool *pool;
  uint64_t seed; /* of the noise */
  int64_t rows, noise_at;
  const double *context;
  double *x;                    /* [rows, width]: what the next part sees */
  const rh_bijection **pending; /* parts whose effect on x is still to be computed */
  int64_t n_pending, room;
} walk;

/* [rows, n] at the plan's precision. */
static void *narrow(const walk *w, const double *x, int64_t n) {
  const int real_bytes = w->values->real_bytes;
  void *out = rh_alloc((size_t)(w->rows * n) * (size_t)real_bytes);
  for (int64_t i = 0; i < w->rows * n && out; i++) {
    if (real_bytes == 4) {
      ((float *)out)[i] = (float)x[i];
    } else {
      ((double *)out)[i] = x[i];
    }
  }
  return out;
}

static void *uniforms(const walk *w, int64_t n) {
  double *u = rh_alloc((size_t)(w->rows * n + 1) * sizeof *u);
  if (!u) return NULL;
  const rh_rng rng = rh_rng_at(w->seed, 0, (uint64_t)w->noise_at, RH_STREAM_NOISE); /* every surjection has noise of its own */
  rh_rng_uniform(&rng, 0, w->rows * n, u);
  void *out = narrow(w, u, n);
  rh_free(u);
  return out;
}

static rh_status run_plan(walk *w, const rh_graph *g, rh_val y, rh_dense_input *in, double *out) {
  const int real_bytes = w->values->real_bytes;
  const int64_t n = rh_count(g, y);
  const rh_plan_options options = {.real_bytes = real_bytes, .max_rows = w->rows};
  rh_plan *plan = NULL;
  rh_work *work = NULL;
  void *result = rh_alloc((size_t)(w->rows * n) * (size_t)real_bytes);
  rh_status status = result ? rh_plan_create(g, 1, &y, 0, NULL, &options, &plan) : RH_E_MEMORY;
  if (status == RH_OK) status = rh_work_create(plan, rh_pool_threads(w->pool), &work);
  if (status == RH_OK) {
    const rh_run_io io = {.values = w->values, .rows = w->rows, .load = rh_load_dense, .arg = in, .row_out = &result};
    rh_run(plan, work, w->pool, &io);
    for (int64_t i = 0; i < w->rows * n; i++) out[i] = real_bytes == 4 ? (double)((const float *)result)[i] : ((const double *)result)[i];
  }
  rh_work_destroy(work);
  rh_plan_destroy(plan);
  rh_free(result);
  return status;
}

/* Pending parts, as one graph, from w->x to w->x. */
static rh_status build(walk *w, rh_graph *g, rh_val *y, int64_t *noise) {
  const rh_bijection *first = w->pending[0];
  *noise = 0;
  for (int64_t i = 0; i < w->n_pending; i++) *noise += w->pending[i]->noise;
  *y = rh_input(g, first->in);
  const rh_val raw = w->context ? rh_input(g, rh_shape1(w->flow->context)) : RH_NONE;
  const rh_val all = *noise ? rh_input(g, rh_shape1(*noise)) : RH_NONE;
  const rh_val context = rh_context_encode(w->flow->encoder, g, raw);
  int64_t at = 0;
  for (int64_t i = 0; i < w->n_pending && g->status == RH_OK; i++) {
    const rh_bijection *p = w->pending[i];
    const rh_val x = *y, u = p->noise ? rh_slice(g, all, at, p->noise) : RH_NONE;
    rh_val ladj;
    at += p->noise;
    rh_forward(p, g, x, context, u, y, &ladj);
  }
  return rh_graph_status(g);
}

static rh_status run_graph(walk *w, rh_graph *g) {
  rh_val y;
  int64_t noise;
  RH_TRY(build(w, g, &y, &noise));
  const int64_t real = w->values->real_bytes, d = rh_shape_count(&w->pending[0]->in), c = w->context ? w->flow->context : 0,
                out = rh_count(g, y);
  rh_dense_input in[3] = {{narrow(w, w->x, d), d * real}};
  int n = 1;
  if (c) in[n++] = (rh_dense_input){narrow(w, w->context, c), c * real};
  if (noise) in[n++] = (rh_dense_input){uniforms(w, noise), noise * real};
  double *fresh = rh_alloc((size_t)(w->rows * out) * sizeof *fresh);
  bool fine = fresh;
  for (int i = 0; i < n; i++) fine = fine && in[i].data;
  const rh_status status = fine ? run_plan(w, g, y, in, fresh) : RH_E_MEMORY;
  for (int i = 0; i < n; i++) rh_free((void *)(uintptr_t)in[i].data);
  if (status != RH_OK) {
    rh_free(fresh);
    return status;
  }
  rh_free(w->x);
  w->x = fresh;
  w->noise_at += noise;
  w->n_pending = 0;
  return RH_OK;
}

static rh_status catch_up(walk *w) {
  if (!w->n_pending) return RH_OK;
  rh_graph g;
  RH_TRY(rh_graph_init(&g, &w->flow->leaves));
  const rh_status status = run_graph(w, &g);
  rh_graph_free(&g);
  return status;
}

static rh_status visit(walk *w, const rh_bijection *b);

/* What a part within b sees of w->x replaces it. */
static rh_status enter(walk *w, const rh_bijection *b) {
  rh_graph g;
  RH_TRY(rh_graph_init(&g, &w->flow->leaves));
  const rh_val y = b->type->within_input(b, &g, rh_input(&g, b->in));
  const int64_t d = rh_shape_count(&b->in), out = rh_count(&g, y);
  rh_status status = rh_graph_status(&g);
  rh_dense_input in = {narrow(w, w->x, d), d * w->values->real_bytes};
  double *fresh = rh_alloc((size_t)(w->rows * out + 1) * sizeof *fresh);
  if (status == RH_OK) status = in.data && fresh ? run_plan(w, &g, y, &in, fresh) : RH_E_MEMORY;
  rh_free((void *)(uintptr_t)in.data);
  rh_graph_free(&g);
  if (status != RH_OK) {
    rh_free(fresh);
    return status;
  }
  rh_free(w->x);
  w->x = fresh;
  return RH_OK;
}

/* The part within b starts on its own inputs; then w->x is b's input again. */
static rh_status visit_within(walk *w, const rh_bijection *b) {
  RH_TRY(catch_up(w));
  const size_t bytes = (size_t)(w->rows * rh_shape_count(&b->in)) * sizeof *w->x;
  double *outside = rh_alloc(bytes);
  if (!outside) return RH_E_MEMORY;
  memcpy(outside, w->x, bytes);
  rh_status status = enter(w, b);
  if (status == RH_OK) status = visit(w, rh_bijection_within(b));
  if (status == RH_OK) {
    rh_free(w->x);
    w->x = outside;
    w->n_pending = 0;
    return RH_OK;
  }
  rh_free(outside);
  return status;
}

static rh_status visit(walk *w, const rh_bijection *b) {
  rh_bijection *const *parts;
  const int64_t n = rh_bijection_parts(b, &parts);
  for (int64_t i = 0; i < n; i++) RH_TRY(visit(w, parts[i]));
  if (b->type->parts) return RH_OK;
  if (rh_bijection_within(b)) RH_TRY(visit_within(w, b));
  if (b->type->warm_up) {
    RH_TRY(catch_up(w));
    RH_TRY(b->type->warm_up(b, &w->flow->leaves, w->values, w->rows, w->x));
  }
  RH_TRY(rh_grow((void **)&w->pending, &w->room, w->n_pending + 1, sizeof(rh_bijection *)));
  w->pending[w->n_pending++] = b;
  return RH_OK;
}

/* w->x becomes a copy of x [rows, d]; nothing is pending. */
static rh_status start(walk *w, const double *x, int64_t d) {
  const size_t bytes = (size_t)(w->rows * d) * sizeof *x;
  double *copy = rh_alloc(bytes);
  if (!copy) return RH_E_MEMORY;
  memcpy(copy, x, bytes);
  rh_free(w->x);
  w->x = copy;
  w->n_pending = 0;
  return RH_OK;
}

/* Every component sees what the shared preprocessing gives. */
static rh_status walk_mixture(walk *w) {
  RH_TRY(visit(w, w->flow->shared));
  RH_TRY(catch_up(w));
  double *shared = w->x;
  w->x = NULL;
  rh_status status = RH_OK;
  for (int64_t k = 0; k < w->flow->components && status == RH_OK; k++) {
    status = start(w, shared, rh_shape_count(&w->flow->shared->out));
    if (status == RH_OK) status = visit(w, w->flow->component[k].body);
  }
  rh_free(shared);
  return status;
}

rh_status rh_flow_warm_up(const rh_flow *f, rh_values *values, rh_pool *pool, int64_t rows, const double *x, const double *context,
                          uint64_t seed) {
  if (rows < 1) return rh_fail(RH_E_ARGUMENT, "a data-dependent start needs at least one row");
  walk w = {.flow = f, .values = values, .pool = pool, .seed = seed, .rows = rows, .context = context};
  rh_status status = start(&w, x, f->columns);
  if (status == RH_OK) status = f->body ? visit(&w, f->body) : walk_mixture(&w);
  rh_free(w.x);
  rh_free(w.pending);
  return status;
}

/* ---- the rows beside a spline's box ---- */

/* What stands before the flow, or before all components of a mixture. */
static const rh_bijection *preprocessing(const rh_flow *f) {
  rh_bijection *const *parts;
  if (!f->body) return f->shared;
  (void)rh_bijection_parts(f->body, &parts);
  return parts[0];
}

int64_t rh_flow_width(const rh_flow *f) {
  return rh_shape_count(&preprocessing(f)->out);
}

double rh_flow_box(const rh_flow *f) {
  double box = f->body ? rh_bijection_box(f->body) : 0;
  for (int64_t k = 0; k < f->components && box == 0; k++) box = rh_bijection_box(f->component[k].body);
  return box;
}

rh_status rh_flow_outside(const rh_flow *f, rh_values *values, rh_pool *pool, int64_t rows, const double *x, uint64_t seed, double box,
                          double *share) {
  const rh_bijection *first = preprocessing(f);
  walk w = {.flow = f, .values = values, .pool = pool, .seed = seed, .rows = rows};
  const int64_t width = rh_shape_count(&first->out);
  rh_status status = start(&w, x, f->columns);
  if (status == RH_OK) status = rh_grow((void **)&w.pending, &w.room, 1, sizeof(rh_bijection *));
  if (status == RH_OK) {
    w.pending[w.n_pending++] = first;
    status = catch_up(&w);
  }
  for (int64_t j = 0; j < width && status == RH_OK; j++) {
    int64_t outside = 0;
    for (int64_t r = 0; r < rows; r++) outside += !(fabs(w.x[r * width + j]) <= box);
    share[j] = (double)outside / (double)rows;
  }
  rh_free(w.x);
  rh_free(w.pending);
  return status;
}
