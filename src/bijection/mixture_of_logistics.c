/* The mixture-of-logistics CDF (Ho et al. 2019, Flow++, eq. 8-10): y = logit(F(x)) e^a + b, F(x) = sum_k pi_k sigmoid(z_k), z_k = (x -
 * mu_k) e^-s_k. raw, by element: K logits of pi, K means, K log-scales, a, b. Log-scales and a are bounded smoothly.
 *
 * Everything is in log space. With t = log pi + log sigmoid(z) and u = log pi + log sigmoid(-z), logit F = logsumexp(t) - logsumexp(u), and
 * the slope pdf / (F (1 - F)) = pdf / F + pdf / (1 - F) is a sum of positive terms, sum_k e^-s_k (softmax(t)_k sigmoid(-z_k) + softmax(u)_k
 * sigmoid(z_k)), where nothing cancels however far x is. z is clipped at 1e38, so that y and its log-slope are numbers for every x but NaN.
 *
 * K equal standard logistics are the identity, and they stay equal for ever: each gets the same gradient. So the means are offset by fixed
 * numbers, equally spaced in [-0.1, 0.1]. Zeros then give |y - x| <= log mean_k e^offset_k, 0.0022 for K = 8 and 0.005 at most, which is
 * little beside what standardizing leaves. Adam parts the components of two separate modes after 500 to 700 steps of 0.003; without offsets
 * never, and with gains of the raw means instead, which keep the identity to the bit, seldom within 1500 when there is no context. One
 * component has none.
 *
 * The inverse has no closed form. It is a root with a bracket that holds it: logit F lies between the components' z_k, so the root of
 * logit F = v between the least and the greatest mu_k + v e^s_k. */
#include <math.h>

#include "base/memory.h"
#include "bijection/transform.h"
#include "graph/ops.h"

typedef struct mixture {
  rh_transform transform;
  int64_t k;
  double bound;
} mixture;

static rh_status create(rh_transform *t, rh_spec *spec) {
  mixture *m = (mixture *)t;
  m->k = rh_spec_int(spec, "components", 8, 1, 256);
  m->bound = rh_spec_real(spec, "bound", 5, 0.01, 40);
  t->params = 3 * m->k + 2;
  return rh_spec_status(spec);
}

/* ---- log-sums of exponentials over the last dimension; t: [m, K] ---- */

/* A whole number near the greatest, expanded to t's shape: it has no derivative, and needs none, since it cancels. */
static rh_val shift_of(rh_graph *g, rh_val t, rh_val *shift) {
  *shift = rh_floor(g, rh_max_last(g, t));
  return rh_expand_last(g, *shift, rh_width(g, t));
}
/* logsumexp(t) [m], and log softmax(t) [m, K], which is right where t is so large that t - logsumexp(t) is not. */
static rh_val log_sum(rh_graph *g, rh_val t, rh_val *softmax) {
  rh_val shift;
  const rh_val d = rh_sub(g, t, shift_of(g, t, &shift)), sum = rh_log(g, rh_sum_last(g, rh_exp(g, d)));
  if (softmax) *softmax = rh_sub(g, d, rh_expand_last(g, sum, rh_width(g, t)));
  return rh_add(g, shift, sum);
}
/* log sum_k (e^a + e^b) */
static rh_val log_sum_of_two(rh_graph *g, rh_val a, rh_val b) {
  rh_val shift;
  const rh_val wide = shift_of(g, rh_max(g, a, b), &shift);
  return rh_add(g, shift, rh_log(g, rh_sum_last(g, rh_add(g, rh_exp(g, rh_sub(g, a, wide)), rh_exp(g, rh_sub(g, b, wide))))));
}

/* ---- the components ---- */

typedef struct components {
  rh_val log_weight, mean, log_scale; /* [m, K] */
} components;

static components components_of(const mixture *t, rh_graph *g, const rh_raw *raw) {
  const int64_t n = raw->m * t->k;
  const rh_shape shape = rh_shape2(raw->m, t->k);
  double *offset = rh_alloc((size_t)n * sizeof *offset);
  components c = {RH_NONE, RH_NONE, RH_NONE};
  if (!offset) {
    g->status = RH_E_MEMORY;
    return c;
  }
  for (int64_t i = 0; i < n; i++) offset[i] = t->k == 1 ? 0 : 0.1 * (double)(2 * (i % t->k) - (t->k - 1)) / (double)(t->k - 1);
  log_sum(g, rh_reshape(g, rh_raw_some(g, raw, 0, t->k), shape), &c.log_weight);
  c.mean = rh_add(g, rh_reshape(g, rh_raw_some(g, raw, t->k, t->k), shape), rh_const_values(g, shape, offset));
  c.log_scale = rh_bound(g, rh_reshape(g, rh_raw_some(g, raw, 2 * t->k, t->k), shape), t->bound);
  rh_free(offset);
  return c;
}

/* logit F(x) [m]; its log-slope where asked. */
static rh_val logit(rh_graph *g, rh_val x, const components *c, rh_val *log_slope) {
  const rh_val away = rh_sub(g, rh_expand_last(g, x, rh_width(g, c->mean)), c->mean);
  const rh_val z = rh_minc(g, rh_maxc(g, rh_mulexp(g, away, rh_neg(g, c->log_scale)), -1e38), 1e38);
  const rh_val p = rh_neg(g, rh_softplus(g, rh_neg(g, z))), q = rh_neg(g, rh_softplus(g, z)); /* log sigmoid(z), log sigmoid(-z) */
  rh_val of_p = RH_NONE, of_q = RH_NONE;
  const rh_val log_f = log_sum(g, rh_add(g, c->log_weight, p), log_slope ? &of_p : NULL),
               log_rest = log_sum(g, rh_add(g, c->log_weight, q), log_slope ? &of_q : NULL);
  if (log_slope) *log_slope = log_sum_of_two(g, rh_sub(g, rh_add(g, of_p, q), c->log_scale), rh_sub(g, rh_add(g, of_q, p), c->log_scale));
  return rh_sub(g, log_f, log_rest);
}

/* ---- both directions ---- */

static void forward(const rh_transform *transform, rh_graph *g, rh_val x, const rh_raw *raw, rh_val *y, rh_val *ladj) {
  const mixture *t = (const mixture *)transform;
  const components c = components_of(t, g, raw);
  const rh_val a = rh_bound(g, rh_raw_some(g, raw, 3 * t->k, 1), t->bound), b = rh_raw_some(g, raw, 3 * t->k + 1, 1);
  rh_val slope;
  const rh_val v = logit(g, x, &c, &slope);
  *y = rh_add(g, rh_mulexp(g, v, a), b);
  *ladj = rh_add(g, slope, a);
}

/* [m, K] as columns [part K, part K + K) of captures [m, 3 K] */
typedef struct capture_how {
  int64_t m, k, part;
} capture_how;
static int64_t captured_run(const void *arg, int64_t i) {
  const capture_how *how = arg;
  return (i * 3 + how->part) * how->k;
}
static rh_val captured(rh_graph *g, rh_val captures, int64_t m, int64_t k, int64_t part) {
  return rh_gather_runs(g, captures, rh_shape2(m, k), k, captured_run, &(capture_how){m, k, part});
}
static int64_t run_to_capture(const void *arg, int64_t i) {
  const capture_how *how = arg;
  return (i % 3 * how->m + i / 3) * how->k;
}
static rh_val captures_of(rh_graph *g, const components *c, int64_t m, int64_t k) {
  const rh_val all = rh_concat(g, 3, (rh_val[]){c->log_weight, c->mean, c->log_scale});
  return rh_gather_runs(g, all, rh_shape2(m, 3 * k), k, run_to_capture, &(capture_how){m, k, 0});
}
static rh_val logit_of_captures(rh_graph *b, void *arg, rh_val x, rh_val captures) {
  const int64_t m = rh_count(b, x), k = ((const mixture *)arg)->k;
  const components c = {captured(b, captures, m, k, 0), captured(b, captures, m, k, 1), captured(b, captures, m, k, 2)};
  return logit(b, x, &c, NULL);
}

static void inverse(const rh_transform *transform, rh_graph *g, rh_val y, const rh_raw *raw, rh_val *x, rh_val *ladj) {
  const mixture *t = (const mixture *)transform;
  const components c = components_of(t, g, raw);
  const rh_val a = rh_neg(g, rh_bound(g, rh_raw_some(g, raw, 3 * t->k, 1), t->bound)), b = rh_raw_some(g, raw, 3 * t->k + 1, 1);
  const rh_val v = rh_mulexp(g, rh_sub(g, y, b), a);
  const rh_val alone = rh_add(g, c.mean, rh_mulexp(g, rh_expand_last(g, v, t->k), c.log_scale)); /* each component's own root */
  const rh_val low = rh_neg(g, rh_max_last(g, rh_neg(g, alone))), high = rh_max_last(g, alone);
  rh_val slope;
  *x = rh_root(g, v, captures_of(g, &c, raw->m, t->k), low, high, logit_of_captures, (void *)(uintptr_t)t);
  logit(g, *x, &c, &slope);
  *ladj = rh_sub(g, a, slope);
}

const rh_transform_type rh_transform_mixture_of_logistics = {
    "mixture-of-logistics", sizeof(mixture), create, 0, true, forward, inverse, NULL};
