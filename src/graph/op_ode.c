/* ode: each row's initial value problem by steps of its own. Its derivative is the continuous adjoint (Pontryagin 1962; Chen et al. 2018,
 * Neural Ordinary Differential Equations, algorithm 1): another ode, run backwards, and for the parameters a sum over rows that adds an
 * integral over each row's own steps. */
#include <string.h>

#include "graph/ode_node.h"

rh_val rh_ode(rh_graph *g, rh_val y0, rh_val captures, double t0, double t1, const rh_ode_options *options, rh_ode_field *field,
              void *arg) {
  if (g->status != RH_OK) return RH_NONE;
  if (rh_is_none(y0)) return rh_graph_fail(g, RH_E_ARGUMENT, "ode: needs a state to start from");
  if (!(t0 - t1 == t0 - t1)) return rh_graph_fail(g, RH_E_ARGUMENT, "ode: from t = %g to %g", t0, t1);
  const rh_status status = rh_ode_check(options);
  if (status != RH_OK) {
    g->status = status;
    return RH_NONE;
  }
  rh_body *body = rh_body_open(g);
  if (!body) return RH_NONE;
  rh_graph *b = &body->g;
  const rh_shape shape = rh_at(g, y0)->shape;
  const rh_val in[2] = {y0, captures};
  const rh_val y = rh_input(b, shape), t = rh_input(b, rh_shape1(1)),
               m = rh_is_none(captures) ? RH_NONE : rh_input(b, rh_at(g, captures)->shape);
  const rh_val dy = field(b, arg, y, t, m);
  if (b->status == RH_OK && !rh_is_none(dy) && rh_count(b, dy) != rh_count(b, y))
    rh_graph_fail(b, RH_E_SHAPE, "ode: dy has %lld numbers, y %lld", (long long)rh_count(b, dy), (long long)rh_count(b, y));
  if (!rh_body_close(g, body, 1, &dy, true)) return RH_NONE;
  rh_ode_attr head = {.field = body, .options = *options, .t0 = t0, .t1 = t1, .n = rh_count(g, y0), .captures = !rh_is_none(captures)};
  if (options->gradient == RH_ODE_ADJOINT) return rh_ode_emit(g, RH_OP_ode, &head, NULL, body, 1, in, shape);
  head.parts = (rh_parts){2, {head.n, rh_tape_numbers(options->method, head.n)}};
  const rh_val steps = rh_ode_emit(g, RH_OP_ode_steps, &head, NULL, body, 1, in, rh_shape1(rh_parts_total(&head.parts)));
  return g->status == RH_OK ? rh_reshape(g, rh_part_of(g, steps, 0), shape) : RH_NONE;
}

/* ---- derivatives ---- */

static rh_shape shape_of(const rh_body *body, rh_val v) {
  return rh_at(&body->g, v)->shape;
}
static rh_val part(rh_graph *b, rh_val z, int64_t first, int64_t count, rh_shape shape) {
  return rh_reshape(b, rh_slice(b, z, first, count), shape);
}

/* The field on y within the state z = (y, a, captures' cotangents): all[0 .. 2 + captures) = the field's inputs, *dy its value, *a y's
 * cotangent. */
static bool adjoint_state(rh_graph *b, const rh_ode_attr *f, rh_val z, rh_val t, rh_val *all, rh_val *dy, rh_val *a) {
  const rh_graph *fg = &f->field->g;
  all[0] = part(b, z, 0, f->n, shape_of(f->field, fg->input[0]));
  all[1] = t;
  for (int i = 0; i < f->captures; i++) all[2 + i] = rh_input(b, shape_of(f->field, fg->input[2 + i]));
  *a = part(b, z, f->n, f->n, shape_of(f->field, f->field->out[0]));
  rh_body_inline(b, f->field, all, dy);
  return b->status == RH_OK;
}

/* d(y, a, g)/dt = (f, -a df/dy, -a df/dcaptures) */
static rh_body *adjoint_field(rh_graph *g, const rh_ode_attr *f, int64_t n) {
  const int m = f->captures;
  rh_body *body = rh_body_open(g);
  rh_val *all = rh_body_room(g, 2 + m), *grads = rh_body_room(g, 2 + m), *out = rh_body_room(g, 2 + m), dy, a, dz = RH_NONE;
  if (!body || !all || !grads || !out) return NULL;
  rh_graph *b = &body->g;
  const rh_val z = rh_input(b, rh_shape1(n)), t = rh_input(b, rh_shape1(1));
  if (adjoint_state(b, f, z, t, all, &dy, &a)) {
    const rh_status status = rh_vjp(b, 1, &dy, &a, 2 + m, all, grads, RH_KEEP);
    if (b->status == RH_OK) b->status = status;
    out[0] = dy;
    for (int i = 0, k = 1; i < 2 + m && b->status == RH_OK; i++)
      if (i != 1) out[k++] = rh_is_none(grads[i]) ? rh_fill(b, rh_at(b, all[i])->shape, 0) : rh_neg(b, grads[i]);
    dz = rh_concat(b, 2 + m, out);
  }
  return rh_body_close(g, body, 1, &dz, true) ? body : NULL;
}

/* One point of the parameters' integral: -weight a df/dtheta, weight being the last input. NULL also if nothing depends on parameters. */
static rh_body *adjoint_point(rh_graph *g, const rh_ode_attr *f, int64_t n) {
  rh_body *body = rh_body_open(g);
  rh_val *all = rh_body_room(g, 2 + f->captures), dy, a;
  if (!body || !all) return NULL;
  rh_graph *b = &body->g;
  const rh_val z = rh_input(b, rh_shape1(n)), t = rh_input(b, rh_shape1(1));
  if (!adjoint_state(b, f, z, t, all, &dy, &a)) {
    g->status = b->status;
    return NULL;
  }
  const rh_val weight = rh_input(b, rh_shape1(1)), ct = rh_neg(b, rh_mul(b, a, weight));
  return rh_body_close_gradients(g, body, 0, NULL, 1, &dy, &ct) ? body : NULL;
}

static void ode_vjp(rh_graph *g, rh_val node, rh_val ct, rh_val *out) {
  const rh_node y1 = *rh_at(g, node);
  const rh_ode_attr *f = y1.attr;

  const int m = f->captures, parts = 2 + m;
  rh_ode_attr head = *f;
  head.t0 = f->t1;
  head.t1 = f->t0;
  head.n = 2 * f->n;
  for (int i = 0; i < m; i++) head.n += f->width[i];
  rh_val *state = rh_body_room(g, parts), *in = rh_body_room(g, 1 + m);
  unsigned char *mask = rh_arena_alloc(&g->arena, (size_t)head.n);

  if (!state || !in || !mask) {
    g->status = RH_E_MEMORY;
    return;
  }
  head.derives = true;
  head.field = adjoint_field(g, f, head.n);
  state[0] = node;
  state[1] = ct;
  for (int i = 0; i < m; i++) {
    state[2 + i] = rh_fill(g, rh_shape1(f->width[i]), 0);
    in[1 + i] = y1.in[1 + i];
  }
  memcpy(mask, rh_ode_in_norm(f), (size_t)f->n);
  memcpy(mask + f->n, rh_ode_in_norm(f), (size_t)f->n);
  in[0] = rh_concat(g, parts, state);
  if (!head.field) return;
  const rh_val z = rh_ode_emit(g, RH_OP_ode, &head, mask, head.field, 1, in, rh_shape1(head.n));
  int64_t first = f->n;
  for (int i = 0; i < 1 + m; first += i ? f->width[i - 1] : f->n, i++)
    out[i] = part(g, z, first, i ? f->width[i - 1] : f->n, rh_at(g, y1.in[i])->shape);
  if (!f->field->n_leaf || g->status != RH_OK) return;
  head.other = adjoint_point(g, f, head.n);
  if (!head.other) return;
  head.total = rh_body_total(head.other);
  const rh_val sum = rh_ode_emit(g, RH_OP_ode_sum, &head, mask, f->field, 1, in, rh_shape2(rh_body_pieces(head.other), head.total));
  rh_body_hand_out(g, sum, head.other, f->field, out + 1 + m);
}

/* d(y, s)/dt = (f, df/dy s + df/dcaptures s_captures), the captures' tangents being captures too. */
static rh_val ode_jvp(rh_graph *g, rh_val node, const rh_val *tangents) {
  const rh_node y1 = *rh_at(g, node);
  const rh_ode_attr *f = y1.attr;
  const int m = f->captures;
  for (int i = 0; i < f->field->n_leaf; i++)
    if (!rh_is_none(tangents[1 + m + i]))
      return rh_graph_fail(g, RH_E_UNSUPPORTED, "ode: no tangents of parameters (\"%s\"); give them as captures",
                           g->leaves->leaf[f->field->leaf[i]].name);
  rh_body *body = rh_body_open(g);
  rh_val *all = rh_body_room(g, 2 + m), *moved = rh_body_room(g, 2 + m), *in = rh_body_room(g, 1 + 2 * m), dy, s, dz = RH_NONE;
  unsigned char *mask = rh_arena_alloc(&g->arena, (size_t)(2 * f->n));
  if (!body || !all || !moved || !in || !mask) return RH_NONE;
  rh_ode_attr head = *f;
  head.parts = (rh_parts){0};
  head.options.gradient = RH_ODE_ADJOINT;
  head.field = body;
  head.n = 2 * f->n;
  rh_graph *b = &body->g;
  const rh_val z = rh_input(b, rh_shape1(head.n)), t = rh_input(b, rh_shape1(1));
  if (adjoint_state(b, f, z, t, all, &dy, &s)) {
    moved[0] = rh_reshape(b, s, rh_at(b, all[0])->shape);
    for (int i = 0; i < m; i++) {
      in[1 + i] = y1.in[1 + i];
      if (rh_is_none(tangents[1 + i])) continue;
      moved[2 + i] = rh_input(b, rh_at(b, all[2 + i])->shape);
      in[1 + head.captures++] = tangents[1 + i];
    }
    rh_val out[2] = {dy, RH_NONE};
    const rh_status status = rh_jvp(b, 2 + m, all, moved, 1, &dy, &out[1]);
    if (b->status == RH_OK) b->status = status;
    if (rh_is_none(out[1])) out[1] = rh_fill(b, rh_shape1(f->n), 0);
    dz = rh_concat(b, 2, out);
  }
  const rh_val start[2] = {y1.in[0], rh_is_none(tangents[0]) ? rh_fill(g, rh_shape1(f->n), 0) : tangents[0]};
  in[0] = rh_concat(g, 2, start);
  memcpy(mask, rh_ode_in_norm(f), (size_t)f->n);
  memcpy(mask + f->n, rh_ode_in_norm(f), (size_t)f->n);
  if (!rh_body_close(g, body, 1, &dz, true)) return RH_NONE;
  return part(g, rh_ode_emit(g, RH_OP_ode, &head, mask, body, 1, in, rh_shape1(head.n)), f->n, f->n, rh_at(g, y1.in[0])->shape);
}

static rh_val ode_steps_jvp(rh_graph *g, rh_val node, const rh_val *tangents) {
  const rh_val out[2] = {ode_jvp(g, node, tangents), RH_NONE};
  return g->status == RH_OK ? rh_tuple(g, &((const rh_ode_attr *)rh_at(g, node)->attr)->parts, out) : RH_NONE;
}

/* ---- running ---- */

typedef struct ode_work {
  rh_ode_bodies bodies; /* first */
  rh_ode_work *solver;
  rh_ode_problem problem;
  rh_tape tape;
} ode_work;

static int64_t ode_bytes(const void *raw) {
  const rh_ode_made *m = raw;
  return rh_ode_bytes(m) + rh_ode_work_bytes(m->attr->n, m->rows, m->real_bytes, m->options.method, m->sum);
}
static void ode_close(void *raw) {
  ode_work *w = raw;
  rh_ode_close(&w->bodies);
  rh_ode_work_destroy(w->solver);
  rh_free(w);
}
static rh_status ode_open(const void *raw, void **out) {
  const rh_ode_made *m = raw;
  ode_work *w = rh_alloc_zero(1, sizeof *w);
  if (!w) return RH_E_MEMORY;
  rh_status status = rh_ode_open(m, &w->bodies);
  if (status == RH_OK) status = rh_ode_work_create(m->attr->n, m->rows, m->real_bytes, m->options.method, m->sum, &w->solver);
  if (status != RH_OK) {
    ode_close(w);
    return status;
  }
  *out = w;
  return RH_OK;
}
static void ode_report(void *raw, rh_ode_report *sum) {
  rh_ode_add_report(&((ode_work *)raw)->bodies, sum);
}

static bool ode_derives(const void *raw) {
  const rh_ode_made *made = raw;
  return made->attr->derives || made->other;
}

static void solve(ode_work *w, int64_t rows, const void *y0, void *y1) {
  const rh_ode_made *m = w->bodies.args->made;
  rh_ode_solve(&w->problem, &m->options, w->solver, rows, y0, y1, &w->bodies.report);
}

static void ode_run(const rh_run_args *args) {
  ode_work *w = args->work;
  w->problem = rh_ode_begin(&w->bodies, args, 1);
  solve(w, args->rows, args->in[0], args->out);
}

static void *note_step(void *raw, int64_t row, double t, double h) {
  return rh_tape_step(&((const ode_work *)raw)->tape, row, t, h);
}
static void ode_steps_run(const rh_run_args *args) {
  ode_work *w = args->work;
  w->problem = rh_ode_begin(&w->bodies, args, 1);
  if (args->part[1]) {
    w->problem.stages = note_step;
    w->tape = rh_ode_tape_of(args, args->part[1]);
    rh_tape_begin(&w->tape, args->rows);
  }
  solve(w, args->rows, args->in[0], args->part[0]);
}

/* A piece solves its rows again, a few at a time, and adds what its steps say. The states at the end nobody reads. */
static void add_points(void *raw, int64_t points, const int64_t *row, const double *t, const double *weight, const void *y) {
  rh_ode_run_other(raw, points, row, t, y, NULL, weight);
}
static void solve_again(void *raw, int64_t base, int64_t rows) {
  ode_work *w = raw;
  const rh_run_args *args = w->bodies.args;
  solve(w, rows, (const char *)args->in[0] + base * w->problem.n * args->k->real_bytes, w->bodies.end);
}
static void ode_sum_run(const rh_run_args *args) {
  ode_work *w = args->work;
  w->problem = rh_ode_begin(&w->bodies, args, 1);
  w->problem.quadrature = add_points;
  rh_ode_run_sum(&w->bodies, args, solve_again);
}

static int64_t ode_flops(const rh_graph *g, const rh_node *node) {
  (void)g;
  const rh_ode_attr *a = node->attr;
  return rh_ode_evaluations(a) * (rh_body_flops(a->field) + (a->other ? rh_body_flops(a->other) : 0));
}

static const rh_op_bodies ode_bodies = {rh_ode_make, rh_ode_unmake, ode_bytes, ode_open, ode_close, ode_report, ode_derives};
const rh_op rh_op_ode = {
    .name = "ode", .order = -1, .vjp = ode_vjp, .jvp = ode_jvp, .run = ode_run, .flops = ode_flops, .solves = true, .bodies = &ode_bodies};
const rh_op rh_op_ode_steps = {.name = "ode_steps",
                               .order = 1,
                               .vjp = rh_ode_take_back,
                               .jvp = ode_steps_jvp,
                               .run = ode_steps_run,
                               .flops = ode_flops,
                               .parts = true,
                               .drops = true,
                               .solves = true,
                               .bodies = &ode_bodies};
const rh_op rh_op_ode_sum = {.name = "ode_sum",
                             .order = 0,
                             .reduces = true,
                             .run = ode_sum_run,
                             .flops = ode_flops,
                             .tasks = rh_ode_sum_tasks,
                             .solves = true,
                             .bodies = &ode_bodies};
