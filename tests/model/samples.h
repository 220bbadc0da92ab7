/* A file with one of everything, for the tests of tensor files; include after cmocka.h. */
#ifndef RH_TESTS_MODEL_SAMPLES_H
#define RH_TESTS_MODEL_SAMPLES_H
#include <math.h>
#include <string.h>

#include "base/memory.h"
#include "model/safetensors.h"

#define assert_ok(call)                                   \
  do {                                                    \
    if ((call) != RH_OK) fail_msg("%s", rh_last_error()); \
  } while (0)
#define assert_error_has(word)                                                              \
  do {                                                                                      \
    if (!strstr(rh_last_error(), word)) fail_msg("'%s' lacks '%s'", rh_last_error(), word); \
    assert_null(strchr(rh_last_error(), '\n'));                                             \
  } while (0)

static float weight[12], theta[1] = {INFINITY};
static double bias[5], scalar = 2.5;
static const int64_t counts[2] = {-7, (int64_t)1 << 62};
static const unsigned char bytes3[3] = {0, 128, 255};

static const struct sample {
  const char *name;
  rh_st_dtype dtype;
  int rank;
  int64_t dims[2];
  const void *data;
} samples[] = {
    {"z.bias", RH_ST_F64, 1, {5}, bias},    {"a.weight", RH_ST_F32, 2, {3, 4}, weight}, {"count", RH_ST_I64, 1, {2}, counts},
    {"bytes", RH_ST_U8, 1, {3}, bytes3},    {"scalar", RH_ST_F64, 0, {0}, &scalar},     {"empty", RH_ST_F32, 2, {0, 7}, NULL},
    {"\xCE\xB8", RH_ST_F32, 1, {1}, theta},
};
enum { SAMPLES = sizeof samples / sizeof *samples };

static inline rh_status build(rh_st_builder **out, bool backwards, bool sealed) {
  for (int i = 0; i < 12; i++) weight[i] = (float)i * 0.5f - 3;
  for (int i = 0; i < 5; i++) bias[i] = i * 0.1 - 3;
  rh_st_builder *b = NULL;
  RH_TRY(rh_st_begin(&b));
  rh_status status = RH_OK;
  if (backwards) status = rh_st_add_meta(b, "spec", "{\"arch\":\"realnvp\",\"text\":\"\\\"\xC3\xA9\\n\"}");
  for (int i = 0; i < SAMPLES && status == RH_OK; i++) {
    const struct sample *s = &samples[backwards ? SAMPLES - 1 - i : i];
    status = rh_st_add(b, s->name, s->dtype, s->rank, s->dims, s->data);
  }
  if (status == RH_OK) status = rh_st_add_meta(b, "rheo", "1");
  if (!backwards && status == RH_OK) status = rh_st_add_meta(b, "spec", "{\"arch\":\"realnvp\",\"text\":\"\\\"\xC3\xA9\\n\"}");
  if (sealed && status == RH_OK) status = rh_st_seal(b);
  if (status != RH_OK) {
    rh_st_end(b);
    return status;
  }
  *out = b;
  return RH_OK;
}

static inline unsigned char *build_bytes(size_t *n, bool backwards, bool sealed) {
  rh_st_builder *b = NULL;
  unsigned char *bytes = NULL;
  assert_ok(build(&b, backwards, sealed));
  assert_ok(rh_st_bytes(b, &bytes, n));
  rh_st_end(b);
  return bytes;
}

static inline size_t bytes_of(const struct sample *s) {
  size_t n = rh_st_dtype_bytes(s->dtype);
  for (int i = 0; i < s->rank; i++) n *= (size_t)s->dims[i];
  return n;
}

/* Is the content that of the samples? */
static inline bool same_content(const rh_st *st) {
  bool same = rh_st_count(st) == SAMPLES;
  for (int i = 0; i < SAMPLES && same; i++) {
    const struct sample *s = &samples[i];
    const rh_st_tensor *t = rh_st_find(st, s->name);
    same = t && t->dtype == s->dtype && t->rank == s->rank && t->bytes == bytes_of(s) && strcmp(t->name, s->name) == 0;
    for (int j = 0; same && j < s->rank; j++) same = t->dims[j] == s->dims[j];
    same = same && (t->bytes == 0 || memcmp(t->data, s->data, t->bytes) == 0);
  }
  const char *rheo = rh_st_meta(st, "rheo"), *spec = rh_st_meta(st, "spec");
  return same && rheo && strcmp(rheo, "1") == 0 && spec && strcmp(spec, "{\"arch\":\"realnvp\",\"text\":\"\\\"\xC3\xA9\\n\"}") == 0;
}
#endif
