/* Parameter gradients: sums over rows of outer products. One operand's columns become vectors, the other's are spread, whichever way
 * wastes fewer lanes. Both are read in place, prefetched: their rows lie far apart, where no hardware looks ahead. */
#define UNIT 0
#include "kernel/simd/tiles.h"

/* Rows at a time where several tiles read the same columns again: what they share stays in the second cache. */
enum { ROWS_AT_ONCE = 256 };

/* c[i * c_s + j * c_v] (+)= sum_r s[r, i] v[r, j], i < ns, j < nv */
typedef struct rh_outer {
  int64_t ns, nv, rows;
  const real *s;
  int64_t lds;
  const real *v;
  int64_t ldv;
  real *c;
  int64_t c_s, c_v;
  int accumulate;
} rh_outer;

/* Tiles of `kind` for ns outputs into c, through a small transposed buffer where vectors run down c's columns. */
static void into(const rh_outer *o, rh_tile *t, int64_t ns, rh_tile_kind kind, real *c) {
  if (o->c_v == 1) {
    t->c = c;
    t->c_row = o->c_s;
    run_tiles(*t, ns, kind);
    return;
  }
  real buffer[TILE_MOST * 4 * RH_LANES];
  const int width = kind == TILE_WIDE ? 2 * RH_PANEL : RH_PANEL;
  t->c = buffer;
  t->c_row = width;
  for (int64_t i = 0; t->accumulate && i < ns; i++)
    for (int j = 0; j < t->cols; j++) buffer[i * width + j] = c[i * o->c_s + j * o->c_v];
  run_tiles(*t, ns, kind);
  for (int j = 0; j < t->cols; j++)
    for (int64_t i = 0; i < ns; i++) c[i * o->c_s + j * o->c_v] = buffer[i * width + j];
}

/* Spread columns in tiles as even as can be, times the vectors that t->b points at. */
static void column_tiles(const rh_outer *o, rh_tile *t, int64_t j, rh_tile_kind kind) {
  const int64_t most = tile_rows[kind], tiles = (o->ns + most - 1) / most;
  for (int64_t tile = 0; tile < tiles; tile++) {
    const int64_t i = o->ns * tile / tiles, end = o->ns * (tile + 1) / tiles;
    t->a = o->s + i;
    into(o, t, end - i, kind, o->c + i * o->c_s + j * o->c_v);
  }
}

/* A panel's columns from j on, copied close together, zeros after the last: whole vectors may be read there. */
static void copied_panel(const rh_outer *o, int64_t j) {
  real copy[ROWS_AT_ONCE * RH_PANEL];
  const int cols = (int)(o->nv - j < RH_PANEL ? o->nv - j : RH_PANEL), more = cols - RH_LANES;
  rh_tile t = {.k = o->rows, .a_row = 1, .a_term = o->lds, .b = copy, .b_term = RH_PANEL, .cols = cols, .accumulate = o->accumulate};
  const real *from = o->v + j;
  for (int64_t r = 0; r < o->rows; r++, from += o->ldv) {
    vec_store(copy + r * RH_PANEL, cols >= RH_LANES ? vec_load(from) : vec_load_first(from, cols));
    if (more > 0)
      vec_store(copy + r * RH_PANEL + RH_LANES, more >= RH_LANES ? vec_load(from + RH_LANES) : vec_load_first(from + RH_LANES, more));
  }
  column_tiles(o, &t, j, tile_kind(cols));
}

/* All full panels, read in place: few tiles, or many registers to a tile, and copying would not pay. */
static void panels_in_place(const rh_outer *o) {
  const int64_t tiles = (o->ns + ROWS_OF_TWO - 1) / ROWS_OF_TWO, whole = o->nv / RH_PANEL * RH_PANEL;
  rh_tile t = {.k = o->rows, .a_row = 1, .a_term = o->lds, .b_term = o->ldv, .b_next = RH_PANEL, .accumulate = o->accumulate};
  rh_outer part = *o;
  int64_t j = 0;
  for (; o->ns <= ROWS_OF_FOUR && j + 2 * RH_PANEL <= whole; j += 2 * RH_PANEL) {
    t.b = o->v + j, t.cols = 2 * RH_PANEL;
    column_tiles(o, &t, j, TILE_WIDE);
  }
  t.cols = RH_PANEL;
  if (o->ns <= o->nv) {
    for (; j < whole; j += RH_PANEL) t.b = o->v + j, column_tiles(o, &t, j, TILE_WHOLE);
    return;
  }
  for (int64_t tile = 0; tile < tiles; tile++) { /* the wider operand's loop is the outer one */
    const int64_t i = o->ns * tile / tiles;
    part.s = o->s + i, part.c = o->c + i * o->c_s, part.ns = o->ns * (tile + 1) / tiles - i;
    for (int64_t p = j; p < whole; p += RH_PANEL) t.b = o->v + p, column_tiles(&part, &t, p, TILE_WHOLE);
  }
}

static void outer(const rh_outer *o) {
  const int in_place = o->ns <= ROWS_OF_TWO || ROWS_OF_TWO >= 12;
  const int64_t whole = o->nv - o->nv % RH_PANEL, copied = in_place ? whole : 0, step = o->ns <= ROWS_OF_TWO ? o->rows : ROWS_AT_ONCE;
  rh_outer part = *o;
  for (int pass = 0; pass < 2; pass++) /* full panels, then what is left */
    for (int64_t r = 0, some; r == 0 || r < o->rows; r += some ? some : 1) {
      const int64_t most = pass ? ROWS_AT_ONCE : step;
      some = o->rows - r < most ? o->rows - r : most;
      part.rows = some;
      part.s = o->s + r * o->lds;
      part.v = o->v + r * o->ldv;
      part.accumulate = o->accumulate || r > 0;
      if (!pass && in_place) panels_in_place(&part);
      for (int64_t j = copied; pass && j < o->nv; j += RH_PANEL) copied_panel(&part, j);
    }
}

void RH_SYM(gemm_tn)(int64_t m, int64_t n, int64_t rows, const void *a, int64_t lda, const void *b, int64_t ldb, void *c, int64_t ldc,
                     int accumulate) {
  if (m <= 0 || n <= 0) return;
  const int64_t along_n = m * ((n + RH_LANES - 1) / RH_LANES), along_m = n * ((m + RH_LANES - 1) / RH_LANES);
  rh_outer o = {
      .ns = m, .nv = n, .rows = rows, .s = a, .lds = lda, .v = b, .ldv = ldb, .c = c, .c_s = ldc, .c_v = 1, .accumulate = accumulate};
  if (along_m < along_n)
    o = (rh_outer){
        .ns = n, .nv = m, .rows = rows, .s = b, .lds = ldb, .v = a, .ldv = lda, .c = c, .c_s = 1, .c_v = ldc, .accumulate = accumulate};
  outer(&o);
}
