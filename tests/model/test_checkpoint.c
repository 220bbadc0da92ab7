/* Checkpoints: bits back, damage refused, outputs untouched on failure, whole at any moment. */
#define _XOPEN_SOURCE 700 /* mkdtemp */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
// cmocka last: it wants the headers above
#include <cmocka.h>

#include "base/file.h"
#include "model/checkpoint.h"
#include "model/scarce.h"

#define assert_ok(call)                                   \
  do {                                                    \
    if ((call) != RH_OK) fail_msg("%s", rh_last_error()); \
  } while (0)
#define assert_error_has(word)                                                              \
  do {                                                                                      \
    if (!strstr(rh_last_error(), word)) fail_msg("'%s' lacks '%s'", rh_last_error(), word); \
    assert_null(strchr(rh_last_error(), '\n'));                                             \
  } while (0)

enum { PARAMS = 1000 };
typedef struct run {
  float params[PARAMS];
  double moment[PARAMS];
  int64_t order[7];
  uint64_t seed[1];
} run;
enum { ARRAYS = 5 };

static void fill(run *r, int kind) {
  for (int i = 0; i < PARAMS; i++) {
    r->params[i] = (float)(kind * 0.1 + i);
    r->moment[i] = kind / 7.0 - i;
  }
  for (int i = 0; i < 7; i++) r->order[i] = kind * 100 + i;
  r->seed[0] = UINT64_MAX - (uint64_t)kind;
}

static void list(run *r, rh_array arrays[ARRAYS]) {
  const rh_array all[ARRAYS] = {
      {"params", RH_ST_F32, PARAMS, r->params},
      {"adam.m", RH_ST_F64, PARAMS, r->moment},
      {"order", RH_ST_I64, 7, r->order},
      {"seed", RH_ST_U64, 1, r->seed},
      {"best", RH_ST_F32, 0, NULL},
  };
  memcpy(arrays, all, sizeof all);
}

static json_t *scalars_of(int kind) {
  return json_pack("{s:i, s:f, s:[f, f], s:s}", "epoch", kind, "loss", kind / 3.0, "history", 0.1, 1e-300, "isa", "v4");
}

static rh_status write_kind(const char *path, int kind) {
  run r;
  rh_array arrays[ARRAYS];
  fill(&r, kind);
  list(&r, arrays);
  json_t *scalars = scalars_of(kind);
  const rh_status status = rh_checkpoint_write(path, ARRAYS, arrays, scalars);
  json_decref(scalars);
  return status;
}

/* The kind of run in the file, all of it checked; or -1 with an error, nothing touched. */
static int read_kind(const char *path) {
  run r, want;
  rh_array arrays[ARRAYS];
  memset(&r, 0x55, sizeof r);
  list(&r, arrays);
  json_t *scalars = (json_t *)8;
  if (rh_checkpoint_read(path, ARRAYS, arrays, &scalars) != RH_OK) {
    const unsigned char *p = (const unsigned char *)&r;
    for (size_t i = 0; i < sizeof r; i++) assert_int_equal(p[i], 0x55);
    assert_ptr_equal(scalars, (json_t *)8);
    return -1;
  }
  const int kind = (int)json_integer_value(json_object_get(scalars, "epoch"));
  fill(&want, kind);
  assert_memory_equal(r.params, want.params, sizeof want.params);
  assert_memory_equal(r.moment, want.moment, sizeof want.moment);
  assert_memory_equal(r.order, want.order, sizeof want.order);
  assert_memory_equal(r.seed, want.seed, sizeof want.seed);
  json_t *same = scalars_of(kind);
  assert_true(json_equal(scalars, same));
  json_decref(same);
  json_decref(scalars);
  return kind;
}

static rh_bytes slurp(const char *path) {
  rh_bytes bytes;
  assert_ok(rh_bytes_open(path, &bytes));
  return bytes;
}

static void spit(const char *path, const void *bytes, size_t n) {
  FILE *file = fopen(path, "wb");
  assert_non_null(file);
  assert_int_equal(fwrite(bytes, 1, n, file), n);
  fclose(file);
}

static void round_trip(void **state) {
  (void)state;
  assert_ok(write_kind(scratch_path("a.ckpt"), 3));
  assert_int_equal(read_kind(scratch_path("a.ckpt")), 3);
  assert_ok(write_kind(scratch_path("a.ckpt"), 4)); /* over the old one */
  assert_int_equal(read_kind(scratch_path("a.ckpt")), 4);
  assert_ok(write_kind(scratch_path("b.ckpt"), 4));
  rh_bytes a = slurp(scratch_path("a.ckpt")), b = slurp(scratch_path("b.ckpt"));
  assert_int_equal(a.size, b.size); /* nothing of the place or time in it */
  assert_memory_equal(a.data, b.data, a.size);
  rh_bytes_close(&a);
  rh_bytes_close(&b);
}

static void in_two_steps(void **state) {
  (void)state;
  assert_ok(write_kind(scratch_path("two.ckpt"), 5));
  rh_checkpoint *c;
  assert_ok(rh_checkpoint_open(scratch_path("two.ckpt"), &c));
  assert_int_equal(json_integer_value(json_object_get(rh_checkpoint_scalars(c), "epoch")), 5);
  assert_int_equal(rh_st_count(rh_checkpoint_tensors(c)), ARRAYS);
  assert_non_null(rh_st_find(rh_checkpoint_tensors(c), "adam.m"));
  run r, want;
  rh_array arrays[ARRAYS];
  list(&r, arrays);
  assert_ok(rh_checkpoint_load(c, ARRAYS, arrays));
  fill(&want, 5);
  assert_memory_equal(r.params, want.params, sizeof r.params);
  rh_checkpoint_close(c);
  rh_checkpoint_close(NULL);
}

static void other_arrays_are_refused(void **state) {
  (void)state;
  assert_ok(write_kind(scratch_path("c.ckpt"), 1));
  static const struct {
    int at;
    const char *name;
    rh_st_dtype dtype;
    int64_t count, n;
    const char *word;
  } cases[] = {
      {4, "bets", RH_ST_F32, 0, ARRAYS, "c.ckpt: has no tensor 'bets'; the nearest is 'best'"},
      {4, "best", RH_ST_F32, 1, ARRAYS, "c.ckpt: tensor 'best' has shape [0], expected [1]"},
      {1, "adam.m", RH_ST_F64, PARAMS - 1, ARRAYS, "has shape [1000], expected [999]"},
      {1, "adam.m", RH_ST_F32, PARAMS, ARRAYS, "c.ckpt: array 'adam.m' is F64, expected F32"},
      {0, "params", RH_ST_F32, PARAMS, ARRAYS - 1, "c.ckpt: holds 5 arrays, expected 4"},
  };
  for (size_t i = 0; i < RH_COUNT_OF(cases); i++) {
    run r;
    rh_array arrays[ARRAYS];
    memset(&r, 0x55, sizeof r);
    list(&r, arrays);
    arrays[cases[i].at] = (rh_array){cases[i].name, cases[i].dtype, cases[i].count, arrays[cases[i].at].data};
    json_t *scalars = NULL;
    const rh_status status = rh_checkpoint_read(scratch_path("c.ckpt"), cases[i].n, arrays, &scalars);
    assert_true(status == RH_E_FORMAT || status == RH_E_SHAPE);
    assert_error_has(cases[i].word);
    assert_null(scalars);
    for (size_t j = 0; j < sizeof r; j++) assert_int_equal(((unsigned char *)&r)[j], 0x55);
  }
}

static void writing_refuses(void **state) {
  (void)state;
  run r;
  rh_array arrays[ARRAYS];
  json_t *scalars = json_object(), *list_of = json_array();
  fill(&r, 1);
  list(&r, arrays);
  assert_ok(write_kind(scratch_path("kept.ckpt"), 2));
  assert_int_equal(rh_checkpoint_write(scratch_path("kept.ckpt"), ARRAYS, arrays, list_of), RH_E_ARGUMENT);
  assert_int_equal(rh_checkpoint_write(scratch_path("kept.ckpt"), ARRAYS, arrays, NULL), RH_E_ARGUMENT);
  arrays[1].name = "params";
  assert_int_equal(rh_checkpoint_write(scratch_path("kept.ckpt"), ARRAYS, arrays, scalars), RH_E_ARGUMENT);
  assert_error_has("two tensors are called 'params'");
  arrays[1].name = "other";
  arrays[1].count = -1;
  assert_int_equal(rh_checkpoint_write(scratch_path("kept.ckpt"), ARRAYS, arrays, scalars), RH_E_ARGUMENT);
  arrays[1].count = 1;
  assert_int_equal(rh_checkpoint_write(scratch_path("no/folder"), ARRAYS, arrays, scalars), RH_E_IO);
  assert_int_equal(read_kind(scratch_path("kept.ckpt")), 2);
  json_decref(scalars);
  json_decref(list_of);
}

static void what_is_no_checkpoint(void **state) {
  (void)state;
  static const struct {
    const char *format, *scalars, *word;
  } cases[] = {
      {NULL, "{}", "is not a checkpoint of rheo"},
      {"1", NULL, "is not a checkpoint of rheo"},
      {"2", "{}", "is a checkpoint of format 2, this program reads 1"},
      {"1", "{", "scalars: the JSON text ends too early"},
      {"1", "[]", "scalars are not an object"},
  };
  rh_checkpoint *c = NULL;
  for (size_t i = 0; i < 2 * RH_COUNT_OF(cases); i++) {
    const size_t k = i / 2;
    rh_st_builder *b;
    assert_ok(rh_st_begin(&b));
    if (cases[k].format) assert_ok(rh_st_add_meta(b, "rheo_checkpoint", cases[k].format));
    if (cases[k].scalars) assert_ok(rh_st_add_meta(b, "scalars", cases[k].scalars));
    if (i % 2 == 0) assert_ok(rh_st_seal(b));
    assert_ok(rh_st_write(b, scratch_path("none.ckpt")));
    rh_st_end(b);
    assert_int_equal(rh_checkpoint_open(scratch_path("none.ckpt"), &c), RH_E_FORMAT);
    assert_error_has(k > 2 && i % 2 ? "has no hash" : cases[k].word);
  }
  assert_int_equal(rh_checkpoint_open(scratch_path("missing.ckpt"), &c), RH_E_IO);
  assert_null(c);
}

/* Cut anywhere, or one bit turned anywhere in it: an error, never other numbers. White space of the header may change. */
static void damage_is_seen(void **state) {
  (void)state;
  assert_ok(write_kind(scratch_path("whole.ckpt"), 6));
  rh_bytes whole = slurp(scratch_path("whole.ckpt"));
  unsigned char *copy = malloc(whole.size);
  memcpy(copy, whole.data, whole.size);
  for (size_t cut = 0; cut < whole.size; cut += cut < 1100 ? 1 : 97) {
    spit(scratch_path("cut.ckpt"), copy, cut);
    assert_int_equal(read_kind(scratch_path("cut.ckpt")), -1);
  }
  int fine = 0, refused = 0;
  for (size_t at = 0; at < whole.size; at += at < 1100 ? 1 : 31) {
    copy[at] ^= (unsigned char)(1 << at % 8);
    spit(scratch_path("cut.ckpt"), copy, whole.size);
    const int kind = read_kind(scratch_path("cut.ckpt"));
    assert_true(kind == -1 || kind == 6);
    fine += kind == 6;
    refused += kind == -1;
    copy[at] ^= (unsigned char)(1 << at % 8);
  }
  assert_true(refused > 1000 && fine < 20);
  free(copy);
  rh_bytes_close(&whole);
}

static void writing_without_memory(void **state) {
  (void)state;
  int failures = 0;
  assert_ok(write_kind(scratch_path("old.ckpt"), 7));
  run r;
  rh_array arrays[ARRAYS];
  fill(&r, 8);
  list(&r, arrays);
  json_t *scalars = scalars_of(8);
  for (int at = 0;; at++, failures++) {
    scarce_begin(at);
    const rh_status status = rh_checkpoint_write(scratch_path("old.ckpt"), ARRAYS, arrays, scalars);
    (void)scarce_end();
    if (status == RH_OK) break;
    assert_int_equal(status, RH_E_MEMORY);
    assert_int_equal(read_kind(scratch_path("old.ckpt")), 7);
  }
  assert_int_equal(read_kind(scratch_path("old.ckpt")), 8);
  assert_true(failures > 30);
  json_decref(scalars);
}

static void reading_without_memory(void **state) {
  (void)state;
  int failures = 0;
  assert_ok(write_kind(scratch_path("read.ckpt"), 9));
  run r;
  rh_array arrays[ARRAYS];
  list(&r, arrays);
  for (int at = 0;; at++, failures++) {
    memset(&r, 0x55, sizeof r);
    json_t *scalars = NULL;
    scarce_begin(at);
    const rh_status status = rh_checkpoint_read(scratch_path("read.ckpt"), ARRAYS, arrays, &scalars);
    (void)scarce_end();
    if (status == RH_OK) {
      json_decref(scalars);
      break;
    }
    assert_true(status == RH_E_MEMORY || status == RH_E_FORMAT); /* JSON's parser calls some of them a syntax error */
    assert_null(scalars);
    for (size_t j = 0; j < sizeof r; j++) assert_int_equal(((unsigned char *)&r)[j], 0x55);
  }
  assert_true(failures > 30);
}

/* A child writes one after the other and is killed at any moment: the file is always one of them, whole. */
static void whole_at_any_moment(void **state) {
  (void)state;
  enum { KILLS = 60 };
  const char *path = scratch_path("killed.ckpt");
  int changed = 0, last = 0;
  struct timespec start, end;
  clock_gettime(CLOCK_MONOTONIC, &start);
  assert_ok(write_kind(path, 0));
  clock_gettime(CLOCK_MONOTONIC, &end);
  const int64_t one =
      (end.tv_sec - start.tv_sec) * 1000000000 + end.tv_nsec - start.tv_nsec; /* kills fall into the first six writes or so */
  for (int kill_no = 0; kill_no < KILLS; kill_no++) {
    const pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
      for (int kind = 1;; kind++) {
        if (write_kind(path, kill_no * 100000 + kind) != RH_OK) _exit(1);
      }
    }
    const int64_t delay = one * 6 * (kill_no * 37 % KILLS + 1) / KILLS;
    nanosleep(&(struct timespec){delay / 1000000000, delay % 1000000000}, NULL);
    kill(child, SIGKILL);
    int how;
    assert_int_equal(waitpid(child, &how, 0), child);
    assert_true(WIFSIGNALED(how) && WTERMSIG(how) == SIGKILL);
    const int kind = read_kind(path);
    if (kind < 0) fail_msg("after kill %d: %s", kill_no, rh_last_error());
    changed += kind != last;
    last = kind;
  }
  assert_true(changed > KILLS / 10); /* the child did get to write */
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(round_trip),
      cmocka_unit_test(in_two_steps),
      cmocka_unit_test(other_arrays_are_refused),
      cmocka_unit_test(writing_refuses),
      cmocka_unit_test(what_is_no_checkpoint),
      cmocka_unit_test(damage_is_seen),
      cmocka_unit_test(writing_without_memory),
      cmocka_unit_test(reading_without_memory),
      cmocka_unit_test(whole_at_any_moment),
  };
  return cmocka_run_group_tests(tests, scratch_make, scratch_remove);
}
