#include "data/number.h"

#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* An all-integer core serves decimal exponents of -27 to 27: there w 5^e and w / 5^-e are exact in 128 bits (5^27 < 2^64), so one rounding
 * is left to do. Everything else goes through strtod and snprintf, in a form without a radix character, which no locale can change. */
__extension__ typedef unsigned __int128 wide;

enum { EXACT_POWER = 27, WORD_DIGITS = 19, KEPT_DIGITS = 800, FAR_EXPONENT = 100000 };

static const uint64_t pow5[EXACT_POWER + 1] = {1u,
                                               5u,
                                               25u,
                                               125u,
                                               625u,
                                               3125u,
                                               15625u,
                                               78125u,
                                               390625u,
                                               1953125u,
                                               9765625u,
                                               48828125u,
                                               244140625u,
                                               1220703125u,
                                               6103515625u,
                                               30517578125u,
                                               152587890625u,
                                               762939453125u,
                                               3814697265625u,
                                               19073486328125u,
                                               95367431640625u,
                                               476837158203125u,
                                               2384185791015625u,
                                               11920928955078125u,
                                               59604644775390625u,
                                               298023223876953125u,
                                               1490116119384765625u,
                                               7450580596923828125u};
static const double pow10_exact[] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,  1e8,  1e9,  1e10, 1e11,
                                     1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};

static int bits_of(wide x) { /* x > 0: the number of its bits */
  const uint64_t high = (uint64_t)(x >> 64);
  return high ? 128 - __builtin_clzll(high) : 64 - __builtin_clzll((uint64_t)x);
}

/* x / 2^shift to the nearest integer, ties to even; `sticky`: x stands for a little more than x. */
static wide shift_round(wide x, int shift, bool sticky) {
  if (shift <= 0) return x << -shift;
  if (shift > 127) return 0;
  const wide q = x >> shift, rest = x & (((wide)1 << shift) - 1), half = (wide)1 << (shift - 1);
  return q + (rest > half || (rest == half && (sticky || (q & 1))) ? 1 : 0);
}

/* ---- reading ---- */

/* w 10^e, correctly rounded; w > 0, |e| <= EXACT_POWER. The result is a normal number. */
static double scale_exact(uint64_t w, int e) {
  if (w <= (uint64_t)1 << 53 && e >= -22 && e <= 22) { /* both exact in float64: one rounding (Clinger 1990) */
    return e < 0 ? (double)w / pow10_exact[-e] : (double)w * pow10_exact[e];
  }
  wide x;
  int exponent = e;
  bool sticky = false;
  if (e >= 0) {
    x = (wide)w * pow5[e];
  } else {
    const int up = 64 + __builtin_clzll(w);
    const wide top = (wide)w << up;
    x = top / pow5[-e];
    sticky = x * pow5[-e] != top;
    exponent -= up;
  }
  const int shift = bits_of(x) - 53;
  return ldexp((double)(uint64_t)shift_round(x, shift, sticky), exponent + shift);
}

typedef struct decimal {
  bool negative, any;        /* any: at least one digit */
  const char *first, *after; /* the digits and the point among them, leading zeros skipped */
  int64_t digits, point;     /* significant digits; digits before the point among them (may be negative) */
  int64_t power;             /* the written exponent */
  uint64_t word;             /* the first WORD_DIGITS digits */
} decimal;

static bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

static const char *read_exponent(const char *p, const char *end, int64_t *power) {
  if (p == end || (*p != 'e' && *p != 'E')) return p;
  const char *q = p + 1;
  const bool negative = q < end && *q == '-';
  if (q < end && (*q == '-' || *q == '+')) q++;
  if (q == end || !is_digit(*q)) return p; /* "1e" is 1 and then an e */
  int64_t value = 0;
  for (; q < end && is_digit(*q); q++) value = value < FAR_EXPONENT * 1000 ? value * 10 + (*q - '0') : value;
  *power = negative ? -value : value;
  return q;
}

static const char *read_decimal(const char *p, const char *end, decimal *out) {
  decimal d = {0};
  bool point = false;
  if (p < end && (*p == '-' || *p == '+')) d.negative = *p++ == '-';
  for (; p < end; p++) {
    if (*p == '.' && !point) {
      point = true;
      continue;
    }
    if (!is_digit(*p)) break;
    d.any = true;
    if (d.digits == 0 && *p == '0') { /* a leading zero */
      d.point -= point;
      continue;
    }
    if (d.digits == 0) d.first = p;
    if (d.digits < WORD_DIGITS) d.word = d.word * 10 + (uint64_t)(*p - '0');
    d.digits++;
    d.point += !point;
  }
  if (!d.any) return NULL;
  d.after = p;
  p = read_exponent(p, end, &d.power);
  *out = d;
  return p;
}

/* Any length, any exponent: the first 800 digits and a 1 for the rest decide every rounding (767 would do). */
static double read_slowly(const decimal *d) {
  char text[KEPT_DIGITS + 40];
  int n = 0;
  bool more = false;
  for (const char *p = d->first; p < d->after; p++) {
    if (!is_digit(*p)) continue;
    if (n < KEPT_DIGITS) {
      text[n++] = *p;
    } else {
      more = more || *p != '0';
    }
  }
  int64_t exponent = d->point - n + d->power;
  if (more) {
    text[n++] = '1';
    exponent--;
  }
  if (exponent > FAR_EXPONENT) exponent = FAR_EXPONENT;
  if (exponent < -FAR_EXPONENT) exponent = -FAR_EXPONENT;
  snprintf(text + n, 40, "e%d", (int)exponent);
  return strtod(text, NULL);
}

static const char *read_word(const char *p, const char *end, const char *word) {
  for (; *word; word++, p++) {
    if (p == end || (*p | 32) != *word) return NULL;
  }
  return p;
}

static const char *read_special(const char *p, const char *end, double *value) {
  const bool negative = p < end && *p == '-';
  if (p < end && (*p == '-' || *p == '+')) p++;
  const char *after = read_word(p, end, "nan");
  double special = NAN;
  if (!after) {
    special = negative ? -INFINITY : INFINITY;
    after = read_word(p, end, "infinity");
    if (!after) after = read_word(p, end, "inf");
  }
  if (after) *value = special;
  return after;
}

const char *rh_number_read(const char *p, const char *end, double *value) {
  decimal d;
  const char *after = read_decimal(p, end, &d);
  if (!after) return read_special(p, end, value);
  const int64_t exponent = d.point - d.digits + d.power;
  double magnitude;
  if (d.digits == 0) {
    magnitude = 0;
  } else if (d.digits <= WORD_DIGITS && exponent >= -EXACT_POWER && exponent <= EXACT_POWER) {
    magnitude = scale_exact(d.word, (int)exponent);
  } else {
    magnitude = read_slowly(&d);
  }
  *value = d.negative ? -magnitude : magnitude;
  return after;
}

/* ---- writing ---- */

typedef struct digits {
  uint64_t word; /* `count` digits, as an integer */
  int power;     /* the value is word 10^power */
} digits;

/* round(value 10^p) exactly, ties to even; the caller sees to it that the result is below 2^63 and |p| <= EXACT_POWER. */
static uint64_t round_scaled(uint64_t mantissa, int exponent, int p) {
  if (p >= 0) return (uint64_t)shift_round((wide)mantissa * pow5[p], -(exponent + p), false);
  const wide divisor = pow5[-p];
  int shift = exponent + p; /* value 10^p = mantissa 2^shift / 5^-p */
  int up = 63;              /* guard bits, so that the quotient keeps more than it rounds to */
  if (shift > 0) {
    up = 128 - bits_of(mantissa) - 1;
    if (up < shift) up = shift;
  }
  const wide top = (wide)mantissa << up, q = top / divisor;
  return (uint64_t)shift_round(q, up - shift, q * divisor != top);
}

static digits round_digits(double value, int count) { /* value > 0 and finite */
  int exponent;
  const uint64_t mantissa = (uint64_t)ldexp(frexp(value, &exponent), 53);
  exponent -= 53;
  int p = count - 1 - (int)floor(log10(value)); /* may be one off next to a power of ten */
  uint64_t limit = 1;
  for (int i = 0; i < count; i++) limit *= 10;
  for (int attempt = 0; attempt < 3 && p >= -EXACT_POWER && p <= EXACT_POWER; attempt++) {
    const uint64_t word = round_scaled(mantissa, exponent, p);
    if (word >= limit / 10 && word < limit) return (digits){word, -p};
    if (word == limit) return (digits){word / 10, 1 - p};
    p += word < limit ? 1 : -1;
  }
  char text[64];
  snprintf(text, sizeof text, "%.*e", count - 1, value);
  digits d = {0, 0};
  const char *t = text;
  for (; *t != 'e'; t++) {
    if (is_digit(*t)) d.word = d.word * 10 + (uint64_t)(*t - '0');
  }
  d.power = atoi(t + 1) - (count - 1);
  return d;
}

static int put_text(digits d, bool negative, char text[RH_NUMBER_BYTES]) {
  char word[24];
  while (d.word && d.word % 10 == 0) {
    d.word /= 10;
    d.power++;
  }
  int n = 0;
  for (uint64_t w = d.word; w; w /= 10) word[sizeof word - 1 - n++] = (char)('0' + w % 10);
  const char *first = word + sizeof word - n;
  const int lead = n + d.power; /* the point stands after this many digits */
  char *t = text;
  if (negative) *t++ = '-';
  if (lead > 0 && lead <= 17) {
    for (int i = 0; i < n || i < lead; i++) {
      if (i == lead) *t++ = '.';
      *t++ = i < n ? first[i] : '0';
    }
  } else if (lead <= 0 && lead > -4) {
    *t++ = '0';
    *t++ = '.';
    for (int i = lead; i < 0; i++) *t++ = '0';
    for (int i = 0; i < n; i++) *t++ = first[i];
  } else {
    *t++ = first[0];
    if (n > 1) *t++ = '.';
    for (int i = 1; i < n; i++) *t++ = first[i];
    t += snprintf(t, 8, "e%d", lead - 1);
  }
  *t = 0;
  return (int)(t - text);
}

static int put_special(double value, char text[RH_NUMBER_BYTES]) {
  return snprintf(text, RH_NUMBER_BYTES, "%s",
                  isnan(value) ? "nan"
                  : value == 0 ? (signbit(value) ? "-0" : "0")
                  : value < 0  ? "-inf"
                               : "inf");
}

static int write_number(double value, int least, int most, bool narrow, char text[RH_NUMBER_BYTES]) {
  if (value == 0 || !isfinite(value)) return put_special(value, text);
  for (int count = least;; count++) {
    const int n = put_text(round_digits(fabs(value), count), value < 0, text);
    double back = 0;
    if (count == most) return n;
    (void)rh_number_read(text, text + n, &back);
    if (narrow ? (float)back == (float)value : back == value) return n;
  }
}

int rh_number_write_f64(double value, char text[RH_NUMBER_BYTES]) {
  return write_number(value, 15, 17, false, text);
}

int rh_number_write_f32(float value, char text[RH_NUMBER_BYTES]) {
  return write_number(value, 6, 9, true, text);
}
