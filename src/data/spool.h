/* Bytes that arrive one after another and are then read at will: in memory up to a limit, beyond it in a temporary file that is already
 * unlinked (nothing stays behind, whatever happens) and memory-mapped when all has arrived. */
#ifndef RH_DATA_SPOOL_H
#define RH_DATA_SPOOL_H
#include <stdbool.h>
#include <stdint.h>

#include "base/file.h"

typedef struct rh_spool {
  const unsigned char *data; /* after rh_spool_done */
  int64_t size;
  int64_t limit;      /* bytes of memory at most */
  const char *folder; /* borrowed: where a temporary file may stand */
  void *block;        /* private from here on */
  int64_t room, waiting;
  int fd;
  bool on_disk, mapped;
} rh_spool;

enum { RH_SPOOL_BUFFER = 1 << 18 }; /* a limit below this counts as this */

void rh_spool_begin(rh_spool *spool, int64_t limit, const char *folder);
rh_status rh_spool_reserve(rh_spool *spool, int64_t bytes) RH_WARN_UNUSED; /* a guess of the whole size saves copies */
rh_status rh_spool_put(rh_spool *spool, const void *bytes, int64_t n) RH_WARN_UNUSED;
rh_status rh_spool_done(rh_spool *spool) RH_WARN_UNUSED;
void rh_spool_close(rh_spool *spool); /* after begin, at any time */
#endif
