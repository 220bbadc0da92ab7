#include "net/pixels.h"

typedef struct channels_how {
  int64_t all, first; /* channels of a pixel; the first of those meant */
} channels_how;
static int64_t of_pixel(const void *arg, int64_t i) {
  const channels_how *how = arg;
  return i * how->all + how->first;
}
rh_val rh_channels_of(rh_graph *g, rh_val x, int64_t first, int64_t count) {
  if (g->status != RH_OK) return RH_NONE;
  const rh_shape s = rh_at(g, x)->shape;
  return rh_gather_runs(g, x, rh_shape3(s.dim[0], s.dim[1], count), count, of_pixel, &(channels_how){s.dim[2], first});
}

typedef struct join_how {
  int64_t c[2], pixels;
} join_how;
static int64_t of_either(const void *arg, int64_t i) {
  const join_how *how = arg;
  const int64_t pixel = i / (how->c[0] + how->c[1]), k = i % (how->c[0] + how->c[1]);
  return k < how->c[0] ? pixel * how->c[0] + k : how->pixels * how->c[0] + pixel * how->c[1] + k - how->c[0];
}
rh_val rh_channels_join(rh_graph *g, rh_val a, rh_val b) {
  if (g->status != RH_OK) return RH_NONE;
  const rh_shape s = rh_at(g, a)->shape;
  const join_how how = {{s.dim[2], rh_width(g, b)}, s.dim[0] * s.dim[1]};
  const rh_shape both = rh_shape3(s.dim[0], s.dim[1], how.c[0] + how.c[1]);
  return rh_gather_runs(g, rh_concat(g, 2, (rh_val[]){a, b}), both, 1, of_either, &how);
}

/* ---- padding ---- */

const char *const rh_padding_names[] = {
    [RH_PAD_ZERO] = "zero", [RH_PAD_REFLECT] = "reflect", [RH_PAD_CIRCULAR] = "circular", [RH_PAD_REPLICATE] = "replicate", NULL};

/* Which of n places stands at i, -p <= i < n + p; negative: none. */
static int64_t place(rh_padding how, int64_t i, int64_t n) {
  if (i >= 0 && i < n) return i;
  if (how == RH_PAD_REFLECT) return i < 0 ? -i : 2 * (n - 1) - i;
  if (how == RH_PAD_CIRCULAR) return i < 0 ? i + n : i - n;
  if (how == RH_PAD_REPLICATE) return i < 0 ? 0 : n - 1;
  return -1;
}

typedef struct pad_how {
  rh_padding how;
  int64_t h, w, c, p;
} pad_how;
static int64_t padded_pixel(const void *arg, int64_t i) {
  const pad_how *s = arg;
  const int64_t wide = s->w + 2 * s->p, a = place(s->how, i / wide - s->p, s->h), b = place(s->how, i % wide - s->p, s->w);
  return a < 0 || b < 0 ? -1 : (a * s->w + b) * s->c;
}
rh_val rh_pad(rh_graph *g, rh_val x, rh_padding how, int64_t p) {
  if (g->status != RH_OK || p == 0) return g->status == RH_OK ? x : RH_NONE;
  const rh_shape s = rh_at(g, x)->shape;
  const int64_t h = s.dim[0], w = s.dim[1], c = s.dim[2];
  return rh_gather_runs(g, x, rh_shape3(h + 2 * p, w + 2 * p, c), c, padded_pixel, &(pad_how){how, h, w, c, p});
}
