/* Images' numbers on the line: logit with both published alphas, the fixed affine map, levels and bits. */
#include <float.h>

#include "bijection/part.h"

static const double alphas[] = {0.05, 1e-6};

static part logit_of(double alpha, int64_t d, int real_bytes) {
  char spec[80];
  snprintf(spec, sizeof spec, "{\"type\":\"logit\",\"alpha\":%g}", alpha);
  return part_make(spec, d, 0, real_bytes);
}

static void logit_is_its_formula(void **state) {
  (void)state;
  static const double x[4] = {0.25, 3, 128, 255.5};
  for (size_t a = 0; a < RH_COUNT_OF(alphas); a++)
    for (int real = 4; real <= 8; real += 4) {
      part p = logit_of(alphas[a], 4, real);
      const double near = real == 8 ? 1e-14 : 1e-6;
      double y[4], ladj, back[4], inverse, want = 0;
      part_forward(&p, 1, x, y, &ladj);
      part_inverse(&p, 1, y, back, &inverse);
      for (int i = 0; i < 4; i++) {
        const long double q = alphas[a] + (1 - 2 * (long double)alphas[a]) * (x[i] / 256.0L);
        const double logit = (double)(logl(q) - log1pl(-q));
        assert_true(fabs(y[i] - logit) <= near * fmax(1, fabs(logit)));
        assert_true(fabs(back[i] - x[i]) <= (real == 8 ? 1e-12 : 2e-5));
        want += (double)(logl((1 - 2 * (long double)alphas[a]) / 256) - logl(q) - log1pl(-q));
      }
      assert_true(fabs(ladj - want) <= near * fabs(want) && fabs(ladj + inverse) <= 4 * near * fabs(want));
      part_free(&p);
    }
}

/* All 256 levels, in single precision: x + u comes back, floored, as x, for noise that keeps two roundings (2 x 2^-16 at 255) away from the
 * cell's ends. */
static void every_level_comes_back(void **state) {
  (void)state;
  enum { LEVELS = 256, NOISES = 9 };
  static const double noise[NOISES] = {3.1e-5, 1e-4, 0.01, 0.3, 0.5, 0.7, 0.99, 0.9999, 1 - 3.1e-5};
  for (size_t a = 0; a < RH_COUNT_OF(alphas); a++) {
    part p = logit_of(alphas[a], 1, 4);
    double x[LEVELS * NOISES], y[LEVELS * NOISES], back[LEVELS * NOISES], ladj[LEVELS * NOISES];
    for (int i = 0; i < LEVELS * NOISES; i++) x[i] = (float)(i / NOISES + noise[i % NOISES]);
    part_forward(&p, LEVELS * NOISES, x, y, ladj);
    part_inverse(&p, LEVELS * NOISES, y, back, ladj);
    for (int i = 0; i < LEVELS * NOISES; i++)
      if (floor(back[i]) != i / NOISES) fail_msg("alpha %g: %.9g came back as %.9g", alphas[a], x[i], back[i]);
    part_free(&p);
  }
}

/* The ends are numbers: 255 and a noise near 1 are 256 in single precision. Beyond them the density is 0 and nothing has a gradient. */
static void outside_of_the_levels(void **state) {
  (void)state;
  static const double bad[] = {-1e-3, -1, -1e30, 256.001, 300, 1e30};
  for (size_t a = 0; a < RH_COUNT_OF(alphas); a++)
    for (int real = 4; real <= 8; real += 4) {
      part p = logit_of(alphas[a], 2, real);
      double y[2], ladj, grad[2], back[2];
      const double ends[2] = {0, 256}, beyond[4] = {-1000, 1000, -40, 40};
      part_run(&p, true, 1, ends, NULL, NULL, y, &ladj, grad);
      const double far = log(alphas[a]) - log1p(-alphas[a]), slope = (1 - 2 * alphas[a]) / 256;
      assert_true(fabs(y[0] - far) < 1e-6 * -far && fabs(y[1] + far) < 1e-6 * -far);
      assert_true(fabs(ladj - 2 * (log(slope) - log(alphas[a]) - log1p(-alphas[a]))) < 2e-5);
      for (size_t i = 0; i < RH_COUNT_OF(bad); i++) {
        const double x[2] = {i % 2 ? 7 : bad[i], i % 2 ? bad[i] : 7};
        part_run(&p, true, 1, x, NULL, NULL, y, &ladj, grad);
        assert_true(ladj == -INFINITY && isfinite(y[0]) && isfinite(y[1]));
        assert_true(grad[i % 2] == 0 && isfinite(grad[1 - i % 2]));
      }
      for (int r = 0; r < 2; r++) { /* codes of no number */
        part_inverse(&p, 1, beyond + 2 * r, back, &ladj);
        assert_true(back[0] == 0 && back[1] == 256 && isfinite(ladj));
      }
      part_free(&p);
    }
}

/* Glow's numbers in [-0.5, 0.5] are those of a fixed standardization with one mean and one scale for all columns. */
static void a_fixed_scale_is_standardize(void **state) {
  (void)state;
  part p = part_make("{\"type\":\"standardize\",\"mean\":128,\"scale\":256}", 3, 0, 4);
  const double x[3] = {0, 64, 255.5};
  double y[3], ladj;
  part_forward(&p, 1, x, y, &ladj);
  for (int i = 0; i < 3; i++) assert_true(y[i] == x[i] / 256 - 0.5);
  assert_true(fabs(ladj + 3 * log(256)) < 1e-5);
  part_free(&p);
}

/* Samples of a flow lie anywhere; what comes back is one of the levels. */
static void samples_are_levels(void **state) {
  (void)state;
  static const char *const specs[] = {"{\"type\":\"dequantize\",\"levels\":256}",
                                      "{\"type\":\"variational_dequantize\",\"shape\":[1,1,6],\"net\":{\"hidden\":2}}"};
  const double y[6] = {-3.5, 0.5, 255.5, 256, 1e9, -1e30}, want[6] = {0, 0, 255, 255, 255, 0};
  for (size_t i = 0; i < RH_COUNT_OF(specs); i++) {
    part p = part_make(specs[i], 6, 0, 4);
    double x[6], ladj;
    part_inverse(&p, 1, y, x, &ladj);
    assert_memory_equal(x, want, sizeof x);
    part_free(&p);
  }
}

static void bits_are_dropped(void **state) {
  (void)state;
  for (int bits = 1; bits <= 8; bits++) {
    char spec[80];
    snprintf(spec, sizeof spec, "{\"type\":\"quantize\",\"bits\":%d}", bits);
    part p = part_make(spec, 1, 0, 4);
    double x[256], y[256], back[256], ladj[256];
    for (int i = 0; i < 256; i++) x[i] = i;
    part_forward(&p, 256, x, y, ladj);
    part_inverse(&p, 256, y, back, ladj);
    for (int i = 0; i < 256; i++) assert_true(y[i] == i >> (8 - bits) && back[i] == i >> (8 - bits) << (8 - bits) && ladj[i] == 0);
    part_free(&p);
  }
}

/* Nothing is made that grows with the columns: noise is added and floored away, no list read. */
static void whole_numbers_need_no_lists(void **state) {
  (void)state;
  part p = part_make("{\"type\":\"dequantize\",\"levels\":256}", 3072, 0, 4);
  rh_graph g;
  PROBE_OK(rh_graph_init(&g, &p.leaves));
  const rh_val x = rh_input(&g, rh_shape1(3072)), u = rh_input(&g, rh_shape1(3072));
  rh_val y, ladj, back;
  rh_forward(p.b, &g, x, RH_NONE, u, &y, &ladj);
  rh_inverse(p.b, &g, y, RH_NONE, &back, &ladj);
  PROBE_OK(rh_graph_status(&g));
  assert_int_equal(g.n, 6); /* two inputs, their sum, floor, two limits */
  rh_graph_free(&g);
  part_free(&p);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(logit_is_its_formula),         cmocka_unit_test(every_level_comes_back), cmocka_unit_test(outside_of_the_levels),
      cmocka_unit_test(a_fixed_scale_is_standardize), cmocka_unit_test(samples_are_levels),     cmocka_unit_test(bits_are_dropped),
      cmocka_unit_test(whole_numbers_need_no_lists),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
