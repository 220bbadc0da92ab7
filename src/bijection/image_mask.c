#include "bijection/image_mask.h"

#include "base/memory.h"
#include "net/pixels.h"

enum { CHANNELS, CHANNELS_SWAP, CHECKERBOARD, CHECKERBOARD_SWAP };
static const char *const names[] = {"channels", "channels-swap", "checkerboard", "checkerboard-swap", NULL};

static bool keeps_pixel(int64_t i, int64_t w, bool odd) {
  return (i / w + i % w) % 2 == odd;
}

static void index_pixels(rh_image_mask *m, bool odd) {
  const int64_t n = rh_shape_count(&m->shape), w = m->shape.dim[1], c = m->shape.dim[2];
  for (int64_t i = 0; i < n; i++) {
    const bool kept = keeps_pixel(i / c, w, odd);
    m->seen_at[i] = kept ? (int32_t)i : -1;
    m->back[i] = kept ? -1 : (int32_t)m->changed;
    if (!kept) m->changed_at[m->changed++] = (int32_t)i;
  }
}

static void index_channels(rh_image_mask *m, bool swap) {
  const int64_t n = rh_shape_count(&m->shape), c = m->shape.dim[2], half = c / 2, kept = rh_shape_count(&m->seen);
  int64_t seen = 0;
  for (int64_t i = 0; i < n; i++) {
    const bool keep = (i % c < half) != swap;
    m->back[i] = (int32_t)(keep ? seen : kept + m->changed);
    if (keep)
      m->seen_at[seen++] = (int32_t)i;
    else
      m->changed_at[m->changed++] = (int32_t)i;
  }
}

rh_status rh_image_mask_read(rh_image_mask *m, rh_spec *spec, rh_shape image) {
  const int kind = rh_spec_choice(spec, "mask", CHANNELS, names);
  RH_TRY(rh_spec_status(spec));
  const int64_t n = rh_shape_count(&image), c = image.dim[2], half = c / 2;
  *m = (rh_image_mask){.shape = image, .seen = image, .pixels = kind >= CHECKERBOARD, .channels = c};
  if (m->pixels && n == c) return rh_spec_fail(spec, "mask", "an image of one pixel has no checkerboard: take \"channels\"");
  if (!m->pixels && c < 2)
    return rh_spec_fail(spec, "mask", "one channel cannot be split: take \"checkerboard\", or put {\"type\": \"squeeze\"} before it");
  if (!m->pixels) m->channels = kind == CHANNELS ? c - half : half, m->seen.dim[2] = c - m->channels;
  const int64_t seen = rh_shape_count(&m->seen), most = m->pixels ? n : n - seen; /* a checkerboard sees all, half of it as zeros */
  m->seen_at = rh_alloc((size_t)(seen + most + n) * sizeof *m->seen_at);
  if (!m->seen_at) return RH_E_MEMORY;
  m->changed_at = m->seen_at + seen, m->back = m->changed_at + most;
  (m->pixels ? index_pixels : index_channels)(m, kind == CHANNELS_SWAP || kind == CHECKERBOARD_SWAP);
  return RH_OK;
}

void rh_image_mask_free(rh_image_mask *m) {
  rh_free(m->seen_at);
  *m = (rh_image_mask){0};
}

void rh_image_mask_split(const rh_image_mask *m, rh_graph *g, rh_val x, rh_val *seen, rh_val *changed) {
  *seen = rh_gather(g, x, m->seen, m->seen_at);
  *changed = rh_gather(g, x, rh_shape1(m->changed), m->changed_at);
}

rh_val rh_image_mask_join(const rh_image_mask *m, rh_graph *g, rh_val seen, rh_val changed) {
  if (m->pixels) return rh_add(g, seen, rh_gather(g, changed, m->shape, m->back));
  return rh_gather(g, rh_concat(g, 2, (rh_val[]){seen, changed}), m->shape, m->back);
}

typedef struct raw_how {
  const rh_image_mask *mask;
  int64_t n; /* of a pixel */
} raw_how;
static int64_t raw_pixel(const void *arg, int64_t i) {
  const raw_how *how = arg;
  const int64_t c = how->mask->channels;
  return how->mask->changed_at[i * c] / c * how->n;
}
rh_val rh_image_mask_raw(const rh_image_mask *m, rh_graph *g, rh_val raw, int64_t params) {
  const rh_shape shape = rh_shape1(params * m->changed);
  if (!m->pixels) return rh_reshape(g, raw, shape);
  const int64_t n = params * m->channels;
  return rh_gather_runs(g, raw, shape, n, raw_pixel, &(raw_how){m, n});
}
