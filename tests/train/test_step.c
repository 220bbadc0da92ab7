/* A step: Adam by hand, threads, decay, averages, skipping, and no allocation. */
#define _XOPEN_SOURCE 700
#include "model/toy.h"

#include "model/specs.h"
#include "train/step.h"
#include "train/train.h"

/* ---- a count of every allocation of the process ---- */

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define COUNTS 0
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define COUNTS 0
#endif
#endif
#ifndef COUNTS
#define COUNTS 1
#endif

#include <stdatomic.h>
static atomic_llong allocations;
#if COUNTS
void *__libc_malloc(size_t n);
void *__libc_calloc(size_t n, size_t size);
void *__libc_realloc(void *p, size_t n);
void *__libc_memalign(size_t align, size_t n);
void *malloc(size_t n);
void *calloc(size_t n, size_t size);
void *realloc(void *p, size_t n);
void *aligned_alloc(size_t align, size_t n);
void *memalign(size_t align, size_t n);
int posix_memalign(void **p, size_t align, size_t n);

void *malloc(size_t n) {
  atomic_fetch_add(&allocations, 1);
  return __libc_malloc(n);
}
void *calloc(size_t n, size_t size) {
  atomic_fetch_add(&allocations, 1);
  return __libc_calloc(n, size);
}
void *realloc(void *p, size_t n) {
  atomic_fetch_add(&allocations, 1);
  return __libc_realloc(p, n);
}
void *aligned_alloc(size_t align, size_t n) {
  atomic_fetch_add(&allocations, 1);
  return __libc_memalign(align, n);
}
void *memalign(size_t align, size_t n) {
  return aligned_alloc(align, n);
}
int posix_memalign(void **p, size_t align, size_t n) {
  *p = aligned_alloc(align, n);
  return *p ? 0 : 12;
}
#endif

/* ---- one stepper on toy data ---- */

typedef struct rig {
  rh_model *model;
  toy *data;
  rh_pool *pool;
  rh_stepper *stepper;
  int64_t order[64];
} rig;

static rig rig_make(const char *spec, int real_bytes, int threads, rh_step_options o) {
  rig r = {.model = toy_model(spec, real_bytes, 3), .data = toy_make(1, 4096, 3)};
  toy_ok(rh_pool_create(threads, &r.pool));
  toy_ok(rh_flow_warm_up(r.model->flow, &r.model->values, r.pool, 512, r.data->data, NULL, 3));
  o.pool = r.pool;
  if (!o.batch) o.batch = 300;
  o.beta1 = 0.9;
  o.beta2 = 0.99;
  o.eps = 1e-8;
  toy_ok(rh_stepper_create(r.model->flow, &r.model->values, &o, &r.stepper));
  return r;
}

static void rig_free(rig *r) {
  rh_stepper_destroy(r->stepper);
  rh_pool_destroy(r->pool);
  rh_model_destroy(r->model);
  toy_free(r->data);
}

static rh_step_result rig_step(rig *r, int64_t i, int64_t n, double rate) {
  static int64_t row[4096];
  for (int64_t j = 0; j < n; j++) row[j] = (i * 997 + j * 13) % 4096;
  const rh_batch batch = {.rows = &r->data->rows, .row = row, .n = n, .epoch = 0};
  rh_step_result result;
  rh_stepper_run(r->stepper, &batch, rate, &result);
  return result;
}

static double mean_nll(rig *r, int64_t i, int64_t n) {
  double *x = rh_alloc((size_t)(n * 3) * sizeof *x), *lp = rh_alloc((size_t)n * sizeof *lp);
  for (int64_t j = 0; j < n; j++) memcpy(x + j * 3, r->data->data + (i * 997 + j * 13) % 4096 * 3, 3 * sizeof *x);
  const rh_dense_rows dense = {n, 3, x};
  const rh_rows rows = rh_rows_dense(&dense);
  rh_scorer *s;
  toy_ok(rh_scorer_create(r->model->flow, &r->model->values, &(rh_scorer_options){.pool = r->pool}, &s));
  toy_ok(rh_score(s, &rows, 0, n, lp));
  double sum = 0;
  for (int64_t j = 0; j < n; j++) sum -= lp[j];
  rh_scorer_destroy(s);
  rh_free(x);
  rh_free(lp);
  return sum / (double)n;
}

/* The gradient against central differences of what scoring says, and the update against Adam written out. */
static void step_is_adam(void **state) {
  (void)state;
  rig r = rig_make(SPEC_COUPLING, 8, 2, (rh_step_options){.clip = 0.5, .ema = 0.9});
  const rh_leaves *leaves = &r.model->flow->leaves;
  const rh_step_state *s = rh_stepper_state(r.stepper);
  for (int i = 0; i < 30; i++) assert_true(rig_step(&r, i, 300, 0.01).applied);
  const int64_t count = s->count;
  double *before[RH_STEP_ARRAYS];
  for (int a = 0; a < RH_STEP_ARRAYS; a++) {
    before[a] = rh_alloc((size_t)count * sizeof(double));
    memcpy(before[a], s->array[a], (size_t)count * sizeof(double));
  }
  const double nll = mean_nll(&r, 30, 200);
  double *g = rh_alloc_zero((size_t)count, sizeof *g), squares = 0;
  for (int64_t l = 0; l < leaves->n; l++) {
    if (leaves->leaf[l].klass != RH_PARAM) continue;
    for (int64_t i = 0; i < leaves->leaf[l].count; i++) {
      double *w = (double *)s->array[RH_STEP_PARAM] + leaves->leaf[l].offset + i, old = *w, h = 1e-5;
      *w = old + h;
      const double up = mean_nll(&r, 30, 200);
      *w = old - h;
      g[leaves->leaf[l].offset + i] = (up - mean_nll(&r, 30, 200)) / (2 * h);
      *w = old;
      squares += pow(g[leaves->leaf[l].offset + i], 2);
    }
  }
  const rh_step_result result = rig_step(&r, 30, 200, 0.01);
  assert_true(result.applied);
  assert_true(fabs(result.loss / 200 - nll) < 1e-10 * fabs(nll));
  assert_true(fabs(result.grad_norm - sqrt(squares)) < 1e-6 * (1 + sqrt(squares)));
  assert_true(result.grad_norm > 0.5); /* so that clipping is seen */
  const double *exact = rh_stepper_gradient(r.stepper), clip = 0.5 / result.grad_norm, t = 31;
  const double c1 = 1 / (1 - pow(0.9, t)), c2 = 1 / (1 - pow(0.99, t)), keep = fmin(0.9, (1 + 30.) / (10 + 30.));
  for (int64_t i = 0; i < count; i++) {
    assert_true(fabs(exact[i] / 200 - g[i]) < 1e-6 * (1 + fabs(g[i])));
    const double h = exact[i] / 200 * clip, m = 0.9 * before[RH_STEP_M][i] + 0.1 * h, v = 0.99 * before[RH_STEP_V][i] + 0.01 * h * h;
    const double w = before[RH_STEP_PARAM][i] - 0.01 * m * c1 / (sqrt(v * c2) + 1e-8);
    assert_true(fabs(((double *)s->array[RH_STEP_M])[i] - m) < 1e-14);
    assert_true(fabs(((double *)s->array[RH_STEP_V])[i] - v) < 1e-14);
    assert_true(fabs(((double *)s->array[RH_STEP_PARAM])[i] - w) < 1e-13);
    assert_true(fabs(((double *)s->array[RH_STEP_EMA])[i] - (keep * before[RH_STEP_EMA][i] + (1 - keep) * w)) < 1e-13);
  }
  for (int a = 0; a < RH_STEP_ARRAYS; a++) rh_free(before[a]);
  rh_free(g);
  rig_free(&r);
}

/* Weight decay moves the leaves that ask for it, and no others. */
static void decay_is_by_leaf(void **state) {
  (void)state;
  rig a = rig_make(SPEC_COUPLING, 8, 1, (rh_step_options){0}), b = rig_make(SPEC_COUPLING, 8, 1, (rh_step_options){.weight_decay = 0.5});
  rig_step(&a, 0, 100, 0.01);
  rig_step(&b, 0, 100, 0.01);
  const rh_leaves *leaves = &a.model->flow->leaves;
  rh_values start;
  toy_ok(rh_values_create(leaves, 8, &start));
  rh_values_init(leaves, 3, &start);
  toy_ok(rh_flow_warm_up(a.model->flow, &start, a.pool, 512, a.data->data, NULL, 3));
  int64_t decayed = 0, kept = 0;
  for (int64_t l = 0; l < leaves->n; l++) {
    if (leaves->leaf[l].klass != RH_PARAM) continue;
    for (int64_t i = 0; i < leaves->leaf[l].count; i++) {
      const double wa = rh_values_get(leaves, &a.model->values, (int)l, i), wb = rh_values_get(leaves, &b.model->values, (int)l, i);
      const double expect = leaves->leaf[l].decay ? 0.01 * 0.5 * rh_values_get(leaves, &start, (int)l, i) : 0;
      assert_true(fabs(wa - wb - expect) < 1e-15);
      if (leaves->leaf[l].decay) decayed++;
      if (!leaves->leaf[l].decay) kept++;
    }
  }
  assert_true(decayed > 0 && kept > 0);
  rh_values_free(&start);
  rig_free(&a);
  rig_free(&b);
}

static void threads_give_the_same_bits(void **state) {
  (void)state;
  static const int threads[] = {1, 2, 3, 8};
  for (int real = 4; real <= 8; real += 4) {
    void *first = NULL;
    for (size_t t = 0; t < RH_COUNT_OF(threads); t++) {
      rig r = rig_make(SPEC_WIDE, real, threads[t], (rh_step_options){.clip = 1, .ema = 0.99, .batch = 1000});
      for (int i = 0; i < 5; i++) rig_step(&r, i, i == 2 ? 37 : 1000, 1e-3);
      const rh_step_state *s = rh_stepper_state(r.stepper);
      const size_t bytes = (size_t)(s->count * real);
      assert_true(s->count > 3 * 4096); /* several chunks */
      char *all = rh_alloc(bytes * RH_STEP_ARRAYS);
      for (int a = 0; a < RH_STEP_ARRAYS; a++) memcpy(all + (size_t)a * bytes, s->array[a], bytes);
      if (first) {
        assert_memory_equal(first, all, bytes * RH_STEP_ARRAYS);
        rh_free(all);
      } else {
        first = all;
      }
      rig_free(&r);
    }
    rh_free(first);
  }
}

static void recompute_gives_the_same_bits(void **state) {
  (void)state;
  rig a = rig_make(SPEC_WIDE, 4, 2, (rh_step_options){.memory = RH_KEEP}),
      b = rig_make(SPEC_WIDE, 4, 2, (rh_step_options){.memory = RH_RECOMPUTE});
  for (int i = 0; i < 4; i++) {
    const rh_step_result x = rig_step(&a, i, 300, 1e-3), y = rig_step(&b, i, 300, 1e-3);
    assert_true(x.loss == y.loss && x.grad_norm == y.grad_norm);
  }
  const rh_step_state *s = rh_stepper_state(a.stepper), *t = rh_stepper_state(b.stepper);
  assert_memory_equal(s->array[RH_STEP_PARAM], t->array[RH_STEP_PARAM], (size_t)s->count * 4);
  rig_free(&a);
  rig_free(&b);
}

/* A batch with a NaN in it, or a gradient too large to square, changes nothing. */
static void bad_steps_change_nothing(void **state) {
  (void)state;
  static const double bad[] = {NAN, INFINITY, 1e300, 1e19};
  rig r = rig_make(SPEC_COUPLING, 4, 2, (rh_step_options){.ema = 0.9});
  const rh_step_state *s = rh_stepper_state(r.stepper);
  const size_t bytes = (size_t)s->count * 4;
  assert_true(rig_step(&r, 0, 100, 1e-3).applied);
  char *before = rh_alloc(bytes * RH_STEP_ARRAYS);
  for (int a = 0; a < RH_STEP_ARRAYS; a++) memcpy(before + (size_t)a * bytes, s->array[a], bytes);
  for (size_t i = 0; i < RH_COUNT_OF(bad); i++) {
    double *x = &r.data->data[(997 + 13 * 5) % 4096 * 3], old = *x;
    *x = bad[i];
    assert_false(rig_step(&r, 1, 100, 1e-3).applied);
    *x = old;
    for (int a = 0; a < RH_STEP_ARRAYS; a++) assert_memory_equal(before + (size_t)a * bytes, s->array[a], bytes);
    assert_int_equal(s->updates, 1);
  }
  assert_true(rig_step(&r, 1, 100, 1e-3).applied);
  rh_free(before);
  rig_free(&r);
}

/* A matrix that cannot be inverted: the density is 0, and nothing changes. */
static void singular_steps_change_nothing(void **state) {
  (void)state;
  rig r = rig_make(SPEC_FLOW("", "{\"type\":\"dense\"}," SPEC_AFFINE("5"), SPEC_NORMAL), 4, 2, (rh_step_options){.clip = 1});
  const rh_leaves *leaves = &r.model->flow->leaves;
  const int weight = rh_leaf_find(leaves, "flow.0.weight");
  assert_true(weight >= 0 && rig_step(&r, 0, 100, 1e-3).applied);
  const rh_step_state *s = rh_stepper_state(r.stepper);
  for (int64_t k = 0; k < 9; k++) rh_values_set(leaves, &r.model->values, weight, k, k < 6 ? 1 : 0);
  char *before = rh_alloc((size_t)s->count * 4);
  memcpy(before, s->array[RH_STEP_PARAM], (size_t)s->count * 4);
  const rh_step_result result = rig_step(&r, 1, 100, 1e-3);
  assert_true(!result.applied && result.loss == INFINITY && s->updates == 1);
  assert_memory_equal(before, s->array[RH_STEP_PARAM], (size_t)s->count * 4);
  rh_free(before);
  rig_free(&r);
}

static void steps_do_not_allocate(void **state) {
  (void)state;
  if (!COUNTS) skip(); /* a sanitizer owns malloc */
  static const int threads[] = {1, 3};
  for (size_t t = 0; t < RH_COUNT_OF(threads); t++) {
    rig r = rig_make(SPEC_WIDE, 4, threads[t], (rh_step_options){.clip = 1, .ema = 0.99});
    const long long made = atomic_load(&allocations);
    assert_true(made > 100); /* the counter counts */
    rig_step(&r, 0, 300, 1e-3);
    const long long after_first = atomic_load(&allocations);
    for (int i = 1; i < 50; i++) rig_step(&r, i, i % 7 ? 300 : 11, 1e-3);
    assert_int_equal(atomic_load(&allocations), after_first);
    rig_free(&r);
  }
}

/* The same over a fit as the command makes it: from the second step of an epoch to its last. */
typedef struct watched {
  long long after_first;
  int64_t steps;
} watched;

static void watch(void *arg, const rh_progress *p) {
  watched *w = arg;
  if (p->event != RH_EVENT_STEP) return;
  if (p->step == 1) w->after_first = atomic_load(&allocations);
  if (p->step < 31) assert_int_equal(atomic_load(&allocations), w->after_first); /* the 32nd ends the epoch */
  w->steps++;
}

static void fits_do_not_allocate_between_steps(void **state) {
  (void)state;
  if (!COUNTS) skip();
  toy *train = toy_make(1, 4000, 3), *val = toy_make(2, 100, 3);
  rh_model *m = toy_model(SPEC_NOISY, 4, 1);
  watched w = {0};
  rh_train_options o = {.recipe = rh_recipe_default(4000, false), .threads = 2, .progress = watch, .arg = &w};
  o.recipe.batch = 128;
  o.recipe.epochs = 1;
  rh_fit_report report;
  toy_ok(rh_train(m, &train->rows, &val->rows, NULL, &o, &report));
  assert_int_equal(w.steps, 32);
  rh_model_destroy(m);
  toy_free(train);
  toy_free(val);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(step_is_adam),
      cmocka_unit_test(decay_is_by_leaf),
      cmocka_unit_test(threads_give_the_same_bits),
      cmocka_unit_test(recompute_gives_the_same_bits),
      cmocka_unit_test(bad_steps_change_nothing),
      cmocka_unit_test(singular_steps_change_nothing),
      cmocka_unit_test(steps_do_not_allocate),
      cmocka_unit_test(fits_do_not_allocate_between_steps),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
