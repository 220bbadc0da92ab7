/* Contour lines by marching squares (Lorensen & Cline 1987, in the plane): through each square of four neighbouring values, linearly. */
#include "plot.h"

/* Edges of a square: below, right, above, left; its corners in that order from the lower left. By which corners lie above the level (bits
 * in that order), the edges that a line goes between, in pairs. */
static const signed char lines[16][4] = {{-1},       {3, 0, -1}, {0, 1, -1},   {3, 1, -1}, {1, 2, -1}, {3, 0, 1, 2}, {0, 2, -1}, {3, 2, -1},
                                         {2, 3, -1}, {2, 0, -1}, {0, 1, 2, 3}, {2, 1, -1}, {1, 3, -1}, {1, 0, -1},   {0, 3, -1}, {-1}};
static const int corner[4][2] = {{0, 0}, {1, 0}, {1, 1}, {0, 1}};

/* Where the line crosses an edge, in cells from the square's lower left corner. */
static void crossing(const double value[4], int edge, double level, double at[2]) {
  const int a = edge, b = (edge + 1) % 4;
  const double share = (level - value[a]) / (value[b] - value[a]);
  for (int j = 0; j < 2; j++) at[j] = corner[a][j] + share * (corner[b][j] - corner[a][j]);
}

static void square(const plot_frame *f, const double value[4], double level, const double at[2], double side) {
  int above = 0;
  for (int k = 0; k < 4; k++) above |= (value[k] >= level) << k;
  for (int k = 0; k < 4 && lines[above][k] >= 0; k++) {
    double cell[2];
    crossing(value, lines[above][k], level, cell);
    const double x = f->left + (at[0] + 0.5 + cell[0]) / side * f->width;
    const double y = f->top + f->height - (at[1] + 0.5 + cell[1]) / side * f->height;
    (k % 2 ? cairo_line_to : cairo_move_to)(f->cr, x, y);
  }
}

void plot_contour(const plot_frame *f, const double *grid, int64_t side, double level) {
  for (int64_t i = 0; i + 1 < side; i++) {
    for (int64_t j = 0; j + 1 < side; j++) {
      const double *v = grid + i * side + j, value[4] = {v[0], v[1], v[side + 1], v[side]}, at[2] = {(double)j, (double)i};
      square(f, value, level, at, (double)side);
    }
  }
  cairo_stroke(f->cr);
}
