#include "graph/program.h"

#include <string.h>

#include "graph/body.h"

bool rh_program_active(const rh_program *p, int layer) {
  for (int t = 0; t < p->layers; t++)
    if (p->layer[t].from == layer && p->layer[t].active) return true;
  return false;
}

/* reach[units] of a layer: what its source knows when a unit of a level is computed. */
static rh_status stairs_for(const rh_program_plan *plan, int layer, rh_stairs **stairs) {
  const rh_masked_layer *t = &plan->layer[layer];
  const bool last = layer == plan->layers - 1, input = t->from < 0;
  const int64_t units = last ? plan->columns * plan->params : t->units;
  int64_t *reach = rh_alloc((size_t)units * sizeof *reach);
  if (!reach) return RH_E_MEMORY;
  int64_t at = 0;
  for (int l = 0; l < plan->levels; l++) {
    const int64_t end = last ? plan->column_end[l] * plan->params : plan->unit_end[layer][l];
    const int64_t known = input ? plan->context + (l ? plan->column_end[l - 1] : 0) : plan->unit_end[t->from][l];
    for (; at < end && at < units; at++) reach[at] = known;
  }
  const int64_t in = input ? plan->context + plan->columns : plan->layer[t->from].units;
  const rh_status status = rh_stairs_create(in, units, reach, stairs);
  rh_free(reach);
  return status;
}

static rh_status assemble(const rh_program_plan *plan, rh_stairs *const *stairs, rh_program **out) {
  const size_t ends = (size_t)plan->levels * sizeof(int64_t);
  size_t bytes = sizeof(rh_program) + (size_t)plan->layers * (sizeof(rh_masked_layer) + ends) + ends;
  for (int t = 0; t < plan->layers; t++) bytes += rh_stairs_bytes(stairs[t]);
  rh_program *p = rh_alloc_zero(1, bytes);
  if (!p) return RH_E_MEMORY;
  *p = (rh_program){.bytes = (int64_t)bytes,
                    .context = plan->context,
                    .columns = plan->columns,
                    .params = plan->params,
                    .layers = plan->layers,
                    .levels = plan->levels,
                    .activation = (int32_t)plan->activation};
  char *base = (char *)p, *at = base + sizeof *p + (size_t)plan->layers * sizeof(rh_masked_layer);
  p->end = at - base;
  memcpy(at, plan->column_end, ends);
  at += ends;
  for (int l = 0; l < plan->levels; l++) {
    const int64_t n = plan->column_end[l] - (l ? plan->column_end[l - 1] : 0);
    if (n > p->width) p->width = (int32_t)n;
  }
  for (int t = 0; t < plan->layers; t++) {
    rh_masked_layer *layer = &p->layer[t];
    *layer = plan->layer[t];
    layer->units = (int32_t)stairs[t]->out;
    layer->end = at - base;
    for (int l = 0; l < plan->levels; l++)
      ((int64_t *)(void *)at)[l] = t == plan->layers - 1 ? plan->column_end[l] * plan->params : plan->unit_end[t][l];
    at += ends;
    layer->stairs = at - base;
    memcpy(at, stairs[t], rh_stairs_bytes(stairs[t]));
    at += rh_stairs_bytes(stairs[t]);
  }
  *out = p;
  return RH_OK;
}

rh_status rh_program_create(const rh_program_plan *plan, rh_program **program) {
  rh_stairs *stairs[RH_PROGRAM_LAYERS] = {0};
  rh_status status = RH_OK;
  for (int t = 0; t < plan->layers && status == RH_OK; t++) status = stairs_for(plan, t, &stairs[t]);
  if (status == RH_OK) status = assemble(plan, stairs, program);
  for (int t = 0; t < plan->layers; t++) rh_free(stairs[t]);
  return status;
}

static rh_val with_context(rh_graph *g, const rh_program *p, rh_val x, rh_val context, bool tangent) {
  if (!p->context) return x;
  const rh_val parts[2] = {tangent ? rh_const(g, rh_shape1(p->context), 0) : context, x};
  return rh_concat(g, 2, parts);
}

rh_val rh_program_apply(rh_graph *g, const rh_program *p, rh_val x, rh_val context, const rh_val *weight, const rh_val *bias,
                        const rh_val *gate, rh_val *pre, rh_val *act) {
  rh_val before[RH_PROGRAM_LAYERS], behind[RH_PROGRAM_LAYERS], v = RH_NONE;
  if (g->status != RH_OK) return RH_NONE;
  const rh_val in = with_context(g, p, x, context, gate);
  for (int t = 0; t < p->layers && g->status == RH_OK; t++) {
    const rh_masked_layer *layer = &p->layer[t];
    const rh_val from = layer->from < 0 ? in : layer->active ? behind[layer->from] : before[layer->from];
    v = rh_masked(g, from, weight[t], gate ? RH_NONE : bias[t], rh_program_stairs(p, t));
    if (layer->add >= 0) v = rh_add(g, before[layer->add], v);
    before[t] = behind[t] = v;
    if (t + 1 < p->layers && rh_program_active(p, t))
      behind[t] = gate ? rh_mul(g, v, gate[t]) : p->activation == (int)RH_U_COPY ? v : rh_unary_val(g, (rh_unary)p->activation, v, 0);
    if (pre) pre[t] = t + 1 < p->layers ? before[t] : RH_NONE;
    if (act) act[t] = t + 1 < p->layers && rh_program_active(p, t) ? behind[t] : RH_NONE;
  }
  return v;
}
