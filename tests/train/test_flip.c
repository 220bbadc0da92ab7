/* Training on images that are mirrored at random: the same bytes on any number of threads, stopped and resumed or not; validation sees
 * what was given. */
#define _XOPEN_SOURCE 700
#include "model/toy.h"

#include "train/train.h"

/* 1 x 3 images; the outer columns are told apart only by mirroring. */
#define SPEC                                                                                                                              \
  "{\"columns\":3,\"flow\":{\"type\":\"chain\",\"parts\":[{\"type\":\"coupling\",\"net\":{\"hidden\":[6]}},{\"type\":\"elementwise\"}]}," \
  "\"base\":{\"type\":\"normal\"}}"
enum { ROWS = 500, EPOCHS = 6 };

typedef struct rig {
  toy *train, *val;
  char *folder;
  char out[200];
  atomic_int stop;
  int64_t stop_at; /* steps; -1: never */
  rh_train_options options;
} rig;

static void watch(void *arg, const rh_progress *p) {
  rig *r = arg;
  if (r->stop_at >= 0 && p->step >= r->stop_at) atomic_store(&r->stop, 1);
}

static rig *rig_make(bool flip) {
  rig *r = rh_alloc_zero(1, sizeof *r);
  assert_non_null(r);
  r->train = toy_make(1, ROWS, 3), r->val = toy_make(2, 100, 3);
  r->folder = toy_folder();
  toy_path(r->out, sizeof r->out, r->folder, "out");
  r->stop_at = -1;
  r->options = (rh_train_options){.recipe = rh_recipe_default(ROWS, false), .threads = 2, .progress = watch, .arg = r, .stop = &r->stop};
  r->options.recipe.epochs = EPOCHS, r->options.recipe.batch = 64, r->options.recipe.seed = 4;
  r->options.recipe.flip = flip;
  r->options.image = (rh_image_shape){1, 3, 1};
  r->options.output = r->out;
  return r;
}

static void rig_free(rig *r) {
  toy_free(r->train);
  toy_free(r->val);
  toy_folder_free(r->folder, (const char *const[]){"out", NULL});
  rh_free(r);
}

static rh_status rig_run(rig *r, rh_model **model, rh_fit_report *report) {
  *model = toy_model(SPEC, 4, 1);
  atomic_store(&r->stop, 0);
  return rh_train(*model, &r->train->rows, &r->val->rows, NULL, &r->options, report);
}

static void the_same_bytes_however_it_runs(void **state) {
  (void)state;
  rig *r = rig_make(true), *plain = rig_make(false);
  rh_fit_report report;
  rh_model *whole, *m;
  toy_ok(rig_run(r, &whole, &report));
  const toy_bytes want = toy_bytes_of(whole);
  for (int threads = 1; threads <= 3; threads += 2) {
    unlink(r->out);
    r->options.threads = threads, r->options.resume = true, r->stop_at = 0;
    int sessions = 0;
    do {
      r->stop_at += 13;
      toy_ok(rig_run(r, &m, &report));
      sessions++;
      if (strcmp(report.stopped, "interrupted") == 0) rh_model_destroy(m);
    } while (strcmp(report.stopped, "interrupted") == 0);
    assert_true(sessions > 2);
    const toy_bytes got = toy_bytes_of(m);
    toy_same(got, want);
    rh_free(got.data);
    rh_model_destroy(m);
  }
  toy_ok(rig_run(plain, &m, &report)); /* and it does something */
  const rh_leaf *leaf = &whole->flow->leaves.leaf[0];
  assert_memory_not_equal(rh_values_at(&m->flow->leaves, &m->values, 0), rh_values_at(&whole->flow->leaves, &whole->values, 0),
                          (size_t)leaf->count * 4);
  rh_model_destroy(m);
  rh_model_destroy(whole);
  rh_free(want.data);
  rig_free(r);
  rig_free(plain);
}

/* Columns of different means come to one mean in training, and validation is that of the rows as they are. */
static void validation_sees_what_is_given(void **state) {
  (void)state;
  rig *r = rig_make(true);
  for (int i = 0; i < ROWS; i++) r->train->data[3 * i] += 10, r->train->data[3 * i + 2] -= 10;
  for (int i = 0; i < 100; i++) r->val->data[3 * i] += 10, r->val->data[3 * i + 2] -= 10;
  r->options.recipe.epochs = 40, r->options.recipe.lr = 0.02;
  rh_model *m = toy_model("{\"columns\":3,\"flow\":{\"type\":\"elementwise\"},\"base\":{\"type\":\"full-normal\"}}", 8, 1);
  rh_fit_report report;
  toy_ok(rh_train(m, &r->train->rows, &r->val->rows, NULL, &r->options, &report));
  rh_scorer *s;
  rh_score_sum sum, other;
  toy_ok(rh_scorer_create(m->flow, &m->values, &(rh_scorer_options){.threads = 1}, &s));
  toy_ok(rh_score_mean(s, &r->val->rows, &sum));
  assert_true(fabs(sum.mean - report.val.mean) < 1e-12 * fabs(sum.mean));
  for (int i = 0; i < 100; i++) { /* mirrored rows are as likely: both were seen */
    double *x = r->val->data + 3 * i, t = x[0];
    x[0] = x[2], x[2] = t;
  }
  toy_ok(rh_score_mean(s, &r->val->rows, &other));
  assert_true(fabs(other.mean - sum.mean) < 1 && sum.mean > -40);
  rh_scorer_destroy(s);
  rh_model_destroy(m);
  rig_free(r);
}

static void flips_need_an_image(void **state) {
  (void)state;
  static const struct {
    rh_image_shape image;
    const char *says;
  } cases[] = {{{0, 0, 0}, "rows are none"}, {{2, 2, 1}, "an image of 2 x 2 with 1 channels is more than the 3 columns"}};
  for (size_t i = 0; i < RH_COUNT_OF(cases); i++) {
    rig *r = rig_make(true);
    rh_model *m;
    rh_fit_report report;
    r->options.image = cases[i].image;
    assert_int_not_equal(rig_run(r, &m, &report), RH_OK);
    if (!strstr(rh_last_error(), cases[i].says)) fail_msg("'%s' does not say '%s'", rh_last_error(), cases[i].says);
    rh_model_destroy(m);
    rig_free(r);
  }
}

/* A run on images of another shape, or without mirroring, is another run. */
static void other_images_are_other_runs(void **state) {
  (void)state;
  rig *r = rig_make(true);
  rh_model *m;
  rh_fit_report report;
  r->stop_at = 10;
  toy_ok(rig_run(r, &m, &report));
  rh_model_destroy(m);
  r->options.resume = true, r->stop_at = -1;
  r->options.image = (rh_image_shape){3, 1, 1};
  assert_int_equal(rig_run(r, &m, &report), RH_E_ARGUMENT);
  if (!strstr(rh_last_error(), "mirrored image [1,3,1] there, [3,1,1] here")) fail_msg("'%s'", rh_last_error());
  rh_model_destroy(m);
  r->options.recipe.flip = false;
  assert_int_equal(rig_run(r, &m, &report), RH_E_ARGUMENT);
  assert_non_null(strstr(rh_last_error(), "recipe: flip true there, false here"));
  rh_model_destroy(m);
  r->options.recipe.flip = true, r->options.image = (rh_image_shape){1, 3, 1};
  toy_ok(rig_run(r, &m, &report));
  rh_model_destroy(m);
  rig_free(r);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(the_same_bytes_however_it_runs),
      cmocka_unit_test(validation_sees_what_is_given),
      cmocka_unit_test(flips_need_an_image),
      cmocka_unit_test(other_images_are_other_runs),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
