/* Convolution and its two adjoints: a trilinear form in (x, weight, dy), so the three operations are each other's derivatives. */
#include "graph/ops.h"
#include "kernel/conv.h"

static rh_shape out_shape(const rh_conv_shape *s) {
  return rh_shape3(s->o, s->h + 2 * s->pad - s->kh + 1, s->w + 2 * s->pad - s->kw + 1);
}
static rh_conv_shape conv_of(const rh_graph *g, rh_val node) {
  return *(const rh_conv_shape *)rh_at(g, node)->attr;
}
static rh_val emit(rh_graph *g, rh_op_id op, rh_val a, rh_val b, rh_shape shape, const rh_conv_shape *s) {
  const rh_val in[2] = {a, b};
  return rh_emit(g, op, 2, in, shape, s, sizeof *s);
}
static rh_val conv(rh_graph *g, rh_val x, rh_val w, const rh_conv_shape *s) {
  return emit(g, RH_OP_conv2d, x, w, out_shape(s), s);
}
static rh_val conv_x(rh_graph *g, rh_val dy, rh_val w, const rh_conv_shape *s) {
  return emit(g, RH_OP_conv2d_x, dy, w, rh_shape3(s->c, s->h, s->w), s);
}
static rh_val conv_w(rh_graph *g, rh_val x, rh_val dy, const rh_conv_shape *s) {
  return emit(g, RH_OP_conv2d_w, x, dy, rh_shape4(s->o, s->c, s->kh, s->kw), s);
}

rh_val rh_conv2d(rh_graph *g, rh_val x, rh_val weight, int pad) {
  if (g->status != RH_OK) return RH_NONE;
  if (!rh_is_row(g, x) || rh_is_none(weight) || rh_is_row(g, weight))
    return rh_graph_fail(g, RH_E_ARGUMENT, "conv2d: needs a row operand and a parameter");
  const rh_shape *sx = &rh_at(g, x)->shape, *sw = &rh_at(g, weight)->shape;
  if (sx->rank != 3 || sw->rank != 4 || sx->dim[0] != sw->dim[1])
    return rh_graph_fail(g, RH_E_SHAPE, "conv2d: needs x [c, h, w] and weight [o, c, kh, kw] with one c");
  const rh_conv_shape s = {sx->dim[0], sx->dim[1], sx->dim[2], sw->dim[0], sw->dim[2], sw->dim[3], pad};
  return conv(g, x, weight, &s);
}

static void conv2d_vjp(rh_graph *g, rh_val node, rh_val ct, rh_val *out) {
  const rh_node n = *rh_at(g, node);
  const rh_conv_shape s = conv_of(g, node);
  out[0] = conv_x(g, ct, n.in[1], &s);
  out[1] = conv_w(g, n.in[0], ct, &s);
}
static rh_val conv2d_jvp(rh_graph *g, rh_val node, const rh_val *t) {
  const rh_node n = *rh_at(g, node);
  const rh_conv_shape s = conv_of(g, node);
  const rh_val a = rh_is_none(t[0]) ? RH_NONE : conv(g, t[0], n.in[1], &s);
  return rh_add_maybe(g, a, rh_is_none(t[1]) ? RH_NONE : conv(g, n.in[0], t[1], &s));
}
static void conv2d_run(const rh_run_args *a) {
  rh_conv_forward(a->node->attr, a->k->real_bytes, a->rows, a->in[0], a->in[1], a->out);
}

static void conv2d_x_vjp(rh_graph *g, rh_val node, rh_val ct, rh_val *out) {
  const rh_node n = *rh_at(g, node);
  const rh_conv_shape s = conv_of(g, node);
  out[0] = conv(g, ct, n.in[1], &s);
  out[1] = conv_w(g, ct, n.in[0], &s);
}
static rh_val conv2d_x_jvp(rh_graph *g, rh_val node, const rh_val *t) {
  const rh_node n = *rh_at(g, node);
  const rh_conv_shape s = conv_of(g, node);
  const rh_val a = rh_is_none(t[0]) ? RH_NONE : conv_x(g, t[0], n.in[1], &s);
  return rh_add_maybe(g, a, rh_is_none(t[1]) ? RH_NONE : conv_x(g, n.in[0], t[1], &s));
}
static void conv2d_x_run(const rh_run_args *a) {
  rh_conv_input(a->node->attr, a->k->real_bytes, a->rows, a->in[0], a->in[1], a->out);
}

static rh_val conv2d_w_jvp(rh_graph *g, rh_val node, const rh_val *t) {
  const rh_node n = *rh_at(g, node);
  const rh_conv_shape s = conv_of(g, node);
  const rh_val a = rh_is_none(t[0]) ? RH_NONE : conv_w(g, t[0], n.in[1], &s);
  return rh_add_maybe(g, a, rh_is_none(t[1]) ? RH_NONE : conv_w(g, n.in[0], t[1], &s));
}
static void conv2d_w_run(const rh_run_args *a) {
  rh_conv_weight(a->node->attr, a->k->real_bytes, a->rows, a->in[0], a->in[1], a->out, a->task, a->task + 1, a->accumulate);
}
static int64_t conv2d_w_tasks(const rh_graph *g, const rh_node *node) {
  (void)g;
  return node->shape.dim[0];
}

static int64_t conv_flops(const rh_graph *g, const rh_node *node) {
  (void)g;
  const rh_conv_shape *s = node->attr;
  const rh_shape out = out_shape(s);
  return 2 * rh_shape_count(&out) * s->c * s->kh * s->kw;
}
const rh_op rh_op_conv2d = {.name = "conv2d", .order = -1, .vjp = conv2d_vjp, .jvp = conv2d_jvp, .run = conv2d_run, .flops = conv_flops};
const rh_op rh_op_conv2d_x = {
    .name = "conv2d_x", .order = -1, .vjp = conv2d_x_vjp, .jvp = conv2d_x_jvp, .run = conv2d_x_run, .flops = conv_flops};
const rh_op rh_op_conv2d_w = {.name = "conv2d_w",
                              .order = 0,
                              .reduces = true,
                              .jvp = conv2d_w_jvp,
                              .run = conv2d_w_run,
                              .flops = conv_flops,
                              .tasks = conv2d_w_tasks};
