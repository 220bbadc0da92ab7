/* NumPy's array format (numpy/lib/format.py), versions 1 to 3: a magic, a Python dictionary literal, the values. */
#include <stdio.h>
#include <string.h>

#include "data/source.h"

enum { ITEM_BYTES = 32 };
static const unsigned char magic[6] = {0x93, 'N', 'U', 'M', 'P', 'Y'};

typedef struct header {
  const char *name; /* of the file */
  const unsigned char *p, *end;
  char descr[ITEM_BYTES];
  bool fortran;
  int axes;
  int64_t shape[RH_NPY_AXES];
  unsigned seen; /* bit k: field k of `fields` */
} header;

static rh_status malformed(const header *h, const char *what) {
  return rh_fail(RH_E_FORMAT, "%s: malformed NPY header: %s; write the file again with numpy.save", h->name, what);
}

static void skip_blanks(header *h) {
  while (h->p < h->end && (*h->p == ' ' || *h->p == '\t' || *h->p == '\n' || *h->p == '\r')) h->p++;
}

/* The next character that is not blank, if it is c. */
static bool take(header *h, char c) {
  skip_blanks(h);
  if (h->p == h->end || *h->p != (unsigned char)c) return false;
  h->p++;
  return true;
}

static rh_status read_string(header *h, char text[ITEM_BYTES]) {
  skip_blanks(h);
  if (h->p == h->end || (*h->p != '\'' && *h->p != '"')) return malformed(h, "a string is expected");
  const unsigned char quote = *h->p++;
  int n = 0;
  while (h->p < h->end && *h->p != quote) {
    if (n + 1 >= ITEM_BYTES || *h->p < ' ' || *h->p > '~') return malformed(h, "a string is too long or not plain");
    text[n++] = (char)*h->p++;
  }
  if (h->p == h->end) return malformed(h, "a string does not end");
  h->p++;
  text[n] = 0;
  return RH_OK;
}

static rh_status read_descr(header *h) {
  skip_blanks(h);
  if (h->p < h->end && (*h->p == '[' || *h->p == '(')) {
    return rh_fail(RH_E_UNSUPPORTED, "%s: an array of records; save the numeric fields as one 2-D array of float32", h->name);
  }
  return read_string(h, h->descr);
}

static rh_status read_fortran(header *h) {
  skip_blanks(h);
  const size_t left = (size_t)(h->end - h->p);
  h->fortran = left >= 4 && memcmp(h->p, "True", 4) == 0;
  if (!h->fortran && !(left >= 5 && memcmp(h->p, "False", 5) == 0)) return malformed(h, "fortran_order is neither True nor False");
  h->p += h->fortran ? 4 : 5;
  return RH_OK;
}

static rh_status read_shape(header *h) {
  if (!take(h, '(')) return malformed(h, "shape is no tuple");
  while (!take(h, ')')) {
    skip_blanks(h);
    const unsigned char *start = h->p;
    int64_t value = 0;
    for (; h->p < h->end && *h->p >= '0' && *h->p <= '9'; h->p++) {
      if (value > (INT64_MAX - 9) / 10) return malformed(h, "an axis of the shape is too long");
      value = value * 10 + (*h->p - '0');
    }
    if (h->p == start) return malformed(h, "the shape holds something else than whole numbers");
    if (h->axes == RH_NPY_AXES) return malformed(h, "the shape has too many axes");
    h->shape[h->axes++] = value;
    if (h->p < h->end && *h->p == 'L') h->p++; /* Python 2 wrote 3L */
    skip_blanks(h);
    if (h->p < h->end && *h->p == ')') continue;
    if (!take(h, ',')) return malformed(h, "the shape is no tuple");
  }
  return RH_OK;
}

static const struct field {
  const char *key;
  rh_status (*read)(header *h);
} fields[] = {{"descr", read_descr}, {"fortran_order", read_fortran}, {"shape", read_shape}};

static rh_status read_dictionary(header *h) {
  if (!take(h, '{')) return malformed(h, "no dictionary");
  while (!take(h, '}')) {
    char key[ITEM_BYTES];
    RH_TRY(read_string(h, key));
    if (!take(h, ':')) return malformed(h, "a colon is missing");
    size_t k = 0;
    while (k < RH_COUNT_OF(fields) && strcmp(fields[k].key, key) != 0) k++;
    if (k == RH_COUNT_OF(fields) || h->seen >> k & 1) return malformed(h, "an unknown or repeated key");
    h->seen |= 1u << k;
    RH_TRY(fields[k].read(h));
    skip_blanks(h);
    if (h->p < h->end && *h->p == '}') continue;
    if (!take(h, ',')) return malformed(h, "a comma is missing");
  }
  skip_blanks(h);
  if (h->p != h->end) return malformed(h, "something follows the dictionary");
  if (h->seen != (1u << RH_COUNT_OF(fields)) - 1) return malformed(h, "descr, fortran_order or shape is missing");
  return RH_OK;
}

static bool machine_is_little(void) {
  const uint16_t one = 1;
  unsigned char first;
  memcpy(&first, &one, 1);
  return first == 1;
}

static rh_status cell_of(const header *h, rh_npy_array *a) {
  const char order = h->descr[0], *kind = h->descr + 1;
  if (order && strchr("<>=|", order)) {
    for (int c = 0; c < RH_CELL_COUNT; c++) {
      if (strcmp(rh_cell_name((rh_cell)c), kind) != 0) continue;
      const int bytes = rh_cell_bytes((rh_cell)c);
      if (order == '|' && bytes > 1) break;
      a->cell = (rh_cell)c;
      a->swapped = bytes > 1 && order != '=' && (order == '<') != machine_is_little();
      return RH_OK;
    }
  }
  const char *hint = *kind == 'O'                   ? " (Python objects)"
                     : *kind == 'U' || *kind == 'S' ? " (text)"
                     : *kind == 'c'                 ? " (complex numbers)"
                                                    : "";
  return rh_fail(RH_E_UNSUPPORTED, "%s: dtype '%s'%s is not read; save the array with .astype('float32')", h->name, h->descr, hint);
}

/* The header's place: from after the length field to where the values start. */
static rh_status find_header(header *h, const unsigned char *file, int64_t size) {
  if (size < 10 || memcmp(file, magic, sizeof magic) != 0)
    return rh_fail(RH_E_FORMAT, "%s: is no NPY file; write it again with numpy.save", h->name);
  const int version = file[6], start = version == 1 ? 10 : 12;
  if (version < 1 || version > 3) return rh_fail(RH_E_UNSUPPORTED, "%s: NPY version %d is not read; versions 1 to 3 are", h->name, version);
  int64_t length = file[8] | file[9] << 8;
  if (version > 1 && size >= 12) length |= (int64_t)file[10] << 16 | (int64_t)file[11] << 24;
  if (size < start || length > size - start)
    return rh_fail(RH_E_FORMAT, "%s: the file is cut short in its header; fetch or write it again", h->name);
  h->p = file + start;
  h->end = h->p + length;
  return RH_OK;
}

rh_status rh_npy_look(const char *name, const unsigned char *file, int64_t size, rh_npy_array *array) {
  header h = {.name = name};
  rh_npy_array found = {0};
  RH_TRY(find_header(&h, file, size));
  found.values = h.end;
  found.there = size - (h.end - file);
  RH_TRY(read_dictionary(&h));
  RH_TRY(cell_of(&h, &found));
  found.fortran = h.fortran;
  found.axes = h.axes;
  memcpy(found.shape, h.shape, sizeof found.shape);
  *array = found;
  return RH_OK;
}

const char *rh_npy_shape(const rh_npy_array *array, char text[RH_NPY_SHAPE_BYTES]) {
  text[0] = 0;
  for (int a = 0, used = 0; a < array->axes && used < 100; a++) {
    used += snprintf(text + used, RH_NPY_SHAPE_BYTES - (size_t)used, a ? ", %lld" : "%lld", (long long)array->shape[a]);
  }
  return text;
}

rh_status rh_npy_check(const char *name, const rh_npy_array *array, bool whole) {
  char text[RH_NPY_SHAPE_BYTES];
  const int64_t bytes = rh_cell_bytes(array->cell);
  int64_t wanted = bytes;
  for (int a = 0; a < array->axes; a++) {
    if (array->shape[a] == 0)
      return rh_fail(RH_E_DATA, "%s: shape (%s) holds no values; a table needs at least one row", name, rh_npy_shape(array, text));
  }
  for (int a = 0; a < array->axes; a++) {
    if (array->shape[a] > INT64_MAX / wanted) {
      return rh_fail(RH_E_FORMAT, "%s: shape (%s) is larger than any memory; the file is damaged", name, rh_npy_shape(array, text));
    }
    wanted *= array->shape[a];
  }
  if (whole && array->there < wanted) {
    return rh_fail(RH_E_FORMAT, "%s: the file is cut short: %lld bytes of values, its shape needs %lld; fetch or write it again", name,
                   (long long)array->there, (long long)wanted);
  }
  if (whole && array->there > wanted) {
    return rh_fail(RH_E_FORMAT, "%s: %lld bytes follow the array; the file is damaged or holds several arrays (save them as .npz)", name,
                   (long long)(array->there - wanted));
  }
  return RH_OK;
}

rh_status rh_npy_parse(const char *name, const unsigned char *file, int64_t size, bool whole, rh_npy *npy) {
  rh_npy_array a;
  char text[RH_NPY_SHAPE_BYTES];
  RH_TRY(rh_npy_look(name, file, size, &a));
  if (a.axes < 1 || a.axes > 2) {
    return rh_fail(RH_E_SHAPE, "%s: shape (%s) has %d axes; a table has rows and columns: save it with .reshape(rows, columns)", name,
                   rh_npy_shape(&a, text), a.axes);
  }
  RH_TRY(rh_npy_check(name, &a, whole));
  const int64_t n = a.shape[0], d = a.axes == 2 ? a.shape[1] : 1, bytes = rh_cell_bytes(a.cell);
  npy->axes = a.axes;
  npy->cells = (rh_cells){.at = a.values, .cell = a.cell, .swapped = a.swapped, .n = n, .d = d};
  npy->cells.row_step = a.fortran ? bytes : bytes * d;
  npy->cells.column_step = a.fortran ? bytes * n : bytes;
  return RH_OK;
}

static bool sniff(const unsigned char *data, int64_t size) {
  return size >= (int64_t)sizeof magic && memcmp(data, magic, sizeof magic) == 0;
}

static rh_status read_npy(rh_source *source, rh_table **table) {
  rh_npy npy;
  RH_TRY(rh_npy_parse(source->name, source->data, source->size, true, &npy));
  return rh_source_table(source, &npy.cells, table);
}

const rh_format rh_format_npy = {"npy", sniff, read_npy};
