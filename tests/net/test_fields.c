/* Vector fields: their values against plain loops, the trace in closed form against columns and against differences, Hutchinson's estimate
 * against the trace, sizes, starts, errors. */
#define _XOPEN_SOURCE 700
#include "base/memory.h"
#include "net/types.h"
#include "support/probe.h"

enum { ROWS = 6, WIDE = 64, IMAGE_WIDE = 256, MOST = 32, MANY = 4000 };

typedef struct rig {
  rh_leaves leaves;
  rh_values values;
  rh_field *field;
} rig;

static rh_status try(rig *r, const char *spec, rh_shape in, int64_t context) {
  *r = (rig){0};
  json_t *json = NULL;
  const rh_build build = {&r->leaves, "p", context};
  PROBE_OK(rh_json_parse(spec, strlen(spec), "test", &json));
  const rh_status status = rh_field_create(&build, json, "field", in, &r->field);
  json_decref(json);
  return status;
}

static void drop(rig *r) {
  rh_field_destroy(r->field);
  rh_values_free(&r->values);
  rh_leaves_free(&r->leaves);
}

static rig make_of(const char *spec, rh_shape in, int64_t context, int real_bytes, bool shaken) {
  rig r;
  PROBE_OK(try(&r, spec, in, context));
  PROBE_OK(rh_values_create(&r.leaves, real_bytes, &r.values));
  rh_values_init(&r.leaves, 3, &r.values);
  for (int l = 0; l < r.leaves.n && shaken; l++) {
    double *x = probe_random(r.leaves.leaf[l].count, 50 + (uint64_t)l, -0.8, 0.8);
    for (int64_t i = 0; i < r.leaves.leaf[l].count; i++) rh_values_set(&r.leaves, &r.values, l, i, x[i]);
    free(x);
  }
  return r;
}

static rig make(const char *spec, int64_t d, int64_t context, int real_bytes, bool shaken) {
  return make_of(spec, rh_shape1(d), context, real_bytes, shaken);
}

typedef struct inputs {
  double *x, *t, *context;
} inputs;

static inputs draw(const rig *r, int64_t rows) {
  return (inputs){probe_random(rows * r->field->d, 1, -2, 2), probe_random(rows, 2, 0, 1),
                  probe_random(rows * (r->field->context + 1), 3, -1, 1)};
}

static void undraw(inputs *in) {
  free(in->x), free(in->t), free(in->context);
}

/* dx [rows, d], trace [rows] as the field has it, columns [rows]; each may be NULL. */
static void run(const rig *r, const inputs *in, int64_t rows, double *dx, double *trace, double *columns) {
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

static double activate(const char *name, double z) {
  if (!strcmp(name, "softplus")) return log1p(exp(z));
  if (!strcmp(name, "silu")) return z / (1 + exp(-z));
  if (!strcmp(name, "gelu")) return 0.5 * z * erfc(-z * sqrt(0.5));
  assert_string_equal(name, "tanh");
  return tanh(z);
}

/* One layer before the context: h [in] -> z [out]. */
static void time_layer_by_hand(const rig *r, int l, const char *time, int64_t in, int64_t out, const double *h, double t, double *z) {
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

static void time_mlp_by_hand(const rig *r, const double *x, double t, const double *c, double *dx) {
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
static double convolve_by_hand(const rig *r, int l, bool concat, int64_t in, const double *h, double t, int64_t p, int64_t o) {
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

static void time_conv_by_hand(const rig *r, const double *x, double t, const double *c, double *dx) {
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

static void planar_by_hand(const rig *r, const double *x, double t, const double *c, double *dx) {
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

static const field_row rows[] = {
    {"{\"hidden\":[]}", VECTOR(4), 0, true, time_mlp_by_hand},
    {"{\"hidden\":[],\"time\":\"squash\"}", VECTOR(3), 2, true, time_mlp_by_hand},
    {"{\"hidden\":[7]}", VECTOR(4), 0, true, time_mlp_by_hand},
    {"{\"hidden\":[6],\"activation\":\"softplus\"}", VECTOR(1), 2, true, time_mlp_by_hand},
    {"{\"hidden\":[6],\"time\":\"squash\",\"activation\":\"silu\"}", VECTOR(3), 2, true, time_mlp_by_hand},
    {"{\"hidden\":[7,5]}", VECTOR(4), 0, true, time_mlp_by_hand},
    {"{\"hidden\":[5,8],\"activation\":\"gelu\"}", VECTOR(3), 2, true, time_mlp_by_hand},
    {"{\"hidden\":[5,6],\"time\":\"squash\"}", VECTOR(3), 0, false, time_mlp_by_hand},
    {"{\"hidden\":[7,5,6],\"activation\":\"softplus\"}", VECTOR(4), 0, false, time_mlp_by_hand},
    {"{\"hidden\":[6,6,6],\"time\":\"squash\",\"activation\":\"silu\"}", VECTOR(3), 2, false, time_mlp_by_hand},
    {"{\"hidden\":[6,6],\"residual\":true}", VECTOR(3), 0, false, time_mlp_by_hand},
    {"{\"hidden\":[5,5,5],\"residual\":true,\"time\":\"squash\"}", VECTOR(1), 2, false, time_mlp_by_hand},
    {"{\"hidden\":[],\"time\":\"hyper\"}", VECTOR(3), 0, true, time_mlp_by_hand},
    {"{\"hidden\":[7],\"time\":\"hyper\",\"functions\":3}", VECTOR(4), 0, true, time_mlp_by_hand},
    {"{\"hidden\":[6],\"time\":\"hyper\",\"functions\":1,\"activation\":\"silu\"}", VECTOR(1), 2, true, time_mlp_by_hand},
    {"{\"hidden\":[5,7],\"time\":\"hyper\",\"functions\":2,\"activation\":\"softplus\"}", VECTOR(3), 2, false, time_mlp_by_hand},
    {"{\"hidden\":[5,5,5],\"residual\":true,\"time\":\"hyper\"}", VECTOR(2), 0, false, time_mlp_by_hand},
    {"{\"type\":\"planar\",\"units\":5}", VECTOR(3), 0, true, planar_by_hand},
    {"{\"type\":\"planar\",\"units\":1}", VECTOR(2), 2, true, planar_by_hand},
    {"{\"type\":\"linear\"}", VECTOR(4), 0, false, NULL},
    {"{\"type\":\"mlp\",\"hidden\":[7,5],\"activation\":\"tanh\"}", VECTOR(3), 2, false, NULL},
    {"{\"type\":\"residual\",\"hidden\":6,\"blocks\":2,\"activation\":\"silu\"}", VECTOR(3), 0, false, NULL},
    /* images: windows larger than the image, images of one line, every kind of border */
    {"{\"hidden\":[]}", IMAGE(3, 2, 2), 0, true, time_conv_by_hand},
    {"{\"hidden\":[],\"time\":\"squash\"}", IMAGE(2, 2, 2), 2, true, time_conv_by_hand},
    {"{\"hidden\":[4]}", IMAGE(3, 4, 2), 0, true, time_conv_by_hand},
    {"{\"hidden\":[3],\"time\":\"squash\",\"activation\":\"tanh\"}", IMAGE(3, 3, 2), 2, true, time_conv_by_hand},
    {"{\"hidden\":[4,3]}", IMAGE(3, 4, 2), 0, true, time_conv_by_hand},
    {"{\"hidden\":[3,5],\"activation\":\"silu\"}", IMAGE(4, 4, 1), 2, true, time_conv_by_hand},
    {"{\"hidden\":[3,4],\"kernel\":5,\"activation\":\"tanh\"}", IMAGE(6, 3, 1), 0, true, time_conv_by_hand},
    {"{\"hidden\":[3,4],\"kernel\":5}", IMAGE(2, 2, 3), 0, true, time_conv_by_hand},
    {"{\"hidden\":[4,3],\"kernel\":1,\"activation\":\"gelu\"}", IMAGE(2, 3, 2), 0, true, time_conv_by_hand},
    {"{\"hidden\":[3,4]}", IMAGE(1, 5, 2), 0, true, time_conv_by_hand},
    {"{\"hidden\":[3,4]}", IMAGE(1, 1, 2), 2, true, time_conv_by_hand},
    {"{\"hidden\":[3,4],\"time\":\"squash\"}", IMAGE(2, 3, 2), 0, false, time_conv_by_hand},
    {"{\"hidden\":[3,4,2],\"activation\":\"silu\"}", IMAGE(3, 3, 1), 2, false, time_conv_by_hand},
    {"{\"hidden\":[3,3,3],\"residual\":true,\"time\":\"squash\"}", IMAGE(2, 4, 1), 0, false, time_conv_by_hand},
    {"{\"type\":\"conv\",\"hidden\":3,\"activation\":\"tanh\"}", IMAGE(2, 2, 2), 2, false, NULL},
    {"{\"type\":\"conv_residual\",\"hidden\":3,\"blocks\":1,\"activation\":\"silu\"}", IMAGE(3, 2, 2), 0, false, NULL},
    {"{\"type\":\"time_mlp\",\"hidden\":[5,6]}", IMAGE(2, 2, 2), 0, true, time_mlp_by_hand},
};

static rig make_row(const field_row *f, bool shaken) {
  return make_of(f->spec, f->in, f->context, 8, shaken);
}

static void values_by_hand(void **state) {
  (void)state;
  for (size_t k = 0; k < RH_COUNT_OF(rows); k++) {
    if (!rows[k].by_hand) continue;
    rig r = make_row(&rows[k], true);
    inputs in = draw(&r, ROWS);
    double got[ROWS * MOST], want[WIDE];
    run(&r, &in, ROWS, got, NULL, NULL);
    for (int64_t i = 0; i < ROWS; i++) {
      rows[k].by_hand(&r, in.x + i * r.field->d, in.t[i], in.context + i * r.field->context, want);
      for (int64_t j = 0; j < r.field->d; j++)
        if (!(fabs(got[i * r.field->d + j] - want[j]) <= 1e-13 * fmax(1, fabs(want[j]))))
          fail_msg("%s: %.17g, by hand %.17g", rows[k].spec, got[i * r.field->d + j], want[j]);
    }
    undraw(&in);
    drop(&r);
  }
}

/* The Jacobian's diagonal from differences of the value (fourth order). */
static double trace_by_differences(const rig *r, const inputs *in, int64_t row) {
  const int64_t d = r->field->d;
  const double h = 1e-3;
  static const double side[4] = {1, -1, 2, -2};
  double sum = 0, f[4], *dx = malloc((size_t)(ROWS * d) * 8);
  for (int64_t j = 0; j < d; j++) {
    double *at = in->x + row * d + j;
    const double kept = *at;
    for (int i = 0; i < 4; i++) {
      *at = kept + side[i] * h;
      run(r, in, ROWS, dx, NULL, NULL);
      f[i] = dx[row * d + j];
    }
    *at = kept;
    sum += (8 * (f[0] - f[1]) - (f[2] - f[3])) / (12 * h);
  }
  free(dx);
  return sum;
}

static void traces(void **state) {
  (void)state;
  for (size_t k = 0; k < RH_COUNT_OF(rows); k++) {
    rig r = make_row(&rows[k], true);
    inputs in = draw(&r, ROWS);
    double exact[ROWS], columns[ROWS], dx[ROWS * MOST], same[ROWS * MOST];
    run(&r, &in, ROWS, dx, exact, columns);
    run(&r, &in, ROWS, same, NULL, NULL);
    assert_int_equal(r.field->columns == 0, rows[k].closed);
    assert_memory_equal(dx, same, (size_t)(ROWS * r.field->d) * 8); /* the value does not depend on who asks for the trace */
    for (int i = 0; i < ROWS; i++) {
      if (!(fabs(exact[i] - columns[i]) <= 1e-12)) fail_msg("%s: trace %.17g, by columns %.17g", rows[k].spec, exact[i], columns[i]);
      const double want = trace_by_differences(&r, &in, i);
      if (!(fabs(exact[i] - want) <= 1e-8)) fail_msg("%s: trace %.17g, by differences %.17g", rows[k].spec, exact[i], want);
    }
    assert_true(fabs(exact[0]) > 1e-3); /* there is something to see */
    undraw(&in);
    drop(&r);
  }
}

/* Can these tests fail? A trace with its sign flipped, times 1.01, dropped, or of a stale x is farther from the differences than they
 * allow, in some row. Of an affine field, whose trace reads no x, a stale one is none. */
static void mutants_of_traces_die(void **state) {
  (void)state;
  enum { KINDS = 4 };
  int made = 0, killed = 0;
  for (size_t k = 0; k < RH_COUNT_OF(rows); k++) {
    rig r = make_row(&rows[k], true);
    inputs in = draw(&r, ROWS), old = draw(&r, ROWS);
    double exact[ROWS], stale[ROWS];
    bool noticed[KINDS] = {false};
    for (int64_t i = 0; i < ROWS * r.field->d; i++) old.x[i] = 0.9 * old.x[i] + 0.01;
    run(&r, &in, ROWS, NULL, exact, NULL);
    run(&r, &old, ROWS, NULL, stale, NULL);
    const int kinds = stale[0] == exact[0] ? KINDS - 1 : KINDS;
    for (int i = 0; i < ROWS; i++) {
      const double want = trace_by_differences(&r, &in, i), mutant[KINDS] = {-exact[i], 1.01 * exact[i], 0, stale[i]};
      for (int m = 0; m < kinds; m++) noticed[m] |= fabs(mutant[m] - want) > 1e-8;
    }
    for (int m = 0; m < kinds; m++) made++, killed += noticed[m];
    undraw(&in), undraw(&old);
    drop(&r);
  }
  printf("mutants of traces: %d made, %d killed\n", made, killed);
  assert_true(made > 50);
  assert_int_equal(killed, made);
}

/* Of an affine field the trace is A's, whatever x and t. */
static void affine(void **state) {
  (void)state;
  static const char *const specs[] = {"{\"hidden\":[]}", "{\"type\":\"linear\"}"};
  for (int k = 0; k < 2; k++) {
    rig r = make(specs[k], 4, 0, 8, true);
    inputs in = draw(&r, ROWS);
    double exact[ROWS], want = 0;
    const double *a = leaf(&r, k ? "weight" : "0.weight");
    for (int j = 0; j < 4; j++) want += a[j * (k ? 5 : 4) + j]; /* the network's last column is the time's */
    run(&r, &in, ROWS, NULL, exact, NULL);
    for (int i = 0; i < ROWS; i++) assert_true(fabs(exact[i] - want) <= 4e-16 * 4);
    undraw(&in);
    drop(&r);
  }
}

/* ---- Hutchinson ---- */

/* Estimates of one point's trace and squared Frobenius norm, `n` probes a row. */
static void estimates(const rig *r, rh_probe_kind kind, int64_t n, const double *x, double *trace, double *squares) {
  const int64_t d = r->field->d;
  rh_graph g;
  rh_val each, square;
  PROBE_OK(rh_graph_init(&g, &r->leaves));
  const rh_val in = rh_input(&g, rh_shape1(d)), u = rh_input(&g, rh_shape1(n * d));
  const rh_val dx = rh_field_apply(r->field, &g, in, rh_fill(&g, rh_shape1(1), 0.3), RH_NONE);
  rh_trace_probes(&g, in, dx, n, rh_trace_probe(&g, kind, u), &each, &square);
  PROBE_OK(rh_graph_status(&g));
  double *all = malloc((size_t)(MANY * d) * 8), *noise = probe_random(MANY * n * d, 7, 1e-9, 1 - 1e-9);
  for (int64_t i = 0; i < MANY * d; i++) all[i] = x[i % d];
  probe p = {.g = &g, .values = &r->values, .real_bytes = 8, .rows = MANY, .input = {all, noise}, .n_row = 2};
  p.row_val[0] = each, p.row_out[0] = trace, p.row_val[1] = square, p.row_out[1] = squares;
  probe_run(&p);
  free(all), free(noise);
  rh_graph_free(&g);
}

static void moments(const double *v, double *mean, double *error) {
  double sum = 0, square = 0;
  for (int i = 0; i < MANY; i++) sum += v[i] / MANY;
  for (int i = 0; i < MANY; i++) square += (v[i] - sum) * (v[i] - sum) / (MANY - 1);
  *mean = sum, *error = sqrt(square / MANY);
}

/* E[e'Je] = tr J and E|e'J|^2 = |J|_F^2, within 4 standard errors; signs' variance is 2 |off-diagonal of the symmetric part|^2, of normal
 * probes 2 |symmetric part|^2 (Hutchinson 1990). */
static void hutchinson_is_unbiased(void **state) {
  (void)state;
  enum { D = 5 };
  rig r = make("{\"hidden\":[9,7],\"activation\":\"softplus\"}", D, 0, 8, true);
  double *x = probe_random(D, 1, -2, 2), at[D * D], jacobian[D][D], trace = 0, frobenius = 0, sym = 0, off = 0;
  rh_graph g;
  PROBE_OK(rh_graph_init(&g, &r.leaves));
  const rh_val in = rh_input(&g, rh_shape1(D)), e = rh_input(&g, rh_shape1(D));
  const rh_val dx = rh_field_apply(r.field, &g, in, rh_fill(&g, rh_shape1(1), 0.3), RH_NONE);
  rh_val column;
  PROBE_OK(rh_jvp(&g, 1, &in, &e, 1, &dx, &column));
  double units[D * D] = {0};
  for (int i = 0; i < D; i++) units[i * D + i] = 1;
  for (int i = 0; i < D * D; i++) at[i] = x[i % D];
  probe p = {.g = &g, .values = &r.values, .real_bytes = 8, .rows = D, .input = {at, units}, .n_row = 1};
  p.row_val[0] = column, p.row_out[0] = &jacobian[0][0]; /* row i: J e_i */
  probe_run(&p);
  rh_graph_free(&g);
  for (int i = 0; i < D; i++)
    for (int j = 0; j < D; j++) {
      const double s = (jacobian[i][j] + jacobian[j][i]) / 2;
      trace += i == j ? s : 0, frobenius += jacobian[i][j] * jacobian[i][j], sym += s * s, off += i == j ? 0 : s * s;
    }
  double *each = malloc(MANY * 8), *squares = malloc(MANY * 8), mean, error;
  for (int kind = 0; kind < 2; kind++)
    for (int n = 1; n <= 3; n += 2) {
      estimates(&r, (rh_probe_kind)kind, n, x, each, squares);
      moments(each, &mean, &error);
      assert_true(fabs(mean - trace) <= 4 * error);
      const double variance = error * error * MANY, want = 2 * (kind == RH_PROBE_RADEMACHER ? off : sym) / n;
      assert_true(fabs(variance / want - 1) < 0.15);
      moments(squares, &mean, &error);
      assert_true(fabs(mean - frobenius) <= 4 * error);
    }
  free(each), free(squares), free(x);
  drop(&r);
}

/* ---- sizes, starts, errors ---- */

static void sizes_and_starts(void **state) {
  (void)state;
  rig r = make("{\"hidden\":[64,64,64],\"activation\":\"tanh\"}", 2, 0, 4, false);
  assert_int_equal(r.leaves.params, 8836); /* t is an input of every layer */
  drop(&r);
  r = make("{\"hidden\":[256,256],\"activation\":\"softplus\"}", 43, 0, 4, false);
  assert_int_equal(r.leaves.params, 88662);
  drop(&r);
  for (size_t k = 0; k < RH_COUNT_OF(rows); k++) { /* the flow starts as the identity */
    r = make_row(&rows[k], false);
    inputs in = draw(&r, ROWS);
    double dx[ROWS * MOST], trace[ROWS];
    run(&r, &in, ROWS, dx, trace, NULL);
    for (int i = 0; i < ROWS * r.field->d; i++) assert_true(dx[i] == 0);
    for (int i = 0; i < ROWS; i++) assert_true(trace[i] == 0);
    undraw(&in);
    drop(&r);
  }
}

static void errors_are_named(void **state) {
  (void)state;
  static const struct {
    const char *spec, *says;
  } cases[] = {
      {"{\"activation\":\"relu\"}", "field.activation: relu has no second derivative"},
      {"{\"type\":\"mlp\"}", "field.activation: relu has no second derivative"},
      {"{\"type\":\"residual\",\"activation\":\"elu\"}", "take tanh, softplus, silu or gelu"},
      {"{\"activation\":\"tan\"}", "did you mean 'tanh'"},
      {"{\"time\":\"hiper\"}", "did you mean 'hyper'"},
      {"{\"time\":\"hyper\",\"functions\":0}", "field.functions"},
      {"{\"functions\":2}", "unknown key 'functions'"},
      {"{\"hidden\":[3,4],\"residual\":true}", "field.residual: layers that add"},
      {"{\"type\":\"time\"}", "field.type"},
      {"{\"type\":\"conv\"}", "field.type: 'conv' reads images, here comes a vector"},
      {"{\"type\":\"time_conv\"}", "field.type: 'time_conv' reads images, here comes a vector"},
      {"{\"type\":\"planar\",\"units\":0}", "field.units"},
      {"{\"hiden\":[3]}", "did you mean 'hidden'"},
      {"[]", "expected an object"},
  };
  for (size_t k = 0; k < RH_COUNT_OF(cases); k++) {
    rig r;
    assert_int_not_equal(try(&r, cases[k].spec, rh_shape1(3), 0), RH_OK);
    if (!strstr(rh_last_error(), cases[k].says)) fail_msg("'%s' does not say '%s'", rh_last_error(), cases[k].says);
    drop(&r);
  }
}

/* ---- operations that lack a second derivative ---- */

typedef enum flaw { FLAW_NONE, FLAW_STEPS, FLAW_STEPS_OF_TIME, FLAW_ADJOINT, FLAW_BODY, FLAW_MAX, FLAW_ABS, FLAW_COUNT } flaw;
static flaw flawed;

static rh_val decay(rh_graph *b, void *arg, rh_val y, rh_val t, rh_val captures) {
  (void)arg, (void)t, (void)captures;
  return rh_neg(b, flawed == FLAW_BODY ? rh_relu(b, y) : y);
}

/* A field whose network holds an operation that may be differentiated once: a solution whose steps are taken back. */
static void flawed_apply(const rh_field *f, rh_graph *g, rh_val x, rh_val t, rh_val context, rh_val *dx, rh_val *trace) {
  (void)f, (void)context, (void)trace;
  const rh_ode_options o = {
      .method = RH_ODE_RK4, .steps = 2, .gradient = flawed == FLAW_ADJOINT || flawed == FLAW_BODY ? RH_ODE_ADJOINT : RH_ODE_REPLAY};
  rh_val y = rh_mul(g, rh_tanh(g, x), rh_sin(g, t));
  if (flawed == FLAW_STEPS || flawed == FLAW_ADJOINT || flawed == FLAW_BODY) y = rh_ode(g, y, RH_NONE, 0, 1, &o, decay, NULL);
  if (flawed == FLAW_STEPS_OF_TIME) y = rh_mul(g, y, rh_ode(g, t, RH_NONE, 0, 1, &o, decay, NULL));
  if (flawed == FLAW_MAX) y = rh_max(g, y, x);
  if (flawed == FLAW_ABS) rh_abs(g, y); /* which nothing reads */
  *dx = y;
}

/* Refused by name when it is built, not when it runs; what x does not go through may be as it likes. */
static void lacking_operations_are_named(void **state) {
  (void)state;
  static const char *const lacks[FLAW_COUNT] = {[FLAW_STEPS] = "ode_steps", [FLAW_BODY] = "relu", [FLAW_MAX] = "max"};
  static const rh_field_type type = {.type = "flawed", .bytes = sizeof(rh_field), .apply = flawed_apply};
  const rh_field f = {.type = &type, .d = 3};
  const rh_leaves none = {0};
  for (flawed = FLAW_NONE; flawed < FLAW_COUNT; flawed++) {
    const rh_status status = rh_field_check(&f, &none, "flow.field");
    assert_int_equal(status, lacks[flawed] ? RH_E_SPEC : RH_OK);
    char want[80];
    snprintf(want, sizeof want, "flow.field: its operation %s has no second derivative", lacks[flawed] ? lacks[flawed] : "");
    if (lacks[flawed] && (!strstr(rh_last_error(), want) || !strstr(rh_last_error(), "take time_mlp"))) fail_msg("%s", rh_last_error());
  }
}

/* What the check says of an elementwise function is what its rules give: a second derivative that is not zero, or is. */
static void orders_of_functions(void **state) {
  (void)state;
  for (int f = 0; f < RH_U_COUNT; f++) {
    rh_graph g;
    PROBE_OK(rh_graph_init(&g, NULL));
    const double x[3] = {0.2, 0.4, 0.7};
    double second[3] = {0};
    const rh_val v = rh_input(&g, rh_shape1(1)), y = rh_unary_val(&g, (rh_unary)f, v, f == RH_U_HALFGAMMA ? 0 : 0.3);
    rh_val d = y;
    for (int order = 0; order < 2 && !rh_is_none(d); order++) PROBE_OK(rh_vjp(&g, 1, &d, NULL, 1, &v, &d, RH_KEEP));
    probe p = {.g = &g, .real_bytes = 8, .rows = 3, .input = {x}, .n_row = 1};
    p.row_val[0] = d, p.row_out[0] = second;
    if (!rh_is_none(d)) probe_run(&p);
    const bool flat = second[0] == 0 && second[1] == 0 && second[2] == 0;
    const bool linear = f == RH_U_COPY || f == RH_U_NEG || f == RH_U_ADDC || f == RH_U_MULC;
    const int order = rh_unary_order((rh_unary)f);
    assert_true(order == -1 || order == 0 || order == 1);
    if (f != RH_U_ELU) assert_int_equal(flat, linear || order >= 0); /* elu: e^x below zero, a line above */
    rh_graph_free(&g);
  }
  assert_int_equal(rh_unary_order(RH_U_ELU), 1);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(values_by_hand),         cmocka_unit_test(traces),
      cmocka_unit_test(mutants_of_traces_die),  cmocka_unit_test(affine),
      cmocka_unit_test(hutchinson_is_unbiased), cmocka_unit_test(sizes_and_starts),
      cmocka_unit_test(errors_are_named),       cmocka_unit_test(lacking_operations_are_named),
      cmocka_unit_test(orders_of_functions),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
