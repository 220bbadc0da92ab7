/* Frames, ticks, numbers and texts. */
#include <math.h>
#include <stdio.h>

#include "plot.h"

enum { TICKS = 5 };
static const double small = 11, ink = 0.15;

double plot_x(const plot_frame *f, double value) {
  return f->left + (value - f->low[0]) / (f->high[0] - f->low[0]) * f->width;
}

double plot_y(const plot_frame *f, double value) {
  return f->top + f->height - (value - f->low[1]) / (f->high[1] - f->low[1]) * f->height;
}

void plot_text(cairo_t *cr, double x, double y, double at, double room, double size, const char *text) {
  cairo_text_extents_t extents;
  cairo_set_source_rgb(cr, ink, ink, ink);
  cairo_set_font_size(cr, size);
  cairo_text_extents(cr, text, &extents);
  if (extents.x_advance > room) {
    cairo_set_font_size(cr, size * room / extents.x_advance);
    cairo_text_extents(cr, text, &extents);
  }
  cairo_move_to(cr, x - at * extents.x_advance, y);
  cairo_show_text(cr, text);
}

/* 1, 2 or 5 times a power of ten, about TICKS of them in the range. */
static double tick_step(double low, double high) {
  const double raw = (high - low) / TICKS, power = pow(10, floor(log10(raw))), digit = raw / power;
  return power * (digit < 1.5 ? 1 : digit < 3.5 ? 2 : digit < 7.5 ? 5 : 10);
}

/* As many digits as tell neighbouring ticks apart. */
static void tick_text(double value, double step, double most, char text[32]) {
  const int places = (int)-floor(log10(step) + 1e-9);
  if (most < 1e5 && step > 1e-5)
    snprintf(text, 32, "%.*f", places > 0 ? places : 0, value);
  else
    snprintf(text, 32, "%.*g", (int)ceil(log10(most / step)) + 1, value);
}

/* Labels that stand at the end of an axis are moved inwards as far as they would leave the picture: so much is right of every frame. */
static const double margin = 14;

/* spacing: of neighbouring ticks, which labels keep clear of each other in. */
static void below(const plot_frame *f, double x, double spacing, const char *text) {
  cairo_text_extents_t extents;
  const double end = f->left + f->width + margin, room = fmin(70, fmin(0.9 * spacing, end - x + 0.45 * spacing));
  cairo_set_font_size(f->cr, small);
  cairo_text_extents(f->cr, text, &extents);
  const double half = fmin(extents.x_advance, room) / 2;
  plot_text(f->cr, fmin(x, end - half), f->top + f->height + 16, 0.5, room, small, text);
}

typedef enum tick_side { BELOW, LEFT, RIGHT } tick_side;

static void tick(const plot_frame *f, tick_side side, double value, double step, const char *text) {
  const double x = side == BELOW ? plot_x(f, value) : side == LEFT ? f->left : f->left + f->width;
  const double y = side == BELOW ? f->top + f->height : plot_y(f, value), out = side == LEFT ? -4 : 4;
  cairo_set_source_rgb(f->cr, ink, ink, ink);
  cairo_move_to(f->cr, x, y);
  cairo_rel_line_to(f->cr, side == BELOW ? 0 : out, side == BELOW ? out : 0);
  cairo_stroke(f->cr);
  if (side == BELOW)
    below(f, x, plot_x(f, value + step) - x, text);
  else
    plot_text(f->cr, x + 1.75 * out, y + 4, side == LEFT, 42, small, text);
}

static void ticks(const plot_frame *f, tick_side side) {
  const int axis = side != BELOW;
  const double low = f->low[axis], high = f->high[axis], step = tick_step(low, high), most = fmax(fabs(low), fabs(high));
  const double first = ceil(low / step), last = floor(high / step);
  for (int i = 0; i <= last - first && i < 4 * TICKS; i++) {
    const double k = first + i;
    char text[32];
    tick_text(k == 0 ? 0 : k * step, step, most, text);
    tick(f, side, k * step, step, text);
  }
}

static void border(const plot_frame *f) {
  cairo_set_source_rgb(f->cr, ink, ink, ink);
  cairo_set_line_width(f->cr, 0.8);
  cairo_rectangle(f->cr, f->left, f->top, f->width, f->height);
  cairo_stroke(f->cr);
}

void plot_axes(const plot_frame *f, const char *x_name, const char *y_name) {
  border(f);
  ticks(f, BELOW);
  ticks(f, LEFT);
  if (x_name) plot_text(f->cr, f->left + f->width / 2, f->top + f->height + 36, 0.5, f->width, small + 1, x_name);
  if (!y_name) return;
  cairo_save(f->cr);
  cairo_translate(f->cr, f->left - 49, f->top + f->height / 2);
  cairo_rotate(f->cr, -1.5707963267948966);
  plot_text(f->cr, 0, 0, 0.5, f->height, small + 1, y_name);
  cairo_restore(f->cr);
}

void plot_right_axis(const plot_frame *f) {
  border(f);
  ticks(f, RIGHT);
}
