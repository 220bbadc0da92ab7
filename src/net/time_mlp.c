/* A multi-layer perceptron that reads the time at every layer, as a field. Layers z = W h + b join the time t in one of three ways:
 *   "concat"  z + a t: t is one more input of the layer, [W a] (h, t) + b
 *   "squash"  z sigmoid(a t + c) + u t (Grathwohl et al. 2019, FFJORD, the layer of their code)
 *   "hyper"   W(t) h + b(t), by "functions" learnt functions of t (net/hyper.h; their HyperLinear)
 * and a context joins the first layer, beside t. "residual": from the second on, hidden layers add to what they read.
 * Leaves prefix.0.weight, .bias, .time (a), of squash .gate (c) and .shift (u), prefix.0.context, prefix.1.weight, ...
 *
 * tr(df/dx), with D_l the slopes of layer l's activations on the diagonal (and squash's gates), is
 *   no hidden layer      tr(W1)
 *   one                  tr(W2 D1 W1) = sum_j d1_j (W1 W2)_jj
 *   two                  tr(W3 D2 W2 D1 W1) = d2' M d1 with M = W2 o (W1 W3)', o elementwise: parameters alone, so made once a run
 * and one small product a row; with weights that are sums over K + 1 functions the second is a sum over pairs of them, and the third would
 * be one over (K + 1)^3 matrices. More layers: the tangents of all columns go through as one value [d, hidden]; the last layer gives the
 * diagonal alone. */
#include <math.h>
#include <stdio.h>

#include "net/hyper.h"
#include "net/types.h"

enum { LAYERS = 16, FUNCTIONS = 64 };
enum { CONCAT, SQUASH, HYPER };
static const char *const time_names[] = {"concat", "squash", "hyper", NULL};

typedef struct layer {
  rh_dense dense;
  int time, gate, shift;
  rh_hyper hyper; /* instead */
} layer;

typedef struct time_mlp {
  rh_field field;
  int activation, hidden; /* hidden layers */
  int time;
  bool residual;
  int64_t functions; /* of hyper */
  int context;       /* leaf; without a context -1 */
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
  if (m->time == HYPER) return rh_hyper_create(build, name, in, out, m->functions, last ? 0 : gain, last ? 0 : 1, &m->layer[l].hyper);
  RH_TRY(rh_dense_create(build, name, in, out, last ? 0 : gain, last ? 0 : 1, &m->layer[l].dense));
  RH_TRY(vector(build, l, "time", out, deviation, &m->layer[l].time));
  if (m->time == CONCAT) return RH_OK;
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
  return !m->residual && (m->hidden < 2 || (m->hidden == 2 && m->time == CONCAT));
}

static rh_status time_mlp_create(rh_field *f, const rh_build *build, rh_spec *spec) {
  time_mlp *m = (time_mlp *)f;
  int64_t width[LAYERS] = {64, 64}, in = f->d;
  m->hidden = 2;
  rh_spec_ints(spec, "hidden", 1, RH_NET_WIDTH, LAYERS, &m->hidden, width);
  RH_TRY(rh_field_activation(spec, "tanh", &m->activation));
  m->time = rh_spec_choice(spec, "time", CONCAT, time_names);
  if (m->time == HYPER) m->functions = rh_spec_int(spec, "functions", 4, 1, FUNCTIONS);
  m->residual = rh_spec_bool(spec, "residual", false);
  const double gain = rh_spec_real(spec, "gain", RH_NET_GAIN, 0.01, 10);
  RH_TRY(rh_spec_status(spec));
  RH_TRY(rh_field_one_width(spec, m->residual, m->hidden, width));
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

/* What the layers leave for the trace. */
typedef struct trail {
  rh_val slope[LAYERS];    /* [hidden]: of the activation, times squash's gate */
  rh_val time[LAYERS + 1]; /* what the time alone makes: squash's gate [out], hyper's functions [K + 1] */
} trail;

static rh_val run_layer(const time_mlp *m, rh_graph *g, int l, rh_val h, rh_val t, rh_val context, rh_val *time) {
  const layer *y = &m->layer[l];
  rh_val z, at = RH_NONE;
  *time = RH_NONE;
  if (m->time == HYPER) {
    *time = rh_hyper_functions(&y->hyper, g, t);
    z = rh_hyper_apply(&y->hyper, g, *time, h);
  } else {
    z = rh_dense_apply(&y->dense, g, h);
    at = rh_mul(g, rh_leaf_val(g, y->time), t);
  }
  if (m->time == SQUASH) {
    *time = rh_sigmoid(g, rh_add(g, at, rh_leaf_val(g, y->gate)));
    z = rh_mul(g, z, *time);
    at = rh_mul(g, rh_leaf_val(g, y->shift), t);
  }
  if (l == 0 && m->context >= 0) at = rh_add_maybe(g, at, rh_linear(g, context, rh_leaf_val(g, m->context), RH_NONE));
  return rh_add_maybe(g, z, at);
}

static rh_val run_layers(const time_mlp *m, rh_graph *g, rh_val x, rh_val t, rh_val context, trail *left) {
  rh_val h = x, time;
  for (int l = 0; l < m->hidden && g->status == RH_OK; l++) {
    const rh_val z = run_layer(m, g, l, h, t, context, &time), a = rh_activation(g, m->activation, z);
    if (left && g->status == RH_OK) {
      const rh_val slope = rh_slope_of(g, a, z);
      left->slope[l] = m->time == SQUASH ? rh_mul(g, slope, time) : slope;
      left->time[l] = time;
    }
    h = m->residual && l ? rh_add(g, h, a) : a;
  }
  const rh_val dx = run_layer(m, g, m->hidden, h, t, context, &time);
  if (left) left->time[m->hidden] = time;
  return dx;
}

/* ---- the trace ---- */

static rh_val weight(const time_mlp *m, rh_graph *g, int l) {
  return rh_leaf_val(g, m->layer[l].dense.weight);
}

static rh_val trace_closed_hyper(const time_mlp *m, rh_graph *g, const trail *left) {
  const layer *y = m->layer;
  if (m->hidden == 0) return rh_hyper_trace(&y[0].hyper, g, left->time[0]);
  return rh_hyper_trace_of_two(&y[0].hyper, left->time[0], left->slope[0], &y[1].hyper, left->time[1], g);
}

static rh_val trace_closed(const time_mlp *m, rh_graph *g, const trail *left) {
  const rh_val *slope = left->slope, gate = left->time[m->hidden];
  if (m->time == HYPER) return trace_closed_hyper(m, g, left);
  if (m->hidden == 0) {
    const rh_val diagonal = rh_diagonal(g, weight(m, g, 0));
    return rh_sum(g, m->time == SQUASH ? rh_mul(g, diagonal, gate) : diagonal);
  }
  if (m->hidden == 2) {
    const rh_val round = rh_matmul(g, weight(m, g, 2), weight(m, g, 0), true, true); /* (W1 W3)' [h2, h1] */
    return rh_sum(g, rh_mul(g, slope[1], rh_linear(g, slope[0], rh_mul(g, weight(m, g, 1), round), RH_NONE)));
  }
  const rh_val round = rh_mul(g, weight(m, g, 0), rh_transposed(g, weight(m, g, 1))); /* [h, d], its sums over d: diag(W1 W2) */
  return rh_sum(g, rh_mul(g, slope[0], m->time == SQUASH ? rh_linear(g, gate, round, RH_NONE) : rh_sum_last(g, round)));
}

/* Layer l's W' [in, out], as it is at t, but for squash's gates. */
static rh_val turned(const time_mlp *m, rh_graph *g, int l, const trail *left) {
  return m->time == HYPER ? rh_hyper_matrix(&m->layer[l].hyper, g, left->time[l], true) : rh_transposed(g, weight(m, g, l));
}

static rh_val trace_columns(const time_mlp *m, rh_graph *g, const trail *left) {
  const int64_t d = m->field.d;
  const int last = m->hidden;
  rh_val tangent = rh_mul(g, turned(m, g, 0, left), rh_over_lines(g, left->slope[0], d)); /* [d, h]: line i is dh / dx_i */
  for (int l = 1; l < last && g->status == RH_OK; l++) {
    const rh_val product =
        m->time == HYPER ? rh_hyper_lines(&m->layer[l].hyper, g, left->time[l], tangent) : rh_linear(g, tangent, weight(m, g, l), RH_NONE);
    const rh_val moved = rh_mul(g, product, rh_over_lines(g, left->slope[l], d));
    tangent = m->residual ? rh_add(g, tangent, moved) : moved;
  }
  if (m->time == HYPER) return rh_sum(g, rh_mul(g, tangent, rh_hyper_matrix(&m->layer[last].hyper, g, left->time[last], false)));
  const rh_val diagonal = rh_mul(g, tangent, weight(m, g, last)); /* [d, h] */
  return rh_sum(g, m->time == SQUASH ? rh_mul(g, rh_sum_last(g, diagonal), left->time[last]) : diagonal);
}

static void time_mlp_apply(const rh_field *f, rh_graph *g, rh_val x, rh_val t, rh_val context, rh_val *dx, rh_val *trace) {
  const time_mlp *m = (const time_mlp *)f;
  trail left;
  *dx = run_layers(m, g, x, t, context, trace ? &left : NULL);
  if (trace && g->status == RH_OK) *trace = closed(m) ? trace_closed(m, g, &left) : trace_columns(m, g, &left);
}

const rh_field_type rh_field_time_mlp = {.type = "time_mlp", .bytes = sizeof(time_mlp), .create = time_mlp_create, .apply = time_mlp_apply};
