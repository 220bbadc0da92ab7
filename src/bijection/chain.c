/* Bijections one after another; log-determinants and contributions add up. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/memory.h"
#include "bijection/parts.h"
#include "graph/ops.h"

enum { PREFIX_BYTES = 256, PARTS = 4096 };

typedef struct chain {
  rh_bijection b;
  int64_t n;
  rh_bijection **part;
} chain;

/* What follows from the parts. */
static void settle(chain *c) {
  for (int64_t i = 0; i < c->n; i++) {
    const rh_bijection *p = c->part[i];
    c->b.exact = c->b.exact && p->exact;
    c->b.noise += p->noise;
    c->b.probes += p->probes;
    c->b.time += p->time;
    if (p->context) c->b.context = p->context;
    c->b.out = p->out;
  }
}

static rh_status create_parts(chain *c, const rh_build *build, const json_t *list, const char *where) {
  if (list && !json_is_array(list)) return rh_fail(RH_E_SPEC, "%s: expected an array of bijections", where);
  const size_t n = json_array_size(list);
  if (n > PARTS) return rh_fail(RH_E_SPEC, "%s: %zu parts are too many, there may be %d", where, n, PARTS);
  c->part = rh_alloc_zero(n + 1, sizeof(rh_bijection *));
  if (!c->part) return RH_E_MEMORY;
  rh_shape shape = c->b.in;
  for (size_t i = 0; i < n; i++) {
    char inner[RH_WHERE_BYTES], prefix[PREFIX_BYTES];
    snprintf(inner, sizeof inner, "%s[%zu]", where, i);
    snprintf(prefix, sizeof prefix, "%s.%zu", build->prefix, i);
    const rh_build part = {build->leaves, prefix, build->context};
    RH_TRY(rh_bijection_create(&part, json_array_get(list, i), inner, shape, &c->part[i]));
    c->n++;
    shape = c->part[i]->out;
  }
  settle(c);
  return RH_OK;
}

static rh_status chain_create(rh_bijection *b, const rh_build *build, rh_spec *spec) {
  chain *c = (chain *)b;
  char where[RH_WHERE_BYTES];
  rh_spec_where(spec, "parts", -1, where);
  RH_TRY(create_parts(c, build, rh_spec_json(spec, "parts"), where));
  json_t *full = json_array();
  for (int64_t i = 0; i < c->n; i++)
    if (json_array_append(full, c->part[i]->spec) != 0) spec->failed = true;
  rh_spec_set(spec, "parts", full);
  return rh_spec_status(spec);
}

static rh_val noise_of(rh_graph *g, rh_val noise, const rh_bijection *part, int64_t *first) {
  if (!part->noise || rh_is_none(noise)) return RH_NONE;
  *first += part->noise;
  return rh_slice(g, noise, *first - part->noise, part->noise);
}

/* Terms that are the same for all rows are added up once, not for every row. */
typedef struct ladj_sum {
  rh_val row, shared;
} ladj_sum;

static void sum_add(ladj_sum *s, rh_graph *g, rh_val term) {
  rh_val *to = rh_is_row(g, term) ? &s->row : &s->shared;
  *to = rh_add_maybe(g, *to, term);
}

/* The chain's RECOMPUTE regions: a part with a conditioner and the cheap ones before it share one, so that one row of what enters it is
 * kept for all of them. A combinator's parts have regions of their own; inside a region of somebody else's there are none. */
typedef struct regions {
  bool mine;
} regions;

static regions regions_begin(const rh_graph *g) {
  return (regions){.mine = g->scope == 0};
}

static void region_before(const regions *r, rh_graph *g, const rh_bijection *part) {
  if (!r->mine) return;
  if (part->type->parts || part->type->within) {
    if (g->scope) rh_scope_end(g);
  } else if (!g->scope) {
    rh_scope_begin(g);
  }
}

static void region_after(const regions *r, rh_graph *g, bool end) {
  if (r->mine && g->scope && end) rh_scope_end(g);
}

static void chain_forward(const rh_bijection *b, rh_graph *g, rh_val x, rh_val context, rh_val noise, rh_val *y, rh_val *ladj) {
  const chain *c = (const chain *)b;
  ladj_sum sum = {RH_NONE, RH_NONE};
  const regions r = regions_begin(g);
  int64_t first = 0;
  *y = x;
  for (int64_t i = 0; i < c->n && g->status == RH_OK; i++) {
    rh_val term;
    x = *y;
    region_before(&r, g, c->part[i]);
    rh_forward(c->part[i], g, x, context, noise_of(g, noise, c->part[i], &first), y, &term);
    region_after(&r, g, c->part[i]->type->conditioned);
    sum_add(&sum, g, term);
  }
  region_after(&r, g, true);
  *ladj = rh_add_maybe(g, sum.row, sum.shared);
}

static void chain_inverse(const rh_bijection *b, rh_graph *g, rh_val y, rh_val context, rh_val *x, rh_val *ladj) {
  const chain *c = (const chain *)b;
  ladj_sum sum = {RH_NONE, RH_NONE};
  const regions r = regions_begin(g);
  *x = y;
  for (int64_t i = c->n - 1; i >= 0 && g->status == RH_OK; i--) {
    rh_val term;
    y = *x;
    region_before(&r, g, c->part[i]);
    rh_inverse(c->part[i], g, y, context, x, &term);
    region_after(&r, g, c->part[i]->type->conditioned);
    sum_add(&sum, g, term);
  }
  region_after(&r, g, true);
  *ladj = rh_add_maybe(g, sum.row, sum.shared);
}

/* Time runs through the parts from the data's end on: part i has that from the sum of those before it on. Where a part's time has not begun
 * its state is y, where it is over its inverse's x. */
static void chain_state(const rh_bijection *b, rh_graph *g, rh_val y, rh_val context, double t, rh_val *x) {
  const chain *c = (const chain *)b;
  *x = y;
  for (int64_t i = c->n - 1; i >= 0 && g->status == RH_OK; i--) {
    const rh_bijection *p = c->part[i];
    double before = 0;
    for (int64_t j = 0; j < i; j++) before += c->part[j]->time;
    y = *x;
    rh_state(p, g, y, context, t >= before + p->time ? p->time : fmax(t - before, 0), x);
  }
}

static void chain_destroy(rh_bijection *b) {
  chain *c = (chain *)b;
  for (int64_t i = 0; i < c->n; i++) rh_bijection_destroy(c->part[i]);
  rh_free(c->part);
}

static int64_t chain_parts(const rh_bijection *b, rh_bijection *const **parts) {
  const chain *c = (const chain *)b;
  *parts = c->part;
  return c->n;
}

const rh_bijection_type rh_bijection_chain = {.type = "chain",
                                              .bytes = sizeof(chain),
                                              .create = chain_create,
                                              .forward = chain_forward,
                                              .inverse = chain_inverse,
                                              .state = chain_state,
                                              .destroy = chain_destroy,
                                              .parts = chain_parts};

static chain *fresh_chain(rh_shape in) {
  chain *c = rh_alloc_zero(1, sizeof *c);
  if (c) c->b = (rh_bijection){.type = &rh_bijection_chain, .in = in, .out = in, .exact = true};
  return c;
}

rh_status rh_chain_create(const rh_build *build, const json_t *list, const char *where, rh_shape in, rh_bijection **out) {
  chain *c = fresh_chain(in);
  const rh_status status = c ? create_parts(c, build, list, where) : RH_E_MEMORY;
  if (status != RH_OK) {
    rh_bijection_destroy(c ? &c->b : NULL);
    return status;
  }
  *out = &c->b;
  return RH_OK;
}

rh_status rh_chain_of(int64_t n, rh_bijection *const *parts, rh_bijection **out) {
  if (n < 1) return rh_fail(RH_E_ARGUMENT, "a chain needs a part");
  chain *c = fresh_chain(parts[0]->in);
  if (c) c->part = rh_alloc((size_t)n * sizeof(rh_bijection *));
  if (!c || !c->part) {
    rh_bijection_destroy(c ? &c->b : NULL);
    return RH_E_MEMORY;
  }
  memcpy(c->part, parts, (size_t)n * sizeof(rh_bijection *));
  c->n = n;
  settle(c);
  *out = &c->b;
  return RH_OK;
}
