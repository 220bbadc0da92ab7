#include "graph/body.h"

#include <string.h>

rh_body *rh_body_open(rh_graph *owner) {
  if (owner->status != RH_OK) return NULL;
  rh_body *body = rh_arena_alloc(&owner->arena, sizeof *body);
  if (!body || rh_graph_init(&body->g, owner->leaves) != RH_OK) {
    owner->status = RH_E_MEMORY;
    return NULL;
  }
  body->next = owner->bodies;
  return owner->bodies = body;
}

void rh_bodies_free(rh_body *list) {
  for (; list; list = list->next) rh_graph_free(&list->g); /* the list itself lies in its owner's arena */
}

rh_val rh_as_row(rh_graph *g, rh_val v) {
  if (rh_is_none(v) || g->status != RH_OK || rh_is_row(g, v)) return v;
  return rh_mul(g, rh_fill(g, rh_at(g, v)->shape, 1), v);
}

rh_val *rh_body_room(rh_graph *g, int n) {
  rh_val *v = g->status == RH_OK ? rh_arena_alloc(&g->arena, ((size_t)n + 1) * sizeof *v) : NULL;
  for (int i = 0; v && i <= n; i++) v[i] = RH_NONE;
  if (!v && g->status == RH_OK) g->status = RH_E_MEMORY;
  return v;
}

/* live[v]: a result depends on v. The caller frees it. */
static bool *live_nodes(const rh_body *body) {
  const rh_graph *g = &body->g;
  bool *live = rh_alloc_zero((size_t)g->n + 1, sizeof *live);
  if (!live) return NULL;
  for (int i = 0; i < body->n_out; i++) live[body->out[i].at] = true;
  for (int64_t v = g->n - 1; v >= 0; v--)
    for (int i = 0; i < g->node[v]->arity && live[v]; i++)
      if (!rh_is_none(g->node[v]->in[i])) live[g->node[v]->in[i].at] = true;
  return live;
}

/* The first `rows` results are made one per row. */
static bool close_with(rh_graph *owner, rh_body *body, int n, const rh_val *results, int rows) {
  if (owner->status != RH_OK) return false;
  rh_graph *b = &body->g;
  rh_val *out = rh_arena_alloc(&b->arena, ((size_t)n + 1) * sizeof *out);
  int *leaf = rh_arena_alloc(&b->arena, ((size_t)(b->leaves ? b->leaves->n : 0) + 1) * sizeof *leaf);
  if (!out || !leaf) {
    owner->status = RH_E_MEMORY;
    return false;
  }
  for (int i = 0; i < n && b->status == RH_OK; i++) {
    if (rh_is_none(results[i]) || results[i].at >= b->n) rh_graph_fail(b, RH_E_ARGUMENT, "a body without its result %d", i);
    out[i] = i < rows ? rh_as_row(b, results[i]) : results[i];
  }
  if (b->status != RH_OK) {
    owner->status = b->status;
    return false;
  }
  body->n_out = n;
  body->n_row = rows;
  body->out = out;
  bool *live = live_nodes(body);
  if (!live) {
    owner->status = RH_E_MEMORY;
    return false;
  }
  for (int64_t l = 0; b->leaves && l < b->leaves->n; l++) {
    const rh_val v = b->leaf_node[l];
    if (!rh_is_none(v) && live[v.at] && b->leaves->leaf[l].klass == RH_PARAM) leaf[body->n_leaf++] = (int)l;
  }
  body->leaf = leaf;
  rh_free(live);
  return true;
}

bool rh_body_close(rh_graph *owner, rh_body *body, int n, const rh_val *results, bool rows) {
  return close_with(owner, body, n, results, rows ? n : 0);
}

static rh_val twin_of(rh_graph *b, const rh_node *node, const rh_val *twin, const rh_val *in, rh_val *operand) {
  if (node->op == RH_OP_input) return in[*(const int64_t *)node->attr];
  if (node->op == RH_OP_leaf) return rh_leaf_val(b, *(const int *)node->attr);
  for (int i = 0; i < node->arity; i++) operand[i] = rh_is_none(node->in[i]) ? RH_NONE : twin[node->in[i].at];
  return rh_emit(b, (rh_op_id)node->op, node->arity, operand, node->shape, node->attr, node->attr_bytes);
}

void rh_body_inline(rh_graph *b, const rh_body *body, const rh_val *in, rh_val *out) {
  for (int i = 0; i < body->n_out; i++) out[i] = RH_NONE;
  if (b->status != RH_OK) return;
  const rh_graph *g = &body->g;
  int arity = 0;
  for (int64_t v = 0; v < g->n; v++) arity = g->node[v]->arity > arity ? g->node[v]->arity : arity;
  bool *live = live_nodes(body);
  rh_val *twin = rh_alloc(((size_t)g->n + (size_t)arity + 1) * sizeof *twin);
  if (live && twin) {
    for (int64_t v = 0; v < g->n && b->status == RH_OK; v++) twin[v] = live[v] ? twin_of(b, g->node[v], twin, in, twin + g->n) : RH_NONE;
    for (int i = 0; i < body->n_out && b->status == RH_OK; i++) out[i] = twin[body->out[i].at];
  } else {
    b->status = RH_E_MEMORY;
  }
  rh_free(live);
  rh_free(twin);
}

rh_val rh_body_emit(rh_graph *g, rh_op_id op, const rh_body *reads, int n, const rh_val *in, rh_shape shape, const void *attr,
                    size_t attr_bytes) {
  if (g->status != RH_OK) return RH_NONE;
  rh_val *operand = rh_alloc((size_t)(n + reads->n_leaf + 1) * sizeof *operand);
  if (!operand) {
    g->status = RH_E_MEMORY;
    return RH_NONE;
  }
  for (int i = 0; i < n; i++) operand[i] = rh_as_row(g, in[i]);
  for (int i = 0; i < reads->n_leaf; i++) operand[n + i] = rh_leaf_val(g, reads->leaf[i]);
  const rh_val v = rh_emit(g, op, n + reads->n_leaf, operand, shape, attr, attr_bytes);
  rh_free(operand);
  return v;
}

int64_t rh_body_flops(const rh_body *body) {
  int64_t sum = 0;
  for (int64_t v = 0; v < body->g.n; v++) {
    const rh_node *node = body->g.node[v];
    const rh_op *op = rh_op_of(node);
    if (!op->run || (node->stage != RH_EACH_ROW && node->stage != RH_REDUCE)) continue;
    sum += op->flops ? op->flops(&body->g, node) : rh_shape_count(&node->shape);
  }
  return sum;
}

/* ---- parameter gradients ---- */

/* Values of parameters alone that rows read on the way to `out`: a gradient in these is a sum over rows; the rest of the way to the
 * parameters is the same for all rows, so the sum goes it once, outside. */
static int read_by_rows(const rh_graph *g, int n, const rh_val *out, bool *live, rh_val *by) {
  int found = 0;
  for (int i = 0; i < n; i++) live[out[i].at] = true;
  for (int64_t v = g->n - 1; v >= 0; v--) {
    const rh_node *node = g->node[v];
    for (int i = 0; i < node->arity && live[v] && node->klass == RH_ROW; i++) {
      if (rh_is_none(node->in[i])) continue;
      const int32_t at = node->in[i].at;
      if (!live[at] && g->node[at]->klass == RH_PARAM) by[found++] = node->in[i];
      live[at] = true;
    }
  }
  return found;
}

int rh_body_close_gradients(rh_graph *owner, rh_body *body, int n_row, const rh_val *row, int n, const rh_val *out, const rh_val *ct) {
  if (owner->status != RH_OK) return 0;
  rh_graph *b = &body->g;
  const int64_t nodes = b->n;
  bool *live = rh_arena_alloc(&b->arena, (size_t)nodes + 1);
  rh_val *wrt = rh_arena_alloc(&b->arena, ((size_t)nodes + (size_t)n_row + 1) * sizeof *wrt), *by = wrt ? wrt + n_row : NULL;
  const int m = b->status == RH_OK && live && wrt ? read_by_rows(b, n, out, live, by) : 0;
  rh_val *all = rh_body_room(b, n_row + m);
  if (!live || !wrt || !all) {
    owner->status = b->status != RH_OK ? b->status : RH_E_MEMORY;
    return 0;
  }
  for (int i = 0; i < n_row; i++) wrt[i] = row[i];
  const rh_status status = rh_vjp_holding(b, n, out, ct, n_row + m, wrt, all, RH_KEEP, m, by);
  if (status != RH_OK) {
    owner->status = status;
    return 0;
  }
  for (int i = 0; i < n_row; i++)
    if (rh_is_none(all[i])) all[i] = rh_fill(b, rh_at(b, row[i])->shape, 0);
  int kept = 0;
  for (int i = 0; i < m; i++) {
    if (rh_is_none(all[n_row + i])) continue;
    by[kept] = by[i];
    all[n_row + kept++] = all[n_row + i];
  }
  body->by = by;
  return kept && close_with(owner, body, n_row + kept, all, n_row) ? kept : 0;
}

int64_t rh_body_total(const rh_body *gradients) {
  int64_t total = 0;
  for (int i = gradients->n_row; i < gradients->n_out; i++) total += rh_count(&gradients->g, gradients->out[i]);
  return total;
}

/* Enough pieces for the threads there may be, while their room stays small. */
int64_t rh_body_pieces(const rh_body *gradients) {
  const int64_t fit = ((int64_t)1 << 20) / rh_body_total(gradients);
  return fit < 1 ? 1 : fit > 8 ? 8 : fit;
}

/* The body's nodes of parameters alone once more in g, up to the last of `by`: out[i] = by[i]'s twin. */
static void inline_params(rh_graph *g, const rh_body *body, int n, const rh_val *by, rh_val *out) {
  const rh_graph *b = &body->g;
  int arity = 0;
  for (int64_t v = 0; v < b->n; v++) arity = b->node[v]->arity > arity ? b->node[v]->arity : arity;
  bool *live = rh_alloc_zero((size_t)b->n + 1, sizeof *live);
  rh_val *twin = rh_alloc(((size_t)b->n + (size_t)arity + 1) * sizeof *twin);
  if (!live || !twin) g->status = RH_E_MEMORY;
  for (int i = 0; i < n && live && twin; i++) live[by[i].at] = true;
  for (int64_t v = b->n - 1; v >= 0 && live && twin; v--)
    for (int i = 0; i < b->node[v]->arity && live[v]; i++)
      if (!rh_is_none(b->node[v]->in[i])) live[b->node[v]->in[i].at] = true;
  for (int64_t v = 0; v < b->n && g->status == RH_OK; v++) twin[v] = live[v] ? twin_of(g, b->node[v], twin, NULL, twin + b->n) : RH_NONE;
  for (int i = 0; i < n && g->status == RH_OK; i++) out[i] = twin[by[i].at];
  rh_free(live);
  rh_free(twin);
}

void rh_body_hand_out(rh_graph *g, rh_val sum, const rh_body *gradients, const rh_body *of, rh_val *grads) {
  const int n = gradients->n_out - gradients->n_row, m = of->n_leaf;
  rh_val *by = rh_body_room(g, n), *ct = rh_body_room(g, n), *leaf = rh_body_room(g, m);
  if (!by || !ct || !leaf) return;
  const int64_t pieces = rh_at(g, sum)->shape.dim[0];
  const rh_val all = pieces == 1 ? sum : rh_matmul(g, rh_const(g, rh_shape2(pieces, 1), 1), sum, true, false);
  inline_params(g, gradients, n, gradients->by, by);
  int64_t first = 0;
  for (int i = 0; i < n && g->status == RH_OK; i++) {
    const int64_t count = rh_count(g, by[i]);
    ct[i] = rh_reshape(g, rh_slice(g, all, first, count), rh_at(g, by[i])->shape);
    first += count;
  }
  for (int i = 0; i < m; i++) leaf[i] = rh_leaf_val(g, of->leaf[i]);
  if (g->status != RH_OK) return;
  const rh_status status = rh_vjp(g, n, by, ct, m, leaf, grads, RH_KEEP);
  if (g->status == RH_OK) g->status = status;
}

/* ---- running ---- */

rh_status rh_body_plan(const rh_body *body, const rh_plan_options *options, rh_plan **plan) {
  rh_plan_options mine = *options;
  mine.wide_bytes = (int64_t)4 << 20; /* each thread has one of its own */
  return rh_plan_create(&body->g, body->n_row, body->out, body->n_out - body->n_row, body->out + body->n_row, &mine, plan);
}

rh_status rh_runner_open(const rh_plan *plan, rh_runner *runner) {
  runner->plan = plan;
  RH_TRY(rh_pool_create(1, &runner->pool));
  return rh_work_create(plan, 1, &runner->work);
}

void rh_runner_close(rh_runner *runner) {
  rh_work_destroy(runner->work);
  rh_pool_destroy(runner->pool);
  *runner = (rh_runner){0};
}

void rh_runner_run(const rh_runner *runner, const rh_run_io *io) {
  rh_run(runner->plan, runner->work, runner->pool, io);
}

void rh_runner_report(const rh_runner *runner, rh_ode_report *sum) {
  if (runner->work) rh_work_count(runner->work, sum, sum);
}

int64_t rh_runner_bytes(const rh_plan *plan) {
  rh_plan_info info;
  rh_plan_describe(plan, &info);
  return info.work_bytes_thread + info.work_bytes_shared + info.packed_bytes + info.param_bytes;
}

int64_t *rh_gradients_count(const rh_body *gradients) {
  const int n = gradients->n_out - gradients->n_row;
  int64_t *count = rh_alloc(((size_t)n + 1) * sizeof *count);
  for (int i = 0; i < n && count; i++) count[i] = rh_count(&gradients->g, gradients->out[gradients->n_row + i]);
  return count;
}

rh_status rh_gradients_open(const int64_t *count, int64_t n, int real_bytes, rh_gradients *room) {
  room->n = n;
  for (int64_t i = 0; i < n; i++) room->total += count[i];
  room->flat = rh_alloc_zero((size_t)room->total + 1, (size_t)real_bytes);
  room->out = rh_alloc_zero(2 * (size_t)n + 1, sizeof *room->out);
  if (!room->flat || !room->out) return RH_E_MEMORY;
  room->into = room->out + n;
  int64_t first = 0;
  for (int64_t i = 0; i < n; first += count[i], i++) room->out[i] = room->flat + first * real_bytes;
  return RH_OK;
}

void rh_gradients_close(rh_gradients *room) {
  rh_free(room->flat);
  rh_free(room->out);
  *room = (rh_gradients){0};
}

void rh_gradients_run(const rh_gradients *room, const rh_runner *runner, rh_run_io io, const rh_kernels *k, void *out, bool first) {
  if (rh_plan_sums(runner->plan)) {
    for (int64_t i = 0; i < room->n; i++) room->into[i] = (char *)out + ((char *)room->out[i] - room->flat);
    io.param_out = room->into;
    io.more = !first;
    rh_runner_run(runner, &io);
    return;
  }
  io.param_out = room->out;
  rh_runner_run(runner, &io);
  if (first) {
    memcpy(out, room->flat, (size_t)(room->total * k->real_bytes));
  } else {
    k->binary[RH_B_ADD](1, room->total, out, room->total, 1, room->flat, room->total, 1, out, 0);
  }
}

bool rh_graph_solves(const rh_graph *g) {
  for (int64_t i = 0; i < g->n; i++)
    if (rh_op_of(g->node[i])->solves) return true;
  for (const rh_body *b = g->bodies; b; b = b->next)
    if (rh_graph_solves(&b->g)) return true;
  return false;
}
