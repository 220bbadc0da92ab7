/* Columns of limited support, mapped to the whole line; others pass. {"columns": [{"column": i, "kind": KIND, "low": a, "high": b}, ...]}
 *
 *   log       v = x - low, y = log v            or v = high - x, y = -log v
 *   softplus  v as above, y = log(e^v - 1)      (nearly v where v is large; negated for a column with a "high")
 *   logit     y = log((x - low) / (high - x))
 *
 * A row outside the support has the log-density -inf, and its gradient is zero there: v is replaced by 1 before the logarithm. */
#include <math.h>
#include <string.h>

#include "base/memory.h"
#include "bijection/parts.h"

enum { LOG, SOFTPLUS, LOGIT, KINDS };

typedef struct group { /* the columns of one kind */
  int64_t n;
  int32_t *column;           /* [n] */
  double *limit, *sign;      /* log, softplus: v = sign (x - limit) */
  double *low, *high, *span; /* logit */
} group;

typedef struct support {
  rh_bijection b;
  rh_arena arena;
  group group[KINDS];
  int64_t rest;
  int32_t *rest_column; /* [rest] columns that pass */
  int32_t *back;        /* [d]: where a column lies in (rest, groups...) */
} support;

static const char *const kind_names[] = {"log", "softplus", "logit", NULL};

static rh_status make_group(support *s, group *q, int64_t room) {
  q->column = rh_arena_alloc(&s->arena, (size_t)(room + 1) * sizeof *q->column);
  double *reals = rh_arena_alloc(&s->arena, (size_t)(room + 1) * 5 * sizeof *reals);
  if (!q->column || !reals) return RH_E_MEMORY;
  q->limit = reals, q->sign = reals + room, q->low = reals + 2 * room, q->high = reals + 3 * room, q->span = reals + 4 * room;
  return RH_OK;
}

static rh_status read_column(support *s, const json_t *entry, const char *where, int32_t column) {
  rh_options o = rh_options_begin(entry, where);
  (void)rh_options_json(&o, "column");
  const int kind = rh_options_choice(&o, "kind", LOGIT, kind_names);
  const bool has_low = rh_options_json(&o, "low"), has_high = rh_options_json(&o, "high");
  const double low = rh_options_real(&o, "low", 0, -1e37, 1e37), high = rh_options_real(&o, "high", 0, -1e37, 1e37);
  RH_TRY(rh_options_done(&o));
  if (kind == LOGIT && !(has_low && has_high && low < high))
    return rh_fail(RH_E_SPEC, "%s: logit needs \"low\" and \"high\", low below high", where);
  if (kind != LOGIT && has_low == has_high) return rh_fail(RH_E_SPEC, "%s: %s needs either \"low\" or \"high\"", where, kind_names[kind]);
  group *q = &s->group[kind];
  q->column[q->n] = column;
  q->limit[q->n] = has_low ? low : high;
  q->sign[q->n] = has_low ? 1 : -1;
  q->low[q->n] = low;
  q->high[q->n] = high;
  q->span[q->n++] = high - low;
  return RH_OK;
}

static rh_status order_columns(support *s, int64_t d) {
  s->rest_column = rh_arena_alloc(&s->arena, (size_t)d * sizeof *s->rest_column);
  s->back = rh_arena_alloc(&s->arena, (size_t)d * sizeof *s->back);
  if (!s->rest_column || !s->back) return RH_E_MEMORY;
  int32_t at = (int32_t)d;
  for (int64_t j = 0; j < d; j++) s->back[j] = -1;
  for (int k = 0; k < KINDS; k++) at -= (int32_t)s->group[k].n;
  s->rest = at;
  for (int k = 0; k < KINDS; k++)
    for (int64_t i = 0; i < s->group[k].n; i++) s->back[s->group[k].column[i]] = at++;
  int32_t next = 0;
  for (int32_t j = 0; j < d; j++)
    if (s->back[j] < 0) s->rest_column[next] = j, s->back[j] = next++;
  return RH_OK;
}

static rh_status support_create(rh_bijection *b, const rh_build *build, rh_spec *spec) {
  support *s = (support *)b;
  (void)build;
  RH_TRY(rh_need_vector(b, spec));
  rh_column_list list;
  int32_t *column;
  RH_TRY(rh_read_columns(spec, rh_columns_of(b), &s->arena, &list, &column));
  for (int k = 0; k < KINDS; k++) RH_TRY(make_group(s, &s->group[k], list.n));
  for (int64_t i = 0; i < list.n; i++) {
    char where[RH_WHERE_BYTES];
    rh_spec_where(spec, "columns", i, where);
    RH_TRY(read_column(s, json_array_get(list.list, (size_t)i), where, column[i]));
  }
  return order_columns(s, rh_columns_of(b));
}

static rh_val constants(rh_graph *g, int64_t n, const double *values) {
  return rh_const_values(g, rh_shape1(n), values);
}

/* v where it is positive, 1 elsewhere, where log p becomes -inf: log(step(v)) joins ladj and has no derivative. */
static rh_val guarded(rh_graph *g, rh_val v, rh_val *ladj) {
  const rh_val inside = rh_step(g, v);
  *ladj = rh_add_maybe(g, *ladj, rh_sum(g, rh_log(g, inside)));
  return rh_add(g, rh_maxc(g, v, 0), rh_addc(g, rh_neg(g, inside), 1));
}

static rh_val group_forward(const group *q, int kind, rh_graph *g, rh_val x, rh_val *ladj) {
  if (kind == LOGIT) {
    const rh_val a = rh_log(g, guarded(g, rh_sub(g, x, constants(g, q->n, q->low)), ladj));
    const rh_val b = rh_log(g, guarded(g, rh_sub(g, constants(g, q->n, q->high), x), ladj));
    const rh_val term = rh_sub(g, rh_log(g, constants(g, q->n, q->span)), rh_add(g, a, b)); /* dy/dx = span / ((x - low) (high - x)) */
    *ladj = rh_add_maybe(g, *ladj, rh_sum(g, term));
    return rh_sub(g, a, b);
  }
  const rh_val sign = constants(g, q->n, q->sign);
  const rh_val v = guarded(g, rh_mul(g, rh_sub(g, x, constants(g, q->n, q->limit)), sign), ladj);
  /* softplus: log(e^v - 1) = v + log(1 - e^-v), dy/dv = 1 / (1 - e^-v) */
  const rh_val l = kind == LOG ? rh_log(g, v) : rh_log(g, rh_neg(g, rh_expm1(g, rh_neg(g, v))));
  *ladj = rh_add_maybe(g, *ladj, rh_neg(g, rh_sum(g, l)));
  return rh_mul(g, kind == LOG ? l : rh_add(g, v, l), sign);
}

static rh_val group_inverse(const group *q, int kind, rh_graph *g, rh_val y, rh_val *ladj) {
  if (kind == LOGIT) {
    const rh_val span = constants(g, q->n, q->span), low = constants(g, q->n, q->low), high = constants(g, q->n, q->high);
    const rh_val up = rh_add(g, low, rh_mul(g, span, rh_sigmoid(g, y))); /* exact near low; the other near high */
    const rh_val down = rh_sub(g, high, rh_mul(g, span, rh_sigmoid(g, rh_neg(g, y))));
    const rh_val upper = rh_step(g, y), x = rh_add(g, rh_mul(g, down, upper), rh_mul(g, up, rh_addc(g, rh_neg(g, upper), 1)));
    const rh_val term = rh_sub(g, rh_log(g, span), rh_add(g, rh_softplus(g, y), rh_softplus(g, rh_neg(g, y))));
    *ladj = rh_add_maybe(g, *ladj, rh_sum(g, term));
    return x;
  }
  const rh_val sign = constants(g, q->n, q->sign), t = rh_mul(g, y, sign);
  const rh_val v = kind == LOG ? rh_exp(g, t) : rh_softplus(g, t);
  *ladj = rh_add_maybe(g, *ladj, rh_sum(g, kind == LOG ? t : rh_neg(g, rh_softplus(g, rh_neg(g, t))))); /* log sigmoid(t) */
  return rh_add(g, rh_mul(g, v, sign), constants(g, q->n, q->limit));
}

/* Every group through `f`, the rest as it is. */
static void run(const support *s, rh_graph *g, rh_val x, rh_val (*f)(const group *, int, rh_graph *, rh_val, rh_val *), rh_val *y,
                rh_val *ladj) {
  rh_val parts[1 + KINDS];
  int n = 0;
  if (s->rest) parts[n++] = rh_gather(g, x, rh_shape1(s->rest), s->rest_column);
  for (int k = 0; k < KINDS; k++)
    if (s->group[k].n) parts[n++] = f(&s->group[k], k, g, rh_gather(g, x, rh_shape1(s->group[k].n), s->group[k].column), ladj);
  *y = rh_gather(g, rh_concat(g, n, parts), s->b.in, s->back);
}

static void support_forward(const rh_bijection *b, rh_graph *g, rh_val x, rh_val context, rh_val noise, rh_val *y, rh_val *ladj) {
  (void)context, (void)noise;
  run((const support *)b, g, x, group_forward, y, ladj);
}

static void support_inverse(const rh_bijection *b, rh_graph *g, rh_val y, rh_val context, rh_val *x, rh_val *ladj) {
  (void)context;
  run((const support *)b, g, y, group_inverse, x, ladj);
}

static void support_destroy(rh_bijection *b) {
  rh_arena_free(&((support *)b)->arena);
}

const rh_bijection_type rh_bijection_support = {.type = "support",
                                                .bytes = sizeof(support),
                                                .create = support_create,
                                                .forward = support_forward,
                                                .inverse = support_inverse,
                                                .destroy = support_destroy};
