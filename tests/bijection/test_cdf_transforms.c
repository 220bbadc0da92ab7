/* Mixtures of logistics and linear splines: against the formulas in long double or by hand, far away, at infinity, one column, float32. */
#include "bijection/part.h"
#include "bijection/transform.h"

#define ELEMENTWISE(transform) "{\"type\":\"elementwise\",\"transform\":" transform "}"
enum { K = 3, MIXTURE = 3 * K + 2, MANY = 41 };

static const double mixture_raw[MIXTURE] = {0.3, -1, 0.8, -2, 0.5, 3, 0.4, -1.2, 0.1, 0.3, -0.6};

static part mixture(int real_bytes, const double *raw) {
  part p = part_make(ELEMENTWISE("{\"type\":\"mixture-of-logistics\",\"components\":3}"), 1, 0, real_bytes);
  if (raw) part_set(&p, "p.net.value", MIXTURE, raw);
  return p;
}

/* The definition, in long double and probabilities: good where F and 1 - F are not tiny. */
static void definition(double x, double *y, double *ladj) {
  long double total = 0, f = 0, rest = 0, pdf = 0;
  for (int k = 0; k < K; k++) total += expl(mixture_raw[k]);
  for (int k = 0; k < K; k++) {
    const long double s = 5 * tanhl(mixture_raw[2 * K + k] / 5.0L), z = (x - (mixture_raw[K + k] + 0.1L * (k - 1))) * expl(-s),
                      pi = expl(mixture_raw[k]) / total, up = 1 / (1 + expl(-z)), down = 1 / (1 + expl(z));
    f += pi * up, rest += pi * down, pdf += pi * up * down * expl(-s);
  }
  const long double a = 5 * tanhl(mixture_raw[3 * K] / 5.0L);
  *y = (double)((logl(f) - logl(rest)) * expl(a) + mixture_raw[3 * K + 1]);
  *ladj = (double)(logl(pdf) - logl(f) - logl(rest) + a);
}

static void the_mixture_is_its_definition(void **state) {
  (void)state;
  double x[MANY], y[MANY], ladj[MANY], back[MANY], inverse[MANY];
  part p = mixture(8, mixture_raw);
  for (int i = 0; i < MANY; i++) x[i] = (i - 20) * 0.7;
  part_forward(&p, MANY, x, y, ladj);
  part_inverse(&p, MANY, y, back, inverse);
  for (int i = 0; i < MANY; i++) {
    double want, want_ladj;
    definition(x[i], &want, &want_ladj);
    assert_true(fabs(y[i] - want) <= 1e-14 * fmax(1, fabs(want)));
    assert_true(fabs(ladj[i] - want_ladj) <= 2e-14 * fmax(1, fabs(want_ladj)));
    assert_true(fabs(back[i] - x[i]) <= 1e-13 * fmax(1, fabs(x[i])) && fabs(inverse[i] + ladj[i]) <= 1e-13);
  }
  part_free(&p);
}

static const double far_x[] = {1e3, -1e3, 1e10, -1e10, 1e30, -1e30};
enum { FAR = sizeof far_x / sizeof *far_x };

/* Beyond all components the widest one alone is left: y = e^(a - s) x, to leading order. Infinity saturates; nothing is ever NaN. */
static void the_mixture_far_away(void **state) {
  (void)state;
  const double widest = 5 * tanh(0.4 / 5), a = 5 * tanh(0.3 / 5);
  for (int rb = 4; rb <= 8; rb += 4) {
    double y[FAR], ladj[FAR], grad[FAR], back[FAR], inverse[FAR];
    part p = mixture(rb, mixture_raw);
    part_run(&p, true, FAR, far_x, NULL, NULL, y, ladj, grad);
    part_inverse(&p, FAR, y, back, inverse);
    for (int i = 0; i < FAR; i++) {
      const double near = (rb == 8 ? 1e-14 : 1e-6) + 5 / fabs(far_x[i]);
      assert_true(fabs(y[i] / (far_x[i] * exp(a - widest)) - 1) < near);
      assert_true(fabs(ladj[i] - (a - widest)) < near && fabs(inverse[i] + ladj[i]) < near);
      assert_true(fabs(back[i] / far_x[i] - 1) < (rb == 8 ? 1e-14 : 1e-6));
      assert_true(fabs(grad[i] - exp(a - widest) / 7) < near);
    }
    const double ends[4] = {INFINITY, -INFINITY, rb == 8 ? 1e300 : 3e38, rb == 8 ? -1e300 : -3e38};
    part_forward(&p, 4, ends, y, ladj);
    for (int i = 0; i < 4; i++) assert_true((i % 2 ? -y[i] : y[i]) > 1e37 && isfinite(ladj[i]));
    part_inverse(&p, 2, ends, y, ladj);
    assert_true(y[0] == INFINITY && y[1] == -INFINITY && isfinite(ladj[0]) && isfinite(ladj[1]));
    part_free(&p);
  }
}

/* Modes so far apart that the density between them is below the least number: its logarithm is not. */
static void the_mixture_between_far_modes(void **state) {
  (void)state;
  const double raw[MIXTURE] = {0, 0, 0, -2000 + 0.1, -2000, 2000 - 0.1};
  const double x[3] = {0, -1999, 2000};
  double y[3], ladj[3];
  part p = mixture(8, raw);
  part_forward(&p, 3, x, y, ladj);
  assert_true(fabs(ladj[0] + 2000 - log(4.5)) < 1e-12 && fabs(y[0] - log(2)) < 1e-12); /* e^-2000 / (2/3 1/3) */
  assert_true(isfinite(y[1]) && isfinite(y[2]) && ladj[1] > -10 && ladj[2] > -10);
  part_free(&p);
}

/* One component at zero: the identity up to rounding. More: their means differ, so that training can part them. */
static void the_mixture_at_zero(void **state) {
  (void)state;
  double x[MANY], y[MANY], ladj[MANY];
  for (int i = 0; i < MANY; i++) x[i] = (i - 20) * 1.3;
  for (int rb = 4; rb <= 8; rb += 4) {
    const double eps = rb == 8 ? 0x1p-52 : 0x1p-23;
    part p = part_make(ELEMENTWISE("{\"type\":\"mixture-of-logistics\",\"components\":1}"), 1, 0, rb);
    part_forward(&p, MANY, x, y, ladj);
    for (int i = 0; i < MANY; i++) assert_true(fabs(y[i] - x[i]) <= 4 * eps * fmax(1, fabs(x[i])) && fabs(ladj[i]) <= 8 * eps);
    part_free(&p);
  }
  part p = mixture(8, NULL);
  rh_graph g;
  PROBE_OK(rh_graph_init(&g, &p.leaves));
  rh_val out, l, grad;
  rh_forward(p.b, &g, rh_input(&g, rh_shape1(1)), RH_NONE, RH_NONE, &out, &l);
  const rh_val of = rh_sub(&g, rh_mulc(&g, rh_square(&g, out), 0.5), l), leaf = rh_leaf_val(&g, rh_leaf_find(&p.leaves, "p.net.value"));
  PROBE_OK(rh_vjp(&g, 1, &of, NULL, 1, &leaf, &grad, RH_KEEP));
  double d[MIXTURE];
  const double modes[2] = {-2, 2};
  probe q = {.g = &g, .values = &p.values, .real_bytes = 8, .rows = 2, .input = {modes}, .n_param = 1, .param_val = {grad}};
  q.param_out[0] = d;
  probe_run(&q);
  assert_true(d[K] > 1e-3 && fabs(d[K + 1]) < 1e-14 && fabs(d[K] + d[2 * K - 1]) < 1e-14); /* outwards, both */
  rh_graph_free(&g);
  part_free(&p);
}

/* ---- linear splines ---- */

/* Four bins on [-2, 2]: slopes 1 + 0.9 (4 softmax - 1). */
static const double spline_raw[4] = {0, 1, -1, 0.5};
static part spline(int real_bytes) {
  part p = part_make(ELEMENTWISE("{\"type\":\"linear-spline\",\"bins\":4,\"bound\":2,\"min_slope\":0.1}"), 1, 0, real_bytes);
  part_set(&p, "p.net.value", 4, spline_raw);
  return p;
}

static void the_spline_by_hand(void **state) {
  (void)state;
  double slope[4], sum = 0, end_of[5] = {-2};
  for (int k = 0; k < 4; k++) sum += exp(spline_raw[k]);
  for (int k = 0; k < 4; k++) slope[k] = 1 + 0.9 * (4 * exp(spline_raw[k]) / sum - 1), end_of[k + 1] = end_of[k] + slope[k];
  assert_true(fabs(end_of[4] - 2) < 1e-15);
  double x[MANY], y[MANY], ladj[MANY], grad[MANY], back[MANY], inverse[MANY];
  for (int i = 0; i < MANY; i++) x[i] = (i - 20) * 0.125; /* knots among them: they belong to the bin on their right */
  for (int rb = 4; rb <= 8; rb += 4) {
    const double near = rb == 8 ? 4e-15 : 2e-6;
    part p = spline(rb);
    part_run(&p, true, MANY, x, NULL, NULL, y, ladj, grad);
    part_inverse(&p, MANY, y, back, inverse);
    for (int i = 0; i < MANY; i++) {
      const int k = (int)floor(x[i] + 2);
      const bool in = k >= 0 && k < 4;
      assert_true(fabs(y[i] - (in ? end_of[k] + (x[i] + 2 - k) * slope[k] : x[i])) <= near);
      assert_true(fabs(ladj[i] - (in ? log(slope[k]) : 0)) <= near);
      if (x[i] != -2) assert_true(fabs(7 * grad[i] - (in ? slope[k] : 1)) <= 2 * near);
      assert_true(fabs(back[i] - x[i]) <= 10 * near);
      if (fabs(x[i] - round(x[i])) > 0.1) assert_true(inverse[i] == -ladj[i]);
      if (!in && x[i] != 2) assert_true(y[i] == x[i] && back[i] == x[i] && ladj[i] == 0 && inverse[i] == 0);
    }
    part_free(&p);
  }
}

static void the_spline_far_away(void **state) {
  (void)state;
  const double x[] = {1e30, -1e30, INFINITY, -INFINITY, 2, -2.0000005, 37};
  enum { N = sizeof x / sizeof *x };
  for (int rb = 4; rb <= 8; rb += 4) {
    double y[N], ladj[N], grad[N], back[N], inverse[N];
    part p = spline(rb);
    part_run(&p, true, N, x, NULL, NULL, y, ladj, grad);
    part_inverse(&p, N, x, back, inverse);
    for (int i = 0; i < N; i++) {
      const double want = rb == 4 ? (double)(float)x[i] : x[i];
      assert_true(y[i] == want && back[i] == want && ladj[i] == 0 && inverse[i] == 0);
      if (x[i] != 2) assert_true(fabs(7 * grad[i] - 1) < 1e-6);
    }
    part_free(&p);
  }
}

/* Raw heights far apart: the least slope holds, and there is a way back. */
static void the_spline_at_its_steepest(void **state) {
  (void)state;
  const double raw[4] = {-1e30, 500, 1e30, -700};
  double x[MANY], y[MANY], ladj[MANY], back[MANY], inverse[MANY];
  for (int i = 0; i < MANY; i++) x[i] = (i - 20) * 0.0985;
  for (int rb = 4; rb <= 8; rb += 4) {
    part p = spline(rb);
    part_set(&p, "p.net.value", 4, raw);
    part_forward(&p, MANY, x, y, ladj);
    part_inverse(&p, MANY, y, back, inverse);
    for (int i = 0; i < MANY; i++) {
      const bool steep = x[i] >= 0 && x[i] < 1;
      assert_true(fabs(ladj[i] - log(steep ? 3.7 : 0.1)) < (rb == 8 ? 1e-14 : 1e-5));
      assert_true(fabs(back[i] - x[i]) < (rb == 8 ? 1e-13 : 2e-5));
    }
    part_free(&p);
  }
}

static void wrong_options_are_refused(void **state) {
  (void)state;
  static const char *const wrong[] = {
      ELEMENTWISE("{\"type\":\"linear-spline\",\"bins\":1}"),        ELEMENTWISE("{\"type\":\"linear-spline\",\"min_slope\":0}"),
      ELEMENTWISE("{\"type\":\"linear-spline\",\"bound\":-1}"),      ELEMENTWISE("{\"type\":\"mixture-of-logistics\",\"components\":0}"),
      ELEMENTWISE("{\"type\":\"mixture-of-logistics\",\"bins\":4}"),
  };
  for (size_t i = 0; i < RH_COUNT_OF(wrong); i++) {
    part p;
    assert_int_not_equal(part_try(&p, wrong[i], 1, 0), RH_OK);
    assert_non_null(strstr(rh_last_error(), "transform"));
    part_free(&p);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(the_mixture_is_its_definition),
      cmocka_unit_test(the_mixture_far_away),
      cmocka_unit_test(the_mixture_between_far_modes),
      cmocka_unit_test(the_mixture_at_zero),
      cmocka_unit_test(the_spline_by_hand),
      cmocka_unit_test(the_spline_far_away),
      cmocka_unit_test(the_spline_at_its_steepest),
      cmocka_unit_test(wrong_options_are_refused),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
