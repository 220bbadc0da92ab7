#include <limits.h>
#include <string.h>
#include <zlib.h>

#include "base/memory.h"
#include "data/source.h"

static void *zlib_alloc(void *state, uInt count, uInt size) {
  (void)state;
  return rh_alloc_zero(count, size);
}

static void zlib_free(void *state, void *block) {
  (void)state;
  rh_free(block);
}

static void feed(z_stream *z, const unsigned char **p, int64_t *left) {
  if (z->avail_in > 0 || *left == 0) return;
  z->next_in = (Bytef *)(uintptr_t)*p; /* zlib only reads it */
  z->avail_in = *left > INT_MAX ? INT_MAX : (uInt)*left;
  *p += z->avail_in;
  *left -= z->avail_in;
}

/* Gzip files may hold several members, one after another; zeros may pad the end. */
static bool more_members(z_stream *z, const unsigned char **p, int64_t *left) {
  feed(z, p, left);
  while (z->avail_in > 0 && *z->next_in == 0) {
    z->next_in++;
    z->avail_in--;
    feed(z, p, left);
  }
  return z->avail_in > 0;
}

static rh_status inflate_all(const char *name, z_stream *z, const unsigned char *p, int64_t left, bool gzip, int64_t most,
                             rh_spool *spool) {
  unsigned char out[1 << 15];
  for (int64_t total = 0;;) {
    feed(z, &p, &left);
    z->next_out = out;
    z->avail_out = sizeof out;
    const int code = inflate(z, Z_NO_FLUSH);
    int64_t n = (int64_t)(sizeof out - z->avail_out);
    if (most >= 0 && n > most - total) n = most - total;
    RH_TRY(rh_spool_put(spool, out, n));
    total += n;
    if (code == Z_MEM_ERROR) return RH_E_MEMORY;
    if (most >= 0 && total == most && (code == Z_OK || code == Z_STREAM_END)) return RH_OK;
    if (code == Z_STREAM_END) {
      if (!gzip || !more_members(z, &p, &left)) return RH_OK;
      if (inflateReset(z) != Z_OK) return RH_E_MEMORY;
    } else if (code == Z_BUF_ERROR && left == 0 && z->avail_in == 0) {
      return rh_fail(RH_E_FORMAT, "%s: the compressed data is cut short; fetch or write the file again", name);
    } else if (code != Z_OK) {
      return rh_fail(RH_E_FORMAT, "%s: the compressed data is damaged (%s); fetch or write the file again", name, z->msg ? z->msg : "zlib");
    }
  }
}

rh_status rh_inflate(const char *name, const unsigned char *data, int64_t size, int window, int64_t most, rh_spool *spool) {
  z_stream z = {.zalloc = zlib_alloc, .zfree = zlib_free};
  if (inflateInit2(&z, window) != Z_OK) return rh_fail(RH_E_MEMORY, "%s: out of memory for decompression", name);
  rh_status status = inflate_all(name, &z, data, size, window > 15, most, spool);
  if (status == RH_E_MEMORY) status = rh_fail_prefix(status, "%s: ", name);
  inflateEnd(&z);
  return status;
}
