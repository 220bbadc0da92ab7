/* Tables as the model wants them: which columns, in which order, of which width. */
#ifndef RH_API_TABLES_H
#define RH_API_TABLES_H
#include "api/handle.h"
#include "data/table_read.h"

/* Reads a table; with `model`, its columns are chosen and ordered by the model's names where both have names, and its width must be
 * the model's (data and context). Without names the columns are those of the fit's table, in its order. */
rh_status rh_read_rows(const char *path, const rh_read_options *options, const rh_model *model, rh_table **table) RH_WARN_UNUSED;
/* The same of a table that has been read with these options: [data | context], every category one of the model's. Columns that the caller
 * chose are taken as they come. */
rh_status rh_arrange_rows(const char *path, const rh_read_options *options, const rh_model *model, rh_table *table) RH_WARN_UNUSED;
/* A table of codes, [latent | context]: by place, the context also by name where the file has a header with its names. */
rh_status rh_read_codes(const char *path, const rh_read_options *options, const rh_model *model, rh_table **table) RH_WARN_UNUSED;
/* The same choice on a table that has been read; `name` stands in errors. Names are those of `wanted`, an array of texts, or NULL. Without
 * them: order[j], array[width], is where column j of the result lies; NULL: as they lie. */
rh_status rh_match_columns(const char *name, const json_t *wanted, int64_t width, const int64_t *order, rh_table *table) RH_WARN_UNUSED;

/* Appends to `notes` that the columns of a table so chosen were taken in order, where none of its names was known. */
void rh_note_order(const char *name, const json_t *wanted, const rh_table *table, json_t *notes);

/* The options columns, header, separator; failures stick in o. The texts live as long as o's object. */
void rh_read_options_read(rh_options *o, rh_read_options *read);

/* Refuses an output (NULL and "-" are fine) that is the file of `input`: a table's path, FILE.npz:NAME too, or a model's; NULL is fine.
 * It would replace what it is made from. */
rh_status rh_refuse_same(const char *output, const char *input) RH_WARN_UNUSED;

/* The names of a model's first `n` columns, as the writer wants them; *names NULL where it has none. Free with rh_free. */
rh_status rh_column_names(const rh_model *model, int64_t n, const char ***names) RH_WARN_UNUSED;
#endif
