/* Log-determinants of large images: a sound model passes by whole Jacobians and by crops; one whose ActNorm tells a wrong determinant, the
 * same both ways, so that nothing but a Jacobian sees it, is found by either. The broken part takes the sound one's place at the link. */
#define _XOPEN_SOURCE 700 /* mkdtemp */
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "api/face.h"
#include "base/rng.h"

#define rh_bijection_actnorm sound_actnorm
#include "bijection/actnorm.c"
#undef rh_bijection_actnorm

typedef enum fault { SOUND, FLIPPED, FACTOR, DROPPED, ONE_PIXEL, FAULTS } fault;
static fault now;

static rh_val told(const rh_bijection *b, rh_graph *g, rh_val ladj) {
  const double factor[FAULTS] = {1, -1, 1.01, 0, 1 / (double)((const actnorm *)b)->channels.pixels};
  return rh_mulc(g, ladj, factor[now]);
}

static void forward(const rh_bijection *b, rh_graph *g, rh_val x, rh_val context, rh_val noise, rh_val *y, rh_val *ladj) {
  sound_actnorm.forward(b, g, x, context, noise, y, ladj);
  *ladj = told(b, g, *ladj);
}

static void inverse(const rh_bijection *b, rh_graph *g, rh_val y, rh_val context, rh_val *x, rh_val *ladj) {
  sound_actnorm.inverse(b, g, y, context, x, ladj);
  *ladj = told(b, g, *ladj);
}

const rh_bijection_type rh_bijection_actnorm = {.type = "actnorm",
                                                .bytes = sizeof(actnorm),
                                                .create = actnorm_create,
                                                .forward = forward,
                                                .inverse = inverse,
                                                .warm_up = actnorm_warm_up};

/* ---- models ---- */

enum { N = 40, LARGEST = 128 * 128 * 3 };
static unsigned char image[N * (LARGEST + 1)];

/* Smooth images of noise, some labels behind them. */
static rh_density *fitted(int side, int c, const char *more, const char *set) {
  const int d = side * side * c, width = d + (strstr(more, "labels") != NULL);
  char options[600];
  double u[12];
  for (int i = 0; i < N; i++) {
    const rh_rng rng = rh_rng_at(5, (uint64_t)i, 0, RH_STREAM_TEST);
    rh_rng_uniform(&rng, 0, 12, u);
    for (int k = 0; k < d; k++) {
      const int y = k / (side * c), x = k / c % side, z = k % c;
      image[i * width + k] = (unsigned char)(128 + 60 * sin(6 * u[z] + 9 * u[3] * x / side) + 60 * cos(6 * u[4 + z] + 9 * u[8] * y / side));
    }
    if (width > d) image[i * width + d] = (unsigned char)(i % 3);
  }
  snprintf(options, sizeof options,
           "{\"dtype\": \"f64\", \"steps\": 3, \"threads\": 1, \"image\": [%d, %d, %d], %s \"set\": {\"batch\": 16, \"lr\": 0.001, "
           "\"init\": \"small\", %s}}",
           side, side, c, more, set);
  rh_density *made = NULL;
  const rh_block block = {image, N, width, 1};
  OK(rh_fit_blocks(&block, NULL, NULL, options, NULL, NULL, &made, NULL));
  return made;
}

static json_t *checked(rh_density *d, const char *options) {
  char *text = NULL;
  OK(rh_check_file(d, NULL, options, &text));
  json_t *o = json_loads(text, 0, NULL);
  rh_text_free(text);
  assert_non_null(o);
  return o;
}

static void expect(json_t *o, const char *method, int jacobians) {
  assert_string_equal(json_string_value(json_object_get(o, "log_det_method")), method);
  assert_int_equal(json_integer_value(json_object_get(o, "jacobians")), jacobians);
  if (!json_is_true(json_object_get(o, "ok"))) fail_msg("%s", json_dumps(o, 0));
  if (jacobians) assert_true(real_of(o, "log_det_error") < 1e-9);
  json_decref(o);
}

#define ROWS   "{\"rows\": 4}"
#define NARROW "\"hidden\": 4, \"steps\": 1, \"levels\": 3"
#define WIDE   "\"hidden\": 200, \"steps\": 3, \"levels\": 3"

/* A narrow glow of 32 x 32 x 3 is held whole against its Jacobian, a wide one by crops. */
static void large_images(void **state) {
  (void)state;
  rh_density *narrow = fitted(32, 3, "", NARROW), *wide = fitted(32, 3, "", WIDE);
  json_t *o = checked(wide, ROWS);
  int h = 0, w = 0, c = 0;
  assert_int_equal(json_unpack(json_object_get(o, "crop"), "[i, i, i]", &h, &w, &c), 0);
  assert_true(h == 16 && w == 16 && c == 3);
  assert_true(real_of(o, "jacobian_operations") > 3e11);
  assert_null(json_object_get(o, "crop_leaves_spread"));
  expect(o, "crops", 2);
  expect(checked(narrow, "{\"rows\": 4, \"jacobians\": 1}"), "dense", 1);
  expect(checked(narrow, "{\"rows\": 4, \"jacobians\": 0}"), "none", 0);
  rh_density_close(narrow);
  rh_density_close(wide);
}

/* Beyond 4,096 values there are crops alone; of classes, of checkerboards, of learned noise, of bases that know every pixel. */
static void larger_images(void **state) {
  (void)state;
  static const char *const sets[] = {"\"hidden\": 4, \"steps\": 1, \"levels\": 3",
                                     "\"hidden\": 4, \"steps\": 1, \"checkerboard\": 2, \"levels\": 2",
                                     "\"hidden\": 4, \"steps\": 1, \"levels\": 2, \"base\": \"diagonal\""};
  for (size_t i = 0; i < sizeof sets / sizeof *sets; i++) {
    rh_density *d = fitted(64, 3, i == 1 ? "\"dequantize\": \"variational\"," : i == 2 ? "\"bits\": 5," : "", sets[i]);
    expect(checked(d, ROWS), "crops", 2);
    rh_density_close(d);
  }
  rh_density *large = fitted(128, 3, "", "\"hidden\": 4, \"steps\": 1, \"levels\": 5"); /* the least crop has 3,072 values */
  expect(checked(large, "{\"rows\": 4, \"jacobians\": 1}"), "crops", 1);
  rh_density_close(large);
  rh_density *deep = fitted(64, 3, "", "\"hidden\": 4, \"steps\": 1, \"levels\": 6"); /* nothing smaller goes through six squeezes */
  json_t *o = checked(deep, ROWS);
  assert_non_null(json_object_get(o, "log_det_why"));
  expect(o, "none", 0);
  rh_density_close(deep);
}

static void put_idx(const char *name, int axes, const uint32_t *dim, const unsigned char *data, size_t n) {
  FILE *file = fopen(name, "wb");
  assert_non_null(file);
  assert_int_equal(fwrite((const char[]){0, 0, 8, (char)axes}, 1, 4, file), 4);
  for (int i = 0; i < axes; i++)
    for (int byte = 3; byte >= 0; byte--) fputc((int)(dim[i] >> 8 * byte & 255), file);
  assert_int_equal(fwrite(data, 1, n, file), n);
  assert_int_equal(fclose(file), 0);
}

/* A prior given a class has numbers for every pixel: crops take some of them. */
static void classes(void **state) {
  (void)state;
  enum { SIDE = 64, D = SIDE * SIDE * 3 };
  static unsigned char x[N * D], y[N];
  rh_density *d = fitted(SIDE, 3, "\"labels\": \"own\",", NARROW);
  for (int i = 0; i < N; i++) {
    memcpy(x + i * D, image + i * (D + 1), D);
    y[i] = image[i * (D + 1) + D];
  }
  char folder[] = "/tmp/rheo-check-XXXXXX", images[64], labels[64], options[128], *text = NULL;
  assert_non_null(mkdtemp(folder));
  snprintf(images, sizeof images, "%s/x", folder);
  snprintf(labels, sizeof labels, "%s/y", folder);
  snprintf(options, sizeof options, "{\"rows\": 4, \"labels\": \"%s\"}", labels);
  put_idx(images, 4, (const uint32_t[]){N, SIDE, SIDE, 3}, x, sizeof x);
  put_idx(labels, 1, (const uint32_t[]){N}, y, sizeof y);
  OK(rh_check_file(d, images, options, &text));
  json_t *o = json_loads(text, 0, NULL);
  assert_true(json_integer_value(json_object_get(o, "crop_leaves_spread")) > 0);
  expect(o, "crops", 2);
  rh_text_free(text);
  rh_density_close(d);
  assert_int_equal(unlink(images) | unlink(labels) | rmdir(folder), 0);
}

static void faults_are_found(void **state) {
  (void)state;
  for (now = SOUND; now < FAULTS; now++) {
    rh_density *narrow = fitted(32, 3, "", NARROW), *large = fitted(64, 3, "", NARROW);
    for (int i = 0; i < 2; i++) {
      json_t *o = checked(i ? large : narrow, "{\"rows\": 4, \"jacobians\": 1}");
      assert_string_equal(json_string_value(json_object_get(o, "log_det_method")), i ? "crops" : "dense");
      assert_true(real_of(o, "log_det_inverse_error") < 1e-9); /* forward and inverse agree, right or wrong */
      assert_int_equal(json_is_true(json_object_get(o, "ok")), now == SOUND);
      if (now != SOUND) assert_true(real_of(o, "log_det_error") > 1e-2);
      json_decref(o);
    }
    rh_density_close(narrow);
    rh_density_close(large);
  }
  now = SOUND;
}

static rh_density *used;
static rh_status scarce_check(void **out) {
  return rh_check_file(used, NULL, "{\"rows\": 2}", (char **)out);
}

static void no_memory(void **state) {
  (void)state;
  used = fitted(64, 3, "", "\"hidden\": 3, \"steps\": 1, \"levels\": 1");
  scarce(scarce_check, drop_text);
  rh_density_close(used);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(large_images), cmocka_unit_test(larger_images), cmocka_unit_test(classes),
                                     cmocka_unit_test(faults_are_found), cmocka_unit_test(no_memory)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
