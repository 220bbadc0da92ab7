/* Models of images from C: what the face says of them, files in and out against arrays, round trips; every argument is checked, and no
 * failed allocation is lost. */
#define _XOPEN_SOURCE 700 /* mkdtemp */
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "api/face.h"
#include "base/rng.h"

enum { N = 120, SIDE = 4, D = SIDE * SIDE, CLASSES = 3, MOST = 12 };
#define TINY "\"steps\": 3, \"threads\": 1, \"set\": {\"hidden\": 4, \"steps\": 1, \"levels\": 1, \"batch\": 32}"
static char folder[64];
static unsigned char image[N * D], label[N];

static const char *at(const char *name) {
  static char path[4][160];
  static int next;
  next = (next + 1) % 4;
  snprintf(path[next], sizeof path[next], "%s/%s", folder, name);
  return path[next];
}

static void put_idx(const char *name, int axes, const unsigned char *data, size_t n) {
  unsigned char head[16] = {0, 0, 8, (unsigned char)axes, 0, 0, 0, N, 0, 0, 0, SIDE, 0, 0, 0, SIDE};
  FILE *file = fopen(at(name), "wb");
  assert_non_null(file);
  assert_int_equal(fwrite(head, 1, 4 + 4 * (size_t)axes, file), 4 + 4 * (size_t)axes);
  assert_int_equal(fwrite(data, 1, n, file), n);
  assert_int_equal(fclose(file), 0);
}

static size_t take(const char *name, unsigned char *data, size_t most) {
  FILE *file = fopen(at(name), "rb");
  assert_non_null(file);
  const size_t n = fread(data, 1, most, file);
  fclose(file);
  return n;
}

/* Smooth images whose brightness follows the class: values 0 to MOST, which need 4 bits. */
static int start(void **state) {
  (void)state;
  strcpy(folder, "/tmp/rheo-images-XXXXXX");
  if (!mkdtemp(folder)) return -1;
  double u[N * 3];
  const rh_rng rng = rh_rng_at(1, 0, 0, RH_STREAM_TEST);
  rh_rng_uniform(&rng, 0, N * 3, u);
  for (int i = 0; i < N; i++) {
    label[i] = (unsigned char)(i % CLASSES);
    for (int j = 0; j < D; j++) {
      const double value = 2 + 3 * label[i] + 2 * u[3 * i] * (j / SIDE) / 3 + 2 * u[3 * i + 1] * (j % SIDE) / 3;
      image[i * D + j] = (unsigned char)(value > MOST ? MOST : value);
    }
  }
  image[0] = MOST;
  put_idx("x", 3, image, sizeof image);
  put_idx("y", 1, label, sizeof label);
  unsigned char odd[N];
  for (int i = 0; i < N; i++) odd[i] = label[i] == 2;
  put_idx("odd", 1, odd, sizeof odd);
  return 0;
}

static int stop(void **state) {
  (void)state;
  static const char *const names[] = {"x", "y", "out.npy", "a.npy", "out.png", "z.npy", "model.rheo", "odd"};
  for (size_t i = 0; i < sizeof names / sizeof *names; i++) unlink(at(names[i]));
  return rmdir(folder);
}

static rh_density *fitted(const char *more) {
  char options[400];
  rh_density *d = NULL;
  snprintf(options, sizeof options, "{\"dtype\": \"f64\", %s" TINY "}", more);
  OK(rh_fit_files(at("x"), NULL, NULL, options, NULL, NULL, &d, NULL));
  return d;
}

static const char *with_labels(void) {
  static char text[200];
  snprintf(text, sizeof text, "\"labels\": \"%s\", ", at("y"));
  return text;
}

static json_t *parsed(char *report) {
  json_t *o = json_loads(report, 0, NULL);
  assert_non_null(o);
  rh_text_free(report);
  return o;
}

/* The values of an array of images: what stands behind NPY's header of 128 bytes. */
static void taken(const char *name, size_t n, unsigned char *values) {
  static unsigned char file[128 + N * D + 1];
  assert_int_equal(take(name, file, sizeof file), 128 + n);
  memcpy(values, file + 128, n);
}

static void what_it_is(void **state) {
  (void)state;
  int64_t h = 0, w = 0, c = 0;
  int bits = 0, data_bits = 0;
  rh_density *d = fitted(with_labels()), *coarse = fitted("\"bits\": 2, "), *table = NULL;
  assert_int_equal(rh_density_columns(d), D);
  assert_int_equal(rh_density_context(d), 1);
  assert_int_equal(rh_density_latent(d), D);
  assert_int_equal(rh_density_image(d, &h, &w, &c, &bits, &data_bits), 1);
  assert_true(h == SIDE && w == SIDE && c == 1 && bits == 4 && data_bits == 4);
  assert_int_equal(rh_density_image(coarse, NULL, NULL, NULL, &bits, &data_bits), 1);
  assert_true(bits == 2 && data_bits == 4);
  double x[40] = {0};
  for (int i = 0; i < 40; i++) x[i] = sin(i);
  OK(rh_fit_blocks(&(rh_block){x, 20, 2, 8}, NULL, NULL, "{" SMALL "}", NULL, NULL, &table, NULL));
  h = 7;
  assert_int_equal(rh_density_image(table, &h, &w, &c, &bits, &data_bits), 0);
  assert_int_equal(rh_density_image(NULL, &h, NULL, NULL, NULL, NULL), 0);
  assert_int_equal(h, 7);
  rh_density_close(d);
  rh_density_close(coarse);
  rh_density_close(table);
}

static size_t saved(rh_density *d, unsigned char *bytes, size_t most) {
  OK(rh_density_save(d, at("model.rheo")));
  return take("model.rheo", bytes, most);
}

/* Bytes in memory give the model of the files, byte for byte; what does not fit is refused. */
static void images_in_memory(void **state) {
  (void)state;
  enum { MOST_BYTES = 1 << 20 };
  static unsigned char labelled[N * (D + 1)], of_files[MOST_BYTES], of_blocks[MOST_BYTES], zeros[N * D];
  for (int i = 0; i < N; i++) {
    memcpy(labelled + i * (D + 1), image + i * D, D);
    labelled[i * (D + 1) + D] = label[i];
  }
  const rh_block plain = {image, N, D, 1}, with = {labelled, N, D + 1, 1}, few = {image, 10, D, 1}, empty = {zeros, N, D, 1};
#define FIT(block, val, more) \
  rh_fit_blocks(block, val, NULL, "{\"dtype\": \"f64\", \"image\": [4, 4, 1], " more TINY "}", NULL, NULL, &d, NULL)
  for (int labels = 0; labels <= 1; labels++) {
    rh_density *d = fitted(labels ? with_labels() : "");
    const size_t n = saved(d, of_files, sizeof of_files);
    rh_density_close(d);
    d = NULL;
    OK(labels ? FIT(&with, NULL, "\"labels\": \"own\", ") : FIT(&plain, NULL, ""));
    assert_int_equal(saved(d, of_blocks, sizeof of_blocks), n);
    assert_memory_equal(of_files, of_blocks, n);
    rh_density_close(d);
  }
  rh_density *d = NULL;
  OK(FIT(&plain, &few, ""));
  rh_density_close(d);
  d = NULL;
  static unsigned char bright[N * D];
  memset(bright, 200, sizeof bright);
  const rh_block beyond = {bright, N, D, 1}, wide = {image, N, D, 8}, none = {NULL, N, D, 1};
  REFUSED(RH_E_SHAPE, FIT(&with, NULL, ""));                       /* a label, but no labels */
  REFUSED(RH_E_SHAPE, FIT(&plain, NULL, "\"labels\": \"own\", ")); /* the other way round */
  REFUSED(RH_E_SHAPE, FIT(&plain, &with, ""));
  REFUSED(RH_E_DATA, FIT(&plain, &beyond, ""));
  REFUSED(RH_E_DATA, FIT(&empty, NULL, ""));
  REFUSED(RH_E_ARGUMENT, FIT(&wide, NULL, ""));
  REFUSED(RH_E_ARGUMENT, FIT(&none, NULL, ""));
  REFUSED(RH_E_ARGUMENT, FIT(&plain, NULL, "\"labels\": \"labels.idx\", "));
  REFUSED(RH_E_ARGUMENT, FIT(&plain, NULL, "\"columns\": \"1-4\", "));
#undef FIT
  static const char *const shapes[] = {"[4, 4]", "[4, 4, 1, 1]", "[0, 4, 1]", "[-4, -4, 1]", "16", "[4, 2, 2]", "[4000000, 4000000, 3]"};
  for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
    char options[400];
    snprintf(options, sizeof options, "{\"image\": %s, " TINY "}", shapes[i]);
    REFUSED(i < 5 ? RH_E_ARGUMENT : RH_E_SHAPE, rh_fit_blocks(&plain, NULL, NULL, options, NULL, NULL, &d, NULL));
  }
  REFUSED(RH_E_ARGUMENT, rh_fit_blocks(&plain, NULL, NULL, "{" TINY "}", NULL, NULL, &d, NULL));
  REFUSED(RH_E_ARGUMENT, rh_fit_files(at("x"), NULL, NULL, "{\"image\": [4, 4, 1], " TINY "}", NULL, NULL, &d, NULL));
  assert_null(d);
}

/* bits/dim = -log2 p / (h w c), and its error; files and arrays agree. */
static void scores(void **state) {
  (void)state;
  static double x[N * (D + 1)], log_prob[N];
  char options[200], *report = NULL;
  rh_density *d = fitted(with_labels());
  for (int i = 0; i < N; i++) {
    for (int j = 0; j < D; j++) x[i * (D + 1) + j] = image[i * D + j];
    x[i * (D + 1) + D] = label[i];
  }
  OK(rh_density_log_prob(d, N, x, log_prob));
  double mean = 0, square = 0;
  for (int i = 0; i < N; i++) mean += log_prob[i] / N;
  for (int i = 0; i < N; i++) square += (log_prob[i] - mean) * (log_prob[i] - mean);
  snprintf(options, sizeof options, "{\"labels\": \"%s\"}", at("y"));
  OK(rh_score_file(d, at("x"), NULL, options, &report));
  json_t *o = parsed(report);
  assert_true(fabs(real_of(o, "mean") - mean) <= 1e-12 * fabs(mean));
  assert_true(fabs(real_of(o, "bits_per_dim") * D * log(2) + mean) <= 1e-10 * fabs(mean));
  assert_true(fabs(real_of(o, "bits_per_dim_stderr") * D * log(2) - sqrt(square / (N - 1) / N)) <= 1e-10);
  json_decref(o);
  REFUSED(RH_E_ARGUMENT, rh_score_file(d, at("x"), NULL, NULL, NULL)); /* no labels of its own */
  REFUSED(RH_E_ARGUMENT, rh_score_file(d, at("x"), NULL, "{\"columns\": \"1-4\"}", NULL));
  rh_density_close(d);
}

static void samples(void **state) {
  (void)state;
  enum { COUNT = 5 };
  static const double context[COUNT] = {2, 2, 2, 2, 2};
  double x[COUNT * D];
  unsigned char values[COUNT * D], ladder[2 * COUNT * D], all[CLASSES * COUNT * D];
  rh_density *d = fitted(with_labels());
  OK(rh_density_sample(d, 7, 0.5, 0, COUNT, context, x, NULL));
  OK(rh_sample_file(d, at("out.npy"), "{\"count\": 5, \"seed\": 7, \"temperature\": 0.5, \"class\": \"2\"}", NULL));
  taken("out.npy", sizeof values, values);
  for (int i = 0; i < COUNT * D; i++) assert_int_equal(values[i], (int)x[i]);
  OK(rh_sample_file(d, at("out.npy"), "{\"count\": 5, \"seed\": 7, \"temperatures\": [1, 0.5], \"class\": \"2\"}", NULL));
  taken("out.npy", sizeof ladder, ladder);
  assert_memory_equal(ladder + sizeof values, values, sizeof values);
  assert_memory_not_equal(ladder, values, sizeof values);
  OK(rh_sample_file(d, at("out.npy"), "{\"count\": 5, \"seed\": 7, \"temperature\": 0.5, \"class\": \"all\"}", NULL));
  taken("out.npy", sizeof all, all);
  assert_memory_equal(all + 2 * sizeof values, values, sizeof values);
  OK(rh_sample_file(d, at("out.png"), "{\"count\": 5, \"class\": \"0\"}", NULL));
  REFUSED(RH_E_ARGUMENT, rh_sample_file(d, at("out.png"), "{\"count\": 5}", NULL));
  REFUSED(RH_E_ARGUMENT, rh_sample_file(d, at("out.png"), "{\"count\": 5, \"class\": \"3\"}", NULL));
  REFUSED(RH_E_ARGUMENT, rh_sample_file(d, at("out.png"), "{\"count\": 5, \"class\": \"0\", \"temperatures\": \"hot\"}", NULL));
  REFUSED(RH_E_ARGUMENT, rh_sample_file(d, at("out.png"), "{\"count\": 0, \"class\": \"0\"}", NULL));
  REFUSED(RH_E_ARGUMENT, rh_sample_file(d, at("out.csv"), "{\"count\": 5, \"class\": \"0\"}", NULL));
  rh_density_close(d);
}

/* In double every image comes back, and the error is that of rounding. */
static void round_trips(void **state) {
  (void)state;
  static const char *const fits[] = {"", "\"preprocess\": \"scale\", ", "\"dequantize\": \"variational\", ", "\"bits\": 2, "};
  unsigned char back[N * D];
  for (size_t i = 0; i < sizeof fits / sizeof *fits; i++) {
    char *report = NULL;
    rh_density *d = fitted(fits[i]);
    OK(rh_reconstruct_file(d, at("x"), at("out.png"), "{\"show\": 2}", &report));
    json_t *o = parsed(report);
    assert_int_equal(json_integer_value(json_object_get(o, "n")), N);
    assert_int_equal(json_integer_value(json_object_get(o, "exact")), N);
    assert_int_equal(json_integer_value(json_object_get(o, "non_finite")), 0);
    assert_true(real_of(o, "max") < 1e-9 && real_of(o, "max") > 0 && real_of(o, "rms") <= real_of(o, "max"));
    json_decref(o);
    OK(rh_encode_file(d, at("x"), at("z.npy"), NULL, NULL));
    OK(rh_decode_file(d, at("z.npy"), at("out.npy"), NULL, NULL));
    taken("out.npy", sizeof back, back);
    const int step = strstr(fits[i], "bits") ? 4 : 1; /* 2 of 4 bits: the least value of four */
    for (int k = 0; k < N * D; k++) assert_int_equal(back[k], image[k] / step * step);
    OK(rh_check_file(d, at("x"), "{\"rows\": 20}", &report));
    o = parsed(report);
    assert_int_equal(json_integer_value(json_object_get(o, "jacobians")), 2);
    assert_true(real_of(o, "log_det_error") < 1e-8 && real_of(o, "inverse_error") < 1e-9);
    assert_true(json_is_true(json_object_get(o, "ok")));
    json_decref(o);
    rh_density_close(d);
  }
}

static void walks(void **state) {
  (void)state;
  char a[170], b[170], *report = NULL;
  unsigned char ends[2 * D], path[2][5 * D];
  rh_density *d = fitted("");
  snprintf(a, sizeof a, "%s:4", at("x"));
  snprintf(b, sizeof b, "%s:9", at("x"));
  OK(rh_interpolate_file(d, a, b, at("out.npy"), "{\"steps\": 2}", &report));
  json_t *o = parsed(report);
  assert_true(real_of(o, "distance") > 0 && real_of(o, "angle") > 0);
  json_decref(o);
  taken("out.npy", sizeof ends, ends);
  assert_memory_equal(ends, image + 3 * D, D);
  assert_memory_equal(ends + D, image + 8 * D, D);
  for (int i = 0; i < 2; i++) {
    OK(rh_interpolate_file(d, a, b, at("out.npy"), i ? "{\"steps\": 5, \"path\": \"sphere\"}" : "{\"steps\": 5}", NULL));
    taken("out.npy", sizeof path[i], path[i]);
    assert_memory_equal(path[i], ends, D);
    assert_memory_equal(path[i] + 4 * D, ends + D, D);
  }
  char options[300];
  const char *const images[] = {a, b};
  unsigned char moved[2][3 * D];
  snprintf(options, sizeof options, "{\"labels\": \"%s\", \"from\": \"0\", \"to\": \"2\", \"strengths\": [-1, 0, 1]}", at("y"));
  OK(rh_attribute_file(d, at("x"), 2, images, at("out.npy"), options, &report));
  o = parsed(report);
  assert_int_equal(json_integer_value(json_object_get(o, "from")), N / CLASSES);
  json_decref(o);
  taken("out.npy", sizeof moved, moved[0]);
  assert_memory_equal(moved[0] + D, image + 3 * D, D);
  assert_memory_equal(moved[1] + D, image + 8 * D, D);
  int sum[3] = {0}; /* class 2 is brighter than class 0 */
  for (int s = 0; s < 3; s++)
    for (int j = 0; j < D; j++) sum[s] += moved[0][s * D + j];
  assert_true(sum[0] < sum[1] && sum[1] < sum[2]);
  REFUSED(RH_E_ARGUMENT, rh_interpolate_file(d, at("x"), b, at("out.npy"), NULL, NULL)); /* which of them? */
  REFUSED(RH_E_ARGUMENT, rh_interpolate_file(d, a, NULL, at("out.npy"), NULL, NULL));
  REFUSED(RH_E_ARGUMENT, rh_interpolate_file(d, a, b, at("out.npy"), "{\"steps\": 1}", NULL));
  REFUSED(RH_E_ARGUMENT, rh_interpolate_file(d, a, b, at("out.npy"), "{\"class\": \"1\"}", NULL));
  REFUSED(RH_E_ARGUMENT, rh_attribute_file(d, at("x"), 0, images, at("out.npy"), options, NULL));
  REFUSED(RH_E_ARGUMENT, rh_attribute_file(d, at("x"), 2, images, at("out.npy"), "{\"from\": \"0\"}", NULL));
  rh_density_close(d);
}

/* ---- memory ---- */

static rh_density *used;

static rh_status scarce_fit(void **out) {
  char options[400];
  snprintf(options, sizeof options, "{%s" TINY "}", with_labels());
  return rh_fit_files(at("x"), NULL, NULL, options, NULL, NULL, (rh_density **)out, NULL);
}
static rh_status scarce_blocks(void **out) {
  const rh_block block = {image, N, D, 1};
  return rh_fit_blocks(&block, NULL, NULL, "{\"image\": [4, 4, 1], " TINY "}", NULL, NULL, (rh_density **)out, NULL);
}
static rh_status scarce_score(void **out) {
  return rh_score_file(used, at("x"), NULL, NULL, (char **)out);
}
static rh_status scarce_sample(void **out) {
  return rh_sample_file(used, at("out.png"), "{\"count\": 2}", (char **)out);
}
static rh_status scarce_reconstruct(void **out) {
  return rh_reconstruct_file(used, at("x"), at("out.png"), NULL, (char **)out);
}
static rh_status scarce_interpolate(void **out) {
  char a[170], b[170];
  snprintf(a, sizeof a, "%s:4", at("x"));
  snprintf(b, sizeof b, "%s:9", at("x"));
  return rh_interpolate_file(used, a, b, at("out.npy"), NULL, (char **)out);
}

static rh_status scarce_detect(void **out) {
  return rh_detect_files(used, at("x"), at("x"), at("a.npy"), NULL, NULL, NULL, (char **)out);
}
static rh_status scarce_detect_fit(void **out) {
  char options[400];
  snprintf(options, sizeof options, "{\"labels\": \"%s\", " TINY "}", at("odd"));
  return rh_detect_files(NULL, at("x"), at("x"), at("a.npy"), options, NULL, NULL, (char **)out);
}

static void no_memory(void **state) {
  (void)state;
  used = fitted("");
  scarce(scarce_fit, drop_density);
  scarce(scarce_blocks, drop_density);
  scarce(scarce_score, drop_text);
  scarce(scarce_sample, drop_text);
  scarce(scarce_reconstruct, drop_text);
  scarce(scarce_interpolate, drop_text);
  scarce(scarce_detect, drop_text);
  scarce(scarce_detect_fit, drop_text);
  rh_density_close(used);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(what_it_is), cmocka_unit_test(images_in_memory), cmocka_unit_test(scores),
      cmocka_unit_test(samples),    cmocka_unit_test(round_trips),      cmocka_unit_test(walks),
      cmocka_unit_test(no_memory),
  };
  return cmocka_run_group_tests(tests, start, stop);
}
