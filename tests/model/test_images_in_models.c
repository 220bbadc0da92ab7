/* What a model knows of its images, in its file and back; and a flow cut behind its noise: both halves together are the whole. */
#define _XOPEN_SOURCE 700
#include "density/front.h"
#include "model/ensemble.h"
#include "model/specs.h"
#include "model/toy.h"

#define ENCODER "\"context_encoder\":[{\"type\":\"one-hot\",\"column\":3,\"categories\":[0,1]}]"
#define GIVEN(context, encoder, preprocess)                                    \
  "{\"columns\":3,\"context\":" context encoder ",\"preprocess\":[" preprocess \
  "],\"flow\":{\"type\":\"chain\",\"parts\":[" SPEC_AFFINE("5") ",{\"type\":\"lu\"}," SPEC_AFFINE("4") "]},\"base\":" SPEC_NORMAL "}"
#define NOISE "{\"type\":\"dequantize\",\"levels\":16},{\"type\":\"logit\",\"low\":0,\"high\":16}"

static rh_status there_and_back(const rh_model *m, rh_model **back) {
  const toy_bytes b = toy_bytes_of(m);
  const rh_status status = rh_model_read(b.data, b.n, "m", back);
  rh_free(b.data);
  return status;
}

static void the_section_comes_back(void **state) {
  (void)state;
  rh_model *m = toy_model(SPEC_NOISY, 4, 1), *back = NULL;
  toy_ok(there_and_back(m, &back));
  assert_int_equal(back->image.h, 0);
  rh_model_destroy(back);
  m->image = (rh_model_image){.h = 1, .w = 1, .c = 3, .bits = 5, .data_bits = 8, .greatest = 250};
  toy_ok(there_and_back(m, &back));
  assert_memory_equal(&back->image, &m->image, sizeof m->image);
  const toy_bytes a = toy_bytes_of(m), b = toy_bytes_of(back);
  toy_same(a, b);
  rh_free(a.data);
  rh_free(b.data);
  rh_model_destroy(back);
  rh_model_destroy(m);
}

/* A file that says what cannot be is refused. */
static void nonsense_is_refused(void **state) {
  (void)state;
  static const rh_model_image wrong[] = {
      {1, 1, 1, 5, 8, 250},
      {1, 3, 2, 5, 8, 250},
      {3, 1, 3, 5, 8, 250},
      {-1, -1, 3, 5, 8, 250},
      {1, 3, 1, 0, 8, 250},
      {1, 3, 1, 8, 5, 10},
      {1, 3, 1, 5, 9, 250},
      {1, 3, 1, 5, 8, 256},
      {1, 3, 1, 5, 8, -1},
      {INT64_MAX, 2, 3, 5, 8, 250},
      {1, INT64_MAX / 2, 3, 5, 8, 250},
  };
  rh_model *m = toy_model(SPEC_NOISY, 4, 1), *back = NULL;
  for (size_t i = 0; i < RH_COUNT_OF(wrong); i++) {
    m->image = wrong[i];
    assert_int_equal(there_and_back(m, &back), RH_E_FORMAT);
    assert_non_null(strstr(rh_last_error(), "image"));
    assert_null(back);
  }
  rh_model_destroy(m);
  static const struct {
    const char *spec;
    rh_status status;
  } contexts[] = {{GIVEN("1,", ENCODER, NOISE), RH_OK},
                  {GIVEN("1", "", NOISE), RH_E_FORMAT},
                  {GIVEN("2", "", NOISE), RH_E_FORMAT},
                  {GIVEN("1,", "\"context_encoder\":[{\"type\":\"standardize\",\"mean\":0,\"scale\":1}]", NOISE), RH_E_FORMAT}};
  for (size_t i = 0; i < RH_COUNT_OF(contexts); i++) { /* the context of images is a label */
    m = toy_model(contexts[i].spec, 4, 1);
    m->image = (rh_model_image){1, 3, 1, 4, 4, 15};
    assert_int_equal(there_and_back(m, &back), contexts[i].status);
    rh_model_destroy(back);
    back = NULL;
    rh_model_destroy(m);
  }
}

static void ensembles_are_of_one_kind(void **state) {
  (void)state;
  rh_model *a = toy_model(SPEC_NOISY, 4, 1), *b = toy_model(SPEC_NOISY, 4, 2), *both = NULL;
  const rh_model *members[] = {a, b};
  static const char *const names[] = {"a", "b"};
  a->image = (rh_model_image){1, 3, 1, 4, 4, 12};
  b->image = (rh_model_image){1, 3, 1, 4, 4, 14};
  toy_ok(rh_model_ensemble(2, members, names, NULL, &both));
  assert_true(both->image.w == 3 && both->image.bits == 4 && both->image.greatest == 14);
  rh_model_destroy(both);
  static const rh_model_image other[] = {{3, 1, 1, 4, 4, 12}, {1, 3, 1, 3, 4, 12}, {1, 3, 1, 4, 5, 12}, {0}};
  for (size_t i = 0; i < RH_COUNT_OF(other); i++) {
    b->image = other[i];
    assert_int_equal(rh_model_ensemble(2, members, names, NULL, &both), RH_E_SHAPE);
  }
  rh_model_destroy(a);
  rh_model_destroy(b);
}

enum { ROWS = 40 };

/* Of rows of whole numbers, with a label behind where `c`. */
static void cut(const char *spec, int64_t c, double coarse) {
  double x[ROWS * 4], y[ROWS * 4], z[ROWS * 4], whole[ROWS * 3], back[ROWS * 3], ladj[ROWS], of_whole[ROWS], ladj_back[ROWS];
  rh_model *m = toy_model(spec, 8, 5);
  rh_scorer *s;
  const rh_scorer_options options = {.threads = 1, .seed = 3};
  const int64_t w = 3 + c;
  toy_normals(7, ROWS * w, x);
  for (int i = 0; i < ROWS * w; i++) x[i] = i % w == 3 ? i % 2 : floor(fmin(fmax(8 + 3 * x[i], 0), 15));
  toy_ok(rh_scorer_create(m->flow, &m->values, &options, &s));
  assert_true(rh_flow_splits(m->flow));
  assert_int_equal(rh_front_width(m->flow), 3);
  const rh_dense_rows xs = {ROWS, w, x}, ys = {ROWS, w, y}, zs = {ROWS, w, z};
  const rh_rows x_rows = rh_rows_dense(&xs), y_rows = rh_rows_dense(&ys), z_rows = rh_rows_dense(&zs);
  toy_ok(rh_score_split(s, RH_TASK_FRONT, &x_rows, 0, ROWS, back, NULL));
  for (int i = 0; i < ROWS * w; i++) y[i] = i % w == 3 ? x[i] : back[i / w * 3 + i % w];
  for (int i = 0; i < ROWS * w; i++) assert_true(i % w == 3 || floor(y[i]) == floor(x[i] / coarse));
  toy_ok(rh_score_split(s, RH_TASK_BEHIND, &y_rows, 0, ROWS, back, ladj));
  toy_ok(rh_encode(s, &x_rows, 0, ROWS, whole, of_whole));
  assert_memory_equal(back, whole, sizeof whole);
  for (int i = 0; i < ROWS; i++) assert_true(fabs(ladj[i] - of_whole[i]) < 1e-12);
  for (int i = 0; i < ROWS * w; i++) z[i] = i % w == 3 ? x[i] : back[i / w * 3 + i % w];
  toy_ok(rh_score_split(s, RH_TASK_BEHIND_BACK, &z_rows, 0, ROWS, back, ladj_back));
  for (int i = 0; i < ROWS * 3; i++) assert_true(fabs(back[i] - y[i / 3 * w + i % 3]) < 1e-9);
  for (int i = 0; i < ROWS; i++) assert_true(fabs(ladj[i] + ladj_back[i]) < 1e-9);
  toy_ok(rh_score_split(s, RH_TASK_FRONT_BACK, &y_rows, 0, ROWS, back, NULL));
  for (int i = 0; i < ROWS * 3; i++) assert_true(back[i] == floor(x[i / 3 * w + i % 3] / coarse) * coarse);
  assert_int_equal(rh_score_split(s, RH_TASK_FRONT, &x_rows, 0, ROWS + 1, back, NULL), RH_E_ARGUMENT);
  rh_scorer_destroy(s);
  rh_model_destroy(m);
}

static void halves_are_the_whole(void **state) {
  (void)state;
  cut(GIVEN("0", "", NOISE), 0, 1);
  cut(GIVEN("1,", ENCODER, NOISE), 1, 1);
  cut(GIVEN("0", "", "{\"type\":\"quantize\",\"from\":4,\"bits\":2},{\"type\":\"dequantize\",\"levels\":4},{\"type\":\"standardize\"}"), 0,
      4);
  cut(GIVEN("1,", ENCODER, "{\"type\":\"variational_dequantize\",\"shape\":[1,3,1],\"levels\":16},{\"type\":\"standardize\"}"), 1, 1);
}

static void what_cannot_be_cut(void **state) {
  (void)state;
  rh_model *m =
      toy_model("{\"columns\":3,\"flow\":{\"type\":\"chain\",\"parts\":[{\"type\":\"dequantize\"}]},\"base\":" SPEC_NORMAL "}", 8, 1);
  rh_scorer *s;
  double x[3] = {1, 2, 3}, y[3];
  const rh_dense_rows dense = {1, 3, x};
  const rh_rows rows = rh_rows_dense(&dense);
  const rh_scorer_options options = {.threads = 1};
  assert_false(rh_flow_splits(m->flow));
  toy_ok(rh_scorer_create(m->flow, &m->values, &options, &s));
  assert_int_equal(rh_score_split(s, RH_TASK_FRONT, &rows, 0, 1, y, NULL), RH_E_UNSUPPORTED);
  rh_scorer_destroy(s);
  rh_model_destroy(m);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(the_section_comes_back), cmocka_unit_test(nonsense_is_refused), cmocka_unit_test(ensembles_are_of_one_kind),
      cmocka_unit_test(halves_are_the_whole),   cmocka_unit_test(what_cannot_be_cut),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
