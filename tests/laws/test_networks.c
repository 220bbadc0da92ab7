/* The laws of networks, over every registered one and every masked one, with every activation, with and without a context; and their
 * mutants. */
#include "laws/image_networks_by_hand.h"
#include "laws/mutant.h"

enum { ENTRIES = 192 };

static const net_order chain = {.name = "a chain"}, narrow = {.name = "a chain of few units", .narrow = true};
static const net_order tiers = {.name = "tiers", .levels = 3, .end = {2, 4, 7}};
static const net_order dag = {
    .name = "a graph",
    .levels = 4,
    .end = {2, 4, 5, 6},
    .graph = true,
    .parents = {{-1, -1, -1}, {-1, -1, -1}, {0, 1, -1}, {1, -1, -1}, {2, 3, -1}, {0, 4, -1}},
};

static const net_row rows[] = {
    {"constant", "", 0, 3, 0, NULL, false, constant_by_hand, NULL, NULL},
    {"linear", "", 3, 4, 0, NULL, true, linear_by_hand, NULL, NULL},
    {"linear", "", 2, 3, 2, NULL, true, linear_by_hand, NULL, NULL},
    {"mlp", ",\"hidden\":[]", 3, 2, 0, NULL, true, mlp_by_hand, NULL, NULL},
    {"mlp", ",\"hidden\":[7,5]", 3, 4, 0, "every", true, mlp_by_hand, NULL, NULL},
    {"mlp", ",\"hidden\":[6]", 2, 3, 2, "every", true, mlp_by_hand, NULL, NULL},
    {"mlp", ",\"hidden\":[4,4]", 0, 2, 2, "every", true, mlp_by_hand, NULL, NULL}, /* the context alone */
    {"mlp", ",\"hidden\":[1],\"gain\":3", 1, 1, 0, "every", true, mlp_by_hand, NULL, NULL},
    {"residual", ",\"hidden\":6,\"blocks\":2", 3, 4, 0, "every", true, residual_by_hand, NULL, NULL},
    {"residual", ",\"hidden\":5,\"blocks\":1", 2, 3, 2, "every", true, residual_by_hand, NULL, NULL},
    {"residual", ",\"hidden\":4,\"blocks\":3", 0, 2, 2, "every", true, residual_by_hand, NULL, NULL},

    {"mlp", ",\"hidden\":[9]", 1, 3, 0, NULL, false, constant_by_hand, &chain, NULL}, /* the first column alone */
    {"mlp", ",\"hidden\":[]", 7, 21, 0, NULL, true, mlp_by_hand, &chain, NULL},
    {"mlp", ",\"hidden\":[]", 7, 14, 2, NULL, true, mlp_by_hand, &tiers, NULL},
    {"mlp", ",\"hidden\":[]", 6, 12, 2, NULL, true, mlp_by_hand, &dag, NULL},
    {"mlp", ",\"hidden\":[24,31]", 7, 21, 0, "tanh", true, mlp_by_hand, &chain, NULL},
    {"mlp", ",\"hidden\":[24,31]", 7, 21, 2, "tanh", true, mlp_by_hand, &chain, NULL},
    {"mlp", ",\"hidden\":[12]", 3, 6, 0, "every", true, mlp_by_hand, &chain, NULL},
    {"mlp", ",\"hidden\":[13,9],\"gain\":3", 3, 3, 2, "every", true, mlp_by_hand, &chain, NULL},
    {"mlp", ",\"hidden\":[14,11]", 7, 14, 2, "tanh", true, mlp_by_hand, &tiers, NULL},
    {"mlp", ",\"hidden\":[24,31]", 6, 12, 0, "tanh", true, mlp_by_hand, &dag, NULL},
    {"mlp", ",\"hidden\":[24,31]", 6, 12, 2, "tanh", true, mlp_by_hand, &dag, NULL},
    {"mlp", ",\"hidden\":[12,20]", 5, 10, 0, "tanh", true, mlp_by_hand, &chain, NULL},
    {"mlp", ",\"hidden\":[13,9]", 5, 10, 2, "tanh", true, mlp_by_hand, &chain, NULL},
    {"mlp", ",\"hidden\":[7,7]", 2, 4, 0, "tanh", true, mlp_by_hand, &chain, NULL},
    {"mlp", ",\"hidden\":[5,6]", 1, 2, 2, "tanh", true, mlp_by_hand, &chain, NULL}, /* the context alone */
    {"mlp", ",\"hidden\":[4,3]", 9, 18, 0, "tanh", true, mlp_by_hand, &narrow, NULL},
    {"mlp", ",\"hidden\":[64,50]", 20, 40, 1, "tanh", true, mlp_by_hand, &chain, NULL},
    {"residual", ",\"hidden\":24,\"blocks\":2", 7, 21, 0, "silu", true, residual_by_hand, &chain, NULL},
    {"residual", ",\"hidden\":24,\"blocks\":2", 7, 21, 2, "silu", true, residual_by_hand, &chain, NULL},
    {"residual", ",\"hidden\":12,\"blocks\":1", 3, 6, 0, "every", true, residual_by_hand, &chain, NULL},
    {"residual", ",\"hidden\":14,\"blocks\":2", 7, 14, 0, "tanh", true, residual_by_hand, &tiers, NULL},
    {"residual", ",\"hidden\":24,\"blocks\":2", 6, 12, 0, "silu", true, residual_by_hand, &dag, NULL},
    {"residual", ",\"hidden\":24,\"blocks\":2", 6, 12, 2, "silu", true, residual_by_hand, &dag, NULL},

    {"conv", ",\"hidden\":4", 18, 36, 0, "every", true, conv_by_hand, NULL, &(const net_image){3, 3, 2, 4}},
    {"conv", ",\"hidden\":3", 18, 12, 2, "every", true, conv_by_hand, NULL, &(const net_image){3, 2, 3, 2}},
    {"conv", ",\"hidden\":4,\"skip\":true,\"gain\":true", 9, 18, 2, "tanh", true, conv_by_hand, NULL, &(const net_image){3, 3, 1, 2}},
    {"conv", ",\"hidden\":3,\"kernel\":1,\"middle\":3,\"weight_norm\":true", 8, 12, 0, "tanh", true, conv_by_hand, NULL,
     &(const net_image){2, 2, 2, 3}},
    {"conv", ",\"hidden\":5,\"middle\":0,\"gain\":true", 12, 18, 2, "tanh", true, conv_by_hand, NULL, &(const net_image){2, 3, 2, 3}},
    {"conv", ",\"hidden\":3,\"kernel\":3,\"padding\":\"reflect\"", 9, 18, 0, "silu", true, conv_by_hand, NULL,
     &(const net_image){3, 3, 1, 2}},
    {"conv", ",\"hidden\":3,\"kernel\":5,\"padding\":\"circular\"", 12, 24, 0, "silu", true, conv_by_hand, NULL,
     &(const net_image){3, 4, 1, 2}},
    {"conv", ",\"hidden\":3,\"kernel\":5,\"padding\":\"replicate\"", 12, 24, 0, "silu", true, conv_by_hand, NULL,
     &(const net_image){3, 4, 1, 2}},
    {"conv_linear", "", 12, 16, 0, NULL, true, conv_by_hand, NULL, &(const net_image){2, 2, 3, 4}},
    {"conv_linear", ",\"gain\":true,\"weight_norm\":true", 8, 16, 2, NULL, true, conv_by_hand, NULL, &(const net_image){2, 2, 2, 4}},
    {"conv_linear", ",\"kernel\":5,\"padding\":\"replicate\"", 18, 18, 0, NULL, true, conv_by_hand, NULL, &(const net_image){3, 3, 2, 2}},
    {"conv_residual", ",\"hidden\":3,\"blocks\":2", 18, 36, 0, "every", true, conv_residual_by_hand, NULL, &(const net_image){3, 3, 2, 4}},
    {"conv_residual", ",\"hidden\":4,\"blocks\":1,\"gated\":true", 12, 18, 2, "every", true, conv_residual_by_hand, NULL,
     &(const net_image){2, 3, 2, 3}},
    {"conv_residual", ",\"hidden\":3,\"blocks\":2,\"bottleneck\":true,\"gain\":true,\"weight_norm\":true,\"final_kernel\":3", 9, 18, 2,
     "tanh", true, conv_residual_by_hand, NULL, &(const net_image){3, 3, 1, 2}},
    {"conv_residual", ",\"hidden\":4,\"blocks\":1,\"norm\":\"layer\",\"padding\":\"circular\"", 9, 18, 0, "tanh", true,
     conv_residual_by_hand, NULL, &(const net_image){3, 3, 1, 2}},
    {"conv_residual", ",\"hidden\":4,\"blocks\":1,\"norm\":\"group\",\"groups\":2,\"gated\":true,\"bottleneck\":true", 12, 12, 2, "silu",
     true, conv_residual_by_hand, NULL, &(const net_image){3, 2, 2, 2}},
    {"conv_unet", ",\"hidden\":3,\"levels\":1", 18, 36, 0, "every", true, conv_unet_by_hand, NULL, &(const net_image){3, 3, 2, 4}},
    {"conv_unet", ",\"hidden\":2,\"skip\":\"sum\"", 20, 40, 2, "every", true, conv_unet_by_hand, NULL, &(const net_image){5, 4, 1, 2}},
    {"conv_unet", ",\"hidden\":3,\"gain\":true,\"weight_norm\":true", 16, 16, 2, "tanh", true, conv_unet_by_hand, NULL,
     &(const net_image){4, 4, 1, 1}},
    {"conv_unet", ",\"hidden\":4,\"levels\":8", 12, 24, 0, "silu", true, conv_unet_by_hand, NULL, &(const net_image){2, 3, 2, 4}},
    {"conv_unet", ",\"hidden\":4,\"levels\":3,\"skip\":\"sum\"", 3, 2, 0, "tanh", true, conv_unet_by_hand, NULL,
     &(const net_image){1, 1, 3, 2}},
    {"conv_unet", ",\"hidden\":3,\"levels\":1,\"padding\":\"reflect\",\"skip\":\"sum\"", 12, 24, 0, "tanh", true, conv_unet_by_hand, NULL,
     &(const net_image){3, 4, 1, 2}},
    {"conv_unet", ",\"hidden\":2,\"levels\":3,\"padding\":\"circular\"", 14, 28, 2, "tanh", true, conv_unet_by_hand, NULL,
     &(const net_image){2, 7, 1, 2}},
    {"conv_unet", ",\"hidden\":3,\"padding\":\"replicate\"", 15, 15, 0, "silu", true, conv_unet_by_hand, NULL,
     &(const net_image){5, 3, 1, 1}},
};

static entry table[ENTRIES];
static int table_n;

static void add_entry(const net_row *row, const char *activation) {
  entry *e = &table[table_n++];
  assert_true(table_n <= ENTRIES);
  *e = (entry){.row = row, .activation = activation};
  snprintf(e->name, sizeof e->name, "%s%s, %s%s%d columns, %s, context %d", row->type, row->options, row->masked ? row->masked->name : "",
           row->masked ? ", " : "", (int)row->in, activation, (int)row->context);
}

static void fill_table(void) {
  for (size_t r = 0; r < RH_COUNT_OF(rows); r++) {
    const char *one = rows[r].activation ? rows[r].activation : "identity";
    if (strcmp(one, "every") != 0) add_entry(&rows[r], one);
    for (int a = 0; rh_activation_names[a] && strcmp(one, "every") == 0; a++) add_entry(&rows[r], rh_activation_names[a]);
  }
}

/* ---- making one ---- */

/* Columns of a masked network by their order -> levels, what each reads, and the same for the library. */
static void create_masked(net_law *n, const rh_build *build, const json_t *spec) {
  const net_row *row = n->entry->row;
  const net_order *o = row->masked;
  bool parents[WIDE * WIDE] = {false};
  int64_t end[WIDE];
  const int64_t d = row->in, levels = o->levels ? o->levels : d;
  for (int64_t l = 0, i = 0; l < levels; l++)
    for (end[l] = o->levels ? o->end[l] : l + 1; i < end[l]; i++) n->level[i] = l;
  for (int64_t i = 0; i < d; i++) {
    for (int64_t j = 0; j < d && !o->graph; j++)
      if (n->level[j] < n->level[i]) n->reads[i] |= (uint64_t)1 << j;
    for (int k = 0; k < PARENTS && o->graph; k++)
      if (o->parents[i][k] >= 0) n->reads[i] |= (uint64_t)1 << o->parents[i][k];
    for (int64_t j = 0; j < d; j++) parents[i * d + j] = n->reads[i] >> j & 1;
  }
  const rh_causal causal = {d, levels, end, o->graph ? parents : NULL};
  PROBE_OK(rh_masked_create(build, spec, n->entry->name, &causal, row->out / d, &n->masked));
}

static void create(net_law *n, const char *spec) {
  const net_row *row = n->entry->row;
  json_t *json;
  PROBE_OK(rh_json_parse(spec, strlen(spec), n->entry->name, &json));
  const rh_build build = {&n->leaves, "law", row->context};
  if (row->masked)
    create_masked(n, &build, json);
  else if (row->image)
    PROBE_OK(rh_image_net_create(&build, json, n->entry->name, rh_shape3(row->image->h, row->image->w, row->image->c), row->image->channels,
                                 &n->net));
  else
    PROBE_OK(rh_net_create(&build, json, n->entry->name, row->in, row->out, &n->net));
  json_decref(json);
  const json_t *full = row->masked ? rh_masked_spec(n->masked) : n->net->spec;
  if (*row->type) assert_string_equal(json_string_value(json_object_get(full, "type")), row->type);
}

static net_law make(const entry *e, const char *init, int real_bytes, bool shaken) {
  net_law n = {.entry = e};
  char spec[240];
  int used = snprintf(spec, sizeof spec, "{\"type\":\"%s\"%s", e->row->type, e->row->options);
  if (e->row->activation) used += snprintf(spec + used, sizeof spec - (size_t)used, ",\"activation\":\"%s\"", e->activation);
  if (e->row->inits && *init) used += snprintf(spec + used, sizeof spec - (size_t)used, ",\"init\":\"%s\"", init);
  snprintf(spec + used, sizeof spec - (size_t)used, "}");
  create(&n, spec);
  PROBE_OK(rh_values_create(&n.leaves, real_bytes, &n.values));
  rh_values_init(&n.leaves, 5, &n.values);
  if (shaken) subject_shake(&n.leaves, &n.values, 0.8);
  return n;
}

static void unmake(net_law *n) {
  rh_net_destroy(n->net);
  rh_masked_destroy(n->masked);
  rh_values_free(&n->values);
  rh_leaves_free(&n->leaves);
}

static rh_val apply(const net_law *n, rh_graph *g, rh_val x, rh_val context) {
  if (n->entry->row->image) return rh_image_net_apply(n->net, g, x, context);
  return n->masked ? rh_masked_apply(n->masked, g, x, context) : rh_net_apply(n->net, g, x, context);
}

/* May output `out` depend on input `in`, of x and then the context? (The mask contract.) */
static bool depends(const net_law *n, int64_t out, int64_t in) {
  const net_row *row = n->entry->row;
  if (row->masked) return in >= row->in || rh_masked_depends(n->masked, out * row->in / row->out, in);
  return !n->net->type->depends || n->net->type->depends(n->net, out, in);
}

static bool reads_anything(const net_law *n) {
  const net_row *row = n->entry->row;
  for (int64_t o = 0; o < row->out; o++)
    for (int64_t i = 0; i < row->in + row->context; i++)
      if (depends(n, o, i)) return true;
  return false;
}

static rh_val apply_or_mutant(const net_law *n, rh_graph *g, rh_val x, rh_val context) {
  const rh_val y = apply(n, g, x, context);
  const rh_val stale = mutant_wants_stale(0) && reads_anything(n) ? apply(n, g, mutant_stale(g, x), mutant_stale(g, context)) : RH_NONE;
  return mutant_of(0, g, y, stale);
}

static void begin(subject *s, net_law *n, rh_memory memory) {
  const net_row *row = n->entry->row;
  subject_begin(s, n->entry->name, &n->leaves, &n->values);
  const rh_val x = subject_input(s, row->in, probe_random(SUBJECT_ROWS * row->in, 1, -2, 2));
  const rh_val context = subject_input(s, row->context, probe_random(SUBJECT_ROWS * row->context, 2, -2, 2));
  const bool region = row->in > 1; /* a RECOMPUTE region, where a coupling has one */
  if (region) rh_scope_begin(&s->g);
  const rh_val y = apply_or_mutant(n, &s->g, x, context);
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

/* In float32 five layers of sums of up to 30 terms, which cancel, cost an image's network a few roundings more. */
static bool values_law(const entry *e, char *text) {
  enum { ROWS = 50 };
  const int64_t out = e->row->out;
  bool fine = true;
  for (int rb = 4; rb <= 8 && fine; rb += 4) {
    net_law n = make(e, "scaled", rb, true);
    subject s;
    begin(&s, &n, RH_KEEP);
    double got[ROWS * WIDE], want[ROWS * WIDE];
    subject_rows(&s, s.out[0], 0, ROWS, got);
    for (int r = 0; r < ROWS; r++) {
      double in[WIDE];
      int64_t used = 0;
      for (int i = 0; i < s.inputs; i++)
        for (int64_t c = 0; c < s.width[i]; c++)
          in[used++] = rb == 8 ? s.data[i][r * s.width[i] + c] : (double)(float)s.data[i][r * s.width[i] + c];
      e->row->by_hand(&n, in, want + r * out);
    }
    fine = subject_near(text, &s, "the formula in plain C", ROWS * out, got, want, rb == 8 ? 1e-13 : e->row->image ? 5e-5 : 5e-6);
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
  const net_row *row = e->row;
  net_law n = make(e, "scaled", 8, true);
  subject s;
  begin(&s, &n, RH_KEEP);
  bool fine = true;
  for (int64_t i = 0; i < row->in + row->context && fine; i++) {
    double column[ROWS * WIDE];
    jacobian_column(&s, i, ROWS, column);
    for (int64_t o = 0; o < row->out && fine; o++) {
      const bool may = depends(&n, o, i);
      double most = 0;
      for (int r = 0; r < ROWS; r++) most = fmax(most, fabs(column[r * row->out + o]));
      if (may ? most == 0 && !(row->masked && row->masked->narrow) : most > 0)
        fine = subject_says(text, &s, may ? "a derivative that should not vanish" : "a derivative that must be exactly 0", i, most, may);
    }
  }
  for (int64_t o = 0; o < row->out && row->in + row->context == 0; o++) assert_false(depends(&n, o, 0));
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
  for (int64_t k = 0; k < ROWS * e->row->out; k++) most = fmax(most, fabs(y[k]));
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

/* Is there a row with this type, dense or masked in this way, with and without a context? */
static bool is_here(const char *type, bool masked, bool graph, bool context) {
  for (size_t r = 0; r < RH_COUNT_OF(rows); r++) {
    const net_order *o = rows[r].masked;
    if (!strcmp(rows[r].type, type) && (o != NULL) == masked && (o && o->graph) == graph && (rows[r].context > 0) >= context) return true;
  }
  return false;
}

static void everyone_is_here(void **state) {
  (void)state;
  int n, masked = 0;
  const rh_net_type *const *types = rh_net_types(&n);
  for (int t = 0; t < n; t++)
    if (!is_here(types[t]->type, false, false, false)) fail_msg("network %s has no row in tests/laws/test_networks.c", types[t]->type);
  for (; rh_masked_names[masked]; masked++)
    for (int how = 0; how < 4; how++)
      if (!is_here(rh_masked_names[masked], true, how & 1, how & 2))
        fail_msg("masked network %s, of %s, %s context, has no row in tests/laws/test_networks.c", rh_masked_names[masked],
                 how & 1 ? "a graph" : "levels", how & 2 ? "with a" : "without");
  printf("%d registered networks and %d masked ones, all in the table\n", n, masked);
}

/* Mean square of a wide network's outputs. Gain: the first layer has one though no activation comes before it, and the last has none; both
 * are made up for. */
static double size_of(const char *format, int layers, int activation, bool gain) {
  enum { ROWS = 20, WIDTH = 256 };
  static const net_row row = {"", "", WIDTH, WIDTH, 0, NULL, false, NULL, NULL, NULL};
  const entry e = {.row = &row, .name = "variance"};
  net_law n = {.entry = &e};
  char spec[200], hidden[80] = "256";
  for (int i = 1; i < layers; i++) strcat(hidden, ",256");
  if (!gain) snprintf(hidden, sizeof hidden, "%d", layers);
  if (gain)
    snprintf(spec, sizeof spec, format, hidden, rh_activation_names[activation], rh_activation_gain(activation));
  else
    snprintf(spec, sizeof spec, format, hidden, rh_activation_names[activation]);
  create(&n, spec);
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
