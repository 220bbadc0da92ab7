/* Status texts and the allocation gate. */
#include <limits.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
// cmocka last: it wants the headers above
#include <cmocka.h>

#include "base/memory.h"
#include "base/status.h"

static int fail_always(void *state) {
  (void)state;
  return 1;
}

static int fail_at(void *state) { /* *state: calls still to pass */
  int *left = state;
  return (*left)-- == 0;
}

static void status_texts(void **state) {
  (void)state;
  for (int s = 0; s < RH_STATUS_COUNT; s++) {
    assert_true(strlen(rh_status_text((rh_status)s)) > 1);
    for (int t = 0; t < s; t++) assert_string_not_equal(rh_status_text((rh_status)s), rh_status_text((rh_status)t));
  }
  assert_string_equal(rh_status_text(RH_OK), "ok");
  assert_string_equal(rh_status_text(RH_STATUS_COUNT), "unknown status");
  assert_string_equal(rh_status_text((rh_status)-1), "unknown status");
}

static rh_status tried(rh_status inner, int *reached) {
  RH_TRY(inner);
  ++*reached;
  return RH_OK;
}

static void last_error(void **state) {
  (void)state;
  assert_int_equal(rh_fail(RH_E_DATA, "row %d: %s", 7, "bad"), RH_E_DATA);
  assert_string_equal(rh_last_error(), "row 7: bad");
  assert_int_equal(rh_fail_prefix(RH_E_IO, "%s: ", "a.csv"), RH_E_IO);
  assert_string_equal(rh_last_error(), "a.csv: row 7: bad");
  (void)rh_fail(RH_E_IO, "%s, twice", rh_last_error()); /* its own text as an argument */
  assert_string_equal(rh_last_error(), "a.csv: row 7: bad, twice");
  (void)rh_fail(RH_E_IO, "key 'a\nb\tc\x7f': \xC3\xA9"); /* one line whatever comes; UTF-8 stays */
  assert_string_equal(rh_last_error(), "key 'a?b?c?': \xC3\xA9");
  int reached = 0;
  assert_int_equal(tried(RH_E_SHAPE, &reached), RH_E_SHAPE);
  assert_int_equal(reached, 0);
  assert_int_equal(tried(RH_OK, &reached), RH_OK);
  assert_int_equal(reached, 1);
}

static void long_errors_are_cut(void **state) {
  (void)state;
  char text[5000];
  memset(text, 'x', sizeof text - 1);
  text[sizeof text - 1] = 0;
  (void)rh_fail(RH_E_IO, "%s", text);
  const size_t n = strlen(rh_last_error());
  assert_in_range(n, 500, 1023);
  (void)rh_fail_prefix(RH_E_IO, "%s", text);
  assert_in_range(strlen(rh_last_error()), 500, 1023);
  (void)rh_fail(RH_E_IO, "short");
  (void)rh_fail_prefix(RH_E_IO, "%.1022s", text);
  assert_int_equal(strlen(rh_last_error()), 1023);
  assert_int_equal(rh_last_error()[1022], 's');
}

static void *fail_elsewhere(void *arg) {
  (void)arg;
  (void)rh_fail(RH_E_IO, "another thread's");
  return NULL;
}

static void last_error_is_per_thread(void **state) {
  (void)state;
  (void)rh_fail(RH_E_IO, "mine");
  pthread_t thread;
  assert_int_equal(pthread_create(&thread, NULL, fail_elsewhere, NULL), 0);
  pthread_join(thread, NULL);
  assert_string_equal(rh_last_error(), "mine");
}

static void blocks(void **state) {
  (void)state;
  for (size_t bytes = 0; bytes < 300; bytes++) {
    unsigned char *block = rh_alloc(bytes);
    assert_non_null(block);
    assert_int_equal((uintptr_t)block % RH_ALIGN, 0);
    memset(block, 0xA5, bytes);
    unsigned char *zero = rh_alloc_zero(bytes, 3);
    assert_non_null(zero);
    assert_int_equal((uintptr_t)zero % RH_ALIGN, 0);
    for (size_t i = 0; i < 3 * bytes; i++) assert_int_equal(zero[i], 0);
    rh_free(zero);
    rh_free(block);
  }
  rh_free(NULL);
}

static void absurd_sizes(void **state) {
  (void)state;
  (void)rh_fail(RH_OK, "-");
  assert_null(rh_alloc(SIZE_MAX));
  assert_non_null(strstr(rh_last_error(), "out of memory"));
  assert_null(rh_alloc(SIZE_MAX - 10));
  assert_null(rh_alloc((size_t)PTRDIFF_MAX));
  assert_null(rh_alloc_zero(SIZE_MAX / 2, 3));
  assert_null(rh_alloc_zero(3, SIZE_MAX / 2));
  void *nothing = rh_alloc_zero(0, 8);
  assert_non_null(nothing);
  rh_free(nothing);
  rh_arena arena = {0};
  assert_null(rh_arena_alloc(&arena, SIZE_MAX - 3));
  assert_null(rh_arena_alloc(&arena, (size_t)PTRDIFF_MAX));
  rh_arena_free(&arena);
}

static void reallocation(void **state) {
  (void)state;
  char *block = rh_realloc(NULL, 0, 10);
  assert_non_null(block);
  memcpy(block, "123456789", 10);
  block = rh_realloc(block, 10, 100000);
  assert_non_null(block);
  assert_string_equal(block, "123456789");
  block = rh_realloc(block, 100000, 4);
  assert_non_null(block);
  assert_memory_equal(block, "1234", 4);
  rh_alloc_set_hook(fail_always, NULL);
  assert_null(rh_realloc(block, 4, 8)); /* the old one stays */
  rh_alloc_set_hook(NULL, NULL);
  assert_memory_equal(block, "1234", 4);
  rh_free(block);
}

static void strings(void **state) {
  (void)state;
  char *copy = rh_strdup("flow");
  assert_string_equal(copy, "flow");
  rh_free(copy);
  copy = rh_strdup("");
  assert_string_equal(copy, "");
  rh_free(copy);
  rh_alloc_set_hook(fail_always, NULL);
  assert_null(rh_strdup("flow"));
  rh_alloc_set_hook(NULL, NULL);
}

static void hook_fails_single_calls(void **state) {
  (void)state;
  for (int at = 0; at < 3; at++) {
    int left = at;
    rh_alloc_set_hook(fail_at, &left);
    for (int i = 0; i < 3; i++) {
      void *block = rh_alloc(8);
      assert_int_equal(block == NULL, i == at);
      rh_free(block);
    }
    rh_alloc_set_hook(NULL, NULL);
  }
}

static void growing(void **state) {
  (void)state;
  int64_t *items = NULL, capacity = 0;
  for (int64_t n = 1; n <= 1000; n++) {
    assert_int_equal(rh_grow((void **)&items, &capacity, n, sizeof *items), RH_OK);
    assert_true(capacity >= n && capacity <= 2 * n + 8);
    items[n - 1] = n;
  }
  for (int64_t n = 1; n <= 1000; n++) assert_int_equal(items[n - 1], n);
  int64_t *const before = items;
  const int64_t room = capacity;
  rh_alloc_set_hook(fail_always, NULL);
  assert_int_equal(rh_grow((void **)&items, &capacity, room, sizeof *items), RH_OK); /* enough room: no allocation */
  assert_int_equal(rh_grow((void **)&items, &capacity, room + 1, sizeof *items), RH_E_MEMORY);
  rh_alloc_set_hook(NULL, NULL);
  assert_int_equal(rh_grow((void **)&items, &capacity, INT64_MAX, sizeof *items), RH_E_MEMORY);
  assert_int_equal(rh_grow((void **)&items, &capacity, INT64_MAX / 8, sizeof *items), RH_E_MEMORY);
  assert_ptr_equal(items, before);
  assert_int_equal(capacity, room);
  rh_free(items);
}

static void arenas(void **state) {
  (void)state;
  enum { N = 400 };
  rh_arena arena = {0};
  unsigned char *block[N];
  for (int i = 0; i < N; i++) {
    const size_t bytes = (size_t)i * 37 % 1000 + (i == 200 ? 100000 : 0);
    block[i] = rh_arena_alloc(&arena, bytes);
    assert_non_null(block[i]);
    assert_int_equal((uintptr_t)block[i] % 16, 0);
    for (size_t j = 0; j < bytes; j++) assert_int_equal(block[i][j], 0);
    memset(block[i], i % 255 + 1, bytes);
  }
  for (int i = 0; i < N; i++) { /* nothing overlaps */
    const size_t bytes = (size_t)i * 37 % 1000 + (i == 200 ? 100000 : 0);
    for (size_t j = 0; j < bytes; j++) assert_int_equal(block[i][j], i % 255 + 1);
  }
  assert_string_equal(rh_arena_strdup(&arena, "name"), "name");
  rh_arena_free(&arena);
  assert_null(arena.chunk);
  rh_arena_free(&arena);
}

static void arena_without_memory(void **state) {
  (void)state;
  rh_arena arena = {0};
  char *kept = rh_arena_strdup(&arena, "kept");
  assert_non_null(kept);
  rh_alloc_set_hook(fail_always, NULL);
  assert_null(rh_arena_alloc(&arena, 1 << 20));
  assert_null(rh_arena_strdup(&(rh_arena){0}, "x"));
  rh_alloc_set_hook(NULL, NULL);
  assert_string_equal(kept, "kept");
  assert_non_null(rh_arena_alloc(&arena, 1 << 20));
  assert_string_equal(kept, "kept");
  rh_arena_free(&arena);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(status_texts),
      cmocka_unit_test(last_error),
      cmocka_unit_test(long_errors_are_cut),
      cmocka_unit_test(last_error_is_per_thread),
      cmocka_unit_test(blocks),
      cmocka_unit_test(absurd_sizes),
      cmocka_unit_test(reallocation),
      cmocka_unit_test(strings),
      cmocka_unit_test(hook_fails_single_calls),
      cmocka_unit_test(growing),
      cmocka_unit_test(arenas),
      cmocka_unit_test(arena_without_memory),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
