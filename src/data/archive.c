/* A zip file (PKWARE APPNOTE 6.3) whose members are NPY files, stored or deflated. The central directory rules. */
#include "data/archive.h"

#include <stdio.h>
#include <string.h>
#include <zlib.h>

#include "base/memory.h"

enum {
  END_BYTES = 22,
  CENTRAL_BYTES = 46,
  LOCAL_BYTES = 30,
  END64_BYTES = 56,
  LOCATOR_BYTES = 20,
  COMMENT_BYTES = 65535,
  PEEK_BYTES = 1 << 17
};
enum { STORED = 0, DEFLATED = 8, ENCRYPTED = 1 };

static uint64_t little(const unsigned char *p, int bytes) {
  uint64_t v = 0;
  for (int i = 0; i < bytes; i++) v |= (uint64_t)p[i] << 8 * i;
  return v;
}

static rh_status damaged(const rh_archive *z, const char *what) {
  return rh_fail(RH_E_FORMAT, "%s: damaged or cut NPZ archive: %s; fetch or write it again", z->source->name, what);
}

/* ---- the directory ---- */

/* The end record is the last thing in the file but for a comment. */
static const unsigned char *find_end(const rh_source *s) {
  for (int64_t back = END_BYTES; back <= s->size && back <= END_BYTES + COMMENT_BYTES; back++) {
    const unsigned char *p = s->data + s->size - back;
    if (little(p, 4) == 0x06054b50 && (int64_t)little(p + 20, 2) == back - END_BYTES) return p;
  }
  return NULL;
}

static rh_status find_directory(const rh_archive *z, uint64_t *count, uint64_t *offset, uint64_t *bytes) {
  const rh_source *s = z->source;
  const unsigned char *end = find_end(s);
  if (!end) return damaged(z, "no end record");
  *count = little(end + 10, 2);
  *bytes = little(end + 12, 4);
  *offset = little(end + 16, 4);
  const unsigned char *locator = end - LOCATOR_BYTES;
  if (end - s->data >= LOCATOR_BYTES && little(locator, 4) == 0x07064b50) { /* zip64 */
    const uint64_t at = little(locator + 8, 8);
    if ((uint64_t)s->size < END64_BYTES || at > (uint64_t)s->size - END64_BYTES) return damaged(z, "the zip64 record lies outside");
    const unsigned char *end64 = s->data + at;
    if (little(end64, 4) != 0x06064b50) return damaged(z, "no zip64 record where one is named");
    *count = little(end64 + 32, 8);
    *bytes = little(end64 + 40, 8);
    *offset = little(end64 + 48, 8);
  }
  if (*offset > (uint64_t)s->size || *bytes > (uint64_t)s->size - *offset) return damaged(z, "the directory lies outside");
  return RH_OK;
}

/* Fields that do not fit 32 bits stand in an extra field of type 1, in this order. */
static bool widen(const unsigned char *extra, int64_t left, uint64_t *const fields[3]) {
  while (left >= 4) {
    const int64_t type = (int64_t)little(extra, 2), bytes = (int64_t)little(extra + 2, 2);
    if (bytes > left - 4) return false;
    if (type == 1) {
      const unsigned char *p = extra + 4, *end = p + bytes;
      for (int i = 0; i < 3; i++) {
        if (*fields[i] != UINT32_MAX) continue;
        if (end - p < 8) return false;
        *fields[i] = little(p, 8);
        p += 8;
      }
      return true;
    }
    extra += 4 + bytes;
    left -= 4 + bytes;
  }
  return true;
}

static rh_status read_entry(rh_archive *z, const unsigned char **p, const unsigned char *end) {
  const unsigned char *e = *p;
  if (end - e < CENTRAL_BYTES || little(e, 4) != 0x02014b50) return damaged(z, "a directory entry is malformed");
  const int64_t name = (int64_t)little(e + 28, 2), extra = (int64_t)little(e + 30, 2), comment = (int64_t)little(e + 32, 2);
  if (end - e - CENTRAL_BYTES < name + extra + comment) return damaged(z, "a directory entry is cut short");
  uint64_t packed = little(e + 20, 4), size = little(e + 24, 4), offset = little(e + 42, 4);
  if (!widen(e + CENTRAL_BYTES + name, extra, (uint64_t *const[]){&size, &packed, &offset}))
    return damaged(z, "a zip64 field is cut short");
  const uint64_t all = (uint64_t)z->source->size;
  if (offset > all || packed > all || size >= INT64_MAX) return damaged(z, "a member lies outside");
  RH_TRY(rh_grow((void **)&z->members, &z->room, z->count + 1, sizeof *z->members));
  rh_member *m = &z->members[z->count++];
  *m = (rh_member){.name = e + CENTRAL_BYTES, .name_bytes = (int)name, .flags = (int)little(e + 8, 2), .method = (int)little(e + 10, 2)};
  m->crc = (uint32_t)little(e + 16, 4);
  m->packed = (int64_t)packed;
  m->size = (int64_t)size;
  m->offset = (int64_t)offset;
  m->array = name > 4 && memcmp(m->name + name - 4, ".npy", 4) == 0;
  if (m->array) m->name_bytes -= 4;
  *p = e + CENTRAL_BYTES + name + extra + comment;
  return RH_OK;
}

static rh_status read_directory(rh_archive *z) {
  uint64_t count = 0, offset = 0, bytes = 0;
  RH_TRY(find_directory(z, &count, &offset, &bytes));
  const unsigned char *p = z->source->data + offset, *end = p + bytes;
  for (uint64_t i = 0; i < count; i++) RH_TRY(read_entry(z, &p, end));
  return z->count > 0 ? RH_OK : rh_fail(RH_E_DATA, "%s: the archive holds no arrays", z->source->name);
}

bool rh_archive_sniff(const unsigned char *data, int64_t size) {
  return size >= 4 && (memcmp(data, "PK\3\4", 4) == 0 || memcmp(data, "PK\5\6", 4) == 0);
}

rh_status rh_archive_open(const rh_source *source, rh_archive *out) {
  rh_archive z = {.source = source};
  const rh_status status = read_directory(&z);
  if (status != RH_OK) {
    rh_archive_close(&z);
    return status;
  }
  *out = z;
  return RH_OK;
}

void rh_archive_close(rh_archive *z) {
  rh_free(z->members);
  *z = (rh_archive){0};
}

/* ---- one member ---- */

static rh_status find_content(const rh_archive *z, const rh_member *m, const unsigned char **content) {
  const rh_source *s = z->source;
  const unsigned char *local = s->data + m->offset;
  if (m->flags & ENCRYPTED) return rh_fail(RH_E_UNSUPPORTED, "%s: the archive is encrypted; write it with numpy.savez", s->name);
  if (m->method != STORED && m->method != DEFLATED) {
    return rh_fail(RH_E_UNSUPPORTED, "%s: compression method %d is not read; write it with numpy.savez_compressed", s->name, m->method);
  }
  if (s->size - m->offset < LOCAL_BYTES || little(local, 4) != 0x04034b50) return damaged(z, "a member has no local header");
  const int64_t skip = LOCAL_BYTES + (int64_t)little(local + 26, 2) + (int64_t)little(local + 28, 2);
  if (skip > s->size - m->offset || m->packed > s->size - m->offset - skip) return damaged(z, "a member is cut short");
  if (m->method == STORED && m->packed != m->size) return damaged(z, "a stored member has two sizes");
  *content = local + skip;
  return RH_OK;
}

static rh_status check_crc(const rh_archive *z, const rh_member *m, const unsigned char *p) {
  uLong crc = crc32(0, Z_NULL, 0);
  for (int64_t left = m->size; left > 0;) {
    const uInt some = left > (1 << 30) ? 1u << 30 : (uInt)left;
    crc = crc32(crc, p, some);
    p += some;
    left -= some;
  }
  return crc == m->crc ? RH_OK : damaged(z, "a member's checksum is wrong");
}

/* What it says to be, from its first bytes alone: its axes, which are looked at more closely where they are wanted. */
static rh_status look(const rh_archive *z, const rh_archive_want *want, const unsigned char *p, int64_t n, int *axes) {
  rh_npy_array array;
  RH_TRY(rh_npy_look(z->source->name, p, n, &array));
  if (array.axes >= want->least && array.axes <= want->most) RH_TRY(rh_npy_check(z->source->name, &array, false));
  *axes = array.axes;
  return RH_OK;
}

static rh_status peek_axes(const rh_archive *z, const rh_archive_want *want, const rh_member *m, int *axes) {
  const unsigned char *content;
  RH_TRY(find_content(z, m, &content));
  if (m->method == STORED) return look(z, want, content, m->size, axes);
  rh_spool head;
  rh_source_spool(z->source, &head);
  rh_status status = rh_inflate(z->source->name, content, m->packed, -15, PEEK_BYTES, &head);
  if (status == RH_OK) status = rh_spool_done(&head);
  if (status == RH_OK) status = look(z, want, head.data, head.size, axes);
  rh_spool_close(&head);
  return status;
}

const rh_member *rh_archive_find(const rh_archive *z, const char *name) {
  for (int64_t i = 0; i < z->count; i++) {
    const rh_member *m = &z->members[i];
    if (strlen(name) == (size_t)m->name_bytes && memcmp(name, m->name, (size_t)m->name_bytes) == 0) return m;
  }
  return NULL;
}

rh_status rh_archive_fail(const rh_archive *z, const char *what) {
  char list[256] = "", show[RH_SHOW_BYTES];
  int used = 0;
  for (int64_t i = 0; i < z->count && used < 160; i++) {
    used += snprintf(list + used, sizeof list - (size_t)used, "%s%s", i ? ", " : "",
                     rh_show(z->members[i].name, z->members[i].name_bytes, show));
  }
  return rh_fail(RH_E_DATA, "%s: %s; it holds %s: name one as FILE.npz:NAME", z->source->name, what, list);
}

/* The only array of so many axes, from `least` to `most`; NULL: there is none. *unread: one that might have been it, had it been readable.
 */
static rh_status choose_only(const rh_archive *z, const rh_archive_want *want, int least, int most, const rh_member **chosen,
                             const rh_member **unread) {
  for (int64_t i = 0; i < z->count; i++) {
    int found = -1;
    char what[96];
    const rh_status status = peek_axes(z, want, &z->members[i], &found);
    if (status == RH_E_MEMORY) return status;
    if (status != RH_OK && z->members[i].array && !*unread) *unread = &z->members[i];
    if (found < least || found > most) continue;
    snprintf(what, sizeof what, "several arrays could be the %s", want->what);
    if (*chosen) return rh_archive_fail(z, what);
    *chosen = &z->members[i];
  }
  return RH_OK;
}

/* Why an array could not be looked at, under its own name. */
static rh_status fail_unread(const rh_archive *z, const rh_archive_want *want, const rh_member *m) {
  char name[512], show[RH_SHOW_BYTES];
  rh_source named = *z->source;
  rh_archive same = *z;
  int axes;
  snprintf(name, sizeof name, "%.300s: array \"%s\"", z->source->name, rh_show(m->name, m->name_bytes, show));
  named.name = name;
  same.source = &named;
  const rh_status status = peek_axes(&same, want, m, &axes);
  return z->count > 1 ? rh_fail(status, "%s; or name another array as FILE.npz:NAME", rh_last_error()) : status;
}

rh_status rh_archive_named(const rh_archive *z, const char *name, const rh_member **chosen) {
  char what[160];
  *chosen = rh_archive_find(z, name);
  snprintf(what, sizeof what, "no array is named \"%.100s\"", name);
  return *chosen ? RH_OK : rh_archive_fail(z, what);
}

rh_status rh_archive_choose(const rh_archive *z, const rh_archive_want *want, const rh_member **out) {
  if (z->source->member) return rh_archive_named(z, z->source->member, out);
  char what[96];
  const rh_member *chosen = rh_archive_find(z, "X"), *unread = NULL;
  if (!chosen) chosen = rh_archive_find(z, "x");
  if (!chosen) RH_TRY(choose_only(z, want, want->likely, want->most, &chosen, &unread));
  if (!chosen && unread) return fail_unread(z, want, unread); /* most likely it: a column of labels must not be taken for a table */
  if (!chosen && want->least < want->likely) RH_TRY(choose_only(z, want, want->least, want->likely - 1, &chosen, &unread));
  snprintf(what, sizeof what, "no array has %d or %d axes", want->least, want->most);
  if (!chosen) return rh_archive_fail(z, what);
  *out = chosen;
  return RH_OK;
}

static rh_status unpack(const rh_archive *z, const rh_member *m, const unsigned char *content, rh_spool *spool) {
  RH_TRY(rh_spool_reserve(spool, m->size < m->packed * 1100 + 64 ? m->size : 0)); /* deflate cannot pack tighter: more is a lie */
  RH_TRY(rh_inflate(z->source->name, content, m->packed, -15, m->size + 1, spool));
  if (spool->size != m->size) return damaged(z, "a member has another size than the directory says");
  return rh_spool_done(spool);
}

rh_status rh_archive_take(const rh_archive *z, const rh_member *m, rh_spool *spool, const unsigned char **bytes) {
  const unsigned char *content;
  RH_TRY(find_content(z, m, &content));
  if (m->method == DEFLATED) {
    RH_TRY(unpack(z, m, content, spool));
    content = spool->data;
  }
  RH_TRY(check_crc(z, m, content));
  *bytes = content;
  return RH_OK;
}
