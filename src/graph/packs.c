/* Packed forms: each parameter operand that an operation reads in a form of its own gets that form once a plan, made once a run. */
#include <string.h>

#include "graph/plan_parts.h"

typedef struct list {
  rh_packed *form;
  int64_t n, room;
} list;

static bool same(const rh_plan *p, const rh_packed *form, const rh_item *it, int operand) {
  const rh_item *other = &p->item[form->reader];
  const rh_item *matrix = &p->item[it->node.in[operand].at], *known = &p->item[form->matrix];
  if (known->root != matrix->root || known->first != matrix->first || form->operand != operand) return false;
  if (other->node.op != it->node.op || other->node.klass != RH_ROW || it->node.klass != RH_ROW) return false;
  return other->node.attr_bytes == it->node.attr_bytes && memcmp(other->node.attr, it->node.attr, it->node.attr_bytes) == 0;
}

static rh_status add(rh_plan *p, list *l, int32_t v, int operand) {
  const rh_item *it = &p->item[v];
  const rh_packing *how = it->op->packing;
  const rh_shape *matrix = &it->in_node[operand]->shape;
  RH_TRY(rh_grow((void **)&l->form, &l->room, l->n + 1, sizeof *l->form));
  rh_packed *q = &l->form[l->n++];
  *q = (rh_packed){.matrix = it->node.in[operand].at,
                   .reader = v,
                   .operand = operand,
                   .offset = p->packed_count,
                   .count = how->count(p->k, &it->node, matrix, operand),
                   .pieces = how->pieces(p->k, &it->node, matrix, operand)};
  p->packed_count += (q->count + 15) / 16 * 16;
  const int64_t scratch = how->scratch ? how->scratch(p->k, &it->node, matrix, operand) : 0;
  if (scratch > p->pack_scratch) p->pack_scratch = scratch;
  if (it->node.klass == RH_ROW) p->pack_tasks += q->pieces; /* others are packed when they run */
  return RH_OK;
}

/* latest: by matrix, the last form made of it (chained by `before`), so that a look-up does not walk all forms. */
static rh_status number(rh_plan *p, list *l, int32_t v, int32_t *latest, int32_t **before, int64_t *before_room) {
  rh_item *it = &p->item[v];
  int32_t *of = rh_arena_alloc(&p->arena, ((size_t)it->node.arity + 1) * sizeof *of);
  if (!of) return RH_E_MEMORY;
  for (int i = 0; i < it->node.arity; i++) {
    of[i] = -1;
    if (rh_is_none(it->node.in[i]) || !it->op->packing->wants(&it->node, i)) continue;
    const int32_t matrix = p->item[it->node.in[i].at].root;
    int32_t at = latest[matrix];
    while (at >= 0 && !same(p, &l->form[at], it, i)) at = (*before)[at];
    if (at < 0) {
      RH_TRY(add(p, l, v, i));
      RH_TRY(rh_grow((void **)before, before_room, l->n, sizeof **before));
      at = (int32_t)l->n - 1;
      (*before)[at] = latest[matrix];
      latest[matrix] = at;
    }
    of[i] = at;
  }
  it->packed = of;
  return RH_OK;
}

static rh_status keep(rh_plan *p, const list *l) {
  p->packed = rh_arena_alloc(&p->arena, ((size_t)l->n + 1) * sizeof *p->packed);
  p->pack_task = rh_arena_alloc(&p->arena, ((size_t)p->pack_tasks + 1) * sizeof *p->pack_task);
  if (!p->packed || !p->pack_task) return RH_E_MEMORY;
  if (l->n) memcpy(p->packed, l->form, (size_t)l->n * sizeof *p->packed);
  p->n_packed = l->n;
  int64_t task = 0;
  for (int64_t i = 0; i < l->n; i++)
    for (int64_t piece = 0; p->item[l->form[i].reader].node.klass == RH_ROW && piece < l->form[i].pieces; piece++)
      p->pack_task[task++] = (rh_task){(int32_t)i, (int32_t)piece};
  return RH_OK;
}

rh_status rh_plan_packs(rh_plan *p) {
  list l = {0};
  int32_t *latest = rh_alloc(((size_t)p->n + 1) * sizeof *latest), *before = NULL;
  int64_t before_room = 0;
  rh_status status = latest ? RH_OK : RH_E_MEMORY;
  for (int64_t v = 0; v < p->n && latest; v++) latest[v] = -1;
  for (int64_t v = 0; v < p->n && status == RH_OK; v++)
    if (p->item[v].live && p->item[v].op->packing) status = number(p, &l, (int32_t)v, latest, &before, &before_room);
  if (status == RH_OK) status = keep(p, &l);
  rh_free(l.form);
  rh_free(latest);
  rh_free(before);
  return status;
}
