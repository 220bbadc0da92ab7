/* An NPZ archive: its members, and which of them is meant. Private to this floor. */
#ifndef RH_DATA_ARCHIVE_H
#define RH_DATA_ARCHIVE_H
#include "data/source.h"

typedef struct rh_member {
  const unsigned char *name; /* not ended by NUL */
  int name_bytes;            /* without .npy */
  bool array;                /* its name ended so */
  int method, flags;
  uint32_t crc;
  int64_t packed, size, offset; /* offset: of the local header */
} rh_member;

typedef struct rh_archive {
  const rh_source *source; /* borrowed, and its data */
  rh_member *members;
  int64_t count, room;
} rh_archive;

bool rh_archive_sniff(const unsigned char *data, int64_t size);
rh_status rh_archive_open(const rh_source *source, rh_archive *archive) RH_WARN_UNUSED;
void rh_archive_close(rh_archive *archive);
const rh_member *rh_archive_find(const rh_archive *archive, const char *name); /* NULL: none has it */
rh_status rh_archive_named(const rh_archive *archive, const char *name, const rh_member **member) RH_WARN_UNUSED;

/* The array that a reader looks for, by its axes: from least to most; those from `likely` on come first. */
typedef struct rh_archive_want {
  const char *what; /* "table" */
  int least, likely, most;
} rh_archive_want;
/* The source's member; else X, else x, else the only one with likely axes, else the only one with any that is wanted. */
rh_status rh_archive_choose(const rh_archive *archive, const rh_archive_want *want, const rh_member **member) RH_WARN_UNUSED;
/* The member's m->size bytes, checked: in place, or unpacked into the spool (begun by the caller). */
rh_status rh_archive_take(const rh_archive *archive, const rh_member *m, rh_spool *spool, const unsigned char **bytes) RH_WARN_UNUSED;
rh_status rh_archive_fail(const rh_archive *archive, const char *what); /* with the list of its arrays */
#endif
