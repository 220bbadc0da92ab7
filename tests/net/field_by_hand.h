/* A field made from a specification, run on some rows, and the same values in plain loops. */
#ifndef RH_TESTS_FIELD_BY_HAND_H
#define RH_TESTS_FIELD_BY_HAND_H
#include "base/memory.h"
#include "net/types.h"
#include "support/probe.h"

enum { ROWS = 6, WIDE = 64, IMAGE_WIDE = 256, MOST = 32, MANY = 4000 };

typedef struct rig {
  rh_leaves leaves;
  rh_values values;
  rh_field *field;
} rig;

static inline rh_status try(rig *r, const char *spec, rh_shape in, int64_t context) {
  *r = (rig){0};
  json_t *json = NULL;
  const rh_build build = {&r->leaves, "p", context};
  PROBE_OK(rh_json_parse(spec, strlen(spec), "test", &json));
  const rh_status status = rh_field_create(&build, json, "field", in, &r->field);
  json_decref(json);
  return status;
}

static inline void drop(rig *r) {
  rh_field_destroy(r->field);
  rh_values_free(&r->values);
  rh_leaves_free(&r->leaves);
}

static inline rig make_of(const char *spec, rh_shape in, int64_t context, int real_bytes, bool shaken) {
  rig r;
  PROBE_OK(try(&r, spec, in, context));
  PROBE_OK(rh_values_create(&r.leaves, real_bytes, &r.values));
  rh_values_init(&r.leaves, 3, &r.values);
  if (shaken) probe_scatter(&r.leaves, &r.values);
  return r;
}

static inline rig make(const char *spec, int64_t d, int64_t context, int real_bytes, bool shaken) {
  return make_of(spec, rh_shape1(d), context, real_bytes, shaken);
}

typedef struct inputs {
  double *x, *t, *context;
} inputs;

static inline inputs draw(const rig *r, int64_t rows) {
  return (inputs){probe_random(rows * r->field->d, 1, -2, 2), probe_random(rows, 2, 0, 1),
                  probe_random(rows * (r->field->context + 1), 3, -1, 1)};
}

static inline void undraw(inputs *in) {
  free(in->x), free(in->t), free(in->context);
}

/* dx [rows, d], trace [rows] as the field has it, columns [rows]; each may be NULL. */
static inline void run(const rig *r, const inputs *in, int64_t rows, double *dx, double *trace, double *columns) {
  rh_graph g;
  rh_val v = RH_NONE, exact = RH_NONE;
  PROBE_OK(rh_graph_init(&g, &r->leaves));
  const rh_val x = rh_input(&g, rh_shape1(r->field->d)), t = rh_input(&g, rh_shape1(1));
  const rh_val c = r->field->context ? rh_input(&g, rh_shape1(r->field->context)) : RH_NONE;
  if (trace) {
    rh_trace_exact(r->field, &g, x, t, c, &v, &exact);
  } else {
    v = rh_field_apply(r->field, &g, x, t, c);
  }
  const rh_val zero = rh_fill(&g, rh_shape1(1), 0);
  probe p = {.g = &g, .values = &r->values, .real_bytes = r->values.real_bytes, .rows = rows, .input = {in->x, in->t, in->context}};
  if (dx) p.row_val[p.n_row] = v, p.row_out[p.n_row++] = dx;
  if (trace) p.row_val[p.n_row] = rh_add(&g, zero, exact), p.row_out[p.n_row++] = trace;
  if (columns) p.row_val[p.n_row] = rh_add(&g, zero, rh_trace_columns(&g, x, v)), p.row_out[p.n_row++] = columns;
  PROBE_OK(rh_graph_status(&g));
  probe_run(&p);
  rh_graph_free(&g);
}

/* ---- the same in loops ---- */

static const double *leaf(const rig *r, const char *name) {
  char full[64];
  snprintf(full, sizeof full, "p.%s", name);
  const int l = rh_leaf_find(&r->leaves, full);
  return l < 0 ? NULL : rh_values_at(&r->leaves, &r->values, l);
}

static inline double activate(const char *name, double z) {
  if (!strcmp(name, "softplus")) return log1p(exp(z));
  if (!strcmp(name, "silu")) return z / (1 + exp(-z));
  if (!strcmp(name, "gelu")) return 0.5 * z * erfc(-z * sqrt(0.5));
  assert_string_equal(name, "tanh");
  return tanh(z);
}

/* One layer before the context: h [in] -> z [out]. */
static inline void time_layer_by_hand(const rig *r, int l, const char *time, int64_t in, int64_t out, const double *h, double t,
                                      double *z) {
  char name[6][32];
  static const char *const part[6] = {"weight", "bias", "time", "gate", "shift", "rate"};
  for (int k = 0; k < 6; k++) snprintf(name[k], sizeof name[k], "%d.%s", l, part[k]);
  snprintf(name[2], sizeof name[2], "%d.%s", l, strcmp(time, "hyper") ? "time" : "phase");
  const int64_t functions = strcmp(time, "hyper") ? 0 : json_integer_value(json_object_get(r->field->spec, "functions"));
  for (int64_t i = 0; i < out; i++) {
    z[i] = leaf(r, name[1])[i];
    for (int64_t k = 0; k <= functions; k++) {
      const double phi = k ? tanh(leaf(r, name[5])[k - 1] * t + leaf(r, name[2])[k - 1]) : 1;
      for (int64_t j = 0; j < in; j++) z[i] += phi * leaf(r, name[0])[(i * (functions + 1) + k) * in + j] * h[j];
      if (k) z[i] += phi * leaf(r, name[4])[i * functions + k - 1];
    }
    if (!strcmp(time, "concat")) z[i] += leaf(r, name[2])[i] * t;
    if (!strcmp(time, "squash")) z[i] = z[i] / (1 + exp(-(leaf(r, name[2])[i] * t + leaf(r, name[3])[i]))) + leaf(r, name[4])[i] * t;
  }
}

static inline void time_mlp_by_hand(const rig *r, const double *x, double t, const double *c, double *dx) {
  const json_t *spec = r->field->spec, *hidden = json_object_get(spec, "hidden");
  const int layers = (int)json_array_size(hidden);
  const bool residual = json_is_true(json_object_get(spec, "residual"));
  double h[WIDE], z[WIDE];
  int64_t in = r->field->d;
  memcpy(h, x, (size_t)in * 8);
  for (int l = 0; l <= layers; l++) {
    const int64_t out = l < layers ? json_integer_value(json_array_get(hidden, (size_t)l)) : r->field->d;
    time_layer_by_hand(r, l, json_string_value(json_object_get(spec, "time")), in, out, h, t, z);
    for (int64_t i = 0; i < out; i++) {
      for (int64_t j = 0; j < r->field->context && l == 0; j++) z[i] += leaf(r, "0.context")[i * r->field->context + j] * c[j];
      if (l < layers) z[i] = activate(json_string_value(json_object_get(spec, "activation")), z[i]);
      h[i] = residual && l && l < layers ? h[i] + z[i] : z[i];
    }
    in = out;
  }
  memcpy(dx, h, (size_t)in * 8);
}

/* Of an image: pixel p, channel o of the convolution l of h [pixels, in] and, with "concat", of the time as one more channel. */
static inline double convolve_by_hand(const rig *r, int l, bool concat, int64_t in, const double *h, double t, int64_t p, int64_t o) {
  const int64_t height = r->field->image.dim[0], width = r->field->image.dim[1];
  const int64_t k = json_integer_value(json_object_get(r->field->spec, "kernel"));
  char weight[32], bias[32], time[32];
  snprintf(weight, sizeof weight, "%d.weight", l), snprintf(bias, sizeof bias, "%d.bias", l), snprintf(time, sizeof time, "%d.time", l);
  double sum = leaf(r, bias)[o];
  for (int64_t a = 0; a < k; a++)
    for (int64_t b = 0; b < k; b++) {
      const int64_t i = p / width + a - k / 2, j = p % width + b - k / 2;
      if (i < 0 || i >= height || j < 0 || j >= width) continue;
      for (int64_t c = 0; c < in; c++) sum += leaf(r, weight)[((o * k + a) * k + b) * in + c] * h[(i * width + j) * in + c];
      if (concat) sum += leaf(r, time)[(o * k + a) * k + b] * t;
    }
  return sum;
}

static inline void time_conv_by_hand(const rig *r, const double *x, double t, const double *c, double *dx) {
  const json_t *spec = r->field->spec, *hidden = json_object_get(spec, "hidden");
  const int layers = (int)json_array_size(hidden);
  const int64_t pixels = r->field->image.dim[0] * r->field->image.dim[1], n = r->field->context;
  const bool concat = !strcmp(json_string_value(json_object_get(spec, "time")), "concat"),
             residual = json_is_true(json_object_get(spec, "residual"));
  double h[IMAGE_WIDE], z[IMAGE_WIDE];
  int64_t in = r->field->image.dim[2];
  memcpy(h, x, (size_t)r->field->d * 8);
  for (int l = 0; l <= layers; l++) {
    const int64_t out = l < layers ? json_integer_value(json_array_get(hidden, (size_t)l)) : r->field->image.dim[2];
    char time[32], gate[32], shift[32];
    snprintf(time, sizeof time, "%d.time", l), snprintf(gate, sizeof gate, "%d.gate", l), snprintf(shift, sizeof shift, "%d.shift", l);
    for (int64_t i = 0; i < pixels * out; i++) {
      const int64_t o = i % out;
      z[i] = convolve_by_hand(r, l, concat, in, h, t, i / out, o);
      if (!concat) z[i] = z[i] / (1 + exp(-(leaf(r, time)[o] * t + leaf(r, gate)[o]))) + leaf(r, shift)[o] * t;
      for (int64_t j = 0; j < n && l == 0; j++) z[i] += leaf(r, "context.weight")[o * n + j] * c[j];
      if (l < layers) z[i] = activate(json_string_value(json_object_get(spec, "activation")), z[i]);
    }
    for (int64_t i = 0; i < pixels * out; i++) h[i] = residual && l && l < layers ? h[i] + z[i] : z[i];
    in = out;
  }
  memcpy(dx, h, (size_t)r->field->d * 8);
}

static inline void planar_by_hand(const rig *r, const double *x, double t, const double *c, double *dx) {
  const int64_t d = r->field->d, units = json_integer_value(json_object_get(r->field->spec, "units")), n = r->field->context;
  for (int64_t i = 0; i < d; i++) dx[i] = 0;
  for (int64_t m = 0; m < units; m++) {
    double z = leaf(r, "bias")[m] + leaf(r, "time")[m] * t;
    for (int64_t j = 0; j < d; j++) z += leaf(r, "weight")[m * d + j] * x[j];
    for (int64_t j = 0; j < n; j++) z += leaf(r, "context")[m * n + j] * c[j];
    for (int64_t i = 0; i < d; i++) dx[i] += leaf(r, "out")[i * units + m] * tanh(z);
  }
}

typedef void by_hand(const rig *r, const double *x, double t, const double *c, double *dx);

typedef struct field_row {
  const char *spec;
  rh_shape in;
  int context;
  bool closed;
  by_hand *by_hand;
} field_row;
#define VECTOR(d) \
  {               \
    1, {          \
      d           \
    }             \
  }
#define IMAGE(h, w, c) \
  {                    \
    3, {               \
      h, w, c          \
    }                  \
  }
#endif
