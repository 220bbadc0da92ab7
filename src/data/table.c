#include "data/table.h"

#include <float.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/memory.h"
#include "base/rng.h"
#include "data/source.h"

struct rh_table {
  rh_cells cells;
  int64_t *column; /* where each column stands in the source; NULL: as they lie */
  const char **names;
  rh_column_facts *facts; /* array[d], or NULL: columns of numbers, in the source's order */
  rh_arena arena;         /* of the names and facts */
  rh_image_facts image;   /* h = 0: none */
  rh_bytes bytes;
  rh_spool spool;
};

/* ---- one value, of any type ---- */

static double half_value(uint16_t h) { /* IEEE 754 binary16 */
  const int exponent = h >> 10 & 31, fraction = h & 1023;
  double v;
  if (exponent == 31) {
    v = fraction ? NAN : INFINITY;
  } else {
    v = exponent ? ldexp(fraction + 1024, exponent - 25) : ldexp(fraction, -24);
  }
  return h & 0x8000 ? -v : v;
}

static uint8_t swap1(uint8_t x) {
  return x;
}
static uint16_t swap2(uint16_t x) {
  return (uint16_t)(x << 8 | x >> 8);
}
static uint32_t swap4(uint32_t x) {
  return __builtin_bswap32(x);
}
static uint64_t swap8(uint64_t x) {
  return __builtin_bswap64(x);
}
static float as_f4(uint32_t bits) {
  float v;
  memcpy(&v, &bits, sizeof v);
  return v;
}
static double as_f8(uint64_t bits) {
  double v;
  memcpy(&v, &bits, sizeof v);
  return v;
}

/* X(type's name, bits read as, swap, their value): one row of loaders a cell type. */
#define LOADERS(X)                      \
  X(f4, uint32_t, swap4, as_f4(w))      \
  X(f8, uint64_t, swap8, as_f8(w))      \
  X(f2, uint16_t, swap2, half_value(w)) \
  X(i1, uint8_t, swap1, (int8_t)w)      \
  X(i2, uint16_t, swap2, (int16_t)w)    \
  X(i4, uint32_t, swap4, (int32_t)w)    \
  X(i8, uint64_t, swap8, (int64_t)w)    \
  X(u1, uint8_t, swap1, w)              \
  X(u2, uint16_t, swap2, w)             \
  X(u4, uint32_t, swap4, w)             \
  X(u8, uint64_t, swap8, w)             \
  X(b1, uint8_t, swap1, w != 0)

/* Strided load of n values into a dense row; any alignment. */
typedef void load_f32(const unsigned char *at, int64_t step, int64_t n, float *out);
typedef void load_f64(const unsigned char *at, int64_t step, int64_t n, double *out);

#define LOADER(name, type, bits, swap, value)                                     \
  static void name(const unsigned char *at, int64_t step, int64_t n, type *out) { \
    for (int64_t i = 0; i < n; i++) {                                             \
      bits w;                                                                     \
      memcpy(&w, at + i * step, sizeof w);                                        \
      w = swap(w);                                                                \
      out[i] = (type)(value);                                                     \
    }                                                                             \
  }
#define SAME(w) (w)
#define FOUR_LOADERS(cell, bits, swap, value)          \
  LOADER(cell##_f32, float, bits, SAME, value)         \
  LOADER(cell##_f32_swapped, float, bits, swap, value) \
  LOADER(cell##_f64, double, bits, SAME, value)        \
  LOADER(cell##_f64_swapped, double, bits, swap, value)
LOADERS(FOUR_LOADERS)

typedef struct cell_type {
  const char *name;
  int bytes;
  load_f32 *f32[2]; /* [swapped] */
  load_f64 *f64[2];
} cell_type;
#define CELL_NAME(cell, bits, swap, value) {#cell, sizeof(bits), {cell##_f32, cell##_f32_swapped}, {cell##_f64, cell##_f64_swapped}},
static const cell_type cell_types[] = {LOADERS(CELL_NAME)};
_Static_assert(RH_COUNT_OF(cell_types) == RH_CELL_COUNT, "one row of loaders a cell type, in the order of RH_CELL_LIST");

int rh_cell_bytes(rh_cell cell) {
  return cell_types[cell].bytes;
}

const char *rh_cell_name(rh_cell cell) {
  return cell_types[cell].name;
}

/* ---- what it is ---- */

int64_t rh_table_rows(const rh_table *table) {
  return table->cells.n;
}

int64_t rh_table_columns(const rh_table *table) {
  return table->cells.d;
}

const char *const *rh_table_names(const rh_table *table) {
  return table->names;
}

rh_column_facts rh_table_facts(const rh_table *table, int64_t column) {
  return table->facts ? table->facts[column] : (rh_column_facts){.number = column + 1};
}

const rh_image_facts *rh_table_image(const rh_table *table) {
  return table->image.h > 0 ? &table->image : NULL;
}

static int64_t pixels_of(const rh_image_facts *image) {
  return image->h * image->w * image->c;
}

rh_status rh_table_set_image(rh_table *table, const rh_image_facts *facts) {
  if (!facts) {
    table->image = (rh_image_facts){0};
    return RH_OK;
  }
  const int64_t d = table->cells.d;
  const rh_image_facts f = *facts;
  if (f.h < 1 || f.w < 1 || f.c < 1 || f.h > d || f.w > d / f.h || f.c > d / f.h / f.w) {
    return rh_fail(RH_E_SHAPE, "a table of %lld columns does not hold images of %lld x %lld x %lld", (long long)d, (long long)f.h,
                   (long long)f.w, (long long)f.c);
  }
  if (f.bits < 1 || f.bits > 16 || f.greatest < 0 || f.greatest >= 1 << f.bits) {
    return rh_fail(RH_E_ARGUMENT, "images of %d bits whose greatest value is %d: give 1 to 16 bits that hold it", f.bits, f.greatest);
  }
  table->image = f;
  return RH_OK;
}

rh_cell rh_table_cell(const rh_table *table) {
  return table->cells.cell;
}

bool rh_table_is_narrow(const rh_table *table) {
  const rh_cell c = table->cells.cell;
  return c == RH_CELL_F4 || rh_cell_bytes(c) <= 2;
}

int64_t rh_table_bytes(const rh_table *table) {
  return table->spool.mapped ? 0 : table->spool.size;
}

const char *rh_table_label(const rh_table *table, int64_t column, char *text, int room) {
  char show[RH_SHOW_BYTES];
  const char *name = table->names ? table->names[column] : NULL;
  if (name) rh_show((const unsigned char *)name, (int64_t)strlen(name), show);
  snprintf(text, (size_t)room, name ? "column %lld (%s)" : "column %lld", (long long)rh_table_facts(table, column).number, show);
  return text;
}

/* ---- taking rows out ---- */

static const unsigned char *cell_at(const rh_table *table, int64_t row, int64_t column) {
  const rh_cells *c = &table->cells;
  if (table->column) column = table->column[column];
  return (const unsigned char *)c->at + row * c->row_step + column * c->column_step;
}

void rh_table_get_f32(const rh_table *table, const int64_t *rows, int64_t first, int64_t n, float *out) {
  const rh_cells *c = &table->cells;
  load_f32 *load = cell_types[c->cell].f32[c->swapped];
  for (int64_t i = 0; i < n; i++, out += c->d) {
    const int64_t row = rows ? rows[i] : first + i;
    if (!table->column) {
      load(cell_at(table, row, 0), c->column_step, c->d, out);
    } else {
      for (int64_t j = 0; j < c->d; j++) load(cell_at(table, row, j), 0, 1, out + j);
    }
  }
}

void rh_table_get_f64(const rh_table *table, const int64_t *rows, int64_t first, int64_t n, double *out) {
  const rh_cells *c = &table->cells;
  load_f64 *load = cell_types[c->cell].f64[c->swapped];
  for (int64_t i = 0; i < n; i++, out += c->d) {
    const int64_t row = rows ? rows[i] : first + i;
    if (!table->column) {
      load(cell_at(table, row, 0), c->column_step, c->d, out);
    } else {
      for (int64_t j = 0; j < c->d; j++) load(cell_at(table, row, j), 0, 1, out + j);
    }
  }
}

void rh_table_column_f64(const rh_table *table, int64_t column, const int64_t *rows, int64_t first, int64_t n, double *out) {
  const rh_cells *c = &table->cells;
  load_f64 *load = cell_types[c->cell].f64[c->swapped];
  if (!rows) {
    load(cell_at(table, first, column), c->row_step, n, out);
  } else {
    for (int64_t i = 0; i < n; i++) load(cell_at(table, rows[i], column), 0, 1, out + i);
  }
}

enum { PIECE = 64 }; /* values of a row that are looked at together */

/* Columns [j, j + n) of a row. */
static void load_piece(const rh_table *table, int64_t row, int64_t j, int64_t n, double *out) {
  load_f64 *load = cell_types[table->cells.cell].f64[table->cells.swapped];
  if (!table->column) {
    load(cell_at(table, row, j), table->cells.column_step, n, out);
  } else {
    for (int64_t k = 0; k < n; k++) load(cell_at(table, row, j + k), 0, 1, out + k);
  }
}

static int64_t piece_size(const rh_table *table, int64_t j) {
  return table->cells.d - j < PIECE ? table->cells.d - j : PIECE;
}

uint64_t rh_table_row_hash(const rh_table *table, int64_t row) {
  uint64_t link[2] = {0, 0};
  for (int64_t j = 0; j < table->cells.d; j += PIECE) {
    double piece[PIECE];
    const int64_t n = piece_size(table, j);
    load_piece(table, row, j, n, piece);
    for (int64_t k = 0; k < n; k++) piece[k] += 0.0; /* -0 + 0 = 0 */
    link[1] = rh_hash64(piece, (size_t)n * sizeof *piece);
    link[0] = rh_hash64(link, sizeof link);
  }
  return link[0];
}

bool rh_table_rows_equal(const rh_table *table, int64_t a, int64_t b) {
  for (int64_t j = 0; j < table->cells.d; j += PIECE) {
    double x[PIECE], y[PIECE];
    const int64_t n = piece_size(table, j);
    load_piece(table, a, j, n, x);
    load_piece(table, b, j, n, y);
    for (int64_t k = 0; k < n; k++) {
      if (!(x[k] == y[k])) return false;
    }
  }
  return true;
}

bool rh_table_find_bad(const rh_table *table, double largest, int64_t *row, int64_t *column, double *value) {
  if (!(largest > 0)) largest = DBL_MAX;
  for (int64_t i = 0; i < table->cells.n; i++) {
    for (int64_t j = 0; j < table->cells.d; j += PIECE) {
      double piece[PIECE];
      const int64_t n = piece_size(table, j);
      load_piece(table, i, j, n, piece);
      for (int64_t k = 0; k < n; k++) {
        if (fabs(piece[k]) <= largest) continue; /* NaN compares false */
        *row = i;
        *column = j + k;
        *value = piece[k];
        return true;
      }
    }
  }
  return false;
}

/* ---- making and freeing ---- */

bool rh_is_utf8(const char *text, int64_t n) {
  const unsigned char *p = (const unsigned char *)text;
  for (int64_t i = 0; i < n;) {
    const int more = p[i] < 0x80                   ? 0
                     : p[i] >= 0xC2 && p[i] < 0xE0 ? 1
                     : p[i] >= 0xE0 && p[i] < 0xF0 ? 2
                     : p[i] >= 0xF0 && p[i] < 0xF5 ? 3
                                                   : -1;
    if (more < 0 || p[i] == 0 || n - i <= more) return false;
    uint32_t code = more ? p[i] & (0x3F >> more) : p[i];
    for (int k = 1; k <= more; k++) {
      if ((p[i + k] & 0xC0) != 0x80) return false;
      code = code << 6 | (p[i + k] & 0x3F);
    }
    if ((more == 2 && (code < 0x800 || (code >= 0xD800 && code < 0xE000))) || (more == 3 && (code < 0x10000 || code > 0x10FFFF)))
      return false;
    i += more + 1;
  }
  return true;
}

static rh_status copy_names(rh_table *table, const char *const *names) {
  const int64_t d = table->cells.d;
  table->names = rh_arena_alloc(&table->arena, (size_t)d * sizeof *table->names);
  if (!table->names) return RH_E_MEMORY;
  for (int64_t j = 0; j < d; j++) {
    if (!rh_is_utf8(names[j], (int64_t)strlen(names[j]))) {
      return rh_fail(RH_E_DATA, "column %lld: its name is not UTF-8 text; rename it", (long long)j + 1);
    }
    table->names[j] = rh_arena_strdup(&table->arena, names[j]);
    if (!table->names[j]) return RH_E_MEMORY;
  }
  return RH_OK;
}

rh_status rh_table_wrap(const rh_cells *cells, const char *const *names, rh_table **out) {
  if (cells->n < 1 || cells->d < 1) return rh_fail(RH_E_DATA, "a table needs at least one row and one column");
  rh_table *table = rh_alloc_zero(1, sizeof *table);
  if (!table) return RH_E_MEMORY;
  table->cells = *cells;
  table->spool.fd = -1;
  const rh_status status = names ? copy_names(table, names) : RH_OK;
  if (status != RH_OK) {
    rh_table_free(table);
    return status;
  }
  *out = table;
  return RH_OK;
}

/* Whether the columns begin with those of the image, in order. */
static bool keeps_image(const rh_table *table, const int64_t *columns, int64_t count) {
  const int64_t pixels = pixels_of(&table->image);
  if (pixels == 0 || count < pixels) return false;
  for (int64_t k = 0; k < pixels; k++) {
    if (columns[k] != k) return false;
  }
  return true;
}

/* Columns that lie one after another need no list: the table begins at the first. */
static bool lie_together(const int64_t *column, int64_t count) {
  for (int64_t k = 1; k < count; k++) {
    if (column[k] != column[0] + k) return false;
  }
  return true;
}

rh_status rh_table_select(rh_table *table, const int64_t *columns, int64_t count) {
  if (count < 1) return rh_fail(RH_E_ARGUMENT, "no column is selected");
  int64_t *column = rh_alloc((size_t)count * sizeof *column);
  const char **names = table->names ? rh_arena_alloc(&table->arena, (size_t)count * sizeof *names) : NULL;
  rh_column_facts *facts = rh_arena_alloc(&table->arena, (size_t)count * sizeof *facts);
  if (!column || !facts || (table->names && !names)) {
    rh_free(column);
    return RH_E_MEMORY;
  }
  for (int64_t k = 0; k < count; k++) {
    column[k] = table->column ? table->column[columns[k]] : columns[k];
    if (names) names[k] = table->names[columns[k]];
    facts[k] = rh_table_facts(table, columns[k]);
  }
  if (!keeps_image(table, columns, count)) table->image = (rh_image_facts){0};
  rh_free(table->column);
  table->column = column;
  if (lie_together(column, count)) {
    table->cells.at = (const unsigned char *)table->cells.at + column[0] * table->cells.column_step;
    table->column = NULL;
    rh_free(column);
  }
  table->names = names;
  table->facts = facts;
  table->cells.d = count;
  return RH_OK;
}

rh_status rh_table_view(const rh_table *table, const int64_t *columns, int64_t count, rh_table **out) {
  rh_table *view = rh_alloc_zero(1, sizeof *view);
  if (!view) return RH_E_MEMORY;
  view->cells = table->cells;
  view->names = table->names; /* the other's, until the selection makes its own */
  view->facts = table->facts;
  view->image = table->image;
  view->spool.fd = -1;
  rh_status status = RH_OK;
  if (table->column) {
    const size_t bytes = (size_t)table->cells.d * sizeof *view->column;
    view->column = rh_alloc(bytes);
    if (view->column) memcpy(view->column, table->column, bytes);
    status = view->column ? RH_OK : RH_E_MEMORY;
  }
  if (status == RH_OK) status = rh_table_select(view, columns, count);
  if (status != RH_OK) {
    rh_table_free(view);
    return status;
  }
  *out = view;
  return RH_OK;
}

static rh_status copy_texts(rh_table *table, rh_column_facts *facts) {
  const char **texts = rh_arena_alloc(&table->arena, (size_t)facts->n_texts * sizeof *texts);
  if (!texts) return RH_E_MEMORY;
  for (int64_t i = 0; i < facts->n_texts; i++) {
    texts[i] = rh_arena_strdup(&table->arena, facts->texts[i]);
    if (!texts[i]) return RH_E_MEMORY;
  }
  facts->texts = texts;
  return RH_OK;
}

rh_status rh_table_describe(rh_table *table, const rh_column_facts *facts) {
  const int64_t d = table->cells.d;
  rh_column_facts *copy = rh_arena_alloc(&table->arena, (size_t)d * sizeof *copy);
  if (!copy) return RH_E_MEMORY;
  memcpy(copy, facts, (size_t)d * sizeof *copy);
  for (int64_t j = 0; j < d; j++) {
    if (copy[j].texts) RH_TRY(copy_texts(table, &copy[j]));
  }
  table->facts = copy;
  return RH_OK;
}

void rh_table_own(rh_table *table, rh_bytes *bytes, rh_spool *spool) {
  if (bytes) {
    table->bytes = *bytes;
    *bytes = (rh_bytes){0};
  }
  if (spool) {
    table->spool = *spool;
    *spool = (rh_spool){.fd = -1};
  }
}

void rh_table_free(rh_table *table) {
  if (!table) return;
  rh_bytes_close(&table->bytes);
  rh_spool_close(&table->spool);
  rh_free(table->column);
  rh_arena_free(&table->arena);
  rh_free(table);
}
