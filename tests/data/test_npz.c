#define _XOPEN_SOURCE 700 /* mkdtemp */
#include <zlib.h>

#include "npy_bytes.h"

/* ---- compressed ---- */

static made gzip_of(const void *bytes, size_t n, int window) {
  made m = {.n = 0};
  z_stream z = {0};
  assert_int_equal(deflateInit2(&z, 9, Z_DEFLATED, window, 8, Z_DEFAULT_STRATEGY), Z_OK);
  z.next_in = (Bytef *)(uintptr_t)bytes;
  z.avail_in = (uInt)n;
  z.next_out = m.bytes;
  z.avail_out = sizeof m.bytes;
  assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
  m.n = sizeof m.bytes - z.avail_out;
  deflateEnd(&z);
  return m;
}

static void gzip_is_transparent(void **state) {
  (void)state;
  const char *text = "a,b\n1,2\n3,4\n";
  made m = gzip_of(text, strlen(text), 31);
  rh_table *table = table_of(m.bytes, m.n, NULL);
  assert_table(table, 2, 2, (const double[]){1, 2, 3, 4});
  assert_string_equal(rh_table_names(table)[1], "b");
  rh_table_free(table);
  const made npy = npy_simple("<f4", "False", "2, 2", four, sizeof four);
  m = gzip_of(npy.bytes, npy.n, 31);
  table = table_of(m.bytes, m.n, NULL);
  assert_table(table, 2, 2, (const double[]){1, 2, 3, 4});
  rh_table_free(table);
  /* two members and padding are one file */
  m = gzip_of("1,2\n", 4, 31);
  const made second = gzip_of("3,4\n", 4, 31);
  put(&m, second.bytes, second.n);
  put(&m, "\0\0\0", 3);
  table = table_of(m.bytes, m.n, NULL);
  assert_table(table, 2, 2, (const double[]){1, 2, 3, 4});
  rh_table_free(table);
}

static void damaged_gzip_is_refused(void **state) {
  (void)state;
  const char *text = "a,b\n1,2\n3,4\n";
  const made m = gzip_of(text, strlen(text), 31);
  for (size_t n = 2; n < m.n; n++) {
    rh_table *table = NULL;
    assert_int_equal(rh_table_read_bytes("t", m.bytes, n, NULL, &table), RH_E_FORMAT);
    assert_string_equal(rh_last_error(), "t: the compressed data is cut short; fetch or write the file again");
  }
  made bad = m;
  bad.bytes[bad.n - 5] ^= 1; /* the checksum */
  assert_fails((const char *)bad.bytes, bad.n, NULL, RH_E_FORMAT,
               "t: the compressed data is damaged (incorrect data check); fetch or write the file again");
  bad = m;
  put(&bad, "junk", 4);
  assert_fails((const char *)bad.bytes, bad.n, NULL, RH_E_FORMAT,
               "t: the compressed data is damaged (incorrect header check); fetch or write the file again");
}

/* ---- NPZ archives by hand ---- */

static void put_number(made *m, uint64_t value, int bytes) {
  for (int i = 0; i < bytes; i++) {
    const unsigned char b = i < 8 ? (unsigned char)(value >> 8 * i) : 0;
    put(m, &b, 1);
  }
}

typedef struct zip {
  made file, directory;
  int count;
} zip;

static void zip_add(zip *z, const char *name, const made *content, bool packed) {
  const made body = packed ? gzip_of(content->bytes, content->n, -15) : *content;
  const size_t at = z->file.n;
  const uLong crc = crc32(0, content->bytes, (uInt)content->n);
  for (int central = 0; central < 2; central++) {
    made *m = central ? &z->directory : &z->file;
    put_number(m, central ? 0x02014b50 : 0x04034b50, 4);
    if (central) put_number(m, 20, 2);
    put_number(m, 20, 2);
    put_number(m, 0, 2); /* flags */
    put_number(m, packed ? 8 : 0, 2);
    put_number(m, 0, 4); /* time and date */
    put_number(m, crc, 4);
    put_number(m, body.n, 4);
    put_number(m, content->n, 4);
    put_number(m, strlen(name), 2);
    put_number(m, 0, 2); /* extra */
    if (central) put_number(m, 0, 2 + 2 + 2 + 4);
    if (central) put_number(m, at, 4);
    put(m, name, strlen(name));
  }
  put(&z->file, body.bytes, body.n);
  z->count++;
}

static made zip_done(zip *z) {
  const size_t at = z->file.n;
  put(&z->file, z->directory.bytes, z->directory.n);
  put_number(&z->file, 0x06054b50, 4);
  put_number(&z->file, 0, 4);
  put_number(&z->file, (uint64_t)z->count, 2);
  put_number(&z->file, (uint64_t)z->count, 2);
  put_number(&z->file, z->directory.n, 4);
  put_number(&z->file, at, 4);
  put_number(&z->file, 0, 2);
  return z->file;
}

static made simple_zip(bool packed) {
  zip z = {.count = 0};
  const made x = npy_simple("<f4", "False", "2, 2", four, sizeof four), y = npy_simple("|u1", "False", "2,", "\1\2", 2);
  zip_add(&z, "y.npy", &y, packed);
  zip_add(&z, "X.npy", &x, packed);
  return zip_done(&z);
}

static void archives_are_read(void **state) {
  (void)state;
  for (int packed = 0; packed < 2; packed++) {
    const made m = simple_zip(packed);
    rh_table *table = table_of(m.bytes, m.n, NULL);
    assert_table(table, 2, 2, (const double[]){1, 2, 3, 4});
    rh_table_free(table);
    /* a member by name; stored ones are used where they lie */
    scratch_write("two.npz", m.bytes, m.n);
    assert_int_equal(rh_table_read(scratch_path("two.npz:y"), NULL, &table), RH_OK);
    assert_table(table, 2, 1, (const double[]){1, 2});
    assert_int_equal(rh_table_bytes(table) > 0, packed);
    rh_table_free(table);
    assert_int_equal(rh_table_read(scratch_path("two.npz:X.npy"), NULL, &table), RH_E_DATA);
  }
}

static void the_right_array_is_chosen(void **state) {
  (void)state;
  const made two = npy_simple("<f4", "False", "2, 2", four, sizeof four), one = npy_simple("<f4", "False", "4,", four, sizeof four);
  const made three = npy_simple("<f4", "False", "2, 1, 2", four, sizeof four);
  zip z = {.count = 0};
  zip_add(&z, "labels.npy", &one, true);
  zip_add(&z, "images.npy", &three, true);
  zip_add(&z, "data.npy", &two, true);
  made m = zip_done(&z);
  rh_table *table = table_of(m.bytes, m.n, NULL); /* the only one with rows and columns */
  assert_int_equal(rh_table_columns(table), 2);
  rh_table_free(table);
  z = (zip){.count = 0};
  zip_add(&z, "labels.npy", &one, false);
  zip_add(&z, "images.npy", &three, false);
  m = zip_done(&z);
  table = table_of(m.bytes, m.n, NULL); /* the only one that can be a column */
  assert_int_equal(rh_table_columns(table), 1);
  rh_table_free(table);
  z = (zip){.count = 0};
  zip_add(&z, "a.npy", &two, false);
  zip_add(&z, "b.npy", &two, true);
  m = zip_done(&z);
  assert_fails((const char *)m.bytes, m.n, NULL, RH_E_DATA,
               "t: several arrays could be the table; it holds a, b: name one as FILE.npz:NAME");
  z = (zip){.count = 0};
  zip_add(&z, "a.npy", &three, false);
  m = zip_done(&z);
  assert_fails((const char *)m.bytes, m.n, NULL, RH_E_DATA, "t: no array has 1 or 2 axes; it holds a: name one as FILE.npz:NAME");
  scratch_write("one.npz", m.bytes, m.n);
  char error[400];
  assert_int_equal(rh_table_read(scratch_path("one.npz:q"), NULL, &table), RH_E_DATA);
  snprintf(error, sizeof error, "%s: no array is named \"q\"; it holds a: name one as FILE.npz:NAME", scratch_path("one.npz"));
  assert_string_equal(rh_last_error(), error);
  assert_int_equal(rh_table_read(scratch_path("none.npz:q"), NULL, &table), RH_E_IO);
}

/* Their own reason is given, not that there is no array; and nothing else is taken for the table in silence. */
static void unreadable_arrays_say_why(void **state) {
  (void)state;
  const made objects = npy_simple("|O", "False", "2, 2", four, sizeof four), two = npy_simple("<f4", "False", "2, 2", four, sizeof four);
  const made one = npy_simple("<f4", "False", "4,", four, sizeof four);
  for (int packed = 0; packed < 2; packed++) {
    zip z = {.count = 0};
    zip_add(&z, "a.npy", &objects, packed);
    made m = zip_done(&z);
    assert_fails((const char *)m.bytes, m.n, NULL, RH_E_UNSUPPORTED,
                 "t: array \"a\": dtype '|O' (Python objects) is not read; save the array with .astype('float32')");
    z = (zip){.count = 0};
    zip_add(&z, "labels.npy", &one, packed);
    zip_add(&z, "a.npy", &objects, packed);
    m = zip_done(&z);
    assert_fails(
        (const char *)m.bytes, m.n, NULL, RH_E_UNSUPPORTED,
        "t: array \"a\": dtype '|O' (Python objects) is not read; save the array with .astype('float32'); or name another array as "
        "FILE.npz:NAME");
    z = (zip){.count = 0};
    zip_add(&z, "names.npy", &objects, packed);
    zip_add(&z, "data.npy", &two, packed);
    m = zip_done(&z);
    rh_table *table = table_of(m.bytes, m.n, NULL); /* here the table is plain to see */
    assert_int_equal(rh_table_columns(table), 2);
    rh_table_free(table);
  }
  zip z = {.count = 0};
  zip_add(&z, "a.npy", &two, false);
  made m = zip_done(&z);
  m.bytes[m.n - 22 - 46 - 5 + 10] = 12; /* bzip2, says the directory */
  assert_fails((const char *)m.bytes, m.n, NULL, RH_E_UNSUPPORTED,
               "t: array \"a\": compression method 12 is not read; write it with numpy.savez_compressed");
  z = (zip){.count = 0};
  zip_add(&z, "README", &(made){.bytes = "read me", .n = 7}, false);
  zip_add(&z, "labels.npy", &one, false);
  m = zip_done(&z);
  rh_table *table = table_of(m.bytes, m.n, NULL); /* what is no array does not matter */
  assert_int_equal(rh_table_columns(table), 1);
  rh_table_free(table);
}

static void damaged_archives_are_refused(void **state) {
  (void)state;
  const made x = npy_simple("<f4", "False", "2, 2", four, sizeof four);
  for (int packed = 0; packed < 2; packed++) {
    const made m = simple_zip(packed);
    for (size_t n = 4; n < m.n; n++) { /* cut anywhere */
      rh_table *table = NULL;
      unsigned char *exact = malloc(n);
      memcpy(exact, m.bytes, n);
      assert_int_equal(rh_table_read_bytes("t", exact, n, NULL, &table), RH_E_FORMAT);
      free(exact);
    }
    int refused = 0, same = 0;
    for (size_t i = 0; i < m.n * 8; i++) { /* one bit turned anywhere: refused, or (names, dates) without effect; never other values */
      rh_table *table = NULL;
      unsigned char *exact = malloc(m.n);
      memcpy(exact, m.bytes, m.n);
      exact[i / 8] ^= (unsigned char)(1 << i % 8);
      if (rh_table_read_bytes("t", exact, m.n, NULL, &table) == RH_OK) {
        if (rh_table_columns(table) == 2) {
          assert_table(table, 2, 2, (const double[]){1, 2, 3, 4});
        } else { /* X or y went by another name */
          assert_table(table, 2, 1, (const double[]){1, 2});
        }
        rh_table_free(table);
        same++;
      } else {
        refused++;
      }
      free(exact);
    }
    assert_true(refused >= (packed ? 400 : 8 * (int)x.n)); /* each bit of what is read */
    assert_true(same > 0);
  }
}

static void members_of_other_kinds(void **state) {
  (void)state;
  zip z = {.count = 0};
  const made x = npy_simple("<f4", "False", "2, 2", four, sizeof four);
  zip_add(&z, "X.npy", &x, false);
  made m = zip_done(&z);
  const size_t directory = m.n - 22 - 46 - 5;
  made bad = m;
  bad.bytes[directory + 8] = 1;
  assert_fails((const char *)bad.bytes, bad.n, NULL, RH_E_UNSUPPORTED, "t: the archive is encrypted; write it with numpy.savez");
  bad = m;
  bad.bytes[directory + 10] = 12;
  assert_fails((const char *)bad.bytes, bad.n, NULL, RH_E_UNSUPPORTED,
               "t: compression method 12 is not read; write it with numpy.savez_compressed");
  bad = m;
  bad.bytes[directory + 16] ^= 1;
  assert_fails((const char *)bad.bytes, bad.n, NULL, RH_E_FORMAT,
               "t: damaged or cut NPZ archive: a member's checksum is wrong; fetch or write it again");
  zip empty = {.count = 0};
  m = zip_done(&empty);
  assert_fails((const char *)m.bytes, m.n, NULL, RH_E_DATA, "t: the archive holds no arrays");
  scratch_write("t.csv", "1,2\n", 4);
  rh_table *table = NULL;
  scratch_write("text.npz", "1,2\n", 4);
  assert_int_equal(rh_table_read(scratch_path("text.npz:X"), NULL, &table), RH_E_DATA);
  char error[400];
  snprintf(error, sizeof error, "%s: is no NPZ archive, so it has no array \"X\"; leave out \":X\"", scratch_path("text.npz"));
  assert_string_equal(rh_last_error(), error);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(gzip_is_transparent),       cmocka_unit_test(damaged_gzip_is_refused),
      cmocka_unit_test(archives_are_read),         cmocka_unit_test(the_right_array_is_chosen),
      cmocka_unit_test(unreadable_arrays_say_why), cmocka_unit_test(damaged_archives_are_refused),
      cmocka_unit_test(members_of_other_kinds),
  };
  return cmocka_run_group_tests(tests, scratch_make, scratch_remove);
}
