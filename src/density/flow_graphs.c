/* What a flow, or a mixture of flows, computes of a row. */
#include "density/flow.h"
#include "density/mixing.h"
#include "graph/ops.h"

/* A density is one number a row, even where it depends on none of the row's. */
static rh_val as_row(rh_graph *g, rh_val v) {
  return rh_is_none(v) || rh_is_row(g, v) ? v : rh_add(g, rh_fill(g, rh_shape1(1), 0), v);
}

/* A code is a vector, whatever shape the flow ends in. */
static rh_val flat(rh_graph *g, rh_val z) {
  return g->status == RH_OK ? rh_reshape(g, z, rh_shape1(rh_count(g, z))) : RH_NONE;
}

static bool has_codes(const rh_flow *f, rh_graph *g) {
  if (f->body) return true;
  rh_graph_fail(g, RH_E_UNSUPPORTED, "a mixture of %lld flows has no codes: a row does not tell which of them it comes from",
                (long long)f->components);
  return false;
}

void rh_flow_encode(const rh_flow *f, rh_graph *g, rh_val x, rh_val context, rh_val noise, rh_val *z, rh_val *ladj) {
  *z = *ladj = RH_NONE;
  if (!has_codes(f, g)) return;
  rh_forward(f->body, g, x, rh_context_encode(f->encoder, g, context), noise, z, ladj);
  *z = flat(g, *z);
}

void rh_flow_decode(const rh_flow *f, rh_graph *g, rh_val z, rh_val context, rh_val *x, rh_val *ladj) {
  *x = *ladj = RH_NONE;
  if (has_codes(f, g)) rh_inverse(f->body, g, z, rh_context_encode(f->encoder, g, context), x, ladj);
}

rh_val rh_flow_state(const rh_flow *f, rh_graph *g, rh_val z, rh_val context, double t) {
  rh_val x;
  rh_state(f->body, g, z, rh_context_encode(f->encoder, g, context), t, &x);
  return x;
}

static rh_val density_of(const rh_bijection *body, const rh_base *base, rh_graph *g, rh_val x, rh_val context, rh_val noise) {
  rh_val z, ladj;
  rh_forward(body, g, x, context, noise, &z, &ladj);
  z = flat(g, z);
  return as_row(g, rh_add_maybe(g, rh_base_log_prob(base, g, z, context), ladj));
}

/* [n] from a noise input: RH_NONE where nothing is read. */
static rh_val part_of(rh_graph *g, rh_val noise, int64_t at, int64_t n) {
  return n ? rh_slice(g, noise, at, n) : RH_NONE;
}

/* ---- mixtures ---- */

static rh_val log_weights(const rh_flow *f, rh_graph *g) {
  return f->logits < 0 ? rh_const_values(g, rh_shape1(f->components), f->log_weights) : rh_log_softmax(g, rh_leaf_val(g, f->logits));
}

/* log sum_k w_k p_k(y), y behind the shared preprocessing. Every component reads the same noise, from `at` on: where it dequantizes, all
 * see the same row of its cell. */
static rh_val mixed(const rh_flow *f, rh_graph *g, rh_val y, rh_val context, rh_val noise, int64_t at) {
  rh_val one[RH_FLOW_COMPONENTS];
  for (int64_t k = 0; k < f->components && g->status == RH_OK; k++) {
    const rh_component *c = &f->component[k];
    one[k] = density_of(c->body, c->base, g, y, context, part_of(g, noise, at, c->body->noise));
  }
  if (g->status != RH_OK) return RH_NONE;
  return rh_log_sum_exp(g, rh_add(g, rh_concat(g, (int)f->components, one), log_weights(f, g)));
}

static rh_val mixture_log_prob(const rh_flow *f, rh_graph *g, rh_val x, rh_val context, rh_val noise) {
  rh_val y, ladj;
  rh_forward(f->shared, g, x, context, part_of(g, noise, 0, f->shared->noise), &y, &ladj);
  return rh_add_maybe(g, mixed(f, g, y, context, noise, f->shared->noise), ladj);
}

/* Every component's sample of the same uniforms; the chosen one is let through by a gate, not by a product, for another's may be infinite.
 */
static void mixture_sample(const rh_flow *f, rh_graph *g, rh_val u, rh_val context, double temperature, rh_val *x, rh_val *log_prob) {
  const rh_val chosen = rh_pick(g, rh_slice(g, u, 0, 1), log_weights(f, g));
  const int64_t inside = f->noise - f->shared->noise;
  rh_val y = RH_NONE, ladj;
  for (int64_t k = 0; k < f->components && g->status == RH_OK; k++) {
    const rh_component *c = &f->component[k];
    rh_val one;
    const rh_val z = rh_base_sample(c->base, g, part_of(g, u, 1, c->base->noise), context, temperature);
    rh_inverse(c->body, g, z, context, &one, &ladj);
    y = rh_add_maybe(g, y, rh_gate(g, one, rh_slice(g, chosen, k, 1)));
  }
  rh_inverse(f->shared, g, y, context, x, &ladj);
  if (log_prob) *log_prob = mixed(f, g, y, context, u, f->base_noise - inside);
  if (log_prob && !rh_is_none(ladj)) *log_prob = rh_sub(g, *log_prob, ladj);
}

/* ---- both ---- */

rh_val rh_flow_log_prob(const rh_flow *f, rh_graph *g, rh_val x, rh_val context, rh_val noise) {
  const rh_val features = rh_context_encode(f->encoder, g, context);
  return f->body ? density_of(f->body, f->base, g, x, features, noise) : mixture_log_prob(f, g, x, features, noise);
}

void rh_flow_sample(const rh_flow *f, rh_graph *g, rh_val base_noise, rh_val context, double temperature, rh_val *x, rh_val *log_prob) {
  const rh_val features = rh_context_encode(f->encoder, g, context);
  if (!f->body) {
    mixture_sample(f, g, base_noise, features, temperature, x, log_prob);
    return;
  }
  rh_val ladj;
  const rh_val z = rh_base_sample(f->base, g, base_noise, features, temperature);
  rh_inverse(f->body, g, z, features, x, &ladj);
  if (!log_prob) return;
  const rh_val base = rh_base_log_prob(f->base, g, z, features);
  *log_prob = as_row(g, rh_is_none(ladj) ? base : rh_sub(g, base, ladj));
}
