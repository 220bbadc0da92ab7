#include "data/table_read.h"

#include <errno.h>
#include <float.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/memory.h"
#include "data/source.h"

/* In the order they are tried; the last takes whatever is left. */
static const rh_format *const formats[] = {&rh_format_npy, &rh_format_npz, &rh_format_csv};

/* ---- sources ---- */

static void drop_data(rh_source *source) {
  rh_bytes_close(&source->bytes);
  rh_spool_close(&source->spool);
}

void rh_source_close(rh_source *source) {
  drop_data(source);
  rh_free(source->file);
  source->file = NULL;
}

void rh_source_spool(const rh_source *source, rh_spool *spool) {
  rh_spool_begin(spool, source->options->memory_limit, source->options->temp_folder);
}

void rh_source_take(rh_source *source, rh_spool *spool) {
  drop_data(source);
  source->data = spool->data;
  source->size = spool->size;
  source->spool = *spool;
  source->borrowed = false;
  *spool = (rh_spool){.fd = -1};
}

static rh_status copy_borrowed(rh_source *source) {
  rh_spool spool;
  rh_source_spool(source, &spool);
  rh_status status = rh_spool_put(&spool, source->data, source->size);
  if (status == RH_OK) status = rh_spool_done(&spool);
  if (status == RH_OK) rh_source_take(source, &spool);
  rh_spool_close(&spool);
  return status;
}

rh_status rh_fail_value(const char *where, double value, const char *text) {
  if (isnan(value) || (isinf(value) && strpbrk(text, "iI"))) {
    return rh_fail(RH_E_DATA, "%s: %s is not a finite number; fill the value in, remove the row, or leave the column out", where, text);
  }
  return rh_fail(RH_E_DATA, "%s: %s is beyond the range of float%d; rescale the column or leave it out", where, text,
                 isinf(value) ? 64 : 32);
}

static rh_status check_values(const rh_source *source, const rh_table *table) {
  int64_t row, column;
  double value;
  if (!rh_table_find_bad(table, source->options->narrow ? FLT_MAX : DBL_MAX, &row, &column, &value)) return RH_OK;
  char label[RH_LABEL_BYTES], where[512], text[32];
  snprintf(where, sizeof where, "%.300s: row %lld, %s", source->name, (long long)row + 1,
           rh_table_label(table, column, label, sizeof label));
  snprintf(text, sizeof text, "%g", value);
  return rh_fail_value(where, value, text);
}

static rh_status select_columns(const rh_source *source, rh_table *table) {
  rh_selection s = {0};
  if (!source->options->columns && !source->options->context && !source->options->categorical) return RH_OK;
  RH_TRY(rh_columns_select(source->name, source->options, rh_table_names(table), rh_table_columns(table), &s));
  rh_status status = rh_table_select(table, s.columns, s.n);
  if (status == RH_OK) status = rh_table_describe(table, s.facts);
  rh_selection_free(&s);
  return status;
}

rh_status rh_source_table(rh_source *source, const rh_cells *cells, rh_table **out) {
  rh_table *table = NULL;
  rh_cells kept = *cells;
  const int64_t offset = (const unsigned char *)cells->at - source->data;
  if (source->borrowed) RH_TRY(copy_borrowed(source));
  kept.at = source->data + offset;
  RH_TRY(rh_table_wrap(&kept, NULL, &table));
  rh_status status = select_columns(source, table);
  if (status == RH_OK) status = check_values(source, table);
  if (status != RH_OK) {
    rh_table_free(table);
    return status;
  }
  rh_table_own(table, &source->bytes, &source->spool);
  *out = table;
  return RH_OK;
}

const char *rh_show(const unsigned char *p, int64_t n, char text[RH_SHOW_BYTES]) {
  const bool cut = n > 40;
  if (cut) n = 40;
  while (cut && n > 0 && (p[n] & 0xC0) == 0x80) n--; /* not inside a UTF-8 sequence */
  const bool utf8 = rh_is_utf8((const char *)p, n);  /* else bytes that a terminal cannot show */
  for (int64_t i = 0; i < n; i++) text[i] = p[i] < ' ' || p[i] == 127 || (p[i] > 127 && !utf8) ? '?' : (char)p[i];
  snprintf(text + n, (size_t)(RH_SHOW_BYTES - n), "%s", cut ? "..." : "");
  return text;
}

/* ---- opening ---- */

static rh_status spool_standard_input(rh_source *source) {
  rh_spool spool;
  rh_source_spool(source, &spool);
  char buffer[1 << 15];
  rh_status status = RH_OK;
  for (;;) {
    const ssize_t got = read(STDIN_FILENO, buffer, sizeof buffer);
    if (got == 0) break;
    if (got < 0 && errno == EINTR) continue;
    status = got < 0 ? rh_fail(RH_E_IO, "standard input: cannot be read; pipe a table into it") : rh_spool_put(&spool, buffer, got);
    if (status != RH_OK) break;
  }
  if (status == RH_OK) status = rh_spool_done(&spool);
  if (status == RH_OK) rh_source_take(source, &spool);
  rh_spool_close(&spool);
  return status;
}

static rh_status decompress(rh_source *source) {
  if (source->size < 2 || source->data[0] != 0x1f || source->data[1] != 0x8b) return RH_OK;
  rh_spool spool;
  rh_source_spool(source, &spool);
  rh_status status = rh_inflate(source->name, source->data, source->size, 31, -1, &spool);
  if (status == RH_OK) status = rh_spool_done(&spool);
  if (status == RH_OK) rh_source_take(source, &spool);
  rh_spool_close(&spool);
  return status;
}

/* FILE.npz:NAME, where no file has that whole name: *file is a copy of FILE and the member's name is returned, else NULL. */
static rh_status split_path(const char *path, char **file, const char **member) {
  const char *colon = strrchr(path, ':');
  *member = NULL;
  *file = rh_strdup(path);
  if (!*file) return RH_E_MEMORY;
  if (!colon || colon - path < 4 || strncmp(colon - 4, ".npz", 4) != 0 || rh_file_exists(path)) return RH_OK;
  (*file)[colon - path] = 0;
  *member = colon + 1;
  return RH_OK;
}

rh_status rh_source_open(const char *path, const rh_read_options *filled, rh_source *source) {
  *source = (rh_source){.options = filled, .spool = {.fd = -1}};
  RH_TRY(split_path(path, &source->file, &source->member));
  rh_status status;
  if (strcmp(source->file, "-") == 0) {
    source->name = "standard input";
    status = spool_standard_input(source);
  } else {
    source->name = source->file;
    status = rh_bytes_open(source->file, &source->bytes);
    source->data = source->bytes.data;
    source->size = (int64_t)source->bytes.size;
  }
  if (status == RH_OK) status = decompress(source);
  if (status != RH_OK) rh_source_close(source);
  return status;
}

rh_status rh_source_borrow(const char *name, const void *bytes, size_t n, const rh_read_options *filled, rh_source *source) {
  *source = (rh_source){.name = name, .data = bytes, .size = (int64_t)n, .borrowed = true, .options = filled, .spool = {.fd = -1}};
  return decompress(source); /* which leaves nothing to close where it fails */
}

/* ---- the one entry ---- */

static rh_status read_source(rh_source *source, rh_table **table) {
  if (source->size == 0) return rh_fail(RH_E_DATA, "%s: the file is empty; a table needs at least one row", source->name);
  for (size_t i = 0;; i++) {
    if (i + 1 < RH_COUNT_OF(formats) && !formats[i]->sniff(source->data, source->size)) continue;
    if (source->member && formats[i] != &rh_format_npz) {
      return rh_fail(RH_E_DATA, "%s: is no NPZ archive, so it has no array \"%s\"; leave out \":%s\"", source->name, source->member,
                     source->member);
    }
    return formats[i]->read(source, table);
  }
}

rh_read_options rh_read_defaults(const rh_read_options *options) {
  rh_read_options o = options ? *options : (rh_read_options){0};
  if (o.memory_limit <= 0) o.memory_limit = RH_READ_MEMORY;
  if (!o.temp_folder) o.temp_folder = "/var/tmp";
  return o;
}

rh_status rh_table_read(const char *path, const rh_read_options *options, rh_table **table) {
  const rh_read_options filled = rh_read_defaults(options);
  rh_source source;
  RH_TRY(rh_source_open(path, &filled, &source));
  const rh_status status = read_source(&source, table);
  rh_source_close(&source);
  return status;
}

rh_status rh_table_read_bytes(const char *name, const void *bytes, size_t n, const rh_read_options *options, rh_table **table) {
  const rh_read_options filled = rh_read_defaults(options);
  rh_source source;
  RH_TRY(rh_source_borrow(name, bytes, n, &filled, &source));
  const rh_status status = read_source(&source, table);
  rh_source_close(&source);
  return status;
}
