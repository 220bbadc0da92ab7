/* A picture of a density of one or two columns: what stands in it, and the steps to it. Only the program that draws has these files. */
#ifndef RHEO_CLI_PLOT_H
#define RHEO_CLI_PLOT_H
#include <cairo.h>

#include "cli.h"

enum { PLOT_LEVELS = 2 };
extern const double plot_shares[PLOT_LEVELS]; /* of the mass, within the contour lines */

typedef struct plot_points {
  int64_t n, drawn; /* rows; how many of them are drawn as dots */
  double *at;       /* [n, d] */
} plot_points;

/* States on the way from the base to samples. */
typedef struct plot_path_bundle {
  int64_t n, times; /* n 0: there are none */
  double time;      /* from the base, at this time, to the data, at 0 */
  double *at;       /* [n, times, d] */
  double low[2], high[2];
} plot_path_bundle;

typedef struct plot {
  int d;               /* columns: 1 or 2 */
  const char *name[2]; /* theirs */
  const char *given;   /* the context as it was given, or NULL */
  double *context;     /* [c], or NULL */
  double low[2], high[2];
  int64_t side;              /* cells of the grid along an axis */
  double *grid;              /* [side^d], the first column innermost: density in the middle of each cell, over the greatest */
  double log_peak;           /* log of the greatest */
  double mass;               /* on the grid: 1 where it holds all of the density and is fine enough */
  double level[PLOT_LEVELS]; /* over the greatest; 0: the grid has less mass than that share */
  double darkest;  /* likewise, where the colours end: the least part of the mass lies above, so that a needle leaves the rest its shades */
  int64_t unknown; /* cells whose density was not found */
  plot_points samples, data;
  plot_path_bundle paths;
  json_t *info, *report;
} plot;

/* ---- what is drawn: each EXIT_DONE, or the error printed ---- */

int plot_take_points(plot *p, const cli_args *args, rh_density *density); /* samples and data, and from them the range */
int plot_take_paths(plot *p, const cli_args *args, rh_density *density);  /* of a density that has them, to the first samples */
int plot_take_grid(plot *p, rh_density *density);

/* ---- drawing ---- */

/* A panel's axes: values low to high from left to right and from the bottom to the top of a rectangle. */
typedef struct plot_frame {
  cairo_t *cr;
  double left, top, width, height;
  double low[2], high[2];
} plot_frame;
double plot_x(const plot_frame *f, double value);
double plot_y(const plot_frame *f, double value);
/* `text` at most `room` wide; at: 0 begins at x, 1/2 has its middle there, 1 ends there. y: its base line. */
void plot_text(cairo_t *cr, double x, double y, double at, double room, double size, const char *text);
/* Border, ticks and numbers; names may be NULL. */
void plot_axes(const plot_frame *f, const char *x_name, const char *y_name);
/* The same on the right-hand side alone, for a bar of colours. */
void plot_right_axis(const plot_frame *f);

/* The colour of a density, 0 to 1 of the greatest: red, green, blue from 0 to 1. */
void plot_colour(double share, double rgb[3]);
void plot_contour(const plot_frame *f, const double *grid, int64_t side, double level);

/* A panel of the picture: its place, the frame's width beside the margins, and how it is drawn where it is wanted. */
typedef struct plot_panel {
  double width, right; /* of the frame; of what stands on its right-hand side */
  bool (*wanted)(const plot *p);
  void (*draw)(const plot *p, plot_frame *f);
} plot_panel;
extern const plot_panel plot_panels[];
extern const int plot_panel_count;

/* The picture's bytes, PNG or SVG by the output's name; freed by the caller. EXIT_DONE, or the error printed. */
bool plot_format_known(const char *output);
int plot_picture(const plot *p, const char *output, unsigned char **bytes, size_t *size);
#endif
