/* Specifications of bijections: defaults written out, errors that name what is wrong, every allocation lost once, any width. */
#include <limits.h>

#include "bijection/part.h"
#include "laws/table.h"

#define NET "{\"hidden\":[4]}"
typedef struct specification {
  const char *spec;
  int64_t columns;
} specification;
/* Beside those of the table of laws. */
static const specification fine[] = {
    {"{\"type\":\"standardize\"}", 3},
    {"{\"type\":\"standardize\",\"mean\":1,\"scale\":[1,2,3]}", 3},
    {"{\"type\":\"whiten\"}", 2},
    {"{\"type\":\"whiten\",\"mean\":[1,2],\"factor\":[1,0,3,4]}", 2},
    {"{\"type\":\"support\"}", 2},
    {"{\"type\":\"support\",\"columns\":[{\"column\":1,\"kind\":\"log\",\"low\":0}]}", 2},
    {"{\"type\":\"permutation\"}", 4},
    {"{\"type\":\"permutation\",\"order\":\"random\",\"seed\":7}", 4},
    {"{\"type\":\"permutation\",\"order\":[1,0]}", 2},
    {"{\"type\":\"actnorm\"}", 3},
    {"{\"type\":\"lu\"}", 3},
    {"{\"type\":\"coupling\"}", 3},
    {"{\"type\":\"coupling\",\"mask\":\"random\",\"seed\":7,\"net\":" NET "}", 5},
    {"{\"type\":\"coupling\",\"mask\":[0],\"transform\":\"additive\",\"net\":{\"type\":\"residual\",\"hidden\":3}}", 5},
    {"{\"type\":\"coupling\"}", 1},
    {"{\"type\":\"elementwise\"}", 2},
    {"{\"type\":\"elementwise\",\"transform\":{\"type\":\"scale\",\"bound\":3}}", 2},
    {"{\"type\":\"chain\"}", 2},
    {"{\"type\":\"chain\",\"parts\":[{\"type\":\"chain\",\"parts\":[{\"type\":\"lu\"}]},{\"type\":\"coupling\"}]}", 2},
    {"{\"type\":\"inverse\",\"part\":{\"type\":\"coupling\"}}", 2},
    {"{\"type\":\"dequantize\"}", 2},
    {"{\"type\":\"dequantize\",\"columns\":[{\"column\":0,\"levels\":[1,2,4]},{\"column\":1,\"step\":0.1,\"offset\":3}]}", 2},
    {"{\"type\":\"drop\",\"columns\":[{\"column\":0,\"recipe\":{\"kind\":\"linear\",\"of\":[1],\"weights\":[2]}}]}", 2},
    {"{\"type\":\"drop\"}", 2},
    {"{\"type\":\"logit\"}", 2},
    {"{\"type\":\"dequantize\",\"levels\":256}", 2},
    {"{\"type\":\"quantize\"}", 2},
    {"{\"type\":\"quantize\",\"from\":4,\"bits\":4}", 2},
    {"{\"type\":\"variational_dequantize\",\"shape\":[1,1,1],\"net\":{\"hidden\":4}}", 1},
    {"{\"type\":\"variational_dequantize\",\"shape\":[2,2,1],\"steps\":3,\"levels\":32,\"net\":{\"hidden\":4}}", 4},
    {"{\"type\":\"variational_dequantize\",\"shape\":[2,3,1],\"steps\":1,\"transform\":{\"type\":\"mixture-of-logistics\"},"
     "\"net\":{\"type\":\"conv_residual\",\"hidden\":4}}",
     6},
};

enum { SPECIFICATIONS = RH_COUNT_OF(fine) + RH_COUNT_OF(law_table), TYPES = 256 };
static specification specification_of(size_t i) {
  if (i < RH_COUNT_OF(fine)) return fine[i];
  const law_entry *e = &law_table[i - RH_COUNT_OF(fine)];
  return (specification){e->spec, e->columns};
}

/* A part, and those inside of it. */
static void see(const rh_bijection *b, const rh_bijection_type *const *types, int n, bool *seen) {
  rh_bijection *const *parts;
  for (int t = 0; t < n; t++) seen[t] |= types[t] == b->type;
  for (int64_t i = 0, inside = rh_bijection_parts(b, &parts); i < inside; i++) see(parts[i], types, n, seen);
}

static void full_specifications_make_the_same(void **state) {
  (void)state;
  bool seen[TYPES] = {false};
  int n;
  const rh_bijection_type *const *types = rh_bijection_types(&n);
  assert_true(n <= TYPES && RH_COUNT_OF(surjections) < RH_COUNT_OF(fine));
  for (size_t i = 0; i < SPECIFICATIONS; i++)
    for (int64_t context = 0; context <= 2; context += 2) {
      const specification s = specification_of(i);
      part a = part_make(s.spec, s.columns, context, 4);
      char *text = rh_json_text(a.b->spec);
      part b = part_make(text, s.columns, context, 4);
      if (!json_equal(a.b->spec, b.b->spec)) fail_msg("%s: the full specification is not its own full specification: %s", s.spec, text);
      assert_int_equal(a.leaves.n, b.leaves.n);
      for (int64_t l = 0; l < a.leaves.n; l++) {
        assert_string_equal(a.leaves.leaf[l].name, b.leaves.leaf[l].name);
        assert_int_equal(a.leaves.leaf[l].count, b.leaves.leaf[l].count);
      }
      for (int c = 0; c < 2; c++) assert_memory_equal(a.values.flat[c], b.values.flat[c], (size_t)a.leaves.total[c] * 4);
      see(a.b, types, n, seen);
      rh_free(text);
      part_free(&a);
      part_free(&b);
    }
  for (int t = 0; t < n; t++)
    if (!seen[t]) fail_msg("%s is neither in the table of laws nor in `fine`", types[t]->type);
}

#define AR(options) "{\"type\":\"autoregressive\"," options "}"

/* Sizes that no memory holds are refused before anything of them is made. */
static void enormous_networks_are_refused(void **state) {
  (void)state;
  static const char *const specs[] = {AR("\"net\":{\"hidden\":[65536]}"),
                                      AR("\"transform\":{\"type\":\"linear-spline\",\"bins\":1024},\"net\":{\"hidden\":[1]}"),
                                      AR("\"net\":{\"type\":\"residual\",\"hidden\":1,\"blocks\":64}")};
  for (size_t i = 0; i < RH_COUNT_OF(specs); i++) {
    part p;
    assert_int_equal(part_try(&p, specs[i], (int64_t)1 << 22, 0), RH_E_SPEC);
    if (!strstr(rh_last_error(), "is too large")) fail_msg("%s: '%s'", specs[i], rh_last_error());
    rh_leaves_free(&p.leaves);
  }
}

/* A path through the most columns that a graph may have, and everything on everything before: in a moment. */
static void large_graphs(void **state) {
  (void)state;
  enum { MOST = 4096, WIDE = 600 };
  for (int whole = 0; whole < 2; whole++) {
    const int d = whole ? WIDE : MOST;
    char *text = malloc((size_t)d * (whole ? 5 * WIDE : 16) + 200), *at = text;
    at += sprintf(at, "{\"type\":\"autoregressive\",\"net\":{\"hidden\":[64]},\"graph\":[");
    for (int i = 0; i < d; i++) {
      at += sprintf(at, "%s[", i ? "," : "");
      for (int j = whole ? 0 : i - 1; j < i; j++)
        if (j >= 0) at += sprintf(at, "%s%d", at[-1] == '[' ? "" : ",", j);
      at += sprintf(at, "]");
    }
    sprintf(at, "]}");
    part p;
    const rh_status status = part_try(&p, text, d, 0);
    if (status != RH_OK) fail_msg("%s", rh_last_error());
    part_free(&p);
    free(text);
  }
}

static void are_named(size_t n, const char *const (*cases)[2], int64_t columns) {
  for (size_t i = 0; i < n; i++) {
    part p;
    const rh_status status = part_try(&p, cases[i][0], columns, 0);
    if (status == RH_OK || status == RH_E_MEMORY) fail_msg("%s: %s", cases[i][0], rh_status_text(status));
    assert_null(p.b);
    if (!strstr(rh_last_error(), cases[i][1])) fail_msg("%s: '%s' does not say '%s'", cases[i][0], rh_last_error(), cases[i][1]);
    assert_null(strchr(rh_last_error(), '\n'));
    rh_leaves_free(&p.leaves);
  }
}

static void wrong_images_are_named(void **state) {
  (void)state;
  static const char *const cases[][2] = {
      {"{\"type\":\"image\"}", "flow.shape: expected [height, width, channels]"},
      {"{\"type\":\"image\",\"shape\":[2,6]}", "flow.shape: expected"},
      {"{\"type\":\"image\",\"shape\":[2,2,4]}", "flow.shape: an image of 2 x 2 with 4 channels has 16 numbers, a row has 12"},
      {"{\"type\":\"squeeze\"}", "flow: squeeze takes images, here come 12 columns"},
      {"{\"type\":\"factor_out\"}", "flow: factor_out takes images"},
      {IMAGE("3,4,1", "{\"type\":\"squeeze\"}"), "flow.parts[1]: an image of 3 x 4 cannot be squeezed, its sides must be even"},
      {IMAGE("2,2,3", "{\"type\":\"unsqueeze\"}"), "flow.parts[1]: 3 channels are not of four pixels"},
      {IMAGE("2,2,3", "{\"type\":\"standardize\"}"), "standardize takes vectors, here come 3 dimensions"},
      {IMAGE("3,4,1", "{\"type\":\"factor_out\"}"), "flow.parts[1]: one channel has no half"},
      {IMAGE("3,4,1", "{\"type\":\"coupling\"}"), "flow.parts[1].mask: one channel cannot be split: take \"checkerboard\""},
      {IMAGE("1,1,12", "{\"type\":\"coupling\",\"mask\":\"checkerboard\"}"), "flow.parts[1].mask: an image of one pixel"},
      {IMAGE("2,3,2", "{\"type\":\"coupling\",\"mask\":\"half\"}"), "flow.parts[1].mask: unknown name 'half'"},
      {IMAGE("2,3,2", "{\"type\":\"coupling\",\"net\":{\"type\":\"mlp\"}}"), "flow.parts[1].net: 'mlp' reads a vector, here come images"},
      {"{\"type\":\"coupling\",\"net\":{\"type\":\"conv\"}}", "flow.net: 'conv' reads images, here comes a vector"},
      {IMAGE("2,3,2", "{\"type\":\"coupling\",\"net\":{\"kernel\":4}}"), "flow.parts[1].net.kernel: 4 is even"},
      {IMAGE("1,6,2", "{\"type\":\"coupling\",\"net\":{\"padding\":\"reflect\"}}"),
       "flow.parts[1].net.padding: an image of 1 x 6 is too small"},
      {IMAGE("2,3,2", "{\"type\":\"coupling\",\"net\":{\"type\":\"conv_unet\",\"padding\":\"reflect\"}}"),
       "flow.parts[1].net.padding: an image of 1 x 2 is too small"}, /* which is what the second level halves */
      {IMAGE("2,3,2", "{\"type\":\"coupling\",\"net\":{\"type\":\"conv_unet\",\"levels\":9}}"),
       "flow.parts[1].net.levels: 9 is out of range"},
      {IMAGE("2,3,2", "{\"type\":\"coupling\",\"net\":{\"type\":\"conv_residual\",\"hidden\":4,\"norm\":\"group\",\"groups\":3}}"),
       "flow.parts[1].net.groups: 3 groups do not divide 4 channels"},
      {IMAGE("2,3,2", "{\"type\":\"factor_out\",\"part\":{\"type\":\"lu\",\"x\":1}}"), "flow.parts[1].part: unknown key 'x'"},
      {IMAGE("2,3,2", "{\"type\":\"factor_out\",\"bound\":2}"), "flow.parts[1]: unknown key 'bound'"},
      {IMAGE("2,2,3", "{\"type\":\"inverse\",\"part\":{\"type\":\"squeeze\"}}"), "of \"squeeze\" the inverse is \"unsqueeze\""},
      {IMAGE("2,2,3", "{\"type\":\"lu\",\"start\":\"rotated\"}"), "flow.parts[1].start: unknown name 'rotated'"},
      {IMAGE("2,2,3", "{\"type\":\"permutation\",\"order\":[0,1]}"), "flow.parts[1].order: 2 columns of 3"},
      {"{\"type\":\"coupling\",\"transform\":{\"type\":\"scale\",\"scale\":\"sigmoid\"}}", "flow.transform: unknown key 'scale'"},
      {"{\"type\":\"coupling\",\"transform\":{\"type\":\"affine\",\"scale\":\"sigmoid\",\"bound\":2}}",
       "flow.transform: unknown key 'bound'"},
  };
  are_named(RH_COUNT_OF(cases), cases, 12);
}

static void wrong_specifications_are_named(void **state) {
  (void)state;
  static const char *const cases[][2] = {
      {"{}", "flow: no \"type\""},
      {"[]", "flow: expected an object"},
      {"{\"type\":\"cuopling\"}", "flow.type: unknown name 'cuopling', did you mean 'coupling'"},
      {"{\"type\":\"coupling\",\"masc\":1}", "flow: unknown key 'masc', did you mean 'mask'?"},
      {"{\"type\":\"coupling\",\"mask\":\"hlaf\"}", "flow.mask: unknown name 'hlaf', did you mean 'half'"},
      {"{\"type\":\"coupling\",\"mask\":[0,1,2]}", "flow.mask: all 3 columns are kept"},
      {"{\"type\":\"coupling\",\"mask\":[0,0]}", "flow.mask: column 0 comes twice"},
      {"{\"type\":\"coupling\",\"mask\":[3]}", "flow.mask[0]: 3 is out of range"},
      {"{\"type\":\"coupling\",\"mask\":[0,1,2,0]}", "flow.mask: 4 numbers are too many"},
      {"{\"type\":\"coupling\",\"transform\":\"afine\"}", "flow.transform.type: unknown name 'afine', did you mean 'affine'"},
      {"{\"type\":\"coupling\",\"transform\":{\"type\":\"affine\",\"bound\":-1}}", "flow.transform.bound"},
      {"{\"type\":\"coupling\",\"transform\":{\"type\":\"additive\",\"bound\":1}}", "flow.transform: unknown key 'bound'"},
      {"{\"type\":\"coupling\",\"net\":{\"hidden\":[-1]}}", "flow.net.hidden[0]: -1 is out of range"},
      {"{\"type\":\"elementwise\",\"mask\":\"half\"}", "unknown key 'mask'"},
      {"{\"type\":\"permutation\",\"order\":[0,1]}", "flow.order: 2 columns of 3: an order names each of them once"},
      {"{\"type\":\"permutation\",\"order\":[0,1,1]}", "flow.order: column 1 comes twice"},
      {"{\"type\":\"lu\",\"bound\":0}", "flow.bound"},
      {"{\"type\":\"logit\",\"alpha\":0}", "flow.alpha: 0 is out of range"},
      {"{\"type\":\"logit\",\"alpha\":0.5}", "flow.alpha"},
      {"{\"type\":\"logit\",\"low\":256}", "flow.high: 256 is not above low, 256"},
      {"{\"type\":\"dequantize\",\"levels\":0}", "flow.levels"},
      {"{\"type\":\"dequantize\",\"step\":2}", "flow: unknown key 'step'"},
      {"{\"type\":\"dequantize\",\"columns\":[],\"levels\":2}", "flow: unknown key 'levels'"},
      {"{\"type\":\"quantize\",\"from\":5,\"bits\":6}", "flow.bits: 6 are more than there are, 5"},
      {"{\"type\":\"quantize\",\"bits\":0}", "flow.bits"},
      {"{\"type\":\"variational_dequantize\"}", "flow.shape: expected [height, width, channels] of an image of 3 numbers"},
      {"{\"type\":\"variational_dequantize\",\"shape\":[1,2,2]}", "flow.shape: expected [height, width, channels] of an image of 3"},
      {"{\"type\":\"variational_dequantize\",\"shape\":[1,1,3],\"levels\":1}", "flow.levels"},
      {"{\"type\":\"variational_dequantize\",\"shape\":[1,1,3],\"net\":{\"type\":\"mlp\"}}", "flow.net: 'mlp' reads a vector"},
      {"{\"type\":\"variational_dequantize\",\"shape\":[1,1,3],\"transform\":\"afine\"}", "flow.transform.type: unknown name 'afine'"},
      {AR("\"order\":[0,1]"), "flow.order: 2 columns of 3: an order names each of them once"},
      {AR("\"order\":[0,1,1]"), "flow.order: column 1 comes twice"},
      {AR("\"order\":[0,1,3]"), "flow.order[2]: 3 is out of range"},
      {AR("\"order\":[0,1,2,0]"), "flow.order: 4 numbers are too many"},
      {AR("\"order\":\"natrual\""), "flow.order: unknown name 'natrual', did you mean 'natural'"},
      {AR("\"order\":[0,1,2],\"graph\":[[],[],[]]"), "flow.order: the graph gives the order"},
      {AR("\"graph\":[[],[0]]"), "flow.graph: must be a list of 3 lists"},
      {AR("\"graph\":[[],[0],[1],[2]]"), "flow.graph: must be a list of 3 lists"},
      {AR("\"graph\":{}"), "flow.graph: must be a list of 3 lists"},
      {AR("\"graph\":[[],0,[1]]"), "flow.graph: entry 1 is no list"},
      {AR("\"graph\":[[],[0],[3]]"), "flow.graph: entry 2: columns are whole numbers 0 to 2"},
      {AR("\"graph\":[[],[0.5],[]]"), "flow.graph: entry 1: columns are whole numbers"},
      {AR("\"graph\":[[],[-1],[]]"), "flow.graph: entry 1: columns are whole numbers"},
      {AR("\"graph\":[[],[1],[]]"), "flow.graph: column 1 depends on itself"},
      {AR("\"graph\":[[1],[0],[]]"), "flow.graph: has a cycle: column"},
      {AR("\"graph\":[[2],[0],[1,0]]"), "flow.graph: has a cycle: column"},
      {AR("\"graph\":[[],[2],[1]]"), "flow.graph: has a cycle: column"},
      {AR("\"net\":{\"type\":\"residual\",\"blocks\":65}"), "flow.net.blocks: 65 is out of range"},
      {AR("\"net\":{\"hidden\":[0]}"), "flow.net.hidden[0]: 0 is out of range"},
      {AR("\"net\":{\"type\":\"constant\"}"), "flow.net.type: unknown name 'constant'"},
      {AR("\"transform\":{\"type\":\"rqs\",\"bins\":0}"), "flow.transform.bins: 0 is out of range"},
      {AR("\"transform\":{\"type\":\"rqs\",\"bins\":65}"), "flow.transform.bins: 65 is out of range"},
      {AR("\"transform\":{\"type\":\"rqs\",\"box\":0}"), "flow.transform.box: 0 is out of range"},
      {AR("\"transform\":{\"type\":\"rqs\",\"bins\":8,\"min_width\":0.125}"), "flow.transform.min_width: 8 bins of at least 0.125"},
      {AR("\"transform\":{\"type\":\"rqs\",\"tails\":\"cubic\"}"), "flow.transform.tails: unknown name 'cubic'"},
      {AR("\"transform\":{\"type\":\"linear-spline\",\"bins\":1}"), "flow.transform.bins: 1 is out of range"},
      {AR("\"transform\":{\"type\":\"mixture-of-logistics\",\"components\":0}"), "flow.transform.components: 0 is out of range"},
      {"{\"type\":\"householder\",\"reflections\":3}", "flow.reflections: 3 is odd"},
      {"{\"type\":\"qr\",\"bound\":0}", "flow.bound"},
      {"{\"type\":\"standardize\",\"mean\":[1,2]}", "flow.mean: 2 numbers, there must be 3"},
      {"{\"type\":\"standardize\",\"scale\":[1,0,1]}", "flow.scale: number 1 must be"},
      {"{\"type\":\"standardize\",\"scale\":\"wide\"}", "flow.scale: number 0 must be"},
      {"{\"type\":\"whiten\",\"factor\":[1,2,0,0,1,0,0,0,1]}", "flow.factor: must be lower triangular"},
      {"{\"type\":\"whiten\",\"factor\":[1,0,0,0,-1,0,0,0,1]}", "flow.factor: the diagonal must be above 0"},
      {"{\"type\":\"chain\",\"parts\":{}}", "flow.parts: expected an array"},
      {"{\"type\":\"chain\",\"parts\":[{\"type\":\"lu\"},{\"type\":\"lu\",\"x\":1}]}", "flow.parts[1]: unknown key 'x'"},
      {"{\"type\":\"chain\",\"parts\":[3]}", "flow.parts[0]: expected an object"},
      {"{\"type\":\"inverse\"}", "flow.part: no \"type\""},
      {"{\"type\":\"inverse\",\"part\":{\"type\":\"dequantize\"}}", "cannot be turned round"},
      {"{\"type\":\"support\",\"columns\":[{\"column\":0,\"kind\":\"log\"}]}", "flow.columns[0]: log needs either \"low\" or \"high\""},
      {"{\"type\":\"support\",\"columns\":[{\"column\":0,\"low\":1}]}", "flow.columns[0]: logit needs \"low\" and \"high\""},
      {"{\"type\":\"support\",\"columns\":[{\"column\":0,\"low\":1,\"high\":1}]}", "low below high"},
      {"{\"type\":\"support\",\"columns\":[{\"column\":3,\"low\":1,\"high\":2}]}", "flow.columns: entry 0: \"column\" must be 0 to 2"},
      {"{\"type\":\"support\",\"columns\":[{\"column\":0,\"low\":1,\"high\":2},{\"column\":0,\"low\":1,\"high\":2}]}", "comes twice"},
      {"{\"type\":\"support\",\"columns\":3}", "flow.columns: expected an array"},
      {"{\"type\":\"dequantize\",\"columns\":[{\"column\":0,\"step\":0}]}", "flow.columns[0].step"},
      {"{\"type\":\"dequantize\",\"columns\":[{\"column\":0,\"levels\":[2,1]}]}", "flow.columns[0].levels: entry 1"},
      {"{\"type\":\"dequantize\",\"columns\":[{\"column\":0,\"levels\":[]}]}", "flow.columns[0].levels"},
      {"{\"type\":\"drop\",\"columns\":[{\"column\":0},{\"column\":1},{\"column\":2}]}", "flow.columns: all 3 columns are dropped"},
      {"{\"type\":\"drop\",\"columns\":[{\"column\":0,\"recipe\":{\"kind\":\"copy\",\"of\":0}}]}", "must name columns that stay"},
      {"{\"type\":\"drop\",\"columns\":[{\"column\":0,\"recipe\":{\"kind\":\"linear\",\"of\":[1],\"weights\":[]}}]}", "one length"},
      {"{\"type\":\"drop\",\"columns\":[{\"column\":0,\"recipe\":{\"kind\":\"linear\",\"of\":[1],\"weights\":[\"x\"]}}]}", "weight 0"},
      {"{\"type\":\"drop\",\"columns\":[{\"column\":0,\"recipe\":{\"kind\":\"cpoy\"}}]}", "did you mean 'copy'"},
      {"{\"type\":\"drop\",\"columns\":[{\"column\":0,\"recip\":{}}]}", "did you mean 'recipe'"},
  };
  are_named(RH_COUNT_OF(cases), cases, 3);
}

/* ---- lost allocations ---- */

static int left = INT_MAX;
static int fail_at(void *state) {
  (void)state;
  return left-- == 0;
}
static void *scarce_malloc(size_t bytes) {
  return fail_at(NULL) ? NULL : malloc(bytes);
}

static rh_status try_scarce(const json_t *spec, int64_t d, int at) {
  rh_leaves leaves = {0};
  const rh_build build = {&leaves, "p", 0};
  rh_bijection *b = NULL;
  left = at;
  rh_alloc_set_hook(fail_at, NULL);
  json_set_alloc_funcs(scarce_malloc, free);
  rh_status status = rh_bijection_create(&build, spec, "flow", rh_shape1(d), &b);
  rh_graph g = {0};
  if (status == RH_OK) status = rh_graph_init(&g, &leaves);
  if (status == RH_OK) {
    rh_val y, ladj;
    const rh_val x = rh_input(&g, rh_shape1(d)), noise = b->noise ? rh_input(&g, rh_shape1(b->noise)) : RH_NONE;
    rh_forward(b, &g, x, RH_NONE, noise, &y, &ladj);
    rh_inverse(b, &g, y, RH_NONE, &y, &ladj);
    status = rh_graph_status(&g);
    if (status != RH_OK) assert_true(rh_is_none(y) && rh_is_none(ladj));
  }
  rh_alloc_set_hook(NULL, NULL);
  rh_graph_free(&g);
  rh_bijection_destroy(b);
  rh_leaves_free(&leaves);
  json_set_alloc_funcs(malloc, free);
  return status;
}

static void lost_allocations_are_errors(void **state) {
  (void)state;
  for (size_t i = 0; i < SPECIFICATIONS; i++) {
    const specification s = specification_of(i);
    json_t *json = part_json(s.spec);
    int n = 0;
    rh_status status;
    while ((status = try_scarce(json, s.columns, n)) != RH_OK) {
      if (status != RH_E_MEMORY) fail_msg("%s, allocation %d: %s", s.spec, n, rh_last_error());
      assert_true(++n < 2000);
    }
    assert_true(n > 2);
    json_decref(json);
  }
}

/* ---- widths ---- */

static void any_width(void **state) {
  (void)state;
  static const char *const specs[] = {"{\"type\":\"standardize\"}",
                                      "{\"type\":\"actnorm\"}",
                                      "{\"type\":\"permutation\"}",
                                      "{\"type\":\"coupling\"}",
                                      "{\"type\":\"coupling\",\"mask\":\"odd\"}",
                                      "{\"type\":\"elementwise\"}",
                                      "{\"type\":\"dequantize\"}",
                                      "{\"type\":\"support\",\"columns\":[{\"column\":0,\"kind\":\"log\",\"low\":-9}]}",
                                      "{\"type\":\"lu\"}",
                                      "{\"type\":\"whiten\"}"};
  static const int64_t widths[] = {1, 2, 10000};
  for (size_t i = 0; i < RH_COUNT_OF(specs); i++)
    for (size_t w = 0; w < RH_COUNT_OF(widths); w++) {
      const int64_t d = widths[w];
      if (i >= 8 && d > 2) { /* a matrix of that size: refused, in words */
        part p;
        assert_int_equal(part_try(&p, specs[i], d, 0), RH_E_SPEC);
        assert_non_null(strstr(rh_last_error(), "at most 4096 columns"));
        rh_leaves_free(&p.leaves);
        continue;
      }
      part p = part_make(specs[i], d, 0, 4);
      double *x = probe_random(2 * d, 1, -2, 2), *y = calloc((size_t)(2 * d), sizeof *y), *back = calloc((size_t)(2 * d), sizeof *y),
             ladj[2];
      part_run(&p, true, 2, x, NULL, p.b->noise ? x : NULL, y, ladj, NULL);
      part_inverse(&p, 2, y, back, ladj);
      for (int64_t k = 0; k < 2 * d && p.b->exact; k++) assert_true(fabs(back[k] - x[k]) < 1e-5);
      free(x), free(y), free(back);
      part_free(&p);
    }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(full_specifications_make_the_same),
      cmocka_unit_test(wrong_specifications_are_named),
      cmocka_unit_test(wrong_images_are_named),
      cmocka_unit_test(enormous_networks_are_refused),
      cmocka_unit_test(large_graphs),
      cmocka_unit_test(lost_allocations_are_errors),
      cmocka_unit_test(any_width),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
