/* What the tests of the face share: quick fits, calls that must succeed or be refused, and failing allocations. */
#ifndef RH_TESTS_FACE_H
#define RH_TESTS_FACE_H
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <jansson.h>

// cmocka last: it wants the headers above
#include <cmocka.h>

#include "base/memory.h"
#include "rheo/rheo.h"

#define SMALL "\"steps\": 20, \"threads\": 1, \"set\": {\"hidden\": [8], \"layers\": 2}"
#define OK(call)                                          \
  do {                                                    \
    if ((call) != RH_OK) fail_msg("%s", rh_last_error()); \
  } while (0)
#define REFUSED(status, call)                   \
  do {                                          \
    assert_int_equal((call), (status));         \
    assert_true(strlen(rh_last_error()) > 10);  \
    assert_null(strchr(rh_last_error(), '\n')); \
  } while (0)

/* A number of a report. */
static inline double real_of(const json_t *o, const char *key) {
  assert_true(json_is_number(json_object_get(o, key)));
  return json_number_value(json_object_get(o, key));
}

typedef struct failing {
  int64_t left, calls;
} failing;

static inline int fail_one(void *state) {
  failing *f = state;
  f->calls++;
  return f->left-- == 0;
}

/* Fails allocation 0, 1, 2, ... of `call` until it needs no more; each failure must be said, and nothing be left in `out`. */
static inline void scarce(rh_status (*call)(void **out), void (*drop)(void *out)) {
  for (int64_t at = 0;; at++) {
    failing f = {.left = at};
    void *out = NULL;
    rh_alloc_set_hook(fail_one, &f);
    const rh_status status = call(&out);
    rh_alloc_set_hook(NULL, NULL);
    if (f.calls <= at) { /* there was nothing left to fail */
      if (status != RH_OK) fail_msg("%s", rh_last_error());
      drop(out);
      assert_true(at > 3);
      return;
    }
    if (status == RH_OK) { /* it can do without */
      drop(out);
      continue;
    }
    assert_int_equal(status, RH_E_MEMORY);
    assert_null(out);
  }
}

static inline void drop_density(void *out) {
  rh_density_close(out);
}

static inline void drop_text(void *out) {
  rh_text_free(out);
}
#endif
