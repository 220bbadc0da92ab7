#define _XOPEN_SOURCE 700 /* mkdtemp */
#include <float.h>
#include <math.h>

#include "base/rng.h"
#include "data/number.h"
#include "scratch.h"

/* The text is a table of these values, with these names (NULL: none). */
static void assert_csv(const char *text, const rh_read_options *options, int64_t n, int64_t d, const double *values,
                       const char *const *names) {
  rh_table *table = table_of_text(text, options);
  assert_table(table, n, d, values);
  const char *const *got = rh_table_names(table);
  assert_true((got == NULL) == (names == NULL));
  for (int64_t j = 0; names && j < d; j++) assert_string_equal(got[j], names[j]);
  assert_int_equal(rh_table_cell(table), RH_CELL_F8);
  rh_table_free(table);
}

static void assert_bad(const char *text, const char *error) {
  assert_fails(text, strlen(text), NULL, RH_E_DATA, error);
}

static const double six[] = {1, 2, 3, 4, 5, 6};
#define NAMES(...) ((const char *const[]){__VA_ARGS__})

static void shapes_of_lines(void **state) {
  (void)state;
  assert_csv("1,2,3\n4,5,6\n", NULL, 2, 3, six, NULL);
  assert_csv("1,2,3\n4,5,6", NULL, 2, 3, six, NULL); /* no last newline */
  assert_csv("1,2,3\r\n4,5,6\r\n", NULL, 2, 3, six, NULL);
  assert_csv("1,2,3\r4,5,6\r", NULL, 2, 3, six, NULL);
  assert_csv(
      "\xEF\xBB\xBF"
      "1,2,3\n4,5,6\n",
      NULL, 2, 3, six, NULL);
  assert_csv("# made by hand\n\n1,2,3\n  \n # more\n4,5,6\n\n\n", NULL, 2, 3, six, NULL);
  assert_csv(" 1 , 2,3 \n4,\t5 ,6\n", NULL, 2, 3, six, NULL);
  assert_csv("1\n2\n3\n4\n5\n6\n", NULL, 6, 1, six, NULL);
  assert_csv("\"1\",\"2\" , \"3\"\n4,5,6\n", NULL, 2, 3, six, NULL);
  assert_csv("1", NULL, 1, 1, six, NULL);
}

static void separators_are_detected(void **state) {
  (void)state;
  assert_csv("1;2;3\n4;5;6\n", NULL, 2, 3, six, NULL);
  assert_csv("1\t2\t3\n4\t5\t6\n", NULL, 2, 3, six, NULL);
  assert_csv("\"a;b\",c\n1,2\n3,4\n5,6\n", NULL, 3, 2, six, NAMES("a;b", "c"));
  assert_csv("height; in cm,weight\n1,2\n3,4\n5,6\n", NULL, 3, 2, six, NAMES("height; in cm", "weight"));
  assert_csv("1,2,3\n4,5,6\n", &(rh_read_options){.separator = ','}, 2, 3, six, NULL);
  assert_bad("a;b\n1;2\n3,5;4\n",
             "t: line 3, column 1 (a): \"3,5\" is not a number (a decimal comma? write a point); correct it, remove the row, or leave the "
             "column out");
}

static void headers_are_detected(void **state) {
  (void)state;
  assert_csv("a,b\n1,2\n3,4\n5,6\n", NULL, 3, 2, six, NAMES("a", "b"));
  assert_csv("# c\n\"first, one\",\"say \"\"hi\"\"\"\n1,2\n3,4\n5,6\n", NULL, 3, 2, six, NAMES("first, one", "say \"hi\""));
  assert_csv("\"two\nlines\",b\n1,2\n3,4\n5,6\n", NULL, 3, 2, six, NAMES("two\nlines", "b"));
  assert_csv(",b\n1,2\n3,4\n5,6\n", NULL, 3, 2, six, NAMES("column1", "b"));
  assert_csv(
      "Gr\xC3\xB6\xC3\x9F"
      "e,b\n1,2\n3,4\n5,6\n",
      NULL, 3, 2, six,
      NAMES("Gr\xC3\xB6\xC3\x9F"
            "e",
            "b"));
  /* numbers only: a row, unless the caller knows better */
  assert_csv("1,2\n3,4\n5,6\n", NULL, 3, 2, six, NULL);
  assert_csv("7,8\n1,2\n3,4\n5,6\n", &(rh_read_options){.header = RH_HEADER_YES}, 3, 2, six, NAMES("7", "8"));
  assert_csv("x,kind,y\n1,cat,2\n3,dog,4\n5,cat,6\n", &(rh_read_options){.columns = "-kind"}, 3, 2, six, NAMES("x", "y"));
}

static void assert_mixed(const char *text, int column, const char *cell) {
  char error[300];
  snprintf(error, sizeof error,
           "t: line 1, column %d: \"%s\" is not a number, other cells of the line are; correct it, or say whether the line is a header: "
           "header yes or no (--header yes, --header no)",
           column, cell);
  assert_bad(text, error);
}

static void a_first_line_of_texts_and_numbers_is_refused(void **state) {
  (void)state;
  assert_mixed("0x1p3,2,3\n4,5,6\n", 1, "0x1p3");
  assert_mixed("1_000,2,3\n4,5,6\n", 1, "1_000");
  assert_mixed("\"1,000\",2,3\n4,5,6\n", 1, "1,000");
  assert_mixed("0.1,n/a,0.3\n4,5,6\n", 2, "n/a");
  assert_mixed(",2020,x\n1,2,3\n", 3, "x");
  assert_mixed("name,2020\nbob,2\n", 1, "name");
  assert_mixed("a,2020\n", 1, "a");
  const rh_read_options yes = {.header = RH_HEADER_YES}, no = {.header = RH_HEADER_NO, .columns = "-2"};
  assert_csv("a,2020\n1,2\n3,4\n5,6\n", &yes, 3, 2, six, NAMES("a", "2020"));
  assert_csv("1,cat,2\n3,dog,4\n5,cat,6\n", &no, 3, 2, six, NULL);
  assert_fails("1,cat\n2,3\n", 10, &(rh_read_options){.header = RH_HEADER_NO}, RH_E_DATA,
               "t: line 1, column 2: \"cat\" is not a number; correct it, remove the row, or leave the column out");
}

static void columns_are_selected(void **state) {
  (void)state;
  const char *text = "a,b,c,d\n1,2,3,4\n5,6,7,8\n";
  assert_csv(text, &(rh_read_options){.columns = "c,a"}, 2, 2, (const double[]){3, 1, 7, 5}, NAMES("c", "a"));
  assert_csv(text, &(rh_read_options){.columns = " 2-3 , d"}, 2, 3, (const double[]){2, 3, 4, 6, 7, 8}, NAMES("b", "c", "d"));
  assert_csv(text, &(rh_read_options){.columns = "-b,-4"}, 2, 2, (const double[]){1, 3, 5, 7}, NAMES("a", "c"));
  assert_csv(text, &(rh_read_options){.columns = "1-4,-2-3"}, 2, 2, (const double[]){1, 4, 5, 8}, NAMES("a", "d"));
  assert_csv("\"x,y\",-z,w\n1,2,3\n4,5,6\n", &(rh_read_options){.columns = "\"x,y\",-z"}, 2, 2, (const double[]){1, 2, 4, 5},
             NAMES("x,y", "-z"));
  assert_csv("\"x,y\",z\n1,2\n4,5\n", &(rh_read_options){.columns = "-\"x,y\""}, 2, 1, (const double[]){2, 5}, NAMES("z"));
  /* what is not selected may hold anything */
  assert_csv("a,b\n1,\"x\n y\"\n2,\n3,nan\n", &(rh_read_options){.columns = "a"}, 3, 1, six, NAMES("a"));
}

static void assert_list_fails(const char *list, const char *text, const char *error) {
  assert_fails(text, strlen(text), &(rh_read_options){.columns = list}, RH_E_ARGUMENT, error);
}

static void bad_selections_say_what_to_do(void **state) {
  (void)state;
  const char *text = "alpha,beta,beta2\n1,2,3\n";
  assert_list_fails("alpah", text, "t: no column is named \"alpah\"; did you mean \"alpha\"?");
  assert_list_fails("qqqqqqq", text, "t: no column is named \"qqqqqqq\"; choose one of its 3 columns by name or by number");
  assert_list_fails("4", text, "t: there is no column 4; columns are counted from 1 to 3");
  assert_list_fails("0", text, "t: there is no column 0; columns are counted from 1 to 3");
  assert_list_fails("2-4", text, "t: there is no column 2-4; columns are counted from 1 to 3");
  assert_list_fails("3-2", text, "t: there is no column 3-2; columns are counted from 1 to 3");
  assert_list_fails("1,alpha", text, "t: column 1 is selected twice; name it once");
  assert_list_fails("-1-3", text, "t: the list of columns \"-1-3\" leaves none; select at least one");
  assert_list_fails("", text, "t: the list of columns \"\" is malformed near \"\"; write it as in a,b,3-7,-label");
  assert_list_fails("alpha,,beta", text, "t: the list of columns \",beta\" is malformed near \",beta\"; write it as in a,b,3-7,-label");
  assert_list_fails("alpha", "1,2\n", "t: no column is named \"alpha\": the file has no header; choose columns by number, 1 to 2");
}

static void bad_cells_are_placed(void **state) {
  (void)state;
  assert_bad("x,y\n1,2\n3,abc\n", "t: line 3, column 2 (y): \"abc\" is not a number; correct it, remove the row, or leave the column out");
  assert_bad("1,2\n3,4x\n", "t: line 2, column 2: \"4x\" is not a number; correct it, remove the row, or leave the column out");
  assert_bad("1,2\n3, \n", "t: line 2, column 2: the cell is empty; fill it in, remove the row, or leave the column out");
  assert_bad("1,2\n,4\n", "t: line 2, column 1: the cell is empty; fill it in, remove the row, or leave the column out");
  assert_bad("1,2\n\"\",4\n", "t: line 2, column 1: the cell is empty; fill it in, remove the row, or leave the column out");
  assert_bad("1,2\n3,nan\n", "t: line 2, column 2: nan is not a finite number; fill the value in, remove the row, or leave the column out");
  assert_bad("1,2\n-Inf,4\n",
             "t: line 2, column 1: -Inf is not a finite number; fill the value in, remove the row, or leave the column out");
  assert_bad("nan,2\n3,4\n", "t: line 1, column 1: nan is not a finite number; fill the value in, remove the row, or leave the column out");
  assert_bad("1,2\n-1e999,4\n", "t: line 2, column 1: -1e999 is beyond the range of float64; rescale the column or leave it out");
  assert_bad("1,2\n3,0x10\n", "t: line 2, column 2: \"0x10\" is not a number; correct it, remove the row, or leave the column out");
  assert_bad("1,2\n3,4 5\n", "t: line 2, column 2: \"4 5\" is not a number; correct it, remove the row, or leave the column out");
  assert_bad("\"a\nb\",c\n1,2\n\n#\n3,x\n",
             "t: line 6, column 2 (c): \"x\" is not a number; correct it, remove the row, or leave the column out");
  assert_bad(
      "a\n1\n\x01\x02"
      "0123456789012345678901234567890123456789\n",
      "t: line 3, column 1 (a): \"?\?01234567890123456789012345678901234567...\" is not a number; correct it, remove the row, or leave the "
      "column out");
  const rh_read_options narrow = {.narrow = true};
  assert_fails("1,2\n1e39,4\n", 11, &narrow, RH_E_DATA,
               "t: line 2, column 1: 1e39 is beyond the range of float32; rescale the column or leave it out");
  assert_csv("3.4028234663852886e38\n", &narrow, 1, 1, (const double[]){FLT_MAX}, NULL);
}

static void bad_rows_are_placed(void **state) {
  (void)state;
  assert_bad("1,2,3\n4,5\n", "t: line 2: 2 cells, but line 1 has 3; give every row as many");
  assert_bad("# c\na,b\n1,2\n3,4,5\n", "t: line 4: 3 cells, but line 2 has 2; give every row as many");
  assert_bad("1,2\n3,4,\n", "t: line 2: 3 cells, but line 1 has 2; give every row as many");
  assert_bad("1\n2\n3,4\n", "t: line 3: 2 cells, but line 1 has 1; give every row as many");
  assert_bad("a,b\n1,\"2\n3,4\n", "t: line 2: a quoted cell does not end; close its \"");
  assert_bad("a,b\n1,\"2\"3\n", "t: line 2: text after a closing quote; write a \" inside a quoted cell as \"\"");
}

static void bad_files_say_what_they_are(void **state) {
  (void)state;
  assert_bad("", "t: the file is empty; a table needs at least one row");
  assert_bad("\n \n# only this\n", "t: no rows: only comments or blank lines; a table needs at least one row");
  assert_bad("\xEF\xBB\xBF", "t: no rows: only comments or blank lines; a table needs at least one row");
  assert_bad("# c\na,b\n", "t: no rows: only a header on line 2; a table needs at least one row");
  assert_bad("a,b,a\n1,2,3\n", "t: line 1: columns 1 and 3 are both named \"a\"; rename one, or leave one out by its number");
  assert_csv("a,b,a\n1,2,3\n", &(rh_read_options){.columns = "-3"}, 1, 2, six, NAMES("a", "b"));
  assert_bad(
      "Gr\xF6\xDF"
      "e,b\n1,2\n",
      "t: line 1, column 1: its name is not UTF-8 text; save the file as UTF-8");
  assert_bad(
      "\xFF\xFE"
      "1",
      "t: is UTF-16 text; save it as UTF-8");
  assert_fails("\x89PNG\r\n\0\0\0", 9, NULL, RH_E_FORMAT,
               "t: is neither text nor NPY nor NPZ; give a table as CSV, NPY or NPZ (each may be gzip-compressed)");
}

static void numbers_are_exact_and_many(void **state) {
  (void)state;
  enum { ROWS = 4000, COLUMNS = 7 };
  char *text = malloc(ROWS * COLUMNS * 40), *p = text;
  double *values = malloc(ROWS * COLUMNS * sizeof *values);
  for (int i = 0; i < ROWS * COLUMNS; i++) {
    const rh_rng rng = rh_rng_at(3, 0, (uint64_t)i, RH_STREAM_TEST);
    uint32_t w[4];
    rh_rng_words(&rng, 0, w);
    uint64_t bits = (uint64_t)w[0] << 32 | w[1];
    memcpy(&values[i], &bits, sizeof *values);
    if (!isfinite(values[i]) || i % 2) values[i] = ((double)w[2] - 2e9) / 1e6;
    p += snprintf(p, 40, "%.17g%c", values[i], i % COLUMNS == COLUMNS - 1 ? '\n' : ',');
  }
  assert_csv(text, NULL, ROWS, COLUMNS, values, NULL);
  /* beyond the memory limit the values lie in a temporary file: the same table */
  const rh_read_options tight = {.memory_limit = 1, .temp_folder = scratch_folder};
  rh_table *table = table_of_text(text, &tight);
  assert_table(table, ROWS, COLUMNS, values);
  assert_int_equal(rh_table_bytes(table), ROWS * COLUMNS * sizeof *values > RH_SPOOL_BUFFER ? 0 : ROWS * COLUMNS * sizeof *values);
  rh_table_free(table);
  free(text);
  free(values);
}

static void larger_than_memory_goes_to_a_file(void **state) {
  (void)state;
  enum { ROWS = 60000 };
  char *text = malloc(ROWS * 16), *p = text;
  for (int i = 0; i < ROWS; i++) p += snprintf(p, 16, "%d,%d\n", i, -i);
  const rh_read_options tight = {.memory_limit = 1, .temp_folder = scratch_folder};
  rh_table *table = table_of_text(text, &tight);
  assert_int_equal(rh_table_bytes(table), 0);
  assert_int_equal(rh_table_rows(table), ROWS);
  for (int i = 0; i < ROWS; i++) {
    double row[2];
    rh_table_get_f64(table, NULL, i, 1, row);
    assert_true(row[0] == i && row[1] == -i);
  }
  rh_table_free(table);
  char count[96];
  snprintf(count, sizeof count, "test -z \"$(ls -A %s)\"", scratch_folder);
  assert_int_equal(system(count), 0); /* nothing stays behind */
  /* a folder that is not there */
  const rh_read_options nowhere = {.memory_limit = 1, .temp_folder = scratch_path("no/where")};
  char error[512];
  snprintf(error, sizeof error,
           "%s: a temporary file for data beyond 0 MiB cannot be made: No such file or directory; name another folder, or raise the memory "
           "limit",
           nowhere.temp_folder);
  assert_fails(text, strlen(text), &nowhere, RH_E_IO, error);
  free(text);
}

static void wide_tables_are_read(void **state) {
  (void)state;
  enum { COLUMNS = 10000 };
  char *text = malloc(COLUMNS * 30), *p = text;
  for (int j = 0; j < COLUMNS; j++) p += snprintf(p, 16, "c%d%c", j, j + 1 < COLUMNS ? ',' : '\n');
  for (int j = 0; j < COLUMNS; j++) p += snprintf(p, 16, "%d%c", j, j + 1 < COLUMNS ? ',' : '\n');
  rh_table *table = table_of_text(text, NULL);
  double *row = malloc(COLUMNS * sizeof *row);
  assert_int_equal(rh_table_columns(table), COLUMNS);
  rh_table_get_f64(table, NULL, 0, 1, row);
  for (int j = 0; j < COLUMNS; j++) assert_true(row[j] == j);
  assert_string_equal(rh_table_names(table)[COLUMNS - 1], "c9999");
  rh_table_free(table);
  free(row);
  free(text);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(shapes_of_lines),
      cmocka_unit_test(separators_are_detected),
      cmocka_unit_test(headers_are_detected),
      cmocka_unit_test(a_first_line_of_texts_and_numbers_is_refused),
      cmocka_unit_test(columns_are_selected),
      cmocka_unit_test(bad_selections_say_what_to_do),
      cmocka_unit_test(bad_cells_are_placed),
      cmocka_unit_test(bad_rows_are_placed),
      cmocka_unit_test(bad_files_say_what_they_are),
      cmocka_unit_test(numbers_are_exact_and_many),
      cmocka_unit_test(larger_than_memory_goes_to_a_file),
      cmocka_unit_test(wide_tables_are_read),
  };
  return cmocka_run_group_tests(tests, scratch_make, scratch_remove);
}
