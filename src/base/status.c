#include "base/status.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { TEXT_BYTES = 1024 };
static _Thread_local char last_error[TEXT_BYTES];

const char *rh_status_text(rh_status status) {
#define RH_STATUS_TEXT(name, text) text,
  static const char *const texts[] = {RH_STATUS_LIST(RH_STATUS_TEXT)};
#undef RH_STATUS_TEXT
  return (unsigned)status < RH_STATUS_COUNT ? texts[status] : "unknown status";
}

const char *rh_last_error(void) {
  return last_error;
}

/* Keys, names and paths in a message may come from a hostile file: control characters would break the promise of one line. */
static void set(char text[TEXT_BYTES]) {
  for (char *c = text; *c; c++) {
    if ((unsigned char)*c < ' ' || *c == 127) *c = '?';
  }
  memcpy(last_error, text, TEXT_BYTES);
}

rh_status rh_fail(rh_status code, const char *format, ...) {
  char text[TEXT_BYTES]; /* not straight into last_error: an argument may point there */
  va_list args;
  va_start(args, format);
  vsnprintf(text, sizeof text, format, args);
  va_end(args);
  set(text);
  return code;
}

rh_status rh_fail_prefix(rh_status code, const char *format, ...) {
  char text[TEXT_BYTES];
  va_list args;
  va_start(args, format);
  int used = vsnprintf(text, sizeof text, format, args);
  va_end(args);
  if (used < 0) used = 0;
  if (used < TEXT_BYTES) snprintf(text + used, (size_t)(TEXT_BYTES - used), "%s", last_error);
  set(text);
  return code;
}
