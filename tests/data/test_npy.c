#define _XOPEN_SOURCE 700 /* mkdtemp */
#include <float.h>
#include <math.h>

#include "npy_bytes.h"

static void swap_items(unsigned char *bytes, size_t n, size_t item) {
  for (size_t i = 0; i < n; i += item) {
    for (size_t k = 0; k < item / 2; k++) {
      const unsigned char t = bytes[i + k];
      bytes[i + k] = bytes[i + item - 1 - k];
      bytes[i + item - 1 - k] = t;
    }
  }
}

/* Six values of every type, each where it says something about the type: its extremes, its sign, its steps. */
static const struct {
  const char *kind;
  rh_cell cell;
  double values[6];
} types[] = {{"f4", RH_CELL_F4, {0, -1.5, FLT_MAX, FLT_MIN, 0.1f, -16777216}},
             {"f8", RH_CELL_F8, {0, -1.5, DBL_MAX, DBL_MIN, 0.1, 9007199254740993.0}},
             {"f2", RH_CELL_F2, {0, -1.5, 65504, 0x1p-24, 0x1p-14, 0.0999755859375}},
             {"i1", RH_CELL_I1, {0, -128, 127, 1, -1, 5}},
             {"i2", RH_CELL_I2, {0, -32768, 32767, 258, -1, 5}},
             {"i4", RH_CELL_I4, {0, -2147483648.0, 2147483647, 16909060, -1, 5}},
             {"i8", RH_CELL_I8, {0, -0x1p63, 0x1p53, 72623859790382856.0, -1, 5}},
             {"u1", RH_CELL_U1, {0, 255, 128, 1, 2, 5}},
             {"u2", RH_CELL_U2, {0, 65535, 32768, 258, 2, 5}},
             {"u4", RH_CELL_U4, {0, 4294967295.0, 2147483648.0, 16909060, 2, 5}},
             {"u8", RH_CELL_U8, {0, 0x1p63, 0x1p53, 72623859790382856.0, 2, 5}},
             {"b1", RH_CELL_B1, {0, 1, 1, 0, 0, 1}}};

static uint16_t half_of(double x) { /* exact values only */
  for (uint32_t h = 0; h < 65536; h++) {
    const int e = (int)(h >> 10 & 31), f = (int)(h & 1023);
    const double v = (h & 0x8000 ? -1 : 1) * (e ? ldexp(1024 + f, e - 25) : ldexp(f, -24));
    if (e < 31 && v == x) return (uint16_t)h;
  }
  fail_msg("%g is no half", x);
  return 0;
}

#define STORE(type)           \
  do {                        \
    const type v = (type)x;   \
    memcpy(at, &v, sizeof v); \
  } while (0)

static void store(rh_cell cell, double x, unsigned char *at) {
  switch (cell) {
    case RH_CELL_F4:
      STORE(float);
      break;
    case RH_CELL_F8:
      STORE(double);
      break;
    case RH_CELL_F2: {
      const uint16_t h = half_of(x);
      memcpy(at, &h, sizeof h);
      break;
    }
    case RH_CELL_I1:
      STORE(int8_t);
      break;
    case RH_CELL_I2:
      STORE(int16_t);
      break;
    case RH_CELL_I4:
      STORE(int32_t);
      break;
    case RH_CELL_I8:
      STORE(int64_t);
      break;
    case RH_CELL_U1:
      STORE(uint8_t);
      break;
    case RH_CELL_U2:
      STORE(uint16_t);
      break;
    case RH_CELL_U4:
      STORE(uint32_t);
      break;
    case RH_CELL_U8:
      STORE(uint64_t);
      break;
    case RH_CELL_B1:
      STORE(_Bool);
      break;
    case RH_CELL_COUNT:
      break;
  }
}

static void every_type_in_every_order(void **state) {
  (void)state;
  for (size_t t = 0; t < RH_COUNT_OF(types); t++) {
    const int bytes = rh_cell_bytes(types[t].cell);
    assert_string_equal(rh_cell_name(types[t].cell), types[t].kind);
    for (int big = 0; big < (bytes > 1 ? 2 : 1); big++) {
      for (int fortran = 0; fortran < 2; fortran++) {
        unsigned char raw[48];
        char descr[8];
        for (int i = 0; i < 2; i++) {
          for (int j = 0; j < 3; j++) store(types[t].cell, types[t].values[i * 3 + j], raw + (fortran ? j * 2 + i : i * 3 + j) * bytes);
        }
        if (big) swap_items(raw, 6 * (size_t)bytes, (size_t)bytes);
        snprintf(descr, sizeof descr, "%c%s", bytes == 1 ? '|' : big ? '>' : '<', types[t].kind);
        const made m = npy_simple(descr, fortran ? "True" : "False", "2, 3", raw, 6 * (size_t)bytes);
        rh_table *table = table_of(m.bytes, m.n, NULL);
        assert_int_equal(rh_table_cell(table), types[t].cell);
        assert_table(table, 2, 3, types[t].values);
        float narrow[6];
        rh_table_get_f32(table, NULL, 0, 2, narrow);
        for (int i = 0; i < 6; i++) assert_true(narrow[i] == (float)types[t].values[i]);
        double column[2];
        rh_table_column_f64(table, 1, NULL, 0, 2, column);
        assert_true(column[0] == types[t].values[1] && column[1] == types[t].values[4]);
        rh_table_free(table);
      }
    }
  }
}

static void header_forms(void **state) {
  (void)state;
  const struct {
    int version;
    const char *header;
    int64_t n, d;
  } good[] = {{1, "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 2), }\n", 2, 2},
              {2, "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 2), }\n", 2, 2},
              {3, "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 2), }\n", 2, 2},
              {1, "{\"shape\":(4,),\"descr\":\"=f4\",\"fortran_order\":False}", 4, 1},
              {1, "  { 'fortran_order' : True , 'shape' : ( 1L , 4L ) , 'descr' : '<f4' }  \n", 1, 4},
              {1, "{'descr': '<f4', 'fortran_order': False, 'shape': (4), }\n", 4, 1}};
  for (size_t i = 0; i < RH_COUNT_OF(good); i++) {
    const made m = npy_of(good[i].version, good[i].header, four, sizeof four);
    rh_table *table = table_of(m.bytes, m.n, NULL);
    assert_table(table, good[i].n, good[i].d, (const double[]){1, 2, 3, 4});
    assert_null(rh_table_names(table));
    rh_table_free(table);
  }
}

static void bad_headers(void **state) {
  (void)state;
  const struct {
    const char *header;
    rh_status status;
    const char *error;
  } bad[] = {
      {"", RH_E_FORMAT, "t: malformed NPY header: no dictionary; write the file again with numpy.save"},
      {"{'descr': '<f4', 'fortran_order': False, 'shape': (2, 2)", RH_E_FORMAT,
       "t: malformed NPY header: a comma is missing; write the file again with numpy.save"},
      {"{'descr': '<f4', 'fortran_order': False}", RH_E_FORMAT,
       "t: malformed NPY header: descr, fortran_order or shape is missing; write the file again with numpy.save"},
      {"{'descr': '<f4', 'descr': '<f4', 'fortran_order': False, 'shape': (2, 2)}", RH_E_FORMAT,
       "t: malformed NPY header: an unknown or repeated key; write the file again with numpy.save"},
      {"{'descr': '<f4', 'fortran_order': False, 'shape': (2, 2)} x", RH_E_FORMAT,
       "t: malformed NPY header: something follows the dictionary; write the file again with numpy.save"},
      {"{'descr': '<f4', 'fortran_order': 0, 'shape': (2, 2)}", RH_E_FORMAT,
       "t: malformed NPY header: fortran_order is neither True nor False; write the file again with numpy.save"},
      {"{'descr': '<f4', 'fortran_order': False, 'shape': (-2, 2)}", RH_E_FORMAT,
       "t: malformed NPY header: the shape holds something else than whole numbers; write the file again with numpy.save"},
      {"{'descr': '<f4', 'fortran_order': False, 'shape': 4}", RH_E_FORMAT,
       "t: malformed NPY header: shape is no tuple; write the file again with numpy.save"},
      {"{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999999999999, 2)}", RH_E_FORMAT,
       "t: malformed NPY header: an axis of the shape is too long; write the file again with numpy.save"},
      {"{'descr': '<f4', 'fortran_order': False, 'shape': (4611686018427387904, 2)}", RH_E_FORMAT,
       "t: shape (4611686018427387904, 2) is larger than any memory; the file is damaged"},
      {"{'descr': '<f4', 'fortran_order': False, 'shape': (2, 1, 2)}", RH_E_SHAPE,
       "t: shape (2, 1, 2) has 3 axes; a table has rows and columns: save it with .reshape(rows, columns)"},
      {"{'descr': '<f4', 'fortran_order': False, 'shape': ()}", RH_E_SHAPE,
       "t: shape () has 0 axes; a table has rows and columns: save it with .reshape(rows, columns)"},
      {"{'descr': '<f4', 'fortran_order': False, 'shape': (0, 2)}", RH_E_DATA,
       "t: shape (0, 2) holds no values; a table needs at least one row"},
      {"{'descr': '|O', 'fortran_order': False, 'shape': (2, 2)}", RH_E_UNSUPPORTED,
       "t: dtype '|O' (Python objects) is not read; save the array with .astype('float32')"},
      {"{'descr': '<c8', 'fortran_order': False, 'shape': (2, 2)}", RH_E_UNSUPPORTED,
       "t: dtype '<c8' (complex numbers) is not read; save the array with .astype('float32')"},
      {"{'descr': '<U3', 'fortran_order': False, 'shape': (2, 2)}", RH_E_UNSUPPORTED,
       "t: dtype '<U3' (text) is not read; save the array with .astype('float32')"},
      {"{'descr': '|f4', 'fortran_order': False, 'shape': (2, 2)}", RH_E_UNSUPPORTED,
       "t: dtype '|f4' is not read; save the array with .astype('float32')"},
      {"{'descr': '', 'fortran_order': False, 'shape': (2, 2)}", RH_E_UNSUPPORTED,
       "t: dtype '' is not read; save the array with .astype('float32')"},
      {"{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (4,)}", RH_E_UNSUPPORTED,
       "t: an array of records; save the numeric fields as one 2-D array of float32"},
      {"{'descr': '<f4', 'fortran_order': False, 'shape': (3, 2)}", RH_E_FORMAT,
       "t: the file is cut short: 16 bytes of values, its shape needs 24; fetch or write it again"},
      {"{'descr': '<f4', 'fortran_order': False, 'shape': (3,)}", RH_E_FORMAT,
       "t: 4 bytes follow the array; the file is damaged or holds several arrays (save them as .npz)"},
  };
  for (size_t i = 0; i < RH_COUNT_OF(bad); i++) {
    const made m = npy_of(1, bad[i].header, four, sizeof four);
    assert_fails((const char *)m.bytes, m.n, NULL, bad[i].status, bad[i].error);
  }
  made m = npy_of(4, "{}", NULL, 0);
  assert_fails((const char *)m.bytes, m.n, NULL, RH_E_UNSUPPORTED, "t: NPY version 4 is not read; versions 1 to 3 are");
  m = npy_of(1, "{'descr': '<f4'", NULL, 0);
  assert_fails((const char *)m.bytes, m.n - 4, NULL, RH_E_FORMAT, "t: the file is cut short in its header; fetch or write it again");
  assert_fails("\x93NUMPY", 6, NULL, RH_E_FORMAT, "t: is no NPY file; write it again with numpy.save");
}

/* Whatever a file is cut to, it is an error and no crash (under the sanitizers: no read outside). */
static void every_cut_is_an_error(void **state) {
  (void)state;
  for (int version = 1; version <= 2; version++) {
    const made m = npy_of(version, "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 2), }\n", four, sizeof four);
    for (size_t n = 6; n < m.n; n++) {
      unsigned char *exact = malloc(n); /* of exactly that size, so that the sanitizer sees its end */
      rh_table *table = NULL;
      memcpy(exact, m.bytes, n);
      assert_int_not_equal(rh_table_read_bytes("t", exact, n, NULL, &table), RH_OK);
      free(exact);
    }
  }
}

static void values_that_are_not_finite(void **state) {
  (void)state;
  const double bad[] = {1, 2, 3, NAN, 5, -INFINITY, 1e39, 8};
  made m = npy_simple("<f8", "False", "4, 2", bad, sizeof bad);
  assert_fails((const char *)m.bytes, m.n, NULL, RH_E_DATA,
               "t: row 2, column 2: nan is not a finite number; fill the value in, remove the row, or leave the column out");
  assert_fails((const char *)m.bytes, m.n, &(rh_read_options){.columns = "2,1"}, RH_E_DATA,
               "t: row 2, column 2: nan is not a finite number; fill the value in, remove the row, or leave the column out");
  const rh_read_options first = {.columns = "1", .narrow = true};
  assert_fails((const char *)m.bytes, m.n, &first, RH_E_DATA,
               "t: row 4, column 1: 1e+39 is beyond the range of float32; rescale the column or leave it out");
  rh_table *table = table_of(m.bytes, m.n, &(rh_read_options){.columns = "1"});
  assert_table(table, 4, 1, (const double[]){1, 3, 5, 1e39});
  rh_table_free(table);
}

/* ---- files that are used in place ---- */

static void mapped_files_cost_no_memory(void **state) {
  (void)state;
  const made m = npy_simple("<f4", "False", "2, 2", four, sizeof four);
  scratch_write("plain.npy", m.bytes, m.n);
  rh_table *table = NULL;
  assert_int_equal(rh_table_read(scratch_path("plain.npy"), NULL, &table), RH_OK);
  assert_int_equal(rh_table_bytes(table), 0);
  assert_table(table, 2, 2, (const double[]){1, 2, 3, 4});
  rh_table_free(table);
}

/* ---- NumPy's own files ---- */

static void numpy_files_are_read(void **state) {
  (void)state;
  const char *program =
      "import numpy as np, sys\n"
      "d = sys.argv[1]\n"
      "x = (np.arange(12) * 7 % 11).reshape(4, 3)\n"
      "for k in 'f4 f8 f2 i1 i2 i4 i8 u1 u2 u4 u8'.split():\n"
      "  for o in '<>':\n"
      "    a = x.astype(np.dtype(k).newbyteorder(o))\n"
      "    np.save(f'{d}/{k}{ord(o)}c.npy', a)\n"
      "    np.save(f'{d}/{k}{ord(o)}f.npy', np.asfortranarray(a))\n"
      "np.savez(f'{d}/stored.npz', X=x, y=x[:, 0])\n"
      "np.savez_compressed(f'{d}/packed.npz', y=x[:, 0], x=x.astype('f4'))\n"
      "with open(f'{d}/v3.npy', 'wb') as f: np.lib.format.write_array(f, x, version=(3, 0))\n"
      "np.savetxt(f'{d}/text.csv.gz', x, delimiter=',', header='a,b,c')\n";
  scratch_write("make.py", program, strlen(program));
  char command[256];
  snprintf(command, sizeof command, "/usr/bin/python3 %s %s", scratch_path("make.py"), scratch_folder);
  assert_int_equal(system(command), 0); /* python3-numpy is one of the tests' requirements */
  double want[12];
  for (int i = 0; i < 12; i++) want[i] = i * 7 % 11;
  const char *const kinds[] = {"f4", "f8", "f2", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8"};
  const char *const others[] = {"stored.npz", "stored.npz:X", "packed.npz", "v3.npy", "text.csv.gz"};
  rh_table *table = NULL;
  for (size_t i = 0; i < RH_COUNT_OF(kinds) * 4 + RH_COUNT_OF(others); i++) {
    char name[64];
    if (i < RH_COUNT_OF(kinds) * 4) {
      snprintf(name, sizeof name, "%s%d%c.npy", kinds[i / 4], i % 2 ? '<' : '>', i % 4 / 2 ? 'c' : 'f');
    } else {
      snprintf(name, sizeof name, "%s", others[i - RH_COUNT_OF(kinds) * 4]);
    }
    if (rh_table_read(scratch_path(name), NULL, &table) != RH_OK) fail_msg("%s", rh_last_error());
    assert_table(table, 4, 3, want);
    rh_table_free(table);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(every_type_in_every_order),
      cmocka_unit_test(header_forms),
      cmocka_unit_test(bad_headers),
      cmocka_unit_test(every_cut_is_an_error),
      cmocka_unit_test(values_that_are_not_finite),
      cmocka_unit_test(mapped_files_cost_no_memory),
      cmocka_unit_test(numpy_files_are_read),
  };
  return cmocka_run_group_tests(tests, scratch_make, scratch_remove);
}
