/* rheo score, encode, decode, sample: rows in, rows out. */
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#include "shared_options.h"

#define ROWS_OUTPUT_OPTION                                                                                                            \
  {                                                                                                                                   \
    .name = "output", .letter = 'o', .kind = ARG_TEXT, .value = "OUT",                                                                \
    .help =                                                                                                                           \
        "Where the rows go: NPY if OUT ends in .npy, else CSV. Images: a picture of all (OUT.png), an array (OUT.npy) or a PNG each " \
        "(a FOLDER/). Required."                                                                                                      \
  }

static const arg_option score_options[] = {
    {.name = "output",
     .letter = 'o',
     .kind = ARG_TEXT,
     .value = "OUT",
     .help = "Write log p of every row, one a line (or an array, if OUT ends in .npy)."},
    SEED_OPTION("Of the noise that discrete columns need."),
    DRAWS_OPTION("1"),
    MODEL_COLUMNS_OPTION,
    MODEL_DTYPE_OPTION,
    HEADER_OPTION,
    MODEL_LABELS_OPTION,
    SOLVER_OPTIONS,
};
static const arg_option code_options[] = {
    ROWS_OUTPUT_OPTION,   SEED_OPTION("Of the noise that discrete columns need."),
    MODEL_COLUMNS_OPTION, MODEL_DTYPE_OPTION,
    HEADER_OPTION,        MODEL_LABELS_OPTION,
    SOLVER_OPTIONS,
};
static const arg_option sample_options[] = {
    {.name = "count", .letter = 'n', .kind = ARG_COUNT, .value = "N", .most = 1e12, .help = "How many rows. Required."},
    ROWS_OUTPUT_OPTION,
    SEED_OPTION("Row i depends on the seed and on i alone."),
    {.name = "temperature",
     .kind = ARG_REAL,
     .value = "T",
     .least = 1e-6,
     .most = 1e6,
     .help = "Scale of the base's spread; 1, the default, is the density itself."},
    {.name = "temperatures",
     .kind = ARG_TEXT,
     .value = "T,T,...",
     .help = "Images: N at each of these, a row of the picture a temperature, the same noise in each column."},
    {.name = "class",
     .kind = ARG_TEXT,
     .value = "C",
     .help = "Images of a conditional model: the class, by name or number; or all: N of each, a row of the picture a class."},
    {.name = "context",
     .kind = ARG_TEXT,
     .value = "FILE",
     .help = "For a conditional model: draw N rows for every row of this table of the context columns. A whole table is fine too: they are "
             "found by name, or stand where they stood in the fit's table."},
    CONTEXT_VALUES_OPTION("One context instead of a file of them"),
    {.name = "no-context", .kind = ARG_FLAG, .help = "Leave the context columns out of OUT."},
    HEADER_OPTION,
    MODEL_DTYPE_OPTION,
    SOLVER_OPTIONS,
};

typedef rh_status file_call(rh_density *density, const char *data, const char *output, const char *options, char **report);

static void print_evaluations(json_t *report) {
  if (json_object_get(report, "evaluations_mean")) printf("evaluations of the field %.1f a row\n", real_of(report, "evaluations_mean"));
}

static void score_human(json_t *report) {
  const long long zero = count_of(report, "zero_density"), n = count_of(report, "n");
  const long long lost = count_of(report, "unfinished");
  if (lost > 0) {
    printf("%lld of %lld rows have no log-density that was found, %lld have density 0", lost, n, zero);
    if (lost + zero < n) printf("; the others have a mean of %.6f nats a row", real_of(report, "finite_mean"));
    printf("\n");
  } else if (zero > 0 && zero == n) {
    printf("every row has density 0 (%lld row%s)\n", n, n == 1 ? "" : "s");
  } else if (zero > 0) {
    printf("%lld of %lld rows have density 0; the others have a mean of %.6f nats a row\n", zero, n, real_of(report, "finite_mean"));
  } else {
    const double error = real_of(report, "stderr"); /* one row has none */
    printf("mean log p %.6f", real_of(report, "mean"));
    if (!isnan(error)) printf(" +- %.6f", error);
    printf(" nats a row, %lld row%s\n", n, n == 1 ? "" : "s");
  }
  if (json_is_number(json_object_get(report, "bits_per_dim"))) {
    const double error = real_of(report, "bits_per_dim_stderr");
    printf("%.4f", real_of(report, "bits_per_dim"));
    if (!isnan(error)) printf(" +- %.4f", error);
    printf(" bits/dim\n");
  }
  print_evaluations(report);
}

static void rows_human(json_t *report) {
  if (json_object_get(report, "images"))
    printf("%lld images\n", count_of(report, "images"));
  else
    printf("%lld row%s, %lld column%s\n", count_of(report, "rows"), count_of(report, "rows") == 1 ? "" : "s", count_of(report, "columns"),
           count_of(report, "columns") == 1 ? "" : "s");
  print_evaluations(report);
}

/* Where rows go to standard output, words about them go nowhere. */
/* ---- Ctrl-C ---- */

static rh_density *at_work;
static volatile sig_atomic_t asked_by;

static void on_signal(int number) {
  asked_by = number;
  rh_density_stop(at_work, 1);
}

/* An output that is a file is written beside it: the first Ctrl-C takes that away. Elsewhere, and a second time, a signal ends the process
 * where it stands. NULL: no longer. */
static void catch_signals(rh_density *density) {
  struct sigaction action = {.sa_handler = density ? on_signal : SIG_DFL, .sa_flags = density ? (int)SA_RESETHAND : 0};
  static const int numbers[] = {SIGINT, SIGTERM};
  if (density) at_work = density;
  for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
    struct sigaction before;
    if (sigaction(numbers[i], NULL, &before) == 0 && before.sa_handler != SIG_IGN) sigaction(numbers[i], &action, NULL);
  }
}

/* After a call: its code. Whoever started the command sees that a signal ended it: a shell's loop ends too. */
static int close_after(const cli_args *args, rh_density *density, rh_status status, char *report, void (*human)(json_t *)) {
  catch_signals(NULL);
  const int code = status == RH_OK ? finish(args, report, human) : complain_status(status);
  rh_density_close(density);
  if (status == RH_E_INTERRUPTED && asked_by) raise(asked_by);
  return code;
}

/* ---- the commands ---- */

static int run_file(const cli_args *args, file_call *call, bool needs_output, void (*human)(json_t *)) {
  static const char *const keys[] = {"columns", "header", "labels", NULL};
  const char *output = arg_text(args, "output", NULL);
  if (needs_output && !output)
    return complain(EXIT_USAGE, "%s: where should the rows go? give -o OUT (- is standard output)", args->command->name);
  int code = refuse_json(args, output);
  if (code) return code;
  rh_density *density = open_model(args, &code);
  if (!density) return code;
  char *options = arg_pick(args, keys), *report = NULL;
  if (output && !to_stdout(output)) catch_signals(density);
  const rh_status status = call(density, args->operand[1], output, options, &report);
  free(options);
  return close_after(args, density, status, report, to_stdout(output) ? NULL : human);
}

static int run_score(const cli_args *args) {
  return run_file(args, rh_score_file, false, score_human);
}

static int run_encode(const cli_args *args) {
  return run_file(args, rh_encode_file, true, rows_human);
}

static int run_decode(const cli_args *args) {
  return run_file(args, rh_decode_file, true, rows_human);
}

/* The library's options; the caller frees the text. */
static char *pick_sample_options(const cli_args *args) {
  static const struct {
    const char *option, *key;
  } keys[] = {{"count", "count"},     {"seed", "seed"},     {"temperature", "temperature"},
              {"context", "context"}, {"header", "header"}, {"context-values", "context_values"},
              {"class", "class"}};
  json_t *picked = json_object();
  for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
    json_t *value = json_object_get(args->given, keys[i].option);
    if (value) json_object_set(picked, keys[i].key, value);
  }
  const char *ladder = arg_text(args, "temperatures", NULL);
  if (ladder) json_object_set_new(picked, "temperatures", real_list(ladder));
  if (arg_flag(args, "no-context")) json_object_set_new(picked, "with_context", json_false());
  char *text = json_dumps(picked, JSON_COMPACT);
  json_decref(picked);
  return text;
}

static int run_sample(const cli_args *args) {
  const char *output = arg_text(args, "output", NULL);
  if (!json_object_get(args->given, "count")) return complain(EXIT_USAGE, "sample: how many rows? give -n N");
  if (!output) return complain(EXIT_USAGE, "sample: where should the rows go? give -o OUT (- is standard output)");
  int code = refuse_json(args, output);
  if (code) return code;
  rh_density *density = open_model(args, &code);
  if (!density) return code;
  char *options = pick_sample_options(args), *report = NULL;
  if (!to_stdout(output)) catch_signals(density);
  const rh_status status = rh_sample_file(density, output, options, &report);
  free(options);
  return close_after(args, density, status, report, to_stdout(output) ? NULL : rows_human);
}

#define OPTIONS(table) .options = table, .option_count = sizeof table / sizeof *table
const cli_command command_score = {
    .name = "score",
    .operands = "MODEL DATA",
    .summary = "The log-density of every row of a table; prints the mean and its standard error.",
    .details =
        "Nats per row, in the units of the file; of a conditional model log p(row | context). Also bits/dim where the data is discrete. "
        "Columns that the fit dropped (constant, copies, "
        "linear combinations of others) are not looked at: a row that contradicts them scores as if it fitted, as does a value between the "
        "levels of a discrete column; rheo check counts such cells.",
    OPTIONS(score_options),
    .least_operands = 2,
    .most_operands = 2,
    .run = run_score};
const cli_command command_encode = {.name = "encode",
                                    .operands = "MODEL DATA -o OUT",
                                    .summary = "Map rows to codes, which follow the base where the model is right.",
                                    .details = "A conditional model's context columns follow the codes, so that decode can read them.",
                                    OPTIONS(code_options),
                                    .least_operands = 2,
                                    .most_operands = 2,
                                    .run = run_encode};
const cli_command command_decode = {.name = "decode",
                                    .operands = "MODEL CODES -o OUT",
                                    .summary = "Map codes back to rows.",
                                    .details =
                                        "CODES of a conditional model hold the context columns too, as encode writes them; OUT has the "
                                        "columns of the fit's table, in its order.",
                                    OPTIONS(code_options),
                                    .least_operands = 2,
                                    .most_operands = 2,
                                    .run = run_decode};
const cli_command command_sample = {.name = "sample",
                                    .operands = "MODEL -n N -o OUT",
                                    .summary = "Draw rows from the density.",
                                    .details =
                                        "A conditional model needs contexts: N rows are drawn for each, one context after another, and "
                                        "OUT has the columns of the fit's table, in its order. Row i depends on the seed, on i and on "
                                        "its context alone.",
                                    OPTIONS(sample_options),
                                    .least_operands = 1,
                                    .most_operands = 1,
                                    .run = run_sample};
