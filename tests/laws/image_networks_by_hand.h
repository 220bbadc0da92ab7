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

static picture convolve(const net_law *n, const char *name, const picture *x) {
  int w, b;
  const rh_leaf *weight = leaf_of(n, name, "weight", &w);
  const int64_t out = leaf_of(n, name, "bias", &b)->count, kernel = weight->shape.dim[1], taps = kernel * kernel * x->c;
  picture y = {x->h, x->w, out, {0}};
  assert_int_equal(weight->count, out * taps);
  assert_true(x->h * x->w * out <= PICTURE);
  for (int64_t o = 0; o < out; o++) {
    double length = 0, by = 1;
    for (int64_t t = 0; t < taps; t++) length += pow(rh_values_get(&n->leaves, &n->values, w, o * taps + t), 2);
    if (has_option(n, "weight_norm")) by = leaf_at(n, name, "norm", o) / sqrt(length);
    for (int64_t i = 0; i < x->h; i++)
      for (int64_t j = 0; j < x->w; j++) {
        double sum = rh_values_get(&n->leaves, &n->values, b, o);
        for (int64_t t = 0; t < taps; t++)
          sum += by * rh_values_get(&n->leaves, &n->values, w, o * taps + t) *
                 padded(n, x, i + t / (kernel * x->c) - kernel / 2, j + t / x->c % kernel - kernel / 2, t % x->c);
        y.x[(i * x->w + j) * out + o] = sum;
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
#endif
