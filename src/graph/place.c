/* Memory of a plan: the row nodes are cut into segments (after a segment come the sums over rows that it fed), every row value gets a
 * place for the time it lives, and the rows of a block and of a superblock follow from what that costs. */
#include <string.h>

#include "graph/plan_parts.h"

/* First-fit places for intervals that arrive in order of birth. */
typedef struct span {
  int64_t offset, count, death;
} span;
typedef struct pool {
  span *span; /* sorted by offset */
  int64_t n, top;
} pool;

static void expire(pool *q, int64_t now) { /* frees what died before `now` */
  int64_t kept = 0;
  for (int64_t i = 0; i < q->n; i++)
    if (q->span[i].death >= now) q->span[kept++] = q->span[i];
  q->n = kept;
}

static int64_t fit(pool *q, int64_t count, int64_t death) {
  int64_t at = 0, i = 0;
  while (i < q->n && q->span[i].offset - at < count) {
    at = q->span[i].offset + q->span[i].count;
    i++;
  }
  memmove(q->span + i + 1, q->span + i, (size_t)(q->n - i) * sizeof *q->span);
  q->span[i] = (span){at, count, death};
  q->n++;
  if (at + count > q->top) q->top = at + count;
  return at;
}

static span *owner_at(pool *q, int64_t offset) {
  for (int64_t i = 0; i < q->n; i++)
    if (q->span[i].offset == offset) return &q->span[i];
  return NULL;
}

/* ---- segments ---- */

/* Elements of the packed forms that an item is the first to read in its segment. */
static int64_t forms_begun(rh_plan *p, const rh_item *it, int64_t segment) {
  int64_t sum = 0;
  for (int i = 0; it->packed && i < it->node.arity; i++) {
    rh_packed *form = it->packed[i] < 0 ? NULL : &p->packed[it->packed[i]];
    if (!form || form->segment == segment) continue;
    form->segment = (int32_t)segment;
    sum += form->count;
  }
  return sum;
}

/* Cut after a sum over rows once `limit` elements a row wait for their sums; limit 0 never cuts. Where packed forms take turns, a segment
 * of many of them ends with its region, too. Fills segment of row and reduce items. */
static int64_t cut(rh_plan *p, int64_t limit, bool *counted) {
  int64_t segment = 0, waiting = 0, forms = 0;
  int32_t scope = 0;
  memset(counted, 0, (size_t)p->n);
  for (int64_t i = 0; i < p->n_packed; i++) p->packed[i].segment = -1;
  bool due = false;
  for (int64_t v = 0; v < p->n; v++) {
    rh_item *it = &p->item[v];
    if (!it->live) continue;
    if (it->node.stage == RH_EACH_ROW) {
      if (it->op->run && (due || (p->turn_count && forms >= p->turn_count && it->node.scope != scope))) {
        segment++;
        waiting = forms = 0;
        due = false;
      }
      if (it->op->run) scope = it->node.scope;
      it->segment = (int32_t)segment;
      forms += forms_begun(p, it, segment);
    } else if (it->node.stage == RH_REDUCE) {
      it->segment = (int32_t)segment;
      for (int i = 0; i < it->node.arity; i++) {
        const int32_t root = p->item[it->node.in[i].at].root;
        if (it->in_row[i] && !counted[root]) waiting += p->item[root].count;
        counted[root] = true;
      }
      due = limit && waiting >= limit;
    }
  }
  return segment + 1;
}

static void read_by(rh_plan *p, int64_t reader, int32_t value, int32_t segment, bool reduce) {
  rh_item *root = &p->item[p->item[value].root];
  if (segment > root->last_segment) root->last_segment = segment;
  if ((int32_t)reader > root->last_read) root->last_read = (int32_t)reader;
  root->reduced |= reduce;
}

static void lifetimes(rh_plan *p) {
  for (int64_t v = 0; v < p->n; v++) {
    rh_item *it = &p->item[v];
    it->last_segment = it->segment;
    it->last_read = (int32_t)v;
    it->reduced = false;
  }
  for (int64_t v = 0; v < p->n; v++) {
    const rh_item *it = &p->item[v];
    if (!it->live || (it->node.stage != RH_EACH_ROW && it->node.stage != RH_REDUCE)) continue;
    for (int i = 0; i < it->node.arity; i++)
      if (!rh_is_none(it->node.in[i]) && it->in_row[i]) read_by(p, v, it->node.in[i].at, it->segment, it->node.stage == RH_REDUCE);
  }
  /* inputs are loaded where they are first read */
  for (int64_t v = p->n - 1; v >= 0; v--) {
    const rh_item *it = &p->item[v];
    if (!it->live || it->node.stage != RH_EACH_ROW) continue;
    for (int i = 0; i < it->node.arity; i++) {
      if (rh_is_none(it->node.in[i])) continue;
      rh_item *in = &p->item[p->item[it->node.in[i].at].root];
      if (in->node.op == RH_OP_input) in->segment = it->segment;
    }
  }
}

static bool own_row(const rh_plan *p, int64_t v) { /* a row value with a place of its own */
  return p->item[v].live && p->item[v].node.klass == RH_ROW && p->item[v].root == v;
}

static bool is_wide(const rh_item *it) {
  return it->reduced || it->last_segment > it->segment;
}

/* Places for wide values on a clock of 2 ticks a segment: rows, then sums. */
static void place_wide(rh_plan *p, pool *q, int64_t segments) {
  q->n = q->top = 0;
  for (int64_t s = 0; s < segments; s++) {
    expire(q, 2 * s);
    for (int64_t v = 0; v < p->n; v++) {
      rh_item *it = &p->item[v];
      if (!own_row(p, v) || it->segment != s || !is_wide(it)) continue;
      it->place = RH_AT_WIDE;
      it->offset = fit(q, it->count, 2 * (int64_t)it->last_segment + it->reduced);
    }
  }
  p->wide_count = q->top;
}

/* An elementwise node may write over an operand that dies with it. */
static bool reuse(rh_plan *p, pool *q, int64_t v) {
  rh_item *it = &p->item[v];
  for (int i = 0; i < it->node.arity; i++) {
    if (!(it->op->inplace >> i & 1) || !it->in_row[i]) continue;
    const int32_t root = p->item[it->node.in[i].at].root;
    const rh_item *in = &p->item[root];
    const int64_t count = p->item[it->node.in[i].at].count; /* of a part: less than its root's */
    if (in->place != RH_AT_LOCAL || in->count != it->count || count != it->count || in->last_read != v) continue;
    span *s = owner_at(q, in->offset);
    if (!s) continue;
    s->death = it->last_read;
    it->place = RH_AT_LOCAL;
    it->offset = in->offset;
    return true;
  }
  return false;
}

static void place_local(rh_plan *p, pool *q, const rh_graph *g) {
  q->n = q->top = 0;
  int64_t segment = 0;
  for (int64_t v = 0; v < p->n; v++) {
    rh_item *it = &p->item[v];
    if (!it->live || it->node.klass != RH_ROW) continue;
    if (it->segment != segment && it->node.op != RH_OP_input) {
      segment = it->segment;
      q->n = 0;
    }
    expire(q, v);
    if (it->op->scratch) {
      const int64_t need = it->op->scratch(g, &it->node);
      it->scratch = need ? fit(q, need, v) : -1;
    }
    if (it->root != v || is_wide(it) || it->node.op == RH_OP_input) continue;
    if (!reuse(p, q, v)) {
      it->place = RH_AT_LOCAL;
      it->offset = fit(q, it->count, it->last_read);
    }
  }
  for (int64_t v = 0; v < p->n; v++) { /* inputs that stay in a block: places of their own, above the rest */
    rh_item *it = &p->item[v];
    if (!own_row(p, v) || it->node.op != RH_OP_input || is_wide(it)) continue;
    it->place = RH_AT_LOCAL;
    it->offset = q->top;
    q->top += it->count;
  }
  p->local_count = q->top;
}

/* Row outputs live to the end of their last segment, whoever reads them. */
static void hold_outputs(rh_plan *p) {
  for (int i = 0; i < p->n_row_out; i++) p->item[p->item[p->row_out[i]].root].last_read = (int32_t)p->n;
}

/* ---- sizes ---- */
enum { MIN_SUPER = 128, MAX_SUPER = 512, MIN_BLOCK = 16, MAX_BLOCK = 256, FEW_SUPER = 4, OFTEN = 4 };

static int64_t clamp(int64_t x, int64_t low, int64_t high) {
  return x < low ? low : x > high ? high : x;
}

static int64_t ceil_div(int64_t x, int64_t by) {
  return (x + by - 1) / by;
}

static int64_t round_up(int64_t x, int64_t to) {
  return ceil_div(x, to) * to;
}

/* How many rows of a matrix one row is: how often it uses a weight. The pixels of an image, where a row of a table has 1 or so; as many
 * fewer of them are enough. */
static int64_t rows_in_row(const rh_plan *p) {
  const double weights = p->weight_bytes / (double)p->k->real_bytes;
  const int64_t uses = weights > 0 ? (int64_t)(p->flops_row / (2 * weights)) : 1;
  return uses < OFTEN ? 1 : uses;
}
static bool has_bodies(const rh_plan *p) {
  bool found = false;
  for (int64_t v = 0; v < p->n && !found; v++) found = p->item[v].live && p->item[v].op->bodies;
  return found;
}

/* Without bodies the borders of superblocks cannot show in a bit, so there may be rows for every thread. */
static int64_t least_super(const rh_plan *p, const rh_plan_options *o) {
  const int64_t least = clamp(MIN_SUPER / rows_in_row(p), FEW_SUPER, MIN_SUPER), share = has_bodies(p) ? 0 : 4 * o->threads;
  return rows_in_row(p) > 1 && share > least ? clamp(share, least, MIN_SUPER) : least;
}
static int64_t least_block(const rh_plan *p) {
  return clamp(MIN_BLOCK / rows_in_row(p), 1, MIN_BLOCK);
}

static int64_t reduce_bytes(const rh_plan *p) {
  int64_t bytes = 0;
  for (int64_t v = 0; v < p->n; v++)
    if (p->item[v].live && p->item[v].node.stage == RH_REDUCE) bytes += p->item[v].count * p->k->real_bytes;
  return bytes;
}

/* Seconds a row spends outside arithmetic with this cutting, roughly: barriers, gradients read and written a superblock, wide values moved.
 */
static double overhead(const rh_plan *p, int64_t segments, int64_t wide, int64_t super, int64_t reduced) {
  const double barrier = 3e-6, bandwidth = 1.5e10;
  return ((double)segments * 2 * barrier + 2.0 * (double)reduced / bandwidth) / (double)super +
         2.0 * (double)(wide * p->k->real_bytes) / bandwidth;
}

static int64_t super_rows(const rh_plan *p, int64_t wide, const rh_plan_options *o) {
  if (!wide) return 0;
  const bool images = rows_in_row(p) > 1 && reduce_bytes(p); /* wide rows: larger, or gradients would pass too often */
  const int64_t megabytes = o->lean ? (images ? 12 : 4) : images ? 64 : 24, budget = o->wide_bytes ? o->wide_bytes : megabytes << 20;
  int64_t rows = clamp(budget / (wide * p->k->real_bytes), least_super(p, o), MAX_SUPER);
  if (o->max_rows && rows > o->max_rows) rows = o->max_rows;
  return rows;
}

static void choose_cut(rh_plan *p, const rh_plan_options *o, pool *q, bool *counted) {
  static const int64_t limits[] = {0, 65536, 16384, 8192, 4096, 2048, 1024, 512};
  const int64_t reduced = reduce_bytes(p);
  double best = 0;
  bool best_fits = false;
  int64_t chosen = 0;
  for (size_t i = 0; i < RH_COUNT_OF(limits); i++) {
    const int64_t segments = cut(p, limits[i], counted);
    lifetimes(p);
    place_wide(p, q, segments);
    const int64_t rows = super_rows(p, p->wide_count, o);
    const double cost = rows ? overhead(p, segments, p->wide_count, rows, reduced) : 0;
    const bool fits = !rows || rows > least_super(p, o) || (o->max_rows && rows == o->max_rows);
    const double price = o->lean ? (double)p->wide_count : cost;
    if (i == 0 || (fits == best_fits ? price < best : fits)) /* over the memory wanted: only if nothing fits */
      best = price, best_fits = fits, chosen = limits[i];
    if (!reduced) break;
  }
  p->segments = cut(p, chosen, counted);
  lifetimes(p);
  place_wide(p, q, p->segments);
}

/* Rows of a block: few enough for the cache, and as many blocks as the threads share evenly: some each, for they never start together, and
 * fewer where every block reads large weights anew. Superblocks cut the rows evenly too; where nodes have bodies they do not know the
 * threads, for sums over rows inside bodies are cut by them (op_scan_sum.c). */
static void choose_rows(rh_plan *p, const rh_plan_options *o) {
  const int64_t threads = o->threads > 0 ? o->threads : 1, least = threads == 1 || p->weight_bytes > (1 << 20) ? 4 : 8;
  const int64_t share = threads * ceil_div(least, threads);
  /* weights that no near cache holds are read again by every block: larger ones, though activations spill, then cost less */
  const int64_t cache = (int64_t)(p->weight_bytes > (1 << 20) ? 1536 : 384) << 10, row_bytes = (p->local_count + 1) * p->k->real_bytes;
  const int64_t least_rows = least_block(p);
  int64_t super = super_rows(p, p->wide_count, o);
  if (super && o->max_rows) super = ceil_div(o->max_rows, ceil_div(o->max_rows, super));
  super = round_up(super, least_rows);
  const int64_t most = super ? super : o->max_rows;
  int64_t rows = clamp(round_up(cache / row_bytes, least_rows), 2 * least_rows, MAX_BLOCK);
  if (o->block_rows) {
    rows = clamp(round_up(o->block_rows, least_rows), least_rows, 65536);
  } else if (most) {
    const int64_t blocks = round_up(ceil_div(most, rows), share);
    rows = clamp(round_up(ceil_div(most, blocks), (least_rows + 1) / 2), least_rows, rows);
  }
  if (o->max_rows) rows = clamp(rows, least_rows, round_up(o->max_rows, least_rows));
  p->block_rows = rows;
  p->super_rows = super; /* not rounded to blocks, which know the threads: its last block may be short */
}

/* Packed forms that are more than memory for them take turns; a segment's are to be an eighth of it, so that little is made at a time. */
static void choose_turns(rh_plan *p, const rh_plan_options *o) {
  enum { LEAN = 8 << 20, TURNS = 8 };
  const int64_t room = (o->packed_bytes ? o->packed_bytes : o->lean ? LEAN : INT64_MAX) / p->k->real_bytes;
  p->turn_count = p->packed_count > room ? room / TURNS + 1 : 0;
}

/* ---- lists to run ---- */
static int64_t pieces_of(const rh_plan *p, const rh_graph *g, int64_t v) {
  const rh_item *it = &p->item[v];
  return it->op->tasks ? it->op->tasks(g, &it->node) : 1;
}

/* Of a sum over rows, to begin the longest first: operations, and numbers read, which take as long as several. */
static int64_t piece_work(const rh_plan *p, const rh_graph *g, int64_t v) {
  enum { READ = 16 };
  const rh_item *it = &p->item[v];
  int64_t work = it->op->flops ? it->op->flops(g, &it->node) : it->count;
  for (int i = 0; i < it->node.arity; i++)
    if (!rh_is_none(it->node.in[i])) work += READ * p->item[it->node.in[i].at].count;
  return work / pieces_of(p, g, v);
}

static rh_status list_work(rh_plan *p, const rh_graph *g) {
  p->row_order = rh_arena_alloc(&p->arena, ((size_t)p->n + 1) * sizeof *p->row_order);
  p->segment = rh_arena_alloc(&p->arena, ((size_t)p->segments + 1) * sizeof *p->segment);
  for (int64_t v = 0; v < p->n; v++)
    if (p->item[v].live && p->item[v].node.stage == RH_REDUCE) p->tasks += pieces_of(p, g, v);
  p->task = rh_arena_alloc(&p->arena, ((size_t)p->tasks + 1) * sizeof *p->task);
  if (!p->row_order || !p->segment || !p->task) return RH_E_MEMORY;
  int64_t task = 0;
  for (int64_t s = 0; s < p->segments; s++) {
    p->segment[s].first = p->n_rows;
    p->segment[s].first_task = task;
    for (int pass = 0; pass < 2; pass++) /* loads first */
      for (int64_t v = 0; v < p->n; v++) {
        const rh_item *it = &p->item[v];
        if (!it->live || it->segment != s) continue;
        const bool load = it->node.op == RH_OP_input;
        if (it->node.stage == RH_EACH_ROW && load == (pass == 0) && (load || it->op->run)) p->row_order[p->n_rows++] = (int32_t)v;
        if (it->node.stage != RH_REDUCE || pass == 0) continue;
        const int64_t pieces = pieces_of(p, g, v), first = p->segment[s].first_task, work = piece_work(p, g, v);
        int64_t at = task; /* the largest first, so that none is begun last; equal ones in order */
        while (at > first && piece_work(p, g, p->task[at - 1].item) < work) at--;
        memmove(p->task + at + pieces, p->task + at, (size_t)(task - at) * sizeof *p->task);
        for (int64_t i = 0; i < pieces; i++) p->task[at + i] = (rh_task){(int32_t)v, (int32_t)i};
        task += pieces;
      }
    p->segment[s].last = p->n_rows;
    p->segment[s].last_task = task;
  }
  return RH_OK;
}

/* Reshapes and parts lie in their root's place; a part keeps its rows together. */
static void place_bytes(rh_plan *p) {
  const int64_t rb = p->k->real_bytes;
  for (int64_t v = 0; v < p->n; v++) {
    rh_item *it = &p->item[v];
    if (it->root != v) {
      it->place = p->item[it->root].place;
      it->offset = p->item[it->root].offset + it->first;
    }
    const int64_t rows = it->place == RH_AT_LOCAL ? p->block_rows : it->place == RH_AT_WIDE ? p->super_rows : 1;
    it->at_bytes = it->offset * rows * rb;
    it->row_bytes = it->place == RH_AT_WIDE ? it->count * rb : 0;
  }
}

static void describe(rh_plan *p) {
  const int64_t rb = p->k->real_bytes;
  rh_plan_info *f = &p->info;
  *f = (rh_plan_info){.nodes = p->n_rows + p->n_before + p->n_after + p->tasks,
                      .row_nodes = p->n_rows,
                      .segments = p->segments,
                      .block_rows = p->block_rows,
                      .super_rows = p->super_rows};
  f->local_bytes_row = p->local_count * rb;
  f->wide_bytes_row = p->wide_count * rb;
  f->work_bytes_thread = p->local_count * p->block_rows * rb;
  f->work_bytes_shared = p->wide_count * p->super_rows * rb;
  f->packed_bytes = p->packed_count * rb;
  f->param_bytes = (p->shared_count + p->const_count) * rb;
  f->flops_row = p->flops_row;
  f->bytes_row_weights = p->weight_bytes / (double)p->block_rows;
  f->bytes_row_spill = (double)(2 * p->wide_count * rb);
}

rh_status rh_plan_place(rh_plan *p, const rh_plan_options *options) {
  rh_graph g = {0}; /* what scratch and tasks of an operation may look at */
  rh_node **nodes = rh_alloc(((size_t)p->n + 1) * sizeof *nodes);
  pool q = {.span = rh_alloc(((size_t)p->n * 2 + 2) * sizeof *q.span)};
  bool *counted = rh_alloc((size_t)p->n + 1);
  rh_status status = nodes && q.span && counted ? RH_OK : RH_E_MEMORY;
  if (status == RH_OK) {
    for (int64_t v = 0; v < p->n; v++) nodes[v] = &p->item[v].node;
    g.node = nodes;
    g.n = p->n;
    choose_turns(p, options);
    choose_cut(p, options, &q, counted);
    p->packs_in_turn = p->turn_count && p->segments > 1;
    hold_outputs(p);
    place_local(p, &q, &g);
    choose_rows(p, options);
    place_bytes(p);
    status = list_work(p, &g);
    if (status == RH_OK && p->packs_in_turn) status = rh_plan_packs_in_turn(p);
    describe(p);
  }
  rh_free(nodes);
  rh_free(q.span);
  rh_free(counted);
  return status;
}

void rh_plan_describe(const rh_plan *plan, rh_plan_info *info) {
  *info = plan->info;
}
