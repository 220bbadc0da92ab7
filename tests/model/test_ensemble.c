/* Models averaged: every member's numbers find their place, whatever preprocessing is whose. */
#define _XOPEN_SOURCE 700
#include "model/ensemble.h"
#include "model/scarce.h"
#include "model/score.h"
#include "support/probe.h"

#define ACTNORM  "{\"type\":\"actnorm\"}"
#define FLOW     "\"flow\":{\"type\":\"chain\",\"parts\":[" ACTNORM ",{\"type\":\"lu\"}]},\"base\":{\"type\":\"normal\",\"learn\":true}"
#define SHIFT(m) "{\"type\":\"standardize\",\"mean\":[" m "],\"scale\":[2,3]}"
enum { ROWS = 50, D = 2, MEMBERS = 3 };

/* One flow; a mixture with shared parts and parts of its own, both with numbers; one of fixed weights. */
static const char *const specs[MEMBERS] = {
    "{\"columns\":2,\"preprocess\":[" SHIFT("1,2") "]," FLOW "}",
    "{\"columns\":2,\"preprocess\":[" ACTNORM "," SHIFT("0,1") "],\"mixture\":[{\"preprocess\":[" SHIFT("5,4") "," ACTNORM "]," FLOW
                                                                                                               "},{" FLOW "}]}",
    "{\"columns\":2,\"weights\":[1,4],\"mixture\":[{" FLOW "},{\"preprocess\":[" ACTNORM "]," FLOW "}]}",
};
static const char *const names[MEMBERS] = {"first", "second", "third"};

static rh_model *make(const char *text, uint64_t shake) {
  json_t *json = NULL;
  rh_model *m;
  PROBE_OK(rh_json_parse(text, strlen(text), "test", &json));
  PROBE_OK(rh_model_create(json, 8, 1, 1, 0, &m));
  json_decref(json);
  for (int l = 0; l < m->flow->leaves.n; l++) {
    const rh_leaf *leaf = &m->flow->leaves.leaf[l];
    double *x = probe_random(leaf->count, shake + (uint64_t)l, -0.5, 0.5);
    for (int64_t i = 0; i < leaf->count && leaf->klass == RH_PARAM; i++)
      rh_values_set(&m->flow->leaves, &m->values, l, i, rh_values_get(&m->flow->leaves, &m->values, l, i) + x[i]);
    free(x);
  }
  return m;
}

/* x: [ROWS, columns + context] */
static void score(const rh_model *m, const double *x, double *log_prob) {
  rh_scorer *scorer;
  const rh_scorer_options options = {.threads = 1};
  const rh_dense_rows dense = {ROWS, m->flow->columns + m->flow->context, x};
  const rh_rows rows = rh_rows_dense(&dense);
  PROBE_OK(rh_scorer_create(m->flow, &m->values, &options, &scorer));
  PROBE_OK(rh_score(scorer, &rows, 0, ROWS, log_prob));
  rh_scorer_destroy(scorer);
}

static void the_average(void **state) {
  (void)state;
  static const double weights[2][MEMBERS] = {{1, 1, 1}, {2, 0.5, 7}};
  double *x = probe_random(ROWS * D, 3, -4, 4), one[MEMBERS][ROWS], got[ROWS];
  rh_model *members[MEMBERS], *whole;
  for (int i = 0; i < MEMBERS; i++) {
    members[i] = make(specs[i], 100 * (uint64_t)(i + 1));
    score(members[i], x, one[i]);
  }
  for (int w = 0; w < 2; w++) {
    PROBE_OK(rh_model_ensemble(MEMBERS, (const rh_model *const *)members, names, w ? weights[w] : NULL, &whole));
    assert_int_equal(whole->flow->components, 5);
    score(whole, x, got);
    for (int r = 0; r < ROWS; r++) {
      double sum = 0, all = 0;
      for (int i = 0; i < MEMBERS; i++) sum += weights[w][i] * exp(one[i][r]), all += weights[w][i];
      assert_true(fabs(got[r] - log(sum / all)) < 1e-12 * fmax(1, fabs(got[r])));
    }
    rh_model *nested; /* once more with a member */
    PROBE_OK(rh_model_ensemble(2, (const rh_model *const[]){whole, members[0]}, names, NULL, &nested));
    score(nested, x, one[1]);
    for (int r = 0; r < ROWS; r++)
      assert_true(fabs(one[1][r] - log((exp(got[r]) + exp(one[0][r])) / 2)) < 1e-12 * fmax(1, fabs(one[1][r])));
    score(members[1], x, one[1]);
    rh_model_destroy(nested);
    rh_model_destroy(whole);
  }
  for (int i = 0; i < MEMBERS; i++) rh_model_destroy(members[i]);
  free(x);
}

static void what_is_refused(void **state) {
  (void)state;
  static const char *const others[][2] = {
      {"{\"columns\":3,\"flow\":{\"type\":\"chain\",\"parts\":[]}}", "second has 3 columns and 0 of context, first 2 and 0"},
      {"{\"columns\":2,\"context\":1,\"flow\":{\"type\":\"chain\",\"parts\":[]}}", "2 columns and 1 of context"},
      {"{\"columns\":2,\"preprocess\":[{\"type\":\"drop\",\"columns\":[{\"column\":0,\"recipe\":{\"kind\":\"constant\",\"value\":1}}]}],"
       "\"flow\":{\"type\":\"chain\",\"parts\":[]}}",
       "second keeps 1 columns of its rows, first 2"}};
  rh_model *first = make(specs[0], 1), *whole = NULL;
  for (size_t i = 0; i < RH_COUNT_OF(others); i++) {
    rh_model *other = make(others[i][0], 1);
    assert_int_equal(rh_model_ensemble(2, (const rh_model *const[]){first, other}, names, NULL, &whole), RH_E_ARGUMENT);
    if (!strstr(rh_last_error(), others[i][1])) fail_msg("'%s' does not say '%s'", rh_last_error(), others[i][1]);
    rh_model_destroy(other);
  }
  const double weight = NAN;
  assert_int_equal(rh_model_ensemble(1, (const rh_model *const[]){first}, names, &weight, &whole), RH_E_ARGUMENT);
  assert_null(whole);
  rh_model_destroy(first);
}

/* ---- conditional models ---- */

#define GIVEN(encoder)                                                                    \
  "{\"columns\":2,\"context\":3,\"context_encoder\":[" encoder                            \
  "],\"flow\":{\"type\":\"coupling\",\"transform\":\"affine\",\"net\":{\"type\":\"mlp\"," \
  "\"hidden\":[6]}},\"base\":{\"type\":\"normal\"}}"
#define NUMBER(mean) "{\"type\":\"standardize\",\"mean\":" mean ",\"scale\":3}"
#define HOT(list)    "{\"type\":\"one-hot\",\"categories\":[" list "]}"
#define VECTOR       "{\"type\":\"embedding\",\"categories\":[3,4,7],\"width\":2}"
static const char plain_context[] = "{\"columns\":2,\"context\":3,\"flow\":{\"type\":\"chain\",\"parts\":[]}}";

/* [ROWS, 2 + 3]: a number, two categories */
static double *given_rows(void) {
  static const double category[] = {3, 4, 7};
  double *x = probe_random(ROWS * 5, 9, -4, 4);
  for (int r = 0; r < ROWS; r++)
    for (int j = 3; j < 5; j++) x[r * 5 + j] = category[(r + j * (r / 3)) % 3];
  return x;
}

static void of_a_context(void **state) {
  (void)state;
  static const char *const encoders[] = {GIVEN(NUMBER("2") "," HOT("3,4,7") "," HOT("3,4,7")), GIVEN(NUMBER("2") "," VECTOR "," VECTOR)};
  double *x = given_rows(), one[ROWS], other[ROWS], got[ROWS];
  for (size_t e = 0; e < RH_COUNT_OF(encoders); e++) {
    rh_model *a = make(encoders[e], 5), *b = make(encoders[e], 500), *whole;
    for (int i = 1; i < 3 && e == 1; i++) { /* the embeddings are alike, what reads them is not */
      const int from = a->flow->encoder->column[i].weight, to = b->flow->encoder->column[i].weight;
      for (int64_t k = 0; k < 6; k++)
        rh_values_set(&b->flow->leaves, &b->values, to, k, rh_values_get(&a->flow->leaves, &a->values, from, k));
    }
    score(a, x, one), score(b, x, other);
    PROBE_OK(rh_model_ensemble(1, (const rh_model *const[]){a}, names, NULL, &whole));
    score(whole, x, got);
    for (int r = 0; r < ROWS; r++) assert_true(fabs(got[r] - one[r]) < 1e-12 * fmax(1, fabs(one[r])));
    rh_model_destroy(whole);
    PROBE_OK(rh_model_ensemble(2, (const rh_model *const[]){a, b}, names, NULL, &whole));
    score(whole, x, got);
    bool differ = false;
    for (int r = 0; r < ROWS; r++) {
      differ |= fabs(one[r] - other[r]) > 1e-3;
      assert_true(fabs(got[r] - log((exp(one[r]) + exp(other[r])) / 2)) < 1e-12 * fmax(1, fabs(got[r])));
    }
    assert_true(differ);
    rh_model_destroy(whole), rh_model_destroy(a), rh_model_destroy(b);
  }
  free(x);
}

static void other_encoders_are_refused(void **state) {
  (void)state;
  const struct {
    const char *first, *second, *words;
  } pairs[] = {{GIVEN(NUMBER("2") "," HOT("3,4") "," HOT("3,4")), GIVEN(NUMBER("1") "," HOT("3,4") "," HOT("3,4")),
                "second and first read context column 1 (without a name) differently: 'mean' is not the same; fit all members"},
               {GIVEN(NUMBER("2") "," HOT("3,4") "," HOT("3,4")), GIVEN(NUMBER("2") "," HOT("3,4") "," HOT("3,7")), "'categories'"},
               {GIVEN(NUMBER("2") "," HOT("3,4,7") "," HOT("3,4,7")), GIVEN(NUMBER("2") "," VECTOR "," HOT("3,4,7")), "column 2|'type'"},
               {GIVEN(NUMBER("2") "," VECTOR "," VECTOR), GIVEN(NUMBER("2") "," VECTOR "," VECTOR),
                "second and first have each learned an embedding of context column 2"},
               {plain_context, GIVEN(NUMBER("2") "," VECTOR "," VECTOR), "first reads its context as it is, second through an encoder"},
               {GIVEN(NUMBER("2") "," VECTOR "," VECTOR), plain_context, "second reads its context as it is, first through an encoder"}};
  for (size_t i = 0; i < RH_COUNT_OF(pairs); i++) {
    rh_model *a = make(pairs[i].first, 1), *b = make(pairs[i].second, 2), *whole = NULL;
    assert_int_equal(rh_model_ensemble(2, (const rh_model *const[]){a, b}, names, NULL, &whole), RH_E_ARGUMENT);
    char words[120];
    snprintf(words, sizeof words, "%s", pairs[i].words);
    for (char *word = strtok(words, "|"); word; word = strtok(NULL, "|"))
      if (!strstr(rh_last_error(), word)) fail_msg("'%s' does not say '%s'", rh_last_error(), word);
    assert_null(whole);
    rh_model_destroy(a), rh_model_destroy(b);
  }
}

static void lose_allocations(rh_model *const members[2]) {
  int n = 0;
  for (bool done = false; !done; n++) {
    rh_model *whole = NULL;
    scarce_begin(n);
    const rh_status status = rh_model_ensemble(2, (const rh_model *const *)members, names, NULL, &whole);
    scarce_end();
    done = status == RH_OK;
    assert_true(done ? whole != NULL : whole == NULL);
    rh_model_destroy(whole);
  }
  assert_true(n > 10);
}

static void lost_allocations_are_errors(void **state) {
  (void)state;
  rh_model *plain[2] = {make(specs[0], 1), make(specs[1], 2)}, *same = make(GIVEN(NUMBER("2") "," VECTOR "," HOT("3,4,7")), 1);
  lose_allocations(plain);
  lose_allocations((rh_model *const[]){same, same});
  rh_model_destroy(plain[0]), rh_model_destroy(plain[1]), rh_model_destroy(same);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(the_average), cmocka_unit_test(what_is_refused), cmocka_unit_test(of_a_context),
                                     cmocka_unit_test(other_encoders_are_refused), cmocka_unit_test(lost_allocations_are_errors)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
