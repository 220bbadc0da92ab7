/* Fewer bits a number, a surjection (Glow's images of 5 bits, Kingma & Dhariwal 2018, section 6): y = floor(x / 2^(from - bits)). The
 * likelihood is that of the coarse numbers, the contribution 0; the inverse gives the least x of a coarse number, y 2^(from - bits). */
#include <math.h>

#include "bijection/parts.h"

typedef struct quantize {
  rh_bijection b;
  double step;
} quantize;

static rh_status quantize_create(rh_bijection *b, const rh_build *build, rh_spec *spec) {
  enum { MOST = 16 };
  (void)build;
  const int64_t from = rh_spec_int(spec, "from", 8, 1, MOST), bits = rh_spec_int(spec, "bits", 5, 1, MOST);
  RH_TRY(rh_spec_status(spec));
  if (bits > from) return rh_spec_fail(spec, "bits", "%lld are more than there are, %lld", (long long)bits, (long long)from);
  ((quantize *)b)->step = ldexp(1, (int)(from - bits));
  b->exact = from == bits;
  return RH_OK;
}

static void quantize_forward(const rh_bijection *b, rh_graph *g, rh_val x, rh_val context, rh_val noise, rh_val *y, rh_val *ladj) {
  (void)context, (void)noise, (void)ladj;
  *y = b->exact ? x : rh_floor(g, rh_mulc(g, x, 1 / ((const quantize *)b)->step));
}

static void quantize_inverse(const rh_bijection *b, rh_graph *g, rh_val y, rh_val context, rh_val *x, rh_val *ladj) {
  (void)context, (void)ladj;
  *x = b->exact ? y : rh_mulc(g, y, ((const quantize *)b)->step);
}

const rh_bijection_type rh_bijection_quantize = {
    .type = "quantize", .bytes = sizeof(quantize), .create = quantize_create, .forward = quantize_forward, .inverse = quantize_inverse};
