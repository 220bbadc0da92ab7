/* Packed forms: each parameter operand that an operation reads in a form of its own gets that form once a plan, made once a run; or, where
 * memory counts and forms are many, once for each segment that reads it, made when the segment comes, in memory that all segments share. */
#include <string.h>

#include "graph/plan_parts.h"

typedef struct list {
  rh_packed *form;
  int64_t n, room;
} list;

/* Rows read it; the others are packed when their reader runs. */
static bool row_form(const rh_plan *p, const rh_packed *form) {
  return p->item[form->reader].node.klass == RH_ROW;
}

static bool same(const rh_plan *p, const rh_packed *form, const rh_item *it, int operand) {
  const rh_item *other = &p->item[form->reader];
  const rh_item *matrix = &p->item[it->node.in[operand].at], *known = &p->item[form->matrix];
  if (p->packs_in_turn && form->segment != it->segment) return false;
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
                   .segment = it->segment,
                   .operand = operand,
                   .offset = p->packed_count,
                   .count = how->count(p->k, &it->node, matrix, operand),
                   .pieces = how->pieces(p->k, &it->node, matrix, operand)};
  p->packed_count += (q->count + 15) / 16 * 16;
  const int64_t scratch = how->scratch ? how->scratch(p->k, &it->node, matrix, operand) : 0;
  if (scratch > p->pack_scratch) p->pack_scratch = scratch;
  if (row_form(p, q)) p->pack_tasks += q->pieces;
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
  p->first_packs = p->pack_tasks;
  int64_t task = 0;
  for (int64_t i = 0; i < l->n; i++)
    for (int64_t piece = 0; row_form(p, &l->form[i]) && piece < l->form[i].pieces; piece++)
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

/* Each segment's forms from the beginning of the same memory on; those of other stages, which are packed when they run, too. */
static void place_in_turn(rh_plan *p) {
  int64_t used = 0, most = 0, task = 0;
  for (int64_t i = 0; i < p->n_packed; i++)
    if (!row_form(p, &p->packed[i])) {
      p->packed[i].offset = 0;
      if (p->packed[i].count > most) most = p->packed[i].count;
    }
  for (int64_t s = 0; s < p->segments; s++, used = 0) {
    p->segment[s].first_pack = task;
    for (int64_t i = 0; i < p->n_packed; i++) {
      rh_packed *q = &p->packed[i];
      if (!row_form(p, q) || q->segment != s) continue;
      q->offset = used;
      used += (q->count + 15) / 16 * 16;
      for (int64_t piece = 0; piece < q->pieces; piece++) p->pack_task[task++] = (rh_task){(int32_t)i, (int32_t)piece};
    }
    p->segment[s].last_pack = task;
    if (used > most) most = used;
  }
  p->packed_count = most;
  p->first_packs = p->segment[0].last_pack;
}

rh_status rh_plan_packs_in_turn(rh_plan *p) {
  p->packed_count = p->pack_tasks = 0;
  RH_TRY(rh_plan_packs(p));
  place_in_turn(p);
  return RH_OK;
}
