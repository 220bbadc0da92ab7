#include "density/front.h"

/* The preprocessing's parts, and how many of them are the front. */
typedef struct cut {
  rh_bijection *const *part, *flow;
  int64_t parts, front;
} cut;

static cut cut_of(const rh_flow *f) {
  rh_bijection *const *both;
  cut c = {0};
  if (!f->body || rh_bijection_parts(f->body, &both) != 2) return c;
  c.flow = both[1];
  c.parts = rh_bijection_parts(both[0], &c.part);
  for (int64_t i = 0; i < c.parts; i++)
    if (!c.part[i]->exact) c.front = i + 1;
  return c;
}

bool rh_flow_splits(const rh_flow *f) {
  const cut c = cut_of(f);
  return c.flow && c.flow->exact;
}

int64_t rh_front_width(const rh_flow *f) {
  const cut c = cut_of(f);
  return c.front ? rh_shape_count(&c.part[c.front - 1]->out) : f->columns;
}

rh_val rh_front_forward(const rh_flow *f, rh_graph *g, rh_val x, rh_val context, rh_val noise) {
  const cut c = cut_of(f);
  const rh_val features = rh_context_encode(f->encoder, g, context);
  rh_val y = x, ladj;
  for (int64_t i = 0, first = 0; i < c.front; i++) {
    const int64_t n = c.part[i]->noise;
    rh_forward(c.part[i], g, y, features, n ? rh_slice(g, noise, first, n) : RH_NONE, &y, &ladj);
    first += n;
  }
  return y;
}

rh_val rh_front_inverse(const rh_flow *f, rh_graph *g, rh_val y, rh_val context) {
  const cut c = cut_of(f);
  const rh_val features = rh_context_encode(f->encoder, g, context);
  rh_val x = y, ladj;
  for (int64_t i = c.front - 1; i >= 0; i--) rh_inverse(c.part[i], g, x, features, &x, &ladj);
  return x;
}

void rh_behind_forward(const rh_flow *f, rh_graph *g, rh_val y, rh_val context, rh_val *z, rh_val *ladj) {
  const cut c = cut_of(f);
  const rh_val features = rh_context_encode(f->encoder, g, context);
  rh_val sum = RH_NONE, term;
  for (int64_t i = c.front; i <= c.parts; i++) {
    rh_forward(i < c.parts ? c.part[i] : c.flow, g, y, features, RH_NONE, &y, &term);
    sum = rh_add_maybe(g, sum, term);
  }
  *z = g->status == RH_OK ? rh_reshape(g, y, rh_shape1(rh_count(g, y))) : RH_NONE;
  *ladj = sum;
}

void rh_behind_inverse(const rh_flow *f, rh_graph *g, rh_val z, rh_val context, rh_val *y, rh_val *ladj) {
  const cut c = cut_of(f);
  const rh_val features = rh_context_encode(f->encoder, g, context);
  rh_val sum = RH_NONE, term;
  for (int64_t i = c.parts; i >= c.front; i--) {
    rh_inverse(i < c.parts ? c.part[i] : c.flow, g, z, features, &z, &term);
    sum = rh_add_maybe(g, sum, term);
  }
  *y = z;
  *ladj = sum;
}
