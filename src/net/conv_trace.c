/* tr(df/dx) of convolutions W1, W2, W3 with slopes D1, D2 between them, as of dense layers (net/time_mlp.c). A convolution is a matrix
 * whose entry from pixel r to pixel p is its tap r - p, so what two make of each other sums over taps s alone, as long as the pixel p + s
 * that both touch lies inside the image: none   tr(W1) = h w sum_c W1[c, 0, c] one    tr(W2 D1 W1) = sum_p sum_a d1[p, a] sum_(s: p + s
 * inside) sum_c W1[a, s, c] W2[c, -s, a] two    tr(W3 D2 W2 D1 W1) = sum_p sum_e sum_ab d2[p - e, b] V_p[e, b, a] d1[p, a] V_p[e, b, a] =
 * W2[b, e, a] sum_(s: p + s inside) sum_c W1[a, s, c] W3[c, -(e + s), b] V_p is of parameters alone and the same for all pixels at the same
 * distance from the border, up to half a window: k^2 kinds of pixels at most. So an exact trace costs what the middle convolution costs,
 * for images of any size, and no probes and no columns. */
#include "net/conv_trace.h"

#include "net/types.h"

/* ---- windows ---- */

typedef struct window {
  int64_t h, w, k;
} window;

static int64_t half(const window *n) {
  return n->k / 2;
}

/* Does tap s of pixel p's window lie inside the image? */
static bool inside(const window *n, int64_t p, int64_t s) {
  const int64_t i = p / n->w + s / n->k - half(n), j = p % n->w + s % n->k - half(n);
  return i >= 0 && i < n->h && j >= 0 && j < n->w;
}

static void *scratch(rh_graph *g, size_t n, size_t bytes) {
  if (g->status != RH_OK) return NULL;
  void *room = rh_arena_alloc(&g->arena, n * bytes);
  if (!room) g->status = RH_E_MEMORY;
  return room;
}

/* 1 where a pixel's tap is inside, else 0: [h w, k k] */
static rh_val inside_map(rh_graph *g, const window *n) {
  const int64_t pixels = n->h * n->w, taps = n->k * n->k;
  double *map = scratch(g, (size_t)(pixels * taps), sizeof *map);
  if (!map) return RH_NONE;
  for (int64_t i = 0; i < pixels * taps; i++) map[i] = inside(n, i / taps, i % taps);
  return rh_const_values(g, rh_shape2(pixels, taps), map);
}

rh_val rh_inside_sums(rh_graph *g, rh_shape image, int64_t kernel, rh_val v) {
  const window n = {image.dim[0], image.dim[1], kernel};
  const int64_t taps = kernel * kernel;
  return rh_matmul(g, inside_map(g, &n), rh_reshape(g, v, rh_shape2(rh_count(g, v) / taps, taps)), false, true);
}

static rh_val weight(const rh_conv_trail *t, rh_graph *g, int l) {
  return rh_leaf_val(g, t->conv[l]->weight);
}

/* ---- none ---- */

static int64_t middle_tap(const void *arg, int64_t c) {
  const rh_convolution *w = arg;
  const int64_t taps = w->kernel * w->kernel;
  return (c * taps + taps / 2) * w->in + c;
}
static rh_val trace_of_one(const rh_conv_trail *t, rh_graph *g, const window *n) {
  const rh_val own = rh_gather_runs(g, weight(t, g, 0), rh_shape1(t->conv[0]->out), 1, middle_tap, t->conv[0]);
  return rh_mulc(g, rh_sum(g, rh_is_none(t->gate) ? own : rh_mul(g, own, t->gate)), (double)(n->h * n->w));
}

/* ---- one ---- */

/* [a, s, c]: W2[c, -s, a] */
static int64_t answering_tap(const void *arg, int64_t i) {
  const rh_convolution *w = arg; /* W2 */
  const int64_t taps = w->kernel * w->kernel, c = i % w->out, s = i / w->out % taps, a = i / (w->out * taps);
  return (c * taps + taps - 1 - s) * w->in + a;
}
/* [n, c] -> [c, n], of runs */
typedef struct turn_how {
  int64_t n, c, run;
} turn_how;
static int64_t turned(const void *arg, int64_t i) {
  const turn_how *how = arg;
  return (i % how->n * how->c + i / how->n) * how->run;
}
static rh_val trace_of_two(const rh_conv_trail *t, rh_graph *g, const window *n, rh_shape image) {
  const int64_t a = t->conv[0]->out, c = t->conv[1]->out, taps = n->k * n->k, pixels = n->h * n->w;
  const rh_val answer = rh_gather_runs(g, weight(t, g, 1), rh_shape3(a, taps, c), 1, answering_tap, t->conv[1]);
  const rh_val both = rh_mul(g, rh_reshape(g, weight(t, g, 0), rh_shape3(a, taps, c)), answer);
  if (rh_is_none(t->gate))
    return rh_sum(g, rh_mul(g, rh_reshape(g, t->slope[0], rh_shape2(pixels, a)), rh_inside_sums(g, image, n->k, rh_sum_last(g, both))));
  const rh_val by_channel = rh_gather_runs(g, both, rh_shape3(c, a, taps), 1, turned, &(turn_how){a * taps, c, 1});
  const rh_val inner = rh_inside_sums(g, image, n->k, by_channel); /* [h w, c, a] */
  const rh_val sums = rh_gather_runs(g, inner, rh_shape2(c, pixels * a), a, turned, &(turn_how){pixels, c, a});
  return rh_sum(g, rh_mul(g, t->gate, rh_linear(g, rh_reshape(g, t->slope[0], rh_shape1(pixels * a)), sums, RH_NONE)));
}

/* ---- two ---- */

typedef struct middle_how {
  window n;
  int64_t a, b, c; /* channels: hidden ones, the image's */
  int64_t s;       /* a tap of W1 */
  const int64_t *pixel;
} middle_how;

/* W3 [c, tap, b] -> [tap, b, c] */
static int64_t tap_first(const void *arg, int64_t i) {
  const middle_how *m = arg;
  const int64_t c = i % m->c, b = i / m->c % m->b, tap = i / (m->c * m->b);
  return (c * m->n.k * m->n.k + tap) * m->b + b;
}
/* From that [e, b, c]: tap -(e + s), where there is one; by runs of b c. */
static int64_t closing_tap(const void *arg, int64_t e) {
  const middle_how *m = arg;
  const int64_t k = m->n.k, i = 3 * half(&m->n) - e / k - m->s / k, j = 3 * half(&m->n) - e % k - m->s % k;
  return i >= 0 && i < k && j >= 0 && j < k ? (i * k + j) * m->b * m->c : -1;
}
/* W1[a, s, c] -> [a, c], by runs of c */
static int64_t opening_tap(const void *arg, int64_t a) {
  const middle_how *m = arg;
  return (a * m->n.k * m->n.k + m->s) * m->c;
}
/* W2 [b, e, a] -> [e, b, a], by runs of a */
static int64_t middle_by_tap(const void *arg, int64_t i) {
  const middle_how *m = arg;
  return (i % m->b * m->n.k * m->n.k + i / m->b) * m->a;
}
/* d1 of the pixels of one kind, [n, a], by runs of a */
static int64_t pixel_of_kind(const void *arg, int64_t i) {
  const middle_how *m = arg;
  return m->pixel[i] * m->a;
}
/* d2 around them, [n, e, b], of pixel p - e; by runs of b */
static int64_t reader_of_kind(const void *arg, int64_t i) {
  const middle_how *m = arg;
  const int64_t taps = m->n.k * m->n.k, p = m->pixel[i / taps], away = taps - 1 - i % taps; /* -e */
  if (!inside(&m->n, p, away)) return -1;
  return ((p / m->n.w + away / m->n.k - half(&m->n)) * m->n.w + p % m->n.w + away % m->n.k - half(&m->n)) * m->b;
}

/* For each tap s: sum_c W1[a, s, c] W3[c, -(e + s), b], [(e, b), a] */
static rh_val *round_trips(const rh_conv_trail *t, rh_graph *g, middle_how *m) {
  const int64_t taps = m->n.k * m->n.k;
  rh_val *round = scratch(g, (size_t)taps, sizeof *round);
  const rh_val closing = rh_gather_runs(g, weight(t, g, 2), rh_shape3(taps, m->b, m->c), 1, tap_first, m);
  for (m->s = 0; round && m->s < taps; m->s++) {
    const rh_val close = rh_gather_runs(g, closing, rh_shape2(taps * m->b, m->c), m->b * m->c, closing_tap, m);
    const rh_val open = rh_gather_runs(g, weight(t, g, 0), rh_shape2(m->a, m->c), m->c, opening_tap, m);
    round[m->s] = rh_matmul(g, close, open, false, true);
  }
  return round;
}

/* The pixels from `first` on with its taps inside -> how many; their places go into pixel. */
static int64_t same_kind(const window *n, int64_t first, int64_t *pixel, bool *seen) {
  int64_t found = 0;
  for (int64_t p = first; p < n->h * n->w; p++) {
    bool same = !seen[p];
    for (int64_t s = 0; s < n->k * n->k && same; s++) same = inside(n, p, s) == inside(n, first, s);
    if (same) pixel[found++] = p, seen[p] = true;
  }
  return found;
}

/* What the pixels of one kind add. */
static rh_val term_of_kind(const rh_conv_trail *t, rh_graph *g, const middle_how *m, int64_t found, const rh_val *round, rh_val middle) {
  const int64_t taps = m->n.k * m->n.k;
  rh_val sum = RH_NONE;
  for (int64_t s = 0; s < taps; s++)
    if (inside(&m->n, m->pixel[0], s)) sum = rh_add_maybe(g, sum, round[s]);
  const rh_val own = rh_gather_runs(g, t->slope[0], rh_shape2(found, m->a), m->a, pixel_of_kind, m);
  const rh_val readers = rh_gather_runs(g, t->slope[1], rh_shape2(found, taps * m->b), m->b, reader_of_kind, m);
  return rh_sum(g, rh_mul(g, readers, rh_linear(g, own, rh_mul(g, middle, sum), RH_NONE)));
}

static rh_val trace_of_three(const rh_conv_trail *t, rh_graph *g, const window *n) {
  middle_how m = {.n = *n, .a = t->conv[0]->out, .b = t->conv[1]->out, .c = t->conv[2]->out};
  const int64_t pixels = n->h * n->w, taps = n->k * n->k;
  int64_t *pixel = scratch(g, (size_t)pixels, sizeof *pixel);
  bool *seen = scratch(g, (size_t)pixels, sizeof *seen);
  const rh_val *round = round_trips(t, g, &m);
  const rh_val middle = rh_gather_runs(g, weight(t, g, 1), rh_shape2(taps * m.b, m.a), m.a, middle_by_tap, &m);
  if (g->status != RH_OK) return RH_NONE;
  rh_val sum = RH_NONE;
  m.pixel = pixel;
  for (int64_t p = 0; p < pixels; p++) seen[p] = false;
  for (int64_t p = 0; p < pixels && g->status == RH_OK; p++)
    if (!seen[p]) sum = rh_add_maybe(g, sum, term_of_kind(t, g, &m, same_kind(n, p, pixel, seen), round, middle));
  return sum;
}

rh_val rh_conv_trace(const rh_conv_trail *t, rh_graph *g, rh_shape image) {
  if (g->status != RH_OK) return RH_NONE;
  const window n = {image.dim[0], image.dim[1], t->conv[0]->kernel};
  if (t->n == 0) return trace_of_one(t, g, &n);
  return t->n == 1 ? trace_of_two(t, g, &n, image) : trace_of_three(t, g, &n);
}
