/* scan: a body run `steps` times over a carry. Its derivatives are scans again, and one sum over rows and steps for the parameters. */
#include <string.h>

#include "graph/body.h"

/* Operands: carries, captures, xs, then the parameters the body reads; the body's inputs likewise, one step's; its results: carries, ys.
 * The node's own result, flat: carries, then ys [steps, y]. */
typedef struct scan_attr {
  rh_body *body; /* lives with the graph; not for runs */
  int64_t steps;
  int reverse, carries, captures, xs, ys;
  int64_t width[]; /* one step's: carries, captures, xs, ys */
} scan_attr;

static int operands(const scan_attr *a) {
  return a->carries + a->captures + a->xs;
}
static const scan_attr *attr_of(const rh_graph *g, rh_val node) {
  return rh_at(g, node)->attr;
}
static int64_t sum_of(const int64_t *x, int64_t n) {
  int64_t sum = 0;
  for (int64_t i = 0; i < n; i++) sum += x[i];
  return sum;
}

static rh_val emit_scan(rh_graph *g, const scan_attr *head, const rh_val *in) {
  if (g->status != RH_OK) return RH_NONE;
  const int n = operands(head);
  const size_t bytes = sizeof *head + (size_t)(n + head->ys) * sizeof(int64_t);
  scan_attr *a = rh_alloc(bytes);
  if (!a) {
    g->status = RH_E_MEMORY;
    return RH_NONE;
  }
  *a = *head;
  const rh_graph *b = &head->body->g;
  for (int i = 0; i < n; i++) a->width[i] = rh_count(b, b->input[i]);
  for (int i = 0; i < a->ys; i++) a->width[n + i] = rh_count(b, head->body->out[a->carries + i]);
  const int64_t total = sum_of(a->width, a->carries) + a->steps * sum_of(a->width + n, a->ys);
  const rh_val v = rh_body_emit(g, RH_OP_scan, a->body, n, in, rh_shape1(total), a, bytes);
  rh_free(a);
  return v;
}

static rh_val carry_of(rh_graph *g, const scan_attr *a, rh_val v, int i) {
  return rh_slice(g, v, sum_of(a->width, i), a->width[i]);
}
static rh_val ys_of(rh_graph *g, const scan_attr *a, rh_val v, int i) {
  const int64_t *y = a->width + operands(a);
  return rh_slice(g, v, sum_of(a->width, a->carries) + a->steps * sum_of(y, i), a->steps * y[i]);
}

/* ---- building ---- */

static rh_shape step_shape(const rh_shape *stacked) {
  if (stacked->rank == 1) return rh_shape1(1);
  rh_shape s = {.rank = stacked->rank - 1};
  for (int i = 0; i < s.rank; i++) s.dim[i] = stacked->dim[i + 1];
  return s;
}

static bool stacked_shape(rh_graph *g, int64_t steps, const rh_shape *step, rh_shape *stacked) {
  if (step->rank == RH_RANK)
    return rh_graph_fail(g, RH_E_SHAPE, "scan: one step's y has %d dimensions; at most %d", RH_RANK, RH_RANK - 1), false;
  *stacked = (rh_shape){.rank = step->rank + 1, .dim = {steps}};
  for (int i = 0; i < step->rank; i++) stacked->dim[i + 1] = step->dim[i];
  return true;
}

void rh_scan(rh_graph *g, int64_t steps, bool reverse, rh_val carry0, rh_val xs, rh_val captures, rh_scan_body *build, void *arg,
             rh_val *carry, rh_val *ys) {
  *carry = RH_NONE;
  if (ys) *ys = RH_NONE;
  if (g->status != RH_OK) return;
  if (rh_is_none(carry0) || steps < 1) {
    rh_graph_fail(g, RH_E_ARGUMENT, "scan: needs a carry and at least one step");
    return;
  }
  if (!rh_is_none(xs) && rh_at(g, xs)->shape.dim[0] != steps) {
    rh_graph_fail(g, RH_E_SHAPE, "scan: xs has %lld steps, the scan %lld", (long long)rh_at(g, xs)->shape.dim[0], (long long)steps);
    return;
  }
  rh_body *body = rh_body_open(g);
  if (!body) return;
  rh_graph *b = &body->g;
  scan_attr head = {
      .body = body, .steps = steps, .reverse = reverse, .carries = 1, .captures = !rh_is_none(captures), .xs = !rh_is_none(xs)};
  rh_val in[3] = {carry0}, out[2] = {RH_NONE, RH_NONE};
  int n = 1;
  const rh_val c = rh_input(b, rh_at(g, carry0)->shape);
  const rh_val m = head.captures ? rh_input(b, rh_at(g, in[n++] = captures)->shape) : RH_NONE;
  const rh_val x = head.xs ? rh_input(b, step_shape(&rh_at(g, in[n++] = xs)->shape)) : RH_NONE;
  build(b, arg, c, x, m, &out[0], &out[1]);
  head.ys = !rh_is_none(out[1]);
  if (b->status == RH_OK && !rh_is_none(out[0]) && rh_count(b, out[0]) != rh_count(b, c))
    rh_graph_fail(b, RH_E_SHAPE, "scan: the body's carry has another size than the one it is given");
  if (!rh_body_close(g, body, 1 + head.ys, out, true)) return;
  const rh_val v = emit_scan(g, &head, in);
  if (rh_is_none(v)) return;
  const scan_attr *a = attr_of(g, v);
  const rh_shape shape = rh_at(g, carry0)->shape;
  *carry = rh_reshape(g, carry_of(g, a, v, 0), shape);
  rh_shape stacked;
  if (head.ys && ys && stacked_shape(g, steps, &rh_at(b, body->out[1])->shape, &stacked)) *ys = rh_reshape(g, ys_of(g, a, v, 0), stacked);
}

/* ---- derivatives ---- */

/* Inputs of b as those of `body`, from its i-th on. */
static void inputs_like(rh_graph *b, const rh_body *body, int first, int n, rh_val *in) {
  for (int i = 0; i < n; i++) in[i] = rh_input(b, rh_at(&body->g, body->g.input[first + i])->shape);
}

/* The same scan again, giving each step's incoming carries as ys. */
static rh_val stack_carries(rh_graph *g, const rh_node *node) {
  const scan_attr *a = node->attr;
  const int n = operands(a);
  rh_body *body = rh_body_open(g);
  rh_val *in = rh_body_room(g, n), *out = rh_body_room(g, 2 * a->carries + a->ys);
  if (!body || !in || !out) return RH_NONE;
  rh_graph *b = &body->g;
  inputs_like(b, a->body, 0, n, in);
  rh_body_inline(b, a->body, in, out);
  for (int i = 0; i < a->carries; i++) out[a->carries + i] = in[i];
  if (!rh_body_close(g, body, 2 * a->carries, out, true)) return RH_NONE;
  scan_attr head = *a;
  head.body = body;
  head.ys = a->carries;
  return emit_scan(g, &head, node->in);
}

/* One step backwards in b. all: the body's inputs, ct: of its results -> grads of all inputs, zero where there is no dependence. */
static void step_back(rh_graph *b, const rh_body *body, int n, const rh_val *all, const rh_val *ct, rh_val *grads) {
  rh_val *out = rh_body_room(b, body->n_out);
  if (!out) return;
  rh_body_inline(b, body, all, out);
  if (b->status != RH_OK) return;
  const rh_status status = rh_vjp(b, body->n_out, out, ct, n, all, grads, RH_KEEP);
  if (b->status == RH_OK) b->status = status;
  for (int i = 0; i < n && b->status == RH_OK; i++)
    if (rh_is_none(grads[i])) grads[i] = rh_fill(b, rh_at(b, all[i])->shape, 0);
}

/* What a backward step reads besides the cotangents that it carries: the captures; each step's carries, xs, and cotangents of ys. */
static void step_inputs(rh_graph *b, const scan_attr *a, rh_val *all, rh_val *ct_y) {
  inputs_like(b, a->body, a->carries, a->captures, all + a->carries);
  inputs_like(b, a->body, 0, a->carries, all);
  inputs_like(b, a->body, a->carries + a->captures, a->xs, all + a->carries + a->captures);
  for (int i = 0; i < a->ys; i++) ct_y[i] = rh_input(b, rh_at(&a->body->g, a->body->out[a->carries + i])->shape);
}

/* The scan run backwards. Carries: cotangents of the carries, and of the captures so far. ys: cotangents of the xs, and of each step's
 * outgoing carries. reads: [captures | stacked carries, xs, ct of ys] as operands of the parent. */
static rh_val scan_back(rh_graph *g, const rh_node *node, rh_val ct, const rh_val *reads, scan_attr *head) {
  const scan_attr *a = node->attr;
  const int n = operands(a), c = a->carries, m = a->captures;
  rh_body *body = rh_body_open(g);
  rh_val *all = rh_body_room(g, n), *cts = rh_body_room(g, c + a->ys), *grads = rh_body_room(g, n), *so_far = rh_body_room(g, m),
         *out = rh_body_room(g, c + m + a->xs + c), *in = rh_body_room(g, c + m + n + a->ys);
  if (!body || !all || !cts || !grads || !so_far || !out || !in) return RH_NONE;
  rh_graph *b = &body->g;
  inputs_like(b, a->body, 0, c, cts);
  inputs_like(b, a->body, c, m, so_far);
  step_inputs(b, a, all, cts + c);
  step_back(b, a->body, n, all, cts, grads);
  for (int i = 0; i < c; i++) {
    in[i] = carry_of(g, a, ct, i);
    out[i] = grads[i];
    out[c + m + a->xs + i] = cts[i];
  }
  for (int i = 0; i < m; i++) {
    in[c + i] = rh_fill(g, rh_shape1(a->width[c + i]), 0);
    out[c + i] = rh_add_maybe(b, so_far[i], grads[c + i]);
  }
  for (int i = 0; i < a->xs; i++) out[c + m + i] = grads[c + m + i];
  for (int i = 0; i < n + a->ys; i++) in[c + m + i] = reads[i];
  *head = (scan_attr){
      .body = body, .steps = a->steps, .reverse = !a->reverse, .carries = c + m, .captures = m, .xs = c + a->xs + a->ys, .ys = a->xs + c};
  return rh_body_close(g, body, c + m + a->xs + c, out, true) ? emit_scan(g, head, in) : RH_NONE;
}

/* Gradients of the parameters: a sum over rows and steps. reads as for scan_back; back: its stacked cotangents of carries. */
static void scan_params(rh_graph *g, const rh_node *node, const rh_val *reads, const rh_val *back, rh_val *grads) {
  const scan_attr *a = node->attr;
  const int n = operands(a), c = a->carries, m = a->captures, inputs = n + a->ys + c;
  rh_body *body = rh_body_open(g);

  rh_val *all = rh_body_room(g, n), *cts = rh_body_room(g, c + a->ys), *in = rh_body_room(g, inputs),
         *out = rh_body_room(g, a->body->n_out);
  if (!body || !all || !cts || !in || !out) {
    if (g->status == RH_OK) g->status = RH_E_MEMORY;
    return;
  }
  rh_graph *b = &body->g;
  step_inputs(b, a, all, cts + c);
  inputs_like(b, a->body, 0, c, cts);
  rh_body_inline(b, a->body, all, out);
  if (!rh_body_close_gradients(g, body, 0, NULL, a->body->n_out, out, cts)) return;
  for (int i = 0; i < n + a->ys; i++) in[i] = reads[i];
  for (int i = 0; i < c; i++) in[n + a->ys + i] = back[i];
  const rh_val sum = rh_scan_sum(g, body, a->body, a->steps, m, inputs, in);
  rh_body_hand_out(g, sum, body, a->body, grads);
}

static void scan_vjp(rh_graph *g, rh_val node, rh_val ct, rh_val *out) {
  const rh_node n = *rh_at(g, node);
  const scan_attr *a = n.attr;
  const int c = a->carries, m = a->captures;
  const rh_val stack = stack_carries(g, &n);
  rh_val *reads = rh_body_room(g, operands(a) + a->ys), *back = rh_body_room(g, c);
  if (rh_is_none(stack) || !reads || !back) return;
  const scan_attr *sa = attr_of(g, stack);
  for (int i = 0; i < m; i++) reads[i] = n.in[c + i];
  for (int i = 0; i < c; i++) reads[m + i] = ys_of(g, sa, stack, i);
  for (int i = 0; i < a->xs; i++) reads[m + c + i] = n.in[c + m + i];
  for (int i = 0; i < a->ys; i++) reads[m + c + a->xs + i] = ys_of(g, a, ct, i);
  scan_attr head;
  const rh_val v = scan_back(g, &n, ct, reads, &head);
  if (rh_is_none(v)) return;
  const scan_attr *r = attr_of(g, v);
  for (int i = 0; i < c + m; i++) out[i] = rh_reshape(g, carry_of(g, r, v, i), rh_at(g, n.in[i])->shape);
  for (int i = 0; i < a->xs; i++) out[c + m + i] = rh_reshape(g, ys_of(g, r, v, i), rh_at(g, n.in[c + m + i])->shape);
  for (int i = 0; i < c; i++) back[i] = ys_of(g, r, v, a->xs + i);
  if (a->body->n_leaf) scan_params(g, &n, reads, back, out + operands(a));
}

/* The carries and their tangents side by side; the tangents of the ys. */
static rh_val scan_jvp(rh_graph *g, rh_val node, const rh_val *t) {
  const rh_node n = *rh_at(g, node);
  const scan_attr *a = n.attr;
  const int c = a->carries, m = a->captures, all = operands(a);
  for (int i = 0; i < a->body->n_leaf; i++)
    if (!rh_is_none(t[all + i]))
      return rh_graph_fail(g, RH_E_UNSUPPORTED, "scan: no tangents of parameters (\"%s\"); give them as captures",
                           g->leaves->leaf[a->body->leaf[i]].name);
  rh_body *body = rh_body_open(g);
  rh_val *given = rh_body_room(g, all), *tangent = rh_body_room(g, all), *in = rh_body_room(g, 2 * all),
         *out = rh_body_room(g, 2 * c + 2 * a->ys), *moved = rh_body_room(g, c + a->ys);
  if (!body || !given || !tangent || !in || !out || !moved) return RH_NONE;
  rh_graph *b = &body->g;
  scan_attr head = {.body = body, .steps = a->steps, .reverse = a->reverse, .carries = 2 * c, .ys = a->ys};
  const int first[4] = {0, c, c + m, all};
  int k = 0, *const counts[3] = {NULL, &head.captures, &head.xs};
  for (int kind = 0; kind < 3; kind++) /* of each kind: the values, then the tangents there are; every carry has one */
    for (int pass = 0; pass < 2; pass++)
      for (int i = first[kind]; i < first[kind + 1]; i++) {
        if (pass && kind && rh_is_none(t[i])) continue;
        inputs_like(b, a->body, i, 1, pass ? &tangent[i] : &given[i]);
        in[k++] = !pass ? n.in[i] : rh_is_none(t[i]) ? rh_fill(g, rh_shape1(a->width[i]), 0) : t[i];
        if (kind) ++*counts[kind];
      }
  rh_body_inline(b, a->body, given, out);
  const rh_status status = b->status == RH_OK ? rh_jvp(b, all, given, tangent, c + a->ys, out, moved) : b->status;
  if (status != RH_OK) {
    g->status = status;
    return RH_NONE;
  }
  for (int i = 0; i < c + a->ys; i++)
    if (rh_is_none(moved[i])) moved[i] = rh_fill(b, rh_at(b, out[i])->shape, 0);
  for (int i = 0; i < c + a->ys; i++) out[c + i] = moved[i];
  if (!rh_body_close(g, body, 2 * c + a->ys, out, true)) return RH_NONE;
  const rh_val v = emit_scan(g, &head, in);
  const int64_t skip = sum_of(a->width, c);
  return rh_is_none(v) ? v : rh_slice(g, v, skip, rh_count(g, v) - skip);
}

/* ---- running a scan ---- */

typedef struct scan_made {
  rh_plan *plan;
  const scan_attr *attr; /* the plan's copy */
  int64_t rows;
  int real_bytes;
} scan_made;

typedef struct scan_work {
  rh_runner runner;
  char *room;    /* one block for all below */
  char **now;    /* [carries] this step's, [rows, width] */
  void **result; /* [carries + ys] what the body writes */
  const rh_run_args *args;
  int64_t t;
} scan_work;

static rh_status scan_make(const rh_node *node, const rh_plan_options *options, int64_t rows, void **out) {
  const scan_attr *a = node->attr;
  scan_made *made = rh_alloc_zero(1, sizeof *made);
  if (!made) return RH_E_MEMORY;
  *made = (scan_made){.attr = a, .rows = rows, .real_bytes = options->real_bytes};
  const rh_status status = rh_body_plan(a->body, options, &made->plan);
  if (status == RH_OK) {
    *out = made;
  } else {
    rh_free(made);
  }
  return status;
}
static void scan_unmake(void *raw) {
  scan_made *made = raw;
  rh_plan_destroy(made->plan);
  rh_free(made);
}
static int64_t scan_room(const scan_made *made) {
  const scan_attr *a = made->attr;
  return (2 * sum_of(a->width, a->carries) + sum_of(a->width + operands(a), a->ys)) * made->rows * made->real_bytes;
}
static int64_t scan_bytes(const void *raw) {
  const scan_made *made = raw;
  return rh_runner_bytes(made->plan) + scan_room(made);
}
static void scan_close(void *raw) {
  scan_work *w = raw;
  rh_runner_close(&w->runner);
  rh_free(w->room);
  rh_free(w->now);
  rh_free(w->result);
  rh_free(w);
}
static rh_status scan_open(const void *raw, void **out) {
  const scan_made *made = raw;
  const scan_attr *a = made->attr;
  scan_work *w = rh_alloc_zero(1, sizeof *w);
  if (!w) return RH_E_MEMORY;
  w->room = rh_alloc_zero((size_t)scan_room(made) + 1, 1);
  w->now = rh_alloc_zero((size_t)a->carries, sizeof *w->now);
  w->result = rh_alloc_zero((size_t)(a->carries + a->ys), sizeof *w->result);
  if (!w->room || !w->now || !w->result || rh_runner_open(made->plan, &w->runner) != RH_OK) {
    scan_close(w);
    return RH_E_MEMORY;
  }
  const int64_t *y = a->width + operands(a);
  char *at = w->room;
  for (int i = 0; i < a->carries; at += a->width[i++] * made->rows * made->real_bytes) w->now[i] = at;
  for (int i = 0; i < a->carries; at += a->width[i++] * made->rows * made->real_bytes) w->result[i] = at;
  for (int i = 0; i < a->ys; at += y[i++] * made->rows * made->real_bytes) w->result[a->carries + i] = at;
  *out = w;
  return RH_OK;
}
static void scan_report(void *raw, rh_ode_report *sum) {
  rh_runner_report(&((scan_work *)raw)->runner, sum);
}

/* rows of `bytes` each, one every `from_step` and `to_step` bytes. */
static void copy_rows(int64_t rows, int64_t bytes, const char *from, int64_t from_step, char *to, int64_t to_step) {
  for (int64_t r = 0; r < rows; r++) memcpy(to + r * to_step, from + r * from_step, (size_t)bytes);
}

static void scan_load(void *raw, int input, int64_t first, int64_t rows, void *dst) {
  const scan_work *w = raw;
  const scan_attr *a = w->args->node->attr;
  const int64_t bytes = a->width[input] * w->args->k->real_bytes;
  if (input < a->carries + a->captures) {
    memcpy(dst, (input < a->carries ? w->now[input] : (const char *)w->args->in[input]) + first * bytes, (size_t)(rows * bytes));
  } else {
    copy_rows(rows, bytes, (const char *)w->args->in[input] + (first * a->steps + w->t) * bytes, a->steps * bytes, dst, bytes);
  }
}

static void scan_run(const rh_run_args *args) {
  scan_work *w = args->work;
  const scan_attr *a = args->node->attr;
  const int64_t rb = args->k->real_bytes, total = rh_shape_count(&args->node->shape) * rb, *y = a->width + operands(a);
  const int64_t skip = sum_of(a->width, a->carries) * rb;
  rh_run_io io = {.values = args->values, .rows = args->rows, .load = scan_load, .arg = w, .row_out = w->result};
  w->args = args;
  for (int i = 0; i < a->carries; i++) memcpy(w->now[i], args->in[i], (size_t)(args->rows * a->width[i] * rb));
  for (int64_t s = 0; s < a->steps; s++) {
    w->t = a->reverse ? a->steps - 1 - s : s;
    rh_runner_run(&w->runner, &io);
    io.ready = true;
    char *out = (char *)args->out + skip;
    for (int i = 0; i < a->ys; out += a->steps * y[i++] * rb)
      copy_rows(args->rows, y[i] * rb, w->result[a->carries + i], y[i] * rb, out + w->t * y[i] * rb, total);
    for (int i = 0; i < a->carries; i++) {
      char *old = w->now[i];
      w->now[i] = w->result[i];
      w->result[i] = old;
    }
  }
  char *out = args->out;
  for (int i = 0; i < a->carries; out += a->width[i++] * rb)
    copy_rows(args->rows, a->width[i] * rb, w->now[i], a->width[i] * rb, out, total);
}

static int64_t scan_flops(const rh_graph *g, const rh_node *node) {
  (void)g;
  const scan_attr *a = node->attr;
  return a->steps * rh_body_flops(a->body);
}

static const rh_op_bodies scan_bodies = {scan_make, scan_unmake, scan_bytes, scan_open, scan_close, scan_report, NULL};
const rh_op rh_op_scan = {
    .name = "scan", .order = -1, .vjp = scan_vjp, .jvp = scan_jvp, .run = scan_run, .flops = scan_flops, .bodies = &scan_bodies};
