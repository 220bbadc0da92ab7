/* Comma-separated values (RFC 4180), with ; and tab as separators too, comments and blank lines. The text lies whole in memory or in a
 * mapped file; one pass reads it, two where it may hold texts. Numbers are read where they stand; only a cell that is no plain number is
 * looked at twice. */
#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "data/csv_parts.h"
#include "data/number.h"

/* p is somewhere in a row that has not as many cells as the others. */
static rh_status fail_ragged(csv *c, const unsigned char *start, int64_t line) {
  cells row = {0};
  c->p = start;
  c->line = line;
  rh_status status = rh_csv_read_cells(c, &row);
  if (status == RH_OK) {
    status = rh_fail(RH_E_DATA, "%s: line %lld: %lld cells, but line %lld has %lld; give every row as many", c->source->name,
                     (long long)line, (long long)row.n, (long long)c->first_line, (long long)c->width);
  }
  rh_free(row.cell);
  return status;
}

/* ---- the first lines: separator, header, columns ---- */

static rh_status count_cells(const csv *c, unsigned char separator, int64_t *first, int64_t *second) {
  csv trial = *c;
  cells row = {0};
  trial.separator = separator;
  *first = *second = 0;
  rh_status status = rh_csv_read_cells(&trial, &row);
  *first = row.n;
  if (status == RH_OK && rh_csv_next_row(&trial)) status = rh_csv_read_cells(&trial, &row);
  *second = row.n;
  rh_free(row.cell);
  return status;
}

/* The first of tab ; , that cuts the first two rows into the same number of cells, more than one; else the first that cuts the first row.
 */
static rh_status detect_separator(csv *c) {
  static const unsigned char candidates[] = {'\t', ';', ','};
  unsigned char fallback = ',';
  c->separator = (unsigned char)c->source->options->separator;
  if (c->separator) return RH_OK;
  for (size_t i = RH_COUNT_OF(candidates); i-- > 0;) { /* the last that fits wins, so that tab comes first */
    int64_t first, second;
    const rh_status status = count_cells(c, candidates[i], &first, &second);
    if (status == RH_E_MEMORY) return status;
    if (status != RH_OK || first < 2) continue;
    if (first == second) c->separator = candidates[i];
    fallback = candidates[i];
  }
  if (!c->separator) c->separator = fallback;
  return RH_OK;
}

/* A first line of texts names the columns, one of numbers is a row. One of both could be a row with a bad cell or a header with a year in
 * it: a guess would lose a row or a header without a word. */
static rh_status is_header(const csv *c, const cells *first, bool *header) {
  const rh_header wish = c->source->options->header;
  int64_t texts = 0, numbers = 0, text = 0;
  *header = wish == RH_HEADER_YES;
  if (wish != RH_HEADER_DETECT) return RH_OK;
  for (int64_t j = first->n; j-- > 0;) {
    if (rh_csv_is_text(&first->cell[j])) {
      texts++;
      text = j;
    } else {
      numbers += first->cell[j].n > 0;
    }
  }
  *header = texts > 0;
  if (!texts || !numbers) return RH_OK;
  char where[512], show[RH_SHOW_BYTES];
  return rh_fail(
      RH_E_DATA,
      "%s: \"%s\" is not a number, other cells of the line are; correct it, or say whether the line is a header: header yes or no "
      "(--header yes, --header no)",
      rh_csv_where(c, c->first_line, text, where), rh_show(first->cell[text].at, first->cell[text].n, show));
}

static rh_status copy_name(csv *c, int64_t line, int64_t j, const cell *x) {
  char *name = rh_arena_alloc(&c->arena, x->n > 0 ? (size_t)x->n + 1 : 32);
  if (!name) return RH_E_MEMORY;
  c->names[j] = name;
  if (x->n == 0) snprintf(name, 32, "column%lld", (long long)j + 1);
  int64_t n = 0;
  for (int64_t i = 0; i < x->n; i++) {
    name[n++] = (char)x->at[i];
    i += x->quoted && x->at[i] == '"'; /* doubled */
  }
  if (rh_is_utf8(name, n)) return RH_OK;
  return rh_fail(RH_E_DATA, "%s: line %lld, column %lld: its name is not UTF-8 text; save the file as UTF-8", c->source->name,
                 (long long)line, (long long)j + 1);
}

typedef struct named {
  const char *name;
  int64_t column;
} named;

static int by_name(const void *a, const void *b) {
  const named *x = a, *y = b;
  const int order = strcmp(x->name, y->name);
  return order ? order : (x->column > y->column) - (x->column < y->column);
}

static rh_status check_names(const csv *c, const int64_t *columns, int64_t line) {
  named *sorted = rh_alloc((size_t)c->d * sizeof *sorted);
  rh_status status = sorted ? RH_OK : RH_E_MEMORY;
  for (int64_t k = 0; sorted && k < c->d; k++) sorted[k] = (named){c->names[columns[k]], columns[k]};
  if (sorted) qsort(sorted, (size_t)c->d, sizeof *sorted, by_name);
  for (int64_t k = 1; k < c->d && status == RH_OK; k++) {
    if (strcmp(sorted[k - 1].name, sorted[k].name) != 0) continue;
    char show[RH_SHOW_BYTES];
    rh_show((const unsigned char *)sorted[k].name, (int64_t)strlen(sorted[k].name), show);
    status = rh_fail(RH_E_DATA, "%s: line %lld: columns %lld and %lld are both named \"%s\"; rename one, or leave one out by its number",
                     c->source->name, (long long)line, (long long)sorted[k - 1].column + 1, (long long)sorted[k].column + 1, show);
  }
  rh_free(sorted);
  return status;
}

/* slot, d and row from the selection. */
static rh_status choose_columns(csv *c, int64_t header_line) {
  c->slot = rh_alloc((size_t)c->width * sizeof *c->slot);
  if (!c->slot) return RH_E_MEMORY;
  RH_TRY(rh_columns_select(c->source->name, c->source->options, (const char *const *)c->names, c->width, &c->selection));
  c->d = c->selection.n;
  for (int64_t j = 0; j < c->width; j++) c->slot[j] = -1;
  for (int64_t k = 0; k < c->d; k++) c->slot[c->selection.columns[k]] = k;
  if (c->names) RH_TRY(check_names(c, c->selection.columns, header_line));
  c->row = rh_alloc((size_t)c->d * sizeof *c->row);
  c->texts = rh_alloc_zero((size_t)c->d, sizeof *c->texts);
  c->is_text = rh_alloc_zero((size_t)c->d, sizeof *c->is_text);
  return c->row && c->texts && c->is_text ? RH_OK : RH_E_MEMORY;
}

/* After this p is at the first row of data. */
static rh_status read_head(csv *c, cells *first) {
  if (!rh_csv_next_row(c))
    return rh_fail(RH_E_DATA, "%s: no rows: only comments or blank lines; a table needs at least one row", c->source->name);
  RH_TRY(detect_separator(c));
  const unsigned char *start = c->p;
  c->first_line = c->line;
  RH_TRY(rh_csv_read_cells(c, first));
  c->width = first->n;
  bool header;
  RH_TRY(is_header(c, first, &header));
  if (!header) {
    c->p = start;
    c->line = c->first_line;
    return choose_columns(c, 0);
  }
  c->names = rh_arena_alloc(&c->arena, (size_t)c->width * sizeof *c->names);
  if (!c->names) return RH_E_MEMORY;
  for (int64_t j = 0; j < c->width; j++) RH_TRY(copy_name(c, c->first_line, j, &first->cell[j]));
  return choose_columns(c, c->first_line);
}

/* ---- the rows ---- */

/* A cell that should be a number; p ends on the separator or the line's end. */
static rh_status read_number(csv *c, int64_t j, double *value) {
  rh_csv_skip_spaces(c);
  const unsigned char *start = c->p;
  const char *after = rh_number_read((const char *)start, (const char *)c->end, value);
  if (after && fabs(*value) <= c->largest) {
    c->p = (const unsigned char *)after;
    rh_csv_skip_spaces(c);
    if (rh_csv_at_line_end(c) || *c->p == c->separator) return RH_OK;
    c->p = start;
  }
  cell x;
  const int64_t line = c->line;
  RH_TRY(rh_csv_read_cell(c, &x));
  if (rh_csv_is_number(&x, value) && fabs(*value) <= c->largest) return RH_OK;
  return rh_csv_fail_cell(c, line, j, &x);
}

static rh_status read_row(csv *c) {
  const unsigned char *start = c->p;
  const int64_t line = c->line;
  for (int64_t j = 0; j < c->width; j++) {
    cell skipped;
    if (c->slot[j] >= 0 && c->is_text[c->slot[j]]) {
      RH_TRY(rh_csv_read_category(c, j, &c->row[c->slot[j]]));
    } else if (c->slot[j] >= 0) {
      RH_TRY(read_number(c, j, &c->row[c->slot[j]]));
    } else {
      RH_TRY(rh_csv_read_cell(c, &skipped));
    }
    if (rh_csv_at_line_end(c) != (j + 1 == c->width)) return fail_ragged(c, start, line);
    if (j + 1 < c->width) c->p++;
  }
  rh_csv_skip_line_end(c);
  return RH_OK;
}

static rh_status read_rows(csv *c, rh_spool *spool, int64_t *n) {
  int64_t lines = 1;
  for (const unsigned char *p = c->p; p < c->end && (p = memchr(p, '\n', (size_t)(c->end - p))); p++) lines++;
  const int64_t bytes = c->d * (int64_t)sizeof *c->row;
  RH_TRY(rh_spool_reserve(spool,
                          lines < INT64_MAX / bytes ? lines * bytes : INT64_MAX)); /* quoted line breaks apart, no more rows than lines */
  for (*n = 0; rh_csv_next_row(c); ++*n) {
    RH_TRY(read_row(c));
    RH_TRY(rh_spool_put(spool, c->row, bytes));
  }
  if (*n == 0)
    return rh_fail(RH_E_DATA, "%s: no rows: only a header on line %lld; a table needs at least one row", c->source->name,
                   (long long)c->first_line);
  return rh_spool_done(spool);
}

static rh_status make_table(const csv *c, rh_spool *spool, int64_t n, rh_table **out) {
  rh_table *table = NULL;
  const char **names = c->names ? rh_alloc((size_t)c->d * sizeof *names) : NULL;
  if (c->names && !names) return RH_E_MEMORY;
  for (int64_t k = 0; names && k < c->d; k++) names[k] = c->names[c->selection.columns[k]];
  const rh_cells made = {spool->data, RH_CELL_F8, false, n, c->d, c->d * (int64_t)sizeof(double), sizeof(double)};
  rh_status status = rh_table_wrap(&made, names, &table);
  rh_free(names);
  for (int64_t k = 0; k < c->d; k++) {
    if (!c->is_text[k]) continue;
    c->selection.facts[k].texts = c->texts[k].text;
    c->selection.facts[k].n_texts = c->texts[k].n;
  }
  if (status == RH_OK) status = rh_table_describe(table, c->selection.facts);
  if (status != RH_OK) {
    rh_table_free(table);
    return status;
  }
  rh_table_own(table, NULL, spool);
  *out = table;
  return RH_OK;
}

static rh_status check_encoding(const rh_source *s) {
  const unsigned char *p = s->data;
  if (s->size >= 2 && ((p[0] == 0xFF && p[1] == 0xFE) || (p[0] == 0xFE && p[1] == 0xFF))) {
    return rh_fail(RH_E_DATA, "%s: is UTF-16 text; save it as UTF-8", s->name);
  }
  if (memchr(p, 0, s->size < 4096 ? (size_t)s->size : 4096)) {
    return rh_fail(RH_E_FORMAT, "%s: is neither text nor NPY nor NPZ; give a table as CSV, NPY or NPZ (each may be gzip-compressed)",
                   s->name);
  }
  return RH_OK;
}

static rh_status read_csv(rh_source *source, rh_table **table) {
  csv c = {.source = source, .p = source->data, .end = source->data + source->size, .line = 1};
  cells first = {0};
  rh_spool spool;
  int64_t n = 0;
  RH_TRY(check_encoding(source));
  c.largest = source->options->narrow ? FLT_MAX : DBL_MAX;
  if (source->size >= 3 && memcmp(c.p, "\xEF\xBB\xBF", 3) == 0) c.p += 3;
  rh_source_spool(source, &spool);
  rh_status status = read_head(&c, &first);
  if (status == RH_OK) status = source->options->known ? rh_csv_set_known(&c, source->options->known) : RH_OK;
  if (status == RH_OK && !source->options->known && source->options->context) status = rh_csv_find_texts(&c);
  if (status == RH_OK) status = read_rows(&c, &spool, &n);
  if (status == RH_OK) status = make_table(&c, &spool, n, table);
  rh_spool_close(&spool);
  rh_free(first.cell);
  rh_free(c.slot);
  rh_free(c.row);
  for (int64_t k = 0; k < c.d && c.texts; k++) rh_categories_free(&c.texts[k]);
  rh_free(c.texts);
  rh_free(c.is_text);
  rh_selection_free(&c.selection);
  rh_arena_free(&c.arena);
  return status;
}

static bool sniff(const unsigned char *data, int64_t size) {
  (void)data;
  return size > 0;
}

const rh_format rh_format_csv = {"csv", sniff, read_csv};
