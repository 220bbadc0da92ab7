/* NumPy's archives: the array that is the table. */
#include "data/archive.h"

static const rh_archive_want table_wanted = {.what = "table", .least = 1, .likely = 2, .most = 2};

static rh_status read_chosen(rh_source *source, const rh_archive *z, rh_spool *spool, rh_table **table) {
  const rh_member *m = NULL;
  const unsigned char *bytes;
  rh_npy npy;
  RH_TRY(rh_archive_choose(z, &table_wanted, &m));
  RH_TRY(rh_archive_take(z, m, spool, &bytes));
  RH_TRY(rh_npy_parse(source->name, bytes, m->size, true, &npy));
  if (bytes == spool->data) rh_source_take(source, spool); /* the archive's bytes go: its directory lies in memory of its own */
  return rh_source_table(source, &npy.cells, table);
}

static rh_status read_npz(rh_source *source, rh_table **table) {
  rh_archive z;
  rh_spool spool;
  RH_TRY(rh_archive_open(source, &z));
  rh_source_spool(source, &spool);
  const rh_status status = read_chosen(source, &z, &spool, table);
  rh_spool_close(&spool);
  rh_archive_close(&z);
  return status;
}

const rh_format rh_format_npz = {"npz", rh_archive_sniff, read_npz};
