/* Networks in plain C, from the same weights: what the law of values holds them to. A dense network is a masked one in which every unit may
 * read everything. */
#ifndef RH_TESTS_NETWORKS_BY_HAND_H
#define RH_TESTS_NETWORKS_BY_HAND_H
#include "laws/subject.h"
#include "net/masked.h"

enum { WIDE = 64, PARENTS = 3 };

/* Of a masked network: which column may depend on which. */
typedef struct net_order {
  const char *name;
  int64_t levels, end[8];  /* columns of levels up to l; levels 0: every column is a level of its own */
  bool graph;              /* else all columns of lower levels */
  int parents[8][PARENTS]; /* -1: none */
  bool narrow;             /* hidden layers have fewer units than levels: not everything that may depend does */
} net_order;

typedef struct net_image { /* of a network that reads images */
  int64_t h, w, c, channels;
} net_image;

typedef struct net_law net_law;
typedef struct net_row { /* one row a network and shape; a new network adds one and inherits every law */
  const char *type, *options;
  int64_t in, out, context;
  const char *activation;                                           /* NULL: it has none; "every": each one in turn */
  bool inits;                                                       /* has this option */
  void (*by_hand)(const net_law *n, const double *in, double *out); /* in: x, then the context */
  const net_order *masked;                                          /* NULL: a network of net/nets.c */
  const net_image *image;                                           /* NULL: of vectors */
} net_row;

typedef struct entry {
  const net_row *row;
  const char *activation;
  char name[120];
} entry;

struct net_law {
  const entry *entry;
  rh_leaves leaves;
  rh_values values;
  rh_net *net; /* one of both */
  rh_masked_net *masked;
  int64_t level[WIDE]; /* of a masked network's columns */
  uint64_t reads[WIDE];
};

/* Some units. One may read another of no higher level, if that has read nothing that it may not read itself. */
typedef struct units {
  int64_t n, level[WIDE];
  uint64_t reads[WIDE]; /* the columns that it may have read */
  double x[WIDE];
} units;

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

/* ---- which units there are ---- */

static void add_unit(units *u, double x, uint64_t reads, int64_t level) {
  assert_true(u->n < WIDE);
  u->x[u->n] = x, u->reads[u->n] = reads, u->level[u->n++] = level;
}

/* A masked network has the context first; a column is read by higher levels than its own. */
static units input_units(const net_law *n, const double *in) {
  const net_row *row = n->entry->row;
  const int64_t d = row->in;
  units u = {0};
  for (int64_t c = 0; c < row->context && row->masked; c++) add_unit(&u, in[d + c], 0, 0);
  for (int64_t i = 0; i < d; i++) add_unit(&u, in[i], row->masked ? (uint64_t)1 << i : 0, row->masked ? n->level[i] + 1 : 0);
  for (int64_t c = 0; c < row->context && !row->masked; c++) add_unit(&u, in[d + c], 0, 0);
  return u;
}

/* The units of a masked hidden layer are spread evenly over the different sets of columns that some column may read; the empty one is a set
 * where there is a context. */
static units hidden_units(const net_law *n, int64_t count) {
  const net_row *row = n->entry->row;
  units u = {0}, sets = {0};
  for (int64_t i = 0; i < row->in && row->masked; i++) {
    bool known = !n->reads[i] && !row->context;
    for (int64_t s = 0; s < sets.n; s++) known |= sets.reads[s] == n->reads[i];
    if (!known) add_unit(&sets, 0, n->reads[i], n->level[i]);
  }
  for (int64_t i = 0; i < count; i++) add_unit(&u, 0, sets.reads[i * sets.n / count], sets.level[i * sets.n / count]);
  return u;
}

static units output_units(const net_law *n) {
  const net_row *row = n->entry->row;
  units u = {0};
  for (int64_t j = 0; j < row->out; j++) {
    const int64_t column = row->masked ? j * row->in / row->out : 0;
    add_unit(&u, 0, n->reads[column], n->level[column]);
  }
  return u;
}

/* ---- layers ---- */

/* A layer of `to`, which has its units, from `from`. Its weights are stored row by row, each as far as levels allow. */
static void layer(const net_law *n, const char *name, bool active, const units *from, units *to) {
  int w, b;
  const rh_leaf *weight = leaf_of(n, name, "weight", &w);
  assert_int_equal(leaf_of(n, name, "bias", &b)->count, to->n);
  int64_t at = 0;
  for (int64_t j = 0; j < to->n; j++) {
    double sum = rh_values_get(&n->leaves, &n->values, b, j);
    for (int64_t k = 0; k < from->n; k++) {
      if (from->level[k] > to->level[j]) continue;
      const double x = active ? activate(n->entry->activation, from->x[k]) : from->x[k];
      const double by = rh_values_get(&n->leaves, &n->values, w, at++);
      if (!(from->reads[k] & ~to->reads[j])) sum += by * x;
    }
    to->x[j] = sum;
  }
  assert_int_equal(at, weight->count); /* nothing else is stored */
}

static units hidden_layer(const net_law *n, const char *name, bool active, const units *from) {
  int b;
  units to = hidden_units(n, leaf_of(n, name, "bias", &b)->count);
  layer(n, name, active, from, &to);
  return to;
}

static void last_layer(const net_law *n, const char *name, bool active, const units *from, double *out) {
  units to = output_units(n);
  layer(n, name, active, from, &to);
  memcpy(out, to.x, (size_t)to.n * sizeof *out);
}

/* ---- networks ---- */

static void linear_by_hand(const net_law *n, const double *in, double *out) {
  const units x = input_units(n, in);
  last_layer(n, "", false, &x, out);
}

static void constant_by_hand(const net_law *n, const double *in, double *out) {
  int value;
  (void)in;
  leaf_of(n, "", "value", &value);
  for (int64_t i = 0; i < n->entry->row->out; i++) out[i] = rh_values_get(&n->leaves, &n->values, value, i);
}

static void mlp_by_hand(const net_law *n, const double *in, double *out) {
  const int layers = (int)n->leaves.n / 2;
  units h = input_units(n, in);
  for (int l = 0; l < layers; l++) {
    char name[16];
    snprintf(name, sizeof name, "%d", l);
    if (l + 1 < layers)
      h = hidden_layer(n, name, l > 0, &h);
    else
      last_layer(n, name, l > 0, &h, out);
  }
}

static void residual_by_hand(const net_law *n, const double *in, double *out) {
  const int blocks = (int)(n->leaves.n - 4) / 4;
  const units x = input_units(n, in);
  units h = hidden_layer(n, "initial", false, &x);
  for (int k = 0; k < blocks; k++) {
    char name[2][32];
    for (int j = 0; j < 2; j++) snprintf(name[j], sizeof name[j], "blocks.%d.%d", k, j);
    const units a = hidden_layer(n, name[0], true, &h), b = hidden_layer(n, name[1], true, &a);
    for (int64_t i = 0; i < h.n; i++) h.x[i] += b.x[i];
  }
  last_layer(n, "final", false, &h, out);
}
#endif
