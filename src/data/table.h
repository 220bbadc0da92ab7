/* A table: n rows of d numbers, read where they lie. A table never changes. Values keep the source's type and place (a mapped NPY file
 * costs no memory of its own) and are converted as rows are taken out. Every value of a table that was read from a file is finite. */
#ifndef RH_DATA_TABLE_H
#define RH_DATA_TABLE_H
#include <stdbool.h>
#include <stdint.h>

#include "data/spool.h"

/* X(enumerator, NumPy's kind and size, bytes). Bytes in the machine's order, or swapped. */
#define RH_CELL_LIST(X)  \
  X(RH_CELL_F4, "f4", 4) \
  X(RH_CELL_F8, "f8", 8) \
  X(RH_CELL_F2, "f2", 2) \
  X(RH_CELL_I1, "i1", 1) \
  X(RH_CELL_I2, "i2", 2) \
  X(RH_CELL_I4, "i4", 4) \
  X(RH_CELL_I8, "i8", 8) \
  X(RH_CELL_U1, "u1", 1) \
  X(RH_CELL_U2, "u2", 2) \
  X(RH_CELL_U4, "u4", 4) \
  X(RH_CELL_U8, "u8", 8) \
  X(RH_CELL_B1, "b1", 1)
#define RH_CELL_ENUM(name, text, bytes) name,
typedef enum rh_cell { RH_CELL_LIST(RH_CELL_ENUM) RH_CELL_COUNT } rh_cell;
#undef RH_CELL_ENUM
int rh_cell_bytes(rh_cell cell);
const char *rh_cell_name(rh_cell cell);

typedef struct rh_table rh_table;

int64_t rh_table_rows(const rh_table *table);    /* n >= 1 */
int64_t rh_table_columns(const rh_table *table); /* d >= 1 */
/* The names of the columns, in order: array[d], or NULL where the source has none. They live as long as the table. */
const char *const *rh_table_names(const rh_table *table);
/* What a column is for: it is modelled, or it conditions the density as a number or as a category. */
typedef enum rh_role { RH_ROLE_DATA, RH_ROLE_CONTEXT, RH_ROLE_CATEGORY } rh_role;
typedef struct rh_column_facts {
  int64_t number; /* in the source, from 1 */
  rh_role role;
  const char *const *texts; /* [n_texts]: a value is a text's place in this list; NULL: values are numbers */
  int64_t n_texts;
} rh_column_facts;
/* They live as long as the table. */
rh_column_facts rh_table_facts(const rh_table *table, int64_t column);
/* facts: array[d], copied with their texts. */
rh_status rh_table_describe(rh_table *table, const rh_column_facts *facts) RH_WARN_UNUSED;
bool rh_is_utf8(const char *text, int64_t n); /* and without NUL bytes: what a name must be */
/* "column 3 (label)" or "column 3", its number in the source; cut to `room` and safe to print (one line). Returns text. */
const char *rh_table_label(const rh_table *table, int64_t column, char *text, int room);
enum { RH_LABEL_BYTES = 96 };
/* Columns that are the values of an image: the first h * w * c of the table, row-major, channels last. */
typedef struct rh_image_facts {
  int64_t h, w, c;
  int bits;     /* the depth of the data: values are whole numbers below 2^bits */
  int greatest; /* the greatest value found, at most 2^bits - 1: the data may not fill their depth */
} rh_image_facts;
const rh_image_facts *rh_table_image(const rh_table *table); /* NULL: no image; lives as long as the table and its selection */
/* The table needs at least h * w * c columns; facts NULL takes them away. */
rh_status rh_table_set_image(rh_table *table, const rh_image_facts *facts) RH_WARN_UNUSED;
rh_cell rh_table_cell(const rh_table *table);   /* f8 for text sources */
bool rh_table_is_narrow(const rh_table *table); /* every value fits float32 exactly by its type (f4, f2, 8- and 16-bit integers, bool) */
/* Memory that the table holds itself: 0 where it is mapped. */
int64_t rh_table_bytes(const rh_table *table);

/* out[i, :] = row rows[i], i in [0, n), or rows first + i where `rows` is NULL. out: [n, d]. All indices must be in [0, rows of the table).
 * Integers beyond 2^53 (2^24 in float32) and, in float32, values between its steps are rounded to nearest; no allocation. */
void rh_table_get_f32(const rh_table *table, const int64_t *rows, int64_t first, int64_t n, float *out);
void rh_table_get_f64(const rh_table *table, const int64_t *rows, int64_t first, int64_t n, double *out);
/* out[i] = the value of one column in that row. out: [n]. */
void rh_table_column_f64(const rh_table *table, int64_t column, const int64_t *rows, int64_t first, int64_t n, double *out);
/* A hash of a row's values, the same for the same numbers in whatever type they lie (-0 is 0). */
uint64_t rh_table_row_hash(const rh_table *table, int64_t row);
bool rh_table_rows_equal(const rh_table *table, int64_t a, int64_t b);

/* A table over values that the caller keeps alive. at: the value of row 0, column 0; steps in bytes (may be of any alignment and sign).
 * names: array[d] (copied; UTF-8) or NULL. */
typedef struct rh_cells {
  const void *at;
  rh_cell cell;
  bool swapped; /* bytes in the other order */
  int64_t n, d;
  int64_t row_step, column_step;
} rh_cells;
rh_status rh_table_wrap(const rh_cells *cells, const char *const *names, rh_table **table) RH_WARN_UNUSED;
/* Only these columns (array[count], in this order, each index in [0, d)), in place. It is an image's table still where they begin with all
 * of its pixels in order. */
rh_status rh_table_select(rh_table *table, const int64_t *columns, int64_t count) RH_WARN_UNUSED;
/* Another table over the same values, of these columns alone; lives no longer than `table`. */
rh_status rh_table_view(const rh_table *table, const int64_t *columns, int64_t count, rh_table **view) RH_WARN_UNUSED;
/* The table owns these from now on and closes them when it goes; the arguments become empty. Either may be NULL. */
void rh_table_own(rh_table *table, rh_bytes *bytes, rh_spool *spool);
/* The first value that is not finite, or (largest > 0) greater in magnitude than `largest`: its place and value; false where there is none.
 */
bool rh_table_find_bad(const rh_table *table, double largest, int64_t *row, int64_t *column, double *value);
void rh_table_free(rh_table *table); /* NULL is fine */
#endif
