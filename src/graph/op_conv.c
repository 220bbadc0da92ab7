/* Convolution of images, channels last, as a trilinear form in (x, weight, dy): the operations are each other's derivatives. The image that
 * `conv2d` reads has its zero padding in it (a gather makes it), a halo that is known to be zero and has no derivative. Its adjoint in x is
 * the same operation with the window turned round, over the cotangent with a halo of its own, and, for strides, zeros between its pixels.
 */
#include "base/memory.h"
#include "graph/body.h"
#include "graph/ops.h"

typedef struct conv_attr {
  rh_conv_shape s;        /* as it runs: c and o are what is read and given */
  int64_t halo_h, halo_w; /* pixels on each side of the operand that are zero */
  int64_t turned;         /* not 0: the adjoint in x: weight [c', kh, kw, o'] is read with c' = c, o' = o, last tap first */
} conv_attr;

static const conv_attr *conv_of(const rh_node *node) {
  return node->attr;
}

/* rows x width indices for a gather, all of them -1; NULL: out of memory, which sticks. */
static int32_t *blank_index(rh_graph *g, int64_t rows, int64_t width) {
  int32_t *index = rh_alloc((size_t)(rows * width) * sizeof *index);
  if (!index) g->status = RH_E_MEMORY;
  for (int64_t i = 0; index && i < rows * width; i++) index[i] = -1;
  return index;
}

/* x [h, w, c] -> [to_h, to_w, c]: pixel (p, q) at (halo_h + p step, halo_w + q step), zeros elsewhere. */
static rh_val spread(rh_graph *g, rh_val x, int64_t halo_h, int64_t halo_w, int64_t step, int64_t to_h, int64_t to_w) {
  if (g->status != RH_OK) return RH_NONE;
  const rh_shape from = rh_at(g, x)->shape;
  const int64_t c = from.dim[2];
  int32_t *index = blank_index(g, to_h, to_w * c);
  if (!index) return RH_NONE;
  for (int64_t p = 0; p < from.dim[0]; p++)
    for (int64_t q = 0; q < from.dim[1]; q++) {
      const int64_t u = halo_h + p * step, v = halo_w + q * step;
      for (int64_t k = 0; k < c; k++) index[(u * to_w + v) * c + k] = (int32_t)((p * from.dim[1] + q) * c + k);
    }
  const rh_val y = rh_gather(g, x, rh_shape3(to_h, to_w, c), index);
  rh_free(index);
  return y;
}

static rh_conv_shape shape_of(const rh_shape *x, const rh_shape *weight, int64_t stride, int64_t pad, bool turned) {
  rh_conv_shape s = {.h = x->dim[0], .w = x->dim[1], .c = x->dim[2], .kh = weight->dim[1], .kw = weight->dim[2], .stride = stride};
  s.o = weight->dim[turned ? 3 : 0];
  s.oh = (s.h + 2 * pad - s.kh) / stride + 1, s.ow = (s.w + 2 * pad - s.kw) / stride + 1;
  return s;
}

/* padded: [h, w, c], its halo included. */
static rh_val emit(rh_graph *g, rh_val padded, rh_val weight, rh_val bias, int64_t stride, int64_t halo_h, int64_t halo_w, bool turned) {
  if (g->status != RH_OK) return RH_NONE;
  const conv_attr a = {shape_of(&rh_at(g, padded)->shape, &rh_at(g, weight)->shape, stride, 0, turned), halo_h, halo_w, turned};
  const rh_val in[3] = {rh_as_row(g, padded), weight, bias};
  return rh_emit(g, RH_OP_conv2d, 3, in, rh_shape3(a.s.oh, a.s.ow, a.s.o), &a, sizeof a);
}

rh_val rh_over_pixels(rh_graph *g, rh_val v, rh_shape image) {
  if (g->status != RH_OK || rh_is_none(v)) return rh_graph_fail(g, RH_E_ARGUMENT, "over_pixels without an operand");
  int32_t *index = blank_index(g, image.dim[0] * image.dim[1], image.dim[2]);
  if (!index) return RH_NONE;
  for (int64_t i = 0; i < rh_shape_count(&image); i++) index[i] = (int32_t)(i % image.dim[2]);
  const rh_val y = rh_gather(g, v, image, index);
  rh_free(index);
  return y;
}

/* ---- three ways to the same sums. Where an image has few channels, a product over copies of its windows; where the result has few, a
 * product by pixel and then the sum of what each tap gives: both are products at full speed, and the wide image has no halo. Else the
 * windows are read in place. ---- */
enum { NARROW_IN = 2, NARROW_OUT = 4 }; /* windows of at most so many times the result's channels; all taps', of the image's */

/* [oh, ow, kh kw c]: every pixel's window, zeros outside. */
static rh_val windows(rh_graph *g, rh_val x, const rh_conv_shape *s, int64_t pad) {
  const int64_t line = s->kw * s->c;
  int32_t *index = blank_index(g, s->oh * s->ow, s->kh * line);
  if (!index) return RH_NONE;
  for (int64_t at = 0; at < s->oh * s->ow * s->kh * line; at++) {
    const int64_t pixel = at / (s->kh * line), i = at / line % s->kh, j = at / s->c % s->kw;
    const int64_t u = pixel / s->ow * s->stride + i - pad, v = pixel % s->ow * s->stride + j - pad;
    if (u >= 0 && u < s->h && v >= 0 && v < s->w) index[at] = (int32_t)((u * s->w + v) * s->c + at % s->c);
  }
  const rh_val y = rh_gather(g, x, rh_shape3(s->oh, s->ow, s->kh * line), index);
  rh_free(index);
  return y;
}

/* z [h, w, kh kw o], what each pixel gives by tap -> [oh, ow, o] */
static rh_val sum_of_taps(rh_graph *g, rh_val z, const rh_conv_shape *s, int64_t pad) {
  const int64_t taps = s->kh * s->kw;
  int32_t *index = blank_index(g, s->h * s->w, taps * s->o);
  if (!index) return RH_NONE;
  for (int64_t at = 0; at < s->h * s->w * taps * s->o; at++) {
    const int64_t pixel = at / (taps * s->o), tap = at / s->o % taps, i = tap / s->kw, j = s->kw - 1 - tap % s->kw;
    const int64_t p = pixel / s->w + pad - i, q = pixel % s->w + pad - j;
    if (p >= 0 && p % s->stride == 0 && p / s->stride < s->oh && q >= 0 && q % s->stride == 0 && q / s->stride < s->ow)
      index[at] = (int32_t)((p / s->stride * s->ow + q / s->stride) * s->o + at % s->o);
  }
  const rh_val y = rh_scatter(g, z, rh_shape3(s->oh, s->ow, s->o), index);
  rh_free(index);
  return y;
}

rh_val rh_conv2d(rh_graph *g, rh_val x, rh_val weight, rh_val bias, int stride, int pad) {
  if (g->status != RH_OK) return RH_NONE;
  if (rh_is_none(x) || rh_is_none(weight) || rh_is_row(g, weight))
    return rh_graph_fail(g, RH_E_ARGUMENT, "conv2d: needs an operand and a parameter");
  const rh_shape *sx = &rh_at(g, x)->shape, *sw = &rh_at(g, weight)->shape;
  if (sx->rank != 3 || sw->rank != 4 || sx->dim[2] != sw->dim[3])
    return rh_graph_fail(g, RH_E_SHAPE, "conv2d: needs x [h, w, c] and weight [o, kh, kw, c] with one c");
  if (!rh_is_none(bias) && (rh_is_row(g, bias) || rh_count(g, bias) != sw->dim[0]))
    return rh_graph_fail(g, RH_E_SHAPE, "conv2d: the bias must be a parameter of %lld numbers", (long long)sw->dim[0]);
  if (stride < 1 || pad < 0 || pad >= sw->dim[1] || pad >= sw->dim[2])
    return rh_graph_fail(g, RH_E_SHAPE,
                         "conv2d: a stride of %d, a padding of %d: the stride is 1 or more, the padding less than the window", stride, pad);
  if (sx->dim[0] + 2 * pad < sw->dim[1] || sx->dim[1] + 2 * pad < sw->dim[2])
    return rh_graph_fail(g, RH_E_SHAPE, "conv2d: an image of %lld x %lld is smaller than the window", (long long)sx->dim[0],
                         (long long)sx->dim[1]);
  const rh_conv_shape s = shape_of(sx, sw, stride, pad, false);
  const int64_t taps = s.kh * s.kw;
  if (taps * s.c <= NARROW_IN * s.o) return rh_linear(g, windows(g, x, &s, pad), rh_reshape(g, weight, rh_shape2(s.o, taps * s.c)), bias);
  if (taps * s.o <= NARROW_OUT * s.c) {
    const rh_val y = sum_of_taps(g, rh_taps(g, x, weight), &s, pad);
    return rh_is_none(bias) ? y : rh_add(g, y, rh_over_pixels(g, bias, rh_shape3(s.oh, s.ow, s.o)));
  }
  const rh_val padded = pad ? spread(g, x, pad, pad, 1, s.h + 2 * pad, s.w + 2 * pad) : x;
  return emit(g, padded, weight, bias, stride, pad, pad, false);
}

/* [o, i, j, c] -> [c, kh - 1 - i, kw - 1 - j, o] */
static rh_val turn_round(rh_graph *g, rh_val v, const rh_conv_shape *s) {
  const int64_t taps = s->kh * s->kw;
  int32_t *index = blank_index(g, taps * s->o, s->c);
  if (!index) return RH_NONE;
  for (int64_t c = 0, at = 0; c < s->c; c++)
    for (int64_t tap = taps - 1; tap >= 0; tap--)
      for (int64_t o = 0; o < s->o; o++) index[at++] = (int32_t)((o * taps + tap) * s->c + c);
  const rh_val turned = rh_gather(g, v, rh_shape4(s->c, s->kh, s->kw, s->o), index);
  rh_free(index);
  return turned;
}

/* The sum over rows and windows: x: the padded operand; ct: of the result -> weight's shape. */
static rh_val emit_sum(rh_graph *g, rh_val x, rh_val ct, const rh_conv_shape *s) {
  const rh_val in[2] = {rh_as_row(g, x), rh_as_row(g, ct)};
  return rh_emit(g, RH_OP_conv2d_w, 2, in, rh_shape4(s->o, s->kh, s->kw, s->c), s, sizeof *s);
}
static rh_val weight_sum(rh_graph *g, rh_val x, rh_val ct, const conv_attr *a) {
  const rh_val sum = emit_sum(g, x, ct, &a->s);
  return a->turned ? turn_round(g, sum, &a->s) : sum;
}

static void conv2d_vjp(rh_graph *g, rh_val node, rh_val ct, rh_val *out) {
  const rh_node n = *rh_at(g, node);
  const conv_attr a = *conv_of(&n);
  const int64_t h = a.s.h - 2 * a.halo_h, w = a.s.w - 2 * a.halo_w, halo_h = a.s.kh - 1 - a.halo_h, halo_w = a.s.kw - 1 - a.halo_w;
  const rh_val dense = rh_reshape(g, ct, rh_shape3(a.s.oh, a.s.ow, a.s.o));
  const rh_val padded = spread(g, dense, halo_h, halo_w, a.s.stride, h + a.s.kh - 1, w + a.s.kw - 1);
  const rh_val inside = emit(g, padded, n.in[1], RH_NONE, 1, halo_h, halo_w, !a.turned);
  out[0] = a.halo_h || a.halo_w ? spread(g, inside, a.halo_h, a.halo_w, 1, a.s.h, a.s.w) : inside;
  out[1] = weight_sum(g, n.in[0], dense, &a);
  if (rh_is_none(n.in[2])) return;
  out[2] = rh_reshape(g, rh_sum_rows_last(g, rh_as_row(g, dense)), rh_at(g, n.in[2])->shape);
}
static rh_val conv2d_jvp(rh_graph *g, rh_val node, const rh_val *t) {
  const rh_node n = *rh_at(g, node);
  const conv_attr a = *conv_of(&n);
  rh_val v = rh_is_none(t[0]) ? RH_NONE : emit(g, t[0], n.in[1], RH_NONE, a.s.stride, a.halo_h, a.halo_w, a.turned);
  if (!rh_is_none(t[1])) v = rh_add_maybe(g, v, emit(g, n.in[0], t[1], RH_NONE, a.s.stride, a.halo_h, a.halo_w, a.turned));
  return rh_is_none(t[2]) ? v : rh_add_maybe(g, v, rh_over_pixels(g, t[2], n.shape));
}
static void conv2d_run(const rh_run_args *a) {
  a->k->conv(&conv_of(a->node)->s, a->rows, a->in[0], a->packed[1], a->in[2], a->out, a->epilogue, rh_gate_of(a));
}
static int64_t conv2d_flops(const rh_graph *g, const rh_node *node) {
  (void)g;
  const rh_conv_shape *s = &conv_of(node)->s;
  return 2 * s->oh * s->ow * s->o * s->kh * s->kw * s->c;
}

/* The window as a matrix [kh kw c, o] in panels, some at a time; turned round it is copied first. */
enum { PACK_CHUNK = 8 };
static bool conv_wants(const rh_node *node, int operand) {
  (void)node;
  return operand == 1;
}
static int64_t conv_terms(const rh_node *node) {
  const rh_conv_shape *s = &conv_of(node)->s;
  return s->kh * s->kw * s->c;
}
static int64_t conv_pack_count(const rh_kernels *k, const rh_node *node, const rh_shape *matrix, int operand) {
  (void)matrix, (void)operand;
  return k->pack_count(conv_terms(node), conv_of(node)->s.o);
}
static int64_t conv_pack_pieces(const rh_kernels *k, const rh_node *node, const rh_shape *matrix, int operand) {
  (void)matrix, (void)operand;
  const int64_t panels = (conv_of(node)->s.o + k->panel - 1) / k->panel;
  return conv_of(node)->turned ? 1 : (panels + PACK_CHUNK - 1) / PACK_CHUNK;
}
static int64_t conv_pack_scratch(const rh_kernels *k, const rh_node *node, const rh_shape *matrix, int operand) {
  (void)k, (void)operand;
  return conv_of(node)->turned ? rh_shape_count(matrix) : 0;
}

/* to [(i, j, c), o] = from [c, kh - 1 - i, kw - 1 - j, o] */
#define TURN(type)                                                                    \
  static void turn_##type(const rh_conv_shape *s, const type *from, type *to) {       \
    const int64_t taps = s->kh * s->kw;                                               \
    for (int64_t tap = 0; tap < taps; tap++)                                          \
      for (int64_t c = 0; c < s->c; c++) {                                            \
        const type *line = from + (c * taps + taps - 1 - tap) * s->o;                 \
        for (int64_t v = 0; v < s->o; v++) to[(tap * s->c + c) * s->o + v] = line[v]; \
      }                                                                               \
  }
TURN(float)
TURN(double)

static void conv_pack(const rh_kernels *k, const rh_node *node, const rh_shape *matrix, int operand, const void *from, void *packed,
                      int64_t piece, void *scratch) {
  (void)matrix, (void)operand;
  const conv_attr *a = conv_of(node);
  const int64_t terms = conv_terms(node), n = a->s.o, panels = (n + k->panel - 1) / k->panel, first = piece * PACK_CHUNK;
  if (a->turned) {
    if (k->real_bytes == 4) {
      turn_float(&a->s, from, scratch);
    } else {
      turn_double(&a->s, from, scratch);
    }
    k->pack(terms, n, scratch, n, 1, packed, 0, panels);
    return;
  }
  k->pack(terms, n, from, 1, terms, packed, first, first + PACK_CHUNK < panels ? first + PACK_CHUNK : panels);
}
static const rh_packing conv_packing = {
    .wants = conv_wants, .count = conv_pack_count, .pieces = conv_pack_pieces, .scratch = conv_pack_scratch, .pack = conv_pack};
const rh_op rh_op_conv2d = {.name = "conv2d",
                            .order = -1,
                            .vjp = conv2d_vjp,
                            .jvp = conv2d_jvp,
                            .run = conv2d_run,
                            .flops = conv2d_flops,
                            .packing = &conv_packing,
                            .epilogue = true};

/* ---- the gradient in the weight; a piece is some columns of it ---- */
enum { SUM_COLUMNS = 128 };
static int64_t conv2d_w_tasks(const rh_graph *g, const rh_node *node) {
  (void)g;
  return (rh_shape_count(&node->shape) / node->shape.dim[0] + SUM_COLUMNS - 1) / SUM_COLUMNS;
}
static void conv2d_w_run(const rh_run_args *a) {
  const rh_conv_shape *s = a->node->attr;
  const int64_t terms = s->kh * s->kw * s->c, first = a->task * SUM_COLUMNS, left = terms - first;
  a->k->conv_tn(s, a->rows, first, left < SUM_COLUMNS ? left : SUM_COLUMNS, a->in[0], a->in[1], a->out, a->accumulate);
}
static int64_t conv2d_w_flops(const rh_graph *g, const rh_node *node) {
  return 2 * rh_shape_count(&node->shape) * (rh_count(g, node->in[1]) / node->shape.dim[0]);
}
static rh_val conv2d_w_jvp(rh_graph *g, rh_val node, const rh_val *t) {
  const rh_node n = *rh_at(g, node);
  const rh_conv_shape s = *(const rh_conv_shape *)n.attr;
  const rh_val v = rh_is_none(t[0]) ? RH_NONE : emit_sum(g, t[0], n.in[1], &s);
  return rh_add_maybe(g, v, rh_is_none(t[1]) ? RH_NONE : emit_sum(g, n.in[0], t[1], &s));
}
const rh_op rh_op_conv2d_w = {.name = "conv2d_w",
                              .order = 0,
                              .reduces = true,
                              .jvp = conv2d_w_jvp,
                              .run = conv2d_w_run,
                              .flops = conv2d_w_flops,
                              .tasks = conv2d_w_tasks};
