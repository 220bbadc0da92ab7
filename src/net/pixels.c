#include "net/pixels.h"

#include "base/memory.h"

/* y[i] = x[index(i)] for an index that is made here; RH_NONE when there is no memory for it. */
static int32_t *index_for(rh_graph *g, rh_val x, int64_t count) {
  if (g->status != RH_OK || rh_is_none(x)) return NULL;
  int32_t *index = rh_alloc((size_t)count * sizeof *index);
  if (!index) g->status = RH_E_MEMORY;
  return index;
}

static rh_val gather(rh_graph *g, rh_val x, rh_shape shape, int32_t *index) {
  const rh_val y = rh_gather(g, x, shape, index);
  rh_free(index);
  return y;
}

rh_val rh_channels_of(rh_graph *g, rh_val x, int64_t first, int64_t count) {
  if (g->status != RH_OK) return RH_NONE;
  const rh_shape s = rh_at(g, x)->shape;
  const int64_t n = s.dim[0] * s.dim[1] * count;
  if (count == s.dim[2]) return x;
  int32_t *index = index_for(g, x, n);
  if (!index) return RH_NONE;
  for (int64_t i = 0; i < n; i++) index[i] = (int32_t)(i / count * s.dim[2] + first + i % count);
  return gather(g, x, rh_shape3(s.dim[0], s.dim[1], count), index);
}

/* ---- padding ---- */

const char *const rh_padding_names[] = {
    [RH_PAD_ZERO] = "zero", [RH_PAD_REFLECT] = "reflect", [RH_PAD_CIRCULAR] = "circular", [RH_PAD_REPLICATE] = "replicate", NULL};

/* Which of n places stands at i, -p <= i < n + p; negative: none. */
static int64_t place(rh_padding how, int64_t i, int64_t n) {
  if (i >= 0 && i < n) return i;
  if (how == RH_PAD_REFLECT) return i < 0 ? -i : 2 * (n - 1) - i;
  if (how == RH_PAD_CIRCULAR) return i < 0 ? i + n : i - n;
  if (how == RH_PAD_REPLICATE) return i < 0 ? 0 : n - 1;
  return -1;
}

rh_val rh_pad(rh_graph *g, rh_val x, rh_padding how, int64_t p) {
  if (g->status != RH_OK || p == 0) return g->status == RH_OK ? x : RH_NONE;
  const rh_shape s = rh_at(g, x)->shape;
  const int64_t h = s.dim[0], w = s.dim[1], c = s.dim[2], wide = w + 2 * p;
  const rh_shape padded = rh_shape3(h + 2 * p, wide, c);
  int32_t *index = index_for(g, x, rh_shape_count(&padded));
  if (!index) return RH_NONE;
  for (int64_t i = 0; i < padded.dim[0]; i++)
    for (int64_t j = 0; j < wide; j++) {
      const int64_t a = place(how, i - p, h), b = place(how, j - p, w);
      for (int64_t k = 0; k < c; k++) index[(i * wide + j) * c + k] = a < 0 || b < 0 ? -1 : (int32_t)((a * w + b) * c + k);
    }
  return gather(g, x, padded, index);
}
