/* Recipes: options and their errors, the way through JSON, the schedule. */
#define _XOPEN_SOURCE 700
#include "model/toy.h"

#include "train/run.h"

static void options_are_read(void **state) {
  (void)state;
  rh_recipe r = rh_recipe_default(1000, false);
  json_t *o = toy_json("{\"optimizer\":\"adamw\",\"weight_decay\":0.01,\"lr\":0.002,\"batch\":77,\"steps\":5}");
  toy_ok(rh_recipe_set(&r, o));
  json_decref(o);
  assert_int_equal(r.optimizer, RH_ADAMW);
  assert_true(r.weight_decay == 0.01 && r.lr == 0.002 && r.batch == 77 && r.steps == 5);
  rh_recipe again = rh_recipe_default(10, false);
  o = rh_recipe_json(&r);
  assert_non_null(o);
  toy_ok(rh_recipe_set(&again, o));
  json_t *same = rh_recipe_json(&again);
  assert_true(json_equal(o, same));
  json_decref(o);
  json_decref(same);
}

static void refused(const char *options, const char *says) {
  rh_recipe r = rh_recipe_default(1000, false), before = r;
  json_t *o = toy_json(options);
  assert_int_equal(rh_recipe_set(&r, o), RH_E_SPEC);
  if (!strstr(rh_last_error(), says)) fail_msg("'%s' does not say '%s'", rh_last_error(), says);
  assert_true(r.lr == before.lr && r.batch == before.batch && r.optimizer == before.optimizer);
  json_decref(o);
}

static void bad_options_are_refused(void **state) {
  (void)state;
  refused("{\"lr\":0}", "lr");
  refused("{\"lr\":-1}", "lr");
  refused("{\"lr\":\"fast\"}", "lr");
  refused("{\"batch\":0}", "batch");
  refused("{\"batch\":1.5}", "batch");
  refused("{\"epochs\":-3}", "epochs");
  refused("{\"bacth\":64}", "batch");
  refused("{\"optimizer\":\"sgd\"}", "adamw");
  refused("{\"optimizer\":\"adam\",\"weight_decay\":0.1}", "adamw");
  refused("{\"ema\":1}", "ema");
}

/* Decay of fields is for few rows. */
static void fields_have_their_own(void **state) {
  (void)state;
  static const struct {
    int64_t rows;
    double decay;
  } known[] = {{1, 0.3}, {1000, 0.3}, {4500, 0.17}, {45000, 0.0017}};
  for (size_t k = 0; k < RH_COUNT_OF(known); k++) {
    rh_recipe r = rh_recipe_default(known[k].rows, false), before = r;
    rh_recipe_of_fields(&r, known[k].rows);
    if (!(fabs(r.weight_decay - known[k].decay) < 1e-12)) fail_msg("%lld rows: %g", (long long)known[k].rows, r.weight_decay);
    assert_true(r.lr == 0.01);
    before.lr = r.lr, before.weight_decay = r.weight_decay;
    json_t *one = rh_recipe_json(&r), *other = rh_recipe_json(&before);
    assert_true(json_equal(one, other)); /* and nothing else */
    json_decref(one);
    json_decref(other);
  }
}

static void schedule_warms_up_and_falls(void **state) {
  (void)state;
  rh_recipe r = rh_recipe_default(1000, false);
  r.lr = 1;
  r.warmup = 10;
  r.lr_floor = 0.1;
  double last = 0;
  for (int64_t t = 0; t < 10; t++) {
    const double rate = rh_schedule_rate(&r, t, 1000, 0);
    assert_true(rate > last && rate < 1);
    last = rate;
  }
  for (int64_t t = 10; t < 1000; t++) {
    const double rate = rh_schedule_rate(&r, t, 1000, 0);
    assert_true(t == 10 ? rate == 1 : rate < last);
    last = rate;
  }
  assert_true(fabs(rh_schedule_rate(&r, 505, 1000, 0) - 0.55) < 1e-9); /* half way */
  assert_true(fabs(rh_schedule_rate(&r, 1000, 1000, 0) - 0.1) < 1e-12);
  r.seconds = 100; /* the clock, where it is ahead */
  assert_true(fabs(rh_schedule_rate(&r, 20, 1000, 100) - 0.1) < 1e-12);
  assert_true(fabs(rh_schedule_rate(&r, 20, 0, 50) - 0.55) < 1e-12);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(options_are_read),
      cmocka_unit_test(bad_options_are_refused),
      cmocka_unit_test(fields_have_their_own),
      cmocka_unit_test(schedule_warms_up_and_falls),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
