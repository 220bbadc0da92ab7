/* Netpbm's grey and colour images (pgm(5), ppm(5)): P2 and P3 in plain text, P5 and P6 in bytes. */
#include <stdio.h>
#include <string.h>

#include "data/image_source.h"

static const struct kind {
  char digit;
  int channels;
  bool plain;
} kinds[] = {{'2', 1, true}, {'3', 3, true}, {'5', 1, false}, {'6', 3, false}};

typedef struct text {
  const char *name;
  const unsigned char *start, *p, *end;
} text;

static bool blank(unsigned char c) {
  return c == ' ' || (c >= '\t' && c <= '\r');
}

/* Blanks, and comments to the end of their line. */
static void skip(text *t) {
  while (t->p < t->end && (blank(*t->p) || *t->p == '#')) {
    if (*t->p++ != '#') continue;
    while (t->p < t->end && *t->p != '\n' && *t->p != '\r') t->p++;
  }
}

static rh_status fail_at(const text *t, const char *what) {
  return rh_fail(RH_E_FORMAT, "%s: byte %lld: %s; fetch or write the file again", t->name, (long long)(t->p - t->start) + 1, what);
}

static rh_status fail_number(const text *t, const char *what, int64_t place) {
  char all[96];
  if (place > 0) {
    snprintf(all, sizeof all, "%s %lld is missing or no whole number of at most 8 digits", what, (long long)place);
  } else {
    snprintf(all, sizeof all, "%s is missing or no whole number of at most 8 digits", what);
  }
  return fail_at(t, all);
}

/* place: of a value, from 1. */
static rh_status read_number(text *t, const char *what, int64_t place, int64_t *value) {
  skip(t);
  const unsigned char *start = t->p;
  for (*value = 0; t->p < t->end && *t->p >= '0' && *t->p <= '9' && t->p - start < 9; t->p++) *value = *value * 10 + (*t->p - '0');
  if (t->p > start && t->p - start < 9 && (t->p == t->end || blank(*t->p) || *t->p == '#')) return RH_OK;
  t->p = start;
  return fail_number(t, what, place);
}

static rh_status read_plain(text *t, int64_t n, int most, unsigned char *out) {
  for (int64_t i = 0; i < n; i++) {
    int64_t value = 0;
    RH_TRY(read_number(t, "value", i + 1, &value));
    if (value > most) {
      return rh_fail(RH_E_DATA, "%s: value %lld is %lld, but the file says %d at most; write it again", t->name, (long long)i + 1,
                     (long long)value, most);
    }
    out[i] = (unsigned char)value;
  }
  skip(t);
  return t->p == t->end ? RH_OK : fail_at(t, "something follows the image");
}

static rh_status read_binary(text *t, int64_t n, int most, unsigned char *out) {
  memcpy(out, t->p, (size_t)n);
  for (int64_t i = 0; i < n; i++) {
    if (out[i] <= most) continue;
    return rh_fail(RH_E_DATA, "%s: value %lld is %d, but the file says %d at most; write it again", t->name, (long long)i + 1, out[i],
                   most);
  }
  return RH_OK;
}

/* Before memory is asked for: as many bytes as the size needs. A plain value takes two, a digit and a blank. */
static rh_status check_length(const text *t, bool plain, int64_t n) {
  const int64_t there = t->end - t->p;
  if (plain ? (there + 1) / 2 < n : there < n) {
    return rh_fail(RH_E_FORMAT, "%s: the file is cut short: %lld bytes for %lld values; fetch or write it again", t->name, (long long)there,
                   (long long)n);
  }
  if (plain || there == n) return RH_OK;
  return rh_fail(RH_E_FORMAT, "%s: %lld bytes follow the image; give one image a file", t->name, (long long)(there - n));
}

static rh_status read_header(text *t, const struct kind *k, rh_picture *p) {
  int64_t most = 0;
  RH_TRY(read_number(t, "the width", 0, &p->w));
  RH_TRY(read_number(t, "the height", 0, &p->h));
  RH_TRY(read_number(t, "the greatest value", 0, &most));
  p->c = k->channels;
  if (most < 1) return fail_at(t, "the greatest value is 0");
  if (most > 255) {
    return rh_fail(RH_E_UNSUPPORTED,
                   "%s: values to %lld are more than 8 bits, which are not read; write it with 255 at most (pnmdepth 255)", t->name,
                   (long long)most);
  }
  p->most = (int)most;
  RH_TRY(rh_image_check_size(t->name, p->h, p->w, p->c));
  if (t->p < t->end && *t->p == '#') { /* a comment ends with the one blank */
    while (t->p < t->end && *t->p != '\n') t->p++;
  }
  if (t->p == t->end) return fail_at(t, "the values are missing");
  t->p++; /* the one blank before the values */
  return RH_OK;
}

static const struct kind *kind_of(const unsigned char *data) {
  for (size_t i = 0; i < RH_COUNT_OF(kinds); i++) {
    if (kinds[i].digit == data[1]) return &kinds[i];
  }
  return NULL;
}

static bool sniff(const unsigned char *data, int64_t size) {
  return size >= 3 && data[0] == 'P' && data[1] >= '1' && data[1] <= '7' && (blank(data[2]) || data[2] == '#');
}

static rh_status decode(const char *name, const unsigned char *data, int64_t size, rh_picture *picture) {
  text t = {name, data, data + 2, data + size};
  rh_picture p = {0};
  const struct kind *k = kind_of(data);
  if (!k) {
    return rh_fail(RH_E_UNSUPPORTED, "%s: Netpbm's P%c is not read; write it as PGM (P2, P5) or PPM (P3, P6)", name, data[1]);
  }
  RH_TRY(read_header(&t, k, &p));
  const int64_t n = p.h * p.w * p.c;
  RH_TRY(check_length(&t, k->plain, n));
  p.values = rh_alloc((size_t)n);
  if (!p.values) return RH_E_MEMORY;
  const rh_status status = k->plain ? read_plain(&t, n, p.most, p.values) : read_binary(&t, n, p.most, p.values);
  if (status != RH_OK) {
    rh_free(p.values);
    return status;
  }
  *picture = p;
  return RH_OK;
}

const rh_image_format rh_image_pnm = {.name = "PNM", .sniff = sniff, .decode = decode};
