/* What a reader of one format is given: the whole content, wherever it lies, and who owns it. Private to this floor. */
#ifndef RH_DATA_SOURCE_H
#define RH_DATA_SOURCE_H
#include "data/table_read.h"

typedef struct rh_source {
  const char *name;   /* for errors; borrowed */
  const char *member; /* of an archive; NULL: not said */
  const unsigned char *data;
  int64_t size;
  bool borrowed;  /* data is the caller's: a table that keeps it copies it */
  rh_bytes bytes; /* else the owner of data: one of these two */
  rh_spool spool;
  char *file;                     /* of a path: the owner of name */
  const rh_read_options *options; /* with every default filled in */
} rh_source;

rh_read_options rh_read_defaults(const rh_read_options *options);
/* A file, FILE.npz:NAME or standard input ("-"), decompressed where it is gzip. Closed on failure. */
rh_status rh_source_open(const char *path, const rh_read_options *filled, rh_source *source) RH_WARN_UNUSED;
/* The same of bytes that the caller keeps alive. */
rh_status rh_source_borrow(const char *name, const void *bytes, size_t n, const rh_read_options *filled, rh_source *source) RH_WARN_UNUSED;
void rh_source_close(rh_source *source);
/* A spool as the options want it. */
void rh_source_spool(const rh_source *source, rh_spool *spool);
/* The content becomes the spool's. */
void rh_source_take(rh_source *source, rh_spool *spool);
/* The table over cells that lie in the source's data; owns the data on success. Selects the columns, and checks every value. */
rh_status rh_source_table(rh_source *source, const rh_cells *cells, rh_table **table) RH_WARN_UNUSED;
/* What a value that may not stand in a table is: "nan is not a finite number; ..." */
rh_status rh_fail_value(const char *where, double value, const char *text);

typedef struct rh_format {
  const char *name;
  bool (*sniff)(const unsigned char *data, int64_t size);
  rh_status (*read)(rh_source *source, rh_table **table); /* may take the source's owners */
} rh_format;
extern const rh_format rh_format_csv, rh_format_npy, rh_format_npz; /* each is its file's one symbol */

/* An array as its header tells, of any number of axes. */
enum { RH_NPY_AXES = 32, RH_NPY_SHAPE_BYTES = 128 };
typedef struct rh_npy_array {
  const unsigned char *values;
  int64_t there; /* bytes of values in the file */
  rh_cell cell;
  bool swapped, fortran;
  int axes;
  int64_t shape[RH_NPY_AXES];
} rh_npy_array;
rh_status rh_npy_look(const char *name, const unsigned char *file, int64_t size, rh_npy_array *array) RH_WARN_UNUSED;
/* That it holds values, and (whole) all that its shape needs and no more. */
rh_status rh_npy_check(const char *name, const rh_npy_array *array, bool whole) RH_WARN_UNUSED;
const char *rh_npy_shape(const rh_npy_array *array, char text[RH_NPY_SHAPE_BYTES]); /* "3, 28, 28"; returns text */

/* An NPY header of a table. data: the array's bytes, whole, inside [file, file + size). `whole` false: the file may be cut after the
 * header. */
typedef struct rh_npy {
  rh_cells cells;
  int axes;
} rh_npy;
rh_status rh_npy_parse(const char *name, const unsigned char *file, int64_t size, bool whole, rh_npy *npy) RH_WARN_UNUSED;

/* Inflate data into a spool. window: zlib's windowBits (31 gzip, -15 raw). `most`: stop after that many bytes (< 0: no limit). */
rh_status rh_inflate(const char *name, const unsigned char *data, int64_t size, int window, int64_t most, rh_spool *spool) RH_WARN_UNUSED;

enum { RH_SHOW_BYTES = 64 };
/* A piece of the file's text for an error: cut, and without control characters. Returns text. */
const char *rh_show(const unsigned char *p, int64_t n, char text[RH_SHOW_BYTES]);
#endif
