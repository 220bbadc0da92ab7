/* A plan in words. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "graph/plan_parts.h"

typedef struct text {
  char *data;
  int64_t used, capacity;
  rh_status status;
} text;

static void put(text *t, const char *format, ...) RH_PRINTF(2, 3);
static void put(text *t, const char *format, ...) {
  char line[512];
  va_list args;
  va_start(args, format);
  int n = vsnprintf(line, sizeof line, format, args);
  va_end(args);
  if (n < 0 || t->status != RH_OK) return;
  if (n >= (int)sizeof line) n = (int)sizeof line - 1;
  t->status = rh_grow((void **)&t->data, &t->capacity, t->used + n + 1, 1);
  if (t->status != RH_OK) return;
  memcpy(t->data + t->used, line, (size_t)n + 1);
  t->used += n;
}

static const char *unary_name(int f) {
#define NAME(name, id) #id,
  static const char *const names[] = {RH_UNARY_LIST(NAME)};
  return names[f];
}
static const char *binary_name(int f) {
  static const char *const names[] = {RH_BINARY_LIST(NAME)};
#undef NAME
  return names[f];
}

const char *rh_node_name(const rh_node *node) {
  if (node->op == RH_OP_unary) return unary_name(*(const int *)node->attr);
  return node->op == RH_OP_binary ? binary_name(*(const int *)node->attr) : rh_op_of(node)->name;
}

static void put_item(text *t, const rh_plan *p, int32_t v) {
  static const char *const places[] = {"-", "block", "superblock", "model", "state", "constant", "shared", "output"};
  const rh_item *it = &p->item[v];
  char shape[64];
  rh_shape_text(&it->node.shape, shape);
  put(t, "  %%%-5d %s%s(", (int)v, rh_node_name(&it->node),
      it->epilogue == RH_EPI_RELU   ? "+relu"
      : it->epilogue == RH_EPI_GATE ? "+gate"
                                    : "");
  for (int i = 0; i < it->node.arity; i++)
    if (!rh_is_none(it->node.in[i])) put(t, "%s%%%d", i ? ", " : "", (int)it->node.in[i].at);
  put(t, ") %s  %s @%lld\n", shape, places[it->place], (long long)it->offset);
}

rh_status rh_plan_text(const rh_plan *p, bool nodes, char **out) {
  text t = {0};
  const rh_plan_info *f = &p->info;
  put(&t, "kernels            %s, %s\n", p->k->isa, p->k->real_bytes == 4 ? "float32" : "float64");
  put(&t, "nodes              %lld for each row in %lld segments; %lld before, %lld after the rows; %lld pieces of sums over rows\n",
      (long long)f->row_nodes, (long long)f->segments, (long long)p->n_before, (long long)p->n_after, (long long)p->tasks);
  put(&t, "operations a row   %.0f\n", f->flops_row);
  put(&t, "rows of a block    %lld: weights %.0f bytes a row, activations inside the block %lld bytes a row (%lld bytes a thread)\n",
      (long long)f->block_rows, f->bytes_row_weights, (long long)f->local_bytes_row, (long long)f->work_bytes_thread);
  if (f->super_rows) {
    put(&t, "rows of a superblock %lld: %lld bytes a row kept for the sums over rows and across segments (%lld bytes in all)\n",
        (long long)f->super_rows, (long long)f->wide_bytes_row, (long long)f->work_bytes_shared);
  }
  put(&t, "activation bytes   %lld + %lld a thread, whatever the batch\n", (long long)f->work_bytes_shared,
      (long long)f->work_bytes_thread);
  put(&t, "packed weights     %lld bytes\n", (long long)f->packed_bytes);
  for (int64_t s = 0; nodes && s < p->segments; s++) {
    put(&t, "segment %lld\n", (long long)s);
    for (int64_t i = p->segment[s].first; i < p->segment[s].last; i++) put_item(&t, p, p->row_order[i]);
    for (int64_t i = p->segment[s].first_task; i < p->segment[s].last_task; i++)
      if (p->task[i].piece == 0) put_item(&t, p, p->task[i].item);
  }
  if (t.status != RH_OK) {
    rh_free(t.data);
    return t.status;
  }
  *out = t.data;
  return RH_OK;
}
