/* The trace of a field's Jacobian: exact, by columns where no closed form is known; and Hutchinson's estimate (1990), as FFJORD has it
 * (Grathwohl et al. 2019, section 3.1), whose vector-Jacobian product also serves the Jacobian penalty of Finlay et al. 2020. */
#include <string.h>

#include "net/types.h"

static rh_val unit(rh_graph *g, int64_t d, int64_t i) {
  double *e = rh_arena_alloc(&g->arena, (size_t)d * sizeof *e);
  if (!e) {
    if (g->status == RH_OK) g->status = RH_E_MEMORY;
    return RH_NONE;
  }
  for (int64_t j = 0; j < d; j++) e[j] = j == i;
  return rh_const_values(g, rh_shape1(d), e);
}

rh_val rh_trace_columns(rh_graph *g, rh_val x, rh_val dx) {
  const int64_t d = rh_count(g, x);
  rh_val sum = RH_NONE;
  for (int64_t i = 0; i < d && g->status == RH_OK; i++) {
    rh_val column = RH_NONE;
    const rh_val e = unit(g, d, i);
    if (g->status != RH_OK) return RH_NONE;
    const rh_status status = rh_jvp(g, 1, &x, &e, 1, &dx, &column);
    if (g->status == RH_OK) g->status = status;
    if (g->status == RH_OK && !rh_is_none(column)) sum = rh_add_maybe(g, sum, rh_slice(g, column, i, 1));
  }
  return rh_is_none(sum) && g->status == RH_OK ? rh_fill(g, rh_shape1(1), 0) : sum;
}

void rh_trace_exact(const rh_field *field, rh_graph *g, rh_val x, rh_val t, rh_val context, rh_val *dx, rh_val *trace) {
  *dx = *trace = RH_NONE;
  if (g->status != RH_OK) return;
  field->type->apply(field, g, x, t, context, dx, field->traced ? trace : NULL);
  if (!field->traced && g->status == RH_OK) *trace = rh_trace_columns(g, x, *dx);
}

void rh_trace_probes(rh_graph *g, rh_val x, rh_val dx, int64_t n, rh_val e, rh_val *trace, rh_val *squares) {
  const int64_t d = rh_count(g, x);
  rh_val sum = RH_NONE, square = RH_NONE;
  for (int64_t k = 0; k < n && g->status == RH_OK; k++) {
    rh_val product = RH_NONE; /* e'J */
    const rh_val probe = rh_slice(g, e, k * d, d);
    const rh_status status = rh_vjp(g, 1, &dx, &probe, 1, &x, &product, RH_KEEP);
    if (g->status == RH_OK) g->status = status;
    if (g->status != RH_OK || rh_is_none(product)) continue;
    sum = rh_add_maybe(g, sum, rh_sum(g, rh_mul(g, product, probe)));
    if (squares) square = rh_add_maybe(g, square, rh_sum(g, rh_square(g, product)));
  }
  const rh_val none = g->status == RH_OK ? rh_fill(g, rh_shape1(1), 0) : RH_NONE;
  *trace = rh_is_none(sum) ? none : rh_mulc(g, sum, 1 / (double)n);
  if (squares) *squares = rh_is_none(square) ? none : rh_mulc(g, square, 1 / (double)n);
}

const char *const rh_trace_names[] = {[RH_TRACE_AUTO] = "auto", [RH_TRACE_EXACT] = "exact", [RH_TRACE_HUTCHINSON] = "hutchinson", NULL};

/* Digits alone: no sign, no blank. */
static rh_status read_probes(const char *text, const char *digits, const char *where, int64_t *probes) {
  int64_t n = 0;
  for (const char *c = digits; *c >= '0' && *c <= '9' && n <= RH_TRACE_PROBES; c++) n = 10 * n + *c - '0';
  if (!*digits || digits[strspn(digits, "0123456789")] || n < 1 || n > RH_TRACE_PROBES)
    return rh_fail(RH_E_SPEC, "%s.trace: '%.40s': K of hutchinson:K must be 1 to %d", where, text, RH_TRACE_PROBES);
  *probes = n;
  return RH_OK;
}

rh_status rh_trace_read(const char *text, const char *where, rh_trace_kind *kind, int64_t *probes) {
  const size_t n = strcspn(text, ":");
  for (int i = 0; rh_trace_names[i]; i++) {
    if (strlen(rh_trace_names[i]) != n || strncmp(text, rh_trace_names[i], n) != 0) continue;
    if (text[n] && i != RH_TRACE_HUTCHINSON)
      return rh_fail(RH_E_SPEC, "%s.trace: '%.40s': only hutchinson has probes: hutchinson:K", where, text);
    if (text[n]) RH_TRY(read_probes(text, text + n + 1, where, probes));
    *kind = (rh_trace_kind)i;
    return RH_OK;
  }
  return rh_fail(RH_E_SPEC, "%s.trace: '%.40s' is none of auto, exact, hutchinson, hutchinson:K", where, text);
}

const char *const rh_probe_names[] = {[RH_PROBE_RADEMACHER] = "rademacher", [RH_PROBE_GAUSSIAN] = "gaussian", NULL};

rh_val rh_trace_probe(rh_graph *g, rh_probe_kind kind, rh_val u) {
  if (kind == RH_PROBE_GAUSSIAN) return rh_normicdf(g, u);
  return rh_addc(g, rh_mulc(g, rh_step(g, rh_addc(g, u, -0.5)), 2), -1);
}

/* ---- for closed forms ---- */

rh_val rh_slope_of(rh_graph *g, rh_val a, rh_val z) {
  rh_val slope = RH_NONE;
  if (g->status != RH_OK) return RH_NONE;
  const rh_status status = rh_vjp(g, 1, &a, NULL, 1, &z, &slope, RH_KEEP);
  if (g->status == RH_OK) g->status = status;
  return slope;
}

rh_val rh_over_lines(rh_graph *g, rh_val v, int64_t n) {
  const int64_t m = rh_count(g, v);
  return rh_reshape(g, rh_over_pixels(g, v, rh_shape3(1, n, m)), rh_shape2(n, m));
}
