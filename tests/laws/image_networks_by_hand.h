/* Networks of images in plain C, from the same weights and the options of their specification: one loop a pixel, a channel and a tap. */
#ifndef RH_TESTS_IMAGE_NETWORKS_BY_HAND_H
#define RH_TESTS_IMAGE_NETWORKS_BY_HAND_H
#include "laws/networks_by_hand.h"

enum { PICTURE = 128 };

typedef struct picture {
  int64_t h, w, c;
  double x[PICTURE]; /* [h, w, c] */
} picture;

static const char *text_option(const net_law *n, const char *key) {
  const char *text = json_string_value(json_object_get(n->net->spec, key));
  return text ? text : "none";
}

static int64_t int_option(const net_law *n, const char *key, int64_t otherwise) {
  const json_t *value = json_object_get(n->net->spec, key);
  return value ? (int64_t)json_integer_value(value) : otherwise;
}

static bool has_option(const net_law *n, const char *key) {
  return json_is_true(json_object_get(n->net->spec, key));
}

static double leaf_at(const net_law *n, const char *name, const char *what, int64_t i) {
  int leaf;
  (void)leaf_of(n, name, what, &leaf);
  return rh_values_get(&n->leaves, &n->values, leaf, i);
}

/* The number at row i, column j, channel k of the padded picture. */
static double padded(const net_law *n, const picture *x, int64_t i, int64_t j, int64_t k) {
  const char *how = text_option(n, "padding");
  const int64_t size[2] = {x->h, x->w};
  int64_t at[2] = {i, j};
  for (int d = 0; d < 2; d++) {
    const int64_t last = size[d] - 1;
    if (at[d] >= 0 && at[d] <= last) continue;
    if (!strcmp(how, "zero")) return 0;
    if (!strcmp(how, "circular")) at[d] = (at[d] + size[d]) % size[d];
    if (!strcmp(how, "replicate")) at[d] = at[d] < 0 ? 0 : last;
    if (!strcmp(how, "reflect")) at[d] = at[d] < 0 ? -at[d] : last - (at[d] - last);
  }
  return x->x[(at[0] * x->w + at[1]) * x->c + k];
}

/* What a convolution's weight is: with weight normalization of its output's length. */
static double weight_by_hand(const net_law *n, const char *name, int64_t taps, int64_t o, int64_t t) {
  double length = 0;
  if (!has_option(n, "weight_norm")) return leaf_at(n, name, "weight", o * taps + t);
  for (int64_t k = 0; k < taps; k++) length += pow(leaf_at(n, name, "weight", o * taps + k), 2);
  return leaf_at(n, name, "norm", o) * leaf_at(n, name, "weight", o * taps + t) / sqrt(length);
}

/* A picture of biases, with room for the rest: [h, w, out]. */
static picture begin_picture(const net_law *n, const char *name, int64_t h, int64_t w, int64_t in, int64_t *kernel) {
  int weight, bias;
  const rh_leaf *leaf = leaf_of(n, name, "weight", &weight);
  picture y = {h, w, leaf_of(n, name, "bias", &bias)->count, {0}};
  *kernel = leaf->shape.dim[1];
  assert_int_equal(leaf->count, y.c * *kernel * *kernel * in);
  assert_true(h * w * y.c <= PICTURE);
  for (int64_t i = 0; i < h * w * y.c; i++) y.x[i] = leaf_at(n, name, "bias", i % y.c);
  return y;
}

static picture convolve_by(const net_law *n, const char *name, const picture *x, int64_t stride) {
  int64_t kernel;
  picture y = begin_picture(n, name, (x->h + stride - 1) / stride, (x->w + stride - 1) / stride, x->c, &kernel);
  const int64_t taps = kernel * kernel * x->c;
  for (int64_t o = 0; o < y.c; o++)
    for (int64_t t = 0; t < taps; t++) {
      const double by = weight_by_hand(n, name, taps, o, t);
      for (int64_t i = 0; i < y.h; i++)
        for (int64_t j = 0; j < y.w; j++)
          y.x[(i * y.w + j) * y.c + o] +=
              by * padded(n, x, i * stride + t / (kernel * x->c) - kernel / 2, j * stride + t / x->c % kernel - kernel / 2, t % x->c);
    }
  return y;
}

static picture convolve(const net_law *n, const char *name, const picture *x) {
  return convolve_by(n, name, x, 1);
}

/* Every pixel of x adds its window to an image as large as `like`. */
static picture convolve_up(const net_law *n, const char *name, const picture *x, const picture *like) {
  int64_t kernel;
  picture y = begin_picture(n, name, like->h, like->w, x->c, &kernel);
  const int64_t taps = kernel * kernel * x->c;
  for (int64_t o = 0; o < y.c; o++)
    for (int64_t t = 0; t < taps; t++) {
      const double by = weight_by_hand(n, name, taps, o, t);
      for (int64_t i = 0; i < x->h; i++)
        for (int64_t j = 0; j < x->w; j++) {
          const int64_t u = 2 * i + t / (kernel * x->c) - kernel / 2, v = 2 * j + t / x->c % kernel - kernel / 2;
          if (u >= 0 && u < y.h && v >= 0 && v < y.w) y.x[(u * y.w + v) * y.c + o] += by * x->x[(i * x->w + j) * x->c + t % x->c];
        }
    }
  return y;
}

static picture input_picture(const net_law *n, const double *in) {
  const net_image *image = n->entry->row->image;
  picture x = {image->h, image->w, image->c, {0}};
  memcpy(x.x, in, (size_t)n->entry->row->in * sizeof *in);
  return x;
}

static void add_context(const net_law *n, const double *in, picture *x) {
  const net_row *row = n->entry->row;
  for (int64_t i = 0; i < x->h * x->w * x->c; i++)
    for (int64_t k = 0; k < row->context; k++) x->x[i] += leaf_at(n, "context", "weight", i % x->c * row->context + k) * in[row->in + k];
}

static void activate_all(const net_law *n, picture *x) {
  for (int64_t i = 0; i < x->h * x->w * x->c; i++) x->x[i] = activate(n->entry->activation, x->x[i]);
}

static void put_out(const net_law *n, const picture *y, double *out) {
  for (int64_t i = 0; i < n->entry->row->out; i++)
    out[i] = y->x[i] * (has_option(n, "gain") ? exp(3 * leaf_at(n, "", "gain", i % y->c)) : 1);
}

/* "conv" and, of one convolution, "conv_linear" */
static void conv_by_hand(const net_law *n, const double *in, double *out) {
  const bool one = !strcmp(n->entry->row->type, "conv_linear");
  picture x = input_picture(n, in), h = convolve(n, one ? "" : "0", &x);
  add_context(n, in, &h);
  if (!one) {
    activate_all(n, &h);
    const bool middle = int_option(n, "middle", 1) != 0;
    picture inner = middle ? convolve(n, "1", &h) : h;
    if (middle) activate_all(n, &inner);
    for (int64_t i = 0; i < h.h * h.w * h.c && has_option(n, "skip"); i++) inner.x[i] += h.x[i];
    h = convolve(n, "2", &inner);
  }
  put_out(n, &h, out);
}

/* Over a pixel's channels, or over a group's channels in all pixels. */
static void normalize(const net_law *n, const char *name, picture *x) {
  const char *kind = text_option(n, "norm");
  if (!strcmp(kind, "none")) return;
  const bool group = !strcmp(kind, "group");
  const int64_t all = x->h * x->w * x->c, per = group ? x->c / int_option(n, "groups", 1) : x->c;
  double y[PICTURE];
  for (int64_t i = 0; i < all; i++) {
    double mean = 0, variance = 0, count = 0;
    for (int turn = 0; turn < 2; turn++) {
      for (int64_t k = 0; k < all; k++) {
        if (k % x->c / per != i % x->c / per || (!group && k / x->c != i / x->c)) continue;
        if (turn)
          variance += pow(x->x[k] - mean, 2) / count;
        else
          mean += x->x[k], count++;
      }
      if (!turn) mean /= count;
    }
    y[i] = (x->x[i] - mean) / sqrt(variance + 1e-5) * leaf_at(n, name, "scale", i % x->c) + leaf_at(n, name, "shift", i % x->c);
  }
  memcpy(x->x, y, (size_t)all * sizeof *y);
}

static void conv_residual_by_hand(const net_law *n, const double *in, double *out) {
  const int blocks = (int)int_option(n, "blocks", 0), layers = has_option(n, "bottleneck") ? 3 : 2;
  const picture x = input_picture(n, in);
  picture h = convolve(n, "initial", &x);
  add_context(n, in, &h);
  for (int i = 0; i < blocks; i++) {
    picture inner = h;
    for (int j = 0; j < layers; j++) {
      char name[2][40];
      snprintf(name[0], sizeof name[0], "blocks.%d.%d", i, j);
      snprintf(name[1], sizeof name[1], "blocks.%d.norm.%d", i, j);
      normalize(n, name[1], &inner);
      activate_all(n, &inner);
      inner = convolve(n, name[0], &inner);
    }
    for (int64_t k = 0; k < h.h * h.w * h.c; k++) {
      const double *a = inner.x + k / h.c * inner.c;
      h.x[k] += has_option(n, "gated") ? a[k % h.c] / (1 + exp(-a[h.c + k % h.c])) : a[k % h.c];
    }
  }
  normalize(n, "final.norm", &h);
  activate_all(n, &h);
  h = convolve(n, "final", &h);
  put_out(n, &h, out);
}

static void conv_unet_by_hand(const net_law *n, const double *in, double *out) {
  enum { LEVELS = 8 };
  const bool sum = !strcmp(text_option(n, "skip"), "sum");
  const int most = (int)int_option(n, "levels", 0);
  const picture x = input_picture(n, in);
  picture level[LEVELS + 1];
  char name[24];
  int levels = 0;
  level[0] = convolve(n, "initial", &x);
  add_context(n, in, &level[0]);
  activate_all(n, &level[0]);
  for (; levels < most && level[levels].h * level[levels].w > 1; levels++) {
    snprintf(name, sizeof name, "down.%d", levels);
    level[levels + 1] = convolve_by(n, name, &level[levels], 2);
    activate_all(n, &level[levels + 1]);
  }
  picture h = level[levels];
  while (levels-- > 0) {
    const picture *down = &level[levels];
    snprintf(name, sizeof name, "up.%d", levels);
    const picture up = convolve_up(n, name, &h, down);
    picture both = {down->h, down->w, sum ? down->c : down->c + up.c, {0}};
    assert_true(both.h * both.w * both.c <= PICTURE);
    for (int64_t i = 0; i < both.h * both.w * both.c; i++) {
      const int64_t pixel = i / both.c, k = i % both.c;
      const double a = activate(n->entry->activation, up.x[pixel * up.c + k % up.c]);
      both.x[i] = sum ? down->x[i] + a : k < down->c ? down->x[pixel * down->c + k] : a;
    }
    snprintf(name, sizeof name, "merge.%d", levels);
    h = convolve(n, name, &both);
    activate_all(n, &h);
  }
  h = convolve(n, "final", &h);
  put_out(n, &h, out);
}
#endif
