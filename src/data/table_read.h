/* clang-format off */
/* Reading a table: CSV, NPY or NPZ, each also gzip-compressed; the content decides which, not the name.
 *   CSV  separators , ; or tab (detected); quotes as in RFC 4180; lines that start with # and blank lines are skipped; CRLF, a UTF-8 byte order mark
 *        and a missing last newline are fine. The first line is a header if none of its cells is a number; one that
 *        mixes numbers and texts is refused unless `header` says what it is.
 *   NPY  versions 1 to 3; f2 f4 f8, i1 to i8, u1 to u8, b1, either byte order; C or Fortran order; 2-D, or 1-D (one column). Used in place.
 *   NPZ  the array named after a colon, FILE.npz:NAME; else X, else x, else the only 2-D one, else the only 1-D one. Stored members are used in place.
 * Larger than memory: files are memory-mapped; what must be converted (CSV, compressed data, a pipe) lies in memory up to memory_limit bytes, beyond
 * it in a temporary file. Every failure is one line that names the file, the row (CSV: the line) and the column, counted from 1. */
/* clang-format on */
#ifndef RH_DATA_TABLE_READ_H
#define RH_DATA_TABLE_READ_H
#include "data/table.h"

typedef enum rh_header { RH_HEADER_DETECT, RH_HEADER_YES, RH_HEADER_NO } rh_header;

/* A list of columns: names, numbers from 1, and ranges, as in a,b,3-7; -label leaves out (alone: of all columns); "a,b" in quotes is one
 * name. */
/* Columns whose cells are texts, of which the categories are known: a cell's value is its category's place, and an unknown one is an error.
 */
typedef struct rh_known_column {
  const char *name;         /* in the header; NULL: by place */
  int64_t place[2];         /* among the columns read, from 0, where no name of `names` is in the header; [1]: in a narrow table */
  const char *const *texts; /* [n] */
  int64_t n;
} rh_known_column;
typedef struct rh_known_columns {
  const rh_known_column *column; /* [n] */
  int64_t n;
  const char *const *names; /* [n_names] of all columns that are looked for, or NULL */
  int64_t n_names;
  int64_t narrow; /* columns of a table where place[1] counts; 0: none does */
  bool no_choice; /* columns cannot be chosen: an error does not advise it */
} rh_known_columns;

typedef struct rh_read_options { /* {0} or NULL: the defaults */
  const char *columns;           /* NULL: all. Else a list */
  const char *context;     /* a list of the columns that are context, read besides `columns`; NULL: none. Texts in them are categories */
  const char *categorical; /* a list of those of `context` that hold categories whatever their cells are; NULL: none */
  const rh_known_columns *known; /* CSV; NULL: categories are collected as they come */
  rh_header header;              /* CSV */
  char separator;                /* CSV; 0: detect */
  bool narrow;                   /* rows will be taken out as float32: a value beyond its range is an error */
  int64_t memory_limit;          /* 0: RH_READ_MEMORY */
  const char *temp_folder;       /* NULL: /var/tmp */
  const char *labels;            /* of images (data/images.h), which are read otherwise */
} rh_read_options;

enum { RH_READ_MEMORY = 1 << 30 };

/* path "-": standard input. The table has at least one row and one column, and every value is finite. */
rh_status rh_table_read(const char *path, const rh_read_options *options, rh_table **table) RH_WARN_UNUSED;
/* The same from bytes in memory, copied where the table keeps them; `name` stands in errors. */
rh_status rh_table_read_bytes(const char *name, const void *bytes, size_t n, const rh_read_options *options,
                              rh_table **table) RH_WARN_UNUSED;

/* The columns of options->columns and ->context, and what they are for. columns: array[n]; facts: array[n], numbers and roles. */
typedef struct rh_selection {
  int64_t *columns;
  rh_column_facts *facts;
  int64_t n;
} rh_selection; /* {0} is empty */
rh_status rh_columns_select(const char *name, const rh_read_options *options, const char *const *names, int64_t d,
                            rh_selection *selection) RH_WARN_UNUSED;
void rh_selection_free(rh_selection *selection);

/* Columns by a list as in rh_read_options: names: array[d] or NULL. *columns: array[*count], to be freed with rh_free. list NULL: all.
 * `name` stands in errors. */
rh_status rh_columns_parse(const char *name, const char *list, const char *const *names, int64_t d, int64_t **columns,
                           int64_t *count) RH_WARN_UNUSED;
#endif
