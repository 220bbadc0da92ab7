/* Couplings: the textbook's numbers, masks, one column, what is kept; permutations; chains and inverses. */
#include "bijection/part.h"
#include "bijection/transform.h"

#define LINEAR "{\"type\":\"linear\"}"
enum { ROWS = 33 };

/* s = 0.5, t = 1: y2 = x2 e^0.5 + 1, log-det 0.5. The bound is undone beforehand: raw = B atanh(s / B). */
static void the_textbook_coupling(void **state) {
  (void)state;
  const double raw[2] = {5 * atanh(0.5 / 5), 1}, x[4] = {0.25, -1.5, 3, 2}, e = exp(0.5);
  for (int real = 4; real <= 8; real += 4) {
    part p = part_make("{\"type\":\"coupling\",\"net\":" LINEAR "}", 2, 0, real);
    part_set(&p, "p.net.bias", 2, raw);
    double y[4], back[4], ladj[2], inverse[2];
    const double near = real == 8 ? 4e-16 : 3e-7;
    part_forward(&p, 2, x, y, ladj);
    part_inverse(&p, 2, y, back, inverse);
    for (int r = 0; r < 2; r++) {
      assert_true(y[2 * r] == x[2 * r]);
      assert_true(fabs(y[2 * r + 1] - (x[2 * r + 1] * e + 1)) <= near * 5);
      assert_true(fabs(ladj[r] - 0.5) <= near && fabs(inverse[r] + 0.5) <= near);
      assert_true(back[2 * r] == x[2 * r] && fabs(back[2 * r + 1] - x[2 * r + 1]) <= near * 3);
    }
    part_free(&p);
  }
}

static void additive_keeps_volume(void **state) {
  (void)state;
  part p = part_make("{\"type\":\"coupling\",\"transform\":\"additive\",\"mask\":\"swap\",\"net\":" LINEAR "}", 3, 0, 8);
  const double weight[2] = {2, -3}, bias[1] = {0.5}, x[3] = {1, 10, 100};
  part_set(&p, "p.net.weight", 2, weight);
  part_set(&p, "p.net.bias", 1, bias);
  double y[3], ladj;
  part_forward(&p, 1, x, y, &ladj);
  assert_true(ladj == 0 && y[1] == 10 && y[2] == 100);
  assert_true(y[0] == 1 + 2 * 10 - 3 * 100 + 0.5);
  part_free(&p);
}

/* The masks' kept columns come through to the last bit; the others move; d is odd, so the halves differ. */
static void masks_keep_what_they_say(void **state) {
  (void)state;
  static const struct {
    const char *mask, *kept;
  } cases[] = {{"\"half\"", "110000"}, {"\"swap\"", "001110"}, {"\"even\"", "101010"}, {"\"odd\"", "010100"}, {"[4,1]", "010010"},
               {"[0,1,2]", "111000"},  {"[3,4]", "000110"},    {"[]", "000000"},       {"\"random\"", NULL}};
  enum { D = 5 };
  double *x = probe_random(ROWS * D, 1, -2, 2), y[ROWS * D], back[ROWS * D], ladj[ROWS], inverse[ROWS];
  for (size_t i = 0; i < RH_COUNT_OF(cases); i++) {
    char spec[200];
    snprintf(spec, sizeof spec, "{\"type\":\"coupling\",\"mask\":%s,\"net\":{\"hidden\":[8],\"init\":\"scaled\"}}", cases[i].mask);
    part p = part_make(spec, D, 0, 8);
    part_shake(&p, 0.5);
    part_forward(&p, ROWS, x, y, ladj);
    part_inverse(&p, ROWS, y, back, inverse);
    int kept = 0;
    for (int j = 0; j < D; j++) {
      int same = 0;
      for (int r = 0; r < ROWS; r++) {
        same += y[r * D + j] == x[r * D + j];
        assert_true(fabs(back[r * D + j] - x[r * D + j]) < 1e-12);
      }
      if (cases[i].kept) assert_int_equal(same, cases[i].kept[j] == '1' ? ROWS : 0);
      kept += same == ROWS;
    }
    if (!cases[i].kept) assert_int_equal(kept, D / 2);
    for (int r = 0; r < ROWS; r++) assert_true(fabs(ladj[r] + inverse[r]) < 1e-12);
    part_free(&p);
  }
  free(x);
}

/* With one column there is nothing to read: the parameters are constants, or functions of the context. */
static void one_column(void **state) {
  (void)state;
  static const char *const masks[] = {"\"half\"", "\"swap\"", "\"even\"", "\"odd\"", "\"random\"", "[]"};
  const double raw[2] = {5 * atanh(-0.3 / 5), 2}, x[1] = {1.5};
  for (size_t i = 0; i < RH_COUNT_OF(masks); i++) {
    char spec[100];
    snprintf(spec, sizeof spec, "{\"type\":\"coupling\",\"mask\":%s,\"net\":{\"hidden\":[8]}}", masks[i]);
    part p = part_make(spec, 1, 0, 8);
    part_set(&p, "p.net.value", 2, raw);
    double y, ladj;
    part_forward(&p, 1, x, &y, &ladj);
    assert_true(fabs(ladj + 0.3) < 1e-15 && fabs(y - (1.5 * exp(-0.3) + 2)) < 1e-15);
    part_free(&p);
    p = part_make(spec, 1, 2, 8);
    part_shake(&p, 0.5);
    const double context[4] = {1, 2, -1, 0.5}, two[2] = {1, 1};
    double ys[2], ladjs[2];
    part_run(&p, true, 2, two, context, NULL, ys, ladjs, NULL);
    assert_true(ys[0] != ys[1]); /* the context matters */
    part_free(&p);
  }
}

static void log_scales_are_bounded(void **state) {
  (void)state;
  const double huge[2] = {1e30, 0}, x[2] = {1, 1};
  part p = part_make("{\"type\":\"coupling\",\"transform\":{\"type\":\"affine\",\"bound\":2},\"net\":" LINEAR "}", 2, 0, 4);
  part_set(&p, "p.net.bias", 2, huge);
  double y[2], ladj;
  part_forward(&p, 1, x, y, &ladj);
  assert_true(fabs(ladj - 2) < 1e-6 && fabs(y[1] - exp(2)) < 1e-5);
  part_free(&p);
}

static void permutations(void **state) {
  (void)state;
  static const struct {
    const char *order;
    double y[5];
  } cases[] = {{"\"reverse\"", {5, 4, 3, 2, 1}}, {"\"swap\"", {3, 4, 5, 1, 2}}, {"[2,0,1,4,3]", {3, 1, 2, 5, 4}}};
  const double x[5] = {1, 2, 3, 4, 5};
  double y[5], back[5], ladj;
  for (size_t i = 0; i < RH_COUNT_OF(cases); i++) {
    char spec[100];
    snprintf(spec, sizeof spec, "{\"type\":\"permutation\",\"order\":%s}", cases[i].order);
    part p = part_make(spec, 5, 0, 4);
    part_forward(&p, 1, x, y, &ladj);
    part_inverse(&p, 1, y, back, &ladj);
    assert_memory_equal(y, cases[i].y, sizeof y);
    assert_memory_equal(back, x, sizeof back);
    part_free(&p);
  }
  /* a random one is another one for another seed, and stands in the full specification as a list */
  part a = part_make("{\"type\":\"permutation\",\"order\":\"random\",\"seed\":1}", 64, 0, 4);
  part b = part_make("{\"type\":\"permutation\",\"order\":\"random\",\"seed\":2}", 64, 0, 4);
  const json_t *oa = json_object_get(a.b->spec, "order"), *ob = json_object_get(b.b->spec, "order");
  assert_int_equal(json_array_size(oa), 64);
  assert_false(json_equal((json_t *)(uintptr_t)oa, (json_t *)(uintptr_t)ob));
  part_free(&a);
  part_free(&b);
}

static void inverse_turns_round(void **state) {
  (void)state;
#define COUPLING "{\"type\":\"coupling\",\"mask\":\"odd\",\"net\":{\"hidden\":[6],\"init\":\"scaled\"}}"
  part a = part_make(COUPLING, 4, 0, 8), b = part_make("{\"type\":\"inverse\",\"part\":" COUPLING "}", 4, 0, 8);
  part_shake(&a, 0.4);
  memcpy(b.values.flat[RH_PARAM], a.values.flat[RH_PARAM], (size_t)a.leaves.total[RH_PARAM] * 8); /* initial values go by the leaf's name */
  double *x = probe_random(ROWS * 4, 1, -2, 2), y[ROWS * 4], z[ROWS * 4], la[ROWS], lb[ROWS];
  part_inverse(&a, ROWS, x, y, la);
  part_forward(&b, ROWS, x, z, lb);
  assert_memory_equal(y, z, sizeof y);
  assert_memory_equal(la, lb, sizeof la);
  assert_int_equal(rh_leaf_find(&b.leaves, "p.part.net.0.weight"), 0);
  free(x);
  part_free(&a);
  part_free(&b);
}

/* A chain is its parts in order; log-determinants add up, whether of rows or of parameters; empty it is the identity. */
static void chains_add_up(void **state) {
  (void)state;
  part p = part_make(
      "{\"type\":\"chain\",\"parts\":[{\"type\":\"standardize\",\"mean\":[1,2],\"scale\":[2,4]},{\"type\":\"elementwise\",\"transform\":"
      "\"scale\"},"
      "{\"type\":\"coupling\",\"net\":" LINEAR "},{\"type\":\"permutation\"}]}",
      2, 0, 8);
  const double scale[2] = {5 * atanh(0.1), 5 * atanh(-0.06)}, raw[2] = {5 * atanh(0.05), 0.125}, x[2] = {5, -6};
  part_set(&p, "p.1.net.value", 2, scale);
  part_set(&p, "p.2.net.bias", 2, raw);
  double y[2], ladj, back[2], inverse;
  part_forward(&p, 1, x, y, &ladj);
  part_inverse(&p, 1, y, back, &inverse);
  assert_true(fabs(y[1] - 2 * exp(0.5)) < 1e-14);
  assert_true(fabs(y[0] - (-2 * exp(-0.3) * exp(0.25) + 0.125)) < 1e-14);
  assert_true(fabs(ladj - (-log(2) - log(4) + 0.5 - 0.3 + 0.25)) < 1e-14);
  assert_true(fabs(back[0] - 5) < 1e-14 && fabs(back[1] + 6) < 1e-14 && fabs(ladj + inverse) < 1e-14);
  part_free(&p);
  p = part_make("{\"type\":\"chain\",\"parts\":[]}", 2, 0, 8);
  part_forward(&p, 1, x, y, &ladj);
  assert_true(y[0] == 5 && y[1] == -6 && ladj == 0);
  part_free(&p);
}

/* What couplings in alternating halves cost: no copies between them, the halves are handed on. */
static void halves_are_handed_on(void **state) {
  (void)state;
  part p = part_make("{\"type\":\"chain\",\"parts\":[{\"type\":\"coupling\",\"net\":" LINEAR
                     "},{\"type\":\"coupling\",\"mask\":\"swap\",\"net\":" LINEAR "},{\"type\":\"coupling\",\"net\":" LINEAR "}]}",
                     6, 0, 4);
  rh_graph g;
  PROBE_OK(rh_graph_init(&g, &p.leaves));
  rh_val y, ladj;
  rh_forward(p.b, &g, rh_input(&g, rh_shape1(6)), RH_NONE, RH_NONE, &y, &ladj);
  PROBE_OK(rh_graph_status(&g));
  int gathers = 0;
  for (int64_t v = 0; v < g.n; v++) gathers += g.node[v]->op == RH_OP_gather;
  assert_int_equal(gathers, 2 + 3 * 2); /* the first split; scales and shifts of every coupling */
  int32_t scopes = 0;
  for (int64_t v = 0; v < g.n; v++) scopes = g.node[v]->scope > scopes ? g.node[v]->scope : scopes;
  assert_int_equal(scopes, 3); /* a region each, for RECOMPUTE */
  rh_graph_free(&g);
  part_free(&p);
}

/* Exactly, but for those that say how nearly. */
static const struct {
  const char *type;
  double y, ladj;                                        /* of an element */
} nearly[] = {{"mixture-of-logistics", 2.2e-3, 1.5e-3}}; /* offsets of the means: log mean_k e^offset_k = 0.00214 */

static void every_transform_starts_as_the_identity(void **state) {
  (void)state;
  int n;
  const rh_transform_type *const *types = rh_transform_types(&n);
  double *x = probe_random(ROWS * 5, 1, -3, 3), y[ROWS * 5], ladj[ROWS];
  for (int i = 0; i < n; i++) {
    char spec[200];
    snprintf(spec, sizeof spec, "{\"type\":\"coupling\",\"transform\":\"%s\"}", types[i]->type);
    part p = part_make(spec, 5, 0, 8);
    part_forward(&p, ROWS, x, y, ladj);
    double off = 0, slope = 0;
    for (size_t k = 0; k < RH_COUNT_OF(nearly); k++)
      if (strcmp(nearly[k].type, types[i]->type) == 0) off = nearly[k].y, slope = 3 * nearly[k].ladj; /* three columns change */
    for (int k = 0; k < ROWS * 5; k++) assert_true(fabs(y[k] - x[k]) <= off);
    for (int k = 0; k < ROWS; k++) assert_true(fabs(ladj[k]) <= slope);
    part_free(&p);
  }
  free(x);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(the_textbook_coupling),    cmocka_unit_test(additive_keeps_volume),
      cmocka_unit_test(masks_keep_what_they_say), cmocka_unit_test(one_column),
      cmocka_unit_test(log_scales_are_bounded),   cmocka_unit_test(permutations),
      cmocka_unit_test(inverse_turns_round),      cmocka_unit_test(chains_add_up),
      cmocka_unit_test(halves_are_handed_on),     cmocka_unit_test(every_transform_starts_as_the_identity),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
