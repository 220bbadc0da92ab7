#include "api/set_keys.h"

#include <stdio.h>
#include <string.h>

#include "base/options.h"

enum { KEYS = 64, LIST_BYTES = 400 };

typedef struct key_list {
  const char *names[KEYS]; /* NULL-ended */
  char text[LIST_BYTES];   /* "lr, batch, ..." */
} key_list;

static void list_keys(const json_t *recipe_keys, key_list *list) {
  const char *key;
  json_t *value;
  size_t n = 0, used = 0;
  list->text[0] = 0;
  json_object_foreach((json_t *)(uintptr_t)recipe_keys, key, value) {
    if (n == KEYS - 1 || used + strlen(key) + 3 > LIST_BYTES) break;
    used += (size_t)snprintf(list->text + used, LIST_BYTES - used, "%s%s", n ? ", " : "", key);
    list->names[n++] = key;
  }
  list->names[n] = NULL;
}

rh_status rh_set_part(const json_t *set, const json_t *recipe_keys, json_t **training, json_t **architecture) {
  *training = json_object();
  *architecture = json_object();
  const char *key;
  json_t *value;
  int failed = !*training || !*architecture;
  json_object_foreach((json_t *)(uintptr_t)set, key, value) {
    failed = failed || json_object_set(json_object_get(recipe_keys, key) ? *training : *architecture, key, value);
  }
  return failed ? rh_fail(RH_E_MEMORY, "out of memory reading options") : RH_OK;
}

rh_status rh_set_say_keys(const json_t *architecture, const json_t *recipe_keys) {
  char said[100];
  const char *key;
  json_t *value;
  key_list list;
  list_keys(recipe_keys, &list);
  json_object_foreach((json_t *)(uintptr_t)architecture, key, value) {
    snprintf(said, sizeof said, ": unknown key '%.64s'", key);
    if (!strstr(rh_last_error(), said)) continue;
    if (strstr(rh_last_error(), "did you mean")) return RH_E_ARGUMENT;
    const char *near = rh_nearest(key, list.names);
    if (near) return rh_fail(RH_E_ARGUMENT, "options.set%s, did you mean '%s'?", said, near);
    return rh_fail(RH_E_ARGUMENT, "%s; those of the training: %s", rh_last_error(), list.text);
  }
  return RH_E_ARGUMENT;
}

rh_status rh_set_refuse_rest(const json_t *architecture, const json_t *recipe_keys) {
  const char *key = json_object_iter_key(json_object_iter((json_t *)(uintptr_t)architecture));
  key_list list;
  if (!key) return RH_OK;
  list_keys(recipe_keys, &list);
  const char *near = rh_nearest(key, list.names);
  return rh_fail(RH_E_ARGUMENT,
                 "options.set: '%.64s' is no option of the training%s%s%s; what the flow is stands in the specification, and those of the "
                 "training are: %s",
                 key, near ? ", did you mean '" : "", near ? near : "", near ? "'?" : "", list.text);
}
