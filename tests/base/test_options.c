/* Options: defaults, ranges, names, errors that stick; JSON in and canonical text out. */
#include <float.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
// cmocka last: it wants the headers above
#include <cmocka.h>

#include "base/memory.h"
#include "base/options.h"

static json_t *parsed(const char *text) {
  json_t *value = NULL;
  if (rh_json_parse(text, strlen(text), "test", &value) != RH_OK) fail_msg("%s", rh_last_error());
  return value;
}

#define assert_error_has(word)                                                              \
  do {                                                                                      \
    if (!strstr(rh_last_error(), word)) fail_msg("'%s' lacks '%s'", rh_last_error(), word); \
  } while (0)

static const char *const kinds[] = {"affine", "additive", "spline", NULL};

static void values_are_read(void **state) {
  (void)state;
  json_t *json = parsed(
      "{\"layers\": 8, \"rate\": 1e-3, \"whole\": 3, \"big\": 1e3, \"on\": true, \"off\": false, \"name\": \"maf\", "
      "\"kind\": \"spline\", \"hidden\": [64, 32], \"one\": 7, \"none\": [], \"any\": {\"x\": null}}");
  rh_options o = rh_options_begin(json, "flow");
  assert_int_equal(rh_options_int(&o, "layers", 2, 1, 64), 8);
  assert_true(rh_options_real(&o, "rate", 0.1, 0, 1) == 1e-3);
  assert_true(rh_options_real(&o, "whole", 0.1, 0, 10) == 3.0);
  assert_int_equal(rh_options_int(&o, "big", 2, 1, 1000), 1000);
  assert_true(rh_options_bool(&o, "on", false));
  assert_false(rh_options_bool(&o, "off", true));
  assert_string_equal(rh_options_text(&o, "name", "x"), "maf");
  assert_int_equal(rh_options_choice(&o, "kind", 0, kinds), 2);
  int64_t hidden[4] = {-1, -1, -1, -1};
  int n = -1;
  rh_options_ints(&o, "hidden", 1, 4096, 4, &n, hidden);
  assert_int_equal(n, 2);
  assert_int_equal(hidden[0], 64);
  assert_int_equal(hidden[1], 32);
  assert_int_equal(hidden[2], -1);
  rh_options_ints(&o, "one", 1, 4096, 4, &n, hidden);
  assert_int_equal(n, 1);
  assert_int_equal(hidden[0], 7);
  rh_options_ints(&o, "none", 1, 4096, 4, &n, hidden);
  assert_int_equal(n, 0);
  assert_true(json_is_object(rh_options_json(&o, "any")));
  assert_int_equal(rh_options_done(&o), RH_OK);
  json_decref(json);
}

static void absent_keys_give_defaults(void **state) {
  (void)state;
  json_t *empty = parsed("{}");
  for (int i = 0; i < 2; i++) {
    rh_options o = rh_options_begin(i ? empty : NULL, "flow");
    assert_int_equal(rh_options_int(&o, "a", -5, 1, 64), -5); /* a default need not lie in the range */
    assert_true(rh_options_real(&o, "b", 0.25, 1, 2) == 0.25);
    assert_true(rh_options_bool(&o, "c", true));
    assert_null(rh_options_text(&o, "d", NULL));
    assert_int_equal(rh_options_choice(&o, "e", 1, kinds), 1);
    int n = 3;
    int64_t out[3] = {1, 2, 3};
    rh_options_ints(&o, "f", 1, 9, 3, &n, out);
    assert_int_equal(n, 3);
    assert_int_equal(out[2], 3);
    assert_null(rh_options_json(&o, "g"));
    assert_int_equal(rh_options_done(&o), RH_OK);
  }
  json_decref(empty);
}

/* One getter, one bad value, and words that its error must hold. */
typedef struct bad {
  char getter; /* i, r, b, t, c, n (ints) */
  const char *value, *word, *other;
} bad;

static const bad bads[] = {
    {'i', "0", "flow.key: 0 is out of range", "1 to 8"},
    {'i', "9", "9 is out of range", "1 to 8"},
    {'i', "-9223372036854775808", "-9223372036854775808 is out of range", ""},
    {'i', "2.5", "expected an integer, not a number (2.5)", "flow.key"},
    {'i', "1e300", "expected an integer", "(1e+300)"},
    {'i', "\"3\"", "expected an integer, not a text ('3')", ""},
    {'i', "null", "not null", ""},
    {'i', "true", "not true", ""},
    {'i', "[1]", "not an array", ""},
    {'i', "{}", "not an object", ""},
    {'r', "-0.5", "-0.5 is out of range", "0 to 1"},
    {'r', "2", "2 is out of range", "0 to 1"},
    {'r', "\"x\"", "expected a number, not a text", ""},
    {'b', "1", "expected true or false, not an integer", ""},
    {'b', "\"true\"", "not a text", ""},
    {'t', "1.5", "expected a text, not a number", ""},
    {'c', "\"splin\"", "unknown name 'splin', did you mean 'spline'", "affine, additive, spline"},
    {'c', "\"zzz\"", "unknown name 'zzz'; it must be one of affine, additive, spline", ""},
    {'c', "3", "expected a text", ""},
    {'n', "[1, 2, 3, 4]", "4 numbers are too many", "at most 3"},
    {'n', "[1, 9]", "flow.key[1]: 9 is out of range", "1 to 8"},
    {'n', "[1, \"2\"]", "expected an array of integers", "a text"},
    {'n', "\"12\"", "expected an array of integers, not a text", ""},
    {'n', "[[1]]", "not an array", ""},
};

static void bad_values_are_refused(void **state) {
  (void)state;
  for (size_t i = 0; i < RH_COUNT_OF(bads); i++) {
    char text[256];
    snprintf(text, sizeof text, "{\"key\": %s, \"later\": 4}", bads[i].value);
    json_t *json = parsed(text);
    rh_options o = rh_options_begin(json, "flow");
    int n = -3;
    int64_t out[3] = {-1, -2, -3};
    switch (bads[i].getter) {
      case 'i':
        assert_int_equal(rh_options_int(&o, "key", 5, 1, 8), 5);
        break;
      case 'r':
        assert_true(rh_options_real(&o, "key", 0.5, 0, 1) == 0.5);
        break;
      case 'b':
        assert_true(rh_options_bool(&o, "key", true));
        break;
      case 't':
        assert_string_equal(rh_options_text(&o, "key", "default"), "default");
        break;
      case 'c':
        assert_int_equal(rh_options_choice(&o, "key", 1, kinds), 1);
        break;
      default:
        rh_options_ints(&o, "key", 1, 8, 3, &n, out);
    }
    assert_error_has(bads[i].word);
    assert_error_has(bads[i].other);
    assert_null(strchr(rh_last_error(), '\n'));
    assert_true(n == -3 && out[0] == -1 && out[1] == -2 && out[2] == -3);
    assert_int_equal(rh_options_int(&o, "later", 11, 0, 8), 11); /* the first failure sticks */
    assert_int_equal(rh_options_done(&o), RH_E_SPEC);
    assert_error_has(bads[i].word);
    json_decref(json);
  }
}

static void open_ranges_are_named(void **state) {
  (void)state;
  json_t *json = parsed("{\"key\": -7}");
  rh_options o = rh_options_begin(json, "");
  (void)rh_options_int(&o, "key", 0, 1, INT64_MAX);
  assert_string_equal(rh_last_error(), "key: -7 is out of range, it must be at least 1");
  o = rh_options_begin(json, NULL);
  (void)rh_options_int(&o, "key", 0, INT64_MIN, -8);
  assert_string_equal(rh_last_error(), "key: -7 is out of range, it must be at most -8");
  o = rh_options_begin(json, "");
  (void)rh_options_real(&o, "key", 0, 0.5, INFINITY);
  assert_string_equal(rh_last_error(), "key: -7 is out of range, it must be at least 0.5");
  o = rh_options_begin(json, "");
  (void)rh_options_real(&o, "key", 0, -INFINITY, -8);
  assert_string_equal(rh_last_error(), "key: -7 is out of range, it must be at most -8");
  json_decref(json);
}

/* As people write them. */
static void numbers_of_errors_are_short(void **state) {
  (void)state;
  static const struct {
    double least, most;
    const char *words;
  } cases[] = {
      {1e-12, 10, "key: -7 is out of range, it must be 1e-12 to 10"},
      {0.1, 0.3, "it must be 0.1 to 0.3"},
      {1.0 / 3, 0.1 + 0.2, "it must be 0.3333333333333333 to 0.30000000000000004"},
      {0, DBL_MAX, "it must be 0 to 1.7976931348623157e+308"},
  };
  json_t *json = parsed("{\"key\": -7}");
  for (size_t i = 0; i < RH_COUNT_OF(cases); i++) {
    rh_options o = rh_options_begin(json, "");
    (void)rh_options_real(&o, "key", 0, cases[i].least, cases[i].most);
    assert_error_has(cases[i].words);
  }
  static const char *const separators[] = {"detect", ",", "\t", NULL};
  json_t *text = parsed("{\"key\": \"|\"}");
  rh_options o = rh_options_begin(text, "");
  (void)rh_options_choice(&o, "key", 0, separators);
  assert_error_has("it must be one of detect, ,, \\t");
  json_decref(text);
  json_decref(json);
}

static void longer_words_for_a_name(void **state) {
  (void)state;
  static const char *const names[] = {"layers", "hidden", "lu", "lr", "lr_floor", "batch", "steps", "eps", "ema", NULL};
  static const char *const pairs[][2] = {
      {"batch_size", "batch"},
      {"batchsize", "batch"},
      {"Batch-Size", "batch"},
      {"minibatch", "batch"},
      {"learning_rate", "lr"},
      {"learning-rate", "lr"},
      {"hidden_size", "hidden"},
      {"n_layers", "layers"},
      {"max_steps", "steps"},
      {"ema_decay", "ema"},
      {"hidden_layers", "hidden"},
      {"value", NULL},
      {"learned_size", NULL},
      {"", NULL},
      {"_", NULL},
  };
  for (size_t i = 0; i < RH_COUNT_OF(pairs); i++) {
    const char *near = rh_nearest(pairs[i][0], names);
    if (!near != !pairs[i][1] || (near && strcmp(near, pairs[i][1]) != 0))
      fail_msg("%s: %s, not %s", pairs[i][0], near ? near : "-", pairs[i][1] ? pairs[i][1] : "-");
  }
}

static void unknown_keys_are_refused(void **state) {
  (void)state;
  static const struct {
    const char *text, *error;
  } cases[] = {
      {"{\"layers\": 3, \"hiden\": 2}", "flow: unknown key 'hiden', did you mean 'hidden'?"},
      {"{\"Hidden\": 2}", "flow: unknown key 'Hidden', did you mean 'hidden'?"},
      {"{\"learning-rate\": 2}", "flow: unknown key 'learning-rate', did you mean 'learning_rate'?"},
      {"{\"learn\": 2}", "flow: unknown key 'learn', did you mean 'learning_rate'?"},
      {"{\"laeyrs\": 2}", "flow: unknown key 'laeyrs', did you mean 'layers'?"},
      {"{\"xyzzy\": 2}", "flow: unknown key 'xyzzy'; the known ones: layers, hidden, learning_rate"},
      {"{\"\": 2}", "flow: unknown key ''; the known ones: layers, hidden, learning_rate"},
      {"{\"a\\nb\": 2}", "flow: unknown key 'a?b'; the known ones: layers, hidden, learning_rate"},
  };
  for (size_t i = 0; i < RH_COUNT_OF(cases); i++) {
    json_t *json = parsed(cases[i].text);
    rh_options o = rh_options_begin(json, "flow");
    (void)rh_options_int(&o, "layers", 2, 1, 8);
    (void)rh_options_json(&o, "hidden");
    (void)rh_options_real(&o, "learning_rate", 2, 1, 8);
    assert_int_equal(rh_options_done(&o), RH_E_SPEC);
    assert_string_equal(rh_last_error(), cases[i].error);
    json_decref(json);
  }
  json_t *json = parsed("{\"x\": 1}");
  rh_options o = rh_options_begin(json, "");
  assert_int_equal(rh_options_done(&o), RH_E_SPEC);
  assert_string_equal(rh_last_error(), "options: unknown key 'x'; the known ones: none");
  json_decref(json);
}

static void only_objects_are_options(void **state) {
  (void)state;
  json_t *json = parsed("[1]");
  rh_options o = rh_options_begin(json, "flow.parts[3]");
  assert_int_equal(rh_options_int(&o, "layers", 2, 1, 8), 2);
  assert_int_equal(rh_options_done(&o), RH_E_SPEC);
  assert_string_equal(rh_last_error(), "flow.parts[3]: expected an object of options, not an array");
  json_decref(json);
}

static void many_keys(void **state) {
  (void)state;
  char names[RH_OPTIONS_KEYS + 1][24];
  json_t *json = json_object();
  for (int i = 0; i <= RH_OPTIONS_KEYS; i++) {
    snprintf(names[i], sizeof names[i], "option%d", i);
    if (i < RH_OPTIONS_KEYS) json_object_set_new(json, names[i], json_integer(i));
  }
  rh_options o = rh_options_begin(json, "flow");
  for (int twice = 0; twice < 2; twice++) { /* asking again takes no room */
    for (int i = 0; i < RH_OPTIONS_KEYS; i++) assert_int_equal(rh_options_int(&o, names[i], -1, 0, 100), i);
  }
  rh_options full = o;
  assert_int_equal(rh_options_done(&o), RH_OK);
  assert_int_equal(rh_options_int(&full, names[RH_OPTIONS_KEYS], -1, 0, 100), -1);
  assert_int_equal(rh_options_done(&full), RH_E_UNSUPPORTED);
  json_object_set_new(json, "qqqqqqqqqqqq", json_null()); /* the list of known keys is cut, not overrun */
  assert_int_equal(rh_options_done(&o), RH_E_SPEC);
  assert_error_has("option0, option1");
  assert_error_has(", ...");
  json_decref(json);
}

static void nearest(void **state) {
  (void)state;
  static const char *const names[] = {"epochs", "batch", "hidden", "learning_rate", "lr", "d", "n", "weight_decay", "warmup", NULL};
  static const char *const pairs[][2] = {
      {"epochs", "epochs"},
      {"epoch", "epochs"},
      {"epocsh", "epochs"},
      {"btach", "batch"},
      {"EPOCHS", "epochs"},
      {"rl", "lr"},
      {"l", "lr"},
      {"warm_up", "warmup"},
      {"weight-decay", "weight_decay"},
      {"weigth_decya", "weight_decay"},
      {"x", NULL},
      {"completely", NULL},
      {"", NULL},
      {"bat", "batch"},
      {"ba", NULL},
      {"hedden", "hidden"},
      {"hddn", "hidden"},
      {"h", NULL},
      {"ix", NULL},
  };
  for (size_t i = 0; i < RH_COUNT_OF(pairs); i++) {
    const char *near = rh_nearest(pairs[i][0], names);
    if (!pairs[i][1]) {
      if (near) fail_msg("'%s' is not near '%s'", pairs[i][0], near);
    } else if (!near || strcmp(near, pairs[i][1]) != 0) {
      fail_msg("'%s': '%s', not '%s'", pairs[i][0], near ? near : "-", pairs[i][1]);
    }
  }
  static const char *const none[] = {NULL};
  assert_null(rh_nearest("epochs", none));
  char longest[400];
  memset(longest, 'a', sizeof longest);
  for (int n = 120; n < 140; n++) { /* around the longest word looked at */
    longest[n] = 0;
    const char *const one[] = {longest, NULL};
    char word[400];
    memcpy(word, longest, (size_t)n + 1);
    word[n / 2] = 'b';
    assert_ptr_equal(rh_nearest(word, one), n <= 128 ? longest : NULL);
    longest[n] = 'a';
  }
}

static void json_errors_say_where(void **state) {
  (void)state;
  static const struct {
    const char *text, *word;
  } cases[] = {
      {"", "spec.json: the JSON text ends too early"},
      {"{", "ends too early"},
      {" \n", "ends too early"},
      {"{\"a\": [1, \"b", "ends too early"},
      {"1, 2", "more than one JSON value"},
      {"1]", "spec.json: "},
      {"]", "line 1, column 1"},
      {"1], [2", "spec.json: "},
      {"{}, {}", "more than one"},
      {"{}]", "more behind the end"},
      {"{\"a\": 1,\n \"b\": x}", "line 2, column 7"},
      {"{\"a\": 1, \"a\": 2}", "duplicate"},
      {"{\"a\": NaN}", "NaN"},
      {"{\"a\": 1e999}", "overflow"},
      {"{\"a\": 99999999999999999999}", "too big integer"},
      {"{\"a\": 1} x", "line 1, column 10: there is more behind the end"},
      {"[1,]", "line 1"},
      {"\"a\nb\"", "line 1"},
      {"\"\xff\"", "unable to decode byte 0xff"},
      {"\"\\u0000\"", "NUL"},
  };
  for (size_t i = 0; i < RH_COUNT_OF(cases); i++) {
    json_t *out = (json_t *)8;
    assert_int_equal(rh_json_parse(cases[i].text, strlen(cases[i].text), "spec.json", &out), RH_E_FORMAT);
    assert_ptr_equal(out, (json_t *)8);
    assert_error_has("spec.json: ");
    assert_error_has(cases[i].word);
    assert_null(strchr(rh_last_error(), '\n'));
  }
}

static void json_is_bounded(void **state) {
  (void)state;
  enum { N = 200000 };
  char *text = malloc(N);
  json_t *out = NULL;
  for (int shut = 0; shut < 2; shut++) {
    memset(text, '[', N / 2);
    memset(text + N / 2, shut ? ']' : '[', N / 2);
    assert_int_equal(rh_json_parse(text, N, "deep", &out), RH_E_FORMAT);
    assert_error_has("nested deeper than 64");
  }
  memset(text, '[', 64);
  memset(text + 64, ']', 64);
  assert_int_equal(rh_json_parse(text, 128, "deep", &out), RH_OK);
  json_decref(out);
  const char quoted[] = "\"[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[\\\"[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[\"";
  assert_int_equal(rh_json_parse(quoted, strlen(quoted), "text", &out), RH_OK);
  json_decref(out);
  assert_int_equal(rh_json_parse(text, (size_t)RH_JSON_BYTES + 1, "huge", &out), RH_E_FORMAT); /* refused before it is read */
  assert_error_has("too many");
  free(text);
}

static void text_is_canonical(void **state) {
  (void)state;
  static const char *const pairs[][2] = {
      {"{ \"b\" : 1 , \"a\" : [ 1 , 2.5 , null , true ] }", "{\"a\":[1,2.5,null,true],\"b\":1}"},
      {"{\"x\": 0.1}", "{\"x\":0.10000000000000001}"},
      {"{\"x\": 1.0}", "{\"x\":1.0}"},
      {"{\"x\": 1}", "{\"x\":1}"},
      {"[1e22, 1E+22, 10000000000000000000000.0]", "[1e22,1e22,1e22]"},
      {"\"\\u00e9\\/\"", "\"\xC3\xA9/\""},
      {"-0.0", "-0.0"},
      {"{\"Z\":1,\"a\":2,\"B\":3,\"aa\":4}", "{\"B\":3,\"Z\":1,\"a\":2,\"aa\":4}"},
  };
  for (size_t i = 0; i < RH_COUNT_OF(pairs); i++) {
    json_t *value = parsed(pairs[i][0]);
    char *text = rh_json_text(value);
    assert_string_equal(text, pairs[i][1]);
    json_t *again = parsed(text);
    char *second = rh_json_text(again);
    assert_string_equal(text, second);
    rh_free(text);
    rh_free(second);
    json_decref(again);
    json_decref(value);
  }
}

/* Every double comes back with its bits. */
static void reals_survive(void **state) {
  (void)state;
  static const double fixed[] = {DBL_MAX, DBL_MIN, 0x1p-1074, 1.0 / 3, -DBL_MAX, 0x1.fffffffffffffp-1, 9007199254740993.0, 5e-324, 1e-5};
  uint64_t bits = 88172645463325252u;
  for (int i = 0; i < 20000; i++) {
    double real;
    bits ^= bits << 13, bits ^= bits >> 7, bits ^= bits << 17; /* xorshift */
    memcpy(&real, &bits, sizeof real);
    if (i < (int)RH_COUNT_OF(fixed)) real = fixed[i];
    if (!isfinite(real)) continue;
    json_t *value = json_real(real);
    char *text = rh_json_text(value);
    json_t *again = parsed(text);
    const double back = json_real_value(again);
    assert_memory_equal(&real, &back, sizeof real);
    rh_free(text);
    json_decref(again);
    json_decref(value);
  }
}

/* Lack of memory: the call number `left` fails, and if `for_good` all after it. */
static int left;
static bool for_good;

static int scarce_hook(void *state) {
  (void)state;
  left -= for_good && left < 0 ? 0 : 1;
  return for_good ? left < 0 : left == -1;
}

static void *scarce(size_t bytes) {
  return scarce_hook(NULL) ? NULL : malloc(bytes);
}

static void scarce_begin(int at, bool all) {
  left = at;
  for_good = all;
  json_set_alloc_funcs(scarce, free);
  rh_alloc_set_hook(scarce_hook, NULL);
}

static void scarce_end(void) {
  json_set_alloc_funcs(malloc, free);
  rh_alloc_set_hook(NULL, NULL);
}

/* jansson alone would lose characters of long tokens, read behind its buffer, or abort. */
static void parsing_without_memory(void **state) {
  (void)state;
  static const char *const texts[] = {
      "{\"a\": [1, 2.5, \"a text of more than sixteen bytes\"], \"b\": {\"c\": true}}",
      "[\"0123456789abcd\", \"0123456789abcdefghijklmnopqrst\", \"0123456789abcdefghijklmnopqrstu\"]",
      "[0.1234567890123, 0.12345678901234, 0.123456789012345, 0.1234567890123456, 1234567890123456]",
      "[true, null, 1.7976931348623157e+308, \"\\u00e9\\u00e9\\u00e9\\u00e9\\u00e9\\u00e9\\u00e9\\u00e9\"]",
      "0.12345678901234567890123456789012345678901234567890123456789",
  };
  for (size_t i = 0; i < RH_COUNT_OF(texts); i++) {
    json_t *want = parsed(texts[i]);
    for (int all = 0; all < 2; all++) {
      for (int at = 0;; at++) {
        json_t *value = NULL;
        scarce_begin(at, all);
        const rh_status status = rh_json_parse(texts[i], strlen(texts[i]), "test", &value);
        scarce_end();
        if (status == RH_OK) {
          assert_true(json_equal(value, want));
          json_decref(value);
          assert_true(at > 5);
          break;
        }
        assert_null(value);
        assert_true(status == RH_E_MEMORY || status == RH_E_FORMAT); /* jansson's lexer calls some of them a syntax error */
      }
    }
    json_decref(want);
  }
}

static void writing_without_memory(void **state) {
  (void)state;
  const char text[] = "{\"a\":[1,2.5,\"text\"],\"b\":{\"c\":true,\"key of some length\":\"text of some length, too\"}}";
  json_t *value = parsed(text);
  for (int at = 0;; at++) {
    scarce_begin(at, false);
    char *out = rh_json_text(value);
    scarce_end();
    if (out) {
      assert_string_equal(out, text);
      rh_free(out);
      assert_true(at > 3);
      break;
    }
    assert_error_has("out of memory");
  }
  json_decref(value);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(values_are_read),
      cmocka_unit_test(absent_keys_give_defaults),
      cmocka_unit_test(bad_values_are_refused),
      cmocka_unit_test(open_ranges_are_named),
      cmocka_unit_test(numbers_of_errors_are_short),
      cmocka_unit_test(longer_words_for_a_name),
      cmocka_unit_test(unknown_keys_are_refused),
      cmocka_unit_test(only_objects_are_options),
      cmocka_unit_test(many_keys),
      cmocka_unit_test(nearest),
      cmocka_unit_test(json_errors_say_where),
      cmocka_unit_test(json_is_bounded),
      cmocka_unit_test(text_is_canonical),
      cmocka_unit_test(reals_survive),
      cmocka_unit_test(parsing_without_memory),
      cmocka_unit_test(writing_without_memory),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
