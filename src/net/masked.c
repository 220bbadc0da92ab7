#include "net/masked.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "net/dense.h"
#include "net/types.h"

enum { LAYERS = 32, BLOCKS = 64 };
enum { LEVELS = 1 << 26 }; /* of all layers together: each has a table of them */
enum { MLP, RESIDUAL };
const char *const rh_masked_names[] = {"mlp", "residual", NULL};

struct rh_masked_net {
  json_t *spec;
  rh_program *program; /* NULL: nothing is read, `constant` alone */
  int constant;
  int weight[RH_PROGRAM_LAYERS], bias[RH_PROGRAM_LAYERS];
  double *mask[RH_PROGRAM_LAYERS]; /* [count] of what the stairs leave, where that is not all */
  int64_t columns, params, context;
  bool *parents;  /* [columns, columns], NULL: every column of lower levels */
  int64_t *level; /* [columns] */
};

/* A layer's units: which set of columns each may read, sorted by level. */
typedef struct sets {
  int64_t n, *owner, *level; /* set s is what column owner[s] may read; the level of its units */
} sets;

typedef struct maker {
  rh_masked_net *net;
  const rh_build *build;
  const rh_causal *causal;
  sets sets;
  int64_t *set_of[RH_PROGRAM_LAYERS], *end[RH_PROGRAM_LAYERS];
  rh_program_plan plan;
  char name[RH_PROGRAM_LAYERS][32];
  double gain[RH_PROGRAM_LAYERS], bias[RH_PROGRAM_LAYERS];
  uint64_t *bits; /* [columns, words]: the net's parents */
  int64_t words;
} maker;

/* ---- sets ---- */

static bool reads(const maker *m, int64_t column, int64_t in) {
  const rh_masked_net *n = m->net;
  return n->parents ? n->parents[column * n->columns + in] : n->level[in] < n->level[column];
}
/* Everything that column a may read, column b may read too. */
static bool within(const maker *m, int64_t a, int64_t b) {
  const rh_masked_net *n = m->net;
  if (!n->parents) return n->level[a] <= n->level[b];
  uint64_t more = 0;
  for (int64_t i = 0; i < m->words; i++) more |= m->bits[a * m->words + i] & ~m->bits[b * m->words + i];
  return more == 0;
}

/* Sets are compared for each weight of wide tables: 64 columns at once. */
static rh_status pack_parents(maker *m) {
  const rh_masked_net *n = m->net;
  if (!n->parents) return RH_OK;
  m->words = (n->columns + 63) / 64;
  m->bits = rh_alloc_zero((size_t)(n->columns * m->words), sizeof *m->bits);
  if (!m->bits) return RH_E_MEMORY;
  for (int64_t i = 0; i < n->columns; i++)
    for (int64_t j = 0; j < n->columns; j++)
      if (n->parents[i * n->columns + j]) m->bits[i * m->words + j / 64] |= (uint64_t)1 << j % 64;
  return RH_OK;
}

/* The different sets of columns that some column may read; the empty one only where there is a context. Columns stand in order of their
 * levels, so sets come sorted: a set's units are of the level of the first column that has it. */
static rh_status find_sets(maker *m) {
  const rh_masked_net *n = m->net;
  m->sets.owner = rh_alloc((size_t)n->columns * sizeof *m->sets.owner);
  m->sets.level = rh_alloc((size_t)n->columns * sizeof *m->sets.level);
  if (!m->sets.owner || !m->sets.level) return RH_E_MEMORY;
  for (int64_t i = 0; i < n->columns; i++) {
    bool known = n->level[i] == 0 && !n->context;
    const int64_t from = n->parents ? 0 : m->sets.n ? m->sets.n - 1 : 0;
    for (int64_t s = from; s < m->sets.n && !known; s++)
      known = m->sets.level[s] == n->level[i] && within(m, m->sets.owner[s], i) && within(m, i, m->sets.owner[s]);
    if (known) continue;
    m->sets.owner[m->sets.n] = i;
    m->sets.level[m->sets.n++] = n->level[i];
  }
  return RH_OK;
}

/* ---- layers ---- */

static int add_layer(maker *m, const char *name, int from, bool active, int add, int64_t units, double gain, double bias) {
  const int t = m->plan.layers++;
  m->plan.layer[t] = (rh_masked_layer){.from = from, .active = active, .add = add, .units = (int32_t)units};
  snprintf(m->name[t], sizeof m->name[t], "%s", name);
  m->gain[t] = gain, m->bias[t] = bias;
  return t;
}

static rh_status mlp_layers(maker *m, rh_spec *spec, int *activation) {
  int64_t hidden[LAYERS] = {64, 64};
  int layers = 2;
  rh_spec_ints(spec, "hidden", 1, RH_NET_WIDTH, LAYERS, &layers, hidden);
  *activation = rh_spec_choice(spec, "activation", 0, rh_activation_names);
  const int init = rh_spec_choice(spec, "init", 0, rh_last_init_names);
  const double gain = rh_spec_real(spec, "gain", RH_NET_GAIN, 0.01, 10);
  RH_TRY(rh_spec_status(spec));
  char name[16];
  for (int i = 0; i <= layers; i++) {
    snprintf(name, sizeof name, "%d", i);
    if (i < layers)
      add_layer(m, name, i - 1, i > 0, -1, hidden[i], gain, 1);
    else
      add_layer(m, name, i - 1, i > 0, -1, 0, rh_last_init_gain(init), 0);
  }
  return RH_OK;
}

static rh_status residual_layers(maker *m, rh_spec *spec, int *activation) {
  const int64_t hidden = rh_spec_int(spec, "hidden", 64, 1, RH_NET_WIDTH);
  const int blocks = (int)rh_spec_int(spec, "blocks", 2, 1, BLOCKS);
  *activation = rh_spec_choice(spec, "activation", 0, rh_activation_names);
  const int init = rh_spec_choice(spec, "init", 0, rh_last_init_names);
  RH_TRY(rh_spec_status(spec));
  int h = add_layer(m, "initial", -1, false, -1, hidden, 1, 1);
  for (int i = 0; i < blocks; i++) {
    char name[2][32];
    for (int j = 0; j < 2; j++) snprintf(name[j], sizeof name[j], "blocks.%d.%d", i, j);
    const int inner = add_layer(m, name[0], h, true, -1, hidden, rh_activation_gain(*activation), 1);
    h = add_layer(m, name[1], inner, true, h, hidden, 0.01, 0);
  }
  add_layer(m, "final", h, false, -1, 0, rh_last_init_gain(init), 0);
  return RH_OK;
}

/* Units spread evenly over the sets: sorted degrees. */
static rh_status spread_units(maker *m) {
  const rh_causal *c = m->causal;
  for (int t = 0; t + 1 < m->plan.layers; t++) {
    const int64_t units = m->plan.layer[t].units;
    m->set_of[t] = rh_alloc((size_t)units * sizeof(int64_t));
    m->end[t] = rh_alloc_zero((size_t)c->levels, sizeof(int64_t));
    if (!m->set_of[t] || !m->end[t]) return RH_E_MEMORY;
    for (int64_t u = 0; u < units; u++) {
      m->set_of[t][u] = u * m->sets.n / units;
      m->end[t][m->sets.level[m->set_of[t][u]]]++;
    }
    for (int64_t l = 1; l < c->levels; l++) m->end[t][l] += m->end[t][l - 1];
    m->plan.unit_end[t] = m->end[t];
  }
  return RH_OK;
}

/* May unit (or number) j of a layer read input k of its source? */
static bool connected(const maker *m, int t, int64_t j, int64_t k) {
  const rh_masked_net *n = m->net;
  const bool last = t + 1 == m->plan.layers;
  const int64_t column = last ? j / n->params : m->sets.owner[m->set_of[t][j]];
  const int from = m->plan.layer[t].from;
  if (from < 0) return k < n->context || reads(m, column, k - n->context);
  return within(m, m->sets.owner[m->set_of[from][k]], column);
}

/* What the stairs leave but the graph of columns forbids. */
static rh_status make_mask(maker *m, int t) {
  const rh_stairs *s = rh_program_stairs(m->net->program, t);
  double *mask = rh_alloc((size_t)(s->count + 1) * sizeof *mask), *at = mask;
  if (!mask) return RH_E_MEMORY;
  bool whole = true;
  for (int64_t i = 0; i < s->n; i++)
    for (int64_t j = s->stair[i].first; j < s->stair[i + 1].first; j++)
      for (int64_t k = 0; k < s->stair[i].reach; k++) {
        *at = connected(m, t, j, k) ? 1 : 0;
        whole &= *at++ > 0;
      }
  if (whole) {
    rh_free(mask);
    mask = NULL;
  }
  m->net->mask[t] = mask;
  return RH_OK;
}

static rh_status add_leaves(maker *m) {
  rh_masked_net *n = m->net;
  for (int t = 0; t < n->program->layers; t++) {
    const rh_stairs *s = rh_program_stairs(n->program, t);
    const double scale = 1 / sqrt((double)s->in);
    const rh_init weights = {m->gain[t] == 0 ? RH_INIT_CONSTANT : RH_INIT_NORMAL, m->gain[t] * scale, NULL};
    const rh_init biases = {m->bias[t] == 0 ? RH_INIT_CONSTANT : RH_INIT_UNIFORM, m->bias[t] * scale, NULL};
    if (s->count < 1) /* fewer units than levels, and none below this layer */
      return rh_fail(RH_E_SPEC, "%s: the hidden layers are too narrow for any dependence between the columns: make them wider",
                     m->build->prefix);
    RH_TRY(rh_leaf_add(m->build->leaves, RH_PARAM, rh_shape1(s->count), weights, true, &n->weight[t], "%s.%s.weight", m->build->prefix,
                       m->name[t]));
    RH_TRY(
        rh_leaf_add(m->build->leaves, RH_PARAM, rh_shape1(s->out), biases, false, &n->bias[t], "%s.%s.bias", m->build->prefix, m->name[t]));
  }
  return RH_OK;
}

/* A hostile specification must not take all memory before a single weight is read; places in a matrix are int32_t elsewhere. */
static rh_status check_sizes(const maker *m) {
  const rh_program_plan *p = &m->plan;
  const int64_t numbers = p->columns * p->params;
  bool fine = numbers <= INT32_MAX && (int64_t)p->levels * p->layers <= LEVELS;
  for (int t = 0; t < p->layers && fine; t++) {
    const rh_masked_layer *layer = &p->layer[t];
    const int64_t in = layer->from < 0 ? p->context + p->columns : p->layer[layer->from].units;
    const int64_t out = t + 1 == p->layers ? numbers : layer->units;
    fine = in <= INT32_MAX / out;
  }
  if (fine) return RH_OK;
  return rh_fail(RH_E_SPEC, "%s: a masked network of %lld columns with %lld numbers each is too large: fewer hidden units or layers",
                 m->build->prefix, (long long)p->columns, (long long)p->params);
}

static rh_status make(maker *m, rh_spec *spec, int type) {
  rh_masked_net *n = m->net;
  const rh_causal *c = m->causal;
  int activation = 0;
  RH_TRY(type == MLP ? mlp_layers(m, spec, &activation) : residual_layers(m, spec, &activation));
  if (c->levels == 1 && !n->context) {
    const rh_init zero = {RH_INIT_CONSTANT, 0, NULL};
    return rh_leaf_add(m->build->leaves, RH_PARAM, rh_shape1(c->columns * n->params), zero, false, &n->constant, "%s.value",
                       m->build->prefix);
  }
  m->plan.context = n->context, m->plan.columns = c->columns, m->plan.params = n->params, m->plan.levels = (int)c->levels;
  m->plan.activation = rh_activation_unary(activation);
  m->plan.column_end = c->end;
  RH_TRY(check_sizes(m));
  RH_TRY(pack_parents(m));
  RH_TRY(find_sets(m));
  RH_TRY(spread_units(m));
  RH_TRY(rh_program_create(&m->plan, &n->program));
  for (int t = 0; t < n->program->layers && n->parents; t++) RH_TRY(make_mask(m, t));
  return add_leaves(m);
}

static rh_status copy_causal(rh_masked_net *n, const rh_causal *c) {
  n->level = rh_alloc((size_t)c->columns * sizeof *n->level);
  if (!n->level) return RH_E_MEMORY;
  for (int64_t l = 0, i = 0; l < c->levels; l++)
    for (; i < c->end[l]; i++) n->level[i] = l;
  if (!c->parents) return RH_OK;
  const size_t bytes = (size_t)(c->columns * c->columns) * sizeof(bool);
  n->parents = rh_alloc(bytes);
  if (!n->parents) return RH_E_MEMORY;
  memcpy(n->parents, c->parents, bytes);
  return RH_OK;
}

static rh_status create(maker *m, const json_t *spec, const char *where) {
  rh_masked_net *n = m->net;
  RH_TRY(copy_causal(n, m->causal));
  rh_options o = rh_options_begin(spec, where);
  const int type = rh_options_choice(&o, "type", MLP, rh_masked_names);
  RH_TRY(o.status);
  rh_spec s = rh_spec_begin(spec, where, rh_masked_names[type]);
  rh_status status = make(m, &s, type);
  if (status == RH_OK) status = rh_spec_done(&s);
  if (status == RH_OK) n->spec = rh_spec_take(&s);
  rh_spec_end(&s);
  return status;
}

rh_status rh_masked_create(const rh_build *build, const json_t *spec, const char *where, const rh_causal *causal, int64_t params,
                           rh_masked_net **net) {
  maker *m = rh_alloc_zero(1, sizeof *m);
  rh_masked_net *n = rh_alloc_zero(1, sizeof *n);
  rh_status status = m && n ? RH_OK : RH_E_MEMORY;
  if (status == RH_OK) {
    *n = (rh_masked_net){.columns = causal->columns, .params = params, .context = build->context};
    m->net = n, m->build = build, m->causal = causal;
    status = create(m, spec, where);
    for (int t = 0; t < RH_PROGRAM_LAYERS; t++) {
      rh_free(m->set_of[t]);
      rh_free(m->end[t]);
    }
    rh_free(m->bits);
    rh_free(m->sets.owner);
    rh_free(m->sets.level);
  }
  rh_free(m);
  if (status == RH_OK)
    *net = n;
  else
    rh_masked_destroy(n);
  return status;
}

void rh_masked_destroy(rh_masked_net *net) {
  if (!net) return;
  for (int t = 0; t < RH_PROGRAM_LAYERS; t++) rh_free(net->mask[t]);
  rh_free(net->program);
  rh_free(net->parents);
  rh_free(net->level);
  json_decref(net->spec);
  rh_free(net);
}

json_t *rh_masked_spec(const rh_masked_net *net) {
  return net->spec;
}

/* ---- as nodes ---- */

static void weights_of(const rh_masked_net *n, rh_graph *g, rh_val *weight, rh_val *bias) {
  for (int t = 0; t < n->program->layers; t++) {
    weight[t] = rh_leaf_val(g, n->weight[t]);
    if (n->mask[t]) weight[t] = rh_mul(g, weight[t], rh_const_values(g, rh_shape1(rh_program_stairs(n->program, t)->count), n->mask[t]));
    bias[t] = rh_leaf_val(g, n->bias[t]);
  }
}

rh_val rh_masked_apply(const rh_masked_net *n, rh_graph *g, rh_val x, rh_val context) {
  rh_val weight[RH_PROGRAM_LAYERS], bias[RH_PROGRAM_LAYERS];
  if (g->status != RH_OK) return RH_NONE;
  if (!n->program) return rh_leaf_val(g, n->constant);
  weights_of(n, g, weight, bias);
  return rh_program_apply(g, n->program, x, context, weight, bias, NULL, NULL, NULL);
}

rh_val rh_masked_invert(const rh_masked_net *n, rh_graph *g, rh_val y, rh_val context, rh_element *element, void *arg) {
  rh_val weight[RH_PROGRAM_LAYERS], bias[RH_PROGRAM_LAYERS], x = RH_NONE;
  if (g->status != RH_OK) return RH_NONE;
  if (!n->program) {
    element(g, arg, false, y, rh_leaf_val(g, n->constant), n->columns, n->params, &x);
    return x;
  }
  weights_of(n, g, weight, bias);
  return rh_sweep(g, n->program, y, context, weight, bias, element, arg);
}

bool rh_masked_depends(const rh_masked_net *n, int64_t out, int64_t in) {
  return n->program && (n->parents ? n->parents[out * n->columns + in] : n->level[in] < n->level[out]);
}
