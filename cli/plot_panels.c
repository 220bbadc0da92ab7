/* The panels of a picture. Another one is a function and a row of the table at the end. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "plot.h"

static const double title_size = 12, blue[3] = {0.10, 0.30, 0.62}, orange[3] = {0.90, 0.42, 0.05};

/* What densities are in units of: exp(log_peak), where that is a number; else 1, and they are shares of the greatest. */
static double unit(const plot *p) {
  const double peak = exp(p->log_peak);
  return isnormal(peak) ? peak : 1;
}

static const char *density_title(const plot *p, char text[200]) {
  const char *given = p->given ? p->given : "";
  char peak[64];
  if (isnormal(exp(p->log_peak)))
    snprintf(peak, sizeof peak, "%.4g", exp(p->log_peak));
  else
    snprintf(peak, sizeof peak, "exp(%.6g), its unit here", p->log_peak);
  snprintf(text, 200, "density%s%.80s, up to %s", p->given ? " given " : "", given, peak);
  return text;
}

/* ---- two columns: the density ---- */

static bool is_plane(const plot *p) {
  return p->d == 2;
}

/* share(x, y) of a w x h image over a rectangle, smoothed; from `darkest` on there is one colour. */
static void paint(const plot_frame *f, int w, int h, const double *share, double darkest) {
  cairo_surface_t *image = cairo_image_surface_create(CAIRO_FORMAT_RGB24, w, h);
  unsigned char *data = cairo_image_surface_get_data(image);
  for (int i = 0; data && i < h; i++) {
    uint32_t *line = (uint32_t *)(void *)(data + (h - 1 - i) * cairo_image_surface_get_stride(image));
    for (int j = 0; j < w; j++) {
      double rgb[3];
      plot_colour(fmin(1, share[i * w + j] / darkest), rgb);
      line[j] = 0;
      for (int k = 0; k < 3; k++) line[j] = line[j] << 8 | (uint32_t)lround(255 * rgb[k]);
    }
  }
  cairo_surface_mark_dirty(image);
  cairo_save(f->cr);
  cairo_rectangle(f->cr, f->left, f->top, f->width, f->height);
  cairo_clip(f->cr);
  cairo_translate(f->cr, f->left, f->top);
  cairo_scale(f->cr, f->width / w, f->height / h);
  cairo_set_source_surface(f->cr, image, 0, 0);
  cairo_pattern_set_extend(cairo_get_source(f->cr), CAIRO_EXTEND_PAD);
  cairo_paint(f->cr);
  cairo_restore(f->cr);
  cairo_surface_destroy(image);
}

static void bar(const plot *p, const plot_frame *beside) {
  enum { SHADES = 256 };
  double share[SHADES];
  for (int i = 0; i < SHADES; i++) share[i] = i / (SHADES - 1.0);
  plot_frame f = *beside;
  f.left = beside->left + beside->width + 14;
  f.width = 12;
  f.low[1] = 0;
  f.high[1] = p->darkest * unit(p);
  paint(&f, 1, SHADES, share, 1);
  plot_right_axis(&f);
}

static const double NEEDLE = 0.9; /* a scale that ends below is said to: of a smooth mode it ends at 0.98 and more */

static void draw_density(const plot *p, plot_frame *f) {
  static const double width[PLOT_LEVELS] = {1.1, 0.8};
  char title[200];
  paint(f, (int)p->side, (int)p->side, p->grid, p->darkest);
  for (int k = 0; k < PLOT_LEVELS; k++) {
    if (p->level[k] == 0) continue;
    const double shade = p->level[k] > 0.4 * p->darkest ? 1 : 0.1;
    cairo_set_source_rgba(f->cr, shade, shade, shade, 0.85);
    cairo_set_line_width(f->cr, width[k]);
    plot_contour(f, p->grid, p->side, p->level[k]);
  }
  plot_axes(f, p->name[0], p->name[1]);
  bar(p, f);
  plot_text(f->cr, f->left, f->top - 22, 0, f->width + 60, title_size, density_title(p, title));
  snprintf(title, sizeof title, "the lines hold 50 %% and 95 %% of the mass%s", p->darkest < NEEDLE ? "; 1 % lies above the scale" : "");
  plot_text(f->cr, f->left, f->top - 7, 0, f->width + 60, title_size - 1, title);
}

/* ---- two columns: samples and data ---- */

enum { LAYERS = 16 };

static bool has_points(const plot *p) {
  return p->d == 2 && p->samples.drawn + p->data.drawn > 0;
}

/* Where dots overlap they darken, but within a stroke: every LAYERS-th dot goes into one, which keeps an SVG small. */
static void dots(const plot_frame *f, const plot_points *points, const double rgb[3]) {
  const double alpha = fmin(0.6, fmax(0.15, 12 / sqrt((double)points->drawn + 1)));
  cairo_save(f->cr);
  cairo_rectangle(f->cr, f->left, f->top, f->width, f->height);
  cairo_clip(f->cr);
  cairo_set_source_rgba(f->cr, rgb[0], rgb[1], rgb[2], alpha);
  cairo_set_line_cap(f->cr, CAIRO_LINE_CAP_ROUND);
  cairo_set_line_width(f->cr, 3);
  for (int layer = 0; layer < LAYERS; layer++) {
    for (int64_t i = layer; i < points->drawn; i += LAYERS) {
      const double *at = points->at + 2 * (i * points->n / points->drawn), x = plot_x(f, at[0]), y = plot_y(f, at[1]);
      if (!(x >= f->left && x <= f->left + f->width && y >= f->top && y <= f->top + f->height)) continue;
      cairo_move_to(f->cr, x, y);
      cairo_line_to(f->cr, x, y);
    }
    cairo_stroke(f->cr);
  }
  cairo_restore(f->cr);
}

static void key(const plot_frame *f, double y, const double rgb[3], const char *text) {
  cairo_set_source_rgb(f->cr, rgb[0], rgb[1], rgb[2]);
  cairo_arc(f->cr, f->left + 4, y - 4, 3, 0, 6.283185307179586);
  cairo_fill(f->cr);
  plot_text(f->cr, f->left + 12, y, 0, f->width - 12, title_size - 1, text);
}

static void draw_points(const plot *p, plot_frame *f) {
  char text[80];
  dots(f, &p->data, orange);
  dots(f, &p->samples, blue);
  plot_axes(f, p->name[0], NULL);
  if (p->samples.drawn) {
    snprintf(text, sizeof text, "%lld samples", (long long)p->samples.drawn);
    key(f, f->top - 22, blue, text);
  }
  if (p->data.drawn) {
    const bool all = p->data.drawn == p->data.n;
    snprintf(text, sizeof text, all ? "%lld rows of data" : "%lld of %lld rows of data", (long long)p->data.drawn, (long long)p->data.n);
    key(f, f->top - 7, orange, text);
  }
}

/* ---- two columns: paths from the base to samples ---- */

static const double dark[3] = {0.35, 0.35, 0.35};

static bool has_paths(const plot *p) {
  return p->d == 2 && p->paths.n > 0;
}

/* The states at one time, the j-th, of all paths. */
static void ends(const plot_frame *f, const plot_path_bundle *b, int64_t j, const double rgb[3]) {
  cairo_set_source_rgba(f->cr, rgb[0], rgb[1], rgb[2], 0.8);
  for (int64_t i = 0; i < b->n; i++) {
    const double *at = b->at + 2 * (i * b->times + j);
    if (!isfinite(at[0] + at[1])) continue;
    cairo_arc(f->cr, plot_x(f, at[0]), plot_y(f, at[1]), 1.8, 0, 6.283185307179586);
    cairo_fill(f->cr);
  }
}

static void lines(const plot_frame *f, const plot_path_bundle *b) {
  cairo_set_source_rgba(f->cr, 0.3, 0.3, 0.3, 0.45);
  cairo_set_line_width(f->cr, 0.7);
  for (int64_t i = 0; i < b->n; i++) {
    for (int64_t j = 0; j < b->times; j++) {
      const double *at = b->at + 2 * (i * b->times + j);
      if (isfinite(at[0] + at[1]))
        cairo_line_to(f->cr, plot_x(f, at[0]), plot_y(f, at[1]));
      else
        cairo_new_sub_path(f->cr);
    }
    cairo_stroke(f->cr);
  }
}

static void draw_paths(const plot *p, plot_frame *f) {
  const plot_path_bundle *b = &p->paths;
  char text[80];
  memcpy(f->low, b->low, sizeof f->low);
  memcpy(f->high, b->high, sizeof f->high);
  cairo_save(f->cr);
  cairo_rectangle(f->cr, f->left, f->top, f->width, f->height);
  cairo_clip(f->cr);
  lines(f, b);
  ends(f, b, 0, dark);
  ends(f, b, b->times - 1, blue);
  cairo_restore(f->cr);
  plot_axes(f, p->name[0], NULL);
  snprintf(text, sizeof text, "%lld paths from the base, t = %.4g,", (long long)b->n, b->time);
  key(f, f->top - 22, dark, text);
  key(f, f->top - 7, blue, "to samples, t = 0");
}

/* ---- one column: its curve over a histogram ---- */

enum { BINS_MOST = 80 };

static bool is_line(const plot *p) {
  return p->d == 1;
}

/* Densities of `bins` equal parts of the range, over the curve's greatest; returns the greatest of them. */
static double histogram(const plot *p, const plot_points *points, int bins, double height[BINS_MOST]) {
  const double width = (p->high[0] - p->low[0]) / bins;
  double most = 0;
  for (int k = 0; k < bins; k++) height[k] = 0;
  for (int64_t i = 0; i < points->n; i++) {
    const double k = floor((points->at[i] - p->low[0]) / width);
    if (k >= 0 && k < bins) height[(int)k]++;
  }
  for (int k = 0; k < bins; k++) {
    if (height[k] > 0) height[k] = exp(log(height[k] / (double)points->n) - log(width) - p->log_peak);
    most = fmax(most, height[k]);
  }
  return most;
}

static void draw_curve(const plot *p, plot_frame *f) {
  const plot_points *points = p->data.n ? &p->data : &p->samples;
  const double *rgb = p->data.n ? orange : blue;
  const int bins = (int)fmin(BINS_MOST, fmax(10, sqrt((double)points->n)));
  double height[BINS_MOST];
  char title[200];
  f->high[1] = 1.06 * fmax(1, histogram(p, points, bins, height)) * unit(p);
  cairo_set_source_rgba(f->cr, rgb[0], rgb[1], rgb[2], 0.35);
  for (int k = 0; k < bins; k++) {
    const double y = plot_y(f, height[k] * unit(p));
    cairo_rectangle(f->cr, f->left + f->width * k / bins, y, f->width / bins, f->top + f->height - y);
  }
  cairo_fill(f->cr);
  cairo_set_source_rgb(f->cr, blue[0], blue[1], blue[2]);
  cairo_set_line_width(f->cr, 1.5);
  for (int64_t i = 0; i < p->side; i++)
    cairo_line_to(f->cr, f->left + ((double)i + 0.5) / (double)p->side * f->width, plot_y(f, p->grid[i] * unit(p)));
  cairo_stroke(f->cr);
  plot_axes(f, p->name[0], "density");
  plot_text(f->cr, f->left, f->top - 22, 0, f->width, title_size, density_title(p, title));
  snprintf(title, sizeof title, "histogram of %lld %s", (long long)points->n, p->data.n ? "rows of data" : "samples");
  key(f, f->top - 7, rgb, title);
}

const plot_panel plot_panels[] = {
    {.width = 340, .right = 76, .wanted = is_plane, .draw = draw_density},
    {.width = 340, .right = 16, .wanted = has_points, .draw = draw_points},
    {.width = 340, .right = 16, .wanted = has_paths, .draw = draw_paths},
    {.width = 480, .right = 16, .wanted = is_line, .draw = draw_curve},
};
const int plot_panel_count = sizeof plot_panels / sizeof *plot_panels;
