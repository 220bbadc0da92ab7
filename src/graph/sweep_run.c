/* Running the sweeps: for a block of rows, level by level, small products of what has just become known (sweep_plan.c). Every layer has a
 * buffer of [rows, units]. */
#include <string.h>

#include "graph/sweep.h"

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
  const rh_sweep_made *made;
  const rh_sweep_room *room;
  int64_t rows, size, group;
  int level;
} sweep;

static void sweep_begin(sweep *s, const rh_run_args *a) {
  s->a = a;
  s->p = rh_sweep_program(a->node);
  s->made = a->made;
  s->room = &s->made->room;
  s->rows = a->rows;
  s->size = a->k->real_bytes;
}
/* Layer t's panels of where the sweep is. */
static const rh_sweep_panel *group_of(const sweep *s, int t) {
  return rh_sweep_panels(s->made, s->p, t) + s->group;
}
static const rh_sweep_panel *level_of(const sweep *s, int t) {
  return rh_sweep_panels(s->made, s->p, t) + s->made->groups + s->level;
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
static void multiply(const sweep *s, int t, const rh_sweep_panel *q, const char *source, int64_t ld, const void *bias, char *sum,
                     int64_t ldc, int64_t sum_first, bool more, rh_epilogue epilogue) {
  if (!q->n) return;
  s->a->k->gemm(s->rows, q->k, q->n, source + q->skip * s->size, ld,
                (const char *)s->a->packed[rh_sweep_weight(s->a->node, t)] + q->at * s->size,
                bias ? (const char *)bias + q->first * s->size : NULL, sum + (q->first - sum_first) * s->size, ldc, more, epilogue, NULL);
}

/* ---- forwards ---- */

/* Layer t's panel of a group (more = false) or of a level, added to its sums. */
static void multiply_forwards(const sweep *s, int t, bool more) {
  const rh_masked_layer *layer = &s->p->layer[t];
  const rh_sweep_panel *group = group_of(s, t);
  const bool relu = s->made->direct[t];
  const int64_t ld = layer->from < 0 ? s->p->context + s->p->columns : s->p->layer[layer->from].units;
  const int64_t from = layer->from < 0 ? s->room->in : layer->active ? s->room->act[layer->from] : s->room->pre[layer->from];
  const void *bias = more || rh_sweep_is_solve(s->a->node) ? NULL : s->a->in[rh_sweep_bias(t)];
  multiply(s, t, more ? level_of(s, t) : group, at(s, from), ld, bias, relu ? at(s, s->room->act[t]) : at(s, s->room->sum[t]),
           relu ? layer->units : group->n, relu ? 0 : group->first, more, relu && more ? RH_EPI_RELU : RH_EPI_NONE);
}

static void units_of_level(const sweep *s, int t) {
  const rh_masked_layer *layer = &s->p->layer[t];
  const rh_sweep_panel *group = group_of(s, t), *q = level_of(s, t);
  const bool solve = rh_sweep_is_solve(s->a->node);
  const int64_t pre = s->room->pre[t], act = s->room->act[t], units = layer->units;
  if (!q->n) return;
  multiply_forwards(s, t, true);
  if (s->made->direct[t]) return;
  char *fresh = at(s, s->room->fresh), *other = at(s, s->room->other);
  take(s, at(s, s->room->sum[t]), group->n, q->first - group->first, q->n, fresh);
  if (layer->add >= 0) change(s, PIECE_ADD, q->n, fresh, at(s, s->room->pre[layer->add]), units, q->first);
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

static void columns_of_level(const sweep *s) {
  const rh_program *p = s->p;
  const int last = p->layers - 1;
  const int64_t first = rh_program_end(p, -1, s->level - 1), n = rh_program_end(p, -1, s->level) - first;
  if (!n) return;
  char *raw = at(s, s->room->fresh), *value = at(s, s->room->value), *solved = at(s, s->room->solved), *in = at(s, s->room->in);
  const rh_sweep_panel *group = group_of(s, last), *q = level_of(s, last);
  multiply_forwards(s, last, true);
  take(s, at(s, s->room->sum[last]), group->n, q->first - group->first, q->n, raw);
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
  memset(at(s, s->room->in), 0, (size_t)(s->rows * width * s->size));
  if (p->context && !rh_sweep_is_solve(s->a->node)) put(s, s->a->in[1], at(s, s->room->in), width, 0, p->context);
  for (s->group = 0; s->group < s->made->groups; s->group++) {
    const int32_t *ends = s->made->group + s->group;
    for (int t = 0; t < p->layers; t++) multiply_forwards(s, t, false);
    for (s->level = ends[0]; s->level < ends[1]; s->level++) {
      for (int t = 0; t + 1 < p->layers; t++) units_of_level(s, t);
      columns_of_level(s);
    }
  }
}

/* ---- backwards: c[t] = cotangents of a layer's units before activation ---- */

static void multiply_back(const sweep *s, int t, bool more) {
  const rh_sweep_panel *group = group_of(s, t);
  multiply(s, t, more ? level_of(s, t) : group, at(s, s->room->pre[t]), s->p->layer[t].units, NULL, at(s, s->room->sum[t]), group->n,
           group->first, more, RH_EPI_NONE);
}

/* Adds what the layers that read a level's units of `of` (-1: columns) give back, those behind the activation or those before it. */
static bool give_back(const sweep *s, int of, bool active, char *dense, bool begun) {
  for (int t = 0; t < s->p->layers; t++) {
    const rh_masked_layer *layer = &s->p->layer[t];
    const rh_sweep_panel *group = group_of(s, t), *q = level_of(s, t);
    if (layer->from != of || (of >= 0 && (bool)layer->active != active)) continue;
    multiply_back(s, t, true);
    const int64_t first = q->first - group->first;
    if (begun)
      change(s, PIECE_ADD, q->n, dense, at(s, s->room->sum[t]), group->n, first);
    else
      take(s, at(s, s->room->sum[t]), group->n, first, q->n, dense);
    begun = true;
  }
  return begun;
}

static void columns_back(const sweep *s) {
  const rh_program *p = s->p;
  const int64_t first = rh_program_end(p, -1, s->level - 1), n = rh_program_end(p, -1, s->level) - first;
  if (!n) return;
  char *rest = at(s, s->room->fresh), *c = at(s, s->room->pre[p->layers - 1]);
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

static void units_back(const sweep *s, int t) {
  const rh_program *p = s->p;
  const int64_t first = rh_program_end(p, t, s->level - 1), n = rh_program_end(p, t, s->level) - first, units = p->layer[t].units;
  if (!n) return;
  char *fresh = at(s, s->room->fresh);
  bool begun = give_back(s, t, true, fresh, false);
  if (begun && s->a->in[rh_sweep_gate(t)]) change(s, PIECE_MUL, n, fresh, s->a->in[rh_sweep_gate(t)], units, first);
  begun = give_back(s, t, false, fresh, begun);
  if (!begun) memset(fresh, 0, (size_t)(s->rows * n * s->size));
  for (int r = 0; r < p->layers; r++)
    if (p->layer[r].add == t) change(s, PIECE_ADD, n, fresh, at(s, s->room->pre[r]), units, first);
  put(s, fresh, at(s, s->room->pre[t]), units, first, n);
}

static void backwards(sweep *s) {
  const rh_program *p = s->p;
  for (s->group = s->made->groups - 1; s->group >= 0; s->group--) {
    const int32_t *ends = s->made->group + s->group;
    for (int t = 0; t < p->layers; t++) multiply_back(s, t, false);
    for (s->level = ends[1] - 1; s->level >= ends[0]; s->level--) {
      columns_back(s);
      for (int t = p->layers - 2; t >= 0; t--) units_back(s, t);
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
