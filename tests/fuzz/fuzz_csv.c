/* Any bytes as CSV (or whatever they sniff as): never a crash; a table that is read is finite (texts of context columns are their places),
 * and written as CSV and read again it is the same; every number is the one that strtod reads. The first byte chooses the options, the last
 * one the context. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "data/analyse.h"
#include "data/number.h"
#include "data/table_read.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);

static void must(bool holds) {
  if (!holds) abort();
}

static void check_number(const uint8_t *bytes, size_t n) {
  char text[400], copy[400];
  double value = 0, other = 0;
  if (n >= sizeof text) n = sizeof text - 1;
  memcpy(text, bytes, n);
  const char *after = rh_number_read(text, text + n, &value);
  if (!after) return;
  must(after > text && after <= text + n);
  memcpy(copy, text, (size_t)(after - text));
  copy[after - text] = 0;
  other = strtod(copy, NULL);
  must(isnan(value) ? isnan(other) : memcmp(&value, &other, sizeof value) == 0);
  char shortest[RH_NUMBER_BYTES];
  const int length = rh_number_write_f64(value, shortest);
  must(rh_number_read(shortest, shortest + length, &other) == shortest + length);
  must(isnan(value) ? isnan(other) : memcmp(&value, &other, sizeof value) == 0);
}

typedef struct text {
  char *at;
  int64_t n, room;
} text;

static void put(text *t, const char *bytes, size_t n) {
  if (n == 0) return;
  must(rh_grow((void **)&t->at, &t->room, t->n + (int64_t)n, 1) == RH_OK);
  memcpy(t->at + t->n, bytes, n);
  t->n += (int64_t)n;
}

static void put_name(text *t, const char *name) {
  put(t, "\"", 1);
  for (; *name; name++) put(t, *name == '"' ? "\"\"" : name, *name == '"' ? 2 : 1);
  put(t, "\"", 1);
}

static void read_again(const rh_table *table) {
  const int64_t rows = rh_table_rows(table), columns = rh_table_columns(table);
  const char *const *names = rh_table_names(table);
  double *x = rh_alloc((size_t)columns * sizeof *x), *y = rh_alloc((size_t)columns * sizeof *y);
  text t = {0};
  must(x && y);
  for (int64_t j = 0; names && j < columns; j++) {
    put(&t, ",", j > 0);
    put_name(&t, names[j]);
  }
  put(&t, "\n", 1);
  for (int64_t i = 0; i < rows; i++) {
    rh_table_get_f64(table, NULL, i, 1, x);
    for (int64_t j = 0; j < columns; j++) {
      char number[RH_NUMBER_BYTES];
      must(isfinite(x[j]));
      put(&t, ",", j > 0);
      put(&t, number, (size_t)rh_number_write_f64(x[j], number));
    }
    put(&t, "\n", 1);
  }
  rh_table *again = NULL;
  const rh_read_options options = {.header = names ? RH_HEADER_YES : RH_HEADER_NO, .separator = ','};
  must(rh_table_read_bytes("again", t.at, (size_t)t.n, &options, &again) == RH_OK);
  must(rh_table_rows(again) == rows && rh_table_columns(again) == columns && !rh_table_names(again) == !names);
  for (int64_t j = 0; names && j < columns; j++) must(names[j][0] == 0 || strcmp(names[j], rh_table_names(again)[j]) == 0);
  for (int64_t i = 0; i < rows; i++) {
    rh_table_get_f64(table, NULL, i, 1, x);
    rh_table_get_f64(again, NULL, i, 1, y);
    must(memcmp(x, y, (size_t)columns * sizeof *x) == 0);
  }
  rh_table_free(again);
  rh_free(t.at);
  rh_free(x);
  rh_free(y);
}

static void analyse(const rh_table *table) {
  json_t *plan = NULL;
  for (rh_handle handle = RH_HANDLE_AUTO; handle <= RH_HANDLE_NONE; handle++) {
    const rh_status status = rh_analyse(table, NULL, 0, handle, 4, &plan);
    must(status == RH_OK || status == RH_E_DATA);
    if (status == RH_OK) json_decref(plan);
  }
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n) {
  static const char *const lists[] = {NULL, NULL, "1", "-1", "2,1", "a,b", "1-3,-2", "\"a\"\"b\",-c"};
  if (n == 0) return 0;
  static const char *const contexts[] = {NULL, "2", NULL, "1,b"};
  const uint8_t choice = bytes[0];
  const char *context = contexts[bytes[n - 1] & 3];
  const rh_read_options options = {.columns = lists[choice & 7],
                                   .context = context,
                                   .categorical = bytes[n - 1] & 4 ? context : NULL,
                                   .header = (rh_header)((choice >> 3 & 3) % 3),
                                   .separator = choice >> 5 == 7 ? ';' : 0,
                                   .narrow = choice >> 5 & 1,
                                   .memory_limit = choice >> 5 & 2 ? 1 : 0};
  rh_table *table = NULL;
  check_number(bytes + 1, n - 1);
  const rh_status status = rh_table_read_bytes("fuzz", bytes + 1, n - 1, &options, &table);
  must((status == RH_OK) == (table != NULL));
  if (status != RH_OK) {
    must(rh_last_error()[0] && !strchr(rh_last_error(), '\n'));
    return 0;
  }
  read_again(table);
  analyse(table);
  rh_table_free(table);
  return 0;
}
