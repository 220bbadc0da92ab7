/* A vector as an image: {"type": "image", "shape": [h, w, c]}, row-major: pixel by pixel, the channels of one together. The same numbers.
 */
#include "bijection/parts.h"

static rh_status image_create(rh_bijection *b, const rh_build *build, rh_spec *spec) {
  int64_t dim[3] = {0};
  int n = 0;
  (void)build;
  rh_spec_ints(spec, "shape", 1, 1 << 20, 3, &n, dim);
  RH_TRY(rh_spec_status(spec));
  if (n != 3) return rh_spec_fail(spec, "shape", "expected [height, width, channels]");
  const int64_t count = rh_shape_count(&b->in);
  if ((double)dim[0] * (double)dim[1] * (double)dim[2] != (double)count)
    return rh_spec_fail(spec, "shape", "an image of %lld x %lld with %lld channels has %lld numbers, a row has %lld", (long long)dim[0],
                        (long long)dim[1], (long long)dim[2], (long long)(dim[0] * dim[1] * dim[2]), (long long)count);
  b->out = rh_shape3(dim[0], dim[1], dim[2]);
  return RH_OK;
}

static void image_forward(const rh_bijection *b, rh_graph *g, rh_val x, rh_val context, rh_val noise, rh_val *y, rh_val *ladj) {
  (void)context, (void)noise, (void)ladj;
  *y = rh_reshape(g, x, b->out);
}

static void image_inverse(const rh_bijection *b, rh_graph *g, rh_val y, rh_val context, rh_val *x, rh_val *ladj) {
  (void)context, (void)ladj;
  *x = rh_reshape(g, y, b->in);
}

const rh_bijection_type rh_bijection_image = {
    .type = "image", .bytes = sizeof(rh_bijection), .create = image_create, .forward = image_forward, .inverse = image_inverse};
