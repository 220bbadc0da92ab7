/* PNG images by libpng. What libpng reports comes back by longjmp into `guarded`; all that must outlive it lies in the reader. */
#include <string.h>

#include "data/image_source.h"
#include "data/png_guard.h"

enum { SIGNATURE_BYTES = 8 };

typedef struct reader {
  rh_png_guard guard;
  const char *name;
  const unsigned char *p, *end;
  rh_picture picture;
  png_bytep *row; /* [h]: into the picture's values */
  rh_status status;
  bool cut;
} reader;

static void PNGCBAPI read_some(png_structp png, png_bytep out, size_t n) {
  reader *r = png_get_io_ptr(png);
  if ((size_t)(r->end - r->p) < n) {
    r->cut = true;
    png_error(png, "the file is cut short");
  }
  memcpy(out, r->p, n);
  r->p += n;
}

/* What of a PNG is not read as data, and what to do. */
static const char *refused(const reader *r) {
  const int type = png_get_color_type(r->guard.png, r->guard.info);
  if (type == PNG_COLOR_TYPE_PALETTE) return "a palette, which is not read; write grey or RGB values";
  if (type & PNG_COLOR_MASK_ALPHA) return "an alpha channel, which is not read; write it without (grey or RGB)";
  if (png_get_bit_depth(r->guard.png, r->guard.info) > 8) return "16 bits a channel, which are not read; write 8";
  if (png_get_valid(r->guard.png, r->guard.info, PNG_INFO_tRNS)) return "a transparent colour, which is not read; write it without";
  return NULL;
}

static rh_status prepare(reader *r) {
  const char *what = refused(r);
  rh_picture *p = &r->picture;
  if (what) return rh_fail(RH_E_UNSUPPORTED, "%s: the PNG has %s", r->name, what);
  p->h = png_get_image_height(r->guard.png, r->guard.info);
  p->w = png_get_image_width(r->guard.png, r->guard.info);
  p->c = png_get_channels(r->guard.png, r->guard.info);
  p->most = (1 << png_get_bit_depth(r->guard.png, r->guard.info)) - 1;
  RH_TRY(rh_image_check_size(r->name, p->h, p->w, p->c));
  if (p->h * (int64_t)png_get_rowbytes(r->guard.png, r->guard.info) > (r->end - r->p) * 1100 + 64) { /* deflate cannot pack tighter */
    return rh_fail(RH_E_FORMAT, "%s: the file is cut short: %lld bytes are no image of %lld x %lld; fetch or write it again", r->name,
                   (long long)(r->end - r->p), (long long)p->h, (long long)p->w);
  }
  const size_t stride = (size_t)(p->w * p->c);
  p->values = rh_alloc((size_t)p->h * stride);
  r->row = rh_alloc((size_t)p->h * sizeof *r->row);
  if (!p->values || !r->row) return RH_E_MEMORY;
  for (int64_t y = 0; y < p->h; y++) r->row[y] = p->values + (size_t)y * stride;
  return RH_OK;
}

static void guarded(reader *r) {
  if (setjmp(r->guard.jump)) {
    r->status = RH_E_FORMAT;
    return;
  }
  r->guard.png = png_create_read_struct_2(PNG_LIBPNG_VER_STRING, &r->guard, rh_png_on_error, rh_png_on_warning, &r->guard,
                                          rh_png_take_memory, rh_png_give_memory);
  r->guard.info = r->guard.png ? png_create_info_struct(r->guard.png) : NULL;
  r->status = r->guard.info ? RH_OK : RH_E_MEMORY;
  if (r->status != RH_OK) return;
  png_set_read_fn(r->guard.png, r, read_some);
  png_set_keep_unknown_chunks(r->guard.png, PNG_HANDLE_CHUNK_NEVER, NULL, -1); /* of chunks beside the image only its transparency counts */
  png_set_user_limits(r->guard.png, RH_IMAGE_VALUES, RH_IMAGE_VALUES);
  png_read_info(r->guard.png, r->guard.info);
  r->status = prepare(r);
  if (r->status != RH_OK) return;
  png_set_packing(r->guard.png); /* 1, 2 and 4 bits: a value a byte, not scaled */
  (void)png_set_interlace_handling(r->guard.png);
  png_read_update_info(r->guard.png, r->guard.info);
  png_read_image(r->guard.png, r->row);
  png_read_end(r->guard.png, NULL);
}

static rh_status outcome(const reader *r) {
  if (r->guard.starved) return RH_E_MEMORY;
  if (r->status == RH_E_FORMAT && r->cut) return rh_fail(RH_E_FORMAT, "%s: the PNG is cut short; fetch or write it again", r->name);
  if (r->status == RH_E_FORMAT && r->guard.message[0])
    return rh_fail(RH_E_FORMAT, "%s: the PNG is damaged (%s); fetch or write it again", r->name, r->guard.message);
  if (r->status != RH_OK || r->p == r->end) return r->status;
  return rh_fail(RH_E_FORMAT, "%s: %lld bytes follow the PNG's end; fetch or write the file again", r->name, (long long)(r->end - r->p));
}

static bool sniff(const unsigned char *data, int64_t size) {
  return size >= SIGNATURE_BYTES && png_sig_cmp(data, 0, SIGNATURE_BYTES) == 0;
}

static rh_status decode(const char *name, const unsigned char *data, int64_t size, rh_picture *picture) {
  reader r = {.name = name, .p = data, .end = data + size};
  guarded(&r);
  const rh_status status = outcome(&r);
  png_destroy_read_struct(&r.guard.png, &r.guard.info, NULL);
  rh_free(r.row);
  if (status != RH_OK) {
    rh_free(r.picture.values);
    return status;
  }
  *picture = r.picture;
  return RH_OK;
}

const rh_image_format rh_image_png = {.name = "PNG", .sniff = sniff, .decode = decode};
