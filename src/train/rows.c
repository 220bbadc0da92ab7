#include "data/table.h"
#include "train/train.h"

enum { PIECE = 256 };

/* One column of n <= PIECE rows into every `step`-th place. */
static void put_column(const rh_table *t, int64_t column, const int64_t *row, int64_t first, int64_t n, int64_t step, double *dst) {
  double x[PIECE];
  rh_table_column_f64(t, column, row, first, n, x);
  for (int64_t i = 0; i < n; i++) dst[i * step] = x[i];
}

static void table_get(const void *arg, int64_t first, int64_t n, const int64_t *row, int64_t column, int64_t columns, double *dst) {
  const rh_part *part = arg;
  const bool whole = column == 0 && columns == rh_table_columns(part->table);
  int64_t mapped[PIECE];
  for (int64_t done = 0; done < n; done += PIECE) {
    const int64_t m = n - done < PIECE ? n - done : PIECE;
    const int64_t *at = row ? row + done : NULL;
    if (part->row) {
      for (int64_t i = 0; i < m; i++) mapped[i] = part->row[at ? at[i] : first + done + i];
      at = mapped;
    }
    double *to = dst + done * columns;
    if (whole) {
      rh_table_get_f64(part->table, at, first + done, m, to);
    } else {
      for (int64_t c = 0; c < columns; c++) put_column(part->table, column + c, at, first + done, m, columns, to + c);
    }
  }
}

rh_rows rh_rows_of(const rh_part *part) {
  return (rh_rows){
      .rows = part->row ? part->n : rh_table_rows(part->table), .columns = rh_table_columns(part->table), .get = table_get, .arg = part};
}
