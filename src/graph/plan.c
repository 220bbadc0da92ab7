/* Making a plan: which nodes live, what is fused, what is packed; then place.c cuts segments and assigns memory. */
#include <string.h>

#include "graph/plan_parts.h"

/* Elementwise operations read a vector that stands in every line of an operand as it is: the lines need not be written out. Both operands
 * may be such, of one length. */
static void read_lines(const rh_plan *p, const rh_item *it, rh_val in[2]) {
  int64_t width = 0;
  for (int i = 0; i < 2 && it->node.klass == RH_ROW; i++) {
    const rh_item *lines = &p->item[p->item[in[i].at].root];
    const int64_t n = lines->node.op == RH_OP_gather ? p->item[lines->node.in[0].at].count : 0;
    if (lines->count != it->count || !rh_gather_repeats(&lines->node, n) || (width && n != width)) continue;
    width = n;
    in[i] = lines->node.in[0];
  }
}

static rh_status copy_nodes(rh_plan *p, const rh_graph *g) {
  struct rh_kept *kept = NULL;
  p->n = g->n;
  p->item = rh_arena_alloc(&p->arena, ((size_t)g->n + 1) * sizeof *p->item);
  if (!p->item) return RH_E_MEMORY;
  for (int64_t v = 0; v < g->n; v++) {
    rh_item *it = &p->item[v];
    *it = (rh_item){.node = *g->node[v],
                    .op = rh_op_of(g->node[v]),
                    .root = (int32_t)v,
                    .segment = -1,
                    .last_segment = -1,
                    .last_read = -1,
                    .scratch = -1,
                    .body = -1};
    it->count = rh_shape_count(&it->node.shape);
    const int arity = it->node.arity;
    if (arity > p->max_arity) p->max_arity = arity;
    rh_val *in = rh_arena_alloc(&p->arena, ((size_t)arity + 1) * sizeof *in);
    const void *attr = it->node.attr_bytes ? rh_keep_attr(&p->arena, &kept, it->node.attr, it->node.attr_bytes) : NULL;
    it->in_node = rh_arena_alloc(&p->arena, ((size_t)arity + 1) * sizeof *it->in_node);
    it->in_row = rh_arena_alloc(&p->arena, (size_t)arity + 1);
    if (!in || !it->in_node || !it->in_row || (it->node.attr_bytes && !attr)) return RH_E_MEMORY;
    for (int i = 0; i < arity; i++) in[i] = g->node[v]->in[i];
    if (it->node.op == RH_OP_binary) read_lines(p, it, in);
    for (int i = 0; i < arity; i++) {
      it->in_node[i] = rh_is_none(in[i]) ? NULL : &p->item[in[i].at].node;
      it->in_row[i] = it->in_node[i] && it->in_node[i]->klass == RH_ROW;
    }
    it->node.in = in;
    if (attr) it->node.attr = attr;
    if (it->node.op == RH_OP_reshape || it->node.op == RH_OP_part) {
      const rh_item *of = &p->item[in[0].at];
      it->root = of->root;
      it->first = of->first + (it->node.op == RH_OP_part ? rh_parts_before(of->node.attr, rh_part_which(&it->node)) : 0);
    }
  }
  return RH_OK;
}

static void mark_live(rh_plan *p) {
  for (int i = 0; i < p->n_row_out; i++) p->item[p->row_out[i]].live = true;
  for (int i = 0; i < p->n_param_out; i++) p->item[p->param_out[i]].live = true;
  for (int64_t v = p->n - 1; v >= 0; v--)
    for (int i = 0; i < p->item[v].node.arity && p->item[v].live; i++)
      if (!rh_is_none(p->item[v].node.in[i])) p->item[p->item[v].node.in[i].at].live = true;
}

/* Parts at the end that nobody reads take no room. */
static void drop_parts(rh_plan *p) {
  for (int64_t v = 0; v < p->n; v++)
    if (p->item[v].op->drops) p->item[v].count = 0;
  for (int64_t v = 0; v < p->n; v++) {
    const rh_node *node = &p->item[v].node;
    if (node->op != RH_OP_part || !p->item[v].live || !p->item[node->in[0].at].op->drops) continue;
    rh_item *of = &p->item[node->in[0].at];
    const int64_t end = rh_parts_before(of->node.attr, rh_part_which(node)) + p->item[v].count;
    if (end > of->count) of->count = end;
  }
}

static rh_status copy_outs(rh_plan *p, int n, const rh_val *outs, bool row, int32_t **list) {
  *list = rh_arena_alloc(&p->arena, ((size_t)n + 1) * sizeof **list);
  if (!*list) return RH_E_MEMORY;
  for (int i = 0; i < n; i++) {
    if (rh_is_none(outs[i]) || outs[i].at >= p->n) return rh_fail(RH_E_ARGUMENT, "plan: output %d does not exist", i);
    if ((p->item[outs[i].at].node.klass == RH_ROW) != row)
      return rh_fail(RH_E_ARGUMENT, "plan: output %d is %s", i, row ? "not one per row" : "one per row");
    if (p->item[outs[i].at].op->parts)
      return rh_fail(RH_E_ARGUMENT, "plan: output %d is %s, which has several parts: deliver one of them", i, p->item[outs[i].at].op->name);
    (*list)[i] = outs[i].at;
  }
  return RH_OK;
}

/* What may run as part of the product that it reads; a gate by an operand of its own. */
static rh_epilogue epilogue_of(const rh_item *it) {
  const bool unary = it->node.op == RH_OP_unary, binary = it->node.op == RH_OP_binary;
  const int function = unary || binary ? *(const int *)it->node.attr : -1; /* their attributes begin with it */
  if (unary && function == RH_U_RELU) return RH_EPI_RELU;
  if (binary && function == RH_B_GATE && it->in_row[0] && it->in_row[1]) return RH_EPI_GATE;
  return RH_EPI_NONE;
}

/* The item becomes the product; a gate is one operand more. */
static rh_status become(rh_plan *p, rh_item *it, const rh_item *product, rh_epilogue epilogue) {
  const rh_node shown = it->node;
  const int arity = product->node.arity, more = epilogue == RH_EPI_GATE;
  rh_val *in = rh_arena_alloc(&p->arena, ((size_t)arity + 1) * sizeof *in);
  const rh_node **in_node = rh_arena_alloc(&p->arena, ((size_t)arity + 1) * sizeof *in_node);
  bool *in_row = rh_arena_alloc(&p->arena, (size_t)arity + 1);
  if (!in || !in_node || !in_row) return RH_E_MEMORY;
  for (int i = 0; i < arity; i++) in[i] = product->node.in[i], in_node[i] = product->in_node[i], in_row[i] = product->in_row[i];
  in[arity] = more ? shown.in[1] : RH_NONE, in_node[arity] = more ? it->in_node[1] : NULL, in_row[arity] = more;
  it->node = product->node;
  it->node.scope = shown.scope;
  it->node.arity = arity + more;
  it->node.in = in, it->in_node = in_node, it->in_row = in_row;
  it->op = product->op;
  it->epilogue = epilogue;
  if (arity + more > p->max_arity) p->max_arity = arity + more;
  return RH_OK;
}

/* Peephole: a relu or a gate that alone reads a product becomes the product's epilogue. */
static rh_status fuse(rh_plan *p) {
  int32_t *readers = rh_alloc_zero((size_t)p->n + 1, sizeof *readers);
  if (!readers) return RH_E_MEMORY;
  for (int64_t v = 0; v < p->n; v++)
    for (int i = 0; i < p->item[v].node.arity && p->item[v].live; i++)
      if (!rh_is_none(p->item[v].node.in[i])) readers[p->item[v].node.in[i].at]++;
  for (int i = 0; i < p->n_row_out; i++) readers[p->row_out[i]]++;
  for (int i = 0; i < p->n_param_out; i++) readers[p->param_out[i]]++;
  rh_status status = RH_OK;
  for (int64_t v = 0; v < p->n && status == RH_OK; v++) {
    rh_item *it = &p->item[v];
    const rh_epilogue epilogue = it->live ? epilogue_of(it) : RH_EPI_NONE;
    if (epilogue == RH_EPI_NONE) continue;
    const int32_t at = it->node.in[0].at;
    rh_item *product = &p->item[at];
    if (!product->op->epilogue || product->epilogue != RH_EPI_NONE || product->node.klass != RH_ROW || readers[at] != 1) continue;
    if (product->count != it->count) continue;
    if (epilogue == RH_EPI_GATE && p->item[it->node.in[1].at].count != product->count) continue; /* one number for several */
    status = become(p, it, product, epilogue);
    product->fused = true;
    product->live = false;
  }
  rh_free(readers);
  return status;
}

static rh_status plan_constants(rh_plan *p) {
  for (int64_t v = 0; v < p->n; v++) {
    rh_item *it = &p->item[v];
    if (!it->live || it->node.op != RH_OP_constant) continue;
    it->place = RH_AT_CONST;
    it->offset = p->const_count;
    p->const_count += (it->count + 15) / 16 * 16;
  }
  p->constants = rh_alloc_zero((size_t)p->const_count + 16, (size_t)p->k->real_bytes);
  if (!p->constants) return RH_E_MEMORY;
  for (int64_t v = 0; v < p->n; v++) {
    const rh_item *it = &p->item[v];
    if (it->place != RH_AT_CONST) continue;
    for (int64_t i = 0; i < it->count; i++) {
      const double x = ((const double *)it->node.attr)[i];
      if (p->k->real_bytes == 4) {
        ((float *)p->constants)[it->offset + i] = (float)x;
      } else {
        ((double *)p->constants)[it->offset + i] = x;
      }
    }
  }
  return RH_OK;
}

/* Parameter-shaped values: leaves where the model has them, outputs where the caller wants them, the rest in the shared buffer. */
static rh_status place_params(rh_plan *p, const rh_graph *g) {
  p->copy_out = rh_arena_alloc(&p->arena, ((size_t)p->n_param_out + 1) * sizeof *p->copy_out);
  p->before = rh_arena_alloc(&p->arena, ((size_t)p->n + 1) * sizeof *p->before);
  p->after = rh_arena_alloc(&p->arena, ((size_t)p->n + 1) * sizeof *p->after);
  if (!p->copy_out || !p->before || !p->after) return RH_E_MEMORY;
  for (int i = 0; i < p->n_param_out; i++) {
    rh_item *it = &p->item[p->param_out[i]];
    rh_item *root = &p->item[it->root]; /* behind reshapes */
    const bool own = root->place == RH_AT_NONE && root->count == it->count && root->node.arity > 0 && root->node.klass != RH_ROW;
    p->copy_out[i] = own ? -1 : p->param_out[i];
    if (own) root->place = RH_AT_OUT, root->offset = i;
  }
  for (int64_t v = 0; v < p->n; v++) {
    rh_item *it = &p->item[v];
    if (!it->live || it->node.klass == RH_ROW) continue;
    if (it->node.op == RH_OP_leaf) {
      const rh_leaf *leaf = &g->leaves->leaf[*(const int *)it->node.attr];
      it->place = leaf->klass == RH_PARAM ? RH_AT_PARAM : RH_AT_STATE;
      it->offset = leaf->offset;
    }
    if (!it->op->run) continue;
    if (it->node.stage == RH_BEFORE) p->before[p->n_before++] = (int32_t)v;
    if (it->node.stage == RH_AFTER) p->after[p->n_after++] = (int32_t)v;
  }
  return rh_plan_shared(p);
}

static void count_work(rh_plan *p, const rh_graph *g) {
  for (int64_t v = 0; v < p->n; v++) {
    const rh_item *it = &p->item[v];
    if (!it->live || (it->node.stage != RH_EACH_ROW && it->node.stage != RH_REDUCE) || !it->op->run) continue;
    p->flops_row += (double)(it->op->flops ? it->op->flops(g, &it->node) : it->count);
  }
  for (int64_t i = 0; i < p->n_packed; i++) p->weight_bytes += (double)(p->packed[i].count * p->k->real_bytes);
}

/* Plans of the bodies that nodes run; they know the rows of a block. */
static rh_status plan_bodies(rh_plan *p, const rh_plan_options *options) {
  const rh_plan_options inner = {
      .real_bytes = options->real_bytes, .isa = p->k->isa, .strict = options->strict, .max_steps = options->max_steps};
  p->body = rh_arena_alloc(&p->arena, ((size_t)p->n + 1) * sizeof *p->body);
  if (!p->body) return RH_E_MEMORY;
  for (int64_t v = 0; v < p->n; v++) {
    rh_item *it = &p->item[v];
    if (!it->live || !it->op->bodies) continue;
    RH_TRY(it->op->bodies->make(&it->node, &inner, p->block_rows, &it->made));
    it->body = (int32_t)p->n_bodies;
    p->body[p->n_bodies++] = (int32_t)v;
    p->info.work_bytes_thread += it->op->bodies->bytes(it->made);
  }
  return RH_OK;
}

static rh_status create(rh_plan *p, const rh_graph *g, int n_row, const rh_val *row_outs, int n_param, const rh_val *param_outs,
                        const rh_plan_options *options) {
  RH_TRY(rh_kernels_get(options->isa, options->real_bytes, &p->k));
  RH_TRY(copy_nodes(p, g));
  p->n_row_out = n_row;
  p->n_param_out = n_param;
  RH_TRY(copy_outs(p, n_row, row_outs, true, &p->row_out));
  RH_TRY(copy_outs(p, n_param, param_outs, false, &p->param_out));
  mark_live(p);
  drop_parts(p);
  RH_TRY(fuse(p));
  RH_TRY(rh_plan_packs(p));
  RH_TRY(plan_constants(p));
  RH_TRY(place_params(p, g));
  count_work(p, g);
  RH_TRY(rh_plan_place(p, options));
  return plan_bodies(p, options);
}

rh_status rh_plan_create(const rh_graph *g, int n_row, const rh_val *row_outs, int n_param, const rh_val *param_outs,
                         const rh_plan_options *options, rh_plan **out) {
  if (g->status != RH_OK) return g->status;
  rh_plan *p = rh_alloc_zero(1, sizeof *p);
  if (!p) return RH_E_MEMORY;
  const rh_status status = create(p, g, n_row, row_outs, n_param, param_outs, options);
  if (status != RH_OK) {
    rh_plan_destroy(p);
    return status;
  }
  *out = p;
  return RH_OK;
}

void rh_plan_destroy(rh_plan *plan) {
  if (!plan) return;
  for (int64_t i = 0; i < plan->n_bodies; i++) plan->item[plan->body[i]].op->bodies->unmake(plan->item[plan->body[i]].made);
  rh_free(plan->constants);
  rh_arena_free(&plan->arena);
  rh_free(plan);
}
