/* Running a plan: before the rows, superblock by superblock (rows of each segment in blocks, then the sums it fed, and the packed forms of
 * the next one, where each has its own), after the rows. Nothing here depends on which thread does what: every block, piece and packed
 * panel has its own place to write. */
#include <string.h>

#include "graph/plan_parts.h"

struct rh_work {
  int threads;
  int64_t bodies;
  char *wide, *packed, *shared;
  struct lane {
    char *local, *pack_scratch;
    const void **in, **packed_in;
    struct body_work {
      const rh_op_bodies *how;
      void *work;
      bool derives;
    } * body; /* [bodies] */
  } * lane;
};

/* One thread's view of a run. */
typedef struct view {
  const rh_plan *plan;
  rh_work *work;
  const rh_run_io *io;
  struct lane *lane;
  int64_t first, rows; /* of the superblock */
  char *base[RH_PLACES];
} view;

void rh_work_destroy(rh_work *work) {
  if (!work) return;
  for (int t = 0; work->lane && t < work->threads; t++) {
    for (int64_t i = 0; work->lane[t].body && i < work->bodies; i++)
      if (work->lane[t].body[i].work) work->lane[t].body[i].how->close(work->lane[t].body[i].work);
    rh_free(work->lane[t].body);
    rh_free(work->lane[t].local);
    rh_free(work->lane[t].pack_scratch);
    rh_free(work->lane[t].in);
    rh_free(work->lane[t].packed_in);
  }
  rh_free(work->lane);
  rh_free(work->wide);
  rh_free(work->packed);
  rh_free(work->shared);
  rh_free(work);
}

static rh_status open_bodies(const rh_plan *plan, struct lane *lane) {
  lane->body = rh_alloc_zero((size_t)plan->n_bodies + 1, sizeof *lane->body);
  if (!lane->body) return RH_E_MEMORY;
  for (int64_t i = 0; i < plan->n_bodies; i++) {
    const rh_item *it = &plan->item[plan->body[i]];
    lane->body[i].how = it->op->bodies;
    lane->body[i].derives = it->op->bodies->derives && it->op->bodies->derives(it->made);
    RH_TRY(it->op->bodies->open(it->made, &lane->body[i].work));
  }
  return RH_OK;
}

void rh_work_count(rh_work *work, rh_ode_report *forward, rh_ode_report *back) {
  for (int t = 0; t < work->threads; t++)
    for (int64_t i = 0; i < work->bodies; i++) {
      const struct body_work *b = &work->lane[t].body[i];
      b->how->report(b->work, b->derives ? back : forward);
    }
}

rh_status rh_work_report(rh_work *work, rh_ode_report *report) {
  *report = (rh_ode_report){0};
  rh_work_count(work, report, report);
  if (!report->unfinished) return RH_OK;
  return rh_fail(
      RH_E_NUMERIC,
      "ode, root: %lld solutions did not arrive within their steps; raise max_steps, loosen rtol and atol, or look for a field or "
      "a function that is not finite",
      (long long)report->unfinished);
}

rh_status rh_work_create(const rh_plan *plan, int threads, rh_work **out) {
  const size_t rb = (size_t)plan->k->real_bytes;
  rh_work *w = rh_alloc_zero(1, sizeof *w);
  if (!w) return RH_E_MEMORY;
  w->threads = threads;
  w->bodies = plan->n_bodies;
  w->wide = rh_alloc_zero((size_t)(plan->wide_count * plan->super_rows) + 16, rb);
  w->packed = rh_alloc_zero((size_t)plan->packed_count + 16, rb);
  w->shared = rh_alloc_zero((size_t)plan->shared_count + 16, rb);
  w->lane = rh_alloc_zero((size_t)threads, sizeof *w->lane);
  bool fine = w->wide && w->packed && w->shared && w->lane;
  for (int t = 0; fine && t < threads; t++) {
    w->lane[t].local = rh_alloc_zero((size_t)(plan->local_count * plan->block_rows) + 16, rb);
    w->lane[t].pack_scratch = rh_alloc_zero((size_t)plan->pack_scratch + 1, rb);
    w->lane[t].in = rh_alloc_zero((size_t)plan->max_arity + 1, sizeof(void *));
    w->lane[t].packed_in = rh_alloc_zero((size_t)plan->max_arity + 3, sizeof(void *));
    fine = w->lane[t].local && w->lane[t].pack_scratch && w->lane[t].in && w->lane[t].packed_in && open_bodies(plan, &w->lane[t]) == RH_OK;
  }
  if (!fine) {
    rh_work_destroy(w);
    return RH_E_MEMORY;
  }
  *out = w;
  return RH_OK;
}

/* Where a value's numbers are; `row` counts from the superblock's first. */
static inline char *locate(const view *v, int32_t value, int64_t row) {
  const rh_item *it = &v->plan->item[value];
  if (it->place == RH_AT_OUT) return v->io->param_out[it->offset];
  return v->base[it->place] + it->at_bytes + row * it->row_bytes;
}

/* Each part of a node with several outputs lies as a value of its own: all its rows together. */
static void locate_parts(const view *v, int32_t value, int64_t row, void *part[RH_PARTS]) {
  const rh_item *it = &v->plan->item[value];
  const rh_parts *parts = it->node.attr;
  const int64_t rb = v->plan->k->real_bytes, rows = it->place == RH_AT_LOCAL  ? v->plan->block_rows
                                                    : it->place == RH_AT_WIDE ? v->plan->super_rows
                                                                              : 1;
  char *at = locate(v, value, 0);
  int64_t before = 0;
  for (int i = 0; i < parts->n; i++) {
    part[i] = before < it->count ? at + (it->place == RH_AT_WIDE ? row * parts->count[i] * rb : 0) : NULL;
    at += parts->count[i] * rows * rb;
    before += parts->count[i];
  }
}

static void run_item(const view *v, int32_t value, int64_t row, int64_t rows, int64_t piece, int64_t pieces, int accumulate) {
  const rh_plan *p = v->plan;
  const rh_item *it = &p->item[value];
  const void **in = v->lane->in;
  for (int i = 0; i < it->node.arity; i++) in[i] = rh_is_none(it->node.in[i]) ? NULL : locate(v, it->node.in[i].at, row);
  for (int i = 0; it->packed && i < it->node.arity; i++)
    v->lane->packed_in[i] = it->packed[i] < 0 ? NULL : v->work->packed + p->packed[it->packed[i]].offset * p->k->real_bytes;
  rh_run_args args = {
      .k = p->k,
      .node = &it->node,
      .rows = rows,
      .in = in,
      .in_row = it->in_row,
      .in_node = it->in_node,
      .out = it->op->parts ? NULL : locate(v, value, row),
      .scratch = it->scratch < 0 ? NULL : v->lane->local + it->scratch * p->block_rows * p->k->real_bytes,
      .packed = v->lane->packed_in,
      .task = piece,
      .tasks = pieces,
      .accumulate = accumulate,
      .epilogue = it->epilogue,
      .values = v->io->values,
      .made = it->made,
      .work = it->body < 0 ? NULL : v->lane->body[it->body].work,
  };
  if (it->op->parts) locate_parts(v, value, row, args.part);
  it->op->run(&args);
}

static void pack(const view *v, int64_t which, int64_t piece) {
  const rh_plan *p = v->plan;
  const rh_packed *q = &p->packed[which];
  const rh_item *it = &p->item[q->reader];
  it->op->packing->pack(p->k, &it->node, &it->in_node[q->operand]->shape, q->operand, locate(v, q->matrix, 0),
                        v->work->packed + q->offset * p->k->real_bytes, piece, v->lane->pack_scratch);
}

static void run_params(const view *v, const int32_t *list, int64_t n) {
  for (int64_t i = 0; i < n; i++) {
    const rh_item *it = &v->plan->item[list[i]];
    for (int o = 0; it->packed && o < it->node.arity; o++)
      for (int64_t piece = 0; it->packed[o] >= 0 && piece < v->plan->packed[it->packed[o]].pieces; piece++) pack(v, it->packed[o], piece);
    run_item(v, list[i], 0, 1, 0, 1, 0);
  }
}

static void run_block(const view *v, const rh_segment *s, int64_t row, int64_t rows) {
  const rh_plan *p = v->plan;
  for (int64_t i = s->first; i < s->last; i++) {
    const int32_t value = p->row_order[i];
    const rh_item *it = &p->item[value];
    if (it->node.op == RH_OP_input) {
      v->io->load(v->io->arg, (int)*(const int64_t *)it->node.attr, v->first + row, rows, locate(v, value, row));
    } else {
      run_item(v, value, row, rows, 0, 1, 0);
    }
  }
  for (int i = 0; i < p->n_row_out; i++) {
    const rh_item *it = &p->item[p->row_out[i]];
    if (p->item[it->root].segment != (int32_t)(s - p->segment) || !v->io->row_out || !v->io->row_out[i]) continue;
    const size_t bytes = (size_t)(it->count * p->k->real_bytes);
    memcpy((char *)v->io->row_out[i] + (size_t)(v->first + row) * bytes, locate(v, p->row_out[i], row), (size_t)rows * bytes);
  }
}

static void run_super(view *v, rh_pool *pool) {
  const rh_plan *p = v->plan;
  const int64_t blocks = (v->rows + p->block_rows - 1) / p->block_rows;
  for (int64_t s = 0; s < p->segments; s++) {
    const rh_segment *segment = &p->segment[s];
    int64_t b;
    while ((b = rh_pool_next(pool)) < blocks) {
      const int64_t row = b * p->block_rows;
      run_block(v, segment, row, v->rows - row < p->block_rows ? v->rows - row : p->block_rows);
    }
    rh_pool_barrier(pool);
    const rh_segment *next = s + 1 < p->segments ? segment + 1 : v->first + v->rows < v->io->rows ? p->segment : NULL;
    const int64_t sums = segment->last_task - segment->first_task, packs = next ? next->last_pack - next->first_pack : 0;
    int64_t t;
    while (sums + packs > 0 && (t = rh_pool_next(pool)) < sums + packs) {
      const rh_task task = t < sums ? p->task[segment->first_task + t] : p->pack_task[next->first_pack + t - sums];
      if (t < sums)
        run_item(v, task.item, 0, v->rows, task.piece, 0, v->first > 0 || v->io->more);
      else
        pack(v, task.item, task.piece);
    }
    if (sums + packs > 0) rh_pool_barrier(pool);
  }
}

static void finish(const view *v) {
  const rh_plan *p = v->plan;
  run_params(v, p->after, p->n_after);
  for (int i = 0; i < p->n_param_out; i++)
    if (p->copy_out[i] >= 0)
      memcpy(v->io->param_out[i], locate(v, p->copy_out[i], 0), (size_t)(p->item[p->copy_out[i]].count * p->k->real_bytes));
}

bool rh_plan_sums(const rh_plan *p) {
  bool sums = p->n_after == 0;
  for (int i = 0; i < p->n_param_out; i++) sums = sums && p->copy_out[i] < 0 && p->item[p->item[p->param_out[i]].root].op->reduces;
  return sums;
}

static void clear_sums(const view *v) {
  for (int64_t i = 0; i < v->plan->tasks; i++) {
    const int32_t item = v->plan->task[i].item;
    memset(locate(v, item, 0), 0, (size_t)(v->plan->item[item].count * v->plan->k->real_bytes));
  }
}

void rh_run_inside(const rh_plan *plan, rh_work *work, rh_pool *pool, int thread, const rh_run_io *io) {
  view v = {.plan = plan, .work = work, .io = io, .lane = &work->lane[thread]};
  v.base[RH_AT_LOCAL] = v.lane->local;
  v.base[RH_AT_WIDE] = work->wide;
  v.base[RH_AT_PARAM] = io->values ? io->values->flat[RH_PARAM] : NULL;
  v.base[RH_AT_STATE] = io->values ? io->values->flat[RH_STATE] : NULL;
  v.base[RH_AT_CONST] = plan->constants;
  v.base[RH_AT_SHARED] = work->shared;
  if (thread == 0) {
    if (!io->ready) run_params(&v, plan->before, plan->n_before);
    if (io->rows == 0) clear_sums(&v);
  }
  rh_pool_barrier(pool);
  int64_t t;
  while ((!io->ready || plan->packs_in_turn) && (t = rh_pool_next(pool)) < plan->first_packs)
    pack(&v, plan->pack_task[t].item, plan->pack_task[t].piece);
  rh_pool_barrier(pool);
  const int64_t step = plan->super_rows ? plan->super_rows : io->rows;
  for (v.first = 0; v.first < io->rows; v.first += step) {
    v.rows = io->rows - v.first < step ? io->rows - v.first : step;
    run_super(&v, pool);
  }
  v.first = 0;
  if (thread == 0) finish(&v);
  rh_pool_barrier(pool);
}

struct call {
  const rh_plan *plan;
  rh_work *work;
  rh_pool *pool;
  const rh_run_io *io;
};

static void call_inside(void *raw, int thread) {
  const struct call *c = raw;
  rh_run_inside(c->plan, c->work, c->pool, thread, c->io);
}

void rh_run(const rh_plan *plan, rh_work *work, rh_pool *pool, const rh_run_io *io) {
  struct call c = {plan, work, pool, io};
  rh_pool_run(pool, call_inside, &c);
}

void rh_load_dense(void *arg, int input, int64_t first, int64_t rows, void *dst) {
  const rh_dense_input *in = (const rh_dense_input *)arg + input;
  memcpy(dst, (const char *)in->data + first * in->bytes, (size_t)(rows * in->bytes));
}
