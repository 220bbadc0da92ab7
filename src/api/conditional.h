/* Conditional models and tables. A model's row is [data | context]; a whole table has its columns in the order of the fit's table, which
 * the context encoder remembers. */
#ifndef RH_API_CONDITIONAL_H
#define RH_API_CONDITIONAL_H
#include "api/tables.h"

/* order[j]: where column j of the model's row stands in a whole table. array[columns + context], to be freed with rh_free. */
rh_status rh_whole_order(const rh_model *model, int64_t **order) RH_WARN_UNUSED;
/* The same for a table whose columns' roles are known; *data: how many are modelled. */
rh_status rh_role_order(const rh_table *table, int64_t **order, int64_t *data) RH_WARN_UNUSED;

/* Puts "the density is that of 11 columns given 1: column 12 (quality)" before the notes; the context's columns follow `data` others. */
void rh_note_context(const rh_table *table, int64_t data, json_t *notes);

/* What a CSV reader should know of columns of texts. All of it goes with rh_known_free. */
typedef enum rh_table_kind {
  RH_TABLE_WHOLE, /* of all columns */
  RH_TABLE_GIVEN, /* of the context alone, or of all columns */
  RH_TABLE_CODES  /* [latent | context] */
} rh_table_kind;
rh_status rh_known_of_model(const rh_model *model, rh_table_kind kind, rh_known_columns *known) RH_WARN_UNUSED;
/* The same of whole tables that may have labels beside: a column of that number (from 1), if it is one; NULL: none. */
rh_status rh_known_of_labelled(const rh_model *model, const char *labels, rh_known_columns *known) RH_WARN_UNUSED;
rh_status rh_known_of_table(const rh_table *table, rh_known_columns *known) RH_WARN_UNUSED;
void rh_known_free(rh_known_columns *known); /* {0} is fine */

/* Columns [first, first + context) of the table are the model's context: every category is one of its own; `name` stands in errors. */
rh_status rh_check_categories(const rh_model *model, const char *name, const rh_table *table, int64_t first) RH_WARN_UNUSED;
/* The same of an array: columns [first, first + context) of x [rows, width]; `call` stands in errors. */
rh_status rh_check_context(const rh_model *model, const char *call, int64_t rows, int64_t width, int64_t first,
                           const double *x) RH_WARN_UNUSED;

/* A table of contexts: of the context columns alone, or a whole table, from which they are taken; by name where it has a header. */
rh_status rh_read_context(const char *path, const rh_read_options *options, const rh_model *model, rh_table **table) RH_WARN_UNUSED;
/* "a=1.5,b=red": one value for every context column, by name or, as in a list of columns, by number -> values [context]. narrow:
 * what float32 cannot hold is an error. */
rh_status rh_context_values(const rh_model *model, const char *text, bool narrow, double *values) RH_WARN_UNUSED;
/* The value of a category. */
rh_status rh_category_value(const rh_model *model, int64_t column, const char *text, double *value) RH_WARN_UNUSED;
/* "the model is conditional on a, b: ..."; always fails. */
rh_status rh_fail_no_context(const rh_model *model);
/* "<what>, for the model is conditional on a, b"; always fails. */
rh_status rh_fail_no_rows(const rh_model *model, const char *what);

/* Every row of `rows`, `times` times one after another. */
typedef struct rh_repeated_rows {
  rh_rows rows;
  int64_t times;
} rh_repeated_rows;
rh_rows rh_rows_repeated(const rh_repeated_rows *repeated);
#endif
