/* Cells of a CSV text, and what is wrong with them. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "data/csv_parts.h"
#include "data/number.h"

void rh_csv_skip_line_end(csv *c) {
  if (c->p == c->end) return;
  c->line++;
  if (*c->p == '\r' && c->p + 1 < c->end && c->p[1] == '\n') c->p++;
  c->p++;
}

bool rh_csv_next_row(csv *c) {
  for (;;) {
    const unsigned char *start = c->p;
    rh_csv_skip_spaces(c);
    if (c->p == c->end) return false;
    if (!rh_csv_at_line_end(c) && *c->p != '#') {
      c->p = start;
      return true;
    }
    while (!rh_csv_at_line_end(c)) c->p++;
    rh_csv_skip_line_end(c);
  }
}

static rh_status read_quoted(csv *c, cell *out) {
  const int64_t line = c->line;
  out->quoted = true;
  out->at = ++c->p;
  for (;; c->p++) {
    if (c->p == c->end) {
      return rh_fail(RH_E_DATA, "%s: line %lld: a quoted cell does not end; close its \"", c->source->name, (long long)line);
    }
    if (*c->p == '"') {
      if (c->p + 1 == c->end || c->p[1] != '"') break;
      c->p++;
    }
    c->line += *c->p == '\n' || (*c->p == '\r' && !(c->p + 1 < c->end && c->p[1] == '\n'));
  }
  out->n = c->p++ - out->at;
  rh_csv_skip_spaces(c);
  if (rh_csv_at_line_end(c) || *c->p == c->separator) return RH_OK;
  return rh_fail(RH_E_DATA, "%s: line %lld: text after a closing quote; write a \" inside a quoted cell as \"\"", c->source->name,
                 (long long)c->line);
}

rh_status rh_csv_read_cell(csv *c, cell *out) {
  *out = (cell){0};
  rh_csv_skip_spaces(c);
  if (c->p < c->end && *c->p == '"') return read_quoted(c, out);
  out->at = c->p;
  while (!rh_csv_at_line_end(c) && *c->p != c->separator) c->p++;
  out->n = c->p - out->at;
  while (out->n > 0 && (out->at[out->n - 1] == ' ' || out->at[out->n - 1] == '\t')) out->n--;
  return RH_OK;
}

rh_status rh_csv_read_cells(csv *c, cells *out) {
  for (out->n = 0;;) {
    RH_TRY(rh_grow((void **)&out->cell, &out->room, out->n + 1, sizeof *out->cell));
    RH_TRY(rh_csv_read_cell(c, &out->cell[out->n++]));
    if (rh_csv_at_line_end(c)) return RH_OK;
    c->p++; /* the separator */
  }
}

bool rh_csv_is_number(const cell *x, double *value) {
  const char *start = (const char *)x->at, *end = start + x->n;
  return x->n > 0 && rh_number_read(start, end, value) == end;
}

bool rh_csv_is_text(const cell *x) {
  double ignored;
  return x->n > 0 && !rh_csv_is_number(x, &ignored);
}

/* ---- errors ---- */

const char *rh_csv_where(const csv *c, int64_t line, int64_t j, char text[512]) {
  char show[RH_SHOW_BYTES];
  const char *name = c->names ? rh_show((const unsigned char *)c->names[j], (int64_t)strlen(c->names[j]), show) : NULL;
  snprintf(text, 512, name ? "%.300s: line %lld, column %lld (%s)" : "%.300s: line %lld, column %lld", c->source->name, (long long)line,
           (long long)j + 1, name);
  return text;
}

rh_status rh_csv_fail_cell(const csv *c, int64_t line, int64_t j, const cell *x) {
  char where[512], show[RH_SHOW_BYTES];
  double value;
  rh_csv_where(c, line, j, where);
  rh_show(x->at, x->n, show);
  if (x->n == 0) return rh_fail(RH_E_DATA, "%s: the cell is empty; fill it in, remove the row, or leave the column out", where);
  if (rh_csv_is_number(x, &value)) return rh_fail_value(where, value, show);
  const char *comma = memchr(x->at, ',', (size_t)x->n) && !x->quoted ? " (a decimal comma? write a point)" : "";
  return rh_fail(RH_E_DATA, "%s: \"%s\" is not a number%s; correct it, remove the row, or leave the column out", where, show, comma);
}
