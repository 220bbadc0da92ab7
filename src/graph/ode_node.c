/* A node with a differential equation's bodies: the field and, of sums and replays, another; planned together, run on rows that a solver
 * has close together. */
#include "graph/ode_node.h"

#include <string.h>

#include "base/memory.h"

/* ---- emitting ---- */

rh_val rh_ode_emit(rh_graph *g, rh_op_id op, const rh_ode_attr *head, const unsigned char *mask, const rh_body *reads, int front,
                   const rh_val *in, rh_shape shape) {
  if (g->status != RH_OK) return RH_NONE;
  const size_t bytes = sizeof *head + (size_t)head->captures * sizeof *head->width + (size_t)head->n;
  rh_ode_attr *a = rh_alloc(bytes);
  if (!a) {
    g->status = RH_E_MEMORY;
    return RH_NONE;
  }
  *a = *head;
  for (int i = 0; i < a->captures; i++) a->width[i] = rh_count(g, in[front + i]);
  unsigned char *to = (unsigned char *)(a->width + a->captures);
  if (mask) {
    memcpy(to, mask, (size_t)a->n);
  } else {
    memset(to, 1, (size_t)a->n);
  }
  const rh_val v = rh_body_emit(g, op, reads, front + a->captures, in, shape, a, bytes);
  rh_free(a);
  return v;
}

/* ---- planning ---- */

void rh_ode_unmake(void *raw) {
  rh_ode_made *m = raw;
  rh_plan_destroy(m->field);
  rh_plan_destroy(m->other);
  rh_free(m->count);
  rh_free(m);
}

static rh_status make_other(rh_ode_made *m, const rh_body *other, const rh_plan_options *options) {
  m->n_row = other->n_row;
  m->n_count = other->n_out - other->n_row;
  for (int i = 1; i < m->n_row; i++) m->room += m->attr->width[i - 1];
  RH_TRY(rh_body_plan(other, options, &m->other));
  m->count = rh_gradients_count(other);
  return m->count ? RH_OK : RH_E_MEMORY;
}

rh_status rh_ode_make(const rh_node *node, const rh_plan_options *options, int64_t rows, void **out) {
  const rh_ode_attr *a = node->attr;
  rh_ode_made *m = rh_alloc_zero(1, sizeof *m);
  if (!m) return RH_E_MEMORY;
  m->attr = a;
  m->sum = rh_op_of(node)->reduces;
  m->rows = m->sum ? RH_ODE_SUM_ROWS : rows;
  m->real_bytes = options->real_bytes;
  m->strict = options->strict;
  m->options = a->options;
  if (options->max_steps && options->max_steps < m->options.max_steps) m->options.max_steps = options->max_steps;
  rh_status status = rh_body_plan(a->field, options, &m->field);
  if (status == RH_OK && a->other) status = make_other(m, a->other, options);
  if (status != RH_OK) {
    rh_ode_unmake(m);
    return status;
  }
  *out = m;
  return RH_OK;
}

int64_t rh_ode_bytes(const rh_ode_made *m) {
  const int64_t fields = rh_runner_bytes(m->field);
  return m->other ? fields + rh_runner_bytes(m->other) + ((m->room + m->attr->n) * m->rows + (m->sum ? m->attr->total : 0)) * m->real_bytes
                  : fields;
}

/* ---- workspaces ---- */

void rh_ode_close(rh_ode_bodies *b) {
  rh_runner_close(&b->field);
  rh_runner_close(&b->other);
  rh_gradients_close(&b->grads);
  rh_free(b->end);
  rh_free(b->backs);
  rh_free(b->row_out);
}

static rh_status open_other(const rh_ode_made *m, rh_ode_bodies *b) {
  b->end = rh_alloc((size_t)(m->attr->n * m->rows * m->real_bytes));
  b->backs = rh_alloc((size_t)(m->room * m->rows * m->real_bytes) + 1);
  b->row_out = rh_alloc_zero((size_t)m->n_row + 1, sizeof *b->row_out);
  if (!b->end || !b->backs || !b->row_out) return RH_E_MEMORY;
  char *at = b->backs;
  for (int i = 1; i < m->n_row; at += m->attr->width[i - 1] * m->rows * m->real_bytes, i++) b->row_out[i] = at;
  RH_TRY(rh_runner_open(m->other, &b->other));
  return m->sum ? rh_gradients_open(m->count, m->n_count, m->real_bytes, &b->grads) : RH_OK;
}

rh_status rh_ode_open(const rh_ode_made *m, rh_ode_bodies *b) {
  RH_TRY(rh_runner_open(m->field, &b->field));
  return m->other ? open_other(m, b) : RH_OK;
}

void rh_ode_add_report(rh_ode_bodies *b, rh_ode_report *sum) {
  rh_ode_report_add(sum, &b->report);
  b->report = (rh_ode_report){0};
  rh_runner_report(&b->field, sum);
  rh_runner_report(&b->other, sum);
}

/* ---- running ---- */

static void put_reals(int real_bytes, int64_t n, const double *x, void *to) {
  for (int64_t i = 0; i < n; i++) {
    if (real_bytes == 4) {
      ((float *)to)[i] = (float)x[i];
    } else {
      ((double *)to)[i] = x[i];
    }
  }
}

/* Captures lie where the operand has them. */
static void load(void *raw, int input, int64_t first, int64_t rows, void *dst) {
  const rh_ode_bodies *b = raw;
  const rh_ode_attr *a = b->args->node->attr;
  const int rb = b->args->k->real_bytes;
  const bool more = input == 2 + a->captures;
  if (input == 0 || (more && b->ct)) {
    memcpy(dst, (const char *)(more ? b->ct : b->y) + first * a->n * rb, (size_t)(rows * a->n * rb));
  } else if (input == 1 || more) {
    put_reals(rb, rows, (more ? b->extra : b->t) + first, dst);
  } else {
    const int64_t bytes = a->width[input - 2] * rb;
    const char *from = b->args->in[b->front + input - 2];
    for (int64_t r = 0; r < rows; r++) memcpy((char *)dst + r * bytes, from + (b->base + b->row[first + r]) * bytes, (size_t)bytes);
  }
}

static rh_run_io io_of(rh_ode_bodies *b, int64_t rows, void *const *row_out, bool *ready) {
  const rh_run_io io = {.values = b->args->values, .rows = rows, .load = load, .arg = b, .row_out = row_out, .ready = *ready};
  *ready = true;
  return io;
}

static void run_field(void *raw, int64_t rows, const int64_t *row, const double *t, const void *y, void *dy) {
  rh_ode_bodies *b = raw;
  b->row = row, b->t = t, b->y = y;
  const rh_run_io io = io_of(b, rows, &dy, &b->field_ready);
  rh_runner_run(&b->field, &io);
}

static char *sum_of(const rh_run_args *args) {
  return (char *)args->out + args->task * ((const rh_ode_attr *)args->node->attr)->total * args->k->real_bytes;
}

void rh_ode_run_other(rh_ode_bodies *b, int64_t rows, const int64_t *row, const double *t, const void *y, const void *ct,
                      const double *extra) {
  b->row = row, b->t = t, b->y = y, b->ct = ct, b->extra = extra;
  const rh_run_io io = io_of(b, rows, b->row_out, &b->other_ready);
  if (!((const rh_ode_made *)b->args->made)->sum) {
    rh_runner_run(&b->other, &io);
    return;
  }
  rh_gradients_run(&b->grads, &b->other, io, b->args->k, sum_of(b->args), b->first);
  b->first = false;
}

rh_ode_problem rh_ode_begin(rh_ode_bodies *b, const rh_run_args *args, int front) {
  const rh_ode_made *m = args->made;
  const rh_ode_attr *a = args->node->attr;
  b->args = args;
  b->front = front;
  b->base = 0;
  b->field_ready = b->other_ready = false;
  b->first = !args->accumulate;
  return (rh_ode_problem){
      .n = a->n, .t0 = a->t0, .t1 = a->t1, .in_norm = rh_ode_in_norm(a), .strict = m->strict, .field = run_field, .arg = b};
}

void rh_ode_run_sum(rh_ode_bodies *b, const rh_run_args *args, void (*solve)(void *work, int64_t base, int64_t rows)) {
  const rh_ode_attr *a = args->node->attr;
  const int64_t pieces = args->node->shape.dim[0], last = args->rows * (args->task + 1) / pieces;
  for (b->base = args->rows * args->task / pieces; b->base < last; b->base += RH_ODE_SUM_ROWS)
    solve(b, b->base, last - b->base < RH_ODE_SUM_ROWS ? last - b->base : RH_ODE_SUM_ROWS);
  if (b->first) memset(sum_of(args), 0, (size_t)(a->total * args->k->real_bytes));
}

/* ---- what the planner asks ---- */

int64_t rh_ode_sum_tasks(const rh_graph *g, const rh_node *node) {
  (void)g;
  return node->shape.dim[0];
}

int64_t rh_ode_evaluations(const rh_ode_attr *a) {
  return rh_ode_tableau_of(a->options.method)->stages * (a->options.steps ? a->options.steps : 10);
}
