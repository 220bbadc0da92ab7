#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/options.h"
#include "train/run.h"

enum { PIECE = 512 };

/* Of every number in order; a pass over the data. */
static uint64_t rows_hash(const rh_rows *rows) {
  double x[PIECE];
  uint64_t hash[2] = {(uint64_t)rows->rows, 0};
  const int64_t d = rows->columns, once = d <= PIECE ? PIECE / d : 1, wide = d <= PIECE ? d : PIECE;
  for (int64_t r = 0; r < rows->rows; r += once) {
    const int64_t n = rows->rows - r < once ? rows->rows - r : once;
    for (int64_t c = 0; c < d; c += wide) {
      const int64_t w = d - c < wide ? d - c : wide;
      rows->get(rows->arg, r, n, NULL, c, w, x);
      hash[1] = rh_hash64(x, (size_t)(n * w) * sizeof *x);
      hash[0] = rh_hash64(hash, sizeof hash);
    }
  }
  return hash[0];
}

static json_t *hex(uint64_t hash) {
  char text[17];
  snprintf(text, sizeof text, "%016" PRIx64, hash);
  return json_string(text);
}

static json_t *rows_identity(const rh_rows *rows) {
  return rows ? json_pack("{s:o, s:I, s:I}", "hash", hex(rows_hash(rows)), "rows", (json_int_t)rows->rows, "columns",
                          (json_int_t)rows->columns)
              : json_null();
}

uint64_t rh_identity_hash(const json_t *identity) {
  char *text = rh_json_text(identity);
  const uint64_t hash = text ? rh_hash64(text, strlen(text)) : 0;
  free(text);
  return hash;
}

rh_status rh_run_identity(rh_fit_run *run) {
  const char *dtype = run->model->values.real_bytes == 8 ? "f64" : "f32";
  run->identity = json_pack("{s:o, s:s, s:o, s:o, s:o, s:o}", "specification", hex(rh_identity_hash(run->model->flow->spec)), "dtype",
                            dtype, "recipe", rh_recipe_json(&run->recipe), "training rows", rows_identity(run->train), "validation rows",
                            rows_identity(run->val), "test rows", rows_identity(run->test));
  const rh_image_shape *m = &run->options->image;
  json_t *image = run->identity && run->recipe.flip ? json_pack("[I, I, I]", (json_int_t)m->h, (json_int_t)m->w, (json_int_t)m->c) : NULL;
  if (run->identity && run->recipe.flip && json_object_set_new(run->identity, "mirrored image", image) != 0) {
    json_decref(run->identity);
    run->identity = NULL;
  }
  return run->identity ? RH_OK : rh_fail(RH_E_MEMORY, "out of memory describing the fit");
}

/* "name is A there and B here" for the first difference. */
static rh_status differ(const char *where, const char *name, const json_t *theirs, const json_t *ours) {
  char *a = theirs ? rh_json_text(theirs) : NULL, *b = ours ? rh_json_text(ours) : NULL;
  const rh_status status =
      rh_fail(RH_E_ARGUMENT, "%s: is of another fit: %s %.100s there, %.100s here; give the same again, or remove the file to start afresh",
              where, name, a ? a : "missing", b ? b : "missing");
  free(a);
  free(b);
  return status;
}

rh_status rh_identity_check(const json_t *theirs, const json_t *ours, const char *where) {
  const char *key;
  json_t *mine;
  json_object_foreach((json_t *)(uintptr_t)ours, key, mine) {
    const json_t *its = json_object_get(theirs, key);
    if (json_equal((json_t *)(uintptr_t)its, mine)) continue;
    if (!json_is_object(mine) || !json_is_object(its)) return differ(where, key, its, mine);
    const char *field;
    json_t *value;
    json_object_foreach(mine, field, value) {
      const json_t *other = json_object_get(its, field);
      if (json_equal((json_t *)(uintptr_t)other, value)) continue;
      char name[80];
      snprintf(name, sizeof name, "%s: %s", key, field);
      return differ(where, name, other, value);
    }
    return differ(where, key, its, mine);
  }
  return RH_OK;
}
