/* Moves of a row's numbers by an index. gather and scatter are each other's adjoint. What is moved lies in *runs* more often than not (the
 * channels of a pixel, the pixels of a line), so runs are what is kept and copied. A gather of a gather is one gather, a scatter that
 * never adds is one too: so a move and its way back vanish, and moves one after another cost one. */
#include <string.h>

#include "base/memory.h"
#include "graph/ops.h"

typedef struct move_run { /* y[to .. to + n) = x[from .. from + n) */
  int32_t to, from, n;
} move_run;

typedef struct move_attr {
  int64_t count; /* indices */
  int64_t runs;  /* 0: each by itself, by index */
  bool all;      /* gather: the runs fill the output */
} move_attr;     /* behind it: move_run[runs], or int32_t[count] */

static const move_run *runs_of(const move_attr *m) {
  return (const move_run *)(const void *)(m + 1);
}
static const int32_t *index_of(const move_attr *m) {
  return (const int32_t *)(const void *)(m + 1);
}

/* The index again: [count], the caller frees; NULL: out of memory, which sticks. */
static int32_t *expand_index(rh_graph *g, const move_attr *m) {
  int32_t *index = rh_alloc((size_t)m->count * sizeof *index);
  if (!index) {
    g->status = RH_E_MEMORY;
    return NULL;
  }
  if (!m->runs) {
    memcpy(index, index_of(m), (size_t)m->count * sizeof *index);
    return index;
  }
  for (int64_t i = 0; i < m->count; i++) index[i] = -1;
  for (const move_run *r = runs_of(m), *end = r + m->runs; r < end; r++)
    for (int32_t i = 0; i < r->n; i++) index[r->to + i] = r->from + i;
  return index;
}

/* Runs of an index, written where out is given; *moved: how many numbers they hold. */
static int64_t find_runs(const int32_t *index, int64_t count, move_run *out, int64_t *moved) {
  int64_t runs = 0;
  *moved = 0;
  for (int64_t i = 0, n; i < count; i += n) {
    for (n = 1; i + n < count && (index[i] < 0 ? index[i + n] < 0 : index[i + n] == index[i] + n); n++) continue;
    if (index[i] < 0) continue;
    if (out) out[runs] = (move_run){(int32_t)i, index[i], (int32_t)n};
    runs++;
    *moved += n;
  }
  return runs;
}

enum { LEAST_RUN = 3 }; /* numbers of a run, on the average, from which runs are worth it */

static rh_val emit_move(rh_graph *g, rh_op_id op, rh_val x, rh_shape shape, const int32_t *index, int64_t count, int64_t limit) {
  for (int64_t i = 0; i < count; i++)
    if (index[i] >= limit)
      return rh_graph_fail(g, RH_E_SHAPE, "%s: index %d at %lld is beyond %lld elements", rh_ops[op]->name, index[i], (long long)i,
                           (long long)limit);
  int64_t moved;
  const int64_t runs = find_runs(index, count, NULL, &moved);
  const bool by_run = runs > 0 && moved >= LEAST_RUN * runs;
  const size_t bytes = sizeof(move_attr) + (by_run ? (size_t)runs * sizeof(move_run) : (size_t)count * sizeof *index);
  move_attr *attr = rh_alloc(bytes);
  if (!attr) {
    g->status = RH_E_MEMORY;
    return RH_NONE;
  }
  memset(attr, 0, sizeof *attr); /* padding too: equal moves are told by their bytes */
  attr->count = count, attr->runs = by_run ? runs : 0, attr->all = moved == count;
  if (by_run)
    find_runs(index, count, (move_run *)(void *)(attr + 1), &moved);
  else
    memcpy(attr + 1, index, (size_t)count * sizeof *index);
  const rh_val v = rh_emit(g, op, 1, &x, shape, attr, bytes);
  rh_free(attr);
  return v;
}

static bool is_identity(const int32_t *index, int64_t count, int64_t limit) {
  bool same = count == limit;
  for (int64_t i = 0; i < count && same; i++) same = index[i] == i;
  return same;
}

bool rh_gather_repeats(const rh_node *node, int64_t width) {
  if (node->op != RH_OP_gather) return false;
  const move_attr *m = node->attr;
  bool same = width > 1 && m->all && m->runs * width == m->count;
  for (int64_t i = 0; i < m->runs && same; i++) same = runs_of(m)[i].from == 0 && runs_of(m)[i].n == width;
  return same;
}

/* What x is once reshapes are looked through. */
static rh_val behind_reshapes(const rh_graph *g, rh_val x) {
  while (rh_at(g, x)->op == RH_OP_reshape) x = rh_at(g, x)->in[0];
  return x;
}

rh_val rh_gather(rh_graph *g, rh_val x, rh_shape shape, const int32_t *index) {
  if (g->status != RH_OK || rh_is_none(x)) return rh_graph_fail(g, RH_E_ARGUMENT, "gather without an operand");
  const int64_t count = rh_shape_count(&shape), limit = rh_count(g, x);
  if (is_identity(index, count, limit)) return rh_reshape(g, x, shape);
  const rh_node *inner = rh_at(g, behind_reshapes(g, x));
  if (inner->op != RH_OP_gather) return emit_move(g, RH_OP_gather, x, shape, index, count, limit);
  int32_t *first = expand_index(g, inner->attr), *both = rh_alloc((size_t)count * sizeof *both);
  rh_val v = RH_NONE;
  if (!first || !both) {
    g->status = RH_E_MEMORY;
  } else {
    int64_t beyond = -1;
    for (int64_t i = 0; i < count && beyond < 0; i++) {
      if (index[i] >= limit) beyond = i;
      both[i] = index[i] < 0 || beyond >= 0 ? -1 : first[index[i]];
    }
    v = beyond >= 0 ? emit_move(g, RH_OP_gather, x, shape, index, count, limit) /* which says so */
                    : rh_gather(g, inner->in[0], shape, both);
  }
  rh_free(first);
  rh_free(both);
  return v;
}

/* inverse: [n] with index[inverse[j]] = j, -1 where nothing goes; false: two go to one place, or an index is beyond n. */
static bool invert(const int32_t *index, int64_t count, int64_t n, int32_t *inverse) {
  for (int64_t j = 0; j < n; j++) inverse[j] = -1;
  for (int64_t i = 0; i < count; i++) {
    if (index[i] < 0) continue;
    if (index[i] >= n || inverse[index[i]] >= 0) return false;
    inverse[index[i]] = (int32_t)i;
  }
  return true;
}

rh_val rh_scatter(rh_graph *g, rh_val x, rh_shape shape, const int32_t *index) {
  if (g->status != RH_OK || rh_is_none(x)) return rh_graph_fail(g, RH_E_ARGUMENT, "scatter without an operand");
  const int64_t count = rh_count(g, x), n = rh_shape_count(&shape);
  int32_t *inverse = rh_alloc((size_t)n * sizeof *inverse);
  if (!inverse) {
    g->status = RH_E_MEMORY;
    return RH_NONE;
  }
  const rh_val v =
      invert(index, count, n, inverse) ? rh_gather(g, x, shape, inverse) : emit_move(g, RH_OP_scatter, x, shape, index, count, n);
  rh_free(inverse);
  return v;
}

/* ---- by a formula ---- */
typedef rh_val move_builder(rh_graph *g, rh_val x, rh_shape shape, const int32_t *index);
static rh_val move_runs(rh_graph *g, move_builder *move, rh_val x, rh_shape shape, int64_t count, int64_t n, rh_run_start *start,
                        const void *arg) {
  int32_t *index = rh_alloc((size_t)count * sizeof *index);
  if (!index) {
    g->status = RH_E_MEMORY;
    return RH_NONE;
  }
  for (int64_t i = 0; i * n < count; i++) {
    const int64_t from = start(arg, i);
    for (int64_t k = 0; k < n; k++) index[i * n + k] = from < 0 ? -1 : (int32_t)(from + k);
  }
  const rh_val y = move(g, x, shape, index);
  rh_free(index);
  return y;
}
rh_val rh_gather_runs(rh_graph *g, rh_val x, rh_shape shape, int64_t n, rh_run_start *start, const void *arg) {
  return g->status == RH_OK ? move_runs(g, rh_gather, x, shape, rh_shape_count(&shape), n, start, arg) : RH_NONE;
}
rh_val rh_scatter_runs(rh_graph *g, rh_val x, rh_shape shape, int64_t n, rh_run_start *start, const void *arg) {
  return g->status == RH_OK ? move_runs(g, rh_scatter, x, shape, rh_count(g, x), n, start, arg) : RH_NONE;
}

/* One rule serves all four: the adjoint of either by the other, the tangent by itself. */
static rh_val move_again(rh_graph *g, move_builder *move, rh_val x, rh_shape shape, const void *attr) {
  int32_t *index = expand_index(g, attr);
  if (!index) return RH_NONE;
  const rh_val v = move(g, x, shape, index);
  rh_free(index);
  return v;
}
static void gather_vjp(rh_graph *g, rh_val node, rh_val ct, rh_val *out) {
  out[0] = move_again(g, rh_scatter, ct, rh_at(g, rh_at(g, node)->in[0])->shape, rh_at(g, node)->attr);
}
static rh_val gather_jvp(rh_graph *g, rh_val node, const rh_val *t) {
  return move_again(g, rh_gather, t[0], rh_at(g, node)->shape, rh_at(g, node)->attr);
}
static void scatter_vjp(rh_graph *g, rh_val node, rh_val ct, rh_val *out) {
  out[0] = move_again(g, rh_gather, ct, rh_at(g, rh_at(g, node)->in[0])->shape, rh_at(g, node)->attr);
}
static rh_val scatter_jvp(rh_graph *g, rh_val node, const rh_val *t) {
  return move_again(g, rh_scatter, t[0], rh_at(g, node)->shape, rh_at(g, node)->attr);
}

/* n numbers by pieces of 16 bytes, the last of which may be done twice. */
#define MOVES(type, PIECE)                                                                                                 \
  static inline void copy_##type(type *to, const type *from, int32_t n) {                                                  \
    if (n < PIECE) {                                                                                                       \
      for (int32_t i = 0; i < n; i++) to[i] = from[i];                                                                     \
      return;                                                                                                              \
    }                                                                                                                      \
    if (n > 16 * PIECE) {                                                                                                  \
      memcpy(to, from, (size_t)n * sizeof(type));                                                                          \
      return;                                                                                                              \
    }                                                                                                                      \
    int32_t i = 0;                                                                                                         \
    for (; i + PIECE <= n; i += PIECE) memcpy(to + i, from + i, PIECE * sizeof(type));                                     \
    if (i < n) memcpy(to + n - PIECE, from + n - PIECE, PIECE * sizeof(type));                                             \
  }                                                                                                                        \
  static void gather_##type(const move_attr *m, int64_t rows, int64_t nx, const type *x, type *y) {                        \
    const move_run *end = runs_of(m) + m->runs;                                                                            \
    const int32_t *index = index_of(m);                                                                                    \
    for (int64_t r = 0; r < rows; r++, x += nx, y += m->count) {                                                           \
      if (!m->runs)                                                                                                        \
        for (int64_t i = 0; i < m->count; i++) y[i] = index[i] < 0 ? 0 : x[index[i]];                                      \
      if (m->runs && !m->all) memset(y, 0, (size_t)m->count * sizeof(type));                                               \
      for (const move_run *run = runs_of(m); m->runs && run < end; run++) copy_##type(y + run->to, x + run->from, run->n); \
    }                                                                                                                      \
  }                                                                                                                        \
  static void scatter_##type(const move_attr *m, int64_t rows, int64_t ny, const type *x, type *y) {                       \
    const move_run *end = runs_of(m) + m->runs;                                                                            \
    const int32_t *index = index_of(m);                                                                                    \
    for (int64_t r = 0; r < rows; r++, x += m->count, y += ny) {                                                           \
      for (int64_t i = 0; i < ny; i++) y[i] = 0;                                                                           \
      for (int64_t i = 0; !m->runs && i < m->count; i++)                                                                   \
        if (index[i] >= 0) y[index[i]] += x[i];                                                                            \
      for (const move_run *run = runs_of(m); m->runs && run < end; run++)                                                  \
        for (int32_t i = 0; i < run->n; i++) y[run->from + i] += x[run->to + i];                                           \
    }                                                                                                                      \
  }
MOVES(float, 4)
MOVES(double, 2)

static void gather_run(const rh_run_args *a) {
  const int64_t nx = rh_shape_count(&a->in_node[0]->shape);
  if (a->k->real_bytes == 4) {
    gather_float(a->node->attr, a->rows, nx, a->in[0], a->out);
  } else {
    gather_double(a->node->attr, a->rows, nx, a->in[0], a->out);
  }
}
static void scatter_run(const rh_run_args *a) {
  const int64_t ny = rh_shape_count(&a->node->shape);
  if (a->k->real_bytes == 4) {
    scatter_float(a->node->attr, a->rows, ny, a->in[0], a->out);
  } else {
    scatter_double(a->node->attr, a->rows, ny, a->in[0], a->out);
  }
}
const rh_op rh_op_gather = {.name = "gather", .order = -1, .vjp = gather_vjp, .jvp = gather_jvp, .run = gather_run};
const rh_op rh_op_scatter = {.name = "scatter", .order = -1, .vjp = scatter_vjp, .jvp = scatter_jvp, .run = scatter_run};

/* ---- matrices ---- */

static int32_t *blank(rh_graph *g, int64_t n) {
  if (g->status != RH_OK) return NULL;
  int32_t *index = rh_arena_alloc(&g->arena, (size_t)n * sizeof *index);
  if (!index) g->status = RH_E_MEMORY;
  return index;
}

rh_val rh_transposed(rh_graph *g, rh_val x) {
  if (g->status != RH_OK) return RH_NONE;
  const rh_shape s = rh_at(g, x)->shape;
  const int64_t m = s.dim[0], n = s.dim[1];
  int32_t *index = blank(g, m * n);
  if (!index) return RH_NONE;
  for (int64_t i = 0; i < m * n; i++) index[i] = (int32_t)(i % m * n + i / m);
  return rh_gather(g, x, rh_shape2(n, m), index);
}

rh_val rh_diagonal(rh_graph *g, rh_val x) {
  if (g->status != RH_OK) return RH_NONE;
  const int64_t n = rh_at(g, x)->shape.dim[0];
  int32_t *index = blank(g, n);
  if (!index) return RH_NONE;
  for (int64_t i = 0; i < n; i++) index[i] = (int32_t)(i * (n + 1));
  return rh_gather(g, x, rh_shape1(n), index);
}
