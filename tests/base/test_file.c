#define _XOPEN_SOURCE 700 /* mkdtemp, S_ISVTX */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
// cmocka last: it wants the headers above
#include <cmocka.h>

#include "base/file.h"
#include "base/memory.h"

static char folder[64];

static const char *in_folder(const char *name) {
  static char path[4][256];
  static int at;
  char *p = path[at++ % 4];
  snprintf(p, sizeof path[0], "%s/%s", folder, name);
  return p;
}

static int make_folder(void **state) {
  (void)state;
  snprintf(folder, sizeof folder, P_tmpdir "/rheo_file_XXXXXX");
  return mkdtemp(folder) ? 0 : -1;
}

static int remove_folder(void **state) {
  (void)state;
  char command[128];
  snprintf(command, sizeof command, "rm -rf %s", folder);
  return system(command);
}

static int files_in_folder(void) {
  char command[128];
  snprintf(command, sizeof command, "ls -A %s | wc -l", folder);
  FILE *pipe = popen(command, "r");
  int n = -1;
  assert_non_null(pipe);
  assert_int_equal(fscanf(pipe, "%d", &n), 1);
  pclose(pipe);
  return n;
}

static void spit(const char *path, const char *text, size_t n) {
  FILE *file = fopen(path, "wb");
  assert_non_null(file);
  assert_int_equal(fwrite(text, 1, n, file), n);
  fclose(file);
}

static void assert_holds(const char *path, const char *text) {
  rh_bytes bytes = {0};
  assert_int_equal(rh_bytes_open(path, &bytes), RH_OK);
  assert_int_equal(bytes.size, strlen(text));
  assert_memory_equal(bytes.data, text, bytes.size);
  rh_bytes_close(&bytes);
}

static void reads_files_of_every_size(void **state) {
  (void)state;
  const size_t sizes[] = {0, 1, 4095, 4096, 4097, 70000, 1 << 20};
  for (size_t s = 0; s < RH_COUNT_OF(sizes); s++) {
    char *text = malloc(sizes[s] + 1);
    for (size_t i = 0; i < sizes[s]; i++) text[i] = (char)(i * 31 % 251);
    spit(in_folder("size"), text, sizes[s]);
    rh_bytes bytes = {0};
    assert_int_equal(rh_bytes_open(in_folder("size"), &bytes), RH_OK);
    assert_int_equal(bytes.size, sizes[s]);
    assert_non_null(bytes.data);
    assert_memory_equal(bytes.data, text, sizes[s]);
    rh_bytes_close(&bytes);
    assert_null(bytes.data);
    rh_bytes_close(&bytes); /* twice, and {0}, are fine */
    free(text);
  }
}

static void reads_a_pipe_and_standard_input(void **state) {
  (void)state;
  const char *path = in_folder("fifo");
  assert_int_equal(mkfifo(path, 0600), 0);
  const pid_t child = fork();
  if (child == 0) {
    const int fd = open(path, O_WRONLY);
    for (int i = 0; i < 50000; i++) {
      if (write(fd, "0123456789", 10) != 10) _exit(1);
    }
    _exit(0);
  }
  const int saved = dup(STDIN_FILENO), fd = open(path, O_RDONLY);
  dup2(fd, STDIN_FILENO);
  close(fd);
  rh_bytes bytes = {0};
  assert_int_equal(rh_bytes_open("-", &bytes), RH_OK);
  assert_int_equal(bytes.size, 500000);
  assert_memory_equal(bytes.data + 499990, "0123456789", 10);
  rh_bytes_close(&bytes);
  int how;
  waitpid(child, &how, 0);
  assert_int_equal(how, 0);
  /* a redirected file, partly consumed: the rest */
  spit(in_folder("rest"), "headbody", 8);
  const int file = open(in_folder("rest"), O_RDONLY);
  dup2(file, STDIN_FILENO);
  close(file);
  assert_int_equal(lseek(STDIN_FILENO, 4, SEEK_SET), 4);
  assert_int_equal(rh_bytes_open("-", &bytes), RH_OK);
  assert_int_equal(bytes.size, 4);
  assert_memory_equal(bytes.data, "body", 4);
  rh_bytes_close(&bytes);
  dup2(saved, STDIN_FILENO);
  close(saved);
}

static void names_what_cannot_be_read(void **state) {
  (void)state;
  rh_bytes bytes = {.size = 77};
  char text[512];
  assert_int_equal(rh_bytes_open(in_folder("missing"), &bytes), RH_E_IO);
  snprintf(text, sizeof text, "%s: cannot be opened: No such file or directory", in_folder("missing"));
  assert_string_equal(rh_last_error(), text);
  assert_int_equal(rh_bytes_open(folder, &bytes), RH_E_IO);
  snprintf(text, sizeof text, "%s: is a directory; name a file in it", folder);
  assert_string_equal(rh_last_error(), text);
  assert_int_equal(bytes.size, 77); /* untouched */
}

static void target_stays_old_until_commit(void **state) {
  (void)state;
  const char *path = in_folder("out");
  spit(path, "old", 3);
  chmod(path, 0640);
  rh_writer *writer = NULL;
  assert_int_equal(rh_writer_open(path, &writer), RH_OK);
  assert_int_equal(rh_writer_put(writer, "new", 3), RH_OK);
  assert_int_equal(rh_writer_printf(writer, " %d %s", 42, "text"), RH_OK);
  assert_holds(path, "old");
  assert_int_equal(rh_writer_commit(writer), RH_OK);
  assert_holds(path, "new 42 text");
  struct stat info;
  assert_int_equal(stat(path, &info), 0);
  assert_int_equal(info.st_mode & 0777, 0640); /* a replaced file keeps its mode */
  const int before = files_in_folder();
  assert_int_equal(rh_writer_open(path, &writer), RH_OK);
  assert_int_equal(files_in_folder(), before + 1);
  assert_int_equal(rh_writer_put(writer, "never", 5), RH_OK);
  rh_writer_discard(writer);
  rh_writer_discard(NULL);
  assert_int_equal(files_in_folder(), before);
  assert_holds(path, "new 42 text");
}

static void fresh_file_follows_the_umask(void **state) {
  (void)state;
  const mode_t old = umask(027);
  rh_writer *writer = NULL;
  assert_int_equal(rh_writer_open(in_folder("fresh"), &writer), RH_OK);
  assert_int_equal(rh_writer_commit(writer), RH_OK);
  umask(old);
  struct stat info;
  assert_int_equal(stat(in_folder("fresh"), &info), 0);
  assert_int_equal(info.st_mode & 0777, 0640);
  assert_int_equal(info.st_size, 0);
}

static void pieces_of_every_size_arrive_in_order(void **state) {
  (void)state;
  const char *path = in_folder("pieces");
  rh_writer *writer = NULL;
  assert_int_equal(rh_writer_open(path, &writer), RH_OK);
  char *all = malloc(1 << 21), *fill = malloc(300001);
  size_t total = 0;
  const size_t sizes[] = {1, 65535, 1, 65536, 65537, 0, 300000, 7, 131072, 65530, 6, 6};
  for (size_t s = 0; s < RH_COUNT_OF(sizes); s++) {
    for (size_t i = 0; i < sizes[s]; i++) fill[i] = (char)('a' + (i + s) % 26);
    fill[sizes[s]] = 0;
    memcpy(all + total, fill, sizes[s]);
    total += sizes[s];
    if (s % 2) {
      assert_int_equal(rh_writer_printf(writer, "%s", fill), RH_OK); /* longer than the buffer too */
    } else {
      assert_int_equal(rh_writer_put(writer, fill, sizes[s]), RH_OK);
    }
  }
  assert_int_equal(rh_writer_commit(writer), RH_OK);
  all[total] = 0;
  assert_holds(path, all);
  free(all);
  free(fill);
}

static void a_link_stays_a_link(void **state) {
  (void)state;
  spit(in_folder("pointed"), "old", 3);
  assert_int_equal(symlink("pointed", in_folder("link")), 0);
  rh_writer *writer = NULL;
  assert_int_equal(rh_writer_open(in_folder("link"), &writer), RH_OK);
  assert_int_equal(rh_writer_put(writer, "new", 3), RH_OK);
  assert_int_equal(rh_writer_commit(writer), RH_OK);
  struct stat info;
  assert_int_equal(lstat(in_folder("link"), &info), 0);
  assert_true(S_ISLNK(info.st_mode));
  assert_holds(in_folder("pointed"), "new");
}

static void devices_and_pipes_are_written_in_place(void **state) {
  (void)state;
  rh_writer *writer = NULL;
  assert_int_equal(rh_writer_open("/dev/null", &writer), RH_OK);
  assert_int_equal(rh_writer_printf(writer, "x"), RH_OK);
  assert_int_equal(rh_writer_commit(writer), RH_OK);
  struct stat info;
  assert_int_equal(stat("/dev/null", &info), 0);
  assert_true(S_ISCHR(info.st_mode));
  /* standard output stays open and is written at commit */
  const int saved = dup(STDOUT_FILENO), fd = open(in_folder("stdout"), O_CREAT | O_RDWR, 0600);
  fflush(stdout);
  dup2(fd, STDOUT_FILENO);
  const rh_status opened = rh_writer_open("-", &writer);
  const rh_status put = rh_writer_put(writer, "piped", 5), done = rh_writer_commit(writer);
  const bool still_open = fcntl(STDOUT_FILENO, F_GETFD) >= 0;
  dup2(saved, STDOUT_FILENO);
  close(saved);
  close(fd);
  assert_int_equal(opened | put | done, RH_OK);
  assert_true(still_open);
  assert_holds(in_folder("stdout"), "piped");
}

static void full_output_is_an_error_that_sticks(void **state) {
  (void)state;
  rh_writer *writer = NULL;
  assert_int_equal(rh_writer_open("/dev/full", &writer), RH_OK);
  char block[1000] = {0};
  rh_status status = RH_OK;
  for (int i = 0; i < 200 && status == RH_OK; i++) status = rh_writer_put(writer, block, sizeof block);
  assert_int_equal(status, RH_E_IO);
  assert_string_equal(rh_last_error(), "/dev/full: cannot be written: No space left on device");
  (void)rh_fail(RH_E_DATA, "something else");
  assert_int_equal(rh_writer_printf(writer, "more"), RH_E_IO);
  assert_string_equal(rh_last_error(), "/dev/full: cannot be written: No space left on device");
  (void)rh_fail(RH_E_DATA, "something else");
  assert_int_equal(rh_writer_commit(writer), RH_E_IO);
  assert_string_equal(rh_last_error(), "/dev/full: cannot be written: No space left on device");
  /* little enough to fit the buffer: seen at commit */
  assert_int_equal(rh_writer_open("/dev/full", &writer), RH_OK);
  assert_int_equal(rh_writer_put(writer, "x", 1), RH_OK);
  assert_int_equal(rh_writer_commit(writer), RH_E_IO);
}

static void unwritable_places_are_named(void **state) {
  (void)state;
  rh_writer *writer = NULL;
  char text[512];
  assert_int_equal(rh_writer_open(in_folder("no/such/place"), &writer), RH_E_IO);
  snprintf(text, sizeof text, "%s: cannot be written: No such file or directory", in_folder("no/such/place"));
  assert_string_equal(rh_last_error(), text);
  assert_int_equal(rh_writer_open(folder, &writer), RH_E_IO);
  assert_null(writer);
  if (geteuid() != 0) { /* root may write anything */
    spit(in_folder("readonly"), "old", 3);
    chmod(in_folder("readonly"), 0444);
    assert_int_equal(rh_writer_open(in_folder("readonly"), &writer), RH_E_IO);
  }
}

static void killed_writer_leaves_the_old_file(void **state) {
  (void)state;
  const char *path = in_folder("killed");
  spit(path, "old", 3);
  const pid_t child = fork();
  if (child == 0) {
    rh_writer *writer = NULL;
    char block[100000] = {0};
    if (rh_writer_open(path, &writer) == RH_OK && rh_writer_put(writer, block, sizeof block) == RH_OK) raise(9);
    _exit(1);
  }
  int how;
  waitpid(child, &how, 0);
  assert_true(WIFSIGNALED(how));
  assert_holds(path, "old");
  assert_true(rh_file_exists(in_folder("killed.rheo-part")));
  rh_writer *writer = NULL;
  assert_int_equal(rh_writer_open(path, &writer), RH_OK);
  rh_writer_put(writer, "new", 3);
  assert_int_equal(rh_writer_commit(writer), RH_OK);
  assert_holds(path, "new");
  assert_false(rh_file_exists(in_folder("killed.rheo-part")));
}

static void two_writers_of_one_target_keep_apart(void **state) {
  (void)state;
  const char *path = in_folder("both");
  rh_writer *one = NULL, *two = NULL;
  assert_int_equal(rh_writer_open(path, &one), RH_OK);
  assert_int_equal(rh_writer_open(path, &two), RH_OK);
  assert_int_equal(rh_file_remove(path), RH_OK); /* the files of living writers stay */
  rh_writer_put(one, "one", 3);
  rh_writer_put(two, "two", 3);
  assert_int_equal(rh_writer_commit(one), RH_OK);
  assert_holds(path, "one");
  assert_int_equal(rh_writer_commit(two), RH_OK);
  assert_holds(path, "two");
  assert_int_equal(rh_file_remove(path), RH_OK);
  assert_false(rh_file_exists(in_folder("both.rheo-part1")));
}

static void existence_and_removal(void **state) {
  (void)state;
  spit(in_folder("here"), "", 0);
  assert_true(rh_file_exists(in_folder("here")));
  assert_int_equal(rh_file_remove(in_folder("here")), RH_OK);
  assert_false(rh_file_exists(in_folder("here")));
  assert_int_equal(rh_file_remove(in_folder("here")), RH_OK); /* missing is fine */
  assert_int_equal(rh_file_remove(folder), RH_E_IO);
}

static int fail_at(void *state) {
  return (*(int *)state)-- == 0;
}

static void every_allocation_may_fail(void **state) {
  (void)state;
  const char *path = in_folder("starved");
  spit(path, "old", 3);
  const int before = files_in_folder();
  char big[70001];
  memset(big, 'x', sizeof big);
  big[70000] = 0;
  rh_status status = RH_E_MEMORY;
  for (int n = 0; status != RH_OK; n++) {
    assert_true(n < 20);
    int left = n;
    rh_writer *writer = NULL;
    rh_alloc_set_hook(fail_at, &left);
    status = rh_writer_open(path, &writer);
    if (status == RH_OK) {
      (void)rh_writer_printf(writer, "%s", big);
      status = rh_writer_commit(writer);
    } else {
      assert_null(writer);
    }
    rh_alloc_set_hook(NULL, NULL);
    assert_int_equal(files_in_folder(), before);
    if (status != RH_OK) {
      assert_int_equal(status, RH_E_MEMORY);
      assert_holds(path, "old");
    }
  }
  assert_holds(path, big);
  int left = 0;
  rh_bytes bytes = {.size = 77};
  rh_alloc_set_hook(fail_at, &left);
  status = rh_bytes_open("/proc/self/status", &bytes);
  rh_alloc_set_hook(NULL, NULL);
  assert_int_equal(status, RH_E_MEMORY);
  assert_int_equal(bytes.size, 77);
}

static void one_file_under_two_names(void **state) {
  (void)state;
  char file[256], linked[256], pointing[256], other[256];
  snprintf(file, sizeof file, "%s/file", folder);
  snprintf(linked, sizeof linked, "%s/linked", folder);
  snprintf(pointing, sizeof pointing, "%s/./pointing", folder);
  snprintf(other, sizeof other, "%s/other", folder);
  spit(file, "x", 1);
  spit(other, "x", 1);
  assert_int_equal(link(file, linked), 0);
  assert_int_equal(symlink("file", pointing), 0);
  assert_true(rh_file_same(file, file));
  assert_true(rh_file_same(file, linked));
  assert_true(rh_file_same(pointing, linked));
  assert_false(rh_file_same(file, other));
  assert_false(rh_file_same(file, in_folder("missing")));
  assert_false(rh_file_same("/dev/null", "/dev/null"));
  assert_false(rh_file_same("", ""));
  unlink(file);
  unlink(linked);
  unlink(pointing);
  unlink(other);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(reads_files_of_every_size),
      cmocka_unit_test(reads_a_pipe_and_standard_input),
      cmocka_unit_test(names_what_cannot_be_read),
      cmocka_unit_test(target_stays_old_until_commit),
      cmocka_unit_test(fresh_file_follows_the_umask),
      cmocka_unit_test(pieces_of_every_size_arrive_in_order),
      cmocka_unit_test(a_link_stays_a_link),
      cmocka_unit_test(devices_and_pipes_are_written_in_place),
      cmocka_unit_test(full_output_is_an_error_that_sticks),
      cmocka_unit_test(unwritable_places_are_named),
      cmocka_unit_test(killed_writer_leaves_the_old_file),
      cmocka_unit_test(two_writers_of_one_target_keep_apart),
      cmocka_unit_test(existence_and_removal),
      cmocka_unit_test(every_allocation_may_fail),
      cmocka_unit_test(one_file_under_two_names),
  };
  return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
