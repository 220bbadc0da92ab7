/* What the sweeps' plans hold: groups of levels, the panels of weights that they take, packed, and the buffers of a run. Levels go in
 * groups: what was known before a group is multiplied for all of its units at once, in full panels; a level adds what its group has found
 * since. An output's terms are still added in ascending order. */
#include <string.h>

#include "graph/sweep.h"

/* ---- groups of levels, and the panels of weights that they take ---- */
enum { GROUP_UNITS = 64, GROUPS_AT_ONCE = 4 };

static int64_t known(const rh_program *p, int layer, int level) { /* inputs or units that are known behind `level` */
  return (layer < 0 ? p->context : 0) + rh_program_end(p, layer, level);
}

/* The level behind the last of the group that begins at `from`: enough units of the widest layer for full panels. */
static int group_end(const rh_program *p, int from) {
  for (int to = from + 1; to < p->levels; to++)
    for (int t = 0; t + 1 < p->layers || t == 0; t++)
      if (rh_program_end(p, t, to - 1) - rh_program_end(p, t, from - 1) >= GROUP_UNITS) return to;
  return p->levels;
}
static int group_begin(const rh_program *p, int to) { /* of the group that ends there */
  int from = 0;
  while (group_end(p, from) < to) from = group_end(p, from);
  return from;
}

/* A layer's panels in the order in which a run takes them: for each group the whole of it with what was known before, then each level. */
typedef struct walk {
  const rh_kernels *k;
  const rh_program *p;
  const rh_stairs *s;
  int layer;
  bool transposed;
  int64_t next;
  rh_sweep_panel group, level;
} walk;
static walk walk_begin(const rh_kernels *k, const rh_program *p, int layer, bool transpose) {
  return (walk){.k = k, .p = p, .s = rh_program_stairs(p, layer), .layer = layer, .transposed = transpose};
}
static void place(walk *w, rh_sweep_panel *q) {
  q->at = w->next;
  if (q->n) w->next += w->k->pack_count(q->k, q->n);
}
static void walk_group(walk *w, int from, int to) {
  const int source = w->p->layer[w->layer].from, of = w->transposed ? source : w->layer;
  rh_sweep_panel *q = &w->group;
  q->first = known(w->p, of, from - 1);
  q->n = known(w->p, of, to - 1) - q->first;
  q->skip = w->transposed ? rh_program_end(w->p, w->layer, to - 1) : 0;
  q->k = w->transposed ? w->s->out - q->skip : known(w->p, source, from - 1);
  place(w, q);
}
static void walk_level(walk *w, int level) {
  const int of = w->transposed ? w->p->layer[w->layer].from : w->layer;
  rh_sweep_panel *q = &w->level;
  q->first = known(w->p, of, level - 1);
  q->n = known(w->p, of, level) - q->first;
  q->skip = q->k = 0;
  if (q->n && w->transposed) {
    q->skip = rh_stairs_first(w->s, q->first);
    q->k = w->group.skip - q->skip;
  } else if (q->n) {
    q->skip = w->group.k;
    q->k = rh_stairs_reach(w->s, q->first + q->n - 1) - q->skip;
  }
  place(w, q);
}

/* ---- packing ---- */
static bool wants(const rh_node *node, int operand) {
  const rh_program *p = rh_sweep_program(node);
  const int first = rh_sweep_weight(node, 0);
  return operand >= first && (operand - first) % 2 == 0 && (operand - first) / 2 < p->layers;
}
static walk walk_of(const rh_kernels *k, const rh_node *node, int operand) {
  return walk_begin(k, rh_sweep_program(node), (operand - rh_sweep_weight(node, 0)) / 2, rh_sweep_transposed(node));
}
typedef void panel_fn(const walk *w, const rh_sweep_panel *q, void *arg);
/* Every panel of groups [first, last), in order. */
static void each_panel(walk *w, int64_t first, int64_t last, panel_fn *visit, void *arg) {
  const int levels = w->p->levels;
  int64_t group = 0;
  for (int from = 0, at = w->transposed ? levels : 0; w->transposed ? at > 0 : at < levels; group++) {
    const int to = w->transposed ? at : group_end(w->p, at);
    from = w->transposed ? group_begin(w->p, at) : at;
    if (group >= last) return;
    walk_group(w, from, to);
    if (group >= first && w->group.n) visit(w, &w->group, arg);
    for (int i = from; i < to; i++) {
      walk_level(w, w->transposed ? from + to - 1 - i : i);
      if (group >= first && w->level.n) visit(w, &w->level, arg);
    }
    at = w->transposed ? from : to;
  }
}
static int64_t groups(const rh_program *p) {
  int64_t n = 0;
  for (int from = 0; from < p->levels; n++) from = group_end(p, from);
  return n;
}
static void widest(const walk *w, const rh_sweep_panel *q, void *arg) {
  int64_t *most = arg;
  (void)w;
  if (q->n * q->k > *most) *most = q->n * q->k;
}
static void none(const walk *w, const rh_sweep_panel *q, void *arg) {
  (void)w, (void)q, (void)arg;
}
static int64_t count(const rh_kernels *k, const rh_node *node, const rh_shape *m, int operand) {
  walk w = walk_of(k, node, operand);
  (void)m;
  each_panel(&w, 0, INT64_MAX, none, NULL);
  return w.next;
}
static int64_t pieces(const rh_kernels *k, const rh_node *node, const rh_shape *m, int operand) {
  (void)k, (void)m, (void)operand;
  return (groups(rh_sweep_program(node)) + GROUPS_AT_ONCE - 1) / GROUPS_AT_ONCE;
}
static int64_t pack_scratch(const rh_kernels *k, const rh_node *node, const rh_shape *m, int operand) {
  walk w = walk_of(k, node, operand);
  int64_t most = 0;
  (void)m;
  each_panel(&w, 0, INT64_MAX, widest, &most);
  return most;
}
typedef struct packing {
  const void *from;
  char *packed;
  void *scratch;
} packing;
static void pack_panel(const walk *w, const rh_sweep_panel *q, void *arg) {
  const packing *a = arg;
  const bool t = w->transposed;
  rh_stairs_expand(w->s, w->k->real_bytes, a->from, t ? q->skip : q->first, t ? q->k : q->n, t ? q->first : q->skip, t ? q->n : q->k,
                   a->scratch);
  w->k->pack(q->k, q->n, a->scratch, t ? q->n : 1, t ? 1 : q->k, a->packed + q->at * w->k->real_bytes, 0,
             (q->n + w->k->panel - 1) / w->k->panel);
}
static void pack(const rh_kernels *k, const rh_node *node, const rh_shape *m, int operand, const void *from, void *packed, int64_t piece,
                 void *scratch) {
  walk w = walk_of(k, node, operand);
  packing a = {from, packed, scratch};
  (void)m;
  each_panel(&w, piece * GROUPS_AT_ONCE, (piece + 1) * GROUPS_AT_ONCE, pack_panel, &a);
}
const rh_packing rh_sweep_packing = {wants, count, pieces, pack_scratch, pack};

/* ---- room ---- */

static bool wants_pre(const rh_program *p, int layer) {
  for (int t = 0; t < p->layers; t++)
    if (p->layer[t].add == layer || (p->layer[t].from == layer && !p->layer[t].active)) return true;
  return false;
}
/* A relu and nothing else behind the product: it runs in the product's registers. */
static bool direct(const rh_node *node, int t) {
  const rh_program *p = rh_sweep_program(node);
  return !rh_sweep_is_solve(node) && t + 1 < p->layers && p->layer[t].add < 0 && !wants_pre(p, t) && p->activation == (int)RH_U_RELU;
}
/* Most units of a layer (-1: columns) in one level, or in one group. */
static int64_t most_units(const rh_program *p, int layer, bool group) {
  int64_t most = 1;
  for (int from = 0, to; from < p->levels; from = to) {
    to = group ? group_end(p, from) : from + 1;
    const int64_t n = rh_program_end(p, layer, to - 1) - rh_program_end(p, layer, from - 1);
    if (n > most) most = n;
  }
  return most;
}
static int64_t take_room(rh_sweep_room *r, int64_t n) {
  r->total += n;
  return r->total - n;
}
static rh_sweep_room room_of(const rh_node *node) {
  const rh_program *p = rh_sweep_program(node);
  const bool transpose = rh_sweep_transposed(node);
  int64_t most = 1;
  rh_sweep_room r = {.in = 0, .total = p->context + p->columns};
  for (int t = 0; t < p->layers; t++) {
    const bool last = t + 1 == p->layers;
    const int64_t units = most_units(p, t, false);
    if (units > most) most = units;
    r.pre[t] = transpose || (!last && wants_pre(p, t)) ? take_room(&r, p->layer[t].units) : -1;
    r.act[t] = !transpose && !last && rh_program_active(p, t) ? take_room(&r, p->layer[t].units) : -1;
    r.sum[t] = direct(node, t) ? -1 : take_room(&r, most_units(p, transpose ? p->layer[t].from : t, true));
  }
  if (p->width > most) most = p->width;
  r.fresh = take_room(&r, most);
  r.other = take_room(&r, most);
  r.value = take_room(&r, p->width);
  r.solved = take_room(&r, p->width);
  return r;
}
int64_t rh_sweep_scratch(const rh_graph *g, const rh_node *node) {
  (void)g;
  return room_of(node).total;
}
int64_t rh_sweep_flops(const rh_graph *g, const rh_node *node) {
  (void)g;
  const rh_program *p = rh_sweep_program(node);
  int64_t sum = 0;
  for (int t = 0; t < p->layers; t++) sum += 2 * rh_program_stairs(p, t)->count;
  return sum;
}

/* ---- what a plan makes ---- */
static void unmake(void *raw) {
  rh_sweep_made *made = raw;
  if (!made) return;
  rh_plan_destroy(made->element);
  rh_free(made->group);
  rh_free(made->panel);
  rh_free(made);
}

/* Every group's and level's panel of every layer, in the order in which they are packed. */
static rh_status list_panels(const rh_kernels *k, const rh_node *node, rh_sweep_made *made) {
  const rh_program *p = rh_sweep_program(node);
  const bool transposed = rh_sweep_transposed(node);
  made->groups = groups(p);
  made->group = rh_alloc((size_t)(made->groups + 1) * sizeof *made->group);
  made->panel = rh_alloc((size_t)(p->layers * (made->groups + p->levels) + 1) * sizeof *made->panel);
  if (!made->group || !made->panel) return RH_E_MEMORY;
  made->group[0] = 0;
  for (int64_t i = 0; i < made->groups; i++) made->group[i + 1] = group_end(p, made->group[i]);
  for (int t = 0; t < p->layers; t++) {
    walk w = walk_begin(k, p, t, transposed);
    for (int64_t i = 0; i < made->groups; i++) {
      const int64_t g = transposed ? made->groups - 1 - i : i;
      const int from = made->group[g], to = made->group[g + 1];
      walk_group(&w, from, to);
      rh_sweep_panels(made, p, t)[g] = w.group;
      for (int l = from; l < to; l++) {
        const int level = transposed ? from + to - 1 - l : l;
        walk_level(&w, level);
        rh_sweep_panels(made, p, t)[made->groups + level] = w.level;
      }
    }
  }
  return RH_OK;
}
static rh_status make(const rh_node *node, const rh_plan_options *options, int64_t rows, void **out) {
  const rh_program *p = rh_sweep_program(node);
  const rh_kernels *k;
  RH_TRY(rh_kernels_get(options->isa, options->real_bytes, &k));
  rh_sweep_made *made = rh_alloc_zero(1, sizeof *made);
  if (!made) return RH_E_MEMORY;
  made->room = room_of(node);
  for (int t = 0; t < p->layers; t++) made->direct[t] = direct(node, t);
  rh_status status = list_panels(k, node, made);
  if (status == RH_OK && !rh_sweep_is_solve(node)) {
    rh_plan_options mine = *options;
    mine.max_rows = rows * p->width;
    status = rh_body_plan(((const rh_sweep_head *)node->attr)->body, &mine, &made->element);
  }
  if (status == RH_OK)
    *out = made;
  else
    unmake(made);
  return status;
}
static int64_t bytes(const void *made) {
  const rh_plan *element = ((const rh_sweep_made *)made)->element;
  return element ? rh_runner_bytes(element) : 0;
}
static rh_status open_work(const void *made, void **work) {
  const rh_plan *element = ((const rh_sweep_made *)made)->element;
  *work = NULL;
  if (!element) return RH_OK;
  rh_runner *w = rh_alloc_zero(1, sizeof *w);
  if (!w) return RH_E_MEMORY;
  *work = w;
  return rh_runner_open(element, w);
}
static void close_work(void *work) {
  rh_runner_close(work);
  rh_free(work);
}
static void report(void *work, rh_ode_report *sum) {
  if (work) rh_runner_report(work, sum);
}
const rh_op_bodies rh_sweep_bodies = {make, unmake, bytes, open_work, close_work, report, NULL};
