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

typedef struct made {
  rh_plan *field, *pull;
  const rh_ode_attr *attr;           /* the plan's copy */
  int64_t rows, *count, slots, room; /* count: of each gradient, sums only; room: numbers of the row results of pull, a row */
  int n_count, n_row, real_bytes;
  bool sum, strict;
  rh_ode_options options;
} made;

typedef struct work {
  rh_runner field, pull;
  rh_replay *replay;
  rh_gradients grads;
  char *end, *backs; /* [rows, n]; [rows, room]: what a pull gives, the first in the solver's place */
  void **row_out;    /* [n_row] */
  rh_ode_report report;
  /* of the running call */
  rh_ode_call call;
  bool field_ready, pull_ready, first;
} work;

static void unmake(void *raw) {
  made *m = raw;
  rh_plan_destroy(m->field);
  rh_plan_destroy(m->pull);
  rh_free(m->count);
  rh_free(m);
}

static rh_status make(const rh_node *node, const rh_plan_options *options, int64_t rows, void **out) {
  const rh_ode_attr *a = node->attr;
  made *m = rh_alloc_zero(1, sizeof *m);
  if (!m) return RH_E_MEMORY;
  *m = (made){.attr = a,
              .sum = node->op == RH_OP_ode_replay_sum,
              .slots = a->options.gradient == RH_ODE_STORE ? 0 : SLOTS,
              .n_row = a->other->n_row,
              .n_count = a->other->n_out - a->other->n_row,
              .real_bytes = options->real_bytes,
              .strict = options->strict,
              .options = rh_ode_options_of(a, options)};
  m->rows = m->sum ? RH_ODE_SUM_ROWS : rows;
  for (int i = 1; i < m->n_row; i++) m->room += a->width[i - 1];
  rh_status status = rh_body_plan(a->field, options, &m->field);
  if (status == RH_OK) status = rh_body_plan(a->other, options, &m->pull);
  m->count = rh_gradients_count(a->other);
  if (status == RH_OK && !m->count) status = RH_E_MEMORY;
  if (status != RH_OK) {
    unmake(m);
    return status;
  }
  *out = m;
  return RH_OK;
}

static int64_t bytes(const void *raw) {
  const made *m = raw;
  return rh_runner_bytes(m->field) + rh_runner_bytes(m->pull) + rh_replay_bytes(m->attr->n, m->rows, m->real_bytes, &m->options, m->slots) +
         ((m->room + m->attr->n) * m->rows + (m->sum ? m->attr->total : 0)) * m->real_bytes;
}

static void close_work(void *raw) {
  work *w = raw;
  rh_runner_close(&w->field);
  rh_runner_close(&w->pull);
  rh_replay_destroy(w->replay);
  rh_gradients_close(&w->grads);
  rh_free(w->end);
  rh_free(w->backs);
  rh_free(w->row_out);
  rh_free(w);
}

static rh_status open_work(const void *raw, void **out) {
  const made *m = raw;
  work *w = rh_alloc_zero(1, sizeof *w);
  if (!w) return RH_E_MEMORY;
  w->end = rh_alloc((size_t)(m->attr->n * m->rows * m->real_bytes));
  w->backs = rh_alloc((size_t)(m->room * m->rows * m->real_bytes) + 1);
  w->row_out = rh_alloc_zero((size_t)m->n_row, sizeof *w->row_out);
  rh_status status = w->end && w->backs && w->row_out ? RH_OK : RH_E_MEMORY;
  if (status == RH_OK) status = rh_runner_open(m->field, &w->field);
  if (status == RH_OK) status = rh_runner_open(m->pull, &w->pull);
  if (status == RH_OK) status = rh_replay_create(m->attr->n, m->rows, m->real_bytes, &m->options, m->slots, &w->replay);
  if (status == RH_OK && m->sum) status = rh_gradients_open(m->count, m->n_count, m->real_bytes, &w->grads);
  if (status != RH_OK) {
    close_work(w);
    return status;
  }
  char *at = w->backs;
  for (int i = 1; i < m->n_row; at += m->attr->width[i - 1] * m->rows * m->real_bytes, i++) w->row_out[i] = at;
  *out = w;
  return RH_OK;
}

static void report(void *raw, rh_ode_report *sum) {
  work *w = raw;
  rh_ode_report_add(sum, &w->report);
  w->report = (rh_ode_report){0};
  rh_runner_report(&w->field, sum);
  rh_runner_report(&w->pull, sum);
}

static rh_run_io io_of(work *w, int64_t rows, void *const *row_out, bool ready) {
  return (rh_run_io){
      .values = w->call.args->values, .rows = rows, .load = rh_ode_load, .arg = &w->call, .row_out = row_out, .ready = ready};
}

static void field(void *raw, int64_t rows, const int64_t *row, const double *t, const void *y, void *dy) {
  work *w = raw;
  w->call.row = row, w->call.t = t, w->call.y = y;
  const rh_run_io io = io_of(w, rows, &dy, w->field_ready);
  rh_runner_run(&w->field, &io);
  w->field_ready = true;
}

/* The captures' cotangents of a stage are added to those of its row, which lie behind the state's in the result. */
static void add_captures(const work *w, int64_t rows, const int64_t *row) {
  const rh_run_args *args = w->call.args;
  const rh_ode_attr *a = args->node->attr;
  const int64_t width = args->node->shape.dim[0];
  int64_t at = a->n;
  for (int c = 0; c < a->captures; at += a->width[c++])
    for (int64_t i = 0; i < rows; i++) {
      const int64_t n = a->width[c], rb = args->k->real_bytes;
      char *to = (char *)args->out + ((w->call.base + row[i]) * width + at) * rb;
      args->k->binary[RH_B_ADD](1, n, to, n, 1, (const char *)w->row_out[1 + c] + i * n * rb, n, 1, to, 0);
    }
}

static void pull(void *raw, int64_t rows, const int64_t *row, const double *t, const void *y, const void *ct, void *back) {
  work *w = raw;
  const rh_run_args *args = w->call.args;
  const rh_ode_attr *a = args->node->attr;
  const bool sum = ((const made *)args->made)->sum;
  w->call.row = row, w->call.t = t, w->call.y = y, w->call.ct = ct;
  w->row_out[0] = back;
  const rh_run_io io = io_of(w, rows, w->row_out, w->pull_ready);
  w->pull_ready = true;
  if (!sum) {
    rh_runner_run(&w->pull, &io);
    add_captures(w, rows, row);
    return;
  }
  rh_gradients_run(&w->grads, &w->pull, io, args->k, (char *)args->out + args->task * a->total * args->k->real_bytes, w->first);
  w->first = false;
}

/* Rows [base, base + rows): the cotangents of their states at t0 into w->end. */
static void take_back(work *w, const rh_run_args *args, int64_t base, int64_t rows) {
  const made *m = args->made;
  const int64_t skip = base * m->attr->n * args->k->real_bytes;
  const rh_tape tape =
      rh_ode_tape_of(args, (const char *)args->in[2] + base * rh_tape_numbers(m->options.method, m->attr->n) * args->k->real_bytes);
  rh_ode_problem forward = rh_ode_problem_of(args->node->attr, m->strict);
  forward.field = field;
  forward.arg = w;
  const rh_replay_problem p = {&forward, pull};
  w->call.base = base;
  rh_replay_run(&p, &m->options, w->replay, rows, (const char *)args->in[0] + skip, (const char *)args->in[1] + skip, w->end, &tape,
                &w->report);
}

static work *begin(const rh_run_args *args) {
  work *w = args->work;
  w->call = (rh_ode_call){.args = args, .front = FRONT};
  w->field_ready = w->pull_ready = false;
  return w;
}

static void run_rows(const rh_run_args *args) {
  work *w = begin(args);
  const rh_ode_attr *a = args->node->attr;
  const int64_t width = args->node->shape.dim[0] * args->k->real_bytes, own = a->n * args->k->real_bytes;
  memset(args->out, 0, (size_t)(args->rows * width));
  take_back(w, args, 0, args->rows);
  for (int64_t r = 0; r < args->rows; r++) memcpy((char *)args->out + r * width, w->end + r * own, (size_t)own);
}

static void run_sum(const rh_run_args *args) {
  work *w = begin(args);
  const rh_ode_attr *a = args->node->attr;
  const int64_t pieces = args->node->shape.dim[0], last = args->rows * (args->task + 1) / pieces;
  w->first = !args->accumulate;
  for (int64_t base = args->rows * args->task / pieces; base < last; base += RH_ODE_SUM_ROWS)
    take_back(w, args, base, last - base < RH_ODE_SUM_ROWS ? last - base : RH_ODE_SUM_ROWS);
  if (w->first) memset((char *)args->out + args->task * a->total * args->k->real_bytes, 0, (size_t)(a->total * args->k->real_bytes));
}

static int64_t flops(const rh_graph *g, const rh_node *node) { /* of equal steps, or of ten */
  (void)g;
  const rh_ode_attr *a = node->attr;
  const int64_t stages = rh_ode_tableau_of(a->options.method)->stages, steps = a->options.steps ? a->options.steps : 10;
  return steps * stages * (2 * rh_body_flops(a->field) + rh_body_flops(a->other));
}

static bool derives(const void *raw) {
  (void)raw;
  return true;
}

static const rh_op_bodies bodies = {make, unmake, bytes, open_work, close_work, report, derives};
const rh_op rh_op_ode_replay = {.name = "ode_replay", .order = 0, .run = run_rows, .flops = flops, .solves = true, .bodies = &bodies};
const rh_op rh_op_ode_replay_sum = {.name = "ode_replay_sum",
                                    .order = 0,
                                    .reduces = true,
                                    .run = run_sum,
                                    .flops = flops,
                                    .tasks = rh_ode_sum_tasks,
                                    .solves = true,
                                    .bodies = &bodies};
