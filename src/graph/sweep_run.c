/* Running the sweeps: for a block of rows, level by level, small products of what has just become known. Every layer has a buffer of
 * [rows, units]; a level's panel of weights has the terms that are known by then. */
#include <string.h>

#include "graph/sweep.h"

/* ---- packing: one panel a level ---- */
enum { LEVELS_AT_ONCE = 16 };

/* A level's panel: columns [first, first + n) of the product, terms [skip, skip + k) of what it reads, and where its packed form begins. */
typedef struct panel {
  int64_t first, n, skip, k, at, next;
} panel;

/* The next level's panel of a layer's matrix: forwards its units of that level; transposed the units that it reads. */
static void panel_of(const rh_kernels *k, const rh_program *p, int layer, bool transpose, int level, panel *q) {
  const rh_stairs *s = rh_program_stairs(p, layer);
  const int of = transpose ? p->layer[layer].from : layer;
  const int64_t offset = of < 0 ? p->context : 0, from = rh_program_end(p, of, level - 1), to = rh_program_end(p, of, level);
  q->first = offset + from, q->n = to - from, q->at = q->next;
  q->skip = 0, q->k = 0;
  if (!q->n) return;
  if (transpose) {
    q->skip = rh_stairs_first(s, q->first);
    q->k = s->out - q->skip;
  } else {
    q->k = rh_stairs_reach(s, q->first + q->n - 1);
  }
  q->next += k->pack_count(q->k, q->n);
}

static bool wants(const rh_node *node, int operand) {
  const rh_program *p = rh_sweep_program(node);
  const int first = rh_sweep_weight(node, 0);
  return operand >= first && (operand - first) % 2 == 0 && (operand - first) / 2 < p->layers;
}
static int layer_of(const rh_node *node, int operand) {
  return (operand - rh_sweep_weight(node, 0)) / 2;
}
static int64_t count(const rh_kernels *k, const rh_node *node, const rh_shape *m, int operand) {
  const rh_program *p = rh_sweep_program(node);
  panel q = {0};
  (void)m;
  for (int l = 0; l < p->levels; l++) panel_of(k, p, layer_of(node, operand), rh_sweep_transposed(node), l, &q);
  return q.next;
}
static int64_t pieces(const rh_kernels *k, const rh_node *node, const rh_shape *m, int operand) {
  (void)k, (void)m, (void)operand;
  return (rh_sweep_program(node)->levels + LEVELS_AT_ONCE - 1) / LEVELS_AT_ONCE;
}
static int64_t pack_scratch(const rh_kernels *k, const rh_node *node, const rh_shape *m, int operand) {
  const rh_program *p = rh_sweep_program(node);
  panel q = {0};
  int64_t most = 0;
  (void)m;
  for (int l = 0; l < p->levels; l++) {
    panel_of(k, p, layer_of(node, operand), rh_sweep_transposed(node), l, &q);
    if (q.n * q.k > most) most = q.n * q.k;
  }
  return most;
}
static void pack(const rh_kernels *k, const rh_node *node, const rh_shape *m, int operand, const void *from, void *packed, int64_t piece,
                 void *scratch) {
  const rh_program *p = rh_sweep_program(node);
  const rh_stairs *s = rh_program_stairs(p, layer_of(node, operand));
  const bool t = rh_sweep_transposed(node);
  panel q = {0};
  (void)m;
  for (int l = 0; l < p->levels && l < (piece + 1) * LEVELS_AT_ONCE; l++) {
    panel_of(k, p, layer_of(node, operand), t, l, &q);
    if (l < piece * LEVELS_AT_ONCE || !q.n) continue;
    rh_stairs_expand(s, k->real_bytes, from, t ? q.skip : q.first, t ? q.k : q.n, t ? q.first : 0, t ? q.n : q.k, scratch);
    k->pack(q.k, q.n, scratch, t ? q.n : 1, t ? 1 : q.k, (char *)packed + q.at * k->real_bytes, 0, (q.n + k->panel - 1) / k->panel);
  }
}
const rh_packing rh_sweep_packing = {wants, count, pieces, pack_scratch, pack};

/* ---- room ---- */

/* Buffers of one run, as offsets in numbers of a row: the input, each layer before and behind its activation (-1: nobody reads that), and
 * what a level needs. */
typedef struct room {
  int64_t in, pre[RH_PROGRAM_LAYERS], act[RH_PROGRAM_LAYERS], fresh, other, value, solved, total;
} room;

static bool wants_pre(const rh_program *p, int layer) {
  for (int t = 0; t < p->layers; t++)
    if (p->layer[t].add == layer || (p->layer[t].from == layer && !p->layer[t].active)) return true;
  return false;
}
static int64_t most_units(const rh_program *p) { /* of one level */
  int64_t most = 1;
  for (int t = 0; t < p->layers; t++)
    for (int l = 0; l < p->levels; l++) {
      const int64_t n = rh_program_end(p, t, l) - rh_program_end(p, t, l - 1);
      if (n > most) most = n;
    }
  return most;
}
static room room_of(const rh_program *p, bool transpose) {
  const int64_t most = most_units(p);
  room r = {.in = 0, .total = p->context + p->columns};
  for (int t = 0; t < p->layers; t++) {
    const bool last = t + 1 == p->layers;
    r.pre[t] = r.act[t] = -1;
    if (transpose || (!last && wants_pre(p, t))) r.pre[t] = r.total, r.total += p->layer[t].units;
    if (!transpose && !last && rh_program_active(p, t)) r.act[t] = r.total, r.total += p->layer[t].units;
  }
  r.fresh = r.total;
  r.other = r.fresh + most;
  r.value = r.other + most;
  r.solved = r.value + p->width;
  r.total = r.solved + p->width;
  return r;
}
int64_t rh_sweep_scratch(const rh_graph *g, const rh_node *node) {
  (void)g;
  return room_of(rh_sweep_program(node), rh_sweep_transposed(node)).total;
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
  panel panel[RH_PROGRAM_LAYERS];
} sweep;

static sweep sweep_begin(const rh_run_args *a) {
  return (sweep){.a = a,
                 .p = rh_sweep_program(a->node),
                 .room = room_of(rh_sweep_program(a->node), rh_sweep_transposed(a->node)),
                 .rows = a->rows,
                 .size = a->k->real_bytes};
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

/* ---- forwards ---- */

/* The product of a layer's panel with what it reads -> c [rows, n] with row stride ldc. */
static void multiply(const sweep *s, int t, const void *bias, char *c, int64_t ldc, rh_epilogue epilogue) {
  const rh_masked_layer *layer = &s->p->layer[t];
  const panel *q = &s->panel[t];
  const int64_t ld = layer->from < 0 ? s->p->context + s->p->columns : s->p->layer[layer->from].units;
  const int64_t from = layer->from < 0 ? s->room.in : layer->active ? s->room.act[layer->from] : s->room.pre[layer->from];
  s->a->k->gemm(s->rows, q->k, q->n, at(s, from), ld, (const char *)s->a->packed[rh_sweep_weight(s->a->node, t)] + q->at * s->size,
                bias ? (const char *)bias + q->first * s->size : NULL, c, ldc, 0, epilogue);
}

static void units_of_level(const sweep *s, int t) {
  const rh_masked_layer *layer = &s->p->layer[t];
  const panel *q = &s->panel[t];
  const bool solve = rh_sweep_is_solve(s->a->node);
  const void *bias = solve ? NULL : s->a->in[rh_sweep_bias(t)];
  const int64_t pre = s->room.pre[t], act = s->room.act[t], units = layer->units;
  if (!q->n) return;
  if (!solve && layer->add < 0 && pre < 0 && s->p->activation == (int)RH_U_RELU) {
    multiply(s, t, bias, at(s, act) + q->first * s->size, units, RH_EPI_RELU);
    return;
  }
  char *fresh = at(s, s->room.fresh), *other = at(s, s->room.other);
  multiply(s, t, bias, fresh, q->n, RH_EPI_NONE);
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

typedef struct element_work {
  rh_runner runner;
} element_work;

static void columns_of_level(const sweep *s, int level) {
  const rh_program *p = s->p;
  const int last = p->layers - 1;
  const int64_t first = rh_program_end(p, -1, level - 1), n = rh_program_end(p, -1, level) - first;
  if (!n) return;
  char *raw = at(s, s->room.fresh), *value = at(s, s->room.value), *solved = at(s, s->room.solved), *in = at(s, s->room.in);
  const bool solve = rh_sweep_is_solve(s->a->node);
  multiply(s, last, solve ? NULL : s->a->in[rh_sweep_bias(last)], raw, n * p->params, RH_EPI_NONE);
  if (solve) {
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
    rh_runner_run(&((element_work *)s->a->work)->runner, &io);
    put(s, solved, s->a->out, p->columns, first, n);
  }
  put(s, solved, in, p->context + p->columns, p->context + first, n);
}

static void forwards(sweep *s) {
  const rh_program *p = s->p;
  const int64_t width = p->context + p->columns;
  memset(at(s, s->room.in), 0, (size_t)(s->rows * width * s->size));
  if (p->context && !rh_sweep_is_solve(s->a->node)) put(s, s->a->in[1], at(s, s->room.in), width, 0, p->context);
  for (int l = 0; l < p->levels; l++) {
    for (int t = 0; t < p->layers; t++) {
      panel_of(s->a->k, p, t, false, l, &s->panel[t]);
      if (t + 1 < p->layers) units_of_level(s, t);
    }
    columns_of_level(s, l);
  }
}

/* ---- backwards: c[t] = cotangents of a layer's units before activation ---- */

/* Adds what the layers that read units of `of` (-1: columns) give back, those behind the activation or those before it. */
static int give_back(const sweep *s, int of, bool active, char *dense, int begun) {
  for (int t = 0; t < s->p->layers; t++) {
    const rh_masked_layer *layer = &s->p->layer[t];
    const panel *q = &s->panel[t];
    if (layer->from != of || (of >= 0 && (bool)layer->active != active)) continue;
    s->a->k->gemm(s->rows, q->k, q->n, at(s, s->room.pre[t]) + q->skip * s->size, layer->units,
                  (const char *)s->a->packed[rh_sweep_weight(s->a->node, t)] + q->at * s->size, NULL, dense, q->n, begun, RH_EPI_NONE);
    begun = 1;
  }
  return begun;
}

static void columns_back(const sweep *s, int level) {
  const rh_program *p = s->p;
  const int64_t first = rh_program_end(p, -1, level - 1), n = rh_program_end(p, -1, level) - first;
  if (!n) return;
  char *rest = at(s, s->room.fresh), *c = at(s, s->room.pre[p->layers - 1]);
  if (!give_back(s, -1, true, rest, 0)) memset(rest, 0, (size_t)(s->rows * n * s->size));
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
  int begun = give_back(s, t, true, fresh, 0);
  if (begun && s->a->in[rh_sweep_gate(t)]) change(s, PIECE_MUL, n, fresh, s->a->in[rh_sweep_gate(t)], units, first);
  begun = give_back(s, t, false, fresh, begun);
  if (!begun) memset(fresh, 0, (size_t)(s->rows * n * s->size));
  for (int r = 0; r < p->layers; r++)
    if (p->layer[r].add == t) change(s, PIECE_ADD, n, fresh, at(s, s->room.pre[r]), units, first);
  put(s, fresh, at(s, s->room.pre[t]), units, first, n);
}

static void backwards(sweep *s) {
  const rh_program *p = s->p;
  for (int t = 0; t < p->layers; t++) s->panel[t].next = 0;
  panel total[RH_PROGRAM_LAYERS] = {{0}};
  for (int t = 0; t < p->layers; t++)
    for (int l = 0; l < p->levels; l++) panel_of(s->a->k, p, t, true, l, &total[t]);
  for (int l = p->levels - 1; l >= 0; l--) {
    for (int t = 0; t < p->layers; t++) { /* panels lie in ascending order: this one ends where the last one began */
      panel *q = &s->panel[t];
      panel_of(s->a->k, p, t, true, l, q);
      if (q->n) total[t].next -= s->a->k->pack_count(q->k, q->n);
      q->at = total[t].next;
    }
    columns_back(s, l);
    for (int t = p->layers - 2; t >= 0; t--) units_back(s, t, l);
  }
}

void rh_sweep_run(const rh_run_args *a) {
  sweep s = sweep_begin(a);
  forwards(&s);
}

void rh_sweep_solve_run(const rh_run_args *a) {
  sweep s = sweep_begin(a);
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
  element_work *w = rh_alloc_zero(1, sizeof *w);
  if (!w) return RH_E_MEMORY;
  *work = w;
  return rh_runner_open(made, &w->runner);
}
static void close_work(void *work) {
  element_work *w = work;
  rh_runner_close(&w->runner);
  rh_free(w);
}
static void report(void *work, rh_ode_report *sum) {
  rh_runner_report(&((element_work *)work)->runner, sum);
}
const rh_op_bodies rh_sweep_bodies = {make, unmake, bytes, open_work, close_work, report};
