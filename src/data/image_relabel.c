#include "base/memory.h"
#include "data/images.h"

static rh_status put_rows(const rh_table *table, const unsigned char map[256], float *values, unsigned char *row, rh_spool *spool) {
  const int64_t n = rh_table_rows(table), d = rh_table_columns(table);
  RH_TRY(rh_spool_reserve(spool, n * d));
  for (int64_t i = 0; i < n; i++) {
    rh_table_get_f32(table, NULL, i, 1, values); /* exact: bytes */
    for (int64_t j = 0; j < d; j++) row[j] = (unsigned char)values[j];
    row[d - 1] = map[row[d - 1]];
    RH_TRY(rh_spool_put(spool, row, d));
  }
  return rh_spool_done(spool);
}

static rh_status describe(const rh_table *table, const char *const *texts, int64_t n_texts, rh_table *fresh) {
  const int64_t d = rh_table_columns(table);
  RH_TRY(rh_table_set_image(fresh, rh_table_image(table)));
  rh_column_facts *facts = rh_alloc((size_t)d * sizeof *facts);
  if (!facts) return RH_E_MEMORY;
  for (int64_t j = 0; j < d; j++) facts[j] = rh_table_facts(table, j);
  facts[d - 1].texts = texts;
  facts[d - 1].n_texts = texts ? n_texts : 0;
  const rh_status status = rh_table_describe(fresh, facts);
  rh_free(facts);
  return status;
}

rh_status rh_images_relabel(const rh_table *table, const unsigned char map[256], const char *const *texts, int64_t n_texts,
                            rh_table **out) {
  const rh_image_facts *image = rh_table_image(table);
  const int64_t n = rh_table_rows(table), d = rh_table_columns(table);
  if (!image || rh_table_cell(table) != RH_CELL_U1 || d != image->h * image->w * image->c + 1)
    return rh_fail(RH_E_ARGUMENT, "the table holds no images of bytes with a label each");
  rh_spool spool;
  rh_table *fresh = NULL;
  rh_spool_begin(&spool, INT64_MAX, "");
  float *values = rh_alloc((size_t)d * sizeof *values);
  unsigned char *row = rh_alloc((size_t)d);
  rh_status status = values && row ? put_rows(table, map, values, row, &spool) : RH_E_MEMORY;
  const rh_cells cells = {spool.data, RH_CELL_U1, false, n, d, d, 1};
  if (status == RH_OK) status = rh_table_wrap(&cells, rh_table_names(table), &fresh);
  if (status == RH_OK) status = describe(table, texts, n_texts, fresh);
  rh_free(values);
  rh_free(row);
  if (status != RH_OK) {
    rh_table_free(fresh);
    rh_spool_close(&spool);
    return status;
  }
  rh_table_own(fresh, NULL, &spool);
  *out = fresh;
  return RH_OK;
}
