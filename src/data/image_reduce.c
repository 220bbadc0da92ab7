#include "base/memory.h"
#include "data/images.h"

enum { PIECE = 64 }; /* rows that are shifted together */

static rh_status put_rows(const rh_table *table, int shift, float *values, unsigned char *row, rh_spool *spool) {
  const rh_image_facts *image = rh_table_image(table);
  const int64_t n = rh_table_rows(table), d = rh_table_columns(table), pixels = image->h * image->w * image->c;
  RH_TRY(rh_spool_reserve(spool, n * d));
  for (int64_t i = 0; i < n; i++) {
    rh_table_get_f32(table, NULL, i, 1, values); /* exact: bytes */
    for (int64_t j = 0; j < d; j++) row[j] = (unsigned char)((int)values[j] >> (j < pixels ? shift : 0));
    RH_TRY(rh_spool_put(spool, row, d));
  }
  return rh_spool_done(spool);
}

static rh_status describe(const rh_table *table, int bits, rh_table *reduced) {
  rh_image_facts image = *rh_table_image(table);
  const int64_t d = rh_table_columns(table);
  image.greatest >>= image.bits - bits;
  image.bits = bits;
  RH_TRY(rh_table_set_image(reduced, &image));
  rh_column_facts *facts = rh_alloc((size_t)d * sizeof *facts);
  if (!facts) return RH_E_MEMORY;
  for (int64_t j = 0; j < d; j++) facts[j] = rh_table_facts(table, j);
  const rh_status status = rh_table_describe(reduced, facts);
  rh_free(facts);
  return status;
}

rh_status rh_images_reduce(const rh_table *table, int bits, rh_table **out) {
  const rh_image_facts *image = rh_table_image(table);
  const int64_t n = rh_table_rows(table), d = rh_table_columns(table);
  if (!image || rh_table_cell(table) != RH_CELL_U1) return rh_fail(RH_E_ARGUMENT, "the table holds no images of bytes to be reduced");
  if (bits < 1 || bits > image->bits) {
    return rh_fail(RH_E_ARGUMENT, "images of %d bits cannot be reduced to %d; give 1 to %d", image->bits, bits, image->bits);
  }
  rh_spool spool;
  rh_table *reduced = NULL;
  rh_spool_begin(&spool, INT64_MAX, "");
  float *values = rh_alloc((size_t)d * sizeof *values);
  unsigned char *row = rh_alloc((size_t)d);
  rh_status status = values && row ? put_rows(table, image->bits - bits, values, row, &spool) : RH_E_MEMORY;
  const rh_cells cells = {spool.data, RH_CELL_U1, false, n, d, d, 1};
  if (status == RH_OK) status = rh_table_wrap(&cells, rh_table_names(table), &reduced);
  if (status == RH_OK) status = describe(table, bits, reduced);
  rh_free(values);
  rh_free(row);
  if (status != RH_OK) {
    rh_table_free(reduced);
    rh_spool_close(&spool);
    return status;
  }
  rh_table_own(reduced, NULL, &spool);
  *out = reduced;
  return RH_OK;
}
