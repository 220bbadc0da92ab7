#include "api/unbounded.h"

#include <stdbool.h>
#include <string.h>

static bool lists(const json_t *list, const char *key, int64_t column) {
  size_t i;
  const json_t *one;
  json_array_foreach(list, i, one) {
    const json_t *at = key ? json_object_get(one, key) : one;
    if (json_integer_value(at) == column) return true;
  }
  return false;
}

static bool says(const json_t *words, const char *word) {
  size_t i;
  const json_t *one;
  json_array_foreach(words, i, one) if (strcmp(json_string_value(one), word) == 0) return true;
  return false;
}

int64_t rh_unbounded_columns(const json_t *handling, int64_t *first) {
  const json_t *noisy = json_object_get(handling, "dequantize"), *keep = json_object_get(handling, "keep");
  size_t i;
  const json_t *one;
  int64_t n = 0;
  json_array_foreach(json_object_get(handling, "seen"), i, one) {
    const int64_t column = json_integer_value(json_object_get(one, "column"));
    const json_t *what = json_object_get(one, "what");
    if (!lists(keep, NULL, column) || !(says(what, "spiked") || (says(what, "discrete") && !lists(noisy, "column", column)))) continue;
    if (n++ == 0) *first = column;
  }
  return n;
}
