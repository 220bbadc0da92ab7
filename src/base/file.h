/* Files: whole reads, and writes that leave the old or the new file, whole, at any moment. */
#ifndef RH_BASE_FILE_H
#define RH_BASE_FILE_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

/* A file's bytes, read-only: memory-mapped where it is a regular file, else read whole. path "-" is standard input. */
typedef struct rh_bytes {
  const unsigned char *data;
  size_t size;
  void *owner; /* private */
} rh_bytes;
rh_status rh_bytes_open(const char *path, rh_bytes *bytes) RH_WARN_UNUSED; /* errors name the path and the reason */
void rh_bytes_close(rh_bytes *bytes);                                      /* {0} is fine */

/* A writer: beside the target (PATH.rheo-part), synced and renamed by commit; discard removes it, and where its process was killed the next
 * writer of the target or the target's removal does. An existing target that is no regular file (a pipe, /dev/null) and "-" (standard
 * output) are written in place. Errors stick: the first is returned by commit too. */
typedef struct rh_writer rh_writer;
rh_status rh_writer_open(const char *path, rh_writer **writer) RH_WARN_UNUSED;
rh_status rh_writer_put(rh_writer *writer, const void *bytes, size_t n);
rh_status rh_writer_printf(rh_writer *writer, const char *format, ...) RH_PRINTF(2, 3);
rh_status rh_writer_commit(rh_writer *writer) RH_WARN_UNUSED; /* frees the writer, whatever it returns */
void rh_writer_discard(rh_writer *writer);                    /* frees it; NULL is fine */
bool rh_file_exists(const char *path);
/* Whether both are one regular file, under whatever names; "-" is standard input. What is no regular file (a pipe, /dev/null) is never. */
bool rh_file_same(const char *a, const char *b);
rh_status rh_file_remove(const char *path); /* with what a killed writer of it left; a missing file is fine */
#endif
