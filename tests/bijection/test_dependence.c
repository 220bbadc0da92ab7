/* Which column of an autoregressive bijection depends on which: the zeros of its dense Jacobian against what the user asked for, a graph
 * or an order, both read here anew from the specification. */
#include "bijection/part.h"

enum { MOST = 12, ROWS = 3 };

typedef struct row {
  const char *spec;
  int64_t columns;
} row;

#define AR(options)  "{\"type\":\"autoregressive\"," options "}"
#define MLP(options) AR(options ",\"net\":{\"type\":\"mlp\",\"hidden\":[40,40],\"activation\":\"tanh\",\"init\":\"scaled\"}")
#define RESIDUAL(options) \
  AR(options ",\"net\":{\"type\":\"residual\",\"hidden\":40,\"blocks\":2,\"activation\":\"silu\",\"init\":\"scaled\"}")

static const row rows[] = {
    /* no column stands where the sorted order has it; columns of one level have different parents */
    {MLP("\"graph\":[[4],[4,5],[0,4],[1,5],[],[]]"), 6},
    {RESIDUAL("\"graph\":[[4],[4,5],[0,4],[1,5],[],[]]"), 6},
    {MLP("\"graph\":[[1,3],[],[0],[],[3]]"), 5},
    {MLP("\"graph\":[[2],[0,3],[],[2],[1],[3,0],[5],[]],\"transform\":{\"type\":\"rqs\",\"bins\":4,\"box\":4}"), 8},
    {RESIDUAL("\"graph\":[[8,6],[8],[1,7],[2,8],[6],[6,7],[],[],[],[3,4],[5,0,3],[]],\"transform\":\"additive\""), 12},
    {MLP("\"graph\":[[],[],[],[]]"), 4},
    {MLP("\"graph\":[[1,2,3],[2,3],[3],[]]"), 4},
    {MLP("\"order\":[2,0,3,1]"), 4},
    {MLP("\"order\":[1,2,3,4,0]"), 5},
    {RESIDUAL("\"order\":[3,1,4,0,2],\"transform\":\"scale\""), 5},
    {MLP("\"order\":\"natural\""), 5},
    {MLP("\"order\":\"reversed\",\"transform\":{\"type\":\"linear-spline\",\"bins\":3,\"bound\":4}"), 4},
    {MLP("\"order\":\"random\",\"seed\":5"), 7},
};

/* may [d, d]: column i may depend on j. Random orders stand in what the bijection wrote. */
static void wanted(const json_t *spec, int64_t d, bool *may) {
  const json_t *graph = json_object_get(spec, "graph"), *order = json_object_get(spec, "order");
  const bool reversed = json_is_string(order) && strcmp(json_string_value(order), "reversed") == 0;
  int64_t place[MOST];
  for (int64_t k = 0; k < d; k++) {
    if (json_is_array(order))
      place[json_integer_value(json_array_get(order, (size_t)k))] = k;
    else
      place[k] = reversed ? d - 1 - k : k;
  }
  for (int64_t i = 0; i < d; i++)
    for (int64_t j = 0; j < d; j++) {
      const json_t *list = json_array_get(graph, (size_t)i);
      bool named = false;
      for (size_t k = 0; k < json_array_size(list); k++) named |= json_integer_value(json_array_get(list, k)) == j;
      may[i * d + j] = i == j || (graph ? named : place[j] < place[i]);
    }
}

/* Which columns depend on which through others, too: the inverse. */
static void through_others(int64_t d, bool *may) {
  for (int64_t k = 0; k < d; k++)
    for (int64_t i = 0; i < d; i++)
      for (int64_t j = 0; j < d; j++) may[i * d + j] |= may[i * d + k] && may[k * d + j];
}

/* does [d, d]: some row's output i moves with input j. Exact: what does not depend is 0, not small. */
static void dense(const part *p, bool forward, int64_t context, bool *does) {
  const int64_t d = p->b->in.dim[0];
  double *x = probe_random(ROWS * MOST * MOST, 31, -2, 2), *c = probe_random(ROWS * MOST * 2, 32, -1, 1),
         *unit = calloc(ROWS * MOST * MOST, 8), *column = calloc(ROWS * MOST * MOST, 8);
  rh_graph g;
  rh_val y, ladj, moved;
  PROBE_OK(rh_graph_init(&g, &p->leaves));
  const rh_val in = rh_input(&g, rh_shape1(d)), t = rh_input(&g, rh_shape1(d)), cond = context ? rh_input(&g, rh_shape1(context)) : RH_NONE;
  if (forward)
    rh_forward(p->b, &g, in, cond, RH_NONE, &y, &ladj);
  else
    rh_inverse(p->b, &g, in, cond, &y, &ladj);
  PROBE_OK(rh_graph_status(&g));
  PROBE_OK(rh_jvp(&g, 1, &in, &t, 1, &y, &moved));
  for (int64_t r = 0; r < ROWS * d; r++) unit[r * d + r % d] = 1;
  const probe q = {.g = &g,
                   .values = &p->values,
                   .real_bytes = 8,
                   .rows = ROWS * d,
                   .input = {x, unit, c},
                   .n_row = 1,
                   .row_val = {moved},
                   .row_out = {column}};
  probe_run(&q);
  memset(does, 0, (size_t)(d * d) * sizeof *does);
  for (int64_t r = 0; r < ROWS * d; r++)
    for (int64_t i = 0; i < d; i++) does[i * d + r % d] |= column[r * d + i] != 0;
  rh_graph_free(&g);
  free(x), free(c), free(unit), free(column);
}

/* The first pair (i, j) that is wrong: i * d + j; -1: none. */
static int64_t first_wrong(const part *p, bool forward, int64_t context, const json_t *spec) {
  const int64_t d = p->b->in.dim[0];
  bool may[MOST * MOST], does[MOST * MOST];
  wanted(spec, d, may);
  if (!forward) through_others(d, may);
  dense(p, forward, context, does);
  for (int64_t k = 0; k < d * d; k++)
    if (may[k] != does[k]) return k;
  return -1;
}

static part made(const char *spec, int64_t columns, int64_t context) {
  part p = part_make(spec, columns, context, 8);
  part_shake(&p, 0.3);
  return p;
}

static void columns_depend_on_what_was_asked_for(void **state) {
  (void)state;
  for (size_t k = 0; k < RH_COUNT_OF(rows); k++)
    for (int64_t context = 0; context <= 2; context += 2) {
      const int64_t d = rows[k].columns;
      part p = made(rows[k].spec, d, context);
      for (int forward = 0; forward < 2; forward++) {
        const int64_t wrong = first_wrong(&p, forward, context, p.b->spec);
        if (wrong >= 0)
          fail_msg("%s, %s: column %d depends on %d, or should and does not", rows[k].spec, forward ? "forward" : "inverse",
                   (int)(wrong / d), (int)(wrong % d));
      }
      part_free(&p);
    }
}

/* Would a table of parents in a wrong order be noticed, though it keeps every column's level? */
static void wrong_tables_are_noticed(void **state) {
  (void)state;
  static const char *const wrong[] = {
      "{\"graph\":[[5],[4,5],[0,4],[1,5],[],[]]}",           /* another parent of the same level */
      "{\"graph\":[[4,5],[4],[0,4],[1,5],[],[]]}",           /* two columns' parents swapped */
      "{\"graph\":[[4],[4,5],[1,5],[0,4],[],[]]}",           /* further down */
      "{\"graph\":[[4],[4,5],[0,4,5],[1,5],[],[]]}",         /* one more */
      "{\"graph\":[[4],[4,5],[0],[1,5],[],[]]}",             /* one less */
      "{\"graph\":[[4,5],[4,5],[0,1,4,5],[0,1,4,5],[],[]]}", /* all of lower levels */
  };
  part p = made(rows[0].spec, rows[0].columns, 0);
  for (size_t k = 0; k < RH_COUNT_OF(wrong); k++) {
    json_t *spec = part_json(wrong[k]);
    assert_true(first_wrong(&p, true, 0, spec) >= 0);
    json_decref(spec);
  }
  part_free(&p);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(columns_depend_on_what_was_asked_for), cmocka_unit_test(wrong_tables_are_noticed)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
