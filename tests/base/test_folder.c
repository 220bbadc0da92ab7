/* What stands in a folder: in the order of bytes, without the hidden. */
#define _XOPEN_SOURCE 700 /* mkdtemp */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
/* cmocka wants the headers above */
#include <cmocka.h>

#include "base/folder.h"

static char folder[64];

static int make(void **state) {
  (void)state;
  snprintf(folder, sizeof folder, P_tmpdir "/rheo_folder_XXXXXX");
  return mkdtemp(folder) ? 0 : -1;
}

static int drop(void **state) {
  (void)state;
  char command[96];
  snprintf(command, sizeof command, "rm -rf %s", folder);
  return system(command);
}

static const char *in_folder(const char *name) {
  static char path[128];
  snprintf(path, sizeof path, "%s/%s", folder, name);
  return path;
}

static void names_in_order(void **state) {
  (void)state;
  static const char *const made[] = {"b", "a", "B", "10", "2", "\xC3\xA4", ".hidden", "a b"};
  static const char *const wanted[] = {"10", "2", "B", "a", "a b", "b", "\xC3\xA4"};
  rh_folder f = {0};
  assert_int_equal(rh_folder_list(folder, &f), RH_OK);
  assert_int_equal(f.n, 0);
  rh_folder_free(&f);
  for (size_t i = 0; i < RH_COUNT_OF(made); i++) assert_int_equal(fclose(fopen(in_folder(made[i]), "w")), 0);
  assert_int_equal(rh_folder_list(folder, &f), RH_OK);
  assert_int_equal(f.n, RH_COUNT_OF(wanted));
  for (size_t i = 0; i < RH_COUNT_OF(wanted); i++) assert_string_equal(f.name[i], wanted[i]);
  rh_folder_free(&f);
}

static void kinds_of_paths(void **state) {
  (void)state;
  rh_folder f = {0};
  assert_int_equal(mkfifo(in_folder("pipe"), 0600), 0);
  assert_int_equal(fclose(fopen(in_folder("file"), "w")), 0);
  assert_int_equal(rh_path_is(folder), RH_PATH_FOLDER);
  assert_int_equal(rh_path_is(in_folder("file")), RH_PATH_FILE);
  assert_int_equal(rh_path_is(in_folder("pipe")), RH_PATH_OTHER);
  assert_int_equal(rh_path_is(in_folder("nothing")), RH_PATH_NONE);
  assert_int_equal(rh_folder_list(in_folder("nothing"), &f), RH_E_IO);
  assert_non_null(strstr(rh_last_error(), "/nothing: the folder cannot be read: No such file or directory"));
  assert_int_equal(rh_folder_list(in_folder("file"), &f), RH_E_IO);
  assert_null(f.name);
}

static void joined_paths(void **state) {
  (void)state;
  static const char *const cases[][3] = {{"a", "b", "a/b"}, {"a/", "b", "a/b"}, {"/", "b", "/b"}, {"a/b", "c d", "a/b/c d"}};
  rh_arena arena = {0};
  for (size_t i = 0; i < RH_COUNT_OF(cases); i++) assert_string_equal(rh_path_join(&arena, cases[i][0], cases[i][1]), cases[i][2]);
  rh_arena_free(&arena);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(names_in_order),
      cmocka_unit_test(kinds_of_paths),
      cmocka_unit_test(joined_paths),
  };
  return cmocka_run_group_tests(tests, make, drop);
}
