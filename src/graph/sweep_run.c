/* Running the sweeps: for a block of rows, level by level, small products of what has just become known. Levels go in groups: what was
 * known before a group is multiplied for all of its units at once, in full panels; a level adds what its group has found since. An output's
 * terms are still added in ascending order. Every layer has a buffer of [rows, units]. */
#include <string.h>

#include "graph/sweep.h"

/* ---- groups of levels, and the panels of weights that they take ---- */
enum { GROUP_UNITS = 64, GROUPS_AT_ONCE = 4 };

static int64_t known(const rh_program *p, int layer, int level) { /* inputs or units that are known behind `level` */
  return (layer < 0 ? p->context : 0) + rh_program_end(p, layer, level);
}

/* The level behind the last of the group that begins at `from`: enough units of the widest layer for full panels. */
static int group_end(const rh_program *p, int from) {
  for (int to = from + 1; to < p->levels; to++)
    for (int t = 0; t + 1 < p->layers || t == 0; t++)
      if (rh_program_end(p, t, to - 1) - rh_program_end(p, t, from - 1) >= GROUP_UNITS) return to;
  return p->levels;
}
static int group_begin(const rh_program *p, int to) { /* of the group that ends there */
  int from = 0;
  while (group_end(p, from) < to) from = group_end(p, from);
  return from;
}

/* Columns [first, first + n) of a product, terms [skip, skip + k) of what it reads, and where the packed form begins. */
typedef struct panel {
  int64_t first, n, skip, k, at;
} panel;

/* A layer's panels in the order in which a run takes them: for each group the whole of it with what was known before, then each level. */
typedef struct walk {
  const rh_kernels *k;
  const rh_program *p;
  const rh_stairs *s;
  int layer;
  bool transposed;
  int64_t next;
  panel group, level;
} walk;
static walk walk_begin(const rh_kernels *k, const rh_program *p, int layer, bool transpose) {
  return (walk){.k = k, .p = p, .s = rh_program_stairs(p, layer), .layer = layer, .transposed = transpose};
}
static void place(walk *w, panel *q) {
  q->at = w->next;
  if (q->n) w->next += w->k->pack_count(q->k, q->n);
}
static void walk_group(walk *w, int from, int to) {
  const int source = w->p->layer[w->layer].from, of = w->transposed ? source : w->layer;
  panel *q = &w->group;
  q->first = known(w->p, of, from - 1);
  q->n = known(w->p, of, to - 1) - q->first;
  q->skip = w->transposed ? rh_program_end(w->p, w->layer, to - 1) : 0;
  q->k = w->transposed ? w->s->out - q->skip : known(w->p, source, from - 1);
  place(w, q);
}
static void walk_level(walk *w, int level) {
  const int of = w->transposed ? w->p->layer[w->layer].from : w->layer;
  panel *q = &w->level;
  q->first = known(w->p, of, level - 1);
  q->n = known(w->p, of, level) - q->first;
  q->skip = q->k = 0;
  if (q->n && w->transposed) {
    q->skip = rh_stairs_first(w->s, q->first);
    q->k = w->group.skip - q->skip;
  } else if (q->n) {
    q->skip = w->group.k;
    q->k = rh_stairs_reach(w->s, q->first + q->n - 1) - q->skip;
  }
  place(w, q);
}

/* ---- packing ---- */
static bool wants(const rh_node *node, int operand) {
  const rh_program *p = rh_sweep_program(node);
  const int first = rh_sweep_weight(node, 0);
  return operand >= first && (operand - first) % 2 == 0 && (operand - first) / 2 < p->layers;
}
static walk walk_of(const rh_kernels *k, const rh_node *node, int operand) {
  return walk_begin(k, rh_sweep_program(node), (operand - rh_sweep_weight(node, 0)) / 2, rh_sweep_transposed(node));
}
typedef void panel_fn(const walk *w, const panel *q, void *arg);
/* Every panel of groups [first, last), in order. */
static void each_panel(walk *w, int64_t first, int64_t last, panel_fn *visit, void *arg) {
  const int levels = w->p->levels;
  int64_t group = 0;
  for (int from = 0, at = w->transposed ? levels : 0; w->transposed ? at > 0 : at < levels; group++) {
    const int to = w->transposed ? at : group_end(w->p, at);
    from = w->transposed ? group_begin(w->p, at) : at;
    if (group >= last) return;
    walk_group(w, from, to);
    if (group >= first && w->group.n) visit(w, &w->group, arg);
    for (int i = from; i < to; i++) {
      walk_level(w, w->transposed ? from + to - 1 - i : i);
      if (group >= first && w->level.n) visit(w, &w->level, arg);
    }
    at = w->transposed ? from : to;
  }
}
static int64_t groups(const rh_program *p) {
  int64_t n = 0;
  for (int from = 0; from < p->levels; n++) from = group_end(p, from);
  return n;
}
static void widest(const walk *w, const panel *q, void *arg) {
  int64_t *most = arg;
  (void)w;
  if (q->n * q->k > *most) *most = q->n * q->k;
}
static void none(const walk *w, const panel *q, void *arg) {
  (void)w, (void)q, (void)arg;
}
static int64_t count(const rh_kernels *k, const rh_node *node, const rh_shape *m, int operand) {
  walk w = walk_of(k, node, operand);
  (void)m;
  each_panel(&w, 0, INT64_MAX, none, NULL);
  return w.next;
}
static int64_t pieces(const rh_kernels *k, const rh_node *node, const rh_shape *m, int operand) {
  (void)k, (void)m, (void)operand;
  return (groups(rh_sweep_program(node)) + GROUPS_AT_ONCE - 1) / GROUPS_AT_ONCE;
}
static int64_t pack_scratch(const rh_kernels *k, const rh_node *node, const rh_shape *m, int operand) {
  walk w = walk_of(k, node, operand);
  int64_t most = 0;
  (void)m;
  each_panel(&w, 0, INT64_MAX, widest, &most);
  return most;
}
typedef struct packing {
  const void *from;
  char *packed;
  void *scratch;
} packing;
static void pack_panel(const walk *w, const panel *q, void *arg) {
  const packing *a = arg;
  const bool t = w->transposed;
  rh_stairs_expand(w->s, w->k->real_bytes, a->from, t ? q->skip : q->first, t ? q->k : q->n, t ? q->first : q->skip, t ? q->n : q->k,
                   a->scratch);
  w->k->pack(q->k, q->n, a->scratch, t ? q->n : 1, t ? 1 : q->k, a->packed + q->at * w->k->real_bytes, 0,
             (q->n + w->k->panel - 1) / w->k->panel);
}
static void pack(const rh_kernels *k, const rh_node *node, const rh_shape *m, int operand, const void *from, void *packed, int64_t piece,
                 void *scratch) {
  walk w = walk_of(k, node, operand);
  packing a = {from, packed, scratch};
  (void)m;
  each_panel(&w, piece * GROUPS_AT_ONCE, (piece + 1) * GROUPS_AT_ONCE, pack_panel, &a);
}
const rh_packing rh_sweep_packing = {wants, count, pieces, pack_scratch, pack};

/* ---- room ---- */

/* Buffers of one run, as offsets in numbers of a row: the input, each layer before and behind its activation (-1: nobody reads that), a
 * group's sums of each layer's product (-1: they stand in `act`), and what a level needs. */
typedef struct room {
  int64_t in, pre[RH_PROGRAM_LAYERS], act[RH_PROGRAM_LAYERS], sum[RH_PROGRAM_LAYERS], fresh, other, value, solved, total;
} room;

static bool wants_pre(const rh_program *p, int layer) {
  for (int t = 0; t < p->layers; t++)
    if (p->layer[t].add == layer || (p->layer[t].from == layer && !p->layer[t].active)) return true;
  return false;
}
/* A relu and nothing else behind the product: it runs in the product's registers. */
static bool direct(const rh_node *node, int t) {
  const rh_program *p = rh_sweep_program(node);
  return !rh_sweep_is_solve(node) && t + 1 < p->layers && p->layer[t].add < 0 && !wants_pre(p, t) && p->activation == (int)RH_U_RELU;
}
/* Most units of a layer (-1: columns) in one level, or in one group. */
static int64_t most_units(const rh_program *p, int layer, bool group) {
  int64_t most = 1;
  for (int from = 0, to; from < p->levels; from = to) {
    to = group ? group_end(p, from) : from + 1;
    const int64_t n = rh_program_end(p, layer, to - 1) - rh_program_end(p, layer, from - 1);
    if (n > most) most = n;
  }
  return most;
}
static int64_t take_room(room *r, int64_t n) {
  r->total += n;
  return r->total - n;
}
static room room_of(const rh_node *node) {
  const rh_program *p = rh_sweep_program(node);
  const bool transpose = rh_sweep_transposed(node);
  int64_t most = 1;
  room r = {.in = 0, .total = p->context + p->columns};
  for (int t = 0; t < p->layers; t++) {
    const bool last = t + 1 == p->layers;
    const int64_t units = most_units(p, t, false);
    if (units > most) most = units;
    r.pre[t] = transpose || (!last && wants_pre(p, t)) ? take_room(&r, p->layer[t].units) : -1;
    r.act[t] = !transpose && !last && rh_program_active(p, t) ? take_room(&r, p->layer[t].units) : -1;
    r.sum[t] = direct(node, t) ? -1 : take_room(&r, most_units(p, transpose ? p->layer[t].from : t, true));
  }
  if (p->width > most) most = p->width;
  r.fresh = take_room(&r, most);
  r.other = take_room(&r, most);
  r.value = take_room(&r, p->width);
  r.solved = take_room(&r, p->width);
  return r;
}
int64_t rh_sweep_scratch(const rh_graph *g, const rh_node *node) {
  (void)g;
  return room_of(node).total;
}
int64_t rh_sweep_flops(const rh_graph *g, const rh_node *node) {
  (void)g;
  const rh_program *p = rh_sweep_program(node);
  int64_t sum = 0;
  for (int t = 0; t < p->layers; t++) sum += 2 * rh_program_stairs(p, t)->count;
  return sum;
}

/* ---- strided pieces of buffers ---- */
typedef enum piece_op { PIECE_ADD, PIECE_MUL } piece_op;
#define PIECES(type)                                                                                                                      \
  static void piece_##type(piece_op op, int64_t rows, int64_t n, type *x, const type *y, int64_t ldy) { /* x [rows, n] (op)= y */         \
    for (int64_t r = 0; r < rows; r++, x += n, y += ldy)                                                                                  \
      for (int64_t i = 0; i < n; i++) x[i] = op == PIECE_ADD ? x[i] + y[i] : x[i] * y[i];                                                 \
  }                                                                                                                                       \
  /* u = (v - sum_p slope raw) / diag; raw: [rows, n, params] or NULL; rest: subtracted too, or NULL; v, diag, slope, u: of the whole. */ \
  static void columns_##type(int64_t rows, int64_t d, int64_t first, int64_t n, int64_t params, const type *v, const type *diag,          \
                             const type *slope, const type *raw, const type *rest, type *u) {                                             \
    for (int64_t r = 0; r < rows; r++)                                                                                                    \
      for (int64_t i = 0; i < n; i++) {                                                                                                   \
        const int64_t at = r * d + first + i;                                                                                             \
        type sum = v[at];                                                                                                                 \
        for (int64_t q = 0; raw && q < params; q++) sum -= slope[at * params + q] * raw[(r * n + i) * params + q];                        \
        if (rest) sum -= rest[r * n + i];                                                                                                 \
        u[at] = sum / diag[at];                                                                                                           \
      }                                                                                                                                   \
  }                                                                                                                                       \
  static void spread_##type(int64_t rows, int64_t d, int64_t first, int64_t n, int64_t params, const type *u, const type *slope,          \
                            type *c) {                                                                                                    \
    for (int64_t r = 0; r < rows; r++)                                                                                                    \
      for (int64_t i = r * d + first; i < r * d + first + n; i++)                                                                         \
        for (int64_t q = 0; q < params; q++) c[i * params + q] = u[i] * slope[i * params + q];                                            \
  }
PIECES(float)
PIECES(double)

/* One run: a block of rows. */
typedef struct sweep {
  const rh_run_args *a;
  const rh_program *p;
  room room;
  int64_t rows, size;
  walk walk[RH_PROGRAM_LAYERS];
} sweep;

static void sweep_begin(sweep *s, const rh_run_args *a) {
  s->a = a;
  s->p = rh_sweep_program(a->node);
  s->room = room_of(a->node);
  s->rows = a->rows;
  s->size = a->k->real_bytes;
  for (int t = 0; t < s->p->layers; t++) s->walk[t] = walk_begin(a->k, s->p, t, rh_sweep_transposed(a->node));
}
static char *at(const sweep *s, int64_t offset) {
  return (char *)s->a->scratch + offset * s->rows * s->size;
}
/* Columns [first, first + n) of a buffer [rows, ld] from or to dense [rows, n]. */
static void take(const sweep *s, const char *buffer, int64_t ld, int64_t first, int64_t n, char *dense) {
  const size_t bytes = (size_t)(n * s->size);
  for (int64_t r = 0; r < s->rows; r++) memcpy(dense + r * n * s->size, buffer + (r * ld + first) * s->size, bytes);
}
static void put(const sweep *s, const char *dense, char *buffer, int64_t ld, int64_t first, int64_t n) {
  const size_t bytes = (size_t)(n * s->size);
  for (int64_t r = 0; r < s->rows; r++) memcpy(buffer + (r * ld + first) * s->size, dense + r * n * s->size, bytes);
}
static void change(const sweep *s, piece_op op, int64_t n, char *dense, const char *buffer, int64_t ld, int64_t first) {
  if (s->size == 4)
    piece_float(op, s->rows, n, (float *)(void *)dense, (const float *)(const void *)buffer + first, ld);
  else
    piece_double(op, s->rows, n, (double *)(void *)dense, (const double *)(const void *)buffer + first, ld);
}

/* One panel of layer t: dense [rows, n of the group or level] of what it reads, into `sum`, whose columns begin at the group's first. */
static void multiply(const sweep *s, int t, const panel *q, const char *source, int64_t ld, const void *bias, char *sum, int64_t ldc,
                     int64_t sum_first, bool more, rh_epilogue epilogue) {
  if (!q->n) return;
  s->a->k->gemm(s->rows, q->k, q->n, source + q->skip * s->size, ld,
                (const char *)s->a->packed[rh_sweep_weight(s->a->node, t)] + q->at * s->size,
                bias ? (const char *)bias + q->first * s->size : NULL, sum + (q->first - sum_first) * s->size, ldc, more, epilogue, NULL);
}

/* ---- forwards ---- */

/* Layer t's panel of a group (more = false) or of a level, added to its sums. */
static void multiply_forwards(const sweep *s, int t, bool more) {
  const rh_masked_layer *layer = &s->p->layer[t];
  const walk *w = &s->walk[t];
  const bool relu = direct(s->a->node, t);
  const int64_t ld = layer->from < 0 ? s->p->context + s->p->columns : s->p->layer[layer->from].units;
  const int64_t from = layer->from < 0 ? s->room.in : layer->active ? s->room.act[layer->from] : s->room.pre[layer->from];
  const void *bias = more || rh_sweep_is_solve(s->a->node) ? NULL : s->a->in[rh_sweep_bias(t)];
  multiply(s, t, more ? &w->level : &w->group, at(s, from), ld, bias, relu ? at(s, s->room.act[t]) : at(s, s->room.sum[t]),
           relu ? layer->units : w->group.n, relu ? 0 : w->group.first, more, relu && more ? RH_EPI_RELU : RH_EPI_NONE);
}

static void units_of_level(const sweep *s, int t) {
  const rh_masked_layer *layer = &s->p->layer[t];
  const walk *w = &s->walk[t];
  const panel *q = &w->level;
  const bool solve = rh_sweep_is_solve(s->a->node);
  const int64_t pre = s->room.pre[t], act = s->room.act[t], units = layer->units;
  if (!q->n) return;
  multiply_forwards(s, t, true);
  if (direct(s->a->node, t)) return;
  char *fresh = at(s, s->room.fresh), *other = at(s, s->room.other);
  take(s, at(s, s->room.sum[t]), w->group.n, q->first - w->group.first, q->n, fresh);
  if (layer->add >= 0) change(s, PIECE_ADD, q->n, fresh, at(s, s->room.pre[layer->add]), units, q->first);
  if (pre >= 0) put(s, fresh, at(s, pre), units, q->first, q->n);
  if (act < 0) return;
  if (solve) {
    change(s, PIECE_MUL, q->n, fresh, s->a->in[rh_sweep_gate(t)], units, q->first);
  } else if (s->p->activation != (int)RH_U_COPY) {
    s->a->k->unary[s->p->activation](s->rows * q->n, fresh, other, 0);
    fresh = other;
  }
  put(s, fresh, at(s, act), units, q->first, q->n);
}

static void columns_of_level(const sweep *s, int level) {
  const rh_program *p = s->p;
  const int last = p->layers - 1;
  const int64_t first = rh_program_end(p, -1, level - 1), n = rh_program_end(p, -1, level) - first;
  if (!n) return;
  char *raw = at(s, s->room.fresh), *value = at(s, s->room.value), *solved = at(s, s->room.solved), *in = at(s, s->room.in);
  const walk *w = &s->walk[last];
  multiply_forwards(s, last, true);
  take(s, at(s, s->room.sum[last]), w->group.n, w->level.first - w->group.first, w->level.n, raw);
  if (rh_sweep_is_solve(s->a->node)) {
    if (s->size == 4)
      columns_float(s->rows, p->columns, first, n, p->params, s->a->in[0], s->a->in[1], s->a->in[2], (const float *)(void *)raw, NULL,
                    s->a->out);
    else
      columns_double(s->rows, p->columns, first, n, p->params, s->a->in[0], s->a->in[1], s->a->in[2], (const double *)(void *)raw, NULL,
                     s->a->out);
    take(s, s->a->out, p->columns, first, n, solved);
  } else {
    take(s, s->a->in[0], p->columns, first, n, value);
    rh_dense_input input[2] = {{value, s->size}, {raw, p->params * s->size}};
    void *out = solved;
    const rh_run_io io = {.values = s->a->values, .rows = s->rows * n, .load = rh_load_dense, .arg = input, .row_out = &out};
    rh_runner_run(s->a->work, &io);
    put(s, solved, s->a->out, p->columns, first, n);
  }
  put(s, solved, in, p->context + p->columns, p->context + first, n);
}

static void forwards(sweep *s) {
  const rh_program *p = s->p;
  const int64_t width = p->context + p->columns;
  memset(at(s, s->room.in), 0, (size_t)(s->rows * width * s->size));
  if (p->context && !rh_sweep_is_solve(s->a->node)) put(s, s->a->in[1], at(s, s->room.in), width, 0, p->context);
  for (int from = 0, to; from < p->levels; from = to) {
    to = group_end(p, from);
    for (int t = 0; t < p->layers; t++) {
      walk_group(&s->walk[t], from, to);
      multiply_forwards(s, t, false);
    }
    for (int l = from; l < to; l++) {
      for (int t = 0; t < p->layers; t++) walk_level(&s->walk[t], l);
      for (int t = 0; t + 1 < p->layers; t++) units_of_level(s, t);
      columns_of_level(s, l);
    }
  }
}

/* ---- backwards: c[t] = cotangents of a layer's units before activation ---- */

static void multiply_back(const sweep *s, int t, bool more) {
  const walk *w = &s->walk[t];
  multiply(s, t, more ? &w->level : &w->group, at(s, s->room.pre[t]), s->p->layer[t].units, NULL, at(s, s->room.sum[t]), w->group.n,
           w->group.first, more, RH_EPI_NONE);
}

/* Adds what the layers that read a level's units of `of` (-1: columns) give back, those behind the activation or those before it. */
static bool give_back(const sweep *s, int of, bool active, char *dense, bool begun) {
  for (int t = 0; t < s->p->layers; t++) {
    const rh_masked_layer *layer = &s->p->layer[t];
    const walk *w = &s->walk[t];
    if (layer->from != of || (of >= 0 && (bool)layer->active != active)) continue;
    multiply_back(s, t, true);
    const int64_t first = w->level.first - w->group.first;
    if (begun)
      change(s, PIECE_ADD, w->level.n, dense, at(s, s->room.sum[t]), w->group.n, first);
    else
      take(s, at(s, s->room.sum[t]), w->group.n, first, w->level.n, dense);
    begun = true;
  }
  return begun;
}

static void columns_back(const sweep *s, int level) {
  const rh_program *p = s->p;
  const int64_t first = rh_program_end(p, -1, level - 1), n = rh_program_end(p, -1, level) - first;
  if (!n) return;
  char *rest = at(s, s->room.fresh), *c = at(s, s->room.pre[p->layers - 1]);
  if (!give_back(s, -1, true, rest, false)) memset(rest, 0, (size_t)(s->rows * n * s->size));
  if (s->size == 4) {
    columns_float(s->rows, p->columns, first, n, p->params, s->a->in[0], s->a->in[1], s->a->in[2], NULL, (const float *)(void *)rest,
                  s->a->out);
    spread_float(s->rows, p->columns, first, n, p->params, s->a->out, s->a->in[2], (float *)(void *)c);
  } else {
    columns_double(s->rows, p->columns, first, n, p->params, s->a->in[0], s->a->in[1], s->a->in[2], NULL, (const double *)(void *)rest,
                   s->a->out);
    spread_double(s->rows, p->columns, first, n, p->params, s->a->out, s->a->in[2], (double *)(void *)c);
  }
}

static void units_back(const sweep *s, int t, int level) {
  const rh_program *p = s->p;
  const int64_t first = rh_program_end(p, t, level - 1), n = rh_program_end(p, t, level) - first, units = p->layer[t].units;
  if (!n) return;
  char *fresh = at(s, s->room.fresh);
  bool begun = give_back(s, t, true, fresh, false);
  if (begun && s->a->in[rh_sweep_gate(t)]) change(s, PIECE_MUL, n, fresh, s->a->in[rh_sweep_gate(t)], units, first);
  begun = give_back(s, t, false, fresh, begun);
  if (!begun) memset(fresh, 0, (size_t)(s->rows * n * s->size));
  for (int r = 0; r < p->layers; r++)
    if (p->layer[r].add == t) change(s, PIECE_ADD, n, fresh, at(s, s->room.pre[r]), units, first);
  put(s, fresh, at(s, s->room.pre[t]), units, first, n);
}

static void backwards(sweep *s) {
  const rh_program *p = s->p;
  for (int to = p->levels, from; to > 0; to = from) {
    from = group_begin(p, to);
    for (int t = 0; t < p->layers; t++) {
      walk_group(&s->walk[t], from, to);
      multiply_back(s, t, false);
    }
    for (int l = to - 1; l >= from; l--) {
      for (int t = 0; t < p->layers; t++) walk_level(&s->walk[t], l);
      columns_back(s, l);
      for (int t = p->layers - 2; t >= 0; t--) units_back(s, t, l);
    }
  }
}

void rh_sweep_run(const rh_run_args *a) {
  sweep s;
  sweep_begin(&s, a);
  forwards(&s);
}

void rh_sweep_solve_run(const rh_run_args *a) {
  sweep s;
  sweep_begin(&s, a);
  if (rh_sweep_transposed(a->node))
    backwards(&s);
  else
    forwards(&s);
}

/* ---- the element's plan ---- */
static rh_status make(const rh_node *node, const rh_plan_options *options, int64_t rows, void **made) {
  const rh_sweep_head *head = node->attr;
  rh_plan_options mine = *options;
  mine.max_rows = rows * rh_sweep_program(node)->width;
  rh_plan *plan = NULL;
  RH_TRY(rh_body_plan(head->body, &mine, true, &plan));
  *made = plan;
  return RH_OK;
}
static void unmake(void *made) {
  rh_plan_destroy(made);
}
static int64_t bytes(const void *made) {
  return rh_runner_bytes(made);
}
static rh_status open_work(const void *made, void **work) {
  rh_runner *w = rh_alloc_zero(1, sizeof *w);
  if (!w) return RH_E_MEMORY;
  *work = w;
  return rh_runner_open(made, w);
}
static void close_work(void *work) {
  rh_runner_close(work);
  rh_free(work);
}
static void report(void *work, rh_ode_report *sum) {
  rh_runner_report(work, sum);
}
const rh_op_bodies rh_sweep_bodies = {make, unmake, bytes, open_work, close_work, report};
