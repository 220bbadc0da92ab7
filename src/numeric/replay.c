#include "numeric/replay.h"

#include <string.h>

#include "base/memory.h"
#include "numeric/ode_work.h"

enum { LEVELS = 64, EVERY = 2 };

/* Rows without a whole tape are solved again, `group` together: as many as there is room for the times and sizes of all steps that they may
 * take by tolerance; those of equal steps are known. Step i of row r is [i, r]. A level of checkpoints holds the group's states at every
 * `stride`-th step from `first` on. */
enum { TIMES = 1 << 20 }; /* bytes of a group's times and sizes, about */
struct rh_replay {
  int64_t n, rows, group, cap, slots, stride; /* cap: steps a row may take; stride: of level 0 */
  int real_bytes, levels;
  rh_ode_work *work;
  double *t, *h;           /* [cap, group], of steps by tolerance */
  int64_t *count;          /* [rows]: steps taken */
  int64_t *which, *theirs; /* [rows]: the caller's rows; those of a call of the field or of pull */
  char *level[LEVELS];     /* [slots, group, n] */
  char *memory;            /* of the levels and of what follows */
  char *state, *lambda;    /* [rows, n], by row: while steps are found again; the cotangent of the state behind the step */
  char *bar, *back;        /* [rows, n] by slot: cotangent of a slope; [stages, rows, n] by slot: of the stages */
  char *stage, *moved;     /* [stages, rows, n], [rows, n]: by slot */
  /* of the running call */
  const rh_replay_problem *p;
  rh_ode_report *report;
  int64_t equal; /* steps, 0: by tolerance */
};

static int64_t cap_of(const rh_ode_options *o) {
  return o->steps ? o->steps : o->max_steps + o->fallback_steps;
}

/* How many states a level keeps, and how many levels reach down to every step. */
static int64_t plan_levels(const rh_ode_options *o, int64_t slots, int *levels) {
  const int64_t cap = cap_of(o);
  int64_t stride = 1;
  *levels = 1;
  if (slots == 0 || slots >= cap) return cap;
  while (stride * slots < cap) stride *= EVERY;
  for (; stride > 1; stride = (stride + slots - 1) / slots) ++*levels;
  return slots;
}

static int64_t state_bytes(int64_t n, int64_t rows, int real_bytes) {
  return (n * rows * real_bytes + RH_ALIGN - 1) / RH_ALIGN * RH_ALIGN;
}

static int64_t group_of(const rh_ode_options *o, int64_t rows) {
  const int64_t fit = o->steps ? rows : TIMES / (2 * (int64_t)sizeof(double) * cap_of(o));
  return fit < 1 ? 1 : fit < rows ? fit : rows;
}
static int64_t times_of(const rh_ode_options *o, int64_t group) {
  return o->steps ? 0 : 2 * cap_of(o) * group;
}

/* In `memory`: the levels' states, and state, lambda, bar, moved, stages and what comes back of them. */
static int64_t memory_bytes(int64_t n, int64_t rows, int real_bytes, const rh_ode_options *o, int64_t slots, int levels) {
  return slots * levels * state_bytes(n, group_of(o, rows), real_bytes) +
         (4 + 2 * rh_ode_tableau_of(o->method)->stages) * state_bytes(n, rows, real_bytes);
}

int64_t rh_replay_bytes(int64_t n, int64_t rows, int real_bytes, const rh_ode_options *o, int64_t slots) {
  int levels;
  const int64_t kept = plan_levels(o, slots, &levels);
  return rh_ode_work_bytes(n, rows, real_bytes, o->method, false) + memory_bytes(n, rows, real_bytes, o, kept, levels) +
         (times_of(o, group_of(o, rows)) + 3 * rows) * (int64_t)sizeof(double);
}

rh_status rh_replay_create(int64_t n, int64_t rows, int real_bytes, const rh_ode_options *o, int64_t slots, rh_replay **out) {
  rh_replay *r = rh_alloc_zero(1, sizeof *r);
  if (!r) return RH_E_MEMORY;
  const int64_t one = state_bytes(n, rows, real_bytes), stages = rh_ode_tableau_of(o->method)->stages;
  r->n = n, r->rows = rows, r->group = group_of(o, rows), r->real_bytes = real_bytes, r->cap = cap_of(o);
  r->slots = plan_levels(o, slots, &r->levels);
  r->memory = rh_alloc_zero(1, (size_t)memory_bytes(n, rows, real_bytes, o, r->slots, r->levels));
  r->t = rh_alloc_zero((size_t)times_of(o, r->group) + 1, sizeof *r->t);
  r->count = rh_alloc_zero(3 * (size_t)rows, sizeof *r->count);
  if (!r->memory || !r->t || !r->count || rh_ode_work_create(n, rows, real_bytes, o->method, false, &r->work) != RH_OK) {
    rh_replay_destroy(r);
    return RH_E_MEMORY;
  }
  char *at = r->memory;
  for (int l = 0; l < r->levels; l++, at += r->slots * state_bytes(n, r->group, real_bytes)) r->level[l] = at;
  char **const single[] = {&r->state, &r->lambda, &r->bar, &r->moved};
  for (size_t i = 0; i < RH_COUNT_OF(single); i++, at += one) *single[i] = at;
  r->stage = at;
  r->back = at + stages * one;
  r->h = r->t + times_of(o, r->group) / 2;
  r->which = r->count + rows;
  r->theirs = r->which + rows;
  *out = r;
  return RH_OK;
}

void rh_replay_destroy(rh_replay *r) {
  if (!r) return;
  rh_ode_work_destroy(r->work);
  rh_free(r->memory);
  rh_free(r->t);
  rh_free(r->count);
  rh_free(r);
}

/* ---- forwards ---- */

static char *slot(const rh_replay *r, int level, int64_t which) {
  return r->level[level] + which * state_bytes(r->n, r->group, r->real_bytes);
}

/* Every other state of level 0 goes. */
static void thin(rh_replay *r) {
  for (int64_t i = 1; i < (r->slots + 1) / EVERY; i++)
    memcpy(slot(r, 0, i), slot(r, 0, EVERY * i), (size_t)(r->n * r->group * r->real_bytes));
  r->stride *= EVERY;
}

static void record(void *arg, int64_t count, const int64_t *row, const double *t, const double *h, const void *y) {
  rh_replay *r = arg;
  for (int64_t i = 0; i < count; i++) {
    const int64_t step = r->count[row[i]]++, at = step * r->group + row[i];
    if (!r->equal) r->t[at] = t[i], r->h[at] = h[i];
    while (step / r->stride >= r->slots) thin(r);
    if (step % r->stride == 0) rh_ode_move(r->work, slot(r, 0, step / r->stride), row[i], y, i);
  }
}

static const int64_t *their_rows(const rh_replay *r, int64_t rows, const int64_t *row) {
  for (int64_t i = 0; i < rows; i++) r->theirs[i] = r->which[row[i]];
  return r->theirs;
}

static void field(void *arg, int64_t rows, const int64_t *row, const double *t, const void *y, void *dy) {
  const rh_replay *r = arg;
  const rh_ode_problem *f = r->p->forward;
  f->field(f->arg, rows, their_rows(r, rows, row), t, y, dy);
}

/* ---- backwards ---- */

/* The rows that took more than `step` steps become the slots of the work, their states read from `from`, by row. */
static int64_t take(rh_replay *r, int64_t rows, int64_t step, const char *from) {
  rh_ode_work *w = r->work;
  int64_t n = 0;
  for (int64_t i = 0; i < rows; i++) {
    if (r->count[i] <= step) continue;
    w->row[n] = i;
    w->t[n] = r->equal ? rh_ode_equal_time(r->p->forward, r->equal, step) : r->t[step * r->group + i];
    w->h[n] = r->equal ? rh_ode_equal_size(r->p->forward, r->equal) : r->h[step * r->group + i];
    rh_ode_move(w, w->y, n++, from, i);
  }
  return n;
}

static rh_ode_run run_of(rh_replay *r, const rh_ode_problem *mine, int64_t rows) {
  return (rh_ode_run){.p = mine, .w = r->work, .rows = rows, .report = r->report};
}

/* The states before steps first, first + stride, ... < end into `level`, from that before `first`, in `from`. */
static void find_again(rh_replay *r, const rh_ode_problem *mine, int64_t rows, const char *from, int level, int64_t first, int64_t end,
                       int64_t stride) {
  const size_t bytes = (size_t)(r->n * r->group * r->real_bytes);
  rh_ode_work *w = r->work;
  memcpy(r->state, from, bytes);
  for (int64_t step = first; step < end; step++) {
    if ((step - first) % stride == 0) memcpy(slot(r, level, (step - first) / stride), r->state, bytes);
    const int64_t n = step + 1 < end ? take(r, rows, step, r->state) : 0;
    if (!n) continue;
    const rh_ode_run s = run_of(r, mine, n);
    rh_ode_slope(&s, w->t, w->y, 0);
    rh_ode_advance(&s);
    for (int64_t i = 0; i < n; i++) rh_ode_move(w, r->state, w->row[i], w->fresh, i);
  }
}

/* to[i] = h[i] (b lambda[i] + sum_j coef[j] back_j[i]); h NULL: 1. lambda, back_j, to: [rows, n] */
#define ARITHMETIC(type)                                                                                                        \
  static void gather_##type(int64_t rows, int64_t n, const double *h, double b, const void *lambda_, int m, const double *coef, \
                            const void *back_, int64_t stride, void *to_) {                                                     \
    for (int64_t r = 0; r < rows; r++) {                                                                                        \
      const type *lambda = (const type *)lambda_ + r * n, first = (type)((h ? h[r] : 1) * b);                                   \
      type *to = (type *)to_ + r * n;                                                                                           \
      for (int64_t i = 0; i < n; i++) to[i] = first * lambda[i];                                                                \
      for (int j = 0; j < m; j++) {                                                                                             \
        const type *back = (const type *)(const void *)((const char *)back_ + j * stride) + r * n;                              \
        const type a = (type)((h ? h[r] : 1) * coef[j]);                                                                        \
        for (int64_t i = 0; coef[j] != 0 && i < n; i++) to[i] += a * back[i];                                                   \
      }                                                                                                                         \
    }                                                                                                                           \
  }
ARITHMETIC(float)
ARITHMETIC(double)

static void gather(const rh_replay *r, int64_t rows, const double *h, double b, int m, const double *coef, const char *back, char *to) {
  (r->real_bytes == 4 ? gather_float : gather_double)(rows, r->n, h, b, r->moved, m, coef, back, state_bytes(r->n, r->rows, r->real_bytes),
                                                      to);
}

static void stage_times(const rh_ode_work *w, int64_t rows, int stage) {
  for (int64_t i = 0; i < rows; i++) w->at[i] = w->t[i] + w->method->c[stage] * w->h[i];
}

/* y_next = y + h sum b_j k_j, k_j = f(t + c_j h, Y_j), Y_j = y + h sum_(l < j) a_jl k_l. With lambda the cotangent of y_next, that of k_j
 * is h (b_j lambda + sum_(l > j) a_lj back_l), back_j its pull through f at Y_j, and that of y is lambda + sum back_j (Hager 2000). */
static void pull_stages(rh_replay *r, int64_t n) {
  rh_ode_work *w = r->work;
  const rh_ode_tableau *m = w->method;
  const int own = rh_ode_stages(m);
  const int64_t one = state_bytes(r->n, r->rows, r->real_bytes);
  for (int64_t i = 0; i < n; i++) rh_ode_move(w, r->moved, i, r->lambda, w->row[i]);
  double coef[RH_ODE_SLOPES];
  for (int j = own - 1; j >= 0; j--) {
    for (int l = j + 1; l < own; l++) coef[l - j - 1] = rh_ode_a(m, l)[j];
    gather(r, n, w->h, m->b[j], own - 1 - j, coef, r->back + (j + 1) * one, r->bar);
    stage_times(w, n, j);
    r->p->pull(r->p->forward->arg, n, their_rows(r, n, w->row), w->at, r->stage + j * one, r->bar, r->back + j * one);
    r->report->evaluations += n;
  }
  for (int j = 0; j < own; j++) coef[j] = 1;
  gather(r, n, NULL, 1, own, coef, r->back, r->bar);
  for (int64_t i = 0; i < n; i++) rh_ode_move(w, r->lambda, w->row[i], r->bar, i);
}

static void step_back(rh_replay *r, const rh_ode_problem *mine, int64_t rows, const char *from, int64_t step) {
  rh_ode_work *w = r->work;
  const rh_ode_tableau *m = w->method;
  const int own = rh_ode_stages(m);
  const int64_t n = take(r, rows, step, from), one = state_bytes(r->n, r->rows, r->real_bytes);
  const rh_ode_run s = run_of(r, mine, n);
  if (!n) return;
  for (int j = 0; j < own; j++) {
    if (j) rh_ode_combine(w, 0, n, j, rh_ode_a(m, j), w->y, r->stage + j * one);
    if (!j) memcpy(r->stage, w->y, (size_t)(n * r->n * r->real_bytes));
    stage_times(w, n, j);
    if (j + 1 < own) rh_ode_slope(&s, w->at, r->stage + j * one, j);
  }
  pull_stages(r, n);
}

/* Steps first .. end - 1, of which `level` has every stride-th state. */
static void go_back(rh_replay *r, const rh_ode_problem *mine, int64_t rows, int level, int64_t first, int64_t end, int64_t stride) {
  for (int64_t j = (end - 1 - first) / stride; j >= 0; j--) {
    const int64_t low = first + j * stride, high = low + stride < end ? low + stride : end;
    if (stride == 1) {
      step_back(r, mine, rows, slot(r, level, j), low);
      continue;
    }
    const int64_t inner = (stride + r->slots - 1) / r->slots;
    find_again(r, mine, rows, slot(r, level, j), level + 1, low, high, inner);
    go_back(r, mine, rows, level + 1, low, high, inner);
  }
}

/* ---- tapes: of a row the number of steps, (time, size) of each, stages of each ---- */

enum { TAPE_HEAD = 2 + 4 * RH_TAPE_STEPS }; /* numbers; a double takes the place of two */

int64_t rh_tape_numbers(rh_ode_method method, int64_t n) {
  return TAPE_HEAD + RH_TAPE_STEPS * rh_ode_stages(rh_ode_tableau_of(method)) * n;
}

static char *tape_row(const rh_tape *t, int64_t row) {
  return t->at + row * rh_tape_numbers(t->method, t->n) * t->real_bytes;
}
static char *tape_double(const rh_tape *t, int64_t row, int64_t which) {
  return tape_row(t, row) + which * (int64_t)sizeof(double);
}
static char *tape_stages(const rh_tape *t, int64_t row, int64_t step) {
  return tape_row(t, row) + (TAPE_HEAD + step * rh_ode_stages(rh_ode_tableau_of(t->method)) * t->n) * t->real_bytes;
}

static double tape_get(const rh_tape *t, int64_t row, int64_t which) { /* floats are aligned for floats only */
  double x;
  memcpy(&x, tape_double(t, row, which), sizeof x);
  return x;
}
static void tape_put(const rh_tape *t, int64_t row, int64_t which, double x) {
  memcpy(tape_double(t, row, which), &x, sizeof x);
}

void rh_tape_begin(const rh_tape *tape, int64_t rows) {
  for (int64_t r = 0; r < rows; r++) tape_put(tape, r, 0, 0);
}

void *rh_tape_step(const rh_tape *tape, int64_t row, double t, double h) {
  const int64_t step = (int64_t)tape_get(tape, row, 0);
  tape_put(tape, row, 0, (double)(step + 1));
  if (step >= RH_TAPE_STEPS) return NULL;
  tape_put(tape, row, 1 + 2 * step, t);
  tape_put(tape, row, 2 + 2 * step, h);
  return tape_stages(tape, row, step);
}

static void step_back_on_tape(rh_replay *r, const rh_tape *tape, int64_t rows, int64_t step) {
  rh_ode_work *w = r->work;
  const int64_t one = state_bytes(r->n, r->rows, r->real_bytes);
  int64_t n = 0;
  for (int64_t i = 0; i < rows; i++) {
    if (r->count[i] <= step) continue;
    w->row[n] = i;
    w->t[n] = tape_get(tape, r->which[i], 1 + 2 * step);
    w->h[n] = tape_get(tape, r->which[i], 2 + 2 * step);
    for (int j = 0; j < rh_ode_stages(w->method); j++) rh_ode_move(w, r->stage + j * one, n, tape_stages(tape, r->which[i], step), j);
    n++;
  }
  pull_stages(r, n);
}

/* ---- the whole way ---- */

static int64_t most_steps(const rh_replay *r, int64_t rows) {
  int64_t most = 0;
  for (int64_t i = 0; i < rows; i++) most = r->count[i] > most ? r->count[i] : most;
  return most;
}

/* The rows from *from on whose tape is whole, or `most` of the others, and their cotangents. */
static int64_t choose(rh_replay *r, int64_t *from, int64_t rows, const rh_tape *tape, bool whole, int64_t most, const void *ct1) {
  int64_t n = 0, i = *from;
  for (; i < rows && n < most; i++) {
    const int64_t steps = tape ? (int64_t)tape_get(tape, i, 0) : RH_TAPE_STEPS + 1;
    if ((steps <= RH_TAPE_STEPS) != whole) continue;
    r->which[n] = i;
    r->count[n] = whole ? steps : 0;
    rh_ode_move(r->work, r->lambda, n++, ct1, i);
  }
  *from = i;
  return n;
}

static void hand_back(const rh_replay *r, int64_t rows, void *ct0) {
  for (int64_t i = 0; i < rows; i++) rh_ode_move(r->work, ct0, r->which[i], r->lambda, i);
}

void rh_replay_run(const rh_replay_problem *p, const rh_ode_options *o, rh_replay *r, int64_t rows, const void *y0, const void *ct1,
                   void *ct0, const rh_tape *tape, rh_ode_report *report) {
  const rh_ode_problem mine = {.n = p->forward->n,
                               .t0 = p->forward->t0,
                               .t1 = p->forward->t1,
                               .in_norm = p->forward->in_norm,
                               .strict = p->forward->strict,
                               .field = field,
                               .accepted = record,
                               .arg = r};
  r->p = p;
  r->report = report;
  r->equal = o->steps;
  int64_t from = 0, n = choose(r, &from, rows, tape, true, rows, ct1);
  for (int64_t step = most_steps(r, n) - 1; step >= 0; step--) step_back_on_tape(r, tape, n, step);
  hand_back(r, n, ct0);
  for (from = 0; (n = choose(r, &from, rows, tape, false, r->group, ct1)) > 0;) {
    for (int64_t i = 0; i < n; i++) rh_ode_move(r->work, r->moved, i, y0, r->which[i]);
    r->stride = 1;
    rh_ode_solve(&mine, o, r->work, n, r->moved, r->state, report);
    const int64_t most = most_steps(r, n);
    if (most) go_back(r, &mine, n, 0, 0, most, r->stride);
    hand_back(r, n, ct0);
  }
}
