/* Tables some of whose rows are known: 1 is an anomaly, 0 a normal row. */
#ifndef RH_API_LABELS_H
#define RH_API_LABELS_H
#include "api/tables.h"

typedef struct rh_labelled {
  rh_table *table;         /* without the column of labels; with `columns` of the options chosen */
  unsigned char *label;    /* [rows], 0 or 1; NULL: none */
  void *values;            /* private: what the table lies on */
  int64_t column, columns; /* where the labels stood among all columns of the file; -1: not among them */
} rh_labelled;

/* Reads a table whose labels are, the first that there is: its column of that name or number (from 1), an array of that name in its NPZ
 * archive, a file of one column. labels NULL: none. */
rh_status rh_labelled_read(const char *path, const rh_read_options *options, const char *labels, rh_labelled *out) RH_WARN_UNUSED;
/* Reads a table that may have the labels in the place where `like` has them; `why`, where it is not NULL, says why it has none. */
rh_status rh_labelled_read_like(const char *path, const rh_read_options *options, const char *labels, const rh_labelled *like,
                                rh_labelled *out, const char **why) RH_WARN_UNUSED;
/* Only the rows of label 0 stay. *gone: how many went. */
rh_status rh_labelled_keep_normal(rh_labelled *l, const char *path, int64_t *gone) RH_WARN_UNUSED;
void rh_labelled_free(rh_labelled *l);
#endif
