/* rheo COMMAND: dispatch, and what all commands share. */
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"

extern const cli_command command_fit, command_score, command_sample, command_encode, command_decode, command_info, command_check,
    command_compare, command_detect, command_ensemble, command_interpolate, command_attribute, command_reconstruct, command_plot;
const cli_command *const commands[] = {&command_fit,         &command_score,     &command_sample,      &command_encode, &command_decode,
                                       &command_info,        &command_check,     &command_compare,     &command_detect, &command_ensemble,
                                       &command_interpolate, &command_attribute, &command_reconstruct, &command_plot,   NULL};

const arg_option common_options[] = {
    {.name = "threads",
     .kind = ARG_COUNT,
     .value = "N",
     .most = 1024,
     .help = "Compute with N threads; 0, the default, takes every CPU. The results are the same for any N."},
    {.name = "isa",
     .kind = ARG_TEXT,
     .value = "LEVEL",
     .help = "Use this instruction-set level (ref, base, v3, v4) instead of the machine's best."},
    {.name = "json", .kind = ARG_FLAG, .help = "Print one JSON object on the last line of standard output."},
    {.name = "quiet", .letter = 'q', .kind = ARG_FLAG, .help = "Print nothing but errors and what --json asks for."},
    {.name = "help", .letter = 'h', .kind = ARG_FLAG, .help = "Print this help."},
};
const int common_option_count = sizeof common_options / sizeof *common_options;

/* Bytes of the character at `at`, or 0: no UTF-8, or cut off. */
static int character(const unsigned char *at) {
  const int n = *at < 0x80 ? 1 : *at >= 0xC2 && *at < 0xE0 ? 2 : *at >= 0xE0 && *at < 0xF0 ? 3 : *at >= 0xF0 && *at < 0xF5 ? 4 : 0;
  for (int i = 1; i < n; i++) {
    if ((at[i] & 0xC0) != 0x80) return 0; /* so does the NUL at the end */
  }
  return n;
}

/* Names come from anywhere: what is no character, or moves the cursor (C0, DEL, C1), becomes one question mark. */
static void clean(char *text) {
  unsigned char *to = (unsigned char *)text;
  for (const unsigned char *at = to; *at;) {
    const int n = character(at);
    const bool control = *at < ' ' || *at == 127 || (*at == 0xC2 && at[1] < 0xA0);
    if (n == 0 || control) {
      *to++ = '?';
      at += n ? n : 1;
      while (n == 0 && (*at & 0xC0) == 0x80) at++; /* the rest of what is no character */
      continue;
    }
    memmove(to, at, (size_t)n);
    to += n;
    at += n;
  }
  *to = 0;
}

int complain(int code, const char *format, ...) {
  char text[2048];
  va_list args;
  progress_end();
  va_start(args, format);
  vsnprintf(text, sizeof text, format, args);
  va_end(args);
  clean(text);
  fprintf(stderr, "rheo: %s\n", text);
  return code;
}

int complain_status(rh_status status) {
  const char *text = rh_last_error();
  return complain(status == RH_E_ARGUMENT ? EXIT_USAGE : EXIT_FAILED, "%s", *text ? text : rh_status_text(status));
}

double real_of(const json_t *object, const char *key) {
  const json_t *value = json_object_get(object, key);
  return json_is_number(value) ? json_number_value(value) : NAN;
}

long long count_of(const json_t *object, const char *key) {
  return json_integer_value(json_object_get(object, key));
}

const char *text_of(const json_t *object, const char *key) {
  const char *text = json_string_value(json_object_get(object, key));
  return text ? text : "";
}

bool to_stdout(const char *output) {
  return output && strcmp(output, "-") == 0;
}

int refuse_json(const cli_args *args, const char *output) {
  if (!args->json || !to_stdout(output)) return EXIT_DONE;
  return complain(EXIT_USAGE, "%s: -o - and --json both want standard output: give -o a file", args->command->name);
}

static void print_list(const json_t *list, const char *before) {
  size_t i;
  json_t *item;
  json_array_foreach(list, i, item) printf("%s%s\n", before, json_string_value(item));
}

static void tell(const cli_args *args, const char *text, void (*human)(json_t *report)) {
  json_t *report = text ? json_loads(text, JSON_ALLOW_NUL, NULL) : NULL;
  if (human && !args->quiet) {
    print_list(json_object_get(report, "notes"), "");
    print_list(json_object_get(report, "warnings"), "warning: ");
    human(report);
  }
  if (args->json && text) printf("%s\n", text);
  json_decref(report);
}

int finish(const cli_args *args, char *text, void (*human)(json_t *report)) {
  tell(args, text, human);
  rh_text_free(text);
  return EXIT_DONE;
}

int finish_own(const cli_args *args, const json_t *report, void (*human)(json_t *report)) {
  char *text = json_dumps(report, JSON_COMPACT);
  tell(args, text, human);
  free(text);
  return EXIT_DONE;
}

rh_density *open_model_at(const cli_args *args, const char *path, int *code) {
  static const struct {
    const char *option, *key;
  } keys[] = {{"threads", "threads"},
              {"isa", "isa"},
              {"dtype", "dtype"},
              {"seed", "seed"},
              {"draws", "draws"},
              {"solver", "solver"},
              {"rtol", "rtol"},
              {"solver-steps", "solver_steps"},
              {"atol", "atol"},
              {"max-steps", "max_steps"},
              {"trace", "trace"},
              {"min-step", "min_step"},
              {"fallback-steps", "fallback_steps"}};
  json_t *picked = json_object();
  for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
    json_t *value = json_object_get(args->given, keys[i].option);
    if (value) json_object_set(picked, keys[i].key, value);
  }
  char *options = json_dumps(picked, JSON_COMPACT);
  json_decref(picked);
  rh_density *density = NULL;
  const rh_status status = rh_density_open(path, options, &density);
  free(options);
  *code = status == RH_OK ? EXIT_DONE : complain_status(status);
  return density;
}

rh_density *open_model(const cli_args *args, int *code) {
  return open_model_at(args, args->operand[0], code);
}

static const cli_command *find(const char *name) {
  for (const cli_command *const *at = commands; *at; at++) {
    if (strcmp((*at)->name, name) == 0) return *at;
  }
  return NULL;
}

static int run(const cli_command *command, int argc, char **argv) {
  cli_args args;
  int code = arguments_parse(command, argc - 2, argv + 2, &args);
  args.line = argv;
  if (code == EXIT_DONE) code = arg_flag(&args, "help") ? print_help(command) : command->run(&args);
  arguments_free(&args);
  return code;
}

static int dispatch(int argc, char **argv) {
  if (argc < 2) return complain(EXIT_USAGE, "no command; rheo --help lists them");
  const char *word = argv[1];
  if (strcmp(word, "--version") == 0) return printf("rheo %s\n", rh_version()), EXIT_DONE;
  if (strcmp(word, "--man") == 0) return print_man();
  if (strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0 || strcmp(word, "help") == 0) {
    const cli_command *about = argc > 2 ? find(argv[2]) : NULL;
    return about ? print_help(about) : print_usage();
  }
  const cli_command *command = find(word);
  if (!command) return complain(EXIT_USAGE, "unknown command %.60s; rheo --help lists them", word);
  return run(command, argc, argv);
}

int main(int argc, char **argv) {
  int code = dispatch(argc, argv);
  if ((fflush(stdout) || ferror(stdout)) && code == EXIT_DONE)
    code = complain(EXIT_FAILED, "standard output: cannot write all of it: is its disk full?");
  return code;
}
