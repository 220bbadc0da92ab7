/* Status codes and the last error's text: the only part of the face that the library's own floors include. */
#ifndef RHEO_STATUS_H
#define RHEO_STATUS_H

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__) || defined(__clang__)
#define RH_API __attribute__((visibility("default")))
#else
#define RH_API
#endif

/* X(name, text): one list makes the enum and the texts. */
#define RH_STATUS_LIST(X)               \
  X(RH_OK, "ok")                        \
  X(RH_E_MEMORY, "out of memory")       \
  X(RH_E_ARGUMENT, "invalid argument")  \
  X(RH_E_SPEC, "invalid specification") \
  X(RH_E_SHAPE, "shapes do not fit")    \
  X(RH_E_DATA, "invalid data")          \
  X(RH_E_FORMAT, "invalid file")        \
  X(RH_E_IO, "input or output failed")  \
  X(RH_E_NUMERIC, "numerical failure")  \
  X(RH_E_UNSUPPORTED, "not supported")  \
  X(RH_E_INTERRUPTED, "interrupted")

#define RH_STATUS_ENUM(name, text) name,
typedef enum rh_status { RH_STATUS_LIST(RH_STATUS_ENUM) RH_STATUS_COUNT } rh_status;
#undef RH_STATUS_ENUM

/* The fixed text of a code, never NULL. */
RH_API const char *rh_status_text(rh_status status);

/* The last error of the calling thread: one line that says what, where and what to do. Never NULL; "" when there was none. */
RH_API const char *rh_last_error(void);

#ifdef __cplusplus
}
#endif
#endif
