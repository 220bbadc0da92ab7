/* Raising an error: set this thread's last error and return its code, in one expression. */
#ifndef RH_BASE_STATUS_H
#define RH_BASE_STATUS_H
#include "rheo/status.h"

#if defined(__GNUC__)
#define RH_PRINTF(fmt, args) __attribute__((format(printf, fmt, args)))
#define RH_WARN_UNUSED       __attribute__((warn_unused_result))
#else
#define RH_PRINTF(fmt, args)
#define RH_WARN_UNUSED
#endif

/* return rh_fail(RH_E_DATA, "%s: row %ld: ...", path, row); */
rh_status rh_fail(rh_status code, const char *format, ...) RH_PRINTF(2, 3);

/* Put words before the present last error ("model.rheo: " + text); returns the same code. */
rh_status rh_fail_prefix(rh_status code, const char *format, ...) RH_PRINTF(2, 3);

/* RH_TRY(call()): return the status from the enclosing function if it is not RH_OK. */
#define RH_TRY(call)                                    \
  do {                                                  \
    rh_status rh_try_status_ = (call);                  \
    if (rh_try_status_ != RH_OK) return rh_try_status_; \
  } while (0)

#define RH_COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))
#endif
