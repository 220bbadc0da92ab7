/* An ode on a linear field inside a chain of couplings, its values, gradients and bits: what its derivatives by either way are tried on. */
#ifndef RH_TESTS_ODE_CHAIN_H
#define RH_TESTS_ODE_CHAIN_H
#include "support/loops.h"

enum { ROWS = 5, M = 2, MOST = 1000 };

/* ---- ode: dy/dt = A y + B m inside a chain of couplings ---- */

enum { D = 4, HIDDEN = 5, ODE_LEAVES = 10, ODE_A = 8, ODE_B = 9, ODE_WRT = 2 + ODE_LEAVES };

typedef struct chain {
  rh_leaves leaves;
  rh_values values;
  rh_graph g;
  rh_val wrt[ODE_WRT];                     /* x, captures, leaves: two couplings' weights and biases, A, B */
  rh_val before, after, share, ladj, loss; /* y before and after the ode; its log-det */
  double *input[2];
} chain;

static const double from = 0.25, until = 1.5;

static inline rh_val linear_field(rh_graph *b, void *arg, rh_val y, rh_val t, rh_val m) {
  static const int32_t diagonal[D] = {0, D + 1, 2 * (D + 1), 3 * (D + 1)};
  (void)arg, (void)t;
  const rh_val a = rh_leaf_val(b, ODE_A), z = rh_slice(b, y, 0, D);
  const rh_val parts[2] = {rh_add(b, rh_linear(b, z, a, RH_NONE), rh_linear(b, m, rh_leaf_val(b, ODE_B), RH_NONE)),
                           rh_neg(b, rh_sum(b, rh_gather(b, a, rh_shape1(D), diagonal)))};
  return rh_concat(b, 2, parts);
}

/* An affine coupling of ordinary calls: the even numbers move by what the odd ones say, or the reverse. */
static inline rh_val coupling(chain *s, rh_val x, int k) {
  static const int32_t side[2][D / 2] = {{0, 2}, {1, 3}}, back[2][D] = {{0, 2, 1, 3}, {2, 0, 3, 1}};
  rh_graph *g = &s->g;
  const rh_val moved = rh_gather(g, x, rh_shape1(D / 2), side[k]), kept = rh_gather(g, x, rh_shape1(D / 2), side[1 - k]);
  const rh_val h = rh_tanh(g, rh_linear(g, kept, s->wrt[2 + 4 * k], s->wrt[3 + 4 * k]));
  const rh_val st = rh_linear(g, h, s->wrt[4 + 4 * k], s->wrt[5 + 4 * k]), scale = rh_slice(g, st, 0, D / 2);
  const rh_val parts[2] = {rh_add(g, rh_mulexp(g, moved, scale), rh_slice(g, st, D / 2, D / 2)), kept};
  s->ladj = rh_add_maybe(g, s->ladj, rh_sum(g, scale));
  return rh_gather(g, rh_concat(g, 2, parts), rh_shape1(D), back[k]);
}

static inline void chain_begin(chain *s, int real_bytes, const rh_ode_options *options) {
  *s = (chain){.ladj = RH_NONE};
  int leaf;
  for (int k = 0; k < 2; k++)
    for (int i = 0; i < 4; i++) {
      const rh_shape shapes[4] = {rh_shape2(HIDDEN, D / 2), rh_shape1(HIDDEN), rh_shape2(D, HIDDEN), rh_shape1(D)};
      PROBE_OK(rh_leaf_add(&s->leaves, RH_PARAM, shapes[i], (rh_init){RH_INIT_UNIFORM, 0.5, NULL}, false, &leaf, "%d.%d", k, i));
    }
  PROBE_OK(rh_leaf_add(&s->leaves, RH_PARAM, rh_shape2(D, D), (rh_init){RH_INIT_UNIFORM, 0.9, NULL}, false, &leaf, "A"));
  PROBE_OK(rh_leaf_add(&s->leaves, RH_PARAM, rh_shape2(D, M), (rh_init){RH_INIT_UNIFORM, 0.9, NULL}, false, &leaf, "B"));
  PROBE_OK(rh_values_create(&s->leaves, real_bytes, &s->values));
  rh_values_init(&s->leaves, 5, &s->values);
  rh_graph *g = &s->g;
  PROBE_OK(rh_graph_init(g, &s->leaves));
  s->wrt[0] = rh_input(g, rh_shape1(D));
  s->wrt[1] = rh_input(g, rh_shape1(M));
  for (int i = 0; i < ODE_LEAVES; i++) s->wrt[2 + i] = rh_leaf_val(g, i);
  s->before = coupling(s, s->wrt[0], 0);
  const rh_val start[2] = {s->before, rh_fill(g, rh_shape1(1), 0)};
  const rh_val z = rh_ode(g, rh_concat(g, 2, start), s->wrt[1], from, until, options, linear_field, NULL);
  s->after = rh_slice(g, z, 0, D);
  s->share = rh_neg(g, rh_slice(g, z, D, 1));
  s->ladj = rh_add(g, s->ladj, s->share);
  const rh_val end_of = coupling(s, s->after, 1);
  s->loss = rh_sub(g, rh_mulc(g, rh_sum(g, rh_square(g, end_of)), 0.5), s->ladj);
  PROBE_OK(rh_graph_status(g));
  s->input[0] = probe_random(MOST * D, 70, -1.5, 1.5);
  s->input[1] = probe_random(MOST * M, 71, -1, 1);
}

static inline void chain_end(chain *s) {
  free(s->input[0]), free(s->input[1]);
  rh_graph_free(&s->g);
  rh_values_free(&s->values);
  rh_leaves_free(&s->leaves);
}

static inline void chain_rows(const chain *s, int64_t first, int64_t rows, int64_t block_rows, int threads, int n, const rh_val *v,
                              double *const *out) {
  probe p = {.g = &s->g,
             .values = &s->values,
             .real_bytes = s->values.real_bytes,
             .rows = rows,
             .threads = threads,
             .block_rows = block_rows,
             .n_row = n};
  p.input[0] = s->input[0] + first * D;
  p.input[1] = s->input[1] + first * M;
  for (int i = 0; i < n; i++) p.row_val[i] = v[i], p.row_out[i] = out[i];
  probe_run(&p);
}

static inline double chain_total(const chain *s, rh_val v) {
  double out[ROWS], *const to = out, sum = 0;
  chain_rows(s, 0, ROWS, 0, 1, 1, &v, &to);
  for (int i = 0; i < ROWS; i++) sum += out[i];
  return sum;
}

static double ode_grads[ODE_WRT][MOST * D];

static inline void chain_gradients(const chain *s, const rh_val *grads, int64_t rows, int threads, int64_t block_rows,
                                   double out[ODE_WRT][MOST * D]) {
  for (int half = 0; half < 2; half++) { /* as many as a probe takes at a time */
    probe p = {
        .g = &s->g, .values = &s->values, .real_bytes = s->values.real_bytes, .rows = rows, .threads = threads, .block_rows = block_rows};
    p.input[0] = s->input[0], p.input[1] = s->input[1];
    for (int i = half ? 2 : 0; i < (half ? ODE_WRT : 2); i++) {
      memset(out[i], 0, sizeof out[i]);
      if (rh_is_none(grads[i])) continue;
      if (half) {
        p.param_val[p.n_param] = grads[i], p.param_out[p.n_param++] = out[i];
      } else {
        p.row_val[p.n_row] = grads[i], p.row_out[p.n_row++] = out[i];
      }
    }
    probe_run(&p);
  }
}

static inline void check_chain(chain *s, rh_val of, const rh_val *grads, const char *name, double tolerance) {
  chain_gradients(s, grads, ROWS, 1, 0, ode_grads);
  for (int i = 0; i < ODE_WRT; i++) {
    const int64_t n = rh_count(&s->g, s->wrt[i]) * (i < 2 ? ROWS : 1);
    for (int64_t k = 0; k < n; k++) {
      static const double step_of[4] = {1, -1, 2, -2};
      const double h = 1.5e-3;
      double *at = i < 2 ? s->input[i] + k : (double *)rh_values_at(&s->leaves, &s->values, i - 2) + k, kept = *at, f[4];
      for (int j = 0; j < 4; j++) *at = kept + step_of[j] * h, f[j] = chain_total(s, of);
      *at = kept;
      const double want = (8 * (f[0] - f[1]) - (f[2] - f[3])) / (12 * h), got = ode_grads[i][k];
      if (!(fabs(got - want) <= tolerance * fmax(1, fabs(want))))
        fail_msg("%s, operand %d, number %lld: %.10g, differences %.10g", name, i, (long long)k, got, want);
    }
  }
}

/* ---- bits ---- */

typedef struct outcome {
  double loss[MOST], gx[MOST * D], gm[MOST * M];
} outcome;

static inline void rows_at(const chain *s, const rh_val *v, int64_t first, int64_t rows, int64_t block_rows, int threads, outcome *o) {
  chain_rows(s, first, rows, block_rows, threads, 3, v, (double *const[]){o->loss + first, o->gx + first * D, o->gm + first * M});
}

static inline bool same_row(const outcome *a, const outcome *b, int64_t r) {
  return a->loss[r] == b->loss[r] && memcmp(a->gx + r * D, b->gx + r * D, D * sizeof(double)) == 0 &&
         memcmp(a->gm + r * M, b->gm + r * M, M * sizeof(double)) == 0;
}

/* Rows stop at different times (their states differ by orders of magnitude), so every row meets every compaction. */
static inline void rows_are_alone(const rh_ode_options *options) {
  static outcome whole, other;
  for (int rb = 4; rb <= 8; rb += 4) {
    chain s;
    chain_begin(&s, rb, options);
    for (int64_t i = 0; i < MOST * D; i++) s.input[0][i] *= pow(10, (double)(i / D % 7) - 4);
    rh_val v[3] = {s.loss}, grads[2];
    PROBE_OK(rh_vjp(&s.g, 1, &s.loss, NULL, 2, s.wrt, grads, RH_KEEP));
    v[1] = grads[0], v[2] = grads[1];
    rows_at(&s, v, 0, MOST, 0, 1, &whole);
    for (int64_t r = 0; r < MOST; r += 31) {
      rows_at(&s, v, r, 1, 0, 1, &other);
      assert_true(same_row(&whole, &other, r));
    }
    for (int64_t r = 0; r + 7 <= MOST; r += 49) {
      rows_at(&s, v, r, 7, 0, 2, &other);
      for (int64_t i = r; i < r + 7; i++) assert_true(same_row(&whole, &other, i));
    }
    static const int64_t blocks[] = {16, 48, 1024};
    for (int b = 0; b < 3; b++) {
      rows_at(&s, v, 0, MOST, blocks[b], 2, &other);
      assert_memory_equal(&whole, &other, sizeof whole);
    }
    chain_end(&s);
  }
}

/* Threads do not show, in values and every gradient. */
static inline void threads_hide(const rh_ode_options *options) {
  static double a[ODE_WRT][MOST * D], b[ODE_WRT][MOST * D];
  for (int rb = 4; rb <= 8; rb += 4) {
    chain s;
    rh_val grads[ODE_WRT];
    chain_begin(&s, rb, options);
    PROBE_OK(rh_vjp(&s.g, 1, &s.loss, NULL, ODE_WRT, s.wrt, grads, RH_KEEP));
    chain_gradients(&s, grads, MOST, 1, 0, a);
    for (int threads = 2; threads <= 3; threads++) {
      chain_gradients(&s, grads, MOST, threads, 0, b);
      assert_memory_equal(a, b, sizeof a);
    }
    chain_end(&s);
  }
}

#endif
