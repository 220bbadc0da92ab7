#define _DEFAULT_SOURCE /* strndup */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"

enum { WORD = 128, REPEATS = 64 };

/* ---- the nearest name ---- */

static int least3(int a, int b, int c) {
  const int least = a < b ? a : b;
  return least < c ? least : c;
}

/* Levenshtein distance; words longer than WORD count as far. */
static int distance(const char *a, const char *b) {
  const size_t n = strlen(a), m = strlen(b);
  if (n >= WORD || m >= WORD) return WORD;
  int row[WORD + 1];
  for (size_t j = 0; j <= m; j++) row[j] = (int)j;
  for (size_t i = 1; i <= n; i++) {
    int corner = row[0];
    row[0] = (int)i;
    for (size_t j = 1; j <= m; j++) {
      const int above = row[j];
      row[j] = least3(above + 1, row[j - 1] + 1, corner + (a[i - 1] != b[j - 1]));
      corner = above;
    }
  }
  return row[m];
}

/* ---- looking options up ---- */

static const arg_option *option_at(const cli_command *command, int i) {
  if (i < command->option_count) return &command->options[i];
  i -= command->option_count;
  return i < common_option_count ? &common_options[i] : NULL;
}

static const arg_option *find_long(const cli_command *command, const char *name, size_t length) {
  const arg_option *option;
  for (int i = 0; (option = option_at(command, i)); i++) {
    if (strlen(option->name) == length && memcmp(option->name, name, length) == 0) return option;
  }
  return NULL;
}

static const arg_option *find_letter(const cli_command *command, char letter) {
  const arg_option *option;
  for (int i = 0; (option = option_at(command, i)); i++) {
    if (option->letter == letter) return option;
  }
  return NULL;
}

static int unknown(const cli_command *command, const char *given) {
  char name[WORD];
  snprintf(name, sizeof name, "%s", given + strspn(given, "-"));
  name[strcspn(name, "=")] = '\0';
  const arg_option *option, *near = NULL;
  int least = (int)strlen(name) / 2 + 1;
  for (int i = 0; (option = option_at(command, i)); i++) {
    const int d = distance(name, option->name);
    if (d < least) least = d, near = option;
  }
  if (near && given[1] == '-') {
    return complain(EXIT_USAGE, "%s: unknown option --%s; did you mean --%s? rheo %s --help lists all", command->name, name, near->name,
                    command->name);
  }
  return complain(EXIT_USAGE, "%s: unknown option %.60s; rheo %s --help lists all", command->name, given, command->name);
}

/* ---- values ---- */

static json_t *read_choice(const arg_option *option, const char *text) {
  const size_t n = strlen(text);
  for (const char *at = option->choices; *at; at += strcspn(at, "|")) {
    if (*at == '|') at++;
    if (strcspn(at, "|") == n && memcmp(at, text, n) == 0) return json_string(text);
  }
  return NULL;
}

static json_t *read_count(const arg_option *option, const char *text) {
  char *end;
  errno = 0;
  const long long value = strtoll(text, &end, 10);
  if (errno || end == text || *end || (double)value < option->least || (double)value > option->most) return NULL;
  return json_integer(value);
}

static json_t *read_real(const arg_option *option, const char *text) {
  char *end;
  const double value = strtod(text, &end);
  if (end == text || *end || !(value >= option->least && value <= option->most)) return NULL;
  return json_real(value);
}

/* 90, 90s, 10m, 1h30m */
static json_t *read_time(const arg_option *option, const char *text) {
  static const struct {
    char unit;
    double seconds;
  } units[] = {{'d', 86400}, {'h', 3600}, {'m', 60}, {'s', 1}};
  double total = 0;
  if (!*text) return NULL;
  for (const char *at = text; *at;) {
    char *end;
    if (*at < '0' || *at > '9') return NULL;
    const double value = strtod(at, &end);
    double scale = *end || at != text ? 0 : 1;
    for (size_t i = 0; i < sizeof units / sizeof *units; i++) {
      if (*end == units[i].unit) scale = units[i].seconds;
    }
    if (scale == 0) return NULL;
    total += value * scale;
    at = *end ? end + 1 : end;
  }
  return total >= option->least && total <= option->most ? json_real(total) : NULL;
}

/* 2x128 is [128, 128]; *wrong: it has that form and means nothing. */
static json_t *read_repeat(const char *text, bool *wrong) {
  char *end, *last;
  const long long times = strtoll(text, &end, 10);
  if (end == text || *end != 'x') return NULL;
  const long long value = strtoll(end + 1, &last, 10);
  if (last == end + 1 || *last) return NULL;
  *wrong = times < 1 || times > REPEATS || value < 1;
  if (*wrong) return NULL;
  json_t *list = json_array();
  for (long long i = 0; i < times; i++) json_array_append_new(list, json_integer(value));
  return list;
}

/* 1e400: JSON's form, but no double. */
static bool too_large(const char *text) {
  char *end;
  return text[strcspn(text, "0123456789")] && isinf(strtod(text, &end)) && !*end;
}

/* A value by JSON's rules, else NxM, else text; what was meant to be more than a text and is not goes to `why`. */
static json_t *read_loose(const char *text, char why[WORD]) {
  json_error_t error;
  bool wrong = false;
  json_t *value = json_loads(text, JSON_DECODE_ANY | JSON_REJECT_DUPLICATES, &error);
  if (!value) value = read_repeat(text, &wrong);
  if (value) return value;
  *why = 0;
  if (wrong) {
    snprintf(why, WORD, "NxM is N numbers M: N from 1 to %d, M at least 1", REPEATS);
  } else if (too_large(text)) {
    snprintf(why, WORD, "the number is too large");
  } else if (strchr("[{\"", *text)) {
    snprintf(why, WORD, "the value is no JSON: %.90s", error.text);
  } else if (!(value = json_string(text))) {
    snprintf(why, WORD, "the value is not UTF-8");
  }
  return value;
}

static int read_pair(const cli_command *command, const arg_option *option, const char *text, json_t *given) {
  const char *equals = strchr(text, '=');
  if (!equals || equals == text) {
    return complain(EXIT_USAGE, "%s: --%s %.60s: give key=value, as in --%s lr=1e-3", command->name, option->name, text, option->name);
  }
  char why[WORD] = "the value is missing";
  json_t *value = equals[1] ? read_loose(equals + 1, why) : NULL;
  if (!value) return complain(EXIT_USAGE, "%s: --%s %.60s: %s", command->name, option->name, text, why);
  json_t *pairs = json_object_get(given, option->name);
  if (!pairs) json_object_set_new(given, option->name, pairs = json_object());
  char *key = strndup(text, (size_t)(equals - text));
  const int failed = json_object_set_new(pairs, key, value);
  free(key);
  return failed ? complain(EXIT_USAGE, "%s: --%s %.60s: the key is not UTF-8", command->name, option->name, text) : EXIT_DONE;
}

static int wrong_value(const cli_command *command, const arg_option *option, const char *text) {
  const char *name = option->name;
  switch (option->kind) {
    case ARG_CHOICE:
      return complain(EXIT_USAGE, "%s: --%s %.60s: give one of %s", command->name, name, text, option->choices);
    case ARG_COUNT:
      return complain(EXIT_USAGE, "%s: --%s %.60s: give an integer from %.0f to %.0f", command->name, name, text, option->least,
                      option->most);
    case ARG_REAL:
      return complain(EXIT_USAGE, "%s: --%s %.60s: give a number from %g to %g", command->name, name, text, option->least, option->most);
    case ARG_TIME:
      return complain(EXIT_USAGE, "%s: --%s %.60s: give a time such as 90s, 10m or 1h30m", command->name, name, text);
    default:
      return complain(EXIT_USAGE, "%s: --%s: the value is empty, or is not UTF-8", command->name, name);
  }
}

static int take(const cli_command *command, const arg_option *option, const char *text, json_t *given) {
  json_t *value = NULL;
  switch (option->kind) {
    case ARG_FLAG:
      value = json_true();
      break;
    case ARG_TEXT:
      value = *text ? json_string(text) : NULL;
      break;
    case ARG_CHOICE:
      value = read_choice(option, text);
      break;
    case ARG_COUNT:
      value = read_count(option, text);
      break;
    case ARG_REAL:
      value = read_real(option, text);
      break;
    case ARG_TIME:
      value = read_time(option, text);
      break;
    case ARG_PAIR:
      return read_pair(command, option, text, given);
  }
  if (!value) return wrong_value(command, option, text);
  json_object_set_new(given, option->name, value);
  return EXIT_DONE;
}

/* ---- the line ---- */

/* One option word at argv[*i], with its value in the same word or the next. */
static int take_word(const cli_command *command, int argc, char **argv, int *i, json_t *given) {
  const char *word = argv[*i], *value = NULL;
  const arg_option *option;
  if (word[1] == '-') {
    const size_t length = strcspn(word + 2, "=");
    option = find_long(command, word + 2, length);
    if (word[2 + length] == '=') value = word + 3 + length;
  } else {
    option = find_letter(command, word[1]);
    if (word[2]) value = word + 2;
  }
  if (!option) return unknown(command, word);
  if (option->kind == ARG_FLAG) {
    if (value) return complain(EXIT_USAGE, "%s: %.60s: --%s takes no value", command->name, word, option->name);
    value = "";
  } else if (!value) {
    if (*i + 1 >= argc)
      return complain(EXIT_USAGE, "%s: --%s: its value is missing: give --%s %s", command->name, option->name, option->name, option->value);
    value = argv[++*i];
  }
  return take(command, option, value, given);
}

int arguments_parse(const cli_command *command, int argc, char **argv, cli_args *args) {
  *args = (cli_args){.command = command, .given = json_object()};
  bool only_operands = false;
  for (int i = 0; i < argc; i++) {
    const char *word = argv[i];
    if (!only_operands && strcmp(word, "--") == 0) {
      only_operands = true;
    } else if (!only_operands && word[0] == '-' && word[1]) {
      const int code = take_word(command, argc, argv, &i, args->given);
      if (code) return code;
    } else {
      if (args->operands >= command->most_operands) {
        return complain(EXIT_USAGE, "%s: one argument too many: %.60s; usage: rheo %s %s", command->name, word, command->name,
                        command->operands);
      }
      args->operand[args->operands++] = word;
    }
  }
  args->quiet = arg_flag(args, "quiet");
  args->json = arg_flag(args, "json");
  if (!arg_flag(args, "help") && args->operands < command->least_operands) {
    return complain(EXIT_USAGE, "%s: an argument is missing; usage: rheo %s %s", command->name, command->name, command->operands);
  }
  return EXIT_DONE;
}

void arguments_free(cli_args *args) {
  json_decref(args->given);
}

bool arg_flag(const cli_args *args, const char *name) {
  return json_is_true(json_object_get(args->given, name));
}

const char *arg_text(const cli_args *args, const char *name, const char *fallback) {
  const char *text = json_string_value(json_object_get(args->given, name));
  return text ? text : fallback;
}

char *arg_pick(const cli_args *args, const char *const *names) {
  json_t *picked = json_object();
  for (; *names; names++) {
    json_t *value = json_object_get(args->given, *names);
    if (value) json_object_set(picked, *names, value);
  }
  char *text = json_dumps(picked, JSON_COMPACT);
  json_decref(picked);
  return text;
}

json_t *split_list(const char *text) {
  double share[3];
  int end = 0;
  if (sscanf(text, "%lf,%lf,%lf%n", &share[0], &share[1], &share[2], &end) != 3 || text[end]) return json_string(text);
  return json_pack("[f,f,f]", share[0], share[1], share[2]);
}

json_t *real_list(const char *text) {
  json_t *list = json_array();
  for (const char *at = text;; at++) {
    char *end;
    const double value = strtod(at, &end);
    if (end == at || (*end && *end != ',') || json_array_append_new(list, json_real(value))) break;
    if (!*end) return list;
    at = end;
  }
  json_decref(list);
  return json_string(text);
}

char *arg_pick_split(const cli_args *args, const char *const *names) {
  char *text = arg_pick(args, names);
  json_t *picked = text ? json_loads(text, 0, NULL) : NULL;
  const char *split = json_string_value(json_object_get(picked, "split"));
  if (split) {
    json_object_set_new(picked, "split", split_list(split));
    free(text);
    text = json_dumps(picked, JSON_COMPACT);
  }
  json_decref(picked);
  return text;
}
