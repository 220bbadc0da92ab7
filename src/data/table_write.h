/* Writing a table in pieces: NPY where the path ends in .npy, else CSV ("-" is standard output). Nothing is seen at the path until commit,
 * and an output that was there stays whole until then (base/file.h). */
#ifndef RH_DATA_TABLE_WRITE_H
#define RH_DATA_TABLE_WRITE_H
#include "data/table.h"

typedef struct rh_table_writer rh_table_writer;

/* rows x columns numbers will come. names: array[columns], or NULL (no header; NPY has none). cell: RH_CELL_F4 (CSV: at most 9 digits) or
 * RH_CELL_F8 (17): every number reads back exactly. A header is left out, too, where every name is a number: it would read as a row. */
rh_status rh_table_writer_open(const char *path, int64_t rows, int64_t columns, const char *const *names, rh_cell cell,
                               rh_table_writer **writer) RH_WARN_UNUSED;
/* In CSV a value of that column is written as texts[value] (array[n], which must outlive the writer); NPY has numbers alone. */
rh_status rh_table_writer_texts(rh_table_writer *writer, int64_t column, const char *const *texts, int64_t n) RH_WARN_UNUSED;
/* The next n rows. values: [n, columns]; converted where the cell type is the other one. The first failure sticks. */
rh_status rh_table_writer_put_f32(rh_table_writer *writer, int64_t n, const float *values) RH_WARN_UNUSED;
rh_status rh_table_writer_put_f64(rh_table_writer *writer, int64_t n, const double *values) RH_WARN_UNUSED;
rh_status rh_table_writer_commit(rh_table_writer *writer)
    RH_WARN_UNUSED;                                    /* frees the writer, whatever it returns; a wrong number of rows is an error */
void rh_table_writer_discard(rh_table_writer *writer); /* frees it; NULL is fine */
#endif
