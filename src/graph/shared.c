/* Places of the parameter-shaped values between leaves and outputs. One that is read for the last time leaves its place to the next of the
 * same size: layers are alike. What is made before the rows and read by them, or after them, keeps its place: a run that finds it ready
 * makes it no more. */
#include "graph/plan_parts.h"

typedef struct spare {
  int64_t offset, count;
} spare;

typedef struct shares {
  rh_plan *p;
  int64_t *last; /* by root: when it is read last; -1: it has left its place */
  spare *spare;
  int64_t n, room;
} shares;

/* Nodes before the rows, then everything with rows at once, then nodes after them. */
static int64_t time_of(const rh_plan *p, int64_t v) {
  const rh_stage stage = p->item[v].node.stage;
  return stage == RH_BEFORE ? v : stage == RH_AFTER ? p->n + 1 + v : p->n;
}

static void read_times(shares *s) {
  const rh_plan *p = s->p;
  for (int64_t v = 0; v < p->n; v++)
    for (int i = 0; i < p->item[v].node.arity && p->item[v].live; i++) {
      if (rh_is_none(p->item[v].node.in[i])) continue;
      int64_t *last = &s->last[p->item[p->item[v].node.in[i].at].root];
      if (time_of(p, v) > *last) *last = time_of(p, v);
    }
  for (int i = 0; i < p->n_param_out; i++) s->last[p->item[p->param_out[i]].root] = INT64_MAX;
}

static void take(shares *s, rh_item *it) {
  const int64_t count = (it->count + 15) / 16 * 16;
  it->place = RH_AT_SHARED;
  for (int64_t i = s->n - 1; i >= 0; i--)
    if (s->spare[i].count == count) {
      it->offset = s->spare[i].offset;
      s->spare[i] = s->spare[--s->n];
      return;
    }
  it->offset = s->p->shared_count;
  s->p->shared_count += count;
}

static rh_status leave(shares *s, int64_t v) {
  const rh_plan *p = s->p;
  for (int i = 0; i < p->item[v].node.arity; i++) {
    if (rh_is_none(p->item[v].node.in[i])) continue;
    const int32_t root = p->item[p->item[v].node.in[i].at].root;
    const rh_item *it = &p->item[root];
    if (it->place != RH_AT_SHARED || s->last[root] != time_of(p, v) || (it->node.stage == RH_BEFORE && s->last[root] >= p->n)) continue;
    s->last[root] = -1;
    RH_TRY(rh_grow((void **)&s->spare, &s->room, s->n + 1, sizeof *s->spare));
    s->spare[s->n++] = (spare){it->offset, (it->count + 15) / 16 * 16};
  }
  return RH_OK;
}

rh_status rh_plan_shared(rh_plan *p) {
  static const rh_stage order[] = {RH_BEFORE, RH_REDUCE, RH_AFTER};
  shares s = {.p = p, .last = rh_alloc_zero((size_t)p->n + 1, sizeof *s.last)};
  rh_status status = s.last ? RH_OK : RH_E_MEMORY;
  if (status == RH_OK) read_times(&s);
  for (size_t pass = 0; pass < RH_COUNT_OF(order); pass++)
    for (int64_t v = 0; v < p->n && status == RH_OK; v++) {
      rh_item *it = &p->item[v];
      if (!it->live || it->node.klass == RH_ROW || it->node.stage != order[pass]) continue;
      if (it->place == RH_AT_NONE && it->root == v) take(&s, it);
      if (it->node.stage != RH_REDUCE) status = leave(&s, v);
    }
  rh_free(s.last);
  rh_free(s.spare);
  return status;
}
