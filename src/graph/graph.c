#include "graph/graph.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "graph/body.h"

rh_status rh_graph_init(rh_graph *g, const rh_leaves *leaves) {
  *g = (rh_graph){.leaves = leaves};
  const int64_t n = leaves ? leaves->n : 0;
  g->leaf_node = rh_arena_alloc(&g->arena, (size_t)(n + 1) * sizeof *g->leaf_node);
  if (!g->leaf_node) return RH_E_MEMORY;
  for (int64_t i = 0; i < n; i++) g->leaf_node[i] = RH_NONE;
  return RH_OK;
}

void rh_graph_free(rh_graph *g) {
  rh_bodies_free(g->bodies);
  rh_free(g->node);
  rh_free(g->input);
  rh_arena_free(&g->arena);
  *g = (rh_graph){0};
}

rh_status rh_graph_status(const rh_graph *g) {
  return g->status;
}

const rh_node *rh_at(const rh_graph *g, rh_val v) {
  return g->node[v.at];
}

int64_t rh_count(const rh_graph *g, rh_val v) {
  return rh_is_none(v) ? 0 : rh_shape_count(&g->node[v.at]->shape);
}

int64_t rh_width(const rh_graph *g, rh_val v) {
  if (rh_is_none(v)) return 0;
  const rh_shape *s = &g->node[v.at]->shape;
  return s->dim[s->rank - 1];
}

bool rh_is_row(const rh_graph *g, rh_val v) {
  return !rh_is_none(v) && g->node[v.at]->klass == RH_ROW;
}

const rh_op *rh_op_of(const rh_node *node) {
  return rh_ops[node->op];
}

void rh_shape_text(const rh_shape *shape, char text[64]) {
  int used = snprintf(text, 64, "[");
  for (int i = 0; i < shape->rank && used < 50; i++)
    used += snprintf(text + used, (size_t)(64 - used), i ? ", %lld" : "%lld", (long long)shape->dim[i]);
  snprintf(text + used, (size_t)(64 - used), "]");
}

rh_val rh_graph_fail(rh_graph *g, rh_status status, const char *format, ...) {
  if (g->status != RH_OK) return RH_NONE; /* the first error is the one that tells */
  char text[400];
  va_list args;
  va_start(args, format);
  vsnprintf(text, sizeof text, format, args);
  va_end(args);
  g->status = rh_fail(status, "%s", text);
  return RH_NONE;
}

/* Class and stage follow from the operands: a row operand makes a row, a sum over rows ends the rows. */
static bool place(rh_graph *g, rh_op_id op, rh_node *node) {
  bool row = op == RH_OP_input || op == RH_OP_fill, param = false, after = false;
  for (int i = 0; i < node->arity; i++) {
    if (rh_is_none(node->in[i])) continue;
    const rh_node *in = g->node[node->in[i].at];
    row |= in->klass == RH_ROW;
    param |= in->klass == RH_PARAM;
    after |= in->stage >= RH_REDUCE;
  }
  const bool reduces = rh_ops[op]->reduces;
  if (row && after) {
    rh_graph_fail(g, RH_E_UNSUPPORTED, "%s: a row operation cannot read a sum over the rows of the same pass", rh_ops[op]->name);
    return false;
  }
  if (reduces && !row) {
    rh_graph_fail(g, RH_E_ARGUMENT, "%s: the operand of a sum over rows must be one per row", rh_ops[op]->name);
    return false;
  }
  node->stage = reduces ? RH_REDUCE : row ? RH_EACH_ROW : after ? RH_AFTER : RH_BEFORE;
  node->klass = reduces ? RH_PARAM : row ? RH_ROW : param ? RH_PARAM : RH_STATE;
  return true;
}

struct rh_kept {
  struct rh_kept *next;
  size_t bytes;
}; /* the attribute behind it */

const void *rh_keep_attr(rh_arena *arena, struct rh_kept **kept, const void *attr, size_t bytes) {
  enum { LONG = 256 };
  for (const struct rh_kept *k = *kept; k && bytes >= LONG; k = k->next)
    if (k->bytes == bytes && !memcmp(k + 1, attr, bytes)) return k + 1;
  struct rh_kept *fresh = rh_arena_alloc(arena, sizeof *fresh + bytes);
  if (!fresh) return NULL;
  *fresh = (struct rh_kept){*kept, bytes};
  if (bytes >= LONG) *kept = fresh;
  return memcpy(fresh + 1, attr, bytes);
}

rh_val rh_emit(rh_graph *g, rh_op_id op, int arity, const rh_val *in, rh_shape shape, const void *attr, size_t attr_bytes) {
  if (g->status != RH_OK) return RH_NONE;
  for (int i = 0; i < arity; i++)
    if (op != RH_OP_part && !rh_is_none(in[i]) && rh_op_of(g->node[in[i].at])->parts)
      return rh_graph_fail(g, RH_E_ARGUMENT, "%s: operand %d is %s, which has several parts: read one of them by rh_part_of",
                           rh_ops[op]->name, i, rh_op_of(g->node[in[i].at])->name);
  for (int i = 0; i < shape.rank; i++)
    if (shape.dim[i] < 1)
      return rh_graph_fail(g, RH_E_SHAPE, "%s: dimension %d of the result is %lld", rh_ops[op]->name, i, (long long)shape.dim[i]);
  rh_node node = {.op = (int32_t)op, .scope = g->scope, .arity = arity, .shape = shape};
  rh_val *operands = rh_arena_alloc(&g->arena, (size_t)(arity + 1) * sizeof *operands);
  rh_node *fresh = rh_arena_alloc(&g->arena, sizeof *fresh);
  const void *constants = attr ? rh_keep_attr(&g->arena, &g->kept, attr, attr_bytes) : NULL;
  if (!fresh || !operands || (attr && !constants) || rh_grow((void **)&g->node, &g->capacity, g->n + 1, sizeof *g->node) != RH_OK) {
    g->status = RH_E_MEMORY;
    return RH_NONE;
  }
  for (int i = 0; i < arity; i++) operands[i] = in[i];
  node.in = operands;
  if (attr) node.attr = constants, node.attr_bytes = attr_bytes;
  if (!place(g, op, &node)) return RH_NONE;
  g->node[g->n] = memcpy(fresh, &node, sizeof node);
  return (rh_val){(int32_t)g->n++};
}

void rh_scope_begin(rh_graph *g) {
  g->scope = ++g->scopes;
}

void rh_scope_end(rh_graph *g) {
  g->scope = 0;
}

rh_val rh_add_maybe(rh_graph *g, rh_val a, rh_val b) {
  return rh_is_none(a) ? b : rh_is_none(b) ? a : rh_is_tuple(g, a) ? rh_tuple_add(g, a, b) : rh_add(g, a, b);
}
