/* The laws of networks, over every registered one, with every activation, with and without a context; and their mutants. */
#include "laws/mutant.h"
#include "laws/subject.h"
#include "net/net.h"

enum { WIDE = 32, ENTRIES = 96 };

typedef struct net_law net_law;
typedef struct net_row { /* one row a network and shape; a new network adds one and inherits every law */
  const char *type, *options;
  int64_t in, out, context;
  bool activations, inits;                                          /* has these options */
  void (*by_hand)(const net_law *n, const double *in, double *out); /* in plain C, from the same weights */
} net_row;

typedef struct entry {
  const net_row *row;
  const char *activation;
  char name[80];
} entry;

struct net_law {
  const entry *entry;
  rh_leaves leaves;
  rh_values values;
  rh_net *net;
  rh_net_type type; /* the instance's own, so that a mutant may change it */
};

/* ---- by hand ---- */

static double activate(const char *name, double x) {
  if (!strcmp(name, "relu")) return fmax(x, 0);
  if (!strcmp(name, "silu")) return x / (1 + exp(-x));
  if (!strcmp(name, "tanh")) return tanh(x);
  if (!strcmp(name, "gelu")) return x * erfc(-x / sqrt(2)) / 2;
  if (!strcmp(name, "softplus")) return fmax(x, 0) + log1p(exp(-fabs(x)));
  if (!strcmp(name, "elu")) return x > 0 ? x : expm1(x);
  assert_string_equal(name, "identity");
  return x;
}

static const rh_leaf *leaf_of(const net_law *n, const char *name, const char *what, int *leaf) {
  char full[80];
  snprintf(full, sizeof full, *name ? "law.%s.%s" : "law.%s%s", name, what);
  *leaf = rh_leaf_find(&n->leaves, full);
  if (*leaf < 0) fail_msg("%s has no leaf %s", n->entry->name, full);
  return &n->leaves.leaf[*leaf];
}

static void dense(const net_law *n, const char *name, const double *x, double *y) {
  int w, b;
  const rh_leaf *weight = leaf_of(n, name, "weight", &w);
  leaf_of(n, name, "bias", &b);
  for (int64_t i = 0; i < weight->shape.dim[0]; i++) {
    y[i] = rh_values_get(&n->leaves, &n->values, b, i);
    for (int64_t j = 0; j < weight->shape.dim[1]; j++)
      y[i] += rh_values_get(&n->leaves, &n->values, w, i * weight->shape.dim[1] + j) * x[j];
  }
}

static void activate_all(const net_law *n, const double *x, double *y) {
  for (int i = 0; i < WIDE; i++) y[i] = activate(n->entry->activation, x[i]);
}

static void linear_by_hand(const net_law *n, const double *in, double *out) {
  dense(n, "", in, out);
}

static void constant_by_hand(const net_law *n, const double *in, double *out) {
  int value;
  (void)in;
  leaf_of(n, "", "value", &value);
  for (int64_t i = 0; i < n->net->out; i++) out[i] = rh_values_get(&n->leaves, &n->values, value, i);
}

static void mlp_by_hand(const net_law *n, const double *in, double *out) {
  double a[WIDE] = {0}, b[WIDE] = {0};
  const int64_t layers = n->leaves.n / 2;
  memcpy(a, in, (size_t)(n->net->in + n->net->context) * sizeof *a);
  for (int64_t l = 0; l < layers; l++) {
    char name[8];
    snprintf(name, sizeof name, "%d", (int)l);
    dense(n, name, a, b);
    activate_all(n, b, a);
  }
  memcpy(out, b, (size_t)n->net->out * sizeof *out);
}

static void residual_by_hand(const net_law *n, const double *in, double *out) {
  double h[WIDE] = {0}, a[WIDE] = {0}, b[WIDE] = {0};
  const int64_t blocks = (n->leaves.n - 4) / 4;
  dense(n, "initial", in, h);
  for (int64_t k = 0; k < blocks; k++) {
    char name[2][24];
    for (int j = 0; j < 2; j++) snprintf(name[j], sizeof name[j], "blocks.%d.%d", (int)k, j);
    activate_all(n, h, a);
    dense(n, name[0], a, b);
    activate_all(n, b, a);
    dense(n, name[1], a, b);
    for (int i = 0; i < WIDE; i++) h[i] += b[i];
  }
  dense(n, "final", h, out);
}

static const net_row rows[] = {
    {"constant", "", 0, 3, 0, false, false, constant_by_hand},
    {"linear", "", 3, 4, 0, false, true, linear_by_hand},
    {"linear", "", 2, 3, 2, false, true, linear_by_hand},
    {"mlp", ",\"hidden\":[]", 3, 2, 0, false, true, mlp_by_hand},
    {"mlp", ",\"hidden\":[7,5]", 3, 4, 0, true, true, mlp_by_hand},
    {"mlp", ",\"hidden\":[6]", 2, 3, 2, true, true, mlp_by_hand},
    {"mlp", ",\"hidden\":[4,4]", 0, 2, 2, true, true, mlp_by_hand}, /* the context alone */
    {"mlp", ",\"hidden\":[1],\"gain\":3", 1, 1, 0, true, true, mlp_by_hand},
    {"residual", ",\"hidden\":6,\"blocks\":2", 3, 4, 0, true, true, residual_by_hand},
    {"residual", ",\"hidden\":5,\"blocks\":1", 2, 3, 2, true, true, residual_by_hand},
    {"residual", ",\"hidden\":4,\"blocks\":3", 0, 2, 2, true, true, residual_by_hand},
};

static entry table[ENTRIES];
static int table_n;

static void fill_table(void) {
  for (size_t r = 0; r < RH_COUNT_OF(rows); r++)
    for (int a = 0; rh_activation_names[a] && (a == 0 || rows[r].activations); a++) {
      entry *e = &table[table_n++];
      assert_true(table_n <= ENTRIES);
      *e = (entry){.row = &rows[r], .activation = rows[r].activations ? rh_activation_names[a] : "identity"};
      snprintf(e->name, sizeof e->name, "%s%s, %s, context %d", rows[r].type, rows[r].options, e->activation, (int)rows[r].context);
    }
}

/* ---- making one ---- */

static rh_val apply(const rh_net *net, rh_graph *g, rh_val x);
static rh_net_type original;

static net_law make(const entry *e, const char *init, int real_bytes, bool shaken) {
  net_law n = {.entry = e};
  char spec[240];
  int used = snprintf(spec, sizeof spec, "{\"type\":\"%s\"%s", e->row->type, e->row->options);
  if (e->row->activations) used += snprintf(spec + used, sizeof spec - (size_t)used, ",\"activation\":\"%s\"", e->activation);
  if (e->row->inits && *init) used += snprintf(spec + used, sizeof spec - (size_t)used, ",\"init\":\"%s\"", init);
  snprintf(spec + used, sizeof spec - (size_t)used, "}");
  json_t *json;
  PROBE_OK(rh_json_parse(spec, strlen(spec), e->name, &json));
  const rh_build build = {&n.leaves, "law", e->row->context};
  PROBE_OK(rh_net_create(&build, json, e->name, e->row->in, e->row->out, &n.net));
  json_decref(json);
  assert_string_equal(n.net->type->type, e->row->type);
  PROBE_OK(rh_values_create(&n.leaves, real_bytes, &n.values));
  rh_values_init(&n.leaves, 5, &n.values);
  if (shaken) subject_shake(&n.leaves, &n.values, 0.8);
  return n;
}

static void unmake(net_law *n) {
  rh_net_destroy(n->net);
  rh_values_free(&n->values);
  rh_leaves_free(&n->leaves);
}

static rh_val apply(const rh_net *net, rh_graph *g, rh_val x) {
  const rh_val y = original.apply(net, g, x);
  const rh_val stale = mutant_wants_stale(0) && !rh_is_none(x) ? original.apply(net, g, mutant_stale(g, x)) : RH_NONE;
  return mutant_of(0, g, y, stale);
}

static void begin(subject *s, net_law *n, rh_memory memory) {
  n->type = original = *n->net->type;
  n->type.apply = apply;
  n->net->type = &n->type;
  subject_begin(s, n->entry->name, &n->leaves, &n->values);
  const rh_val x = subject_input(s, n->net->in, probe_random(SUBJECT_ROWS * n->net->in, 1, -2, 2));
  const rh_val context = subject_input(s, n->net->context, probe_random(SUBJECT_ROWS * n->net->context, 2, -2, 2));
  const bool region = n->net->in > 1; /* a RECOMPUTE region, where a coupling has one */
  if (region) rh_scope_begin(&s->g);
  const rh_val y = rh_net_apply(n->net, &s->g, x, context);
  if (region) rh_scope_end(&s->g);
  subject_out(s, y);
  subject_derive(s, memory);
}

static void end(subject *s, net_law *n) {
  subject_end(s);
  unmake(n);
}

/* ---- the laws ---- */

typedef bool net_check(const entry *e, char *text);

static bool values_law(const entry *e, char *text) {
  enum { ROWS = 50 };
  bool fine = true;
  for (int rb = 4; rb <= 8 && fine; rb += 4) {
    net_law n = make(e, "scaled", rb, true);
    subject s;
    begin(&s, &n, RH_KEEP);
    double got[ROWS * WIDE], want[ROWS * WIDE];
    subject_rows(&s, s.out[0], 0, ROWS, got);
    for (int r = 0; r < ROWS; r++) {
      double in[WIDE] = {0}, out[WIDE] = {0}; /* an mlp reads whole buffers */
      int64_t used = 0;
      for (int i = 0; i < s.inputs; i++)
        for (int64_t c = 0; c < s.width[i]; c++)
          in[used++] = rb == 8 ? s.data[i][r * s.width[i] + c] : (double)(float)s.data[i][r * s.width[i] + c];
      e->row->by_hand(&n, in, out);
      memcpy(want + r * n.net->out, out, (size_t)n.net->out * sizeof *want);
    }
    fine = subject_near(text, &s, "the formula in plain C", ROWS * n.net->out, got, want, rb == 8 ? 1e-13 : 5e-6);
    end(&s, &n);
  }
  return fine;
}

static bool gradients_law(const entry *e, char *text) {
  net_law n = make(e, "scaled", 8, true);
  subject s;
  begin(&s, &n, RH_KEEP);
  const bool fine = subject_gradients(&s, 0, text);
  end(&s, &n);
  return fine;
}

/* d output / d input i over ROWS rows -> column [ROWS, out]; inputs count x, then the context. */
static void jacobian_column(subject *s, int64_t i, int64_t n_rows, double *column) {
  const int from = i < s->width[0] ? 0 : 1;
  double unit[WIDE] = {0};
  unit[from ? i - s->width[0] : i] = 1;
  const rh_val t = rh_const_values(&s->g, rh_shape1(s->width[from]), unit);
  rh_val d;
  PROBE_OK(rh_jvp(&s->g, 1, &s->wrt[from], &t, 1, s->out, &d));
  const rh_val zero = rh_fill(&s->g, rh_at(&s->g, s->out[0])->shape, 0);
  subject_rows(s, rh_add_maybe(&s->g, zero, d), 0, n_rows, column);
}

/* Exactly zero where `depends` says so, and not zero everywhere else: a contract that allows too much is wrong too. */
static bool depends_law(const entry *e, char *text) {
  enum { ROWS = 40 };
  net_law n = make(e, "scaled", 8, true);
  subject s;
  begin(&s, &n, RH_KEEP);
  bool fine = true;
  for (int64_t i = 0; i < n.net->in + n.net->context && fine; i++) {
    double column[ROWS * WIDE];
    jacobian_column(&s, i, ROWS, column);
    for (int64_t o = 0; o < n.net->out && fine; o++) {
      const bool may = !n.type.depends || n.type.depends(n.net, o, i);
      double most = 0;
      for (int r = 0; r < ROWS; r++) most = fmax(most, fabs(column[r * n.net->out + o]));
      if (may != (most > 0))
        fine = subject_says(text, &s, may ? "a derivative that should not vanish" : "a derivative that must be exactly 0", i, most, may);
    }
  }
  for (int64_t o = 0; o < n.net->out && n.net->in + n.net->context == 0; o++) assert_true(n.type.depends && !n.type.depends(n.net, o, 0));
  end(&s, &n);
  return fine;
}

static double largest(const entry *e, const char *init) {
  enum { ROWS = 100 };
  net_law n = make(e, init, 8, false);
  subject s;
  begin(&s, &n, RH_KEEP);
  double y[ROWS * WIDE], most = 0;
  subject_rows(&s, s.out[0], 0, ROWS, y);
  for (int64_t k = 0; k < ROWS * n.net->out; k++) most = fmax(most, fabs(y[k]));
  end(&s, &n);
  return most;
}

/* Zero, by default and when asked: exactly; small and scaled: not zero, and of that size. */
static bool start_law(const entry *e, char *text) {
  static const struct {
    const char *init;
    double least, most;
  } inits[] = {{"", 0, 0}, {"zero", 0, 0}, {"small", 1e-5, 0.2}, {"scaled", 0.01, 20}};
  for (size_t i = 0; i < RH_COUNT_OF(inits) && (e->row->inits || i == 0); i++) {
    const double most = largest(e, inits[i].init);
    if (most >= inits[i].least && most <= inits[i].most) continue;
    snprintf(text, SUBJECT_TEXT, "%s: init '%s' gives up to %g, should be %g to %g", e->name, inits[i].init, most, inits[i].least,
             inits[i].most);
    return false;
  }
  return true;
}

static bool bits_law(const entry *e, char *text) {
  bool fine = true;
  for (int rb = 4; rb <= 8 && fine; rb += 4) {
    net_law a = make(e, "scaled", rb, true), b = make(e, "scaled", rb, true);
    subject keep, recompute;
    begin(&keep, &a, RH_KEEP);
    begin(&recompute, &b, RH_RECOMPUTE);
    fine = subject_bits(&keep, &recompute, text);
    end(&keep, &a);
    end(&recompute, &b);
  }
  return fine;
}

static const struct {
  const char *name;
  net_check *check;
} laws[] = {{"values", values_law}, {"depends", depends_law}, {"start", start_law}, {"gradients", gradients_law}, {"bits", bits_law}};

static void every_law(void **state) {
  (void)state;
  int failed = 0;
  for (size_t l = 0; l < RH_COUNT_OF(laws); l++) {
    int before = failed;
    for (int i = 0; i < table_n; i++) {
      char text[SUBJECT_TEXT];
      if (laws[l].check(&table[i], text)) continue;
      print_error("law of %s: %s\n", laws[l].name, text);
      failed++;
    }
    printf("law of %s: %d networks, %d failed\n", laws[l].name, table_n, failed - before);
  }
  assert_int_equal(failed, 0);
}

static void everyone_is_here(void **state) {
  (void)state;
  int n;
  const rh_net_type *const *types = rh_net_types(&n);
  for (int t = 0; t < n; t++) {
    bool found = false;
    for (size_t r = 0; r < RH_COUNT_OF(rows); r++) found |= strcmp(rows[r].type, types[t]->type) == 0;
    if (!found) fail_msg("network %s has no row in tests/laws/test_networks.c", types[t]->type);
  }
  printf("%d registered networks, all in the table\n", n);
}

/* Mean square of a wide network's outputs. Gain: the first layer has one though no activation comes before it, and the last has none; both
 * are made up for. */
static double size_of(const char *format, int layers, int activation, bool gain) {
  enum { ROWS = 20, WIDTH = 256 };
  static const net_row row = {"", "", WIDTH, WIDTH, 0, false, false, NULL};
  const entry e = {.row = &row, .name = "variance"};
  net_law n = {.entry = &e};
  char spec[200], hidden[80] = "256";
  for (int i = 1; i < layers; i++) strcat(hidden, ",256");
  if (!gain) snprintf(hidden, sizeof hidden, "%d", layers);
  if (gain)
    snprintf(spec, sizeof spec, format, hidden, rh_activation_names[activation], rh_activation_gain(activation));
  else
    snprintf(spec, sizeof spec, format, hidden, rh_activation_names[activation]);
  json_t *json;
  PROBE_OK(rh_json_parse(spec, strlen(spec), e.name, &json));
  const rh_build build = {&n.leaves, "law", 0};
  PROBE_OK(rh_net_create(&build, json, e.name, WIDTH, WIDTH, &n.net));
  json_decref(json);
  PROBE_OK(rh_values_create(&n.leaves, 8, &n.values));
  rh_values_init(&n.leaves, 5, &n.values);
  subject s;
  begin(&s, &n, RH_KEEP);
  const double by = gain ? rh_activation_gain(activation) : 1;
  for (int64_t i = 0; i < ROWS * WIDTH; i++) s.data[0][i] *= sqrt(3) / 2 / by; /* uniform, of variance 1 behind the first layer */
  double *y = malloc(ROWS * WIDTH * sizeof *y), sum = 0;
  subject_rows(&s, s.out[0], 0, ROWS, y);
  for (int i = 0; i < ROWS * WIDTH; i++) sum += y[i] * y[i] / (ROWS * WIDTH);
  free(y);
  end(&s, &n);
  return sum * by * by;
}

/* The size of what wide networks pass on is near 1 and does not depend on their depth. */
static void variance_is_kept(void **state) {
  (void)state;
  static const struct {
    const char *format;
    bool gain;
  } nets[] = {{"{\"type\":\"mlp\",\"hidden\":[%s],\"activation\":\"%s\",\"init\":\"scaled\",\"gain\":%.9g}", true},
              {"{\"type\":\"residual\",\"hidden\":256,\"blocks\":%s,\"activation\":\"%s\",\"init\":\"scaled\"}", false}};
  for (size_t k = 0; k < RH_COUNT_OF(nets); k++)
    for (int a = 0; rh_activation_names[a]; a++) {
      const double few = size_of(nets[k].format, 2, a, nets[k].gain), many = size_of(nets[k].format, 10, a, nets[k].gain);
      if (!(few > 0.8 && few < 1.25 && many / few > 0.67 && many / few < 1.5))
        fail_msg("%s, %s: the mean square is %g after 2 layers, %g after 10", nets[k].format, rh_activation_names[a], few, many);
    }
}

static bool noticed(const void *arg) {
  char text[SUBJECT_TEXT];
  for (size_t l = 0; l < 2; l++)
    if (!laws[l].check(arg, text)) return true;
  return false;
}

static void mutants_die(void **state) {
  (void)state;
  static const char *const targets[] = {"apply"};
  for (int i = 0; i < table_n; i++) mutant_each(table[i].name, 1, targets, noticed, &table[i]);
  printf("mutants of networks: %d made, %d killed\n", mutant.made, mutant.killed);
  assert_true(mutant.made > 100);
  assert_int_equal(mutant.killed, mutant.made);
}

int main(void) {
  fill_table();
  const struct CMUnitTest tests[] = {cmocka_unit_test(everyone_is_here), cmocka_unit_test(every_law), cmocka_unit_test(variance_is_kept),
                                     cmocka_unit_test(mutants_die)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
