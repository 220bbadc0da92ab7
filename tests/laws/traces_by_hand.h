/* What training integrates along a row's path, in plain C: classical Runge-Kutta on the field's value and Jacobian. */
#ifndef RH_TESTS_TRACES_BY_HAND_H
#define RH_TESTS_TRACES_BY_HAND_H
#include "laws/subject.h"
#include "laws/traces.h"
#include "net/field.h"
#include "support/normal.h"

/* Integrals along a row's path. */
enum { TRACE, ENERGY, FROBENIUS, ESTIMATE, SQUARES, INTEGRALS };

typedef struct trace_field {
  rh_leaves leaves;
  rh_values values;
  rh_field *field;
  rh_graph g;
  rh_val dx, column[TRACE_WIDTH];
} trace_field;

static inline void trace_field_begin(trace_field *f, const trace_entry *e, const json_t *spec) {
  memset(f, 0, sizeof *f);
  const rh_build build = {.leaves = &f->leaves, .prefix = e->turned ? "law.part.field" : "law.field", .context = e->context};
  PROBE_OK(rh_field_create(&build, json_object_get(spec, "field"), e->name, rh_shape1(e->columns), &f->field));
  PROBE_OK(rh_values_create(&f->leaves, 8, &f->values));
  rh_values_init(&f->leaves, 5, &f->values);
  subject_shake(&f->leaves, &f->values, TRACE_SHAKE);
  PROBE_OK(rh_graph_init(&f->g, &f->leaves));
  const rh_val x = rh_input(&f->g, rh_shape1(e->columns)), t = rh_input(&f->g, rh_shape1(1));
  const rh_val context = e->context ? rh_input(&f->g, rh_shape1(e->context)) : RH_NONE;
  f->dx = rh_field_apply(f->field, &f->g, x, t, context);
  PROBE_OK(law_columns(&f->g, x, f->dx, f->column));
}

static inline void trace_field_end(trace_field *f) {
  rh_graph_free(&f->g);
  rh_field_destroy(f->field);
  rh_values_free(&f->values);
  rh_leaves_free(&f->leaves);
}

typedef struct trace_path {
  double x[TRACE_WIDTH], sum[INTEGRALS];
} trace_path;

typedef struct trace_integrals { /* of the first rows of a subject's data */
  double y[TRACE_ROWS * TRACE_WIDTH], sum[TRACE_ROWS][INTEGRALS];
  double departure[TRACE_ROWS]; /* from a straight line at even pace, squared and integrated */
  double time, kinetic, jacobian, straight;
} trace_integrals;

/* jacobian: column j is [TRACE_WIDTH], of d numbers; e: [probes, d] */
static inline void trace_rates_of(int d, int probes, const double *dx, const double jacobian[TRACE_WIDTH][TRACE_WIDTH], const double *e,
                                  trace_path *rate) {
  memset(rate, 0, sizeof *rate);
  for (int j = 0; j < d; j++) {
    rate->x[j] = dx[j];
    rate->sum[TRACE] += jacobian[j][j];
    rate->sum[ENERGY] += dx[j] * dx[j];
    for (int i = 0; i < d; i++) rate->sum[FROBENIUS] += jacobian[j][i] * jacobian[j][i];
    for (int k = 0; k < probes; k++) {
      double product = 0; /* (e'J)_j */
      for (int i = 0; i < d; i++) product += e[k * d + i] * jacobian[j][i];
      rate->sum[ESTIMATE] += product * e[k * d + j] / probes;
      rate->sum[SQUARES] += product * product / probes;
    }
  }
}

static inline void trace_rates_at(const trace_field *f, const trace_entry *e, int probes, double t, const trace_path *at,
                                  const double *context, const double *noise, trace_path *rate) {
  const int d = e->columns;
  double x[TRACE_ROWS * TRACE_WIDTH], times[TRACE_ROWS], dx[TRACE_ROWS * TRACE_WIDTH], column[TRACE_WIDTH][TRACE_ROWS * TRACE_WIDTH];
  for (int r = 0; r < TRACE_ROWS; r++) {
    memcpy(x + r * d, at[r].x, (size_t)d * 8);
    times[r] = t;
  }
  probe p = {.g = &f->g, .values = &f->values, .real_bytes = 8, .rows = TRACE_ROWS, .input = {x, times, context}, .n_row = 1 + d};
  p.row_val[0] = f->dx, p.row_out[0] = dx;
  for (int j = 0; j < d; j++) p.row_val[1 + j] = f->column[j], p.row_out[1 + j] = column[j];
  probe_run(&p);
  for (int r = 0; r < TRACE_ROWS; r++) {
    double jacobian[TRACE_WIDTH][TRACE_WIDTH];
    for (int j = 0; j < d; j++) memcpy(jacobian[j], column[j] + r * d, (size_t)d * 8);
    trace_rates_of(d, probes, dx + r * d, jacobian, noise + r * probes * d, &rate[r]);
  }
}

/* to = from + h rate */
static inline void trace_move(const trace_path *from, double h, const trace_path *rate, trace_path *to) {
  for (int r = 0; r < TRACE_ROWS; r++) {
    for (int i = 0; i < TRACE_WIDTH; i++) to[r].x[i] = from[r].x[i] + h * rate[r].x[i];
    for (int i = 0; i < INTEGRALS; i++) to[r].sum[i] = from[r].sum[i] + h * rate[r].sum[i];
  }
}

static inline void trace_integrate(const trace_entry *e, trace_integrals *ref) {
  enum { STEPS = 40 };
  json_t *spec = trace_spec(e);
  const int d = e->columns, probes = (int)trace_number(spec, "probes", 1);
  double *x = probe_random(TRACE_ROWS * d, 11, -2, 2), *context = probe_random(TRACE_ROWS * (e->context + 1), 12, -1, 1),
         *noise = probe_random(TRACE_ROWS * probes * d, 13, 1e-6, 1 - 1e-6);
  for (int i = 0; i < TRACE_ROWS * probes * d; i++)
    noise[i] = trace_probes_normal(spec) ? normal_quantile(noise[i]) : noise[i] > 0.5 ? 1 : -1;
  ref->time = trace_number(spec, "time", 1), ref->kinetic = trace_number(spec, "kinetic", 0),
  ref->jacobian = trace_number(spec, "jacobian", 0), ref->straight = trace_number(spec, "straight", 0);
  trace_path at[TRACE_ROWS] = {{{0}, {0}}}, half[TRACE_ROWS], k[4][TRACE_ROWS];
  for (int r = 0; r < TRACE_ROWS; r++) memcpy(at[r].x, x + r * d, (size_t)d * 8);
  trace_field f;
  trace_field_begin(&f, e, spec);
  const double h = (e->turned ? -1 : 1) * ref->time / STEPS;
  for (int s = 0; s < STEPS; s++) {
    const double t = (e->turned ? ref->time : 0) + s * h;
    static const double part[4] = {0, 0.5, 0.5, 1};
    for (int i = 0; i < 4; i++) {
      trace_move(at, part[i] * h, k[i ? i - 1 : 0], half);
      trace_rates_at(&f, e, probes, t + part[i] * h, i ? half : at, context, noise, k[i]);
    }
    for (int i = 0; i < 4; i++) trace_move(at, h * (i % 3 ? 2.0 : 1.0) / 6, k[i], at);
  }
  for (int r = 0; r < TRACE_ROWS; r++) {
    memcpy(ref->y + r * d, at[r].x, (size_t)d * 8);
    memcpy(ref->sum[r], at[r].sum, sizeof at[r].sum);
    if (e->turned) ref->sum[r][ENERGY] *= -1; /* penalties count the way, not its direction */
    ref->departure[r] = ref->sum[r][ENERGY];
    for (int i = 0; i < d; i++) ref->departure[r] -= (at[r].x[i] - x[r * d + i]) * (at[r].x[i] - x[r * d + i]) / ref->time;
  }
  trace_field_end(&f);
  free(x), free(context), free(noise);
  json_decref(spec);
}

static const trace_integrals *trace_reference(const trace_entry *e) {
  static trace_integrals known[TRACE_ENTRIES];
  trace_integrals *ref = &known[e - trace_table];
  if (ref->time == 0) trace_integrate(e, ref);
  return ref;
}

/* What training takes off; frobenius: its integral, or what stands for it. */
static inline double trace_penalty(const trace_integrals *ref, int row, double frobenius) {
  return ref->kinetic * ref->sum[row][ENERGY] + ref->jacobian * frobenius + ref->straight * ref->departure[row];
}
#endif
