/* Every size of tile, by kind and rows, for one order of a (UNIT as in tile.h). */
#ifndef RH_KERNEL_TILES_H
#define RH_KERNEL_TILES_H
#define V vec
#include "kernel/simd/tile.h"
#undef V
#if RH_HAS_HALF
#define V half
#include "kernel/simd/tile.h"
#undef V
#endif

/* Columns: two panels, one, up to two vectors, one, half of one. */
typedef enum rh_tile_kind { TILE_WIDE, TILE_WHOLE, TILE_TWO, TILE_ONE, TILE_HALF, TILE_KINDS } rh_tile_kind;
enum { TILE_MOST = 14 };
static const int tile_rows[TILE_KINDS] = {ROWS_OF_FOUR, ROWS_OF_TWO, ROWS_OF_TWO, ROWS_OF_ONE, ROWS_OF_ONE};

static inline rh_tile_kind tile_kind(int64_t cols) {
  if (cols > RH_LANES) return cols >= RH_PANEL ? TILE_WHOLE : TILE_TWO;
  return RH_HAS_HALF && cols <= RH_LANES / 2 ? TILE_HALF : TILE_ONE;
}

#if !RH_HAS_HALF
#define half_tile vec_tile
#endif
#define RH_EACH_SIZE(X) X(1) X(2) X(3) X(4) X(5) X(6) X(7) X(8) X(9) X(10) X(11) X(12) X(13) X(14)
#define DEFINE(r)                                                                   \
  static void wide_##r(const rh_tile *t, int64_t first, int64_t tiles) {            \
    if (r <= ROWS_OF_FOUR) vec_tile(t, first, tiles, r, 4, UNIT, 1);                \
  }                                                                                 \
  static void whole_##r(const rh_tile *t, int64_t first, int64_t tiles) {           \
    if (r <= ROWS_OF_TWO) vec_tile(t, first, tiles, r, 2, UNIT, 1);                 \
  }                                                                                 \
  static void two_##r(const rh_tile *t, int64_t first, int64_t tiles) {             \
    if (r <= ROWS_OF_TWO) vec_tile(t, first, tiles, r, 2, UNIT, 0);                 \
  }                                                                                 \
  static void one_##r(const rh_tile *t, int64_t first, int64_t tiles) {             \
    if (r <= ROWS_OF_ONE) vec_tile(t, first, tiles, r, 1, UNIT, 0);                 \
  }                                                                                 \
  static void half_##r(const rh_tile *t, int64_t first, int64_t tiles) {            \
    if (RH_HAS_HALF && r <= ROWS_OF_ONE) half_tile(t, first, tiles, r, 1, UNIT, 0); \
  }
RH_EACH_SIZE(DEFINE)
#define WIDE_SLOT(r)  wide_##r,
#define WHOLE_SLOT(r) whole_##r,
#define TWO_SLOT(r)   two_##r,
#define ONE_SLOT(r)   one_##r,
#define HALF_SLOT(r)  half_##r,
static rh_tile_fn *const tile_run[TILE_KINDS][TILE_MOST + 1] = {{0, RH_EACH_SIZE(WIDE_SLOT)},
                                                                {0, RH_EACH_SIZE(WHOLE_SLOT)},
                                                                {0, RH_EACH_SIZE(TWO_SLOT)},
                                                                {0, RH_EACH_SIZE(ONE_SLOT)},
                                                                {0, RH_EACH_SIZE(HALF_SLOT)}};

/* n cut into the fewest tiles of at most `most`, as even as can be: first the larger, of least + 1, then those of least. */
typedef struct rh_cut {
  int64_t tiles, least, larger;
} rh_cut;
static inline rh_cut cut_tiles(int64_t n, int64_t most) {
  const int64_t tiles = (n + most - 1) / most;
  return (rh_cut){tiles, n / tiles, n % tiles};
}

static inline void run_tiles(const rh_tile *t, int64_t rows, rh_tile_kind kind) {
  const rh_cut cut = cut_tiles(rows, tile_rows[kind]);
  if (cut.larger) tile_run[kind][cut.least + 1](t, 0, cut.larger);
  tile_run[kind][cut.least](t, cut.larger * (cut.least + 1), cut.tiles - cut.larger);
}
#endif
