/* The thread pool: everyone runs, phases are apart, tasks are handed out once. Run under TSan it also shows the ordering. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
// cmocka last: it wants the headers above
#include <cmocka.h>

#include "base/memory.h"
#include "base/threads.h"

enum { MOST = 16, TASKS = 257, PHASES = 40 };
static const int counts[] = {1, 2, 3, 8};

/* Every thread's own counter goes up once a run. */
static void count_body(void *arg, int thread) {
  ((int *)arg)[thread]++;
}

static void everyone_runs_once(void **state) {
  (void)state;
  for (size_t c = 0; c < RH_COUNT_OF(counts); c++) {
    rh_pool *pool = NULL;
    assert_int_equal(rh_pool_create(counts[c], &pool), RH_OK);
    assert_int_equal(rh_pool_threads(pool), counts[c]);
    int seen[MOST] = {0};
    for (int run = 1; run <= 500; run++) {
      rh_pool_run(pool, count_body, seen);
      for (int t = 0; t < MOST; t++) assert_int_equal(seen[t], t < counts[c] ? run : 0);
    }
    rh_pool_destroy(pool);
  }
}

/* Each phase reads what the other threads wrote in the phase before, without any other synchronisation. */
struct relay {
  rh_pool *pool;
  int64_t value[2][MOST];
  int wrong[MOST];
};

static void relay_body(void *arg, int thread) {
  struct relay *r = arg;
  const int n = rh_pool_threads(r->pool);
  for (int phase = 0; phase < PHASES; phase++) {
    r->value[phase % 2][thread] = phase * 100 + thread;
    rh_pool_barrier(r->pool);
    for (int t = 0; t < n; t++) r->wrong[thread] += r->value[phase % 2][t] != phase * 100 + t;
  }
}

static void barriers_order_phases(void **state) {
  (void)state;
  for (size_t c = 0; c < RH_COUNT_OF(counts); c++) {
    struct relay r = {0};
    assert_int_equal(rh_pool_create(counts[c], &r.pool), RH_OK);
    for (int run = 0; run < 20; run++) rh_pool_run(r.pool, relay_body, &r);
    for (int t = 0; t < MOST; t++) assert_int_equal(r.wrong[t], 0);
    rh_pool_destroy(r.pool);
  }
}

/* Tasks of a phase: each number 0..TASKS-1 goes to one thread; the next phase starts at 0 again. */
struct hand_out {
  rh_pool *pool;
  int taken[PHASES][TASKS]; /* not atomic: one owner each, or TSan says so */
};

static void hand_out_body(void *arg, int thread) {
  (void)thread;
  struct hand_out *h = arg;
  for (int phase = 0; phase < PHASES; phase++) {
    for (int64_t i; (i = rh_pool_next(h->pool)) < TASKS;) h->taken[phase][i]++;
    rh_pool_barrier(h->pool);
  }
}

static void tasks_are_handed_out_once(void **state) {
  (void)state;
  static struct hand_out h;
  for (size_t c = 0; c < RH_COUNT_OF(counts); c++) {
    memset(&h, 0, sizeof h);
    assert_int_equal(rh_pool_create(counts[c], &h.pool), RH_OK);
    for (int run = 1; run <= 3; run++) {
      rh_pool_run(h.pool, hand_out_body, &h);
      for (int p = 0; p < PHASES; p++) {
        for (int i = 0; i < TASKS; i++) assert_int_equal(h.taken[p][i], run);
      }
    }
    rh_pool_destroy(h.pool);
  }
}

/* A body that leaves tasks counted but takes no barrier of its own: the next run starts at 0 all the same. */
struct single {
  rh_pool *pool;
  _Atomic int64_t sum, taken;
};

static void single_body(void *arg, int thread) {
  (void)thread;
  struct single *s = arg;
  for (int64_t i; (i = rh_pool_next(s->pool)) < TASKS;) {
    atomic_fetch_add(&s->sum, i);
    atomic_fetch_add(&s->taken, 1);
  }
}

static void each_run_starts_at_zero(void **state) {
  (void)state;
  for (size_t c = 0; c < RH_COUNT_OF(counts); c++) {
    struct single s = {0};
    assert_int_equal(rh_pool_create(counts[c], &s.pool), RH_OK);
    for (int run = 1; run <= 200; run++) {
      rh_pool_run(s.pool, single_body, &s);
      assert_int_equal(s.taken, run * TASKS);
      assert_int_equal(s.sum, (int64_t)run * TASKS * (TASKS - 1) / 2);
    }
    rh_pool_destroy(s.pool);
  }
}

static void nothing_body(void *arg, int thread) {
  (void)arg;
  (void)thread;
}

static void pools_come_and_go(void **state) {
  (void)state;
  for (int i = 0; i < 50; i++) {
    rh_pool *pool, *other;
    assert_int_equal(rh_pool_create(1 + i % 8, &pool), RH_OK);
    assert_int_equal(rh_pool_create(2, &other), RH_OK);
    if (i % 3) rh_pool_run(pool, nothing_body, NULL);
    if (i % 2) rh_pool_run(other, nothing_body, NULL);
    rh_pool_destroy(pool);
    rh_pool_destroy(other);
  }
  rh_pool_destroy(NULL);
}

static void counts_are_checked(void **state) {
  (void)state;
  rh_pool *pool = NULL;
  assert_int_equal(rh_pool_create(-1, &pool), RH_E_ARGUMENT);
  assert_non_null(strstr(rh_last_error(), "-1"));
  assert_int_equal(rh_pool_create(1025, &pool), RH_E_ARGUMENT);
  assert_null(pool);
  assert_true(rh_cpu_count() >= 1);
  assert_int_equal(rh_pool_create(0, &pool), RH_OK);
  assert_int_equal(rh_pool_threads(pool), rh_cpu_count());
  rh_pool_destroy(pool);
}

static int fail_at(void *state) { /* *state: calls still to pass */
  int *left = state;
  return (*left)-- == 0;
}

static void memory_runs_out(void **state) {
  (void)state;
  int failures = 0;
  for (int at = 0;; at++) {
    int left = at;
    rh_pool *pool = NULL;
    rh_alloc_set_hook(fail_at, &left);
    const rh_status status = rh_pool_create(4, &pool);
    rh_alloc_set_hook(NULL, NULL);
    if (status == RH_OK) {
      rh_pool_run(pool, nothing_body, NULL);
      rh_pool_destroy(pool);
      break;
    }
    assert_int_equal(status, RH_E_MEMORY);
    assert_null(pool);
    failures++;
  }
  assert_true(failures >= 2);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(everyone_runs_once),      cmocka_unit_test(barriers_order_phases), cmocka_unit_test(tasks_are_handed_out_once),
      cmocka_unit_test(each_run_starts_at_zero), cmocka_unit_test(pools_come_and_go),     cmocka_unit_test(counts_are_checked),
      cmocka_unit_test(memory_runs_out),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
