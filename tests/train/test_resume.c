/* Stopped anywhere, by request or by SIGKILL, and resumed: the same bytes as an uninterrupted run. */
#define _XOPEN_SOURCE 700
#include <signal.h>
#include <sys/wait.h>
#include <time.h>

#include "model/specs.h"
#include "model/toy.h"
#include "train/train.h"

enum { ROWS = 700, EPOCHS = 12 };

typedef struct rig {
  toy *train, *val;
  char *folder;
  char out[200], whole[200];
  atomic_int stop;
  int64_t stop_at; /* steps; -1: never */
  int64_t resumed, checkpoints;
  rh_train_options options;
} rig;

static void watch(void *arg, const rh_progress *p) {
  rig *r = arg;
  if (r->stop_at >= 0 && p->step >= r->stop_at) atomic_store(&r->stop, 1);
  r->resumed += p->event == RH_EVENT_RESUME;
  r->checkpoints += p->event == RH_EVENT_CHECKPOINT;
}

static rig *rig_make(void) {
  rig *r = rh_alloc_zero(1, sizeof *r);
  assert_non_null(r);
  r->train = toy_make(1, ROWS, 3);
  r->val = toy_make(2, 200, 3);
  r->folder = toy_folder();
  toy_path(r->out, sizeof r->out, r->folder, "out");
  toy_path(r->whole, sizeof r->whole, r->folder, "whole");
  r->stop_at = -1;
  r->options = (rh_train_options){.recipe = rh_recipe_default(ROWS, false), .threads = 2, .progress = watch, .arg = r, .stop = &r->stop};
  r->options.recipe.epochs = EPOCHS;
  r->options.recipe.batch = 64;
  r->options.recipe.seed = 4;
  return r;
}

static void rig_free(rig *r) {
  toy_free(r->train);
  toy_free(r->val);
  toy_folder_free(r->folder, (const char *const[]){"out", "whole", NULL}); /* no checkpoint is left */
  rh_free(r);
}

static rh_status rig_run(rig *r, const char *output, bool resume, rh_fit_report *report) {
  rh_model *m = toy_model(SPEC_NOISY, 4, 1);
  rh_train_options o = r->options;
  o.output = output;
  o.resume = resume;
  atomic_store(&r->stop, 0);
  const rh_status status = rh_train(m, &r->train->rows, &r->val->rows, &r->val->rows, &o, report);
  rh_model_destroy(m);
  return status;
}

static void same_files(const char *a, const char *b) {
  rh_bytes x, y;
  toy_ok(rh_bytes_open(a, &x));
  toy_ok(rh_bytes_open(b, &y));
  assert_int_equal(x.size, y.size);
  assert_memory_equal(x.data, y.data, x.size);
  rh_bytes_close(&x);
  rh_bytes_close(&y);
}

static void stopped_runs_resume_to_the_same_bytes(void **state) {
  (void)state;
  rig *r = rig_make();
  rh_fit_report whole, report;
  toy_ok(rig_run(r, r->whole, false, &whole));
  assert_int_equal(whole.steps, EPOCHS * 11);
  const rh_rng rng = rh_rng_at(99, 0, 0, RH_STREAM_TEST);
  for (int64_t trial = 0; trial < 12; trial++) {
    unlink(r->out);
    r->options.threads = 1 + (int)(trial % 3);
    r->options.checkpoint_seconds = trial % 2 ? 1e-9 : 0; /* after every step, or only when stopped */
    int64_t at = 0, sessions = 0;
    do { /* in several sessions */
      at += 1 + (int64_t)rh_rng_below(&rng, trial * 100 + sessions, 60);
      r->stop_at = at;
      toy_ok(rig_run(r, r->out, true, &report));
      sessions++;
    } while (strcmp(report.stopped, "interrupted") == 0);
    r->stop_at = -1;
    assert_true(sessions > 2);
    assert_true(report.resumed);
    assert_int_equal(report.steps, whole.steps);
    same_files(r->out, r->whole);
  }
  assert_true(r->resumed > 24 && r->checkpoints > 100);
  rig_free(r);
}

/* The best model so far is there after an interruption; one that resumes without a checkpoint starts afresh; a finished one stays. */
static void files_of_an_interrupted_run(void **state) {
  (void)state;
  rig *r = rig_make();
  char checkpoint[240];
  snprintf(checkpoint, sizeof checkpoint, "%s.ckpt", r->out);
  rh_fit_report report;
  r->stop_at = 30;
  toy_ok(rig_run(r, r->out, true, &report));
  assert_string_equal(report.stopped, "interrupted");
  assert_int_equal(report.steps, 30);
  assert_false(report.resumed);
  assert_true(rh_file_exists(checkpoint));
  rh_model *m;
  toy_ok(rh_model_load(r->out, &m));
  rh_model_destroy(m);
  toy_ok(rh_file_remove(checkpoint));
  r->stop_at = -1;
  toy_ok(rig_run(r, r->out, true, &report)); /* an interrupted model is no finished one */
  assert_false(report.resumed || report.already);
  assert_false(rh_file_exists(checkpoint));
  toy_ok(rig_run(r, r->whole, false, &report));
  same_files(r->out, r->whole);
  rh_fit_report again;
  toy_ok(rig_run(r, r->out, true, &again));
  assert_true(again.already);
  assert_true(again.steps == report.steps && again.val.mean == report.val.mean && again.test.stderr_ == report.test.stderr_);
  assert_string_equal(again.stopped, report.stopped);
  same_files(r->out, r->whole);
  rig_free(r);
}

static void other_runs_are_refused(void **state) {
  (void)state;
  rig *r = rig_make();
  rh_fit_report report;
  r->stop_at = 30;
  toy_ok(rig_run(r, r->out, false, &report));
  same_files(r->out, r->out);
  const rh_train_options fine = r->options;
  r->options.recipe.lr *= 2;
  assert_int_equal(rig_run(r, r->out, true, &report), RH_E_ARGUMENT);
  assert_non_null(strstr(rh_last_error(), "lr"));
  r->options = fine;
  r->options.recipe.seed++;
  assert_int_equal(rig_run(r, r->out, true, &report), RH_E_ARGUMENT);
  assert_non_null(strstr(rh_last_error(), "seed"));
  r->options = fine;
  r->options.isa = "ref";
  assert_int_equal(rig_run(r, r->out, true, &report), RH_E_ARGUMENT);
  assert_non_null(strstr(rh_last_error(), "--isa"));
  r->options = fine;
  r->train->data[5] += 1e-9;
  assert_int_equal(rig_run(r, r->out, true, &report), RH_E_ARGUMENT);
  assert_non_null(strstr(rh_last_error(), "training rows"));
  r->train->data[5] -= 1e-9;
  toy_free(r->train);
  r->train = toy_make(1, ROWS, 3);
  rh_model *m = toy_model(SPEC_COUPLING, 4, 1);
  rh_train_options o = r->options;
  o.output = r->out;
  o.resume = true;
  assert_int_equal(rh_train(m, &r->train->rows, &r->val->rows, &r->val->rows, &o, &report), RH_E_ARGUMENT);
  assert_non_null(strstr(rh_last_error(), "specification"));
  rh_model_destroy(m);
  r->stop_at = -1;
  toy_ok(rig_run(r, r->out, true, &report)); /* none of that has harmed it */
  assert_true(report.resumed);
  toy_ok(rig_run(r, r->whole, false, &report));
  same_files(r->out, r->whole);
  rig_free(r);
}

/* With resume nothing is replaced but what belongs to the run. */
static void finished_models_of_other_runs_are_refused(void **state) {
  (void)state;
  rig *r = rig_make();
  rh_fit_report report;
  toy_ok(rig_run(r, r->out, false, &report));
  toy_ok(rig_run(r, r->whole, false, &report));
  const rh_train_options fine = r->options;
  r->options.recipe.seed++;
  assert_int_equal(rig_run(r, r->out, true, &report), RH_E_ARGUMENT);
  assert_non_null(strstr(rh_last_error(), "is of another fit: recipe: seed"));
  r->options = fine;
  r->train->data[5] += 1e-9;
  assert_int_equal(rig_run(r, r->out, true, &report), RH_E_ARGUMENT);
  assert_non_null(strstr(rh_last_error(), "is of another fit: the rows differ"));
  r->train->data[5] -= 1e-9;
  same_files(r->out, r->whole);
  FILE *file = fopen(r->out, "w");
  assert_non_null(file);
  fputs("a,b\n1,2\n", file);
  fclose(file);
  assert_int_equal(rig_run(r, r->out, true, &report), RH_E_ARGUMENT);
  assert_non_null(strstr(rh_last_error(), r->out));
  toy_ok(rig_run(r, r->out, false, &report));
  same_files(r->out, r->whole);
  rig_free(r);
}

static void damaged_checkpoints_are_refused(void **state) {
  (void)state;
  rig *r = rig_make();
  char checkpoint[240];
  snprintf(checkpoint, sizeof checkpoint, "%s.ckpt", r->out);
  rh_fit_report report;
  r->stop_at = 30;
  toy_ok(rig_run(r, r->out, false, &report));
  rh_bytes b;
  toy_ok(rh_bytes_open(checkpoint, &b));
  unsigned char *copy = rh_alloc(b.size);
  const size_t n = b.size;
  memcpy(copy, b.data, n);
  rh_bytes_close(&b);
  const rh_rng rng = rh_rng_at(5, 0, 0, RH_STREAM_TEST);
  for (int64_t i = 0; i < 40; i++) {
    const size_t at = (size_t)rh_rng_below(&rng, 2 * i, n), length = i % 4 ? n : at;
    copy[at] ^= (unsigned char)(1u << rh_rng_below(&rng, 2 * i + 1, 8));
    rh_writer *w;
    toy_ok(rh_writer_open(checkpoint, &w));
    toy_ok(rh_writer_put(w, copy, length));
    toy_ok(rh_writer_commit(w));
    copy[at] ^= (unsigned char)(1u << rh_rng_below(&rng, 2 * i + 1, 8));
    assert_int_not_equal(rig_run(r, r->out, true, &report), RH_OK);
    assert_non_null(strstr(rh_last_error(), ".ckpt"));
  }
  rh_free(copy);
  toy_ok(rh_file_remove(checkpoint));
  unlink(r->whole);
  toy_folder_free(r->folder, (const char *const[]){"out", NULL});
  r->folder = toy_folder();
  rig_free(r);
}

/* ---- SIGKILL ---- */

static pid_t start_child(rig *r) {
  const pid_t child = fork();
  assert_true(child >= 0);
  if (child) return child;
  rh_fit_report report;
  _exit(rig_run(r, r->out, true, &report) == RH_OK ? 0 : 1);
}

static void wait_milliseconds(int64_t ms) {
  const struct timespec t = {ms / 1000, ms % 1000 * 1000000};
  nanosleep(&t, NULL);
}

/* A killed writer's file went when its target was next written or removed. */
static void nothing_is_left(const rig *r) {
  char command[300];
  snprintf(command, sizeof command, "! ls '%s' | grep -q rheo-part", r->folder);
  assert_int_equal(system(command), 0);
}

static void killed_runs_resume_to_the_same_bytes(void **state) {
  (void)state;
  rig *r = rig_make();
  r->options.recipe.epochs = 40;
  r->options.checkpoint_seconds = 0.01;
  rh_fit_report report;
  toy_ok(rig_run(r, r->whole, false, &report));
  int64_t ms = (int64_t)(report.seconds * 1000) + 1;
  const rh_rng rng = rh_rng_at(7, 0, 0, RH_STREAM_TEST);
  int killed = 0;
  for (int64_t trial = 0; trial < 20; trial++) {
    unlink(r->out);
    for (int64_t kill_no = 0; kill_no < 1 + trial % 3; kill_no++) {
      const pid_t child = start_child(r);
      wait_milliseconds(ms * (30 + (int64_t)rh_rng_below(&rng, trial * 8 + kill_no, 60)) / 100 / (1 + trial % 3));
      kill(child, SIGKILL);
      int how;
      assert_true(waitpid(child, &how, 0) == child);
      if (WIFSIGNALED(how)) {
        killed++;
        continue;
      }
      assert_int_equal(WEXITSTATUS(how), 0);
      ms = ms * 9 / 10 + 1; /* faster than the run that was timed */
    }
    toy_ok(rig_run(r, r->out, true, &report));
    same_files(r->out, r->whole);
    nothing_is_left(r);
  }
  assert_true(killed >= 20);
  assert_true(r->resumed > 0);
  rig_free(r);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(stopped_runs_resume_to_the_same_bytes),
      cmocka_unit_test(files_of_an_interrupted_run),
      cmocka_unit_test(other_runs_are_refused),
      cmocka_unit_test(finished_models_of_other_runs_are_refused),
      cmocka_unit_test(damaged_checkpoints_are_refused),
      cmocka_unit_test(killed_runs_resume_to_the_same_bytes),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
