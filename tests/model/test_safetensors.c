/* Tensor files: round trips, another program's files both ways, determinism, conversions. */
#define _XOPEN_SOURCE 700 /* mkdtemp */
#include <inttypes.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
// cmocka last: it wants the headers above
#include <cmocka.h>

#include "base/file.h"
#include "model/samples.h"
#include "model/scarce.h"

/* The system's Python first: that one has numpy. */
#define PYTHON "$(command -v /usr/bin/python3 || command -v python3)"

static void round_trip(void **state) {
  (void)state;
  size_t n;
  unsigned char *bytes = build_bytes(&n, false, false);
  rh_st *st;
  assert_ok(rh_st_read(bytes, n, "memory", &st));
  assert_true(same_content(st));
  for (int64_t i = 1; i < rh_st_count(st); i++) assert_true(strcmp(rh_st_at(st, i - 1)->name, rh_st_at(st, i)->name) < 0);
  assert_null(rh_st_at(st, -1));
  assert_null(rh_st_at(st, SAMPLES));
  assert_null(rh_st_find(st, "nothing"));
  assert_null(rh_st_meta(st, "nothing"));
  assert_int_equal(json_object_size(rh_st_meta_all(st)), 2);
  assert_ok(rh_st_check(st, false)); /* no seal, none needed */
  assert_int_equal(rh_st_check(st, true), RH_E_FORMAT);
  assert_error_has("memory: has no hash");
  rh_st_close(st);
  rh_free(bytes);
}

static void same_content_same_bytes(void **state) {
  (void)state;
  size_t n, m;
  unsigned char *bytes = build_bytes(&n, false, true), *others = build_bytes(&m, true, true);
  assert_int_equal(n, m);
  assert_memory_equal(bytes, others, n);
  rh_st_builder *b = NULL;
  assert_ok(build(&b, true, true));
  for (int i = 0; i < 2; i++) { /* the same file, and twice */
    assert_ok(rh_st_write(b, scratch_path("same")));
    rh_bytes file;
    assert_ok(rh_bytes_open(scratch_path("same"), &file));
    assert_int_equal(file.size, n);
    assert_memory_equal(file.data, bytes, n);
    rh_bytes_close(&file);
  }
  rh_st_end(b);
  rh_free(bytes);
  rh_free(others);
}

static void nothing_at_all(void **state) {
  (void)state;
  rh_st_builder *b = NULL;
  unsigned char *bytes;
  size_t n;
  assert_ok(rh_st_begin(&b));
  assert_ok(rh_st_bytes(b, &bytes, &n));
  rh_st *st;
  assert_ok(rh_st_read(bytes, n, "memory", &st));
  assert_int_equal(rh_st_count(st), 0);
  assert_null(rh_st_find(st, "x"));
  assert_null(rh_st_meta(st, "x"));
  const rh_st_tensor *t;
  assert_int_equal(rh_st_get(st, "x", 0, NULL, &t), RH_E_FORMAT);
  assert_string_equal(rh_last_error(), "memory: has no tensor 'x'");
  rh_st_close(st);
  rh_st_close(NULL);
  rh_free(bytes);
  rh_st_end(b);
  rh_st_end(NULL);
}

static void builder_refuses(void **state) {
  (void)state;
  rh_st_builder *b = NULL;
  float x[2] = {1, 2};
  const int64_t two = 2, minus = -1, huge[2] = {(int64_t)1 << 40, (int64_t)1 << 40}, ones[9] = {1, 1, 1, 1, 1, 1, 1, 1, 1};
  char longest[RH_ST_NAME_BYTES + 2];
  memset(longest, 'n', sizeof longest - 1);
  longest[sizeof longest - 1] = 0;
  assert_ok(rh_st_begin(&b));
  assert_ok(rh_st_add(b, "x", RH_ST_F32, 1, &two, x));
  const struct {
    const char *name;
    rh_st_dtype dtype;
    int rank;
    const int64_t *dims;
    const void *data;
    const char *word;
  } bad[] = {
      {"x", RH_ST_F32, 1, &two, x, "two tensors are called 'x'"},
      {"", RH_ST_F32, 1, &two, x, "1 to 512 bytes"},
      {longest, RH_ST_F32, 1, &two, x, "not 513"},
      {"__metadata__", RH_ST_F32, 1, &two, x, "cannot be called"},
      {"\xFF", RH_ST_F32, 1, &two, x, "not valid UTF-8"},
      {"y", RH_ST_DTYPE_COUNT, 1, &two, x, "no element type"},
      {"y", RH_ST_F32, 1, &minus, x, "axis 0 of -1"},
      {"y", RH_ST_F32, 2, huge, x, "too large"},
      {"y", RH_ST_F32, 9, ones, x, "rank 9"},
      {"y", RH_ST_F32, -1, ones, x, "rank -1"},
      {"y", RH_ST_F32, 1, &two, NULL, "no data"},
  };
  for (size_t i = 0; i < RH_COUNT_OF(bad); i++) {
    assert_int_equal(rh_st_add(b, bad[i].name, bad[i].dtype, bad[i].rank, bad[i].dims, bad[i].data), RH_E_ARGUMENT);
    assert_error_has(bad[i].word);
  }
  assert_ok(rh_st_add(b, longest + 1, RH_ST_F32, 8, ones, x));
  assert_ok(rh_st_add_meta(b, "k", ""));
  assert_int_equal(rh_st_add_meta(b, "k", "again"), RH_E_ARGUMENT);
  assert_int_equal(rh_st_add_meta(b, "\xC3", "v"), RH_E_ARGUMENT);
  assert_int_equal(rh_st_add_meta(b, "v", "\xC3"), RH_E_ARGUMENT);
  assert_ok(rh_st_seal(b));
  assert_int_equal(rh_st_add(b, "late", RH_ST_F32, 1, &two, x), RH_E_ARGUMENT);
  assert_int_equal(rh_st_add_meta(b, "late", ""), RH_E_ARGUMENT);
  assert_int_equal(rh_st_write(b, scratch_path("no/such/folder")), RH_E_IO);
  unsigned char *bytes;
  size_t n;
  rh_st *st;
  assert_ok(rh_st_bytes(b, &bytes, &n)); /* what was refused has left nothing behind */
  assert_ok(rh_st_read(bytes, n, "memory", &st));
  assert_int_equal(rh_st_count(st), 2);
  assert_ok(rh_st_check(st, true));
  rh_st_close(st);
  rh_free(bytes);
  rh_st_end(b);
}

static void shapes_are_checked(void **state) {
  (void)state;
  size_t n;
  unsigned char *bytes = build_bytes(&n, false, false);
  rh_st *st;
  assert_ok(rh_st_read(bytes, n, "m.rheo", &st));
  const rh_st_tensor *t = NULL;
  assert_ok(rh_st_get(st, "a.weight", 2, (const int64_t[]){3, 4}, &t));
  assert_int_equal(t->count, 12);
  assert_ok(rh_st_get(st, "a.weight", 2, (const int64_t[]){-1, 4}, &t));
  assert_ok(rh_st_get(st, "scalar", 0, NULL, &t));
  assert_int_equal(t->count, 1);
  const rh_st_tensor *const before = t;
  assert_int_equal(rh_st_get(st, "a.weight", 2, (const int64_t[]){-1, 3}, &t), RH_E_SHAPE);
  assert_string_equal(rh_last_error(), "m.rheo: tensor 'a.weight' has shape [3, 4], expected [any, 3]");
  assert_int_equal(rh_st_get(st, "a.weight", 1, (const int64_t[]){12}, &t), RH_E_SHAPE);
  assert_int_equal(rh_st_get(st, "scalar", 1, (const int64_t[]){1}, &t), RH_E_SHAPE);
  assert_string_equal(rh_last_error(), "m.rheo: tensor 'scalar' has shape [], expected [1]");
  assert_int_equal(rh_st_get(st, "a.wieght", 2, (const int64_t[]){3, 4}, &t), RH_E_FORMAT);
  assert_string_equal(rh_last_error(), "m.rheo: has no tensor 'a.wieght'; the nearest is 'a.weight'");
  assert_ptr_equal(t, before);
  rh_st_close(st);
  rh_free(bytes);
}

static void loading_converts(void **state) {
  (void)state;
  size_t n;
  unsigned char *bytes = build_bytes(&n, false, false);
  rh_st *st;
  assert_ok(rh_st_read(bytes, n, "m.rheo", &st));
  float f[12] = {0};
  double d[12] = {0};
  assert_ok(rh_st_load(st, "a.weight", 2, (const int64_t[]){3, 4}, RH_ST_F32, f));
  assert_memory_equal(f, weight, sizeof f);
  assert_ok(rh_st_load(st, "a.weight", 2, (const int64_t[]){3, 4}, RH_ST_F64, d));
  for (int i = 0; i < 12; i++) assert_true(d[i] == (double)weight[i]);
  assert_ok(rh_st_load(st, "z.bias", 1, (const int64_t[]){5}, RH_ST_F32, f));
  for (int i = 0; i < 5; i++) assert_true(f[i] == (float)bias[i]);
  assert_ok(rh_st_load(st, "\xCE\xB8", 1, (const int64_t[]){1}, RH_ST_F64, d));
  assert_true(isinf(d[0]));
  assert_ok(rh_st_load(st, "empty", 2, (const int64_t[]){0, 7}, RH_ST_F64, NULL));
  assert_int_equal(rh_st_load(st, "count", 1, (const int64_t[]){2}, RH_ST_F64, d), RH_E_UNSUPPORTED);
  assert_error_has("'count' is I64");
  assert_int_equal(rh_st_load(st, "z.bias", 1, (const int64_t[]){5}, RH_ST_I64, d), RH_E_ARGUMENT);
  assert_int_equal(rh_st_load(st, "z.bias", 1, (const int64_t[]){4}, RH_ST_F64, d), RH_E_SHAPE);
  rh_st_close(st);
  rh_free(bytes);
}

/* Every 16-bit pattern of both half types, against its definition. */
static void halves_convert(void **state) {
  (void)state;
  enum { N = 65536 };
  uint16_t *bits = malloc(N * sizeof *bits);
  double *d = malloc(N * sizeof *d);
  for (int i = 0; i < N; i++) bits[i] = (uint16_t)i;
  const int64_t dims = N;
  rh_st_builder *b = NULL;
  unsigned char *bytes;
  size_t n;
  rh_st *st;
  assert_ok(rh_st_begin(&b));
  assert_ok(rh_st_add(b, "f", RH_ST_F16, 1, &dims, bits));
  assert_ok(rh_st_add(b, "b", RH_ST_BF16, 1, &dims, bits));
  assert_ok(rh_st_bytes(b, &bytes, &n));
  assert_ok(rh_st_read(bytes, n, "memory", &st));
  for (int brain = 0; brain < 2; brain++) {
    const int fraction_bits = brain ? 7 : 10, exponents = brain ? 255 : 31, middle = brain ? 127 : 15;
    assert_ok(rh_st_load(st, brain ? "b" : "f", 1, &dims, RH_ST_F64, d));
    for (int i = 0; i < N; i++) {
      const int exponent = i >> fraction_bits & exponents, fraction = i & ((1 << fraction_bits) - 1);
      const double sign = i >> 15 ? -1 : 1, part = (double)fraction / (1 << fraction_bits);
      if (exponent == exponents) {
        assert_true(fraction ? isnan(d[i]) : d[i] == sign * INFINITY);
      } else {
        const double want = exponent ? (1 + part) * pow(2, exponent - middle) : part * pow(2, 1 - middle);
        assert_true(d[i] == sign * want && (signbit(d[i]) != 0) == (sign < 0));
      }
    }
  }
  rh_st_close(st);
  rh_st_end(b);
  rh_free(bytes);
  free(bits);
  free(d);
}

static void other_programs_read_ours(void **state) {
  (void)state;
  rh_st_builder *b = NULL;
  char command[512];
  assert_ok(build(&b, false, true));
  assert_ok(rh_st_write(b, scratch_path("ours.safetensors")));
  rh_st_end(b);
  snprintf(command, sizeof command, PYTHON " tests/model/safetensors_peer.py read %s", scratch_path("ours.safetensors"));
  assert_int_equal(system(command), 0);
}

static void ours_reads_other_programs(void **state) {
  (void)state;
  char command[512];
  snprintf(command, sizeof command, PYTHON " tests/model/safetensors_peer.py write %s", scratch_path("theirs.safetensors"));
  assert_int_equal(system(command), 0);
  rh_st *st;
  assert_ok(rh_st_open(scratch_path("theirs.safetensors"), &st));
  assert_int_equal(rh_st_count(st), 7);
  assert_string_equal(rh_st_meta(st, "format"), "np");
  float f[6];
  double d[6];
  assert_ok(rh_st_load(st, "w", 2, (const int64_t[]){2, 3}, RH_ST_F32, f));
  for (int i = 0; i < 6; i++) assert_true(f[i] == (float)i / 7.0f);
  assert_ok(rh_st_load(st, "v", 1, (const int64_t[]){2}, RH_ST_F64, d));
  assert_true(d[0] == 1.0 / 3 && d[1] == -1e300);
  f[0] = 77;
  assert_int_equal(rh_st_load(st, "v", 1, (const int64_t[]){2}, RH_ST_F32, f), RH_E_NUMERIC);
  assert_error_has("-1e+300 at 1 does not fit float32");
  assert_true(f[0] == 77);
  assert_ok(rh_st_load(st, "half", 1, (const int64_t[]){5}, RH_ST_F32, f));
  assert_true(f[0] == 1.5f && f[1] == -2 && f[2] == 0x1p-24f && f[3] == 65504 && isinf(f[4]));
  assert_ok(rh_st_load(st, "brain", 1, (const int64_t[]){3}, RH_ST_F32, f));
  assert_true(f[0] == 1.5f && f[1] == -2 && isinf(f[2]));
  const rh_st_tensor *t;
  assert_ok(rh_st_get(st, "index", 2, (const int64_t[]){2, 1}, &t));
  int32_t index[2];
  memcpy(index, t->data, sizeof index);
  assert_true(t->dtype == RH_ST_I32 && index[0] == -1 && index[1] == 2);
  assert_ok(rh_st_get(st, "none", 2, (const int64_t[]){2, 0}, &t));
  assert_int_equal(t->bytes, 0);
  rh_st_close(st);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(round_trip),      cmocka_unit_test(same_content_same_bytes),  cmocka_unit_test(nothing_at_all),
      cmocka_unit_test(builder_refuses), cmocka_unit_test(shapes_are_checked),       cmocka_unit_test(loading_converts),
      cmocka_unit_test(halves_convert),  cmocka_unit_test(other_programs_read_ours), cmocka_unit_test(ours_reads_other_programs),
  };
  return cmocka_run_group_tests(tests, scratch_make, scratch_remove);
}
