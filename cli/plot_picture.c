/* A picture's bytes: panels side by side on a surface of cairo's, PNG or SVG. They hold no time and no name: the same picture, the same
 * bytes. */
#include <cairo-svg.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "plot.h"

static const double png_scale = 1.5, left = 64, top = 46, bottom = 48, height = 340;

typedef struct buffer {
  unsigned char *bytes;
  size_t size, room;
} buffer;

static cairo_status_t append(void *to, const unsigned char *bytes, unsigned int n) {
  buffer *b = to;
  if (b->size + n > b->room) {
    const size_t room = 2 * (b->size + n);
    unsigned char *more = realloc(b->bytes, room);
    if (!more) return CAIRO_STATUS_NO_MEMORY;
    b->bytes = more;
    b->room = room;
  }
  memcpy(b->bytes + b->size, bytes, n);
  b->size += n;
  return CAIRO_STATUS_SUCCESS;
}

/* ---- formats ---- */

static cairo_surface_t *png_begin(buffer *b, double w, double h) {
  (void)b;
  cairo_surface_t *s = cairo_image_surface_create(CAIRO_FORMAT_RGB24, (int)(png_scale * w), (int)(png_scale * h));
  cairo_surface_set_device_scale(s, png_scale, png_scale);
  return s;
}

static cairo_status_t png_end(buffer *b, cairo_surface_t *s) {
  return cairo_surface_write_to_png_stream(s, append, b);
}

static cairo_surface_t *svg_begin(buffer *b, double w, double h) {
  return cairo_svg_surface_create_for_stream(append, b, w, h);
}

static cairo_status_t svg_end(buffer *b, cairo_surface_t *s) {
  (void)b;
  cairo_surface_finish(s);
  return cairo_surface_status(s);
}

static const struct {
  const char *ending;
  cairo_surface_t *(*begin)(buffer *b, double w, double h);
  cairo_status_t (*end)(buffer *b, cairo_surface_t *s);
} formats[] = {{".png", png_begin, png_end}, {".svg", svg_begin, svg_end}};
enum { FORMATS = sizeof formats / sizeof *formats };

/* FORMATS: none. */
static int format_of(const char *output) {
  const size_t n = strlen(output);
  int i = 0;
  while (i < FORMATS && (n < 5 || strcasecmp(output + n - 4, formats[i].ending) != 0)) i++;
  return i;
}

bool plot_format_known(const char *output) {
  return format_of(output) < FORMATS;
}

/* ---- the page ---- */

static double page_width(const plot *p) {
  double w = 0;
  for (int i = 0; i < plot_panel_count; i++)
    if (plot_panels[i].wanted(p)) w += left + plot_panels[i].width + plot_panels[i].right;
  return w;
}

static void page(const plot *p, cairo_t *cr) {
  cairo_font_options_t *font = cairo_font_options_create(); /* of no screen: what the machine's settings say does not matter */
  cairo_font_options_set_hint_style(font, CAIRO_HINT_STYLE_NONE);
  cairo_font_options_set_hint_metrics(font, CAIRO_HINT_METRICS_OFF);
  cairo_font_options_set_antialias(font, CAIRO_ANTIALIAS_GRAY);
  cairo_set_font_options(cr, font);
  cairo_font_options_destroy(font);
  cairo_select_font_face(cr, "sans-serif", CAIRO_FONT_SLANT_NORMAL, CAIRO_FONT_WEIGHT_NORMAL);
  cairo_set_source_rgb(cr, 1, 1, 1);
  cairo_paint(cr);
  double x = 0;
  for (int i = 0; i < plot_panel_count; i++) {
    const plot_panel *panel = &plot_panels[i];
    if (!panel->wanted(p)) continue;
    plot_frame f = {.cr = cr, .left = x + left, .top = top, .width = panel->width, .height = height};
    memcpy(f.low, p->low, sizeof f.low);
    memcpy(f.high, p->high, sizeof f.high);
    panel->draw(p, &f);
    x += left + panel->width + panel->right;
  }
}

int plot_picture(const plot *p, const char *output, unsigned char **bytes, size_t *size) {
  const int format = format_of(output);
  buffer b = {0};
  cairo_surface_t *surface = formats[format].begin(&b, page_width(p), top + height + bottom);
  cairo_t *cr = cairo_create(surface);
  page(p, cr);
  cairo_status_t status = cairo_status(cr);
  cairo_destroy(cr);
  if (status == CAIRO_STATUS_SUCCESS) status = formats[format].end(&b, surface);
  cairo_surface_destroy(surface);
  if (status != CAIRO_STATUS_SUCCESS) {
    free(b.bytes);
    return complain(EXIT_FAILED, "%s: cannot draw the picture: %s", output, cairo_status_to_string(status));
  }
  *bytes = b.bytes;
  *size = b.size;
  return EXIT_DONE;
}
