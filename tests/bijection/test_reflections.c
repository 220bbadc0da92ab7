/* Householder layers against reflections made one after another; the start; nothing lost where reflections are nearly the same. */
#include "bijection/part.h"

enum { ROWS = 7, MOST = 64 };

/* x <- H(u_1) ... H(u_n) x, the last one first. */
static void reflect(const part *p, int64_t d, int64_t n, double *x) {
  const int v = rh_leaf_find(&p->leaves, "p.vectors"), t = rh_leaf_find(&p->leaves, "p.turns");
  for (int64_t k = n - 1; k >= 0; k--) {
    double u[MOST], ux = 0, uu = 0;
    for (int64_t i = 0; i < d; i++) {
      const int64_t at = i * (n / 2) + k / 2;
      u[i] = rh_values_get(&p->leaves, &p->values, v, at) + (k % 2 ? rh_values_get(&p->leaves, &p->values, t, at) : 0);
      ux += u[i] * x[i], uu += u[i] * u[i];
    }
    for (int64_t i = 0; i < d; i++) x[i] -= 2 * ux / uu * u[i];
  }
}

static const struct { int64_t d, n; } sizes[] = {{2, 2}, {5, 6}, {6, 6}, {9, 4}, {40, 32}, {64, 8}, {64, 64}};

static void one_after_another(void **state) {
  (void)state;
  for (size_t s = 0; s < RH_COUNT_OF(sizes); s++)
    for (int real = 4; real <= 8; real += 4) {
      const int64_t d = sizes[s].d, n = sizes[s].n;
      const double near = (real == 8 ? 1e-14 : 4e-6) * (double)n;
      char spec[80];
      snprintf(spec, sizeof spec, "{\"type\":\"householder\",\"reflections\":%d}", (int)n);
      part p = part_make(spec, d, 0, real);
      double *x = probe_random(ROWS * d, 3, -2, 2), y[ROWS * MOST], back[ROWS * MOST], ladj[ROWS];
      part_forward(&p, ROWS, x, y, ladj); /* the start */
      for (int64_t k = 0; k < ROWS * d; k++) assert_true(fabs(y[k] - x[k]) < near);
      part_shake(&p, 1);
      part_forward(&p, ROWS, x, y, ladj);
      part_inverse(&p, ROWS, y, back, ladj);
      for (int64_t r = 0; r < ROWS; r++) {
        double want[MOST], moved = 0;
        memcpy(want, x + r * d, (size_t)d * 8);
        reflect(&p, d, n, want);
        for (int64_t i = 0; i < d; i++) {
          assert_true(fabs(y[r * d + i] - want[i]) < near && fabs(back[r * d + i] - x[r * d + i]) < near);
          moved = fmax(moved, fabs(want[i] - x[r * d + i]));
        }
        assert_true(moved > 0.1 && ladj[r] == 0);
      }
      free(x);
      part_free(&p);
    }
}

/* All vectors within a millionth of one direction: an inverse by powers would overflow, the substitution does not care. */
static void nearly_the_same(void **state) {
  (void)state;
  enum { D = 32, N = 32 };
  part p = part_make("{\"type\":\"householder\"}", D, 0, 8);
  double *x = probe_random(ROWS * D, 3, -2, 2), *v = probe_random(D * N / 2, 4, 1, 1 + 1e-6), *t = probe_random(D * N / 2, 5, -1e-6, 1e-6);
  double y[ROWS * D], ladj[ROWS];
  part_set(&p, "p.vectors", D * N / 2, v);
  part_set(&p, "p.turns", D * N / 2, t);
  part_forward(&p, ROWS, x, y, ladj);
  for (int r = 0; r < ROWS; r++) {
    double want[D];
    memcpy(want, x + r * D, sizeof want);
    reflect(&p, D, N, want);
    for (int i = 0; i < D; i++) assert_true(fabs(y[r * D + i] - want[i]) < 1e-11);
  }
  free(x), free(v), free(t);
  part_free(&p);
}

static void specifications(void **state) {
  (void)state;
  part p;
  assert_int_equal(part_try(&p, "{\"type\":\"householder\",\"reflections\":3}", 4, 0), RH_E_SPEC);
  assert_non_null(strstr(rh_last_error(), "flow.reflections: 3 is odd"));
  rh_leaves_free(&p.leaves);
  p = part_make("{\"type\":\"householder\"}", 7, 0, 8);
  assert_int_equal(json_integer_value(json_object_get(p.b->spec, "reflections")), 8);
  part_free(&p);
  p = part_make("{\"type\":\"householder\"}", 1, 0, 8); /* one column: nothing to turn */
  assert_int_equal(p.leaves.n, 0);
  part_free(&p);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(one_after_another), cmocka_unit_test(nearly_the_same),
                                     cmocka_unit_test(specifications)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
