/* The command: a table of commands, each with a table of options from which parsing, --help and the man page come. It stands on the
 * public face alone. */
#ifndef RHEO_CLI_CLI_H
#define RHEO_CLI_CLI_H
#include <jansson.h>
#include <rheo/rheo.h>
#include <stdbool.h>

enum { EXIT_DONE = 0, EXIT_FAILED = 1, EXIT_USAGE = 2 };

typedef enum arg_kind {
  ARG_FLAG,
  ARG_TEXT,
  ARG_CHOICE, /* one of `choices`, "a|b|c" */
  ARG_COUNT,  /* an integer in [least, most] */
  ARG_REAL,   /* a number in [least, most] */
  ARG_TIME,   /* 90, 90s, 10m, 1h30m: seconds */
  ARG_PAIR    /* key=value, may be given again; value by JSON's rules, else text */
} arg_kind;

typedef struct arg_option {
  const char *name; /* without the dashes; also the key of the parsed value */
  char letter;      /* 0: none */
  arg_kind kind;
  const char *value; /* its name in the help */
  const char *help;
  double least, most;
  const char *choices;
} arg_option;

enum { CLI_OPERANDS = 64 };
struct cli_args;
typedef struct cli_command {
  const char *name, *operands, *summary;
  const char *details; /* paragraphs for the help and the man page */
  const arg_option *options;
  int option_count;
  int least_operands, most_operands;
  int (*run)(const struct cli_args *args);
} cli_command;

typedef struct cli_args {
  const cli_command *command;
  json_t *given; /* object: option name -> value; pairs: an object under their option's name */
  const char *operand[CLI_OPERANDS];
  int operands;
  bool quiet, json;
  char **line; /* the whole line as the program got it */
} cli_args;

extern const cli_command *const commands[]; /* NULL-ended */
extern const arg_option common_options[];
extern const int common_option_count;

/* argv after the command's name. EXIT_DONE, or EXIT_USAGE with the error printed. */
int arguments_parse(const cli_command *command, int argc, char **argv, cli_args *args);
void arguments_free(cli_args *args);
bool arg_flag(const cli_args *args, const char *name);
const char *arg_text(const cli_args *args, const char *name, const char *fallback);
/* The named options that were given, as the text of a JSON object for the library; the caller frees it with free(). names: NULL-ended. */
char *arg_pick(const cli_args *args, const char *const *names);
/* "0.8,0.1,0.1" -> [0.8, 0.1, 0.1]; anything else goes through as it is and is refused by the library. */
json_t *split_list(const char *text);
/* "0.6,0.7" -> [0.6, 0.7], likewise. */
json_t *real_list(const char *text);
/* As arg_pick, with "split" made into such a list. */
char *arg_pick_split(const cli_args *args, const char *const *names);

int print_help(const cli_command *command);
int print_usage(void);
int print_man(void);

/* One line on standard error: "rheo: ...". Returns `code`. */
int complain(int code, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* The library's last error; EXIT_USAGE for wrong arguments, else EXIT_FAILED. */
int complain_status(rh_status status);

bool to_stdout(const char *output);                        /* is it "-"? */
int refuse_json(const cli_args *args, const char *output); /* EXIT_DONE, or the error printed: rows and --json on one stream */
/* The report of a command: text parsed, printed as --json asks, after its notes and what `human` prints (not with -q). Frees text. */
int finish(const cli_args *args, char *text, void (*human)(json_t *report));
/* The same of a report that the command made itself. */
int finish_own(const cli_args *args, const json_t *report, void (*human)(json_t *report));
/* Opens the model named by operand 0 with --threads, --isa and the like; NULL with the error printed and *code set. */
rh_density *open_model(const cli_args *args, int *code);
rh_density *open_model_at(const cli_args *args, const char *path, int *code); /* another one */

/* rheo plot: drawn in a program of its own, which the others start. */
int plot_run(const cli_args *args);

/* Numbers of a report; NaN or 0 where there is none. */
double real_of(const json_t *object, const char *key);
long long count_of(const json_t *object, const char *key);
const char *text_of(const json_t *object, const char *key); /* "" */

/* The log of a fit (--log). Opening it leaves an existing file as it is; the first line empties it, unless it is to be appended to. */
typedef struct fit_log {
  const char *path; /* NULL: none */
  int fd;
  bool append, made, begun;
  bool failed; /* not all of it could be written */
} fit_log;
int fit_log_open(fit_log *log, const cli_args *args); /* EXIT_DONE, or the error printed: an input or output of the fit is refused */
void fit_log_put(fit_log *log, const char *line);     /* NULL: nothing */
void fit_log_close(fit_log *log);                     /* one that was made and never written to goes away */

/* The first Ctrl-C (or SIGTERM) asks a fit to end cleanly, with the best so far; the handler goes away with it, so a second one ends the
 * process. */
void stop_on_signals(void);
int stop_asked(void); /* what a progress callback returns */

/* Progress of a fit: a bar on a terminal, plain lines otherwise. */
void progress_show(const rh_fit_event *event, bool quiet);
void progress_end(void);
#endif
