/* Rational-quadratic splines: every level against the reference, the reference against the paper's promises; exact knots, inputs far away,
 * discriminants near zero, NaN; an element's bits wherever it lies. */
#include <stdio.h>

#include "kernel/kernel_test.h"

enum { N = 203, MOST = 3 * RH_RQS_BINS + 1 };

static rh_rqs spline_of(int64_t bins, int tails, double box, double least) {
  const double slope = 1e-3;
  return (rh_rqs){bins, tails, box, least, least, slope, log(expm1(1 - slope))};
}

/* Raw numbers of some size, and data that reach past the box. */
static void *raw_of(int bytes, int64_t n, double size, uint64_t which) {
  void *raw = numbers(bytes, n, which);
  for (int64_t i = 0; i < n; i++) put(raw, bytes, i, size * get(raw, bytes, i));
  return raw;
}

static const struct {
  int64_t bins;
  int tails;
  double box, size;
} splines[] = {{8, RH_TAILS_LINEAR, 5, 1},   {8, RH_TAILS_BOUNDED, 1, 3},  {8, RH_TAILS_CIRCULAR, 3.14, 2}, {1, RH_TAILS_LINEAR, 2, 2},
               {1, RH_TAILS_BOUNDED, 2, 2},  {1, RH_TAILS_CIRCULAR, 2, 2}, {2, RH_TAILS_LINEAR, 3, 6},      {5, RH_TAILS_CIRCULAR, 3, 1},
               {64, RH_TAILS_BOUNDED, 4, 2}, {31, RH_TAILS_LINEAR, 4, 4}};

typedef struct outcome {
  void *y, *l, *dx, *draw;
} outcome;

static outcome run(const rh_kernels *k, const rh_rqs *s, int inverse, int64_t n, const void *x, const void *raw, const void *cy,
                   const void *cl) {
  const int64_t p = rh_rqs_params(s);
  outcome o = {numbers(k->real_bytes, n, 1), numbers(k->real_bytes, n, 1), numbers(k->real_bytes, n, 1), numbers(k->real_bytes, n * p, 1)};
  k->rqs(s, inverse, n, x, raw, o.y, o.l);
  k->rqs_vjp(s, inverse, n, inverse ? o.y : x, raw, cy, cl, o.dx, o.draw);
  return o;
}
static void done(outcome *o) {
  free(o->y), free(o->l), free(o->dx), free(o->draw);
}

static void near(const char *what, const rh_kernels *k, int64_t n, const void *a, const void *b, double tolerance) {
  double most = 1;
  for (int64_t i = 0; i < n; i++) most = fmax(most, fabs(get(b, k->real_bytes, i)));
  for (int64_t i = 0; i < n; i++) {
    const double x = get(a, k->real_bytes, i), want = get(b, k->real_bytes, i);
    if (!(fabs(x - want) <= tolerance * most))
      fail_msg("%s %d bytes, %s, number %lld: %.9g, the reference gives %.9g", k->isa, k->real_bytes, what, (long long)i, x, want);
  }
}

/* A bin's edge at x moves with rounding, so the derivative of ladj, which jumps there, is compared for data off the edges. */
static void like_the_reference(const rh_kernels *k, const rh_kernels *ref) {
  const double eps = k->real_bytes == 4 ? 0x1p-23 : 0x1p-52;
  for (size_t c = 0; c < sizeof splines / sizeof *splines; c++)
    for (int inverse = 0; inverse < 2; inverse++) {
      const rh_rqs s = spline_of(splines[c].bins, splines[c].tails, splines[c].box, 1e-3);
      const int64_t p = rh_rqs_params(&s);
      void *x = raw_of(k->real_bytes, N, 1.2 * s.box, 3), *raw = raw_of(k->real_bytes, N * p, splines[c].size, 5),
           *cy = numbers(k->real_bytes, N, 7), *cl = numbers(k->real_bytes, N, 8);
      outcome a = run(k, &s, inverse, N, x, raw, cy, cl), b = run(ref, &s, inverse, N, x, raw, cy, cl);
      const double loose = 400 * eps * (double)s.bins * exp(splines[c].size);
      near("y", k, N, a.y, b.y, loose);
      near("ladj", k, N, a.l, b.l, loose);
      near("dx", k, N, a.dx, b.dx, 10 * loose);
      near("draw", k, N * p, a.draw, b.draw, 10 * loose);
      done(&a), done(&b), free(x), free(raw), free(cy), free(cl);
    }
}

static void the_identity_at_zero(const rh_kernels *k, const rh_kernels *ref) {
  (void)ref;
  for (size_t c = 0; c < sizeof splines / sizeof *splines; c++)
    for (int inverse = 0; inverse < 2; inverse++) {
      const rh_rqs s = spline_of(splines[c].bins, splines[c].tails, splines[c].box, 1e-3);
      void *x = raw_of(k->real_bytes, N, s.box, 3), *raw = calloc((size_t)(N * MOST), 8);
      outcome o = run(k, &s, inverse, N, x, raw, x, NULL);
      assert_memory_equal(o.y, x, (size_t)(N * k->real_bytes));
      for (int64_t i = 0; i < N; i++) assert_true(get(o.l, k->real_bytes, i) == 0);
      near("dx", k, N, o.dx, x, 1e-6);
      done(&o), free(x), free(raw);
    }
}

static void round_trips(const rh_kernels *k, const rh_kernels *ref) {
  (void)ref;
  const double eps = k->real_bytes == 4 ? 0x1p-23 : 0x1p-52;
  for (size_t c = 0; c < sizeof splines / sizeof *splines; c++)
    for (double size = 0.1; size < 40; size *= 4) { /* up to slopes and bins at their limits: discriminants near zero */
      const rh_rqs s = spline_of(splines[c].bins, splines[c].tails, splines[c].box, 1e-3);
      const int64_t p = rh_rqs_params(&s);
      void *x = raw_of(k->real_bytes, N, (s.tails == RH_TAILS_CIRCULAR ? 0.999 : 1.2) * s.box, 3),
           *raw = raw_of(k->real_bytes, N * p, size, 5), *back = numbers(k->real_bytes, N, 1), *l = numbers(k->real_bytes, N, 1);
      outcome o = run(k, &s, 0, N, x, raw, x, x);
      k->rqs(&s, 1, N, o.y, raw, back, l);
      for (int64_t i = 0; i < N; i++) {
        const double cond = exp(-get(o.l, k->real_bytes, i)), want = get(x, k->real_bytes, i), got = get(back, k->real_bytes, i);
        if (!(fabs(got - want) <= 50 * eps * fmax(1, s.box) * fmax(1, cond) * (double)s.bins))
          fail_msg("%s %d bytes, spline %zu, raw numbers to %g: %.9g comes back as %.9g (slope %g)", k->isa, k->real_bytes, c, size, want,
                   got, 1 / cond);
        assert_true(isfinite(get(o.l, k->real_bytes, i)) && isfinite(get(l, k->real_bytes, i)) && isfinite(get(o.dx, k->real_bytes, i)));
      }
      for (int64_t i = 0; i < N * p; i++) assert_true(isfinite(get(o.draw, k->real_bytes, i)));
      done(&o), free(x), free(raw), free(back), free(l);
    }
}

static void far_away_and_at_the_edges(const rh_kernels *k, const rh_kernels *ref) {
  (void)ref;
  const double inf = (double)INFINITY, at[] = {1e30, -1e30, inf, -inf, NAN, 5, -5, 5.000001, 0, -0.0};
  enum { M = sizeof at / sizeof *at };
  for (int tails = 0; tails < RH_TAILS_COUNT; tails++)
    for (int inverse = 0; inverse < 2; inverse++)
      for (int huge = 0; huge < 2; huge++) { /* raw numbers too */
        const rh_rqs s = spline_of(8, tails, 5, 1e-3);
        const int64_t p = rh_rqs_params(&s);
        void *x = numbers(k->real_bytes, M, 0), *raw = raw_of(k->real_bytes, M * p, huge ? 1e30 : 2, 9),
             *one = numbers(k->real_bytes, M, 4);
        for (int i = 0; i < M; i++) put(x, k->real_bytes, i, at[i]), put(one, k->real_bytes, i, 1);
        outcome o = run(k, &s, inverse, M, x, raw, one, one);
        for (int i = 0; i < M; i++) {
          const double y = get(o.y, k->real_bytes, i), l = get(o.l, k->real_bytes, i), dx = get(o.dx, k->real_bytes, i);
          if (at[i] != at[i] || (isinf(at[i]) && tails == RH_TAILS_CIRCULAR)) { /* infinity has no place on a circle */
            assert_true(y != y && l != l && dx != dx);
            continue;
          }
          assert_true(!isnan(l) && (huge || isfinite(l)));
          if (fabs(at[i]) > 5 && tails != RH_TAILS_CIRCULAR) {
            assert_true(y == get(x, k->real_bytes, i) && l == 0 && dx == 1);
            for (int64_t j = 0; j < p; j++) assert_true(get(o.draw, k->real_bytes, i * p + j) == 0);
          } else {
            assert_true(y >= -5 && y <= 5);
            if (!huge && (at[i] == 5 || at[i] == -5) && tails != RH_TAILS_CIRCULAR) assert_true(fabs(y - at[i]) <= 4e-6);
            for (int64_t j = 0; j < p && !huge; j++) assert_true(isfinite(get(o.draw, k->real_bytes, i * p + j)));
          }
        }
        done(&o), free(x), free(raw), free(one);
      }
}

/* At a knot both bins give the knot: widths all equal make the knots known numbers. */
static void exact_knots(const rh_kernels *k, const rh_kernels *ref) {
  (void)ref;
  const rh_rqs s = spline_of(8, RH_TAILS_LINEAR, 4, 1e-3);
  const int64_t p = rh_rqs_params(&s);
  const double eps = k->real_bytes == 4 ? 0x1p-23 : 0x1p-52;
  enum { KNOTS = 9 };
  void *x = numbers(k->real_bytes, 3 * KNOTS, 0), *raw = raw_of(k->real_bytes, p, 2, 3), *all = numbers(k->real_bytes, 3 * KNOTS * p, 0);
  for (int64_t j = 0; j < 8; j++) put(raw, k->real_bytes, j, 0);
  for (int i = 0; i < KNOTS; i++)
    for (int side = 0; side < 3; side++) put(x, k->real_bytes, 3 * i + side, -4 + i + (side - 1) * 4 * eps * 4);
  for (int i = 0; i < 3 * KNOTS; i++) memcpy(at(all, k->real_bytes, i * p), raw, (size_t)(p * k->real_bytes));
  outcome o = run(k, &s, 0, 3 * KNOTS, x, all, x, x);
  for (int i = 0; i < KNOTS; i++)
    for (int side = 0; side < 3; side += 2) {
      const double slope = exp(fmax(get(o.l, k->real_bytes, 3 * i + 1), 0));
      assert_true(fabs(get(o.y, k->real_bytes, 3 * i + side) - get(o.y, k->real_bytes, 3 * i + 1)) <= 64 * eps * slope);
      if (i > 0 && i < 8) assert_true(fabs(get(o.l, k->real_bytes, 3 * i + side) - get(o.l, k->real_bytes, 3 * i + 1)) <= 4000 * eps);
    }
  done(&o), free(x), free(raw), free(all);
}

static void the_same_bits_anywhere(const rh_kernels *k, const rh_kernels *ref) {
  (void)ref;
  const rh_rqs s = spline_of(8, RH_TAILS_LINEAR, 3, 1e-3);
  const int64_t p = rh_rqs_params(&s);
  const int bytes = k->real_bytes;
  void *x = raw_of(bytes, N, 4, 3), *raw = raw_of(bytes, N * p, 2, 5), *c = numbers(bytes, N, 7);
  for (int inverse = 0; inverse < 2; inverse++) {
    outcome all = run(k, &s, inverse, N, x, raw, c, c);
    for (int64_t n = 1; n < 40; n += 3)
      for (int64_t first = 0; first + n <= N; first += 11) {
        outcome o = run(k, &s, inverse, n, at(x, bytes, first), at(raw, bytes, first * p), at(c, bytes, first), at(c, bytes, first));
        assert_memory_equal(o.y, at(all.y, bytes, first), (size_t)(n * bytes));
        assert_memory_equal(o.l, at(all.l, bytes, first), (size_t)(n * bytes));
        assert_memory_equal(o.dx, at(all.dx, bytes, first), (size_t)(n * bytes));
        assert_memory_equal(o.draw, at(all.draw, bytes, first * p), (size_t)(n * p * bytes));
        done(&o);
      }
    done(&all);
  }
  free(x), free(raw), free(c);
}

#define ON_EACH_TABLE(body)               \
  static void each_##body(void **state) { \
    (void)state;                          \
    each_table(body);                     \
  }
ON_EACH_TABLE(like_the_reference)
ON_EACH_TABLE(the_identity_at_zero)
ON_EACH_TABLE(round_trips)
ON_EACH_TABLE(far_away_and_at_the_edges)
ON_EACH_TABLE(exact_knots)
ON_EACH_TABLE(the_same_bits_anywhere)

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(each_like_the_reference),
      cmocka_unit_test(each_the_identity_at_zero),
      cmocka_unit_test(each_round_trips),
      cmocka_unit_test(each_exact_knots),
      cmocka_unit_test(each_far_away_and_at_the_edges),
      cmocka_unit_test(each_the_same_bits_anywhere),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
