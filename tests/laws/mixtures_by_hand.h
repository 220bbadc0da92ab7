/* A mixture of flows by hand: every component as a flow of its own, with the mixture's numbers; their densities added in plain C. */
#ifndef RH_TESTS_MIXTURES_BY_HAND_H
#define RH_TESTS_MIXTURES_BY_HAND_H
#include "laws/distributions.h"

/* The k-th component's specification: the shared preprocessing and its own. */
static inline json_t *component_spec(const distribution *d, int64_t k) {
  const json_t *spec = d->flow->spec, *one = json_array_get(json_object_get(spec, "mixture"), (size_t)k);
  json_t *preprocess = json_array();
  json_array_extend(preprocess, json_object_get(spec, "preprocess"));
  json_array_extend(preprocess, json_object_get(one, "preprocess"));
  return json_pack("{s:O, s:O, s:o, s:O, s:O}", "columns", json_object_get(spec, "columns"), "context", json_object_get(spec, "context"),
                   "preprocess", preprocess, "flow", json_object_get(one, "flow"), "base", json_object_get(one, "base"));
}

/* Columns [at, at + n) of data [SUBJECT_ROWS, width], as a new array. */
static inline double *columns_from(const double *data, int64_t width, int64_t at, int64_t n) {
  double *out = malloc((size_t)(SUBJECT_ROWS * n + 1) * 8);
  for (int64_t r = 0; r < SUBJECT_ROWS && n; r++) memcpy(out + r * n, data + r * width + at, (size_t)n * 8);
  return out;
}

typedef struct component {
  rh_flow *flow;
  rh_values values;
} component;

/* Its parameters are the mixture's under another name; its states stand in its specification. */
static inline component component_begin(const distribution *d, int64_t k) {
  component c;
  json_t *spec = component_spec(d, k);
  PROBE_OK(rh_flow_create(spec, &c.flow));
  json_decref(spec);
  PROBE_OK(rh_values_create(&c.flow->leaves, d->values.real_bytes, &c.values));
  rh_values_init(&c.flow->leaves, 5, &c.values);
  for (int l = 0; l < c.flow->leaves.n; l++) {
    const rh_leaf *leaf = &c.flow->leaves.leaf[l];
    char name[300];
    snprintf(name, sizeof name, "mixture.%d.%s", (int)k, leaf->name);
    const int from = rh_leaf_find(&d->flow->leaves, name);
    assert_true(from >= 0 || leaf->klass == RH_STATE);
    for (int64_t i = 0; i < leaf->count && leaf->klass == RH_PARAM; i++)
      rh_values_set(&c.flow->leaves, &c.values, l, i, rh_values_get(&d->flow->leaves, &d->values, from, i));
  }
  return c;
}

static inline void component_end(component *c) {
  rh_values_free(&c->values);
  rh_flow_destroy(c->flow);
}

static inline const double *context_of(const distribution *d, const subject *s) {
  return d->flow->context ? s->data[1] : NULL;
}

/* log p_k of the first rows of the mixture's data. */
static inline void component_log_prob(const distribution *d, int64_t k, int64_t rows, double *log_prob) {
  component c = component_begin(d, k);
  subject s;
  const int64_t noise_n = c.flow->noise, context_n = c.flow->context;
  const double *noise_data = d->flow->noise ? d->f.data[d->f.inputs - 1] : NULL;
  subject_begin(&s, "a component", &c.flow->leaves, &c.values);
  const rh_val x = subject_input(&s, c.flow->columns, columns_from(d->f.data[0], c.flow->columns, 0, c.flow->columns));
  const rh_val context = subject_input(&s, context_n, columns_from(context_of(d, &d->f), context_n, 0, context_n));
  const rh_val noise = subject_input(&s, noise_n, columns_from(noise_data, d->flow->noise, 0, noise_n));
  subject_out(&s, rh_flow_log_prob(c.flow, &s.g, x, context, noise));
  subject_rows(&s, s.out[0], 0, rows, log_prob);
  subject_end(&s);
  component_end(&c);
}

/* What it makes of the mixture's noise, all but the number that picks. */
static inline void component_sample(const distribution *d, int64_t k, double temperature, int64_t rows, double *x) {
  component c = component_begin(d, k);
  subject s;
  rh_val y;
  const int64_t noise_n = c.flow->base_noise, context_n = c.flow->context;
  subject_begin(&s, "a component", &c.flow->leaves, &c.values);
  const rh_val noise = subject_input(&s, noise_n, columns_from(d->s.data[0], d->flow->base_noise, 1, noise_n));
  const rh_val context = subject_input(&s, context_n, columns_from(context_of(d, &d->s), context_n, 0, context_n));
  rh_flow_sample(c.flow, &s.g, noise, context, temperature, &y, NULL);
  subject_out(&s, y);
  subject_rows(&s, s.out[0], 0, rows, x);
  subject_end(&s);
  component_end(&c);
}

/* w [components] */
static inline void weights_by_hand(const distribution *d, double *w) {
  const json_t *given = json_object_get(d->flow->spec, "weights");
  const int logits = rh_leaf_find(&d->flow->leaves, "mixture.logits");
  const int64_t n = d->flow->components;
  double sum = 0;
  for (int64_t k = 0; k < n; k++) {
    w[k] = json_is_array(given) ? json_number_value(json_array_get(given, (size_t)k))
           : logits < 0         ? 1
                                : exp(rh_values_get(&d->flow->leaves, &d->values, logits, k));
    sum += w[k];
  }
  for (int64_t k = 0; k < n; k++) w[k] /= sum;
}

static inline void mixed_log_prob(const distribution *d, int64_t rows, double *log_prob) {
  double w[8], *one = malloc((size_t)rows * 8), *sum = calloc((size_t)rows, 8);
  weights_by_hand(d, w);
  for (int64_t k = 0; k < d->flow->components; k++) {
    component_log_prob(d, k, rows, one);
    for (int64_t r = 0; r < rows; r++) sum[r] += w[k] * exp(one[r]);
  }
  for (int64_t r = 0; r < rows; r++) log_prob[r] = log(sum[r]);
  free(one), free(sum);
}

static inline void mixed_sample(const distribution *d, double temperature, int64_t rows, double *x) {
  const int64_t n = d->flow->columns;
  double w[8], below = 0, *one = malloc((size_t)(rows * n) * 8);
  weights_by_hand(d, w);
  for (int64_t k = 0; k < d->flow->components; k++) {
    component_sample(d, k, temperature, rows, one);
    for (int64_t r = 0; r < rows; r++) {
      const double u = d->s.data[0][r * d->flow->base_noise];
      if (u > below) memcpy(x + r * n, one + r * n, (size_t)n * 8); /* the last one below wins */
    }
    below += w[k];
  }
  free(one);
}
#endif
