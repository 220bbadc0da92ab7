/* scan_sum: parameter gradients of a scan, summed over rows and steps. Every step of every row is a row of one run of the body, so nothing
 * here is sequential. */
#include <string.h>

#include "graph/body.h"

/* Operands: captures, what is stacked by step, then the parameters the scan's body reads. Result: [pieces, total], for rh_body_hand_out. */
typedef struct sum_attr {
  rh_body *body; /* lives with the graph; not for runs. Inputs: captures, one step's of what is stacked; results: gradients of parameters */
  int64_t steps, total;
  int captures;
  int64_t width[]; /* captures; one step's of what is stacked */
} sum_attr;

rh_val rh_scan_sum(rh_graph *g, rh_body *body, const rh_body *reads, int64_t steps, int captures, int n, const rh_val *in) {
  const size_t bytes = sizeof(sum_attr) + (size_t)n * sizeof(int64_t);
  sum_attr *a = rh_arena_alloc(&g->arena, bytes);
  if (!a) {
    g->status = RH_E_MEMORY;
    return RH_NONE;
  }
  *a = (sum_attr){.body = body, .steps = steps, .captures = captures};
  for (int i = 0; i < n; i++) a->width[i] = rh_count(&body->g, body->g.input[i]);
  for (int i = 0; i < body->n_out; i++) a->total += rh_count(&body->g, body->out[i]);
  return rh_body_emit(g, RH_OP_scan_sum, reads, n, in, rh_shape2(rh_body_pieces(body), a->total), a, bytes);
}

typedef struct sum_made {
  rh_plan *plan;
  const sum_attr *attr;
  int64_t *count; /* [n] of each gradient */
  int n, real_bytes;
} sum_made;

typedef struct sum_work {
  rh_runner runner;
  rh_gradients grads;
  const rh_run_args *args;
  int64_t first; /* row of this piece */
} sum_work;

static void sum_unmake(void *raw) {
  sum_made *made = raw;
  rh_plan_destroy(made->plan);
  rh_free(made->count);
  rh_free(made);
}
static rh_status sum_make(const rh_node *node, const rh_plan_options *options, int64_t rows, void **out) {
  (void)rows;
  const sum_attr *a = node->attr;
  sum_made *made = rh_alloc_zero(1, sizeof *made);
  if (!made) return RH_E_MEMORY;
  *made = (sum_made){.attr = a, .n = a->body->n_out, .real_bytes = options->real_bytes};
  made->count = rh_gradients_count(a->body);
  const rh_status status = made->count ? rh_body_plan(a->body, options, &made->plan) : RH_E_MEMORY;
  if (status != RH_OK) {
    sum_unmake(made);
    return status;
  }
  *out = made;
  return RH_OK;
}
static int64_t sum_bytes(const void *raw) {
  const sum_made *made = raw;
  return rh_runner_bytes(made->plan) + made->attr->total * made->real_bytes;
}
static void sum_close(void *raw) {
  sum_work *w = raw;
  rh_runner_close(&w->runner);
  rh_gradients_close(&w->grads);
  rh_free(w);
}
static rh_status sum_open(const void *raw, void **out) {
  const sum_made *made = raw;
  sum_work *w = rh_alloc_zero(1, sizeof *w);
  if (!w) return RH_E_MEMORY;
  if (rh_gradients_open(made->count, made->n, made->real_bytes, &w->grads) != RH_OK || rh_runner_open(made->plan, &w->runner) != RH_OK) {
    sum_close(w);
    return RH_E_MEMORY;
  }
  *out = w;
  return RH_OK;
}
static void sum_report(void *raw, rh_ode_report *sum) {
  rh_runner_report(&((sum_work *)raw)->runner, sum);
}

static void sum_load(void *raw, int input, int64_t first, int64_t rows, void *dst) {
  const sum_work *w = raw;
  const sum_attr *a = w->args->node->attr;
  const int64_t bytes = a->width[input] * w->args->k->real_bytes;
  const char *from = w->args->in[input];
  if (input >= a->captures) {
    memcpy(dst, from + (w->first * a->steps + first) * bytes, (size_t)(rows * bytes));
    return;
  }
  for (int64_t r = 0; r < rows; r++) memcpy((char *)dst + r * bytes, from + (w->first + (first + r) / a->steps) * bytes, (size_t)bytes);
}

static void sum_run(const rh_run_args *args) {
  sum_work *w = args->work;
  const sum_attr *a = args->node->attr;
  const int64_t pieces = args->node->shape.dim[0], last = args->rows * (args->task + 1) / pieces;
  w->args = args;
  w->first = args->rows * args->task / pieces;
  const rh_run_io io = {.values = args->values, .rows = (last - w->first) * a->steps, .load = sum_load, .arg = w};
  rh_gradients_run(&w->grads, &w->runner, io, args->k, (char *)args->out + args->task * a->total * args->k->real_bytes, !args->accumulate);
}

static int64_t sum_tasks(const rh_graph *g, const rh_node *node) {
  (void)g;
  return node->shape.dim[0];
}
static int64_t sum_flops(const rh_graph *g, const rh_node *node) {
  (void)g;
  const sum_attr *a = node->attr;
  return a->steps * rh_body_flops(a->body);
}

static const rh_op_bodies sum_bodies = {sum_make, sum_unmake, sum_bytes, sum_open, sum_close, sum_report, NULL};
const rh_op rh_op_scan_sum = {
    .name = "scan_sum", .order = 0, .reduces = true, .run = sum_run, .flops = sum_flops, .tasks = sum_tasks, .bodies = &sum_bodies};
