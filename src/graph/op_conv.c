/* Convolution of images, channels last, as a trilinear form in (x, weight, dy): the operations are each other's derivatives. The image that
 * `conv2d` reads has its zero padding in it (a gather makes it), a halo that is known to be zero and has no derivative. Its adjoint in x is
 * the same operation with the window turned round, over the cotangent with a halo of its own. */
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

/* x [h, w, c] with a halo of zeros. */
typedef struct halo_how {
  rh_shape from;
  int64_t h, w;
} halo_how;
static int64_t pixel_in_halo(const void *arg, int64_t i) {
  const halo_how *s = arg;
  const int64_t wide = s->from.dim[1] + 2 * s->w, p = i / wide - s->h, q = i % wide - s->w;
  return p >= 0 && q >= 0 && p < s->from.dim[0] && q < s->from.dim[1] ? (p * s->from.dim[1] + q) * s->from.dim[2] : -1;
}
static rh_val with_halo(rh_graph *g, rh_val x, int64_t halo_h, int64_t halo_w) {
  if (g->status != RH_OK) return RH_NONE;
  const halo_how how = {rh_at(g, x)->shape, halo_h, halo_w};
  const rh_shape s = how.from;
  return rh_gather_runs(g, x, rh_shape3(s.dim[0] + 2 * halo_h, s.dim[1] + 2 * halo_w, s.dim[2]), s.dim[2], pixel_in_halo, &how);
}

static rh_conv_shape shape_of(const rh_shape *x, const rh_shape *weight, int64_t stride, int64_t pad, bool turned) {
  rh_conv_shape s = {.h = x->dim[0], .w = x->dim[1], .c = x->dim[2], .kh = weight->dim[1], .kw = weight->dim[2], .stride = stride};
  s.o = weight->dim[turned ? 3 : 0];
  s.oh = (s.h + 2 * pad - s.kh) / stride + 1, s.ow = (s.w + 2 * pad - s.kw) / stride + 1;
  return s;
}

/* padded: [h, w, c], its halo included. */
static rh_val emit(rh_graph *g, rh_val padded, rh_val weight, rh_val bias, int64_t halo_h, int64_t halo_w, bool turned) {
  if (g->status != RH_OK) return RH_NONE;
  const conv_attr a = {shape_of(&rh_at(g, padded)->shape, &rh_at(g, weight)->shape, 1, 0, turned), halo_h, halo_w, turned};
  const rh_val in[3] = {rh_as_row(g, padded), weight, bias};
  return rh_emit(g, RH_OP_conv2d, 3, in, rh_shape3(a.s.oh, a.s.ow, a.s.o), &a, sizeof a);
}

static int64_t same_pixel(const void *arg, int64_t i) {
  (void)arg, (void)i;
  return 0;
}
rh_val rh_over_pixels(rh_graph *g, rh_val v, rh_shape image) {
  if (g->status != RH_OK || rh_is_none(v)) return rh_graph_fail(g, RH_E_ARGUMENT, "over_pixels without an operand");
  return rh_gather_runs(g, v, image, image.dim[2], same_pixel, NULL);
}

/* ---- three roads to the same sums, and back. Where an image has few channels, or the window goes by steps, a product over copies of its
 * windows; where the result has few, a product by pixel and then the sum of what each tap gives: both are products at full speed, the wide
 * image has no halo, and no zeros stand between the pixels of a cotangent. Else the windows are read in place. ---- */
typedef enum road { WINDOWS, TAPS, IN_PLACE } road;
enum { NARROW_IN = 2, NARROW_OUT = 4 }; /* windows of at most so many times the result's channels; all taps', of the image's */
static road road_of(const rh_conv_shape *s) {
  const int64_t taps = s->kh * s->kw;
  if (s->stride > 1 || taps * s->c <= NARROW_IN * s->o) return WINDOWS;
  return taps * s->o <= NARROW_OUT * s->c ? TAPS : IN_PLACE;
}

typedef struct window_how {
  rh_conv_shape s;
  int64_t pad;
} window_how;

/* [oh, ow, kh kw c]: every pixel's window, zeros outside. */
static int64_t window_pixel(const void *arg, int64_t at) {
  const window_how *how = arg;
  const rh_conv_shape *s = &how->s;
  const int64_t pixel = at / (s->kh * s->kw), i = at / s->kw % s->kh, j = at % s->kw;
  const int64_t u = pixel / s->ow * s->stride + i - how->pad, v = pixel % s->ow * s->stride + j - how->pad;
  return u >= 0 && u < s->h && v >= 0 && v < s->w ? (u * s->w + v) * s->c : -1;
}
static rh_val as_windows(rh_graph *g, rh_val weight, const rh_conv_shape *s) {
  return rh_reshape(g, weight, rh_shape2(s->o, s->kh * s->kw * s->c));
}

/* [h, w, kh kw o], what each pixel gives by tap: the pixel of [oh, ow, o] that it goes to. Of stride 1. */
static int64_t pixel_of_tap(const void *arg, int64_t at) {
  const window_how *how = arg;
  const rh_conv_shape *s = &how->s;
  const int64_t pixel = at / (s->kh * s->kw), tap = at % (s->kh * s->kw), i = tap / s->kw, j = s->kw - 1 - tap % s->kw;
  const int64_t p = pixel / s->w + how->pad - i, q = pixel % s->w + how->pad - j;
  return p >= 0 && q >= 0 && p < s->oh && q < s->ow ? (p * s->ow + q) * s->o : -1;
}

static rh_val plus_bias(rh_graph *g, rh_val y, rh_val bias) {
  return g->status != RH_OK || rh_is_none(bias) ? y : rh_add(g, y, rh_over_pixels(g, bias, rh_at(g, y)->shape));
}

/* What a convolution asks of its operands; from, to: where in the weight's shape the channels of x and of the result stand. */
static bool fits(rh_graph *g, const char *name, rh_val x, rh_val weight, rh_val bias, int stride, int pad, int from, int to) {
  if (g->status != RH_OK) return false;
  if (rh_is_none(x) || rh_is_none(weight) || rh_is_row(g, weight)) {
    rh_graph_fail(g, RH_E_ARGUMENT, "%s: needs an operand and a parameter", name);
    return false;
  }
  const rh_shape *sx = &rh_at(g, x)->shape, *sw = &rh_at(g, weight)->shape;
  if (sx->rank != 3 || sw->rank != 4 || sx->dim[2] != sw->dim[from])
    rh_graph_fail(g, RH_E_SHAPE, "%s: needs x [h, w, c] and weight [%s] with one c", name, from ? "o, kh, kw, c" : "c, kh, kw, o");
  else if (!rh_is_none(bias) && (rh_is_row(g, bias) || rh_count(g, bias) != sw->dim[to]))
    rh_graph_fail(g, RH_E_SHAPE, "%s: the bias must be a parameter of %lld numbers", name, (long long)sw->dim[to]);
  else if (stride < 1 || pad < 0 || pad >= sw->dim[1] || pad >= sw->dim[2])
    rh_graph_fail(g, RH_E_SHAPE, "%s: a stride of %d, a padding of %d: the stride is 1 or more, the padding less than the window", name,
                  stride, pad);
  return g->status == RH_OK;
}

rh_val rh_conv2d(rh_graph *g, rh_val x, rh_val weight, rh_val bias, int stride, int pad) {
  if (!fits(g, "conv2d", x, weight, bias, stride, pad, 3, 0)) return RH_NONE;
  const rh_shape *sx = &rh_at(g, x)->shape, *sw = &rh_at(g, weight)->shape;
  if (sx->dim[0] + 2 * pad < sw->dim[1] || sx->dim[1] + 2 * pad < sw->dim[2])
    return rh_graph_fail(g, RH_E_SHAPE, "conv2d: an image of %lld x %lld is smaller than the window", (long long)sx->dim[0],
                         (long long)sx->dim[1]);
  const window_how how = {shape_of(sx, sw, stride, pad, false), pad};
  const rh_conv_shape s = how.s;
  const int64_t taps = s.kh * s.kw;
  const road way = road_of(&s);
  if (way == IN_PLACE) return emit(g, with_halo(g, x, pad, pad), weight, bias, pad, pad, false);
  if (way == WINDOWS)
    return rh_linear(g, rh_gather_runs(g, x, rh_shape3(s.oh, s.ow, taps * s.c), s.c, window_pixel, &how), as_windows(g, weight, &s), bias);
  const rh_val by_tap = rh_taps(g, x, weight), y = rh_scatter_runs(g, by_tap, rh_shape3(s.oh, s.ow, s.o), s.o, pixel_of_tap, &how);
  return plus_bias(g, y, bias);
}

/* The adjoint in x of the convolution `a`: dy [oh, ow, o] -> what lies inside the halo of its operand. */
static rh_val adjoint(rh_graph *g, rh_val dy, rh_val weight, rh_val bias, const conv_attr *a) {
  const int64_t halo_h = a->s.kh - 1 - a->halo_h, halo_w = a->s.kw - 1 - a->halo_w;
  return emit(g, with_halo(g, dy, halo_h, halo_w), weight, bias, halo_h, halo_w, !a->turned);
}

rh_val rh_conv2d_transpose(rh_graph *g, rh_val x, rh_val weight, rh_val bias, int stride, int pad, int64_t h, int64_t w) {
  if (!fits(g, "conv2d_transpose", x, weight, bias, stride, pad, 0, 3)) return RH_NONE;
  const rh_shape *sx = &rh_at(g, x)->shape, *sw = &rh_at(g, weight)->shape, large = rh_shape3(h, w, sw->dim[3]);
  const window_how how = {shape_of(&large, sw, stride, pad, false), pad}; /* of the convolution whose transpose this is */
  const rh_conv_shape s = how.s;
  if (h < 1 || w < 1 || h + 2 * pad < s.kh || w + 2 * pad < s.kw || s.oh != sx->dim[0] || s.ow != sx->dim[1])
    return rh_graph_fail(g, RH_E_SHAPE,
                         "conv2d_transpose: an image of %lld x %lld has no convolution of %lld x %lld: a side must be from (n - 1) stride "
                         "+ window - 2 pad to stride - 1 more",
                         (long long)h, (long long)w, (long long)sx->dim[0], (long long)sx->dim[1]);
  const road way = road_of(&s);
  if (way == IN_PLACE) return adjoint(g, x, weight, bias, &(conv_attr){s, pad, pad, false});
  if (way == WINDOWS)
    return plus_bias(g, rh_scatter_runs(g, rh_linear_t(g, x, as_windows(g, weight, &s)), large, s.c, window_pixel, &how), bias);
  const rh_shape by_tap = rh_shape3(h, w, s.kh * s.kw * s.o);
  return plus_bias(g, rh_taps_t(g, rh_gather_runs(g, x, by_tap, s.o, pixel_of_tap, &how), weight), bias);
}

/* [o, i, j, c] -> [c, kh - 1 - i, kw - 1 - j, o] */
static int64_t opposite_tap(const void *arg, int64_t at) {
  const rh_conv_shape *s = arg;
  const int64_t taps = s->kh * s->kw, tap = taps - 1 - at / s->o % taps;
  return (at % s->o * taps + tap) * s->c + at / (s->o * taps);
}
static rh_val turn_round(rh_graph *g, rh_val v, const rh_conv_shape *s) {
  return rh_gather_runs(g, v, rh_shape4(s->c, s->kh, s->kw, s->o), 1, opposite_tap, s);
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
  const rh_val dense = rh_reshape(g, ct, rh_shape3(a.s.oh, a.s.ow, a.s.o));
  const rh_val inside = adjoint(g, dense, n.in[1], RH_NONE, &a);
  out[0] = with_halo(g, inside, a.halo_h, a.halo_w);
  out[1] = weight_sum(g, n.in[0], dense, &a);
  if (rh_is_none(n.in[2])) return;
  out[2] = rh_reshape(g, rh_sum_rows_last(g, rh_as_row(g, dense)), rh_at(g, n.in[2])->shape);
}
static rh_val conv2d_jvp(rh_graph *g, rh_val node, const rh_val *t) {
  const rh_node n = *rh_at(g, node);
  const conv_attr a = *conv_of(&n);
  rh_val v = rh_is_none(t[0]) ? RH_NONE : emit(g, t[0], n.in[1], RH_NONE, a.halo_h, a.halo_w, a.turned);
  if (!rh_is_none(t[1])) v = rh_add_maybe(g, v, emit(g, n.in[0], t[1], RH_NONE, a.halo_h, a.halo_w, a.turned));
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
