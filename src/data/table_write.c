#include "data/table_write.h"

#include <stdio.h>
#include <string.h>

#include "base/memory.h"
#include "data/number.h"

struct rh_table_writer {
  rh_writer *file;
  int64_t rows, columns, done;
  rh_cell cell;
  bool npy;
  struct texts {
    const char *const *text;
    int64_t n;
  } * texts; /* [columns], or NULL: numbers alone */
};

static bool ends_with(const char *path, const char *suffix) {
  const size_t n = strlen(path), m = strlen(suffix);
  return n >= m && strcmp(path + n - m, suffix) == 0;
}

static bool machine_is_little(void) {
  const uint16_t one = 1;
  unsigned char first;
  memcpy(&first, &one, 1);
  return first == 1;
}

static rh_status put_npy_header(rh_table_writer *w) {
  char text[128];
  unsigned char head[128] = {0x93, 'N', 'U', 'M', 'P', 'Y', 1, 0, sizeof head - 10, 0}; /* version 1; 128 bytes keep the values aligned */
  const int n = snprintf(text, sizeof text, "{'descr': '%c%s', 'fortran_order': False, 'shape': (%lld, %lld), }",
                         machine_is_little() ? '<' : '>', rh_cell_name(w->cell), (long long)w->rows, (long long)w->columns);
  memset(head + 10, ' ', sizeof head - 10);
  memcpy(head + 10, text, (size_t)n);
  head[sizeof head - 1] = '\n';
  return rh_writer_put(w->file, head, sizeof head);
}

static rh_status put_name(rh_writer *file, const char *name) {
  const size_t n = strlen(name);
  const bool plain = n > 0 && !strpbrk(name, ",;\t\"\r\n") && name[0] != ' ' && name[n - 1] != ' ' && name[0] != '#';
  if (plain) return rh_writer_put(file, name, n);
  RH_TRY(rh_writer_put(file, "\"", 1));
  for (const char *c = name; *c; c++) {
    if (*c == '"') RH_TRY(rh_writer_put(file, "\"", 1));
    RH_TRY(rh_writer_put(file, c, 1));
  }
  return rh_writer_put(file, "\"", 1);
}

static rh_status put_csv_header(rh_table_writer *w, const char *const *names) {
  bool text = false;
  for (int64_t j = 0; j < w->columns; j++) {
    double ignored;
    const char *end = names[j] + strlen(names[j]);
    text = text || rh_number_read(names[j], end, &ignored) != end;
  }
  if (!text) return RH_OK;
  for (int64_t j = 0; j < w->columns; j++) {
    if (j > 0) RH_TRY(rh_writer_put(w->file, ",", 1));
    RH_TRY(put_name(w->file, names[j]));
  }
  return rh_writer_put(w->file, "\n", 1);
}

rh_status rh_table_writer_open(const char *path, int64_t rows, int64_t columns, const char *const *names, rh_cell cell,
                               rh_table_writer **out) {
  if (rows < 0 || columns < 1)
    return rh_fail(RH_E_ARGUMENT, "%s: a table of %lld rows and %lld columns cannot be written", path, (long long)rows, (long long)columns);
  if (ends_with(path, ".npz")) return rh_fail(RH_E_ARGUMENT, "%s: NPZ is read but not written; write .npy or .csv", path);
  rh_table_writer *w = rh_alloc_zero(1, sizeof *w);
  if (!w) return RH_E_MEMORY;
  *w = (rh_table_writer){
      .rows = rows, .columns = columns, .cell = cell == RH_CELL_F4 ? RH_CELL_F4 : RH_CELL_F8, .npy = ends_with(path, ".npy")};
  rh_status status = rh_writer_open(path, &w->file);
  if (status == RH_OK) status = w->npy ? put_npy_header(w) : names ? put_csv_header(w, names) : RH_OK;
  if (status != RH_OK) {
    rh_table_writer_discard(w);
    return status;
  }
  *out = w;
  return RH_OK;
}

rh_status rh_table_writer_texts(rh_table_writer *w, int64_t column, const char *const *texts, int64_t n) {
  if (!w->texts) w->texts = rh_alloc_zero((size_t)w->columns, sizeof *w->texts);
  if (!w->texts) return RH_E_MEMORY;
  w->texts[column] = (struct texts){texts, n};
  return RH_OK;
}

/* One number of the writer's type, and its separator in a text. */
static rh_status put_number(rh_table_writer *w, int64_t column, float narrow, double value, char separator) {
  if (!w->npy && w->texts && value >= 0 && value < (double)w->texts[column].n) {
    RH_TRY(put_name(w->file, w->texts[column].text[(int64_t)value]));
    return rh_writer_put(w->file, &separator, 1);
  }
  if (w->npy) return w->cell == RH_CELL_F4 ? rh_writer_put(w->file, &narrow, sizeof narrow) : rh_writer_put(w->file, &value, sizeof value);
  char text[RH_NUMBER_BYTES + 1];
  int n = w->cell == RH_CELL_F4 ? rh_number_write_f32(narrow, text) : rh_number_write_f64(value, text);
  text[n++] = separator;
  return rh_writer_put(w->file, text, (size_t)n);
}

rh_status rh_table_writer_put_f32(rh_table_writer *w, int64_t n, const float *values) {
  w->done += n;
  if (w->npy && w->cell == RH_CELL_F4) return rh_writer_put(w->file, values, (size_t)(n * w->columns) * sizeof *values);
  for (int64_t i = 0; i < n; i++, values += w->columns) {
    for (int64_t j = 0; j < w->columns; j++) RH_TRY(put_number(w, j, values[j], values[j], j + 1 < w->columns ? ',' : '\n'));
  }
  return RH_OK;
}

rh_status rh_table_writer_put_f64(rh_table_writer *w, int64_t n, const double *values) {
  w->done += n;
  if (w->npy && w->cell == RH_CELL_F8) return rh_writer_put(w->file, values, (size_t)(n * w->columns) * sizeof *values);
  for (int64_t i = 0; i < n; i++, values += w->columns) {
    for (int64_t j = 0; j < w->columns; j++) RH_TRY(put_number(w, j, (float)values[j], values[j], j + 1 < w->columns ? ',' : '\n'));
  }
  return RH_OK;
}

rh_status rh_table_writer_commit(rh_table_writer *w) {
  rh_writer *file = w->file;
  const int64_t done = w->done, rows = w->rows;
  rh_free(w->texts);
  rh_free(w);
  if (done == rows) return rh_writer_commit(file);
  rh_writer_discard(file);
  return rh_fail(RH_E_ARGUMENT, "%lld rows were written where %lld were announced", (long long)done, (long long)rows);
}

void rh_table_writer_discard(rh_table_writer *w) {
  if (!w) return;
  rh_writer_discard(w->file);
  rh_free(w->texts);
  rh_free(w);
}
