/* Parameter gradients: sums over rows of outer products. One operand's columns become vectors, the other's are spread, whichever way
 * wastes fewer lanes. Where a tile has many registers both are read in place, prefetched: their rows lie far apart, where no hardware looks
 * ahead. Where it has few, both are copied close together first: rows a power of two apart want the same few places of the first cache. */
#include <string.h>

#define UNIT 0
#include "kernel/simd/tiles.h"

/* Rows at a time where several tiles read the same columns again: what they share stays in the second cache. */
enum { ROWS_AT_ONCE = RH_BITS == 32 ? 256 : 128, PANELS_AT_ONCE = 4 };
/* Copies: rows that they look ahead, and from how many columns on it pays to copy the spread ones too. These stand in strips, one a tile,
 * each [rows, its columns] and some room behind, so that whole vectors can be written; so many strips at once. */
enum { COPY_AHEAD = 8, LINE = 64 / sizeof(real), PAYS_STRIPS = 8 * RH_PANEL };
enum { ROOM = (ROWS_OF_TWO + RH_LANES - 1) / RH_LANES * RH_LANES, STRIP = ROWS_AT_ONCE * ROWS_OF_TWO + ROOM, STRIPS = 22 };

/* c[i * c_s + j * c_v] (+)= sum_r s[r, i] v[r, j], i < ns, j < nv */
typedef struct rh_outer {
  int64_t ns, nv, rows;
  const real *s;
  int64_t lds; /* 0: s is strips */
  const real *v;
  int64_t ldv;
  real *c;
  int64_t c_s, c_v;
  int accumulate;
  const int64_t *row, *reach; /* ragged: row i stands at c + row[i] and has reach[i] numbers, never fewer than the one before; else NULL */
} rh_outer;

/* The buffer's `ns` rows of t->cols numbers from or to where they belong in c. */
static void exchange(const rh_outer *o, const rh_tile *t, int64_t i, int64_t j, int64_t ns, real *buffer, int64_t width, int out) {
  for (int64_t r = 0; r < ns; r++) {
    real *c = o->row ? o->c + o->row[i + r] + j : o->c + (i + r) * o->c_s + j * o->c_v, *b = buffer + r * width;
    const int64_t left = o->row ? o->reach[i + r] - j : t->cols, n = left < t->cols ? left : t->cols;
    if (o->row) {
      if (n > 0) memcpy(out ? c : b, out ? b : c, (size_t)n * sizeof *c);
      continue;
    }
    for (int64_t l = 0; l < n; l++) {
      if (out)
        c[l * o->c_v] = b[l];
      else
        b[l] = c[l * o->c_v];
    }
  }
}

/* One tile of `kind` for outputs [i, i + ns) x [j, j + t->cols), through a small buffer where c's rows are ragged or vectors run down its
 * columns. */
static void into(const rh_outer *o, rh_tile *t, int64_t i, int64_t j, int64_t ns, rh_tile_kind kind) {
  if (o->c_v == 1 && (!o->row || o->reach[i] >= j + t->cols)) {
    t->c = o->row ? o->c + j : o->c + i * o->c_s + j;
    t->c_row = o->c_s;
    t->c_at = o->row ? o->row + i : NULL;
    tile_run[kind][ns](t, 0, 1);
    return;
  }
  real buffer[TILE_MOST * 4 * RH_LANES];
  const int width = kind == TILE_WIDE ? 2 * RH_PANEL : RH_PANEL;
  t->c = buffer;
  t->c_row = width;
  t->c_at = NULL;
  if (t->accumulate) {
    if (o->row) memset(buffer, 0, (size_t)(ns * width) * sizeof *buffer); /* what lies beyond a row's end is summed, and dropped */
    exchange(o, t, i, j, ns, buffer, width, 0);
  }
  tile_run[kind][ns](t, 0, 1);
  exchange(o, t, i, j, ns, buffer, width, 1);
}

/* Spread columns times the vectors that t->b points at. */
static void column_tiles(const rh_outer *o, rh_tile *t, int64_t j, rh_tile_kind kind) {
  const rh_cut cut = cut_tiles(o->ns, o->lds ? tile_rows[kind] : ROWS_OF_TWO);
  for (int64_t tile = 0, i = 0, width; tile < cut.tiles; tile++, i += width) {
    width = cut.least + (tile < cut.larger);
    if (o->reach && o->reach[i + width - 1] <= j) continue;
    t->a = o->lds ? o->s + i : o->s + tile * STRIP;
    t->a_term = o->lds ? o->lds : width;
    into(o, t, i, j, width, kind);
  }
}

/* Spread columns from i on alone. */
static rh_outer from_column(const rh_outer *o, int64_t i, int64_t n) {
  rh_outer part = *o;
  part.ns = n, part.s = o->s + i;
  if (o->row)
    part.row = o->row + i, part.reach = o->reach + i;
  else
    part.c = o->c + i * o->c_s;
  return part;
}

/* Some panels' columns from j on, each copied close together, zeros after the last: whole vectors may be read there. */
static void copy_panels(const rh_outer *o, int64_t j, int64_t cols, real *to) {
  const real *from = o->v + j;
  for (int64_t r = 0; r < o->rows; r++, from += o->ldv, to += RH_PANEL) {
    real *out = to;
    int64_t c = 0;
    for (int64_t i = 0; i < cols; i += LINE) __builtin_prefetch(from + COPY_AHEAD * o->ldv + i);
    for (; c + RH_PANEL <= cols; c += RH_PANEL, out += ROWS_AT_ONCE * RH_PANEL) {
      vec_store(out, vec_load(from + c));
      vec_store(out + RH_LANES, vec_load(from + c + RH_LANES));
    }
    if (c == cols) continue;
    const int first = (int)(cols - c), more = first - RH_LANES;
    vec_store(out, more >= 0 ? vec_load(from + c) : vec_load_first(from + c, first));
    if (more > 0) vec_store(out + RH_LANES, vec_load_first(from + c + RH_LANES, more));
  }
}

/* The columns from j on, copied. */
static void copied_columns(const rh_outer *o, int64_t j) {
  _Alignas(64) real copy[PANELS_AT_ONCE * ROWS_AT_ONCE * RH_PANEL];
  rh_tile t = {.k = o->rows, .a_row = 1, .b_term = RH_PANEL, .accumulate = o->accumulate};
  for (int64_t some; j < o->nv; j += some) {
    some = o->nv - j < PANELS_AT_ONCE * RH_PANEL ? o->nv - j : PANELS_AT_ONCE * RH_PANEL;
    copy_panels(o, j, some, copy);
    for (int64_t p = 0; p < some; p += RH_PANEL) {
      t.b = copy + p * ROWS_AT_ONCE;
      t.cols = (int)(some - p < RH_PANEL ? some - p : RH_PANEL);
      column_tiles(o, &t, j + p, tile_kind(t.cols));
    }
  }
}

/* The spread columns copied into strips, row by row, to read together what lies together. */
static void copy_strips(const rh_outer *o, real *to) {
  const rh_cut cut = cut_tiles(o->ns, ROWS_OF_TWO);
  for (int64_t r = 0; r < o->rows; r++) {
    const real *from = o->s + r * o->lds, *end = from + o->ns;
    for (int64_t i = 0; i < o->ns; i += LINE) __builtin_prefetch(from + COPY_AHEAD * o->lds + i);
    for (int64_t tile = 0, width; tile < cut.tiles; tile++, from += width) {
      width = cut.least + (tile < cut.larger);
      real *out = to + tile * STRIP + r * width;
      if (end - from >= ROOM)
        for (int l = 0; l < ROOM; l += RH_LANES) vec_store(out + l, vec_load(from + l)); /* the next row writes over what is too much */
      else
        for (int64_t l = 0; l < width; l++) out[l] = from[l];
    }
  }
}

/* The columns from j on, both operands copied. */
static void copied(const rh_outer *o, int64_t j) {
  if (o->nv - j < PAYS_STRIPS) {
    copied_columns(o, j);
    return;
  }
  _Alignas(64) real strips[STRIPS * STRIP];
  const int64_t parts = (o->ns + STRIPS * ROWS_OF_TWO - 1) / (STRIPS * ROWS_OF_TWO);
  for (int64_t p = 0; p < parts; p++) {
    const int64_t i = o->ns * p / parts;
    rh_outer part = from_column(o, i, o->ns * (p + 1) / parts - i);
    copy_strips(&part, strips);
    part.s = strips, part.lds = 0;
    copied_columns(&part, j);
  }
}

/* All full panels, read in place: few tiles, or many registers to a tile, and copying would not pay. */
static void panels_in_place(const rh_outer *o) {
  const int64_t tiles = (o->ns + ROWS_OF_TWO - 1) / ROWS_OF_TWO, whole = o->nv / RH_PANEL * RH_PANEL;
  rh_tile t = {.k = o->rows, .a_row = 1, .b_term = o->ldv, .b_next = RH_PANEL, .accumulate = o->accumulate};
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
    const rh_outer part = from_column(o, i, o->ns * (tile + 1) / tiles - i);
    for (int64_t p = j; p < whole; p += RH_PANEL) t.b = o->v + p, column_tiles(&part, &t, p, TILE_WHOLE);
  }
}

static void outer(const rh_outer *o) {
  const int in_place = o->ns <= ROWS_OF_TWO || ROWS_OF_TWO >= 12;
  const int64_t whole = o->nv - o->nv % RH_PANEL, copy_from = in_place ? whole : 0, step = o->ns <= ROWS_OF_TWO ? o->rows : ROWS_AT_ONCE;
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
      if (pass) copied(&part, copy_from);
    }
}

void RH_SYM(gemm_tn)(int64_t m, int64_t n, int64_t rows, const void *a, int64_t lda, const void *b, int64_t ldb, void *c, int64_t ldc,
                     int accumulate) {
  if (m <= 0 || n <= 0) return;
  const int64_t along_n = m * ((n + RH_LANES - 1) / RH_LANES), along_m = n * ((m + RH_LANES - 1) / RH_LANES);
  rh_outer o = {
      .ns = m, .nv = n, .rows = rows, .s = a, .lds = lda, .v = b, .ldv = ldb, .c = c, .c_s = ldc, .c_v = 1, .accumulate = accumulate};
  if (8 * along_m < 7 * along_n) /* what it writes is turned, which costs some */
    o = (rh_outer){
        .ns = n, .nv = m, .rows = rows, .s = b, .lds = ldb, .v = a, .ldv = lda, .c = c, .c_s = 1, .c_v = ldc, .accumulate = accumulate};
  outer(&o);
}

void RH_SYM(gemm_tn_ragged)(int64_t m, int64_t rows, const void *a, int64_t lda, const void *b, int64_t ldb, void *c, const int64_t *row,
                            const int64_t *reach, int accumulate) {
  if (m <= 0 || reach[m - 1] <= 0) return;
  const rh_outer o = {.ns = m,
                      .nv = reach[m - 1],
                      .rows = rows,
                      .s = a,
                      .lds = lda,
                      .v = b,
                      .ldv = ldb,
                      .c = c,
                      .c_v = 1,
                      .accumulate = accumulate,
                      .row = row,
                      .reach = reach};
  outer(&o);
}

/* ---- images: the spread operand is a matrix [pixels, o], the vectors are windows, which lie in the image in runs of a line each ---- */

/* A run of a window's numbers [first, ...): where it lies from the window's first pixel on, and where in a copy. */
typedef struct rh_run {
  int64_t from;
  int to, n;
} rh_run;

/* Numbers [first, first + cols) of a window as runs; how many. */
static int window_runs(const rh_conv_shape *s, int64_t first, int cols, rh_run *run) {
  const int64_t line = s->kw * s->c;
  int runs = 0;
  for (int to = 0; to < cols; to += run[runs++].n) {
    const int64_t at = first + to, left = line - at % line;
    run[runs] = (rh_run){at / line * s->w * s->c + at % line, to, (int)(left < cols - to ? left : cols - to)};
  }
  return runs;
}

/* Those of pixels [pixel, pixel + count) of all images, a row each, zeros behind them. */
static void copy_windows(const rh_conv_shape *s, const real *x, int64_t pixel, int64_t count, int64_t first, int cols, real *to) {
  rh_run run[RH_PANEL];
  const int runs = window_runs(s, first, cols, run), one = runs == 1;
  const int low = cols < RH_LANES ? cols : RH_LANES, high = cols - low;
  int64_t q = pixel % s->ow, p = pixel / s->ow % s->oh, image = pixel / (s->ow * s->oh);
  for (int64_t i = 0; i < count; i++, to += RH_PANEL) {
    const real *at = x + ((image * s->h + p * s->stride) * s->w + q * s->stride) * s->c;
    if (one) {
      vec_store(to, vec_load_first(at + run[0].from, low));
      vec_store(to + RH_LANES, high > 0 ? vec_load_first(at + run[0].from + RH_LANES, high) : vec_splat(0));
    } else {
      for (int r = 0; r < runs; r++)
        for (int l = 0; l < run[r].n; l++) to[run[r].to + l] = at[run[r].from + l];
      for (int l = cols; l < RH_PANEL; l++) to[l] = 0;
    }
    if (++q < s->ow) continue;
    q = 0;
    if (++p == s->oh) p = 0, image++;
  }
}

/* Windows' numbers [first, first + cols) in place, for a spread operand of a single tile: whole vectors, in one run. false: they are not.
 */
static int windows_in_place(const rh_conv_shape *s, const rh_outer *o, int64_t images, const real *x, int64_t first, int cols) {
  const int64_t line = s->kw * s->c, pixel = s->stride * s->c, step = s->stride * s->w * s->c;
  if (o->ns > ROWS_OF_TWO || cols < RH_PANEL || first % line + cols > line) return 0;
  rh_tile t = {.k = s->ow,
               .a = o->s,
               .a_row = 1,
               .a_term = o->lds,
               .lines = s->oh,
               .b_skip = step - s->ow * pixel,
               .images = images,
               .b_image_skip = s->h * s->w * s->c - s->oh * step,
               .b = x + first / line * s->w * s->c + first % line,
               .b_term = pixel,
               .c = o->c + first,
               .c_row = o->c_s,
               .cols = cols,
               .accumulate = o->accumulate};
  tile_run[TILE_WHOLE][o->ns](&t, 0, 1);
  return 1;
}

void RH_SYM(conv_tn)(const rh_conv_shape *s, int64_t images, int64_t first, int64_t n, const void *x, const void *dy, void *dw,
                     int accumulate) {
  _Alignas(64) real copy[ROWS_AT_ONCE * RH_PANEL];
  const int64_t pixels = images * s->oh * s->ow, terms = s->kh * s->kw * s->c;
  rh_outer o = {.ns = s->o, .nv = terms, .s = dy, .lds = s->o, .c = dw, .c_s = terms, .c_v = 1, .accumulate = accumulate};
  for (int64_t j = first, cols; j < first + n; j += cols) {
    cols = first + n - j < RH_PANEL ? first + n - j : RH_PANEL;
    o.s = dy, o.accumulate = accumulate;
    if (pixels > 0 && windows_in_place(s, &o, images, x, j, (int)cols)) continue;
    for (int64_t at = 0; at == 0 || at < pixels; at += ROWS_AT_ONCE, o.accumulate = 1) {
      o.rows = pixels - at < ROWS_AT_ONCE ? pixels - at : ROWS_AT_ONCE;
      o.s = (const real *)dy + at * s->o;
      copy_windows(s, x, at, o.rows, j, (int)cols, copy);
      rh_tile t = {.k = o.rows, .a_row = 1, .b = copy, .b_term = RH_PANEL, .cols = (int)cols, .accumulate = o.accumulate};
      column_tiles(&o, &t, j, tile_kind(cols));
    }
  }
}
