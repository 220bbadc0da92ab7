/* rheo compare: several architectures on one table. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "shared_options.h"

static const arg_option options[] = {
    VAL_OPTION("rank the candidates, and stop each fit early"),
    TEST_OPTION("they rank nothing"),
    {.name = "arch",
     .kind = ARG_TEXT,
     .value = "LIST",
     .help = "What to compare, as in realnvp,nice. Default: every architecture, and variants worth a try."},
    TIME_OPTION("For all fits together, such as 10m; default 20m, where neither --epochs nor --steps is given."),
    EPOCHS_OPTION("each fit", " instead: the same bytes again"),
    STEPS_OPTION("each fit", " instead"),
    {.name = "seeds",
     .kind = ARG_COUNT,
     .value = "K",
     .least = 1,
     .most = 64,
     .help = "Fits of each candidate, with seeds N, N+1, ... (--seed); their log-densities are averaged. Default 1."},
    {.name = "output", .letter = 'o', .kind = ARG_TEXT, .value = "MODEL", .help = "Write the best model."},
    {.name = "all", .kind = ARG_TEXT, .value = "PREFIX", .help = "Write every candidate's model, as PREFIX-NAME.rheo."},
    SET_OPTION("every architecture compared"),
    HANDLE_OPTION,
    SEED_OPTION("Of the split and of the (first) fit."),
    FIT_DTYPE_OPTION,
    SPLIT_OPTION("test where these are not given as files. Default 0.8,0.1,0.1."),
    COLUMNS_OPTION(""),
    HEADER_OPTION,
    IMAGE_FIT_OPTIONS,
};

static int on_event(void *arg, const rh_compare_event *event) {
  const bool quiet = *(const bool *)arg;
  const rh_fit_event *fit = event->fit;
  if (quiet) return stop_asked();
  if (fit->kind == RH_FIT_START) {
    progress_end();
    fprintf(stderr, "[%d/%d", event->number, event->candidates);
    if (event->rounds > 1) fprintf(stderr, ", round %d of %d", event->round, event->rounds);
    fprintf(stderr, "] %s, seed %llu", event->candidate, (unsigned long long)event->seed);
    if (event->seconds > 0) fprintf(stderr, ", %.3g s", event->seconds);
    fprintf(stderr, "\n");
  } else if (fit->kind == RH_FIT_DONE) {
    progress_end();
    fprintf(stderr, "  val %.4f after %lld epochs, %.1f s\n", fit->best_val, (long long)fit->epoch, fit->elapsed);
  } else if (isatty(STDERR_FILENO)) {
    progress_show(fit, false);
  }
  return stop_asked();
}

/* "-41.2310 +- 0.0882" */
static const char *figure(const json_t *row, const char *mean, const char *error, char text[64]) {
  const double value = real_of(row, mean), stderr_ = real_of(row, error);
  *text = 0;
  if (isnan(value)) return text;
  const int used = snprintf(text, 64, "%.4f", value);
  if (!isnan(stderr_)) snprintf(text + used, 64 - (size_t)used, " +- %.4f", stderr_);
  return text;
}

static void print_row(const json_t *row, int width, bool test) {
  char val[64], difference[64], tested[64];
  printf("%-*s ", width, text_of(row, "name"));
  if (*text_of(row, "error")) {
    printf(" failed: %s\n", text_of(row, "error"));
    return;
  }
  figure(row, "val", "val_stderr", val);
  if (!*val) snprintf(val, sizeof val, "%lld of density 0", count_of(row, "val_zero_density"));
  figure(row, "difference", "difference_stderr", difference);
  if (!json_object_get(row, "difference")) snprintf(difference, sizeof difference, "best");
  printf(" %-20s  %-18s%s", val, difference, json_is_true(json_object_get(row, "tie")) ? "  tie " : "      ");
  if (test) printf("  %-20s", figure(row, "test", "test_stderr", tested));
  printf("  %10lld  %6lld  %7.1f\n", count_of(row, "parameters"), count_of(row, "epochs"), real_of(row, "seconds"));
}

static void print_ties(const json_t *list) {
  int ties = 0;
  size_t i;
  const json_t *row;
  json_array_foreach(list, i, row) ties += json_is_true(json_object_get(row, "tie"));
  if (ties > 0) printf("tie: within two standard errors of the best, which these rows cannot tell from it\n");
}

static void human(json_t *report) {
  const json_t *list = json_object_get(report, "candidates"), *row;
  const bool test = count_of(report, "test_rows") > 0;
  int width = 9;
  size_t i;
  json_array_foreach(list, i, row) {
    const int length = (int)strlen(text_of(row, "name"));
    if (length > width) width = length;
  }
  printf("%-*s  %-20s  %-18s      ", width, "candidate", "val, nats a row", "to the best");
  if (test) printf("  %-20s", "test");
  printf("  %10s  %6s  %7s\n", "parameters", "epochs", "seconds");
  json_array_foreach(list, i, row) print_row(row, width, test);
  print_ties(list);
  printf("%lld training, %lld validation, %lld test rows; %.1f s", count_of(report, "train_rows"), count_of(report, "val_rows"),
         count_of(report, "test_rows"), real_of(report, "seconds"));
  printf("%s\n", json_is_true(json_object_get(report, "interrupted")) ? "; interrupted" : "");
}

static int run(const cli_args *args) {
  static const char *const keys[] = {"arch", "time",  "epochs", "steps",   "seeds",  "output",  "all", "set",          "handle",
                                     "seed", "dtype", "split",  "columns", "header", "threads", "isa", IMAGE_FIT_KEYS, NULL};
  const char *output = arg_text(args, "output", NULL);
  if (to_stdout(output)) return complain(EXIT_USAGE, "compare: standard output has the table: give -o a file");
  bool quiet = args->quiet;
  char *text = arg_pick_split(args, keys), *report = NULL;
  stop_on_signals();
  const rh_status status =
      rh_compare_files(args->operand[0], arg_text(args, "val", NULL), arg_text(args, "test", NULL), text, on_event, &quiet, NULL, &report);
  free(text);
  progress_end();
  return status == RH_OK ? finish(args, report, human) : complain_status(status);
}

const cli_command command_compare = {
    .name = "compare",
    .operands = "TRAIN",
    .summary = "Fit several architectures to a table under one budget, and rank them by held-out log-likelihood.",
    .details =
        "Every candidate sees the same split, the same handling of the columns and the same seeds. Validation rows rank them; "
        "differences to the best are row by row, with paired standard errors, and those within two of them are ties. With --time "
        "every candidate has the same share; from four on, half of the time goes to a first round of all of them and what is left to a "
        "second one of the best third (at least two), fitted anew. A fit that fails says so in its row. Ctrl-C ends with what is done.",
    .options = options,
    .option_count = sizeof options / sizeof *options,
    .least_operands = 1,
    .most_operands = 1,
    .run = run,
};
