#define _XOPEN_SOURCE 700
#include "data/number.h"

#include <float.h>
#include <locale.h>
#include <math.h>

#include "base/rng.h"
#include "scratch.h"

enum { PROPERTY = 200000 };

static uint64_t bits_at(int64_t i) {
  const rh_rng rng = rh_rng_at(7, 0, (uint64_t)i, RH_STREAM_TEST);
  uint32_t w[4];
  rh_rng_words(&rng, 0, w);
  return (uint64_t)w[0] << 32 | w[1];
}

static double double_at(int64_t i) { /* every finite double may come */
  uint64_t bits = bits_at(i);
  double x;
  memcpy(&x, &bits, sizeof x);
  return isfinite(x) ? x : (double)i;
}

static void assert_reads(const char *text, double value, size_t used) {
  double got = 0;
  const char *after = rh_number_read(text, text + strlen(text), &got);
  if (!after || (size_t)(after - text) != used || memcmp(&got, &value, sizeof got) != 0) {
    fail_msg("\"%s\": %.17g after %d characters, not %.17g after %d", text, got, after ? (int)(after - text) : -1, value, (int)used);
  }
}

static void plain_forms(void **state) {
  (void)state;
  assert_reads("0", 0, 1);
  assert_reads("-0", -0.0, 2);
  assert_reads("+5", 5, 2);
  assert_reads("1.", 1, 2);
  assert_reads(".5", 0.5, 2);
  assert_reads("1e3", 1000, 3);
  assert_reads("1E-3,", 0.001, 4);
  assert_reads("1e", 1, 1); /* the e is not part of it */
  assert_reads("1e+x", 1, 1);
  assert_reads("12abc", 12, 2);
  assert_reads("1.2.3", 1.2, 3);
  assert_reads("0x10", 0, 1);
  assert_reads("00000000000000000000000000000000000007", 7, 38);
  assert_reads("0.00000000000000000000000000000000000007", 7e-38, 40);
  assert_reads("inf", INFINITY, 3);
  assert_reads("-Infinity", -INFINITY, 9);
  assert_reads("-INFx", -INFINITY, 4);
  double value = 0;
  const char *const none[] = {"", "-", "+", ".", "-.", "e5", "abc", "--1", " 1", "in", "\"1\""};
  for (size_t i = 0; i < sizeof none / sizeof *none; i++) assert_null(rh_number_read(none[i], none[i] + strlen(none[i]), &value));
  const char *nan = "NaN", *twelve = "12";
  assert_ptr_equal(rh_number_read(nan, nan + 3, &value), nan + 3);
  assert_true(isnan(value));
  assert_ptr_equal(rh_number_read(twelve, twelve + 1, &value), twelve + 1); /* nothing past the end is looked at */
  assert_true(value == 1);
}

static void borders_round_to_even(void **state) {
  (void)state;
  assert_reads("9007199254740993", 9007199254740992.0, 16); /* 2^53 + 1: a tie */
  assert_reads("9007199254740995", 9007199254740996.0, 16);
  assert_reads("9007199254740993.00000000000000000000000000000000000000000000000001", 9007199254740994.0, 67);
  assert_reads("2.2250738585072011e-308", 2.2250738585072011e-308, 23);
  assert_reads("4.9406564584124654e-324", 4.9406564584124654e-324, 23);
  assert_reads("2.4703282292062327e-324", 0, 23);
  assert_reads("2.4703282292062328e-324", 4.9406564584124654e-324, 23);
  assert_reads("1.7976931348623157e308", DBL_MAX, 22);
  assert_reads("1.7976931348623159e308", INFINITY, 22);
  assert_reads("1e999999999999999999999", INFINITY, 23);
  assert_reads("-1e-999999999999999999999", -0.0, 25);
  assert_reads("8.5899345925000000001e9", 8589934592.5, 23);
}

/* Against the C library (glibc's strtod rounds correctly), texts of 1 to 25 digits at every exponent. */
static void reads_as_strtod_does(void **state) {
  (void)state;
  for (int64_t i = 0; i < PROPERTY; i++) {
    char text[128];
    const uint64_t r = bits_at(i);
    if (i % 3 == 0) {
      snprintf(text, sizeof text, "%.*e", (int)(r % 25), double_at(i + PROPERTY));
    } else if (i % 3 == 1) {
      snprintf(text, sizeof text, "%llu.%llue%d", (unsigned long long)(r % 100000), (unsigned long long)(bits_at(-i) >> r % 60),
               (int)(r % 70) - 35);
    } else { /* exactly between two doubles, and a hair beside */
      const long double middle = (long double)((r >> 11) | 1ull << 52) + 0.5L;
      snprintf(text, sizeof text, "%.1Lf%s", middle, i % 2 ? "" : "00000000000001");
    }
    assert_reads(text, strtod(text, NULL), strlen(text));
  }
}

static void long_numbers_are_exact(void **state) {
  (void)state;
  char text[3000];
  memset(text, '3', sizeof text);
  text[1] = '.';
  text[2900] = 0;
  assert_reads(text, strtod(text, NULL), 2900);
  /* 2^53 + 1 and 2,000 zeros, then a one: above the tie */
  snprintf(text, sizeof text, "9007199254740993.");
  memset(text + 17, '0', 2000);
  text[2017] = 0;
  assert_reads(text, 9007199254740992.0, 2017);
  text[2017] = '1';
  text[2018] = 0;
  assert_reads(text, 9007199254740994.0, 2018);
}

static void every_double_survives_text(void **state) {
  (void)state;
  for (int64_t i = 0; i < PROPERTY; i++) {
    char text[RH_NUMBER_BYTES];
    double x = double_at(i), back;
    if (i % 2) x = ldexp((double)(bits_at(i) >> 11), (int)(bits_at(i) % 130) - 100);
    const int n = rh_number_write_f64(x, text);
    assert_int_equal(n, strlen(text));
    assert_true(n < RH_NUMBER_BYTES);
    assert_ptr_equal(rh_number_read(text, text + n, &back), text + n);
    if (memcmp(&back, &x, sizeof x) != 0) fail_msg("%.17g is written as %s", x, text);
    assert_true(strtod(text, NULL) == x); /* any reader's, too */
  }
}

static void every_float_survives_text(void **state) {
  (void)state;
  for (int64_t i = 0; i < PROPERTY; i++) {
    char text[RH_NUMBER_BYTES];
    const uint32_t bits = (uint32_t)bits_at(i);
    float x;
    double back;
    memcpy(&x, &bits, sizeof x);
    if (!isfinite(x)) continue;
    const int n = rh_number_write_f32(x, text);
    assert_ptr_equal(rh_number_read(text, text + n, &back), text + n);
    const float narrow = (float)back;
    if (memcmp(&narrow, &x, sizeof x) != 0) fail_msg("%.9g is written as %s", (double)x, text);
    assert_true(strtof(text, NULL) == x);
  }
}

static int digits_in(const char *text) {
  int n = 0, trailing = 0;
  for (; *text && *text != 'e'; text++) {
    if (*text < '0' || *text > '9') continue;
    if (n == 0 && *text == '0') continue;
    n++;
    trailing = *text == '0' ? trailing + 1 : 0;
  }
  return n - trailing;
}

/* As few digits as printf needs, tried from below. */
static void writes_the_fewest_digits(void **state) {
  (void)state;
  for (int64_t i = 0; i < PROPERTY / 4; i++) {
    char text[RH_NUMBER_BYTES], tried[64];
    double x = ldexp((double)(bits_at(i) >> 11) + 1, (int)(bits_at(i) % 100) - 90);
    if (i % 3 == 0) x = (double)(i - 20000) / 100;
    if (x == 0) continue;
    int fewest = 1;
    for (; fewest < 17; fewest++) {
      snprintf(tried, sizeof tried, "%.*e", fewest - 1, x);
      if (strtod(tried, NULL) == x) break;
    }
    (void)rh_number_write_f64(x, text);
    if (digits_in(text) > fewest) fail_msg("%s has more than %d digits", text, fewest);
  }
}

static void known_texts(void **state) {
  (void)state;
  const struct {
    double value;
    const char *text;
  } cases[] = {{0, "0"},
               {-0.0, "-0"},
               {1, "1"},
               {-1.5, "-1.5"},
               {0.1, "0.1"},
               {1e15, "1000000000000000"},
               {1e22, "1e22"},
               {1e-4, "0.0001"},
               {1.25e-5, "1.25e-5"},
               {123456.789, "123456.789"},
               {0.30000000000000004, "0.30000000000000004"},
               {1e23, "1e23"},
               {DBL_MAX, "1.7976931348623157e308"},
               {DBL_MIN, "2.2250738585072014e-308"},
               {INFINITY, "inf"},
               {-INFINITY, "-inf"},
               {NAN, "nan"},
               {5e22, "5e22"},
               {999999.5, "999999.5"},
               {100, "100"}};
  char text[RH_NUMBER_BYTES];
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    assert_int_equal(rh_number_write_f64(cases[i].value, text), strlen(cases[i].text));
    assert_string_equal(text, cases[i].text);
  }
  (void)rh_number_write_f32(0.1f, text);
  assert_string_equal(text, "0.1");
  (void)rh_number_write_f32(16777217.0f, text);
  assert_string_equal(text, "16777216");
  (void)rh_number_write_f32(1.17549435e-38f, text);
  assert_string_equal(text, "1.1754944e-38");
}

static void locale_changes_nothing(void **state) {
  (void)state;
  const char *const commas[] = {"de_DE.UTF-8", "de_DE.utf8", "fr_FR.UTF-8",
                                "C.UTF-8"}; /* whichever the machine has; the forms hold no point anyway */
  for (size_t i = 0; i < sizeof commas / sizeof *commas; i++) {
    if (!setlocale(LC_ALL, commas[i])) continue;
    char text[RH_NUMBER_BYTES];
    assert_reads("1.5e300", 1.5e300, 7);
    assert_reads("1.25", 1.25, 4);
    assert_reads("1,25", 1, 1);
    (void)rh_number_write_f64(1.5e300, text);
    assert_string_equal(text, "1.5e300");
    (void)rh_number_write_f64(0.25, text);
    assert_string_equal(text, "0.25");
  }
  setlocale(LC_ALL, "C");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(plain_forms),
      cmocka_unit_test(borders_round_to_even),
      cmocka_unit_test(reads_as_strtod_does),
      cmocka_unit_test(long_numbers_are_exact),
      cmocka_unit_test(every_double_survives_text),
      cmocka_unit_test(every_float_survives_text),
      cmocka_unit_test(writes_the_fewest_digits),
      cmocka_unit_test(known_texts),
      cmocka_unit_test(locale_changes_nothing),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
