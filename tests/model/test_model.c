/* The model file: the same bits back, the same bytes always, and an error for everything else that may lie there. */
#define _XOPEN_SOURCE 700
#include "model/safetensors.h"
#include "model/specs.h"
#include "model/toy.h"

#include "model/scarce.h"

static rh_model *sample_model(int real_bytes) {
  rh_model *m = toy_model(SPEC_COUPLING, real_bytes, 3);
  m->columns = toy_json("[\"a\",\"b\",\"\u00fc\"]");
  m->handling = toy_json("{\"dropped\":[]}");
  m->fit = toy_json("{\"val\":-1.25,\"steps\":7}");
  return m;
}

static void saved_and_loaded_is_the_same(void **state) {
  (void)state;
  for (int real = 4; real <= 8; real += 4) {
    rh_model *m = sample_model(real), *back;
    toy_ok(rh_model_save(m, scratch_path("m")));
    toy_ok(rh_model_load(scratch_path("m"), &back));
    assert_int_equal(back->values.real_bytes, real);
    assert_true(json_equal(m->flow->spec, back->flow->spec));
    assert_true(json_equal(m->columns, back->columns) && json_equal(m->handling, back->handling) && json_equal(m->fit, back->fit));
    assert_int_equal(m->flow->leaves.n, back->flow->leaves.n);
    for (int c = 0; c < 2; c++) {
      assert_int_equal(m->flow->leaves.total[c], back->flow->leaves.total[c]);
      assert_memory_equal(m->values.flat[c], back->values.flat[c], (size_t)(m->flow->leaves.total[c] * real));
    }
    const toy_bytes a = toy_bytes_of(m), b = toy_bytes_of(back);
    toy_same(a, b);
    rh_bytes file;
    toy_ok(rh_bytes_open(scratch_path("m"), &file));
    assert_int_equal(file.size, a.n);
    assert_memory_equal(file.data, a.data, a.n);
    rh_bytes_close(&file);
    rh_free(a.data);
    rh_free(b.data);
    rh_model_destroy(m);
    rh_model_destroy(back);
  }
}

static void values_that_are_not_finite_are_not_written(void **state) {
  (void)state;
  rh_model *m = sample_model(4);
  toy_ok(rh_model_save(m, scratch_path("m")));
  const toy_bytes before = toy_bytes_of(m);
  rh_values_set(&m->flow->leaves, &m->values, 2, 1, NAN);
  assert_int_equal(rh_model_save(m, scratch_path("m")), RH_E_NUMERIC);
  assert_non_null(strstr(rh_last_error(), m->flow->leaves.leaf[2].name));
  rh_bytes file; /* the old one is there, whole */
  toy_ok(rh_bytes_open(scratch_path("m"), &file));
  assert_int_equal(file.size, before.n);
  assert_memory_equal(file.data, before.data, before.n);
  rh_bytes_close(&file);
  rh_free(before.data);
  rh_model_destroy(m);
}

/* ---- files that rheo did not write ---- */

/* A model file in pieces, to be put together wrongly. */
typedef struct forge {
  const char *skip, *rename, *extra; /* a tensor left out, of another name, too many */
  const char *reshape;               /* a tensor with its dims reversed and an axis more */
  const char *poison;                /* one that holds a NaN */
  const char *meta[8];               /* key, value, ...: instead of the model's own; value NULL: left out */
} forge;

static const char *forged_meta(const forge *f, const char *key, const char *own) {
  for (int i = 0; i + 1 < 8 && f->meta[i]; i += 2)
    if (strcmp(f->meta[i], key) == 0) return f->meta[i + 1];
  return own;
}

static rh_status read_forged(const forge *f) {
  rh_model *m = sample_model(4), *back = NULL;
  const toy_bytes own = toy_bytes_of(m);
  rh_st *st;
  rh_st_builder *b;
  toy_ok(rh_st_read(own.data, own.n, "own", &st));
  toy_ok(rh_st_begin(&b));
  static float numbers[4096];
  memset(numbers, 0, sizeof numbers);
  numbers[0] = NAN;
  for (int64_t i = 0; i < rh_st_count(st); i++) {
    const rh_st_tensor *t = rh_st_at(st, i);
    if (f->skip && strcmp(t->name, f->skip) == 0) continue;
    int64_t dims[RH_ST_RANK] = {1};
    const bool reshape = f->reshape && strcmp(t->name, f->reshape) == 0, poison = f->poison && strcmp(t->name, f->poison) == 0;
    memcpy(dims + reshape, t->dims, (size_t)t->rank * sizeof *dims);
    toy_ok(rh_st_add(b, f->rename && strcmp(t->name, f->rename) == 0 ? "another" : t->name, t->dtype, t->rank + reshape, dims,
                     poison ? numbers : t->data));
  }
  const int64_t one = 1;
  if (f->extra) toy_ok(rh_st_add(b, f->extra, RH_ST_F32, 1, &one, numbers + 1));
  static const char *const keys[] = {"rheo", "dtype", "spec", "columns", "handling", "fit"};
  for (size_t i = 0; i < RH_COUNT_OF(keys); i++) {
    const char *value = forged_meta(f, keys[i], rh_st_meta(st, keys[i]));
    if (value) toy_ok(rh_st_add_meta(b, keys[i], value));
  }
  toy_ok(rh_st_seal(b));
  unsigned char *bytes;
  size_t n;
  toy_ok(rh_st_bytes(b, &bytes, &n));
  const rh_status status = rh_model_read(bytes, n, "forged.rheo", &back);
  rh_free(bytes);
  rh_st_end(b);
  rh_st_close(st);
  rh_free(own.data);
  rh_model_destroy(m);
  rh_model_destroy(back);
  return status;
}

static void refused(forge f, const char *says) {
  const rh_status status = read_forged(&f);
  assert_int_not_equal(status, RH_OK);
  const char *error = rh_last_error();
  if (strncmp(error, "forged.rheo: ", 13) != 0 || !strstr(error, says)) fail_msg("'%s' does not say '%s'", error, says);
  assert_null(strchr(error, '\n'));
}

static void forged_files_are_refused(void **state) {
  (void)state;
  rh_model *m = sample_model(4);
  const rh_leaves *leaves = &m->flow->leaves;
  const char *name = leaves->leaf[leaves->n / 2].name;
  assert_int_equal(read_forged(&(forge){0}), RH_OK); /* put together rightly */
  refused((forge){.skip = name}, name);
  refused((forge){.rename = name}, name);
  refused((forge){.extra = "flow.99.weight"}, "flow.99.weight");
  refused((forge){.reshape = name}, name);
  refused((forge){.poison = name}, name);
  refused((forge){.meta = {"rheo", NULL}}, "rheo");
  refused((forge){.meta = {"rheo", "2"}}, "format");
  refused((forge){.meta = {"dtype", "f16"}}, "dtype");
  refused((forge){.meta = {"spec", NULL}}, "spec");
  refused((forge){.meta = {"spec", "{"}}, "spec");
  refused((forge){.meta = {"spec", "[]"}}, "spec");
  refused((forge){.meta = {"spec", "{}"}}, "columns");
  refused((forge){.meta = {"columns", "[\"a\"]"}}, "column");
  refused((forge){.meta = {"columns", "[1,2,3]"}}, "column");
  refused((forge){.meta = {"columns", "{}"}}, "columns");
  refused((forge){.meta = {"fit", "7"}}, "fit");
  rh_model_destroy(m);
}

/* Specifications that would take the machine's memory or time if they were believed. */
static void enormous_specifications_are_refused(void **state) {
  (void)state;
  static const char *const specs[] = {
      "{\"columns\":9223372036854775807,\"flow\":{\"type\":\"chain\",\"parts\":[]},\"base\":{\"type\":\"normal\"}}",
      "{\"columns\":1e18,\"flow\":{\"type\":\"chain\",\"parts\":[]},\"base\":{\"type\":\"normal\"}}",
      "{\"columns\":-3,\"flow\":{\"type\":\"chain\",\"parts\":[]},\"base\":{\"type\":\"normal\"}}",
      "{\"columns\":16777217,\"flow\":{\"type\":\"chain\",\"parts\":[]},\"base\":{\"type\":\"normal\"}}",
      "{\"columns\":1000000,\"context\":1000000000000,\"flow\":{\"type\":\"chain\",\"parts\":[]},\"base\":{\"type\":\"normal\"}}",
      "{\"columns\":3,\"flow\":{\"type\":\"coupling\",\"net\":{\"type\":\"mlp\",\"hidden\":[1000000000,1000000000]}},\"base\":{"
      "\"type\":"
      "\"normal\"}}",
      "{\"columns\":3,\"flow\":{\"type\":\"coupling\",\"net\":{\"type\":\"mlp\",\"hidden\":[4611686018427387904]}},\"base\":{"
      "\"type\":"
      "\"normal\"}}",
  };
  for (size_t i = 0; i < RH_COUNT_OF(specs); i++) refused((forge){.meta = {"spec", specs[i]}}, "");
  /* many parts over many columns */
  char *spec = rh_alloc(4 << 20), *at = spec + sprintf(spec, "{\"columns\":1000000,\"context\":0,\"flow\":{\"type\":\"chain\",\"parts\":[");
  for (int i = 0; i < 50000; i++) at += sprintf(at, "%s{\"type\":\"permutation\"}", i ? "," : "");
  sprintf(at, "]},\"base\":{\"type\":\"normal\"}}");
  refused((forge){.meta = {"spec", spec}}, "");
  rh_free(spec);
  json_t *json = toy_json(
      "{\"columns\":3,\"flow\":{\"type\":\"coupling\",\"net\":{\"type\":\"mlp\",\"hidden\":[8192,8192]}},\"base\":{\"type\":"
      "\"normal\"}}");
  rh_model *m = NULL;
  assert_int_equal(rh_model_create(json, 4, 1, 8, 1e9, &m), RH_E_MEMORY); /* 8 copies of 67 million numbers */
  assert_non_null(strstr(rh_last_error(), "GB"));
  assert_null(m);
  json_decref(json);
}

/* Every byte changed, every length. */
static void damaged_files_are_refused(void **state) {
  (void)state;
  rh_model *m = sample_model(4), *back = NULL;
  const toy_bytes b = toy_bytes_of(m);
  unsigned char *copy = rh_alloc(b.n);
  for (size_t n = 0; n < b.n; n += n < 4096 ? 1 : 97) {
    memcpy(copy, b.data, n);
    assert_int_not_equal(rh_model_read(copy, n, "cut", &back), RH_OK);
  }
  memcpy(copy, b.data, b.n);
  const rh_rng rng = rh_rng_at(1, 0, 0, RH_STREAM_TEST);
  int unseen = 0;
  for (size_t i = 0; i < b.n; i++) {
    const unsigned char flip = (unsigned char)(1 + rh_rng_below(&rng, (int64_t)i, 255));
    copy[i] ^= flip;
    if (rh_model_read(copy, b.n, "changed", &back) == RH_OK) { /* only the seal's own name may change unseen: the content has not */
      const toy_bytes same = toy_bytes_of(back);
      toy_same(b, same);
      rh_free(same.data);
      rh_model_destroy(back);
      unseen++;
    }
    copy[i] ^= flip;
  }
  assert_true(unseen <= 4);
  toy_ok(rh_model_read(copy, b.n, "whole", &back));
  rh_model_destroy(back);
  rh_free(copy);
  rh_free(b.data);
  rh_model_destroy(m);
}

/* The specification's text with bytes changed, sealed again: mostly errors, never a crash, and what loads can be written. */
static void mutate(const rh_model *m) {
  char *text = rh_json_text(m->flow->spec);
  const size_t n = strlen(text);
  char *copy = rh_alloc(n + 1);
  const rh_rng rng = rh_rng_at(2, 0, 0, RH_STREAM_TEST);
  static const char letters[] = "0123456789-.eE\"{}[]:,tfnulrasc ";
  for (int64_t i = 0; i < 3000; i++) {
    memcpy(copy, text, n + 1);
    for (int64_t k = 0; k < 1 + i % 3; k++)
      copy[rh_rng_below(&rng, 8 * i + 2 * k, n)] = letters[rh_rng_below(&rng, 8 * i + 2 * k + 1, sizeof letters - 1)];
    (void)!read_forged(&(forge){.meta = {"spec", copy}});
  }
  rh_free(copy);
  free(text);
}

static void mutated_specifications_do_no_harm(void **state) {
  (void)state;
  static const char *const specs[] = {SPEC_COUPLING, SPEC_MASKED};
  for (size_t i = 0; i < RH_COUNT_OF(specs); i++) {
    rh_model *m = toy_model(specs[i], 4, 3);
    mutate(m);
    rh_model_destroy(m);
  }
}

static void lost_allocations_are_errors(void **state) {
  (void)state;
  rh_model *m = sample_model(4);
  const toy_bytes b = toy_bytes_of(m);
  int n = 0;
  for (bool done = false; !done; n++) {
    rh_model *back = NULL;
    scarce_begin(n);
    const rh_status status = rh_model_read(b.data, b.n, "file", &back);
    scarce_end();
    done = status == RH_OK;
    if (done) rh_model_destroy(back);
    if (!done) assert_null(back);
  }
  assert_true(n > 20);
  for (bool done = false; !done; n++) {
    unsigned char *bytes = NULL;
    size_t size = 0;
    scarce_begin(n);
    done = rh_model_bytes(m, &bytes, &size) == RH_OK;
    scarce_end();
    if (!done) continue;
    assert_int_equal(size, b.n);
    assert_memory_equal(bytes, b.data, size);
    rh_free(bytes);
  }
  rh_free(b.data);
  rh_model_destroy(m);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(saved_and_loaded_is_the_same), cmocka_unit_test(values_that_are_not_finite_are_not_written),
      cmocka_unit_test(forged_files_are_refused),     cmocka_unit_test(enormous_specifications_are_refused),
      cmocka_unit_test(damaged_files_are_refused),    cmocka_unit_test(mutated_specifications_do_no_harm),
      cmocka_unit_test(lost_allocations_are_errors),
  };
  return cmocka_run_group_tests(tests, scratch_make, scratch_remove);
}
