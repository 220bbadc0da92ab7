/* Damaged and hostile tensor files, and lack of memory: an error, never a crash, never other content. */
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

/* ---- hostile files ---- */

/* Reads bytes from a block of exactly that size, so that a sanitizer sees every byte too far. */
static rh_status read_exact(const void *bytes, size_t n, rh_st **st, void **block) {
  *block = malloc(n ? n : 1);
  memcpy(*block, bytes, n);
  return rh_st_read(*block, n, "bad", st);
}

static const struct {
  const char *header;
  int data_bytes;
  const char *word;
} hostile[] = {
    {"", 0, "does not begin with '{'"},
    {"[]", 0, "does not begin with '{'"},
    {" {}", 0, "does not begin with '{'"},
    {"{", 0, "header: the JSON text ends too early"},
    {"{}x", 0, "header: line 1"},
    {"{}", 1, "1 bytes behind the last tensor"},
    {"{\"w\":3}", 0, "expected an object of options, not an integer"},
    {"{\"w\":{}}", 0, "needs dtype, shape and two data_offsets"},
    {"{\"w\":{\"dtype\":\"F32\",\"shape\":[1]}}", 4, "needs dtype"},
    {"{\"w\":{\"dtype\":\"F32\",\"data_offsets\":[0,4]}}", 4, "needs dtype"},
    {"{\"w\":{\"shape\":[1],\"data_offsets\":[0,4]}}", 4, "needs dtype"},
    {"{\"w\":{\"dtype\":\"F31\",\"shape\":[1],\"data_offsets\":[0,4]}}", 4, "did you mean 'F32'"},
    {"{\"w\":{\"dtype\":7,\"shape\":[1],\"data_offsets\":[0,4]}}", 4, "expected a text"},
    {"{\"w\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0]}}", 4, "two data_offsets"},
    {"{\"w\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4,8]}}", 4, "3 numbers are too many"},
    {"{\"w\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[-4,0]}}", 4, "-4 is out of range"},
    {"{\"w\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[4,0]}}", 4, "lie outside"},
    {"{\"w\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,5]}}", 4, "lie outside"},
    {"{\"w\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,9223372036854775807]}}", 4, "lie outside"},
    {"{\"w\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,9223372036854775808]}}", 4, "too big integer"},
    {"{\"w\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[9223372036854775803,9223372036854775807]}}", 4, "lie outside"},
    {"{\"w\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,4]}}", 4, "4 bytes where its shape and type need 8"},
    {"{\"w\":{\"dtype\":\"F32\",\"shape\":[-1],\"data_offsets\":[0,4]}}", 4, "-1 is out of range"},
    {"{\"w\":{\"dtype\":\"F32\",\"shape\":[1.5],\"data_offsets\":[0,4]}}", 4, "array of integers"},
    {"{\"w\":{\"dtype\":\"F32\",\"shape\":[4611686018427387904,4],\"data_offsets\":[0,0]}}", 0, "overflows"},
    {"{\"w\":{\"dtype\":\"F64\",\"shape\":[1152921504606846976],\"data_offsets\":[0,0]}}", 0, "overflows"},
    {"{\"w\":{\"dtype\":\"F64\",\"shape\":[2305843009213693953],\"data_offsets\":[0,8]}}", 8, "overflows"},
    {"{\"w\":{\"dtype\":\"U8\",\"shape\":[1,1,1,1,1,1,1,1,1],\"data_offsets\":[0,1]}}", 1, "at most 8"},
    {"{\"w\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1],\"more\":1}}", 1, "unknown key 'more'"},
    {"{\"w\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[1,2]}}", 2, "leaves a hole"},
    {"{\"w\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]}}", 2, "1 bytes behind"},
    {"{\"v\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]},\"w\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]}}", 1,
     "overlaps"},
    {"{\"v\":{\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":[0,2]},\"w\":{\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":[1,3]}}", 3,
     "overlaps"},
    {"{\"w\":{\"dtype\":\"U8\",\"shape\":[0],\"data_offsets\":[1,1]},\"v\":{\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":[0,2]}}", 2,
     "leaves a hole"},
    {"{\"w\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]},\"w\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[1,2]}}", 2,
     "duplicate"},
    {"{\"\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]}}", 1, "1 to 512 bytes"},
    {"{\"a\\nb\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,2]}}", 2, "tensor 'a?b'"},
    {"{\"w\\u0000\":{}}", 0, "NUL"},
    {"{\"__metadata__\":[]}", 0, "not an object"},
    {"{\"__metadata__\":{\"k\":1}}", 0, "metadata 'k' is not a text"},
    {"{\"__metadata__\":{\"k\":{\"k\":\"v\"}}}", 0, "metadata 'k' is not a text"},
    {"{\"w\":[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[", 0, "nested deeper"},
};

static void hostile_headers(void **state) {
  (void)state;
  for (size_t i = 0; i < RH_COUNT_OF(hostile); i++) {
    unsigned char bytes[1024] = {0};
    const uint64_t length = strlen(hostile[i].header);
    memcpy(bytes, &length, 8);
    memcpy(bytes + 8, hostile[i].header, (size_t)length);
    rh_st *st = NULL;
    void *block;
    const rh_status status = read_exact(bytes, 8 + (size_t)length + (size_t)hostile[i].data_bytes, &st, &block);
    if (status != RH_E_FORMAT) fail_msg("%s: %s", hostile[i].header, rh_status_text(status));
    assert_null(st);
    assert_error_has("bad: ");
    assert_error_has(hostile[i].word);
    free(block);
  }
}

static void hostile_lengths(void **state) {
  (void)state;
  static const uint64_t lengths[] = {3,
                                     4,
                                     1000,
                                     RH_ST_NAME_BYTES,
                                     (uint64_t)1 << 24,
                                     ((uint64_t)1 << 24) + 1,
                                     (uint64_t)1 << 32,
                                     (uint64_t)1 << 63,
                                     UINT64_MAX,
                                     UINT64_MAX - 7,
                                     UINT64_MAX - 8};
  for (size_t i = 0; i < RH_COUNT_OF(lengths); i++) {
    unsigned char bytes[10] = {0, 0, 0, 0, 0, 0, 0, 0, '{', '}'};
    memcpy(bytes, &lengths[i], 8);
    rh_st *st = NULL;
    void *block;
    assert_int_equal(read_exact(bytes, sizeof bytes, &st, &block), RH_E_FORMAT);
    assert_error_has("announces a header");
    free(block);
  }
}

static void every_truncation(void **state) {
  (void)state;
  size_t n;
  unsigned char *bytes = build_bytes(&n, false, false);
  for (size_t cut = 0; cut < n; cut++) {
    rh_st *st = NULL;
    void *block;
    assert_int_equal(read_exact(bytes, cut, &st, &block), RH_E_FORMAT);
    assert_null(st);
    free(block);
  }
  rh_free(bytes);
}

/* Any byte changed to anything: an error, or a file of the same content (white space moved), never a crash and never other content. */
static void every_byte_changed(void **state) {
  (void)state;
  size_t n;
  unsigned char *bytes = build_bytes(&n, false, true);
  int refused = 0, fine = 0;
  for (size_t at = 0; at < n; at++) {
    const int step = at % 8 ? 7 : 1; /* all values at every eighth byte, 37 of them elsewhere: time under sanitizers */
    for (int flip = 1; flip < 256; flip += step) {
      bytes[at] ^= (unsigned char)flip;
      rh_st *st = NULL;
      void *block;
      rh_status status = read_exact(bytes, n, &st, &block);
      if (status == RH_OK) status = rh_st_check(st, true);
      if (status == RH_OK) {
        assert_true(same_content(st));
        fine++;
      } else {
        assert_int_equal(status, RH_E_FORMAT);
        refused++;
      }
      rh_st_close(st);
      free(block);
      bytes[at] ^= (unsigned char)flip;
    }
  }
  assert_true(refused > 1000 && fine < refused / 50);
  rh_free(bytes);
}

static void files_that_are_none(void **state) {
  (void)state;
  rh_st *st = NULL;
  assert_int_equal(rh_st_open(scratch_path("missing"), &st), RH_E_IO);
  assert_int_equal(rh_st_open(scratch, &st), RH_E_IO);
  assert_int_equal(rh_st_open("/dev/null", &st), RH_E_FORMAT);
  FILE *file = fopen(scratch_path("table.csv"), "w");
  fputs("a,b,c\n1,2,3\n", file);
  fclose(file);
  assert_int_equal(rh_st_open(scratch_path("table.csv"), &st), RH_E_FORMAT);
  assert_error_has("table.csv: announces a header");
  assert_error_has("not a safetensors file");
  assert_null(st);
}

/* ---- memory, call by call ---- */

static void building_without_memory(void **state) {
  (void)state;
  size_t n, m;
  unsigned char *want = build_bytes(&n, false, true);
  int failures = 0;
  for (int at = 0;; at++) {
    unsigned char *bytes = NULL;
    rh_st_builder *b = NULL;
    scarce_begin(at);
    rh_status status = build(&b, false, true);
    if (status == RH_OK) status = rh_st_bytes(b, &bytes, &m);
    (void)scarce_end();
    rh_st_end(b);
    if (status == RH_OK) {
      assert_int_equal(n, m);
      assert_memory_equal(bytes, want, n);
      rh_free(bytes);
      break;
    }
    assert_int_equal(status, RH_E_MEMORY);
    assert_error_has("out of memory");
    assert_null(bytes);
    failures++;
  }
  assert_true(failures > 30);
  rh_free(want);
}

/* A builder that ran out of memory while adding or writing is as it was. */
static void builder_survives_lack_of_memory(void **state) {
  (void)state;
  size_t n, m;
  unsigned char *want = build_bytes(&n, false, false), *bytes = NULL;
  rh_st_builder *b = NULL;
  assert_ok(rh_st_begin(&b));
  for (int i = 0; i < SAMPLES; i++) {
    const struct sample *s = &samples[i];
    rh_status status = RH_E_MEMORY;
    for (int at = 0; status != RH_OK; at++) {
      scarce_begin(at);
      status = rh_st_add(b, s->name, s->dtype, s->rank, s->dims, s->data);
      (void)scarce_end();
      assert_true(status == RH_OK || status == RH_E_MEMORY);
    }
  }
  assert_ok(rh_st_add_meta(b, "rheo", "1"));
  assert_ok(rh_st_add_meta(b, "spec", "{\"arch\":\"realnvp\",\"text\":\"\\\"\xC3\xA9\\n\"}"));
  rh_status status = RH_E_MEMORY;
  for (int at = 0; status != RH_OK; at++) {
    scarce_begin(at);
    status = rh_st_bytes(b, &bytes, &m);
    (void)scarce_end();
  }
  assert_int_equal(n, m);
  assert_memory_equal(bytes, want, n);
  rh_st_end(b);
  rh_free(bytes);
  rh_free(want);
}

static void reading_without_memory(void **state) {
  (void)state;
  size_t n;
  unsigned char *bytes = build_bytes(&n, false, true);
  int failures = 0;
  for (int at = 0;; at++) {
    rh_st *st = NULL;
    scarce_begin(at);
    rh_status status = rh_st_read(bytes, n, "memory", &st);
    if (status == RH_OK) status = rh_st_check(st, true);
    (void)scarce_end();
    if (status == RH_OK) {
      assert_true(same_content(st));
      const rh_st_tensor *t;
      scarce_begin(0); /* the error for a missing name does without its suggestion */
      assert_int_equal(rh_st_get(st, "a.wieght", 0, NULL, &t), RH_E_FORMAT);
      (void)scarce_end();
      assert_string_equal(rh_last_error(), "memory: has no tensor 'a.wieght'");
      rh_st_close(st);
      break;
    }
    assert_true(status == RH_E_MEMORY || status == RH_E_FORMAT); /* JSON's parser calls some of them a syntax error */
    assert_null(st);
    failures++;
  }
  assert_true(failures > 30);
  rh_free(bytes);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(hostile_headers),
      cmocka_unit_test(hostile_lengths),
      cmocka_unit_test(every_truncation),
      cmocka_unit_test(every_byte_changed),
      cmocka_unit_test(files_that_are_none),
      cmocka_unit_test(building_without_memory),
      cmocka_unit_test(builder_survives_lack_of_memory),
      cmocka_unit_test(reading_without_memory),
  };
  return cmocka_run_group_tests(tests, scratch_make, scratch_remove);
}
