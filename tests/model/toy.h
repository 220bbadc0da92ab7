/* Small data and models for the tests of models and of fitting. */
#ifndef RH_TESTS_TOY_H
#define RH_TESTS_TOY_H
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/file.h"
#include "base/memory.h"
#include "base/options.h"
#include "base/rng.h"
#include "model/score.h"

static inline void toy_ok(rh_status status) {
  if (status != RH_OK) print_error("%s: %s\n", rh_status_text(status), rh_last_error());
  assert_int_equal(status, RH_OK);
}

static inline json_t *toy_json(const char *text) {
  json_t *value = NULL;
  toy_ok(rh_json_parse(text, strlen(text), "test", &value));
  return value;
}

/* Standard normals, two a pair of uniforms (Box & Muller 1958). */
static inline void toy_normals(uint64_t seed, int64_t n, double *x) {
  const rh_rng rng = rh_rng_at(seed, 0, 0, RH_STREAM_TEST);
  for (int64_t i = 0; i < n; i += 2) {
    double u[2];
    rh_rng_uniform(&rng, i, 2, u);
    const double r = sqrt(-2 * log(u[0])), a = 6.28318530717958647692 * u[1];
    x[i] = r * cos(a);
    if (i + 1 < n) x[i + 1] = r * sin(a);
  }
}

/* Rows of a curved two-dimensional density with a third, skewed column. */
typedef struct toy {
  double *data;
  rh_dense_rows dense;
  rh_rows rows;
} toy;

static inline toy *toy_make(uint64_t seed, int64_t n, int64_t d) {
  toy *t = rh_alloc(sizeof *t);
  assert_non_null(t);
  t->data = rh_alloc((size_t)(n * d) * sizeof *t->data);
  assert_non_null(t->data);
  toy_normals(seed, n * d, t->data);
  for (int64_t i = 0; i < n; i++) {
    double *x = t->data + i * d;
    if (d > 1) x[1] = 0.5 * x[1] + x[0] * x[0];
    if (d > 2) x[2] = exp(0.5 * x[2]) + 0.3 * x[1];
  }
  t->dense = (rh_dense_rows){n, d, t->data};
  t->rows = rh_rows_dense(&t->dense);
  return t;
}

static inline void toy_free(toy *t) {
  rh_free(t->data);
  rh_free(t);
}

static inline rh_model *toy_model(const char *spec, int real_bytes, uint64_t seed) {
  json_t *json = toy_json(spec);
  rh_model *m = NULL;
  toy_ok(rh_model_create(json, real_bytes, seed, 1, 0, &m));
  json_decref(json);
  return m;
}

/* The model of a fit, as the bytes of its file. */
typedef struct toy_bytes {
  unsigned char *data;
  size_t n;
} toy_bytes;

static inline toy_bytes toy_bytes_of(const rh_model *m) {
  toy_bytes b;
  toy_ok(rh_model_bytes(m, &b.data, &b.n));
  return b;
}

static inline void toy_same(toy_bytes a, toy_bytes b) {
  assert_int_equal(a.n, b.n);
  assert_memory_equal(a.data, b.data, a.n);
}

static inline char *toy_folder(void) {
  char *folder = strdup(P_tmpdir "/rheo_fit_XXXXXX");
  assert_non_null(folder);
  assert_non_null(mkdtemp(folder));
  return folder;
}

static inline void toy_path(char *path, size_t room, const char *folder, const char *name) {
  assert_true((size_t)snprintf(path, room, "%s/%s", folder, name) < room);
}

static inline void toy_folder_free(char *folder, const char *const *names) {
  char path[256];
  for (; *names; names++) {
    toy_path(path, sizeof path, folder, *names);
    unlink(path);
  }
  assert_int_equal(rmdir(folder), 0); /* nothing else was left there */
  free(folder);
}
#endif
