/* Fits: the closed form of a Gaussian, threads, early stopping, skipped steps and roll-backs, every way to end. */
#define _XOPEN_SOURCE 700
#include "model/specs.h"
#include "model/toy.h"
#include "train/train.h"

static rh_train_options quick(int64_t epochs) {
  rh_train_options o = {.recipe = rh_recipe_default(1000, false), .threads = 2, .progress_seconds = -1};
  o.recipe.epochs = epochs;
  o.recipe.batch = 100;
  o.recipe.warmup = 5;
  o.recipe.seed = 11;
  return o;
}

/* ---- maximum likelihood, known in closed form ---- */

/* log|C| of a 3 x 3 covariance. */
static double log_det3(double c[3][3]) {
  return log(c[0][0] * (c[1][1] * c[2][2] - c[1][2] * c[2][1]) - c[0][1] * (c[1][0] * c[2][2] - c[1][2] * c[2][0]) +
             c[0][2] * (c[1][0] * c[2][1] - c[1][1] * c[2][0]));
}

static void gaussian_reaches_the_closed_form(void **state) {
  (void)state;
  enum { N = 1000 };
  toy *t = toy_make(5, N, 3);
  toy_normals(7, N * 3, t->data);
  double mean[3] = {0}, c[3][3] = {{0}};
  for (int i = 0; i < N; i++) {
    double *x = t->data + i * 3;
    x[0] = 2 * x[0] + 0.5;
    x[1] = 0.5 * x[1] - 0.8 * x[0];
    x[2] = 0.5 * x[2] + 0.3 * x[1] - 1;
    for (int j = 0; j < 3; j++) mean[j] += x[j] / N;
  }
  for (int i = 0; i < N; i++)
    for (int j = 0; j < 3; j++)
      for (int k = 0; k < 3; k++) c[j][k] += (t->data[i * 3 + j] - mean[j]) * (t->data[i * 3 + k] - mean[k]) / N;
  const double best = -0.5 * (3 * log(2 * 3.14159265358979323846) + log_det3(c) + 3);
  rh_train_options o = quick(0);
  o.recipe.steps = 3000;
  o.recipe.batch = N; /* the whole: no noise in the gradient */
  o.recipe.lr = 0.02;
  o.recipe.lr_floor = 0;
  o.recipe.ema = 0;
  rh_model *m = toy_model(SPEC_GAUSSIAN, 8, 1);
  rh_fit_report report;
  toy_ok(rh_train(m, &t->rows, NULL, &t->rows, &o, &report));
  assert_string_equal(report.stopped, "steps");
  assert_int_equal(report.steps, 3000);
  if (!(report.test.mean <= best + 1e-9 && report.test.mean > best - 1e-6))
    fail_msg("reached %.12g, the maximum is %.12g", report.test.mean, best);
  rh_model_destroy(m);
  toy_free(t);
}

/* ---- threads ---- */

static void threads_give_the_same_model(void **state) {
  (void)state;
  static const int threads[] = {1, 2, 3, 8};
  toy *train = toy_make(1, 1050, 3), *val = toy_make(2, 333, 3);
  toy_bytes first = {0};
  for (size_t i = 0; i < RH_COUNT_OF(threads); i++) {
    rh_train_options o = quick(4);
    o.threads = threads[i];
    rh_model *m = toy_model(SPEC_WIDE, 4, 1);
    rh_fit_report report;
    toy_ok(rh_train(m, &train->rows, &val->rows, &val->rows, &o, &report));
    assert_int_equal(report.steps, 4 * 11);
    const toy_bytes b = toy_bytes_of(m);
    if (!i) first = b;
    toy_same(first, b);
    if (i) rh_free(b.data);
    rh_model_destroy(m);
  }
  rh_free(first.data);
  toy_free(train);
  toy_free(val);
}

static void seeds_give_other_models(void **state) {
  (void)state;
  toy *train = toy_make(1, 500, 3);
  toy_bytes b[2];
  for (int i = 0; i < 2; i++) {
    rh_train_options o = quick(1);
    o.recipe.seed += (uint64_t)i;
    rh_model *m = toy_model(SPEC_COUPLING, 4, 1);
    rh_fit_report report;
    toy_ok(rh_train(m, &train->rows, NULL, NULL, &o, &report));
    b[i] = toy_bytes_of(m);
    rh_model_destroy(m);
  }
  assert_true(b[0].n != b[1].n || memcmp(b[0].data, b[1].data, b[0].n) != 0);
  rh_free(b[0].data);
  rh_free(b[1].data);
  toy_free(train);
}

/* ---- early stopping ---- */

static void early_stopping_keeps_the_best(void **state) {
  (void)state;
  toy *train = toy_make(1, 300, 3), *val = toy_make(2, 300, 3);
  rh_train_options o = quick(400);
  o.recipe.patience = 4;
  o.recipe.lr_floor = 1; /* the rate does not depend on the epochs planned */
  o.recipe.lr = 0.02;
  o.recipe.warmup = 0;
  o.recipe.ema = 0;
  rh_model *m = toy_model(SPEC_WIDE, 8, 1), *again = toy_model(SPEC_WIDE, 8, 1);
  rh_fit_report report, other;
  toy_ok(rh_train(m, &train->rows, &val->rows, NULL, &o, &report));
  assert_string_equal(report.stopped, "patience");
  assert_int_equal(report.epochs, report.best_epoch + 4);
  assert_true(report.best_epoch > 0 && report.epochs < 400);
  /* the best parameters are those of a run that ends there */
  o.recipe.epochs = report.best_epoch;
  toy_ok(rh_train(again, &train->rows, NULL, &val->rows, &o, &other));
  assert_true(other.test.mean == report.val.mean);
  const rh_leaves *leaves = &m->flow->leaves;
  assert_memory_equal(m->values.flat[RH_PARAM], again->values.flat[RH_PARAM], (size_t)leaves->total[RH_PARAM] * 8);
  rh_model_destroy(m);
  rh_model_destroy(again);
  toy_free(train);
  toy_free(val);
}

/* ---- steps that fail ---- */

/* Rows that are NaN while the run stands between two steps. */
typedef struct poison {
  rh_rows clean;
  int64_t from[3], to[3]; /* steps counted from 0, [from, to) */
  int64_t step;
  double rate, rate_before;
  int64_t skips, rollbacks;
} poison;

static void poison_get(const void *arg, int64_t first, int64_t n, const int64_t *row, int64_t column, int64_t columns, double *dst) {
  const poison *p = arg;
  p->clean.get(p->clean.arg, first, n, row, column, columns, dst);
  for (int i = 0; i < 3; i++)
    if (p->step >= p->from[i] && p->step < p->to[i]) dst[0] = NAN;
}

static void poison_progress(void *arg, const rh_progress *progress) {
  poison *p = arg;
  p->step = progress->step;
  p->skips += progress->event == RH_EVENT_SKIP;
  p->rollbacks += progress->event == RH_EVENT_ROLLBACK;
  if (progress->event == RH_EVENT_START || progress->event == RH_EVENT_RESUME) p->step = progress->step;
  p->rate = progress->rate;
}

static void bad_steps_are_skipped_and_rolled_back(void **state) {
  (void)state;
  toy *train = toy_make(1, 1000, 3);
  poison p = {.clean = train->rows, .from = {12, 25, 70}, .to = {15, 30, 74}};
  const rh_rows rows = {1000, 3, poison_get, &p};
  rh_train_options o = quick(8);
  o.recipe.warmup = 0;
  o.recipe.lr_floor = 1;
  o.progress = poison_progress;
  o.progress_seconds = 0;
  o.arg = &p;
  rh_model *m = toy_model(SPEC_COUPLING, 4, 1);
  rh_fit_report report;
  toy_ok(rh_train(m, &rows, NULL, NULL, &o, &report));
  assert_int_equal(report.steps, 80);
  assert_int_equal(report.skipped_steps, 3 + 5 + 4);
  assert_int_equal(report.rollbacks, 1);
  assert_int_equal(p.skips, 12);
  assert_int_equal(p.rollbacks, 1);
  assert_true(p.rate == o.recipe.lr * 0.5);
  assert_int_equal(rh_values_bad_leaf(&m->flow->leaves, &m->values), -1);
  rh_model_destroy(m);
  toy_free(train);
}

/* A roll-back gives exactly the state of the last epoch's end: the run goes on as one that never saw the bad steps would, at half the rate.
 */
static void rollback_restores_every_bit(void **state) {
  (void)state;
  toy *train = toy_make(1, 1000, 3);
  toy_bytes b[2];
  for (int i = 0; i < 2; i++) {
    poison p = {.clean = train->rows};
    if (i) p.from[0] = 25, p.to[0] = 30; /* after 5 good steps of the third epoch, to its end */
    const rh_rows rows = {1000, 3, poison_get, &p};
    rh_train_options o = quick(i ? 3 : 2);
    o.recipe.lr_floor = 1;
    o.recipe.warmup = 0;
    o.progress = poison_progress;
    o.progress_seconds = 0;
    o.arg = &p;
    rh_model *m = toy_model(SPEC_COUPLING, 4, 1);
    rh_fit_report report;
    toy_ok(rh_train(m, &rows, NULL, NULL, &o, &report));
    assert_int_equal(report.rollbacks, i);
    json_decref(m->fit);
    m->fit = NULL;
    b[i] = toy_bytes_of(m);
    rh_model_destroy(m);
  }
  toy_same(b[0], b[1]);
  rh_free(b[0].data);
  rh_free(b[1].data);
  toy_free(train);
}

static void hopeless_data_give_an_error(void **state) {
  (void)state;
  toy *train = toy_make(1, 1000, 3);
  poison p = {.clean = train->rows, .from = {0}, .to = {1 << 20}};
  const rh_rows rows = {1000, 3, poison_get, &p};
  char *folder = toy_folder(), path[256];
  toy_path(path, sizeof path, folder, "out");
  rh_train_options o = quick(50);
  o.output = path;
  rh_model *m = toy_model(SPEC_PLAIN, 4, 1);
  rh_fit_report report = {.steps = 77};
  assert_int_equal(rh_train(m, &rows, NULL, NULL, &o, &report), RH_E_NUMERIC);
  assert_int_equal(report.steps, 77);
  assert_false(rh_file_exists(path));
  rh_model_destroy(m);
  toy_folder_free(folder, (const char *const[]){"out.ckpt", NULL});
  toy_free(train);
}

/* ---- ends ---- */

static void seconds_end_a_run(void **state) {
  (void)state;
  toy *train = toy_make(1, 1000, 3), *val = toy_make(2, 100, 3);
  rh_train_options o = quick(0);
  o.recipe.seconds = 0.3;
  o.recipe.patience = 0;
  rh_model *m = toy_model(SPEC_COUPLING, 4, 1);
  rh_fit_report report;
  toy_ok(rh_train(m, &train->rows, &val->rows, NULL, &o, &report));
  assert_string_equal(report.stopped, "seconds");
  assert_true(report.seconds >= 0.3 && report.seconds < 3);
  assert_true(report.steps > 0);
  rh_model_destroy(m);
  toy_free(train);
  toy_free(val);
}

static void steps_end_within_an_epoch(void **state) {
  (void)state;
  toy *train = toy_make(1, 1000, 3), *val = toy_make(2, 100, 3);
  rh_train_options o = quick(0);
  o.recipe.steps = 13;
  rh_model *m = toy_model(SPEC_COUPLING, 4, 1);
  rh_fit_report report;
  toy_ok(rh_train(m, &train->rows, &val->rows, NULL, &o, &report));
  assert_string_equal(report.stopped, "steps");
  assert_int_equal(report.steps, 13);
  assert_int_equal(report.epochs, 1);
  assert_true(isfinite(report.val.mean) && report.val.rows == 100);
  rh_model_destroy(m);
  toy_free(train);
  toy_free(val);
}

static void bad_data_are_refused(void **state) {
  (void)state;
  toy *one = toy_make(1, 1, 3), *narrow = toy_make(1, 100, 2), *fine = toy_make(1, 100, 3);
  rh_train_options o = quick(1);
  rh_model *m = toy_model(SPEC_COUPLING, 4, 1);
  rh_fit_report report;
  assert_int_equal(rh_train(m, &one->rows, NULL, NULL, &o, &report), RH_E_DATA);
  assert_int_equal(rh_train(m, &narrow->rows, NULL, NULL, &o, &report), RH_E_SHAPE);
  assert_int_equal(rh_train(m, &fine->rows, &narrow->rows, NULL, &o, &report), RH_E_SHAPE);
  o.isa = "v99";
  assert_int_equal(rh_train(m, &fine->rows, NULL, NULL, &o, &report), RH_E_UNSUPPORTED);
  o.isa = NULL;
  o.threads = -1;
  assert_int_equal(rh_train(m, &fine->rows, NULL, NULL, &o, &report), RH_E_ARGUMENT);
  rh_model_destroy(m);
  toy_free(one);
  toy_free(narrow);
  toy_free(fine);
}

/* Known before the first step. */
static void unwritable_output_is_refused_at_once(void **state) {
  (void)state;
  toy *train = toy_make(1, 100, 3);
  char *folder = toy_folder(), path[256];
  rh_train_options o = quick(1 << 20);
  o.output = folder;
  rh_model *m = toy_model(SPEC_COUPLING, 4, 1);
  rh_fit_report report;
  assert_int_equal(rh_train(m, &train->rows, NULL, NULL, &o, &report), RH_E_IO);
  toy_path(path, sizeof path, folder, "nowhere/out");
  o.output = path;
  assert_int_equal(rh_train(m, &train->rows, NULL, NULL, &o, &report), RH_E_IO);
  assert_non_null(strstr(rh_last_error(), "nowhere"));
  rh_model_destroy(m);
  toy_folder_free(folder, (const char *const[]){NULL});
  toy_free(train);
}

static int countdown(void *left) {
  return --*(int64_t *)left < 0;
}

/* Every allocation of a short fit fails once: an error, nothing leaked (the sanitizers look), no output. */
static void lost_allocations_are_errors(void **state) {
  (void)state;
  toy *train = toy_make(1, 60, 3);
  char *folder = toy_folder(), path[256];
  toy_path(path, sizeof path, folder, "out");
  int64_t n = 0;
  for (bool done = false; !done; n++) {
    rh_model *m = toy_model(SPEC_COUPLING, 4, 1);
    rh_train_options o = quick(1);
    o.threads = 1;
    o.output = path;
    int64_t left = n;
    rh_alloc_set_hook(countdown, &left);
    rh_fit_report report;
    const rh_status status = rh_train(m, &train->rows, &train->rows, NULL, &o, &report);
    rh_alloc_set_hook(NULL, NULL);
    done = status == RH_OK;
    if (!done) assert_int_equal(status, RH_E_MEMORY);
    assert_int_equal(rh_file_exists(path), done);
    rh_model_destroy(m);
    toy_path(path, sizeof path, folder, "out.ckpt");
    unlink(path); /* a run that failed may leave one: it resumes */
    toy_path(path, sizeof path, folder, "out");
  }
  assert_true(n > 50);
  toy_folder_free(folder, (const char *const[]){"out", NULL});
  toy_free(train);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(gaussian_reaches_the_closed_form),
      cmocka_unit_test(threads_give_the_same_model),
      cmocka_unit_test(seeds_give_other_models),
      cmocka_unit_test(early_stopping_keeps_the_best),
      cmocka_unit_test(bad_steps_are_skipped_and_rolled_back),
      cmocka_unit_test(rollback_restores_every_bit),
      cmocka_unit_test(hopeless_data_give_an_error),
      cmocka_unit_test(seconds_end_a_run),
      cmocka_unit_test(steps_end_within_an_epoch),
      cmocka_unit_test(bad_data_are_refused),
      cmocka_unit_test(lost_allocations_are_errors),
      cmocka_unit_test(unwritable_output_is_refused_at_once),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
