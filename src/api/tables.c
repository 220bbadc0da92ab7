#include "api/tables.h"

#include <string.h>

#include "api/conditional.h"
#include "api/image_rows.h"
#include "base/file.h"
#include "base/memory.h"
#include "data/images.h"

void rh_read_options_read(rh_options *o, rh_read_options *read) {
  static const char *const headers[] = {"detect", "yes", "no", NULL};
  static const char *const separators[] = {"detect", ",", ";", "\t", NULL};
  static const char characters[] = {0, ',', ';', '\t'};
  *read = (rh_read_options){.columns = rh_options_text(o, "columns", NULL)};
  read->header = (rh_header)rh_options_choice(o, "header", RH_HEADER_DETECT, headers);
  read->separator = characters[rh_options_choice(o, "separator", 0, separators)];
}

/* ---- columns by name ---- */

static int64_t find_name(const char *const *names, int64_t n, const char *name) {
  for (int64_t i = 0; i < n; i++) {
    if (strcmp(names[i], name) == 0) return i;
  }
  return -1;
}

enum { LIST_BYTES = 200 };

/* Appends a name of a list "a, b, c, ..."; false where it is full. */
static bool list_name(char text[LIST_BYTES], bool first, const char *name) {
  const size_t used = first ? 0 : strlen(text);
  const int n = snprintf(text + used, LIST_BYTES - used, "%s%s", first ? "" : ", ", name);
  if (n >= 0 && used + (size_t)n < LIST_BYTES - 5) return true;
  snprintf(text + used, LIST_BYTES - used, "%s...", first ? "" : ", ");
  return false;
}

static const char *list_names(const json_t *wanted, char text[LIST_BYTES]) {
  size_t i;
  json_t *name;
  text[0] = '\0';
  json_array_foreach(wanted, i, name) {
    if (!list_name(text, i == 0, json_string_value(name))) break;
  }
  return text;
}

static rh_status wrong_width(const char *name, const json_t *wanted, int64_t width, int64_t columns) {
  char list[LIST_BYTES];
  const char *s = columns == 1 ? "" : "s";
  if (!wanted) {
    return rh_fail(RH_E_SHAPE, "%s: has %lld column%s, the model takes %lld: choose them with columns (--columns LIST)", name,
                   (long long)columns, s, (long long)width);
  }
  return rh_fail(RH_E_SHAPE, "%s: has %lld column%s, the model takes %lld (%s): choose them with columns (--columns LIST)", name,
                 (long long)columns, s, (long long)width, list_names(wanted, list));
}

/* index[i] = the table's column of the model's i-th name; *found: how many there are; missing: those that are not. */
static void look_up(const json_t *wanted, const char *const *names, int64_t columns, int64_t *index, int64_t *found,
                    char missing[LIST_BYTES]) {
  size_t i;
  json_t *name;
  bool room = true;
  *found = 0;
  missing[0] = '\0';
  json_array_foreach(wanted, i, name) {
    index[i] = find_name(names, columns, json_string_value(name));
    if (index[i] >= 0)
      ++*found;
    else
      room = room && list_name(missing, !*missing, json_string_value(name));
  }
}

static rh_status fail_missing(const char *name, const char *missing, bool several) {
  if (several)
    return rh_fail(RH_E_SHAPE, "%s: the model's columns %s are not in the header: rename them there, or choose columns (--columns LIST)",
                   name, missing);
  return rh_fail(RH_E_SHAPE, "%s: the model's column '%.64s' is not in the header: rename it there, or choose columns (--columns LIST)",
                 name, missing);
}

static rh_status by_place(const int64_t *order, int64_t width, rh_table *table) {
  return order ? rh_table_select(table, order, width) : RH_OK;
}

rh_status rh_match_columns(const char *name, const json_t *wanted, int64_t width, const int64_t *order, rh_table *table) {
  const int64_t columns = rh_table_columns(table);
  const char *const *names = rh_table_names(table);
  if (names && wanted && (int64_t)json_array_size(wanted) == width) {
    int64_t found;
    char missing[LIST_BYTES];
    int64_t *index = rh_alloc((size_t)width * sizeof *index);
    if (!index) return RH_E_MEMORY;
    look_up(wanted, names, columns, index, &found, missing);
    rh_status status = RH_OK;
    if (found == width) {
      status = rh_table_select(table, index, width);
    } else if (found > 0 || columns != width) {
      status = fail_missing(name, missing, width - found > 1);
    } else { /* none of the names is known, the width fits */
      status = by_place(order, width, table);
    }
    rh_free(index);
    return status;
  }
  return columns == width ? by_place(order, width, table) : wrong_width(name, wanted, width, columns);
}

void rh_note_order(const char *name, const json_t *wanted, const rh_table *table, json_t *notes) {
  const int64_t columns = rh_table_columns(table);
  const char *const *names = rh_table_names(table);
  char theirs[LIST_BYTES] = "", ours[LIST_BYTES], text[3 * LIST_BYTES];
  size_t i;
  json_t *known;
  if (!names || (int64_t)json_array_size(wanted) != columns) return;
  json_array_foreach(wanted, i, known) {
    if (find_name(names, columns, json_string_value(known)) >= 0) return;
  }
  for (int64_t j = 0; j < columns && list_name(theirs, j == 0, names[j]); j++) continue;
  snprintf(text, sizeof text, "%.150s: none of the names %s is the model's (%s): columns are taken in order", name, theirs,
           list_names(wanted, ours));
  for (char *c = text; *c; c++) {
    if ((unsigned char)*c < ' ' || *c == 127) *c = '?'; /* names come from a file, and the note goes to a terminal */
  }
  json_array_append_new(notes, json_string(text));
}

rh_status rh_arrange_rows(const char *path, const rh_read_options *options, const rh_model *model, rh_table *table) {
  const rh_flow *f = model->flow;
  const int64_t width = f->columns + f->context;
  int64_t *order = NULL;
  if (f->context) RH_TRY(rh_whole_order(model, &order));
  const bool chosen = options->columns && rh_table_columns(table) == width;
  rh_status status = rh_match_columns(path, chosen ? NULL : model->columns, width, order, table);
  rh_free(order);
  return status == RH_OK && f->context ? rh_check_categories(model, path, table, f->columns) : status;
}

/* The last error, of a table that could not be read, where that is because it is none. */
static rh_status say_images(const char *path, const rh_model *model, rh_status status) {
  char *said = rh_strdup(rh_last_error());
  bool images = false;
  if (!said) return RH_E_MEMORY;
  if (rh_images_known(path, &images) != RH_OK) {
    rh_free(said);
    return RH_E_MEMORY;
  }
  status = images ? rh_fail(RH_E_SHAPE, "%s: holds images, but the model is one of a table of %lld columns", path,
                            (long long)(model->flow->columns + model->flow->context))
                  : rh_fail(status, "%s", said);
  rh_free(said);
  return status;
}

rh_status rh_read_rows(const char *path, const rh_read_options *options, const rh_model *model, rh_table **table) {
  rh_read_options read = *options;
  rh_known_columns known = {0};
  rh_table *made = NULL;
  if (model && model->image.h) return rh_read_images(path, options, model, table);
  if (read.labels) return rh_fail(RH_E_ARGUMENT, "labels: are for images, but the model is one of a table: leave them out");
  if (model && model->flow->context) {
    RH_TRY(rh_known_of_model(model, RH_TABLE_WHOLE, &known));
    read.known = &known;
  }
  rh_status status = rh_table_read(path, &read, &made);
  if (status != RH_OK && status != RH_E_MEMORY && model) status = say_images(path, model, status);
  if (status == RH_OK && model) status = rh_arrange_rows(path, options, model, made);
  rh_known_free(&known);
  if (status != RH_OK) {
    rh_table_free(made);
    return status;
  }
  *table = made;
  return RH_OK;
}

/* The columns that are not the context's, in order, and then those; all is left as it lies where a name is missing. */
static rh_status context_last(const rh_model *model, rh_table *table) {
  const int64_t d = model->flow->columns, c = model->flow->context, width = rh_table_columns(table);
  const char *const *names = rh_table_names(table);
  if (!names || !model->columns) return RH_OK;
  int64_t *order = rh_alloc((size_t)width * sizeof *order);
  bool *taken = rh_alloc_zero((size_t)width, sizeof *taken);
  bool all = order && taken;
  for (int64_t i = 0, n = width - c; i < c && all; i++) {
    order[n + i] = find_name(names, width, json_string_value(json_array_get(model->columns, (size_t)(d + i))));
    all = order[n + i] >= 0;
    if (all) taken[order[n + i]] = true;
  }
  for (int64_t j = 0, n = 0; j < width && all; j++)
    if (!taken[j]) order[n++] = j;
  const rh_status status = !order || !taken ? RH_E_MEMORY : all ? rh_table_select(table, order, width) : RH_OK;
  rh_free(order);
  rh_free(taken);
  return status;
}

rh_status rh_read_codes(const char *path, const rh_read_options *options, const rh_model *model, rh_table **table) {
  const rh_flow *f = model->flow;
  rh_read_options read = *options;
  rh_known_columns known;
  rh_table *made = NULL;
  RH_TRY(rh_known_of_model(model, RH_TABLE_CODES, &known));
  if (f->context) read.known = &known;
  rh_status status = rh_table_read(path, &read, &made);
  if (status == RH_OK) status = rh_match_columns(path, NULL, f->latent + f->context, NULL, made);
  if (status == RH_OK && f->context) status = context_last(model, made);
  if (status == RH_OK && f->context) status = rh_check_categories(model, path, made, f->latent);
  rh_known_free(&known);
  if (status != RH_OK) {
    rh_table_free(made);
    return status;
  }
  *table = made;
  return RH_OK;
}

rh_status rh_refuse_same(const char *output, const char *input) {
  if (!output || !input || strcmp(output, "-") == 0) return RH_OK;
  char *file = rh_strdup(input);
  if (!file) return RH_E_MEMORY;
  char *colon = strrchr(file, ':');
  if (colon && !rh_file_exists(file)) *colon = '\0'; /* the array of an archive */
  const bool same = rh_file_same(file, output);
  rh_free(file);
  if (!same) return RH_OK;
  return rh_fail(RH_E_ARGUMENT, "%s: the output is also the input %s: give the output another name", output,
                 strcmp(input, "-") == 0 ? "(standard input)" : input);
}

rh_status rh_column_names(const rh_model *model, int64_t n, const char ***names) {
  *names = NULL;
  if (!model->columns || (int64_t)json_array_size(model->columns) < n) return RH_OK;
  const char **list = rh_alloc((size_t)n * sizeof *list);
  if (!list) return RH_E_MEMORY;
  for (int64_t i = 0; i < n; i++) list[i] = json_string_value(json_array_get(model->columns, (size_t)i));
  *names = list;
  return RH_OK;
}
