/* The log of a fit. Whatever it names stays as it is until the fit has read its inputs and begins. */
#define _DEFAULT_SOURCE /* ftruncate */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli.h"

static bool is_standard(const char *path) {
  return strcmp(path, "-") == 0;
}

/* Of an input FILE.npz:NAME the file. */
static bool look_at(const char *path, struct stat *info) {
  if (is_standard(path)) return fstat(STDIN_FILENO, info) == 0;
  if (stat(path, info) == 0) return true;
  const char *colon = strrchr(path, ':');
  char *file = colon ? strndup(path, (size_t)(colon - path)) : NULL;
  const bool found = file && stat(file, info) == 0;
  free(file);
  return found;
}

/* The log is open, so it exists: under another name, by a link, or where the model will be. */
static bool same(const struct stat *log, const char *path) {
  struct stat info;
  return path && S_ISREG(log->st_mode) && look_at(path, &info) && info.st_dev == log->st_dev && info.st_ino == log->st_ino;
}

static int refuse_taken(const fit_log *log, const cli_args *args) {
  const char *output = arg_text(args, "output", "-"), *model = is_standard(output) ? NULL : output;
  const struct {
    const char *path, *what;
  } taken[] = {{args->operand[0], "TRAIN"},
               {arg_text(args, "val", NULL), "--val"},
               {arg_text(args, "test", NULL), "--test"},
               {arg_text(args, "spec", NULL), "--spec"},
               {model, "-o"}};
  struct stat info;
  if (fstat(log->fd, &info) != 0) return complain(EXIT_FAILED, "%s: cannot write the log: %s", log->path, strerror(errno));
  for (size_t i = 0; i < sizeof taken / sizeof *taken; i++) {
    if (same(&info, taken[i].path))
      return complain(EXIT_USAGE, "fit: --log %s is also %s: give the log another name", log->path, taken[i].what);
  }
  char *checkpoint = model ? malloc(strlen(model) + sizeof ".ckpt") : NULL;
  if (!checkpoint) return EXIT_DONE;
  strcpy(checkpoint, model);
  strcat(checkpoint, ".ckpt");
  const bool clash = same(&info, checkpoint);
  free(checkpoint);
  return clash ? complain(EXIT_USAGE, "fit: --log %s is also the checkpoint of -o: give the log another name", log->path) : EXIT_DONE;
}

int fit_log_open(fit_log *log, const cli_args *args) {
  *log = (fit_log){.path = arg_text(args, "log", NULL), .fd = -1, .append = arg_flag(args, "resume")};
  if (!log->path) return EXIT_DONE;
  if (is_standard(log->path)) return complain(EXIT_USAGE, "fit: --log -: standard output has the results: give --log a file");
  const int flags = O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY;
  log->fd = open(log->path, flags | O_EXCL, 0666);
  log->made = log->fd >= 0;
  if (!log->made) log->fd = open(log->path, flags, 0666);
  if (log->fd < 0) return complain(EXIT_FAILED, "%s: cannot write the log: %s; give another --log", log->path, strerror(errno));
  const int code = refuse_taken(log, args);
  if (code) fit_log_close(log);
  return code;
}

static bool write_all(int fd, const char *bytes, size_t n) {
  while (n > 0) {
    const ssize_t done = write(fd, bytes, n);
    if (done < 0 && errno == EINTR) continue;
    if (done < 0) return false;
    bytes += done;
    n -= (size_t)done;
  }
  return true;
}

/* What is no regular file cannot be made empty, and need not be. */
static void begin(fit_log *log) {
  struct stat info;
  log->begun = true;
  if (!log->append && fstat(log->fd, &info) == 0 && S_ISREG(info.st_mode) && ftruncate(log->fd, 0) != 0) log->failed = true;
}

void fit_log_put(fit_log *log, const char *line) {
  if (log->fd < 0 || log->failed || !line) return;
  if (!log->begun) begin(log);
  if (!write_all(log->fd, line, strlen(line)) || !write_all(log->fd, "\n", 1)) log->failed = true;
}

void fit_log_close(fit_log *log) {
  if (log->fd < 0) return;
  if (close(log->fd) != 0 && errno != EINTR) log->failed = true;
  if (log->made && !log->begun) unlink(log->path);
  log->fd = -1;
}
