/* What the parts of the CSV reader share: cells (csv_cells.c), columns of texts (csv_texts.c), lines and tables (csv.c). Private to this
 * floor. */
#ifndef RH_DATA_CSV_PARTS_H
#define RH_DATA_CSV_PARTS_H
#include "data/categories.h"
#include "data/source.h"

typedef struct cell {
  const unsigned char *at; /* trimmed, without its quotes */
  int64_t n;
  bool quoted;
} cell;

typedef struct csv {
  const rh_source *source;
  const unsigned char *p, *end;
  unsigned char separator;
  int64_t line;       /* of p, from 1 */
  int64_t width;      /* cells of every row */
  int64_t first_line; /* where that was seen */
  char **names;       /* array[width] or NULL; blocks of `arena` */
  rh_arena arena;
  int64_t *slot; /* array[width]: where a cell goes in the row, -1 nowhere */
  int64_t d;
  rh_selection selection; /* of d columns */
  rh_categories *texts;   /* array[d]; used where is_text */
  bool *is_text;          /* array[d] */
  double *row;            /* [d] */
  double largest;
} csv;

typedef struct cells {
  cell *cell;
  int64_t n, room;
} cells;

static inline bool rh_csv_at_line_end(const csv *c) {
  return c->p == c->end || *c->p == '\n' || *c->p == '\r';
}

static inline void rh_csv_skip_spaces(csv *c) {
  while (c->p < c->end && (*c->p == ' ' || (*c->p == '\t' && c->separator != '\t'))) c->p++;
}

void rh_csv_skip_line_end(csv *c);
/* To the next line that is neither blank nor a comment; false at the end of the text. */
bool rh_csv_next_row(csv *c);
/* One cell; p ends on the separator or the line's end. */
rh_status rh_csv_read_cell(csv *c, cell *out) RH_WARN_UNUSED;
/* All cells of the row at p; p ends on the line's end. */
rh_status rh_csv_read_cells(csv *c, cells *out) RH_WARN_UNUSED;
bool rh_csv_is_number(const cell *x, double *value);
bool rh_csv_is_text(const cell *x);
/* "FILE: line 3, column 2 (name)"; returns text. */
const char *rh_csv_where(const csv *c, int64_t line, int64_t j, char text[512]);
rh_status rh_csv_fail_cell(const csv *c, int64_t line, int64_t j, const cell *x);

/* Categories that are known, at the columns of their names; by place where none of the names is in the header. */
rh_status rh_csv_set_known(csv *c, const rh_known_columns *known) RH_WARN_UNUSED;
/* Looks at all cells of the context columns, p at the first row of data: which hold texts? */
rh_status rh_csv_find_texts(csv *c) RH_WARN_UNUSED;
/* A cell of a column of texts; p ends on the separator or the line's end. */
rh_status rh_csv_read_category(csv *c, int64_t j, double *value) RH_WARN_UNUSED;
#endif
