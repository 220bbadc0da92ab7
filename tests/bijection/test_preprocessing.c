/* What stands before the couplings: limited support, discrete, dropped, standardized and whitened columns; data-dependent starts. */
#include <float.h>

#include "bijection/part.h"

/* ---- support ---- */

#define SUPPORT                                                                                                                           \
  "{\"type\":\"support\",\"columns\":[{\"column\":0,\"kind\":\"log\",\"low\":1},{\"column\":2,\"kind\":\"logit\",\"low\":-1,\"high\":3}," \
  "{\"column\":3,\"kind\":\"softplus\",\"low\":0},{\"column\":4,\"kind\":\"log\",\"high\":2},{\"column\":5,\"kind\":\"softplus\","        \
  "\"high\":0}]}"

static void support_is_its_formulas(void **state) {
  (void)state;
  const double x[6] = {3.5, 7, 0.5, 1.25, -0.75, -2};
  const double want[6] = {log(2.5), 7, log(1.5 / 2.5), log(expm1(1.25)), -log(2.75), -log(expm1(2))};
  const double jacobian = -log(2.5) + log(4 / (1.5 * 2.5)) - log(-expm1(-1.25)) - log(2.75) - log(-expm1(-2.0));
  for (int real = 4; real <= 8; real += 4) {
    part p = part_make(SUPPORT, 6, 0, real);
    const double near = real == 8 ? 1e-15 : 1e-6;
    double y[6], ladj, back[6], inverse;
    part_forward(&p, 1, x, y, &ladj);
    part_inverse(&p, 1, y, back, &inverse);
    assert_true(y[1] == 7);
    for (int i = 0; i < 6; i++) {
      assert_true(fabs(y[i] - want[i]) < near * 5);
      assert_true(fabs(back[i] - x[i]) < near * 10);
    }
    assert_true(fabs(ladj - jacobian) < near * 10 && fabs(ladj + inverse) < near * 20);
    part_free(&p);
  }
}

/* Outside the density is 0, at once -inf and with a gradient that harms nothing; the limits themselves are outside. */
static void outside_the_support(void **state) {
  (void)state;
  const double inside[6] = {3.5, 7, 0.5, 1.25, -0.75, -2};
  static const double bad[][2] = {{0, 1}, {0, -5}, {2, -1}, {2, 3}, {2, 4}, {3, 0}, {3, -1e30}, {4, 2}, {4, 9}, {5, 1}};
  for (int real = 4; real <= 8; real += 4) {
    part p = part_make(SUPPORT, 6, 0, real);
    for (size_t i = 0; i < RH_COUNT_OF(bad); i++) {
      double x[6], y[6], ladj, grad[6];
      memcpy(x, inside, sizeof x);
      x[(int)bad[i][0]] = bad[i][1];
      part_run(&p, true, 1, x, NULL, NULL, y, &ladj, grad);
      assert_true(ladj == -INFINITY);
      for (int j = 0; j < 6; j++) assert_true(isfinite(y[j]) && isfinite(grad[j]));
    }
    part_free(&p);
  }
}

/* As near to the limits as numbers go, and as far out as they go. */
static void support_at_its_ends(void **state) {
  (void)state;
  for (int real = 4; real <= 8; real += 4) {
    const double least = real == 8 ? DBL_MIN : (double)FLT_MIN, most = real == 8 ? 1e300 : 1e37,
                 eps = real == 8 ? DBL_EPSILON : (double)FLT_EPSILON;
    part p = part_make(
        "{\"type\":\"support\",\"columns\":[{\"column\":0,\"kind\":\"log\",\"low\":0},{\"column\":1,\"kind\":\"logit\",\"low\":0,\"high\":"
        "1},"
        "{\"column\":2,\"kind\":\"softplus\",\"low\":0}]}",
        3, 0, real);
    const double x[12] = {least, least, least, most, 1 - eps / 2, most, 1, eps, 1e-30, 1e-30, 0.5, 50};
    double y[12], back[12], ladj[4], inverse[4], grad[12];
    part_run(&p, true, 4, x, NULL, NULL, y, ladj, grad);
    part_inverse(&p, 4, y, back, inverse);
    for (int i = 0; i < 12; i++) {
      assert_true(isfinite(y[i]) && isfinite(back[i]));
      if (fabs(back[i] - x[i]) > 2e3 * eps * x[i]) fail_msg("number %d: %.17g came back as %.17g", i, x[i], back[i]);
    }
    for (int r = 0; r < 4; r++) assert_true(isfinite(ladj[r]) && fabs(ladj[r] + inverse[r]) <= 1e3 * eps * fmax(1, fabs(ladj[r])));
    /* codes far out decode to the limits, never beyond */
    const double far[6] = {-1000, -1000, -1000, 80, 1000, 1000};
    part_inverse(&p, 2, far, back, inverse);
    assert_true(back[0] == 0 && back[1] == 0 && back[2] == 0 && isfinite(back[3]) && back[4] == 1 && back[5] == 1000);
    part_free(&p);
  }
}

/* ---- dequantize ---- */

#define GRIDS                                                                                                                              \
  "{\"type\":\"dequantize\",\"columns\":[{\"column\":2,\"step\":0.5,\"offset\":0.25},{\"column\":0,\"step\":1,\"levels\":[-3,0,2.5,100]}," \
  "{\"column\":3,\"step\":2}]}"

static void discrete_columns_come_back(void **state) {
  (void)state;
  static const double levels[4] = {-3, 0, 2.5, 100};
  enum { ROWS = 400, D = 4 };
  double *u = probe_random(ROWS * 3, 1, 0, 1), x[ROWS * D], y[ROWS * D], back[ROWS * D], ladj[ROWS];
  for (int r = 0; r < ROWS; r++) {
    x[r * D] = levels[r % 4];
    x[r * D + 1] = 0.1 * r;
    x[r * D + 2] = 0.25 + 0.5 * (r % 17 - 8);
    x[r * D + 3] = 2 * (r % 5);
  }
  for (int real = 4; real <= 8; real += 4) {
    part p = part_make(GRIDS, D, 0, real);
    assert_int_equal(p.b->noise, 3);
    assert_false(p.b->exact);
    part_run(&p, true, ROWS, x, NULL, u, y, ladj, NULL);
    const double eps = real == 8 ? 1e-14 : 1e-5;
    for (int r = 0; r < ROWS; r++) {
      assert_true(ladj[r] == 0); /* the density of x's cell, in units of x */
      assert_true(fabs(y[r * D + 2] - (x[r * D + 2] + 0.5 * u[r * 3])) < eps);
      assert_true(fabs(y[r * D] - (x[r * D] + u[r * 3 + 1])) < eps * 10);
      assert_true(fabs(y[r * D + 3] - (x[r * D + 3] + 2 * u[r * 3 + 2])) < eps);
    }
    part_inverse(&p, ROWS, y, back, ladj);
    for (int i = 0; i < ROWS * D; i++) assert_true(i % D == 1 ? fabs(back[i] - x[i]) < eps : back[i] == x[i]);
    part_free(&p);
  }
  free(u);
}

static void codes_between_levels_go_down(void **state) {
  (void)state;
  part p = part_make(GRIDS, 4, 0, 8);
  const double y[12] = {-50, 1, 0.74, -0.1, 2.4999, 2, 0.75, 1.9, 2.5, 3, -0.26, 2};
  const double want[12] = {-3, 1, 0.25, -2, 0, 2, 0.75, 0, 2.5, 3, -0.75, 2};
  double x[12], ladj[3];
  part_inverse(&p, 3, y, x, ladj);
  assert_memory_equal(x, want, sizeof x);
  part_free(&p);
  p = part_make("{\"type\":\"dequantize\"}", 2, 0, 8); /* every column, step 1 */
  assert_int_equal(p.b->noise, 2);
  const double u[2] = {0.25, 0.5}, whole[2] = {3, -7};
  part_run(&p, true, 1, whole, NULL, u, x, ladj, NULL);
  assert_true(x[0] == 3.25 && x[1] == -6.5);
  part_free(&p);
}

/* The cell's probability is the mean over the noise of step p(y): on a grid of 8 levels under a known density, by a fine sum over u. */
static void the_bound_is_at_most_the_exact_value(void **state) {
  (void)state;
  enum { N = 2000 };
  part p = part_make("{\"type\":\"dequantize\",\"columns\":[{\"column\":0,\"step\":0.5,\"offset\":-2}]}", 1, 0, 8);
  double total = 0;
  for (int k = 0; k < 12; k++) {
    const double x = -3 + 0.5 * k;
    double xs[N], u[N], y[N], ladj[N], mean = 0, bound = 0;
    for (int i = 0; i < N; i++) xs[i] = x, u[i] = (i + 0.5) / N;
    part_run(&p, true, N, xs, NULL, u, y, ladj, NULL);
    for (int i = 0; i < N; i++) {
      const double log_p = -0.5 * y[i] * y[i] - 0.91893853320467274 + ladj[i];
      mean += exp(log_p) / N;
      bound += log_p / N;
    }
    const double exact = 0.5 * (erf((x + 0.5) * sqrt(0.5)) - erf(x * sqrt(0.5)));
    assert_true(fabs(mean * 0.5 - exact) < 1e-7);
    assert_true(bound + log(0.5) <= log(exact));
    total += mean * 0.5;
  }
  assert_true(fabs(total - erf(3 * sqrt(0.5))) < 1e-6);
  part_free(&p);
}

/* ---- drop ---- */

static void dropped_columns_are_rebuilt(void **state) {
  (void)state;
  part p = part_make(
      "{\"type\":\"drop\",\"columns\":[{\"column\":1,\"recipe\":{\"kind\":\"constant\",\"value\":4.5},\"reason\":\"constant\"},"
      "{\"column\":3,\"recipe\":{\"kind\":\"copy\",\"of\":2}},"
      "{\"column\":0,\"recipe\":{\"kind\":\"linear\",\"intercept\":10,\"of\":[4,2],\"weights\":[2,-1],\"error\":1e-9}},"
      "{\"column\":5,\"recipe\":{\"kind\":\"constant\",\"value\":-1}}]}",
      6, 0, 8);
  const double x[12] = {10 + 2 * 7 - 3, 4.5, 3, 3, 7, -1, 10 + 2 * 0.5 + 2, 4.5, -2, -2, 0.5, -1};
  double y[4], back[12], ladj[2];
  assert_int_equal(p.b->out.dim[0], 2);
  assert_false(p.b->exact);
  part_forward(&p, 2, x, y, ladj);
  const double want[4] = {3, 7, -2, 0.5};
  assert_memory_equal(y, want, sizeof y);
  assert_true(ladj[0] == 0 && ladj[1] == 0);
  part_inverse(&p, 2, y, back, ladj);
  assert_memory_equal(back, x, sizeof x);
  part_free(&p);
}

/* ---- data-dependent starts ---- */

enum { N = 500, D = 3 };
static void sample_rows(double *x) {
  double *u = probe_random(N * D, 9, -1, 1);
  for (int r = 0; r < N; r++) {
    x[r * D] = 100 + 5 * u[r * D];
    x[r * D + 1] = -2 + 0.01 * u[r * D + 1] + 0.3 * u[r * D];
    x[r * D + 2] = 7; /* does not vary */
  }
  free(u);
}

static void moments(const double *y, double *mean, double cov[D][D]) {
  for (int i = 0; i < D; i++) {
    mean[i] = 0;
    for (int r = 0; r < N; r++) mean[i] += y[r * D + i] / N;
  }
  for (int i = 0; i < D; i++)
    for (int j = 0; j < D; j++) {
      cov[i][j] = 0;
      for (int r = 0; r < N; r++) cov[i][j] += (y[r * D + i] - mean[i]) * (y[r * D + j] - mean[j]) / N;
    }
}

static void starts_centre_and_scale(void **state) {
  (void)state;
  static const char *const specs[] = {"{\"type\":\"actnorm\"}", "{\"type\":\"standardize\"}", "{\"type\":\"whiten\"}"};
  static double x[N * D], y[N * D], back[N * D], ladj[N], inverse[N];
  sample_rows(x);
  for (size_t i = 0; i < RH_COUNT_OF(specs); i++)
    for (int real = 4; real <= 8; real += 4) {
      part p = part_make(specs[i], D, 0, real);
      const double near = real == 8 ? 1e-10 : 3e-2; /* a column of mean 100 and deviation 3 in float32 */
      PROBE_OK(p.b->type->warm_up(p.b, &p.leaves, &p.values, N, x));
      part_forward(&p, N, x, y, ladj);
      part_inverse(&p, N, y, back, inverse);
      double mean[D], cov[D][D];
      moments(y, mean, cov);
      for (int j = 0; j < D; j++) {
        if (fabs(mean[j]) >= near) fail_msg("%s, %d bytes: the mean of column %d is %g", specs[i], real, j, mean[j]);
        assert_true(fabs(cov[j][j] - (j < 2)) < near);
        if (i == 2) assert_true(j == 0 || fabs(cov[0][j]) < near);
      }
      for (int k = 0; k < N * D; k++) assert_true(fabs(back[k] - x[k]) < near * 1e-2 * fmax(1, fabs(x[k])));
      assert_true(fabs(ladj[0] + inverse[0]) < 1e-5);
      part_free(&p);
    }
}

/* Given values are not taken from the data. */
static void given_values_stay(void **state) {
  (void)state;
  static double x[N * D];
  sample_rows(x);
  part p = part_make("{\"type\":\"standardize\",\"mean\":[1,2,3],\"scale\":[4,5,6]}", D, 0, 8);
  PROBE_OK(p.b->type->warm_up(p.b, &p.leaves, &p.values, N, x));
  double y[D], ladj;
  const double row[D] = {5, 12, 3};
  part_forward(&p, 1, row, y, &ladj);
  assert_true(y[0] == 1 && y[1] == 2 && y[2] == 0 && fabs(ladj + log(120)) < 1e-14);
  assert_int_equal(p.leaves.total[RH_PARAM], 0); /* nothing to train */
  part_free(&p);
  p = part_make("{\"type\":\"whiten\",\"mean\":[1,2],\"factor\":[0.5,0,-1,4]}", 2, 0, 8);
  PROBE_OK(p.b->type->warm_up(p.b, &p.leaves, &p.values, N, x));
  part_forward(&p, 1, row, y, &ladj);
  assert_true(y[0] == 2 && y[1] == -4 + 40 && fabs(ladj - log(2)) < 1e-15);
  part_free(&p);
}

/* One row, or rows that are all alike: a start without a number that is not finite. */
static void poor_rows_do_no_harm(void **state) {
  (void)state;
  static const char *const specs[] = {"{\"type\":\"actnorm\"}", "{\"type\":\"standardize\"}", "{\"type\":\"whiten\"}"};
  const double x[9] = {1e30, -1e30, 0, 1e30, -1e30, 0, 1e30, -1e30, 0};
  for (size_t i = 0; i < RH_COUNT_OF(specs); i++)
    for (int64_t rows = 1; rows <= 3; rows++) {
      part p = part_make(specs[i], 3, 0, 4);
      PROBE_OK(p.b->type->warm_up(p.b, &p.leaves, &p.values, rows, x));
      for (int64_t l = 0; l < p.leaves.n; l++)
        for (int64_t k = 0; k < p.leaves.leaf[l].count; k++) assert_true(isfinite(rh_values_get(&p.leaves, &p.values, (int)l, k)));
      double y[9], ladj[3];
      part_forward(&p, rows, x, y, ladj);
      assert_true(isfinite(ladj[0]));
      part_free(&p);
    }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(support_is_its_formulas),
      cmocka_unit_test(outside_the_support),
      cmocka_unit_test(support_at_its_ends),
      cmocka_unit_test(discrete_columns_come_back),
      cmocka_unit_test(codes_between_levels_go_down),
      cmocka_unit_test(the_bound_is_at_most_the_exact_value),
      cmocka_unit_test(dropped_columns_are_rebuilt),
      cmocka_unit_test(starts_centre_and_scale),
      cmocka_unit_test(given_values_stay),
      cmocka_unit_test(poor_rows_do_no_harm),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
