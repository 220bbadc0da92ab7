/* Columns of a CSV file whose cells are texts: categories. */
#include <stdio.h>
#include <string.h>

#include "data/csv_parts.h"

static int64_t column_named(const csv *c, const char *name) {
  for (int64_t k = 0; k < c->d && name; k++) {
    if (strcmp(c->names[c->selection.columns[k]], name) == 0) return k;
  }
  return -1;
}

rh_status rh_csv_set_known(csv *c, const rh_known_columns *known) {
  bool by_header = false;
  for (int64_t i = 0; i < known->n_names && c->names && !by_header; i++) by_header = column_named(c, known->names[i]) >= 0;
  for (int64_t i = 0; i < known->n; i++) {
    const rh_known_column *column = &known->column[i];
    int64_t k = by_header ? column_named(c, column->name) : -1;
    if (k < 0 && by_header && !c->source->options->columns)
      return rh_fail(RH_E_SHAPE, "%s: line %lld: the column '%.64s' is not in the header: %s", c->source->name, (long long)c->first_line,
                     column->name, known->no_choice ? "add it, or rename a column" : "rename it there, or choose columns (--columns LIST)");
    if (k < 0) k = column->place[known->narrow == c->d];
    if (k >= c->d || c->is_text[k]) continue; /* a wrong width is found by who wants the table */
    c->is_text[k] = true;
    for (int64_t t = 0; t < column->n; t++) {
      int64_t ignored;
      RH_TRY(rh_categories_place(&c->texts[k], column->texts[t], (int64_t)strlen(column->texts[t]), &ignored));
    }
    c->texts[k].closed = true;
  }
  return RH_OK;
}

typedef struct seen { /* of the cells of one column */
  int64_t numbers, texts, line;
  cell text; /* the first one */
} seen;

static void look_at_row(csv *trial, seen *all, bool *whole) {
  *whole = false;
  for (int64_t j = 0; j < trial->width; j++) {
    const int64_t line = trial->line, k = trial->slot[j];
    cell x;
    if (rh_csv_read_cell(trial, &x) != RH_OK || rh_csv_at_line_end(trial) != (j + 1 == trial->width)) return; /* an error when it is read */
    if (k >= 0 && x.n > 0) {
      if (!rh_csv_is_text(&x)) {
        all[k].numbers++;
      } else if (all[k].texts++ == 0) {
        all[k].line = line;
        all[k].text = x;
      }
    }
    if (j + 1 < trial->width) trial->p++;
  }
  rh_csv_skip_line_end(trial);
  *whole = true;
}

/* A context column of texts is one of categories. One of texts and numbers could be numbers with a bad cell: who means categories says so.
 */
rh_status rh_csv_find_texts(csv *c) {
  csv trial = *c;
  seen *all = rh_alloc_zero((size_t)c->d, sizeof *all);
  if (!all) return RH_E_MEMORY;
  for (bool whole = true; whole && rh_csv_next_row(&trial);) look_at_row(&trial, all, &whole);
  rh_status status = RH_OK;
  for (int64_t k = 0; k < c->d && status == RH_OK; k++) {
    const rh_role role = c->selection.facts[k].role;
    char where[512], show[RH_SHOW_BYTES];
    if (role == RH_ROLE_DATA || all[k].texts == 0) continue;
    c->is_text[k] = true;
    if (role == RH_ROLE_CATEGORY || all[k].numbers == 0) continue;
    status = rh_fail(RH_E_DATA,
                     "%s: \"%s\" is not a number, other cells of the column are; correct it, or say that the column holds categories "
                     "(--categorical %lld)",
                     rh_csv_where(c, all[k].line, c->selection.columns[k], where), rh_show(all[k].text.at, all[k].text.n, show),
                     (long long)c->selection.columns[k] + 1);
  }
  rh_free(all);
  return status;
}

static rh_status fail_category(const csv *c, int64_t line, int64_t j, const cell *x) {
  char where[512], show[RH_SHOW_BYTES], list[200];
  const rh_categories *texts = &c->texts[c->slot[j]];
  rh_csv_where(c, line, j, where);
  rh_show(x->at, x->n, show);
  if (texts->closed)
    return rh_fail(RH_E_DATA, "%s: \"%s\" is no category of the fit's; there are %s", where, show,
                   rh_categories_list(texts, list, sizeof list));
  return rh_fail(RH_E_DATA, "%s: \"%s\" is one category more than the %d that a column may have; group them, or leave the column out",
                 where, show, RH_CATEGORIES_MOST);
}

rh_status rh_csv_read_category(csv *c, int64_t j, double *value) {
  char text[RH_CATEGORY_BYTES];
  const int64_t line = c->line;
  int64_t n = 0, place;
  cell x;
  RH_TRY(rh_csv_read_cell(c, &x));
  if (x.n == 0) return rh_csv_fail_cell(c, line, j, &x);
  for (int64_t i = 0; i < x.n && n < RH_CATEGORY_BYTES; i++) {
    text[n++] = (char)x.at[i];
    i += x.quoted && x.at[i] == '"'; /* doubled */
  }
  char where[512];
  if (n == RH_CATEGORY_BYTES || !rh_is_utf8(text, n))
    return rh_fail(RH_E_DATA, "%s: a category is a text of at most %d bytes in UTF-8; correct the cell, or save the file as UTF-8",
                   rh_csv_where(c, line, j, where), RH_CATEGORY_BYTES - 1);
  RH_TRY(rh_categories_place(&c->texts[c->slot[j]], text, n, &place));
  if (place < 0) return fail_category(c, line, j, &x);
  *value = (double)place;
  return RH_OK;
}
