#include "base/options.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"

enum { JSON_DEPTH = 64, WORD_BYTES = 128, LIST_BYTES = 320, NUMBER_BYTES = 32 };

/* ---- the nearest name ---- */

static int fold(char c) { /* case and - against _ cost nothing: they are how people misremember a key */
  if (c >= 'A' && c <= 'Z') return c - 'A' + 'a';
  return c == '-' ? '_' : c;
}

static int min2(int a, int b) {
  return a < b ? a : b;
}

/* Optimal string alignment: insertions, deletions, substitutions, swaps of neighbours (Damerau 1964). Both at most WORD_BYTES long. */
static int edit_distance(const char *a, int n, const char *b, int m) {
  int rows[3][WORD_BYTES + 1];
  int *before = rows[0], *last = rows[1], *now = rows[2];
  for (int j = 0; j <= m; j++) last[j] = before[j] = j;
  for (int i = 1; i <= n; i++) {
    now[0] = i;
    for (int j = 1; j <= m; j++) {
      const int ca = fold(a[i - 1]), cb = fold(b[j - 1]);
      int d = min2(min2(last[j], now[j - 1]) + 1, last[j - 1] + (ca != cb));
      if (i > 1 && j > 1 && ca == fold(b[j - 2]) && fold(a[i - 2]) == cb) d = min2(d, before[j - 2] + 1);
      now[j] = d;
    }
    int *spare = before;
    before = last;
    last = now;
    now = spare;
  }
  return last[m];
}

static bool starts_with(const char *name, const char *word, size_t n) {
  for (size_t i = 0; i < n; i++) {
    if (fold(name[i]) != fold(word[i])) return false; /* a shorter name stops here at its NUL */
  }
  return true;
}

static bool contains(const char *word, const char *name, size_t m) {
  for (; *word; word++) {
    if (starts_with(word, name, m)) return true;
  }
  return false;
}

/* lr of learning_rate */
static bool is_initials(const char *name, const char *word) {
  bool first = true;
  for (; *word; word++) {
    if (first && fold(*word) != fold(*name++)) return false;
    first = fold(*word) == '_';
  }
  return !*name;
}

/* batch of batch_size, layers of n_layers, lr of learning_rate; *score: how well it fits, the length above all. */
static bool is_part(const char *name, const char *word, size_t *score) {
  const size_t m = strlen(name);
  if (m >= 2 && is_initials(name, word)) {
    *score = 2 * m;
  } else if (m >= 3 && contains(word, name, m)) {
    *score = 2 * m + starts_with(word, name, m);
  } else {
    return false;
  }
  return true;
}

const char *rh_nearest(const char *word, const char *const *names) {
  const size_t n = strlen(word);
  const char *best = NULL, *longer = NULL, *part = NULL;
  size_t score, most = 0;
  int least = WORD_BYTES;
  if (n > WORD_BYTES) return NULL;
  for (; *names; names++) {
    const size_t m = strlen(*names);
    if (n >= 3 && !longer && starts_with(*names, word, n)) longer = *names; /* an abbreviation */
    if (is_part(*names, word, &score) && score > most) {
      most = score;
      part = *names;
    }
    const int cut = (int)(n > m ? n : m) / 3 > 1 ? (int)(n > m ? n : m) / 3 : 1, apart = abs((int)n - (int)m);
    if (m > WORD_BYTES || apart > cut || n + m <= 2) continue; /* of one letter to another says nothing */
    const int d = edit_distance(word, (int)n, *names, (int)m);
    if (d <= cut && d < least) {
      least = d;
      best = *names;
    }
  }
  return best ? best : longer ? longer : part;
}

/* ---- errors ---- */

/* The names of a list, "a, b, c", cut with "..." where they do not fit. */
static const char *join(char text[LIST_BYTES], int count, const char *const *names) {
  size_t used = 0;
  text[0] = 0;
  for (int i = 0; i < count; i++) {
    const size_t bytes = strlen(names[i]);
    if (used + bytes + 8 > LIST_BYTES) {
      memcpy(text + used, ", ...", 6);
      break;
    }
    used += (size_t)snprintf(text + used, LIST_BYTES - used, "%s%s", i ? ", " : "", strcmp(names[i], "\t") == 0 ? "\\t" : names[i]);
  }
  return text;
}

static const char *kind_of(const json_t *value) {
  static const char *const kinds[] = {"an object", "an array", "a text", "an integer", "a number", "true", "false", "null"};
  const int type = (int)json_typeof(value);
  return type >= 0 && type < (int)RH_COUNT_OF(kinds) ? kinds[type] : "something else";
}

/* "flow.parts[3].hidden", or the key alone where there is no path. */
static const char *path_of(char path[LIST_BYTES], const rh_options *o, const char *key) {
  snprintf(path, LIST_BYTES, "%s%s%s", o->where, *o->where ? "." : "", key);
  return path;
}

/* The shortest text that is read back as the same number. */
static const char *number_text(char text[NUMBER_BYTES], double x) {
  for (int digits = 15; digits <= 17; digits++) {
    snprintf(text, NUMBER_BYTES, "%.*g", digits, x);
    if (strtod(text, NULL) == x) break;
  }
  return text;
}

static void wrong_kind(rh_options *o, const char *key, const char *wanted, const json_t *value) {
  char path[LIST_BYTES], shown[WORD_BYTES] = "", number[NUMBER_BYTES];
  if (json_is_string(value)) snprintf(shown, sizeof shown, " ('%.64s')", json_string_value(value));
  if (json_is_number(value)) snprintf(shown, sizeof shown, " (%s)", number_text(number, json_number_value(value)));
  o->status = rh_fail(RH_E_SPEC, "%s: expected %s, not %s%s", path_of(path, o, key), wanted, kind_of(value), shown);
}

/* "1 to 8", "at least 1", "at most 8"; infinite ends are left out. */
static const char *range_text(char text[LIST_BYTES], double least, double most) {
  char a[NUMBER_BYTES], b[NUMBER_BYTES];
  number_text(a, least);
  number_text(b, most);
  if (isinf(most)) {
    snprintf(text, LIST_BYTES, isinf(least) ? "a number" : "at least %s", a);
  } else if (isinf(least)) {
    snprintf(text, LIST_BYTES, "at most %s", b);
  } else {
    snprintf(text, LIST_BYTES, "%s to %s", a, b);
  }
  return text;
}

static const char *range_text_int(char text[LIST_BYTES], int64_t least, int64_t most) {
  if (most == INT64_MAX) {
    snprintf(text, LIST_BYTES, "at least %" PRId64, least);
  } else if (least == INT64_MIN) {
    snprintf(text, LIST_BYTES, "at most %" PRId64, most);
  } else {
    snprintf(text, LIST_BYTES, "%" PRId64 " to %" PRId64, least, most);
  }
  return text;
}

/* ---- getters ---- */

rh_options rh_options_begin(const json_t *object, const char *where) {
  rh_options o = {.object = object, .where = where ? where : "", .status = RH_OK};
  if (object && !json_is_object(object)) {
    o.status = rh_fail(RH_E_SPEC, "%s: expected an object of options, not %s", *o.where ? o.where : "options", kind_of(object));
    o.object = NULL;
  }
  return o;
}

/* Marks the key as known; its value, or NULL where it is absent or something has failed before. */
static const json_t *look_up(rh_options *o, const char *key) {
  int i = 0;
  while (i < o->known && strcmp(o->key[i], key) != 0) i++;
  if (i == o->known) {
    if (o->known == RH_OPTIONS_KEYS) {
      char path[LIST_BYTES];
      if (o->status == RH_OK) {
        o->status = rh_fail(RH_E_UNSUPPORTED, "%s: one object has at most %d keys", path_of(path, o, key), RH_OPTIONS_KEYS);
      }
      return NULL;
    }
    o->key[o->known++] = key;
  }
  return o->status == RH_OK && o->object ? json_object_get(o->object, key) : NULL;
}

/* An integer, or a real that is one (1e3). */
static bool read_int(const json_t *value, int64_t *out) {
  if (json_is_integer(value)) {
    *out = json_integer_value(value);
    return true;
  }
  const double real = json_is_real(value) ? json_real_value(value) : 0.5;
  if (!(fabs(real) <= 0x1p53) || real != floor(real)) return false;
  *out = (int64_t)real;
  return true;
}

int64_t rh_options_int(rh_options *o, const char *key, int64_t fallback, int64_t least, int64_t most) {
  const json_t *value = look_up(o, key);
  int64_t number;
  if (!value) return fallback;
  if (!read_int(value, &number)) {
    wrong_kind(o, key, "an integer", value);
    return fallback;
  }
  if (number < least || number > most) {
    char path[LIST_BYTES], range[LIST_BYTES];
    o->status = rh_fail(RH_E_SPEC, "%s: %" PRId64 " is out of range, it must be %s", path_of(path, o, key), number,
                        range_text_int(range, least, most));
    return fallback;
  }
  return number;
}

double rh_options_real(rh_options *o, const char *key, double fallback, double least, double most) {
  const json_t *value = look_up(o, key);
  if (!value) return fallback;
  if (!json_is_number(value)) {
    wrong_kind(o, key, "a number", value);
    return fallback;
  }
  const double number = json_number_value(value);
  if (!(number >= least && number <= most)) {
    char path[LIST_BYTES], range[LIST_BYTES], text[NUMBER_BYTES];
    o->status = rh_fail(RH_E_SPEC, "%s: %s is out of range, it must be %s", path_of(path, o, key), number_text(text, number),
                        range_text(range, least, most));
    return fallback;
  }
  return number;
}

bool rh_options_bool(rh_options *o, const char *key, bool fallback) {
  const json_t *value = look_up(o, key);
  if (!value) return fallback;
  if (!json_is_boolean(value)) {
    wrong_kind(o, key, "true or false", value);
    return fallback;
  }
  return json_is_true(value);
}

const char *rh_options_text(rh_options *o, const char *key, const char *fallback) {
  const json_t *value = look_up(o, key);
  if (!value) return fallback;
  if (!json_is_string(value)) {
    wrong_kind(o, key, "a text", value);
    return fallback;
  }
  return json_string_value(value);
}

int rh_options_choice(rh_options *o, const char *key, int fallback, const char *const *names) {
  const char *word = rh_options_text(o, key, NULL);
  if (!word) return fallback;
  int count = 0;
  for (; names[count]; count++) {
    if (strcmp(word, names[count]) == 0) return count;
  }
  char path[LIST_BYTES], list[LIST_BYTES];
  const char *near = rh_nearest(word, names);
  o->status = rh_fail(RH_E_SPEC, "%s: unknown name '%.64s'%s%s%s; it must be one of %s", path_of(path, o, key), word,
                      near ? ", did you mean '" : "", near ? near : "", near ? "'" : "", join(list, count, names));
  return fallback;
}

void rh_options_ints(rh_options *o, const char *key, int64_t least, int64_t most, int room, int *n, int64_t *out) {
  const json_t *value = look_up(o, key);
  if (!value) return;
  const size_t count = json_is_array(value) ? json_array_size(value) : 1;
  char path[LIST_BYTES], range[LIST_BYTES];
  if (count > (size_t)room) {
    o->status = rh_fail(RH_E_SPEC, "%s: %zu numbers are too many, there may be at most %d", path_of(path, o, key), count, room);
    return;
  }
  for (int fill = 0; fill < 2; fill++) { /* all are checked before the first is written */
    for (size_t i = 0; i < count; i++) {
      const json_t *item = json_is_array(value) ? json_array_get(value, i) : value;
      int64_t number;
      if (!read_int(item, &number)) {
        wrong_kind(o, key, "an array of integers", item == value ? value : item);
        return;
      }
      if (number < least || number > most) {
        o->status = rh_fail(RH_E_SPEC, "%s[%zu]: %" PRId64 " is out of range, it must be %s", path_of(path, o, key), i, number,
                            range_text_int(range, least, most));
        return;
      }
      if (fill) out[i] = number;
    }
  }
  *n = (int)count;
}

const json_t *rh_options_json(rh_options *o, const char *key) {
  return look_up(o, key);
}

rh_status rh_options_done(rh_options *o) {
  const char *names[RH_OPTIONS_KEYS + 1] = {0};
  if (o->status != RH_OK || !o->object) return o->status;
  memcpy(names, o->key, (size_t)o->known * sizeof *names);
  const char *key;
  json_t *value;
  json_object_foreach((json_t *)(uintptr_t)o->object, key, value) {
    int i = 0;
    while (i < o->known && strcmp(names[i], key) != 0) i++;
    if (i < o->known) continue;
    char list[LIST_BYTES];
    const char *near = rh_nearest(key, names), *where = *o->where ? o->where : "options";
    if (near) return o->status = rh_fail(RH_E_SPEC, "%s: unknown key '%.64s', did you mean '%s'?", where, key, near);
    return o->status = rh_fail(RH_E_SPEC, "%s: unknown key '%.64s'; the known ones: %s", where, key,
                               o->known ? join(list, o->known, names) : "none");
  }
  return RH_OK;
}

/* ---- JSON text ---- */

/* What is known of a text before it is parsed. It may be wrong only behind a place where the parser will give up. */
typedef struct survey {
  int depth;           /* brackets open at once, those in strings left out */
  size_t longest, end; /* the longest token; where the first bracket is closed again, or n */
} survey;

static survey look_over(const char *text, size_t n) {
  survey s = {.end = n};
  int depth = 0;
  bool quoted = false;
  size_t token = 0; /* where the present one began */
  for (size_t i = 0; i < n; i++) {
    const char c = text[i];
    if (quoted) {
      if (c == '\\') i++;
      if (c == '"') quoted = false;
    } else if (c == '"') {
      quoted = true;
      token = i;
    } else if (strchr("{}[],: \t\r\n", c)) {
      if ((c == '{' || c == '[') && ++depth > s.depth) s.depth = depth;
      if ((c == '}' || c == ']') && --depth == 0 && s.end == n) s.end = i + 1;
      token = i + 1;
    }
    if (i + 1 > token && i + 1 - token > s.longest) s.longest = i + 1 - token;
  }
  return s;
}

/* jansson's lexer ignores that its token buffer could not grow: it would lose characters, or abort. So the text is parsed as ["xx...x",
 * TEXT]: the first token is longer than all that follow, the buffer never grows behind it, and its own length shows whether it has. */
static char *pad(const char *text, size_t n, size_t padding, size_t *bytes) {
  *bytes = n + padding + 7;
  char *block = rh_alloc(*bytes);
  if (!block) return NULL;
  memcpy(block, "[\"", 2);
  memset(block + 2, 'x', padding);
  memcpy(block + 2 + padding, "\",\n", 3);
  if (n) memcpy(block + 5 + padding, text, n);
  memcpy(block + 5 + padding + n, " ]", 2);
  return block;
}

static rh_status fail_syntax(const char *where, const json_error_t *error, size_t at, const survey *s, size_t n) {
  const int line = error->line - 1, column = error->column;
  if (s->end < n && at > s->end)
    return rh_fail(RH_E_FORMAT, "%s: line %d, column %d: there is more behind the end of the JSON text", where, line, column);
  if (at > n) return rh_fail(RH_E_FORMAT, "%s: the JSON text ends too early", where);
  return rh_fail(RH_E_FORMAT, "%s: line %d, column %d: %s", where, line, column, error->text);
}

rh_status rh_json_parse(const char *text, size_t n, const char *where, json_t **out) {
  if (n > RH_JSON_BYTES) return rh_fail(RH_E_FORMAT, "%s: %zu bytes of JSON are too many, the limit is %d", where, n, RH_JSON_BYTES);
  const survey s = look_over(text, n);
  if (s.depth > JSON_DEPTH) return rh_fail(RH_E_FORMAT, "%s: JSON nested deeper than %d", where, JSON_DEPTH);
  size_t padding = 36, bytes; /* never 2^k - 1 with its quotes: the closing one must not be what makes the buffer grow */
  while (padding < s.longest + 8) padding *= 2;
  char *padded = pad(text, n, padding, &bytes);
  if (!padded) return RH_E_MEMORY;
  json_error_t error = {.line = -1};
  json_t *pair = json_loadb(padded, bytes, JSON_REJECT_DUPLICATES, &error);
  rh_free(padded);
  const bool whole = pair && json_string_length(json_array_get(pair, 0)) == padding;
  rh_status status = RH_OK;
  if (!pair && json_error_code(&error) != json_error_out_of_memory && *error.text && error.line > 1) {
    const size_t at = (size_t)error.position;
    status = fail_syntax(where, &error, at > padding + 5 ? at - padding - 5 : 0, &s, n);
  } else if (!whole) {
    status = rh_fail(RH_E_MEMORY, "%s: out of memory reading JSON", where);
  } else if (json_array_size(pair) != 2) {
    status = rh_fail(RH_E_FORMAT, "%s: there is more than one JSON value", where);
  } else {
    *out = json_incref(json_array_get(pair, 1));
  }
  json_decref(pair);
  return status;
}

/* jansson drops the failures of its own buffer while it writes keys, so the text is gathered here, where they stick. */
struct text_sink {
  char *text;
  int64_t used, room;
  bool failed;
};

static int sink_put(const char *bytes, size_t n, void *arg) {
  struct text_sink *sink = arg;
  if (!sink->failed && rh_grow((void **)&sink->text, &sink->room, sink->used + (int64_t)n + 1, 1) != RH_OK) sink->failed = true;
  if (sink->failed) return -1;
  memcpy(sink->text + sink->used, bytes, n);
  sink->used += (int64_t)n;
  sink->text[sink->used] = 0;
  return 0;
}

char *rh_json_text(const json_t *value) {
  struct text_sink sink = {0};
  const size_t flags = JSON_SORT_KEYS | JSON_COMPACT | JSON_ENCODE_ANY | JSON_REAL_PRECISION(17);
  if (json_dump_callback(value, sink_put, &sink, flags) == 0 && !sink.failed && sink.text) return sink.text;
  rh_free(sink.text);
  (void)rh_fail(RH_E_MEMORY, "out of memory writing JSON");
  return NULL;
}
