#define _XOPEN_SOURCE 700 /* mkdtemp */
#include "data/table.h"

#include <float.h>
#include <math.h>

#include "base/rng.h"
#include "data/table_write.h"
#include "scratch.h"

static const float grid[12] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11};
static const char *const letters[] = {"a", "b", "c", "d"};

static rh_table *wrapped(const rh_cells *cells, const char *const *names) {
  rh_table *table = NULL;
  assert_int_equal(rh_table_wrap(cells, names, &table), RH_OK);
  return table;
}

static const rh_cells three_by_four = {grid, RH_CELL_F4, false, 3, 4, 16, 4};

static void rows_come_out_in_any_order(void **state) {
  (void)state;
  rh_table *table = wrapped(&three_by_four, letters);
  const int64_t rows[] = {2, 0, 2};
  const float want[] = {8, 9, 10, 11, 0, 1, 2, 3, 8, 9, 10, 11};
  float narrow[12];
  double wide[12], column[3];
  rh_table_get_f32(table, rows, 99, 3, narrow);
  rh_table_get_f64(table, rows, 99, 3, wide);
  for (int i = 0; i < 12; i++) assert_true(narrow[i] == want[i] && wide[i] == want[i]);
  rh_table_get_f32(table, NULL, 1, 2, narrow);
  for (int i = 0; i < 8; i++) assert_true(narrow[i] == grid[4 + i]);
  rh_table_column_f64(table, 1, rows, 99, 3, column);
  assert_true(column[0] == 9 && column[1] == 1 && column[2] == 9);
  assert_true(rh_table_is_narrow(table));
  rh_table_free(table);
  rh_table_free(NULL);
}

static void values_of_any_alignment_and_step(void **state) {
  (void)state;
  char bytes[sizeof grid + 1];
  memcpy(bytes + 1, grid, sizeof grid);
  /* odd address, rows backwards */
  rh_table *table = wrapped(&(rh_cells){bytes + 1 + 8 * sizeof *grid, RH_CELL_F4, false, 3, 4, -16, 4}, NULL);
  assert_table(table, 3, 4, (const double[]){8, 9, 10, 11, 4, 5, 6, 7, 0, 1, 2, 3});
  rh_table_free(table);
}

static void selection_of_a_selection(void **state) {
  (void)state;
  rh_table *table = wrapped(&three_by_four, letters);
  assert_int_equal(rh_table_select(table, (const int64_t[]){3, 1, 0}, 3), RH_OK);
  assert_table(table, 3, 3, (const double[]){3, 1, 0, 7, 5, 4, 11, 9, 8});
  assert_string_equal(rh_table_names(table)[0], "d");
  assert_int_equal(rh_table_select(table, (const int64_t[]){2, 0}, 2), RH_OK);
  assert_table(table, 3, 2, (const double[]){0, 3, 4, 7, 8, 11});
  assert_string_equal(rh_table_names(table)[0], "a");
  assert_string_equal(rh_table_names(table)[1], "d");
  assert_int_equal(rh_table_select(table, NULL, 0), RH_E_ARGUMENT);
  rh_table_free(table);
}

static void labels_are_one_line(void **state) {
  (void)state;
  char text[RH_LABEL_BYTES];
  const char *const names[] = {"plain", "two\nlines", "", "0123456789012345678901234567890123456789too long"};
  rh_table *table = wrapped(&three_by_four, names);
  assert_string_equal(rh_table_label(table, 0, text, sizeof text), "column 1 (plain)");
  assert_string_equal(rh_table_label(table, 1, text, sizeof text), "column 2 (two?lines)");
  assert_string_equal(rh_table_label(table, 3, text, sizeof text), "column 4 (0123456789012345678901234567890123456789...)");
  rh_table_free(table);
  table = wrapped(&three_by_four, NULL);
  assert_string_equal(rh_table_label(table, 2, text, sizeof text), "column 3");
  rh_table_free(table);
  /* cut between letters, never inside one */
  const char *const long_name[] = {"123456789012345678901234567890123456789\xC3\xB6\xC3\xB6", "b", "c", "d"}, *const broken[] = {
                                                                                                                  "\xC3", "b", "c", "d"};
  table = wrapped(&three_by_four, long_name);
  assert_string_equal(rh_table_label(table, 0, text, sizeof text), "column 1 (123456789012345678901234567890123456789...)");
  rh_table_free(table);
  table = NULL;
  assert_int_equal(rh_table_wrap(&three_by_four, broken, &table), RH_E_DATA);
  assert_string_equal(rh_last_error(), "column 1: its name is not UTF-8 text; rename it");
  assert_null(table);
  const char *const good[] = {"", "a", "\xC3\xB6", "\xE2\x82\xAC", "\xF0\x9F\x98\x80"};
  const char *const bad[] = {"\x80",     "\xC3", "\xC0\x80", "\xE0\x80\x80", "\xED\xA0\x80", "\xF4\x90\x80\x80", "\xF8\x80\x80\x80",
                             "\xE2\x82", "a\xFF"};
  for (size_t i = 0; i < RH_COUNT_OF(good); i++) assert_true(rh_is_utf8(good[i], (int64_t)strlen(good[i])));
  for (size_t i = 0; i < RH_COUNT_OF(bad); i++) assert_false(rh_is_utf8(bad[i], (int64_t)strlen(bad[i])));
  assert_false(rh_is_utf8("a\0b", 3));
}

static void hash_is_of_the_numbers(void **state) {
  (void)state;
  enum { D = 150 }; /* more than one piece of a row */
  double wide[2 * D];
  float narrow[2 * D];
  for (int j = 0; j < D; j++) wide[j] = narrow[j] = wide[D + j] = narrow[D + j] = (float)(j % 7 - 3) / 4;
  wide[D + 3] = -0.0; /* equal to 0 in row 0 */
  rh_table *a = wrapped(&(rh_cells){wide, RH_CELL_F8, false, 2, D, D * 8, 8}, NULL);
  rh_table *b = wrapped(&(rh_cells){narrow, RH_CELL_F4, false, 2, D, D * 4, 4}, NULL);
  assert_true(rh_table_row_hash(a, 0) == rh_table_row_hash(b, 1));
  assert_true(rh_table_row_hash(a, 0) == rh_table_row_hash(a, 1));
  assert_true(rh_table_rows_equal(a, 0, 1));
  for (int j = 0; j < D; j++) {
    const double kept = wide[D + j];
    wide[D + j] = 9;
    assert_true(rh_table_row_hash(a, 0) != rh_table_row_hash(a, 1));
    assert_false(rh_table_rows_equal(a, 0, 1));
    wide[D + j] = kept;
  }
  rh_table_free(a);
  rh_table_free(b);
}

static void bad_values_are_found_anywhere(void **state) {
  (void)state;
  enum { N = 3, D = 130 };
  double values[N * D] = {0};
  rh_table *table = wrapped(&(rh_cells){values, RH_CELL_F8, false, N, D, D * 8, 8}, NULL);
  int64_t row = -1, column = -1;
  double value = 0;
  assert_false(rh_table_find_bad(table, 0, &row, &column, &value));
  for (int i = 0; i < N * D; i++) {
    values[i] = i % 3 == 0 ? NAN : i % 3 == 1 ? INFINITY : -1e300;
    assert_true(rh_table_find_bad(table, 1e200, &row, &column, &value));
    assert_true(row == i / D && column == i % D);
    assert_int_equal(rh_table_find_bad(table, 0, &row, &column, &value), i % 3 != 2);
    values[i] = 0;
  }
  rh_table_free(table);
}

static void no_rows_or_columns_is_no_table(void **state) {
  (void)state;
  rh_table *table = NULL;
  rh_cells cells = three_by_four;
  cells.n = 0;
  assert_int_equal(rh_table_wrap(&cells, NULL, &table), RH_E_DATA);
  cells.n = 1;
  cells.d = 0;
  assert_int_equal(rh_table_wrap(&cells, NULL, &table), RH_E_DATA);
  assert_null(table);
}

/* ---- writing ---- */

static const char *slurp(const char *name) {
  static char text[4096];
  FILE *file = fopen(scratch_path(name), "rb");
  assert_non_null(file);
  const size_t n = fread(text, 1, sizeof text - 1, file);
  fclose(file);
  text[n] = 0;
  return text;
}

static void csv_is_written_with_its_header(void **state) {
  (void)state;
  rh_table_writer *writer = NULL;
  const char *const names[] = {"a", "b,c", "say \"x\"", "#d", " e"};
  assert_int_equal(rh_table_writer_open(scratch_path("out.csv"), 2, 5, names, RH_CELL_F4, &writer), RH_OK);
  assert_int_equal(rh_table_writer_put_f32(writer, 1, (const float[]){0.1f, -2, 1e10f, 0, 3.25f}), RH_OK);
  assert_int_equal(rh_table_writer_put_f64(writer, 1, (const double[]){0.1, 5, -INFINITY, NAN, 6}), RH_OK);
  assert_int_equal(rh_table_writer_commit(writer), RH_OK);
  assert_string_equal(slurp("out.csv"), "a,\"b,c\",\"say \"\"x\"\"\",\"#d\",\" e\"\n0.1,-2,10000000000,0,3.25\n0.1,5,-inf,nan,6\n");
  /* names that are all numbers would read as a row */
  assert_int_equal(rh_table_writer_open(scratch_path("out.csv"), 1, 2, (const char *const[]){"1", "2e5"}, RH_CELL_F8, &writer), RH_OK);
  assert_int_equal(rh_table_writer_put_f64(writer, 1, (const double[]){0.1, 0.30000000000000004}), RH_OK);
  assert_int_equal(rh_table_writer_commit(writer), RH_OK);
  assert_string_equal(slurp("out.csv"), "0.1,0.30000000000000004\n");
}

static void what_is_written_reads_back(void **state) {
  (void)state;
  enum { N = 300, D = 5 };
  static double wide[N * D];
  static float narrow[N * D];
  const char *const names[] = {"alpha", "b,1", "\"", "two\nlines", "e"};
  for (int i = 0; i < N * D; i++) {
    const rh_rng rng = rh_rng_at(11, 0, (uint64_t)i, RH_STREAM_TEST);
    uint32_t w[4];
    rh_rng_words(&rng, 0, w);
    const uint64_t bits = (uint64_t)w[0] << 32 | w[1];
    memcpy(&wide[i], &bits, sizeof *wide);
    memcpy(&narrow[i], &w[2], sizeof *narrow);
    if (!isfinite(wide[i])) wide[i] = i;
    if (!isfinite(narrow[i])) narrow[i] = (float)i;
  }
  const char *const files[] = {"back.csv", "back.npy"};
  for (int f = 0; f < 4; f++) {
    const bool double_width = f % 2;
    rh_table_writer *writer = NULL;
    rh_table *table = NULL;
    const rh_cell cell = double_width ? RH_CELL_F8 : RH_CELL_F4;
    assert_int_equal(rh_table_writer_open(scratch_path(files[f / 2]), N, D, names, cell, &writer), RH_OK);
    for (int first = 0, n; first < N; first += n) { /* in pieces of every size */
      n = first % 7 + 1 < N - first ? first % 7 + 1 : N - first;
      assert_int_equal(
          double_width ? rh_table_writer_put_f64(writer, n, wide + first * D) : rh_table_writer_put_f32(writer, n, narrow + first * D),
          RH_OK);
    }
    assert_int_equal(rh_table_writer_commit(writer), RH_OK);
    if (rh_table_read(scratch_path(files[f / 2]), NULL, &table) != RH_OK) fail_msg("%s", rh_last_error());
    if (double_width) {
      assert_table(table, N, D, wide);
    } else {
      float *got = malloc(sizeof narrow);
      rh_table_get_f32(table, NULL, 0, N, got);
      assert_memory_equal(got, narrow, sizeof narrow);
      free(got);
    }
    assert_int_equal(rh_table_names(table) != NULL, f < 2);
    for (int j = 0; f < 2 && j < D; j++) assert_string_equal(rh_table_names(table)[j], names[j]);
    if (f >= 2) assert_int_equal(rh_table_cell(table), cell);
    rh_table_free(table);
  }
}

static void npy_of_the_other_width(void **state) {
  (void)state;
  rh_table_writer *writer = NULL;
  rh_table *table = NULL;
  assert_int_equal(rh_table_writer_open(scratch_path("w.npy"), 2, 2, NULL, RH_CELL_F8, &writer), RH_OK);
  assert_int_equal(rh_table_writer_put_f32(writer, 1, (const float[]){1, 2}), RH_OK);
  assert_int_equal(rh_table_writer_put_f64(writer, 1, (const double[]){3, 0.1}), RH_OK);
  assert_int_equal(rh_table_writer_commit(writer), RH_OK);
  assert_int_equal(rh_table_read(scratch_path("w.npy"), NULL, &table), RH_OK);
  assert_table(table, 2, 2, (const double[]){1, 2, 3, 0.1});
  rh_table_free(table);
}

static void unfinished_output_is_none(void **state) {
  (void)state;
  rh_table_writer *writer = NULL;
  scratch_write("kept.csv", "old\n", 4);
  assert_int_equal(rh_table_writer_open(scratch_path("kept.csv"), 2, 1, NULL, RH_CELL_F4, &writer), RH_OK);
  assert_int_equal(rh_table_writer_put_f32(writer, 1, grid), RH_OK);
  assert_int_equal(rh_table_writer_commit(writer), RH_E_ARGUMENT); /* a row is missing */
  assert_string_equal(rh_last_error(), "1 rows were written where 2 were announced");
  assert_string_equal(slurp("kept.csv"), "old\n");
  assert_int_equal(rh_table_writer_open(scratch_path("kept.csv"), 2, 1, NULL, RH_CELL_F4, &writer), RH_OK);
  rh_table_writer_discard(writer);
  rh_table_writer_discard(NULL);
  assert_string_equal(slurp("kept.csv"), "old\n");
  writer = NULL;
  assert_int_equal(rh_table_writer_open(scratch_path("x.npz"), 2, 1, NULL, RH_CELL_F4, &writer), RH_E_ARGUMENT);
  assert_int_equal(rh_table_writer_open(scratch_path("no/x.csv"), 2, 1, NULL, RH_CELL_F4, &writer), RH_E_IO);
  assert_int_equal(rh_table_writer_open(scratch_path("x.csv"), -1, 1, NULL, RH_CELL_F4, &writer), RH_E_ARGUMENT);
  assert_null(writer);
  assert_int_equal(rh_table_writer_open("/dev/full", 1, 1, NULL, RH_CELL_F4, &writer), RH_OK);
  assert_int_equal(rh_table_writer_put_f32(writer, 1, grid), RH_OK);
  assert_int_equal(rh_table_writer_commit(writer), RH_E_IO);
  assert_string_equal(rh_last_error(), "/dev/full: cannot be written: No space left on device");
}

static void standard_input_is_read(void **state) {
  (void)state;
  scratch_write("in.csv", "a,b\n1,2\n3,4\n", 12);
  const int saved = dup(STDIN_FILENO);
  assert_non_null(freopen(scratch_path("in.csv"), "rb", stdin));
  rh_table *table = NULL;
  const rh_status status = rh_table_read("-", NULL, &table);
  const rh_status again = rh_table_read("-", NULL, &table); /* at its end */
  dup2(saved, STDIN_FILENO);
  close(saved);
  assert_int_equal(status, RH_OK);
  assert_table(table, 2, 2, (const double[]){1, 2, 3, 4});
  assert_int_equal(again, RH_E_DATA);
  assert_string_equal(rh_last_error(), "standard input: the file is empty; a table needs at least one row");
  rh_table_free(table);
}

/* The table that comes with the project is what its README says. */
static void bundled_data_is_whole(void **state) {
  (void)state;
  const struct {
    const char *path;
    int64_t rows;
  } files[] = {{"data/protein_clean_train.npy", 35214}, {"data/protein_clean_val.npy", 4402}, {"data/protein_clean_test.npy", 4402}};
  for (size_t i = 0; i < RH_COUNT_OF(files); i++) {
    rh_table *table = NULL;
    if (rh_table_read(files[i].path, NULL, &table) != RH_OK) fail_msg("%s", rh_last_error());
    assert_int_equal(rh_table_rows(table), files[i].rows);
    assert_int_equal(rh_table_columns(table), 10);
    assert_int_equal(rh_table_cell(table), RH_CELL_F4);
    assert_int_equal(rh_table_bytes(table), 0); /* mapped */
    rh_table_free(table);
  }
}

static void columns_and_what_they_are_for(void **state) {
  (void)state;
  static const double values[6] = {1, 0, 3, 4, 1, 6};
  static const char *const names[] = {"a", "colour", "c"}, *const colours[] = {"red", "blue"};
  rh_table *table = NULL, *view = NULL;
  assert_int_equal(rh_table_wrap(&(rh_cells){values, RH_CELL_F8, false, 2, 3, 24, 8}, names, &table), RH_OK);
  assert_int_equal(rh_table_facts(table, 2).number, 3);
  assert_int_equal(rh_table_facts(table, 2).role, RH_ROLE_DATA);
  const rh_column_facts facts[] = {{.number = 4}, {.number = 7, .role = RH_ROLE_CONTEXT, .texts = colours, .n_texts = 2}, {.number = 9}};
  assert_int_equal(rh_table_describe(table, facts), RH_OK);
  assert_int_equal(rh_table_select(table, (int64_t[]){2, 0, 1}, 3), RH_OK);
  assert_int_equal(rh_table_view(table, (int64_t[]){2, 1}, 2, &view), RH_OK);
  double x[4];
  rh_table_get_f64(view, NULL, 0, 2, x);
  assert_memory_equal(x, ((double[]){0, 1, 1, 4}), sizeof x);
  char text[RH_LABEL_BYTES];
  assert_string_equal(rh_table_label(view, 0, text, sizeof text), "column 7 (colour)");
  assert_int_equal(rh_table_facts(view, 0).n_texts, 2);
  assert_string_equal(rh_table_facts(view, 0).texts[1], "blue");
  assert_int_equal(rh_table_facts(view, 1).number, 4);
  rh_table_free(view); /* the values and facts are the other's */
  assert_string_equal(rh_table_facts(table, 2).texts[0], "red");
  assert_int_equal(rh_table_columns(table), 3);
  rh_table_free(table);
}

/* Columns by lists: those of the context are read besides the others, once. */
static void selections(void **state) {
  (void)state;
  static const char *const names[] = {"a", "b", "c", "d"};
  rh_selection s = {0};
  const rh_read_options options = {.columns = "d,a", .context = "a,b", .categorical = "2"};
  assert_int_equal(rh_columns_select("t", &options, names, 4, &s), RH_OK);
  assert_int_equal(s.n, 3);
  assert_memory_equal(s.columns, ((int64_t[]){3, 0, 1}), 3 * sizeof(int64_t));
  const rh_role roles[] = {RH_ROLE_DATA, RH_ROLE_CONTEXT, RH_ROLE_CATEGORY};
  for (int k = 0; k < 3; k++) {
    assert_int_equal(s.facts[k].role, roles[k]);
    assert_int_equal(s.facts[k].number, s.columns[k] + 1);
  }
  rh_selection_free(&s);
  const rh_read_options wrong[] = {
      {.context = "1-4"}, {.columns = "a", .context = "a"}, {.categorical = "a"}, {.context = "a", .categorical = "b"}};
  for (size_t i = 0; i < RH_COUNT_OF(wrong); i++) assert_int_equal(rh_columns_select("t", &wrong[i], names, 4, &s), RH_E_ARGUMENT);
  assert_null(s.columns);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(rows_come_out_in_any_order),
      cmocka_unit_test(values_of_any_alignment_and_step),
      cmocka_unit_test(selection_of_a_selection),
      cmocka_unit_test(labels_are_one_line),
      cmocka_unit_test(hash_is_of_the_numbers),
      cmocka_unit_test(bad_values_are_found_anywhere),
      cmocka_unit_test(no_rows_or_columns_is_no_table),
      cmocka_unit_test(csv_is_written_with_its_header),
      cmocka_unit_test(what_is_written_reads_back),
      cmocka_unit_test(npy_of_the_other_width),
      cmocka_unit_test(unfinished_output_is_none),
      cmocka_unit_test(standard_input_is_read),
      cmocka_unit_test(bundled_data_is_whole),
      cmocka_unit_test(columns_and_what_they_are_for),
      cmocka_unit_test(selections),
  };
  return cmocka_run_group_tests(tests, scratch_make, scratch_remove);
}
