/* Any text as JSON: taken exactly when jansson takes it (within our bounds), the canonical text a fixed point, every getter safe. */
#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/options.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);

static void must(bool holds) {
  if (!holds) abort();
}

static void canonical(const json_t *value) {
  char *text = rh_json_text(value);
  json_t *again = NULL;
  must(text != NULL);
  must(rh_json_parse(text, strlen(text), "again", &again) == RH_OK);
  must(json_equal((json_t *)(uintptr_t)value, again));
  char *second = rh_json_text(again);
  must(second && strcmp(text, second) == 0);
  rh_free(second);
  rh_free(text);
  json_decref(again);
}

/* Every key read as every kind of option. */
static void as_options(const json_t *value) {
  static const char *const names[] = {"affine", "additive", "spline", NULL};
  const char *key;
  json_t *item;
  int keys = 0;
  json_object_foreach((json_t *)(uintptr_t)value, key, item) {
    if (++keys > 8) break;
    for (int kind = 0; kind < 7; kind++) {
      rh_options o = rh_options_begin(value, "fuzz");
      int64_t out[4] = {0};
      int count = 0;
      if (kind == 0) must(labs(rh_options_int(&o, key, 1, -5, 5)) <= 5);
      if (kind == 1) must(fabs(rh_options_real(&o, key, 1, -5, 5)) <= 5);
      if (kind == 2) (void)rh_options_bool(&o, key, true);
      if (kind == 3) must(rh_options_text(&o, key, "") != NULL);
      if (kind == 4) must(rh_options_choice(&o, key, 0, names) < 3);
      if (kind == 5) rh_options_ints(&o, key, -5, 5, 4, &count, out);
      if (kind == 6) must(rh_options_json(&o, key) == item);
      must(count >= 0 && count <= 4);
      const rh_status status = rh_options_done(&o);
      must(status == RH_OK || (status == RH_E_SPEC && *rh_last_error() && !strchr(rh_last_error(), '\n')));
    }
  }
  rh_options none = rh_options_begin(value, "fuzz");
  (void)!rh_options_done(&none);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n) {
  json_t *value = NULL;
  json_error_t error;
  json_t *plain = json_loadb((const char *)bytes, n, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &error);
  const rh_status status = rh_json_parse((const char *)bytes, n, "fuzz", &value);
  if (status == RH_OK) {
    must(plain && json_equal(plain, value));
    canonical(value);
    as_options(value);
  } else {
    must(!value && status == RH_E_FORMAT && *rh_last_error() && !strchr(rh_last_error(), '\n'));
    must(!plain || strstr(rh_last_error(), "nested deeper"));
  }
  json_decref(plain);
  json_decref(value);
  return 0;
}
