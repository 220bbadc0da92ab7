/* A multi-layer perceptron that reads the time at every layer, as a field. Layers z = W h + b join the time t in one of two ways:
 *   "concat"  z + a t: t is one more input of the layer, [W a] (h, t) + b
 *   "squash"  z sigmoid(a t + c) + u t (Grathwohl et al. 2019, FFJORD, the layer of their code)
 * and a context joins the first layer, beside t. "residual": from the second on, hidden layers add to what they read.
 * Leaves prefix.0.weight, .bias, .time (a), of squash .gate (c) and .shift (u), prefix.0.context, prefix.1.weight, ...
 *
 * tr(df/dx), with D_l the slopes of layer l's activations on the diagonal (and squash's gates), is
 *   no hidden layer      tr(W1)
 *   one                  tr(W2 D1 W1) = sum_j d1_j (W1 W2)_jj
 *   two                  tr(W3 D2 W2 D1 W1) = d2' M d1 with M = W2 o (W1 W3)', o elementwise: parameters alone, so made once a run
 * and one small product a row. More layers: the tangents of all columns go through as one value [d, hidden]; the last layer gives the
 * diagonal alone. */
#include <math.h>
#include <stdio.h>

#include "net/dense.h"
#include "net/types.h"

enum { LAYERS = 16 };
enum { CONCAT, SQUASH };
static const char *const time_names[] = {"concat", "squash", NULL};

typedef struct layer {
  rh_dense dense;
  int time, gate, shift;
} layer;

typedef struct time_mlp {
  rh_field field;
  int activation, hidden; /* hidden layers */
  bool squash, residual;
  int context; /* leaf; without a context -1 */
  layer layer[LAYERS + 1];
} time_mlp;

/* ---- making one ---- */

static rh_status vector(const rh_build *build, int l, const char *name, int64_t n, double deviation, int *leaf) {
  const rh_init init = {deviation == 0 ? RH_INIT_CONSTANT : RH_INIT_NORMAL, deviation, NULL};
  return rh_leaf_add(build->leaves, RH_PARAM, rh_shape1(n), init, false, leaf, "%s.%d.%s", build->prefix, l, name);
}

/* The last layer starts at zero but for a gate's c, by which nothing is lost there. */
static rh_status create_layer(time_mlp *m, const rh_build *build, int l, int64_t in, int64_t out, double gain) {
  char name[16];
  const bool last = l == m->hidden;
  const double deviation = last ? 0 : gain / sqrt((double)in + 1);
  snprintf(name, sizeof name, "%d", l);
  RH_TRY(rh_dense_create(build, name, in, out, last ? 0 : gain, last ? 0 : 1, &m->layer[l].dense));
  RH_TRY(vector(build, l, "time", out, deviation, &m->layer[l].time));
  if (!m->squash) return RH_OK;
  RH_TRY(vector(build, l, "gate", out, gain, &m->layer[l].gate));
  return vector(build, l, "shift", out, deviation, &m->layer[l].shift);
}

static rh_status create_context(time_mlp *m, const rh_build *build, int64_t out, double gain) {
  const double scale = 1 / sqrt((double)(m->field.d + build->context));
  const rh_init init = {m->hidden ? RH_INIT_NORMAL : RH_INIT_CONSTANT, m->hidden ? gain * scale : 0, NULL};
  m->context = -1;
  if (!build->context) return RH_OK;
  return rh_leaf_add(build->leaves, RH_PARAM, rh_shape2(out, build->context), init, true, &m->context, "%s.0.context", build->prefix);
}

static bool closed(const time_mlp *m) {
  return !m->residual && (m->hidden < 2 || (m->hidden == 2 && !m->squash));
}

static rh_status time_mlp_create(rh_field *f, const rh_build *build, rh_spec *spec) {
  time_mlp *m = (time_mlp *)f;
  int64_t width[LAYERS] = {64, 64}, in = f->d;
  m->hidden = 2;
  rh_spec_ints(spec, "hidden", 1, RH_NET_WIDTH, LAYERS, &m->hidden, width);
  RH_TRY(rh_field_activation(spec, "tanh", &m->activation));
  m->squash = rh_spec_choice(spec, "time", 0, time_names) == SQUASH;
  m->residual = rh_spec_bool(spec, "residual", false);
  const double gain = rh_spec_real(spec, "gain", RH_NET_GAIN, 0.01, 10);
  RH_TRY(rh_spec_status(spec));
  for (int l = 1; m->residual && l < m->hidden; l++)
    if (width[l] != width[0])
      return rh_spec_fail(spec, "residual", "layers that add to what they read must be of one width: see \"hidden\"");
  for (int l = 0; l <= m->hidden; l++) {
    const int64_t out = l < m->hidden ? width[l] : f->d;
    RH_TRY(create_layer(m, build, l, in, out, gain));
    if (l == 0) RH_TRY(create_context(m, build, out, gain));
    in = out;
  }
  f->traced = true;
  f->columns = closed(m) ? 0 : f->d;
  return RH_OK;
}

/* ---- the value ---- */

/* What a layer leaves for the trace. */
typedef struct slopes {
  rh_val slope[LAYERS]; /* [hidden]: of the activation, times the gate */
  rh_val gate;          /* [d]: squash's of the last layer */
} slopes;

/* d a(z) / dz for each element, from the graph's own rule. */
static rh_val slope_of(rh_graph *g, rh_val a, rh_val z) {
  rh_val slope = RH_NONE;
  const rh_status status = rh_vjp(g, 1, &a, NULL, 1, &z, &slope, RH_KEEP);
  if (g->status == RH_OK) g->status = status;
  return slope;
}

static rh_val run_layer(const time_mlp *m, rh_graph *g, int l, rh_val h, rh_val t, rh_val context, rh_val *gate) {
  const layer *y = &m->layer[l];
  rh_val z = rh_dense_apply(&y->dense, g, h), at = rh_mul(g, rh_leaf_val(g, y->time), t);
  *gate = RH_NONE;
  if (m->squash) {
    *gate = rh_sigmoid(g, rh_add(g, at, rh_leaf_val(g, y->gate)));
    z = rh_mul(g, z, *gate);
    at = rh_mul(g, rh_leaf_val(g, y->shift), t);
  }
  if (l == 0 && m->context >= 0) at = rh_add(g, at, rh_linear(g, context, rh_leaf_val(g, m->context), RH_NONE));
  return rh_add(g, z, at);
}

static rh_val run_layers(const time_mlp *m, rh_graph *g, rh_val x, rh_val t, rh_val context, slopes *trail) {
  rh_val h = x, gate;
  for (int l = 0; l < m->hidden && g->status == RH_OK; l++) {
    const rh_val z = run_layer(m, g, l, h, t, context, &gate), a = rh_activation(g, m->activation, z);
    if (trail && g->status == RH_OK) {
      trail->slope[l] = slope_of(g, a, z);
      if (m->squash) trail->slope[l] = rh_mul(g, trail->slope[l], gate);
    }
    h = m->residual && l ? rh_add(g, h, a) : a;
  }
  const rh_val dx = run_layer(m, g, m->hidden, h, t, context, &gate);
  if (trail) trail->gate = gate;
  return dx;
}

/* ---- the trace ---- */

static rh_val weight(const time_mlp *m, rh_graph *g, int l) {
  return rh_leaf_val(g, m->layer[l].dense.weight);
}

static rh_val trace_closed(const time_mlp *m, rh_graph *g, const slopes *trail) {
  const rh_val *slope = trail->slope;
  if (m->hidden == 0) {
    const rh_val diagonal = rh_diagonal(g, weight(m, g, 0));
    return rh_sum(g, m->squash ? rh_mul(g, diagonal, trail->gate) : diagonal);
  }
  if (m->hidden == 2) {
    const rh_val round = rh_matmul(g, weight(m, g, 2), weight(m, g, 0), true, true); /* (W1 W3)' [h2, h1] */
    return rh_sum(g, rh_mul(g, slope[1], rh_linear(g, slope[0], rh_mul(g, weight(m, g, 1), round), RH_NONE)));
  }
  const rh_val round = rh_mul(g, weight(m, g, 0), rh_transposed(g, weight(m, g, 1))); /* [h, d], its sums over d: diag(W1 W2) */
  return rh_sum(g, rh_mul(g, slope[0], m->squash ? rh_linear(g, trail->gate, round, RH_NONE) : rh_sum_last(g, round)));
}

/* v: [n] -> [d, n], the same in every line */
static rh_val over_columns(rh_graph *g, rh_val v, int64_t d) {
  const int64_t n = rh_count(g, v);
  return rh_reshape(g, rh_over_pixels(g, v, rh_shape3(1, d, n)), rh_shape2(d, n));
}

static rh_val trace_columns(const time_mlp *m, rh_graph *g, const slopes *trail) {
  const int64_t d = m->field.d;
  rh_val tangent = rh_mul(g, rh_transposed(g, weight(m, g, 0)), over_columns(g, trail->slope[0], d)); /* [d, h]: line i is dh / dx_i */
  for (int l = 1; l < m->hidden && g->status == RH_OK; l++) {
    const rh_val moved = rh_mul(g, rh_linear(g, tangent, weight(m, g, l), RH_NONE), over_columns(g, trail->slope[l], d));
    tangent = m->residual ? rh_add(g, tangent, moved) : moved;
  }
  const rh_val diagonal = rh_mul(g, tangent, weight(m, g, m->hidden)); /* [d, h] */
  return rh_sum(g, m->squash ? rh_mul(g, rh_sum_last(g, diagonal), trail->gate) : diagonal);
}

static void time_mlp_apply(const rh_field *f, rh_graph *g, rh_val x, rh_val t, rh_val context, rh_val *dx, rh_val *trace) {
  const time_mlp *m = (const time_mlp *)f;
  slopes trail = {.gate = RH_NONE};
  *dx = run_layers(m, g, x, t, context, trace ? &trail : NULL);
  if (trace && g->status == RH_OK) *trace = closed(m) ? trace_closed(m, g, &trail) : trace_columns(m, g, &trail);
}

const rh_field_type rh_field_time_mlp = {.type = "time_mlp", .bytes = sizeof(time_mlp), .create = time_mlp_create, .apply = time_mlp_apply};
