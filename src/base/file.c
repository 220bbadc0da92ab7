#define _DEFAULT_SOURCE /* realpath, flock */
#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/memory.h"

enum { BUFFER_BYTES = 1 << 16, READ_BYTES = 1 << 16, ERROR_BYTES = 1024, NAME_TRIES = 100 };

/* "PATH: WHAT: REASON", from an errno value. */
static rh_status fail_errno(const char *path, const char *what, int code) {
  char reason[256] = "unknown error";
  if (strerror_r(code, reason, sizeof reason) != 0) snprintf(reason, sizeof reason, "error %d", code);
  const char *own = strcmp(what, "cannot be read") == 0 ? "standard input" : "standard output";
  const char *name = strcmp(path, "-") == 0 ? own : path;
  return rh_fail(RH_E_IO, "%s: %s: %s", name, what, reason);
}

/* ---- reading ---- */

static const char mapped_tag[1]; /* an owner that says "memory-mapped" */

static rh_status read_whole(int fd, const char *path, rh_bytes *bytes) {
  void *block = NULL;
  int64_t room = 0, used = 0;
  for (;;) {
    if (rh_grow(&block, &room, used + READ_BYTES, 1) != RH_OK) {
      rh_free(block);
      return rh_fail_prefix(RH_E_MEMORY, "%s: ", path);
    }
    const ssize_t got = read(fd, (char *)block + used, (size_t)(room - used));
    if (got == 0) break;
    if (got > 0) used += got;
    if (got < 0 && errno != EINTR) {
      const int code = errno;
      rh_free(block);
      return fail_errno(path, "cannot be read", code);
    }
  }
  *bytes = (rh_bytes){block, (size_t)used, block};
  return RH_OK;
}

static rh_status read_or_map(int fd, const char *path, rh_bytes *bytes) {
  struct stat info;
  if (fstat(fd, &info) != 0) return fail_errno(path, "cannot be examined", errno);
  if (S_ISDIR(info.st_mode)) return rh_fail(RH_E_IO, "%s: is a directory; name a file in it", path);
  /* A redirected standard input may be partly consumed, and files of /proc say 0 bytes: those are read. */
  const bool from_start = lseek(fd, 0, SEEK_CUR) == 0;
  if (!S_ISREG(info.st_mode) || info.st_size == 0 || !from_start) return read_whole(fd, path, bytes);
  if ((uint64_t)info.st_size > (uint64_t)PTRDIFF_MAX) return rh_fail(RH_E_IO, "%s: too large to be mapped on this machine", path);
  void *map = mmap(NULL, (size_t)info.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
  if (map == MAP_FAILED) return read_whole(fd, path, bytes);
  *bytes = (rh_bytes){map, (size_t)info.st_size, (void *)(uintptr_t)mapped_tag};
  return RH_OK;
}

static rh_status check_name(const char *path) {
  return *path ? RH_OK : rh_fail(RH_E_ARGUMENT, "'' is no file name: give one, or - for standard input or output");
}

rh_status rh_bytes_open(const char *path, rh_bytes *bytes) {
  RH_TRY(check_name(path));
  const bool standard = strcmp(path, "-") == 0;
  const int fd = standard ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return fail_errno(path, "cannot be opened", errno);
  const rh_status status = read_or_map(fd, path, bytes);
  if (!standard) close(fd); /* only read: nothing to lose */
  return status;
}

void rh_bytes_close(rh_bytes *bytes) {
  if (bytes->owner == (const void *)mapped_tag) {
    munmap((void *)(uintptr_t)bytes->data, bytes->size);
  } else {
    rh_free(bytes->owner);
  }
  *bytes = (rh_bytes){0};
}

/* ---- writing ---- */

struct rh_writer {
  int fd;
  bool standard; /* standard output: not ours to close */
  bool in_place; /* no regular file: nothing beside it, no rename */
  rh_status status;
  size_t used;
  char *target, *beside; /* beside: NULL when in place */
  char error[ERROR_BYTES];
  char buffer[BUFFER_BYTES];
};

/* Keep the first failure: its text comes back with every later call. */
static rh_status stick(rh_writer *writer, rh_status status) {
  if (writer->status == RH_OK && status != RH_OK) {
    writer->status = status;
    snprintf(writer->error, sizeof writer->error, "%s", rh_last_error());
  }
  return status;
}

static rh_status stuck(const rh_writer *writer) {
  return writer->status == RH_OK ? RH_OK : rh_fail(writer->status, "%s", writer->error);
}

/* Whether the lock of an open file could be had, and the file still has that name. */
static bool owned(int fd, const char *name) {
  struct stat opened, named;
  if (flock(fd, LOCK_EX | LOCK_NB) != 0) return false;
  return fstat(fd, &opened) == 0 && lstat(name, &named) == 0 && opened.st_dev == named.st_dev && opened.st_ino == named.st_ino;
}

/* Removes what a killed writer left; a living one holds the lock of its file. */
static void remove_stale(const char *name) {
  const int fd = open(name, O_WRONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
  if (fd < 0) return;
  struct stat info;
  if (owned(fd, name) && fstat(fd, &info) == 0 && S_ISREG(info.st_mode)) unlink(name);
  close(fd);
}

enum { SUFFIX_BYTES = sizeof ".rheo-part99" };

static void name_beside(char *name, size_t bytes, const char *target, int attempt) {
  if (attempt == 0) {
    snprintf(name, bytes, "%s.rheo-part", target);
  } else {
    snprintf(name, bytes, "%s.rheo-part%d", target, attempt);
  }
}

/* A new file under the first name that no living writer has; the umask decides its mode (mkstemp would make it private). */
static rh_status create_beside(rh_writer *writer) {
  const size_t bytes = strlen(writer->target) + SUFFIX_BYTES;
  writer->beside = rh_alloc(bytes);
  if (!writer->beside) return RH_E_MEMORY;
  errno = 0;
  for (int attempt = 0; attempt < NAME_TRIES; attempt++) {
    name_beside(writer->beside, bytes, writer->target, attempt);
    remove_stale(writer->beside);
    writer->fd = open(writer->beside, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (writer->fd < 0 && errno != EEXIST) break;
    if (writer->fd < 0) continue;
    if (owned(writer->fd, writer->beside)) return RH_OK;
    close(writer->fd); /* another writer took it for a dead one's, between the two calls */
    writer->fd = -1;
    errno = EEXIST;
  }
  const int code = errno;
  rh_free(writer->beside); /* not ours to remove */
  writer->beside = NULL;
  return fail_errno(writer->target, "cannot be written", code);
}

static rh_status open_target(rh_writer *writer, const char *path) {
  struct stat info;
  RH_TRY(check_name(path));
  writer->standard = strcmp(path, "-") == 0;
  const bool exists = !writer->standard && stat(path, &info) == 0;
  if (exists && S_ISDIR(info.st_mode)) return rh_fail(RH_E_IO, "%s: is a directory; name a file in it", path);
  writer->in_place = writer->standard || (exists && !S_ISREG(info.st_mode));
  char real[PATH_MAX]; /* a link stays a link: what it points to is replaced */
  writer->target = rh_strdup(exists && !writer->in_place && realpath(path, real) ? real : path);
  if (!writer->target) return RH_E_MEMORY;
  if (writer->in_place) {
    writer->fd = writer->standard ? STDOUT_FILENO : open(path, O_WRONLY | O_CLOEXEC | O_NOCTTY);
    return writer->fd < 0 ? fail_errno(path, "cannot be written", errno) : RH_OK;
  }
  if (exists && access(path, W_OK) != 0) return fail_errno(path, "cannot be written", errno);
  RH_TRY(create_beside(writer));
  if (exists && fchmod(writer->fd, info.st_mode & 07777) != 0) return fail_errno(path, "its mode cannot be kept", errno);
  return RH_OK;
}

/* Everything but the renamed file goes away. */
static void drop(rh_writer *writer) {
  if (writer->fd >= 0 && !writer->standard) close(writer->fd);
  if (writer->beside) unlink(writer->beside);
  rh_free(writer->beside);
  rh_free(writer->target);
  rh_free(writer);
}

rh_status rh_writer_open(const char *path, rh_writer **out) {
  rh_writer *writer = rh_alloc(sizeof *writer);
  if (!writer) return RH_E_MEMORY;
  memset(writer, 0, offsetof(rh_writer, buffer));
  writer->fd = -1;
  const rh_status status = open_target(writer, path);
  if (status != RH_OK) {
    drop(writer);
    return status;
  }
  *out = writer;
  return RH_OK;
}

static rh_status write_all(rh_writer *writer, const char *bytes, size_t n) {
  while (n > 0) {
    const ssize_t done = write(writer->fd, bytes, n);
    if (done < 0 && errno == EINTR) continue;
    if (done < 0) return stick(writer, fail_errno(writer->target, "cannot be written", errno));
    bytes += done;
    n -= (size_t)done;
  }
  return RH_OK;
}

static rh_status flush(rh_writer *writer) {
  const size_t n = writer->used;
  writer->used = 0;
  return write_all(writer, writer->buffer, n);
}

rh_status rh_writer_put(rh_writer *writer, const void *bytes, size_t n) {
  RH_TRY(stuck(writer));
  if (n > BUFFER_BYTES - writer->used) RH_TRY(flush(writer));
  if (n >= BUFFER_BYTES) return write_all(writer, bytes, n);
  if (n > 0) memcpy(writer->buffer + writer->used, bytes, n);
  writer->used += n;
  return RH_OK;
}

rh_status rh_writer_printf(rh_writer *writer, const char *format, ...) {
  RH_TRY(stuck(writer));
  va_list args, again;
  va_start(args, format);
  va_copy(again, args);
  const size_t room = BUFFER_BYTES - writer->used;
  const int n = vsnprintf(writer->buffer + writer->used, room, format, args);
  rh_status status = RH_OK;
  if (n < 0) {
    status = stick(writer, rh_fail(RH_E_ARGUMENT, "%s: a value could not be formatted", writer->target));
  } else if ((size_t)n < room) {
    writer->used += (size_t)n;
  } else { /* did not fit: format again where it does */
    char *text = rh_alloc((size_t)n + 1);
    if (text) vsnprintf(text, (size_t)n + 1, format, again);
    status = text ? rh_writer_put(writer, text, (size_t)n) : stick(writer, RH_E_MEMORY);
    rh_free(text);
  }
  va_end(again);
  va_end(args);
  return status;
}

/* The new name must survive a power cut too. Some file systems cannot sync a directory: no failure. */
static void sync_folder(const char *path) {
  char folder[PATH_MAX];
  if (strlen(path) >= sizeof folder) return;
  snprintf(folder, sizeof folder, "%s", path);
  const int fd = open(dirname(folder), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return;
  (void)!fsync(fd);
  close(fd);
}

static rh_status finish(rh_writer *writer) {
  RH_TRY(stuck(writer));
  RH_TRY(flush(writer));
  if (writer->standard) return RH_OK;
  if (!writer->in_place && fsync(writer->fd) != 0 && errno != EINVAL) return fail_errno(writer->target, "cannot be written", errno);
  const int fd = writer->fd;
  writer->fd = -1;
  if (close(fd) != 0 && errno != EINTR) return fail_errno(writer->target, "cannot be written", errno);
  if (writer->in_place) return RH_OK;
  if (rename(writer->beside, writer->target) != 0) return fail_errno(writer->target, "cannot be replaced", errno);
  rh_free(writer->beside);
  writer->beside = NULL; /* nothing to remove any more */
  sync_folder(writer->target);
  return RH_OK;
}

rh_status rh_writer_commit(rh_writer *writer) {
  const rh_status status = finish(writer);
  drop(writer);
  return status;
}

void rh_writer_discard(rh_writer *writer) {
  if (writer) drop(writer);
}

bool rh_file_exists(const char *path) {
  struct stat info;
  return stat(path, &info) == 0;
}

static bool look_at(const char *path, struct stat *info) {
  const int found = strcmp(path, "-") == 0 ? fstat(STDIN_FILENO, info) : stat(path, info);
  return found == 0 && S_ISREG(info->st_mode);
}

bool rh_file_same(const char *a, const char *b) {
  struct stat one, other;
  return look_at(a, &one) && look_at(b, &other) && one.st_dev == other.st_dev && one.st_ino == other.st_ino;
}

rh_status rh_file_remove(const char *path) {
  char beside[PATH_MAX + SUFFIX_BYTES];
  if (strlen(path) < PATH_MAX) {
    name_beside(beside, sizeof beside, path, 0);
    remove_stale(beside);
  }
  return unlink(path) == 0 || errno == ENOENT ? RH_OK : fail_errno(path, "cannot be removed", errno);
}
