/* ode_replay: the derivative of an ode by its own steps, taken back one by one (numeric/replay.h): exact for what was computed, where the
 * continuous adjoint is exact for the solution it approximates. A row's cotangents are one node, sums over rows of the parameters' another.
 */
#include <string.h>

#include "graph/ode_node.h"
#include "numeric/replay.h"

enum { SLOTS = 64, FRONT = 3 }; /* states kept a level of checkpoints; operands before the captures */

/* ---- derivation ---- */

/* One stage: y, t, captures and the cotangent of f -> those of y and, for rows, of the captures; for sums, of the parameters. NULL also if
 * there are no parameters to sum for. */
static rh_body *pull_body(rh_graph *g, const rh_ode_attr *f, bool sum) {
  const int m = f->captures;
  const rh_graph *fg = &f->field->g;
  rh_body *body = rh_body_open(g);
  rh_val *all = rh_body_room(g, 2 + m), *wrt = rh_body_room(g, 1 + m), *grads = rh_body_room(g, 1 + m), dy;
  if (!body || !all || !wrt || !grads) return NULL;
  rh_graph *b = &body->g;
  for (int i = 0; i < 2 + m; i++) all[i] = rh_input(b, rh_at(fg, fg->input[i])->shape);
  const rh_val ct = rh_reshape(b, rh_input(b, rh_shape1(f->n)), rh_at(fg, f->field->out[0])->shape);
  rh_body_inline(b, f->field, all, &dy);
  wrt[0] = all[0];
  for (int i = 0; i < m; i++) wrt[1 + i] = all[2 + i]; /* the time has none */
  if (sum) return rh_body_close_gradients(g, body, 1, wrt, 1, &dy, &ct) ? body : NULL;
  const rh_status status = b->status == RH_OK ? rh_vjp(b, 1, &dy, &ct, 1 + m, wrt, grads, RH_KEEP) : b->status;
  if (b->status == RH_OK) b->status = status;
  for (int i = 0; i < 1 + m && b->status == RH_OK; i++)
    if (rh_is_none(grads[i])) grads[i] = rh_fill(b, rh_at(b, wrt[i])->shape, 0);
  return rh_body_close(g, body, 1 + m, grads, true) ? body : NULL;
}

void rh_ode_take_back(rh_graph *g, rh_val node, rh_val ct, rh_val *out) {
  const rh_node y1 = *rh_at(g, node);
  const rh_ode_attr *f = y1.attr;
  const int m = f->captures;
  rh_val *in = rh_body_room(g, FRONT + m);

  if (!in) return;
  in[0] = y1.in[0];
  in[1] = rh_tuple_at(g, ct, 0);
  in[2] = rh_part_of(g, node, 1);
  if (rh_is_none(in[1])) return;
  int64_t numbers = f->n;
  for (int i = 0; i < m; i++) in[FRONT + i] = y1.in[1 + i], numbers += f->width[i];
  rh_ode_attr head = *f;
  head.parts = (rh_parts){0};
  head.other = pull_body(g, f, false);
  if (!head.other) return;
  const rh_val all = rh_ode_emit(g, RH_OP_ode_replay, &head, rh_ode_in_norm(f), f->field, FRONT, in, rh_shape1(numbers));
  int64_t first = 0;
  for (int i = 0; i < 1 + m && g->status == RH_OK; i++) {
    const int64_t count = i ? f->width[i - 1] : f->n;
    out[i] = rh_reshape(g, rh_slice(g, all, first, count), rh_at(g, y1.in[i])->shape);
    first += count;
  }
  if (!f->field->n_leaf || g->status != RH_OK) return;
  head.other = pull_body(g, f, true);
  if (!head.other) return;
  head.total = rh_body_total(head.other);
  const rh_val sum = rh_ode_emit(g, RH_OP_ode_replay_sum, &head, rh_ode_in_norm(f), f->field, FRONT, in,
                                 rh_shape2(rh_body_pieces(head.other), head.total));
  rh_body_hand_out(g, sum, head.other, f->field, out + 1 + m);
}

/* ---- running ---- */

typedef struct work {
  rh_ode_bodies bodies; /* first */
  rh_replay *replay;
  rh_ode_problem forward;
} work;

static int64_t slots(const rh_ode_made *m) {
  return m->options.gradient == RH_ODE_STORE ? 0 : SLOTS;
}

static int64_t bytes(const void *raw) {
  const rh_ode_made *m = raw;
  return rh_ode_bytes(m) + rh_replay_bytes(m->attr->n, m->rows, m->real_bytes, &m->options, slots(m));
}

static void close_work(void *raw) {
  work *w = raw;
  rh_ode_close(&w->bodies);
  rh_replay_destroy(w->replay);
  rh_free(w);
}

static rh_status open_work(const void *raw, void **out) {
  const rh_ode_made *m = raw;
  work *w = rh_alloc_zero(1, sizeof *w);
  if (!w) return RH_E_MEMORY;
  rh_status status = rh_ode_open(m, &w->bodies);
  if (status == RH_OK) status = rh_replay_create(m->attr->n, m->rows, m->real_bytes, &m->options, slots(m), &w->replay);
  if (status != RH_OK) {
    close_work(w);
    return status;
  }
  *out = w;
  return RH_OK;
}

static void report(void *raw, rh_ode_report *sum) {
  rh_ode_add_report(&((work *)raw)->bodies, sum);
}

/* The captures' cotangents of a stage are added to those of its row, which lie behind the state's in the result. */
static void add_captures(const rh_ode_bodies *b, int64_t rows, const int64_t *row) {
  const rh_run_args *args = b->args;
  const rh_ode_attr *a = args->node->attr;
  const int64_t width = args->node->shape.dim[0];
  int64_t at = a->n;
  for (int c = 0; c < a->captures; at += a->width[c++])
    for (int64_t i = 0; i < rows; i++) {
      const int64_t n = a->width[c], rb = args->k->real_bytes;
      char *to = (char *)args->out + ((b->base + row[i]) * width + at) * rb;
      args->k->binary[RH_B_ADD](1, n, to, n, 1, (const char *)b->row_out[1 + c] + i * n * rb, n, 1, to, 0);
    }
}

static void pull(void *raw, int64_t rows, const int64_t *row, const double *t, const void *y, const void *ct, void *back) {
  work *w = raw;
  w->bodies.row_out[0] = back;
  rh_ode_run_other(&w->bodies, rows, row, t, y, ct, NULL);
  if (!((const rh_ode_made *)w->bodies.args->made)->sum) add_captures(&w->bodies, rows, row);
}

/* Rows [base, base + rows): the cotangents of their states at t0 into bodies.end. */
static void take_back(void *raw, int64_t base, int64_t rows) {
  work *w = raw;
  const rh_run_args *args = w->bodies.args;
  const rh_ode_made *m = args->made;
  const int64_t skip = base * m->attr->n * args->k->real_bytes;
  const rh_tape tape =
      rh_ode_tape_of(args, (const char *)args->in[2] + base * rh_tape_numbers(m->options.method, m->attr->n) * args->k->real_bytes);
  const rh_replay_problem p = {&w->forward, pull};
  rh_replay_run(&p, &m->options, w->replay, rows, (const char *)args->in[0] + skip, (const char *)args->in[1] + skip, w->bodies.end, &tape,
                &w->bodies.report);
}

static void run_rows(const rh_run_args *args) {
  work *w = args->work;
  const rh_ode_attr *a = args->node->attr;
  const int64_t width = args->node->shape.dim[0] * args->k->real_bytes, own = a->n * args->k->real_bytes;
  w->forward = rh_ode_begin(&w->bodies, args, FRONT);
  memset(args->out, 0, (size_t)(args->rows * width));
  take_back(w, 0, args->rows);
  for (int64_t r = 0; r < args->rows; r++) memcpy((char *)args->out + r * width, w->bodies.end + r * own, (size_t)own);
}

static void run_sum(const rh_run_args *args) {
  work *w = args->work;
  w->forward = rh_ode_begin(&w->bodies, args, FRONT);
  rh_ode_run_sum(&w->bodies, args, take_back);
}

static int64_t flops(const rh_graph *g, const rh_node *node) {
  (void)g;
  const rh_ode_attr *a = node->attr;
  return rh_ode_evaluations(a) * (2 * rh_body_flops(a->field) + rh_body_flops(a->other));
}

static bool derives(const void *raw) {
  (void)raw;
  return true;
}

static const rh_op_bodies bodies = {rh_ode_make, rh_ode_unmake, bytes, open_work, close_work, report, derives};
const rh_op rh_op_ode_replay = {.name = "ode_replay", .order = 0, .run = run_rows, .flops = flops, .solves = true, .bodies = &bodies};
const rh_op rh_op_ode_replay_sum = {.name = "ode_replay_sum",
                                    .order = 0,
                                    .reduces = true,
                                    .run = run_sum,
                                    .flops = flops,
                                    .tasks = rh_ode_sum_tasks,
                                    .solves = true,
                                    .bodies = &bodies};
