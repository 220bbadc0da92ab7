/* IDX files (LeCun, Cortes and Burges, "The MNIST database"): 0, 0, type, number of axes; the axes, four bytes each, high byte first;
 * the values. */
#include <stdio.h>

#include "data/image_source.h"

enum { UNSIGNED_BYTES = 0x08, HEAD_BYTES = 4, CIFAR10_BYTES = 3073, CIFAR100_BYTES = 3074 };

static const struct type {
  int code;
  const char *name;
} types[] = {{0x08, "unsigned bytes"}, {0x09, "signed bytes"}, {0x0B, "short integers"},
             {0x0C, "integers"},       {0x0D, "floats"},       {0x0E, "doubles"}};

static const char *type_name(int code) {
  for (size_t i = 0; i < RH_COUNT_OF(types); i++) {
    if (types[i].code == code) return types[i].name;
  }
  return NULL;
}

static int64_t axis(const unsigned char *p) {
  return (int64_t)p[0] << 24 | (int64_t)p[1] << 16 | (int64_t)p[2] << 8 | p[3];
}

static rh_status check_length(const char *name, const rh_idx *idx, int64_t there) {
  int64_t wanted = 1;
  for (int a = 0; a < idx->axes; a++) {
    if (idx->shape[a] == 0) return rh_fail(RH_E_DATA, "%s: axis %d has length 0: the file holds nothing; write it again", name, a + 1);
    if (idx->shape[a] > INT64_MAX / wanted)
      return rh_fail(RH_E_FORMAT, "%s: its axes are larger than any memory; the file is damaged", name);
    wanted *= idx->shape[a];
  }
  if (there < wanted) {
    return rh_fail(RH_E_FORMAT, "%s: the file is cut short: %lld bytes of values, its axes need %lld; fetch or write it again", name,
                   (long long)there, (long long)wanted);
  }
  if (there == wanted) return RH_OK;
  return rh_fail(RH_E_FORMAT, "%s: %lld bytes follow the %lld that its axes need; the file is damaged: fetch or write it again", name,
                 (long long)(there - wanted), (long long)wanted);
}

rh_status rh_idx_parse(const char *name, const unsigned char *data, int64_t size, rh_idx *out) {
  rh_idx idx = {0};
  if (size < HEAD_BYTES) return rh_fail(RH_E_FORMAT, "%s: the file is cut short in its header; fetch or write it again", name);
  idx.axes = data[3];
  if (data[2] != UNSIGNED_BYTES) {
    const char *type = type_name(data[2]);
    return rh_fail(RH_E_UNSUPPORTED, "%s: IDX data of type 0x%02X (%s) is not read; write unsigned bytes (type 0x08)", name, data[2],
                   type ? type : "unknown");
  }
  if (idx.axes < 1 || idx.axes > 4) {
    return rh_fail(RH_E_SHAPE, "%s: an IDX file of %d axes; images have 3 (n, h, w) or 4 (n, h, w, c), labels 1", name, idx.axes);
  }
  const int64_t head = HEAD_BYTES + 4 * idx.axes;
  if (size < head) return rh_fail(RH_E_FORMAT, "%s: the file is cut short in its header; fetch or write it again", name);
  for (int a = 0; a < idx.axes; a++) idx.shape[a] = axis(data + HEAD_BYTES + (ptrdiff_t)4 * a);
  RH_TRY(check_length(name, &idx, size - head));
  idx.values = data + head;
  *out = idx;
  return RH_OK;
}

/* A record of CIFAR may begin like this too: where the length is a number of those, it is no IDX file unless the axes say that length. */
static bool sniff(const unsigned char *data, int64_t size) {
  if (size < HEAD_BYTES || data[0] != 0 || data[1] != 0 || !type_name(data[2]) || data[3] < 1) return false;
  if (size % CIFAR10_BYTES != 0 && size % CIFAR100_BYTES != 0) return true;
  int64_t left = size - HEAD_BYTES - (int64_t)4 * data[3];
  if (data[2] != UNSIGNED_BYTES || left <= 0) return false;
  for (int a = data[3] - 1; a >= 0; a--) {
    const int64_t n = axis(data + HEAD_BYTES + (ptrdiff_t)4 * a);
    if (n == 0 || left % n != 0) return false;
    left /= n;
  }
  return left == 1;
}

static rh_status read_idx(const rh_source *source, const rh_image_options *options, rh_image_set *set) {
  (void)options;
  rh_idx idx;
  RH_TRY(rh_idx_parse(source->name, source->data, source->size, &idx));
  if (idx.axes < 3) {
    return rh_fail(RH_E_SHAPE, "%s: %s, no images: images have 3 axes (n, h, w) or 4 (n, h, w, c)%s", source->name,
                   idx.axes == 1 ? "one axis" : "two axes", idx.axes == 1 ? "; labels go beside them (labels)" : "");
  }
  const int64_t h = idx.shape[1], w = idx.shape[2], c = idx.axes == 4 ? idx.shape[3] : 1;
  RH_TRY(rh_image_check_size(source->name, h, w, c));
  set->n = idx.shape[0];
  set->h = h;
  set->w = w;
  set->c = c;
  set->at = idx.values;
  set->step[0] = h * w * c;
  set->step[1] = w * c;
  set->step[2] = c;
  set->step[3] = 1;
  return RH_OK;
}

const rh_image_format rh_image_idx = {.name = "IDX", .sniff = sniff, .read = read_idx};
