/* Numbers as text, the same in every locale: correctly rounded reading, and the shortest writing that reads back exactly. */
#ifndef RH_DATA_NUMBER_H
#define RH_DATA_NUMBER_H
#include <stddef.h>

/* Read the decimal number at the start of [p, end): [+-] digits [. digits] [e[+-]digits], or inf, infinity, nan in any case. Returns the
 * position after it, or NULL where there is none. *value is the nearest float64 (ties to even); beyond its range +-infinity. Nothing is
 * skipped before it. */
const char *rh_number_read(const char *p, const char *end, double *value);

enum { RH_NUMBER_BYTES = 32 }; /* room for any number written, with its NUL */
/* Write the shortest text of at least 15 (float32: 6) rounded digits, trailing zeros dropped, that reads back as `value`; returns its
 * length. At most 17 digits (float32: 9). Infinities and NaN: inf, -inf, nan. */
int rh_number_write_f64(double value, char text[RH_NUMBER_BYTES]);
int rh_number_write_f32(float value, char text[RH_NUMBER_BYTES]);
#endif
