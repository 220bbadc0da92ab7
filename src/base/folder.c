#include "base/folder.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

rh_path_kind rh_path_is(const char *path) {
  struct stat info;
  if (stat(path, &info) != 0) return RH_PATH_NONE;
  return S_ISDIR(info.st_mode) ? RH_PATH_FOLDER : S_ISREG(info.st_mode) ? RH_PATH_FILE : RH_PATH_OTHER;
}

static int by_bytes(const void *a, const void *b) {
  return strcmp(*(char *const *)a, *(char *const *)b); /* C's strcmp compares unsigned bytes */
}

static rh_status fail_errno(const char *path, int code) {
  char reason[256] = "unknown error";
  (void)!strerror_r(code, reason, sizeof reason);
  return rh_fail(RH_E_IO, "%s: the folder cannot be read: %s", path, reason);
}

static rh_status add(rh_folder *f, const char *name) {
  if (name[0] == '.') return RH_OK;
  RH_TRY(rh_grow((void **)&f->name, &f->room, f->n + 1, sizeof *f->name));
  f->name[f->n] = rh_arena_strdup(&f->arena, name);
  return f->name[f->n++] ? RH_OK : RH_E_MEMORY;
}

rh_status rh_folder_list(const char *path, rh_folder *folder) {
  rh_folder f = {0};
  DIR *open = opendir(path);
  if (!open) return fail_errno(path, errno);
  rh_status status = RH_OK;
  while (status == RH_OK) {
    errno = 0;
    const struct dirent *entry = readdir(open);
    if (!entry && errno) status = fail_errno(path, errno);
    if (!entry) break;
    status = add(&f, entry->d_name);
  }
  closedir(open);
  if (status != RH_OK) {
    rh_folder_free(&f);
    return status;
  }
  if (f.n > 0) qsort(f.name, (size_t)f.n, sizeof *f.name, by_bytes);
  *folder = f;
  return RH_OK;
}

void rh_folder_free(rh_folder *folder) {
  rh_free(folder->name);
  rh_arena_free(&folder->arena);
  *folder = (rh_folder){0};
}

char *rh_path_join(rh_arena *arena, const char *path, const char *name) {
  const size_t n = strlen(path), m = strlen(name);
  char *text = rh_arena_alloc(arena, n + m + 2);
  if (!text) return NULL;
  memcpy(text, path, n);
  const size_t slash = n > 0 && path[n - 1] == '/' ? 0 : 1;
  if (slash) text[n] = '/';
  memcpy(text + n + slash, name, m + 1);
  return text;
}
