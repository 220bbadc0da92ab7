/* root: x with f(x, c) = y, element by element. Its derivatives follow from the implicit function theorem: dx = (dy - df/dc dc) / f'(x),
 * written with f's own nodes at the solution, so they have derivatives in turn. */
#include <string.h>

#include "graph/body.h"

/* Operands: y, captures, low, high (RH_NONE where there is none), then the parameters f reads. */
enum { Y, CAPTURES, LOW, HIGH, OPERANDS };

typedef struct root_attr {
  rh_body *one;  /* for runs, of ONE element: x [1], captures [1, width] -> f, f' */
  rh_body *wide; /* for derivatives: x [m], captures [m, width] -> f [m]. Both live with the graph; not for runs */
  int64_t m, width;
} root_attr;

/* ---- building ---- */

/* f in a body for m elements; with its slope. */
static rh_body *function(rh_graph *g, int64_t m, int64_t width, rh_root_function *f, void *arg, bool slope) {
  rh_body *body = rh_body_open(g);
  if (!body) return NULL;
  rh_graph *b = &body->g;
  const rh_val x = rh_input(b, rh_shape1(m)), c = width ? rh_input(b, rh_shape2(m, width)) : RH_NONE;
  rh_val out[2] = {f(b, arg, x, c), RH_NONE};
  if (b->status == RH_OK && !rh_is_none(out[0]) && rh_count(b, out[0]) != m)
    rh_graph_fail(b, RH_E_SHAPE, "root: the function gives %lld numbers for %lld elements", (long long)rh_count(b, out[0]), (long long)m);
  if (slope && b->status == RH_OK && !rh_is_none(out[0])) {
    const rh_val t = rh_fill(b, rh_shape1(m), 1);
    const rh_status status = rh_jvp(b, 1, &x, &t, 1, out, out + 1);
    if (b->status == RH_OK) b->status = status;
    if (b->status == RH_OK && rh_is_none(out[1])) rh_graph_fail(b, RH_E_ARGUMENT, "root: the function does not depend on x");
  }
  return rh_body_close(g, body, slope ? 2 : 1, out, true) ? body : NULL;
}

rh_val rh_root(rh_graph *g, rh_val y, rh_val captures, rh_val low, rh_val high, rh_root_function *f, void *arg) {
  if (g->status != RH_OK) return RH_NONE;
  if (rh_is_none(y)) return rh_graph_fail(g, RH_E_ARGUMENT, "root: needs what the function shall be equal to");
  root_attr a = {.m = rh_count(g, y)};
  if (rh_count(g, captures) % a.m)
    return rh_graph_fail(g, RH_E_SHAPE, "root: %lld captured numbers do not divide among %lld elements", (long long)rh_count(g, captures),
                         (long long)a.m);
  if (rh_is_none(low) != rh_is_none(high) || (!rh_is_none(low) && (rh_count(g, low) != a.m || rh_count(g, high) != a.m)))
    return rh_graph_fail(g, RH_E_SHAPE, "root: hints come in pairs, one for each of the %lld elements", (long long)a.m);
  a.width = rh_count(g, captures) / a.m;
  a.one = function(g, 1, a.width, f, arg, true);
  a.wide = function(g, a.m, a.width, f, arg, false);
  if (!a.one || !a.wide) return RH_NONE;
  const rh_val in[OPERANDS] = {y, captures, low, high};
  return rh_body_emit(g, RH_OP_root, a.one, OPERANDS, in, rh_at(g, y)->shape, &a, sizeof a);
}

/* ---- derivatives ---- */

/* A body for a rule: inputs x, captures (in[0], in[1]); f there, and its slopes [m]. */
static rh_body *at_solution(rh_graph *g, const root_attr *a, rh_val *in, rh_val *f, rh_val *slope) {
  rh_body *body = rh_body_open(g);
  if (!body) return NULL;
  rh_graph *b = &body->g;
  in[0] = rh_input(b, rh_shape1(a->m));
  in[1] = a->width ? rh_input(b, rh_shape2(a->m, a->width)) : RH_NONE;
  rh_body_inline(b, a->wide, in, f);
  const rh_val one = rh_fill(b, rh_shape1(a->m), 1);
  const rh_status status = b->status == RH_OK ? rh_jvp(b, 1, in, &one, 1, f, slope) : b->status;
  if (b->status == RH_OK) b->status = status;
  return body;
}

/* df/dx and df/d(captures, parameters) are taken in a graph where x is an input: in g it depends on them. */
static void root_vjp(rh_graph *g, rh_val node, rh_val ct, rh_val *out) {
  const rh_node n = *rh_at(g, node);
  const root_attr *a = n.attr;
  const int leaves = a->one->n_leaf, first = a->width ? 1 : 0, wrts = first + leaves;
  rh_val in[3], f, slope;
  rh_body *body = at_solution(g, a, in, &f, &slope);
  rh_val *wrt = rh_body_room(g, wrts), *grad = rh_body_room(g, wrts), *result = rh_body_room(g, 1 + wrts),
         *value = rh_body_room(g, 1 + wrts);
  if (!body || !wrt || !grad || !result || !value) return;
  rh_graph *b = &body->g;
  const int64_t cotangent = b->inputs;
  in[2] = rh_input(b, rh_shape1(a->m));
  wrt[0] = in[1];
  for (int i = 0; i < leaves; i++) wrt[first + i] = rh_leaf_val(b, a->one->leaf[i]);
  result[0] = rh_div(b, in[2], slope);
  const rh_val back = rh_neg(b, result[0]);
  const rh_status status = b->status == RH_OK && wrts ? rh_vjp(b, 1, &f, &back, wrts, wrt, grad, RH_KEEP) : b->status;
  if (b->status == RH_OK) b->status = status;
  int kept = 1;
  for (int i = 0; i < wrts; i++)
    if (!rh_is_none(grad[i])) result[kept++] = grad[i];
  if (!rh_body_close(g, body, kept, result, false)) return;
  rh_val at[3] = {rh_reshape(g, node, rh_shape1(a->m)), n.in[CAPTURES]};
  at[cotangent] = rh_reshape(g, rh_as_row(g, ct), rh_shape1(a->m));
  rh_body_inline(g, body, at, value);
  out[Y] = value[0];
  kept = 1;
  for (int i = 0; i < wrts; i++)
    if (!rh_is_none(grad[i])) out[i < first ? CAPTURES : OPERANDS + i - first] = value[kept++];
}

static rh_val root_jvp(rh_graph *g, rh_val node, const rh_val *tangents) {
  const rh_node n = *rh_at(g, node);
  const root_attr *a = n.attr;
  for (int i = 0; i < a->one->n_leaf; i++)
    if (!rh_is_none(tangents[OPERANDS + i]))
      return rh_graph_fail(g, RH_E_UNSUPPORTED, "root: no tangents of parameters (\"%s\"); give them as captures",
                           g->leaves->leaf[a->one->leaf[i]].name);
  const bool of_y = !rh_is_none(tangents[Y]), of_c = !rh_is_none(tangents[CAPTURES]);
  if (!of_y && !of_c) return RH_NONE; /* of hints alone */
  rh_val in[2], f, slope, moved = RH_NONE, at[4] = {rh_reshape(g, node, rh_shape1(a->m)), n.in[CAPTURES]};
  rh_body *body = at_solution(g, a, in, &f, &slope);
  if (!body) return RH_NONE;
  rh_graph *b = &body->g;
  rh_val dy = RH_NONE;
  if (of_y) {
    at[b->inputs] = rh_reshape(g, rh_as_row(g, tangents[Y]), rh_shape1(a->m));
    dy = rh_input(b, rh_shape1(a->m));
  }
  if (of_c) {
    at[b->inputs] = rh_as_row(g, tangents[CAPTURES]);
    const rh_val dc = rh_input(b, rh_shape2(a->m, a->width));
    const rh_status status = b->status == RH_OK ? rh_jvp(b, 1, &in[1], &dc, 1, &f, &moved) : b->status;
    if (b->status == RH_OK) b->status = status;
    if (!rh_is_none(moved)) dy = rh_add_maybe(b, dy, rh_neg(b, moved));
  }
  if (b->status == RH_OK && rh_is_none(dy)) return RH_NONE; /* captures that f does not read */
  const rh_val dx = rh_div(b, dy, slope);
  rh_val value;
  if (!rh_body_close(g, body, 1, &dx, false)) return RH_NONE;
  rh_body_inline(g, body, at, &value);
  return rh_reshape(g, value, n.shape);
}

/* ---- running ---- */

enum { SLOTS = 256 }; /* elements that a thread has running */

typedef struct root_made {
  rh_plan *plan;
  const root_attr *attr; /* the plan's copy */
  int real_bytes;
  int64_t max_steps; /* 0: the solver's own */
  bool strict;
} root_made;

typedef struct root_work {
  rh_runner runner;
  rh_root_work *solver;
  rh_ode_report report;
  /* of the running call */
  const rh_run_args *args;
  bool ready;
  const int64_t *element;
  const char *x;
} root_work;

static void root_unmake(void *raw) {
  root_made *made = raw;
  rh_plan_destroy(made->plan);
  rh_free(made);
}
/* A row of the body's plan is an element: the plan is the same whatever m and the outer rows are. */
static rh_status root_make(const rh_node *node, const rh_plan_options *options, int64_t rows, void **out) {
  (void)rows;
  const root_attr *a = node->attr;
  root_made *made = rh_alloc_zero(1, sizeof *made);
  if (!made) return RH_E_MEMORY;
  *made = (root_made){.attr = a, .real_bytes = options->real_bytes, .max_steps = options->max_steps, .strict = options->strict};
  rh_plan_options mine = *options;
  mine.max_rows = SLOTS;
  const rh_status status = rh_body_plan(a->one, &mine, &made->plan);
  if (status == RH_OK) {
    *out = made;
  } else {
    rh_free(made);
  }
  return status;
}
static int64_t root_bytes(const void *raw) {
  const root_made *made = raw;
  return rh_runner_bytes(made->plan) + rh_root_work_bytes(SLOTS, made->real_bytes);
}
static void root_close(void *raw) {
  root_work *w = raw;
  rh_runner_close(&w->runner);
  rh_root_work_destroy(w->solver);
  rh_free(w);
}
static rh_status root_open(const void *raw, void **out) {
  const root_made *made = raw;
  root_work *w = rh_alloc_zero(1, sizeof *w);
  if (!w) return RH_E_MEMORY;
  if (rh_runner_open(made->plan, &w->runner) != RH_OK || rh_root_work_create(SLOTS, made->real_bytes, &w->solver) != RH_OK) {
    root_close(w);
    return RH_E_MEMORY;
  }
  *out = w;
  return RH_OK;
}
static void root_report(void *raw, rh_ode_report *sum) {
  root_work *w = raw;
  sum->evaluations += w->report.evaluations;
  sum->unfinished += w->report.unfinished;
  w->report = (rh_ode_report){0};
  rh_runner_report(&w->runner, sum);
}

static void root_load(void *raw, int input, int64_t first, int64_t rows, void *dst) {
  const root_work *w = raw;
  const int64_t rb = w->args->k->real_bytes;
  if (input == 0) {
    memcpy(dst, w->x + first * rb, (size_t)(rows * rb));
    return;
  }
  const int64_t bytes = ((const root_attr *)w->args->node->attr)->width * rb;
  const char *from = w->args->in[CAPTURES];
  for (int64_t r = 0; r < rows; r++) memcpy((char *)dst + r * bytes, from + w->element[first + r] * bytes, (size_t)bytes);
}

static void root_function(void *raw, int64_t n, const int64_t *element, const void *x, void *value, void *slope) {
  root_work *w = raw;
  w->element = element, w->x = x;
  void *const out[2] = {value, slope};
  const rh_run_io io = {.values = w->args->values, .rows = n, .load = root_load, .arg = w, .row_out = out, .ready = w->ready};
  rh_runner_run(&w->runner, &io);
  w->ready = true;
}

static void root_run(const rh_run_args *args) {
  root_work *w = args->work;
  const root_made *made = args->made;
  const rh_root_problem p = {.f = root_function, .arg = w, .max_steps = made->max_steps, .strict = made->strict};
  rh_root_report report = {0};
  w->args = args;
  w->ready = false;
  rh_root_solve(&p, w->solver, args->rows * ((const root_attr *)args->node->attr)->m, args->in[Y], args->in[LOW], args->in[HIGH], args->out,
                &report);
  w->report.evaluations += report.evaluations;
  w->report.unfinished += report.unfinished;
}

static int64_t root_flops(const rh_graph *g, const rh_node *node) { /* of six values: how many there will be is not known */
  (void)g;
  const root_attr *a = node->attr;
  return 6 * a->m * rh_body_flops(a->one);
}

static const rh_op_bodies root_bodies = {root_make, root_unmake, root_bytes, root_open, root_close, root_report, NULL};
const rh_op rh_op_root = {.name = "root",
                          .order = -1,
                          .vjp = root_vjp,
                          .jvp = root_jvp,
                          .run = root_run,
                          .flops = root_flops,
                          .solves = true,
                          .bodies = &root_bodies};
