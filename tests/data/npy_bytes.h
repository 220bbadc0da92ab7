/* NPY files made by hand, byte by byte. */
#ifndef TESTS_DATA_NPY_BYTES_H
#define TESTS_DATA_NPY_BYTES_H
#include "scratch.h"

typedef struct made {
  unsigned char bytes[4096];
  size_t n;
} made;

static inline void put(made *m, const void *bytes, size_t n) {
  assert_true(m->n + n <= sizeof m->bytes);
  if (n > 0) memcpy(m->bytes + m->n, bytes, n);
  m->n += n;
}

static inline made npy_of(int version, const char *header, const void *values, size_t n) {
  made m = {.n = 0};
  const size_t length = strlen(header);
  const unsigned char start[12] = {
      0x93, 'N', 'U', 'M', 'P', 'Y', (unsigned char)version, 0, (unsigned char)length, (unsigned char)(length >> 8), 0, 0};
  put(&m, start, version == 1 ? 10 : 12);
  put(&m, header, length);
  put(&m, values, n);
  return m;
}

static inline made npy_simple(const char *descr, const char *order, const char *shape, const void *values, size_t n) {
  char header[256];
  snprintf(header, sizeof header, "{'descr': '%s', 'fortran_order': %s, 'shape': (%s), }   \n", descr, order, shape);
  return npy_of(1, header, values, n);
}

static const float four[] = {1, 2, 3, 4};

#endif
