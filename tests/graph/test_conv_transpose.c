/* Transposed convolutions: every pixel spreads its window, in plain C; the cotangent of a convolution, to its bits; sizes that do not fit.
 */
#include "support/probe.h"

enum { ROWS = 3 };

typedef struct subject {
  int64_t h, w, c; /* the small image */
  int64_t kh, kw, o;
  int stride, pad;
  int64_t to_h, to_w; /* the large one */
} subject;

static const subject subjects[] = {
    {4, 5, 6, 3, 3, 7, 1, 1, 4, 5},                                  /* the size stays */
    {4, 5, 6, 3, 3, 7, 1, 0, 6, 7},  {3, 3, 5, 3, 3, 9, 2, 1, 5, 6}, /* an odd and an even size of one half */
    {3, 3, 5, 3, 3, 9, 2, 1, 6, 5},  {1, 1, 5, 3, 3, 6, 2, 1, 1, 2},     {4, 2, 6, 2, 2, 5, 2, 0, 8, 5}, {4, 4, 8, 4, 4, 8, 2, 1, 8, 8},
    {3, 2, 4, 1, 3, 6, 2, 0, 6, 5},  {2, 3, 6, 5, 4, 5, 3, 2, 6, 7},     {2, 3, 1, 3, 3, 1, 2, 1, 3, 6}, {5, 4, 2, 3, 3, 12, 1, 1, 5, 4},
    {5, 4, 12, 3, 3, 1, 2, 1, 9, 8}, {8, 8, 16, 3, 3, 33, 2, 1, 15, 16},
};

typedef struct rig {
  rh_leaves leaves;
  rh_values values;
  rh_graph g;
  rh_val x, weight, bias;
  double *data;
} rig;

static void begin(rig *r, const subject *s, int real_bytes) {
  memset(r, 0, sizeof *r);
  const rh_shape shapes[2] = {rh_shape4(s->c, s->kh, s->kw, s->o), rh_shape1(s->o)};
  for (int i = 0; i < 2; i++) {
    int leaf;
    double *values = probe_random(rh_shape_count(&shapes[i]), 1 + (uint64_t)i, -1, 1);
    PROBE_OK(rh_leaf_add(&r->leaves, RH_PARAM, shapes[i], (rh_init){RH_INIT_VALUES, 0, values}, false, &leaf, "w%d", i));
    free(values);
  }
  PROBE_OK(rh_values_create(&r->leaves, real_bytes, &r->values));
  rh_values_init(&r->leaves, 1, &r->values);
  PROBE_OK(rh_graph_init(&r->g, &r->leaves));
  r->x = rh_input(&r->g, rh_shape3(s->h, s->w, s->c));
  r->weight = rh_leaf_val(&r->g, 0), r->bias = rh_leaf_val(&r->g, 1);
  r->data = probe_random(ROWS * s->h * s->w * s->c, 3, -2, 2);
}

static void end(rig *r) {
  free(r->data);
  rh_graph_free(&r->g);
  rh_values_free(&r->values);
  rh_leaves_free(&r->leaves);
}

/* Pixel (i, j) adds its window to what begins at (i stride - pad, j stride - pad); what falls outside is lost. */
static void by_hand(const rig *r, const subject *s, const double *x, bool biased, double *y) {
  for (int64_t at = 0; at < s->to_h * s->to_w * s->o; at++) y[at] = biased ? rh_values_get(&r->leaves, &r->values, 1, at % s->o) : 0;
  for (int64_t i = 0; i < s->h; i++)
    for (int64_t j = 0; j < s->w; j++)
      for (int64_t a = 0; a < s->kh; a++)
        for (int64_t b = 0; b < s->kw; b++) {
          const int64_t u = i * s->stride - s->pad + a, v = j * s->stride - s->pad + b;
          if (u < 0 || u >= s->to_h || v < 0 || v >= s->to_w) continue;
          for (int64_t c = 0; c < s->c; c++)
            for (int64_t o = 0; o < s->o; o++)
              y[(u * s->to_w + v) * s->o + o] +=
                  x[(i * s->w + j) * s->c + c] * rh_values_get(&r->leaves, &r->values, 0, ((c * s->kh + a) * s->kw + b) * s->o + o);
        }
}

static void windows_are_spread(void **state) {
  (void)state;
  for (size_t k = 0; k < sizeof subjects / sizeof *subjects; k++)
    for (int real = 4; real <= 8; real += 4)
      for (int biased = 0; biased < 2; biased++) {
        const subject *s = &subjects[k];
        const int64_t n = s->to_h * s->to_w * s->o;
        rig r;
        begin(&r, s, real);
        const rh_val y = rh_conv2d_transpose(&r.g, r.x, r.weight, biased ? r.bias : RH_NONE, s->stride, s->pad, s->to_h, s->to_w);
        PROBE_OK(rh_graph_status(&r.g));
        assert_true(rh_at(&r.g, y)->shape.dim[0] == s->to_h && rh_at(&r.g, y)->shape.dim[1] == s->to_w && rh_width(&r.g, y) == s->o);
        double *got = malloc((size_t)(ROWS * n) * 8), *want = malloc((size_t)n * 8);
        probe p = {.g = &r.g, .values = &r.values, .real_bytes = real, .rows = ROWS, .input = {r.data}};
        p.n_row = 1, p.row_val[0] = y, p.row_out[0] = got;
        probe_run(&p);
        for (int64_t row = 0; row < ROWS; row++) {
          by_hand(&r, s, r.data + row * s->h * s->w * s->c, biased, want);
          for (int64_t i = 0; i < n; i++)
            if (!(fabs(got[row * n + i] - want[i]) <= (real == 8 ? 1e-13 : 3e-5)))
              fail_msg("subject %zu, %d bytes, number %ld: %.17g, by hand %.17g", k, real, (long)i, got[row * n + i], want[i]);
        }
        free(got), free(want);
        end(&r);
      }
}

/* d(sum of dy conv2d(image)) / d image, to the bit, whichever road a convolution takes. */
static void it_is_the_cotangent(void **state) {
  (void)state;
  for (size_t k = 0; k < sizeof subjects / sizeof *subjects; k++) {
    const subject *s = &subjects[k];
    const int64_t n = s->to_h * s->to_w * s->o;
    rig r;
    begin(&r, s, 4);
    const rh_val image = rh_input(&r.g, rh_shape3(s->to_h, s->to_w, s->o));
    const rh_val small = rh_conv2d(&r.g, image, r.weight, RH_NONE, s->stride, s->pad);
    rh_val up[2] = {rh_conv2d_transpose(&r.g, r.x, r.weight, RH_NONE, s->stride, s->pad, s->to_h, s->to_w), RH_NONE};
    PROBE_OK(rh_graph_status(&r.g));
    PROBE_OK(rh_vjp(&r.g, 1, &small, &r.x, 1, &image, &up[1], RH_KEEP));
    double *out[2], *images = probe_random(ROWS * n, 4, -1, 1);
    probe p = {.g = &r.g, .values = &r.values, .real_bytes = 4, .rows = ROWS, .input = {r.data, images}, .n_row = 2};
    for (int i = 0; i < 2; i++) p.row_val[i] = up[i], p.row_out[i] = out[i] = malloc((size_t)(ROWS * n) * 8);
    probe_run(&p);
    if (memcmp(out[0], out[1], (size_t)(ROWS * n) * 8) != 0) fail_msg("subject %zu: other bits than conv2d's cotangent", k);
    free(out[0]), free(out[1]), free(images);
    end(&r);
  }
}

static void wrong_sizes_are_refused(void **state) {
  (void)state;
  static const struct {
    subject s;
    const char *says;
  } cases[] = {
      {{3, 3, 2, 3, 3, 2, 2, 1, 7, 6}, "an image of 7 x 6 has no convolution of 3 x 3"},
      {{3, 3, 2, 3, 3, 2, 2, 1, 6, 4}, "an image of 6 x 4 has no convolution of 3 x 3"},
      {{3, 3, 2, 3, 3, 2, 1, 1, 0, 3}, "an image of 0 x 3"},
      {{3, 3, 2, 3, 3, 2, 0, 1, 3, 3}, "a stride of 0"},
      {{3, 3, 2, 3, 3, 2, 1, 3, 3, 3}, "a padding of 3"},
      {{3, 3, 2, 3, 3, 2, 1, -1, 3, 3}, "a padding of -1"},
  };
  for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
    const subject *s = &cases[k].s;
    rig r;
    begin(&r, s, 4);
    const rh_val y = rh_conv2d_transpose(&r.g, r.x, r.weight, r.bias, s->stride, s->pad, s->to_h, s->to_w);
    assert_true(rh_is_none(y) && rh_graph_status(&r.g) == RH_E_SHAPE);
    if (!strstr(rh_last_error(), cases[k].says)) fail_msg("'%s' does not say '%s'", rh_last_error(), cases[k].says);
    end(&r);
  }
  for (int wrong = 0; wrong < 2; wrong++) { /* channels, a bias of another size */
    const subject s = {3, 3, 2, 3, 3, 4, 1, 1, 3, 3};
    rig r;
    begin(&r, &s, 4);
    const rh_val x = wrong ? r.x : rh_input(&r.g, rh_shape3(3, 3, 4)), b = wrong ? rh_slice(&r.g, r.bias, 0, 3) : r.bias;
    assert_true(rh_is_none(rh_conv2d_transpose(&r.g, x, r.weight, b, 1, 1, 3, 3)));
    assert_non_null(strstr(rh_last_error(), wrong ? "the bias must be a parameter of 4 numbers" : "with one c"));
    end(&r);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(windows_are_spread), cmocka_unit_test(it_is_the_cotangent),
                                     cmocka_unit_test(wrong_sizes_are_refused)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
