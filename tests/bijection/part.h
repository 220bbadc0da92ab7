/* One bijection under test: from its specification's text, with leaves and values of its own; numbers in, numbers out. */
#ifndef RH_TESTS_PART_H
#define RH_TESTS_PART_H
#define _XOPEN_SOURCE 700
#include "base/memory.h"
#include "bijection/bijection.h"
#include "support/probe.h"

typedef struct part {
  rh_leaves leaves;
  rh_values values;
  rh_bijection *b;
} part;

static inline json_t *part_json(const char *text) {
  json_t *json = NULL;
  PROBE_OK(rh_json_parse(text, strlen(text), "test", &json));
  return json;
}

static inline rh_status part_try(part *p, const char *spec, int64_t d, int64_t context) {
  *p = (part){0};
  const rh_build build = {&p->leaves, "p", context};
  json_t *json = part_json(spec);
  const rh_status status = rh_bijection_create(&build, json, "flow", rh_shape1(d), &p->b);
  json_decref(json);
  return status;
}

static inline part part_make(const char *spec, int64_t d, int64_t context, int real_bytes) {
  part p;
  PROBE_OK(part_try(&p, spec, d, context));
  PROBE_OK(rh_values_create(&p.leaves, real_bytes, &p.values));
  rh_values_init(&p.leaves, 1, &p.values);
  return p;
}

static inline void part_free(part *p) {
  rh_bijection_destroy(p->b);
  rh_values_free(&p->values);
  rh_leaves_free(&p->leaves);
}

/* Parameters uniform in +-by around their start. */
static inline void part_shake(part *p, double by) {
  for (int64_t l = 0; l < p->leaves.n; l++) {
    if (p->leaves.leaf[l].klass != RH_PARAM) continue;
    double *x = probe_random(p->leaves.leaf[l].count, 40 + (uint64_t)l, -by, by);
    for (int64_t i = 0; i < p->leaves.leaf[l].count; i++)
      rh_values_set(&p->leaves, &p->values, (int)l, i, rh_values_get(&p->leaves, &p->values, (int)l, i) + x[i]);
    free(x);
  }
}

static inline void part_set(part *p, const char *leaf, int64_t n, const double *x) {
  const int l = rh_leaf_find(&p->leaves, leaf);
  assert_true(l >= 0 && p->leaves.leaf[l].count == n);
  for (int64_t i = 0; i < n; i++) rh_values_set(&p->leaves, &p->values, l, i, x[i]);
}

/* y [rows, out], ladj [rows] (0 where there is none). grad NULL, or [rows, in]: of sum(y) / 7 + ladj in x; forward only. */
static inline void part_run(const part *p, bool forward, int64_t rows, const double *x, const double *context, const double *noise,
                            double *y, double *ladj, double *grad) {
  rh_graph g;
  PROBE_OK(rh_graph_init(&g, &p->leaves));
  const rh_val in = rh_input(&g, forward ? p->b->in : p->b->out);
  const rh_val c = context ? rh_input(&g, rh_shape1(p->b->context)) : RH_NONE;
  const rh_val u = noise ? rh_input(&g, rh_shape1(p->b->noise)) : RH_NONE;
  rh_val out, l;
  if (forward) {
    rh_forward(p->b, &g, in, c, u, &out, &l);
  } else {
    rh_inverse(p->b, &g, in, c, &out, &l);
  }
  PROBE_OK(rh_graph_status(&g));
  l = rh_add_maybe(&g, rh_fill(&g, rh_shape1(1), 0), l);
  probe q = {
      .g = &g, .values = &p->values, .real_bytes = p->values.real_bytes, .rows = rows, .input = {x, context ? context : noise, noise}};
  q.n_row = 2, q.row_val[0] = out, q.row_val[1] = l, q.row_out[0] = y, q.row_out[1] = ladj;
  if (grad) {
    const rh_val of = rh_add(&g, rh_mulc(&g, rh_sum(&g, out), 1.0 / 7), l);
    PROBE_OK(rh_vjp(&g, 1, &of, NULL, 1, &in, &q.row_val[2], RH_KEEP));
    q.n_row = 3, q.row_out[2] = grad;
  }
  probe_run(&q);
  rh_graph_free(&g);
}

static inline void part_forward(const part *p, int64_t rows, const double *x, double *y, double *ladj) {
  part_run(p, true, rows, x, NULL, NULL, y, ladj, NULL);
}
static inline void part_inverse(const part *p, int64_t rows, const double *y, double *x, double *ladj) {
  part_run(p, false, rows, y, NULL, NULL, x, ladj, NULL);
}
#endif
