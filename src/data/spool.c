#define _XOPEN_SOURCE 700 /* mkstemp */
#include "data/spool.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/memory.h"

void rh_spool_begin(rh_spool *spool, int64_t limit, const char *folder) {
  *spool = (rh_spool){.limit = limit < RH_SPOOL_BUFFER ? RH_SPOOL_BUFFER : limit, .folder = folder, .fd = -1};
}

static rh_status fail_errno(const rh_spool *spool, const char *what) {
  char reason[256] = "unknown error";
  const int code = errno;
  if (strerror_r(code, reason, sizeof reason) != 0) snprintf(reason, sizeof reason, "error %d", code);
  return rh_fail(RH_E_IO, "%s: a temporary file for data beyond %lld MiB %s: %s; name another folder, or raise the memory limit",
                 spool->folder, (long long)(spool->limit >> 20), what, reason);
}

static rh_status write_waiting(rh_spool *spool) {
  const char *p = spool->block;
  while (spool->waiting > 0) {
    const ssize_t done = write(spool->fd, p, (size_t)spool->waiting);
    if (done < 0 && errno == EINTR) continue;
    if (done < 0) return fail_errno(spool, "cannot be written");
    p += done;
    spool->waiting -= done;
  }
  return RH_OK;
}

/* From memory to a file: the block becomes the write buffer. */
static rh_status go_to_disk(rh_spool *spool) {
  char path[PATH_MAX];
  const int n = snprintf(path, sizeof path, "%s/rheo.XXXXXX", spool->folder);
  if (n < 0 || (size_t)n >= sizeof path) return rh_fail(RH_E_ARGUMENT, "the temporary folder's path is too long");
  spool->fd = mkstemp(path);
  if (spool->fd < 0) return fail_errno(spool, "cannot be made");
  unlink(path);
  spool->on_disk = true;
  spool->waiting = spool->size;
  RH_TRY(write_waiting(spool));
  if (spool->room == RH_SPOOL_BUFFER) return RH_OK;
  void *buffer = rh_alloc(RH_SPOOL_BUFFER);
  if (!buffer) return RH_E_MEMORY;
  rh_free(spool->block);
  spool->block = buffer;
  spool->room = RH_SPOOL_BUFFER;
  return RH_OK;
}

rh_status rh_spool_reserve(rh_spool *spool, int64_t bytes) {
  if (spool->on_disk || bytes <= spool->room) return RH_OK;
  if (bytes > spool->limit) bytes = spool->size > RH_SPOOL_BUFFER ? spool->size : RH_SPOOL_BUFFER; /* it will go to disk */
  if (bytes <= spool->room) return RH_OK;
  void *block = rh_realloc(spool->block, (size_t)spool->size, (size_t)bytes);
  if (!block) return RH_E_MEMORY;
  spool->block = block;
  spool->room = bytes;
  return RH_OK;
}

static rh_status put_in_file(rh_spool *spool, const char *bytes, int64_t n) {
  while (n > 0) {
    if (spool->waiting == spool->room) RH_TRY(write_waiting(spool));
    const int64_t some = n < spool->room - spool->waiting ? n : spool->room - spool->waiting;
    memcpy((char *)spool->block + spool->waiting, bytes, (size_t)some);
    spool->waiting += some;
    spool->size += some;
    bytes += some;
    n -= some;
  }
  return RH_OK;
}

rh_status rh_spool_put(rh_spool *spool, const void *bytes, int64_t n) {
  if (n <= 0) return RH_OK;
  if (!spool->on_disk && n > spool->limit - spool->size) RH_TRY(go_to_disk(spool));
  if (spool->on_disk) return put_in_file(spool, bytes, n);
  if (spool->size + n > spool->room) {
    int64_t wanted = spool->room * 2 < RH_SPOOL_BUFFER ? RH_SPOOL_BUFFER : spool->room * 2;
    if (wanted < spool->size + n) wanted = spool->size + n;
    if (wanted > spool->limit) wanted = spool->limit;
    RH_TRY(rh_spool_reserve(spool, wanted));
  }
  memcpy((char *)spool->block + spool->size, bytes, (size_t)n);
  spool->size += n;
  return RH_OK;
}

rh_status rh_spool_done(rh_spool *spool) {
  if (!spool->on_disk) {
    if (!spool->block) RH_TRY(rh_spool_reserve(spool, 1)); /* no bytes: still a valid address */
    spool->data = spool->block;
    return RH_OK;
  }
  RH_TRY(write_waiting(spool));
  void *map = mmap(NULL, (size_t)spool->size, PROT_READ, MAP_PRIVATE, spool->fd, 0);
  if (map == MAP_FAILED) return fail_errno(spool, "cannot be mapped");
  spool->mapped = true;
  spool->data = map;
  rh_free(spool->block);
  spool->block = NULL;
  return RH_OK;
}

void rh_spool_close(rh_spool *spool) {
  if (spool->mapped) munmap((void *)(uintptr_t)spool->data, (size_t)spool->size);
  if (spool->on_disk) close(spool->fd);
  rh_free(spool->block);
  *spool = (rh_spool){.fd = -1};
}
